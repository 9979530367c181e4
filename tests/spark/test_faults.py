"""Clusters of Spark under faults: whatever is killed, there is one cluster while it is wanted, and none afterwards."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("pyspark", reason="make spark installs it")

from process_tree import parent
from spark_clusters import SLICE, job_of, processes_of, run_of, site_of, until

from airflow_wall import state
from airflow_wall.clusters.backends import open_fleet
from airflow_wall.clusters.base import ClusterState, Deleted
from airflow_wall.clusters.kinds.spark import SparkCluster
from airflow_wall.errors import ClusterError, Interrupted
from airflow_wall.job import Job
from airflow_wall.storage.delta import DeltaStore

pytestmark = pytest.mark.timeout(1200)  # a machine that is busy starts a JVM in a minute

Make = Callable[..., SparkCluster]
STARTS = f"""
import sys, pytest
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from spark_clusters import SMALL, site_of
from airflow_wall.clusters.kinds.spark import SparkCluster
print(SparkCluster(sys.argv[2], SMALL, site_of(Path(sys.argv[1]))).ensure()["master"], flush=True)
"""
SLOW = """
import time
from pyspark.sql import functions as F

def slow(x):
    (x.sparkSession.range(2).repartition(2)
      .select(F.udf(lambda n: time.sleep(300) or n, "long")("id")).collect())
"""

TRAINS = """
import time

def train(rows):
    print("training", flush=True)
    time.sleep(300)
"""


def starting(folder: Path, name: str) -> subprocess.Popen[str]:
    """A process of its own that starts the cluster, as a task does."""
    return subprocess.Popen([sys.executable, "-c", STARTS, str(folder), name], stdout=subprocess.PIPE, text=True)


def kinds(name: str) -> list[str]:
    return sorted(processes_of(name).values())


def kill(name: str, kind: str) -> None:
    for pid, what in processes_of(name).items():
        if what == kind:
            os.kill(pid, signal.SIGKILL)


def test_starter_is_killed_and_its_successors_adopt(cluster_of: Make, tmp_path: Path) -> None:
    """Kill the start while the cluster starts; then two others at once: there is one cluster, and they agree on it."""
    cluster = cluster_of("wall-killed-1")
    first = starting(tmp_path, cluster.name)
    until(lambda: "watchdog" in kinds(cluster.name), 300)
    first.kill()
    first.communicate()
    others = [starting(tmp_path, cluster.name) for _ in range(2)]
    masters = {other.communicate()[0] for other in others}
    assert masters == {f"{cluster.ensure()['master']}\n"}
    assert kinds(cluster.name) == ["master", "watchdog", "worker"]
    assert cluster.state() is ClusterState.RUNNING
    (found,) = open_fleet({"type": "spark"}, site_of(tmp_path)).list()
    assert (found.name, found.state, found.owner) == (cluster.name, ClusterState.RUNNING, cluster.site.owner)

    # Stopped by another process than any of those that started it, twice.
    assert cluster.delete() == Deleted(ended=(cluster.name,))
    until(lambda: kinds(cluster.name) == [], 20)  # the watchdog lets go of its lock just before it ends
    assert cluster.delete() == Deleted()
    assert cluster.state() is None
    with pytest.raises(ClusterError, match="is not running"):
        cluster.run(job_of(tmp_path), {}, print)


def test_creators_at_once_make_one(cluster_of: Make, tmp_path: Path) -> None:
    cluster = cluster_of("wall-creators-1")
    creators = [starting(tmp_path, cluster.name) for _ in range(3)]
    assert len({creator.communicate()[0] for creator in creators}) == 1
    assert kinds(cluster.name) == ["master", "watchdog", "worker"]

    # The watchdog is killed: the kernel ends its master and its worker, and the next start makes another.
    kill(cluster.name, "watchdog")
    until(lambda: kinds(cluster.name) == [], 10)
    assert cluster.state() is ClusterState.BROKEN
    left = Path((state.read(cluster.document) or {})["scratch"])
    assert left.is_dir()
    with pytest.raises(ClusterError, match="is not running"):
        cluster.run(job_of(tmp_path), {}, print)
    assert cluster.ensure()["workers"] == 1
    assert not left.exists()
    assert kinds(cluster.name) == ["master", "watchdog", "worker"]

    # A worker dies for good: the watchdog ends the rest, and says why.
    kill(cluster.name, "worker")
    until(lambda: kinds(cluster.name) == [], 20)
    with pytest.raises(Interrupted, match="Spark's worker-1 was killed by SIGKILL"):
        cluster.run(job_of(tmp_path), {}, print)


def test_task_is_killed_and_nothing_works_on(cluster_of: Make, tmp_path: Path) -> None:
    """The task that waits for a job dies by SIGKILL: its driver dies with it, and with the driver its executors."""
    (tmp_path / "slow.py").write_text(SLOW)
    DeltaStore(tmp_path / "lake").replace_slice("bronze/x", _rows(), slice_id=SLICE.id, number=SLICE.number)
    cluster = cluster_of("wall-task-1")
    cluster.ensure()
    document = job_of(tmp_path, target="silver/x", inputs={"x": "bronze/x"}, entrypoint="slow:slow")
    program = (
        f"import sys, json, pytest; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nfrom spark_clusters import SMALL, site_of\n"
        "from airflow_wall.clusters.kinds.spark import SparkCluster\n"
        f"SparkCluster({cluster.name!r}, SMALL, site_of(Path({str(tmp_path)!r}))).run(json.load(sys.stdin), {{}}, print)\n"
    )
    task = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert task.stdin is not None
    task.stdin.write(json.dumps(document))
    task.stdin.close()
    until(lambda: "executor" in kinds(cluster.name), 300)
    task.kill()
    task.wait()
    until(lambda: kinds(cluster.name) == ["master", "watchdog", "worker"], 20)

    # The cluster ends while a job runs: the job ends too, and says that.
    errors: list[BaseException] = []

    def work() -> None:
        try:
            cluster.run(document, {}, lambda line: None)
        except BaseException as error:
            errors.append(error)

    working = threading.Thread(target=work)
    working.start()
    until(lambda: "executor" in kinds(cluster.name), 300)
    cluster.delete()
    working.join(60)
    assert [type(error) for error in errors] == [ClusterError]
    assert "is not running" in str(errors[0])
    until(lambda: kinds(cluster.name) == [], 20)


def test_whole_job_ends_with_its_executor_and_with_its_task(cluster_of: Make, tmp_path: Path) -> None:
    """An executor does a whole job in a process of its own: kill either side, and the job is over, and said to be."""
    (tmp_path / "trains.py").write_text(TRAINS)
    DeltaStore(tmp_path / "lake").replace_slice("bronze/x", _rows(), slice_id=SLICE.id, number=SLICE.number)
    cluster = cluster_of("wall-whole-1")
    cluster.ensure()
    step = {"entrypoint": "trains:train", "inputs": {"rows": "bronze/x"}, "model": "m"}
    document = Job("retrain", step, run_of(tmp_path, "train")).to_json()

    def killed(whom: Callable[[], int]) -> BaseException:
        errors: list[BaseException] = []
        lines: list[str] = []

        def work() -> None:
            try:
                cluster.run(document, {}, lines.append)
            except BaseException as error:
                errors.append(error)

        working = threading.Thread(target=work)
        working.start()
        until(lambda: "training" in lines, 300)
        assert kinds(cluster.name).count("driver") == 2  # the task's, and the executor's
        os.kill(whom(), signal.SIGKILL)
        working.join(60)
        until(lambda: kinds(cluster.name) == ["master", "watchdog", "worker"], 20)
        (error,) = errors
        return error

    def executor() -> int:
        return next(pid for pid, what in processes_of(cluster.name).items() if what == "executor")

    def driver() -> int:
        return next(pid for pid in processes_of(cluster.name) if parent(pid) == os.getpid())

    error = killed(executor)
    assert isinstance(error, Interrupted)
    assert "Spark lost the work" in str(error)
    error = killed(driver)
    assert isinstance(error, Interrupted)
    assert "the job's process on cluster `wall-whole-1` was killed by signal SIGKILL" in str(error)


def test_start_that_is_overtaken_by_the_stop_makes_no_other(cluster_of: Make, tmp_path: Path) -> None:
    cluster = cluster_of("wall-overtaken-1")
    overtaken = subprocess.Popen(
        [sys.executable, "-c", STARTS, str(tmp_path), cluster.name], stderr=subprocess.PIPE, text=True
    )
    until(lambda: "watchdog" in kinds(cluster.name), 300)
    assert cluster.delete() == Deleted(ended=(cluster.name,))
    assert "cluster `wall-overtaken-1` was stopped while this task waited for it" in overtaken.communicate()[1]
    assert cluster.state() is None
    until(lambda: kinds(cluster.name) == [], 60)


def test_lease_ends(cluster_of: Make, tmp_path: Path) -> None:
    short = cluster_of("wall-lease-1", max_ttl="90m")
    short.ensure()
    (found,) = open_fleet({"type": "spark"}, site_of(tmp_path)).list()
    assert found.lease - found.created == timedelta(minutes=90)
    with state.locked(short.document):  # so much time goes by
        document = state.read(short.document)
        assert document is not None
        state.write(short.document, {**document, "lease": datetime.now(UTC).isoformat()})
    until(lambda: kinds(short.name) == [], 120)
    with pytest.raises(ClusterError, match=r"lease of the cluster has ended \(`cluster.max_ttl: 90m`\)"):
        short.run(job_of(tmp_path), {}, print)
    fleet = open_fleet({"type": "spark"}, site_of(tmp_path))
    (listed,) = fleet.list()
    assert listed.state is ClusterState.BROKEN
    fleet.end(listed)
    assert fleet.list() == []


def test_frozen_watchdog_is_ended_with_its_cluster(cluster_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_wall.clusters.kinds import spark

    monkeypatch.setattr(spark, "ENDING", 1.0)
    cluster = cluster_of("wall-frozen-1")
    cluster.ensure()
    for pid, what in processes_of(cluster.name).items():
        if what == "watchdog":
            os.kill(pid, signal.SIGSTOP)
    assert cluster.delete() == Deleted(ended=(cluster.name,))
    until(lambda: kinds(cluster.name) == [], 10)


def test_port_in_use(cluster_of: Make) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cluster = cluster_of("wall-port-1", port=port)
        with pytest.raises(ClusterError) as error:
            cluster.ensure()
    assert str(error.value) == (
        f"`cluster.host: 127.0.0.1`, `cluster.port: {port}`: Spark's master cannot listen there: "
        "another process uses the port\n\nhint: set another port, or remove `port` to use any free one"
    )
    until(lambda: kinds(cluster.name) == [], 20)  # it says why before it has gone


def _rows() -> object:
    import pyarrow as pa

    return pa.table({"a": [1, 2, 2], "s": ["x", "y", "y"]})


def test_two_clusters_run_side_by_side_on_one_machine(cluster_of: Make) -> None:
    clusters = [cluster_of("wall-one-1"), cluster_of("wall-two-1")]
    for cluster in clusters:
        cluster.ensure()
    assert [cluster.state() for cluster in clusters] == [ClusterState.RUNNING, ClusterState.RUNNING]

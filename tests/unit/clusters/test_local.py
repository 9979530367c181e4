"""The local cluster runs jobs in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.clusters.backends import open_cluster, open_fleet
from airflow_wall.clusters.base import Deleted, Owner, Site, State, cluster_name
from airflow_wall.clusters.local import LocalCluster
from airflow_wall.errors import ClusterError, DataError, Interrupted
from airflow_wall.jobs.document import Job, Run, Slice


def job(folder: Path, **arguments: Any) -> dict[str, Any]:
    run = Run(
        "churn",
        "manual",
        "load",
        1,
        Slice("20130701T000000Z", "2013-07-01T00:00:00+00:00"),
        folder / "lake",
        folder,
        folder,
    )
    return Job("ingest", {"source": "landing", "target": "bronze/a", **arguments}, run).to_json()


def site(folder: Path) -> Site:
    return Site(folder / "lake" / "_wall", Owner("", "churn", "manual"), lambda kind, config: pytest.fail(kind))


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    made = LocalCluster("wall-churn-1", {"type": "local", "threads": 1}, site(tmp_path))
    made.ensure()
    return made


def test_job_runs_and_its_log_comes_back(cluster: LocalCluster, tmp_path: Path) -> None:
    landing = tmp_path / "lake" / "landing"
    landing.mkdir(parents=True)
    (landing / "a.csv").write_text("x,y\n1,a\n2,b\n")
    lines: list[str] = []
    result = cluster.run(job(tmp_path), {}, lines.append)
    assert result["rows"] == 2
    assert any("bronze/a" in line for line in lines)


def test_error_of_a_job_comes_back_as_it_was(cluster: LocalCluster, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="`source`"):
        cluster.run(job(tmp_path), {}, lambda _: None)


def test_cluster_is_adopted_not_made_twice(cluster: LocalCluster, tmp_path: Path) -> None:
    before = cluster.document.read_bytes()
    assert LocalCluster(cluster.name, {"type": "local", "threads": 1}, site(tmp_path)).ensure() == {
        "type": "local",
        "name": "wall-churn-1",
        "threads": 1,
        "memory": "2GB",
    }
    assert cluster.document.read_bytes() == before


def test_stopped_cluster_takes_no_job(cluster: LocalCluster, tmp_path: Path) -> None:
    assert cluster.state() is State.RUNNING
    assert cluster.delete() == Deleted(ended=("wall-churn-1",))
    assert cluster.delete() == Deleted()
    assert cluster.state() is None
    with pytest.raises(ClusterError) as error:
        cluster.run(job(tmp_path), {}, lambda _: None)
    assert str(error.value) == (
        "cluster `wall-churn-1` is not running\n\nhint: clear the `start_cluster` task of this run, with the tasks after it"
    )


def test_killed_job_can_be_tried_again(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "lake" / "landing").mkdir(parents=True)
    (tmp_path / "lake" / "landing" / "a.csv").write_text("x\n1\n")
    cluster.run(job(tmp_path), {}, lambda _: None)
    (tmp_path / "killed.py").write_text(
        "import os, pathlib, signal\n"
        "def once(rows):\n"
        "    begun = pathlib.Path(__file__).with_suffix('.begun')\n"
        "    if not begun.exists():\n"
        "        begun.touch()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return rows\n"
    )
    arguments = {"entrypoint": "killed:once", "inputs": {"rows": "bronze/a"}, "target": "silver/a"}
    killed = {**job(tmp_path), "kind": "transform", "arguments": arguments}
    with pytest.raises(Interrupted) as error:
        cluster.run(killed, {}, lambda _: None)
    assert str(error.value) == (
        "the job's process on cluster `wall-churn-1` was killed by signal SIGKILL\n\n"
        "hint: its last lines are in the task's log; SIGKILL often means that memory ran out: raise the worker's limit"
    )
    assert cluster.run(killed, {}, lambda _: None)["rows"] == 1


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def test_job_dies_with_the_task_that_waits_for_it() -> None:
    program = (
        "import subprocess\n"
        "from airflow_wall.processes import dying_with_parent\n"
        "child = subprocess.Popen(['sleep', '600'], preexec_fn=dying_with_parent())\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    waiting = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert waiting.stdout is not None
    pid = int(waiting.stdout.readline())
    waiting.kill()
    waiting.wait()
    waiting.stdout.close()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and "sleep" in command(pid):
        assert time.monotonic() < deadline, "the job outlived its task"
        time.sleep(0.02)


def test_names_are_computed_from_the_run() -> None:
    run = Owner("production", "Platform Scores!", "manual__2013")
    name = cluster_name(run, "start")
    assert name == cluster_name(run, "start")
    assert name.startswith("wall-platform-scores-")
    others = [replace(run, run_id="manual__2014"), replace(run, deployment="staging")]
    assert len({name, cluster_name(run, "b"), *(cluster_name(other, "start") for other in others)}) == 4
    assert len(cluster_name(replace(run, pipeline="x" * 200), "t")) <= 51


def test_unknown_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError) as error:
        open_cluster("c", {"type": "emrr"}, site(tmp_path))
    assert str(error.value) == (
        "`cluster.type` must be one of `local`, `spark`, `emr`, `dataproc`, got `emrr`\n\n"
        "hint: write e.g. `cluster: {type: local}`"
    )


def test_forgotten_clusters_are_listed_for_the_reaper(cluster: LocalCluster, tmp_path: Path) -> None:
    fleet = open_fleet({"type": "local"}, site(tmp_path))
    (found,) = fleet.list()
    assert (found.name, found.state, found.owner) == (cluster.name, State.RUNNING, cluster.site.owner)
    assert found.lease - found.created == timedelta(hours=24)
    fleet.end(replace(found, id="of an earlier one"))
    assert cluster.state() is State.RUNNING
    fleet.end(found)
    assert list(fleet.list()) == []
    fleet.end(found)

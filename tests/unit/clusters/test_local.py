"""
The local cluster runs each job in its own process.

Waits for: processes of jobs that start, hang and are killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.cli.job_server import serve_jobs
from airflow_wall.clusters.backends import open_cluster, open_fleet
from airflow_wall.clusters.base import ClusterSite, ClusterState, Deleted, Owner, cluster_name
from airflow_wall.clusters.kinds.local import LocalCluster
from airflow_wall.environments.warm import VARIABLE
from airflow_wall.errors import ClusterError, DataError, Interrupted
from airflow_wall.job import Job, Run, Slice
from airflow_wall.lake.lake import Lake

CONFIG = {"type": "local", "threads": 1}


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


def site(folder: Path) -> ClusterSite:
    return ClusterSite(Lake(folder / "lake"), Owner("", "churn", "manual"), lambda kind, config: pytest.fail(kind))


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    local_cluster = LocalCluster("wall-churn-1", CONFIG, site(tmp_path))
    local_cluster.ensure()
    return local_cluster


@pytest.fixture(params=["by itself", "from a server"])
def how(request: pytest.FixtureRequest) -> Iterator[str]:
    """A job's process starts by itself, or is forked by the server of `airflow-wall run`."""
    with serve_jobs(CONFIG, []) if request.param == "from a server" else contextlib.nullcontext():
        yield request.param


def test_job_runs_and_its_log_comes_back(cluster: LocalCluster, tmp_path: Path, how: str) -> None:
    landing = tmp_path / "lake" / "landing"
    landing.mkdir(parents=True)
    (landing / "a.csv").write_text("x,y\n1,a\n2,b\n")
    lines: list[str] = []
    result = cluster.run(job(tmp_path), {}, lines.append)
    assert result["rows"] == 2
    assert any("bronze/a" in line for line in lines)


def test_error_of_a_job_comes_back_as_it_was(cluster: LocalCluster, tmp_path: Path, how: str) -> None:
    with pytest.raises(DataError, match="`source`"):
        cluster.run(job(tmp_path), {}, lambda _: None)


def test_cluster_is_adopted_not_made_twice(cluster: LocalCluster, tmp_path: Path) -> None:
    document = tmp_path / "lake/_wall/clusters" / f"{cluster.name}.json"
    before = document.read_bytes()
    assert LocalCluster(cluster.name, {"type": "local", "threads": 1}, site(tmp_path)).ensure() == {
        "type": "local",
        "name": "wall-churn-1",
        "threads": 1,
        "memory": "2GB",
    }
    assert document.read_bytes() == before


def test_stopped_cluster_takes_no_job(cluster: LocalCluster, tmp_path: Path) -> None:
    assert cluster.state() is ClusterState.RUNNING
    assert cluster.delete() == Deleted(ended=("wall-churn-1",))
    assert cluster.delete() == Deleted()
    assert cluster.state() is None
    with pytest.raises(ClusterError) as error:
        cluster.run(job(tmp_path), {}, lambda _: None)
    assert str(error.value) == (
        "cluster `wall-churn-1` is not running\n\nhint: clear the `start_cluster` task of this run, with the tasks after it"
    )


def test_killed_job_can_be_tried_again(cluster: LocalCluster, tmp_path: Path, how: str) -> None:
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
        "hint: read its last lines in the task's log; SIGKILL often means out of memory: raise the worker's limit"
    )
    assert cluster.run(killed, {}, lambda _: None)["rows"] == 1


REPORT = """
import os, pathlib, sys, time
def report(rows):
    with open(__file__ + ".txt", "a") as file:
        print(os.getpid(), os.getppid(), os.environ["OMP_NUM_THREADS"], os.getcwd(), "airflow" in sys.modules, file=file)
    while pathlib.Path(__file__ + ".wait").exists():
        time.sleep(0.02)
    return rows
"""
"""A function for a transform: it notes down in which process it runs."""


def reporting(folder: Path, cluster: LocalCluster) -> dict[str, Any]:
    """A job that records its process id."""
    (folder / "lake" / "landing").mkdir(parents=True)
    (folder / "lake" / "landing" / "a.csv").write_text("x\n1\n")
    cluster.run(job(folder), {}, lambda _: None)
    (folder / "noted.py").write_text(REPORT)
    arguments = {"entrypoint": "noted:report", "inputs": {"rows": "bronze/a"}, "target": "silver/a"}
    return {**job(folder), "kind": "transform", "arguments": arguments}


def reports(folder: Path) -> list[list[str]]:
    path = folder / "noted.py.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def test_a_job_from_the_server_has_the_environment_of_its_task_and_no_airflow(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = reporting(tmp_path, cluster)
    with serve_jobs(CONFIG, []):
        monkeypatch.chdir(tmp_path)
        cluster.run(document, {}, lambda _: None)
    cluster.run(document, {}, lambda _: None)
    warm, cold = reports(tmp_path)
    assert warm[2:] == cold[2:] == ["1", str(tmp_path), "False"]
    assert int(cold[1]) == os.getpid() != int(warm[1])  # the server's attendant


def test_the_server_refuses_a_job_with_other_bounds_than_its_own(cluster: LocalCluster, tmp_path: Path) -> None:
    document = reporting(tmp_path, cluster)
    with serve_jobs({"type": "local", "threads": 2}, []):
        cluster.run(document, {}, lambda _: None)
    (result,) = reports(tmp_path)
    assert (result[1], result[2]) == (str(os.getpid()), "1")


def test_a_process_that_did_not_inherit_the_server_starts_jobs_by_itself(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = reporting(tmp_path, cluster)
    for value in ("999:1", "0:1"):  # a descriptor that is closed, and one that is another file
        monkeypatch.setenv(VARIABLE, value)
        cluster.run(document, {}, lambda _: None)
    assert [result[1] for result in reports(tmp_path)] == [str(os.getpid())] * 2


WAITING = """
import json, os, sys
from airflow_wall.cli.job_server import serve_jobs
from airflow_wall.environments.process import run_job_process
from airflow_wall.clusters.kinds.local import limits
config, document = json.loads(sys.argv[1])
with serve_jobs(config, []):
    task = os.fork()
    if task == 0:
        environment = {**os.environ, **limits(config), "PYTHONPATH": os.pathsep.join(sys.path)}
        run_job_process(sys.executable, document, {}, print, environment=environment, name="c")
        os._exit(0)
    print(task, flush=True)
    os.waitpid(task, 0)
    sys.stdin.readline()
"""
"""A command that has a server, and a task that waits for a job."""


@pytest.mark.parametrize("victim", ["task", "attendant", "command"])
def test_a_job_from_the_server_dies_with_whatever_it_hangs_on(
    cluster: LocalCluster, tmp_path: Path, victim: str
) -> None:
    document = reporting(tmp_path, cluster)
    (tmp_path / "noted.py.wait").touch()
    program = [sys.executable, "-c", WAITING, json.dumps([CONFIG, document])]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        task = int(command.stdout.readline())
        wait_for(lambda: reports(tmp_path), "the job did not begin")
        pid, attendant = map(int, reports(tmp_path)[0][:2])
        assert Path(f"/proc/{pid}/comm").read_text() == f"job-{task}\n"
        os.kill({"task": task, "attendant": attendant, "command": command.pid}[victim], signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the job outlived it")
        command.kill()


def wait_for(happened: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def test_job_dies_with_the_task_that_waits_for_it() -> None:
    program = (
        "import subprocess\n"
        "from airflow_wall.processes.lifetime import dying_with_parent\n"
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
        "`cluster.type` must be one of `dataproc`, `emr`, `local`, `spark`, got `emrr`\n\nhint: did you mean `emr`?"
    )


def test_forgotten_clusters_are_listed_for_the_reaper(cluster: LocalCluster, tmp_path: Path) -> None:
    fleet = open_fleet({"type": "local"}, site(tmp_path))
    (listed,) = fleet.list()
    assert (listed.name, listed.state, listed.owner) == (cluster.name, ClusterState.RUNNING, cluster.site.owner)
    assert listed.lease - listed.created == timedelta(hours=24)
    fleet.end(replace(listed, id="of an earlier one"))
    assert cluster.state() is ClusterState.RUNNING
    fleet.end(listed)
    assert list(fleet.list()) == []
    fleet.end(listed)

"""
Other people can write to a lake, so a document there affects only the cluster of its own name.

Each test has a control: the same deed with a document that is what it says.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cluster_runs import CONFIGS, Run
from fake_clouds import FakeEmr, VirtualClock

from airflow_wall import state
from airflow_wall.clusters.backends import open_fleet
from airflow_wall.clusters.base import ClusterSite, Owner, cluster_name
from airflow_wall.clusters.emr_request import request_of
from airflow_wall.clusters.kinds import spark
from airflow_wall.clusters.kinds.spark import SparkCluster
from airflow_wall.clusters.remote import job_of
from airflow_wall.clusters.spark_scratch import Scratch
from airflow_wall.clusters.spark_watchdog import MODULE, watchdog_lock
from airflow_wall.errors import ClusterError, Interrupted, WallError
from airflow_wall.lake.lake import Lake
from airflow_wall.processes.lifetime import Identity

NAME = "wall-orders-0123456789ab"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this test alone."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def site(tmp_path: Path) -> ClusterSite:
    return ClusterSite(Lake(tmp_path / "lake"), Owner("", "sweep", "r"), lambda kind, config: pytest.fail(kind))


def document(**values: Any) -> dict[str, Any]:
    return {
        "type": "spark",
        "name": NAME,
        "id": uuid.uuid4().hex,
        "state": "running",
        "watchdog": None,
        "owner": {"deployment": "", "pipeline": "nobody", "run_id": "r"},
        "started": "2020-01-01T00:00:00+00:00",
        "lease": "2020-01-02T00:00:00+00:00",
        **values,
    }


def sweep(site: ClusterSite, kind: str = "spark") -> list[str]:
    """End every listed cluster, as the reaper does, and return their names."""
    fleet = open_fleet({"type": kind}, site)
    cluster = fleet.list()
    for each in cluster:
        fleet.end(each)
    return [each.name for each in cluster]


def test_folder_that_a_document_names_is_not_removed(site: ClusterSite, tmp_path: Path) -> None:
    victim = tmp_path / "victim" / "precious"
    victim.mkdir(parents=True)
    path = site.state / "clusters" / f"{NAME}.json"
    written = document(scratch=str(victim))
    state.write(path, written)
    ours = Scratch(path, written["id"])
    ours.make()
    assert sweep(site) == [NAME]
    assert victim.exists()
    assert not ours.path.exists()
    assert not path.exists()


@pytest.mark.parametrize("mark", [None, "another\n"])
def test_folder_of_the_computed_name_without_the_mark_is_not_removed(site: ClusterSite, mark: str | None) -> None:
    path = site.state / "clusters" / f"{NAME}.json"
    written = document()
    state.write(path, written)
    folder = Scratch(path, written["id"]).path
    folder.mkdir()
    if mark is not None:
        (folder / ".airflow-wall-cluster").write_text(mark)
    assert sweep(site) == [NAME]
    assert folder.exists()
    with pytest.raises(ClusterError, match="exists and does not belong to this cluster"):
        Scratch(path, written["id"]).make()


@pytest.mark.parametrize(
    "values",
    [
        {"name": "../../../victim"},
        {"name": "/victim"},
        {"name": "wall-another-0123456789ab"},
        {"id": "1"},
        {"id": "../../../../victim/precious/0000"},
        {"owner": "me"},
        {"lease": "never"},
        {"lease": "2020-01-02T00:00:00"},
        {"watchdog": {"machine": "m", "pid": "all", "began": 1}},
        {"state": "unheard of"},
    ],
)
def test_document_that_is_not_one_is_passed_over(site: ClusterSite, values: dict[str, Any]) -> None:
    folder = site.state / "clusters"
    state.write(folder / f"{NAME}.json", document(**values))
    (folder / "broken.json").write_text("[]")
    sound = "wall-sound-0123456789ab"
    state.write(folder / f"{sound}.json", document(name=sound))
    assert sweep(site) == [sound]


@pytest.mark.parametrize("linked", ["_wall", "_wall/clusters", f"_wall/clusters/{NAME}.json"])
def test_link_out_of_the_lake_is_not_followed(site: ClusterSite, linked: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    real = other / linked
    state.write(other / "_wall" / "clusters" / f"{NAME}.json", document())
    link = tmp_path / "lake" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    assert sweep(site) == []
    assert (other / "_wall" / "clusters" / f"{NAME}.json").exists()
    link.unlink()
    real.rename(link)
    assert sweep(site) == [NAME]


def test_folder_of_logs_that_is_a_link_is_left(site: ClusterSite, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    clusters = site.state / "clusters"
    state.write(clusters / f"{NAME}.json", document())
    (clusters / NAME).symlink_to(victim)
    (victim / "precious").touch()
    assert sweep(site) == [NAME]
    assert (victim / "precious").exists()
    assert not state.remove_folder(clusters / ".." / ".." / ".." / "victim", site.state.parent)
    state.write(clusters / f"{NAME}.json", document())
    (clusters / NAME).unlink()
    (clusters / NAME).mkdir()
    sweep(site)
    assert not (clusters / NAME).exists()


@pytest.fixture
def sleeper() -> Iterator[Any]:
    """Starts a process that sleeps, with more words in its command line."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        program = "import sys, time; print(flush=True); time.sleep(600)"
        process = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("is_watchdog", [False, True])
def test_only_the_watchdog_of_the_document_is_killed(
    site: ClusterSite, is_watchdog: bool, sleeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "ENDING", 0.0)
    path = site.state / "clusters" / f"{NAME}.json"
    other = path.with_name("wall-another-0123456789ab.json")
    process = sleeper(MODULE, str(path if is_watchdog else other))
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    identity = Identity(Identity.of_this_process().machine, process.pid, int(fields[19])).to_json()
    state.write(path, document(watchdog=identity))
    state.write(path.with_suffix("") / "watchdog.json", {"watchdog": identity})
    cluster = SparkCluster(NAME, {"type": "spark"}, site)
    with watchdog_lock(path), pytest.raises(Interrupted, match="has not ended yet"):
        cluster.delete()
    if is_watchdog:
        assert process.wait(5) == -signal.SIGKILL
    else:
        assert process.poll() is None


@pytest.mark.parametrize("watchdog", [None, 7, {}, {"machine": 1, "pid": -1, "began": 0}, {"pid": "x"}])
def test_note_of_a_watchdog_that_is_not_one_kills_nothing(
    site: ClusterSite, watchdog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "ENDING", 0.0)
    path = site.state / "clusters" / f"{NAME}.json"
    if isinstance(watchdog, dict) and "machine" in watchdog:
        watchdog["machine"] = Identity.of_this_process().machine
    state.write(path.with_suffix("") / "watchdog.json", {"watchdog": watchdog})
    with watchdog_lock(path), pytest.raises(Interrupted, match="has not ended yet"):
        SparkCluster(NAME, {"type": "spark"}, site).delete()


def test_jobs_are_not_sent_to_the_master_that_a_document_names(site: ClusterSite) -> None:
    master = "spark://spark.example:7077"
    config = {"type": "spark", "master": master}
    path = site.state / "clusters" / f"{NAME}.json"
    state.write(path, document(master="spark://evil.example:7077", ui="http://evil.example:1", python="/tmp/evil"))
    for cluster_config in (config, {"type": "spark"}):
        cluster = SparkCluster(NAME, cluster_config, site)
        with pytest.raises(ClusterError, match=r"names the master `spark://evil\.example:7077`"):
            cluster._require_running()
        assert cluster.links() == {}
    state.write(path, document(master=master))
    assert SparkCluster(NAME, config, site)._require_running().master == master


def test_watchdog_is_started_with_what_the_configuration_says(
    site: ClusterSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.state / "clusters" / f"{NAME}.json"
    forged = {"spark_home": "/evil", "host": "0.0.0.0", "scratch": "/victim", "lease": "2999-01-01T00:00:00+00:00"}
    state.write(path, document(state="starting", **forged))
    started: list[list[str]] = []
    monkeypatch.setattr(spark.subprocess, "run", lambda command, **_: started.append(command))
    cluster = SparkCluster(NAME, {"type": "spark", "max_ttl": "PT1H"}, site)
    document_read = cluster._read()
    assert document_read is not None
    cluster._launch(document_read, Path("/spark"))
    settings = json.loads(started[0][-1])
    assert (settings["spark_home"], settings["host"]) == ("/spark", "127.0.0.1")
    assert settings["lease"] < (site.clock.now() + timedelta(hours=2)).isoformat()
    assert "/victim" not in " ".join(started[0])


def test_cluster_of_another_name_is_not_ended_by_the_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("emr", FakeEmr(VirtualClock()), tmp_path, monkeypatch)
    other = run.cloud("run_job_flow", **request_of("wall-other-1", CONFIGS["emr"], run.site.owner))["JobFlowId"]
    pin = run.site.state / "clusters" / f"{cluster_name(run.site.owner, 'start')}.json"
    state.write(pin, {"id": other})
    run.task("start", None)
    run.task("work", "start")
    run.task("stop", None)
    assert run.states["stop"] == "success", run.errors
    assert [each.id for each in run.cloud.alive] == [other]
    assert other not in run.cloud.used


def test_job_id_that_the_task_did_not_give_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "_wall" / "jobs" / NAME
    task = "work"
    place = folder / hashlib.sha256(task.encode()).hexdigest()[:10]
    for forged in ("../../../victim", "wall-other-1-abc-01234567", f"{NAME}-{place.name}-../0123"):
        state.write(place / "current.json", {"id": forged, "asked": "x"})
        assert job_of(folder, task) is None
    state.write(place / "current.json", {"id": f"{NAME}-{place.name}-01234567", "asked": "x"})
    assert job_of(folder, task) == f"{NAME}-{place.name}-01234567"


def test_scratch_of_another_user_is_not_used(site: ClusterSite, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = Scratch(site.state / "clusters" / f"{NAME}.json", uuid.uuid4().hex)
    scratch.make()
    assert scratch.make() == scratch.path
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(ClusterError):
        scratch.make()
    scratch.remove()
    assert scratch.path.exists()


@pytest.mark.parametrize("name", [f"clusters/.{NAME}.watchdog.lock", f"clusters/{NAME}/watchdog.log"])
def test_file_is_not_written_through_a_link(
    site: ClusterSite, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark.subprocess, "run", lambda *_, **__: None)
    path = site.state / "clusters" / f"{NAME}.json"
    state.write(path, document(state="starting"))
    victim = tmp_path / "victim"
    link = site.state / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim)
    cluster = SparkCluster(NAME, {"type": "spark"}, site)
    listed = cluster._read()
    assert listed is not None

    def write() -> None:
        with watchdog_lock(path):
            cluster._launch(listed, Path("/spark"))

    with pytest.raises(WallError, match="got a symbolic link"):
        write()
    assert not victim.exists()
    link.unlink()
    write()
    assert link.exists()

"""Dataproc by Airflow's own hook and Google's client, over gRPC and TLS."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.lake.lake import Lake

pytest.importorskip("airflow.providers.google", reason="make clouds installs it")
pytest.importorskip("grpc", reason="make clouds installs it")

import grpc
from cluster_python import PYTHON
from google_server import World

from airflow_wall.clusters.backends import open_cluster, open_fleet
from airflow_wall.clusters.base import Cluster, ClusterSite, ClusterState, Owner
from airflow_wall.errors import ClusterError, ConnectionFault, Interrupted, WallError
from airflow_wall.hooks.clients import open_client

NAME = "wall-churn-0123456789ab"
CONFIG = {
    "type": "dataproc",
    "region": "europe-west1",
    "conn_id": "wall_google",
    "image": "2.3-debian12",
    "workers": {"count": 4, "spot": "50%"},
    "idle_ttl": "PT20M",
    "max_ttl": "PT6H",
    "labels": {"team": "analytics"},
    "python": PYTHON,
}


@pytest.fixture
def world(google_world: World) -> World:
    return google_world


def site(folder: Path) -> ClusterSite:
    return ClusterSite(Lake(folder / "lake"), Owner("test", "churn", "manual__2013-07-01T00:00:00+00:00"), open_client)


def cluster(folder: Path, **more: Any) -> Cluster:
    return open_cluster(NAME, {**CONFIG, **more}, site(folder))


def test_a_cluster_is_created_adopted_and_deleted(world: World, tmp_path: Path) -> None:
    one = cluster(tmp_path)
    assert one.state() is None
    described = one.ensure()
    assert cluster(tmp_path).ensure() == described == {"type": "dataproc", "name": NAME, "region": "europe-west1"}
    assert world.created == [NAME]
    assert one.state() is ClusterState.RUNNING
    deleted = one.delete()
    assert deleted.ended == (NAME,)
    assert deleted.node_hours is not None
    assert 0 < deleted.node_hours < 0.1
    assert world.clusters == {}
    assert one.delete().ended == ()


def test_what_is_asked_for_ends_itself_and_says_whose_it_is(world: World, tmp_path: Path) -> None:
    cluster(tmp_path).ensure()
    made = world.clusters[NAME]
    life = made.config.lifecycle_config
    assert (life.idle_delete_ttl, life.auto_delete_ttl) == (timedelta(minutes=20), timedelta(hours=6))
    assert (made.config.worker_config.num_instances, made.config.secondary_worker_config.num_instances) == (2, 2)
    labels = dict(made.labels)
    assert labels.pop("airflow-version").startswith("v")  # Airflow's own
    assert labels == {
        "team": "analytics",
        "airflow-wall": "test",
        "airflow-wall-name": NAME,
        "airflow-wall-dag": "churn",
    }


def test_the_fleet_says_whose_clusters_there_are(world: World, tmp_path: Path) -> None:
    cluster(tmp_path).ensure()
    open_cluster("wall-other-0123456789ab", CONFIG, site(tmp_path)).ensure()
    fleet = open_fleet(CONFIG, site(tmp_path))
    found = {each.name: each for each in fleet.list()}
    assert set(found) == {NAME, "wall-other-0123456789ab"}
    ours = found[NAME]
    assert (ours.owner, ours.state, ours.nodes) == (site(tmp_path).owner, ClusterState.RUNNING, 5)
    assert ours.lease - ours.created == timedelta(hours=6)
    fleet.end(ours)
    assert world.alive == ["wall-other-0123456789ab"]


def test_a_job_runs_on_the_cluster_and_its_log_comes_back(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    one = cluster(tmp_path)
    one.ensure()
    lines: list[str] = []
    assert one.run(job, {}, lines.append)["rows"] == 2
    assert any("bronze/a" in line for line in lines), lines
    assert len(world.jobs) == 1
    one.delete()
    assert not (tmp_path / "lake/_wall/jobs" / NAME).exists()


def test_the_error_of_a_job_comes_back_as_it_was(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    one = cluster(tmp_path)
    one.ensure()
    wrong = {**job, "arguments": {**job["arguments"], "source": "nowhere"}}
    with pytest.raises(WallError, match="`source`"):
        one.run(wrong, {}, lambda line: None)
    assert one.run(job, {}, lambda line: None)["rows"] == 2  # mended and cleared: another job


def test_an_answer_that_is_lost_has_nothing_done_twice(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    world.lose = lambda method, number: number == 1 and method in ("CreateCluster", "SubmitJob", "DeleteCluster")
    one = cluster(tmp_path)
    one.ensure()
    assert one.run(job, {}, lambda line: None)["rows"] == 2
    one.delete()
    assert world.created == [NAME]
    assert len(world.jobs) == 1
    assert world.clusters == {}


def test_two_that_start_it_at_once_have_one(world: World, tmp_path: Path) -> None:
    threads = [threading.Thread(target=cluster(tmp_path).ensure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.created == [NAME]


def test_a_start_waits_until_the_last_one_of_its_name_is_gone(world: World, tmp_path: Path) -> None:
    one = cluster(tmp_path)
    one.ensure()
    fleet = open_fleet(CONFIG, site(tmp_path))
    fleet.end(fleet.list()[0])
    one.ensure()
    assert world.created == [NAME, NAME]
    assert one.state() is ClusterState.RUNNING


def test_a_creation_that_fails_tells_why_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    world.fails = "Insufficient 'CPUS' quota. Requested 16.0, available 4.0."
    with pytest.raises(Interrupted) as error:
        cluster(tmp_path).ensure()
    assert str(error.value) == (
        "`cluster`: could not start cluster `wall-churn-0123456789ab`: dataproc: Insufficient 'CPUS' quota. Requested "
        "16.0, available 4.0.\n\nhint: the task is retried, as other clusters may end; or lower "
        "`cluster.workers`, or raise the quota"
    )
    assert world.alive == []


@pytest.mark.parametrize(
    ("code", "words", "kind", "message"),
    [
        (
            grpc.StatusCode.INVALID_ARGUMENT,
            "Selected software image version 2.3-debian12 can no longer be used",
            ClusterError,
            "`cluster.image: 2.3-debian12`: could not start cluster `wall-churn-0123456789ab`: dataproc: Selected "
            "software image version 2.3-debian12 can no longer be used\n\n"
            "hint: correct this key, or the resource that it names in the cloud, and clear this task",
        ),
        (
            grpc.StatusCode.PERMISSION_DENIED,
            "Not authorized to requested resource: dataproc.clusters.create",
            ConnectionFault,
            "connection `wall_google` (`cluster.conn_id`) may not start cluster `wall-churn-0123456789ab`: dataproc: "
            "Not authorized to requested resource: dataproc.clusters.create\n\n"
            "hint: grant the role of the connection this right, or name another connection; then clear this task",
        ),
    ],
)
def test_a_refusal_names_the_key_and_the_clouds_reason(
    world: World, tmp_path: Path, code: grpc.StatusCode, words: str, kind: type[WallError], message: str
) -> None:
    world.refuse = lambda method, request: (code, words) if method == "CreateCluster" else None
    with pytest.raises(kind) as error:
        cluster(tmp_path).ensure()
    assert str(error.value) == message


def test_stopped_task_cancels_its_job(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    one = cluster(tmp_path)
    one.ensure()

    class Stopped(Interrupted):
        pass

    one.site.clock.sleep = lambda seconds: (_ for _ in ()).throw(Stopped("the task is stopped"))  # type: ignore[attr-defined]
    with pytest.raises(Stopped):
        one.run(job, {}, lambda line: None)
    (left,) = world.jobs.values()
    assert left.cancelled
    assert left.process.poll() is not None


def test_a_lost_job_says_what_the_cluster_must_see(
    world: World, tmp_path: Path, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_wall.clusters import remote

    monkeypatch.setattr(remote, "LATE", timedelta(seconds=0.3))
    one = cluster(tmp_path, python="/bin/false")
    one.ensure()
    with pytest.raises(Interrupted) as error:
        one.run(job, {}, lambda line: None)
    assert "has failed and left no answer in" in str(error.value)
    assert "Job failed with exit code 1" in str(error.value)
    assert "`storage` must be a directory that the worker and the cluster both mount at the same path" in str(
        error.value
    )


def test_undefined_connection_is_reported(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConnectionFault, match=r"`cluster\.conn_id`: .*elsewhere"):
        cluster(tmp_path, conn_id="elsewhere")

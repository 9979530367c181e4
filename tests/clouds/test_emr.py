"""EMR by Airflow's own hook and boto3, over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.lake.lake import Lake

pytest.importorskip("moto", reason="make clouds installs it")
pytest.importorskip("airflow.providers.amazon", reason="make clouds installs it")

from cluster_python import PYTHON
from emr_server import REGION, World, emr

from airflow_wall.clusters.backends import open_cluster, open_fleet
from airflow_wall.clusters.base import Cluster, ClusterSite, ClusterState, Owner
from airflow_wall.clusters.kinds import emr as backend
from airflow_wall.errors import ClusterError, ConnectionFault, Interrupted, WallError
from airflow_wall.hooks.clients import open_client

NAME = "wall-churn-0123456789ab"
CONFIG = {
    "type": "emr",
    "region": REGION,
    "conn_id": "wall_aws",
    "image": "emr-7.9.0",
    "workers": {"count": 4, "spot": "50%"},
    "idle_ttl": "PT20M",
    "max_ttl": "PT6H",
    "labels": {"team": "analytics"},
    "python": PYTHON,
}


@pytest.fixture(scope="module")
def server() -> Iterator[World]:
    with emr() as world:
        yield world


@pytest.fixture
def world(server: World, monkeypatch: pytest.MonkeyPatch, quick: None) -> World:
    from moto.emr.models import emr_backends

    emr_backends.reset()
    server.requests.clear()
    server.after = lambda operation, number: True
    server.refuse = lambda operation: None
    server.visible_after = 0.0
    connection = {"conn_type": "aws", "login": "key", "password": "s3cr3t", "extra": {"endpoint_url": server.url}}
    monkeypatch.setenv("AIRFLOW_CONN_WALL_AWS", json.dumps(connection))
    return server


def site(folder: Path) -> ClusterSite:
    return ClusterSite(Lake(folder / "lake"), Owner("test", "churn", "manual__2013-07-01T00:00:00+00:00"), open_client)


def cluster(folder: Path, **more: Any) -> Cluster:
    return open_cluster(NAME, {**CONFIG, **more}, site(folder))


def test_a_cluster_is_created_adopted_and_ended(world: World, tmp_path: Path) -> None:
    one = cluster(tmp_path)
    assert one.state() is None
    described = one.ensure()
    assert cluster(tmp_path).ensure() == described
    assert len(world.asked("RunJobFlow")) == 1
    assert one.state() is ClusterState.RUNNING
    deleted = one.delete()
    assert deleted.ended == (described["id"],)
    assert deleted.node_hours is not None
    assert world.alive == []
    assert one.state() is None
    assert one.delete().ended == ()


def test_what_is_asked_for_ends_itself_and_says_whose_it_is(world: World, tmp_path: Path) -> None:
    cluster(tmp_path).ensure()
    (request,) = world.asked("RunJobFlow")
    assert request["AutoTerminationPolicy"] == {"IdleTimeout": 1200}
    assert request["Instances"]["TerminationProtected"] is False
    groups = [
        (group["InstanceRole"], group["InstanceCount"], group["Market"])
        for group in request["Instances"]["InstanceGroups"]
    ]
    assert groups == [("MASTER", 1, "ON_DEMAND"), ("CORE", 2, "ON_DEMAND"), ("TASK", 2, "SPOT")]
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert tags == {
        "team": "analytics",
        "airflow-wall-name": NAME,
        "airflow-wall-deployment": "test",
        "airflow-wall-dag": "churn",
        "airflow-wall-run": "manual__2013-07-01T00:00:00+00:00",
        "airflow-wall-lease": "21600",
    }


def test_the_fleet_says_whose_clusters_there_are(world: World, tmp_path: Path) -> None:
    cluster(tmp_path).ensure()
    fleet = open_fleet(CONFIG, site(tmp_path))
    (found,) = fleet.list()
    assert (found.name, found.owner, found.state) == (NAME, site(tmp_path).owner, ClusterState.RUNNING)
    assert found.lease - found.created == timedelta(hours=6)
    fleet.end(found)
    assert list(fleet.list()) == []
    assert world.alive == []


def test_a_job_runs_on_the_cluster_and_its_log_comes_back(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    one = cluster(tmp_path)
    one.ensure()
    lines: list[str] = []
    assert one.run(job, {}, lines.append)["rows"] == 2
    assert any("bronze/a" in line for line in lines), lines
    assert len(world.asked("AddJobFlowSteps")) == 1
    one.delete()
    assert not (tmp_path / "lake/_wall/jobs" / NAME).exists()


def test_a_step_may_have_a_python_of_its_own(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    one = cluster(tmp_path, python="/no/such/python")
    one.ensure()
    assert one.run({**job, "environment": {"python": PYTHON}}, {}, lambda _: None)["rows"] == 2
    one.delete()
    assert list((tmp_path / "lake").rglob("*.zip")) == []  # what travelled is gone with the cluster


def test_a_retry_goes_on_with_the_job_that_runs(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    one = cluster(tmp_path)
    one.ensure()
    world.after = lambda operation, number: operation != "AddJobFlowSteps"  # accepted, and nobody hears of it
    with pytest.raises(Interrupted):
        one.run(job, {}, lambda line: None)
    assert one.run(job, {}, lambda line: None)["rows"] == 2
    assert len(world.asked("AddJobFlowSteps")) == 1


def test_the_error_of_a_job_comes_back_as_it_was(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    one = cluster(tmp_path)
    one.ensure()
    wrong = {**job, "arguments": {**job["arguments"], "source": "nowhere"}}
    with pytest.raises(WallError, match="`source`"):
        one.run(wrong, {}, lambda line: None)


def test_a_job_with_the_secret_of_a_connection_is_refused(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    one = cluster(tmp_path)
    one.ensure()
    with pytest.raises(ClusterError) as error:
        one.run({**job, "connections": ["shop"]}, {"shop": {"password": "s3cr3t"}}, lambda line: None)
    assert str(error.value) == (
        "`cluster`: this step reads the connection `shop`, and secrets are not sent to a cluster in a cloud\n\n"
        "hint: remove `cluster` from this step, so that it runs in the worker"
    )


@pytest.mark.parametrize("late", [0.0, 0.5])
def test_a_lost_answer_makes_no_second_cluster(world: World, tmp_path: Path, late: float) -> None:
    world.visible_after = late
    world.after = lambda operation, number: not (operation == "RunJobFlow" and number == 1)
    with pytest.raises(Interrupted, match="could not start cluster"):
        cluster(tmp_path).ensure()
    assert len(world.alive) == 1
    (left,) = world.alive
    assert cluster(tmp_path).ensure()["id"] == left
    assert len(world.asked("RunJobFlow")) == 1


def test_clusters_that_are_listed_too_late_are_ended_but_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "SETTLE", timedelta(seconds=0.2))
    world.visible_after = 3600.0
    world.after = lambda operation, number: not (operation == "RunJobFlow" and number == 1)
    with pytest.raises(Interrupted):
        cluster(tmp_path).ensure()
    kept = cluster(tmp_path).ensure()["id"]
    assert len(world.alive) == 2
    world.visible_after = 0.0
    assert cluster(tmp_path).ensure()["id"] == kept
    assert world.alive == [kept]


START = """
import json, sys
from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import Owner, ClusterSite
from airflow_wall.hooks.clients import open_client
from airflow_wall.lake.lake import Lake
name, config, folder = json.loads(sys.argv[1])
site = ClusterSite(Lake(folder), Owner("test", "churn", "manual__2013-07-01T00:00:00+00:00"), open_client)
open_cluster(name, config, site).ensure()
"""


@pytest.mark.parametrize("then", ["start again", "stop"])
def test_a_start_that_is_killed_between_request_and_answer_leaves_nothing(
    world: World, tmp_path: Path, then: str
) -> None:
    world.visible_after = 0.5
    killed = threading.Event()

    def kill(operation: str, number: int) -> bool:
        if operation == "RunJobFlow" and not killed.is_set():
            killed.set()
            process.kill()
            process.wait()
            return False
        return True

    world.after = kill
    given = json.dumps([NAME, CONFIG, str(tmp_path / "lake")])
    process = subprocess.Popen([sys.executable, "-c", START, given])
    assert killed.wait(60)
    process.wait()
    assert len(world.alive) == 1
    one = cluster(tmp_path)
    if then == "start again":
        one.ensure()
        assert len(world.asked("RunJobFlow")) == 1
    assert len(one.delete().ended) == 1
    assert world.alive == []


@pytest.mark.parametrize(
    ("refused", "kind", "message"),
    [
        (
            (400, "ValidationException", "The supplied release label is invalid: emr-7.9.0."),
            ClusterError,
            "`cluster.image: emr-7.9.0`: could not start cluster `wall-churn-0123456789ab`: emr: The supplied release "
            "label is invalid: emr-7.9.0. (RunJobFlow: ValidationException)\n\n"
            "hint: correct this key, or the resource that it names in the cloud, and clear this task",
        ),
        (
            (400, "AccessDeniedException", "User: arn:aws:iam::1:user/w is not authorized to perform: "
             "elasticmapreduce:RunJobFlow"),
            ConnectionFault,
            "connection `wall_aws` (`cluster.conn_id`) may not start cluster `wall-churn-0123456789ab`: emr: User: "
            "arn:aws:iam::1:user/w is not authorized to perform: elasticmapreduce:RunJobFlow (RunJobFlow: "
            "AccessDeniedException)\n\n"
            "hint: grant the role of the connection this right, or name another connection; then clear this task",
        ),
        (
            (400, "ThrottlingException", "Rate exceeded"),
            Interrupted,
            "could not start cluster `wall-churn-0123456789ab`: emr: Rate exceeded (RunJobFlow: ThrottlingException)",
        ),
    ],
)  # fmt: skip
def test_a_refusal_names_the_key_and_the_clouds_reason(
    world: World, tmp_path: Path, refused: tuple[int, str, str], kind: type[WallError], message: str
) -> None:
    world.refuse = lambda operation: refused if operation == "RunJobFlow" else None
    with pytest.raises(kind) as error:
        cluster(tmp_path).ensure()
    assert str(error.value) == message
    assert type(error.value) is kind


def test_a_raw_request_that_emr_does_not_know_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match='Unknown parameter in input: "Nmae"'):
        cluster(tmp_path, extra={"Nmae": "x"}).ensure()


def test_a_region_that_nobody_has_is_named(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "http://elasticmapreduce.eu-nowhere-1.localhost:1"  # as AWS makes its addresses of regions
    connection = {"conn_type": "aws", "login": "key", "password": "s3cr3t", "extra": {"endpoint_url": nowhere}}
    monkeypatch.setenv("AIRFLOW_CONN_WALL_AWS", json.dumps(connection))
    with pytest.raises(Interrupted) as error:
        cluster(tmp_path, region="eu-nowhere-1").ensure()
    assert str(error.value).startswith("`cluster.region: eu-nowhere-1`: could not start cluster ")


def test_a_cluster_that_costs_too_much_takes_no_more_jobs(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    cluster(tmp_path).ensure()
    time.sleep(0.05)
    with pytest.raises(ClusterError, match=r"node-hours, more than `cluster.max_node_hours: 1e-06`"):
        cluster(tmp_path, max_node_hours=1e-6).run(job, {}, lambda line: None)


def test_stopped_task_cancels_its_job(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    one = cluster(tmp_path)
    one.ensure()
    looks = iter([None, Stopped("the task is stopped")])

    def sleep(seconds: float) -> None:
        stop = next(looks)
        if stop is not None:
            raise stop
        time.sleep(0.2)  # the job is still at work then

    one.site.clock.sleep = sleep  # type: ignore[attr-defined]
    with pytest.raises(Stopped):
        one.run(job, {}, lambda line: None)
    assert len(world.asked("CancelSteps")) == 1


class Stopped(Interrupted):
    """Raised to stop the task."""


def test_no_secret_reaches_the_cluster(world: World, tmp_path: Path, job: dict[str, Any]) -> None:
    one = cluster(tmp_path)
    one.ensure()
    one.run(job, {}, lambda line: None)
    assert "s3cr3t" not in json.dumps(world.requests)

"""Connections to clouds are proven by their own clients, over a real wire, and nothing of the proof is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("moto", reason="make clouds installs it")
pytest.importorskip("airflow.providers.amazon", reason="make clouds installs it")
pytest.importorskip("airflow.providers.google", reason="make clouds installs it")

from emr_server import World, emr

from airflow_wall.errors import ConnectionFault
from airflow_wall.hooks.credentials import prove

CREATE = "dataproc.clusters.create"
ROLE = "arn:aws:iam::123456789012:role/wall"


@pytest.fixture(scope="module")
def aws() -> Iterator[World]:
    with emr() as world:
        yield world


@pytest.fixture(autouse=True)
def connection(aws: World, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"conn_type": "aws", "login": "key", "password": "s3cr3t", "extra": {"endpoint_url": aws.moto}}
    monkeypatch.setenv("AIRFLOW_CONN_WALL_AWS", json.dumps(given))


def test_aws_says_whose_it_is() -> None:
    found = prove("aws", "wall_aws", role=None, scopes=(), permissions=())
    assert found == {"principal": "arn:aws:sts::123456789012:user/moto"}


def test_a_role_is_assumed_and_let_go() -> None:
    found = prove("aws", "wall_aws", role=ROLE, scopes=(), permissions=())
    assert found == {"principal": "arn:aws:sts::123456789012:assumed-role/wall/airflow-wall-proof"}


def test_a_role_that_is_refused_is_named_with_the_reason() -> None:
    with pytest.raises(ConnectionFault) as error:
        prove("aws", "wall_aws", role="wall", scopes=(), permissions=())
    assert str(error.value) == (
        "`conn_id`: role `wall` by connection `wall_aws` is refused: Parameter validation failed:\n"
        "Invalid length for parameter RoleArn, value: 4, valid min length: 20\n\n"
        "hint: grant it this right, or use another connection or role"
    )


def test_google_makes_a_token_and_asks_what_it_may(google_world: Any) -> None:
    google_world.permissions = (CREATE,)
    found = prove("google_cloud_platform", "wall_google", role=None, scopes=(), permissions=[CREATE])
    assert found == {"principal": "wall@p.iam.gserviceaccount.com", "project": "p"}
    (token,) = google_world.tokens
    assert token not in json.dumps(found)


def test_a_permission_that_is_missing_is_named(google_world: Any) -> None:
    google_world.permissions = ()
    with pytest.raises(ConnectionFault) as error:
        prove("google_cloud_platform", "wall_google", role=None, scopes=(), permissions=[CREATE])
    assert str(error.value) == (
        "`conn_id`: connection `wall_google` is refused: it lacks `dataproc.clusters.create` in project `p`\n\n"
        "hint: grant it this right, or use another connection or role"
    )


def test_other_connections_know_no_role() -> None:
    assert prove("sqlite", "shop", role=None, scopes=(), permissions=()) == {}
    with pytest.raises(ConnectionFault) as error:
        prove("sqlite", "shop", role=ROLE, scopes=(), permissions=())
    assert str(error.value) == (
        "`conn_id`: connection `shop` has type `sqlite`, which has no role, scopes or permissions\n\n"
        "hint: use a connection of type `aws` or `google_cloud_platform`, or remove `role`, `scopes` and `permissions`"
    )

"""Names of datasets, as OpenLineage's naming rules write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.connections.dataset_names import name_of_table, name_of_uri
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.job import Run, Slice
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.backends import parse_target
from airflow_wall.sources.backends import parse_source
from airflow_wall.sources.kinds.base import SourceSite


def connection(conn_id: str) -> ConnectionInfo:
    known = {
        "warehouse": ConnectionInfo("warehouse", "postgres", host="db.example.org", schema="shop", password="secret"),
        "shop": ConnectionInfo("shop", "mysql", host="db.example.org", port=3307, schema="shop"),
        "file": ConnectionInfo("file", "sqlite", host="data/../db.sqlite"),
    }
    return known[conn_id]


def run(lake: str) -> Run:
    project = Path("/project")
    return Run("p", "r", "t", 1, Slice("20130701T000000Z", "2013-07-01T00:00:00+00:00"), Lake(lake), project, project)


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("file:///srv/lake/gold/a%20b", ("file", "/srv/lake/gold/a b")),
        ("s3://lake/platform/gold/scores", ("s3://lake", "platform/gold/scores")),
        ("gs://lake", ("gs://lake", "/")),
    ],
)
def test_name_of_a_uri(uri: str, name: tuple[str, str]) -> None:
    assert name_of_uri(uri) == name


@pytest.mark.parametrize(
    ("conn_id", "schema", "name"),
    [
        ("warehouse", None, ("postgres://db.example.org:5432", "shop.public.orders")),
        ("warehouse", "raw", ("postgres://db.example.org:5432", "shop.raw.orders")),
        ("shop", None, ("mysql://db.example.org:3307", "shop.orders")),
        ("file", None, ("sqlite:///project/db.sqlite", "orders")),
    ],
)
def test_name_of_a_table(conn_id: str, schema: str | None, name: tuple[str, str]) -> None:
    assert name_of_table(connection(conn_id), "orders", schema, Path("/project")) == name


@pytest.mark.parametrize(
    ("source", "lake", "name"),
    [
        ("landing/orders", "/lake", ("file", "/lake/landing/orders")),
        ("landing/*.csv", "s3://w@lake/platform", ("s3://lake", "platform/landing")),
        ("/data/orders.csv", "/lake", ("file", "/data/orders.csv")),
        ("s3://w@company-data/orders/*.csv", "/lake", ("s3://company-data", "orders")),
        ("sql://warehouse/raw.orders", "/lake", ("postgres://db.example.org:5432", "shop.raw.orders")),
    ],
)
def test_name_of_a_source(source: str, lake: str, name: tuple[str, str]) -> None:
    assert parse_source(source).dataset(SourceSite(run(lake), connection)) == name


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("sql://warehouse/scores", ("postgres://db.example.org:5432", "shop.public.scores")),
        ("search://file/scores", ("sqlite:///project/db.sqlite", "scores")),
        ("files://scores", ("s3://lake", "platform/published/scores")),
        ("webhook://partner", ("webhook://partner", "/")),
    ],
)
def test_name_of_a_target(to: str, name: tuple[str, str]) -> None:
    assert parse_target(to).dataset(run("s3://w@lake/platform"), connection) == name

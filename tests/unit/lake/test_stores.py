"""The stores of a lake that need no other program: a folder, and Google Cloud Storage as a double serves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google_bucket import Bucket, connection_values, served
from lake_stores import DocumentLeaseContract, StoreContract, of_connection
from obstore.store import MemoryStore

from airflow_wall.connections.environment import connection_of_environment
from airflow_wall.errors import ConnectionFault
from airflow_wall.lake.documents import Documents, change
from airflow_wall.lake.lake import Lake
from airflow_wall.lake.store import StoreObjects


class TestFolder(StoreContract):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return str(tmp_path / "lake")


class TestGoogle(StoreContract, DocumentLeaseContract):
    @pytest.fixture
    def address(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        with served(Bucket("lake-data")) as server:
            of_connection("gs_lake", connection_values(server), monkeypatch)
            yield "gs://gs_lake@lake-data/team/platform"


def test_in_memory_a_change_is_a_compare_and_set() -> None:
    documents = Documents(StoreObjects(MemoryStore(), "memory://"), "d")
    assert documents.create("a.json", {"n": 1})
    assert not documents.create("a.json", {"n": 2})
    _, tag = documents.read("a.json") or ({}, "")
    change(documents, "a.json", lambda _: {"n": 3})
    assert not documents.swap("a.json", {"n": 4}, tag)
    assert documents.get("a.json") == {"n": 3}


def test_a_store_that_ignores_conditions_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket("lake-data", ignores_conditions=True)
    with served(bucket) as server:
        of_connection("gs_lake", connection_values(server), monkeypatch)
        lake = Lake("gs://gs_lake@lake-data/lake", connection_of_environment)
        with pytest.raises(ConnectionFault) as caught:
            lake.documents("try").create("a.json", {})
    assert str(caught.value) == (
        "the store of the lake `gs://lake-data/lake` ignores conditions of writes: it creates an object twice\n\n"
        "hint: use Amazon S3, Google Cloud Storage, or a store that honours `If-None-Match` and `If-Match`"
    )
    assert bucket.objects == {}


@pytest.mark.parametrize("address", ["ftp://x/y", "s3://", "s3://b/../c", "gs://a@b@c/d", "s3://Bucket!/x"])
def test_an_address_of_another_form_is_rejected(address: str) -> None:
    with pytest.raises(Exception, match="`storage` must be a folder, `s3://bucket/prefix` or `gs://bucket/prefix`"):
        Lake(address)

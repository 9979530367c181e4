"""Objects of a bucket are read as files are. The bucket is in memory; `make clouds` reads from servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault, DataError, Interrupted
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_new_data import check_new_data
from airflow_wall.jobs.ingest import ingest
from airflow_wall.sources.backends import parse_source, source_beginning
from airflow_wall.sources.buckets import BucketSource
from airflow_wall.sources.kinds.base import SourceSite
from airflow_wall.storage.backends import open_tables

SOURCE = "s3://shop@orders-2026/daily"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    monkeypatch.setattr("airflow_wall.connections.buckets.s3_store", lambda *_: store)
    return store


class Lake:
    """A pipeline that reads from the bucket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables = open_tables(folder)

    def env(self, day: int) -> Env:
        order = f"2026-07-{day:02d}T00:00:00+00:00"
        slice_ = Slice(f"202607{day:02d}T000000Z", order)
        run = Run("p", f"r{day}", "load", 1, slice_, self.folder, self.folder, self.folder)
        return Env(run, lambda conn_id: ConnectionInfo(conn_id, "aws"))

    def ingest(self, day: int, source: str = SOURCE, **more: Any) -> dict[str, Any]:
        return ingest(self.env(day), source=source, target="bronze/orders", **more)

    def rows(self) -> list[tuple[Any, ...]]:
        table = self.tables.read("bronze/orders")
        return sorted(tuple(row.values()) for row in table.to_pylist())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_objects_are_ingested_once_and_a_corrected_one_goes_to_its_slice(bucket: MemoryStore, lake: Lake) -> None:
    obstore.put(bucket, "daily/a.csv", b"id,zip\n1,01234\n")
    obstore.put(bucket, "daily/deep/b.csv", b"id,zip\n2,02345\n")
    obstore.put(bucket, "daily/_ignored.csv", b"no")
    obstore.put(bucket, "other/c.csv", b"no")
    first = lake.ingest(1)
    assert (first["rows"], first["files"]) == (2, 2)
    assert lake.ingest(1)["changed"] is False
    obstore.put(bucket, "daily/a.csv", b"id,zip\n1,01234\n3,03456\n")
    second = lake.ingest(2)
    assert second["corrected"] == {"20260701T000000Z": ["s3://orders-2026/daily/a.csv"]}
    assert lake.rows() == [(1, "01234"), (2, "02345"), (3, "03456")]


def test_new_objects_are_found_and_counted(bucket: MemoryStore, lake: Lake) -> None:
    obstore.put(bucket, "daily/a.csv", b"id\n1\n")
    assert check_new_data(lake.env(1), source=SOURCE)["new"] == 1
    lake.ingest(1)
    assert check_new_data(lake.env(2), source=SOURCE) == {
        "new": 0, "processed": 1, "source": SOURCE, "slice": "20260702T000000Z",
    }  # fmt: skip


def test_an_object_and_a_pattern_can_be_named(bucket: MemoryStore, lake: Lake) -> None:
    for name in ("a.csv", "b.csv", "b.jsonl"):
        obstore.put(bucket, f"daily/{name}", b"id\n1\n" if name.endswith("csv") else b'{"id": 1}\n')
    assert lake.ingest(1, "s3://shop@orders-2026/daily/a.csv")["files"] == 1
    assert lake.ingest(2, "s3://shop@orders-2026/daily/*.csv")["files"] == 1  # the other one is in the table


def test_each_run_takes_the_objects_of_its_date(bucket: MemoryStore, lake: Lake) -> None:
    for day in (1, 2):
        obstore.put(bucket, f"daily/2026-07-0{day}.csv", b"id\n%d\n" % day)
    assert lake.ingest(2, by="date")["files"] == 1
    assert lake.rows() == [(2,)]


def test_a_claim_on_a_prefix_covers_what_is_below_it(bucket: MemoryStore, lake: Lake) -> None:
    obstore.put(bucket, "daily/north/a.csv", b"id\n1\n")
    check_new_data(lake.env(1), source=SOURCE)
    obstore.put(bucket, "daily/north/late.csv", b"id\n2\n")
    assert lake.ingest(1, f"{SOURCE}/north")["files"] == 1


def test_a_bad_value_is_reported_by_the_name_of_the_object(bucket: MemoryStore, lake: Lake) -> None:
    obstore.put(bucket, "daily/a.csv", b"id\n1\n")
    lake.ingest(1)
    obstore.put(bucket, "daily/b.csv", b"id\n2\nthree\n")
    with pytest.raises(DataError, match=r"`s3://orders-2026/daily/b.csv`, line 3") as error:
        lake.ingest(2)
    assert "/tmp" not in str(error.value)
    lake.ingest(2, bad_rows="quarantine")
    (row,) = lake.tables.read("bronze/orders_rejected").to_pylist()
    assert (row["file"], row["line"], row["value"]) == ("s3://orders-2026/daily/b.csv", 3, "three")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["daily/a"], "the name of `s3://orders-2026/daily/a` does not show its format"),
        (
            ["daily/a.csv", "daily/b.json"],
            "`s3://orders-2026/daily/a.csv` is csv and `s3://orders-2026/daily/b.json` is",
        ),
    ],
)
def test_a_format_that_names_do_not_show_is_reported_by_them(
    bucket: MemoryStore, lake: Lake, names: list[str], message: str
) -> None:
    for name in names:
        obstore.put(bucket, name, b"id\n1\n")
    with pytest.raises(DataError) as error:
        lake.ingest(1)
    assert message in str(error.value)
    assert "/tmp" not in str(error.value)


def test_an_object_that_changes_while_it_is_read_is_tried_again(
    bucket: MemoryStore, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstore.put(bucket, "daily/a.csv", b"id\n1\n")
    get = obstore.get

    def changed(*arguments: Any, **options: Any) -> Any:
        obstore.put(bucket, "daily/a.csv", b"id\n2\n")
        return get(*arguments, **options)

    monkeypatch.setattr(obstore, "get", changed)
    with pytest.raises(Interrupted, match="changed while it was read"):
        lake.ingest(1)


def test_a_claimed_object_that_is_gone_is_an_error(bucket: MemoryStore, lake: Lake) -> None:
    obstore.put(bucket, "daily/a.csv", b"id\n1\n")
    check_new_data(lake.env(1), source=SOURCE)
    obstore.delete(bucket, "daily/a.csv")
    with pytest.raises(DataError, match=r"`s3://orders-2026/daily/a.csv` does not exist any more"):
        lake.ingest(1)


def test_a_source_without_objects_names_what_is_nearby(bucket: MemoryStore, lake: Lake) -> None:
    obstore.put(bucket, "dayly/a.csv", b"id\n1\n")
    with pytest.raises(DataError, match=r"`s3://orders-2026/` holds `dayly`"):
        lake.ingest(1)


@pytest.mark.parametrize(
    ("text", "connection", "bucket_name", "parts"),
    [
        ("s3://shop@orders/a/*.csv", "shop", "orders", ("a", "*.csv")),
        ("s3://orders", "", "orders", ()),
        ("S3://orders/", "", "orders", ()),
        ("gs://wall.google@orders_1/x/**/y.parquet", "wall.google", "orders_1", ("x", "**", "y.parquet")),
    ],
)
def test_the_text_is_parsed(text: str, connection: str, bucket_name: str, parts: tuple[str, ...]) -> None:
    source = parse_source(text)
    assert isinstance(source, BucketSource)
    assert (source.conn_id, source.bucket, source.parts, source.in_lake) == (connection, bucket_name, parts, False)


@pytest.mark.parametrize("text", ["s3://", "s3://a", "s3://shop@/x", "s3://orders/../x", "s3://a:b@orders/x"])
def test_other_texts_are_rejected(text: str) -> None:
    with pytest.raises(DataError, match="`source` must be `s3://bucket/path`"):
        parse_source(text)


def test_the_beginning_of_a_text_names_the_connection() -> None:
    known = source_beginning("s3://shop@orders/{{ ds }}")
    assert known is not None
    assert known.conn_id == "shop"
    assert source_beginning("s3://sho") is None


@pytest.fixture
def open_with(tmp_path: Path) -> Iterator[Any]:
    run = Lake(tmp_path).env(1).run

    def opened(text: str, connection: ConnectionInfo) -> Any:
        return parse_source(text).open(SourceSite(run, lambda _: connection), {})

    return opened


@pytest.mark.parametrize(
    ("connection", "fault"),
    [
        (ConnectionInfo("shop", "http"), "connection `shop` must have type `aws`, got `http`"),
        (ConnectionInfo("shop", "aws", extra={"config_kwargs": {"a": 1}}), "the extra `config_kwargs`"),
        (ConnectionInfo("shop", "aws", extra={"verify": "/ca.pem"}), "the extra `verify`"),
    ],
)
def test_a_connection_that_cannot_be_used_is_rejected(open_with: Any, connection: ConnectionInfo, fault: str) -> None:
    with pytest.raises(ConnectionFault, match=fault):
        open_with("s3://shop@orders/x", connection)


def test_a_server_that_does_not_answer_is_one_message_without_a_secret(
    open_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_wall.connections.buckets.RETRIES", {"max_retries": 0})
    extra = {"endpoint_url": "http://127.0.0.1:1"}
    source = open_with(
        "s3://shop@orders/x", ConnectionInfo("shop", "aws", login="AKIAKEY", password="hunter2secret", extra=extra)
    )
    with pytest.raises(DataError) as error:
        source.versions()
    assert "the bucket `orders` cannot be read" in str(error.value)
    assert "hunter2secret" not in str(error.value)

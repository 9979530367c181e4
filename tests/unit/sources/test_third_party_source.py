"""A kind of source that another package brings by an entry point."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_new_data import check_new_data
from airflow_wall.jobs.ingest import ingest
from airflow_wall.registry import installed_objects
from airflow_wall.sources.backends import parse_source
from airflow_wall.storage.backends import open_tables

MODULE = """
from dataclasses import dataclass

import pyarrow as pa

from airflow_wall.sources.delivery import type_rows
from airflow_wall.sources.kinds.base import Listing, LoadedRows, OpenSource, Source
from airflow_wall.storage.base import SourceVersion


@dataclass(frozen=True)
class CountSource(Source):
    forms = ("`count://CONN/N`",)
    plural = "counters"
    keys = frozenset({"options"})
    conn_id = ""

    @classmethod
    def parse(cls, text):
        return cls(text)

    parse_beginning = parse

    def open(self, site, keys):
        return Counter(self, site.connections("counter").host, keys.get("options", {}))


@dataclass(frozen=True)
class Counter(OpenSource):
    source: CountSource
    host: str
    options: dict

    def find_new(self, processed):
        new = SourceVersion(self.source.text, "1")
        done = processed.has(new)
        return Listing(() if done else (new,), int(done))

    def read(self, versions, rules):
        rows = [{"host": self.host, "n": n} for n in range(self.options["to"]) if versions]
        data = pa.Table.from_pylist(rows, pa.schema([("host", pa.string()), ("n", pa.int64())]))
        return LoadedRows(list(versions), type_rows(data, self.source.text, rules))
"""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    packages = tmp_path / "packages"
    metadata = packages / "counters-1.dist-info"
    metadata.mkdir(parents=True)
    (packages / "counters.py").write_text(MODULE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: counters\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[airflow_wall.sources]\ncount = counters:CountSource\n")
    monkeypatch.syspath_prepend(packages)
    installed_objects.cache_clear()
    yield tmp_path / "lake"
    installed_objects.cache_clear()
    sys.modules.pop("counters", None)


def _env(lake: Path, slice_id: str) -> Env:
    run = Run("scores", "r", "ingest", 1, Slice(slice_id, slice_id), lake, lake, lake)
    return Env(run, lambda conn_id: ConnectionInfo(conn_id, "http", host="abc"))


def test_a_source_of_another_package_is_ingested_once(lake: Path) -> None:
    with_options = {"source": "count://counter/a", "target": "bronze/t", "options": {"to": 2}}
    assert ingest(_env(lake, "s1"), **with_options)["rows"] == 2
    assert ingest(_env(lake, "s2"), **with_options)["rows"] == 0
    assert open_tables(lake).read("bronze/t").to_pylist() == [{"host": "abc", "n": 0}, {"host": "abc", "n": 1}]
    assert check_new_data(_env(lake, "s3"), source="count://counter/a")["new"] == 0


def test_a_key_of_another_kind_is_refused(lake: Path) -> None:
    with pytest.raises(DataError) as caught:
        ingest(_env(lake, "s1"), source="count://counter/a", target="bronze/t", cursor="n")
    assert str(caught.value) == (
        "`cursor` is for SQL tables, and `source` is `count://counter/a`\n\nhint: remove `cursor`"
    )


def test_its_form_is_in_the_message_for_an_unknown_scheme(lake: Path) -> None:
    with pytest.raises(DataError) as caught:
        parse_source("ftp://server/landing")
    assert str(caught.value) == (
        "`source` must be a path, `file:///path`, `gs://bucket/path`, `s3://bucket/path`, `sql://connection/table` or "
        "`count://CONN/N`, got `ftp://server/landing`\n\nhint: `ftp://` is not supported by this version: copy the files to a path"
    )

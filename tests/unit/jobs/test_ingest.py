"""
The job `ingest`.

Waits for: processes that are killed at random points, and repeated.
"""

from __future__ import annotations

import gzip
import multiprocessing
import random
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError, Interrupted
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_new_data import check_new_data
from airflow_wall.jobs.ingest import ingest
from airflow_wall.lake import lake as lakes
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import TableStore
from airflow_wall.storage.ledger import IngestLedger


class Lake:
    """A lake below one folder, and the runs of one pipeline on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.landing = root / "lake" / "landing"
        self.landing.mkdir(parents=True, exist_ok=True)
        self.database = sqlalchemy.create_engine(f"sqlite:///{root}/warehouse.db", poolclass=NullPool)

    def env(self, slice_id: str = "s1", *, try_number: int = 1) -> Env:
        run = Run(
            pipeline="scores",
            run_id=f"scheduled__{slice_id}",
            task_id="ingest",
            try_number=try_number,
            slice=Slice(slice_id, f"2013-07-01T00:00:0{slice_id[-1]}+00:00"),
            storage=self.root / "lake",
            project=self.root,
            code=self.root / "dags",
        )
        return Env(run, lambda conn_id: ConnectionInfo(conn_id, "sqlite", host="warehouse.db"))

    def put(self, name: str, text: str) -> Path:
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def ingest(self, slice_id: str = "s1", **arguments: Any) -> dict[str, Any]:
        return ingest(self.env(slice_id), **{"source": "landing", "target": "bronze/t", **arguments})

    @property
    def tables(self) -> TableStore:
        return open_tables(self.root / "lake")

    def rows(self, table: str = "bronze/t", **arguments: Any) -> list[tuple[Any, ...]]:
        found = self.tables.read(table, **arguments).to_pydict()
        return sorted(zip(*found.values(), strict=True), key=repr)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def _error(call: Callable[[], object], kind: type[Exception] = DataError) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_files_become_rows_that_know_where_they_came_from(lake: Lake) -> None:
    lake.put("a.csv", "hour,temp\n2013-07-01 00:00:00,1.5\n")
    lake.put("b/c.csv", "temp,hour,note\n2,2013-07-01 01:00:00,x\n")
    assert lake.ingest() == {
        "table": "bronze/t",
        "rows": 2,
        "rejected": 0,
        "files": 2,
        "version": 0,
        "changed": True,
        "warnings": [],
    }
    assert lake.tables.read("bronze/t", hidden=True).select(
        ["temp", "note", "_wall_source", "_wall_slice"]
    ).to_pylist() == [
        {"temp": 1.5, "note": None, "_wall_source": "landing/a.csv", "_wall_slice": "s1"},
        {"temp": 2.0, "note": "x", "_wall_source": "landing/b/c.csv", "_wall_slice": "s1"},
    ]
    assert lake.tables.schema("bronze/t").field("hour").type == pa.timestamp("us")


def test_the_same_slice_again_changes_nothing(lake: Lake) -> None:
    lake.put("a.csv", "n\n1\n")
    lake.ingest()
    assert lake.ingest() == {
        "table": "bronze/t",
        "rows": 1,
        "rejected": 0,
        "files": 1,
        "version": 0,
        "changed": False,
        "warnings": [],
    }


def test_a_file_that_lands_late_belongs_to_the_next_slice(lake: Lake) -> None:
    lake.put("a.csv", "n\n1\n")
    check_new_data(lake.env("s1"), source="landing")
    lake.put("late.csv", "n\n2\n")
    assert lake.ingest("s1")["rows"] == 1
    assert check_new_data(lake.env("s2"), source="landing") == {
        "new": 1, "processed": 1, "source": "landing", "slice": "s2",
    }  # fmt: skip
    assert lake.ingest("s2")["rows"] == 1
    assert lake.rows(slices=["s2"]) == [(2,)]


def test_a_cleared_run_finds_the_same_set_again(lake: Lake) -> None:
    lake.put("a.csv", "n\n1\n")
    first = check_new_data(lake.env("s1"), source="landing")
    lake.ingest("s1")
    lake.put("b.csv", "n\n2\n")
    lake.ingest("s2")
    lake.put("c.csv", "n\n3\n")
    assert check_new_data(lake.env("s1"), source="landing") == first
    assert (lake.ingest("s1")["changed"], lake.rows()) == (False, [(1,), (2,)])


def test_a_file_that_landed_again_replaces_its_rows(lake: Lake) -> None:
    lake.put("a.csv", "n\n1\n2\n")
    lake.put("b.csv", "n\n3\n")
    lake.ingest("s1")
    lake.put("a.csv", "n\n10\n")
    assert lake.ingest("s2") == {
        "table": "bronze/t",
        "rows": 0,
        "rejected": 0,
        "files": 1,
        "version": 1,
        "changed": True,
        "warnings": [],
        "corrected": {"s1": ["landing/a.csv"]},
    }
    assert lake.rows(slices=["s1"]) == lake.rows() == [(10,), (3,)]
    lake.ingest("s1")  # cleared
    assert lake.rows() == [(10,), (3,)]


def test_a_file_that_landed_again_after_the_claim_is_read_as_it_is(lake: Lake) -> None:
    lake.put("a.csv", "n\n1\n")
    check_new_data(lake.env("s1"), source="landing")
    lake.put("a.csv", "n\n10\n20\n")
    lake.ingest("s1")
    assert lake.ingest("s2")["files"] == 0
    assert lake.rows() == [(10,), (20,)]


def test_two_slices_that_claimed_one_file_take_it_once(lake: Lake) -> None:
    lake.put("a.csv", "n\n1\n")
    for slice_id in ("s1", "s2"):
        assert check_new_data(lake.env(slice_id), source="landing")["new"] == 1
    assert lake.ingest("s2")["rows"] == 1
    assert lake.ingest("s1")["rows"] == 0
    assert lake.rows() == [(1,)]


def test_a_part_of_the_claimed_source_is_ingested_alone(lake: Lake) -> None:
    lake.put("domain_1/a.csv", "n\n1\n")
    lake.put("domain_2/a.csv", "n\n2\n")
    check_new_data(lake.env(), source="landing")
    lake.put("domain_1/late.csv", "n\n3\n")
    lake.ingest(source="landing/domain_1", target="bronze/one")
    lake.ingest(source="landing/domain_2/*.csv", target="bronze/two")
    assert (lake.rows("bronze/one"), lake.rows("bronze/two")) == ([(1,)], [(2,)])
    assert check_new_data(lake.env("s2"), source="landing")["new"] == 1


def test_a_folder_that_came_after_the_claim_above_it_is_read_and_stays_claimed(lake: Lake) -> None:
    lake.put("domain_1/a.csv", "n\n1\n")
    check_new_data(lake.env(), source="landing")
    with pytest.raises(DataError, match="there is no"):
        lake.ingest(source="landing/domain_2", target="bronze/two")
    lake.put("domain_2/a.csv", "n\n2\n")
    lake.ingest(source="landing/domain_2", target="bronze/two")
    lake.put("domain_2/late.csv", "n\n3\n")
    lake.ingest(source="landing/domain_2", target="bronze/two")
    assert lake.rows("bronze/two") == [(2,)]


@pytest.mark.parametrize("first", ["bronze/part", "bronze/all"])
def test_two_tables_of_one_source_each_get_every_file(lake: Lake, first: str) -> None:
    lake.put("domain_1/a.csv", "n\n1\n")
    lake.put("b.csv", "n\n2\n")
    sources = {"bronze/part": "landing/domain_1", "bronze/all": "landing"}
    for target in sorted(sources, key=lambda target: target != first):
        lake.ingest(source=sources[target], target=target)
    assert (lake.rows("bronze/part"), lake.rows("bronze/all")) == ([(1,)], [(1,), (2,)])


def test_an_empty_claim_leaves_an_empty_slice(lake: Lake) -> None:
    lake.put("a.csv", "n\n1\n")
    lake.ingest("s1")
    assert lake.ingest("s2") == {
        "table": "bronze/t",
        "rows": 0,
        "rejected": 0,
        "files": 0,
        "version": 1,
        "changed": True,
        "warnings": [],
    }
    assert lake.rows() == [(1,)]


def test_an_empty_claim_makes_no_table(lake: Lake) -> None:
    lake.put("a.csv", "n\n1\n")
    lake.ingest("s1")
    check_new_data(lake.env("s2"), source="landing")
    result = lake.ingest("s2", target="bronze/other")
    assert result == {
        "table": "bronze/other",
        "rows": 0,
        "rejected": 0,
        "files": 0,
        "version": -1,
        "changed": False,
        "warnings": [],
    }
    assert not lake.tables.exists("bronze/other")


def test_an_empty_file_has_no_rows_and_counts_as_processed(lake: Lake) -> None:
    lake.put("a.csv", "")
    lake.put("b.csv", "n\n")
    lake.put("c.csv", "n\n1\n")
    assert lake.ingest("s1")["rows"] == 1
    assert check_new_data(lake.env("s2"), source="landing")["new"] == 0


def test_three_tables_are_ingested_at_once(lake: Lake) -> None:
    for domain in "123":
        lake.put(f"domain_{domain}/a.csv", f"n\n{domain}\n")
    check_new_data(lake.env(), source="landing")

    def one(domain: str) -> dict[str, Any]:
        return lake.ingest(source=f"landing/domain_{domain}", target=f"bronze/domain_{domain}")

    with ThreadPoolExecutor(3) as pool:
        assert [result["rows"] for result in pool.map(one, "123")] == [1, 1, 1]
    assert len(IngestLedger(lakes.Lake(lake.root / "lake")).processed("scores").versions) == 3
    assert check_new_data(lake.env("s2"), source="landing")["new"] == 0


def test_later_slice_repairs_a_try_that_died_before_the_ledger(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put("a.csv", "n\n1\n")
    with monkeypatch.context() as patch:
        patch.setattr(IngestLedger, "record", lambda *_: sys.exit(9))
        with pytest.raises(SystemExit):
            lake.ingest("s1")
    assert lake.ingest("s2")["rows"] == 0
    assert lake.rows() == [(1,)]
    assert check_new_data(lake.env("s3"), source="landing")["new"] == 0


def test_a_claimed_file_that_is_gone_keeps_what_the_slice_has(lake: Lake) -> None:
    path = lake.put("a.csv", "n\n1\n")
    lake.ingest("s1")
    path.unlink()
    assert _error(lake.ingest) == (
        f"`source` `landing`: `{path}` does not exist any more, and slice `s1` claimed it\n\n"
        "hint: put it back; the rows of the slice in the table are unchanged"
    )
    assert lake.rows() == [(1,)]


def test_a_file_that_changes_while_it_is_read_is_read_again_later(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put("a.csv", "n\n1\n")
    from airflow_wall.sources import delivery as module

    def slow(*args: Any, **kwargs: Any) -> pa.Table:
        rows = read(*args, **kwargs)
        lake.put("a.csv", "n\n1\n2\n")
        return rows

    read = module.read_delivery
    monkeypatch.setattr(module, "read_delivery", slow)
    assert _error(lake.ingest, Interrupted) == "`source` `landing`: a file changed while it was read"
    assert not lake.tables.exists("bronze/t")


def test_every_format_is_read(lake: Lake) -> None:
    lake.put("csv/a.csv", "n,s\n1,x\n")
    (lake.landing / "csv/b.csv.gz").write_bytes(gzip.compress(b"n,s\n2,y\n"))
    lake.put("json/a.jsonl", '{"n": 1, "s": "x"}\n')
    (lake.landing / "json/b.jsonl.gz").write_bytes(gzip.compress(b'{"n": 2, "s": "y"}\n'))
    (lake.landing / "parquet").mkdir()
    for name, row in (("a", (1, "x")), ("b", (2, "y"))):
        pa.parquet.write_table(pa.table({"n": [row[0]], "s": [row[1]]}), lake.landing / f"parquet/{name}.parquet")
    for kind in ("csv", "json", "parquet"):
        lake.ingest(source=f"landing/{kind}", target=f"bronze/{kind}")
        assert lake.rows(f"bronze/{kind}") == [(1, "x"), (2, "y")]


def test_a_file_name_with_signs_of_patterns_is_that_file(lake: Lake) -> None:
    lake.put("a[1]*?.csv", "n\n1\n")
    lake.put("a1xx.csv", "n\n2\n")
    assert lake.ingest()["rows"] == 2
    assert lake.rows() == [(1,), (2,)]


def test_options_describe_a_csv(lake: Lake) -> None:
    lake.put("a.txt", "zip;n\n01234;1,5\n")
    options = {"delim": ";", "decimal_separator": ",", "types": {"zip": "VARCHAR", "n": "DOUBLE"}}
    lake.ingest(format="csv", options=options)
    assert lake.rows() == [("01234", 1.5)]


def test_types_stay_what_they_are_in_the_table(lake: Lake) -> None:
    lake.put("1.csv", "n,x,s,day,at,flag\n1,1.5,a,2013-01-01,2013-01-01 05:00:00,true\n")
    lake.ingest("s1")
    before = lake.tables.schema("bronze/t")
    lake.put("2.csv", "n,x,s,day,at,flag\n,,,,,\n")
    lake.ingest("s2")
    lake.put("3.csv", "n,x,s,day,at,flag\n3.0,2,01,2013-01-02,2013-01-02,false\n")
    lake.ingest("s3")
    lake.put("4.csv", "s,n,new\nb,4,9\n")
    lake.ingest("s4", evolve={"missing_columns": True})
    after = lake.tables.schema("bronze/t")
    assert [after.field(name) for name in before.names] == list(before)
    assert lake.tables.read("bronze/t").select(["n", "x", "s", "new"]).to_pylist() == [
        {"n": 1, "x": 1.5, "s": "a", "new": None},
        {"n": None, "x": None, "s": None, "new": None},
        {"n": 3, "x": 2.0, "s": "01", "new": None},
        {"n": 4, "x": None, "s": "b", "new": 9},
    ]


def test_json_types_stay_what_they_are_in_the_table(lake: Lake) -> None:
    lake.put("1.jsonl", '{"n": 1, "x": 1.5, "s": "a"}\n')
    lake.ingest("s1")
    lake.put("2.jsonl", '{"n": 2, "x": 3, "s": "2013-01-01", "new": true}\n{"n": null}\n')
    lake.ingest("s2")
    assert lake.rows(slices=["s2"]) == [(2, 3.0, "2013-01-01", True), (None, None, None, None)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("b.csv", "n,x\n1,1\noops,2\n",
         "`source`: `{file}`, line 3: column `n` must be `bigint`, got `oops`, as in table `bronze/t`\n\n"
         "hint: correct the value, write `bad_rows: quarantine`, or declare a type that holds it, e.g. "
         "`contract: {columns: {n: varchar}}`"),
        ("b.csv", "n,x\n1,1\n2,abc\n",
         "`source`: `{file}`, line 3: column `x` must be `double`, got `abc`, as in table `bronze/t`\n\n"
         "hint: correct the value, write `bad_rows: quarantine`, or declare a type that holds it, e.g. "
         "`contract: {columns: {x: varchar}}`"),
        ("b.csv", "n,x\n1,1\n2,2,3\n", "`source`: `{file}`, line 3: it must have 2 fields like the first line, got 3\n\n"
         "hint: correct or remove the file, or describe it in `options` (it is read as csv)"),
        ("b.csv", 'n,x\n1,"1\n2,2\n', "`source`: `{file}`, line 2: unexpected end of data\n\n"
         "hint: correct or remove the file, or describe it in `options` (it is read as csv)"),
        ("b.csv", "n,x\n1,\udcff\n", "`source`: `{file}`: it must be utf-8, got the byte `0xff`\n\n"
         "hint: correct or remove the file, or describe it in `options` (it is read as csv)"),
    ],
    ids=["no-number", "no-double", "ragged", "open-quote", "encoding"],
)  # fmt: skip
def test_a_broken_csv_names_file_line_and_reason(lake: Lake, name: str, text: str, message: str) -> None:
    lake.put("a.csv", "n,x\n1,1.5\n")
    lake.ingest("s1")
    path = lake.landing / name
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert _error(lambda: lake.ingest("s2")) == message.replace("{file}", str(path))
    assert lake.rows() == [(1, 1.5)]


_HINT = "\n\nhint: correct or remove the file, or describe it in `options` (it is read as {})"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.jsonl", b'{"n": 1}\n{"n": q}\n',
         "`source`: `{file}`, line 2: it is not valid JSON: Expecting value: line 1 column 7 (char 6)\n\n"
         "hint: correct the line, or write `bad_rows: quarantine`"),
        ("b.jsonl.gz", gzip.compress(b'{"n": 1}\n')[:-9],
         "`source`: `{file}`: Truncated compressed stream"+_HINT.format("jsonl")),
        ("b.parquet", b"junk", "`source`: `{file}`: Parquet file size is 4 bytes, smaller than the minimum file footer (8 bytes)"
         + _HINT.format("parquet")),
        ("b.csv", b"\xff\n1\n", "`source`: `{file}`: it must be utf-8, got the byte `0xff`" + _HINT.format("csv")),
    ],
    ids=["json", "gzip", "parquet", "encoding"],
)  # fmt: skip
def test_a_broken_file_is_named(lake: Lake, name: str, content: bytes, message: str) -> None:
    path = lake.landing / name
    path.write_bytes(content)
    assert _error(lake.ingest) == message.replace("{file}", str(path))


def test_a_json_value_that_does_not_fit_names_file_and_line(lake: Lake) -> None:
    lake.put("a.jsonl", '{"x": 1.5}\n')
    lake.ingest("s1")
    path = lake.put("b.jsonl", '{"x": 2.5}\n{"x": "abc"}\n')
    assert _error(lambda: lake.ingest("s2")) == (
        f"`source`: `{path}`, line 2: column `x` must be `double`, got `abc`, as in table `bronze/t`\n\n"
        "hint: correct the value, write `bad_rows: quarantine`, or declare a type that holds it, e.g. "
        "`contract: {columns: {x: varchar}}`"
    )


def test_two_formats_in_one_source_are_refused(lake: Lake) -> None:
    one, two = lake.put("a.csv", "n\n1\n"), lake.put("b.jsonl", "{}\n")
    assert _error(lake.ingest) == (
        f"`source`: `{one}` is csv and `{two}` is jsonl; one ingest reads one format\n\n"
        "hint: write a pattern such as `*.csv` in `source`"
    )


def test_a_name_that_says_no_format_is_refused(lake: Lake) -> None:
    path = lake.put("README", "hello")
    assert _error(lake.ingest) == (
        f"`source`: the name of `{path}` does not show its format\n\n"
        "hint: write `format:` with one of `csv`, `tsv`, `json`, `jsonl`, `parquet`, or a pattern such as `*.csv` in `source`"
    )
    assert _error(lambda: lake.ingest(format="xml")) == (
        "`format` must be one of `csv`, `tsv`, `json`, `jsonl`, `parquet`, got `xml`\n\n"
        "hint: convert the files to one of these formats first"
    )


def test_an_unknown_option_names_the_nearest(lake: Lake) -> None:
    lake.put("a.csv", "n\n1\n")
    assert _error(lambda: lake.ingest(options={"delimiter": ";"})) == (
        "`options`: `delimiter` is not an option of format `csv`, which has `delim`, `quote`, `escape`, `header`, "
        "`skip`, `comment`, `nullstr`, `dateformat`, `timestampformat`, `decimal_separator`, `thousands`, `encoding`, "
        "`null_padding`, `types`\n\n"
        "hint: did you mean `delim`?"
    )


def test_a_type_of_a_column_that_is_not_there_names_the_nearest(lake: Lake) -> None:
    lake.put("a.csv", "zip,n\n1,2\n")
    assert _error(lambda: lake.ingest(options={"types": {"zipp": "VARCHAR"}})) == (
        "the contract of table `bronze/t` declares the column `zipp`, which `source` does not have (it has `zip`, `n`)"
        "\n\nhint: did you mean `zip`?"
    )


def _orders(lake: Lake, *rows: tuple[int, str]) -> None:
    with lake.database.begin() as database:
        database.execute(sqlalchemy.text("CREATE TABLE IF NOT EXISTS orders (id INTEGER, note TEXT)"))
        for number, note in rows:
            database.execute(sqlalchemy.text("INSERT INTO orders VALUES (:id, :note)"), {"id": number, "note": note})


def test_sql_rows_above_the_cursor_are_ingested_once(lake: Lake) -> None:
    sql: dict[str, Any] = {"source": "sql://warehouse/orders", "cursor": "id"}
    _orders(lake, (1, "a"), (2, "b"))
    assert lake.ingest("s1", **sql)["rows"] == 2
    assert check_new_data(lake.env("s2"), **sql)["new"] == 0
    _orders(lake, (3, "c"))
    assert check_new_data(lake.env("s3"), **sql)["new"] == 1
    _orders(lake, (4, "d"))
    assert lake.ingest("s3", **sql)["rows"] == 1
    assert lake.ingest("s4", **sql)["rows"] == 1
    assert lake.rows() == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def test_a_slice_that_failed_and_runs_after_a_later_one_leaves_each_sql_row_once(lake: Lake) -> None:
    sql: dict[str, Any] = {"source": "sql://warehouse/orders", "cursor": "id"}
    _orders(lake, (1, "a"), (2, "b"))
    check_new_data(lake.env("s1"), **sql)  # and the run dies here
    _orders(lake, (3, "c"))
    assert lake.ingest("s2", **sql)["rows"] == 3
    assert lake.ingest("s1", **sql)["rows"] == 0  # the later slice has them
    assert lake.rows() == [(1, "a"), (2, "b"), (3, "c")]


def _changes(lake: Lake, *rows: str) -> None:
    with lake.database.begin() as database:
        database.execute(
            sqlalchemy.text("CREATE TABLE IF NOT EXISTS changes (id INTEGER PRIMARY KEY, v REAL, updated_at TIMESTAMP)")
        )
        database.execute(sqlalchemy.text(f"INSERT INTO changes VALUES {', '.join(rows)}"))


def test_rows_that_tie_come_late_or_have_no_cursor_are_read_or_named(lake: Lake) -> None:
    sql: dict[str, Any] = {"source": "sql://warehouse/changes", "cursor": "updated_at", "lag": "2m"}
    _changes(lake, "(1, 1, '2024-01-01 10:00:00.000000')", "(2, 2, '2024-01-01 12:00:00.000000')")
    lake.ingest("s1", **sql)
    _changes(
        lake,
        "(3, 3, '2024-01-01 12:00:00.000000')", "(4, 4, '2024-01-01 11:59:00.000000')",
        "(5, 5, '2024-01-02 09:00:00.000000')", "(6, 6, NULL)",
    )  # fmt: skip
    assert check_new_data(lake.env("s2"), **sql)["new"] == 1
    result = lake.ingest("s2", **sql)
    assert result["rows"] == 3
    assert result["warnings"] == [
        "`source` `sql://warehouse/changes`: 1 row has no `updated_at`, and cannot be read by it"
    ]
    ids = lake.tables.read("bronze/t", columns=["id"]).column("id").to_pylist()
    assert (sorted(ids), sorted(lake.tables.read("bronze/t", slices=["s2"]).column("id").to_pylist())) == (
        [1, 2, 3, 4, 5], [3, 4, 5],
    )  # fmt: skip
    assert check_new_data(lake.env("s3"), **sql)["new"] == 0
    lake.ingest("s1", **sql)  # cleared
    assert sorted(lake.tables.read("bronze/t", columns=["id"]).column("id").to_pylist()) == [1, 2, 3, 4, 5]


def test_serials_that_commit_out_of_order_are_read_with_lag(lake: Lake) -> None:
    sql: dict[str, Any] = {"source": "sql://warehouse/orders", "cursor": "id", "lag": 10}
    _orders(lake, (1, "a"), (3, "c"))
    lake.ingest("s1", **sql)
    _orders(lake, (2, "b"))  # its transaction took its id before that of 3, and committed after
    assert check_new_data(lake.env("s2"), **sql)["new"] == 1
    assert lake.ingest("s2", **sql)["rows"] == 1
    assert lake.rows() == [(1, "a"), (2, "b"), (3, "c")]


def test_a_sql_table_without_a_cursor_is_replaced_when_it_changed(lake: Lake) -> None:
    sql = {"source": "sql://warehouse/orders"}
    _orders(lake, (1, "a"))
    lake.ingest("s1", **sql)
    assert check_new_data(lake.env("s2"), **sql)["new"] == 0
    _orders(lake, (2, "b"))
    assert lake.ingest("s3", **sql)["rows"] == 2
    assert lake.rows() == [(1, "a"), (2, "b")]


def test_keys_of_files_are_refused_for_sql(lake: Lake) -> None:
    _orders(lake, (1, "a"))
    assert _error(lambda: lake.ingest(source="sql://warehouse/orders", format="csv")) == (
        "`format` is for files, and `source` is `sql://warehouse/orders`\n\nhint: remove `format`"
    )


def _ingest_in_process(root: Path, slice_id: str, ready: Any) -> None:
    ready.set()
    Lake(root).ingest(slice_id)


def _process(root: Path, slice_id: str) -> Any:
    """An ingest under way in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["airflow_wall.jobs.ingest"])  # so that a kill does not hit the imports
    ready = context.Event()
    process = context.Process(target=_ingest_in_process, args=(root, slice_id, ready))
    process.start()
    assert ready.wait(60)
    return process


def _land(lake: Lake, slice_id: str) -> list[tuple[str, int]]:
    rows = [(f"{slice_id}-{number:02}", n) for number in range(40) for n in range(50)]
    for name in sorted({name for name, _ in rows}):
        lake.put(f"{name}.csv", "name,n\n" + "".join(f"{name},{n}\n" for n in range(50)))
    return rows


def test_an_ingest_that_is_killed_anywhere_leaves_each_row_once(lake: Lake, tmp_path: Path) -> None:
    whole = Lake(tmp_path / "unharmed")
    _land(whole, "s1")
    process, start = _process(whole.root, "s1"), time.monotonic()
    process.join(60)
    seconds = time.monotonic() - start

    expected, rng, exits = [], random.Random(7), []
    for slice_id in ("s1", "s2"):
        expected += _land(lake, slice_id)
        for _ in range(6):
            process = _process(lake.root, slice_id)
            time.sleep(rng.uniform(0.0, seconds))
            process.kill()
            process.join(60)
            exits.append(process.exitcode)
        lake.ingest(slice_id)
        lake.ingest(slice_id)
    assert exits.count(-signal.SIGKILL) >= 4
    assert lake.ingest("s3")["files"] == 0
    assert lake.rows() == sorted(expected, key=repr)
    assert lake.tables.slices("bronze/t") == ["s1", "s2"]


def test_two_processes_that_ingest_one_slice_at_once_leave_each_row_once(lake: Lake) -> None:
    expected = _land(lake, "s1")
    tries = [_process(lake.root, "s1") for _ in range(3)]  # a zombie or two beside a retry
    for process in tries:
        process.join(60)
    assert [process.exitcode for process in tries] == [0, 0, 0]
    assert lake.rows() == sorted(expected, key=repr)
    assert len(IngestLedger(lakes.Lake(lake.root / "lake")).processed("scores").versions) == 40


def test_a_renamed_file_is_a_new_source_and_a_warning_says_so(lake: Lake) -> None:
    old = lake.put("a.csv", "n\n1\n")
    lake.ingest("s1")
    old.rename(old.with_name("b.csv"))
    (warning,) = lake.ingest("s2")["warnings"]
    assert warning == (
        "`landing/b.csv` has the content of `landing/a.csv`, whose rows are in the table too; if it was only renamed or "
        "copied: `airflow-wall tables drop-slice bronze/t s2 --reason WHY`"
    )
    assert lake.ingest("s3")["warnings"] == []


def test_equal_files_without_rows_and_with_a_key_need_no_warning(lake: Lake) -> None:
    lake.put("a.csv", "n\n")
    lake.ingest("s1")
    lake.put("b.csv", "n\n")
    assert lake.ingest("s2")["warnings"] == []
    lake.put("keyed/a.csv", "n\n1\n")
    lake.ingest("s3", source="landing/keyed", target="bronze/k", key=["n"])
    lake.put("keyed/b.csv", "n\n1\n")
    assert lake.ingest("s4", source="landing/keyed", target="bronze/k", key=["n"])["warnings"] == []

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from publish_lab import Lab, scores

from airflow_wall.errors import ConnectionFault, DataError, ReleaseError


def test_table_holds_every_plain_type(lab: Lab) -> None:
    data = pa.table(
        {
            "at": [datetime(2013, 7, 1, 5, tzinfo=timezone(timedelta(hours=2)))],
            "local": pa.array([datetime(2013, 7, 1, 5)], pa.timestamp("ns")),
            "day": [date(2013, 7, 1)],
            "yes": [True],
            "n": pa.array([3], pa.int16()),
            "x": pa.array([0.5], pa.float32()),
            "price": [Decimal("1.50")],
            "raw": [b"\x00"],
            "nothing": pa.nulls(1),
            "word": pa.array(["x"]).dictionary_encode(),
            'odd "%(name)s: x': ["y"],
        }
    )
    lab.open("r1")
    for _ in range(2):
        lab.stage("r1", data=data, key=())
    lab.close("r1")
    with lab.db() as database:
        (row,) = database.execute("SELECT * FROM scores").fetchall()
        names = [column[1] for column in database.execute("PRAGMA table_info(scores)")]
    assert names == data.column_names
    assert row == (
        "2013-07-01 03:00:00.000000", "2013-07-01 05:00:00.000000", "2013-07-01", 1, 3, 0.5, "1.50", b"\x00", None, "x",
        "y",
    )  # fmt: skip


def test_new_column_is_added_and_a_missing_one_is_null(lab: Lab) -> None:
    lab.publish("r1")
    lab.open("r2")
    lab.stage("r2", data=scores("r2", rows=1, model="m").drop_columns(["score"]))
    assert lab.table() == {"r1": 50}
    lab.close("r2")
    with lab.db() as database:
        assert database.execute("SELECT made_by, score, model FROM scores").fetchall() == [("r2", None, "m")]


def test_column_that_is_null_throughout_fits_any_column(lab: Lab) -> None:
    lab.publish("r1")
    lab.open("r2")
    data = scores("r2")
    lab.stage("r2", data=data.set_column(2, "score", pa.nulls(50)))
    lab.close("r2")
    assert lab.table() == {"r2": 50}


def test_empty_part_is_a_part(lab: Lab) -> None:
    lab.open("r1")
    lab.stage("r1", data=scores("r1", rows=0))
    assert lab.close("r1")["rows"] == 0
    assert lab.table() == {}


def test_table_of_somebody_else_is_never_touched(lab: Lab) -> None:
    with lab.db() as database, database:
        database.execute("CREATE TABLE scores (made_by TEXT)")
        database.execute("INSERT INTO scores VALUES ('user')")
    lab.open("r1")
    with pytest.raises(ReleaseError) as error:
        lab.stage("r1")
    assert str(error.value) == (
        "`to`: connection `platform` has a table `scores` that no release created; it is not changed\n\n"
        "hint: use another table in `to`, or rename that one"
    )
    assert lab.table() == {"user": 1}


@pytest.mark.parametrize("statement", ["VIEW scores AS SELECT 1 AS made_by", "TABLE scores__releases (made_by TEXT)"])
def test_view_or_store_of_somebody_else_is_never_touched(lab: Lab, statement: str) -> None:
    with lab.db() as database:
        database.execute(f"CREATE {statement}")
    lab.open("r1")
    with pytest.raises(ReleaseError, match="that no release created; it is not changed"):
        lab.stage("r1")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            pa.table({"score": ["high"]}),
            "`to`: column `score` of `scores` in connection `platform` holds floats, but the data have text\n\n"
            "hint: cast the column in the transform, or publish to a new table",
        ),
        (
            pa.table({"hour": [0.5]}),
            "`to`: column `hour` of `scores` in connection `platform` holds whole numbers, but the data have floats\n\n"
            "hint: cast the column in the transform, or publish to a new table",
        ),
        (
            pa.table({"tags": [["a"]]}),
            "`sql://platform/scores`: column `tags` has type `list<item: string>`, which SQL columns cannot hold\n\n"
            "hint: convert it to text or to plain columns in the transform",
        ),
        (
            pa.table({"_part": ["a"]}),
            "`sql://platform/scores`: column `_part` is reserved for releases\n\nhint: rename it in the transform",
        ),
        (
            pa.table({"a": [1], "A": [2]}),
            "`sql://platform/scores`: column `A` occurs twice, ignoring case\n\nhint: rename it in the transform",
        ),
        (
            pa.table({"a\nb": [1]}),
            "`sql://platform/scores`: column 'a\\nb' must have a name of 1 to 63 printable bytes\n\n"
            "hint: rename it in the transform",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused(lab: Lab, data: pa.Table, message: str) -> None:
    lab.publish("r1")
    lab.open("r2")
    with pytest.raises(DataError) as error:
        lab.stage("r2", data=data, key=())
    assert str(error.value) == message
    assert lab.table() == {"r1": 50}


def test_number_that_is_too_large_is_refused(lab: Lab) -> None:
    lab.open("r1")
    with pytest.raises(DataError) as error:
        lab.stage("r1", data=pa.table({"n": pa.array([2**64 - 1], pa.uint64())}), key=())
    assert str(error.value) == (
        f"connection `platform` (sqlite:///{lab.database}) refused the rows: Python int too large to convert to SQLite "
        "INTEGER\n\nhint: correct the column in the transform"
    )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            ["domain"],
            "`key` `domain` must be unique, but (domain=EWR) occur in more than one row\n\n"
            "hint: remove the duplicates in the transform, or add a column to `key`",
        ),
        (
            ["domain", "day"],
            "`key` names `day`, but the data has the columns `domain`, `hour`, `score`, `made_by`\n\n"
            "hint: use these columns in `key`, or add the missing ones in the transform",
        ),
    ],
)
def test_key_that_does_not_tell_rows_apart_is_refused(lab: Lab, key: list[str], message: str) -> None:
    lab.open("r1")
    with pytest.raises(DataError) as error:
        lab.stage("r1", key=key)
    assert str(error.value) == message


def test_null_in_the_key_is_refused(lab: Lab) -> None:
    lab.open("r1")
    with pytest.raises(DataError) as error:
        lab.stage("r1", data=pa.table({"domain": ["a", None]}), key="domain")
    assert str(error.value) == (
        "`key`: column `domain` is null in 1 of 2 rows\n\nhint: drop these rows in the transform, or use another `key`"
    )


def test_option_that_a_table_does_not_have_is_refused(lab: Lab) -> None:
    lab.open("r1")
    with pytest.raises(ReleaseError) as error:
        lab.stage("r1", options={"format": "csv"})
    assert str(error.value) == (
        "`format` is not an option of `sql://platform/scores`; it accepts none\n\nhint: remove `format`"
    )


def test_file_of_another_kind_is_a_fault_of_the_connection(lab: Lab) -> None:
    lab.database.write_text("no database, but long enough to have a header, which it has not" * 20)
    lab.open("r1")
    with pytest.raises(ConnectionFault) as error:
        lab.stage("r1")
    assert str(error.value) == (
        f"connection `platform` (sqlite:///{lab.database}) was refused: file is not a database\n\n"
        "hint: correct the connection: `airflow connections get platform` shows it"
    )


def test_database_in_a_folder_that_cannot_be_made_is_a_fault_of_the_connection(lab: Lab) -> None:
    (lab.folder / "file").write_text("")
    lab.connections["platform"] = replace(lab.connections["platform"], host="file/platform.db")
    lab.open("r1")
    with pytest.raises(ConnectionFault) as error:
        lab.stage("r1")
    assert str(error.value) == (
        f"connection `platform`: the directory `{lab.folder / 'file'}` cannot be created: File exists\n\n"
        "hint: name another file in `host`, or correct the directory's permissions"
    )


def test_connection_that_holds_no_tables_is_refused(lab: Lab) -> None:
    lab.connections["platform"] = replace(lab.connections["platform"], conn_type="http")
    lab.open("r1")
    with pytest.raises(ConnectionFault) as error:
        lab.stage("r1")
    assert str(error.value) == (
        "connection `platform` has type `http`, which holds no SQL tables\n\n"
        "hint: name a connection of type `sqlite` or `postgres`"
    )


def test_database_that_fails_at_the_commit_leaves_the_release_open(lab: Lab) -> None:
    lab.publish("r1")
    lab.open("r2")
    lab.stage("r2")
    with lab.db() as database, database:
        database.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON wall_releases WHEN new.release = 'r2' "
            "BEGIN SELECT raise(ABORT, 'disk is full'); END"
        )
    with pytest.raises(DataError, match="disk is full; clients still see release `r1`"):
        lab.close("r2")
    with lab.db() as database, database:
        database.execute("DROP TRIGGER no")
    assert lab.table() == {"r1": 50}
    assert lab.close("r2")["release"] == "r2"


def test_thirteen_thousand_rows_are_staged_fast(lab: Lab) -> None:
    rows = 13_000
    data = scores("r1", rows=rows, at=datetime(2013, 7, 1, tzinfo=UTC), a=1.5, b=2.5, c=3.5, d="text", e=7)
    lab.open("r1")
    lab.stage("r1", data=scores("r1", rows=1, at=datetime(2013, 7, 1, tzinfo=UTC)))
    began = time.process_time()
    lab.stage("r1", data=data)
    assert time.process_time() - began < 1.5
    assert lab.close("r1")["rows"] == rows

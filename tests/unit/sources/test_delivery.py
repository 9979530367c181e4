"""
Values keep every digit, or they are bad values: one delivery after another into one table.

Waits for: tables that hundreds of small deliveries are read into.
"""

from __future__ import annotations

import datetime
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_wall.errors import DataError
from airflow_wall.lake.lake import Lake
from airflow_wall.sources.delivery import Delivery, Rules, read_delivery
from airflow_wall.storage.base import SOURCE, SourceVersion
from airflow_wall.storage.contract import Contract, Evolution, declare, read_declared
from airflow_wall.storage.staging import Staging

UTC = datetime.UTC


class Table:
    """A table that takes deliveries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contract = Contract()
        self.count = 0

    def put(
        self,
        content: str | bytes,
        kind: str = "csv",
        *,
        name: str | None = None,
        options: dict[str, Any] | None = None,
        evolve: dict[str, bool] | None = None,
        contract: dict[str, Any] | None = None,
        keep_bad: bool = False,
    ) -> Delivery:
        self.count += 1
        path = self.folder / (name or f"{self.count}.{kind}")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.read([path], kind, options=options, evolve=evolve, contract=contract, keep_bad=keep_bad)

    def read(
        self,
        paths: list[Path],
        kind: str,
        *,
        options: dict[str, Any] | None = None,
        evolve: dict[str, bool] | None = None,
        contract: dict[str, Any] | None = None,
        keep_bad: bool = False,
    ) -> Delivery:
        declared = read_declared(contract)
        rules = Rules(
            "bronze/t",
            declare(self.contract, declared),
            tuple(declared.columns),
            Evolution.of(evolve),
            keep_bad,
            staging=Staging(Lake(self.folder), "staged"),
        )
        files = {path: SourceVersion(path.name, "1") for path in paths}
        delivery = read_delivery(files, kind=kind, options=options or {}, rules=rules)
        self.contract = delivery.contract
        return delivery


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def rows_of(delivery: Delivery) -> pa.Table:
    return delivery.staged.scan.to_table()


def column(delivery: Delivery, name: str = "x") -> list[Any]:
    values: list[Any] = rows_of(delivery).column(name).to_pylist()
    return values


def error(call: Any) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


def csv_of(*values: str) -> str:
    return "i,x\n" + "".join(f"0,{value}\n" for value in values)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2"], [1, -2]),
        (["01", "2"], ["01", "2"]),
        (["06", "36"], ["06", "36"]),
        (["+49", "1"], ["+49", "1"]),
        (["1.5", "2"], [1.5, 2.0]),
        (["1.50", "2.25"], [1.5, 2.25]),
        (["1.9", "1.10"], ["1.9", "1.10"]),
        (["1e3", "2e4"], ["1e3", "2e4"]),
        (["1e-05", "0.5"], [1e-05, 0.5]),
        (["9007199254740993"], [9007199254740993]),
        (["9007199254740993", "0.5"], [Decimal("9007199254740993.0"), Decimal("0.5")]),
        (["12345678901234567890"], [Decimal("12345678901234567890")]),
        (["0.1234567890123456789"], [Decimal("0.1234567890123456789")]),
        (["0.30000000000000004"], [0.1 + 0.2]),
        (["1" * 39], ["1" * 39]),
        (["-0"], [-0.0]),
        (["true", "false"], [True, False]),
        (["True", "False"], ["True", "False"]),
        (["yes", "no"], ["yes", "no"]),
        (["Yes", "No"], ["Yes", "No"]),
        (["1_000"], ["1_000"]),
        (["0x1F"], ["0x1F"]),
        (["inf", "nan"], ["inf", "nan"]),
        (["2024-01-02"], [datetime.date(2024, 1, 2)]),
        (["2024-01-02 13:45"], [datetime.datetime(2024, 1, 2, 13, 45)]),
        (["2024-01-02", "2024-01-02T13:45:01.5"], [datetime.datetime(2024, 1, 2), datetime.datetime(2024, 1, 2, 13, 45, 1, 500000)]),
        (["2024-01-02T13:45:00-08:00"], [datetime.datetime(2024, 1, 2, 21, 45, tzinfo=UTC)]),
        (["2024-01-02T13:45:00Z", "2024-01-02T13:45:00"], ["2024-01-02T13:45:00Z", "2024-01-02T13:45:00"]),
        (["2024-01-02 13:45:00.1234567"], ["2024-01-02 13:45:00.1234567"]),
        (["10:30", "23:59"], ["10:30", "23:59"]),
        (["03/04/2024"], ["03/04/2024"]),
        (["25/12/03"], ["25/12/03"]),
        (["10.1.12"], ["10.1.12"]),
        (["2024-1-2"], ["2024-1-2"]),
        (["2024-02-30"], ["2024-02-30"]),
        (["NA", "1"], [None, 1]),
        (["N/A", "1.5"], [None, 1.5]),
        (["-", "NULL", "null", "2024-01-02"], [None, None, None, datetime.date(2024, 1, 2)]),
        (["NA", "DE"], ["NA", "DE"]),
        (["NA"], ["NA"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_new_column_gets_the_type_that_holds_each_text(table: Table, texts: list[str], values: list[Any]) -> None:
    read = column(table.put(csv_of(*texts)))
    assert (read, [type(value) for value in read]) == (values, [type(value) for value in values])


@pytest.mark.parametrize(
    ("first", "later", "value"),
    [
        ("90210", "01234", None),
        ("1", "1.75", 1.75),
        ("1", "5.0", 5),
        ("1", "+5", 5),
        ("1", "true", None),
        ("1", "yes", None),
        ("1", "9007199254740993", 9007199254740993),
        ("1.5", "9007199254740993", None),
        ("1.5", "1e3", 1000.0),
        ("1.5", "01.5", None),
        ("2024-01-02", "2024-01-02 13:45", datetime.datetime(2024, 1, 2, 13, 45)),
        ("2024-01-02", "03/04/2024", None),
        ("2024-01-02 13:45", "2024-01-02 13:45-08:00", None),
        ("2024-01-02 13:45Z", "2024-01-02 13:45", None),
        ("2024-01-02 13:45", "2024-01-03", datetime.datetime(2024, 1, 3)),
        ("2024-01-02 13:45", "2024-01-02 13:45:00.1234567", None),
        ("true", "TRUE", True),
        ("true", "1", None),
        ("true", "yes", None),
        ("1", "NA", None),
        ("abc", "01234", "01234"),
        ("abc", "NA", "NA"),
        ("10:30", "10:30:15", "10:30:15"),
    ],
    ids=str,
)
def test_a_later_value_is_exact_or_bad(table: Table, first: str, later: str, value: Any) -> None:
    table.put(csv_of(first))
    if value is None and later != "NA":
        message = error(lambda: table.put(csv_of(first, later)))
        assert "2.csv`, line 3: column `x` must be `" in message
        assert f"got `{later}`, as in table `bronze/t`" in message
        assert "hint: " in message
    else:
        read = column(table.put(csv_of(later)))
        assert read == [value]
        assert type(read[0]) is type(value)


def test_a_leading_zero_says_how_to_keep_it(table: Table) -> None:
    table.put("id,zip\n1,90210\n")
    path = table.folder / "2.csv"
    assert error(lambda: table.put("id,zip\n2,01234\n")) == (
        f"`source`: `{path}`, line 2: column `zip` must be `bigint`, got `01234`, as in table `bronze/t`\n\n"
        "hint: to keep its leading zero, write `contract: {columns: {zip: varchar}}`: rows of the table become text too"
    )
    declared = {"columns": {"zip": "varchar"}}
    assert column(table.put("id,zip\n2,01234\n", contract=declared), "zip") == ["01234"]


def test_wider_types_can_be_rejected(table: Table) -> None:
    table.put(csv_of("1"))
    assert "must be `bigint`, got `1.75`" in error(lambda: table.put(csv_of("1.75"), evolve={"wider_types": False}))


def test_an_empty_or_header_only_first_file_and_an_all_null_column_decide_nothing(table: Table) -> None:
    assert rows_of(table.put("")).num_columns == 0
    assert table.put("i,x\n").staged.rows == 0
    assert column(table.put("i,x\n1,\n")) == [None]
    assert column(table.put("i,x\n2,2024-01-02\n")) == [datetime.date(2024, 1, 2)]
    assert "must be `date`" in error(lambda: table.put("i,x\n3,7\n"))


def test_markers_of_null_are_recorded(table: Table) -> None:
    table.put(csv_of("1", "NA", "-"))
    assert table.contract.columns["x"].nulls == ("-", "NA")


def test_dates_in_another_format_stay_text_with_a_warning(table: Table) -> None:
    (warning,) = table.put(csv_of("03/04/2024", "25/12/2024")).warnings
    assert warning == (
        "column `x` stays text, because its dates are not ISO dates, e.g. `03/04/2024`; to read dates, write their "
        "format, e.g. `options: {dateformat: '%d/%m/%Y'}`"
    )


def test_dateformat_reads_dates(table: Table) -> None:
    options = {"dateformat": "%d/%m/%Y"}
    assert column(table.put(csv_of("03/04/2024"), options=options)) == [datetime.date(2024, 4, 3)]
    assert column(table.put(csv_of("25/12/2024", "2024-01-02"), options=options)) == [
        datetime.date(2024, 12, 25),
        datetime.date(2024, 1, 2),
    ]
    assert "got `12/25/2024`" in error(lambda: table.put(csv_of("12/25/2024"), options=options))


@pytest.mark.parametrize(
    ("content", "options"),
    [("2,y,3\n3,z,4\n", {}), ("id;a;b\n2;y;3\n", {}), ("x,y,z,id\n1,2,3,4\n", {})],
    ids=["no-header", "other-delimiter", "other-table"],
)
def test_a_file_that_shares_almost_no_column_is_rejected(table: Table, content: str, options: dict[str, Any]) -> None:
    table.put("id,a,b\n1,x,2\n")
    message = error(lambda: table.put(content, options=options))
    assert "and table `bronze/t` has `id`, `a`, `b`" in message
    assert "header line and the same delimiter" in message


def test_a_column_that_was_always_there_may_not_be_missing(table: Table) -> None:
    table.put("id,a,b\n1,x,2\n")
    path = table.folder / "2.csv"
    assert error(lambda: table.put("id,zzz,b\n2,y,3\n")) == (
        f"`source`: `{path}` lacks the column `a`, which every file for table `bronze/t` had\n\n"
        "hint: deliver it again, or write `evolve: {missing_columns: true}` to store null instead"
    )
    accepted = table.put("id,b,c\n2,3,4\n", evolve={"missing_columns": True})
    assert column(accepted, "c") == [4]
    assert not table.contract.columns["a"].always
    table.put("id,b\n2,3\n")


def test_a_new_column_is_accepted_or_rejected(table: Table) -> None:
    table.put("id,a\n1,x\n")
    assert "has the column `b`, which table `bronze/t` does not have" in error(
        lambda: table.put("id,a,b\n1,x,2\n", evolve={"new_columns": False})
    )
    assert column(table.put("id,a,b\n1,x,2\n"), "b") == [2]
    table.put("id,a\n1,x\n")


def test_a_declared_contract_holds_from_the_first_file_on(table: Table) -> None:
    contract = {"columns": {"zip": "varchar", "n": {"type": "decimal(10,2)", "nullable": False}}}
    rows = rows_of(table.put("zip,n\n90210,1.5\n", contract=contract))
    assert rows.select(["zip", "n"]).to_pylist() == [{"zip": "90210", "n": Decimal("1.50")}]
    assert "column `n` must not be null" in error(lambda: table.put("zip,n\n1,\n", contract=contract))
    assert "column `n` must be `decimal(10,2)`, got `1.555`" in error(
        lambda: table.put("zip,n\n1,1.555\n", contract=contract)
    )
    assert "declares the column `m`, which `source` does not have" in error(
        lambda: table.put("zip,n\n1,1\n", contract={"columns": {"m": "bigint"}})
    )


@pytest.mark.parametrize("type_", ["numbr", "x); drop table t", "date), (1", "", "interval"])
def test_an_unknown_type_is_an_error(table: Table, type_: str) -> None:
    assert "must be a type of a column" in error(lambda: table.put("x\n1\n", contract={"columns": {"x": type_}}))


def test_bad_rows_are_kept_apart_with_file_line_and_text(table: Table) -> None:
    table.put("id,zip\n1,90210\n")
    delivery = table.put('id,zip\n2,01234\n"a\nb",1\n3,5\n4\n5,6,7\n6,x"y"\n7,8\n', keep_bad=True)
    assert rows_of(delivery).select(["id", "zip"]).to_pylist() == [{"id": 3, "zip": 5}, {"id": 7, "zip": 8}]
    rows = sorted(delivery.rejected, key=lambda row: row.line or 0)
    assert [(row.line, row.column, row.value) for row in rows] == [
        (2, "zip", "01234"),
        (3, "id", "a\nb"),
        (6, None, None),
        (7, None, None),
        (8, "zip", 'x"y"'),
    ]
    assert rows[0].raw == "2,01234"
    assert rows[0].reason == "column `zip` must be `bigint`, got `01234`"


def test_bad_lines_of_json_are_kept_apart(table: Table) -> None:
    table.put('{"id": 1, "zip": 90210}\n', "jsonl")
    text = '{"id": 2, "zip": "01234"}\n\n{"id": \n{"id": 3, "zip": 5}\n7\n{"id": 4, "zip": 0.1234567890123456789}\n'
    delivery = table.put(text, "jsonl", keep_bad=True)
    assert column(delivery, "id") == [3]
    rows = sorted(delivery.rejected, key=lambda row: row.line or 0)
    assert [(row.line, row.column) for row in rows] == [(1, "zip"), (3, None), (5, None), (6, None)]
    assert rows[0].raw == '{"id": 2, "zip": "01234"}'


@pytest.mark.parametrize(
    ("first", "later", "value"),
    [
        ({"x": 90210}, {"x": "01234"}, None),
        ({"x": 1}, {"x": 1.75}, 1.75),
        ({"x": 1}, {"x": True}, None),
        ({"x": "2024-01-02"}, {"x": "2024-01-02 13:45"}, datetime.datetime(2024, 1, 2, 13, 45)),
        ({"x": "01234"}, {"x": 90210}, "90210"),
        ({"x": {"a": 1}}, {"x": {"a": 2, "b": "new"}}, {"a": 2, "b": "new"}),
        ({"x": {"a": 1}}, {"x": {"a": 1.5}}, {"a": 1.5}),
        ({"x": {"a": 1}}, {"x": {"a": "text"}}, None),
        ({"x": [1]}, {"x": [2, 3]}, [2, 3]),
        ({"x": {"d": "2024-01-02"}}, {"x": {"d": "2024-01-02 13:45"}}, {"d": "2024-01-02 13:45"}),
        ({"x": 9007199254740993}, {"x": 12345678901234567890}, Decimal("12345678901234567890")),
    ],
    ids=str,
)
def test_values_of_json_are_exact_or_bad(table: Table, first: Any, later: Any, value: Any) -> None:
    table.put(json.dumps({"i": 0, **first}) + "\n", "jsonl")
    text = json.dumps({"i": 1, **later}) + "\n"
    if value is None:
        assert "line 1: column `x` must be" in error(lambda: table.put(text, "jsonl"))
    else:
        assert column(table.put(text, "jsonl")) == [value]


def test_a_json_list_is_json_but_not_lines(table: Table) -> None:
    rows = '[{"i": 1, "x": "a"},\n {"i": 2}]'
    assert column(table.put(rows, "json")) == ["a", None]
    assert column(table.put('{"i": 3,\n "x": "b"}\n{"i": 4, "x": "c"}', "json")) == ["b", "c"]
    assert "holds one JSON list, and `jsonl` is one object per line" in error(lambda: table.put(rows, "jsonl"))


def test_a_key_that_json_leaves_out_now_and_then_may_be_missing(table: Table) -> None:
    table.put('{"i": 1, "x": 2, "y": 1}\n{"i": 1, "y": 1}\n', "jsonl")
    table.put('{"i": 1, "y": 3}\n', "jsonl")
    assert "lacks the column `y`" in error(lambda: table.put('{"i": 1, "x": 3}\n', "jsonl"))


@pytest.mark.parametrize("digits", ["0.1234567890123456789", "123456789012345678901234567890123456789"])
def test_a_number_of_json_that_would_lose_digits_is_an_error(table: Table, digits: str) -> None:
    message = error(lambda: table.put(f'{{"i": 1, "x": {digits}}}\n', "jsonl"))
    assert f"line 1: the number `{digits}` has more digits than a number of JSON keeps; write it as text" in message


def test_text_in_another_encoding_and_mixed_line_ends_are_read(table: Table) -> None:
    assert column(table.put("i,x\n1,caf\u00e9 \u20ac\n".encode("cp1252"), options={"encoding": "cp1252"})) == ["café €"]
    mixed = table.put(b'i,x\r\n1,a\n2,"b\r\nc"\r\n3,\n')
    assert column(mixed) == ["a", "b\r\nc", None]
    assert column(table.put(b"\xef\xbb\xbfi,x\n1,a\n")) == ["a"]


def test_tabs_zstd_and_gzip_are_read(table: Table) -> None:
    assert column(table.put("i\tx\n1\ta,b\n", options={"delim": "\t"})) == ["a,b"]
    content = csv_of("c").encode()
    assert column(table.put(gzip.compress(content), name="a.csv.gz")) == ["c"]
    assert column(table.put(bytes(pa.compress(content, "zstd", asbytes=True)), name="a.csv.zst")) == ["c"]
    line = b'{"i": 1, "x": "d"}\n'
    assert column(table.put(bytes(pa.compress(line, "zstd", asbytes=True)), "jsonl", name="a.jsonl.zst")) == ["d"]


def test_a_header_that_names_a_column_twice_is_an_error(table: Table) -> None:
    assert "line 1: the header names the column `A` twice" in error(lambda: table.put("a,b,A\n1,2,3\n"))


def test_files_with_other_columns_and_orders_are_one_delivery(table: Table) -> None:
    paths = [table.folder / name for name in ("a.csv", "b.csv")]
    paths[0].write_text("i,x\n1,2\n")
    paths[1].write_text("X,i,new\n3.5,2,z\n")
    rows = rows_of(table.read(paths, "csv"))
    assert rows.select(["i", "x", "new", SOURCE]).to_pylist() == [
        {"i": 1, "x": 2.0, "new": None, SOURCE: "a.csv"},
        {"i": 2, "x": 3.5, "new": "z", SOURCE: "b.csv"},
    ]


@pytest.mark.parametrize(
    ("array", "stored"),
    [
        (pa.array([datetime.time(10, 30)]), "10:30:00"),
        (pa.array([None], pa.null()), None),
        (pa.array([2**63], pa.uint64()), Decimal(2**63)),
        (pa.array([datetime.datetime(2024, 1, 2)], pa.timestamp("ns")), datetime.datetime(2024, 1, 2)),
        (pa.array(["a"]).dictionary_encode(), "a"),
        (pa.array([b"\0\xff"]), b"\0\xff"),
        (pa.array([[1, 2]]), [1, 2]),
    ],
    ids=str,
)
def test_columns_of_parquet_are_stored_exactly(table: Table, array: Any, stored: Any) -> None:
    path = table.folder / "a.parquet"
    pq.write_table(pa.table({"i": [1], "x": array}), path)
    assert column(table.read([path], "parquet")) == [stored]


@pytest.mark.parametrize(
    ("first", "later", "stored"),
    [
        (pa.array([1]), pa.array([1.5]), 1.5),
        (pa.array([1]), pa.array([3.0]), 3),
        (pa.array([1]), pa.array(["1"]), 1),
        (pa.array([1]), pa.array(["01"]), None),
        (pa.array([1], pa.int32()), pa.array([2**40]), 2**40),
        (pa.array([1.5]), pa.array([2**53 + 1]), None),
        (pa.array([datetime.date(2024, 1, 2)]), pa.array([datetime.datetime(2024, 1, 2, 3)]), datetime.datetime(2024, 1, 2, 3)),
        (pa.array(["x"]), pa.array([1]), None),
        (pa.array([datetime.datetime(2024, 1, 2)]), pa.array([1704153600000000001], pa.timestamp("ns")), None),
        (pa.array([None], pa.null()), pa.array([1]), 1),
    ],
    ids=str,
)  # fmt: skip
def test_later_columns_of_parquet_are_exact_or_bad(table: Table, first: Any, later: Any, stored: Any) -> None:
    paths = [table.folder / name for name in ("a.parquet", "b.parquet")]
    for path, array in zip(paths, (first, later), strict=True):
        pq.write_table(pa.table({"i": [1], "x": array}), path)
    table.read(paths[:1], "parquet")
    if stored is None:
        assert "column `x` must be" in error(lambda: table.read(paths[1:], "parquet"))
    else:
        assert column(table.read(paths[1:], "parquet")) == [stored]


def test_a_contract_survives_as_json(table: Table) -> None:
    table.put("i,x,d,n\n1,NA,2024-01-02,1.5\n")
    assert Contract.from_json(json.loads(json.dumps(table.contract.to_json()))) == table.contract


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_keep_the_order_of_files_and_lines(table: Table, kind: str) -> None:
    """On several threads, a query with a join returns its rows in any order."""
    ids = list(range(400_000))
    for number, part in enumerate([ids[:3], ids[3:6], ids[6:300_000], ids[300_000:]]):
        rows = pa.table({"id": part, "v": pa.array(["1"] * len(part))})
        path = table.folder / f"{number}.{kind}"
        if kind == "csv":
            path.write_text("id,v\n" + "".join(f"{id_},1\n" for id_ in part))
        elif kind == "jsonl":
            path.write_text("".join(f'{{"id": {id_}, "v": "1"}}\n' for id_ in part))
        else:
            pq.write_table(rows, path)
    columns = {"id": "bigint", "v": "varchar" if kind == "jsonl" else "bigint"}
    delivery = table.read(sorted(table.folder.iterdir()), kind, contract={"columns": columns}, keep_bad=True)
    assert column(delivery, "id") == ids


def test_a_first_file_brings_no_column_that_a_closed_contract_does_not_declare(table: Table) -> None:
    closed: Any = {"contract": {"columns": {"id": "bigint"}}, "evolve": {"new_columns": False}}
    message = error(lambda: table.put("id,extra\n1,2\n", **closed))
    assert "has the column `extra`, which table `bronze/t` does not declare" in message
    assert column(table.put("id\n1\n", **closed), "id") == [1]

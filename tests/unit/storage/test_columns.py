from __future__ import annotations

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from airflow_wall.errors import DataError
from airflow_wall.storage.columns import fit, storable


@pytest.mark.parametrize(
    ("found", "stored"),
    [
        (pa.large_string(), pa.string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.timestamp("ns"), pa.timestamp("us")),
        (pa.timestamp("ms", tz="Europe/Berlin"), pa.timestamp("us", tz="UTC")),
        (pa.uint8(), pa.int16()),
        (pa.uint64(), pa.decimal128(20)),
        (pa.float16(), pa.float32()),
        (pa.date64(), pa.date32()),
        (pa.list_(pa.uint8()), pa.list_(pa.int16())),
        (pa.struct([("x", pa.uint16())]), pa.struct([("x", pa.int32())])),
        (pa.map_(pa.string(), pa.uint8()), pa.map_(pa.string(), pa.int16())),
        (pa.int64(), pa.int64()),
    ],
    ids=str,
)
def test_a_column_is_stored_in_a_type_that_tables_have(found: pa.DataType, stored: pa.DataType) -> None:
    data = pa.table({"a": pa.array([None], found)})
    assert storable(data, table="t").schema.field("a").type == stored


def test_values_survive_the_change_of_type() -> None:
    data = pa.table({"n": pa.array([2**63], pa.uint64()), "t": pa.array([1_500], pa.timestamp("ns"))})
    rows = storable(data, table="t").to_pydict()
    assert rows == {"n": [Decimal(2**63)], "t": [datetime.datetime(1970, 1, 1, 0, 0, 0, 1)]}


@pytest.mark.parametrize(
    "kind", [pa.time64("us"), pa.duration("s"), pa.list_(pa.time32("s")), pa.struct([("x", pa.time32("s"))])], ids=str
)
def test_a_type_that_no_table_holds_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(DataError) as caught:
        storable(pa.table({"at": pa.array([None], kind)}), table="b/t")
    assert str(caught.value) == (
        f"column `at` of the rows for table `b/t` has type `{kind}`, which no table holds\n\n"
        "hint: cast it: `CAST(at AS VARCHAR) AS at`"
    )


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        storable(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "X"]), table="b/t")
    assert str(caught.value) == (
        "the rows for table `b/t` have two columns `X` (upper and lower case are the same)\n\n"
        "hint: give one of them another name: `... AS X_2`"
    )


@pytest.mark.parametrize(
    ("found", "known"),
    [
        (pa.int64(), pa.int32()),
        (pa.string(), pa.int64()),
        (pa.float64(), pa.float32()),
        (pa.date32(), pa.timestamp("us")),
        (pa.timestamp("us"), pa.timestamp("us", tz="UTC")),
        (pa.decimal128(9, 3), pa.decimal128(9, 2)),
    ],
    ids=str,
)
def test_a_type_that_could_lose_something_is_refused(found: pa.DataType, known: pa.DataType) -> None:
    with pytest.raises(DataError, match="has type"):
        fit(pa.table({"a": pa.array([None], found)}), pa.schema([("a", known)]), table="t")


def test_known_columns_come_first_and_in_order() -> None:
    data = pa.table({"new": [1], "b": [2], "a": [3]})
    known = pa.schema([("a", pa.int64()), ("gone", pa.int64()), ("b", pa.int64())])
    assert fit(data, known, table="t").column_names == ["a", "b", "new"]

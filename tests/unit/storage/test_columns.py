from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_wall.errors import DataError
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import SLICE
from airflow_wall.storage.columns import fit
from airflow_wall.storage.delta import DeltaStore
from airflow_wall.storage.staging import Staging


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(Lake(tmp_path), "t")


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    return DeltaStore(tmp_path)


def put(store: DeltaStore, slice_id: str, rows: pa.Table, *, retype: bool = False) -> None:
    store.replace_slice("t", rows, slice_id=slice_id, number=1, retype=retype)


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
def test_a_column_is_stored_in_a_type_that_tables_have(
    staging: Staging, found: pa.DataType, stored: pa.DataType
) -> None:
    part = staging.stage_table(pa.table({"a": pa.array([None], found)}), table="t")
    assert part.schema.field("a").type == part.scan.to_table().schema.field("a").type == stored


def test_values_survive_the_change_of_type(staging: Staging) -> None:
    data = pa.table({"n": pa.array([2**63], pa.uint64()), "t": pa.array([1_500], pa.timestamp("ns"))})
    rows = staging.stage_table(data, table="t").scan.to_table().to_pydict()
    assert rows == {"n": [Decimal(2**63)], "t": [datetime(1970, 1, 1, 0, 0, 0, 1)]}


@pytest.mark.parametrize(
    "kind", [pa.time64("us"), pa.duration("s"), pa.list_(pa.time32("s")), pa.struct([("x", pa.time32("s"))])], ids=str
)
def test_a_type_that_no_table_holds_is_refused(staging: Staging, kind: pa.DataType) -> None:
    with pytest.raises(DataError) as caught:
        staging.stage_table(pa.table({"at": pa.array([None], kind)}), table="b/t")
    assert str(caught.value) == (
        f"column `at` of the rows for table `b/t` has type `{kind}`, which tables cannot store\n\n"
        "hint: cast it: `CAST(at AS VARCHAR) AS at`"
    )


def test_two_columns_of_one_name_are_refused(staging: Staging) -> None:
    with pytest.raises(DataError) as caught:
        staging.stage_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "X"]), table="b/t")
    assert str(caught.value) == (
        "the rows for table `b/t` have two columns `X` (names are compared without case)\n\n"
        "hint: rename one of them: `... AS X_2`"
    )


@pytest.mark.parametrize(
    ("found", "known"),
    [
        (pa.string(), pa.int64()),
        (pa.int64(), pa.string()),
        (pa.timestamp("us"), pa.timestamp("us", tz="UTC")),
        (pa.float64(), pa.decimal128(9, 2)),
        (pa.struct([("x", pa.string())]), pa.struct([("x", pa.int64())])),
    ],
    ids=str,
)
def test_a_type_that_is_not_wider_is_refused(found: pa.DataType, known: pa.DataType) -> None:
    with pytest.raises(DataError, match="must have type"):
        fit(pa.schema([("a", found)]), pa.schema([("a", known)]), table="t", are_exact=lambda *_: True)


def test_known_columns_come_first_and_in_order() -> None:
    data = pa.schema([("new", pa.int64()), ("B", pa.int64()), ("a", pa.int64())])
    known = pa.schema([("a", pa.int64()), ("gone", pa.int64()), ("b", pa.int64())])
    columns = fit(data, known, table="t", are_exact=lambda *_: True).columns
    assert list(columns.items()) == [("a", "a"), ("B", "b"), ("new", "new")]


@pytest.mark.parametrize(
    ("values", "known", "kept", "wider"),
    [
        ([3.0, None], pa.int64(), [3, None], None),
        ([3.5], pa.int64(), [3.5], pa.float64()),
        ([2**40], pa.int32(), [2**40], pa.int64()),
        ([7], pa.int32(), [7], None),
        ([2], pa.float64(), [2.0], None),
        ([Decimal("1.25")], pa.decimal128(9, 1), [Decimal("1.25")], pa.decimal128(10, 2)),
        ([date(2024, 1, 2)], pa.timestamp("us"), [datetime(2024, 1, 2)], None),
        ([datetime(2024, 1, 2, 3)], pa.date32(), [datetime(2024, 1, 2, 3)], pa.timestamp("us")),
        ([{"x": 1, "y": "a"}], pa.struct([("x", pa.int64())]), [{"x": 1, "y": "a"}], "struct"),
    ],
    ids=str,
)
def test_values_fit_the_type_of_the_table_or_make_it_wider(
    store: DeltaStore, values: list[Any], known: pa.DataType, kept: list[Any], wider: pa.DataType | str | None
) -> None:
    put(store, "s1", pa.table({"a": pa.array([None], known)}))
    put(store, "s2", pa.table({"a": values}))
    assert store.read("t").column("a").to_pylist() == [None, *kept]
    if wider != "struct":
        assert store.schema("t").field("a").type == (wider or known)


@pytest.mark.parametrize(
    ("values", "new", "converted"),
    [
        ([1, None], pa.string(), ["1", None]),
        (["1", None, "NA"], pa.int64(), [1, None, None]),
        ([2**53], pa.float64(), [float(2**53)]),
        ([True], pa.string(), ["true"]),
    ],
    ids=str,
)
def test_a_column_is_converted_exactly(
    store: DeltaStore, values: list[Any], new: pa.DataType, converted: list[Any]
) -> None:
    put(store, "s1", pa.table({"a": values, "b": values}))
    put(store, "s2", pa.table({"a": pa.array([None], new)}), retype=True)
    rows = store.read("t", slices=["s1"])
    assert (rows.column("a").to_pylist(), rows.column("b").to_pylist()) == (converted, values)


@pytest.mark.parametrize(
    ("values", "new"),
    [([2**53 + 1], pa.float64()), (["01"], pa.int64()), ([1.5], pa.string()), (["2024-01-02 10:30"], pa.date32())],
    ids=str,
)
def test_a_conversion_that_is_not_exact_is_an_error(store: DeltaStore, values: list[Any], new: pa.DataType) -> None:
    put(store, "s1", pa.table({"a": values}))
    with pytest.raises(DataError, match="column `a` of table `t` cannot become"):
        put(store, "s2", pa.table({"a": pa.array([None], new)}), retype=True)
    assert store.read("t", columns=["a", SLICE]).to_pydict() == {"a": values, SLICE: ["s1"] * len(values)}

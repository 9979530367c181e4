from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.digests import digest_of

MOMENT = dt.datetime(2013, 7, 1, 5, 59)
COLUMNS = {
    "bool": pa.array([True, None, False, True]),
    "int8": pa.array([1, None, -3, 4], pa.int8()),
    "int64": pa.array([1, None, 3, 4]),
    "double": pa.array([0.5, None, float("nan"), -0.0]),
    "half": pa.array(np.array([0.5, 1, 2, 3], np.float16)),
    "date": pa.array([dt.date(2013, 7, 1), None, dt.date(1960, 1, 1), None]),
    "moment": pa.array([MOMENT, None, MOMENT, None], pa.timestamp("us", "UTC")),
    "length": pa.array([1, None, 2, 3], pa.duration("s")),
    "decimal": pa.array([Decimal("1.25"), None, Decimal("-2.50"), None], pa.decimal128(9, 2)),
    "text": pa.array(["a", None, "", "über"]),
    "view": pa.array(["a", None, "", "a text that is longer than a view"], pa.string_view()),
    "bytes": pa.array([b"\0", None, b"", b"x"]),
    "fixed": pa.array([b"ab", None, b"cd", b"ef"], pa.binary(2)),
    "word": pa.array(["a", None, "b", "a"]).dictionary_encode(),
    "list": pa.array([[1, None], None, [], [2]]),
    "struct": pa.array([{"a": 1, "b": None}, None, {"a": None, "b": "x"}, {"a": 2, "b": "y"}]),
    "deep": pa.array([[{"a": ["x", None]}], None, [], [None, {"a": None}]]),
    "map": pa.array([[("a", 1)], None, [], [("b", None)]], pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(4),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_how_arrow_holds_a_column_does_not_count(name: str) -> None:
    column = COLUMNS[name]
    expected = digest_of(pa.table({name: column}))
    inside = pa.concat_arrays([column.slice(2), column, column]).slice(2, 4)
    assert digest_of(pa.table({name: inside})) == expected
    pieces = pa.chunked_array([column.slice(0, 1), column.slice(1, 0), column.slice(1)])
    assert digest_of(pa.table({name: pieces})) == expected
    assert digest_of(pa.table({name: column.slice(0, 3)})) != expected
    if name != "null":
        backwards = pa.concat_arrays([column.slice(place, 1) for place in (3, 2, 1, 0)])
        assert digest_of(pa.table({name: backwards})) != expected


def test_what_stands_under_a_null_does_not_count() -> None:
    valid = pa.py_buffer(b"\x05")  # the middle one of three is null
    for kind, garbage in ((pa.int64(), [7, 99, 8]), (pa.float64(), [7.0, 1e300, 8.0])):
        clean = pa.array([garbage[0], None, garbage[2]], kind)
        dirty = pa.Array.from_buffers(kind, 3, [valid, pa.array(garbage, kind).buffers()[1]])
        assert dirty.equals(clean)
        assert digest_of(pa.table({"x": dirty})) == digest_of(pa.table({"x": clean}))
    words = pa.array(["a", "garbage", "c"])
    dirty = pa.Array.from_buffers(pa.string(), 3, [valid, *words.buffers()[1:]])
    assert digest_of(pa.table({"x": dirty})) == digest_of(pa.table({"x": ["a", None, "c"]}))
    bits = pa.Array.from_buffers(pa.bool_(), 3, [None, pa.py_buffer(b"\xfd")])  # and five that are none of its values
    assert digest_of(pa.table({"x": bits})) == digest_of(pa.table({"x": [True, False, True]}))


def test_names_types_and_origins_count_and_values_do_not_run_together() -> None:
    seen = [
        digest_of(pa.table({"x": ["ab", "c"]})),
        digest_of(pa.table({"x": ["a", "bc"]})),
        digest_of(pa.table({"y": ["ab", "c"]})),
        digest_of(pa.table({"x": [b"ab", b"c"]})),
        digest_of(pa.table({"x": ["ab", "c"]}), "landing/a.csv"),
        digest_of(pa.table({"x": [["ab"], ["c"]]})),
        digest_of(pa.table({"x": [["ab", "c"], []]})),
        digest_of(pa.table({"x": [1, None]})),
        digest_of(pa.table({"x": [None, 1]})),
        digest_of(pa.table({"x": [1], "y": [2]})),
        digest_of(pa.table({})),
    ]
    assert len(set(seen)) == len(seen)


def test_many_rows_are_digested_as_one_column() -> None:
    rows = pa.table({"n": pa.array(range(200_000)), "text": [str(n) for n in range(200_000)]})
    pieces = pa.concat_tables([rows.slice(0, 70_001), rows.slice(70_001)])
    assert digest_of(pieces) == digest_of(rows) == digest_of(rows.take(pa.array(range(200_000))))
    assert digest_of(rows.slice(0, 199_999)) != digest_of(rows)

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.errors import ModelError
from airflow_wall.models.base import Feature, ModelLineage, ModelRecord, Window
from airflow_wall.models.features import check_fit, target_of, to_frame, widens

LINEAGE = ModelLineage("p", "r", "s", "2013-07-01T00:00:00Z", "m:f", "", {})
FEATURES = (Feature("temp", "double"), Feature("hour", "int64"), Feature("place", "string"))
RECORD = ModelRecord(
    "m", 3, "lightgbm", "model.lightgbm", "", "", "", "regression", FEATURES, "y", {}, {}, 1, 1, Window(""), LINEAGE
)


@pytest.mark.parametrize(
    "types",
    [
        {"temp": pa.float64(), "hour": pa.int64(), "place": pa.string()},
        {"temp": pa.float64(), "hour": pa.float64(), "place": pa.large_string(), "more": pa.date32()},
        {"temp": pa.null(), "hour": pa.decimal128(22, 2), "place": pa.dictionary(pa.int8(), pa.string())},
    ],
)
def test_rows_fit_when_every_feature_is_there_in_its_kind(types):
    check_fit(RECORD, pa.schema(types), "the rows")


def test_all_columns_that_do_not_fit_are_named():
    schema = pa.schema({"temp": pa.string(), "hours": pa.int64(), "place": pa.int64()})
    with pytest.raises(ModelError) as caught:
        check_fit(RECORD, schema, "`inputs.features` (`silver/*`)")
    assert str(caught.value) == (
        "`inputs.features` (`silver/*`) does not fit version 3 of model `m`: it has no column `hour` and has columns "
        "of another type: `temp` is `string` (was `double`), `place` is `int64` (was `string`)\n\n"
        "hint: correct the columns in the step that writes them, or run retrain on the new ones; "
        "was `hour` renamed to `hours`?"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("int32", "int64", True),
        ("int64", "int32", False),
        ("uint32", "int64", True),
        ("uint32", "int32", False),
        ("int32", "uint64", False),
        ("int64", "double", True),
        ("double", "int64", False),
        ("float", "double", True),
        ("double", "float", False),
        ("int16", "float", True),
        ("int32", "float", False),
        ("int32", "decimal128(12, 2)", True),
        ("int64", "decimal128(9, 2)", False),
        ("decimal128(9, 2)", "decimal128(12, 3)", True),
        ("decimal128(9, 2)", "decimal128(12, 1)", False),
        ("decimal128(9, 2)", "double", True),
        ("double", "decimal128(38, 9)", False),
        ("date32[day]", "timestamp[us]", True),
        ("timestamp[us]", "date32[day]", False),
        ("timestamp[us]", "timestamp[us, tz=UTC]", False),
        ("string", "large_string", True),
        ("bool", "int8", False),
    ],
)
def test_a_type_that_holds_all_values_of_another_is_wider(old, new, expected):
    assert widens(old, new) is expected


def test_decimals_become_floats():
    found = to_frame(pa.table({"a": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)), "b": ["x", "y"]}))
    assert found["a"].dtype == np.float64
    assert found["a"][0] == 1.5


def test_a_target_of_text_is_refused():
    rows = pa.table(
        {"y": ["1"], "n": [None], "late": [True]},
        schema=pa.schema({"y": pa.string(), "n": pa.int64(), "late": pa.bool_()}),
    )
    assert np.isnan(target_of(rows, "n", "x")[0])
    assert target_of(rows, "late", "x").tolist() == [1.0]
    with pytest.raises(ModelError) as caught:
        target_of(rows, "y", "`inputs.features`")
    assert str(caught.value) == (
        "the target `y` of `inputs.features` must be a number, got `string`\n\n"
        "hint: convert it in the step that writes it"
    )

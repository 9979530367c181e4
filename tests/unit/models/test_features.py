from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.errors import ModelError
from airflow_wall.models.base import Feature, Lineage, ModelRecord, Window
from airflow_wall.models.features import check_fit, target_of, to_frame

LINEAGE = Lineage("p", "r", "s", "2013-07-01T00:00:00Z", "m:f", "", {})
FEATURES = (Feature("temp", "double"), Feature("hour", "int64"), Feature("place", "string"))
RECORD = ModelRecord(
    "m", 3, "lightgbm", "model.lightgbm", "", "", "", "regression", FEATURES, "y", {}, {}, 1, 1, Window(""), LINEAGE
)


@pytest.mark.parametrize(
    "types",
    [
        {"temp": pa.float64(), "hour": pa.int64(), "place": pa.string()},
        {"temp": pa.int32(), "hour": pa.float32(), "place": pa.large_string(), "more": pa.date32()},
        {"temp": pa.null(), "hour": pa.decimal128(9, 2), "place": pa.dictionary(pa.int8(), pa.string())},
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

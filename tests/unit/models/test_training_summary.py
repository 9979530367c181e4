from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from airflow_wall.models.base import FeatureSummary
from airflow_wall.models.training_summary import summarize

ROWS = pa.table(
    {
        "number": [*range(1, 101), None],
        "float": [0.5, math.nan, math.inf] + [None] * 98,
        "decimal": pa.array([Decimal("1.5")] * 101, pa.decimal128(10, 2)),
        "text": ["a"] * 60 + ["b"] * 40 + [None],
        "many": [f"{number:03}" for number in range(101)],
        "flag": [True, False, None] + [True] * 98,
        "time": [datetime(2013, 7, 1)] * 101,
        "empty": pa.nulls(101, pa.float64()),
    }
)


def test_numbers_are_counted_in_bins_of_equal_weight():
    summary = summarize(ROWS, ["number"])["number"]
    assert summary.counts == (10,) * 10
    assert summary.edges == pytest.approx((10.9, 20.8, 30.7, 40.6, 50.5, 60.4, 70.3, 80.2, 90.1))
    assert summary.texts is None


def test_values_that_are_all_equal_have_bins_around_them():
    summary = summarize(ROWS, ["decimal", "float"])
    assert summary["decimal"].counts == (0, 101, 0)
    assert summary["float"].counts == (0, 1, 0), "NaN and infinity are no values"


def test_texts_and_booleans_are_counted():
    summary = summarize(ROWS, ["text", "flag", "many"])
    assert summary["text"] == FeatureSummary((60, 40, 0), texts=("a", "b"), nulls=1)
    assert summary["flag"] == FeatureSummary((99, 1, 0), texts=("true", "false"), nulls=1)
    assert len(summary["many"].texts) == 50
    assert summary["many"].counts[-1] == 51


def test_other_columns_have_no_summary():
    assert summarize(ROWS, ["time", "empty"]) == {}

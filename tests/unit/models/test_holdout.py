from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from airflow_wall.errors import DataError, ModelError
from airflow_wall.models.holdout import split

START = datetime(2013, 1, 1)
HOURS = [START + timedelta(hours=i // 2) for i in range(100)]  # two rows an hour
ROWS = pa.table({"id": range(100), "hour": pa.array(HOURS, pa.timestamp("us")), "y": [float(i) for i in range(100)]})


def ids(rows):
    return rows.column("id").to_pylist()


def test_the_last_fifth_by_time_is_held_out():
    found = split({"features": ROWS}, None)
    assert ids(found.training["features"]) == list(range(80))
    assert ids(found.held_out) == list(range(80, 100))
    assert found.window.how == "`hour` from 2013-01-02T16:00:00"
    assert (found.window.first, found.window.last) == ("2013-01-01T00:00:00", "2013-01-02T15:00:00")


def test_rows_of_one_moment_stay_together():
    found = split({"features": ROWS}, {"fraction": 0.25 - 0.01})
    assert not set(found.training["features"].column("hour").to_pylist()) & set(
        found.held_out.column("hour").to_pylist()
    )
    assert found.held_out.num_rows % 2 == 0


def test_the_order_of_rows_does_not_matter():
    shuffled = ROWS.take([(i * 37) % 100 for i in range(100)])
    assert sorted(ids(split({"features": shuffled}, None).held_out)) == list(range(80, 100))


def test_a_row_without_a_time_is_trained_on():
    hours = pa.array([None, *HOURS[1:]], pa.timestamp("us"))
    found = split({"features": ROWS.set_column(1, "hour", hours)}, None)
    assert 0 in ids(found.training["features"])
    assert found.training["features"].num_rows + found.held_out.num_rows == 100


def test_later_rows_of_other_inputs_are_withheld_and_inputs_without_the_time_are_whole():
    found = split({"features": ROWS, "weather": ROWS.select(["hour"]), "places": pa.table({"name": ["a"]})}, None)
    assert found.training["weather"].num_rows == 80
    assert found.training["places"].num_rows == 1


def test_rows_without_a_time_are_split_by_a_hash_that_does_not_change():
    rows = ROWS.drop_columns(["hour"])
    found = split({"features": rows}, {"fraction": 0.3})
    again = split({"features": rows.slice(50)}, {"fraction": 0.3})
    assert 15 < found.held_out.num_rows < 45
    assert set(ids(again.held_out)) == {i for i in ids(found.held_out) if i >= 50}
    assert not set(ids(found.training["features"])) & set(ids(found.held_out))


def test_rows_that_share_a_text_stay_together():
    rows = ROWS.append_column("plane", pa.array([f"N{i % 20}" for i in range(100)]))
    found = split({"features": rows}, {"by": "plane", "fraction": 0.3})
    held = set(found.held_out.column("plane").to_pylist())
    assert held
    assert not held & set(found.training["features"].column("plane").to_pylist())


def test_when_most_rows_have_the_first_time_the_later_ones_are_held_out():
    hours = pa.array([START] * 95 + [START + timedelta(hours=1)] * 5, pa.timestamp("us"))
    assert split({"features": ROWS.set_column(1, "hour", hours)}, None).held_out.num_rows == 5


@pytest.mark.parametrize(
    ("rows", "holdout", "error", "message"),
    [
        (ROWS, {"part": 0.2}, ModelError, "`holdout` has no key `part`\n\nhint: known keys: `by`, `fraction`."),
        (
            ROWS,
            {"fraction": 1},
            ModelError,
            "`holdout.fraction` must be a number between 0 and 1, got `1`\n\nhint: write, e.g., 0.2",
        ),
        (
            ROWS,
            {"by": "day"},
            ModelError,
            "`holdout.by` must be a column of `inputs.features`, got `day`\n\nhint: its columns are `id`, `hour`, `y`",
        ),
        (
            ROWS.set_column(1, "hour", pa.array([START] * 100, pa.timestamp("us"))),
            None,
            DataError,
            "all rows of `inputs.features` have the same `hour`, 2013-01-01T00:00:00, so it cannot split them\n\n"
            "hint: name another column as `holdout.by`",
        ),
        (
            ROWS.slice(0, 0),
            None,
            DataError,
            "`hour` of `inputs.features` has no value in 0 rows, so it cannot split them\n\n"
            "hint: name another column as `holdout.by`",
        ),
        (
            ROWS.select(["id"]).slice(1, 1),
            {"fraction": 0.0001, "by": None},
            DataError,
            "`holdout.fraction` 0.0001: none of the 1 rows of `inputs.features` is held out\n\n"
            "hint: change `holdout.fraction`, or provide more rows",
        ),
    ],
    ids=["key", "fraction", "by", "one-time", "no-rows", "too-few"],
)
def test_a_split_that_cannot_be_is_refused(rows, holdout, error, message):
    with pytest.raises(error) as caught:
        split({"features": rows}, holdout)
    assert str(caught.value) == message

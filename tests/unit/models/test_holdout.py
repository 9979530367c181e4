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
    assert found.window.how == (
        "`hour` from 2013-01-02T16:00:00 (chosen by default: the first column of times; `holdout.by` names another)"
    )
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


@pytest.mark.parametrize("start", ["2013-01-02T00:00", "2013-01-02", datetime(2013, 1, 2)])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_rows_from_a_value_on_can_be_held_out(start, zone):
    rows = ROWS.set_column(1, "hour", ROWS["hour"].cast(pa.timestamp("us", zone)))
    found = split({"features": rows}, {"by": "hour", "from": start})
    assert ids(found.held_out) == list(range(48, 100))
    assert found.window.how.startswith("`hour` from 2013-01-02T00:00:00")
    assert ids(split({"features": ROWS}, {"by": "id", "from": 90}).held_out) == list(range(90, 100))


def test_groups_and_rows_can_be_drawn():
    rows = ROWS.append_column("store", pa.array([i // 10 for i in range(100)]))
    held = split({"features": rows}, {"group": "store", "fraction": 0.4})
    assert held.window.how == "a hash of `store`, 0.4 of all"
    stores = set(held.held_out["store"].to_pylist())
    assert not stores & set(held.training["features"]["store"].to_pylist())
    assert 10 < held.held_out.num_rows < 90
    two = ROWS.append_column("half", pa.array(["a", "b"] * 50))
    for fraction in (0.001, 0.999):
        parts = split({"features": two}, {"group": "half", "fraction": fraction})
        assert (parts.held_out.num_rows, parts.training["features"].num_rows) == (50, 50)
    drawn = split({"features": rows}, {"random": True})
    assert drawn.window.how == "a hash of the row, 0.2 of all"
    assert min(ids(drawn.held_out)) < 50


def test_the_rows_of_another_table_can_be_held_out():
    other = pa.table({"hour": [START], "y": pa.array([3], pa.int32()), "id": [7]})
    found = split({"features": ROWS}, {"table": "silver/test"}, other)
    assert found.training["features"].num_rows == 100
    assert found.held_out.schema.field("y").type == pa.float64()
    assert found.window.how == "the rows of `silver/test`"
    with pytest.raises(DataError) as caught:
        split({"features": ROWS}, {"table": "silver/test"}, other.set_column(1, "y", [["much"]]))
    assert caught.value.message == (
        "`y` of `holdout.table` (`silver/test`) must be `double` as in `inputs.features`, got `string`"
    )


def test_a_date_of_birth_is_no_time_of_a_row_by_default():
    births = pa.array([datetime(1950 + i // 2, 1, 1) for i in range(100)], pa.timestamp("us"))
    people = ROWS.drop_columns(["hour"]).add_column(0, "birth_date", births)
    found = split({"people": people}, None)
    assert found.window.how == (
        "a hash of the row, 0.2 of all (`birth_date` is hardly the time of a row; if it is, name it as `holdout.by`)"
    )
    both = people.append_column("hour", ROWS["hour"])
    assert split({"people": both}, None).window.how == (
        "`hour` from 2013-01-02T16:00:00 (chosen by default: not by `birth_date`; `holdout.by` names another)"
    )
    renamed = both.rename_columns(["since", *both.column_names[1:]])  # recognized by its 49 years
    assert split({"people": renamed}, None).window.how.startswith("`hour` from ")
    alone = people.rename_columns(["since", *people.column_names[1:]])
    assert split({"people": alone}, None).window.how.startswith("`since` from 1990-01-01T00:00:00 (chosen by default")
    assert split({"people": people}, {"by": "birth_date"}).window.how == "`birth_date` from 1990-01-01T00:00:00"


def test_when_most_rows_have_the_first_time_the_later_ones_are_held_out():
    hours = pa.array([START] * 95 + [START + timedelta(hours=1)] * 5, pa.timestamp("us"))
    assert split({"features": ROWS.set_column(1, "hour", hours)}, None).held_out.num_rows == 5


@pytest.mark.parametrize(
    ("rows", "holdout", "error", "message"),
    [
        (
            ROWS,
            {"from": "2013-01-02"},
            ModelError,
            "`holdout` must have one of `by`, `group`, `random`, `table`, and `from` only with `by`, got `from`\n\n"
            "hint: keep one way",
        ),
        (
            ROWS,
            {"by": "hour", "random": True},
            ModelError,
            "`holdout` must have one of `by`, `group`, `random`, `table`, and `from` only with `by`, got `by` and `random`"
            "\n\nhint: keep one way",
        ),
        (
            ROWS,
            {"by": "hour", "from": "soon"},
            ModelError,
            "`holdout.from` must be a value of `hour`, a `timestamp[us]`, got `soon`\n\n"
            "hint: write, e.g., `from: 2013-01-02T01:00:00`",
        ),
        (
            ROWS,
            {"by": "hour", "from": "2014-01-01"},
            ModelError,
            "`holdout.from` must leave rows of `inputs.features` on both sides, got `2014-01-01`\n\n"
            "hint: `hour` goes from 2013-01-01T00:00:00 to 2013-01-03T01:00:00",
        ),
        (
            ROWS,
            {"part": 0.2},
            ModelError,
            "`holdout` has no key `part`\n\nhint: known keys: `by`, `fraction`, `from`, `group`, `random`, `table`.",
        ),
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
            ROWS.append_column("shop", pa.array(["a"] * 100)),
            {"group": "shop"},
            DataError,
            "all rows of `inputs.features` have the same `shop`, so it cannot split them\n\n"
            "hint: name another column as `holdout.group`",
        ),
        (
            ROWS.select(["id"]).slice(1, 1),
            {"fraction": 0.0001, "by": None},
            DataError,
            "`holdout.fraction` 0.0001: none of the 1 rows of `inputs.features` is held out\n\n"
            "hint: change `holdout.fraction`, or provide more rows",
        ),
    ],
    ids=[
        "from-alone",
        "two-ways",
        "from-type",
        "from-end",
        "key",
        "fraction",
        "by",
        "one-time",
        "no-rows",
        "one-group",
        "too-few",
    ],
)
def test_a_split_that_cannot_be_is_refused(rows, holdout, error, message):
    with pytest.raises(error) as caught:
        split({"features": rows}, holdout)
    assert str(caught.value) == message

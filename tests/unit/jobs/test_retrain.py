"""
The job `retrain`.

Waits for: the training of the example, twice.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.errors import DataError, ModelError, UserCodeError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_integrity import check_integrity
from airflow_wall.jobs.predict import predict
from airflow_wall.jobs.retrain import retrain
from airflow_wall.models.backends import open_registry
from airflow_wall.models.by_hand import roll_back
from airflow_wall.storage.backends import open_tables

MODELS = """
import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from airflow_wall.models.base import Trained

SEEN = []

def line(features, noise=0.0):
    SEEN.append(features)
    rows = features.dropna(subset=["y"])
    x, y = rows[["a", "b"]], rows["y"]
    if noise:
        y = y + noise * np.sin(np.arange(len(y)) * 7.0) + noise * x["a"]
    return Trained(LinearRegression().fit(x, y), ["a", "b"], "y", metrics={"seconds": np.float32(1.5)})

def mean(features):
    rows = features.dropna(subset=["y"])
    return Trained(DummyRegressor().fit(rows[["a"]], rows["y"]), ["a"], "y")

def only_b(features):
    rows = features.dropna(subset=["y"])
    return Trained(LinearRegression().fit(rows[["b"]], rows["y"]), ["b"], "y")

def late(features):
    x = features[["a"]]
    return Trained(LogisticRegression().fit(x, features["late"]), ["a"], "late")

def worse_than_mean(features):
    far_off = DummyRegressor(strategy="constant", constant=1e6)
    return Trained(far_off.fit(features[["a"]], [0.0] * len(features)), ["a"], "y")

def infinite(features):
    model = LinearRegression().fit(features[["a"]], np.arange(len(features)))
    model.coef_[:] = np.inf
    return Trained(model, ["a"], "y")

def raises(features):
    raise ValueError("no such luck")

def nothing(features):
    return None

def made_up(features):
    return Trained(LinearRegression().fit(features[["a"]], features["a"]), ["a", "a_squared"], "why")

def leaks(features):
    return Trained(LinearRegression().fit(features[["a"]], features["a"]), ["a", "y"], "y")

def index(features):
    rows = features.dropna(subset=["y"])
    x = rows[["a", "b"]]
    return Trained(LinearRegression().fit(x, rows["y"]), x.columns, "y")

def no_target(features):
    return Trained(LinearRegression().fit(features[["a"]], features["a"]), ["a"], "empty")

def tolerant(features):
    rows = features.dropna(subset=["y"])
    return Trained(LinearRegression().fit(rows[["a", "b"]].fillna(0.0), rows["y"]), ["a", "b"], "y")
"""

START = datetime(2013, 1, 1)


def rows(first=0, count=200, seed=1, **more):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=count), rng.normal(size=count)
    y = 3 * a - 2 * b + 0.1 * rng.normal(size=count)
    hours = [START + timedelta(hours=first + i) for i in range(count)]
    empty = pa.nulls(count, pa.float64())
    columns = {
        "hour": pa.array(hours, pa.timestamp("us")),
        "a": a,
        "b": b,
        "y": y,
        "late": (y > 0).astype(int),
        "empty": empty,
    }
    return pa.table({**columns, **more})


@pytest.fixture
def code(tmp_path):
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "fits.py").write_text(MODELS)
    return folder


@pytest.fixture
def env(tmp_path, code):
    def make(day=1, run_id=None):
        part = Slice(f"201307{day:02}T000000Z", f"2013-07-{day:02}T00:00:00+00:00")
        return Env(
            Run("p", run_id or f"run-{day}", "retrain", 1, part, tmp_path / "lake", tmp_path, code), lambda _: None
        )

    return make


@pytest.fixture
def store(tmp_path):
    store = open_tables(tmp_path / "lake")
    store.replace_slice("silver/a", rows(), slice_id="s1", number=1)
    store.replace_slice("silver/b", rows(seed=2), slice_id="s1", number=1)
    return store


def call(env, function="line", **more):
    return retrain(env, entrypoint=f"fits:{function}", inputs={"features": "silver/*"}, model="m", **more)


def champion(env):
    found = open_registry(env.run.storage).champion("m")
    return None if found is None else found.version


def test_the_first_model_is_judged_on_the_last_fifth_and_becomes_champion(store, env):
    found = call(env(), promote={"metric": "rmse", "lower_is_better": True, "margin": "1%"})
    value = found.pop("value")
    assert 0 < value < 0.2
    baseline = found.pop("reason").removeprefix(
        f"first model, rmse {value:.6g}, no worse than predicting the mean of the training rows (rmse "
    )
    assert 2 < float(baseline.removesuffix(")")) < 5
    assert set(found.pop("metrics")) == {
        "mae",
        "r2",
        "mape",
        "median_absolute_error",
        "max_error",
        "explained_variance",
    }
    assert found == {
        "model": "m",
        "version": 1,
        "promoted": True,
        "metric": "rmse",
        "champion_version": None,
        "champion_value": None,
        "rows_trained": 320,
        "rows_held_out": 80,
        "held_out": "`hour` from 2013-01-07T16:00:00 (chosen by default: the first column of times; "
        "`holdout.by` names another)",
    }
    assert champion(env()) == 1


def test_the_features_may_be_the_columns_of_a_dataframe(store, env):
    assert call(env(), "index")["promoted"]


def test_the_function_sees_the_training_rows_only(store, env):
    call(env())
    seen = sys.modules["fits"].SEEN[-1]
    assert len(seen) == 320
    assert seen["hour"].max() < START + timedelta(hours=160)
    assert list(seen.columns) == ["hour", "a", "b", "y", "late", "empty"]  # none of ours


def test_rows_without_a_target_are_neither_counted_nor_judged(store, env):
    table = rows()
    y = table.column("y").to_pylist()
    gaps = pa.array([None if i % 10 == 0 else value for i, value in enumerate(y)])
    store.replace_slice("silver/a", table.set_column(3, "y", gaps), slice_id="s1", number=1)
    found = call(env())
    assert (found["rows_trained"], found["rows_held_out"]) == (320 - 16, 80 - 4)


def test_the_record_says_where_the_model_comes_from(store, env):
    call(env(), parameters={"noise": 0.5})
    record = open_registry(env().run.storage).record("m", 1)
    assert [(feature.name, feature.type) for feature in record.features] == [("a", "double"), ("b", "double")]
    assert record.lineage.data == {"silver/a": store.version("silver/a"), "silver/b": store.version("silver/b")}
    assert record.lineage.parameters == {"noise": 0.5}
    assert (record.lineage.slice, record.lineage.run_id) == ("20130701T000000Z", "run-1")
    assert len(record.lineage.code) == 64
    assert {"rmse", "mae", "r2"} <= set(record.metrics)
    assert record.reported == {"seconds": 1.5}
    assert (record.window.first, record.window.last) == ("2013-01-01T00:00:00", "2013-01-07T15:00:00")
    assert {name: sum(summary.counts) for name, summary in record.training.items()} == {"a": 320, "b": 320}


def test_later_rows_are_checked_against_the_training_rows_of_the_champion(store, env):
    call(env())
    call(env(2), parameters={"noise": 1.0})  # not promoted
    table = rows(first=500)
    far = pa.array(np.asarray(table.column("a")) + 9)
    store.replace_slice("silver/c", table.set_column(1, "a", far), slice_id="20130703T000000Z", number=9)
    checks = [{"training_drift": {"model": "m", "severity": "warn"}}]
    found = check_integrity(env(3), table="silver/c", checks=checks)
    assert (found["passed"], found["warned"]) == (2, 1)
    assert found["warnings"][0].startswith("training_drift of a from m: PSI ")


def test_a_retry_gives_the_same_version_and_the_same_answer(store, env):
    first = call(env())
    assert call(env()) == first
    worse = call(env(2), parameters={"noise": 1.0})
    assert worse["promoted"] is False
    assert call(env(2), parameters={"noise": 1.0}) == worse
    assert open_registry(env().run.storage).versions("m") == [1, 2]


def test_a_worse_challenger_does_not_move_the_champion(store, env):
    good = call(env(1))
    bad = call(env(2), parameters={"noise": 1.0})
    assert (bad["version"], bad["promoted"], bad["champion_version"]) == (2, False, 1)
    assert bad["champion_value"] == good["value"]  # on the same rows
    assert bad["reason"] == f"rmse {bad['value']:.6g} against {good['value']:.6g} of version 1: worse"
    assert champion(env()) == 1


def test_a_better_challenger_moves_the_champion(store, env):
    call(env(1), parameters={"noise": 1.0})
    good = call(env(2), promote={"metric": "mae", "margin": "1%"})
    assert (good["promoted"], good["metric"], good["champion_version"]) == (True, "mae", 1)
    assert champion(env()) == 2


def test_a_version_that_was_rolled_back_stays_so_and_the_next_is_compared_with_the_champion(store, env):
    call(env(1), parameters={"noise": 1.0})
    call(env(2))
    registry = open_registry(env().run.storage)
    roll_back(registry, "m", None, "scores are low")
    again = call(env(2))
    assert (again["version"], again["promoted"], again["champion_version"]) == (2, False, 1)
    assert again["reason"] == "version 2 was rolled back by hand: scores are low"
    following = call(env(3))
    assert (following["version"], following["promoted"], following["champion_version"]) == (3, True, 1)
    events = [(record.version, record.event) for record in registry.decisions("m")]
    assert events == [(1, "promoted"), (2, "promoted"), (1, "rolled back"), (2, "rejected"), (3, "promoted")]


def test_an_older_slice_trained_later_does_not_move_the_champion(store, env):
    call(env(5), parameters={"noise": 1.0})
    better = call(env(4))
    assert better["value"] < better["champion_value"]
    assert (better["promoted"], better["reason"]) == (
        False,
        "trained for 2013-07-04T00:00:00+00:00; version 1 is for the later 2013-07-05T00:00:00+00:00",
    )
    assert champion(env()) == 1


@pytest.mark.parametrize(
    ("max_loss", "promoted", "end"),
    [("10%", False, "more than `max_loss` of "), (1000, True, "within `max_loss` of 1e+03")],
)
def test_a_champion_that_cannot_score_any_more_is_compared_by_its_record(store, env, max_loss, promoted, end):
    call(env(1))
    for table in ("silver/a", "silver/b"):
        whole = store.read(table)
        store.replace_table(table, whole.drop_columns(["a"]))
    found = call(env(2), "only_b", promote={"metric": "rmse", "max_loss": max_loss})
    assert (found["promoted"], found["champion_version"], found["champion_value"]) == (promoted, 1, None)
    assert found["reason"].startswith(
        f"the champion, version 1, cannot score these rows: rmse {found['value']:.6g} against "
    )
    assert end in found["reason"]
    assert found["reason"].endswith(
        "(the set of held-out rows does not fit version 1 of model `m`: it has no column `a`)"
    )
    assert champion(env()) == (2 if promoted else 1)


def test_a_first_model_that_is_worse_than_the_mean_is_kept_but_not_promoted(store, env):
    found = call(env(), "worse_than_mean")
    assert (found["version"], found["promoted"]) == (1, False)
    assert "is worse than predicting the mean of the training rows" in found["reason"]
    assert champion(env()) is None


def test_a_classifier_is_judged_by_log_loss(store, env):
    found = call(env(), "late")
    assert (found["metric"], found["promoted"]) == ("log_loss", True)


KILL = """
import json, os, signal, sys
from pathlib import Path
from airflow_wall.job import Env, Run
from airflow_wall.jobs.predict import predict
from airflow_wall.jobs.retrain import retrain
from airflow_wall.models.registry import FileRegistry
FileRegistry.promote = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)  # version written, champion not
env = Env(Run.from_json(json.load(sys.stdin)), None)
retrain(env, entrypoint="fits:line", inputs={"features": "silver/*"}, model="m")
"""


def test_retry_repairs_a_kill_between_version_and_champion(store, env):
    run = json.dumps(env().run.to_json())
    done = subprocess.run([sys.executable, "-c", KILL], input=run, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    registry = open_registry(env().run.storage)
    assert (registry.versions("m"), champion(env())) == ([1], None)
    found = call(env())
    assert (found["version"], found["promoted"]) == (1, True)
    assert (registry.versions("m"), champion(env())) == ([1], 1)


def test_inputs_of_different_columns_are_joined_by_name(store, env):
    store.replace_slice("silver/c", rows(seed=3, more=["x"] * 200), slice_id="s1", number=1)
    assert call(env())["rows_trained"] == 480


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("raises", UserCodeError, "`entrypoint` `fits:raises` raised `ValueError: no such luck` (CODE/fits.py:39)"),
        (
            "nothing",
            ModelError,
            "`entrypoint` `fits:nothing` must return a `Trained`, got `NoneType`\n\n"
            "hint: end it with `return Trained(estimator, features=[...], target=...)`, "
            "from `airflow_wall.models.base`",
        ),
        (
            "made_up",
            ModelError,
            "`entrypoint` `fits:made_up` returned a model with columns that `inputs.features` does not have: "
            "`a_squared`, `why`\n\nhint: compute them in an earlier transform, so that predict has them too",
        ),
        (
            "leaks",
            ModelError,
            "`entrypoint` `fits:leaks` returned a model with its target `y` among its features\n\n"
            "hint: remove it from `features`",
        ),
        (
            "infinite",
            ModelError,
            "`entrypoint` `fits:infinite` returned a model whose rmse on 80 held-out rows is not a finite number: "
            "80 of its scores are not finite; nothing was registered\n\n"
            "hint: look at the training rows for missing or infinite values",
        ),
        (
            "no_target",
            ModelError,
            "`entrypoint` `fits:no_target` returned a model of `empty`, which has no value in the held-out rows\n\n"
            "hint: provide more rows, or change `holdout`",
        ),
    ],
)
def test_a_training_function_that_fails_promotes_nothing(store, env, code, function, error, message):
    call(env(1))
    with pytest.raises(error) as caught:
        call(env(2), function)
    assert str(caught.value).replace(str(code), "CODE") == message
    assert (open_registry(env().run.storage).versions("m"), champion(env())) == ([1], 1)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        (
            {"inputs": {}},
            DataError,
            "`inputs` must name at least one table\n\nhint: write, e.g., `inputs: {features: silver/*}`",
        ),
        (
            {"inputs": {"the-rows": "silver/*"}},
            DataError,
            "`inputs.the-rows`: the name of an input must be the name of a function argument, got `the-rows`\n\n"
            "hint: write letters, digits and `_`, e.g. `features`",
        ),
        (
            {"parameters": {"features": 1}},
            ModelError,
            "`features` is in both `inputs` and `parameters`\n\nhint: rename one of them",
        ),
        (
            {"promote": {"metric": "auc"}},
            ModelError,
            "`promote.metric` must be a metric of a regressor, got `auc`\n\nhint: write one of `rmse`, `mae`, `r2`, "
            "`rmsle`, `mape`, `median_absolute_error`, `max_error`, `explained_variance`",
        ),
        (
            {"model": "a/b"},
            ModelError,
            "`model` must be a name of letters, digits, `.`, `_` and `-`, got `a/b`\n\n"
            "hint: write, e.g., `platform_scores`",
        ),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(store, env, more, error, message):
    arguments = {"entrypoint": "fits:line", "inputs": {"features": "silver/*"}, "model": "m", **more}
    with pytest.raises(error) as caught:
        retrain(env(), **arguments)
    assert str(caught.value) == message


def test_tables_whose_types_clash_are_named(store, env):
    store.replace_slice("silver/c", rows().set_column(1, "a", pa.array(["x"] * 200)), slice_id="s1", number=1)
    with pytest.raises(DataError) as caught:
        call(env())
    assert str(caught.value) == (
        "`inputs.features` (`silver/*`): column `a` is `double` in `silver/a` and `string` in `silver/c`\n\n"
        "hint: cast the column to one type in the steps that write these tables"
    )


def test_the_example_trains_within_seconds(tmp_path, env):
    count, rng = 6500, np.random.default_rng(3)
    hours = [START + timedelta(hours=i) for i in range(count)]
    weather = [
        "temp",
        "dewp",
        "humid",
        "wind_dir",
        "wind_speed",
        "wind_gust",
        "precip",
        "pressure",
        "visib",
        "distance",
    ]
    store = open_tables(tmp_path / "lake")
    for number, origin in enumerate(("EWR", "JFK")):
        hour_of_day = np.array([hour.hour for hour in hours])
        delay = pa.array(
            [None if i % 50 == 0 else v for i, v in enumerate((hour_of_day * 2 + rng.normal(size=count)).tolist())]
        )
        columns = {name: rng.normal(size=count) for name in weather}
        columns |= {"domain": [f"domain_{number + 1}"] * count, "origin": [origin] * count, "hour": hours}
        columns |= {"flights": rng.integers(1, 60, count), "mean_dep_delay": delay, "hour_of_day": hour_of_day}
        columns |= {"day_of_week": rng.integers(1, 8, count), "month": [hour.month for hour in hours]}
        store.replace_slice(f"silver/{origin}", pa.table(columns), slice_id="s1", number=1)
    run = env().run
    dags = Path(__file__).parents[3] / "dags"
    here = Env(Run(run.pipeline, run.run_id, run.task_id, 1, run.slice, run.storage, run.project, dags), lambda _: None)
    arguments = {"entrypoint": "models.scores:train", "inputs": {"features": "silver/*"}, "model": "platform_scores"}
    found = retrain(here, **arguments)
    assert found["promoted"]
    assert found["value"] < 2
    assert retrain(here, **arguments) == found  # deterministic


def test_a_feature_that_has_only_nulls_now_is_refused_before_the_model_is_judged(store, env):
    call(env(1))
    for table in ("silver/a", "silver/b"):
        whole = store.read(table)
        nulls = pa.nulls(whole.num_rows, pa.float64())
        store.replace_table(table, whole.set_column(whole.column_names.index("b"), "b", nulls))
    with pytest.raises(ModelError, match="it has only nulls in `b`, which had values when the model was trained"):
        call(env(2), "tolerant")
    assert champion(env()) == 1


LEVELS = """
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from airflow_wall import Trained

CALLS = []

def train(features, depth=2):
    CALLS.append(1)
    rows = features.dropna(subset=["y"])
    columns = [name for name in ("a", "b", "place") if name in rows]
    encoder = (OneHotEncoder(handle_unknown="ignore"), ["place"])
    encoded = make_column_transformer(encoder, remainder=SimpleImputer(keep_empty_features=True))
    pipeline = make_pipeline(encoded, LinearRegression())
    return Trained(pipeline.fit(rows[columns], rows["y"]), columns, "y")
"""


@pytest.fixture
def trained(store, env, code):
    """A champion of the features `a`, `b` and `place`."""
    (code / "levels.py").write_text(LEVELS)
    for table in ("silver/a", "silver/b"):
        whole = store.read(table)
        store.replace_table(table, whole.append_column("place", pa.array(["JFK", "LGA"] * 100)))
    retrain(env(1), entrypoint="levels:train", inputs={"features": "silver/*"}, model="m")
    return sys.modules["levels"].CALLS


def change(store, name, values, *, last=200):
    """Change the last rows of a column in both tables; all rows if it is to have another type."""
    for table in ("silver/a", "silver/b"):
        whole = store.read(table).sort_by("hour")
        place = whole.column_names.index(name)
        before = whole.column(name).to_pylist()[: 200 - last]
        column = pa.array(
            [*before, *[values] * last], pa.scalar(values).type if values is not None else whole.schema.field(name).type
        )
        store.replace_table(table, whole.set_column(place, name, column))


@pytest.mark.parametrize(
    ("name", "value", "last", "which", "message"),
    [
        ("a", None, 200, "training", "it has only nulls in `a`, which had values when the model was trained"),
        ("a", None, 40, "held-out", "it has only nulls in `a`, which had values when the model was trained"),
        ("b", 1, 200, "training", "it has columns of another type: `b` is `int64` (was `double`)"),
        ("place", "Newark", 30, "held-out", "more than 20% of the values are new in `place` (60 of 80, e.g. `Newark`)"),
    ],
)
def test_features_that_broke_are_refused_by_name_before_training(
    trained, store, env, name, value, last, which, message
):
    change(store, name, value, last=last)
    calls = len(trained)
    arguments = {"entrypoint": "levels:train", "inputs": {"features": "silver/*"}, "model": "m"}
    with pytest.raises(ModelError) as caught:
        retrain(env(2), **arguments)
    assert caught.value.message == (
        f"the set of {which} rows of `inputs.features` does not fit version 1 of model `m`: {message}"
    )
    assert caught.value.hint.endswith("; if the change is meant, name the feature in `accept_changes`")
    assert len(trained) == calls
    with pytest.raises(ModelError, match="does not fit version 1"):  # with other parameters, after training
        retrain(env(3), **arguments, parameters={"depth": 3})
    assert len(trained) == calls + 1
    if last == 200:
        retrain(env(4), **arguments, accept_changes=[name])
        assert len(trained) == calls + 2


def test_groups_that_are_held_out_may_have_other_categories(trained, store, env):
    arguments = {"entrypoint": "levels:train", "inputs": {"features": "silver/*"}, "model": "by_place"}
    holdout = {"group": "place", "fraction": 0.5}
    assert retrain(env(1), **arguments, holdout=holdout)["promoted"]
    assert retrain(env(2), **arguments, holdout=holdout)["champion_version"] == 1


def test_a_feature_that_is_gone_is_refused_before_training_unless_the_code_changed(trained, store, env, code):
    for table in ("silver/a", "silver/b"):
        whole = store.read(table)
        store.replace_table(table, whole.rename_columns(["aa" if n == "a" else n for n in whole.column_names]))
    arguments = {"entrypoint": "levels:train", "inputs": {"features": "silver/*"}, "model": "m"}
    calls = len(trained)
    with pytest.raises(ModelError, match="it has no column `a`") as caught:
        retrain(env(2), **arguments)
    assert "was `a` renamed to `aa`?" in caught.value.hint
    assert len(trained) == calls
    assert retrain(env(3), **arguments, accept_changes=["a"])["promoted"] in (True, False)
    assert retrain(env(4), **arguments, parameters={"depth": 3})["version"] == 3


def test_held_out_rows_without_a_value_are_refused_for_the_first_model_too(store, env):
    change(store, "b", None, last=40)
    with pytest.raises(ModelError) as caught:
        call(env(1), "tolerant")
    assert caught.value.message == (
        "the set of held-out rows of `inputs.features` has only nulls in `b`, which has values in the training rows"
    )
    assert open_registry(env().run.storage).versions("m") == []


def test_models_can_be_judged_by_the_rows_of_another_table(store, env):
    store.replace_slice("silver_test/a", rows(first=900, count=30, seed=9), slice_id="s1", number=1)
    found = call(env(), holdout={"table": "silver_test/a"})
    assert (found["rows_trained"], found["rows_held_out"]) == (400, 30)
    assert found["held_out"] == "the rows of `silver_test/a`"
    assert "silver_test/a" in open_registry(env().run.storage).record("m", 1).lineage.data
    with pytest.raises(
        ModelError, match=r"`holdout.table` must be another table than those of `inputs`, got `silver/b`"
    ):
        call(env(2), holdout={"table": "silver/b"})
    store.replace_table("silver_test/a", store.read("silver_test/a").drop_columns(["b"]))
    with pytest.raises(ModelError, match="that the table of held-out rows does not have: `b`"):
        call(env(2), holdout={"table": "silver_test/a"}, parameters={"noise": 0.1})


def test_a_single_class_and_few_rows_get_a_hint(store, env, code):
    (code / "onesided.py").write_text(ONE_CLASS)
    for table in ("silver/a", "silver/b"):
        whole = store.read(table).sort_by("hour")
        late = pa.array([0] * 160 + [1] * 40)
        store.replace_table(table, whole.set_column(whole.column_names.index("late"), "late", late))
    arguments = {"entrypoint": "onesided:train", "inputs": {"features": "silver/*"}, "model": "m"}
    with pytest.raises(UserCodeError) as raised:
        retrain(env(), **arguments)
    assert raised.value.hint.startswith("the training rows have a single class: provide others, or choose the held-out")
    with pytest.raises(ModelError) as caught:
        retrain(env(), **arguments, parameters={"dummy": True})
    assert caught.value.message == (
        "the training rows of a classifier must have several classes of `late`, got only `0`"
    )
    auc = {**arguments, "promote": {"metric": "auc"}}
    with pytest.raises(ModelError) as caught:
        retrain(env(), **auc, holdout={"by": "hour", "from": "2013-01-08T00:00"})
    assert caught.value.message.endswith(
        "is not a finite number: all of them have the class `1`; nothing was registered"
    )
    assert "`holdout: {random: true}`" in caught.value.hint
    assert 0 < retrain(env(), **auc, holdout={"random": True})["value"] < 1
    for table in ("silver/a", "silver/b"):
        store.replace_table(table, rows(count=3))
    with pytest.raises(UserCodeError) as raised:
        call(env(), "raises")
    assert raised.value.hint == "`features` has only 4 training rows: provide more, or change `holdout`"


ONE_CLASS = """
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from airflow_wall import Trained

def train(features, dummy=False):
    model = DummyClassifier() if dummy else LogisticRegression()
    return Trained(model.fit(features[["a"]], features["late"]), ["a"], "late")
"""


METRICS = """
import numpy as np

def cost_error(observed, predicted, rows):
    assert len(rows) == len(observed) and "a" in rows
    return float(np.abs(observed - predicted).sum() * 2)

def hit_score(observed, predicted, probabilities):
    assert list(probabilities.columns) == ["early", "late"]
    return (observed == predicted).mean()

def words_error(observed, predicted):
    return "much"

def broken_error(observed, predicted):
    raise ZeroDivisionError("no rows")

def named(observed, predicted):
    return 1.0
"""


def test_a_function_of_ones_own_decides_and_is_measured_by_segment(store, env, code):
    (code / "measures.py").write_text(METRICS)
    for table in ("silver/a", "silver/b"):
        whole = store.read(table)
        store.replace_table(table, whole.append_column("place", pa.array([table] * whole.num_rows)))
    promote = {"metric": "measures:cost_error", "by": "place"}
    call(env(1), parameters={"noise": 1.0}, promote=promote)
    found = call(env(2), promote=promote)
    assert found["promoted"]
    assert found["reason"].startswith("measures:cost_error ")
    assert found["value"] == pytest.approx(found["metrics"]["mae"] * 80 * 2)
    record = open_registry(env().run.storage).record("m", 2)
    assert record.metrics["measures:cost_error"] == found["value"]
    segments = record.segments
    assert (segments.by, segments.metric, segments.rows) == (
        "place",
        "measures:cost_error",
        {"silver/a": 40, "silver/b": 40},
    )
    assert sum(segments.values.values()) == pytest.approx(found["value"])
    assert found["segments"]["rows"] == segments.rows
    worse = call(env(3), parameters={"noise": 1.0}, promote=promote)
    assert (worse["promoted"], worse["reason"].endswith(": worse")) == (False, True)


def test_a_function_of_ones_own_gets_labels_of_classes(store, env, code):
    (code / "measures.py").write_text(METRICS)
    (code / "words.py").write_text(WORDS)
    for table in ("silver/a", "silver/b"):
        whole = store.read(table)
        words = ["late" if late else "early" for late in whole["late"].to_pylist()]
        store.replace_table(table, whole.append_column("when", pa.array(words)))
    arguments = {"entrypoint": "words:train", "inputs": {"features": "silver/*"}, "model": "m"}
    found = retrain(env(), **arguments, promote={"metric": "measures:hit_score"}, holdout={"by": "hour"})
    assert found["value"] == pytest.approx(found["metrics"]["accuracy"])
    assert found["reason"].startswith("first model, measures:hit_score ")


@pytest.mark.parametrize(
    ("metric", "error", "message"),
    [
        (
            "measures:words_error",
            ModelError,
            "`promote.metric` `measures:words_error` must return a number, got `str`\n\nhint: return a float",
        ),
        (
            "measures:broken_error",
            UserCodeError,
            "`promote.metric` `measures:broken_error` raised `ZeroDivisionError: no rows` (CODE/measures.py:16)",
        ),
        (
            "measures:named",
            ModelError,
            "`promote.metric` must be a function whose name says if higher is better, got `measures:named`\n\n"
            "hint: end the name of the function in `_score` if higher is better, else in `_error`, `_loss`, `_cost` or "
            "`_deviance`",
        ),
        (
            "measures:gone_error",
            UserCodeError,
            "`promote.metric` `measures:gone_error`: `CODE/measures.py` has no function `gone_error` (it has "
            "`broken_error`, `cost_error`, `hit_score`, `named`, `words_error`)\n\n"
            "hint: did you mean `broken_error`? else define `def gone_error(...)` there",
        ),
    ],
)
def test_a_metric_of_ones_own_that_fails_is_named(store, env, code, metric, error, message):
    (code / "measures.py").write_text(METRICS)
    with pytest.raises(error) as caught:
        call(env(), promote={"metric": metric})
    assert str(caught.value).replace(str(code), "CODE") == message
    assert open_registry(env().run.storage).versions("m") == []


def test_a_segment_that_does_not_exist_is_refused_before_training(store, env):
    with pytest.raises(ModelError) as caught:
        call(env(), promote={"by": "hours"})
    assert str(caught.value) == (
        "`promote.by` must be a column of `inputs.features`, got `hours`\n\nhint: did you mean `hour`?"
    )


WORDS = """
from sklearn.linear_model import LogisticRegression
from airflow_wall import Trained

def train(features):
    known = features.dropna(subset=["y"]).assign(word=lambda rows: rows["late"].map({0: "early", 1: "late"}))
    return Trained(LogisticRegression().fit(known[["a"]], known["word"]), ["a"], "when")
"""


OWN = """
import json
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from airflow_wall import Trained

class Shift(BaseEstimator, TransformerMixin):
    def fit(self, rows, target=None):
        return self

    def transform(self, rows):
        return np.asarray(rows) + 1.0

class Line:
    def __init__(self, slope):
        self.slope = slope

    def predict(self, rows):
        return rows["a"] * self.slope

def pipeline(features):
    rows = features.dropna(subset=["y"])
    return Trained(make_pipeline(Shift(), LinearRegression()).fit(rows[["a", "b"]], rows["y"]), ["a", "b"], "y")

def line(features, slope=3.0):
    return Trained(Line(slope), ["a"], "y")

def save(model):
    return json.dumps({"slope": model.slope}).encode()

def load(content):
    return Line(**json.loads(content))
"""


def test_classes_of_the_pipelines_folder_are_part_of_a_model_if_they_are_allowed(store, env, code):
    (code / "mine.py").write_text(OWN)
    arguments = {"entrypoint": "mine:pipeline", "inputs": {"features": "silver/*"}, "model": "m"}
    with pytest.raises(ModelError, match=r"got `mine.Shift`"):
        retrain(env(), **arguments)
    assert retrain(env(), **arguments, own_types=["mine.*"])["promoted"]
    for table in ("silver/a", "silver/b"):
        store.replace_slice(table, rows(), slice_id="20130701T000000Z", number=2)
    record = open_registry(env().run.storage).record("m", 1)
    assert "mine.Shift" in record.types
    assert record.libraries.keys() == {"python", "scikit-learn", "skops", "numpy", "scipy"}
    with pytest.raises(ModelError, match=r"got `mine.Shift`"):
        predict(env(), model="m", inputs={"features": "silver/*"}, target="gold/scores")
    again = retrain(env(2), **arguments, own_types=["mine.*"])
    assert again["champion_value"] is not None


def test_a_model_of_ones_own_is_trained_compared_and_used(store, env, code):
    (code / "mine.py").write_text(OWN)
    arguments = {"entrypoint": "mine:line", "inputs": {"features": "silver/*"}, "model": "m"}
    functions = {"save": "mine:save", "load": "mine:load"}
    with pytest.raises(ModelError, match=r"name functions as `save` and `load`"):
        retrain(env(), **arguments)
    with pytest.raises(ModelError, match="`save` and `load` belong together"):
        retrain(env(), **arguments, save="mine:save")
    assert retrain(env(), **arguments, **functions)["promoted"]
    better = retrain(env(2), **arguments, **functions, parameters={"slope": 2.9})
    assert better["champion_version"] == 1
    assert better["champion_value"] is not None
    for table in ("silver/a", "silver/b"):
        store.replace_slice(table, rows(), slice_id="20130702T000000Z", number=2)
    scored = {"model": "m", "inputs": {"features": "silver/*"}, "target": "gold/scores"}
    with pytest.raises(ModelError, match="names none that opens it"):
        predict(env(2), **scored)
    assert predict(env(2), **scored, load="mine:load")["rows"] == 400


def test_another_version_of_a_library_is_named_if_a_model_cannot_be_opened(store, env, code, monkeypatch):
    call(env())
    registry = open_registry(env().run.storage)
    path = env().run.storage.folder / "_wall/models/m/versions/1/record.json"
    record = json.loads(path.read_text())
    record["libraries"]["scikit-learn"] = "0.24.1"
    path.write_text(json.dumps(record))
    monkeypatch.setattr("airflow_wall.models.skops_file.skops.io.loads", lambda *_, **__: 1 / 0)
    with pytest.raises(ModelError) as caught:
        registry.open("m", 1)
    assert caught.value.message.startswith(
        "skops cannot read the model: ZeroDivisionError: division by zero; version 1 of model `m` was trained with "
        "scikit-learn 0.24.1 (here: "
    )
    assert caught.value.hint == "give `predict` the same `requirements` as `retrain`, or train the model anew"

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from airflow_wall.errors import DataError, ModelError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.ingest import ingest
from airflow_wall.jobs.predict import predict
from airflow_wall.models import formats
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import Candidate, Decision, Feature, ModelLineage, Window
from airflow_wall.models.training_summary import summarize
from airflow_wall.storage.backends import open_tables

RNG = np.random.default_rng(5)
SLICE = Slice("20130702T000000Z", "2013-07-02T00:00:00+00:00")
HOURS = [datetime(2013, 7, 1) + timedelta(hours=i) for i in range(24)]


def rows(domain, **more):
    columns = {
        "domain": [domain] * 24,
        "hour": pa.array(HOURS, pa.timestamp("us")),
        "y": pa.array([None if i % 7 == 0 else float(i) for i in range(24)]),
        "a": RNG.normal(size=24),
        "b": RNG.normal(size=24),
    }
    return pa.table({**columns, **more})


@pytest.fixture
def env(tmp_path):
    run = Run("p", "run-2", "predict", 1, SLICE, tmp_path / "lake", tmp_path, tmp_path)
    return Env(run, lambda _: None)


@pytest.fixture
def store(env):
    store = open_tables(env.run.storage)
    for domain in ("domain_1", "domain_2"):
        store.replace_slice(f"silver/{domain}", rows(domain), slice_id="20130701T000000Z", number=1)
        store.replace_slice(f"silver/{domain}", rows(domain), slice_id=SLICE.id, number=SLICE.number)
    return store


@pytest.fixture
def registry(env):
    return open_registry(env.run.storage)


FEATURES = (Feature("b", "double"), Feature("a", "double"))


def register(
    registry,
    coefficients=(1.0, 2.0),
    *,
    promote=True,
    order="2013-07-01T00:00:00+00:00",
    training=None,
    model=None,
    features=FEATURES,
):
    if model is None:
        model = LinearRegression().fit(np.eye(2), [0.0, 1.0])
        model.coef_, model.intercept_ = np.array(coefficients), 0.5
    candidate = Candidate(
        model_format="skops",
        content=formats.dump(model, "skops"),
        kind="regression",
        features=features,
        target="y",
        metrics={"rmse": 1.0},
        rows_trained=1,
        rows_held_out=1,
        window=Window("x"),
        lineage=ModelLineage("p", "run-1", "s", order, "m:f", "", {}),
        training=training or {},
    )
    record = registry.register("m", candidate)
    if promote:
        current = registry.champion("m")
        decision = Decision(True, "rmse", 1.0, None, None, "")
        registry.promote("m", record.version, decision, expected=current and current.version)
    return record.version


def call(env, **more):
    return predict(env, **{"model": "m", "inputs": {"features": "silver/*"}, "target": "gold/scores", **more})


def test_every_row_of_the_slice_gets_one_score(env, store, registry):
    register(registry)
    found = call(env)
    assert found == {"table": "gold/scores", "rows": 48, "model": "m", "model_version": 1, "skipped_rows": 0}
    scores = store.read("gold/scores")
    inputs = pa.concat_tables(store.read(f"silver/{d}", slices=[SLICE.id]) for d in ("domain_1", "domain_2"))

    def by_key(table, *names):
        keys = zip(table["domain"].to_pylist(), table["hour"].to_pylist(), strict=True)
        return dict(zip(keys, zip(*(table[name].to_pylist() for name in names), strict=True), strict=True))

    expected = {key: (b + 2 * a + 0.5, y) for key, (a, b, y) in by_key(inputs, "a", "b", "y").items()}
    got = by_key(scores, "score", "y")
    assert scores.num_rows == len(got) == 48
    assert got.keys() == expected.keys()  # one to one
    for key, (score, y) in expected.items():
        assert got[key] == (pytest.approx(score), y)


def test_the_output_says_which_model_and_run_it_is_from(env, store, registry):
    register(registry)
    call(env)
    scores = store.read("gold/scores")
    assert scores.schema.names == ["domain", "hour", "y", "score", "model", "model_version", "run_id"]
    assert set(zip(*(scores[n].to_pylist() for n in ("model", "model_version", "run_id")), strict=True)) == {
        ("m", 1, "run-2")
    }
    assert store.slices("gold/scores") == [SLICE.id]


def test_a_retry_leaves_the_same_rows(env, store, registry):
    register(registry)
    call(env)
    first = store.read("gold/scores")
    call(env)
    assert store.read("gold/scores").equals(first)


def test_a_version_can_be_pinned(env, store, registry):
    register(registry)
    register(registry, (0.0, 0.0))
    assert call(env)["model_version"] == 2
    assert set(store.read("gold/scores")["score"].to_pylist()) == {0.5}
    assert call(env, version=1)["model_version"] == 1
    assert len(set(store.read("gold/scores")["score"].to_pylist())) == 48


def test_the_columns_to_keep_can_be_named(env, store, registry):
    register(registry)
    call(env, keep=["hour", "a"])
    assert store.read("gold/scores").schema.names == ["hour", "a", "score", "model", "model_version", "run_id"]


def test_without_a_champion_nothing_is_scored(env, store, registry):
    with pytest.raises(ModelError) as caught:
        call(env)
    assert str(caught.value) == "model `m` has no champion: it was never trained\n\nhint: run retrain first"
    register(registry, promote=False)
    with pytest.raises(ModelError) as caught:
        call(env)
    assert str(caught.value) == (
        "model `m` has no champion: none of its 1 versions was promoted\n\n"
        "hint: read the reason in the log of retrain; improve the training, or pin a version with `version`"
    )
    assert call(env, version=1)["rows"] == 48


def test_a_stale_model_is_refused(env, store, registry):
    register(registry, order="2013-05-01T00:00:00Z")
    assert call(env, max_age="62d")["rows"] == 48
    with pytest.raises(ModelError) as caught:
        call(env, max_age="30d")
    assert str(caught.value) == (
        "version 1 of model `m` is stale: it was trained for 2013-05-01T00:00:00Z, 62.0 days before this slice "
        "(2013-07-02T00:00:00+00:00); `max_age` is 30d\n\nhint: run retrain, or raise `max_age`"
    )
    with pytest.raises(ModelError) as caught:
        call(env, max_age="a month")
    assert str(caught.value) == "`max_age` must be a duration, got `a month`\n\nhint: write, e.g., `30d`"


def test_rows_that_do_not_fit_the_model_are_refused(env, store, registry):
    register(registry)
    for domain in ("domain_1", "domain_2"):
        store.replace_table(f"silver/{domain}", rows(domain, a=["x"] * 24).drop_columns(["b"]))
    with pytest.raises(ModelError) as caught:
        call(env)
    assert str(caught.value) == (
        "`inputs.features` (`silver/*`) does not fit version 1 of model `m`: it has no column `b` and has columns of "
        "another type: `a` is `string` (was `double`)\n\n"
        "hint: correct the columns in the step that writes them, or run retrain on the new ones"
    )
    assert not store.exists("gold/scores")


def test_scores_that_are_not_finite_are_refused(env, store, registry):
    register(registry)
    call(env)
    before = store.read("gold/scores")
    register(registry, (np.inf, 0.0))
    with pytest.raises(ModelError) as caught:
        call(env)
    assert str(caught.value) == (
        "version 2 of model `m` gave 48 scores of 48 that are not finite, the first for domain=domain_1, "
        "hour=2013-07-01 00:00:00, y=None; nothing was written\n\n"
        "hint: look at the features of that row, or pin an earlier `version`"
    )
    assert store.read("gold/scores").equals(before)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"inputs": {"a": "silver/domain_1", "b": "silver/domain_2"}},
            "`inputs` must name one input to score, got `a`, `b`\n\nhint: join them in an earlier transform",
        ),
        (
            {"keep": ["hours"]},
            "`keep` must name columns of `inputs.features` (`silver/*`), got `hours`\n\n"
            "hint: it has `domain`, `hour`, `y`, `a`, `b`",
        ),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(env, store, registry, more, message):
    register(registry)
    with pytest.raises(DataError) as caught:
        call(env, **more)
    assert str(caught.value) == message


def test_a_slice_without_rows_is_refused(env, store, registry):
    register(registry)
    run = env.run
    later = Slice("20130705T000000Z", "2013-07-05T00:00:00+00:00")
    other = Env(Run(run.pipeline, "run-5", "predict", 1, later, run.storage, run.project, run.code), env.connections)
    with pytest.raises(DataError) as caught:
        call(other)
    assert str(caught.value) == (
        "`inputs.features` (`silver/*`) must have rows of slice `20130705T000000Z`, got none\n\n"
        "hint: look at the steps that write it: their slice is empty"
    )


def test_a_run_that_only_corrects_other_slices_scores_nothing(env, store, registry, tmp_path):
    register(registry)
    landing = tmp_path / "lake/landing"
    landing.mkdir()
    for day, text in ((5, "a,b\n1,2\n"), (6, "a,b\n3,4\n")):
        (landing / "1.csv").write_text(text)
        part = Slice(f"2013070{day}T000000Z", f"2013-07-0{day}T00:00:00+00:00")
        ingest(replace(env, run=replace(env.run, task_id="load", slice=part)), source="landing", target="bronze/raw")
    later = replace(env, run=replace(env.run, slice=part))
    assert call(later)["rows"] == 0
    assert store.exists("gold/scores") is False
    missing = replace(env, run=replace(env.run, slice=Slice("20130707T000000Z", "2013-07-07T00:00:00+00:00")))
    with pytest.raises(DataError, match="must have rows of slice"):
        call(missing)


def test_a_column_with_the_name_of_an_output_is_refused(env, store, registry):
    register(registry)
    store.replace_table("silver/domain_1", rows("domain_1", score=["x"] * 24))
    with pytest.raises(DataError) as caught:
        call(env)
    assert str(caught.value) == (
        "`inputs.features` (`silver/*`) has a column `score`, and predict writes a column of that name\n\n"
        "hint: rename it in an earlier step, or leave it out of `keep`; predict writes `score`, `model`, `model_version`, `run_id`"
    )


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_feature_that_has_only_nulls_now_is_refused_by_name(env, store, registry, value):
    """LightGBM scores such rows without a word."""
    register(registry, training=summarize(rows("domain_1"), ["a", "b"]))
    for domain in ("domain_1", "domain_2"):
        lost = rows(domain, a=pa.array([value] * 24, pa.float64()))
        store.replace_slice(f"silver/{domain}", lost, slice_id=SLICE.id, number=SLICE.number)
    with pytest.raises(ModelError) as caught:
        call(env)
    assert str(caught.value) == (
        "`inputs.features` (`silver/*`) does not fit version 1 of model `m`: it has only nulls in `a`, which had values "
        "when the model was trained\n\n"
        "hint: correct the step that writes the column, or train a model without this feature"
    )


def test_a_sparse_feature_may_have_only_nulls_in_few_rows(env, store, registry):
    sparse = pa.array([1.0, 2.0] + [None] * 22, pa.float64())
    register(registry, training=summarize(rows("domain_1", a=sparse, b=sparse), ["a", "b"]))
    for domain in ("domain_1", "domain_2"):
        few = rows(domain, a=pa.array([None] * 24, pa.float64())).slice(0, 12)
        store.replace_slice(f"silver/{domain}", few, slice_id=SLICE.id, number=SLICE.number)
    with pytest.raises(ModelError, match="Input X contains NaN"):  # the model itself rejects nulls
        call(env)


def text_model(registry, texts):
    """Register a model of the feature `place`."""
    pipeline = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LinearRegression())
    pipeline.fit(pd.DataFrame({"place": texts}), range(len(texts)))
    training = summarize(pa.table({"place": texts}), ["place"])
    register(registry, model=pipeline, features=(Feature("place", "string"),), training=training)


@pytest.mark.parametrize(
    ("new", "limit", "fits"),
    [(2, None, True), (6, None, False), (6, "30%", True), (6, 0.05, False), (24, "100%", True)],
)
def test_categories_that_were_not_in_training_are_refused_beyond_a_limit(env, store, registry, new, limit, fits):
    text_model(registry, ["JFK", "LGA", "EWR"] * 8)
    for domain in ("domain_1", "domain_2"):
        places = ["Newark"] * new + ["JFK"] * (24 - new)
        store.replace_slice(f"silver/{domain}", rows(domain, place=places), slice_id=SLICE.id, number=SLICE.number)
    more = {} if limit is None else {"new_categories": limit}
    if fits:
        assert call(env, **more)["rows"] == 48
        return
    with pytest.raises(ModelError) as caught:
        call(env, **more)
    assert str(caught.value) == (
        f"`inputs.features` (`silver/*`) does not fit version 1 of model `m`: more than {'5' if limit else '20'}% of the "
        "values are new in `place` (12 of 48, e.g. `Newark`)\n\n"
        "hint: correct the step that writes the values, or raise `new_categories`"
    )


def test_a_type_that_became_narrower_is_refused(env, store, registry):
    register(registry)
    for domain in ("domain_1", "domain_2"):
        whole = rows(domain)
        store.replace_table(f"silver/{domain}", whole.set_column(3, "a", pa.array([1] * 24)))
    with pytest.raises(ModelError, match=r"columns of another type: `a` is `int64` \(was `double`\)"):
        call(env)

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.checks.evaluate import evaluate
from airflow_wall.checks.load import load_checks
from airflow_wall.errors import CheckFailed, SpecError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_integrity import check_integrity
from airflow_wall.storage.backends import open_tables

EXAMPLE = (Path(__file__).parents[3] / "dags/checks/scores.yaml").read_text()


def scores(day, seed=0, **more):
    rng = np.random.default_rng(seed)
    hours = [datetime(2013, 7, day) + timedelta(hours=i % 24) for i in range(72)]
    columns = {
        "domain": [f"domain_{1 + i // 24}" for i in range(72)],
        "hour": pa.array(hours, pa.timestamp("us")),
        "mean_dep_delay": [None if i % 9 == 0 else 5.0 for i in range(72)],
        "score": 13 + 15 * rng.normal(size=72),
        "model": ["m"] * 72,
        "model_version": [1] * 72,
        "run_id": ["r"] * 72,
    }
    return pa.table({**columns, **more})


@pytest.fixture
def store(tmp_path):
    return open_tables(tmp_path / "lake")


@pytest.fixture
def env(tmp_path):
    part = Slice("20130705T000000Z", "2013-07-05T00:00:00+00:00")
    run = Run("p", "run-5", "tests.check_integrity", 1, part, tmp_path / "lake", tmp_path, tmp_path)
    return Env(run, lambda _: None)


def put(store, day, **more):
    store.replace_slice("gold/scores", scores(day - 1, day, **more), slice_id=f"201307{day:02}T000000Z", number=day)


def call(env, checks=EXAMPLE):
    return check_integrity(env, table="gold/scores", checks=checks, checks_file="checks/scores.yaml")


def test_good_scores_pass_and_the_report_is_kept(store, env):
    for day in (2, 3, 4, 5):
        put(store, day)
    found = call(env)
    page = env.run.state / "reports/p/20130705T000000Z/tests.check_integrity.html"
    assert found == {"passed": 10, "warned": 0, "failed": 0, "report": str(page)}
    report = json.loads(page.with_name("tests.check_integrity.json").read_text())
    assert (report["rows"], report["earlier_rows"], report["failed"]) == (72, 3 * 72, 0)
    assert report["about"] == {
        "table": "gold/scores",
        "slice": "20130705T000000Z",
        "pipeline": "p",
        "task": "tests.check_integrity",
        "run": "run-5",
        "checks": "checks/scores.yaml",
    }
    assert "gold/scores" in page.read_text()


def test_scores_that_are_all_equal_fail_and_the_report_is_there(store, env):
    put(store, 5, score=[12.5] * 72)
    with pytest.raises(CheckFailed) as caught:
        call(env)
    page = env.run.state / "reports/p/20130705T000000Z/tests.check_integrity.html"
    assert str(caught.value) == (
        "`checks` (checks/scores.yaml): 1 of 10 checks of `gold/scores`, slice `20130705T000000Z`, failed:\n"
        "  scores differ from each other: 1 distinct, stddev 0, mean 12.5; "
        "expected at least 10 distinct, stddev at least 0.5, mean -30 to 180\n"
        "      all 72 values are 12.5\n\n"
        f"hint: read the report: {page}"
    )
    assert json.loads(page.with_name("tests.check_integrity.json").read_text())["failed"] == 1
    assert "all 72 values are 12.5" in page.read_text()


@pytest.mark.parametrize(
    ("poison", "names"),
    [
        ({"score": [float("nan")] * 72}, ["not_null", "range", "scores differ"]),
        ({"score": (13 + np.arange(72.0)) * 1000}, ["range", "scores differ"]),
        ({"domain": ["domain_1"] * 72}, ["unique", "every domain"]),
        ({"domain": ["domain_9"] * 24 + ["domain_2"] * 24 + ["domain_3"] * 24}, ["accepted_values"]),
        ({"hour": pa.array([datetime(2013, 6, 1)] * 72, pa.timestamp("us"))}, ["unique", "freshness"]),
        ({"run_id": pa.nulls(72, pa.string())}, ["not_null"]),
    ],
    ids=["nan", "times-1000", "one-domain", "unknown-domain", "old", "no-run"],
)
def test_poisoned_scores_fail(store, env, poison, names):
    put(store, 5, **poison)
    with pytest.raises(CheckFailed) as caught:
        call(env)
    failed = [line.strip() for line in str(caught.value).splitlines() if "; expected" in line]
    assert [name for name in names if not any(line.startswith(name) for line in failed)] == []
    assert len(failed) == len(names)


def test_the_example_passes_on_clean_scores_of_50_seeds():
    checks = load_checks(EXAMPLE, path="checks/scores.yaml")
    earlier = pa.concat_tables([scores(1, 1), scores(2, 2), scores(3, 3)])
    for seed in range(50):
        report = evaluate(checks, scores(4, 100 + seed), earlier=earlier, now="2013-07-05T00:00:00Z")
        assert report.count("pass") == 10


def test_later_slices_are_not_what_a_slice_is_compared_with(store, env):
    put(store, 4)
    put(store, 5)
    put(store, 6, score=[999.0] * 72)
    report = json.loads(Path(call(env)["report"]).with_suffix(".json").read_text())
    assert report["earlier_rows"] == 72


def test_a_slice_without_rows_fails(store, env):
    put(store, 4)
    with pytest.raises(CheckFailed, match="row_count: 0 rows; expected at least 1 rows"):
        call(env, [{"not_null": {"columns": ["score"]}}])


def test_faulty_checks_are_refused_before_the_data_are_read(env):
    with pytest.raises(SpecError) as caught:
        call(env, "checks:\n  - rang: {column: score}\n")
    assert str(caught.value) == (
        "error: checks/scores.yaml:2:5: `checks[0].rang` is not a kind of check\n"
        "  2 |   - rang: {column: score}\n    |     ^^^^\n\nhint: did you mean `range`?"
    )

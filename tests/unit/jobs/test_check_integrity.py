from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from checked_rows import Rows

from airflow_wall.checks.evaluate import evaluate
from airflow_wall.checks.load import load_checks
from airflow_wall.errors import CheckFailed, SpecError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_integrity import check_integrity
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.verdicts import Verdict, Verdicts

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
    page = env.run.storage.folder / "_wall/reports/p/20130705T000000Z/tests.check_integrity.html"
    drift = found.pop("drift")
    assert len(found.pop("passed_checks")) == 15
    assert found == {"passed": 15, "warned": 0, "failed": 0, "warnings": [], "checks": [], "report": str(page)}
    assert drift
    assert all(score < 1 for score in drift.values())
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
    page = env.run.storage.folder / "_wall/reports/p/20130705T000000Z/tests.check_integrity.html"
    assert str(caught.value) == (
        "`checks` (checks/scores.yaml): 1 of 15 checks of `gold/scores`, slice `20130705T000000Z`, failed:\n"
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
        report = evaluate(checks, Rows(scores(4, 100 + seed), {"1": earlier}), now="2013-07-05T00:00:00Z")
        assert report.count("pass") == 15


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


def run(env, *checks):
    """The results of checks, from the report that is kept."""
    with contextlib.suppress(CheckFailed):
        call(env, [{"row_count": {"min": 0}}, *checks])
    page = env.run.storage.folder / "_wall/reports/p/20130705T000000Z/tests.check_integrity.json"
    return [
        (found["name"], found["over"], found["status"], found["observed"], found["detail"])
        for found in json.loads(page.read_text())["results"][1:]
    ]


def test_a_key_of_an_earlier_slice_is_not_unique_in_the_table(store, env):
    put(store, 4)
    put(store, 5, hour=pa.array([datetime(2013, 7, 3, i % 24) for i in range(72)], pa.timestamp("us")))
    in_table, in_slice = run(
        env, *({"unique": {"key": ["domain", "hour"], "over": over}} for over in ("table", "slice"))
    )
    assert in_slice[2] == "pass"
    assert in_table[1:4] == ("table", "fail", "72 keys in 144 rows")
    assert in_table[4].startswith(
        "domain=domain_1, hour=2013-07-03 00:00:00, rows=2, slices=20130704T000000Z and 20130705T000000Z; "
    )


def test_a_value_is_looked_up_in_another_table(store, env):
    put(store, 5)
    store.replace_slice("bronze/domains", pa.table({"id": ["domain_1", "domain_2"]}), slice_id="a", number=1)
    reference = {"columns": "domain", "table": "bronze/domains"}
    assert run(
        env,
        {"reference": {**reference, "to": "id"}},
        {"reference": {**reference, "to": "code", "severity": "warn"}},
        {"reference": {**reference, "table": "bronze/domain", "to": "id"}},
    ) == [
        (
            "reference of domain to bronze/domains",
            "table",
            "fail",
            "1 keys in 24 rows are missing there",
            "domain=domain_3, rows=24",
        ),
        (
            "reference of domain to bronze/domains",
            "table",
            "warn",
            "`bronze/domains` cannot be read",
            "table `bronze/domains` has no column `code`; it has `id`. name one of its columns",
        ),
        (
            "reference of domain to bronze/domain",
            "table",
            "fail",
            "`bronze/domain` cannot be read",
            f"there is no table `bronze/domain` in `{env.run.storage}`: it has `bronze/domains`, `gold/scores`. "
            "did you mean `bronze/domains`?",
        ),
    ]


def test_rows_are_counted_against_the_slices_before_this_one(store, env):
    for day in (2, 3, 4):
        put(store, day)
    store.replace_slice("gold/scores", scores(4).slice(0, 30), slice_id="20130705T000000Z", number=5)
    store.replace_slice("gold/scores", scores(5).slice(0, 1), slice_id="20130706T000000Z", number=6)
    assert run(env, {"row_count_change": {"max_drop": 0.5}}) == [
        ("row_count_change", "slice", "fail", "30 rows, 58.33% below the median 72 of 3 slices", "")
    ]


def test_failed_checks_of_severity_warn_are_in_the_result_and_the_log(store, env, caplog):
    put(store, 5)
    checks = [
        {"not_null": {"columns": "mean_dep_delay", "severity": "warn"}},
        {"sql": {"query": "SELECT 1", "severity": "warn", "message": "there is one"}},
        {"range": {"column": "scor", "min": 0, "severity": "warn"}},
        {"row_count": {"min": 1}},
    ]
    found = call(env, checks)
    assert (found["passed"], found["warned"], found["failed"]) == (1, 3, 0)
    assert found["warnings"] == [
        "not_null of mean_dep_delay: 8 of 72 null",
        "sql of SELECT 1: 1 rows: there is one",
        "range of scor: no column `scor`",
    ]
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith(
        "failed checks of severity `warn`:\n  not_null of mean_dep_delay: 8 of 72 null; expected no nulls"
    )


REFERENCE = [{"reference": {"columns": "domain", "table": "bronze/domains"}}]


def put_domains(store, env, *slices, rejected=()):
    """Write slices of domains; the checks of their pipeline have rejected some of them."""
    for number, (day, domain) in enumerate(slices):
        store.replace_slice(
            "bronze/domains", pa.table({"domain": [domain]}), slice_id=f"201307{day:02}T000000Z", number=number
        )
    contents = store.contents("bronze/domains").by_slice()
    run = replace(env.run, task_id="check_domains")
    for day in rejected:
        name = f"201307{day:02}T000000Z"
        Verdicts(run.storage, store).record(run, "bronze/domains", name, Verdict(contents[name], ("regex of domain",)))


def refer(env, **more):
    others = {"bronze/domains": {"checked_by": ["check_domains"], "possibly_checked_by": []}}
    return check_integrity(env, table="gold/scores", checks=REFERENCE, others=others, **more)


def test_reference_finds_only_rows_that_passed_their_checks(store, env):
    put(store, 5)
    put_domains(store, env, (3, "domain_1"), (4, "domain_2"), (5, "domain_3"))
    assert refer(env)["failed"] == 0  # nothing has been checked yet: these rows count as passed
    put_domains(store, env, rejected=(4,))
    with pytest.raises(CheckFailed, match="1 keys in 24 rows are missing there"):
        refer(env)
    put_domains(store, env, (6, "domain_2"))
    with pytest.raises(CheckFailed, match="1 keys in 24 rows are missing there"):
        refer(env)  # a slice that came after the first check has not been checked
    put_domains(store, env, rejected=(3, 4, 5, 6))
    with pytest.raises(CheckFailed, match="3 keys in 72 rows are missing there"):
        refer(env)


def test_table_may_refer_to_itself_while_its_slice_is_checked(store, env):
    put(store, 5)
    checks = [{"reference": {"columns": "domain", "table": "gold/scores"}}]
    assert check_integrity(env, table="gold/scores", checks=checks)["failed"] == 0


def test_checks_that_are_no_gate_leave_no_verdict(store, env):
    put(store, 5)
    few = [{"row_count": {"max": 1}}]
    with pytest.raises(CheckFailed):
        check_integrity(env, table="gold/scores", checks=few, gate=False)
    verdicts = Verdicts(env.run.storage, store)
    assert verdicts.of_task("p", env.run.task_id, "gold/scores") == {}
    with pytest.raises(CheckFailed):
        check_integrity(env, table="gold/scores", checks=few)
    assert [verdict.passed for verdict in verdicts.of_task("p", env.run.task_id, "gold/scores").values()] == [False]

"""Every kind of check: what passes, what does not, and the words of both."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.checks.backends import CHECKS
from airflow_wall.checks.evaluate import evaluate
from airflow_wall.checks.load import load_checks

NOW = "2013-07-02T00:00:00+00:00"
ROWS = pa.table(
    {
        "domain": ["d1", "d1", "d2", None],
        "hour": pa.array([datetime(2013, 7, 1, hour) for hour in (1, 2, 2, 3)], pa.timestamp("us")),
        "zoned": pa.array(
            [datetime(2013, 7, 1, hour, tzinfo=UTC) for hour in (1, 2, 2, 30 - 7)], pa.timestamp("us", "UTC")
        ),
        "day": pa.array([date(2013, 6, 30)] * 4, pa.date32()),
        "score": [1.0, 2.0, math.nan, None],
        "flights": [1, 2, 3, 4],
        "same": [5.0] * 4,
        "live": [True, True, False, None],
    }
)
EARLIER = pa.table({"flights": [1, 2, 3], "domain": ["d1", "d1", "d2"]})


def result(check, rows=ROWS, earlier=EARLIER):
    report = evaluate(load_checks([{"row_count": {"min": 0}}, check], path=None), rows, earlier=earlier, now=NOW)
    found = report.results[1]
    return found.passed, found.observed, found.expected, found.detail


COLUMNS = (
    "the columns are `domain` text, `hour` timestamp, `zoned` timestamp, `day` date, `score` float, `flights` integer, "
    "`same` float, `live` boolean"
)
NAMES = "the columns are `domain`, `hour`, `zoned`, `day`, `score`, `flights`, `same`, `live`"

CASES = {
    "row_count": [
        ({"min": 1, "max": 4}, (True, "4 rows", "1 to 4 rows", "")),
        ({"min": 5}, (False, "4 rows", "at least 5 rows", "")),
        ({"max": 3}, (False, "4 rows", "at most 3 rows", "")),
    ],
    "columns": [
        ({"required": ["domain", "hour"]}, (True, "all there", "`domain`, `hour`", "")),
        (
            {"required": {"domain": "text", "score": "number", "flights": "number", "day": "date", "live": "boolean"}},
            (True, "all there", "`domain` text, `score` number, `flights` number, `day` date, `live` boolean", ""),
        ),
        (
            {"required": {"scores": "float", "flights": "float"}},
            (False, "no `scores`, `flights` is integer", "`scores` float, `flights` float", COLUMNS),
        ),
    ],
    "not_null": [
        ({"columns": ["hour", "flights"]}, (True, "0 of 4 null in `hour`", "no nulls", "")),
        (
            {"columns": ["domain", "hour", "score"]},
            (False, "1 of 4 null in `domain`, 2 of 4 null in `score`", "no nulls", ""),
        ),
        ({"columns": "score", "max_fraction": 0.5}, (True, "2 of 4 null in `score`", "at most 50.00% null", "")),
        ({"columns": "score", "max_fraction": 0.49}, (False, "2 of 4 null in `score`", "at most 49.00% null", "")),
        (
            {"columns": "scor"},
            (False, "no column `scor`", "a check that can be answered", f"did you mean `score`? {NAMES}"),
        ),
    ],
    "unique": [
        ({"key": ["domain", "hour"]}, (True, "every key once", "every key once", "")),
        ({"key": "domain"}, (False, "1 keys in 2 rows", "every key once", "domain=d1, rows=2")),
        (
            {"key": ["hour", "same"]},
            (False, "1 keys in 2 rows", "every key once", "hour=2013-07-01 02:00:00, same=5.0, rows=2"),
        ),
    ],
    "range": [
        ({"column": "flights", "min": 1, "max": 4}, (True, "1 to 4", "1 to 4", "")),
        ({"column": "flights", "min": 2}, (False, "1 of 4 values outside", "at least 2", "the values are 1 to 4")),
        ({"column": "flights", "max": 2.5}, (False, "2 of 4 values outside", "at most 2.5", "the values are 1 to 4")),
        ({"column": "score", "min": 0}, (False, "1 of 3 values outside", "at least 0", "the values are 1 to nan")),
        (
            {"column": "domain", "min": 0},
            (False, "`domain` is text, not a number", "a check that can be answered", ""),
        ),
    ],
    "accepted_values": [
        ({"column": "domain", "values": ["d1", "d2"]}, (True, "only these", "one of `d1`, `d2`", "")),
        ({"column": "domain", "values": ["d2"]}, (False, "`d1` in 2 rows", "one of `d2`", "")),
        ({"column": "flights", "values": [1, 2.0, 3]}, (False, "`4` in 1 rows", "one of `1`, `2`, `3`", "")),
        ({"column": "live", "values": [True]}, (False, "`false` in 1 rows", "one of `true`", "")),
        ({"column": "live", "values": [True, False]}, (True, "only these", "one of `true`, `false`", "")),
    ],
    "freshness": [
        (
            {"column": "hour", "max_age": "21h"},
            (
                True,
                "newest 2013-07-01 03:00 UTC, 21 hours before",
                "newest at most 21 hours before 2013-07-02 00:00 UTC",
                "",
            ),
        ),
        (
            {"column": "hour", "max_age": "20h59m"},
            (
                False,
                "newest 2013-07-01 03:00 UTC, 21 hours before",
                "newest at most 20.98 hours before 2013-07-02 00:00 UTC",
                "",
            ),
        ),
        (
            {"column": "zoned", "max_age": "PT1H"},
            (
                True,
                "newest 2013-07-01 23:00 UTC, 1 hours before",
                "newest at most 1 hours before 2013-07-02 00:00 UTC",
                "",
            ),
        ),
        (
            {"column": "day", "max_age": "1d"},
            (
                False,
                "newest 2013-06-30 00:00 UTC, 2 days before",
                "newest at most 24 hours before 2013-07-02 00:00 UTC",
                "",
            ),
        ),
        (
            {"column": "flights", "max_age": "1d"},
            (False, "`flights` is integer, not a time", "a check that can be answered", ""),
        ),
    ],
    "distribution": [
        (
            {"column": "flights", "min_distinct": 4, "min_stddev": 1, "min_mean": 2, "max_mean": 3},
            (True, "4 distinct, stddev 1.118, mean 2.5", "at least 4 distinct, stddev at least 1, mean 2 to 3", ""),
        ),
        (
            {"column": "same", "min_distinct": 2},
            (False, "1 distinct", "at least 2 distinct", "all 4 values are 5"),
        ),
        ({"column": "same", "min_stddev": 0.1}, (False, "stddev 0", "stddev at least 0.1", "all 4 values are 5")),
        ({"column": "flights", "max_mean": 2}, (False, "mean 2.5", "mean at most 2", "")),
    ],
    "drift": [
        (
            {"column": "flights", "max_psi": 0.25},
            (True, "too few rows", "PSI at most 0.25", "4 values against 3 earlier; needs 50 each"),
        ),
        (
            {"column": "flights", "max_psi": 0.25, "max_ks": 0.4, "min_rows": 2},
            (True, "PSI 0.0461 (p 1), KS 0.25 (p 1)", "PSI at most 0.25, KS at most 0.4", "4 values against 3 earlier"),
        ),
    ],
    "sql": [
        ({"query": "SELECT * FROM data WHERE flights > 4;"}, (True, "no rows", "no rows", "")),
        (
            {"query": "SELECT domain, flights FROM data WHERE flights > 2 ORDER BY flights -- why"},
            (False, "2 rows", "no rows", "domain=d2, flights=3; domain=None, flights=4"),
        ),
        (
            {"query": "SELECT 1 AS more FROM data HAVING count(*) > (SELECT count(*) FROM earlier)"},
            (False, "1 rows", "no rows", "more=1"),
        ),
    ],
}


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [(kind, options, expected) for kind, cases in CASES.items() for options, expected in cases],
    ids=[f"{kind}-{index}" for kind, cases in CASES.items() for index in range(len(cases))],
)
def test_a_check_says_what_it_saw(kind, options, expected):
    assert result({kind: options}) == expected


def test_every_kind_has_a_case():
    assert set(CASES) == set(CHECKS)


def test_no_rows_do_not_pass_unseen():
    checks = load_checks([{"not_null": {"columns": ["domain"]}}], path=None)
    report = evaluate(checks, ROWS.slice(0, 0), earlier=None, now=NOW)
    assert [(found.kind, found.status) for found in report.results] == [("row_count", "fail"), ("not_null", "pass")]


@pytest.mark.parametrize(
    "check",
    [
        {"freshness": {"column": "hour", "max_age": "1d"}},
        {"distribution": {"column": "score", "min_distinct": 2}},
        {"distribution": {"column": "score", "max_mean": 2}},
    ],
)
def test_checks_of_values_do_not_pass_where_there_are_none(check):
    assert result(check, rows=ROWS.slice(0, 0))[0] is False


@pytest.mark.parametrize(
    "query",
    ["SELECT * FROM nowhere", "SELECT * FROM read_csv('/etc/passwd')", "ATTACH '/tmp/x.db'", "SELECT scor FROM data"],
)
def test_a_query_that_fails_or_reaches_outside_does_not_pass(query):
    passed, observed, _, detail = result({"sql": {"query": query}})
    assert (passed, observed) == (False, "the query failed")
    assert detail


def test_a_fault_of_severity_warn_is_a_warning():
    checks = load_checks([{"row_count": {"min": 9, "severity": "warn", "name": "enough rows"}}], path=None)
    report = evaluate(checks, ROWS, earlier=None, now=NOW)
    assert [(found.name, found.status) for found in report.results] == [("enough rows", "warn")]
    assert report.failures == ()


def drift(here, before, **limits):
    rows, earlier = pa.table({"x": here}), pa.table({"x": before})
    return result({"drift": {"column": "x", **limits}}, rows, earlier)


@pytest.mark.parametrize("limits", [{"max_psi": 0.25}, {"max_ks": 0.2}], ids=str)
@pytest.mark.parametrize("count", [72, 5000])
@pytest.mark.parametrize("poison", ["shift", "scale", "constant"])
def test_drift_is_seen_on_a_day_and_on_half_a_year(limits, count, poison):
    rng = np.random.default_rng(1)
    before, here = rng.normal(size=5000), rng.normal(size=count)
    here = {"shift": here + 1.5, "scale": here * 1000, "constant": np.zeros(count)}[poison]
    assert drift(here, before, **limits)[0] is False


def test_drift_of_text_is_seen():
    before = ["a"] * 500 + ["b"] * 500
    assert drift(["a"] * 50 + ["b"] * 50, before, max_psi=0.25)[0] is True
    assert drift(["a"] * 5 + ["c"] * 95, before, max_psi=0.25)[0] is False
    assert drift(["a"] * 100, before, max_ks=0.5)[1] == "`x` is text, not a number"


CLEAN = [
    {"row_count": {"min": 1}},
    {"not_null": {"columns": ["score"]}},
    {"unique": {"key": "id"}},
    {"range": {"column": "score", "min": -60, "max": 600}},
    {"distribution": {"column": "score", "min_distinct": 10, "min_stddev": 0.5}},
    {"drift": {"column": "score", "max_psi": 0.1, "max_ks": 0.1}},
]


@pytest.mark.parametrize("seed", range(50))
def test_clean_rows_pass(seed):
    rng = np.random.default_rng(seed)
    rows = pa.table({"id": range(72), "score": 13 + 15 * rng.normal(size=72)})
    earlier = pa.table({"id": range(2000), "score": 13 + 15 * rng.normal(size=2000)})
    report = evaluate(load_checks(CLEAN, path=None), rows, earlier=earlier, now=NOW)
    assert [found for found in report.results if not found.passed] == []


def test_two_queries_are_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    passed, observed, _, detail = result({"sql": {"query": "SELECT 1; COPY (SELECT 1) TO 'x.csv'"}})
    assert (passed, observed) == (False, "the query failed")
    assert "it must be one query, got `SELECT`, `COPY`" in detail

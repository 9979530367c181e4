"""Every kind of check: what passes, what does not, and the words of both."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
from checked_rows import Rows

from airflow_wall.checks import data
from airflow_wall.checks.backends import CHECKS
from airflow_wall.checks.evaluate import evaluate
from airflow_wall.checks.load import load_checks
from airflow_wall.models.base import FeatureSummary
from airflow_wall.models.training_summary import summarize
from airflow_wall.storage import base

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
OTHERS = {
    "silver/domains": pa.table({"domain": ["d1", "d2", "d3"], "big": pa.array([1, 2, 3], pa.int16())}),
    "silver/flights": pa.table({"domain": ["d1", "d2"], "flights": [1.0, 3.0]}),
}

MODELS = {"delays": {"flights": FeatureSummary((2, 1), edges=(2.5,))}, "old": {}}


def results(check, rows=ROWS, earlier=EARLIER):
    """The result of each part of a check. The history is one slice."""
    before = {} if earlier is None else {"before": earlier}
    checks = load_checks([{"row_count": {"min": 0}}, check], path=None)
    return evaluate(checks, Rows(rows, before, OTHERS, MODELS), now=NOW).results[1:]


def result(check, rows=ROWS, earlier=EARLIER):
    (found,) = results(check, rows, earlier)
    return found.passed, found.observed, found.expected, found.detail


COLUMNS = (
    "the columns are `domain` text, `hour` timestamp, `zoned` timestamp, `day` date, `score` float, `flights` integer, "
    "`same` float, `live` boolean"
)
TYPES = (
    "the columns are `domain` varchar, `hour` timestamp, `zoned` timestamptz, `day` date, `score` double, `flights` bigint, "
    "`same` double, `live` boolean"
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
        ({"columns": "hour"}, (True, "0 of 4 null", "no nulls", "")),
        ({"columns": "domain", "over": "table"}, (False, "1 of 7 null", "no nulls", "")),
        ({"columns": "score", "max_fraction": 0.5}, (True, "2 of 4 null", "at most 50.00% null", "")),
        ({"columns": "score", "max_fraction": 0.49}, (False, "2 of 4 null", "at most 49.00% null", "")),
        (
            {"columns": "scor"},
            (False, "no column `scor`", "a check that can be answered", f"did you mean `score`? {NAMES}"),
        ),
    ],
    "unique": [
        ({"key": ["domain", "hour"], "over": "slice"}, (True, "every key once", "every key once", "")),
        ({"key": "domain", "over": "slice"}, (False, "1 keys in 2 rows", "every key once", "domain=d1, rows=2")),
        (
            {"key": "flights"},
            (
                False,
                "3 keys in 6 rows",
                "every key once",
                "flights=1, rows=2, slices=before and this; flights=2, rows=2, slices=before and this; "
                "flights=3, rows=2, slices=before and this",
            ),
        ),
        (
            {"key": ["hour", "same"], "over": "slice"},
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
    "completeness": [
        ({"by": "domain", "groups": ["d1", "d2"]}, (True, "all there", "rows of `d1`, `d2`", "")),
        (
            {"by": "domain", "groups": ["d1", "d4", "d3"]},
            (False, "no rows of `d4`, `d3`", "rows of `d1`, `d4`, `d3`", ""),
        ),
        (
            {"by": "flights", "groups": [1, 4.0, 5]},
            (False, "no rows of `5`", "rows of `1`, `4`, `5`", ""),
        ),
        ({"by": "live", "groups": [True, False]}, (True, "all there", "rows of `true`, `false`", "")),
        (
            {"by": "domain", "columns": "score", "min_fraction": 0.5},
            (
                False,
                "2 of 3 groups below",
                "values in at least 50.00% of the rows of each `domain`",
                "domain=d2: 0.00%; domain=None: 0.00%",
            ),
        ),
        (
            {"by": "live", "columns": "domain"},
            (
                False,
                "1 of 3 groups below",
                "values in at least 100.00% of the rows of each `live`",
                "live=None: 0.00%",
            ),
        ),
        (
            {"by": "same", "columns": "hour"},
            (True, "1 groups", "values in at least 100.00% of the rows of each `same`", ""),
        ),
    ],
    "schema": [
        (
            {"columns": {"domain": "text", "flights": "bigint", "score": "float8", "zoned": "timestamptz"}},
            (True, "all there", "`domain` varchar, `flights` bigint, `score` double, `zoned` timestamptz", ""),
        ),
        (
            {"columns": {"flights": "integer", "hour": "timestamptz", "scores": "double"}},
            (
                False,
                "no `scores`, `flights` is bigint, `hour` is timestamp",
                "`flights` integer, `hour` timestamptz, `scores` double",
                TYPES,
            ),
        ),
        (
            {"columns": dict.fromkeys(ROWS.schema.names[:1], "varchar"), "other_columns": False},
            (
                False,
                "`hour` too, `zoned` too, `day` too, `score` too, `flights` too, `same` too, `live` too",
                "only `domain` varchar",
                TYPES,
            ),
        ),
    ],
    "regex": [
        ({"column": "domain", "pattern": r"d\d"}, (True, "all match", r"each matches `d\d`", "")),
        ({"column": "domain", "pattern": "d"}, (False, "`d1`, `d2` in 3 rows", "each matches `d`", "")),
        ({"column": "domain", "pattern": "(?i)D[^1'].*"}, (False, "`d1` in 2 rows", "each matches `(?i)D[^1'].*`", "")),
        (
            {"column": "flights", "pattern": "1"},
            (False, "`flights` is integer, not text", "a check that can be answered", ""),
        ),
    ],
    "sum": [
        ({"column": "flights", "min": 16, "max": 16}, (True, "16 in 7 values", "16 to 16", "")),
        ({"column": "flights", "min": 11, "over": "slice"}, (False, "10 in 4 values", "at least 11", "")),
        ({"column": "score", "min": 0, "over": "slice"}, (False, "nan in 3 values", "at least 0", "")),
        (
            {"column": "domain", "min": 0},
            (False, "`domain` is text, not a number", "a check that can be answered", ""),
        ),
    ],
    "reference": [
        (
            {"columns": "domain", "table": "silver/domains"},
            (True, "all there", "each is in `silver/domains`", ""),
        ),
        (
            {"columns": "flights", "table": "silver/domains", "to": "big", "over": "slice"},
            (False, "1 keys in 1 rows are missing there", "each is in `silver/domains`", "flights=4, rows=1"),
        ),
        (
            {"columns": ["domain", "flights"], "table": "silver/flights"},
            (
                False,
                "1 keys in 2 rows are missing there",
                "each is in `silver/flights`",
                "domain=d1, flights=2, rows=2",
            ),
        ),
        (
            {"columns": "domain", "table": "silver/domains", "to": "big"},
            (False, "`domain` is text, and `big` of `silver/domains` is integer", "a check that can be answered", ""),
        ),
        (
            {"columns": "domain", "table": "silver/domain"},
            (False, "`silver/domain` cannot be read", "a check that can be answered", "there is no such table"),
        ),
    ],
    "training_drift": [
        (
            {"model": "delays", "columns": "flights"},
            (
                True,
                "too few rows",
                "PSI at most 0.25",
                "4 values against 3 in training; needs 50 each",
            ),
        ),
        (
            {"model": "delays", "columns": "flights", "min_rows": 3, "max_psi": 0.5},
            (True, "PSI 0.0639 (p 0.74)", "PSI at most 0.5", "4 values against 3 in training"),
        ),
        (
            {"model": "delays", "columns": "hour"},
            (
                False,
                "`hour` has no distribution in training",
                "a check that can be answered",
                "those with one are `flights`",
            ),
        ),
        ({"model": "delay"}, (True, "no champion yet", "PSI at most 0.25", "")),
        (
            {"model": "old"},
            (True, "unknown", "PSI at most 0.25", "the champion's record has no distributions: run retrain"),
        ),
    ],
    "row_count_change": [
        (
            {"max_drop": 0.5},
            (True, "4 rows, too few slices", "at most 50.00% below", "1 slices before this one; needs 3"),
        ),
        (
            {"max_drop": 0.5, "max_rise": 0.25, "min_slices": 1},
            (
                False,
                "4 rows, 33.33% above the median 3 of 1 slices",
                "at most 50.00% below, at most 25.00% above",
                "",
            ),
        ),
        (
            {"max_drop": 0.0, "min_slices": 1, "against": "mean"},
            (True, "4 rows, 33.33% above the mean 3 of 1 slices", "at most 0.00% below", ""),
        ),
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
        (
            {"query": "SELECT flights FROM data WHERE flights > 3", "message": "more flights than planes"},
            (False, "1 rows: more flights than planes", "no rows", "flights=4"),
        ),
        (
            {"query": "SELECT _wall_slice, count(*) AS n FROM data GROUP BY 1 ORDER BY 1", "over": "table"},
            (False, "2 rows", "no rows", "_wall_slice=before, n=3; _wall_slice=this, n=4"),
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
    report = evaluate(checks, Rows(ROWS.slice(0, 0)), now=NOW)
    assert [(found.kind, found.status) for found in report.results] == [("row_count", "fail"), ("not_null", "pass")]


@pytest.mark.parametrize(
    "check",
    [
        {"freshness": {"column": "hour", "max_age": "1d"}},
        {"distribution": {"column": "score", "min_distinct": 2}},
        {"distribution": {"column": "score", "max_mean": 2}},
        {"sum": {"column": "score", "min": 0, "over": "slice"}},
        {"completeness": {"by": "domain", "groups": ["d1"]}},
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
    report = evaluate(checks, Rows(ROWS), now=NOW)
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
    {"unique": {"key": "id", "over": "slice"}},
    {"range": {"column": "score", "min": -60, "max": 600}},
    {"distribution": {"column": "score", "min_distinct": 10, "min_stddev": 0.5}},
    {"drift": {"column": "score", "max_psi": 0.1, "max_ks": 0.1}},
]


@pytest.mark.parametrize("seed", range(50))
def test_clean_rows_pass(seed):
    rng = np.random.default_rng(seed)
    rows = pa.table({"id": range(72), "score": 13 + 15 * rng.normal(size=72)})
    earlier = pa.table({"id": range(2000), "score": 13 + 15 * rng.normal(size=2000)})
    report = evaluate(load_checks(CLEAN, path=None), Rows(rows, {"before": earlier}), now=NOW)
    assert [found for found in report.results if not found.passed] == []


def test_two_queries_are_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    passed, observed, _, detail = result({"sql": {"query": "SELECT 1; COPY (SELECT 1) TO 'x.csv'"}})
    assert (passed, observed) == (False, "the query failed")
    assert "it must be one query, got `SELECT`, `COPY`" in detail


def test_not_null_has_a_result_for_each_column():
    found = results({"not_null": {"columns": ["domain", "hour", "scor"], "severity": "warn"}})
    assert [(each.name, each.status, each.observed) for each in found] == [
        ("not_null of domain", "warn", "1 of 4 null"),
        ("not_null of hour", "pass", "0 of 4 null"),
        ("not_null of scor", "warn", "no column `scor`"),
    ]
    named = results({"not_null": {"columns": ["domain", "hour"], "name": "filled"}})
    assert [each.name for each in named] == ["filled: domain", "filled: hour"]


@pytest.mark.parametrize(
    ("rows", "passed", "observed"),
    [
        (50, True, "50 rows, 50.00% below the median 100 of 5 slices"),
        (49, False, "49 rows, 51.00% below the median 100 of 5 slices"),
        (200, True, "200 rows, 100.00% above the median 100 of 5 slices"),
        (201, False, "201 rows, 101.00% above the median 100 of 5 slices"),
    ],
)
def test_rows_are_counted_against_the_last_slices(rows, passed, observed):
    counts = {"1": 9999, "2": 90, "3": 100, "4": 110, "5": 100, "6": 5000}
    before = {name: pa.table({"x": range(count)}) for name, count in counts.items()}
    checks = load_checks([{"row_count_change": {"max_drop": 0.5, "max_rise": 1, "last": 5}}], path=None)
    _, found = evaluate(checks, Rows(pa.table({"x": range(rows)}), before), now=NOW).results
    assert (found.passed, found.observed) == (passed, observed)


def test_rows_after_empty_slices_are_a_rise():
    before = {name: ROWS.slice(0, 0) for name in "abc"}
    checks = load_checks([{"row_count_change": {"max_rise": 1}}], path=None)
    _, found = evaluate(checks, Rows(ROWS, before), now=NOW).results
    assert (found.passed, found.observed) == (False, "4 rows, inf% above the median 0 of 3 slices")


def test_a_reference_is_looked_up_after_checks_that_read_a_part_of_their_rows():
    reference = {"reference": {"columns": "domain", "table": "silver/domains"}}
    many = pa.table({"domain": [f"d{number}" for number in range(9000)] * 2})
    checks = load_checks([{"unique": {"key": "domain"}}, reference, reference, {"row_count": {"min": 1}}], path=None)
    report = evaluate(checks, Rows(many, {}, OTHERS), now=NOW)
    assert [found.observed for found in report.results] == [
        "9,000 keys in 18,000 rows",
        "8,997 keys in 17,994 rows are missing there",
        "8,997 keys in 17,994 rows are missing there",
        "18,000 rows",
    ]


def test_a_column_may_have_the_name_of_a_count():
    rows = pa.table({"rows": [7, 7, 8], "slices": ["a", "a", "b"]})
    others = {"t": pa.table({"rows": [8], "slices": ["b"]})}
    checks = [
        {"unique": {"key": ["rows", "slices"]}},
        {"reference": {"columns": ["rows", "slices"], "table": "t"}},
        {"accepted_values": {"column": "rows", "values": [8]}},
        {"completeness": {"by": "rows", "columns": "slices"}},
    ]
    found = evaluate(load_checks(checks, path=None), Rows(rows, {}, others), now=NOW).results[1:]
    assert [(each.observed, each.detail) for each in found] == [
        ("1 keys in 2 rows", "rows=7, slices=a, _rows=2, _slices=this"),
        ("1 keys in 2 rows are missing there", "rows=7, slices=a, _rows=2"),
        ("`7` in 2 rows", ""),
        ("2 groups", ""),
    ]


def test_integers_that_no_float_holds_exactly_are_numbers_too():
    rows = pa.table({"id": pa.array([2**63, 2**63 - 1, 1], pa.uint64())})
    check = {"distribution": {"column": "id", "min_distinct": 2}}
    assert result(check, rows, None)[:2] == (True, "2 distinct")
    assert sum(summarize(rows, ["id"])["id"].counts) == 3


def test_a_null_does_not_refer_to_a_row():
    rows = pa.table({"domain": ["d1", None], "flights": [None, 3]})
    check = {"reference": {"columns": ["domain", "flights"], "table": "silver/flights", "over": "slice"}}
    assert result(check, rows)[0] is True


def test_only_the_columns_that_checks_need_are_read():
    checks = [{"range": {"column": "flights", "min": 0}}, {"unique": {"key": "domain"}}, {"row_count": {"min": 1}}]
    rows = Rows(ROWS, {"before": EARLIER})
    evaluate(load_checks(checks, path=None), rows, now=NOW)
    assert rows.asked == [["flights"], ["domain"]]
    rows.asked.clear()
    evaluate(load_checks([*checks, {"sql": {"query": "SELECT 1 FROM data LIMIT 0"}}], path=None), rows, now=NOW)
    assert rows.asked == [None, ["domain"]], "the query does not name `earlier`"
    rows.asked.clear()
    evaluate(load_checks([{"drift": {"column": "flights", "max_ks": 0.5}}], path=None), rows, now=NOW)
    assert rows.asked == [["flights"], ["flights"]]


def test_results_keep_the_order_of_the_checks():
    checks = [{"unique": {"key": "flights"}}, {"row_count": {"min": 1}}, {"not_null": {"columns": ["hour", "day"]}}]
    report = evaluate(load_checks(checks, path=None), Rows(ROWS), now=NOW)
    assert [(found.name, found.over) for found in report.results] == [
        ("unique of flights", "table"),
        ("row_count", "slice"),
        ("not_null of hour", "slice"),
        ("not_null of day", "slice"),
    ]


def test_rows_of_the_table_do_not_hide_an_empty_slice():
    checks = load_checks([{"row_count": {"min": 1, "over": "table"}}], path=None)
    report = evaluate(checks, Rows(ROWS.slice(0, 0), {"before": ROWS}), now=NOW)
    assert [(found.over, found.status, found.observed) for found in report.results] == [
        ("slice", "fail", "0 rows"),
        ("table", "pass", "4 rows"),
    ]


def test_the_slice_column_is_that_of_the_store():
    assert data.SLICE == base.SLICE


def test_completeness_has_a_result_for_the_groups_and_for_each_column():
    check = {"completeness": {"by": "domain", "groups": ["d1"], "columns": ["hour", "day"]}}
    assert [found.name for found in results(check)] == [
        "completeness of domain",
        "completeness of hour by domain",
        "completeness of day by domain",
    ]
    check["completeness"]["name"] = "domains"
    assert [found.name for found in results(check)] == ["domains: groups", "domains: hour", "domains: day"]


@pytest.mark.parametrize("count", [72, 5000])
def test_drift_from_the_training_rows_is_seen_in_each_feature(count):
    def rows(rng, count, shift=0.0, texts=("a", "b")):
        return pa.table(
            {
                "number": rng.normal(size=count) + shift,
                "text": rng.choice(texts, size=count),
                "flag": pa.array(rng.random(count) < 0.5 + shift / 4),
            }
        )

    rng = np.random.default_rng(1)
    trained = summarize(rows(rng, 20_000), ["number", "text", "flag"])
    checks = load_checks([{"training_drift": {"model": "m", "name": "inputs"}}], path=None)
    same = evaluate(checks, Rows(rows(rng, count), models={"m": trained}), now=NOW).results[1:]
    assert [(found.name, found.status) for found in same] == [
        ("inputs: number", "pass"),
        ("inputs: text", "pass"),
        ("inputs: flag", "pass"),
    ]
    other = evaluate(checks, Rows(rows(rng, count, 1.5, ("a", "c")), models={"m": trained}), now=NOW).results[1:]
    assert [found.status for found in other] == ["fail", "fail", "fail"]


def test_a_feature_that_changed_its_type_cannot_be_compared():
    trained = {"m": {"flights": FeatureSummary((1, 1, 0), texts=("1", "2")), "domain": FeatureSummary((1, 1), (0.5,))}}
    checks = load_checks([{"training_drift": {"model": "m"}}], path=None)
    found = evaluate(checks, Rows(ROWS, models=trained), now=NOW).results[1:]
    assert [(each.status, each.observed) for each in found] == [
        ("fail", "`flights` is integer, and was text or boolean in training"),
        ("fail", "`domain` is text, not a number"),
    ]

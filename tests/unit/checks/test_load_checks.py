from __future__ import annotations

import contextlib
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_wall.checks.backends import CHECKS
from airflow_wall.checks.durations import duration
from airflow_wall.checks.load import load_checks
from airflow_wall.checks.patterns import PatternCompiler
from airflow_wall.errors import SpecError

FAULTY = """\
checks:
  - row_cuont: {min: 1}
  - row_count: {min: 5, max: 1}
  - not_null: {colums: [a]}
  - range:
      column: score
      min: low
      severity: fatal
  - freshness: {column: hour, max_age: soon}
  - unique
  - columns: {required: {a: txt}}
  - accepted_values: {column: a, values: [null]}
  - distribution: {column: a}
  - {sql: {query: ""}, name: x}
  - not_null: {columns: [], max_fraction: 2}
more: 1
"""

REPORT = """\
error: checks/scores.yaml:2:5: `checks[0].row_cuont` is not a kind of check
  2 |   - row_cuont: {min: 1}
    |     ^^^^^^^^^

hint: did you mean `row_count`?

error: checks/scores.yaml:3:5: `checks[1].row_count` `min` 5 is above `max` 1
  3 |   - row_count: {min: 5, max: 1}
    |     ^^^^^^^^^

error: checks/scores.yaml:4:16: `checks[2].not_null.colums` is not a known key
  4 |   - not_null: {colums: [a]}
    |                ^^^^^^

hint: did you mean `columns`?

error: checks/scores.yaml:7:12: `checks[3].range.min` must be a number, got `low`
  7 |       min: low
    |            ^^^

hint: write a number, e.g., `min: 0.5`

error: checks/scores.yaml:8:17: `checks[3].range.severity` must be one of `error` or `warn`, got `fatal`
  8 |       severity: fatal
    |                 ^^^^^

hint: write, e.g., `severity: error`

error: checks/scores.yaml:9:40: `checks[4].freshness.max_age` must be a duration, got `soon`
  9 |   - freshness: {column: hour, max_age: soon}
    |                                        ^^^^

error: checks/scores.yaml:10:5: `checks[5].unique.key` is missing
  10 |   - unique
     |     ^^^^^^

hint: add `key`: one column, or several that form the key together

error: checks/scores.yaml:11:29: `checks[6].columns.required.a` must be one of `integer`, `float`, `number`, `text`, `boolean`, `timestamp` or `date`, got `txt`
  11 |   - columns: {required: {a: txt}}
     |                             ^^^

hint: did you mean `text`?

error: checks/scores.yaml:12:43: `checks[7].accepted_values.values[0]` must be `true` or `false` or an integer or a number or text, got `null`
  12 |   - accepted_values: {column: a, values: [null]}
     |                                           ^^^^

error: checks/scores.yaml:13:5: `checks[8].distribution` needs one of `min_distinct`, `min_stddev`, `min_mean`, `max_mean`
  13 |   - distribution: {column: a}
     |     ^^^^^^^^^^^^

error: checks/scores.yaml:14:5: `checks[9]` must be one check with its options, got `{"sql": {"query": ""}, "name": "x"}`
  14 |   - {sql: {query: ""}, name: x}
     |     ^

hint: write, e.g., `- row_count: {min: 1}`

error: checks/scores.yaml:15:25: `checks[10].not_null.columns` must have at least 1 entry, got `[]`
  15 |   - not_null: {columns: [], max_fraction: 2}
     |                         ^

hint: write at least 1, or remove the key

error: checks/scores.yaml:15:43: `checks[10].not_null.max_fraction` must be less than 1, got `2`
  15 |   - not_null: {columns: [], max_fraction: 2}
     |                                           ^

hint: write a number below 1

error: checks/scores.yaml:16:1: `more` is not a key of a file of checks
  16 | more: 1
     | ^^^^

hint: its only key is `checks`"""


def test_all_faults_of_a_file_are_in_one_report():
    with pytest.raises(SpecError) as caught:
        load_checks(FAULTY, path="checks/scores.yaml")
    assert str(caught.value) == REPORT


def test_a_file_and_a_list_give_the_same_checks():
    text = "checks:\n  - range: {column: score, min: 0, severity: warn}\n  - not_null: {columns: a}\n"
    values = [{"range": {"column": "score", "min": 0, "severity": "warn"}}, {"not_null": {"columns": ["a"]}}]
    assert load_checks(text, path="x.yaml") == load_checks(values, path=None)


def test_faults_of_a_list_name_their_keys():
    with pytest.raises(SpecError) as caught:
        load_checks([{"range": {"colum": "a", "min": 0}}, {"row_count": {"min": -1}}], path=None)
    assert str(caught.value) == (
        "`checks[0].range.colum` is not a known key (did you mean `column`?)\n"
        "`checks[1].row_count.min` must be at least 0, got `-1` (write, e.g., `min: 0`)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "error: c.yaml:1:1: a file of checks is a mapping with the key `checks`\n\n"
            "hint: write `checks:` and the list below it",
        ),
        (
            "checks:\n",
            "error: c.yaml:1:8: `checks` must be a list of checks, got no check\n  1 | checks:\n    |        ^\n\n"
            "hint: write, e.g., `- row_count: {min: 1}`",
        ),
        (
            "checks: yes\n",
            "error: c.yaml:1:9: `checks` must be a list of checks, got `yes`\n  1 | checks: yes\n    |         ^^^\n\n"
            "hint: write, e.g., `- row_count: {min: 1}`",
        ),
        (
            "checks: [a\n",
            "error: c.yaml:1:9: not YAML: did not find expected ',' or ']' while parsing a flow sequence\n"
            "  1 | checks: [a\n    |         ^\n\n"
            "hint: close the `[` or `{` that is open here, or put a `,` between its values",
        ),
    ],
    ids=["empty", "nothing", "text", "no-yaml"],
)
def test_a_file_that_holds_no_checks_is_refused(text, message):
    with pytest.raises(SpecError) as caught:
        load_checks(text, path="c.yaml")
    assert str(caught.value) == message


def test_the_file_in_the_guide_is_valid():
    guide = (Path(__file__).parents[3] / "docs/guides/checks.md").read_text()
    file, *_ = re.findall(r"```yaml\n(.+?)```", guide, re.DOTALL)
    assert [check.kind for check in load_checks(file, path="checks/orders.yaml")] == [
        "not_null",
        "unique",
        "reference",
        "row_count_change",
        "sql",
    ]


def test_words_are_not_turned_into_booleans():
    (check,) = load_checks("checks: [{accepted_values: {column: a, values: [NO, on, 1]}}]", path="c.yaml")
    assert check.values == ["NO", "on", 1]


def test_every_option_is_described():
    for kind, check in CHECKS.items():
        for name, field in check.model_fields.items():
            assert field.description, f"{kind}.{name}"
        assert check.model_json_schema()["additionalProperties"] is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("1d12h", timedelta(hours=36)),
        ("2w", timedelta(weeks=2)),
        ("PT5M", timedelta(minutes=5)),
        ("P1DT1S", timedelta(days=1, seconds=1)),
    ],
)
def test_a_duration_is_read(text, expected):
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "soon", "P", "-1d", 5, None])
def test_invalid_duration_is_rejected(text):
    with pytest.raises(ValueError, match=f"^must be a duration, got `{text}`$"):
        duration(text)


def test_rows_that_a_check_never_sees_are_rejected():
    with pytest.raises(SpecError) as caught:
        load_checks([{"drift": {"column": "x", "max_ks": 0.1, "over": "table"}}], path=None)
    assert str(caught.value) == (
        "`checks[0].drift.over` must be `slice`, got `table` (remove `over`: it is always `slice` here)"
    )
    (check,) = load_checks([{"drift": {"column": "x", "max_ks": 0.1, "over": "slice"}}], path=None)
    assert check.scope == "slice"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)b", "invalid perl operator: (?="),
        ("(", "missing ): ("),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("a{1001}", "invalid repetition size: {1001}"),
    ],
)
def test_a_pattern_that_is_not_of_re2_is_rejected_when_the_file_is_read(pattern, reason):
    with pytest.raises(SpecError) as caught:
        load_checks([{"regex": {"column": "x", "pattern": pattern}}], path=None)
    assert str(caught.value) == (
        f"`checks[0].regex.pattern` must be a regular expression of RE2, got `{pattern}` "
        f"({reason}; RE2 has no look-around and no back-references)"
    )


@pytest.mark.parametrize(
    "pattern", [r"[^\p{L}]{999}", r"(?i)\p{L}{900}", r"\p{L}" * 200, "((.{10}){10}){10}", ".{1000}" * 140, "x" * 1000]
)
def test_patterns_of_a_file_take_a_bounded_time(pattern):
    begin = time.process_time()
    with contextlib.suppress(SpecError):
        load_checks([{"regex": {"column": "x", "pattern": f"{n:03}{pattern}"[:1000]}} for n in range(300)], path=None)
    assert time.process_time() - begin < 0.5


def test_patterns_beyond_the_budget_of_a_document_are_left_to_the_run():
    patterns = PatternCompiler(500)
    assert patterns.fault("a{900}(") is None, "too expensive"
    assert patterns.fault("(") == "missing ): ("
    assert [patterns.fault(f"{number}(") for number in range(9)].count(None) == 6
    assert patterns.fault("(") == "missing ): (", "an equal pattern costs nothing"

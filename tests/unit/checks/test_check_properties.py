"""Checks agree with plain Python on any rows."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pyarrow as pa
from checked_rows import Rows
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_wall.checks.base import Result
from airflow_wall.checks.evaluate import evaluate
from airflow_wall.checks.load import load_checks

NUMBERS = st.one_of(st.none(), st.integers(-2, 2))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "A", "a'b", 'a"b', "ä", "\n", "a\nb", "1", "None"]))
PAIRS = st.lists(st.tuples(NUMBERS, TEXTS), max_size=12)

few = settings(max_examples=25, deadline=None)


def table(pairs: list[tuple[int | None, str | None]]) -> pa.Table:
    numbers, texts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return pa.table({"n": pa.array(numbers, pa.int64()), "t": pa.array(texts, pa.string())})


def last_result(check: dict[str, Any], rows: Rows) -> Result:
    return evaluate(load_checks([check], path=None), rows, now="2024-01-01T00:00:00Z").results[-1]


@few
@given(PAIRS, PAIRS)
def test_unique_counts_each_key_over_all_slices(here: list[Any], before: list[Any]) -> None:
    found = last_result({"unique": {"key": ["n", "t"]}}, Rows(table(here), {"before": table(before)}))
    repeated = [count for count in Counter([*here, *before]).values() if count > 1]
    assert found.passed == (not repeated)
    if repeated:
        assert found.observed == f"{len(repeated)} keys in {sum(repeated)} rows"


@few
@given(PAIRS, PAIRS)
def test_reference_finds_the_keys_that_the_other_table_lacks(here: list[Any], there: list[Any]) -> None:
    check = {"reference": {"columns": ["n", "t"], "table": "other"}}
    found = last_result(check, Rows(table(here), {}, {"other": table(there)}))
    lost = {pair for pair in here if None not in pair} - set(there)
    assert found.passed == (not lost)
    if lost:
        rows = sum(pair in lost for pair in here)
        assert found.observed == f"{len(lost)} keys in {rows} rows are missing there"


@few
@given(PAIRS, st.lists(st.sampled_from(["", "a", "A", "a'b", "ä", "z", "1"]), min_size=1, unique=True))
def test_groups_without_rows_are_named(here: list[Any], groups: list[str]) -> None:
    found = last_result({"completeness": {"by": "t", "groups": groups}}, Rows(table(here)))
    present = {text for _, text in here}
    assert found.passed == (set(groups) <= present)


@few
@given(PAIRS, st.floats(0.01, 1))
def test_each_group_has_its_share_of_values(here: list[Any], share: float) -> None:
    check = {"completeness": {"by": "t", "columns": "n", "min_fraction": share}}
    found = last_result(check, Rows(table(here)))
    groups = {text: [number for number, other in here if other == text] for _, text in here}
    full = {text: 1 - values.count(None) / len(values) for text, values in groups.items()}
    assert found.passed == all(fraction >= share for fraction in full.values())


@few
@given(
    PAIRS, st.sampled_from(["a", "a?", "[aA]", r"\w", r"\d", ".", "(?s).*", ".*", "a'b", '.*".*', "ä", "a|A|1", "^a$"])
)
def test_a_pattern_matches_the_whole_text(here: list[Any], pattern: str) -> None:
    found = last_result({"regex": {"column": "t", "pattern": pattern}}, Rows(table(here)))
    texts = [text for _, text in here if text is not None]
    assert found.passed == all(re.fullmatch(pattern, text, re.ASCII) for text in texts)

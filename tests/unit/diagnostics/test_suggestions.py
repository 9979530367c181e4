"""Unknown names get a hint, and names are listed in backticks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_wall.diagnostics.suggestions import as_list, did_you_mean, listed, nearest, suggestion

PACKAGE = Path(__file__).parents[3] / "airflow_wall"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["a"], "`a`"),
        (("a", "b"), "`a`, `b`"),
        ((name for name in "abcd"), "`a`, `b`, `c` and 1 more"),
        (["a", "b", "c", "d", "e"], "`a`, `b`, `c` and 2 more"),
    ],
)
def test_names_are_listed_in_backticks(names: list[str], expected: str) -> None:
    assert listed(names, 3) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a"], "`a`"),
        (["a", "b"], "`a` or `b`"),
        (["a", "b", "c"], "`a`, `b` or `c`"),
        (list("abcd"), "`a`, `b`, `c` and 1 more"),
    ],
)
def test_a_conjunction_stands_before_the_last_name(names: list[str], expected: str) -> None:
    assert listed(names, 3, conjunction="or") == expected


def test_a_list_without_a_limit_has_at_most_twenty_names() -> None:
    assert listed(map(str, range(25))).endswith("`19` and 5 more")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("scoer", "score"), ("SCORE", "score"), ("retrian", "retrain"), ("unlike", None), ("", None)],
)
def test_the_nearest_name_is_suggested(name: str, expected: str | None) -> None:
    known = ["score", "retrain", "predict"]
    assert nearest(name, known) == expected
    assert did_you_mean(name, known) == (f"did you mean `{expected}`?" if expected else None)


def test_of_many_names_those_with_the_same_first_letter_are_compared() -> None:
    known = [f"z_{number}" for number in range(200)] + ["churn"]
    assert nearest("chrun", known) == "churn"
    assert nearest("hurn", known) is None


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (["score"], "did you mean `score`?"),
        (["fit", "check"], "known tasks: `check`, `fit`."),
        ([], "there are no tasks"),
        ([f"t{number}" for number in range(21)], "remove it: none of the known tasks is like it"),
    ],
)
def test_the_hint_names_the_nearest_or_all(known: list[str], expected: str) -> None:
    assert suggestion("scor", known, what="tasks") == expected


@pytest.mark.parametrize(("text", "expected"), [("a, b", "[a, b]"), ("a b", "[a, b]"), ("a", None), ("a, c", None)])
def test_a_text_of_several_names_is_shown_as_a_list(text: str, expected: str | None) -> None:
    assert as_list(text, ["a", "b"]) == expected


@pytest.mark.parametrize(
    ("own_way", "use"),
    [
        (r"^import difflib|^from difflib", "did_you_mean"),
        (r"""(, | or | and )["']\.join\(f["']`\{[\w.]+\}`["']""", "listed"),
    ],
)
def test_other_modules_use_these_functions(own_way: str, use: str) -> None:
    """Messages of all packages suggest and list names in the same words."""
    others = [path for path in PACKAGE.rglob("*.py") if path.name != "suggestions.py"]
    assert [str(path) for path in others if re.search(own_way, path.read_text(), re.MULTILINE)] == [], use

"""The tree of errors."""

from __future__ import annotations

import pickle

import pytest

from airflow_wall import errors
from airflow_wall.diagnostics.faults import Fault, FaultyText, SourcePosition
from airflow_wall.errors import Terminal, Transient, WallError, first_line

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, WallError)]


@pytest.mark.parametrize("kind", ALL)
def test_error_survives_pickling(kind: type[WallError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what", hint="how")))
    assert type(error) is kind
    assert str(error) == "what\n\nhint: how"


def test_faulty_text_survives_pickling(tmp_path: object) -> None:
    from pathlib import Path

    error = pickle.loads(pickle.dumps(FaultyText([Fault(Path("a.yaml"), SourcePosition(1, 1), "bad")], "x: y")))
    assert str(error) == "error: a.yaml:1:1: bad\n  1 | x: y\n    | ^"
    assert error.faults[0].message == "bad"


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind is not WallError])
def test_every_error_says_whether_a_retry_can_help(kind: type[WallError]) -> None:
    assert issubclass(kind, Terminal) != issubclass(kind, Transient)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    for kind in ALL:
        assert f" {kind.__name__} " in errors.__doc__ or f"{kind.__name__}\n" in errors.__doc__


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n what\nmore"), "what"),
        (ValueError(), "ValueError"),
        (WallError("what\nmore", hint="how"), "what"),
        (WallError("", hint="how"), "WallError"),
    ],
)
def test_the_first_line_of_an_error_is_never_empty(error: Exception, line: str) -> None:
    assert first_line(error) == line

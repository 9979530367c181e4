"""Modules beside a pipeline are looked at once, and only parsed where that is cheap."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.errors import UserCodeError
from airflow_wall.loader.code import MAX_PARSED, check_defined
from airflow_wall.loader.files import Folder


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda text, *given: seen.append(text) or parse(text, *given))
    return seen


def test_a_function_that_begins_a_line_is_found_without_parsing(tmp_path: Path, parsed: list[str]) -> None:
    (tmp_path / "a.py").write_text("async def f(): pass\nclass C: pass\n")
    folder = Folder(tmp_path)
    for name in ("f", "C"):
        check_defined("a", name, folder)
    assert parsed == []


def test_a_module_is_parsed_once_however_many_names_it_lacks(tmp_path: Path, parsed: list[str]) -> None:
    (tmp_path / "a.py").write_text("def f(): pass\nx = 1\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    folder = Folder(tmp_path)
    check_defined("a", "x", folder)
    for _ in range(3):
        with pytest.raises(UserCodeError, match="does not define `g`"):
            check_defined("a", "g", folder)
        with pytest.raises(FaultyText, match="not Python"):
            check_defined("broken", "g", folder)
    assert len(parsed) == 2


def test_a_large_module_is_not_parsed(tmp_path: Path, parsed: list[str]) -> None:
    (tmp_path / "a.py").write_text("a\n" * MAX_PARSED)
    check_defined("a", "g", Folder(tmp_path))
    assert parsed == []

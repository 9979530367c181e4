"""
Names, texts and values from outside never act on the terminal, in any format of any command.

Waits for: a new process for each command.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

HOSTILE = "a\x1b[31m\x07\r\x7f\x9b2J\u202e\u2066\u2028\u0085\udc80b"
"""Names of files and contents of texts: a colour, a bell, a direction, other line ends, half a character."""

NAME = HOSTILE.replace("\udc80", "\udcff") + "\nerror: forged.yaml:1:1: all is lost"


def wall(*arguments: str | bytes, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    program = "from airflow_wall.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **environment},
    )


def shown(found: subprocess.CompletedProcess[bytes]) -> str:
    text = (found.stdout + found.stderr).decode()  # strictly: half a character would be an error
    unsafe = [f"U+{ord(sign):04X}" for sign in text if sign != "\n" and unicodedata.category(sign) in _UNSAFE]
    assert not unsafe, text
    assert not [line for line in text.splitlines() if line.startswith(("error: forged", "forged"))], text
    assert "Traceback" not in text
    return text


_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / f"dir {NAME.replace('/', '')}"
    inner.mkdir()
    (inner / "bad.yaml").write_text(
        "dag_id: bad\ntasks:\n  - id: a\n    retires: 3\n  - id: b\n    uses: transform\n"
        '    with: {sql: q.sql, "x\\e[31m\\ny": 1, target: "t\\e[2J"}\n'
    )
    (inner / "q.sql").write_text("SELECT '{{ \x1b[31m\n error: forged")
    (inner / "stranger.yaml").write_text("a: 1\n")
    return tmp_path


@pytest.mark.parametrize("format", ["text", "json", "github", "gitlab"])
def test_validate_escapes_names_and_texts(folder: Path, format: str) -> None:
    found = wall("validate", ".", *(["--json"] if format == "json" else ["--format", format]), cwd=folder)
    assert found.returncode == 1
    text = shown(found)
    assert "u001b" in text if format in ("json", "gitlab") else "x1b" in text
    if format in ("json", "gitlab"):
        assert json.loads(text)
    named = shown(wall("validate", os.fsencode(next(folder.rglob("stranger.yaml"))), cwd=folder))
    assert "dir a\\x1b[31m" in named
    assert "holds no pipeline" in named


@pytest.mark.parametrize("command", ["explain", "graph", "run"])
def test_other_commands_escape_names_and_texts(folder: Path, command: str) -> None:
    path = next(folder.rglob("bad.yaml"))
    found = wall(command, os.fsencode(path), cwd=folder, AIRFLOW_HOME=str(folder / "home"))
    assert found.returncode == 1
    assert "x1b" in shown(found)


def test_drawn_graph_names_its_file_safely(folder: Path) -> None:
    good = next(folder.rglob("bad.yaml")).with_name("good.yaml")
    good.write_text('dag_id: good\nvars: {x: a}\nenvironments:\n  p: {vars: {x: "a\\nforged"}}\ntasks:\n  - id: a\n')
    drawn = wall("graph", os.fsencode(good), "--svg", os.fsencode(good.with_suffix(".svg")), cwd=folder)
    assert drawn.returncode == 0
    assert "x1b" in shown(drawn)
    explained = wall("explain", "--env", "p", os.fsencode(good), cwd=folder)
    assert explained.returncode == 0
    assert r"\n" in shown(explained)


def test_query_escapes_values_and_columns(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as database, database:
        database.execute('CREATE TABLE t ("c\x1b[31m\nforged" TEXT)')
        database.execute("INSERT INTO t VALUES (?)", ("v\x1b[2J\nforged",))
    (tmp_path / "connections.yaml").write_text("a: {conn_type: sqlite, host: x.db}\n")
    found = wall("query", "sql://a/t", cwd=tmp_path, AIRFLOW_HOME=str(tmp_path / "home"))
    assert found.returncode == 0
    assert shown(found).splitlines()[0] == r"c\x1b[31m\nforged"


def test_doctor_escapes_facts(tmp_path: Path) -> None:
    facts = {"name": "a\x1b[31m\nforged", "component": "scheduler", "unreachable": {"x\x9b\nforged": "\u202e\nforged"}}
    (tmp_path / "facts").write_text(json.dumps(facts))
    found = wall("doctor", "facts", cwd=tmp_path)
    assert found.returncode == 1
    assert r"a\x1b[31m\nforged" in shown(found)


def test_terminal_without_unicode_gets_escapes(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("dag_id: a\ntasks:\n  - id: ä\n", encoding="utf-8")
    found = wall("validate", "a.yaml", cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert found.returncode == 1
    assert r"\xe4" in shown(found)

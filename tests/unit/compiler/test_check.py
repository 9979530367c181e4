"""Checking many files finds what checking each finds."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from airflow_wall.compiler import check
from airflow_wall.compiler.check import check_files
from airflow_wall.settings import Settings

TEXTS = (
    "dag_id: p{}\nstorage: ./lake\ntasks: [{{id: a}}]\n",
    "dag_id: p{}\ntasks: [{{id: a, needs: b}}]\n",
    "dag_id: same\nstorage: ./lake\ntasks: [{{id: a}}]\n",
    "somebody: elses\n",
)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = []
    for number in range(400):
        path = tmp_path / f"p{number:03}.yaml"
        path.write_text(TEXTS[number % len(TEXTS)].format(number))
        made.append(path)
    return made


def test_processes_find_what_one_finds(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr(check.os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: begun.append(kind) or context)
    together = check_files(files, Settings())
    assert begun == ["fork"]
    monkeypatch.setattr(check, "_WORTH_A_PROCESS", 1_000)
    assert check_files(files, Settings()) == together
    assert begun == ["fork"]
    assert [each.path for each in together] == files
    assert [bool(each.faults) for each in together[:4]] == [False, True, True, False]
    assert "which is also that of" in str(together[2].faults[0].message)


def test_few_files_are_checked_here(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_context", None)
    assert len(check_files(files[:150], Settings())) == 150

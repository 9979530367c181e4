"""Write missing `needs` into pipeline files, for `airflow-wall validate --fix`."""

from __future__ import annotations

import codecs
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from airflow_wall.cli.output import say
from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.diagnostics.printable import printable_line
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.planner.add_needs import Addition, add_needs
from airflow_wall.processes.isolation import Ended, Limits, run_isolated
from airflow_wall.settings import Settings

_LIMITS = Limits(cpu=60.0, wall=120.0, memory=512 << 20)
"""Limits for one file. Each addition may be verified on its own."""


def fix_files(files: Sequence[Path], settings: Settings) -> None:
    """Write the missing `needs` into files, and say on standard error what was added and what could not be."""
    answers = run_isolated(functools.partial(_fixed, settings=settings), files, _LIMITS)
    for file, answer in zip(files, answers, strict=True):
        name = printable_line(str(file))
        if isinstance(answer, Ended):
            say(f"not fixed: {name}: fixing this file {answer.reason}")
            continue
        if answer["text"] is not None:
            _write(file, answer["text"])
        for line, key, names in answer["added"]:
            say(f"fixed: {name}:{line}: `{key}` now needs {listed(names)}")
        for line, key, names in answer["left"]:
            advice = f"add {listed(names)} to its `needs` by hand; this text cannot be changed safely"
            say(f"not fixed: {name}:{line}: `{key}`: {advice}")


def _fixed(file: Path, settings: Settings) -> dict[str, Any]:
    try:
        corrected = add_needs(file, settings)
    except FaultyText:
        return {"text": None, "added": [], "left": []}  # the check that follows reports its faults
    return {"text": corrected.text, "added": _rows(corrected.added), "left": _rows(corrected.left)}


def _rows(additions: Iterable[Addition]) -> list[tuple[int, str, tuple[str, ...]]]:
    """Return the line of the first fault, the key of the task and the added names of each addition."""
    return [
        (addition.faults[0].place.line, (addition.faults[0].key or "").partition(".with.")[0], addition.names)
        for addition in additions
    ]


def _write(file: Path, text: str) -> None:
    content = file.read_bytes()
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    file.write_bytes(mark + text.encode())  # in place, so that links, owner and mode stay

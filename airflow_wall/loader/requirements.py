"""Replace `requirements` that name a file beside the pipeline by the lines of this file."""

from __future__ import annotations

import re
from typing import Any

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.loader.faults import UNRESOLVED, Faults
from airflow_wall.loader.files import Folder
from airflow_wall.text.requirements import RequirementFault, parse_requirement

_COMMENT = re.compile(r"(^|\s)#.*$")


def read_requirements(block: dict[str, Any], loc: Loc, folder: Folder, faults: Faults) -> dict[str, Any]:
    """Return the block with the lines of the file that its `requirements` name, if they name one."""
    value = block.get("requirements")
    if not isinstance(value, str) or not value.endswith(".txt") or "\n" in value:
        return block
    noted = len(faults.collected)
    lines = _lines(folder.read(value, (*loc, "requirements"), faults))
    parsed = [_parsed(value, number, line, (*loc, "requirements"), faults) for number, line in lines]
    return {**block, "requirements": UNRESOLVED if len(faults.collected) > noted else parsed}


def _lines(text: str) -> list[tuple[int, str]]:
    """Return the lines with a requirement, each with its number. A backslash at the end joins a line with the next."""
    lines: list[tuple[int, str]] = []
    joined, number = "", 0
    for at, line in enumerate(text.splitlines(), start=1):
        number = number if joined else at
        joined += _COMMENT.sub("", line).strip()
        if joined.endswith("\\"):
            joined = f"{joined[:-1].rstrip()} "
            continue
        if joined.strip():
            lines.append((number, joined.strip()))
        joined = ""
    return [*lines, (number, joined.strip())] if joined.strip() else lines


def _parsed(file: str, number: int, line: str, loc: Loc, faults: Faults) -> str | None:
    try:
        return parse_requirement(line).line
    except RequirementFault as error:
        message = f"names `{file}`, whose line {number} {error.expected}, got `{brief(line)}`"
        faults.add(loc, message, error.hint)
        return None

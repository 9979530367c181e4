"""`requirements` that name a file beside the pipeline: its lines are meant."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import PydanticCustomError

from airflow_wall.loader.faults import UNRESOLVED, Faults
from airflow_wall.loader.files import Folder
from airflow_wall.spec.environment import checked_requirement
from airflow_wall.text.faults import Loc, shown

_COMMENT = re.compile(r"(^|\s)#.*$")


def with_requirements(given: dict[str, Any], loc: Loc, folder: Folder, faults: Faults) -> dict[str, Any]:
    """The block with the lines of the file that its `requirements` name, if they name one."""
    value = given.get("requirements")
    if not isinstance(value, str) or not value.endswith(".txt") or "\n" in value:
        return given
    noted = len(faults.found)
    lines = _lines(folder.read(value, (*loc, "requirements"), faults))
    for number, line in lines:
        _check(value, number, line, (*loc, "requirements"), faults)
    return {**given, "requirements": UNRESOLVED if len(faults.found) > noted else [line for _, line in lines]}


def _lines(text: str) -> list[tuple[int, str]]:
    """The lines that say something, each with its number; one that ends in a backslash goes on in the next."""
    found: list[tuple[int, str]] = []
    begun, number = "", 0
    for at, line in enumerate(text.splitlines(), start=1):
        number = number if begun else at
        begun += _COMMENT.sub("", line).strip()
        if begun.endswith("\\"):
            begun = f"{begun[:-1].rstrip()} "
            continue
        if begun.strip():
            found.append((number, begun.strip()))
        begun = ""
    return [*found, (number, begun.strip())] if begun.strip() else found


def _check(file: str, number: int, line: str, loc: Loc, faults: Faults) -> None:
    try:
        checked_requirement(line)
    except PydanticCustomError as error:
        context = error.context or {}
        message = f"names `{file}`, whose line {number} {error.message()}, got `{shown(line)}`"
        faults.add(loc, message, context.get("hint"))

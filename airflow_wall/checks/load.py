"""Read checks: a YAML text, or the list that a pipeline holds. All faults at once, each with its place."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from airflow_wall.checks.backends import CHECKS
from airflow_wall.checks.base import Check
from airflow_wall.errors import SpecError
from airflow_wall.text.faults import Fault, FaultyText, Loc, shown, suggestion
from airflow_wall.text.reader import Document, read_text

_WANTED = {
    "bool_type": "`true` or `false`",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "string_type": "text",
    "too_short": "not empty",
    "string_too_short": "not empty",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
}
"""Pydantic's type of an error -> what the value must be, in words of the file."""

_EXAMPLE = "write, e.g., `- row_count: {min: 1}`"


@dataclass(frozen=True)
class Found:
    """
    A fault before its place is looked up.

    :param loc: Where it is: `("checks", 0, "row_count", "min")`.
    :param of_key: It is about the key at `loc`, not about its value.
    """

    loc: Loc
    message: str
    hint: str | None = None
    of_key: bool = False


def load_checks(source: str | list[Any], *, path: str | None) -> tuple[Check, ...]:
    """
    Return the checks of a file or of a list.

    :param source: YAML text with a list under `checks`, or that list as plain values.
    :param path: Name of the file, for messages; None for a list.
    :raises FaultyText: the text has faults: all of them, with line and column.
    :raises SpecError: the list has faults: all of them, with their keys.
    """
    if isinstance(source, str):
        return _from_text(source, Path(path or "checks.yaml"))
    checks, found = _read_list(source)
    if found:
        lines = [f"{_said(fault)}{f' ({fault.hint})' if fault.hint else ''}" for fault in found]
        raise SpecError("\n".join(lines))
    return checks


def faults_of_list(items: list[Any]) -> list[Found]:
    """The faults of a list of checks; each has its path from `checks` on."""
    return _read_list(items)[1]


@functools.lru_cache(maxsize=64)  # the pipelines of a team share their files of checks
def _from_text(text: str, path: Path) -> tuple[Check, ...]:
    documents = read_text(text.encode(), path)
    document = documents[0] if documents else Document(path, text, None, {}, {})
    checks: tuple[Check, ...] = ()
    if len(documents) > 1:
        found = [Found((), f"a file of checks holds one document, this one {len(documents)}", "remove the `---` lines")]
    elif not isinstance(document.value, dict) or "checks" not in document.value:
        found = [
            Found((), "a file of checks is a mapping with the key `checks`", "write `checks:` and the list below it")
        ]
    else:
        checks, found = _read_list(document.value["checks"])
        found += [
            Found((key,), "is not a key of a file of checks", "its only key is `checks`", of_key=True)
            for key in document.value
            if key != "checks"
        ]
    if found:
        places = [(document.place(fault.loc, of_key=fault.of_key), fault) for fault in found]
        raise FaultyText([Fault(path, place, _said(fault), fault.hint) for place, fault in places], text)
    return checks


def _read_list(items: Any) -> tuple[tuple[Check, ...], list[Found]]:
    if not isinstance(items, list) or not items:
        got = "no check" if items in ([], None) else f"`{shown(items)}`"
        return (), [Found(("checks",), f"must be a list of checks, got {got}", _EXAMPLE)]
    checks: list[Check] = []
    found: list[Found] = []
    for index, item in enumerate(items):
        check = _read_item(item, ("checks", index))
        if isinstance(check, Check):
            checks.append(check)
        else:
            found += check
    return tuple(checks), found


def _read_item(item: Any, loc: Loc) -> Check | list[Found]:
    if isinstance(item, str) and item in CHECKS:
        item = {item: {}}  # `- row_count` alone: say which options it needs, not that it is text
    if not isinstance(item, dict) or len(item) != 1:
        return [Found(loc, f"must be one check with its options, got `{shown(item)}`", _EXAMPLE)]
    ((kind, options),) = item.items()
    if kind not in CHECKS:
        hint = suggestion(str(kind), CHECKS, what="checks")
        return [Found((*loc, kind), "is not a kind of check", hint, of_key=True)]
    options = {} if options is None else options
    if not isinstance(options, dict):
        return [Found((*loc, kind), f"must be a mapping of options, got `{shown(options)}`", _EXAMPLE)]
    try:
        check = CHECKS[kind].model_validate(options)
    except ValidationError as error:
        return _translated(error, CHECKS[kind], options, (*loc, kind))
    return [Found((*loc, kind), message, of_key=True) for message in check.faults()] or check


def _translated(error: ValidationError, check: type[Check], options: Mapping[str, Any], loc: Loc) -> list[Found]:
    """Pydantic's errors as faults: one per place, and of a value that may be of several types only the deepest."""
    wanted: dict[Loc, list[str]] = {}
    found: list[Found] = []
    for detail in error.errors(include_url=False):
        inner = _real(detail["loc"], options)
        match detail["type"]:
            case "extra_forbidden":
                hint = suggestion(str(inner[-1]), check.model_fields, what=f"options of `{check.kind}`")
                found.append(Found((*loc, *inner), f"is not an option of `{check.kind}`", hint, of_key=True))
            case "missing":
                option = str(detail["loc"][-1])
                described = check.model_fields[option].description if option in check.model_fields else None
                how = f"add `{option}`: {described[0].lower()}{described[1:].rstrip('.')}" if described else None
                found.append(Found(loc, f"needs `{option}`", how, of_key=True))
            case _:
                wanted.setdefault(inner, []).append(_wanted(detail))
    for inner, words in wanted.items():
        if not any(other[: len(inner)] == inner and other != inner for other in wanted):
            value: Any = options
            for step in inner:
                value = value[step]
            must = " or ".join(dict.fromkeys(words))
            found.append(Found((*loc, *inner), f"must be {must}, got `{shown(value)}`"))
    return found


def _wanted(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "literal_error":
        return "one of " + str(context["expected"]).replace("'", "`")
    if detail["type"] == "value_error":  # raised by a validator of ours: "must be ..., got ..."
        return str(context["error"]).removeprefix("must be ").partition(", got ")[0]
    words = _WANTED.get(detail["type"])
    return words.format(**context) if words is not None else detail["msg"]


def _real(loc: tuple[int | str, ...], options: Mapping[str, Any]) -> Loc:
    """The part of a location that is in the file: pydantic adds the names of the types of a union."""
    value: Any = options
    inner: list[str | int] = []
    for step in loc:
        inside = step in value if isinstance(value, dict) else isinstance(value, list) and isinstance(step, int)
        if inside:
            value = value[step]
            inner.append(step)
    return tuple(inner)


def _said(fault: Found) -> str:
    return f"`{_key(fault.loc)}` {fault.message}" if fault.loc else fault.message


def _key(loc: Loc) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return text.removeprefix(".")

"""`params`: each is a default, or a JSON schema with its default; both are checked when the file is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_wall.loader.faults import Faults
from airflow_wall.spec.params import KEYWORDS
from airflow_wall.text.faults import Loc, shown, suggestion

MAX_DEFAULT = 10_000
"""Characters of a default as JSON: what checks it may take the square of that."""

MAX_TEXT = 20
"""Characters that a pattern with a repetition inside a repetition may be tried on: each can double the time."""

_NO_NETWORK = ("$ref", "$dynamicRef", "$id", "$schema", "$vocabulary")
"""Keywords by which a schema can name another one, which may lie anywhere."""


MAX_PARAMS = 1_000
"""How many params a pipeline may have."""


def check_params(params: Mapping[str, Any], *, scheduled: bool, faults: Faults, loc: Loc = ("params",)) -> None:
    """
    Note what is wrong with the schemas and defaults of a pipeline or a task.

    :param loc: Where they stand in the document.
    :param scheduled: Whether runs begin by themselves, so that there is nobody to give a value.
    """
    if len(params) > MAX_PARAMS:
        faults.add(loc, f"has {len(params):,} names; at most {MAX_PARAMS:,} are allowed", "group values in one")
        return
    for name, value in params.items():
        if isinstance(value, dict):
            _check(value, (*loc, name), scheduled, faults)


def _check(param: dict[str, Any], loc: Loc, scheduled: bool, faults: Faults) -> None:
    before = len(faults.found)
    for keyword in (keyword for keyword in param if keyword not in (*KEYWORDS, *_NO_NETWORK)):
        hint = suggestion(keyword, KEYWORDS, what="keywords")
        if hint.startswith("known"):
            hint = "a mapping that is itself the default is written `{type: object, default: {...}}`"
        faults.add((*loc, keyword), "is not a keyword of JSON schema", hint, of_key=True)
    schema = {key: value for key, value in param.items() if key not in ("default", "description")}
    for inner, keyword, value in _walk(schema, loc):
        if keyword in _NO_NETWORK:
            faults.add((*inner, keyword), "names another schema", "write out what it says", of_key=True)
        elif _longest(param.get("default")) > MAX_TEXT and (pattern := _slow_in(keyword, value)):
            message = f"`{shown(pattern)}` may take for ever to check with a default above {MAX_TEXT} characters"
            faults.add((*inner, keyword), message, "put no repetition or choice inside a repetition, or use `enum`")
    if len(faults.found) == before:
        _check_by_schema(schema, param, loc, scheduled, faults)


def _check_by_schema(schema: dict[str, Any], param: dict[str, Any], loc: Loc, scheduled: bool, faults: Faults) -> None:
    from jsonschema import FormatChecker, SchemaError  # Airflow's own, which most files do not need
    from jsonschema.exceptions import best_match
    from jsonschema.validators import Draft202012Validator

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        faults.add((*loc, *error.absolute_path), f"is not JSON schema: {_told(error.message)}", _hint(error.validator))
        return
    if "default" not in param:
        if scheduled:
            faults.add(loc, "has no `default`, but runs of a schedule begin with defaults", "add `default`")
        return
    if len(json.dumps(param["default"])) > MAX_DEFAULT:
        faults.add((*loc, "default"), f"must have at most {MAX_DEFAULT:,} characters as JSON", "name a file instead")
        return
    wrong = best_match(Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(param["default"]))
    if wrong is not None:
        message = f"breaks the param's own schema: {_told(wrong.message)}"
        number = wrong.validator == "type" and isinstance(wrong.instance, str) and wrong.instance.isdecimal()
        hint = f"write it without quotes: `{wrong.instance}`" if number else "change the default or the schema"
        faults.add((*loc, "default", *wrong.absolute_path), message, hint)


def _walk(schema: Any, loc: Loc) -> Iterator[tuple[Loc, str, Any]]:
    """Every key of a schema and of those in it, but not of the values it lists."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield loc, key, value
            if key not in ("enum", "const", "examples", "default", "values_display"):
                yield from _walk(value, (*loc, key))
    elif isinstance(schema, list):
        for index, each in enumerate(schema):
            yield from _walk(each, (*loc, index))


def _told(message: str) -> str:
    return shown(re.sub(r"'([^']*)'", r"`\1`", message), limit=200)


def _hint(keyword: object) -> str | None:
    if keyword in ("anyOf", "enum", "type"):
        return "the types are `string`, `integer`, `number`, `boolean`, `array`, `object` and `null`"
    return None


def _longest(value: Any) -> int:
    """Characters of the longest text in a value."""
    if isinstance(value, str):
        return len(value)
    inner = value.items() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return max((_longest(each) for each in inner), default=0)


def _slow_in(keyword: str, value: Any) -> str | None:
    patterns = value if keyword == "patternProperties" and isinstance(value, dict) else [value]
    if keyword not in ("pattern", "patternProperties"):
        return None
    return next((each for each in patterns if isinstance(each, str) and _slow(each)), None)


def _slow(pattern: str) -> bool:
    """Whether some text takes a time that doubles with each character: a repetition in which much can repeat."""
    try:
        parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]
    except (re.error, RecursionError, OverflowError):
        return False  # said when the schema is checked
    return _repeats(parsed, inside=False)


def _repeats(parsed: Any, *, inside: bool) -> bool:
    for operation, argument in parsed:
        name = str(operation)
        unbounded = name in ("MAX_REPEAT", "MIN_REPEAT") and argument[1] > 1
        if inside and name in ("MAX_REPEAT", "MIN_REPEAT", "BRANCH"):
            return True
        if any(_repeats(each, inside=inside or unbounded) for each in _inner(argument)):
            return True
    return False


def _inner(argument: Any) -> Iterator[Any]:
    if hasattr(argument, "data"):  # a sub-pattern
        yield argument
    elif isinstance(argument, tuple | list):
        for each in argument:
            yield from _inner(each)

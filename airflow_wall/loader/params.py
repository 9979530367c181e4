"""Check `params` when the file is read. Each is a default, or a JSON schema with its default."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.language.params import KEYWORDS
from airflow_wall.loader.faults import Faults
from airflow_wall.text.regex_cost import MAX_LENGTH, MAX_STEPS, PatternError, longest_text, steps_of, work_of_analysis

MAX_DEFAULT = 10_000
"""The most characters of a default as JSON."""

MAX_WORK = 20_000
"""The most work for checking the params of a file, in units of about 10 microseconds."""

_LEAST_WORK = 1_000
"""The work that each document of a file may take, even if the file has many."""

_WORK_OF_SCHEMA = 30
_WORK_OF_KEYWORD = 20
_STEPS_OF_WORK = 200
"""Steps of a regular expression that take one unit."""

_SCHEMAS_BY_NAME = ("properties", "patternProperties", "dependentSchemas")
"""Keywords with a mapping of names, which are not keywords, to schemas."""

_VALUES = ("enum", "const", "examples", "default", "values_display", "required", "dependentRequired", "type")
"""Keywords that hold values, not schemas."""

_NO_NETWORK = ("$ref", "$dynamicRef", "$id", "$schema", "$vocabulary")
"""Keywords by which a schema can name another schema, which may be on the network."""


MAX_PARAMS = 1_000
"""The most params of a pipeline."""


def check_params(params: Mapping[str, Any], *, scheduled: bool, faults: Faults, loc: Loc = ("params",)) -> None:
    """
    Note the faults in the schemas and defaults of a pipeline or a task.

    :param loc: Their path in the document.
    :param scheduled: True if runs start on a schedule, so that every param needs a default.
    """
    if len(params) > MAX_PARAMS:
        faults.add(loc, f"has {len(params):,} names; at most {MAX_PARAMS:,} are allowed", "group values in one")
        return
    for name, value in params.items():
        if isinstance(value, dict):
            _check(value, (*loc, name), scheduled, faults)


def _check(param: dict[str, Any], loc: Loc, scheduled: bool, faults: Faults) -> None:
    if faults.work_on_params > _limit(faults):
        return  # the fault is noted at the param that exceeded the limit
    before = len(faults.collected)
    for keyword in (keyword for keyword in param if keyword not in (*KEYWORDS, *_NO_NETWORK)):
        hint = suggestion(keyword, KEYWORDS, what="keywords")
        if hint.startswith("known"):
            hint = "a mapping that is itself the default is written `{type: object, default: {...}}`"
        faults.add((*loc, keyword), "is not a keyword of JSON schema", hint, of_key=True)
    schema = {key: value for key, value in param.items() if key not in ("default", "description")}
    for inner, keyword, _ in _walk(schema, loc):
        if keyword in _NO_NETWORK:
            faults.add((*inner, keyword), "names another schema", "write out what it says", of_key=True)
    _check_patterns(schema, loc, faults)
    if len(faults.collected) == before and _spend(schema, param.get("default"), loc, faults):
        _check_by_schema(schema, param, loc, scheduled, faults)


def _check_by_schema(schema: dict[str, Any], param: dict[str, Any], loc: Loc, scheduled: bool, faults: Faults) -> None:
    from jsonschema import FormatChecker, SchemaError  # as in Airflow; most files do not need it
    from jsonschema.exceptions import best_match
    from jsonschema.validators import Draft202012Validator

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about patterns that a later Python reads differently
            if (written := _as_json(schema)) not in faults.sound_schemas:
                Draft202012Validator.check_schema(schema)
                faults.sound_schemas.add(written)
    except SchemaError as error:
        message = f"is not JSON schema: {_in_backticks(error.message)}"
        faults.add((*loc, *error.absolute_path), message, _hint(error.validator))
        return
    if "default" not in param:
        if scheduled:
            faults.add(loc, "has no `default`, but runs of a schedule begin with defaults", "add `default`")
        return
    validator = Draft202012Validator(bounded_schema(schema), format_checker=FormatChecker())
    wrong = best_match(validator.iter_errors(param["default"]))
    if wrong is not None:
        message = f"breaks the param's own schema: {_in_backticks(wrong.message)}"
        number = wrong.validator == "type" and isinstance(wrong.instance, str) and wrong.instance.isdecimal()
        hint = f"write it without quotes: `{wrong.instance}`" if number else "change the default or the schema"
        faults.add((*loc, "default", *wrong.absolute_path), message, hint)


def bounded_schema(schema: Any) -> Any:
    """
    Return an equivalent schema that matches no slow pattern against a text longer than its `maxLength`.

    A validator tries all keywords of a schema, so it also matches `pattern` against a text that is too long. If only
    `maxLength` bounds the time of a pattern, the pattern moves into an `if` on the length.
    """
    if isinstance(schema, list):
        return [bounded_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    bounded: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _SCHEMAS_BY_NAME and isinstance(value, dict):
            bounded[key] = {name: bounded_schema(inner) for name, inner in value.items()}
        else:
            bounded[key] = value if key in _VALUES else bounded_schema(value)
    pattern, length = bounded.get("pattern"), _max_length(bounded)
    if isinstance(pattern, str) and length is not None and _is_slow(pattern):
        del bounded["pattern"]
        guarded = {"if": {"maxLength": length}, "then": {"pattern": pattern}}
        bounded["allOf"] = [*bounded.get("allOf", ()), guarded]
    return bounded


def _is_slow(pattern: str) -> bool:
    try:
        return steps_of(pattern) > MAX_STEPS
    except PatternError:
        return False  # the fault is noted already


def _max_length(schema: dict[str, Any]) -> int | None:
    value = schema.get("maxLength")
    return value if type(value) is int and value >= 0 else None


def _walk(schema: Any, loc: Loc) -> Iterator[tuple[Loc, str, Any]]:
    """Yield every keyword of a schema and of the schemas in it, with the path of its schema and its value."""
    for block, at in _schemas(schema, loc):
        for key, value in block.items():
            yield at, key, value


def _schemas(schema: Any, loc: Loc) -> Iterator[tuple[dict[str, Any], Loc]]:
    """Yield a schema and the schemas in it, each with its path."""
    if isinstance(schema, list):
        for index, inner in enumerate(schema):
            yield from _schemas(inner, (*loc, index))
    if not isinstance(schema, dict):
        return
    yield schema, loc
    for key, value in schema.items():
        if key in _SCHEMAS_BY_NAME and isinstance(value, dict):
            for name, inner in value.items():
                yield from _schemas(inner, (*loc, key, name))
        elif key not in _VALUES:
            yield from _schemas(value, (*loc, key))


# --- patterns


def _check_patterns(schema: dict[str, Any], loc: Loc, faults: Faults) -> None:
    """Refuse patterns that `re` may take long to match. Airflow matches them again whenever a run is started."""
    for block, at in _schemas(schema, loc):
        if faults.work_on_params > _limit(faults):
            return
        pattern = block.get("pattern")
        if isinstance(pattern, str):
            _check_pattern(pattern, _max_length(block), (*at, "pattern"), faults)
        names = block.get("patternProperties")
        for name in names if isinstance(names, dict) else ():
            if isinstance(name, str) and faults.work_on_params <= _limit(faults):
                _check_pattern(name, None, (*at, "patternProperties", name), faults, is_key=True)


def _check_pattern(pattern: str, max_length: int | None, loc: Loc, faults: Faults, *, is_key: bool = False) -> None:
    try:
        length = MAX_LENGTH if max_length is None else max_length
        if pattern not in faults.patterns and not _charge(work_of_analysis(pattern) // 10, loc, faults):
            return
        faults.patterns.add(pattern)
        if steps_of(pattern, length) <= MAX_STEPS:
            return
        longest = longest_text(pattern)
        at_its_start = steps_of(pattern, is_anchored=True) <= MAX_STEPS
    except PatternError as error:
        hint = None if "regular expression" in str(error) else "use a shorter pattern, or `enum`"
        faults.add(loc, str(error), hint, of_key=is_key)
        return
    if longest == 0:
        message = f"`{brief(pattern)}` may take for ever to match: the time doubles with each character of some texts"
        hint = "put no repetition or choice inside a repetition, or use `enum`"
        faults.add(loc, message, hint, of_key=is_key)
        return
    text = f"of {length:,} characters" if max_length is not None else "of any length"
    message = f"`{brief(pattern)}` may take too long to match a text {text}: the time grows by more than the length"
    hints = ["begin it with `^`"] * (at_its_start and not is_key) + [f"add `maxLength: {longest}`"] * (not is_key)
    faults.add(loc, message, ", or ".join(hints) or "begin it with `^`, and repeat no two sets in a row", of_key=is_key)


# --- work


def _spend(schema: dict[str, Any], default: Any, loc: Loc, faults: Faults) -> bool:
    """Count the work of checking a param. Return False if it is checked already or exceeds a bound, which is noted."""
    key = _as_json([schema, default])
    if key in faults.checked_params:
        return False  # checked already: the tasks of a matrix share their params
    if len(_as_json(default)) > MAX_DEFAULT:
        faults.add((*loc, "default"), f"must have at most {MAX_DEFAULT:,} characters as JSON", "name a file instead")
        return False
    work = _work(schema, default)
    if _as_json(schema) not in faults.sound_schemas:
        work += _WORK_OF_SCHEMA + _WORK_OF_KEYWORD * sum(1 for _ in _walk(schema, ()))
    if not _charge(work, loc, faults):
        return False
    faults.checked_params.add(key)
    return True


def _limit(faults: Faults) -> int:
    """Return the units of work that the params of a document may take."""
    return faults.share(MAX_WORK, _LEAST_WORK)


def _charge(work: int, loc: Loc, faults: Faults) -> bool:
    """Count the work of the next check. Return False if the document exceeds its limit, and note that once."""
    faults.work_on_params += work
    if faults.work_on_params > _limit(faults):
        hint = "use fewer keywords, shorter patterns, shorter lists and shorter defaults"
        faults.add(loc, "takes too long to check, together with the params before it", hint)
        return False
    return True


def _as_json(value: Any) -> str:
    return json.dumps(value, default=str)


def _work(schema: dict[str, Any], default: Any) -> int:
    """Return the most units of work for checking a schema, and a default by it."""
    texts = list(_texts(default))
    nodes = _nodes(default)
    keywords = [(keyword, value) for _, keyword, value in _walk(schema, ())]
    work = 1 + nodes * (len(keywords) + _nodes(schema) // 8)
    for keyword, value in keywords:
        if keyword == "uniqueItems":  # each item is compared with all others
            work += _longest_list(default) ** 2 // 5
        elif keyword in ("required", "type", "dependentRequired"):
            work += _longest_list(value) ** 2 // 50
        elif keyword == "pattern" and isinstance(value, str):
            work += _work_of_pattern(value, texts)
        elif keyword == "patternProperties" and isinstance(value, dict):
            work += sum(3 * _work_of_pattern(name, texts) for name in value if isinstance(name, str))
        elif (keyword, value) == ("format", "regex"):
            work += sum(_work_of_pattern(text, [""]) for text in texts)
        elif keyword == "format":
            work += sum(map(len, texts)) // 100
    return work


def _work_of_pattern(pattern: str, texts: Iterable[str]) -> int:
    try:
        return 5 + sum(steps_of(pattern, len(text)) for text in texts) // _STEPS_OF_WORK
    except PatternError:
        return MAX_WORK


def _nodes(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return 1 + sum(map(_nodes, inner))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value, including the keys of mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _longest_list(value: Any) -> int:
    if isinstance(value, dict):
        return max(map(_longest_list, value.values()), default=0)
    return max(len(value), *map(_longest_list, value), 0) if isinstance(value, list | tuple) else 0


def _in_backticks(message: str) -> str:
    return brief(re.sub(r"'([^']*)'", r"`\1`", message), limit=200)


def _hint(keyword: object) -> str | None:
    if keyword in ("anyOf", "enum", "type"):
        return "the types are `string`, `integer`, `number`, `boolean`, `array`, `object` and `null`"
    return None

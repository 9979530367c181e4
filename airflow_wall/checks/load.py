"""Parse checks from a YAML text or from a list in a pipeline, and report all faults at once, each with its place."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from airflow_wall.checks.backends import CHECKS
from airflow_wall.checks.base import Check
from airflow_wall.checks.patterns import PatternCompiler
from airflow_wall.diagnostics.faults import Fault, FaultyText, Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import nearest, suggestion
from airflow_wall.diagnostics.wording import describe_error
from airflow_wall.errors import SpecError
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.places import step_into
from airflow_wall.text.reader import read_text

_EXAMPLE = "write, e.g., `- row_count: {min: 1}`"


@dataclass(frozen=True)
class UnplacedFault:
    """
    A fault whose line and column are not known yet.

    :param loc: Path of the fault, e.g. `("checks", 0, "row_count", "min")`.
    :param of_key: True if the fault is in the key at `loc`, not in its value.
    """

    loc: Loc
    message: str
    hint: str | None = None
    of_key: bool = False


@dataclass(frozen=True)
class _Text:
    """
    A text of checks.

    :param patterns: Compiles its patterns. Equal texts have equal checks, whoever compiles them.
    """

    text: str
    path: Path
    patterns: PatternCompiler = field(compare=False)


def load_checks(
    source: str | list[Any], *, path: str | None, patterns: PatternCompiler | None = None
) -> tuple[Check, ...]:
    """
    Return the checks of a file or of a list.

    :param source: YAML text with a list under `checks`, or that list as plain values.
    :param path: Name of the file, for messages; None for a list.
    :param patterns: Compiles the regular expressions of the document that the checks belong to.
    :raises FaultyText: the text has faults: all of them, with line and column.
    :raises SpecError: the list has faults: all of them, with their keys.
    """
    patterns = PatternCompiler() if patterns is None else patterns
    if isinstance(source, str):
        return _from_text(_Text(source, Path(path or "checks.yaml"), patterns))
    checks, faults = _read_list(source, patterns)
    if faults:
        lines = [f"{_format_fault(fault)}{f' ({fault.hint})' if fault.hint else ''}" for fault in faults]
        raise SpecError("\n".join(lines))
    return checks


def faults_of_list(items: list[Any], patterns: PatternCompiler) -> list[UnplacedFault]:
    """Return the faults of a list of checks; the path of each begins at `checks`."""
    return _read_list(items, patterns)[1]


@functools.lru_cache(maxsize=64)  # pipelines of a team share files of checks
def _from_text(source: _Text) -> tuple[Check, ...]:
    text, path = source.text, source.path
    documents = read_text(text.encode(), path)
    document = documents[0] if documents else YamlDocument(path, text, None, {}, {})
    checks: tuple[Check, ...] = ()
    if len(documents) > 1:
        faults = [
            UnplacedFault(
                (), f"a file of checks holds one document, this one {len(documents)}", "remove the `---` lines"
            )
        ]
    elif not isinstance(document.value, dict) or "checks" not in document.value:
        faults = [
            UnplacedFault(
                (), "a file of checks is a mapping with the key `checks`", "write `checks:` and the list below it"
            )
        ]
    else:
        checks, faults = _read_list(document.value["checks"], source.patterns)
        faults += [
            UnplacedFault((key,), "is not a key of a file of checks", "its only key is `checks`", of_key=True)
            for key in document.value
            if key != "checks"
        ]
    if faults:
        places = [(document.place(fault.loc, of_key=fault.of_key), fault) for fault in faults]
        raise FaultyText([Fault(path, place, _format_fault(fault), fault.hint) for place, fault in places], text)
    return checks


def _read_list(items: Any, patterns: PatternCompiler) -> tuple[tuple[Check, ...], list[UnplacedFault]]:
    if not isinstance(items, list) or not items:
        got = "no check" if items in ([], None) else f"`{brief(items)}`"
        return (), [UnplacedFault(("checks",), f"must be a list of checks, got {got}", _EXAMPLE)]
    checks: list[Check] = []
    faults: list[UnplacedFault] = []
    for index, item in enumerate(items):
        check = _read_item(item, ("checks", index), patterns)
        if isinstance(check, Check):
            checks.append(check)
        else:
            faults += check
    return tuple(checks), faults


def _read_item(item: Any, loc: Loc, patterns: PatternCompiler) -> Check | list[UnplacedFault]:
    if isinstance(item, str) and item in CHECKS:
        item = {item: {}}  # `- row_count` alone: the fault then names the options it needs
    if not isinstance(item, dict) or len(item) != 1:
        return [UnplacedFault(loc, f"must be one check with its options, got `{brief(item)}`", _EXAMPLE)]
    ((kind, options),) = item.items()
    if kind not in CHECKS:
        hint = suggestion(str(kind), CHECKS, what="checks")
        return [UnplacedFault((*loc, kind), "is not a kind of check", hint, of_key=True)]
    options = {} if options is None else options
    if not isinstance(options, dict):
        return [UnplacedFault((*loc, kind), f"must be a mapping of options, got `{brief(options)}`", _EXAMPLE)]
    try:
        check = CHECKS[kind].model_validate(options, context={"patterns": patterns})
    except ValidationError as error:
        return _faults_of(error, CHECKS[kind], options, (*loc, kind))
    faults = [UnplacedFault((*loc, kind), message, of_key=True) for message in check.faults()]
    if check.over is not None and check.over not in check.scopes:
        faults.append(UnplacedFault((*loc, kind, "over"), *_scope_fault(check)))
    return faults or check


def _scope_fault(check: Check) -> tuple[str, str]:
    if not check.scopes:
        return f"must be absent, got `{check.over}`", "remove `over`: this check reads no rows"
    return f"must be `{check.scopes[0]}`, got `{check.over}`", f"remove `over`: it is always `{check.scopes[0]}` here"


def _faults_of(error: ValidationError, check: type[Check], options: Mapping[str, Any], loc: Loc) -> list[UnplacedFault]:
    """Return pydantic's errors as faults, one per place. For a union only the deepest place is kept."""
    wrong: dict[Loc, list[tuple[str, str, str | None]]] = {}
    faults: list[UnplacedFault] = []
    for detail in error.errors(include_url=False):
        inner = _path_in_file(detail["loc"], options)
        match detail["type"]:
            case "extra_forbidden":
                hint = suggestion(str(inner[-1]), check.model_fields, what="keys")
                faults.append(UnplacedFault((*loc, *inner), "is not a known key", hint, of_key=True))
            case "missing":
                key = str(detail["loc"][-1])
                if nearest(key, (str(given) for given in options if given not in check.model_fields)) is None:
                    faults.append(UnplacedFault((*loc, key), "is missing", _hint_to_add(check, key), of_key=True))
            case _:
                name, given = str(inner[-1]) if inner else "", functools.reduce(step_into, inner, options)
                wrong.setdefault(inner, []).append(describe_error(detail, name, given, None))
    for inner, described in wrong.items():
        if not any(other[: len(inner)] == inner and other != inner for other in wrong):
            expected = " or ".join(dict.fromkeys(words.removeprefix("must be ") for words, _, _ in described))
            begin = "" if len(described) == 1 and not described[0][0].startswith("must be ") else "must be "
            how = described[0][2] if len(described) == 1 else None
            faults.append(UnplacedFault((*loc, *inner), f"{begin}{expected}, got {described[0][1]}", how))
    return faults


def _hint_to_add(check: type[Check], key: str) -> str:
    described = check.model_fields[key].description if key in check.model_fields else None
    return f"add `{key}`: {described[0].lower()}{described[1:].rstrip('.')}" if described else f"add `{key}`"


def _path_in_file(loc: tuple[int | str, ...], options: Mapping[str, Any]) -> Loc:
    """Return the part of a location that is in the file. Pydantic adds the type names of a union."""
    value: Any = options
    inner: list[str | int] = []
    for step in loc:
        inside = step in value if isinstance(value, dict) else isinstance(value, list) and isinstance(step, int)
        if inside:
            value = value[step]
            inner.append(step)
    return tuple(inner)


def _format_fault(fault: UnplacedFault) -> str:
    return f"`{_key(fault.loc)}` {fault.message}" if fault.loc else fault.message


def _key(loc: Loc) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return text.removeprefix(".")

"""Collect the faults of one document, and word the errors of pydantic like all others."""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from airflow_wall.diagnostics.faults import MAX_FAULTS, Fault, FaultyText, Loc
from airflow_wall.diagnostics.suggestions import nearest, suggestion
from airflow_wall.diagnostics.wording import describe_error
from airflow_wall.language.base import SpecModel
from airflow_wall.language.markers import JINJA, MARKERS, Marker
from airflow_wall.language.operator import OperatorArguments
from airflow_wall.language.words import TRIGGER_RULES, leveled_keys, rows_of
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.places import Places, step_into

Model = TypeVar("Model", bound=SpecModel)


MAX_IN_BRACES = 60_000
"""The most characters between braces in the templates of a file. A template that is parsed twice counts twice."""

_LEAST_IN_BRACES = 2_000
"""The characters that each document of a file may have, even if the file has many."""

_AS_TASKS = "write it as `tasks`"
"""The hint for the words of other tools for `tasks`."""


class _Unresolved:
    """Stands for a value whose fault is noted already, so that no further fault is noted for it."""

    def __repr__(self) -> str:
        return "unresolved"


UNRESOLVED: Any = _Unresolved()

_ABOUT_THE_WHOLE = ("one_of",)
"""Errors about keys that exclude each other. Their message does not repeat the whole block."""

_ABOUT_THE_KEY = ("misplaced",)
"""Errors about keys that may not be there, with any value."""

_NOT_REPEATED = ("secret",)
"""Errors about values that no log should hold."""


class Stopped(Exception):
    """Raised when a document has too many faults or expands to too many values, so that the rest is not read."""


class Faults:
    """
    The faults and warnings of one document.

    :param document: The document they are about.
    """

    def __init__(self, document: YamlDocument) -> None:
        self.places = Places(document)
        self.collected: list[Fault] = []
        self.warnings: list[Fault] = []
        self.checked_params: set[str] = set()
        """The params that are checked already, as JSON."""
        self.sound_schemas: set[str] = set()
        """The schemas of params that are valid JSON schemas, as JSON."""
        self.patterns: set[str] = set()
        """The patterns in these schemas whose cost is computed already."""
        self.work_on_params = 0
        """Units of work that the checks of params have taken so far."""
        self.characters_in_braces = 0
        """Characters between braces in the templates that were parsed so far."""
        self.lacks_included = False
        """True if an included file cannot be read. Names that the document uses may be defined in it."""

    def add(
        self, loc: Loc, message: str, hint: str | None = None, *, of_key: bool = False, is_secret: bool = False
    ) -> None:
        """
        Note that the value at `loc` is wrong. The key path is put before `message`.

        :param is_secret: True if the value may be a secret, so that no fault shows it.
        """
        self.collected.append(self.places.fault(loc, message, hint, of_key=of_key, is_secret=is_secret))
        if len(self.collected) > MAX_FAULTS:
            raise Stopped

    def stop(self, loc: Loc, message: str, hint: str) -> NoReturn:
        """
        Note a last fault and end the reading of the document.

        :raises Stopped: always.
        """
        self.collected.append(self.places.fault(loc, message, hint))
        raise Stopped

    def count_template(self, text: str, loc: Loc) -> bool:
        """Count a template before it is parsed. Return False if the document exceeds its limit, which is noted once."""
        limit = self.share(MAX_IN_BRACES, _LEAST_IN_BRACES)
        before = self.characters_in_braces
        # A closing brace may be part of an expression, so each one reaches to the last brace before the next.
        for piece in JINJA.split(text)[1:]:
            self.characters_in_braces += 4 + len(piece.rpartition("}")[0] or piece)
        if before <= limit < self.characters_in_braces:
            hint = "write fewer or shorter expressions, or split the file"
            self.add(loc, "takes too long to check, together with the templates before it", hint)
        return self.characters_in_braces <= limit

    def share(self, limit: int, least: int) -> int:
        """Return the part of a limit that this document may use. The documents of a file share it."""
        return max(least, limit // _documents_in(self.places.document.text))

    def include(self, error: FaultyText) -> None:
        """Note the faults of another file that the document names."""
        self.collected += error.faults
        if len(self.collected) > MAX_FAULTS:
            raise Stopped

    def warn(self, loc: Loc, message: str, hint: str | None = None) -> None:
        """Note that the value at `loc` is valid, but probably a mistake."""
        if len(self.warnings) < MAX_FAULTS:
            self.warnings.append(self.places.fault(loc, message, hint))

    def check(self, model: type[Model], values: Any, loc: Loc, *, also: Iterable[str] = ()) -> Model | None:
        """
        Return the values as a `model`, or None with every fault noted.

        :param also: Keys that are known, but read elsewhere.
        """
        try:
            return model.model_validate(values)
        except ValidationError as error:
            for detail in _first_per_path(error.errors(include_url=False)[: 10 * MAX_FAULTS], values):
                if detail["input"] is not UNRESOLVED:
                    self._detail(model, values, loc, detail, tuple(also))
            return None

    def _detail(
        self, model: type[SpecModel], values: Any, loc: Loc, detail: ErrorDetails, also: tuple[str, ...]
    ) -> None:
        kind, value = detail["type"], detail["input"]
        inner = detail["loc"]
        where = (*loc, *inner)
        name = str(inner[-1]) if inner else ""
        if kind == "extra_forbidden":
            self.add(where, "is not a known key", _hint_of_key(model, values, detail, also), of_key=True)
        elif kind == "missing":
            description = _description(model, inner, values)
            block = _block(model, inner[:-1], values)
            known_keys = _keys_of(block)
            others = [key for key in _keys_at(values, inner[:-1]) if key not in known_keys]
            refused = block.refused if block is not None else {}
            other_words = (key for key in others if f"as `{name}`" in refused.get(key, ""))
            misspelt = next(other_words, None) or nearest(name, others)
            if misspelt is None:  # otherwise the misspelt key is a fault of its own
                self.add(
                    where, "is missing", f"add `{name}`: {description}" if description else f"add `{name}`", of_key=True
                )
        elif isinstance(value, Marker) and "hint" not in detail.get("ctx", {}):
            self.add(where, "cannot hold a marker", "write the value itself: it must be known when the file is read")
        elif isinstance(value, dict) and kind != "one_of" and MARKERS.keys() & value.keys():
            self.add(where, "cannot hold a marker", "write the value itself: markers are for arguments under `with`")
        else:
            written = self.places.written(where)
            plain = str(value) if isinstance(value, Marker) else value
            expected, got, error_hint = describe_error(detail, name, plain, written)
            if name == "trigger_rule" and isinstance(plain, str) and plain in TRIGGER_RULES:
                error_hint = f"write `trigger_rule: {TRIGGER_RULES[plain]}`"
            whole = isinstance(value, SpecModel | dict) and kind in _ABOUT_THE_WHOLE
            is_secret = kind in _NOT_REPEATED
            of_key = kind in _ABOUT_THE_KEY
            message = expected if whole or is_secret or of_key else f"{expected}, got {got}"
            self.add(where, message, error_hint, of_key=of_key, is_secret=is_secret)


@functools.lru_cache(maxsize=4)
def _documents_in(text: str) -> int:
    return 1 + text.count("\n---")


def _hint_of_key(model: type[SpecModel], values: Any, detail: ErrorDetails, also: tuple[str, ...]) -> str:
    """Return the hint for an unknown key: another word for it, the place where it belongs, or the nearest key."""
    inner = detail["loc"]
    name = str(inner[-1])
    block = _block(model, inner[:-1], values)
    known_keys = [*_keys_of(block), *(also if len(inner) == 1 else ())]
    reason = block.refused.get(name) if block is not None else None
    hint = f"`{name}` has no key: {reason}" if reason else suggestion(name, known_keys, what="keys")
    if reason == _AS_TASKS:
        hint = _hint_of_tasks(name, detail["input"])
    joined, colon, rest = name.partition(":")
    if colon and joined in known_keys:
        hint = f"put a space behind the colon: `{joined}: {rest}`"
    elif known_keys == ["uses", "with"] and not reason and nearest(name, known_keys) is None:
        hint = f"write `{name}` under `with`, if it is an argument of the class"
    elif {"needs", "with"} <= set(known_keys) and not reason and nearest(name, known_keys) is None:
        hint = "remove it; or write it under `with` if it is an argument of what the task uses"
        hint = "did you mean `tasks`?" if nearest(name, ("tasks",)) else hint
    elif "default_args" in known_keys and not reason:
        hint = _default_args_hint(name, known_keys) or hint
    return hint


def _hint_of_tasks(name: str, value: Any) -> str:
    """Return the hint for the `tasks` of another tool, with its words for the keys below."""
    keys = {key for key, _ in leveled_keys(value)}
    tool = "this is a file of blueprint; " if "blueprint" in keys else ""
    hint = f"{tool}`{name}` has no key: {_AS_TASKS}, a list with `- id: NAME` for each task"
    return f"{hint}; {rows}" if (rows := rows_of(value, -1)) else hint


def _default_args_hint(name: str, known_keys: Iterable[str]) -> str | None:
    """Return the hint to write a key under `default_args`, or None if it is not most like an argument of tasks."""
    arguments = OperatorArguments.model_fields
    argument = name if name in arguments else nearest(name, [*known_keys, *arguments])
    if argument is None or argument not in arguments or (argument != name and argument in known_keys):
        return None
    begin = "write it" if argument == name else f"did you mean `{argument}`? write it"
    return f"{begin} under `default_args`, for all tasks in it: `default_args: {{{argument}: ...}}`"


def _first_per_path(details: Iterable[ErrorDetails], values: Any) -> list[ErrorDetails]:
    """Return the first error of each path: a union reports one for each of its branches."""
    first: dict[Loc, ErrorDetails] = {}
    for detail in details:
        loc = _without_branches(detail["loc"], values)
        first.setdefault(loc, {**detail, "loc": loc})
    return list(first.values())


def _without_branches(loc: Loc, values: Any) -> Loc:
    """Return pydantic's path without the branches of unions. A part that looks like one may be a key of the user."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(part, int) and not isinstance(values, list):
            continue  # one value stands for a list of one
        if not _is_branch(part) or (isinstance(values, dict) and part in values):
            path.append(part)
            values = step_into(values, part)
    return tuple(path)


def _is_branch(part: str | int) -> bool:
    # pydantic names the branch of a union in the path: `str`, `constrained-str`, `is-instance[Template]`, ...
    return isinstance(part, str) and (
        part in ("str", "int", "float", "constrained-str", "[key]")
        or part.startswith(("<", "is-instance[", "json-or-python[", "list[", "function-", "lax-or-strict"))
    )


def _keys_at(values: Any, inner: Loc) -> list[str]:
    for part in inner:
        values = step_into(values, part)
    return [str(key) for key in values] if isinstance(values, dict) else []


def _block(model: type[SpecModel], inner: Loc, values: Any) -> type[SpecModel] | None:
    """Return the model of the block at `inner`; of several models, the one that has most of the written keys."""
    block: type[SpecModel] | None = model
    mapping: Any = None
    for part in inner:
        values = step_into(values, part)
        if isinstance(part, int) or block is None:
            continue
        if mapping is not None:  # the name of an entry, whose value is the block
            block, mapping = _most_similar(_models_in(mapping), values), None
            continue
        info = next((info for name, info in block.model_fields.items() if (info.alias or name) == part), None)
        if info is not None and typing.get_origin(info.annotation) is dict and _models_in(info.annotation):
            mapping = info.annotation
            continue
        block = None if info is None else _most_similar(_models_in(info.annotation), values)
    return None if mapping is not None else block


def _models_in(annotation: Any) -> list[type[SpecModel]]:
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        return list(annotation.variants())
    return [model for inner in typing.get_args(annotation) for model in _models_in(inner)]


def _most_similar(models: list[type[SpecModel]], values: Any) -> type[SpecModel] | None:
    keys = set(values) if isinstance(values, dict) else set()
    named = values.get("type") if isinstance(values, dict) else None

    def likeness(model: type[SpecModel]) -> tuple[bool, int]:
        kind = model.model_fields.get("type")
        is_named = kind is not None and named in typing.get_args(kind.annotation)
        return is_named, len(keys.intersection(_keys_of(model)))

    return max(models, key=likeness, default=None)


def _keys_of(model: type[SpecModel] | None) -> list[str]:
    return [] if model is None else [info.alias or name for name, info in model.model_fields.items()]


def _description(model: type[SpecModel], inner: Loc, values: Any) -> str | None:
    block = _block(model, inner[:-1], values)
    if block is None:
        return None
    info = next((info for name, info in block.model_fields.items() if (info.alias or name) == inner[-1]), None)
    text = info.description if info else None
    return text[0].lower() + text[1:].rstrip(".") if text else None

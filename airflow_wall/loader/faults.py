"""Collect the faults of one document, and say in one voice what pydantic finds."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from airflow_wall.loader.wording import said
from airflow_wall.spec.base import SpecModel
from airflow_wall.spec.markers import MARKERS, Marker
from airflow_wall.spec.operator import OperatorArguments
from airflow_wall.text.faults import MAX_FAULTS, Fault, FaultyText, Loc, nearest, suggestion
from airflow_wall.text.places import Places, step_into
from airflow_wall.text.reader import Document

Model = TypeVar("Model", bound=SpecModel)


class _Unresolved:
    """Stands for a value whose fault is noted already, so that nothing more is said of it."""

    def __repr__(self) -> str:
        return "unresolved"


UNRESOLVED: Any = _Unresolved()

_ABOUT_THE_WHOLE = ("one_of",)
"""Errors about keys that do not go together: the whole block is no news."""

_NOT_REPEATED = ("secret",)
"""Errors about values that no log should hold."""


class Stopped(Exception):
    """A document has so many faults, or makes so much of little, that the rest of it is not looked at."""


class Faults:
    """
    The faults and warnings of one document.

    :param document: The document they are about.
    """

    def __init__(self, document: Document) -> None:
        self.places = Places(document)
        self.found: list[Fault] = []
        self.warnings: list[Fault] = []
        self.lacks_included = False
        """Whether a file that the document includes cannot be read: what it names may stand there."""

    def add(self, loc: Loc, message: str, hint: str | None = None, *, of_key: bool = False) -> None:
        """Note that the value at `loc` is wrong; `message` goes on after the key path."""
        self.found.append(self.places.fault(loc, message, hint, of_key=of_key))
        if len(self.found) > MAX_FAULTS:
            raise Stopped

    def stop(self, loc: Loc, message: str, hint: str) -> NoReturn:
        """
        Note a last fault and end the reading of the document.

        :raises Stopped: always.
        """
        self.found.append(self.places.fault(loc, message, hint))
        raise Stopped

    def include(self, error: FaultyText) -> None:
        """Note the faults of another file that the document names."""
        self.found += error.faults
        if len(self.found) > MAX_FAULTS:
            raise Stopped

    def warn(self, loc: Loc, message: str, hint: str | None = None) -> None:
        """Note that the value at `loc` is probably not what was meant."""
        if len(self.warnings) < MAX_FAULTS:
            self.warnings.append(self.places.fault(loc, message, hint))

    def check(self, model: type[Model], values: Any, loc: Loc, *, also: Iterable[str] = ()) -> Model | None:
        """The values as `model`, or None with every fault noted. `also`: keys that are known, but read elsewhere."""
        try:
            return model.model_validate(values)
        except ValidationError as error:
            for detail in _one_each(error.errors(include_url=False)[: 10 * MAX_FAULTS], values):
                if detail["input"] is not UNRESOLVED:
                    self._detail(model, values, loc, detail, tuple(also))
            return None

    def _detail(
        self, model: type[SpecModel], values: Any, loc: Loc, detail: ErrorDetails, also: tuple[str, ...]
    ) -> None:
        kind, given = detail["type"], detail["input"]
        inner = detail["loc"]
        where = (*loc, *inner)
        name = str(inner[-1]) if inner else ""
        if kind == "extra_forbidden":
            block = _block(model, inner[:-1], values)
            known = [*_keys_of(block), *(also if len(inner) == 1 else ())]
            reason = block.refused.get(name) if block is not None else None
            near = f"`{name}` has no key: {reason}" if reason else suggestion(name, known, what="keys")
            joined, colon, rest = name.partition(":")
            if colon and joined in known:
                near = f"put a space behind the colon: `{joined}: {rest}`"
            elif {"needs", "with"} <= set(known) and not reason and nearest(name, known) is None:
                near = "remove it; or write it under `with` if it is an argument of what the task uses"
                near = "did you mean `tasks`?" if nearest(name, ("tasks",)) else near
            elif "default_args" in known and not reason:
                near = _of_all_tasks(name, known) or near
            self.add(where, "is not a known key", near, of_key=True)
        elif kind == "missing":
            description = _description(model, inner, values)
            block = _block(model, inner[:-1], values)
            known = _keys_of(block)
            others = [key for key in _given_keys(values, inner[:-1]) if key not in known]
            elsewhere = block.refused if block is not None else {}
            meant = (key for key in others if elsewhere.get(key) == f"write it as `{name}`")
            misspelt = next(meant, None) or nearest(name, others)
            if misspelt is None:  # else the misspelt key is a fault of its own
                self.add(
                    where, "is missing", f"add `{name}`: {description}" if description else f"add `{name}`", of_key=True
                )
        elif isinstance(given, Marker) and "hint" not in detail.get("ctx", {}):
            self.add(where, "cannot hold a marker", "write the value itself: it must be known when the file is read")
        elif isinstance(given, dict) and kind != "one_of" and MARKERS.keys() & given.keys():
            self.add(where, "cannot hold a marker", "write the value itself: markers are for arguments under `with`")
        else:
            written = self.places.written(where)
            expected, got, hint = said(detail, name, given, written)
            whole = isinstance(given, SpecModel | dict) and kind in _ABOUT_THE_WHOLE
            self.add(where, expected if whole or kind in _NOT_REPEATED else f"{expected}, got {got}", hint)


def _of_all_tasks(name: str, known: Iterable[str]) -> str | None:
    """Where to write what seems to be meant for every task; None where that is not what the name is most like."""
    meant = name if name in OperatorArguments.model_fields else nearest(name, [*known, *OperatorArguments.model_fields])
    if meant is None or meant not in OperatorArguments.model_fields or (meant != name and meant in known):
        return None
    asked = "write it" if meant == name else f"did you mean `{meant}`? write it"
    return f"{asked} under `default_args`, for all tasks in it: `default_args: {{{meant}: ...}}`"


def _one_each(details: Iterable[ErrorDetails], values: Any) -> list[ErrorDetails]:
    """One error per place: a union reports each of its branches."""
    best: dict[Loc, ErrorDetails] = {}
    for detail in details:
        loc = _written(detail["loc"], values)
        best.setdefault(loc, {**detail, "loc": loc})
    return list(best.values())


def _written(loc: Loc, values: Any) -> Loc:
    """Pydantic's path without the branches of unions: a part that looks like one may also be a key of the user's."""
    kept: list[str | int] = []
    for part in loc:
        if isinstance(part, int) and not isinstance(values, list):
            continue  # one value stands for a list of one
        if not _is_branch(part) or (isinstance(values, dict) and part in values):
            kept.append(part)
            values = step_into(values, part)
    return tuple(kept)


def _is_branch(part: str | int) -> bool:
    # pydantic names the branch of a union in the path: `str`, `constrained-str`, `is-instance[Template]`, ...
    return isinstance(part, str) and (
        part in ("str", "int", "float", "constrained-str", "[key]")
        or part.startswith(("<", "is-instance[", "json-or-python[", "list[", "function-", "lax-or-strict"))
    )


def _given_keys(values: Any, inner: Loc) -> list[str]:
    for part in inner:
        values = step_into(values, part)
    return [str(key) for key in values] if isinstance(values, dict) else []


def _block(model: type[SpecModel], inner: Loc, values: Any) -> type[SpecModel] | None:
    """The model of the block at `inner`; where there are several, the one with most of the keys that are given."""
    found: type[SpecModel] | None = model
    for part in inner:
        values = step_into(values, part)
        if isinstance(part, int) or found is None:
            continue
        info = next((info for name, info in found.model_fields.items() if (info.alias or name) == part), None)
        found = None if info is None else _likest(_models_in(info.annotation), values)
    return found


def _models_in(annotation: Any) -> list[type[SpecModel]]:
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        return [annotation]
    return [found for inner in typing.get_args(annotation) for found in _models_in(inner)]


def _likest(models: list[type[SpecModel]], values: Any) -> type[SpecModel] | None:
    given = set(values) if isinstance(values, dict) else set()
    named = values.get("type") if isinstance(values, dict) else None

    def likeness(model: type[SpecModel]) -> tuple[bool, int]:
        kind = model.model_fields.get("type")
        is_named = kind is not None and named in typing.get_args(kind.annotation)
        return is_named, len(given.intersection(_keys_of(model)))

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

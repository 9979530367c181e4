"""
Arguments as a constructor's signature wants them: texts and dates become moments, days and lengths of time.

The rules are those of Airflow's own YAML importer, and hold in both formats: what decides is the names of types that
the text of a parameter's annotation mentions.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import pendulum
from dateutil.relativedelta import relativedelta

from airflow_wall.text.durations import parse_length

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def coerced(arguments: Mapping[str, Any], target: Callable[..., Any], *, inherited: bool = False) -> dict[str, Any]:
    """
    The arguments with those changed that `target` takes as another type of time.

    What cannot be read as that type stays as it is: `target` then says what is wrong with it.

    :param inherited: Whether arguments that a class only passes on to its bases are read as those take them, such as
        the `poke_interval` of a sensor. Airflow's importer leaves those as they are.
    :raises OverflowError: a length of time is longer than its type can hold.
    """
    kinds = _inherited(target) if inherited and isinstance(target, type) else _kinds(target)
    return {name: kinds[name](value) if name in kinds else value for name, value in arguments.items()}


@functools.cache
def _inherited(target: type) -> dict[str, Callable[[Any], Any]]:
    found: dict[str, Callable[[Any], Any]] = {}
    for kind in reversed(target.__mro__):
        if "__init__" in vars(kind):
            own = inspect.signature(vars(kind)["__init__"]).parameters
            found = {name: read for name, read in found.items() if name not in own} | _kinds(kind)
    return found


@functools.cache
def _kinds(target: Callable[..., Any]) -> dict[str, Callable[[Any], Any]]:
    """Parameter to what reads its values, for the parameters that are a time of some type."""
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # a class of C without a signature
        return {}
    found: dict[str, Callable[[Any], Any]] = {}
    for name, parameter in parameters.items():
        types = {word.rpartition(".")[2] for word in _WORD.findall(str(parameter.annotation))}
        for read, names in _READERS:
            if types & names:
                found[name] = functools.partial(read, types=types)
                break
    return found


def _moment(value: Any, types: set[str]) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if isinstance(value, datetime) and "DateTime" in types:
        return pendulum.instance(value)
    return value


def _day(value: Any, types: set[str]) -> Any:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            return value
    # A moment given for a day keeps its time.
    return pendulum.instance(value) if "Date" in types and type(value) is date else value


def _length(value: Any, types: set[str]) -> Any:
    length = parse_length(value.removesuffix("\n")) if isinstance(value, str) else None
    if length is None:
        return value
    if length.is_calendar:  # a timedelta has no months, and pendulum's are all of 30 days
        preferred: tuple[str, ...] = ("relativedelta", "Duration")
    else:
        preferred = ("timedelta", "Duration", "relativedelta") if length.is_iso else ("timedelta", "Duration")
    kind = next((name for name in preferred if name in types), None)
    return value if kind is None else _LENGTHS[kind](**{unit: n for unit, n in length.units.items() if n})


_LENGTHS: dict[str, Callable[..., Any]] = {
    "timedelta": timedelta,
    "relativedelta": relativedelta,
    "Duration": pendulum.Duration,
}

_READERS = (
    (_moment, {"datetime", "DateTime"}),
    (_day, {"date", "Date"}),
    (_length, {"timedelta", "relativedelta", "Duration"}),
)
"""What reads a type, by its names; the first that fits decides."""

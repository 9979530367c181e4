"""
Convert arguments to the types of a constructor's signature: texts and dates become datetimes, dates and durations.

The rules are those of Airflow's own YAML importer, and apply to both formats: the type names in the text of a
parameter's annotation decide.
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
    Return the arguments, with dates and durations converted to the types that `target` takes.

    A value that cannot be converted stays unchanged: `target` then rejects it with its own message.

    :param inherited: True to convert also arguments that a class passes on to its bases, such as the `poke_interval` of
        a sensor. Airflow's importer leaves these unchanged.
    :raises OverflowError: a duration is longer than its type can hold.
    """
    readers = _inherited_readers(target) if inherited and isinstance(target, type) else _readers_of(target)
    return {name: readers[name](value) if name in readers else value for name, value in arguments.items()}


@functools.cache
def _inherited_readers(target: type) -> dict[str, Callable[[Any], Any]]:
    readers: dict[str, Callable[[Any], Any]] = {}
    for kind in reversed(target.__mro__):
        if "__init__" in vars(kind):
            own = inspect.signature(vars(kind)["__init__"]).parameters
            readers = {name: read for name, read in readers.items() if name not in own} | _readers_of(kind)
    return readers


@functools.cache
def _readers_of(target: Callable[..., Any]) -> dict[str, Callable[[Any], Any]]:
    """Return the reader of each parameter that is a date, a datetime or a duration, by the parameter's name."""
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # a class implemented in C, without a signature
        return {}
    readers: dict[str, Callable[[Any], Any]] = {}
    for name, parameter in parameters.items():
        types = {word.rpartition(".")[2] for word in _WORD.findall(str(parameter.annotation))}
        for read, names in _READERS:
            if types & names:
                readers[name] = functools.partial(read, types=types)
                break
    return readers


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
    # A datetime given for a date keeps its time.
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
"""Each reader with the names of its types. The first match decides."""

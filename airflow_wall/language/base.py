"""The base of all models of the language, and the types that several models share."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from airflow_wall.connections.info import check_conn_id
from airflow_wall.diagnostics.patterns import NAME_PATTERN
from airflow_wall.diagnostics.suggestions import nearest
from airflow_wall.errors import ConnectionFault
from airflow_wall.text.durations import parse_duration
from airflow_wall.text.kinds import FieldKind
from airflow_wall.text.reserved import reserved_part


class SpecModel(BaseModel):
    """A block of the YAML: frozen, without coercion between types, and closed against unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=False, serialize_by_alias=True)

    refused: ClassVar[Mapping[str, str]] = {}
    """Word that is not a key, to the reason and what to write instead."""

    @classmethod
    def variants(cls) -> Collection[type[SpecModel]]:
        """Return the blocks that may stand where this one is declared: more than one if a `type` tells them apart."""
        return (cls,)


_IN_WORDS = re.compile(r"(?P<count>\d{1,9}) *(?P<unit>seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|[smhdw])")
"""A duration as people write it."""


def _duration(value: Any) -> timedelta:
    duration = parse_duration(value) if isinstance(value, str) else value
    if not isinstance(duration, timedelta):
        hint = "write e.g. `30s`, `5m`, `2h`, `1d` or ISO 8601 `PT5M`"
        words = _IN_WORDS.fullmatch(value.strip().lower()) if isinstance(value, str) else None
        if words is not None:
            hint = f"write `{words['count']}{words['unit'][0]}`"
        if isinstance(value, int) and not isinstance(value, bool):
            hint = f"write the unit too, e.g. `{value}s` for seconds or `{value}m` for minutes"
        raise PydanticCustomError("duration", "must be a duration", {"hint": hint})
    return duration


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise PydanticCustomError(
            "moment", "must be a date or a time", {"hint": "write e.g. `2013-01-01` or `2013-01-01T03:00`"}
        ) from None


def _zone(value: Any) -> str:
    try:
        ZoneInfo(value)
    except (TypeError, ValueError, OSError, ZoneInfoNotFoundError):
        near = _nearest_zone(value) if isinstance(value, str) else None
        hint = f"did you mean `{near}`?" if near else "write a name of the IANA list, e.g. `America/New_York` or `UTC`"
        raise PydanticCustomError("zone", "must be a time zone", {"hint": hint}) from None
    return str(value)


def _nearest_zone(name: str) -> str | None:
    cities = _zones_by_city()
    near = nearest(name.rpartition("/")[2], cities)
    return cities[near] if near else None


@functools.cache
def _zones_by_city() -> Mapping[str, str]:
    """Return the time zones by the last part of their names. Cached, because it reads hundreds of files."""
    return {zone.rpartition("/")[2]: zone for zone in sorted(available_timezones())}


def _lake(value: str) -> str:
    """Return the directory without `./`, `//` and `x/..`, so that the path that is checked is the path that is used."""
    if "://" in value:
        hint = "write a folder, e.g. `./lake` or `/srv/lake`; object stores are not supported by this version"
        raise PydanticCustomError("folder", "must be a folder", {"hint": hint})
    part = reserved_part(value)
    if part is not None:
        hint = "name another folder, e.g. `./lake`: airflow-wall uses this name inside each lake"
        raise PydanticCustomError(
            "folder", "must not have the reserved name `{part}` in it", {"hint": hint, "part": part}
        )
    return posixpath.normpath(value).replace("//", "/")


def _link(value: Any) -> Any:
    if isinstance(value, str) and not value.startswith(("https://", "http://", "mailto:")):
        hint = "write e.g. `https://example.org/team` or `mailto:team@example.org`"
        raise PydanticCustomError(
            "link", "must be a link that begins with `https://`, `http://` or `mailto:`", {"hint": hint}
        )
    return value


def _conn_id(value: Any) -> Any:
    text = getattr(value, "text", value)
    if not isinstance(text, str) or (text is not value and "://" not in text):
        return value  # known only when the task runs, which checks it again
    try:
        check_conn_id(text)
    except ConnectionFault as error:
        message = error.message.removeprefix("`conn_id` ")
        raise PydanticCustomError("secret", "{message}", {"message": message, "hint": error.hint}) from None
    return value


def _without_addresses(values: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in values.items():
        if name.endswith("conn_id"):
            _conn_id(value)
    return values


def _many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


T = TypeVar("T")

ConnId = Annotated[T, AfterValidator(_conn_id)]
"""The id of a connection. An address in its place may hold a password, so no message repeats it."""

WithoutAddresses = Annotated[T, AfterValidator(_without_addresses)]
"""Arguments of a class, without addresses in place of connection ids."""

Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "examples": ["30s", "5m", "2h", "1d", "PT5M"]}),
    FieldKind.PLAIN,
]
"""A length of time."""

Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "examples": ["2013-01-01"]}),
    FieldKind.PLAIN,
]
"""A date, or a date and time."""

Zone = Annotated[
    str,
    BeforeValidator(_zone),
    WithJsonSchema({"type": "string", "examples": ["America/New_York", "UTC"]}),
    FieldKind.PLAIN,
]
"""A time zone of the IANA list."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN), FieldKind.PLAIN]
"""An id: letters, digits, `_` and `-`."""

Link = Annotated[
    str,
    BeforeValidator(_link),
    WithJsonSchema({"type": "string", "pattern": "^(https?://|mailto:)"}),
    FieldKind.PLAIN,
]
"""A link in the UI. A link with another scheme could run a script there."""

Lake = Annotated[str, StringConstraints(min_length=1), AfterValidator(_lake), FieldKind.LAKE]
"""A directory of the file system that holds tables."""

Names = Annotated[
    list[str],
    BeforeValidator(_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    FieldKind.PLAIN,
]
"""One id, or a list of them."""

NonNegative = Annotated[int, Field(ge=0), FieldKind.PLAIN]
Positive = Annotated[int, Field(ge=1), FieldKind.PLAIN]

"""The base of all spec models, and the types that several of them share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from airflow_wall.text.durations import parse_duration
from airflow_wall.text.faults import nearest

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_\-]{0,199}$"
MEMORY_PATTERN = r"^\d+(MB|GB)$"


class SpecModel(BaseModel):
    """A block of the YAML: frozen, without coercion between types, and closed against unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=False, serialize_by_alias=True)

    refused: ClassVar[Mapping[str, str]] = {}
    """Word that might be taken for a key, to why it is none and what to write instead."""


_IN_WORDS = re.compile(r"(?P<count>\d{1,9}) *(?P<unit>seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|[smhdw])")
"""A duration as people write it."""


def _duration(value: Any) -> timedelta:
    found = parse_duration(value) if isinstance(value, str) else value
    if not isinstance(found, timedelta):
        hint = "write e.g. `30s`, `5m`, `2h`, `1d` or ISO 8601 `PT5M`"
        words = _IN_WORDS.fullmatch(value.strip().lower()) if isinstance(value, str) else None
        if words is not None:
            hint = f"write `{words['count']}{words['unit'][0]}`"
        if isinstance(value, int) and not isinstance(value, bool):
            hint = f"write the unit too, e.g. `{value}s` for seconds or `{value}m` for minutes"
        raise PydanticCustomError("duration", "must be a duration", {"hint": hint})
    return found


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
        near = _zone_meant(value) if isinstance(value, str) else None
        hint = f"did you mean `{near}`?" if near else "write a name of the IANA list, e.g. `America/New_York` or `UTC`"
        raise PydanticCustomError("zone", "must be a time zone", {"hint": hint}) from None
    return str(value)


def _zone_meant(name: str) -> str | None:
    cities = {zone.rpartition("/")[2]: zone for zone in sorted(available_timezones())}
    near = nearest(name.rpartition("/")[2], cities)
    return cities[near] if near else None


def _folder(value: Any) -> Any:
    if isinstance(value, str) and "://" in value:
        hint = "write a folder, e.g. `./lake` or `/srv/lake`; object stores are not supported by this version"
        raise PydanticCustomError("folder", "must be a folder", {"hint": hint})
    return value


def _link(value: Any) -> Any:
    if isinstance(value, str) and not value.startswith(("https://", "http://", "mailto:")):
        hint = "write e.g. `https://example.org/team` or `mailto:team@example.org`"
        raise PydanticCustomError(
            "link", "must be a link that begins with `https://`, `http://` or `mailto:`", {"hint": hint}
        )
    return value


def _many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "examples": ["30s", "5m", "2h", "1d", "PT5M"]}),
]
"""A length of time."""

Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "examples": ["2013-01-01"]})]
"""A date, or a date and time."""

Zone = Annotated[
    str, BeforeValidator(_zone), WithJsonSchema({"type": "string", "examples": ["America/New_York", "UTC"]})
]
"""A time zone of the IANA list."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""An id: letters, digits, `_` and `-`."""

Link = Annotated[str, BeforeValidator(_link), WithJsonSchema({"type": "string", "pattern": "^(https?://|mailto:)"})]
"""What a click in the UI leads to; a link of another kind could run a script there."""

Folder = Annotated[str, BeforeValidator(_folder)]
"""A folder of the file system."""

Names = Annotated[
    list[str],
    BeforeValidator(_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One id, or a list of them."""

NonNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]

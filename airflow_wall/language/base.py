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
from airflow_wall.diagnostics.patterns import DAG_ID_PATTERN, NAME_PATTERN
from airflow_wall.diagnostics.suggestions import nearest
from airflow_wall.errors import ConnectionFault, SettingsError
from airflow_wall.lake.lake import Lake as LakeHandle
from airflow_wall.lake.lake import normalized
from airflow_wall.text.durations import DURATION_PATTERN, parse_duration
from airflow_wall.text.kinds import FieldKind
from airflow_wall.text.reserved import reserved_part


class SpecModel(BaseModel):
    """A block of the YAML: frozen, without coercion between types, and closed against unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        populate_by_name=False,
        serialize_by_alias=True,
        defer_build=True,  # a process uses few of the models
    )

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
        if isinstance(value, dict) and (length := _timedelta_of(value)) is not None:
            hint = f"write `{length}`"
        if isinstance(value, int) and not isinstance(value, bool):
            hint = f"write the unit too, e.g. `{value}s` for seconds or `{value}m` for minutes"
        raise PydanticCustomError("duration", "must be a duration", {"hint": hint})
    return duration


def _timedelta_of(value: Mapping[str, Any]) -> str | None:
    """Return the duration that a mapping of dag-factory means, e.g. `{__type__: datetime.timedelta, seconds: 300}`."""
    units = {key: number for key, number in value.items() if key != "__type__"}
    letters = {"weeks": "w", "days": "d", "hours": "h", "minutes": "m", "seconds": "s"}
    if not units or not units.keys() <= letters.keys() or not all(type(number) is int for number in units.values()):
        return None
    return "".join(f"{units[unit]}{letter}" for unit, letter in letters.items() if unit in units)


_RELATIVE = re.compile(
    r"-?\s*\d+ *(?:days?|weeks?|months?|years?|hours?|minutes?|d|w|h)(?: ago)?|today|yesterday"
    r"|days_ago\(\d{1,5}\)|(?:datetime\.)?(?:now|utcnow|today)(?:\(\))?"
)
"""A moment that depends on when it is read."""


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        hint = "write e.g. `2013-01-01` or `2013-01-01T03:00`"
        if isinstance(value, str) and _RELATIVE.fullmatch(value.strip().lower()[:_LONGEST]):
            hint = "write a date, e.g. `2013-01-01`: a relative one would be another one each time the file is read"
        raise PydanticCustomError("moment", "must be a date or a time", {"hint": hint}) from None


def _zone(value: Any) -> str:
    try:
        ZoneInfo(value)
    except (TypeError, ValueError, OSError, ZoneInfoNotFoundError):
        region = _region(value) if isinstance(value, str) else None
        near = _nearest_zone(value) if isinstance(value, str) and region is None else None
        hint = f"did you mean `{near}`?" if near else "write a name of the IANA list, e.g. `America/New_York` or `UTC`"
        if region is not None:
            hint = f"write a region, whose clocks it follows, e.g. `{region}`"
        raise PydanticCustomError("zone", "must be a time zone", {"hint": hint}) from None
    return str(value)


_LONGEST = 40
_OFFSET = re.compile(r"(?:utc|gmt)? ?([+-]\d{1,2})(?::?00)?", re.IGNORECASE)
"""A distance from UTC in whole hours."""

_REGIONS = {
    -10: "Pacific/Honolulu", -9: "America/Anchorage", -8: "America/Los_Angeles", -7: "America/Denver",
    -6: "America/Chicago", -5: "America/New_York", -4: "America/Halifax", -3: "America/Sao_Paulo",
    0: "UTC", 1: "Europe/Berlin", 2: "Europe/Athens", 3: "Europe/Istanbul", 4: "Asia/Dubai", 5: "Asia/Karachi",
    6: "Asia/Dhaka", 7: "Asia/Bangkok", 8: "Asia/Shanghai", 9: "Asia/Tokyo", 10: "Australia/Sydney",
    11: "Pacific/Noumea", 12: "Pacific/Auckland",
}  # fmt: skip
"""Hours from UTC to a region with that time."""

_ABBREVIATIONS = {
    "pst": -8, "pdt": -8, "mdt": -7, "cst": -6, "cdt": -6, "edt": -5, "est5": -5, "ast": -4, "brt": -3, "bst": 0,
    "cest": 1, "eest": 2, "msk": 3, "jst": 9, "kst": 9, "aest": 10, "aedt": 10, "nzst": 12, "nzdt": 12,
}  # fmt: skip
"""Abbreviation of a time zone to its hours from UTC in winter."""


def _region(name: str) -> str | None:
    """Return a region with the time of an offset such as `UTC+2`, or of an abbreviation; None for other names."""
    offset = _OFFSET.fullmatch(name[:_LONGEST].strip())
    hours = int(offset[1]) if offset else _ABBREVIATIONS.get(name.lower())
    return "Europe/London" if name.lower() == "bst" else _REGIONS.get(hours) if hours is not None else None


def _nearest_zone(name: str) -> str | None:
    cities = _zones_by_city()
    near = nearest(name.rpartition("/")[2], cities)
    return cities[near] if near else None


@functools.cache
def _zones_by_city() -> Mapping[str, str]:
    """Return the time zones by the last part of their names. Cached, because it reads hundreds of files."""
    return {zone.rpartition("/")[2]: zone for zone in sorted(available_timezones())}


def _lake(value: str) -> str:
    """Return the lake without `./`, `//` and `x/..`, so that the path that is checked is the path that is used."""
    if "://" in value:
        try:
            LakeHandle(value)
        except SettingsError:
            hint = "write e.g. `./lake`, `/srv/lake`, `s3://company-lake/platform`, or with an Airflow connection "
            hint += "`s3://warehouse@company-lake/platform`"
            message = "must be a folder, `s3://bucket/prefix` or `gs://bucket/prefix`"
            raise PydanticCustomError("folder", message, {"hint": hint}) from None
    part = reserved_part(value)
    if part is not None:
        hint = "name another folder, e.g. `./lake`: airflow-wall uses this name inside each lake"
        raise PydanticCustomError(
            "folder", "must not have the reserved name `{part}` in it", {"hint": hint, "part": part}
        )
    return normalized(value) if "://" in value else posixpath.normpath(value).replace("//", "/")


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

_DATE = r"\d{4}-?((0[13578]|1[02])-?(0[1-9]|[12]\d|3[01])|(0[469]|11)-?(0[1-9]|[12]\d|30)|02-?(0[1-9]|[12]\d))"
MOMENT_PATTERN = rf"^{_DATE}([T ]([01]\d|2[0-3])(:?[0-5]\d(:?[0-5]\d([.,]\d+)?)?)?(Z|[+-]\d{{2}}(:?\d{{2}})?)?)?$"
ZONE_PATTERN = (
    r"^([A-Z][A-Za-z]+(/[A-Za-z0-9_+-]+)+|UTC|UCT|GMT|GMT[+-]0|GMT0|Zulu|Universal|Greenwich|EST|MST|HST|CET|MET|EET|WET"
    r"|[A-Z]{3}\d[A-Z]{3}|Cuba|Egypt|Eire|Hongkong|Iceland|Iran|Israel|Jamaica|Japan|Kwajalein|Libya|NZ|NZ-CHAT|Navajo"
    r"|PRC|Poland|Portugal|ROC|ROK|Singapore|Turkey|W-SU)$"
)
"""Moments and time zones, for the JSON schema."""

ConnId = Annotated[T, AfterValidator(_conn_id)]
"""The id of a connection. An address in its place may hold a password, so no message repeats it."""

WithoutAddresses = Annotated[T, AfterValidator(_without_addresses)]
"""Arguments of a class, without addresses in place of connection ids."""

Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["30s", "5m", "2h", "1d", "PT5M"]}),
    FieldKind.PLAIN,
]
"""A length of time."""

Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": MOMENT_PATTERN, "examples": ["2013-01-01"]}),
    FieldKind.PLAIN,
]
"""A date, or a date and time."""

Zone = Annotated[
    str,
    BeforeValidator(_zone),
    WithJsonSchema({"type": "string", "pattern": ZONE_PATTERN, "examples": ["America/New_York", "UTC"]}),
    FieldKind.PLAIN,
]
"""A time zone of the IANA list."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN), FieldKind.PLAIN]
"""An id: letters, digits, `_` and `-`."""

DagId = Annotated[str, StringConstraints(pattern=DAG_ID_PATTERN), FieldKind.PLAIN]
"""The id of a pipeline: as that of a task, and it may have dots."""

Link = Annotated[
    str,
    BeforeValidator(_link),
    WithJsonSchema({"type": "string", "pattern": "^(https?://|mailto:)"}),
    FieldKind.PLAIN,
]
"""A link in the UI. A link with another scheme could run a script there."""

Lake = Annotated[str, StringConstraints(min_length=1), AfterValidator(_lake), FieldKind.LAKE]
"""A folder, or an address `s3://` or `gs://`, that holds tables."""

Names = Annotated[
    list[str],
    BeforeValidator(_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    FieldKind.PLAIN,
]
"""One id, or a list of them."""

NonNegative = Annotated[int, Field(ge=0), FieldKind.PLAIN]
Positive = Annotated[int, Field(ge=1), FieldKind.PLAIN]

"""Where values come from that do not stand in their own place: an environment lays them over, an include gives them."""

from __future__ import annotations

from typing import Any

from airflow_wall.spec.document import Origin
from airflow_wall.text.faults import Loc, shown
from airflow_wall.text.places import Places, key_path, step_into


def origins_of(value: dict[str, Any], places: Places) -> tuple[Origin, ...]:
    """
    The origins of the values of a document, environment and includes applied, in the order of their keys.

    :param places: Where they stand; nothing but environment and includes has moved a value yet.
    """
    if not places.moved:
        return ()
    found = [_origin(value, loc, places) for loc in places.moved if step_into(value, loc[0]) is not None]
    return tuple(sorted(found, key=lambda origin: origin.key))


def _origin(value: dict[str, Any], loc: Loc, places: Places) -> Origin:
    now: Any = value
    for part in loc:
        now = step_into(now, part)
    written = places.origin(loc)
    environment = str(written[1]) if written[0] == "environments" else None
    document = places.source(loc)
    place = document.place(written[1:] if document is not places.document else written, of_key=True)
    return Origin(key_path(value, loc), shown(now), document.path, place.line, environment)

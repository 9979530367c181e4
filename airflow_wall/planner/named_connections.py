"""Find the Airflow connections that a pipeline names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.language.document import Item, Spec
from airflow_wall.publish.targets.base import Target
from airflow_wall.sources.kinds.base import Source
from airflow_wall.text.kinds import FieldKind, leaves

_KINDS = frozenset((FieldKind.CONNECTION, FieldKind.CLOUD_CONNECTION))


def connections_of(spec: Spec) -> dict[str, int]:
    """Return the ids of the connections that a pipeline names, each with the first line that names it."""
    found: dict[str, int] = {}
    for conn_id, loc in (*_in_block(spec.head, ()), *_in_items(spec.items)):
        found.setdefault(conn_id, spec.places.place(loc).line)
    return found


def _in_items(items: Iterable[Item]) -> Iterator[tuple[str, Loc]]:
    for item in items:
        if item.step is not None:
            yield from _in_block(item.step, (*item.loc, "with"))
        for key, block in (("with", item.arguments), *item.mapped.items()):
            yield from _in_arguments(block, (*item.loc, key))
        yield from _in_items(item.items)


def _in_block(block: BaseModel, loc: Loc) -> Iterator[tuple[str, Loc]]:
    for leaf in leaves(block, loc):
        if isinstance(leaf.value, Target | Source):
            if leaf.value.conn_id:
                yield leaf.value.conn_id, leaf.loc
        elif isinstance(leaf.value, str) and not _KINDS.isdisjoint(leaf.rules):
            yield leaf.value, leaf.loc
        else:
            yield from _in_arguments(leaf.value, leaf.loc)


def _in_arguments(value: Any, loc: Loc) -> Iterator[tuple[str, Loc]]:
    """Yield the connections in arguments of other operators: texts under keys that end in `conn_id`."""
    if isinstance(value, Mapping | list):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(item, str) and str(key).endswith("conn_id"):
                yield item, (*loc, key)
            else:
                yield from _in_arguments(item, (*loc, key))

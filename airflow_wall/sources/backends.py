"""The registry of sources. To add a kind of source, add a module to `airflow_wall.sources.kinds`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_wall.errors import DataError
from airflow_wall.registry import LazyRegistry, class_name, modules_of
from airflow_wall.sources.kinds.base import KEYS, OpenSource, Source, SourceSite

_PACKAGE = "airflow_wall.sources.kinds"

SOURCES: LazyRegistry[type[Source]] = LazyRegistry(
    {name: f"{_PACKAGE}.{name}:{class_name(name)}Source" for name in modules_of(_PACKAGE)}, "airflow_wall.sources"
)
"""Scheme -> class of its sources: the kinds of this package, and those of other packages."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def parse_source(text: str) -> Source:
    """
    Return the source that a text names. No file or server is accessed.

    :raises DataError: the form is invalid; the message lists the forms.
    """
    kind = _kind_of(text)
    if kind is None:
        *head, last = (form for known in SOURCES.values() for form in known.forms)
        raise DataError(
            f"`source` must be {', '.join(head)} or {last}, got `{text}`",
            hint=f"`{text.partition('://')[0]}://` is not supported by this version: copy the files to a path",
        )
    return kind.parse(text)


def source_beginning(text: str) -> Source | None:
    """Return a source for the known beginning of a text; None if that does not decide what it names."""
    kind = _kind_of(text)
    return None if kind is None else kind.parse_beginning(text)


def open_source(text: str, site: SourceSite, keys: Mapping[str, Any]) -> OpenSource:
    """
    Return the source of a run that a text names.

    :param keys: The `KEYS` of the step; None for those that it does not set.
    :raises DataError: the text is invalid, a key does not apply to such a source, or it does not exist.
    :raises ConnectionFault: its connection is missing, or is refused.
    """
    source = parse_source(text)
    for key, reason in misplaced_keys(source, keys):
        raise DataError(f"`{key}` {reason}", hint=f"remove `{key}`")
    return source.open(site, {key: value for key, value in keys.items() if value is not None})


def misplaced_keys(source: Source, keys: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys that are set but do not apply to a source, each with the reason."""
    for key in KEYS:
        if keys.get(key) is not None and key not in source.keys:
            plurals = " and ".join(dict.fromkeys(kind.plural for kind in SOURCES.values() if key in kind.keys))
            yield key, f"is for {plurals}, and `source` is `{source.text}`"


def _kind_of(text: str) -> type[Source] | None:
    scheme = _SCHEME.match(text)
    return SOURCES.get(scheme[1].lower() if scheme is not None else "file")

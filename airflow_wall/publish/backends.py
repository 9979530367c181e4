"""The registry of targets, and the writers that one call opens."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType

from airflow_wall.diagnostics.suggestions import listed, nearest
from airflow_wall.errors import ConnectionFault, ReleaseError
from airflow_wall.publish.base import ReleaseSite, TargetWriter
from airflow_wall.publish.targets.base import Target
from airflow_wall.registry import LazyRegistry, class_name, modules_of

_PACKAGE = "airflow_wall.publish.targets"

TARGETS: LazyRegistry[type[Target]] = LazyRegistry(
    {name: f"{_PACKAGE}.{name}:{class_name(name)}Target" for name in modules_of(_PACKAGE)}, "airflow_wall.targets"
)
"""Scheme of `to` -> its class. To add a scheme, add a module to `airflow_wall.publish.targets`."""


def parse_target(text: str) -> Target:
    """
    Return the target that a `to` names.

    :raises ReleaseError: it has none of the accepted forms; the message lists them, and the hint has the nearest.
    :raises ConnectionFault: it has an address in the place of a connection. It may hold a password, so it is not
        repeated.
    """
    scheme, separator, rest = text.partition("://")
    if separator and "@" not in rest and scheme in TARGETS:
        return TARGETS[scheme].parse(text)
    forms = listed((target.form for target in TARGETS.values()), conjunction="or")
    if "@" in rest:
        raise ConnectionFault(
            "`to` must name an Airflow connection by its id, not by an address",
            hint=f"write {forms}; the connection itself holds address and password",
        )
    near = nearest(scheme, TARGETS)
    raise ReleaseError(
        f"`to` must be {forms}, got `{text}`",
        hint=f"did you mean `{TARGETS[near].form}`?" if near else "begin it with one of these schemes",
    )


def parse_beginning(text: str) -> Target | None:
    """
    Return the target, without its name, of a `to` whose name is known only when the task runs.

    :param text: The text up to the first part that is not known. None is returned if it ends before the name.
    """
    scheme, separator, _ = text.partition("://")
    return TARGETS[scheme].parse_beginning(text) if separator and scheme in TARGETS else None


class OpenTargets:
    """
    Opens the writers of targets, each once. Targets of one connection share its database.

    As a context manager it closes the databases at the end.
    """

    def __init__(self, site: ReleaseSite) -> None:
        self._site = replace(site, databases={})
        self._writers: dict[Target, TargetWriter] = {}

    def __enter__(self) -> OpenTargets:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for database in self._site.databases.values():
            database.close()

    def open(self, target: Target) -> TargetWriter:
        """
        Return the writer of a target.

        :raises ConnectionFault: the connection is missing, has another type, or is refused.
        """
        if target not in self._writers:
            self._writers[target] = target.open(self._site)
        return self._writers[target]

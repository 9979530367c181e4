"""Publish: open a release, stage rows of tables into it, and make it visible as a whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from airflow_wall.jobs.document import Env, safe_name
from airflow_wall.publish.release import Releases
from airflow_wall.storage.backends import open_tables

log = logging.getLogger(__name__)


def release_id(env: Env, release: str) -> str:
    """The id of this run's release: computed, so that whoever cleans up needs no message from whoever opened."""
    return safe_name(f"{release}-{env.run.slice.id}")


def _releases(env: Env) -> Releases:
    run = env.run
    return Releases(run.state, storage=run.storage, project=run.project, connections=env.connections)


def start_sender(env: Env, *, release: str, force: bool = False) -> dict[str, Any]:
    """
    Open this run's release, or adopt the one an earlier try opened.

    :raises ReleaseError: a newer slice has been published already, and `force` is not given.
    """
    opened = release_id(env, release)
    fence = env.run.try_number
    _releases(env).open(release, opened, order=env.run.slice.order, fence=fence, force=force)
    log.info("release %s is open; clients see none of it until it is committed", opened)
    return {"release": release, "id": opened, "fence": fence}


def stage(
    env: Env,
    *,
    release: str,
    part: str,
    table: str,
    to: str,
    fence: int | None = None,
    where: str | None = None,
    key: Sequence[str] | None = None,
    format: str | None = None,
) -> dict[str, Any]:
    """
    Stage the rows of a table into this run's release.

    :param part: Name of this part in the release; staging it again replaces it.
    :param fence: Which try of `start_sender` opened the release; a later one shuts this call out.
    :param where: Which rows, as a SQL condition.
    :return: `rows`, `to`, `part`.
    """
    data = open_tables(env.run.storage).read(table, where=where)
    options = {"format": format} if format is not None else {}
    staged = _releases(env).stage(
        release,
        release_id(env, release),
        part=part,
        to=to,
        data=data,
        key=tuple(key or ()),
        options=options,
        fence=fence,
        attempt=env.run.try_number,
    )
    log.info("staged %s rows of %s for %s", staged["rows"], table, to)
    return dict(staged)


def stop_sender(env: Env, *, release: str, expected: Sequence[str], fence: int | None = None) -> dict[str, Any]:
    """
    Commit this run's release if every expected part is staged; else take it back.

    :param expected: Names of the parts.
    :param fence: Which try of `start_sender` opened the release.
    :raises ReleaseError: parts are missing; clients still see the last release.
    """
    return dict(_releases(env).close(release, release_id(env, release), expected=tuple(expected), fence=fence))

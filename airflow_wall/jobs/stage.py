"""The job `stage`, which stages rows of a table into a release for `persist`, `index`, `submit` and `publish`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from airflow_wall.job import Env
from airflow_wall.jobs.start_sender import release_id, releases_of
from airflow_wall.publish.backends import parse_target
from airflow_wall.storage.backends import open_tables

log = logging.getLogger(__name__)


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
    :param to: The target, e.g. `sql://CONNECTION/TABLE`.
    :param fence: Number of the try of `start_sender` that opened the release. A later try fences this call off.
    :param where: SQL condition that selects rows.
    :return: `rows`, `to`, `part`.
    """
    data = open_tables(env.run.storage).read(table, where=where)
    options = {"format": format} if format is not None else {}
    staged = releases_of(env).stage(
        release,
        release_id(env, release),
        part=part,
        to=parse_target(to),
        data=data,
        key=tuple(key or ()),
        options=options,
        fence=fence,
        attempt=env.run.try_number,
    )
    log.info("staged %s rows of %s for %s", staged["rows"], table, to)
    return dict(staged)

"""The job `start_sender`, which opens a release for the jobs after it."""

from __future__ import annotations

import logging
from typing import Any

from airflow_wall.job import Env, safe_name
from airflow_wall.publish.release import Releases

log = logging.getLogger(__name__)


def release_id(env: Env, release: str) -> str:
    """Return the id of a run's release. It is computed, so a clean-up needs no message from the task that opened it."""
    return safe_name(f"{release}-{env.run.slice.id}")


def releases_of(env: Env) -> Releases:
    """Return the releases in the lake of a run."""
    run = env.run
    return Releases(run.storage, project=run.project, connections=env.connections)


def start_sender(env: Env, *, release: str, force: bool = False, keep: int = 5) -> dict[str, Any]:
    """
    Open this run's release, or adopt the one that an earlier try opened.

    :param keep: Number of releases whose rows are kept after the commit, with this one.
    :return: `release`, `id`, and `fence`: the number of this try, which later jobs of the release pass on.
    :raises ReleaseError: a newer slice has been published, and `force` is False.
    """
    opened = release_id(env, release)
    fence = env.run.try_number
    releases_of(env).open(release, opened, order=env.run.slice.order, fence=fence, force=force, keep=keep)
    log.info("release %s is open; clients see none of it until it is committed", opened)
    return {"release": release, "id": opened, "fence": fence}

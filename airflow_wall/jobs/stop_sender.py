"""The job `stop_sender`, which commits a release or rolls it back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from airflow_wall.job import Env
from airflow_wall.jobs.start_sender import release_id, releases_of

log = logging.getLogger(__name__)


def stop_sender(env: Env, *, release: str, expected: Sequence[str], fence: int | None = None) -> dict[str, Any]:
    """
    Commit this run's release if every expected part is staged, else roll it back.

    :param expected: Names of the parts.
    :param fence: Number of the try of `start_sender` that opened the release.
    :raises ReleaseError: parts are missing; clients still see the last release.
    """
    return dict(releases_of(env).close(release, release_id(env, release), expected=tuple(expected), fence=fence))

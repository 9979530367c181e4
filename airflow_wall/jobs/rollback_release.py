"""The job `rollback_release`: show an earlier release again."""

from __future__ import annotations

from typing import Any

from airflow_wall.job import Env
from airflow_wall.jobs.start_sender import releases_of


def rollback_release(env: Env, *, release: str, version: str, reason: str, resend: bool = False) -> dict[str, Any]:
    """
    Show an earlier release again, in all of its targets. Repeated, it changes nothing more.

    :param version: The release to show.
    :param resend: Send the old rows as a new release to targets that cannot take rows back.
    :return: The result of `Releases.restore`.
    :raises ReleaseError: the release is not kept, or a target cannot be reverted.
    """
    return releases_of(env).restore(release, version, reason=reason, resend=resend)

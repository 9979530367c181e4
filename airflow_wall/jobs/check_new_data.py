"""Whether there is data that the pipeline has not processed, and the claim on it for the run's slice."""

from __future__ import annotations

from typing import Any

from airflow_wall.jobs.document import Env
from airflow_wall.jobs.manifest import claim


def check_new_data(env: Env, *, source: str, cursor: str | None = None) -> dict[str, Any]:
    """
    Claim for this slice what is new in `source`: a later `ingest` of it, or of a folder below, reads just that.

    A retry or a cleared run finds the same set again.

    :return: `new`: versions claimed; `processed`: versions known before; `source`; `slice`.
    :raises DataError: the source is not there, or has never held a file.
    """
    manifest = claim(env.run, source, cursor, connections=env.connections)
    return {
        "new": len(manifest.versions),
        "processed": manifest.processed,
        "source": source,
        "slice": env.run.slice.id,
    }

"""The job `check_new_data`: find data that the pipeline has not processed, and claim it for the run's slice."""

from __future__ import annotations

from typing import Any

from airflow_wall.job import Env
from airflow_wall.sources.backends import open_source
from airflow_wall.sources.kinds.base import SourceSite
from airflow_wall.sources.manifest import claim


def check_new_data(
    env: Env, *, source: str, cursor: str | None = None, lag: str | float | None = None, by: str | None = None
) -> dict[str, Any]:
    """
    Claim the new versions in `source` for this slice. A later `ingest` of it, or of a directory in it, reads them.

    A retry or a cleared run claims the same versions again. With `by: date` it also claims files of the date that have
    landed since.

    :param by: `date` for only the files whose name has the date of the slice.
    :return: `new`: number of claimed versions; `processed`: number of versions processed before; `source`; `slice`.
    :raises DataError: the source does not exist, or has never held a file.
    """
    opened = open_source(source, SourceSite(env.run, env.connections), {"cursor": cursor, "lag": lag, "by": by})
    manifest = claim(env.run, opened)
    return {
        "new": len(manifest.versions),
        "processed": manifest.processed,
        "source": source,
        "slice": env.run.slice.id,
        **({"other_dates": dict(manifest.other_dates)} if manifest.other_dates else {}),
    }

"""The job `stage`, which stages rows of a table into a release for `persist`, `index`, `submit` and `publish`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.errors import ReleaseError
from airflow_wall.job import Env
from airflow_wall.jobs.start_sender import release_id, releases_of
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.release import Releases
from airflow_wall.publish.rows import RowStream
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.contract import Contracts
from airflow_wall.storage.scan import Scan
from airflow_wall.storage.verdicts import Checkers, Judgement, Verdicts

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
    checked_by: Sequence[str] = (),
    possibly_checked_by: Sequence[str] = (),
) -> dict[str, Any]:
    """
    Stage the rows of a table into this run's release: those of all slices that passed every check of the pipeline.

    :param part: Name of this part in the release; staging it again replaces it.
    :param to: The target, e.g. `sql://CONNECTION/TABLE`.
    :param fence: Number of the try of `start_sender` that opened the release. A later try fences this call off.
    :param where: SQL condition that selects rows.
    :param checked_by: Tasks of the pipeline that check the table.
    :param possibly_checked_by: Tasks that may check it: their table is known only when they run.
    :return: `rows`, `to`, `part`.
    :raises ReleaseError: no slice passed.
    """
    releases = releases_of(env)
    recorded = Contracts(env.run.storage).read(table)
    checkers = Checkers(checked_by, possibly_checked_by)
    rows, judgement = _passed_rows(env, releases, release, table, where, checkers)
    options = {"format": format} if format is not None else {}
    staged = releases.stage(
        release,
        release_id(env, release),
        part=part,
        to=parse_target(to),
        data=_stream(rows),
        key=tuple(key or ()),
        options=options,
        comments={} if recorded is None else recorded[0].comments(),
        selection=where,
        withheld=[asdict(withheld) for withheld in judgement.withheld],
        fence=fence,
        attempt=env.run.try_number,
    )
    log.info("staged %s rows of %s for %s", staged["rows"], table, to)
    for withheld in judgement.withheld:
        log.warning("not released: %s", withheld)
    return dict(staged)


def _passed_rows(
    env: Env, releases: Releases, release: str, table: str, where: str | None, checkers: Checkers
) -> tuple[Scan, Judgement]:
    """Return the rows of the slices that passed, and the judgement of the version of the table that they are from."""
    store = open_tables(env.run.storage)
    verdicts = Verdicts(env.run.storage, store)
    verdicts.decide_earlier(env.run, table, checkers.tasks, accept=releases.current(release) is not None)
    rows, judgement = verdicts.passed_rows(env.run.pipeline, table, checkers, where=where)
    if judgement.withheld and not judgement.passed:
        more = f" and {len(judgement.withheld) - 1} more" if len(judgement.withheld) > 1 else ""
        raise ReleaseError(
            f"no rows of table `{table}` passed its checks: {judgement.withheld[0]}{more}",
            hint="correct the rows and run the date again; clients keep the release that they see",
        )
    return rows, judgement


def _stream(rows: Scan) -> RowStream:
    with duck.connect() as database:
        rows.relation(database)  # reject a wrong condition before the release changes

    def read(columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        return (rows if columns is None else replace(rows, columns=tuple(columns))).batches()

    return RowStream(rows.schema, read)

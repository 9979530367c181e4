"""
Files or SQL rows to a table: each source version once, whatever is killed, repeated or run twice at the same time.

The rows and the claim on their versions are one commit of the table. The ledger follows; a try that was killed between
the two is mended by its retry, and a later slice that sees the versions again finds them held in the table.
"""

from __future__ import annotations

import collections
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from airflow_wall.errors import DataError, Interrupted
from airflow_wall.jobs.document import Env
from airflow_wall.jobs.manifest import Manifest, claimed
from airflow_wall.jobs.readers import check_options, format_of, read_files
from airflow_wall.jobs.sources import FileSource, file_source, is_sql, unchanged
from airflow_wall.jobs.sql_source import SqlSource, sql_source
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import SOURCE, SourceVersion
from airflow_wall.storage.ledger import Ledger

log = logging.getLogger(__name__)


def ingest(
    env: Env,
    *,
    source: str,
    target: str,
    format: str | None = None,  # the key of the YAML
    cursor: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Read what the slice claims of `source` into the table `target`; the same slice again replaces its own rows.

    :param source: A file, a folder, a pattern, or `sql://connection/table`.
    :param format: `csv`, `jsonl` or `parquet`; by default what the names of the files say.
    :param cursor: For SQL: the column whose new, higher values are new rows.
    :param options: Of the format, e.g. `{delim: ";", types: {zip: VARCHAR}}`.
    :return: `table`, `rows` and `files` of the slice, `version` of the table, and whether this call `changed` it.
    :raises DataError: the source is not there, a file is broken, or a column changed its type.
    :raises Interrupted: a file changed while it was read, or other writers won every race.
    """
    run, tables = env.run, open_tables(env.run.storage, env.fence)
    manifest = claimed(run, source, cursor, connections=env.connections, target=target)
    if is_sql(source):
        _refuse_file_keys(source, format, options)
        there: Sequence[SourceVersion] = manifest.versions
    else:
        files = file_source(source, run.storage)
        there = _now(files, manifest, run.slice.id)
    held = tables.held_elsewhere(target, there, slice_id=run.slice.id)
    free = [version for version in there if version not in held]
    if is_sql(source):
        taken, data = _read_sql(sql_source(source, cursor, run, env.connections), free)
    else:
        known = tables.schema(target) if tables.exists(target) else pa.schema([])
        taken, data = free, _read_files(files, free, format=format, options=options or {}, known=known)
    commit = tables.replace_slice(target, data, slice_id=run.slice.id, number=run.slice.number, sources=taken)
    Ledger(run.state).record(run.pipeline, target, run.slice.id, {**dict.fromkeys(held, 0), **_counted(data, taken)})
    log.info("table %s: slice %s has %d rows of %d sources", target, run.slice.id, commit.rows, len(taken))
    return {
        "table": target,
        "rows": commit.rows,
        "files": len(taken),
        "version": commit.version,
        "changed": commit.changed,
    }


def _refuse_file_keys(source: str, format: str | None, options: Mapping[str, Any] | None) -> None:
    for key, value in (("format", format), ("options", options)):
        if value:
            raise DataError(f"`{key}` is for files, and `source` is `{source}`", hint=f"remove `{key}`")


def _read_sql(source: SqlSource, versions: Sequence[SourceVersion]) -> tuple[list[SourceVersion], pa.Table]:
    """The rows of the claimed version, and the version that they are."""
    if not versions:
        return [], pa.table({})
    rows = source.read(versions[0])
    uris = pa.array([source.uri] * rows.num_rows, pa.string())
    taken = versions[0] if source.cursor is not None else source.whole(rows)
    return [taken], rows.append_column(SOURCE, uris)


def _now(source: FileSource, manifest: Manifest, slice_id: str) -> list[SourceVersion]:
    """
    The claimed files in the versions that lie there now: one that landed again after the claim is read as it is.

    :raises DataError: one is gone. Without it the slice would lose rows that it has.
    """
    found = []
    for version in manifest.versions:
        there = source.version(source.path(version.uri))
        if there is None:
            path = source.path(version.uri)
            raise DataError(
                f"`source` `{manifest.source}`: `{path}` is gone, and slice `{slice_id}` claimed it",
                hint="put it back; what the slice has in the table stays as it is",
            )
        found.append(there)
    return found


def _read_files(
    source: FileSource,
    versions: Sequence[SourceVersion],
    *,
    format: str | None,
    options: Mapping[str, Any],
    known: pa.Schema,
) -> pa.Table:
    if not versions:
        return pa.table({})
    files = {source.path(version.uri): version for version in versions}
    chosen = format_of(list(files), format)
    check_options(chosen, options)
    data = read_files(files, kind=chosen, options=options, known=known)
    if not unchanged(source, versions):
        raise Interrupted(f"`source` `{source.text}`: a file changed while it was read")
    return data


def _counted(data: pa.Table, taken: Sequence[SourceVersion]) -> dict[SourceVersion, int]:
    counts = collections.Counter(data.column(SOURCE).to_pylist()) if data.num_rows else {}
    return {version: counts.get(version.uri, 0) for version in taken}

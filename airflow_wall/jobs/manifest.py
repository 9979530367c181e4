"""
Which source versions a slice is about, decided once.

The first task of a run that asks writes the answer down; every later task, try or clear of that run reads it. What is
processed already (the ledger of the lake) is not claimed again; a file that lands later belongs to a later slice.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.connections import Connections
from airflow_wall.errors import WallError
from airflow_wall.jobs.document import Run, safe_name
from airflow_wall.jobs.sources import FileSource, file_source, is_sql
from airflow_wall.jobs.sql_source import SqlSource, sql_source
from airflow_wall.storage.base import SourceVersion
from airflow_wall.storage.ledger import Ledger

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manifest:
    """
    What one slice is about.

    :param source: The source as the YAML writes it.
    :param versions: The versions that belong to the slice, sorted by uri.
    :param processed: How many versions of the source had been processed when the slice began.
    """

    source: str
    versions: tuple[SourceVersion, ...]
    processed: int


def claim(
    run: Run, source: str, cursor: str | None, *, connections: Connections, target: str | None = None
) -> Manifest:
    """
    Return what the run's slice is about; the same for every try and clear of it, whatever has landed since.

    :param source: A file, a folder, a pattern, or `sql://connection/table`.
    :param cursor: For SQL: the column whose new, higher values are new rows.
    :param target: The table it is claimed for: new is what this table has not; by default what no table has.
    :raises DataError: the source is not there, or has never held a file.
    :raises ConnectionFault: the connection is not there, or its server refused.
    """
    path = _path(run, source, cursor, target)
    found = state.read(path)
    if found is not None:
        return _from_json(found, path)
    manifest = _listed(run, source, cursor, connections, target)
    if state.create(path, {**asdict(manifest), "pipeline": run.pipeline, "slice": run.slice.id, "cursor": cursor}):
        return manifest
    found = state.read(path)
    if found is None:
        raise WallError(f"`{path}` was removed while the run was under way", hint="run the task again")
    return _from_json(found, path)


def claimed(run: Run, source: str, cursor: str | None, *, connections: Connections, target: str) -> Manifest:
    """
    Return the part of the slice's manifest that is about `source`: of `landing` the files in `landing/domain_1`.

    Where no task has claimed it, or a folder above it, the source is claimed now for `target`. Raises as `claim` does.
    """
    if state.read(_path(run, source, cursor, None)) is not None:
        return claim(run, source, cursor, connections=connections)
    if is_sql(source) or state.read(_path(run, source, cursor, target)) is not None:
        return claim(run, source, cursor, connections=connections, target=target)
    wanted = file_source(source, run.storage)
    above = [
        manifest
        for manifest in _all(run)
        if not is_sql(manifest.source) and file_source(manifest.source, run.storage).covers(wanted)
    ]
    if not above:
        return claim(run, source, cursor, connections=connections, target=target)
    nearest = max(above, key=lambda manifest: len(file_source(manifest.source, run.storage).root.parts))
    versions = tuple(version for version in nearest.versions if wanted.matches(version.uri))
    if not versions and not _known(run, wanted):
        # It was not there yet when the folder above was claimed: what has come since is this slice's.
        return claim(run, source, cursor, connections=connections, target=target)
    return Manifest(source, versions, nearest.processed)


def _listed(run: Run, source: str, cursor: str | None, connections: Connections, target: str | None) -> Manifest:
    done = Ledger(run.state).processed(run.pipeline, table=target)
    if is_sql(source):
        return _listed_sql(sql_source(source, cursor, run, connections), done)
    files = file_source(source, run.storage)
    there = files.versions()
    _check_there(run, files, there)
    new = tuple(version for version in there if (version.uri, version.version) not in done)
    log.info("source %s: %d new, %d processed before", source, len(new), len(there) - len(new))
    return Manifest(source, new, len(there) - len(new))


def _listed_sql(source: SqlSource, done: set[tuple[str, str]]) -> Manifest:
    before = [version for uri, version in done if uri == source.uri]
    new = source.newest(before)
    return Manifest(source.text, () if new is None else (new,), len(before))


def _check_there(run: Run, source: FileSource, there: Sequence[SourceVersion]) -> None:
    """Refuse a source that holds no file, unless it has held some: those may have been moved away since."""
    if not there and not _known(run, source):
        raise source.missing()


def _known(run: Run, source: FileSource) -> bool:
    """Whether the pipeline has ever processed a file of the source."""
    return any(source.matches(uri) for uri, _ in Ledger(run.state).processed(run.pipeline))


def _folder(run: Run) -> Path:
    return run.state / "manifests" / safe_name(run.pipeline) / safe_name(run.slice.id)


def _path(run: Run, source: str, cursor: str | None, target: str | None) -> Path:
    key = hashlib.sha256(f"{source.rstrip('/')}\0{cursor or ''}".encode()).hexdigest()[:16]
    return _folder(run) / (f"{key}.json" if target is None else f"{key}-{safe_name(target)}.json")


def _all(run: Run) -> list[Manifest]:
    """The claims that were made for every table."""
    found = ((path, state.read(path)) for path in sorted(_folder(run).glob("*.json")) if "-" not in path.stem)
    return [_from_json(document, path) for path, document in found if document is not None]


def _from_json(document: dict[str, Any], path: Path) -> Manifest:
    try:
        versions = tuple(SourceVersion(**version) for version in document["versions"])
        return Manifest(document["source"], versions, document["processed"])
    except (KeyError, TypeError) as error:
        raise WallError(
            f"`{path}` is no manifest of a slice: {error!r}", hint="restore it from a backup, or remove it"
        ) from error

"""
The manifest of a slice: the source versions that belong to it, decided once.

The first task of a run that needs the manifest writes it. Every later task, try or clear of that run reads it. Versions
that are already processed (see the ledger of the lake) are not claimed again. A file that lands later belongs to a
later slice.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.errors import WallError
from airflow_wall.job import Run, safe_name
from airflow_wall.sources.backends import parse_source
from airflow_wall.sources.kinds.base import OpenSource
from airflow_wall.storage.base import SourceVersion
from airflow_wall.storage.ledger import IngestLedger

log = logging.getLogger(__name__)

_LISTED = 8


@dataclass(frozen=True)
class Manifest:
    """
    The source versions of one slice.

    :param source: The source as written in the YAML.
    :param versions: The versions that belong to the slice, sorted by uri.
    :param processed: Number of versions of the source that had been processed when the slice began.
    :param other_dates: With `by: date`: the dates of other versions that had not been processed, and their number.
    """

    source: str
    versions: tuple[SourceVersion, ...]
    processed: int
    other_dates: tuple[tuple[str, int], ...] = ()


def claim(run: Run, source: OpenSource, *, target: str | None = None) -> Manifest:
    """
    Return the manifest of the run's slice. It is the same in every try and clear of the run, even if files have landed.

    :param target: The table it is claimed for: versions that this table lacks are new; by default those that all tables
        lack.
    :raises DataError: the source has never held any data.
    """
    path = _path(run, source, target)
    document = state.read(path)
    if document is not None and not source.grows:
        return _from_json(document, path)
    manifest = _new_manifest(run, source, target)
    if document is None and state.create(path, _to_json(manifest, run)):
        return manifest
    if source.grows:
        return _grown(path, manifest, run)
    document = state.read(path)
    if document is None:
        raise WallError(f"`{path}` was removed during the run", hint="run the task again")
    return _from_json(document, path)


def _grown(path: Path, manifest: Manifest, run: Run) -> Manifest:
    """Add versions to a manifest that has been written."""
    with state.locked(path):
        document = state.read(path)
        before = _from_json(document, path).versions if document is not None else ()
        versions = {version.uri: version for version in (*before, *manifest.versions)}
        grown = replace(manifest, versions=tuple(versions[uri] for uri in sorted(versions)))
        state.write(path, _to_json(grown, run))
    return grown


def claim_for_table(run: Run, source: OpenSource, *, target: str) -> Manifest:
    """
    Return the part of the slice's manifest for `source`, e.g. the files in `landing/domain_1` of a claim on `landing`.

    If no task has claimed the source or a directory above it, it is claimed now for `target`. Raises like `claim`.
    """
    if state.read(_path(run, source, None)) is not None:
        return claim(run, source)
    if source.grows or state.read(_path(run, source, target)) is not None:
        return claim(run, source, target=target)
    parsed = source.source
    claims_above = [
        (above, manifest)
        for manifest in _all(run)
        if (above := parse_source(manifest.source)).covers(parsed, run.storage)
    ]
    if not claims_above:
        return claim(run, source, target=target)
    _, nearest = max(claims_above, key=lambda pair: pair[0].depth(run.storage))
    versions = tuple(version for version in nearest.versions if parsed.matches(version.uri, run.storage))
    if not versions and not _has_processed(run, source):
        # The source did not exist when the directory above was claimed, so its files belong to this slice.
        return claim(run, source, target=target)
    return Manifest(parsed.text, versions, nearest.processed)


def brings_only_corrections(run: Run) -> bool:
    """Return True if the slice has claimed versions, and all of their rows belong to other slices."""
    claimed = {
        version.uri
        for path in _folder(run).glob("*.json")
        if (document := state.read(path)) is not None
        for version in _from_json(document, path).versions
    }
    return bool(claimed) and claimed.isdisjoint(IngestLedger(run.state).taken_by(run.pipeline, run.slice.id))


def _new_manifest(run: Run, source: OpenSource, target: str | None) -> Manifest:
    ledger = IngestLedger(run.state)
    listing = source.find_new(ledger.processed(run.pipeline, table=target))
    ledger.upgrade(run.pipeline, listing.upgraded)
    if not listing.new and not listing.processed and not _has_processed(run, source):
        error = source.missing()  # a source that the pipeline has processed may be empty: its files were moved away
        if error is not None:
            raise error
    log.info("source %s: %d new, %d processed before", source.source.text, len(listing.new), listing.processed)
    if listing.other_dates:
        others = ", ".join(f"{count} of {day}" for day, count in listing.other_dates[:_LISTED])
        log.info("source %s: files of other dates are not processed: %s", source.source.text, others)
    return Manifest(source.source.text, listing.new, listing.processed, listing.other_dates)


def _has_processed(run: Run, source: OpenSource) -> bool:
    """Return True if the pipeline has ever processed a part of the source."""
    processed = IngestLedger(run.state).processed(run.pipeline)
    return any(source.source.matches(uri, run.storage) for uri, _ in processed.versions)


def _folder(run: Run) -> Path:
    return run.state / "manifests" / safe_name(run.pipeline) / safe_name(run.slice.id)


def _path(run: Run, source: OpenSource, target: str | None) -> Path:
    key = hashlib.sha256(source.identity.encode()).hexdigest()[:16]
    return _folder(run) / (f"{key}.json" if target is None else f"{key}-{safe_name(target)}.json")


def _all(run: Run) -> list[Manifest]:
    """Return the manifests of this slice that are not for a single table."""
    documents = ((path, state.read(path)) for path in sorted(_folder(run).glob("*.json")) if "-" not in path.stem)
    return [_from_json(document, path) for path, document in documents if document is not None]


def _to_json(manifest: Manifest, run: Run) -> dict[str, Any]:
    return {**asdict(manifest), "pipeline": run.pipeline, "slice": run.slice.id}


def _from_json(document: dict[str, Any], path: Path) -> Manifest:
    try:
        versions = tuple(SourceVersion(**version) for version in document["versions"])
        others = tuple((str(day), int(count)) for day, count in document.get("other_dates", ()))
        return Manifest(document["source"], versions, document["processed"], others)
    except (KeyError, TypeError) as error:
        raise WallError(
            f"`{path}` must be the manifest of a slice, got {error!r}", hint="restore it from a backup, or remove it"
        ) from error

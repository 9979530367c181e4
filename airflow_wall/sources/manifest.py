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
from typing import Any

from airflow_wall.errors import WallError
from airflow_wall.job import Run, safe_name
from airflow_wall.lake.documents import Document, Documents, change
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
    documents, key = _documents(run), _key(source, target)
    document = documents.get(key)
    if document is not None and not source.grows:
        return _from_json(document, documents.uri(key))
    manifest = _new_manifest(run, source, target)
    if document is None and documents.create(key, _to_json(manifest, run)):
        return manifest
    if source.grows:
        return _grown(documents, key, manifest, run)
    document = documents.get(key)
    if document is None:
        raise WallError(f"`{documents.uri(key)}` was removed during the run", hint="run the task again")
    return _from_json(document, documents.uri(key))


def _grown(documents: Documents, key: str, manifest: Manifest, run: Run) -> Manifest:
    """Add versions to a manifest that has been written."""

    def grown(document: Document | None) -> Document:
        before = _from_json(document, documents.uri(key)).versions if document is not None else ()
        versions = {version.uri: version for version in (*before, *manifest.versions)}
        return _to_json(replace(manifest, versions=tuple(versions[uri] for uri in sorted(versions))), run)

    return _from_json(change(documents, key, grown), documents.uri(key))


def claim_for_table(run: Run, source: OpenSource, *, target: str) -> Manifest:
    """
    Return the part of the slice's manifest for `source`, e.g. the files in `landing/domain_1` of a claim on `landing`.

    If no task has claimed the source or a directory above it, it is claimed now for `target`. Raises like `claim`.
    """
    documents = _documents(run)
    if documents.get(_key(source, None)) is not None:
        return claim(run, source)
    if source.grows or documents.get(_key(source, target)) is not None:
        return claim(run, source, target=target)
    parsed = source.source
    claims_above = [
        (above, manifest)
        for key, manifest in _all(run).items()
        if "-" not in key  # it is not for a single table
        and (above := parse_source(manifest.source)).covers(parsed, run.storage)
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
    claimed = {version.uri for manifest in _all(run).values() for version in manifest.versions}
    return bool(claimed) and claimed.isdisjoint(IngestLedger(run.storage).taken_by(run.pipeline, run.slice.id))


def _new_manifest(run: Run, source: OpenSource, target: str | None) -> Manifest:
    ledger = IngestLedger(run.storage)
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
    processed = IngestLedger(run.storage).processed(run.pipeline)
    return any(source.source.matches(uri, run.storage) for uri, _ in processed.versions)


def _documents(run: Run) -> Documents:
    return run.storage.documents("manifests", safe_name(run.pipeline), safe_name(run.slice.id))


def _key(source: OpenSource, target: str | None) -> str:
    digest = hashlib.sha256(source.identity.encode()).hexdigest()[:16]
    return f"{digest}.json" if target is None else f"{digest}-{safe_name(target)}.json"


def _all(run: Run) -> dict[str, Manifest]:
    """Return the manifests of this slice by key."""
    documents = _documents(run)
    values = {key: documents.get(key) for key in documents.below()}
    return {key: _from_json(value, documents.uri(key)) for key, value in values.items() if value is not None}


def _to_json(manifest: Manifest, run: Run) -> dict[str, Any]:
    return {**asdict(manifest), "pipeline": run.pipeline, "slice": run.slice.id}


def _from_json(document: Document, path: str) -> Manifest:
    try:
        versions = tuple(SourceVersion(**version) for version in document["versions"])
        others = tuple((str(day), int(count)) for day, count in document.get("other_dates", ()))
        return Manifest(document["source"], versions, document["processed"], others)
    except (KeyError, TypeError) as error:
        raise WallError(
            f"`{path}` must be the manifest of a slice, got {error!r}", hint="restore it from a backup, or remove it"
        ) from error

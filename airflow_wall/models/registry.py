"""
The model registry in a lake: one folder per version, which never changes, and one document that names the champion.

::

    <name>/versions/1/model.lightgbm  the model, in the format of that name
    <name>/versions/1/record.json     the metadata of the version
    <name>/champion.json              the version that predictions use
    <name>/decisions.json             the decisions about its versions, the oldest first

A version exists once its record does, which is written last. Of two processes that create the same one, the second
takes the next number. The champion changes by compare-and-set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_wall.errors import Interrupted, ModelError
from airflow_wall.lake.documents import Document, Documents, as_stored, change
from airflow_wall.lake.lake import Lake
from airflow_wall.models import formats
from airflow_wall.models.base import NO_OWN_CODE, Candidate, Champion, Decision, Model, ModelRecord, OwnCode
from airflow_wall.models.decisions import PROMOTED, REJECTED, DecisionRecord
from airflow_wall.models.name import check_model_name

_RECORD = "record.json"
_CHAMPION = "champion.json"
_DECISIONS = "decisions.json"


class FileRegistry:
    """
    Versions and champions of one lake.

    :param lake: The lake.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def register(self, name: str, candidate: Candidate) -> ModelRecord:
        """See `Registry.register`."""
        sha256 = hashlib.sha256(candidate.content).hexdigest()
        fingerprint = _fingerprint(candidate, sha256)
        new, seen = 0, 0
        while True:
            versions = [version for version in self.versions(name) if version > seen]
            for version in reversed(versions):
                record = self.record(name, version)
                if record.fingerprint == fingerprint:
                    return record
            seen = versions[-1] if versions else seen
            new = max(new, seen) + 1
            record = _record(name, new, candidate, sha256, fingerprint)
            files = {record.file: candidate.content, _RECORD: as_stored(record.to_json())}
            if self._lake.objects.create_folder(self._key(name, f"versions/{new}"), files):
                return record  # else another process has registered this version, or has begun to

    def versions(self, name: str) -> list[int]:
        """See `Registry.versions`."""
        folder = self._key(name, "versions")
        keys = (item.key.removeprefix(f"{folder}/").split("/") for item in self._lake.objects.below(folder))
        return sorted(int(key[0]) for key in keys if key[0].isdecimal() and key[1:] == [_RECORD])

    def record(self, name: str, version: int) -> ModelRecord:
        """See `Registry.record`."""
        documents, key = self._documents(name), f"versions/{version}/{_RECORD}"
        document = documents.get(key)
        if document is None:
            raise ModelError(f"model `{name}` has no version {version}", hint=self._suggest_versions(name))
        try:
            return ModelRecord.from_json(document)
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"`{documents.uri(key)}` is not the record of a model: {error!r}", hint="restore it from a backup"
            ) from error

    def champion(self, name: str) -> Champion | None:
        """See `Registry.champion`."""
        return _champion(self._documents(name).get(_CHAMPION))

    def names(self) -> list[str]:
        """See `Registry.names`."""
        folders = self._lake.objects.names(self._lake.state_key("models"))
        names = (folder[:-1] for folder in folders if folder.endswith("/"))
        return [name for name in names if self._lake.objects.names(self._lake.state_key("models", name, "versions"))]

    def decisions(self, name: str) -> list[DecisionRecord]:
        """See `Registry.decisions`."""
        return _decisions(self._documents(name).get(_DECISIONS), self.champion(name))

    def reject(self, name: str, version: int, decision: Decision) -> None:
        """See `Registry.reject`."""
        champion, rejected = self.champion(name), DecisionRecord(version, REJECTED, _now(), decision)

        def recorded(old: Document | None) -> Document:
            records = _decisions(old, champion)
            latest = next((record for record in reversed(records) if record.version == version), None)
            is_retry = latest is not None and (latest.event, latest.decision.reason) == (REJECTED, decision.reason)
            return _to_json(records if is_retry else [*records, rejected])

        change(self._documents(name), _DECISIONS, recorded)

    def promote(
        self,
        name: str,
        version: int,
        decision: Decision,
        *,
        expected: int | None,
        force: bool = False,
        event: str = PROMOTED,
    ) -> Champion:
        """See `Registry.promote`."""
        record = self.record(name, version)
        before: Champion | None = None
        champion = Champion(version, record.lineage.order, decision, _now(), event)

        def promoted(old: Document | None) -> Document:
            nonlocal before
            before = _champion(old)
            current_version = None if before is None else before.version
            if current_version != expected:
                raise Interrupted(
                    f"the champion of model `{name}` must still be {_format_version(expected)}, "
                    f"got {_format_version(current_version)}: another run has promoted it",
                    hint="compare with the new champion, and promote again",
                )
            if before is not None and not force and is_older(record.lineage.order, before.order):
                raise ModelError(
                    f"version {version} of model `{name}` was trained for {record.lineage.order}, "
                    f"and its champion, version {current_version}, for the later {before.order}: "
                    "a champion never moves back in time",
                    hint="run retrain for a later slice, or promote with `force`",
                )
            return champion.to_json()

        documents = self._documents(name)
        change(documents, _CHAMPION, promoted)
        change(documents, _DECISIONS, lambda old: _to_json(_decisions(_to_json(_decisions(old, before)), champion)))
        return champion

    def verify(self, name: str, version: int) -> None:
        """See `Registry.verify`."""
        self._read(name, self.record(name, version))

    def open(self, name: str, version: int, own: OwnCode = NO_OWN_CODE) -> Model:
        """See `Registry.open`."""
        record = self.record(name, version)
        content = self._read(name, record)
        try:
            return formats.load(content, record.model_format, own, [part.target for part in record.parts])
        except ModelError as error:
            other = formats.other_versions(record.libraries)
            if not other:
                raise
            raise ModelError(
                f"{error.message}; version {version} of model `{name}` was trained with {other}",
                hint="give `predict` the same `requirements` as `retrain`, or train the model anew",
            ) from error

    def _read(self, name: str, record: ModelRecord) -> bytes:
        """Return the file of a version, as it was registered."""
        key = self._key(name, f"versions/{record.version}/{record.file}")
        place = self._lake.place(key)
        try:
            read = self._lake.objects.get(key)
        except OSError as error:
            raise _unreadable(name, record, place, error.strerror or str(error)) from error
        if read is None:
            raise _unreadable(name, record, place, "No such file or directory")
        content = read[0]
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != record.sha256:  # checked before any library parses the bytes
            raise ModelError(
                f"`{place}` was changed after its registration: its SHA-256 must be {record.sha256}, "
                f"got {sha256}; it was not opened",
                hint="restore it from a backup, or run retrain and find out who wrote to the registry",
            )
        return content

    def _documents(self, name: str) -> Documents:
        return self._lake.documents("models", check_model_name(name))

    def _key(self, name: str, path: str) -> str:
        return self._lake.state_key("models", check_model_name(name), path)

    def _suggest_versions(self, name: str) -> str:
        versions = self.versions(name)
        if not versions:
            return f"run retrain for model `{name}` first"
        return f"name one of its versions: {', '.join(str(version) for version in versions[-10:])}"


def _champion(document: Document | None) -> Champion | None:
    return None if document is None else Champion.from_json(document)


def _decisions(document: Document | None, champion: Champion | None) -> list[DecisionRecord]:
    """Return the recorded decisions, and that about the champion if it is missing."""
    records = [DecisionRecord.from_json(values) for values in (document or {}).get("decisions", ())]
    if champion is not None:
        last = DecisionRecord.of_champion(champion)
        if all(
            (record.version, record.at, record.event) != (last.version, last.at, last.event) for record in records
        ):  # an older airflow-wall recorded none, or a call was killed right before
            records.append(last)
    return records


def _to_json(records: Sequence[DecisionRecord]) -> Document:
    return {"decisions": [record.to_json() for record in records]}


def _unreadable(name: str, record: ModelRecord, place: str, reason: str) -> ModelError:
    return ModelError(
        f"version {record.version} of model `{name}` cannot be read: {place}: {reason}", hint="restore it from a backup"
    )


def is_older(order: str, than: str) -> bool:
    """Return True if the slice of `order` is before that of `than`; both are ISO 8601."""
    return _parse_time(order) < _parse_time(than)


def _parse_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _format_version(version: int | None) -> str:
    return "none" if version is None else f"version {version}"


def _fingerprint(candidate: Candidate, sha256: str) -> str:
    """Return a digest of the run, its data and code, and the model. It does not depend on the time of training."""
    lineage = candidate.lineage
    parts: dict[str, Any] = {
        "run": [lineage.pipeline, lineage.run_id, lineage.slice],
        "from": [lineage.entrypoint, lineage.code, dict(lineage.data), dict(lineage.parameters)],
        "model": [candidate.model_format, sha256, [[f.name, f.type] for f in candidate.features], candidate.target],
        "rows": [candidate.rows_trained, candidate.rows_held_out],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _record(name: str, version: int, candidate: Candidate, sha256: str, fingerprint: str) -> ModelRecord:
    return ModelRecord(
        name=name,
        version=version,
        model_format=candidate.model_format,
        file=f"model.{candidate.model_format}",
        sha256=sha256,
        fingerprint=fingerprint,
        created=_now(),
        kind=candidate.kind,
        classes=candidate.classes,
        parts=candidate.parts,
        has_probabilities=candidate.has_probabilities,
        features=candidate.features,
        target=candidate.target,
        metrics=dict(candidate.metrics),
        reported=dict(candidate.reported),
        rows_trained=candidate.rows_trained,
        rows_held_out=candidate.rows_held_out,
        window=candidate.window,
        lineage=candidate.lineage,
        training=candidate.training,
        segments=candidate.segments,
        types=candidate.types,
        libraries=candidate.libraries,
    )

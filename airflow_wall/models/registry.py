"""
The model registry in files: one directory per version, which never changes, and one document that names the champion.

::

    <name>/versions/1/model.lightgbm  the model, in the format of that name
    <name>/versions/1/record.json     the metadata of the version
    <name>/champion.json              the version that predictions use
    <name>/decisions.json             the decisions about its versions, the oldest first

A version is written in a directory with a hidden name and becomes visible by one rename. The champion changes by
compare-and-set. Both happen under one lock per model, which the kernel releases when its process ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.errors import Interrupted, ModelError
from airflow_wall.models import formats
from airflow_wall.models.base import NO_OWN_CODE, Candidate, Champion, Decision, Model, ModelRecord, OwnCode
from airflow_wall.models.decisions import PROMOTED, REJECTED, DecisionRecord
from airflow_wall.models.name import check_model_name

_HIDDEN = ".new-"


class FileRegistry:
    """
    Versions and champions below a directory.

    :param root: The directory. It is created when the first model is registered.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def register(self, name: str, candidate: Candidate) -> ModelRecord:
        """See `Registry.register`."""
        sha256 = hashlib.sha256(candidate.content).hexdigest()
        fingerprint = _fingerprint(candidate, sha256)
        with self._locked(name):
            versions = self.versions(name)
            for version in reversed(versions):
                record = self.record(name, version)
                if record.fingerprint == fingerprint:
                    return record
            version = versions[-1] + 1 if versions else 1
            record = _record(name, version, candidate, sha256, fingerprint)
            self._write(name, record, candidate.content)
            return record

    def versions(self, name: str) -> list[int]:
        """See `Registry.versions`."""
        try:
            return sorted(int(entry.name) for entry in os.scandir(self._versions(name)) if entry.name.isdecimal())
        except FileNotFoundError:
            return []

    def record(self, name: str, version: int) -> ModelRecord:
        """See `Registry.record`."""
        path = self._versions(name) / str(version) / "record.json"
        document = state.read(path)
        if document is None:
            raise ModelError(f"model `{name}` has no version {version}", hint=self._suggest_versions(name))
        try:
            return ModelRecord.from_json(document)
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"`{path}` is not the record of a model: {error!r}", hint="restore it from a backup"
            ) from error

    def champion(self, name: str) -> Champion | None:
        """See `Registry.champion`."""
        document = state.read(self._folder(name) / "champion.json")
        return None if document is None else Champion.from_json(document)

    def names(self) -> list[str]:
        """See `Registry.names`."""
        return sorted(path.parent.name for path in self._root.glob("*/versions"))

    def decisions(self, name: str) -> list[DecisionRecord]:
        """See `Registry.decisions`."""
        document = state.read(self._decisions(name))
        records = [DecisionRecord.from_json(values) for values in (document or {}).get("decisions", ())]
        champion = self.champion(name)
        if champion is not None:
            last = DecisionRecord.of_champion(champion)
            if all(
                (record.version, record.at) != (last.version, last.at) for record in records
            ):  # an older airflow-wall recorded none, or a call was killed right before
                records.append(last)
        return records

    def reject(self, name: str, version: int, decision: Decision) -> None:
        """See `Registry.reject`."""
        with self._locked(name):
            records = self.decisions(name)
            latest = next((record for record in reversed(records) if record.version == version), None)
            if latest is None or (latest.event, latest.decision.reason) != (REJECTED, decision.reason):  # no retry
                self._write_decisions(name, [*records, DecisionRecord(version, REJECTED, _now(), decision)])

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
        with self._locked(name):
            current = self.champion(name)
            current_version = None if current is None else current.version
            if current_version != expected:
                raise Interrupted(
                    f"the champion of model `{name}` must still be {_format_version(expected)}, "
                    f"got {_format_version(current_version)}: another run has promoted it",
                    hint="compare with the new champion, and promote again",
                )
            if current is not None and not force and is_older(record.lineage.order, current.order):
                raise ModelError(
                    f"version {version} of model `{name}` was trained for {record.lineage.order}, "
                    f"and its champion, version {current_version}, for the later {current.order}: "
                    "a champion never moves back in time",
                    hint="run retrain for a later slice, or promote with `force`",
                )
            champion = Champion(version, record.lineage.order, decision, _now(), event)
            records = self.decisions(name)
            state.write(self._folder(name) / "champion.json", champion.to_json())
            self._write_decisions(name, [*records, DecisionRecord.of_champion(champion)])
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
        path = self._versions(name) / str(record.version) / record.file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(
                f"version {record.version} of model `{name}` cannot be read: {path}: {error.strerror}",
                hint="restore it from a backup",
            ) from error
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != record.sha256:  # checked before any library parses the bytes
            raise ModelError(
                f"`{path}` was changed after its registration: its SHA-256 must be {record.sha256}, "
                f"got {sha256}; it was not opened",
                hint="restore it from a backup, or run retrain and find out who wrote to the registry",
            )
        return content

    def _write_decisions(self, name: str, records: Sequence[DecisionRecord]) -> None:
        state.write(self._decisions(name), {"decisions": [record.to_json() for record in records]})

    def _decisions(self, name: str) -> Path:
        return self._folder(name) / "decisions.json"

    def _write(self, name: str, record: ModelRecord, content: bytes) -> None:
        versions = self._versions(name)
        versions.mkdir(parents=True, exist_ok=True)
        for leftover in versions.glob(f"{_HIDDEN}*"):
            shutil.rmtree(leftover)  # we hold the lock, so its writer is dead
        folder = Path(tempfile.mkdtemp(dir=versions, prefix=_HIDDEN))
        folder.chmod(0o755)
        state.write_bytes(folder / record.file, content)
        state.write(folder / "record.json", record.to_json())
        folder.rename(versions / str(record.version))
        descriptor = os.open(versions, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with state.locked(self._folder(name) / "champion.json"):
            yield

    def _folder(self, name: str) -> Path:
        return self._root / check_model_name(name)

    def _versions(self, name: str) -> Path:
        return self._folder(name) / "versions"

    def _suggest_versions(self, name: str) -> str:
        versions = self.versions(name)
        if not versions:
            return f"run retrain for model `{name}` first"
        return f"name one of its versions: {', '.join(str(version) for version in versions[-10:])}"


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

"""
Objects of a bucket as sources, as files are (see `listing`).

The version of an object is the tag that its store gives to its content. An object is read only in the version that was
listed: if it changes in between, the task is tried again.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import obstore
from obstore import exceptions
from obstore.store import ObjectStore

from airflow_wall.connections.buckets import is_denied, reason_of
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import DataError, Interrupted, WallError
from airflow_wall.sources.buckets import BucketSource
from airflow_wall.sources.delivery import Delivery, Rules, read_delivery
from airflow_wall.sources.formats import reader_of
from airflow_wall.sources.kinds.base import LoadedRows
from airflow_wall.sources.listing import DatedFiles, is_hidden
from airflow_wall.storage.base import SourceVersion

_CHUNK = 8 << 20
_SHOWN = 8


@dataclass(frozen=True)
class OpenObjects(DatedFiles):
    """
    The objects of a source in one run.

    :param store: A client of the bucket.
    :param connection: The connection whose secrets no message may show.
    """

    source: BucketSource
    store: ObjectStore = field(kw_only=True, repr=False)
    connection: ConnectionInfo | None = field(default=None, kw_only=True, repr=False)

    def versions(self) -> list[SourceVersion]:
        """Return the versions of all objects now, sorted by name. Names that begin with `.` or `_` are ignored."""
        versions = []
        with self._errors():
            for key, tag, size in self._listed():
                uri = self.source.address + key
                below = self.source.below(uri)
                names = below or PurePosixPath(key).parts[-1:]
                if below is None or key.endswith("/") or any(map(is_hidden, names)):
                    continue
                if self.source.matches(uri, self.lake):
                    versions.append(_version(uri, tag, size))
        return sorted(versions, key=lambda version: version.uri)

    def _listed(self) -> Iterator[tuple[str, str, int]]:
        """Yield name, tag and bytes of each object whose name has the prefix."""
        prefix = "/".join(self.source.prefix)
        if prefix and not self.source.pattern:  # a listing has what is below a name, not the object of the name itself
            with contextlib.suppress(FileNotFoundError, exceptions.NotFoundError):
                meta = obstore.head(self.store, prefix)
                yield meta["path"], str(meta["e_tag"]), meta["size"]
        for batch in obstore.list(self.store, prefix or None, chunk_size=1_000):
            for meta in batch:
                yield meta["path"], str(meta["e_tag"]), meta["size"]

    def below(self, uri: str) -> str:
        """Return the path of an object below the source; its name if it is the source."""
        below = self.source.below(uri)
        return "/".join(below) if below else PurePosixPath(uri).name

    def missing(self) -> DataError | None:
        """Return the error for a source without objects. It lists what is nearby."""
        if self.day is not None and self.versions():
            return None  # it has objects of other dates
        with self._errors():
            parent = "/".join(self.source.prefix[:-1])
            listing = obstore.list_with_delimiter(self.store, parent or None)
        near = [*listing["common_prefixes"], *(meta["path"] for meta in listing["objects"])]
        return DataError(
            f"`source` `{self.source.text}`: no object has such a name; `{self.source.address}{parent}` holds "
            f"{listed(sorted(near), _SHOWN) or 'nothing'}",
            hint="put the files there, or correct the path (names that begin with `.` or `_` are ignored)",
        )

    def current(self, claimed: Sequence[SourceVersion], slice_id: str) -> Sequence[SourceVersion]:
        """Return the versions that the claimed objects have now."""
        versions = []
        for version in claimed:
            with self._errors():
                try:
                    meta = obstore.head(self.store, self._key(version.uri))
                except (FileNotFoundError, exceptions.NotFoundError):
                    raise self.gone(version.uri, slice_id) from None
            versions.append(_version(version.uri, str(meta["e_tag"]), meta["size"]))
        return versions

    def read(self, versions: Sequence[SourceVersion], rules: Rules) -> LoadedRows:
        """Return the rows of objects. They are copied to the disk of this machine first."""
        files = {self._key(version.uri): version for version in versions}
        return read_copies(self, files, rules, self.source.address, self._download)

    def _download(self, version: SourceVersion, path: Path) -> None:
        """Write the version of an object to a file."""
        with self._errors(), path.open("wb") as file:
            try:
                result = obstore.get(self.store, self._key(version.uri), options={"if_match": _tag(version)})
                for chunk in result.stream(min_chunk_size=_CHUNK):
                    file.write(chunk)
            except (exceptions.PreconditionError, FileNotFoundError, exceptions.NotFoundError):
                raise Interrupted(f"`source` `{self.source.text}`: `{version.uri}` changed while it was read") from None

    def _key(self, uri: str) -> str:
        return uri.removeprefix(self.source.address)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Word the errors of the store, without secrets."""
        try:
            yield
        except WallError:
            raise
        except (exceptions.BaseError, OSError) as error:
            reason = reason_of(error) if self.connection is None else self.connection.hide(reason_of(error))
            raise DataError(
                f"`source` `{self.source.text}`: the bucket `{self.source.bucket}` cannot be read: {reason}",
                hint="let this identity list and read the bucket, or correct the connection"
                if is_denied(error)
                else "correct the name of the bucket, its region and the connection's `endpoint_url`",
            ) from None


def read_copies(
    files: DatedFiles,
    versions: Mapping[str, SourceVersion],
    rules: Rules,
    address: str,
    download: Callable[[SourceVersion, Path], None],
) -> LoadedRows:
    """
    Return the rows of files that are copied to the disk of this machine first.

    :param versions: Name of each file to its version.
    :param address: What the names are below, for messages.
    :param download: Copies a version to a path.
    """
    if not versions:
        return LoadedRows([], Delivery(rules.staging.raw, rules.contract))
    with tempfile.TemporaryDirectory(prefix="airflow-wall-") as scratch:
        copies = {Path(scratch, name): version for name, version in versions.items()}
        try:
            kind, options = reader_of(list(copies), files.format, files.options)
            for path, version in copies.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                download(version, path)
            delivery = read_delivery(copies, kind=kind, options=options, rules=rules)
        except DataError as error:
            message = error.message.replace(f"{scratch}/", address)
            raise type(error)(message, hint=error.hint and error.hint.replace(f"{scratch}/", address)) from None
        warnings = tuple(text.replace(f"{scratch}/", address) for text in delivery.warnings)
    return LoadedRows(list(versions.values()), replace(delivery, warnings=warnings))


def _version(uri: str, tag: str, size: int) -> SourceVersion:
    return SourceVersion(uri, f"etag:{tag}", size)


def _tag(version: SourceVersion) -> str:
    return version.version.removeprefix("etag:")

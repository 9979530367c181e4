"""Buckets as sources: the parsed form `s3://connection@bucket/path`, which each kind of store shares."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow_wall.connections.dataset_names import DatasetName
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.lake.lake import Lake
from airflow_wall.sources.kinds.base import Source, SourceSite
from airflow_wall.sources.listing import first_sign, leads_to, match, slice_day

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from airflow_wall.sources.objects import OpenObjects

_FORM = re.compile(
    r"[a-z0-9]+://(?:(?P<connection>[^/@\s:\\]+)@)?(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(?P<path>.*))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class BucketSource(Source):
    """
    Objects of a bucket.

    :param connection: Id of the Airflow connection; empty for the identity of the machine or pod.
    :param parts: The parts of the path in the bucket, which may hold patterns.
    """

    plural = "files"
    keys = frozenset({"format", "options", "by"})

    scheme: ClassVar[str]
    """How its texts begin, e.g. `s3`."""

    connection: str
    bucket: str
    parts: tuple[str, ...]

    @property
    def conn_id(self) -> str:
        """The Airflow connection."""
        return self.connection

    @property
    def address(self) -> str:
        """The address of the bucket, without the connection. Objects are named by it, so a connection may change."""
        return f"{self.scheme}://{self.bucket}/"

    @property
    def prefix(self) -> tuple[str, ...]:
        """The parts of the path that all objects have."""
        return self.parts[: first_sign(self.parts)]

    @property
    def pattern(self) -> tuple[str, ...]:
        """The parts of the pattern below the prefix; () matches all objects."""
        return self.parts[first_sign(self.parts) :]

    def dataset(self, site: SourceSite) -> DatasetName:  # noqa: ARG002
        """Return the name of the object, or of the folder that all matching objects are below."""
        return DatasetName(f"{self.scheme}://{self.bucket}", "/".join(self.prefix) or "/")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the objects that `s3://connection@bucket/path` names."""
        form = _FORM.fullmatch(text)
        parts = () if form is None else PurePosixPath(form["path"] or "").parts
        if form is None or ".." in parts:
            raise DataError(
                f"`source` must be {cls.forms[0]}, got `{text}`",
                hint=f"write, e.g., `{cls.scheme}://company-data/orders/*.csv`, or with an Airflow connection "
                f"`{cls.scheme}://warehouse@company-data/orders/*.csv`",
            )
        return cls(text, form["connection"] or "", form["bucket"], parts)

    @classmethod
    def parse_beginning(cls, text: str) -> Self | None:
        """Return objects of a path whose end is not known yet, or None if the text ends before the bucket does."""
        head, slash, path = text.partition("://")[2].partition("/")
        form = _FORM.fullmatch(f"{cls.scheme}://{head}") if slash else None
        return None if form is None else cls(text, form["connection"] or "", form["bucket"], PurePosixPath(path).parts)

    def open(self, site: SourceSite, keys: Mapping[str, Any]) -> OpenObjects:
        """
        Return the objects of a run. They need not exist.

        :param keys: `format`, `options` and `by`, as of files.
        :raises DataError: `by` is unknown, or the slice has no date.
        :raises ConnectionFault: the connection does not exist or has another type, or a package is not installed.
        """
        from airflow_wall.sources.objects import OpenObjects  # imports obstore

        day = slice_day(site.run, keys["by"]) if "by" in keys else None
        connection = site.connections(self.connection) if self.connection else None
        store = self.store(connection)
        lake, options = site.run.storage, keys.get("options") or {}
        return OpenObjects(self, lake, keys.get("format"), options, day, store=store, connection=connection)

    @abstractmethod
    def store(self, connection: ConnectionInfo | None) -> ObjectStore:
        """
        Return a client of the bucket.

        :raises ConnectionFault: the connection has another type, or an extra that cannot be honoured.
        """

    def depth(self, lake: Lake) -> int:  # noqa: ARG002
        """Return the number of parts that its objects are below."""
        return len(self.prefix)

    def covers(self, other: Source, lake: Lake) -> bool:  # noqa: ARG002
        """Return True if objects of `other` can belong to this source."""
        if not isinstance(other, BucketSource) or other.address != self.address:
            return False
        if other.prefix[: len(self.prefix)] != self.prefix:
            return False
        below = other.prefix[len(self.prefix) :]
        return not self.pattern or self.pattern == other.pattern or leads_to(below, self.pattern)

    def matches(self, uri: str, lake: Lake) -> bool:  # noqa: ARG002
        """Return True if an object of this name belongs to the source."""
        below = self.below(uri)
        if below is None:
            return False
        return match(below, self.pattern) if self.pattern else True

    def below(self, uri: str) -> tuple[str, ...] | None:
        """Return the parts of an object's name below the prefix, or None if it is not there."""
        if not uri.startswith(self.address):
            return None
        parts = PurePosixPath(uri.removeprefix(self.address)).parts
        return parts[len(self.prefix) :] if parts[: len(self.prefix)] == self.prefix else None

"""The base of all sources: the parsed value of `source`, and a source that a run has opened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow_wall.connections.dataset_names import DatasetName, name_of_text
from airflow_wall.connections.info import Connections
from airflow_wall.errors import DataError
from airflow_wall.job import Run
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import SourceVersion

if TYPE_CHECKING:
    from airflow_wall.sources.delivery import Delivery, Rules
    from airflow_wall.storage.ledger import Processed

KEYS = ("format", "options", "by", "cursor", "lag")
"""Keys of `ingest` and `check_new_data` that apply to some kinds of sources only."""


@dataclass(frozen=True)
class Source(ABC):
    """
    A parsed `source`. Each scheme has a subclass in a module with its name. A path has the scheme `file`.

    A `source` is parsed when a pipeline is read, and when a job or a manifest is read. In between, this object stands
    for it. These modules import no library: the import of what reads the rows belongs into `open`.

    :param text: The text that was parsed.
    """

    forms: ClassVar[tuple[str, ...]]
    """How it is written, for messages."""

    plural: ClassVar[str]
    """Plural of the thing it names, for messages."""

    keys: ClassVar[frozenset[str]]
    """The `KEYS` that apply to it."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def conn_id(self) -> str:
        """The Airflow connection that it is read by; empty if it needs none."""
        return ""

    @property
    def in_lake(self) -> bool:
        """True if it is below the lake. Policy `restricted` allows such a source without a connection."""
        return False

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """
        Return the source that a text of this scheme names.

        :raises DataError: the text does not have the form.
        """

    @classmethod
    @abstractmethod
    def parse_beginning(cls, text: str) -> Self | None:
        """Return a source for the known beginning of a text, or None if it ends before the connection does."""

    @abstractmethod
    def open(self, site: SourceSite, keys: Mapping[str, Any]) -> OpenSource:
        """
        Return the source of one run.

        :param keys: The `KEYS` that the step sets.
        :raises DataError: it does not exist, or a key is wrong.
        :raises ConnectionFault: the connection is missing, or is refused.
        """

    def dataset(self, site: SourceSite) -> DatasetName:  # noqa: ARG002
        """
        Return its name for OpenLineage. No server is accessed.

        :raises ConnectionFault: the connection is missing, or is refused.
        """
        return name_of_text(self.text)

    def depth(self, lake: Lake) -> int:  # noqa: ARG002
        """Return how deep it is. Of several sources that cover one, the deepest is the nearest."""
        return 0

    def covers(self, other: Source, lake: Lake) -> bool:  # noqa: ARG002  sources of one part cover no other
        """Return True if data of `other` can belong to this source: `landing` covers `landing/domain_1`."""
        return False

    def matches(self, uri: str, lake: Lake) -> bool:  # noqa: ARG002  only paths depend on the lake
        """Return True if a part of this name belongs to the source. It need not exist."""
        return uri == self.text

    def local_versions(self, lake: Lake) -> list[SourceVersion]:  # noqa: ARG002
        """Return the current versions, if they can be listed without a connection; else []."""
        return []


@dataclass(frozen=True)
class SourceSite:
    """
    The run that opens a source.

    :param connections: Returns an Airflow connection by id.
    """

    run: Run
    connections: Connections = field(repr=False)


@dataclass(frozen=True)
class Listing:
    """
    The versions of a source.

    :param new: The versions that have not been processed, sorted by uri.
    :param processed: Number of versions that have been processed.
    :param upgraded: Those of them that an older airflow-wall recorded in its own form.
    :param other_dates: With `by: date`: dates of other versions that have not been processed, and their number.
    """

    new: tuple[SourceVersion, ...]
    processed: int
    upgraded: tuple[SourceVersion, ...] = ()
    other_dates: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class LoadedRows:
    """
    Rows of a source, in the types of a table.

    :param versions: The versions that were read. They may be newer than the ones that were asked for.
    :param delivery: The rows with the column `_wall_source`; `airflow_wall.sources.delivery.type_rows` gives rows their
        types.
    """

    versions: Sequence[SourceVersion]
    delivery: Delivery


class OpenSource(ABC):
    """A source of one run."""

    source: Source

    @property
    def identity(self) -> str:
        """The text and the keys that decide which versions belong to it. Claims are stored under this text."""
        return f"{self.source.text.rstrip('/')}\0"

    @property
    def grows(self) -> bool:
        """True if a claim takes what lands later, too, because its versions belong to the slice by their names."""
        return False

    @abstractmethod
    def find_new(self, processed: Processed) -> Listing:
        """Return the versions that have not been processed."""

    def missing(self) -> DataError | None:
        """Return the error for a source that never had any data; None if that is not an error."""
        return None

    def claimed(
        self,
        manifest: Sequence[SourceVersion],
        taken: Mapping[str, str],  # noqa: ARG002
        slice_id: str,  # noqa: ARG002
    ) -> Sequence[SourceVersion]:
        """
        Return the versions that a slice must read: those of its manifest, and others whose rows it holds.

        :param taken: uri -> the slice that took it first, for all that a table has ever taken.
        """
        return manifest

    def homes(self, versions: Sequence[SourceVersion], taken: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002
        """
        Return uri -> slice of the versions that belong to another slice than the one that reads them.

        :param taken: uri -> the slice that took it first, for all that a table has ever taken.
        """
        return taken

    def current(self, claimed: Sequence[SourceVersion], slice_id: str) -> Sequence[SourceVersion]:  # noqa: ARG002
        """
        Return the versions to read for claimed ones: the same, or newer ones of the same parts.

        :raises DataError: a claimed part does not exist any more. Without it the slice would lose rows.
        """
        return claimed

    @abstractmethod
    def read(self, versions: Sequence[SourceVersion], rules: Rules) -> LoadedRows:
        """
        Return the rows of versions.

        :param rules: The contract of the table that the rows go to, and what may change it.
        :raises DataError: they cannot be read.
        :raises Interrupted: they changed while they were read.
        """

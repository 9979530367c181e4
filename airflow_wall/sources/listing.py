"""
Files as sources: a file, a directory with all files below it, or a pattern, in the local file system.

A file's version is a digest of its content, so a copy, a restore or a new modification time changes nothing. Files
should be renamed into place: names that begin with `.` or `_` are ignored.
"""

from __future__ import annotations

import collections
import fnmatch
import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import DataError, Interrupted
from airflow_wall.job import Run
from airflow_wall.lake.lake import Lake
from airflow_wall.sources.dates import dates_in
from airflow_wall.sources.digests import file_stamp, versions_of
from airflow_wall.sources.kinds.base import Listing, LoadedRows, OpenSource, Source
from airflow_wall.storage.base import SourceVersion

if TYPE_CHECKING:
    from airflow_wall.sources.delivery import Rules
    from airflow_wall.sources.kinds.file import FileSource
    from airflow_wall.storage.ledger import Processed

_LOGICAL_DATE = re.compile(r"\d{8}T\d{6}Z")
_SIGNS = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class DatedFiles(OpenSource):
    """
    The files of a source in one run, wherever they are. Their names may have dates.

    :param lake: Files below it are named by their relative path, so that the lake may move.
    :param format: Their format, or None if it follows from their names.
    :param options: Options of the format.
    :param day: Only the files of this date, as an ISO date; None for all.
    """

    source: Source
    lake: Lake
    format: str | None
    options: Mapping[str, Any]
    day: str | None = None

    @abstractmethod
    def versions(self) -> list[SourceVersion]:
        """Return the versions of all current files, sorted by name."""

    @abstractmethod
    def below(self, uri: str) -> str:
        """Return the path of a file below the source; its name if it is the source."""

    @property
    def identity(self) -> str:
        """The text, and `by`."""
        return super().identity + ("" if self.day is None else "\0date")

    @property
    def grows(self) -> bool:
        """True with `by: date`: a late file belongs to its date."""
        return self.day is not None

    def find_new(self, processed: Processed) -> Listing:
        """Return the versions that have not been processed."""
        new, upgraded = [], []
        others: collections.Counter[str] = collections.Counter()
        done = 0
        for version in self.versions():
            is_old = (version.uri, version.stamp) in processed.latest
            upgraded += [version] if is_old else []
            is_done = is_old or processed.has(version)
            day = None if self.day is None else self._day_of(version.uri)
            if day != self.day:
                others[str(day)] += not is_done
            elif is_done:
                done += 1
            else:
                new.append(version)
        return Listing(tuple(new), done, tuple(upgraded), tuple(sorted((+others).items())))

    def gone(self, place: str, slice_id: str) -> DataError:
        """
        Return the error for a file that a slice has claimed and that does not exist any more.

        :param place: Its path or address.
        """
        return DataError(
            f"`source` `{self.source.text}`: `{place}` does not exist any more, and slice `{slice_id}` claimed it",
            hint="put it back; the rows of the slice in the table are unchanged",
        )

    def claimed(
        self, manifest: Sequence[SourceVersion], taken: Mapping[str, str], slice_id: str
    ) -> Sequence[SourceVersion]:
        """Return the files of the manifest, and those that a run of another slice has put into this one."""
        uris = {version.uri for version in manifest}
        others = [
            SourceVersion(uri, "")
            for uri, holder in taken.items()
            if holder == slice_id and uri not in uris and self.source.matches(uri, self.lake)
        ]
        return sorted([*manifest, *others], key=lambda version: version.uri)

    def homes(self, versions: Sequence[SourceVersion], taken: Mapping[str, str]) -> Mapping[str, str]:
        """
        Return the slices that took files first. With `by: date`, a late file belongs to the slice that took others of
        its date.
        """
        if self.day is None:
            return taken
        same_day = [
            slice_id
            for uri, slice_id in taken.items()
            if _LOGICAL_DATE.fullmatch(slice_id) and self.source.matches(uri, self.lake) and self._has_day(uri)
        ]
        late = {version.uri for version in versions} - taken.keys()
        return {**taken, **(dict.fromkeys(late, min(same_day)) if same_day else {})}

    def _has_day(self, uri: str) -> bool:
        return self.day in self._dates_of(uri)

    def _day_of(self, uri: str) -> str:
        dates = self._dates_of(uri)
        if len(dates) == 1:
            return dates[0]
        raise DataError(
            f"`source` `{self.source.text}`: `by: date` needs one date in the name of each file, and `{uri}` has "
            f"{f'the dates {listed(dates)}' if dates else 'no date'}",
            hint="name it e.g. `2013-07-01.csv` or `2013/07/01/orders.csv`, or write a pattern in `source` without it",
        )

    def _dates_of(self, uri: str) -> list[str]:
        """Return the dates in the path of a file below the source, or if it has none, in its whole path."""
        return dates_in(self.below(uri)) or dates_in(uri)


@dataclass(frozen=True)
class OpenFiles(DatedFiles):
    """The files of a source in one run, in the local file system."""

    source: FileSource

    def versions(self) -> list[SourceVersion]:
        """Return the versions of all current files, sorted by name."""
        return self.source.local_versions(self.lake)

    def below(self, uri: str) -> str:
        """Return the path of a file below the source; its name if it is the source."""
        path, root = self.lake.path_of(uri), self.source.root(self.lake)
        return path.relative_to(root).as_posix() if path != root and path.is_relative_to(root) else path.name

    def missing(self) -> DataError | None:
        """Return the error for a source without files. It lists the files that exist nearby."""
        if self.day is not None and self.versions():
            return None  # it has files of other dates
        text, root = self.source.text, self.source.root(self.lake)
        if root.exists():
            pattern = "/".join(self.source.pattern) or "*"
            return DataError(
                f"`source` `{text}`: no file in `{root}` matches `{pattern}`; it {_describe_content(root)}",
                hint="put the files there, or correct the path (relative paths are below `storage`; "
                "names that begin with `.` or `_` are ignored)",
            )
        parent = next(folder for folder in root.parents if folder.is_dir())
        return DataError(
            f"`source` `{text}`: there is no `{root}`; `{parent}` {_describe_content(parent)}",
            hint="create it, or correct the path (relative paths are below `storage`)",
        )

    def current(self, claimed: Sequence[SourceVersion], slice_id: str) -> Sequence[SourceVersion]:
        """Return the versions that the claimed files have now."""
        versions = versions_of([self.lake.path_of(version.uri) for version in claimed], self.lake)
        present = {version.uri for version in versions}
        for version in claimed:
            if version.uri not in present:
                raise self.gone(str(self.lake.path_of(version.uri)), slice_id)
        return versions

    def read(self, versions: Sequence[SourceVersion], rules: Rules) -> LoadedRows:
        """Return the rows of files."""
        from airflow_wall.sources.delivery import Delivery, read_delivery
        from airflow_wall.sources.formats import reader_of

        if not versions:
            return LoadedRows([], Delivery(rules.staging.raw, rules.contract))
        files = {self.lake.path_of(version.uri): version for version in versions}
        kind, options = reader_of(list(files), self.format, self.options)
        delivery = read_delivery(files, kind=kind, options=options, rules=rules)
        if any(file_stamp(path) != version.stamp for path, version in files.items()):
            raise Interrupted(f"`source` `{self.source.text}`: a file changed while it was read")
        return LoadedRows(versions, delivery)


def slice_day(run: Run, by: str) -> str:
    """
    Return the date whose files a run takes.

    :param by: The key `by`.
    :raises DataError: it is not `date`, or the slice of the run has no date.
    """
    if by != "date":
        raise DataError(f"`by` must be `date`, got `{by}`", hint="write `by: date`, or remove it")
    day = run.slice.date or run.slice.order[:10]
    if not dates_in(day):
        raise DataError(
            f"`by: date` needs a run with a date, and slice `{run.slice.id}` has none",
            hint="give the run a logical date",
        )
    return day


def versions_below(root: Path, pattern: Sequence[str], lake: Lake) -> list[SourceVersion]:
    """
    Return the versions of all current files at or below `root` that match a pattern, sorted by name.

    :param pattern: The parts of the pattern below `root`; () matches all files.
    :param lake: Files below it are named by their relative path.
    """
    paths = [path for path in _files(root) if not pattern or match(path.relative_to(root).parts, pattern)]
    return sorted(versions_of(paths, lake), key=lambda version: version.uri)


def is_hidden(name: str) -> bool:
    """Return True for the name of a file or folder that no source has."""
    return name.startswith((".", "_"))


def first_sign(parts: Sequence[str]) -> int:
    """Return the index of the first part of a path that is a pattern, or the number of parts."""
    return next((place for place, part in enumerate(parts) if _SIGNS.search(part)), len(parts))


def _files(root: Path) -> Iterable[Path]:
    if root.is_file():
        yield root
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not is_hidden(name)]
        yield from (Path(folder, name) for name in names if not is_hidden(name))


def match(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """
    Return True if a path matches a pattern.

    The cost is the number of the path's parts times the number of the pattern's parts, for any number of `**`.
    """
    reached = _past_stars({0}, pattern)
    for part in parts:
        after = {at for at in reached if at < len(pattern) and pattern[at] == "**"}
        after |= {at + 1 for at in reached - after if at < len(pattern) and fnmatch.fnmatchcase(part, pattern[at])}
        reached = _past_stars(after, pattern)
    return len(pattern) in reached


def _past_stars(reached: set[int], pattern: Sequence[str]) -> set[int]:
    """Return the positions in a pattern that can be reached without a further part, because `**` may match no part."""
    for at, part in enumerate(pattern):
        if at in reached and part == "**":
            reached.add(at + 1)
    return reached


def leads_to(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return True if a file below the directory `parts` can match the pattern."""
    if not parts:
        return bool(pattern)
    if not pattern:
        return False
    return pattern[0] == "**" or (fnmatch.fnmatchcase(parts[0], pattern[0]) and leads_to(parts[1:], pattern[1:]))


def _describe_content(folder: Path) -> str:
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir()) if folder.is_dir() else []
    return f"holds {listed(names, 8) or 'nothing'}"

"""
The verdicts of checks: which rows of a table passed, so that only these are released.

A verdict belongs to the digest of the rows that a task of checks has seen. If rows of a slice change, its verdict no
longer counts, and the slice is withheld until it is checked again. To compact files changes no digest.

Each task of checks has one document per table. Rows that clients saw before a task first checked the table count as
passed, unless another check of the pipeline rejected them.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_wall.errors import Interrupted
from airflow_wall.job import Run, safe_name
from airflow_wall.lake.documents import Document, change
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import ALL, TableStore

if TYPE_CHECKING:
    from airflow_wall.storage.scan import Scan

_ATTEMPTS = 5
"""Number of times that rows are read again because their table changed."""

_EARLIER = "earlier"
"""Key with the slices that were there when a task first checked a table; null once they are accepted, or not."""


@dataclass(frozen=True)
class Verdict:
    """
    The result of one task of checks for the rows of one slice.

    :param content: Digest of the rows.
    :param failed: Names of the checks of severity `error` that failed.
    :param checks: Digest of the text of the checks; empty for rows that count as passed.
    :param run: Id of the run that checked them.
    :param report: Path of the report.
    """

    content: str
    failed: tuple[str, ...] = ()
    checks: str = ""
    run: str = ""
    report: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Verdict:
        """Return the verdict in a document."""
        return cls(**{**values, "failed": tuple(values.get("failed", ()))})

    @property
    def passed(self) -> bool:
        """True if no check failed."""
        return not self.failed


@dataclass(frozen=True)
class CheckedRows:
    """
    The rows that a task of checks reads in one run.

    :param slice: The slice; `all` for a table that is computed as a whole.
    :param content: Digest of the rows; "" if there are none.
    :param rejected: Slices whose present rows the task has rejected.
    """

    slice: str
    content: str
    rejected: frozenset[str]


@dataclass(frozen=True)
class Checkers:
    """
    The tasks of a pipeline that check a table.

    :param tasks: Tasks that check this table.
    :param possible: Tasks whose table is known only when they run. They count if they have checked this table.
    """

    tasks: Collection[str] = ()
    possible: Collection[str] = ()


@dataclass(frozen=True)
class Withheld:
    """
    A slice that is not released.

    :param slice: The slice; `all` for a table that is computed as a whole.
    :param reason: The checks that its rows did not pass, in words.
    """

    table: str
    slice: str
    reason: str

    def __str__(self) -> str:
        return f"{self.table}, slice {self.slice}: {self.reason}"


@dataclass(frozen=True)
class Judgement:
    """
    The slices of one version of a table.

    :param contents: Slice to the digest of its rows. A table that is computed as a whole has the slice `all`.
    :param withheld: The slices that are not released, sorted.
    """

    contents: Mapping[str, str]
    withheld: tuple[Withheld, ...] = ()

    @property
    def passed(self) -> list[str]:
        """The slices to release, sorted."""
        return sorted(set(self.contents).difference(withheld.slice for withheld in self.withheld))


class Verdicts:
    """
    The verdicts of one lake.

    :param lake: The lake.
    """

    def __init__(self, lake: Lake, tables: TableStore) -> None:
        self._documents = lake.documents("verdicts")
        self._tables = tables

    def checked_rows(self, run: Run, table: str) -> CheckedRows:
        """Return the rows that a task of checks reads in its run."""
        contents = self._contents(table)
        name = _rows_of(run.slice.id, contents)
        verdicts = self.of_task(run.pipeline, run.task_id, table)
        rejected = (key for key, verdict in verdicts.items() if _rejects(verdict, contents.get(key)))
        return CheckedRows(name, contents.get(name, ""), frozenset(rejected))

    def record(self, run: Run, table: str, slice_id: str, verdict: Verdict) -> None:
        """Store the verdict of a task of checks. It replaces the earlier one for this slice."""

        def recorded(old: Document | None) -> Document:
            document = old or _new(run.task, self._contents(table))
            return {**document, "slices": {**document["slices"], slice_id: asdict(verdict)}}

        change(self._documents, _key(run.pipeline, run.task_id, table), recorded)

    def of_task(self, pipeline: str, task: str, table: str) -> dict[str, Verdict]:
        """Return slice -> the last verdict of a task of checks."""
        read = self._documents.read(_key(pipeline, task, table))
        return {} if read is None else _verdicts(read[0])

    def pipelines(self, table: str) -> list[str]:
        """Return the pipelines that have checked a table."""
        rest = [key.removeprefix(f"{table}/").split("/") for key in self._documents.below(table)]
        return sorted({parts[0] for parts in rest if len(parts) == 2})

    def tasks(self, pipeline: str, table: str) -> Collection[str]:
        """Return the tasks of a pipeline that have checked a table."""
        return self._read(pipeline, table).keys()

    def passed_rows(
        self,
        pipeline: str,
        table: str,
        checkers: Checkers,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        accept_earlier: bool = False,
    ) -> tuple[Scan, Judgement]:
        """
        Return the rows of the slices that passed, and the judgement of the version of the table that they are from.

        :param columns: Only these columns.
        :param where: SQL condition that selects rows.
        :param accept_earlier: See `judge`.
        :raises Interrupted: the table changed each time it was read.
        """
        for _ in range(_ATTEMPTS):
            judgement = self.judge(pipeline, table, checkers, accept_earlier=accept_earlier)
            slices = judgement.passed if judgement.withheld else None
            rows = self._tables.scan(table, slices=slices, columns=columns, where=where)
            if self.judge(pipeline, table, checkers, accept_earlier=accept_earlier) == judgement:
                # Rows that belong to all slices are read with any slices, also with none.
                return rows if slices is None or slices else replace(rows, files=()), judgement
        raise Interrupted(f"table `{table}` changed each time it was read", hint="run the task again")

    def judge(self, pipeline: str, table: str, checkers: Checkers, *, accept_earlier: bool = False) -> Judgement:
        """
        Return the slices of a table, and those of them that did not pass every check.

        :param accept_earlier: True if rows from before a task first checked the table count as passed as long as this
            is not decided.
        """
        contents = self._contents(table)
        documents = self._read(pipeline, table, accept_earlier=accept_earlier)
        tasks = {*checkers.tasks, *({*checkers.possible} & documents.keys())}
        if accept_earlier:
            tasks &= documents.keys()
        withheld: dict[str, list[str]] = {}
        for task in sorted(tasks):
            for slice_id, content in contents.items():
                if not content:
                    continue  # an older airflow-wall wrote the rows, without a digest
                verdicts = [document[slice_id] for document in documents.get(task, ()) if slice_id in document]
                reason = _reason(task, verdicts, content)
                if reason is not None:
                    withheld.setdefault(slice_id, []).append(reason)
        return Judgement(
            contents, tuple(Withheld(table, name, "; ".join(reasons)) for name, reasons in sorted(withheld.items()))
        )

    def decide_earlier(self, run: Run, table: str, tasks: Collection[str], *, accept: bool) -> None:
        """
        Decide whether rows from before a task first checked the table count as passed. It is decided once per task.

        :param tasks: Tasks that check the table.
        :param accept: True if clients see a release of the table, so they have seen these rows. Rows that any check of
            the pipeline rejected are never accepted, nor are those of this run.
        """
        undecided = [task for task in tasks if not self._is_decided(run.pipeline, task, table)]
        if not undecided:
            return
        contents = self._contents(table)
        own = _rows_of(run.slice.id, contents)
        documents = self._read(run.pipeline, table)
        verdicts = [document for of_task in documents.values() for document in of_task]
        rejected = {
            slice_id
            for slice_id, content in contents.items()
            if any(_rejects(document.get(slice_id), content) for document in verdicts)
        }
        left_out = {own, *rejected} if accept else set(contents)
        for task in undecided:
            decided = functools.partial(_decided, task, contents, left_out)
            change(self._documents, _key(run.pipeline, task, table), decided)

    def _is_decided(self, pipeline: str, task: str, table: str) -> bool:
        read = self._documents.read(_key(pipeline, task, table))
        return read is not None and read[0][_EARLIER] is None

    def _contents(self, table: str) -> dict[str, str]:
        return self._tables.contents(table).by_slice()

    def _read(self, pipeline: str, table: str, *, accept_earlier: bool = False) -> dict[str, list[dict[str, Verdict]]]:
        """Return task -> its documents about a table: one, or one for each instance of a mapped task."""
        documents: dict[str, list[dict[str, Verdict]]] = {}
        for key in self._documents.below(f"{table}/{safe_name(pipeline)}"):
            read = self._documents.read(key)
            if read is not None:
                earlier = _passed(read[0][_EARLIER] or {}) if accept_earlier else {}
                documents.setdefault(read[0]["task"], []).append({**earlier, **_verdicts(read[0])})
        return documents


def _rows_of(slice_id: str, contents: Mapping[str, str]) -> str:
    """Return the name of the rows that a run of a slice checks."""
    return ALL if slice_id not in contents and ALL in contents else slice_id


def _decided(task: str, contents: Mapping[str, str], left_out: Collection[str], old: Document | None) -> Document:
    document = old or _new(task, contents)
    earlier: Mapping[str, str] = document[_EARLIER] or {}
    kept = {slice_id: content for slice_id, content in earlier.items() if slice_id not in left_out}
    accepted = {slice_id: asdict(verdict) for slice_id, verdict in _passed(kept).items()}
    return {**document, "slices": {**accepted, **document["slices"]}, _EARLIER: None}


def _passed(contents: Mapping[str, str]) -> dict[str, Verdict]:
    return {slice_id: Verdict(content) for slice_id, content in contents.items()}


def _new(task: str, contents: Mapping[str, str]) -> Document:
    return {"task": task, "slices": {}, _EARLIER: dict(contents)}


def _verdicts(document: Document) -> dict[str, Verdict]:
    return {slice_id: Verdict.of(values) for slice_id, values in document["slices"].items()}


def _rejects(verdict: Verdict | None, content: str | None) -> bool:
    return verdict is not None and not verdict.passed and _is_current(verdict, content)


def _is_current(verdict: Verdict, content: str | None) -> bool:
    return verdict.content == content


def _reason(task: str, verdicts: Sequence[Verdict], content: str) -> str | None:
    current = [verdict for verdict in verdicts if _is_current(verdict, content)]
    failed = next((verdict.failed for verdict in current if not verdict.passed), None)
    if failed is not None:
        return f"`{task}` failed: {', '.join(failed)}"
    if current:
        return None
    return f"its rows have changed since `{task}` checked it" if verdicts else f"`{task}` has not checked it"


def _key(pipeline: str, task_id: str, table: str) -> str:
    return f"{table}/{safe_name(pipeline)}/{safe_name(task_id)}.json"

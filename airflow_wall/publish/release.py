"""
Releases: the rows of several tasks in several targets become visible at once.

A release is opened, its parts are staged invisibly to readers, and closing it moves the pointers: first of targets that
can be reverted (databases and directories, each in one step), then webhooks are sent, and `current.json` changes last.
Once its document has the status "committing", a release goes forward: if a process is killed then, the next `open` or
`close` finishes it. Before that, nothing is visible. If a target fails during the commit, every pointer is reverted and
the release stays open with all its staged rows, so `close` can be called again.

Stale calls change nothing: an older try is refused by its fence, an older slice by its order.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_wall.connections.info import Connections
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.errors import Interrupted, ReleaseError
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.backends import OpenTargets, parse_target
from airflow_wall.publish.base import ReleaseSite, RowEraser, StagedRows, TargetWriter
from airflow_wall.publish.commit import commit, complete, finish, sweep
from airflow_wall.publish.ledger import (
    CLOSING,
    COMMITTED,
    COMMITTING,
    FOLDER,
    KEEP,
    OPEN,
    ROLLED_BACK,
    Release,
    ReleaseLedger,
    ReleasePart,
    check_word,
    history_of,
    is_older,
    is_older_fence,
    is_overtaken,
)
from airflow_wall.publish.rollback import choose, roll_back
from airflow_wall.publish.rows import MeasuredRows, RowStream, check_key
from airflow_wall.publish.targets.base import Target

log = logging.getLogger(__name__)

LEAST_KEPT = 2
"""Least number of releases whose rows are kept."""

PATIENCE_SECONDS = 60.0
"""Seconds that a try waits for another try that still stages the same part."""


class Releases:
    """
    The releases of one lake.

    :param lake: The lake, which also holds the targets `files://`.
    :param project: Base directory of relative paths in connections.
    :param connections: Returns an Airflow connection by id.
    :param patience: Seconds to wait for another process that stages the same part.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        project: Path,
        connections: Connections,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._lake = lake
        self._project = project
        self._connections = connections
        self._patience = patience

    def open(
        self,
        name: str,
        release_id: str,
        *,
        order: str,
        fence: int | str,
        force: bool = False,
        keep: int = KEEP,
    ) -> dict[str, Any]:
        """
        Open a release, or adopt the one that an earlier try opened.

        A committed or rolled back release is opened again, e.g. for a cleared run. Clients see no change until
        it commits.

        :param order: ISO 8601 time of the slice. A release for an older slice than that of the visible release is
            refused if another one is committed before it.
        :param fence: Try number, which orders the tries that open this release; an older one is refused.
        :param force: With an `order` older than that of the visible release: accept parts that select other rows.
        :param keep: Number of releases whose rows are kept after its commit, with itself; at least 2, because readers
            of files may still read the last one.
        :return: `name`, `release`, `version`, `order`, `fence`, `adopted`, and `current`: the visible release.
        :raises ReleaseError: the order or the fence is too old, or a person rolled the release back.
        """
        ledger, site = self._ledger_and_site(name, release_id)
        is_older(order, order)  # raises if `order` is not a time
        if keep < LEAST_KEPT:
            raise ReleaseError(f"`keep` must be at least {LEAST_KEPT}, got {keep}", hint=f"write `keep: {KEEP}`")
        with ledger.turn():
            finish(ledger, site)
            _refuse_rolled_back(ledger, release_id)
            with ledger.documents():
                current = ledger.current()
                base = None if current is None else current["version"]
                requested = Release(release_id, order, fence, force=force, base=base, keep=keep)
                existing = ledger.read(release_id)
                if existing is not None and is_older_fence(fence, existing.fence):
                    raise _stale_try_error(name, release_id, fence, existing.fence)
                release = _adopt(existing, requested)
                ledger.write(release)
            sweep(ledger, site, thorough=False)
        adopted = existing is not None and existing.generation == release.generation
        log.info("release `%s` of `%s` is open%s", release.version, name, " (adopted)" if adopted else "")
        return {
            "name": name,
            "release": release_id,
            "version": release.version,
            "order": order,
            "fence": fence,
            "adopted": adopted,
            "current": None if current is None else current["release"],
        }

    def stage(
        self,
        name: str,
        release_id: str,
        *,
        part: str,
        to: Target,
        data: RowStream,
        key: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        comments: Mapping[str | None, str] | None = None,
        selection: str | None = None,
        withheld: Sequence[Mapping[str, str]] = (),
        fence: int | str | None = None,
        attempt: int = 0,
    ) -> dict[str, Any]:
        """
        Store the rows of one part, invisible to readers. Repeated, it leaves only the rows of one try.

        :param part: Name of the part, e.g. the task: letters, digits, `.`, `_`, `-`.
        :param to: The target.
        :param data: Any number of rows. They are read several times, never all at once.
        :param key: Columns that identify a row; checked. Some targets need them.
        :param options: Keys that only this target accepts: `format` of `files://`.
        :param comments: Column -> its meaning, for people; None -> the meaning of the table.
        :param selection: The SQL condition that selected the rows.
        :param withheld: `table`, `slice` and `reason` of each slice that is left out, for the record.
        :param fence: The fence passed to `open`, if known; a try of an earlier opening is refused.
        :param attempt: Try number of the staging task; once a later try has started, an earlier one is refused.
        :return: `rows`, `to`, `part`.
        :raises ReleaseError: the release is not open, or this try is too old.
        :raises DataError: the rows do not fit the target, or `key` is not unique.
        :raises ConnectionFault: the target does not answer.
        """
        ledger, site = self._ledger_and_site(name, release_id)
        check_word("part", part)
        columns = (key,) if isinstance(key, str) else tuple(key)
        check_key(data, columns)
        measured = MeasuredRows(data)
        with ledger.part(part), OpenTargets(site) as targets:
            writer = targets.open(to)
            with ledger.documents():
                release = _release_to_stage(ledger, release_id, fence)
                before = release.parts.get(part)
                if release.status != COMMITTED:
                    if before is not None and attempt < before.attempt:
                        raise _stale_part_error(name, release_id, part, attempt, before.attempt)
                    _check_selection(ledger, release, part, selection)
                    left_out = [dict(item) for item in withheld]
                    release.parts[part] = ReleasePart(to, attempt, selection=selection, withheld=left_out)
                    ledger.write(release)
            if release.status == COMMITTED:
                return _repeated_result(name, release, part, to, measured.result()[1])
            if before is not None and before.to != to:
                targets.open(before.to).discard(release.version, part)
            writer.stage(release.version, part, StagedRows(measured.stream, columns, options or {}, comments or {}))
            rows, mark = measured.result()
            _record(ledger, release, part, rows, mark, writer)
        log.info("staged %d rows for `%s` as part `%s` of release `%s`", rows, to, part, release.version)
        return {"rows": rows, "to": to.text, "part": part}

    def close(
        self, name: str, release_id: str, *, expected: Sequence[str], fence: int | str | None = None
    ) -> dict[str, Any]:
        """
        Show the release to clients if every expected part is staged, else roll it back. Repeated, it returns the same.

        :param expected: Parts that the release must have. Other staged parts are dropped.
        :param fence: The fence passed to `open`, if known; a try of an earlier opening is refused.
        :return: `release`, `version`, `order`, `rows` (of all targets together), `targets` (rows by `to`), `parts`, and
            `previous` (the release that clients saw before, or None).
        :raises ReleaseError: parts are missing, a count is wrong, a newer release was committed meanwhile, or a
            receiver refused. Clients still see the same release as before.
        :raises ConnectionFault, Interrupted: a target does not answer; the release is still open.
        """
        ledger, site = self._ledger_and_site(name, release_id)
        with ledger.turn():
            finish(ledger, site, but=release_id)
            with ledger.documents():
                release = _release_to_close(ledger, release_id, fence)
            try:
                if release.status != COMMITTED:
                    with OpenTargets(site) as targets:
                        resumed = release.status == COMMITTING
                        if not resumed:
                            release = complete(ledger, release_id, expected, targets)
                        commit(ledger, release, targets, resumed=resumed)
            finally:
                sweep(ledger, site, thorough=True)
            return _result(ledger, release)

    def current(self, name: str) -> dict[str, Any] | None:
        """
        Return the visible release, or None if there is none.

        :return: `release`, `version`, `order`, `rows`, `targets`, `parts`, and `previous`: the same of the release
        before, whose rows are kept.
        """
        return self._ledger_and_site(name)[0].current()

    def names(self) -> list[str]:
        """Return the sorted names of the releases of the lake."""
        keys = (key.split("/") for key in self._lake.documents(FOLDER).below())
        return sorted({parts[0] for parts in keys if len(parts) == 2})

    def history(self, name: str) -> list[dict[str, Any]]:
        """
        Return the releases of a name, the newest first: those being prepared, and those whose rows are kept.

        :return: The values of `Release.summary`, `status` (`visible`, `kept`, `rolled back`, `open`, ...), `at` (the
            time of the commit, or None), `reason` (of the rollback, or None), and `withheld` (slices left out, each
            with table, slice and reason).
        :raises ReleaseError: the lake has no release of this name.
        """
        ledger, _ = self._existing(name)
        current = ledger.current()
        kept = history_of(current)
        opened = [release for release in ledger.all() if release.status in (OPEN, CLOSING, COMMITTING)]
        opened.sort(key=lambda release: release.order, reverse=True)
        entries = [{**release.summary(), "status": release.status} for release in opened]
        for entry in kept:
            status = "visible" if entry["version"] == (current or {})["version"] else "kept"
            entries.append({**entry, "status": ROLLED_BACK if "rolled_back" in entry else status})
        return [_listed_release(entry) for entry in entries]

    def restore(self, name: str, version: str | None = None, *, reason: str, resend: bool = False) -> dict[str, Any]:
        """
        Show an earlier release again, in every target. If it is killed, the next `open`, `close` or `restore` goes on.

        The releases that were committed after it are rolled back: they are not committed again before `allow`.

        :param version: One of the kept releases; None for the one before the visible one.
        :param resend: Send the old rows as a new release to targets that cannot take rows back, such as webhooks.
        :return: `release` (the version that clients see), `before` (the one that they saw), `rolled_back` (versions),
            `resent` (targets that got rows again).
        :raises ReleaseError: the release is not kept, or a target cannot be reverted. Clients see no change.
        """
        ledger, site = self._existing(name)
        chosen, before = choose(ledger, version), (ledger.current() or {})["version"]
        with ledger.turn():
            finish(ledger, site)
            visible, resent = (ledger.current() or {})["version"], []
            if visible != chosen:
                if visible != before and version is None:
                    raise Interrupted(
                        f"clients see release `{visible}` of `{name}` now, and not `{before}`: it changed meanwhile",
                        hint=f"look at `airflow-wall releases {name}`, and name the release to show",
                    )
                with OpenTargets(site) as targets:
                    resent = roll_back(ledger, targets, choose(ledger, chosen), reason, resend=resend)
                sweep(ledger, site, thorough=True)
            entries = history_of(ledger.current())
            rolled_back = [entry["version"] for entry in entries if "rolled_back" in entry]
            return {
                "name": name,
                "release": chosen,
                "before": before,
                "rolled_back": rolled_back,
                "resent": resent,
            }

    def erase(self, name: str, column: str, values: Collection[str]) -> dict[str, int | None]:
        """
        Erase the rows of all versions in which a column has one of these values. Repeated, it completes.

        :param values: The values as text.
        :return: Target -> number of erased rows; None for a target that cannot erase.
        """
        ledger, site = self._existing(name)
        erased: dict[str, int | None] = {}
        with ledger.turn(), OpenTargets(site) as targets:
            finish(ledger, site)
            texts = {to for entry in history_of(ledger.current()) for to in entry["targets"]}
            texts |= {target.text for release in ledger.all() for target in release.targets}
            for text in sorted(texts):
                writer = targets.open(parse_target(text))
                erased[text] = writer.erase(column, values) if isinstance(writer, RowEraser) else None
            ledger.recount(lambda target, version: targets.open(target).count(version))
        return erased

    def allow(self, name: str, release_id: str) -> None:
        """
        Let a release that was rolled back be committed again, by its run.

        :raises ReleaseError: it was not rolled back.
        """
        ledger, site = self._existing(name)
        with ledger.turn():
            finish(ledger, site)
            if ledger.rolled_back(release_id) is None:
                raise ReleaseError(
                    f"release `{release_id}` of `{name}` was not rolled back",
                    hint=f"look at `airflow-wall releases {name}`",
                )
            ledger.allow(release_id)

    def rollback(self, name: str, release_id: str) -> dict[str, Any]:
        """
        Delete everything that an open release has staged. Clients see no change. Repeated, it changes nothing.

        :return: `release`, and `current`: the release that clients see.
        :raises ReleaseError: the release is committed.
        """
        ledger, site = self._ledger_and_site(name, release_id)
        with ledger.turn():
            finish(ledger, site)
            release = ledger.read(release_id)
            if release is not None and release.status == COMMITTED:
                raise ReleaseError(
                    f"release `{release_id}` of `{name}` is committed, so it cannot be rolled back",
                    hint="publish a newer release",
                )
            if release is not None:
                ledger.mark(release_id, ROLLED_BACK)
                sweep(ledger, site, thorough=True)
            return {"release": release_id, "current": ledger.visible}

    def _existing(self, name: str) -> tuple[ReleaseLedger, ReleaseSite]:
        names = self.names()
        if name not in names:
            hint = suggestion(name, names, what="releases") if names else "a run that publishes makes the first one"
            raise ReleaseError(f"the lake has no release `{name}`", hint=hint)
        return self._ledger_and_site(name)

    def _ledger_and_site(self, name: str, release_id: str = "x") -> tuple[ReleaseLedger, ReleaseSite]:
        check_word("release", name)
        check_word("release", release_id, reserved=("current",))
        site = ReleaseSite(name, self._lake, self._project, self._connections)
        return ReleaseLedger(self._lake, name, patience=self._patience), site


def _listed_release(entry: Mapping[str, Any]) -> dict[str, Any]:
    withheld = {
        (item["table"], item["slice"]): dict(item)
        for part in entry["parts"].values()
        for item in part.get("withheld", ())
    }
    names = ("release", "version", "status", "order", "rows", "targets", "parts")
    return {
        **{name: entry[name] for name in names},
        "at": entry.get("at"),
        "reason": entry.get("rolled_back", {}).get("reason"),
        "withheld": [item for _, item in sorted(withheld.items())],
    }


def _refuse_rolled_back(ledger: ReleaseLedger, release_id: str) -> None:
    record = ledger.rolled_back(release_id)
    if record is not None:
        raise ReleaseError(
            f"release `{release_id}` of `{ledger.name}` was rolled back at {record['at']}: {record['reason']}; "
            f"{ledger.still_visible}",
            hint="correct the rows, then let it be published again: "
            f"`airflow-wall releases allow {ledger.name} {release_id}`",
        )


def _check_selection(ledger: ReleaseLedger, release: Release, part: str, selection: str | None) -> None:
    """
    Check that a part of a release for an older slice selects the same rows as in the release that clients see.

    :raises ReleaseError: it does not, e.g. because its condition names the date of the run, and `force` is False.
    """
    current = ledger.current()
    if current is None or release.force or not is_older(release.order, current["order"]):
        return
    known = current["parts"].get(part)
    before = None if known is None else known.get("selection")
    if known is not None and before != selection:
        raise ReleaseError(
            f"release `{release.release}` of `{ledger.name}` ({release.order}) would show other rows than "
            f"`{current['release']}` ({current['order']}), which clients see: part `{part}` selects "
            f"`{selection or 'all rows'}` instead of `{before or 'all rows'}`",
            hint="set `force: true` to show them anyway",
        )


def _adopt(existing: Release | None, requested: Release) -> Release:
    if existing is None:
        return requested
    if existing.status in (COMMITTED, ROLLED_BACK):
        requested.generation = existing.generation + 1
        return requested
    for name in ("order", "fence", "force", "base", "keep"):
        setattr(existing, name, getattr(requested, name))
    return existing


def _release_to_stage(ledger: ReleaseLedger, release_id: str, fence: int | str | None) -> Release:
    release = _read_opened(ledger, release_id, fence)
    current = ledger.current()
    if release.status == COMMITTED or (release.status == OPEN and not is_overtaken(release, current)):
        return release
    if is_overtaken(release, current):
        why = f"older than `{ledger.visible}`, which clients see"
    else:
        why = "rolled back" if release.status == ROLLED_BACK else "being closed"
    raise ReleaseError(
        f"release `{release_id}` of `{ledger.name}` takes no more rows: it is {why}",
        hint="clear the run from `start_sender` on",
    )


def _repeated_result(name: str, release: Release, part: str, to: Target, mark: str) -> dict[str, Any]:
    """Return the result of a repeated try of a committed part. Other rows need another opening."""
    staged = release.parts.get(part)
    if staged is None or (staged.to, staged.digest) != (to, mark):
        raise ReleaseError(
            f"release `{release.release}` of `{name}` is committed, and part `{part}` now has other rows",
            hint="clear the run from `start_sender` on",
        )
    return {"rows": staged.rows, "to": to.text, "part": part}


def _record(ledger: ReleaseLedger, begun: Release, part: str, rows: int, mark: str, writer: TargetWriter) -> None:
    """Record that the part is complete. `begun` is the release at the start of staging."""
    with ledger.documents():
        release = ledger.read(begun.release)
        if release is not None and release.version == begun.version and release.status in (OPEN, CLOSING):
            release.parts[part].rows = rows
            release.parts[part].digest = mark
            ledger.write(release)
            return
    writer.discard(begun.version, part)
    raise ReleaseError(
        f"release `{begun.release}` of `{ledger.name}` was rolled back while part `{part}` was staged",
        hint="clear the run from `start_sender` on",
    )


def _release_to_close(ledger: ReleaseLedger, release_id: str, fence: int | str | None) -> Release:
    """Return the release with the status `closing`, which refuses new tries of staging. Running ones may finish."""
    release = _read_opened(ledger, release_id, fence)
    if release.status == ROLLED_BACK:
        raise ReleaseError(
            f"release `{release_id}` of `{ledger.name}` is rolled back; {ledger.still_visible}",
            hint="clear the run from `start_sender` on",
        )
    if release.status == OPEN:
        release.status = CLOSING
        ledger.write(release)
    return release


def _read_opened(ledger: ReleaseLedger, release_id: str, fence: int | str | None) -> Release:
    release = ledger.read(release_id)
    if release is None:
        raise ReleaseError(
            f"release `{release_id}` of `{ledger.name}` is not open; {ledger.still_visible}",
            hint="open it first: clear the run from `start_sender` on",
        )
    if fence is not None and is_older_fence(fence, release.fence):
        raise _stale_try_error(ledger.name, release_id, fence, release.fence)
    _refuse_rolled_back(ledger, release_id)
    return release


def _result(ledger: ReleaseLedger, release: Release) -> dict[str, Any]:
    current = ledger.current()
    previous = current["previous"] if current is not None and current["version"] == release.version else None
    return {**release.summary(), "previous": None if previous is None else previous["release"]}


def _stale_try_error(name: str, release_id: str, fence: int | str, latest: int | str) -> ReleaseError:
    return ReleaseError(
        f"release `{release_id}` of `{name}`: try {fence} is refused, because the later try {latest} has opened it",
        hint="nothing to do: the later try replaces this one",
    )


def _stale_part_error(name: str, release_id: str, part: str, attempt: int, latest: int) -> ReleaseError:
    return ReleaseError(
        f"part `{part}` of release `{release_id}` of `{name}`: try {attempt} is refused, "
        f"because the later try {latest} has started",
        hint="nothing to do: the later try replaces this one",
    )

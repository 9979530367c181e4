"""
Releases: several targets, filled by several tasks, become visible as one.

A release is opened, its parts are staged where no reader looks, and closing it moves the pointers: first of all that
can be taken back (databases and folders, each in one step of its own), then webhooks are sent, and `current.json`
flips last. From the moment its document says "committing" a release goes forward: whoever is killed there, the next
`open` or `close` finishes it. Before that moment nothing is visible. If a target fails while committing, every pointer
is put back and the release stays open with all it has staged, so `close` can be called again.

Who comes late changes nothing: an older try is refused by its fence, an older slice by its order.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from airflow_wall.connections import Connections
from airflow_wall.digests import digest_of
from airflow_wall.errors import ReleaseError
from airflow_wall.publish.address import check_word
from airflow_wall.publish.backends import Targets
from airflow_wall.publish.base import Rows, Site, Target
from airflow_wall.publish.commit import commit, complete, finish, sweep
from airflow_wall.publish.ledger import (
    CLOSING,
    COMMITTED,
    COMMITTING,
    OPEN,
    ROLLED_BACK,
    Ledger,
    Part,
    Release,
    is_older,
    is_older_fence,
    overtaken,
)
from airflow_wall.publish.rows import check_key

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""How long a try waits for another try that still stages the same part."""


class Releases:
    """
    The releases of one lake.

    :param state: Folder of our own state (`Run.state`).
    :param storage: The lake; `files://` targets lie in `<storage>/published`.
    :param project: Folder that relative paths of connections are under.
    :param connections: Gives an Airflow connection by id.
    :param patience: Seconds to wait for another process that stages the same part.
    """

    def __init__(
        self,
        state: Path,
        *,
        storage: Path,
        project: Path,
        connections: Connections,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._folder = state / "releases"
        self._storage = storage
        self._project = project
        self._connections = connections
        self._patience = patience

    def open(self, name: str, release_id: str, *, order: str, fence: int | str, force: bool = False) -> dict[str, Any]:
        """
        Open a release, or adopt the one that an earlier try opened.

        One that is committed or rolled back is opened anew (a cleared run): clients see what they saw until it commits.

        :param order: ISO 8601 time; a release older than the one clients see is refused.
        :param fence: Orders the tries that open this release (the try number); an older one is refused.
        :param force: Accept an `order` older than that of the release clients see now.
        :return: `name`, `release`, `version`, `order`, `fence`, `adopted`, and `current`: the release clients see.
        :raises ReleaseError: the order or the fence is too old.
        """
        ledger, site = self._of(name, release_id)
        is_older(order, order)  # refuses what is no time
        with ledger.turn():
            finish(ledger, site)
            with ledger.documents():
                current = ledger.current()
                base = None if current is None else current["version"]
                wanted = Release(release_id, order, fence, force=force, base=base)
                _refuse_older_slice(name, wanted, current)
                found = ledger.read(release_id)
                if found is not None and is_older_fence(fence, found.fence):
                    raise _late(name, release_id, fence, found.fence)
                release = _adopt(found, wanted)
                ledger.write(release)
            sweep(ledger, site, thorough=False)
        adopted = found is not None and found.generation == release.generation
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
        to: str,
        data: pa.Table,
        key: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        fence: int | str | None = None,
        attempt: int = 0,
    ) -> dict[str, Any]:
        """
        Lay the rows of one part where no reader looks. Repeated, it leaves the rows of one try.

        :param part: Names what is staged, e.g. the task: letters, digits, `.`, `_`, `-`.
        :param to: `sql://CONN/TABLE`, `search://CONN/INDEX`, `files://NAME` or `webhook://CONN`.
        :param data: Any number of rows.
        :param key: Columns that tell rows apart; checked. `search://` needs them.
        :param options: Keys that only this backend knows: `format` of `files://`.
        :param fence: The fence that `open` was given, if known: a try of an earlier opening is refused.
        :param attempt: Try of the staging task: after a later one has begun, an earlier one is refused.
        :return: `rows`, `to`, `part`.
        :raises ReleaseError: the release is not open, or this try is too old, or `to` is not understood.
        :raises DataError: the rows do not fit the target, or `key` does not tell them apart.
        :raises ConnectionFault: the target does not answer.
        """
        ledger, site = self._of(name, release_id)
        check_word("part", part)
        columns = (key,) if isinstance(key, str) else tuple(key)
        check_key(data, columns)
        mark = digest_of(data)
        with ledger.part(part), Targets(site) as targets:
            target = targets.open(to)
            with ledger.documents():
                release = _to_stage(ledger, release_id, fence)
                before = release.parts.get(part)
                if release.status == COMMITTED:
                    return _staged_before(name, release, part, to, mark)
                if before is not None and attempt < before.attempt:
                    raise _late_part(name, release_id, part, attempt, before.attempt)
                release.parts[part] = Part(to, attempt)
                ledger.write(release)
            if before is not None and before.to != to:
                targets.open(before.to).discard(release.version, part)
            target.stage(release.version, part, Rows(data, columns, options or {}))
            _record(ledger, release, part, data.num_rows, mark, target)
        log.info("%d rows staged for `%s` as part `%s` of release `%s`", data.num_rows, to, part, release.version)
        return {"rows": data.num_rows, "to": to, "part": part}

    def close(
        self, name: str, release_id: str, *, expected: Sequence[str], fence: int | str | None = None
    ) -> dict[str, Any]:
        """
        Show the release to clients if every expected part is staged, else roll it back. Repeated, it tells the same.

        :param expected: Parts that make the release whole. Others that are staged are dropped.
        :param fence: The fence that `open` was given, if known: a try of an earlier opening is refused.
        :return: `release`, `version`, `order`, `rows` (of all targets together), `targets` (rows by `to`), `parts`, and
            `previous` (the release clients saw before, or None).
        :raises ReleaseError: parts are missing, a count is wrong, a newer release was committed meanwhile, or a
            receiver refused; clients still see what they saw before.
        :raises ConnectionFault, Interrupted: a target does not answer; the release is still open.
        """
        ledger, site = self._of(name, release_id)
        with ledger.turn():
            finish(ledger, site, but=release_id)
            with ledger.documents():
                release = _to_close(ledger, release_id, fence)
            try:
                if release.status != COMMITTED:
                    with Targets(site) as targets:
                        resumed = release.status == COMMITTING
                        if not resumed:
                            release = complete(ledger, release_id, expected, targets)
                        commit(ledger, release, targets, resumed=resumed)
            finally:
                sweep(ledger, site, thorough=True)
            return _result(ledger, release)

    def current(self, name: str) -> dict[str, Any] | None:
        """
        Return what clients see: `release`, `version`, `order`, `rows`, `targets`, `parts`, `previous`; None if nothing.

        `previous` is the same of the release before, which is kept.
        """
        return self._of(name)[0].current()

    def rollback(self, name: str, release_id: str) -> dict[str, Any]:
        """
        Drop all that an open release has staged. Clients see what they saw. Repeated, it changes nothing.

        :return: `release`, and `current`: the release that clients see.
        :raises ReleaseError: it is committed.
        """
        ledger, site = self._of(name, release_id)
        with ledger.turn():
            finish(ledger, site)
            release = ledger.read(release_id)
            if release is not None and release.status == COMMITTED:
                raise ReleaseError(
                    f"release `{release_id}` of `{name}` is committed, so it cannot be rolled back",
                    hint="publish a newer one",
                )
            if release is not None:
                ledger.mark(release_id, ROLLED_BACK)
                sweep(ledger, site, thorough=True)
            return {"release": release_id, "current": ledger.visible}

    def _of(self, name: str, release_id: str = "x") -> tuple[Ledger, Site]:
        check_word("release", name)
        check_word("release", release_id, reserved=("current",))
        folder = self._folder / name
        site = Site(name, folder, self._storage, self._project, self._connections)
        return Ledger(folder, patience=self._patience), site


def _refuse_older_slice(name: str, release: Release, current: Mapping[str, Any] | None) -> None:
    if overtaken(release, current):
        assert current is not None
        raise ReleaseError(
            f"release `{release.release}` of `{name}` ({release.order}) is older than `{current['release']}` "
            f"({current['order']}), which clients see",
            hint="publish it nevertheless with `force: true`",
        )


def _adopt(found: Release | None, wanted: Release) -> Release:
    if found is None:
        return wanted
    if found.status in (COMMITTED, ROLLED_BACK):
        wanted.generation = found.generation + 1
        return wanted
    found.order, found.fence, found.force, found.base = wanted.order, wanted.fence, wanted.force, wanted.base
    return found


def _to_stage(ledger: Ledger, release_id: str, fence: int | str | None) -> Release:
    release = _known(ledger, release_id, fence)
    current = ledger.current()
    if release.status == COMMITTED or (release.status == OPEN and not overtaken(release, current)):
        return release
    if overtaken(release, current):
        why = f"older than `{ledger.visible}`, which clients see"
    else:
        why = "rolled back" if release.status == ROLLED_BACK else "being closed"
    raise ReleaseError(
        f"release `{release_id}` of `{ledger.name}` takes no more rows: it is {why}",
        hint="clear the run from `start_sender` on",
    )


def _staged_before(name: str, release: Release, part: str, to: str, mark: str) -> dict[str, Any]:
    """Answer a repeated try of a committed part; other rows would need another opening."""
    there = release.parts.get(part)
    if there is None or (there.to, there.digest) != (to, mark):
        raise ReleaseError(
            f"release `{release.release}` of `{name}` is committed, and part `{part}` brings other rows",
            hint="clear the run from `start_sender` on",
        )
    return {"rows": there.rows, "to": to, "part": part}


def _record(ledger: Ledger, begun: Release, part: str, rows: int, mark: str, target: Target) -> None:
    """Write down that the part is whole; `begun` is the release as it was when staging began."""
    with ledger.documents():
        release = ledger.read(begun.release)
        if release is not None and release.version == begun.version and release.status in (OPEN, CLOSING):
            release.parts[part].rows = rows
            release.parts[part].digest = mark
            ledger.write(release)
            return
    target.discard(begun.version, part)
    raise ReleaseError(
        f"release `{begun.release}` of `{ledger.name}` was rolled back while part `{part}` was staged",
        hint="clear the run from `start_sender` on",
    )


def _to_close(ledger: Ledger, release_id: str, fence: int | str | None) -> Release:
    """Bar new tries of staging. Those that are under way may finish."""
    release = _known(ledger, release_id, fence)
    if release.status == ROLLED_BACK:
        raise ReleaseError(
            f"release `{release_id}` of `{ledger.name}` is rolled back; {ledger.still}",
            hint="clear the run from `start_sender` on",
        )
    if release.status == OPEN:
        release.status = CLOSING
        ledger.write(release)
    return release


def _known(ledger: Ledger, release_id: str, fence: int | str | None) -> Release:
    release = ledger.read(release_id)
    if release is None:
        raise ReleaseError(
            f"release `{release_id}` of `{ledger.name}` is not open; {ledger.still}",
            hint="open it first: clear the run from `start_sender` on",
        )
    if fence is not None and is_older_fence(fence, release.fence):
        raise _late(ledger.name, release_id, fence, release.fence)
    return release


def _result(ledger: Ledger, release: Release) -> dict[str, Any]:
    current = ledger.current()
    previous = current["previous"] if current is not None and current["version"] == release.version else None
    return {**release.summary(), "previous": None if previous is None else previous["release"]}


def _late(name: str, release_id: str, fence: int | str, latest: int | str) -> ReleaseError:
    return ReleaseError(
        f"release `{release_id}` of `{name}`: try {fence} came after try {latest} had opened it, so it is refused",
        hint="leave it: the later try counts",
    )


def _late_part(name: str, release_id: str, part: str, attempt: int, latest: int) -> ReleaseError:
    return ReleaseError(
        f"part `{part}` of release `{release_id}` of `{name}`: try {attempt} came after try {latest} had begun, "
        "so it is refused",
        hint="leave it: the later try counts",
    )

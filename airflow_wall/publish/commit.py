"""Close a release or show an earlier one: move the pointers, restore them on failure, and delete old rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ReleaseError, WallError, first_line
from airflow_wall.publish.backends import OpenTargets, parse_target
from airflow_wall.publish.base import PointerStore, ReleaseSite
from airflow_wall.publish.ledger import (
    CLOSING,
    COMMITTED,
    COMMITTING,
    OPEN,
    ROLLED_BACK,
    Release,
    ReleaseLedger,
    history_of,
    is_overtaken,
)
from airflow_wall.publish.targets.base import Target

log = logging.getLogger(__name__)


def complete(ledger: ReleaseLedger, release_id: str, expected: Sequence[str], targets: OpenTargets) -> Release:
    """
    Return the release with exactly the expected parts, with its rows counted and its status `committing`.

    :raises ReleaseError: it is not complete, so it has been rolled back.
    """
    try:
        before = ledger.read(release_id)
        assert before is not None
        with ledger.all_parts({*expected, *before.parts}):
            release = ledger.read(release_id)
            assert release is not None
            problem = _problem(ledger, release, expected) or _miscount(ledger, release, expected, targets)
            if problem is None:
                release.before = {target: visible_version(targets, target) for target in release.targets}
                release.status = COMMITTING
                ledger.write(release)
                return release
    except BaseException:
        ledger.mark(release_id, OPEN)
        raise
    ledger.mark(release_id, ROLLED_BACK)
    raise problem


def commit(ledger: ReleaseLedger, release: Release, targets: OpenTargets, *, resumed: bool) -> None:
    """
    Move all pointers of a completed release, `current.json` last. Repeated after a kill, it resumes.

    :param resumed: True if an earlier try may have moved some pointers.
    :raises WallError: a target refused. Clients see the same release as before, and this one is open with all its
    staged rows.
    """
    assert release.before is not None
    what = f"release `{release.release}` of `{ledger.name}`"
    try:
        move(
            targets,
            dict.fromkeys(release.targets, release.version),
            release.before,
            resumed=resumed,
            what=what,
            hint="correct the connection, then clear only `stop_sender`: it resumes the commit",
        )
    except _Restored as restored:
        ledger.mark(release.release, OPEN)
        raise _with_suffix(restored.cause, ledger.still_visible) from restored.cause
    ledger.flip(release)
    ledger.mark(release.release, COMMITTED)
    log.info("clients see release `%s` of `%s`: %s", release.version, ledger.name, release.summary()["targets"])


def finish(ledger: ReleaseLedger, site: ReleaseSite, *, but: str | None = None) -> None:
    """Finish a rollback, and the releases except `but`, that a killed process left unfinished."""
    current = ledger.current()
    if current is not None and "pending" in current:
        log.warning("the rollback of `%s` to `%s` was left unfinished; resuming", ledger.name, current["pending"]["to"])
        try:
            with OpenTargets(site) as targets:
                carry_out(ledger, targets, resumed=True)
        except WallError as error:
            if "pending" in (ledger.current() or {}):  # partly visible: nothing else may be published
                raise
            log.warning("the rollback of `%s` was reverted: %s", ledger.name, first_line(error))
    for release in ledger.all():
        if release.release == but:
            continue
        if release.status == CLOSING:
            ledger.mark(release.release, OPEN)
        elif release.status == COMMITTING:
            log.warning("release `%s` of `%s` was left partly committed; resuming", release.version, ledger.name)
            try:
                with OpenTargets(site) as targets:
                    commit(ledger, release, targets, resumed=True)
            except WallError as error:
                after = ledger.read(release.release)
                if after is None or after.status != OPEN:  # partly visible: nothing else may be published
                    raise
                log.warning("release `%s` of `%s` was reverted: %s", release.version, ledger.name, first_line(error))


def carry_out(ledger: ReleaseLedger, targets: OpenTargets, *, resumed: bool) -> None:
    """
    Carry out the pending rollback: move the pointers, `current.json` last. Repeated after a kill, it resumes.

    :raises WallError: a target refused. Clients see the same release as before, and the rollback is given up.
    """
    current = ledger.current()
    assert current is not None
    pending = current["pending"]
    moves, before = (
        {parse_target(to): version for to, version in pending[name].items()} for name in ("moves", "before")
    )
    try:
        move(
            targets,
            moves,
            before,
            resumed=resumed,
            what=f"the rollback of `{ledger.name}` to `{pending['to']}`",
            hint="correct the connection, then roll back again: that resumes it",
        )
    except _Restored as restored:
        ledger.set_pending(None)
        raise _with_suffix(restored.cause, ledger.still_visible) from restored.cause
    for release in ledger.all():
        if release.release in pending["rolled_back"] and release.status in (OPEN, CLOSING):
            ledger.mark(release.release, ROLLED_BACK)
    history = pending["history"]
    entry = next(entry for entry in history if entry["version"] == pending["to"])
    ledger.show(entry, history, pending["rolled_back"])
    log.info("clients see release `%s` of `%s` again", pending["to"], ledger.name)


class _Restored(Exception):
    """A target refused, and every pointer is as before. `cause` is the error of the target."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def move(
    targets: OpenTargets,
    versions: Mapping[Target, str | None],
    before: Mapping[Target, str | None],
    *,
    resumed: bool,
    what: str,
    hint: str,
) -> None:
    """
    Move the pointer of each target to its version.

    :param before: The version that each target showed before.
    :param resumed: True if an earlier try may have moved some pointers.
    :param what: The operation, for the message.
    :param hint: The way to resume it.
    :raises _Restored: a target refused.
    :raises ReleaseError: a target refused, and others could not be restored, so that clients see parts of both.
    """
    moves = _moves(targets, versions)
    shown = [place for place, _ in moves] if resumed else []
    try:
        for place, pointers in moves:
            place.show(pointers)
            shown.append(place)
    except Exception as cause:
        try:
            for place, pointers in _moves(targets, before):
                if place.reversible and place in shown:
                    place.show(pointers)
        except Exception as error:
            raise ReleaseError(
                f"{what} is partly visible: {first_line(cause)}; and the targets that show it could not be reverted: "
                f"{first_line(error)}",
                hint=hint,
            ) from error
        raise _Restored(cause) from cause


def sweep(ledger: ReleaseLedger, site: ReleaseSite, *, thorough: bool) -> None:
    """
    Delete the rows of all releases that are neither kept nor still open.

    It never makes a release fail: rows that cannot be deleted now are deleted by a later call.

    :param thorough: Also clean the targets of the kept releases, not only those of dead ones.
    """
    current = ledger.current()
    history = history_of(current)
    kept = {entry["release"] for entry in history}
    releases = ledger.all()
    alive = [
        release
        for release in releases
        if release.status in (OPEN, CLOSING, COMMITTING) and not is_overtaken(release, current)
    ]
    dead = [release for release in releases if release not in alive and release.status != COMMITTING]
    stale = {target for release in dead if thorough or release.release not in kept for target in release.targets}
    shown = _targets_of(history) if thorough else set()
    stale |= shown or set()
    versions = {entry["version"] for entry in history} | {release.version for release in alive}
    with OpenTargets(site) as targets:
        clean = [_forget(targets, target, versions) for target in sorted(stale, key=str)]
    if shown is not None and all(clean):
        _retire(ledger, [release for release in dead if release.release not in kept], current)


def _retire(ledger: ReleaseLedger, dead: Sequence[Release], current: Mapping[str, Any] | None) -> None:
    """Delete the documents of dead releases. A release that may run again keeps its fence and generation."""
    with ledger.documents():
        for release in dead:
            if is_overtaken(release, current):
                ledger.remove(release.release)
            elif release.parts:
                release.parts = {}
                ledger.write(release)


def _problem(ledger: ReleaseLedger, release: Release, expected: Sequence[str]) -> ReleaseError | None:
    current = ledger.current()
    if is_overtaken(release, current):
        assert current is not None
        return ReleaseError(
            f"release `{release.release}` of `{ledger.name}` ({release.order}) is rolled back: `{current['release']}` "
            f"({current['order']}) was committed meanwhile",
            hint="nothing to do: clients see the newer release",
        )
    if not expected:
        return ReleaseError(
            f"release `{release.release}` of `{ledger.name}` is rolled back: no step stages rows; "
            f"{ledger.still_visible}",
            hint="add a step that stages rows, e.g. `persist`, between `start_sender` and `stop_sender`",
        )
    missing = [part for part in expected if (staged := release.parts.get(part)) is None or staged.rows is None]
    if missing:
        return ReleaseError(
            f"release `{release.release}` of `{ledger.name}` is rolled back: {len(missing)} of {len(expected)} parts "
            f"were not staged ({listed(missing)}); {ledger.still_visible}",
            hint="fix the tasks that stage them, then clear the run from `start_sender` on",
        )
    return None


def _miscount(
    ledger: ReleaseLedger, release: Release, expected: Sequence[str], targets: OpenTargets
) -> ReleaseError | None:
    for part in sorted(release.parts.keys() - set(expected)):
        targets.open(release.parts[part].to).discard(release.version, part)
        del release.parts[part]
    for target in sorted(release.targets, key=str):
        counted = targets.open(target).count(release.version)
        staged = {name: part.rows or 0 for name, part in release.parts.items() if part.to == target}
        for part in sorted({*counted, *staged}):
            if counted.get(part, 0) != staged.get(part, 0):
                return ReleaseError(
                    f"release `{release.release}` of `{ledger.name}` is rolled back: `{target}` holds "
                    f"{counted.get(part, 0)} rows of part `{part}`, but {staged.get(part, 0)} were staged; "
                    f"{ledger.still_visible}",
                    hint="find out what else writes there, then clear the run from `start_sender` on",
                )
    return None


def _moves(
    targets: OpenTargets, versions: Mapping[Target, str | None]
) -> list[tuple[PointerStore, dict[str, str | None]]]:
    """Group the pointers by store; stores that cannot be reverted come last."""
    grouped: dict[int, tuple[PointerStore, dict[str, str | None]]] = {}
    for target in sorted(versions, key=str):
        writer = targets.open(target)
        grouped.setdefault(id(writer.place), (writer.place, {}))[1][writer.pointer] = versions[target]
    return sorted(grouped.values(), key=lambda group: not group[0].reversible)


def visible_version(targets: OpenTargets, target: Target) -> str | None:
    """Return the version that readers of a target see, or None."""
    writer = targets.open(target)
    return writer.place.shown(writer.pointer)


def _targets_of(entries: Sequence[Mapping[str, Any]]) -> set[Target] | None:
    """Return the targets of kept releases; None if one of them cannot be read."""
    try:
        return {parse_target(to) for entry in entries for to in entry["targets"]}
    except WallError as error:
        log.warning("old releases could not be deleted: %s", first_line(error))
        return None


def _forget(targets: OpenTargets, target: Target, keep: set[str]) -> bool:
    try:
        targets.open(target).forget(keep)
    except Exception as error:
        log.warning("old releases of `%s` could not be deleted: %s", target, first_line(error))
        return False
    return True


def _with_suffix(error: Exception, text: str) -> Exception:
    return type(error)(f"{error.message}; {text}", hint=error.hint) if isinstance(error, WallError) else error

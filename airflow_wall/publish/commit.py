"""How a release closes: complete it, move its pointers, put them back if that fails, sweep what nobody will see."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_wall.errors import ReleaseError, WallError
from airflow_wall.publish.backends import Targets
from airflow_wall.publish.base import Place, Site
from airflow_wall.publish.ledger import (
    CLOSING,
    COMMITTED,
    COMMITTING,
    OPEN,
    ROLLED_BACK,
    Ledger,
    Release,
    overtaken,
)

log = logging.getLogger(__name__)


def complete(ledger: Ledger, release_id: str, expected: Sequence[str], targets: Targets) -> Release:
    """
    Return the release with exactly the expected parts, counted, and the decision to commit written down.

    :raises ReleaseError: it is not whole, so it has been rolled back.
    """
    try:
        begun = ledger.read(release_id)
        assert begun is not None
        with ledger.all_parts({*expected, *begun.parts}):
            release = ledger.read(release_id)
            assert release is not None
            problem = _problem(ledger, release, expected) or _miscount(ledger, release, expected, targets)
            if problem is None:
                release.before = {to: _shown(targets, to) for to in release.targets}
                release.status = COMMITTING
                ledger.write(release)
                return release
    except BaseException:
        ledger.mark(release_id, OPEN)
        raise
    ledger.mark(release_id, ROLLED_BACK)
    raise problem


def commit(ledger: Ledger, release: Release, targets: Targets, *, resumed: bool) -> None:
    """
    Move all pointers of a completed release, `current.json` last. Repeated after a kill, it goes on where it was.

    :param resumed: Whether an earlier try may have moved some already.
    :raises WallError: a target refused; clients see what they saw, and the release is open with all it has staged.
    """
    moves = _moves(targets, dict.fromkeys(release.targets, release.version))
    shown = [place for place, _ in moves] if resumed else []
    try:
        for place, pointers in moves:
            place.show(pointers)
            shown.append(place)
    except Exception as error:
        _put_back(ledger, release, targets, shown, error)
        raise _with(error, ledger.still) from error
    ledger.flip(release)
    ledger.mark(release.release, COMMITTED)
    log.info("clients see release `%s` of `%s`: %s", release.version, ledger.name, release.targets)


def finish(ledger: Ledger, site: Site, *, but: str | None = None) -> None:
    """Go on with what a killed close of another release than `but` left half done."""
    for release in ledger.all():
        if release.release == but:
            continue
        if release.status == CLOSING:
            ledger.mark(release.release, OPEN)
        elif release.status == COMMITTING:
            log.warning("release `%s` of `%s` was left half committed; it goes on", release.version, ledger.name)
            try:
                with Targets(site) as targets:
                    commit(ledger, release, targets, resumed=True)
            except WallError as error:
                left = ledger.read(release.release)
                if left is None or left.status != OPEN:  # some of it is visible: nothing else may be published
                    raise
                log.warning("release `%s` of `%s` was put back: %s", release.version, ledger.name, first_line(error))


def sweep(ledger: Ledger, site: Site, *, thorough: bool) -> None:
    """
    Drop the rows of all releases that clients do not see, did not see last, and never will.

    It fails no release: what cannot be dropped now is dropped by a later call.

    :param thorough: Look at the targets of the visible releases too, not only at those of dead ones.
    """
    current = ledger.current()
    visible = [entry for entry in (current, (current or {}).get("previous")) if entry is not None]
    kept = {entry["release"] for entry in visible}
    releases = ledger.all()
    alive = [one for one in releases if one.status in (OPEN, CLOSING, COMMITTING) and not overtaken(one, current)]
    dead = [one for one in releases if one not in alive and one.status != COMMITTING]
    places = {to for one in dead if thorough or one.release not in kept for to in one.targets}
    if thorough:
        places |= {to for entry in visible for to in entry["targets"]}
    versions = {entry["version"] for entry in visible} | {one.version for one in alive}
    with Targets(site) as targets:
        clean = [_forgotten(targets, to, versions) for to in sorted(places)]
    if all(clean):
        _retire(ledger, [one for one in dead if one.release not in kept], current)


def first_line(error: Exception) -> str:
    """Return what is wrong, without the hint."""
    return (error.message if isinstance(error, WallError) else str(error)).partition("\n")[0]


def _retire(ledger: Ledger, dead: Sequence[Release], current: Mapping[str, Any] | None) -> None:
    """Drop the documents of releases that left nothing; one that may be run again keeps its fence and generation."""
    with ledger.documents():
        for one in dead:
            if overtaken(one, current):
                ledger.remove(one.release)
            elif one.parts:
                one.parts = {}
                ledger.write(one)


def _problem(ledger: Ledger, release: Release, expected: Sequence[str]) -> ReleaseError | None:
    current = ledger.current()
    if overtaken(release, current):
        assert current is not None
        return ReleaseError(
            f"release `{release.release}` of `{ledger.name}` ({release.order}) is rolled back: `{current['release']}` "
            f"({current['order']}) was committed meanwhile",
            hint="leave it: clients see the newer one",
        )
    if not expected:
        return ReleaseError(
            f"release `{release.release}` of `{ledger.name}` is rolled back: nothing stages into it; {ledger.still}",
            hint="put a step that stages, e.g. `persist`, between `start_sender` and `stop_sender`",
        )
    missing = [part for part in expected if (there := release.parts.get(part)) is None or there.rows is None]
    if missing:
        names = ", ".join(f"`{part}`" for part in missing)
        return ReleaseError(
            f"release `{release.release}` of `{ledger.name}` is rolled back: {len(missing)} of {len(expected)} parts "
            f"were not staged ({names}); {ledger.still}",
            hint="mend the tasks that stage them, then clear the run from `start_sender` on",
        )
    return None


def _miscount(ledger: Ledger, release: Release, expected: Sequence[str], targets: Targets) -> ReleaseError | None:
    for part in sorted(release.parts.keys() - set(expected)):
        targets.open(release.parts[part].to).discard(release.version, part)
        del release.parts[part]
    for to in sorted(release.targets):
        counted = targets.open(to).count(release.version)
        staged = {part: there.rows or 0 for part, there in release.parts.items() if there.to == to}
        for part in sorted({*counted, *staged}):
            if counted.get(part, 0) != staged.get(part, 0):
                return ReleaseError(
                    f"release `{release.release}` of `{ledger.name}` is rolled back: `{to}` holds "
                    f"{counted.get(part, 0)} rows of part `{part}`, staged were {staged.get(part, 0)}; {ledger.still}",
                    hint="see who else writes there, then clear the run from `start_sender` on",
                )
    return None


def _put_back(ledger: Ledger, release: Release, targets: Targets, shown: Sequence[Place], cause: Exception) -> None:
    """Have every pointer show what it showed before; the release is open again, with all it has staged."""
    assert release.before is not None
    try:
        for place, pointers in _moves(targets, release.before):
            if place.reversible and place in shown:
                place.show(pointers)
    except Exception as error:
        raise ReleaseError(
            f"release `{release.release}` of `{ledger.name}` is half visible: {first_line(cause)}; and what was "
            f"visible already could not be put back: {first_line(error)}",
            hint="mend the connection, then clear `stop_sender` alone: it goes on where it was",
        ) from error
    ledger.mark(release.release, OPEN)


def _moves(targets: Targets, versions: Mapping[str, str | None]) -> list[tuple[Place, dict[str, str | None]]]:
    """Group the pointers by place; places that cannot go back come last."""
    grouped: dict[int, tuple[Place, dict[str, str | None]]] = {}
    for to, version in sorted(versions.items()):
        target = targets.open(to)
        grouped.setdefault(id(target.place), (target.place, {}))[1][target.pointer] = version
    return sorted(grouped.values(), key=lambda group: not group[0].reversible)


def _shown(targets: Targets, to: str) -> str | None:
    target = targets.open(to)
    return target.place.shown(target.pointer)


def _forgotten(targets: Targets, to: str, keep: set[str]) -> bool:
    try:
        targets.open(to).forget(keep)
    except Exception as error:
        log.warning("old releases of `%s` are still there: %s", to, first_line(error))
        return False
    return True


def _with(error: Exception, text: str) -> Exception:
    return type(error)(f"{error.message}; {text}", hint=error.hint) if isinstance(error, WallError) else error

"""
Show an earlier release again.

The rollback is recorded as pending in `current.json` before any pointer moves. If the process is killed then, the next
`open`, `close` or rollback finishes it, as it finishes a commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ReleaseError
from airflow_wall.publish.backends import OpenTargets, parse_target
from airflow_wall.publish.base import RESENT, Resender
from airflow_wall.publish.commit import carry_out, visible_version
from airflow_wall.publish.ledger import ReleaseLedger, history_of, now
from airflow_wall.publish.targets.base import Target


def choose(ledger: ReleaseLedger, version: str | None) -> str:
    """
    Return the version that a rollback shows: `version`, or the one before the visible one.

    :raises ReleaseError: there is none, or its rows are no longer kept.
    """
    current = ledger.current()
    if current is None:
        raise ReleaseError(
            f"release `{ledger.name}` has not been committed yet, so there is nothing to roll back",
            hint="list the releases: `airflow-wall releases`",
        )
    if version is None:
        if current.get("previous") is None:
            raise ReleaseError(
                f"release `{ledger.name}` has no earlier one to roll back to: clients see `{current['version']}`, the "
                "oldest whose rows are kept",
                hint="drop the slices that are wrong, and publish again",
            )
        return str(current["previous"]["version"])
    kept = [entry["version"] for entry in history_of(current)]
    if version not in kept:
        raise ReleaseError(
            f"release `{version}` of `{ledger.name}` is not kept, so it cannot be shown again",
            hint=f"name one of these: {listed(kept, len(kept))}",
        )
    return version


def roll_back(
    ledger: ReleaseLedger, targets: OpenTargets, version: str, reason: str, *, resend: bool = False
) -> list[str]:
    """
    Show a kept release again, in every target. Hold the turn of the ledger.

    Every release that was committed after it is marked as rolled back.

    :param resend: Send the rows of that release again, as a new one, to each target that cannot take rows back.
    :return: The targets that got the rows again.
    :raises ReleaseError: a target cannot be reverted, or rows of the release are missing. Nothing has changed.
    """
    current = ledger.current()
    history = history_of(current)
    place = [entry["version"] for entry in history].index(version)
    later, kept = history[:place], history[place:]
    moves = _moves(later, kept)
    final = [target for target in moves if not targets.open(target).place.reversible]
    for target in final:
        if not resend:
            raise ReleaseError(
                f"release `{version}` of `{ledger.name}` cannot be shown again: `{target}` has received rows, and they "
                "cannot be taken back",
                hint="add `--resend` to send it the old rows as a new release; or correct the rows, or drop their "
                "slices, and publish again: the receiver then gets the new rows",
            )
    _check_rows(ledger, targets, kept[0])
    for target in final:
        moves[target] = _sent_again(ledger, targets, target, moves[target])
    record = {"at": now(), "reason": reason}
    marked = [{"rolled_back": record, **entry} for entry in later]
    cleared = [{key: value for key, value in entry.items() if key != "rolled_back"} for entry in kept]
    again = {entry["release"] for entry in kept if "rolled_back" in entry}
    known = {key: value for key, value in (current or {}).get("rolled_back", {}).items() if key not in again}
    fresh = {
        entry["release"]: {"version": entry["version"], **record}
        for entry in reversed(later)
        if "rolled_back" not in entry
    }
    ledger.set_pending(
        {
            "to": version,
            "moves": {target.text: moved for target, moved in moves.items()},
            "before": {target.text: visible_version(targets, target) for target in moves},
            "history": [*marked, *cleared],
            "rolled_back": {**known, **fresh},
        }
    )
    carry_out(ledger, targets, resumed=False)
    return [target.text for target in final]


def _sent_again(ledger: ReleaseLedger, targets: OpenTargets, target: Target, version: str | None) -> str:
    """
    Return the name under which a target gets the rows of a version again. They are stored, and not sent yet.

    :raises ReleaseError: the target had no rows of that release, or cannot send any again.
    """
    writer = targets.open(target)
    if version is None or not isinstance(writer, Resender):
        why = "it had none then" if version is None else "it keeps none"
        raise ReleaseError(
            f"release of `{ledger.name}`: `{target}` cannot get the earlier rows again: {why}",
            hint="roll back to a release that has rows for it, or publish again",
        )
    again = f"{version}{RESENT}{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    writer.copy(version, again)
    return again


def _moves(later: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> dict[Target, str | None]:
    """Return the version that each target had when the first of `kept` was visible; None if it had none."""
    texts = [to for entry in (*later, kept[0]) for to in entry["targets"]]
    return {
        parse_target(to): next((entry["version"] for entry in kept if to in entry["targets"]), None)
        for to in dict.fromkeys(texts)
    }


def _check_rows(ledger: ReleaseLedger, targets: OpenTargets, entry: Mapping[str, Any]) -> None:
    for to in entry["targets"]:
        counted = targets.open(parse_target(to)).count(entry["version"])
        for name, part in entry["parts"].items():
            if part["to"] == to and counted.get(name, 0) != part["rows"]:
                raise ReleaseError(
                    f"release `{entry['version']}` of `{ledger.name}` cannot be shown again: `{to}` holds "
                    f"{counted.get(name, 0)} rows of part `{name}`, but {part['rows']} were published",
                    hint="roll back to another release, or publish again",
                )

"""The decisions about the versions of a model, in the order of time, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_wall.models.base import Champion, Decision

PROMOTED = "promoted"
REJECTED = "rejected"
BY_HAND = "promoted by hand"
ROLLED_BACK = "rolled back"
"""A person made an earlier champion the champion again."""


@dataclass(frozen=True)
class DecisionRecord:
    """
    One decision.

    :param version: The version that was promoted or rejected, or that became the champion again.
    :param event: `promoted`, `rejected`, `promoted by hand` or `rolled back`.
    :param at: ISO 8601 UTC time.
    :param decision: The comparison with the champion of that time.
    """

    version: int
    event: str
    at: str
    decision: Decision

    @classmethod
    def of_champion(cls, champion: Champion) -> DecisionRecord:
        """Return the decision that made a version the champion."""
        return cls(champion.version, champion.event, champion.promoted, champion.decision)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DecisionRecord:
        """Return the record from the result of `to_json`."""
        return cls(values["version"], values["event"], values["at"], Decision(**values["decision"]))

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return asdict(self)


def champions(records: Iterable[DecisionRecord]) -> list[int]:
    """Return the present champion and those before it, the present one last, without those that were rolled back."""
    return _replay(records)[0]


def rolled_back(records: Iterable[DecisionRecord]) -> dict[int, DecisionRecord]:
    """Return the versions that were rolled back and not promoted since -> the rollback."""
    return _replay(records)[1]


def _replay(records: Iterable[DecisionRecord]) -> tuple[list[int], dict[int, DecisionRecord]]:
    line: list[int] = []
    left: dict[int, DecisionRecord] = {}
    for record in records:
        if record.event == REJECTED:
            continue
        if record.event == ROLLED_BACK and record.version in line:
            place = len(line) - 1 - line[::-1].index(record.version)
            left.update(dict.fromkeys(line[place + 1 :], record))
            line = line[: place + 1]
        else:
            line.append(record.version)
        left.pop(record.version, None)
    return line, left

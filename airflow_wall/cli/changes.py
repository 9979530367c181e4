"""What a run tells while it goes, and at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """
    A task changed its state.

    :param state: Airflow's name of the state, e.g. `running`.
    :param seconds: How long the try took, if it has ended; None for a task that was passed over.
    :param message: What the log says of a failure or a skip.
    :param earlier: Whether it came to this state before this call, in the run that is gone on with.
    """

    task_id: str
    state: str
    try_number: int
    seconds: float | None = None
    message: str | None = None
    earlier: bool = False


@dataclass(frozen=True)
class Outcome:
    """
    How a run ended.

    :param run_id: Airflow's run id.
    :param resumed: Whether an earlier, unfinished run of the same date was gone on with.
    :param repeated: Tasks that had succeeded in it and were done again, because what they are made from has changed.
    :param states: Task id to its last state.
    :param results: Task id to what it returned.
    """

    run_id: str
    success: bool
    resumed: bool
    repeated: list[str]
    states: dict[str, str]
    results: dict[str, Any]

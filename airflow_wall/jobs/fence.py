"""
Keeping a try from writing beside its successor.

A machine that was frozen, or lost its network, comes back when Airflow has long begun the task anew elsewhere. Who
begins last is the one: each begins by putting its own mark into a document in the lake, and asks before each commit
whether that is still there.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from airflow_wall import state
from airflow_wall.errors import Interrupted
from airflow_wall.jobs.document import Run

_KEPT = 200
"""How many runs of one task may be under way: of runs that were killed the marks stay, until there are so many."""


@contextlib.contextmanager
def fenced(run: Run) -> Iterator[Callable[[], None]]:
    """
    Be the one who works on a task of a run, while in the context. Gives what raises once another is.

    The mark is removed when the work is done; who then still comes finds none, and is refused like one who finds
    another's.
    """
    key = hashlib.sha256("\n".join((run.pipeline, run.task_id)).encode()).hexdigest()[:20]
    path = run.state / "tries" / f"{key}.json"  # one for all runs of a task, so that their number does not grow
    mark = uuid.uuid4().hex
    _change(path, run.run_id, mark)

    def check() -> None:
        if _marks(path).get(run.run_id) != mark:
            this = f"task `{run.task_id}` of run `{run.run_id}`"
            raise Interrupted(f"{this} has begun anew elsewhere: try {run.try_number} writes nothing")

    yield check
    _change(path, run.run_id, None, instead_of=mark)


def _marks(path: Path) -> dict[str, str]:
    """Run to mark, those that began last at the end."""
    found = state.read(path)
    return dict(found["runs"]) if found else {}


def _change(path: Path, run_id: str, mark: str | None, instead_of: str | None = None) -> None:
    with state.locked(path):
        marks = _marks(path)
        if instead_of is not None and marks.get(run_id) != instead_of:
            return  # a later try has begun right now
        marks.pop(run_id, None)
        if mark is not None:
            marks[run_id] = mark
        state.write(path, {"runs": list(marks.items())[-_KEPT:]})

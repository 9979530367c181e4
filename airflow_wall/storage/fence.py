"""
Fence off old tries: only the newest try of a task may write.

A machine that was frozen, or lost its network, may return after Airflow has started the task again elsewhere. Each try
therefore starts by writing its token into a document in the lake, and checks before each commit that its token is still
there. The newest try replaces the token of the others.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Callable, Iterator

from airflow_wall.errors import Interrupted
from airflow_wall.job import Run
from airflow_wall.lake.documents import Document, Documents, change

_MAX_RUNS = 200
"""Largest number of concurrent runs of one task. Tokens of killed runs stay until there are more than this number."""


@contextlib.contextmanager
def fenced(run: Run) -> Iterator[Callable[[], None]]:
    """
    Make this process the only writer of a task of a run. Yield a function that raises once a later try has started.

    The token is removed at the end of the work. A later, stale attempt finds no token and is rejected.
    """
    digest = hashlib.sha256("\n".join((run.pipeline, run.task_id)).encode()).hexdigest()[:20]
    key = f"{digest}.json"  # one for all runs of a task, so that the number of documents is bounded
    documents, token = run.storage.documents("tries"), uuid.uuid4().hex
    _replace_token(documents, key, run.run_id, token)

    def check() -> None:
        if _tokens(documents.get(key)).get(run.run_id) != token:
            raise Interrupted(
                f"task `{run.task_id}` of run `{run.run_id}` has started again elsewhere: "
                f"try {run.try_number} writes nothing"
            )

    yield check
    _replace_token(documents, key, run.run_id, None, expected=token)


def _tokens(document: Document | None) -> dict[str, str]:
    """Return run id -> token, in the order in which the tries started."""
    return dict(document["runs"]) if document else {}


def _replace_token(documents: Documents, key: str, run_id: str, token: str | None, expected: str | None = None) -> None:
    def replaced(old: Document | None) -> Document:
        tokens = _tokens(old)
        if expected is not None and tokens.get(run_id) != expected:
            return old or {"runs": []}  # a later try has just started
        tokens.pop(run_id, None)
        if token is not None:
            tokens[run_id] = token
        return {"runs": [list(item) for item in tokens.items()][-_MAX_RUNS:]}

    change(documents, key, replaced)

"""
Tasks, jobs and supervisors that are killed: they are retried, and the rows are those of one try.

Waits for: two whole runs of the article's pipeline.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from outcomes import SECOND, SECOND_RUN, assert_all_is_published
from process_tree import all_processes, parent
from project import DOMAINS, Project, ended

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_tasks_killed_half_way_are_retried_and_leave_the_rows_of_one_try(project: Project) -> None:
    bronze = {domain: project.lake / "bronze" / domain for domain in DOMAINS}
    files = {domain: len(list(bronze[domain].rglob("*.parquet"))) for domain in DOMAINS}
    commits = {domain: len(list(bronze[domain].glob("_delta_log/*.json"))) for domain in DOMAINS}
    process = project.start(SECOND)
    kill = Killer(project, process.poll)

    # The job that ingests, when it has written a file of rows; the task, when its rows are committed and nothing else
    # knows yet; and what watches over the task.
    kill.when("etl_domain_1.ingest", lambda: len(list(bronze["domain_1"].rglob("*.parquet"))) > files["domain_1"], job)
    kill.when(
        "etl_domain_2.ingest",
        lambda: len(list(bronze["domain_2"].glob("_delta_log/*.json"))) > commits["domain_2"],
        task,
    )
    kill.when("etl_domain_3.ingest", after(0.3), parent)
    # The task that persists, when its rows are in the database and not in the release; at once; and its watcher.
    kill.when("finalize_domain_1.persist", lambda: staged(project, "finalize_domain_1.persist") > 0, task)
    kill.when("finalize_domain_2.persist", lambda: True, task)
    kill.when("finalize_domain_3.persist", lambda: True, parent)
    kill.all()

    ran = ended(process)
    assert ran.code == 0, ran.text
    assert "Traceback" not in ran.text
    tries = project.tries(SECOND_RUN)
    assert_all_is_published(project)
    # A kill may come when a task has just reported its success: that one is not retried, and its rows are those of one
    # try all the same.
    assert {tries[name] for name in kill.wanted} <= {1, 2}
    retried = [name for name in kill.wanted if tries[name] == 2]
    assert len(retried) >= 3, f"only {retried} were killed in time: the test shows too little"
    for name, text in (
        ("etl_domain_1.ingest", "the job's process on cluster `"),
        ("etl_domain_2.ingest", "its process was killed by signal SIGKILL"),
        ("etl_domain_3.ingest", "its process and the one that watched it were killed"),
    ):
        line = f"retried      task `{name}` ({project.place('ingest')}): {text}"
        assert (line in ran.text) == (name in retried)


class Killer:
    """
    Kills processes of tasks, each when its moment has come.

    :param over: Returns something else than None when the run has ended.
    """

    def __init__(self, project: Project, over: Callable[[], int | None]) -> None:
        self.project = project
        self.over = over
        self.wanted: dict[str, tuple[Callable[[], bool], Callable[[int], int | None]]] = {}

    def when(self, name: str, is_time: Callable[[], bool], whom: Callable[[int], int | None]) -> None:
        """Kill `whom`, found by the process id of the task, once the task runs and `is_time`."""
        self.wanted[name] = (is_time, whom)

    def all(self) -> None:
        """Kill all that was asked for, in the order in which their moments come, until the run ends."""
        left = dict(self.wanted)
        while left and self.over() is None:
            for name, (is_time, whom) in list(left.items()):
                pid = self.project.running(name)
                victim = whom(pid) if pid is not None and is_time() else None
                if victim is not None:
                    with contextlib.suppress(ProcessLookupError):  # it has ended since
                        os.kill(victim, signal.SIGKILL)
                    del left[name]
            time.sleep(0.005)


def task(pid: int) -> int:
    """The process of the task itself."""
    return pid


def job(pid: int) -> int | None:
    """Return the process in which the cluster does the task's job; it is named after the task's process."""
    names = ((each, Path(f"/proc/{each}/comm")) for each in all_processes())
    for each, name in names:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if name.read_text() == f"job-{pid}\n":
                return each
    return None


def after(seconds: float) -> Callable[[], bool]:
    """A moment that comes so long after it was first asked for."""
    asked: list[float] = []

    def is_time() -> bool:
        asked.append(time.monotonic())
        return asked[-1] - asked[0] >= seconds

    return is_time


def staged(project: Project, part: str) -> int:
    """Rows of one part that lie in the database for the release of the second run, shown or not."""
    with sqlite3.connect(project.lake / "platform.db", timeout=30) as database:
        query = "SELECT count(*) FROM scores__releases WHERE _part = ? AND _release LIKE 'platform-20130108%'"
        return int(database.execute(query, [part]).fetchone()[0])

"""
Every way a run goes wrong that a user meets in the first week: what the terminal says, and that the same command,
given again after the cause is mended, ends green with the right rows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from process_tree import children, parent
from project import DOMAINS, Project, ended

pytestmark = pytest.mark.integration

FIRST, SECOND = "2013-01-07", "2013-01-08"
FIRST_RUN, SECOND_RUN = (f"manual__{date}T00:00:00-05:00" for date in (FIRST, SECOND))

CONSTANT = """
import numpy as np
import pandas as pd
from sklearn.dummy import DummyRegressor

from airflow_wall.models.base import Trained


def train(features: pd.DataFrame) -> Trained:
    rows = features.dropna(subset=["mean_dep_delay"])
    return Trained(DummyRegressor().fit(rows[["flights"]], rows["mean_dep_delay"]), features=["flights"], target="mean_dep_delay")
"""

INTERRUPTED_AMID_A_STATEMENT = """
import os

from airflow_wall.cli.main import main
from sqlalchemy import event
from sqlalchemy.engine import Engine

runner, begun = os.getpid(), []


@event.listens_for(Engine, "after_cursor_execute")
def interrupt(connection, cursor, statement, *_):
    if os.getpid() != runner:  # a task's process
        return
    if begun or (statement.startswith("UPDATE task_instance") and "queued_dttm" in statement):
        begun.append(statement)
        if len(begun) == 5:
            raise KeyboardInterrupt


main()
"""
"""`airflow-wall`, and a ^C that comes while the runner asks the database, once a task has been handed out."""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first run has ended green. Only copied, never changed."""
    project = Project.make(tmp_path_factory.mktemp("finished") / "project")
    project.land(FIRST)
    ran = project.run(FIRST)
    assert ran.code == 0, ran.text
    assert_all_is_published(project)
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of it in which one more day has landed."""
    copy = finished.copy(tmp_path / "project")
    copy.land(SECOND)
    return copy


def assert_all_is_published(project: Project) -> None:
    """Every landed row is in bronze once, and every scored row is in the database and in the index once."""
    assert project.bronze() == project.landed()
    scored = project.scored()
    assert set(scored.values()) == {1}
    assert project.published() == scored
    assert project.indexed() == scored


def assert_still_published(project: Project, before: Project) -> None:
    """Clients see what they saw before this run."""
    assert project.published() == before.published() != {}
    assert project.indexed() == before.indexed() != {}


def test_a_first_run_is_mended_step_by_step(tmp_path: Path) -> None:
    project = Project.make(tmp_path / "project")
    project.lake.mkdir()
    landing, elsewhere = project.lake / "landing", tmp_path / "elsewhere"
    training = project.folder / "dags" / "models" / "scores.py"
    right = training.read_text()

    # Nothing has landed.
    ran = project.run(FIRST)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    (message,) = ran.errors
    assert message.startswith(
        f"task `check_new_data` ({project.place('check_new_data')}): `source` `landing`: there is no `{landing}`; "
        f"`{project.lake}` holds "
    )
    assert message.endswith("\n\nhint: create it, or correct the path (relative paths are below `storage`)")

    # One of three sources is missing.
    project.land(FIRST)
    (landing / "domain_2").rename(elsewhere)
    training.write_text(CONSTANT)
    ran = project.run(FIRST)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    assert ran.errors == [
        f"task `etl_domain_2.ingest` ({project.place('ingest')}): `source` `landing/domain_2`: there is no "
        f"`{landing}/domain_2`; `{landing}` holds `domain_1/`, `domain_3/`\n\n"
        "hint: create it, or correct the path (relative paths are below `storage`)"
    ]

    # The scores are all equal.
    elsewhere.rename(landing / "domain_2")
    ran = project.run(FIRST)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    report = project.lake / "_wall/reports/platform_scores/20130107T050000Z/check_integrity.html"
    (message,) = ran.errors
    assert message.startswith(
        f"task `check_integrity` ({project.place('check_integrity')}): `checks` (checks/scores.yaml): "
        "1 of 10 checks of `gold/scores`, slice `20130107T050000Z`, failed:\n  scores differ from each other: 1 distinct"
    )
    assert message.endswith(f"\n\nhint: read the report: {report}")
    assert "scores differ from each other" in report.read_text()
    assert (project.published(), project.indexed()) == ({}, {})

    # The task that made them had succeeded; it is done again, and only what comes after it.
    training.write_text(right)
    ran = project.run(FIRST)
    assert ran.code == 0, ran.text
    assert "\nrepeated     `retrain_on_new_data`: made from something that has changed since\n" in ran.text
    assert ran.finished >= {"retrain_on_new_data", "predict", "check_integrity", "stop_sender"}
    assert not ran.finished & {f"etl_{domain}.ingest" for domain in DOMAINS}
    assert_all_is_published(project)
    assert list(project.runs()) == [FIRST_RUN]


def test_a_later_run_is_mended_step_by_step_and_clients_see_the_last_release_until_then(
    project: Project, finished: Project
) -> None:
    dags, connections = project.folder / "dags", project.folder / "connections.yaml"
    query, training = dags / "sql" / "normalize.sql", dags / "models" / "scores.py"
    right = {file: file.read_text() for file in (connections, query, training, project.pipeline)}

    # There are no credentials.
    connections.unlink()
    ran = project.run(SECOND)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    assert ran.errors == [
        f"task `get_credentials` ({project.place('get_credentials')}): `conn_id`: connection `platform` is not defined; "
        f"looked in `{connections}` (no such file), the variable `AIRFLOW_CONN_PLATFORM`, and Airflow's database\n\n"
        "hint: write it into that file, or set `AIRFLOW_CONN_PLATFORM`"
    ]

    # They are for something else.
    connections.write_text(right[connections].replace("lake/platform.db", "dags/pipelines.py"))
    ran = project.run(SECOND)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    assert ran.errors == [
        f"task `get_credentials` ({project.place('get_credentials')}): `conn_id`: connection `platform` "
        f"(sqlite:///{dags}/pipelines.py) was refused: file is not a database\n\n"
        f"hint: mend the connection: it is in `{connections}`"
    ]
    assert "start_cluster" not in ran.finished

    # A landed file is cut short, as an upload leaves it that broke off. The SQL is wrong for the other two domains: that
    # is one message.
    connections.write_text(right[connections])
    query.write_text(right[query].replace("try_cast(dewp as double)", "try_cast(dewpoint as double)"))
    landed = project.lake / "landing" / "domain_2" / "departures-2013-01-07.csv"
    whole = landed.read_text()
    lines = whole.splitlines(keepends=True)[:100]
    landed.write_text("".join([*lines, lines[-1][:20]]))
    ran = project.run(SECOND)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    broken, wrong = sorted(ran.errors)
    assert broken.startswith(
        f"task `etl_domain_2.ingest` ({project.place('ingest')}): `source`: `{landed}`, line 101: "
    )
    assert wrong.startswith(
        "tasks `etl_domain_1.normalize_aggregate`, `etl_domain_3.normalize_aggregate` "
        f"({project.place('normalize_aggregate')}): `sql` (sql/normalize.sql): "
    )
    assert 'Referenced column "dewpoint" not found' in wrong
    assert (broken.count("hint: "), wrong.count("hint: ")) == (1, 1)

    # The training function raises.
    landed.write_text(whole)
    query.write_text(right[query])
    lines = right[training].splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("    rows = features"))
    training.write_text("\n".join([*lines[:at], '    raise ValueError("no luck")', *lines[at:]]))
    ran = project.run(SECOND)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    assert ran.errors == [
        f"task `retrain_on_new_data` ({project.place('retrain_on_new_data')}): `entrypoint` `models.scores:train` "
        f"raised `ValueError: no luck` ({training}:{at + 1})"
    ]

    # Half of the release cannot be staged, so none of it is shown, and what was staged is gone.
    training.write_text(right[training])
    project.pipeline.write_text(right[project.pipeline].replace("key: [domain, hour]", "key: [domain]"))
    ran = project.run(SECOND)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    *faults, consequence = sorted(ran.errors)
    assert faults == [
        f"task `finalize_{domain}.index` ({project.place('index')}): `key` `domain` does not tell rows apart: "
        f"(domain={domain}) stand in more than one row\n\n"
        "hint: remove the duplicates in the transform, or add a column to `key`"
        for domain in DOMAINS
    ]
    assert consequence.startswith(f"task `stop_sender` ({project.place('stop_sender')}): release `platform-2013")
    assert_still_published(project, finished)

    # All in one run, and nothing done again that was done: only the release that was taken back is filled anew.
    project.pipeline.write_text(right[project.pipeline])
    ran = project.run(SECOND)
    assert ran.code == 0, ran.text
    assert "\nrows in      933 from 3 files into 3 tables\n" in ran.text
    assert_all_is_published(project)
    assert list(project.runs()) == [FIRST_RUN, SECOND_RUN]
    tries = project.tries(SECOND_RUN)
    once = {"check_new_data", "predict", "check_integrity", "etl_domain_2.normalize_aggregate"}
    once |= {f"etl_{domain}.ingest" for domain in ("domain_1", "domain_3")}
    twice = {"retrain_on_new_data", "start_sender", "stop_sender", "etl_domain_2.ingest"}
    twice |= {f"etl_{domain}.normalize_aggregate" for domain in ("domain_1", "domain_3")}
    twice |= {f"finalize_{domain}.{name}" for domain in DOMAINS for name in ("persist", "index")}
    assert {name for name, count in tries.items() if count == 1} == once
    assert {name for name, count in tries.items() if count == 2} == twice


def test_a_second_run_of_a_date_finds_nothing_new(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    ran = project.run(FIRST)
    assert ran.code == 0, ran.text
    assert "\nno new data in `landing`: all 18 found there were processed by earlier runs\n" in ran.text
    assert ran.finished == {"get_credentials"}
    assert_all_is_published(project)
    assert_still_published(project, finished)


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
    # A kill may come when a task has just said that it succeeded: that one is not retried, and its rows are those of one
    # try all the same.
    assert {tries[name] for name in kill.wanted} <= {1, 2}
    retried = [name for name in kill.wanted if tries[name] == 2]
    assert len(retried) >= 3, f"only {retried} were killed in time: the test shows too little"
    for name, text in (
        ("etl_domain_1.ingest", "the job's process on cluster `"),
        ("etl_domain_2.ingest", "its process was killed by signal SIGKILL"),
        ("etl_domain_3.ingest", "its process and the one that watched it were killed"),
    ):
        said = f"retried      task `{name}` ({project.place('ingest')}): {text}"
        assert (said in ran.text) == (name in retried)


def test_a_killed_run_leaves_no_process_and_goes_on_where_it_was(project: Project, finished: Project) -> None:
    for name, sent, code, state in (
        ("etl_domain_1.ingest", signal.SIGINT, 130, "failed"),  # ^C: there is time to tell Airflow
        ("etl_domain_1.ingest", signal.SIGKILL, -signal.SIGKILL, "running"),
        ("finalize_domain_1.persist", signal.SIGKILL, -signal.SIGKILL, "running"),
    ):
        process = project.start(SECOND)
        assert wait_for(lambda name=name: project.running(name), process.poll), ended(process).text
        time.sleep(0.05)
        os.killpg(process.pid, sent)
        ran = ended(process)
        assert (ran.code, "Traceback" in ran.text) == (code, False), ran.text
        assert wait_for(lambda: not project.processes(), lambda: None, seconds=10)
        assert project.runs()[SECOND_RUN] == state
        assert_still_published(project, finished)
        if sent == signal.SIGINT:
            assert ran.text.endswith("\ninterrupted; run the same command again: it goes on where it stopped\n")

    ran = project.run(SECOND)
    assert ran.code == 0, ran.text
    assert list(project.runs()) == [FIRST_RUN, SECOND_RUN]
    assert_all_is_published(project)
    tries = project.tries(SECOND_RUN)
    once = ("etl_domain_1.normalize_aggregate", "retrain_on_new_data", "predict", "check_integrity")
    assert {name: tries[name] for name in once} == dict.fromkeys(once, 1)
    assert tries["etl_domain_1.ingest"] == 3
    assert tries["finalize_domain_1.persist"] in (1, 2)  # it takes so short that it may have ended before the kill


def test_an_interrupt_amid_a_statement_ends_the_run_as_any_other_does(project: Project) -> None:
    ran = ended(project.start(SECOND, [sys.executable, "-c", INTERRUPTED_AMID_A_STATEMENT]))
    assert ran.code == 130, ran.text
    assert ran.text.endswith("\ninterrupted; run the same command again: it goes on where it stopped\n")
    assert project.runs()[SECOND_RUN] == "failed"
    assert not project.processes()


# --- killing


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
    """The process in which the cluster does the task's job."""
    return next(iter(children(pid)), None)


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


def wait_for(happened: Callable[[], object], over: Callable[[], object], seconds: float = 120) -> bool:
    """Wait until something has happened; False where it has not in that time, or where it cannot any more."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and over() is None:
        if happened():
            return True
        time.sleep(0.01)
    return False

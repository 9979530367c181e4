"""
Runs that are killed or interrupted: no process is left, and the same command goes on where the run stopped.

Waits for: one whole run of the article's pipeline, four that are killed half way, and one that goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
from outcomes import FIRST_RUN, SECOND, SECOND_RUN, assert_all_is_published, assert_still_published, wait_for
from project import Project, ended

pytestmark = [pytest.mark.integration, pytest.mark.slow]

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
            assert ran.text.endswith("\ninterrupted; run the same command again: it continues where it stopped\n")

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
    assert ran.text.endswith("\ninterrupted; run the same command again: it continues where it stopped\n")
    assert project.runs()[SECOND_RUN] == "failed"
    assert not project.processes()

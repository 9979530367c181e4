"""Read the states of runs and tasks, and their times, from the metadata database, without an API server."""

from __future__ import annotations

import threading
import time

import psycopg
from judge import Run, Task
from servers import Postgres

OVER = ("success", "failed")


class Observer:
    """Looks twice a second, as long as Postgres answers."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.runs: dict[str, Run] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            try:
                with self.postgres.open("airflow") as database:
                    database.autocommit = True
                    while not self._ended.wait(0.4):
                        self._look(database)
            except psycopg.Error:
                continue

    def _look(self, database: psycopg.Connection) -> None:
        now = time.time()
        seen = set()
        for dag, run_id, state in database.execute("select dag_id, run_id, state from dag_run "):
            seen.add(dag)
            run = self.runs.setdefault(dag, Run(run_id, state))
            run.state = state
            if state in OVER:
                run.over = run.over or now
            else:
                run.over = None
        for dag, run in self.runs.items():
            run.gone = dag not in seen
        query = "select dag_id, task_id, id::text, state, try_number, pid from task_instance "
        for dag, task, key, state, tries, pid in database.execute(query):
            if dag in self.runs:
                self.runs[dag].tasks[task] = Task(key, state, tries, pid)

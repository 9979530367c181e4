"""A folder like the one `make run` works in, with a few days of real data, driven by the real command line."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from process_tree import all_processes

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.publish.search import search
from airflow_wall.storage.backends import open_tables

REPOSITORY = Path(__file__).parents[2]
COMMAND = Path(sysconfig.get_path("scripts")) / "airflow-wall"
DOMAINS = ("domain_1", "domain_2", "domain_3")


@dataclass(frozen=True)
class Ran:
    """
    The result of one `airflow-wall run`.

    :param code: Its exit code.
    :param text: All it printed.
    """

    code: int
    text: str

    @property
    def errors(self) -> list[str]:
        """The messages at the end, whole."""
        _, *messages = self.text.partition("\nlogs: ")[0].split("\nerror: ")
        return [message.strip() for message in messages]

    @property
    def finished(self) -> set[str]:
        """Tasks that this call brought to success."""
        lines = [line.split() for line in self.text.splitlines()]
        return {words[2] for words in lines if words[:2] == ["✔", "success"]}


@dataclass(frozen=True)
class Project:
    """
    One project folder.

    :param folder: `dags/`, `connections.yaml` and `lake/` are in it, and `.airflow/` after a first run.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Project:
        """A new one, with nothing landed."""
        shutil.copytree(REPOSITORY / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "connections.yaml", folder)
        return cls(folder)

    def copy(self, folder: Path) -> Project:
        """The same once more, times of files included: they are the versions of what landed."""
        shutil.copytree(self.folder, folder, copy_function=shutil.copy2)
        return Project(folder)

    @property
    def pipeline(self) -> Path:
        """The YAML file."""
        return self.folder / "dags" / "platform_scores.yaml"

    @property
    def lake(self) -> Path:
        """The storage."""
        return self.folder / "lake"

    def place(self, task: str) -> str:
        """`file:line` of a task, as messages name it."""
        lines = self.pipeline.read_text().splitlines()
        return f"{self.pipeline}:{1 + next(i for i, line in enumerate(lines) if line.strip() == f'- id: {task}')}"

    # --- what a user does

    def land(self, until: str) -> None:
        """Put the days before `until` into the landing folder."""
        script = REPOSITORY / "examples" / "nycflights13" / "land.py"
        subprocess.run(
            [sys.executable, script, "--until", until, self.lake / "landing"], check=True, capture_output=True
        )

    def start(self, date: str, command: Sequence[str | Path] = (COMMAND,)) -> subprocess.Popen[str]:
        """Begin `airflow-wall run`, in a process group of its own; `command` is what `airflow-wall` stands for."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        return subprocess.Popen(
            [*command, "run", "dags/platform_scores.yaml", "--date", date, "--retry-wait", "1s"],
            cwd=self.folder,
            env=inherited,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Whoever runs the tests behind a shell's `&` has them ignore ^C, and what they start too.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, date: str) -> Ran:
        """`airflow-wall run`, to its end."""
        return ended(self.start(date))

    # --- what can be seen afterwards

    def landed(self) -> Counter[str]:
        """Rows by file, named by its path in the lake."""
        return Counter({path.relative_to(self.lake).as_posix(): _rows(path) for path in self._landing()})

    def bronze(self) -> Counter[str]:
        """Rows by the file they came from, in the tables of all domains."""
        tables = open_tables(self.lake)
        names = [f"bronze/{domain}" for domain in DOMAINS if tables.exists(f"bronze/{domain}")]
        return Counter(uri for name in names for uri in tables.read(name, hidden=True)["_wall_source"].to_pylist())

    def scored(self) -> Counter[tuple[str, str]]:
        """Rows of the table of scores by domain and hour."""
        rows = open_tables(self.lake).read("gold/scores", columns=["domain", "hour"]).to_pylist()
        return Counter((row["domain"], f"{row['hour']:%Y-%m-%d %H:%M}") for row in rows)

    def published(self) -> Counter[tuple[str, str]]:
        """Rows by domain and hour, as a client of the database sees them."""
        rows = self._query(self.lake / "platform.db", "SELECT domain, strftime('%Y-%m-%d %H:%M', hour) FROM scores")
        return Counter((row[0], row[1]) for row in rows)

    def indexed(self) -> Counter[tuple[str, str]]:
        """Documents by domain and hour, as a client of the search index finds them."""
        client = ConnectionInfo("platform", "sqlite", host="lake/platform.db")
        try:
            found = search(client, "scores", "", limit=1_000_000, project=self.folder)
        except DataError:  # nothing has been published yet
            return Counter()
        return Counter((row["domain"], str(row["hour"]).replace("T", " ")[:16]) for row in found)

    def runs(self) -> dict[str, str]:
        """State by run id."""
        return dict(self._query(self._metadata, "SELECT run_id, state FROM dag_run"))

    def tries(self, run_id: str) -> dict[str, int]:
        """How often each task of a run was begun."""
        return dict(
            self._query(self._metadata, "SELECT task_id, try_number FROM task_instance WHERE run_id = ?", run_id)
        )

    def running(self, task_id: str) -> int | None:
        """Process id of a task that runs now."""
        found = self._query(
            self._metadata, "SELECT pid FROM task_instance WHERE task_id = ? AND state = 'running'", task_id
        )
        return found[0][0] if found else None

    def processes(self) -> list[int]:
        """Ids of all processes that work in this folder."""
        return [pid for pid in all_processes() if _working_directory(pid) == self.folder]

    @property
    def _metadata(self) -> Path:
        return self.folder / ".airflow" / "airflow.db"

    def _landing(self) -> list[Path]:
        return [path for domain in DOMAINS for path in (self.lake / "landing" / domain).glob("*.csv")]

    def _query(self, file: Path, query: str, *values: Any) -> list[Any]:
        if not file.exists():
            return []
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
        finally:
            connection.close()


def ended(process: subprocess.Popen[str]) -> Ran:
    """Wait for a command and return what it printed."""
    text, _ = process.communicate(timeout=240)
    return Ran(process.returncode, text)


def _working_directory(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return None


def _rows(path: Path) -> int:
    with path.open(newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1

"""
`airflow-wall run` for a range of dates, and beside another Airflow. Each test starts a few real runs of one small task.

Waits for: real runs of several dates.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sqlite3
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SCRIPTS = Path(sysconfig.get_path("scripts"))

PIPELINE = """\
dag_id: nightly
schedule: "0 3 * * *"
timezone: America/New_York
start_date: 2013-01-01
tasks:
  - id: work
    uses: airflow.providers.standard.operators.bash.BashOperator
    with: {bash_command: {$t: "FOLDER/work.sh {{ ds }}"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nightly.yaml").write_text(PIPELINE.replace("FOLDER", str(tmp_path)))
    script(tmp_path, 'echo "$1" >> FOLDER/done')
    return tmp_path


def script(folder: Path, body: str) -> None:
    """Write the script that the task runs with its date."""
    path = folder / "work.sh"
    path.write_text(f"#!/bin/sh\n{body}\n".replace("FOLDER", str(folder)))
    path.chmod(0o755)


def environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {**inherited, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}


def start(folder: Path, *command: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**environment(), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    process = start(folder, "airflow-wall", "run", "nightly.yaml", *arguments)
    text, _ = process.communicate(timeout=240)
    return process.returncode, text


def done(folder: Path) -> list[str]:
    """The dates whose task has done its work, in order."""
    path = folder / "done"
    return path.read_text().split() if path.exists() else []


def query(folder: Path, statement: str) -> list[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(folder / ".airflow" / "airflow.db", timeout=30)) as database:
        return database.execute(statement).fetchall()


def wait_for(happened: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_a_range_stops_at_the_date_that_fails_and_goes_on_from_there(folder: Path) -> None:
    script(folder, 'test "$1" != 2013-07-02 || exit 1; echo "$1" >> FOLDER/done')
    code, text = run(folder, "--from", "2013-07-01", "--to", "2013-07-03")
    assert code == 1, text
    assert done(folder) == ["2013-07-01"]
    assert text.startswith(
        "nightly: starting Airflow in .airflow\n"
        "3 dates of the schedule, 2013-07-01T03:00-04:00 to 2013-07-03T03:00-04:00\n\n"
        "2013-07-01T03:00-04:00 (1 of 3)\n"
    )
    assert "\nerror: task `work` (" in text
    *_, first, second, third, empty, hint = text.splitlines()
    assert first.split()[:2] == ["2013-07-01T03:00-04:00", "success"]
    assert second.split()[:2] == ["2013-07-02T03:00-04:00", "failed"]
    assert (third, empty) == ("2013-07-03T03:00-04:00  not run", "")
    before = "fix it and continue: "
    assert hint == before + ("airflow-wall run nightly.yaml --from 2013-07-02T03:00-04:00 --to 2013-07-03")

    script(folder, 'echo "$1" >> FOLDER/done')
    process = start(folder, *shlex.split(hint.removeprefix(before)))
    text, _ = process.communicate(timeout=240)
    assert process.returncode == 0, text
    assert text.count("starting Airflow") == 1
    assert done(folder) == ["2013-07-01", "2013-07-02", "2013-07-03"]

    # Dates that succeeded are left as they are; each run has the data interval of its date.
    code, text = run(folder, "--from", "2013-06-30", "--to", "2013-07-03")
    assert code == 0, text
    assert done(folder) == ["2013-07-01", "2013-07-02", "2013-07-03", "2013-06-30"]
    assert "\n2013-07-03T03:00-04:00  success  earlier\n" in text
    assert query(folder, "SELECT run_id, state, data_interval_start FROM dag_run ORDER BY logical_date") == [
        (f"manual__2013-{day}T03:00:00-04:00", "success", f"2013-{day} 07:00:00.000000")
        for day in ("06-30", "07-01", "07-02", "07-03")
    ]


@pytest.fixture
def scheduler(folder: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a real scheduler on the database of the folder, and stops it at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        with (folder / "scheduler.log").open("wb") as log:
            process = subprocess.Popen(
                [SCRIPTS / "airflow", "scheduler", "--skip-serve-logs"],
                env={
                    **environment(),
                    "AIRFLOW_HOME": str(folder / ".airflow"),
                    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_nothing_runs_beside_another_airflow_with_the_same_home(
    folder: Path, scheduler: Callable[[], subprocess.Popen[bytes]]
) -> None:
    # One that comes while a run is under way ends it.
    script(folder, "echo $$ >> FOLDER/begun; test -e FOLDER/quick || exec sleep 120; echo $1 >> FOLDER/done")
    process = start(folder, "airflow-wall", "run", "nightly.yaml", "--date", "2013-07-01")
    wait_for((folder / "begun").exists)
    other = scheduler()
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 1, text
    assert "\nerror: another Airflow uses `.airflow`: its scheduler reported " in text
    task = int((folder / "begun").read_text())
    wait_for(lambda: not Path(f"/proc/{task}").exists(), seconds=10)

    # Beside it nothing is started.
    runs = query(folder, "SELECT run_id FROM dag_run")
    code, text = run(folder, "--date", "2013-07-02")
    assert code == 1, text
    assert "error: another Airflow uses `.airflow`: its scheduler reported " in text
    assert "hint: stop it" in text
    assert "AIRFLOW_HOME=" in text
    assert query(folder, "SELECT run_id FROM dag_run") == runs

    # When it has been stopped the run goes on: it was the other Airflow that stood in the way.
    other.send_signal(signal.SIGINT)
    other.wait(timeout=60)
    (folder / "quick").touch()
    code, text = run(folder, "--date", "2013-07-01")
    assert code == 0, text
    assert done(folder) == ["2013-07-01"]

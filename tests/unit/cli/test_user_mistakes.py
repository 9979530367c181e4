"""
A mistake of the user is a message with exit code 1, or a usage error, and never a fault of airflow-wall.

Waits for: a new process for each command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = "dag_id: good\ntasks:\n  - id: a\n"


def wall(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    program = "from airflow_wall.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=60,
        env={**os.environ, "COLUMNS": "120", **environment},
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "file").write_text("x\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder").mkdir()
    (tmp_path / "facts").write_text('{"name": 1, "component": []}\n')
    (tmp_path / "lake_file.yaml").write_text(GOOD.replace("tasks", "storage: ./file\ntasks"))
    (tmp_path / "text.db").write_text("no database\n" * 100)
    (tmp_path / "connections.yaml").write_text("text: {conn_type: sqlite, host: text.db}\n")
    (tmp_path / "broken.yaml").write_text("a: hunter2\n  b: c\n")
    (tmp_path / "list.yaml").write_text("- a\n")
    os.mkfifo(tmp_path / "fifo.yaml")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("graph good.yaml --svg none/x.svg", "error: `none/x.svg` cannot be written: no such file or directory"),
        ("graph good.yaml --svg folder", "error: `folder` cannot be written: is a directory"),
        ("graph good.yaml --svg file/x.svg", "error: `file/x.svg` cannot be written: not a directory"),
        ("schema -o none/x.json", "error: `none/x.json` cannot be written: no such file or directory"),
        ("schema -o folder", "error: `folder` cannot be written: is a directory"),
        ("validate fifo.yaml", "error: fifo.yaml:1:1: is not a regular file"),
        ("explain fifo.yaml", "error: fifo.yaml:1:1: is not a regular file"),
        ("graph fifo.yaml", "error: fifo.yaml:1:1: is not a regular file"),
        ("run fifo.yaml", "error: fifo.yaml:1:1: is not a regular file"),
        ("graph binary", "error: binary:1:1: holds no pipeline"),
        ("run binary", "error: binary:1:1: holds no pipeline"),
        ("doctor none", "error: `none`: no such file or directory"),
        ("doctor folder", "error: `folder`: is a directory"),
        ("doctor binary", "error: expected the facts of a component"),
        ("doctor facts", "error: expected the facts of a component"),
        ("run lake_file.yaml", "error: the lake `file` is not a directory"),
        ("run good.yaml --date x", "error: `--date` must be a date, got `x`"),
        ("query sql://text/t", "error: connection `text` (sqlite:///"),
        ("run good.yaml --connections broken.yaml", "error: `broken.yaml:2:4` is not YAML: mapping values are not"),
        ("run good.yaml --connections list.yaml", "error: `list.yaml` must be a mapping of connections by id"),
    ],
)
def test_mistake_is_a_message(project: Path, command: str, message: str) -> None:
    found = wall(*command.split(), cwd=project, AIRFLOW_HOME=str(project / "home"))
    output = found.stdout + found.stderr
    assert found.returncode == 1, output
    assert any(line.startswith(message) for line in output.splitlines())  # Airflow 3.2 logs to standard error before it
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "command",
    [
        "graph folder",
        "graph none",
        "run folder",
        "run good.yaml --date",
        "run good.yaml --connections none",
        "run good.yaml --connections folder",
        "query sql://a/t --connections none",
        "validate none",
        "validate good.yaml --format x",
    ],
)
def test_wrong_call_is_a_usage_error(project: Path, command: str) -> None:
    found = wall(*command.split(), cwd=project, AIRFLOW_HOME=str(project / "home"))
    assert found.returncode == 2
    assert "╭─ Error" in found.stderr


@pytest.mark.parametrize("home", ["file", "file/below"])
def test_home_that_is_a_file_is_reported(project: Path, home: str) -> None:
    found = wall("run", "good.yaml", cwd=project, AIRFLOW_HOME=home)
    assert found.returncode == 1
    assert found.stderr.startswith(f"error: `{project / 'file'}")
    assert "not a directory" in found.stderr


def test_relative_home_is_accepted(project: Path) -> None:
    (project / "op.yaml").write_text(
        "dag_id: op\ntasks:\n  - id: a\n    uses: airflow.providers.standard.operators.bash.BashOperator\n"
        "    with: {bash_command: ls}\n"
    )
    found = wall("validate", "--operators", "op.yaml", cwd=project, AIRFLOW_HOME="rel")
    assert (found.returncode, found.stdout) == (0, "1 pipeline in 1 file: all good\n"), found.stderr
    found = wall("query", "sql://nosuch/t", cwd=project, AIRFLOW_HOME="rel")
    assert found.returncode == 1
    assert found.stderr.startswith("error: connection `nosuch` is not defined")


def test_reader_that_closes_the_pipe_causes_no_error(project: Path) -> None:
    program = "from airflow_wall.cli.main import main; main()"
    read, write = os.pipe()
    os.close(read)
    for command in ("schema", "validate good.yaml", "graph good.yaml", "validate good.yaml --json"):
        found = subprocess.run(
            [sys.executable, "-c", program, *command.split()],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=project,
        )
        assert (found.returncode, found.stderr) == (1, ""), command
    os.close(write)


def test_one_id_in_many_documents_is_one_fault(project: Path) -> None:
    (project / "many.yaml").write_text("---\n".join(f"{GOOD}description: '{number}'\n" for number in range(99)))
    found = wall("validate", "many.yaml", "--format", "json", cwd=project)
    (fault,) = json.loads(found.stdout)
    assert fault["message"] == (
        "`dag_id` must be unique, got `good`, which is also that of `many.yaml:6`, `many.yaml:11`, `many.yaml:16`, "
        "`many.yaml:21`, `many.yaml:26`, `many.yaml:31`, `many.yaml:36`, `many.yaml:41` and 90 more"
    )
    assert len(found.stdout) < 1_000


def test_faults_of_one_file_are_bounded_in_every_format(project: Path) -> None:
    text = "---\n".join(
        f"dag_id: d{document}\ntasks:\n" + "".join(f"  - {{id: a{task}, {'x' * 900}: 1}}\n" for task in range(2))
        for document in range(99)
    )
    (project / "many.yaml").write_text(text)
    for kind in ("json", "github", "gitlab", "text"):
        found = wall("validate", "many.yaml", "--format", kind, cwd=project)
        assert found.returncode == 1
        assert "there are more than these 100 faults" in found.stdout
        assert len(found.stdout) < 350_000

"""`airflow-wall init` writes projects without a fault, and never over a file."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.errors import WallError
from airflow_wall.project.templates import TEMPLATES

FOLDER = Path(__file__).parents[3] / "airflow_wall" / "project" / "templates"


def call(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def written(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_file_of_a_template_is_whole(tmp_path: Path, name: str) -> None:
    call("init", tmp_path / "shop", "--template", name)
    assert call("validate", "--strict", tmp_path / "shop" / "dags").endswith("1 pipeline in 1 file: all good\n")
    files = written(tmp_path / "shop")
    assert {
        ".gitignore", ".pre-commit-config.yaml", ".vscode/settings.json", "README.md", "connections.yaml",
        "dags/pipelines.py", "requirements.txt",
    } <= files.keys()  # fmt: skip
    for path, text in files.items():
        assert "<<" not in text, path
        assert "<%" not in text, path
        if path.endswith(".py"):
            ast.parse(text)
        elif path.endswith(".json"):
            json.loads(text)
        elif path.endswith(".yaml"):
            yaml.safe_load(text)
    schema = json.loads(files[".vscode/settings.json"])["yaml.schemas"]
    assert all((tmp_path / "shop" / path).exists() for path in schema)
    assert "# shop\n" in files["README.md"]


@pytest.mark.parametrize(("ci", "path"), [("github", ".github/workflows/pipelines.yaml"), ("gitlab", ".gitlab-ci.yml")])
def test_continuous_integration_calls_the_script(tmp_path: Path, ci: str, path: str) -> None:
    call("init", tmp_path / "shop", "--ci", ci)
    files = written(tmp_path / "shop")
    assert yaml.safe_load(files[path])
    assert f"sh scripts/check.sh {ci}" in files[path]
    assert "scripts/check.sh" in files


def ask(answers: bytes, *arguments: str | Path) -> tuple[int, str]:
    """Call `airflow-wall init` on a terminal on which these answers are typed."""
    keyboard, terminal = os.openpty()
    os.write(keyboard, answers)
    command = [sys.executable, "-c", "from airflow_wall.cli.main import main; main()", "init", *arguments]
    result = subprocess.run(command, stdin=terminal, capture_output=True, text=True, timeout=60)
    os.close(keyboard)
    os.close(terminal)
    return result.returncode, result.stdout + result.stderr


def test_questions_are_asked_on_a_terminal(tmp_path: Path) -> None:
    code, output = ask(b"sql\nsql-only\ngithub\n", tmp_path / "shop")
    assert code == 0, output
    assert "template [minimal/training/sql-only/article] (minimal): Please select one of the available" in output
    assert {"dags/sales.yaml", ".github/workflows/pipelines.yaml"} <= written(tmp_path / "shop").keys()


def test_end_of_input_writes_nothing(tmp_path: Path) -> None:
    code, output = ask(b"\x04", tmp_path / "shop")
    assert code == 130
    assert "Traceback" not in output
    assert not (tmp_path / "shop").exists()


def test_nothing_is_asked_with_no_input(tmp_path: Path) -> None:
    code, output = ask(b"", "--no-input", tmp_path / "shop")
    assert code == 0, output
    assert "template [" not in output
    assert "dags/orders.yaml" in written(tmp_path / "shop")


def test_every_folder_is_a_template() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*TEMPLATES, "common", "csv", "ci", "ci-github", "ci-gitlab"}


def test_git_ignores_no_file_of_a_template() -> None:
    """The build leaves out of the wheel what git ignores."""
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(files) > 30
    result = subprocess.run(["git", "check-ignore", "--no-index", *files], cwd=FOLDER, capture_output=True, text=True)
    assert result.stdout == ""


def test_no_file_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text("mine")
    with pytest.raises(WallError) as error:
        call("init")
    assert str(error.value) == (
        "`README.md` exists already, and `init` overwrites no file; nothing was written\n\n"
        "hint: name another folder, or move the file away"
    )
    assert written(tmp_path) == {"README.md": "mine"}


def test_second_init_writes_nothing(tmp_path: Path) -> None:
    call("init", tmp_path / "shop")
    before = written(tmp_path)
    with pytest.raises(WallError, match="exist already, and `init` overwrites no file; nothing was written"):
        call("init", tmp_path / "shop", "--template", "training")
    assert written(tmp_path) == before


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dags").write_text("mine")
    with pytest.raises(WallError) as error:
        call("init")
    assert (
        str(error.value) == "`dags` must be a folder, and is a file\n\nhint: name another folder, or move the file away"
    )
    assert written(tmp_path) == {"dags": "mine"}

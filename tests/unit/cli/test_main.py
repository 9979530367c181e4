"""`airflow_wall.cli.main` imports a command when it is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_wall.cli.main import VERBS

COMMANDS = Path(__file__).parents[3] / "airflow_wall" / "cli"


def wall(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys\n"
        "from airflow_wall.cli.main import VERBS, app\n"
        "try:\n"
        "    app(prog_name='airflow-wall')\n"
        "finally:\n"
        "    loaded = [verb for verb in VERBS if f'airflow_wall.cli.{verb}' in sys.modules]\n"
        "    print('loaded:', *loaded, 'Airflow' if 'airflow' in sys.modules else '', file=sys.stderr)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **variables, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def loaded(result: subprocess.CompletedProcess[str]) -> list[str]:
    return result.stderr.splitlines()[-1].removeprefix("loaded:").split()


@pytest.mark.parametrize("arguments", [("validate", "--help"), ("releases", "rollback", "--help"), ("fmt", "--help")])
def test_command_imports_no_other_command(arguments: tuple[str, ...]) -> None:
    result = wall(*arguments)
    assert (result.returncode, loaded(result)) == (0, [arguments[0]])
    assert f"airflow-wall {' '.join(arguments[:-1])} [OPTIONS]" in result.stdout


def test_version_imports_no_command() -> None:
    assert loaded(wall("--version")) == []


def test_help_lists_all_commands_in_their_order() -> None:
    lines = [line.strip("│ ").split() for line in wall("--help").stdout.partition("─ Commands ─")[2].splitlines()]
    assert [words[0] for words in lines if words and words[0] in VERBS] == list(VERBS)


def test_wrong_command_gets_a_suggestion() -> None:
    result = wall("valdate")
    assert (result.returncode, loaded(result)) == (2, [])
    assert "No such command 'valdate'. Did you mean 'validate'?" in result.stderr


@pytest.mark.parametrize(
    ("words", "completions", "imported"),
    [
        ("airflow-wall val", ["validate"], ["validate"]),
        ("airflow-wall re", ["releases"], ["releases"]),
        ("airflow-wall validate --fi", ["--fix"], ["validate"]),
    ],
)
def test_shell_completion_imports_only_the_commands_it_offers(
    words: str, completions: list[str], imported: list[str]
) -> None:
    variables = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    result = wall(_AIRFLOW_WALL_COMPLETE="complete_bash", **variables)
    assert (result.stdout.split(), loaded(result)) == (completions, imported)


def test_each_module_with_a_command_of_its_name_is_a_verb() -> None:
    texts = {file.stem: file.read_text() for file in COMMANDS.glob("*.py")}
    commands = {name for name, text in texts.items() if text.startswith('"""`airflow-wall ' + name)}
    assert commands == set(VERBS)

"""
Every folder below `cases/` is a pipeline and what comes of it, and nothing else may come of it.

`expected_plan.json`: it is good. `expected_error.txt`: the whole text of its faults, which need no Airflow.
`expected_operators.txt`: the whole text of the faults that only its operators' classes can tell. A folder may hold other
files that belong to the pipeline, and `settings.json`, the settings of the deployment.

Waits for: each case once more in a child process with limits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.errors import SpecError
from airflow_wall.fronts.folder import build, load_dags
from airflow_wall.language.base import SpecModel
from airflow_wall.language.markers import Const, Import, Template, XComRef
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.check import Checked, check_files
from airflow_wall.planner.plan import Plan, TaskPlan
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name for path in CASES.iterdir() if (path / "pipeline.yaml").is_file())
BAD = [name for name in NAMES if (CASES / name / "expected_error.txt").exists()]
MISUSED = [name for name in NAMES if (CASES / name / "expected_operators.txt").exists()]
PIPELINE = Path("pipeline.yaml")
REWRITE = os.environ.get("REWRITE_CASES") == "1"
"""Set it to write what comes now; then read the difference before it is committed."""

ONLY_IN_VALIDATE = (
    "does not wait for",
    "only after it",
    "it writes itself",
    "that a task here writes",
    "no task here writes",
    "cannot run",
    "which the contract of",
)
"""Words of faults that `validate` reports and the DAG processor does not, or only as warnings."""

MAX_SECONDS = 0.1
MAX_BYTES = 64 << 20


def settings_of(case: Path) -> Settings:
    path = case / "settings.json"
    return Settings(**json.loads(path.read_text())) if path.exists() else Settings()


def text_of(checked: list[Checked]) -> str:
    """Return the output of `validate` for the files."""
    assert not [each.defect for each in checked if each.defect]
    return "\n\n".join(fault.render() for each in checked for fault in each.faults)


@pytest.mark.parametrize("case", NAMES)
def test_pipeline_gives_the_expected_plan_or_error(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / case)
    checked = check_files(yaml_files(Path()), settings_of(Path()))
    text = text_of(checked)
    if text:
        outcome, name = f"{text}\n", "expected_error.txt"
    elif Path("expected_operators.txt").exists():
        return  # good so far
    else:
        settings = settings_of(Path())
        plans = [made for each in checked for made in plan_all(load_specs(each.path, settings), settings)]
        outcome, name = shown(plans), "expected_plan.json"
    expected = Path(name)
    if REWRITE:
        expected.write_text(outcome, encoding="utf-8")
    assert expected.exists(), f"{case} gave no {name} but:\n{outcome}"
    assert outcome == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", BAD)
def test_fault_has_the_same_text_wherever_it_is_found(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / case)
    expected = Path("expected_error.txt").read_text(encoding="utf-8").rstrip("\n")
    settings = settings_of(Path())
    for name in ("environment", "policy"):
        if getattr(settings, name):
            monkeypatch.setenv(f"AIRFLOW__WALL__{name.upper()}", getattr(settings, name))

    validated = CliRunner().invoke(app, ["validate", "."])
    assert validated.exit_code == 1
    # After the files that are passed over, and before the count.
    assert validated.stdout.partition("error: ")[2].rpartition("\n\n")[0] == expected.removeprefix("error: ")

    if "(in environment `" in expected:
        return  # a fault only where another environment is in force
    if len(list(Path().glob("*.yaml"))) > 1 and "must be unique" in expected:
        assert "\n\n".join(build(yaml_files(Path()), settings, None)[1].values()) == expected
        return
    if any(words in expected for words in ONLY_IN_VALIDATE):
        return  # a warning of the DAG processor, or a fault that only the other files of the folder show
    with pytest.raises(SpecError) as planned:
        plan_all(load_specs(PIPELINE, settings), settings)
    assert str(planned.value) == expected
    with pytest.raises(SpecError) as loaded:
        load_dags(PIPELINE, settings)
    assert str(loaded.value) == expected
    run = CliRunner().invoke(app, ["run", "pipeline.yaml"])
    assert isinstance(run.exception, SpecError)
    assert str(run.exception) == expected


@pytest.mark.parametrize("case", MISUSED)
def test_fault_that_an_operator_tells_has_the_same_text_in_validate_and_build(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES / case)
    settings = settings_of(Path())
    with pytest.raises(SpecError) as built:
        load_dags(PIPELINE, settings)
    path = Path("expected_operators.txt")
    if REWRITE:
        path.write_text(f"{built.value}\n", encoding="utf-8")
    expected = path.read_text(encoding="utf-8").rstrip("\n")
    assert str(built.value) == expected
    validated = CliRunner().invoke(app, ["validate", "--operators", "pipeline.yaml"])
    assert validated.exit_code == 1
    assert validated.stdout.rpartition("\n\n")[0] == expected


def test_there_are_many_cases() -> None:
    assert len(BAD) + len(MISUSED) >= 150


MEASURE = """
import json, os, resource, sys, time
from pathlib import Path
from airflow_wall.planner.check import check_files
from airflow_wall.loader.discover import yaml_files
from airflow_wall.settings import Settings
from airflow_wall.language.base import SpecModel

def check():
    path = Path("settings.json")
    check_files(list(yaml_files(Path())), Settings(**json.loads(path.read_text())) if path.exists() else Settings())

def seconds():
    before = time.process_time()
    check()
    return time.process_time() - before

cases = [Path(name) for name in sys.argv[1:]]
os.chdir(cases[0])
check()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = {}
for case in cases:
    os.chdir(case)
    check()  # what only this one imports
    found[case.name] = min(seconds() for _ in range(3))
print(json.dumps([found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def test_every_case_is_refused_in_bounded_time_and_memory() -> None:
    command = [sys.executable, "-c", MEASURE, *(str(CASES / name) for name in BAD)]
    seconds, kilobytes = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(seconds) == len(BAD)
    assert {name: taken for name, taken in seconds.items() if taken > MAX_SECONDS} == {}
    assert kilobytes * 1024 < MAX_BYTES  # of all of them together, with what they import


CALLS = ("on_success", "on_failure", "notify", "deadline")
"""Parts of a plan that most pipelines lack."""


def shown(plans: list[Plan]) -> str:
    """Return plans as text, without paths of this machine."""
    return "\n".join(
        json.dumps(
            {
                "dag_id": made.dag_id,
                "arguments": made.arguments,
                **{name: value for name in CALLS if (value := getattr(made, name))},
                "default_args": made.default_args,
                "groups": [group.group_id for group in made.groups],
                "tasks": {
                    task.task_id: {
                        "uses": task.uses,
                        "with": task.arguments,
                        "settings": task.settings,
                        "upstream": task.upstream,
                        "closes": task.closes,
                        **cleaning(task),
                    }
                    for task in made.tasks
                },
            },
            indent=2,
            default=plain,
        )
        + "\n"
        for made in plans
    )


def cleaning(task: TaskPlan) -> dict[str, Any]:
    """Return the keys that only few tasks have, if they are set."""
    names = ("mapped", "setup", "teardown", "on_failure_fail_dagrun")
    return {name: getattr(task, name) for name in names if getattr(task, name) not in ({}, False, None)}


def plain(value: Any) -> Any:
    if isinstance(value, Template):
        return {"$t": value.text}
    if isinstance(value, XComRef):
        return {"$x": {"task": value.task, "key": value.key}}
    if isinstance(value, Const):
        return {"$const": value.value}
    if isinstance(value, SpecModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Import):
        return {"$import": value.reference}
    return str(value)

"""Every folder below `cases/` is a pipeline and what comes of it: the plan, or the whole text of the error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.compiler.plan import Plan, plan_all
from airflow_wall.errors import SpecError
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings
from airflow_wall.spec.base import SpecModel
from airflow_wall.spec.markers import Const, Template, XComRef

CASES = Path(__file__).parent / "cases"
REWRITE = os.environ.get("REWRITE_CASES") == "1"
"""Set it to write what comes now; then read the difference before it is committed."""


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir() if (path / "pipeline.yaml").exists()))
def test_pipeline_gives_the_expected_plan_or_error(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / case)
    try:
        outcome, name = (
            shown(plan_all(load_specs(Path("pipeline.yaml"), Settings()), Settings())),
            "expected_plan.json",
        )
    except SpecError as error:
        outcome, name = f"{error}\n", "expected_error.txt"
    expected = Path(name)
    if REWRITE:
        expected.write_text(outcome, encoding="utf-8")
    assert expected.exists(), f"{case} gave no {name} but:\n{outcome}"
    assert outcome == expected.read_text(encoding="utf-8")


def shown(plans: list[Plan]) -> str:
    """What a plan says, without where it lies on this machine."""
    return "\n".join(
        json.dumps(
            {
                "dag_id": made.dag_id,
                "arguments": made.arguments,
                "default_args": made.default_args,
                "groups": [group.group_id for group in made.groups],
                "tasks": {
                    task.task_id: {
                        "uses": task.uses,
                        "with": task.arguments,
                        "settings": task.settings,
                        "upstream": task.upstream,
                        "closes": task.closes,
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


def plain(value: Any) -> Any:
    if isinstance(value, Template):
        return {"$t": value.text}
    if isinstance(value, XComRef):
        return {"$x": {"task": value.task, "key": value.key}}
    if isinstance(value, Const):
        return {"$const": value.value}
    if isinstance(value, SpecModel):
        return value.model_dump(mode="json", exclude_unset=True)
    return str(value)

"""Schedules as Airflow has them after it has written a DAG to its database and read it again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_wall.dag.build import build_dag
from airflow_wall.errors import SpecError
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings

TRIGGER = "airflow.providers.standard.triggers.file.FileDeleteTrigger"


def build(folder: Path, head: str) -> DAG:
    path = folder / "pipeline.yaml"
    path.write_text(f"dag_id: scores\n{head}\ntasks:\n  - id: a\n")
    (spec,) = load_specs(path, Settings())
    return build_dag(plan(spec, Settings()))


def stored(dag: DAG) -> Any:
    """The DAG as the scheduler reads it."""
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def expression(folder: Path, schedule: str) -> Any:
    return stored(build(folder, f"schedule: {schedule}")).timetable.asset_condition.as_expression()


def asset(name: str, uri: str | None = None, group: str = "asset") -> dict[str, Any]:
    return {"asset": {"uri": uri or name, "name": name, "group": group}}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("{assets: raw}", asset("raw")),
        ("{assets: [raw, prices]}", {"all": [asset("raw"), asset("prices")]}),
        ("{assets: {or: [raw, prices]}}", {"any": [asset("raw"), asset("prices")]}),
        (
            "{assets: {or: [a, {and: [b, {name: c, uri: 'file:///lake/c/', group: lake}]}, {alias: d}]}}",
            {
                "any": [
                    asset("a"),
                    {"all": [asset("b"), asset("c", "file:///lake/c", "lake")]},
                    {"alias": {"name": "d", "group": "asset"}},
                ]
            },
        ),
    ],
    ids=["one", "all", "any", "nested"],
)
def test_assets_are_what_the_scheduler_waits_for(tmp_path: Path, schedule: str, expected: object) -> None:
    assert expression(tmp_path, schedule) == expected


def test_assets_beside_a_clock(tmp_path: Path) -> None:
    head = "schedule: {assets: [raw, prices], cron: '0 3 * * *'}\ntimezone: America/New_York"
    timetable = stored(build(tmp_path, head)).timetable
    assert type(timetable).__name__ == "AssetOrTimeSchedule"
    assert timetable.asset_condition.as_expression() == {"all": [asset("raw"), asset("prices")]}
    assert "03:00" in timetable.timetable.description
    assert timetable.timetable._timezone.name == "America/New_York"


def test_a_watcher_is_built_from_its_class(tmp_path: Path) -> None:
    watched = (
        f"{{uri: 'file:///lake/raw', watchers: [{{name: gone, trigger: {{uses: {TRIGGER}, with: {{filepath: /x}}}}}}]}}"
    )
    dag = build(tmp_path, f"schedule: {{assets: {watched}}}")
    (watcher,) = dag.timetable.asset_condition.watchers  # type: ignore[union-attr]
    assert (watcher.name, watcher.trigger.filepath) == ("gone", "/x")
    stored(dag)


def test_a_watcher_whose_class_does_not_exist_is_the_users_fault(tmp_path: Path) -> None:
    watched = "{uri: 'file:///lake/raw', watchers: [{name: gone, trigger: {uses: no.such.Trigger}}]}"
    with pytest.raises(SpecError, match=r"there is no module `no\.such`"):
        build(tmp_path, f"schedule: {{assets: {watched}}}")


def test_a_duration_is_an_interval(tmp_path: Path) -> None:
    assert build(tmp_path, "schedule: 6h\nstart_date: 2026-01-01").schedule == timedelta(hours=6)


def test_settings_of_the_head_reach_the_stored_dag(tmp_path: Path) -> None:
    dag = stored(
        build(
            tmp_path,
            "dagrun_timeout: 2h\nallowed_run_types: manual\nrender_template_as_native_obj: true\n"
            "disable_bundle_versioning: true\nfail_fast: true\nmax_consecutive_failed_dag_runs: 3",
        )
    )
    assert dag.dagrun_timeout == timedelta(hours=2)
    assert [str(each) for each in dag.allowed_run_types] == ["manual"]
    assert (dag.render_template_as_native_obj, dag.disable_bundle_versioning, dag.fail_fast) == (True, True, True)
    assert dag.max_consecutive_failed_dag_runs == 3

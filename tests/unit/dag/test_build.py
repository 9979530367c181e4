"""Plan to DAG."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow.sdk import DAG
from packaging.version import Version

from airflow_wall.dag.build import build_dag
from airflow_wall.dag.signatures import OPERATORS
from airflow_wall.errors import SpecError
from airflow_wall.language.step_registry import STEPS
from airflow_wall.loader.load import load_specs
from airflow_wall.notifications.notifier import record_error
from airflow_wall.operators.ingest import IngestOperator
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings

PIPELINE = Path(__file__).parents[3] / "dags" / "platform_scores.yaml"
SENSOR = "airflow.providers.standard.sensors.filesystem.FileSensor"
BASH = "airflow.providers.standard.operators.bash.BashOperator"


def build(folder: Path, text: str) -> DAG:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    (spec,) = load_specs(path, Settings())
    return build_dag(plan(spec, Settings()))


def test_article_has_only_the_edges_that_airflow_adds_to_a_pair() -> None:
    (spec,) = load_specs(PIPELINE, Settings())
    made = plan(spec, Settings())
    dag = build_dag(made)
    planned = {(other, task.task_id) for task in made.tasks for other in task.upstream}
    built = {(task.task_id, below) for task in dag.tasks for below in task.downstream_task_ids}
    assert built - planned == {("start_cluster", "stop_cluster"), ("start_sender", "stop_sender")}
    assert planned - built == set()
    assert [task.task_id for task in dag.tasks if task.is_setup] == ["start_cluster", "start_sender"]
    assert [task.task_id for task in dag.tasks if task.is_teardown] == ["stop_cluster", "stop_sender"]


def test_tables_of_steps_and_operators_agree() -> None:
    assert list(STEPS) == list(OPERATORS)


def test_settings_reach_the_dag_and_its_tasks(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        "dag_id: churn\nschedule: '0 3 * * *'\ntimezone: America/New_York\nstart_date: 2013-01-01\ncatchup: false\n"
        "default_args: {retries: 2, owner: team}\ntasks:\n  - id: g\n    default_args: {retries: 3}\n    tasks:\n"
        "      - id: a\n        retry_delay: 5m\n        retry_exponential_backoff: 1.5\n      - id: b\n        retries: 4\n",
    )
    a, b = dag.get_task("g.a"), dag.get_task("g.b")
    assert (a.retries, b.retries, a.owner, a.retry_delay.total_seconds()) == (3, 4, "team", 300)
    assert (a.retry_exponential_backoff, b.retry_exponential_backoff) == (1.5, 0)
    assert dag.start_date is not None
    assert dag.start_date.isoformat() == "2013-01-01T05:00:00+00:00"
    assert str(dag.timezone) == "America/New_York"
    assert dag.task_group.get_child_by_label("g").group_id == "g"  # type: ignore[attr-defined]


def test_values_are_literal_unless_marked(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        f"dag_id: churn\ntasks:\n  - id: a\n    uses: {BASH}\n"
        '    with: {bash_command: {$t: "echo {{ ds }}"}, cwd: "/{{ x }}"}\n',
    )
    task = dag.get_task("a")
    assert "bash_command" in task.template_fields
    assert "cwd" not in task.template_fields
    assert "env" in task.template_fields


def test_xcom_marker_makes_an_edge(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        f"dag_id: churn\ntasks:\n  - id: a\n    uses: {BASH}\n    with: {{bash_command: {{$x: b}}}}\n  - id: b\n",
    )
    assert dag.get_task("a").upstream_task_ids == {"b"}


def test_step_takes_the_defaults_of_the_dag_and_its_place_in_the_graph(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        "dag_id: churn\nstart_date: 2013-01-01\ndefault_args: {retries: 2, retry_delay: 5m}\nparams: {limit: 3}\ntasks:\n"
        "  - id: a\n    uses: get_credentials\n    retries: 4\n    with: {conn_id: {$x: b}}\n  - id: b\n",
    )
    task = dag.get_task("a")
    assert (task.retries, task.retry_delay.total_seconds()) == (4, 300)
    assert (task.start_date, task.dag, task.upstream_task_ids) == (dag.start_date, dag, {"b"})
    assert dag.get_task("b").downstream_task_ids == {"a"}


def test_every_operator_that_rejects_its_arguments_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        build(
            tmp_path,
            f"dag_id: churn\ntasks:\n  - id: a\n    uses: {BASH}\n    with: {{bash_command: ls, skip_on_exit_code: x}}\n"
            f"  - id: b\n    needs: a\n  - id: c\n    uses: {SENSOR}\n"
            "    with: {filepath: x, poke_interval: soon}\n  - id: d\n    needs: c\n  - id: e\n"
            f"    uses: {SENSOR}\n    with: {{filepath: x, poke_interval: -1}}\n",
        )
    assert re.findall(r"error: .*", str(error.value)) == [
        f"error: {tmp_path}/pipeline.yaml:{line}:11: `tasks[{task}].uses` names "
        f"`{SENSOR}`, which rejects the arguments of `{task}`: "
        "Operator arg `poke_interval` must be timedelta object or a non-negative number"
        for line, task in ((9, "c"), (14, "e"))
    ]


def test_steps_know_where_their_files_are() -> None:
    (spec,) = load_specs(PIPELINE, Settings())
    task = build_dag(plan(spec, Settings())).get_task("etl_domain_2.ingest")
    assert isinstance(task, IngestOperator)
    assert (task.source, task.target, task.cluster) == ("landing/domain_2", "bronze/domain_2", "start_cluster")
    assert task.storage == str(PIPELINE.parents[1] / "lake")
    assert task.place is not None
    assert task.place.startswith(f"{PIPELINE}:")


def test_what_this_airflow_is_too_old_for_is_refused(tmp_path: Path) -> None:
    text = "dag_id: churn\ntasks:\n  - id: g\n    doc_md: What it is for.\n    tasks: [{id: a}]\n"
    if Version(airflow.__version__) >= Version("3.3"):
        assert build(tmp_path, text).task_group.children["g"].doc_md == "What it is for."  # type: ignore[attr-defined]
        return
    with pytest.raises(SpecError, match=rf"`tasks\[g\]\.doc_md` needs Airflow 3\.3; this is {airflow.__version__}"):
        build(tmp_path, text)


def test_ids_of_a_group_without_a_prefix_are_airflows(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        "dag_id: churn\ntasks:\n  - id: outer\n    prefix_group_id: false\n    tasks:\n      - {id: load}\n"
        "      - {id: inner, needs: load, tasks: [{id: check, params: {n: {type: integer, default: 3}}}]}\n  - {id: end, needs: outer}\n",
    )
    assert [task.task_id for task in dag.tasks] == ["load", "inner.check", "end"]
    assert dag.get_task("inner.check").params["n"] == 3
    assert dag.get_task("end").upstream_task_ids == {"inner.check"}


def test_task_that_reads_too_early_is_a_warning_in_the_log_and_on_the_page(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = (
        "dag_id: early\ntasks:\n  - {id: load, uses: ingest, with: {source: landing, target: bronze/orders}}\n"
        "  - id: clean\n    uses: transform\n"
        "    with: {sql: select * from raw, inputs: {raw: bronze/orders}, target: silver/orders}\n"
    )
    dag = build(tmp_path, text)
    words = "reads `bronze/orders`, which `load` writes, but does not wait for it"
    assert f"warning: {tmp_path}/pipeline.yaml:6:50: `tasks[clean].with.inputs.raw` {words}" in caplog.text
    assert str(dag.doc_md).startswith("> **Tasks read tables too early.**")
    assert f"> - line 6: `tasks[clean].with.inputs.raw` {words}; add `needs: load`" in str(dag.doc_md)
    caplog.clear()
    good = build(tmp_path, text.replace("uses: transform", "uses: transform\n    needs: load"))
    assert caplog.text == ""
    assert str(good.doc_md).startswith("Built by airflow-wall")


@pytest.mark.parametrize(
    ("version", "is_error"), [("0.1.9", False), ("0.2.0.dev1", True), ("0.2.0", True), ("1.0", True)]
)
def test_task_that_reads_too_early_is_an_error_from_one_release_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, is_error: bool
) -> None:
    monkeypatch.setattr("airflow_wall.dag.early_reads.installed_version", lambda: version)
    text = (
        "dag_id: early\ntasks:\n  - {id: load, uses: ingest, with: {source: landing, target: bronze/orders}}\n"
        "  - {id: clean, uses: transform, with: {sql: select 1 as x, inputs: {raw: bronze/orders}, target: silver/orders}}\n"
    )
    if is_error:
        with pytest.raises(SpecError, match=r"`bronze/orders`, which `load` writes, but does not wait for it"):
            build(tmp_path, text)
    else:
        assert build(tmp_path, text).get_task("clean").checks_order is False
    assert (
        build(tmp_path, text.replace("uses: transform", "needs: load, uses: transform")).get_task("clean").checks_order
    )


RETRAIN = "uses: retrain, with: {entrypoint: 'm:train', inputs: {a: {table: a, external: true}}, approve: true"

one_or_mapped = pytest.mark.parametrize("own", [", model: value}", "}, expand: {model: [one, two]}"])


def build_approved(folder: Path, head: str, own: str) -> DAG:
    return build(folder, f"dag_id: churn\nstart_date: 2024-03-01\n{head}\ntasks:\n  - {{id: fit, {RETRAIN}{own}}}\n")


@one_or_mapped
def test_an_approval_is_in_the_group_of_its_task_and_keeps_its_own_trigger_rule(tmp_path: Path, own: str) -> None:
    dag = build(
        tmp_path,
        "dag_id: churn\nstart_date: 2024-03-01\ndefault_args: {trigger_rule: always}\n"
        f"tasks:\n  - id: g\n    tasks:\n      - {{id: fit, {RETRAIN}{own}}}\n",
    )
    assert [task.task_id for task in dag.tasks] == ["g.fit", "g.fit_approval", "g.fit_promotion"]
    rules = [task.trigger_rule for task in dag.tasks]
    assert rules == ["always", "all_success", "all_success"]
    assert "g.fit" in dag.get_task("g.fit_approval").upstream_task_ids
    assert "g.fit_approval" in dag.get_task("g.fit_promotion").upstream_task_ids


@one_or_mapped
def test_an_approval_waits_for_its_human_as_long_as_it_takes(tmp_path: Path, own: str) -> None:
    dag = build_approved(tmp_path, "default_args: {execution_timeout: 1h}", own)
    approval: Any = dag.get_task("fit_approval")
    assert (approval.execution_timeout, approval.response_timeout) == (None, None)
    assert dag.get_task("fit_promotion").execution_timeout == timedelta(hours=1)


@one_or_mapped
def test_errors_of_an_approval_are_in_the_notification_of_a_failed_run(tmp_path: Path, own: str) -> None:
    dag = build_approved(tmp_path, "notify: {failure: {email: {to: a@example.org}}}", own)
    assert [record_error in task.on_failure_callback for task in dag.tasks] == [True, True, True]


def test_a_task_with_the_id_of_an_approval_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        build(
            tmp_path,
            f"dag_id: churn\nstart_date: 2024-03-01\ntasks:\n  - {{id: fit, {RETRAIN}, model: value}}}}\n"
            "  - id: fit_approval\n",
        )
    assert str(error.value).startswith(
        f"error: {tmp_path}/pipeline.yaml:4:110: `tasks[fit].with.approve` adds tasks that Airflow rejects: "
        "Task id 'fit_approval' has already been added to the Dag\n"
    )

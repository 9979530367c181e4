"""Callbacks, notifications and deadlines of a DAG."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.callback import AsyncCallback, SyncCallback
from airflow.serialization.serialized_objects import DagSerialization

from airflow_wall.dag.build import build_dag
from airflow_wall.errors import SpecError
from airflow_wall.loader.load import load_specs
from airflow_wall.notifications.notifier import Notification, record_error
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings

SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"


def build(folder: Path, head: str, tasks: str = "  - id: a\n") -> DAG:
    path = folder / "pipeline.yaml"
    path.write_text(f"dag_id: scores\n{head}\ntasks:\n{tasks}")
    (spec,) = load_specs(path, Settings())
    return build_dag(plan(spec, Settings()))


def test_callbacks_and_notifications_hang_on_the_dag_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "pager.py").write_text("called = []\ndef page(context):\n    called.append(context)\n")
    head = "on_failure_callback: pager:page\nnotify: {failure: {email: {to: a@example.org}}, success: {email: {to: b@example.org}}}"
    dag = build(tmp_path, head)
    page, mail = dag.on_failure_callback  # type: ignore[misc, union-attr]
    assert page.__name__ == "page"
    assert isinstance(mail, Notification)
    assert mail.arguments["to"] == ["a@example.org"]
    assert len(dag.on_success_callback) == 1  # type: ignore[arg-type]
    assert dag.get_task("a").on_failure_callback == [record_error]
    stored = DagSerialization.to_dict(dag)["dag"]
    assert (stored["has_on_failure_callback"], stored["has_on_success_callback"]) == (True, True)


def test_retries_hang_on_every_task(tmp_path: Path) -> None:
    dag = build(tmp_path, "notify: {retry: {email: {to: a@example.org}}}", "  - id: a\n  - id: b\n")
    for task_id in ("a", "b"):
        (notification,) = dag.get_task(task_id).on_retry_callback
        assert isinstance(notification, Notification)
        assert notification.event == "retry"


def test_a_notifier_by_its_path_may_be_a_callback(tmp_path: Path) -> None:
    dag = build(tmp_path, f"on_success_callback: {{uses: {SMTP}, with: {{to: a@example.org}}}}")
    (called,) = dag.on_success_callback  # type: ignore[misc, union-attr]
    assert called.to == "a@example.org"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("on_failure_callback: pager:page", "`on_failure_callback` cannot be used: "),
        ("on_failure_callback: {uses: no.such.Notifier}", "`on_failure_callback.uses` names `no.such.Notifier`: "),
        (
            "notify: {failure: {uses: no.such.Notifier}}",
            "`notify.failure.uses` names `no.such.Notifier`: there is no module `no.such`",
        ),
        (
            f"notify: {{failure: {{uses: {SMTP}, with: {{to: a, nobody: b}}}}}}",
            "`notify.failure.with.nobody` is not an argument of `SmtpNotifier`",
        ),
        (
            "deadline: {interval: 2h, callback: {uses: no.such.function}}",
            "`deadline.callback.uses` names `no.such.function`: there is no module `no.such`",
        ),
    ],
    ids=["no function", "no class", "no notifier", "no such argument", "no callback of a deadline"],
)
def test_callback_that_cannot_be_called_is_reported_with_its_position(tmp_path: Path, head: str, expected: str) -> None:
    with pytest.raises(SpecError) as error:
        build(tmp_path, head)
    assert f"{tmp_path}/pipeline.yaml:2:" in str(error.value)
    assert expected in str(error.value)


def test_a_provider_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slack = "airflow.providers.slack"
    loaded = [name for name in sys.modules if name.startswith(f"{slack}.")]  # by a test before this one
    for name in [slack, *loaded]:
        monkeypatch.setitem(sys.modules, name, None)  # Python then finds nothing of that name
    with pytest.raises(SpecError) as error:
        build(tmp_path, "notify: {failure: {slack: {channel: '#data'}}}")
    assert str(error.value) == (
        f"error: {tmp_path}/pipeline.yaml:2:19: `notify.failure` needs the package `apache-airflow-providers-slack`, which is "
        "not installed\n  2 | notify: {failure: {slack: {channel: '#data'}}}\n    |                   ^\n\n"
        "hint: install `apache-airflow-providers-slack` where DAGs are parsed, and for a deadline where triggers run"
    )


def deadline(dag: DAG) -> Any:
    (found,) = dag.deadline  # type: ignore[misc, union-attr]
    DagSerialization.from_dict(DagSerialization.to_dict(dag))
    return found


def test_triggerer_reports_a_missed_deadline(tmp_path: Path) -> None:
    found = deadline(build(tmp_path, "deadline: {interval: 2h}\nnotify: {deadline: {email: {to: a@example.org}}}"))
    assert found.interval == timedelta(hours=2)
    assert found.reference.reference_name == "DagRunQueuedAtDeadline"
    assert isinstance(found.callback, AsyncCallback)
    assert found.callback.path == "airflow_wall.notifications.notifier.missed"
    (notice,) = found.callback.kwargs["notices"]
    assert notice["uses"] == SMTP
    assert notice["arguments"]["subject"] == {"$t": "{{ notice.subject }}"}


def test_deadlines_count_from_what_they_say(tmp_path: Path) -> None:
    callback = "callback: {uses: json.dumps, with: {obj: 1}}"
    found = deadline(
        build(tmp_path, f"deadline: {{reference: {{average_runtime: {{max_runs: 5}}}}, interval: 2h, {callback}}}")
    )
    assert (found.reference.max_runs, found.reference.min_runs) == (5, 5)
    assert isinstance(found.callback, SyncCallback)
    assert (found.callback.path, found.callback.kwargs) == ("json.dumps", {"obj": 1})
    head = f"timezone: Europe/Lisbon\ndeadline: {{reference: {{fixed_datetime: 2026-07-01}}, interval: 2h, {callback}}}"
    found = deadline(build(tmp_path, head))
    assert found.reference._datetime == datetime(2026, 6, 30, 23, tzinfo=UTC)


def test_the_page_holds_the_documentation_and_the_yaml(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/platform.md").write_text("# Scores\nfor *everybody*\n")
    page = build(tmp_path, "doc_md: docs/platform.md  # ``` in a comment").doc_md
    assert page is not None
    assert page.startswith(
        "# Scores\nfor *everybody*\n\n\nBuilt by airflow-wall from `pipeline.yaml`\n\n````yaml\ndag_id: scores\n"
    )
    assert page.endswith("````\n")

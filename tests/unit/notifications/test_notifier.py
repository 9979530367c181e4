"""Notifications are sent by notifiers with the right arguments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseNotifier

from airflow_wall.notifications.notifier import ERROR_KEY, Notification, make_notifier, missed, record_error
from airflow_wall.operators.publish import PublishOperator

HERE = f"{__name__}."
sent: list[dict[str, Any]] = []


class Recorder(BaseNotifier):
    """A notifier that fills in its texts and keeps them."""

    template_fields: Sequence[str] = ("text", "blocks")

    def __init__(self, text: str = "", blocks: Any = None, plain: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text, self.blocks, self.plain = text, blocks, plain

    def notify(self, context: Any) -> None:
        sent.append({"text": self.text, "blocks": self.blocks, "plain": self.plain})


class AsyncRecorder(Recorder):
    """A notifier that sends without blocking."""

    async def async_notify(self, context: Any) -> None:
        self.notify(context)


class Broken(Recorder):
    """A notifier whose server does not answer."""

    def notify(self, context: Any) -> None:
        raise ConnectionError("away")


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    sent.clear()


def context(**more: Any) -> dict[str, Any]:
    return {"dag": DAG("scores"), "run_id": "run_1", **more}


def test_only_what_is_marked_is_filled_in() -> None:
    arguments = {"text": {"$t": "{{ notice.subject }}"}, "blocks": ["{{ run_id }}"], "plain": "{{ run_id }}"}
    Notification("failure", f"{HERE}Recorder", arguments)(context())
    assert sent == [{"text": "scores failed", "blocks": ["{{ run_id }}"], "plain": "{{ run_id }}"}]


def test_beside_a_marked_text_a_plain_one_stays_literal() -> None:
    blocks = [{"a": {"$t": "{{ notice.run_id }}"}, "b": "{{ notice.run_id }}", "c": {"$const": {"$t": "{{ x }}"}}}]
    Notification("failure", f"{HERE}Recorder", {"blocks": blocks})(context())
    assert sent[0]["blocks"] == [{"a": "run_1", "b": "{{ notice.run_id }}", "c": {"$t": "{{ x }}"}}]


def test_what_a_message_is_filled_with_is_not_filled_in_again() -> None:
    arguments = {"text": {"$t": "{{ notice.text }}"}}
    Notification("failure", f"{HERE}Recorder", arguments)(context(reason="{{ 7 * 7 }}"))
    assert "reason: {{ 7 * 7 }}" in sent[0]["text"]


def test_a_notification_is_made_anew_each_time() -> None:
    notification = Notification("success", f"{HERE}Recorder", {"text": {"$t": "{{ notice.run_id }}"}})
    notification(context())
    notification({**context(), "run_id": "run_2"})
    assert [item["text"] for item in sent] == ["run_1", "run_2"]


def test_a_failure_names_the_tasks_that_failed() -> None:
    states = {"run_1": {"fit": "failed", "load": "success"}}
    xcom = SimpleNamespace(get_task_states=lambda **_: states, xcom_pull=lambda **_: None)
    Notification("failure", f"{HERE}Recorder", {"text": {"$t": "{{ notice.text }}"}})(context(ti=xcom))
    assert "failed: fit" in sent[0]["text"]


def test_failure_is_reported_without_the_failed_tasks() -> None:
    def away(**_: Any) -> None:
        raise ConnectionError("away")

    ti = SimpleNamespace(task_id="load", get_task_states=away, log=SimpleNamespace(exception=lambda *_: None))
    Notification("failure", f"{HERE}Recorder", {"text": {"$t": "{{ notice.subject }}"}})(context(ti=ti))
    assert sent[0]["text"] == "scores failed"


def test_both_kinds_of_notifier_report_a_missed_deadline() -> None:
    arguments = {"text": {"$t": "{{ notice.text }}"}}
    notices = [{"uses": f"{HERE}{kind}", "arguments": arguments} for kind in ("Recorder", "AsyncRecorder")]
    messages = {
        "dag_run": {"dag_id": "scores", "dag_run_id": "run_1"},
        "deadline": {"deadline_time": "2026-01-01T00:00:00Z"},
    }
    asyncio.run(missed(notices, context=messages))
    assert len(sent) == 2
    for item in sent:
        assert item["text"].startswith(
            "scores missed its deadline\nrun: run_1\nreason: it was due at 2026-01-01T00:00:00Z\n"
        )


def test_one_server_that_is_away_keeps_nothing_from_the_others() -> None:
    notices = [{"uses": f"{HERE}{kind}", "arguments": {"text": "x"}} for kind in ("Broken", "AsyncRecorder")]
    with pytest.raises(ConnectionError, match="away"):
        asyncio.run(missed(notices, context={"dag_run": {}, "deadline": {}}))
    assert [item["text"] for item in sent] == ["x"]


def test_other_class_than_a_notifier_is_rejected() -> None:
    with pytest.raises(TypeError, match=r"`json\.JSONDecoder` is not a notifier"):
        make_notifier("json.JSONDecoder", {})


def test_an_argument_that_is_not_filled_in_holds_no_marker() -> None:
    with pytest.raises(TypeError, match=r"`plain` of `.*Recorder` cannot hold a marker"):
        make_notifier(f"{HERE}Recorder", {"plain": {"$t": "{{ ds }}"}})


def test_a_success_names_the_slices_that_its_release_leaves_out() -> None:
    with DAG("scores", schedule=None) as dag:
        PublishOperator(task_id="publish", release="r", table="gold/t", to=[{"to": "files://t"}])
    withheld = [{"table": "gold/t", "slice": "20130701T000000Z", "reason": "`check` failed: range of x"}]
    results = {"publish": {"parts": {"publish.1": {"withheld": withheld}, "publish.2": {"withheld": withheld}}}}
    ti = SimpleNamespace(xcom_pull=lambda task_ids: results[task_ids])
    Notification("success", f"{HERE}Recorder", {"text": {"$t": "{{ notice.text }}"}})(context(dag=dag, ti=ti))
    assert sent[0]["text"].splitlines()[2:4] == [
        "withheld: gold/t, slice 20130701T000000Z: `check` failed: range of x",
        "clear the run of that date after the data are correct, or: "
        "airflow-wall tables drop-slice gold/t 20130701T000000Z --reason WHY",
    ]


class Instance:
    """The part of a task instance that callbacks use."""

    def __init__(self, states: dict[str, str]) -> None:
        self.states = states
        self.xcoms: dict[tuple[str, str], Any] = {}
        self.task_id = ""

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[self.task_id, key] = value

    def xcom_pull(self, task_ids: str, key: str) -> Any:
        return self.xcoms.get((task_ids, key))

    def get_task_states(self, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        return {run_ids[0]: self.states}


def test_a_failure_has_the_errors_of_its_tasks() -> None:
    ti = Instance({"load": "failed", "fit": "failed", "after": "upstream_failed"})
    ti.task_id = "load"
    record_error({"ti": ti, "exception": ValueError("no file")})
    record_error({"ti": ti})  # a killed task has no exception, and the recorded one stays
    Notification("failure", f"{HERE}Recorder", {"text": {"$t": "{{ notice.text }}"}})(
        context(ti=ti, reason="task_failure")
    )
    assert "load: no file\n" in sent[0]["text"]
    assert "fit: its process ended without an error" in sent[0]["text"]


def test_a_mapped_task_has_its_first_error() -> None:
    ti = Instance({"load": "failed"})
    ti.xcoms["load", ERROR_KEY] = [None, "second", "third"]
    Notification("failure", f"{HERE}Recorder", {"text": {"$t": "{{ notice.text }}"}})(context(ti=ti))
    assert "load: second\n" in sent[0]["text"]

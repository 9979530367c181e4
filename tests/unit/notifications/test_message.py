"""The text of a notification."""

from __future__ import annotations

from airflow_wall.notifications.message import MAX_TASKS, Notice, failed, page_of

URL = page_of("https://airflow.example.org/", "scores", "manual__2026-01-01T00:00:00+00:00")


def test_a_failure_names_pipeline_run_tasks_and_page() -> None:
    notice = Notice(
        "failure", "scores", "manual_1", URL, tasks=("etl.load", "fit"), reason="task_failure", environment="production"
    )
    assert notice.text == (
        "scores failed (production)\n"
        "run: manual_1\n"
        "failed: etl.load, fit\n"
        "reason: task_failure\n"
        "https://airflow.example.org/dags/scores/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00"
    )


def test_a_retry_names_the_task() -> None:
    notice = Notice("retry", "scores", "r", page_of("http://x", "scores", "r", "etl.load"), task_id="etl.load")
    assert notice.subject == "scores: etl.load will be tried again"
    assert notice.url == "http://x/dags/scores/runs/r/tasks/etl.load"


def test_many_tasks_are_counted() -> None:
    tasks = tuple(f"t{number}" for number in range(MAX_TASKS + 3))
    assert (
        Notice("failure", "scores", "r", URL, tasks=tasks).text.splitlines()[2].endswith(f"t{MAX_TASKS - 1} and 3 more")
    )


def test_mail_is_escaped() -> None:
    assert "<b>" not in Notice("failure", "scores", "<b>", URL).html
    assert "&lt;b&gt;" in Notice("failure", "scores", "<b>", URL).html


def test_only_tasks_that_failed_themselves_are_named() -> None:
    assert failed({"b": "failed", "a": "failed", "c": "upstream_failed", "d": "success"}) == ("a", "b")

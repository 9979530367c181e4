"""The text of a notification."""

from __future__ import annotations

from airflow_wall.notifications.message import MAX_ERRORS, MAX_TASKS, Notice, failed, one_line, page_of

URL = page_of("https://airflow.example.org/", "scores", "manual__2026-01-01T00:00:00+00:00")


def test_a_failure_names_pipeline_run_tasks_and_page() -> None:
    notice = Notice(
        "failure", "scores", "manual_1", URL, tasks=("etl.load", "fit"), reason="task_failure", environment="production",
        errors={"etl.load": one_line("`source`: there is no file `landing/a.csv`\n\nhint: deliver it")},
        logical_date="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    assert notice.text == (
        "scores failed (production)\n"
        "run: manual_1\n"
        "failed: etl.load, fit\n"
        "etl.load: `source`: there is no file `landing/a.csv` hint: deliver it\n"
        "fit: its process ended without an error, e.g. because it was killed; see its log\n"
        "next: correct the cause, then clear the failed tasks on the page of the run, or: airflow tasks clear scores "
        "--only-failed --yes --start-date 2026-01-01T00:00:00+00:00 --end-date 2026-01-01T00:00:00+00:00\n"
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


def test_a_reason_that_says_more_than_failure_is_shown() -> None:
    assert "reason: timed_out" in Notice("failure", "scores", "r", URL, reason="timed_out").text


def test_errors_of_many_tasks_are_bounded() -> None:
    tasks = tuple(f"t{number}" for number in range(MAX_ERRORS + 3))
    lines = Notice("failure", "scores", "r", URL, tasks=tasks, errors=dict.fromkeys(tasks, "x" * 9)).text.splitlines()
    assert sum(line.endswith("xxxxxxxxx") for line in lines) == MAX_ERRORS


def test_an_error_is_one_line_without_a_login() -> None:
    text = one_line(ValueError("cannot reach postgresql://me:hunter2@host/db\n\nhint: " + "y" * 999))
    assert "hunter2" not in text
    assert "\n" not in text
    assert text.endswith(" ...")
    assert one_line(KeyError()) == "KeyError"

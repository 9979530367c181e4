"""The messages at the end of a run."""

from __future__ import annotations

import io

from rich.console import Console

from airflow_wall.cli.outcome import Change, RunOutcome, show_messages


def messages(
    changes: list[Change], states: dict[str, str], *, success: bool = False, repeated: tuple[str, ...] = ()
) -> str:
    text = io.StringIO()
    outcome = RunOutcome("r", success, resumed=bool(repeated), repeated=list(repeated), states=states, results={})
    show_messages(Console(file=text, markup=False, highlight=False, soft_wrap=True), changes, outcome)
    return text.getvalue()


def failed(task_id: str, text: str) -> Change:
    return Change(task_id, "failed", 1, 1.0, f"task `{task_id}` (p.yaml:3): {text}")


def test_nothing_to_say() -> None:
    assert messages([], {"a": "success"}, success=True) == ""


def test_each_reason_is_printed_once_with_its_tasks() -> None:
    changes = [failed("b", "no table\n\nhint: make it"), failed("a", "no table\n\nhint: make it"), failed("c", "other")]
    assert messages(changes, {"a": "failed", "b": "failed", "c": "failed"}) == (
        "\nerror: tasks `a`, `b` (p.yaml:3): no table\n\nhint: make it\n\nerror: task `c` (p.yaml:3): other\n"
    )


def test_only_the_last_try_of_a_task_counts() -> None:
    changes = [Change("a", "up_for_retry", 1, 1.0, "task `a` (p.yaml:3): first\n\nhint: x"), failed("a", "second")]
    assert messages(changes, {"a": "failed"}) == (
        "retried      task `a` (p.yaml:3): first\n\nerror: task `a` (p.yaml:3): second\n"
    )


def test_failure_before_a_successful_retry_is_printed_as_retried() -> None:
    changes = [Change("a", "up_for_retry", 1, 1.0, "task `a` (p.yaml:3): killed")]
    assert messages(changes, {"a": "success"}, success=True) == "retried      task `a` (p.yaml:3): killed\n"


def test_failed_task_in_a_run_that_succeeds_is_a_warning() -> None:
    changes = [Change("a", "skipped", 1, 1.0, "no new data in `landing`"), failed("b", "refused")]
    assert messages(changes, {"a": "skipped", "b": "failed"}, success=True) == (
        "no new data in `landing`\n\nwarning: task `b` (p.yaml:3): refused\n"
    )


def test_repeated_tasks_are_printed() -> None:
    assert messages([], {"a": "success"}, success=True, repeated=("a", "b")) == (
        "repeated     `a`, `b`: its inputs have changed since\n"
    )


def test_tasks_that_a_branch_did_not_choose_are_named() -> None:
    assert messages([], {"a": "success", "c": "skipped", "b": "skipped"}, success=True) == (
        "not chosen   `b`, `c`: skipped, as a task before decided\n"
    )

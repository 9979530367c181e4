"""Checking many files finds what checking each finds."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.diagnostics.faults import Fault
from airflow_wall.planner import check
from airflow_wall.planner.check import check_files
from airflow_wall.planner.plan import Plan
from airflow_wall.processes.isolation import Limits
from airflow_wall.settings import Settings

TEXTS = (
    "dag_id: p{}\nstorage: ./lake\ntasks: [{{id: a}}]\n",
    "dag_id: p{}\ntasks: [{{id: a, needs: b}}]\n",
    "dag_id: same\nstorage: ./lake\ntasks: [{{id: a}}]\n",
    "somebody: elses\n",
)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = []
    for number in range(400):
        path = tmp_path / f"p{number:03}.yaml"
        path.write_text(TEXTS[number % len(TEXTS)].format(number))
        made.append(path)
    return made


def test_processes_find_what_one_finds(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    run = check.run_isolated

    def counted(*given: Any, processes: int) -> list[Any]:
        asked.append(processes)
        return run(*given, processes=processes)

    monkeypatch.setattr(check, "_cores", lambda: 3)
    monkeypatch.setattr(check, "run_isolated", counted)
    together = check_files(files, Settings())
    monkeypatch.setattr(check, "_FILES_PER_PROCESS", 1_000)
    assert check_files(files, Settings()) == together
    assert asked == [3, 1]
    assert [each.path for each in together] == files
    assert [bool(each.faults) for each in together[:4]] == [False, True, True, False]
    assert "which is also that of" in str(together[2].faults[0].message)


def test_a_file_that_takes_too_long_is_a_fault_and_the_others_are_checked(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(file: Path, settings: Settings, named: frozenset[Path]) -> check.Checked:
        if file == files[3]:
            re.search("(a+)+$", "a" * 60 + "!")  # holds the interpreter's lock
        return whole(file, settings, named)

    whole = check._check
    expected = check_files(files[:8], Settings())
    monkeypatch.setattr(check, "_check", slow)
    monkeypatch.setattr(check, "READING", Limits(cpu=0.5))
    found = check_files(files[:8], Settings())
    (fault,) = found[3].faults
    assert fault.render().startswith(f"error: {files[3]}:1:1: reading this file took more than 0.5 s of CPU\n")
    assert [each for each in found if each.path != files[3]] == [each for each in expected if each.path != files[3]]


def test_a_large_file_is_checked_in_the_environments_that_its_size_allows(tmp_path: Path) -> None:
    environments = [f"e{number}" for number in range(40)]
    listed = "".join(f"  {name}: {{dagrun_timeout: nonsense}}\n" for name in environments)
    for tasks, least, most in ((10, 40, 40), (400, 1, 6), (900, 0, 1)):
        path = tmp_path / f"of_{tasks}.yaml"
        text = "dag_id: a\nenvironments:\n" + listed + "tasks:\n"
        path.write_text(text + "".join(f"  - {{id: t{number}, needs: []}}\n" for number in range(tasks)))
        (result,) = check_files([path], Settings())
        places = {fault.place for fault in result.faults}
        assert least <= len(places) <= most
        shown = [fault.message for fault in result.warnings]
        left = len(environments) - len(places)
        first = f"`environments.e{len(places)}` is not checked, nor are {left - 1} more: the file is too large"
        assert [message.startswith(first) for message in shown] == [True] * (left > 0)
        (result,) = check_files([path], Settings(environment="e7"))
        in_force = "`dagrun_timeout` must be a duration, got `nonsense`"
        assert in_force in [fault.message for fault in result.faults]
        assert result.warnings == ()


OPERATOR = """\
import os
from airflow.sdk import BaseOperator
open(__file__ + ".ran", "w").close()
{}
class X(BaseOperator): ...
"""


def further(plan: Plan, allows: check.Allows) -> list[Fault]:
    from airflow_wall.dag.named import faults_of_names

    return list(faults_of_names(plan, allows))


def written(folder: Path, name: str, code: str = "") -> Path:
    """A pipeline with an operator of its own, whose import runs `code`."""
    (folder / f"{name}.py").write_text(OPERATOR.format(code))
    path = folder / f"{name}.yaml"
    path.write_text(f"dag_id: {name}\ntasks: [{{id: t, uses: {name}.X, with: {{a: 1}}}}]\n")
    return path


@pytest.mark.parametrize("allowed", [(), ("other.*",), ("mine.X",)])
def test_only_operators_that_policy_allows_are_imported(tmp_path: Path, allowed: tuple[str, ...]) -> None:
    file = written(tmp_path, "mine")
    (found,) = check_files([file], Settings(policy="restricted", allowed_operators=allowed), further)
    is_allowed = "mine.X" in allowed
    assert (tmp_path / "mine.py.ran").exists() is is_allowed
    assert ("does not allow" in found.faults[0].message) is not is_allowed


def test_an_operator_in_a_template_that_policy_refuses_is_not_imported(tmp_path: Path) -> None:
    file = written(tmp_path, "mine")
    file.write_text("dag_id: a\ntemplates: {x: {uses: mine.X}}\ntasks: [{id: t, extends: x}]\n")
    check_files([file], Settings(policy="restricted"), further)
    assert not (tmp_path / "mine.py.ran").exists()
    check_files([file], Settings(), further)  # the control
    assert (tmp_path / "mine.py.ran").exists()


def test_an_import_changes_nothing_for_the_caller_or_another_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hostile = """\
import airflow_wall.dag.signatures
airflow_wall.dag.named.faults_of_names = lambda plan, allows: []
os.write(1, b"[]")
print("[]")
"""
    files = [written(tmp_path, "first", hostile), written(tmp_path, "second")]
    _, second = check_files(files, Settings(), further)
    assert [fault.key for fault in second.faults] == ["tasks[t].with.a"]
    assert "first" not in sys.modules
    assert capfd.readouterr().out == ""


FORGE = """\
for number in range(3, 1024):
    try:
        os.write(number, b"\\0" * 7 + b"\\2[]")
    except OSError:
        pass
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("os._exit(0)", "ended its process with status 0"),
        ("raise SystemExit(3)", "raised `SystemExit: 3`"),
        ("os.kill(os.getpid(), 9)", "ended its process by the signal SIGKILL"),
        ("while True: pass", "took more than 3 s of CPU"),
        ("import time; time.sleep(60)", "took more than 10 s"),
        (FORGE, "cannot be read"),
    ],
)
def test_an_import_that_does_not_end_well_is_a_fault(
    tmp_path: Path, code: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import airflow.sdk  # noqa: F401  # takes longer than the limit

    monkeypatch.setattr(check, "IMPORTING", Limits(cpu=3, wall=10))
    bad, good = check_files([written(tmp_path, "bad", code), written(tmp_path, "good")], Settings(), further)
    assert message in bad.faults[0].message
    assert [fault.key for fault in good.faults] == ["tasks[t].with.a"]


def test_two_pipelines_that_write_one_table_are_reported(tmp_path: Path) -> None:
    text = "dag_id: {}\nstorage: {}\ntasks:\n  - {{id: load, uses: ingest, with: {{source: a, target: bronze/t{}}}}}\n"
    lakes = {"a": "./lake", "b": "lake", "c": "./other"}
    for name, lake in lakes.items():
        (tmp_path / f"{name}.yaml").write_text(text.format(name, lake, ""))
    one, two, three = check_files(sorted(tmp_path.glob("*.yaml")), Settings(project=tmp_path))
    assert (one.faults, three.faults) == ((), ())
    (fault,) = two.faults
    assert (fault.place.line, fault.hint) == (
        4, "write another table; or `share: true` in all of these tasks, if their rows belong together"
    )  # fmt: skip
    assert fault.message == (
        f"`tasks[load].with.target` is `bronze/t`, which task `load` of `a` ({tmp_path}/a.yaml:4) writes, too"
    )
    for name, lake in lakes.items():
        (tmp_path / f"{name}.yaml").write_text(text.format(name, lake, ", share: true"))
    assert [result.faults for result in check_files(sorted(tmp_path.glob("*.yaml")), Settings(project=tmp_path))] == [
        ()
    ] * 3


def test_faults_of_checks_are_reported_once_beside_those_of_the_order(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    task = "  - {{id: {0}, uses: check_integrity, with: {{table: bronze/a, checks: [{1}]}}}}\n"
    head = "dag_id: p\ntasks:\n  - {id: load, uses: ingest, with: {source: landing, target: bronze/a}}\n"
    path.write_text(head + task.format("broken", "{reference: null}"))
    (result,) = check_files([path], Settings(project=tmp_path))
    assert result.defect is None
    assert [fault.key for fault in result.faults] == [
        "tasks[broken].with.table",
        "tasks[broken].with.checks[0].reference.columns",
        "tasks[broken].with.checks[0].reference.table",
    ]
    path.write_text(head + task.format("late", '{reference: {columns: id, table: {$t: "x/{{ ds }}"}}}'))
    (result,) = check_files([path], Settings(project=tmp_path))
    assert (result.defect, [fault.key for fault in result.faults]) == (None, ["tasks[late].with.table"])

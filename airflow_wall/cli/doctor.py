"""`airflow-wall doctor`: check a running deployment."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_wall.cli.listing import AsJson, print_json
from airflow_wall.cli.output import USER_FAULT, out
from airflow_wall.diagnostics.printable import counted, printable_line
from airflow_wall.errors import DeploymentError

if TYPE_CHECKING:
    from airflow_wall.deployment.doctor import DeploymentFault


def doctor(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files with the facts of components, or `-` for standard input.", allow_dash=True),
    ] = None,
    facts: Annotated[
        bool, typer.Option("--facts", help="Print the facts of this component, as one line of JSON, and nothing else.")
    ] = False,
    name: Annotated[str, typer.Option(help="With --facts: how the deployment calls this component.")] = "",
    as_json: AsJson = False,
    grace: Annotated[float | None, typer.Option(help="With --facts: the seconds it is given to stop.")] = None,
) -> None:
    """
    Check a running deployment and explain how to fix it.

    Each component tells its facts (`--facts`, run in its container): versions, fingerprints of its secrets, its clock,
    its pipelines, what it reaches. All of them together are checked: `sh compose/doctor.sh` does both for compose.
    """
    from airflow_wall.deployment.doctor import CHECKS
    from airflow_wall.deployment.facts import Facts, collect

    if facts:
        with _only_on_stderr():  # Airflow logs to standard output, which is for the facts
            own_facts = collect(name or socket.gethostname(), grace)
        out().print(own_facts.to_json())
        return
    if not files:
        raise DeploymentError(
            "no facts to check",
            hint="run `sh compose/doctor.sh`, or collect the output of `airflow-wall doctor --facts` of each component "
            "and give its files here",
        )
    components = [Facts.from_json(line) for file in files for line in _text_of(file).splitlines() if line.strip()]
    names = ", ".join(component.name for component in components)
    if not as_json:
        out().print(printable_line(f"{counted(len(components), 'component')}: {names}"))
    problems = {check: list(findings_of(components)) for check, findings_of in CHECKS.items()}
    if as_json:
        print_json(
            components=[component.name for component in components],
            checks=[
                {
                    "check": check,
                    "problems": [
                        {"about": list(finding.about), "message": finding.message, "hint": finding.fix}
                        for finding in findings
                    ],
                }
                for check, findings in problems.items()
            ],
        )
    else:
        _show(problems)
    if any(problems.values()):
        raise typer.Exit(USER_FAULT)


def _show(problems: Mapping[str, list[DeploymentFault]]) -> None:
    for check, findings in problems.items():
        out().print(f"{'ok  ' if not findings else 'BAD '} {check}")
        for finding in findings:
            out().print(printable_line(f"     {', '.join(finding.about)}: {finding.message}"))
            out().print(printable_line(f"     hint: {finding.fix}"))


def _text_of(file: Path) -> str:
    content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    return content.decode("utf-8", errors="replace")  # bytes that are not text are rejected later, as facts


@contextmanager
def _only_on_stderr() -> Iterator[None]:
    """Redirect standard output to standard error, also for code that has it open already."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)

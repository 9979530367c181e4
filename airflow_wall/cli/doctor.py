"""`airflow-wall doctor`: what is wrong with a running deployment."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.output import USER_FAULT, out
from airflow_wall.errors import DeploymentError


def doctor(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files with the facts of components, or `-` for standard input.", allow_dash=True),
    ] = None,
    facts: Annotated[
        bool, typer.Option("--facts", help="Print the facts of this component, as one line of JSON, and nothing else.")
    ] = False,
    name: Annotated[str, typer.Option(help="With --facts: how the deployment calls this component.")] = "",
    grace: Annotated[float | None, typer.Option(help="With --facts: the seconds it is given to stop.")] = None,
) -> None:
    """
    Check a running deployment and say what to mend.

    Each component tells its facts (`--facts`, run in its container): versions, fingerprints of its secrets, its clock,
    its pipelines, what it reaches. All of them together are checked: `sh compose/doctor.sh` does both for compose.
    """
    from airflow_wall.deployment.doctor import CHECKS
    from airflow_wall.deployment.facts import Facts, collect

    if facts:
        with _only_on_stderr():  # Airflow logs to standard output, which is for the facts
            found_here = collect(name or socket.gethostname(), grace)
        out().print(found_here.to_json())
        return
    if not files:
        raise DeploymentError(
            "no facts to check",
            hint="run `sh compose/doctor.sh`, or collect the output of `airflow-wall doctor --facts` of each component "
            "and give its files here",
        )
    texts = (sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8") for file in files)
    found = [Facts.from_json(line) for text in texts for line in text.splitlines() if line.strip()]
    out().print(f"{len(found)} components: {', '.join(each.name for each in found)}")
    wrong = 0
    for check, findings_of in CHECKS.items():
        findings = list(findings_of(found))
        wrong += len(findings)
        out().print(f"{'ok  ' if not findings else 'BAD '} {check}")
        for finding in findings:
            out().print(f"     {', '.join(finding.about)}: {finding.message}\n     hint: {finding.mend}")
    if wrong:
        raise typer.Exit(USER_FAULT)


@contextmanager
def _only_on_stderr() -> Iterator[None]:
    """What anybody writes to standard output goes to standard error, also what has it open already."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)

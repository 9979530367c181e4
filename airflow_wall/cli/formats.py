"""Output formats of faults: text, JSON, annotations of GitHub, Code Quality of GitLab."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from rich.text import Text

from airflow_wall.diagnostics.faults import Fault
from airflow_wall.diagnostics.printable import printable, printable_json, printable_line

_MATCHED = 1_000
_MUST = re.compile(r"must (?:be )?(?P<expected>.+), got `(?P<got>[^`]*)`.*", re.DOTALL)


class ReportFormat(StrEnum):
    """Output formats of `airflow-wall validate`."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    GITLAB = "gitlab"


@dataclass(frozen=True)
class ReportedFault:
    """A fault and its severity."""

    fault: Fault
    severity: Literal["error", "warning"] = "error"


def as_text(finding: ReportedFault) -> str:
    """Return the finding with its source line, as the terminal and Airflow's UI show it."""
    return f"{finding.severity}{finding.fault.render().removeprefix('error')}"


def styled(finding: ReportedFault) -> Text:
    """Return the same in colours, for a terminal."""
    text = Text(printable(as_text(finding)))
    severity = "bold red" if finding.severity == "error" else "bold yellow"
    text.highlight_regex(r"^(?:error|warning)(?=:)", severity)
    text.highlight_regex(r"(?m)^ +\d+ \|.*$", "dim")
    text.highlight_regex(r"(?m)(?<=\| ) *\^+$", severity)
    text.highlight_regex(r"(?m)^hint(?=:)", "bold cyan")
    text.highlight_regex(r"`[^`\n]*`", "bold")
    return text


def findings_as_json(findings: Iterable[ReportedFault]) -> str:
    """Return a JSON list with one object per finding; docs/guides/checking-pipelines.md describes it."""
    return printable_json(json.dumps([_object(finding) for finding in findings], indent=2, ensure_ascii=False))


def _object(finding: ReportedFault) -> dict[str, Any]:
    fault = finding.fault
    message = fault.message.removeprefix(f"`{fault.key}` ")
    parts = _MUST.fullmatch(message) if len(message) <= _MATCHED else None
    return {
        "path": str(fault.path),
        "line": fault.place.line,
        "column": fault.place.column,
        "end_column": fault.place.column + fault.place.width,
        "key": fault.key,
        "message": fault.message,
        "expected": parts["expected"] if parts else None,
        "got": parts["got"] if parts else None,
        "hint": fault.hint,
        "severity": finding.severity,
    }


def as_github(finding: ReportedFault) -> str:
    """Return the finding as a workflow command, which GitHub Actions shows at the line of a pull request."""
    fault = finding.fault
    properties = {
        "file": str(fault.path),
        "line": fault.place.line,
        "endLine": fault.place.line,
        "col": fault.place.column,
        "endColumn": fault.place.column + fault.place.width,
        "title": f"airflow-wall: {fault.key}" if fault.key else "airflow-wall",
    }
    listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    message = fault.message if fault.hint is None else f"{fault.message}\nhint: {fault.hint}"
    return f"::{finding.severity} {listed}::{_data(message)}"


def _data(text: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return printable_line(escaped)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_gitlab(findings: Iterable[ReportedFault]) -> str:
    """Return the findings as a Code Quality report, which GitLab shows in merge requests."""
    return printable_json(json.dumps([_quality(finding) for finding in findings], indent=2, ensure_ascii=False))


def _quality(finding: ReportedFault) -> dict[str, Any]:
    fault = finding.fault
    # Without the line: a fault that only moved is the same fault.
    same = "\0".join((str(fault.path), fault.message))
    return {
        "description": fault.message if fault.hint is None else f"{fault.message} (hint: {fault.hint})",
        "check_name": "airflow-wall",
        "fingerprint": hashlib.sha256(same.encode(errors="surrogateescape")).hexdigest(),
        "severity": "major" if finding.severity == "error" else "minor",
        "location": {"path": str(fault.path), "lines": {"begin": fault.place.line}},
    }

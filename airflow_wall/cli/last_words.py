"""What the log of a task says of how its last try ended."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

_MEMORY = "hint: often that means that memory ran out: give the machine more, or say `--parallel 1`"

SILENT = f"its process and the one that watched it were killed\n\n{_MEMORY}"
"""What to say of a task whose log does not say it."""


def last_words(log: Path) -> str | None:
    """
    The error, signal or reason of a skip that stands last in a log.

    :param log: As Airflow writes it, a JSON object in each line.
    """
    found = None
    with contextlib.suppress(OSError):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found = _words(json.loads(line)) or found
    return found


def _words(entry: dict[str, Any]) -> str | None:
    details = entry.get("error_detail") or entry.get("exception")
    if isinstance(details, list) and details and isinstance(details[0], dict) and details[0].get("exc_value"):
        kind, value = details[0].get("exc_type"), str(details[0]["exc_value"])
        return value if kind == "AirflowFailException" or value.startswith("task `") else f"{kind}: {value}"
    event = str(entry.get("event", ""))
    if event.startswith("Skipping"):
        return str(entry.get("reason") or event)
    if event.startswith("Process terminated by signal"):
        name = entry.get("signal_name")
        return f"its process was killed by signal {name}" + (f"\n\n{_MEMORY}" if name == "SIGKILL" else "")
    return None

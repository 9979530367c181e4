"""Functions that the examples call."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import BaseNotifier

log = logging.getLogger(__name__)


def load(count: int) -> int:
    """Load something."""
    return count


def tell(context: dict[str, Any]) -> None:
    """Say which task it is about."""
    log.info("task %s: %s", context["ti"].task_id, context.get("exception") or "no error")


def before(_context: dict[str, Any]) -> None:
    """Say that the work begins."""
    log.info("about to begin")


def after(_context: dict[str, Any], result: Any) -> None:
    """Say what came of the work."""
    log.info("it gave %s", result)


class Note(BaseNotifier):
    """Write a text into the log."""

    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:  # noqa: ARG002
        """Write it."""
        log.info(self.text)

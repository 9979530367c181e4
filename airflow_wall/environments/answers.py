"""What a job answers, wherever it ran."""

from __future__ import annotations

import json
from typing import Any

from airflow_wall.errors import error_of


def result_of(answer: str, who: str) -> dict[str, Any]:
    """
    The result that a job answered.

    :param answer: `{"result": ...}` or `{"error": ...}` as JSON, on the last line.
    :param who: Who answered, for the message.
    :raises WallError: the error that the job answered, as it was.
    :raises ValueError: that is no answer.
    """
    try:
        reply = json.loads(answer.strip().splitlines()[-1])
    except IndexError:
        raise ValueError(f"{who} answered nothing") from None
    if "error" in reply:
        raise error_of(reply["error"])
    return dict(reply["result"])

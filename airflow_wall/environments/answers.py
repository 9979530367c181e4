"""Parse the answer of a job."""

from __future__ import annotations

import json
from typing import Any

from airflow_wall.errors import error_from_json


def result_of(answer: str, who: str) -> dict[str, Any]:
    """
    Return the result in a job's answer.

    :param answer: Output whose last line is `{"result": ...}` or `{"error": ...}` as JSON.
    :param who: The job in words, for the message.
    :raises WallError: the error in the answer.
    :raises ValueError: the output is not an answer.
    """
    try:
        reply = json.loads(answer.strip().splitlines()[-1])
    except IndexError:
        raise ValueError(f"{who} gave no answer") from None
    if "error" in reply:
        raise error_from_json(reply["error"])
    return dict(reply["result"])

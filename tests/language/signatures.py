"""
Record the arguments of Airflow's `DAG`, `BaseOperator` and `TaskGroup`, for the test that compares them with our keys.

Run it with the Python of each Airflow that is supported: `python tests/language/signatures.py`.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import airflow
from airflow.sdk import DAG, BaseOperator, TaskGroup

FOLDER = Path(__file__).parent / "signatures"


def installed() -> dict[str, list[str]]:
    """Class to the names of its arguments, in the Airflow that runs this."""
    found = {}
    for kind in (DAG, BaseOperator, TaskGroup):
        parameters = inspect.signature(kind.__init__).parameters.values()
        named = [each.name for each in parameters if each.kind is not inspect.Parameter.VAR_KEYWORD]
        found[kind.__name__] = named[1:]  # without `self`
    return found


if __name__ == "__main__":
    (FOLDER / f"{airflow.__version__}.json").write_text(json.dumps(installed(), indent=2) + "\n", encoding="utf-8")

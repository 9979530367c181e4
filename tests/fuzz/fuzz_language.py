#!/usr/bin/env python
"""
Feed any bytes to the reader, the loader and the planner: `make fuzz`.

A run is guided by the coverage of our own modules. It fails at any exception that is not ours, at an input that takes
more than the bound of time, and where the same bytes give something else the second time.

    python tests/fuzz/fuzz_language.py WORK tests/fuzz/corpus -max_total_time=600 -dict=tests/fuzz/language.dict

WORK is a folder for what the run finds; README.md tells what to do with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["airflow_wall"]):
    from airflow_wall.diagnostics.faults import FaultyText
    from airflow_wall.language.native import SCHEMA_KEY
    from airflow_wall.loader.load import load_spec, pipelines_among
    from airflow_wall.planner.plan import Plan
    from airflow_wall.planner.planner import plan_all
    from airflow_wall.settings import Settings
    from airflow_wall.text.reader import read_text

# A folder with SQL and check files that an input may name.
PATH = Path(__file__).parents[2] / "dags" / "fuzzed.yaml"
OPEN = Settings(env={"REGION": "eu", "UNSET": None}, environment="production")
RESTRICTED = Settings(env=OPEN.env, environment="production", policy="restricted")


def outcome(content: bytes, settings: Settings) -> list[Plan] | str:
    """The plans of a text, or its faults."""
    try:
        documents = pipelines_among(read_text(content, PATH, SCHEMA_KEY))
        return plan_all([load_spec(document, settings) for document in documents], settings)
    except FaultyText as error:
        return str(error)


def one_input(content: bytes) -> None:
    """One text: ours or nothing, and the same twice."""
    found = outcome(content, OPEN)
    assert outcome(content, OPEN) == found
    if not isinstance(found, str):
        outcome(content, RESTRICTED)


if __name__ == "__main__":
    program, *options = sys.argv
    atheris.Setup([program, "-timeout=10", "-rss_limit_mb=1024", "-max_len=16384", *options], one_input)
    atheris.Fuzz()

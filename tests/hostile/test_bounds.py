"""No text costs more than a bounded time and memory, whatever it is; what is wrong with it is told in our own words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = Path(__file__).parent / "texts.py"
MEBIBYTES = 350
TIMES_READING = 20.0
"""How much longer than libyaml takes to read 40,000 values. A file of the largest size may have 200,000."""

RUN = """
import json, os, resource, runpy, sys, time
from pathlib import Path

import airflow_wall.loader.templates, airflow_wall.text.yaml_1_1, croniter, jsonschema, yaml
from airflow_wall.compiler.planner import plan_all
from airflow_wall.errors import SpecError
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings

def reading():
    # CPU seconds that libyaml takes for 40,000 values that are kept: what this machine can do just now.
    before = time.process_time()
    assert len(list(iter(yaml.CSafeLoader(LISTED).get_event, None))) > 40_000
    return time.process_time() - before


LISTED = "".join(f"- item {index}\\n" for index in range(40_000))
file = Path("hostile.yaml")
settings = Settings(policy="restricted", allowed_operators=("a.B",))
for name, text in runpy.run_path(sys.argv[1])["HOSTILE"].items():
    file.write_text(text)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status:
            print(json.dumps([name, f"ended with status {status}", None, None, None]))
        continue
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    pace = reading()
    before = time.process_time()
    try:
        plan_all(load_specs(file, settings), settings)
        outcome = ""
    except SpecError as error:
        outcome = str(error)
    except BaseException as error:
        outcome = f"!!! {error!r}"
    times = (time.process_time() - before) / pace
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([name, outcome[:200], len(outcome), times, peak]), flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, int, float, float]]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(HOSTILE)],
        cwd=tmp_path_factory.mktemp("hostile"), capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_nothing_but_our_own_errors(measured: list[tuple[str, str, int, float, float]]) -> None:
    assert len(measured) > 70
    assert [(name, said) for name, said, size, _, _ in measured if size is None or said.startswith("!!!")] == []


def test_time_is_bounded(measured: list[tuple[str, str, int, float, float]]) -> None:
    assert {name: times for name, _, _, times, _ in measured if times > TIMES_READING} == {}


def test_memory_is_bounded(measured: list[tuple[str, str, int, float, float]]) -> None:
    assert {name: peak for name, _, _, _, peak in measured if peak > MEBIBYTES} == {}


def test_reports_are_bounded(measured: list[tuple[str, str, int, float, float]]) -> None:
    assert {name: size for name, _, size, _, _ in measured if size > 300_000} == {}

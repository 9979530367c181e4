"""
Measure the check of each hostile text in a process of its own: `python tests/hostile/measure.py [WORD ...]`.

Prints a JSON object per text and scale: CPU seconds, the same as a multiple of libyaml's time for 10,000 values, peak
memory above that of the idle process in MiB, and the report. Words select the texts whose names contain them. With
`--unbounded`, neither bytes nor values are counted, which proves that the measurement shows it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import runpy
import tempfile
import time
import traceback
from pathlib import Path

import yaml

from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.planner.check import check_files
from airflow_wall.settings import Settings
from airflow_wall.text import builder, reader

SETTINGS = Settings(policy="restricted", allowed_operators=("a.B",))
SCALES = (1.0, 0.5, 0.25, 0.12)
"""Sizes of each text, so that some stay just within the bounds of the reader."""

LAZY = (
    "airflow_wall.checks.load",
    "duckdb",
    "airflow_wall.loader.templates",
    "airflow_wall.text.yaml_1_1",
    "croniter",
    "jsonschema",
)
"""Modules that some checks import. A process that has read other files has imported them already."""

LISTED = "".join(f"- item {index}\n" for index in range(10_000))


def pace() -> float:
    """CPU seconds that libyaml takes for 10,000 values that are kept: the speed of this machine just now."""
    before = time.process_time()
    assert len(list(iter(yaml.CSafeLoader(LISTED).get_event, None))) > 10_000
    return time.process_time() - before


def measured(file: Path) -> dict[str, object]:
    """Check a file in this process, and return the costs and the report."""
    speed = min(pace() for _ in range(3))
    idle = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    before = time.process_time()
    (result,) = check_files([file], SETTINGS)
    cpu = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - idle
    report = str(FaultyText(result.faults, "")) if result.faults else ""
    return {"cpu": cpu, "times": cpu / speed, "mebibytes": peak / 2**20, "defect": result.defect, "report": report}


def measured_apart(file: Path) -> dict[str, object]:
    """Check a file in a child process, so that no text pays for another."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        del os.fork  # so that the check runs in this process, without limits
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        try:
            answer = measured(file)
        except BaseException:
            answer = {"defect": traceback.format_exc()}
        with os.fdopen(write, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(answer) if answer else {"defect": f"ended with status {status}"}


def main() -> None:
    """Print a line for each text and scale."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--scale", type=float, action="append")
    parser.add_argument("--unbounded", action="store_true")
    options = parser.parse_args()
    if options.unbounded:
        reader.MAX_BYTES = builder.MAX_NODES = 1 << 30
    for module in LAZY:
        importlib.import_module(module)
    hostile = runpy.run_path(str(Path(__file__).parent / "texts.py"))["hostile"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hostile.yaml"
        for scale in options.scale or SCALES:
            for name, text in hostile(scale).items():
                if not options.words or any(word in name for word in options.words):
                    file.write_text(text)
                    line = {"name": name, "scale": scale, "bytes": len(text.encode()), **measured_apart(file)}
                    print(json.dumps(line), flush=True)  # noqa: T201  # the output of this program


if __name__ == "__main__":
    main()

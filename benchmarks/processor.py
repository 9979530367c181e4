"""
One pass of a real `airflow dag-processor` over many pipelines: `python benchmarks/processor.py`.

The same pipelines in the same number of files: YAML behind our loader, and Python files in which each DAG is written out, as
people write them (the text of `hand_written.pipeline`). A fresh SQLite database for each pass, so that what is compared is
reading, building, serializing and storing every DAG once. Passes are interleaved; reported are medians of the CPU seconds of
the processor and all its children, and the median of the ratios. The budget is 1.1.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import hand_written
from build import pipelines

from airflow_wall.registry import class_name

LOADER = "from airflow_wall import load_dags  # an airflow dag file\nglobals().update(load_dags(__file__))\n"
HEAD = """\
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, TaskGroup

"""


def written_out(folder: Path, first: int, last: int) -> str:
    """Return a Python file with the DAGs of these numbers, one after the other."""
    body = textwrap.dedent(inspect.getsource(hand_written.pipeline).partition("\n")[2])
    body = body.replace("op = OPERATORS\n", "").replace("return dag\n", "")
    body = re.sub(r'op\["(\w+)"\]', lambda step: f"{class_name(step[1])}Operator", body)
    steps = sorted(set(re.findall(r"(\w+)Operator\(", body)))
    modules = {step: re.sub(r"(?<!^)(?=[A-Z])", "_", step).lower() for step in steps}
    imports = [f"from airflow_wall.operators.{module} import {step}Operator\n" for step, module in modules.items()]
    constants = f"\nfolder = Path({str(folder)!r})\nNEW_YORK = ZoneInfo({str(hand_written.NEW_YORK)!r})\n"
    constants += f"DOMAINS = {hand_written.DOMAINS!r}\n"
    body = body.replace('dag_id.replace("scores", "lake")', '"lake_NUMBER"').replace("dag_id", '"scores_NUMBER"')
    dags = [body.replace("NUMBER", str(number)) for number in range(first, last)]
    return "\n".join(["".join([HEAD, *imports]), constants, *dags])


def lay_out(folder: Path, target: Path, side: str, count: int, files: int) -> None:
    """Put `count` pipelines into `target` in so many files that Airflow parses."""
    shared = ("sql", "checks")
    for shard in range(files):
        first, last = count * shard // files, count * (shard + 1) // files
        place = target / f"shard_{shard}"
        place.mkdir(parents=True)
        if side == "python":
            (place / "pipelines.py").write_text(written_out(folder, first, last))
            continue
        (place / "pipelines.py").write_text(LOADER)
        for name in shared:
            (place / name).mkdir()
            for file in (folder / name).iterdir():
                (place / name / file.name).write_text(file.read_text())
        for number in range(first, last):
            (place / f"scores_{number}.yaml").write_text((folder / f"scores_{number}.yaml").read_text())


def one_pass(folder: Path, side: str, count: int, files: int) -> tuple[float, float]:
    """CPU and wall seconds of one pass."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        lay_out(folder, home / "dags", side, count, files)
        environment = {
            **os.environ,
            "AIRFLOW_HOME": name,
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "900",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "2",
        }
        airflow = [sys.executable, "-m", "airflow"]
        subprocess.run([*airflow, "db", "migrate"], check=True, capture_output=True, env=environment)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([*airflow, "dag-processor", "--num-runs", "1"], check=True, capture_output=True, env=environment)
        wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        with sqlite3.connect(home / "airflow.db") as database:
            (stored,) = database.execute("select count(*) from dag where not is_stale").fetchone()
    assert stored == count, f"{stored} of {count} DAGs are in the database"
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Print a line per number of files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("files", type=int, nargs="*", default=[10])
    options = parser.parse_args()
    with pipelines(options.count) as folder:
        for files in options.files:
            passes = [
                (one_pass(folder, "yaml", options.count, files), one_pass(folder, "python", options.count, files))
                for _ in range(options.rounds)
            ]
            (ours, our_wall), (theirs, their_wall) = (
                tuple(statistics.median(values) for values in zip(*side, strict=True))
                for side in zip(*passes, strict=True)
            )
            ratio = statistics.median(yaml[0] / python[0] for yaml, python in passes)
            print(
                f"{options.count} pipelines in {files:4} files   YAML {ours:6.1f} CPU s ({our_wall:5.1f} s)"
                f"   Python {theirs:6.1f} CPU s ({their_wall:5.1f} s)   ratio {ratio:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

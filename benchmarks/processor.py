"""
One pass of a real `airflow dag-processor` over many pipelines: `python benchmarks/processor.py`.

The same pipelines in the same number of files: YAML behind our loader, and hand-written Python. A fresh SQLite database
for each pass, so that what is compared is reading, building, serializing and storing every DAG once. Reported: CPU seconds
of the processor and all its children.
"""

from __future__ import annotations

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from build import pipelines

HERE = Path(__file__).parent
LOADER = "from airflow_wall import load_dags  # an airflow dag file\nglobals().update(load_dags(__file__))\n"
HAND_WRITTEN = """\
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import hand_written  # an airflow dag file
for number in range({first}, {last}):
    globals()[f"dag_{{number}}"] = hand_written.pipeline(f"scores_{{number}}", Path({folder!r}))
"""


def lay_out(folder: Path, target: Path, side: str, count: int, files: int) -> None:
    """Put `count` pipelines into `target` in so many files that Airflow parses."""
    shared = ("sql", "checks")
    for shard in range(files):
        first, last = count * shard // files, count * (shard + 1) // files
        place = target / f"shard_{shard}"
        place.mkdir(parents=True)
        if side == "python":
            text = HAND_WRITTEN.format(here=str(HERE), first=first, last=last, folder=str(folder))
            (place / "pipelines.py").write_text(text)
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
            (found,) = database.execute("select count(*) from dag where not is_stale").fetchone()
    assert found == count, f"{found} of {count} DAGs are in the database"
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Print a line per layout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("files", type=int, nargs="*", default=[1, 10, 40])
    options = parser.parse_args()
    with pipelines(options.count) as folder:
        for files in options.files:
            ours, our_wall = one_pass(folder, "yaml", options.count, files)
            theirs, their_wall = one_pass(folder, "python", options.count, files)
            print(
                f"{options.count} pipelines in {files:4} files   YAML {ours:6.1f} CPU s ({our_wall:5.1f} s)"
                f"   Python {theirs:6.1f} CPU s ({their_wall:5.1f} s)   ratio {ours / theirs:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""
Measure the cost of a folder's other pipelines for a task's start: `python benchmarks/task_start.py`.

Each process parses the loader as Airflow's task runner does, for one task of one DAG: with one pipeline in the folder,
and with a thousand. Interleaved pairs; reported are medians of the whole process, Airflow's own import included, and the
median of the ratios. The budget is 1.10.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from build import pipelines

PROGRAM = """\
import sys
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag(dag_folder=sys.argv[1] + "/pipelines.py", bundle_path=sys.argv[1], bundle_name="benchmark")
assert list(bag.dags) == ["scores_0"], (bag.dags, bag.import_errors)
"""

LOADER = "from airflow_wall import load_dags  # an airflow dag file\nglobals().update(load_dags(__file__))\n"


def started(folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a process that parses the folder for a task of `scores_0`."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder.parent / "home"),
        "_AIRFLOW_PARSING_CONTEXT_DAG_ID": "scores_0",
        "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "predict",
    }
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], check=True, capture_output=True, env=environment)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the line of figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    with pipelines(1) as one, pipelines(options.count) as many:
        for folder in (one, many):
            (folder / "pipelines.py").write_text(LOADER)
        pairs = [(started(one), started(many)) for _ in range(options.pairs)]
    for index, what in enumerate(("wall", "CPU")):
        alone, among = (statistics.median(side[index] for side in sides) for sides in zip(*pairs, strict=True))
        ratio = statistics.median(many[index] / one[index] for one, many in pairs)
        print(f"{what:4}  1 pipeline {alone:5.2f} s   {options.count} pipelines {among:5.2f} s   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()

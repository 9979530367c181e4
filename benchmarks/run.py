"""
Measure `airflow-wall run` without work: `python benchmarks/run.py`.

Beside it, the unavoidable part: importing Airflow and opening its database. Interleaved pairs of whole process trees, on
a database that is there. Reported are medians of wall and CPU seconds, their difference, and the median of the ratios.
The budget is 3 s of wall time more, on two cores that do nothing else.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINE = """\
dag_id: nothing_new
schedule: "0 3 * * *"
start_date: 2013-01-01
storage: ./lake
tasks:
  - id: check_new_data
    uses: check_new_data
    with: {source: landing}
  - id: ingest
    uses: ingest
    needs: check_new_data
    with: {source: landing, target: bronze/rows}
"""

RUN = [
    "-c",
    "from airflow_wall.cli.main import main; main()",
    "run",
    "nothing_new.yaml",
    "--date",
    "2013-07-02",
]
OPEN = ["-c", "from airflow_wall.cli.metadata import prepare_database; prepare_database()"]


def took(folder: Path, arguments: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a process and all it started."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder / ".airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    found = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a line of wall seconds and one of CPU seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "nothing_new.yaml").write_text(PIPELINE)
        landing = folder / "lake" / "landing"
        landing.mkdir(parents=True)
        (landing / "a.csv").write_text("x\n1\n")
        took(folder, RUN)  # it makes the database and reads the file
        pairs = [(took(folder, OPEN), took(folder, RUN)) for _ in range(options.pairs)]
    for index, what in enumerate(("wall", "CPU")):
        opened, ran = (statistics.median(side[index] for side in sides) for sides in zip(*pairs, strict=True))
        more = statistics.median(run[index] - base[index] for base, run in pairs)
        ratio = statistics.median(run[index] / base[index] for base, run in pairs)
        print(f"{what:4}  open {opened:5.2f} s   run {ran:5.2f} s   {more:5.2f} s more   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()

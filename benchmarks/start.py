"""
Measure the start: our import beyond Airflow's, and `airflow-wall validate`: `python benchmarks/start.py`.

`validate` is compared with a lower limit in the same run: for one file, a process that imports pydantic and PyYAML; for a
thousand, one that also parses them with the same parser. Interleaved pairs of whole process trees; reported are medians of
wall and CPU seconds and of memory, and the median of the ratios of CPU seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from build import pipelines

IMPORTS = {
    "alone": "from airflow.sdk import DAG, BaseOperator",
    "ours": "from airflow.sdk import DAG, BaseOperator\nimport airflow_wall.fronts.folder",
}
ONE = """\
dag_id: one
schedule: "@daily"
start_date: 2013-01-01
storage: ./lake
tasks:
  - id: ingest
    uses: ingest
    with: {source: landing, target: bronze/rows}
"""
LIMIT = """\
import sys
from pathlib import Path
import pydantic, yaml
for path in Path(sys.argv[1]).glob(sys.argv[2]):
    for _ in yaml.parse(path.read_text(), Loader=yaml.CSafeLoader):
        pass
"""
VALIDATE = "from airflow_wall.cli.main import main; main()"

# Installed packages are compiled, whatever this variable says of the checkout.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

Figures = tuple[float, float, float]


def run(command: list[str], home: Path) -> Figures:
    """Wall and CPU seconds of a process and its children, and peak MiB."""
    start = time.monotonic()
    process = subprocess.Popen(
        command, env={**ENVIRONMENT, "AIRFLOW_HOME": str(home)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compare(what: str, command: list[str], limit: list[str], home: Path, times: int) -> None:
    """Print a line for a command and one for its lower limit, with the ratio of the two."""
    for warm_up in (command, limit):  # the disk's cache and the compiled files
        run(warm_up, home)
    pairs = [(run(command, home), run(limit, home)) for _ in range(times)]
    ratio = statistics.median(ours[1] / theirs[1] for ours, theirs in pairs)
    for name, figures, end in zip(
        (what, "  its lower limit"), zip(*pairs, strict=True), (f"   ratio {ratio:.2f}", ""), strict=True
    ):
        wall, cpu, peak = (statistics.median(values) for values in zip(*figures, strict=True))
        print(f"{name:45} {wall:5.2f} s wall   {cpu:5.2f} s CPU   {peak:4.0f} MiB{end}", flush=True)


def main() -> None:
    """Print two lines for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    python = [sys.executable, "-c"]
    with pipelines(options.count) as folder:
        home = folder.parent / "home"
        alone, ours = ([*python, program] for program in IMPORTS.values())
        compare("import airflow.sdk, DAG, BaseOperator and ours", ours, alone, home, options.times)
        (folder / "no_sql").mkdir()
        (folder / "no_sql" / "one.yaml").write_text(ONE)
        validate = [*python, VALIDATE, "validate"]
        for what, below, pattern, times in (
            ("validate one file without SQL", folder / "no_sql", "*.yaml", options.times),
            ("validate one file", folder, "scores_0.yaml", options.times),
            (f"validate {options.count:,} files", folder, "scores_*.yaml", max(1, options.times // 3)),
        ):
            files = sorted(str(file) for file in below.glob(pattern))
            compare(what, [*validate, *files], [*python, LIMIT, str(below), pattern], home, times)


if __name__ == "__main__":
    main()

"""
Measure the start: our import beyond Airflow's, and `airflow-wall validate`: `python benchmarks/start.py`.

The budgets: 0.1 CPU s beyond `import airflow.sdk`; 0.3 s for one file, 2 s for a thousand, under 100 MiB. Medians; times
of a machine that does nothing else, which the CPU seconds beside them help to judge.
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
    "import airflow.sdk, its DAG and BaseOperator": "from airflow.sdk import DAG, BaseOperator",
    "the same, and ours": "from airflow.sdk import DAG, BaseOperator\nimport airflow_wall.fronts.folder",
}


# Installed packages are compiled, whatever this variable says of the checkout.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(command: list[str], home: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds and peak MiB of a process."""
    start = time.monotonic()
    process = subprocess.Popen(
        command, env={**ENVIRONMENT, "AIRFLOW_HOME": str(home)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def show(what: str, command: list[str], home: Path, times: int) -> None:
    """Print a line of medians."""
    run(command, home)  # once to warm the disk's cache and the compiled files
    wall, cpu, peak = (
        statistics.median(values) for values in zip(*(run(command, home) for _ in range(times)), strict=True)
    )
    print(f"{what:45} {wall:5.2f} s wall   {cpu:5.2f} s CPU   {peak:4.0f} MiB", flush=True)


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=9)
    options = parser.parse_args()
    with pipelines(1000) as folder:
        home = folder.parent / "home"
        for what, program in IMPORTS.items():
            show(what, [sys.executable, "-c", program], home, options.times)
        validate = [sys.executable, "-c", "from airflow_wall.cli.main import main; main()", "validate"]
        show("validate one file", [*validate, str(folder / "scores_0.yaml")], home, options.times)
        show("validate a thousand files", [*validate, str(folder)], home, max(1, options.times // 3))


if __name__ == "__main__":
    main()

"""
Building pipelines from YAML against the same DAGs in hand-written Python, in one run: `make benchmark`.

Interleaved pairs of processes; each builds N copies of the article's 21 tasks after its imports, with the garbage
collector on, as Airflow runs it, or off. Reported: the median of the ratios of CPU seconds, and the peak of memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]

PROGRAM = """\
import gc, resource, sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
side, folder, count, collector = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
import hand_written
import airflow.serialization.definitions.assets, airflow.timetables.base  # which Airflow's first DAG brings
import airflow_wall.checks.load  # and our first file of checks
from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings
gc.collect()
if collector == "off":
    gc.disable()
start = time.process_time()
dags = load_dags(folder, Settings()) if side == "yaml" else hand_written.build(folder, count)
taken = time.process_time() - start
assert len(dags) == count and all(len(dag.tasks) == 21 for dag in dags.values())
print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@contextmanager
def pipelines(count: int) -> Iterator[Path]:
    """A folder with `count` copies of the example pipeline, and the files it names."""
    text = (ROOT / "dags" / "platform_scores.yaml").read_text()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "dags"
        for file in ("sql/normalize.sql", "checks/scores.yaml"):
            (folder / file).parent.mkdir(parents=True)
            (folder / file).write_text((ROOT / "dags" / file).read_text())
        for number in range(count):
            named = text.replace("dag_id: platform_scores", f"dag_id: scores_{number}")
            named = named.replace("storage: ./lake", f"storage: ./lake_{number}")  # two pipelines write no table
            (folder / f"scores_{number}.yaml").write_text(named)
        yield folder


def measured(side: str, folder: Path, count: int, collector: str) -> tuple[float, float]:
    """CPU seconds and peak MiB of one process that builds `count` DAGs."""
    environment = {**os.environ, "AIRFLOW_HOME": str(folder.parent / "home")}
    program = PROGRAM.format(here=str(Path(__file__).parent))
    command = [sys.executable, "-c", program, side, str(folder), str(count), collector]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    taken, peak = answer.stdout.split()[-2:]
    return float(taken), int(peak) / 1024


def compared(count: int, pairs: int, collector: str) -> None:
    """Print a line for `count` pipelines."""
    with pipelines(count) as folder:
        found = [
            (measured("yaml", folder, count, collector), measured("python", folder, count, collector))
            for _ in range(pairs)
        ]
    ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in found)
    (ours, our_peak), (theirs, their_peak) = (
        tuple(statistics.median(values) for values in zip(*side, strict=True)) for side in zip(*found, strict=True)
    )
    print(
        f"N={count:<5} collector {collector:3}   YAML {ours / count * 1000:6.2f} ms/DAG {our_peak:4.0f} MiB"
        f"   Python {theirs / count * 1000:6.2f} ms/DAG {their_peak:4.0f} MiB   ratio {ratio:.2f}",
        flush=True,
    )


def main() -> None:
    """Print a line per N and setting of the garbage collector."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--collector", choices=["on", "off", "both"], default="both")
    parser.add_argument("counts", type=int, nargs="*", default=[1, 10, 100, 1000])
    options = parser.parse_args()
    collectors = ["on", "off"] if options.collector == "both" else [options.collector]
    for each in collectors:
        for count in options.counts:
            compared(count, options.pairs, each)


if __name__ == "__main__":
    main()

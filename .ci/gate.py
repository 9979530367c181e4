"""
Run the parts of the gate and print, last, how long each took.

Parts run one after the other; the suites that have a virtual environment of their own run two at a time. All parts run,
unless the first one fails: a report names every part that failed. A part that took more than 1.5 times its row in
docs/contributing/testing.md is named as a warning. Exits with 1 if a part failed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "contributing" / "testing.md"
TOLERANCE = 1.5
_SECONDS = 0.2
"""How often new output of a part is printed."""

_MOST_FAULTS = 50
_FAULT = re.compile(r"^(?:FAILED|ERROR|error:) .*", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """
    One part of the gate.

    :param command: A `make` target, with its arguments.
    :param expected: Text that its output must contain.
    """

    command: tuple[str, ...]
    expected: str = ""

    @property
    def name(self) -> str:
        """The command, as docs/contributing/testing.md writes it."""
        return " ".join(self.command)


@dataclass(frozen=True)
class Result:
    """
    How a part ended, and after how many seconds.

    :param faults: The lines of its output that name a failed test.
    """

    part: Part
    seconds: float
    passed: bool
    faults: tuple[str, ...] = ()


ONE_BY_ONE = (
    Part(("make", "run")),
    Part(("make", "run"), expected="no new data"),
    Part(("make", "run", "DATE=2013-07-02")),
    Part(("make", "check")),
    Part(("make", "test")),
)
SIDE_BY_SIDE = (
    Part(("make", "spark-quick")),
    Part(("make", "clouds")),
    Part(("make", "versions", "ONLY=lowest")),
    Part(("make", "compat")),
)
"""The longest first: two at a time, they end together."""


def main() -> int:
    """Run the parts; return the exit code."""
    first, *others = ONE_BY_ONE
    results = [run(first)]
    if results[0].passed:
        prune_cache()
        results += [run(part) for part in others]
        results += run_side_by_side(SIDE_BY_SIDE)
    return report(results)


def run(part: Part, *, buffered: bool = False) -> Result:
    """
    Run a part to its end.

    :param buffered: Print its output in one piece when it has ended.
    """
    begin = time.monotonic()
    if not buffered:
        print(f"== {part.name}", flush=True)
    # A file, because a server that outlives the part would keep a pipe open.
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(part.command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        with Path(output.name).open(encoding="utf-8", errors="replace") as written:
            while process.poll() is None:
                time.sleep(_SECONDS)
                if not buffered:
                    print(written.read(), end="", flush=True)
            if not buffered:
                print(written.read(), end="", flush=True)
            written.seek(0)
            text = written.read()
    if buffered:
        print(f"== {part.name}\n{text}", flush=True)
    if part.expected not in text:
        print(f"error: `{part.name}` did not print `{part.expected}`", flush=True)
    passed = process.returncode == 0 and part.expected in text
    return Result(part, time.monotonic() - begin, passed, () if passed else tuple(_FAULT.findall(text)))


def run_side_by_side(parts: Sequence[Part]) -> list[Result]:
    """Run parts two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda part: run(part, buffered=True), parts))


def prune_cache() -> None:
    """
    Remove what no virtual environment uses from the cache of uv, and print the free space.

    An index that sends no validators makes uv build pyspark anew for each environment, 2 GB each time.
    """
    uv = ROOT / ".venv" / "bin" / "uv"
    if uv.exists() and subprocess.run([uv, "cache", "prune", "--quiet"]).returncode:
        print("warning: cannot prune the cache of uv", flush=True)
    subprocess.run(["df", "-h", ROOT])


def expected_seconds(table: str) -> dict[str, int]:
    """Seconds by command, from the rows of docs/contributing/testing.md."""
    return {name: int(seconds) for name, seconds in re.findall(r"^\| `(make [^`]+)` \|.*\| (\d+) \|", table, re.M)}


def report(results: Sequence[Result]) -> int:
    """Print each failed test, how long each part took, name slow and failed ones, and return the exit code."""
    expected = expected_seconds(TABLE.read_text(encoding="utf-8"))
    for result in results:
        usual = expected.get(result.part.name)
        if usual and result.seconds > TOLERANCE * usual:
            print(f"warning: `{result.part.name}` took {result.seconds:.0f} s, expected about {usual} s")
    for result in results:
        for fault in result.faults[:_MOST_FAULTS]:
            print(f"{result.part.name}: {fault}")
    print("\nseconds  part")
    for result in results:
        print(f"{result.seconds:7.0f}  {result.part.name}{'' if result.passed else '  FAILED'}")
    print(f"{sum(result.seconds for result in results):7.0f}  in all, side by side less", flush=True)
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())

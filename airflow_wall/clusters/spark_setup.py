"""Checks of a machine and a configuration for Spark; each error names the key of the YAML."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_wall.engines.spark_request import MANAGED, SECRET, SIZES
from airflow_wall.errors import ClusterError

JAVA = 17
"""The oldest Java version that Spark 4 supports."""

LEAST = 512
"""Smallest memory of an executor in megabytes: Spark itself uses 300 of them, and refuses less than 450."""


def check_conf(config: Mapping[str, Any]) -> None:
    """
    Check that `conf` sets no key that airflow-wall manages.

    :raises ClusterError: it sets one.
    """
    for key in config.get("conf") or {}:
        if key in MANAGED:
            raise ClusterError(
                f"`cluster.conf` must not hold `{key}`, which airflow-wall decides", hint=f"remove `{key}`"
            )
        if key in SIZES and not config.get("master"):
            raise ClusterError(
                f"`cluster.conf` must not hold `{key}`, which follows from `workers`",
                hint=f"remove `{key}`, and set the size with `cluster.workers`",
            )
        if re.search(SECRET, key, re.IGNORECASE):
            raise ClusterError(
                f"`cluster.conf` must not hold `{key}`: Spark shows its configuration in its UI",
                hint=f"remove `{key}`, and give the machine access to the data, e.g. with the role of its instance",
            )


def check_memory(config: Mapping[str, Any]) -> None:
    """
    Check that this machine has the memory that `workers` asks for.

    :raises ClusterError: it has less, or a job's share is too small for Spark.
    """
    workers = config.get("workers") or {}
    count, memory = workers.get("count", 1), workers.get("memory", "1GB")
    worker_memory, parallel = megabytes(memory), config.get("parallel_jobs", 1)
    if worker_memory // parallel < LEAST:
        raise ClusterError(
            f"`cluster.workers.memory: {memory}` is too little for {parallel} jobs at once: Spark needs {LEAST}MB each",
            hint="raise `workers.memory`, or lower `parallel_jobs`",
        )
    available = _memory_of_this_machine()
    if available is not None and worker_memory * count > available:
        raise ClusterError(
            f"`cluster.workers`: {count} workers of {memory} need {worker_memory * count} MB, "
            f"and this machine has {available} MB",
            hint="lower `workers.count` or `workers.memory`",
        )


def megabytes(memory: str) -> int:
    """Return a size such as `1GB` or `512MB` as a number of megabytes."""
    number, unit = int(memory[:-2]), memory[-2:]
    return number * 1024 if unit == "GB" else number


def _memory_of_this_machine() -> int | None:
    """Return this machine's memory in megabytes, or the limit of its container; None if unknown."""
    limits = []
    try:
        total = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        limits += [int(total[1]) // 1024] if total else []
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        limits += [int(limit) // 2**20] if limit.isdigit() else []
    except OSError:
        pass  # no control groups, or not Linux
    return min(limits) if limits else None


def find_spark(config: Mapping[str, Any]) -> Path:
    """
    Return the directory of Spark in the package `pyspark`.

    :raises ClusterError: `pyspark` or a recent Java is missing, or this is not Linux.
    """
    if not sys.platform.startswith("linux"):
        raise ClusterError(
            f"`cluster.type: spark` needs Linux, whose kernel ends a cluster with its watchdog, got `{sys.platform}`",
            hint="use `type: local`, or run Airflow in a container",
        )
    home = pyspark_of(config.get("python"))
    _check_java()
    return home


def pyspark_of(python: str | None) -> Path:
    """
    Return the directory of Spark of an interpreter; None means this interpreter.

    :raises ClusterError: the interpreter does not have `pyspark`, or cannot be run.
    """
    if python is None or python == sys.executable:
        module_spec = importlib.util.find_spec("pyspark")
        if module_spec is None or not module_spec.submodule_search_locations:
            raise ClusterError(
                f"`cluster.type: spark` needs the package `pyspark`, which `{sys.executable}` does not have",
                hint="run `pip install 'airflow-wall[spark]'`, or set `cluster.python` to an interpreter that has it",
            )
        return Path(module_spec.submodule_search_locations[0])
    program = "import airflow_wall.jobs, pyspark; print(pyspark.__path__[0])"
    try:
        answer = subprocess.run(  # noqa: S603  the author of the DAG names the interpreter, and may run code
            [python, "-c", program], capture_output=True, text=True, timeout=60, check=False, env=_clean_environment()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"`cluster.python: {python}` cannot be run: {error}", hint="correct the path") from None
    if answer.returncode:
        last_line = (answer.stderr.strip().splitlines() or ["no output"])[-1]
        raise ClusterError(
            f"`cluster.python: {python}` does not have the packages that a job on Spark needs: {last_line}",
            hint="install `airflow-wall` there without its dependencies, and the packages of its extras `local` "
            "and `spark`",
        )
    return Path(answer.stdout.strip())


def _clean_environment() -> dict[str, str]:
    """Return the environment without the variables that point another Python to this one's packages."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def _check_java() -> None:
    named = os.environ.get("JAVA_HOME")
    java = f"{named}/bin/java" if named else shutil.which("java")
    reason = f"JAVA_HOME is `{named}`" if named else "there is no `java` on the PATH, and JAVA_HOME is not set"
    hint = f"install Java {JAVA} or later on the workers, e.g. Debian's `openjdk-17-jre-headless`"
    if java is None or not Path(java).exists():
        raise ClusterError(f"`cluster.type: spark` needs Java {JAVA} or later: {reason}", hint=hint)
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = re.search(r'version "(\d+)', answer.stderr)
    if version is None or int(version[1]) < JAVA:
        first_line = (answer.stderr.strip().splitlines() or ["nothing"])[0]
        raise ClusterError(
            f"`cluster.type: spark` needs Java {JAVA} or later, and `{java} -version` prints: {first_line}", hint=hint
        )

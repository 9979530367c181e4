"""What Spark needs of a machine, and what of its configuration is ours: each fault told by the key of the YAML."""

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

from airflow_wall.errors import ClusterError
from airflow_wall.spark_request import MANAGED, SECRET, SIZES

JAVA = 17
"""The oldest Java that Spark 4 runs on."""

LEAST = 512
"""The least memory of an executor, in megabytes: Spark itself takes 300 of them, and refuses less than 450."""


def check_conf(config: Mapping[str, Any]) -> None:
    """
    See to it that `conf` leaves what is ours.

    :raises ClusterError: it does not.
    """
    for key in config.get("conf") or {}:
        if key in MANAGED:
            raise ClusterError(
                f"`cluster.conf` must not hold `{key}`, which airflow-wall decides", hint=f"remove `{key}`"
            )
        if key in SIZES and not config.get("master"):
            raise ClusterError(
                f"`cluster.conf` must not hold `{key}`, which follows from `workers`", hint="say it by `workers`"
            )
        if re.search(SECRET, key, re.IGNORECASE):
            raise ClusterError(
                f"`cluster.conf` must not hold `{key}`: Spark shows its configuration in its UI",
                hint="give the machine the right to the data instead, e.g. by the role of its instance",
            )


def check_memory(config: Mapping[str, Any]) -> None:
    """
    See to it that this machine has what the workers promise.

    :raises ClusterError: it has not, or a job's share is too small for Spark.
    """
    workers = config.get("workers") or {}
    count, memory = workers.get("count", 1), workers.get("memory", "1GB")
    each, parallel = megabytes(memory), config.get("parallel_jobs", 1)
    if each // parallel < LEAST:
        raise ClusterError(
            f"`cluster.workers.memory: {memory}` is too little for {parallel} jobs at once: Spark needs {LEAST}MB each",
            hint="raise `workers.memory`, or lower `parallel_jobs`",
        )
    there = _memory_of_this_machine()
    if there is not None and each * count > there:
        raise ClusterError(
            f"`cluster.workers`: {count} workers of {memory} need {each * count} MB, and this machine has {there} MB",
            hint="ask for less by `workers.count` or `workers.memory`",
        )


def megabytes(memory: str) -> int:
    """`1GB` or `512MB` as a number."""
    number, unit = int(memory[:-2]), memory[-2:]
    return number * 1024 if unit == "GB" else number


def _memory_of_this_machine() -> int | None:
    """In megabytes; what the container may use, where this is one."""
    found = []
    try:
        total = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        found += [int(total[1]) // 1024] if total else []
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        found += [int(limit) // 2**20] if limit.isdigit() else []
    except OSError:
        pass  # no control groups, or not Linux
    return min(found) if found else None


def find_spark(config: Mapping[str, Any]) -> Path:
    """
    The folder of Spark, which the package `pyspark` brings.

    :raises ClusterError: it is not there, or there is no Java that it runs on, or this is not Linux.
    """
    if not sys.platform.startswith("linux"):
        raise ClusterError(
            "`cluster.type: spark` needs Linux, whose kernel ends a cluster with its watchdog",
            hint="use `type: local`, or run Airflow in a container",
        )
    home = _pyspark_of(config.get("python"))
    _check_java()
    return home


def _pyspark_of(python: str | None) -> Path:
    if python is None or python == sys.executable:
        found = importlib.util.find_spec("pyspark")
        if found is None or not found.submodule_search_locations:
            raise ClusterError(
                f"`cluster.type: spark` needs the package `pyspark`, which `{sys.executable}` does not have",
                hint="pip install 'airflow-wall[spark]', or name by `python` an interpreter that has it",
            )
        return Path(found.submodule_search_locations[0])
    program = "import airflow_wall.jobs, pyspark; print(pyspark.__path__[0])"
    try:
        answer = subprocess.run(  # noqa: S603  the interpreter is said by the DAG, whose author may run code
            [python, "-c", program], capture_output=True, text=True, timeout=60, check=False, env=_plain()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"`cluster.python: {python}` cannot be run: {error}", hint="mend the path") from None
    if answer.returncode:
        said = (answer.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ClusterError(
            f"`cluster.python: {python}` has not what a job on Spark needs: {said}",
            hint="install there `airflow-wall` without its dependencies, and what its extras `local` and `spark` list",
        )
    return Path(answer.stdout.strip())


def _plain() -> dict[str, str]:
    """The environment without what leads another Python to this one's packages."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def _check_java() -> None:
    named = os.environ.get("JAVA_HOME")
    java = f"{named}/bin/java" if named else shutil.which("java")
    where = f"JAVA_HOME is `{named}`" if named else "there is no `java` on the PATH, and JAVA_HOME is not set"
    hint = f"install Java {JAVA} or later on the workers, e.g. Debian's `openjdk-17-jre-headless`"
    if java is None or not Path(java).exists():
        raise ClusterError(f"`cluster.type: spark` needs Java {JAVA} or later: {where}", hint=hint)
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = re.search(r'version "(\d+)', answer.stderr)
    if version is None or int(version[1]) < JAVA:
        said = (answer.stderr.strip().splitlines() or ["nothing"])[0]
        raise ClusterError(f"`cluster.type: spark` needs Java {JAVA} or later, and `{java}` says: {said}", hint=hint)

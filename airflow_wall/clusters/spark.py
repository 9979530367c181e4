"""
Spark's standalone cluster: a master and workers on this machine, under a watchdog; or a master that is there already.

The document in the lake is the cluster: `starting`, `running` or `broken`, with a lease. Who makes it, or finds it
without a watchdog, starts one; of several, one gets the kernel's lock. Removing the document ends the cluster.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.clusters.base import Deleted, Document, Log, Site, State, not_running
from airflow_wall.clusters.documents import DocumentFleet, begun, path_of
from airflow_wall.clusters.pin import replaced
from airflow_wall.clusters.spark_setup import check_conf, check_memory, find_spark, megabytes
from airflow_wall.clusters.spark_watchdog import KEPT, START, guarding, is_guarded
from airflow_wall.environments.process import run_job_process
from airflow_wall.errors import ClusterError, Interrupted, WallError, error_of
from airflow_wall.processes import Identity
from airflow_wall.spark_request import SparkRequest

SILENT = timedelta(seconds=40)
"""After how long without a beat a cluster of another machine is taken for dead."""

ENDING = 20.0
"""Seconds that a watchdog gets to end its cluster before it is ended itself, and the cluster with it."""

_LAUNCHES = 3


class SparkCluster:
    """
    One cluster of Spark, under one name.

    :param name: Its name.
    :param config: What `cluster: {type: spark}` takes.
    :param site: In whose folder of our own state in the lake it is one document.
    """

    environments: Collection[str] = ()

    def __init__(self, name: str, config: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self.config = config
        self.site = site
        self.document = path_of(name, site)
        self.folder = self.document.with_suffix("")

    def ensure(self) -> dict[str, Any]:
        """Adopt the cluster of this name, or start it, and wait until its workers have come to its master."""
        check_conf(self.config)
        home = find_spark(self.config)
        if self.config.get("master"):
            return self._lean_on(str(self.config["master"]))
        check_memory(self.config)
        return _described(self._started(home))

    def state(self) -> State | None:
        """How it is: the document says, and whether its watchdog lives."""
        found = state.read(self.document)
        if found is None:
            return None
        if self._is_over(found):
            return State.BROKEN
        return State.RUNNING if found["state"] == "running" else State.STARTING

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:
        """Run a job in a process of its own, the driver, which dies with this one, and its executors with it."""
        found = self._running()
        python = str(found["python"])
        staging = self.folder / "staging"
        scratch = Path(found["scratch"]) / "drivers" if found.get("watchdog") else Path(tempfile.gettempdir())
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="airflow-wall-driver-", dir=scratch, ignore_cleanup_errors=True) as own:
            environment = self._environment(found, own, staging)
            return run_job_process(
                python, job, connections, log, environment=environment, name=self.name, why_end=self._why_end
            )

    def links(self, job_id: str | None = None) -> dict[str, str]:  # noqa: ARG002  the master's page shows them all
        """The page of its master, where we started it."""
        found = state.read(self.document) or {}
        return {"console": found["ui"]} if "ui" in found else {}

    def delete(self) -> Deleted:
        """Remove the document, and wait until what was behind it has ended."""
        with state.locked(self.document):
            found = state.read(self.document)
            self.document.unlink(missing_ok=True)
        identity = self.folder / "watchdog.json"
        try:
            with guarding(self.document, patience=ENDING):
                pass
        except Interrupted:  # it hangs, or it is frozen
            known = state.read(identity)
            if known is not None:
                Identity.from_json(known["watchdog"]).kill()
            try:
                with guarding(self.document, patience=2.0):
                    pass
            except Interrupted:
                raise Interrupted(f"the watchdog of cluster `{self.name}` has not ended yet") from None
        known = found or state.read(identity)
        if known is not None and known.get("scratch"):
            shutil.rmtree(known["scratch"], ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        return Deleted(ended=(self.name,) if found is not None else ())

    # --- one that is there already

    def _lean_on(self, master: str) -> dict[str, Any]:
        check_reachable(master)
        new = {
            **begun(self.name, self.config, self.site),
            "state": "running",
            "master": master,
            "python": self.config.get("python") or sys.executable,
            "spark_home": str(find_spark(self.config)),
        }
        state.create(self.document, new)
        return _described(self._running())

    # --- one of our own

    def _new(self, home: Path) -> dict[str, Any]:
        workers = self.config.get("workers") or {}
        new = begun(self.name, self.config, self.site)
        return {
            **new,
            "state": "starting",
            "host": self.config.get("host") or "127.0.0.1",
            "port": self.config.get("port") or 0,
            "python": self.config.get("python") or sys.executable,
            "spark_home": str(home),
            "scratch": str(Path(tempfile.gettempdir()) / f"airflow-wall-{self.name}-{new['id'][:8]}"),
            "lease_words": _words(datetime.fromisoformat(new["lease"]) - datetime.fromisoformat(new["started"])),
            "workers": {
                "count": workers.get("count", 1),
                "cores": workers.get("cores", 1),
                "megabytes": megabytes(workers.get("memory", "1GB")),
            },
        }

    def _started(self, home: Path) -> dict[str, Any]:
        """The document of the cluster that runs; one is made, but none after one that went away meanwhile."""
        known: set[str] = set()
        launches = 0
        deadline = time.monotonic() + START.total_seconds() + 30
        while time.monotonic() < deadline and launches <= _LAUNCHES:
            found = state.read(self.document)
            if found is None and known:
                raise Interrupted(f"cluster `{self.name}` was stopped while it was waited for")
            if found is None or (found["id"] not in known and self._is_over(found)):
                new = self._new(home)
                if replaced(self.document, found, new):
                    known.add(new["id"])
                    _sweep(found)
                continue
            known.add(found["id"])
            if found["state"] == "broken":
                raise error_of(found["reason"])
            if found["state"] == "running":
                if self._is_over(found):
                    raise Interrupted(f"cluster `{self.name}` has died while it was waited for")
                return found
            if not is_guarded(self.document) and state.read(self.document) == found:
                launches += 1
                self._launch(found)
            time.sleep(0.2)
        raise Interrupted(f"cluster `{self.name}` has not started", hint=f"look into the logs in `{self.folder}`")

    def _launch(self, found: Mapping[str, Any]) -> None:
        """Start a watchdog, which lives on by itself. One that is not needed ends at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        module = "airflow_wall.clusters.spark_watchdog"
        with (self.folder / "watchdog.log").open("ab") as output:
            subprocess.run(  # noqa: S603  our own module, by this very Python
                [sys.executable, "-m", module, str(self.document), found["id"], str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,  # a pipe to the task would end with it, and hold it up
                stderr=output,
                env={
                    **{key: os.environ[key] for key in KEPT if key in os.environ},
                    "PYTHONPATH": _path(),
                    "AIRFLOW_WALL_CLUSTER": self.name,
                },
                cwd="/",
                start_new_session=True,
                check=False,
            )

    def _is_over(self, found: Mapping[str, Any]) -> bool:
        """Whether the cluster of a document has ended, or its watchdog died."""
        watchdog = found.get("watchdog")
        if found["state"] == "broken":
            return True
        if watchdog is None:  # not begun; or a master of others, which is not ours to judge
            return False
        if Identity.from_json(watchdog).is_here:
            return found["state"] == "running" and not is_guarded(self.document)
        return self.site.clock.now() - datetime.fromisoformat(found["seen"]) > SILENT

    def _running(self) -> dict[str, Any]:
        found = state.read(self.document)
        if found is None:
            raise not_running(self.name)
        if found["state"] == "broken":
            raise error_of(found["reason"])
        if found["state"] != "running" or self._is_over(found):
            raise not_running(self.name)
        watchdog = found.get("watchdog")
        if watchdog and found["host"] == "127.0.0.1" and not Identity.from_json(watchdog).is_here:
            raise ClusterError(
                f"`cluster`: the Spark of `{self.name}` listens on another machine than this task runs on",
                hint="name an address that all workers reach (`host`), a Spark that is there already (`master`), "
                "or a `queue` of one machine for the tasks of this cluster",
            )
        return found

    def _why_end(self) -> WallError | None:
        with suppress(WallError):
            found = state.read(self.document)
            if found is None or self._is_over(found):
                told = error_of(found["reason"]) if found and found["state"] == "broken" else not_running(self.name)
                return Interrupted(told.message, hint=told.hint) if isinstance(told, Interrupted) else told
        return None

    def _environment(self, found: Mapping[str, Any], scratch: str, staging: Path) -> dict[str, str]:
        environment = {
            **os.environ,
            "AIRFLOW_WALL_CLUSTER": self.name,
            "AIRFLOW_WALL_THREADS": str(self.config.get("threads", 2)),
            "AIRFLOW_WALL_MEMORY": str(self.config.get("memory", "2GB")),
            "SPARK_HOME": found["spark_home"],
            "SPARK_LOCAL_DIRS": scratch,
            "PYSPARK_PYTHON": found["python"],
            "PYTHONPATH": _path() if found["python"] == sys.executable else "",
        }
        if self.config.get("engine", "spark") == "spark":
            address = self._address(found)
            # Left to itself, Spark listens on any address that the machine's name has, and tells executors the name.
            conf = {"spark.driver.host": address, **self._conf(found)}
            environment |= {"SPARK_LOCAL_IP": address, **SparkRequest(found["master"], conf, staging).to_environment()}
        return environment

    def _address(self, found: Mapping[str, Any]) -> str:
        """Of this machine's addresses, the one that executors reach the driver by."""
        if found.get("watchdog") and Identity.from_json(found["watchdog"]).is_here:
            return str(found["host"])
        return os.environ.get("SPARK_LOCAL_IP") or check_reachable(found["master"])

    def _conf(self, found: Mapping[str, Any]) -> dict[str, str]:
        """Spark's configuration of a driver: its share of the cluster, and what the user says."""
        conf = {key: str(value) for key, value in (self.config.get("conf") or {}).items()}
        workers = found.get("workers")
        if workers is None:
            return conf
        parallel = self.config.get("parallel_jobs", 1)
        cores = max(1, workers["cores"] // parallel)
        return {
            **conf,
            "spark.executor.cores": str(cores),
            "spark.executor.memory": f"{workers['megabytes'] // parallel}m",
            "spark.cores.max": str(cores * workers["count"]),
        }


def open_cluster(name: str, config: Mapping[str, Any], site: Site) -> SparkCluster:
    """The cluster of that name."""
    return SparkCluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: Site) -> DocumentFleet:  # noqa: ARG001
    """All that have a document in this lake."""
    return DocumentFleet("spark", site, open_cluster)


def check_reachable(master: str) -> str:
    """
    See to it that one of the masters of an address answers, and return this machine's address on the way to it.

    :raises Interrupted: none does.
    """
    reasons = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as there:
                return str(there.getsockname()[0])
        except (OSError, ValueError) as error:
            reasons.append(str(error))
    raise Interrupted(
        f"`cluster.master: {master}` cannot be reached: {'; '.join(reasons)}",
        hint="mend the address, or start that master; leave `master` out to have one started for the run",
    )


def _described(found: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: found[key] for key in ("type", "name", "master", "ui") if key in found}
    return {**shown, "workers": found["workers"]["count"]} if "workers" in found else shown


def _sweep(found: Mapping[str, Any] | None) -> None:
    """Remove the files of a cluster whose watchdog was killed before it could."""
    if found is not None and found.get("scratch"):
        shutil.rmtree(found["scratch"], ignore_errors=True)


def _words(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0 and seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _path() -> str:
    return os.pathsep.join(path for path in sys.path if path)

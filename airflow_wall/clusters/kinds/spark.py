"""
The `spark` cluster: a Spark master and workers on this machine under a watchdog, or an existing master.

A document in the lake represents the cluster: `starting`, `running` or `broken`, with a lease. A process that creates
the document, or finds it without a watchdog, starts one. If several do, only one gets the kernel's lock. Removing the
document ends the cluster. Programs, directories and addresses come only from the configuration, because other people
may write to the lake.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.clusters.base import ClusterSite, ClusterState, Deleted, Document, Log, duration_of, not_running
from airflow_wall.clusters.cloud import LONGEST
from airflow_wall.clusters.cluster_claim import replace_document
from airflow_wall.clusters.documents import DocumentFleet, SparkDocument, new_document, parse_document, path_of
from airflow_wall.clusters.spark_scratch import Scratch
from airflow_wall.clusters.spark_setup import check_conf, check_memory, find_spark, megabytes, pyspark_of
from airflow_wall.clusters.spark_watchdog import (
    KEPT,
    MODULE,
    NOTE,
    START,
    has_watchdog,
    is_watchdog_command,
    watchdog_lock,
)
from airflow_wall.engines.spark_request import SparkRequest
from airflow_wall.environments.process import run_job_process
from airflow_wall.errors import ClusterError, Interrupted, WallError, error_from_json
from airflow_wall.lake.lake import Lake
from airflow_wall.processes.lifetime import Identity

log = logging.getLogger(__name__)

SILENT = timedelta(seconds=40)
"""A cluster on another machine counts as dead after this time without a heartbeat."""

ENDING = 20.0
"""Seconds that a watchdog has to end its cluster before it is killed, and the cluster with it."""

_LAUNCHES = 3


class SparkCluster:
    """
    A Spark cluster with a name.

    :param name: The cluster's name.
    :param config: The `cluster` block of the YAML.
    :param site: The cluster is one document in the site's state directory.
    """

    environments: Collection[str] = ()

    def __init__(self, name: str, config: Mapping[str, Any], site: ClusterSite) -> None:
        self.name = name
        self.config = config
        self.site = site
        self.document = path_of(name, site)
        self.folder = self.document.with_suffix("")

    def ensure(self) -> dict[str, Any]:
        """Adopt the cluster with this name, or start it, and wait until its workers have joined the master."""
        check_conf(self.config)
        home = find_spark(self.config)
        if self.config.get("master"):
            return self._use_master(str(self.config["master"]))
        check_memory(self.config)
        return self._start(home)

    def state(self) -> ClusterState | None:
        """Return the cluster's state, from its document and the life of its watchdog."""
        cluster = self._read()
        if cluster is None:
            return None
        if self._has_ended(cluster):
            return ClusterState.BROKEN
        return ClusterState.RUNNING if cluster.state == "running" else ClusterState.STARTING

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:
        """Run a job in a child process, the driver. It dies with this process, and its executors with it."""
        cluster = self._require_running()
        home = pyspark_of(self.config.get("python"))
        scratch = Path(tempfile.gettempdir())
        if cluster.watchdog is not None:
            scratch = Scratch(self.document, cluster.id).make() / "drivers"
            scratch.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="airflow-wall-driver-", dir=scratch, ignore_cleanup_errors=True) as own:
            environment = self._environment(cluster, home, own, self.folder / "staging")
            return run_job_process(
                self._python, job, connections, log, environment=environment, name=self.name, why_end=self._why_end
            )

    def links(self, job_id: str | None = None) -> dict[str, str]:  # noqa: ARG002  the master's page shows them all
        """Return the page of the master, if airflow-wall started it."""
        cluster = self._read()
        page = self._page(cluster).get("ui") if cluster is not None else None
        return {} if page is None else {"console": page}

    def delete(self) -> Deleted:
        """Remove the document, and wait until the processes of the cluster have ended."""
        with state.locked(self.document):
            try:
                cluster = self._read()
            except WallError as error:  # the content of an invalid document is not used
                log.warning("%s", error)
                cluster = None
            existed = self.document.exists()
            self.document.unlink(missing_ok=True)
        try:
            with watchdog_lock(self.document, patience=ENDING):
                pass
        except Interrupted:  # the watchdog hangs or is frozen
            self._kill_watchdog()
            try:
                with watchdog_lock(self.document, patience=2.0):
                    pass
            except Interrupted:
                raise Interrupted(f"the watchdog of cluster `{self.name}` has not ended yet") from None
        cluster_id = cluster.id if cluster is not None else str(self._read_note().get("id"))
        Scratch(self.document, cluster_id).remove()
        state.remove_folder(self.folder, self.site.state.parent)
        return Deleted(ended=(self.name,) if existed else ())

    def _read_note(self) -> Mapping[str, Any]:
        """Return the note that the watchdog wrote about itself; empty if there is none."""
        with suppress(WallError, OSError):
            return state.read(self.folder / NOTE) or {}
        return {}

    def _kill_watchdog(self) -> None:
        """Kill the watchdog of this document, and no other process."""
        with suppress(TypeError, ValueError, KeyError, OverflowError):
            Identity.from_json(self._read_note()["watchdog"]).kill(
                lambda command: is_watchdog_command(command, self.document)
            )

    # --- an existing master

    def _use_master(self, master: str) -> dict[str, Any]:
        check_reachable(master)
        new = {
            **new_document(self.name, self.config, self.site),
            "state": "running",
            "master": master,
        }
        state.create(self.document, new)
        self._require_running()
        return {"type": "spark", "name": self.name, "master": master}

    # --- a new cluster

    def _new_document(self) -> dict[str, Any]:
        new = new_document(self.name, self.config, self.site)
        return {**new, "state": "starting", "scratch": str(Scratch(self.document, new["id"]).path)}

    def _start(self, home: Path) -> dict[str, Any]:
        """
        Return the values that the UI shows of the running cluster, after creating it if it does not exist.

        :raises Interrupted: the cluster was stopped or died during the wait; it is not created again.
        """
        seen_ids: set[str] = set()
        launches = 0
        deadline = time.monotonic() + START.total_seconds() + 30
        while time.monotonic() < deadline and launches <= _LAUNCHES:
            document = state.read(self.document)
            cluster = parse_document(SparkDocument, document, self.name, str(self.document))
            if cluster is None and seen_ids:
                raise Interrupted(f"cluster `{self.name}` was stopped while this task waited for it")
            if cluster is None or (cluster.id not in seen_ids and self._has_ended(cluster)):
                new = self._new_document()
                if replace_document(self.document, document, new):
                    seen_ids.add(new["id"])
                    if cluster is not None:  # its watchdog may have been killed before it removed the directory
                        Scratch(self.document, cluster.id).remove()
                continue
            seen_ids.add(cluster.id)
            if cluster.state == "broken":
                raise _end_error(cluster)
            if cluster.state == "running":
                if self._has_ended(cluster):
                    raise Interrupted(f"cluster `{self.name}` has died while this task waited for it")
                self._check_master(cluster)
                shown = {"type": "spark", "name": self.name, "master": cluster.master, **self._page(cluster)}
                return {**shown, "workers": self._workers["count"]}
            if not has_watchdog(self.document) and state.read(self.document) == document:
                launches += 1
                self._launch(cluster, home)
            time.sleep(0.2)
        raise Interrupted(f"cluster `{self.name}` has not started", hint=f"read the logs in `{self.folder}`")

    def _launch(self, cluster: SparkDocument, home: Path) -> None:
        """
        Start a watchdog that outlives this process. A watchdog that is not needed ends at once.

        Its arguments define the processes it starts, because other people can write to the document.
        """
        if not state.lies_below(self.folder, self.site.state.parent):
            raise ClusterError(f"`{self.folder}` is a link that leads out of the lake", hint="remove it")
        self.folder.mkdir(parents=True, exist_ok=True)
        longest = duration_of(self.config, "max_ttl", LONGEST)
        settings = {
            "host": self._host,
            "port": self.config.get("port") or 0,
            "spark_home": str(home),
            "lease": min(cluster.lease, self.site.clock.now() + longest).isoformat(),
            "lease_words": _format_duration(longest),
            "workers": self._workers,
        }
        with open(self.folder / "watchdog.log", "ab", opener=state.open_without_link) as output:
            subprocess.run(  # noqa: S603  a module of this package, run by this Python
                [sys.executable, "-m", MODULE, str(self.document), cluster.id, str(self.folder), json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=output,  # a pipe to the task would end with the task, and block it
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

    # --- the configuration

    @property
    def _python(self) -> str:
        return str(self.config.get("python") or sys.executable)

    @property
    def _host(self) -> str:
        return str(self.config.get("host") or "127.0.0.1")

    @property
    def _workers(self) -> dict[str, int]:
        workers = self.config.get("workers") or {}
        return {
            "count": workers.get("count", 1),
            "cores": workers.get("cores", 1),
            "megabytes": megabytes(workers.get("memory", "1GB")),
        }

    # --- the document

    def _read(self) -> SparkDocument | None:
        return parse_document(SparkDocument, state.read(self.document), self.name, str(self.document))

    def _is_here(self, address: str, scheme: str) -> bool:
        """Return True if the master that airflow-wall starts can have this address."""
        return re.fullmatch(rf"{scheme}://\[?{re.escape(self._host)}\]?:\d+", address) is not None

    def _page(self, cluster: SparkDocument) -> dict[str, str]:
        return {"ui": cluster.ui} if cluster.ui is not None and self._is_here(cluster.ui, "http") else {}

    def _check_master(self, cluster: SparkDocument) -> str:
        """
        Return the address of the master, if it is the one in the configuration.

        :raises ClusterError: it is another one, and jobs would be sent to it with their data.
        """
        configured, master = self.config.get("master"), str(cluster.master)
        if master != configured if configured else not self._is_here(master, "spark"):
            expected = f"`{configured}`" if configured else f"one on `{self._host}`"
            raise ClusterError(
                f"`{self.document}` names the master `{master}`, but `cluster` asks for {expected}",
                hint="if `cluster` was edited, clear the `stop_cluster` task and then `start_cluster`; else remove "
                "the document, and find out who wrote it",
            )
        return master

    def _has_ended(self, cluster: SparkDocument) -> bool:
        """Return True if the cluster of a document has ended or its watchdog has died."""
        if cluster.state == "broken":
            return True
        if cluster.watchdog is None:  # not started yet, or an existing master, whose life is not checked
            return False
        if cluster.watchdog.is_here:
            return cluster.state == "running" and not has_watchdog(self.document)
        return cluster.seen is None or self.site.clock.now() - cluster.seen > SILENT

    def _require_running(self) -> SparkDocument:
        cluster = self._read()
        if cluster is None:
            raise not_running(self.name)
        if cluster.state == "broken":
            raise _end_error(cluster)
        if cluster.state != "running" or self._has_ended(cluster):
            raise not_running(self.name)
        self._check_master(cluster)
        if cluster.watchdog is not None and self._host == "127.0.0.1" and not cluster.watchdog.is_here:
            raise ClusterError(
                f"`cluster`: the Spark master of `{self.name}` listens only on its own machine, "
                "and this task runs on another",
                hint="set `host` to an address that all workers reach, `master` to an existing Spark, or `queue` to "
                "that of one machine for all tasks of this cluster",
            )
        return cluster

    def _why_end(self) -> WallError | None:
        with suppress(WallError):
            cluster = self._read()
            if cluster is None or self._has_ended(cluster):
                reason = _end_error(cluster) if cluster and cluster.state == "broken" else not_running(self.name)
                return Interrupted(reason.message, hint=reason.hint) if isinstance(reason, Interrupted) else reason
        return None

    # --- the environment of a driver

    def _environment(self, cluster: SparkDocument, home: Path, scratch: str, staging: Path) -> dict[str, str]:
        environment = {
            **os.environ,
            "AIRFLOW_WALL_CLUSTER": self.name,
            "AIRFLOW_WALL_THREADS": str(self.config.get("threads", 2)),
            "AIRFLOW_WALL_MEMORY": str(self.config.get("memory", "2GB")),
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_DIRS": scratch,
            "PYSPARK_PYTHON": self._python,
            "PYTHONPATH": _path() if self._python == sys.executable else "",
        }
        if self.config.get("engine", "spark") == "spark":
            master = self._check_master(cluster)
            address = self._address(cluster, master)
            # By default Spark listens on any address of the machine's name, and sends executors the name.
            conf = {"spark.driver.host": address, **self._conf()}
            environment |= {"SPARK_LOCAL_IP": address, **SparkRequest(master, conf, staging).to_environment()}
        return environment

    def _address(self, cluster: SparkDocument, master: str) -> str:
        """Return the address of this machine at which executors reach the driver."""
        if cluster.watchdog is not None and cluster.watchdog.is_here:
            return self._host
        return os.environ.get("SPARK_LOCAL_IP") or check_reachable(master)

    def _conf(self) -> dict[str, str]:
        """Return the Spark configuration of a driver: its share of the cluster, and the user's `conf`."""
        conf = {key: str(value) for key, value in (self.config.get("conf") or {}).items()}
        if self.config.get("master"):
            return conf
        parallel = self.config.get("parallel_jobs", 1)
        cores = max(1, self._workers["cores"] // parallel)
        return {
            **conf,
            "spark.executor.cores": str(cores),
            "spark.executor.memory": f"{self._workers['megabytes'] // parallel}m",
            "spark.cores.max": str(cores * self._workers["count"]),
        }


def open_cluster(name: str, config: Mapping[str, Any], site: ClusterSite) -> SparkCluster:
    """Return the cluster with that name."""
    return SparkCluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: ClusterSite) -> DocumentFleet:  # noqa: ARG001
    """Return all Spark clusters that have a document in this lake."""
    return DocumentFleet("spark", replace(site, lake=Lake(site.state.parent)), open_cluster)


def check_reachable(master: str) -> str:
    """
    Check that one of the masters of an address answers, and return this machine's address in that connection.

    :raises Interrupted: no master answers.
    """
    reasons = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as connection:
                return str(connection.getsockname()[0])
        except (OSError, ValueError) as error:
            reasons.append(str(error))
    raise Interrupted(
        f"`cluster.master: {master}` cannot be reached: {'; '.join(reasons)}",
        hint="correct the address, or start that master; without `master` a cluster is started for the run",
    )


def _end_error(cluster: SparkDocument) -> WallError:
    """Return the error that ended a cluster."""
    reason = {"kind": "Interrupted", "message": "the cluster has ended", "hint": None, **(cluster.reason or {})}
    return error_from_json(reason)


def _format_duration(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0 and seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _path() -> str:
    return os.pathsep.join(path for path in sys.path if path)

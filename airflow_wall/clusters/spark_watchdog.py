"""
The watchdog of one Spark cluster: the parent of its master and workers, which the kernel kills with it.

It ends the cluster when the document in the lake is missing or belongs to another cluster, when the lease has ended, or
when the master or a worker has died. While it lives it holds a file lock, by which other processes on this machine see
that it lives. Process ids are not trusted, because the kernel reuses them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.clusters.spark_scratch import Scratch
from airflow_wall.errors import ClusterError, Interrupted, WallError
from airflow_wall.processes.lifetime import Identity, dying_with_parent

LOOK = 0.5
"""Seconds between two checks of the document and the processes."""

BEAT = timedelta(seconds=10)
"""Time between two heartbeats in the document."""

START = timedelta(minutes=5)
"""Longest time until all workers have joined the master."""

GRACE = 5.0
"""Seconds that processes have to end after SIGTERM."""

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "JAVA_HOME", "LD_LIBRARY_PATH", "TMPDIR")
"""Environment variables that a cluster's processes inherit from a task, whose environment holds Airflow's secrets."""

MODULE = "airflow_wall.clusters.spark_watchdog"
NOTE = "watchdog.json"
"""Document beside the logs that identifies the watchdog's process."""

_PR_SET_CHILD_SUBREAPER = 36
_MASTER = re.compile(r"Starting Spark master at (spark://\S+)")
_UI = re.compile(r"Successfully started service 'MasterUI' on port (\d+)")
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

log = logging.getLogger(__name__)


@contextlib.contextmanager
def watchdog_lock(document: Path, *, patience: float = 0.0) -> Iterator[None]:
    """
    Hold the lock that the watchdog of a cluster holds while it lives.

    :param patience: Seconds to try.
    :raises Interrupted: another process holds it.
    """
    deadline = time.monotonic() + patience
    while True:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(state.locked(document.with_suffix(".watchdog"), wait=False))
            except Interrupted:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.1)
                continue
            yield
            return


def has_watchdog(document: Path) -> bool:
    """Return True if a watchdog of this document's cluster lives on this machine."""
    try:
        with watchdog_lock(document):
            return False
    except Interrupted:
        return True


def is_watchdog_command(command: Sequence[str], document: Path) -> bool:
    """Return True if a command line belongs to the watchdog of this document."""
    return MODULE in command and str(document.resolve()) in [str(Path(word).resolve()) for word in command if word]


class Watchdog:
    """
    Starts one cluster, watches it and ends it.

    :param document: Path of the cluster's document.
    :param cluster_id: The `id` in the document; a document with another id belongs to another cluster.
    :param folder: Directory for the logs.
    :param settings: The processes to start, and the end of their lease: `host`, `port`, `spark_home`, `workers`,
        `lease` and `lease_words`. They come from the task that starts the watchdog. Only id and state are read from the
        document, because other people may write it.
    """

    def __init__(self, document: Path, cluster_id: str, folder: Path, settings: Mapping[str, Any]) -> None:
        self.document = document
        self.id = cluster_id
        self.folder = folder
        self.settings = settings
        self.scratch = Scratch(document, cluster_id)
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.stop_requested = False
        self.beat = datetime.now(UTC)

    def guard(self) -> None:
        """Start the cluster, watch it, and end it."""
        document = self._read_own()
        if document is None or document["state"] != "starting":
            return
        signal.signal(signal.SIGTERM, self._stop)
        # Executors whose worker died become children of this process, which ends them.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        try:
            this = Identity.of_this_process().to_json()
            state.write(self.folder / NOTE, {"watchdog": this, "id": self.id})
            self._change(watchdog=this, seen=datetime.now(UTC).isoformat())
            self._start()
            reason = self._watch()
        except WallError as error:
            reason = error
        finally:
            self._end()
            self.scratch.remove()
        if reason is not None:
            log.info("the cluster has ended: %s", reason)
            self._change(state="broken", reason=reason.to_json())

    # --- start

    def _start(self) -> None:
        host, workers = self.settings["host"], self.settings["workers"]
        scratch = self.scratch.make()
        deadline = time.monotonic() + START.total_seconds()
        at = ["--host", host, "--port", str(self.settings["port"]), "--webui-port", "0"]
        self._launch("master", ["org.apache.spark.deploy.master.Master", *at])
        master = self._wait_for_log("master", _MASTER, deadline)
        page = f"http://{host}:{self._wait_for_log('master', _UI, deadline)}"
        for number in range(1, workers["count"] + 1):
            size = ["--cores", str(workers["cores"]), "--memory", f"{workers['megabytes']}m"]
            place = ["--host", host, "--port", "0", "--webui-port", "0", "--work-dir", str(scratch / f"work-{number}")]
            worker = ["org.apache.spark.deploy.worker.Worker", *size, *place, master]
            self._launch(f"worker-{number}", worker)
        while (alive := _workers_alive(page)) < workers["count"]:
            self._check(deadline, f"{alive} of {workers['count']} workers have joined the master")
        self._change(state="running", master=master, ui=page)
        log.info("the cluster runs: %s", master)

    def _launch(self, name: str, arguments: list[str]) -> None:
        """Start a process of Spark."""
        # Without the REST server: it listens on a fixed port, which only one cluster of a machine could use.
        options = "-Dspark.port.maxRetries=0 -Dspark.ui.killEnabled=false -Dspark.master.rest.enabled=false"
        environment = {
            **{key: os.environ[key] for key in KEPT if key in os.environ},
            "AIRFLOW_WALL_CLUSTER": self.document.stem,
            "SPARK_HOME": self.settings["spark_home"],
            "SPARK_LOCAL_IP": self.settings["host"],
            "SPARK_LOCAL_DIRS": str(self.scratch.path),
            "SPARK_DAEMON_MEMORY": "512m",
            "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",  # a faster start
            "SPARK_MASTER_OPTS": options,
            "SPARK_WORKER_OPTS": options,
            "SPARK_NO_DAEMONIZE": "1",
        }
        log_file = self.folder / f"{name}.log"  # overwritten, so that an earlier process's lines are not read
        with open(log_file, "wb", opener=state.open_without_link) as output:
            self.children[name] = subprocess.Popen(  # noqa: S603  Spark's own start script, with checked values
                [str(Path(self.settings["spark_home"]) / "bin" / "spark-class"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=self.scratch.path,
                preexec_fn=dying_with_parent(),
            )

    def _wait_for_log(self, name: str, pattern: re.Pattern[str], deadline: float) -> str:
        """Wait for a pattern in the log of a process, and return its first group."""
        while True:
            match = pattern.search((self.folder / f"{name}.log").read_text(errors="replace"))
            if match is not None:
                return match[1]
            self._check(deadline, f"the {name} did not log its address")

    def _check(self, deadline: float, late: str) -> None:
        """Wait a moment. Raise if a process has died, nobody needs the cluster any more, or time is up."""
        self._raise_if_dead()
        self._send_heartbeat()
        if self.stop_requested or self._read_own() is None:
            raise Interrupted("the start of the cluster was cancelled")
        if time.monotonic() > deadline:
            minutes = f"{START.total_seconds() / 60:.0f}"
            raise Interrupted(f"`cluster`: Spark has not started within {minutes} minutes: {late}", hint=self._logs())
        time.sleep(0.2)

    def _raise_if_dead(self) -> None:
        for name, process in self.children.items():
            code = process.poll()
            if code is not None:
                raise self._death(name, code)

    def _death(self, name: str, code: int) -> WallError:
        text = (self.folder / f"{name}.log").read_text(errors="replace")
        if "java.net.BindException" in text:
            port_in_use = "Address already in use" in text
            where = f"`cluster.host: {self.settings['host']}`, `cluster.port: {self.settings['port']}`"
            why = "another process uses the port" if port_in_use else "the address is not one of this machine"
            return ClusterError(
                f"{where}: Spark's {name} cannot listen there: {why}",
                hint="set another port, or remove `port` to use any free one"
                if port_in_use
                else "set an address of this machine, or remove `host`",
            )
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
        return Interrupted(f"Spark's {name} {how}: {last.strip()[:300]}", hint=self._logs())

    def _logs(self) -> str:
        return f"read the logs in `{self.folder}`; clear the `start_cluster` task to start another cluster"

    # --- watch

    def _watch(self) -> WallError | None:
        """Wait for a reason to end the cluster, and return it; None if the document was removed."""
        while True:
            if self.stop_requested:
                return Interrupted("the watchdog of the cluster received SIGTERM, e.g. because its machine shuts down")
            if self._read_own() is None:
                return None
            if datetime.now(UTC) >= datetime.fromisoformat(self.settings["lease"]):
                hint = "raise `max_ttl`, or find out why the run takes so long"
                message = f"the lease of the cluster has ended (`cluster.max_ttl: {self.settings['lease_words']}`)"
                return ClusterError(message, hint=hint)
            self._raise_if_dead()
            self._send_heartbeat()
            time.sleep(LOOK)

    def _send_heartbeat(self) -> None:
        """Write a heartbeat to the document, for other processes and machines."""
        now = datetime.now(UTC)
        if now - self.beat >= BEAT:
            self._change(seen=now.isoformat())
            self.beat = now

    def _read_own(self) -> dict[str, Any] | None:
        """Return the document, if it still belongs to this cluster."""
        document = state.read(self.document)
        return document if document is not None and document["id"] == self.id else None

    def _change(self, **values: Any) -> None:
        """Update the document, unless it is missing or belongs to another cluster."""
        with state.locked(self.document):
            document = self._read_own()
            if document is not None:
                state.write(self.document, {**document, **values})

    # --- end

    def _stop(self, *_: Any) -> None:
        self.stop_requested = True

    def _end(self) -> None:
        """End all processes: first with SIGTERM, then with SIGKILL, then the orphans they left."""
        for process in self.children.values():
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in self.children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        for process in self.children.values():
            process.kill()
            process.wait()
        while orphans := _children_of_this_process():
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # a child keeps its process id until it is waited for
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)


def _children_of_this_process() -> list[int]:
    pids = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            pids += [int(pid) for pid in (task / "children").read_text().split()]
    return pids


def _workers_alive(page: str) -> int:
    try:
        with _OPENER.open(f"{page}/json/", timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
    except (OSError, ValueError):
        return 0


def main() -> int:
    """
    Fork a process that guards the cluster of the arguments, unless another one guards it.

    The caller does not wait for the forked process, which does not end with the caller. The lock is already taken when
    this process ends, because it belongs to the open file, which a fork shares.
    """
    document, cluster_id, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    settings = json.loads(sys.argv[4])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        with watchdog_lock(document, patience=5.0):
            if os.fork():
                os._exit(0)  # without closing files that the child uses
            Watchdog(document, cluster_id, folder, settings).guard()
    except Interrupted as error:
        log.info("not needed: %s", error.message)
    return 0


if __name__ == "__main__":
    sys.exit(main())

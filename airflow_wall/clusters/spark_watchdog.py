"""
The watchdog of one Spark cluster: parent of its master and workers, which the kernel kills with it.

It needs nobody: it ends the cluster when its document in the lake is gone or is another's, when its lease has ended, or
when the master or a worker has died. While it lives it holds a lock of the kernel, which is how anybody on this machine
knows: no number of a process is trusted, because numbers are used again.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.errors import ClusterError, Interrupted, WallError
from airflow_wall.processes import Identity, dying_with_parent

LOOK = 0.5
"""Seconds between two looks at the document and at the processes."""

BEAT = timedelta(seconds=10)
"""How often the document is told that the cluster lives."""

START = timedelta(minutes=5)
"""How long master and workers may take to find each other."""

GRACE = 5.0
"""Seconds that processes get to end by themselves."""

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "JAVA_HOME", "LD_LIBRARY_PATH", "TMPDIR")
"""What the processes of a cluster see of a task's environment, which holds Airflow's secrets."""

_PR_SET_CHILD_SUBREAPER = 36
_MASTER = re.compile(r"Starting Spark master at (spark://\S+)")
_UI = re.compile(r"Successfully started service 'MasterUI' on port (\d+)")
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

log = logging.getLogger(__name__)


@contextlib.contextmanager
def guarding(document: Path, *, patience: float = 0.0) -> Iterator[None]:
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


def is_guarded(document: Path) -> bool:
    """Whether the cluster of this document has a watchdog that lives, as far as this machine can tell."""
    try:
        with guarding(document):
            return False
    except Interrupted:
        return True


class Watchdog:
    """
    One cluster from its start to its end.

    :param document: Its document.
    :param cluster_id: The `id` in it: a document with another one is of another cluster.
    :param folder: For the logs.
    """

    def __init__(self, document: Path, cluster_id: str, folder: Path) -> None:
        self.document = document
        self.id = cluster_id
        self.folder = folder
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.told_to_stop = False
        self.beat = datetime.now(UTC)

    def guard(self) -> None:
        """Start the cluster, watch it, and end it."""
        found = self._own()
        if found is None or found["state"] != "starting":
            return
        signal.signal(signal.SIGTERM, self._stop)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # executors whose worker died are ours to end
        scratch = Path(found["scratch"])
        try:
            this = Identity.of_this_process().to_json()
            state.write(self.folder / "watchdog.json", {"watchdog": this, "scratch": str(scratch)})
            self._change(watchdog=this, seen=datetime.now(UTC).isoformat())
            self._start(found)
            reason = self._watch()
        except WallError as error:
            reason = error
        finally:
            self._end()
            shutil.rmtree(scratch, ignore_errors=True)
        if reason is not None:
            log.info("the cluster has ended: %s", reason)
            self._change(state="broken", reason=reason.to_json())

    # --- start

    def _start(self, found: Mapping[str, Any]) -> None:
        host, workers = found["host"], found["workers"]
        scratch = Path(found["scratch"])
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = time.monotonic() + START.total_seconds()
        at = ["--host", host, "--port", str(found["port"]), "--webui-port", "0"]
        self._launch("master", found, ["org.apache.spark.deploy.master.Master", *at])
        master = self._said("master", _MASTER, deadline)
        page = f"http://{host}:{self._said('master', _UI, deadline)}"
        for number in range(1, workers["count"] + 1):
            size = ["--cores", str(workers["cores"]), "--memory", f"{workers['megabytes']}m"]
            place = ["--host", host, "--port", "0", "--webui-port", "0", "--work-dir", str(scratch / f"work-{number}")]
            worker = ["org.apache.spark.deploy.worker.Worker", *size, *place, master]
            self._launch(f"worker-{number}", found, worker)
        while (alive := _workers_alive(page)) < workers["count"]:
            self._check(deadline, f"of {workers['count']} workers {alive} came to the master")
        self._change(state="running", master=master, ui=page)
        log.info("the cluster runs: %s", master)

    def _launch(self, name: str, found: Mapping[str, Any], arguments: list[str]) -> None:
        """Start a process of Spark."""
        # Without the REST server, which listens on one port that two clusters of a machine would both want.
        options = "-Dspark.port.maxRetries=0 -Dspark.ui.killEnabled=false -Dspark.master.rest.enabled=false"
        environment = {
            **{key: os.environ[key] for key in KEPT if key in os.environ},
            "AIRFLOW_WALL_CLUSTER": found["name"],
            "SPARK_HOME": found["spark_home"],
            "SPARK_LOCAL_IP": found["host"],
            "SPARK_LOCAL_DIRS": found["scratch"],
            "SPARK_DAEMON_MEMORY": "512m",
            "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",  # they do little, and start sooner
            "SPARK_MASTER_OPTS": options,
            "SPARK_WORKER_OPTS": options,
            "SPARK_NO_DAEMONIZE": "1",
        }
        with (self.folder / f"{name}.log").open("wb") as output:  # what an earlier one said is not what this one says
            self.children[name] = subprocess.Popen(  # noqa: S603  Spark's own start, with values that were checked
                [str(Path(found["spark_home"]) / "bin" / "spark-class"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=found["scratch"],
                preexec_fn=dying_with_parent(),
            )

    def _said(self, name: str, pattern: re.Pattern[str], deadline: float) -> str:
        """What a process said in its log."""
        while True:
            found = pattern.search((self.folder / f"{name}.log").read_text(errors="replace"))
            if found is not None:
                return found[1]
            self._check(deadline, f"the {name} did not say where it listens")

    def _check(self, deadline: float, late: str) -> None:
        """Wait a moment. Raises where a process has died, nobody wants the cluster any more, or time is up."""
        self._raise_if_dead()
        self._tell()
        if self.told_to_stop or self._own() is None:
            raise Interrupted("the start was called off")
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
            found = self._own() or {}
            taken = "Address already in use" in text
            where = f"`cluster.host: {found.get('host')}`, `cluster.port: {found.get('port')}`"
            why = "another process does" if taken else "that is no address of this machine"
            return ClusterError(
                f"{where}: Spark's {name} cannot listen there: {why}",
                hint="name another port, or leave `port` out: any free one is taken then"
                if taken
                else "name an address of this machine, or leave `host` out",
            )
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
        return Interrupted(f"Spark's {name} {how}: {last.strip()[:300]}", hint=self._logs())

    def _logs(self) -> str:
        return f"look into the logs in `{self.folder}`; clear the `start_cluster` task to have another"

    # --- watch

    def _watch(self) -> WallError | None:
        """Wait for a reason to end. None: nobody wants the cluster any more."""
        while True:
            if self.told_to_stop:
                return Interrupted("the watchdog of the cluster was told to stop, as when its machine goes down")
            found = self._own()
            if found is None:
                return None
            if datetime.now(UTC) >= datetime.fromisoformat(found["lease"]):
                hint = "raise `max_ttl`, or look why the run takes so long"
                said = f"the lease of the cluster has ended (`cluster.max_ttl: {found['lease_words']}`)"
                return ClusterError(said, hint=hint)
            self._raise_if_dead()
            self._tell()
            time.sleep(LOOK)

    def _tell(self) -> None:
        """Tell others, of other machines too, that the cluster lives."""
        now = datetime.now(UTC)
        if now - self.beat >= BEAT:
            self._change(seen=now.isoformat())
            self.beat = now

    def _own(self) -> dict[str, Any] | None:
        """The document, if it still is this cluster's."""
        found = state.read(self.document)
        return found if found is not None and found["id"] == self.id else None

    def _change(self, **values: Any) -> None:
        """Write into the document, unless it is gone or another's."""
        with state.locked(self.document):
            found = self._own()
            if found is not None:
                state.write(self.document, {**found, **values})

    # --- end

    def _stop(self, *_: Any) -> None:
        self.told_to_stop = True

    def _end(self) -> None:
        """End all that was started: first those that are asked, then those that do not listen, then what they left."""
        for process in self.children.values():
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in self.children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        for process in self.children.values():
            process.kill()
            process.wait()
        while left := _children_of_this_process():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # a child of ours keeps its number until we have waited for it
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)


def _children_of_this_process() -> list[int]:
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def _workers_alive(page: str) -> int:
    try:
        with _OPENER.open(f"{page}/json/", timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
    except (OSError, ValueError):
        return 0


def main() -> int:
    """
    Leave a process behind that guards the cluster of the arguments; none where another guards it.

    Who starts this has nothing to wait for afterwards, and nothing that ends with it. The lock is had already then: it
    is of the open file, which a fork shares.
    """
    document, cluster_id, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        with guarding(document, patience=5.0):
            if os.fork():
                os._exit(0)  # without closing what the other has
            Watchdog(document, cluster_id, folder).guard()
    except Interrupted as error:
        log.info("not needed: %s", error.message)
    return 0


if __name__ == "__main__":
    sys.exit(main())

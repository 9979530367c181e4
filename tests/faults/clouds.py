"""The clouds that the pipelines use, the moments at which a run is held there, and which clusters there are."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import emr_server
import google_server
import grpc
import psutil
from judge import Span

PATIENCE = 240.0
"""Seconds after which a run that is held goes on by itself."""


@dataclass
class Gate:
    """One run, held at one moment until it is let go."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def hold(self) -> None:
        self.reached.set()
        self.opened.wait(PATIENCE)


Refusal = Callable[[str], Exception | None]


@dataclass
class Director:
    """
    Holds runs at moments, and has calls of one of them go wrong; all by the name of the cluster.

    A moment is `start.before`, `start.after` (the cloud has done it and has not answered), `start.waiting` (the cluster
    is there and takes no jobs yet), `stop.before`, `stop.after`, `submit.before` or `submit.after`.
    """

    gates: dict[tuple[str, str], Gate] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """Name of a DAG to what refuses a call, given its moment."""
    losing: set[tuple[str, str]] = field(default_factory=set)
    """Whose answer is lost, once, at which moment."""
    late: dict[str, float] = field(default_factory=dict)
    """Name of a DAG to how many seconds after its creation its cluster is listed."""

    def gate(self, dag: str, moment: str) -> Gate:
        return self.gates.setdefault((dag, moment), Gate())

    def refusal(self, dag: str, moment: str) -> Exception | None:
        refuse = self.refusals.get(dag)
        return refuse(moment) if refuse else None

    def pass_by(self, dag: str, moment: str) -> None:
        """Be at a moment; held if somebody wants that, once."""
        gate = self.gates.get((dag, moment))
        if gate is not None and not gate.opened.is_set():
            gate.hold()

    def loses(self, dag: str, moment: str) -> bool:
        if (dag, moment) in self.losing:
            self.losing.discard((dag, moment))
            return True
        return False


def dag_of(cluster: str) -> str:
    """The DAG of a cluster: its name without what comes before and after. Our names have `-` for `_`."""
    return cluster.removeprefix("wall-").rpartition("-")[0].replace("-", "_")


class Emr:
    """EMR by moto, and what is watched there."""

    MOMENTS: ClassVar = {"RunJobFlow": "start", "TerminateJobFlows": "stop", "AddJobFlowSteps": "submit"}

    def __init__(self, world: emr_server.World, director: Director) -> None:
        self.world = world
        self.director = director
        self.gone: dict[str, float] = {}
        self.born: dict[str, float] = {}
        world.watcher = self
        threading.Thread(target=self._watch, daemon=True).start()

    def before(self, operation: str, request: dict[str, Any]) -> None:
        dag = self._dag(operation, request)
        moment = f"{self.MOMENTS.get(operation, operation)}.before"
        if dag:
            self.director.pass_by(dag, moment)
        refusal = self.director.refusal(dag, moment) if dag else None
        if refusal is not None:
            raise refusal

    def after(self, operation: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        if operation == "RunJobFlow":
            self.born[answer["JobFlowId"]] = time.time()
        if operation == "ListClusters":
            answer["Clusters"] = [each for each in answer["Clusters"] if self._is_listed(each)]
            return
        dag = self._dag(operation, request)
        if dag is None:
            return
        if operation == "DescribeCluster":
            gate = self.director.gates.get((dag, "start.waiting"))
            status = answer["Cluster"]["Status"]
            if gate is not None and not gate.opened.is_set() and not status["State"].startswith("TERMINAT"):
                gate.reached.set()
                status["State"] = "STARTING"
        elif operation in self.MOMENTS:
            moment = f"{self.MOMENTS[operation]}.after"
            self.director.pass_by(dag, moment)
            if self.director.loses(dag, moment):
                raise emr_server.NoAnswer

    def _is_listed(self, cluster: dict[str, Any]) -> bool:
        late = self.director.late.get(dag_of(cluster["Name"]), 0.0)
        return time.time() - self.born.get(cluster["Id"], 0.0) >= late

    def _dag(self, operation: str, request: dict[str, Any]) -> str | None:
        if operation == "RunJobFlow":
            return dag_of(request["Name"])
        ids = request.get("JobFlowIds") or [request.get("ClusterId") or request.get("JobFlowId")]
        found = self.world.clusters.get(ids[0])
        return dag_of(found.name) if found else None

    def _watch(self) -> None:
        while True:
            time.sleep(0.1)
            with contextlib.suppress(RuntimeError):  # the dictionary changed meanwhile
                for each in self.world.clusters.values():
                    if str(each.state).startswith("TERMINAT"):
                        self.gone.setdefault(each.id, time.time())

    def spans(self, dag: str) -> list[Span]:
        found = [each for each in list(self.world.clusters.values()) if dag_of(each.name) == dag]
        return [Span(each.id, self.born.get(each.id, 0.0), self.gone.get(each.id)) for each in found]

    def age(self, dag: str, seconds: float) -> None:
        """Make the clusters of a DAG older by some seconds."""
        import datetime

        for each in self.world.clusters.values():
            if dag_of(each.name) == dag:
                each.creation_datetime -= datetime.timedelta(seconds=seconds)

    @staticmethod
    def denied() -> Exception:
        return emr_server.Refused(400, "AccessDeniedException", "not authorized to perform this")

    @staticmethod
    def out_of_order() -> Exception:
        return emr_server.Refused(500, "InternalServerException", "out of order")

    @staticmethod
    def quota() -> Exception:
        return emr_server.Refused(400, "ValidationException", "the instance limit of this account is exceeded")


class Dataproc:
    """Dataproc over TLS and gRPC, and what is watched there."""

    MOMENTS: ClassVar = {"CreateCluster": "start", "DeleteCluster": "stop", "SubmitJob": "submit"}

    def __init__(self, world: google_server.World, director: Director) -> None:
        self.world = world
        self.director = director
        self.known: dict[str, Span] = {}
        self.names: dict[str, str] = {}
        world.watcher = self
        threading.Thread(target=self._watch, daemon=True).start()

    def before(self, method: str, request: Any) -> None:
        dag = self._dag(method, request)
        moment = f"{self.MOMENTS.get(method, method)}.before"
        if dag:
            self.director.pass_by(dag, moment)
        refusal = self.director.refusal(dag, moment) if dag else None
        if refusal is not None:
            raise refusal
        if dag and method in ("GetCluster", "GetOperation"):
            gate = self.director.gates.get((dag, "start.waiting"))
            if gate is not None and not gate.reached.is_set():
                gate.reached.set()

    def after(self, method: str, request: Any, answer: Any) -> None:
        dag = self._dag(method, request)
        if dag is None or method not in self.MOMENTS:
            return
        if method == "CreateCluster" and (dag, "start.waiting") in self.director.gates:
            self._hold_starting(request.cluster.cluster_name, self.director.gates[dag, "start.waiting"])
        moment = f"{self.MOMENTS[method]}.after"
        self.director.pass_by(dag, moment)
        if self.director.loses(dag, moment):
            raise google_server.Refused(grpc.StatusCode.UNAVAILABLE, "Socket closed")

    def _hold_starting(self, name: str, gate: Gate) -> None:
        def release() -> None:
            gate.opened.wait(PATIENCE)
            with self.world.lock:
                if name in self.world.due:
                    _, state, why = self.world.due[name]
                    self.world.due[name] = (time.monotonic(), state, why)

        with self.world.lock:
            if name in self.world.due:
                when, state, why = self.world.due[name]
                self.world.due[name] = (when + PATIENCE, state, why)
        threading.Thread(target=release, daemon=True).start()

    def _dag(self, method: str, request: Any) -> str | None:
        if method == "CreateCluster":
            name = request.cluster.cluster_name
        elif method in ("GetCluster", "DeleteCluster"):
            name = request.cluster_name
        elif method == "SubmitJob":
            name = request.job.placement.cluster_name
        elif method == "GetOperation":
            with self.world.lock:
                name = self.world.operations.get(request.name, ("", None))[0]
        else:
            return None
        return dag_of(name)

    def _watch(self) -> None:
        while True:
            time.sleep(0.1)
            with self.world.lock:
                alive = {}
                for name in self.world.alive:
                    alive[self.world.clusters[name].cluster_uuid] = name
            now = time.time()
            for uid, name in alive.items():
                self.names[uid] = name
                self.known.setdefault(uid, Span(uid, now, None))
            for uid, span in list(self.known.items()):
                if uid not in alive and span.gone is None:
                    self.known[uid] = Span(uid, span.born, now)

    def spans(self, dag: str) -> list[Span]:
        return [span for uid, span in list(self.known.items()) if dag_of(self.names[uid]) == dag]

    def age(self, dag: str, seconds: float) -> None:
        with self.world.lock:
            for name, each in self.world.clusters.items():
                if dag_of(name) == dag:
                    for status in (each.status, *each.status_history):
                        moved = status.state_start_time.timestamp() - seconds
                        status.state_start_time = _time(moved)

    @staticmethod
    def denied() -> Exception:
        return google_server.Refused(grpc.StatusCode.PERMISSION_DENIED, "Required permission is missing")

    @staticmethod
    def out_of_order() -> Exception:
        return google_server.Refused(grpc.StatusCode.UNAVAILABLE, "out of order")

    @staticmethod
    def quota() -> Exception:
        return google_server.Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "Insufficient 'CPUS' quota")


def _time(seconds: float) -> Any:
    import datetime

    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


class Spark:
    """
    Spark's own clusters: a watchdog, whose command line names a document in the lake, and all it is the parent of.

    :param storage: The lake.
    """

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        self.known: dict[int, tuple[str, float, dict[int, psutil.Process]]] = {}
        self.gone: dict[int, float] = {}
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(0.5)
            for process in psutil.process_iter(["cmdline"]):
                line = " ".join(process.info["cmdline"] or [])
                named = re.search(rf"spark_watchdog.*{self.storage}/_wall/clusters/([^/ ]+)\.json", line)
                if named and process.pid not in self.known:
                    dag = dag_of(named[1])
                    self.known[process.pid] = (dag, time.time(), {process.pid: process})
            for pid, (_, _, family) in self.known.items():
                if pid not in self.gone:
                    with contextlib.suppress(psutil.Error):
                        family |= {each.pid: each for each in family[pid].children(recursive=True)}
                    if not any(_is_there(each) for each in family.values()):
                        self.gone[pid] = time.time()

    def spans(self, dag: str) -> list[Span]:
        return [
            Span(str(pid), born, self.gone.get(pid)) for pid, (of, born, _) in list(self.known.items()) if of == dag
        ]

    def age(self, dag: str, seconds: float) -> None:
        raise NotImplementedError("its lease is in its document")


def _is_there(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Local:
    """Processes of this machine. What they leave behind is seen by their ticks."""

    def spans(self, dag: str) -> list[Span]:
        return []

    def age(self, dag: str, seconds: float) -> None:
        pass


@dataclass(frozen=True)
class Clouds:
    """All there are, by kind, and what their connections need."""

    director: Director
    kinds: dict[str, Any]
    environment: dict[str, str]
    google_key: dict[str, str]


@dataclass(frozen=True)
class Secrets:
    """Secrets that must appear nowhere."""

    aws_key: str
    aws_secret: str
    aws_token: str


@contextlib.contextmanager
def clouds(folder: Path, secrets: Secrets, storage: Path) -> Iterator[Clouds]:
    """Run both clouds while in the context."""
    director = Director()
    with emr_server.emr() as amazon, google_server.google(folder) as google:
        kinds = {
            "emr": Emr(amazon, director),
            "dataproc": Dataproc(google.world, director),
            "spark": Spark(storage),
            "local": Local(),
        }
        aws = {
            "conn_type": "aws",
            "login": secrets.aws_key,
            "password": secrets.aws_secret,
            "extra": {
                "endpoint_url": amazon.url,
                "aws_session_token": secrets.aws_token,
                "region_name": "eu-central-1",
            },
        }
        extra = {"project": "p", "keyfile_dict": json.dumps(google.key)}
        environment = {
            "AIRFLOW_CONN_WALL_AWS": json.dumps(aws),
            "AIRFLOW_CONN_WALL_GOOGLE": json.dumps({"conn_type": "google_cloud_platform", "extra": extra}),
            "AWS_EC2_METADATA_DISABLED": "true",
            "https_proxy": google.proxy,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(google.authority),
            "REQUESTS_CA_BUNDLE": str(google.authority),
        }
        yield Clouds(director, kinds, environment, google.key)

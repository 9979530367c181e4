"""
Dataproc, and what else of Google its client asks, on loopback: real TLS, real gRPC, jobs as real processes.

The client is Google's own, unchanged. It is led here by two variables: `https_proxy` names a proxy that takes every
`CONNECT` to these servers, and `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH` the authority that signed their certificate.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud.dataproc_v1 import types
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, empty_pb2, timestamp_pb2
from google.rpc import code_pb2, status_pb2

STATE = types.ClusterStatus.State
JOB_STATE = types.JobStatus.State


@dataclass
class Job:
    message: types.Job
    process: subprocess.Popen[bytes]
    cancelled: bool = False


class Watcher(Protocol):
    """Sees every call, outside of the lock, and holds it up; what it raises, `Refused`, is answered."""

    def before(self, operation: str, request: Any) -> None:
        """It has come, and nothing is done yet."""

    def after(self, operation: str, request: Any, answer: Any) -> None:
        """It is done."""


@dataclass
class World:
    """The state of the fake cloud, and the faults to inject. One lock guards all of it."""

    starts: float = 0.3
    ends: float = 0.3
    clusters: dict[str, types.Cluster] = field(default_factory=dict)
    due: dict[str, tuple[float, int, str]] = field(default_factory=dict)
    """Name to when it becomes what, and why."""
    created: list[str] = field(default_factory=list)
    requests: dict[str, str] = field(default_factory=dict)
    operations: dict[str, tuple[str, status_pb2.Status | None]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    refuse: Callable[[str, Any], tuple[grpc.StatusCode, str] | None] = lambda method, request: None
    lose: Callable[[str, int], bool] = lambda method, number: False
    """Returns True to lose the response of a call, after it took effect."""
    fails: str | None = None
    """Why the next creation fails, when it has been accepted."""
    calls: list[str] = field(default_factory=list)
    permissions: tuple[str, ...] = ("dataproc.clusters.create",)
    tokens: list[str] = field(default_factory=list)
    watcher: Watcher | None = None
    lock: Any = field(default_factory=threading.RLock)

    def settle(self) -> None:
        now = time.monotonic()
        for name, (when, state, why) in list(self.due.items()):
            if now < when:
                continue
            del self.due[name]
            if state == STATE.UNKNOWN:
                del self.clusters[name]
            else:
                change(self.clusters[name], state, why)

    def end_jobs(self) -> None:
        for job in self.jobs.values():
            job.process.kill()
            job.process.wait()

    @property
    def alive(self) -> list[str]:
        with self.lock:
            self.settle()
            return [name for name, each in self.clusters.items() if each.status.state != STATE.DELETING]


def change(cluster: types.Cluster, state: int, detail: str = "") -> None:
    if cluster.status.state:
        cluster.status_history.append(cluster.status)
    start = timestamp_pb2.Timestamp()
    start.GetCurrentTime()
    cluster.status = types.ClusterStatus(state=state, detail=detail, state_start_time=start)


class Refused(Exception):
    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.code = code


class Dataproc:
    """The methods of `ClusterController`, `JobController` and `Operations`."""

    def __init__(self, world: World) -> None:
        self.world = world

    # --- clusters

    def create_cluster(self, request: types.CreateClusterRequest) -> operations_pb2.Operation:
        world, name = self.world, request.cluster.cluster_name
        if request.request_id in world.requests:  # as Google has it: the first operation again
            return self.get_operation(operations_pb2.GetOperationRequest(name=world.requests[request.request_id]))
        if name in world.clusters:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"Already exists: Failed to create cluster: Cluster {name}")
        life = request.cluster.config.lifecycle_config
        assert life.idle_delete_ttl.total_seconds() >= 300
        assert life.auto_delete_ttl.total_seconds() >= 600
        cluster = types.Cluster(request.cluster)
        cluster.cluster_uuid = str(uuid.uuid4())
        change(cluster, STATE.CREATING)
        world.clusters[name] = cluster
        world.created.append(name)
        failed = None
        if world.fails is not None:
            failed = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message=world.fails)
            world.due[name] = (time.monotonic() + world.starts, STATE.ERROR, world.fails)
            world.fails = None
        else:
            world.due[name] = (time.monotonic() + world.starts, STATE.RUNNING, "")
        operation = f"projects/p/regions/r/operations/{uuid.uuid4()}"
        world.operations[operation] = (name, failed)
        world.requests[request.request_id] = operation
        return self.get_operation(operations_pb2.GetOperationRequest(name=operation))

    def get_operation(self, request: operations_pb2.GetOperationRequest) -> operations_pb2.Operation:
        name, failed = self.world.operations[request.name]
        made = operations_pb2.Operation(name=request.name, done=name not in self.world.due)
        made.metadata.CopyFrom(any_pb2.Any())
        made.metadata.Pack(types.ClusterOperationMetadata.pb(types.ClusterOperationMetadata(cluster_name=name)))
        if made.done and failed is not None:
            made.error.CopyFrom(failed)
        elif made.done and name in self.world.clusters:
            made.response.Pack(types.Cluster.pb(self.world.clusters[name]))
        elif made.done:
            made.response.Pack(empty_pb2.Empty())
        return made

    def _cluster(self, name: str) -> types.Cluster:
        if name not in self.world.clusters:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Not found: Cluster projects/p/regions/r/clusters/{name}")
        return self.world.clusters[name]

    def get_cluster(self, request: types.GetClusterRequest) -> types.Cluster:
        return self._cluster(request.cluster_name)

    def list_clusters(self, request: types.ListClustersRequest) -> types.ListClustersResponse:
        key = request.filter.partition("labels.")[2].partition(" ")[0]
        found = [each for each in self.world.clusters.values() if not key or key in each.labels]
        first = int(request.page_token or 0)
        more = str(first + 1) if len(found) > first + 1 else ""  # one on a page, so pages are read
        return types.ListClustersResponse(clusters=found[first : first + 1], next_page_token=more)

    def delete_cluster(self, request: types.DeleteClusterRequest) -> operations_pb2.Operation:
        cluster = self._cluster(request.cluster_name)
        if request.cluster_uuid and request.cluster_uuid != cluster.cluster_uuid:
            raise Refused(grpc.StatusCode.NOT_FOUND, "another cluster has that name now")
        if cluster.status.state == STATE.DELETING:  # Google knows the same request by its id; this one does not
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "it is being deleted")
        change(cluster, STATE.DELETING)
        for job in self.world.jobs.values():  # nothing runs on machines that are gone
            if job.message.placement.cluster_name == request.cluster_name:
                job.process.kill()
        self.world.due[request.cluster_name] = (time.monotonic() + self.world.ends, STATE.UNKNOWN, "")
        operation = f"projects/p/regions/r/operations/{uuid.uuid4()}"
        self.world.operations[operation] = (request.cluster_name, None)
        return self.get_operation(operations_pb2.GetOperationRequest(name=operation))

    # --- jobs

    def submit_job(self, request: types.SubmitJobRequest) -> types.Job:
        job_id = request.job.reference.job_id
        if job_id in self.world.jobs:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"Already exists: Failed to submit job: Job {job_id}")
        cluster = self._cluster(request.job.placement.cluster_name)
        if cluster.status.state != STATE.RUNNING:
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "the cluster is not running")
        spark = request.job.pyspark_job
        program = [
            spark.properties.get("spark.pyspark.python", "python3"),
            spark.main_python_file_uri[len("file://") :],
        ]
        process = subprocess.Popen([*program, *spark.args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.world.jobs[job_id] = Job(request.job, process)
        return self._job(job_id)

    def _job(self, job_id: str) -> types.Job:
        if job_id not in self.world.jobs:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Not found: Job projects/p/regions/r/jobs/{job_id}")
        job = self.world.jobs[job_id]
        code = job.process.poll()
        state, details = JOB_STATE.RUNNING, ""
        if code is not None and job.cancelled:
            state = JOB_STATE.CANCELLED
        elif code is not None:
            state = JOB_STATE.ERROR if code else JOB_STATE.DONE
            details = f"Job failed with exit code {code}" if code else ""
        made = types.Job(job.message)
        made.status = types.JobStatus(state=state, details=details)
        return made

    def get_job(self, request: types.GetJobRequest) -> types.Job:
        return self._job(request.job_id)

    def cancel_job(self, request: types.CancelJobRequest) -> types.Job:
        self._job(request.job_id)
        job = self.world.jobs[request.job_id]
        job.cancelled = True
        job.process.kill()
        job.process.wait()
        return self._job(request.job_id)


METHODS: dict[str, dict[str, tuple[str, Any]]] = {
    "google.cloud.dataproc.v1.ClusterController": {
        "CreateCluster": ("create_cluster", types.CreateClusterRequest),
        "GetCluster": ("get_cluster", types.GetClusterRequest),
        "ListClusters": ("list_clusters", types.ListClustersRequest),
        "DeleteCluster": ("delete_cluster", types.DeleteClusterRequest),
    },
    "google.cloud.dataproc.v1.JobController": {
        "SubmitJob": ("submit_job", types.SubmitJobRequest),
        "GetJob": ("get_job", types.GetJobRequest),
        "CancelJob": ("cancel_job", types.CancelJobRequest),
    },
    "google.longrunning.Operations": {"GetOperation": ("get_operation", operations_pb2.GetOperationRequest)},
}


def handlers(world: World) -> Iterator[grpc.GenericRpcHandler]:
    dataproc = Dataproc(world)
    for service, methods in METHODS.items():
        made = {}
        for name, (method, kind) in methods.items():
            read = kind.deserialize if hasattr(kind, "deserialize") else kind.FromString
            made[name] = grpc.unary_unary_rpc_method_handler(
                handled(world, name, getattr(dataproc, method)), request_deserializer=read, response_serializer=written
            )
        yield grpc.method_handlers_generic_handler(service, made)


def handled(world: World, name: str, does: Callable[[Any], Any]) -> Callable[[Any, grpc.ServicerContext], Any]:
    def handle(request: Any, context: grpc.ServicerContext) -> Any:
        with world.lock:
            world.calls.append(name)
            given = dict(context.invocation_metadata())
            if not given.get("authorization", "").startswith("Bearer "):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
            refused = world.refuse(name, request)
            if refused is not None:
                context.abort(*refused)
            world.settle()
            try:
                answer = does(request)
            except Refused as error:
                context.abort(error.code, str(error))
            if world.lose(name, world.calls.count(name)):
                context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            return answer

    return watched(world, name, handle)


def watched(
    world: World, name: str, handle: Callable[[Any, grpc.ServicerContext], Any]
) -> Callable[[Any, grpc.ServicerContext], Any]:
    def watch(request: Any, context: grpc.ServicerContext) -> Any:
        if world.watcher is None:
            return handle(request, context)
        try:
            world.watcher.before(name, request)
            if not context.is_active():  # who asked died while it was held: it never came
                raise Refused(grpc.StatusCode.CANCELLED, "nobody asks any more")
            answer = handle(request, context)
            world.watcher.after(name, request, answer)
        except Refused as error:
            context.abort(error.code, str(error))
        return answer

    return watch


def written(message: Any) -> bytes:
    return type(message).serialize(message) if hasattr(type(message), "serialize") else message.SerializeToString()


class Rest(BaseHTTPRequestHandler):
    """Tokens, and what a token may do."""

    world: World

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/token":
            token = f"token-{uuid.uuid4().hex}"
            self.world.tokens.append(token)
            self._answer(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})
        elif self.path.endswith(":testIamPermissions"):
            asked = json.loads(body)["permissions"]
            self._answer(200, {"permissions": [each for each in asked if each in self.world.permissions]})
        else:
            self._answer(404, {"error": {"message": f"no {self.path}"}})

    def _answer(self, code: int, value: Any) -> None:
        text = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass(frozen=True)
class Google:
    """
    The servers.

    :param proxy: Address of the proxy that leads to them.
    :param authority: File of the authority that the client has to trust.
    :param key: A service account's key.
    """

    world: World
    proxy: str
    authority: Path
    key: dict[str, str]


@contextlib.contextmanager
def google(folder: Path) -> Iterator[Google]:
    """Run the servers while in the context."""
    world = World()
    certificate, private = certified(folder)
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers(tuple(handlers(world)))
    credentials = grpc.ssl_server_credentials([(private, certificate)])
    dataproc = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    handler = type("Handler", (Rest,), {"world": world})
    plain, secure = (ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    proxy = socket.create_server(("127.0.0.1", 0))
    ports = lambda host: dataproc if "dataproc" in host else secure.server_port  # noqa: E731
    threads = [threading.Thread(target=each.serve_forever, daemon=True) for each in (plain, secure)]
    threads.append(threading.Thread(target=serve_proxy, args=(proxy, ports), daemon=True))
    for thread in threads:
        thread.start()
    try:
        uri = f"http://127.0.0.1:{plain.server_port}/token"
        key = {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "1",
            "private_key": private.decode(),
            "client_email": "wall@p.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": uri,
        }
        yield Google(world, f"http://127.0.0.1:{proxy.getsockname()[1]}", folder / "ca.pem", key)
    finally:
        server.stop(None).wait()
        for each in (plain, secure):
            each.shutdown()
            each.server_close()
        proxy.close()
        world.end_jobs()


def certified(folder: Path) -> tuple[bytes, bytes]:
    """A certificate for all of Google, which is its own authority, and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = ("*.googleapis.com", "oauth2.googleapis.com")
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in hosts]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(private)
    return certificate, private


def serve_proxy(server: socket.socket, port_of: Callable[[str], int]) -> None:
    """Take every `CONNECT`, whoever is asked for, to one of our own."""
    while True:
        try:
            client, _ = server.accept()
        except OSError:  # it is closed
            return
        threading.Thread(target=connect, args=(client, port_of), daemon=True).start()


def connect(client: socket.socket, port_of: Callable[[str], int]) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        read = client.recv(4096)
        if not read:
            return
        head += read
    host = head.split(b" ")[1].decode()
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port_of(host))) as upstream:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=pump, args=(upstream, client), daemon=True)
        back.start()
        pump(client, upstream)
        back.join()
    client.close()


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

"""
EMR on loopback: moto's server, with a front before it that loses answers and is late to list what was created.

moto runs no steps, so a thread does: each step's program as a real process.
"""

from __future__ import annotations

import contextlib
import json
import logging
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

ACCOUNT = "123456789012"
REGION = "eu-central-1"


class Refused(Exception):
    """Raised by a watcher to reject a call: HTTP status, code and message."""


class NoAnswer(Exception):
    """Raised by a watcher to send no response."""


class Watcher(Protocol):
    """Sees every call, holds it up, refuses it, has its answer lost."""

    def before(self, operation: str, request: dict[str, Any]) -> None:
        """It has come, and nothing is done yet."""

    def after(self, operation: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """It is done, and this is to be answered; may be changed in place."""


@dataclass
class World:
    """The calls that were received, and the faults to inject."""

    url: str = ""
    moto: str = ""
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    after: Callable[[str, int], bool] = lambda operation, number: True
    """Is called when an operation was done, before its answer; gives whether the answer is sent."""
    refuse: Callable[[str], tuple[int, str, str] | None] = lambda operation: None
    visible_after: float = 0.0
    watcher: Watcher | None = None
    born: dict[str, float] = field(default_factory=dict)
    running: dict[str, tuple[Any, subprocess.Popen[bytes]]] = field(default_factory=dict)
    """Id of a step to what moto has of it, and its process."""

    def cancel(self, step_ids: list[str]) -> None:
        for step, process in (self.running[each] for each in step_ids):
            step.state = "CANCELLED"
            process.kill()

    def asked(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.requests if name == operation]

    @property
    def clusters(self) -> dict[str, Any]:
        from moto.emr.models import emr_backends

        return dict(emr_backends[ACCOUNT]["us-east-1"].clusters)  # moto tells regions by the host, and this is none

    @property
    def alive(self) -> list[str]:
        return [each.id for each in self.clusters.values() if not str(each.state).startswith("TERMINAT")]


class Front(BaseHTTPRequestHandler):
    """Passes on every call to moto."""

    world: World
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        world = self.world
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        refused = world.refuse(operation)
        if operation:
            world.requests.append((operation, json.loads(body or b"{}")))
        if refused is not None:
            self._refuse(*refused)
            return
        try:
            self._watched(operation, body)
        except Refused as error:
            self._refuse(*error.args)
        except NoAnswer:
            self.close_connection = True

    def _refuse(self, code: int, kind: str, words: str) -> None:
        self._answer(code, json.dumps({"__type": kind, "message": words}).encode())

    def _watched(self, operation: str, body: bytes) -> None:
        world = self.world
        watcher = world.watcher if operation else None  # what has no operation is no call of EMR
        if watcher is not None:
            watcher.before(operation, json.loads(body or b"{}"))
            if self._is_alone():  # who asked died while it was held: it never came
                raise NoAnswer
        if operation == "CancelSteps":  # moto has none
            world.cancel(json.loads(body)["StepIds"])
            self._answer(200, b"{}")
            return
        code, answer = self._of_moto(body)
        if operation == "RunJobFlow" and code == 200:
            world.born[json.loads(answer)["JobFlowId"]] = time.monotonic()
        if operation == "ListClusters":
            answer = self._listed(answer)
        if watcher is not None and code == 200:
            made = json.loads(answer or b"{}")
            watcher.after(operation, json.loads(body or b"{}"), made)
            answer = json.dumps(made).encode()
        number = len(world.asked(operation))
        if world.after(operation, number):
            self._answer(code, answer)
        else:
            self.close_connection = True  # and no answer

    def _is_alone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _of_moto(self, body: bytes) -> tuple[int, bytes]:
        request = urllib.request.Request(self.world.moto + self.path, data=body, method="POST")
        for name in self.headers:
            if name.lower() not in ("host", "content-length", "accept-encoding", "connection"):
                request.add_header(name, self.headers[name])
        try:
            with urllib.request.urlopen(request) as answered:
                return answered.status, answered.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _listed(self, answer: bytes) -> bytes:
        page = json.loads(answer)
        seen = time.monotonic() - self.world.visible_after
        page["Clusters"] = [each for each in page["Clusters"] if self.world.born.get(each["Id"], 0) <= seen]
        return json.dumps(page).encode()

    def _answer(self, code: int, answer: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(code)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class FrontServer(ThreadingHTTPServer):
    """A server that ignores clients that were killed and left their connections."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def emr() -> Iterator[World]:
    """Run a fake EMR while in the context."""
    from moto.server import ThreadedMotoServer

    world = World()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    world.moto = f"http://{host}:{port}"
    front = FrontServer(("127.0.0.1", 0), type("Handler", (Front,), {"world": world}))
    world.url = f"http://127.0.0.1:{front.server_port}"
    over = threading.Event()
    threads = [
        threading.Thread(target=front.serve_forever, daemon=True),
        threading.Thread(target=run_steps, args=(world, over), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield world
    finally:
        over.set()
        threads[1].join()
        front.shutdown()
        front.server_close()
        moto.stop()
        for _, process in world.running.values():
            if process.poll() is None:
                process.kill()
            process.wait()


def run_steps(world: World, over: threading.Event) -> None:
    running = world.running
    while not over.wait(0.1):
        for cluster in world.clusters.values():
            for step in cluster.steps:
                if step.id not in running:
                    process = subprocess.Popen(step.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    running[step.id] = (step, process)
                    step.state = "RUNNING"
                if str(cluster.state).startswith("TERMINAT"):  # nothing runs on machines that are gone
                    running[step.id][1].kill()
        for step, process in running.values():
            code = process.poll()
            if code is not None and step.state == "RUNNING":
                step.state = "FAILED" if code else "COMPLETED"
                step.last_state_change_reason = f"exit code {code}" if code else None

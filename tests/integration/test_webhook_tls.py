"""A webhook trusts and shows the certificates that its connection names, over real TLS."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ReleaseError
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.base import ReleaseSite
from airflow_wall.publish.webhook import WebhookWriter

pytestmark = pytest.mark.integration


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the name that the client's certificate has."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        shown: Any = self.connection.getpeercert()
        name = dict(pair[0] for pair in shown["subject"])["commonName"] if shown else "nobody"
        self.send_response(403)
        self.end_headers()
        self.wfile.write(name.encode())

    def log_message(self, *_: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, address: Any) -> None:
        """A client that does not trust it is what is tested."""


@dataclass(frozen=True)
class Lab:
    port: int
    right: Path
    wrong: Path
    badge: tuple[Path, Path]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("certificates")
    right, wrong = Authority(folder, "right"), Authority(folder, "wrong")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*right.issue("server", "127.0.0.1"))
    context.load_verify_locations(right.certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield Lab(server.server_port, right.certificate, wrong.certificate, right.issue("badge"))
    server.shutdown()
    thread.join()
    server.server_close()


def problem(lab: Lab, extra: dict[str, Any], folder: Path) -> str:
    """Return the error of sending with these extras."""
    known = ConnectionInfo("hook", "http", host="127.0.0.1", schema="https", port=lab.port, extra=extra)
    site = ReleaseSite("r", Lake(folder), folder, lambda _: known)
    writer = WebhookWriter(parse_target("webhook://hook"), site, budget=0)
    body = folder / "body.ndjson"
    body.write_bytes(b"{}")
    try:
        return str(writer._post("key", body.name))
    except ReleaseError as error:
        return error.message


def test_server_is_trusted_by_the_authority_named_and_no_other(lab: Lab, tmp_path: Path) -> None:
    for key in ("verify", "verify_ssl"):
        assert "refused `key`: status 403" in problem(lab, {key: str(lab.right)}, tmp_path)
        assert "CERTIFICATE_VERIFY_FAILED" in problem(lab, {key: str(lab.wrong)}, tmp_path)
    assert "CERTIFICATE_VERIFY_FAILED" in problem(lab, {}, tmp_path)
    assert "refused `key`: status 403" in problem(lab, {"verify": False}, tmp_path)


def test_client_shows_its_certificate(lab: Lab, tmp_path: Path) -> None:
    shown = {"verify": str(lab.right), "cert": [str(file) for file in lab.badge]}
    assert problem(lab, shown, tmp_path).endswith("status 403, `badge`")
    assert problem(lab, {"verify": str(lab.right)}, tmp_path).endswith("status 403, `nobody`")

"""Secrets that are made in the cluster, and those that a store keeps."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from rendering import CASES, CHART, Rendered

DEV = CASES["dev-values"]
STRICT = """
import ssl
relaxed = ssl.create_default_context
def strict(**options):
    made = relaxed(**options)
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made
ssl.create_default_context = strict
"""
"""A check with the strict flags that `ssl` sets from Python 3.13 on."""


@dataclass
class KubernetesApi:
    """
    The little of the Kubernetes API that makes and reads Secrets, over HTTP, with its answers and status codes.

    :param secrets: Name to values.
    :param refuse: Status that every request is answered with.
    """

    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    refuse: int = 0
    url: str = ""
    server: ThreadingHTTPServer | None = None

    def serve(self, tls: ssl.SSLContext) -> None:
        """From now on by TLS."""
        assert self.server is not None
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def answer(self, method: str, path: str, body: dict | None) -> tuple[int, dict]:
        parts = path.split("/")
        assert parts[1:6] == ["api", "v1", "namespaces", "data", "secrets"]
        if self.refuse:
            return self.refuse, {"message": "secrets is forbidden"}
        if method == "POST":
            assert body is not None
            name = body["metadata"]["name"]
            if name in self.secrets:
                return 409, {"message": "already exists"}
            self.secrets[name] = body["stringData"]
            return 201, body
        data = {key: base64.b64encode(value.encode()).decode() for key, value in self.secrets[parts[6]].items()}
        return 200, {"data": data}


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    found = KubernetesApi()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            assert self.headers["Authorization"] == "Bearer of-the-pod"
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = found.answer(self.command, self.path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = _answer  # noqa: N815  # the names that the server calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.server = server
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


def make(api: KubernetesApi, folder: Path, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run the container of the Job that makes Secrets, and some Python before it."""
    (folder / "token").write_text("of-the-pod\n")
    (container,) = Rendered(*arguments).pods()["secrets"]["spec"]["containers"]
    assert container["command"][0] == "python"
    environment = {**os.environ, "API": api.url, "ACCOUNT": str(folder), "NO_PROXY": "*"}
    option, script, *rest = container["command"][1:]
    return subprocess.run(
        [sys.executable, option, before + script, *rest], env=environment, capture_output=True, text=True
    )


def test_what_is_missing_is_made_and_what_is_there_is_kept(api: KubernetesApi, tmp_path: Path) -> None:
    api.secrets["airflow-wall-jwt"] = {"jwt-secret": "mine"}
    first = make(api, tmp_path, "--set", "createSecrets.enabled=true")
    assert first.returncode == 0, first.stderr
    assert sorted(first.stdout.splitlines()) == [
        "airflow-wall-api: made", "airflow-wall-fernet: made", "airflow-wall-jwt: is there", "airflow-wall-users: made",
    ]  # fmt: skip
    assert api.secrets["airflow-wall-jwt"] == {"jwt-secret": "mine"}
    assert len(json.loads(api.secrets["airflow-wall-users"]["passwords.json"])["admin"]) > 30
    Fernet(api.secrets["airflow-wall-fernet"]["fernet-key"])
    assert len(api.secrets["airflow-wall-api"]["api-secret-key"]) > 30
    before = json.dumps(api.secrets)
    second = make(api, tmp_path, "--set", "createSecrets.enabled=true")
    assert second.returncode == 0, second.stderr
    assert json.dumps(api.secrets) == before
    assert not any(value in first.stdout + first.stderr for each in api.secrets.values() for value in each.values())


def test_the_urls_of_dev_have_its_passwords(api: KubernetesApi, tmp_path: Path) -> None:
    done = make(api, tmp_path, *DEV)
    assert done.returncode == 0, done.stderr
    passwords = api.secrets["wall-airflow-wall-dev"]
    metadata = urlsplit(api.secrets["airflow-wall-metadata"]["connection"])
    assert (metadata.username, metadata.password) == ("airflow", passwords["postgres-password"])
    assert (metadata.hostname, metadata.port, metadata.path) == (
        "wall-airflow-wall-postgres.data.svc",
        5432,
        "/airflow",
    )
    keda = urlsplit(api.secrets["airflow-wall-keda"]["kedaConnection"])
    assert (keda.scheme, keda.password) == ("postgresql", passwords["postgres-password"])
    # KEDA asks from a namespace of its own.
    assert keda.hostname == "wall-airflow-wall-postgres.data.svc"
    broker = urlsplit(api.secrets["airflow-wall-broker"]["connection"])
    assert (broker.password, broker.hostname, broker.path) == (
        passwords["redis-password"],
        "wall-airflow-wall-redis.data.svc",
        "/0",
    )
    del api.secrets["airflow-wall-metadata"]
    assert make(api, tmp_path, *DEV).returncode == 0
    assert urlsplit(api.secrets["airflow-wall-metadata"]["connection"]).password == passwords["postgres-password"]


def test_an_authority_without_key_identifiers_is_trusted(api: KubernetesApi, tmp_path: Path) -> None:
    """As that of clusters of EKS; strict from Python 3.13 on, which the image has."""
    extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "subjectKeyIdentifier=none"]
    for command in (
        ["req", "-x509", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=kubernetes", *extensions],
        ["req", "-new", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server"],
        ["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-out", "server.crt", "-extfile", "san"],
    ):  # fmt: skip
        (tmp_path / "san").write_text("subjectAltName=IP:127.0.0.1")
        news = ["-newkey", "rsa:2048", "-nodes"] if command[0] == "req" else []
        subprocess.run(["openssl", *command, *news], cwd=tmp_path, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    api.serve(server)
    done = make(api, tmp_path, "--set", "createSecrets.enabled=true", before=STRICT)
    assert done.returncode == 0, done.stderr
    api.url = api.url.replace("127.0.0.1", "localhost")
    done = make(api, tmp_path, "--set", "createSecrets.enabled=true", before=STRICT)
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr  # of another name, it is still not


def test_rejection_is_reported(api: KubernetesApi, tmp_path: Path) -> None:
    api.refuse = 403
    done = make(api, tmp_path, "--set", "createSecrets.enabled=true")
    assert done.returncode == 1
    assert "the Kubernetes API answered 403" in done.stderr
    assert "secrets is forbidden" in done.stderr


def test_a_store_has_every_secret_that_pods_are_given() -> None:
    found = Rendered(*CASES["cloud-values"])
    kept = {each["metadata"]["name"]: each["spec"] for each in found.of("ExternalSecret")}
    given = set()
    for pod in found.pods().values():
        for container in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]):
            references = [each["valueFrom"]["secretKeyRef"] for each in container.get("env", []) if "valueFrom" in each]
            given |= {(each["name"], each["key"]) for each in references}
        for volume in pod["spec"].get("volumes", []):
            given |= {
                (source["secret"]["name"], source["secret"]["items"][0]["key"])
                for source in volume.get("projected", {}).get("sources", [])
                if "secret" in source
            }
    given |= {("airflow-wall-users", "passwords.json")}
    made = {(name, item["secretKey"]) for name, spec in kept.items() for item in spec["data"]}
    assert given - made == {("warehouse", "url")}  # of `secret`, the user's own
    (item,) = kept["airflow-wall-metadata"]["data"]
    assert item["remoteRef"] == {"key": "prod/airflow", "property": "metadata"}
    (item,) = kept["airflow-wall-fernet"]["data"]
    assert item["remoteRef"] == {"key": "airflow-wall-fernet"}


def test_the_role_reads_only_what_the_job_made() -> None:
    (role,) = Rendered(*DEV).of("Role")
    reads = [rule for rule in role["rules"] if "get" in rule["verbs"]]
    (container,) = Rendered(*DEV).pods()["secrets"]["spec"]["containers"]
    assert set(reads[0]["resourceNames"]) == set(json.loads(container["command"][-1]))
    assert (CHART / "files/create_secrets.py").read_text().strip() in container["command"][2]

"""
No secret of a connection is anywhere but where it belongs, whether what uses the connection succeeds or fails.

Waits for: runs of pipelines, and every process of the machine is looked at meanwhile.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from canaries import Canaries
from project import COMMAND
from servers import Missing, Postgres, served

pytestmark = pytest.mark.integration

GOOD = """\
dag_id: good
storage: ./lake
tasks:
  - {id: proof, uses: get_credentials, with: {conn_id: base}}
  - {id: hook_proof, uses: get_credentials, with: {conn_id: hook}}
  - {id: orders, uses: ingest, with: {source: sql://base/orders, target: gold/orders}}
  - id: sent
    uses: publish
    needs: orders
    with:
      release: shop
      table: gold/orders
      to:
        - {to: sql://base/shop}
        - {to: search://base/shop, key: [id]}
        - {to: webhook://hook}
        - {to: webhook://plain_hook}
"""
BAD = """\
dag_id: bad
storage: ./lake
default_args: {retries: 0}
tasks:
  - {id: wrong_proof, uses: get_credentials, with: {conn_id: wrong}}
  - {id: wrong_source, uses: ingest, with: {source: sql://wrong/orders, target: gold/wrong}}
  - {id: wrong_extra, uses: get_credentials, with: {conn_id: odd}}
  - {id: orders, uses: ingest, with: {source: sql://base/orders, target: gold/bad}}
"""
TARGETS = {
    "refused": "webhook://refusing_hook",
    "refused_plain": "webhook://refusing_plain_hook",
    "no_url": "webhook://broken_hook",
    "no_tls": "webhook://odd_hook",
    "wrong_table": "sql://wrong/shop",
    "wrong_index": "search://wrong/shop",
}
for _name, _to in TARGETS.items():
    _key = ", key: [id]" if _to.startswith("search") else ""
    _given = f"{{release: {_name}, table: gold/bad, to: [{{to: '{_to}'{_key}}}]}}"
    BAD += f"  - {{id: {_name}, uses: publish, needs: orders, with: {_given}}}\n"


class Echo(BaseHTTPRequestHandler):
    """A receiver that answers with the secrets that it was sent, as a hostile or a chatty one does."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        authorization = self.headers.get("authorization", "")
        login = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        body = f"{login} {authorization} {self.headers.get('x-api-key')} {self.path}".encode()
        self.server.seen.append(body)  # type: ignore[attr-defined]
        self.send_response(422 if "refuse" in self.path else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@dataclass(frozen=True)
class Lab:
    """
    :param environment: With the connections.
    :param seen: What the receiver was sent.
    """

    folder: Path
    canaries: Canaries
    environment: dict[str, str]
    seen: list[bytes]

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.canaries.watched():
            return subprocess.run(
                [COMMAND, *arguments],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=280,
                check=False,
            )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "dags").mkdir()
    (folder / "dags" / "good.yaml").write_text(GOOD)
    (folder / "dags" / "bad.yaml").write_text(BAD)
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    receiver.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with served(Postgres) as server:
            canaries = Canaries()
            with server.open() as database:
                database.execute("create table orders as select 1 as id, 10 as value")
                password = canaries.plain("password of Postgres")
                database.execute(f"create role canary superuser login password '{password}'")
            good = replace(server.connection, login="canary", password=password)
            known = connections(canaries, good.__dict__, receiver.server_port)
            names = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(values) for name, values in known.items()}
            kept = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
            yield Lab(folder, canaries, {**kept, **names}, receiver.seen)  # type: ignore[attr-defined]
    except Missing as error:
        pytest.skip(str(error))
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


def connections(canaries: Canaries, base: dict[str, Any], port: int) -> dict[str, dict[str, Any]]:
    here = f"127.0.0.1:{port}"

    def postgres(**more: Any) -> dict[str, Any]:
        given = {name: base[name] for name in ("conn_type", "host", "login", "password", "schema", "port")}
        return {**given, **more}

    def url(name: str, path: str) -> dict[str, Any]:
        login = urllib.parse.quote(canaries.awkward(f"{name}: password"), safe="")
        token, query = canaries.plain(f"{name}: token in the path"), canaries.plain(f"{name}: token in the query")
        headers = {"X-Api-Key": canaries.plain(f"{name}: header")}
        host = f"http://me:{login}@{here}/{path}/{token}?token={query}"
        return {"conn_type": "http", "host": host, "extra": {"headers": headers}}

    def plain(name: str, path: str) -> dict[str, Any]:
        token = canaries.plain(f"{name}: token in the path")
        return {"conn_type": "http", "host": f"{here}/{path}/{token}", "login": canaries.plain(f"{name}: login")}

    proxy = f"http://u:{canaries.plain('odd_hook: proxy')}@127.0.0.1:9"
    return {
        "base": postgres(),
        "wrong": postgres(password=canaries.awkward("wrong: password")),
        "odd": postgres(password=canaries.awkward("odd: password"), extra={"sslkey": "/none", "sslpassword": canaries.plain("odd: extra")}),
        "hook": url("hook", "services"),
        "plain_hook": plain("plain_hook", "services"),
        "refusing_hook": url("refusing_hook", "refuse"),
        "refusing_plain_hook": plain("refusing_plain_hook", "refuse"),
        "broken_hook": {"conn_type": "http", "host": f"http://me:{canaries.awkward('broken_hook: password')}@{here}/x"},
        "odd_hook": {"conn_type": "http", "host": here, "extra": {"cert": "/none", "proxies": {"http": proxy}}},
    }  # fmt: skip


def test_no_secret_is_anywhere_when_all_succeeds(lab: Lab) -> None:
    ran = lab.call("run", "dags/good.yaml", "--date", "2024-01-01")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    asked = lab.call("query", "sql://base/shop")
    assert asked.stdout.split()[-2:] == ["1", "10"]
    sent = b"\n".join(lab.seen)
    assert lab.canaries.known["hook: token in the query"].encode() in sent, "the secrets are of use"
    assert lab.canaries.known["plain_hook: token in the path"].encode() in sent
    texts = {"run": ran.stdout + ran.stderr, "query": asked.stdout + asked.stderr}
    assert lab.canaries.found(lab.folder, texts=texts) == []


def test_no_secret_is_anywhere_when_all_fails(lab: Lab) -> None:
    ran = lab.call("run", "dags/bad.yaml", "--date", "2024-01-01", "--retry-wait", "1s")
    assert ran.returncode == 1
    for task in ("wrong_proof", "wrong_source", "wrong_extra", *TARGETS):
        assert f"task `{task}`" in ran.stdout, ran.stdout
    assert "status 422" in ran.stdout
    texts = {"run": ran.stdout + ran.stderr}
    for command in (["sql://wrong/shop"], ["search://wrong/shop", "x"], ["sql://odd/shop"]):
        asked = lab.call("query", *command)
        assert asked.returncode == 1
        texts[f"query {command[0]}"] = asked.stdout + asked.stderr
    assert lab.canaries.found(lab.folder, texts=texts) == []


def test_control_a_secret_that_is_shown_is_found(tmp_path: Path) -> None:
    canaries = Canaries()
    secret = canaries.awkward("planted")
    (tmp_path / "log").write_text(f'{{"event": "{urllib.parse.quote(secret, safe="")}"}}')
    with canaries.watched():
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", secret], check=True)
    found = canaries.found(tmp_path, texts={"printed": f"it is {secret[-14:]}"})
    assert any(place.startswith("planted (quoted) in log") for place in found)
    assert any("(raw) in argument" in place for place in found)
    assert "planted (last part) in printed" in found

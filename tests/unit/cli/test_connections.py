"""
`airflow-wall connections test`: the connections that pipelines name, tried for real.

Waits for: a new process for each command, which imports Airflow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from airflow_wall.cli.connections import _reach_http
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import WallError
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.named_connections import connections_of
from airflow_wall.settings import Settings


def wall(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    program = "from airflow_wall.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, "COLUMNS": "120", **environment},
    )  # fmt: skip


PIPELINE = """\
dag_id: p
notify: {failure: {slack: {channel: a, conn_id: team}}}
tasks:
  - {id: i, uses: ingest, with: {source: sql://shop/orders, target: bronze/a}}
  - id: g
    tasks:
      - {id: h, uses: airflow.providers.http.operators.http.HttpOperator, with: {http_conn_id: api, endpoint: x}}
  - {id: c, needs: i, uses: check_integrity, with: {table: bronze/a, checks: [row_count: {min: 1}]}}
  - {id: s, needs: c, uses: publish, with: {release: r, table: bronze/a, to: [{to: sql://platform/a}]}}
"""


def test_connections_of_a_pipeline_are_found_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(PIPELINE)
    (spec,) = load_specs(path, Settings())
    assert spec.faults == ()
    assert connections_of(spec) == {"team": 2, "shop": 4, "api": 7, "platform": 9}


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_good = self.headers["Authorization"] == "Basic bWU6a2V5LW9mLXRlc3Q="  # me:key-of-test
        self.send_response(200 if is_good else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_each_connection_is_tried_and_no_secret_shown(tmp_path: Path, port: int) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "p.yaml").write_text(
        PIPELINE.replace("notify: {failure: {slack: {channel: a, conn_id: team}}}\n", "")
    )
    connections = {
        "shop": {"conn_type": "sqlite", "host": "shop.db"},
        "platform": {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "me", "password": "hidden-word"},
        "api": {"conn_type": "http", "host": "127.0.0.1", "port": port, "login": "me", "password": "wrong-word"},
    }
    (tmp_path / "connections.yaml").write_text(json.dumps(connections))
    found = wall("connections", "test", cwd=tmp_path, AIRFLOW_HOME=str(tmp_path / "home"))
    assert found.returncode == 1
    assert "ok   shop (sqlite)  dags/p.yaml:3\n" in found.stdout
    assert "BAD  api (http)  dags/p.yaml:6\n     the server answers with status 401\n" in found.stdout
    assert "BAD  platform (postgres)  dags/p.yaml:8\n     connection `platform` (" in found.stdout
    assert "3 connections: 2 not usable\n" in found.stdout
    assert "word" not in found.stdout + found.stderr
    connections["api"]["password"] = "key-of-test"
    del connections["platform"]
    (tmp_path / "connections.yaml").write_text(json.dumps(connections))
    listed = wall("connections", "test", "--json", cwd=tmp_path, AIRFLOW_HOME=str(tmp_path / "home"))
    states = {one["conn_id"]: one["state"] for one in json.loads(listed.stdout)["connections"]}
    assert (listed.returncode, states) == (1, {"api": "ok", "platform": "BAD", "shop": "ok"})
    assert "key-of-test" not in listed.stdout + listed.stderr


def test_pipeline_without_connections_has_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("dag_id: p\ntasks: [{id: a}]\n")
    found = wall("connections", "test", "p.yaml", cwd=tmp_path, AIRFLOW_HOME=str(tmp_path / "home"))
    assert (found.returncode, found.stderr) == (4, "the pipelines name no connections\n")


class Wanting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.headers["X-Team"] == "shop" else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_http_connection_is_tried_with_its_extras() -> None:
    with HTTPServer(("127.0.0.1", 0), Wanting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            for extra, problem in (
                ({"headers": {"X-Team": "shop"}}, None),
                ({"headers": {"X-Team": "other"}}, "the server answers with status 403"),
                ({"timeout": "soon"}, "connection `api`: the extra `timeout` must be a positive number"),
            ):
                info = ConnectionInfo("api", "http", host="127.0.0.1", port=server.server_port, extra=extra)
                if problem is None:
                    _reach_http(info)
                else:
                    with pytest.raises(WallError, match=problem):
                        _reach_http(info)
        finally:
            server.shutdown()

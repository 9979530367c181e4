"""Servers that several tests use."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_server import PATIENCE, answers, free_port, until

from airflow_wall.connections import ConnectionInfo

USER = "postgres"


def _tool(name: str) -> str:
    found = [*sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), *filter(None, [shutil.which(name)])]
    if not found:
        pytest.skip(f"`{name}` is not installed (Debian: `apt install postgresql`)")
    return str(found[0])


def _as_user() -> dict[str, Any]:
    """Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        who = pwd.getpwnam(USER)
    except KeyError:
        pytest.skip(f"runs as root, and there is no user `{USER}`")
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgres() -> Iterator[ConnectionInfo]:
    """A Postgres of our own, on a free loopback port."""
    initdb, command = _tool("initdb"), _tool("postgres")
    as_user, password = _as_user(), secrets.token_hex(8)
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="wall-pg-"))  # not below tmp_path, which only its owner may enter
    try:
        (folder / "password").write_text(password)
        if as_user:
            for path in (folder, folder / "password"):
                os.chown(path, as_user["user"], as_user["group"])
        data = str(folder / "data")
        made = [initdb, "-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", str(folder / "password"), "-N"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder, **as_user)
        options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder), "-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([command, "-D", data, *options], stdout=log, stderr=log, cwd=folder, **as_user)
            try:
                connection = ConnectionInfo(
                    "platform", "postgres", host="127.0.0.1", login=USER, password=password, schema=USER, port=port
                )
                _wait(connection)
                yield connection
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """URL of a Redis of our own, on a free loopback port."""
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("`redis-server` is not installed (Debian: `apt install redis-server`)")
    password = secrets.token_hex(8)
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="wall-redis-"))
    # By standard input: what is on the command line, everybody can read.
    wanted = f'port {port}\nbind 127.0.0.1\nrequirepass {password}\nsave ""\ndir {folder}\n'
    try:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([command, "-"], stdin=subprocess.PIPE, stdout=log, stderr=log)
            try:
                assert process.stdin is not None
                process.stdin.write(wanted.encode())
                process.stdin.close()
                until(lambda: answers(port))
                yield f"redis://:{password}@127.0.0.1:{port}/0"
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(connection: ConnectionInfo) -> None:
    psycopg = pytest.importorskip("psycopg", reason="needs the extra `postgres`")
    parameters = {
        "host": connection.host, "port": connection.port, "user": connection.login, "password": connection.password,
        "dbname": connection.schema,
    }  # fmt: skip
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return psycopg.connect(**parameters).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)

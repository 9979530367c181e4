"""Postgres and Redis of one's own, on free loopback ports, which can be killed and started again."""

from __future__ import annotations

import contextlib
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

import psutil
import psycopg
from airflow_server import PATIENCE, answers, free_port, until

from airflow_wall.connections.info import ConnectionInfo

USER = "postgres"


class Missing(Exception):
    """Raised if a program of the server is not on this machine."""


def tool(name: str) -> str:
    """The path of a program of Postgres."""
    found = [*sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), *filter(None, [shutil.which(name)])]
    if not found:
        raise Missing(f"`{name}` is not installed (Debian: `apt install postgresql`)")
    return str(found[0])


def _as_user() -> dict[str, Any]:
    """Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        who = pwd.getpwnam(USER)
    except KeyError:
        raise Missing(f"runs as root, and there is no user `{USER}`") from None
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


class _Server:
    """One process, and its log."""

    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """As a crash does it: SIGKILL, to its children as well, and wait until all are gone."""
        tree = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for each in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()
        psutil.wait_procs(tree, timeout=30)

    def stop(self) -> None:
        """End it in order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)


class Postgres(_Server):
    """
    A Postgres.

    :param folder: An empty folder, not below one that only its owner may enter.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.as_user = _as_user()
        self.connection = ConnectionInfo(
            "platform",
            "postgres",
            host="127.0.0.1",
            login=USER,
            password=secrets.token_hex(8),
            schema=USER,
            port=free_port(),
        )
        self.options: list[str] = []
        self._init()

    def use_tls(self, certificate: Path, key: Path, authority: Path, access: str) -> None:
        """
        Make it speak TLS from its next start on.

        :param authority: The authority that signs the certificates of clients.
        :param access: Content of its `pg_hba.conf`.
        """
        data = self.folder / "data"
        (data / "pg_hba.conf").write_text(access)
        for name, file in (("cert", certificate), ("key", key), ("ca", authority)):
            own = data / f"{name}.pem"
            own.write_bytes(file.read_bytes())
            own.chmod(0o600)
            if self.as_user:
                os.chown(own, self.as_user["user"], self.as_user["group"])
            self.options += ["-c", f"ssl_{name}_file={own}"]
        self.options += ["-c", "ssl=on"]

    def _init(self) -> None:
        password = self.folder / "password"
        password.write_text(str(self.connection.password))
        if self.as_user:
            for path in (self.folder, password):
                os.chown(path, self.as_user["user"], self.as_user["group"])
        # On a machine with language `C` the database would be SQL_ASCII, and return bytes for JSON.
        language = ["-E", "UTF8", "--locale=C.UTF-8"]
        made = [tool("initdb"), "-D", str(self.folder / "data"), "-U", USER, "-A", "scram-sha-256", *language]
        subprocess.run(
            [*made, "--pwfile", str(password), "-N"], check=True, capture_output=True, cwd=self.folder, **self.as_user
        )

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = ["-c", "listen_addresses=127.0.0.1", "-k", str(self.folder), "-c", "fsync=off", *self.options]
        command = [tool("postgres"), "-D", str(self.folder / "data"), "-p", str(self.connection.port), *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self.as_user)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.open().close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def open(self, database: str = USER) -> psycopg.Connection[Any]:
        """A connection to one of its databases."""
        known = self.connection
        return psycopg.connect(
            host=known.host, port=known.port, user=known.login, password=known.password, dbname=database
        )


class MariaDB(_Server):
    """
    A MariaDB.

    :param folder: An empty folder, not below one that only its owner may enter.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = shutil.which("mariadbd") or next(
            (path for path in ("/usr/sbin/mariadbd",) if Path(path).exists()), None
        )
        if self.program is None:
            raise Missing("`mariadbd` is not installed (Debian: `apt install mariadb-server`)")
        self.connection = ConnectionInfo(
            "shop",
            "mysql",
            host="127.0.0.1",
            login="wall",
            password=secrets.token_hex(8),
            schema="shop",
            port=free_port(),
        )
        self.own = ["--no-defaults", f"--datadir={folder}/data"]
        statements = [  # one per line, as the server reads them
            "CREATE DATABASE shop;",
            f"CREATE USER wall@'127.0.0.1' IDENTIFIED BY '{self.connection.password}';",
            "GRANT ALL ON *.* TO wall@'127.0.0.1';",
        ]
        (folder / "first.sql").write_text("\n".join(statements))
        user = ["--user=root"] if os.geteuid() == 0 else []
        self.own += user
        install = shutil.which("mariadb-install-db") or "/usr/bin/mariadb-install-db"
        subprocess.run(
            [install, *self.own, "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True, capture_output=True, cwd=folder,
        )  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = [f"--port={self.connection.port}", "--bind-address=127.0.0.1",
            "--skip-name-resolve", f"--socket={self.folder}/socket",
                   f"--pid-file={self.folder}/pid", f"--init-file={self.folder}/first.sql",
                   "--innodb-flush-log-at-trx-commit=0"]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.program), *self.own, *options], stdout=log, stderr=log, cwd=self.folder
            )
        until(lambda: answers(int(self.connection.port or 0)))

    def stop(self) -> None:
        """End it in order."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


class Redis(_Server):
    """
    A Redis that keeps nothing.

    :param folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = secrets.token_hex(8)
        self.port = free_port()
        self.url = f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = shutil.which("redis-server")
        if command is None:
            raise Missing("`redis-server` is not installed (Debian: `apt install redis-server`)")
        # By standard input: what is on the command line, everybody can read.
        wanted = f'port {self.port}\nbind 127.0.0.1\nrequirepass {self.password}\nsave ""\ndir {self.folder}\n'
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([command, "-"], stdin=subprocess.PIPE, stdout=log, stderr=log)
        assert self.process.stdin is not None
        self.process.stdin.write(wanted.encode())
        self.process.stdin.close()
        until(lambda: answers(self.port))


@contextlib.contextmanager
def served(kind: type[Postgres] | type[Redis] | type[MariaDB]) -> Iterator[Any]:
    """Run such a server while in the context."""
    folder = Path(tempfile.mkdtemp(prefix=f"wall-{kind.__name__.lower()}-"))
    try:
        server = kind(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""
Secrets that must be seen nowhere: in no log, no output of a component, no command line, nowhere in the database.

They are given to Airflow by its environment. One that is planted, printed by a task in forms that Airflow does not mask,
must be found: else nothing was looked at.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from clouds import Secrets
from lab import Lab
from servers import tool

PLANTED = '''
"""A DAG that does what none may: tell its secret, in forms that Airflow's masking does not know."""
import base64
from datetime import datetime
from airflow.sdk import DAG, Connection, task

with DAG("planted", schedule=None, start_date=datetime(2024, 1, 1)):
    @task
    def tell():
        secret = Connection.get("planted").password
        print("told", base64.b64encode(secret.encode()).decode(), secret.upper())
        return base64.b64encode(secret.encode()).decode()

    tell()
'''

PIPELINE = """\
dag_id: canary
start_date: 2024-01-01
storage: {lake}
tasks:
  - {{id: aws, uses: get_credentials, with: {{conn_id: wall_aws}}}}
  - {{id: google, uses: get_credentials, with: {{conn_id: wall_google}}}}
  - {{id: read, uses: ingest, with: {{source: sql://canary_sql/orders, target: bronze/canary_orders}}}}
  - {{id: wrong, uses: ingest, with: {{source: sql://canary_wrong/orders, target: bronze/wrong}}}}
  - {{id: proof, uses: get_credentials, with: {{conn_id: canary_wrong}}}}
"""


def forms_of(secret: str) -> dict[str, bytes]:
    """How a secret may be written."""
    middle = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {
        "raw": secret.encode(),
        "base64": middle[:-1].encode(),  # the last sign depends on what follows
        "url": urllib.parse.quote(secret, safe="").encode(),
        "upper": secret.upper().encode(),
    }


@dataclass(frozen=True)
class Looked:
    """
    The places in which the secrets appeared.

    :param places: Where, by name of the secret and form.
    :param planted: Where the planted one was.
    """

    files: int
    megabytes: float
    lines: int
    secrets: int
    places: list[str]
    planted: list[str]

    @property
    def hits(self) -> int:
        """How much is held against us; a planted secret that was not found is, too."""
        return len(self.places) + (not self.planted)

    @property
    def summary(self) -> str:
        return (
            f"{len(self.places)} hits of {self.secrets} secrets in {self.files} files ({self.megabytes:.0f} MB) and "
            f"{self.lines} command lines; the planted one was found in {len(self.planted)} places {self.places[:20]}"
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Canary:
    """The secrets, and what looks for them."""

    def __init__(self) -> None:
        def one(kind: str) -> str:
            return f"{kind}/{secrets.token_hex(9)}+x"  # signs that a URL writes in another way

        self.secrets = Secrets("AKIA" + secrets.token_hex(8).upper(), one("awskey"), one("awstoken"))
        self.sql = one("sqlpass")
        self.wrong = one("wrongpass")
        self.planted = one("planted")
        self.lines: set[bytes] = set()
        self._over = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Read what everybody can read of all processes, while in the context."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            for process in psutil.process_iter():
                with contextlib.suppress(OSError):
                    self.lines.add(Path(f"/proc/{process.pid}/cmdline").read_bytes())

    def environment(self, there: Mapping[str, Any]) -> dict[str, str]:
        """Connections with secrets, for all components."""
        sql = {"conn_type": "postgres", "host": "127.0.0.1", "login": "canary", "schema": "shop", **there}
        wrong = {**sql, "password": self.wrong, "login": "nobody"}
        planted = {"conn_type": "generic", "password": self.planted}
        return {
            "AIRFLOW_CONN_CANARY_SQL": json.dumps({**sql, "password": self.sql}),
            "AIRFLOW_CONN_CANARY_WRONG": json.dumps(wrong),
            "AIRFLOW_CONN_PLANTED": json.dumps(planted),
        }

    # --- runs that have them in hand

    def prepare(self, there: Lab) -> None:
        """Create the target of the SQL connection, and the two DAGs."""
        with there.stack.postgres.open() as database:
            database.autocommit = True
            database.execute(f"create role canary login password '{self.sql}'")
            database.execute("create database shop owner canary")
        with there.stack.postgres.open("shop") as database:
            database.execute("create table orders as select 1 as id, 10 as value")
            database.execute("grant select on orders to canary")
        (there.dags / "planted.py").write_text(PLANTED)
        (there.dags / "canary.yaml").write_text(PIPELINE.format(lake=there.folder / "storage"))

    def run(self, there: Lab) -> dict[str, str]:
        """Run both; the states of the tasks."""
        there.wait_active(["planted", "canary"])
        runs = {dag: there.stack.trigger(dag, "2024-03-02T00:00:00Z") for dag in ("planted", "canary")}
        for dag, run_id in runs.items():
            there.stack.finished(dag, run_id)
        return there.stack.states("canary", runs["canary"])

    # --- looking

    def look(self, there: Lab) -> Looked:
        """Read every byte that was left."""
        dump = there.folder / "metadata.sql"
        known = there.stack.postgres.connection
        command = [tool("pg_dump"), "-h", "127.0.0.1", "-p", str(known.port), "-U", str(known.login), "-f", str(dump)]
        subprocess.run([*command, "airflow"], check=True, env={**os.environ, "PGPASSWORD": str(known.password)})
        wanted = {
            (name, form): text for name, secret in self._ours(there).items() for form, text in forms_of(secret).items()
        }
        planted = {("planted", form): text for form, text in forms_of(self.planted).items()}
        places: set[str] = set()
        found: set[str] = set()
        files = size = 0
        for path in there.folder.rglob("*"):
            if not path.is_file() or (there.folder / "google") in path.parents or path.is_symlink():
                continue
            content = path.read_bytes()
            files, size = files + 1, size + len(content)
            where = str(path.relative_to(there.folder))
            places |= {f"{name} ({form}) in {where}" for (name, form), text in wanted.items() if text in content}
            found |= {f"{name} ({form}) in {where}" for (name, form), text in planted.items() if text in content}
        for line in list(self.lines):
            shown = line[:60].decode(errors="replace")
            places |= {f"{name} ({form}) in argv {shown}" for (name, form), text in wanted.items() if text in line}
        secrets = len(self._ours(there))
        return Looked(files, size / 1e6, len(self.lines), secrets, sorted(places), sorted(found))

    def _ours(self, there: Lab) -> dict[str, str]:
        google = there.clouds.kinds["dataproc"].world
        tokens = {f"google token {number}": token for number, token in enumerate(google.tokens)}
        key = there.clouds.google_key["private_key"]
        return {
            "AWS access key": self.secrets.aws_key,
            "AWS secret key": self.secrets.aws_secret,
            "AWS session token": self.secrets.aws_token,
            "SQL password": self.sql,
            "refused SQL password": self.wrong,
            "Google private key": key.splitlines()[5],
            **tokens,
        }

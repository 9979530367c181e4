"""
A lake with a person in it, for `test_forget.py`: `erasure_lab.py LAKE KILL COMMAND...`.

Each process kills itself before its KILL-th change of a file below the lake; 0 means never.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import CheckFailed
from airflow_wall.job import Job, Run, Slice
from airflow_wall.jobs.base import run_job
from airflow_wall.jobs.forget import Eraser
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.release import Releases
from airflow_wall.publish.rows import RowStream
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.lineage import Lineage
from airflow_wall.storage.verdicts import Checkers, Verdicts

TARGETS = {"a": "sql://clients/orders", "b": "files://orders", "c": "files://csv", "d": "search://clients/orders"}
CHECKS: list[Any] = [{"accepted_values": {"column": "who", "values": ["bob@example.org"], "severity": "warn"}}]


class Lab:
    """The lake."""

    def __init__(self, lake: Path) -> None:
        self.lake = lake
        self.releases = Releases(Lake(lake), project=lake, connections=self.connection)

    def connection(self, conn_id: str, /) -> ConnectionInfo:
        return ConnectionInfo(conn_id, "sqlite", host=str(self.lake / "clients.db"))

    def job(self, day: int, kind: str, **arguments: Any) -> None:
        part = Slice(f"2013070{day}T000000Z", f"2013-07-0{day}T00:00:00+00:00", f"2013-07-0{day}")
        run = Run("shop", f"run-{day}", kind, 1, part, self.lake, self.lake, self.lake)
        with contextlib.suppress(CheckFailed):
            run_job(Job(kind, arguments, run), self.connection)

    def load(self, day: int) -> None:
        contract = {"columns": {"id": {"type": "bigint"}, "who": {"type": "varchar", "pii": True}}}
        self.job(
            day, "ingest", source="landing", target="bronze/orders", by="date", contract=contract, bad_rows="quarantine",
        )  # fmt: skip
        self.job(day, "transform", inputs={"o": "bronze/orders"}, target="silver/orders", sql="SELECT * FROM o")
        self.job(day, "check_integrity", table="silver/orders", checks=CHECKS)

    def make(self) -> None:
        (self.lake / "landing").mkdir(parents=True)
        for day in (1, 2):
            text = f"id,who\n{day}1,ada@example.org\n{day}2,bob@example.org\nx,ada@example.org lovelace\n{day}3,eve@example.org\n"
            (self.lake / "landing" / f"2013-07-0{day}.csv").write_text(text)
            self.load(day)
            self.publish(day)
        self.load(1)

    def publish(self, day: int = 3) -> None:
        name = f"r{day}"
        rows = open_tables(self.lake).read("silver/orders")
        self.releases.open("shop", name, order=f"2013-07-0{day}T00:00:00Z", fence=1)
        for part, to in TARGETS.items():
            options = {"format": "csv"} if part == "c" else {}
            self.releases.stage(
                "shop",
                name,
                part=part,
                to=parse_target(to),
                data=RowStream.of(pa.table(rows)),
                key=("id",),
                options=options,
            )
        self.releases.close("shop", name, expected=list(TARGETS))

    def again(self) -> None:
        for day in (1, 2):
            self.load(day)

    def rollback(self) -> None:
        for version in ("r1", "r2"):
            self.releases.restore("shop", version, reason="test")

    def forget(self) -> None:
        eraser = Eraser(Lake(self.lake), open_tables(self.lake), self.releases)
        result = eraser.forget("bronze/orders", "who = 'ada@example.org'", "who", reason="request 7")
        assert all(name.startswith("landing/") for name in result.left), result.left
        assert not result.not_searched, result.not_searched

    def judge(self) -> None:
        tables = open_tables(self.lake)
        judgement = Verdicts(Lake(self.lake), tables).judge("shop", "silver/orders", Checkers(["check_integrity"]))
        assert not judgement.withheld, judgement.withheld
        assert not Lineage(Lake(self.lake), tables).stale()


def kill_at(number: int, lake: Path) -> None:
    """Let this process kill itself before its `number`-th change of a file below a folder."""
    left = [number]

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in ("os.rename", "os.remove", "os.link") or is_write or event.startswith("sqlite3.connect"):
            text = str(arguments[0])
            if text.startswith(str(lake)) and not text.endswith(".lock"):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


if __name__ == "__main__":
    lake = Path(sys.argv[1])
    lab = Lab(lake)
    if int(sys.argv[2]):
        kill_at(int(sys.argv[2]), lake)
    for command in sys.argv[3:]:
        getattr(lab, command)()

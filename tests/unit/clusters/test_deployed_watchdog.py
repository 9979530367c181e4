"""
A watchdog of version 0.1.0 that runs during the upgrade is found, adopted and ended by this version.

The watchdog is a process with the code of 0.1.0. A small program stands for Spark's own; `make spark` does the same with
Spark itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployed_watchdog import NAME, start_watchdog

from airflow_wall import state
from airflow_wall.clusters.backends import open_cluster, open_fleet
from airflow_wall.clusters.base import ClusterSite, ClusterState, Deleted, Owner
from airflow_wall.clusters.kinds import spark
from airflow_wall.clusters.spark_watchdog import has_watchdog
from airflow_wall.errors import Interrupted
from airflow_wall.lake.lake import Lake

CONFIG = {"type": "spark", "max_ttl": "6h"}
SPARK = f"""#!{sys.executable}
import http.server, signal, sys


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{{"aliveworkers": 1}}')


if sys.argv[1].endswith("Master"):
    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    print("Starting Spark master at spark://127.0.0.1:7077")
    print(f"Successfully started service 'MasterUI' on port {{server.server_port}}", flush=True)
    server.serve_forever()
signal.pause()
"""


def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterSite:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return ClusterSite(Lake(tmp_path / "lake"), Owner("test", "scores", "r"), lambda kind, config: pytest.fail(kind))


@pytest.fixture
def document(tmp_path: Path, site: ClusterSite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The document of a running cluster that version 0.1.0 has started."""
    program = tmp_path / "spark" / "bin" / "spark-class"
    program.parent.mkdir(parents=True)
    program.write_text(SPARK)
    program.chmod(0o755)
    monkeypatch.setattr(spark, "find_spark", lambda config: tmp_path / "spark")
    path = start_watchdog(tmp_path, tmp_path / "spark")
    until(lambda: (state.read(path) or {}).get("state") == "running")
    pid = watchdog_of(path)
    yield path
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def watchdog_of(document: Path) -> int:
    return int((state.read(document) or {})["watchdog"]["pid"])


def processes(folder: Path) -> set[int]:
    """The processes that were started for the cluster in a folder."""
    found = set()
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and f"TMPDIR={folder}/tmp\0".encode() in (process / "environ").read_bytes():
                found.add(int(process.name))
    return found


def test_it_is_found_adopted_and_stopped(document: Path, site: ClusterSite, tmp_path: Path) -> None:
    cluster = open_cluster(NAME, CONFIG, site)
    watchdog, running = watchdog_of(document), processes(tmp_path)
    assert len(running) == 3
    assert watchdog in running
    assert cluster.state() is ClusterState.RUNNING
    assert cluster.ensure()["master"] == "spark://127.0.0.1:7077"
    assert (watchdog_of(document), processes(tmp_path)) == (watchdog, running)  # no other was started
    assert has_watchdog(document)
    assert cluster.delete() == Deleted(ended=(NAME,))
    assert cluster.state() is None
    until(lambda: not processes(tmp_path))
    assert not list((tmp_path / "tmp").iterdir())
    assert not document.with_suffix("").exists()


def test_the_reaper_finds_and_ends_it(document: Path, site: ClusterSite, tmp_path: Path) -> None:
    fleet = open_fleet({"type": "spark"}, site)
    (found,) = fleet.list()
    assert (found.name, found.state) == (NAME, ClusterState.RUNNING)
    assert found.owner == Owner("test", "scores", "scheduled__1")
    fleet.end(found)
    until(lambda: not processes(tmp_path))
    assert fleet.list() == []


def test_it_is_killed_if_it_hangs(
    document: Path, site: ClusterSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "ENDING", 0.5)
    os.kill(watchdog_of(document), signal.SIGSTOP)
    assert open_cluster(NAME, CONFIG, site).delete() == Deleted(ended=(NAME,))
    until(lambda: not processes(tmp_path))


def test_its_end_is_reported(document: Path, site: ClusterSite, tmp_path: Path) -> None:
    cluster = open_cluster(NAME, CONFIG, site)
    os.kill(watchdog_of(document), signal.SIGTERM)
    until(lambda: cluster.state() is ClusterState.BROKEN)
    until(lambda: not processes(tmp_path))
    with pytest.raises(Interrupted, match="the watchdog of the cluster was told to stop"):
        cluster.run({"environment": {}}, {}, print)

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"  # nothing outside is asked for credentials


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    """A job that reads one file of the lake into a table."""
    from airflow_wall.job import Job, Run, Slice

    landing = tmp_path / "lake" / "landing"
    landing.mkdir(parents=True)
    (landing / "a.csv").write_text("x,y\n1,a\n2,b\n")
    time = Slice("20130701T000000Z", "2013-07-01T00:00:00+00:00")
    run = Run("churn", "manual", "load", 1, time, tmp_path / "lake", tmp_path, tmp_path)
    return Job("ingest", {"source": "landing", "target": "bronze/a"}, run).to_json()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look often, so that tests do not wait."""
    from airflow_wall.clusters import remote
    from airflow_wall.clusters.kinds import dataproc, emr

    for module in (dataproc, emr, remote):
        monkeypatch.setattr(module, "POLL", 0.1)
    return


@pytest.fixture(scope="session")
def google_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Google on loopback; this process is led to it."""
    from google_server import google

    with pytest.MonkeyPatch.context() as patch, google(tmp_path_factory.mktemp("google")) as served:
        # gRPC reads these once in the life of a process.
        patch.setenv("https_proxy", served.proxy)
        patch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(served.authority))
        patch.setenv("REQUESTS_CA_BUNDLE", str(served.authority))
        yield served


@pytest.fixture
def google_world(google_server: Any, monkeypatch: pytest.MonkeyPatch, quick: None) -> Iterator[Any]:
    """A fake Google with a connection `wall_google` to it."""
    from google_server import World

    server = google_server
    fresh = World()
    for name, value in vars(fresh).items():
        if name != "lock":
            setattr(server.world, name, value)
    extra = {"project": "p", "keyfile_dict": json.dumps(server.key)}
    monkeypatch.setenv("AIRFLOW_CONN_WALL_GOOGLE", json.dumps({"conn_type": "google_cloud_platform", "extra": extra}))
    yield server.world
    server.world.end_jobs()

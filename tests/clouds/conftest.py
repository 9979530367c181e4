from __future__ import annotations

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
    from airflow_wall.jobs.document import Job, Run, Slice

    landing = tmp_path / "lake" / "landing"
    landing.mkdir(parents=True)
    (landing / "a.csv").write_text("x,y\n1,a\n2,b\n")
    time = Slice("20130701T000000Z", "2013-07-01T00:00:00+00:00")
    run = Run("churn", "manual", "load", 1, time, tmp_path / "lake", tmp_path, tmp_path)
    return Job("ingest", {"source": "landing", "target": "bronze/a"}, run).to_json()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look often, so that tests do not wait."""
    from airflow_wall.clusters import dataproc, emr, remote

    for module in (dataproc, emr, remote):
        monkeypatch.setattr(module, "POLL", 0.1)
    return

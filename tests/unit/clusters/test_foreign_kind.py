"""A kind of cluster that another package brings: checked where it is written, started, used and stopped as ours are."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

MODULE = '''
from typing import Literal

from airflow_wall.clusters.base import Deleted, State
from airflow_wall.spec.base import SpecModel


class Spec(SpecModel):
    """A shed."""

    type: Literal["shed"]
    doors: int = 1


class Shed:
    def __init__(self, name, config, site):
        self.name, self.config, self.path = name, config, site.state / "sheds" / name

    def ensure(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        return {"type": "shed", "name": self.name, "doors": self.config["doors"]}

    def state(self):
        return State.RUNNING if self.path.exists() else None

    def run(self, job, connections, log):
        log(f"in the shed: {job['kind']}")
        return {"rows": 0}

    def delete(self):
        there = self.path.exists()
        self.path.unlink(missing_ok=True)
        return Deleted(("shed",) if there else ())


class Sheds:
    def list(self):
        return ()

    def end(self, found):
        pass


def open_cluster(name, config, site):
    return Shed(name, config, site)


def open_fleet(config, site):
    return Sheds()
'''
ENTRY_POINTS = "[airflow_wall.clusters]\nshed = sheds\n[airflow_wall.cluster_specs]\nshed = sheds:Spec\n"
PIPELINE = """\
dag_id: orders
start_date: 2024-03-01
tasks:
  - {id: start, uses: start_cluster, with: {cluster: {type: shed, doors: DOORS}}}
  - {id: ingest, uses: ingest, needs: start, with: {cluster: start, source: landing, target: bronze/orders}}
  - {id: stop, uses: stop_cluster, needs: ingest}
"""
COMMAND = Path(sysconfig.get_path("scripts")) / "airflow-wall"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    packages = tmp_path / "packages"
    metadata = packages / "sheds-1.dist-info"
    metadata.mkdir(parents=True)
    (packages / "sheds.py").write_text(MODULE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: sheds\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "dags").mkdir()
    return tmp_path


def run(project: Path, doors: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (project / "dags/orders.yaml").write_text(PIPELINE.replace("DOORS", doors))
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(project), "PYTHONPATH": str(project / "packages")}
    command = [sys.executable, str(COMMAND), *arguments]
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def test_its_keys_are_checked_with_the_line(project: Path) -> None:
    ran = run(project, "many", "validate", "dags")
    assert ran.returncode == 1
    assert "orders.yaml:4:74: `tasks[start].with.cluster.doors` must be an integer, got `many`" in ran.stdout


@pytest.mark.integration
def test_it_is_started_used_and_stopped(project: Path) -> None:
    ran = run(project, "2", "run", "dags/orders.yaml", "--date", "2024-03-02")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    logs = "".join(path.read_text(errors="replace") for path in (project / ".airflow/logs").rglob("*.log"))
    assert "in the shed: ingest" in logs
    assert not list((project / "lake/_wall/sheds").iterdir())

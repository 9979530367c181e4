"""
A step with its job, a check, a target and a kind of cluster that another package brings work as ours do.

Waits for: two runs by `airflow-wall run` on a database of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from installed_packages import write_package

pytestmark = pytest.mark.integration

FILES = {
    "acme/__init__.py": "",
    "acme/model.py": '''
from pydantic import Field

from airflow_wall.language.steps.base import OnCluster, Text
from airflow_wall.text.kinds import Table


class CountRows(OnCluster):
    """Count the rows of a table."""

    table: Table[Text] = Field(description="The table.")
''',
    "acme/operator.py": '''
from airflow_wall.operators.compute import ComputeOperator


class CountRowsOperator(ComputeOperator):
    """Counts the rows of a table."""

    template_fields = ("table",)

    def __init__(self, *, table, **kwargs):
        super().__init__(**kwargs)
        self.table = table

    def execute(self, context):
        return self.compute(context, "count_rows", table=self.table)
''',
    "acme/job.py": """
import logging
import sys

from airflow_wall.storage.backends import open_tables


def count_rows(env, *, table):
    logging.getLogger("acme").info("airflow is %s here", "loaded" if "airflow" in sys.modules else "not loaded")
    return {"rows": open_tables(env.run.storage).read(table).num_rows}
""",
    "acme/even.py": '''
from typing import ClassVar

from airflow_wall.checks.base import Check, CheckOutcome


class Even(Check):
    """The number of rows is even."""

    kind: ClassVar[str] = "even"

    def run(self, data):
        rows = data.row_count
        return CheckOutcome(rows % 2 == 0, str(rows), "an even number")
''',
    "acme/box.py": (Path(__file__).parents[1] / "box_target.py").read_text(),
    "acme/shed_keys.py": '''
from typing import Any, Literal

from pydantic import Field

from airflow_wall.language.clusters.base import ClusterConfig
from airflow_wall.text.kinds import Connection, Plain


class Shed(ClusterConfig):
    """A shed."""

    type: Plain[Literal["shed"]]
    doors: Plain[int] = 1
    lender: Connection[str] | None = None
    tools: dict[str, Any] = Field({}, description="Of no declared kind.")
''',
    "acme/shed.py": '''
import json
import subprocess
import sys

from airflow_wall import state
from airflow_wall.clusters.base import ClusterState, Deleted
from airflow_wall.clusters.documents import DocumentFleet, new_document, path_of
from airflow_wall.environments.zipapp import parcel


class Shed:
    """A cluster that is a document in the lake. Its jobs run without what is installed here, from the parcel alone."""

    environments = ()

    def __init__(self, name, config, site):
        self.name, self.config, self.site, self.document = name, config, site, path_of(name, site)

    def ensure(self):
        described = {"type": "shed", "name": self.name, "doors": self.config["doors"]}
        state.create(self.document, {**new_document(self.name, self.config, self.site), **described})
        return described

    def state(self):
        return ClusterState.RUNNING if self.document.exists() else None

    def run(self, job, connections, log):
        log(f"in the shed: {job['kind']}")
        libraries = [path for path in sys.path if path.endswith("site-packages")]
        zipapp = parcel(self.site.state / "sheds")
        program = f"import runpy, sys; sys.path[:0] = {[str(zipapp)]!r}; sys.path += {libraries!r}; " + (
            "import airflow_wall; assert '.zip' in airflow_wall.__file__; sys.argv = ['job']; "
            "runpy.run_module('airflow_wall.jobs', run_name='__main__')"
        )
        request = json.dumps({"job": job, "connections": connections})
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program], input=f"{request}\\n", capture_output=True, text=True, cwd="/"
        )
        for line in done.stderr.splitlines():
            log(line)
        return json.loads(done.stdout.splitlines()[-1])["result"]

    def delete(self):
        there = self.document.exists()
        self.document.unlink(missing_ok=True)
        return Deleted((self.name,) if there else ())


def open_cluster(name, config, site):
    return Shed(name, config, site)


def open_fleet(config, site):
    return DocumentFleet("shed", site, open_cluster)
''',
}
ENTRY_POINTS = {
    "airflow_wall.steps": {"count_rows": "acme.model:CountRows"},
    "airflow_wall.operators": {"count_rows": "acme.operator:CountRowsOperator"},
    "airflow_wall.jobs": {"count_rows": "acme.job:count_rows"},
    "airflow_wall.checks": {"even": "acme.even:Even"},
    "airflow_wall.targets": {"box": "acme.box:BoxTarget"},
    "airflow_wall.cluster_specs": {"shed": "acme.shed_keys:Shed"},
    "airflow_wall.clusters": {"shed": "acme.shed"},
}
PIPELINE = f"""\
dag_id: orders
start_date: 2024-03-01
tasks:
  - {{id: start, uses: start_cluster, with: {{cluster: {{type: shed, doors: 2}}}}}}
  - {{id: ingest, uses: ingest, with: {{source: landing, target: bronze/orders}}}}
  - {{id: count, uses: count_rows, needs: [start, ingest], with: {{cluster: start, table: bronze/orders}}}}
  - {{id: travel, uses: count_rows, needs: ingest, with: {{table: bronze/orders, python: {sys.executable}}}}}
  - {{id: check, uses: check_integrity, needs: ingest, with: {{table: bronze/orders, checks: [even: {{}}]}}}}
  - {{id: stop, uses: stop_cluster, needs: count}}
  - id: publish
    uses: publish
    needs: [stop, check]
    with: {{release: orders, table: bronze/orders, to: [{{to: box://attic/orders, key: [id]}}]}}
  - {{id: reap, uses: reap_clusters, needs: stop, with: {{clusters: [{{type: shed}}]}}}}
"""
COMMAND = Path(sysconfig.get_path("scripts")) / "airflow-wall"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("third_party")
    write_package(folder / "packages", "acme", FILES, ENTRY_POINTS)
    (folder / "dags").mkdir()
    (folder / "lake/landing").mkdir(parents=True)
    (folder / "dags/orders.yaml").write_text(PIPELINE)
    (folder / "connections.yaml").write_text(f"attic: {{conn_type: box, host: {folder / 'boxes'}}}\n")
    return folder


def airflow_wall(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(project), "PYTHONPATH": str(project / "packages")}
    command = [sys.executable, str(COMMAND), *arguments]
    return subprocess.run(
        command, cwd=project, env={**environment, **variables}, capture_output=True, text=True, timeout=240
    )


def faults(project: Path, old: str, new: str, **variables: str) -> list[str]:
    """Return the faults after a change of the pipeline, each with its line."""
    assert old in PIPELINE
    (project / "wrong.yaml").write_text(PIPELINE.replace(old, new))
    ran = airflow_wall(project, "validate", "wrong.yaml", **variables)
    lines = [line.removeprefix("error: ") for line in ran.stdout.splitlines() if line.startswith("error: ")]
    assert ran.returncode == bool(lines), ran.stdout + ran.stderr
    return [re.sub(r"(?<=:)\d+: ", " ", line, count=1) for line in lines]


def test_a_wrong_key_of_a_third_partys_step_has_its_line(project: Path) -> None:
    wrong = project / "wrong.yaml"
    wrong.write_text(PIPELINE.replace("cluster: start, table", "cluster: start, tabel"))
    ran = airflow_wall(project, "validate", "wrong.yaml")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "wrong.yaml:6:" in ran.stdout
    assert "`tasks[count].with.tabel` is not a known key" in ran.stdout
    assert "did you mean `table`?" in ran.stdout


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("doors: 2", "doors: many", "wrong.yaml:4: `tasks[start].with.cluster.doors` must be an integer, got `many`"),
        ("doors: 2", "door: 2", "wrong.yaml:4: `tasks[start].with.cluster.door` is not a known key"),
        ("box://attic/orders", "box://attic", "wrong.yaml:13: `tasks[publish].with.to[0].to` must be "
         "`box://CONN/NAME`, got `box://attic`"),
        (", key: [id]", "", "wrong.yaml:13: `tasks[publish].with.to[0].key` is missing"),
        ("cluster: start, table: bronze/orders", "cluster: start, table: bronze/orders, python: /opt/python",
         "wrong.yaml:6: `tasks[count].with.cluster` names a cluster of type `shed`, which does not support `python`"),
        ("clusters: [{type: shed}]", "clusters: [{type: shed, region: eu}]",
         "wrong.yaml:14: `tasks[reap].with.clusters[0].region` is not a known key"),
    ],
)  # fmt: skip
def test_faults_in_values_of_a_third_partys_kinds_have_their_line(
    project: Path, old: str, new: str, fault: str
) -> None:
    assert faults(project, old, new) == [fault]


def test_restricted_follows_the_kinds_of_their_fields(project: Path) -> None:
    restricted = {
        "AIRFLOW__WALL__POLICY": "restricted",
        "AIRFLOW__WALL__ALLOWED_STORAGE": "lake",
        "AIRFLOW__WALL__ALLOWED_PYTHONS": sys.executable,
    }
    no = "which this deployment does not allow"
    target = f"wrong.yaml:13: `tasks[publish].with.to[0].to` names the connection `attic`, {no}"
    allowed = {"AIRFLOW__WALL__ALLOWED_CONNECTIONS": "attic,bank"}
    assert faults(project, "doors: 2", "doors: 3", **restricted) == [target]
    assert faults(project, "doors: 2", "doors: 3", **restricted, **allowed) == []
    assert faults(project, "doors: 2", "lender: bank", **restricted) == [
        f"wrong.yaml:4: `tasks[start].with.cluster.lender` names the connection `bank`, {no}",
        target,
    ]
    assert faults(project, "doors: 2", "lender: bank", **restricted, **allowed) == []
    assert faults(project, "doors: 2", "tools: {saw: 1}", **restricted, **allowed) == [
        f"wrong.yaml:4: `tasks[start].with.cluster.tools.saw` has no kind that policy could follow from, {no}"
    ]


def test_the_schema_for_editors_has_their_kinds(project: Path) -> None:
    schema = airflow_wall(project, "schema").stdout
    assert '"title": "Shed"' in schema
    assert '"with.count_rows"' in schema


def test_they_run_and_their_job_travels(project: Path) -> None:
    (project / "lake/landing/a.csv").write_text("id\n1\n2\n")
    ran = airflow_wall(project, "run", "dags/orders.yaml", "--date", "2024-03-02")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    logs = {
        path.parent.name.removeprefix("task_id="): path.read_text(errors="replace")
        for path in (project / ".airflow/logs").rglob("*.log")
    }
    assert "in the shed: count_rows" in logs["count"]
    assert "airflow is not loaded here" in logs["count"]
    assert "airflow is not loaded here" in logs["travel"]
    assert not list((project / "lake/_wall/clusters").glob("*.json"))
    current = project / "boxes/orders" / (project / "boxes/orders/current").read_text()
    assert [path.read_text() for path in current.glob("*.json")] == ['[{"id": 1}, {"id": 2}]']


def test_its_check_stops_the_run(project: Path) -> None:
    (project / "lake/landing/b.csv").write_text("id\n3\n")
    ran = airflow_wall(project, "run", "dags/orders.yaml", "--date", "2024-03-03")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "even" in ran.stdout

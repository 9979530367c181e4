"""
The same bytes give the same DAG, whatever the order of files and the hash seed, so that no parse makes a new version.

Waits for: the YAML of the repository three times in three processes; 100 parses by each front.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from airflow_database import migrated_sqlite

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]

SERIALIZE = """
import hashlib, json, random, sys
from pathlib import Path

from airflow.serialization.serialized_objects import DagSerialization
from airflow_wall.fronts.folder import build
from airflow_wall.settings import Settings

folders = [Path("dags"), Path("docs/examples"), *sorted(Path("tests/cases").iterdir()), Path("tests/compat/documents")]
files = [file for folder in folders for file in sorted(folder.glob("*.yaml"))]
random.Random(sys.argv[1]).shuffle(files)
found = {}
for file in files:  # one by one, as many have the same id
    dags, reports = build([file], Settings(), None)
    for dag_id, dag in dags.items():
        found[f"{file} {dag_id}"] = hashlib.sha256(json.dumps(DagSerialization.to_dict(dag), sort_keys=True).encode()).hexdigest()
    found |= {f"{file} faults": text for text in reports.values()}
together, _ = build([file for file in files if file.parent.name == "examples"], Settings(), None)
for dag_id, dag in together.items():
    found[f"together {dag_id}"] = hashlib.sha256(json.dumps(DagSerialization.to_dict(dag), sort_keys=True).encode()).hexdigest()
print(json.dumps(found, sort_keys=True))
"""

VERSIONS = """
import json, os, sys
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dag_version import DagVersion
from airflow.models.dagbundle import DagBundleModel
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session
from airflow_wall.bundles import PipelineBundle
from sqlalchemy import func, select

folder = Path(sys.argv[1])
pipelines = PipelineBundle(name="pipelines", path=str(folder)) if sys.argv[3] == "bundle" else None
with create_session() as session:
    session.merge(DagBundleModel(name="pipelines"))
hashes = set()
for number in range(int(sys.argv[2])):
    os.utime(folder / "a.yaml", (number, number))
    (folder / "note.txt").write_text(str(number))  # a change of another file makes a new copy of the folder
    if pipelines:
        pipelines.initialize()
        pipelines.refresh()
    path = pipelines.path if pipelines else folder
    bag = DagBag(dag_folder=str(path), bundle_path=path, bundle_name="pipelines")
    assert not bag.import_errors, bag.import_errors
    assert len(bag.dags) == 2, list(bag.dags)
    sync_bag_to_db(bag, "pipelines", bundle_version=None)
    with create_session() as session:
        hashes |= {tuple(row) for row in session.execute(select(SerializedDagModel.dag_id, SerializedDagModel.dag_hash))}
with create_session() as session:
    versions = dict(session.execute(select(DagVersion.dag_id, func.count()).group_by(DagVersion.dag_id)).all())
print(json.dumps([versions, sorted(hashes)]))
"""

PIPELINE = """
dag_id: NAME
schedule: "0 3 * * *"
start_date: 2013-01-01
tags: [c, a, b]
params: {z: 1, a: {type: integer, default: 2}}
default_args: {retries: 2, owner: analytics}
owner_links: {analytics: "https://example.org"}
tasks:
  - id: start
  - id: etl
    matrix: {domain: [c, a, b]}
    needs: start
    tasks:
      - id: ingest
        uses: ingest
        with: {source: "landing/${{ matrix.domain }}", target: "bronze/${{ matrix.domain }}"}
      - id: clean
        uses: transform
        needs: ingest
        with: {sql: "select * from raw", inputs: {raw: "bronze/${{ matrix.domain }}"}, target: "silver/${{ matrix.domain }}"}
  - id: say
    uses: airflow.providers.standard.operators.bash.BashOperator
    needs: [etl, start]
    with: {bash_command: {$t: "echo {{ ds }}"}, env: {B: x, A: {$x: start}}}
  - id: train
    uses: retrain
    needs: etl
    with: {entrypoint: "a:b", inputs: {x: silver/*}, model: m, promote: {metric: rmse}}
"""


def serialized(seed: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", SERIALIZE, seed],
        cwd=ROOT, capture_output=True, text=True, timeout=600, env={**os.environ, "PYTHONHASHSEED": seed},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_same_bytes_give_the_same_dag() -> None:
    first, *others = (serialized(seed) for seed in ("0", "1", "4242"))
    assert len([name for name in first if not name.endswith("faults")]) > 30
    for other in others:
        assert {name for name in first.keys() | other.keys() if first.get(name) != other.get(name)} == set()


@pytest.mark.slow
@pytest.mark.parametrize("front", ["loader", "bundle"])
def test_a_hundred_parses_make_one_version(front: str, tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "a.yaml").write_text(PIPELINE.replace("NAME", "one"))
    (folder / "b.yaml").write_text(PIPELINE.replace("NAME", "other"))
    (folder / "pipelines.py").write_text(
        "from airflow_wall import load_dags  # airflow, dag\nglobals().update(load_dags(__file__))\n"
    )
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(tmp_path / "bundles"),
    }
    (tmp_path / "home").mkdir()
    shutil.copy(migrated_sqlite(), tmp_path / "home" / "airflow.db")

    def parsed(seed: str, times: int) -> tuple[dict[str, int], list[list[str]]]:
        done = subprocess.run(
            [sys.executable, "-c", VERSIONS, str(folder), str(times), front],
            cwd=tmp_path, capture_output=True, text=True, timeout=600, env={**environment, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        versions, hashes = json.loads(done.stdout.splitlines()[-1])
        return versions, hashes

    versions, hashes = parsed("0", 60)
    assert versions == {"one": 1, "other": 1}
    assert len(hashes) == 2  # Airflow changes a version in which nothing has run in place: its hash must stay too
    assert parsed("1", 40) == (versions, hashes)
    (folder / "a.yaml").write_text(PIPELINE.replace("NAME", "one").replace("retries: 2", "retries: 3"))
    assert len({tuple(each) for each in hashes + parsed("0", 1)[1]}) == 3

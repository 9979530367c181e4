"""
Deployments of 0.1.0 keep working: its imports, serialized DAGs and deferred tasks.

`tests/deployed/0.1.0` holds what that version wrote: DAGs as Airflow keeps them, deferred tasks with their
triggers, and the watchdog of a Spark cluster.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.serialization.serialized_objects import DagSerialization
from cluster_runs import Run, executed, resumed
from fake_clouds import CLOUDS, VirtualClock

from airflow_wall.clusters.backends import open_cluster

WRITTEN = Path(__file__).parents[2] / "deployed" / "0.1.0"
DAGS = sorted(path for path in WRITTEN.glob("*.json") if not path.name.startswith(("deferred_", "watchdog")))

NAMES = [
    "airflow_wall:load_dags",
    "airflow_wall.bundles:PipelineBundle",
    "airflow_wall.bundles:UpkeepBundle",
    "airflow_wall.clusters.base:Cluster",
    "airflow_wall.clusters.base:Deleted",
    "airflow_wall.clusters.base:Found",
    "airflow_wall.clusters.base:Site",
    "airflow_wall.clusters.base:State",
    "airflow_wall.dags.reaper",
    "airflow_wall.deployment.probe:main",
    "airflow_wall.fronts.stub:dags_of",
    "airflow_wall.jobs.__main__:main",
    "airflow_wall.models.base:Trained",
    "airflow_wall.notifications.notifier:Notification",
    "airflow_wall.notifications.notifier:missed",
    "airflow_wall.operators.check_integrity:CheckIntegrityOperator",
    "airflow_wall.operators.check_new_data:CheckNewDataOperator",
    "airflow_wall.operators.get_credentials:GetCredentialsOperator",
    "airflow_wall.operators.index:IndexOperator",
    "airflow_wall.operators.ingest:IngestOperator",
    "airflow_wall.operators.links:ConsoleLink",
    "airflow_wall.operators.links:LogsLink",
    "airflow_wall.operators.persist:PersistOperator",
    "airflow_wall.operators.predict:PredictOperator",
    "airflow_wall.operators.publish:PublishOperator",
    "airflow_wall.operators.reap_clusters:ReapClustersOperator",
    "airflow_wall.operators.retrain:RetrainOperator",
    "airflow_wall.operators.start_cluster:StartClusterOperator",
    "airflow_wall.operators.start_sender:StartSenderOperator",
    "airflow_wall.operators.stop_cluster:StopClusterOperator",
    "airflow_wall.operators.stop_sender:StopSenderOperator",
    "airflow_wall.operators.submit:SubmitOperator",
    "airflow_wall.operators.transform:TransformOperator",
    "airflow_wall.plugin:WallPlugin",
    "airflow_wall.spec.base:SpecModel",
    "airflow_wall.triggers.cluster:ClusterTrigger",
]
"""Names in DAG files, configurations, databases and packages of users. `airflow_wall.importer` needs Airflow 3.4."""


@pytest.mark.parametrize("name", NAMES)
def test_names_that_users_have_deployed_can_be_imported(name: str) -> None:
    module, _, attribute = name.partition(":")
    loaded = importlib.import_module(module)
    assert not attribute or hasattr(loaded, attribute)


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_serialized_dags_are_read_and_name_what_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    dag = DagSerialization.from_dict(json.loads(text))
    assert dag.dag_id == path.stem
    assert dag.task_dict
    for dotted in set(re.findall(r'"(airflow_wall\.[\w.]+)"', text)):
        module, _, attribute = dotted.rpartition(".")
        try:
            importlib.import_module(dotted)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), dotted


@pytest.mark.parametrize("kind", ["emr", "dataproc"])
def test_a_deferred_task_is_waited_for_and_resumed(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(kind, CLOUDS[kind](VirtualClock()), tmp_path, monkeypatch, deferrable=True)
    with pytest.raises(TaskDeferred):  # makes the cluster that the old version was waiting for
        executed(run.dag.task_dict["start"], run.context("start"))
    text = (WRITTEN / f"deferred_{kind}.json").read_text(encoding="utf-8").replace("/lake/", f"{tmp_path}/")
    row: dict[str, Any] = json.loads(text)
    module, _, name = row["classpath"].rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**row["kwargs"])
    assert trigger.serialize() == (row["classpath"], row["kwargs"])
    cluster = open_cluster(trigger.name, trigger.config, run.site)
    run.cloud.clock.sleep(3600)
    assert cluster.state() is not None
    result = resumed(run.dag.task_dict["start"], row["method"], row["next_kwargs"], run.context("start"))
    assert result["name"] == row["kwargs"]["name"]

"""The pipelines that faults befall: ours, in YAML, and beside it one of Airflow's own parts, as the positive control."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

REGION = "eu-central-1"
DATE = "2024-03-02T00:00:00Z"
SLICE = "20240302T000000Z"
ROWS = 3

CLUSTERS = {
    "local": {"type": "local"},
    "spark": {"type": "spark"},
    "emr": {"type": "emr", "region": REGION, "conn_id": "wall_aws", "image": "emr-7.9.0", "max_ttl": "10m"},
    "dataproc": {
        "type": "dataproc",
        "region": "europe-west1",
        "conn_id": "wall_google",
        "image": "2.3-debian12",
        "max_ttl": "10m",
    },
}
for _each in CLUSTERS.values():
    if _each["type"] in ("emr", "dataproc"):
        _each["python"] = sys.executable


@dataclass(frozen=True)
class Shape:
    """
    How a pipeline is, beside what all have.

    :param retries: Of the tasks but the stop.
    :param head: Further keys of the DAG.
    :param work: Further keys of the task `work`.
    :param deferrable: Whether the triggerer waits for the cloud; else the task itself does.
    :param sibling: Whether there is a second task on the cluster, `other`, that fails at once.
    """

    retries: int = 1
    head: dict[str, object] = field(default_factory=dict)
    work: dict[str, object] = field(default_factory=dict)
    deferrable: bool = True
    sibling: bool = False


def ours(dag: str, kind: str, lake: Path, storage: Path, shape: Shape) -> str:
    """
    The YAML of a pipeline of three tasks on a cluster, as JSON, which is YAML too.

    :param lake: Where its work writes down that it is alive.
    """
    waits = {"deferrable": shape.deferrable}
    rows = {"table": "bronze/rows", "external": True}  # no task writes them
    on = {"cluster": "start_cluster", "inputs": {"rows": rows}, **waits}
    held = {"entrypoint": "moments:work", "parameters": {"folder": str(lake / "held")}}
    work = {
        "id": "work",
        "uses": "transform",
        "needs": "start_cluster",
        "with": {**on, **held, "target": f"silver/{dag}"},
    }
    tasks = [
        {"id": "start_cluster", "uses": "start_cluster", "with": {"cluster": CLUSTERS[kind], **waits}},
        {**work, **shape.work},
        {"id": "stop_cluster", "uses": "stop_cluster", "needs": "work"},
    ]
    if shape.sibling:
        wrong = {**on, "sql": "select nothing from rows", "target": "silver/other"}
        tasks.insert(1, {"id": "other", "uses": "transform", "needs": "start_cluster", "retries": 0, "with": wrong})
        tasks[-1]["needs"] = ["work", "other"]
    arguments = {"retries": shape.retries, "retry_delay": "2s"}
    head = {"dag_id": dag, "start_date": "2024-01-01", "storage": str(storage), "default_args": arguments}
    return json.dumps({**head, **shape.head, "tasks": tasks}, indent=1)


CONTROLS = '''
"""DAGs of Airflow's own setup, teardown and EMR operators."""
import json
from datetime import datetime, timedelta
from airflow.sdk import DAG
from airflow.providers.amazon.aws.operators.emr import (
    EmrAddStepsOperator, EmrCreateJobFlowOperator, EmrTerminateJobFlowOperator,
)

def control(dag_id, folder, retries, timeout, stop):
    name = dag_id.replace("_", "-") + "-naive"
    instances = {{"InstanceCount": 1, "MasterInstanceType": "m5.xlarge", "KeepJobFlowAliveWhenNoSteps": True}}
    cluster = {{"Name": name, "ReleaseLabel": "emr-7.9.0", "Instances": instances}}
    step = {{"Jar": "command-runner.jar", "Args": [{python!r}, {program!r}, folder]}}
    steps = [{{"Name": "work", "ActionOnFailure": "CONTINUE", "HadoopJarStep": step}}]
    arguments = {{"retries": retries, "retry_delay": timedelta(seconds=2)}}
    limit = timedelta(seconds=timeout) if timeout else None
    with DAG(dag_id, schedule=None, start_date=datetime(2024, 1, 1), default_args=arguments, dagrun_timeout=limit) as dag:
        start = EmrCreateJobFlowOperator(
            task_id="start_cluster", aws_conn_id="wall_aws", emr_conn_id=None, region_name={region!r},
            job_flow_overrides=cluster,
        )
        work = EmrAddStepsOperator(
            task_id="work", aws_conn_id="wall_aws", job_flow_id=start.output, steps=steps, wait_for_completion=True,
            waiter_delay=2, waiter_max_attempts=200,
        )
        start >> work
        if stop:
            end = EmrTerminateJobFlowOperator(
                task_id="stop_cluster", aws_conn_id="wall_aws", job_flow_id=start.output, retries=0,
            )
            work >> end.as_teardown(setups=start)
    return dag

for given in json.loads({wanted!r}):
    globals()[given["dag_id"]] = control(**given)
'''


def controls(wanted: list[dict[str, object]], program: Path) -> str:
    """The Python file of such DAGs."""
    return CONTROLS.format(python=sys.executable, program=str(program), region=REGION, wanted=json.dumps(wanted))


REAPER = """\
dag_id: {dag}
storage: {storage}
start_date: 2024-01-01
schedule: "* * * * *"
catchup: false
max_active_runs: 1
default_args: {{retries: 0}}
tasks:
  - {{id: reap, uses: reap_clusters, execution_timeout: 45s, with: {{clusters: {clusters}}}}}
"""


def reaper(dag: str, storage: Path, kinds: list[str]) -> str:
    """The YAML of the DAG that ends what was left. Of Spark it sees what is in its own lake."""
    keys = ("type", "region", "conn_id")
    wanted = [{key: CLUSTERS[kind][key] for key in keys if key in CLUSTERS[kind]} for kind in kinds]
    return REAPER.format(dag=dag, storage=storage, clusters=json.dumps(wanted))


def make_rows(storage: Path) -> None:
    """A lake in which the first table is there already."""
    import hashlib

    from airflow_wall.storage.backends import open_tables

    number = int(hashlib.sha256(SLICE.encode()).hexdigest()[:15], 16)
    rows = pa.table({"id": list(range(ROWS))})
    open_tables(storage).replace_slice("bronze/rows", rows, slice_id=SLICE, number=number)

"""Flights of one airport by hour, published as an SQL table and as files: our operators in a DAG of one's own."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_wall.operators.check_new_data import CheckNewDataOperator
from airflow_wall.operators.ingest import IngestOperator
from airflow_wall.operators.publish import PublishOperator
from airflow_wall.operators.start_cluster import StartClusterOperator
from airflow_wall.operators.stop_cluster import StopClusterOperator
from airflow_wall.operators.transform import TransformOperator

HOURLY = """
select origin, time_hour::timestamp as hour, count(*) as flights, avg(try_cast(dep_delay as double)) as mean_delay
from raw
group by origin, time_hour
order by origin, hour
"""

with DAG(
    "handwritten",
    schedule="@daily",
    start_date=datetime(2013, 1, 1),
    end_date=datetime(2014, 1, 1),  # the data of this example end here
    max_active_runs=1,
):
    check = CheckNewDataOperator(task_id="check_new_data", source="landing/domain_1")
    start = StartClusterOperator(task_id="start_cluster", cluster={"type": "local"})
    ingest = IngestOperator(
        task_id="ingest", cluster="start_cluster", source="landing/domain_1", target="by_hand/flights"
    )
    hourly = TransformOperator(
        task_id="hourly",
        cluster="start_cluster",
        inputs={"raw": "by_hand/flights"},
        sql=HOURLY,
        target="by_hand/hours",
    )
    stop = StopClusterOperator(task_id="stop_cluster", cluster="start_cluster")
    publish = PublishOperator(
        task_id="publish",
        release="by_hand",
        table="by_hand/hours",
        to=[{"to": "sql://platform/hours"}, {"to": "files://hours", "format": "csv"}],
    )

    check >> start >> ingest >> hourly >> publish
    hourly >> stop.as_teardown(setups=start, on_failure_fail_dagrun=True)

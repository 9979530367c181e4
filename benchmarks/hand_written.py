"""The pipelines of `build.py` as one writes them by hand: the same DAGs, task by task and argument by argument."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, TaskGroup

from airflow_wall.dag.signatures import OPERATORS

DOMAINS = ("domain_1", "domain_2", "domain_3")
NEW_YORK = ZoneInfo("America/New_York")


def build(folder: Path, count: int) -> dict[str, DAG]:
    return {f"scores_{number}": pipeline(f"scores_{number}", folder) for number in range(count)}


def pipeline(dag_id: str, folder: Path) -> DAG:
    op = OPERATORS
    lake = folder.parent / dag_id.replace("scores", "lake")
    place = {"storage": str(lake), "project": str(folder.parent), "code": str(folder)}
    with DAG(
        dag_id,
        description="Three domains in, one model retrained, scores published to the platform.",
        schedule="0 3 * * *",
        start_date=datetime(2013, 1, 1, tzinfo=NEW_YORK),
        end_date=datetime(2014, 1, 1, tzinfo=NEW_YORK),
        default_args={"owner": "analytics", "retries": 2, "retry_delay": timedelta(minutes=5)},
        max_active_runs=1,
    ) as dag:
        new_data = op["check_new_data"](task_id="check_new_data", source="landing", **place)
        credentials = op["get_credentials"](task_id="get_credentials", conn_id="platform", **place)
        start_cluster = op["start_cluster"](
            task_id="start_cluster", cluster={"type": "local", "threads": 2, "memory": "2GB"}, **place
        )
        retrain = op["retrain"](
            task_id="retrain_on_new_data",
            cluster="start_cluster",
            entrypoint="models.scores:train",
            inputs={"features": "silver/*"},
            model="platform_scores",
            promote={"metric": "rmse", "lower_is_better": True, "margin": "1%"},
            **place,
        )
        [new_data, credentials] >> start_cluster
        normalize = (folder / "sql" / "normalize.sql").read_text()
        for domain in DOMAINS:
            with TaskGroup(f"etl_{domain}"):
                ingest = op["ingest"](
                    task_id="ingest",
                    cluster="start_cluster",
                    source=f"landing/{domain}",
                    target=f"bronze/{domain}",
                    **place,
                )
                transform = op["transform"](
                    task_id="normalize_aggregate",
                    cluster="start_cluster",
                    sql=normalize,
                    sql_file="sql/normalize.sql",
                    inputs={"raw": f"bronze/{domain}"},
                    target=f"silver/{domain}",
                    **place,
                )
                start_cluster >> ingest >> transform >> retrain
        predict = op["predict"](
            task_id="predict",
            cluster="start_cluster",
            model="platform_scores",
            inputs={"features": "silver/*"},
            target="gold/scores",
            **place,
        )
        stop_cluster = op["stop_cluster"](task_id="stop_cluster", cluster="start_cluster", **place)
        check = op["check_integrity"](
            task_id="check_integrity",
            table="gold/scores",
            checks=(folder / "checks" / "scores.yaml").read_text(),
            checks_file="checks/scores.yaml",
            **place,
        )
        start_sender = op["start_sender"](task_id="start_sender", release="platform", **place)
        stop_sender = op["stop_sender"](task_id="stop_sender", release="start_sender", **place)
        retrain >> predict >> [stop_cluster, check] >> start_sender
        for domain in DOMAINS:
            with TaskGroup(f"finalize_{domain}"):
                persist = op["persist"](
                    task_id="persist",
                    release="start_sender",
                    table="gold/scores",
                    where=f"domain = '{domain}'",
                    to="sql://platform/scores",
                    **place,
                )
                index = op["index"](
                    task_id="index",
                    release="start_sender",
                    table="gold/scores",
                    where=f"domain = '{domain}'",
                    to="search://platform/scores",
                    key=["domain", "hour"],
                    **place,
                )
                start_sender >> persist >> index >> stop_sender
        stop_cluster.as_teardown(setups=start_cluster, on_failure_fail_dagrun=True)
        stop_sender.as_teardown(setups=start_sender, on_failure_fail_dagrun=True)
    return dag

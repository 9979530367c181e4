"""`RollbackReleaseOperator` in a DAG that is written by hand, started with `conf`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from airflow.sdk import DAG

from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.rollback_release import rollback_release
from airflow_wall.jobs.start_sender import releases_of
from airflow_wall.operators.rollback_release import RollbackReleaseOperator
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.rows import RowStream


def env_of(lake: Path) -> Env:
    part = Slice("20130703T000000Z", "2013-07-03T00:00:00+00:00")
    return Env(Run("rollback", "manual-1", "roll_back", 1, part, lake, lake, lake), lambda _: None)  # type: ignore[arg-type,return-value]


def test_the_job_shows_the_earlier_release_and_a_repeated_one_changes_nothing_more(tmp_path: Path) -> None:
    env = env_of(tmp_path)
    releases = releases_of(env)
    for day in (1, 2, 3):
        name = f"r{day}"
        releases.open("shop", name, order=f"2013-07-0{day}T00:00:00Z", fence=1)
        releases.stage(
            "shop", name, part="p", to=parse_target("files://shop"), data=RowStream.of(pa.table({"id": [day]}))
        )
        releases.close("shop", name, expected=["p"])
    for before in ("r3", "r1"):
        result = rollback_release(env, release="shop", version="r1", reason="bad scores")
        assert (result["release"], result["before"], result["rolled_back"]) == ("r1", before, ["r3", "r2"])


def test_the_operator_takes_release_version_and_reason_from_conf() -> None:
    with DAG("rollback", schedule=None) as dag:
        task = RollbackReleaseOperator(
            task_id="roll_back",
            release="{{ dag_run.conf.release }}",
            version="{{ dag_run.conf.version }}",
            reason="{{ dag_run.conf.reason }}",
        )
    conf = {"release": "shop", "version": "shop-1", "reason": "bad scores"}
    task.render_template_fields({"dag_run": type("Run", (), {"conf": conf}), "dag": dag})  # type: ignore[typeddict-item]
    assert (task.release, task.version, task.reason) == ("shop", "shop-1", "bad scores")

"""A task of a Python DAG reads no table before the tasks of its DAG that write and check it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_wall.operators.check_integrity import CheckIntegrityOperator
from airflow_wall.operators.ingest import IngestOperator
from airflow_wall.operators.publish import PublishOperator
from airflow_wall.operators.retrain import RetrainOperator
from airflow_wall.operators.transform import TransformOperator
from airflow_wall.storage.backends import open_tables

CHECKS = [{"row_count": {"min": 1}}]


class Pipeline:
    """A DAG in Python, whose tasks are executed one by one in a lake of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "lake/landing").mkdir(parents=True)
        (folder / "lake/landing/a.csv").write_text("id\n1\n")
        self.lake = folder / "lake"
        arguments = {"project": str(folder), "storage": "lake", "code": str(folder)}
        self.dag = DAG("python", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC), default_args=arguments)

    def run(self, task: BaseOperator, map_index: int = -1, **rendered: Any) -> Any:
        """Execute a task, with fields as they are when it runs."""
        ti = SimpleNamespace(dag_id="python", run_id="r", task_id=task.task_id, try_number=1, map_index=map_index)
        dag_run = SimpleNamespace(logical_date=datetime(2024, 1, 1, tzinfo=UTC), run_after=None)
        for name, value in rendered.items():
            setattr(task, name, value)
        execute: Any = type(task).execute
        return getattr(execute, "__wrapped__", execute)(task, {"ti": ti, "dag": self.dag, "dag_run": dag_run})

    def error(self, task: BaseOperator, **rendered: Any) -> str:
        with pytest.raises(AirflowFailException) as caught:
            self.run(task, **rendered)
        return str(caught.value).partition("): ")[2]

    def load(self, target: str = "bronze/a", **more: Any) -> IngestOperator:
        return IngestOperator(task_id="load", source="landing", target=target, dag=self.dag, **more)

    def clean(self, task_id: str = "clean", table: Any = "bronze/a", target: str = "silver/a") -> TransformOperator:
        return TransformOperator(
            task_id=task_id, inputs={"raw": table}, sql="SELECT * FROM raw", target=target, dag=self.dag
        )

    def check(self, task_id: str = "check", **more: Any) -> CheckIntegrityOperator:
        return CheckIntegrityOperator(task_id=task_id, **{"table": "bronze/a", "checks": CHECKS, **more}, dag=self.dag)

    def publish(self, table: str = "bronze/a") -> PublishOperator:
        return PublishOperator(task_id="publish", release="r", table=table, to=[{"to": "files://a"}], dag=self.dag)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.setattr("airflow_wall.operators.base.die_with_parent", lambda: None)
    return Pipeline(tmp_path)


EARLY = """\
`inputs.raw` reads `bronze/a`, which `load` writes, but does not wait for it

hint: let `load` come before it; or write `raw: {table: bronze/a, external: true}` if it means rows of an earlier run"""


def test_task_that_does_not_wait_for_the_writer_is_rejected(pipeline: Pipeline) -> None:
    load, clean = pipeline.load(), pipeline.clean()
    assert pipeline.error(clean) == EARLY  # also before the first run of `load`
    pipeline.run(load)
    assert pipeline.error(clean) == EARLY
    load >> clean
    assert pipeline.run(clean)["rows"] == 1


def test_writer_may_come_before_through_other_tasks(pipeline: Pipeline) -> None:
    load, clean = pipeline.load(), pipeline.clean()
    load >> pipeline.check() >> clean
    pipeline.run(load)
    assert pipeline.run(clean)["rows"] == 1


def test_writer_whose_table_is_known_only_when_it_runs_is_known_from_the_lake(pipeline: Pipeline) -> None:
    load, clean = pipeline.load("{{ params.table }}"), pipeline.clean()
    pipeline.run(load, target="bronze/a")
    assert pipeline.error(clean) == EARLY


def test_mapped_writers_of_a_shared_table_are_known(pipeline: Pipeline) -> None:
    first = pipeline.load("{{ params.table }}", share=True)
    second = IngestOperator(
        task_id="load_2", source="landing", target="{{ params.table }}", share=True, dag=pipeline.dag
    )
    pipeline.run(first, map_index=3, target="bronze/a")
    pipeline.run(second, map_index=4, target="bronze/a")
    clean = pipeline.clean()
    assert "which `load`, `load_2` write, but does not wait for them" in pipeline.error(clean)
    first >> clean
    assert "which `load_2` writes, but does not wait for it" in pipeline.error(clean)
    second >> clean
    assert pipeline.run(clean)["rows"] == 1


def test_pattern_covers_the_tables_that_are_there(pipeline: Pipeline) -> None:
    load, clean = pipeline.load("{{ params.table }}"), pipeline.clean(table="bronze/*")
    pipeline.run(load, target="bronze/a")
    assert "`inputs.raw` reads `bronze/*`, which `load` writes, but does not wait for it" in pipeline.error(clean)


def test_rows_of_an_earlier_run_are_external(pipeline: Pipeline) -> None:
    clean = pipeline.clean(table={"table": "bronze/a", "external": True})
    load = pipeline.load()
    clean >> load
    pipeline.run(load)
    assert pipeline.run(clean)["rows"] == 1
    assert "which `load` writes only after it" in pipeline.error(clean, inputs={"raw": "bronze/a"})
    assert "which it writes itself" in pipeline.error(clean, inputs={"raw": "silver/a"})


def test_table_that_no_task_has_written_is_external(pipeline: Pipeline) -> None:
    import pyarrow as pa

    open_tables(pipeline.lake).replace_slice("bronze/a", pa.table({"id": [1]}), slice_id="20240101T000000Z", number=1)
    clean = pipeline.clean()
    assert pipeline.error(clean) == (
        "`inputs.raw` reads `bronze/a`, which no task here writes\n\n"
        "hint: write `raw: {table: bronze/a, external: true}` if its rows come from elsewhere or from an earlier run"
    )
    assert pipeline.run(clean, inputs={"raw": {"table": "bronze/a", "external": True}})["rows"] == 1


def test_table_of_another_pipeline_is_read(pipeline: Pipeline) -> None:
    load = pipeline.load()
    pipeline.run(load)
    other = Pipeline.__new__(Pipeline)
    other.lake, other.dag = pipeline.lake, DAG("other", schedule=None, default_args=pipeline.dag.default_args)
    clean = TransformOperator(
        task_id="clean", inputs={"raw": "bronze/a"}, sql="SELECT * FROM raw", target="silver/a", dag=other.dag
    )
    ti = SimpleNamespace(dag_id="other", run_id="r", task_id="clean", try_number=1, map_index=-1)
    dag_run = SimpleNamespace(logical_date=datetime(2024, 1, 1, tzinfo=UTC), run_after=None)
    execute: Any = TransformOperator.execute
    result = getattr(execute, "__wrapped__", execute)(clean, {"ti": ti, "dag": other.dag, "dag_run": dag_run})
    assert result["rows"] == 1


def test_table_of_rejected_rows_is_written_by_its_ingest(pipeline: Pipeline) -> None:
    (pipeline.lake / "landing/a.csv").write_text("id\n1\nx\n")
    contract = {"columns": {"id": "bigint"}}
    load = pipeline.load("{{ params.table }}", bad_rows="quarantine", contract=contract)
    pipeline.run(load, target="bronze/a")
    clean = pipeline.clean(table="bronze/a_rejected")
    assert "reads `bronze/a_rejected`, which `load` writes, but does not wait for it" in pipeline.error(clean)
    load >> clean
    assert pipeline.run(clean)["rows"] == 1


def test_publication_waits_for_the_checks(pipeline: Pipeline) -> None:
    load, check, publish = pipeline.load(), pipeline.check(), pipeline.publish()
    load >> [check, publish]
    pipeline.run(load)
    words = "`table` publishes `bronze/a`, which `check` checks, but does not wait for it\n\nhint: let `check` come before it"
    assert pipeline.error(publish) == words
    check.table = "{{ params.table }}"
    pipeline.run(check, table="bronze/a")
    check.table = "{{ params.table }}"
    assert pipeline.error(publish) == words  # it has checked the table, so it is known
    check.table = "bronze/a"
    check >> publish
    assert pipeline.run(publish)["rows"] == 1


def test_check_that_is_no_gate_withholds_nothing(pipeline: Pipeline) -> None:
    load, publish = pipeline.load(), pipeline.publish()
    alarm = pipeline.check("alarm", gate=False, checks=[{"row_count": {"min": 5}}])
    load >> publish >> alarm
    pipeline.run(load)
    assert pipeline.run(publish)["rows"] == 1
    assert "1 of 1 checks of `bronze/a`" in pipeline.error(alarm)
    assert pipeline.run(publish)["rows"] == 1


def test_check_waits_for_the_table_that_it_refers_to(pipeline: Pipeline) -> None:
    load, clean = pipeline.load(), pipeline.clean()
    refer = pipeline.check("refer", table="silver/a", checks=[{"reference": {"columns": "id", "table": "bronze/a"}}])
    load >> clean >> refer
    pipeline.run(load)
    pipeline.run(clean)
    assert pipeline.run(refer)["failed"] == 0
    check = pipeline.check()
    load >> check
    assert "`checks.reference` reads `bronze/a`, which `check` checks, but does not wait for it" in pipeline.error(
        refer
    )
    check >> refer
    assert "1 of 1 checks of `bronze/a`" in pipeline.error(check, checks=[{"row_count": {"min": 5}}])
    assert "1 keys in 1 rows are missing there" in pipeline.error(refer)  # no row of `bronze/a` passed
    pipeline.run(check, checks=CHECKS)
    assert pipeline.run(refer)["failed"] == 0


def test_held_out_rows_are_read_after_their_writer(pipeline: Pipeline) -> None:
    load = pipeline.load()
    train = RetrainOperator(
        task_id="train", entrypoint="a:b", inputs={"x": {"table": "bronze/a", "external": True}}, model="m",
        holdout={"table": "bronze/a"}, dag=pipeline.dag,
    )  # fmt: skip
    pipeline.run(load)
    assert "`holdout.table` reads `bronze/a`, which `load` writes, but does not wait for it" in pipeline.error(train)
    assert "no module `a`" in pipeline.error(train, holdout={"table": {"table": "bronze/a", "external": True}})

"""
The SQL of the chart's autoscaling, on the tables of a migrated Airflow in a real Postgres, by the role KEDA has.

Waits for: the migration of a Postgres database by Airflow.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from airflow.executors import executor_loader
from airflow.models.callback import CallbackFetchMethod, ExecutorCallback
from airflow.sdk.definitions.callback import SyncCallback
from airflow_server import connected, new_metadata
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from airflow_wall.connections.info import ConnectionInfo

sys.path.insert(0, str(Path(__file__).parents[1] / "chart"))
from rendering import CHART, ORDERS, Rendered

pytestmark = pytest.mark.integration

DATABASE = "scaling"
ROLE = "scaling_keda"
CELERY = "airflow.providers.celery.executors.celery_executor.CeleryExecutor"
KEDA = ("--set", "workers.celery.keda.enabled=true")
Row = tuple[str, str, str | None, str]


@pytest.fixture(scope="module")
def metadata(postgres: ConnectionInfo, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of Airflow's tables, which the role of KEDA may read as the migration Job grants it."""
    url = new_metadata(postgres, DATABASE)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}
    environment = {
        **inherited,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("scaling")),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": url,
    }
    with connected(postgres, DATABASE) as database:
        database.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{postgres.password}'")
    grant = (CHART / "files/grant_read.py").read_text()
    done = subprocess.run([sys.executable, "-c", grant, ROLE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return url


@pytest.fixture
def database(postgres: ConnectionInfo, metadata: str) -> Iterator[psycopg.Connection]:
    with connected(postgres, DATABASE) as found:
        # Rows without the runs, DAGs and versions that they would belong to.
        found.execute("SET session_replication_role = replica")
        found.execute("TRUNCATE task_instance, callback, trigger CASCADE")
        yield found


@pytest.fixture
def keda(postgres: ConnectionInfo, metadata: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=ROLE, password=postgres.password, dbname=DATABASE, autocommit=True
    ) as found:
        yield found


def insert(database: psycopg.Connection, *rows: Row) -> None:
    """Task instances, as (state, queue, executor, hostname)."""
    for state, queue, executor, hostname in rows:
        database.execute(
            "INSERT INTO task_instance (id, task_id, dag_id, run_id, map_index, pool, pool_slots, try_number, state, "
            "queue, executor, hostname) SELECT id, id::text, 'd', 'r', -1, 'p', 1, 1, %s, %s, %s, %s "
            "FROM (SELECT gen_random_uuid() AS id) new",
            (state, queue, executor, hostname),
        )


def asked(keda: psycopg.Connection, query: str) -> int:
    row = keda.execute(query.encode()).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def worker_query(*arguments: str, name: str = "worker") -> str:
    return Rendered(*KEDA, *arguments).query(name)


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[executor_loader.ExecutorLoader]]:
    """Airflow's own reading of `[core] executor`, without what it has read before."""

    def forget() -> None:
        executor_loader._executor_names.clear()
        for each in ("_alias_to", "_module_to", "_classname_to", "_team_name_to"):
            getattr(executor_loader, f"{each}_executors{'' if each == '_team_name_to' else '_per_team'}").clear()

    forget()
    yield executor_loader.ExecutorLoader
    forget()


@pytest.mark.parametrize("order", ORDERS)
def test_tasks_are_counted_where_airflow_sends_them_to_celery(
    order: str,
    database: psycopg.Connection,
    keda: psycopg.Connection,
    loader: type[executor_loader.ExecutorLoader],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", order)
    query = worker_query(
        "--set", f"executor={order.replace(',', chr(92) + ',')}", "--set", "workers.celery.concurrency=1"
    )
    names = [None, "CeleryExecutor", CELERY, "KubernetesExecutor", "LocalExecutor", "fast"]
    counted = {}
    for name in names:
        database.execute("TRUNCATE task_instance CASCADE")
        insert(database, ("queued", "default", name, ""))
        counted[name] = asked(keda, query) == 1
    expected = {}
    for name in names:
        try:
            found = (
                loader.lookup_executor_name_by_str(name, validate_teams=False)
                if name
                else loader.get_default_executor_name()
            )
        except executor_loader.UnknownExecutorException:
            expected[name] = name in (
                "CeleryExecutor",
                CELERY,
            )  # the scheduler would fail such a task; no harm either way
        else:
            expected[name] = found.module_path == CELERY
    assert counted == expected


@pytest.mark.parametrize(
    ("rows", "workers"),
    [
        ([], 0),
        ([("queued", "default", None, "")], 1),
        ([("queued", "default", None, "")] * 4, 1),
        ([("queued", "default", None, "")] * 5, 2),
        ([("running", "default", None, "10.0.0.1")] * 4 + [("queued", "default", None, "")], 2),
        # One long task on each of three workers: all three stay.
        ([("running", "default", None, f"10.0.0.{host}") for host in range(3)], 3),
        ([("restarting", "default", None, "10.0.0.1"), ("running", "default", None, "10.0.0.2")], 2),
        ([("running", "default", None, "")], 1),
        # Tasks that need no worker.
        (
            [
                (state, "default", None, "10.0.0.1")
                for state in ("deferred", "scheduled", "success", "failed", "up_for_retry")
            ],
            0,
        ),
        ([("queued", "other", None, ""), ("running", "other", None, "10.0.0.9")], 0),
    ],
    ids=str,
)
def test_as_many_workers_as_the_tasks_fill_and_no_busy_one_less(
    rows: list[Row], workers: int, database: psycopg.Connection, keda: psycopg.Connection
) -> None:
    insert(database, *rows)
    assert asked(keda, worker_query()) == workers


def test_without_protection_busy_workers_do_not_count(database: psycopg.Connection, keda: psycopg.Connection) -> None:
    insert(database, *[("running", "default", None, f"10.0.0.{host}") for host in range(3)])
    assert asked(keda, worker_query("--set", "workers.celery.keda.protectBusyWorkers=false")) == 1


def test_each_set_counts_its_own_queues_by_its_own_concurrency(
    database: psycopg.Connection, keda: psycopg.Connection
) -> None:
    insert(database, *[("queued", queue, None, "") for queue in ("default", "heavy", "heavy", "training", "gpu")])
    found = Rendered("--values", str(CHART / "ci/autoscaling-values.yaml"))
    names = ("worker", "worker-heavy", "worker-gpu")
    assert [asked(keda, found.query(name)) for name in names] == [1, 3, 1]


def callback(url: str, executor: str | None = None, state: str = "queued", **data: str) -> None:
    """A callback of a deadline, written by Airflow's own model."""
    row = ExecutorCallback(SyncCallback("module.function", executor=executor), CallbackFetchMethod.IMPORT_PATH, **data)
    row.state = state
    engine = create_engine(url)
    with Session(engine) as session:
        session.add(row)
        session.commit()
    engine.dispose()


def test_callbacks_of_deadlines_wake_the_workers_of_their_queue(
    metadata: str, database: psycopg.Connection, keda: psycopg.Connection
) -> None:
    two = ("--set", "workers.celery.sets[0].name=heavy", "--set", "workers.celery.sets[0].queue=heavy")
    default, heavy = worker_query(), worker_query(*two, name="worker-heavy")
    callback(metadata, state="scheduled")
    callback(metadata, state="success")
    callback(metadata, executor="KubernetesExecutor")
    assert (asked(keda, default), asked(keda, heavy)) == (0, 0)
    callback(metadata)
    assert (asked(keda, default), asked(keda, heavy)) == (1, 0)
    callback(metadata, executor="CeleryExecutor", state="running", queue="heavy")
    assert (asked(keda, default), asked(keda, heavy)) == (1, 1)


def test_callbacks_follow_the_default_queue_and_executor(
    metadata: str, database: psycopg.Connection, keda: psycopg.Connection
) -> None:
    callback(metadata)
    other = ("--set", "config.operators.default_queue=main", "--set", "workers.celery.queue=main")
    assert asked(keda, worker_query(*other)) == 1
    assert asked(keda, worker_query("--set", r"executor=KubernetesExecutor\,CeleryExecutor")) == 0


def test_triggers_are_counted_by_who_takes_them(database: psycopg.Connection, keda: psycopg.Connection) -> None:
    for queue, count in ((None, 3), ("training", 2), ("other", 1)):
        for _ in range(count):
            database.execute(
                "INSERT INTO trigger (classpath, kwargs, created_date, queue) VALUES ('c', '{}', now(), %s)", (queue,)
            )
    found = Rendered("--values", str(CHART / "ci/autoscaling-values.yaml"), "--set", "triggerer.capacity=2")
    assert (asked(keda, found.query("triggerer")), asked(keda, found.query("triggerer-slow"))) == (2, 1)
    database.execute("TRUNCATE trigger CASCADE")
    assert (asked(keda, found.query("triggerer")), asked(keda, found.query("triggerer-slow"))) == (0, 0)


@pytest.mark.parametrize(
    "statement", ["SELECT * FROM connection", "SELECT * FROM dag_run", "DELETE FROM task_instance"]
)
def test_the_role_of_keda_may_read_what_it_counts_and_nothing_else(statement: str, keda: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        keda.execute(statement.encode())


def test_the_query_is_quick_with_half_a_million_tasks(database: psycopg.Connection, keda: psycopg.Connection) -> None:
    database.execute(
        "INSERT INTO task_instance (id, task_id, dag_id, run_id, map_index, pool, pool_slots, try_number, state, queue) "
        "SELECT gen_random_uuid(), n::text, 'd', 'r', -1, 'p', 1, 1, CASE WHEN n % 1000 = 0 THEN 'queued' ELSE 'success' END, "
        "'default' FROM generate_series(1, 500000) n"
    )
    database.execute("ANALYZE task_instance")
    plan = "\n".join(row[0] for row in keda.execute(f"EXPLAIN {worker_query()}".encode()))
    assert "Seq Scan on task_instance" not in plan, plan
    assert asked(keda, worker_query()) == 125

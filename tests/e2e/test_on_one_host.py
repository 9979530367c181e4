"""docker-compose.yaml, run for real. The tests are one story, in the order they stand here."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from stack import AIRFLOW, REPOSITORY, Stack, leftovers, running, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

QUICK = """\
dag_id: {dag_id}
tasks:
  - id: say
    uses: airflow.providers.standard.operators.bash.BashOperator
    with: {{bash_command: "{command}"}}
"""
COUNTED = """\
dag_id: counted
max_active_tasks: 8
tasks:
  - id: work
    uses: airflow.providers.standard.operators.bash.BashOperator
    matrix: {{n: [{numbers}]}}
    with:
      bash_command: "echo begun ${{{{ matrix.n }}}} >>$AIRFLOW_HOME/lake/counted; sleep 20; echo ended ${{{{ matrix.n }}}} $WALL_E2E >>$AIRFLOW_HOME/lake/counted"
"""
"""Its tasks take no retries: whatever cuts one off makes the run fail."""

REQUESTS, SECONDS = 1000, 10
ONE_EACH = httpx.Limits(max_connections=REQUESTS, max_keepalive_connections=0)
"""A connection for each request, as of a thousand clients. One that is kept may be closed just as it is used again."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("compose")) as found:
        yield found


def write(stack: Stack, name: str, text: str) -> None:
    (stack.folder / "dags" / name).write_text(text, encoding="utf-8")


def land(stack: Stack, until_day: str) -> None:
    """Land the example's data of the days before, as the platform's upstream systems would."""
    landing = stack.folder / "landing"
    land_script = REPOSITORY / "examples/nycflights13/land.py"
    subprocess.run([sys.executable, str(land_script), "--until", until_day, str(landing)], check=True)
    files = subprocess.run(["tar", "-C", stack.folder, "-c", "landing"], capture_output=True, check=True).stdout
    stack.exec("worker", "tar", "-C", "/opt/airflow/lake", "-x", "--skip-old-files", data=files)


def log_of(stack: Stack, dag_id: str, run_id: str) -> str:
    answer = stack.client.get(
        f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/say/logs/1", headers={"Accept": "application/json"}
    )
    return answer.raise_for_status().text


@pytest.mark.parametrize("service", AIRFLOW)
def test_a_service_is_healthy_and_has_no_more_power_than_it_needs(stack: Stack, service: str) -> None:
    (container,) = stack.containers(service)
    found = stack.inspect(container)
    assert found["State"]["Health"]["Status"] == "healthy"
    assert found["HostConfig"]["ReadonlyRootfs"]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert found["HostConfig"]["Memory"] > 0
    assert stack.exec(service, "id", "-u").strip() == "50000"
    assert stack.exec(service, "sh", "-c", "grep CapEff /proc/1/status").split()[1] == "0" * 16


def test_a_worker_knows_no_metadata_database_fernet_key_or_jwt(stack: Stack) -> None:
    environment = stack.exec("worker", "env") + stack.exec("worker", "ls", "/run/secrets")
    assert "workers-have-no-metadata-database.invalid" in environment
    assert not [secret for secret in ("postgres_password", "fernet_key", "jwt_secret") if secret in environment]
    reach = "import socket; socket.create_connection(('{}', {}), 5)"
    assert "gaierror" in stack.exec("worker", "python", "-c", reach.format("postgres", 5432), check=False)
    assert stack.exec("worker", "python", "-c", reach.format("redis", 6379), check=False) == ""


def test_a_health_check_is_cheap_and_true(stack: Stack) -> None:
    costs = "import resource; u = resource.getrusage(resource.RUSAGE_CHILDREN); print(u.ru_utime + u.ru_stime)"
    for service in ("dag-processor", "triggerer", "worker"):
        probe = f"import subprocess, sys; subprocess.run([sys.executable, '-m', 'airflow_wall.deployment.probe', '{service}'], check=True); {costs}"
        seconds = float(stack.exec(service, "python", "-c", probe))
        print(f"the probe of {service} costs {seconds:.2f} CPU s")
        assert seconds < 2
    wrong = stack.exec("triggerer", "python", "-m", "airflow_wall.deployment.probe", "dag-processor", check=False)
    assert "no dag-processor of this host" in wrong


def test_a_yaml_dropped_in_shows_up_within_15_seconds(stack: Stack) -> None:
    began = time.monotonic()
    write(stack, "dropped.yaml", QUICK.format(dag_id="dropped", command="echo dropped"))
    until("the DAG is there", lambda: stack.client.get("/dags/dropped").is_success or None, 15, every=0.2)
    print(f"there after {time.monotonic() - began:.1f} s")


def test_a_changed_yaml_takes_effect_while_tasks_under_way_finish(stack: Stack) -> None:
    old, new = "touch $AIRFLOW_HOME/lake/changed; sleep 20; echo the old text", "echo the new text"
    write(stack, "changed.yaml", QUICK.format(dag_id="changed", command=old))
    stack.unpause("changed")
    stack.trigger("changed", "before")
    until("its task works", lambda: True if "changed" in stack.exec("worker", "ls", "lake").split() else None, 120)
    write(stack, "changed.yaml", QUICK.format(dag_id="changed", command=new))
    began = time.monotonic()
    until("the changed pipeline is there", lambda: True if new in source(stack) else None, 60)
    print(f"the change was there after {time.monotonic() - began:.1f} s")
    stack.trigger("changed", "after")
    assert stack.finished("changed", "after", 120) == "success"
    assert stack.finished("changed", "before", 120) == "success"
    assert "the old text" in log_of(stack, "changed", "before")
    assert "the new text" in log_of(stack, "changed", "after")


def source(stack: Stack) -> str:
    answer = stack.client.get("/dagSources/changed", headers={"Accept": "text/plain"})
    return answer.text if answer.is_success else ""


def test_the_pipeline_of_the_article_runs_green(stack: Stack) -> None:
    path = stack.folder / "dags/platform_scores.yaml"
    path.write_text(path.read_text().replace("retry_delay: 5m", "retry_delay: 5s"))  # nobody waits here for a lake
    password = (stack.folder / "secrets/postgres_password").read_text()
    stack.client.post(
        "/connections",
        json={
            "connection_id": "platform", "conn_type": "postgres", "host": "warehouse", "port": 5432,
            "login": "platform", "password": password, "schema": "platform",
        },
    ).raise_for_status()  # fmt: skip
    land(stack, "2013-03-01")
    stack.unpause("platform_scores")
    stack.trigger("platform_scores", "first", "2013-03-01T08:00:00Z")
    assert stack.finished("platform_scores", "first", 900) == "success", stack.tasks("platform_scores", "first")
    assert_published_once(stack)


def assert_published_once(stack: Stack) -> None:
    rows, keys = stack.sql("warehouse", "select count(*), count(distinct (domain, hour)) from scores").split("|")
    print(f"{rows} rows published")
    assert int(rows) == int(keys) > 0


def test_a_run_ends_green_though_a_worker_is_killed_in_the_middle(stack: Stack) -> None:
    land(stack, "2013-03-08")
    stack.trigger("platform_scores", "second", "2013-03-08T08:00:00Z")

    def ingesting() -> bool | None:
        tasks = stack.tasks("platform_scores", "second")
        return True if any("ingest" in task and state == "running" for task, (state, _) in tasks.items()) else None

    (worker,) = stack.containers("worker")
    first = stack.inspect(worker)["State"]["Pid"]  # asked for before: an ingest is over in seconds
    until("it ingests", ingesting, 300, every=0.2)
    os.kill(first, signal.SIGKILL)  # with process 1 its whole container dies
    until("it is back", lambda: True if stack.inspect(worker)["RestartCount"] >= 1 else None, 60)
    assert stack.finished("platform_scores", "second", 1200) == "success", stack.tasks("platform_scores", "second")
    tries = stack.tasks("platform_scores", "second")
    print(f"tried again: {[task for task, (_, number) in tries.items() if number > 1]}")
    assert any(number > 1 for _, number in tries.values()), "nothing was cut off"
    assert_published_once(stack)


def counted(stack: Stack) -> list[str]:
    return stack.exec("worker", "cat", "/opt/airflow/lake/counted", check=False).splitlines()


def test_nothing_is_done_twice_or_cut_off_by_a_new_scheduler_and_a_rolling_upgrade(stack: Stack) -> None:
    numbers = range(36)  # the services before the workers take some three minutes
    write(stack, "counted.yaml", COUNTED.format(numbers=", ".join(map(str, numbers))))
    stack.unpause("counted")
    stack.trigger("counted", "upgraded")
    until("it works", lambda: True if any("begun" in line for line in counted(stack)) else None, 120)
    before = {service: stack.containers(service) for service in AIRFLOW}
    stack.compose("restart", "scheduler")
    stack.environment["WALL_IMAGE"] = "airflow-wall:e2e-next"
    print(stack.run("sh", "compose/upgrade.sh"))
    assert stack.finished("counted", "upgraded", 900) == "success", stack.tasks("counted", "upgraded")
    lines = counted(stack)
    assert Counter(line.split()[0] for line in lines) == {"begun": len(numbers), "ended": len(numbers)}
    ended = Counter(" ".join(line.split()[2:]) for line in lines if line.startswith("ended"))
    print(f"ended on the image before and after: {dict(ended)}")
    assert set(ended) == {"", "upgraded"}, "the upgrade was not in the middle of the run"
    assert all(number == 1 for _, number in stack.tasks("counted", "upgraded").values())
    for service in AIRFLOW:
        assert len(stack.containers(service)) == 1
        assert stack.containers(service) != before[service]
        assert stack.exec(service, "printenv", "WALL_E2E").strip() == "upgraded"


def test_1000_simultaneous_requests(stack: Stack) -> None:
    write(
        stack,
        "asked.yaml",
        QUICK.format(dag_id="asked", command="echo $AIRFLOW_CTX_DAG_RUN_ID >>$AIRFLOW_HOME/lake/asked"),
    )
    stack.unpause("asked")

    async def ask(client: httpx.AsyncClient, number: int) -> tuple[int, float]:
        await asyncio.sleep(number * SECONDS / REQUESTS)
        began = time.monotonic()
        answer = await client.post("/dags/asked/dagRuns", json={"dag_run_id": f"asked_{number}", "logical_date": None})
        return answer.status_code, time.monotonic() - began

    async def ask_all() -> list[tuple[int, float]]:
        async with httpx.AsyncClient(
            base_url=stack.client.base_url, headers=stack.client.headers, timeout=600, trust_env=False,
            limits=ONE_EACH,
        ) as client:  # fmt: skip
            return await asyncio.gather(*(ask(client, number) for number in range(REQUESTS)))

    answers = asyncio.run(ask_all())
    seconds = sorted(taken for _, taken in answers)
    print(f"{dict(Counter(code for code, _ in answers))}; median {seconds[500]:.1f} s, longest {seconds[-1]:.1f} s")
    assert all(200 <= code < 300 or code in (409, 429) for code, _ in answers)
    accepted = {f"asked_{number}" for number, (code, _) in enumerate(answers) if code < 300}
    known = stack.sql("postgres", "select run_id from dag_run where dag_id = 'asked'").split()
    assert sorted(known) == sorted(accepted), "a run was lost, or is there though it was refused"
    scheduler = stack.get("/monitor/health")["scheduler"]
    assert scheduler["status"] == "healthy"
    # All of them would take the tasks' own time; the first hundred say whether any runs twice.
    until("a hundred have run", lambda: True if len(ran(stack)) >= 100 else None, 900, every=5)
    assert max(Counter(ran(stack)).values()) == 1
    stack.client.patch("/dags/asked", json={"is_paused": True}).raise_for_status()


def ran(stack: Stack) -> list[str]:
    return stack.exec("worker", "cat", "/opt/airflow/lake/asked", check=False).split()


def test_the_doctor_finds_nothing_in_what_runs_and_what_is_missing(stack: Stack) -> None:
    print(stack.run("sh", "compose/doctor.sh"))  # which ends with 0 only if nothing is wrong
    stack.compose("stop", "triggerer")
    ill = stack.run("sh", "compose/doctor.sh", check=False)
    assert "no facts of triggerer" in ill
    stack.compose("up", "--detach", "--no-deps", "--wait", "triggerer")


def test_the_metadata_database_can_be_backed_up_and_restored(stack: Stack) -> None:
    """With the very commands of docs/deployment.md."""
    commands = (REPOSITORY / "docs/deployment.md").read_text()
    backup, restore = (
        next(line.removeprefix("$ ") for line in commands.splitlines() if line.startswith("$ ") and word in line)
        for word in ("pg_dump", "pg_restore")
    )
    before = stack.sql("postgres", "select count(*) from dag_run")
    stack.run("sh", "-c", backup)
    stack.compose("stop", "api-server", "scheduler", "dag-processor", "triggerer")
    stack.sql("postgres", "delete from dag_run; delete from connection")
    stack.run("sh", "-c", restore)
    stack.up()
    assert stack.sql("postgres", "select count(*) from dag_run") == before
    assert stack.get("/connections/platform")["host"] == "warehouse"


def test_metrics_reach_prometheus(stack: Stack) -> None:
    stack.compose("up", "--detach", "--wait", "statsd-exporter", "prometheus")
    url = f"http://127.0.0.1:{stack.environment['PROMETHEUS_PORT']}/api/v1/query"

    def heard() -> object:
        answer = httpx.get(url, params={"query": "airflow_scheduler_heartbeat"}, trust_env=False).json()
        return answer["data"]["result"] or None

    stack.compose("restart", "scheduler")  # it asks for the exporter's address at its start
    until("Prometheus knows the scheduler's heartbeat", heard, 180, every=5)


def test_the_pipeline_of_the_article_runs_on_the_spark_cluster(stack: Stack) -> None:
    """The same YAML but for its `cluster`: each step that has one is done by the cluster's worker."""
    stack.compose("up", "--detach", "--wait", "spark-master", "spark-worker")
    text = (stack.folder / "dags/platform_scores.yaml").read_text().partition("  - id: start_sender")[0]
    for old, new in (
        ("dag_id: platform_scores", "dag_id: scores_on_spark"),
        ("cluster: {type: local}", "cluster: {type: spark, master: 'spark://spark-master:7077'}"),
        ("storage: ./lake ", "storage: ./lake/on_spark "),
    ):
        assert old in text
        text = text.replace(old, new)
    land(stack, "2013-03-08")
    stack.exec("worker", "sh", "-c", "mkdir lake/on_spark && cp --preserve -r lake/landing lake/on_spark")
    write(stack, "scores_on_spark.yaml", text)
    stack.unpause("scores_on_spark")
    stack.trigger("scores_on_spark", "first", "2013-03-08T08:00:00Z")
    state = stack.finished("scores_on_spark", "first", 1500)
    tasks = stack.tasks("scores_on_spark", "first")
    assert (state, {name: seen for name, seen in tasks.items() if seen != ("success", 1)}) == ("success", {})
    master = httpx.get(f"http://127.0.0.1:{stack.environment['SPARK_PORT']}/json/", trust_env=False).json()
    done = Counter((app["name"].rpartition(".")[2].split()[-1], app["state"]) for app in master["completedapps"])
    assert done == {
        ("ingest", "FINISHED"): 3,
        ("normalize_aggregate", "FINISHED"): 3,
        ("retrain_on_new_data", "FINISHED"): 1,
        ("predict", "FINISHED"): 1,
    }
    assert [worker["state"] for worker in master["workers"]] == ["ALIVE"]
    stack.exec("worker", "rm", "-r", "/opt/airflow/lake/on_spark")  # what executors wrote is the workers' to remove
    stack.compose("rm", "--stop", "--force", "spark-master", "spark-worker")


def test_faults_appear_as_soon_as_a_file_is_saved(stack: Stack) -> None:
    stack.compose("up", "--detach", "--wait", "dev")
    write(stack, "saved.yaml", "dag_id: saved\ntasks:\n  - id: a\n    need: b\n")
    fault = "saved.yaml:4:5: `tasks[a].need` is not a known key"
    until("the fault is logged", lambda: fault in stack.compose("logs", "--no-log-prefix", "dev") or None, 30)
    (stack.folder / "dags/saved.yaml").unlink()
    stack.compose("rm", "--stop", "--force", "dev")


def test_a_person_sees_the_pipelines(stack: Stack) -> None:
    """A screenshot to look at: .e2e/ui.png."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium")
    stack.login()
    token = stack.client.headers["Authorization"].removeprefix("Bearer ")
    page = f"http://127.0.0.1:{stack.port}/dags/platform_scores/runs/first"
    picture = REPOSITORY / ".e2e/ui.png"
    picture.unlink(missing_ok=True)
    take = [
        sys.executable,
        str(Path(__file__).with_name("screenshot.py")),
        chromium,
        page,
        token,
        "Task Instances",
        str(picture),
    ]
    subprocess.run(take, check=True)
    assert picture.stat().st_size > 20_000


def test_down_leaves_nothing(stack: Stack) -> None:
    assert leftovers(stack.environment)
    stack.down()
    assert leftovers(stack.environment) == []

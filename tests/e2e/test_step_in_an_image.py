"""A step with `image`: real jobs in containers of a real engine. `make e2e-compose` makes the image."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.environments.backends import open_environment
from airflow_wall.environments.image import ImageEnvironment
from airflow_wall.errors import EnvironmentFault, UserCodeError
from airflow_wall.job import Job, Run, Slice
from airflow_wall.storage.backends import open_tables

IMAGE = os.environ.get("WALL_JOBS_IMAGE", "airflow-wall-jobs:e2e")
BARE = os.environ.get("WALL_PYTHON_IMAGE", "airflow-wall-standin/python")
SECRET = "correct-horse-battery-staple"

USER = """
import os, sys, time
import pyarrow as pa
import pydantic
from pathlib import Path

def tell(raw):
    try:
        import airflow
        airflow = True
    except ImportError:
        airflow = False
    facts = {"pydantic": pydantic.VERSION, "airflow": airflow, "uid": os.getuid(), "container": Path("/.dockerenv").exists()}
    facts["threads"] = os.environ.get("AIRFLOW_WALL_THREADS", "")
    facts["seen"] = " ".join([*os.environ.values(), *sys.argv, Path("/proc/1/cmdline").read_text()])
    print("a line of the job", flush=True)
    for name, value in facts.items():
        raw = raw.append_column(name, pa.array([value] * raw.num_rows))
    return raw

def fail(raw):
    raise ValueError("no such luck")

def wait(raw):
    print("waiting", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with one file landed."""
    landing = tmp_path / "lake" / "landing"
    landing.mkdir(parents=True)
    (landing / "a.csv").write_text("x\n1\n2\n")
    (tmp_path / "own.py").write_text(USER)
    return tmp_path


def job(
    kind: str, folder: Path, connections: tuple[str, ...] = (), try_number: int = 1, **arguments: Any
) -> dict[str, Any]:
    order = Slice("20130701T000000Z", "2013-07-01T00:00:00+00:00")
    run = Run("own", "manual", kind, try_number, order, folder / "lake", folder, folder)
    return Job(kind, arguments, run, connections).to_json()


def transform(folder: Path, function: str, **more: Any) -> dict[str, Any]:
    inputs = {"raw": "bronze/a"}
    return job("transform", folder, inputs=inputs, target="silver/a", entrypoint=f"own:{function}", **more)


def environment(folder: Path, image: str = IMAGE) -> ImageEnvironment:
    opened = open_environment({"image": image, "venv_cache": str(folder / "cache")})
    assert isinstance(opened, ImageEnvironment)
    return opened


def run(folder: Path, asked: dict[str, Any], image: str = IMAGE, **more: Any) -> tuple[dict[str, Any], list[str]]:
    lines: list[str] = []
    limits = {"AIRFLOW_WALL_THREADS": "1"}
    result = environment(folder, image).run(asked, more.get("connections", {}), lines.append, limits=limits)
    return result, lines


def ours() -> list[str]:
    """Containers of steps, however they are."""
    listed = ["docker", "ps", "--all", "--quiet", "--filter", "label=airflow-wall.task"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def until(done: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_job_runs_in_the_image_and_what_it_writes_is_the_workers(folder: Path) -> None:
    assert run(folder, job("ingest", folder, source="landing", target="bronze/a"))[0]["rows"] == 2
    result, lines = run(folder, transform(folder, "tell"))
    assert result["rows"] == 2
    assert "a line of the job" in lines
    facts = open_tables(folder / "lake").read("silver/a").to_pylist()[0]
    assert facts["pydantic"].startswith("1.")
    assert (facts["airflow"], facts["container"], facts["uid"], facts["threads"]) == (False, True, os.getuid(), "1")
    assert all(path.stat().st_uid == os.getuid() for path in (folder / "lake").rglob("*"))
    with pytest.raises(UserCodeError, match=rf"`ValueError: no such luck` \({folder}/own.py:\d+\)"):
        run(folder, transform(folder, "fail"))
    assert ours() == []


PROGRAM = """
import json, sys
from airflow_wall.environments.backends import open_environment
image, cache = sys.argv[1:]
asked, sent = json.load(sys.stdin)
open_environment({"image": image, "venv_cache": cache}).run(asked, sent, lambda line: print(line, flush=True), limits={})
"""


def begun(folder: Path, asked: dict[str, Any], connections: dict[str, Any] | None = None) -> subprocess.Popen[str]:
    """A task in a process of its own, whose job is at work."""
    command = [sys.executable, "-c", PROGRAM, IMAGE, str(folder / "cache")]
    task = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert task.stdin is not None
    assert task.stdout is not None
    task.stdin.write(json.dumps([asked, connections or {}]))
    task.stdin.close()
    assert "waiting" in task.stdout.readline()
    return task


def test_secret_of_a_connection_is_in_no_argument_variable_or_label(folder: Path) -> None:
    run(folder, job("ingest", folder, source="landing", target="bronze/a"))
    shop = {"conn_id": "shop", "conn_type": "postgres", "password": SECRET}
    with begun(folder, {**transform(folder, "wait"), "connections": ["shop"]}, {"shop": shop}) as task:
        (container,) = ours()
        inspected = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=True).stdout
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        task.send_signal(signal.SIGINT)  # as with what `on_kill` raises, the client is gone before the container is
    assert ours() == []
    assert f"wall-{json.loads(inspected)[0]['Config']['Labels']['airflow-wall.task']}-1" in listed
    assert SECRET not in inspected + listed


def test_container_ends_with_a_task_that_is_killed(folder: Path) -> None:
    run(folder, job("ingest", folder, source="landing", target="bronze/a"))
    with begun(folder, transform(folder, "wait")) as task:
        assert len(ours()) == 1
        task.kill()
    until(lambda: ours() == [])


def test_next_try_ends_the_container_of_the_last_one(folder: Path) -> None:
    run(folder, job("ingest", folder, source="landing", target="bronze/a"))
    waits = transform(folder, "wait")
    with begun(folder, waits) as first, begun(folder, transform(folder, "wait", try_number=2)) as second:
        assert len(ours()) == 1
        assert first.wait(30) != 0
        second.kill()
    until(lambda: ours() == [])


def test_image_without_a_package_gets_an_error_that_names_it(folder: Path) -> None:
    with pytest.raises(EnvironmentFault) as error:
        run(folder, job("ingest", folder, source="landing", target="bronze/a"), image=BARE)
    assert str(error.value).startswith(
        f"`image`: `{BARE}` lacks packages that jobs need: `deltalake>=1.5`, `duckdb>=2.0`, "
    )
    assert "\n\nhint: install them in the image: `RUN pip install 'deltalake>=1.5' " in str(error.value)


def test_image_that_does_not_exist_is_one_message(folder: Path) -> None:
    name = "localhost:9/no/such:image"
    with pytest.raises(Exception, match="`image`: `localhost:9/no/such:image` cannot be pulled now: ") as error:
        run(folder, job("ingest", folder, source="landing", target="bronze/a"), image=name)
    assert type(error.value).__name__ == "Interrupted"


PIPELINE = f"""\
dag_id: own
start_date: 2013-01-01
image: {IMAGE}
tasks:
  - {{id: load, uses: ingest, with: {{source: landing, target: bronze/a, image: null}}}}
  - {{id: start_cluster, uses: start_cluster, needs: load, with: {{cluster: {{type: local, threads: 1}}}}}}
  - id: tell
    uses: transform
    needs: start_cluster
    with: {{cluster: start_cluster, inputs: {{raw: bronze/a}}, target: silver/a, entrypoint: "own:tell"}}
  - {{id: stop_cluster, uses: stop_cluster, needs: tell}}
"""


def test_pipeline_runs_its_steps_in_the_image_on_a_local_cluster(folder: Path) -> None:
    (folder / "dags").mkdir()
    (folder / "own.py").rename(folder / "dags" / "own.py")
    (folder / "dags" / "own.yaml").write_text(PIPELINE)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = [Path(sysconfig.get_path("scripts")) / "airflow-wall", "run", "dags/own.yaml", "--date", "2013-07-01"]
    done = subprocess.run(command, cwd=folder, env=inherited, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    facts = open_tables(folder / "lake").read("silver/a").to_pylist()[0]
    assert (facts["airflow"], facts["container"], facts["threads"]) == (False, True, "1")
    assert ours() == []

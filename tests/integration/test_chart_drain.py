"""
Workers of Celery, with the chart's settings and signals, terminated in mid task again and again: no task is lost.

Waits for: tasks of up to 14 s that workers finish after SIGTERM.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from celery import Celery
from chart_pods import tools

sys.path.insert(0, str(Path(__file__).parents[1] / "chart"))
from rendering import Rendered

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3600)]

DRAINS = int(os.environ.get("DRAINS", "4"))
"""How many workers are terminated in mid task: `make drain` says 100."""

READ_CONFIG = """
import json
from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
print(json.dumps({key: value for key, value in DEFAULT_CELERY_CONFIG.items() if not key.startswith("worker_")
                  or key in ("worker_prefetch_multiplier",)}, default=str))
"""


@dataclass
class Workers:
    """
    Celery workers as the chart has them.

    :param folder: For their output, and below `work` for what tasks do.
    :param environment: Of each.
    :param command: Of each, without its name.
    """

    folder: Path
    environment: dict[str, str]
    command: list[str]
    standing: list[Worker] = field(default_factory=list)
    leaving: list[Worker] = field(default_factory=list)
    count: int = 0

    def start(self, **extra: str) -> Worker:
        self.count += 1
        name = f"w{self.count}"
        console = self.folder / f"{name}.log"
        with console.open("wb") as output:
            process = subprocess.Popen(
                [*self.command, f"--hostname={name}@test"], env={**self.environment, **extra}, cwd=Path(__file__).parent,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        worker = Worker(process, console)
        self.standing.append(worker)
        return worker

    def end(self) -> None:
        for worker in (*self.standing, *self.leaving):
            worker.kill()


@dataclass
class Worker:
    """One of them: the process that a kubelet would signal, and what it prints."""

    process: subprocess.Popen[bytes]
    console: Path

    def busy(self) -> int:
        """How many tasks it has begun and not ended."""
        text = self.console.read_text(errors="replace")
        return text.count("] received") - sum(text.count(end) for end in ("] succeeded in", "] ignored", "] raised"))

    def kill(self) -> None:
        if self.process.poll() is None:
            for each in [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]:
                if each.is_running():
                    each.kill()
        self.process.wait()


@pytest.fixture
def workers(redis: str, tmp_path: Path) -> Iterator[Workers]:
    rendered = Rendered("--set", "workers.celery.concurrency=2")
    (container,) = rendered.pods()["worker"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    home = tmp_path / "home"
    home.mkdir()
    (home / "airflow.cfg").write_text(rendered.config(), encoding="utf-8")
    environment = {
        **os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CELERY__BROKER_URL": redis,
        "AIRFLOW__CELERY__RESULT_BACKEND": redis.removesuffix("0") + "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", READ_CONFIG], env=environment, capture_output=True, text=True, check=True
    )
    config = done.stdout.strip().splitlines()[-1]
    assert json.loads(config)["task_acks_late"] is True
    (tmp_path / "work").mkdir()
    environment |= {**given, "WORK_CONFIG": config, "WORK": str(tmp_path / "work"), "PYTHONUNBUFFERED": "1"}
    concurrency = next(word for word in container["args"] if word.startswith("--concurrency="))
    options = ["-O", "fair", concurrency, "--queues=default", "--loglevel=INFO", "--without-gossip", "--without-mingle"]
    command = [tools()[1], "--", sys.executable, "-m", "celery", "-A", "celery_work", "worker", *options]
    found = Workers(tmp_path, environment, command)
    yield found
    found.end()
    shutil.rmtree(tmp_path / "work")


@pytest.fixture
def app(redis: str, workers: Workers) -> Iterator[Celery]:
    found = Celery("work")
    found.conf.update(json.loads(workers.environment["WORK_CONFIG"]))
    yield found
    found.control.purge()
    found.close()


def send(app: Celery, count: int, first: int, seconds: tuple[float, float] = (2.0, 6.0)) -> None:
    for number in range(first, first + count):
        app.send_task("work", (f"task-{number}", random.uniform(*seconds)), queue="default")


def until(ready: object, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not ready():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_task_is_lost_when_workers_are_terminated_in_mid_task(workers: Workers, app: Celery) -> None:
    begun = time.monotonic()
    sent = interrupted = 0
    codes: list[int] = []
    for _ in range(3):
        workers.start()
    for _ in range(DRAINS):
        send(app, 2, sent)
        sent += 2
        until(lambda: any(worker.busy() for worker in workers.standing))
        worker = max(workers.standing, key=Worker.busy)
        interrupted += worker.busy()
        os.kill(worker.process.pid, signal.SIGTERM)
        workers.standing.remove(worker)
        workers.leaving.append(worker)
        workers.start()
        while len(workers.leaving) > 3:
            codes.append(workers.leaving.pop(0).process.wait(120))
    codes += [worker.process.wait(120) for worker in workers.leaving]
    folder = workers.folder / "work"
    until(
        lambda: len(list(folder.glob("*/done"))) == sent or not any(worker.busy() for worker in workers.standing), 180
    )
    time.sleep(2)
    tasks = {path.name for path in folder.iterdir()}
    done = {path.parent.name for path in folder.glob("*/done")}
    print(  # noqa: T201  # `make drain` shows it
        f"\n{DRAINS} workers terminated with {interrupted} tasks in mid task, of {sent} tasks: {sent - len(done)} lost, "
        f"{len(list(folder.glob('*/refused')))} messages handed out twice and refused; "
        f"exit codes {sorted(set(codes))}; {time.monotonic() - begun:.0f} s"
    )
    assert interrupted >= DRAINS
    assert tasks == done == {f"task-{number}" for number in range(sent)}
    assert set(codes) == {0}
    lines = [line for each in workers.folder.glob("w*.log") for line in each.read_text(errors="replace").splitlines()]
    assert [line for line in lines if "] raised" in line] == []


def test_a_signal_to_all_processes_would_lose_them(workers: Workers, app: Celery) -> None:
    """Without `DUMB_INIT_SETSID=0` tasks are lost, and the test above sees it."""
    worker = workers.start(DUMB_INIT_SETSID="1")
    send(app, 2, 0, (30.0, 30.0))
    until(lambda: worker.busy() == 2 and len(list((workers.folder / "work").iterdir())) == 2)
    os.kill(worker.process.pid, signal.SIGTERM)
    worker.process.wait(60)
    assert list((workers.folder / "work").glob("*/done")) == []

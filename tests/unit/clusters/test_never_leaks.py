"""
No cluster outlives its run by more than one run of the reaper, even if a process dies at any call of the cloud.

Every run is seeded: which calls are killed before or after the cloud did them, lose their answer or are refused for
now, at which the try is frozen while the next one runs to its end, and how late the cloud lists what it has. The clouds
in memory end nothing by themselves, so what is seen here needs neither a time to live nor a lease.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cluster_runs import CONFIGS, Run
from fake_clouds import CLOUDS, FakeCloud, FakeEmr, Killed, VirtualClock, kill, no_answer, throttled

from airflow_wall.clusters.emr_request import request_of
from airflow_wall.clusters.kinds.emr import SETTLE

SEEDS = {"emr": 300, "dataproc": 220}
SWEEP = timedelta(minutes=10)
LATE = (0, 15, 60, 240)
"""Seconds after which EMR lists a cluster."""


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path


def faulty(run: Run, chance: random.Random) -> list[bool]:
    """Make some of the next calls fail. Return a list that is empty until a try is frozen."""
    frozen: list[bool] = []

    def freeze() -> None:
        """The machine stands still, Airflow starts the next try, and then the old one goes on."""
        if not frozen and run.states["start"] == "running" and run.tries["start"] <= 2:
            frozen.append(True)
            run.cloud.clock.sleep(60)
            run.once("start")

    happenings = (kill, kill, no_answer, throttled, freeze)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        number = chance.randint(1, 40)
        run.cloud.faults.at[number] = (chance.choice(("before", "after")), chance.choice(happenings))
    return frozen


@pytest.mark.parametrize("kind", SEEDS)
def test_nothing_is_left_and_no_colour_lies(kind: str, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS[kind]):
        chance = random.Random(f"{kind}-{seed}")
        cloud = CLOUDS[kind](VirtualClock())
        if isinstance(cloud, FakeEmr):
            cloud.visible_after = timedelta(seconds=chance.choice(LATE))
        run = Run(kind, cloud, lake / f"{kind}-{seed}", monkeypatch, deferrable=seed % 3 > 0)
        frozen = faulty(run, chance)
        run.go(stopped=chance.random() > 0.15)
        seen[str(run.run_state)] += 1
        seen["stopped by the run"] += not cloud.alive
        story = f"seed {seed}: {run.states}, {run.errors}, {cloud.faults.at}"
        if run.run_state == "success":
            assert set(run.states.values()) == {"success"}, story
        if not frozen and cloud.visible_after <= SETTLE:  # else two may be made, and the reaper may have to end one
            assert cloud.most_at_once <= 1, story
            assert run.states["stop"] != "success" or not cloud.alive, story
        assert len(cloud.used) <= 1, f"jobs ran on {cloud.used}; {story}"
        for _ in range(2):
            cloud.clock.sleep(SWEEP.total_seconds())
            run.reap()
        assert not cloud.alive, f"{[item.id for item in cloud.alive]} outlived the run; {story}"
        seen["deferred"] += run.waits > 0
        seen["several created"] += len(cloud.clusters) > 1
    # The faults must have bitten, or all this shows nothing.
    assert seen["failed"] > SEEDS[kind] / 10, seen
    assert seen["success"] > SEEDS[kind] / 10, seen
    assert seen["stopped by the run"] < SEEDS[kind], seen
    assert seen["deferred"] > SEEDS[kind] / 2, seen
    assert kind == "dataproc" or seen["several created"] > SEEDS[kind] / 30, seen


def test_the_same_faults_make_the_usual_way_leak(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: create, hand the id on, delete by id, as setup and teardown with no retries do."""
    leaked = 0
    for seed in range(100):
        chance = random.Random(f"emr-{seed}")
        cloud = FakeEmr(VirtualClock())
        run = Run("emr", cloud, lake / f"naive-{seed}", monkeypatch)
        faulty(run, chance)
        leaked += naive(cloud, run)
    assert leaked > 20


def naive(cloud: FakeCloud, run: Run) -> bool:
    created = None
    for _ in range(3):
        try:
            created = cloud("run_job_flow", **request_of("naive", CONFIGS["emr"], run.site.owner))["JobFlowId"]
            while cloud("describe_cluster", ClusterId=created)["Cluster"]["Status"]["State"] == "STARTING":
                cloud.clock.sleep(10)
            break
        except (Killed, Exception):
            created = None
    try:
        if created is not None:
            cloud("terminate_job_flows", JobFlowIds=[created])
    except (Killed, Exception):
        pass
    return bool(cloud.alive)


# --- the reaper


@pytest.fixture
def emr(lake: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    run = Run("emr", FakeEmr(VirtualClock()), lake, monkeypatch)
    run.task("start", None)
    return run


def reaped(run: Run) -> Any:
    return [item["why"] for item in run.reap()["reaped"]]


def test_a_cluster_at_work_is_left(emr: Run) -> None:
    assert emr.reap() == {"reaped": [], "left": 1}
    assert len(emr.cloud.alive) == 1


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_cluster_whose_run_is_over_is_ended(emr: Run, state: str) -> None:
    emr.run_state = state
    assert reaped(emr) == ["its run is over"]
    assert not emr.cloud.alive


def test_a_cluster_whose_run_was_deleted_is_ended(emr: Run) -> None:
    emr.run_state = None
    assert reaped(emr) == ["its run was deleted"]


def test_error_of_airflow_keeps_the_cluster_until_the_lease_ends(emr: Run) -> None:
    emr.run_state = None
    emr.airflow_answers = False
    assert reaped(emr) == []
    emr.cloud.clock.sleep(6 * 3600)
    (why,) = reaped(emr)
    assert why == "its lease ended at 2026-01-01 06:00 UTC"
    assert not emr.cloud.alive


def test_a_cluster_that_does_not_say_of_which_run_it_is_lives_until_its_lease_ends(emr: Run) -> None:
    emr.run_state = "failed"
    for tag in emr.cloud.clusters[0].request["Tags"]:
        if tag["Key"] == "airflow-wall-run":
            tag["Value"] = ""  # it was too long for a tag
    assert reaped(emr) == []
    emr.cloud.clock.sleep(6 * 3600)
    assert len(reaped(emr)) == 1


def test_a_cluster_of_another_airflow_is_left(emr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    emr.run_state = "failed"
    for tag in emr.cloud.clusters[0].request["Tags"]:
        if tag["Key"] == "airflow-wall-deployment":
            tag["Value"] = "another"
    assert emr.reap() == {"reaped": [], "left": 0}
    assert emr.cloud.alive

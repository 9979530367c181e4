"""The autoscaling as simulated: the HPA does as its documentation says, and no day of tasks loses one."""

from __future__ import annotations

import sys

import pytest
from rendering import ROOT, Rendered

sys.path.insert(0, str(ROOT / "benchmarks/autoscaling"))
import simulate
from cluster import Answers, Autoscaler, Settings

SCALED = Rendered("--set", "workers.celery.keda.enabled=true").one("ScaledObject", "worker")["spec"]


def scaler(**changes: object) -> Autoscaler:
    return Autoscaler(Settings({**SCALED, **changes}, 3600, 4, 150))


def test_the_query_is_that_of_the_chart() -> None:
    answers = Answers(SCALED["triggers"][0]["metadata"]["query"])
    assert [answers.to(0, ()), answers.to(1, ()), answers.to(5, (4,)), answers.to(0, (1, 1, 1))] == [0, 1, 3, 3]


def test_the_first_worker_is_woken_and_the_last_stays_for_the_cooldown() -> None:
    one = scaler()
    assert one.keda(0, 0, 0) == 0
    assert one.keda(5, 0, 3) == 1
    assert one.keda(10, 1, 1) == 1
    assert one.keda(10 + 3599, 1, 0) == 1
    assert one.keda(10 + 3600, 1, 0) == 0


def test_up_at_once_within_the_policies() -> None:
    one = scaler(maxReplicaCount=50)
    counts = [1]
    for step in range(5):
        counts.append(one.hpa(step * 15, counts[-1], 40))
    assert counts == [1, 5, 10, 20, 40, 40]  # four more, then twice as many


def test_down_only_after_the_window_and_by_the_policy() -> None:
    one = scaler(maxReplicaCount=50)
    assert one.hpa(0, 20, 20) == 20
    assert one.hpa(60, 20, 4) == 20
    assert one.hpa(120, 20, 4) == 20
    assert one.hpa(135, 20, 4) == 16
    assert one.hpa(150, 16, 4) == 16  # four a minute
    assert one.hpa(195, 16, 4) == 12


def test_within_a_tenth_nothing_changes() -> None:
    assert scaler(maxReplicaCount=50).hpa(0, 20, 22) == 20
    assert scaler(maxReplicaCount=50).hpa(0, 20, 23) == 23


def test_never_below_one_nor_above_the_most() -> None:
    assert scaler().hpa(0, 8, 99) == 10
    assert scaler(advanced={}).hpa(0, 1, 0) == 1


@pytest.mark.parametrize("day", ["hourly", "deferring"])
def test_against_the_official_charts_settings(day: str) -> None:
    both = simulate.compare(day, until=6 * 3600)
    ours, official = both["ours"].row(), both["official"].row()
    assert ours["killed"] == 0
    assert ours["wait mean s"] <= official["wait mean s"] + 1
    assert ours["thrash h"] < official["thrash h"]


def test_the_simulation_scales_as_the_chart_does() -> None:
    settings = simulate.ours()
    assert settings.scaled["cooldownPeriod"] >= settings.grace

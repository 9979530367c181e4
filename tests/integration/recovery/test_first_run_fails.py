"""
A first run that fails step by step: the terminal names each cause, and the same command then ends with the right rows.

Waits for: four runs of the article's pipeline, each to the step that fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from outcomes import FIRST, FIRST_RUN, assert_all_is_published
from project import DOMAINS, Project

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CONSTANT = """
import numpy as np
import pandas as pd
from sklearn.dummy import DummyRegressor

from airflow_wall.models.base import Trained


def train(features: pd.DataFrame) -> Trained:
    rows = features.dropna(subset=["mean_dep_delay"])
    return Trained(DummyRegressor().fit(rows[["flights"]], rows["mean_dep_delay"]), features=["flights"], target="mean_dep_delay")
"""


def test_first_run_succeeds_after_each_fault_is_fixed(tmp_path: Path) -> None:
    project = Project.make(tmp_path / "project")
    project.lake.mkdir()
    landing, elsewhere = project.lake / "landing", tmp_path / "elsewhere"
    training = project.folder / "dags" / "models" / "scores.py"
    right = training.read_text()

    # Nothing has landed.
    ran = project.run(FIRST)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    (message,) = ran.errors
    assert message.startswith(
        f"task `check_new_data` ({project.place('check_new_data')}): `source` `landing`: there is no `{landing}`; "
        f"`{project.lake}` holds "
    )
    assert message.endswith("\n\nhint: create it, or correct the path (relative paths are below `storage`)")

    # One of three sources is missing.
    project.land(FIRST)
    (landing / "domain_2").rename(elsewhere)
    training.write_text(CONSTANT)
    ran = project.run(FIRST)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    assert ran.errors == [
        f"task `etl_domain_2.ingest` ({project.place('ingest')}): `source` `landing/domain_2`: there is no "
        f"`{landing}/domain_2`; `{landing}` holds `domain_1/`, `domain_3/`\n\n"
        "hint: create it, or correct the path (relative paths are below `storage`)"
    ]

    # The scores are all equal.
    elsewhere.rename(landing / "domain_2")
    ran = project.run(FIRST)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    report = project.lake / "_wall/reports/platform_scores/20130107T050000Z/check_integrity.html"
    (message,) = ran.errors
    assert message.startswith(
        f"task `check_integrity` ({project.place('check_integrity')}): `checks` (checks/scores.yaml): "
        "1 of 15 checks of `gold/scores`, slice `20130107T050000Z`, failed:\n  scores differ from each other: 1 distinct"
    )
    assert message.endswith(f"\n\nhint: read the report: {report}")
    assert "scores differ from each other" in report.read_text()
    assert (project.published(), project.indexed()) == ({}, {})

    # The task that made them had succeeded; it is done again, and only what comes after it.
    training.write_text(right)
    ran = project.run(FIRST)
    assert ran.code == 0, ran.text
    assert "\nrepeated     `retrain_on_new_data`: its inputs have changed since\n" in ran.text
    assert ran.finished >= {"retrain_on_new_data", "predict", "check_integrity", "stop_sender"}
    assert not ran.finished & {f"etl_{domain}.ingest" for domain in DOMAINS}
    assert_all_is_published(project)
    assert list(project.runs()) == [FIRST_RUN]

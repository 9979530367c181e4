"""A promotion that is held back, and carried out later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.errors import ModelError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.open_model import open_model
from airflow_wall.jobs.promote_model import promote_model
from airflow_wall.jobs.retrain import retrain
from airflow_wall.models.backends import open_registry
from airflow_wall.storage.backends import open_tables

TRAIN = """
import numpy as np
from sklearn.linear_model import LinearRegression
from airflow_wall import Trained

def train(rows, noise=0.0):
    target = rows["y"] + noise * np.sin(np.arange(len(rows)) * 7.0)
    return Trained(LinearRegression().fit(rows[["a"]], target), ["a"], "y")
"""


@pytest.fixture
def env(tmp_path: Path) -> Env:
    (tmp_path / "held.py").write_text(TRAIN)
    a = np.linspace(0, 1, 100)
    rows = pa.table({"a": a, "y": a * 3})
    part = Slice("20130701T000000Z", "2013-07-01T00:00:00+00:00")
    run = Run("p", "run", "fit", 1, part, tmp_path / "lake", tmp_path, tmp_path)
    open_tables(run.storage).replace_slice("silver/rows", rows, slice_id="s1", number=1)
    return Env(run, lambda _: pytest.fail("no connection is read"))


def train(env: Env, noise: float, *, hold: bool) -> dict:
    parameters = {"noise": noise}
    return retrain(
        env, entrypoint="held:train", inputs={"rows": "silver/rows"}, model="m", parameters=parameters, hold=hold
    )


def test_a_held_promotion_is_carried_out_by_another_job(env: Env) -> None:
    registry = open_registry(env.run.storage)
    held = train(env, 1.0, hold=True)
    assert (held["promoted"], registry.champion("m")) == (False, None)
    assert open_model(env, model="m", version=held["version"]) == {"model": "m", "version": 1}
    for _ in range(2):  # a retry changes nothing
        assert promote_model(env, model="m", version=1, **held["held"])["promoted"]
    champion = registry.champion("m")
    assert champion is not None
    assert (champion.version, champion.decision.reason) == (1, held["reason"])
    assert "held" not in train(env, 2.0, hold=True)  # worse: there is nothing to hold


def test_a_champion_that_has_changed_since_is_not_replaced(env: Env) -> None:
    train(env, 2.0, hold=False)
    held = train(env, 1.0, hold=True)
    train(env, 0.0, hold=False)
    with pytest.raises(ModelError) as caught:
        promote_model(env, model="m", version=held["version"], **held["held"])
    assert caught.value.message.startswith("version 2 of model `m` was not promoted: ")
    assert caught.value.hint == "run retrain again, which compares it with the new champion"
    champion = open_registry(env.run.storage).champion("m")
    assert champion is not None
    assert champion.version == 3

"""Tables and models of a lake, read in a notebook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

import airflow_wall
from airflow_wall.errors import DataError, ModelError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.retrain import retrain
from airflow_wall.storage.backends import open_tables

TRAIN = """
from sklearn.linear_model import LinearRegression
from airflow_wall import Trained

def train(rows):
    return Trained(LinearRegression().fit(rows[["a"]], rows["y"]), ["a"], "y")
"""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fits.py").write_text(TRAIN)
    a = np.arange(100.0)
    rows = pa.table({"a": a, "y": 2 * a + 1, "slice": ["x"] * 100})
    storage = tmp_path / "lake"
    open_tables(storage).replace_slice("silver/t", rows, slice_id="s1", number=1)
    run = Run("p", "r", "retrain", 1, Slice("s1", "2024-01-01T00:00:00+00:00"), storage, tmp_path, tmp_path)
    retrain(Env(run, lambda _: None), entrypoint="fits:train", inputs={"rows": "silver/t"}, model="m")
    monkeypatch.chdir(tmp_path)
    return storage


def test_a_table_is_a_data_frame(lake: Path) -> None:
    rows = airflow_wall.read_table("silver/t")
    assert list(rows.columns) == ["a", "y", "slice"]
    assert len(rows) == 100
    few = airflow_wall.read_table("silver/t", storage=lake, columns=["y"], where="a < 2", slices=["s1"])
    assert few["y"].tolist() == [1.0, 3.0]


@pytest.mark.parametrize("name", ["m", "m@champion", "m@1"])
def test_a_model_scores_rows(lake: Path, name: str) -> None:
    model = airflow_wall.load_model(name, storage=lake)
    scores = model.predict(pd.DataFrame({"other": ["x", "y"], "a": [1.0, 2.0]}))
    assert scores["score"].tolist() == pytest.approx([3.0, 5.0])
    assert model.record.target == "y"
    assert repr(model) == "<m version 1: regression of y>"
    expected = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]).predict([[7.0]])
    assert model.predict(pd.DataFrame({"a": [7.0]}))["score"].to_numpy() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m@2", "version 2"),
        ("m@best", "`m@best` must name a version or `champion` after `@`\n\nhint: write `m@champion` or `m@3`"),
        ("other", "model `other` has no champion\n\nhint: run its `retrain` first"),
        ("../m", "`model` must be a name of letters"),
    ],
)
def test_a_model_that_is_not_there_is_an_error(lake: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        airflow_wall.load_model(name, storage=lake)
    assert message in str(caught.value)


def test_rows_without_a_feature_are_an_error(lake: Path) -> None:
    with pytest.raises(ModelError, match="the DataFrame does not fit version 1 of model `m`: it has no column `a`"):
        airflow_wall.load_model("m", storage=lake).predict(pd.DataFrame({"b": [1.0]}))


def test_a_lake_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no lake"):
        airflow_wall.read_table("silver/t", storage=tmp_path / "none")


def test_no_airflow_is_imported(lake: Path) -> None:
    code = (
        "import sys, airflow_wall; airflow_wall.read_table('silver/t'); airflow_wall.load_model('m'); "
        "sys.exit(any(name.partition('.')[0] == 'airflow' for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=lake.parent, check=True)

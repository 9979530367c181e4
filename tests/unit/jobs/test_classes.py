"""Classifiers of several classes, from training to the rows that they score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.errors import ModelError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.predict import predict
from airflow_wall.jobs.retrain import retrain
from airflow_wall.models.backends import open_registry
from airflow_wall.storage.backends import TableStore, open_tables

TRAIN = """
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from airflow_wall import Trained

def probabilities(rows):
    return Trained(LogisticRegression().fit(rows[["a"]], rows["kind"]), ["a"], "kind")

def names(rows):
    return Trained(LinearSVC().fit(rows[["a"]], rows["kind"]), ["a"], "kind")

def always_the_most_frequent(rows):
    return Trained(DummyClassifier().fit(rows[["a"]], rows["kind"]), ["a"], "kind")
"""


@pytest.fixture
def env(tmp_path: Path) -> Env:
    (tmp_path / "fits.py").write_text(TRAIN)
    part = Slice("20240101T000000Z", "2024-01-01T00:00:00+00:00")
    return Env(Run("p", "r", "t", 1, part, tmp_path / "lake", tmp_path, tmp_path), lambda _: None)


@pytest.fixture
def store(env: Env) -> TableStore:
    a = np.random.default_rng(0).normal(size=300)
    kinds = np.where(a > 0.5, "very late", np.where(a < -0.5, "early", "on time"))
    rows = pa.table({"id": range(300), "a": a, "kind": kinds})
    tables = open_tables(env.run.storage)
    tables.replace_slice("silver/t", rows, slice_id=env.run.slice.id, number=env.run.slice.number)
    return tables


def train(env: Env, function: str, **more: object) -> dict[str, object]:
    return retrain(env, entrypoint=f"fits:{function}", inputs={"rows": "silver/t"}, model="m", **more)  # type: ignore[arg-type]


def test_labels_and_probabilities_are_written(env: Env, store: TableStore) -> None:
    result = train(env, "probabilities")
    assert (result["promoted"], result["metric"]) == (True, "log_loss")
    assert "no worse than predicting the shares of the classes of the training rows (log_loss " in str(result["reason"])
    record = open_registry(env.run.storage).record("m", 1)
    assert (record.kind, record.classes) == ("classes", ("early", "on time", "very late"))
    assert record.metrics["accuracy"] > 0.8
    predict(env, model="m", inputs={"rows": "silver/t"}, target="gold/t")
    rows = store.read("gold/t")
    probabilities = ["probability_early", "probability_on_time", "probability_very_late"]
    assert rows.column_names[:7] == ["id", "kind", "label", "score", *probabilities]
    table = rows.to_pandas()
    assert (table["label"] == table["kind"]).mean() > 0.8
    assert table[probabilities].sum(axis=1).to_numpy() == pytest.approx(np.ones(300))
    assert (table["score"] == table[probabilities].max(axis=1)).all()


def test_a_classifier_without_probabilities_writes_labels(env: Env, store: TableStore) -> None:
    result = train(env, "names")
    assert (result["promoted"], result["metric"]) == (True, "accuracy")
    predict(env, model="m", inputs={"rows": "silver/t"}, target="gold/t")
    assert store.read("gold/t").column_names == ["id", "kind", "label", "model", "model_version", "run_id"]
    with pytest.raises(ModelError, match="must be a metric of a classifier of several classes without probabilities"):
        train(env, "names", promote={"metric": "log_loss"})


def test_a_worse_classifier_does_not_win(env: Env, store: TableStore) -> None:
    train(env, "probabilities")
    result = train(env, "always_the_most_frequent", promote={"metric": "f1_macro"})
    assert (result["promoted"], result["champion_version"]) == (False, 1)
    assert float(str(result["champion_value"])) > float(str(result["value"]))

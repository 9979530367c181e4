from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import get_scorer_names

from airflow_wall.errors import ModelError
from airflow_wall.models.evaluation import (
    CLASS_METRICS,
    METRICS,
    check_observed,
    codes_of,
    constant_scores,
    measure,
    measure_all,
)
from airflow_wall.models.metric_names import ALIASES, KINDS


def model(kind: str, classes: tuple[str, ...] = (), *, has_probabilities: bool = True) -> SimpleNamespace:
    return SimpleNamespace(kind=kind, classes=classes, has_probabilities=has_probabilities, parts=())


REGRESSION, BINARY = model("regression"), model("binary")
CLASSES = model("classes", ("a", "b", "c"))
NAMED_CLASSES = model("classes", ("a", "b", "c"), has_probabilities=False)


def test_the_metrics_of_numbers_are_the_textbook_ones():
    observed, scores = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0])
    found = measure_all(REGRESSION, observed, scores)
    textbook = {
        "rmse": math.sqrt(4 / 3),
        "mae": 2 / 3,
        "r2": -1.0,
        "rmsle": math.sqrt(math.log(6 / 4) ** 2 / 3),
        "mape": 2 / 9,
        "median_absolute_error": 0.0,
        "max_error": 2.0,
        "explained_variance": -1 / 3,
    }
    assert found == pytest.approx(textbook)


def test_the_metrics_of_probabilities_are_the_textbook_ones():
    observed, scores = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.2, 0.8, 0.4, 0.6])
    found = measure_all(BINARY, observed, scores)
    loss = -(math.log(0.8) + math.log(0.8) + math.log(0.4) + math.log(0.4)) / 4
    textbook = {
        "log_loss": loss,
        "accuracy": 0.5,
        "auc": 0.75,
        "average_precision": 1 / 2 + 1 / 2 * 2 / 3,
        "balanced_accuracy": 0.5,
        "brier_score": (0.04 + 0.04 + 0.36 + 0.36) / 4,
        "f1": 0.5,
        "precision": 0.5,
        "recall": 0.5,
        "matthews_corrcoef": 0.0,
    }
    assert found == pytest.approx(textbook)


def test_the_metrics_of_classes_are_the_textbook_ones():
    observed = codes_of(["a", "b", "c", "a"], ["a", "b", "c"])
    scores = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.5, 0.25, 0.25]])
    textbook = {
        "log_loss": -(math.log(0.7) + math.log(0.3) + math.log(0.8) + math.log(0.5)) / 4,
        "accuracy": 0.75,
        "balanced_accuracy": 2 / 3,
        "f1_macro": (4 / 5 + 0 + 1) / 3,
        "f1_weighted": (2 * 4 / 5 + 0 + 1) / 4,
        "matthews_corrcoef": 5 / math.sqrt(60),
    }
    assert measure_all(CLASSES, observed, scores) == pytest.approx(textbook)
    assert "log_loss" not in measure_all(NAMED_CLASSES, observed, scores)


def test_a_class_that_a_model_does_not_know_counts_as_wrong():
    observed = codes_of(["a", "z"], ["a", "b"])
    assert observed.tolist() == [0.0, -1.0]
    scores = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert measure("accuracy", observed, scores) == 0.5
    assert measure("log_loss", observed, scores) == pytest.approx(-math.log(1e-15) / 2)


def test_numbers_and_booleans_are_the_classes_of_their_value():
    assert codes_of([2.0, 1, True, 0.0, None], [0, 1, 2]).tolist() == [2.0, 1.0, 1.0, 0.0, -1.0]


def test_a_constant_prediction_is_the_mean_or_the_shares_of_classes():
    assert constant_scores(REGRESSION, np.array([1.0, 3.0]), 2).tolist() == [2.0, 2.0]
    assert constant_scores(CLASSES, np.array([0.0, 0.0, 2.0, 1.0, -1.0]), 1).tolist() == [[0.5, 0.25, 0.25]]


def test_every_name_has_a_metric() -> None:
    assert {*METRICS, *CLASS_METRICS} == set(KINDS)
    assert set(ALIASES.values()) <= set(KINDS)
    assert set(ALIASES) <= set(get_scorer_names())


@pytest.mark.parametrize(
    ("name", "observed", "scores"),
    [
        ("rmse", [1.0, 2.0], [1.0, math.nan]),
        ("rmse", [1.0, 2.0], [1.0, math.inf]),
        ("rmse", [], []),
        ("r2", [1.0], [1.0]),
        ("mape", [0.0, 1.0], [0.1, 1.0]),
        ("auc", [1.0, 1.0], [0.3, 0.4]),
    ],
)
def test_a_metric_that_is_not_defined_is_nan(name, observed, scores):
    assert math.isnan(measure(name, np.array(observed), np.array(scores)))


def test_a_classifier_needs_a_target_of_0_and_1():
    check_observed(model("regression"), np.array([3.0]), "late")
    check_observed(model("binary"), np.array([0.0, 1.0]), "late")
    with pytest.raises(ModelError) as caught:
        check_observed(model("binary"), np.array([0.0, 2.0]), "late")
    assert str(caught.value) == (
        "the target `late` of a classifier must be 0 or 1, got 2\n\n"
        "hint: encode the target as 0 and 1, or train a regressor"
    )

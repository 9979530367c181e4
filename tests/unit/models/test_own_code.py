"""Classes, functions and models of the user's own."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from airflow_wall.environments.user_code import load_function
from airflow_wall.errors import ModelError, UserCodeError
from airflow_wall.models import formats
from airflow_wall.models.base import NO_OWN_CODE, OwnCode

pytestmark = pytest.mark.usefixtures("clean_imports")

SHOP = """
import json
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

def ratio(rows):
    return rows.assign(c=rows["a"] * rows["b"])

class Shift(BaseEstimator, TransformerMixin):
    def __init__(self, by=1.0):
        self.by = by

    def fit(self, rows, target=None):
        self.seen_ = len(rows)
        return self

    def transform(self, rows):
        return rows + self.by

class Mean:
    def __init__(self, value):
        self.value = value

    def predict(self, rows):
        return np.full(len(rows), self.value)

class Words:
    classes_ = np.array(["no", "yes"])

    def __init__(self, share):
        self.share = share

    def predict(self, rows):
        return np.where(rows["a"] > self.share, "yes", "no")

class Sure(Words):
    def predict_proba(self, rows):
        return np.tile([1 - self.share, self.share], (len(rows), 1))

class Two(Sure):
    classes_ = np.array([0, 1])

def save(model):
    return json.dumps(vars(model)).encode()

def save_text(model):
    return "text"

def load(content):
    return Mean(**json.loads(content))

def load_words(content):
    return Words(**json.loads(content))

def load_sure(content):
    return Sure(**json.loads(content))

def load_two(content):
    return Two(**json.loads(content))

def load_nothing(content):
    return None

def load_broken(content):
    raise ValueError("no")

def load_wide(content):
    class Wide(Mean):
        def predict(self, rows):
            return np.zeros((len(rows), 2))
    return Wide(1)
"""

X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 5.0], "b": [2.0, 1.0, 4.0, 3.0]})
Y = [1.0, 2.0, 3.0, 5.0]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def of_shop(code: Path, name: str) -> Any:
    load_function("shop:save", code=code)
    return getattr(sys.modules["shop"], name)


@pytest.mark.parametrize("types", [("*",), ("shop.*",), ("shop.ratio", "shop.Shift")])
def test_own_classes_and_functions_can_be_part_of_a_pipeline(code: Path, types: tuple[str, ...]) -> None:
    pipeline = make_pipeline(
        FunctionTransformer(of_shop(code, "ratio")), of_shop(code, "Shift")(2.0), LinearRegression()
    )
    own = OwnCode(code, types)
    content = formats.dump(pipeline.fit(X, Y), "skops", own)
    sys.modules.pop("shop")
    model = formats.load(content, "skops", own)
    np.testing.assert_allclose(model.score(X), pipeline.predict(X))
    assert {"shop.ratio", "shop.Shift", "sklearn.pipeline.Pipeline"} <= set(formats.types(content, "skops"))


def test_own_classes_that_the_deployment_does_not_allow_are_refused(code: Path) -> None:
    pipeline = make_pipeline(of_shop(code, "Shift")(2.0), LinearRegression()).fit(X, Y)
    content = formats.dump(pipeline, "skops", OwnCode(code, ("*",)))
    with pytest.raises(ModelError) as caught:
        formats.load(content, "skops", OwnCode(code, ("scores.*",)))
    assert caught.value.message.startswith(
        "the model must hold classes of scikit-learn, LightGBM and the pipeline's folder only, got `shop.Shift` "
    )
    assert caught.value.hint == "have them added to the setting `[wall] allowed_entrypoints`, e.g. as `models.*`"
    with pytest.raises(ModelError, match="must hold classes of scikit-learn and LightGBM only"):
        formats.load(content, "skops", NO_OWN_CODE)


def test_a_pattern_allows_only_what_is_in_the_folder(code: Path, tmp_path: Path) -> None:
    """A star does not allow functions of installed packages, which could run commands."""
    dangerous = FunctionTransformer(pd.read_pickle).fit(X)
    with pytest.raises(ModelError, match=r"read_pickle"):
        formats.dump(make_pipeline(dangerous, LinearRegression().fit(X, Y)), "skops", OwnCode(code, ("*",)))


def test_a_function_that_a_module_only_imports_is_refused(code: Path) -> None:
    """Else a forged file could call `os.system`, because a module of the pipeline imports it."""
    (code / "shop.py").write_text(f"from os import system\n{SHOP}")
    own = OwnCode(code, ("*",))
    pipeline = make_pipeline(FunctionTransformer(of_shop(code, "ratio")), LinearRegression()).fit(X, Y)
    content = formats.dump(pipeline, "skops", own)
    forged = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(forged, "w") as out:
        for name in archive.namelist():
            out.writestr(name, archive.read(name).replace(b'"ratio"', b'"system"'))
    with pytest.raises(ModelError, match=r"got `shop.system`"):
        formats.load(forged.getvalue(), "skops", own)


@pytest.mark.parametrize(
    ("name", "load", "kind", "classes"),
    [
        ("Mean", "shop:load", "regression", ()),
        ("Words", "shop:load_words", "classes", ("no", "yes")),
        ("Sure", "shop:load_sure", "classes", ("no", "yes")),
        ("Two", "shop:load_two", "binary", ()),
    ],
)
def test_a_model_of_ones_own_is_saved_and_opened_by_functions(
    code: Path, name: str, load: str, kind: str, classes: tuple[str, ...]
) -> None:
    estimator = of_shop(code, name)(0.25)
    content = formats.dump(estimator, "own", OwnCode(code, save="shop:save"))
    model = formats.load(content, "own", OwnCode(code, load=load))
    assert (model.kind, model.classes, model.has_probabilities) == (kind, classes, name != "Words")
    scores = model.score(X)
    assert scores.shape == ((4, 2) if kind == "classes" else (4,))
    assert scores[0] == pytest.approx([0.75, 0.25] if name == "Sure" else [0.0, 1.0] if name == "Words" else 0.25)


def test_only_a_step_that_names_the_function_opens_it(code: Path) -> None:
    content = formats.dump(of_shop(code, "Mean")(1.0), "own", OwnCode(code, save="shop:save"))
    with pytest.raises(ModelError) as caught:
        formats.load(content, "own", OwnCode(code, ("*",)))
    assert str(caught.value) == (
        "the model was saved by a function of your own, and the step names none that opens it\n\n"
        "hint: add `load: module:function` to the step"
    )


@pytest.mark.parametrize(
    ("save", "load", "error", "message"),
    [
        ("save_text", "load", ModelError, "`save` `shop:save_text` must return bytes, got `str`"),
        ("gone", "load", UserCodeError, "`save` `shop:gone`: `CODE/shop.py` has no function `gone`"),
        (
            "save",
            "load_nothing",
            ModelError,
            "`load` `shop:load_nothing` must return an object with a method `predict`",
        ),
        ("save", "load_broken", UserCodeError, "`load` `shop:load_broken` raised `ValueError: no`"),
        ("save", "load_wide", ModelError, "the scores of a model must have the shape (4,), got (4, 2)"),
    ],
)
def test_functions_that_fail_are_named(code: Path, save: str, load: str, error: type[Exception], message: str) -> None:
    def save_and_open() -> None:
        content = formats.dump(of_shop(code, "Mean")(1.0), "own", OwnCode(code, save=f"shop:{save}"))
        formats.load(content, "own", OwnCode(code, load=f"shop:{load}")).score(X)

    with pytest.raises(error) as caught:
        save_and_open()
    assert str(caught.value).replace(str(code), "CODE").startswith(message)

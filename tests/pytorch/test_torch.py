"""Models of PyTorch, from training to the rows that they score. Run by `make torch`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("torch", reason="`make torch` installs PyTorch into an environment of its own")

from airflow_wall.errors import ModelError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.predict import predict
from airflow_wall.jobs.retrain import retrain
from airflow_wall.models.backends import open_registry
from airflow_wall.storage.backends import TableStore, open_tables

NETS = """
import torch
from airflow_wall import Trained

class Net(torch.nn.Module):
    def __init__(self, inputs, outputs=1, hidden=(16,)):
        super().__init__()
        self.inputs, self.outputs, self.hidden = inputs, outputs, hidden
        self.register_buffer("mean", torch.zeros(inputs))
        sizes = [inputs, *hidden]
        layers = []
        for before, after in zip(sizes, sizes[1:]):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU(), torch.nn.Dropout(0.1)]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], outputs))

    def forward(self, rows):
        return self.layers(rows - self.mean)

class Forgetful(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

FEATURES = ["a", "b"]

def fitted(rows, targets, loss, outputs, epochs=300):
    torch.manual_seed(0)
    rows = rows.dropna(subset=targets)
    x = torch.tensor(rows[FEATURES].to_numpy(), dtype=torch.float32)
    net = Net(2, outputs, hidden=[16])
    net.mean = x.mean(axis=0)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(epochs):
        optimizer.zero_grad()
        loss(net(x), rows).backward()
        optimizer.step()
    return net

def column(rows, names):
    return torch.tensor(rows[names].to_numpy(dtype="float32"))

def number(rows):
    net = fitted(rows, ["y"], lambda out, rows: torch.nn.functional.mse_loss(out, column(rows, ["y"])), 1)
    return Trained(net, FEATURES, "y")

def worse(rows):
    net = fitted(rows, ["y"], lambda out, rows: torch.nn.functional.mse_loss(out, column(rows, ["y"])), 1, epochs=1)
    return Trained(net, FEATURES, "y")

def several(rows):
    loss = lambda out, rows: torch.nn.functional.mse_loss(out, column(rows, ["y", "z"]))
    return Trained(fitted(rows, ["y", "z"], loss, 2), FEATURES, ["y", "z"])

def flag(rows):
    loss = lambda out, rows: torch.nn.functional.binary_cross_entropy_with_logits(out, column(rows, ["late"]))
    net = fitted(rows, ["late"], loss, 1)
    net.classes_ = [0, 1]
    return Trained(net, FEATURES, "late")

def kinds(rows):
    names = ["early", "late", "on time"]
    loss = lambda out, rows: torch.nn.functional.cross_entropy(out, torch.tensor([names.index(k) for k in rows["kind"]]))
    net = fitted(rows, ["kind"], loss, 3)
    net.classes_ = names
    return Trained(net, FEATURES, "kind")

def bare(rows):
    return Trained(torch.nn.Linear(2, 1), FEATURES, "y")

def forgetful(rows):
    return Trained(Forgetful(2), FEATURES, "y")

def text(rows):
    return Trained(Net(1), ["kind"], "y")
"""


@pytest.fixture
def env(tmp_path: Path) -> Env:
    (tmp_path / "nets.py").write_text(NETS)
    part = Slice("20240101T000000Z", "2024-01-01T00:00:00+00:00")
    return Env(Run("p", "r", "t", 1, part, tmp_path / "lake", tmp_path, tmp_path), lambda _: None)


@pytest.fixture
def store(env: Env) -> TableStore:
    a, b = np.random.default_rng(0).normal(size=(2, 400))
    kinds = np.where(a > 0.5, "late", np.where(a < -0.5, "early", "on time"))
    rows = pa.table({"id": range(400), "a": a, "b": b, "y": a + b, "z": a - b, "late": a > b, "kind": kinds})
    tables = open_tables(env.run.storage)
    tables.replace_slice("silver/t", rows, slice_id=env.run.slice.id, number=env.run.slice.number)
    return tables


def train(env: Env, function: str, own_types: tuple[str, ...] = ("*",)) -> dict[str, object]:
    return retrain(env, entrypoint=f"nets:{function}", inputs={"rows": "silver/t"}, model="m", own_types=own_types)


@pytest.mark.parametrize(
    ("function", "outputs"),
    [
        ("number", ["score"]),
        ("several", ["score_y", "score_z"]),
        ("flag", ["score"]),
        ("kinds", ["label", "score", "probability_early", "probability_late", "probability_on_time"]),
    ],
)
def test_a_network_is_trained_promoted_and_scores(
    function: str, outputs: list[str], env: Env, store: TableStore
) -> None:
    assert train(env, function)["promoted"]
    record = open_registry(env.run.state).record("m", 1)
    assert (record.model_format, record.types) == ("safetensors", ("nets.Net",))
    assert {"torch", "safetensors"} <= record.libraries.keys()
    predict(env, model="m", inputs={"rows": "silver/t"}, target="gold/t", own_types=("*",))
    table = store.read("gold/t").to_pandas()
    assert list(table.columns)[5:-3] == outputs
    right = {
        "number": lambda: np.corrcoef(table["score"], table["y"])[0, 1],
        "several": lambda: np.corrcoef(table["score_z"], table["z"])[0, 1],
        "flag": lambda: ((table["score"] > 0.5) == table["late"]).mean(),
        "kinds": lambda: (table["label"] == table["kind"]).mean(),
    }
    assert right[function]() > 0.9


def test_a_worse_network_does_not_win(env: Env, store: TableStore) -> None:
    train(env, "number")
    result = train(env, "worse")
    assert (result["promoted"], result["champion_version"]) == (False, 1)


def test_an_equal_network_gives_an_equal_file(env: Env, store: TableStore) -> None:
    assert train(env, "number")["version"] == train(env, "number")["version"] == 1


@pytest.mark.parametrize(
    ("function", "own_types", "message"),
    [
        ("bare", ("*",), r"must be one of the pipeline's folder, got `torch\.nn\.modules\.linear\.Linear`"),
        ("number", (), r"got `nets.Net`\n\nhint: have it added to the setting `\[wall\] allowed_entrypoints`"),
        ("forgetful", ("*",), r"must keep its argument `size` as an attribute .*\n\nhint: write `self.size = size`"),
        ("text", ("*",), "`kind` must be numbers"),
    ],
)
def test_a_network_that_cannot_be_saved_or_scored_is_refused(
    function: str, own_types: tuple[str, ...], message: str, env: Env, store: TableStore
) -> None:
    with pytest.raises(ModelError, match=message):
        train(env, function, own_types)
    assert open_registry(env.run.state).versions("m") == []


def test_a_class_that_was_changed_is_named(env: Env, store: TableStore) -> None:
    train(env, "number")
    registry = open_registry(env.run.state)
    record = registry.record("m", 1)
    content = (env.run.state / "models" / "m" / "versions" / "1" / record.file).read_bytes()
    from airflow_wall.models import formats
    from airflow_wall.models.base import OwnCode

    own = OwnCode(env.run.code, ("*",))
    with pytest.raises(ModelError, match="the `Net` cannot be made from its file"):
        formats.load(content.replace(b"layers.0.weight", b"layers.9.weight"), "safetensors", own)
    with pytest.raises(ModelError, match="is not one that `retrain` saved by safetensors"):
        formats.load(b"\0" * 8 + content, "safetensors", own)
    with pytest.raises(ModelError, match=r"must be one of the pipeline's folder, got `os\.system`"):
        formats.load(content.replace(b"nets.Net", b"os.system"), "safetensors", own)

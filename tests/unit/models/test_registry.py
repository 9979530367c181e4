from __future__ import annotations

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace

import lightgbm
import numpy as np
import pandas as pd
import pytest

from airflow_wall.errors import Interrupted, ModelError
from airflow_wall.lake.lake import Lake
from airflow_wall.models import formats
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import Candidate, Decision, Feature, FeatureSummary, ModelLineage, Window

X = pd.DataFrame({"a": np.arange(60.0)})
BOOSTER = lightgbm.LGBMRegressor(n_estimators=2, num_threads=1, verbosity=-1).fit(X, X["a"])
LINEAGE = ModelLineage("p", "run-1", "20130701T000000Z", "2013-07-01T00:00:00+00:00", "m:f", "c0de", {"silver/a": 3})
CANDIDATE = Candidate(
    model_format="lightgbm",
    content=formats.dump(BOOSTER, "lightgbm"),
    kind="regression",
    features=(Feature("a", "double"),),
    target="y",
    metrics={"rmse": 1.5},
    rows_trained=48,
    rows_held_out=12,
    window=Window("`hour` from 2013-06-01T00:00:00", "2013-01-01T00:00:00", "2013-05-31T23:00:00"),
    lineage=LINEAGE,
    reported={"seconds": 1.0},
    training={"a": FeatureSummary((24, 24), edges=(24.5,)), "b": FeatureSummary((40, 0), texts=("x",))},
)
DECISION = Decision(True, "rmse", 1.5, None, None, "first model")


@pytest.fixture
def registry(tmp_path):
    return open_registry(Lake(tmp_path))


def of_run(number, order="2013-07-01T00:00:00+00:00"):
    return replace(CANDIDATE, lineage=replace(LINEAGE, run_id=f"run-{number}", order=order))


def test_a_version_comes_back_as_it_was_registered(registry, tmp_path):
    record = registry.register("m", CANDIDATE)
    assert registry.record("m", 1) == record
    assert (record.version, record.lineage, record.window) == (1, LINEAGE, CANDIDATE.window)
    assert record.sha256 == hashlib.sha256(CANDIDATE.content).hexdigest()
    np.testing.assert_allclose(registry.open("m", 1).score(X), BOOSTER.predict(X))
    files = sorted(path.name for path in (tmp_path / "_wall/models/m/versions/1").iterdir())
    assert files == ["model.lightgbm", "record.json"]


def test_a_record_of_an_older_version_has_no_distributions(registry, tmp_path):
    registry.register("m", CANDIDATE)
    path = tmp_path / "_wall/models/m/versions/1/record.json"
    document = json.loads(path.read_text())
    del document["training"]
    path.write_text(json.dumps(document))
    assert registry.record("m", 1).training == {}


def test_registering_again_gives_the_same_version(registry):
    first = registry.register("m", CANDIDATE)
    registry.register("m", of_run(2))
    slower = replace(CANDIDATE, reported={"seconds": 9.0})
    assert registry.register("m", slower) == first
    assert registry.versions("m") == [1, 2]


@pytest.mark.parametrize(
    "other",
    [
        of_run(2),
        replace(CANDIDATE, lineage=replace(LINEAGE, code="0ther")),
        replace(CANDIDATE, lineage=replace(LINEAGE, data={"silver/a": 4})),
        replace(CANDIDATE, lineage=replace(LINEAGE, parameters={"depth": 3})),
        replace(CANDIDATE, target="z"),
    ],
    ids=["run", "code", "data", "parameters", "target"],
)
def test_another_candidate_is_another_version(registry, other):
    registry.register("m", CANDIDATE)
    assert registry.register("m", other).version == 2


def test_a_changed_file_is_refused_before_it_is_opened(registry, tmp_path):
    class Runs:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'it-ran'}",))

    record = registry.register("m", CANDIDATE)
    path = tmp_path / "_wall/models/m/versions/1/model.lightgbm"
    path.write_bytes(pickle.dumps(Runs()))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ModelError) as caught:
        registry.open("m", 1)
    assert str(caught.value) == (
        f"`{path}` was changed after its registration: its SHA-256 must be {record.sha256}, got {found}; "
        "it was not opened\n\n"
        "hint: restore it from a backup, or run retrain and find out who wrote to the registry"
    )
    # Not even whoever changes the record too gets their code run.
    record_path = path.with_name("record.json")
    record_path.write_text(
        json.dumps({**json.loads(record_path.read_text()), "sha256": found, "model_format": "skops"})
    )
    with pytest.raises(ModelError, match="skops cannot read the model"):
        registry.open("m", 1)
    assert not (tmp_path / "it-ran").exists()


def test_missing_model_is_reported(registry):
    registry.register("m", CANDIDATE)
    for name, version, message in (
        ("m", 7, "model `m` has no version 7\n\nhint: name one of its versions: 1"),
        ("other", 1, "model `other` has no version 1\n\nhint: run retrain for model `other` first"),
        (
            "../m",
            1,
            "`model` must be a name of letters, digits, `.`, `_` and `-`, got `../m`\n\n"
            "hint: write, e.g., `platform_scores`",
        ),
    ):
        with pytest.raises(ModelError) as caught:
            registry.record(name, version)
        assert str(caught.value) == message
    assert registry.champion("m") is None


def test_the_champion_moves_only_from_the_one_that_was_expected(registry):
    for number in (1, 2, 3):
        registry.register("m", of_run(number))
    registry.promote("m", 1, DECISION, expected=None)
    with pytest.raises(Interrupted) as caught:
        registry.promote("m", 2, DECISION, expected=None)
    assert str(caught.value) == (
        "the champion of model `m` must still be none, got version 1: another run has promoted it\n\n"
        "hint: compare with the new champion, and promote again"
    )
    assert registry.champion("m").version == 1
    assert registry.promote("m", 3, DECISION, expected=1).version == 3


def test_the_champion_does_not_move_back_in_time_unless_forced(registry):
    registry.register("m", of_run(1, "2013-07-02T00:00:00Z"))
    registry.register("m", of_run(2, "2013-07-01T00:00:00+00:00"))
    registry.promote("m", 1, DECISION, expected=None)
    with pytest.raises(ModelError) as caught:
        registry.promote("m", 2, DECISION, expected=1)
    assert str(caught.value) == (
        "version 2 of model `m` was trained for 2013-07-01T00:00:00+00:00, and its champion, version 1, for "
        "the later 2013-07-02T00:00:00Z: a champion never moves back in time\n\n"
        "hint: run retrain for a later slice, or promote with `force`"
    )
    assert registry.promote("m", 2, DECISION, expected=1, force=True).version == 2


KILLED = """
import os, pathlib, pickle, signal, sys
from airflow_wall.lake.lake import Lake
from airflow_wall.models.registry import FileRegistry
pathlib.Path.rename = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)  # dies instead of naming the version
FileRegistry(Lake(sys.argv[1])).register("m", pickle.loads(sys.stdin.buffer.read()))
"""


def test_a_kill_before_a_version_has_its_name_leaves_nothing_visible(registry, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], input=pickle.dumps(CANDIDATE), timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    versions = tmp_path / "_wall/models/m/versions"
    assert len(list(versions.iterdir())) == 1  # what the killed one wrote
    assert registry.versions("m") == []
    assert registry.register("m", CANDIDATE).version == 1
    assert [path.name for path in versions.iterdir()] == ["1"]


RACER = """
import pathlib, pickle, sys, time
from airflow_wall.errors import Interrupted
from airflow_wall.models.base import Decision
from airflow_wall.lake.lake import Lake
from airflow_wall.models.registry import FileRegistry
folder, version = pathlib.Path(sys.argv[1]), int(sys.argv[2])
registry = FileRegistry(Lake(folder))
(folder / f"ready-{version}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
try:
    registry.promote("m", version, Decision(True, "rmse", 1.0, 1, 2.0, "better"), expected=1)
    print("won")
except Interrupted:
    print("lost")
"""


def test_of_two_racers_one_moves_the_champion(registry, tmp_path):
    for number in (1, 2, 3, 4):
        registry.register("m", of_run(number))
    registry.promote("m", 1, DECISION, expected=None)
    racers = {
        version: subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), str(version)], stdout=subprocess.PIPE, text=True
        )
        for version in (2, 3, 4)
    }
    while len(list(tmp_path.glob("ready-*"))) < 3:
        assert all(racer.poll() is None for racer in racers.values())
        time.sleep(0.01)
    (tmp_path / "go").touch()
    results = {version: racer.communicate(timeout=60)[0].strip() for version, racer in racers.items()}
    assert sorted(results.values()) == ["lost", "lost", "won"]
    assert results[registry.champion("m").version] == "won"

"""`airflow-wall models`: list versions and decisions, and change the champion by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.errors import WallError
from airflow_wall.lake.lake import Lake
from airflow_wall.models import formats
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import Candidate, Decision, Feature, ModelLineage, Registry, Window

ROWS = np.arange(6.0).reshape(-1, 1)


def candidate(day: int, rmse: float) -> Candidate:
    model = LinearRegression().fit(ROWS, ROWS[:, 0] * day)
    lineage = ModelLineage(
        "p", f"run-{day}", f"2013070{day}", f"2013-07-0{day}T00:00:00+00:00", "m:f", "c0de", {"silver/a": day}
    )
    return Candidate(
        model_format="skops",
        content=formats.dump(model, "skops"),
        kind="regression",
        features=(Feature("a", "double"),),
        target="y",
        metrics={"rmse": rmse},
        rows_trained=48,
        rows_held_out=12,
        window=Window("`hour`"),
        lineage=lineage,
    )


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Versions 1 and 2 were promoted, 3 was rejected, 4 is the champion."""
    monkeypatch.chdir(tmp_path)
    registry = open_registry(Lake(tmp_path / "lake"))
    before: int | None = None
    for day, rmse in ((1, 2.0), (2, 1.5), (3, 1.6), (4, 1.0)):
        version = registry.register("shop", candidate(day, rmse)).version
        decision = Decision(day != 3, "rmse", rmse, before, None, f"rmse {rmse}")
        if decision.promoted:
            before = registry.promote("shop", version, decision, expected=before).version
        else:
            registry.reject("shop", version, decision)
    return registry


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["models", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def statuses() -> dict[int, str]:
    return {
        version["version"]: version["status"] for version in json.loads(call("shop", "--json"))["models"][0]["versions"]
    }


def test_models_and_their_versions_are_listed_with_metric_and_reason(registry: Registry) -> None:
    header, line = call().splitlines()
    assert header.split() == ["model", "champion", "since", "metric", "versions", "last", "decision"]
    assert line.split()[:2] == ["shop", "4"]
    assert line.endswith("rmse 1  4         version 4 promoted: rmse 1.0")
    lines = call("shop").splitlines()
    assert [line.split()[:3] for line in lines[1:5]] == [
        ["1", "kept", "2013-07-01T00:00:00+00:00"],
        ["2", "kept", "2013-07-02T00:00:00+00:00"],
        ["3", "rejected", "2013-07-03T00:00:00+00:00"],
        ["4", "champion", "2013-07-04T00:00:00+00:00"],
    ]
    assert [line.split()[1:3] for line in lines[7:]] == [
        ["1", "promoted"],
        ["2", "promoted"],
        ["3", "rejected"],
        ["4", "promoted"],
    ]


def test_the_champion_before_is_champion_again(registry: Registry) -> None:
    assert call("rollback", "shop", "--reason", "scores are low").startswith(
        "shop: version 2 is the champion, and not version 4\n"
    )
    champion = registry.champion("shop")
    assert champion is not None
    assert (champion.version, champion.order) == (2, "2013-07-02T00:00:00+00:00")
    assert champion.decision.reason == "rolled back by hand: scores are low"
    assert statuses() == {1: "kept", 2: "champion", 3: "rejected", 4: "rolled back"}
    assert json.loads(call("rollback", "shop", "--reason", "r", "--json"))["champion"] == 1
    with pytest.raises(WallError, match="`shop` has no earlier champion than version 1"):
        call("rollback", "shop", "--reason", "r")


def test_any_version_is_promoted_by_hand_and_can_be_left_again(registry: Registry) -> None:
    call("promote", "shop", "3", "--reason", "it is fairer")
    assert call("promote", "shop", "3", "--reason", "r") == "shop: version 3 is the champion already\n"
    assert statuses()[3] == "champion"
    call("rollback", "shop", "--reason", "r")
    assert statuses() == {1: "kept", 2: "kept", 3: "rolled back", 4: "champion"}


def test_a_version_whose_file_was_changed_does_not_become_champion(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "lake/_wall/models/shop/versions/2/model.skops").write_bytes(b"x")
    with pytest.raises(WallError, match="was changed after its registration"):
        call("rollback", "shop", "--reason", "r")
    assert statuses()[4] == "champion"


def test_a_registry_of_an_older_version_has_the_decision_on_its_champion_only(
    registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "lake/_wall/models/shop/decisions.json").unlink()
    assert call("shop").splitlines()[-1].split()[1:3] == ["4", "promoted"]
    with pytest.raises(WallError) as error:
        call("rollback", "shop", "2", "--reason", "r")
    assert str(error.value) == (
        "version 2 of model `shop` was not the champion before; earlier champions: none\n\n"
        "hint: name one of these, or type `airflow-wall models promote shop 2 --reason WHY`"
    )


def test_a_retry_records_its_decision_once(registry: Registry) -> None:
    decision = Decision(False, "rmse", 1.6, 4, 1.0, "worse")
    registry.reject("shop", 3, decision)
    registry.reject("shop", 3, replace(decision))
    assert [record.event for record in registry.decisions("shop")].count("rejected") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shp"], "the lake has no model `shp`\n\nhint: did you mean `shop`?"),
        (["rollback", "shop", "3", "--reason", "r"],
         "version 3 of model `shop` was not the champion before; earlier champions: `2`, `1`\n\n"
         "hint: name one of these, or type `airflow-wall models promote shop 3 --reason WHY`"),
        (["promote", "shop", "9", "--reason", "r"],
         "model `shop` has no version 9\n\nhint: name one of its versions: 1, 2, 3, 4"),
        (["--storage", "lak"], "there is no lake at `lak`\n\nhint: name it with `--storage`"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message(registry: Registry, arguments: list[str], message: str) -> None:
    with pytest.raises(WallError) as error:
        call(*arguments)
    assert str(error.value) == message

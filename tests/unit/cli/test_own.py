"""`airflow-wall own`: a task becomes the owner of a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.errors import WallError
from airflow_wall.job import Run, Slice
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.owners import Owners


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    run = Run("orders", "r", "load", 1, Slice("s1", "s1"), tmp_path / "lake", tmp_path, tmp_path)
    Owners(run.storage, open_tables(run.storage)).claim("bronze/t", run, share=False)
    return tmp_path / "lake"


def test_a_table_changes_its_owner(lake: Path) -> None:
    result = CliRunner().invoke(app, ["own", "bronze/t", "shop.load", "--storage", str(lake)])
    assert (result.exit_code, result.stdout) == (0, "bronze/t: orders.load -> shop.load\n")
    assert Owners(Lake(lake), open_tables(lake)).owner("bronze/t") == "shop.load"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bronze/u", "shop.load"],
         "table `bronze/u` has no owner in the lake `{lake}`\n\n"
         "hint: nothing is to be done: the first task that writes it becomes its owner; or correct `--storage`"),
        (["bronze/t", "load"],
         "`load` must be `PIPELINE.TASK`\n\nhint: write e.g. `airflow-wall own bronze/t orders.load`"),
        (["../t", "shop.load"],
         "`../t` is not a table name: it must be a path below the storage, without `..`\n\n"
         "hint: write a name such as `bronze/orders`"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message(
    lake: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(lake.parent)
    error = CliRunner().invoke(app, ["own", *arguments, "--storage", "lake"]).exception
    assert isinstance(error, WallError)
    assert str(error) == message.format(lake="lake")
    assert Owners(Lake(lake), open_tables(lake)).owner("bronze/t") == "orders.load"

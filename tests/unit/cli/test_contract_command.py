"""`airflow-wall contract`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import yaml
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.storage.backends import open_tables


def test_the_contract_of_a_table_is_written_from_its_columns(tmp_path: Path) -> None:
    rows = pa.table({"id": [1], "zip": ["01234"], "price": pa.array([None], pa.decimal128(10, 2))})
    open_tables(tmp_path).replace_slice("bronze/t", rows, slice_id="s1", number=1)
    result = CliRunner().invoke(app, ["contract", "bronze/t", "--storage", str(tmp_path)])
    assert (result.exit_code, yaml.safe_load(result.stdout)) == (
        0,
        {"columns": {"id": "bigint", "zip": "varchar", "price": "decimal(10,2)"}},
    )


def test_a_table_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    open_tables(tmp_path).replace_slice("bronze/orders", pa.table({"id": [1]}), slice_id="s1", number=1)
    result = CliRunner().invoke(app, ["contract", "bronze/order", "--storage", str(tmp_path)])
    assert "there is no table `bronze/order`" in str(result.exception)
    assert "did you mean `bronze/orders`?" in str(result.exception)

"""SQL engines of connections."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airflow_wall.connections.databases import sql_engine
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault


def test_missing_driver_is_named_with_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConnectionFault) as error:
        sql_engine(ConnectionInfo("shop", "postgres", host="127.0.0.1"), project=tmp_path)
    assert error.value.message == "connection `shop` needs the package `psycopg`, which is not installed here"
    assert error.value.hint == "install it on every worker: `pip install 'airflow-wall[postgres]'`"

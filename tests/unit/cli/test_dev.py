"""The decisions of `airflow-wall dev` before it starts Airflow: folder, port, password."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_wall.cli import dev
from airflow_wall.cli.home import Home
from airflow_wall.errors import DeploymentError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_named_port_that_is_taken_is_an_error(taken: int) -> None:
    with pytest.raises(DeploymentError) as caught:
        dev._free_port("127.0.0.1", taken)
    assert caught.value.message == f"port {taken} is taken or not allowed"
    assert caught.value.hint == "name another with `--port`, or leave `--port` out to get a free one"


def test_next_free_port_is_taken_if_none_is_named(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "PORT", taken)
    assert taken < dev._free_port("127.0.0.1", None) < taken + 100


def test_host_of_another_machine_is_an_error() -> None:
    with pytest.raises(DeploymentError, match=r"`192\.0\.2\.1` is not an address of this machine"):
        dev._free_port("192.0.2.1", None)


def test_folder_of_pipelines(tmp_path: Path) -> None:
    assert dev._folders(tmp_path) == (tmp_path, tmp_path / "dags")  # it is made
    assert dev._folders(tmp_path / "dags") == (tmp_path, tmp_path / "dags")
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "a.yaml").write_text("dag_id: a\ntasks: [{id: a}]\n")
    assert dev._folders(flat) == (flat, flat)
    assert not (flat / "dags").exists()


def test_loader_reads_a_project_without_dags_where_it_is(tmp_path: Path) -> None:
    bundle, loader = dev._bundle(Home(tmp_path / "home"), tmp_path, tmp_path)
    assert loader is not None
    assert repr(str(tmp_path)) in loader.read_text()
    assert bundle["kwargs"] == {"path": str(loader.parent), "refresh_interval": 1}
    assert dev._bundle(Home(tmp_path / "home"), tmp_path, tmp_path / "dags")[1] is None


def test_password_is_kept_and_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    password = dev._password(home)
    assert dev._password(home) == password
    assert (home.path / "dev_password.json").stat().st_mode & 0o777 == 0o600
    keys = dev._keys(home)
    assert dev._keys(home) == keys
    (home.path / "airflow.cfg").touch()
    assert dev._keys(home) == {}  # its own keys count

"""A connection is proven before anything is started that needs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_wall.connections.info import FILE_VARIABLE, ConnectionInfo
from airflow_wall.errors import ConnectionFault
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.get_credentials import get_credentials


def env(project: Path, found: Callable[[str], ConnectionInfo]) -> Env:
    part = Slice("20130705T000000Z", "2013-07-05T00:00:00+00:00")
    return Env(Run("p", "run-5", "get_credentials", 1, part, project / "lake", project, project), found)


def sqlite(host: str) -> Callable[[str], ConnectionInfo]:
    return lambda conn_id: ConnectionInfo(conn_id, "sqlite", host=host, login="reader", password="secret")


def test_reference_is_returned_and_no_secret(tmp_path: Path) -> None:
    found = get_credentials(env(tmp_path, sqlite("lake/p.db")), conn_id="platform")
    assert found == {"conn_id": "platform", "conn_type": "sqlite", "login": "reader"}


@pytest.mark.parametrize("kind", ["aws", "google_cloud_platform", "http"])
def test_login_of_other_types_is_not_returned(tmp_path: Path, kind: str) -> None:
    """The login of AWS is the id of an access key, and results are in Airflow's database and UI."""
    known = ConnectionInfo("there", kind, login="AKIAIOSFODNN7EXAMPLE", password="secret")
    assert get_credentials(env(tmp_path, lambda conn_id: known), conn_id="there") == {
        "conn_id": "there",
        "conn_type": kind,
    }


def test_connection_that_is_not_defined_is_named_with_its_key(tmp_path: Path) -> None:
    def missing(conn_id: str) -> ConnectionInfo:
        raise ConnectionFault(f"connection `{conn_id}` is not defined", hint="define it")

    with pytest.raises(ConnectionFault) as caught:
        get_credentials(env(tmp_path, missing), conn_id="platform")
    assert str(caught.value) == "`conn_id`: connection `platform` is not defined\n\nhint: define it"


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        (None, "correct the connection: `airflow connections get platform` shows it"),
        ("/p/connections.yaml", "correct the connection: it is in `/p/connections.yaml`"),
    ],
    ids=["airflow", "command-line"],
)
def test_file_of_another_kind_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str | None, hint: str
) -> None:
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    if file is not None:
        monkeypatch.setenv(FILE_VARIABLE, file)
    (tmp_path / "notes.txt").write_text("this is a text, and no database at all" * 100)
    with pytest.raises(ConnectionFault) as caught:
        get_credentials(env(tmp_path, sqlite("notes.txt")), conn_id="platform")
    assert str(caught.value) == (
        f"`conn_id`: connection `platform` (sqlite:///{tmp_path}/notes.txt) was refused: file is not a database\n\n"
        f"hint: {hint}"
    )

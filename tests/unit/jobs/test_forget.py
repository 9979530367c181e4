"""`forget`: a person's rows are erased from the lake, and stay erased, also if the command is killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_wall.jobs.forget import ERASED
from airflow_wall.text.reserved import STATE

LAB = Path(__file__).with_name("erasure_lab.py")
PERSON = b"ada@example.org"
BAD = b"lovelace"
STEP = 10
"""Every tenth change of a file is tried."""


def lab(lake: Path, *commands: str, kill: int = 0) -> int:
    """Run commands of the lab in a process. With `kill`, it kills itself before that change of a file."""
    call = [sys.executable, str(LAB), str(lake), str(kill), *commands]
    return subprocess.run(call, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).returncode


def holders(lake: Path) -> list[str]:
    """Return the files of a lake, without those of the source, that hold the person's bytes; Parquet is read."""
    import pyarrow.parquet as pq

    names = []
    for path in sorted(lake.rglob("*")):
        if path.is_file() and not path.is_symlink() and "landing" not in path.parts:
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += repr(pq.read_table(path).to_pylist()).encode()
            if PERSON in content or BAD in content:
                names.append(path.relative_to(lake).as_posix())
    return names


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("erasure") / "lake"
    assert lab(lake, "make") == 0
    return lake


@pytest.fixture
def lake(template: Path, tmp_path: Path) -> Path:
    subprocess.run(["cp", "-r", str(template), str(tmp_path / "lake")], check=True)
    return tmp_path / "lake"


def test_the_person_is_nowhere_in_the_lake_and_stays_away(lake: Path) -> None:
    kinds = {name.split("/")[0] for name in holders(lake)}
    assert {"bronze", "silver", "published", "clients.db", STATE} <= kinds  # there is something to erase
    assert lab(lake, "forget") == 0
    assert holders(lake) == []
    assert all(ERASED in report.read_text() for report in (lake / STATE / "reports").rglob("*.html"))
    assert lab(lake, "again", "publish", "rollback") == 0  # the source is read again, and an earlier release shown
    assert holders(lake) == []
    with sqlite3.connect(lake / "clients.db") as database:
        assert database.execute("SELECT count(*) FROM orders").fetchone() == (4,)
    [record] = [path for path in (lake / STATE / "forgotten").glob("[!.]*.json") if path.name != "salt.json"]
    document = json.loads(record.read_text())
    assert (document["done"], document["reason"], document["tables"]) == (
        True, "request 7", ["bronze/orders", "silver/orders"],
    )  # fmt: skip
    assert document["rows"]["bronze/orders"] == 4  # two dates, and two bad rows


def test_verdicts_and_lineage_of_the_other_rows_stay_valid(lake: Path) -> None:
    assert lab(lake, "forget", "judge") == 0


@pytest.mark.slow
def test_a_killed_command_is_completed_by_the_same_call(template: Path, tmp_path: Path) -> None:
    killed = 0
    for number in range(1, 200, STEP):
        lake = tmp_path / str(number)
        subprocess.run(["cp", "-r", str(template), str(lake)], check=True)
        code = lab(lake, "forget", kill=number)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        assert lab(lake, "forget", "rollback") == 0
        assert holders(lake) == [], number
    assert killed >= 5

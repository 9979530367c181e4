"""One owner per table, unless its writers share it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError, Interrupted
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.ingest import ingest
from airflow_wall.jobs.transform import transform
from airflow_wall.lake import lake as lakes
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.owners import Owners


class Lake:
    """A lake that tasks of two pipelines write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.storage = root / "lake"
        for name, value in (("a", 1), ("b", 2), ("c", 3)):
            (self.storage / "landing" / name).mkdir(parents=True)
            (self.storage / "landing" / name / f"{name}.csv").write_text(f"id,v\n{value},{value}\n")
        self.tables = open_tables(self.storage)
        self.owners = Owners(lakes.Lake(self.storage), self.tables)

    def env(self, task: str, slice_id: str = "s1", map_index: int = -1) -> Env:
        pipeline, _, name = task.partition(".")
        task_id = name if map_index < 0 else f"{name}.{map_index}"
        run = Run(
            pipeline,
            "r",
            task_id,
            1,
            Slice(slice_id, slice_id),
            self.storage,
            self.root,
            self.root,
            map_index=map_index,
        )
        return Env(run, lambda conn_id: ConnectionInfo(conn_id, "sqlite", host="w.db"))

    def ingest(
        self, task: str, folder: str, *, slice_id: str = "s1", map_index: int = -1, **more: Any
    ) -> dict[str, Any]:
        env = self.env(task, slice_id, map_index)
        return ingest(env, **{"source": f"landing/{folder}", "target": "bronze/t", **more})

    def rows(self, slices: list[str] | None = None) -> list[int]:
        return sorted(self.tables.read("bronze/t", slices=slices).column("id").to_pylist())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def _error(call: Any) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


def test_another_task_may_not_write_a_table(lake: Lake) -> None:
    lake.ingest("p1.load_a", "a")
    for writer in ("p1.load_b", "p2.load_a"):
        assert _error(lambda writer=writer: lake.ingest(writer, "b")) == (
            f"table `bronze/t` belongs to `p1.load_a`; `{writer}` may not write it, because it would replace its rows\n\n"
            "hint: write another `target`; or write `share: true` in both tasks, if their rows belong together; or, if "
            f"`p1.load_a` was renamed, take the table over: `airflow-wall own bronze/t {writer} --storage {lake.storage}`"
        )
    assert lake.rows() == [1]
    assert lake.owners.owner("bronze/t") == "p1.load_a"


def test_a_transform_may_not_write_the_table_of_an_ingest(lake: Lake) -> None:
    lake.ingest("p.load", "a")
    make = {"target": "bronze/t", "inputs": {"raw": "bronze/t"}, "sql": "SELECT * FROM raw"}
    assert "belongs to `p.load`" in _error(lambda: transform(lake.env("p.clean"), **make))
    assert "belongs to `p.load`" in _error(lambda: transform(lake.env("p.clean"), mode="full", **make))
    assert lake.rows() == [1]


def test_writers_that_share_a_table_keep_their_rows_apart(lake: Lake) -> None:
    for _ in range(2):
        for task, folder in (("p1.load", "a"), ("p2.load", "b"), ("p2.more", "c")):
            lake.ingest(task, folder, share=True)
            lake.ingest(task, folder, slice_id="s2", share=True)
        assert lake.rows() == lake.rows(["s1"]) == [1, 2, 3]
    assert lake.tables.slices("bronze/t") == ["s1"]
    (lake.storage / "landing/b/b.csv").write_text("id,v\n20,2\n")
    result = lake.ingest("p2.load", "b", slice_id="s3", share=True)
    assert result["corrected"] == {"s1": ["landing/b/b.csv"]}
    assert lake.rows(["s1"]) == [1, 3, 20]
    assert set(lake.tables.read("bronze/t", hidden=True).column("_wall_slice").to_pylist()) == {"s1"}
    assert lake.tables.read("bronze/t", where="_wall_slice = 's1'").num_rows == 3
    assert len(lake.tables.files("bronze/t", slices=["s1"]).paths) == 3
    assert lake.tables.files("bronze/t", slices=["s2"]).paths == ()


def test_both_must_share(lake: Lake) -> None:
    lake.ingest("p1.load", "a")
    assert _error(lambda: lake.ingest("p2.load", "b", share=True)) == (
        "table `bronze/t` belongs to `p1.load`, which does not share it; `p2.load` may not write it\n\n"
        "hint: write `share: true` in `p1.load` too, and run it first"
    )
    lake.ingest("p1.load", "a", share=True)
    lake.ingest("p2.load", "b", share=True)
    assert "may not write it" in _error(lambda: lake.ingest("p2.load", "b"))
    assert lake.rows() == [1, 2]


def test_rows_of_an_older_version_belong_to_the_owner(lake: Lake) -> None:
    old = pa.table({"id": [7], "v": [7], "_wall_source": ["landing/old.csv"]})
    lake.tables.replace_slice("bronze/t", old, slice_id="s1", number=1)
    lake.ingest("p1.load", "a", share=True)  # the first to write it since
    lake.ingest("p2.load", "b", share=True)
    assert lake.rows() == [1, 2]


def test_a_whole_table_is_not_shared(lake: Lake) -> None:
    lake.ingest("p.load", "a")
    make = {"target": "silver/t", "inputs": {"raw": "bronze/t"}, "sql": "SELECT * FROM raw", "mode": "full"}
    assert _error(lambda: transform(lake.env("p.clean"), share=True, **make)) == (
        "`share` must be used with `mode: slice`, got `mode: full`, which replaces the rows of all writers\n\n"
        "hint: remove `share`"
    )


def test_instances_of_a_mapped_task_are_one_writer(lake: Lake) -> None:
    lake.ingest("p.load", "a", map_index=0)
    lake.ingest("p.load", "b", map_index=1, target="bronze/u")
    lake.ingest("p.load", "a", map_index=1, slice_id="s2")
    assert _error(lambda: lake.ingest("p.load", "b", map_index=1)) == (
        "table `bronze/t` is written by instance 0 of the mapped task `load` in slice `s1`, and instance 1 would replace "
        "its rows\n\nhint: give each instance another `target`, or write `share: true`"
    )
    assert lake.owners.owner("bronze/t") == "p.load"


def test_instances_of_a_mapped_task_may_share(lake: Lake) -> None:
    for index, folder in enumerate("abc"):
        lake.ingest("p.load", folder, map_index=index, share=True)
    assert lake.rows(["s1"]) == [1, 2, 3]


def test_a_renamed_task_takes_its_table_over(lake: Lake) -> None:
    lake.ingest("p.load", "a")
    assert lake.owners.take_over("bronze/t", "p.ingest") == "p.load"
    assert lake.ingest("p.ingest", "a")["changed"] is False
    assert "belongs to `p.ingest`" in _error(lambda: lake.ingest("p.load", "a"))


def test_a_task_that_failed_before_it_wrote_keeps_nothing(lake: Lake) -> None:
    (lake.storage / "landing/a/a.csv").write_text("id,v\n1,1,1\n")
    _error(lambda: lake.ingest("p.old", "a"))
    lake.ingest("p.new", "b")
    assert lake.owners.owner("bronze/t") == "p.new"


def test_a_task_that_lost_its_table_meanwhile_writes_nothing(lake: Lake) -> None:
    run = lake.env("p.load").run
    claim = lake.owners.claim("bronze/t", run, share=False)
    lake.owners.take_over("bronze/t", "q.load")
    with pytest.raises(Interrupted, match=r"`bronze/t` was taken over by `q\.load`"):
        claim.check()


def test_the_task_that_creates_a_table_owns_it(lake: Lake) -> None:
    """Also if another task claims it between the last check and the first commit, and if both are killed then."""
    first = lake.owners.claim("bronze/t", lake.env("p.load").run, share=False)
    first.check()
    second = lake.owners.claim("bronze/t", lake.env("q.load").run, share=False)
    rows = pa.table({"id": [1], "v": [1]})
    open_tables(lake.storage, created_by=first.note).replace_slice("bronze/t", rows, slice_id="s1", number=1)
    for number in (2, 3):  # later commits do not change it
        lake.tables.replace_slice("bronze/t", rows, slice_id=f"s{number}", number=number)
    assert lake.tables.created_by("bronze/t") == {"owner": "p.load", "shared": "false"}
    with pytest.raises(Interrupted, match=r"`bronze/t` was taken over by `p\.load`"):
        second.check()
    assert lake.owners.owner("bronze/t") == "p.load"
    assert "belongs to `p.load`" in _error(lambda: lake.ingest("q.load", "b"))
    assert lake.ingest("p.load", "a")["rows"] == 1


def test_writers_that_share_a_new_table_claim_it_at_once(lake: Lake) -> None:
    first, second = (lake.owners.claim("bronze/t", lake.env(task).run, share=True) for task in ("p.load", "q.load"))
    assert (first.writer, second.writer) == (None, "q.load")
    rows = pa.table({"id": [2], "v": [2]})
    tables = open_tables(lake.storage, created_by=second.note)  # the second is faster
    tables.replace_slice("bronze/t", rows, slice_id="s1", number=1, writer=second.writer)
    first.check()
    for task, folder in (("p.load", "a"), ("q.load", "b")):
        lake.ingest(task, folder, share=True)
    assert lake.rows() == [1, 2]


def test_of_two_first_writers_one_is_the_owner(lake: Lake) -> None:
    start = threading.Barrier(4)

    def write(number: int) -> bool:
        start.wait()
        try:
            lake.ingest(f"p{number}.load", "abc"[number % 3])
        except (DataError, Interrupted):
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == 1
    assert len(lake.rows()) == 1

from __future__ import annotations

import multiprocessing
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from airflow_wall.errors import DataError, Interrupted
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import SOURCE, SourceVersion
from airflow_wall.storage.delta import DeltaStore


def _table(values: Sequence[int], **columns: object) -> pa.Table:
    return pa.table({"a": pa.array(values, pa.int64()), **columns})


def _from(uri: str, values: Sequence[int]) -> pa.Table:
    return _table(values, **{SOURCE: [uri] * len(values)})


def _values(store: DeltaStore, table: str = "b/t") -> list[int]:
    return sorted(store.read(table).column("a").to_pylist())


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    return DeltaStore(tmp_path / "a lake")


def _put(store: DeltaStore, slice_id: str, data: pa.Table, *sources: SourceVersion, number: int = 7):
    return store.replace_slice("b/t", data, slice_id=slice_id, number=number, sources=sources)


def test_a_slice_is_replaced_and_the_others_stay(store: DeltaStore) -> None:
    first = _put(store, "s1", _table([1, 2]))
    _put(store, "s2", _table([3]))
    again = _put(store, "s1", _table([4]))
    assert (first.rows, first.changed, again.rows, again.changed) == (2, True, 1, True)
    assert again.version == store.version("b/t") == 2
    assert _values(store) == [3, 4]
    assert store.slices("b/t") == ["s1", "s2"]


def test_the_same_slice_again_changes_nothing(store: DeltaStore) -> None:
    first = _put(store, "s1", _table([1, 2]))
    again = _put(store, "s1", _table([1, 2]))
    assert (again.version, again.rows, again.changed) == (first.version, 2, False)


def test_values_under_a_null_do_not_count_as_a_change(store: DeltaStore) -> None:
    """One reader leaves a zero there, and another whatever it had."""
    for garbage in (0, 99):
        values = pa.array([1, garbage, 3], pa.int64()).buffers()[1]
        data = pa.table({"x": pa.Array.from_buffers(pa.int64(), 3, [pa.py_buffer(b"\x05"), values])})
        assert _put(store, "s1", data).changed == (garbage == 0)


NESTED = {
    "struct": pa.struct([("x", pa.int64()), ("in", pa.struct([("y", pa.string())]))]),
    "list": pa.list_(pa.struct([("x", pa.int64())])),
    "structs of lists": pa.struct([("xs", pa.list_(pa.int64()))]),
    "map": pa.map_(pa.string(), pa.struct([("x", pa.int64())])),
}
NESTED_VALUES = {
    "struct": {"x": None, "in": {"y": "a"}},
    "list": [{"x": 1}, {"x": None}],
    "structs of lists": {"xs": [1, None]},
    "map": [("k", {"x": 1})],
}


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("is_all_null", [False, True])
def test_a_nested_column_may_have_nulls(store: DeltaStore, tmp_path: Path, kind: str, *, is_all_null: bool) -> None:
    values = [None, None if is_all_null else NESTED_VALUES[kind], None]
    data = pa.table({"id": [1, 2, 3], "flag": [True, None, False], "x": pa.array(values, NESTED[kind])})
    assert _put(store, "s1", data).changed
    assert not _put(store, "s1", data).changed
    assert store.read("b/t").select(data.column_names) == data
    assert DeltaTable(tmp_path / "a lake" / "b" / "t").to_pyarrow_table().column("x").to_pylist() == values


def test_a_slice_with_a_quote_in_its_name_is_replaced(store: DeltaStore) -> None:
    _put(store, "it's", _table([1]))
    _put(store, "it's", _table([2]))
    assert _values(store) == [2]


def test_a_slice_may_become_empty(store: DeltaStore) -> None:
    _put(store, "s1", _table([1]))
    assert _put(store, "s1", pa.table({})).rows == 0
    assert store.read("b/t").num_rows == 0
    assert store.schema("b/t") == pa.schema([("a", pa.int64())])


def test_nothing_makes_no_table(store: DeltaStore) -> None:
    commit = _put(store, "s1", pa.table({}))
    assert (commit.version, commit.rows, commit.changed) == (-1, 0, False)
    assert not store.exists("b/t")


def test_new_columns_are_added(store: DeltaStore) -> None:
    _put(store, "s1", _table([1]))
    _put(store, "s2", _table([2], b=["x"]))
    _put(store, "s3", pa.table({"b": ["y"]}))
    rows = store.read("b/t", columns=["b", "a"]).to_pydict()
    assert rows == {"b": [None, "x", "y"], "a": [1, 2, None]}


def test_letter_case_adds_no_column(store: DeltaStore) -> None:
    _put(store, "s1", _table([1]))
    _put(store, "s2", pa.table({"A": [2]}))
    assert _values(store) == [1, 2]


def test_a_changed_type_is_refused_and_nothing_is_written(store: DeltaStore) -> None:
    _put(store, "s1", _table([1]))
    with pytest.raises(DataError) as caught:
        _put(store, "s2", pa.table({"a": ["x"]}))
    assert str(caught.value) == (
        "column `a` of table `b/t` must have type `int64`, got `string` in the new rows\n\n"
        "hint: cast the new rows to `int64`, or write to another table"
    )
    assert _values(store) == [1]


def test_a_wider_type_takes_a_narrower_one(store: DeltaStore) -> None:
    _put(store, "s1", pa.table({"a": [1.5], "n": pa.array([2**40], pa.int64())}))
    _put(store, "s2", pa.table({"a": pa.array([2], pa.int32()), "n": pa.array([None], pa.null())}))
    assert store.read("b/t").to_pydict() == {"a": [1.5, 2.0], "n": [2**40, None]}


def test_a_type_becomes_wider_in_one_commit_and_slices_stay_the_same(store: DeltaStore) -> None:
    _put(store, "s1", _table([2, 1]))
    _put(store, "s2", _table([3]))
    before = store.version("b/t")
    assert _put(store, "s3", pa.table({"a": [1.5]})).version == before + 1
    assert store.read("b/t").to_pydict() == {"a": [2.0, 1.0, 3.0, 1.5]}
    again = _put(store, "s1", _table([2, 1]))
    assert (again.changed, again.version) == (False, before + 1)
    assert _put(store, "s1", _table([2, 5])).changed
    assert store.read("b/t", slices=["s1"]).to_pydict() == {"a": [2.0, 5.0]}


def test_a_source_version_of_another_slice_is_left_out(store: DeltaStore) -> None:
    one, two = SourceVersion("f/1.csv", "v1"), SourceVersion("f/2.csv", "v1")
    _put(store, "s1", _from("f/1.csv", [1, 2]), one, number=11)
    both = pa.concat_tables([_from("f/1.csv", [1, 2]), _from("f/2.csv", [3])])
    assert store.held_elsewhere("b/t", [one, two], slice_id="s2") == {one: "s1"}
    assert _put(store, "s2", both, one, two, number=22).rows == 1
    assert _values(store) == [1, 2, 3]
    assert (store.owner("b/t", one), store.owner("b/t", two)) == (11, 22)
    assert store.owner("b/t", SourceVersion("f/1.csv", "v2")) is None


def test_a_corrected_source_goes_back_into_the_slice_that_took_it_first(store: DeltaStore) -> None:
    old, new = SourceVersion("f/it's.csv", "v1"), SourceVersion("f/it's.csv", "v2")
    other, later = SourceVersion("f/b.csv", "v1"), SourceVersion("f/c.csv", "v1")
    _put(store, "s1", pa.concat_tables([_from("f/b.csv", [3]), _from("f/it's.csv", [1, 2])]), other, old)
    before, contents = store.version("b/t"), store.contents("b/t").of(["s1"])
    assert store.held_elsewhere("b/t", [new], slice_id="s2") == {}
    both = pa.concat_tables([_from("f/c.csv", [7]), _from("f/it's.csv", [10])])
    commit = _put(store, "s2", both, later, new)
    assert (commit.version, commit.rows, commit.corrected) == (before + 1, 1, {"s1": ("f/it's.csv",)})
    rows = store.read("b/t", hidden=True).select(["a", "_wall_slice"]).to_pydict()
    assert rows == {"a": [3, 10, 7], "_wall_slice": ["s1", "s1", "s2"]}
    assert store.contents("b/t").of(["s1"]) != contents
    assert store.held_elsewhere("b/t", [new], slice_id="s3") == {new: "s1"}
    again = _put(store, "s2", both, later, new)
    assert (again.changed, again.corrected) == (False, {})


def test_a_correction_that_is_taken_back_is_another_correction(store: DeltaStore) -> None:
    first, second = SourceVersion("f/a.csv", "v1"), SourceVersion("f/a.csv", "v2")
    _put(store, "s1", _from("f/a.csv", [1]), first)
    _put(store, "s2", _from("f/a.csv", [2]), second)
    _put(store, "s3", _from("f/a.csv", [1]), first)
    assert store.read("b/t", slices=["s1"]).column("a").to_pylist() == [1]
    assert _values(store) == [1]
    _put(store, "s2", _from("f/a.csv", [2]), second)
    _put(store, "s1", _from("f/a.csv", [1]), first)  # its first try wrote the same, but the slice has changed since
    assert _values(store) == [1]


def test_rows_for_a_source_without_any_go_where_it_was_taken_first(store: DeltaStore) -> None:
    _put(store, "s1", _from("f/a.csv", [1]), SourceVersion("f/a.csv", "v1"), SourceVersion("f/empty.csv", "v1"))
    newer = SourceVersion("f/empty.csv", "v2")
    commit = store.replace_slice(
        "b/t", _from("f/empty.csv", [5]), slice_id="s2", number=2, sources=[newer], homes={"f/empty.csv": "s1"}
    )
    assert (commit.rows, commit.corrected) == (0, {"s1": ("f/empty.csv",)})
    assert store.read("b/t", slices=["s1"]).column("a").to_pylist() == [1, 5]


def test_a_correction_with_a_new_column_keeps_the_other_rows(store: DeltaStore) -> None:
    _put(store, "s1", pa.concat_tables([_from("f/a.csv", [1]), _from("f/b.csv", [2])]))
    store.replace_slice(
        "b/t",
        pa.concat_tables([_from("f/a.csv", [1]), _from("f/b.csv", [2])]),
        slice_id="s1",
        number=1,
        sources=[SourceVersion("f/a.csv", "v1"), SourceVersion("f/b.csv", "v1")],
    )
    _put(store, "s2", pa.table({"a": [3], "x": ["new"], SOURCE: ["f/a.csv"]}), SourceVersion("f/a.csv", "v2"))
    assert store.read("b/t").to_pydict() == {"a": [3, 2], "x": ["new", None]}


def test_a_version_by_size_and_time_of_an_older_lake_is_the_same(store: DeltaStore) -> None:
    _put(store, "s1", _from("f/a.csv", [1]), SourceVersion("f/a.csv", "4-1000"))
    digest = SourceVersion("f/a.csv", "sha256:ab", stamp="4-1000")
    assert store.held_elsewhere("b/t", [digest], slice_id="s2") == {digest: "s1"}


def test_contents_change_with_the_rows_that_are_read_and_with_nothing_else(store: DeltaStore) -> None:
    assert store.contents("b/t").of(None) == ""
    _put(store, "s1", _table([1]))
    first = store.contents("b/t").of(["s1"])
    assert store.contents("b/t").of(["s2"]) == ""
    assert store.contents("b/t").of(None) == first
    _put(store, "s2", _table([2], x=["y"]))
    assert store.contents("b/t").of(["s1"]) == first
    assert store.contents("b/t").of(None) not in ("", first)
    _put(store, "s1", _from("f/a.csv", [1]), SourceVersion("f/a.csv", "v1"))  # equal rows of a source
    assert store.contents("b/t").of(["s1"]) == first
    _put(store, "s1", pa.table({}))
    assert store.contents("b/t").of(["s1"]) == ""
    store.replace_table("b/t", _table([7]))
    whole = store.contents("b/t").of(["s1"])
    assert whole == store.contents("b/t").of(None) != ""
    _put(store, "s1", _table([1]))
    assert store.contents("b/t").of(["s2"]) == whole


def test_a_snapshot_moves_to_the_slice_that_reads_it(store: DeltaStore) -> None:
    _put(store, "s1", _from("sql://w/t", [1]), SourceVersion("sql://w/t", "1-a", moves=True))
    _put(store, "s2", _from("sql://w/t", [1, 2]), SourceVersion("sql://w/t", "2-b", moves=True))
    assert store.read("b/t", hidden=True).column("_wall_slice").to_pylist() == ["s2", "s2"]
    assert store.contents("b/t").of(["s1"]) == ""


def test_rows_that_a_cursor_delivers_again_stay_where_they_are(store: DeltaStore) -> None:
    uri = "sql://w/orders"
    _put(store, "s1", _from(uri, [1, 2]), SourceVersion(uri, "a=2#1", cursor="a"))
    before = store.contents("b/t").of(["s1"])
    commit = _put(store, "s3", _from(uri, [2, 2, 3, 4]), SourceVersion(uri, "a=4#1", since="a=2#1", cursor="a"))
    assert (commit.rows, commit.corrected) == (3, {})  # one row with 2 was held, and another one is new
    assert store.contents("b/t").of(["s1"]) == before
    _put(store, "s2", _from(uri, [2, 3]), SourceVersion(uri, "a=3#1", since="a=2#1", cursor="a"))  # it ran late
    assert _values(store) == [1, 2, 2, 3, 4]
    assert store.read("b/t", slices=["s2"]).num_rows == 0
    assert not _put(
        store, "s3", _from(uri, [2, 2, 3, 4]), SourceVersion(uri, "a=4#1", since="a=2#1", cursor="a")
    ).changed


def test_a_row_with_another_value_is_another_row(store: DeltaStore) -> None:
    uri = "sql://w/orders"
    _put(store, "s1", pa.table({"a": [1], "v": ["x"], SOURCE: [uri]}), SourceVersion(uri, "a=1#1", cursor="a"))
    again = pa.table({"a": [1, 1], "v": ["x", None], "new": [None, 1], SOURCE: [uri, uri]})
    assert _put(store, "s2", again, SourceVersion(uri, "a=1#2", since="a=1#1", cursor="a")).rows == 1
    assert store.read("b/t", slices=["s2"]).to_pylist() == [{"a": 1, "v": None, "new": 1}]


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.date32(), pa.string(), pa.float64(), pa.decimal128(21, 2)],
)
def test_a_cursor_may_have_any_ordered_type(store: DeltaStore, kind: pa.DataType) -> None:
    uri = "sql://w/orders"
    base = pa.array([86_400_000_000 * day for day in (1, 2, 3)], pa.int64())
    if pa.types.is_date(kind):
        cursor = pa.array([1, 2, 3], pa.int32()).cast(kind)
    elif pa.types.is_timestamp(kind):
        cursor = base.cast(kind)
    else:
        cursor = pa.array([1, 2, 3]).cast(kind)
    data = pa.table({"c": cursor, SOURCE: [uri] * 3})
    _put(store, "s1", data, SourceVersion(uri, "3", cursor="c"))
    _put(store, "s2", data.slice(1), SourceVersion(uri, "3", since="1", cursor="c"))
    assert store.read("b/t").num_rows == 3
    assert store.read("b/t", slices=["s2"]).num_rows == 0


def test_a_whole_table_is_replaced_with_its_schema(store: DeltaStore) -> None:
    _put(store, "s1", _table([1]))
    first = store.replace_table("b/t", pa.table({"b": ["x", "y"]}))
    again = store.replace_table("b/t", pa.table({"b": ["x", "y"]}))
    assert (first.rows, first.changed, again.rows, again.changed) == (2, True, 2, False)
    assert store.schema("b/t").names == ["b"]
    assert store.slices("b/t") == []


def test_rows_of_a_whole_table_belong_to_every_slice(store: DeltaStore) -> None:
    store.replace_table("b/t", _table([1]))
    _put(store, "s1", _table([2]))
    assert sorted(store.read("b/t", slices=["s1"]).column("a").to_pylist()) == [1, 2]
    assert store.read("b/t", slices=["s2"]).column("a").to_pylist() == [1]


def test_replacing_the_whole_table_forgets_what_slices_had_written(store: DeltaStore) -> None:
    source = SourceVersion("f/1.csv", "v1")
    _put(store, "s1", _from("f/1.csv", [1]), source)
    store.replace_table("b/t", _from("f/0.csv", [0]))
    assert _put(store, "s1", _from("f/1.csv", [1]), source).changed
    assert _values(store) == [0, 1]
    assert store.replace_table("b/t", _from("f/0.csv", [0])).changed
    assert _values(store) == [0]


def test_rows_come_in_the_order_of_slices(store: DeltaStore) -> None:
    for slice_id in ("s3", "s1", "s2"):
        _put(store, slice_id, _table([int(slice_id[1])]))
    assert store.read("b/t").column("a").to_pylist() == [1, 2, 3]


def test_rows_of_a_slice_stay_in_their_order(store: DeltaStore) -> None:
    parts = pa.concat_tables([_table(range(place * 50, place * 50 + 50)) for place in range(40)])
    for rows in (parts, parts.slice(1)):
        _put(store, "s1", rows)
        assert store.read("b/t").equals(rows)


def test_rows_are_read_by_slice_column_and_condition(store: DeltaStore) -> None:
    _put(store, "s1", _table([1, 2, 3], b=["x", "y", "z"]))
    _put(store, "s2", _table([4], b=["x"]))
    assert store.read("b/t", slices=["s1"], columns=["b"], where="a > 1 -- why").to_pydict() == {"b": ["y", "z"]}
    assert store.read("b/t", where="_wall_slice = 's2'").column("a").to_pylist() == [4]
    assert store.read("b/t", hidden=True).column_names == ["a", "b", "_wall_slice"]


def test_a_condition_keeps_the_order_of_rows(store: DeltaStore) -> None:
    """DuckDB makes a join of `IN` with many values, and a join on several threads has no order."""
    _put(store, "s1", _table(range(400_000)))
    rows = store.read("b/t", where="a NOT IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)")
    assert rows.column("a").to_pylist() == [0, *range(11, 400_000)]


def test_an_unknown_column_names_the_nearest(store: DeltaStore) -> None:
    _put(store, "s1", _table([1], mean_delay=[1.0]))
    with pytest.raises(DataError) as caught:
        store.read("b/t", columns=["mean_dela"])
    assert str(caught.value) == (
        "table `b/t` has no column `mean_dela`; it has `a`, `mean_delay`\n\nhint: did you mean `mean_delay`?"
    )


def test_a_condition_that_fails_is_reported_with_the_columns(store: DeltaStore) -> None:
    _put(store, "s1", _table([1]))
    with pytest.raises(DataError) as caught:
        store.read("b/t", where="hour > 1")
    assert str(caught.value) == (
        '`hour > 1` must be a SQL condition on table `b/t`: Binder Error: Referenced column "hour" not found in FROM '
        "clause!\n\n"
        "hint: use its columns: `a`"
    )


def test_condition_cannot_be_a_second_statement(
    store: DeltaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _put(store, "s1", _table([1]))
    with pytest.raises(DataError, match="it turns the query into `SELECT`, `COPY`, `SELECT`"):
        store.read("b/t", where="a = 1); COPY (SELECT 1) TO '.tmp/x.csv'; SELECT 1 WHERE (true")


def test_a_condition_cannot_read_files(store: DeltaStore, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    _put(store, "s1", _table([1]))
    with pytest.raises(DataError, match="file system operations are disabled by configuration"):
        store.read("b/t", where=f"a IN (SELECT a FROM read_csv('{tmp_path}/secret.csv'))")


def test_names_are_found_by_pattern_and_our_own_state_is_not_among_them(store: DeltaStore, tmp_path: Path) -> None:
    for table in ("silver/b", "silver/a", "gold/x/y"):
        store.replace_slice(table, _table([1]), slice_id="s", number=1)
    DeltaStore(tmp_path / "a lake" / "_wall").replace_table("ledger", _table([1]))
    assert store.names("silver/*") == ["silver/a", "silver/b"]
    assert store.names("gold/*/y") == ["gold/x/y"]
    assert store.names("silver/a") == ["silver/a"]
    with pytest.raises(DataError) as caught:
        store.names("bronze/*")
    assert str(caught.value) == (
        f"no table in `{tmp_path}/a lake` matches `bronze/*`: it has `gold/x/y`, `silver/a`, `silver/b`\n\n"
        "hint: correct the pattern, or run the tasks that write these tables first"
    )


def test_a_missing_table_names_the_nearest(store: DeltaStore, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        store.read("silver/domain_1")
    assert str(caught.value) == (
        f"there is no table `silver/domain_1` in `{tmp_path}/a lake`: it has no tables yet\n\n"
        "hint: run the task that writes it first"
    )
    store.replace_slice("silver/domain_1", _table([1]), slice_id="s", number=1)
    with pytest.raises(DataError) as caught:
        store.names("silver/domain1")
    assert str(caught.value) == (
        f"there is no table `silver/domain1` in `{tmp_path}/a lake`: it has `silver/domain_1`\n\n"
        "hint: did you mean `silver/domain_1`?"
    )


@pytest.mark.parametrize("name", ["", "/etc", "../up", "a/../../b", "a//b", "a\\b", "a/", "s3://b"])
def test_a_name_that_leaves_the_lake_is_refused(store: DeltaStore, name: str) -> None:
    with pytest.raises(DataError) as caught:
        store.replace_table(name, _table([1]))
    assert str(caught.value) == (
        f"`{name}` is not a table name: it must be a path below the storage, without `..`\n\n"
        "hint: write a name such as `bronze/orders`"
    )


@pytest.mark.parametrize(
    "name", ["_wall/ledger", "a/_WALL/b", "published/prices/releases/v1", "silver/Published/x", "b/orders/_delta_log"]
)
def test_a_reserved_name_is_refused_at_every_depth(store: DeltaStore, name: str, tmp_path: Path) -> None:
    for call in (store.replace_table, lambda table, _: store.read(table), lambda table, _: store.names(table)):
        with pytest.raises(DataError, match="one of the reserved names `_wall`, `published`, `_delta_log`"):
            call(name, _table([1]))
    assert list(tmp_path.rglob("*.parquet")) == []


def test_a_pattern_matches_no_table_in_a_reserved_folder(store: DeltaStore, tmp_path: Path) -> None:
    _put(store, "s1", _table([1]))
    written = next((tmp_path / "a lake").rglob("_delta_log")).parent
    for folder in ("published/x", "b/PUBLISHED/x", "_wall/x"):
        shutil.copytree(written, tmp_path / "a lake" / folder)
    assert store.names("*/*") == ["b/t"]
    with pytest.raises(DataError, match="no table"):
        store.names("*/*/*")


def test_a_first_commit_that_was_killed_leaves_no_table(store: DeltaStore, tmp_path: Path) -> None:
    (tmp_path / "a lake/b/t/_delta_log").mkdir(parents=True)
    assert not store.exists("b/t")
    _put(store, "s1", _table([1]))
    assert _values(store) == [1]


def test_a_writer_that_always_loses_is_interrupted(store: DeltaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeltaStore, "_commit", lambda *_: False)
    monkeypatch.setattr("airflow_wall.storage.delta.pause", lambda _: None)
    with pytest.raises(Interrupted) as caught:
        _put(store, "s1", _table([1]))
    assert str(caught.value) == (
        "table `b/t`: other writers committed first 12 times; this try wrote nothing\n\nhint: run the task again"
    )


Writer = tuple[str, str | None, pa.Table]


def _write(storage: Path, writer: Writer) -> bool:
    slice_id, uri, data = writer
    sources = [] if uri is None else [SourceVersion(uri, "v1")]
    return DeltaStore(storage).replace_slice("b/t", data, slice_id=slice_id, number=7, sources=sources).changed


def _racing(storage: Path, *writers: Writer) -> list[bool]:
    """Let all write at the same moment, in threads: the store is called without Python's lock."""
    start = threading.Barrier(len(writers))

    def write(writer: Writer) -> bool:
        start.wait()
        return _write(storage, writer)

    with ThreadPoolExecutor(len(writers)) as pool:
        return sorted(pool.map(write, writers))


@pytest.mark.parametrize("round_", range(5))
def test_two_writers_that_race_on_a_slice_leave_one_set_of_rows(tmp_path: Path, round_: int) -> None:
    for value in (1, 2):  # the first time they also race to create the table
        writer = ("s1", None, _table([value, value]))
        assert _racing(tmp_path, writer, writer) == [False, True]
        assert _values(DeltaStore(tmp_path)) == [value, value]


@pytest.mark.parametrize("round_", range(5))
def test_two_slices_that_race_on_one_file_leave_its_rows_once(tmp_path: Path, round_: int) -> None:
    rows = _from("f/1.csv", [1, 2])
    _racing(tmp_path, ("s1", "f/1.csv", rows), ("s2", "f/1.csv", rows))
    assert _values(DeltaStore(tmp_path)) == [1, 2]


@pytest.mark.parametrize("round_", range(5))
def test_two_slices_that_race_on_one_stretch_of_a_cursor_leave_each_row_once(tmp_path: Path, round_: int) -> None:
    uri, start = "sql://w/orders", threading.Barrier(2)
    first = SourceVersion(uri, "a=1#1", cursor="a")
    DeltaStore(tmp_path).replace_slice("b/t", _from(uri, [1]), slice_id="s1", number=1, sources=[first])

    def write(slice_id: str) -> None:
        start.wait()
        version = SourceVersion(uri, "a=3#1", since="a=1#1", cursor="a")
        DeltaStore(tmp_path).replace_slice("b/t", _from(uri, [1, 2, 3]), slice_id=slice_id, number=2, sources=[version])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ("s2", "s3")))
    assert _values(DeltaStore(tmp_path)) == [1, 2, 3]


@pytest.mark.parametrize("round_", range(5))
def test_two_runs_that_race_on_one_correction_make_it_once(tmp_path: Path, round_: int) -> None:
    start = threading.Barrier(2)
    old, new = SourceVersion("f/a.csv", "v1"), SourceVersion("f/a.csv", "v2")
    DeltaStore(tmp_path).replace_slice("b/t", _from("f/a.csv", [1]), slice_id="s1", number=1, sources=[old])

    def write(slice_id: str) -> None:
        start.wait()
        DeltaStore(tmp_path).replace_slice("b/t", _from("f/a.csv", [2]), slice_id=slice_id, number=2, sources=[new])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ("s2", "s3")))
    assert DeltaStore(tmp_path).read("b/t", hidden=True).select(["a", "_wall_slice"]).to_pydict() == {
        "a": [2], "_wall_slice": ["s1"],
    }  # fmt: skip


@pytest.mark.parametrize("round_", range(5))
def test_slices_that_are_written_at_once_are_all_there_with_all_columns(tmp_path: Path, round_: int) -> None:
    writers = [(f"s{place}", None, _table([place], **{f"c{place}": ["x"]})) for place in range(3)]
    assert _racing(tmp_path, *writers) == [True] * 3
    assert _values(DeltaStore(tmp_path)) == [0, 1, 2]
    assert sorted(DeltaStore(tmp_path).schema("b/t").names) == ["a", "c0", "c1", "c2"]


def _process(storage: Path, start: object, results: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    results.put(_write(storage, ("s1", None, _table([1, 2]))))  # type: ignore[attr-defined]


def test_two_processes_that_race_on_a_slice_leave_one_set_of_rows(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["airflow_wall.jobs.ingest"])
    start, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_process, args=(tmp_path, start, results)) for _ in range(2)]
    for process in processes:
        process.start()
    assert sorted(results.get(timeout=60) for _ in processes) == [False, True]
    for process in processes:
        process.join(60)
    assert _values(DeltaStore(tmp_path)) == [1, 2]


def test_open_tables_gives_delta_tables(tmp_path: Path) -> None:
    assert isinstance(open_tables(tmp_path), DeltaStore)


def test_files_hold_the_rows_that_are_read(store: DeltaStore) -> None:
    _put(store, "s1", _table([1, 2]))
    _put(store, "s 2%", _table([3], extra=["x"]), number=8)
    _put(store, "s1", _table([4]))
    for slices in (None, ["s1"], ["s 2%"], ["none"]):
        files = store.files("b/t", slices=slices)
        assert files.schema == store.schema("b/t")
        rows = [pq.read_table(path, partitioning=None).column("a").to_pylist() for path in files.paths]
        assert [value for part in rows for value in part] == store.read("b/t", slices=slices).column("a").to_pylist()
    store.replace_table("b/t", _table([5]))
    assert len(store.files("b/t", slices=["s1"]).paths) == 1  # its rows belong to every slice

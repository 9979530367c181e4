from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_wall.errors import DataError, UserCodeError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.transform import transform
from airflow_wall.storage.backends import open_tables


class Lake:
    """Two raw tables with two slices each, and the folder of the user's code."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.code = root / "dags"
        self.code.mkdir()
        self.tables = open_tables(root / "lake")
        for number, slice_id in enumerate(("s1", "s2"), start=1):
            for domain in ("a", "b"):
                self.tables.replace_slice(
                    f"raw/{domain}",
                    pa.table(
                        {"hour": [number, number], "n": [1, 2], "domain": [domain] * 2, "_wall_source": ["f"] * 2}
                    ),
                    slice_id=slice_id,
                    number=number,
                )

    def transform(self, slice_id: str = "s1", **arguments: Any) -> dict[str, Any]:
        run = Run(
            "scores", "r", "normalize", 1, Slice(slice_id, slice_id), self.root / "lake", self.root, self.code
        )  # fmt: skip

        def connections(conn_id: str) -> Any:
            raise AssertionError(conn_id)

        return transform(Env(run, connections), **{"target": "silver/t", "inputs": {"raw": "raw/a"}, **arguments})

    def module(self, text: str) -> str:
        (self.code / "user_functions.py").write_text(text)
        return "user_functions:f"

    def rows(self, table: str = "silver/t") -> list[dict[str, Any]]:
        return self.tables.read(table).to_pylist()


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    path = list(sys.path)
    yield Lake(tmp_path)
    sys.modules.pop("user_functions", None)
    sys.path[:] = path


def _error(lake: Lake, kind: type[Exception] = UserCodeError, **arguments: Any) -> str:
    with pytest.raises(kind) as caught:
        lake.transform(**arguments)
    return str(caught.value)


def test_sql_makes_a_slice_of_the_target_from_the_slice_of_the_input(lake: Lake) -> None:
    sql = "SELECT hour, sum(n) AS total, count(*) AS rows FROM raw GROUP BY hour;\n-- done"
    assert lake.transform("s1", sql=sql) == {"table": "silver/t", "rows": 1, "version": 0, "changed": True}
    lake.transform("s2", sql=sql)
    assert lake.transform("s1", sql=sql)["changed"] is False
    assert lake.rows() == [{"hour": 1, "total": 3, "rows": 2}, {"hour": 2, "total": 3, "rows": 2}]
    assert lake.tables.schema("silver/t").field("total").type == pa.int64()


def test_a_sum_beyond_64_bits_is_refused(lake: Lake) -> None:
    assert _error(lake, DataError, sql="SELECT sum(n + 9223372036854775800) AS total FROM raw") == (
        "column `total` of the result must fit into 64 bits, got a larger integer\n\n"
        "hint: cast it: `CAST(... AS DOUBLE) AS total`"
    )


def test_all_rows_make_the_whole_target(lake: Lake) -> None:
    for _ in range(2):
        lake.transform(sql="SELECT count(*) AS rows FROM raw", mode="full")
    assert lake.rows() == [{"rows": 4}]
    assert lake.tables.slices("silver/t") == []


def test_a_pattern_is_the_union_of_its_tables(lake: Lake) -> None:
    lake.tables.replace_slice("raw/c", pa.table({"extra": [1.5], "hour": [9]}), slice_id="s1", number=1)
    lake.transform(sql="SELECT * FROM raw ORDER BY hour, domain, n", inputs={"raw": "raw/*"})
    assert [(row["domain"], row["n"], row["extra"]) for row in lake.rows()] == [
        ("a", 1, None), ("a", 2, None), ("b", 1, None), ("b", 2, None), (None, None, 1.5),
    ]  # fmt: skip


def test_hidden_columns_stay_hidden(lake: Lake) -> None:
    lake.transform(sql="SELECT * FROM raw")
    assert lake.tables.read("silver/t", hidden=True).column_names == ["hour", "n", "domain", "_wall_slice"]


@pytest.mark.parametrize(
    "body",
    [
        "return raw",
        "return raw.to_pandas()",
        "import duckdb; return duckdb.from_arrow(raw).filter('n > 0')",
        "return raw.to_reader()",
    ],
    ids=["arrow", "pandas", "duckdb", "stream"],
)
def test_a_function_may_return_any_kind_of_table(lake: Lake, body: str) -> None:
    entrypoint = lake.module(f"def f(raw):\n    {body}\n")
    assert lake.transform(entrypoint=entrypoint)["rows"] == 2
    assert lake.rows() == [{"hour": 1, "n": 1, "domain": "a"}, {"hour": 1, "n": 2, "domain": "a"}]


def test_a_function_gets_every_input_and_parameter_by_name(lake: Lake) -> None:
    entrypoint = lake.module(
        "import pyarrow as pa\n"
        "def f(one, two, *, factor):\n"
        "    return pa.table({'n': [(one.num_rows + two.num_rows) * factor]})\n"
    )
    lake.transform(entrypoint=entrypoint, inputs={"one": "raw/a", "two": "raw/*"}, parameters={"factor": 10})
    assert lake.rows() == [{"n": 60}]


def test_a_function_that_raises_names_its_line(lake: Lake) -> None:
    entrypoint = lake.module("def f(raw):\n    return raw.column('nope')\n")
    assert _error(lake, entrypoint=entrypoint) == (
        "`entrypoint` `user_functions:f` raised `KeyError: 'Field \"nope\" does not exist in schema'` "
        f"({lake.code}/user_functions.py:2)"
    )
    assert not lake.tables.exists("silver/t")


@pytest.mark.parametrize(("body", "kind", "hint"), [
    ("pass", "NoneType", "\n\nhint: end the function with `return <table>`"), ("return 3", "int", ""),
])  # fmt: skip
def test_function_that_returns_no_table_gets_an_error_with_the_expected_type(
    lake: Lake, body: str, kind: str, hint: str
) -> None:
    entrypoint = lake.module(f"def f(raw):\n    {body}\n")
    assert _error(lake, entrypoint=entrypoint) == (
        f"`entrypoint` `user_functions:f` returned `{kind}`, "
        f"expected a pyarrow Table, a pandas DataFrame or a DuckDB relation{hint}"
    )


def test_an_unknown_column_is_shown_in_its_line(lake: Lake) -> None:
    sql = "SELECT\n  hour,\n  nope\nFROM raw"
    assert _error(lake, sql=sql, sql_file="sql/normalize.sql") == (
        '`sql` (sql/normalize.sql): Binder Error: Referenced column "nope" not found in FROM clause!\n\n'
        "LINE 3:   nope\n"
        "          ^^^^\n\n"
        "hint: the inputs are `raw`: `hour`, `n`, `domain`"
    )


def test_a_syntax_error_is_shown_in_its_line(lake: Lake) -> None:
    assert _error(lake, sql="SELECT hour\nFORM raw") == (
        '`sql`: Parser Error: syntax error at or near "raw"\n\n'
        "LINE 2: FORM raw\n"
        "             ^^^\n\n"
        "hint: the inputs are `raw`: `hour`, `n`, `domain`"
    )


def test_a_value_that_cannot_be_cast_is_shown(lake: Lake) -> None:
    message = _error(lake, sql="SELECT domain::INT AS d FROM raw")
    assert message.startswith("`sql`: Conversion Error: Could not convert string 'a' to INT32")
    assert "LINE 1: SELECT domain::INT AS d FROM raw" in message


def test_an_unknown_table_names_the_inputs(lake: Lake) -> None:
    message = _error(lake, sql="SELECT * FROM rows_of_raw")
    assert message.startswith("`sql`: Catalog Error: Table with name rows_of_raw does not exist!")
    assert message.endswith("hint: the inputs are `raw`: `hour`, `n`, `domain`")


@pytest.mark.parametrize(("sql", "got"), [
    ("SELECT 1 AS a; SELECT 2 AS a", "`SELECT`, `SELECT`"),
    ("CREATE TABLE x (a INT)", "`CREATE`"),
    ("-- none", "nothing"),
])  # fmt: skip
def test_sql_is_one_query(lake: Lake, sql: str, got: str) -> None:
    assert _error(lake, sql=sql) == (
        f"`sql` must be one query, got {got}\n\nhint: write one `SELECT` or `WITH ... SELECT`"
    )


@pytest.mark.parametrize("query", ["SELECT * FROM read_csv('{file}')", "SELECT * FROM '{file}'", "FROM glob('{file}')"])
def test_sql_sees_no_files(lake: Lake, query: str) -> None:
    secret = lake.root / "secret.csv"
    secret.write_text("a\n1\n")
    _error(lake, sql=query.format(file=secret))
    assert not lake.tables.exists("silver/t")


def test_sql_sees_no_variables_of_this_program(lake: Lake) -> None:
    _error(lake, sql="SELECT * FROM inputs")
    _error(lake, sql="SELECT * FROM rows")


def test_a_missing_input_names_its_key(lake: Lake) -> None:
    assert _error(lake, DataError, sql="SELECT 1 AS a", inputs={"raw": "raw/z"}) == (
        f"`inputs.raw`: there is no table `raw/z` in `{lake.root}/lake`: it has `raw/a`, `raw/b`\n\n"
        "hint: did you mean `raw/b`?"
    )


def test_tables_that_do_not_fit_together_are_named(lake: Lake) -> None:
    lake.tables.replace_slice("raw/c", pa.table({"n": [[1]]}), slice_id="s1", number=1)
    message = _error(lake, DataError, sql="SELECT 1 AS a", inputs={"raw": "raw/*"})
    assert message.startswith("`inputs.raw`: the columns of `raw/a`, `raw/b`, `raw/c` have incompatible types: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "a transform must have either `sql` or `entrypoint`, got neither\n\nhint: write one of them"),
        (
            {"sql": "SELECT 1", "entrypoint": "a:b"},
            "a transform must have either `sql` or `entrypoint`, got both\n\nhint: write one of them",
        ),
        (
            {"sql": "SELECT 1", "parameters": {"a": 1}},
            "`parameters` must be used with `entrypoint`, got them with `sql`\n\nhint: remove `parameters`",
        ),
        ({"sql": "SELECT 1", "mode": "append"}, "`mode` must be `slice` or `full`, got `append`"),
        (
            {"entrypoint": "a:b", "parameters": {"raw": 1}},
            "`raw` is in both `inputs` and `parameters`\n\nhint: rename one of them",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused(lake: Lake, arguments: dict[str, Any], message: str) -> None:
    assert _error(lake, DataError, **arguments) == message

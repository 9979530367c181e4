"""Tables to a table, by SQL or by the user's Python function: of one slice, or of all that is there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from airflow_wall.errors import DataError, UserCodeError
from airflow_wall.jobs.document import Env
from airflow_wall.jobs.engines import spark_engine
from airflow_wall.jobs.query import answer, arrow, together
from airflow_wall.jobs.user_code import calling, load_function
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import TableStore

if TYPE_CHECKING:
    from airflow_wall.jobs.spark import Engine

log = logging.getLogger(__name__)

MODES = ("slice", "full")
"""What `mode` may be."""


def transform(
    env: Env,
    *,
    target: str,
    inputs: Mapping[str, str],
    sql: str | None = None,
    sql_file: str | None = None,
    entrypoint: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    mode: str = "slice",
) -> dict[str, Any]:
    """
    Write what the SQL or the function makes of the inputs to the table `target`, in one atomic step.

    :param inputs: Name of each input, as the SQL or the function knows it, and its table or pattern of tables.
    :param sql: One query. It sees the inputs and nothing else: no file, no network.
    :param sql_file: Where the query stands, for messages.
    :param entrypoint: `module:function`; called with a pyarrow Table per input and the parameters, all by name; it
        returns a pyarrow Table, a pandas DataFrame or a DuckDB relation. On Spark it is called with a Spark DataFrame
        per input, and may return one.
    :param mode: `slice`: the rows of this slice make this slice of the target. `full`: all rows make all of it.
    :return: `table`, `rows`, `version`, `changed`.
    :raises DataError: an input is not there, or the result cannot be stored.
    :raises UserCodeError: the SQL or the function failed.
    """
    _check_keys(sql, entrypoint, parameters, mode)
    tables = open_tables(env.run.storage, env.fence)
    slice_id = env.run.slice.id
    named = {name: _names(tables, name, pattern) for name, pattern in inputs.items()}
    slices = None if mode == "full" else [slice_id]
    work = _Work(env, named, slices, sql, sql_file, entrypoint, dict(parameters or {}))
    spark = spark_engine(env.run)
    result = _embedded(work, tables) if spark is None else _on_spark(work, tables, spark)
    if mode == "full":
        commit = tables.replace_table(target, result)
    else:
        commit = tables.replace_slice(target, result, slice_id=slice_id, number=env.run.slice.number)
    log.info("table %s: %d rows from %s", target, commit.rows, named)
    return {"table": target, "rows": commit.rows, "version": commit.version, "changed": commit.changed}


def _check_keys(sql: str | None, entrypoint: str | None, parameters: Mapping[str, Any] | None, mode: str) -> None:
    if (sql is None) == (entrypoint is None):
        raise DataError(
            f"a transform has `sql` or `entrypoint`, and this one has {'neither' if sql is None else 'both'}",
            hint="write one of them",
        )
    if sql is not None and parameters:
        raise DataError("`parameters` are for `entrypoint`, and this transform has `sql`", hint="remove `parameters`")
    if mode not in MODES:
        raise DataError(f"`mode` must be `slice` or `full`, got `{mode}`")


def _names(tables: TableStore, name: str, pattern: str) -> list[str]:
    try:
        return tables.names(pattern)
    except DataError as error:
        raise DataError(f"`inputs.{name}`: {error.message}", hint=error.hint) from None


@dataclass(frozen=True)
class _Work:
    """What is made of which tables."""

    env: Env
    inputs: Mapping[str, list[str]]
    slices: list[str] | None
    sql: str | None
    sql_file: str | None
    entrypoint: str | None
    parameters: Mapping[str, Any]


def _embedded(work: _Work, tables: TableStore) -> pa.Table:
    rows = {
        name: together(name, each, [tables.read(table, slices=work.slices) for table in each])
        for name, each in work.inputs.items()
    }
    if work.sql is not None:
        return answer(work.sql, rows, work.sql_file)
    return _by_function(work, rows, lambda _: None)


def _on_spark(work: _Work, tables: TableStore, spark: Engine) -> pa.Table:
    with spark as engine:
        for name, each in work.inputs.items():
            engine.add(name, each, [tables.files(table, slices=work.slices) for table in each])
        if work.sql is not None:
            return engine.answer(work.sql, work.sql_file)
        return _by_function(work, engine.frames, engine.rows)


def _by_function(work: _Work, inputs: Mapping[str, Any], rows_of: Callable[[Any], pa.Table | None]) -> pa.Table:
    """
    What the user's function makes of the inputs.

    :param rows_of: Gives the rows of a result of the engine's own kind, and None of any other.
    """
    entrypoint, code = str(work.entrypoint), work.env.run.code
    twice = sorted(set(inputs) & set(work.parameters))
    if twice:
        raise DataError(f"`{twice[0]}` is a name in `inputs` and in `parameters`", hint="rename one of them")
    function = load_function(entrypoint, code=code)
    with calling(entrypoint, code=code):
        result = function(**inputs, **work.parameters)
        if isinstance(result, duckdb.DuckDBPyRelation):
            return arrow(result)  # runs only now, so its faults are the function's
        rows = rows_of(result)
        if rows is not None:
            return rows
    if isinstance(result, pa.Table):
        return result
    if type(result).__module__.partition(".")[0] == "pandas" and type(result).__name__ == "DataFrame":
        return pa.Table.from_pandas(result, preserve_index=False).replace_schema_metadata(None)
    if hasattr(result, "__arrow_c_stream__"):
        return pa.table(result)
    raise UserCodeError(
        f"`entrypoint` `{entrypoint}` returned `{type(result).__name__}`, "
        "expected a pyarrow Table, a pandas DataFrame or a DuckDB relation",
        hint="end the function with `return <table>`" if result is None else None,
    )

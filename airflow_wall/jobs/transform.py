"""The job `transform`: compute a table from others by SQL or the user's Python function, for one slice or for all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from airflow_wall.engines.duckdb.query import run_query, to_arrow, union_tables
from airflow_wall.engines.spark.selection import spark_engine
from airflow_wall.environments.user_code import calling, load_function
from airflow_wall.errors import DataError, UserCodeError
from airflow_wall.job import Env
from airflow_wall.jobs.base import open_target
from airflow_wall.storage.base import TableStore, partition_of
from airflow_wall.storage.lineage import Lineage

if TYPE_CHECKING:
    from airflow_wall.engines.spark.engine import Engine

USES_SPARK = True

log = logging.getLogger(__name__)

MODES = ("slice", "full")
"""Values of `mode`."""


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
    share: bool = False,
) -> dict[str, Any]:
    """
    Run the SQL or the function on the inputs, and write the result to the table `target` atomically.

    :param inputs: Name of each input in the SQL or the function -> its table or pattern of tables.
    :param sql: One query. It can access the inputs and nothing else: no file, no network.
    :param sql_file: File of the query, for messages.
    :param entrypoint: `module:function`; called with a pyarrow Table per input and the parameters, all by name; it
        returns a pyarrow Table, a pandas DataFrame or a DuckDB relation. On Spark it is called with a Spark DataFrame
        per input, and may return one.
    :param mode: `slice`: compute this slice of the target from this slice of the inputs. `full`: compute the whole
        target from all rows.
    :param share: True if other tasks write rows of the same slice into the target, too.
    :return: `table`, `rows`, `version`, `changed`.
    :raises DataError: an input does not exist, or the result cannot be stored.
    :raises UserCodeError: the SQL or the function failed.
    """
    _check_keys(sql, entrypoint, parameters, mode, share)
    tables, writer = open_target(env, target, share=share)
    slice_id = env.run.slice.id
    named = {name: _names(tables, name, pattern) for name, pattern in inputs.items()}
    slices = None if mode == "full" else [slice_id]
    work = _Transformation(env, named, slices, sql, sql_file, entrypoint, dict(parameters or {}))
    spark = spark_engine(env.run)
    lineage = Lineage(env.run.storage, tables)
    reading = lineage.reading(inputs, slices)
    result = _embedded(work, tables) if spark is None else _on_spark(work, tables, spark)
    if mode == "full":
        commit = tables.replace_table(target, result)
    else:
        commit = tables.replace_slice(target, result, slice_id=slice_id, number=env.run.slice.number, writer=writer)
    lineage.record(env.run, commit, reading, partition=None if mode == "full" else partition_of(slice_id, writer))
    log.info("table %s: %d rows from %s", target, commit.rows, named)
    return {"table": target, "rows": commit.rows, "version": commit.version, "changed": commit.changed}


def _check_keys(
    sql: str | None, entrypoint: str | None, parameters: Mapping[str, Any] | None, mode: str, share: bool
) -> None:
    if (sql is None) == (entrypoint is None):
        raise DataError(
            f"a transform must have either `sql` or `entrypoint`, got {'neither' if sql is None else 'both'}",
            hint="write one of them",
        )
    if sql is not None and parameters:
        raise DataError("`parameters` must be used with `entrypoint`, got them with `sql`", hint="remove `parameters`")
    if mode not in MODES:
        raise DataError(f"`mode` must be `slice` or `full`, got `{mode}`")
    if mode == "full" and share:
        raise DataError(
            "`share` must be used with `mode: slice`, got `mode: full`, which replaces the rows of all writers",
            hint="remove `share`",
        )


def _names(tables: TableStore, name: str, pattern: str) -> list[str]:
    try:
        return tables.names(pattern)
    except DataError as error:
        raise DataError(f"`inputs.{name}`: {error.message}", hint=error.hint) from None


@dataclass(frozen=True)
class _Transformation:
    """The arguments of a transformation, with the tables of each input."""

    env: Env
    inputs: Mapping[str, list[str]]
    slices: list[str] | None
    sql: str | None
    sql_file: str | None
    entrypoint: str | None
    parameters: Mapping[str, Any]


def _embedded(work: _Transformation, tables: TableStore) -> pa.Table:
    rows = {
        name: union_tables(name, matches, [tables.read(table, slices=work.slices) for table in matches])
        for name, matches in work.inputs.items()
    }
    if work.sql is not None:
        return run_query(work.sql, rows, work.sql_file)
    return _by_function(work, rows, lambda _: None)


def _on_spark(work: _Transformation, tables: TableStore, spark: Engine) -> pa.Table:
    with spark as engine:
        for name, matches in work.inputs.items():
            engine.add(name, matches, [tables.files(table, slices=work.slices) for table in matches])
        if work.sql is not None:
            return engine.run_query(work.sql, work.sql_file)
        return _by_function(work, engine.frames, engine.rows)


def _by_function(
    work: _Transformation, inputs: Mapping[str, Any], rows_of: Callable[[Any], pa.Table | None]
) -> pa.Table:
    """
    Return the rows of the result of the user's function.

    :param rows_of: Returns the rows of a result in the engine's own type, and None for other types.
    """
    entrypoint, code = str(work.entrypoint), work.env.run.code
    shared = sorted(set(inputs) & set(work.parameters))
    if shared:
        raise DataError(f"`{shared[0]}` is in both `inputs` and `parameters`", hint="rename one of them")
    function = load_function(entrypoint, code=code)
    with calling(entrypoint, code=code):
        result = function(**inputs, **work.parameters)
        if isinstance(result, duckdb.DuckDBPyRelation):
            return to_arrow(result)  # the relation runs here, so its errors count as the function's
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

"""Tables to a table, by SQL or by the user's Python function: of one slice, or of all that is there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

from airflow_wall import duck
from airflow_wall.errors import DataError, UserCodeError
from airflow_wall.jobs.document import Env
from airflow_wall.jobs.user_code import calling, load_function
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import TableStore

log = logging.getLogger(__name__)

MODES = ("slice", "full")
"""What `mode` may be."""

_LISTED = 20


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
        returns a pyarrow Table, a pandas DataFrame or a DuckDB relation.
    :param mode: `slice`: the rows of this slice make this slice of the target. `full`: all rows make all of it.
    :return: `table`, `rows`, `version`, `changed`.
    :raises DataError: an input is not there, or the result cannot be stored.
    :raises UserCodeError: the SQL or the function failed.
    """
    _check_keys(sql, entrypoint, parameters, mode)
    tables = open_tables(env.run.storage, env.fence)
    slice_id = env.run.slice.id
    rows = {
        name: _input(tables, name, pattern, None if mode == "full" else slice_id) for name, pattern in inputs.items()
    }
    if sql is not None:
        result = _by_sql(sql, rows, sql_file)
    else:
        result = _by_function(str(entrypoint), rows, dict(parameters or {}), env)
    if mode == "full":
        commit = tables.replace_table(target, result)
    else:
        commit = tables.replace_slice(target, result, slice_id=slice_id, number=env.run.slice.number)
    log.info("table %s: %d rows from %s", target, commit.rows, {name: table.num_rows for name, table in rows.items()})
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


def _input(tables: TableStore, name: str, pattern: str, slice_id: str | None) -> pa.Table:
    """The rows of one input. Columns that only some of several tables have are null in the rows of the others."""
    try:
        names = tables.names(pattern)
    except DataError as error:
        raise DataError(f"`inputs.{name}`: {error.message}", hint=error.hint) from None
    parts = [tables.read(table, slices=None if slice_id is None else [slice_id]) for table in names]
    if len(parts) == 1:
        return parts[0]
    with duck.connect() as database:
        for place, part in enumerate(parts):
            database.register(f"part_{place}", part)
        union = " UNION ALL BY NAME ".join(f"FROM part_{place}" for place in range(len(parts)))
        try:
            rows: pa.Table = database.sql(union).to_arrow_table()
        except duckdb.Error as error:
            raise DataError(
                f"`inputs.{name}`: the tables {', '.join(f'`{table}`' for table in names)} do not fit together: "
                f"{duck.reason(error)}",
                hint="name them apart in `inputs`",
            ) from error
    return rows


def _by_sql(sql: str, inputs: Mapping[str, pa.Table], sql_file: str | None) -> pa.Table:
    where = f"`sql` ({sql_file})" if sql_file else "`sql`"
    with duck.connect() as database:
        for name, rows in inputs.items():
            database.register(name, rows)
        duck.seal(database)
        try:
            other = duck.not_one_query(database, sql)
            if other is not None:
                raise UserCodeError(
                    f"{where} must be one query, got {other}",
                    hint="write one `SELECT` or `WITH ... SELECT`",
                )
            result = _arrow(database.sql(sql))
        except duckdb.Error as error:
            raise _sql_error(error, database, sql, inputs, where) from error
    return result


def _by_function(entrypoint: str, inputs: Mapping[str, pa.Table], parameters: Mapping[str, Any], env: Env) -> pa.Table:
    twice = sorted(set(inputs) & set(parameters))
    if twice:
        raise DataError(f"`{twice[0]}` is a name in `inputs` and in `parameters`", hint="rename one of them")
    code = env.run.code
    function = load_function(entrypoint, code=code)
    with calling(entrypoint, code=code):
        result = function(**inputs, **parameters)
        if isinstance(result, duckdb.DuckDBPyRelation):
            return _arrow(result)  # runs only now, so its faults are the function's
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


def _arrow(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    """The rows of a query. DuckDB sums integers to 128 bits, which would be stored as decimals: 64 serve better."""
    huge = [name for name, kind in zip(relation.columns, relation.types, strict=True) if str(kind) == "HUGEINT"]
    rows: pa.Table = relation.to_arrow_table()
    for name in huge:
        place = rows.column_names.index(name)
        try:
            rows = rows.set_column(place, name, rows.column(place).cast(pa.int64()))
        except pa.ArrowInvalid:
            raise DataError(
                f"column `{name}` of the result holds an integer of more than 64 bits",
                hint=f"cast it: `CAST(... AS DOUBLE) AS {name}`",
            ) from None
    return rows


def _sql_error(
    error: duckdb.Error, database: duckdb.DuckDBPyConnection, sql: str, inputs: Mapping[str, pa.Table], where: str
) -> UserCodeError:
    """DuckDB's message with its excerpt, which it gives when it runs the text, not when it plans it."""
    try:
        database.execute(sql)
    except duckdb.Error as told:
        error = told
    text = duck.reason(error, excerpt=True)
    known = "; ".join(f"`{name}`: {', '.join(rows.column_names[:_LISTED])}" for name, rows in inputs.items())
    return UserCodeError(f"{where}: {text}", hint=f"the inputs are {known}")

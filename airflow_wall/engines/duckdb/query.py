"""Run the user's queries on the embedded engine, with access to their inputs only, and report their faults."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.errors import DataError, UserCodeError


def union_tables(name: str, tables: Sequence[str], parts: Sequence[pa.Table]) -> pa.Table:
    """
    Return the rows of one input. Columns that a table lacks are null in its rows.

    :param name: Name of the input, for messages.
    :param tables: Names of its tables.
    :param parts: Rows of each table.
    :raises DataError: a column has incompatible types.
    """
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
                f"`inputs.{name}`: the columns of {listed(tables)} have incompatible types: {duck.reason(error)}",
                hint="list them as separate `inputs`",
            ) from error
    return rows


def run_query(sql: str, inputs: Mapping[str, pa.Table], sql_file: str | None) -> pa.Table:
    """
    Return the rows of one query over the inputs.

    A query without ORDER BY is sorted by all columns, so that every try has the same result.

    :param sql_file: File of the query, for messages.
    :raises UserCodeError: the text is not exactly one query, or the query fails.
    """
    where = query_label(sql_file)
    with duck.connect() as database:
        for name, rows in inputs.items():
            database.register(name, rows)
        duck.seal(database)
        try:
            others = duck.describe_other_statements(database, sql)
            if others is not None:
                raise UserCodeError(
                    f"{where} must be one query, got {others}",
                    hint="write one `SELECT` or `WITH ... SELECT`",
                )
            rows = to_arrow(_plan(database, sql))
            return rows if _is_ordered(database, sql) else sort_rows(rows)
        except duckdb.Error as error:
            raise _sql_error(error, inputs, where) from error


def query_label(sql_file: str | None) -> str:
    """Return the name of the query in messages."""
    return f"`sql` ({sql_file})" if sql_file else "`sql`"


def to_arrow(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    """
    Return the rows of a query with 128-bit integers cast to 64 bits.

    DuckDB sums integers to 128 bits, which a table would store as decimals.

    :raises DataError: a value does not fit 64 bits.
    """
    huge = [name for name, kind in zip(relation.columns, relation.types, strict=True) if str(kind) == "HUGEINT"]
    rows: pa.Table = relation.to_arrow_table()
    for name in huge:
        place = rows.column_names.index(name)
        try:
            rows = rows.set_column(place, name, rows.column(place).cast(pa.int64()))
        except pa.ArrowInvalid:
            raise DataError(
                f"column `{name}` of the result must fit into 64 bits, got a larger integer",
                hint=f"cast it: `CAST(... AS DOUBLE) AS {name}`",
            ) from None
    return rows


def sort_rows(rows: pa.Table) -> pa.Table:
    """Return the rows sorted by all columns whose type has an order."""
    names = [f"c{place}" for place in range(rows.num_columns)]  # two columns may have the same name
    plain = [name for name, field in zip(names, rows.schema, strict=True) if not pa.types.is_nested(field.type)]
    if not plain:
        return rows
    return rows.rename_columns(names).sort_by([(name, "ascending") for name in plain]).rename_columns(rows.column_names)


def _is_ordered(database: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Return True if a query has an ORDER BY of its own, outside its subqueries."""
    (text,) = database.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0]
    statements = json.loads(text).get("statements", ())  # DuckDB cannot serialize some queries, e.g. PIVOT
    modifiers = [modifier["type"] for statement in statements for modifier in statement["node"]["modifiers"]]
    return "ORDER_MODIFIER" in modifiers


def _plan(database: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """
    Return the plan of a query. The query is not run.

    :raises duckdb.Error: the query cannot be planned. The message has an excerpt.
    """
    try:
        return database.sql(sql)
    except duckdb.Error:
        # Only the error of `execute` has an excerpt of the query. It also plans the query first, so nothing is run.
        database.execute(sql)
        raise


def _sql_error(error: duckdb.Error, inputs: Mapping[str, pa.Table], where: str) -> UserCodeError:
    text = duck.reason(error, excerpt=True)
    columns = "; ".join(f"`{name}`: {listed(rows.column_names)}" for name, rows in inputs.items())
    return UserCodeError(f"{where}: {text}", hint=f"the inputs are {columns}")

"""Run the user's queries on the embedded engine, with access to their inputs only, and report their faults."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.errors import DataError, UserCodeError

_TOO_LARGE = re.compile(r'too large: "(.*)"')


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
            _check_is_query(database, sql, where)
            rows = to_arrow(_plan(database, sql))
            return rows if _is_ordered(database, sql) else sort_rows(rows)
        except duckdb.Error as error:
            columns = {name: rows.column_names for name, rows in inputs.items()}
            raise _sql_error(error, columns, where) from error


def add_input(
    database: duckdb.DuckDBPyConnection, name: str, tables: Sequence[str], parts: Sequence[duckdb.DuckDBPyRelation]
) -> list[str]:
    """
    Make an input of later queries from the rows of tables, and return its columns. See `union_tables`.

    :raises DataError: a column has incompatible types.
    """
    views = [f"_wall_{name}_{place}" for place in range(len(parts))]
    for view, part in zip(views, parts, strict=True):
        part.create_view(view)
    union = " UNION ALL BY NAME ".join(f"FROM {duck.identifier(view)}" for view in views)
    try:
        rows = database.sql(union)
        rows.create_view(name)
    except duckdb.Error as error:
        raise DataError(
            f"`inputs.{name}`: the columns of {listed(tables)} have incompatible types: {duck.reason(error)}",
            hint="list them as separate `inputs`",
        ) from error
    return list(rows.columns)


@contextmanager
def sealed_query(
    database: duckdb.DuckDBPyConnection, sql: str, inputs: Mapping[str, Sequence[str]], sql_file: str | None
) -> Iterator[tuple[list[str], str]]:
    """
    Return the columns of one query, and SQL of its rows. Within the context, errors are those of the query.

    As `run_query`, but no row is read before this SQL runs.

    :param database: A sealed connection with the inputs.
    :param inputs: Name of each input to its columns, for messages.
    :raises DataError: an integer does not fit 64 bits.
    :raises UserCodeError: the text is not exactly one query, or the query fails.
    """
    where = query_label(sql_file)
    try:
        _check_is_query(database, sql, where)
        plan = _plan(database, sql)
        plan.create_view("_wall_result")
        selected, order = [], []
        for name, kind in zip(map(duck.identifier, plan.columns), map(str, plan.types), strict=True):
            selected.append(f"{_in_64_bits(name)} AS {name}" if kind == "HUGEINT" else name)
            if not kind.endswith(("]", ")")) or kind.startswith("DECIMAL"):
                order.append(f"{name} NULLS LAST")
        ordered = f" ORDER BY {', '.join(order)}" if order and not _is_ordered(database, sql) else ""
        yield plan.columns, f"SELECT {', '.join(selected)} FROM _wall_result{ordered}"  # noqa: S608  # quoted
    except duckdb.Error as error:
        large = _TOO_LARGE.search(str(error))
        if large is not None:
            raise _too_large(large[1]) from None
        raise _sql_error(error, inputs, where) from error


def _in_64_bits(name: str) -> str:
    """Return the SQL of a 128-bit integer in 64 bits. DuckDB sums integers to 128, which tables store as decimals."""
    fits = f"{name} IS NULL OR {name} BETWEEN -9223372036854775808 AND 9223372036854775807"
    return f"CASE WHEN {fits} THEN CAST({name} AS BIGINT) ELSE error('too large: ' || {duck.literal(name)}) END"


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
            raise _too_large(name) from None
    return rows


def _too_large(name: str) -> DataError:
    return DataError(
        f"column `{name}` of the result must fit into 64 bits, got a larger integer",
        hint=f"cast it: `CAST(... AS DOUBLE) AS {name}`",
    )


def _check_is_query(database: duckdb.DuckDBPyConnection, sql: str, where: str) -> None:
    others = duck.describe_other_statements(database, sql)
    if others is not None:
        raise UserCodeError(
            f"{where} must be one query, got {others}",
            hint="write one `SELECT` or `WITH ... SELECT`",
        )


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


def _sql_error(error: duckdb.Error, inputs: Mapping[str, Sequence[str]], where: str) -> UserCodeError:
    is_own = "_wall_" in str(error)  # its excerpt is of our SQL around the query
    text = duck.reason(error, excerpt=not is_own)
    columns = "; ".join(f"`{name}`: {listed(names)}" for name, names in inputs.items())
    return UserCodeError(f"{where}: {text}", hint=f"the inputs are {columns}")

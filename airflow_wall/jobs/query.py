"""Queries of the user, as the embedded engine answers them: what they see, what they may be, how faults are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from airflow_wall import duck
from airflow_wall.errors import DataError, UserCodeError

_LISTED = 20


def together(name: str, tables: Sequence[str], parts: Sequence[pa.Table]) -> pa.Table:
    """
    The rows of one input. Columns that only some of several tables have are null in the rows of the others.

    :param name: Of the input, for messages.
    :param tables: The names of its tables.
    :param parts: Their rows.
    :raises DataError: a column has types that do not go together.
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
                f"`inputs.{name}`: the tables {', '.join(f'`{table}`' for table in tables)} do not fit together: "
                f"{duck.reason(error)}",
                hint="name them apart in `inputs`",
            ) from error
    return rows


def answer(sql: str, inputs: Mapping[str, pa.Table], sql_file: str | None) -> pa.Table:
    """
    The rows of one query over the inputs.

    :param sql_file: Where the query stands, for messages.
    :raises UserCodeError: it is not one query, or it fails.
    """
    where = named(sql_file)
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
            return arrow(database.sql(sql))
        except duckdb.Error as error:
            raise _sql_error(error, database, sql, inputs, where) from error


def named(sql_file: str | None) -> str:
    """The query, for messages."""
    return f"`sql` ({sql_file})" if sql_file else "`sql`"


def arrow(relation: duckdb.DuckDBPyRelation) -> pa.Table:
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

"""Find the faults of a query without its data: text that is not SQL, and columns that its inputs do not have."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

import duckdb
import pyarrow as pa

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.engines.duckdb.type_names import type_of

_LINE = re.compile(r"\n\nLINE (\d+):")
_UNKNOWN_NAME = re.compile(r"Referenced (?:column|table)|does not have a column|Table with name")
"""Errors that the data cannot change. Others may depend on extensions or on the version of DuckDB."""


def query_fault(sql: str, inputs: Mapping[str, Mapping[str, str]] | None) -> tuple[str, int | None] | None:
    """
    Return the reason why a query must fail and its line, or None. The query is planned, but not run.

    :param inputs: Input to its columns and their SQL types; None to check only the syntax.
    """
    try:
        others = duck.describe_other_statements(_parser(), sql)
    except duckdb.Error as error:
        return _described(error)
    if others is not None:
        return f"must be one query, got {others}", None
    return None if inputs is None else _binding_fault(sql, inputs)


@functools.cache  # a connection takes longer than most texts
def _parser() -> duckdb.DuckDBPyConnection:
    return duck.connect()


def _binding_fault(sql: str, inputs: Mapping[str, Mapping[str, str]]) -> tuple[str, int | None] | None:
    with duck.connect() as database:
        for name, columns in inputs.items():
            types = [(column, type_of(type_, where=column)) for column, type_ in columns.items()]
            database.register(name, pa.schema(types).empty_table())
        duck.seal(database)
        try:
            database.sql(sql)
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            return _described(error) if _UNKNOWN_NAME.search(str(error)) else None
        except duckdb.Error:
            return None  # it may depend on the data
    return None


def _described(error: duckdb.Error) -> tuple[str, int | None]:
    line = _LINE.search(str(error))
    reason = duck.reason(error).partition("\n")[0].partition("Error: ")[2] or duck.reason(error)
    reason = reason.replace("Values list ", "Table ")  # DuckDB's word for a registered table
    return reason.strip().rstrip("!"), int(line[1]) if line else None

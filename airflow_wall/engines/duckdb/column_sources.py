"""The columns that the columns of a query are computed from, by its syntax tree."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence


def column_sources(
    sql: str, inputs: Mapping[str, Sequence[str]], columns: Iterable[str]
) -> dict[str, list[tuple[str, str]]]:
    """
    Return column -> the input columns that it is computed from, as pairs of input and column.

    Columns for which the tree does not show it are left out. Without sqlglot, the result is empty.

    :param sql: One query in DuckDB's SQL.
    :param inputs: Name of each input -> its columns.
    :param columns: Columns of the result.
    """
    if importlib.util.find_spec("sqlglot") is None:
        return {}
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage

    schema: dict[str, object] = {name: dict.fromkeys(known, "UNKNOWN") for name, known in inputs.items()}
    try:
        statements = parse(sql, dialect="duckdb")
        (query,) = (tree for tree in statements if isinstance(tree, exp.Query))
        if any(union.args.get("by_name") for union in query.find_all(exp.SetOperation)):
            return {}  # sqlglot would pair the columns by position
        nodes = lineage(None, query, schema, dialect="duckdb")
    except (SqlglotError, ValueError, RecursionError):  # the tree of sqlglot does not cover all of DuckDB's SQL
        return {}
    # DuckDB's names have no case, and sqlglot returns them in lower case.
    known = {(name.lower(), column.lower()): (name, column) for name, of in inputs.items() for column in of}
    by_name = {name.lower(): node for name, node in nodes.items()}
    sources = {}
    for column in columns:
        node = by_name.get(column.lower())
        leaves = () if node is None else (leaf for leaf in node.walk() if isinstance(leaf.source, exp.Table))
        keys = ((leaf.source.name.lower(), exp.to_column(leaf.name).name.lower()) for leaf in leaves)
        if named := sorted({known[key] for key in keys if key in known}):
            sources[column] = named
    return sources

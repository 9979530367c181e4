"""The types of the parts of a query, computed by DuckDB on tables without rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType

import duckdb
import pyarrow as pa
from sqlglot import exp

from airflow_wall.engines.duckdb import connection as duck


class Family(StrEnum):
    """Groups of types that behave alike."""

    INTEGER = "INTEGER"
    DECIMAL = "DECIMAL"
    DOUBLE = "DOUBLE"
    FLOAT = "FLOAT"
    TEXT = "VARCHAR"
    BOOLEAN = "BOOLEAN"
    DATE = "DATE"
    TIMESTAMP = "TIMESTAMP"
    TIMESTAMPTZ = "TIMESTAMPTZ"
    INTERVAL = "INTERVAL"
    NULL = "NULL"
    OTHER = "another type"
    UNKNOWN = "a type that is not known"


_INTEGERS = frozenset(("TINYINT", "SMALLINT", "INTEGER", "INT", "BIGINT", "HUGEINT", "INTEGER_LITERAL"))
_NAMES = {
    **dict.fromkeys(_INTEGERS, Family.INTEGER),
    "DOUBLE": Family.DOUBLE,
    "FLOAT": Family.FLOAT,
    "REAL": Family.FLOAT,
    "VARCHAR": Family.TEXT,
    "TEXT": Family.TEXT,
    "STRING_LITERAL": Family.TEXT,
    "BOOLEAN": Family.BOOLEAN,
    "DATE": Family.DATE,
    "TIMESTAMP": Family.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": Family.TIMESTAMPTZ,
    "TIMESTAMPTZ": Family.TIMESTAMPTZ,
    "INTERVAL": Family.INTERVAL,
    '"NULL"': Family.NULL,
    "NULL": Family.NULL,
}
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")


@dataclass(frozen=True)
class SqlType:
    """
    A SQL type.

    :param name: Its name in DuckDB.
    """

    name: str
    family: Family
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, name: str) -> SqlType:
        """Return the type with this name."""
        decimal = _DECIMAL.fullmatch(name)
        if decimal is not None:
            return cls(name, Family.DECIMAL, int(decimal[1]), int(decimal[2]))
        if name == "DECIMAL":
            return cls("DECIMAL(18,3)", Family.DECIMAL, 18, 3)
        return cls(name, _NAMES.get(name, Family.OTHER))


_UNKNOWN = SqlType("a type that is not known", Family.UNKNOWN)


class Types:
    """
    The types of the parts of one query.

    :param inputs: The inputs of the query: tables without rows.
    """

    def __init__(self, inputs: Mapping[str, pa.Table]) -> None:
        self.inputs = inputs
        self.database = duck.connect()
        for name, rows in inputs.items():
            self.database.register(name, rows)
        duck.seal(self.database)
        self._noted: dict[int, dict[str, list[SqlType]]] = {}
        self._nodes: list[exp.Expr] = []

    def __enter__(self) -> Types:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.database.close()

    def schema(self) -> dict[str, object]:
        """Return the columns of each input."""
        columns: dict[str, object] = {}
        for name in self.inputs:
            relation = self.database.sql(f"FROM {duck.identifier(name)}")
            columns[name] = dict(zip(relation.columns, map(str, relation.types), strict=True))
        return columns

    def columns(self, query: exp.Expr) -> list[SqlType]:
        """Return the types of the columns of a subquery."""
        return self._column_types(f"{_with_of(query)} {_bare(query).sql(dialect='duckdb')}") or []

    def note(self, node: exp.Expr) -> None:
        """Store the types of the parts of a node before any rule changes them."""
        self._noted[id(node)] = {key: [self._of(part) for part in parts] for key, parts in parts_of(node).items()}
        self._nodes.append(node)  # keep a reference, so that its id is not reused

    def of(self, node: exp.Expr, key: str) -> SqlType:
        """Return the type of one part of a node."""
        return self._noted[id(node)][key][0]

    def group_of(self, node: exp.Expr, key: str) -> list[SqlType]:
        """Return the types of the parts of a node that are converted to one type."""
        return self._noted[id(node)][key]

    def all_of(self, node: exp.Expr) -> list[list[SqlType]]:
        """Return the types of all parts of a node, in groups."""
        return list(self._noted[id(node)].values())

    def _of(self, part: exp.Expr) -> SqlType:
        value = part.expressions[0] if isinstance(part, exp.Distinct) else part
        if value.is_string:
            return SqlType.of("VARCHAR")
        if isinstance(value, exp.Null):
            return SqlType.of("NULL")
        above = value.find_ancestor(exp.Select)
        while above is not None:  # a column of an outer query has no type in the subquery, so try each outer query
            for group in (None, above.args.get("group")):
                types = self._column_types(f"{_with_of(value)} {_probe(value, above, group).sql(dialect='duckdb')}")
                if types:
                    return types[0]
            above = above.find_ancestor(exp.Select)
        return _UNKNOWN

    def _column_types(self, text: str) -> list[SqlType] | None:
        """Return the types of the columns of a query, or None if DuckDB rejects it. The query is not run."""
        try:
            return [SqlType.of(str(kind)) for kind in self.database.sql(text).types]
        except duckdb.Error:
            return None


def _probe(value: exp.Expr, select: exp.Expr, group: exp.Expr | None) -> exp.Expr:
    """Return a query for one value over the tables of another query."""
    probe = exp.Select(expressions=[exp.alias_(value.copy(), "probe")])
    source = select.args.get("from_")
    joins = [join.copy() for join in select.args.get("joins") or ()]
    for join in joins:
        if join.args.get("kind") in ("SEMI", "ANTI"):  # its columns are visible in its condition only
            join.set("kind", None)
    probe.set("from_", source and source.copy())
    probe.set("joins", joins)
    probe.set("group", group and group.copy())
    return probe


def parts_of(node: exp.Expr) -> dict[str, list[exp.Expr]]:
    """Return the parts of a node whose types matter, grouped by parts that are converted to one type."""
    if isinstance(node, exp.Case):
        ifs = node.args["ifs"]
        groups = {"results": [branch.args["true"] for branch in ifs] + _present(node, "default")}
        if node.this is not None:
            groups["compared"] = [node.this, *(branch.this for branch in ifs)]
        return groups
    if isinstance(node, exp.If):
        return {"results": _present(node, "true", "false")}
    if isinstance(node, exp.In | exp.Coalesce | exp.Greatest | exp.Least):
        return {"all": [node.this, *node.expressions]}
    if isinstance(node, exp.Between):
        return {"all": _present(node, "this", "low", "high")}
    if isinstance(node, exp.Nullif | exp.DPipe | exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
        return {"all": [node.this, node.expression]}
    if isinstance(node, exp.NullSafeEQ | exp.NullSafeNEQ):
        return {"all": [node.this, node.expression]}
    if isinstance(node, exp.Concat):
        return {"all": list(node.expressions)}
    if isinstance(node, exp.Anonymous):
        return {str(place): [part] for place, part in enumerate(node.expressions)}
    return {key: _present(node, key) for key in ("this", "expression") if isinstance(node.args.get(key), exp.Expr)}


def _present(node: exp.Expr, *keys: str) -> list[exp.Expr]:
    return [part for key in keys if (part := node.args.get(key)) is not None]


def _with_of(node: exp.Expr) -> str:
    """Return the WITH clause of all common table expressions that are visible to a node, or an empty text."""
    tables: list[exp.Expr] = []
    above: exp.Expr | None = node
    while above is not None:
        clause = above.args.get("with_")
        if clause is not None:
            tables = [*clause.expressions, *tables]
        above = above.parent
    return "WITH " + ", ".join(table.sql(dialect="duckdb", comments=False) for table in tables) if tables else ""


def _bare(query: exp.Expr) -> exp.Expr:
    copied = query.copy()
    copied.set("with_", None)
    return copied

"""The types of the parts of a query, as DuckDB says: its own words, asked over tables without rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType

import duckdb
import pyarrow as pa
from sqlglot import exp

from airflow_wall import duck


class Family(StrEnum):
    """Types that behave alike."""

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
class Kind:
    """
    A type.

    :param name: As DuckDB writes it.
    """

    name: str
    family: Family
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, name: str) -> Kind:
        """The type of that name."""
        decimal = _DECIMAL.fullmatch(name)
        if decimal is not None:
            return cls(name, Family.DECIMAL, int(decimal[1]), int(decimal[2]))
        if name == "DECIMAL":
            return cls("DECIMAL(18,3)", Family.DECIMAL, 18, 3)
        return cls(name, _NAMES.get(name, Family.OTHER))


_UNKNOWN = Kind("a type that is not known", Family.UNKNOWN)


class Types:
    """
    The types of one query's parts.

    :param inputs: What the query sees: tables without rows.
    """

    def __init__(self, inputs: Mapping[str, pa.Table]) -> None:
        self.inputs = inputs
        self.database = duck.connect()
        for name, rows in inputs.items():
            self.database.register(name, rows)
        duck.seal(self.database)
        self._noted: dict[int, dict[str, list[Kind]]] = {}
        self._nodes: list[exp.Expr] = []

    def __enter__(self) -> Types:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.database.close()

    def schema(self) -> dict[str, object]:
        """The columns of each input."""
        found: dict[str, object] = {}
        for name in self.inputs:
            relation = self.database.sql(f"FROM {duck.identifier(name)}")
            found[name] = dict(zip(relation.columns, map(str, relation.types), strict=True))
        return found

    def columns(self, query: exp.Expr) -> list[Kind]:
        """The types of the columns of a query within the query."""
        return self._asked(f"{_with_of(query)} {_bare(query).sql(dialect='duckdb')}") or []

    def note(self, node: exp.Expr) -> None:
        """Look at the parts of a node while they are as the user wrote them."""
        self._noted[id(node)] = {key: [self._of(part) for part in parts] for key, parts in parts_of(node).items()}
        self._nodes.append(node)  # kept, so that no other gets its number

    def of(self, node: exp.Expr, key: str) -> Kind:
        """The type of one part of a node."""
        return self._noted[id(node)][key][0]

    def each_of(self, node: exp.Expr, key: str) -> list[Kind]:
        """The types of the parts of a node that should be of one."""
        return self._noted[id(node)][key]

    def all_of(self, node: exp.Expr) -> list[list[Kind]]:
        """The types of all parts of a node that matter."""
        return list(self._noted[id(node)].values())

    def _of(self, part: exp.Expr) -> Kind:
        value = part.expressions[0] if isinstance(part, exp.Distinct) else part
        if value.is_string:
            return Kind.of("VARCHAR")
        if isinstance(value, exp.Null):
            return Kind.of("NULL")
        above = value.find_ancestor(exp.Select)
        while above is not None:  # what a subquery says of the query around it is found there
            for group in (None, above.args.get("group")):
                found = self._asked(f"{_with_of(value)} {_probe(value, above, group).sql(dialect='duckdb')}")
                if found:
                    return found[0]
            above = above.find_ancestor(exp.Select)
        return _UNKNOWN

    def _asked(self, text: str) -> list[Kind] | None:
        """The types of the columns of a query; nothing is run. None where DuckDB does not take it."""
        try:
            return [Kind.of(str(kind)) for kind in self.database.sql(text).types]
        except duckdb.Error:
            return None


def _probe(value: exp.Expr, select: exp.Expr, group: exp.Expr | None) -> exp.Expr:
    """A query of nothing but the value, over what a query is over."""
    probe = exp.Select(expressions=[exp.alias_(value.copy(), "probe")])
    source = select.args.get("from_")
    joins = [join.copy() for join in select.args.get("joins") or ()]
    for join in joins:
        if join.args.get("kind") in ("SEMI", "ANTI"):  # whose columns are seen in its condition only
            join.set("kind", None)
    probe.set("from_", source and source.copy())
    probe.set("joins", joins)
    probe.set("group", group and group.copy())
    return probe


def parts_of(node: exp.Expr) -> dict[str, list[exp.Expr]]:
    """The parts of a node whose types matter, those together that should be of one."""
    if isinstance(node, exp.Case):
        ifs = node.args["ifs"]
        found = {"results": [each.args["true"] for each in ifs] + _given(node, "default")}
        if node.this is not None:
            found["compared"] = [node.this, *(each.this for each in ifs)]
        return found
    if isinstance(node, exp.If):
        return {"results": _given(node, "true", "false")}
    if isinstance(node, exp.In | exp.Coalesce | exp.Greatest | exp.Least):
        return {"all": [node.this, *node.expressions]}
    if isinstance(node, exp.Between):
        return {"all": _given(node, "this", "low", "high")}
    if isinstance(node, exp.Nullif | exp.DPipe | exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
        return {"all": [node.this, node.expression]}
    if isinstance(node, exp.NullSafeEQ | exp.NullSafeNEQ):
        return {"all": [node.this, node.expression]}
    if isinstance(node, exp.Concat):
        return {"all": list(node.expressions)}
    if isinstance(node, exp.Anonymous):
        return {str(place): [part] for place, part in enumerate(node.expressions)}
    return {key: _given(node, key) for key in ("this", "expression") if isinstance(node.args.get(key), exp.Expr)}


def _given(node: exp.Expr, *keys: str) -> list[exp.Expr]:
    return [part for key in keys if (part := node.args.get(key)) is not None]


def _with_of(node: exp.Expr) -> str:
    """The queries with a name that a node sees, as the beginning of a query."""
    found: list[exp.Expr] = []
    above: exp.Expr | None = node
    while above is not None:
        named = above.args.get("with_")
        if named is not None:
            found = [*named.expressions, *found]
        above = above.parent
    return "WITH " + ", ".join(each.sql(dialect="duckdb", comments=False) for each in found) if found else ""


def _bare(query: exp.Expr) -> exp.Expr:
    copied = query.copy()
    copied.set("with_", None)
    return copied

"""The SQL allowed on Spark: nodes with equal results on both engines, or with a rule that makes the results equal."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

_STRUCTURE = (
    exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit, exp.Offset,
    exp.Qualify, exp.Distinct, exp.With, exp.CTE, exp.Subquery, exp.Union, exp.Except, exp.Intersect, exp.Table,
    exp.TableAlias, exp.Column, exp.Identifier, exp.Alias, exp.Star, exp.Paren, exp.Window, exp.WindowSpec, exp.Filter,
    exp.Var, exp.DataType, exp.DataTypeParam,
)  # fmt: skip
_VALUES = (
    exp.Literal, exp.Boolean, exp.Null, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE,
    exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is, exp.In, exp.Between, exp.Like, exp.Exists, exp.Case, exp.If, exp.Coalesce,
    exp.Nullif, exp.Greatest, exp.Least, exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Div, exp.IntDiv, exp.Mod, exp.Cast,
    exp.TryCast, exp.Interval, exp.DPipe, exp.Concat,
)  # fmt: skip
_FUNCTIONS = (
    exp.Abs, exp.Round, exp.Floor, exp.Ceil, exp.Sqrt, exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Substring,
    exp.Replace, exp.StartsWith, exp.TimestampTrunc, exp.DateTrunc, exp.Extract, exp.Year, exp.Month, exp.Day,
    exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Stddev, exp.StddevSamp, exp.StddevPop, exp.Variance,
    exp.VariancePop, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead,
)  # fmt: skip
ALLOWED = frozenset((*_STRUCTURE, *_VALUES, *_FUNCTIONS))
"""All kinds of nodes that are allowed in a query for Spark."""


class RefusedError(Exception):
    """
    Raised when a node is not allowed in a query for Spark.

    :param hint: How to rewrite the query, or None.
    """

    def __init__(self, node: exp.Expr, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.node = node
        self.hint = hint


def check(node: exp.Expr) -> None:
    """
    Check that a node is allowed in a query for Spark.

    :raises RefusedError: it is not.
    """
    if isinstance(node, exp.Anonymous):
        if node.name.lower() != "date_part":
            raise RefusedError(node, f"the function `{node.name.lower()}` is not known to give equal results")
        return
    if type(node) not in ALLOWED:
        raise RefusedError(node, f"`{type(node).__name__}` is not known to give equal results")
    shape = _SHAPES.get(type(node))
    if shape is not None:
        shape(node)


def _join(node: exp.Expr) -> None:
    if node.args.get("method") or node.args.get("kind") not in (None, "", "INNER", "OUTER", "CROSS", "SEMI", "ANTI"):
        raise RefusedError(node, "Spark does not have this kind of join", "join by `ON` or `USING`")


def _set_operation(node: exp.Expr) -> None:
    if node.args.get("by_name"):
        raise RefusedError(node, "Spark matches columns by position", "list the columns of both in the same order")


def _limit(node: exp.Expr) -> None:
    above = node.parent
    if above is None or above.args.get("order") is None:
        raise RefusedError(node, "it does not define which rows it keeps", "add an `ORDER BY` before it")


def _distinct(node: exp.Expr) -> None:
    if node.args.get("on"):
        raise RefusedError(
            node, "it does not define which row it keeps", "use `row_number() OVER (... ORDER BY ...) = 1`"
        )


def _with(node: exp.Expr) -> None:
    if node.args.get("recursive"):
        raise RefusedError(node, "a recursive query is not known to give equal results")


def _window(node: exp.Expr) -> None:
    if isinstance(node.this, exp.RowNumber | exp.Lag | exp.Lead) and node.args.get("order") is None:
        raise RefusedError(node, "it does not define the order of the rows", "write `OVER (... ORDER BY ...)`")


def _window_spec(node: exp.Expr) -> None:
    if node.args.get("exclude"):
        raise RefusedError(node, "Spark does not have `EXCLUDE` in a window")


def _several(node: exp.Expr) -> None:
    inner = node.this
    if node.expressions or (isinstance(inner, exp.Distinct) and len(inner.expressions) > 1):
        raise RefusedError(node, "it has another meaning on Spark with several arguments")


def _like(node: exp.Expr) -> None:
    if not node.expression.is_string or "\\" in node.expression.name:
        raise RefusedError(
            node, "`\\` in a pattern has another meaning on Spark", "write the pattern as a text without `\\`"
        )


def _substring(node: exp.Expr) -> None:
    start, length = node.args.get("start"), node.args.get("length")
    if start is None or not start.is_int or int(start.name) < 1 or (length is not None and not length.is_int):
        raise RefusedError(node, "a start below 1 has another meaning on Spark", "write whole numbers from 1 on")


def _trim(node: exp.Expr) -> None:
    if node.expression is not None:
        raise RefusedError(node, "to trim other characters than blanks is not known to give equal results")


def _in(node: exp.Expr) -> None:
    """Reject `IN (query)` outside of WHERE, where Spark's result is false in place of null."""
    above = node.parent
    if node.args.get("query") is None:
        return
    while isinstance(above, exp.And | exp.Not | exp.Paren):
        above = above.parent
    if not isinstance(above, exp.Where):
        raise RefusedError(node, "with a null, the result on Spark is false and not null", "use `EXISTS (...)`")


_SHAPES: dict[type[exp.Expr], Callable[[exp.Expr], None]] = {
    exp.Join: _join,
    exp.Union: _set_operation,
    exp.Except: _set_operation,
    exp.Intersect: _set_operation,
    exp.Limit: _limit,
    exp.Distinct: _distinct,
    exp.With: _with,
    exp.Window: _window,
    exp.WindowSpec: _window_spec,
    exp.Count: _several,
    exp.Min: _several,
    exp.Max: _several,
    exp.In: _in,
    exp.Like: _like,
    exp.Substring: _substring,
    exp.Trim: _trim,
}

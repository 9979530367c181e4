"""What may stand in a query for Spark: that of which both engines are known to think alike, or a rule knows how not."""

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
"""All that may stand in a query for Spark."""


class RefusedError(Exception):
    """What may not stand in a query, and why."""

    def __init__(self, node: exp.Expr, why: str, mend: str | None = None) -> None:
        super().__init__(why)
        self.node = node
        self.mend = mend


def check(node: exp.Expr) -> None:
    """See to it that a node may stand in a query. Raises RefusedError."""
    if isinstance(node, exp.Anonymous):
        if node.name.lower() != "date_part":
            raise RefusedError(node, f"the function `{node.name.lower()}` is not one of those that are known to agree")
        return
    if type(node) not in ALLOWED:
        raise RefusedError(node, f"`{type(node).__name__}` is not one of the things that are known to agree")
    shape = _SHAPES.get(type(node))
    if shape is not None:
        shape(node)


def _join(node: exp.Expr) -> None:
    if node.args.get("method") or node.args.get("kind") not in (None, "", "INNER", "OUTER", "CROSS", "SEMI", "ANTI"):
        raise RefusedError(node, "this kind of join is not known there", "join by `ON` or `USING`")


def _set_operation(node: exp.Expr) -> None:
    if node.args.get("by_name"):
        raise RefusedError(node, "columns are matched by place there", "name the columns of both in one order")


def _limit(node: exp.Expr) -> None:
    above = node.parent
    if above is None or above.args.get("order") is None:
        raise RefusedError(node, "which rows it keeps is left open", "order the rows by `ORDER BY` before")


def _distinct(node: exp.Expr) -> None:
    if node.args.get("on"):
        raise RefusedError(node, "which row it keeps is left open", "use `row_number() OVER (... ORDER BY ...) = 1`")


def _with(node: exp.Expr) -> None:
    if node.args.get("recursive"):
        raise RefusedError(node, "a recursive query is not known to agree")


def _window(node: exp.Expr) -> None:
    if isinstance(node.this, exp.RowNumber | exp.Lag | exp.Lead) and node.args.get("order") is None:
        raise RefusedError(node, "the order of the rows is left open", "write `OVER (... ORDER BY ...)`")


def _window_spec(node: exp.Expr) -> None:
    if node.args.get("exclude"):
        raise RefusedError(node, "`EXCLUDE` in a window is not known there")


def _several(node: exp.Expr) -> None:
    inner = node.this
    if node.expressions or (isinstance(inner, exp.Distinct) and len(inner.expressions) > 1):
        raise RefusedError(node, "with several arguments it means something else there")


def _like(node: exp.Expr) -> None:
    if not node.expression.is_string or "\\" in node.expression.name:
        raise RefusedError(
            node, "in a pattern, `\\` means something else there", "write the pattern as a text without `\\`"
        )


def _substring(node: exp.Expr) -> None:
    start, length = node.args.get("start"), node.args.get("length")
    if start is None or not start.is_int or int(start.name) < 1 or (length is not None and not length.is_int):
        raise RefusedError(node, "a start below 1 means something else there", "write whole numbers from 1 on")


def _trim(node: exp.Expr) -> None:
    if node.expression is not None:
        raise RefusedError(node, "trimming other characters than blanks is not known to agree")


def _in(node: exp.Expr) -> None:
    """Where it is not what rows are chosen by, Spark takes "not known" for "no"."""
    above = node.parent
    if node.args.get("query") is None:
        return
    while isinstance(above, exp.And | exp.Not | exp.Paren):
        above = above.parent
    if not isinstance(above, exp.Where):
        raise RefusedError(node, "beside a null it is false there, and not null", "use `EXISTS (...)`")


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

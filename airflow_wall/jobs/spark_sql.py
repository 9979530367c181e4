"""
A query in DuckDB's SQL as one in Spark's, which gives the same rows; or a refusal.

Both engines answer most of SQL alike, and some of it silently otherwise: a division of decimals, a cast of 2.5 to an
integer, a substring from 0. So there is a list of what may stand in a query, and beside it the rules of what is written
otherwise for Spark. What is not on the list is refused: the embedded engine is always there to run it. Types, which the
rules go by, are asked of DuckDB itself (spark_types.py). What both tables say is tested against both engines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from airflow_wall.errors import UserCodeError
from airflow_wall.jobs.query import named
from airflow_wall.jobs.spark_types import Family, Kind, Types, parts_of

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

_PARTS = {
    "year": "EXTRACT(YEAR FROM x__)",
    "quarter": "EXTRACT(QUARTER FROM x__)",
    "month": "EXTRACT(MONTH FROM x__)",
    "day": "EXTRACT(DAY FROM x__)",
    "doy": "EXTRACT(DOY FROM x__)",
    "dow": "EXTRACT(DAYOFWEEK FROM x__) - 1",  # DuckDB begins with Sunday as 0, Spark as 1
    "isodow": "EXTRACT(DAYOFWEEK_ISO FROM x__)",
    "week": "EXTRACT(WEEK FROM x__)",
    "hour": "EXTRACT(HOUR FROM x__)",
    "minute": "EXTRACT(MINUTE FROM x__)",
    "second": "FLOOR(EXTRACT(SECOND FROM x__))",  # DuckDB's have no fraction
}
_CLOCK = frozenset(("hour", "minute", "second"))
_UNITS = frozenset(("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"))
_NUMBERS = frozenset((Family.INTEGER, Family.DECIMAL, Family.DOUBLE))
_TIMES = frozenset((Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ))
_TEXT = frozenset((Family.TEXT, Family.NULL))

_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_AGGREGATES = (exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Stddev, exp.StddevSamp, exp.StddevPop, exp.Variance, exp.VariancePop)


@dataclass(frozen=True)
class Query:
    """
    A query for Spark.

    :param text: In its SQL.
    :param ordered: Whether it says in which order its rows are.
    """

    text: str
    ordered: bool


class _RefusedError(Exception):
    """What may not stand in a query, and why."""

    def __init__(self, node: exp.Expression, why: str, mend: str | None = None) -> None:
        super().__init__(why)
        self.node = node
        self.mend = mend


def translated(sql: str, inputs: Mapping[str, pa.Table], sql_file: str | None) -> Query:
    """
    Return the query for Spark.

    :param sql: One query, which DuckDB takes.
    :param inputs: Tables without rows, with the columns of the inputs.
    :param sql_file: Where the query stands, for messages.
    :raises UserCodeError: it has what Spark would, or might, answer otherwise.
    """
    where = named(sql_file)
    hint = "remove `cluster` from this step, or have `engine: embedded` on the cluster: DuckDB then runs the query"
    with Types(inputs) as types:
        try:
            tree = sqlglot.parse_one(sql, dialect="duckdb")
            tree = qualify(tree, schema=types.schema(), dialect="duckdb")
            for node in list(tree.walk()):
                _check(node)
            ruled = [(node, rule) for node in tree.walk() if (rule := RULES.get(type(node))) is not None]
            for node, _ in ruled:
                types.note(node)
            for node, rule in reversed(ruled):  # from the leaves: a rule copies parts that are Spark's already
                rule(node, types)
            text = tree.sql(dialect="spark", comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)
        except _RefusedError as error:
            said = " ".join(error.node.sql(dialect="duckdb", comments=False).replace('"', "").split())
            short = said if len(said) <= 80 else f"{said[:77]}..."
            mend = f"{error.mend}; else {hint}" if error.mend else hint
            raise UserCodeError(f"{where}: Spark may answer `{short}` otherwise than DuckDB: {error}", hint=mend) from None
        except SqlglotError as error:
            said = str(error).splitlines()[0]
            raise UserCodeError(f"{where} cannot be put into Spark's SQL: {said}", hint=hint) from error
    return Query(text, tree.args.get("order") is not None)


# --- what may stand there


def _check(node: exp.Expression) -> None:
    if isinstance(node, exp.Anonymous):
        if node.name.lower() != "date_part":
            raise _RefusedError(node, f"the function `{node.name.lower()}` is not one of those that are known to agree")
        return
    if type(node) not in ALLOWED:
        raise _RefusedError(node, f"`{type(node).__name__}` is not one of the things that are known to agree")
    shape = _SHAPES.get(type(node))
    if shape is not None:
        shape(node)


def _join(node: exp.Expression) -> None:
    if node.args.get("method") or node.args.get("kind") not in (None, "", "INNER", "OUTER", "CROSS", "SEMI", "ANTI"):
        raise _RefusedError(node, "this kind of join is not known there", "join by `ON` or `USING`")


def _set_operation(node: exp.Expression) -> None:
    if node.args.get("by_name"):
        raise _RefusedError(node, "columns are matched by place there", "name the columns of both in one order")


def _limit(node: exp.Expression) -> None:
    above = node.parent
    if above is None or above.args.get("order") is None:
        raise _RefusedError(node, "which rows it keeps is left open", "order the rows by `ORDER BY` before")


def _distinct(node: exp.Expression) -> None:
    if node.args.get("on"):
        raise _RefusedError(node, "which row it keeps is left open", "use `row_number() OVER (... ORDER BY ...) = 1`")


def _with(node: exp.Expression) -> None:
    if node.args.get("recursive"):
        raise _RefusedError(node, "a recursive query is not known to agree")


def _window(node: exp.Expression) -> None:
    if isinstance(node.this, exp.RowNumber | exp.Lag | exp.Lead) and node.args.get("order") is None:
        raise _RefusedError(node, "the order of the rows is left open", "write `OVER (... ORDER BY ...)`")


def _window_spec(node: exp.Expression) -> None:
    if node.args.get("exclude"):
        raise _RefusedError(node, "`EXCLUDE` in a window is not known there")


def _several(node: exp.Expression) -> None:
    inner = node.this
    if node.expressions or (isinstance(inner, exp.Distinct) and len(inner.expressions) > 1):
        raise _RefusedError(node, "with several arguments it means something else there")


def _like(node: exp.Expression) -> None:
    if not node.expression.is_string or "\\" in node.expression.name:
        raise _RefusedError(node, "in a pattern, `\\` means something else there", "write the pattern as a text without `\\`")


def _substring(node: exp.Expression) -> None:
    start, length = node.args.get("start"), node.args.get("length")
    if start is None or not start.is_int or int(start.name) < 1 or (length is not None and not length.is_int):
        raise _RefusedError(node, "a start below 1 means something else there", "write whole numbers from 1 on")


def _trim(node: exp.Expression) -> None:
    if node.expression is not None:
        raise _RefusedError(node, "trimming other characters than blanks is not known to agree")


def _in(node: exp.Expression) -> None:
    """Where it is not what rows are chosen by, Spark takes "not known" for "no"."""
    above = node.parent
    if node.args.get("query") is None:
        return
    while isinstance(above, exp.And | exp.Not | exp.Paren):
        above = above.parent
    if not isinstance(above, exp.Where):
        raise _RefusedError(node, "beside a null it is false there, and not null", "use `EXISTS (...)`")


_SHAPES: dict[type[exp.Expression], Callable[[exp.Expression], None]] = {
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


# --- what is written otherwise


def _put(node: exp.Expression, template: str, **parts: exp.Expression) -> None:
    """Replace a node by Spark's SQL, in which the names of the parts, with `__` behind, stand for them."""
    made = sqlglot.parse_one(template, dialect="spark")
    for column in list(made.find_all(exp.Column)):
        part = parts.get(column.name.removesuffix("__"))
        if part is not None:
            column.replace(exp.paren(part.copy(), copy=False))
    node.replace(exp.paren(made, copy=False))


def _arithmetic(node: exp.Expression, types: Types) -> None:
    left, right = types.of(node, "this"), types.of(node, "expression")
    pair = {left.family, right.family}
    if pair <= _NUMBERS | {Family.NULL}:
        return
    minus = isinstance(node, exp.Sub)
    if minus and left.family is right.family is Family.DATE:
        _put(node, "CAST(DATEDIFF(l__, r__) AS BIGINT)", l=node.this, r=node.expression)
        return
    if not isinstance(node, exp.Mul) and left.family is Family.DATE and right.family is Family.INTEGER:
        return
    if not isinstance(node, exp.Mul) and left.family in _TIMES and right.family is Family.INTERVAL:
        if left.family is Family.DATE:
            node.this.replace(exp.cast(node.this.copy(), "TIMESTAMPNTZ", dialect="duckdb"))
        return
    raise _RefusedError(node, f"it is of {left} and {right}", _no_float(left, right))


def _no_float(*kinds: Kind) -> str | None:
    single = any(kind.family is Family.FLOAT for kind in kinds)
    return "cast single-precision numbers: `CAST(... AS DOUBLE)`" if single else None


def _interval(node: exp.Expression, types: Types) -> None:
    value = node.this
    if value is None or not re.fullmatch(r"-?\d{1,9}", value.name) or node.text("unit").upper().removesuffix("S") not in _UNITS:
        raise _RefusedError(node, "not all of its forms are known there", "write e.g. `INTERVAL 3 HOUR`")


def _division(node: exp.Expression, types: Types) -> None:
    _numbers_only(node, types, "this", "expression")
    left, right = node.this, node.expression
    if right.is_number and float(right.name):
        _put(node, "CAST(l__ AS DOUBLE) / CAST(r__ AS DOUBLE)", l=left, r=right)
        return
    by_zero = "CAST(l__ AS DOUBLE) * CAST('Infinity' AS DOUBLE)"  # what IEEE 754 says; Spark would stop
    quotient = "CAST(l__ AS DOUBLE) / CAST(r__ AS DOUBLE)"
    _put(node, f"CASE WHEN r__ = 0 THEN {by_zero} ELSE {quotient} END", l=left, r=right)


def _whole(node: exp.Expression, types: Types) -> None:
    for key in ("this", "expression"):
        kind = types.of(node, key)
        allowed = {Family.INTEGER, Family.DECIMAL} if isinstance(node, exp.Mod) else {Family.INTEGER}
        if kind.family not in allowed:
            raise _RefusedError(node, f"one side is of {kind}", "cast both to integers")


def _numbers_only(node: exp.Expression, types: Types, *keys: str) -> None:
    kinds = [types.of(node, key) for key in keys]
    for kind in kinds:
        if kind.family not in _NUMBERS | {Family.NULL}:
            raise _RefusedError(node, f"it is of {kind}", _no_float(*kinds) or "cast it to a number")


def _average(node: exp.Expression, types: Types) -> None:
    kind = types.of(node, "this")
    if kind.family not in _NUMBERS | {Family.FLOAT}:
        raise _RefusedError(node, f"it is of {kind}", "cast it to a number")
    inner = node.this
    distinct = isinstance(inner, exp.Distinct)
    value = inner.expressions[0] if distinct else inner
    word = "DISTINCT " if distinct else ""
    plain = isinstance(node.parent, exp.Window | exp.Filter) or kind.family in (Family.DOUBLE, Family.FLOAT)
    if plain:
        made = sqlglot.parse_one(f"AVG({word}CAST(x__ AS DOUBLE))", dialect="spark")
        next(made.find_all(exp.Column)).replace(value.copy())
        node.replace(made)
        return
    # Summed exactly, so that it does not depend on the order of the rows.
    exact = "CAST(x__ AS DECIMAL(28, 0))" if kind.family is Family.INTEGER else "x__"
    _put(node, f"CAST(SUM({word}{exact}) AS DOUBLE) / NULLIF(COUNT({word}x__), 0)", x=value)


def _sum(node: exp.Expression, types: Types) -> None:
    kind = types.of(node, "this")
    if kind.family is Family.BOOLEAN and not isinstance(node.this, exp.Distinct):
        node.this.replace(exp.cast(node.this.copy(), "INT"))
    elif kind.family not in _NUMBERS | {Family.FLOAT}:
        raise _RefusedError(node, f"it is of {kind}", "cast it to a number")


def _as_double(node: exp.Expression, types: Types) -> None:
    kind = types.of(node, "this")
    if kind.family not in _NUMBERS or isinstance(node.this, exp.Distinct):
        raise _RefusedError(node, f"it is of {kind}", "cast it to a number")
    node.this.replace(exp.cast(node.this.copy(), "DOUBLE"))


def _round(node: exp.Expression, types: Types) -> None:
    kind, places = types.of(node, "this"), node.args.get("decimals")
    if kind.family not in _NUMBERS or (places is not None and not (places.is_int and 0 <= int(places.name) <= 15)):
        raise _RefusedError(node, f"it is of {kind}", "round numbers, to 0 to 15 places")
    if kind.family is Family.DOUBLE and places is not None and int(places.name):
        _put(node, f"ROUND(x__ * 1E{places.name}D) / 1E{places.name}D", x=node.this)


def _floor(node: exp.Expression, types: Types) -> None:
    kind = types.of(node, "this")
    if kind.family not in _NUMBERS or node.args.get("decimals") is not None:
        raise _RefusedError(node, f"it is of {kind}", "cast it to a number")
    if kind.family is Family.DOUBLE:  # Spark's is an integer, and there is none for all that is large, or no number
        word = "FLOOR" if isinstance(node, exp.Floor) else "CEIL"
        large = "4503599627370496E0D"
        _put(node, f"CASE WHEN ABS(x__) < {large} THEN CAST({word}(x__) AS DOUBLE) ELSE x__ END", x=node.this)


def _texts(node: exp.Expression, types: Types) -> None:
    for kinds in types.all_of(node):
        for kind in kinds:
            if kind.family not in _TEXT:
                raise _RefusedError(node, f"one part is of {kind}", "cast it: `CAST(... AS VARCHAR)`")


def _alike(node: exp.Expression, types: Types) -> None:
    """What is to become of one type is of one, as far as the engines would not agree on which."""
    for key, parts in parts_of(node).items():
        kinds = types.each_of(node, key)
        if not isinstance(node, exp.Concat | exp.DPipe):
            kinds = _written_texts(node, parts, kinds)
        _same(node, kinds)


def _written_texts(node: exp.Expression, parts: list[exp.Expression], kinds: list[Kind]) -> list[Kind]:
    """A text that is written in the query becomes what it stands beside."""
    others = {kind.name: kind for part, kind in zip(parts, kinds, strict=True) if not part.is_string}
    others.pop("NULL", None)
    only = next(iter(others.values())) if len(others) == 1 else None
    if only is None or only.family not in _TIMES | {Family.INTEGER}:
        return kinds
    for part in parts:
        if part.is_string:
            _check_written(node, part, only)
            part.replace(exp.cast(part.copy(), only.name, dialect="duckdb"))
    return [only]


def _check_written(node: exp.Expression, text: exp.Expression, kind: Kind) -> None:
    pattern = _WRITTEN[kind.family]
    if not re.fullmatch(pattern, text.name):
        raise _RefusedError(node, f"not all engines read the text as {kind}", "write e.g. `2013-07-01 05:00:00`")


_DAY, _TIME = r"\d{4}-\d{2}-\d{2}", r"[ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?"
_WRITTEN = {
    Family.INTEGER: r"-?\d{1,18}",
    Family.DATE: _DAY,
    Family.TIMESTAMP: f"{_DAY}({_TIME})?",
    Family.TIMESTAMPTZ: f"{_DAY}({_TIME})?(Z|[+-]\\d{{2}}:\\d{{2}})?",
}
"""How a text in a query is read alike."""


def _same(node: exp.Expression, kinds: list[Kind]) -> None:
    families = {kind.family for kind in kinds} - {Family.NULL}
    if families & {Family.TEXT, Family.FLOAT, Family.UNKNOWN} and len(families) > 1:
        listed = " and ".join(sorted({str(kind) for kind in kinds}))
        raise _RefusedError(node, f"it mixes {listed}", "cast them to one type")


def _branches(node: exp.Expression, types: Types) -> None:
    left, right = types.columns(node.this), types.columns(node.expression)
    if not left or len(left) != len(right):
        raise _RefusedError(node, "the types of its columns are not known")
    for pair in zip(left, right, strict=True):
        _same(node, list(pair))


def _cast(node: exp.Expression, types: Types) -> None:
    source, target = types.of(node, "this"), Kind.of(node.to.sql(dialect="duckdb"))
    word = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
    to = node.to.sql(dialect="spark")
    family = target.family
    if source.family is Family.NULL or source == target:
        return
    if node.this.is_string and family in _TIMES:  # `DATE '2013-07-01'`
        _check_written(node, node.this, target)
        return
    if family is Family.INTEGER and source.family in (Family.DOUBLE, Family.DECIMAL):
        rounded = "RINT" if source.family is Family.DOUBLE else "ROUND"  # to the even one, and away from zero
        _put(node, f"{word}({rounded}(x__) AS {to})", x=node.this)
    elif family in (Family.INTEGER, Family.DOUBLE, Family.DECIMAL) and source.family is Family.TEXT:
        digits = "REGEXP_REPLACE(x__, '(?<=[0-9])_(?=[0-9])', '')"
        if family is Family.INTEGER:
            _put(node, f"{word}(ROUND({word}({digits} AS DECIMAL(38, 18))) AS {to})", x=node.this)
        elif family is Family.DECIMAL:
            _put(node, f"{word}({digits} AS {to})", x=node.this)
        else:  # Java takes `1d` and `1f` for numbers too
            known = f"CASE WHEN {digits} RLIKE '[0-9.][dDfF][ ]*$' THEN 'no number' ELSE {digits} END"
            _put(node, f"{word}({known} AS {to})", x=node.this)
    elif family is Family.DECIMAL and source.family is Family.DOUBLE:
        _double_to_decimal(node, target, word, to)
    elif (source.family, family) not in _CASTS:
        raise _RefusedError(node, f"it is of {source}", _MENDS.get((source.family, family)))
    elif family is Family.TEXT and source.family is Family.TIMESTAMP:
        node.this.replace(exp.cast(node.this.copy(), "TIMESTAMPNTZ", dialect="duckdb"))


def _double_to_decimal(node: exp.Expression, target: Kind, word: str, to: str) -> None:
    if target.precision > 15:
        raise _RefusedError(node, "so many digits of a DOUBLE are read otherwise there", "cast to `DECIMAL(15, ...)`")
    scaled = f"{word}(ROUND(x__ * 1E{target.scale}D) AS DECIMAL(15, 0))"
    unit = f"CAST('1E-{target.scale}' AS DECIMAL(16, {target.scale}))"
    _put(node, f"{word}({scaled} * {unit} AS {to})", x=node.this)


_CASTS = frozenset(
    (source, target)
    for source, targets in {
        Family.INTEGER: (Family.INTEGER, Family.DECIMAL, Family.DOUBLE, Family.FLOAT, Family.TEXT),
        Family.DECIMAL: (Family.DECIMAL, Family.DOUBLE, Family.TEXT),
        Family.DOUBLE: (Family.DOUBLE, Family.FLOAT),
        Family.FLOAT: (Family.FLOAT, Family.DOUBLE),
        Family.TEXT: (Family.TEXT,),
        Family.BOOLEAN: (Family.BOOLEAN, Family.INTEGER, Family.TEXT),
        Family.DATE: (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ, Family.TEXT),
        Family.TIMESTAMP: (Family.TIMESTAMP, Family.TIMESTAMPTZ, Family.DATE, Family.TEXT),
        Family.TIMESTAMPTZ: (Family.TIMESTAMPTZ, Family.TIMESTAMP, Family.DATE),
    }.items()
    for target in targets
)
"""From what to what a cast is alike, as it stands."""

_MENDS = {
    (Family.TEXT, Family.DATE): "have `ingest` read the column as a date",
    (Family.TEXT, Family.TIMESTAMP): "have `ingest` read the column as a timestamp",
    (Family.DOUBLE, Family.TEXT): "round it to a DECIMAL first",
}


def _date_part(node: exp.Expression, types: Types) -> None:
    if len(node.expressions) != 2 or not node.expressions[0].is_string:
        raise _RefusedError(node, "its part is not written as a text", "write e.g. `date_part('hour', ...)`")
    _part(node, node.expressions[0].name, node.expressions[1], types.of(node, "1"))


def _extract(node: exp.Expression, types: Types) -> None:
    _part(node, node.this.name, node.expression, types.of(node, "expression"))


def _calendar(node: exp.Expression, types: Types) -> None:
    _part(node, type(node).__name__, node.this, types.of(node, "this"))


def _part(node: exp.Expression, part: str, value: exp.Expression, kind: Kind) -> None:
    template = _PARTS.get(part.lower())
    if template is None or kind.family not in _TIMES:
        raise _RefusedError(node, f"the part `{part.lower()}` of {kind}", f"use one of {', '.join(_PARTS)}")
    if part.lower() in _CLOCK and kind.family is Family.DATE:
        raise _RefusedError(node, "a date has no time of day there", "cast it to TIMESTAMP")
    _put(node, f"CAST({template} AS BIGINT)", x=value)


def _truncated(node: exp.Expression, types: Types) -> None:
    kind, unit = types.of(node, "this"), node.text("unit").upper()
    if unit not in _UNITS or kind.family not in _TIMES:
        raise _RefusedError(node, f"the unit `{unit.lower()}` of {kind}")
    to = "TIMESTAMP" if kind.family is Family.TIMESTAMPTZ else "TIMESTAMP_NTZ"
    _put(node, f"CAST(DATE_TRUNC('{unit}', x__) AS {to})", x=node.this)


RULES: dict[type[exp.Expression], Callable[[exp.Expression, Types], None]] = {
    exp.Add: _arithmetic,
    exp.Sub: _arithmetic,
    exp.Mul: _arithmetic,
    exp.Div: _division,
    exp.IntDiv: _whole,
    exp.Mod: _whole,
    exp.Avg: _average,
    exp.Sum: _sum,
    exp.Sqrt: _as_double,
    **dict.fromkeys((exp.Stddev, exp.StddevSamp, exp.StddevPop, exp.Variance, exp.VariancePop), _as_double),
    exp.Round: _round,
    exp.Floor: _floor,
    exp.Ceil: _floor,
    exp.DPipe: _texts,
    exp.Concat: _texts,
    **dict.fromkeys((exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.In, exp.Between), _alike),
    **dict.fromkeys((exp.Union, exp.Except, exp.Intersect), _branches),
    **dict.fromkeys(_COMPARED, _alike),
    exp.Interval: _interval,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Anonymous: _date_part,
    exp.Extract: _extract,
    **dict.fromkeys((exp.Year, exp.Month, exp.Day), _calendar),
    exp.TimestampTrunc: _truncated,
    exp.DateTrunc: _truncated,
}
"""What is written otherwise, or looked at more closely: by the types of its parts."""

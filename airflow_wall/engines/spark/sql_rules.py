"""Rules that rewrite or check the nodes of a query for Spark, by the types of their parts."""

from __future__ import annotations

import re
from collections.abc import Callable

import sqlglot
from sqlglot import exp

from airflow_wall.engines.spark.allowed_sql import RefusedError
from airflow_wall.engines.spark.sql_types import Family, SqlType, Types, parts_of

_PARTS = {
    "year": "EXTRACT(YEAR FROM x__)",
    "quarter": "EXTRACT(QUARTER FROM x__)",
    "month": "EXTRACT(MONTH FROM x__)",
    "day": "EXTRACT(DAY FROM x__)",
    "doy": "EXTRACT(DOY FROM x__)",
    "dow": "EXTRACT(DAYOFWEEK FROM x__) - 1",  # Sunday is 0 in DuckDB and 1 in Spark
    "isodow": "EXTRACT(DAYOFWEEK_ISO FROM x__)",
    "week": "EXTRACT(WEEK FROM x__)",
    "hour": "EXTRACT(HOUR FROM x__)",
    "minute": "EXTRACT(MINUTE FROM x__)",
    "second": "FLOOR(EXTRACT(SECOND FROM x__))",  # seconds have no fraction in DuckDB
}
_CLOCK = frozenset(("hour", "minute", "second"))
_UNITS = frozenset(("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"))
_NUMBERS = frozenset((Family.INTEGER, Family.DECIMAL, Family.DOUBLE))
_TIMES = frozenset((Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ))
_TEXT = frozenset((Family.TEXT, Family.NULL))

_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_AGGREGATES = (
    exp.Sum,
    exp.Avg,
    exp.Min,
    exp.Max,
    exp.Stddev,
    exp.StddevSamp,
    exp.StddevPop,
    exp.Variance,
    exp.VariancePop,
)


def _put(node: exp.Expr, template: str, **parts: exp.Expr) -> None:
    """Replace a node by a template in Spark's SQL. In it, the name of a part followed by `__` stands for the part."""
    replacement = sqlglot.parse_one(template, dialect="spark")
    for column in list(replacement.find_all(exp.Column)):
        part = parts.get(column.name.removesuffix("__"))
        if part is not None:
            column.replace(exp.paren(part.copy(), copy=False))
    node.replace(exp.paren(replacement, copy=False))


def _arithmetic(node: exp.Expr, types: Types) -> None:
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
    raise RefusedError(node, f"it is of {left} and {right}", _no_float(left, right))


def _no_float(*kinds: SqlType) -> str | None:
    single = any(kind.family is Family.FLOAT for kind in kinds)
    return "cast single-precision numbers: `CAST(... AS DOUBLE)`" if single else None


def _interval(node: exp.Expr, _: Types) -> None:
    value = node.this
    if (
        value is None
        or not re.fullmatch(r"-?\d{1,9}", value.name)
        or node.text("unit").upper().removesuffix("S") not in _UNITS
    ):
        raise RefusedError(node, "Spark does not have all forms of it", "write e.g. `INTERVAL 3 HOUR`")


def _division(node: exp.Expr, types: Types) -> None:
    _numbers_only(node, types, "this", "expression")
    left, right = node.this, node.expression
    if right.is_number and float(right.name):
        _put(node, "CAST(l__ AS DOUBLE) / CAST(r__ AS DOUBLE)", l=left, r=right)
        return
    by_zero = "CAST(l__ AS DOUBLE) * CAST('Infinity' AS DOUBLE)"  # as in IEEE 754; Spark would raise an error
    quotient = "CAST(l__ AS DOUBLE) / CAST(r__ AS DOUBLE)"
    _put(node, f"CASE WHEN r__ = 0 THEN {by_zero} ELSE {quotient} END", l=left, r=right)


def _whole(node: exp.Expr, types: Types) -> None:
    for key in ("this", "expression"):
        kind = types.of(node, key)
        allowed = {Family.INTEGER, Family.DECIMAL} if isinstance(node, exp.Mod) else {Family.INTEGER}
        if kind.family not in allowed:
            raise RefusedError(node, f"one side is of {kind}", "cast both to integers")


def _numbers_only(node: exp.Expr, types: Types, *keys: str) -> None:
    kinds = [types.of(node, key) for key in keys]
    for kind in kinds:
        if kind.family not in _NUMBERS | {Family.NULL}:
            raise RefusedError(node, f"it is of {kind}", _no_float(*kinds) or "cast it to a number")


def _average(node: exp.Expr, types: Types) -> None:
    kind = types.of(node, "this")
    if kind.family not in _NUMBERS | {Family.FLOAT}:
        raise RefusedError(node, f"it is of {kind}", "cast it to a number")
    inner = node.this
    distinct = isinstance(inner, exp.Distinct)
    value = inner.expressions[0] if distinct else inner
    word = "DISTINCT " if distinct else ""
    plain = isinstance(node.parent, exp.Window | exp.Filter) or kind.family in (Family.DOUBLE, Family.FLOAT)
    if plain:
        average = sqlglot.parse_one(f"AVG({word}CAST(x__ AS DOUBLE))", dialect="spark")
        next(average.find_all(exp.Column)).replace(value.copy())
        node.replace(average)
        return
    # The sum is exact, so that it does not depend on the order of the rows.
    exact = "CAST(x__ AS DECIMAL(28, 0))" if kind.family is Family.INTEGER else "x__"
    _put(node, f"CAST(SUM({word}{exact}) AS DOUBLE) / NULLIF(COUNT({word}x__), 0)", x=value)


def _sum(node: exp.Expr, types: Types) -> None:
    kind = types.of(node, "this")
    if kind.family is Family.BOOLEAN and not isinstance(node.this, exp.Distinct):
        node.this.replace(exp.cast(node.this.copy(), "INT"))
    elif kind.family not in _NUMBERS | {Family.FLOAT}:
        raise RefusedError(node, f"it is of {kind}", "cast it to a number")


def _as_double(node: exp.Expr, types: Types) -> None:
    kind = types.of(node, "this")
    if kind.family not in _NUMBERS or isinstance(node.this, exp.Distinct):
        raise RefusedError(node, f"it is of {kind}", "cast it to a number")
    node.this.replace(exp.cast(node.this.copy(), "DOUBLE"))


def _round(node: exp.Expr, types: Types) -> None:
    kind, places = types.of(node, "this"), node.args.get("decimals")
    if kind.family not in _NUMBERS or (places is not None and not (places.is_int and 0 <= int(places.name) <= 15)):
        raise RefusedError(node, f"it is of {kind}", "round numbers, to 0 to 15 places")
    if kind.family is Family.DOUBLE and places is not None and int(places.name):
        _put(node, f"ROUND(x__ * 1E{places.name}D) / 1E{places.name}D", x=node.this)


def _floor(node: exp.Expr, types: Types) -> None:
    kind = types.of(node, "this")
    if kind.family not in _NUMBERS or node.args.get("decimals") is not None:
        raise RefusedError(node, f"it is of {kind}", "cast it to a number")
    if kind.family is Family.DOUBLE:  # Spark returns an integer, which cannot hold large values and NaN
        word = "FLOOR" if isinstance(node, exp.Floor) else "CEIL"
        large = "4503599627370496E0D"
        _put(node, f"CASE WHEN ABS(x__) < {large} THEN CAST({word}(x__) AS DOUBLE) ELSE x__ END", x=node.this)


def _texts(node: exp.Expr, types: Types) -> None:
    for kinds in types.all_of(node):
        for kind in kinds:
            if kind.family not in _TEXT:
                raise RefusedError(node, f"one part is of {kind}", "cast it: `CAST(... AS VARCHAR)`")


def _alike(node: exp.Expr, types: Types) -> None:
    """Check that parts which are converted to one type mix no types that the engines convert differently."""
    for key, parts in parts_of(node).items():
        kinds = types.group_of(node, key)
        if not isinstance(node, exp.Concat | exp.DPipe):
            kinds = _cast_literals(node, parts, kinds)
        _check_same_type(node, kinds)


def _cast_literals(node: exp.Expr, parts: list[exp.Expr], kinds: list[SqlType]) -> list[SqlType]:
    """Cast text literals to the type of the other parts, and return the types of the parts."""
    others = {kind.name: kind for part, kind in zip(parts, kinds, strict=True) if not part.is_string}
    others.pop("NULL", None)
    only = next(iter(others.values())) if len(others) == 1 else None
    if only is None or only.family not in _TIMES | {Family.INTEGER}:
        return kinds
    for part in parts:
        if part.is_string:
            _check_literal(node, part, only)
            part.replace(exp.cast(part.copy(), only.name, dialect="duckdb"))
    return [only]


def _check_literal(node: exp.Expr, text: exp.Expr, kind: SqlType) -> None:
    pattern = _LITERALS[kind.family]
    if not re.fullmatch(pattern, text.name):
        raise RefusedError(node, f"only one engine reads the text as {kind}", "write e.g. `2013-07-01 05:00:00`")


_DAY, _TIME = r"\d{4}-\d{2}-\d{2}", r"[ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?"
_LITERALS = {
    Family.INTEGER: r"-?\d{1,18}",
    Family.DATE: _DAY,
    Family.TIMESTAMP: f"{_DAY}({_TIME})?",
    Family.TIMESTAMPTZ: f"{_DAY}({_TIME})?(Z|[+-]\\d{{2}}:\\d{{2}})?",
}
"""Patterns of text literals that both engines read alike."""


def _check_same_type(node: exp.Expr, kinds: list[SqlType]) -> None:
    families = {kind.family for kind in kinds} - {Family.NULL}
    if families & {Family.TEXT, Family.FLOAT, Family.UNKNOWN} and len(families) > 1:
        listed = " and ".join(sorted({str(kind) for kind in kinds}))
        raise RefusedError(node, f"it mixes {listed}", "cast them to one type")


def _branches(node: exp.Expr, types: Types) -> None:
    left, right = types.columns(node.this), types.columns(node.expression)
    if not left or len(left) != len(right):
        raise RefusedError(node, "the types of its columns are not known")
    for pair in zip(left, right, strict=True):
        _check_same_type(node, list(pair))


def _cast(node: exp.Expr, types: Types) -> None:
    source, to_type = types.of(node, "this"), node.args["to"]
    target = SqlType.of(to_type.sql(dialect="duckdb"))
    word = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
    to = to_type.sql(dialect="spark")
    family = target.family
    if source.family is Family.NULL or source == target:
        return
    if node.this.is_string and family in _TIMES:  # `DATE '2013-07-01'`
        _check_literal(node, node.this, target)
        return
    if family is Family.INTEGER and source.family in (Family.DOUBLE, Family.DECIMAL):
        rounded = (
            "RINT" if source.family is Family.DOUBLE else "ROUND"
        )  # DuckDB rounds doubles half to even, and decimals half away from zero
        _put(node, f"{word}({rounded}(x__) AS {to})", x=node.this)
    elif family in (Family.INTEGER, Family.DOUBLE, Family.DECIMAL) and source.family is Family.TEXT:
        digits = "REGEXP_REPLACE(x__, '(?<=[0-9])_(?=[0-9])', '')"
        if family is Family.INTEGER:
            _put(node, f"{word}(ROUND({word}({digits} AS DECIMAL(38, 18))) AS {to})", x=node.this)
        elif family is Family.DECIMAL:
            _put(node, f"{word}({digits} AS {to})", x=node.this)
        else:  # Java also reads `1d` and `1f` as numbers
            number = f"CASE WHEN {digits} RLIKE '[0-9.][dDfF][ ]*$' THEN 'no number' ELSE {digits} END"
            _put(node, f"{word}({number} AS {to})", x=node.this)
    elif family is Family.DECIMAL and source.family is Family.DOUBLE:
        _double_to_decimal(node, target, word, to)
    elif (source.family, family) not in _CASTS:
        raise RefusedError(node, f"it is of {source}", _CAST_HINTS.get((source.family, family)))
    elif family is Family.TEXT and source.family is Family.TIMESTAMP:
        node.this.replace(exp.cast(node.this.copy(), "TIMESTAMPNTZ", dialect="duckdb"))


def _double_to_decimal(node: exp.Expr, target: SqlType, word: str, to: str) -> None:
    if target.precision > 15:
        raise RefusedError(node, "Spark reads so many digits of a DOUBLE differently", "cast to `DECIMAL(15, ...)`")
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
"""Pairs of types whose casts give equal results without a rule."""

_CAST_HINTS = {
    (Family.TEXT, Family.DATE): "let `ingest` read the column as a date",
    (Family.TEXT, Family.TIMESTAMP): "let `ingest` read the column as a timestamp",
    (Family.DOUBLE, Family.TEXT): "round it to a DECIMAL first",
}


def _date_part(node: exp.Expr, types: Types) -> None:
    if len(node.expressions) != 2 or not node.expressions[0].is_string:
        raise RefusedError(node, "its part is not a text literal", "write e.g. `date_part('hour', ...)`")
    _part(node, node.expressions[0].name, node.expressions[1], types.of(node, "1"))


def _extract(node: exp.Expr, types: Types) -> None:
    _part(node, node.this.name, node.expression, types.of(node, "expression"))


def _calendar(node: exp.Expr, types: Types) -> None:
    _part(node, type(node).__name__, node.this, types.of(node, "this"))


def _part(node: exp.Expr, part: str, value: exp.Expr, kind: SqlType) -> None:
    template = _PARTS.get(part.lower())
    if template is None or kind.family not in _TIMES:
        raise RefusedError(node, f"the part `{part.lower()}` of {kind}", f"use one of {', '.join(_PARTS)}")
    if part.lower() in _CLOCK and kind.family is Family.DATE:
        raise RefusedError(node, "a date has no time of day on Spark", "cast it to TIMESTAMP")
    _put(node, f"CAST({template} AS BIGINT)", x=value)


def _truncated(node: exp.Expr, types: Types) -> None:
    kind, unit = types.of(node, "this"), node.text("unit").upper()
    if unit not in _UNITS or kind.family not in _TIMES:
        raise RefusedError(node, f"the unit `{unit.lower()}` of {kind}")
    to = "TIMESTAMP" if kind.family is Family.TIMESTAMPTZ else "TIMESTAMP_NTZ"
    _put(node, f"CAST(DATE_TRUNC('{unit}', x__) AS {to})", x=node.this)


RULES: dict[type[exp.Expr], Callable[[exp.Expr, Types], None]] = {
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
"""Kind of node -> the rule that rewrites or checks it."""

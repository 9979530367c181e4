"""
SQL that reads texts as values of a type, exactly: no digit, leading zero, time part, fraction or offset is lost.

A text that the type does not hold exactly is invalid; nothing is rounded or cut. Two questions are kept apart: which
texts a known type accepts (`exact_value`), and which type a column of texts has (`Inference`), where fewer spellings
count, because `+4912345` is a telephone number and `1.10` may be a version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from airflow_wall.engines.duckdb import connection as duck

NULL_MARKERS = ("", "NA", "N/A", "n/a", "NULL", "null", "None", "-", "\\N", "#N/A")
"""Texts that mean null in a column whose other values are numbers, times or booleans."""

_MAX_DIGITS = 40
_PRECISION = 38  # of a DECIMAL
_INTEGER = r"(0|[1-9][0-9]*)"
_YEAR = r"([1-9][0-9]{3}|0[0-9]{2}[1-9]|0[0-9][1-9]0|0[1-9]00)"
_DAY = rf"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"
_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?"
_OFFSET = r" ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
_OTHER_DATE = r"[0-9]{1,4}([./-])[0-9]{1,2}[./-][0-9]{1,4}"
_NOT_FINITE = ("nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity")
_TYPES: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
_FRACTIONS = ("plain", "float", "not_finite", "whole_digits", "scale", "least_scale", "padded")
"""The counts that tell the type of a column of numbers with fractions."""

_INT_BITS: dict[pa.DataType, str] = {
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
}


@dataclass(frozen=True)
class Notation:
    """
    The notation of numbers and times in a file, from `options`.

    :param date_format: The strptime format of dates, e.g. `%d/%m/%Y`; ISO dates are read too.
    :param timestamp_format: The strptime format of timestamps.
    :param decimal_separator: The sign before the fraction of a number.
    :param thousands: The sign between groups of three digits; empty for none.
    """

    date_format: str | None = None
    timestamp_format: str | None = None
    decimal_separator: str = "."
    thousands: str = ""

    @classmethod
    def of(cls, options: Mapping[str, object]) -> Notation:
        """Return the notation that the options of a reader describe."""
        names = {
            "date_format": "dateformat",
            "timestamp_format": "timestampformat",
            "decimal_separator": "decimal_separator",
            "thousands": "thousands",
        }
        return cls(**{name: str(options[option]) for name, option in names.items() if option in options})

    def plain_number(self, text: str) -> str:
        """Return the SQL of a number in this notation as a number with `.` and without groups."""
        if self.thousands:
            groups = rf"[+-]?[0-9]{{1,3}}([{self.thousands}][0-9]{{3}})+([^0-9{self.thousands}].*)?"
            removed = f"replace({text}, {duck.literal(self.thousands)}, '')"
            text = f"CASE WHEN {_matches(text, groups)} THEN {removed} ELSE {text} END"
        if self.decimal_separator != ".":
            point, comma = duck.literal("."), duck.literal(self.decimal_separator)
            text = f"CASE WHEN contains({text}, {point}) THEN NULL ELSE replace({text}, {comma}, {point}) END"
        return text


ISO = Notation()


@dataclass(frozen=True)
class ExactValue:
    """
    The reading of one column of texts.

    :param valid: SQL that is true if the text is null, or is exactly a value of the type.
    :param value: SQL of the value; null for a marker of null.
    :param is_marker: SQL that is true if the text is a marker of null.
    """

    valid: str
    value: str
    is_marker: str


def exact_value(column: str, type_: pa.DataType, notation: Notation = ISO) -> ExactValue:
    """
    Return the SQL that reads a column of texts as a type.

    Spaces around numbers, times and booleans do not count. A text column keeps its texts as they are.

    :param column: SQL of the texts, e.g. a quoted name.
    :param type_: The type, as contracts name it.
    """
    if pa.types.is_string(type_):
        return ExactValue("true", column, "false")
    if pa.types.is_binary(type_):
        return ExactValue("true", f"encode({column})", "false")
    text = f"trim({column})"
    valid, value = _valid_and_value(text, type_, notation)
    is_marker = duck.is_one_of(text, NULL_MARKERS)
    return ExactValue(
        f"({column} IS NULL OR coalesce({valid}, false) OR {is_marker})",
        f"CASE WHEN {is_marker} THEN NULL ELSE {value} END",
        f"coalesce({is_marker}, false)",
    )


def _valid_and_value(text: str, type_: pa.DataType, notation: Notation) -> tuple[str, str]:
    if pa.types.is_boolean(type_):
        return duck.is_one_of(f"lower({text})", ("true", "false")), f"TRY_CAST({text} AS BOOLEAN)"
    if type_ in _INT_BITS:
        number = notation.plain_number(text)
        value = f"TRY_CAST({number} AS {_INT_BITS[type_]})"
        spelled = _matches(number, rf"[+-]?{_INTEGER}([.]0*)?")
        plain = f"CAST({value} AS VARCHAR) = {text}"  # most texts: no regular expression needed
        return f"CASE WHEN {plain} THEN true ELSE {spelled} AND {value} IS NOT NULL END", value
    if pa.types.is_floating(type_):
        number = notation.plain_number(text)
        value = f"TRY_CAST({number} AS {'FLOAT' if pa.types.is_float32(type_) else 'DOUBLE'})"
        spelled = _matches(number, rf"[+-]?({_INTEGER}([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?")
        digits = 6 if pa.types.is_float32(type_) else 15
        exact = f"({spelled} AND {_is_exact_float(number, value, digits)})"
        return f"({exact} OR {duck.is_one_of(f'lower({text})', _NOT_FINITE)})", value
    if isinstance(type_, pa.Decimal128Type):
        number, scale = notation.plain_number(text), type_.scale
        fraction = rf"[.][0-9]{{0,{scale}}}0*" if scale else "[.]0*"
        spelled = _matches(number, rf"[+-]?({_INTEGER}({fraction})?|[.][0-9]{{1,{max(scale, 1)}}}0*)")
        value = f"TRY_CAST({number} AS DECIMAL({type_.precision},{scale}))"
        return f"({spelled} AND {value} IS NOT NULL)", value
    if pa.types.is_date(type_):
        return _valid_time(text, "DATE", _DAY, notation.date_format)
    if isinstance(type_, pa.TimestampType):
        if type_.tz:
            joined = f"replace(replace({text}, ' +', '+'), ' -', '-')"
            return _valid_time(joined, "TIMESTAMPTZ", f"{_DAY}[ T]{_CLOCK}{_OFFSET}", notation.timestamp_format)
        return _valid_time(text, "TIMESTAMP", f"{_DAY}([ T]{_CLOCK})?", notation.timestamp_format)
    if pa.types.is_time(type_):
        return f"({_matches(text, _CLOCK)} AND TRY_CAST({text} AS TIME) IS NOT NULL)", text
    return f"TRY_CAST({text} AS VARCHAR) IS NULL", "NULL"


def _valid_time(text: str, name: str, pattern: str, format_: str | None) -> tuple[str, str]:
    value, is_iso = f"TRY_CAST({text} AS {name})", _matches(text, pattern)
    if format_ is None:
        plain = f"CAST({value} AS VARCHAR) = {text} AND length({text}) < 30"  # most texts: no regular expression needed
        return f"(CASE WHEN {plain} THEN year({value}) > 0 ELSE {is_iso} AND {value} IS NOT NULL END)", value
    parsed = f"try_strptime({text}, {duck.literal(format_)})"
    value = f"CASE WHEN {is_iso} THEN {value} ELSE CAST({parsed} AS {name}) END"
    return f"({value} IS NOT NULL)", value


def _is_exact_float(number: str, value: str, digits: int) -> str:
    """
    Return SQL that is true if a float holds all digits of a number.

    So many significant digits always survive. A longer number is compared with the float, written with as many.
    """
    mantissa = f"ltrim(replace(regexp_extract({number}, '[0-9.]+'), '.', ''), '0')"
    length = f"length({mantissa})"
    again = f"printf('%.' || ({length} - 1) || 'e', {value}::DOUBLE)"
    same = f"replace(regexp_extract({again}, '[0-9.]+'), '.', '') = {mantissa}"
    return (
        f"isfinite({value}) AND CASE WHEN length({number}) <= {digits} OR {length} <= {digits} THEN true "
        f"WHEN {length} > {_MAX_DIGITS} THEN false ELSE {same} END"
    )


def _matches(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, {duck.literal(pattern)})"


@dataclass(frozen=True)
class InferredColumn:
    """
    The type of a column of texts.

    :param type: The type that holds every text exactly; None if there are only nulls and markers of null.
    :param nulls: The markers of null that occur in a column of numbers, times or booleans.
    :param warning: A remark for the author, e.g. that dates stay text.
    """

    type: pa.DataType | None
    nulls: tuple[str, ...] = ()
    warning: str | None = None


@dataclass(frozen=True)
class Inference:
    """
    The counts by which the type of a column of texts is inferred.

    :param column: SQL of the texts.
    :param allowed: The families of types that are possible, e.g. without numbers for the strings of JSON.
    """

    column: str
    notation: Notation = ISO
    allowed: Sequence[str] = field(default=("boolean", "number", "time"))

    def counts(self) -> dict[str, str]:
        """Return name -> SQL aggregate over all rows."""
        text = f"trim({self.column})"
        marker = duck.is_one_of(text, NULL_MARKERS)
        given = f"({self.column} IS NOT NULL AND NOT {marker})"
        counts = {"given": f"count_if({given})"}
        counts["nulls"] = f"list_sort(list(DISTINCT {text}) FILTER (WHERE {marker}))"
        if "boolean" in self.allowed:
            counts["boolean"] = f"count_if({duck.is_one_of(text, ('true', 'false'))})"
        if "number" in self.allowed:
            counts |= self._number_counts(text, given)
        if "time" in self.allowed:
            counts |= self._time_counts(text)
        return counts

    def _number_counts(self, text: str, given: str) -> dict[str, str]:
        number = self.notation.plain_number(text)
        value = f"TRY_CAST({number} AS DOUBLE)"
        integer = f"CAST(TRY_CAST({number} AS BIGINT) AS VARCHAR) = {number}"  # so without zeros in front, and not -0
        plain = _matches(number, rf"-?({_INTEGER}([.][0-9]+)?|[.][0-9]+)")
        # `1e5` alone may be a code; a fraction or a signed exponent shows a number.
        power = _matches(number, r"-?[0-9]([.][0-9]+[eE][+-]?|[eE][+-])[0-9]+")
        scale = f"length(split_part({number}, '.', 2))"
        has_fraction = f"({plain} AND contains({number}, '.'))"
        padded = f"({has_fraction} AND ends_with({number}, '0') AND NOT ends_with({number}, '.0'))"
        not_finite = duck.is_one_of(f"lower({text})", _NOT_FINITE)
        return {
            "integer": f"count_if({integer})",
            "plain": f"count_if({plain} AND {number} <> '-0')",
            "float": f"count_if((({plain} OR {power}) AND {_is_exact_float(number, value, 15)}) OR {not_finite})",
            "not_finite": f"count_if({not_finite})",
            "whole_digits": f"max(length(ltrim(split_part({number}, '.', 1), '-0'))) FILTER (WHERE {given})",
            "scale": f"max({scale}) FILTER (WHERE {has_fraction})",
            "least_scale": f"min({scale}) FILTER (WHERE {has_fraction})",
            "padded": f"count_if({padded})",
        }

    def _time_counts(self, text: str) -> dict[str, str]:
        iso = Notation()
        date, _ = _valid_and_value(text, pa.date32(), iso)
        stamp, _ = _valid_and_value(text, pa.timestamp("us"), iso)
        zoned, _ = _valid_and_value(text, pa.timestamp("us", tz="UTC"), iso)
        counts = {
            "date": f"count_if({date})",
            "timestamp": f"count_if({stamp})",
            "timestamptz": f"count_if({zoned})",
            "other_date": f"count_if({_matches(text, _OTHER_DATE)})",
            "example": f"any_value({text}) FILTER (WHERE {_matches(text, _OTHER_DATE)})",
        }
        if self.notation.date_format is not None:
            counts["date"] = f"count_if({_valid_time(text, 'DATE', _DAY, self.notation.date_format)[0]})"
        if (format_ := self.notation.timestamp_format) is not None:
            name = "timestamptz" if "%z" in format_ else "timestamp"
            counts[name] = f"count_if({_valid_time(text, name, f'{_DAY}[ T]{_CLOCK}', format_)[0]})"
        return counts

    def needed(self, counts: Mapping[str, object]) -> frozenset[str]:
        """
        Return the counts of all rows that are needed to confirm the type that the counts of the first rows show.

        If they do not confirm it, all counts are needed. A text stays text, so nothing is needed.
        """
        type_ = self.type_of("", counts).type
        always = {"given", "nulls"}
        if type_ is None:
            return frozenset(self.counts())
        if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
            return frozenset(always | set(_FRACTIONS))
        for key, known in _TYPES.items():
            if known == type_:
                return frozenset(always | {key})
        is_dates = bool(counts.get("other_date")) and counts.get("other_date") == counts["given"]
        return frozenset(always | {"other_date", "example"} if is_dates else ())

    def type_of(self, name: str, counts: Mapping[str, object]) -> InferredColumn:
        """
        Return the type that the counts of all rows show.

        :param name: The column, for the warning.
        """
        number = {key: int(str(value or 0)) for key, value in counts.items() if key not in ("nulls", "example")}
        given = number["given"]
        listed = counts["nulls"]
        nulls = tuple(str(text) for text in listed if text) if isinstance(listed, list) else ()
        if given == 0:
            return InferredColumn(None, nulls)
        for key in ("boolean", "integer"):
            if number.get(key) == given:
                return InferredColumn(_TYPES[key], nulls)
        if "plain" in number and "float" in number and max(number["plain"], number["float"]) == given:
            type_ = _type_of_fractions(number)
            return InferredColumn(type_ or pa.string(), nulls if type_ else (), None if type_ else _versions(name))
        for key in ("date", "timestamp", "timestamptz"):
            if number.get(key) == given:
                return InferredColumn(_TYPES[key], nulls)
        is_dates = number.get("other_date") == given
        return InferredColumn(pa.string(), (), _other_dates(name, str(counts.get("example"))) if is_dates else None)


def _type_of_fractions(number: Mapping[str, int]) -> pa.DataType | None:
    """Return the type of a column of numbers that are not all integers, or None if a number would lose digits."""
    if number["padded"] and number["scale"] != number["least_scale"]:
        return None  # 1.9 and 1.10 are versions
    if number["not_finite"] == number["given"]:
        return None
    if number["float"] == number["given"] and (number["scale"] or number["not_finite"] or number["plain"] == 0):
        return pa.float64()
    if number["plain"] == number["given"] and number["whole_digits"] + number["scale"] <= _PRECISION:
        return pa.decimal128(_PRECISION, number["scale"])
    return pa.float64() if number["float"] == number["given"] else None


def _versions(name: str) -> str:
    return f"column `{name}` stays text, because as numbers some of its values would lose digits, e.g. a trailing zero"


def _other_dates(name: str, example: str) -> str:
    return (
        f"column `{name}` stays text, because its dates are not ISO dates, e.g. `{example}`; "
        "to read dates, write their format, e.g. `options: {dateformat: '%d/%m/%Y'}`"
    )

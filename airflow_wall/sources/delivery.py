"""
A delivery: the rows that new files bring to a table, read in the types of the table's contract.

The first delivery decides the types of a table, and each later one is read in them. A value that its type does not hold
exactly makes a bad row. A type becomes wider if all values of the table are values of the wider one too.
"""

from __future__ import annotations

import csv
import itertools
import json
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.engines.duckdb.text_values import ExactValue, Inference, Notation, exact_value
from airflow_wall.engines.duckdb.type_names import type_name
from airflow_wall.errors import DataError
from airflow_wall.sources.broken_files import broken_file_error
from airflow_wall.sources.csv_rows import csv_rows, record_places, rejected_rows
from airflow_wall.sources.json_rows import json_places, json_rows, structure_of
from airflow_wall.sources.text_rows import Presence, RejectedRow
from airflow_wall.storage.base import SOURCE, SourceVersion
from airflow_wall.storage.columns import logical_type, storable_type
from airflow_wall.storage.contract import Contract, Evolution, PinnedColumn, missing_columns
from airflow_wall.storage.conversion import exact_cast, select, wider
from airflow_wall.storage.staging import StagedSlice, Staging

_BAD = "_wall_bad"
_SAMPLE = 10_000
_SHOWN = 100


@dataclass(frozen=True)
class Delivery:
    """
    The rows of new files, and the contract that they leave.

    :param staged: The rows with the column `_wall_source`, below the folder of the table.
    :param contract: The contract with the columns and types that this delivery adds.
    :param rejected: Bad rows, if they are kept.
    :param warnings: Remarks for the author of the pipeline.
    :param uris: Path of each file to its name in the tables of the lake.
    """

    staged: StagedSlice
    contract: Contract
    rejected: tuple[RejectedRow, ...] = ()
    warnings: tuple[str, ...] = ()
    uris: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rules:
    """
    The rules for a delivery.

    :param table: The table, for messages.
    :param contract: Its contract; without columns for a new table.
    :param declared: The columns that the pipeline declares.
    :param evolution: The changes that are accepted.
    :param keep_bad: Keep bad rows apart; else they are an error.
    :param staging: Where the rows are written to.
    """

    table: str
    contract: Contract
    declared: tuple[str, ...] = ()
    evolution: Evolution = field(default_factory=Evolution)
    keep_bad: bool = False
    staging: Staging = field(kw_only=True)

    @property
    def names(self) -> dict[str, str]:
        """Lower-case name of each column to its name."""
        return {name.lower(): name for name in self.contract.columns}


@dataclass(frozen=True)
class _Part:
    """
    Rows that are read by one query.

    :param query: A SELECT of the columns as they are read.
    :param types: Column to the type in which it is read; None for texts whose type is not known yet.
    :param families: Families of types that texts may have.
    """

    query: str
    types: Mapping[str, pa.DataType | None]
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_json: bool = False


def read_delivery(
    files: Mapping[Path, SourceVersion], *, kind: str, options: Mapping[str, Any], rules: Rules
) -> Delivery:
    """
    Return the rows of files in the types of a contract. Columns are matched by name, without case.

    :param files: Path of each file to its version.
    :param kind: The format.
    :param options: Options of the format, without `types`.
    :raises DataError: a file is broken, a row is bad, or the files do not suit the contract. The message has the file,
        the line, the column and the value.
    """
    with duck.connect() as database, tempfile.TemporaryDirectory(prefix="airflow-wall-") as scratch:
        reading = _Reading(database, list(files), kind, options, rules, Path(scratch))
        reading.uris = {str(path): version.uri for path, version in files.items()}
        try:
            delivery = reading.read()
        except (duckdb.Error, csv.Error, UnicodeError, LookupError, EOFError, OSError) as error:
            raise broken_file_error(error, list(files), kind, options) from error
    return replace(delivery, uris=reading.uris)


def type_rows(rows: pa.Table | pa.RecordBatchReader, source: str, rules: Rules) -> Delivery:
    """
    Return the rows of a SQL table in the types of a contract.

    :param rows: The rows, in the types of the database. Those of a reader are put on disk, never all into memory.
    :param source: The address of the table; also the uri of the rows.
    :raises DataError: a row is bad, or the columns do not suit the contract.
    """
    with duck.connect() as database, tempfile.TemporaryDirectory(prefix="airflow-wall-") as scratch:
        reading = _Reading(database, [], "sql", {}, rules, Path(scratch))
        return reading.read([reading.registered(rows, source)])


class _Reading:
    """The state of one reading."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        paths: Sequence[Path],
        kind: str,
        options: Mapping[str, Any],
        rules: Rules,
        scratch: Path,
    ) -> None:
        self.database = database
        self.paths = [path for path in paths if path.stat().st_size > 0]
        self.kind = kind
        self.options = options
        self.rules = rules
        self.scratch = scratch
        self.notation = Notation.of(options)
        self.presence: Mapping[str, Presence] = {}
        self.rejected: list[RejectedRow] = []
        self.warnings: list[str] = []
        self.nulls: dict[str, tuple[str, ...]] = {}
        self.uris: dict[str, str] = {}

    def read(self, given: Sequence[_Part] | None = None) -> Delivery:
        """Return the delivery of the files, or of parts that are given."""
        parts = [part for part in (self._parts() if given is None else given) if part.query]
        if not parts:
            return Delivery(self.rules.staging.raw, self.rules.contract, tuple(self.rejected))
        columns = list(dict.fromkeys(name for part in parts for name in part.types))
        check_shape(self.rules, self.presence, columns)
        _check_declared(self.rules, columns)
        pinned = self.rules.contract.types()
        types = {name: pinned[name] if name in pinned else self._new_type(name, parts) for name in columns}
        types |= self._inferred(parts, [name for name in columns if name not in pinned])
        try:
            staged = self._stage(parts, types, f"CASE WHEN {_BAD} IS NULL THEN true ELSE error('{_BAD}') END")
            self._find_rejected()
        except duckdb.Error as error:
            if _BAD not in str(error):
                raise
            types = self._without_bad_rows(parts, types)
            staged = self._stage(parts, types, f"{_BAD} IS NULL")
        contract = self._contract(types, staged.rows)
        return Delivery(staged, contract, tuple(self.rejected), tuple(self.warnings))

    def _without_bad_rows(
        self, parts: Sequence[_Part], types: Mapping[str, pa.DataType | None]
    ) -> dict[str, pa.DataType | None]:
        """Return the types that hold as many values as can be, and keep the other rows apart."""
        bad = self._bad(parts, types)
        wide = self._widened(parts, types, {name for _, name in bad})
        if wide != types:
            bad = self._bad(parts, wide)
        self._find_rejected()
        if bad:
            self._reject(parts, wide, bad)
        return wide

    def _find_rejected(self) -> None:
        if self.kind == "csv" and self.rules.keep_bad:
            self.rejected += rejected_rows(self.database)

    # --- the rows as they are read

    def registered(self, rows: pa.Table | pa.RecordBatchReader, source: str) -> _Part:
        """Return the part of rows that are not in files."""
        names = self.rules.names
        types = {names.get(field.name.lower(), field.name): _checked(field, source) for field in rows.schema}
        self.presence = {source: Presence(frozenset(types), frozenset(types))}
        if isinstance(rows, pa.Table):
            self.database.register("_wall_rows", rows.rename_columns(list(types)))
        else:  # they are read more than once
            path = self.scratch / "rows.parquet"
            schema = pa.schema([field.with_name(name) for field, name in zip(rows.schema, types, strict=True)])
            with pq.ParquetWriter(path, schema) as output:
                for batch in rows:
                    output.write_batch(batch.rename_columns(list(types)))
            self.database.read_parquet(str(path)).create_view("_wall_rows")
        return _Part(f"SELECT *, {duck.literal(source)} AS {SOURCE} FROM _wall_rows", types)  # noqa: S608  # quoted

    def _parts(self) -> list[_Part]:
        names = self.rules.names
        if self.kind == "parquet":
            return self._parquet_parts(names)
        if not self.paths:
            return []
        if self.kind == "csv":
            rows = csv_rows(self.paths, self.options, names=names, scratch=self.scratch, keep_bad=self.rules.keep_bad)
        else:
            rows = json_rows(
                self.database,
                self.paths,
                kind=self.kind,
                names=names,
                scratch=self.scratch,
                keep_bad=self.rules.keep_bad,
            )
        self.presence = rows.presence
        self.rejected += rows.rejected
        types: dict[str, pa.DataType | None] = dict.fromkeys(rows.families)
        return [_Part(rows.query, {**types, **rows.nested}, rows.families, self.kind != "csv")]

    def _parquet_parts(self, names: dict[str, str]) -> list[_Part]:
        groups: dict[tuple[tuple[str, pa.DataType], ...], list[Path]] = {}
        presence = {}
        for path in self.paths:
            try:
                schema = pq.read_schema(path)
            except (pa.ArrowException, OSError) as error:
                raise broken_file_error(error, [path], self.kind, self.options) from None
            present = frozenset(names.setdefault(name.lower(), name) for name in schema.names)
            presence[str(path)] = Presence(present, present)
            key = tuple((field.name, _checked(field, path)) for field in schema)
            groups.setdefault(key, []).append(path)
        self.presence = presence
        parts = []
        for key, paths in groups.items():
            selected = select({names[name.lower()]: duck.identifier(name) for name, _ in key})
            call = f"read_parquet({duck.value([str(path) for path in paths])}, filename={duck.literal(SOURCE)})"
            query = f"SELECT {', '.join(filter(None, [selected, SOURCE]))} FROM {call}"  # noqa: S608  # quoted
            parts.append(_Part(query, {names[name.lower()]: type_ for name, type_ in key}))
        return parts

    # --- types

    def _new_type(self, name: str, parts: Sequence[_Part]) -> pa.DataType | None:
        """Return the type of a new column that is not text, or None."""
        type_: pa.DataType | None = None
        for part in parts:
            other = part.types.get(name)
            if other is None or pa.types.is_null(other):
                continue
            other = _in_microseconds(other)
            joined = other if type_ is None else wider(type_, other)
            if joined is None:
                raise DataError(
                    f"`source`: column `{name}` is `{type_name(type_ or other)}` in one file and "
                    f"`{type_name(other)}` in another",
                    hint="write the files with one type",
                )
            type_ = joined
        return type_

    def _inferred(self, parts: Sequence[_Part], names: Sequence[str]) -> dict[str, pa.DataType | None]:
        """Return the types of columns of texts that have none yet."""
        found: dict[str, pa.DataType | None] = {}
        for part in parts:
            texts = [name for name in names if name in part.families]
            if not texts:
                continue
            inferences = {name: Inference(duck.identifier(name), self.notation, part.families[name]) for name in texts}
            for name, counts in self._counts(part.query, inferences).items():
                column = inferences[name].type_of(name, counts)
                found[name] = column.type
                self.nulls[name] = column.nulls
                if column.warning is not None:
                    self.warnings.append(column.warning)
        return found

    def _counts(self, query: str, inferences: Mapping[str, Inference]) -> dict[str, dict[str, object]]:
        """
        Return the counts of all rows by column.

        The first rows show which counts can matter. Only those are made of all rows, because each costs a regular
        expression per value.
        """
        every = {name: inference.counts() for name, inference in inferences.items()}
        sample = self._aggregate(f"SELECT * FROM ({query}) LIMIT {_SAMPLE}", every)  # noqa: S608
        shown = {name: inference.type_of(name, sample[name]).type for name, inference in inferences.items()}
        needed = {
            name: {key: sql for key, sql in every[name].items() if key in inference.needed(sample[name])}
            for name, inference in inferences.items()
        }
        counts = sample | self._aggregate(query, {name: keys for name, keys in needed.items() if keys})
        again = {
            name: every[name]
            for name, inference in inferences.items()
            if inference.type_of(name, counts[name]).type != shown[name]
        }
        return counts | (self._aggregate(query, again) if again else {})

    def _aggregate(self, query: str, counts: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, object]]:
        places = [(name, key) for name, keys in counts.items() for key in keys]
        if not places:
            return {}
        wanted = ", ".join(counts[name][key] for name, key in places)
        (row,) = self.database.sql(f"SELECT {wanted} FROM ({query})").fetchall()  # noqa: S608
        result: dict[str, dict[str, object]] = {name: {} for name in counts}
        for (name, key), value in zip(places, row, strict=True):
            result[name][key] = value
        return result

    def _widened(
        self, parts: Sequence[_Part], types: Mapping[str, pa.DataType | None], bad: Collection[str]
    ) -> dict[str, pa.DataType | None]:
        """
        Return the types with those widened that hold more of the values. A column's old rows must fit too.

        :param bad: The columns with bad values.
        """
        wide = dict(types)
        if not self.rules.evolution.wider_types:
            return wide
        for name in bad:
            type_ = types[name]
            if type_ is None or name not in self.rules.contract.columns:
                continue
            best, fewest = type_, self._count_bad(parts, name, type_)
            for candidate in self._candidates(parts, name, type_):
                count = self._count_bad(parts, name, candidate)
                if count < fewest:
                    best, fewest = candidate, count
            wide[name] = best
        return wide

    def _candidates(self, parts: Sequence[_Part], name: str, type_: pa.DataType) -> list[pa.DataType]:
        given = [_in_microseconds(other) for part in parts if (other := part.types.get(name)) is not None]
        inferred = self._inferred(parts, [name]).get(name)
        found = [wider(type_, other) for other in [*given, inferred] if other is not None]
        if pa.types.is_integer(type_):
            found.append(pa.float64())
        if pa.types.is_date(type_):
            found.append(pa.timestamp("us"))
        return [other for other in dict.fromkeys(found) if other is not None and other != type_]

    def _count_bad(self, parts: Sequence[_Part], name: str, type_: pa.DataType) -> int:
        count = 0
        for part in parts:
            if name in part.types:
                valid = self._exact(part, name, type_).valid
                query = f"SELECT count_if(NOT {valid}) FROM ({part.query})"  # noqa: S608
                count += int(self.database.sql(query).fetchall()[0][0])
        return count

    # --- values

    def _exact(self, part: _Part, name: str, type_: pa.DataType | None) -> ExactValue:
        """Return the SQL that reads a column in a type."""
        column, old = duck.identifier(name), part.types[name]
        if type_ is None:
            return ExactValue("true", column if old is None else f"CAST({column} AS VARCHAR)", "false")
        if old is None:
            return exact_value(column, type_, self.notation)
        if part.is_json:
            if not (pa.types.is_nested(type_) and wider(type_, old) == type_):
                return ExactValue(f"{column} IS NULL", "NULL", "false")
            structure = duck.literal(json.dumps(structure_of(type_)))
            return ExactValue("true", f"from_json({column}, {structure})", "false")
        is_other = pa.types.is_string(type_) and old != type_ and not pa.types.is_time(old)
        cast = None if is_other else exact_cast(column, old, type_)
        return cast or ExactValue(f"{column} IS NULL", "NULL", "false")

    def _exact_parts(self, part: _Part, types: Mapping[str, pa.DataType | None]) -> tuple[dict[str, str], str]:
        """Return the SQL of all columns, and of the place of the first column with a bad value, or null."""
        selected: dict[str, str] = {}
        cases = ""
        for place, (name, type_) in enumerate(types.items()):
            if name not in part.types:
                selected[name] = "NULL" if type_ is None else f"CAST(NULL AS {_stored_sql(type_)})"
                exact = ExactValue("true", "NULL", "false")
            else:
                exact = self._exact(part, name, type_)
                selected[name] = exact.value
            column = self.rules.contract.columns.get(name)
            if column is not None and not column.nullable:
                cases += f" WHEN NOT {exact.valid} OR {exact.value} IS NULL THEN {place}"
            elif exact.valid != "true":
                cases += f" WHEN NOT {exact.valid} THEN {place}"
        return selected, f"CASE{cases} END" if cases else "CAST(NULL AS INTEGER)"

    def _converted(self, parts: Sequence[_Part], types: Mapping[str, pa.DataType | None]) -> str:
        """Return the SQL of all rows in their types, and of the place of the first column with a bad value."""
        queries = []
        for part in parts:
            selected, bad = self._exact_parts(part, types)
            queries.append(f"SELECT {select({**selected, SOURCE: SOURCE, _BAD: bad})} FROM ({part.query})")  # noqa: S608
        return " UNION ALL ".join(queries)

    def _stage(self, parts: Sequence[_Part], types: Mapping[str, pa.DataType | None], condition: str) -> StagedSlice:
        """Write the rows that meet a condition."""
        columns = {
            name: f"CAST({duck.identifier(name)} AS {'VARCHAR' if type_ is None else _stored_sql(type_)})"
            for name, type_ in types.items()
        }
        selected = select({**columns, SOURCE: _uri_of(self.uris)})
        query = f"SELECT {selected} FROM ({self._converted(parts, types)}) WHERE {condition}"  # noqa: S608  # quoted
        return self.rules.staging.stage(self.database, query, table=self.rules.table)

    # --- bad rows

    def _bad(self, parts: Sequence[_Part], types: Mapping[str, pa.DataType | None]) -> dict[tuple[str, str], int]:
        """Return file and column -> number of its rows whose first bad value is in the column."""
        query = (
            f"SELECT {SOURCE}, {_BAD}, count(*) FROM ({self._converted(parts, types)}) "  # noqa: S608  # quoted
            f"WHERE {_BAD} IS NOT NULL GROUP BY ALL"
        )
        columns = list(types)
        return {(source, columns[place]): count for source, place, count in self.database.sql(query).fetchall()}

    def _reject(
        self,
        parts: Sequence[_Part],
        types: Mapping[str, pa.DataType | None],
        bad: Mapping[tuple[str, str], int],
    ) -> None:
        count, sources = sum(bad.values()), {source for source, _ in bad}
        for source in (name for name in self.presence if name in sources):
            for row in self._bad_rows_of(source, parts, types):
                if not self.rules.keep_bad:
                    raise self._bad_row_error(row, count)
                self.rejected.append(row)

    def _bad_rows_of(
        self, source: str, parts: Sequence[_Part], types: Mapping[str, pa.DataType | None]
    ) -> list[RejectedRow]:
        columns = list(types)
        found: list[tuple[int, str, str | None]] = []
        for part in parts:
            _, bad = self._exact_parts(part, types)
            cases = "".join(
                f" WHEN {place} THEN CAST({duck.identifier(name)} AS VARCHAR)"
                for place, name in enumerate(columns)
                if name in part.types
            )
            numbered = (
                f"SELECT row_number() OVER () AS _wall_number, {bad} AS {_BAD}, * "  # noqa: S608  # all parts are quoted
                f"FROM ({part.query}) WHERE {SOURCE} = {duck.literal(source)}"
            )
            text = f"CASE {_BAD}{cases} END" if cases else "NULL"
            query = f"SELECT _wall_number, {_BAD}, {text} FROM ({numbered}) WHERE {_BAD} IS NOT NULL"  # noqa: S608
            limit = "" if self.rules.keep_bad else " LIMIT 1"
            rows = self.database.sql(query + limit).fetchall()
            found += [(number, columns[place], value) for number, place, value in rows]
        places = self._places(source, [number for number, _, _ in found])
        rejected = []
        for number, name, value in found:
            line, raw = places.get(number, (None, None))
            type_ = types[name]
            expected = "must not be null"
            if value is not None and type_ is not None:
                expected = f"must be `{type_name(type_)}`, got `{value[:_SHOWN]}`"
            rejected.append(RejectedRow(source, line, f"column `{name}` {expected}", name, value, raw))
        return rejected

    def _places(self, source: str, numbers: Sequence[int]) -> Mapping[int, tuple[int, str]]:
        if self.kind == "csv":
            return record_places(Path(source), self.options, numbers)
        if self.kind == "jsonl":
            lines = {row.line for row in self.rejected if row.source == source}
            return json_places(Path(source), numbers, lines)
        return {}

    def _bad_row_error(self, row: RejectedRow, bad: int) -> DataError:
        where = f"`{row.source}`" if row.line is None else f"`{row.source}`, line {row.line}"
        others = f" ({bad - 1} more rows like it)" if bad > 1 else ""
        known = row.column in self.rules.contract.columns
        table = f", as in table `{self.rules.table}`" if known and row.value is not None else ""
        return DataError(f"`source`: {where}: {row.reason}{table}{others}", hint=_hint(row))

    # --- the contract that the delivery leaves

    def _contract(self, types: Mapping[str, pa.DataType | None], count: int) -> Contract:
        """Return the contract with this delivery. A delivery without rows decides no type."""
        old = self.rules.contract
        complete = [presence.complete for presence in self.presence.values()]
        columns = dict(old.columns)
        for name in dict.fromkeys([*columns, *types]):
            column = columns.get(name, PinnedColumn())
            always = all(name in names for names in complete) and (column.always or not old.started)
            nulls = tuple(dict.fromkeys([*column.nulls, *self.nulls.get(name, ())]))
            type_ = types.get(name, column.type)
            columns[name] = replace(column, type=type_, always=always if count else column.always, nulls=nulls)
        return replace(old, columns=columns, started=old.started or count > 0)


def check_shape(rules: Rules, presence: Mapping[str, Presence], columns: Iterable[str]) -> None:
    """
    Check that the columns of files suit a contract.

    :raises DataError: a file shares almost no column with the table, lacks one, or has a new one that is not accepted.
    """
    known = rules.contract.columns
    if rules.contract.started:
        for path, names in presence.items():
            _check_file_shape(rules, path, names.present)
    added = [name for name in columns if name not in known]
    if added and known and not rules.evolution.new_columns:
        path = next(path for path, names in presence.items() if added[0] in names.present)
        lacks = "does not have" if rules.contract.started else "does not declare"
        raise DataError(
            f"`source`: `{path}` has the column `{added[0]}`, which table `{rules.table}` {lacks}",
            hint=did_you_mean(added[0], known) or "declare it in `contract`, or remove `new_columns: false`",
        )


def _check_file_shape(rules: Rules, path: str, present: Collection[str]) -> None:
    known = rules.contract.columns
    shared = [name for name in present if name in known]
    if 2 * len(shared) < min(len(present), len(known)) or (present and not shared):
        raise DataError(
            f"`source`: `{path}` has the columns {listed(sorted(present))}, and table `{rules.table}` has "
            f"{listed(known)}",
            hint="look whether the file has a header line and the same delimiter as the others; "
            "else correct `options`, or write to another table",
        )
    missing = missing_columns(rules.contract, present)
    if missing and not rules.evolution.missing_columns:
        hint = "deliver it again, or write `evolve: {missing_columns: true}` to store null instead"
        raise DataError(
            f"`source`: `{path}` lacks the column `{missing[0]}`, which every file for table `{rules.table}` had",
            hint=did_you_mean(missing[0], [name for name in present if name not in known]) or hint,
        )


def _check_declared(rules: Rules, columns: Sequence[str]) -> None:
    given = {name.lower() for name in columns}
    by = rules.contract.order_by
    for option, name in [*(("key", name) for name in rules.contract.key), *([("order_by", by)] if by else [])]:
        if name.lower() not in given:
            raise DataError(
                f"`{option}` names the column `{name}`, which `source` does not have (it has {listed(columns)})",
                hint=did_you_mean(name, columns) or "name a column of the source",
            )
    for name in rules.declared:
        if name.lower() not in given and not rules.evolution.missing_columns:
            raise DataError(
                f"the contract of table `{rules.table}` declares the column `{name}`, which `source` does not have "
                f"(it has {listed(columns)})",
                hint=did_you_mean(name, columns) or "remove it from `contract` or `options.types`",
            )


def _hint(row: RejectedRow) -> str:
    if row.column is None:
        return "correct the file, or write `bad_rows: quarantine`"
    if row.value is None:
        return "deliver the value, or write `bad_rows: quarantine`"
    digits = row.value.strip().lstrip("+-")
    types = f"`contract: {{columns: {{{row.column}: varchar}}}}`"
    if digits.isdecimal() and digits.startswith("0"):
        return f"to keep its leading zero, write {types}: rows of the table become text too"
    return f"correct the value, write `bad_rows: quarantine`, or declare a type that holds it, e.g. {types}"


def _checked(field_: pa.Field[pa.DataType], source: object) -> pa.DataType:
    type_ = logical_type(field_.type)
    if type_ is None:
        raise DataError(
            f"`source`: `{source}`: column `{field_.name}` has type `{field_.type}`, which tables cannot store",
            hint="write the column with another type, e.g. as text",
        )
    return type_


def _in_microseconds(type_: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", tz=type_.tz) if isinstance(type_, pa.TimestampType) else type_


def _stored(type_: pa.DataType) -> pa.DataType:
    return storable_type(type_) or pa.string()


def _stored_sql(type_: pa.DataType) -> str:
    return type_name(_stored(type_))


def _uri_of(uris: Mapping[str, str]) -> str:
    """
    Return the SQL of the uri of a row's file. Most uris are the end of a path, below one folder or address.

    :param uris: Path of each file to its uri; {} if the rows come with their uri.
    """
    if not uris:
        return SOURCE
    path, uri = next(iter(uris.items()))
    pairs = zip(reversed(path), reversed(uri), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    folder, address = path[: len(path) - shared], uri[: len(uri) - shared]
    if all(path.startswith(folder) and uri == address + path.removeprefix(folder) for path, uri in uris.items()):
        return f"{duck.literal(address)} || substr({SOURCE}, {len(folder) + 1})"
    return f"element_at({_map(uris)}, {SOURCE})"


def _map(texts: Mapping[str, str]) -> str:
    return f"MAP {{{', '.join(f'{duck.literal(key)}: {duck.literal(text)}' for key, text in texts.items())}}}"

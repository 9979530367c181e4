"""The slices that one commit writes, as staged files: new rows where they belong, beside rows that stay."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.engines.duckdb.type_names import type_name
from airflow_wall.storage.base import SLICE, SOURCE, SourceVersion
from airflow_wall.storage.columns import Fit, fit, not_exact
from airflow_wall.storage.conversion import exact_cast
from airflow_wall.storage.ownership import Overlap, TableState
from airflow_wall.storage.scan import FILE, ROW
from airflow_wall.storage.staging import StagedSlice, Staging


@dataclass(frozen=True)
class SliceParts:
    """
    The slices that a commit changes.

    :param state: The version of the table that it follows.
    :param overlap: The rows of the same sources in other slices.
    """

    table: str
    staging: Staging
    state: TableState
    overlap: Overlap

    def kept(self) -> StagedSlice:
        """Return the new rows without those that belong to other slices."""
        raw = self.staging.raw
        left_out = [*(source.uri for source in self.overlap.same), *self.overlap.corrected]
        if not left_out or SOURCE not in raw.schema.names:
            return raw
        database = self.staging.database
        rows = f"SELECT * FROM ({raw.scan.query(database)}) WHERE {_not_from(left_out)}"  # noqa: S608
        return self._write(database, rows, raw.schema, None)

    def fit(self, *, retype: bool) -> Fit:
        """
        Return how the new rows suit the table.

        :raises DataError: they do not.
        """
        return fit(
            self.staging.raw.schema, self.state.schema, table=self.table, retype=retype, are_exact=self._are_exact
        )

    def own(self, kept: StagedSlice, fitted: Fit, slice_id: str, ranges: Sequence[SourceVersion]) -> StagedSlice:
        """
        Return the rows of the slice.

        :param kept: The new rows that belong to it.
        :param ranges: Versions of sources with a cursor. Rows that a cursor delivers again are left out.
        """
        schema = _schema_of(fitted)
        part = replace(kept, schema=schema)
        if {name: kept.schema.field(name).type for name in kept.schema.names} != dict(fitted.types):
            database = self.staging.database
            rows = self._converted(database, kept.scan.query(database), kept.schema, fitted)
            part = self._write(database, rows, schema, slice_id)
        for source in ranges:
            part = self._without_held(part, source, fitted, slice_id)
        return part.of(slice_id)

    def corrected(self, home: str, fitted: Fit) -> StagedSlice:
        """
        Return the rows of a slice whose sources have newer rows, or lose theirs to another slice.

        They are ordered by source, as if the slice had been read again.
        """
        uris = [uri for uri, slice_id in self.overlap.corrected.items() if slice_id == home]
        lost = [uri for uri, slice_id in self.overlap.moved.items() if slice_id == home]
        files = [file for file in self.state.files if file.partition == home]
        database = self.staging.database
        schema = pa.schema([field for field in self.state.schema if field.name != SLICE])
        held = f"SELECT * FROM ({self.state.scan_of(files).query(database)}) WHERE {_not_from([*uris, *lost])}"  # noqa: S608
        old = _same(schema, fitted.retyped)
        queries = [f"SELECT *, 0 AS _wall_new FROM ({self._converted(database, held, schema, old)})"]  # noqa: S608
        merged = dict(old.types)
        if uris and SOURCE in fitted.types:
            raw = self.staging.raw
            new = f"SELECT * FROM ({raw.scan.query(database)}) WHERE {_from(uris)}"  # noqa: S608
            new = self._converted(database, new, raw.schema, fitted)
            queries.append(f"SELECT *, 1 AS _wall_new FROM ({new})")  # noqa: S608
            merged |= fitted.types
        rows = " UNION ALL BY NAME ".join(queries)
        names = ", ".join(map(duck.identifier, merged))
        order = f"{SOURCE} NULLS LAST, _wall_new, {FILE}, {ROW}"
        return self._write(database, f"SELECT {names} FROM ({rows}) ORDER BY {order}", pa.schema(merged), home)  # noqa: S608

    def retyped(self, types: Mapping[str, pa.DataType], written: Collection[str | None]) -> Iterator[StagedSlice]:
        """
        Yield all other slices of the table in its new types.

        :param written: The slices that the commit writes anyway.
        :raises DataError: a value is not exactly a value of the new type.
        """
        schema = pa.schema([field for field in self.state.schema if field.name != SLICE])
        fitted = _same(schema, types)
        others = [file for file in self.state.files if file.partition not in written]
        database = self.staging.database
        self._check(database, self.state.scan_of(others).query(database), schema, fitted)
        for partition in dict.fromkeys(file.partition for file in others):
            files = [file for file in others if file.partition == partition]
            rows = self._converted(database, self.state.scan_of(files).query(database), schema, fitted)
            yield self._write(database, rows, _schema_of(fitted), partition)

    def _write(
        self, database: duckdb.DuckDBPyConnection, rows: str, schema: pa.Schema, partition: str | None
    ) -> StagedSlice:
        names = ", ".join(map(duck.identifier, schema.names))
        return self.staging.write(database, f"SELECT {names} FROM ({rows})", schema, partition)  # noqa: S608

    def _without_held(self, part: StagedSlice, source: SourceVersion, fitted: Fit, slice_id: str) -> StagedSlice:
        """Return rows without those that other slices hold. Of equal rows, as many are left out as are held."""
        cursor = str(source.cursor)
        known = self.state.schema
        if not {cursor, SOURCE} <= {*known.names} or cursor not in part.schema.names or not part.rows:
            return part
        files = [file for file in self.state.files if file.partition not in (None, slice_id)]
        schema = pa.schema([field for field in known if field.name != SLICE])
        database = self.staging.database
        held = f"SELECT * FROM ({self.state.scan_of(files).query(database)}) WHERE {_from([source.uri])}"  # noqa: S608
        new = part.scan.query(database)
        if part.schema.field(cursor).type == known.field(cursor).type:
            name = duck.identifier(cursor)
            ends = f"(SELECT min({name}) FROM ({new})) AND (SELECT max({name}) FROM ({new}))"  # noqa: S608
            held += f" AND {name} BETWEEN {ends}"
        old = self._converted(database, held, schema, _same(schema, fitted.retyped))
        names = list(dict.fromkeys([*part.schema.names, *schema.names]))
        a, b = (
            f"SELECT *, row_number() OVER (PARTITION BY {', '.join(map(duck.identifier, names))}) AS _wall_copy "  # noqa: S608
            f"FROM (SELECT {_padded(names, own)}, {FILE}, {ROW} FROM ({rows}))"
            for own, rows in ((part.schema.names, new), (schema.names, old))
        )
        equal = " AND ".join(f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in map(duck.identifier, names))
        rest = (
            f"WITH a AS ({a}), b AS ({b}) SELECT * FROM a WHERE NOT EXISTS "  # noqa: S608
            f"(FROM b WHERE a._wall_copy = b._wall_copy AND {equal}) ORDER BY {FILE}, {ROW}"
        )
        if not database.sql(f"SELECT 1 FROM ({old}) LIMIT 1").fetchall():  # noqa: S608
            return part
        return self._write(database, rest, part.schema, slice_id)

    def _are_exact(self, column: str, type_: pa.DataType) -> bool:
        """Return True if all values of a column are exactly values of a type: `3.0` is an integer too."""
        raw = self.staging.raw
        cast = exact_cast(duck.identifier(column), raw.schema.field(column).type, type_)
        if cast is None:
            return False
        database = self.staging.database
        query = f"SELECT count_if(NOT {cast.valid}) FROM ({raw.scan.query(database)})"  # noqa: S608
        return not database.sql(query).fetchall()[0][0]

    def _converted(self, database: duckdb.DuckDBPyConnection, rows: str, schema: pa.Schema, fitted: Fit) -> str:
        """
        Return the SQL of rows in the columns and types of a table, and of the place of each row.

        :raises DataError: a value is not exactly a value of the new type.
        """
        self._check(database, rows, schema, fitted)
        selected = []
        for source, name in fitted.columns.items():
            old, new = schema.field(source).type, fitted.types[name]
            value = duck.identifier(source)
            if old != new:
                cast = exact_cast(value, old, new)
                assert cast is not None
                value = f"CAST({cast.value} AS {type_name(new)})"
            selected.append(f"{value} AS {duck.identifier(name)}")
        return f"SELECT {', '.join(selected)}, {FILE}, {ROW} FROM ({rows})"  # noqa: S608

    def _check(self, database: duckdb.DuckDBPyConnection, rows: str, schema: pa.Schema, fitted: Fit) -> None:
        counted = {}
        for source, name in fitted.columns.items():
            old, new = schema.field(source).type, fitted.types[name]
            cast = exact_cast(duck.identifier(source), old, new)
            if cast is None:
                raise not_exact(self.table, name, old, new)
            if cast.valid != "true":
                counted[source] = cast.valid
        if counted:
            wanted = ", ".join(f"count_if(NOT {valid})" for valid in counted.values())
            counts = database.sql(f"SELECT {wanted} FROM ({rows})").fetchall()[0]  # noqa: S608
            for source, count in zip(counted, counts, strict=True):
                if count:
                    name = fitted.columns[source]
                    raise not_exact(self.table, name, schema.field(source).type, fitted.types[name], count)


def _same(schema: pa.Schema, types: Mapping[str, pa.DataType]) -> Fit:
    """Return the columns of a table with some in other types."""
    return Fit(
        {name: name for name in schema.names},
        {field.name: types.get(field.name, field.type) for field in schema},
        types,
    )


def _schema_of(fitted: Fit) -> pa.Schema:
    return pa.schema([(name, fitted.types[name]) for name in fitted.columns.values()])


def _padded(names: Sequence[str], own: Collection[str]) -> str:
    return ", ".join(duck.identifier(name) if name in own else f"NULL AS {duck.identifier(name)}" for name in names)


def _from(uris: Sequence[str]) -> str:
    return duck.is_one_of(SOURCE, uris)


def _not_from(uris: Sequence[str]) -> str:
    return f"({SOURCE} IS NULL OR NOT {_from(uris)})"

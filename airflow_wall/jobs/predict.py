"""The job `predict`: score this slice's rows with the champion or a pinned version, and write them to a table."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from airflow_wall.checks.durations import duration, elapsed
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.engines.spark.selection import spark_engine
from airflow_wall.errors import DataError, ModelError
from airflow_wall.job import Env, Run
from airflow_wall.jobs.base import open_target
from airflow_wall.lake.lake import Lake
from airflow_wall.models.amounts import read_share
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import ModelRecord, OwnCode, Registry
from airflow_wall.models.feature_values import COUNTS, NEW_CATEGORIES, CountValues, check_values
from airflow_wall.models.features import check_fit
from airflow_wall.models.outputs import output_schema, scored_columns
from airflow_wall.sources.manifest import brings_only_corrections
from airflow_wall.storage.base import TableStore, partition_of
from airflow_wall.storage.input_rows import check_inputs, read_rows
from airflow_wall.storage.lineage import Lineage

if TYPE_CHECKING:
    from airflow_wall.engines.spark.engine import Engine

USES_SPARK = True

log = logging.getLogger(__name__)

ADDED = ("model", "model_version", "run_id")
"""Columns that `predict` adds besides those of `models.outputs`."""


def predict(
    env: Env,
    *,
    model: str,
    inputs: dict[str, str],
    target: str,
    version: int | None = None,
    keep: list[str] | None = None,
    max_age: str | None = None,
    new_categories: str | float = NEW_CATEGORIES,
    share: bool = False,
    load: str | None = None,
    own_types: Sequence[str] = (),
) -> dict[str, Any]:
    """
    Write one row per input row of this slice: its kept columns, those of the model (`score`, or `label` and others, see
    `models.outputs`), and `model`, `model_version`, `run_id`.

    :param inputs: One name -> table or pattern of tables, e.g. `silver/*`.
    :param target: The table to write.
    :param version: A version of the model; None means its champion.
    :param keep: Input columns to write; None means all columns that are not features.
    :param max_age: Largest time from the slice that the model was trained for to this slice, e.g. `30d`.
    :param new_categories: Share of the values of a text feature that may be none of those in training, e.g. `20%`.
    :param share: True if other tasks write rows of the same slice into the target, too.
    :param load: The function that opens a model that a function of the user's own saved, `module:function`.
    :param own_types: The user's own classes and functions that may be part of a model: patterns such as `models.*`.
    :raises ModelError: the model has no champion or is stale, the rows do not fit it, or scores are not finite.
    :raises DataError: this slice has no rows.
    """
    run = env.run
    check_inputs(inputs)
    if len(inputs) != 1:
        raise DataError(
            f"`inputs` must name one input to score, got {listed(inputs)}",
            hint="join them in an earlier transform",
        )
    registry = open_registry(run.storage)
    record = _record(registry, model, version)
    _check_age(record, run, max_age)
    store, writer = open_target(env, target, share=share)
    ((key, pattern),) = inputs.items()
    own = OwnCode(run.code, tuple(own_types), load)
    work = _ScoringTask(run, record, key, pattern, keep, read_share("new_categories", new_categories), own)
    spark = spark_engine(run)
    lineage = Lineage(run.storage, store)
    reading = lineage.reading(inputs, [run.slice.id])
    try:
        scored = _embedded(work, store) if spark is None else _on_spark(work, store, spark)
        _check_finite(scored, record)
        output = _output(scored, record, run)
    except _NothingToScore:
        log.info("this run only brought corrections of other slices: it has no rows to score")
        output = scored = pa.table({})
    commit = store.replace_slice(target, output, slice_id=run.slice.id, number=run.slice.number, writer=writer)
    lineage.record(run, commit, reading, partition=partition_of(run.slice.id, writer))
    log.info("scored %d rows of slice %s with version %d of `%s`", commit.rows, run.slice.id, record.version, model)
    return {
        "table": target,
        "rows": commit.rows,
        "model": model,
        "model_version": record.version,
        "skipped_rows": scored.num_rows - commit.rows,
    }


class _NothingToScore(Exception):
    """Raised in a run whose slice is empty because all that it brought belongs to other slices."""


@dataclass(frozen=True)
class _ScoringTask:
    """The rows to score, and the model version."""

    run: Run
    record: ModelRecord
    key: str
    pattern: str
    keep: list[str] | None
    new_categories: float
    own: OwnCode

    @property
    def where(self) -> str:
        """The input, for messages."""
        return f"`inputs.{self.key}` (`{self.pattern}`)"

    def scoring(self, schema: pa.Schema) -> _Scoring:
        """
        Return the function that scores rows with these columns.

        :raises ModelError: the columns do not fit the model.
        :raises DataError: `keep` names a column that does not exist, or that predict writes itself.
        """
        check_fit(self.record, schema, self.where)
        kept = _kept(schema.names, self.record, self.keep, self.where)
        return _Scoring(self.run.storage, self.record, kept, self.own)

    def check_values(self, counts: Iterable[pa.Table]) -> None:
        """
        Check the values of the features against those in training, see `models.feature_values`.

        :raises ModelError: features have only nulls, or too many new categories.
        """
        check_values(self.record, counts, self.where, self.new_categories)

    def check_rows(self, rows: int) -> None:
        """
        Check that there are rows to score.

        :raises DataError: there are none.
        :raises _NothingToScore: there are none, because the run only brought corrections of other slices.
        """
        if not rows and brings_only_corrections(self.run):
            raise _NothingToScore
        if not rows:
            raise DataError(
                f"{self.where} must have rows of slice `{self.run.slice.id}`, got none",
                hint="look at the steps that write it: their slice is empty",
            )


@dataclass(frozen=True)
class _Scoring:
    """
    Score rows and keep some of their columns. It is sent to the process with the rows, and loads the model once.

    :param lake: The lake, which holds the registry.
    :param kept: Columns of the rows that the result keeps.
    :param own: The user's code that the model may use.
    """

    lake: Lake
    record: ModelRecord
    kept: tuple[str, ...]
    own: OwnCode

    def schema(self, of: pa.Schema) -> pa.Schema:
        """Return the columns of the result for rows with the columns `of`."""
        return pa.schema([*(of.field(name) for name in self.kept), *output_schema(self.record)])

    def __call__(self, parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
        model = open_registry(self.lake).open(self.record.name, self.record.version, self.own)
        for rows in parts:
            result, outputs = rows.select(self.kept), scored_columns(model, self.record, rows)
            for field, values in zip(outputs.schema, outputs.columns, strict=True):
                result = result.append_column(field, values)
            yield result


def _embedded(work: _ScoringTask, store: TableStore) -> pa.Table:
    rows = read_rows(store, work.key, work.pattern, slices=[work.run.slice.id]).table
    work.check_rows(rows.num_rows)
    scoring = work.scoring(rows.schema)
    work.check_values(CountValues(work.record.training)([rows]))
    (scored,) = scoring([rows])
    return scored


def _on_spark(work: _ScoringTask, store: TableStore, spark: Engine) -> pa.Table:
    with spark as engine:
        tables = store.names(work.pattern)
        files = [store.files(table, slices=[work.run.slice.id]) for table in tables]
        work.check_rows(sum(len(table.paths) for table in files))
        schema = engine.add(work.key, tables, files)
        scoring = work.scoring(schema)
        if work.record.training:
            work.check_values([engine.map_rows(work.key, CountValues(work.record.training), COUNTS)])
        return engine.map_rows(work.key, scoring, scoring.schema(schema))


def _record(registry: Registry, model: str, version: int | None) -> ModelRecord:
    if version is not None:
        return registry.record(model, version)
    champion = registry.champion(model)
    if champion is not None:
        return registry.record(model, champion.version)
    versions = registry.versions(model)
    if versions:
        raise ModelError(
            f"model `{model}` has no champion: none of its {len(versions)} versions was promoted",
            hint="read the reason in the log of retrain; improve the training, or pin a version with `version`",
        )
    raise ModelError(f"model `{model}` has no champion: it was never trained", hint="run retrain first")


def _check_age(record: ModelRecord, run: Run, max_age: str | None) -> None:
    if max_age is None:
        return
    try:
        allowed = duration(max_age)
    except ValueError as error:
        raise ModelError(f"`max_age` {error}", hint="write, e.g., `30d`") from None
    age = elapsed(record.lineage.order, run.slice.order)
    if age > allowed:
        raise ModelError(
            f"version {record.version} of model `{record.name}` is stale: it was trained for {record.lineage.order}, "
            f"{age.total_seconds() / 86400:.1f} days before this slice ({run.slice.order}); `max_age` is {max_age}",
            hint="run retrain, or raise `max_age`",
        )


def _kept(columns: list[str], record: ModelRecord, keep: list[str] | None, where: str) -> tuple[str, ...]:
    features = {feature.name for feature in record.features}
    names = [name for name in columns if name not in features] if keep is None else keep
    if missing := [name for name in names if name not in columns]:
        raise DataError(f"`keep` must name columns of {where}, got {listed(missing)}", hint=f"it has {listed(columns)}")
    added = [*output_schema(record).names, *ADDED]
    if clashes := [name for name in names if name in added]:
        raise DataError(
            f"{where} has a column `{clashes[0]}`, and predict writes a column of that name",
            hint=f"rename it in an earlier step, or leave it out of `keep`; predict writes {listed(added)}",
        )
    return tuple(names)


def _check_finite(scored: pa.Table, record: ModelRecord) -> None:
    outputs = output_schema(record)
    floats = [scored.column(field.name).to_numpy() for field in outputs if pa.types.is_floating(field.type)]
    finite = np.isfinite(np.column_stack(floats)).all(axis=1) if floats else np.ones(scored.num_rows, dtype=bool)
    bad = np.flatnonzero(~finite)
    if len(bad):
        kept = scored.drop_columns(outputs.names).slice(int(bad[0]), 1).to_pylist()[0]
        first = ", ".join(f"{name}={value}" for name, value in kept.items())
        raise ModelError(
            f"version {record.version} of model `{record.name}` gave {len(bad):,} scores of {scored.num_rows:,} that "
            f"are not finite, the first for {first or f'row {bad[0] + 1}'}; nothing was written",
            hint="look at the features of that row, or pin an earlier `version`",
        )


def _output(scored: pa.Table, record: ModelRecord, run: Run) -> pa.Table:
    rows = scored.num_rows
    return (
        scored.append_column("model", pa.array([record.name] * rows, pa.string()))
        .append_column("model_version", pa.array([record.version] * rows, pa.int64()))
        .append_column("run_id", pa.array([run.run_id] * rows, pa.string()))
    )

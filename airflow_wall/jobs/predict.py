"""The job `predict`: score this slice's rows with the champion, or a pinned version, into a table."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from airflow_wall.checks.durations import duration, elapsed
from airflow_wall.errors import DataError, ModelError
from airflow_wall.jobs.document import Env, Run
from airflow_wall.jobs.engines import spark_engine
from airflow_wall.jobs.rows import check_inputs, read_rows
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import Record, Registry
from airflow_wall.models.features import check_fit, frame
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import TableStore
from airflow_wall.text.faults import listed

if TYPE_CHECKING:
    from airflow_wall.jobs.spark import Engine

log = logging.getLogger(__name__)

ADDED = ("score", "model", "model_version", "run_id")
"""Columns that `predict` adds."""


def predict(
    env: Env,
    *,
    model: str,
    inputs: dict[str, str],
    target: str,
    version: int | None = None,
    keep: list[str] | None = None,
    max_age: str | None = None,
) -> dict[str, Any]:
    """
    Write one row per input row of this slice: what is kept of it, and `score`, `model`, `model_version`, `run_id`.

    :param inputs: One name -> table or pattern of tables, e.g. `silver/*`.
    :param target: The table to write.
    :param version: A version of the model; None is its champion.
    :param keep: Input columns to write; None is all that are not features.
    :param max_age: How long before this slice the slice may lie that the model was trained for, e.g. `30d`.
    :raises ModelError: no champion, a stale model, rows that do not fit it, or scores that are not finite.
    :raises DataError: this slice has no rows.
    """
    run = env.run
    check_inputs(inputs)
    if len(inputs) != 1:
        raise DataError(
            f"`inputs` must name one input to score, got {listed(list(inputs))}", hint="join them in a transform before"
        )
    registry = open_registry(run.state)
    record = _record(registry, model, version)
    _check_age(record, run, max_age)
    store = open_tables(run.storage, env.fence)
    ((key, pattern),) = inputs.items()
    work = _Work(run, record, key, pattern, keep)
    spark = spark_engine(run)
    scored = _embedded(work, store) if spark is None else _on_spark(work, store, spark)
    _check_finite(scored, record)
    commit = store.replace_slice(target, _output(scored, record, run), slice_id=run.slice.id, number=run.slice.number)
    log.info("scored %d rows of slice %s with version %d of `%s`", commit.rows, run.slice.id, record.version, model)
    return {
        "table": target,
        "rows": commit.rows,
        "model": model,
        "model_version": record.version,
        "skipped_rows": scored.num_rows - commit.rows,
    }


@dataclass(frozen=True)
class _Work:
    """Which rows are scored by what."""

    run: Run
    record: Record
    key: str
    pattern: str
    keep: list[str] | None

    @property
    def where(self) -> str:
        """The input, for messages."""
        return f"`inputs.{self.key}` (`{self.pattern}`)"

    def scoring(self, schema: pa.Schema) -> _Scoring:
        """What scores rows of these columns. Raises ModelError and DataError where they are not the right ones."""
        check_fit(self.record, schema, self.where)
        return _Scoring(self.run.state, self.record, _kept(schema.names, self.record, self.keep, self.where))

    def check_rows(self, rows: int) -> None:
        """Make sure that there is something to score."""
        if not rows:
            raise DataError(
                f"{self.where} has no row of slice `{self.run.slice.id}`",
                hint="look at the steps that write it: their slice is empty",
            )


@dataclass(frozen=True)
class _Scoring:
    """
    What is kept of rows, and their `score`. It travels to whoever has the rows, and opens the model there, once.

    :param state: Where the registry is.
    :param kept: Columns of the rows that the result has.
    """

    state: Path
    record: Record
    kept: tuple[str, ...]

    def schema(self, of: pa.Schema) -> pa.Schema:
        """The columns of the result."""
        return pa.schema([*(of.field(name) for name in self.kept), pa.field("score", pa.float64())])

    def __call__(self, parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
        model = open_registry(self.state).open(self.record.name, self.record.version)
        features = [feature.name for feature in self.record.features]
        for rows in parts:
            scores = model.score(frame(rows.select(features)))
            yield rows.select(self.kept).append_column("score", pa.array(scores, pa.float64()))


def _embedded(work: _Work, store: TableStore) -> pa.Table:
    rows = read_rows(store, work.key, work.pattern, slices=[work.run.slice.id]).table
    work.check_rows(rows.num_rows)
    (scored,) = work.scoring(rows.schema)([rows])
    return scored


def _on_spark(work: _Work, store: TableStore, spark: Engine) -> pa.Table:
    with spark as engine:
        tables = store.names(work.pattern)
        files = [store.files(table, slices=[work.run.slice.id]) for table in tables]
        work.check_rows(sum(len(each.paths) for each in files))
        schema = engine.add(work.key, tables, files)
        scoring = work.scoring(schema)
        return engine.mapped(work.key, scoring, scoring.schema(schema))


def _record(registry: Registry, model: str, version: int | None) -> Record:
    if version is not None:
        return registry.record(model, version)
    champion = registry.champion(model)
    if champion is not None:
        return registry.record(model, champion.version)
    versions = registry.versions(model)
    if versions:
        raise ModelError(
            f"model `{model}` has no champion: none of its {len(versions)} versions was promoted",
            hint="the log of retrain says why; mend the training, or pin one by `version`",
        )
    raise ModelError(f"model `{model}` has no champion: it was never trained", hint="run retrain first")


def _check_age(record: Record, run: Run, max_age: str | None) -> None:
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


def _kept(there: list[str], record: Record, keep: list[str] | None, where: str) -> tuple[str, ...]:
    features = {feature.name for feature in record.features}
    names = [name for name in there if name not in features] if keep is None else keep
    if missing := [name for name in names if name not in there]:
        raise DataError(
            f"`keep` names {listed(missing)}, which {where} does not have", hint=f"it has {listed(there, 30)}"
        )
    if taken := [name for name in names if name in ADDED]:
        raise DataError(
            f"{where} has a column `{taken[0]}`, which is the name of a column that predict writes",
            hint=f"rename it before, or leave it out of `keep`; predict writes {listed(ADDED)}",
        )
    return tuple(names)


def _check_finite(scored: pa.Table, record: Record) -> None:
    lost = np.flatnonzero(~np.isfinite(scored["score"].to_numpy()))
    if len(lost):
        kept = scored.drop_columns("score").slice(int(lost[0]), 1).to_pylist()[0]
        first = ", ".join(f"{name}={value}" for name, value in kept.items())
        raise ModelError(
            f"version {record.version} of model `{record.name}` gave {len(lost):,} scores of {scored.num_rows:,} that "
            f"are not finite, the first for {first or f'row {lost[0] + 1}'}; nothing was written",
            hint="look at the features of that row, or pin an earlier `version`",
        )


def _output(scored: pa.Table, record: Record, run: Run) -> pa.Table:
    rows = scored.num_rows
    return (
        scored.append_column("model", pa.array([record.name] * rows, pa.string()))
        .append_column("model_version", pa.array([record.version] * rows, pa.int64()))
        .append_column("run_id", pa.array([run.run_id] * rows, pa.string()))
    )

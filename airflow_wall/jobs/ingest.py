"""
The job `ingest`: load files or SQL rows into a table, each source version exactly once.

This holds if tries are killed, repeated or run concurrently. The rows and the claim on their versions are one commit of
the table. The ledger is written afterwards. If a try is killed between the two, its retry writes the ledger. A later
slice that sees the versions again finds that the table already holds them.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import DataError, Interrupted
from airflow_wall.job import Env, Run
from airflow_wall.jobs.base import open_target
from airflow_wall.sources.backends import open_source
from airflow_wall.sources.delivery import Delivery, Rules
from airflow_wall.sources.kinds.base import SourceSite
from airflow_wall.sources.manifest import claim_for_table
from airflow_wall.storage.base import SOURCE, Commit, SourceVersion, TableStore
from airflow_wall.storage.contract import Contract, Contracts, Evolution, declare, from_schema, read_declared, with_key
from airflow_wall.storage.forgotten import Forgotten
from airflow_wall.storage.ledger import IngestLedger
from airflow_wall.storage.lineage import Lineage, describe_stale, slices_by_table
from airflow_wall.storage.staging import Staging
from airflow_wall.text.table_names import REJECTED

log = logging.getLogger(__name__)


_REJECTED_COLUMNS = ("reason", "file", "line", "column", "value", "raw", SOURCE)
_REJECTED_SCHEMA = pa.schema([(name, pa.int64() if name == "line" else pa.string()) for name in _REJECTED_COLUMNS])


def ingest(
    env: Env,
    *,
    source: str,
    target: str,
    format: str | None = None,  # the key of the YAML
    cursor: str | None = None,
    lag: str | float | None = None,
    options: Mapping[str, Any] | None = None,
    by: str | None = None,
    key: Sequence[str] | None = None,
    order_by: str | None = None,
    contract: Mapping[str, Any] | None = None,
    evolve: Mapping[str, bool] | None = None,
    bad_rows: str = "fail",
    max_bad_rows: float | None = None,
    share: bool = False,
) -> dict[str, Any]:
    """
    Load the versions of `source` that the slice claims into the table `target`. A repeated call replaces its own rows.

    :param source: A file, a directory, a pattern, objects of a bucket, or `sql://connection/table`.
    :param format: `csv`, `tsv`, `json`, `jsonl` or `parquet`; by default it follows from the names of the files.
    :param cursor: For SQL: the column whose higher values mark new rows.
    :param lag: For SQL: how far before the last value of the cursor a reading begins.
    :param options: Options of the format, e.g. `{delim: ";", types: {zip: VARCHAR}}`.
    :param by: `date` for only the files whose name has the date of the slice.
    :param key: Columns that identify a row. Of a row that comes again, a reader of the table gets the newest version.
    :param order_by: With `key`: the column that is greater in a newer version; by default a later delivery is newer.
    :param contract: The declared contract, in the form of `storage.contract.DeclaredContract`.
    :param evolve: The changes that a delivery may bring, in the form of `storage.contract.Evolution`.
    :param bad_rows: `fail`, or `quarantine` to store bad rows in the table `<target>_rejected`.
    :param max_bad_rows: The most bad rows of one call that are put in quarantine: a number, or below 1 a share.
    :param share: True if other tasks write rows of the same slice into the target, too.
    :return: `table`, `rows`, `rejected` and `files` of the slice, `version` of the table, `changed`: True if this call
        wrote, and `warnings` for the author of the pipeline.
    :raises DataError: the source does not exist, a file is broken, or the rows do not suit the contract.
    :raises Interrupted: a file changed while it was read, or other writers won every race.
    """
    run = env.run
    tables, writer = open_target(env, target, share=share)
    keys = {"format": format, "options": options, "by": by, "cursor": cursor, "lag": lag}
    opened = open_source(source, SourceSite(run, env.connections), keys)
    manifest = claim_for_table(run, opened, target=target)
    ledger = IngestLedger(run.storage)
    taken = ledger.first_slices(target)
    current = opened.current(opened.claimed(manifest.versions, taken, run.slice.id), run.slice.id)
    held = tables.held_elsewhere(target, current, slice_id=run.slice.id, writer=writer)
    free = [version for version in current if version not in held]
    contracts, recorded = Contracts(run.storage), None
    if free:
        recorded = contracts.read(target)
    with tables.stage(target) as staging:
        keep_bad = bad_rows == "quarantine"
        rules = _rules(tables, staging, target, recorded, contract, options or {}, evolve, keep_bad=keep_bad)
        rules = dataclasses.replace(rules, contract=with_key(rules.contract, key or (), order_by))
        loaded = opened.read(free, rules)
        delivery = Forgotten(run.storage).without(target, loaded.delivery, staging)
        _check_bad_rows(delivery, max_bad_rows)
        warnings = [*delivery.warnings]
        if not key:
            warnings += _copies(loaded.versions, ledger.uris_by_version(target), target, run.slice.id)
        for warning in warnings:
            log.warning("%s", warning)
        if free and (recorded is None or delivery.contract != recorded[0]):
            contracts.write(target, delivery.contract, None if recorded is None else recorded[1])
        counts = _count_rows(delivery, loaded.versions)
        commit = tables.replace_slice(
            target,
            staging,
            slice_id=run.slice.id,
            number=run.slice.number,
            sources=loaded.versions,
            retype=True,
            homes=opened.homes(loaded.versions, taken),
            order=run.slice.microseconds if key else None,
            writer=writer,
            rejected=_rejected_rows(delivery),
        )
    if commit.content is None:
        raise Interrupted(
            f"table `{target}`: another try of this task has committed other rows of slice `{run.slice.id}`",
            hint="run the task again",
        )
    slices = {**held, **_slices_of(loaded.versions, commit, run.slice.id)}
    _record(ledger, run, commit, slices, counts)
    rejected = len(delivery.rejected)
    log.info("table %s: slice %s has %d rows of %d sources", target, run.slice.id, commit.rows, len(loaded.versions))
    if rejected:
        log.warning("table %s: %d bad rows are in `%s%s`", target, rejected, target, REJECTED)
    return {
        "table": target,
        "rows": commit.rows,
        "rejected": rejected,
        "files": len(loaded.versions),
        "version": commit.version,
        "changed": commit.changed,
        "warnings": warnings,
        **({"other_dates": dict(manifest.other_dates)} if manifest.other_dates else {}),
        **_changes_elsewhere(run, tables, commit),
    }


def _copies(
    versions: Sequence[SourceVersion], taken: Mapping[str, frozenset[str]], table: str, slice_id: str
) -> list[str]:
    """
    Return a warning for each new source with the content of another one.

    :param taken: Version -> the sources of which the table has rows of that version.
    """
    known = frozenset(itertools.chain.from_iterable(taken.values()))
    return [
        f"`{version.uri}` has the content of {listed(sorted(taken[version.version]))}, whose rows are in the table "
        f"too; if it was only renamed or copied: `airflow-wall tables drop-slice {table} {slice_id} --reason WHY`"
        for version in versions
        if version.uri not in known and version.version in taken
    ]


def _changes_elsewhere(run: Run, tables: TableStore, commit: Commit) -> dict[str, Any]:
    """
    Log and return the changes of other slices: `corrected`, slice -> sources whose newer rows it took, and `stale`,
    table -> slices that were computed from the rows before. Both are left out if empty.
    """
    if not commit.corrected:
        return {}
    for slice_id, uris in commit.corrected.items():
        what = f"took newer rows of {listed(uris)}" if uris else f"has lost its rows to slice {run.slice.id}"
        log.info("table %s: slice %s %s", commit.table, slice_id, what)
    stale = Lineage(run.storage, tables).stale_in(commit.corrected)
    if stale:
        log.warning(
            "rows that slices of other dates were computed from have changed: %s; run these dates again: clear their "
            "runs, or `airflow-wall run --stale`",
            "; ".join(describe_stale(stale)),
        )
    corrected = {slice_id: list(uris) for slice_id, uris in commit.corrected.items()}
    return {"corrected": corrected, **({"stale": slices_by_table(stale)} if stale else {})}


def _slices_of(versions: Sequence[SourceVersion], commit: Commit, slice_id: str) -> dict[SourceVersion, str]:
    """Return version -> the slice that now holds it."""
    corrected = {uri: name for name, uris in commit.corrected.items() for uri in uris}
    return {version: corrected.get(version.uri, slice_id) for version in versions}


def _record(
    ledger: IngestLedger,
    run: Run,
    commit: Commit,
    slices: Mapping[SourceVersion, str],
    counts: Mapping[SourceVersion, int],
) -> None:
    for slice_id in sorted({*slices.values()}):
        rows = {version: counts.get(version, 0) for version, holder in slices.items() if holder == slice_id}
        ledger.record(run.pipeline, commit.table, slice_id, rows)


def _rules(
    tables: TableStore,
    staging: Staging,
    target: str,
    recorded: tuple[Contract, str] | None,
    contract: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    evolve: Mapping[str, bool] | None,
    *,
    keep_bad: bool,
) -> Rules:
    """Return the rules for a delivery. A table without a recorded contract has that of its columns."""
    known = Contract()
    if tables.exists(target):
        known = recorded[0] if recorded is not None else from_schema(tables.schema(target))
    declared = read_declared(contract, options.get("types"))
    evolution = Evolution.of(evolve)
    return Rules(target, declare(known, declared), tuple(declared.columns), evolution, keep_bad, staging=staging)


def _check_bad_rows(delivery: Delivery, most: float | None) -> None:
    """
    Check that there are not too many bad rows.

    :raises DataError: there are.
    """
    count = len(delivery.rejected)
    total = count + delivery.staged.rows
    allowed = total if most is None else most if isinstance(most, int) and most >= 1 else int(most * total)
    if count > allowed:
        first = delivery.rejected[0]
        where = f"`{first.source}`" if first.line is None else f"`{first.source}`, line {first.line}"
        raise DataError(
            f"`source`: {count} of {total} rows are bad, and `max_bad_rows` is {most}; the first: {where}: "
            f"{first.reason}",
            hint="correct the files, or raise `max_bad_rows`",
        )


def _rejected_rows(delivery: Delivery) -> pa.Table:
    uris = [delivery.uris.get(row.source, row.source) for row in delivery.rejected]
    rows = [
        (row.reason, uri, row.line, row.column, row.value, row.raw, uri)
        for row, uri in zip(delivery.rejected, uris, strict=True)
    ]
    return pa.Table.from_pylist([dict(zip(_REJECTED_COLUMNS, row, strict=True)) for row in rows], _REJECTED_SCHEMA)


def _count_rows(delivery: Delivery, versions: Sequence[SourceVersion]) -> dict[SourceVersion, int]:
    counts = delivery.staged.count_by(SOURCE) if delivery.staged.rows else {}
    return {version: counts.get(version.uri, 0) for version in versions}

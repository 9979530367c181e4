"""The job `collect_metadata`: a row for each source and table that the pipelines of a folder name."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from airflow_wall.errors import DataError, WallError
from airflow_wall.job import Env
from airflow_wall.jobs.base import open_target
from airflow_wall.sources.backends import parse_source
from airflow_wall.sources.kinds.base import SourceSite
from airflow_wall.storage.base import ALL, TableStore
from airflow_wall.storage.contract import Contract, Contracts
from airflow_wall.storage.owners import Owners
from airflow_wall.text.reader import read_file
from airflow_wall.text.table_names import REJECTED, is_pattern

log = logging.getLogger(__name__)

_COLUMNS: dict[str, pa.DataType] = {
    "name": pa.string(),
    "kind": pa.string(),
    "pipelines": pa.string(),
    "owner": pa.string(),
    "written_by": pa.string(),
    "description": pa.string(),
    "columns": pa.string(),
    "pii": pa.string(),
    "rows": pa.int64(),
    "bytes": pa.int64(),
    "parts": pa.int64(),
    "newest": pa.string(),
    "changed": pa.timestamp("us", tz="UTC"),
    "problem": pa.string(),
}
"""`parts` are slices or files; `newest` is the newest of them; `changed` is the time of the last change."""

_SCHEMA = pa.schema(_COLUMNS)

_TABLES = ("target", "table")


@dataclass
class _Named:
    """
    A source or a table that pipelines name.

    :param contract: The contract that a pipeline declares beside it.
    """

    pipelines: set[str] = field(default_factory=set)
    contract: Mapping[str, Any] = field(default_factory=dict)


def collect_metadata(env: Env, *, target: str, pipelines: str = ".") -> dict[str, Any]:
    """
    Write schema, rows, size, freshness, owner and personal columns of every source and table.

    A source or table that cannot be read has a row with its problem.

    :param target: The table to write: this run's slice of it.
    :param pipelines: The folder of the pipelines, below that of the DAG.
    :return: `table`, `rows`, `tables`, `sources`, `problems`.
    :raises DataError: the folder is not below that of the DAG, or does not exist.
    """
    run = env.run
    folder = (run.code / pipelines).resolve()
    if not folder.is_relative_to(run.code.resolve()) or not folder.is_dir():
        raise DataError(
            f"`pipelines` must be a folder below `{run.code}`, got `{pipelines}`", hint="write, e.g., `pipelines: .`"
        )
    store, writer = open_target(env, target, share=False)
    tables, sources = _named(folder)
    tables.setdefault(target, _Named()).pipelines.add(run.pipeline)
    site = SourceSite(run, env.connections)
    rows = [_row(name, "source", named, _about_source(name, site, named)) for name, named in sorted(sources.items())]
    contracts, owners = Contracts(run.storage), Owners(run.storage, store)
    for name in sorted(_expanded(store, tables)):
        named = tables.get(name) or _merged(store, tables, name)
        rows.append(_row(name, "table", named, _about_table(name, store, contracts, owners)))
    data = pa.Table.from_pylist(rows, _SCHEMA)
    commit = store.replace_slice(target, data, slice_id=run.slice.id, number=run.slice.number, writer=writer)
    problems = sum(row["problem"] is not None for row in rows)
    log.info("table %s: %d sources and %d tables, %d with a problem", target, len(sources), len(rows), problems)
    return {
        "table": target,
        "rows": commit.rows,
        "version": commit.version,
        "changed": commit.changed,
        "tables": len(rows) - len(sources),
        "sources": len(sources),
        "problems": problems,
    }


def _named(folder: Path) -> tuple[dict[str, _Named], dict[str, _Named]]:
    """Return the tables and the sources that pipelines name. Names that are known only in a run are left out."""
    tables: dict[str, _Named] = {}
    sources: dict[str, _Named] = {}
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        try:
            documents = read_file(path)
        except WallError as error:
            log.warning("not read: %s", error.message)
            continue
        for document in documents:
            if not isinstance(document.value, Mapping) or "dag_id" not in document.value:
                continue
            dag_id = str(document.value["dag_id"])
            for arguments in _arguments(document.value.get("tasks")):
                _add(tables, sources, dag_id, arguments)
    return tables, sources


def _arguments(tasks: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the `with` blocks of tasks, also of tasks in groups."""
    for task in tasks if isinstance(tasks, list) else ():
        if isinstance(task, Mapping):
            if isinstance(task.get("with"), Mapping):
                yield task["with"]
            yield from _arguments(task.get("tasks"))


def _add(tables: dict[str, _Named], sources: dict[str, _Named], dag_id: str, arguments: Mapping[str, Any]) -> None:
    inputs = arguments.get("inputs")
    read = list(inputs.values()) if isinstance(inputs, Mapping) else []
    names = [arguments.get(key) for key in _TABLES]
    names += [one.get("table") if isinstance(one, Mapping) else one for one in read]
    for name in filter(_is_known, names):
        tables.setdefault(str(name), _Named()).pipelines.add(dag_id)
    source = arguments.get("source")
    if _is_known(source):
        named = sources.setdefault(str(source), _Named())
        named.pipelines.add(dag_id)
        if isinstance(arguments.get("contract"), Mapping):
            named.contract = arguments["contract"]


def _is_known(name: Any) -> bool:
    return isinstance(name, str) and "{{" not in name and "${{" not in name


def _expanded(store: TableStore, tables: Mapping[str, _Named]) -> set[str]:
    """Return the names, with the tables of the lake that patterns cover."""
    names = set()
    for name in tables:
        try:
            names |= set(store.names(name)) if is_pattern(name) else {name}
        except DataError:  # no table matches yet
            continue
    return {name for name in names if not name.endswith(REJECTED)}


def _merged(store: TableStore, tables: Mapping[str, _Named], name: str) -> _Named:
    patterns = [text for text in tables if is_pattern(text) and name in store.names(text)]
    return _Named(set().union(*(tables[text].pipelines for text in patterns)))


def _about_table(name: str, store: TableStore, contracts: Contracts, owners: Owners) -> dict[str, Any]:
    try:
        summary, schema = store.summary(name), store.schema(name)
    except DataError as error:
        return {"problem": error.message.partition("\n")[0]}
    recorded = contracts.read(name)
    contract = Contract() if recorded is None else recorded[0]
    facts = contract.about.get("columns", {})
    columns = [{"name": column.name, "type": str(column.type), **facts.get(column.name, {})} for column in schema]
    return {
        "owner": contract.about.get("owner"),
        "written_by": owners.owner(name),
        "description": contract.about.get("description"),
        "columns": columns,
        "rows": sum(summary.rows.values()),
        "bytes": summary.size,
        "parts": len(summary.rows.keys() - {ALL}),
        "newest": max(summary.rows.keys() - {ALL}, default=None),
        "changed": datetime.fromisoformat(summary.written) if summary.written else None,
    }


def _about_source(text: str, site: SourceSite, named: _Named) -> dict[str, Any]:
    contract = named.contract
    declared = contract.get("columns") if isinstance(contract.get("columns"), Mapping) else {}
    about: dict[str, Any] = {
        "owner": contract.get("owner"),
        "description": contract.get("description"),
        "columns": [
            {"name": name, **(facts if isinstance(facts, Mapping) else {"type": facts})}
            for name, facts in (declared or {}).items()
        ],
    }
    try:
        source = parse_source(text)
        if source.conn_id and text.startswith("sql://"):
            return {**about, **_about_sql(text, site, about["columns"])}
        versions = source.local_versions(site.run.storage)
    except WallError as error:
        return {**about, "problem": error.message.partition("\n")[0]}
    newest = max(versions, key=lambda version: version.uri, default=None)
    times = [path.stat().st_mtime for version in versions if (path := site.run.storage.path_of(version.uri)).is_file()]
    problem = None
    if not versions:
        problem = "it is in a bucket, which is not listed" if source.conn_id else "it has no files"
    return {
        **about,
        "bytes": sum(version.size or 0 for version in versions) if versions else None,
        "parts": len(versions) if versions else None,
        "newest": None if newest is None else newest.uri,
        "changed": datetime.fromtimestamp(max(times), UTC) if times else None,
        "problem": problem,
    }


def _about_sql(text: str, site: SourceSite, declared: list[dict[str, Any]]) -> dict[str, Any]:
    """Return columns and rows of a SQL table. Its server counts the rows."""
    import sqlalchemy

    from airflow_wall.sources.sql_table import OpenSqlTable

    opened = parse_source(text).open(site, {})
    assert isinstance(opened, OpenSqlTable)
    facts = {column["name"]: column for column in declared}
    columns = [
        {**facts.get(name, {}), "name": name, "type": str(column.type)} for name, column in opened.table.c.items()
    ]
    with opened.engine.connect() as connection:
        rows = connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(opened.table))
    return {"columns": columns, "rows": rows}


def _row(name: str, kind: str, named: _Named, about: Mapping[str, Any]) -> dict[str, Any]:
    columns = about.get("columns") or []
    pii = ", ".join(str(column["name"]) for column in columns if column.get("pii"))
    return {
        **{key: about.get(key) for key in _SCHEMA.names},
        "name": name,
        "kind": kind,
        "pipelines": ", ".join(sorted(named.pipelines)),
        "columns": json.dumps(columns, ensure_ascii=False) if columns else None,
        "pii": pii or None,
    }

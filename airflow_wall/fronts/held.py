"""The DAGs of a file of a mirror: those with faults as they last were without, for the runs that are under way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from airflow.configuration import AIRFLOW_HOME
from airflow.sdk import DAG

from airflow_wall.fronts.carrier import is_dag_processor
from airflow_wall.fronts.folder import build, settings_of_airflow
from airflow_wall.fronts.mirror import Record, Tree, relative
from airflow_wall.settings import Settings

HELD = "note: runs of {} that are under way go on as the file last was without these faults; no new run starts"
"""What becomes of the DAGs of a file with faults."""

NOTICE = """\
> **No new run starts.** The file of this pipeline has faults, see Import Errors. Runs under way go on with what you see
> here, which is how it last was without.

"""


def read(tree: Tree, name: str, wanted: str | None) -> tuple[dict[str, DAG], str]:
    """
    The DAGs of one file of a tree.

    :param wanted: The only DAG to build; None for all.
    :return: DAG id to DAG, those with faults as they last were without; the faults.
    """
    built_from = tree.name
    settings = _settings(tree, name)
    dags, reports = build([tree.root / name], settings, wanted)
    told = list(reports.values())
    if name in tree.shared:
        ids, fault = tree.shared[name]
        told.append(fault)
        dags = {dag_id: dag for dag_id, dag in dags.items() if dag_id not in ids}
    record = Record.of(tree.base, name)
    old = _held(record, [each for each in record.trees if each not in dags], settings, wanted) if told else {}
    if wanted is None and built_from is not None and built_from == tree.name and is_dag_processor():
        good = dict.fromkeys(dags, built_from)
        replace(record, trees={**record.trees, **good} if told else good, faulty=bool(told)).keep()
    if old:
        told.append(HELD.format(", ".join(f"`{dag_id}`" for dag_id in old)))
    return dags | old, relative("\n\n".join(told), tree.root)


def _held(record: Record, missing: list[str], settings: Settings, wanted: str | None) -> dict[str, DAG]:
    """The pipelines with faults, as they last were without."""
    dags: dict[str, DAG] = {}
    for dag_id in missing if wanted is None else {wanted} & set(missing):
        file = record.root(dag_id) / record.file
        dags |= {found: held(dag) for found, dag in build([file], settings, dag_id)[0].items()}
    return dags


def _settings(tree: Tree, name: str) -> Settings:
    """The settings, with the folder that relative `storage` is under: it must not be one of a copy."""
    settings = settings_of_airflow()
    project = settings.project_of(tree.source / name) if tree.source else settings.project or Path(AIRFLOW_HOME)
    return replace(settings, project=project)


def held(dag: DAG) -> DAG:
    """
    The same DAG, of which Airflow begins no run, and goes on with the runs there are.

    Without a schedule neither a date nor an asset begins one; a run by hand, by another DAG, or of a new backfill is
    refused. A paused or stale DAG would not do: Airflow then schedules no task of it, clean-up included.
    """
    without = DAG("without_schedule", schedule=None)
    # Not by assignment: Airflow insists that a DAG without a schedule can be run by hand.
    vars(dag).update(
        schedule=None,
        timetable=without.timetable,
        allowed_run_types=frozenset({"scheduled"}),
        doc_md=NOTICE + (dag.doc_md or ""),
    )
    return dag

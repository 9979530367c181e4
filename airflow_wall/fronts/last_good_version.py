"""The DAGs of a file of a mirror; for those with faults, their last good version, so that active runs can finish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from airflow.configuration import AIRFLOW_HOME
from airflow.sdk import DAG

from airflow_wall.airflow_internals import is_dag_processor
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.fronts.folder import build, settings_of_airflow
from airflow_wall.fronts.mirror import FileRecord, Tree, relative
from airflow_wall.settings import Settings

HELD = "note: active runs of {} continue with the last good version of the file; no new run starts"
"""Note for the DAGs of a file with faults."""

NOTICE = """\
> **No new run starts.** The file of this pipeline has faults, see Import Errors. Active runs continue with the last
> good version, which you see here.

"""


def dags_of_file(tree: Tree, name: str, only_dag_id: str | None) -> tuple[dict[str, DAG], str]:
    """
    Return the DAGs of one file of a tree, and its faults.

    :param only_dag_id: The only DAG to build; None for all.
    :return: DAG id to DAG, in the last good version if the current one has faults; the text of the faults.
    """
    built_from = tree.name
    settings = _settings(tree, name)
    dags, faults = _current_dags(tree, name, settings, only_dag_id)
    if name in tree.shared:
        ids, fault = tree.shared[name]
        faults.append(fault)
        dags = {dag_id: dag for dag_id, dag in dags.items() if dag_id not in ids}
    record = FileRecord.of(tree.base, name)
    held_dags = (
        _last_good_dags(record, [dag_id for dag_id in record.trees if dag_id not in dags], settings, only_dag_id)
        if faults
        else {}
    )
    if only_dag_id is None and built_from is not None and built_from == tree.name and is_dag_processor():
        good_trees = dict.fromkeys(dags, built_from)
        replace(record, trees={**record.trees, **good_trees} if faults else good_trees, faulty=bool(faults)).keep()
    if held_dags:
        faults.append(HELD.format(listed(held_dags)))
    return dags | held_dags, relative("\n\n".join(faults), tree.root)


def _current_dags(
    tree: Tree, name: str, settings: Settings, only_dag_id: str | None
) -> tuple[dict[str, DAG], list[str]]:
    """Return the DAGs of the current file, and its faults. A file that exceeded a limit before is not read again."""
    if name in tree.unread:
        return {}, [tree.unread[name]]
    dags, reports = build([tree.root / name], settings, only_dag_id)
    return dags, list(reports.values())


def _last_good_dags(
    record: FileRecord, missing: list[str], settings: Settings, only_dag_id: str | None
) -> dict[str, DAG]:
    """Return the last good version of the DAGs in `missing`."""
    dags: dict[str, DAG] = {}
    for dag_id in missing if only_dag_id is None else {only_dag_id} & set(missing):
        file = record.root(dag_id) / record.file
        dags |= {held_id: without_new_runs(dag) for held_id, dag in build([file], settings, dag_id)[0].items()}
    return dags


def _settings(tree: Tree, name: str) -> Settings:
    """Return the settings, with the original directory as the base of a relative `storage`, not that of the copy."""
    settings = settings_of_airflow()
    project = settings.project_of(tree.source / name) if tree.source else settings.project or Path(AIRFLOW_HOME)
    return replace(settings, project=project)


def without_new_runs(dag: DAG) -> DAG:
    """
    Return the same DAG, for which Airflow starts no new run but continues the active ones.

    Without a schedule, neither a date nor an asset starts a run. Manual runs, runs by other DAGs and new backfills are
    rejected. Pausing the DAG would not work: Airflow then schedules none of its tasks, not even the clean-up.
    """
    # A DAG without a schedule must allow manual runs, so the types of runs are set while it still has one.
    dag.timetable = DAG("with_schedule", schedule="@yearly").timetable
    dag.allowed_run_types = ["scheduled"]  # type: ignore[list-item]  # its converter takes texts, as `DAG` does
    dag.timetable = DAG("without_schedule", schedule=None).timetable
    dag.doc_md = NOTICE + (dag.doc_md or "")
    return dag

"""What a stub of a `PipelineBundle` calls: the DAGs of the YAML file beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow.configuration import AIRFLOW_HOME
from airflow.sdk import DAG, get_parsing_context

from airflow_wall.errors import SpecError
from airflow_wall.fronts.carrier import carriers, is_dag_processor
from airflow_wall.fronts.folder import build, settings_of_airflow
from airflow_wall.fronts.held import held
from airflow_wall.fronts.mirror import Record, Tree, relative
from airflow_wall.settings import Settings

HELD = "note: runs of {} that are under way go on as the file last was without these faults; no new run starts"
"""What becomes of the DAGs of a file with faults."""


def dags_of(stub: str) -> dict[str, DAG]:
    """
    The DAGs of the pipeline file that a stub shows.

    A pipeline with faults is given as it last was without, and starts no new run: its runs under way finish.

    :param stub: Path of the stub.
    :return: DAG id to DAG.
    :raises SpecError: with the faults of the file, where nothing else can be given and nobody but the caller told.
    """
    file = Path(stub).with_suffix("")
    tree = Tree.around(file)
    assert tree is not None, "a stub is in a tree"
    name = file.relative_to(tree.root).as_posix()
    wanted = get_parsing_context().dag_id
    dags, report = read(tree, name, wanted)
    dags = {dag_id: _shown(dag, f"{name}.py") for dag_id, dag in dags.items()}
    if not report or wanted in dags:
        return dags
    if wanted is None and is_dag_processor():
        return dags | carriers({tree.root / name: report})
    raise SpecError(report)


def read(tree: Tree, name: str, wanted: str | None) -> tuple[dict[str, DAG], str]:
    """
    The DAGs of one file of a tree.

    :param wanted: The only DAG to build; None for all.
    :return: DAG id to DAG, those with faults as they last were without; the faults.
    """
    built_from = tree.name
    settings = _settings(tree, name)
    dags, reports = build([tree.root / name], settings, wanted)
    for dag in dags.values():
        dag.fileloc = str(tree.root / name)
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
        for dag in build([file], settings, dag_id)[0].values():
            dag.fileloc = str(file)
            dags[dag_id] = held(dag)
    return dags


def _settings(tree: Tree, name: str) -> Settings:
    """The settings, with the folder that relative `storage` is under: it must not be one of a copy."""
    settings = settings_of_airflow()
    project = settings.project_of(tree.source / name) if tree.source else settings.project or Path(AIRFLOW_HOME)
    return replace(settings, project=project)


def _shown(dag: DAG, stub: str) -> DAG:
    """The DAG, with the YAML as its source and the stub as the file that Airflow has to parse for it."""
    source = str(dag.fileloc)
    dag.__class__ = _Shown
    vars(dag).update(source=source, stub=stub)
    return dag


class _Shown(DAG):
    """A DAG whose source is another file than the one that Airflow parses."""

    source: str
    stub: str

    # Airflow sets both after it has imported the stub.
    @property
    def fileloc(self) -> str:
        return self.source

    @fileloc.setter
    def fileloc(self, value: Any) -> None:
        pass

    @property
    def relative_fileloc(self) -> str:
        return self.stub

    @relative_fileloc.setter
    def relative_fileloc(self, value: Any) -> None:
        pass

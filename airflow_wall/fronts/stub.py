"""What a stub of a `PipelineBundle` calls: the DAGs of the YAML file beside it."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from airflow_wall.errors import SpecError
from airflow_wall.fronts.carrier import carriers, is_dag_processor
from airflow_wall.fronts.held import read
from airflow_wall.fronts.mirror import Tree
from airflow_wall.fronts.shown import shown


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
    built, report = read(tree, name, wanted)
    dags = shown(built)
    if not report or wanted in dags:
        return dags
    if wanted is None and is_dag_processor():
        return dags | carriers({tree.root / name: report})
    raise SpecError(report)

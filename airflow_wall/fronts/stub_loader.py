"""Load the DAGs of the YAML file beside a stub of a `PipelineBundle`."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from airflow_wall.airflow_internals import is_dag_processor
from airflow_wall.errors import SpecError
from airflow_wall.fronts.dag_source import with_yaml_source
from airflow_wall.fronts.import_errors import import_error_dags
from airflow_wall.fronts.last_good_version import dags_of_file
from airflow_wall.fronts.mirror import Tree


def dags_of(stub: str) -> dict[str, DAG]:
    """
    Return the DAGs of the pipeline file that a stub stands for.

    A pipeline with faults is built in its last good version and starts no new run, so that its active runs can finish.

    :param stub: Path of the stub.
    :return: DAG id to DAG.
    :raises SpecError: with the faults of the file, if it gives no DAG, outside the DAG processor.
    """
    file = Path(stub).with_suffix("")
    tree = Tree.around(file)
    assert tree is not None, "a stub is in a tree"
    name = file.relative_to(tree.root).as_posix()
    only_dag_id = get_parsing_context().dag_id
    built, report = dags_of_file(tree, name, only_dag_id)
    dags = with_yaml_source(built)
    if not report or only_dag_id in dags:
        return dags
    if only_dag_id is None and is_dag_processor():
        return dags | import_error_dags({tree.root / name: report})
    raise SpecError(report)

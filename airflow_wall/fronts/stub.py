"""What a stub of a `PipelineBundle` calls: the DAGs of the YAML file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import DAG, get_parsing_context

from airflow_wall.errors import SpecError
from airflow_wall.fronts.carrier import carriers, is_dag_processor
from airflow_wall.fronts.held import read
from airflow_wall.fronts.mirror import Tree


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

"""DAGs whose source in the Code tab is the YAML, although Airflow parses a Python file for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from airflow.sdk import DAG


def with_yaml_source(dags: Mapping[str, DAG]) -> dict[str, DAG]:
    """Return the DAGs, each with its current file as its source, even if Airflow parses another file for it."""
    return {dag_id: _YamlSourceDag.of(dag) for dag_id, dag in dags.items()}


class _YamlSourceDag(DAG):
    """
    A DAG whose source is another file than the one that Airflow parses.

    Airflow sets `fileloc` after it has imported the file that it parses, derives `relative_fileloc` from it, and sets
    this. From then on, `fileloc` is the source.
    """

    _source: str
    _parsed: str
    _relative: str | None = None
    _is_imported = False

    @classmethod
    def of(cls, dag: DAG) -> Self:
        """Return the DAG itself, with its current `fileloc` as its source: its tasks refer to it, so it stays one."""
        source = dag.fileloc
        dag.__class__ = cls
        assert isinstance(dag, cls)
        dag._source = dag._parsed = source
        return dag

    @property
    def fileloc(self) -> str:
        return self._source if self._is_imported else self._parsed

    @fileloc.setter
    def fileloc(self, value: Any) -> None:
        self._parsed = value

    @property
    def relative_fileloc(self) -> str | None:
        return self._relative

    @relative_fileloc.setter
    def relative_fileloc(self, value: Any) -> None:
        self._relative = value
        self._is_imported = True

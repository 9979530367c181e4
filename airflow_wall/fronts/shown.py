"""DAGs whose source, in the Code tab, is the YAML, though Airflow parses a Python file for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG


def shown(dags: Mapping[str, DAG]) -> dict[str, DAG]:
    """The DAGs, each with the file that it has now as its source, whatever file Airflow finds it in."""
    for dag in dags.values():
        source = dag.fileloc
        dag.__class__ = _Shown
        vars(dag).update(source=source, parsed=source)
    return dict(dags)


class _Shown(DAG):
    """A DAG whose source is another file than the one that Airflow parses."""

    source: str
    parsed: str

    # Airflow sets both after it has imported the file that it parses, and makes the second of the first.
    @property
    def fileloc(self) -> str:
        return self.source if "found" in vars(self) else self.parsed

    @fileloc.setter
    def fileloc(self, value: Any) -> None:
        vars(self)["parsed"] = value

    @property
    def relative_fileloc(self) -> str | None:
        return vars(self).get("found")

    @relative_fileloc.setter
    def relative_fileloc(self, value: Any) -> None:
        vars(self)["found"] = value

"""
Import errors under the name of the YAML file that has the faults.

For Airflow, all DAGs of a loader come from one file, the loader. If it raises, or Airflow rejects one of its DAGs, the
error is stored for the loader and all its DAGs become stale. Only if a DAG cannot be *serialized* is the error stored
under another name, that DAG's own `relative_fileloc`, without any effect on other DAGs. So each file with faults gets a
DAG whose only purpose is to fail there (Airflow 3.2 to 3.4).

The DAG processor deletes the error when it next lists the directory, because the file is not a Python file. It stores
the error again when it next parses the loader.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from airflow.policies import hookimpl
from airflow.sdk import DAG
from airflow.settings import get_policy_plugin_manager


def import_error_dags(reports: Mapping[Path, str]) -> dict[str, DAG]:
    """
    Return a DAG for every file with faults. Its id never reaches the metadata database.

    :param reports: File to its faults.
    """
    manager = get_policy_plugin_manager()
    if not manager.is_registered(_NO_POLICY):
        manager.register(_NO_POLICY)
    dags = [Carrier(f"_wall_faults_{number}", path, report) for number, (path, report) in enumerate(reports.items())]
    return {dag.dag_id: dag for dag in dags}


class _NoPolicy:
    """Exempts `Carrier` DAGs from cluster policies: a rejected one would cost all DAGs of the loader."""

    @hookimpl(wrapper=True)
    def dag_policy(self, dag: DAG) -> Generator[None, Any, Any]:
        """Ignore errors of policies on a `Carrier`."""
        try:
            return (yield)
        except Exception:
            if isinstance(dag, Carrier):
                return None
            raise


_NO_POLICY = _NoPolicy()


class Carrier(DAG):
    """
    A DAG that cannot be serialized, and carries the faults of a file as its error.

    :param dag_id: An id that no DAG of the deployment has.
    :param path: The file with faults.
    :param report: Its faults.
    """

    def __init__(self, dag_id: str, path: Path, report: str) -> None:
        self.path = path.absolute()
        self.report = f"`{path.name}` has faults\n\n{report}"
        super().__init__(dag_id)

    @property
    def relative_fileloc(self) -> str:
        """The file with faults, relative to the bundle; its absolute path if it is outside the bundle."""
        return self._path_in_bundle

    @relative_fileloc.setter
    def relative_fileloc(self, loader: str | None) -> None:
        # Airflow sets this after `fileloc`, both for the loader: they differ by the directory of the bundle.
        bundle = self.fileloc.removesuffix(loader or self.fileloc)
        inside = bundle != "" and self.path.is_relative_to(bundle)
        self._path_in_bundle = str(self.path.relative_to(bundle) if inside else self.path)

    # Airflow calls this on the instance, which is needed because it holds the report.
    def get_serialized_fields(self) -> NoReturn:  # type: ignore[override]
        """Fail at the beginning of serialization, before any field is read."""
        # Any other exception would be wrapped in this one, and the report would appear twice.
        from airflow.exceptions import SerializationError

        raise SerializationError(self.report)

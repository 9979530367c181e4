"""
Import errors under the name of the YAML file that has them.

To Airflow all DAGs of a loader are of one file, the loader. If that raises, or a DAG of it is refused when it is
bagged, the error is filed under the loader and every DAG of it becomes stale. An error is filed under another name, and
touches no other DAG, only when a DAG cannot be *serialized*: the DAG processor then files it under that DAG's own
`relative_fileloc`. So each broken file is given a DAG whose only purpose is to fail there (Airflow 3.2 to 3.4).

The DAG processor deletes the error when it next lists the folder, as it is not of a Python file, and files it again
when it next parses the loader.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from airflow.policies import hookimpl
from airflow.sdk import DAG
from airflow.settings import get_policy_plugin_manager


def is_dag_processor() -> bool:
    """
    Whether this process parses files for the DAG processor, or for a task.

    Only there are DAGs serialized one by one; what `airflow dags reserialize`, `dag.test()` or a test of one's own does
    with a DAG that cannot be serialized is to fail, or not to notice it.
    """
    # Airflow itself tells its own processes apart in this way.
    return hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS")


def carriers(reports: Mapping[Path, str]) -> dict[str, DAG]:
    """
    A DAG for every file with faults, by an id that never reaches the metadata database.

    :param reports: File to its faults.
    """
    manager = get_policy_plugin_manager()
    if not manager.is_registered(_NO_POLICY):
        manager.register(_NO_POLICY)
    found = [Carrier(f"_wall_faults_{number}", path, report) for number, (path, report) in enumerate(reports.items())]
    return {dag.dag_id: dag for dag in found}


class _NoPolicy:
    """A cluster policy is about DAGs: one that it refuses to carry an error would cost all DAGs of the loader."""

    @hookimpl(wrapper=True)
    def dag_policy(self, dag: DAG) -> Generator[None, Any, Any]:
        """Whatever the policies say of a carrier, it passes."""
        try:
            return (yield)
        except Exception:
            if isinstance(dag, Carrier):
                return None
            raise


_NO_POLICY = _NoPolicy()


class Carrier(DAG):
    """
    A DAG that cannot be serialized, and says why a file gives none.

    :param dag_id: Any id that no DAG of the deployment has.
    :param path: The file with faults.
    :param report: Its faults.
    """

    def __init__(self, dag_id: str, path: Path, report: str) -> None:
        self.path = path.absolute()
        self.report = f"`{path.name}` has faults\n\n{report}"
        super().__init__(dag_id)

    @property
    def relative_fileloc(self) -> str:
        """The file with faults, relative to the bundle; as it is where it lies outside."""
        return self._shown

    @relative_fileloc.setter
    def relative_fileloc(self, loader: str | None) -> None:
        # Airflow sets this after `fileloc`, both of the loader: what they differ by is the folder of the bundle.
        bundle = self.fileloc.removesuffix(loader or self.fileloc)
        inside = bundle != "" and self.path.is_relative_to(bundle)
        self._shown = str(self.path.relative_to(bundle) if inside else self.path)

    # Airflow asks the instance, and only the instance knows its report.
    def get_serialized_fields(self) -> NoReturn:  # type: ignore[override]
        """Fail where a DAG begins to be serialized, before anything of it is read."""
        # Any other exception would be wrapped in this one, and the report be told twice.
        from airflow.exceptions import SerializationError

        raise SerializationError(self.report)

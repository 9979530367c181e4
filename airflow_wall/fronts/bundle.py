"""The bundle: every YAML pipeline of a folder, or of another bundle, is a file of its own to Airflow."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle
from airflow.dag_processing.bundles.local import LocalDagBundle
from airflow.models.errors import ParseImportError
from airflow.utils.session import create_session
from sqlalchemy import delete

import airflow_wall.fronts.stub  # noqa: F401  # for the processes that parse: they are forks of the one that imports this
from airflow_wall.errors import SettingsError
from airflow_wall.fronts.folder import settings_of_airflow
from airflow_wall.fronts.mirror import Mirror, Record


class PipelineBundle(BaseDagBundle):
    """
    Pipelines in YAML as a DAG bundle.

    In `[dag_processor] dag_bundle_config_list`::

        [{"name": "pipelines", "classpath": "airflow_wall.bundles.PipelineBundle", "kwargs": {"path": "/dags"}}]

    Each YAML file is parsed in a process of its own, has its import errors under its own name, and is what the Code tab
    shows. The last good version of a file with faults is kept for its runs under way. DAG files in Python work as ever.

    :param path: A folder; by default Airflow's folder of DAGs.
    :param bundle: Another bundle instead, `{"classpath": ..., "kwargs": {...}}`, e.g. `GitDagBundle`. If that has
        versions, so has this.
    """

    def __init__(self, *, path: str | None = None, bundle: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if path is not None and bundle is not None:
            raise SettingsError(
                f"bundle `{self.name}` of `[dag_processor] dag_bundle_config_list` has both `path` and `bundle`",
                hint="give one of them",
            )
        common = {"name": f"{self.name}-source", "version": self.version, "refresh_interval": self.refresh_interval}
        self.inner: BaseDagBundle
        if bundle is None:
            self.inner = LocalDagBundle(path=path, **common)
        else:
            self.inner = _class(bundle["classpath"])(**{**bundle.get("kwargs", {}), **common})
        self.supports_versioning = self.inner.supports_versioning
        source = self.inner.path.absolute() if bundle is None else None
        self.mirror = Mirror(self.base_dir, source, stubs=not _is_imported(self.name))
        self._current: Any = None
        self._faulty: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        # Airflow fills in the names of `view_url_template` from the attributes of the bundle.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    @property
    def path(self) -> Path:
        """Where the files are, with a stub beside each pipeline file."""
        return self.versions_dir / self.version if self.version else self.mirror.current

    def initialize(self) -> None:
        """Have the files: of the version asked for, else as they are now."""
        if not (self.version and self.path.is_dir()):
            with self.lock():
                self._make()
        super().initialize()

    def _make(self) -> None:
        self.inner.initialize()
        if not self.version:
            self._mirrored()
        elif not self.path.is_dir():  # another task may have been faster
            self.mirror.copy(self.inner.path, self.path, settings_of_airflow())
            shutil.rmtree(self.inner.versions_dir / self.version, ignore_errors=True)  # not needed twice

    def _mirrored(self) -> None:
        self.mirror.refresh(self.inner.path, settings_of_airflow())
        self._current = self.inner.get_current_version()

    def refresh(self) -> None:
        """Have the files as they are now."""
        with self.lock():
            self.inner.refresh()
            self._mirrored()
            self.mirror.retell()
        self._forget()

    def _forget(self) -> None:
        """
        Remove the import errors of files that are without faults since the last refresh.

        Airflow forgets the errors of all YAML files when it sees a new version, but one may be told after that: by a
        process that began to read the file before. No other version may come for days.
        """
        faulty = {record.file for record in Record.all(self.base_dir) if record.faulty}
        mended, self._faulty = self._faulty - faulty, faulty
        if mended:
            mended |= {f"{file}#faults" for file in mended}  # as the importer names them
            mine = ParseImportError.bundle_name == self.name
            with create_session() as session:  # only the DAG processor refreshes bundles, and it has the database
                session.execute(delete(ParseImportError).where(mine, ParseImportError.filename.in_(mended)))

    def get_current_version(self) -> Any:
        """The version of the inner bundle that the files are of; None where it has none."""
        return self._current or self.inner.get_current_version()

    def view_url_template(self) -> str | None:
        """Where the inner bundle can be looked at."""
        return self.inner.view_url_template()


def _is_imported(name: str) -> bool:
    """Whether Airflow itself reads the YAML files of this bundle, so that they need no stubs."""
    if importlib.util.find_spec("airflow.sdk.importers") is None:  # new in Airflow 3.4
        return False
    registry = importlib.import_module("airflow.sdk.importers").get_importer_registry(name)
    return type(registry.get_importer("pipeline.yaml")).__name__ == "WallImporter"


def _class(path: str) -> type[BaseDagBundle]:
    module, _, name = path.rpartition(".")
    found: type[BaseDagBundle] = getattr(importlib.import_module(module), name)
    return found

"""The bundle: shows every YAML pipeline of a directory, or of another bundle, to Airflow as a file of its own."""

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

import airflow_wall.fronts.stub_loader  # noqa: F401  # the processes that parse are forks of this one
from airflow_wall.errors import SettingsError
from airflow_wall.fronts.folder import settings_of_airflow
from airflow_wall.fronts.mirror import FileRecord, Mirror


class PipelineBundle(BaseDagBundle):
    """
    Pipelines in YAML as a DAG bundle.

    In `[dag_processor] dag_bundle_config_list`::

        [{"name": "pipelines", "classpath": "airflow_wall.bundles.PipelineBundle", "kwargs": {"path": "/dags"}}]

    Each YAML file is parsed in its own process, has import errors under its own name, and is shown in the Code tab. If
    a file has faults, its last good version is kept for its active runs. DAG files in Python work as usual.

    :param path: A directory; by default Airflow's `dags_folder`.
    :param bundle: Another bundle instead, `{"classpath": ..., "kwargs": {...}}`, e.g. `GitDagBundle`. If that
        supports versions, so does this one.
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
            self.inner = _bundle_class(bundle["classpath"])(**{**bundle.get("kwargs", {}), **common})
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
        """Return the directory of the files, with a stub beside each pipeline file."""
        return self.versions_dir / self.version if self.version else self.mirror.current

    def initialize(self) -> None:
        """Copy the files: those of the requested version, else the current ones."""
        if not (self.version and self.path.is_dir()):
            with self.lock():
                self._create_files()
        super().initialize()

    def _create_files(self) -> None:
        self.inner.initialize()
        if not self.version:
            self._refresh_mirror()
        elif not self.path.is_dir():  # another task may have created it
            self.mirror.copy(self.inner.path, self.path, settings_of_airflow())
            shutil.rmtree(self.inner.versions_dir / self.version, ignore_errors=True)  # not needed twice

    def _refresh_mirror(self) -> None:
        self.mirror.refresh(self.inner.path, settings_of_airflow())
        self._current = self.inner.get_current_version()

    def refresh(self) -> None:
        """Update the copy to the current files."""
        with self.lock():
            self.inner.refresh()
            self._refresh_mirror()
            self.mirror.touch_faulty_files()
        self._remove_fixed_errors()

    def _remove_fixed_errors(self) -> None:
        """
        Remove the import errors of files whose faults were fixed since the last refresh.

        Airflow deletes the errors of all YAML files when it sees a new version. A process that began to read a file
        before that may still report an error afterwards, and the next version may be days away.
        """
        faulty = {record.file for record in FileRecord.all(self.base_dir) if record.faulty}
        fixed, self._faulty = self._faulty - faulty, faulty
        if fixed:
            fixed |= {f"{file}#faults" for file in fixed}  # as the importer names them
            in_this_bundle = ParseImportError.bundle_name == self.name
            # Only the DAG processor refreshes bundles, and it has access to the database.
            with create_session() as session:
                session.execute(delete(ParseImportError).where(in_this_bundle, ParseImportError.filename.in_(fixed)))

    def get_current_version(self) -> Any:
        """Return the version of the inner bundle that the files come from; None if it has no versions."""
        return self._current or self.inner.get_current_version()

    def view_url_template(self) -> str | None:
        """Return the URL template of the inner bundle."""
        return self.inner.view_url_template()


def _is_imported(name: str) -> bool:
    """Return True if Airflow itself reads the YAML files of this bundle, which then need no stubs."""
    if importlib.util.find_spec("airflow.sdk.importers") is None:  # new in Airflow 3.4
        return False
    registry = importlib.import_module("airflow.sdk.importers").get_importer_registry(name)
    return type(registry.get_importer("pipeline.yaml")).__name__ == "WallImporter"


def _bundle_class(path: str) -> type[BaseDagBundle]:
    module, _, name = path.rpartition(".")
    bundle_class: type[BaseDagBundle] = getattr(importlib.import_module(module), name)
    return bundle_class

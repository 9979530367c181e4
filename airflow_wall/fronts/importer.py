"""The importer, with which Airflow itself reads pipelines in YAML. Needs Airflow 3.4; import it only for that."""

from __future__ import annotations

import contextlib
import importlib
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from airflow import settings
from airflow.configuration import conf
from airflow.dag_processing.bundles.base import BaseDagBundle
from airflow.sdk import DAG, get_parsing_context
from airflow.sdk.importers import (
    AbstractDagImporter,
    DagDefinition,
    DagImportError,
    DagImportResult,
    DagSourceCode,
    FileDagDefinition,
    find_file_dag_definitions,
    get_file_suffix,
)

from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.fronts.folder import build, settings_of_airflow
from airflow_wall.fronts.last_good_version import dags_of_file
from airflow_wall.fronts.mirror import Tree, relative
from airflow_wall.loader.discover import SUFFIXES
from airflow_wall.loader.load import may_be_pipeline
from airflow_wall.text.reader import MAX_BYTES, bounded_bytes

_PROVIDER = re.compile(rb"\bairflow\.providers(?:\.[A-Za-z_]\w*)+(?=\.[A-Za-z_]\w*)")
_PLACE = re.compile(r"(?m)^error: .*?:(\d+):(\d+): ")


class WallImporter(AbstractDagImporter[FileDagDefinition]):
    """
    Imports `.yaml` and `.yml` files that are pipelines and ignores other YAML.

    In airflow.cfg, for all bundles or as `importers` of one in `dag_bundle_config_list`::

        [dag_processor]
        dag_importer_configs = ["airflow_wall.importer.WallImporter"]

    With a `PipelineBundle`, the last good version of a pipeline with faults finishes its active runs. Other bundles
    keep no such version: a pipeline with faults disappears until it is fixed, and its runs stop.
    """

    def __init__(self) -> None:
        self.supported_extensions = list(SUFFIXES)
        self._sources: dict[tuple[str, str], str] = {}

    def can_handle(self, definition: DagDefinition | str | Path) -> bool:
        """Return True for a YAML file."""
        return get_file_suffix(definition) in self.supported_extensions

    def list_dag_definitions(
        self, bundle: BaseDagBundle, *, safe_mode: bool = True
    ) -> Iterator[FileDagDefinition | DagImportError]:
        """Yield the pipeline files of a bundle, and import the provider operators that they name once for all files."""
        pre_import = conf.getboolean("dag_processor", "parsing_pre_import_modules", fallback=True)
        for definition in find_file_dag_definitions(bundle.path, self.supported_extensions):
            if self.might_contain_dag(definition, safe_mode):
                if pre_import:
                    _import_providers(definition)
                yield definition

    def might_contain_dag(self, definition: DagDefinition, safe_mode: bool) -> bool:  # noqa: ARG002  # or a values.yaml is one
        """Return True if the file has the key `dag_id`, which makes it a pipeline."""
        with definition.as_file() as path:
            return may_be_pipeline(path)

    def import_definition(self, definition: FileDagDefinition, bundle: BaseDagBundle) -> DagImportResult:
        """Return the DAGs of a file, and its faults."""
        result = DagImportResult(definition=definition)
        try:
            with definition.as_file() as path, _time_limit(path):
                dags, report = self._read(path, Path(bundle.path))
        except _ImportTimeoutError as error:
            dags, report = {}, relative(str(error), Path(bundle.path))
        self._sources |= {(repr(definition), dag_id): str(dag.fileloc) for dag_id, dag in dags.items()}
        result.dags.extend(dags.values())
        if report and get_parsing_context().dag_id not in dags:
            position = _PLACE.search(report)
            line, column = (int(position[1]), int(position[2])) if position else (None, None)
            # An error under the name of the file itself would remove the DAGs that it still gives.
            reference = f"{definition!r}#faults" if dags else repr(definition)
            result.errors.append(
                DagImportError(
                    source_reference=reference,
                    message=report,
                    error_type="parse",
                    line_number=line,
                    column_number=column,
                )
            )
        return result

    def _read(self, path: Path, root: Path) -> tuple[dict[str, DAG], str]:
        only_dag_id = get_parsing_context().dag_id
        tree = Tree.around(path)
        if tree is not None:
            return dags_of_file(tree, path.relative_to(tree.root).as_posix(), only_dag_id)
        dags, reports = build([path], settings_of_airflow(), only_dag_id)
        return dags, relative("".join(reports.values()), root)

    def get_source_code(self, definition: DagDefinition, dag_id: str | None = None) -> DagSourceCode:
        """Return the YAML; for a pipeline with faults, its last good version."""
        source = self._sources.get((repr(definition), dag_id or ""))
        text = Path(source).read_text(encoding="utf-8") if source else definition.read_text(encoding="utf-8")
        return DagSourceCode(source_code=text, language="yaml")


def _import_providers(definition: FileDagDefinition) -> None:
    with contextlib.suppress(FaultyText), definition.as_file() as path:
        for module in sorted(set(_PROVIDER.findall(bounded_bytes(path)[:MAX_BYTES]))):
            with contextlib.suppress(Exception):  # the build of the DAG reports the fault
                importlib.import_module(module.decode())


class _ImportTimeoutError(BaseException):
    """Raised when a file takes too long; not an `Exception`, which would be reported as another fault."""


@contextlib.contextmanager
def _time_limit(path: Path) -> Iterator[None]:
    """Limit the time to read a file, as for Python files: `[core] dagbag_import_timeout`, or a cluster policy."""
    seconds = settings.get_dagbag_import_timeout(str(path))
    if seconds <= 0 or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> NoReturn:
        raise _ImportTimeoutError(
            f"error: {path}: reading took more than {seconds} s, the setting `[core] dagbag_import_timeout`"
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

"""The importer: Airflow itself reads pipelines in YAML. It needs Airflow 3.4, and nothing else may import it."""

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

from airflow_wall.fronts.folder import build, settings_of_airflow
from airflow_wall.fronts.held import read
from airflow_wall.fronts.mirror import Tree, relative
from airflow_wall.loader.discover import SUFFIXES
from airflow_wall.loader.load import may_be_pipeline

_PROVIDER = re.compile(rb"\bairflow\.providers(?:\.[A-Za-z_]\w*)+(?=\.[A-Za-z_]\w*)")
_PLACE = re.compile(r"error: .*?:(\d+):(\d+): ")


class WallImporter(AbstractDagImporter[FileDagDefinition]):
    """
    Reads `.yaml` and `.yml` files that are pipelines; other YAML is left alone.

    In airflow.cfg, for all bundles or as `importers` of one in `dag_bundle_config_list`::

        [dag_processor]
        dag_importer_configs = ["airflow_wall.importer.WallImporter"]

    Over a `PipelineBundle` the last good version of a pipeline with faults goes on with its runs under way. No other
    bundle keeps one: a pipeline with faults then is gone until it is mended, and its runs stand still.
    """

    def __init__(self) -> None:
        self.supported_extensions = list(SUFFIXES)
        self._sources: dict[tuple[str, str], str] = {}

    def can_handle(self, definition: DagDefinition | str | Path) -> bool:
        """Whether it is a YAML file."""
        return get_file_suffix(definition) in self.supported_extensions

    def list_dag_definitions(
        self, bundle: BaseDagBundle, *, safe_mode: bool = True
    ) -> Iterator[FileDagDefinition | DagImportError]:
        """The pipeline files of a bundle. The operators of providers that they name are imported, once for all."""
        pre_import = conf.getboolean("dag_processor", "parsing_pre_import_modules", fallback=True)
        for definition in find_file_dag_definitions(bundle.path, self.supported_extensions):
            if self.might_contain_dag(definition, safe_mode):
                if pre_import:
                    _import_providers(definition)
                yield definition

    def might_contain_dag(self, definition: DagDefinition, safe_mode: bool) -> bool:  # noqa: ARG002  # or a values.yaml is one
        """Whether the file has the key that makes it a pipeline."""
        with definition.as_file() as path:
            return may_be_pipeline(path)

    def import_definition(self, definition: FileDagDefinition, bundle: BaseDagBundle) -> DagImportResult:
        """The DAGs of a file, and its faults."""
        result = DagImportResult(definition=definition)
        try:
            with definition.as_file() as path, _time_limit(path):
                dags, report = self._read(path, Path(bundle.path))
        except _TooSlow as error:
            dags, report = {}, relative(str(error), Path(bundle.path))
        self._sources |= {(repr(definition), dag_id): str(dag.fileloc) for dag_id, dag in dags.items()}
        result.dags.extend(dags.values())
        if report and get_parsing_context().dag_id not in dags:
            found = _PLACE.search(report)
            line, column = (int(found[1]), int(found[2])) if found else (None, None)
            # An error under the name of the file itself would cost the DAGs that it still gives.
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
        wanted = get_parsing_context().dag_id
        tree = Tree.around(path)
        if tree is not None:
            return read(tree, path.relative_to(tree.root).as_posix(), wanted)
        dags, reports = build([path], settings_of_airflow(), wanted)
        return dags, relative("".join(reports.values()), root)

    def get_source_code(self, definition: DagDefinition, dag_id: str | None = None) -> DagSourceCode:
        """The YAML; of a pipeline with faults as it last was without."""
        source = self._sources.get((repr(definition), dag_id or ""))
        text = Path(source).read_text(encoding="utf-8") if source else definition.read_text(encoding="utf-8")
        return DagSourceCode(source_code=text, language="yaml")


def _import_providers(definition: FileDagDefinition) -> None:
    with contextlib.suppress(OSError):
        for module in sorted(set(_PROVIDER.findall(definition.read_bytes()))):
            with contextlib.suppress(Exception):  # whoever builds the DAG says what is wrong with it
                importlib.import_module(module.decode())


class _TooSlow(BaseException):
    """What runs out of its time; not an `Exception`, which would be told as a fault of something else."""


@contextlib.contextmanager
def _time_limit(path: Path) -> Iterator[None]:
    """As for Python files: `[core] dagbag_import_timeout`, or what a cluster policy says of this file."""
    seconds = settings.get_dagbag_import_timeout(str(path))
    if seconds <= 0 or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> NoReturn:
        raise _TooSlow(f"error: {path}: is not read within {seconds} s, the setting `[core] dagbag_import_timeout`")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

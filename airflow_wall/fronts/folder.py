"""The loader: a two-line file in `dags/` calls `load_dags`, which builds the DAGs of the YAML files beside it."""

from __future__ import annotations

import os
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from airflow.configuration import conf
from airflow.sdk import DAG, get_parsing_context

from airflow_wall.airflow_internals import is_dag_processor
from airflow_wall.dag.build import build_dag
from airflow_wall.diagnostics.faults import MAX_FAULTS, FaultyText
from airflow_wall.errors import SpecError
from airflow_wall.fronts.dag_source import with_yaml_source
from airflow_wall.fronts.import_errors import import_error_dags
from airflow_wall.fronts.mirror import Tree
from airflow_wall.language.document import Spec
from airflow_wall.loader.discover import PipelineId, duplicate_ids, yaml_files
from airflow_wall.loader.load import load_specs, unread
from airflow_wall.planner.check import READING, defect_of, ended_fault
from airflow_wall.planner.plan import Plan
from airflow_wall.planner.planner import plan
from airflow_wall.processes.isolation import CpuLimitExceeded, Ended, cpu_limit
from airflow_wall.settings import NAMES, SECTION, Settings
from airflow_wall.text.reader import MAX_BYTES, bounded_bytes

_ID = re.compile(rb"""(?m)^["']?dag_id["']?\s*:\s*["']?([\w.-]+)""")

Reports = dict[Path, str]
"""File to the text of its faults, for files that have any."""


def settings_of_airflow() -> Settings:
    """Return the settings of section `[wall]` in Airflow's configuration."""
    return Settings.from_values({name: conf.get(SECTION, name, fallback=None) for name in NAMES}, os.environ)


def load_dags(
    folder: str | os.PathLike[str], settings: Settings | None = None, *, shard: tuple[int, int] = (0, 1)
) -> dict[str, DAG]:
    """
    Build the DAG of every pipeline below a directory, or of one file.

    Use it in a file of the dags folder (the file must contain the words airflow and dag, or Airflow skips it)::

        from airflow_wall import load_dags
        globals().update(load_dags(__file__))

    A file with faults gives no DAG; nor does a file that takes too long to read. In the DAG processor it gives an
    import error under its own name, and the DAGs of the other files are not affected. When Airflow parses the file to
    run one task, only the DAG of that task is built.

    :param folder: A directory, a YAML file, or a Python file, which stands for its directory.
    :param settings: By default those of Airflow's configuration.
    :param shard: Number of this shard, from 0, and the number of shards: several loaders of one directory are parsed in
        parallel. A file stays in its shard when other files are added or removed.
    :return: DAG id to DAG.
    :raises SpecError: with the faults of all files, outside the DAG processor or if `folder` is a single file.
    """
    path = Path(folder)
    path = path.parent if path.suffix == ".py" else path
    if Tree.around(path.absolute()) is not None:  # a `PipelineBundle` shows each file separately
        return {}
    only_dag_id = get_parsing_context().dag_id
    settings = settings or settings_of_airflow()
    files, others = _files_of_shard(list(yaml_files(path)), path, *shard)
    if only_dag_id is not None:  # a task needs only one of the pipelines
        dags, _ = build((file for file in files if _may_define(file, only_dag_id)), settings, only_dag_id)
        if only_dag_id in dags:
            return with_yaml_source(dags)
        others = []
    dags, reports = build(files, settings, only_dag_id, rivals=_files_with_same_ids(files, others))
    dags = with_yaml_source(dags)
    if not reports or only_dag_id in dags:
        return dags
    if only_dag_id is None and path.is_dir() and is_dag_processor():
        return dags | import_error_dags(reports)
    raise SpecError("\n\n".join(reports.values()))


def _files_of_shard(files: list[Path], folder: Path, number: int, count: int) -> tuple[list[Path], list[Path]]:
    """Return the files of one shard, and all other files."""
    if not 0 <= number < count:
        raise ValueError(
            f"`shard` must be a number from 0 and the number of shards, e.g. `(0, 4)`, got `{(number, count)}`"
        )
    if count == 1:
        return files, []
    mine = [file for file in files if zlib.crc32(file.relative_to(folder).as_posix().encode()) % count == number]
    return mine, sorted(set(files) - set(mine))


def _files_with_same_ids(files: list[Path], others: list[Path]) -> list[Path]:
    """Return the files in `others` that may have a pipeline with an id that is also in `files`."""
    if not others:
        return []
    ids = {dag_id for file in files for dag_id in _ids(file)}
    return [file for file in others if not ids.isdisjoint(_ids(file))]


def _ids(file: Path) -> list[bytes]:
    return _ID.findall(_content(file))


def _content(file: Path) -> bytes:
    """Return the bytes of a file, up to the maximum size of a pipeline file; empty if it cannot be read."""
    try:
        return bounded_bytes(file)[:MAX_BYTES]
    except FaultyText:
        return b""


def _may_define(file: Path, dag_id: str) -> bool:
    """Return True if a file contains the id as a whole word. An id that comes from an expression is not recognized."""
    content = _content(file)
    word = dag_id.encode()
    return word in content and re.search(rb"(?<![\w.-])%b(?![\w.-])" % re.escape(word), content) is not None


def build(
    files: Iterable[Path], settings: Settings, only_dag_id: str | None, *, rivals: Iterable[Path] = ()
) -> tuple[dict[str, DAG], Reports]:
    """
    Build the DAGs of all documents that have no fault.

    :param only_dag_id: The only DAG to build; None for all.
    :param rivals: Files of other shards, which may have a pipeline with the id of one of these.
    :return: DAG id to DAG, whose `fileloc` is the YAML; file to its faults.
    """
    bearers: list[PipelineId] = []
    dags: dict[str, DAG] = {}
    failed: list[tuple[Plan, str]] = []
    reports: dict[Path, list[str]] = defaultdict(list)
    for file in files:
        # Each file is built before the next is read: a thousand texts with positions take more memory than the DAGs.
        for spec, planned in _plan_file(file, settings, only_dag_id, reports[file]):
            bearers.append(PipelineId.of(spec))
            try:
                dag = dags[planned.dag_id] = build_dag(planned)
            except Exception as error:
                failed.append((planned, defect_of(planned.path, error)))
            else:
                dag.fileloc = str(file.absolute())
    rival_files = set(rivals)
    bearers += [
        PipelineId.of(spec) for file in sorted(rival_files) for spec, _ in _plan_file(file, settings, only_dag_id, [])
    ]
    for file, fault in duplicate_ids(bearers).items():
        if file not in rival_files:
            reports[file].append(str(fault))
    count = Counter(bearer.dag_id for bearer in bearers)
    for planned, report in failed:
        if count[planned.dag_id] == 1:
            reports[planned.path].append(report)
    unique = {dag_id: dag for dag_id, dag in dags.items() if count[dag_id] == 1}
    return unique, {file: "\n\n".join(texts) for file, texts in sorted(reports.items()) if texts}


def _plan_file(file: Path, settings: Settings, only_dag_id: str | None, faults: list[str]) -> list[tuple[Spec, Plan]]:
    """
    Return the plan of every document without faults, and add the faults of the others to `faults`.

    A file that takes too long has one fault and no plan. The files after it are read as usual.
    """
    noted = len(faults)
    try:
        with cpu_limit(READING.cpu):
            return _plans_of(file, settings, only_dag_id, faults)
    except CpuLimitExceeded as error:
        faults[noted:] = [str(FaultyText([ended_fault(file, Ended(str(error)))], ""))]
        return []


def _plans_of(file: Path, settings: Settings, only_dag_id: str | None, faults: list[str]) -> list[tuple[Spec, Plan]]:
    try:
        specs = load_specs(file, settings)
    except Exception as error:  # a defect of airflow-wall in one file must not affect the others
        faults.append(defect_of(file, error))
        return []
    plans: list[tuple[Spec, Plan]] = []
    count = 0
    for spec in specs:
        if only_dag_id not in (None, spec.head.dag_id):
            continue
        try:
            if count > MAX_FAULTS:
                spec = unread(spec.document)
            plans.append((spec, plan(spec, settings)))
        except Exception as error:
            count += len(error.faults) if isinstance(error, FaultyText) else 1
            faults.append(defect_of(file, error))
    return plans

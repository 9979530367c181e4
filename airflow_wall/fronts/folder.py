"""The loader: a two-line file in `dags/` that turns the YAML files beside it into DAGs."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from airflow.configuration import conf
from airflow.sdk import DAG, get_parsing_context

from airflow_wall.compiler.check import defect_of
from airflow_wall.compiler.dag import build_dag
from airflow_wall.compiler.plan import Plan
from airflow_wall.compiler.planner import plan
from airflow_wall.errors import SpecError
from airflow_wall.fronts.carrier import carriers, is_dag_processor
from airflow_wall.fronts.mirror import Tree
from airflow_wall.fronts.shown import shown
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.ids import Bearer, shared_ids
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import NAMES, SECTION, Settings
from airflow_wall.spec.document import Spec

_ID = re.compile(rb"""(?m)^["']?dag_id["']?\s*:\s*["']?([\w.-]+)""")

Reports = dict[Path, str]
"""The faults of every file that has any."""


def settings_of_airflow() -> Settings:
    """The settings of section `[wall]` as Airflow has them."""
    return Settings.from_values({name: conf.get(SECTION, name, fallback=None) for name in NAMES}, os.environ)


def load_dags(
    folder: str | os.PathLike[str], settings: Settings | None = None, *, shard: tuple[int, int] = (0, 1)
) -> dict[str, DAG]:
    """
    Build the DAG of every pipeline below a folder, or of one file.

    Use it in a file of the dags folder (the words airflow and dag must stand in it, or Airflow passes it over)::

        from airflow_wall import load_dags
        globals().update(load_dags(__file__))

    A file with faults gives no DAG. In the DAG processor it gives an import error under its own name, and the DAGs of
    the other files stay as they are. When Airflow parses the file to run one task, only that DAG is built.

    :param folder: A folder, a YAML file, or the Python file whose folder is meant.
    :param settings: By default those of Airflow's configuration.
    :param shard: Which share of the files to take, from 0, and of how many: several loaders of one folder are parsed
        side by side. A file stays in its share whatever files come and go.
    :return: DAG id to DAG.
    :raises SpecError: with the faults of every file that has any, outside the DAG processor or of a single file.
    """
    path = Path(folder)
    path = path.parent if path.suffix == ".py" else path
    if Tree.around(path.absolute()) is not None:  # a `PipelineBundle` shows each file by itself
        return {}
    wanted = get_parsing_context().dag_id
    settings = settings or settings_of_airflow()
    files, others = _shared_out(list(yaml_files(path)), path, *shard)
    if wanted is not None:  # most folders hold many pipelines, and a task starts with one
        dags, _ = build((file for file in files if _may_hold(file, wanted)), settings, wanted)
        if wanted in dags:
            return shown(dags)
        others = []
    dags, reports = build(files, settings, wanted, rivals=_rivals(files, others))
    dags = shown(dags)
    if not reports or wanted in dags:
        return dags
    if wanted is None and path.is_dir() and is_dag_processor():
        return dags | carriers(reports)
    raise SpecError("\n\n".join(reports.values()))


def _shared_out(files: list[Path], folder: Path, number: int, count: int) -> tuple[list[Path], list[Path]]:
    """The files of one share, and all others."""
    if not 0 <= number < count:
        raise ValueError(
            f"`shard` must be a number from 0 and how many there are, e.g. `(0, 4)`, got `{(number, count)}`"
        )
    if count == 1:
        return files, []
    mine = [file for file in files if zlib.crc32(file.relative_to(folder).as_posix().encode()) % count == number]
    return mine, sorted(set(files) - set(mine))


def _rivals(files: list[Path], others: list[Path]) -> list[Path]:
    """Those of the others that may have a pipeline whose id one of the files has."""
    if not others:
        return []
    ids = {dag_id for file in files for dag_id in _ids(file)}
    return [file for file in others if not ids.isdisjoint(_ids(file))]


def _ids(file: Path) -> list[bytes]:
    try:
        return _ID.findall(file.read_bytes())
    except OSError:
        return []


def _may_hold(file: Path, dag_id: str) -> bool:
    """Whether a file holds an id as a word of its own; one that an expression makes is not found so."""
    try:
        content = file.read_bytes()
    except OSError:
        return False
    word = dag_id.encode()
    return word in content and re.search(rb"(?<![\w.-])%b(?![\w.-])" % re.escape(word), content) is not None


def build(
    files: Iterable[Path], settings: Settings, wanted: str | None, *, rivals: Iterable[Path] = ()
) -> tuple[dict[str, DAG], Reports]:
    """
    Build the DAGs of all documents that have no fault.

    :param wanted: The only DAG to build; None for all.
    :param rivals: Files that somebody else builds, which may have a pipeline with the id of one of these.
    :return: DAG id to DAG, which says that it is of the YAML; file to its faults.
    """
    bearers: list[Bearer] = []
    dags: dict[str, DAG] = {}
    failed: list[tuple[Plan, str]] = []
    reports: dict[Path, list[str]] = defaultdict(list)
    for file in files:
        # Each is built before the next is read: of a thousand, texts with positions take more memory than the DAGs.
        with _uncollected():
            for spec, made in _planned(file, settings, wanted, reports[file]):
                bearers.append(Bearer.of(spec))
                try:
                    dag = dags[made.dag_id] = build_dag(made)
                except Exception as error:
                    failed.append((made, defect_of(made.path, error)))
                else:
                    dag.fileloc = str(file.absolute())
    strangers = set(rivals)
    bearers += [Bearer.of(spec) for file in sorted(strangers) for spec, _ in _planned(file, settings, wanted, [])]
    for file, fault in shared_ids(bearers).items():
        if file not in strangers:
            reports[file].append(str(fault))
    times = Counter(bearer.dag_id for bearer in bearers)
    for made, told in failed:
        if times[made.dag_id] == 1:
            reports[made.path].append(told)
    unique = {dag_id: dag for dag_id, dag in dags.items() if times[dag_id] == 1}
    return unique, {file: "\n\n".join(said) for file, said in sorted(reports.items()) if said}


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Put the garbage collector off till a file is built: what is made meanwhile is in use, or is freed without it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _planned(file: Path, settings: Settings, wanted: str | None, told: list[str]) -> Iterator[tuple[Spec, Plan]]:
    """Every document of a file that has no fault, planned; the faults of the others are added to `told`."""
    try:
        specs = load_specs(file, settings)
    except Exception as error:  # a defect of ours that one file meets must not take the others with it
        told.append(defect_of(file, error))
        return
    for spec in specs:
        if wanted not in (None, spec.head.dag_id):
            continue
        try:
            made = plan(spec, settings)
        except Exception as error:
            told.append(defect_of(file, error))
        else:
            yield spec, made

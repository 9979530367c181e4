"""Check pipeline files: find every fault that can be found before a DAG is built."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import re
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airflow_wall.diagnostics.faults import MAX_FAULTS, Fault, FaultyText, SourcePosition, at_most
from airflow_wall.diagnostics.printable import printable_line
from airflow_wall.errors import WallError
from airflow_wall.language.document import Item, Spec
from airflow_wall.loader.discover import FileKind, PipelineId, duplicate_ids, yaml_files
from airflow_wall.loader.load import load_spec, may_be_pipeline, pipelines_in
from airflow_wall.planner.columns import (
    Columns,
    KnownTables,
    NamedColumn,
    TransformQuery,
    known_columns,
    named_columns,
    queries,
    unknown_columns,
)
from airflow_wall.planner.literal_texts import literal_texts
from airflow_wall.planner.named_code import Allows, code_of
from airflow_wall.planner.plan import Plan
from airflow_wall.planner.planner import plan
from airflow_wall.planner.table_writers import TableWriter, conflicts_of_pipelines, table_writers
from airflow_wall.planner.template_names import template_faults, template_warnings
from airflow_wall.planner.unwritten_tables import NamesUsed, models_used, tables_used, unwritten_names
from airflow_wall.processes.isolation import Ended, Limits, run_isolated
from airflow_wall.redaction import hide_logins
from airflow_wall.settings import Settings, matches_any
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.reader import bounded_bytes

_FILES_PER_PROCESS = 100
"""Number of files that take longer to check than a process takes to start."""

_ITEM = re.compile(r"tasks\[[^\]]*\](\.tasks\[[^\]]*\])*")
"""The part of a key path that names a task or group."""

_WRITERS = (b"target", b"retrain")
"""Words in every file with a task that writes a table or trains a model: the key of the table, and the step."""

_OTHER_ENVIRONMENT = "(in environment `"

READING = Limits(cpu=2.0, wall=60.0, memory=256 << 20)
"""Limits for reading one file. The bounds of its text keep it to a fraction of these, also on a slow machine."""

_MAX_WORK = 30_000
"""The most work for planning a file in all its environments, in units of about 10 microseconds."""

SQL = Limits(cpu=10.0, wall=60.0, memory=2 << 30)
"""Limits for planning one SQL text, with the import of DuckDB."""

IMPORTING = Limits(cpu=120.0, wall=300.0, memory=4 << 30)
"""Limits for importing the operators of one file."""

Further = Callable[[Plan, Allows], Iterable[Fault]]
"""A function that returns further faults of a plan, which its text alone does not show."""


@dataclass
class Checked:
    """
    The result of checking one file.

    :param path: The file.
    :param pipelines: Its pipelines; empty if the file is not a pipeline file or cannot be read.
    :param faults: All of its faults.
    :param warnings: Faults that are allowed, but are probably a mistake.
    :param defect: Text of a failure of airflow-wall itself on this file, ready to be reported.
    :param imports_own: True if the file may name operators outside the `airflow` package.
    :param writers: The tasks of its pipelines that write tables.
    :param names: The tables and models that its pipelines read and write.
    :param columns: Lake, table and columns of the tables that its pipelines write, if their columns are fully known.
    :param named_columns: The columns that its checks and publications name.
    :param queries: The SQL of its tasks, as far as it is known.
    :param templates: Number of its SQL texts that are templates, whose text is known only when the task runs.
    :param is_planned: True if all of its pipelines could be planned, so that `writers` and `names` are complete.
    :param kind: What the file is.
    """

    path: Path
    pipelines: list[PipelineId] = field(default_factory=list)
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    defect: str | None = None
    imports_own: bool = False
    writers: list[TableWriter] = field(default_factory=list)
    names: list[NamesUsed] = field(default_factory=list)
    columns: list[tuple[str, str, Columns]] = field(default_factory=list)
    named_columns: list[NamedColumn] = field(default_factory=list)
    is_planned: bool = False
    queries: list[TransformQuery] = field(default_factory=list)
    templates: int = 0
    kind: FileKind = FileKind.PIPELINE


def check_files(
    files: Iterable[Path], settings: Settings, further: Further | None = None, *, named: Collection[Path] = ()
) -> list[Checked]:
    """
    Check files, one by one and together, in child processes with limits on time and memory.

    A file that ends its child process gets one fault that says so. The other files are still checked.

    :param named: The files that must hold a pipeline, or a part of one. Any other file may be anything.
    :param further: A further check of every plan. It may run code of others, so it runs in child processes of its own,
        where that code cannot change the results of the other checks.
    """
    files = list(files)
    processes = min(max(1, len(files) // _FILES_PER_PROCESS), _cores())
    check = functools.partial(_check_as_json, settings=settings, named=frozenset(named))
    answers = run_isolated(check, files, READING, processes=processes)
    checked = [_from_json(file, result) for file, result in zip(files, answers, strict=True)]
    beside = _files_beside(checked, check)
    is_whole = all(result.is_planned for result in (*checked, *beside))
    _check_columns(checked, beside if is_whole else [])
    if further is not None:
        _check_further(checked, settings, further)
    shared = duplicate_ids(pipeline for result in checked for pipeline in result.pipelines)
    conflicts = conflicts_of_pipelines(writer for result in checked for writer in result.writers)
    # A pipeline with faults may write any table.
    unwritten = unwritten_names(names for result in (*checked, *beside) for names in result.names) if is_whole else {}
    for result in checked:
        if result.path in shared:
            _add(result, shared[result.path].faults)
        if result.path in conflicts:
            _add(result, conflicts[result.path])
        if result.path in unwritten:
            _add(result, unwritten[result.path])
    _drop_repeated(checked)
    return checked


def _drop_repeated(checked: list[Checked]) -> None:
    """Drop the faults of parts of pipelines that the pipelines report, too."""
    parts = [result for result in checked if result.kind is not FileKind.PIPELINE and result.faults]
    if parts:
        reported = {
            (fault.path.absolute(), fault.place, fault.message)
            for result in checked
            if result.kind is FileKind.PIPELINE
            for fault in result.faults
        }
        for result in parts:
            result.faults = tuple(
                fault for fault in result.faults if (fault.path.absolute(), fault.place, fault.message) not in reported
            )


def _files_beside(checked: list[Checked], check: Callable[[Path], dict[str, Any]]) -> list[Checked]:
    """Check the other files in the folders of files that use a table or model which none of these files writes."""
    users = unwritten_names(names for result in checked for names in result.names)
    folders = dict.fromkeys(file.parent for file in users)
    known = {result.path.absolute() for result in checked}
    others = dict.fromkeys(file for folder in folders for file in yaml_files(folder) if file.absolute() not in known)
    beside = [file for file in others if _may_write(file)]
    if not beside:
        return []
    answers = run_isolated(check, beside, READING, processes=min(_cores(), 1 + len(beside) // _FILES_PER_PROCESS))
    return [_from_json(file, result) for file, result in zip(beside, answers, strict=True)]


def _may_write(file: Path) -> bool:
    try:
        text = bounded_bytes(file)
        return any(word in text for word in _WRITERS) and may_be_pipeline(file)
    except FaultyText:
        return False


def ended_fault(file: Path, ended: Ended, doing: str = "reading this file") -> Fault:
    """Return the fault of a file that ended the child process that read it."""
    hint = "make the file smaller or simpler; the other files are not affected"
    return Fault(file, SourcePosition(1, 1), f"{doing} {ended.reason}", hint)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _add(checked: Checked, faults: Iterable[Fault]) -> None:
    together = (*checked.faults, *faults)
    text = checked.pipelines[0].text if checked.pipelines else next((fault.text for fault in together), "")
    checked.faults = at_most(FaultyText(together, text).faults)


def _check(file: Path, settings: Settings, named: Collection[Path]) -> Checked:
    result = Checked(file)
    try:
        documents = pipelines_in(file)
        if not documents:
            from airflow_wall.loader.other_files import other_file  # few files need it

            other = other_file(file, settings)
            result.kind = other.kind
            result.faults = at_most(other.faults) if file in named else ()
        result.is_planned = True
        faults: list[Fault] = []
        for document in documents:
            faults += _check_document(document, settings, result, _MAX_WORK // len(documents))
            if len(faults) > MAX_FAULTS:
                result.is_planned = False
                break
        if faults:
            result.faults = at_most(FaultyText(faults, documents[0].text).faults)
    except FaultyText as error:
        result.faults = at_most(error.faults)
    except MemoryError:
        raise
    except Exception as error:
        result.defect = defect_of(file, error)
    return result


def _check_document(document: YamlDocument, settings: Settings, result: Checked, most_work: int) -> tuple[Fault, ...]:
    spec = load_spec(document, settings)
    result.pipelines.append(PipelineId.of(spec))
    result.warnings = at_most((*result.warnings, *spec.warnings))
    planned = None
    try:
        planned = plan(spec, settings)
    except FaultyText as error:
        faults = (*error.faults, *_order_faults(spec, settings))
        result.imports_own, result.is_planned = True, False
    else:
        faults = (*(missing.fault for missing in planned.missing_needs), *template_faults(planned))
        result.warnings = at_most((*result.warnings, *template_warnings(planned)))
        found = list(queries(planned))
        result.queries += [query for query in found if query.sql is not None]
        result.templates += sum(query.sql is None for query in found)
        result.imports_own |= _imports_own(planned, settings)
        result.writers += table_writers(planned)
        result.names += (tables_used(planned), models_used(planned))
        lake = str(planned.storage)
        result.columns += [(lake, table, columns) for table, columns in known_columns(planned).items()]
        result.named_columns += named_columns(planned)
    result.warnings = at_most((*result.warnings, *literal_texts(spec, planned)))
    others = _other_environments(document, settings)
    checked = others[: max(0, most_work // _work_of(spec, faults) - 1)]
    if len(checked) < len(others) and settings.environment is None:
        result.warnings = at_most((*result.warnings, _unchecked(spec, others[len(checked) :])))
    return (*faults, *_faults_of_environments(checked, document, settings, faults))


def _order_faults(spec: Spec, settings: Settings) -> tuple[Fault, ...]:
    """Return the faults in the order of tasks, as far as tasks have no other faults; empty if these have no order."""
    with contextlib.suppress(FaultyText):
        return tuple(missing.fault for missing in plan(replace(spec, faults=()), settings).missing_needs)
    return ()


# --- checks of columns and of SQL, by DuckDB


def _check_columns(checked: list[Checked], beside: list[Checked]) -> None:
    """
    Add the faults of checks and of SQL that name columns which a table does not have.

    :param beside: Other files of the folder; empty if some file has faults. Each file is then checked on its own.
    """
    is_whole = all(result.is_planned for result in checked)
    together = _known_tables((*checked, *beside))
    known = {result.path: together if is_whole else _known_tables([result]) for result in checked}
    for result in checked:
        faults = list(unknown_columns(result.named_columns, known[result.path]))
        if faults:
            _add(result, faults)
    _check_sql(checked, known)


def _known_tables(files: Iterable[Checked]) -> KnownTables:
    """Return the tables whose columns are fully known and that only one pipeline writes."""
    files = list(files)
    uses = (names for result in files for names in result.names if names.kind == "table")
    writers = Counter((names.lake, table) for names in uses for table in names.written)
    columns = (entry for result in files for entry in result.columns)
    return {(lake, table): known for lake, table, known in columns if writers[lake, table] == 1}


def _check_sql(checked: list[Checked], known: Mapping[Path, KnownTables]) -> None:
    """Add the faults of SQL, in child processes that import DuckDB. Without DuckDB, nothing is checked."""
    by_text: dict[str, list[tuple[Checked, TransformQuery]]] = defaultdict(list)
    for result in checked:
        for query in result.queries:
            by_text[json.dumps([query.sql, query.inputs(known[result.path])])].append((result, query))
    if not by_text or importlib.util.find_spec("duckdb") is None:
        return
    processes = min(max(1, len(by_text) // _FILES_PER_PROCESS), _cores())
    answers = run_isolated(_query_fault, list(by_text), SQL, processes=processes)
    for answer, (text, uses) in zip(answers, by_text.items(), strict=True):
        reason, line = (f"checking it {answer.reason}", None) if isinstance(answer, Ended) else answer or (None, None)
        if reason is not None:
            for result, query in uses:
                _add(result, [query.with_reason(reason, line, json.loads(text)[1])])


def _query_fault(text: str) -> tuple[str, int | None] | None:
    from airflow_wall.engines.duckdb.bind import query_fault  # imports DuckDB

    sql, inputs = json.loads(text)
    return query_fault(sql, inputs)


# --- checks that import the code that a plan names


def _check_further(checked: list[Checked], settings: Settings, further: Further) -> None:
    """Add the faults that `further` finds. A file that names modules of its own gets its own child process."""
    check = functools.partial(_further_as_json, settings=settings, further=further)
    candidates = [result for result in checked if result.pipelines and result.defect is None]
    for is_fresh in (False, True):
        batch = [result for result in candidates if result.imports_own is is_fresh]
        answers = run_isolated(check, batch, IMPORTING, is_fresh=is_fresh)
        for result, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Ended):
                _add(result, [ended_fault(result.path, answer, "importing what this file names")])
            elif "defect" in answer:
                result.defect = str(answer["defect"])
            else:
                _add(result, _faults_from_json(answer["faults"], answer["texts"]))


def _further_as_json(checked: Checked, settings: Settings, further: Further) -> dict[str, Any]:
    earlier_faults = [fault for fault in checked.faults if _OTHER_ENVIRONMENT not in fault.message]
    try:
        faults = [
            fault
            for document in pipelines_in(checked.path)
            for fault in _further_faults(load_spec(document, settings), settings, further, earlier_faults)
        ]
    except Exception as error:
        return {"defect": defect_of(checked.path, error)}
    texts: list[str] = []
    return {"faults": [_fault_as_json(fault, texts) for fault in faults], "texts": texts}


def _further_faults(spec: Spec, settings: Settings, further: Further, earlier_faults: Iterable[Fault]) -> list[Fault]:
    """Return the faults that `further` finds in tasks without earlier faults; empty if they cannot be planned."""
    faulty = {_block_key(fault) for fault in earlier_faults}
    with contextlib.suppress(FaultyText):
        planned = plan(replace(spec, faults=()), settings)
        tasks = tuple(task for task in planned.tasks if _may_import(task.uses, settings))
        allows = functools.partial(_allows, settings=settings)
        return [fault for fault in further(replace(planned, tasks=tasks), allows) if _block_key(fault) not in faulty]
    return []


def _allows(name: str, settings: Settings) -> bool:
    """Return True if the policy allows a class or code. What it refuses is never imported."""
    if settings.policy != "restricted":
        return True
    return settings.allows_code(name) if ":" in name else matches_any(name, settings.allowed_classes)


def _may_import(uses: str, settings: Settings) -> bool:
    """Return True if the policy allows the operator. A refused operator is never imported."""
    return "." not in uses or settings.policy != "restricted" or matches_any(uses, settings.allowed_operators)


def _imports_own(planned: Plan, settings: Settings) -> bool:
    """Return True if the check would import operators, classes or functions outside the `airflow` package."""
    uses = {task.uses for task in planned.tasks if "." in task.uses and not task.uses.startswith("airflow.")}
    if any(_may_import(name, settings) for name in uses):
        return True
    return any(_allows(name, settings) for name in code_of(planned) if not name.startswith("airflow.") or ":" in name)


def _block_key(fault: Fault) -> str:
    """Return the part of a fault's key path that names its task or group; without one, the key at the top."""
    match = _ITEM.match(fault.key or "")
    return match.group() if match else re.split(r"[.\[]", fault.key or "")[0]


def _other_environments(document: YamlDocument, settings: Settings) -> list[str]:
    """Return the environments of a document that are not in force."""
    environments = document.value.get("environments")
    names = environments if isinstance(environments, dict) else ()
    return [name for name in names if name != settings.environment]


def _work_of(spec: Spec, faults: Sequence[Fault]) -> int:
    """Return the work for planning a document in one environment."""
    return 40 + len(spec.document.values) + 10 * (_count(spec.items) + len(faults))


def _count(items: Iterable[Item]) -> int:
    return sum(1 + _count(item.items) for item in items)


def _unchecked(spec: Spec, names: Sequence[str]) -> Fault:
    more = f", nor are {len(names) - 1:,} more" if len(names) > 1 else ""
    message = f"is not checked{more}: the file is too large to check it in all its environments"
    return spec.places.fault(
        ("environments", names[0]), message, f"check it by `airflow-wall validate --env {names[0]}`", of_key=True
    )


def _faults_of_environments(
    names: Iterable[str], document: YamlDocument, settings: Settings, earlier_faults: Iterable[Fault]
) -> Iterator[Fault]:
    """Yield the faults that the pipeline has in environments that are not in force, each one once."""
    reported = {(fault.place, fault.message) for fault in earlier_faults}
    for name in names:
        other = replace(settings, environment=name)
        try:
            faults = [missing.fault for missing in plan(load_spec(document, other), other).missing_needs]
        except FaultyText as error:
            faults = list(error.faults)
        for fault in faults:
            if (fault.place, fault.message) not in reported:
                reported.add((fault.place, fault.message))
                yield replace(fault, message=f"{fault.message} {_OTHER_ENVIRONMENT}{name}`)")


def defect_of(file: Path, error: Exception) -> str:
    """Return the full text of a failure of airflow-wall itself, with its traceback, so that a user can report it."""
    if isinstance(error, WallError):
        return str(error)
    details = hide_logins("".join(traceback.format_exception(error)).rstrip())
    name = printable_line(str(file))
    return f"error: {name}: airflow-wall failed, by a defect of its own that this file meets\n\n{details}"


# --- results as JSON, to and from a child process


def _check_as_json(file: Path, settings: Settings, named: Collection[Path]) -> dict[str, Any]:
    result = _check(file, settings, named)
    texts: list[str] = []
    return {
        "pipelines": [
            [pipeline.dag_id, _place_as_json(pipeline.place), _index(pipeline.text, texts)]
            for pipeline in result.pipelines
        ],
        "faults": [_fault_as_json(fault, texts) for fault in result.faults],
        "warnings": [_fault_as_json(fault, texts) for fault in result.warnings],
        "defect": result.defect,
        "imports_own": result.imports_own,
        "writers": [
            [writer.lake, writer.table, writer.pipeline, writer.task, writer.share, _fault_as_json(writer.fault, texts)]
            for writer in result.writers
        ],
        "names": [
            [
                use.kind,
                use.lake,
                use.written,
                use.beginnings,
                [[name, _fault_as_json(fault, texts)] for name, fault in use.read],
            ]
            for use in result.names
        ],
        "columns": result.columns,
        "named_columns": [
            [each.lake, each.table, each.column, _fault_as_json(each.fault, texts)] for each in result.named_columns
        ],
        "is_planned": result.is_planned,
        "queries": [
            [query.sql, query.lake, query.tables, _fault_as_json(query.fault, texts)] for query in result.queries
        ],
        "templates": result.templates,
        "kind": result.kind,
        "texts": texts,
    }


def _from_json(file: Path, answer: Any) -> Checked:
    if isinstance(answer, Ended):
        return Checked(file, faults=(ended_fault(file, answer),))
    texts = answer["texts"]
    pipelines = [
        PipelineId(dag_id, file, SourcePosition(*place), texts[text]) for dag_id, place, text in answer["pipelines"]
    ]
    return Checked(
        file,
        pipelines,
        tuple(_faults_from_json(answer["faults"], texts)),
        tuple(_faults_from_json(answer["warnings"], texts)),
        answer["defect"],
        answer["imports_own"],
        [_writer_from_json(row, texts) for row in answer["writers"]],
        [_names_from_json(row, texts) for row in answer["names"]],
        [(lake, table, columns) for lake, table, columns in answer["columns"]],
        [_column_from_json(row, texts) for row in answer["named_columns"]],
        answer["is_planned"],
        [_query_from_json(row, texts) for row in answer["queries"]],
        answer["templates"],
        FileKind(answer["kind"]),
    )


def _names_from_json(row: list[Any], texts: list[str]) -> NamesUsed:
    kind, lake, written, beginnings, read = row
    faults = _faults_from_json([fault for _, fault in read], texts)
    return NamesUsed(
        kind, lake, tuple(written), tuple(beginnings), tuple(zip([name for name, _ in read], faults, strict=True))
    )


def _column_from_json(row: list[Any], texts: list[str]) -> NamedColumn:
    lake, table, column, fault = row
    return NamedColumn(lake, table, column, *_faults_from_json([fault], texts))


def _writer_from_json(row: list[Any], texts: list[str]) -> TableWriter:
    lake, table, pipeline, task, share, fault = row
    return TableWriter(lake, table, pipeline, task, share, *_faults_from_json([fault], texts))


def _query_from_json(row: list[Any], texts: list[str]) -> TransformQuery:
    sql, lake, tables, fault = row
    return TransformQuery(sql, lake, tables, *_faults_from_json([fault], texts))


def _fault_as_json(fault: Fault, texts: list[str]) -> list[Any]:
    place, text = _place_as_json(fault.place), _index(fault.text, texts)
    return [str(fault.path), place, fault.message, fault.hint, fault.key, text, fault.hidden_from]


def _faults_from_json(rows: Iterable[Any], texts: list[str]) -> Iterator[Fault]:
    for path, place, message, hint, key, text, hidden_from in rows:
        yield Fault(Path(path), SourcePosition(*place), message, hint, key, texts[text], hidden_from)


def _place_as_json(place: SourcePosition) -> list[int]:
    return [place.line, place.column, place.width]


def _index(text: str, texts: list[str]) -> int:
    """Return the index of a text in `texts`, and add it if it is new: each text is sent only once."""
    if text not in texts:
        texts.append(text)
    return texts.index(text)

"""Recognize YAML files that hold no pipeline: parts of pipelines, and files of other tools."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_wall.diagnostics.faults import Fault, FaultyText, SourcePosition
from airflow_wall.diagnostics.suggestions import listed, suggestion
from airflow_wall.language import words
from airflow_wall.language.pipeline import Head
from airflow_wall.loader.discover import FileKind
from airflow_wall.loader.expressions import Resolver, Scope
from airflow_wall.loader.extends import Templates
from airflow_wall.loader.faults import Faults, Stopped
from airflow_wall.loader.files import Folder
from airflow_wall.loader.include import SHARED
from airflow_wall.loader.policy import Policy
from airflow_wall.settings import Settings
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.reader import MAX_BYTES, bounded_bytes, read_file

_BEGIN = "a pipeline begins with `dag_id: NAME`"
_KEY = re.compile(r"( *)(?:- +)?[\"']?([A-Za-z_$][\w$.-]*)[\"']? *:(?: |$)")
_MOST_OF_LINE = 160
_MOST_KEYS = 2_000


@dataclass(frozen=True)
class OtherFile:
    """
    A YAML file that holds no pipeline.

    :param kind: Its kind.
    :param faults: Its faults as that kind of file; for a file that does not belong to pipelines, one that says so.
    """

    kind: FileKind
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class _Keys:
    """
    The keys of a document.

    :param file: Name of its file.
    :param top: Keys at the top, and their values as far as they are known.
    :param inner: Keys below them.
    """

    file: str
    top: Mapping[str, Any]
    inner: frozenset[str]

    def has(self, *names: str) -> bool:
        """Return True if all these keys are at the top."""
        return self.top.keys() >= set(names)

    def has_one(self, *names: str) -> bool:
        """Return True if one of these keys is at the top."""
        return not self.top.keys().isdisjoint(names)

    def has_inner(self, *names: str) -> bool:
        """Return True if one of these keys is below the top."""
        return not self.inner.isdisjoint(names)


@dataclass(frozen=True)
class _Tool:
    """
    Another tool that reads YAML.

    :param name: Its name.
    :param is_its: Returns True for the keys of its documents.
    :param depth: Mappings around the keys of a pipeline, -1 if a file is one task; None if the tool has no pipelines.
    """

    name: str
    is_its: Callable[[_Keys], bool]
    depth: int | None = None


def _is_gusty(keys: _Keys) -> bool:
    if Path(keys.file).stem == "METADATA" or keys.has_one(
        "root_tasks", "leaf_tasks", "prefix_group_id", "suffix_group_id"
    ):
        return True
    return keys.has_one("operator", "multi_task_spec") and not keys.has_one("tasks", "operators")


def _is_dag_factory(keys: _Keys) -> bool:
    if keys.has_one("tasks"):
        return keys.has_inner("operator", "decorator", "__type__")
    tasks = keys.has_inner("tasks") and keys.has_inner("operator", "decorator", "task_id", "task_groups", "schedule")
    defaults = keys.has_one("default_args") and keys.has_one("schedule_interval", "schedule", "catchup", "default_view")
    return (
        tasks
        or defaults
        or keys.has_inner("__type__")
        or keys.has_one("__type__")
        or (keys.has_one("default") and keys.has_inner("default_args"))
    )


_TOOLS = (
    _Tool("Argo Workflows", lambda keys: str(keys.top.get("apiVersion", "")).startswith("argoproj.io/"), 1),
    _Tool("Kubernetes", lambda keys: keys.has("apiVersion", "kind")),
    _Tool("Kestra", lambda keys: keys.has("id", "namespace") and keys.has_one("tasks", "triggers"), 0),
    _Tool("CircleCI", lambda keys: keys.has("version", "jobs") and keys.has_one("workflows", "orbs"), 0),
    _Tool("GitHub Actions", lambda keys: keys.has("jobs") and (keys.has_one("on") or keys.has_inner("runs-on")), 0),
    _Tool("Azure Pipelines", lambda keys: keys.has("trigger") and keys.has_one("pool", "stages", "steps", "jobs"), 0),
    _Tool("GitLab CI", lambda keys: keys.has("stages") or keys.has_inner("script"), 0),
    _Tool("Docker Compose", lambda keys: keys.has("services") and keys.has_inner("image", "build")),
    _Tool("pre-commit", lambda keys: keys.has("repos") and keys.has_inner("hooks", "rev")),
    _Tool("Dagster", lambda keys: keys.has("type", "attributes")),
    _Tool("Prefect", lambda keys: keys.has_one("deployments", "prefect-version")),
    _Tool("Meltano", lambda keys: keys.has("plugins") and keys.has_inner("extractors", "loaders")),
    _Tool("dbt", lambda keys: keys.has("name", "profile") or (
        keys.has("version") and keys.has_one("models", "sources", "seeds", "snapshots", "exposures", "semantic_models")
    )),
    _Tool("boundary-layer", lambda keys: keys.has("operators") and keys.has_one("dag_args", "resources", "before"), 0),
    _Tool("airflow-declarative", lambda keys: keys.has("dags") and keys.has_inner("operators", "args"), 2),
    _Tool("gusty", _is_gusty, -1),
    _Tool("blueprint", lambda keys: keys.has_inner("blueprint"), 0),
    _Tool("dag-factory", _is_dag_factory, 1),
)  # fmt: skip


def other_file(path: Path, settings: Settings) -> OtherFile:
    """Return the kind of a file without a pipeline, and its faults as a file of that kind."""
    try:
        documents = read_file(path)
    except FaultyText as error:
        return _of_text(path, error)
    values = [document.value for document in documents if document.value is not None]
    if not values:
        return OtherFile(FileKind.OTHER, (_fault(path, "the file is empty", f"{_BEGIN} and lists its `tasks`"),))
    document = next(document for document in documents if document.value is not None)
    if not isinstance(document.value, dict):
        hint = f"{_BEGIN} and lists its `tasks` as `- id: NAME`"
        kind = "a list" if isinstance(document.value, list) else "text"
        return OtherFile(FileKind.OTHER, (_fault(path, f"it is {kind}, not a mapping", hint, document.text),))
    if len(values) == 1 and (part := _part_of_pipelines(document, settings)) is not None:
        return part
    keys = _Keys(path.name, document.value, frozenset(_inner_keys(document.value)))
    return OtherFile(FileKind.OTHER, (_not_ours(path, document.text, keys),))


# --- parts of pipelines


def _part_of_pipelines(document: YamlDocument, settings: Settings) -> OtherFile | None:
    value = document.value
    if isinstance(value.get("checks"), list) and len(value) <= 1 + ("version" in value):
        return OtherFile(FileKind.CHECKS, tuple(_faults_of_checks(document)))
    if isinstance(value.get("columns"), dict) and value.keys() <= {"columns", "description", "owner"}:
        return OtherFile(FileKind.CONTRACT, tuple(_faults_of_contract(document)))
    if all(isinstance(item, dict) and "conn_type" in item for item in value.values()):
        return OtherFile(FileKind.CONNECTIONS)
    known = value.keys() & {*SHARED, "include"}
    if known and 2 * len(known) > len(value):
        return OtherFile(FileKind.SHARED, tuple(_faults_of_shared(document, settings)))
    return None


def _faults_of_checks(document: YamlDocument) -> Iterator[Fault]:
    from airflow_wall.checks.load import load_checks  # imports the kinds of checks

    try:
        load_checks(document.text, path=str(document.path))
    except FaultyText as error:
        yield from error.faults


def _faults_of_contract(document: YamlDocument) -> Iterator[Fault]:
    from airflow_wall.storage.contract import contract_faults  # imports DuckDB

    for fault in contract_faults(document.value):
        key = ".".join(map(str, fault.loc))
        place = document.place(fault.loc, of_key=fault.of_key)
        message = f"`{key}` {fault.message}" if key else fault.message
        yield Fault(document.path, place, message, fault.hint, key=key or None, text=document.text)


def _faults_of_shared(document: YamlDocument, settings: Settings) -> tuple[Fault, ...]:
    """Return the faults of a file that pipelines include, as far as they do not depend on the pipeline."""
    value = document.value
    faults = Faults(document)
    faults.lacks_included = True  # it may use names of the pipeline's own `vars`
    try:
        for key in value.keys() - {*SHARED, "include"}:
            hint = suggestion(str(key), (*SHARED, "include"), what="keys")
            faults.add((key,), "cannot stand in an included file", hint, of_key=True)
        policy = Policy(settings, faults)
        variables = value.get("vars")
        names = variables if isinstance(variables, dict) else {}
        scope = Scope({"env": settings.env, "vars": names}, {"env": (), "vars": ("vars",)})
        written = {key: value[key] for key in ("default_args", "notify") if key in value}
        block = Resolver(faults, Folder(document.path.parent), policy).block(written, (), scope, besides=())
        head = faults.check(Head, {"dag_id": "unknown", **block}, ())
        if head is not None:
            policy.check(head, ())
        Templates(value.get("templates"), faults)
    except Stopped:
        pass
    return (*document.faults, *faults.collected)


# --- files of other tools


def _of_text(path: Path, error: FaultyText) -> OtherFile:
    """Return the result for a text that cannot be read as YAML, e.g. for the tags and templates of other tools."""
    try:
        text = bounded_bytes(path)[:MAX_BYTES].decode(errors="replace")
    except FaultyText:
        return OtherFile(FileKind.OTHER, error.faults)
    lines = (line[:_MOST_OF_LINE] for line in text.splitlines())
    pairs = [(len(match[1]), match[2]) for line in lines if (match := _KEY.match(line))]
    top = {name: None for indent, name in pairs if not indent}
    keys = _Keys(path.name, top, frozenset(name for indent, name in pairs[:_MOST_KEYS] if indent))
    is_ours = _tool_of(keys) is None and path.name.endswith((".yaml", ".yml"))
    return OtherFile(FileKind.OTHER, error.faults if is_ours else (_not_ours(path, text, keys),))


def _tool_of(keys: _Keys) -> _Tool | None:
    return next((tool for tool in _TOOLS if tool.is_its(keys)), None)


def _not_ours(path: Path, text: str, keys: _Keys) -> Fault:
    tool = _tool_of(keys)
    if tool is not None:
        rows = "" if tool.depth is None else words.rows_of(keys.top, tool.depth)
        begin = _beginning(tool, keys)
        return _fault(path, f"it is a file of {tool.name}", f"{begin}; {rows}" if rows else begin, text)
    if not path.name.endswith((".yaml", ".yml")):
        return _fault(path, "it is not a YAML file", "name a file that ends in `.yaml` or `.yml`", text)
    if isinstance(keys.top.get("tasks"), list):
        return _fault(path, "it has no `dag_id` at its top", "add `dag_id: NAME` before `tasks`", text)
    shown = listed((str(key) for key in keys.top), 5)
    hint = f"{_BEGIN} and lists its `tasks`; this file has {shown}" if shown else f"{_BEGIN} and lists its `tasks`"
    return _fault(path, "it has no `dag_id` at its top", hint, text)


def _beginning(tool: _Tool, keys: _Keys) -> str:
    """Return the beginning of the hint: how a pipeline begins in place of a file of this tool."""
    if tool.depth is None:
        return "name the files of your pipelines, which begin with `dag_id: NAME`"
    if tool.depth < 0:
        return f"{_BEGIN}, and each file of a task is an item of its `tasks`"
    names = (str(key) for key, value in keys.top.items() if isinstance(value, dict) and "tasks" in value)
    name = next(names, None) if tool.depth == 1 else None
    return f"a pipeline begins with `dag_id: {name}`, and has its keys at the top" if name else _BEGIN


def _fault(path: Path, reason: str, hint: str, text: str = "") -> Fault:
    return Fault(path, SourcePosition(1, 1), f"holds no pipeline: {reason}", hint, text=text)


def _inner_keys(value: Mapping[str, Any]) -> Iterator[str]:
    return (key for key, level in words.leveled_keys(value) if level > 0)

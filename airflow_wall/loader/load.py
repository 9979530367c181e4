"""
Load pipelines: YAML text to a `Spec` with all its faults.

The steps: read the text within bounds, apply the environment, resolve `vars`, check the head, expand and check the
items.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow_wall.diagnostics.faults import MAX_FAULTS, Fault, FaultyText, Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import listed, nearest, suggestion
from airflow_wall.language.document import Item, Spec
from airflow_wall.language.native import SCHEMA_KEY
from airflow_wall.language.pipeline import Head, Pipeline
from airflow_wall.loader.code import check_reference
from airflow_wall.loader.expand import Expander
from airflow_wall.loader.expressions import Resolver, Scope
from airflow_wall.loader.extends import Templates
from airflow_wall.loader.faults import Faults, Stopped
from airflow_wall.loader.files import Folder
from airflow_wall.loader.head import check_head, valid_part
from airflow_wall.loader.include import apply_includes, origins_of
from airflow_wall.loader.native import load_native
from airflow_wall.loader.policy import Policy
from airflow_wall.loader.requirements import read_requirements
from airflow_wall.settings import Settings
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.places import Places
from airflow_wall.text.reader import MAX_BYTES, bounded_bytes, read_file

AIRFLOW_SCHEMA = "airflow.apache.org/schemas/dag"
"""Part of the `$schema` of a document in Airflow's own format."""

_PIPELINE_KEY = re.compile(
    rb"""(?m)^["']?(dag_id["']?\s*:|\$schema["']?\s*:.*""" + re.escape(AIRFLOW_SCHEMA).encode() + rb")"
)
_FLOW = re.compile(rb"\s*\{(?!\{)")  # a template of a chart begins with two braces
_FLOW_ID = re.compile(rb"""dag_id["']?\s*:""")
_FLOW_SCHEMA = re.compile(rb"""\$schema["']?\s*:""")

OWN_KEYS = ("tasks", "templates", "vars", "environments", "include")
"""Top-level keys outside the head."""

NEVER_OVERLAID = ("dag_id", "tasks", "environments", "include")
"""Keys that an environment may not replace."""

MERGED = ("vars", "templates", "default_args", "notify")
"""Keys whose entries an environment replaces one by one."""


def load_specs(path: Path, settings: Settings) -> list[Spec]:
    """
    Load every pipeline of a file. Faults of a pipeline are part of its `Spec`; planning raises them.

    After 100 faults, the remaining documents are not read. Each has one fault that says so.

    :param path: A YAML file. Documents without `dag_id` are ignored.
    :raises FaultyText: the file cannot be read as YAML.
    """
    specs: list[Spec] = []
    count = 0
    for document in pipelines_in(path):
        specs.append(load_spec(document, settings) if count <= MAX_FAULTS else unread(document))
        count += len(specs[-1].faults)
    return specs


def pipelines_in(path: Path) -> list[YamlDocument]:
    """
    Read the documents of a file that are pipelines.

    :raises FaultyText: the file cannot be read as YAML, and is probably a pipeline.
    """
    try:
        documents = read_file(path, SCHEMA_KEY)
    except FaultyText:
        if may_be_pipeline(path):
            raise
        return []  # other YAML, such as a template of a chart or a file with tags
    return pipelines_among(documents)


def pipelines_among(documents: list[YamlDocument]) -> list[YamlDocument]:
    """
    Return the documents of one file that are pipelines.

    :raises FaultyText: one document is in Airflow's format, and another is not a pipeline; or a pipeline misspells
        `dag_id`.
    """
    pipelines = [document for document in documents if _is_pipeline(document)]
    if any(document.is_yaml_1_1 for document in pipelines):
        _refuse_other_documents(documents, pipelines)
    _refuse_misspelt(documents)
    return pipelines


def _refuse_misspelt(documents: list[YamlDocument]) -> None:
    """Refuse a document with `tasks` and `dagid`, `dag-id` or `dagId`, which would otherwise be ignored silently."""
    faults = [
        Fault(document.path, document.place((key,), of_key=True), f"`{key}` is not a known key", "write `dag_id`")
        for document in documents
        if isinstance(document.value, dict)
        and isinstance(document.value.get("tasks"), list)
        and not _is_pipeline(document)
        for key in document.value
        if isinstance(key, str) and re.sub("[-_ ]", "", key).lower() == "dagid"
    ]
    if faults:
        raise FaultyText(faults, documents[0].text)


def _is_pipeline(document: YamlDocument) -> bool:
    return isinstance(document.value, dict) and (
        "dag_id" in document.value or AIRFLOW_SCHEMA in str(document.value.get(SCHEMA_KEY, ""))
    )


def _refuse_other_documents(documents: list[YamlDocument], pipelines: list[YamlDocument]) -> None:
    """Refuse documents that are not pipelines. Airflow's importer does so in a file with a document in its format."""
    message = "document is not a pipeline, but another document of the file is in Airflow's format"
    hint = f"add `{SCHEMA_KEY}` and `dag_id`, or move it to a file of its own"
    faults = [
        Fault(document.path, document.place(()), message, hint)
        for document in documents
        if document.value is not None and not any(document is pipeline for pipeline in pipelines)
    ]
    if faults:
        raise FaultyText(faults, documents[0].text)


def may_be_pipeline(path: Path) -> bool:
    """Return True if a file has the key of a pipeline, or cannot be read at all."""
    try:
        content = bounded_bytes(path)[:MAX_BYTES].replace(b"\0", b"").lstrip(b"\xff\xfe")  # perhaps UTF-16
    except FaultyText:
        return True
    written_as_json = _FLOW.match(content) is not None and _has_key_in_flow(content)
    return written_as_json or _PIPELINE_KEY.search(content) is not None


def _has_key_in_flow(content: bytes) -> bool:
    """Return True if a text has the key of a pipeline anywhere in a line. The time is linear in its length."""
    if _FLOW_ID.search(content) is not None:
        return True
    begin, position = 0, content.find(AIRFLOW_SCHEMA.encode())
    while position >= 0:  # `$schema:` must be between the previous match and this one, without a comma after it
        begin = max(begin, content.rfind(b",", begin, position) + 1)
        if _FLOW_SCHEMA.search(content, begin, position) is not None:
            return True
        begin, position = position, content.find(AIRFLOW_SCHEMA.encode(), position + 1)
    return False


def unread(document: YamlDocument) -> Spec:
    """Return the `Spec` of a document that is not read, because those before it have too many faults."""
    fault = Fault(
        document.path,
        document.place(()),
        f"document is not read: those before it have more than {MAX_FAULTS} faults",
        "correct these first",
        text=document.text,
    )
    head = Head.model_construct(dag_id=str(document.value.get("dag_id")))
    return Spec(document.path, document, head, (), Places(document), None, faults=(fault,), lost=True)


def load_spec(document: YamlDocument, settings: Settings) -> Spec:
    """Load one document. Its faults are part of the `Spec`; planning raises them."""
    if document.is_yaml_1_1:
        return load_native(document, settings)
    faults = Faults(document)
    folder = Folder(document.path.parent)
    try:
        value = _apply_environment(apply_includes(document.value, folder, faults), settings, faults)
        origins = origins_of(value, faults.places)
        head, items, lost = _read(value, folder, settings, faults)
    except Stopped:
        head, items, lost, origins = None, (), True, ()
    reported = {_begin(fault) for fault in document.faults}
    further = (fault for fault in faults.collected if _begin(fault) not in reported)
    return Spec(
        path=document.path,
        document=document,
        head=head or Head.model_construct(dag_id=str(document.value.get("dag_id"))),
        items=items,
        environment=settings.environment if document.value.get("environments") else None,
        warnings=tuple(dict.fromkeys(faults.warnings)),
        faults=(*document.faults, *further),
        lost=lost,
        places=faults.places,
        origins=origins,
    )


def _begin(fault: Fault) -> tuple[int, int]:
    return fault.place.line, fault.place.column


def _read(
    value: dict[str, Any], folder: Folder, settings: Settings, faults: Faults
) -> tuple[Head | None, tuple[Item, ...], bool]:
    """Return the head of a document, its items, and True if some items are missing because of faults."""
    policy = Policy(settings, faults)
    resolver = Resolver(faults, folder, policy)
    scope = _scope(value, settings, resolver)
    own = resolver.block(value, (), scope, besides=OWN_KEYS)
    own = read_requirements(own, (), folder, faults)
    head = faults.check(Head, own, (), also=OWN_KEYS)
    if value.get("tasks") is None and not _names_tasks(own):
        faults.add(("tasks",), "is missing", "add `tasks`, a list with `- id: NAME` for each task")
    valid = head or valid_part(own)
    if valid is not None:
        policy.check(valid, ())
        check_head(valid, faults)
        for key in ("user_defined_macros", "user_defined_filters"):
            for name, reference in (getattr(valid, key) or {}).items():
                check_reference(reference, folder, faults, (key, name))
    templates = Templates(value.get("templates"), faults)
    expander = Expander(faults, folder, policy, resolver, templates)
    items = expander.items(value.get("tasks"), ("tasks",), scope)
    return head, items, expander.lost


def _names_tasks(keys: Iterable[str]) -> bool:
    """Return True if a key is `tasks` misspelt, or the word of another tool for it. It is then a fault of its own."""
    return nearest("tasks", keys) is not None or any("`tasks`" in Head.refused.get(key, "") for key in keys)


def _apply_environment(value: dict[str, Any], settings: Settings, faults: Faults) -> dict[str, Any]:
    """Return the document with the keys of the environment in force over its own."""
    environments = value.get("environments")
    if environments is None:
        return value
    hint = "write, e.g., `environments: {production: {storage: /srv/lake}}`"
    if not isinstance(environments, dict):
        faults.add(("environments",), f"must give the keys of each environment, got `{brief(environments)}`", hint)
        return value
    wrong = {name: overlay for name, overlay in environments.items() if not isinstance(overlay, dict)}
    for name, overlay in wrong.items():
        faults.add(("environments", name), f"must give the keys it replaces, got `{brief(overlay)}`", hint)
    if wrong:
        return value
    keys = {info.alias or field for field, info in Pipeline.model_fields.items()}.difference(NEVER_OVERLAID)
    for name, overlay in environments.items():
        for key in overlay:
            if key not in keys:
                allowed = [field for field in Pipeline.model_fields if field not in NEVER_OVERLAID]
                hint = (
                    "set it for all environments, at the top"
                    if key in NEVER_OVERLAID
                    else suggestion(key, allowed, what="keys")
                )
                faults.add(("environments", name, key), "cannot be set by an environment", hint, of_key=True)
    chosen = settings.environment
    if chosen is None:
        return value
    if chosen not in environments:
        hint = f"add it, or correct the setting `[wall] environment`; the file has {listed(environments)}"
        faults.add(("environments",), f"does not list `{chosen}`, the environment in force", hint, of_key=True)
        return value
    overlay = {key: value for key, value in environments[chosen].items() if key in keys}
    return _merged(value, overlay, ("environments", chosen), faults)


def _merged(value: dict[str, Any], overlay: dict[str, Any], loc: Loc, faults: Faults) -> dict[str, Any]:
    merged = dict(value)
    for key, replacement in overlay.items():
        if key in MERGED and isinstance(replacement, dict) and isinstance(value.get(key), dict):
            merged[key] = {**value[key], **replacement}
            faults.places.moved.update({(key, name): (*loc, key, name) for name in replacement})
        else:
            merged[key] = replacement
            faults.places.moved[(key,)] = (*loc, key)
    return merged


def _scope(value: dict[str, Any], settings: Settings, resolver: Resolver) -> Scope:
    outer = Scope({"env": settings.env}, {"env": ()})
    variables = value.get("vars", {})
    if not isinstance(variables, dict):
        resolver.faults.add(
            ("vars",),
            f"must give names and their values, got `{brief(variables)}`",
            "write e.g. `vars: {region: europe-west1}`",
        )
        variables = {}
    names = {name: resolver.plain(variable, ("vars", name), outer) for name, variable in variables.items()}
    return Scope({**outer.names, "vars": names}, {**outer.places, "vars": ("vars",)})

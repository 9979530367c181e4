"""
Load pipelines: text to Spec, with all its faults.

The steps of it: read the text within bounds, lay the environment over it, resolve `vars`, check the head, expand and
check the items.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow_wall.loader.expand import Expander
from airflow_wall.loader.expressions import Resolver, Scope
from airflow_wall.loader.extends import Templates
from airflow_wall.loader.faults import Faults, Stopped
from airflow_wall.loader.files import Folder
from airflow_wall.loader.head import check_head, sound_part
from airflow_wall.loader.include import with_included
from airflow_wall.loader.native import load_native
from airflow_wall.loader.origins import origins_of
from airflow_wall.loader.policy import Policy
from airflow_wall.loader.requirements import with_requirements
from airflow_wall.settings import Settings
from airflow_wall.spec.document import Item, Spec
from airflow_wall.spec.native import SCHEMA_KEY
from airflow_wall.spec.pipeline import Head, Pipeline
from airflow_wall.text.faults import Fault, FaultyText, Loc, nearest, shown, suggestion
from airflow_wall.text.reader import MAX_BYTES, Document, read_file

_AIRFLOW = "airflow.apache.org/schemas/dag"
_PIPELINE_KEY = re.compile(
    rb"""(?m)^["']?(dag_id["']?\s*:|\$schema["']?\s*:.*""" + re.escape(_AIRFLOW).encode() + rb")"
)
_FLOW = re.compile(rb"\s*\{(?!\{)")  # a template of a chart begins with two braces
_FLOW_KEY = re.compile(rb"""["']?(dag_id["']?\s*:|\$schema["']?\s*:[^,]*""" + re.escape(_AIRFLOW).encode() + rb")")

OWN_KEYS = ("tasks", "templates", "vars", "environments", "include")
"""Top-level keys that are no part of the head."""

NEVER_OVERLAID = ("dag_id", "tasks", "environments", "include")
"""Keys that an environment may not replace."""

MERGED = ("vars", "templates", "default_args", "notify")
"""Keys whose entries an environment replaces one by one."""


def load_specs(path: Path, settings: Settings) -> list[Spec]:
    """
    Load every pipeline of a file, faults included: planning tells them.

    :param path: A YAML file; documents without `dag_id` are left alone.
    :raises FaultyText: the file cannot be read as YAML.
    """
    return [load_spec(document, settings) for document in pipelines_in(path)]


def pipelines_in(path: Path) -> list[Document]:
    """
    Read the documents of a file that are pipelines.

    :raises FaultyText: the file cannot be read as YAML, and seems to be meant as a pipeline.
    """
    try:
        documents = read_file(path, SCHEMA_KEY)
    except FaultyText:
        if may_be_pipeline(path):
            raise
        return []  # YAML of somebody else: a chart's template, a file with tags
    return _pipelines(documents)


def load_documents(documents: Iterable[Document], settings: Settings) -> list[Spec]:
    """
    Load the pipelines among the documents of one file, faults included.

    :raises FaultyText: one is in Airflow's format, and another is no pipeline.
    """
    return [load_spec(document, settings) for document in _pipelines(list(documents))]


def _pipelines(documents: list[Document]) -> list[Document]:
    found = [document for document in documents if _is_pipeline(document)]
    if any(document.is_yaml_1_1 for document in found):
        _refuse_strangers(documents, found)
    _refuse_misspelt(documents)
    return found


def _refuse_misspelt(documents: list[Document]) -> None:
    """Tasks below a `dagid`, `dag-id` or `dagId` are a pipeline that would otherwise be passed over in silence."""
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


def _is_pipeline(document: Document) -> bool:
    return isinstance(document.value, dict) and (
        "dag_id" in document.value or _AIRFLOW in str(document.value.get(SCHEMA_KEY, ""))
    )


def _refuse_strangers(documents: list[Document], pipelines: list[Document]) -> None:
    """In a file with a document in Airflow's format every document is a pipeline, as its importer has it."""
    message = "document is no pipeline, and another one of the file is in Airflow's format"
    hint = f"add `{SCHEMA_KEY}` and `dag_id`, or move it to a file of its own"
    faults = [
        Fault(document.path, document.place(()), message, hint)
        for document in documents
        if document.value is not None and not any(document is each for each in pipelines)
    ]
    if faults:
        raise FaultyText(faults, documents[0].text)


def may_be_pipeline(path: Path) -> bool:
    """Whether a file has the key of a pipeline, or cannot be read at all."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES).replace(b"\0", b"").lstrip(b"\xff\xfe")  # perhaps UTF-16
    except OSError:
        return True
    written_as_json = _FLOW.match(content) is not None and _FLOW_KEY.search(content) is not None
    return written_as_json or _PIPELINE_KEY.search(content) is not None


def load_spec(document: Document, settings: Settings) -> Spec:
    """Load one document, faults included: planning tells them."""
    if document.is_yaml_1_1:
        return load_native(document, settings)
    faults = Faults(document)
    folder = Folder(document.path.parent)
    try:
        value = _overlaid(with_included(document.value, folder, faults), settings, faults)
        origins = origins_of(value, faults.places)
        head, items, lost = _read(value, folder, settings, faults)
    except Stopped:
        head, items, lost, origins = None, (), True, ()
    told = {fault.place for fault in document.faults}
    return Spec(
        path=document.path,
        document=document,
        head=head or Head.model_construct(dag_id=str(document.value.get("dag_id"))),
        items=items,
        environment=settings.environment if document.value.get("environments") else None,
        warnings=tuple(dict.fromkeys(faults.warnings)),
        faults=(*document.faults, *(fault for fault in faults.found if fault.place not in told)),
        lost=lost,
        places=faults.places,
        origins=origins,
    )


def _read(
    value: dict[str, Any], folder: Folder, settings: Settings, faults: Faults
) -> tuple[Head | None, tuple[Item, ...], bool]:
    """The head of a document, its items, and whether some are lost to faults."""
    policy = Policy(settings, faults)
    resolver = Resolver(faults, folder, policy)
    scope = _scope(value, settings, resolver)
    own = resolver.block(value, (), scope, besides=OWN_KEYS)
    own = with_requirements(own, (), folder, faults)
    policy.head(own)
    head = faults.check(Head, own, (), also=OWN_KEYS)
    if value.get("tasks") is None and nearest("tasks", own) is None:
        faults.add(("tasks",), "is missing", "add `tasks`, a list with `- id: NAME` for each task")
    sound = head or sound_part(own)
    if sound is not None:
        check_head(sound, policy, faults)
    templates = Templates(value.get("templates"), faults)
    expander = Expander(faults, folder, policy, resolver, templates)
    items = expander.items(value.get("tasks"), ("tasks",), scope)
    return head, items, expander.lost


def _overlaid(value: dict[str, Any], settings: Settings, faults: Faults) -> dict[str, Any]:
    """The document with the keys of the environment in force laid over it."""
    environments = value.get("environments")
    if environments is None:
        return value
    hint = "write, e.g., `environments: {production: {storage: /srv/lake}}`"
    if not isinstance(environments, dict):
        faults.add(("environments",), f"must give the keys of each environment, got `{shown(environments)}`", hint)
        return value
    wrong = {name: overlay for name, overlay in environments.items() if not isinstance(overlay, dict)}
    for name, overlay in wrong.items():
        faults.add(("environments", name), f"must give the keys it replaces, got `{shown(overlay)}`", hint)
    if wrong:
        return value
    keys = {info.alias or field for field, info in Pipeline.model_fields.items()}.difference(NEVER_OVERLAID)
    for name, overlay in environments.items():
        for key in overlay:
            if key not in keys:
                known = [field for field in Pipeline.model_fields if field not in NEVER_OVERLAID]
                hint = (
                    "set it for all environments, at the top"
                    if key in NEVER_OVERLAID
                    else suggestion(key, known, what="keys")
                )
                faults.add(("environments", name, key), "cannot be set by an environment", hint, of_key=True)
    chosen = settings.environment
    if chosen is None:
        return value
    if chosen not in environments:
        listed = ", ".join(f"`{name}`" for name in environments)
        hint = f"add it, or mend the setting `[wall] environment`; the file has {listed}"
        faults.add(("environments",), f"does not list `{chosen}`, the environment in force", hint, of_key=True)
        return value
    overlay = {key: each for key, each in environments[chosen].items() if key in keys}
    return _merged(value, overlay, ("environments", chosen), faults)


def _merged(value: dict[str, Any], overlay: dict[str, Any], loc: Loc, faults: Faults) -> dict[str, Any]:
    merged = dict(value)
    for key, each in overlay.items():
        if key in MERGED and isinstance(each, dict) and isinstance(value.get(key), dict):
            merged[key] = {**value[key], **each}
            faults.places.moved.update({(key, name): (*loc, key, name) for name in each})
        else:
            merged[key] = each
            faults.places.moved[(key,)] = (*loc, key)
    return merged


def _scope(value: dict[str, Any], settings: Settings, resolver: Resolver) -> Scope:
    outer = Scope({"env": settings.env}, {"env": ()})
    found = value.get("vars", {})
    if not isinstance(found, dict):
        resolver.faults.add(
            ("vars",),
            f"must give names and their values, got `{shown(found)}`",
            "write e.g. `vars: {region: europe-west1}`",
        )
        found = {}
    names = {name: resolver.plain(each, ("vars", name), outer) for name, each in found.items()}
    return Scope({**outer.names, "vars": names}, {**outer.places, "vars": ("vars",)})

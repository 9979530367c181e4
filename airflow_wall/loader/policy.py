"""
What policy `restricted` lets a pipeline say. Under policy `open` everything here is allowed.

Under `restricted` who writes a pipeline cannot run code, read the environment or a file outside the lake, or reach the
value of a secret. Code is named by reference only, and each reference must be on a list of the deployment.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from airflow_wall.loader.faults import Faults
from airflow_wall.settings import SECTION, Settings, listed
from airflow_wall.spec import environment
from airflow_wall.spec.callables import REFERENCE_PATTERN, many
from airflow_wall.spec.markers import Template, XComRef
from airflow_wall.text.faults import Loc, shown

KEYS = {
    "executor_config": "can choose the image, the command and the secrets of its pod",
    "run_as_user": "chooses the Unix user",
    "map_index_template": "is a template to Airflow, marked or not",
    "template_searchpath": "names folders to read templates from",
    "template_undefined": "names a class to import",
    "jinja_environment_kwargs": "can name extensions to import",
    "render_template_as_native_obj": "has Airflow evaluate what templates give",
    "user_defined_macros": "gives code to templates",
    "user_defined_filters": "gives code to templates",
    "access_control": "says who may see the pipeline and run it",
}
"""Keys of a pipeline, a task or `default_args` that reach further than a pipeline may, and why."""

CLUSTER_KEYS = {
    "extra": "can have any program run on the cluster",
    "python": "chooses the program that jobs are run by",
    "network": "can choose what the cluster may do in its cloud",
    "impersonate": "chooses in whose name the cloud is used",
    "conf": "can have any program run, as an option of Java",
    "master": "chooses a program on the network that jobs are sent to",
    "host": "chooses from where Spark, which runs what it is told, can be reached",
}
"""Keys of a cluster that reach further than a pipeline may, and why."""

NO_CLOUD = frozenset(("local", "spark"))
"""Kinds of clusters that no connection is used for."""

CALLABLES = (
    "on_execute_callback", "on_success_callback", "on_failure_callback", "on_retry_callback", "on_skipped_callback",
    "pre_execute", "post_execute", "retry_policy", "inlets", "outlets", "schedule",
)  # fmt: skip
"""Keys whose values may name functions and classes, at any depth."""

NAMES_ONLY = ("inlets", "outlets", "schedule")
"""Those of them in which a text is no function: `a:b` is the name of an asset."""

ADDRESSES = ("source", "to", "conn_id", "entrypoint")
"""Fields of our steps that say where data come from or go to, or what is called."""


class Policy:
    """
    Checks what one document says.

    :param settings: `policy` and the lists that go with it.
    :param faults: Where what is not allowed is noted.
    """

    def __init__(self, settings: Settings, faults: Faults) -> None:
        self.settings = settings
        self.faults = faults
        self.restricted = settings.policy == "restricted"

    def operator(self, path: str, loc: Loc) -> None:
        """`path`, dotted, names an operator."""
        self._listed(path, loc, "allowed_operators", f"names the operator `{shown(path)}`")

    def entrypoint(self, reference: str, loc: Loc) -> None:
        """`reference`, `module:name`, names something in the user's own Python."""
        self._listed(reference, loc, "allowed_entrypoints", f"names the code `{shown(reference)}`")

    def importable(self, path: str, loc: Loc) -> None:
        """`path`, dotted, names what is made when the pipeline is built: a timetable, a notifier, a callback."""
        self._listed(path, loc, "allowed_classes", f"names the class `{shown(path)}`")

    def connection(self, conn_id: str, loc: Loc) -> None:
        """`conn_id` names a connection that data come from or go to."""
        self._listed(conn_id, loc, "allowed_connections", f"names the connection `{shown(conn_id)}`")

    def template(self, text: str, loc: Loc) -> None:
        """`text` is filled in by Jinja when a task runs."""
        if not self.restricted or not any(sign in text for sign in ("{{", "{%", "{#")):
            return
        from airflow_wall.loader.templates import beyond  # brings Jinja, which most files do not need

        wrong = beyond(text, self.settings.allowed_templates)
        if wrong is not None:
            hint = f"fill in only names, e.g. `{{{{ ds }}}}`; {_setting('allowed_templates')} adds names"
            self._refuse(loc, f"uses {wrong} in a template", hint)

    def keys(self, written: Any, loc: Loc) -> None:
        """`written` are the keys of a pipeline, a task, a group, `default_args`, or the arguments of an operator."""
        if self.restricted and isinstance(written, Mapping):
            for key in (key for key in written if key in KEYS):
                self._refuse((*loc, key), KEYS[key], "remove it", of_key=True)
            for key in (key for key in written if key in CALLABLES):
                self._named(written[key], (*loc, key), texts=key not in NAMES_ONLY)

    def _named(self, value: Any, loc: Loc, *, texts: bool) -> None:
        if isinstance(value, list):
            for index, each in enumerate(value):
                self._named(each, (*loc, index), texts=texts)
        elif isinstance(value, Mapping):
            for key, each in value.items():
                for path in many(each) if key in ("uses", "exception") else ():
                    if isinstance(path, str):
                        self.importable(path, (*loc, key))
                if key != "with":
                    self._named(each, (*loc, key), texts=texts)
        elif texts and isinstance(value, str) and re.fullmatch(REFERENCE_PATTERN, value):
            self.entrypoint(value, loc)

    def head(self, written: Mapping[str, Any]) -> None:
        """`written` are the keys of a pipeline, the environment applied."""
        if not self.restricted:
            return
        self.keys(written, ())
        self.keys(written.get("default_args"), ("default_args",))
        self._environment(written, ())
        storage = written.get("storage")
        allowed = [posixpath.normpath(folder) for folder in self.settings.allowed_storage]
        if isinstance(storage, str) and not any(
            PurePosixPath(posixpath.normpath(storage)).is_relative_to(each) for each in allowed
        ):
            known = ", ".join(f"`{each}`" for each in allowed)
            hint = f"name {known} or a folder below; {_setting('allowed_storage')} adds others"
            self._refuse(("storage",), f"names the folder `{shown(storage)}`", hint)

    def step(self, given: Mapping[str, Any], loc: Loc) -> None:
        """`given` are the arguments of one of our steps."""
        if not self.restricted:
            return
        for field in ADDRESSES:
            value = given.get(field)
            for index, each in enumerate(value) if isinstance(value, list) else ():  # of `publish`, or of an `expand`
                inner = isinstance(each, Mapping)
                place = (*loc, field, index, field) if inner else (*loc, field, index)
                self._address(field, each.get(field) if inner else each, place)
            if not isinstance(value, list):
                self._address(field, value, (*loc, field))
        self._environment(given, loc)
        self._cluster(given.get("cluster"), (*loc, "cluster"))
        clusters = given.get("clusters")
        for index, each in enumerate(clusters) if isinstance(clusters, list) else ():
            self._cluster(each, (*loc, "clusters", index))

    def _environment(self, given: Mapping[str, Any], loc: Loc) -> None:
        """What a step runs in. Installing a package runs code of it, and of all that it needs."""
        requirements, python, image = (given.get(key) for key in environment.KEYS)
        for index, each in enumerate(requirements if isinstance(requirements, list) else ()):
            name = environment.project_of(each) if isinstance(each, str) else None
            place = (*loc, "requirements", index)
            if name is not None and "@" in each.partition(";")[0]:
                self._refuse(place, f"installs `{shown(each)}` from an address", "name a package of the index")
            elif name is not None:
                self._listed(name, place, "allowed_requirements", f"installs the package `{name}`")
        if isinstance(python, str) and not environment.VERSION.fullmatch(python):
            self._listed(python, (*loc, "python"), "allowed_pythons", f"names the program `{shown(python)}`")
        if isinstance(image, str):
            self._listed(image, (*loc, "image"), "allowed_images", f"names the image `{shown(image)}`")

    def _cluster(self, given: Any, loc: Loc) -> None:
        if not isinstance(given, Mapping):
            return
        for key in (key for key in given if key in CLUSTER_KEYS):
            self._refuse((*loc, key), CLUSTER_KEYS[key], "remove it", of_key=True)
        if given.get("type") in NO_CLOUD:
            return
        if given.get("conn_id") is None:
            hint = f"name one of {_setting('allowed_connections')} by `conn_id`"
            self._refuse(loc, "uses the cloud by its default connection", hint)
        else:
            self._address("conn_id", given["conn_id"], (*loc, "conn_id"))

    def results(self, value: Any, loc: Loc) -> None:
        """`value` holds all arguments of one of our steps: if a task gives it, they may be anything."""
        if self.restricted and isinstance(value, XComRef):
            self._refuse(loc, "is what a task gives, and may name any source or connection", "write the entries out")

    def _address(self, field: str, value: Any, loc: Loc) -> None:
        if isinstance(value, Mapping):
            self._refuse(loc, "is a mapping, whose parts are not known here", "write a list of texts")
        if isinstance(value, Template | XComRef):
            text = value.text.partition("{{")[0] if isinstance(value, Template) else ""
            if "/" not in text.partition("://")[2 if "://" in text else 0] or field in ("conn_id", "entrypoint"):
                message = "is known only when the task runs, and may then be anything"
                self._refuse(loc, message, "write it out, or its beginning with a `/` in it, e.g. `landing/{{ ds }}`")
                return
            value = text
        if not isinstance(value, str):
            return
        scheme, sign, rest = value.partition("://")
        if field == "entrypoint":
            self.entrypoint(value, loc)
        elif field == "conn_id":
            self.connection(value, loc)
        elif value.startswith("/") or (sign and scheme.lower() == "file"):
            self._refuse(loc, f"names `{shown(value)}`, which is outside `storage`", "name a path below `storage`")
        elif sign and scheme != "files":
            self.connection(rest.partition("/")[0], loc)

    def _listed(self, name: str, loc: Loc, setting: str, what: str) -> None:
        if self.restricted and not listed(name, getattr(self.settings, setting)):
            self._refuse(loc, what, f"do without, or have it added to {_setting(setting)}")

    def _refuse(self, loc: Loc, what: str, hint: str, *, of_key: bool = False) -> None:
        self.faults.add(loc, f"{what}, which this deployment does not allow", hint, of_key=of_key)


def _setting(name: str) -> str:
    return f"the setting `[{SECTION}] {name}`"

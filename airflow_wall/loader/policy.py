"""
Check a pipeline against the deployment's policy. Under policy `open`, everything here is allowed.

Under `restricted` the author of a pipeline cannot run code, read the environment or a file outside the lake, or reach
the value of a secret. A value is allowed by its kind (`airflow_wall.text.kinds`), which its field declares. A value
without a kind is refused. Policy checks blocks after they are parsed, and only the parsed blocks are used afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from airflow_wall.connections.info import check_conn_id, is_address
from airflow_wall.diagnostics.faults import Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ConnectionFault
from airflow_wall.lake.lake import Lake, lies_in, normalized
from airflow_wall.language.environment import VERSION
from airflow_wall.language.markers import JINJA, Template, XComRef
from airflow_wall.loader.faults import Faults, Model
from airflow_wall.publish.backends import parse_beginning
from airflow_wall.publish.targets.base import Target
from airflow_wall.settings import DEFAULT_STORAGE, SECTION, Settings, matches_any
from airflow_wall.sources.backends import source_beginning
from airflow_wall.sources.kinds.base import Source
from airflow_wall.text.kinds import Beyond, FieldKind, Leaf, Rule, leaves
from airflow_wall.text.requirements import RequirementFault, parse_requirement

_FREE = frozenset(
    (FieldKind.PLAIN, FieldKind.SQL, FieldKind.TABLE, FieldKind.MODEL, FieldKind.ARGUMENTS, FieldKind.CHECKS)
)
"""Kinds that need no permission, even if the value is known only when the task runs. It is then parsed again."""

_BY_BEGINNING = frozenset((FieldKind.SOURCE, FieldKind.TARGET))
"""Kinds whose beginning decides what they name, so that only the rest may be known later."""


class Policy:
    """
    Checks the values of one document.

    :param settings: `policy` and its lists of what is allowed.
    :param faults: Collects the faults.
    """

    def __init__(self, settings: Settings, faults: Faults) -> None:
        self.settings = settings
        self.faults = faults
        self.restricted = settings.policy == "restricted"

    # --- blocks

    def parsed(self, model: type[Model], values: Any, loc: Loc, *, also: Iterable[str] = ()) -> Model | None:
        """Return the values as a block, or None if they have faults. Note faults and values that are not allowed."""
        block = self.faults.check(model, values, loc, also=also)
        if block is not None:
            self.check(block, loc)
        return block

    def check(self, block: BaseModel, loc: Loc) -> None:
        """Note the values of the block at `loc` that are not allowed."""
        if self.restricted:
            for leaf in leaves(block, loc):
                self._leaf(leaf)

    def airflow_arguments(self, values: Mapping[str, Any], kinds: Mapping[str, Rule], loc: Loc) -> None:
        """
        Note the values that are not allowed among arguments of Airflow that no block describes.

        :param kinds: Argument to its kind. Arguments that are not in it are ignored.
        """
        self._connection_ids(values, loc)
        if self.restricted:
            for key, value in values.items():
                if key in kinds:
                    self._leaf(Leaf((kinds[key],), value, (*loc, key)))

    def _connection_ids(self, values: Mapping[str, Any], loc: Loc) -> None:
        """Refuse an address in place of a connection's id, under any policy. It may hold a password."""
        for key, value in values.items():
            if isinstance(value, str) and isinstance(key, str) and key.endswith("conn_id") and is_address(value):
                message = "must be the id of an Airflow connection, not an address"
                hint = "write its id; address and password belong into the connection itself"
                self.faults.add((*loc, key), message, hint, is_secret=True)
            elif key == "default_args" and isinstance(value, Mapping):
                self._connection_ids(value, (*loc, key))

    def refuse_xcom(self, value: Any, loc: Loc) -> None:
        """Refuse the result of another task as the arguments of a step, because it may hold any value."""
        if self.restricted and isinstance(value, XComRef):
            self._refuse(loc, "is what a task gives, and may name any source or connection", "write the entries out")

    # --- single values

    def operator(self, path: str, loc: Loc) -> None:
        """Check the dotted path of an operator. A bare name is a step, which is always allowed."""
        if "." in path:
            self._listed(path, loc, "allowed_operators", f"names the operator `{brief(path)}`")

    def code(self, reference: str, loc: Loc) -> None:
        """Check a reference, `module:name`, to the user's own Python."""
        what = f"names the code `{brief(reference)}`"
        self._allow(self.settings.allows_code(reference), loc, "allowed_entrypoints", what)

    def class_path(self, path: str, loc: Loc) -> None:
        """Check the dotted path of a timetable, a notifier, a callback or an error."""
        self._listed(path, loc, "allowed_classes", f"names the class `{brief(path)}`")

    def template(self, text: str, loc: Loc) -> None:
        """Check a text that Jinja renders when a task runs."""
        if not self.restricted or JINJA.search(text) is None:
            return
        if not self.faults.count_template(text, loc):
            return
        from airflow_wall.loader.templates import disallowed_part  # imports Jinja, which most files do not need

        part = disallowed_part(text, self.settings.allowed_templates)
        if part is not None:
            hint = f"fill in only names, e.g. `{{{{ ds }}}}`; {_setting('allowed_templates')} adds names"
            self._refuse(loc, f"uses {part} in a template", hint)

    # --- by kind

    def _leaf(self, leaf: Leaf) -> None:
        if not leaf.rules:
            hint = "remove it; the package that brings it must declare a kind for it (`airflow_wall.text.kinds`)"
            self._refuse(leaf.loc, "has no kind that policy could follow from", hint, of_key=True)
        for rule in leaf.rules:
            if isinstance(rule, Beyond):
                self._refuse(leaf.loc, rule.reason, "remove it", of_key=True)
            elif leaf.value is None:
                self._default(rule, leaf.loc)
            elif rule is FieldKind.CODE and FieldKind.PLAIN in leaf.rules and _is_name(leaf.value):
                continue
            elif rule not in _FREE:
                for value, loc in _single(leaf.value, leaf.loc):
                    self._value(rule, value, loc)

    def _value(self, kind: FieldKind, value: Any, loc: Loc) -> None:
        if isinstance(value, Target):
            self._target(value, loc)
        elif isinstance(value, Source):
            self._source(value, loc)
        elif isinstance(value, Template | XComRef) and kind not in _BY_BEGINNING:
            self._refuse(loc, "is known only when the task runs, and may then be anything", "write it out")
        elif isinstance(value, Template | XComRef):
            self._beginning(kind, value, loc)
        elif isinstance(value, str) and kind in _CHECKS:
            _CHECKS[kind](self, value, loc)
        else:
            self._refuse(loc, f"must be text to be known as {kind}", "write a text")

    def _beginning(self, kind: FieldKind, value: Template | XComRef, loc: Loc) -> None:
        text = value.text.partition("{{")[0] if isinstance(value, Template) else ""
        target = parse_beginning(text) if kind is FieldKind.TARGET else None
        is_known = "/" in (text.partition("://")[2] if "://" in text else text)
        source = source_beginning(text) if kind is FieldKind.SOURCE and is_known else None
        if target is not None:
            self._target(target, loc)
        elif source is not None:
            self._source(source, loc)
        else:
            hint = "write it out, or its beginning with a `/` in it, e.g. `landing/{{ ds }}`"
            self._refuse(loc, "is known only when the task runs, and may then be anything", hint)

    def _default(self, kind: FieldKind, loc: Loc) -> None:
        """Check the default of a kind, which null stands for."""
        if kind is FieldKind.LAKE and not self._is_allowed_lake(DEFAULT_STORAGE):
            message = f"is missing, so that the default folder `{DEFAULT_STORAGE}` is used"
            self._refuse(loc, message, self._lake_hint(), of_key=True)
        elif kind is FieldKind.CLOUD_CONNECTION:
            hint = f"name one of {_setting('allowed_connections')} by `conn_id`"
            self._refuse(loc[:-1], "uses the cloud by its default connection", hint)

    def _lake(self, address: str, loc: Loc) -> None:
        if not self._is_allowed_lake(address):
            what = "lake" if "://" in address else "folder"
            self._refuse(loc, f"names the {what} `{brief(address)}`", self._lake_hint())
        elif conn_id := Lake(address).conn_id:
            self._connection(conn_id, loc)

    def _is_allowed_lake(self, address: str) -> bool:
        return any(lies_in(address, lake) for lake in self.settings.allowed_storage)

    def _lake_hint(self) -> str:
        lakes = listed(map(normalized, self.settings.allowed_storage))
        return f"name {lakes} or a folder below; {_setting('allowed_storage')} adds others"

    def _target(self, target: Target, loc: Loc) -> None:
        if target.conn_id:
            self._connection(target.conn_id, loc)
        elif not target.in_lake:
            self._refuse(loc, f"names `{brief(target.text)}`, which is outside `storage`", "publish to another target")

    def _source(self, source: Source, loc: Loc) -> None:
        if source.conn_id:
            self._connection(source.conn_id, loc)
        elif not source.in_lake:
            self._refuse(
                loc, f"names `{brief(source.text)}`, which is outside `storage`", "name a path below `storage`"
            )

    def _connection(self, conn_id: str, loc: Loc) -> None:
        try:
            what = f"names the connection `{brief(check_conn_id(conn_id))}`"
        except ConnectionFault:  # it may hold a password, so it is not repeated
            what = "names a connection by an address"
        self._listed(conn_id, loc, "allowed_connections", what)

    def _variable(self, name: str, loc: Loc) -> None:
        self._listed(f"var.value.{name}", loc, "allowed_templates", f"reads the variable `{brief(name)}` of Airflow")

    def _requirement(self, line: str, loc: Loc) -> None:
        try:
            requirement = parse_requirement(line)
        except RequirementFault as error:
            self._refuse(loc, error.expected, error.hint)
            return
        if requirement.url is not None:
            self._refuse(loc, f"installs `{brief(line)}` from an address", "name a package of the index")
        else:
            patterns = [_normalized(pattern) for pattern in self.settings.allowed_requirements]
            what = f"installs the package `{requirement.name}`"
            self._allow(matches_any(requirement.name, patterns), loc, "allowed_requirements", what)

    def _python(self, value: str, loc: Loc) -> None:
        if not VERSION.fullmatch(value):
            self._listed(value, loc, "allowed_pythons", f"names the program `{brief(value)}`")

    def _image(self, value: str, loc: Loc) -> None:
        self._listed(value, loc, "allowed_images", f"names the image `{brief(value)}`")

    def _identity(self, value: str, loc: Loc) -> None:
        self._listed(value, loc, "allowed_identities", f"uses the cloud in the name of `{brief(value)}`")

    def _resource(self, value: str, loc: Loc) -> None:
        self._listed(value, loc, "allowed_resources", f"names `{brief(value)}` in the cloud")

    # --- refusing

    def _listed(self, name: str, loc: Loc, setting: str, what: str) -> None:
        self._allow(matches_any(name, getattr(self.settings, setting)), loc, setting, what)

    def _allow(self, is_allowed: bool, loc: Loc, setting: str, what: str) -> None:
        if self.restricted and not is_allowed:
            self._refuse(loc, what, f"do without, or have it added to {_setting(setting)}")

    def _refuse(self, loc: Loc, what: str, hint: str, *, of_key: bool = False) -> None:
        self.faults.add(loc, f"{what}, which this deployment does not allow", hint, of_key=of_key)


def _single(value: Any, loc: Loc) -> Iterator[tuple[Any, Loc]]:
    """Yield the single values of a leaf, which may be a list or a mapping of values of its kind."""
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else None
    if pairs is None:
        yield value, loc
        return
    for key, item in pairs:
        yield from _single(item, (*loc, key))


def _normalized(pattern: str) -> str:
    """Return a pattern with the normalized name of a package."""
    from packaging.utils import canonicalize_name  # most files have no requirements

    name = canonicalize_name(pattern.removesuffix("*"))
    return f"{name}*" if pattern.endswith("*") else name


def _setting(name: str) -> str:
    return f"the setting `[{SECTION}] {name}`"


def _is_name(value: Any) -> bool:
    """Return True if a value is a name, as opposed to code, `module:name`."""
    return isinstance(value, str) and ":" not in value


_CHECKS: Mapping[FieldKind, Callable[[Policy, str, Loc], None]] = {
    FieldKind.LAKE: Policy._lake,
    FieldKind.CONNECTION: Policy._connection,
    FieldKind.CLOUD_CONNECTION: Policy._connection,
    FieldKind.CODE: Policy.code,
    FieldKind.CLASS: Policy.class_path,
    FieldKind.OPERATOR: Policy.operator,
    FieldKind.TEMPLATE: Policy.template,
    FieldKind.VARIABLE: Policy._variable,
    FieldKind.REQUIREMENT: Policy._requirement,
    FieldKind.PYTHON: Policy._python,
    FieldKind.IMAGE: Policy._image,
    FieldKind.IDENTITY: Policy._identity,
    FieldKind.RESOURCE: Policy._resource,
}
"""Kind of field -> the check of its value. Methods that an object holds would make it a cycle."""

"""Check the values of steps beyond their types, when the file is read and not only when the task runs."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.checks.patterns import LEAST_COST, MAX_COST, PatternCompiler
from airflow_wall.connections.info import check_conn_id
from airflow_wall.diagnostics.faults import Fault, FaultyText, Loc
from airflow_wall.environments.user_code import check_entrypoint
from airflow_wall.errors import ConnectionFault, UserCodeError, WallError
from airflow_wall.language.markers import Marker
from airflow_wall.loader.code import check_reference
from airflow_wall.loader.faults import Faults
from airflow_wall.loader.files import Folder
from airflow_wall.loader.signature import check_call
from airflow_wall.models.name import check_model_name
from airflow_wall.storage.base import check_name
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.kinds import FieldKind, leaves
from airflow_wall.text.reader import read_text

if TYPE_CHECKING:
    from airflow_wall.checks.base import Check


_READERS: dict[str, Callable[[str], object]] = {
    "conn_id": check_conn_id,
    "model": check_model_name,
    "table": check_name,
    "target": check_name,
}
"""Field of a step to the function that parses its value when the task runs."""

_CODE = ("entrypoint", "save", "load")
"""Fields that name a function of the user's own."""

_PATTERN = re.compile(r"[*?\[]")


class Values:
    """
    Checks the values of the steps of one document, as far as they are known when the file is read.

    :param faults: Collects the faults.
    :param folder: The pipeline's directory.
    """

    def __init__(self, faults: Faults, folder: Folder) -> None:
        self.faults = faults
        self.folder = folder
        self.sound: set[tuple[str, str]] = set()
        """Fields and values that were checked and have no fault. The tasks of a pipeline share tables."""

    @functools.cached_property
    def patterns(self) -> PatternCompiler:
        """The compiler of the regular expressions of this document."""
        return PatternCompiler(self.faults.share(MAX_COST, LEAST_COST))

    def check(self, arguments: Mapping[str, Any], loc: Loc, *, is_mapped: bool = False) -> None:
        """
        Note the faults in the arguments of a step at `loc`. Values of a wrong type are left to the step's model.

        :param is_mapped: True if `expand` gives further arguments.
        """
        for field, value in arguments.items():
            if field in _READERS or field in (*_CODE, "promote"):
                self.check_field(field, value, (*loc, field))
        if isinstance(arguments.get("inputs"), Mapping):
            self._inputs(arguments, loc)
            if isinstance(arguments.get("entrypoint"), str) and not is_mapped:
                check_call(arguments["entrypoint"], arguments, self.folder, self.faults, loc)
        if arguments.get("order_by") is not None and not arguments.get("key"):
            hint = "add `key`, the columns that identify a row, e.g. `key: [id]`"
            self.faults.add((*loc, "order_by"), "has no effect without `key`", hint, of_key=True)

    def check_field(self, field: str, value: Any, loc: Loc) -> None:
        """Note the faults that the value of one field, at `loc`, has on its own."""
        if field in _READERS:
            self._read(field, value, loc)
        elif field in _CODE:
            self._code(value, loc)
        elif field == "promote" and isinstance(value, Mapping) and ":" in str(value.get("metric")):
            self._code(value["metric"], (*loc, "metric"))

    def _read(self, field: str, value: Any, loc: Loc, about: str = "") -> None:
        if isinstance(value, str) and value and (field, value) not in self.sound:  # an empty text is a fault already
            try:
                _READERS[field](value)
                self.sound.add((field, value))
            except WallError as error:
                message = error.message.removeprefix(f"`{field}`").lstrip(": ")
                self.faults.add(loc, f"{about}{message}", error.hint, is_secret=isinstance(error, ConnectionFault))

    def _inputs(self, arguments: Mapping[str, Any], loc: Loc) -> None:
        for name, table in arguments["inputs"].items():
            where = (*loc, "inputs", name)
            if isinstance(table, Mapping):  # `{table: NAME, external: true}`
                table, where = table.get("table"), (*where, "table")
            if isinstance(table, str) and _PATTERN.search(table) is None:
                self._read("table", table, where)
            if arguments.get("entrypoint") is not None and not name.isidentifier():
                message = "cannot be the name of a function's argument"
                self.faults.add((*loc, "inputs", name), message, "write letters, digits and `_`", of_key=True)
            if isinstance(arguments.get("parameters"), Mapping) and name in arguments["parameters"]:
                message = f"has the name of the input `{name}`"
                self.faults.add((*loc, "parameters", name), message, "rename one of them", of_key=True)
        if arguments.get("sql") is not None and arguments.get("parameters") and arguments.get("entrypoint") is None:
            self.faults.add((*loc, "parameters"), "are for `entrypoint`, not for `sql`", "remove them", of_key=True)

    # --- contents of other files

    def _code(self, entrypoint: Any, loc: Loc) -> None:
        if not isinstance(entrypoint, str):
            return
        try:
            check_entrypoint(entrypoint)
        except UserCodeError as error:
            self.faults.add(loc, error.message.removeprefix("`entrypoint`").lstrip(": "), error.hint)
        else:
            check_reference(entrypoint, self.folder, self.faults, loc)

    def checks(self, value: Any, file: str | None, loc: Loc) -> Sequence[Check]:
        """
        Return the parsed checks of a `check_integrity`; none if they have faults or are known only when the task runs.

        :param value: The list of checks, or the text of a file.
        :param file: The file, as the pipeline names it; None if the checks are in the pipeline itself.
        """
        if _holds_marker(value) or (file is not None and file not in self.folder.texts):
            return ()  # known only when the task runs, or the file cannot be read, which is a fault already
        from airflow_wall.checks.load import faults_of_list, load_checks  # imports the kinds of checks

        if isinstance(value, list):
            faults = faults_of_list(value, self.patterns)
            for fault in faults:
                self.faults.add((*loc, *fault.loc[1:]), fault.message, fault.hint, of_key=fault.of_key)
            if faults:
                return ()
            return self._with_names(load_checks(value, path=None, patterns=self.patterns), loc, inline=True)
        if isinstance(value, str):
            try:
                path = str(self.folder.path / (file or "checks.yaml"))
                parsed = load_checks(value, path=path, patterns=self.patterns)
                return self._with_names(parsed, loc, inline=False)
            except FaultyText as error:
                if file is not None:
                    self.faults.include(error)
                    return ()
                for in_text in error.faults:
                    self.faults.add(loc, f"is wrong in its line {in_text.place.line}: {in_text.message}", in_text.hint)
        return ()

    def _with_names(self, checks: Sequence[Check], loc: Loc, *, inline: bool) -> Sequence[Check]:
        """Return the checks, and note the faults in the names of the tables and models that they read."""
        for index, check in enumerate(checks):
            for leaf in leaves(check, (*loc, index, check.kind)):
                for kind in (FieldKind.TABLE, FieldKind.MODEL):
                    if kind in leaf.rules:
                        keys = ".".join(str(key) for key in leaf.loc[len(loc) + 1 :])
                        about = "" if inline else f"names a file whose `{keys}` "
                        self._read(kind.value, leaf.value, leaf.loc if inline else loc, about)
        return checks

    def contract(self, value: Any, file: str | None, loc: Loc) -> Any:
        """
        Return the declared contract of an `ingest` as plain values; empty if it has faults.

        :param value: The contract, or the text of a file.
        :param file: The file, as the pipeline names it; None if the contract is in the pipeline itself.
        """
        if _holds_marker(value) or (file is not None and file not in self.folder.texts):
            return {}  # markers are faults of their own, and so is a file that cannot be read
        from airflow_wall.storage.contract import contract_faults  # imports DuckDB

        if file is None:
            for fault in contract_faults(value):
                self.faults.add((*loc, *fault.loc), fault.message, fault.hint, of_key=fault.of_key)
            return value
        path = self.folder.path / file
        try:
            documents = read_text(value.encode(), path)
        except FaultyText as error:
            self.faults.include(error)
            return {}
        document = documents[0] if documents else YamlDocument(path, value, None, {}, {})
        faults = [
            Fault(path, document.place(fault.loc, of_key=fault.of_key), f"{_key(fault.loc)}{fault.message}", fault.hint)
            for fault in contract_faults(document.value)
        ]
        if faults:
            self.faults.include(FaultyText(faults, value))
            return {}
        return document.value


def _key(loc: Loc) -> str:
    return f"`{'.'.join(map(str, loc))}` " if loc else ""


def _holds_marker(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_marker(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_marker(item) for item in value)
    return isinstance(value, Marker)

"""What the values of our steps must be beyond their type: said when the file is read, not when the task runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_wall.errors import ConnectionFault, UserCodeError, WallError
from airflow_wall.jobs.sources import check_source, is_sql
from airflow_wall.jobs.user_code import check_entrypoint
from airflow_wall.loader.code import check_reference
from airflow_wall.loader.faults import Faults
from airflow_wall.loader.files import Folder
from airflow_wall.models.name import check_model_name
from airflow_wall.publish.address import check_word, parse
from airflow_wall.spec.markers import Marker
from airflow_wall.storage.base import check_name
from airflow_wall.text.faults import FaultyText, Loc


def _check_conn_id(value: str) -> None:
    if "://" in value:  # not repeated: it may hold a password
        hint = "write its id; address and password belong into the connection itself"
        raise ConnectionFault("must be the id of an Airflow connection, not an address", hint=hint)
    check_word("conn_id", value)


_READERS: dict[str, Callable[[str], object]] = {
    "conn_id": _check_conn_id,
    "model": check_model_name,
    "source": check_source,
    "table": check_name,
    "target": check_name,
    "to": parse,
}
"""Field of a step to what reads its value when the task runs."""

_PATTERN = re.compile(r"[*?\[]")


class Values:
    """
    Checks the values that the steps of one document are given, where they are written out.

    :param faults: Where faults go.
    :param folder: The pipeline's folder.
    """

    def __init__(self, faults: Faults, folder: Folder) -> None:
        self.faults = faults
        self.folder = folder
        self.sound: set[tuple[str, str]] = set()
        """Field and value that were found without fault: the tasks of a pipeline name the same tables."""

    def check(self, given: Mapping[str, Any], loc: Loc) -> None:
        """`given` are the arguments of a step that stand at `loc`; a value of the wrong type is another's news."""
        for field, value in given.items():
            if field in _READERS or field == "entrypoint":
                self.one(field, value, (*loc, field))
        destinations = given.get("to")
        for index, each in enumerate(destinations if isinstance(destinations, list) else ()):
            if isinstance(each, Mapping):
                self._read("to", each.get("to"), (*loc, "to", index, "to"))
                self._destination(each, (*loc, "to", index))
        if isinstance(given.get("inputs"), Mapping):
            self._inputs(given, loc)
        self._source(given, loc)

    def one(self, field: str, value: Any, loc: Loc) -> None:
        """What can be said of the value of one field by itself; it stands at `loc`."""
        if field in _READERS:
            self._read(field, value, loc)
        elif field == "entrypoint":
            self._code(value, loc)

    def _read(self, field: str, value: Any, loc: Loc) -> None:
        if isinstance(value, str) and value and (field, value) not in self.sound:  # an empty one is told already
            try:
                _READERS[field](value)
                self.sound.add((field, value))
            except WallError as error:
                self.faults.add(loc, error.message.removeprefix(f"`{field}`").lstrip(": "), error.hint)

    def _destination(self, given: Mapping[str, Any], loc: Loc) -> None:
        to = given.get("to")
        if isinstance(to, str) and to.startswith("search://") and not given.get("key"):
            hint = "add `key`, the columns that tell documents apart, e.g. `key: [id]`"
            self.faults.add((*loc, "key"), "is missing, which an index needs", hint, of_key=True)

    def _inputs(self, given: Mapping[str, Any], loc: Loc) -> None:
        for name, table in given["inputs"].items():
            if isinstance(table, str) and _PATTERN.search(table) is None:
                self._read("table", table, (*loc, "inputs", name))
            if given.get("entrypoint") is not None and not name.isidentifier():
                message = "cannot be the name of a function's argument"
                self.faults.add((*loc, "inputs", name), message, "write letters, digits and `_`", of_key=True)
            if isinstance(given.get("parameters"), Mapping) and name in given["parameters"]:
                message = f"has the name of the input `{name}`"
                self.faults.add((*loc, "parameters", name), message, "rename one of them", of_key=True)
        if given.get("sql") is not None and given.get("parameters") and given.get("entrypoint") is None:
            self.faults.add((*loc, "parameters"), "are for `entrypoint`, not for `sql`", "remove them", of_key=True)

    def _source(self, given: Mapping[str, Any], loc: Loc) -> None:
        source = given.get("source")
        if not isinstance(source, str):
            return
        for field in ("format", "options") if is_sql(source) else ("cursor",):
            if given.get(field) is not None:
                what = "files" if is_sql(source) else "SQL tables"
                self.faults.add((*loc, field), f"is for {what}, and `source` is `{source}`", "remove it", of_key=True)

    # --- what other files hold

    def _code(self, entrypoint: Any, loc: Loc) -> None:
        if not isinstance(entrypoint, str):
            return
        try:
            check_entrypoint(entrypoint)
        except UserCodeError as error:
            self.faults.add(loc, error.message.removeprefix("`entrypoint`").lstrip(": "), error.hint)
        else:
            check_reference(entrypoint, self.folder, self.faults, loc)

    def checks(self, value: Any, file: str | None, loc: Loc) -> None:
        """
        The checks of a `check_integrity`.

        :param value: The list of them, or the text of a file.
        :param file: The file, as the pipeline names it; None for what the pipeline itself holds.
        """
        if _holds_marker(value) or (file is not None and file not in self.folder.texts):
            return  # what the task finds there, or a file that cannot be read, which is told already
        from airflow_wall.checks.load import faults_of_list, load_checks  # brings the kinds of checks

        if isinstance(value, list):
            for found in faults_of_list(value):
                self.faults.add((*loc, *found.loc[1:]), found.message, found.hint, of_key=found.of_key)
        elif isinstance(value, str):
            try:
                load_checks(value, path=str(self.folder.path / (file or "checks.yaml")))
            except FaultyText as error:
                if file is not None:
                    self.faults.include(error)
                    return
                for fault in error.faults:
                    self.faults.add(loc, f"is wrong in its line {fault.place.line}: {fault.message}", fault.hint)


def _holds_marker(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_marker(each) for each in value.values())
    if isinstance(value, list):
        return any(_holds_marker(each) for each in value)
    return isinstance(value, Marker)

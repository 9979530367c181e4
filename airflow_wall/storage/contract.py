"""
The contract of a table: its columns with their types, and what people say about them.

A pipeline may declare a contract. Every table that `ingest` writes also has a recorded one: the types of the first
delivery are pinned there, and each later delivery is read in them. The record is written before the rows. If a try is
killed between the two, the next try reads the same files in the same types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import pyarrow as pa

from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.engines.duckdb.type_names import type_name, type_of
from airflow_wall.errors import DataError, Interrupted
from airflow_wall.lake.lake import Lake


@dataclass(frozen=True)
class DeclaredColumn:
    """
    The declaration of one column.

    :param type: Its SQL type, e.g. `varchar`, `bigint` or `decimal(10,2)`; None if it is not declared.
    :param nullable: If False, a row without a value is a bad row.
    :param description: The meaning of the column, for people.
    :param pii: True if the column holds personal data, for people.
    """

    type: str | None = None
    nullable: bool = True
    description: str | None = None
    pii: bool = False


@dataclass(frozen=True)
class DeclaredContract:
    """
    The contract that a pipeline declares for a table.

    :param columns: Column to its declaration.
    :param description: The meaning of the table, for people.
    :param owner: Who answers for the data, for people.
    """

    columns: Mapping[str, DeclaredColumn] = field(default_factory=dict)
    description: str | None = None
    owner: str | None = None


@dataclass(frozen=True)
class Evolution:
    """
    The changes that a later delivery may bring.

    :param new_columns: If False, a delivery with a new column is rejected.
    :param wider_types: If False, a delivery that needs a wider type, e.g. `double` for `bigint`, is rejected.
    :param missing_columns: If True, a delivery may lack a column that every delivery before it had.
    """

    new_columns: bool = True
    wider_types: bool = True
    missing_columns: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any] | None) -> Evolution:
        """
        Return the rules that `evolve` sets.

        :raises DataError: a key is unknown.
        """
        known = [field.name for field in fields(cls)]
        for name in values or {}:
            if name not in known:
                raise DataError(f"`evolve.{name}` is not a known key", hint=suggestion(name, known, what="keys"))
        return cls(**(values or {}))


@dataclass(frozen=True)
class PinnedColumn:
    """
    The recorded state of one column.

    :param type: Its type; None if no delivery has had a value in it yet.
    :param nullable: False if the pipeline declares so.
    :param always: True if every delivery so far has had the column.
    :param nulls: Texts that were read as null.
    """

    type: pa.DataType | None = None
    nullable: bool = True
    always: bool = False
    nulls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """
    The recorded contract of a table.

    :param columns: Column to its state, in the order of the table.
    :param about: Description and owner of the table and descriptions of its columns, for people.
    :param started: True if a delivery has brought rows.
    :param key: Columns that identify a row, if the table has several versions of its rows.
    :param order_by: Column that is greater in a newer version of a row.
    """

    columns: Mapping[str, PinnedColumn] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    started: bool = False
    key: tuple[str, ...] = ()
    order_by: str | None = None

    def comments(self) -> dict[str | None, str]:
        """Return column -> its description; None -> the description of the table, and its owner."""
        owner = f"owner: {self.about['owner']}" if self.about.get("owner") else None
        table = "\n".join(filter(None, (self.about.get("description"), owner)))
        columns = {name: facts.get("description") for name, facts in self.about.get("columns", {}).items()}
        return {name: text for name, text in {None: table, **columns}.items() if text}

    def types(self) -> dict[str, pa.DataType]:
        """Return the columns with a type."""
        return {name: column.type for name, column in self.columns.items() if column.type is not None}

    def to_json(self) -> dict[str, Any]:
        """Return the contract as JSON values."""
        columns = {
            name: {**asdict(column), "type": None if column.type is None else type_name(column.type)}
            for name, column in self.columns.items()
        }
        order = list(self.columns)  # documents are written with sorted keys
        return {
            "columns": columns,
            "order": order,
            "about": dict(self.about),
            "started": self.started,
            "key": list(self.key),
            "order_by": self.order_by,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Contract:
        """Return the contract from the result of `to_json`."""
        columns = {}
        for name in values["order"]:
            column = dict(values["columns"][name])
            type_ = column.pop("type")
            pinned = None if type_ is None else type_of(type_, where=f"the recorded type of column `{name}`")
            columns[name] = PinnedColumn(pinned, **{**column, "nulls": tuple(column["nulls"])})
        key = tuple(values.get("key", ()))
        return cls(columns, values.get("about", {}), values["started"], key, values.get("order_by"))

    def declared(self) -> dict[str, Any]:
        """Return the contract as a pipeline declares it."""
        columns: dict[str, Any] = {}
        about = self.about.get("columns", {})
        for name, column in self.columns.items():
            more = {**({} if column.nullable else {"nullable": False}), **about.get(name, {})}
            type_ = "varchar" if column.type is None else type_name(column.type)
            columns[name] = {"type": type_, **more} if more else type_
        table = {key: value for key, value in self.about.items() if key != "columns"}
        return {**table, "columns": columns}


def read_declared(source: Mapping[str, Any] | None, types: Mapping[str, Any] | None = None) -> DeclaredContract:
    """
    Return the contract that a step declares.

    :param source: Its `contract`.
    :param types: Its `options.types`, which declares types alone.
    :raises DataError: a key or a type is unknown, or a column has two types.
    """
    if source:
        for fault in contract_faults(source):
            key = ".".join(map(str, ("contract", *fault.loc)))
            raise DataError(f"`{key}` {fault.message}", hint=fault.hint)
    values = source or {"columns": {}}
    declared = DeclaredContract(
        {
            str(name): DeclaredColumn(**({"type": column} if isinstance(column, str) else column))
            for name, column in values["columns"].items()
        },
        values.get("description"),
        values.get("owner"),
    )
    columns = dict(declared.columns)
    for name, type_ in (types or {}).items():
        known = next((column for column in columns if column.lower() == name.lower()), name)
        column = columns.get(known, DeclaredColumn())
        if column.type is not None and column.type.lower() != str(type_).lower():
            raise DataError(
                f"column `{name}` is `{column.type}` in `contract` and `{type_}` in `options.types`",
                hint="remove it from `options.types`",
            )
        columns[known] = replace(column, type=str(type_))
    for name, column in columns.items():
        if column.type is not None:
            type_of(column.type, where=f"the type of column `{name}`")
    return replace(declared, columns=columns)


@dataclass(frozen=True)
class ContractFault:
    """
    A fault of a declared contract.

    :param loc: Its path, e.g. `("columns", "zip", "type")`.
    :param of_key: True if the fault is in the key at `loc`, not in its value.
    """

    loc: tuple[str | int, ...]
    message: str
    hint: str | None
    of_key: bool = False


def contract_faults(value: Any) -> list[ContractFault]:
    """Return all faults of a declared contract."""
    example = "write, e.g., `columns: {id: bigint, zip: {type: varchar, nullable: false}}`"
    if not isinstance(value, Mapping):
        return [ContractFault((), f"must be a mapping with the key `columns`, got `{brief(value)}`", example)]
    columns = value.get("columns")
    faults = _faults_of_keys(value, {"columns": None, "description": str, "owner": str}, ())
    if "columns" not in value:
        faults.append(ContractFault((), "`columns` is missing", example))
    elif not isinstance(columns, Mapping):
        faults.append(ContractFault(("columns",), f"must be a mapping, got `{brief(columns)}`", example))
    else:
        for name, column in columns.items():
            faults += _faults_of_column(column, ("columns", str(name)))
    return faults


def _faults_of_column(column: Any, loc: tuple[str | int, ...]) -> list[ContractFault]:
    if isinstance(column, Mapping):
        faults = _faults_of_keys(column, {"type": str, "nullable": bool, "description": str, "pii": bool}, loc)
        place: tuple[str | int, ...] = (*loc, "type")
        type_ = column.get("type")
    elif isinstance(column, str):
        faults, place, type_ = [], loc, column
    else:
        hint = f"write its type, e.g., `{loc[-1]}: varchar`"
        return [ContractFault(loc, f"must be a type or a mapping, got `{brief(column)}`", hint)]
    if isinstance(type_, str):
        try:
            type_of(type_, where="")
        except DataError as error:
            faults.append(ContractFault(place, f"must be a type of a column, got `{brief(type_)}`", error.hint))
    return faults


def _faults_of_keys(
    block: Mapping[Any, Any], kinds: Mapping[str, type | None], loc: tuple[str | int, ...]
) -> list[ContractFault]:
    faults = []
    for name, value in block.items():
        kind = kinds.get(name)
        if name not in kinds:
            hint = suggestion(str(name), kinds, what="keys")
            faults.append(ContractFault((*loc, str(name)), "is not a known key", hint, of_key=True))
        elif kind is not None and not isinstance(value, kind):
            expected = "`true` or `false`" if kind is bool else "text"
            hint = f"write `{name}: true` or `{name}: false`, without quotes" if kind is bool else "quote it"
            faults.append(ContractFault((*loc, str(name)), f"must be {expected}, got `{brief(value)}`", hint))
    return faults


def declare(contract: Contract, declared: DeclaredContract) -> Contract:
    """Return a recorded contract with the types and rules that the pipeline declares."""
    columns = dict(contract.columns)
    casing = {name.lower(): name for name in columns}
    about: dict[str, Any] = {}
    for given, column in declared.columns.items():
        name = casing.get(given.lower(), given)
        pinned = replace(columns.get(name, PinnedColumn()), nullable=column.nullable)
        if column.type is not None:
            pinned = replace(pinned, type=type_of(column.type, where=f"the type of column `{name}`"))
        columns[name] = pinned
        if column.description or column.pii:
            about[name] = {
                **({"description": column.description} if column.description else {}),
                **({"pii": True} if column.pii else {}),
            }
    for name in columns:
        if name not in {casing.get(given.lower(), given) for given in declared.columns}:
            columns[name] = replace(columns[name], nullable=True)
    table = {name: text for name, text in (("description", declared.description), ("owner", declared.owner)) if text}
    return replace(contract, columns=columns, about={**table, **({"columns": about} if about else {})})


def from_schema(schema: pa.Schema) -> Contract:
    """Return the contract of a table without a record, e.g. one of an older version."""
    return Contract({field.name: PinnedColumn(field.type) for field in schema}, started=True)


class Contracts:
    """
    The recorded contracts of one lake.

    :param lake: The lake.
    """

    def __init__(self, lake: Lake) -> None:
        self._documents = lake.documents("contracts")

    def read(self, table: str) -> tuple[Contract, str] | None:
        """Return the contract of a table and its tag, or None if it has none."""
        read = self._documents.read(_key(table))
        return None if read is None else (Contract.from_json(read[0]), read[1])

    def write(self, table: str, contract: Contract, tag: str | None) -> None:
        """
        Record the contract of a table.

        :param tag: The tag of the contract that this one follows from; None if there was none.
        :raises Interrupted: another process has recorded one since.
        """
        values = contract.to_json()
        written = (
            self._documents.create(_key(table), values)
            if tag is None
            else self._documents.swap(_key(table), values, tag)
        )
        if not written and (self.read(table) or (None, ""))[0] != contract:
            raise Interrupted(
                f"the contract of table `{table}` was changed by another task meanwhile", hint="run the task again"
            )


def with_key(contract: Contract, key: Sequence[str], order_by: str | None) -> Contract:
    """
    Return a contract with a key. A row without a value in a column of the key is a bad row.

    :param key: Columns that identify a row; empty for a table in which all rows count.
    :param order_by: Column that is greater in a newer version of a row.
    """
    casing = {name.lower(): name for name in contract.columns}
    names = tuple(casing.get(name.lower(), name) for name in key)
    columns = dict(contract.columns)
    for name in names:
        columns[name] = replace(columns.get(name, PinnedColumn()), nullable=False)
    order = None if order_by is None else casing.get(order_by.lower(), order_by)
    return replace(contract, columns=columns, key=names, order_by=order)


def missing_columns(contract: Contract, present: Iterable[str]) -> list[str]:
    """Return the columns that every delivery has had, and that are not among the present ones."""
    given = {name.lower() for name in present}
    return [name for name, column in contract.columns.items() if column.always and name.lower() not in given]


def _key(table: str) -> str:
    return f"{table}.json"

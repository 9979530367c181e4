"""Contracts: declared by a pipeline, recorded with a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_wall.errors import DataError, Interrupted
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.contract import (
    Contract,
    Contracts,
    PinnedColumn,
    contract_faults,
    declare,
    from_schema,
    read_declared,
    with_key,
)

DECLARED = {
    "description": "One row per order.",
    "owner": "shop",
    "columns": {"id": "bigint", "zip": {"type": "varchar", "nullable": False, "description": "Postal.", "pii": True}},
}


def test_a_contract_is_written_as_it_is_declared() -> None:
    contract = declare(Contract(), read_declared(DECLARED))
    assert contract.declared() == DECLARED
    assert Contract.from_json(json.loads(json.dumps(contract.to_json()))) == contract


@pytest.mark.parametrize(
    "type_",
    [
        pa.int16(), pa.float32(), pa.decimal128(10, 2), pa.bool_(), pa.date32(), pa.time64("us"), pa.timestamp("us"),
        pa.timestamp("us", tz="UTC"), pa.binary(), pa.list_(pa.int64()), pa.struct([("a b", pa.list_(pa.string()))]),
    ],
    ids=str,
)  # fmt: skip
def test_every_type_survives_its_name(type_: pa.DataType) -> None:
    contract = from_schema(pa.schema([("x", type_)]))
    assert Contract.from_json(contract.to_json()).types() == {"x": type_}


def test_a_declared_type_replaces_the_recorded_one_without_case() -> None:
    recorded = Contract({"Zip": PinnedColumn(pa.int64(), always=True)}, started=True)
    declared = declare(recorded, read_declared({"columns": {"zip": "varchar"}}))
    assert declared.columns == {"Zip": PinnedColumn(pa.string(), always=True)}


def test_types_of_the_options_are_a_contract_too() -> None:
    assert declare(Contract(), read_declared(None, {"zip": "VARCHAR"})).types() == {"zip": pa.string()}
    with pytest.raises(DataError, match=r"`bigint` in `contract` and `VARCHAR` in `options\.types`"):
        read_declared({"columns": {"zip": "bigint"}}, {"ZIP": "VARCHAR"})


def test_columns_of_a_key_are_not_null() -> None:
    contract = with_key(Contract({"Id": PinnedColumn(pa.int64())}), ["id"], "at")
    assert (contract.key, contract.order_by, contract.columns["Id"].nullable) == (("Id",), "at", False)


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        (3, [((), "must be a mapping with the key `columns`, got `3`")]),
        ({}, [((), "`columns` is missing")]),
        ({"columns": {"a": "bigint"}, "ownr": "x"}, [(("ownr",), "is not a known key")]),
        ({"columns": {"a": {"typ": "bigint"}}}, [(("columns", "a", "typ"), "is not a known key")]),
        ({"columns": {"a": "numbr"}}, [(("columns", "a"), "must be a type of a column, got `numbr`")]),
        ({"columns": {"a": {"nullable": 3}}}, [(("columns", "a", "nullable"), "must be `true` or `false`, got `3`")]),
        ({"columns": ["a"]}, [(("columns",), 'must be a mapping, got `["a"]`')]),
    ],
    ids=str,
)
def test_faults_of_a_declared_contract_have_a_place_and_a_hint(value: Any, faults: list[Any]) -> None:
    found = contract_faults(value)
    assert [(fault.loc, fault.message) for fault in found] == faults
    assert all(fault.hint for fault in found)


def test_two_tasks_cannot_record_two_types(tmp_path: Path) -> None:
    contracts = Contracts(Lake(tmp_path))
    first, second = from_schema(pa.schema([("x", pa.int64())])), from_schema(pa.schema([("x", pa.string())]))
    contracts.write("b/t", first, None)
    contracts.write("b/t", first, None)  # a second try of the same task
    with pytest.raises(Interrupted, match="was changed by another task"):
        contracts.write("b/t", second, None)
    recorded, tag = contracts.read("b/t") or (Contract(), "")
    assert recorded == first
    contracts.write("b/t", second, tag)
    with pytest.raises(Interrupted):
        contracts.write("b/t", first, tag)


@pytest.mark.parametrize(
    ("about", "comments"),
    [
        ({}, {}),
        ({"owner": "sales"}, {None: "owner: sales"}),
        (
            {
                "description": "Orders.",
                "owner": "sales",
                "columns": {"id": {"description": "Number."}, "name": {"pii": True}},
            },
            {None: "Orders.\nowner: sales", "id": "Number."},
        ),
    ],
)
def test_comments_describe_the_table_and_its_columns(about: dict[str, Any], comments: dict[str | None, str]) -> None:
    assert Contract(about=about).comments() == comments

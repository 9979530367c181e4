"""`airflow-wall contract`: write the contract of a table from the rows that it has."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml

from airflow_wall.cli.listing import STORAGE, AsJson, Storage, open_lake, print_json
from airflow_wall.cli.output import out


def contract(
    table: Annotated[str, typer.Argument(help="The table, e.g. bronze/orders.")],
    storage: Storage = STORAGE,
    as_json: AsJson = False,
) -> None:
    """
    Print the contract of a table: its columns and their types, as `contract` of an ingest.

    Redirect it to a file beside the pipeline, and name that file in the step: `contract: contracts/orders.yaml`.
    """
    from airflow_wall.storage.backends import open_tables  # they take longer to import than all other commands
    from airflow_wall.storage.contract import Contracts, from_schema

    lake = open_lake(storage)
    schema = open_tables(lake).schema(table)
    recorded = Contracts(lake).read(table)
    written = (from_schema(schema) if recorded is None else recorded[0]).declared()
    if as_json:
        print_json(contract=written)
        return
    out().print(yaml.safe_dump(written, sort_keys=False, allow_unicode=True), end="")

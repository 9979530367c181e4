"""The check `schema`: the columns of the table have exactly these types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from airflow_wall.checks.base import Check, CheckOutcome, Scope
from airflow_wall.checks.data import Data
from airflow_wall.errors import DataError
from airflow_wall.text.kinds import FieldKind, Plain


def _type_name(name: str) -> str:
    try:
        from airflow_wall.engines.duckdb.type_names import type_of
    except ImportError:  # without pyarrow files are only validated
        return name
    try:
        type_of(name, where="type")
    except DataError as error:
        raise PydanticCustomError("type", "must be the type of a column", {"hint": error.hint}) from None
    return name


class Schema(Check):
    """
    The table has these columns, of exactly these types, in the words of a contract: `bigint`, `decimal(10,2)`.

    The check [`columns`](#columns) is wider: there, `integer` is an integer of any size.
    """

    kind: ClassVar[str] = "schema"
    scopes: ClassVar[tuple[Scope, ...]] = ()

    columns: dict[str, Annotated[str, AfterValidator(_type_name), FieldKind.PLAIN]] = Field(
        min_length=1, description="Column names with their types."
    )
    other_columns: Plain[bool] = Field(True, description="If `false`, the table has no other columns.")

    def reads(self) -> Sequence[str]:
        """See `Check.reads`."""
        return ()

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        from airflow_wall.engines.duckdb.type_names import type_name, type_of

        actual = {field.name: type_name(field.type) for field in data.schema}
        declared = {name: type_name(type_of(type_, where="type")) for name, type_ in self.columns.items()}
        wrong = [f"no `{name}`" for name in declared if name not in actual]
        wrong += [
            f"`{name}` is {actual[name]}"
            for name, type_ in declared.items()
            if name in actual and actual[name] != type_
        ]
        if not self.other_columns:
            wrong += [f"`{name}` too" for name in actual if name not in declared]
        expected = ", ".join(f"`{name}` {type_}" for name, type_ in declared.items())
        present = ", ".join(f"`{name}` {type_}" for name, type_ in actual.items())
        return CheckOutcome(
            not wrong,
            ", ".join(wrong) or "all there",
            expected if self.other_columns else f"only {expected}",
            f"the columns are {present}" if wrong else "",
        )

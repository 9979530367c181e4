"""Leave rows out by the values of a column."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def rows_without(rows: pa.Table, column: str, values: Collection[str]) -> pa.Table:
    """
    Return the rows whose column has none of the values, in their order. Rows without the column are all kept.

    :param values: The values as text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if column not in rows.column_names or not values:
        return rows
    kind = rows.schema.field(column).type
    typed = [value for value in rows.column(column).unique().to_pylist() if value is not None and str(value) in values]
    return rows.filter(pc.invert(pc.is_in(rows.column(column), value_set=pa.array(typed, kind)))) if typed else rows

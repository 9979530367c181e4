"""
The current rows of a table with a key: of several versions of a row, the newest.

Every version stays in its slice. A version is newer if its column `order_by` is greater, else if its slice is later,
else if it comes later in its slice. So a slice that is written again never brings an older version back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.storage.base import SLICE

_PLACE = "_wall_place"
_ORDER = "_wall_order"


@dataclass(frozen=True)
class RowKey:
    """
    The key of a table.

    :param columns: Columns that identify a row.
    :param order_by: Column that is greater in a newer version of a row; None if the later delivery is newer.
    """

    columns: tuple[str, ...]
    order_by: str | None = None


def current_rows(rows: pa.Table, key: RowKey, orders: Mapping[str | None, int]) -> pa.Table:
    """
    Return the newest version of each row, in the order of the rows.

    :param rows: Rows of some slices, with the column `_wall_slice`; in a slice, later rows are newer.
    :param orders: Slice to its place in time.
    """
    slices = rows.column(SLICE).combine_chunks().dictionary_encode()
    encoded = slices if isinstance(slices, pa.DictionaryArray) else slices.combine_chunks()
    places = pa.array([orders.get(slice_id, 0) for slice_id in encoded.dictionary.to_pylist()], pa.int64())
    numbered = rows.append_column(_PLACE, pa.array(range(rows.num_rows), pa.int64()))
    numbered = numbered.append_column(_ORDER, places.take(encoded.indices))
    newest = [] if key.order_by is None else [f"{duck.identifier(key.order_by)} DESC NULLS LAST"]
    newest += [f"{_ORDER} DESC NULLS LAST", f"{_PLACE} DESC"]
    with duck.connect() as database:
        database.register("rows", numbered)
        columns = ", ".join(map(duck.identifier, key.columns))
        query = (
            f"SELECT {_PLACE} FROM rows QUALIFY row_number() OVER (PARTITION BY {columns} "  # noqa: S608  # quoted
            f"ORDER BY {', '.join(newest)}) = 1 ORDER BY {_PLACE}"
        )
        kept = database.sql(query).to_arrow_table().column(_PLACE)
    current: pa.Table = rows.take(kept)
    return current

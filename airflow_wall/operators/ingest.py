"""`IngestOperator`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.compute import ComputeOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class IngestOperator(ComputeOperator):
    """
    Bring the new data of a source into a table, exactly once, whatever is killed or retried.

    :param source: A folder or file under the storage, or `sql://CONNECTION/TABLE`. (templated)
    :param target: The table they go to, e.g. `bronze/orders`. (templated)
    :param format: `csv`, `parquet` or `jsonl`; by default the ending of the files says it. (templated)
    :param cursor: For SQL: the column that grows with every change. (templated)
    :param options: Options of the reader, e.g. `{'delim': ';'}`. (templated)
    """

    template_fields: Sequence[str] = ("source", "target", "format", "cursor", "options")

    def __init__(
        self,
        *,
        source: str,
        target: str,
        format: str | None = None,
        cursor: str | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.target = target
        self.format = format
        self.cursor = cursor
        self.options = options

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the table, its version, and how many rows and files came in."""
        return self.compute(
            context,
            "ingest",
            source=self.source,
            target=self.target,
            format=self.format,
            cursor=self.cursor,
            options=self.options,
        )

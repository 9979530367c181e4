"""`IngestOperator`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.assets import written_table
from airflow_wall.operators.compute import ComputeOperator
from airflow_wall.sources.backends import parse_source

if TYPE_CHECKING:
    from airflow.sdk import Context


class IngestOperator(ComputeOperator):
    """
    Load the new data of a source into a table, exactly once even if tasks are killed or retried.

    :param source: A directory or file in the lake, `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, or `sql://CONNECTION/TABLE`.
        (templated)
    :param target: The table to load into, e.g. `bronze/orders`. (templated)
    :param format: `csv`, `tsv`, `json`, `jsonl` or `parquet`; by default taken from the file extension. (templated)
    :param cursor: For SQL: the column that increases with every change. (templated)
    :param lag: For SQL: how far before the last value of the cursor a reading begins, e.g. `1h` or `1000`. (templated)
    :param options: Options of the reader, e.g. `{'delim': ';'}`. (templated)
    :param by: `date` for only the files whose name has the date of the run. (templated)
    :param key: Columns that identify a row. Of a row that comes again, the newest counts. (templated)
    :param order_by: With `key`: the column that is greater in a newer row. (templated)
    :param contract: The columns of the table, e.g. `{'columns': {'zip': 'varchar'}}`. (templated)
    :param evolve: The changes that a later delivery may bring, e.g. `{'new_columns': False}`. (templated)
    :param bad_rows: `fail`, or `quarantine` to store bad rows in the table `<target>_rejected`. (templated)
    :param max_bad_rows: The most bad rows of a delivery: a number, or below 1 a share. (templated)
    :param share: True if other tasks write the target, too.
    """

    template_fields: Sequence[str] = (
        "source",
        "target",
        "format",
        "cursor",
        "lag",
        "options",
        "by",
        "key",
        "order_by",
        "contract",
        "evolve",
        "bad_rows",
        "max_bad_rows",
    )

    def __init__(
        self,
        *,
        source: str,
        target: str,
        format: str | None = None,
        cursor: str | None = None,
        lag: str | float | None = None,
        options: Mapping[str, Any] | None = None,
        by: str | None = None,
        key: Sequence[str] | None = None,
        order_by: str | None = None,
        contract: Mapping[str, Any] | None = None,
        evolve: Mapping[str, bool] | None = None,
        bad_rows: str = "fail",
        max_bad_rows: float | None = None,
        share: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.target = target
        self.format = format
        self.cursor = cursor
        self.lag = lag
        self.options = options
        self.by = by
        self.key = key
        self.order_by = order_by
        self.contract = contract
        self.evolve = evolve
        self.bad_rows = bad_rows
        self.max_bad_rows = max_bad_rows
        self.share = share

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the table, its version, and the number of loaded rows and files."""
        result = self.compute(
            context,
            "ingest",
            source=self.source,
            target=self.target,
            format=self.format,
            cursor=self.cursor,
            lag=self.lag,
            options=self.options,
            by=self.by,
            key=self.key,
            order_by=self.order_by,
            contract=self.contract,
            evolve=self.evolve,
            bad_rows=self.bad_rows,
            max_bad_rows=self.max_bad_rows,
            share=self.share or None,
        )
        return self.announced(context, result)

    def announces(self) -> Iterator[str]:
        """Yield the target."""
        yield from written_table(self, self.target)

    def job_connections(self) -> tuple[str, ...]:
        """Return the connection of the source."""
        conn_id = parse_source(self.source).conn_id
        return (conn_id,) if conn_id else ()

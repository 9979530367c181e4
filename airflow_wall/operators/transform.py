"""`TransformOperator`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.assets import written_table
from airflow_wall.operators.compute import ComputeOperator
from airflow_wall.operators.table_order import Input, tables_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class TransformOperator(ComputeOperator):
    """
    Build a table from other tables, with SQL or a Python function.

    :param inputs: Table by name in the SQL or function, e.g. `{'raw': 'bronze/orders'}`. A table of an earlier
        run is `{'table': 'gold/scores', 'external': True}`. (templated)
    :param target: The table to write. (templated)
    :param sql: A SELECT over the names of `inputs`. (templated)
    :param sql_file: The file that the SQL was read from, for messages. (templated)
    :param entrypoint: A Python function `module:function`, called with one table per input. (templated)
    :param parameters: Further arguments of the function. (templated)
    :param mode: `slice` computes this run's rows from this run's rows; `full` rewrites the whole table. (templated)
    :param share: True if other tasks write the target, too.
    """

    template_fields: Sequence[str] = ("inputs", "target", "sql", "sql_file", "entrypoint", "parameters", "mode")

    def __init__(
        self,
        *,
        inputs: Mapping[str, Input],
        target: str,
        sql: str | None = None,
        sql_file: str | None = None,
        entrypoint: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        mode: str = "slice",
        share: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.inputs = inputs
        self.target = target
        self.sql = sql
        self.sql_file = sql_file
        self.entrypoint = entrypoint
        self.parameters = parameters
        self.mode = mode
        self.share = share

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the table, its version and its number of rows."""
        result = self.compute(
            context,
            "transform",
            target=self.target,
            inputs=tables_of(self.inputs),
            sql=self.sql,
            sql_file=self.sql_file,
            entrypoint=self.entrypoint,
            parameters=self.parameters,
            mode=self.mode,
            share=self.share or None,
        )
        return self.announced(context, result)

    def announces(self) -> Iterator[str]:
        """Yield the target."""
        yield from written_table(self, self.target)

"""`TransformOperator`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.compute import ComputeOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class TransformOperator(ComputeOperator):
    """
    Make a table from tables, by SQL or by a Python function.

    :param inputs: Name in the SQL or function to table, e.g. `{'raw': 'bronze/orders'}`. (templated)
    :param target: The table that is made. (templated)
    :param sql: A SELECT over the names of `inputs`. (templated)
    :param sql_file: The file the SQL was read from, for messages. (templated)
    :param entrypoint: A Python function `module:function`, called with one table per input. (templated)
    :param parameters: Further arguments of the function. (templated)
    :param mode: `slice`: this run's rows from this run's rows. `full`: the whole table anew. (templated)
    """

    template_fields: Sequence[str] = ("inputs", "target", "sql", "sql_file", "entrypoint", "parameters", "mode")

    def __init__(
        self,
        *,
        inputs: Mapping[str, str],
        target: str,
        sql: str | None = None,
        sql_file: str | None = None,
        entrypoint: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        mode: str = "slice",
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

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the table, its version and its number of rows."""
        return self.compute(
            context,
            "transform",
            target=self.target,
            inputs=self.inputs,
            sql=self.sql,
            sql_file=self.sql_file,
            entrypoint=self.entrypoint,
            parameters=self.parameters,
            mode=self.mode,
        )

"""`PredictOperator`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.assets import written_table
from airflow_wall.operators.compute import ComputeOperator
from airflow_wall.operators.table_order import Input, tables_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class PredictOperator(ComputeOperator):
    """
    Score this run's rows with the champion, or with a given version of the model.

    :param model: The model's name in the registry. (templated)
    :param inputs: The rows to score, e.g. `{'features': 'silver/*'}`. (templated)
    :param target: The table the scores go to. (templated)
    :param version: A version of the model instead of the champion. (templated)
    :param keep: Input columns to keep beside the score; by default all columns except features. (templated)
    :param max_age: Highest allowed age of the model.
    :param new_categories: Share of the values of a text feature that may be new; by default a fifth. (templated)
    :param share: True if other tasks write the target, too.
    :param load: The function that opens a model that a function of your own saved, `module:function`. (templated)
    """

    template_fields: Sequence[str] = ("model", "inputs", "target", "version", "keep", "new_categories", "load")

    def __init__(
        self,
        *,
        model: str,
        inputs: Mapping[str, Input],
        target: str,
        version: int | None = None,
        keep: Sequence[str] | None = None,
        max_age: timedelta | None = None,
        new_categories: str | float | None = None,
        share: bool = False,
        load: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.inputs = inputs
        self.target = target
        self.version = version
        self.keep = keep
        self.max_age = max_age
        self.new_categories = new_categories
        self.share = share
        self.load = load

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the table, its number of rows, and the model's version."""
        max_age = None if self.max_age is None else f"{int(self.max_age.total_seconds())}s"
        result = self.compute(
            context,
            "predict",
            model=self.model,
            inputs=tables_of(self.inputs),
            target=self.target,
            version=self.version,
            keep=self.keep,
            max_age=max_age,
            new_categories=self.new_categories,
            share=self.share or None,
            load=self.load,
            own_types=self.own_types() or None,
        )
        return self.announced(context, result)

    def announces(self) -> Iterator[str]:
        """Yield the target."""
        yield from written_table(self, self.target)

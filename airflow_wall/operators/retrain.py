"""`RetrainOperator`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.job import TableRead
from airflow_wall.operators.compute import ComputeOperator
from airflow_wall.operators.table_order import Input, reads_of, tables_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class RetrainOperator(ComputeOperator):
    """
    Train a model, compare it with the champion on held-out rows, and promote it only if it is better.

    :param entrypoint: The training function, `module:function`. (templated)
    :param inputs: Table by argument of the function, e.g. `{'features': 'silver/*'}`. (templated)
    :param model: The model's name in the registry. (templated)
    :param promote: `metric`, `lower_is_better` and `margin`; by default `rmse`, lower is better. (templated)
    :param holdout: `by` and `fraction` of the rows that test the model; by default the latest fifth. (templated)
    :param new_categories: Share of the values of a text feature that may be new; by default a fifth. (templated)
    :param accept_changes: Features of the champion that are meant to be gone or to differ. (templated)
    :param parameters: Further arguments of the function. (templated)
    :param save: A function that returns a model of your own as bytes, `module:function`. (templated)
    :param load: The function that opens these bytes. (templated)
    """

    template_fields: Sequence[str] = (
        "entrypoint",
        "inputs",
        "model",
        "promote",
        "holdout",
        "new_categories",
        "accept_changes",
        "parameters",
        "save",
        "load",
    )

    def __init__(
        self,
        *,
        entrypoint: str,
        inputs: Mapping[str, Input],
        model: str,
        promote: Mapping[str, Any] | None = None,
        holdout: Mapping[str, Any] | None = None,
        new_categories: str | float | None = None,
        accept_changes: Sequence[str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        save: str | None = None,
        load: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entrypoint = entrypoint
        self.inputs = inputs
        self.model = model
        self.promote = promote
        self.holdout = holdout
        self.new_categories = new_categories
        self.accept_changes = accept_changes
        self.parameters = parameters
        self.save = save
        self.load = load

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the model's version, its metric, the champion's metric, and whether it was promoted."""
        return self.compute(
            context,
            "retrain",
            entrypoint=self.entrypoint,
            inputs=tables_of(self.inputs),
            model=self.model,
            promote=self.promote,
            holdout=None if self.holdout is None else {**self.holdout, **tables_of(self._held_out())},
            new_categories=self.new_categories,
            accept_changes=self.accept_changes or None,
            parameters=self.parameters,
            save=self.save,
            load=self.load,
            own_types=self.own_types() or None,
        )

    def tables_read(self) -> Iterator[TableRead]:
        """Yield the inputs and the table of held-out rows."""
        yield from super().tables_read()
        yield from reads_of(self._held_out(), "holdout")

    def _held_out(self) -> dict[str, Input]:
        table = None if self.holdout is None else self.holdout.get("table")
        return {} if table is None else {"table": table}

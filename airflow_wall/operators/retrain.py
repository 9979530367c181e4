"""`RetrainOperator`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_wall.environments.backends import open_environment
from airflow_wall.errors import ModelError, UserCodeError
from airflow_wall.job import TableRead
from airflow_wall.jobs.base import run_job
from airflow_wall.operators.assets import MODEL, is_literal
from airflow_wall.operators.compute import ComputeOperator
from airflow_wall.operators.predict import PredictOperator
from airflow_wall.operators.table_order import Input, reads_of, tables_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class RetrainOperator(ComputeOperator):
    """
    Train a model, compare it with the champion on held-out rows, and promote it only if it is better.

    :param entrypoint: The training function, `module:function`. (templated)
    :param inputs: Table by argument of the function, e.g. `{'features': 'silver/*'}`. (templated)
    :param model: The model's name in the registry. (templated)
    :param promote: `metric`, `by`, `margin` and `max_loss`; by default any improvement of `rmse` or of the log loss.
        (templated)
    :param holdout: `by`, `from`, `group`, `random`, `table` or `fraction` of the rows that test the model; by default
        the latest fifth. (templated)
    :param new_categories: Share of the values of a text feature that may be new; by default a fifth. (templated)
    :param accept_changes: Features of the champion that are meant to be gone or to differ. (templated)
    :param parameters: Further arguments of the function. (templated)
    :param save: A function that returns a model of your own as bytes, `module:function`. (templated)
    :param load: The function that opens these bytes. (templated)
    :param approve: True to leave the promotion to a `PromoteModelOperator` after a human has approved it.
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
        approve: bool = False,
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
        self.approve = approve

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the model's version, its metric, the champion's metric, and whether it was promoted."""
        readers = self._readers(context)
        result = self.compute(
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
            hold=True if self.approve or readers else None,
        )
        if "held" not in result:
            return self.announced(context, result)
        for reader in readers:
            self._check_opens(context, reader, result["version"])
        if self.approve:
            return {**result, "reason": f"{result['reason']}; waits for approval"}
        self.do(context, "promote_model", model=self.model, version=result["version"], **result.pop("held"))
        return self.announced(context, {**result, "promoted": True})

    def announces(self) -> Iterator[str]:
        """Yield the model, unless another task promotes it after an approval."""
        if is_literal(self.model) and not self.approve:
            yield f"{MODEL}{self.model}"

    def _readers(self, context: Context) -> list[PredictOperator]:
        """Return the tasks of this DAG that score with the model in another Python than that of this task."""
        tasks = [task for task in context["dag"].tasks if isinstance(task, PredictOperator) and task.cluster is None]
        here = (self.cluster, self.environment())
        return [
            task
            for task in tasks
            if self.value_of(task, "model", context) == self.model and (task.cluster, task.environment()) != here
        ]

    def _check_opens(self, context: Context, reader: PredictOperator, version: int) -> None:
        """
        Check that a task can open a version before it becomes the champion.

        :raises ModelError: it cannot, e.g. because it has another version of the library.
        """
        arguments = {
            "model": self.model,
            "version": version,
            "load": self.value_of(reader, "load", context),
            "own_types": self.own_types(),
        }
        with self.error_context(context):
            job = replace(self.job(context, "open_model", arguments), environment=reader.environment())
            try:
                if job.environment:
                    open_environment(job.environment).run(job.to_json(), {}, self.log.info, limits={})
                else:
                    run_job(job, self.connection)
            except (ModelError, UserCodeError) as error:
                raise ModelError(
                    f"version {version} of model `{self.model}` is not promoted, because task `{reader.task_id}` "
                    f"cannot use it: {error.message}",
                    hint=error.hint,
                ) from error

    def tables_read(self) -> Iterator[TableRead]:
        """Yield the inputs and the table of held-out rows."""
        yield from super().tables_read()
        yield from reads_of(self._held_out(), "holdout")

    def _held_out(self) -> dict[str, Input]:
        table = None if self.holdout is None else self.holdout.get("table")
        return {} if table is None else {"table": table}

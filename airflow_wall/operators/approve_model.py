"""`ApproveModelOperator` and `PromoteModelOperator`: a human decides if a model becomes the champion."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_wall.operators.assets import MODEL, is_literal
from airflow_wall.operators.base import StepOperator
from airflow_wall.settings import LOCAL_RUN

if TYPE_CHECKING:
    from airflow.sdk import Context


class ApproveModelOperator(ApprovalOperator):
    """
    Ask a human, by Airflow's own required actions, if the version that a task has trained becomes the champion.

    It is skipped if that version is not better, and by `airflow-wall run`, where nobody could answer.

    :param retrain: Id of the `RetrainOperator` task, which has `approve: true`.
    :param result: Its result, if the task is mapped. (templated)
    """

    template_fields: Collection[str] = ("result",)  # the texts come from the result of the task

    def __init__(self, *, retrain: str, result: Any = None, **kwargs: Any) -> None:
        super().__init__(subject="Make the new version of the model its champion?", **kwargs)
        self.retrain = retrain
        self.result = result

    def execute(self, context: Context) -> Any:
        """Ask, and wait for the answer without a worker."""
        result = _result_of(self.retrain, self.result, context)
        model, version = result["model"], result["version"]
        if os.environ.get(LOCAL_RUN):
            raise AirflowSkipException(
                f"version {version} of model `{model}` waits for a human, whom only a whole Airflow can ask"
            )
        champion = result["champion_version"]
        instead = "It has no champion yet." if champion is None else f"The champion now is version {champion}."
        metrics = {result["metric"]: result["value"], **result.get("metrics", {})}
        lines = [f"| {name} | {value:.6g} |" for name, value in metrics.items()]
        self.subject = f"Make version {version} the champion of model `{model}`?"
        held_out = f"Measured on {result['rows_held_out']:,} held-out rows: {result['held_out']}."
        self.body = "\n".join(
            [f"{result['reason']}. {instead}", "", held_out, "", "| metric | value |", "| --- | --- |", *lines]
        )
        return super().execute(context)


class PromoteModelOperator(StepOperator):
    """
    Make the version that a task has trained the champion, if a human has approved it.

    It is skipped unless the answer is yes: after a rejection, without an answer, and if the approval failed.

    :param retrain: Id of the `RetrainOperator` task.
    :param approval: Id of the `ApproveModelOperator` task before it, in the same mapped group if there is one.
    :param result: The result of `retrain`, if that task is mapped. (templated)
    """

    template_fields: Sequence[str] = ("result",)

    def __init__(self, *, retrain: str, approval: str, result: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.retrain = retrain
        self.approval = approval
        self.result = result

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the model and its version."""
        result = _result_of(self.retrain, self.result, context)
        self._check_approved(result, context)
        promoted = self.do(context, "promote_model", model=result["model"], version=result["version"], **result["held"])
        return self.announced(context, {**result, **promoted})

    def _check_approved(self, result: Mapping[str, Any], context: Context) -> None:
        """
        Read the answer itself: in a mapped group, Airflow skips nothing after a rejection.

        :raises AirflowSkipException: it is not `Approve`.
        """
        ti = context["ti"]
        map_index = -1 if ti.map_index is None else ti.map_index
        answer = ti.xcom_pull(task_ids=self.approval, map_indexes=map_index)
        chosen = None if answer is None else answer["chosen_options"]
        if chosen != [ApprovalOperator.APPROVE]:
            got = "has no answer" if chosen is None else f"was answered with `{', '.join(chosen)}`"
            raise AirflowSkipException(
                f"version {result['version']} of model `{result['model']}` is not promoted: `{self.approval}` {got}"
            )

    def announces(self) -> Iterator[str]:
        """Yield the model of the task that trains it."""
        trainer = self.dag.task_dict.get(self.retrain) if self.has_dag() else None
        model = getattr(trainer, "model", None)
        if is_literal(model):
            yield f"{MODEL}{model}"


def _result_of(retrain: str, result: Mapping[str, Any] | None, context: Context) -> Mapping[str, Any]:
    """
    Return the result of a task that has trained a version.

    :raises AirflowSkipException: there is nothing to promote.
    """
    if result is None:
        result = context["ti"].xcom_pull(task_ids=retrain)
    if result is None or "held" not in result:
        reason = "it trained no version" if result is None else result["reason"]
        raise AirflowSkipException(f"`{retrain}` has no version to approve: {reason}")
    return result

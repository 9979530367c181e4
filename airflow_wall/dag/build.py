"""Build the DAG of a Plan: the only module that creates a `DAG` and its operators."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, BaseOperator, TaskGroup, TriggerRule

from airflow_wall.dag import early_reads
from airflow_wall.dag.callables import constructed
from airflow_wall.dag.coercion import coerced
from airflow_wall.dag.dag_arguments import head_arguments, provenance
from airflow_wall.dag.mapped import built_mapped
from airflow_wall.dag.notify import notifications
from airflow_wall.dag.pod import built_pods
from airflow_wall.dag.schedule import built_schedule
from airflow_wall.dag.signatures import OPERATORS, operators_of
from airflow_wall.dag.task_arguments import built_arguments
from airflow_wall.dag.values import Operator, Operators, values_of
from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.errors import first_line
from airflow_wall.language.cluster_registry import stop_may_fail
from airflow_wall.notifications.notifier import record_error
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.run_timeout import RunTimeout
from airflow_wall.planner.plan import Plan, TaskPlan

log = logging.getLogger(__name__)


def build_dag(plan: Plan) -> DAG:
    """
    Build the DAG of a plan.

    :raises FaultyText: an operator cannot be imported or rejects its arguments; names the task and its position.
    """
    kinds, faults = operators_of(plan)  # checked first: errors of Airflow itself have no position in the file
    faults += early_reads.rejected(plan)
    if faults:
        raise FaultyText(faults, plan.text)
    try:
        dag = DAG(plan.dag_id, **_dag_arguments(plan))
    except FaultyText:
        raise
    except Exception as error:
        fault = plan.places.fault(("dag_id",), f"names a DAG that Airflow rejects: {first_line(error)}")
        raise FaultyText([fault], plan.text) from error
    groups: dict[str, TaskGroup] = {}
    for group in plan.groups:
        groups[group.group_id] = TaskGroup(
            group.group_id.rpartition(".")[2],
            dag=dag,
            parent_group=groups[group.parent] if group.parent else dag.task_group,
            **group.arguments,
        )
    built: dict[str, Operator] = {}
    builder = _OperatorBuilder(plan, dag, built)
    for task in plan.tasks:
        if not all(other in built for other in task.upstream):
            continue  # downstream of a task with a fault
        within = groups[task.group] if task.group else dag.task_group
        try:
            operator = builder.operator(task, kinds[task.uses], within)
        except FaultyText as error:
            faults += error.faults
            continue
        built[task.task_id] = operator
        # The effect of `set_upstream`, which would also hash the whole DAG once per task.
        operator.upstream_task_ids.update(task.upstream)
        for task_id in task.upstream:
            built[task_id].downstream_task_ids.add(task.task_id)
    if faults:
        raise FaultyText(faults, plan.text)
    _set_teardowns(plan, built)
    approvals = _add_approvals(plan, built)
    _add_notifications(plan, [*built.values(), *approvals])
    _log_provenance(plan)
    early_reads.warn(plan)
    return dag


def _dag_arguments(plan: Plan) -> dict[str, Any]:
    construct = functools.partial(constructed, code=plan.code)
    if plan.is_native:
        return {**coerced(plan.arguments, DAG), "schedule": built_schedule(plan, construct)}
    zone = ZoneInfo(plan.timezone)
    ours = () if plan.run_timeout is None else ("dagrun_timeout",)
    arguments = {name: value for name, value in plan.arguments.items() if name not in ours}
    defaults = _in_zone(built_arguments(plan.default_args, plan, ("default_args",)), zone)
    return {**_in_zone(arguments, zone), **head_arguments(plan, construct), "default_args": defaults}


def _log_provenance(plan: Plan) -> None:
    line = provenance(plan)
    if line is not None:
        log.info(line)  # also in the log of a task: Airflow parses the file to start one


def _add_approvals(plan: Plan, built: Operators) -> list[BaseOperator]:
    """Add, and return, the tasks that ask a human and promote the model after each `retrain` with `approve`."""
    added: list[BaseOperator] = []
    faults = []
    for task in plan.tasks:
        if task.uses != "retrain" or task.arguments.get("approve") is not True:
            continue
        try:
            added += _add_approval(task, built[task.task_id])
        except Exception as error:
            message = f"adds tasks that Airflow rejects: {first_line(error)}"
            faults.append(plan.places.fault((*task.loc, "with", "approve"), message))
    if faults:
        raise FaultyText(faults, plan.text)
    return added


def _add_approval(task: TaskPlan, retrain: Any) -> list[BaseOperator]:
    """Ask after a task; return the added tasks. If it is mapped, ask for each of its instances, in a mapped group."""
    from airflow_wall.operators.approve_model import ApproveModelOperator, PromoteModelOperator

    arguments = retrain.partial_kwargs if task.mapped else vars(retrain)
    places = {name: arguments[name] for name in ("storage", "project", "code", "place")}
    # A rule of `default_args` could promote before the answer, and the answer would then change nothing.
    common: Any = {"retrain": task.task_id, "dag": retrain.dag, "trigger_rule": TriggerRule.ALL_SUCCESS}
    added: list[BaseOperator] = []

    def ask(result: Any, label: str, **within: Any) -> ApproveModelOperator:
        # The provider takes a timeout of `default_args`, which is meant for work, for the human's time.
        asking: Any = {"task_id": f"{label}_approval", "execution_timeout": None}
        approval = ApproveModelOperator(result=result, **asking, **within, **common)
        names: Any = {"task_id": f"{label}_promotion", "approval": approval.task_id}
        promotion = PromoteModelOperator(result=result, **names, **places, **within, **common)
        approval >> promotion
        added.extend((approval, promotion))
        return approval

    def ask_each(result: Any) -> None:
        ask(result, task.task_id)  # the group below adds no prefix

    if task.mapped:
        from airflow.sdk import task_group  # imports the decorators, which most files do not need

        group: Any = {"prefix_group_id": False, "dag": retrain.dag, "parent_group": retrain.task_group}
        task_group(group_id=f"{retrain.label}_approvals", **group)(ask_each).expand(result=retrain.output)
    else:
        retrain >> ask(None, retrain.label, task_group=retrain.task_group)
    return added


def _set_teardowns(plan: Plan, built: Operators) -> None:
    for task in plan.tasks:
        if task.setup:
            built[task.task_id].is_setup = True
        # With this flag the state of the run depends on the clean-up too, wherever it is in the graph.
        setups, fail = ((task.closes,), True) if task.closes else (task.teardown, task.on_failure_fail_dagrun)
        if setups is not None:
            before: list[Any] = [built[task_id] for task_id in setups]
            built[task.task_id].as_teardown(setups=before, on_failure_fail_dagrun=fail)
    for task in plan.tasks:
        _relax_trigger_rule(task, built, plan)


def _relax_trigger_rule(task: TaskPlan, built: Operators, plan: Plan) -> None:
    """Let a release begin even if stopping the cluster before it failed; the operator checks the other tasks."""
    operator = built[task.task_id]
    if not getattr(operator, "checks_upstream", False) or operator.trigger_rule != TriggerRule.ALL_SUCCESS:
        return
    before = [built[task_id] for task_id in task.upstream]
    stops = any(_stops_cloud_cluster(other, built) for other in before) and "trigger_rule" not in task.settings
    # Airflow allows no other rule right after a setup, and none at all with `fail_fast`.
    if stops and not any(other.is_setup for other in before) and not plan.arguments.get("fail_fast"):
        operator.trigger_rule = TriggerRule.ALL_DONE


def _stops_cloud_cluster(operator: Operator, built: Operators) -> bool:
    """Return True if it stops a cluster that may fail to stop."""
    if not getattr(operator, "stops_cluster", False):
        return False
    config = getattr(built.get(getattr(operator, "cluster", "")), "cluster", None)
    return isinstance(config, Mapping) and stop_may_fail(config)


def _add_notifications(plan: Plan, operators: Sequence[Operator]) -> None:
    """Let tasks send the notifications of retries, and record their errors for those of a failed run."""
    retry = notifications(plan, "retry")
    failure = [record_error] if plan.notify and plan.notify.by_event().get("failure") else []
    for operator in operators if retry or failure else ():
        on_retry: Any = operator.on_retry_callback
        on_failure: Any = operator.on_failure_callback
        operator.on_retry_callback = [*on_retry, *retry]
        operator.on_failure_callback = [*on_failure, *failure]


def _in_zone(arguments: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """Return the arguments with every date in this time zone; a date without a time zone is taken to be in it."""
    return {name: _date_in_zone(value, zone) for name, value in arguments.items()}


def _date_in_zone(value: Any, zone: ZoneInfo) -> Any:
    if not isinstance(value, datetime):
        return value
    return value.replace(tzinfo=zone) if value.tzinfo is None else value.astimezone(zone)


class _OperatorBuilder:
    """Builds the operators of one DAG. `built`: the operators so far, by full id."""

    def __init__(self, plan: Plan, dag: DAG, built: Operators) -> None:
        self.plan = plan
        self.dag = dag
        self.built = built
        self.zone = ZoneInfo(plan.timezone)
        self.surroundings: dict[str, Any] = {
            "storage": str(plan.storage), "project": str(plan.project), "code": str(plan.code),
        }  # fmt: skip
        if plan.missing_needs:  # only a warning
            self.surroundings["checks_order"] = False
        if plan.allowed_connections is not None:
            self.surroundings["allowed_connections"] = list(plan.allowed_connections)

    def operator(self, task: TaskPlan, kind: type[BaseOperator], group: TaskGroup) -> Operator:
        """
        Build the operator of a task.

        :raises FaultyText: the class, or Airflow, rejects the arguments of the task.
        """
        try:
            return self._operator(task, kind, group)
        except FaultyText:
            raise
        except Exception as error:
            message = f"names `{task.uses}`, which rejects the arguments of `{task.task_id}`: {first_line(error)}"
            fault = self.plan.places.fault((*task.loc, "uses"), message)
            raise FaultyText([fault], self.plan.text) from error

    def _operator(self, task: TaskPlan, kind: type[BaseOperator], group: TaskGroup) -> Operator:
        settings = {**(kind.default_settings if issubclass(kind, StepOperator) else {}), **self._settings(task)}
        if self.plan.run_timeout is not None and not task.cleans_up:
            own = settings.get("pre_execute", self.dag.default_args.get("pre_execute"))
            settings["pre_execute"] = RunTimeout(self.plan.run_timeout, own)
        if task.run is not None:
            return self._stub(task, group, settings)
        values, rendered = values_of(task.arguments, self.built, self.plan.code)
        if task.uses not in OPERATORS:  # the model of a step has already converted its values
            literals = {name: value for name, value in values.items() if name not in rendered}
            values |= coerced(literals, kind, inherited=not self.plan.is_native)
            if not self.plan.is_native:
                values |= built_pods(kind, task.arguments, self.plan.places, (*task.loc, "with"))
        if issubclass(kind, StepOperator):
            values = {**self.surroundings, "place": f"{self.plan.path}:{task.place.line}", **values}
        common = {**settings, **values, "task_id": _label(task), "dag": self.dag, "task_group": group}
        if task.mapped:
            return built_mapped(kind, task.mapped, common, rendered, self.built, self.plan.code)
        operator = kind(**common)
        # Values of the YAML without a marker are literal, so they are not rendered again.
        operator.template_fields = tuple(
            name for name in operator.template_fields if name not in task.arguments or name in rendered
        )
        operator.template_ext = ()
        return operator

    def _settings(self, task: TaskPlan) -> dict[str, Any]:
        if not task.settings:
            return {}
        if self.plan.is_native:
            return coerced(task.settings, BaseOperator)
        return _in_zone(built_arguments(task.settings, self.plan, task.loc), self.zone)

    def _stub(self, task: TaskPlan, group: TaskGroup, settings: dict[str, Any]) -> BaseOperator:
        """Return the operator of a task whose work is done by a task handler outside Airflow."""
        from airflow.sdk import task as decorators  # imports the Python operators, which most files do not need

        values, _ = values_of(task.run or {}, self.built, self.plan.code)
        decorator = decorators.stub(task_id=_label(task), dag=self.dag, task_group=group, **settings)
        result: Any = decorator(_empty_function(tuple(values)))(**values)
        operator: BaseOperator = result.operator
        return operator


def _label(task: TaskPlan) -> str:
    return task.task_id if task.group is None else task.task_id.removeprefix(f"{task.group}.")


@functools.cache
def _empty_function(parameters: tuple[str, ...]) -> Callable[..., None]:
    """Return an empty function with these parameters. Airflow only inspects its signature and its empty source."""

    def _stub() -> None: ...

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    _stub.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in parameters])  # type: ignore[attr-defined]
    _stub.__qualname__ = _stub.__name__  # the same name as by Airflow's own importer: it is part of the DAG
    return _stub

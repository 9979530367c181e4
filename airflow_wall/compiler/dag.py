"""Plan to DAG: the only place that makes a `DAG` and its operators."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, BaseOperator, TaskGroup, TriggerRule

from airflow_wall.compiler.arguments import built_arguments
from airflow_wall.compiler.callables import constructed
from airflow_wall.compiler.coercion import coerced
from airflow_wall.compiler.head import head_arguments, provenance
from airflow_wall.compiler.mapped import built_mapped
from airflow_wall.compiler.notify import notifications
from airflow_wall.compiler.plan import Plan, TaskPlan
from airflow_wall.compiler.prototype import Prototype
from airflow_wall.compiler.schedule import built_schedule
from airflow_wall.compiler.signatures import first_line, operators_of
from airflow_wall.compiler.steps import OPERATORS
from airflow_wall.compiler.stubs import empty_function
from airflow_wall.compiler.values import Operator, Operators, values_of
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.run_timeout import RunTimeout
from airflow_wall.operators.start_cluster import StartClusterOperator
from airflow_wall.operators.stop_cluster import StopClusterOperator
from airflow_wall.operators.unstopped import ReleasingOperator
from airflow_wall.text.faults import FaultyText

log = logging.getLogger(__name__)


def build_dag(plan: Plan) -> DAG:
    """
    Build the DAG of a plan.

    :raises FaultyText: an operator cannot be imported or refuses its arguments; says which task, where.
    """
    kinds, faults = operators_of(plan)  # what Airflow itself would say of these has no place in the text
    if faults:
        raise FaultyText(faults, plan.text)
    try:
        dag = DAG(plan.dag_id, **_dag_arguments(plan))
    except FaultyText:
        raise
    except Exception as error:
        fault = plan.places.fault(("dag_id",), f"is of a DAG that Airflow refuses: {first_line(error)}")
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
    maker = _Maker(plan, dag, built)
    for task in plan.tasks:
        if not all(other in built for other in task.upstream):
            continue  # after one that is at fault
        within = groups[task.group] if task.group else dag.task_group
        try:
            operator = maker.operator(task, kinds[task.uses], within)
        except FaultyText as error:
            faults += error.faults
            continue
        built[task.task_id] = operator
        # What `set_upstream` comes to; it would also hash the whole DAG once for every task it is given.
        operator.upstream_task_ids.update(task.upstream)
        for task_id in task.upstream:
            built[task_id].downstream_task_ids.add(task.task_id)
    if faults:
        raise FaultyText(faults, plan.text)
    _close(plan, built)
    _tell_of_retries(plan, built)
    _say_where_from(plan)
    return dag


def _dag_arguments(plan: Plan) -> dict[str, Any]:
    construct = functools.partial(constructed, code=plan.code)
    if plan.is_native:
        return {**coerced(plan.arguments, DAG), "schedule": built_schedule(plan, construct)}
    zone = ZoneInfo(plan.timezone)
    ours = () if plan.run_timeout is None else ("dagrun_timeout",)
    given = {name: value for name, value in plan.arguments.items() if name not in ours}
    defaults = _in_zone(built_arguments(plan.default_args, plan, ("default_args",)), zone)
    return {**_in_zone(given, zone), **head_arguments(plan, construct), "default_args": defaults}


def _say_where_from(plan: Plan) -> None:
    line = provenance(plan)
    if line is not None:
        log.info(line)  # it stands in the log of a task too: Airflow parses the file to start one


def _close(plan: Plan, built: Operators) -> None:
    for task in plan.tasks:
        if task.setup:
            built[task.task_id].is_setup = True
        # With the flag the colour of the run depends on the clean-up too, wherever it stands in the graph.
        setups, fail = ((task.closes,), True) if task.closes else (task.teardown, task.on_failure_fail_dagrun)
        if setups is not None:
            before: list[Any] = [built[task_id] for task_id in setups]
            built[task.task_id].as_teardown(setups=before, on_failure_fail_dagrun=fail)
    for task in plan.tasks:
        _release_anyway(task, built, plan)


def _release_anyway(task: TaskPlan, built: Operators, plan: Plan) -> None:
    """Have a release begin even if the stop of a cluster right before it has failed; the operator looks at the rest."""
    operator = built[task.task_id]
    if not isinstance(operator, ReleasingOperator) or operator.trigger_rule != TriggerRule.ALL_SUCCESS:
        return
    before = [built[task_id] for task_id in task.upstream]
    stops = any(_stops_a_cloud(each, built) for each in before) and "trigger_rule" not in task.settings
    # Airflow takes no other rule right after a setup, and none at all where a run ends at its first failure.
    if stops and not any(each.is_setup for each in before) and not plan.arguments.get("fail_fast"):
        operator.trigger_rule = TriggerRule.ALL_DONE


def _stops_a_cloud(operator: Operator, built: Operators) -> bool:
    """Whether it stops a cluster that may fail to stop: a local one is a document, and its pipelines stay as before."""
    if not isinstance(operator, StopClusterOperator):
        return False
    starter = built.get(operator.cluster)
    return isinstance(starter, StartClusterOperator) and starter.cluster["type"] != "local"


def _tell_of_retries(plan: Plan, built: Operators) -> None:
    callbacks = notifications(plan, "retry")
    for operator in built.values() if callbacks else ():
        own: Any = operator.on_retry_callback
        operator.on_retry_callback = [*own, *callbacks]


def _in_zone(arguments: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """The arguments, with every date in this zone; one without a zone is meant in it."""
    return {name: _moved(value, zone) for name, value in arguments.items()}


def _moved(value: Any, zone: ZoneInfo) -> Any:
    if not isinstance(value, datetime):
        return value
    return value.replace(tzinfo=zone) if value.tzinfo is None else value.astimezone(zone)


class _Maker:
    """Makes the operators of one DAG. `built`: those that were made before."""

    def __init__(self, plan: Plan, dag: DAG, built: Operators) -> None:
        self.plan = plan
        self.dag = dag
        self.built = built
        self.zone = ZoneInfo(plan.timezone)
        self.surroundings = {"storage": str(plan.storage), "project": str(plan.project), "code": str(plan.code)}

    @functools.cached_property
    def usual(self) -> Prototype:
        """Of the tasks that have no settings of their own, as most have none."""
        return Prototype(self.dag.default_args)

    def operator(self, task: TaskPlan, kind: type[BaseOperator], group: TaskGroup) -> Operator:
        """
        Make the operator of a task.

        :raises FaultyText: the class, or Airflow, refuses what the task gives it.
        """
        try:
            return self._operator(task, kind, group)
        except FaultyText:
            raise
        except Exception as error:
            message = f"names `{task.uses}`, which refuses what `{task.task_id}` gives it: {first_line(error)}"
            fault = self.plan.places.fault((*task.loc, "uses"), message)
            raise FaultyText([fault], self.plan.text) from error

    def _operator(self, task: TaskPlan, kind: type[BaseOperator], group: TaskGroup) -> Operator:
        settings = {**(kind.usual if issubclass(kind, StepOperator) else {}), **self._settings(task)}
        if self.plan.run_timeout is not None and not task.cleans_up:
            own = settings.get("pre_execute", self.dag.default_args.get("pre_execute"))
            settings["pre_execute"] = RunTimeout(self.plan.run_timeout, own)
        if task.run is not None:
            return self._stub(task, group, settings)
        values, rendered = values_of(task.arguments, self.built, self.plan.code)
        if task.uses not in OPERATORS:  # the model of a step has made its values what they are
            literals = {name: each for name, each in values.items() if name not in rendered}
            values |= coerced(literals, kind, inherited=not self.plan.is_native)
        if issubclass(kind, StepOperator):
            values = {**self.surroundings, "place": f"{self.plan.path}:{task.place.line}", **values}
        if task.mapped:
            common = {**settings, **values, "task_id": _label(task), "dag": self.dag, "task_group": group}
            return built_mapped(kind, task.mapped, common, rendered, self.built, self.plan.code)
        operator: BaseOperator
        if task.uses in OPERATORS:  # a step: its model has seen to it that no field is missing
            prototype = Prototype({**self.dag.default_args, **settings}) if settings else self.usual
            operator = prototype.step(OPERATORS[task.uses], _label(task), self.dag, group, values)
        else:
            common = {"task_id": _label(task), "task_group": group, "dag": self.dag}
            operator = self.usual.operator(kind, **common, **{**settings, **values})
        # Values are literal unless marked: what the YAML gives without a marker is not rendered again.
        templated = tuple(name for name in operator.template_fields if name not in task.arguments or name in rendered)
        vars(operator).update(template_fields=templated, template_ext=())  # past the operator's own, slow `__setattr__`
        return operator

    def _settings(self, task: TaskPlan) -> dict[str, Any]:
        if not task.settings:
            return {}
        if self.plan.is_native:
            return coerced(task.settings, BaseOperator)
        return _in_zone(built_arguments(task.settings, self.plan, task.loc), self.zone)

    def _stub(self, task: TaskPlan, group: TaskGroup, settings: dict[str, Any]) -> BaseOperator:
        """The operator that stands for a task whose work a handler outside Airflow does."""
        from airflow.sdk import task as decorators  # brings the Python operators, which most files do not need

        values, _ = values_of(task.run or {}, self.built, self.plan.code)
        made = decorators.stub(task_id=_label(task), dag=self.dag, task_group=group, **settings)
        result: Any = made(empty_function(tuple(values)))(**values)
        operator: BaseOperator = result.operator
        return operator


def _label(task: TaskPlan) -> str:
    return task.task_id if task.group is None else task.task_id.removeprefix(f"{task.group}.")

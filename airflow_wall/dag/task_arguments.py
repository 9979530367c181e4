"""Convert arguments of `BaseOperator` that the YAML writes in another form than Airflow takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_wall.dag.callables import built_callbacks, constructed, faults_of
from airflow_wall.dag.imports import imported
from airflow_wall.dag.pod import built_pod
from airflow_wall.dag.schedule import built_asset
from airflow_wall.dag.values import built_params
from airflow_wall.diagnostics.faults import Fault, FaultyText, Loc
from airflow_wall.errors import WallError
from airflow_wall.language.assets import AssetItem
from airflow_wall.language.callables import Callback, Constructed
from airflow_wall.language.operator import Resources, RetryRules
from airflow_wall.planner.plan import Plan


def built_arguments(arguments: Mapping[str, Any], plan: Plan, loc: Loc) -> Mapping[str, Any]:
    """
    Return the arguments as `BaseOperator` takes them.

    :param loc: Path of their parent in the document.
    :raises FaultyText: an argument cannot be converted; names it and its position.
    """
    written = BUILT.keys() & arguments.keys()
    if not written:
        return arguments
    result = dict(arguments)
    faults: list[Fault] = []
    for name in sorted(written):
        try:
            result[name] = BUILT[name](arguments[name], plan, (*loc, name))
        except WallError as error:
            faults += faults_of(error, plan, (*loc, name), "cannot be used")
    if faults:
        raise FaultyText(faults, plan.text)
    return result


def _callbacks(value: Sequence[Callback], plan: Plan, loc: Loc) -> Any:
    return built_callbacks(value, plan, loc)


def _function(value: str, plan: Plan, loc: Loc) -> Any:
    return built_callbacks([value], plan, loc)[0]


def _assets(value: Sequence[AssetItem], plan: Plan, _loc: Loc) -> Any:
    return [built_asset(asset, lambda spec: constructed(spec, code=plan.code)) for asset in value]


def _params(value: Mapping[str, Any], _plan: Plan, _loc: Loc) -> Any:
    return built_params(value)


def _resources(value: Resources, _plan: Plan, _loc: Loc) -> Any:
    return value.model_dump(exclude_none=True)


def _executor_config(value: Mapping[str, Any], plan: Plan, loc: Loc) -> Any:
    if "pod_override" not in value:
        return value
    return {**value, "pod_override": built_pod(value["pod_override"], plan.places, (*loc, "pod_override"))}


def _retry_policy(value: str | Constructed | RetryRules, plan: Plan, loc: Loc) -> Any:
    if isinstance(value, str):
        return imported(value, plan.code, key=str(loc[-1]))
    if isinstance(value, Constructed):
        return constructed(value, code=plan.code)
    from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule  # not in Airflow 3.2

    rules = [
        RetryRule(
            exception=list(rule.exception),
            action=RetryAction(rule.action),
            retry_delay=rule.retry_delay,
            reason=rule.reason,
            match_subclasses=rule.match_subclasses,
        )
        for rule in value.rules
    ]
    return ExceptionRetryPolicy(rules=rules, default=RetryAction(value.default))


BUILT: dict[str, Callable[[Any, Plan, Loc], Any]] = {
    "on_execute_callback": _callbacks,
    "on_failure_callback": _callbacks,
    "on_success_callback": _callbacks,
    "on_retry_callback": _callbacks,
    "on_skipped_callback": _callbacks,
    "pre_execute": _function,
    "post_execute": _function,
    "inlets": _assets,
    "outlets": _assets,
    "params": _params,
    "resources": _resources,
    "retry_policy": _retry_policy,
    "executor_config": _executor_config,
}
"""Argument to the function that converts its value from the YAML."""

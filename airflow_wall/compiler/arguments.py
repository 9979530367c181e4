"""Arguments of `BaseOperator` that are written otherwise than Airflow takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_wall.compiler.assets import built_asset
from airflow_wall.compiler.callables import built_callbacks, constructed
from airflow_wall.compiler.imports import imported
from airflow_wall.compiler.params import built_params
from airflow_wall.compiler.plan import Plan
from airflow_wall.compiler.pod import built_pod
from airflow_wall.errors import WallError
from airflow_wall.spec.assets import AssetItem
from airflow_wall.spec.callables import Callback, Constructed
from airflow_wall.spec.operator import Resources, RetryRules
from airflow_wall.text.faults import FaultyText, Loc


def built_arguments(arguments: Mapping[str, Any], plan: Plan, loc: Loc) -> Mapping[str, Any]:
    """
    Return the arguments as `BaseOperator` takes them.

    :param loc: Where their keys stand in the document.
    :raises FaultyText: one cannot be made; says which, where.
    """
    written = BUILT.keys() & arguments.keys()
    if not written:
        return arguments
    made = dict(arguments)
    for name in sorted(written):
        try:
            made[name] = BUILT[name](arguments[name], plan, (*loc, name))
        except FaultyText:
            raise
        except WallError as error:
            said = error.message.removeprefix(f"`{name}` ")
            fault = plan.places.fault((*loc, name), f"cannot be used: {said}", error.hint)
            raise FaultyText([fault], plan.text) from error
    return made


def _callbacks(value: Sequence[Callback], plan: Plan, loc: Loc) -> Any:
    return built_callbacks(value, plan, loc)


def _function(value: str, plan: Plan, loc: Loc) -> Any:
    return built_callbacks([value], plan, loc)[0]


def _assets(value: Sequence[AssetItem], plan: Plan, _loc: Loc) -> Any:
    return [built_asset(each, lambda spec: constructed(spec, code=plan.code)) for each in value]


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
    from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule  # Airflow 3.2 has none

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
"""Argument to what makes it of what the YAML says."""

"""The rule by which a challenger becomes champion. This module is pure: it reads no files and no models."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_wall.diagnostics.suggestions import did_you_mean, listed, suggestion
from airflow_wall.errors import ModelError
from airflow_wall.models.amounts import read_amount
from airflow_wall.models.base import Decision, Model
from airflow_wall.models.evaluation import default_metric, lower_is_better, metrics_of
from airflow_wall.models.metric_names import KINDS, NAMES, OWN_HINT, canonical, is_own, own_is_lower_better

log = logging.getLogger(__name__)

_KEYS = ("metric", "by", "lower_is_better", "margin", "max_loss")


@dataclass(frozen=True)
class Rule:
    """
    The condition for the promotion of a challenger.

    :param metric: A name of METRICS, or a function `module:function`; None for the default of the model's kind.
    :param margin: Least improvement over the champion.
    :param relative: True if the margin is a fraction of the champion's value (0.01 is 1 %), else it is in the metric's
        own unit.
    :param max_loss: Most that the metric may be worse than the recorded one of a champion that cannot score the rows.
    :param relative_loss: The same for `max_loss`.
    :param by: A column; the metric is measured for each of its values, too.
    """

    metric: str | None = None
    margin: float = 0.0
    relative: bool = False
    max_loss: float = 0.1
    relative_loss: bool = True
    by: str | None = None

    def metric_for(self, model: Model) -> str:
        """
        Return the name of the metric that decides for a model.

        :raises ModelError: the rule's metric does not apply to its kind.
        """
        kind, names = model.kind, metrics_of(model)
        name = self.metric or default_metric(model)
        if name not in names and not is_own(name):
            words = {
                "regression": "regressor",
                "binary": "classifier",
                "classes": "classifier of several classes",
                "several": "model of several targets",
            }
            without = "" if model.has_probabilities else " without probabilities"
            raise ModelError(
                f"`promote.metric` must be a metric of a {words[kind]}{without}, got `{name}`",
                hint=f"write one of {listed(names, len(KINDS))}",
            )
        return name


def read_rule(promote: Mapping[str, Any] | None) -> Rule:
    """
    Return the rule in `promote`; None means the default metric and no margin.

    :raises ModelError: `promote` has an unknown key or an invalid value.
    """
    promote = promote or {}
    if unknown := [key for key in promote if key not in _KEYS]:
        raise ModelError(f"`promote` has no key `{unknown[0]}`", hint=suggestion(unknown[0], _KEYS, what="keys"))
    metric, by = promote.get("metric"), promote.get("by")
    if isinstance(metric, str) and is_own(metric):
        if own_is_lower_better(metric) is None:
            raise ModelError(
                f"`promote.metric` must be a function whose name says if higher is better, got `{metric}`",
                hint=OWN_HINT,
            )
    elif metric is not None and metric not in NAMES:
        raise ModelError(
            f"`promote.metric` must be one of {listed(KINDS, len(KINDS))}, got `{metric}`",
            hint=did_you_mean(str(metric), NAMES) or "remove `metric` to compare by the default of the model's kind",
        )
    if by is not None and not isinstance(by, str):
        raise ModelError(f"`promote.by` must be the name of a column, got `{by}`", hint="write, e.g., `by: domain`")
    if promote.get("lower_is_better") is not None:
        log.warning("`promote.lower_is_better` is deprecated and has no effect: the metric decides it; remove it")
    margin, relative = read_amount("promote.margin", promote.get("margin", 0))
    max_loss, relative_loss = read_amount("promote.max_loss", promote.get("max_loss", "10%"))
    return Rule(None if metric is None else canonical(metric), margin, relative, max_loss, relative_loss, by)


def decide(
    metric: str,
    rule: Rule,
    value: float,
    *,
    champion: int | None,
    champion_value: float | None,
    baseline: float,
    recorded: float | None = None,
    guess: str = "the mean",
) -> Decision:
    """
    Decide if a challenger with the finite metric `value` replaces the champion.

    The first model of a name must be at least as good as a constant prediction of the training target's mean. A worse
    model has learnt nothing, and to reject it changes nothing for users, who have had no model before.

    If the champion cannot score the rows, the challenger must beat that constant prediction by the margin, and must not
    be worse than the champion's recorded metric by more than `max_loss`.

    :param champion: Version of the champion, or None.
    :param champion_value: Its metric on the same rows; None if it could not score them.
    :param baseline: The metric of a constant prediction of the training target's mean.
    :param guess: The constant prediction in words.
    :param recorded: The champion's metric on the rows that were held out when it was trained, if it has that metric.
    """
    lower = lower_is_better(metric)

    def decision(promoted: bool, reason: str) -> Decision:
        return Decision(promoted, metric, value, champion, champion_value, reason)

    if champion is None:
        good = value <= baseline if lower else value >= baseline
        than = f"predicting {guess} of the training rows ({metric} {baseline:.6g})"
        if good:
            return decision(True, f"first model, {metric} {value:.6g}, no worse than {than}")
        return decision(False, f"first model, {metric} {value:.6g}, is worse than {than}")
    if champion_value is None or not math.isfinite(champion_value):
        good, reason = _against_record(metric, rule, value, baseline, recorded, lower=lower, guess=guess)
        return decision(good, f"the champion, version {champion}, cannot score these rows: {reason}")
    gain = champion_value - value if lower else value - champion_value
    needed = rule.margin * abs(champion_value) if rule.relative else rule.margin
    against = f"{metric} {value:.6g} against {champion_value:.6g} of version {champion}"
    if gain <= 0:
        return decision(False, f"{against}: {'equal' if gain == 0 else 'worse'}")
    if gain < needed:
        return decision(False, f"{against}: better by {gain:.3g}, less than the margin of {needed:.3g}")
    return decision(True, f"{against}: better by {gain:.3g}")


def _against_record(
    metric: str, rule: Rule, value: float, baseline: float, recorded: float | None, *, lower: bool, guess: str
) -> tuple[bool, str]:
    """Return the decision about a challenger of a champion that cannot score the rows, and its reason."""
    gain = baseline - value if lower else value - baseline
    needed = rule.margin * abs(baseline) if rule.relative else rule.margin
    mean = f"{metric} {value:.6g} against {baseline:.6g} of predicting {guess}"
    if gain <= 0 or gain < needed:
        short = f"better by {gain:.3g}, less than the margin of {needed:.3g}" if gain > 0 else "not better"
        return False, f"{mean}: {short}"
    if recorded is None:
        return True, f"{mean}: better by {gain:.3g}"
    loss = value - recorded if lower else recorded - value
    allowed = rule.max_loss * abs(recorded) if rule.relative_loss else rule.max_loss
    record = f"{mean}, and against {recorded:.6g}, recorded when the champion was trained"
    if loss > allowed:
        return False, f"{record}: worse by {loss:.3g}, more than `max_loss` of {allowed:.3g}"
    return True, f"{record}: within `max_loss` of {allowed:.3g}"

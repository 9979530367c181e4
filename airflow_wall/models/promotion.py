"""The rule by which a challenger becomes champion. This module is pure: it reads no files and no models."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_wall.diagnostics.suggestions import did_you_mean, listed, suggestion
from airflow_wall.errors import ModelError
from airflow_wall.models.base import Decision, Kind
from airflow_wall.models.evaluation import DEFAULT, METRICS, names_for

_KEYS = ("metric", "lower_is_better", "margin")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


@dataclass(frozen=True)
class Rule:
    """
    The condition for the promotion of a challenger.

    :param metric: A name of METRICS; None for the default of the model's kind.
    :param margin: Least improvement over the champion.
    :param relative: True if the margin is a fraction of the champion's value (0.01 is 1 %), else it is in the metric's
        own unit.
    """

    metric: str | None = None
    margin: float = 0.0
    relative: bool = False

    def metric_for(self, kind: Kind) -> str:
        """
        Return the name of the metric that decides for a kind of model.

        :raises ModelError: the rule's metric does not apply to this kind.
        """
        name = self.metric or DEFAULT[kind]
        if name not in names_for(kind):
            model = {"regression": "regressor", "binary": "classifier"}[kind]
            metrics = listed(names_for(kind))
            raise ModelError(
                f"`promote.metric` must be a metric of a {model}, got `{name}`", hint=f"write one of {metrics}"
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
    metric = promote.get("metric")
    if metric is not None and metric not in METRICS:
        raise ModelError(
            f"`promote.metric` must be one of {listed(METRICS)}, got `{metric}`",
            hint=did_you_mean(str(metric), METRICS) or "remove `metric` to compare by the default of the model's kind",
        )
    lower = promote.get("lower_is_better")
    if lower is not None and metric is not None and lower is not METRICS[metric].lower_is_better:
        better = "lower" if METRICS[metric].lower_is_better else "higher"
        raise ModelError(
            f"`promote.lower_is_better` is `{str(lower).lower()}`, but `{metric}` is better when {better}",
            hint="remove `lower_is_better`: the metric decides it",
        )
    margin, relative = _margin(promote.get("margin", 0))
    return Rule(metric, margin, relative)


def decide(
    metric: str, rule: Rule, value: float, *, champion: int | None, champion_value: float | None, baseline: float
) -> Decision:
    """
    Decide if a challenger with the finite metric `value` replaces the champion.

    The first model of a name must be at least as good as a constant prediction of the training target's mean. A worse
    model has learnt nothing, and to reject it changes nothing for users, who have had no model before.

    :param champion: Version of the champion, or None.
    :param champion_value: Its metric on the same rows; None if it could not score them.
    :param baseline: The metric of a constant prediction of the training target's mean.
    """
    lower = METRICS[metric].lower_is_better

    def decision(promoted: bool, reason: str) -> Decision:
        return Decision(promoted, metric, value, champion, champion_value, reason)

    if champion is None:
        good = value <= baseline if lower else value >= baseline
        than = f"predicting the mean of the training rows ({metric} {baseline:.6g})"
        if good:
            return decision(True, f"first model, {metric} {value:.6g}, no worse than {than}")
        return decision(False, f"first model, {metric} {value:.6g}, is worse than {than}")
    if champion_value is None or not math.isfinite(champion_value):
        return decision(True, f"the champion, version {champion}, cannot score these rows; {metric} is {value:.6g}")
    gain = champion_value - value if lower else value - champion_value
    needed = rule.margin * abs(champion_value) if rule.relative else rule.margin
    against = f"{metric} {value:.6g} against {champion_value:.6g} of version {champion}"
    if gain <= 0:
        return decision(False, f"{against}: {'equal' if gain == 0 else 'worse'}")
    if gain < needed:
        return decision(False, f"{against}: better by {gain:.3g}, less than the margin of {needed:.3g}")
    return decision(True, f"{against}: better by {gain:.3g}")


def _margin(margin: Any) -> tuple[float, bool]:
    """Return the margin as a number, and True if it is a fraction of the champion's value."""
    if isinstance(margin, str) and (percent := _PERCENT.fullmatch(margin.strip())) is not None:
        return float(percent[1]) / 100, True
    if isinstance(margin, int | float) and not isinstance(margin, bool) and math.isfinite(margin) and margin >= 0:
        return float(margin), False
    raise ModelError(
        f"`promote.margin` must be a number from 0 or a percentage, got `{margin}`", hint='write, e.g., "1%" or 0.05'
    )

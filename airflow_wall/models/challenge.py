"""Compare a new version of a model with the champion, and promote it if it is better."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, replace
from typing import Any

from airflow_wall.errors import Interrupted, ModelError
from airflow_wall.models.base import Champion, Decision, ModelRecord, OwnCode, Registry
from airflow_wall.models.decisions import rolled_back
from airflow_wall.models.evaluation import outputs_of
from airflow_wall.models.features import check_fit, to_frame
from airflow_wall.models.promotion import Rule, decide
from airflow_wall.models.registry import is_older
from airflow_wall.models.trial import Trial, targets_in

log = logging.getLogger(__name__)

_RACES = 10  # number of times that the champion may change during one retrain before it gives up


def challenge(
    registry: Registry, record: ModelRecord, trial: Trial, rule: Rule, own: OwnCode, *, hold: bool
) -> tuple[Decision, dict[str, Any] | None]:
    """
    Decide on the promotion and carry it out. If the champion changes in between, decide again.

    Return the decision, and the arguments of `promote_model` if a promotion is left to it.
    """
    for _ in range(_RACES):
        champion = registry.champion(record.name)
        if champion is not None and champion.version == record.version:
            return champion.decision, None  # an earlier try of this run has promoted it
        decision = _decide(registry, record, champion, trial, rule, own)
        if not decision.promoted:
            registry.reject(record.name, record.version, decision)
            return decision, None
        expected = None if champion is None else champion.version
        if hold:
            return decision, {"decision": asdict(decision), "expected": expected}
        try:
            return registry.promote(record.name, record.version, decision, expected=expected).decision, None
        except Interrupted as error:
            log.info("%s; deciding again", error.message)
    raise Interrupted(
        f"the champion of model `{record.name}` changed {_RACES} times during this run", hint="run the task again"
    )


def _decide(
    registry: Registry, record: ModelRecord, champion: Champion | None, trial: Trial, rule: Rule, own: OwnCode
) -> Decision:
    kinds = {output.kind for output in outputs_of(trial.model)}
    guess = "the shares of the classes" if "classes" in kinds else "the mean"
    if champion is None:
        return decide(
            trial.metric,
            rule,
            trial.value,
            champion=None,
            champion_value=None,
            baseline=trial.baseline,
            guess=guess,
        )
    before = registry.record(record.name, champion.version)
    value, why = _champion_value(registry, before, trial, record.target, own)
    if is_older(record.lineage.order, champion.order):
        reason = f"trained for {record.lineage.order}; version {champion.version} is for the later {champion.order}"
        return Decision(False, trial.metric, trial.value, champion.version, value, reason)
    if (rollback := rolled_back(registry.decisions(record.name)).get(record.version)) is not None:
        reason = f"version {record.version} was {rollback.decision.reason}"
        return Decision(False, trial.metric, trial.value, champion.version, value, reason)
    is_same = (before.target, before.kind) == (record.target, record.kind)
    decision = decide(
        trial.metric,
        rule,
        trial.value,
        champion=champion.version,
        champion_value=value,
        baseline=trial.baseline,
        recorded=before.metrics.get(trial.metric) if is_same else None,
        guess=guess,
    )
    return decision if why is None else replace(decision, reason=f"{decision.reason} ({why})")


def _champion_value(
    registry: Registry, champion: ModelRecord, trial: Trial, target: str, own: OwnCode
) -> tuple[float | None, str | None]:
    """Return the champion's metric on the same rows, or None and the reason."""
    if champion.target != target or champion.kind != trial.model.kind:
        return None, f"it predicts `{champion.target}` ({champion.kind})"
    try:
        check_fit(champion, trial.held_out.schema, "the set of held-out rows")
        features = [feature.name for feature in champion.features]
        model = registry.open(champion.name, champion.version, own)
        scores = model.score(to_frame(trial.held_out.select(features)))
    except ModelError as error:
        log.warning("the champion cannot be compared: %s", error.message)
        return None, error.message
    observed = trial.observed
    if model.kind in ("classes", "several"):  # its classes may be others
        observed = targets_in(model, trial.held_out, trial.deciding.targets, "the held-out rows")
    value = trial.deciding.measure(model, observed, scores, trial.held_out)
    return (value, None) if math.isfinite(value) else (None, f"its {trial.metric} is not a finite number")

"""
The job `retrain`: call the user's training function, evaluate the model on held-out rows, register it, and promote it
only if it is better than the champion.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from airflow_wall.diagnostics.suggestions import listed, suggestion
from airflow_wall.environments.user_code import calling, load_function
from airflow_wall.errors import Interrupted, ModelError, UserCodeError
from airflow_wall.job import Env, Run
from airflow_wall.models import formats
from airflow_wall.models.amounts import read_share
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import (
    Candidate,
    Champion,
    Decision,
    FeatureSummary,
    Lineage,
    Model,
    ModelRecord,
    OwnCode,
    Registry,
    Segments,
    Trained,
)
from airflow_wall.models.changes import Changes
from airflow_wall.models.deciding_metric import DecidingMetric, deciding_metric
from airflow_wall.models.decisions import rolled_back
from airflow_wall.models.evaluation import (
    check_observed,
    codes_of,
    constant_scores,
    measure_all,
)
from airflow_wall.models.feature_values import NEW_CATEGORIES
from airflow_wall.models.features import (
    check_fit,
    features_of,
    target_of,
    to_frame,
)
from airflow_wall.models.holdout import Split, split
from airflow_wall.models.promotion import Rule, decide, read_rule
from airflow_wall.models.registry import is_older
from airflow_wall.models.training_summary import summarize
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.input_rows import InputRows, check_inputs, read_rows

log = logging.getLogger(__name__)

_FEW = 10
"""Number of rows below which an error is probably due to their number."""

_ONE_CLASS = re.compile(r"only one class|got 1 class|at least 2 classes|one unique value|contains only one label")
"""Words of the libraries about training rows of a single class."""

_RACES = 10  # number of times that the champion may change during one retrain before it gives up


def retrain(
    env: Env,
    *,
    entrypoint: str,
    inputs: dict[str, str],
    model: str,
    promote: dict[str, Any] | None = None,
    holdout: dict[str, Any] | None = None,
    new_categories: str | float = NEW_CATEGORIES,
    accept_changes: Sequence[str] = (),
    parameters: dict[str, Any] | None = None,
    save: str | None = None,
    load: str | None = None,
    own_types: Sequence[str] = (),
    hold: bool = False,
) -> dict[str, Any]:
    """
    Train a version of `model` on all slices, and promote it if it is better than the champion.

    The first input is split into training rows and held-out rows for the evaluation. The function gets one DataFrame
    per input, with training rows only.

    :param entrypoint: The training function, e.g. `models.scores:train`. It returns a `Trained`.
    :param inputs: Argument of the function -> table or pattern of tables, e.g. `silver/*`.
    :param model: Name of the model.
    :param promote: `metric`, `by`, `margin`, `max_loss`; see `airflow_wall.models.promotion`.
    :param holdout: `by`, `from`, `group`, `random`, `table`, `fraction`; see `airflow_wall.models.holdout`.
    :param new_categories: Share of the values of a text feature that may be none of those of the champion, e.g. `20%`.
    :param accept_changes: Features of the champion that may be gone, have another type, or other values.
    :param parameters: Further arguments of the function.
    :param save: A function that returns a model of the user's own as bytes, `module:function`.
    :param load: The function that opens these bytes.
    :param own_types: The user's own classes and functions that may be part of a model: patterns such as `models.*`.
    :param hold: True to leave the promotion to the job `promote_model`. The result then has its arguments as `held`.
    :raises ModelError: the rows do not fit the champion, the result of the function is not usable, or its metric is not
        finite.
    :raises UserCodeError: the function raised.
    """
    if (save is None) != (load is None):
        raise ModelError("`save` and `load` belong together", hint=f"add `{'load' if load is None else 'save'}`")
    rule = read_rule(promote)
    own = OwnCode(env.run.code, tuple(own_types), load, save)
    check_inputs(inputs)
    store = open_tables(env.run.storage)
    registry = open_registry(env.run.state)
    registry.champion(model)  # reject an invalid name before an hour of training
    rows = {key: read_rows(store, key, pattern) for key, pattern in inputs.items()}
    test = (holdout or {}).get("table")
    held_out = None if test is None else InputRows(store.read(test), {test: store.version(test)})
    tables = {key: input_rows.table for key, input_rows in rows.items()}
    parts = split(tables, holdout, None if held_out is None else held_out.table)
    function = load_function(entrypoint, code=env.run.code)
    if rule.metric is not None:
        deciding_metric(rule.metric, "", env.run.code)  # reject a missing function before an hour of training
    _check_segment_column(rule.by, parts, next(iter(inputs)))
    if test is not None and any(test in part.versions for part in rows.values()):
        raise ModelError(
            f"`holdout.table` must be another table than those of `inputs`, got `{test}`: models know these rows",
            hint="write the rows to hold out into a table of their own, or use `by`, `group` or `random`",
        )
    data = {table: version for part in (*rows.values(), held_out) if part for table, version in part.versions.items()}
    lineage = _lineage(env.run, entrypoint, function, data, parameters or {})
    changes = Changes(parts, next(iter(inputs)), read_share("new_categories", new_categories), accept_changes)
    champion = _champion_record(registry, model)
    trains_alike = champion is not None and _trains_alike(champion.lineage, lineage)
    if champion is not None and trains_alike:
        changes.check(champion)  # reject the rows before an hour of training
    trained = _train(function, env.run, entrypoint, parts, parameters or {})
    if champion is not None and not trains_alike:
        changes.check(champion, trained.features)
    training = summarize(parts.training[next(iter(inputs))], trained.features)
    changes.check_held_out(training)
    trial = _judge(trained, entrypoint, parts, rule, next(iter(inputs)), own)
    record = registry.register(model, _candidate(trained, trial, parts, lineage, training))
    decision, held = _promote(registry, record, trial, rule, own, hold=hold)
    log.info("model `%s` version %d: %s", model, record.version, decision.reason)
    return {
        "model": model,
        "version": record.version,
        "promoted": decision.promoted and held is None,
        "metric": decision.metric,
        "value": decision.value,
        "champion_version": decision.champion_version,
        "champion_value": decision.champion_value,
        "rows_trained": trial.rows_trained,
        "rows_held_out": len(trial.observed),
        "held_out": parts.window.how,
        "reason": decision.reason,
        "metrics": {name: value for name, value in trial.metrics.items() if name != trial.metric},
        **({"segments": asdict(trial.segments)} if trial.segments is not None else {}),
        **({} if held is None else {"held": held}),
    }


@dataclass(frozen=True)
class _Trial:
    """A challenger, loaded from its bytes, and its metrics on the held-out rows whose target is not null."""

    model: Model
    model_format: str
    content: bytes
    metric: str
    metrics: dict[str, float]
    baseline: float
    held_out: pa.Table
    observed: NDArray[np.float64]
    rows_trained: int
    deciding: DecidingMetric
    segments: Segments | None

    @property
    def value(self) -> float:
        return self.metrics[self.metric]


def _train(
    function: Callable[..., Any], run: Run, entrypoint: str, parts: Split, parameters: Mapping[str, Any]
) -> Trained:
    if shared := [name for name in parameters if name in parts.training]:
        raise ModelError(f"`{shared[0]}` is in both `inputs` and `parameters`", hint="rename one of them")
    frames = {key: to_frame(rows) for key, rows in parts.training.items()}
    counts = ", ".join(f"{key}: {len(rows):,} rows" for key, rows in frames.items())
    log.info("calling `%s` with %s; held out: %s", entrypoint, counts, parts.window.how)
    try:
        with calling(entrypoint, code=run.code):
            trained = function(**frames, **parameters)
    except UserCodeError as error:
        hint = error.hint or _hint_on_rows(error.message, frames)
        raise UserCodeError(error.message, hint=hint, trace=error.trace) from error.__cause__
    if not isinstance(trained, Trained):
        raise ModelError(
            f"`entrypoint` `{entrypoint}` must return a `Trained`, got `{type(trained).__name__}`",
            hint="end it with `return Trained(estimator, features=[...], target=...)`, from `airflow_wall.models.base`",
        )
    _check_trained(trained, entrypoint, next(iter(parts.training)), parts)
    return trained


def _hint_on_rows(message: str, frames: Mapping[str, pd.DataFrame]) -> str | None:
    """Return a hint if the training rows are the likely reason of an error."""
    key, rows = next(iter(frames.items()))
    if _ONE_CLASS.search(message):
        return (
            "the training rows have a single class: provide others, or choose the held-out rows differently, e.g. "
            "`holdout: {random: true}`"
        )
    if len(rows) < _FEW:
        return f"`{key}` has only {len(rows):,} training rows: provide more, or change `holdout`"
    return None


def _check_trained(trained: Trained, entrypoint: str, key: str, parts: Split) -> None:
    where = f"`entrypoint` `{entrypoint}` returned"
    features = trained.features
    if isinstance(features, str) or not features or not all(isinstance(name, str) for name in features):
        raise ModelError(
            f"{where} a model whose `features` must be a list of column names, got `{features}`",
            hint='write, e.g., `features=["hour", "distance"]`',
        )
    for rows, place in ((parts.training[key], f"`inputs.{key}`"), (parts.held_out, "the table of held-out rows")):
        if missing := [name for name in (*features, trained.target) if name not in rows.column_names]:
            raise ModelError(
                f"{where} a model with columns that {place} does not have: {listed(missing)}",
                hint="compute them in an earlier transform, so that predict has them too",
            )
    if trained.target in features:
        raise ModelError(
            f"{where} a model with its target `{trained.target}` among its features", hint="remove it from `features`"
        )
    if repeated := [name for name in features if list(features).count(name) > 1]:
        raise ModelError(
            f"{where} a model with the feature `{repeated[0]}` twice", hint="list each column once in `features`"
        )


def _champion_record(registry: Registry, model: str) -> ModelRecord | None:
    champion = registry.champion(model)
    return None if champion is None else registry.record(model, champion.version)


def _trains_alike(before: Lineage, now: Lineage) -> bool:
    """Return True if a version was trained by the same code and parameters, and so reads the same features."""
    return (before.entrypoint, before.code, dict(before.parameters)) == (now.entrypoint, now.code, dict(now.parameters))


def _check_segment_column(by: str | None, parts: Split, key: str) -> None:
    if by is not None and by not in parts.held_out.column_names:
        raise ModelError(
            f"`promote.by` must be a column of `inputs.{key}`, got `{by}`",
            hint=suggestion(by, parts.held_out.column_names, what="columns"),
        )


def _judge(trained: Trained, entrypoint: str, parts: Split, rule: Rule, key: str, own: OwnCode) -> _Trial:
    where = f"`entrypoint` `{entrypoint}` returned"
    name = formats.format_of(trained.estimator) if own.save is None else formats.OWN
    content = formats.dump(trained.estimator, name, own)
    model = formats.load(content, name, own)  # evaluated as predict will use it: loaded from its bytes
    metric = rule.metric_for(model)
    training = _finite(_targets(model, parts.training[key], trained.target, f"`inputs.{key}`"))
    target = _targets(model, parts.held_out, trained.target, f"`inputs.{key}`")
    held_out = parts.held_out.filter(pa.array(np.isfinite(target)))
    observed = _finite(target)
    if not len(observed) or not len(training):
        which = "held-out rows" if not len(observed) else "training rows"
        raise ModelError(
            f"{where} a model of `{trained.target}`, which has no value in the {which}",
            hint="provide more rows, or change `holdout`",
        )
    check_observed(model, np.concatenate([training, observed]), trained.target)
    scores = model.score(to_frame(held_out.select(list(trained.features))))
    metrics = measure_all(model, observed, scores)
    deciding = deciding_metric(metric, trained.target, own.code or Path())
    measured = deciding.measure(model, observed, scores, held_out)
    if math.isfinite(measured):
        metrics = {metric: measured, **metrics}
    if metric not in metrics:
        why, hint = _why_undefined(model, parts.held_out.column(trained.target), observed, scores)
        raise ModelError(
            f"{where} a model whose {metric} on {len(observed):,} held-out rows is not a finite number: {why}; "
            "nothing was registered",
            hint=hint,
        )
    constant = constant_scores(model, training, len(observed))
    baseline = deciding.measure(model, observed, constant, held_out)
    segments = None
    if rule.by is not None:
        segments = deciding.by_segment(rule.by, model, observed, scores, held_out)
    return _Trial(
        model,
        name,
        content,
        metric,
        metrics,
        baseline,
        held_out,
        observed,
        len(training),
        deciding,
        segments,
    )


def _why_undefined(
    model: Model, target: pa.ChunkedArray[Any], observed: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[str, str]:
    """Return why a metric is not a finite number, and a hint."""
    if lost := int(np.count_nonzero(~np.isfinite(scores))):
        return f"{lost:,} of its scores are not finite", "look at the training rows for missing or infinite values"
    if len(observed) < _FEW:
        return "there are too few rows", "provide more rows, or set a larger `holdout.fraction`"
    if model.kind != "regression" and len(np.unique(observed)) == 1:
        (label,) = target.drop_null().slice(0, 1).to_pylist()
        return f"all of them have the class `{label}`", (
            "choose held-out rows with all classes, e.g. `holdout: {random: true}`, or set another `promote.metric`"
        )
    return (
        "it is not defined for these rows",
        "choose other held-out rows by `holdout`, or set another `promote.metric`",
    )


def _targets(model: Model, rows: pa.Table, target: str, where: str) -> NDArray[np.float64]:
    """Return the target as floats, with NaN for null: numbers, or the codes of a model's classes."""
    if model.kind != "classes":
        return target_of(rows, target, where)
    values = rows.column(target).to_pylist()
    known = np.asarray([value is not None for value in values], dtype=bool)
    return np.where(known, codes_of(values, model.classes), np.nan)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    finite: NDArray[np.float64] = values[np.isfinite(values)]
    return finite


def _lineage(
    run: Run, entrypoint: str, function: Callable[..., Any], data: Mapping[str, int], parameters: Mapping[str, Any]
) -> Lineage:
    file = inspect.getsourcefile(inspect.unwrap(function))
    code = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else ""
    return Lineage(
        run.pipeline, run.run_id, run.slice.id, run.slice.order, entrypoint, code, dict(data), dict(parameters)
    )


def _candidate(
    trained: Trained, trial: _Trial, parts: Split, lineage: Lineage, training: Mapping[str, FeatureSummary]
) -> Candidate:
    return Candidate(
        model_format=trial.model_format,
        content=trial.content,
        kind=trial.model.kind,
        classes=trial.model.classes,
        has_probabilities=trial.model.has_probabilities,
        features=features_of(trial.held_out.schema, list(trained.features)),
        target=trained.target,
        metrics=trial.metrics,
        reported={name: float(value) for name, value in (trained.metrics or {}).items()},
        rows_trained=trial.rows_trained,
        rows_held_out=len(trial.observed),
        window=parts.window,
        lineage=lineage,
        training=training,
        segments=trial.segments,
        types=formats.types(trial.content, trial.model_format),
        libraries=formats.libraries(trial.model_format),
    )


def _promote(
    registry: Registry, record: ModelRecord, trial: _Trial, rule: Rule, own: OwnCode, *, hold: bool
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
    registry: Registry, record: ModelRecord, champion: Champion | None, trial: _Trial, rule: Rule, own: OwnCode
) -> Decision:
    guess = "the shares of the classes" if trial.model.kind == "classes" else "the mean"
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
    registry: Registry, champion: ModelRecord, trial: _Trial, target: str, own: OwnCode
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
    if model.kind == "classes":
        observed = _targets(model, trial.held_out, target, "the held-out rows")  # its classes may be others
    value = trial.deciding.measure(model, observed, scores, trial.held_out)
    return (value, None) if math.isfinite(value) else (None, f"its {trial.metric} is not a finite number")

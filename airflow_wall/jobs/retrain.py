"""
The job `retrain`: call the user's training function, evaluate the model on held-out rows, register it, and promote it
only if it is better than the champion.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.environments.user_code import load_function
from airflow_wall.errors import ModelError
from airflow_wall.job import Env, Run
from airflow_wall.models import formats
from airflow_wall.models.amounts import read_share
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import Candidate, FeatureSummary, ModelLineage, ModelRecord, OwnCode, Registry, Trained
from airflow_wall.models.challenge import challenge
from airflow_wall.models.changes import Changes
from airflow_wall.models.deciding_metric import deciding_metric
from airflow_wall.models.feature_values import NEW_CATEGORIES
from airflow_wall.models.features import features_of
from airflow_wall.models.holdout import Split, split
from airflow_wall.models.promotion import read_rule
from airflow_wall.models.train_function import call_train
from airflow_wall.models.training_summary import summarize
from airflow_wall.models.trial import Trial, judge
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.input_rows import InputRows, check_inputs, read_rows

log = logging.getLogger(__name__)


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
    registry = open_registry(env.run.storage)
    registry.champion(model)  # reject an invalid name before an hour of training
    rows = {key: read_rows(store, key, pattern) for key, pattern in inputs.items()}
    test = (holdout or {}).get("table")
    held_out = None if test is None else InputRows(store.read(test), {test: store.version(test)})
    tables = {key: input_rows.table for key, input_rows in rows.items()}
    parts = split(tables, holdout, None if held_out is None else held_out.table)
    function = load_function(entrypoint, code=env.run.code)
    if rule.metric is not None:
        deciding_metric(rule.metric, (), env.run.code)  # reject a missing function before an hour of training
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
    trained = call_train(function, env.run.code, entrypoint, parts, parameters or {})
    if champion is not None and not trains_alike:
        changes.check(champion, trained.features)
    training = summarize(parts.training[next(iter(inputs))], trained.features)
    changes.check_held_out(training)
    trial = judge(trained, entrypoint, parts, rule, next(iter(inputs)), own)
    record = registry.register(model, _candidate(trained, trial, parts, lineage, training))
    decision, held = challenge(registry, record, trial, rule, own, hold=hold)
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


def _champion_record(registry: Registry, model: str) -> ModelRecord | None:
    champion = registry.champion(model)
    return None if champion is None else registry.record(model, champion.version)


def _trains_alike(before: ModelLineage, now: ModelLineage) -> bool:
    """Return True if a version was trained by the same code and parameters, and so reads the same features."""
    return (before.entrypoint, before.code, dict(before.parameters)) == (now.entrypoint, now.code, dict(now.parameters))


def _check_segment_column(by: str | None, parts: Split, key: str) -> None:
    if by is not None and by not in parts.held_out.column_names:
        raise ModelError(
            f"`promote.by` must be a column of `inputs.{key}`, got `{by}`",
            hint=suggestion(by, parts.held_out.column_names, what="columns"),
        )


def _lineage(
    run: Run, entrypoint: str, function: Callable[..., Any], data: Mapping[str, int], parameters: Mapping[str, Any]
) -> ModelLineage:
    file = inspect.getsourcefile(inspect.unwrap(function))
    code = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else ""
    return ModelLineage(
        run.pipeline, run.run_id, run.slice.id, run.slice.order, entrypoint, code, dict(data), dict(parameters)
    )


def _candidate(
    trained: Trained, trial: Trial, parts: Split, lineage: ModelLineage, training: Mapping[str, FeatureSummary]
) -> Candidate:
    return Candidate(
        model_format=trial.model_format,
        content=trial.content,
        kind=trial.model.kind,
        classes=trial.model.classes,
        has_probabilities=trial.model.has_probabilities,
        parts=trial.model.parts,
        features=features_of(trial.held_out.schema, list(trained.features)),
        target=", ".join(trained.targets),
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

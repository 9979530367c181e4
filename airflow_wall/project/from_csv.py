"""A project for a CSV file: a pipeline that predicts one of its columns, tried before it is written."""

from __future__ import annotations

import contextlib
import keyword
import logging
import math
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.errors import ModelError, WallError
from airflow_wall.job import Env, Run, Slice, slice_id_of
from airflow_wall.jobs.check_integrity import check_integrity
from airflow_wall.jobs.ingest import ingest
from airflow_wall.jobs.predict import predict
from airflow_wall.jobs.retrain import retrain
from airflow_wall.lake.lake import Lake
from airflow_wall.models.holdout import names_birth
from airflow_wall.project.csv_file import Column, CsvFile
from airflow_wall.project.templates import render
from airflow_wall.storage.backends import open_tables

_FEWEST = 30
"""Rows with a target below which no model is trained."""

_CLASSES = 20
"""The most classes of a text target."""

_CODES = 10
"""The most values of a whole number that count as classes."""

_CATEGORIES = 50
"""The most values of a text feature."""

_LINEAR_FIRST = 2_000
"""Rows up to which a linear model is tried first."""

_KEY = re.compile(r"(?i:(^|[^a-z])(id|key|no|nr|code|number|index|uuid)([^a-z]|$))|[a-z]I[dD]$")
_NUMBER = r"[+-]?\d+([.]\d*)?"
_WRITTEN = ("score", "label", "model", "model_version", "run_id")
"""Columns that `predict` writes; it also writes `probability_...`."""


@dataclass(frozen=True)
class CsvProject:
    """
    A project for a file.

    :param name: The name of its pipeline, table and model.
    :param date: A date for the first run.
    :param kind: The kind of prediction, in words.
    :param files: Path to text, or to the file to copy.
    :param notes: Remarks for the author.
    """

    name: str
    date: str
    about: str
    kind: str
    files: Mapping[str, str | Path]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class _Task:
    """
    The prediction: of a number, of 0 or 1 (`binary`), or of one of several classes.

    :param values: The classes; () for a number.
    """

    kind: str
    metric: str
    values: tuple[Any, ...] = ()
    whole: bool = False

    @property
    def words(self) -> str:
        """The kind, for the author."""
        return {"number": "a number", "binary": "yes or no"}.get(self.kind, f"one of {len(self.values)} classes")


@dataclass(frozen=True)
class _Try:
    """An estimator and a way to hold rows out."""

    estimator: str
    holdout: Mapping[str, Any]


@dataclass
class _Features:
    """The columns that a model reads, and why others are left out."""

    texts: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def project_of(file: CsvFile, target: str, *, today: date | None = None) -> CsvProject:
    """
    Return the project that predicts a column of a file.

    Its steps are tried on the file, in a temporary lake, so that its first run succeeds.

    :raises WallError: the file has no such column, or no model of it is possible.
    """
    column = _target(file, target)
    task = _task(file, column)
    key = _key(file, column)
    features = _features(file, column, key)
    if key is not None and not features.texts and not features.numbers and file.columns[key].family == "number":
        key = None  # all numbers differ, but there is nothing else to predict from
        features = _features(file, column, key)
    if not features.texts and not features.numbers:
        reasons = "; ".join(f"`{name}` {why}" for name, why in features.left_out.items())
        raise WallError(
            f"`{file.path}` has no column to predict `{column.name}` from: {reasons}",
            hint="add columns of numbers, or of texts with few values",
        )
    time = _time_column(file)
    name = _name(file.path)
    day = _date(time) or (today or datetime.now(UTC).date())
    kept = [*([key] if key else []), *([time.name] if time is not None else []), column.name] if key else file.columns
    about = f"Predicts `{column.name}` ({task.words}) from the other columns of {re.sub('[{}]', '', file.path.name)}."
    values = {
        "name": name,
        "about": about,
        "date": day.isoformat(),
        "options": dict(file.options),
        "contract": _contract(file, key),
        "checks": _checks(file, column, key, task),
        "metric": task.metric,
        "keep": list(dict.fromkeys(kept_name for kept_name in kept if not _is_written(kept_name))),
        "target": column.name,
        "texts": features.texts,
        "numbers": features.numbers,
        "left_out": [f"{other!r} {why}" for other, why in features.left_out.items()],
        "whole": task.whole,
        "rows": file.rows,
        "file": f"{file.path.stem}{'.tsv' if file.path.suffix.lower() == '.tsv' else '.csv'}",
    }
    files, chosen = _tried(file, values, _tries(file, task, time), task, column)
    notes = [f"`{other}` is left out: it {why}" for other, why in features.left_out.items()]
    if time is not None and "random" in chosen.holdout:
        notes.append(
            f"on the latest rows by `{time.name}` no model was better than the mean: rows are held out at random"
        )
    return CsvProject(name, day.isoformat(), about, task.words, files, notes)


def _target(file: CsvFile, name: str) -> Column:
    column = file.columns.get(name)
    if column is None:
        raise WallError(
            f"`--target` must be a column of `{file.path}`, got `{name}`",
            hint=did_you_mean(name, file.columns) or f"its columns are {listed(file.columns)}",
        )
    known = file.rows - column.nulls
    if known < _FEWEST:
        raise WallError(
            f"`{file.path}` has {known:,} rows with a value in `{name}`, and a model needs {_FEWEST} or more",
            hint="provide more rows",
        )
    if column.distinct < 2:
        raise WallError(
            f"all rows of `{file.path}` have the same `{name}`: {column.values.dropna().iloc[0]}",
            hint="name a column whose values differ",
        )
    return column


def _task(file: CsvFile, column: Column) -> _Task:
    values = column.values.dropna()
    if column.family == "boolean":
        return _Task("binary", "log_loss", whole=True)
    if column.family == "text":
        if column.distinct > _CLASSES:
            raise WallError(
                f"`{column.name}` of `{file.path}` must be a number or have at most {_CLASSES} classes, got "
                f"{column.distinct:,} different texts",
                hint="name another column, or group its values",
            )
        return _Task("classes", "log_loss", tuple(sorted(values.unique())))
    if column.family != "number":
        raise WallError(
            f"`{column.name}` of `{file.path}` must be a number or a class, got a time", hint="name another column"
        )
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise WallError(f"`{column.name}` of `{file.path}` has infinite values", hint="correct them")
    if set(np.unique(numbers)) == {0.0, 1.0}:
        return _Task("binary", "log_loss", whole=True)
    is_code = pa.types.is_integer(column.type) and column.distinct <= min(_CODES, len(numbers) // 20)
    if is_code:
        return _Task("classes", "log_loss", tuple(int(number) for number in np.unique(numbers)), whole=True)
    return _Task("number", "rmse")


def _key(file: CsvFile, target: Column) -> str | None:
    """Return the first column whose values all differ and look like a key: texts of one word, or whole numbers."""
    for place, column in enumerate(file.columns.values()):
        if column.name == target.name or column.nulls or column.distinct != file.rows:
            continue
        is_whole = pa.types.is_integer(column.type) or (pa.types.is_decimal(column.type) and column.type.scale == 0)
        is_code = column.family == "text" and column.values.str.fullmatch(r"\S{1,64}").all()
        if is_code or (is_whole and (place == 0 or _KEY.search(column.name))):
            return column.name
    return None


def _features(file: CsvFile, target: Column, key: str | None) -> _Features:
    features = _Features()
    for column in file.columns.values():
        if column.name == target.name:
            continue
        if (why := _unfit(file, column, key)) is not None:
            features.left_out[column.name] = why
        elif column.family == "text":
            features.texts.append(column.name)
        else:
            features.numbers.append(column.name)
    return features


def _unfit(file: CsvFile, column: Column, key: str | None) -> str | None:
    """Return why a model cannot read a column, or None."""
    if column.name == key:
        return "identifies a row"
    if column.distinct < 2:
        return "has the same value in all rows" if column.distinct else "has no values"
    if column.nulls > 0.9 * file.rows:
        return "has values in few rows"
    if column.family == "time":
        return "is a time: compute features from it, e.g. the day of the week, in a transform"
    if column.family == "text" and column.values.dropna().str.fullmatch(_NUMBER).all():
        return (
            "is text, because its numbers are written in several ways, e.g. `1.10` beside `1.9`, or with leading zeros"
        )
    if column.family == "text" and column.distinct > min(_CATEGORIES, max(file.rows // 5, 2)):
        return f"has {column.distinct:,} different texts"
    if column.family == "number" and np.isinf(np.asarray(column.values, dtype=np.float64)).any():
        return "has infinite values"
    return None


def _time_column(file: CsvFile) -> Column | None:
    """Return the first column that is the time of a row."""
    for column in file.columns.values():
        if column.family == "time" and column.distinct >= 5 and not names_birth(column.name):
            return column
    return None


def _date(column: Column | None) -> date | None:
    """Return the last day of a column of times, if it is not in the future."""
    if column is None:
        return None
    last = pd.Timestamp(column.values.dropna().max()).date()
    return last if date(1970, 1, 2) <= last <= datetime.now(UTC).date() else None


def _contract(file: CsvFile, key: str | None) -> Mapping[str, Any]:
    columns = dict(file.contract["columns"])
    if key is not None:
        columns[key] = {"type": columns[key], "nullable": False}
    return {"description": f"The rows of {file.path.name}.", **file.contract, "columns": columns}


def _checks(file: CsvFile, target: Column, key: str | None, task: _Task) -> list[dict[str, Any]]:
    """Return checks that this file passes."""
    checks: list[dict[str, Any]] = [{"row_count": {"min": 1}}]
    if key is not None:
        checks.append({"unique": {"key": key, "over": "slice"}})
    if full := [column.name for column in file.columns.values() if not column.nulls]:
        checks.append({"not_null": {"columns": full}})
    for column in file.columns.values():
        share = column.nulls / file.rows
        if 0 < share < 0.5:
            checks.append({"not_null": {"columns": column.name, "max_fraction": math.ceil(share * 150 + 1) / 100}})
    if task.kind == "classes":
        checks.append({"accepted_values": {"column": target.name, "values": list(task.values)}})
    numbers = (column for column in file.columns.values() if column.family == "number" and column.distinct)
    checks += [{"range": {"column": column.name, "min": 0}} for column in numbers if _is_positive(column)]
    return checks


def _is_positive(column: Column) -> bool:
    """Return True if no value is negative or may be NaN, which is outside of every range."""
    may_be_nan = pa.types.is_floating(column.type) and column.nulls > 0
    return not may_be_nan and bool(column.values.min() >= 0)


def _tries(file: CsvFile, task: _Task, time: Column | None) -> list[_Try]:
    kinds = ["Ridge", "HistGradientBoostingRegressor"]
    if task.kind != "number":
        kinds = ["LogisticRegression", "HistGradientBoostingClassifier"]
    if file.rows > _LINEAR_FIRST:
        kinds.reverse()
    holdouts: list[dict[str, Any]] = [{"by": time.name}] if time is not None else []
    return [_Try(kind, holdout) for holdout in (*holdouts, {"random": True}) for kind in kinds]


def _tried(
    file: CsvFile, values: Mapping[str, Any], tries: Sequence[_Try], task: _Task, target: Column
) -> tuple[dict[str, str | Path], _Try]:
    """
    Return the files of the first try whose steps succeed.

    :raises WallError: none does.
    """
    reason = ""
    for attempt in tries:
        more = {"estimator": attempt.estimator, "holdout": dict(attempt.holdout), "score_checks": _score_checks(task)}
        rendered = render("csv", {**values, **more})
        files: dict[str, str | Path] = {path.replace("NAME", values["name"]): text for path, text in rendered.items()}
        files[f"lake/landing/{values['name']}/{values['file']}"] = file.path
        try:
            _run(files, {**values, **more})
        except ModelError as error:
            reason = error.message
            continue
        return files, attempt
    raise WallError(
        f"no model predicts `{target.name}` of `{file.path}` better than its mean: {reason}",
        hint="add columns that say more about it, or name another target",
    )


def _score_checks(task: _Task) -> list[dict[str, Any]]:
    checks: list[dict[str, Any]] = [{"row_count": {"min": 1}}, {"not_null": {"columns": ["score"]}}]
    if task.kind == "classes":
        return [*checks, {"accepted_values": {"column": "label", "values": list(task.values)}}]
    if task.kind == "binary":
        checks.append({"range": {"column": "score", "min": 0, "max": 1}})
    return [*checks, {"distribution": {"name": "scores differ", "column": "score", "min_distinct": 2}}]


def _run(files: Mapping[str, str | Path], values: Mapping[str, Any]) -> None:
    """
    Run the steps of the project in a temporary folder.

    :raises ModelError: the model is worse than the mean, or the same for all rows.
    """
    name, slice_id = values["name"], slice_id_of(datetime.fromisoformat(values["date"]).replace(tzinfo=UTC))
    with tempfile.TemporaryDirectory(prefix="airflow-wall-") as scratch, _quiet():
        folder = Path(scratch)
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, folder / path)
            else:
                (folder / path).write_text(content, encoding="utf-8")
        part = Slice(slice_id, f"{values['date']}T00:00:00+00:00", values["date"])
        run = Run(name, "init", "init", 1, part, Lake(folder / "lake"), folder, folder / "dags")
        env = Env(run, _no_connection)
        rows = {"rows": f"bronze/{name}"}
        contract = {**values["contract"]}
        ingest(env, source=f"landing/{name}", target=rows["rows"], contract=contract, options=values["options"])
        check_integrity(env, table=rows["rows"], checks=values["checks"])
        rule = {"metric": values["metric"]}
        trained = retrain(
            env, entrypoint=f"models.{name}:train", inputs=rows, model=name, promote=rule, holdout=values["holdout"]
        )
        if not trained["promoted"]:
            raise ModelError(trained["reason"])
        predict(env, model=name, inputs=rows, target=f"gold/{name}", keep=values["keep"])
        scores = open_tables(folder / "lake").read(f"gold/{name}", columns=["score"]).to_pandas()
        if scores["score"].nunique() < 2:
            raise ModelError("its predictions are the same for all rows")
        check_integrity(env, table=f"gold/{name}", checks=values["score_checks"])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the logs and warnings of the steps from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _no_connection(conn_id: str) -> Any:
    raise AssertionError(conn_id)  # no step that is tried has one


def _is_written(name: str) -> bool:
    return name.lower() in _WRITTEN or name.lower().startswith("probability_")


def _name(path: Path) -> str:
    """Return the name of a pipeline for a file."""
    name = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")[:40] or "data"
    return f"data_{name}" if name[0].isdigit() or keyword.iskeyword(name) else name

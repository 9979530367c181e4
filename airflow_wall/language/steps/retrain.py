"""The step `retrain`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from airflow_wall.diagnostics.patterns import MARGIN_PATTERN
from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.language.base import SpecModel
from airflow_wall.language.steps.base import (
    TABLE_PACKAGES,
    Input,
    NewCategories,
    OnCluster,
    Parameters,
    TableInput,
    Text,
)
from airflow_wall.models.metric_names import KINDS, NAMES, OWN_HINT, is_own, own_is_lower_better
from airflow_wall.text.kinds import (
    Code,
    FieldKind,
    ModelName,
    Plain,
)


def _known_metric(name: str) -> str:
    if is_own(name):
        if own_is_lower_better(name) is None:
            raise PydanticCustomError("metric", "must say by its name if higher is better", {"hint": OWN_HINT})
        return name
    if name not in NAMES:
        hint = did_you_mean(name, NAMES) or f"write one of {listed(KINDS, len(KINDS))}"
        raise PydanticCustomError("metric", "must be a metric", {"hint": hint})
    return name


Metric = Annotated[str, AfterValidator(_known_metric), FieldKind.PLAIN, FieldKind.CODE]
"""The name of a metric, or a function of one's own."""


class Promote(SpecModel):
    """The rule by which a new model replaces the champion."""

    metric: Metric = Field(
        description="The metric that decides: `rmse`, `auc`, ..., a scorer of scikit-learn, or your `module:function`."
    )
    by: Plain[str] | None = Field(None, description="A column; the metric is also measured for each of its values.")
    lower_is_better: Plain[bool] | None = Field(None, description="Deprecated, without effect: the metric decides it.")
    margin: Plain[Annotated[str, StringConstraints(pattern=MARGIN_PATTERN)] | float | int] = Field(
        "0%", description="The margin by which it must be better: a share such as `1%`, or a number."
    )
    max_loss: Plain[Annotated[str, StringConstraints(pattern=MARGIN_PATTERN)] | float | int] = Field(
        "10%",
        description="If the champion cannot score the rows: how much worse than its recorded metric a model may be.",
    )


def _table_of(value: Any) -> Any:
    if not isinstance(value, TableInput):
        return value
    return {"table": value.table, "external": True} if value.external else value.table


class Holdout(SpecModel):
    """The rows that are held out from training to evaluate models."""

    by: Plain[str] | None = Field(
        None,
        description="A column of times or numbers whose highest values are held out; by default the first of times.",
    )
    from_: Plain[Text | float | int] | None = Field(
        None, alias="from", description="With `by`: the value from which on rows are held out, e.g. `2013-06-01`."
    )
    group: Plain[str] | None = Field(
        None, description="A column whose values are drawn: rows with the same value stay together."
    )
    random: Plain[Literal[True]] | None = Field(None, description="Draw rows, the same ones in each try.")
    table: Annotated[Input, PlainSerializer(_table_of)] | None = Field(
        None, description="A table with the rows to evaluate models on; all rows of the first input are trained on."
    )
    fraction: Plain[float] | None = Field(
        None, gt=0, lt=1, description="The share of the rows that is held out, by default a fifth."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [key for key in ("by", "group", "random", "table") if getattr(self, key) is not None]
        if len(ways) > 1:
            hint = "they are different ways to choose rows: keep one"
            raise PydanticCustomError("together", f"`{ways[0]}` and `{ways[1]}` exclude each other", {"hint": hint})
        if self.from_ is not None and self.by is None:
            hint = "name the column: `holdout: {by: COLUMN, from: VALUE}`"
            raise PydanticCustomError("together", "`from` needs `by`", {"hint": hint})
        if self.fraction is not None and (self.from_ is not None or self.table is not None):
            other = "from" if self.from_ is not None else "table"
            hint = f"`{other}` says which rows are held out: remove `fraction`"
            raise PydanticCustomError("together", f"`fraction` and `{other}` exclude each other", {"hint": hint})
        return self


class Retrain(OnCluster):
    """Train a model, evaluate it on held-out rows, and promote it only if it is better."""

    one_run_at_a_time: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = (*TABLE_PACKAGES, "sklearn", "skops")

    entrypoint: Code[Text] = Field(description="The training function, `module:function`.")
    inputs: dict[str, Input] = Field(
        min_length=1, description="Argument of the function to table, e.g. `{features: silver/*}`."
    )
    model: ModelName[Text] = Field(description="The model's name in the registry.")
    promote: Promote | None = Field(
        None, description="The rule to replace the champion; by default a lower `rmse`, or `log_loss` of a classifier."
    )
    holdout: Holdout | None = Field(None, description="The rows to evaluate it on; by default the latest fifth.")
    new_categories: NewCategories = "20%"
    accept_changes: Plain[list[str]] = Field(
        [], description="Features of the champion that are meant to be gone, to have another type or other values."
    )
    parameters: Plain[Parameters] | None = Field(None, description="Further arguments of the function.")
    save: Code[Text] | None = Field(None, description="A function that returns a model of your own as bytes.")
    load: Code[Text] | None = Field(None, description="With `save`: the function that opens these bytes.")
    approve: Plain[bool] = Field(
        False, description="If true, a human approves a better model in Airflow before it becomes the champion."
    )

    @model_validator(mode="after")
    def _both_functions(self) -> Self:
        if (self.save is None) != (self.load is None):
            missing = "load" if self.load is None else "save"
            raise PydanticCustomError(
                "together", "`save` and `load` belong together", {"hint": f"add `{missing}: module:function`"}
            )
        return self

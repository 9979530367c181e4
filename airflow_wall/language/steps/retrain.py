"""The step `retrain`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from airflow_wall.diagnostics.patterns import MARGIN_PATTERN
from airflow_wall.language.base import SpecModel
from airflow_wall.language.steps.base import Input, OnCluster, Parameters, Text
from airflow_wall.text.kinds import (
    Code,
    ModelName,
    Plain,
)


class Promote(SpecModel):
    """The rule by which a new model replaces the champion."""

    metric: Plain[str] = Field(description="The metric to compare on the held-out rows: `rmse`, `mae`, `r2`, ...")
    lower_is_better: Plain[bool] = Field(True, description="If true, a lower value is better.")
    margin: Plain[Annotated[str, StringConstraints(pattern=MARGIN_PATTERN)] | float | int] = Field(
        "0%", description="The margin by which it must be better: a share such as `1%`, or a number."
    )


class Holdout(SpecModel):
    """The rows that are held out from training to evaluate models."""

    by: Plain[str] | None = Field(
        None, description="The column whose highest values are held out; by default the first time column."
    )
    fraction: Plain[float] = Field(0.2, gt=0, lt=1, description="The share of the rows that is held out.")


class Retrain(OnCluster):
    """Train a model, evaluate it on held-out rows, and promote it only if it is better."""

    one_run_at_a_time: ClassVar[bool] = True

    entrypoint: Code[Text] = Field(description="The training function, `module:function`.")
    inputs: dict[str, Input] = Field(
        min_length=1, description="Argument of the function to table, e.g. `{features: silver/*}`."
    )
    model: ModelName[Text] = Field(description="The model's name in the registry.")
    promote: Promote | None = Field(
        None, description="The rule to replace the champion; by default `rmse`, lower is better."
    )
    holdout: Holdout | None = Field(None, description="The rows to evaluate it on; by default the latest fifth.")
    parameters: Plain[Parameters] | None = Field(None, description="Further arguments of the function.")

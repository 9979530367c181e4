"""The steps that learn and score: `retrain`, `predict`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from airflow_wall.spec.base import Duration, Positive, SpecModel
from airflow_wall.spec.steps.base import OnCluster, Parameters, Text


class Promote(SpecModel):
    """When a new model replaces the champion."""

    metric: str = Field(description="What is compared on the held-out rows: `rmse`, `mae`, `r2`, ...")
    lower_is_better: bool = Field(True, description="Whether a lower value is better.")
    margin: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?%?$")] | float | int = Field(
        "0%", description="By how much it must be better: a share such as `1%`, or a number."
    )


class Holdout(SpecModel):
    """Which rows are kept from training to judge models by."""

    by: str | None = Field(
        None, description="The column whose highest values are held out; by default the first time column."
    )
    fraction: float = Field(0.2, gt=0, lt=1, description="Which share of the rows.")


class Retrain(OnCluster):
    """Train a model, judge it on held-out rows, and promote it only if it is better."""

    one_run_at_a_time: ClassVar[bool] = True

    entrypoint: Text = Field(description="The training function, `module:function`.")
    inputs: dict[str, Text] = Field(
        min_length=1, description="Argument of the function to table, e.g. `{features: silver/*}`."
    )
    model: Text = Field(description="The model's name in the registry.")
    promote: Promote | None = Field(
        None, description="When it replaces the champion; by default `rmse`, lower is better."
    )
    holdout: Holdout | None = Field(None, description="Which rows judge it; by default the latest fifth.")
    parameters: Parameters | None = Field(None, description="Further arguments of the function.")


class Predict(OnCluster):
    """Score this run's rows with the champion, or with a pinned version."""

    model: Text = Field(description="The model's name in the registry.")
    inputs: dict[str, Text] = Field(
        min_length=1, max_length=1, description="The rows to score, e.g. `{features: silver/*}`."
    )
    target: Text = Field(description="The table the scores go to.")
    version: Positive | None = Field(None, description="A version of the model instead of the champion.")
    keep: list[str] | None = Field(
        None, description="Input columns to keep beside the score; by default all that are no feature."
    )
    max_age: Duration | None = Field(None, description="How old the model may be.")

"""The step `predict`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.language.base import Duration, Positive
from airflow_wall.language.steps.base import TABLE_PACKAGES, Input, NewCategories, OnCluster, Share, Text
from airflow_wall.text.kinds import (
    Code,
    ModelName,
    Plain,
    Table,
)


class Predict(OnCluster):
    """Score this run's rows with the champion, or with a pinned version."""

    packages: ClassVar[tuple[str, ...]] = (*TABLE_PACKAGES, "sklearn", "skops")

    model: ModelName[Text] = Field(description="The model's name in the registry.")
    inputs: dict[str, Input] = Field(
        min_length=1, max_length=1, description="The rows to score, e.g. `{features: silver/*}`."
    )
    target: Table[Text] = Field(
        description="The table for the scores: `score`, or for several classes `label` and their probabilities; of "
        "several targets, these for each."
    )
    version: Positive | None = Field(None, description="A version of the model instead of the champion.")
    keep: Plain[list[str]] | None = Field(
        None, description="Input columns to keep beside the score; by default all that are not features."
    )
    max_age: Duration | None = Field(None, description="The maximum age of the model.")
    new_categories: NewCategories = "20%"
    load: Code[Text] | None = Field(None, description="The function that opens a model that `save` of `retrain` saved.")
    share: Share = False

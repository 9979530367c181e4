"""Types that the steps share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, InstanceOf, StringConstraints, WithJsonSchema, model_validator

from airflow_wall.spec.base import SpecModel
from airflow_wall.spec.environment import KEYS, Image, Python, Requirements, check_together
from airflow_wall.spec.markers import Template, XComRef

_TEXT_SCHEMA = {
    "anyOf": [{"type": "string"}, {"type": "object", "patternProperties": {r"^\$": {}}, "additionalProperties": False}]
}

Filled = Annotated[str, StringConstraints(min_length=1)]
Text = Annotated[Filled | InstanceOf[Template] | InstanceOf[XComRef], WithJsonSchema(_TEXT_SCHEMA)]
"""A text, or a marker that gives one."""

TaskId = Annotated[Filled, Field(json_schema_extra={"x-refers-to": "task"})]
"""The id of another task of the pipeline."""

Parameters = dict[str, Any]


class Step(SpecModel):
    """
    Base of all steps.

    The class variables tell the planner what the fields mean to the graph; the fields are what the operator takes.
    """

    reads_file: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Field to file suffixes: a value that ends so is the path of a file beside the pipeline, and its text is meant."""

    task_fields: ClassVar[dict[str, str]] = {}
    """Field to the step it must name: the value is the id of such a task, e.g. `{"cluster": "start_cluster"}`."""

    closes: ClassVar[str | None] = None
    """The field that names the task this step cleans up after, if it is the second of a pair."""

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        KEYS, "it is for the steps that run code of yours: `ingest`, `transform`, `retrain`, `predict`"
    )

    one_run_at_a_time: ClassVar[bool] = False
    """Whether two runs of a pipeline with this step would get in each other's way."""


Deferrable = Annotated[
    bool, Field(description="Whether the triggerer waits for a cloud, so that no worker is held meanwhile.")
]


class OnCluster(Step):
    """Base of the steps that compute: in the worker, or on the cluster they name."""

    task_fields: ClassVar[dict[str, str]] = {"cluster": "start_cluster"}

    cluster: TaskId | None = Field(
        None, description="The `start_cluster` task on whose cluster it runs; without it, in the worker."
    )
    requirements: Requirements | None = Field(
        None,
        description="Packages of its own, e.g. `[pandas<2]`, or the name of a `.txt` file beside the pipeline; it then "
        "runs in a venv that has them, and no Airflow. `[]`: none, whatever the pipeline says.",
    )
    python: Python | None = Field(
        None,
        description="The path of the interpreter that it runs by; beside `requirements` also a version, e.g. `'3.12'`.",
    )
    image: Image | None = Field(None, description="The container image that it runs in.")
    deferrable: Deferrable = True

    @model_validator(mode="after")
    def _one_environment(self) -> Self:
        check_together(self)
        return self

"""The base of all steps, and the types that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    InstanceOf,
    PlainSerializer,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError
from pydantic_core.core_schema import ValidationInfo

from airflow_wall.diagnostics.patterns import MARGIN_PATTERN
from airflow_wall.errors import ConnectionFault, DataError, ReleaseError
from airflow_wall.language.base import SpecModel
from airflow_wall.language.environment import KEYS, Image, Python, Requirements, check_together
from airflow_wall.language.markers import Template, XComRef
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.targets.base import Target
from airflow_wall.sources.backends import misplaced_keys, parse_source
from airflow_wall.sources.kinds.base import Source
from airflow_wall.text.kinds import FieldKind, Plain, Sql, Table

_TEXT_SCHEMA = {
    "anyOf": [{"type": "string"}, {"type": "object", "patternProperties": {r"^\$": {}}, "additionalProperties": False}]
}

Filled = Annotated[str, StringConstraints(min_length=1)]
Text = Annotated[Filled | InstanceOf[Template] | InstanceOf[XComRef], WithJsonSchema(_TEXT_SCHEMA)]
"""A text, or a marker that is replaced by one."""


def _filled(value: Any) -> str:
    """Return a text that is not empty; raise Pydantic's own errors for anything else."""
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    if not value:
        raise PydanticKnownError("string_too_short", {"min_length": 1})
    return value


def _target(value: Any) -> Any:
    if isinstance(value, Target | Template | XComRef):
        return value
    try:
        return parse_target(_filled(value))
    except ConnectionFault as error:  # the value may hold a password
        expected, kind, hint = error.message, "secret", error.hint
    except ReleaseError as error:
        expected, kind, hint = error.message.partition(", got ")[0], "target", error.hint
    raise PydanticCustomError(kind, "{expected}", {"expected": expected.removeprefix("`to` "), "hint": hint})


_TARGET = (BeforeValidator(_target), PlainSerializer(str, return_type=str))

TargetOnly = Annotated[
    InstanceOf[Target], *_TARGET, WithJsonSchema({"type": "string", "minLength": 1}), FieldKind.TARGET
]
"""The target of a release, e.g. `sql://CONNECTION/TABLE`."""

TargetOrMarker = Annotated[
    InstanceOf[Target] | InstanceOf[Template] | InstanceOf[XComRef],
    *_TARGET,
    WithJsonSchema(_TEXT_SCHEMA),
    FieldKind.TARGET,
]
"""The target of a release, or a marker that is replaced by its text."""


def _source(value: Any) -> Any:
    if isinstance(value, Source | Template | XComRef):
        return value
    try:
        return parse_source(_filled(value))
    except DataError as error:
        expected = error.message.partition(", got ")[0].removeprefix("`source` ")
        raise PydanticCustomError("source", "{expected}", {"expected": expected, "hint": error.hint}) from None


SourceOrMarker = Annotated[
    InstanceOf[Source] | InstanceOf[Template] | InstanceOf[XComRef],
    BeforeValidator(_source),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(_TEXT_SCHEMA),
    FieldKind.SOURCE,
]
"""A source of data, e.g. `landing/orders` or `sql://CONNECTION/TABLE`, or a marker that is replaced by its text."""


def _for_source(value: Any, info: ValidationInfo) -> Any:
    source = info.data.get("source")
    if value is not None and isinstance(source, Source):
        for _, reason in misplaced_keys(source, {str(info.field_name): value}):
            raise PydanticCustomError("misplaced", "{reason}", {"reason": reason, "hint": "remove it"})
    return value


OfSource = AfterValidator(_for_source)
"""Check of a key that applies to some kinds of sources only. The field of the source comes first."""

Cursor = Annotated[Plain[Text] | None, OfSource, Field(description="For SQL: the column that grows with every change.")]

Lag = Annotated[
    Plain[str | int | float] | None,
    OfSource,
    Field(
        description="For SQL: how far before the last cursor value each reading begins, for rows that are committed "
        "late: a duration such as `1h` for times, a number for numbers."
    ),
]

ByDate = Annotated[
    Plain[Literal["date"]] | None,
    OfSource,
    Field(description="`date`: of a folder, only the files that have the date of the run in their name or path."),
]


def _key(value: list[str] | None, info: ValidationInfo) -> list[str] | None:
    target = info.data.get("to")
    if not value and isinstance(target, Target) and target.needs_key:
        raise PydanticKnownError("missing")
    return value


Key = Annotated[Plain[list[str]] | None, AfterValidator(_key)]
"""The columns that identify a row. Some targets need them, so the field of the target comes first."""

TaskId = Annotated[Filled, Field(json_schema_extra={"x-refers-to": "task"}), FieldKind.PLAIN]
"""The id of another task of the pipeline."""

Parameters = dict[str, Any]

TABLE_PACKAGES = ("deltalake", "duckdb", "pyarrow")
"""Modules that a step imports to read or write a table."""


class Step(SpecModel):
    """
    Base of all steps.

    The fields are the arguments of the operator. The class variables define what they mean to the planner.
    """

    reads_file: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Field to file suffixes. A value with such a suffix is a file beside the pipeline, and is replaced by its text."""

    task_fields: ClassVar[dict[str, str]] = {}
    """Field to the step it must name. Its value is the id of such a task, e.g. `{"cluster": "start_cluster"}`."""

    closes: ClassVar[str | None] = None
    """The field with the task that this step cleans up after, if it is the second of a pair."""

    closed_by: ClassVar[str | None] = None
    """The step that cleans up after this one. Only our own steps name it, so that one of them does not import all."""

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        KEYS, "it is for the steps that run code of yours: `ingest`, `transform`, `retrain`, `predict`"
    )

    one_run_at_a_time: ClassVar[bool] = False
    """True if two runs of a pipeline with this step would conflict."""

    checks_rows: ClassVar[bool] = False
    """True if it checks rows before others may publish them."""

    publishes: ClassVar[bool] = False
    """True if it publishes rows, which must come after the checks of their table."""

    packages: ClassVar[tuple[str, ...]] = ()
    """Modules of the extra `local` that its job imports, so that a missing one is named before a run begins."""


External = Annotated[
    bool,
    Field(
        description="If true, the rows come from elsewhere or from an earlier run, and no task here writes them before."
    ),
    FieldKind.PLAIN,
]
"""True if no task before this one writes the table."""


class TableInput(SpecModel):
    """A table that a step reads, and where its rows come from."""

    table: Table[Text] = Field(description="The table, or a pattern of tables such as `silver/*`.")
    external: External = False


def _form_of_input(value: Any) -> str:
    return "<object>" if isinstance(value, dict | TableInput) else "<text>"


Input = Annotated[
    Annotated[Table[Text], Tag("<text>")] | Annotated[TableInput, Tag("<object>")], Discriminator(_form_of_input)
]
"""A table that a step reads: its name, a pattern, or `{table: NAME, external: true}`."""


Deferrable = Annotated[
    bool,
    Field(description="If true, the triggerer waits for a cloud, so that the wait takes no worker slot."),
    FieldKind.PLAIN,
]


Share = Annotated[
    bool,
    Field(
        description="If true, other tasks with `share: true` may write the table, too. Each replaces only its own rows."
    ),
    FieldKind.PLAIN,
]
"""True if a step shares its target with others."""


def _at_most_all(share: str | float) -> str | float:
    if isinstance(share, float | int) and not 0 <= share <= 1:
        hint = 'write a percentage such as "20%", or a number such as 0.2'
        raise PydanticCustomError("share", "must be a share from 0 to 1", {"hint": hint})
    return share


NewCategories = Annotated[
    Annotated[str, StringConstraints(pattern=MARGIN_PATTERN)] | float | int,
    AfterValidator(_at_most_all),
    Field(
        description="The share of the values of a text feature that may be new: not in the training of the champion."
    ),
    FieldKind.PLAIN,
]
"""How much the categories of a feature may change."""


class OnCluster(Step):
    """Base of the steps that compute, in the worker or on a cluster."""

    task_fields: ClassVar[dict[str, str]] = {"cluster": "start_cluster"}
    packages: ClassVar[tuple[str, ...]] = TABLE_PACKAGES

    cluster: TaskId | None = Field(
        None, description="The `start_cluster` task on whose cluster it runs; without it, in the worker."
    )
    requirements: Requirements | None = Field(
        None,
        description="Packages of its own, e.g. `[pandas<2]`, or the name of a `.txt` file beside the pipeline; it then "
        "runs in a venv with these packages and without Airflow. `[]`: none, even if the pipeline has some.",
    )
    python: Python | None = Field(
        None,
        description="The path of its interpreter; beside `requirements` also a version, e.g. `'3.12'`.",
    )
    image: Image | None = Field(None, description="The container image that it runs in.")
    deferrable: Deferrable = True

    @model_validator(mode="after")
    def _one_environment(self) -> Self:
        check_together(self)
        return self


class Staged(Step):
    """Base of the steps that stage rows of a table into a release."""

    task_fields: ClassVar[dict[str, str]] = {"release": "start_sender"}
    publishes: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = TABLE_PACKAGES

    release: TaskId = Field(description="The `start_sender` task of its release.")
    table: Table[Text] = Field(description="The table whose rows are published.")
    where: Sql[Text] | None = Field(None, description="A SQL condition for the rows to publish; by default all.")
    to: TargetOrMarker = Field(description="The target of the rows, e.g. `sql://CONNECTION/TABLE`.")
    external: External = False

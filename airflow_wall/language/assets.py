"""Assets that a schedule waits for, and that tasks read and write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from airflow_wall.language import words
from airflow_wall.language.base import SpecModel
from airflow_wall.language.callables import Constructed, many
from airflow_wall.text.kinds import FieldKind, Plain

MAX_LENGTH = 1_500
"""The most characters of a name or URI that Airflow's database holds."""

_FORMS = "write its name or URI, or `{name: ..., uri: ...}`, `{alias: ...}`, `{and: [...]}`, `{or: [...]}`"


def _identifier(value: str) -> str:
    if not value.strip() or len(value) > MAX_LENGTH:
        raise PydanticCustomError(
            "asset", f"must have 1 to {MAX_LENGTH:,} characters", {"hint": "write e.g. `lake/scores`"}
        )
    return value


def _name(value: str) -> str:
    if value in ("self", "context"):
        raise PydanticCustomError("asset", "is a name that Airflow reserves", {"hint": "use another name"})
    return _identifier(value)


def _uri(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme.lower() == "airflow":
        raise PydanticCustomError(
            "asset",
            "must have another scheme than `airflow`, which is reserved",
            {"hint": "write e.g. `s3://bucket/key`"},
        )
    if parts.password:
        raise PydanticCustomError(
            "asset",
            "must hold no password",
            {"hint": "an asset is a name that everybody sees: leave user and password out"},
        )
    return _identifier(value)


AssetName = Annotated[str, AfterValidator(_name), FieldKind.PLAIN]
AssetUri = Annotated[str, AfterValidator(_uri), FieldKind.PLAIN]


class Watcher(SpecModel):
    """A trigger that waits for an event outside Airflow, and then marks the asset as new."""

    name: AssetName = Field(description="Name of the watcher, unique in the deployment.")
    trigger: Constructed = Field(description="The event trigger, by its dotted path.")


class Asset(SpecModel):
    """An asset by name, by URI or by both."""

    refused: ClassVar[Mapping[str, str]] = words.ASSET

    name: AssetName | None = Field(None, description="Its name, unique in the deployment; by default its URI.")
    uri: AssetUri | None = Field(None, description="Its address; by default its name.")
    group: Plain[str] | None = Field(None, description="The kind of asset, for the UI.")
    extra: Plain[dict[str, Any]] | None = Field(None, description="Further facts about it, as keys and values.")
    watchers: list[Watcher] = Field(
        default_factory=list, description="Triggers that wait outside Airflow for it to be new."
    )

    @model_validator(mode="after")
    def _has_a_name(self) -> Asset:
        if self.name is None and self.uri is None:
            raise PydanticCustomError("one_of", "must have a `name` or a `uri`", {"hint": _FORMS})
        return self


class AssetAlias(SpecModel):
    """A name for assets that are known only when a task runs."""

    alias: AssetName = Field(description="Name of the alias.")
    group: Plain[str] | None = Field(None, description="The kind of asset, for the UI.")


class AllOf(SpecModel):
    """Wait for all of these assets."""

    and_: list[AssetCondition] = Field(alias="and", min_length=1, description="Assets that must all be new.")


class AnyOf(SpecModel):
    """Wait for one of these assets."""

    or_: list[AssetCondition] = Field(alias="or", min_length=1, description="Assets of which one must be new.")


def _asset_form(value: Any) -> str | None:
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, dict):
        return next((f"<{key}>" for key in ("and", "or", "alias") if key in value), "<asset>")
    forms = {Asset: "<asset>", AssetAlias: "<alias>", AllOf: "<and>", AnyOf: "<or>"}
    return next((form for model, form in forms.items() if isinstance(value, model)), None)


def _must_be_asset(value: Any) -> str | None:
    form = _asset_form(value)
    return None if form in ("<and>", "<or>") else form


AssetCondition = Annotated[
    Annotated[str, AfterValidator(_name), AfterValidator(_uri), Tag("<text>"), FieldKind.PLAIN]
    | Annotated[Asset, Tag("<asset>")]
    | Annotated[AssetAlias, Tag("<alias>")]
    | Annotated[AllOf, Tag("<and>")]
    | Annotated[AnyOf, Tag("<or>")],
    Discriminator(_asset_form, "asset_condition", "must be an asset, or assets with `and` or `or`"),
]
"""An asset, or a condition of assets, that a schedule waits for."""

AssetItem = Annotated[
    Annotated[str, AfterValidator(_name), AfterValidator(_uri), Tag("<text>"), FieldKind.PLAIN]
    | Annotated[Asset, Tag("<asset>")]
    | Annotated[AssetAlias, Tag("<alias>")],
    Discriminator(_must_be_asset, "asset", "must be an asset"),
]
"""An asset that a task reads or writes."""

AssetItems = Annotated[list[AssetItem], BeforeValidator(many, json_schema_input_type=AssetItem | list[AssetItem])]
"""One asset, or a list of them."""

AllOf.model_rebuild()
AnyOf.model_rebuild()

"""
Kinds of clusters by their `type`.

A package brings a kind with two entry points of the same name: its block in `airflow_wall.cluster_specs` and its
backend in `airflow_wall.clusters`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, GetJsonSchemaHandler, create_model, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from airflow_wall.language.base import SpecModel
from airflow_wall.language.clusters.base import CloudPlace
from airflow_wall.registry import LazyRegistry, class_name, modules_of

_PACKAGE = "airflow_wall.language.clusters"

CLUSTERS: LazyRegistry[type[SpecModel]] = LazyRegistry(
    {name: f"{_PACKAGE}.{name}:{class_name(name)}ClusterConfig" for name in modules_of(_PACKAGE)},
    "airflow_wall.cluster_specs",
)
"""`type` -> the block of `cluster`. To add a kind, add a module to `airflow_wall.language.clusters`."""


def stop_may_fail(config: Mapping[str, Any]) -> bool:
    """Return True if stopping a cluster with this configuration may fail, e.g. because a cloud does not answer."""
    return bool(getattr(CLUSTERS.get(str(config.get("type"))), "stop_may_fail", True))


class AnyCluster(SpecModel):
    """The block of a cluster of any kind. It is parsed as the block of its `type`, and only that one reports faults."""

    example: ClassVar[str] = "cluster: {type: local}"

    @classmethod
    def model_of(cls, kind: type[SpecModel]) -> type[SpecModel]:
        """Return the block of a kind of clusters that stands here."""
        return kind

    @classmethod
    def variants(cls) -> Collection[type[SpecModel]]:
        """Return the blocks of all kinds."""
        return list(dict.fromkeys(cls.model_of(kind) for kind in CLUSTERS.values()))

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_type(cls, value: Any, _: Any) -> Any:
        if isinstance(value, SpecModel):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("model_type", "must be a mapping", {"hint": f"write e.g. `{cls.example}`"})
        kind = value.get("type")
        if isinstance(kind, str) and kind in CLUSTERS:
            return cls.model_of(CLUSTERS[kind]).model_validate(value)
        kinds: Any = Literal[tuple(CLUSTERS)]
        return create_model("Kind", type=(kinds, ...), __config__=ConfigDict(extra="ignore")).model_validate(value)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(model.__pydantic_core_schema__) for model in cls.variants()]}


class AnyClusterPlace(AnyCluster):
    """The place of clusters of any kind: a lake, or a region of a cloud."""

    example: ClassVar[str] = "clusters: [{type: local}]"

    @classmethod
    def model_of(cls, kind: type[SpecModel]) -> type[SpecModel]:
        """Return the block of the place of a kind of clusters."""
        place: type[SpecModel] = getattr(kind, "place", CloudPlace)
        return place

"""Assets as Airflow knows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk import Asset, AssetAlias, AssetAll, AssetAny, AssetWatcher
from airflow.sdk.definitions.asset import BaseAsset

from airflow_wall.spec import assets as spec

Construct = Callable[..., Any]
"""Makes the object that a `uses` and `with` mean; given classes after it, one of those or of a class below them."""


def built_asset(asset: spec.AssetCondition, construct: Construct) -> BaseAsset:
    """The asset, alias or condition that the YAML means; `construct` makes the triggers of watchers."""
    if isinstance(asset, str):
        return Asset(asset)
    if isinstance(asset, spec.AssetAlias):
        return AssetAlias(asset.alias) if asset.group is None else AssetAlias(asset.alias, group=asset.group)
    if isinstance(asset, spec.AllOf):
        return AssetAll(*(built_asset(each, construct) for each in asset.and_))
    if isinstance(asset, spec.AnyOf):
        return AssetAny(*(built_asset(each, construct) for each in asset.or_))
    watchers = [AssetWatcher(each.name, construct(each.trigger)) for each in asset.watchers]
    given = {name: getattr(asset, name) for name in ("name", "uri", "group", "extra")}
    return Asset(**{name: value for name, value in given.items() if value is not None}, watchers=watchers)

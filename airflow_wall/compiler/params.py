"""Params as Airflow knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param


def built_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Name to what Airflow takes: a mapping is a JSON schema, anything else is a default."""
    return {name: _param(each) if isinstance(each, dict) else each for name, each in params.items()}


def _param(param: Mapping[str, Any]) -> Param:
    schema = {key: value for key, value in param.items() if key not in ("default", "description")}
    given = {key: param[key] for key in ("default", "description") if key in param}
    return Param(**given, schema=schema)

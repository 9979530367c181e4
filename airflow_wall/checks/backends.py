"""The registry of checks. To add a kind of check, add a module to `airflow_wall.checks.kinds`."""

from __future__ import annotations

from airflow_wall.checks.base import Check
from airflow_wall.registry import LazyRegistry, class_name, modules_of

_PACKAGE = "airflow_wall.checks.kinds"

CHECKS: LazyRegistry[type[Check]] = LazyRegistry(
    {name: f"{_PACKAGE}.{name}:{class_name(name)}" for name in modules_of(_PACKAGE)}, "airflow_wall.checks"
)
"""Kind, as written in the YAML -> its class: the checks of this package, and those of other packages."""

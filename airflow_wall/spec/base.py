"""Former name of `airflow_wall.language.base`."""

from airflow_wall.language.base import SpecModel

__all__ = ["SpecModel"]

"""Former name of `airflow_wall.fronts.stub_loader`, which stubs of earlier versions in a mirror import."""

from airflow_wall.fronts.stub_loader import dags_of

__all__ = ["dags_of"]

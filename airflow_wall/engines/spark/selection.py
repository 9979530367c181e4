"""Select the engine of a job: the embedded one, or Spark if the job runs on a Spark cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_wall.engines.spark_request import spark_request
from airflow_wall.errors import ClusterError
from airflow_wall.job import Run

if TYPE_CHECKING:
    from airflow_wall.engines.spark.engine import Engine


def spark_engine(run: Run) -> Engine | None:
    """
    Return the Spark engine of this job, a context manager, or None if the job uses the embedded engine.

    :raises ClusterError: PySpark is not installed in this Python.
    """
    request = spark_request()
    if request is None:
        return None
    try:
        from airflow_wall.engines.spark.engine import Engine  # the SDK is imported only to use it
    except ModuleNotFoundError as missing:
        raise ClusterError(
            f"`cluster.type: spark`: the Python of this job lacks packages that Spark needs: {missing}",
            hint="run `pip install 'airflow-wall[spark]'` there, or set `engine: embedded` on the cluster",
        ) from None
    return Engine(request, run)

"""Which engine a job is to use: the embedded one, or the Spark that its cluster tells it of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_wall.errors import ClusterError
from airflow_wall.jobs.document import Run
from airflow_wall.spark_request import spark_request

if TYPE_CHECKING:
    from airflow_wall.jobs.spark import Engine


def spark_engine(run: Run) -> Engine | None:
    """
    Return the Spark that this job is to use, to be entered; None where it is to use the embedded engine.

    :raises ClusterError: this Python has no Spark.
    """
    request = spark_request()
    if request is None:
        return None
    try:
        from airflow_wall.jobs.spark import Engine  # the SDK is loaded by whoever uses it
    except ModuleNotFoundError as missing:
        raise ClusterError(
            f"`cluster.type: spark`: the Python of this job has not what Spark needs: {missing}",
            hint="pip install 'airflow-wall[spark]' there, or have `engine: embedded` on the cluster",
        ) from None
    return Engine(request, run)

"""What Airflow loads of this package as a plugin."""

from __future__ import annotations

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from airflow_wall.deployment.admission import Admission


def admission(size: int, overflow: int) -> list[dict[str, Any]]:
    """
    The middleware for a pool of `size` and `overflow` connections; none where these have no limit.

    A third is for tasks and a third for all others; the last third is for what the server asks for besides.
    """
    if size <= 0 or overflow < 0:
        return []
    places = max(1, (size + overflow) // 3)
    return [{"name": "admission", "middleware": Admission, "kwargs": {"places": places}}]


class WallPlugin(AirflowPlugin):
    """Lets no more requests into the API server at once than it has database connections for."""

    name = "airflow_wall"
    fastapi_root_middlewares: list[Any] = (  # as Airflow declares it
        admission(
            conf.getint("database", "sql_alchemy_pool_size", fallback=5),
            conf.getint("database", "sql_alchemy_max_overflow", fallback=10),
        )
        if conf.getboolean("database", "sql_alchemy_pool_enabled", fallback=True)
        else []
    )

"""The Airflow plugin of this package, which limits concurrent requests to the API server."""

from __future__ import annotations

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from airflow_wall.deployment.admission import Admission


def admission(size: int, overflow: int) -> list[dict[str, Any]]:
    """
    Return the middleware for a pool of `size` and `overflow` connections, or [] if the pool has no limit.

    One third of the connections is for requests of tasks and one third for all other requests. The last third is for
    the server itself.
    """
    if size <= 0 or overflow < 0:
        return []
    places = max(1, (size + overflow) // 3)
    return [{"name": "admission", "middleware": Admission, "kwargs": {"places": places}}]


class WallPlugin(AirflowPlugin):
    """Limit the concurrent requests to the API server to its number of database connections."""

    name = "airflow_wall"
    fastapi_root_middlewares: list[Any] = (  # as Airflow declares it
        admission(
            conf.getint("database", "sql_alchemy_pool_size", fallback=5),
            conf.getint("database", "sql_alchemy_max_overflow", fallback=10),
        )
        if conf.getboolean("database", "sql_alchemy_pool_enabled", fallback=True)
        else []
    )

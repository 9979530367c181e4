"""The Airflow plugin of this package: the page in the UI, and a limit of concurrent requests to the API server."""

from __future__ import annotations

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from airflow_wall.deployment.admission import Admission
from airflow_wall.page.mount import application


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
    """Show the page of pipelines, and limit concurrent requests to the API server's number of database connections."""

    name = "airflow_wall"
    fastapi_apps: list[Any] = [{"name": "wall", "app": application, "url_prefix": "/wall"}]  # noqa: RUF012
    # Without a slash at the beginning, so that they hold below a base path.
    external_views: list[Any] = [  # noqa: RUF012
        {
            "name": "Wall",
            "href": "wall/overview",
            "destination": "nav",
            "url_route": "wall",
            "nav_top_level": True,
        },
        {"name": "Health", "href": "wall/pipeline/{DAG_ID}", "destination": "dag", "url_route": "health"},
    ]
    fastapi_root_middlewares: list[Any] = (  # as Airflow declares it
        admission(
            conf.getint("database", "sql_alchemy_pool_size", fallback=5),
            conf.getint("database", "sql_alchemy_max_overflow", fallback=10),
        )
        if conf.getboolean("database", "sql_alchemy_pool_enabled", fallback=True)
        else []
    )

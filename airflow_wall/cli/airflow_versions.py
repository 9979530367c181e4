"""Parts of Airflow that differ between the versions that `airflow-wall run` supports. Each names its versions."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow.sdk.api.client import Client
from airflow.sdk.api.datamodels._generated import API_VERSION
from airflow.sdk.execution_time import supervisor
from cadwyn import HeadVersion, Version, VersionBundle
from cadwyn.route_generation import _DELETED_ROUTE_TAG

if TYPE_CHECKING:
    from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI

supervise_task: Callable[..., int] = getattr(supervisor, "supervise_task", None) or vars(supervisor)["supervise"]
"""Runs one task to its end. It is `supervise` in Airflow 3.2; 3.3 renamed it and deprecated the old name."""


@functools.cache
def execution_api() -> InProcessExecutionAPI:
    """Return the Execution API of this process, built once. Processes that are forked afterwards inherit it."""
    # Not at the top: importing it warns about a deprecated module of Starlette.
    from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI

    _forget_old_versions()
    return InProcessExecutionAPI()


def _forget_old_versions() -> None:
    """
    Remove the older versions of the Execution API from this process, because its clients use the newest only.

    Airflow builds every route for each of its versions, of which 3.3 has nine. That takes as long as importing Airflow.
    """
    from airflow.api_fastapi.execution_api import versions
    from airflow.api_fastapi.execution_api.routes import execution_api_router

    bundle = versions.bundle
    newest = bundle.versions[0].value
    if newest != API_VERSION:  # the Task SDK is of another release than Airflow itself
        return
    versions.bundle = VersionBundle(HeadVersion(), Version(newest), api_version_var=bundle.api_version_var)
    # Cadwyn refuses routes that exist only in versions that are not there.
    routes = execution_api_router.routes
    routes[:] = [route for route in routes if _DELETED_ROUTE_TAG not in getattr(route, "tags", ())]


def execution_client() -> Client:
    """
    Return a client of this process's Execution API, created like those of the DAG processor and the triggerer.

    Airflow 3.2 does not wait until the API has started, so the first request may come too early. Its event loop works
    in order: when it has finished a callback that is added last, the start is complete.
    """
    api = execution_api()
    client = Client(base_url=None, token="", dry_run=True, transport=api.transport)
    client.base_url = "http://in-process.invalid./"
    loop = api.transport.app.loop  # type: ignore[attr-defined]  # it is a2wsgi's, typed as any WSGI application
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
    return client

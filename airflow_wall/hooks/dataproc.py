"""Dataproc by Airflow's `DataprocHook`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow.providers.google.cloud.hooks.dataproc import DataprocHook
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.dataproc_v1 import Cluster, Job
from google.protobuf.json_format import MessageToDict

from airflow_wall.clusters.cloud import CloudError, Fault

_FAULTS: dict[type[Exception], Fault] = {
    exceptions.AlreadyExists: Fault.EXISTS,
    exceptions.NotFound: Fault.MISSING,
    exceptions.FailedPrecondition: Fault.BUSY,
    exceptions.Forbidden: Fault.DENIED,
    exceptions.Unauthorized: Fault.DENIED,
    exceptions.ResourceExhausted: Fault.QUOTA,
    exceptions.InvalidArgument: Fault.REFUSED,
    exceptions.OutOfRange: Fault.REFUSED,
    exceptions.MethodNotImplemented: Fault.REFUSED,
}
"""Google's error to ours; any other is one that may pass."""

_CODES = {
    3: Fault.REFUSED,
    5: Fault.REFUSED,
    7: Fault.DENIED,
    8: Fault.QUOTA,
    9: Fault.REFUSED,
    16: Fault.DENIED,
}
"""The code of a failed operation to ours; any other is one that may pass."""

_TIMEOUT = 60.0
_MOST = 100


class DataprocCalls:
    """
    One call of Dataproc's API at a time.

    :param config: `conn_id`, `project` and `region` of a cluster.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._hook = DataprocHook(
            gcp_conn_id=config.get("conn_id") or "google_cloud_default",
            impersonation_chain=config.get("impersonate"),
        )
        self._region = config["region"]
        self._given_project = config.get("project")

    def __call__(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """
        Return the answer as plain values.

        :raises CloudError: there is none, or it is a refusal.
        """
        does: Callable[..., dict[str, Any]] = getattr(self, f"_{operation}")
        try:
            return does(**request)
        except exceptions.GoogleAPICallError as error:
            faults = [fault for kind, fault in _FAULTS.items() if isinstance(error, kind)]
            raise CloudError(faults[0] if faults else Fault.LATER, error.message or str(error)) from error
        except GoogleAuthError as error:
            raise CloudError(Fault.LATER if error.retryable else Fault.DENIED, str(error)) from error

    @property
    def _place(self) -> dict[str, Any]:
        project = self._given_project or self._hook.project_id
        if not project:
            raise CloudError(Fault.REFUSED, "neither `cluster.project` nor the connection names a project")
        return {"region": self._region, "project_id": project, "timeout": _TIMEOUT}

    def _get_cluster(self, cluster_name: str) -> dict[str, Any]:
        return _plain(self._hook.get_cluster(cluster_name=cluster_name, **self._place))

    def _list_clusters(self, filter: str) -> dict[str, Any]:
        found = self._hook.list_clusters(filter_=filter, page_size=_MOST, **self._place)
        return {"clusters": [_plain(each) for each in found]}

    def _create_cluster(self, cluster: Mapping[str, Any], request_id: str) -> dict[str, Any]:
        operation = self._hook.create_cluster(
            cluster_name=cluster["cluster_name"],
            cluster_config=dict(cluster["config"]),
            labels=dict(cluster["labels"]),
            request_id=request_id,
            **self._place,
        )
        return {"name": operation.operation.name}

    def _delete_cluster(self, cluster_name: str, cluster_uuid: str, request_id: str) -> dict[str, Any]:
        self._hook.delete_cluster(
            cluster_name=cluster_name, cluster_uuid=cluster_uuid or None, request_id=request_id, **self._place
        )
        return {}

    def _get_operation(self, name: str) -> dict[str, Any]:
        operation = self._hook.get_operations_client(region=self._region).get_operation(name)
        if not operation.done:
            return {"done": False}
        error = operation.error
        if not error.code:
            return {"done": True}
        fault = _CODES.get(error.code, Fault.LATER)
        return {"done": True, "error": {"message": error.message, "fault": fault.value}}

    def _submit_job(self, job: Mapping[str, Any], request_id: str) -> dict[str, Any]:
        return _plain(self._hook.submit_job(job=dict(job), request_id=request_id, **self._place))

    def _get_job(self, job_id: str) -> dict[str, Any]:
        return _plain(self._hook.get_job(job_id=job_id, **self._place))

    def _cancel_job(self, job_id: str) -> dict[str, Any]:
        return _plain(self._hook.cancel_job(job_id=job_id, **self._place))


def _plain(message: Cluster | Job) -> dict[str, Any]:
    """A message as plain values, with the names of its fields, its enums in words and its times in ISO 8601."""
    made: dict[str, Any] = MessageToDict(type(message).pb(message), preserving_proto_field_name=True)
    return made

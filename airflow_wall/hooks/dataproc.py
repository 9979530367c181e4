"""The client of Dataproc, based on Airflow's `DataprocHook`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow.providers.google.cloud.hooks.dataproc import DataprocHook
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.dataproc_v1 import Cluster, Job
from google.protobuf.json_format import MessageToDict

from airflow_wall.clusters.cloud import CloudError, CloudFault

_FAULTS: dict[type[Exception], CloudFault] = {
    exceptions.AlreadyExists: CloudFault.EXISTS,
    exceptions.NotFound: CloudFault.MISSING,
    exceptions.FailedPrecondition: CloudFault.BUSY,
    exceptions.Forbidden: CloudFault.DENIED,
    exceptions.Unauthorized: CloudFault.DENIED,
    exceptions.ResourceExhausted: CloudFault.QUOTA,
    exceptions.InvalidArgument: CloudFault.REFUSED,
    exceptions.OutOfRange: CloudFault.REFUSED,
    exceptions.MethodNotImplemented: CloudFault.REFUSED,
}
"""Our error by Google's; all others are temporary."""

_CODES = {
    3: CloudFault.REFUSED,
    5: CloudFault.REFUSED,
    7: CloudFault.DENIED,
    8: CloudFault.QUOTA,
    9: CloudFault.REFUSED,
    16: CloudFault.DENIED,
}
"""Our error by the code of a failed operation; all others are temporary."""

_TIMEOUT = 60.0
_MOST = 100


class DataprocCalls:
    """
    Calls operations of Dataproc's API by name.

    :param config: `conn_id`, `project` and `region` of a cluster.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._hook = DataprocHook(
            gcp_conn_id=config.get("conn_id") or "google_cloud_default",
            impersonation_chain=config.get("impersonate"),
        )
        self._region = config["region"]
        self._project = config.get("project")

    def __call__(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """
        Return the answer as plain values.

        :raises CloudError: Dataproc refuses or does not answer.
        """
        method: Callable[..., dict[str, Any]] = getattr(self, f"_{operation}")
        try:
            return method(**request)
        except exceptions.GoogleAPICallError as error:
            faults = [fault for kind, fault in _FAULTS.items() if isinstance(error, kind)]
            raise CloudError(faults[0] if faults else CloudFault.LATER, error.message or str(error)) from error
        except GoogleAuthError as error:
            raise CloudError(CloudFault.LATER if error.retryable else CloudFault.DENIED, str(error)) from error

    @property
    def _place(self) -> dict[str, Any]:
        project = self._project or self._hook.project_id
        if not project:
            raise CloudError(CloudFault.REFUSED, "neither `cluster.project` nor the connection names a project")
        return {"region": self._region, "project_id": project, "timeout": _TIMEOUT}

    def _get_cluster(self, cluster_name: str) -> dict[str, Any]:
        return _plain(self._hook.get_cluster(cluster_name=cluster_name, **self._place))

    def _list_clusters(self, filter: str) -> dict[str, Any]:
        clusters = self._hook.list_clusters(filter_=filter, page_size=_MOST, **self._place)
        return {"clusters": [_plain(cluster) for cluster in clusters]}

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
        fault = _CODES.get(error.code, CloudFault.LATER)
        return {"done": True, "error": {"message": error.message, "fault": fault.value}}

    def _submit_job(self, job: Mapping[str, Any], request_id: str) -> dict[str, Any]:
        return _plain(self._hook.submit_job(job=dict(job), request_id=request_id, **self._place))

    def _get_job(self, job_id: str) -> dict[str, Any]:
        return _plain(self._hook.get_job(job_id=job_id, **self._place))

    def _cancel_job(self, job_id: str) -> dict[str, Any]:
        return _plain(self._hook.cancel_job(job_id=job_id, **self._place))


def _plain(message: Cluster | Job) -> dict[str, Any]:
    """Return a message as plain values, with its field names, enums as names and times in ISO 8601."""
    values: dict[str, Any] = MessageToDict(type(message).pb(message), preserving_proto_field_name=True)
    return values

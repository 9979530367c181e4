"""EMR by Airflow's `EmrHook`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.amazon.aws.hooks.emr import EmrHook
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from airflow_wall.clusters.cloud import CloudError, Fault

_FAULTS = {
    "AccessDenied": Fault.DENIED,
    "AccessDeniedException": Fault.DENIED,
    "ExpiredToken": Fault.DENIED,
    "ExpiredTokenException": Fault.DENIED,
    "InvalidClientTokenId": Fault.DENIED,
    "InvalidSignatureException": Fault.DENIED,
    "UnrecognizedClientException": Fault.DENIED,
    "InternalServerError": Fault.LATER,
    "InternalServerException": Fault.LATER,
    "InternalFailure": Fault.LATER,
    "RequestLimitExceeded": Fault.LATER,
    "ServiceUnavailable": Fault.LATER,
    "Throttling": Fault.LATER,
    "ThrottlingException": Fault.LATER,
}
"""EMR's code to ours; any other is a refusal."""


class EmrCalls:
    """
    One call of EMR's API at a time.

    boto3 repeats no call that creates: EMR has no token by which it would know the second for the first.

    :param config: `conn_id` and `region` of a cluster.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        hook = EmrHook(
            aws_conn_id=config.get("conn_id") or "aws_default",
            region_name=config["region"],
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=60),
        )
        self._client = hook.get_conn()

    def __call__(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """
        Return the answer of the operation that boto3 calls so.

        :raises CloudError: there is none, or it is a refusal.
        """
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except ClientError as error:
            raise CloudError(_fault(error), _words(error)) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise CloudError(Fault.DENIED, str(error)) from error
        except ParamValidationError as error:
            raise CloudError(Fault.REFUSED, str(error)) from error
        except BotoCoreError as error:
            raise CloudError(Fault.LATER, str(error)) from error
        return answer


def _fault(error: ClientError) -> Fault:
    said = error.response.get("Error", {})
    code, message = said.get("Code", ""), said.get("Message", "")
    if code in _FAULTS:
        return _FAULTS[code]
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400) >= 500:
        return Fault.LATER
    if "is not valid" in message and "luster id" in message:
        return Fault.MISSING
    if "limit" in message.lower() or "quota" in message.lower():
        return Fault.QUOTA
    return Fault.REFUSED


def _words(error: ClientError) -> str:
    said = error.response.get("Error", {})
    return f"{said.get('Message') or 'no reason given'} ({error.operation_name}: {said.get('Code')})"

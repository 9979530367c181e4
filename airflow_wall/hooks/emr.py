"""The client of EMR, based on Airflow's `EmrHook`."""

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

from airflow_wall.clusters.cloud import CloudError, CloudFault

_FAULTS = {
    "AccessDenied": CloudFault.DENIED,
    "AccessDeniedException": CloudFault.DENIED,
    "ExpiredToken": CloudFault.DENIED,
    "ExpiredTokenException": CloudFault.DENIED,
    "InvalidClientTokenId": CloudFault.DENIED,
    "InvalidSignatureException": CloudFault.DENIED,
    "UnrecognizedClientException": CloudFault.DENIED,
    "InternalServerError": CloudFault.LATER,
    "InternalServerException": CloudFault.LATER,
    "InternalFailure": CloudFault.LATER,
    "RequestLimitExceeded": CloudFault.LATER,
    "ServiceUnavailable": CloudFault.LATER,
    "Throttling": CloudFault.LATER,
    "ThrottlingException": CloudFault.LATER,
}
"""Our error by EMR's error code; all others are refusals."""


class EmrCalls:
    """
    Calls operations of EMR's API by name.

    boto3 must not repeat calls that create, because EMR has no token that detects a repeated call.

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
        Call the operation with that boto3 name and return its answer.

        :raises CloudError: EMR refuses or does not answer.
        """
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except ClientError as error:
            raise CloudError(_fault(error), _message(error)) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise CloudError(CloudFault.DENIED, str(error)) from error
        except ParamValidationError as error:
            raise CloudError(CloudFault.REFUSED, str(error)) from error
        except BotoCoreError as error:
            raise CloudError(CloudFault.LATER, str(error)) from error
        return answer


def _fault(error: ClientError) -> CloudFault:
    details = error.response.get("Error", {})
    code, message = details.get("Code", ""), details.get("Message", "")
    if code in _FAULTS:
        return _FAULTS[code]
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400) >= 500:
        return CloudFault.LATER
    if "is not valid" in message and "luster id" in message:
        return CloudFault.MISSING
    if "limit" in message.lower() or "quota" in message.lower():
        return CloudFault.QUOTA
    return CloudFault.REFUSED


def _message(error: ClientError) -> str:
    details = error.response.get("Error", {})
    return f"{details.get('Message') or 'no reason given'} ({error.operation_name}: {details.get('Code')})"

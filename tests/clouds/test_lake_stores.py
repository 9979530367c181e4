"""A lake in S3, as moto serves it over a real wire."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from lake_stores import DocumentLeaseContract, StoreContract, of_connection

boto3 = pytest.importorskip("boto3", reason="needs `make clouds`")
moto = pytest.importorskip("moto.server", reason="needs `make clouds`")


class TestS3(StoreContract, DocumentLeaseContract):
    @pytest.fixture
    def address(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        server = moto.ThreadedMotoServer("127.0.0.1", port=0)
        server.start()
        host, port = server.get_host_and_port()
        extra = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=extra["endpoint_url"], **keys).create_bucket(Bucket="lake-data")
        values = {"conn_type": "aws", "login": "a", "password": "b", "extra": extra}
        of_connection("s3_lake", values, monkeypatch)
        yield f"s3://s3_lake@lake-data/team/{uuid.uuid4().hex}"  # moto keeps its buckets
        server.stop()

"""A lake in S3, as moto serves it over a real wire."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from lake_pipeline import run_pipeline
from lake_stores import DocumentLeaseContract, StoreContract, of_connection
from s3_server import s3_server

boto3 = pytest.importorskip("boto3", reason="needs `make clouds`")
pytest.importorskip("moto.server", reason="needs `make clouds`")


SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
"""


def use_bucket(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create the bucket, and define the connection `s3_lake`."""
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket="lake-data")
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    of_connection("s3_lake", {"conn_type": "aws", "login": "a", "password": "b", "extra": extra}, monkeypatch)


class TestS3(StoreContract, DocumentLeaseContract):
    @pytest.fixture
    def address(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        with s3_server() as url:
            use_bucket(url, monkeypatch)
            yield f"s3://s3_lake@lake-data/team/{uuid.uuid4().hex}"  # moto keeps its buckets


def test_a_pipeline_leaves_the_same_in_a_folder_and_in_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    expected = run_pipeline(str(tmp_path / "lake"), tmp_path)
    # In a process of its own, because delta-rs waits for the server while it holds Python's lock.
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            use_bucket(server.stdout.readline().strip(), monkeypatch)
            assert run_pipeline("s3://s3_lake@lake-data/team/platform", tmp_path) == expected
        finally:
            server.kill()

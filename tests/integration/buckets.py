"""Object stores of one's own on loopback, for bundles that read from a bucket."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from airflow_server import answers, free_port, until

BUCKET = "pipelines"


@dataclass(frozen=True)
class Bucket:
    """
    A bucket, and how Airflow finds it.

    :param put: Writes one object.
    :param classpath: Of Airflow's bundle that reads it.
    :param environment: What Airflow's components need to reach it.
    """

    put: Callable[[str, bytes], object]
    classpath: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def upload(self, folder: Path, prefix: str) -> None:
        """Write every file of a folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def has_stores() -> bool:
    """Return True if the providers and emulators of both are installed, as `tests/compat/run.sh` does."""
    return all(
        map(_is_installed, ("airflow.providers.amazon", "airflow.providers.google", "moto", "gcp_storage_emulator"))
    )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


S3_SERVER = """
import sys
from moto.server import main
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""
GCS_SERVER = """
import sys
from gcp_storage_emulator.server import create_server
create_server("127.0.0.1", int(sys.argv[1]), in_memory=True).run()
"""


@contextlib.contextmanager
def s3() -> Iterator[Bucket]:
    """A bucket of moto's server."""
    import boto3

    port = free_port()
    with _serving(S3_SERVER, port):
        url = f"http://127.0.0.1:{port}"
        access = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=url, **access)
        client.create_bucket(Bucket=BUCKET)
        extra = {"endpoint_url": url, "region_name": "us-east-1"}
        connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
        yield Bucket(
            lambda key, content: client.put_object(Bucket=BUCKET, Key=key, Body=content),
            "airflow.providers.amazon.aws.bundles.s3.S3DagBundle",
            {"AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)},
        )


@contextlib.contextmanager
def gcs() -> Iterator[Bucket]:
    """A bucket of an emulator of Google's storage."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    port = free_port()
    with _serving(GCS_SERVER, port):
        url = f"http://127.0.0.1:{port}"
        client = Client("test", AnonymousCredentials(), client_options={"api_endpoint": url})
        bucket = client.create_bucket(BUCKET)
        connection = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": "test"}}
        yield Bucket(
            lambda key, content: bucket.blob(key).upload_from_string(content),
            "airflow.providers.google.cloud.bundles.gcs.GCSDagBundle",
            {"AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(connection), "STORAGE_EMULATOR_HOST": url},
        )


@contextlib.contextmanager
def _serving(script: str, port: int) -> Iterator[None]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-c", script, str(port)], stdout=log, stderr=log)
        try:
            until(lambda: answers(port) or process.poll() is not None)
            if process.poll() is not None:
                log.seek(0)
                raise AssertionError(log.read().decode())
            yield
        finally:
            process.terminate()
            process.wait(30)

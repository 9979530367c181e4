"""Objects of real clients over a real wire: S3 as moto serves it, and Google Cloud Storage as its XML API is documented."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.ingest import ingest
from airflow_wall.storage.backends import open_tables

boto3 = pytest.importorskip("boto3", reason="needs `make clouds`")
moto = pytest.importorskip("moto.server", reason="needs `make clouds`")

Put = Callable[[str, bytes], Any]
ROLE = "arn:aws:iam::123456789012:role/reader"


class GoogleBucket(BaseHTTPRequestHandler):
    """One bucket of Google's XML API: what a reader asks for."""

    objects: dict[str, tuple[int, bytes]]
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        _, bucket, *key = unquote(url.path).split("/", 2)
        if bucket != "orders":
            return self.answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if "list-type" in query:
            return self.answer(200, self.listing(query.get("prefix", [""])[0], "delimiter" in query))
        if "".join(key) not in self.objects:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        generation, content = self.objects["".join(key)]
        tag = f'"{generation}"'
        if self.headers.get("If-Match", tag) not in (tag, str(generation)):
            return self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        return self.answer(200, content, ETag=tag, **{"x-goog-generation": str(generation)})

    def listing(self, prefix: str, grouped: bool) -> bytes:
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        below = {key[len(prefix) :].partition("/")[0] + "/" for key in keys if grouped and "/" in key[len(prefix) :]}
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-07-01T00:00:00.000Z</LastModified>"
            f'<ETag>"{self.objects[key][0]}"</ETag><Size>{len(self.objects[key][1])}</Size></Contents>'
            for key in keys
            if not (grouped and "/" in key[len(prefix) :])
        )
        groups = "".join(f"<CommonPrefixes><Prefix>{prefix}{name}</Prefix></CommonPrefixes>" for name in sorted(below))
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}{groups}</ListBucketResult>".encode()

    def answer(self, code: int, content: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Last-Modified": "Wed, 01 Jul 2026 00:00:00 GMT", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[Put, str]]:
    server = moto.ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )
    client.create_bucket(Bucket="orders")
    yield lambda key, content: client.put_object(Bucket="orders", Key=key, Body=content), endpoint
    server.stop()


@pytest.fixture(scope="module")
def google() -> Iterator[tuple[Put, str]]:
    objects: dict[str, tuple[int, bytes]] = {}
    handler = type("Handler", (GoogleBucket,), {"objects": objects})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def put(key: str, content: bytes) -> None:
        objects[key] = (objects.get(key, (1000, b""))[0] + 1, content)

    yield put, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def connections(s3: tuple[Put, str], google: tuple[Put, str]) -> dict[str, ConnectionInfo]:
    key = {
        "gcs_base_url": google[1],
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    endpoint = {"endpoint_url": s3[1], "region_name": "us-east-1"}
    return {
        "s3": ConnectionInfo("s3", "aws", login="a", password="b", extra=endpoint),
        "role": ConnectionInfo("role", "aws", login="a", password="b", extra={**endpoint, "role_arn": ROLE}),
        "gs": ConnectionInfo("gs", "google_cloud_platform", extra={"keyfile_dict": json.dumps(key)}),
    }


@pytest.mark.parametrize("kind", ["s3", "role", "gs"])
def test_objects_are_read_once_and_corrected_ones_again(
    kind: str, s3: tuple[Put, str], google: tuple[Put, str], tmp_path: Path
) -> None:
    known = connections(s3, google)
    put = google[0] if kind == "gs" else s3[0]
    source = f"{'gs' if kind == 'gs' else 's3'}://{kind}@orders/{kind}/*.csv"

    def load(day: int) -> dict[str, Any]:
        moment = Slice(f"202607{day:02d}T000000Z", f"2026-07-{day:02d}T00:00:00+00:00")
        run = Run("p", f"r{day}", "load", 1, moment, tmp_path, tmp_path, tmp_path)
        return ingest(Env(run, known.__getitem__), source=source, target="bronze/orders")

    put(f"{kind}/a.csv", b"id,zip\n1,01234\n")
    put(f"{kind}/b b.csv", b"id,zip\n2,02345\n")
    put(f"{kind}/c.txt", b"no")
    assert load(1)["rows"] == 2
    put(f"{kind}/a.csv", b"id,zip\n1,01111\n")
    assert load(2)["corrected"].keys() == {"20260701T000000Z"}
    rows = open_tables(tmp_path).read("bronze/orders").to_pylist()
    assert sorted(row["zip"] for row in rows) == ["01111", "02345"]


def test_a_bucket_that_does_not_exist_is_one_message(
    s3: tuple[Put, str], google: tuple[Put, str], tmp_path: Path
) -> None:
    known = connections(s3, google)
    run = Run("p", "r", "load", 1, Slice("20260701T000000Z", "2026-07-01"), tmp_path, tmp_path, tmp_path)
    with pytest.raises(DataError, match="the bucket `nowhere` cannot be read") as error:
        ingest(Env(run, known.__getitem__), source="s3://s3@nowhere/x", target="bronze/orders")
    assert "hint: correct the name of the bucket" in str(error.value)

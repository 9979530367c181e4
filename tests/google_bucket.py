"""A double of Google Cloud Storage: one bucket, as its XML API is documented, in memory, on loopback."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 1000


@dataclass
class Bucket:
    """
    The objects of a bucket.

    :param objects: Name to generation and content.
    :param ignores_conditions: True to answer as a store that knows no conditional writes.
    """

    name: str
    objects: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    generation: int = 1000
    ignores_conditions: bool = False

    def put(self, key: str, content: bytes, condition: str | None = None) -> int | None:
        """Write an object. Return its generation, or None if the condition does not hold."""
        with self.lock:
            current = self.objects.get(key, (0, b""))[0]
            if condition is not None and not self.ignores_conditions and int(condition) != current:
                return None
            self.generation += 1
            self.objects[key] = (self.generation, content)
            return self.generation


class Handler(BaseHTTPRequestHandler):
    bucket: Bucket
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        key, query = self._where()
        if key is None:
            return self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if "list-type" in query:
            return self._answer(200, self._listing(query))
        if key not in self.bucket.objects:
            return self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        generation, content = self.bucket.objects[key]
        if self.headers.get("If-Match", f'"{generation}"').strip('"') != str(generation):
            return self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        headers = {"ETag": f'"{generation}"', "x-goog-generation": str(generation)}
        asked = self.headers.get("Range")
        if asked is None:
            return self._answer(200, content, **headers)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(content) - int(last))
        end = int(last) + 1 if first and last else len(content)
        headers["Content-Range"] = f"bytes {start}-{min(end, len(content)) - 1}/{len(content)}"
        return self._answer(206, content[start:end], **headers)

    def do_PUT(self) -> None:
        key, query = self._where()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if key is None:
            return self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if "uploadId" in query:
            number = int(query["partNumber"][0])
            self.bucket.uploads[query["uploadId"][0]][number] = body
            return self._answer(200, b"", ETag=f'"part-{number}"')
        source = self.headers.get("x-goog-copy-source")
        if source is not None:
            _, _, name = unquote(source).lstrip("/").partition("/")
            if name not in self.bucket.objects:
                return self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            body = self.bucket.objects[name][1]
        generation = self.bucket.put(key, body, self.headers.get("x-goog-if-generation-match"))
        if generation is None:
            return self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        content = b"<CopyObjectResult></CopyObjectResult>" if source is not None else b""
        return self._answer(200, content, ETag=f'"{generation}"', **{"x-goog-generation": str(generation)})

    def do_POST(self) -> None:
        key, query = self._where()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if key is None:
            return self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if "uploads" in query:
            name = uuid.uuid4().hex
            self.bucket.uploads[name] = {}
            text = f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
            return self._answer(200, text.encode())
        parts = self.bucket.uploads.pop(query["uploadId"][0])
        generation = self.bucket.put(key, b"".join(parts[number] for number in sorted(parts)))
        text = f'<CompleteMultipartUploadResult><ETag>"{generation}"</ETag></CompleteMultipartUploadResult>'
        return self._answer(200, text.encode(), **{"x-goog-generation": str(generation)})

    def do_DELETE(self) -> None:
        key, query = self._where()
        if "uploadId" in query:
            self.bucket.uploads.pop(query["uploadId"][0], None)
            return self._answer(204, b"")
        with self.bucket.lock:
            existed = self.bucket.objects.pop(key or "", None)
        return self._answer(204 if existed else 404, b"" if existed else b"<Error><Code>NoSuchKey</Code></Error>")

    def _where(self) -> tuple[str | None, dict[str, list[str]]]:
        url = urlsplit(self.path)
        _, bucket, *key = unquote(url.path).split("/", 2)
        return "".join(key) if bucket == self.bucket.name else None, parse_qs(url.query, keep_blank_values=True)

    def _listing(self, query: dict[str, list[str]]) -> bytes:
        prefix, is_grouped = query.get("prefix", [""])[0], "delimiter" in query
        after = query.get("continuation-token", query.get("start-after", [""]))[0]
        with self.bucket.lock:
            objects = {key: value for key, value in self.bucket.objects.items() if key.startswith(prefix)}
        keys = sorted(key for key in objects if key > after)
        page = keys[:PAGE]
        groups = sorted(
            {
                prefix + key[len(prefix) :].partition("/")[0] + "/"
                for key in page
                if is_grouped and "/" in key[len(prefix) :]
            }
        )
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-07-01T00:00:00.000Z</LastModified>"
            f'<ETag>"{objects[key][0]}"</ETag><Size>{len(objects[key][1])}</Size></Contents>'
            for key in page
            if not (is_grouped and "/" in key[len(prefix) :])
        )
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if len(keys) > PAGE else ""
        folders = "".join(f"<CommonPrefixes><Prefix>{escape(group)}</Prefix></CommonPrefixes>" for group in groups)
        truncated = "true" if more else "false"
        return (
            f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{more}{contents}{folders}</ListBucketResult>"
        ).encode()

    def _answer(self, code: int, content: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Last-Modified": "Wed, 01 Jul 2026 00:00:00 GMT", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextlib.contextmanager
def served(bucket: Bucket) -> Iterator[str]:
    """Serve a bucket, and yield the address of the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BucketHandler", (Handler,), {"bucket": bucket}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def connection_values(address: str) -> dict[str, Any]:
    """Return the Airflow connection to such a server."""
    key = {
        "gcs_base_url": address,
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    return {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": json.dumps(key)}}


@contextlib.contextmanager
def served_apart(name: str) -> Iterator[str]:
    """Serve a bucket in a process of its own, because delta-rs waits for it while it holds Python's lock."""
    with subprocess.Popen([sys.executable, __file__, name], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


if __name__ == "__main__":
    with served(Bucket(sys.argv[1])) as own_address:
        sys.stdout.write(f"{own_address}\n")
        sys.stdout.flush()
        threading.Event().wait()

"""
`webhook://CONN`: each part as JSON lines in one POST, to a connection of type `http`.

What was sent cannot be taken back. So webhooks are sent after every other target shows the new release and before the
release counts as committed; if one is refused, the others are put back and the release stays open. Each part is sent
once: what the receiver has accepted is written down, an unchanged part is not sent again by a later opening of the
same release, and the header `Idempotency-Key: <release>:<part>` tells a receiver of a try whose answer was lost.

Read from the connection: host (or a whole URL), schema, port, login and password (basic authentication), and from its
extra `headers`, a mapping.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path

import httpx

from airflow_wall import state
from airflow_wall.connections import ConnectionInfo
from airflow_wall.errors import ConnectionFault, Interrupted, ReleaseError
from airflow_wall.publish.address import Address
from airflow_wall.publish.base import Rows, Site, check_options
from airflow_wall.publish.rows import json_values, line

BUDGET_SECONDS = 30.0
"""How long one part is tried, pauses included."""

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_TIMEOUT = 10.0
_QUOTED = 200


class WebhookTarget:
    """
    One endpoint; the `Place` of its own "pointer".

    :param address: Its `to`.
    :param site: The release that sends.
    :param budget: Seconds that one part is tried.
    :raises ConnectionFault: the connection is not of type `http` or has no host.
    """

    reversible = False

    def __init__(self, address: Address, site: Site, *, budget: float = BUDGET_SECONDS) -> None:
        self.address = address
        self.pointer = address.conn_id
        self.budget = budget
        self._connection = site.connections(address.conn_id)
        self._url = _url(self._connection)
        self._folder = site.state / "webhooks" / address.conn_id

    @property
    def place(self) -> WebhookTarget:
        """Itself: each endpoint is sent to on its own."""
        return self

    def stage(self, version: str, part: str, rows: Rows) -> None:
        """Keep the body of the part until it is sent."""
        check_options(rows.options, (), self.address.to)
        body = "".join(f"{line(values)}\n" for values in json_values(rows.data))
        state.write_bytes(self._body(version, part), body.encode())

    def discard(self, version: str, part: str) -> None:
        """Drop the body of the part."""
        self._body(version, part).unlink(missing_ok=True)

    def count(self, version: str) -> dict[str, int]:
        """Lines by part."""
        return {file.stem: file.read_bytes().count(b"\n") for file in self._bodies(version)}

    def shown(self, pointer: str) -> str | None:  # noqa: ARG002  nothing can be asked
        """None: what was sent is out of our hands."""
        return None

    def show(self, moves: Mapping[str, str | None]) -> None:
        """
        Send every part that the receiver has not accepted yet.

        :raises ReleaseError: it refused one (any answer but 2xx, 429 and 5xx).
        :raises Interrupted: it did not accept one within the budget.
        """
        for version in moves.values():
            for body in self._bodies(version) if version is not None else ():
                self._send_once(str(version), body)

    def forget(self, keep: Collection[str]) -> None:
        """Drop the bodies of other versions, and what was written down of their releases."""
        releases = {_release(version) for version in keep}
        for folder in (path for path in self._folder.glob("*") if path.is_dir()):
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
        accepted = self._accepted()
        kept = {key: digest for key, digest in accepted.items() if key.partition(":")[0] in releases}
        if kept != accepted:
            state.write(self._folder / "accepted.json", {"parts": kept})

    def _send_once(self, version: str, body: Path) -> None:
        content = body.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        part = f"{_release(version)}:{body.stem}"
        if self._accepted().get(part) == digest:
            return
        self._send(f"{version}:{body.stem}", content)
        state.write(self._folder / "accepted.json", {"parts": {**self._accepted(), part: digest}})

    def _send(self, key: str, content: bytes) -> None:
        deadline = time.monotonic() + self.budget
        pause = _FIRST_PAUSE
        while True:
            problem = self._post(key, content)
            if problem is None:
                return
            if time.monotonic() + pause > deadline:
                raise Interrupted(
                    f"`{self.address.to}` ({self._url}) did not accept `{key}` within {self.budget:g} s: {problem}",
                    hint="see to the receiver, then run this task again",
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _post(self, key: str, content: bytes) -> str | None:
        """Send once. Return None if it was accepted, else what may pass by itself."""
        own = self._connection.extra.get("headers", {})
        headers = {**own, "Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        login = (self._connection.login, self._connection.password or "") if self._connection.login else None
        try:
            answer = httpx.post(self._url, content=content, headers=headers, auth=login, timeout=_TIMEOUT)
        except httpx.TransportError as error:
            return str(error) or type(error).__name__
        if answer.is_success:
            return None
        said = f"status {answer.status_code}, `{answer.text[:_QUOTED].strip()}`"
        if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return said
        raise ReleaseError(
            f"`{self.address.to}` ({self._url}) refused `{key}`: {said}",
            hint=f"mend the connection `{self.address.conn_id}` or the receiver, then run this task again",
        )

    def _accepted(self) -> dict[str, str]:
        return dict((state.read(self._folder / "accepted.json") or {}).get("parts", {}))

    def _body(self, version: str, part: str) -> Path:
        return self._folder / version / f"{part}.jsonl"

    def _bodies(self, version: str | None) -> list[Path]:
        return sorted((self._folder / str(version)).glob("[!.]*.jsonl"))


def _release(version: str) -> str:
    return version.partition("~")[0]


def _url(connection: ConnectionInfo) -> str:
    if connection.conn_type != "http":
        raise ConnectionFault(
            f"connection `{connection.conn_id}` has type `{connection.conn_type}`, which takes no webhooks",
            hint="name a connection of type `http`",
        )
    if not connection.host:
        raise ConnectionFault(f"connection `{connection.conn_id}` has no `host`", hint="give it one")
    base = connection.host if "://" in connection.host else f"{connection.schema or 'http'}://{connection.host}"
    try:
        url = httpx.URL(base)
        return str(url.copy_with(port=connection.port) if connection.port else url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConnectionFault(
            f"connection `{connection.conn_id}`: `host` is no URL: {error}",
            hint="write, e.g., `https://example.com/hook`",
        ) from error

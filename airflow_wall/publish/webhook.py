"""
`webhook://CONN`: send each part as JSON lines in one POST to a connection of type `http`.

A sent webhook cannot be undone. So webhooks are sent after every other target shows the new release, and before the
release counts as committed. If one is refused, the other targets are reverted and the release stays open. Each part is
sent once: accepted parts are recorded, and a later opening of the same release does not send an unchanged part again.
The header `Idempotency-Key: <release>:<part>` lets a receiver detect a repeated try whose answer was lost.

The connection's host (or a whole URL), schema, port, login and password (basic authentication) are used, and its extras
(see `publish.http_client`). Messages show only scheme, host and port of its URL.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Collection, Mapping

import httpx

from airflow_wall.connections.extras import resolved
from airflow_wall.errors import ConnectionFault, Interrupted, ReleaseError
from airflow_wall.lake.documents import change
from airflow_wall.publish.base import RESENT, ReleaseSite, StagedRows, check_options
from airflow_wall.publish.http_client import http_client, server_url
from airflow_wall.publish.ledger import FOLDER
from airflow_wall.publish.rows import json_values, line
from airflow_wall.publish.targets.base import Target
from airflow_wall.redaction import short_url

BUDGET_SECONDS = 30.0
"""Seconds to try one part, pauses included."""

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_READ = 10_000
_ACCEPTED = "accepted.json"
_QUOTED = 200
"""Characters of an answer that an error quotes. Secrets are masked in a longer text, so that none is cut in two."""


class WebhookWriter:
    """
    One endpoint, and the `PointerStore` of its own pointer.

    :param target: The parsed `to`.
    :param site: The release that is sent.
    :param budget: Seconds to try one part.
    :raises ConnectionFault: the connection is not of type `http`, has no host, or has an unsupported extra.
    """

    reversible = False

    def __init__(self, target: Target, site: ReleaseSite, *, budget: float = BUDGET_SECONDS) -> None:
        self.target = target
        self.pointer = target.conn_id
        self.budget = budget
        connection = site.connections(target.conn_id)
        if connection.conn_type != "http":
            raise ConnectionFault(
                f"connection `{connection.conn_id}` has type `{connection.conn_type}`, but webhooks need type `http`",
                hint="use a connection of type `http`",
            )
        self._url = server_url(connection)
        self._connection = resolved(connection)
        self._client = http_client(self._connection, self._url)
        self._shown = f"`{target}` ({short_url(str(self._url))})"
        self._objects = site.lake.objects
        self._documents = site.lake.documents(FOLDER, site.name, "webhooks", target.conn_id)
        self._folder = site.lake.state_key(FOLDER, site.name, "webhooks", target.conn_id)

    @property
    def place(self) -> WebhookWriter:
        """The writer itself: each endpoint is sent to on its own."""
        return self

    def stage(self, version: str, part: str, rows: StagedRows) -> None:
        """Store the body of the part until it is sent."""
        check_options(rows.options, (), self.target)
        with self._objects.open_write(self._body(version, part)) as file:
            for batch in rows.rows.batches():
                file.write("".join(f"{line(values)}\n" for values in json_values(batch)).encode())

    def discard(self, version: str, part: str) -> None:
        """Delete the body of the part."""
        self._objects.delete(self._body(version, part))

    def count(self, version: str) -> dict[str, int]:
        """Return the number of lines by part."""
        return {part: self._lines(version, part) for part in self._parts(version)}

    def shown(self, pointer: str) -> str | None:  # noqa: ARG002  a receiver cannot be asked
        """Return None, because a receiver cannot be asked."""
        return None

    def show(self, moves: Mapping[str, str | None]) -> None:
        """
        Send every part that the receiver has not accepted yet.

        :raises ReleaseError: the receiver refused one (any answer except 2xx, 429 and 5xx).
        :raises Interrupted: the receiver did not accept one within the budget.
        """
        for version in moves.values():
            for part in self._parts(version) if version is not None else ():
                self._send_once(str(version), part)

    def copy(self, version: str, again: str) -> None:
        """Store the bodies of a version once more under another name, so that they are sent again."""
        for part in self._parts(version):
            with (
                self._objects.open_read(self._body(version, part)) as body,
                self._objects.open_write(self._body(again, part)) as file,
            ):
                shutil.copyfileobj(body, file)

    def erase(self, column: str, values: Collection[str]) -> int:
        """Erase lines of stored bodies. Rows that were sent are with the receiver."""
        erased = 0
        for item in self._objects.below(self._folder):
            if not item.key.endswith(".jsonl"):
                continue
            content, _ = self._objects.get(item.key) or (b"", "")
            lines = content.splitlines(keepends=True)
            kept = [line for line in lines if str(json.loads(line).get(column)) not in values]
            erased += len(lines) - len(kept)
            if len(kept) < len(lines):
                self._objects.put(item.key, b"".join(kept))
        return erased

    def forget(self, keep: Collection[str]) -> None:
        """Delete the bodies of other versions, and the records of their releases."""
        releases = {_release(version) for version in keep}
        for name in self._objects.names(self._folder):
            if name.endswith("/") and name[:-1] not in keep:
                self._objects.remove(f"{self._folder}/{name[:-1]}")
        accepted = self._accepted()
        kept = {key: digest for key, digest in accepted.items() if key.partition(":")[0] in releases}
        if kept != accepted:
            change(self._documents, _ACCEPTED, lambda _: {"parts": kept})

    def _send_once(self, version: str, name: str) -> None:
        body = self._body(version, name)
        with self._objects.open_read(body) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        part = f"{_release(version)}:{name}"
        if self._accepted().get(part) == digest:
            return
        self._send(f"{version}:{name}", body)
        change(self._documents, _ACCEPTED, lambda old: {"parts": {**(old or {}).get("parts", {}), part: digest}})

    def _send(self, key: str, body: str) -> None:
        deadline = time.monotonic() + self.budget
        pause = _FIRST_PAUSE
        while True:
            problem = self._post(key, body)
            if problem is None:
                return
            if time.monotonic() + pause > deadline:
                raise Interrupted(
                    f"{self._shown} did not accept `{key}` within {self.budget:g} s: {problem}",
                    hint="repair the receiver, then run this task again",
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _post(self, key: str, body: str) -> str | None:
        """Send a body once. Return None if it was accepted, else the reason, which may be temporary."""
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        try:
            with self._objects.open_read(body) as file:
                answer = self._client.post(self._url.copy_with(userinfo=b""), file, headers)
        except httpx.TransportError as error:
            return self._connection.hide(str(error)) or type(error).__name__
        if answer.is_success:
            return None
        reason = f"status {answer.status_code}, `{self._connection.hide(answer.text[:_READ])[:_QUOTED].strip()}`"
        if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return reason
        raise ReleaseError(
            f"{self._shown} refused `{key}`: {reason}",
            hint=f"correct the connection `{self.target.conn_id}` or the receiver, then run this task again",
        )

    def _accepted(self) -> dict[str, str]:
        return dict((self._documents.get(_ACCEPTED) or {}).get("parts", {}))

    def _body(self, version: str, part: str) -> str:
        return f"{self._folder}/{version}/{part}.jsonl"

    def _lines(self, version: str, part: str) -> int:
        with self._objects.open_read(self._body(version, part)) as file:
            return sum(1 for _ in file)

    def _parts(self, version: str | None) -> list[str]:
        names = self._objects.names(f"{self._folder}/{version}")
        return [name.removesuffix(".jsonl") for name in names if name.endswith(".jsonl") and not name.startswith(".")]


def _release(version: str) -> str:
    """Return the release of a version. A version that is sent again counts as a release of its own."""
    return version if RESENT in version else version.partition("~")[0]

from __future__ import annotations

import json
import logging
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from publish_lab import SQL, Lab, end, scores, start

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault, Interrupted, ReleaseError
from airflow_wall.publish import webhook

HOOK = "webhook://partner"
BOTH = {"a": SQL, "b": HOOK}


@pytest.fixture
def hooked(lab: Lab, receiver: Any) -> Lab:
    lab.connections["partner"] = ConnectionInfo("partner", "http", host=receiver.url)
    return lab


def test_webhook_is_sent_once_at_the_commit(hooked: Lab, receiver: Any) -> None:
    hooked.open("r1")
    hooked.stage("r1", "b", HOOK, scores("r1", rows=2))
    assert receiver.got == []
    hooked.close("r1", "b")
    hooked.close("r1", "b")
    ((headers, body),) = receiver.got
    assert headers["idempotency-key"] == "r1:b"
    assert headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in body.splitlines()] == [
        {"domain": "EWR", "hour": 0, "score": 0.0, "made_by": "r1"},
        {"domain": "EWR", "hour": 1, "score": 0.25, "made_by": "r1"},
    ]


def test_webhook_lines_hold_any_value(hooked: Lab, receiver: Any) -> None:
    data = pa.table(
        {
            "at": [datetime(2013, 7, 1, 5, tzinfo=UTC)],
            "gap": [float("nan")],
            "price": [Decimal("1.50")],
            "raw": [b"\x00\xff"],
            "list": [[1, None]],
            "word": pa.array(["x"]).dictionary_encode(),
        }
    )
    hooked.open("r1")
    hooked.stage("r1", "b", HOOK, data, key=())
    hooked.close("r1", "b")
    assert json.loads(receiver.got[0][1]) == {
        "at": "2013-07-01T05:00:00+00:00", "gap": None, "price": "1.50", "raw": "00ff", "list": [1, None], "word": "x",
    }  # fmt: skip


def test_webhook_sends_login_and_named_headers(hooked: Lab, receiver: Any) -> None:
    hooked.connections["partner"] = replace(
        hooked.connections["partner"],
        login="me",
        password="secret",
        extra={"headers": {"X-Team": "a"}, "X-Api-Key": "k"},
    )
    hooked.publish("r1", {"b": HOOK})
    headers = receiver.got[0][0]
    assert headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert (headers["x-team"], headers["x-api-key"]) == ("a", "k")


def test_webhook_is_tried_again_while_the_receiver_is_down(hooked: Lab, receiver: Any) -> None:
    receiver.answers = [(503, "later"), (429, "slower")]
    hooked.publish("r1", BOTH)
    assert receiver.keys == ["r1:b"] * 3


def test_refused_webhook_puts_the_table_back_and_close_can_be_called_again(hooked: Lab, receiver: Any) -> None:
    hooked.publish("r1", BOTH)
    receiver.answers = [(422, "no such team" + "!" * 300)]
    with pytest.raises(ReleaseError) as error:
        hooked.publish("r2", BOTH)
    assert str(error.value) == (
        f"`webhook://partner` ({receiver.origin}) refused `r2:b`: status 422, `no such team{'!' * 188}`; clients "
        "still see release `r1`\n\nhint: correct the connection `partner` or the receiver, then run this task again"
    )
    assert hooked.table() == {"r1": 50}
    assert hooked.close("r2", *BOTH)["previous"] == "r1"
    assert hooked.table() == {"r2": 50}
    assert receiver.keys == ["r1:b", "r2:b", "r2:b"]


def test_receiver_that_stays_down_leaves_the_release_open(
    hooked: Lab, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook.WebhookWriter.__init__, "__kwdefaults__", {"budget": 0.3})
    receiver.answers = [(500, "oops")] * 9
    with pytest.raises(Interrupted) as error:
        hooked.publish("r1", BOTH)
    assert str(error.value) == (
        f"`webhook://partner` ({receiver.origin}) did not accept `r1:b` within 0.3 s: status 500, `oops`; clients still "
        "see nothing\n\nhint: repair the receiver, then run this task again"
    )
    assert hooked.table() == {}
    receiver.answers = []
    hooked.close("r1", *BOTH)
    assert hooked.table() == {"r1": 50}


def test_part_that_was_accepted_is_not_sent_again_by_a_cleared_run(hooked: Lab, receiver: Any) -> None:
    hooked.publish("r1", BOTH)
    hooked.publish("r1", BOTH, fence=2)
    assert receiver.keys == ["r1:b"]
    hooked.open("r1", fence=3)
    hooked.stage("r1", "b", HOOK, scores("other"))
    hooked.close("r1", "b")
    assert receiver.keys == ["r1:b", "r1~3:b"]


def test_kill_while_sending_repeats_only_what_was_not_accepted(hooked: Lab, receiver: Any) -> None:
    parts = [f"p{number}" for number in range(6)]
    hooked.open("r1")
    for part in parts:
        hooked.stage("r1", part, HOOK)
    process = start(hooked, "close", "r1", expected=parts)
    deadline = time.monotonic() + 20
    while len(receiver.got) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    assert end(process) == -signal.SIGKILL
    sent = len(receiver.got)
    hooked.close("r1", *parts)
    assert set(receiver.keys) == {f"r1:{part}" for part in parts}
    assert len(receiver.keys) <= len(parts) + 1  # the one whose answer was lost may come twice, with the same key
    assert sent >= 3


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (
            ConnectionInfo("partner", "sqlite", host="x"),
            "connection `partner` has type `sqlite`, but webhooks need type `http`\n\nhint: use a connection of type `http`",
        ),
        (
            ConnectionInfo("partner", "http"),
            "connection `partner` has no `host`\n\nhint: set the host in the connection",
        ),
        *(
            (
                ConnectionInfo("partner", "http", host=host),
                "connection `partner`: expected the URL of a server in `host`, got something else\n\nhint: write, e.g., "
                "`https://example.com/hook`; in a login or password, write `@`, `:`, `/`, `#` and `?` as `%40`, `%3A`, "
                "`%2F`, `%23` and `%3F`",
            )
            for host in ("http://me:pass-77/word@h/x", "ftp://me:pass-77@h", "http://me:pass-77@", "http://h:pass-77/x")
        ),
    ],
)
def test_connection_that_takes_no_webhooks_is_refused_when_staging(
    lab: Lab, connection: ConnectionInfo, message: str
) -> None:
    lab.connections["partner"] = connection
    lab.open("r1")
    with pytest.raises(ConnectionFault) as error:
        lab.stage("r1", "b", HOOK)
    assert str(error.value) == message


SECRETS = ("pw-secret-77", "path-secret-88", "q-secret-99", "head-secret-11", "bWU6cHctc2VjcmV0LTc3")


def secretive(receiver: Any) -> ConnectionInfo:
    """A connection with a secret in each place that can hold one."""
    host = receiver.url.replace("//", "//me:pw-secret-77@").replace("hook", "T0/path-secret-88?token=q-secret-99")
    return ConnectionInfo("partner", "http", host=host, extra={"headers": {"X-Key": "head-secret-11"}})


def test_no_secret_of_a_webhook_is_in_a_message_a_log_or_the_lake(
    lab: Lab, receiver: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhook.WebhookWriter.__init__, "__kwdefaults__", {"budget": 0.3})
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="httpx")  # Airflow's configuration of logs raises it
    lab.connections["partner"] = secretive(receiver)
    echo = f"refused {' '.join(SECRETS)} /T0/path-secret-88?token=q-secret-99"  # as a receiver that quotes the request
    for status in (403, 500):
        receiver.answers = [(status, echo)] * 9
        with pytest.raises((ReleaseError, Interrupted)) as error:
            lab.publish("r1", BOTH, fence=status)
        assert f"({receiver.origin})" in str(error.value)
        caplog.records.append(logging.makeLogRecord({"msg": str(error.value)}))
    headers, _ = receiver.got[0]
    assert headers["authorization"] == "Basic bWU6cHctc2VjcmV0LTc3"  # all were sent
    assert headers["x-key"] == "head-secret-11"
    receiver.shutdown()
    receiver.server_close()
    with pytest.raises(Interrupted) as error:
        lab.publish("r2", BOTH)
    caplog.records.append(logging.makeLogRecord({"msg": str(error.value)}))
    kept = b"".join(path.read_bytes() for path in lab.folder.rglob("*") if path.is_file())
    texts = "\n".join(record.getMessage() for record in caplog.records)
    assert "HTTP Request: POST" in texts
    for secret in SECRETS:
        assert secret not in texts
        assert secret.encode() not in kept


def test_httpx_would_log_the_secret_path(
    lab: Lab, receiver: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(logging.getLogger("httpx"), "filters", [])
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="httpx")  # Airflow's configuration of logs raises it
    lab.connections["partner"] = secretive(receiver)
    lab.publish("r1", BOTH)
    assert "path-secret-88" in caplog.text
    assert "pw-secret-77" not in caplog.text

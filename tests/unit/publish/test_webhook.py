from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from publish_lab import SQL, Lab, end, scores, start

from airflow_wall.connections import ConnectionInfo
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
        hooked.connections["partner"], login="me", password="secret", extra={"headers": {"X-Team": "a"}, "verify": "no"}
    )
    hooked.publish("r1", {"b": HOOK})
    headers = receiver.got[0][0]
    assert headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert headers["x-team"] == "a"
    assert "verify" not in headers


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
        f"`webhook://partner` ({receiver.url}) refused `r2:b`: status 422, `no such team{'!' * 188}`; clients "
        "still see release `r1`\n\nhint: mend the connection `partner` or the receiver, then run this task again"
    )
    assert hooked.table() == {"r1": 50}
    assert hooked.close("r2", *BOTH)["previous"] == "r1"
    assert hooked.table() == {"r2": 50}
    assert receiver.keys == ["r1:b", "r2:b", "r2:b"]


def test_receiver_that_stays_down_leaves_the_release_open(
    hooked: Lab, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook.WebhookTarget.__init__, "__kwdefaults__", {"budget": 0.3})
    receiver.answers = [(500, "oops")] * 9
    with pytest.raises(Interrupted) as error:
        hooked.publish("r1", BOTH)
    assert str(error.value) == (
        f"`webhook://partner` ({receiver.url}) did not accept `r1:b` within 0.3 s: status 500, `oops`; clients still "
        "see nothing\n\nhint: see to the receiver, then run this task again"
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
            "connection `partner` has type `sqlite`, which takes no webhooks\n\nhint: name a connection of type `http`",
        ),
        (ConnectionInfo("partner", "http"), "connection `partner` has no `host`\n\nhint: give it one"),
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

"""`TeamsNotifier` posts an Adaptive Card to a workflow."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_wall.errors import ConnectionFault, Interrupted
from airflow_wall.notifications.notifier import Notification

USES = "airflow_wall.notifications.teams.TeamsNotifier"
ARGUMENTS = {
    "conn_id": "channel",
    **{name: {"$t": f"{{{{ notice.{part} }}}}"} for name, part in (
        ("title", "subject"), ("text", "text"), ("url", "url"), ("event", "event"),
    )},
}  # fmt: skip


class Workflow(ThreadingHTTPServer):
    """A workflow that accepts cards."""

    got: list[tuple[str, dict[str, Any]]]
    status = 202


class _Handler(BaseHTTPRequestHandler):
    server: Workflow

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.got.append((self.path, body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def workflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workflow]:
    server = Workflow(("127.0.0.1", 0), _Handler)
    server.got = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host = f"http://127.0.0.1:{server.server_port}/workflows/1/run?api-version=1"
    value = json.dumps({"conn_type": "http", "host": host, "password": "a/secret"})
    monkeypatch.setenv("AIRFLOW_CONN_CHANNEL", value)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def send(event: str = "failure", **context: Any) -> None:
    Notification(event, USES, ARGUMENTS)({"dag": DAG("scores"), "run_id": "run_1", **context})


def test_the_card_has_the_reason_and_a_button(workflow: Workflow) -> None:
    send(reason="timed out: *no* answer")
    [(path, body)] = workflow.got
    assert path == "/workflows/1/run?api-version=1&sig=a%2Fsecret"
    [attachment] = body["attachments"]
    assert (body["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    head, *lines = card["body"]
    assert (head["text"], head["color"]) == ("scores failed", "Attention")
    assert [line["text"] for line in lines] == ["run: run_1", "reason: timed out: *no* answer"]
    [button] = card["actions"]
    assert (button["type"], button["url"].endswith("/dags/scores/runs/run_1")) == ("Action.OpenUrl", True)


def test_a_workflow_that_refuses_is_named_without_its_secret(workflow: Workflow) -> None:
    workflow.status = 400
    with pytest.raises(ConnectionFault, match="connection `channel` refused the card: status 400") as error:
        send()
    assert "secret" not in str(error.value)


def test_a_workflow_that_is_away_is_named_without_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    value = json.dumps({"conn_type": "http", "host": "http://127.0.0.1:9/x", "password": "secret"})
    monkeypatch.setenv("AIRFLOW_CONN_CHANNEL", value)
    with pytest.raises(Interrupted, match="connection `channel` does not answer: ConnectError") as error:
        send()
    assert "secret" not in str(error.value)

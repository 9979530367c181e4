"""
Notifications of a run, by a real Airflow with the real notifiers over a real network.

Waits for: an Airflow of its own with a triggerer, because it measures that nothing else is sent; and 15 s of silence.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any

import pytest
from airflow_server import TRIGGERER, AirflowServer, waiting
from fakes import Posts, http_server, mail_server

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LOADER = "from airflow_wall import load_dags\n\nglobals().update(load_dags(__file__))  # airflow dag\n"
BASH = "airflow.providers.standard.operators.bash.BashOperator"
QUIET = 15.0
"""Seconds in which a second notification would have come: several rounds of the scheduler and the DAG processor."""

EVERYBODY = """\
    - slack: {channel: "#data"}
    - slack_webhook: {}
    - email: {to: [data@example.org, oncall@example.org], from_email: airflow@example.org}
    - apprise: {}
    - http: {endpoint: hook}
"""
PATHS = ("/api/chat.postMessage", "/services/T/B/X", "/apprise", "/hook")

PIPELINES = {
    # `kill -9 $PPID` is the process that Airflow runs the task in.
    "killed": f"""\
dag_id: killed
environments: {{production: {{description: For good.}}}}
notify:
  failure:
{EVERYBODY}\
tasks:
  - id: fine
  - id: work
    needs: fine
    uses: {BASH}
    with: {{bash_command: "kill -9 $PPID"}}
  - id: after
    needs: work
""",
    "broken": """\
dag_id: broken
notify:
  failure: {http: {endpoint: broken}}
tasks:
  - id: load
    uses: ingest
    with: {source: nowhere/orders.csv, target: bronze/orders}
  - id: work
    uses: airflow.providers.standard.operators.python.PythonOperator
    with: {python_callable: {$import: "builtins:open"}, op_args: [/nowhere]}
""",
    "retried": f"""\
dag_id: retried
default_args: {{retries: 1, retry_delay: 1s}}
notify:
  failure: {{http: {{endpoint: failure}}}}
  retry: {{http: {{endpoint: retry}}}}
  success: {{http: {{endpoint: success}}}}
tasks:
  - id: work
    uses: {BASH}
    with: {{bash_command: {{$t: "[ {{{{ ti.try_number }}}} -gt 1 ]"}}}}
""",
    "late": f"""\
dag_id: late
deadline: {{interval: 1s}}
notify:
  deadline:
{EVERYBODY}\
tasks:
  - id: work
    uses: {BASH}
    with: {{bash_command: "sleep 20"}}
""",
}


@dataclass
class Platform:
    """An Airflow, and what was sent to the servers that its connections lead to."""

    airflow: AirflowServer
    posts: Posts
    mails: list[Message]

    def posts_to(self, path: str, dag_id: str) -> list[dict[str, Any]]:
        return [body for to, body in self.posts if to == path and dag_id in json.dumps(body)]

    def mails_of(self, dag_id: str) -> list[Message]:
        return [mail for mail in self.mails if dag_id in str(mail["subject"])]

    def trigger(self, dag_id: str) -> str:
        for _ in waiting(180):
            if dag_id in self.airflow.active_dags():
                return self.airflow.trigger(dag_id, "2026-01-01T00:00:00Z")
        pytest.fail(f"no DAG `{dag_id}`; import errors: {self.airflow.import_errors()}")

    def notifications(self, dag_id: str) -> list[int]:
        """How many came on each of five channels."""
        return [*(len(self.posts_to(path, dag_id)) for path in PATHS), len(self.mails_of(dag_id))]


@dataclass(frozen=True)
class Run:
    """One run that has ended."""

    run_id: str
    state: str
    tasks: dict[str, str]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    project = tmp_path_factory.mktemp("notifications")
    (project / "dags").mkdir()
    (project / "dags/pipelines.py").write_text(LOADER)
    for name, text in PIPELINES.items():
        (project / f"dags/{name}.yaml").write_text(text)
    with http_server() as (web, posts), mail_server() as (post_office, mails):
        connections: dict[str, dict[str, Any]] = {
            "slack_api_default": {
                "conn_type": "slack",
                "password": "xoxb-1",
                "extra": {"base_url": f"http://127.0.0.1:{web}/api/"},
            },
            "slack_default": {
                "conn_type": "slackwebhook",
                "host": f"http://127.0.0.1:{web}/services/",
                "password": "T/B/X",
            },
            "smtp_default": {
                "conn_type": "smtp",
                "host": "127.0.0.1",
                "port": post_office,
                "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.org"},
            },
            "apprise_default": {
                "conn_type": "apprise",
                "extra": {"config": {"path": f"json://127.0.0.1:{web}/apprise", "tag": "all"}},
            },
            "http_default": {"conn_type": "http", "host": f"http://127.0.0.1:{web}"},
        }
        environment = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(each) for name, each in connections.items()}
        environment["AIRFLOW__WALL__ENVIRONMENT"] = "production"
        with AirflowServer(project / "airflow", project / "dags", environment, others=TRIGGERER) as server:
            yield Platform(server, posts, mails)


@pytest.fixture(autouse=True)
def _consoles_of_a_failure(request: pytest.FixtureRequest, platform: Platform) -> Iterator[None]:
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        print(platform.posts, platform.mails, platform.airflow.last_lines())  # noqa: T201


@pytest.fixture(scope="module")
def runs(platform: Platform) -> dict[str, Run]:
    """A run of each pipeline, side by side, after which no further notification comes."""
    run_ids = {dag_id: platform.trigger(dag_id) for dag_id in PIPELINES}
    found = {dag_id: Run(run_id, *platform.airflow.finished(dag_id, run_id)) for dag_id, run_id in run_ids.items()}
    for _ in waiting(180):
        channels = [*platform.notifications("killed"), *platform.notifications("late")]
        if all(channels) and platform.posts_to("/success", "retried"):
            break
    time.sleep(QUIET)
    return found


def test_a_task_that_is_killed_leads_to_one_notification_on_each_channel(
    platform: Platform, runs: dict[str, Run]
) -> None:
    killed = runs["killed"]
    assert killed.state == "failed"
    assert killed.tasks == {"fine": "success", "work": "failed", "after": "upstream_failed"}
    assert platform.notifications("killed") == [1] * 5
    (sent,) = platform.posts_to("/hook", "killed")
    url = f"{platform.airflow.url}/dags/killed/runs/{killed.run_id.replace(':', '%3A').replace('+', '%2B')}"
    assert (sent["event"], sent["run_id"], sent["tasks"], sent["url"]) == ("failure", killed.run_id, "work", url)
    text = sent["text"]
    first, last = text.partition("\nnext: correct the cause, then clear the failed tasks on the page of the run")[::2]
    assert first == (
        f"killed failed (production)\nrun: {killed.run_id}\nfailed: work\n"
        "work: its process ended without an error, e.g. because it was killed; see its log"
    )
    assert last.endswith(f"\n{url}")
    (slack,) = platform.posts_to("/api/chat.postMessage", "killed")
    assert (slack["channel"], slack["text"]) == ("#data", text)
    assert platform.posts_to("/services/T/B/X", "killed")[0]["text"] == text
    (teams,) = platform.posts_to("/apprise", "killed")
    assert (teams["title"], teams["message"], teams["type"]) == ("killed failed (production)", text, "failure")
    (mail,) = platform.mails_of("killed")
    assert (mail["subject"], mail["to"]) == ("killed failed (production)", "data@example.org, oncall@example.org")
    assert f'<a href="{url}">'.encode() in mail.get_payload()[0].get_payload(decode=True)  # type: ignore[index, union-attr, operator]


def test_a_failure_names_the_error_of_each_task(platform: Platform, runs: dict[str, Run]) -> None:
    assert runs["broken"].state == "failed"
    (sent,) = platform.posts_to("/broken", "broken")
    load, work = (line for line in sent["text"].splitlines() if line.startswith(("load: ", "work: ")))
    assert "broken.yaml:" in load
    assert "`nowhere/orders.csv`" in load
    assert work == "work: [Errno 2] No such file or directory: '/nowhere'"


def test_a_retry_and_the_success_after_it_are_notified(platform: Platform, runs: dict[str, Run]) -> None:
    assert runs["retried"].state == "success"
    (retry,) = platform.posts_to("/retry", "retried")
    assert (retry["event"], retry["task_id"], retry["subject"]) == (
        "retry",
        "work",
        "retried: work will be tried again",
    )
    assert retry["url"].endswith("/tasks/work")
    (success,) = platform.posts_to("/success", "retried")
    assert success["subject"] == "retried succeeded"
    assert platform.posts_to("/failure", "retried") == []


def test_a_missed_deadline_is_notified_while_the_run_goes_on(platform: Platform, runs: dict[str, Run]) -> None:
    assert runs["late"].state == "success"
    assert platform.notifications("late") == [1] * 5
    (sent,) = platform.posts_to("/hook", "late")
    assert (sent["event"], sent["subject"]) == ("deadline", "late missed its deadline")
    assert sent["reason"].startswith("it was due at 20")

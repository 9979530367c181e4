from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.deployment.doctor import diagnose
from airflow_wall.deployment.facts import COMPONENTS, Facts

BUNDLES = '[{"name": "pipelines", "classpath": "airflow_wall.bundles.PipelineBundle", "kwargs": {"path": "/dags"}}]'
SETTINGS = {
    "core.executor": "CeleryExecutor",
    "wall.environment": "production",
    "dag_processor.dag_bundle_config_list": BUNDLES,
}
GIVEN = {
    "api-server": ("jwt_secret", "fernet_key", "api_secret_key", "metadata"),
    "scheduler": ("jwt_secret", "fernet_key", "broker_url", "result_backend", "metadata"),
    "dag-processor": ("fernet_key", "metadata"),
    "triggerer": ("fernet_key", "api_secret_key", "metadata"),
    "worker": ("api_secret_key", "broker_url", "result_backend", "metadata"),
}


def well(component: str) -> Facts:
    worker = component == "worker"
    settings = {
        **SETTINGS,
        **({"scheduler.task_instance_heartbeat_timeout": "120"} if component == "scheduler" else {}),
        **({"workers.min_heartbeat_interval": "1", "workers.max_failed_heartbeats": "120"} if worker else {}),
    }
    return Facts(
        name=f"wall-{component}-1",
        component=component,
        versions={"apache-airflow": "3.3.2"},
        ahead=0.2,
        settings=settings,
        secrets={secret: f"of {secret}" for secret in GIVEN[component]},
        bundles={"pipelines": "abc"} if component in ("dag-processor", "worker") else {},
        unreachable={"database": "OperationalError"} if worker else {},
        served=("default", "heavy") if component == "scheduler" else (),
        waiting={"default": 3} if component == "scheduler" else {},
        init="dumb-init",
        setsid=not worker,
        grace=3600.0 if worker else 60.0,
    )


def deployment(**changes: dict[str, Any]) -> list[Facts]:
    """Return a healthy deployment with changed facts, by component (with `_` for `-`)."""
    return [replace(well(component), **changes.get(component.replace("-", "_"), {})) for component in COMPONENTS]


def without(component: str, secret: str) -> dict[str, Any]:
    return {"secrets": {name: value for name, value in well(component).secrets.items() if name != secret}}


def of(component: str, field: str, **values: Any) -> dict[str, Any]:
    return {field: {**getattr(well(component), field), **values}}


def test_nothing_is_wrong_with_a_deployment_that_is_well() -> None:
    assert diagnose(deployment()) == []


@pytest.mark.parametrize(
    ("changes", "about", "message", "fix"),
    [
        pytest.param(
            {"worker": of("worker", "versions", **{"apache-airflow": "3.2.0"})},
            tuple(f"wall-{component}-1" for component in COMPONENTS),
            "apache-airflow has different versions: `3.2.0`: wall-worker-1; `3.3.2`: wall-api-server-1, wall-scheduler-1, "
            "wall-dag-processor-1, wall-triggerer-1",
            "finish the upgrade: replace the components that still run the old image",
            id="half an upgrade",
        ),
        pytest.param(
            {"scheduler": of("scheduler", "secrets", jwt_secret="another")},
            ("wall-api-server-1", "wall-scheduler-1"),
            "jwt_secret differs between components; the fingerprints are `another`: wall-scheduler-1; `of jwt_secret`: "
            "wall-api-server-1",
            "give them the same one, and restart the components that have another",
            id="another JWT secret",
        ),
        pytest.param(
            {"triggerer": without("triggerer", "fernet_key")},
            ("wall-triggerer-1",),
            "fernet_key is not set, so Airflow generates a new one at each start",
            "give api-server and scheduler and dag-processor and triggerer the same fernet_key",
            id="no Fernet key",
        ),
        pytest.param(
            {"worker": of("worker", "secrets", fernet_key="of fernet_key")},
            ("wall-worker-1",),
            "the worker has fernet_key: it decrypts all connections",
            "remove fernet_key from the worker",
            id="worker with the Fernet key",
        ),
        pytest.param(
            {"worker": {"unreachable": {}}},
            ("wall-worker-1",),
            "the worker can reach the metadata database, and so can every task",
            "remove the address of the database from the worker; tasks only need the api-server",
            id="worker with the database",
        ),
        pytest.param(
            {"worker": {"ahead": -12.3}},
            ("wall-worker-1",),
            "its clock is 12 s behind the api-server's, more than 5 s",
            "run chrony or systemd-timesyncd on that host to set its clock",
            id="clock behind",
        ),
        pytest.param(
            {"worker": of("worker", "settings", **{"wall.environment": "staging"})},
            tuple(f"wall-{component}-1" for component in COMPONENTS),
            "setting `[wall] environment` differs between components: `production`: wall-api-server-1, "
            "wall-scheduler-1, wall-dag-processor-1, wall-triggerer-1; `staging`: wall-worker-1",
            "set AIRFLOW__WALL__ENVIRONMENT to the same value for all",
            id="another environment",
        ),
        pytest.param(
            {"worker": of("worker", "settings", **{"workers.max_failed_heartbeats": "3"})},
            ("wall-worker-1",),
            "a task gives up after 3 s without the api-server, but the scheduler waits 120 s for it",
            "raise `[workers] max_failed_heartbeats`, which is counted in `min_heartbeat_interval`s",
            id="few heartbeats",
        ),
        pytest.param(
            {"worker": of("worker", "settings", **{"dag_processor.dag_bundle_config_list": "[]"})},
            ("wall-dag-processor-1", "wall-worker-1"),
            "`[dag_processor] dag_bundle_config_list` differs between components: `[]`: wall-worker-1; "
            '`[{"classpath": "airflow_wall.bundles.PipelineBundle", "kwargs": {"path": "/dags"}, "name": "pipelines"}]`: '
            "wall-dag-processor-1",
            "give the DAG processor and all workers the same list",
            id="another list of bundles",
        ),
        pytest.param(
            {"worker": {"bundles": {"pipelines": "def"}}},
            ("wall-dag-processor-1", "wall-worker-1"),
            "the files of bundle `pipelines` differ between components; the digests are `abc`: wall-dag-processor-1; "
            "`def`: wall-worker-1",
            "mount the same directory, or use the same image for all",
            id="other files",
        ),
        pytest.param(
            {"scheduler": {"unreachable": {"queue": "OperationalError: refused"}}},
            ("wall-scheduler-1",),
            "it cannot reach the queue: OperationalError: refused",
            "start the queue, or correct its address",
            id="queue away",
        ),
        pytest.param(
            {"scheduler": {"waiting": {"gpu": 2}}},
            ("wall-scheduler-1",),
            "2 task(s) wait in queue `gpu`, which no worker serves; workers serve default, heavy",
            "start a worker with `--queues gpu`, or correct `queue` in the pipeline",
            id="queue without a worker",
        ),
        pytest.param(
            {"worker": {"setsid": True}},
            ("wall-worker-1",),
            "SIGTERM would reach the worker's tasks too, not only its main process",
            "set DUMB_INIT_SETSID=0 for workers",
            id="signals to the group",
        ),
        pytest.param(
            {"worker": {"remapped": "SIGQUIT"}},
            ("wall-worker-1",),
            "with REMAP_SIGTERM=SIGQUIT, SIGTERM does not let tasks finish",
            "remove REMAP_SIGTERM from the worker",
            id="cold shutdown",
        ),
        pytest.param(
            {"worker": {"grace": 10.0}},
            ("wall-worker-1",),
            "it and its tasks are killed 10 s after SIGTERM",
            "raise `stop_grace_period` (compose) or `terminationGracePeriodSeconds` (Kubernetes) to the length of the "
            "longest task",
            id="short grace",
        ),
    ],
)
def test_what_is_wrong_is_found_and_nothing_else(
    changes: dict[str, dict[str, Any]], about: tuple[str, ...], message: str, fix: str
) -> None:
    (fault,) = diagnose(deployment(**changes))
    assert (fault.about, fault.message, fault.fix) == (about, message, fix)


def test_component_without_facts_is_reported_as_missing() -> None:
    (fault,) = diagnose([item for item in deployment() if item.component != "triggerer"])
    assert fault.message == "there are no facts of triggerer: they do not run, or their facts were not collected"


def test_facts_travel_as_a_line_of_json() -> None:
    facts = well("worker")
    assert "\n" not in facts.to_json()
    assert Facts.from_json(facts.to_json()) == facts
    assert Facts.from_json(json.dumps({**json.loads(facts.to_json()), "of a later version": 1})) == facts


def test_the_command_lists_passed_checks_and_fixes() -> None:
    lines = "\n".join(item.to_json() for item in deployment(worker={"grace": 10.0}))
    done = CliRunner().invoke(app, ["doctor", "-"], input=lines)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "5 components: wall-api-server-1, wall-scheduler-1, wall-dag-processor-1, wall-triggerer-1, wall-worker-1",
        "ok   components",
        "ok   versions",
        "ok   secrets",
        "ok   clocks",
        "ok   settings",
        "ok   bundles",
        "ok   reach",
        "BAD  shutdown",
        "     wall-worker-1: it and its tasks are killed 10 s after SIGTERM",
        "     hint: raise `stop_grace_period` (compose) or `terminationGracePeriodSeconds` (Kubernetes) to the length of "
        "the longest task",
    ]
    assert CliRunner().invoke(app, ["doctor", "-"], input="\n".join(f.to_json() for f in deployment())).exit_code == 0


def test_missing_facts_and_invalid_json_are_reported() -> None:
    error = CliRunner().invoke(app, ["doctor"]).exception
    assert str(error).startswith("no facts to check\n\nhint: run `sh compose/doctor.sh`")
    error = CliRunner().invoke(app, ["doctor", "-"], input="Traceback").exception
    assert str(error) == (
        "expected the facts of a component as one JSON object per line, got `Traceback`\n\n"
        "hint: collect them with `airflow-wall doctor --facts` in each component"
    )

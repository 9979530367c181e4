from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parents[2] / "docker-compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"migrate"}
SECRET_OPTIONS = ("PASSWORD", "SECRET", "_KEY", "_CONN", "BROKER_URL", "RESULT_BACKEND")
METADATA = {"postgres_password", "fernet_key"}


def environment(service: str) -> Mapping[str, str]:
    values = SERVICES[service].get("environment", {})
    assert isinstance(values, dict)
    return values


@pytest.mark.parametrize(
    "command",
    [["docker", "compose"], ["docker-compose"]],
    ids=["docker compose", "docker-compose"],
)
def test_compose_itself_accepts_the_file(command: list[str]) -> None:
    if shutil.which(command[0]) is None or subprocess.run([*command, "version"], capture_output=True).returncode:
        pytest.skip(f"`{' '.join(command)}` is not installed here")
    done = subprocess.run([*command, "--file", str(FILE), "config"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.safe_load(done.stdout)["services"].keys() == SERVICES.keys()


def test_the_services_are_those_of_an_airflow_with_a_queue() -> None:
    assert SERVICES.keys() == {
        "postgres", "redis", "migrate", "api-server", "scheduler", "dag-processor", "triggerer", "worker",
    }  # fmt: skip


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - ONE_SHOT))
def test_a_service_that_stays_has_a_health_check_and_restarts(service: str) -> None:
    check = SERVICES[service]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= check.keys()
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_port_is_open_to_other_hosts(service: str) -> None:
    for port in SERVICES[service].get("ports", []):
        assert str(port).startswith("127.0.0.1:")
    assert "network_mode" not in SERVICES[service]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_secrets_are_read_from_files_that_the_service_is_given(service: str) -> None:
    given = set(SERVICES[service].get("secrets", []))
    assert given <= COMPOSE["secrets"].keys()
    command = SERVICES[service].get("command", [])
    text = "\n".join([*map(str, environment(service).values()), *map(str, command)])
    mentioned = {name for name in COMPOSE["secrets"] if f"/run/secrets/{name}" in text}
    assert mentioned == given
    for name, value in environment(service).items():
        if any(part in name for part in SECRET_OPTIONS) and not name.endswith("PASSWORDS_FILE"):
            assert name.endswith(("_CMD", "_FILE")), f"{name} holds its value in the open"
            assert "/run/secrets/" in value


def test_every_secret_is_a_file_outside_the_compose_file() -> None:
    assert all(secret.keys() == {"file"} for secret in COMPOSE["secrets"].values())


def test_the_worker_reaches_neither_the_metadata_database_nor_its_keys() -> None:
    assert not {*METADATA, "jwt_secret"} & set(SERVICES["worker"]["secrets"])


def test_the_worker_finishes_its_tasks_when_it_is_stopped() -> None:
    assert SERVICES["worker"]["stop_grace_period"] == "1h"
    assert environment("worker")["DUMB_INIT_SETSID"] == "0"


@pytest.mark.parametrize(
    "service", [name for name in SERVICES if set(SERVICES[name].get("secrets", [])) >= METADATA and name != "migrate"]
)
def test_who_uses_the_metadata_database_waits_for_its_migration(service: str) -> None:
    waits = SERVICES[service]["depends_on"]
    assert waits["migrate"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {"postgres", "redis"}))
def test_the_environment_of_pipelines_is_always_set(service: str) -> None:
    assert environment(service)["AIRFLOW__WALL__ENVIRONMENT"] == "${WALL_ENVIRONMENT:-production}"
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]

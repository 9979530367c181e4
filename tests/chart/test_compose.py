from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

FILE = Path(__file__).parents[2] / "docker-compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"migrate"}
SECRET_OPTIONS = ("PASSWORD", "SECRET", "_KEY", "_CONN", "BROKER_URL", "RESULT_BACKEND")
METADATA = {"postgres_password", "fernet_key"}
PROFILES = [
    word for name in ("dev", "maintenance", "monitoring", "search", "spark", "tls") for word in ("--profile", name)
]
NOBODYS = "postgresql+psycopg://nobody@workers-have-no-metadata-database.invalid/none"
WORKERS = {"worker": "default", "worker-heavy": "heavy"}
AIRFLOW = [name for name, service in SERVICES.items() if service.get("command", [""])[0] == "airflow"]


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
    done = subprocess.run([*command, "--file", str(FILE), *PROFILES, "config"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.safe_load(done.stdout)["services"].keys() == SERVICES.keys()


def test_the_services_are_those_of_an_airflow_with_a_queue_and_the_profiles_add_to_them() -> None:
    profiles: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        profiles.setdefault(",".join(service.get("profiles", [])), set()).add(name)
    assert profiles == {
        "": {
            "postgres", "redis", "migrate", "api-server", "scheduler", "dag-processor", "triggerer", "worker",
            "worker-heavy",
        },
        "dev": {"dev"},
        "maintenance": {"backup", "cleanup"},
        "tls": {"tls"},
        "monitoring": {"statsd-exporter", "prometheus", "alertmanager", "grafana"},
        "spark": {"spark-master", "spark-worker"},
        "search": {"opensearch"},
    }  # fmt: skip


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - ONE_SHOT))
def test_a_service_that_stays_has_a_health_check_and_restarts(service: str) -> None:
    check = SERVICES[service]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= check.keys()
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {"tls"}))  # whose purpose it is
def test_no_port_is_open_to_other_hosts_by_default(service: str) -> None:
    for port in SERVICES[service].get("ports", []):
        assert str(port).startswith("${WALL_BIND:-127.0.0.1}:")
    assert "network_mode" not in SERVICES[service]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_has_bounds_and_no_more_power_than_it_needs(service: str) -> None:
    found = SERVICES[service]
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["read_only"] is (service != "opensearch")
    assert found["logging"]["options"].keys() == {"max-size", "max-file"}
    assert found["deploy"]["resources"]["limits"].keys() == {"memory", "pids"}


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
            if value == NOBODYS:
                continue
            assert name.endswith(("_CMD", "_FILE")), f"{name} holds its value in the open"
            assert "/run/secrets/" in value


@pytest.mark.parametrize("service", AIRFLOW)
def test_a_service_has_the_measured_settings_of_the_chart(service: str) -> None:
    config = yaml.safe_load((FILE.parent / "helm/values.yaml").read_text())["config"]
    shared = {
        f"AIRFLOW__{section}__{option}".upper(): str(value)
        for section, options in config.items()
        if section != "core"
        for option, value in options.items()
    }
    assert {"AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS", "AIRFLOW__WORKERS__EXECUTION_API_RETRIES"} <= shared.keys()
    assert shared.items() <= environment(service).items()


def test_every_file_that_a_service_mounts_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = str(volume).partition(":")[0]
            assert not source.startswith("./") or (FILE.parent / source).exists(), source


def test_prometheus_asks_for_the_alerts_of_the_chart_and_sends_them() -> None:
    prometheus = yaml.safe_load((FILE.parent / "compose/prometheus.yaml").read_text())
    assert [f"./compose/alerts.yaml:{path}:ro" for path in prometheus["rule_files"]] == [
        volume for volume in SERVICES["prometheus"]["volumes"] if "alerts" in volume
    ]
    (manager,) = prometheus["alerting"]["alertmanagers"]
    assert manager["static_configs"][0]["targets"][0].partition(":")[0] in SERVICES
    receivers = yaml.safe_load((FILE.parent / "compose/alertmanager.yaml").read_text())
    assert receivers["route"]["receiver"] in {receiver["name"] for receiver in receivers["receivers"]}


def test_every_secret_is_a_file_outside_the_compose_file() -> None:
    assert all(secret.keys() == {"file"} for secret in COMPOSE["secrets"].values())


def test_one_command_makes_all_secrets_and_leaves_those_that_are_there(tmp_path: Path) -> None:
    command = ["sh", str(FILE.parent / "compose/secrets.sh")]
    folder = tmp_path / "secrets"
    subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ, "WALL_SECRETS": str(folder)})
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert made.keys() == COMPOSE["secrets"].keys()
    assert len(set(made.values())) == len(made)
    for name, value in made.items():
        assert (value.isalnum() and len(value) == 64) or (name == "fernet_key" and Fernet(value.encode()))
        assert folder.joinpath(name).stat().st_mode & 0o777 == 0o444
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "jwt_secret").unlink()
    subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ, "WALL_SECRETS": str(folder)})
    again = {path.name: path.read_text() for path in folder.iterdir()}
    assert {name for name in made if made[name] != again[name]} == {"jwt_secret"}


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_serves_one_queue_without_the_metadata_database_and_its_keys(worker: str) -> None:
    found = SERVICES[worker]
    assert found["command"] == ["airflow", "celery", "worker", "--queues", WORKERS[worker]]
    assert not {*METADATA, "jwt_secret"} & set(found["secrets"])
    assert found["networks"] == ["default", "queue"]
    assert environment(worker)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == NOBODYS
    assert not [name for name in environment(worker) if "FERNET" in name or "JWT" in name]


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_finishes_its_tasks_when_it_is_stopped(worker: str) -> None:
    assert SERVICES[worker]["stop_grace_period"] == "${WALL_WORKER_GRACE:-1h}"
    assert SERVICES[worker]["init"] is False
    assert environment(worker)["DUMB_INIT_SETSID"] == "0"


def test_networks_of_metadata_and_queue_have_no_way_out() -> None:
    assert [name for name, network in COMPOSE["networks"].items() if network] == ["metadata", "queue"]
    assert all(COMPOSE["networks"][name] == {"internal": True} for name in ("metadata", "queue"))


def test_tasks_live_as_long_without_the_api_server_as_the_scheduler_waits_for_them() -> None:
    worker = environment("worker")
    patience = int(worker["AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"]) * int(
        worker["AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS"]
    )
    assert patience == int(environment("scheduler")["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"])


@pytest.mark.parametrize("service", AIRFLOW)
def test_all_read_pipelines_by_the_same_bundle_that_looks_every_few_seconds(service: str) -> None:
    bundle, upkeep = json.loads(environment(service)["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert upkeep["classpath"] == "airflow_wall.bundles.UpkeepBundle"
    assert bundle["classpath"] == "airflow_wall.bundles.PipelineBundle"
    assert bundle["kwargs"] == {"path": "/opt/airflow/dags", "refresh_interval": 5}


def test_a_command_for_a_secret_prints_it_and_nothing_else(tmp_path: Path) -> None:
    for service in AIRFLOW:
        for name, value in environment(service).items():
            if not name.endswith("_CMD"):
                continue
            secret = re.search(r"/run/secrets/\w+", value)
            assert secret is not None
            (tmp_path / "secret").write_text("s3cret\n")
            command = value.replace(secret[0], str(tmp_path / "secret")).replace("$$", "$")
            done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True).stdout
            assert "s3cret" in done
            assert "\n" not in done


def test_the_image_is_locked_with_hashes_and_to_the_celery_that_the_provider_can_import() -> None:
    for name in ("requirements", "tools"):
        lock = (FILE.parent / f"image/{name}.txt").read_text()
        pinned = re.findall(r"^([a-z0-9_.-]+)==(\S+).*\\\n    --hash=sha256:", lock, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^\S", lock, re.MULTILINE))
        versions = dict(pinned)
        if name == "requirements":
            assert tuple(map(int, versions["celery"].split(".")[:2])) < (5, 7)
            tested = dict(
                re.findall(r"^([a-z0-9_.-]+)==(\S+)", (FILE.parent / "constraints.txt").read_text(), re.MULTILINE)
            )
            assert versions["apache-airflow"] == tested["apache-airflow"]
    image = (FILE.parent / "Dockerfile").read_text()
    assert image.count("--require-hashes --only-binary :all:") == 2
    assert "USER 50000:0" in image


@pytest.mark.parametrize(
    "service", [name for name in SERVICES if set(SERVICES[name].get("secrets", [])) >= METADATA and name != "migrate"]
)
def test_who_uses_the_metadata_database_waits_for_its_migration(service: str) -> None:
    waits = SERVICES[service]["depends_on"]
    assert waits["migrate"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("service", AIRFLOW)
def test_the_environment_of_pipelines_is_always_set(service: str) -> None:
    assert environment(service)["AIRFLOW__WALL__ENVIRONMENT"] == "${WALL_ENVIRONMENT:-production}"

"""The modules without providers, and the chart with the values that they write."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_files import DEPLOY, outputs, program, terraform
from rendering import helm

MODULES = sorted(path.parent for path in DEPLOY.glob("*/modules/*/tests"))
PLAN = {"name": "airflow", "account_id": "123456789012", "zones": ["eu-west-1a", "eu-west-1b"], "size": "small"}


def test_files_are_formatted() -> None:
    terraform(DEPLOY, "fmt", "-check", "-recursive", "-diff")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_module(module: Path) -> None:
    terraform(module, "init", "-backend=false", "-input=false")
    terraform(module, "validate")
    terraform(module, "test")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return outputs(DEPLOY / "aws/modules/plan", tmp_path_factory.mktemp("plan") / "plan", PLAN)


@pytest.fixture(scope="module", params=["private", "domain"])
def values(request: pytest.FixtureRequest, plan: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The outputs of the module that writes the chart's values, without and with a load balancer."""
    with_domain = request.param == "domain"
    variables = {
        "region": "eu-west-1",
        "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/airflow",
        "lake": f"s3://{plan['buckets']['lake']['name']}/lake",
        "logs": f"s3://{plan['buckets']['logs']['name']}/airflow",
        "data_networks": [subnet["private"] for subnet in plan["subnets"].values()],
        "worker": plan["size"]["worker"],
        "domain": "airflow.example.com" if with_domain else "",
        "certificate_arn": "arn:aws:acm:eu-west-1:123456789012:certificate/1" if with_domain else "",
        "admin_networks": ["203.0.113.7/32"],
    }
    return outputs(DEPLOY / "aws/modules/values", tmp_path_factory.mktemp("values") / "values", variables)


@pytest.fixture(scope="module")
def manifests(values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The chart, as install.sh installs it."""
    path = tmp_path_factory.mktemp("chart") / "values.yaml"
    path.write_text(values["chart"])
    chart = str(DEPLOY.parent / "helm")
    done = helm(
        "template",
        "airflow",
        chart,
        "--namespace",
        "airflow",
        "--values",
        str(path),
        "--set-string",
        "images.airflow.tag=1",
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def test_identities_are_bound_to_accounts_of_the_chart(plan: dict[str, Any], manifests: list[dict[str, Any]]) -> None:
    accounts = {item["metadata"]["name"] for item in manifests if item["kind"] == "ServiceAccount"}
    assert {identity["service_account"] for identity in plan["identities"].values()} <= accounts
    assert {identity["namespace"] for identity in plan["identities"].values()} == {"airflow"}


def test_workers_scale_from_zero_on_their_own_pool(values: dict[str, Any], manifests: list[dict[str, Any]]) -> None:
    [scaled] = [item for item in manifests if item["kind"] == "ScaledObject"]
    assert scaled["spec"]["minReplicaCount"] == 0
    pool = yaml.safe_load(values["node_pool"])["spec"]["template"]
    worker = _pod(manifests, "airflow-worker")
    assert pool["metadata"]["labels"].items() <= worker["nodeSelector"].items()
    [taint] = pool["spec"]["taints"]
    assert [{key: item[key] for key in taint} for item in worker["tolerations"]] == [taint]


def test_pods_find_lake_logs_and_authority(manifests: list[dict[str, Any]]) -> None:
    pod = _pod(manifests, "airflow-worker")
    [container] = pod["containers"]
    environment = {item["name"]: item.get("value") for item in container["env"]}
    assert environment["WALL_LAKE"] == "s3://airflow-lake-123456789012/lake"
    assert {"name": "authority", "mountPath": "/authority", "readOnly": True} in container["volumeMounts"]


def test_secrets_are_all_that_the_chart_names(manifests: list[dict[str, Any]]) -> None:
    written = {
        item["metadata"]["name"]: set(item["stringData"]) for item in written_manifests() if item["kind"] == "Secret"
    }
    for name, key in _secret_keys(manifests):
        assert key in written[name], (name, key)


def test_databases_and_brokers_are_named_with_tls() -> None:
    contents = {
        item["metadata"]["name"]: item["stringData"] for item in written_manifests() if item["kind"] == "Secret"
    }
    assert contents["airflow-wall-metadata"]["connection"].endswith("sslmode=verify-full&sslrootcert=/authority/ca.crt")
    assert contents["airflow-wall-broker"]["connection"].startswith("rediss://")
    assert len(contents["airflow-wall-fernet"]["fernet-key"]) == 44


def test_scripts_pass_shellcheck() -> None:
    scripts = [str(path) for path in sorted(DEPLOY.rglob("*.sh"))]
    done = subprocess.run([program("shellcheck"), "-x", *scripts], cwd=DEPLOY / "aws", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def written_manifests() -> list[dict[str, Any]]:
    """Return what install.sh applies for a fake installation."""
    names = ("database-password", "keda-password", "broker-password", "jwt-secret", "api-secret-key", "admin-password")
    given = {
        "installation": {"database_host": "db.example.com", "broker_host": "broker.example.com"},
        "secrets": {**{name: f"value-of-{name}" for name in names}, "fernet-key": "k" * 32},
        "image": "registry.example.com/airflow:1",
    }
    command = [program("python3"), DEPLOY / "aws/kubernetes/manifests.py"]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout)["items"])


def _pod(manifests: list[dict[str, Any]], name: str) -> dict[str, Any]:
    [found] = [item for item in manifests if item["kind"] == "Deployment" and item["metadata"]["name"] == name]
    return dict(found["spec"]["template"]["spec"])


def _secret_keys(node: Any) -> set[tuple[str, str]]:
    """Return name and key of every reference to a Secret."""
    if isinstance(node, list):
        return set().union(*map(_secret_keys, node))
    if not isinstance(node, dict):
        return set()
    keys = set().union(*map(_secret_keys, node.values()))
    reference = node.get("secretKeyRef")
    if isinstance(reference, dict):
        keys.add((reference["name"], reference["key"]))
    return keys

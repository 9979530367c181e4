"""
The scripts of deploy/aws, with the real AWS command against an emulator. Docker and Kubernetes are recorders.

Waits for: an emulator of AWS for each test, and calls of the AWS command.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deploy_files import DEPLOY, TOOLS, program, terraform

SECRETS = ("database-password", "keda-password", "broker-password", "jwt-secret", "api-secret-key", "admin-password")
RECORDER = f"""#!{sys.executable}
import json, os, sys
given = sys.stdin.read() if "-" in sys.argv or "--password-stdin" in sys.argv else ""
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:], given]) + "\\n")
if "--dry-run=client" in sys.argv:
    print("{{}}")
if "list-runs" in sys.argv:
    run = next(call[call.index("--run-id") + 1] for call in map(json.loads, open(os.environ["CALLS"])) if "--run-id" in call)
    print(json.dumps([{{"run_id": run, "state": os.environ.get("STATE", "success")}}]))
"""
OUTPUTS = """
output "values" { value = "executor: CeleryExecutor" }
output "node_pool" { value = "kind: NodePool" }
output "installation" { value = jsondecode(file("installation.json")) }
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulator of AWS with the cluster, the registry and the secrets that Terraform would have made."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([program("moto_server"), "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not _answers(port):
            assert time.monotonic() < deadline, "moto does not start"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Installation:
    """A copy of deploy/aws whose Terraform has run, and what its scripts call."""

    folder: Path
    environment: dict[str, str]

    def run(self, script: str, *arguments: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **more}
        command = ["bash", str(self.folder / script), *arguments]
        return subprocess.run(command, env=environment, input=given, capture_output=True, text=True, timeout=300)

    def aws(self, *arguments: str) -> Any:
        command = [program("aws"), *arguments, "--region", "eu-west-1", "--output", "json"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    def calls(self) -> list[list[str]]:
        path = Path(self.environment["CALLS"])
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def installation(tmp_path: Path, endpoint: str) -> Installation:
    checkout = tmp_path / "checkout"
    folder = checkout / "deploy/aws"
    folder.mkdir(parents=True)
    for name in ("lib.sh", "install.sh", "first-run.sh", "destroy.sh", "kubernetes"):
        source = DEPLOY / "aws" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (checkout / "dags").mkdir()
    (checkout / "dags/scores.yaml").write_text("id: scores\n")
    (folder / "outputs.tf").write_text(OUTPUTS + 'variable "protect" {\n  default = true\n}\n')
    described = {
        "region": "eu-west-1",
        "cluster": f"wall-{tmp_path.name[-8:]}".replace("_", "-"),
        "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/airflow",
        "database_host": "db.example.com",
        "broker_host": "broker.example.com",
        "ui": "",
        "secrets": {name: f"{tmp_path.name}/{name}" for name in (*SECRETS, "fernet-key")},
    }
    (folder / "installation.json").write_text(json.dumps(described))
    terraform(folder, "init", "-input=false")
    terraform(folder, "apply", "-auto-approve", "-input=false")
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("kubectl", "helm", "docker", "curl"):
        (binaries / name).write_text(RECORDER)
        (binaries / name).chmod(0o755)
    (binaries / "git").write_text("#!/bin/sh\ncase $* in *rev-parse*) echo 0123456789ab ;; esac\n")
    (binaries / "git").chmod(0o755)
    environment = {
        "PATH": f"{binaries}:{TOOLS}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "CALLS": str(tmp_path / "calls"),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "TF_CLI_CONFIG_FILE": os.devnull,
    }
    made = Installation(folder, environment)
    for name in described["secrets"].values():
        made.aws("secretsmanager", "create-secret", "--name", name, "--secret-string", f"value-of-{name.split('/')[1]}")
    role = "arn:aws:iam::123456789012:role/cluster"
    made.aws(
        "eks",
        "create-cluster",
        "--name",
        described["cluster"],
        "--role-arn",
        role,
        "--resources-vpc-config",
        "subnetIds=a",
    )
    return made


def test_install_applies_everything_and_shows_no_secret(installation: Installation) -> None:
    done = installation.run("install.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    calls = installation.calls()
    verbs = [" ".join(call[:3]) for call in calls]
    for verb in ("docker build --platform", "docker push", "helm upgrade --install"):
        assert any(line.startswith(verb) for line in verbs), verb
    build, push = (
        [index for index, call in enumerate(calls) if call[:2] == ["docker", verb]] for verb in ("build", "push")
    )
    charts = [index for index, call in enumerate(calls) if call[0] == "helm"]
    assert build[0] < push[0] < charts[0] < charts[1]
    arguments = [word for call in calls for word in call[1:-1]]
    assert not [word for word in arguments if "value-of-" in word]
    assert "value-of-" not in done.stdout + done.stderr
    applied = [call[-1] for call in calls if call[:2] == ["kubectl", "apply"]]
    assert any("value-of-database-password@db.example.com" in manifest for manifest in applied)
    assert (installation.folder / ".kubeconfig").exists()


def test_an_image_that_is_in_the_registry_is_not_built_again(installation: Installation) -> None:
    installation.aws("ecr", "create-repository", "--repository-name", "airflow")
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"})
    installation.aws(
        *(
            "ecr",
            "put-image",
            "--repository-name",
            "airflow",
            "--image-tag",
            "0123456789ab",
            "--image-manifest",
            manifest,
        )
    )
    done = installation.run("install.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [call for call in installation.calls() if call[0] == "docker"] == []


def test_install_before_terraform_says_what_to_do(installation: Installation) -> None:
    (installation.folder / "terraform.tfstate").unlink()
    done = installation.run("install.sh")
    assert done.returncode == 1
    assert "nothing is installed yet: run `terraform apply` first" in done.stderr


@pytest.mark.parametrize(("state", "code"), [("success", 0), ("failed", 1)])
def test_first_run_ends_as_the_run_ends(installation: Installation, state: str, code: int) -> None:
    done = installation.run("first-run.sh", "scores", "2026-01-01", STATE=state)
    assert (done.returncode, f"== {state}," in done.stdout) == (code, True), done.stderr


def test_destroy_asks_for_the_name(installation: Installation) -> None:
    assert installation.run("destroy.sh", given="yes\n").returncode == 1
    assert installation.calls() == []
    cluster = json.loads((installation.folder / "installation.json").read_text())["cluster"]
    done = installation.run("destroy.sh", given=f"{cluster}\n")
    assert done.returncode == 0, done.stdout + done.stderr
    verbs = [call[:3] for call in installation.calls()]
    assert verbs[0] == ["helm", "uninstall", "airflow"]
    assert json.loads((installation.folder / "terraform.tfstate").read_text())["outputs"] == {}

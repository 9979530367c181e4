"""An upgrade changes nothing that Kubernetes would reject, and restarts no pod without need."""

from __future__ import annotations

import itertools

import pytest
from rendering import CASES, Manifest, Rendered, containers

IMMUTABLE = {
    "Deployment": lambda each: each["spec"]["selector"],
    "Job": lambda each: each["spec"],
    "PersistentVolumeClaim": lambda each: {key: value for key, value in each["spec"].items() if key != "resources"},
    "RoleBinding": lambda each: each["roleRef"],
    "PriorityClass": lambda each: (each["value"], each["preemptionPolicy"]),
    "Service": lambda each: each["spec"].get("clusterIP"),
}
"""Kind to what of it cannot be changed."""

CHANGES = (
    "images.airflow.tag=v2", "config.core.parallelism=8", "environment=staging", "airflowVersion=3.3.1",
    "data.metadataSecretName=other", "imagePullSecrets[0].name=registry", "migrateDatabaseJob.backoffLimit=1",
    "migrateDatabaseJob.grantReadTo=keda", "users.simple[0]=root:admin", "labels.team=data",
    "nodeSelector.pool=a", "env[0].name=A,env[0].value=b", "executor=KubernetesExecutor", "revisionHistoryLimit=1",
)  # fmt: skip


def frozen(rendered: Rendered) -> dict[tuple[str, str, str], object]:
    """Return the fields that cannot be changed, by kind, namespace and name."""
    return {
        (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): IMMUTABLE[each["kind"]](each)
        for each in rendered.all
        if each["kind"] in IMMUTABLE and "helm.sh/hook" not in each["metadata"].get("annotations", {})
    }


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(CASES, 2)))
def test_from_any_values_set_to_any_other_nothing_immutable_changes(before: str, after: str) -> None:
    old, new = frozen(Rendered(*CASES[before])), frozen(Rendered(*CASES[after]))
    changed = {key for key in old.keys() & new.keys() if old[key] != new[key]}
    if before == "local-values" or after == "local-values":
        changed = {key for key in changed if key[0] != "PersistentVolumeClaim"}
    assert changed == set()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_another_job_and_never_changes_one(change: str) -> None:
    old, new = frozen(Rendered()), frozen(Rendered("--set", change))
    assert [key for key in old.keys() & new.keys() if old[key] != new[key]] == []


def test_a_changed_image_or_setting_is_another_migration() -> None:
    first = Rendered().workloads()["migrate"]["metadata"]["name"]
    for change in ("images.airflow.tag=v2", "config.core.parallelism=8", "environment=staging"):
        assert Rendered("--set", change).workloads()["migrate"]["metadata"]["name"] != first


def test_a_change_that_the_migration_does_not_see_keeps_its_job() -> None:
    assert Rendered("--set", "scheduler.replicas=2").workloads()["migrate"] == Rendered().workloads()["migrate"]


def test_another_pipeline_restarts_nothing() -> None:
    assert Rendered("--set-string", r"pipelines.a\.yaml=dag_id: a").pods() == Rendered().pods()


def test_a_changed_setting_restarts_who_reads_it() -> None:
    before, after = Rendered().pods(), Rendered("--set", "config.core.parallelism=8").pods()
    assert {name for name in before if before[name] != after[name]} == before.keys() - {"statsd"}


def test_nothing_that_must_come_first_is_a_hook() -> None:
    """Under `--wait`, Argo CD and Flux a hook would wait for pods that wait for it."""
    for arguments in CASES.values():
        for manifest in Rendered(*arguments).all:
            hook = manifest["metadata"].get("annotations", {}).get("helm.sh/hook", "")
            assert hook in ("", "test")
            testing = (manifest["kind"], manifest["metadata"]["name"]) == ("Pod", "wall-airflow-wall-test")
            assert (hook == "test") == testing


def test_who_uses_the_database_waits_for_its_migration() -> None:
    for name, pod in Rendered().pods().items():
        waits = [each["args"] for each in containers(pod) if each["name"] == "wait-for-migration"]
        uses = {"api-server", "scheduler", "dag-processor", "triggerer"}
        assert bool(waits) == (name in uses), name


def test_tasks_always_reach_an_api_server() -> None:
    server = Rendered().one("Deployment", "api-server")["spec"]
    assert server["replicas"] >= 2
    assert server["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    spec = server["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > 120 + 5


@pytest.mark.parametrize("case", ["default", "autoscaling-values", "both-values"])
def test_workers_end_warmly_and_their_successors_come_first(case: str) -> None:
    rendered = Rendered(*CASES[case])
    for deployment in rendered.of("Deployment"):
        labels = deployment["metadata"]["labels"]
        if labels["app.kubernetes.io/component"] == "worker":
            pod: Manifest = deployment["spec"]["template"]
            (container,) = pod["spec"]["containers"]
            assert {"name": "DUMB_INIT_SETSID", "value": "0"} in container["env"]
            assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
            assert pod["spec"]["terminationGracePeriodSeconds"] >= 600
            assert pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
            assert pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true"

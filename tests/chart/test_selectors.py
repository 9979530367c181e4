"""Each selector selects the pods of one workload, in every values set."""

from __future__ import annotations

from collections import Counter

import pytest
from rendering import CASES, Manifest, Rendered, containers, selects, short


@pytest.fixture(params=list(CASES))
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return Rendered(*CASES[request.param])


def selected(rendered: Rendered, selector: Manifest) -> list[str]:
    """The workloads whose pods it selects; never the pods of nobody."""
    return [name for name, pod in rendered.pods().items() if selects(selector, pod["metadata"]["labels"])]


def test_a_deployment_selects_its_own_pods(rendered: Rendered) -> None:
    for deployment in rendered.of("Deployment"):
        assert selected(rendered, deployment["spec"]["selector"]) == [short(deployment)]


def test_a_service_selects_one_workload_by_a_port_it_has(rendered: Rendered) -> None:
    for service in rendered.of("Service"):
        (name,) = selected(rendered, {"matchLabels": service["spec"]["selector"]})
        ports = {port["name"] for container in containers(rendered.pods()[name]) for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_no_pod_is_in_two_disruption_budgets(rendered: Rendered) -> None:
    """The eviction API refuses to evict such a pod, and a node with it cannot be drained."""
    budgets = Counter()
    for budget in rendered.of("PodDisruptionBudget"):
        (name,) = selected(rendered, budget["spec"]["selector"])
        assert name == short(budget)
        budgets[name] += 1
    assert set(budgets.values()) == {1}
    kept = {short(each) for each in rendered.of("Deployment")} - {"statsd", "postgres", "redis"}
    assert set(budgets) == kept


def test_what_is_scaled_is_there_and_says_no_number(rendered: Rendered) -> None:
    for scaler in rendered.of("ScaledObject", "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        (deployment,) = [each for each in rendered.of("Deployment") if each["metadata"]["name"] == target["name"]]
        assert "replicas" not in deployment["spec"]  # each upgrade would set it back


def test_what_pods_mount_is_made_or_named_by_the_values(rendered: Rendered) -> None:
    made = {
        (each["kind"], each["metadata"].get("namespace", "data"), each["metadata"]["name"]) for each in rendered.all
    }
    others = {"team-a", "team-b", "certificates", "airflow-backup", "kube-root-ca.crt"}
    for pod in rendered.pods().values():
        where = pod["metadata"].get("namespace", "data")
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        for volume in volumes.values():
            sources = volume["projected"]["sources"] if "projected" in volume else [volume]
            for source in sources:
                if "configMap" in source:
                    assert ("ConfigMap", where, source["configMap"]["name"]) in made or source["configMap"][
                        "name"
                    ] in others
                if "persistentVolumeClaim" in source:
                    claim = source["persistentVolumeClaim"]["claimName"]
                    assert ("PersistentVolumeClaim", where, claim) in made or claim in others
        for container in containers(pod):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes.keys()


def test_names_are_unique_and_not_too_long(rendered: Rendered) -> None:
    names = Counter(
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in rendered.all
    )
    assert set(names.values()) == {1}
    long = Rendered("--set", f"fullnameOverride={'a' * 60}", *CASES["autoscaling-values"])
    assert max(len(each["metadata"]["name"]) for each in long.all) <= 63
    for pod in long.pods().values():
        assert all(len(value) <= 63 for value in pod["metadata"]["labels"].values())

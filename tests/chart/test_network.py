"""Path by path: what Airflow needs is let through, and nothing else."""

from __future__ import annotations

import pytest
from reachability import End, reaches
from rendering import CASES, Rendered

Path = tuple[str, str]

OUTSIDE = {
    "dns": (End({"k8s-app": "kube-dns"}, "kube-system"), 53, "UDP"),
    "database": (End(None, address="10.1.0.5"), 5432, "TCP"),
    "broker": (End(None, address="10.1.1.5"), 6379, "TCP"),
    "kubernetes": (End(None, address="10.0.0.1"), 443, "TCP"),
    "internet": (End(None, address="203.0.113.7"), 443, "TCP"),
    "plain-http": (End(None, address="203.0.113.7"), 80, "TCP"),
    "node-identity": (End(None, address="169.254.169.254"), 80, "TCP"),
    "node-identity-tls": (End(None, address="169.254.169.254"), 443, "TCP"),
    "ssh": (End(None, address="203.0.113.7"), 22, "TCP"),
    "redshift": (End(None, address="10.2.0.5"), 5439, "TCP"),
}
"""Targets outside the release that pods might connect to."""

PORTS = {
    "api-server": (8080, "TCP"),
    "scheduler": (8974, "TCP"),
    "scheduler-logs": (8793, "TCP"),
    "dag-processor": (8793, "TCP"),
    "triggerer": (8794, "TCP"),
    "worker": (8793, "TCP"),
    "task": (8793, "TCP"),
    "statsd": (9125, "UDP"),
    "statsd-metrics": (9102, "TCP"),
    "pgbouncer": (6543, "TCP"),
    "postgres": (5432, "TCP"),
    "redis": (6379, "TCP"),
}
"""Ports of the release's own pods."""

STRANGERS = {
    "stranger": End({"app": "other"}),
    "other-release": End(
        {
            "app.kubernetes.io/name": "airflow-wall",
            "app.kubernetes.io/instance": "other",
            "app.kubernetes.io/component": "worker",
        }
    ),
    "prometheus": End({"app.kubernetes.io/name": "prometheus"}, "monitoring"),
    "keda": End({"app": "keda-operator", "name": "keda-operator"}, "keda"),  # of its YAML; its chart adds to them
    "ingress": End({"app": "nginx"}, "ingress-nginx"),
}
"""Sources outside the release that might connect to them."""


def paths(rendered: Rendered) -> set[Path]:
    """All (from, to) that are let through."""
    own = {}
    for name, pod in rendered.pods().items():
        component = "worker" if name.startswith("worker") else name
        own[component] = End(pod["metadata"]["labels"], pod["metadata"].get("namespace", "data"))
    targets = {name: (end, port, protocol) for name, (end, port, protocol) in OUTSIDE.items()}
    for name, (port, protocol) in PORTS.items():
        component = name.removesuffix("-metrics").removesuffix("-logs")
        if component in own:
            targets[name] = (own[component], port, protocol)
    found = set()
    for source, end in own.items():
        found |= {
            (source, name)
            for name, (target, port, protocol) in targets.items()
            if target is not end and reaches(rendered, end, target, port, protocol)
        }
    for source, end in STRANGERS.items():
        found |= {
            (source, name)
            for name, (target, port, protocol) in targets.items()
            if name in PORTS and reaches(rendered, end, target, port, protocol)
        }
    return found


def allowed(text: str) -> set[Path]:
    """A line for each source: `from: to to to`."""
    lines = [line.partition(":") for line in text.strip().splitlines()]
    return {(source.strip(), target) for source, _, targets in lines for target in targets.split()}


BASE = """
    dag-processor: dns database statsd internet
    triggerer: dns database statsd internet
    test: dns database
    prometheus: statsd-metrics
"""

EXPECTED = {
    "default": BASE + """
    migrate: dns database broker
    api-server: dns database statsd internet worker triggerer
    scheduler: dns database broker statsd
    worker: dns broker statsd internet api-server
    """,
    "local-values": """
    api-server: dns database statsd internet scheduler-logs triggerer
    scheduler: dns database statsd internet api-server
    dag-processor: dns database statsd internet
    triggerer: dns database statsd internet
    migrate: dns database
    prometheus: statsd-metrics
    """,
    "kubernetes-values": BASE + """
    migrate: dns database
    api-server: dns database statsd internet triggerer kubernetes
    scheduler: dns database statsd internet kubernetes
    cleanup: dns database kubernetes
    task: dns statsd internet api-server
    """,
    "both-values": BASE + """
    migrate: dns database broker
    api-server: dns database statsd internet worker triggerer kubernetes
    scheduler: dns database broker statsd kubernetes internet
    cleanup: dns database kubernetes internet
    worker: dns broker statsd internet api-server
    task: dns statsd internet api-server
    """,
    "cloud-values": """
    api-server: dns pgbouncer statsd internet worker triggerer kubernetes
    scheduler: dns pgbouncer broker statsd internet kubernetes
    dag-processor: dns pgbouncer statsd internet
    triggerer: dns pgbouncer statsd internet
    migrate: dns pgbouncer broker
    test: dns pgbouncer
    database-cleanup: dns pgbouncer
    cleanup: dns pgbouncer kubernetes
    backup: dns database
    pgbouncer: dns database
    worker: dns broker statsd internet api-server redshift
    task: dns statsd internet api-server
    prometheus: statsd-metrics
    keda: pgbouncer
    ingress: api-server
    """,
    "dev-values": """
    api-server: dns postgres statsd internet worker triggerer
    scheduler: dns postgres redis statsd
    dag-processor: dns postgres statsd internet
    triggerer: dns postgres statsd internet
    migrate: dns postgres redis
    test: dns postgres
    secrets: dns kubernetes internet
    worker: dns redis statsd internet api-server
    prometheus: statsd-metrics
    keda: postgres
    """,
}  # fmt: skip
"""Values set to every path there is. `internet` is HTTPS; where it is not told where the Kubernetes API is, it is that too."""


@pytest.mark.parametrize("case", list(EXPECTED))
def test_the_paths_are_these_and_no_others(case: str) -> None:
    found = paths(Rendered(*CASES[case]))
    expected = allowed(EXPECTED[case])
    # HTTPS to anywhere is to the Kubernetes API too, where no token opens it.
    expected |= {(source, "kubernetes") for source, target in expected if target == "internet"}
    assert sorted(found - expected) == []
    assert sorted(expected - found) == []


def test_every_pod_has_a_policy_for_both_ways() -> None:
    for case, arguments in CASES.items():
        rendered = Rendered(*arguments)
        for name, pod in rendered.pods().items():
            end = End(pod["metadata"]["labels"], pod["metadata"].get("namespace", "data"))
            nowhere = End(None, address="192.0.2.1")
            assert not reaches(rendered, end, nowhere, 9, "TCP"), (case, name)
            assert not reaches(rendered, nowhere, end, 9, "TCP"), (case, name)


def test_policies_can_be_left_to_others() -> None:
    assert not Rendered("--set", "networkPolicies.enabled=false").of("NetworkPolicy")

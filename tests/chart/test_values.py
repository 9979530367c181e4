"""
Values that are unknown, of other charts, or impossible together are refused with what to do instead.

Waits for: Helm, once for each value of the official chart that is refused.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from rendering import CASES, CHART, Rendered, containers, refusal

REMOVED: dict[str, str] = yaml.safe_load((CHART / "removed.yaml").read_text(encoding="utf-8"))
KEDA = ("--set", "workers.celery.keda.enabled=true")


def test_what_only_the_official_chart_has_is_refused_with_what_to_use() -> None:
    def refusal_of(path: str) -> str:
        return refusal("--set-string", f"{path}=x")

    with ThreadPoolExecutor(2) as pool:
        for (path, instead), message in zip(REMOVED.items(), pool.map(refusal_of, REMOVED), strict=True):
            assert f"{path} is not in this chart; use {instead}" in message


def test_removed_values_are_not_in_the_chart() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for path in REMOVED:
        found = defaults
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        assert found is None, path


def test_what_to_use_instead_is_there() -> None:
    """Each pointer that looks like a path leads to a key."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    open_ended = ("config.", "securityContexts.pod.")
    for instead in REMOVED.values():
        for word in instead.replace(",", " ").replace(";", " ").split():
            if "." in word.strip(".") and not word.startswith(open_ended):
                found = defaults
                for key in word.split("."):
                    assert key in found, instead
                    found = found[key]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["workers.celery.replica=1"], "workers.celery: Additional property replica is not allowed"),
        (["workers.celery.sets[0].name=a", "workers.celery.sets[0].queue=a", "workers.celery.sets[0].cpu=1"], "Additional property cpu"),
        (["environment="], "environment: Does not match pattern"),
        (["airflowVersion=2.11.0"], "airflowVersion: Does not match pattern"),
        (["airflowVersion=3.1.7"], "airflowVersion: Does not match pattern"),
        ([r"pipelines.a\.exe=x"], 'pipelines: Property name of "a.exe" does not match'),
        (["apiServer.replicas=1"], "apiServer.replicas: Must be greater than or equal to 2"),
        (["apiServer.terminationGracePeriodSeconds=30"], "Must be greater than or equal to 130"),
        (["workers.celery.queue=a'b"], "workers.celery.queue: Does not match pattern"),
        (["executor=Celery Executor"], "executor: Does not match pattern"),
        (["images.airflow.digest=sha256:abc"], "images.airflow.digest: Does not match pattern"),
        (["config.core.fernet_key=x"], "config.core.fernet_key cannot be set here; use fernetKeySecretName"),
        (["config.wall.environment=x"], "config.wall.environment cannot be set here; use environment"),
        (["users.simple[0]=admin:root"], "users.simple.0: Does not match pattern"),
        (["config.core.executor=x"], "config.core.executor cannot be set here; use executor"),
        (["config.celery.worker_concurrency=16"], "use workers.celery.concurrency"),
        (["executor=EdgeExecutor"], "executor is EdgeExecutor; this chart has what CeleryExecutor"),
        (["executor=LocalExecutor", "scheduler.replicas=2"], "scheduler.replicas is above 1 with LocalExecutor"),
        (["executor=KubernetesExecutor", "workers.celery.keda.enabled=true"], "workers.celery.keda needs CeleryExecutor"),
        (["executor=LocalExecutor", "workers.celery.sets[0].name=a", "workers.celery.sets[0].queue=a"], "workers.celery.sets needs CeleryExecutor"),
        (["workers.celery.sets[0].name=a", "workers.celery.sets[0].queue=default"], "queue default is that of the worker sets default and a"),
        (["workers.celery.sets[0].name=default", "workers.celery.sets[0].queue=b"], "two worker sets are named default"),
        (["workers.celery.queue=other"], "no worker set takes from queue default"),
        (["workers.celery.keda.enabled=true", "workers.celery.keda.cooldownPeriod=600"], "worker set default: keda.cooldownPeriod is 600 and terminationGracePeriodSeconds 3600; it must not be shorter"),
        (["workers.celery.keda.enabled=true", "workers.celery.keda.cooldownPeriod=600", "workers.celery.terminationGracePeriodSeconds=600", "workers.celery.keda.scaleDown.stabilizationWindowSeconds=900"], "scaleDown.stabilizationWindowSeconds 900; it must not be shorter"),
        (["workers.celery.keda.enabled=true", "workers.celery.keda.scaleDown.stabilizationWindowSeconds=0"], "Must be greater than or equal to 60"),
        (["workers.celery.keda.enabled=true", "workers.celery.keda.minReplicaCount=20"], "keda.minReplicaCount is above maxReplicaCount"),
        (["config.celery_broker_transport_options.visibility_timeout=600"], "Redis would hand out a task again"),
        (["triggerer.sets[0].name=default", "triggerer.sets[0].queues=a"], "two triggerers are named default"),
        (["triggerer.sets[0].name=a", "triggerer.sets[0].queues=a"], "triggerer a: queues need config.triggerer.queues_enabled"),
        (["config.triggerer.queues_enabled=true"], "no triggerer takes the triggers of queue default"),
        (
            ["config.triggerer.queues_enabled=true", "workers.celery.sets[0].name=b", "workers.celery.sets[0].queue=b",
             "triggerer.sets[0].name=a", "triggerer.sets[0].queues=default"],
            "no triggerer takes the triggers of queue b",
        ),
        (["config.triggerer.queues_enabled=true", "triggerer.queues=default"], "no triggerer takes the triggers without a queue"),
        (["apiServer.hpa.enabled=true", "apiServer.hpa.minReplicaCount=9"], "apiServer.hpa.minReplicaCount is above maxReplicaCount"),
        (["pgbouncer.enabled=true"], "pgbouncer.enabled needs pgbouncer.host"),
        (["backup.enabled=true"], "backup.enabled needs backup.existingClaim"),
        (["dev.enabled=true"], "dev.enabled needs createSecrets.enabled"),
        (["createSecrets.enabled=true", "externalSecrets.enabled=true"], "both make the same Secrets"),
        (["externalSecrets.enabled=true"], "externalSecrets.enabled needs externalSecrets.secretStoreRef.name"),
        (["statsd.enabled=false", "monitoring.serviceMonitor.enabled=true"], "monitoring.serviceMonitor.enabled needs statsd.enabled"),
        (["ingress.apiServer.enabled=true"], "ingress.apiServer.enabled needs ingress.apiServer.hosts"),
        (["httpRoute.enabled=true"], "httpRoute.enabled needs httpRoute.parentRefs"),
        (["logs.remote.folder=azure://x"], "logs.remote.folder: Does not match pattern"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_is_refused(changes: list[str], message: str) -> None:
    assert message in refusal(*[word for change in changes for word in ("--set", change)])


def test_large_numbers_are_written_as_numbers() -> None:
    config = Rendered("--set", "config.scheduler.rate=0.5").config()
    assert "\nvisibility_timeout = 86400\n" in config
    assert "\nrate = 0.5\n" in config


def test_tasks_find_the_api_server_from_any_namespace() -> None:
    found = Rendered(*CASES["kubernetes-values"])
    service = found.one("Service", "api-server")
    url = f"http://{service['metadata']['name']}.data.svc:{service['spec']['ports'][0]['port']}/execution/"
    assert f"\nexecution_api_server_url = {url}\n" in found.config()


def test_variables_and_volumes_reach_every_container_of_airflow() -> None:
    found = Rendered(*CASES["cloud-values"])
    for name, pod in found.pods().items():
        if name not in ("statsd", "pgbouncer", "backup"):
            for container in containers(pod):
                if "env" not in container:  # copies one file
                    continue
                variables = {each["name"] for each in container["env"]}
                assert {"AWS_DEFAULT_REGION", "AIRFLOW_CONN_WAREHOUSE", "RELEASE"} <= variables, name
                assert container["envFrom"] == [{"configMapRef": {"name": "settings"}}]
                assert any(mount["name"] == "certificates" for mount in container["volumeMounts"])


def test_identities_of_the_cloud_reach_pods_and_accounts() -> None:
    found = Rendered(*CASES["cloud-values"])
    assert "eks.amazonaws.com/role-arn" in found.one("ServiceAccount", "api-server")["metadata"]["annotations"]
    assert found.pods()["worker"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"


def test_logs_go_to_the_bucket_by_the_pods_identity() -> None:
    config = Rendered(*CASES["cloud-values"]).config()
    assert "\nremote_base_log_folder = s3://example-logs/airflow\n" in config
    assert "remote_log_conn_id" not in config
    assert "remote_log_conn_id = aws" in Rendered(*CASES["cloud-values"], "--set", "logs.remote.connId=aws").config()

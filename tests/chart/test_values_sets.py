"""Values that teams write for their platforms come out as they mean them."""

from __future__ import annotations

from typing import Any

import pytest
from reachability import End, reaches
from rendering import CASES, Rendered, containers

SIDE_PODS = ("statsd", "pgbouncer", "backup")


def pod_of(case: str, name: str) -> Any:
    return Rendered(*CASES[case]).pods()[name]["spec"]


@pytest.mark.parametrize("name", SIDE_PODS)
def test_a_pod_beside_airflow_is_placed_and_pulled_like_all_others(name: str) -> None:
    assert pod_of("airgap-values", name)["imagePullSecrets"] == [{"name": "registry"}]
    placed = pod_of("arm-values", name)
    assert placed["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert placed["tolerations"][0]["key"] == "arch"
    assert pod_of("default" if name == "statsd" else "arm-values", name)["securityContext"]["runAsUser"] >= 50000


def test_the_platform_chooses_all_uids_if_it_chooses_one() -> None:
    for name, pod in Rendered(*CASES["openshift-values"]).pods().items():
        assert pod["spec"]["securityContext"].keys().isdisjoint({"runAsUser", "runAsGroup", "fsGroup"}), name
        for container in containers(pod):
            assert "runAsUser" not in container["securityContext"], name


def test_a_set_replaces_the_placement_of_the_base_and_null_removes_it() -> None:
    gpu = pod_of("gpu-values", "worker-gpu")
    assert gpu["nodeSelector"] == {"accelerator": "nvidia-l4"}
    assert gpu["runtimeClassName"] == "nvidia"
    assert gpu["containers"][0]["resources"]["requests"]["cpu"] == "500m"
    assert "nodeSelector" not in pod_of("gpu-values", "worker-anywhere")
    assert pod_of("gpu-values", "worker")["nodeSelector"] == {"pool": "general"}


def test_a_set_is_rolled_out_in_its_own_way() -> None:
    rendered = Rendered(*CASES["gpu-values"])
    ways = {name: rendered.one("Deployment", name)["spec"]["strategy"] for name in ("worker", "worker-gpu")}
    assert ways == {
        "worker": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
        "worker-gpu": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    }


def test_a_path_of_the_base_url_is_that_of_probes_and_of_tasks() -> None:
    rendered = Rendered(*CASES["eks-values"])
    (server,) = rendered.pods()["api-server"]["spec"]["containers"]
    assert server["startupProbe"]["httpGet"]["path"] == "/airflow/execution/health"
    assert server["readinessProbe"]["httpGet"]["path"] == "/airflow/api/v2/version"
    assert server["livenessProbe"]["httpGet"]["path"] == "/airflow/api/v2/version"
    address = "execution_api_server_url = http://wall-airflow-wall-api-server.data.svc:8080/airflow/execution/"
    assert address in rendered.config()


@pytest.mark.parametrize(
    ("case", "proxied"), [("default", False), ("gke-values", True), ("eks-values", True), ("k3s-values", True)]
)
def test_headers_of_a_proxy_count_if_there_is_one(case: str, proxied: bool) -> None:
    (server,) = pod_of(case, "api-server")["containers"]
    assert ("--proxy-headers" in server["args"]) is proxied
    allowed = {entry["name"]: entry.get("value") for entry in server["env"]}["FORWARDED_ALLOW_IPS"]
    assert allowed == ("10.0.0.0/16" if case == "eks-values" else "*")


def test_containers_volumes_and_probes_can_be_added_to_a_component() -> None:
    worker = pod_of("gke-values", "worker")
    assert [container["name"] for container in worker["containers"]] == ["worker", "cloud-sql-proxy"]
    main = worker["containers"][0]
    assert {"name": "scratch", "mountPath": "/scratch"} in main["volumeMounts"]
    assert {"name": "scratch", "emptyDir": {}} in worker["volumes"]
    assert main["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "1"]
    processor = pod_of("gke-values", "dag-processor")
    assert [container["name"] for container in processor["initContainers"]] == ["wait-for-migration", "warm-up"]
    assert processor["hostAliases"] == [{"ip": "10.0.0.9", "hostnames": ["git.example.com"]}]
    probe = processor["containers"][0]["livenessProbe"]
    assert (probe["timeoutSeconds"], probe["failureThreshold"]) == (90, 3)


def test_an_account_that_exists_is_used_and_not_made() -> None:
    rendered = Rendered(*CASES["eks-values"])
    assert rendered.pods()["worker"]["spec"]["serviceAccountName"] == "airflow-worker"
    accounts = {account["metadata"]["name"] for account in rendered.of("ServiceAccount")}
    assert "wall-airflow-wall-worker" not in accounts
    assert "wall-airflow-wall-scheduler" in accounts


def test_pgbouncer_and_statsd_take_lines_of_ones_own() -> None:
    ini = Rendered(*CASES["airgap-values"]).one("ConfigMap", "pgbouncer")["data"]["pgbouncer.ini"]
    assert ini.endswith("server_idle_timeout = 60\n")
    assert "server_tls_ca_file = /etc/pgbouncer/ca.crt" in ini
    mappings = Rendered(*CASES["gke-values"]).one("ConfigMap", "statsd")["data"]["mappings.yaml"]
    assert "airflow.scores.*" in mappings


@pytest.mark.parametrize("release", ["w", "a-release-with-a-name-that-is-as-long-as-can"])
def test_no_cron_job_has_a_name_too_long_for_its_jobs(release: str) -> None:
    values = ("--set", f"fullnameOverride={release}", "--set", "databaseCleanup.enabled=true")
    jobs = Rendered(*CASES["cloud-values"], *values).of("CronJob")
    names = [job["metadata"]["name"] for job in jobs]
    assert len({*names}) == len(names) == 3
    assert max(map(len, names)) <= 52


def test_rows_of_the_database_are_deleted_only_if_one_says_so() -> None:
    assert "database-cleanup" not in Rendered().pods()


@pytest.mark.parametrize(
    ("case", "reached"),
    [("default", False), ("k3s-values", True), ("gke-values", True), ("eks-values", True), ("cloud-values", False)],
)
def test_what_is_published_is_reached(case: str, reached: bool) -> None:
    """In `cloud-values` only the peers that the values name are let in."""
    rendered = Rendered(*CASES[case])
    server = End(rendered.pods()["api-server"]["metadata"]["labels"])
    controller = End({"app": "gateway"}, "gateway-system")
    assert reaches(rendered, controller, server, 8080) is reached


def test_a_dump_goes_past_pgbouncer() -> None:
    (container,) = pod_of("cloud-values", "backup")["containers"]
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert (variables["DATABASE_HOST"], variables["DATABASE_PORT"]) == ("db.example.com", "5432")


def test_nothing_starts_before_each_secret_and_address_was_tried() -> None:
    migrate = pod_of("default", "migrate")
    preflight = migrate["initContainers"][0]
    assert preflight["args"] == ["python", "-m", "airflow_wall.deployment.preflight"]
    given = {entry["name"] for entry in preflight["env"] if "valueFrom" in entry}
    pods = Rendered().pods()
    secrets = {
        entry["name"]
        for name in ("api-server", "scheduler", "worker")
        for entry in pods[name]["spec"]["containers"][0]["env"]
        if "valueFrom" in entry
    }
    assert given == secrets
    (container,) = migrate["containers"]
    assert "AIRFLOW__CELERY__BROKER_URL" not in {entry["name"] for entry in container["env"]}


def test_logs_may_be_on_the_disk_of_one_node_and_any_handler_may_store_them() -> None:
    rendered = Rendered(*CASES["k3s-values"])
    assert rendered.one("PersistentVolumeClaim", "logs")["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert "remote_base_log_folder = wasb://logs" in rendered.config()
    service = rendered.one("Service", "api-server")["spec"]
    assert service["loadBalancerSourceRanges"] == ["10.0.0.0/8"]

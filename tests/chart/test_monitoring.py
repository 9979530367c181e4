"""Alerts, runbooks and dashboards go together, and ask for metrics that Airflow has."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import airflow
import httpx
import pytest
import yaml
from rendering import CASES, CHART, ROOT, Rendered

from airflow_wall.operators.metrics import COUNTERS, GAUGES, label

ALERTS = sorted((CHART / "files/alerts").glob("*.yaml"))
OPTIONAL_ALERTS = sorted((CHART / "files/alerts/kube-state-metrics").glob("*.yaml"))
DASHBOARDS = sorted((CHART / "files/dashboards").glob("*.json"))
RUNBOOKS = ROOT / "docs/runbooks"
TEMPLATE = Path(airflow.__file__).parent / "_shared/observability/metrics/metrics_template.yaml"
SUFFIXES = ("_bucket", "_count", "_sum")


def metrics() -> set[str]:
    """Return the names of Airflow's metrics in Prometheus."""
    names = set()
    for each in yaml.safe_load(TEMPLATE.read_text())["metrics"]:
        heartbeat = each["name"] == "{job_name}_heartbeat_failure"
        name = "airflow_" + each["name"].replace(".", "_")
        names |= {name} if not heartbeat else set()
        if each["type"] == "timer":
            names |= {name + suffix for suffix in SUFFIXES}
    return names | {f"airflow_wall_{name}" for name in (*COUNTERS, *GAUGES)}


def alert_of(path: Path) -> str:
    alert: str = yaml.safe_load(path.read_text())["alert"]
    return alert


def asked(expression: str) -> set[str]:
    return set(re.findall(r"\bairflow_[a-z_]+", expression))


@pytest.mark.parametrize("path", ALERTS, ids=lambda path: path.stem)
def test_an_alert_asks_for_metrics_that_there_are_and_has_a_runbook(path: Path) -> None:
    rule = yaml.safe_load(path.read_text())
    assert asked(rule["expr"])
    assert asked(rule["expr"]) <= metrics()
    runbook = (RUNBOOKS / f"{path.stem}.md").read_text()
    assert runbook.startswith(f"# {rule['alert']}\n")


def test_every_runbook_is_that_of_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {path.stem for path in (*ALERTS, *OPTIONAL_ALERTS)}


@pytest.mark.parametrize("path", OPTIONAL_ALERTS, ids=lambda path: path.stem)
def test_an_optional_alert_asks_for_kube_state_metrics_and_has_a_runbook(path: Path) -> None:
    rule = yaml.safe_load(path.read_text())
    assert re.findall(r"\bkube_[a-z_]+", rule["expr"])
    assert not asked(rule["expr"])
    assert (RUNBOOKS / f"{path.stem}.md").read_text().startswith(f"# {rule['alert']}\n")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_asks_for_metrics_that_there_are(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert expressions
    for expression in expressions:
        assert asked(expression), expression
        assert asked(expression) <= metrics(), expression
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_reference_lists_each_metric_of_ours_with_its_labels() -> None:
    text = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `wall\.(\w+)` \| (counter|gauge) \| ([^|]*) \|", text, re.MULTILINE)
    listed = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    counters = {name: ("counter", labels) for name, labels in COUNTERS.items()}
    assert listed == {**counters, **{name: ("gauge", labels) for name, labels in GAUGES.items()}}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("gold/scores", "gold/scores"),
        ("sql://shop/a,b=c", "sql_//shop/a_b_c"),
        ("", "none"),
        ("x" * 300, "x" * 59 + "_"),
    ],
)
def test_a_value_of_a_label_is_one_that_statsd_does_not_drop(value: str, written: str) -> None:
    assert label(value) == written


def test_the_chart_carries_them_all() -> None:
    found = Rendered(*CASES["autoscaling-values"])
    (rules,) = found.of("PrometheusRule")
    (group,) = rules["spec"]["groups"]
    assert {rule["alert"] for rule in group["rules"]} == {alert_of(path) for path in (*ALERTS, *OPTIONAL_ALERTS)}
    assert all(rule["annotations"]["runbook"].endswith(".md") for rule in group["rules"])
    carried = [each["data"] for each in found.of("ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]]
    assert {name for data in carried for name in data} == {path.name for path in DASHBOARDS}
    (monitor,) = found.of("ServiceMonitor")
    (service,) = [each for each in found.of("Service") if each["metadata"]["name"].endswith("statsd")]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= {
        port["name"] for port in service["spec"]["ports"]
    }


def test_prometheus_fires_each_alert_when_it_should_and_not_before(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("`promtool` is not installed (Debian: `apt install prometheus`)")
    (rules,) = Rendered(*CASES["autoscaling-values"]).of("PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules["spec"]))
    cases = yaml.safe_load((Path(__file__).parent / "alerts.yaml").read_text())
    fired = {test["alertname"] for each in cases["tests"] for test in each["alert_rule_test"] if test.get("exp_alerts")}
    quiet = {
        test["alertname"] for each in cases["tests"] for test in each["alert_rule_test"] if not test.get("exp_alerts")
    }
    assert fired == quiet == {alert_of(path) for path in (*ALERTS, *OPTIONAL_ALERTS)}
    for test in (test for each in cases["tests"] for test in each["alert_rule_test"]):
        for alert in test.get("exp_alerts", []):
            rule = next(rule for rule in rules["spec"]["groups"][0]["rules"] if rule["alert"] == test["alertname"])
            alert["exp_labels"] = {**alert.get("exp_labels", {}), **rule["labels"]}
            alert["exp_annotations"] = {
                **rule["annotations"],
                "summary": alert.pop("summary", rule["annotations"]["summary"]),
            }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({**cases, "rule_files": ["rules.yaml"]}))
    done = subprocess.run([promtool, "test", "rules", "tests.yaml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_exporter_makes_of_airflows_statsd_what_alerts_ask_for(tmp_path: Path) -> None:
    exporter = shutil.which("statsd_exporter") or shutil.which("prometheus-statsd-exporter")
    if exporter is None or importlib.util.find_spec("statsd") is None:
        pytest.skip("needs `statsd_exporter` (of Prometheus) and `apache-airflow[statsd]`")
    web, udp = free_port(), free_port()
    found = Rendered()
    (tmp_path / "airflow.cfg").write_text(
        found.config().replace("wall-airflow-wall-statsd.data.svc", "127.0.0.1").replace("9125", str(udp))
    )
    (tmp_path / "mappings.yaml").write_text(found.one("ConfigMap", "statsd")["data"]["mappings.yaml"])
    (container,) = found.pods()["statsd"]["spec"]["containers"]
    arguments = [
        word.replace("/etc/statsd", str(tmp_path)).replace(":9125", f"127.0.0.1:{udp}") for word in container["args"]
    ]
    with subprocess.Popen(
        [exporter, *arguments, f"--web.listen-address=127.0.0.1:{web}"], stderr=subprocess.DEVNULL
    ) as process:
        try:
            text = _exported(tmp_path, web)
        finally:
            process.terminate()
    assert "\nairflow_scheduler_heartbeat 1\n" in text
    assert '\nairflow_pool_starving_tasks{pool_name="default_pool"} 3\n' in text
    assert '\nairflow_ti_queued{dag_id="d",queue="gpu",task_id="t"} 2\n' in text
    assert '\nairflow_dagrun_schedule_delay_bucket{dag_id="d",le="900"} 1\n' in text
    assert '\nairflow_dagrun_schedule_delay_bucket{dag_id="d",le="300"} 0\n' in text
    assert '\nairflow_dagrun_duration_failed_count{dag_id="d"} 1\n' in text
    assert '\nairflow_task_instances_without_heartbeats_killed{dag_id="d",task_id="t"} 1\n' in text


EMIT = """
import time
from datetime import timedelta

from airflow.observability.metrics import stats_utils
from airflow.observability.stats import Stats, initialize

from airflow.configuration import conf
initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on"))
Stats.incr("scheduler_heartbeat")
Stats.incr("task_instances_without_heartbeats_killed", tags={"dag_id": "d", "task_id": "t"})
Stats.gauge("pool.starving_tasks", 3, tags={"pool_name": "default_pool"})
Stats.gauge("ti.queued", 2, tags={"queue": "gpu", "dag_id": "d", "task_id": "t"})
Stats.timing("dagrun.schedule_delay", timedelta(minutes=8), tags={"dag_id": "d"})
Stats.timing("dagrun.duration.failed", timedelta(minutes=8), tags={"dag_id": "d"})
time.sleep(0.5)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _exported(home: Path, web: int) -> str:
    """Return the exporter's output for metrics that Airflow wrote with the chart's airflow.cfg."""
    address = f"http://127.0.0.1:{web}"
    for _ in range(100):
        try:
            httpx.get(f"{address}/-/ready", trust_env=False)
            break
        except httpx.TransportError:
            time.sleep(0.1)
    environment = {**os.environ, "AIRFLOW_HOME": str(home)}
    subprocess.run([sys.executable, "-c", EMIT], env=environment, check=True)
    time.sleep(0.5)
    return httpx.get(f"{address}/metrics", trust_env=False).text

"""Alerts, runbooks and dashboards go together, and ask for metrics that Airflow has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import airflow
import pytest
import yaml
from rendering import CASES, CHART, ROOT, Rendered

ALERTS = sorted((CHART / "files/alerts").glob("*.yaml"))
DASHBOARDS = sorted((CHART / "files/dashboards").glob("*.json"))
RUNBOOKS = ROOT / "docs/runbooks"
TEMPLATE = Path(airflow.__file__).parent / "_shared/observability/metrics/metrics_template.yaml"
SUFFIXES = ("_bucket", "_count", "_sum")


def metrics() -> set[str]:
    """What Prometheus knows Airflow's metrics by."""
    names = set()
    for each in yaml.safe_load(TEMPLATE.read_text())["metrics"]:
        heartbeat = each["name"] == "{job_name}_heartbeat_failure"
        name = "airflow_" + each["name"].replace(".", "_")
        names |= {name} if not heartbeat else set()
        if each["type"] == "timer":
            names |= {name + suffix for suffix in SUFFIXES}
    return names


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
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {path.stem for path in ALERTS}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_asks_for_metrics_that_there_are(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert expressions
    for expression in expressions:
        assert asked(expression), expression
        assert asked(expression) <= metrics(), expression
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_chart_carries_them_all() -> None:
    found = Rendered(*CASES["autoscaling-values"])
    (rules,) = found.of("PrometheusRule")
    (group,) = rules["spec"]["groups"]
    assert [rule["alert"] for rule in group["rules"]] == [yaml.safe_load(path.read_text())["alert"] for path in ALERTS]
    assert all(rule["annotations"]["runbook"].endswith(".md") for rule in group["rules"])
    carried = [each["data"] for each in found.of("ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]]
    assert {name for data in carried for name in data} == {path.name for path in DASHBOARDS}
    (monitor,) = found.of("ServiceMonitor")
    (service,) = [each for each in found.of("Service") if each["metadata"]["name"].endswith("statsd")]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}


def test_prometheus_fires_each_alert_when_it_should_and_not_before(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("`promtool` is not installed (Debian: `apt install prometheus`)")
    (rules,) = Rendered(*CASES["autoscaling-values"]).of("PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules["spec"]))
    cases = yaml.safe_load((Path(__file__).parent / "alerts.yaml").read_text())
    fired = {test["alertname"] for each in cases["tests"] for test in each["alert_rule_test"] if test.get("exp_alerts")}
    quiet = {test["alertname"] for each in cases["tests"] for test in each["alert_rule_test"] if not test.get("exp_alerts")}
    assert fired == quiet == {yaml.safe_load(path.read_text())["alert"] for path in ALERTS}
    for test in (test for each in cases["tests"] for test in each["alert_rule_test"]):
        for alert in test.get("exp_alerts", []):
            rule = next(rule for rule in rules["spec"]["groups"][0]["rules"] if rule["alert"] == test["alertname"])
            alert["exp_labels"] = {**alert.get("exp_labels", {}), **rule["labels"]}
            alert["exp_annotations"] = {**rule["annotations"], "summary": alert.pop("summary", rule["annotations"]["summary"])}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({**cases, "rule_files": ["rules.yaml"]}))
    done = subprocess.run([promtool, "test", "rules", "tests.yaml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

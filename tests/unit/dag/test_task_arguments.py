"""Arguments of tasks that are written otherwise than Airflow takes them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from packaging.version import Version

from airflow_wall.errors import SpecError
from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings

HELPERS = """
from airflow.sdk import BaseNotifier

called = []
LIMIT = 3

def note(context):
    called.append(context)

def before(context):
    called.append("before")

def after(context, result):
    called.append(result)

def choose(n=0):
    return "left" if n else "right"

class Notifier(BaseNotifier):
    template_fields = ("text", "title", "other")

    def __init__(self, text, title="", other=""):
        super().__init__()
        self.text, self.title, self.other = text, title, other

    def notify(self, context):
        called.append((self.text, self.title))
"""


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    path = list(sys.path)
    yield
    sys.modules.pop("helpers", None)
    sys.path[:] = path


def build(folder: Path, keys: str, *, head: str = "") -> DAG:
    (folder / "helpers.py").write_text(HELPERS)
    path = folder / "pipeline.yaml"
    path.write_text(
        f"dag_id: churn\n{head}tasks:\n  - id: a\n" + "".join(f"    {line}\n" for line in keys.splitlines())
    )
    (dag,) = load_dags(path, Settings()).values()
    return dag


def scheduled(dag: DAG) -> Any:
    """The task `a` as the scheduler knows it."""
    return DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("a")


def refused(folder: Path, keys: str) -> str:
    with pytest.raises(SpecError) as caught:
        build(folder, keys)
    return str(caught.value)


def test_callbacks_are_functions_of_the_user(tmp_path: Path) -> None:
    dag = build(tmp_path, "on_failure_callback: helpers:note\non_success_callback: [helpers:note, helpers:before]")
    task: Any = dag.get_task("a")
    task.on_failure_callback[0]({"run": 1})
    assert sys.modules["helpers"].called == [{"run": 1}]
    assert [each.__name__ for each in task.on_success_callback] == ["note", "before"]
    assert (scheduled(dag).has_on_failure_callback, scheduled(dag).has_on_retry_callback) == (True, False)


def test_a_notifier_fills_in_only_what_is_marked(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        "on_skipped_callback:\n"
        "  - uses: helpers.Notifier\n    with: {text: {$t: '{{ who }} failed'}, title: '{{ who }}'}\n"
        "on_retry_callback: {uses: helpers.Notifier, with: {text: 'a'}}",
    )
    task: Any = dag.get_task("a")
    (notifier,) = task.on_skipped_callback
    notifier({"who": "it"})
    assert sys.modules["helpers"].called == [("it failed", "{{ who }}")]
    assert notifier.template_fields == ("text", "other")
    assert task.on_retry_callback[0].text == "a"


def test_callbacks_of_default_args_reach_every_task(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        "uses: airflow.providers.standard.operators.empty.EmptyOperator",
        head="default_args: {on_failure_callback: helpers:note}\n",
    )
    task: Any = dag.get_task("a")
    assert [each.__name__ for each in task.on_failure_callback] == ["note"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("on_failure_callback: helpers:nota", "4:26: `tasks[a].on_failure_callback` names `helpers:nota`, but `{0}/helpers.py` does not define `nota`"),
        ("on_failure_callback: helpers:LIMIT", "4:26: `tasks[a].on_failure_callback` cannot be used: it cannot be called"),
        ("on_failure_callback: {uses: helpers.Notifier}", "4:5: `tasks[a].on_failure_callback.with.text` is missing"),
        ("on_failure_callback: {uses: helpers.Notifier, with: {text: {$x: b}}}", "4:64: `tasks[a].on_failure_callback.with.text` cannot hold what a task returns"),
        ("on_failure_callback: note", "4:26: `tasks[a].on_failure_callback` must be `module:name` of a Python file beside the pipeline, got `note`"),
        ("on_failure_callback: 3", "4:26: `tasks[a].on_failure_callback` must be a function or a notifier, got `3`"),
        ("outlets: {group: lake}", "4:14: `tasks[a].outlets` must have a `name` or a `uri`"),
        ("resources: {cpu: 1}", "4:17: `tasks[a].resources.cpu` is not a known key"),
        ("retry_policy: {rules: []}", "4:27: `tasks[a].retry_policy.rules` must have at least 1 entry"),
        ("with: {python_callable: {$import: choose}}", "4:39: `tasks[a].with.python_callable.$import` must be `module:name`, got `choose`"),
        ("uses: transform\nwith: {target: a, inputs: {a: b}, entrypoint: {$import: helpers:choose}}", "5:51: `tasks[a].with.entrypoint` cannot be a Python object"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_says_where(tmp_path: Path, keys: str, message: str) -> None:
    assert f"error: {tmp_path}/pipeline.yaml:{message.format(tmp_path)}" in refused(tmp_path, keys)


def test_assets_are_read_and_made(tmp_path: Path) -> None:
    keys = "inlets: lake/orders\noutlets:\n  - {name: scores, uri: 'file:///lake/scores', group: lake, extra: {owner: team}}\n  - {alias: daily}"
    dag = build(tmp_path, keys)
    found = scheduled(dag)
    assert [(asset.name, asset.uri) for asset in found.inlets] == [("lake/orders", "lake/orders")]
    scores, daily = found.outlets
    assert (scores.name, scores.uri, scores.group, scores.extra) == (
        "scores",
        "file:///lake/scores",
        "lake",
        {"owner": "team"},
    )
    assert daily.name == "daily"


def test_hooks_are_called_around_the_work(tmp_path: Path) -> None:
    task: Any = build(tmp_path, "pre_execute: helpers:before\npost_execute: helpers:after").get_task("a")
    task._pre_execute_hook({})
    task._post_execute_hook({}, 7)
    assert sys.modules["helpers"].called == ["before", 7]


def test_imported_objects_are_arguments(tmp_path: Path) -> None:
    python = "airflow.providers.standard.operators.python"
    keys = f"uses: {python}.BranchPythonOperator\nwith: {{python_callable: {{$import: 'helpers:choose'}}, op_kwargs: {{n: 1}}}}"
    dag = build(tmp_path, keys)
    task: Any = dag.get_task("a")
    assert task.python_callable(**task.op_kwargs) == "left"
    assert DagSerialization.to_dict(dag)


def test_rules_say_which_errors_are_retried(tmp_path: Path) -> None:
    keys = (
        "retries: 3\nretry_policy:\n  rules:\n"
        "    - {exception: builtins.TimeoutError, retry_delay: 5m, reason: slow}\n"
        "    - {exception: [builtins.KeyError, builtins.TypeError], action: fail, match_subclasses: false}\n"
        "  default: retry"
    )
    if Version(airflow.__version__) < Version("3.3"):
        assert "`tasks[a].retry_policy` needs Airflow 3.3" in refused(tmp_path, keys)
        return
    dag = build(tmp_path, keys)
    policy: Any = dag.get_task("a").retry_policy  # type: ignore[union-attr]
    decisions = [policy.evaluate(error, 1, 3) for error in (TimeoutError(), KeyError(), OSError())]
    assert [decision.action.value for decision in decisions] == ["retry", "fail", "retry"]
    assert decisions[0].retry_delay == timedelta(minutes=5)
    assert scheduled(dag).has_retry_policy


def test_resources_are_kept(tmp_path: Path) -> None:
    task: Any = build(tmp_path, "resources: {cpus: 2, ram: 512}").get_task("a")
    assert (task.resources.cpus.qty, task.resources.ram.qty) == (2, 512)


def test_documentation_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# What\nMore in other.md")
    (tmp_path / "other.md").write_text("never opened by Airflow")
    dag = build(tmp_path, "doc_md: docs/a.md", head="doc_md: docs/a.md\n")
    assert scheduled(dag).doc_md == "# What\nMore in other.md\n"
    assert dag.doc_md is not None
    assert dag.doc_md.startswith("# What\nMore in other.md\n")
    assert "names the file `docs/b.md`, which does not exist" in refused(tmp_path, "doc_md: docs/b.md")


POD = (
    "executor_config:\n  pod_override:\n    metadata: {labels: {team: scores}, creationTimestamp: '2013-07-01T00:00:00Z'}\n    spec:\n"
    "      nodeSelector: {disk: ssd}\n      containers:\n        - name: base\n"
    "          resources: {requests: {cpu: 2, memory: 1Gi}}\n"
    "          env: [{name: THREADS, value: 1}]\n"
    "          livenessProbe: {httpGet: {port: 8080}}\n"
)


needs_provider = pytest.mark.skipif(
    Version(airflow.__version__) < Version("3.3") and find_spec("airflow.providers.cncf") is None,
    reason="Airflow 3.2 takes pods with the provider only",
)


@needs_provider
def test_a_pod_is_plain_yaml(tmp_path: Path) -> None:
    dag = build(tmp_path, POD)
    for task in (dag.get_task("a"), scheduled(dag)):
        pod = task.executor_config["pod_override"]
        assert pod.metadata.labels == {"team": "scores"}
        assert pod.spec.node_selector == {"disk": "ssd"}
        assert pod.spec.containers[0].name == "base"
        assert pod.spec.containers[0].resources.requests == {"cpu": "2", "memory": "1Gi"}
        assert pod.spec.containers[0].env[0].value == "1"
        assert pod.spec.containers[0].liveness_probe.http_get.port == 8080
        assert pod.metadata.creation_timestamp == datetime(2013, 7, 1, tzinfo=UTC)


@needs_provider
@pytest.mark.parametrize(
    ("pod", "message"),
    [
        ("spec: {containers: [{name: base, resource: {}}]}", "6:42: `tasks[a].executor_config.pod_override.spec.containers[0].resource` is not a key that Kubernetes knows here\n{0}\n\nhint: did you mean `resources`?"),
        ("spec: {node_selector: {}, containers: [{name: base}]}", "6:16: `tasks[a].executor_config.pod_override.spec.node_selector` is not a key that Kubernetes knows here\n{0}\n\nhint: did you mean `nodeSelector`?"),
        ("spec: {containers: {name: base}}", "6:28: `tasks[a].executor_config.pod_override.spec.containers` must be a list, got `{{\"name\": \"base\"}}`"),
        ("spec: {hostNetwork: yes, containers: [{name: base}]}", "6:29: `tasks[a].executor_config.pod_override.spec.hostNetwork` must be `true` or `false`, got `yes`"),
        ("spec: {priority: high, containers: [{name: base}]}", "6:26: `tasks[a].executor_config.pod_override.spec.priority` must be a whole number, got `high`"),
        ("spec: {nodeSelector: {disk: ssd}}", "6:15: `tasks[a].executor_config.pod_override.spec` must have `containers`\n{0}\n\nhint: write Airflow's own container first: `containers: [{{name: base}}]`"),
        ("spec: {containers: [{name: base, env: [{value: a}]}]}", "6:48: `tasks[a].executor_config.pod_override.spec.containers[0].env[0]` must have `name`"),
        ("spec: {containers: [{name: base}, null]}", "6:43: `tasks[a].executor_config.pod_override.spec.containers[1]` must have a value, got `null`"),
        ("spec: {containers: [{name: base, args: 3}]}", "6:48: `tasks[a].executor_config.pod_override.spec.containers[0].args` must be a list, got `3`"),
        ("spec: {containers: [{name: base, command: [[a]]}]}", "6:52: `tasks[a].executor_config.pod_override.spec.containers[0].command[0]` must be text, got `[\"a\"]`"),
        ("{metadata: {creationTimestamp: noon}, spec: {containers: [{name: base}]}}", "6:40: `tasks[a].executor_config.pod_override.metadata.creationTimestamp` must be a time, got `noon`"),
        ("spec: 3", "6:15: `tasks[a].executor_config.pod_override.spec` must be keys and values, got `3`"),
    ],
)  # fmt: skip
def test_a_key_that_pods_do_not_have_is_refused(tmp_path: Path, pod: str, message: str) -> None:
    report = refused(tmp_path, f"executor_config:\n  pod_override:\n    {pod}")
    excerpt = "\n".join(report.splitlines()[1:3])
    assert message.format(excerpt) in report


def test_without_the_client_a_pod_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)
    report = refused(tmp_path, POD)
    assert "5:7: `tasks[a].executor_config` cannot be used" in report
    assert "`pod_override` needs the Kubernetes client, which is not installed here" in report
    assert "hint: pip install apache-airflow-providers-cncf-kubernetes" in report

"""Everything that a pipeline names is checked with its place: timetables, notifiers, callbacks, `$import`, pods."""

from __future__ import annotations

import inspect
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from kubernetes.client import models as k8s

from airflow_wall.dag.build import build_dag
from airflow_wall.dag.named import faults_of_names
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings

SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
CRON = "airflow.timetables.trigger.CronTriggerTimetable"
PYTHON = "airflow.providers.standard.operators.python.PythonOperator"


def faults(folder: Path, head: str, task: str = "{id: a}", *, allowed: bool = True) -> list[tuple[str, str | None]]:
    path = folder / "p.yaml"
    path.write_text(f"dag_id: p\n{head}\ntasks:\n  - {task}\n")
    (plan,) = plan_all(load_specs(path, Settings()), Settings())
    return [(fault.message, fault.hint) for fault in faults_of_names(plan, lambda name: allowed)]


HEADS = [
    ("user_defined_filters: {loud: 'calls:LIMIT'}", "`user_defined_filters.loud` names `calls:LIMIT`, which cannot", "name a"),
    ("schedule: {uses: airflow.timetables.trigger.CronTimetable}", "`schedule.uses` names", "did you mean"),
    (f"schedule: {{uses: {CRON}, with: {{crom: 1, timezone: UTC}}}}", "`schedule.with.crom` is not an arg", "`cron`?"),
    (f"schedule: {{uses: {CRON}, with: {{cron: a b, timezone: UTC}}}}", "`schedule` cannot be made: ", "None"),
    ("schedule: {uses: subprocess.Popen, with: {args: [ls]}}", "`schedule.uses` names `subprocess.Popen`, wh", "name one of"),
    (f"deadline: {{interval: 1h, callback: {{uses: {SMTP}r}}}}", "`deadline.callback.uses` names", f"`{SMTP}`?"),
    (f"deadline: {{interval: 1h, callback: {{uses: {SMTP}, with: {{too: a}}}}}}", "`deadline.callback.with.too` is", "`to`?"),
    (f"notify: {{failure: {{uses: {SMTP}r}}}}", "`notify.failure.uses` names", f"did you mean `{SMTP}`?"),
    (f"notify: {{retry: [{{uses: {SMTP}, with: {{too: a}}}}]}}", "`notify.retry[0].with.too` is not an arg", "`to`?"),
    (f"notify: {{retry: [{{uses: {CRON}}}]}}", f"`notify.retry[0].uses` names `{CRON}`, which", "BaseNotifier"),
    (f"on_failure_callback: {{uses: {SMTP}r, with: {{to: a}}}}", "`on_failure_callback.uses` names", f"`{SMTP}`?"),
    ("on_failure_callback: [calls:page, calls:LIMIT]", "`on_failure_callback[1]` cannot be used: it cannot be", "takes"),
    ("on_failure_callback: {uses: calls.page, with: {levle: 1}}", "`on_failure_callback.with.levle` is not", "`level`?"),
    ("default_args: {on_retry_callback: {uses: calls.pagge}}", "`default_args.on_retry_callback.uses` names", "`page`"),
    pytest.param(
        "default_args: {retry_policy: {rules: [{exception: builtins.TimeoutErorr}]}}",
        "`default_args.retry_policy.rules[0].exception` cannot be used: names", "`TimeoutError`?",
        marks=pytest.mark.skipif(
            "retry_policy" not in inspect.signature(BaseOperator).parameters, reason="came with a later Airflow"
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("head", "message", "hint"), HEADS)
def test_head_that_names_something_wrong_is_one_fault(head: str, message: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "calls.py").write_text("LIMIT = 3\ndef page(context, level=1): ...\n")
    ((found, found_hint),) = faults(tmp_path, head)
    assert found.startswith(message)
    assert hint in str(found_hint)
    assert faults(tmp_path, head, allowed=False) == []  # what the policy refuses is not imported


@pytest.mark.parametrize(
    "value",
    ['{$import: "no_such_jobs:load"}', '[{$import: "no_such_jobs:load"}]', '{a: [{$import: "no_such_jobs:load"}]}'],
)
def test_object_that_does_not_exist_is_a_fault_at_its_marker(value: str, tmp_path: Path) -> None:
    (tmp_path / "calls.py").write_text("def page(): ...\n")
    task = f'{{id: a, uses: {PYTHON}, with: {{python_callable: {{$import: "calls:page"}}, op_args: {value}}}}}'
    ((message, hint),) = faults(tmp_path, "", task)
    assert message.startswith("`tasks[a].with.op_args")
    assert "$import` cannot be used: " in message
    assert "there is no module `no_such_jobs`" in message
    assert str(hint).startswith("create ")


def test_several_faults_are_reported_at_once(tmp_path: Path) -> None:
    head = f"notify: {{failure: [{{uses: {SMTP}r}}, {{uses: {SMTP}, with: {{too: a}}}}]}}\nschedule: {{uses: a.b}}"
    messages = [message.partition(" ")[0] for message, _ in faults(tmp_path, head)]
    assert messages == ["`schedule.uses`", "`notify.failure[0].uses`", "`notify.failure[1].with.too`"]


def test_function_as_a_callback_gets_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "calls.py").write_text("seen = []\ndef page(context, level): seen.append((context, level))\n")
    path = tmp_path / "p.yaml"
    path.write_text("dag_id: p\non_failure_callback: {uses: calls.page, with: {level: 2}}\ntasks: [{id: a}]\n")
    (plan,) = plan_all(load_specs(path, Settings()), Settings())
    (callback,) = build_dag(plan).on_failure_callback  # type: ignore[misc, union-attr]
    callback({"run_id": "r"})  # type: ignore[operator]
    assert sys.modules["calls"].seen == [({"run_id": "r"}, 2)]


class Secret:
    def __init__(self, deploy_type, deploy_target, secret, key=None) -> None:  # type: ignore[no-untyped-def]
        self.all = (deploy_type, deploy_target, secret, key)


class PodOperator(BaseOperator):
    """An operator with the annotations of the KubernetesPodOperator, whose provider is not needed for this."""

    template_fields = ("volumes",)

    def __init__(
        self,
        *,
        volumes: list[k8s.V1Volume] | None = None,
        env_vars: list[k8s.V1EnvVar] | dict[str, str] | None = None,
        secrets: list[Secret] | None = None,
        full_pod_spec: k8s.V1Pod | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.volumes, self.env_vars, self.secrets, self.full_pod_spec = volumes, env_vars, secrets, full_pod_spec


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch) -> str:
    module = types.ModuleType("pods_of_test")
    module.PodOperator = PodOperator  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pods_of_test", module)
    return "pods_of_test.PodOperator"


def test_plain_mappings_become_objects_of_kubernetes(tmp_path: Path, pods: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        f"dag_id: p\ntasks:\n  - id: a\n    uses: {pods}\n    with:\n"
        "      volumes: [{name: {$t: 'v-{{ ds }}'}, emptyDir: {sizeLimit: 1Gi}}]\n      env_vars: {A: b}\n"
        "      secrets: [{deploy_type: env, deploy_target: KEY, secret: s, key: k}]\n"
        "      full_pod_spec: {spec: {containers: [{name: base, volumeMounts: [{name: v, mountPath: /v}]}]}}\n"
    )
    (plan,) = plan_all(load_specs(path, Settings()), Settings())
    assert list(faults_of_names(plan, lambda name: True)) == []
    task: Any = build_dag(plan).get_task("a")
    assert task.volumes == [k8s.V1Volume(name="v-{{ ds }}", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="1Gi"))]
    assert task.template_fields == ("volumes",)
    assert task.env_vars == {"A": "b"}
    assert [secret.all for secret in task.secrets] == [("env", "KEY", "s", "k")]
    assert task.full_pod_spec.spec.containers[0].volume_mounts == [k8s.V1VolumeMount(name="v", mount_path="/v")]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ("volumes: [{nam: v}]", "`tasks[a].with.volumes[0].nam` is not a key that Kubernetes knows here", "`name`"),
        ("volumes: {name: v}", "`tasks[a].with.volumes` must be a list", "None"),
        ("full_pod_spec: {__type__: V1Pod}", "`tasks[a].with.full_pod_spec.__type__` is not a key", "plain keys"),
        ("secrets: [{deploy_tipe: env}]", "`tasks[a].with.secrets[0].deploy_tipe` is not an arg", "`deploy_type`"),
    ],
)
def test_wrong_key_of_kubernetes_has_its_place(
    arguments: str, message: str, hint: str, tmp_path: Path, pods: str
) -> None:
    ((found, found_hint),) = faults(tmp_path, "", f"{{id: a, uses: {pods}, with: {{{arguments}}}}}")
    assert found.startswith(message)
    assert hint in str(found_hint)

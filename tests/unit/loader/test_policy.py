"""What policy `restricted` refuses, and what the lists of the deployment allow again."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.compiler.planner import plan_all
from airflow_wall.errors import SpecError
from airflow_wall.loader.load import load_specs
from airflow_wall.loader.templates import beyond
from airflow_wall.settings import Settings

BASH = "airflow.providers.standard.operators.bash.BashOperator"


def faults(tmp_path: Path, text: str, **settings: tuple[str, ...] | str) -> str:
    """What is wrong with a pipeline under `restricted`; empty where nothing is. Under `open` nothing may be."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(f"dag_id: a\n{text}")
    plan_all(load_specs(path, Settings()), Settings())
    restricted = Settings(policy="restricted", **settings)  # type: ignore[arg-type]
    try:
        plan_all(load_specs(path, restricted), restricted)
    except SpecError as error:
        return str(error).replace(str(tmp_path), "")
    return ""


def task(uses: str, arguments: str, more: str = "") -> str:
    return f"tasks:\n  - id: t\n    uses: {uses}\n    with: {arguments}\n{more}"


STOP = "  - {id: stop, uses: stop_cluster, needs: t}\n"


def cluster(keys: str) -> str:
    given = f"{{cluster: {{type: emr, region: r, image: emr-7.9.0, {keys}}}}}"
    return task("start_cluster", given, STOP)


TRANSFORM = "inputs: {raw: b/a}, target: s/a"

REFUSED = {
    "operator": (task(BASH, "{bash_command: id}"), f"names the operator `{BASH}`"),
    "executor_config": ("tasks:\n  - {id: t, executor_config: {x: 1}}\n", "`tasks[t].executor_config` can choose"),
    "default_args": ("default_args: {run_as_user: root}\ntasks:\n  - id: t\n", "`default_args.run_as_user` chooses"),
    "default_args of a group": (
        "tasks:\n  - {id: g, default_args: {run_as_user: root}, tasks: [{id: t}]}\n",
        "`tasks[g].default_args.run_as_user` chooses",
    ),
    "entrypoint": (task("transform", f"{{{TRANSFORM}, entrypoint: 'os:system'}}"), "names the code `os:system`"),
    "entrypoint by marker": (
        task("transform", f"{{{TRANSFORM}, entrypoint: {{$t: 'models.scores:{{{{ ds }}}}'}}}}"),
        "`tasks[t].with.entrypoint` is known only when the task runs",
    ),
    "template": (task("transform", f"{{{TRANSFORM}, sql: {{$t: '{{{{ 7*7 }}}}'}}}}"), "uses more than a name"),
    "template made of two": (
        "vars: {a: '{', b: '{ var.value.x }}'}\n"
        + task("transform", f"{{{TRANSFORM}, sql: {{$t: '${{{{ vars.a }}}}${{{{ vars.b }}}}'}}}}"),
        "uses `var.value.x` in a template",
    ),
    "timetable": (
        "schedule: {uses: subprocess.Popen, with: {args: [id]}}\ntasks: [{id: t}]\n",
        "names the class `subprocess.Popen`",
    ),
    "callback": ("on_failure_callback: 'os:abort'\ntasks: [{id: t}]\n", "names the code `os:abort`"),
    "callback of a class": (
        "on_failure_callback: {uses: subprocess.Popen, with: {args: [id]}}\ntasks: [{id: t}]\n",
        "names the class `subprocess.Popen`",
    ),
    "callback of a task": ("tasks: [{id: t, on_success_callback: ['os:abort']}]\n", "names the code `os:abort`"),
    "callback in default_args": (
        "default_args: {on_retry_callback: 'os:abort'}\ntasks: [{id: t}]\n",
        "names the code `os:abort`",
    ),
    "notifier": (
        "notify: {failure: [{uses: subprocess.Popen, with: {args: [id]}}]}\ntasks: [{id: t}]\n",
        "names the class `subprocess.Popen`",
    ),
    "connection of a notice": (
        "notify: {failure: [{slack: {channel: a, conn_id: secret}}]}\ntasks: [{id: t}]\n",
        "names the connection `secret`",
    ),
    "template of a notice": (
        "notify: {failure: [{slack: {channel: a, message: {$t: '{{ var.value.x }}'}}}]}\ntasks: [{id: t}]\n",
        "uses `var.value.x`",
    ),
    "deadline": (
        "deadline: [{reference: {uses: subprocess.Popen, with: {args: [id]}}, interval: 1h, callback: {uses: a.B}}]\ntasks: [{id: t}]\n",
        "names the class `subprocess.Popen`",
    ),
    "error to import": (
        "default_args: {retry_policy: {rules: [{exception: os.abort}]}}\ntasks: [{id: t}]\n",
        "names the class `os.abort`",
    ),
    "who may see it": ("access_control: {Public: {DAGs: [can_edit]}}\ntasks: [{id: t}]\n", "says who may see"),
    "import": (task(BASH, "{bash_command: {$import: 'os:environ'}}"), "names the code `os:environ`"),
    "source of a mapped task": (
        "tasks:\n  - id: t\n    uses: ingest\n    with: {target: b/a}\n    expand: {source: [landing, /etc/passwd]}\n",
        "`tasks[t].expand.source[1]` names `/etc/passwd`",
    ),
    "entries of a mapped task": (
        "tasks:\n  - id: o\n  - id: t\n    uses: ingest\n    with: {target: b/a}\n    expand_kwargs: {$x: o}\n",
        "is what a task gives",
    ),
    "root": ("storage: /\n" + task("ingest", "{source: proc/self/environ, target: b/a}"), "names the folder `/`"),
    "parent": ("storage: lake/../..\ntasks:\n  - id: t\n", "names the folder `lake/../..`"),
    "project": ("storage: .\n" + task("ingest", "{source: airflow.cfg, target: b/a}"), "names the folder `.`"),
    "storage of the environment": ("storage: ./\ntasks: [{id: t}]\n", "names the folder `./`"),
    "absolute source": (task("ingest", "{source: /etc/passwd, target: b/a}"), "names `/etc/passwd`"),
    "file URL": (task("ingest", "{source: 'FILE:///etc/passwd', target: b/a}"), "names `FILE:///etc/passwd`"),
    "source made when it runs": (task("ingest", "{source: {$t: '{{ params.x }}'}, target: b/a}"), "is known only when"),
    "scheme made when it runs": (task("ingest", "{source: {$t: 'f{{ params.x }}/a'}, target: b/a}"), "is known only"),
    "connection made when it runs": (
        task("ingest", "{source: {$t: 'sql://{{ params.x }}/a'}, target: b/a}"),
        "is known only when",
    ),
    "source of another task": (
        "tasks:\n  - id: o\n  - {id: t, uses: ingest, with: {source: {$x: o}, target: b/a}}\n",
        "is known only when",
    ),
    "connection of a source": (task("ingest", "{source: sql://airflow_db/connection, target: b/a}"), "`airflow_db`"),
    "connection": (task("get_credentials", "{conn_id: airflow_db}"), "names the connection `airflow_db`"),
    "connection of a cluster": (cluster("conn_id: airflow_db"), "names the connection `airflow_db`"),
    "default connection of a cluster": (cluster("workers: {count: 2}"), "uses the cloud by its default connection"),
    "raw request of a cluster": (
        cluster("conn_id: lake, extra: {BootstrapActions: []}"),
        "`tasks[t].with.cluster.extra` can have any program run on the cluster",
    ),
    "configuration of Spark": (
        task("start_cluster", "{cluster: {type: spark, conf: {spark.driver.extraJavaOptions: -XX:OnError=id}}}", STOP),
        "`tasks[t].with.cluster.conf` can have any program run",
    ),
    "master of Spark": (
        task("start_cluster", "{cluster: {type: spark, master: 'spark://h:7077'}}", STOP),
        "`tasks[t].with.cluster.master` chooses a program on the network",
    ),
    "program of a cluster": (cluster("conn_id: lake, python: /tmp/x"), "`tasks[t].with.cluster.python` chooses"),
    "connection of the reaper": (
        task("reap_clusters", "{clusters: [{type: emr, region: r, conn_id: airflow_db}]}"),
        "`tasks[t].with.clusters[0].conn_id` names the connection `airflow_db`",
    ),
    "package": (
        task("transform", f"{{{TRANSFORM}, sql: q, requirements: [Evil_Pkg>1]}}"),
        "installs the package `evil-pkg`",
    ),
    "package of the pipeline": (
        "requirements: [evil]\ntasks: [{id: t}]\n",
        "`requirements[0]` installs the package `evil`",
    ),
    "package from elsewhere": (
        task("transform", f"{{{TRANSFORM}, sql: q, requirements: ['polars @ https://example.org/a.whl']}}"),
        "installs `polars @ https://example.org/a.whl` from an address",
    ),
    "interpreter": (task("transform", f"{{{TRANSFORM}, sql: q, python: /tmp/evil}}"), "names the program `/tmp/evil`"),
    "image": (task("transform", f"{{{TRANSFORM}, sql: q, image: evil/x:1}}"), "names the image `evil/x:1`"),
    "image of the pipeline": ("image: evil\ntasks: [{id: t}]\n", "`image` names the image `evil`"),
    "connection of a target": (
        task("publish", "{release: r, table: s/a, to: [{to: 'files://x'}, {to: 'webhook://outside'}]}"),
        "`tasks[t].with.to[1].to` names the connection `outside`",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_restricted_refuses(what: str, tmp_path: Path) -> None:
    text, said = REFUSED[what]
    found = faults(tmp_path, text, allowed_connections=("lake",), allowed_requirements=("polars",))
    assert said in found
    assert found.count("error: ") == 1 + (BASH in text and what != "operator") + (what == "deadline")
    assert "which this deployment does not allow" in found


def test_sql_file_is_a_template_too(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("select '{{ conn.platform.password }}'")
    found = faults(tmp_path, task("transform", f"{{{TRANSFORM}, sql: q.sql}}"))
    assert found == (
        "error: /pipeline.yaml:5:50: `tasks[t].with.sql` uses `conn.platform.password` in a template, which this deployment "
        "does not allow\n"
        "  5 |     with: {inputs: {raw: b/a}, target: s/a, sql: q.sql}\n"
        "    |                                                  ^^^^^\n\n"
        "hint: fill in only names, e.g. `{{ ds }}`; the setting `[wall] allowed_templates` adds names"
    )


def test_file_marked_as_template_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("{{ macros.json }}")
    text = task("transform", f"{{{TRANSFORM}, sql: {{$t: {{$f: q.txt}}}}}}")
    assert "uses `macros.json` in a template" in faults(tmp_path, text)


ALLOWED = {
    "our steps": (task("ingest", "{source: 'landing/*.csv', target: b/a}"), {}),
    "an empty task": ("tasks:\n  - id: t\n", {}),
    "what the run is for": (task("ingest", "{source: {$t: 'landing/{{ ds }}.csv'}, target: b/a}"), {}),
    "folder below the lake": ("storage: ./lake/team\ntasks:\n  - id: t\n", {}),
    "templates of plain text": (task("transform", f"{{{TRANSFORM}, sql: {{$t: select 1}}}}"), {}),
    "operator listed": (task(BASH, "{bash_command: id}"), {"allowed_operators": (BASH,)}),
    "package listed": (task(BASH, "{bash_command: id}"), {"allowed_operators": ("airflow.providers.standard.*",)}),
    "entrypoint listed": (
        task("transform", f"{{{TRANSFORM}, entrypoint: 'models.scores:train'}}"),
        {"allowed_entrypoints": ("models.scores:train",)},
    ),
    "package of Python listed": (
        task("transform", f"{{{TRANSFORM}, sql: q, requirements: ['polars[all]>=1; python_version > \"3\"']}}"),
        {"allowed_requirements": ("polars",)},
    ),
    "interpreter listed": (
        task("transform", f"{{{TRANSFORM}, sql: q, python: /opt/venvs/ml/bin/python}}"),
        {"allowed_pythons": ("/opt/venvs/*",)},
    ),
    "image listed": (
        task("transform", f"{{{TRANSFORM}, sql: q, image: 'registry.example.org/ml/train:1.4'}}"),
        {"allowed_images": ("registry.example.org/ml/*",)},
    ),
    "connection listed": (task("get_credentials", "{conn_id: platform}"), {"allowed_connections": ("platform",)}),
    "connection with a table made when it runs": (
        task("ingest", "{source: {$t: 'sql://platform/{{ params.x }}'}, target: b/a}"),
        {"allowed_connections": ("platform",)},
    ),
    "folder listed": ("storage: /srv/lake/a\ntasks:\n  - id: t\n", {"allowed_storage": ("/srv/lake",)}),
    "name listed": (
        task("transform", f"{{{TRANSFORM}, sql: {{$t: '{{{{ dag_run.conf.x }}}}'}}}}"),
        {"allowed_templates": ("dag_run.conf.*",)},
    ),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_restricted_allows(what: str, tmp_path: Path) -> None:
    text, settings = ALLOWED[what]
    assert faults(tmp_path, text, **settings) == ""


def test_a_prefix_ends_at_a_dot(tmp_path: Path) -> None:
    found = faults(tmp_path, task("transformer.Evil", "{}"), allowed_operators=("transform.*",))
    assert "names the operator `transformer.Evil`" in found


@pytest.mark.parametrize(
    "text",
    [
        "no template",
        "{{ ds }}",
        "{{ params.region }}/{{ ts_nodash|lower }}",
        "{{ logical_date | ds }}",
        "{{ params.x | default('a', true) | trim }}",
        "{{ data_interval_start }}",
    ],
)
def test_names_of_the_run_are_filled_in(text: str) -> None:
    assert beyond(text, ()) is None

"""Policy `restricted` rejects what the lists of the deployment do not allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.errors import SpecError
from airflow_wall.loader.load import load_specs
from airflow_wall.loader.templates import disallowed_part
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings

BASH = "airflow.providers.standard.operators.bash.BashOperator"


def faults(tmp_path: Path, text: str, **settings: tuple[str, ...] | str) -> str:
    """Return the faults of a pipeline under `restricted`, and check that it has none under `open`."""
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

RETRAIN = "entrypoint: 'fits:train', inputs: {rows: s/a}, model: m"

IMAGES = {"allowed_images": ("emr-*", "2.3-*")}


def dataproc(keys: str) -> str:
    given = f"{{cluster: {{type: dataproc, region: r, image: 2.3-debian12, conn_id: lake, {keys}}}}}"
    return task("start_cluster", given, STOP)


REFUSED = {
    "operator": (task(BASH, "{bash_command: id}"), f"names the operator `{BASH}`"),
    "executor_config": ("tasks:\n  - {id: t, executor_config: {x: 1}}\n", "`tasks[t].executor_config` can choose"),
    "default_args": ("default_args: {run_as_user: root}\ntasks:\n  - id: t\n", "`default_args.run_as_user` chooses"),
    "default_args of a group": (
        "tasks:\n  - {id: g, default_args: {run_as_user: root}, tasks: [{id: t}]}\n",
        "`tasks[g].default_args.run_as_user` chooses",
    ),
    "entrypoint": (task("transform", f"{{{TRANSFORM}, entrypoint: 'os:system'}}"), "names the code `os:system`"),
    "metric": (task("retrain", f"{{{RETRAIN}, promote: {{metric: 'os:get_loss'}}}}"), "names the code `os:get_loss`"),
    "metric by expand": (
        task("retrain", f"{{{RETRAIN}}}", "    expand: {promote: {$x: o}}\n  - {id: o}\n"),
        "`tasks[t].expand.promote` is known only when the task runs",
    ),
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
        "tasks:\n  - id: t\n    uses: ingest\n    with: {target: b/a, share: true}\n    expand: {source: [landing, /etc/passwd]}\n",
        "`tasks[t].expand.source[1]` names `/etc/passwd`",
    ),
    "entries of a mapped task": (
        "tasks:\n  - id: o\n  - id: t\n    uses: ingest\n    with: {target: b/a}\n    expand_kwargs: {$x: o}\n",
        "is what a task gives",
    ),
    "root": ("storage: /\n" + task("ingest", "{source: proc/self/environ, target: b/a}"), "names the folder `/`"),
    "parent": ("storage: lake/../..\ntasks:\n  - id: t\n", "names the folder `..`"),
    "project": ("storage: .\n" + task("ingest", "{source: airflow.cfg, target: b/a}"), "names the folder `.`"),
    "storage of the environment": ("storage: ./\ntasks: [{id: t}]\n", "names the folder `.`"),
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
    "program of a cluster": (
        cluster("conn_id: lake, python: /tmp/x"),
        "`tasks[t].with.cluster.python` names the program `/tmp/x`",
    ),
    "program behind a listed folder": (
        task("transform", f"{{{TRANSFORM}, sql: q, python: /opt/venvs/../../tmp/evil}}"),
        "names the program `/tmp/evil`",
    ),
    "logs of a cluster": (cluster("conn_id: lake, log_uri: 's3://evil/x'"), "names `s3://evil/x` in the cloud"),
    "logs behind a listed folder": (
        cluster("conn_id: lake, log_uri: 's3://logs/../evil'"),
        "names `s3://logs/../evil` in the cloud",
    ),
    "image of a cluster": (
        task("start_cluster", "{cluster: {type: emr, region: r, conn_id: lake, image: evil}}", STOP),
        "`tasks[t].with.cluster.image` names the image `evil`",
    ),
    "role of machines": (
        cluster("conn_id: lake, network: {instance_profile: admin}"),
        "`tasks[t].with.cluster.network.instance_profile` uses the cloud in the name of `admin`",
    ),
    "role of the service": (
        cluster("conn_id: lake, network: {service_role: admin}"),
        "uses the cloud in the name of `admin`",
    ),
    "key of machines": (cluster("conn_id: lake, network: {key_pair: mine}"), "names `mine` in the cloud"),
    "subnet": (cluster("conn_id: lake, network: {subnet: subnet-1}"), "names `subnet-1` in the cloud"),
    "bucket": (dataproc("bucket: evil"), "`tasks[t].with.cluster.bucket` names `evil` in the cloud"),
    "project of a cluster": (dataproc("project: evil"), "`tasks[t].with.cluster.project` names `evil` in the cloud"),
    "account to act as": (dataproc("impersonate: a@evil"), "uses the cloud in the name of `a@evil`"),
    "account of machines": (
        dataproc("network: {service_account: a@evil}"),
        "uses the cloud in the name of `a@evil`",
    ),
    "network tags": (dataproc("network: {tags: [open]}"), "`tasks[t].with.cluster.network.tags[0]` names `open`"),
    "address of the internet": (dataproc("network: {internal_only: false}"), "internal_only` can give the machines"),
    "scaling policy": (dataproc("autoscaling: {policy: projects/evil/x}"), "names `projects/evil/x` in the cloud"),
    "cluster of a mapped task": (
        "tasks:\n  - id: t\n    uses: get_credentials\n    expand: {conn_id: [lake, airflow_db]}\n",
        "`tasks[t].expand.conn_id[1]` names the connection `airflow_db`",
    ),
    "role": (
        task("get_credentials", "{conn_id: lake, role: 'arn:aws:iam::1:role/admin'}"),
        "uses the cloud in the name of `arn:aws:iam::1:role/admin`",
    ),
    "role made when it runs": (
        task("get_credentials", "{conn_id: lake, role: {$t: '{{ params.role }}'}}"),
        "`tasks[t].with.role` is known only when the task runs",
    ),
    "connection by template": (
        task("get_credentials", "{conn_id: {$t: 'lake/{{ params.x }}'}}"),
        "`tasks[t].with.conn_id` is known only when the task runs",
    ),
    "lake of the reaper": (
        task("reap_clusters", "{clusters: [{type: spark, storage: dags/x}]}"),
        "`tasks[t].with.clusters[0].storage` names the folder `dags/x`",
    ),
    "lake of the reaper behind a listed one": (
        task("reap_clusters", "{clusters: [{type: local, storage: lake/../dags}]}"),
        "names the folder `dags`",
    ),
    "project of the reaper": (
        task("reap_clusters", "{clusters: [{type: dataproc, region: r, conn_id: lake, project: evil}]}"),
        "names `evil` in the cloud",
    ),
    "default connection of the reaper": (
        task("reap_clusters", "{clusters: [{type: emr, region: r}]}"),
        "`tasks[t].with.clusters[0]` uses the cloud by its default connection",
    ),
    "variable of a deadline": (
        "deadline: {interval: {variable: secret}, callback: {uses: a.B}}\ntasks: [{id: t}]\n",
        "reads the variable `secret` of Airflow",
    ),
    "name of a mapped task": (
        "tasks:\n  - id: t\n    uses: ingest\n    with: {target: b/a, share: true}\n    map_index_template: '{{ conn.x.password }}'\n"
        "    expand: {source: [a, b]}\n",
        "uses `conn.x.password` in a template",
    ),
    "trigger of an asset": (
        "schedule: {assets: [{name: a, watchers: [{name: w, trigger: {uses: subprocess.Popen}}]}]}\ntasks: [{id: t}]\n",
        "names the class `subprocess.Popen`",
    ),
    "connection of the reaper": (
        task("reap_clusters", "{clusters: [{type: emr, region: r, conn_id: airflow_db}]}"),
        "`tasks[t].with.clusters[0].conn_id` names the connection `airflow_db`",
    ),
    "package": (
        task("transform", f"{{{TRANSFORM}, sql: q, requirements: [Evil_Pkg>1]}}"),
        "installs the package `evil-pkg`",
    ),
    "package with a hash": (
        task("transform", f"{{{TRANSFORM}, sql: q, requirements: ['evil --hash=sha256:{'0' * 64}']}}"),
        "installs the package `evil`",
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


TWICE = ("deadline", "variable of a deadline")
"""Cases that name a class beside what they are about."""


@pytest.mark.parametrize("what", REFUSED)
def test_restricted_refuses(what: str, tmp_path: Path) -> None:
    text, reason = REFUSED[what]
    found = faults(
        tmp_path,
        text,
        allowed_connections=("lake",),
        allowed_requirements=("polars",),
        allowed_entrypoints=("fits:train",),
        **IMAGES,
    )
    assert reason in found
    assert found.count("error: ") == 1 + (BASH in text and what != "operator") + (what in TWICE)
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
    "metric by name": (
        task("retrain", f"{{{RETRAIN}, promote: {{metric: auc}}}}"),
        {"allowed_entrypoints": ("fits:train",)},
    ),
    "metric listed": (
        task("retrain", f"{{{RETRAIN}, promote: {{metric: 'models.scores:my_loss'}}}}"),
        {"allowed_entrypoints": ("fits:train", "models.scores:*")},
    ),
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
    "cluster with all that it names listed": (
        cluster("conn_id: lake, log_uri: 's3://logs/a', network: {instance_profile: etl-1, subnet: subnet-1}"),
        {
            "allowed_connections": ("lake",),
            "allowed_resources": ("s3://logs/*", "subnet-1"),
            "allowed_identities": ("etl-*",),
            **IMAGES,
        },
    ),
    "role listed": (
        task("get_credentials", "{conn_id: lake, role: etl}"),
        {"allowed_connections": ("lake",), "allowed_identities": ("etl",)},
    ),
    "program of a cluster listed": (
        cluster("conn_id: lake, python: /opt/venvs/ml/bin/python"),
        {"allowed_connections": ("lake",), "allowed_pythons": ("/opt/venvs/*",), **IMAGES},
    ),
    "local cluster": (task("start_cluster", "{cluster: {type: local, threads: 4}}", STOP), {}),
    "clusters of the own lake": (
        task("reap_clusters", "{clusters: [{type: spark}, {type: local, storage: lake}]}"),
        {},
    ),
    "table made when it runs": (task("ingest", "{source: landing, target: {$t: 'b/{{ params.x }}'}}"), {}),
    "tables of another task": (
        "tasks:\n  - id: o\n  - {id: t, uses: ingest, with: {source: landing}, expand: {target: {$x: o}}}\n",
        {},
    ),
    "variable listed": (
        "deadline: {interval: {variable: wait}, callback: {uses: a.B}}\ntasks: [{id: t}]\n",
        {"allowed_templates": ("var.value.wait",), "allowed_classes": ("a.B",)},
    ),
    "package listed by another spelling": (
        task("transform", f"{{{TRANSFORM}, sql: q, requirements: [scikit-learn]}}"),
        {"allowed_requirements": ("Scikit_Learn",)},
    ),
    "checks": (task("check_integrity", "{table: b/a, checks: [{row_count: {min: 1}}, {sql: {query: select 1}}]}"), {}),
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


NATIVE = """$schema: https://airflow.apache.org/schemas/dag/2026-10-30.json
dag_id: a
{head}
tasks:
  - id: t
    uses: a.B
    {task}
"""


@pytest.mark.parametrize(
    ("head", "task", "reason"),
    [
        ("access_control: {Public: [can_edit]}", "", "`access_control` says who may see"),
        ("user_defined_macros: {a: 1}", "", "`user_defined_macros` says where templates come from"),
        ("template_searchpath: /etc", "", "`template_searchpath` says where templates come from"),
        ("render_template_as_native_obj: true", "", "`render_template_as_native_obj` has Airflow evaluate"),
        ("", "executor_config: {x: 1}", "`tasks[t].executor_config` can choose the image"),
        ("", "run_as_user: root", "`tasks[t].run_as_user` chooses the Unix user"),
        ("", "pre_execute: 'os:abort'", "`tasks[t].pre_execute` can call any function"),
        ("", "retry_policy: {uses: a.C}", "`tasks[t].retry_policy` can call any function"),
        ("", "map_index_template: '{{ conn.x.password }}'", "uses `conn.x.password` in a template"),
        ("", "with: {x: {$t: '{{ conn.x.password }}'}}", "uses `conn.x.password` in a template"),
        ("schedule: {uses: subprocess.Popen}", "", "names the class `subprocess.Popen`"),
    ],
)
def test_arguments_in_airflows_format_follow_their_kinds(tmp_path: Path, head: str, task: str, reason: str) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(NATIVE.replace("{head}", head).replace("{task}", task))
    restricted = Settings(policy="restricted", allowed_operators=("a.B",))
    (spec,) = load_specs(path, restricted)
    assert [reason in fault.message and "does not allow" in fault.message for fault in spec.faults] == [True]
    (spec,) = load_specs(path, Settings())
    assert spec.faults == ()
    path.write_text(NATIVE.replace("{head}", "tags: [a]").replace("{task}", "retries: 1"))
    (spec,) = load_specs(path, restricted)
    assert spec.faults == ()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("executor_config: {x: 1}", "can choose the image"),
        ("on_failure_callback: 'os:abort'", "can call any function"),
        ("map_index_template: '{{ conn.x }}'", "uses `conn.x` in a template"),
    ],
)
def test_argument_of_every_task_is_refused_under_with_too(tmp_path: Path, given: str, reason: str) -> None:
    path = tmp_path / "pipeline.yaml"
    restricted = Settings(policy="restricted", allowed_operators=("a.B",))
    for place in (f"with: {{{given}}}", f"expand_kwargs: [{{{given}}}]"):
        path.write_text(f"dag_id: a\ntasks:\n  - id: t\n    uses: a.B\n    {place}\n")
        (spec,) = load_specs(path, restricted)
        assert any(reason in fault.message for fault in spec.faults), (place, spec.faults)


def test_default_folder_is_asked_about_too(tmp_path: Path) -> None:
    found = faults(tmp_path, "tasks: [{id: t}]\n", allowed_storage=("/srv/team",))
    assert found == (
        "error: /pipeline.yaml:1:1: `storage` is missing, so that the default folder `lake` is used, which this deployment "
        "does not allow\n"
        "  1 | dag_id: a\n"
        "    | ^\n\n"
        "hint: name `/srv/team` or a folder below; the setting `[wall] allowed_storage` adds others"
    )
    assert faults(tmp_path, "storage: /srv/team/a\ntasks: [{id: t}]\n", allowed_storage=("/srv/team",)) == ""


def test_list_does_not_take_a_colon_for_a_dot(tmp_path: Path) -> None:
    text = task("transform", f"{{{TRANSFORM}, sql: q, image: registry.example.org.5000/x}}")
    assert "names the image" in faults(tmp_path, text, allowed_images=("registry.example.org:5000/*",))


def test_address_in_the_place_of_a_connection_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        "dag_id: a\nnotify: {failure: [{slack: {channel: a, conn_id: 'pg://u:canary@h'}}]}\ntasks: [{id: t}]\n"
    )
    restricted = Settings(policy="restricted")
    with pytest.raises(SpecError) as error:
        plan_all(load_specs(path, restricted), restricted)
    assert "`notify.failure[0].slack.conn_id` must be the id of an Airflow connection, not an address" in str(
        error.value
    )
    assert "canary" not in str(error.value)


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
    assert disallowed_part(text, ()) is None


def test_requirement_with_more_behind_its_hash_is_refused(tmp_path: Path) -> None:
    text = f'{{{TRANSFORM}, sql: q, requirements: ["polars --hash=sha256:00\\n./evil/src"]}}'
    path = tmp_path / "pipeline.yaml"
    path.write_text(f"dag_id: a\n{task('transform', text)}")
    for settings in (Settings(), Settings(policy="restricted", allowed_requirements=("polars",))):
        with pytest.raises(SpecError, match=r"requirements\[0\]` must be one line of printable characters"):
            plan_all(load_specs(path, settings), settings)

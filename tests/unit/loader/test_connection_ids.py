"""No fault shows what stands in the place of a connection's id, wherever ids are taken and however a fault is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.cli.formats import ReportedFault, as_github, as_gitlab, as_text, findings_as_json
from airflow_wall.errors import ConnectionFault, WallError
from airflow_wall.fronts import folder
from airflow_wall.language.base import SpecModel
from airflow_wall.language.cluster_registry import CLUSTERS
from airflow_wall.language.notify import NoticeBy
from airflow_wall.language.pipeline import Pipeline
from airflow_wall.language.step_registry import STEPS
from airflow_wall.operators.base import connection
from airflow_wall.planner.check import check_files
from airflow_wall.publish.backends import parse_target
from airflow_wall.settings import Settings
from airflow_wall.text.kinds import FieldKind, fields_of

SECRET = "hunter2"
ADDRESSES = [
    "postgres://user:hunter2@host",
    "postgres://user:p'w hunter2@host/db?token=hunter2",
    "user:hunter2@host",
    "hunter2@host",
    "user:hunter2",
    "user/hunter2",
    "hunter2 with spaces",
    "https://host/hunter2",
]
TASK = "  - id: a\n    uses: {uses}\n    with: {given}\n"
PLACES = {
    "get_credentials": TASK.replace("{uses}", "get_credentials").replace("{given}", "{conn_id: VALUE}"),
    "two faults in a line": TASK.replace("{uses}", "get_credentials").replace("{given}", "{conn_id: VALUE, xyz: 1}"),
    "cluster": TASK.replace("{uses}", "start_cluster").replace(
        "{given}", "{cluster: {type: emr, region: eu-west-1, image: emr-7.9.0, conn_id: VALUE}}"
    ),
    "reaper": TASK.replace("{uses}", "reap_clusters").replace(
        "{given}", "{clusters: [{type: emr, region: eu-west-1, conn_id: VALUE}]}"
    ),
    "mapped": "  - id: a\n    uses: get_credentials\n    expand: {conn_id: [VALUE]}\n",
}
OF_AIRFLOW = "airflow.providers.standard.operators.bash.BashOperator"


def documents(value: str) -> dict[str, str]:
    quoted = json.dumps(value)
    found = {name: f"dag_id: x\ntasks:\n{text.replace('VALUE', quoted)}" for name, text in PLACES.items()}
    found["variable"] = f"dag_id: x\nvars: {{db: {quoted}}}\ntasks:\n" + PLACES["get_credentials"].replace(
        "VALUE", '"${{ vars.db }}"'
    )
    found["notice"] = (
        f"dag_id: x\nnotify: {{failure: {{slack: {{channel: a, conn_id: {quoted}}}}}}}\ntasks:\n  - id: a\n"
    )
    return found


def of_other_classes(value: str) -> dict[str, str]:
    quoted = json.dumps(value)
    notifier = "airflow.providers.slack.notifications.slack.SlackNotifier"
    return {
        "operator": f"dag_id: x\ntasks:\n  - id: a\n    uses: {OF_AIRFLOW}\n    with: {{ssh_conn_id: {quoted}}}\n",
        "airflow's own": "$schema: https://airflow.apache.org/schemas/dag/v1.json\ndag_id: x\ntasks:\n"
        f"  - id: a\n    uses: {OF_AIRFLOW}\n    with: {{bash_command: ls, http_conn_id: {quoted}}}\n",
        "notifier": f"dag_id: x\nnotify: {{failure: {{uses: {notifier}, with: {{slack_conn_id: {quoted}}}}}}}\n"
        "tasks:\n  - id: a\n",
    }


def faults_in_every_format(path: Path, text: str, settings: Settings) -> str:
    path.write_text(text)
    (checked,) = check_files([path], settings)
    assert checked.defect is None
    assert checked.faults, text
    findings = [ReportedFault(fault) for fault in checked.faults]
    _, reports = folder.build([path], settings, None)
    report = [
        findings_as_json(findings),
        as_gitlab(findings),
        *map(as_text, findings),
        *map(as_github, findings),
        *reports.values(),
    ]
    assert reports
    return "\n".join(report)


@pytest.mark.parametrize("policy", ["open", "restricted"])
@pytest.mark.parametrize("value", ADDRESSES)
def test_rejected_id_is_never_shown(tmp_path: Path, value: str, policy: str) -> None:
    for place, text in documents(value).items():
        report = faults_in_every_format(tmp_path / "x.yaml", text, Settings(policy=policy))
        assert SECRET not in report, f"{place}: {report}"
        assert "must be the id of an Airflow connection" in report, f"{place}: {report}"


@pytest.mark.parametrize("value", [each for each in ADDRESSES if "@" in each or "://" in each])
def test_address_is_never_shown_as_an_argument_of_another_class(tmp_path: Path, value: str) -> None:
    for place, text in of_other_classes(value).items():
        report = faults_in_every_format(tmp_path / "x.yaml", text, Settings())
        assert SECRET not in report, f"{place}: {report}"
        assert "must be the id of an Airflow connection" in report, f"{place}: {report}"


def test_id_with_other_signs_is_an_argument_of_another_class(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(of_other_classes("team/db:a")["operator"])
    (checked,) = check_files([tmp_path / "x.yaml"], Settings())
    assert not checked.faults


@pytest.mark.parametrize("field", ["source", "to"])
@pytest.mark.parametrize("value", ["sql://user:hunter2@host/t", "sql://hunter2@host/t", "sql://me:a hunter2@host/t"])
def test_address_in_an_address_is_never_shown(tmp_path: Path, field: str, value: str) -> None:
    uses, rest = ("ingest", "target: t") if field == "source" else ("publish", "release: r, table: t")
    text = f"dag_id: x\ntasks:\n  - id: a\n    uses: {uses}\n    with: {{{field}: '{value}', {rest}}}\n"
    for policy in ("open", "restricted"):
        report = faults_in_every_format(tmp_path / "x.yaml", text, Settings(policy=policy))
        assert SECRET not in report, report


def test_the_id_of_a_connection_shows_in_the_excerpt_of_other_faults(tmp_path: Path) -> None:
    """The control: hiding everything would pass the tests above."""
    text = f"dag_id: x\ntasks:\n{PLACES['two faults in a line'].replace('VALUE', 'warehouse')}"
    assert "with: {conn_id: warehouse, xyz: 1}" in faults_in_every_format(tmp_path / "x.yaml", text, Settings())


@pytest.mark.parametrize("value", ADDRESSES)
def test_task_never_shows_an_address_in_the_place_of_an_id(value: str) -> None:
    with pytest.raises(ConnectionFault, match="must be the id of an Airflow connection") as error:
        connection(value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("value", ["sql://u:hunter2@h/t", "webhook://u:hunter2@h", "search://u:hunter2/x@h/i"])
def test_target_never_shows_a_login(value: str) -> None:
    with pytest.raises(WallError) as error:
        parse_target(value)
    assert SECRET not in str(error.value)


def blocks() -> list[type[SpecModel]]:
    waiting: list[Any] = [Pipeline, NoticeBy, *STEPS.values(), *CLUSTERS.values()]
    found: list[type[SpecModel]] = []
    while waiting:
        block = waiting.pop()
        if block in found:
            continue
        found.append(block)
        waiting += [inner for field in fields_of(block) for inner in _blocks_in(field.shape)]
    return found


def _blocks_in(shape: Any) -> list[Any]:
    inner = [each for each in (shape.items, shape.values) if each is not None]
    return [*shape.blocks, *(block for each in inner for block in _blocks_in(each))]


def test_every_field_that_takes_an_id_refuses_an_address() -> None:
    tested = 0
    for block in blocks():
        for field in fields_of(block):
            if {FieldKind.CONNECTION, FieldKind.CLOUD_CONNECTION} & set(field.shape.rules):
                with pytest.raises(ValueError, match=r"conn_id") as error:
                    block.model_validate({field.key: "postgres://user:hunter2@host"})
                details = error.value.errors()  # type: ignore[attr-defined]
                kinds = [each["type"] for each in details if field.key in each["loc"]]
                assert "secret" in kinds, f"{block.__name__}.{field.key}"
                tested += 1
    assert tested >= 4


def test_wall_errors_show_no_login_of_a_url() -> None:
    error = WallError("cannot reach `ftp://me:hunter2@host/x`", hint="correct `ftp://me:hun ter2@host`")
    assert str(error) == "cannot reach `ftp://***`\n\nhint: correct `ftp://***`"


def test_traceback_of_a_defect_shows_no_login_of_a_url(tmp_path: Path) -> None:
    program = (
        "from airflow_wall.cli.output import report\n"
        "try:\n    raise LookupError('at postgres://me:hunter2@host')\n"
        "except LookupError as error:\n    raise SystemExit(report(error))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode == 3
    assert found.stderr.count("postgres://***") >= 1
    assert "LookupError: at postgres://***" in found.stderr

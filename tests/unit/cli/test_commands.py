"""
The output and exit codes of the command line.

Waits for: a new process for each command.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pyarrow as pa
import pytest
from rich.console import Console

from airflow_wall.cli.formats import ReportedFault, styled
from airflow_wall.cli.schema import json_schema
from airflow_wall.diagnostics.faults import Fault, SourcePosition
from airflow_wall.storage.backends import open_tables
from airflow_wall.text.reader import read_file

ROOT = Path(__file__).parents[3]
PIPELINE = ROOT / "dags" / "platform_scores.yaml"
GOOD = "dag_id: good\ntasks:\n  - id: a\n"


def wall(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from airflow_wall.cli.main import main; main()", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, "COLUMNS": "120"}
    )


def test_validate_says_all_is_good(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "notes.yaml").write_text("a: 1\n")
    found = wall("validate", ".", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == "1 pipeline in 1 file: all good; 1 other YAML file passed over\n"


def test_validate_shows_the_faults_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("dag_id: bad\ntasks:\n  - id: a\n    retires: 3\n")
    (tmp_path / "good.yaml").write_text(GOOD)
    found = wall("validate", "bad.yaml", "good.yaml", cwd=tmp_path)
    assert found.returncode == 1
    assert found.stdout == (
        "error: bad.yaml:4:5: `tasks[a].retires` is not a known key\n  4 |     retires: 3\n    |     ^^^^^^^\n\n"
        "hint: did you mean `retries`?\n\n2 pipelines in 2 files: 1 file with faults\n"
    )


def test_validate_refuses_one_id_in_two_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    found = wall("validate", ".", cwd=tmp_path)
    assert found.returncode == 1
    assert "error: a.yaml:1:9: `dag_id` must be unique, got `good`, which is also that of `b.yaml:1`" in found.stdout
    assert "error: b.yaml:1:9: `dag_id` must be unique, got `good`, which is also that of `a.yaml:1`" in found.stdout


def test_validate_warns_and_with_strict_fails(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "dag_id: a\ntasks:\n  - id: a\n    uses: airflow.providers.standard.operators.bash.BashOperator\n"
        '    with: {bash_command: "echo {{ ds }}"}\n'
    )
    assert wall("validate", "a.yaml", cwd=tmp_path).returncode == 0
    assert wall("validate", "a.yaml", cwd=tmp_path).stdout.startswith("warning: a.yaml:5:26: ")
    assert wall("validate", "--strict", "a.yaml", cwd=tmp_path).returncode == 1


EARLY = """\
dag_id: early
tasks:
  - id: load
    uses: ingest
    with: {source: landing, target: bronze/orders}
  - id: clean  # by SQL
    uses: transform
    with: {sql: select * from raw, inputs: {raw: bronze/orders}, target: silver/orders}
"""


def test_validate_reports_a_missing_needs_and_fix_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "early.yaml"
    path.write_text(EARLY)
    path.chmod(0o640)
    found = wall("validate", "early.yaml", cwd=tmp_path)
    assert found.returncode == 1
    assert found.stdout.startswith(
        "error: early.yaml:8:50: `tasks[clean].with.inputs.raw` reads `bronze/orders`, which "
    )
    fixed = wall("validate", "--fix", "early.yaml", cwd=tmp_path)
    assert (fixed.returncode, fixed.stdout) == (0, "1 pipeline in 1 file: all good\n")
    assert fixed.stderr == "fixed: early.yaml:8: `tasks[clean]` now needs `load`\n"
    assert path.read_text() == EARLY.replace("uses: transform\n", "uses: transform\n    needs: load\n")
    assert path.stat().st_mode & 0o777 == 0o640


def test_fix_leaves_a_file_that_it_cannot_change_safely(tmp_path: Path) -> None:
    text = EARLY.replace("uses: transform\n", "uses: transform\n    needs: |-\n      other\n").replace(
        "  - id: clean", "  - id: other\n  - id: clean"
    )
    (tmp_path / "early.yaml").write_text(text)
    fixed = wall("validate", "--fix", "early.yaml", cwd=tmp_path)
    assert fixed.returncode == 1
    assert fixed.stderr == (
        "not fixed: early.yaml:11: `tasks[clean]`: add `load` to its `needs` by hand; this text cannot be changed safely\n"
    )
    assert (tmp_path / "early.yaml").read_text() == text


def test_fix_keeps_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "early.yaml").write_bytes(b"\xef\xbb\xbf" + EARLY.encode())
    assert wall("validate", "--fix", "early.yaml", cwd=tmp_path).returncode == 0
    assert (tmp_path / "early.yaml").read_bytes().startswith(b"\xef\xbb\xbfdag_id")


def test_yaml_of_others_is_left_alone_whatever_it_holds(tmp_path: Path) -> None:
    (tmp_path / "chart.yaml").write_text("a: {{ .Values.x }}\nmode: 0644\n<<: *base\n")
    (tmp_path / "good.yaml").write_text(GOOD)
    found = wall("validate", ".", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, "1 pipeline in 1 file: all good; 1 other YAML file passed over\n")


def test_named_file_must_be_a_pipeline_or_a_part_of_one(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("a: 1\n")
    (tmp_path / "checks.yaml").write_text("checks: [{row_count: {min: 1}}]\n")
    (tmp_path / "shared.yaml").write_text("vars: {a: 1}\n")
    (tmp_path / "empty").mkdir()
    good = wall("validate", "checks.yaml", "shared.yaml", cwd=tmp_path)
    assert (good.returncode, good.stdout) == (0, "1 file of checks, 1 shared file: all good\n")
    (tmp_path / "checks.yaml").write_text("checks: [{row_count: {mim: 1}}]\n")
    for arguments, message in (
        (["other.yaml"], "error: other.yaml:1:1: holds no pipeline: it has no `dag_id` at its top\n"),
        (["--strict", "other.yaml"], "error: other.yaml:1:1: holds no pipeline: it has no `dag_id` at its top\n"),
        (["checks.yaml"], "error: checks.yaml:1:23: `checks[0].row_count.mim` is not a known key\n"),
        (["empty"], "error: empty:1:1: holds no pipeline: it has no YAML files\n"),
        (["."], "error: .:1:1: holds no pipeline: none of its YAML files is one\n"),
    ):
        (tmp_path / "checks.yaml").unlink() if arguments == ["."] else None
        (tmp_path / "shared.yaml").unlink() if arguments == ["."] else None
        bad = wall("validate", *arguments, cwd=tmp_path)
        assert bad.returncode == 1
        assert bad.stdout.startswith(message)
    for command in ("run", "graph", "explain"):
        bad = wall(command, "other.yaml", cwd=tmp_path)
        assert bad.returncode == 1
        assert "error: other.yaml:1:1: holds no pipeline: it has no `dag_id` at its top" in bad.stdout + bad.stderr


def test_fault_of_a_file_of_checks_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "checks.yaml").write_text("checks: [{row_count: {mim: 1}}]\n")
    (tmp_path / "p.yaml").write_text(
        "dag_id: p\ntasks:\n  - {id: i, uses: ingest, with: {source: landing, target: bronze/a}}\n"
        "  - {id: c, needs: i, uses: check_integrity, with: {table: bronze/a, checks: checks.yaml}}\n"
    )
    found = wall("validate", "p.yaml", "checks.yaml", cwd=tmp_path)
    assert found.stdout.count("is not a known key") == 1


def test_validate_imports_no_airflow(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    program = (
        "import sys; sys.argv = ['airflow-wall', 'validate', 'good.yaml']\n"
        "from airflow_wall.cli.main import main\n"
        "try: main()\nfinally: assert not [name for name in sys.modules if name.split('.')[0] in ('airflow', 'duckdb', 'pandas')]\n"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == 0


def test_graph_draws_every_task_in_the_terminal() -> None:
    found = wall("graph", str(PIPELINE))
    assert found.returncode == 0
    assert found.stdout.startswith("platform_scores: 21 tasks, 27 edges\n")
    assert found.stdout.count("┌─") == 21
    assert "│ etl_domain_1.ingest │  │ etl_domain_2.ingest │  │ etl_domain_3.ingest │" in found.stdout


def test_graph_draws_an_svg(tmp_path: Path) -> None:
    assert wall("graph", str(PIPELINE), "--svg", str(tmp_path / "g.svg")).returncode == 0
    root = ET.parse(tmp_path / "g.svg").getroot()
    names = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert len(names) == 21
    assert "retrain_on_new_data" in names


def test_picture_in_the_readme_is_of_the_pipeline_as_it_is(tmp_path: Path) -> None:
    wall("graph", str(PIPELINE), "--svg", str(tmp_path / "g.svg"))
    committed = ROOT / "docs" / "images" / "platform_scores.svg"
    assert (tmp_path / "g.svg").read_text() == committed.read_text(), "run `make docs`"


def test_committed_schema_is_that_of_the_models() -> None:
    assert json.loads((ROOT / "dags" / "airflow-wall.schema.json").read_text()) == json_schema(), "run `make docs`"


def test_schema_accepts_the_example_and_refuses_a_misspelt_key() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    (read,) = read_file(PIPELINE)
    document = read.value
    assert [error.message for error in validator.iter_errors(document)] == []
    document["tasks"][0]["with"] = {"sorce": "landing"}
    assert list(validator.iter_errors(document))


@pytest.mark.parametrize("command", ["validate", "run", "graph", "query", "schema"])
def test_help_tells_how_a_command_is_used(command: str) -> None:
    found = wall(command, "--help")
    assert found.returncode == 0
    assert "Usage" in found.stdout
    assert command in wall("--help").stdout


def test_run_refuses_a_faulty_file_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("dag_id: bad\ntasks: []\n")
    found = wall("run", "bad.yaml", cwd=tmp_path)
    assert found.returncode == 1
    assert found.stderr.startswith("error: bad.yaml:2:8: `tasks` must be a list of tasks, got `[]`")
    assert not (tmp_path / ".airflow").exists()


def test_run_refuses_a_bad_date(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    found = wall("run", "good.yaml", "--date", "soon", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (
        1,
        "error: `--date` must be a date, got `soon`\n\nhint: write e.g. `--date 2013-07-01` or `--date 2013-07-01T03:00`\n",
    )


def test_query_rejects_an_invalid_address(tmp_path: Path) -> None:
    found = wall("query", "files://platform", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (
        1,
        "error: `files://platform` is not an address that can be queried\n\nhint: write `sql://CONNECTION/TABLE`, "
        "`search://CONNECTION/INDEX`, or a table of the lake: `bronze/orders`\n",
    )


def test_file_that_is_not_there_is_a_fault_of_the_user(tmp_path: Path) -> None:
    found = wall("validate", "none.yaml", cwd=tmp_path)
    assert found.returncode == 2
    assert "none.yaml" in found.stderr


def test_validate_tells_faults_as_json(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("dag_id: bad\ntasks:\n  - id: a\n    retries: many\n")
    (tmp_path / "notes.yaml").write_text("a: 1\n")
    found = wall("validate", "--json", ".", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (1, "")
    assert json.loads(found.stdout) == [
        {
            "path": "bad.yaml",
            "line": 4,
            "column": 14,
            "end_column": 18,
            "key": "tasks[a].retries",
            "message": "`tasks[a].retries` must be an integer, got `many`",
            "expected": "an integer",
            "got": "many",
            "hint": "write a whole number, e.g., `retries: 3`",
            "severity": "error",
        }
    ]


def test_what_operators_print_when_they_are_imported_is_not_in_the_json(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "from airflow.sdk import BaseOperator\nprint('here')\nclass Loud(BaseOperator): ...\n"
    )
    uses = ("loud.Loud", "airflow.operators.bash.BashOperator")  # of the second, Airflow's log says that it is old
    tasks = "".join(f"  - {{id: t{number}, uses: {each}}}\n" for number, each in enumerate(uses))
    (tmp_path / "loud.yaml").write_text(f"dag_id: loud\ntasks:\n{tasks}")
    found = wall("validate", "--operators", "--json", "loud.yaml", cwd=tmp_path)
    assert [each["message"] for each in json.loads(found.stdout)] == ["`tasks[t1].with.bash_command` is missing"]


def test_faults_of_operators_are_reported_beside_those_of_the_text(tmp_path: Path) -> None:
    bash = "airflow.providers.standard.operators.bash.BashOperator"
    (tmp_path / "both.yaml").write_text(
        f"dag_id: both\nschedule: daily\ntasks:\n  - {{id: a, uses: {bash}, with: {{comand: x}}, retires: 3}}\n"
        f"  - {{id: b, uses: {bash}, with: {{bash_comand: x}}}}\n"
    )
    found = wall("validate", "--operators", "--json", "both.yaml", cwd=tmp_path)
    keys = ["schedule", "tasks[a].retires", "tasks[b].with.bash_comand"]  # `a` has enough to fix
    assert [each["key"] for each in json.loads(found.stdout)] == keys


def test_validate_of_good_files_is_an_empty_json_list(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    found = wall("validate", "--json", "good.yaml", cwd=tmp_path)
    assert (found.returncode, json.loads(found.stdout)) == (0, [])


def test_validate_annotates_for_github_in_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "a,b.yaml").write_text('dag_id: bad\ntasks:\n  - id: a\n    owner: "${{ vars.50%:x }}"\n')
    found = wall("validate", "--format", "github", ".", cwd=tmp_path)
    assert found.returncode == 1
    assert found.stdout == (
        "::error file=a%2Cb.yaml,line=4,endLine=4,col=12,endColumn=31,title=airflow-wall%3A tasks[a].owner::"
        "`tasks[a].owner` names `${{ vars.50%25:x }}`, which is not a name%0A"
        "hint: write `${{ vars.NAME }}`, `${{ matrix.NAME }}` or `${{ env.NAME }}`\n"
    )


def test_validate_writes_a_code_quality_report_for_gitlab(tmp_path: Path) -> None:
    text = "dag_id: bad\ntasks:\n  - id: a\n    retries: many\n"
    (tmp_path / "bad.yaml").write_text(text)
    (report,) = json.loads(wall("validate", "--format", "gitlab", "bad.yaml", cwd=tmp_path).stdout)
    assert report["location"] == {"path": "bad.yaml", "lines": {"begin": 4}}
    assert report["severity"] == "major"
    (tmp_path / "bad.yaml").write_text(f"# one line further down\n{text}")
    (moved,) = json.loads(wall("validate", "--format", "gitlab", "bad.yaml", cwd=tmp_path).stdout)
    assert moved["location"]["lines"] == {"begin": 5}
    assert moved["fingerprint"] == report["fingerprint"]


@pytest.mark.parametrize("format", ["json", "github", "gitlab"])
def test_shared_faults_are_reported_in_every_format(tmp_path: Path, format: str) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    found = wall("validate", "--format", format, ".", cwd=tmp_path)
    assert found.returncode == 1
    assert found.stdout.count("`dag_id` must be unique, got `good`, which is also that of") == 2


def test_warnings_are_warnings_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "dag_id: a\ntasks:\n  - id: a\n    uses: airflow.providers.standard.operators.bash.BashOperator\n"
        '    with: {bash_command: "echo {{ ds }}"}\n'
    )
    for arguments, severity, code in (((), "warning", 0), (("--strict",), "error", 1)):
        found = wall("validate", "--json", *arguments, "a.yaml", cwd=tmp_path)
        assert (found.returncode, json.loads(found.stdout)[0]["severity"]) == (code, severity)
        assert wall("validate", "--format", "github", *arguments, "a.yaml", cwd=tmp_path).stdout.startswith(
            f"::{severity} "
        )


def test_defect_of_ours_differs_from_a_fault_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("dag_id: bad\ntasks: []\n")
    (tmp_path / "odd.yaml").write_text("dag_id: odd\ntasks:\n  - id: a\n")
    program = (
        "import sys; sys.argv = ['airflow-wall', 'validate', '.']\n"
        "from airflow_wall.cli.main import main\n"
        "from airflow_wall.planner import check\n"
        "plan = check.plan\n"
        "check.plan = lambda spec, settings: 1 / 0 if spec.head.dag_id == 'odd' else plan(spec, settings)\n"
        "main()\n"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 3
    assert found.stdout.startswith("error: bad.yaml:2:8: `tasks` must be a list of tasks, got `[]`")
    assert found.stdout.endswith("2 pipelines in 2 files: 2 files with faults\n")
    first, *_, last = found.stderr.splitlines()
    assert first == "error: odd.yaml: airflow-wall failed, by a defect of its own that this file meets"
    assert "ZeroDivisionError: division by zero" in found.stderr
    assert last == "please report it with the lines above"


def test_interrupted_validation_ends_with_130(tmp_path: Path) -> None:
    program = (
        "import sys; sys.argv = ['airflow-wall', 'validate', '.']\n"
        "from airflow_wall.cli import validate\n"
        "from airflow_wall.cli.main import main\n"
        "def interrupted(folder): raise KeyboardInterrupt\n"
        "validate.yaml_files = interrupted\n"
        "main()\n"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 130


def test_run_refuses_a_date_beside_a_range() -> None:
    for arguments, message in (
        (("--date", "2013-07-01", "--from", "2013-07-01"), "use one or the other"),
        (("--to", "2013-07-01"), "it needs `--from`"),
    ):
        found = wall("run", str(PIPELINE), *arguments)
        assert (found.returncode, message in found.stderr) == (2, True), found.stderr


@pytest.mark.parametrize("command", [["validate"], ["graph"], ["explain"]])
def test_what_is_safe_on_a_pull_request_imports_nothing_of_it(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "mine.py").write_text("open('ran', 'w').close()\nclass X: ...\n")
    (tmp_path / "mine.yaml").write_text("dag_id: mine\ntasks: [{id: t, uses: mine.X, on_failure_callback: mine:f}]\n")
    wall(*command, "mine.yaml", cwd=tmp_path)
    assert not (tmp_path / "ran").exists()
    wall("validate", "--operators", "mine.yaml", cwd=tmp_path)  # the control
    assert (tmp_path / "ran").exists()


def test_recipes_for_pull_requests_import_nothing() -> None:
    guide = (ROOT / "docs" / "guides" / "checking-pipelines.md").read_text(encoding="utf-8")
    recipes = [line for line in guide.splitlines() if "--format github" in line or "--format gitlab" in line]
    assert len(recipes) == 2
    assert not any("--operators" in line for line in recipes)


def test_verbose_and_quiet(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text("dag_id: bad\ntasks: [{id: a, retires: 3}]\n")
    assert wall("validate", "-q", "good.yaml", cwd=tmp_path).stdout == ""
    assert wall("validate", "-v", "good.yaml", cwd=tmp_path).stdout == (
        "good.yaml: `good`\n1 pipeline in 1 file: all good\n"
    )
    quiet = wall("validate", "--quiet", "bad.yaml", cwd=tmp_path)
    assert (quiet.returncode, quiet.stdout.count("error: "), "with faults" in quiet.stdout) == (1, 1, False)
    both = wall("validate", "-q", "-v", "good.yaml", cwd=tmp_path)
    assert (both.returncode, both.stdout) == (2, "")


@pytest.mark.parametrize("command", ["validate", "explain", "run", "graph", "query", "check", "own", "doctor"])
def test_every_command_has_the_common_options(command: str) -> None:
    found = wall(command, "-h")
    assert found.returncode == 0
    for option in ("-h", "-v", "-q", *(() if command == "own" else ("--json",))):
        assert f" {option} " in found.stdout


def test_json_of_validate_replaces_its_format(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("dag_id: bad\ntasks: [{id: a, retires: 3}]\n")
    found = wall("validate", "--json", "bad.yaml", cwd=tmp_path)
    old = wall("validate", "--format", "json", "bad.yaml", cwd=tmp_path)
    assert (found.returncode, found.stdout, found.stderr) == (1, old.stdout, "")
    assert json.loads(found.stdout)[0]["key"] == "tasks[a].retires"
    assert old.stderr == "warning: `--format json` is deprecated, and the next release rejects it; use `--json`\n"


def test_json_of_graph_and_explain(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "dag_id: p\nenvironments: {live: {tags: [x]}}\ntasks: [{id: a}, {id: b, needs: a}]\n"
    )
    (graph,) = json.loads(wall("graph", "--json", "p.yaml", cwd=tmp_path).stdout)["pipelines"]
    assert (graph["dag_id"], graph["edges"], graph["tasks"][1]["needs"]) == ("p", [["a", "b"]], ["a"])
    (explained,) = json.loads(wall("explain", "--json", "--env", "live", "p.yaml", cwd=tmp_path).stdout)["pipelines"]
    assert explained["environment"] == "live"
    assert [(value["key"], value["line"]) for value in explained["values"]] == [("tags", 2)]


def test_validate_has_colours_on_a_terminal() -> None:
    fault = Fault(Path("a.yaml"), SourcePosition(1, 1), "`x` is wrong", "write `y`", text="x: 1\n")
    console = Console(force_terminal=True, color_system="standard", file=io.StringIO(), width=200)
    console.print(styled(ReportedFault(fault)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1;31merror\x1b[0m: a.yaml:1:1: " in text
    assert "\x1b[1;36mhint\x1b[0m" in text


def test_query_shows_a_table_of_the_lake(tmp_path: Path) -> None:
    rows_written = pa.table({"id": [1, 2], "name": ["a", None]})
    open_tables(tmp_path / "lake").replace_slice("bronze/orders", rows_written, slice_id="s1", number=1)
    found = wall("query", "bronze/orders", "--limit", "1", cwd=tmp_path)
    assert (found.returncode, found.stdout.splitlines()[0].split()[:2]) == (0, ["id", "name"])
    rows = json.loads(wall("query", "bronze/orders", "--json", cwd=tmp_path).stdout)["rows"]
    assert [row["id"] for row in rows] == [1, 2]
    missing = wall("query", "bronze/none", cwd=tmp_path)
    assert (missing.returncode, "no table `bronze/none`" in missing.stderr) == (1, True)

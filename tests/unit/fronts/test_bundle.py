"""The bundle: what it shows Airflow, and what becomes of a file that breaks."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import structlog
from airflow.dag_processing.bundles import manager
from airflow.dag_processing.bundles.base import BaseDagBundle
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.dag_processing.processor import _serialize_dags
from airflow.sdk.api.datamodels._generated import BundleInfo, TaskInstance
from airflow.sdk.execution_time.comms import StartupDetails
from airflow.sdk.execution_time.task_runner import parse
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.file import iter_airflow_imports

from airflow_wall.bundles import PipelineBundle
from airflow_wall.errors import SettingsError
from airflow_wall.fronts import bundle as bundle_module
from airflow_wall.fronts import folder, mirror
from airflow_wall.processes.isolation import Limits
from airflow_wall.settings import Settings

BASH = "airflow.providers.standard.operators.bash.BashOperator"


def _pipeline(dag_id: str, command: str = "echo", **head: Any) -> str:
    lines = [f"dag_id: {dag_id}", *(f"{key}: {json.dumps(value)}" for key, value in head.items()), "tasks:"]
    return "\n".join([*lines, "  - id: work", f"    uses: {BASH}", f"    with: {{bash_command: {command}}}", ""])


@dataclass
class Parsed:
    """The results of the DAG processor for all files of a bundle."""

    dags: dict[str, Any]
    built: dict[str, Any]
    errors: dict[str, str]


class OtherBundle(BaseDagBundle):
    """A bundle with versions: each is a folder below `root`, the latest is named in the file `latest`."""

    supports_versioning = True

    def __init__(self, *, root: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = Path(root)

    @property
    def path(self) -> Path:
        return self.root / (self.version or self.get_current_version())

    def get_current_version(self) -> str:
        return (self.root / "latest").read_text()

    def refresh(self) -> None:
        pass

    def view_url_template(self) -> str:
        return "https://example.com/{root}/{version}"


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "storage"))
    if hasattr(manager, "_load_bundle_config_snapshot"):  # from Airflow 3.4 on, a process reads them once
        manager._load_bundle_config_snapshot.cache_clear()


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    path = tmp_path / "project/dags"
    (path / "team").mkdir(parents=True)
    (path / "team/a.yaml").write_text(_pipeline("a", schedule="@daily", catchup=False))
    (path / "b.yaml").write_text(_pipeline("b"))
    return path


@pytest.fixture
def bundle(dags: Path) -> PipelineBundle:
    found = PipelineBundle(name="pipelines", path=str(dags))
    found.initialize()
    return found


@pytest.fixture
def _processor(dag_processor: None) -> None:
    """The process is one that parses for the DAG processor."""


def _files(bundle: PipelineBundle) -> list[str]:
    """The files that the DAG processor of this Airflow finds in a bundle."""
    if find_spec("airflow.sdk.importers") is None:
        from airflow.utils.file import list_py_file_paths

        return list_py_file_paths(bundle.path)
    from airflow.sdk.importers import get_importer_registry

    found = get_importer_registry(bundle.name).list_dag_definitions(bundle, safe_mode=True)
    return sorted(str(bundle.path / definition.get_relative_loc(bundle.path)) for _, definition in found)


def _parse(bundle: PipelineBundle) -> Parsed:
    parsed = Parsed({}, {}, {})
    for path in _files(bundle):
        bag = BundleDagBag(dag_folder=path, bundle_path=bundle.path, bundle_name=bundle.name)
        serialized, errors = _serialize_dags(bag, logging.getLogger(__name__))  # type: ignore[arg-type]  # it logs the same
        parsed.dags |= {dag.dag_id: dag.data["dag"] for dag in serialized}
        parsed.built |= bag.dags
        parsed.errors |= bag.import_errors | errors
    return parsed


def _break(file: Path, word: str = "uses", by: str = "usess") -> None:
    file.write_text(file.read_text().replace(word, by))


def _commands(parsed: Parsed, dag_id: str) -> list[str]:
    return [task.bash_command for task in parsed.built[dag_id].tasks]


@pytest.mark.usefixtures("_processor")
def test_each_pipeline_is_a_file_of_its_own_and_its_source_is_the_yaml(bundle: PipelineBundle) -> None:
    parsed = _parse(bundle)
    assert parsed.errors == {}
    assert set(parsed.dags) == {"a", "b"}
    assert parsed.dags["a"]["relative_fileloc"] == "team/a.yaml.py"
    assert parsed.dags["b"]["relative_fileloc"] == "b.yaml.py"
    assert Path(parsed.dags["a"]["fileloc"]) == bundle.path / "team/a.yaml"


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # Airflow's own
@pytest.mark.usefixtures("_processor")
def test_python_files_and_other_yaml_stay_unchanged(bundle: PipelineBundle, dags: Path) -> None:
    (dags / "helper.py").write_text("COMMAND = 'echo python'\n")
    (dags / "written.py").write_text(
        "from airflow.sdk import DAG\nfrom airflow.providers.standard.operators.bash import BashOperator\n"
        "from helper import COMMAND\n"
        "with DAG('written'):\n    BashOperator(task_id='work', bash_command=COMMAND)\n"
    )
    (dags / "values.yaml").write_text("replicas: 2\n")
    (dags / ".hidden.yaml").write_text(_pipeline("hidden"))
    (dags / ".airflowignore").write_text("ignored.py\n")
    (dags / "ignored.py").write_text("from airflow.sdk import DAG\nDAG('ignored')\n")
    bundle.refresh()
    parsed = _parse(bundle)
    assert parsed.errors == {}
    assert set(parsed.dags) == {"a", "b", "written"}
    assert _commands(parsed, "written") == ["echo python"]
    assert {path.name for path in bundle.path.iterdir() if path.suffix == ".py"} == {
        "b.yaml.py", "helper.py", "ignored.py", "written.py",
    }  # fmt: skip


@pytest.mark.usefixtures("_processor")
def test_a_loader_in_the_folder_leaves_the_files_to_the_bundle(bundle: PipelineBundle, dags: Path) -> None:
    (dags / "pipelines.py").write_text(
        "from airflow_wall import load_dags  # DAGs\nglobals().update(load_dags(__file__))\n"
    )
    bundle.refresh()
    assert {dag["relative_fileloc"] for dag in _parse(bundle).dags.values()} == {"team/a.yaml.py", "b.yaml.py"}


def test_modules_of_providers_stand_in_the_stub_so_that_they_are_imported_before_the_fork(
    bundle: PipelineBundle, dags: Path
) -> None:
    assert list(iter_airflow_imports(str(bundle.path / "b.yaml.py"))) == ["airflow.providers.standard.operators.bash"]
    _break(dags / "b.yaml", BASH, "airflow.providers.away.Operator")
    bundle.refresh()
    assert list(iter_airflow_imports(str(bundle.path / "b.yaml.py"))) == []


@pytest.mark.usefixtures("_processor")
def test_a_broken_file_has_one_error_under_its_own_name_and_its_dag_is_as_it_last_was(
    bundle: PipelineBundle, dags: Path
) -> None:
    _parse(bundle)
    _break(dags / "team/a.yaml")
    bundle.refresh()
    parsed = _parse(bundle)
    assert set(parsed.errors) == {"team/a.yaml"}
    assert "error: team/a.yaml:6:5: " in parsed.errors["team/a.yaml"]
    assert (
        parsed.errors["team/a.yaml"]
        .rstrip()
        .endswith("note: active runs of `a` continue with the last good version of the file; no new run starts")
    )
    assert set(parsed.dags) == {"a", "b"}
    assert parsed.dags["a"]["relative_fileloc"] == "team/a.yaml.py"
    assert Path(parsed.dags["a"]["fileloc"]).read_text() == _pipeline("a", schedule="@daily", catchup=False)


@pytest.mark.usefixtures("_processor")
@pytest.mark.parametrize("schedule", ["@daily", "@continuous", "@once", None])
def test_the_last_good_version_starts_no_run_of_any_kind(
    schedule: str | None, bundle: PipelineBundle, dags: Path
) -> None:
    (dags / "team/a.yaml").write_text(_pipeline("a", schedule=schedule, start_date="2026-01-01", max_active_runs=1))
    bundle.refresh()
    _parse(bundle)
    _break(dags / "team/a.yaml")
    bundle.refresh()
    dag = DagSerialization.from_dict({"__version": 3, "dag": _parse(bundle).dags["a"], "client_defaults": {}})
    assert dag.timetable.can_be_scheduled is False
    assert dag.next_dagrun_info(last_automated_run_info=None) is None
    assert [each.value for each in dag.allowed_run_types] == ["scheduled"]
    assert "**No new run starts.**" in (dag.doc_md or "")


@pytest.mark.usefixtures("_processor")
def test_a_file_that_was_never_good_gives_only_its_error(bundle: PipelineBundle, dags: Path) -> None:
    (dags / "new.yaml").write_text(_pipeline("new").replace("uses", "usess"))
    bundle.refresh()
    parsed = _parse(bundle)
    assert set(parsed.dags) == {"a", "b"}
    assert set(parsed.errors) == {"new.yaml"}
    assert "note:" not in parsed.errors["new.yaml"]


@pytest.mark.usefixtures("_processor")
def test_of_several_documents_only_the_broken_one_stands_still(bundle: PipelineBundle, dags: Path) -> None:
    many = dags / "many.yaml"
    many.write_text("---\n".join(_pipeline(name, schedule="@daily") for name in ("one", "two", "three")))
    bundle.refresh()
    _parse(bundle)
    documents = [
        _pipeline("one", "echo new", schedule="@daily"),
        _pipeline("two", schedule="@daily").replace("uses", "usess"),
    ]
    many.write_text("---\n".join(documents))  # the third is removed, on purpose or not
    bundle.refresh()
    parsed = _parse(bundle)
    assert set(parsed.errors) == {"many.yaml"}
    assert _commands(parsed, "one") == ["echo new"]
    assert "timetable" in parsed.dags["one"]
    assert {name: "No new run starts" in parsed.dags[name]["doc_md"] for name in ("one", "two", "three")} == {
        "one": False, "two": True, "three": True,
    }  # fmt: skip
    many.write_text("---\n".join([documents[0], _pipeline("two", "echo mended", schedule="@daily")]))
    bundle.refresh()
    parsed = _parse(bundle)
    assert parsed.errors == {}
    assert set(parsed.dags) == {"a", "b", "one", "two"}
    assert _commands(parsed, "two") == ["echo mended"]


@pytest.mark.usefixtures("_processor")
def test_the_last_good_version_comes_with_the_files_it_had(bundle: PipelineBundle, dags: Path) -> None:
    (dags / "sql").mkdir()
    (dags / "sql/query.sql").write_text("select 1")
    (dags / "team/a.yaml").rename(dags / "a.yaml")
    (dags / "a.yaml").write_text(_pipeline("a", "{$f: sql/query.sql}"))
    bundle.refresh()
    _parse(bundle)
    (dags / "sql/query.sql").write_text("select 2")
    _break(dags / "a.yaml")
    bundle.refresh()
    assert _commands(_parse(bundle), "a") == ["select 1"]
    (dags / "sql/query.sql").unlink()
    bundle.refresh()
    assert _commands(_parse(bundle), "a") == ["select 1"]


@pytest.mark.usefixtures("_processor")
def test_a_task_of_a_broken_file_runs_as_the_file_last_was(
    bundle: PipelineBundle, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dags / "team/a.yaml").write_text(_pipeline("a", "echo before"))
    bundle.refresh()
    _parse(bundle)
    (dags / "team/a.yaml").write_text(_pipeline("a", "echo after").replace("uses", "usess"))
    bundle.refresh()
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "a")
    worker = PipelineBundle(name="pipelines", path=str(dags))
    worker.initialize()
    bag = BundleDagBag(dag_folder=worker.path / "team/a.yaml.py", bundle_path=worker.path, bundle_name="pipelines")
    assert bag.import_errors == {}
    assert bag.dags["a"].get_task("work").bash_command == "echo before"  # type: ignore[attr-defined]


def test_for_a_task_only_its_dag_is_built(bundle: PipelineBundle, dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dags / "many.yaml").write_text("---\n".join(_pipeline(f"dag_{number}") for number in range(20)))
    bundle.refresh()
    built: list[str] = []
    build_dag = folder.build_dag

    def counting(plan: Any) -> Any:
        built.append(plan.dag_id)
        return build_dag(plan)

    monkeypatch.setattr(folder, "build_dag", counting)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "dag_7")
    bag = BundleDagBag(dag_folder=bundle.path / "many.yaml.py", bundle_path=bundle.path, bundle_name="pipelines")
    assert list(bag.dags) == ["dag_7"]
    assert built == ["dag_7"]


@pytest.mark.usefixtures("_processor")
def test_files_with_one_id_are_both_reported_and_the_earlier_one_continues(bundle: PipelineBundle, dags: Path) -> None:
    _parse(bundle)
    (dags / "copy.yaml").write_text(_pipeline("a"))
    bundle.refresh()
    parsed = _parse(bundle)
    assert set(parsed.errors) == {"team/a.yaml", "copy.yaml"}
    assert "`dag_id` must be unique, got `a`, which is also that of `copy.yaml:1`" in parsed.errors["team/a.yaml"]
    assert "which is also that of `team/a.yaml:1`" in parsed.errors["copy.yaml"]
    assert parsed.dags["a"]["relative_fileloc"] == "team/a.yaml.py"
    (dags / "copy.yaml").unlink()
    bundle.refresh()
    assert _parse(bundle).errors == {}


@pytest.mark.usefixtures("_processor")
def test_a_file_that_takes_too_long_is_an_error_of_its_own_and_is_not_read_again(
    bundle: PipelineBundle, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, run = mirror.load_specs, mirror.run_isolated
    read: list[list[str]] = []

    def slow(path: Path, chosen: Settings) -> Any:
        if path.name == "slow.yaml":
            re.search("(a+)+$", "a" * 60 + "!")  # holds the interpreter's lock
        return load(path, chosen)

    def recorded(function: Any, items: list[Path], limits: Limits) -> list[Any]:
        read.append([path.name for path in items])
        return run(function, items, limits)

    monkeypatch.setattr(mirror, "load_specs", slow)
    monkeypatch.setattr(mirror, "run_isolated", recorded)
    monkeypatch.setattr(mirror, "READING", Limits(cpu=0.5))
    good = _parse(bundle).dags
    (dags / "slow.yaml").write_text(_pipeline("slow"))
    bundle.refresh()
    parsed = _parse(bundle)
    assert parsed.dags.keys() == good.keys()
    (report,) = parsed.errors.values()
    assert "error: slow.yaml:1:1: reading this file took more than 0.5 s of CPU\n" in report
    (dags / "new.yaml").write_text(_pipeline("new"))
    bundle.refresh()
    assert read == [["slow.yaml"], ["new.yaml"]]
    parsed = _parse(bundle)
    assert (parsed.dags.keys(), len(parsed.errors)) == ({*good, "new"}, 1)
    monkeypatch.setattr(mirror, "load_specs", load)
    (dags / "slow.yaml").write_text(_pipeline("slow") + "\n")
    bundle.refresh()
    parsed = _parse(bundle)
    assert (parsed.dags.keys(), parsed.errors) == ({*good, "new", "slow"}, {})


@pytest.mark.usefixtures("_processor")
def test_a_new_file_shows_at_the_next_refresh_and_a_deleted_one_goes(bundle: PipelineBundle, dags: Path) -> None:
    (dags / "new.yml").write_text(_pipeline("new"))
    assert "new" not in _parse(bundle).dags
    bundle.refresh()
    assert "new" in _parse(bundle).dags
    (dags / "new.yml").unlink()
    bundle.refresh()
    assert "new" not in _parse(bundle).dags


@pytest.mark.usefixtures("_processor")
def test_refresh_without_changes_touches_only_errors_to_report_again(bundle: PipelineBundle, dags: Path) -> None:
    _break(dags / "team/a.yaml")
    bundle.refresh()
    _parse(bundle)
    before = {path.name: path.stat().st_mtime_ns for path in bundle.path.rglob("*.py")}
    tree = bundle.path.resolve()
    time.sleep(0.01)
    bundle.refresh()
    assert bundle.path.resolve() == tree
    after = {path.name: path.stat().st_mtime_ns for path in bundle.path.rglob("*.py")}
    assert [name for name in after if after[name] != before[name]] == ["a.yaml.py"]


def test_what_did_not_change_is_one_file_on_disk_and_keeps_its_stub(bundle: PipelineBundle, dags: Path) -> None:
    first = bundle.path.resolve()
    (dags / "b.yaml").write_text(_pipeline("b", "echo changed"))
    bundle.refresh()
    second = bundle.path.resolve()
    assert first != second
    for name in ("team/a.yaml", "team/a.yaml.py"):
        assert (first / name).samefile(second / name)
    for name in ("b.yaml", "b.yaml.py"):
        assert not (first / name).samefile(second / name)
    assert "echo changed" not in (first / "b.yaml").read_text()


@pytest.mark.usefixtures("_processor")
def test_trees_nobody_needs_are_removed_in_time_and_a_last_good_one_is_not(
    bundle: PipelineBundle, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "KEPT", 0.0)
    _parse(bundle)
    good = bundle.path.resolve()
    _break(dags / "team/a.yaml")
    bundle.refresh()
    _parse(bundle)
    between = bundle.path.resolve()
    (dags / "b.yaml").write_text(_pipeline("b", "echo changed"))
    bundle.refresh()
    _parse(bundle)
    bundle.refresh()
    trees = set((bundle.base_dir / "trees").iterdir())
    assert trees == {good, bundle.path.resolve()}
    assert between not in trees


@pytest.mark.usefixtures("_processor")
def test_relative_storage_is_beside_the_users_folder_not_in_a_copy(bundle: PipelineBundle, dags: Path) -> None:
    (dags / "b.yaml").write_text(
        "dag_id: b\ntasks:\n  - id: check\n    uses: check_integrity\n    with: {table: t, checks: [row_count: {min: 1}]}\n"
    )
    bundle.refresh()
    bag = BundleDagBag(dag_folder=bundle.path / "b.yaml.py", bundle_path=bundle.path, bundle_name="pipelines")
    assert bag.import_errors == {}
    assert bag.dags["b"].get_task("check").storage == str(dags.parent / "lake")  # type: ignore[attr-defined]


def test_links_are_followed_once(tmp_path: Path, dags: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "linked.yaml").write_text(_pipeline("linked"))
    (dags / "link").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(dags)
    found = PipelineBundle(name="pipelines", path=str(dags))
    found.initialize()
    assert (found.path / "link/linked.yaml.py").is_file()
    assert not (found.path / "link/linked.yaml").is_symlink()


@pytest.mark.usefixtures("_processor")
def test_under_policy_restricted_no_link_leads_out_of_the_folder(
    tmp_path: Path, versions: Path, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or whoever writes to the repository reads any file of the machine, by a link that Git keeps."""
    monkeypatch.setenv("AIRFLOW__WALL__POLICY", "restricted")
    monkeypatch.setenv("AIRFLOW__WALL__ALLOWED_OPERATORS", BASH)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/key.txt").write_text("secret")
    for root in (dags, versions / "v1"):
        (root / "key.txt").symlink_to(tmp_path / "secrets/key.txt")
        (root / "secrets").symlink_to(tmp_path / "secrets")
        (root / "inside.sql").write_text("select 1")
        (root / "linked.sql").symlink_to("inside.sql")
        (root / "b.yaml").write_text(_pipeline("b", "{$f: key.txt}"))
        (root / "c.yaml").write_text(_pipeline("c", "{$f: linked.sql}"))
    # A link made by the deployment itself leads to the folder.
    (tmp_path / "current").symlink_to(dags)
    found = PipelineBundle(name="pipelines", path=str(tmp_path / "current"))
    found.initialize()
    for bundle in (found, _over(versions, "v1")):
        parsed = _parse(bundle)
        assert {path.name for path in bundle.path.iterdir()} >= {"linked.sql", "b.yaml", "c.yaml", "team"}
        assert not {path.name for path in bundle.path.rglob("*")} & {"key.txt", "secrets"}
        assert set(parsed.errors) == {"b.yaml"}
        assert "create `key.txt`" in parsed.errors["b.yaml"]
        assert _commands(parsed, "c") == ["select 1"]


def test_a_path_and_a_bundle_at_once_are_refused() -> None:
    with pytest.raises(SettingsError) as caught:
        PipelineBundle(name="pipelines", path="/dags", bundle={"classpath": "x.Y"})
    assert str(caught.value) == (
        "bundle `pipelines` of `[dag_processor] dag_bundle_config_list` has both `path` and `bundle`\n\n"
        "hint: give one of them"
    )


@pytest.mark.usefixtures("_processor")
def test_error_of_a_fixed_file_is_removed_even_if_it_was_reported_late(
    bundle: PipelineBundle, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Session:
        def execute(self, statement: Any) -> None:
            asked.append(str(statement.compile(compile_kwargs={"literal_binds": True})))

    monkeypatch.setattr(bundle_module, "create_session", lambda: contextlib.nullcontext(Session()))
    _parse(bundle)
    _break(dags / "team/a.yaml")
    bundle.refresh()
    _parse(bundle)
    bundle.refresh()
    _break(dags / "team/a.yaml", "usess", "uses")
    bundle.refresh()
    assert asked == []
    _parse(bundle)
    bundle.refresh()
    bundle.refresh()
    assert len(asked) == 1
    assert "bundle_name = 'pipelines' AND import_error.filename IN (" in asked[0]
    assert "'team/a.yaml'" in asked[0]


# --- over another bundle


@pytest.fixture
def versions(tmp_path: Path, dags: Path) -> Path:
    root = tmp_path / "versions"
    for version in ("v1", "v2"):
        shutil.copytree(dags, root / version)
    (root / "v1/team/a.yaml").write_text(_pipeline("a", "echo v1"))
    (root / "v2/team/a.yaml").write_text(_pipeline("a", "echo v2").replace("uses", "usess"))
    (root / "latest").write_text("v1")
    return root


def _git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    done = subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _commit(folder: Path) -> str:
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "Change pipelines")
    return _git(folder, "rev-parse", "HEAD")


def _of_git(repository: Path, version: str | None = None) -> PipelineBundle:
    pytest.importorskip("airflow.providers.git", reason="needs apache-airflow-providers-git")
    kwargs = {"repo_url": str(repository), "tracking_ref": "main", "subdir": "dags"}
    bundle = {"classpath": "airflow.providers.git.bundles.git.GitDagBundle", "kwargs": kwargs}
    found = PipelineBundle(name="of_git", bundle=bundle, version=version)
    found.initialize()
    return found


def _version(bundle: PipelineBundle) -> str:
    found = bundle.get_current_version()
    return str(getattr(found, "version", found))  # Airflow 3.2 has only the text


def _over(root: Path, version: str | None = None) -> PipelineBundle:
    bundle = {"classpath": f"{__name__}.OtherBundle", "kwargs": {"root": str(root)}}
    found = PipelineBundle(name="versioned", bundle=bundle, version=version)
    found.initialize()
    return found


@pytest.mark.usefixtures("_processor")
def test_versions_of_another_bundle_come_through(versions: Path) -> None:
    bundle = _over(versions)
    assert bundle.supports_versioning
    assert bundle.get_current_version() == "v1"
    assert _commands(_parse(bundle), "a") == ["echo v1"]
    (versions / "latest").write_text("v2")
    assert bundle.get_current_version() == "v1"  # what is shown, until it is refreshed
    bundle.refresh()
    assert bundle.get_current_version() == "v2"
    parsed = _parse(bundle)
    assert set(parsed.errors) == {"team/a.yaml"}
    assert _commands(parsed, "a") == ["echo v1"]
    assert bundle.view_url_template() == "https://example.com/{root}/{version}"
    assert bundle.root == versions


@pytest.mark.usefixtures("_processor")
def test_a_task_of_an_older_version_is_given_that_version(versions: Path) -> None:
    (versions / "latest").write_text("v2")
    old = _over(versions, "v1")
    assert old.path == old.base_dir / "versions/v1"
    assert _commands(_parse(old), "a") == ["echo v1"]
    shutil.rmtree(versions / "v1")
    assert _commands(_parse(_over(versions, "v1")), "a") == ["echo v1"]  # it was kept


@pytest.mark.usefixtures("_processor")
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_repository_of_git_is_followed_and_older_commits_can_be_had(tmp_path: Path, dags: Path) -> None:
    (dags / "team/a.yaml").write_text(_pipeline("a", "echo one"))
    _git(dags.parent, "init", "--quiet", "--initial-branch", "main")
    one = _commit(dags.parent)
    bundle = _of_git(dags.parent)
    assert _version(bundle) == one
    parsed = _parse(bundle)
    assert (set(parsed.dags), parsed.errors) == ({"a", "b"}, {})

    (dags / "team/a.yaml").write_text(_pipeline("a", "echo two").replace("uses", "usess"))
    two = _commit(dags.parent)
    bundle.refresh()
    assert _version(bundle) == two
    parsed = _parse(bundle)
    assert set(parsed.errors) == {"team/a.yaml"}
    assert _commands(parsed, "a") == ["echo one"]
    worker = _of_git(dags.parent, one)
    assert _commands(_parse(worker), "a") == ["echo one"]
    assert not (worker.inner.versions_dir / one).exists()  # kept once


@pytest.mark.parametrize("kind", ["folder", "version"])
def test_a_worker_with_a_disk_of_its_own_runs_a_task(
    kind: str, tmp_path: Path, dags: Path, versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All executors do this on the worker; with Celery and Kubernetes it has no file of the DAG processor."""
    for root, word in ((dags, "folder"), (versions / "v1", "v1"), (versions / "v2", "v2")):
        (root / "team/models").mkdir()
        (root / "team/models/words.py").write_text(f"COMMAND = 'echo {word}'\n")
        (root / "team/a.yaml").write_text(_pipeline("a", '{$import: "models.words:COMMAND"}'))
    (versions / "latest").write_text("v2")
    other = {"bundle": {"classpath": f"{__name__}.OtherBundle", "kwargs": {"root": str(versions)}}}
    kwargs = {"path": str(dags)} if kind == "folder" else other
    configured = [{"name": "pipelines", "classpath": "airflow_wall.bundles.PipelineBundle", "kwargs": kwargs}]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(configured))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "a")
    built: list[str] = []
    build_dag = folder.build_dag
    monkeypatch.setattr(folder, "build_dag", lambda plan: built.append(plan.dag_id) or build_dag(plan))
    ti = TaskInstance.model_construct(
        id=uuid4(), dag_id="a", task_id="work", run_id="r", try_number=1, dag_version_id=uuid4(), map_index=-1
    )
    what = StartupDetails.model_construct(
        ti=ti,
        dag_rel_path="team/a.yaml.py",
        bundle_info=BundleInfo(name="pipelines", version=None if kind == "folder" else "v1"),
        start_date=datetime.now(UTC),
        ti_context=SimpleNamespace(max_tries=0),
        sentry_integration="",
    )
    running = parse(what, structlog.get_logger())
    assert running.task.task_id == "work"
    assert running.task.bash_command == ("echo folder" if kind == "folder" else "echo v1")
    assert built == ["a"]


def test_the_configuration_of_airflow_makes_one(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured = [{"name": "p", "classpath": "airflow_wall.bundles.PipelineBundle", "kwargs": {"path": str(dags)}}]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(configured))
    bundle = DagBundlesManager().get_bundle("p")
    bundle.initialize()
    assert isinstance(bundle, PipelineBundle)
    assert bundle.supports_versioning is False
    assert bundle.get_current_version() is None
    assert sorted(path.name for path in bundle.path.iterdir()) == [".airflow-wall.json", "b.yaml", "b.yaml.py", "team"]


def test_nothing_depends_on_the_settings_of_the_state(dags: Path) -> None:
    found = mirror.Mirror(dags.parent / "mirror", dags, stubs=True)
    found.refresh(dags, Settings())
    first = found.current.resolve()
    found.refresh(dags, Settings(environment="production"))  # what the files mean has changed, so they are read anew
    assert found.current.resolve() != first

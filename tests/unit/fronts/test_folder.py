"""The loader, and the import errors it leaves."""

from __future__ import annotations

import gc
import logging
import re
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.dag_processing.processor import _serialize_dags
from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.policies import hookimpl
from airflow.sdk import DAG
from airflow.settings import get_policy_plugin_manager

from airflow_wall.dag.build import build_dag
from airflow_wall.errors import SpecError
from airflow_wall.fronts import folder
from airflow_wall.fronts.folder import load_dags
from airflow_wall.fronts.import_errors import Carrier
from airflow_wall.language.document import Spec
from airflow_wall.planner.plan import Plan
from airflow_wall.processes.isolation import Limits
from airflow_wall.settings import Settings

BROKEN = "dag_id: broken\ntasks:\n  - id: load\n    uses: ingestt\n"
BROKEN_REPORT = """\
error: {path}:4:11: `tasks[load].uses` names `ingestt`, which is not a step
  4 |     uses: ingestt
    |           ^^^^^^^

hint: did you mean `ingest`? Any other operator is named by its dotted path"""
TWIN_REPORT = """\
error: {path}:1:9: `dag_id` must be unique, got `twin`, which is also that of `{other}:1`
  1 | dag_id: twin
    |         ^^^^

hint: give one of them another id"""


def _pipeline(dag_id: str) -> str:
    return f"dag_id: {dag_id}\ntasks:\n  - id: nothing\n"


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """A dags folder with the two-line loader and one good pipeline."""
    path = tmp_path / "dags"
    path.mkdir()
    (path / "pipelines.py").write_text(
        '"""Airflow finds DAGs here."""\nfrom airflow_wall import load_dags\nglobals().update(load_dags(__file__))\n'
    )
    (path / "good.yaml").write_text(_pipeline("good"))
    return path


def _run_of(monkeypatch: pytest.MonkeyPatch, dag_id: str) -> None:
    """Parse as Airflow does to run a task of one DAG."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "nothing")


def _parsed(bundle: Path) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """Return the DAG processor's results for a loader: DAGs, errors on loading, and errors on serializing DAGs."""
    bag = BundleDagBag(dag_folder=bundle / "dags/pipelines.py", bundle_path=bundle, bundle_name="test")
    serialized, errors = _serialize_dags(bag, logging.getLogger(__name__))  # type: ignore[arg-type]  # it logs the same
    return sorted(dag.dag_id for dag in serialized), bag.import_errors, errors


@pytest.mark.parametrize("named", [".", "pipelines.py"])
def test_every_pipeline_below_the_folder_gives_its_dag(dags: Path, named: str) -> None:
    (dags / "team/deep").mkdir(parents=True)
    (dags / "team/deep/two.yml").write_text(f"{_pipeline('one')}---\n{_pipeline('two')}")
    found = load_dags(dags / named, Settings())
    assert set(found) == {"good", "one", "two"}
    assert all(isinstance(dag, DAG) and dag.dag_id == dag_id for dag_id, dag in found.items())


@pytest.mark.usefixtures("dag_processor")
def test_the_source_of_a_dag_is_its_yaml_and_the_file_to_parse_for_it_the_loader(dags: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.yaml").write_text(_pipeline("far"))
    (dags / "team").mkdir()
    (dags / "team/near.yaml").write_text(_pipeline("near"))
    with (dags / "pipelines.py").open("a") as file:
        file.write(f"globals().update(load_dags({str(elsewhere)!r}))\n")
    bag = BundleDagBag(dag_folder=dags / "pipelines.py", bundle_path=tmp_path, bundle_name="test")
    serialized, _ = _serialize_dags(bag, logging.getLogger(__name__))  # type: ignore[arg-type]  # it logs the same
    found = {dag.dag_id: dag.data["dag"] for dag in serialized}
    assert {dag_id: dag["relative_fileloc"] for dag_id, dag in found.items()} == dict.fromkeys(
        ("good", "near", "far"), "dags/pipelines.py"
    )
    assert {dag_id: dag["fileloc"] for dag_id, dag in found.items()} == {
        "good": str(dags / "good.yaml"), "near": str(dags / "team/near.yaml"), "far": str(elsewhere / "far.yaml"),
    }  # fmt: skip
    assert bag.dags["near"].folder == str(dags / "team")  # where templates in files are looked for, as with a bundle


def test_other_yaml_is_left_alone(dags: Path) -> None:
    (dags / "checks.yaml").write_text("checks:\n  - row_count: {min: 1}\n")
    (dags / "values.yaml").write_text("- 1\n- tasks\n")
    (dags / "empty.yaml").write_text("")
    (dags / ".hidden.yaml").write_text(BROKEN)
    assert set(load_dags(dags, Settings())) == {"good"}


def test_outside_the_dag_processor_the_faults_of_every_file_are_raised(dags: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (dags / name).write_text(BROKEN)
    with pytest.raises(SpecError) as caught:
        load_dags(dags, Settings())
    assert str(caught.value) == "\n\n".join(BROKEN_REPORT.format(path=dags / name) for name in ("a.yaml", "b.yaml"))


@pytest.mark.usefixtures("dag_processor")
def test_in_the_dag_processor_a_broken_file_has_an_error_of_its_own_and_the_others_stay(
    dags: Path, tmp_path: Path
) -> None:
    (dags / "team").mkdir()
    (dags / "team/broken.yaml").write_text(BROKEN)
    (dags / "worse.yaml").write_text("dag_id: [\n")
    serialized, on_loading, on_serializing = _parsed(tmp_path)
    assert serialized == ["good"]
    assert on_loading == {}
    assert set(on_serializing) == {"dags/team/broken.yaml", "dags/worse.yaml"}
    report = BROKEN_REPORT.format(path=dags / "team/broken.yaml")
    assert on_serializing["dags/team/broken.yaml"].endswith(
        f"\nairflow.exceptions.SerializationError: `broken.yaml` has faults\n\n{report}\n"
    )


@pytest.mark.usefixtures("dag_processor")
def test_a_cluster_policy_that_refuses_dags_does_not_refuse_the_errors(dags: Path, tmp_path: Path) -> None:
    class Policy:
        @hookimpl
        def dag_policy(self, dag: DAG) -> None:
            if dag.dag_id != "good":
                raise AirflowClusterPolicyViolation("its name is not good")

    (dags / "broken.yaml").write_text(BROKEN)
    policy, manager = Policy(), get_policy_plugin_manager()
    manager.register(policy)
    try:
        serialized, on_loading, on_serializing = _parsed(tmp_path)
        assert (serialized, on_loading, set(on_serializing)) == (["good"], {}, {"dags/broken.yaml"})
        (dags / "bad.yaml").write_text(_pipeline("bad"))  # a real DAG is refused as ever
        serialized, on_loading, _ = _parsed(tmp_path)
        assert serialized == ["good"]
        assert on_loading == {"dags/pipelines.py": "AirflowClusterPolicyViolation: its name is not good"}
    finally:
        manager.unregister(policy)


@pytest.mark.usefixtures("dag_processor")
def test_an_operator_that_cannot_be_built_is_a_fault_of_its_file(dags: Path, tmp_path: Path) -> None:
    (dags / "away.yaml").write_text("dag_id: away\ntasks:\n  - id: a\n    uses: no.such.module.Operator\n")
    serialized, on_loading, on_serializing = _parsed(tmp_path)
    assert (serialized, on_loading, set(on_serializing)) == (["good"], {}, {"dags/away.yaml"})


@pytest.mark.usefixtures("dag_processor")
def test_a_file_outside_the_bundle_is_named_in_full(dags: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "broken.yaml").write_text(BROKEN)
    (dags / "pipelines.py").write_text(
        f"from airflow_wall import load_dags  # an Airflow DAG\nglobals().update(load_dags({str(elsewhere)!r}))\n"
    )
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    dags.rename(bundle / "dags")
    assert set(_parsed(bundle)[2]) == {str(elsewhere / "broken.yaml")}


@pytest.mark.usefixtures("dag_processor")
def test_a_single_broken_file_is_raised_even_in_the_dag_processor(dags: Path) -> None:
    (dags / "broken.yaml").write_text(BROKEN)
    with pytest.raises(SpecError) as caught:
        load_dags(dags / "broken.yaml", Settings())
    assert str(caught.value) == BROKEN_REPORT.format(path=dags / "broken.yaml")


def test_files_that_share_an_id_both_have_a_fault_and_give_no_dag(dags: Path) -> None:
    one, other = dags / "one.yaml", dags / "other.yaml"
    one.write_text(_pipeline("twin"))
    other.write_text(_pipeline("twin"))
    built, reports = folder.build([dags / "good.yaml", one, other], Settings(), None)
    assert set(built) == {"good"}
    assert reports == {one: TWIN_REPORT.format(path=one, other=other), other: TWIN_REPORT.format(path=other, other=one)}


@pytest.mark.usefixtures("dag_processor")
@pytest.mark.parametrize("order", [["one", "broken", "two"], ["broken", "one", "two"], ["one", "two", "broken"]])
def test_a_broken_document_costs_no_other_of_its_file(order: list[str], dags: Path, tmp_path: Path) -> None:
    documents = {"one": _pipeline("one"), "two": _pipeline("two"), "broken": BROKEN}
    (dags / "many.yaml").write_text("---\n".join(documents[name] for name in order))
    serialized, on_loading, on_serializing = _parsed(tmp_path)
    assert serialized == ["good", "one", "two"]
    assert on_loading == {}
    assert set(on_serializing) == {"dags/many.yaml"}
    assert "`tasks[load].uses` names `ingestt`, which is not a step" in on_serializing["dags/many.yaml"]


def test_a_broken_file_takes_no_id_from_a_good_one(dags: Path) -> None:
    (dags / "copy.yaml").write_text(BROKEN.replace("dag_id: broken", "dag_id: good"))
    built, reports = folder.build([dags / "good.yaml", dags / "copy.yaml"], Settings(), None)
    assert set(built) == {"good"}
    assert set(reports) == {dags / "copy.yaml"}


def test_documents_of_one_file_that_share_an_id_are_a_fault_of_it(dags: Path) -> None:
    path = dags / "one.yaml"
    path.write_text(f"{_pipeline('twin')}---\n{_pipeline('twin')}")
    built, reports = folder.build([path], Settings(), None)
    assert built == {}
    assert re.findall(r"error: .*:(\d+):\d+: .* also that of `.*:(\d+)`", reports[path]) == [("1", "5")]


@pytest.mark.usefixtures("dag_processor")
def test_for_a_task_only_its_dag_is_built(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dags / "other.yaml").write_text(_pipeline("other"))
    (dags / "broken.yaml").write_text(BROKEN)
    _run_of(monkeypatch, "good")
    assert set(load_dags(dags, Settings())) == {"good"}


@pytest.mark.usefixtures("dag_processor")
def test_a_task_is_found_though_its_dag_id_stands_in_another_file_only(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = "dag_id: '${{ vars.team }}_scores'\nvars: {team: red}\ntasks:\n  - id: nothing\n"
    (dags / "made.yaml").write_text(made)
    (dags / "other.yaml").write_text(f"description: after red_scores\n{_pipeline('other')}")
    _run_of(monkeypatch, "red_scores")
    assert set(load_dags(dags, Settings())) == {"red_scores"}


def test_shares_have_every_file_once(dags: Path) -> None:
    for number in range(40):
        (dags / f"p{number}.yaml").write_text(_pipeline(f"p{number}"))
    shares = [set(load_dags(dags, Settings(), shard=(number, 4))) for number in range(4)]
    assert all(shares)
    assert sum(map(len, shares)) == 41
    assert set().union(*shares) == set(load_dags(dags, Settings()))
    (dags / "p0.yaml").unlink()
    assert [share - {"p0"} for share in shares] == [set(load_dags(dags, Settings(), shard=(n, 4))) for n in range(4)]


@pytest.mark.usefixtures("dag_processor")
def test_files_of_two_shares_with_one_id_are_both_reported(dags: Path) -> None:
    for number in range(8):
        (dags / f"p{number}.yaml").write_text(_pipeline("twin" if number < 2 else f"p{number}"))
    counts = (2, 3, 4, 5)  # whichever way they fall apart
    for count in counts:
        reports: dict[str, str] = {}
        for number in range(count):
            found = load_dags(dags, Settings(), shard=(number, count))
            assert "twin" not in found
            reports |= {dag.path.name: dag.report for dag in found.values() if isinstance(dag, Carrier)}
        assert set(reports) == {"p0.yaml", "p1.yaml"}
        assert f"which is also that of `{dags / 'p1.yaml'}:1`" in reports["p0.yaml"]


def test_a_share_that_cannot_be_is_refused(dags: Path) -> None:
    with pytest.raises(ValueError, match="`shard` must be a number from 0 and the number of shards"):
        load_dags(dags, Settings(), shard=(4, 4))


@pytest.mark.usefixtures("dag_processor")
def test_a_task_reads_no_pipeline_whose_id_only_begins_with_that_of_its_own(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dags / "longer.yaml").write_text("dag_id: good_2\ntasks: [")
    _run_of(monkeypatch, "good")
    assert list(load_dags(dags)) == ["good"]


@pytest.mark.usefixtures("dag_processor")
def test_task_of_a_file_that_broke_since_reports_the_reason(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dags / "broken.yaml").write_text(BROKEN)
    _run_of(monkeypatch, "broken")
    with pytest.raises(SpecError) as caught:
        load_dags(dags, Settings())
    assert str(caught.value) == BROKEN_REPORT.format(path=dags / "broken.yaml")


@pytest.mark.usefixtures("dag_processor")
def test_a_file_that_takes_too_long_is_an_error_of_its_own(
    dags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = folder.load_specs

    def slow(path: Path, settings: Settings) -> list[Spec]:
        if path.name.startswith("a_slow"):
            re.search("(a+)+$", "a" * 60 + "!")
        return load(path, settings)

    monkeypatch.setattr(folder, "load_specs", slow)
    monkeypatch.setattr(folder, "READING", Limits(cpu=0.5))
    for name in ("a_slow", "a_slow_2", "other"):
        (dags / f"{name}.yaml").write_text(_pipeline(name))
    serialized, on_loading, on_serializing = _parsed(tmp_path)
    assert (serialized, on_loading) == (["good", "other"], {})
    assert set(on_serializing) == {"dags/a_slow.yaml", "dags/a_slow_2.yaml"}
    path = dags / "a_slow.yaml"
    assert f"error: {path}:1:1: reading this file took more than 0.5 s of CPU\n" in on_serializing["dags/a_slow.yaml"]


def test_documents_after_a_hundred_faults_of_the_graph_are_not_planned(dags: Path) -> None:
    needs = "".join(f"  - {{id: t{number}, needs: missing}}\n" for number in range(70))
    documents = [
        _pipeline("first"),
        *(f"dag_id: bad{number}\ntasks:\n{needs}" for number in range(2)),
        _pipeline("last"),
    ]
    (dags / "many.yaml").write_text("---\n".join(documents))
    built, reports = folder.build([dags / "many.yaml"], Settings(), None)
    assert set(built) == {"first"}
    assert reports[dags / "many.yaml"].count("document is not read: those before it have more than 100 faults") == 1


def test_a_defect_of_ours_costs_only_the_file_that_meets_it(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dags / "odd.yaml").write_text(_pipeline("odd"))

    def failing(plan: Plan) -> DAG:
        if plan.dag_id == "odd":
            raise ZeroDivisionError("division by zero")
        return build_dag(plan)

    monkeypatch.setattr(folder, "build_dag", failing)
    built, reports = folder.build([dags / "good.yaml", dags / "odd.yaml"], Settings(), None)
    assert set(built) == {"good"}
    first, *details = reports[dags / "odd.yaml"].splitlines()
    assert first == f"error: {dags}/odd.yaml: airflow-wall failed, by a defect of its own that this file meets"
    assert details[-1] == "ZeroDivisionError: division by zero"


def test_a_file_that_was_read_leaves_no_reference_cycle(tmp_path: Path) -> None:
    """Only the garbage collector frees a cycle. With a thousand files, their texts would fill the memory until then."""
    (tmp_path / "sql").mkdir()
    (tmp_path / "checks").mkdir()
    for name in ("platform_scores.yaml", "sql/normalize.sql", "checks/scores.yaml"):
        (tmp_path / name).write_text((Path(__file__).parents[3] / "dags" / name).read_text())
    load_dags(tmp_path, Settings())  # what is made once in a process
    gc.collect()
    gc.disable()
    try:
        dags = load_dags(tmp_path, Settings())
        assert gc.collect() == 0
    finally:
        gc.enable()
    assert set(dags) == {"platform_scores"}

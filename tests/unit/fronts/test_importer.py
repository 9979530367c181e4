"""The importer, in an Airflow that has importers."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("airflow.sdk.importers", reason="importers are new in Airflow 3.4")

from airflow.dag_processing.bundles.base import BaseDagBundle
from airflow.dag_processing.bundles.local import LocalDagBundle
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.dag_processing.processor import _serialize_dags
from airflow.sdk.importers import get_importer_registry, reset_importer_registry

from airflow_wall.bundles import PipelineBundle
from airflow_wall.fronts import folder
from airflow_wall.importer import WallImporter

CLASS = "airflow_wall.importer.WallImporter"
EMPTY = "airflow.providers.standard.operators.empty.EmptyOperator"


def _pipeline(dag_id: str, task: str = "nothing") -> str:
    return f"dag_id: {dag_id}\nschedule: '@daily'\ntasks:\n  - id: {task}\n    uses: {EMPTY}\n"


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "dags"
    (path / "team").mkdir(parents=True)
    (path / "team/a.yaml").write_text(_pipeline("a"))
    (path / "b.yml").write_text(_pipeline("b"))
    (path / "values.yaml").write_text("replicas: 2\n")
    bundles = [
        {
            "name": "plain",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(path)},
            "importers": [CLASS],
        },
        {
            "name": "keeping",
            "classpath": "airflow_wall.bundles.PipelineBundle",
            "kwargs": {"path": str(path)},
            "importers": [CLASS],
        },
    ]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(bundles))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "storage"))
    reset_importer_registry()
    return path


def _bundle(name: str, path: Path, called: str | None = None) -> Any:
    kind = LocalDagBundle if name == "plain" else PipelineBundle
    found = kind(name=called or name, path=str(path))
    found.initialize()
    return found


def _files(bundle: BaseDagBundle) -> list[Path]:
    listed = get_importer_registry(bundle.name).list_dag_definitions(bundle)
    return sorted(item.path for _, item in listed)


def _parse(bundle: BaseDagBundle) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """Return the DAG processor's results for all files of a bundle: DAGs, errors, source of each DAG."""
    dags: dict[str, Any] = {}
    errors: dict[str, str] = {}
    sources: dict[str, str] = {}
    for path in _files(bundle):
        bag = BundleDagBag(dag_folder=path, bundle_path=bundle.path, bundle_name=bundle.name)
        serialized, failed = _serialize_dags(bag, logging.getLogger(__name__))
        dags |= {dag.dag_id: dag.data["dag"] for dag in serialized}
        errors |= bag.import_errors | failed
        sources |= {dag_id: source.source_code for dag_id, source in bag.dag_source_codes.items()}
        assert all(source.language == "yaml" for source in bag.dag_source_codes.values())
    return dags, errors, sources


@pytest.mark.parametrize("name", ["plain", "keeping"])
def test_each_pipeline_file_is_read_and_other_yaml_left_alone(name: str, dags: Path) -> None:
    bundle = _bundle(name, dags)
    assert [path.relative_to(bundle.path).as_posix() for path in _files(bundle)] == ["b.yml", "team/a.yaml"]
    found, errors, sources = _parse(bundle)
    assert errors == {}
    assert {dag_id: dag["relative_fileloc"] for dag_id, dag in found.items()} == {"a": "team/a.yaml", "b": "b.yml"}
    assert sources == {"a": _pipeline("a"), "b": _pipeline("b")}


def test_it_is_configured_for_all_bundles_at_once(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_IMPORTER_CONFIGS", json.dumps([CLASS]))
    bundles = [
        {"name": "bare", "classpath": f"{LocalDagBundle.__module__}.LocalDagBundle", "kwargs": {"path": str(dags)}}
    ]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(bundles))
    reset_importer_registry()
    found, errors, _ = _parse(_bundle("plain", dags, called="bare"))
    assert (set(found), errors) == ({"a", "b"}, {})


@pytest.mark.usefixtures("dag_processor")
def test_a_broken_file_has_an_error_under_its_own_name(dags: Path) -> None:
    (dags / "team/a.yaml").write_text(_pipeline("a").replace("uses", "usess"))
    found, errors, _ = _parse(_bundle("plain", dags))
    assert set(found) == {"b"}
    assert set(errors) == {"team/a.yaml"}
    assert errors["team/a.yaml"].startswith("error: team/a.yaml:5:5: `tasks[nothing].usess` ")


@pytest.mark.usefixtures("dag_processor")
def test_the_error_of_one_document_is_not_under_the_name_that_would_cost_the_others(dags: Path) -> None:
    broken = _pipeline("bad").replace("uses", "usess")
    (dags / "many.yaml").write_text("---\n".join([_pipeline("one"), broken, _pipeline("two")]))
    found, errors, _ = _parse(_bundle("plain", dags))
    assert set(found) == {"a", "b", "one", "two"}
    assert list(errors) == ["many.yaml#faults"]


@pytest.mark.usefixtures("dag_processor")
def test_over_a_pipeline_bundle_the_last_good_version_goes_on(dags: Path) -> None:
    bundle = _bundle("keeping", dags)
    _parse(bundle)
    (dags / "team/a.yaml").write_text(_pipeline("a", "other").replace("uses", "usess"))
    bundle.refresh()
    found, errors, sources = _parse(bundle)
    assert set(found) == {"a", "b"}
    assert list(errors) == ["team/a.yaml#faults"]
    assert found["a"]["relative_fileloc"] == "team/a.yaml"
    assert found["a"]["allowed_run_types"] == ["scheduled"]
    assert found["b"].get("allowed_run_types") is None
    assert sources["a"] == _pipeline("a")


def test_for_a_task_only_its_dag_is_built(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dags / "many.yaml").write_text("---\n".join(_pipeline(f"dag_{number}") for number in range(20)))
    built: list[str] = []
    build_dag = folder.build_dag
    monkeypatch.setattr(folder, "build_dag", lambda plan: built.append(plan.dag_id) or build_dag(plan))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "dag_7")
    bundle = _bundle("plain", dags)
    bag = BundleDagBag(dag_folder=bundle.path / "many.yaml", bundle_path=bundle.path, bundle_name="plain")
    assert (list(bag.dags), built) == (["dag_7"], ["dag_7"])


def test_a_file_that_takes_too_long_is_given_up(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.settings.get_dagbag_import_timeout", lambda path: 0.2)
    monkeypatch.setattr(folder, "build_dag", lambda plan: time.sleep(200))
    begun = time.monotonic()
    found, errors, _ = _parse(_bundle("plain", dags))
    assert time.monotonic() - begun < 200
    assert found == {}
    assert errors["b.yml"] == "error: b.yml: reading took more than 0.2 s, the setting `[core] dagbag_import_timeout`"


def test_operators_of_providers_are_imported_before_the_fork(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    monkeypatch.setattr("airflow_wall.fronts.importer.importlib.import_module", imported.append)
    (dags / "b.yml").write_text("dag_id: b\ntasks:\n  - {id: a, uses: airflow.providers.away.Operator}\n")
    _files(_bundle("plain", dags))
    assert imported == ["airflow.providers.away", "airflow.providers.standard.operators.empty"]


def test_it_is_made_without_arguments_and_handles_yaml() -> None:
    importer = WallImporter()
    assert importer.can_handle("a.yaml")
    assert importer.can_handle(Path("a.yml"))
    assert not importer.can_handle("a.py")

"""Pipelines given to the chart reach who reads them, and a change does without a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from rendering import CASES, CHART, Rendered

from airflow_wall.fronts.mirror import Mirror
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings

PIPELINE = "dag_id: {}\ntasks:\n  - id: a\n    uses: airflow.providers.standard.operators.empty.EmptyOperator\n"


def test_pipelines_of_the_values_reach_who_parses_and_runs_them() -> None:
    found = Rendered(*CASES["pipelines-values"])
    data = found.one("ConfigMap", "pipelines")["data"]
    assert yaml.safe_load(data["hello.yaml"])["dag_id"] == "hello"
    assert data["query.sql"] == "SELECT 1\n"
    reading = set()
    for name, pod in found.pods().items():
        (container, *_) = pod["spec"]["containers"]
        if any(mount["name"] == "pipelines" for mount in container["volumeMounts"]):
            reading.add(name)
            (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "pipelines"]
            names = [source["configMap"]["name"] for source in volume["projected"]["sources"]]
            assert names == ["wall-airflow-wall-pipelines", "team-a", "team-b"]
    assert reading == {"dag-processor", "triggerer", "worker"}


def test_a_mount_is_a_folder_so_that_the_kubelet_renews_it() -> None:
    for case in ("pipelines-values", "kubernetes-values", "local-values"):
        for pod in Rendered(*CASES[case]).pods().values():
            for container in pod["spec"]["containers"]:
                for mount in container.get("volumeMounts", []):
                    assert mount["name"] != "pipelines" or "subPath" not in mount


def test_task_pods_find_them_in_their_own_namespace() -> None:
    maps = {
        each["metadata"]["namespace"]
        for each in Rendered(*CASES["kubernetes-values"]).of("ConfigMap")
        if each["metadata"]["name"].endswith("-pipelines")
    }
    assert maps == {"data", "tasks"}


def test_the_pipeline_of_helm_test_is_one() -> None:
    (item,) = load_specs(CHART / "files/airflow_wall_helm_test.yaml", Settings(environment="production"))
    assert not item.faults, item.faults


def renew(folder: Path, files: dict[str, str]) -> None:
    """Write a ConfigMap's files as the kubelet does: a hidden folder, a link to it, links to its files."""
    number = len([path for path in folder.iterdir() if path.name.startswith("..2")])
    fresh = folder / f"..2026_{number}"
    fresh.mkdir()
    for name, text in files.items():
        (fresh / name).write_text(text, encoding="utf-8")
    (folder / "..data_tmp").symlink_to(fresh.name)
    (folder / "..data_tmp").replace(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for link in folder.iterdir():
        if link.is_symlink() and link.name != "..data" and not link.exists():
            link.unlink()


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    (tmp_path / "dags/chart").mkdir(parents=True)
    return tmp_path / "dags/chart"


def test_what_the_kubelet_renews_is_seen(mounted: Path, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "bundle", mounted.parent, stubs=True)

    def seen() -> dict[str, str]:
        mirror.refresh(mounted.parent, Settings())
        return {
            str(path.relative_to(mirror.current)): path.read_text() for path in sorted(mirror.current.rglob("*.yaml"))
        }

    renew(mounted, {"a.yaml": PIPELINE.format("a")})
    assert seen() == {"chart/a.yaml": PIPELINE.format("a")}
    renew(mounted, {"a.yaml": PIPELINE.format("other"), "b.yaml": PIPELINE.format("b")})
    assert seen() == {"chart/a.yaml": PIPELINE.format("other"), "chart/b.yaml": PIPELINE.format("b")}
    renew(mounted, {"b.yaml": PIPELINE.format("b")})
    assert seen() == {"chart/b.yaml": PIPELINE.format("b")}
    assert (mirror.current / "chart/b.yaml.py").is_file()

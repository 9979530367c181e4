"""Files that break in a real Airflow with Postgres: delivered by the loader, from a folder and from Git by the bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow_server import AirflowServer, connected, metadata_of, until, waiting

from airflow_wall.connections import ConnectionInfo

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PIPELINE = """\
dag_id: {dag_id}
schedule: "@continuous"
start_date: 2026-01-01
max_active_runs: 1
tasks:
  - id: start_cluster
    uses: start_cluster
    with: {{cluster: {{type: local}}}}
  - id: work
    uses: airflow.providers.standard.operators.bash.BashOperator
    needs: start_cluster
    with: {{bash_command: "touch {go}_begun; until test -e {go}; do sleep 0.2; done"}}
  - id: stop_cluster
    uses: stop_cluster
    needs: work
"""
"""One run begins as soon as the one before has ended; each works until the file `go` is there."""

QUIET = "dag_id: {dag_id}\ntasks:\n  - id: nothing\n"
BROKEN = "dag_id: {dag_id}\ntasks:\n  - id: nothing\n    usess: bash\n"
STALE = 3
"""Seconds after which Airflow takes a DAG that its file no longer gives for removed."""

LOADER = "from airflow_wall import load_dags  # the DAGs\n\nglobals().update(load_dags(__file__))\n"
BUNDLE = "airflow_wall.bundles.PipelineBundle"
GIT = "airflow.providers.git.bundles.git.GitDagBundle"


@dataclass(frozen=True)
class Delivery:
    """
    One way pipelines come to Airflow.

    :param name: Of the bundle, and the beginning of all ids of its DAGs.
    :param folder: Where the files are written.
    :param go: Runs go on working until this file is there.
    :param published: Called after a change of the files.
    """

    name: str
    folder: Path
    go: Path
    published: Callable[[], object]

    def write(self, file: str, text: str) -> None:
        (self.folder / file).write_text(text, encoding="utf-8")
        self.published()

    def good(self) -> str:
        return PIPELINE.format(dag_id=f"{self.name}_held", go=self.go)


def _git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    done = subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _delivery(root: Path, name: str, published: Callable[[], object] = lambda: None) -> Delivery:
    folder = root / name / "dags"
    folder.mkdir(parents=True)
    found = Delivery(name, folder, root / f"go_{name}", published)
    many = [QUIET.format(dag_id=f"{name}_one"), BROKEN.format(dag_id=f"{name}_bad"), QUIET.format(dag_id=f"{name}_two")]
    for file, text in {"held.yaml": found.good(), "other.yaml": QUIET.format(dag_id=f"{name}_other")}.items():
        (folder / file).write_text(text, encoding="utf-8")
    (folder / "many.yaml").write_text("---\n".join(many), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Delivery]:
    if shutil.which("git") is None:
        pytest.skip("`git` is not installed (Debian: `apt install git`)")
    root = tmp_path_factory.mktemp("deliveries")
    repository = root / "git"

    def commit() -> None:
        _git(repository, "add", "--all")
        _git(repository, "commit", "--quiet", "--message", "Change pipelines")

    found = {
        "loader": _delivery(root, "loader"),
        "folder": _delivery(root, "folder"),
        "git": _delivery(root, "git", commit),
    }
    (found["loader"].folder / "pipelines.py").write_text(LOADER, encoding="utf-8")
    _git(repository, "init", "--quiet", "--initial-branch", "main")
    commit()
    return found


@pytest.fixture(scope="module")
def airflow(
    deliveries: dict[str, Delivery], postgres: ConnectionInfo, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowServer]:
    metadata = metadata_of(postgres, "broken_files")
    repository = deliveries["git"].folder.parent
    git = {"repo_url": str(repository), "tracking_ref": "main", "subdir": "dags"}
    bundles = [
        {
            "name": "loader",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(deliveries["loader"].folder)},
        },
        {"name": "folder", "classpath": BUNDLE, "kwargs": {"path": str(deliveries["folder"].folder)}},
        {"name": "git", "classpath": BUNDLE, "kwargs": {"bundle": {"classpath": GIT, "kwargs": git}}},
    ]
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": metadata,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
        "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": str(STALE),
        "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "1",
        "AIRFLOW__WALL__PROJECT": str(home),
    }
    with AirflowServer(home, deliveries["loader"].folder, environment) as server:
        yield server


@pytest.fixture(autouse=True)
def _consoles_of_a_failure(request: pytest.FixtureRequest, airflow: AirflowServer) -> Iterator[None]:
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        print(airflow.last_lines())  # noqa: T201  # pytest shows it below the failure


@pytest.fixture
def stale(airflow: AirflowServer, postgres: ConnectionInfo) -> Callable[[], dict[str, bool]]:
    """DAG id to whether it is stale, as the metadata database has it."""

    def read() -> dict[str, bool]:
        with connected(postgres, "broken_files") as database:
            return dict(database.execute("select dag_id, is_stale from dag").fetchall())

    return read


def _runs(airflow: AirflowServer, dag_id: str) -> list[dict[str, Any]]:
    return sorted(airflow.get(f"/dags/{dag_id}/dagRuns")["dag_runs"], key=lambda run: str(run["run_after"]))


def _run_under_way(airflow: AirflowServer, dag_id: str) -> str:
    """Id of the first run, once its cluster is up and it works on it."""
    until(lambda: dag_id in airflow.active_dags())
    airflow.client.patch(f"/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
    until(lambda: _runs(airflow, dag_id))
    run_id: str = _runs(airflow, dag_id)[0]["dag_run_id"]
    until(lambda: airflow.states(dag_id, run_id).get("work") == "running")
    assert airflow.states(dag_id, run_id)["start_cluster"] == "success"
    return run_id


@pytest.mark.parametrize("name", ["loader", "folder", "git"])
def test_a_broken_document_has_an_error_under_the_name_of_its_file_and_all_other_dags_are_active(
    name: str, airflow: AirflowServer, stale: Callable[[], dict[str, bool]]
) -> None:
    wanted = {f"{name}_{each}" for each in ("one", "two", "other", "held")}
    until(lambda: wanted <= {dag_id for dag_id, is_stale in stale().items() if not is_stale})
    until(lambda: airflow.errors_of(name))
    errors = airflow.errors_of(name)
    assert list(errors) == ["many.yaml"]
    assert "many.yaml:8:5: `tasks[nothing].usess`" in errors["many.yaml"]
    assert f"{name}_bad" not in stale()


@pytest.mark.parametrize("name", ["folder", "git"])
def test_a_run_under_way_finishes_when_its_file_breaks_and_no_other_begins(
    name: str, airflow: AirflowServer, deliveries: dict[str, Delivery], stale: Callable[[], dict[str, bool]]
) -> None:
    delivery, dag_id = deliveries[name], f"{name}_held"
    run_id = _run_under_way(airflow, dag_id)
    delivery.write("held.yaml", delivery.good().replace("uses: stop_cluster", "uses: stop_clustre"))
    until(lambda: "held.yaml" in airflow.errors_of(name))
    error = airflow.errors_of(name)["held.yaml"]
    assert "error: held.yaml:14:11: `tasks[stop_cluster].uses` names `stop_clustre`, which is no step" in error
    for _ in waiting(STALE + 3):
        assert stale()[dag_id] is False
    assert airflow.get(f"/dagSources/{dag_id}")["content"] == delivery.good()

    delivery.go.touch()
    state, tasks = airflow.finished(dag_id, run_id, timeout=60)
    assert (state, tasks) == ("success", dict.fromkeys(("start_cluster", "work", "stop_cluster"), "success"))
    by_hand = airflow.client.post(f"/dags/{dag_id}/dagRuns", json={"logical_date": "2026-02-01T00:00:00Z"})
    assert by_hand.is_client_error, by_hand.text
    dates = {"from_date": "2026-02-01T00:00:00Z", "to_date": "2026-02-03T00:00:00Z"}
    backfill = airflow.client.post("/backfills", json={"dag_id": dag_id, **dates})
    assert backfill.is_client_error, backfill.text
    for _ in waiting(3):
        assert [run["dag_run_id"] for run in _runs(airflow, dag_id)] == [run_id]

    delivery.write("held.yaml", delivery.good())
    until(lambda: len(_runs(airflow, dag_id)) > 1)
    until(lambda: "held.yaml" not in airflow.errors_of(name))
    airflow.client.patch(f"/dags/{dag_id}", json={"is_paused": True}).raise_for_status()


def test_versions_of_git_are_those_of_the_runs(airflow: AirflowServer, deliveries: dict[str, Delivery]) -> None:
    delivery = deliveries["git"]
    version = _git(delivery.folder, "rev-parse", "HEAD")
    airflow.client.patch("/dags/git_other", json={"is_paused": False}).raise_for_status()
    until(lambda: airflow.get("/dags/git_other/details")["bundle_version"] == version)
    run_id = airflow.trigger("git_other", "2026-03-01T00:00:00Z")
    delivery.write("other.yaml", QUIET.format(dag_id="git_other").replace("nothing", "something"))
    state, tasks = airflow.finished("git_other", run_id)
    assert (state, tasks) == ("success", {"nothing": "success"})
    assert airflow.get(f"/dags/git_other/dagRuns/{run_id}")["bundle_version"] == version


@pytest.mark.parametrize("name", ["folder", "git"])
def test_a_new_file_shows_up_at_the_next_refresh(
    name: str, airflow: AirflowServer, deliveries: dict[str, Delivery]
) -> None:
    deliveries[name].write("new.yaml", QUIET.format(dag_id=f"{name}_new"))
    until(lambda: f"{name}_new" in airflow.active_dags())
    assert airflow.get(f"/dagSources/{name}_new")["content"] == QUIET.format(dag_id=f"{name}_new")


def test_a_run_of_the_loader_stands_still_while_its_file_is_broken_and_then_goes_on(
    airflow: AirflowServer, deliveries: dict[str, Delivery], stale: Callable[[], dict[str, bool]]
) -> None:
    delivery = deliveries["loader"]
    run_id = _run_under_way(airflow, "loader_held")
    until(delivery.go.with_name("go_loader_begun").exists)  # one that has still to read its file could not begin
    delivery.write("held.yaml", delivery.good().replace("uses: stop_cluster", "uses: stop_clustre"))
    until(lambda: stale()["loader_held"])  # nothing holds the last good version for a loader
    until(lambda: "held.yaml" in airflow.errors_of("loader"))
    assert stale()["loader_other"] is False
    delivery.go.touch()
    until(lambda: airflow.states("loader_held", run_id)["work"] == "success")
    assert airflow.states("loader_held", run_id)["stop_cluster"] is None
    delivery.write("held.yaml", delivery.good())
    state, tasks = airflow.finished("loader_held", run_id, timeout=60)
    assert (state, tasks["stop_cluster"]) == ("success", "success")

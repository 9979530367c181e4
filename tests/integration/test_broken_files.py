"""
Files that break in a real Airflow with Postgres: delivered by the loader, by the bundle and, where Airflow has it, by the
importer; from a folder, from Git and, where Airflow's providers of them are installed, from buckets.

`make compat` runs this with the newest Airflow that has importers.

Waits for: an Airflow of its own on Postgres with a bundle for each delivery, and its refreshes.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from airflow_server import AirflowServer, connected, new_metadata, until, waiting
from buckets import BUCKET, Bucket, gcs, has_stores, s3

from airflow_wall.connections.info import ConnectionInfo

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

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
LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
BUNDLE = "airflow_wall.bundles.PipelineBundle"
GIT = "airflow.providers.git.bundles.git.GitDagBundle"
IMPORTER = {"importers": ["airflow_wall.importer.WallImporter"]}

HAS_IMPORTERS = importlib.util.find_spec("airflow.sdk.importers") is not None
IMPORTED = ("importer", "git", "s3") if HAS_IMPORTERS else ()
"""The deliveries whose YAML Airflow reads itself."""

STANDING = ("loader", "importer") if HAS_IMPORTERS else ("loader",)
"""The deliveries that do not hold the last good version."""

HOLDING = ("folder", "git", "s3", "gcs") if has_stores() else ("folder", "git")

SHOWN_AS_PYTHON = {*STANDING, *HOLDING} - {*IMPORTED} if HAS_IMPORTERS else set()
"""The deliveries of which that Airflow shows the Python file that it parses, whatever the DAG says of itself."""


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

    @property
    def held_id(self) -> str:
        return f"{self.name}_held"

    def write(self, file: str, text: str) -> None:
        (self.folder / file).write_text(text, encoding="utf-8")
        self.published()

    def good(self) -> str:
        return PIPELINE.format(dag_id=self.held_id, go=self.go)

    def smash(self) -> None:
        self.write("held.yaml", self.good().replace("uses: stop_cluster", "uses: stop_clustre"))

    def repair(self) -> None:
        self.write("held.yaml", self.good())

    def error_name(self, file: str) -> str:
        """Return the name under which Airflow stores the error of a file that still gives DAGs."""
        return f"{file}#faults" if self.name in IMPORTED else file


def _git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    done = subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _delivery(root: Path, name: str) -> Delivery:
    """The files, and what publishes a change of them."""
    folder = root / name / "dags"
    folder.mkdir(parents=True)

    def publish() -> None:
        if name == "git":
            _git(folder.parent, "add", "--all")
            _git(folder.parent, "commit", "--quiet", "--message", "Change pipelines")

    found = Delivery(name, folder, root / f"go_{name}", publish)
    many = [QUIET.format(dag_id=f"{name}_one"), BROKEN.format(dag_id=f"{name}_bad"), QUIET.format(dag_id=f"{name}_two")]
    for file, text in {"held.yaml": found.good(), "other.yaml": QUIET.format(dag_id=f"{name}_other")}.items():
        (folder / file).write_text(text, encoding="utf-8")
    (folder / "many.yaml").write_text("---\n".join(many), encoding="utf-8")
    if name == "loader":
        (folder / "pipelines.py").write_text(LOADER, encoding="utf-8")
    if name == "git":
        _git(folder.parent, "init", "--quiet", "--initial-branch", "main")
        publish()
    return found


@pytest.fixture(scope="module")
def buckets() -> Iterator[dict[str, Bucket]]:
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(kind()) for name, kind in (("s3", s3), ("gcs", gcs)) if name in HOLDING}


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory, buckets: dict[str, Bucket]) -> dict[str, Delivery]:
    if shutil.which("git") is None:
        pytest.skip("`git` is not installed (Debian: `apt install git`)")
    root = tmp_path_factory.mktemp("deliveries")
    found = {name: _delivery(root, name) for name in STANDING + HOLDING}
    for name, bucket in buckets.items():
        upload = functools.partial(bucket.upload, found[name].folder, "dags")
        upload()
        found[name] = replace(found[name], published=upload)
    return found


def _bundle(delivery: Delivery, buckets: dict[str, Bucket]) -> dict[str, Any]:
    """One entry of `[dag_processor] dag_bundle_config_list`."""
    folder = {"path": str(delivery.folder)}
    if delivery.name in STANDING:
        found = {"classpath": LOCAL, "kwargs": folder}
    elif delivery.name == "folder":
        found = {"classpath": BUNDLE, "kwargs": folder}
    elif delivery.name == "git":
        git = {"repo_url": str(delivery.folder.parent), "tracking_ref": "main", "subdir": "dags"}
        found = {"classpath": BUNDLE, "kwargs": {"bundle": {"classpath": GIT, "kwargs": git}}}
    else:
        bucket = {"classpath": buckets[delivery.name].classpath, "kwargs": {"bucket_name": BUCKET, "prefix": "dags"}}
        found = {"classpath": BUNDLE, "kwargs": {"bundle": bucket}}
    return {"name": delivery.name, **found, **(IMPORTER if delivery.name in IMPORTED else {})}


@pytest.fixture(scope="module")
def airflow(
    deliveries: dict[str, Delivery],
    buckets: dict[str, Bucket],
    postgres: ConnectionInfo,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowServer]:
    metadata = new_metadata(postgres, "broken_files")
    bundles = [_bundle(delivery, buckets) for delivery in deliveries.values()]
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        "AIRFLOW__CORE__PARALLELISM": str(2 * len(bundles)),
        # Airflow 3.4 looks only after this time, 30 s by default, whether a DAG that it holds in memory has changed.
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
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
    for bucket in buckets.values():
        environment |= bucket.environment
    with AirflowServer(home, deliveries["loader"].folder, environment) as server:
        yield server
        for delivery in deliveries.values():  # or after a failure, what runs would go on working for ever
            delivery.go.touch()


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


def _runs_under_way(airflow: AirflowServer, deliveries: list[Delivery]) -> dict[str, str]:
    """DAG id to the id of its first run, of all deliveries, once their clusters are up and they work on them."""
    dag_ids = [delivery.held_id for delivery in deliveries]
    until(lambda: set(dag_ids) <= airflow.active_dags())
    for dag_id in dag_ids:
        airflow.client.patch(f"/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
    until(lambda: all(_runs(airflow, dag_id) for dag_id in dag_ids))
    run_ids = {dag_id: str(_runs(airflow, dag_id)[0]["dag_run_id"]) for dag_id in dag_ids}
    # One that has still to read its file could not begin.
    until(lambda: all(each.go.with_name(f"{each.go.name}_begun").exists() for each in deliveries))
    for dag_id, run_id in run_ids.items():
        assert airflow.states(dag_id, run_id)["start_cluster"] == "success"
    return run_ids


def _error_of(airflow: AirflowServer, delivery: Delivery) -> str:
    name = delivery.error_name("held.yaml")
    return until(lambda: airflow.errors_of(delivery.name).get(name, ""))


def _is_repaired(airflow: AirflowServer, delivery: Delivery) -> bool:
    """Return True if the error is gone, and another run has started."""
    errors = airflow.errors_of(delivery.name)
    return delivery.error_name("held.yaml") not in errors and len(_runs(airflow, delivery.held_id)) > 1


def _source(airflow: AirflowServer, delivery: Delivery) -> str:
    """Return the text in the Code tab of the pipeline that breaks."""
    found: str = airflow.get(f"/dagSources/{delivery.held_id}")["content"]
    return found


def _starts_no_run(airflow: AirflowServer, dag_id: str) -> None:
    """Every request for a run is rejected."""
    by_hand = airflow.client.post(f"/dags/{dag_id}/dagRuns", json={"logical_date": "2026-02-01T00:00:00Z"})
    assert by_hand.is_client_error, by_hand.text
    dates = {"from_date": "2026-02-01T00:00:00Z", "to_date": "2026-02-03T00:00:00Z"}
    backfill = airflow.client.post("/backfills", json={"dag_id": dag_id, **dates})
    assert backfill.is_client_error, backfill.text


@pytest.mark.parametrize("name", STANDING + HOLDING)
def test_a_broken_document_has_an_error_under_the_name_of_its_file_and_all_other_dags_are_active(
    name: str, airflow: AirflowServer, deliveries: dict[str, Delivery], stale: Callable[[], dict[str, bool]]
) -> None:
    wanted = {f"{name}_{each}" for each in ("one", "two", "other", "held")}
    until(lambda: wanted <= {dag_id for dag_id, is_stale in stale().items() if not is_stale})
    errors = until(lambda: airflow.errors_of(name))  # asked again, Airflow may have forgotten them for a moment
    assert list(errors) == [deliveries[name].error_name("many.yaml")]
    (report,) = errors.values()
    assert "many.yaml:8:5: `tasks[nothing].usess`" in report
    assert f"{name}_bad" not in stale()


@pytest.mark.parametrize("name", STANDING + HOLDING)
def test_the_source_of_a_dag_is_its_yaml(name: str, airflow: AirflowServer, deliveries: dict[str, Delivery]) -> None:
    until(lambda: f"{name}_held" in airflow.active_dags())
    source = _source(airflow, deliveries[name])
    if name in SHOWN_AS_PYTHON:
        assert "airflow_wall" in source
    else:
        assert source == deliveries[name].good()


def test_runs_under_way_finish_when_their_file_breaks_and_no_other_begins(
    airflow: AirflowServer, deliveries: dict[str, Delivery], stale: Callable[[], dict[str, bool]]
) -> None:
    holding = [deliveries[name] for name in HOLDING]
    run_ids = _runs_under_way(airflow, holding)
    for each in holding:
        each.smash()
    for each in holding:
        error = _error_of(airflow, each)
        assert "error: held.yaml:14:11: `tasks[stop_cluster].uses` names `stop_clustre`, which is not a step" in error
    for _ in waiting(STALE + 3):
        found = stale()
        assert [dag_id for dag_id in run_ids if found[dag_id]] == []
    for each in holding:
        assert each.name in SHOWN_AS_PYTHON or _source(airflow, each) == each.good()
        each.go.touch()
    for dag_id, run_id in run_ids.items():
        state, tasks = airflow.finished(dag_id, run_id)
        assert (state, tasks) == ("success", dict.fromkeys(("start_cluster", "work", "stop_cluster"), "success"))
        _starts_no_run(airflow, dag_id)
    for _ in waiting(3):
        assert {dag_id: [run["dag_run_id"] for run in _runs(airflow, dag_id)] for dag_id in run_ids} == {
            dag_id: [run_id] for dag_id, run_id in run_ids.items()
        }

    for each in holding:
        each.repair()
    for each in holding:
        until(functools.partial(_is_repaired, airflow, each))
        airflow.client.patch(f"/dags/{each.held_id}", json={"is_paused": True}).raise_for_status()


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


@pytest.mark.parametrize("name", STANDING + HOLDING)
def test_a_new_file_shows_up_at_the_next_refresh(
    name: str, airflow: AirflowServer, deliveries: dict[str, Delivery]
) -> None:
    deliveries[name].write("new.yaml", QUIET.format(dag_id=f"{name}_new"))
    until(lambda: f"{name}_new" in airflow.active_dags())


def test_runs_stand_still_while_their_file_is_broken_where_no_good_version_is_held_and_then_go_on(
    airflow: AirflowServer, deliveries: dict[str, Delivery], stale: Callable[[], dict[str, bool]]
) -> None:
    standing = [deliveries[name] for name in STANDING]
    run_ids = _runs_under_way(airflow, standing)
    for each in standing:
        each.smash()
    for each in standing:
        until(lambda each=each: stale()[each.held_id])
        until(lambda each=each: "held.yaml" in airflow.errors_of(each.name))
        assert stale()[f"{each.name}_other"] is False
        _starts_no_run(airflow, each.held_id)
        each.go.touch()
    for dag_id, run_id in run_ids.items():
        until(lambda dag_id=dag_id, run_id=run_id: airflow.states(dag_id, run_id)["work"] == "success")
        assert airflow.states(dag_id, run_id)["stop_cluster"] is None
        assert [run["dag_run_id"] for run in _runs(airflow, dag_id)] == [run_id]
    for each in standing:
        each.repair()
    for dag_id, run_id in run_ids.items():
        state, tasks = airflow.finished(dag_id, run_id)
        assert (state, tasks["stop_cluster"]) == ("success", "success")

"""
Documents in Airflow's own format, each built by us and, where Airflow has it, by its own importer.

The first word of a document's name says what must come of it: `bad` and `ours` are refused by both, `refused` only by
us and `more` only by Airflow (the two closed lists of docs/reference/airflow-format.md), and all others are built by
both, to equal DAGs. `run.sh` runs this with the newest Airflow that has the importer.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import airflow
import pytest
import yaml
from packaging.version import Version

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from both import by_airflow, by_us  # noqa: E402

DOCUMENTS = sorted(path.stem for path in (HERE / "documents").glob("*.yaml"))
EXPECTED = HERE / "expected"
REWRITE = os.environ.get("REWRITE_CASES") == "1"
"""Set it to write what comes now; then read the difference before it is committed."""

RECORDED_WITH = (3, 3)
"""The Airflow whose serialized DAGs are recorded; those of other versions have other fields."""

pytestmark = pytest.mark.filterwarnings("default")  # documents use what Airflow deprecates, too

VERSION = Version(airflow.__version__).release[:2]
HAS_IMPORTER = importlib.util.find_spec("airflow.sdk.importers") is not None


def of(*kinds: str) -> list[str]:
    return [name for name in DOCUMENTS if name.partition("_")[0] in kinds]


BUILT = [name for name in DOCUMENTS if name not in of("bad", "ours", "refused", "more")]
UNRECORDED = ["merge_list"]  # which mapping of a list wins is the decision of the PyYAML that is installed
NEEDS_3_4 = [name for name in BUILT if name.startswith("run_")]


@pytest.fixture(autouse=True)
def in_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE / "documents")


@pytest.mark.skipif(not HAS_IMPORTER, reason="Airflow's importer came with 3.4; run.sh installs it")
class TestBesideAirflow:
    @pytest.mark.parametrize("name", BUILT)
    def test_both_build_the_same_dag(self, name: str) -> None:
        ours, theirs = by_us(Path(f"{name}.yaml")), by_airflow(Path(f"{name}.yaml"))
        assert not isinstance(theirs, str), theirs
        assert not isinstance(ours, str), ours
        assert ours == theirs

    @pytest.mark.parametrize("name", of("bad", "ours"))
    def test_both_refuse(self, name: str) -> None:
        ours, theirs = by_us(Path(f"{name}.yaml")), by_airflow(Path(f"{name}.yaml"))
        assert isinstance(theirs, str), theirs
        assert isinstance(ours, str), ours

    @pytest.mark.parametrize("name", of("refused"))
    def test_only_we_refuse(self, name: str) -> None:
        ours, theirs = by_us(Path(f"{name}.yaml")), by_airflow(Path(f"{name}.yaml"))
        assert not isinstance(theirs, str), theirs
        assert isinstance(ours, str), ours

    @pytest.mark.parametrize("name", of("more"))
    def test_only_we_build(self, name: str) -> None:
        ours, theirs = by_us(Path(f"{name}.yaml")), by_airflow(Path(f"{name}.yaml"))
        assert isinstance(theirs, str), theirs
        assert not isinstance(ours, str), ours

    def test_the_facts_of_the_format_are_airflows(self) -> None:
        from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS
        from airflow.sdk.importers.yaml_importer.models import DAG_CALLBACK_KEYS, TASK_ASSET_IO_KEYS, TASK_CALLBACK_KEYS
        from airflow.sdk.importers.yaml_importer.versions import get_bundle

        from airflow_wall.language import native

        assert {version.value for version in get_bundle().versions} == set(native.EDITIONS)
        assert KNOWN_CONTEXT_KEYS == native.CONTEXT_NAMES
        assert DAG_CALLBACK_KEYS == native.DAG_DEFERRED
        assert TASK_CALLBACK_KEYS | TASK_ASSET_IO_KEYS == native.TASK_DEFERRED


def test_the_mapping_of_a_merged_list_that_wins_is_that_of_pyyaml() -> None:
    """As in Airflow, which reads by PyYAML: the first one before PyYAML 6.0.4, the last one since."""
    made = by_us(Path("merge_list.yaml"))
    assert not isinstance(made, str), made
    (dag,) = made.values()
    _, expected = yaml.safe_load(Path("merge_list.yaml").read_text())["tasks"]
    assert expected["retries"] in (1, 5)
    assert dag["dag"]["tasks"]["b"]["__var"].get("retries", 0) == expected["retries"]


@pytest.mark.parametrize("name", [name for name in BUILT if VERSION >= (3, 4) or name not in NEEDS_3_4])
def test_every_airflow_builds_it(name: str) -> None:
    made = by_us(Path(f"{name}.yaml"))
    assert not isinstance(made, str), made
    if RECORDED_WITH == VERSION and name not in UNRECORDED:
        compare(json.dumps(made, indent=1, sort_keys=True) + "\n", EXPECTED / f"{name}.json")


@pytest.mark.skipif(VERSION >= (3, 4), reason="this Airflow has `run`")
@pytest.mark.parametrize("name", NEEDS_3_4)
def test_run_needs_a_newer_airflow(name: str) -> None:
    assert "needs Airflow 3.4; this is" in str(by_us(Path(f"{name}.yaml")))


@pytest.mark.parametrize("name", of("bad", "ours", "refused"))
def test_rejected_document_is_reported_with_its_position(name: str) -> None:
    report = by_us(Path(f"{name}.yaml"))
    assert isinstance(report, str), report
    assert report.startswith(f"error: {name}.yaml:")
    if RECORDED_WITH == VERSION:
        compare(f"{report.replace(str(Path.cwd()), 'FOLDER')}\n", EXPECTED / f"{name}.txt")


OTHER_SCALARS = ("moments_for_days", "odd_times", "values_of_time", "what_is_no_time")
"""Documents whose scalars YAML 1.1 and 1.2 read differently, and both can be built."""


@pytest.mark.parametrize("name", [name for name in BUILT if name not in NEEDS_3_4])
def test_without_its_schema_it_is_the_same_dag_or_refused(name: str, request: pytest.FixtureRequest) -> None:
    text = Path(f"{name}.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip("'\"").startswith("$schema")]
    written = Path(f".{name}.yml")  # beside the files that it names
    request.addfinalizer(written.unlink)
    written.write_text("\n".join(lines), encoding="utf-8")
    theirs, ours = by_us(Path(f"{name}.yaml")), by_us(written.absolute())
    if isinstance(ours, str):
        pytest.skip(ours.partition("\n")[0])  # what our format refuses it does not read otherwise
    assert not isinstance(theirs, str), theirs
    for dag in (*theirs.values(), *ours.values()):
        dag["dag"].pop("doc_md", None)  # ours shows the file
    assert (theirs == ours) is not name.endswith(OTHER_SCALARS)


def test_the_closed_lists_are_documented() -> None:
    page = (HERE.parents[1] / "docs" / "reference" / "airflow-format.md").read_text(encoding="utf-8")
    missing = [name for name in of("refused", "more") if f"`{name}`" not in page]
    assert missing == []


def compare(outcome: str, expected: Path) -> None:
    if REWRITE:
        expected.write_text(outcome, encoding="utf-8")
    assert outcome == expected.read_text(encoding="utf-8")

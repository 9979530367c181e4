from __future__ import annotations

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from publish_lab import FILES, Lab, scores

from airflow_wall import state
from airflow_wall.errors import ConnectionFault, DataError, ReleaseError
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.base import ReleaseSite, StagedRows
from airflow_wall.publish.files import FilesWriter
from airflow_wall.publish.rows import RowStream


def test_link_and_pointer_name_the_release(lab: Lab) -> None:
    lab.publish("r1", {"a": FILES})
    folder = lab.storage / "published" / "scores"
    assert str((folder / "current").readlink()) == "releases/r1"
    current = state.read(folder / "current.json") or {}
    assert current.pop("nonce")
    assert current == {"format": 1, "name": "platform", "release": "r1", "files": ["releases/r1/a.parquet"]}
    assert [path.name for path in (folder / "current").iterdir()] == ["a.parquet"]


def test_csv_is_written_when_asked_for_and_replaces_the_parquet_of_an_earlier_try(lab: Lab) -> None:
    lab.open("r1")
    lab.stage("r1", "a", FILES)
    lab.stage("r1", "a", FILES, scores("r1\nx", rows=7), options={"format": "csv"})
    assert lab.close("r1")["rows"] == 7
    (file,) = (lab.storage / "published/scores/current").iterdir()
    options = pacsv.ParseOptions(newlines_in_values=True)
    assert pacsv.read_csv(file, parse_options=options).column("made_by").to_pylist() == ["r1\nx"] * 7


def test_csv_without_rows_is_a_part(lab: Lab) -> None:
    lab.open("r1")
    lab.stage("r1", "a", FILES, scores("r1", rows=0), options={"format": "csv"})
    assert lab.close("r1")["rows"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"format": "xls"},
            "`format` of `files://scores` must be `parquet` or `csv`, got `xls`\n\nhint: write `parquet` or `csv`",
        ),
        (
            {"fromat": "csv"},
            "`fromat` is not an option of `files://scores`; it accepts `format`\n\nhint: did you mean `format`?",
        ),
    ],
)
def test_bad_option_is_refused(lab: Lab, options: dict[str, str], message: str) -> None:
    lab.open("r1")
    with pytest.raises(ReleaseError) as error:
        lab.stage("r1", "a", FILES, options=options)
    assert str(error.value) == message


def test_nested_rows_do_not_fit_csv(lab: Lab) -> None:
    lab.open("r1")
    with pytest.raises(DataError, match="`files://scores`: the rows cannot be written as `csv`"):
        lab.stage("r1", "a", FILES, pa.table({"x": [[1]]}), key=(), options={"format": "csv"})


def test_folder_that_cannot_be_written_is_a_fault_of_the_connection(lab: Lab) -> None:
    lab.open("r1")
    (lab.storage / "published").write_text("a file in the way")
    with pytest.raises(ConnectionFault) as error:
        lab.stage("r1", "a", FILES)
    assert str(error.value) == (
        f"`to`: `files://scores`: directory `{lab.storage}/published/scores` cannot be written: Not a directory\n\n"
        "hint: give the worker's user write access to it, or correct `storage`"
    )


def test_release_that_was_put_back_can_be_staged_again(lab: Lab) -> None:
    site = ReleaseSite("platform", Lake(lab.storage), lab.folder, lab.connection)
    target = FilesWriter(parse_target(FILES), site)
    target.stage("r1", "a", StagedRows(RowStream.of(scores("r1", rows=3))))
    target.stage("r1", "b", StagedRows(RowStream.of(scores("r1", rows=4))))
    target.show({"scores": "r1"})
    target.show({"scores": None})
    assert lab.files() == {}
    target.stage("r1", "a", StagedRows(RowStream.of(scores("r1", rows=5))))
    assert target.count("r1") == {"a": 5, "b": 4}
    target.show({"scores": "r1"})
    assert lab.files() == {"r1": 9}

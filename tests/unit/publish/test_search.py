from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from publish_lab import SEARCH, SQL, Lab, scores

from airflow_wall.errors import ConnectionFault, DataError, ReleaseError
from airflow_wall.publish.search import search


@pytest.fixture
def weather(lab: Lab) -> Lab:
    start = datetime(2013, 7, 1, tzinfo=UTC)
    data = pa.table(
        {
            "domain": ["EWR", "EWR", "JFK"],
            "hour": [start, start + timedelta(hours=5), start + timedelta(days=1)],
            "sky": ["Thunderstorm, rain", "clear_sky", 'clear "blue" sky'],
            "score": [1.25, float("nan"), 3.5],
            "flights": [25, 30, 35],
        }
    )
    lab.open("r1")
    lab.stage("r1", "a", SEARCH, data)
    lab.close("r1")
    return lab


def find(lab: Lab, text: str, limit: int = 10) -> list[object]:
    return [one["flights"] for one in search(lab.connection("platform"), "scores", text, limit, project=lab.folder)]


@pytest.mark.parametrize(
    ("text", "flights"),
    [
        ("ewr", [25, 30]),
        ("EWR storm", []),
        ("thunderstorm EWR", [25]),
        ("2013-07-01", [25, 30]),
        ("2013-07-01T05", [30]),
        ("clear sky", [30, 35]),
        ('"blue', [35]),
        ("sky OR rain) NEAR *", []),
        ("35", []),
        ("", [25, 30, 35]),
    ],
)
def test_documents_are_found_by_all_their_words(weather: Lab, text: str, flights: list[int]) -> None:
    assert sorted(find(weather, text), key=str) == flights


def test_document_gives_back_all_columns(weather: Lab) -> None:
    (documents,) = search(weather.connection("platform"), "scores", "clear_sky EWR", project=weather.folder)
    assert documents == {
        "domain": "EWR", "hour": "2013-07-01T05:00:00+00:00", "sky": "clear_sky", "score": None, "flights": 30,
    }  # fmt: skip


def test_limit_bounds_what_is_found(weather: Lab) -> None:
    assert len(find(weather, "sky", limit=1)) == 1


def test_index_without_a_release_is_refused(weather: Lab) -> None:
    with pytest.raises(DataError) as error:
        search(weather.connection("platform"), "other", "x", project=weather.folder)
    assert str(error.value) == (
        "no release has published `search://platform/other` yet\n\nhint: run the pipeline that publishes it, or check the name"
    )


def test_search_in_a_file_of_another_kind_is_a_fault_of_the_connection(lab: Lab) -> None:
    lab.database.write_text("no database" * 100)
    with pytest.raises(ConnectionFault, match="file is not a database"):
        search(lab.connection("platform"), "scores", "x", project=lab.folder)


def test_index_without_key_is_refused(lab: Lab) -> None:
    lab.open("r1")
    with pytest.raises(ReleaseError) as error:
        lab.stage("r1", "a", SEARCH, key=())
    assert str(error.value) == (
        "`key` is missing: `search://platform/scores` needs the columns that identify a document\n\n"
        "hint: write, e.g., `key: [domain, hour]`"
    )


def test_the_same_key_in_two_parts_is_refused(lab: Lab) -> None:
    lab.open("r1")
    lab.stage("r1", "a", SEARCH, scores("r1", rows=1))
    with pytest.raises(DataError) as error:
        lab.stage("r1", "b", SEARCH, scores("r1", rows=1))
    assert str(error.value) == (
        '`key`: ["EWR",0] is in part `b` and in part `a` of `search://platform/scores`\n\n'
        "hint: add a column to `key`, or let each part hold different rows"
    )


def test_table_and_index_of_one_name_share_a_database_and_move_in_one_transaction(lab: Lab) -> None:
    lab.publish("r1", {"a": SQL, "b": SEARCH})
    with lab.db() as database, database:
        # Moving the index' pointer fails, so the table's must not move either.
        database.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON wall_releases WHEN new.\"table\" = 'search:scores' "
            "BEGIN SELECT raise(ABORT, 'no'); END"
        )
    with pytest.raises(DataError):
        lab.publish("r2", {"a": SQL, "b": SEARCH})
    assert lab.table() == lab.index() == {"r1": 50}


def test_thirteen_thousand_documents_are_staged_fast(lab: Lab) -> None:
    lab.open("r1")
    began = time.process_time()
    lab.stage("r1", "a", SEARCH, scores("r1", rows=13_000))
    assert time.process_time() - began < 3
    assert lab.close("r1")["rows"] == 13_000

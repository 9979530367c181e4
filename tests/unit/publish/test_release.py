from __future__ import annotations

from functools import partial

import pytest
from publish_lab import FILES, SEARCH, SQL, Lab, scores

from airflow_wall import state
from airflow_wall.errors import Interrupted, ReleaseError
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.rows import RowStream

ALL = {"a": SQL, "b": SEARCH, "c": FILES}


def test_release_is_unseen_until_it_closes_and_then_seen_everywhere(lab: Lab) -> None:
    lab.publish("r1", ALL)
    lab.open("r2")
    for part, to in ALL.items():
        assert lab.stage("r2", part, to) == {"rows": 50, "to": to, "part": part}
    assert lab.table() == lab.index() == lab.files() == {"r1": 50}

    result = lab.close("r2", *ALL)

    assert lab.table() == lab.index() == lab.files() == {"r2": 50}
    assert (result["release"], result["rows"], result["previous"]) == ("r2", 150, "r1")
    assert result["targets"] == {SQL: 50, SEARCH: 50, FILES: 50}
    current = lab.releases().current("platform")
    assert current is not None
    assert (current["release"], current["previous"]["release"]) == ("r2", "r1")


def test_opening_twice_adopts_what_is_staged(lab: Lab) -> None:
    first = lab.open("r1", fence=1)
    lab.stage("r1")
    second = lab.open("r1", fence=2)
    assert (first["adopted"], second["adopted"]) == (False, True)
    assert lab.close("r1")["rows"] == 50


def test_staging_again_leaves_the_rows_of_one_try(lab: Lab) -> None:
    lab.open("r1")
    for part, to in ALL.items():
        lab.stage("r1", part, to, scores("r1", rows=80), attempt=1)
        lab.stage("r1", part, to, scores("r1", rows=50), attempt=2)
    assert lab.close("r1", *ALL)["targets"] == dict.fromkeys((SQL, SEARCH, FILES), 50)
    assert lab.table() == lab.index() == lab.files() == {"r1": 50}


def test_close_again_tells_the_same(lab: Lab) -> None:
    lab.publish("r1")
    first = lab.publish("r2")
    assert lab.close("r2") == first


def test_missing_part_rolls_everything_back(lab: Lab) -> None:
    lab.publish("r1", ALL)
    lab.open("r2")
    for part, to in ALL.items():
        lab.stage("r2", part, to)
    with pytest.raises(ReleaseError) as error:
        lab.close("r2", *ALL, "d", "e")
    assert str(error.value) == (
        "release `r2` of `platform` is rolled back: 2 of 5 parts were not staged (`d`, `e`); clients still see release "
        "`r1`\n\nhint: fix the tasks that stage them, then clear the run from `start_sender` on"
    )
    assert lab.table() == lab.index() == lab.files() == {"r1": 50}
    with lab.db() as database:
        assert database.execute("SELECT DISTINCT _release FROM scores__releases").fetchall() == [("r1",)]
        assert len(_indexes(lab)) == 1
    assert [path.name for path in (lab.storage / "published/scores/releases").iterdir()] == ["r1"]
    assert list((lab.storage / "published/scores/.staging").iterdir()) == []


def test_rolled_back_release_can_be_run_again(lab: Lab) -> None:
    lab.open("r1")
    with pytest.raises(ReleaseError):
        lab.close("r1", "a")
    with pytest.raises(ReleaseError) as error:
        lab.stage("r1")
    assert str(error.value) == (
        "release `r1` of `platform` takes no more rows: it is rolled back\n\nhint: clear the run from `start_sender` on"
    )
    with pytest.raises(ReleaseError) as error:
        lab.close("r1")
    assert str(error.value) == (
        "release `r1` of `platform` is rolled back; clients still see nothing\n\n"
        "hint: clear the run from `start_sender` on"
    )
    assert lab.publish("r1", fence=2)["version"] == "r1~2"
    assert lab.table() == {"r1": 50}


def test_rollback_drops_what_is_staged_and_can_be_repeated(lab: Lab) -> None:
    lab.publish("r1")
    lab.open("r2")
    lab.stage("r2")
    for _ in range(2):
        assert lab.releases().rollback("platform", "r2") == {"release": "r2", "current": "r1"}
    assert lab.table() == {"r1": 50}
    assert lab.releases().rollback("platform", "never") == {"release": "never", "current": "r1"}
    with pytest.raises(ReleaseError) as error:
        lab.releases().rollback("platform", "r1")
    assert str(error.value) == (
        "release `r1` of `platform` is committed, so it cannot be rolled back\n\nhint: publish a newer release"
    )


def test_cleared_run_of_a_committed_release_shows_no_gap(lab: Lab) -> None:
    lab.publish("r1", ALL)
    opened = lab.open("r1", fence=2)
    assert (opened["version"], opened["adopted"], opened["current"]) == ("r1~2", False, "r1")
    assert lab.table() == lab.index() == lab.files() == {"r1": 50}
    for part, to in ALL.items():
        lab.stage("r1", part, to, scores("again", rows=60))
    assert lab.table() == lab.index() == lab.files() == {"r1": 50}
    lab.close("r1", *ALL)
    assert lab.table() == lab.index() == lab.files() == {"again": 60}


def test_cleared_run_that_fails_leaves_its_committed_release(lab: Lab) -> None:
    lab.publish("r1", ALL)
    lab.open("r1", fence=2)
    lab.stage("r1", "a", SQL, scores("again"))
    with pytest.raises(ReleaseError):
        lab.close("r1", *ALL)
    assert lab.table() == lab.index() == lab.files() == {"r1": 50}


def test_repeated_try_of_a_committed_part_is_answered_but_other_rows_are_refused(lab: Lab) -> None:
    lab.publish("r1")
    assert lab.stage("r1") == {"rows": 50, "to": SQL, "part": "a"}
    with pytest.raises(ReleaseError) as error:
        lab.stage("r1", data=scores("other"))
    assert str(error.value) == (
        "release `r1` of `platform` is committed, and part `a` now has other rows\n\n"
        "hint: clear the run from `start_sender` on"
    )
    assert lab.table() == {"r1": 50}


def test_a_run_for_an_older_slice_repairs_what_clients_see_and_keeps_the_newest_order(lab: Lab) -> None:
    lab.publish("r2")
    assert lab.publish("r1")["release"] == "r1"
    assert lab.table() == {"r1": 50}
    current = lab.releases().current("platform")
    assert current is not None
    assert (current["release"], current["order"]) == ("r1", "2013-07-02T00:00:00Z")


def test_an_older_slice_shows_no_other_selection_unless_forced(lab: Lab) -> None:
    lab.open("r2")
    lab.stage("r2", selection="day = '2013-07-02'")
    lab.close("r2")
    lab.open("r1")
    with pytest.raises(ReleaseError) as error:
        lab.stage("r1", selection="day = '2013-07-01'")
    assert str(error.value) == (
        "release `r1` of `platform` (2013-07-01T00:00:00Z) would show other rows than `r2` (2013-07-02T00:00:00Z), which "
        "clients see: part `a` selects `day = '2013-07-01'` instead of `day = '2013-07-02'`\n\n"
        "hint: set `force: true` to show them anyway"
    )
    assert lab.table() == {"r2": 50}
    lab.open("r1", force=True)
    lab.stage("r1", selection="day = '2013-07-01'")
    assert lab.close("r1")["release"] == "r1"


def test_slice_overtaken_while_it_is_open_never_moves_the_pointer_back(lab: Lab) -> None:
    lab.open("r1")
    lab.stage("r1")
    lab.open("r3")
    lab.stage("r3")
    lab.stage("r1", "late")
    lab.close("r3")
    with pytest.raises(ReleaseError) as error:
        lab.close("r1")
    assert str(error.value) == (
        "release `r1` of `platform` is not open; clients still see release `r3`\n\n"
        "hint: open it first: clear the run from `start_sender` on"
    )
    assert lab.table() == {"r3": 50}
    with lab.db() as database:
        assert database.execute("SELECT DISTINCT _release FROM scores__releases").fetchall() == [("r3",)]


def test_forced_release_does_not_go_behind_one_committed_after_it_was_opened(lab: Lab) -> None:
    lab.publish("r2")
    lab.open("r1", force=True)
    lab.stage("r1")
    lab.publish("r3")
    with pytest.raises(ReleaseError, match="is not open; clients still see release `r3`"):
        lab.close("r1")
    assert lab.table() == {"r3": 50}


@pytest.mark.parametrize("fences", [(2, 1), ("2026-01-02", "2026-01-01"), ("x", 7)])
def test_older_try_is_fenced_off(lab: Lab, fences: tuple[int | str, int | str]) -> None:
    new, old = fences
    lab.open("r1", fence=new)
    message = (
        f"release `r1` of `platform`: try {old} is refused, because the later try {new} has opened it\n\n"
        "hint: nothing to do: the later try replaces this one"
    )
    for late in (
        lambda: lab.open("r1", fence=old),
        lambda: lab.stage("r1", fence=old),
        lambda: lab.close("r1", fence=old),
    ):
        with pytest.raises(ReleaseError) as error:
            late()
        assert str(error.value) == message
    lab.stage("r1", fence=new)
    assert lab.close("r1", fence=new)["rows"] == 50


def test_zombie_of_a_staging_task_is_fenced_off(lab: Lab) -> None:
    lab.open("r1")
    lab.stage("r1", attempt=2)
    with pytest.raises(ReleaseError) as error:
        lab.stage("r1", data=scores("zombie"), attempt=1)
    assert str(error.value) == (
        "part `a` of release `r1` of `platform`: try 1 is refused, because the later try 2 has started\n\n"
        "hint: nothing to do: the later try replaces this one"
    )
    lab.close("r1")
    assert lab.table() == {"r1": 50}


def test_retry_does_not_write_beside_a_zombie_that_still_stages(lab: Lab) -> None:
    lab.open("r1")
    with state.locked(lab.storage / "_wall/releases/platform/parts/a"):
        hasty = lab.releases(patience=0.1)
        stage = partial(hasty.stage, part="a", to=parse_target(SQL), data=scores("r1"))
        for late in (stage, partial(hasty.close, expected=["a"])):
            with pytest.raises(Interrupted) as error:
                late("platform", "r1")
            assert str(error.value) == (
                "another process has been staging part `a` of release `platform` for more than 0.1 s\n\n"
                "hint: wait until that process ends, or end it; then run this task again"
            )
    lab.stage("r1")
    assert lab.close("r1")["rows"] == 50


def test_part_that_moves_to_another_target_leaves_the_first(lab: Lab) -> None:
    lab.open("r1")
    lab.stage("r1", "a", SQL)
    lab.stage("r1", "a", FILES)
    lab.stage("r1", "b", SQL, scores("r1", rows=7))
    assert lab.close("r1", "a", "b")["targets"] == {FILES: 50, SQL: 7}
    assert lab.table() == {"r1": 7}


def test_part_that_is_not_expected_is_dropped(lab: Lab) -> None:
    lab.open("r1")
    lab.stage("r1", "a")
    lab.stage("r1", "gone", data=scores("gone", "JFK"))
    assert lab.close("r1", "a")["targets"] == {SQL: 50}
    assert lab.table() == {"r1": 50}


def test_rows_that_somebody_else_removed_stop_the_commit(lab: Lab) -> None:
    lab.publish("r1")
    lab.open("r2")
    lab.stage("r2")
    with lab.db() as database, database:
        database.execute("DELETE FROM scores__releases WHERE _release = 'r2' AND hour < 3")
    with pytest.raises(ReleaseError) as error:
        lab.close("r2")
    assert str(error.value) == (
        "release `r2` of `platform` is rolled back: `sql://platform/scores` holds 47 rows of part `a`, but 50 were staged; "
        "clients still see release `r1`\n\nhint: find out what else writes there, then clear the run from `start_sender` on"
    )
    assert lab.table() == {"r1": 50}


def test_last_releases_are_kept_and_older_ones_are_dropped(lab: Lab) -> None:
    for release in ("r1", "r2", "r3"):
        lab.publish(release, ALL, keep=2)
    with lab.db() as database:
        kept = database.execute("SELECT DISTINCT _release FROM scores__releases ORDER BY 1").fetchall()
    assert kept == [("r2",), ("r3",)]
    assert len(_indexes(lab)) == 2
    assert sorted(path.name for path in (lab.storage / "published/scores/releases").iterdir()) == ["r2", "r3"]
    documents = sorted(path.name for path in (lab.storage / "_wall/releases/platform").glob("*.json"))
    assert documents == ["current.json", "r2.json", "r3.json"]


def test_release_without_parts_is_refused(lab: Lab) -> None:
    lab.open("r1")
    with pytest.raises(ReleaseError) as error:
        lab.releases().close("platform", "r1", expected=())
    assert str(error.value) == (
        "release `r1` of `platform` is rolled back: no step stages rows; clients still see nothing\n\n"
        "hint: add a step that stages rows, e.g. `persist`, between `start_sender` and `stop_sender`"
    )


def test_release_that_is_not_open_takes_no_rows(lab: Lab) -> None:
    with pytest.raises(ReleaseError) as error:
        lab.stage("r1")
    assert str(error.value) == (
        "release `r1` of `platform` is not open; clients still see nothing\n\n"
        "hint: open it first: clear the run from `start_sender` on"
    )


@pytest.mark.parametrize(
    ("release", "message"),
    [
        ("../x", "`release` must be letters, digits, `.`, `_` and `-`, beginning with a letter or a digit, got `../x`"),
        ("current", "`release` must not be `current`: the name is reserved"),
    ],
)
def test_bad_release_id_is_refused(lab: Lab, release: str, message: str) -> None:
    with pytest.raises(ReleaseError) as error:
        lab.releases().open("platform", release, order="2013-07-01", fence=1)
    assert str(error.value) == f"{message}\n\nhint: choose another `release`"


def test_order_by_another_type_than_time_is_rejected(lab: Lab) -> None:
    with pytest.raises(ReleaseError) as error:
        lab.releases().open("platform", "r1", order="monday", fence=1)
    assert str(error.value) == (
        "`order` of a release must be an ISO 8601 time, got `monday`\n\nhint: write, e.g., `2013-07-01T00:00:00Z`"
    )


def test_table_of_another_release_name_is_refused(lab: Lab) -> None:
    lab.publish("r1", ALL)
    other = lab.releases()
    other.open("other", "r1", order="2013-07-01", fence=1)
    for to, message in {
        SQL: "`to`: `scores` in connection `platform` belongs to the release `platform`, not to `other`\n\n"
        "hint: use another table in `to`, or stage into that release",
        FILES: "`to`: `files://scores` belongs to the release `platform`, not to `other`\n\n"
        "hint: use another name in `to`, or stage into that release",
    }.items():
        with pytest.raises(ReleaseError) as error:
            other.stage("other", "r1", part="a", to=parse_target(to), data=RowStream.of(scores("other")))
        assert str(error.value) == message


def test_half_committed_release_goes_forward_when_the_next_one_opens(lab: Lab) -> None:
    lab.publish("r1", ALL)
    lab.open("r2")
    for part, to in ALL.items():
        lab.stage("r2", part, to)
    path = lab.storage / "_wall/releases/platform/r2.json"
    document = state.read(path)
    assert document is not None
    # The state after a kill right after the decision to commit.
    state.write(path, {**document, "status": "committing", "before": dict.fromkeys((SQL, SEARCH, FILES), "r1")})
    assert lab.open("r3")["current"] == "r2"
    assert lab.table() == lab.index() == lab.files() == {"r2": 50}


def _indexes(lab: Lab) -> list[str]:
    with lab.db() as database:
        return [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%USING fts5%'")]

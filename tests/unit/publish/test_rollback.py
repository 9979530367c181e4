"""An earlier release is shown again, as a whole, and what was rolled back stays so."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest
from publish_lab import FILES, ORDERS, SEARCH, SQL, Lab, end, scores, start

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ReleaseError

if TYPE_CHECKING:
    from tests.unit.publish.conftest import Receiver

ALL = {"a": SQL, "b": SEARCH, "c": FILES}
WHY = "bad scores"


def restore(lab: Lab, version: str | None = None) -> dict[str, object]:
    return lab.releases().restore("platform", version, reason=WHY)


def views(lab: Lab) -> list[dict[str, int]]:
    return [lab.table(), lab.index(), lab.files()]


def statuses(lab: Lab) -> dict[str, str]:
    return {entry["version"]: entry["status"] for entry in lab.releases().history("platform")}


@pytest.fixture
def published(lab: Lab) -> Lab:
    """Three releases in all targets."""
    for release in ("r1", "r2", "r3"):
        lab.publish(release, ALL)
    return lab


def test_the_release_before_is_shown_again_in_every_target(published: Lab) -> None:
    assert restore(published) == {
        "name": "platform",
        "release": "r2",
        "before": "r3",
        "rolled_back": ["r3"],
        "resent": [],
    }
    assert views(published) == [{"r2": 50}] * 3
    assert published.releases().current("platform")["release"] == "r2"
    assert statuses(published) == {"r3": "rolled back", "r2": "visible", "r1": "kept"}
    assert published.releases().history("platform")[0]["reason"] == WHY


def test_a_rollback_may_be_repeated_go_further_and_be_undone(published: Lab) -> None:
    restore(published, "r1")
    assert statuses(published) == {"r3": "rolled back", "r2": "rolled back", "r1": "visible"}
    assert restore(published, "r1")["before"] == "r1"
    with pytest.raises(ReleaseError, match="no earlier one to roll back to: clients see `r1`"):
        restore(published)
    restore(published, "r3")
    assert views(published) == [{"r3": 50}] * 3
    assert statuses(published) == {"r3": "visible", "r2": "kept", "r1": "kept"}
    assert published.publish("r3", ALL, fence=2)["version"] == "r3~2"


def test_the_next_release_replaces_it_and_deletes_what_was_rolled_back(published: Lab) -> None:
    restore(published)
    published.releases().open("platform", "r4", order="2013-07-04", fence=1)
    published.stage("r4", "a", SQL)
    published.close("r4", "a")
    assert published.table() == {"r4": 50}
    assert statuses(published) == {"r4": "visible", "r2": "kept", "r1": "kept"}
    with published.db() as database:
        kept = database.execute("SELECT DISTINCT _release FROM scores__releases ORDER BY 1").fetchall()
    assert kept == [("r1",), ("r2",), ("r4",)]
    with pytest.raises(ReleaseError, match="release `r3` of `platform` was rolled back"):
        published.open("r3", fence=2)


def test_what_was_rolled_back_is_not_committed_again_by_a_retry_or_a_clear(published: Lab) -> None:
    published.open("r3", fence=2)  # a clear is under way when the person rolls back
    for part, to in ALL.items():
        published.stage("r3", part, to, scores("r3 again"))
    restore(published)
    for again in (
        lambda: published.close("r3", *ALL, fence=1),
        lambda: published.close("r3", *ALL, fence=2),
        lambda: published.close("r3", *ALL),
        lambda: published.stage("r3", "a", SQL),
        lambda: published.open("r3", fence=3),
        lambda: published.open("r3", fence=3, force=True),
    ):
        with pytest.raises(ReleaseError):
            again()
    published.releases().open("platform", "r4", order="2013-07-04", fence=1)  # finishes what was left
    assert views(published) == [{"r2": 50}] * 3


def test_a_person_lets_it_be_committed_again(published: Lab) -> None:
    restore(published)
    with pytest.raises(ReleaseError) as refused:
        published.publish("r3", ALL, fence=2)
    at = str(refused.value).partition(" rolled back at ")[2].partition(": ")[0]
    assert str(refused.value) == (
        f"release `r3` of `platform` was rolled back at {at}: bad scores; clients still see release `r2`\n\n"
        "hint: correct the rows, then let it be published again: `airflow-wall releases allow platform r3`"
    )
    published.releases().allow("platform", "r3")
    assert published.publish("r3", ALL, fence=2)["previous"] == "r2"
    assert views(published) == [{"r3": 50}] * 3
    with pytest.raises(ReleaseError, match="`r3` of `platform` was not rolled back"):
        published.releases().allow("platform", "r3")


def test_an_earlier_generation_of_a_release_is_shown_again(published: Lab) -> None:
    published.open("r3", fence=2)
    published.stage("r3", "a", SQL, scores("worse"))
    published.close("r3", "a")
    restore(published)
    assert views(published) == [{"r3": 50}] * 3
    with pytest.raises(ReleaseError, match="rolled back"):
        published.open("r3", fence=3)


def test_a_target_that_came_later_shows_nothing(lab: Lab) -> None:
    lab.publish("r1", {"a": SQL})
    lab.publish("r2", ALL)
    restore(lab)
    assert [lab.table(), lab.files()] == [{"r1": 50}, {}]
    restore(lab, "r2")
    assert views(lab) == [{"r2": 50}] * 3


def test_a_target_that_was_left_out_later_shows_its_rows_of_that_time(lab: Lab) -> None:
    lab.publish("r1", ALL)
    lab.publish("r2", {"a": SQL, "c": FILES})
    lab.publish("r3", {"a": SQL})
    restore(lab, "r1")
    assert views(lab) == [{"r1": 50}] * 3


@pytest.mark.parametrize("sent", ["r1", "r2"])
def test_rows_that_a_receiver_has_got_are_not_taken_back(lab: Lab, receiver: Receiver, sent: str) -> None:
    lab.connections["hook"] = ConnectionInfo("hook", "http", host=receiver.url)
    for release in ("r1", "r2"):
        lab.publish(release, {"a": SQL, **({"h": "webhook://hook"} if release == sent else {})})
    with pytest.raises(ReleaseError, match="`webhook://hook` has received rows, and they cannot be taken back"):
        restore(lab)
    assert lab.table() == {"r2": 50}
    assert len(receiver.got) == 1
    assert statuses(lab) == {"r2": "visible", "r1": "kept"}


@pytest.mark.parametrize("later", [True, False])
def test_a_receiver_gets_the_old_rows_again_as_a_new_release(lab: Lab, receiver: Receiver, later: bool) -> None:
    lab.connections["hook"] = ConnectionInfo("hook", "http", host=receiver.url)
    for release in ("r1", "r2"):
        lab.publish(release, {"a": SQL, **({"h": "webhook://hook"} if later or release == "r1" else {})})
    sent = len(receiver.got)
    result = lab.releases().restore("platform", reason=WHY, resend=True)
    assert result["resent"] == ["webhook://hook"]
    assert lab.table() == {"r1": 50}
    assert [body for _, body in receiver.got[sent:]] == [receiver.got[0][1]]
    assert receiver.keys[-1].startswith("r1~resent-")
    assert lab.releases().restore("platform", "r1", reason=WHY, resend=True)["resent"] == []
    assert len(receiver.got) == sent + 1
    lab.publish("r3", {"a": SQL, "h": "webhook://hook"})
    assert receiver.keys[-1] == "r3:h"


def test_a_receiver_that_refuses_the_old_rows_leaves_everything_as_it_was(lab: Lab, receiver: Receiver) -> None:
    lab.connections["hook"] = ConnectionInfo("hook", "http", host=receiver.url)
    for release in ("r1", "r2"):
        lab.publish(release, {"a": SQL, "h": "webhook://hook"})
    receiver.answers = [(400, "no")]
    with pytest.raises(ReleaseError, match=r"refused `r1~resent-.*clients still see release `r2`"):
        lab.releases().restore("platform", reason=WHY, resend=True)
    assert lab.table() == {"r2": 50}
    assert statuses(lab) == {"r2": "visible", "r1": "kept"}


def test_a_receiver_that_had_no_rows_then_gets_none_again(lab: Lab, receiver: Receiver) -> None:
    lab.connections["hook"] = ConnectionInfo("hook", "http", host=receiver.url)
    lab.publish("r1", {"a": SQL})
    lab.publish("r2", {"a": SQL, "h": "webhook://hook"})
    with pytest.raises(ReleaseError, match="cannot get the earlier rows again: it had none then"):
        lab.releases().restore("platform", reason=WHY, resend=True)
    assert lab.table() == {"r2": 50}


def test_a_target_that_refuses_leaves_everything_as_it_was(published: Lab) -> None:
    with published.db() as database:
        database.execute("UPDATE wall_releases SET name = 'other' WHERE \"table\" = 'search:scores'")
        database.commit()
    with pytest.raises(ReleaseError, match="no longer owned by release `platform`; clients still see release `r3`"):
        restore(published)
    assert [published.table(), published.files()] == [{"r3": 50}] * 2
    assert statuses(published) == {"r3": "visible", "r2": "kept", "r1": "kept"}


def test_missing_rows_are_not_shown(published: Lab) -> None:
    with published.db() as database:
        database.execute("DELETE FROM scores__releases WHERE _release = 'r2' AND hour < 7")
        database.commit()
    with pytest.raises(ReleaseError, match="holds 43 rows of part `a`, but 50 were published"):
        restore(published)
    assert views(published) == [{"r3": 50}] * 3


@pytest.mark.parametrize(
    ("version", "message"),
    [("r9", "release `r9` of `platform` is not kept, so it cannot be shown again\n\n"
            "hint: name one of these: `r3`, `r2`, `r1`")],
)  # fmt: skip
def test_a_mistake_is_one_message(published: Lab, version: str, message: str) -> None:
    with pytest.raises(ReleaseError) as error:
        restore(published, version)
    assert str(error.value) == message


def test_a_release_of_which_an_older_version_kept_two_is_rolled_back(published: Lab) -> None:
    from airflow_wall import state

    path = published.storage / "_wall" / "releases" / "platform" / "current.json"
    document = state.read(path)
    names = ("release", "version", "order", "rows", "targets", "parts")
    old = {name: document[name] for name in names}
    state.write(path, {**old, "previous": {name: document["previous"][name] for name in names}})
    restore(published)
    assert views(published) == [{"r2": 50}] * 3


def test_a_rollback_that_is_killed_before_any_of_its_steps_is_finished(published: Lab) -> None:
    steps, code, to = 0, -signal.SIGKILL, "r2"
    while code == -signal.SIGKILL:
        code = end(start(published, "restore", to, die_after=steps))
        assert all(view in ({"r2": 50}, {"r3": 50}) for view in views(published))
        if steps % 2:  # either the retry finishes it, or the next release that opens
            restore(published, to)
        else:
            order = ORDERS["r3"]
            current = published.releases().open("platform", "next", order=order, fence=steps + 1)["current"]
            assert views(published) == [{current: 50}] * 3
            restore(published, to)
        assert views(published) == [{to: 50}] * 3
        to, steps = ("r3" if to == "r2" else "r2"), steps + 1
    assert code == 0
    assert steps > 8


def test_a_rollback_that_is_killed_at_random_shows_whole_releases(published: Lab) -> None:
    pick, killed, to = random.Random(3), 0, "r1"
    for _ in range(8):
        process = start(published, "restore", to)
        time.sleep(pick.uniform(0, 0.03))
        process.kill()
        killed += end(process) == -signal.SIGKILL
        restore(published, to)
        assert views(published) == [{to: 50}] * 3
        to = "r3" if to == "r1" else "r1"
    assert killed > 0

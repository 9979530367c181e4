"""A release document in the lake can be forged: it moves and drops nothing of another release."""

from __future__ import annotations

from typing import Any

import pytest
from publish_lab import FILES, ORDERS, SEARCH, SQL, Lab

from airflow_wall import state
from airflow_wall.errors import ReleaseError
from airflow_wall.publish.ledger import COMMITTING, ROLLED_BACK, Release


def part(to: str) -> dict[str, Any]:
    return {"to": to, "attempt": 1, "rows": 1, "digest": "0"}


def forge(lab: Lab, name: str = "thief", **values: Any) -> None:
    """Write the document of a release that no task has made."""
    parts = {f"p{number}": part(to) for number, to in enumerate((FILES, SQL, SEARCH))}
    written = {**Release("r1", ORDERS["r1"], 1).to_json(), "parts": parts, **values}
    state.write(lab.storage / "_wall" / "releases" / name / "r1.json", written)


def seen(lab: Lab) -> list[dict[str, int]]:
    return [lab.files(), lab.table(), lab.index()]


def test_forged_release_drops_nothing_of_another(lab: Lab) -> None:
    lab.publish("r2", {"a": FILES, "b": SQL, "c": SEARCH})
    lab.open("r3")  # what is staged and not yet seen
    for part, to in {"a": FILES, "b": SQL, "c": SEARCH}.items():
        lab.stage("r3", part, to)
    forge(lab, status=ROLLED_BACK)
    lab.releases().open("thief", "r2", order=ORDERS["r2"], fence=1)
    lab.releases().rollback("thief", "r2")
    assert seen(lab) == [{"r2": 50}] * 3
    lab.close("r3", "a", "b", "c")
    assert seen(lab) == [{"r3": 50}] * 3


def test_own_release_that_is_rolled_back_is_dropped(lab: Lab) -> None:
    """The control: the same sweep does drop what belongs to the release."""
    lab.open("r1")
    lab.stage("r1", "a", FILES)
    staged = lab.storage / "published" / "scores" / ".staging" / "r1"
    assert staged.exists()
    lab.releases().rollback("platform", "r1")
    assert not staged.exists()


@pytest.mark.parametrize("to", [FILES, SQL])
def test_forged_release_moves_no_pointer_of_another(lab: Lab, to: str) -> None:
    lab.publish("r2", {"a": FILES, "b": SQL})
    forge(lab, status=COMMITTING, before={to: None}, parts={"a": part(to)})
    with pytest.raises(ReleaseError, match=r"belongs to the release `platform`|no longer owned by release `thief`"):
        lab.releases().open("thief", "r2", order=ORDERS["r2"], fence=1)
    assert [lab.files(), lab.table()] == [{"r2": 50}] * 2


@pytest.mark.parametrize(
    "values",
    [
        {"release": "../../../victim"},
        {"generation": 0},
        {"generation": "~"},
        {"status": "unheard of"},
        {"parts": {"../x": part(FILES)}},
        {"parts": {"a": part("files://../../x")}},
        {"parts": []},
        {"more": 1},
    ],
)
def test_document_that_is_not_of_the_release_is_refused(lab: Lab, values: dict[str, Any]) -> None:
    forge(lab, **values)
    with pytest.raises(ReleaseError, match="is not a valid document of release `r1`"):
        lab.releases().open("thief", "r1", order=ORDERS["r1"], fence=2)

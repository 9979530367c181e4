from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_wall.errors import ConnectionFault, ReleaseError
from airflow_wall.publish.backends import TARGETS, parse_beginning, parse_target
from airflow_wall.registry import modules_of

FORMS = "`files://NAME`, `search://CONN/INDEX`, `sql://CONN/TABLE` or `webhook://CONN`"
TABLE_RULE = (
    "at most 40 lower-case letters, digits and `_`, not beginning with a digit, `sqlite_`, `pg_` or `wall_`, "
    "nor ending in `__releases` or `__search`"
)
WORD_RULE = "letters, digits, `.`, `_` and `-`, beginning with a letter or a digit"


@pytest.mark.parametrize(
    ("to", "parts"),
    [
        ("sql://platform/scores", ("SqlTarget", "platform", "scores")),
        ("search://my-db.eu/scores_2", ("SearchTarget", "my-db.eu", "scores_2")),
        ("files://scores", ("FilesTarget", "", "scores")),
        ("webhook://partner", ("WebhookTarget", "partner", "")),
    ],
)
def test_target_has_a_kind_a_connection_and_a_name(to: str, parts: tuple[str, str, str]) -> None:
    target = parse_target(to)
    assert (type(target).__name__, target.conn_id, target.name) == parts
    assert str(target) == to
    assert {target: 1}[parse_target(to)] == 1


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("sqll://platform/scores", f"`to` must be {FORMS}, got `sqll://platform/scores`\n\n"
         "hint: did you mean `sql://CONN/TABLE`?"),
        ("platform/scores", f"`to` must be {FORMS}, got `platform/scores`\n\nhint: begin it with one of these schemes"),
        ("kaggle://ashrae", f"`to` must be {FORMS}, got `kaggle://ashrae`\n\n"
         "hint: begin it with one of these schemes"),
        ("sql://platform", "`to` must be `sql://CONN/TABLE`, got `sql://platform`\n\n"
         f"hint: add the TABLE: {TABLE_RULE}"),
        ("search://platform/Scores", "`to` must be `search://CONN/INDEX`, got `search://platform/Scores`\n\n"
         f"hint: `Scores` cannot be the INDEX; write {TABLE_RULE}"),
        ("sql://platform/wall_releases", "`to` must be `sql://CONN/TABLE`, got `sql://platform/wall_releases`\n\n"
         f"hint: `wall_releases` cannot be the TABLE; write {TABLE_RULE}"),
        ("sql:///scores", f"`to` must be `sql://CONN/TABLE`, got `sql:///scores`\n\nhint: add the CONN: {WORD_RULE}"),
        ("files://../etc", "`to` must be `files://NAME`, got `files://../etc`\n\n"
         f"hint: `../etc` cannot be the NAME; write {WORD_RULE}"),
        ("webhook://a/b", "`to` must be `webhook://CONN`, got `webhook://a/b`\n\n"
         f"hint: `a/b` cannot be the CONN; write {WORD_RULE}"),
    ],
)  # fmt: skip
def test_bad_target_says_what_is_accepted(to: str, message: str) -> None:
    with pytest.raises(ReleaseError) as error:
        parse_target(to)
    assert str(error.value) == message


def test_address_in_place_of_a_connection_is_not_repeated() -> None:
    with pytest.raises(ConnectionFault, match="by its id, not by an address") as error:
        parse_target("sql://u:hunter2@host/scores")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "conn_id"),
    [("sql://platform/", "platform"), ("sql://platform/scores_", "platform"), ("files://scores/", "")],
)
def test_beginning_names_the_connection(text: str, conn_id: str) -> None:
    target = parse_beginning(text)
    assert target is not None
    assert (target.conn_id, target.name) == (conn_id, "")


@pytest.mark.parametrize("text", ["", "sql", "sql://", "sql://plat", "files://", "nosuch://platform/"])
def test_beginning_that_names_no_connection_is_no_target(text: str) -> None:
    assert parse_beginning(text) is None


def test_each_module_is_a_scheme() -> None:
    assert list(TARGETS) == modules_of("airflow_wall.publish.targets")
    for scheme, target in TARGETS.items():
        assert target.form.startswith(f"{scheme}://")


def test_parsing_imports_no_library() -> None:
    """`airflow-wall validate` parses each `to`."""
    program = (
        "import sys; from airflow_wall.publish.backends import TARGETS, parse_target\n"
        "list(TARGETS.values()); parse_target('sql://a/b')\n"
        "print(*{'pyarrow', 'sqlalchemy', 'httpx', 'airflow', 'pydantic'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""

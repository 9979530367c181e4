from __future__ import annotations

import pytest

from airflow_wall.errors import ReleaseError
from airflow_wall.publish.address import Address, parse

FORMS = "`sql://CONN/TABLE`, `search://CONN/INDEX`, `files://NAME` or `webhook://CONN`"
TABLE_HINT = (
    "at most 40 lower-case letters, digits and `_`, not beginning with a digit, `sqlite_`, `pg_` or `wall_`, "
    "nor ending in `__releases` or `__search`"
)


@pytest.mark.parametrize(
    ("to", "address"),
    [
        ("sql://platform/scores", ("sql", "platform", "scores")),
        ("search://my-db.eu/scores_2", ("search", "my-db.eu", "scores_2")),
        ("files://scores", ("files", "", "scores")),
        ("webhook://partner", ("webhook", "partner", "")),
    ],
)
def test_address_has_scheme_connection_and_name(to: str, address: tuple[str, str, str]) -> None:
    assert parse(to) == Address(to, *address)


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("sqll://platform/scores", f"`to` must be {FORMS}, got `sqll://platform/scores`; the nearest is "
         "`sql://CONN/TABLE`\n\nhint: begin it with one of these schemes"),
        ("platform/scores", f"`to` must be {FORMS}, got `platform/scores`\n\nhint: begin it with one of these schemes"),
        ("kaggle://ashrae", "`to`: `kaggle://ashrae` is not supported by this version yet\n\n"
         f"hint: write {FORMS}"),
        ("sql://platform", "`to` must be `sql://CONN/TABLE`, got `sql://platform`: TABLE is ``\n\n"
         f"hint: give TABLE {TABLE_HINT}"),
        ("search://platform/Scores", "`to` must be `search://CONN/INDEX`, got `search://platform/Scores`: INDEX is "
         f"`Scores`\n\nhint: give INDEX {TABLE_HINT}"),
        ("sql://platform/wall_releases", "`to` must be `sql://CONN/TABLE`, got `sql://platform/wall_releases`: TABLE "
         f"is `wall_releases`\n\nhint: give TABLE {TABLE_HINT}"),
        ("files://../etc", "`to` must be `files://NAME`, got `files://../etc`: NAME is `../etc`\n\nhint: give NAME "
         "letters, digits, `.`, `_` and `-`, beginning with a letter or a digit"),
        ("webhook://a/b", "`to` must be `webhook://CONN`, got `webhook://a/b`: CONN is `a/b`\n\nhint: give CONN "
         "letters, digits, `.`, `_` and `-`, beginning with a letter or a digit"),
    ],
)  # fmt: skip
def test_bad_address_says_what_is_accepted(to: str, message: str) -> None:
    with pytest.raises(ReleaseError) as error:
        parse(to)
    assert str(error.value) == message

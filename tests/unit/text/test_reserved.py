"""Reserved names are found at every depth and in every spelling that a reader or a file system takes for them."""

from __future__ import annotations

import unicodedata

import pytest

from airflow_wall.text.reserved import RESERVED, reserved_part


@pytest.mark.parametrize(
    "path",
    [
        "published/prices",
        "silver/published/prices",
        "PUBLISHED/x",
        "./Published//x",
        "_wall",
        "a/b/_WALL/c",
        "published /x",
        "published./x",
        "publi\u017fhed/x",  # a long s
        "\uff50ublished/x",  # a wide p
        "pub\u200blished/x",  # a space without width
        "\u0440ublished/x",  # a Cyrillic er
        "_w\u0430ll/x",  # a Cyrillic a
        "_wa\uff2c\uff2c",
        "a\\published\\x",
        "bronze/orders/_delta_log/x",
    ],
)
def test_reserved_name_is_found(path: str) -> None:
    assert reserved_part(path) is not None


@pytest.mark.parametrize("path", ["bronze/orders", "publish", "published_prices", "wall", "_wall2", "münchen/日本"])
def test_other_name_is_free(path: str) -> None:
    assert reserved_part(path) is None


def test_comparing_letters_alone_lets_spellings_through() -> None:
    """The control: a file system that folds case takes these for `published`, and `==` does not."""
    for spelled in ("PUBLISHED", "publi\u017fhed"):
        assert spelled not in RESERVED
        assert unicodedata.normalize("NFKC", spelled).casefold() in RESERVED

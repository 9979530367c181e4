"""URLs in texts that people see show where they lead, and nothing else."""

from __future__ import annotations

import time

import pytest

from airflow_wall.redaction import hide, hide_logins, hide_urls, short_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://example.com", "http://example.com"),
        ("https://example.com/services/T0/secret?token=x#y", "https://example.com"),
        ("http://me:secret@example.com:81/a", "http://example.com:81"),
        ("http://secret@[::1]:81/a", "http://[::1]:81"),
        ("http://me:se/cret@example.com", "http://***"),
        ("http://me:12/cret@example.com", "http://***"),
        ("http://me:12#secret@example.com", "http://***"),
        ("http://me:sec@ret@example.com/", "http://example.com"),
        ("postgres://me:secret@/db", "postgres://***"),
        ("http://[secret", "http://***"),
        ("http://h:secret", "http://***"),
    ],
)
def test_url_shows_scheme_and_host(url: str, shown: str) -> None:
    assert short_url(url) == shown
    assert hide_urls(f"`{url}` failed") == f"`{shown}` failed"


@pytest.mark.parametrize("sign", [" ", "'", '"', "<", ">", "`", "' ", ' "', "> <", "`!", "/ ", "@ "])
@pytest.mark.parametrize("login", ["me:sec{}ret", "se{}cret", "m{}e:secret", ":sec{}ret", "me:{}secret", "me:secret{}"])
@pytest.mark.parametrize("around", ["{}", "cannot reach `{}/db`: timed out", "url='{}'", '{{"url": "{}"}}', "<{}>"])
def test_no_part_of_a_login_is_shown_whatever_signs_it_holds(login: str, sign: str, around: str) -> None:
    text = around.format(f"postgres://{login.format(sign)}@example.com")
    for hidden in (hide_urls(text), hide_logins(text)):
        assert "postgres://" in hidden
        assert not {part for part in ("sec", "ret", "me:", "cret") if part in hidden}


@pytest.mark.parametrize(
    "text",
    [
        "see https://example.com/a?b=c, then mail me@example.com",
        "hint: write e.g. `https://example.org/team` or `mailto:team@example.org`",
        "pull https://registry.example.com/a/b@sha256:0123",
        "{to: sql://platform/scores, owner: me@example.com}",
        "{image: registry/a@sha256:0123, to: sql://platform/scores}",
        "http://[::1]:80/a@b",
    ],
)
def test_urls_without_a_login_stay(text: str) -> None:
    assert hide_logins(text) == text


def test_several_lines_are_looked_at_one_by_one() -> None:
    assert hide_urls("at http://me:\nmail a@b") == "at http://me\nmail a@b"


def test_other_text_stays() -> None:
    assert hide_urls("a: b / c :// d, 10:30") == "a: b / c :// d, 10:30"
    assert hide("abc a", ["a", "abc"]) == "abc a"


def test_long_texts_take_linear_time() -> None:
    before = time.process_time()
    long = (
        "a" * 2_000_000,
        "a://" * 300_000,
        "a.:/" * 300_000,
        "http://" + "@" * 1_000_000,
        "http://a.b c@d " * 60_000,
    )
    for text in long:
        hide_urls(text)
    assert time.process_time() - before < 10

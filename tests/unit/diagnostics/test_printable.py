"""Text from outside shows on a terminal as what it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_wall.diagnostics.printable import printable, printable_json, printable_line

UNSAFE = [
    *map(chr, (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0))),
    *map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)),
    *"\u2028\u2029\u200b\ufeff\U000e0041",
    *"\ud800\udbff\udc80\udfff",
]


@pytest.mark.parametrize("sign", UNSAFE, ids=lambda sign: f"{ord(sign):04X}")
def test_unsafe_characters_are_escaped(sign: str) -> None:
    for write in (printable, printable_line):
        written = write(f"a{sign}b")
        assert written.isascii()
        assert written.isprintable()
        assert written.encode().decode("unicode_escape") == f"a{sign}b"


def test_lines_stay_in_text_and_are_escaped_in_a_line() -> None:
    assert printable("a\n\tb") == "a\n\tb"
    assert printable_line("a\n\tb") == r"a\n\tb"


def test_ordinary_text_stays() -> None:
    text = "Zürich, 東京, Ελλάδα, a\N{NO-BREAK SPACE}b, \N{FAMILY}, می\N{ZERO WIDTH NON-JOINER}خواهم, C:\\x"
    assert printable(text) == printable_line(text) == text


@given(st.text(st.characters(), max_size=20) | st.text(st.sampled_from(UNSAFE), max_size=5))
def test_json_means_the_same(text: str) -> None:
    written = printable_json(json.dumps([text], indent=1, ensure_ascii=False))
    assert json.loads(written) == [
        text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    ]  # joins halves
    assert not set(written) & set(UNSAFE)

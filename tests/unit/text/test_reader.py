"""Bytes to values with positions, within bounds."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_wall.diagnostics.faults import FaultyText, SourcePosition
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.reader import MAX_BYTES, read_file, read_text

PATH = Path("x.yaml")


def read(text: str) -> YamlDocument:
    (document,) = read_text(text.encode(), PATH)
    return document


def test_values_and_positions() -> None:
    document = read("a: 1\nb:\n  - x: y\n    z: [2, three]\n")
    assert document.value == {"a": 1, "b": [{"x": "y", "z": [2, "three"]}]}
    assert document.place(("b", 0, "z", 1)) == SourcePosition(4, 12, 5)
    assert document.place(("b", 0, "x"), of_key=True) == SourcePosition(3, 5, 1)


def test_place_of_a_missing_key_is_that_of_its_block() -> None:
    assert read("a: {b: 1}\n").place(("a", "c")) == SourcePosition(1, 1, 1)


def test_place_of_an_item_of_a_single_value_is_that_value() -> None:
    assert read("needs: fit\n").place(("needs", 0)) == SourcePosition(1, 8, 3)


def test_several_documents_are_read_apart() -> None:
    first, second = read_text(b"a: 1\n---\na: 2\n", PATH)
    assert (first.value, second.value) == ({"a": 1}, {"a": 2})
    assert second.place(("a",)).line == 3


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_endings_make_no_difference(ending: str) -> None:
    document = read(f"a: 1{ending}b: 2{ending}")
    assert document.value == {"a": 1, "b": 2}
    assert document.place(("b",)).line == 2


def test_byte_order_mark_is_passed_over() -> None:
    assert read_text(b"\xef\xbb\xbfa: 1\n", PATH)[0].value == {"a": 1}


def test_alias_is_the_value_of_its_anchor() -> None:
    assert read("a: &x [1, 2]\nb: *x\n").value == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 200_000, "nested deeper than 32 levels"),
        (b"x: " + b"a" * 70_000, "value has 70,000 characters; at most 65,536 are read"),
        (b"x: " + b"9" * 200_000, "value has 200,000 characters; at most 65,536 are read"),
        (b"#" * (MAX_BYTES + 1), "file has more than 262,144 bytes"),
        (b"- a\n" * 60_000, "more than 20,000 values"),
        (b"a: &a [*a]", "alias `*a` names no finished anchor before it"),
        (b"a: \xff", "byte 3, `0xff`, is not UTF-8"),
        (b"a: b\x00c", "the character U+0000 is not allowed in YAML"),
    ],
    ids=["depth", "scalar", "digits", "bytes", "values", "self-alias", "encoding", "nul"],
)
def test_hostile_text_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(FaultyText) as error:
        read_text(content, PATH)
    assert message in error.value.faults[0].message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_refused_at_the_level_that_is_too_deep(opening: str) -> None:
    """With any libyaml: newer ones have a bound of their own, and meet it first on a long line."""
    messages = set()
    for levels in (33, 1_500):
        with pytest.raises(FaultyText) as error:
            read_text((opening * levels).encode(), PATH)
        (fault,) = error.value.faults
        messages.add((fault.message, fault.place.line, fault.place.column))
    assert messages == {("nested deeper than 32 levels", 1, 32 * len(opening) + 1)}


def test_hostile_depth_costs_neither_time_nor_stack() -> None:
    program = (
        "import resource, sys; from pathlib import Path; from airflow_wall.text.reader import read_text\n"
        "from airflow_wall.diagnostics.faults import FaultyText\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (5, 5))\n"
        "try: read_text(b'[' * 200_000, Path('x'))\n"
        "except FaultyText: sys.exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 7


def test_file_that_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    with pytest.raises(FaultyText, match="is not a regular file"):
        read_file(tmp_path / "x.yaml")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@ \n\t,?0x.~", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(FaultyText):  # and nothing else
        read_text(text.encode(), PATH)


def test_documents_of_one_file_are_counted() -> None:
    with pytest.raises(FaultyText, match="more than 100 documents"):
        read_text(b"--- {a: 1}\n" * 101, Path("a.yaml"))


def test_values_are_counted_over_all_documents() -> None:
    with pytest.raises(FaultyText, match="more than 20,000 values"):
        read_text((b"--- [" + b"1," * 60_000 + b"]\n") * 2, Path("a.yaml"))

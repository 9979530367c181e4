"""Documents with a mark are read as every program on PyYAML reads them, within our bounds."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.text.reader import read_text

PATH = Path("x.yaml")

VALUES = {
    "booleans": "a: [on, Off, YES, no, y, true, 'on']",
    "keys that are no text": "on: 1\n2020-01-01: 2\n1.5: 3\nnull: 4",
    "numbers": "a: [0123, 0o17, 0x1F, 0b101, 1_000, 12:30, 1:30:00.5, .inf, -.INF, 1e3, 1.5e+3, 08, 685_230.15]",
    "times": "a: [2020-01-01, 2020-01-01T01:02:03, 2020-01-01 01:02:03.25 +2, 2020-01-01T00:00:00Z, '2020-01-01']",
    "nothing": "a: ~\nb:\nc: Null\nd: ''",
    "merge keys": "b: &b {x: 1, y: {z: 2}}\nc: &c {x: 3}\nd: {<<: *b, x: 9}\ne: {<<: [*c, *b], q: 1}\nf: {<<: *b}",
    "merge of a merge": "b: &b {x: 1}\nc: &c {<<: *b, y: 2}\nd: {<<: *c, z: 3}",
    "tags": "a: !!str 12\nb: !!int '12'\nc: !!float 1\nd: !!bool 'yes'\ne: !!null x\nf: !!binary aGk=\ng: ! 12",
    "tagged times": "a: !!timestamp '2020-01-01'\nb: !!str 2020-01-01",
    "sets and pairs": "a: !!set {x, y}\nb: !!omap [x: 1, y: 2]\nc: !!pairs [x: 1, x: 2]\nd: !!seq [1]\ne: !!map {x: 1}",
    "a set in long form": "a: !!set\n  ? x\n  ? y",
    "aliases": "a: &a [1, {b: &b c}]\nd: *a\ne: *b",
    "texts": "a: |\n  one\n  two\nb: >-\n  one\n  two\nc: 'it''s'\nd: \"\\u00e9\\n\"\ne: ${{ vars.x }}",
}


@pytest.mark.parametrize("text", VALUES.values(), ids=VALUES)
def test_values_are_those_of_pyyaml(text: str) -> None:
    text = f"$schema: x\n{text}\n"
    (document,) = read_text(text.encode(), PATH, "$schema")
    assert repr(document.value) == repr(yaml.safe_load(text))
    assert document.is_yaml_1_1


def test_only_a_document_with_the_mark_at_its_top_is_yaml_1_1() -> None:
    text = b"$schema: x\na: on\n---\na: on\nb: {$schema: x}\n---\n- $schema\n---\n{a: on, $schema: x}\n"
    values = [document.value for document in read_text(text, PATH, "$schema")]
    assert values == [
        {"$schema": "x", "a": True},
        {"a": "on", "b": {"$schema": "x"}},
        ["$schema"],
        {"a": True, "$schema": "x"},
    ]


def test_without_a_mark_nothing_is_yaml_1_1() -> None:
    assert read_text(b"$schema: x\na: on\n", PATH)[0].value == {"$schema": "x", "a": "on"}


def test_places_of_merged_values_are_where_they_are_written() -> None:
    (document,) = read_text(b"$schema: x\nb: &b {p: {q: 1}}\nc:\n  <<: *b\n  r: 2\n", PATH, "$schema")
    assert document.place(("c", "p", "q")).line == 2
    assert document.place(("c", "r")).line == 5
    assert document.place(("c", "p"), of_key=True).column == 8


REFUSED = {
    "a key twice": (b"a: 1\na: 2", "key `a` is written twice; the first is on line 2"),
    "keys that are equal": (b"1: 1\nyes: 2", "key `true` is written twice"),
    "a date that is none": (b"a: 2020-13-45", "`2020-13-45` is not a valid timestamp: month must be in 1..12"),
    "a number that is none": (b"a: !!int abc", "`abc` is not a valid int"),
    "a bool that is none": (b"a: !!bool maybe", "`maybe` is not a valid bool"),
    "equals": (b"a: =", "`=` stands for the default of a mapping"),
    "merge as value": (b"a: <<", "`<<` merges mappings and cannot be a value"),
    "merge of text": (b"<<: 5", "expected a mapping or list of mappings for merging"),
    "unknown tag": (b"a: !foo b", "tag `!foo` is refused"),
    "python tag": (b"a: !!python/object/apply:os.system [x]", "tag `tag:yaml.org,2002:python/object/apply:os.system`"),
    "list as key": (b"? [a]\n: 1", "a list or mapping cannot be a key"),
    "anchor twice": (b"a: &z 1\nb: &z 2", "anchor `&z` is set twice"),
    "unknown alias": (b"a: *q", "alias `*q` names no finished anchor"),
    "alias in itself": (b"a: &a [*a]", "alias `*a` names no finished anchor"),
    "long number": (b"a: " + b"9" * 5_000, "number has more than 4,000 digits"),
    "deep": (b"a: " + b"[" * 40, "nested deeper than 32 levels"),
    "deep by aliases": (b"a: &a " + b"[" * 20 + b"]" * 20 + b"\nb: " + b"[" * 20 + b"*a", "nested deeper than 32"),
    "tab": (b"a:\tb", "not YAML"),
    "a set of a list": (b"a: !!set [x]", "expected a mapping node"),
}


@pytest.mark.parametrize(("content", "expected"), REFUSED.values(), ids=REFUSED)
def test_refused(content: bytes, expected: str) -> None:
    with pytest.raises(FaultyText) as raised:
        read_text(b"$schema: x\n" + content, PATH, "$schema")
    assert expected in str(raised.value)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["$schema: x", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(FaultyText, match="more than 20,000 values"):
        read_text("\n".join(lines).encode(), PATH, "$schema")

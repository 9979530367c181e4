"""Params that are refused before anything is matched or compared. Messages are pinned by `tests/cases`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_wall.loader import params
from airflow_wall.loader.load import load_specs
from airflow_wall.loader.params import bounded_schema
from airflow_wall.settings import Settings

EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"


def faults(folder: Path, given: dict[str, Any], *, of_task: bool = False, documents: int = 1) -> list[str]:
    task = {"id": "a", **({"params": given} if of_task else {})}
    document = {"dag_id": "a", "tasks": [task], **({} if of_task else {"params": given})}
    text = "\n---\n".join(json.dumps({**document, "dag_id": f"a{index}"}) for index in range(documents))
    (folder / "a.yaml").write_text(text)
    return [
        f"{fault.message} / {fault.hint}" for spec in load_specs(folder / "a.yaml", Settings()) for fault in spec.faults
    ]


SLOW = [
    {"type": "string", "pattern": ".*.*.*x", "default": "a" * 2_000},
    {"type": "string", "pattern": "x*y", "default": ""},
    {"type": "string", "pattern": ".*.*.*x", "maxLength": 1_000, "default": "a" * 2_000},
    {"type": "string", "pattern": "(a+)+$", "maxLength": 60, "default": "a"},
    {"anyOf": [{"type": "null"}, {"pattern": r"\d+\d+x"}], "default": None},
    {"properties": {"default": {"pattern": "(a|a)*b"}}, "default": {}},
    {"properties": {"enum": {"items": {"if": {"pattern": "(a|a)*b"}}}}, "default": {}},
    {"additionalProperties": {"not": {"pattern": "(a|a)*b"}}, "default": {}},
    {"patternProperties": {"x*y": {}}, "default": {"x" * 900: 1}},
    {"patternProperties": {"x": {"pattern": "(a|a)*b"}}, "default": {}},
    {"propertyNames": {"pattern": "(a|a)*b"}, "default": {}},
    {"dependentSchemas": {"x": {"pattern": "(a|a)*b"}}, "default": {}},
    {"unevaluatedProperties": {"pattern": "(a|a)*b"}, "default": {}},
]


@pytest.mark.parametrize("of_task", [False, True])
@pytest.mark.parametrize("param", SLOW)
def test_slow_patterns_are_refused_wherever_they_stand(tmp_path: Path, param: dict[str, Any], of_task: bool) -> None:
    (message,) = [each for each in faults(tmp_path, {"x": param}, of_task=of_task) if "keyword" not in each]
    assert "to match" in message


def test_a_message_says_how_to_bound_a_pattern(tmp_path: Path) -> None:
    (message,) = faults(tmp_path, {"x": {"pattern": EMAIL, "default": "a@b.c"}})
    assert message.endswith("/ add `maxLength: 500`")
    assert faults(tmp_path, {"x": {"pattern": EMAIL, "maxLength": 500, "default": "a@b.c"}}) == []
    (message,) = faults(tmp_path, {"x": {"pattern": "x*y", "default": "a@b.c"}})
    assert message.endswith("/ begin it with `^`, or add `maxLength: 500`")


COSTLY = {
    "compared with each other": {"uniqueItems": True, "default": [{"a": each} for each in range(1_000)]},
    "each by many schemas": {"items": {"allOf": [{"type": "integer"}] * 300}, "default": [1] * 2_000},
    "each with many values": {"items": {"enum": list(range(5_000))}, "default": [-1] * 2_000},
    "not alike in `required`": {"required": [each if each % 2 else str(each) for each in range(4_000)], "default": {}},
    "many keywords": {"properties": {f"p{each}": {"type": "string"} for each in range(5_000)}, "default": {}},
    "many patterns": {"allOf": [{"pattern": "^a*b$"}] * 300, "default": "a" * 9_000},
    "a pattern as a default": {"format": "regex", "default": r"(?i)" + r"[\u0100-\uffff]" * 160},
    "many patterns as defaults": {"items": {"format": "regex"}, "default": [r"[\u0100-\uffff]"] * 500},
    "long": {"default": "a" * 20_000},
}


@pytest.mark.parametrize("name", COSTLY)
def test_costly_schemas_are_refused_unchecked(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []
    monkeypatch.setattr(params, "_check_by_schema", lambda *given: checked.append(given))
    (message,) = faults(tmp_path, {"x": COSTLY[name]})
    assert "takes too long to check" in message or "characters as JSON" in message
    assert checked == []


def test_work_adds_up_over_a_file(tmp_path: Path) -> None:
    def given(count: int) -> dict[str, Any]:
        return {f"p{each}": {"type": "integer", "minimum": each, "default": each} for each in range(count)}

    assert faults(tmp_path, given(200)) == []
    (message,) = faults(tmp_path, given(900))
    assert "takes too long" in message
    assert len(faults(tmp_path, given(200), documents=20)) == 20


def test_patterns_beyond_the_bound_are_not_analysed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysed: list[str] = []
    work = params.work_of_analysis
    monkeypatch.setattr(params, "work_of_analysis", lambda pattern: analysed.append(pattern) or work(pattern))
    parts = "(?:abc?d?){1,20}(?:b|c)$"
    (message,) = faults(
        tmp_path, {f"p{each}": {"pattern": f"^{each}{parts}", "default": f"{each}abb"} for each in range(600)}
    )
    assert "takes too long" in message
    assert 20 < len(analysed) < 200


def test_a_text_above_max_length_is_not_matched() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": EMAIL, "maxLength": 100}}}
    bounded = bounded_schema(schema)
    for text, is_valid in (("a@b.c", True), ("a", False), ("a@b.c" + "d" * 100, False)):
        assert jsonschema.Draft202012Validator(schema).is_valid({"x": text}) is is_valid
        assert jsonschema.Draft202012Validator(bounded).is_valid({"x": text}) is is_valid

    def seconds(schema: dict[str, Any]) -> float:
        before = time.process_time()
        list(jsonschema.Draft202012Validator(schema).iter_errors({"x": "a@" + "." * 3_000 + "@"}))
        return time.process_time() - before

    assert seconds(bounded) * 5 < seconds(schema)  # the control: without the `if`, the text is matched


@pytest.mark.parametrize(
    "schema", [{"pattern": "^a+$", "maxLength": 3}, {"enum": [{"pattern": EMAIL, "maxLength": 3}]}]
)
def test_other_schemas_stay_as_they_are(schema: dict[str, Any]) -> None:
    assert bounded_schema(schema) == schema

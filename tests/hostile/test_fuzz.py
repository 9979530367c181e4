"""
Generated texts: only our own errors, in bounded time, the same twice, whatever the order of keys.

`make test` runs few examples, the same each time. `FUZZ=1 pytest tests/hostile/test_fuzz.py` runs thousands, new each time; `make fuzz`
is guided by coverage.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment

from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.language.markers import MARKERS
from airflow_wall.language.native import SCHEMA_KEY
from airflow_wall.language.pipeline import Group, Pipeline, Task
from airflow_wall.language.step_registry import STEPS
from airflow_wall.loader.load import load_spec, pipelines_among
from airflow_wall.loader.templates import disallowed_part
from airflow_wall.planner.plan import Plan
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings
from airflow_wall.text.reader import read_text

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]
PATH = ROOT / "dags" / "fuzzed.yaml"
DEEP = os.environ.get("FUZZ") == "1"
PROFILE = settings(
    max_examples=20_000 if DEEP else 200,
    derandomize=not DEEP,
    database=None,
    deadline=None,  # of the clock, which on a loaded machine says nothing: `holds` bounds what the processor does
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
OPEN = Settings(env={"REGION": "eu"}, environment="production")
RESTRICTED = Settings(env={"REGION": "eu"}, environment="production", policy="restricted")

KEYS = sorted(
    {
        info.alias or name
        for model in (Pipeline, Task, Group, *STEPS.values())
        for name, info in model.model_fields.items()
    }
    | {*MARKERS, SCHEMA_KEY, "production", "x"}
)
NAMES = st.sampled_from(["a", "b", "g", "g.a", "load", "x"])
SCALARS = st.one_of(
    NAMES,
    st.sampled_from(
        [*STEPS, *KEYS, "a.b.C", "a:b", "5m", "P1D", "@daily", "0 3 * * *", "sql/normalize.sql", "{{ ds }}"]
    ),
    st.sampled_from(
        ["${{ vars.x }}", "${{ matrix.x }}", "${{ env.REGION }}", "a${{ vars.x }}b", "sql://c/t", "files://n"]
    ),
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
TASKS = st.recursive(
    st.fixed_dictionaries(
        {"id": NAMES},
        optional={
            "uses": st.sampled_from([*STEPS, "a.b.C"]),
            "needs": NAMES | st.lists(NAMES, max_size=3),
            "matrix": st.dictionaries(st.just("x"), st.lists(SCALARS, max_size=3), max_size=2),
            "with": st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5),
            "retries": SCALARS,
            "trigger_rule": SCALARS,
        },
    ),
    lambda inner: st.fixed_dictionaries({"id": NAMES, "tasks": st.lists(inner, max_size=4)}, optional={"needs": NAMES}),
    max_leaves=8,
)
PIPELINES = st.fixed_dictionaries(
    {"dag_id": NAMES, "tasks": st.lists(TASKS, min_size=1, max_size=5)},
    optional={
        "vars": st.fixed_dictionaries({"x": VALUES}),
        "environments": st.fixed_dictionaries(
            {"production": st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3)}
        ),
        "schedule": VALUES,
        "params": VALUES,
        "default_args": VALUES,
        "notify": VALUES,
        "deadline": VALUES,
    },
) | st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)
CORPUS = [path.read_bytes() for folder in ("dags", "tests/cases") for path in sorted((ROOT / folder).rglob("*.yaml"))]


def outcome(content: bytes, chosen: Settings) -> list[Plan] | str:
    """The plans of a text, or its faults. Anything else is a bug."""
    try:
        documents = pipelines_among(read_text(content, PATH, SCHEMA_KEY))
        return plan_all([load_spec(document, chosen) for document in documents], chosen)
    except FaultyText as error:
        return str(error)


def holds(content: bytes) -> None:
    begun = time.process_time()
    for chosen in (OPEN, RESTRICTED):
        found = outcome(content, chosen)
        assert outcome(content, chosen) == found
        if isinstance(found, str):
            assert found.startswith("error: ")
    assert time.process_time() - begun < 10


@PROFILE
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(content: bytes) -> None:
    holds(content)
    holds(b"dag_id: a\ntasks:\n- id: a\n  " + content)


@PROFILE
@given(PIPELINES)
def test_any_structure(value: Any) -> None:
    holds(json.dumps(value).encode())


@PROFILE
@given(st.data())
def test_any_change_of_a_pipeline(data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(CORPUS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 40)))
        other = data.draw(st.sampled_from(CORPUS))
        at = data.draw(st.integers(0, len(other)))
        piece = data.draw(
            st.sampled_from([b"", b"\n", b"  ", b"- ", b": ", b"[", b"}", b"'", b"&a ", b"*a", other[at : at + 40]])
        )
        content = content[:start] + piece + content[end:]
    holds(content)


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(each) for each in value] if isinstance(value, list) else value


def content_of(plan: Plan) -> Any:
    """Return a plan without its text and positions."""
    tasks = {
        task.task_id: (task.uses, task.arguments, task.settings, task.upstream, task.group, task.closes)
        for task in plan.tasks
    }
    groups = {group.group_id: group.parent for group in plan.groups}
    return plan.dag_id, plan.arguments, plan.default_args, plan.timezone, tasks, groups, plan.storage


@PROFILE
@given(PIPELINES)
def test_the_order_of_keys_means_nothing(value: dict[str, Any]) -> None:
    matrices = json.dumps(value).count('"matrix"')  # their order is that of the repetitions
    found, other = (outcome(json.dumps(each).encode(), OPEN) for each in (value, reversed_keys(value)))
    assert isinstance(found, str) == isinstance(other, str)
    if not isinstance(found, str) and not isinstance(other, str) and not matrices:
        assert [content_of(plan) for plan in found] == [content_of(plan) for plan in other]


@PROFILE
@given(
    st.lists(
        st.sampled_from(
            ["{{", "}}", "{%", "%}", "{#", "#}", " ", "ds", "params", "ti", ".", "_", "x", "|", "lower", "attr", "(", ")", "[", "]",
             "'", '"', "1", "+", "~", "raw", "endraw", "set", "=", "if", "\n", "-", "{", "}"]
        ),
        max_size=14,
    ).map("".join)
)  # fmt: skip
def test_a_template_that_is_allowed_only_fills_in_names(text: str) -> None:
    if disallowed_part(text, ()) is not None:
        return
    environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined)
    with contextlib.suppress(jinja2.UndefinedError):
        environment.from_string(text).render(ds="2013-07-01", params={"x": "v"}, ti=Watched(), attr=Watched())


class Watched:
    """Says when a template looks into what it may not name."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)

    def __str__(self) -> str:
        raise AssertionError


def test_what_the_fuzzer_found() -> None:
    files = sorted((ROOT / "tests" / "fuzz" / "corpus").iterdir())
    for file in files:
        holds(file.read_bytes())
    assert files

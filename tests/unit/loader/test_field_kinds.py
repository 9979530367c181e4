"""Every field of the language declares what its values are, and policy `restricted` is closed to those that do not."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from installed_packages import installed, write_package
from pydantic import BaseModel, Field

import airflow_wall.checks
import airflow_wall.language
from airflow_wall.checks.backends import CHECKS
from airflow_wall.checks.base import Check
from airflow_wall.errors import SpecError
from airflow_wall.language import native
from airflow_wall.language.base import SpecModel
from airflow_wall.language.cluster_registry import CLUSTERS
from airflow_wall.language.notify import Channel
from airflow_wall.language.operator import OperatorArguments
from airflow_wall.language.pipeline import Group, Pipeline, Task
from airflow_wall.language.step_registry import STEPS
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings
from airflow_wall.text.kinds import (
    Beyond,
    Connection,
    FieldKind,
    Leaf,
    Plain,
    Table,
    fields_of,
    gaps,
    leaves,
    rules_below,
)

FREE_IN_CHECKS = {FieldKind.PLAIN, FieldKind.SQL, FieldKind.TABLE, FieldKind.MODEL}
"""
Kinds that a check may have: checks that a task finds when it runs are parsed, and nobody asks policy any more. The store
and the registry parse the names of tables and models again.
"""


def every_block() -> list[type[BaseModel]]:
    """Every block of the language that is defined anywhere in the package."""
    for package in (airflow_wall.language, airflow_wall.checks):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)

    def below(block: type[BaseModel]) -> Iterator[type[BaseModel]]:
        for each in block.__subclasses__():
            yield each
            yield from below(each)

    found = [Check, *below(Check), SpecModel, *below(SpecModel)]
    return [each for each in dict.fromkeys(found) if each.__module__.startswith("airflow_wall.")]


@pytest.mark.parametrize("block", every_block(), ids=lambda block: block.__name__)
def test_every_field_declares_its_kind(block: type[BaseModel]) -> None:
    assert gaps(block) == []


def test_the_walk_comes_to_every_part_of_the_language() -> None:
    blocks = set(every_block())
    assert blocks >= {Pipeline, Task, Group, OperatorArguments, *STEPS.values(), *CLUSTERS.values(), *CHECKS.values()}
    assert blocks >= set(Channel.__subclasses__())

    def reached(block: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
        if block not in seen:
            seen.add(block)
            for field in fields_of(block):
                for shape in (field.shape, field.shape.items, field.shape.values):
                    for inner in shape.blocks if shape is not None else ():
                        reached(inner, seen)
        return seen

    for block in (Pipeline, *STEPS.values()):
        assert reached(block, set()) <= blocks


class Inner(SpecModel):
    """A block in a block."""

    named: Connection[str]
    forgotten: str = ""


class Outer(SpecModel):
    """A block with fields of all sorts, some without a kind."""

    plain: Plain[str] = ""
    bounded: Annotated[str, Field(min_length=1), FieldKind.TABLE] = "a"
    some: list[str] = Field([])
    mapped: dict[str, Any] = Field({})
    mixed: Plain[int] | str = 0
    inner: Inner | None = None
    blocks: list[Inner] = Field([])
    anything: Any = None
    switch: bool = False
    choice: Literal["a"] = "a"


def test_field_without_a_kind_is_found() -> None:
    """The control: the walk finds every sort of field that does not say what it is."""
    assert gaps(Outer) == ["some", "mapped", "mixed", "anything", "switch", "choice"]
    assert gaps(Inner) == ["forgotten"]


def test_leaves_are_what_was_written_with_its_kind() -> None:
    inner = {"named": "a", "forgotten": "b"}
    block = Outer.model_validate(
        {"plain": "x", "some": ["y"], "mapped": {"k": {"v": 1}}, "mixed": 1, "blocks": [inner]}
    )
    assert list(leaves(block, ("with",))) == [
        Leaf((FieldKind.PLAIN,), "x", ("with", "plain")),
        Leaf((), "y", ("with", "some", 0)),
        Leaf((), {"v": 1}, ("with", "mapped", "k")),
        Leaf((), 1, ("with", "mixed")),
        Leaf((FieldKind.CONNECTION,), "a", ("with", "blocks", 0, "named")),
        Leaf((), "b", ("with", "blocks", 0, "forgotten")),
    ]


class Defaulted(SpecModel):
    """A block in which null stands for a default, and one in which it stands for nothing."""

    asked: Annotated[str | None, FieldKind.CLOUD_CONNECTION] = None
    nothing: Connection[str] | None = None


def test_null_is_a_leaf_where_its_kind_covers_it() -> None:
    assert list(leaves(Defaulted(), ())) == [Leaf((FieldKind.CLOUD_CONNECTION,), None, ("asked",))]
    assert list(leaves(Defaulted(asked=None, nothing=None), ())) == [
        Leaf((FieldKind.CLOUD_CONNECTION,), None, ("asked",))
    ]


def test_value_that_is_not_known_yet_has_every_kind_of_its_field() -> None:
    shapes = {field.name: field.shape for field in fields_of(Outer)}
    assert rules_below(shapes["blocks"]) == (FieldKind.CONNECTION,)
    assert rules_below(shapes["bounded"]) == (FieldKind.TABLE,)


def test_checks_have_no_kind_that_needs_permission() -> None:
    for check in CHECKS.values():
        for field in fields_of(check):
            assert set(rules_below(field.shape)) <= FREE_IN_CHECKS, (check, field.key)


def test_arguments_of_airflow_have_a_kind_each() -> None:
    assert native.DAG_KINDS.keys() == native.DAG_ARGUMENTS
    assert native.TASK_ARGUMENTS | native.TASK_DEFERRED | native.RESERVED - {"task_id"} == native.TASK_KINDS.keys()
    for kinds in (native.DAG_KINDS, native.TASK_KINDS):
        assert all(isinstance(rule, Beyond) or rule in (FieldKind.PLAIN, FieldKind.TEMPLATE) for rule in kinds.values())
    for block, kinds in ((Pipeline, native.DAG_KINDS), (Task, native.TASK_KINDS)):
        for field in fields_of(block):  # a value that is not plain in our format is not plain in Airflow's
            if field.key in kinds and {*rules_below(field.shape)} != {FieldKind.PLAIN}:
                assert kinds[field.key] != FieldKind.PLAIN, field.key


class Shed(SpecModel):
    """A kind of cluster of another package."""

    type: Plain[Literal["shed"]]
    doors: Plain[int] = 1
    lender: Connection[str] | None = None
    path: str = "/"
    tools: dict[str, Any] = Field({})


@pytest.fixture
def _shed(tmp_path: Path) -> Iterator[None]:
    write_package(tmp_path / "packages", "sheds", {}, {"airflow_wall.cluster_specs": {"shed": f"{__name__}:Shed"}})
    with installed(tmp_path / "packages"):
        yield


def refused(tmp_path: Path, keys: str, **settings: Any) -> list[str]:
    """Return what is refused of a cluster of another package."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        f"dag_id: a\ntasks:\n  - id: t\n    uses: start_cluster\n    with: {{cluster: {{type: shed, {keys}}}}}\n"
        "  - {id: stop, uses: stop_cluster, needs: t}\n"
    )
    plan_all(load_specs(path, Settings()), Settings())
    restricted = Settings(policy="restricted", **settings)
    try:
        plan_all(load_specs(path, restricted), restricted)
    except SpecError as error:
        return [line.partition(": `tasks[t].with.cluster")[2] for line in str(error).splitlines() if "error: " in line]
    return []


@pytest.mark.usefixtures("_shed")
def test_field_of_another_package_without_a_kind_is_refused(tmp_path: Path) -> None:
    why = "has no kind that policy could follow from, which this deployment does not allow"
    assert refused(tmp_path, "doors: 2") == []
    assert refused(tmp_path, "path: /tmp") == [f".path` {why}"]
    assert refused(tmp_path, "tools: {a: {b: 1}, c: 2}") == [f".tools.a` {why}", f".tools.c` {why}"]


@pytest.mark.usefixtures("_shed")
def test_field_of_another_package_follows_its_kind(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, "lender: bank")
    assert found.startswith(".lender` names the connection `bank`")
    assert refused(tmp_path, "lender: bank", allowed_connections=("bank",)) == []


def test_kinds_stand_in_the_types(tmp_path: Path) -> None:
    kinds = {field.key: field.shape.rules for field in fields_of(STEPS["ingest"])}
    assert (kinds["source"], kinds["target"], kinds["options"]) == (
        (FieldKind.SOURCE,),
        (FieldKind.TABLE,),
        (FieldKind.PLAIN,),
    )
    assert Table[str] == Annotated[str, FieldKind.TABLE]

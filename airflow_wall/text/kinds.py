"""
The kinds of values in a pipeline. Policy `restricted` follows from the kind of a value alone.

Each field of each block of the language declares one, e.g. `target: Table[Text]`. A field without one is refused under
`restricted`, because its effects are unknown.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel

from airflow_wall.diagnostics.faults import Loc


class FieldKind(StrEnum):
    """The kind of a value: what it names. Policy decides by this what the value may do."""

    PLAIN = "plain"
    """A number, a choice, a name or a text that names nothing outside the pipeline."""
    SQL = "SQL"
    """SQL text. The engine that runs it sees its inputs, and no file, network or setting."""
    TABLE = "table"
    """The name of a table of the lake. The store parses it again when the task runs."""
    MODEL = "model"
    """The name of a model of the lake. The registry parses it again when the task runs."""
    LAKE = "lake"
    """A folder that holds tables."""
    SOURCE = "source"
    """A path below the lake, or `sql://CONNECTION/TABLE`."""
    TARGET = "target"
    """The target of a release, as `TargetOnly` of `airflow_wall.language.steps.base` parses it."""
    CONNECTION = "connection"
    """The id of an Airflow connection."""
    CLOUD_CONNECTION = "cloud connection"
    """The id of the connection by which a cloud is used."""
    CODE = "code"
    """`module:name` of Python beside the pipeline."""
    CLASS = "class"
    """The dotted path of a class or an error of an installed package."""
    CHECKS = "checks"
    """The checks of a table. Each is a block of its own, with kinds of its own."""
    OPERATOR = "operator"
    """The dotted path of an operator, or the bare name of a step."""
    ARGUMENTS = "arguments"
    """The arguments of `uses`. A step has its own block for them; others are allowed if the operator is."""
    TEMPLATE = "template"
    """A text that Airflow renders as a Jinja template, marked or not."""
    VARIABLE = "variable"
    """The name of an Airflow variable."""
    REQUIREMENT = "requirement"
    """A package to install."""
    PYTHON = "python"
    """The path of an interpreter, or a version of Python."""
    IMAGE = "image"
    """A container image, or what the machines of a cluster run."""
    IDENTITY = "identity"
    """A role or a service account that a cloud is used as."""
    RESOURCE = "resource"
    """A bucket, a project, a network or another thing of a cloud."""


@dataclass(frozen=True)
class Beyond:
    """
    The rule of a field that is never allowed under `restricted`, with any value.

    :param reason: The effect of the field, e.g. `chooses the Unix user`.
    """

    reason: str


Rule = FieldKind | Beyond

T = TypeVar("T")
Plain = Annotated[T, FieldKind.PLAIN]
Sql = Annotated[T, FieldKind.SQL]
Table = Annotated[T, FieldKind.TABLE]
ModelName = Annotated[T, FieldKind.MODEL]
Connection = Annotated[T, FieldKind.CONNECTION]
CloudConnection = Annotated[T, FieldKind.CLOUD_CONNECTION]
Code = Annotated[T, FieldKind.CODE]
ClassPath = Annotated[T, FieldKind.CLASS]
Operator = Annotated[T, FieldKind.OPERATOR]
Arguments = Annotated[T, FieldKind.ARGUMENTS]
TemplateText = Annotated[T, FieldKind.TEMPLATE]
Variable = Annotated[T, FieldKind.VARIABLE]
Identity = Annotated[T, FieldKind.IDENTITY]
Resource = Annotated[T, FieldKind.RESOURCE]


@dataclass(frozen=True)
class Leaf:
    """
    One value of a block.

    :param rules: Its kinds, or why it is never allowed; empty if none is declared.
    :param loc: Its place in the document.
    """

    rules: tuple[Rule, ...]
    value: Any
    loc: Loc


@dataclass(frozen=True)
class Shape:
    """
    The rules for the values of one type.

    :param rules: The rules of values that are neither a block nor a list or mapping with `items` or `values`.
    :param items: The shape of the items of a list.
    :param values: The shape of the values of a mapping.
    :param blocks: The blocks that a value may be.
    :param has_gap: True if some value of the type would have no rule.
    """

    rules: tuple[Rule, ...] = ()
    items: Shape | None = None
    values: Shape | None = None
    blocks: tuple[type[BaseModel], ...] = ()
    has_gap: bool = False


@dataclass(frozen=True)
class Field:
    """
    One field of a block.

    :param key: Its name in the YAML.
    :param asks_null: True if its kind covers null, as in `CloudConnection[str | None]`. Null then stands for a default
        that policy must allow, too. In `Connection[str] | None`, null means that no connection is used.
    """

    name: str
    key: str
    shape: Shape
    asks_null: bool


@functools.cache
def fields_of(block: type[BaseModel]) -> tuple[Field, ...]:
    """Return the fields of a block."""
    fields = []
    for name, info in block.model_fields.items():
        whole = whole_type(info)
        shape = shape_of(whole)
        asks_null = bool(shape.rules) and types.NoneType in typing.get_args(typing.get_args(whole)[0])
        fields.append(Field(name, info.alias or name, shape, asks_null))
    return tuple(fields)


def whole_type(info: Any) -> Any:
    """Return the type of a field as declared. Pydantic moves the metadata of the outermost `Annotated` out of it."""
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def shape_of(annotation: Any) -> Shape:
    """Return the rules for the values of a type."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        rules = tuple(argument for argument in arguments[1:] if isinstance(argument, FieldKind | Beyond))
        return Shape(rules) if rules else shape_of(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _merged([shape_of(argument) for argument in arguments if argument is not types.NoneType])
    if origin in (list, set, tuple, frozenset):
        return Shape(items=_merged([shape_of(argument) for argument in arguments if argument is not ...]))
    if origin in (dict, Mapping):
        return Shape(values=shape_of(arguments[1]))  # a key is a name
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Shape(blocks=(annotation,))
    return Shape(has_gap=True)


def _merged(shapes: list[Shape]) -> Shape:
    items = [shape.items for shape in shapes if shape.items is not None]
    values = [shape.values for shape in shapes if shape.values is not None]
    return Shape(
        rules=tuple(dict.fromkeys(rule for shape in shapes for rule in shape.rules)),
        items=_merged(items) if items else None,
        values=_merged(values) if values else None,
        blocks=tuple(block for shape in shapes for block in shape.blocks),
        has_gap=any(shape.has_gap for shape in shapes),
    )


def leaves(block: BaseModel, loc: Loc) -> Iterator[Leaf]:
    """
    Yield every value of a parsed block and of the blocks in it.

    Defaults are left out, because the author did not write them. A null that stands for a default is included.
    """
    for field in fields_of(type(block)):
        value = getattr(block, field.name, None)
        if value is None:
            if field.asks_null:
                yield Leaf(field.shape.rules, None, (*loc, field.key))
        elif field.name in block.model_fields_set:
            yield from _leaves(field.shape, value, (*loc, field.key))


def _leaves(shape: Shape, value: Any, loc: Loc) -> Iterator[Leaf]:
    if isinstance(value, BaseModel) and (shape.blocks or not shape.rules):
        yield from leaves(value, loc)
    elif isinstance(value, list | tuple | set | frozenset) and shape.items is not None:
        for index, item in enumerate(value):
            yield from _leaves(shape.items, item, (*loc, index))
    elif isinstance(value, Mapping) and shape.values is not None:
        for key, item in value.items():
            yield from _leaves(shape.values, item, (*loc, key))
    else:
        yield Leaf(() if shape.has_gap else shape.rules, value, loc)


def rules_below(shape: Shape, within: frozenset[type[BaseModel]] = frozenset()) -> tuple[Rule, ...]:
    """Return the rules of everything that a value of this shape may hold, for a value that is not known yet."""
    rules = [*shape.rules]
    for inner in (shape.items, shape.values):
        rules += rules_below(inner, within) if inner is not None else ()
    for block in variants_of(shape):
        if block not in within:  # blocks may hold themselves
            rules += [rule for field in fields_of(block) for rule in rules_below(field.shape, within | {block})]
    return tuple(dict.fromkeys(rules))


def variants_of(shape: Shape) -> tuple[type[BaseModel], ...]:
    """Return the blocks that a value may be, with one for each `type` where a block has several kinds."""
    return tuple(
        variant for block in shape.blocks for variant in (block.variants() if hasattr(block, "variants") else (block,))
    )


def gaps(block: type[BaseModel]) -> list[str]:
    """Return the keys of a block's fields whose values have no kind. Blocks in it are not looked into."""
    return [field.key for field in fields_of(block) if _has_gap(field.shape)]


def _has_gap(shape: Shape) -> bool:
    inner = [part for part in (shape.items, shape.values) if part is not None]
    return shape.has_gap or any(_has_gap(part) for part in inner)

"""The `Spec`: one pipeline as written and checked, with every `${{ }}` and matrix resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_wall.diagnostics.faults import Fault, Loc
from airflow_wall.language.native import NativePipeline
from airflow_wall.language.pipeline import Group, Head, Task
from airflow_wall.language.steps.base import Step
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.places import Places


@dataclass(frozen=True)
class Item:
    """
    One task or group, or one repetition of it by a `matrix`.

    :param id: Its id in its group. The id of a repetition ends with its values, e.g. `etl_domain_1`.
    :param repeats: The id as written, which stands for all repetitions; None without a matrix.
    :param block: The checked block.
    :param step: The checked `with` of a step; None for other operators and groups.
    :param arguments: The `with` of any other operator, with markers replaced by their objects.
    :param loc: Its path in the document.
    :param items: The items of a group.
    :param run: Arguments of a task handler outside Airflow, with markers replaced by their objects; None if an operator
        does the work.
    :param mapped: `expand` or `expand_kwargs` of a task, with markers replaced by their objects.
    """

    id: str
    repeats: str | None
    block: Task | Group
    step: Step | None
    arguments: Mapping[str, Any]
    loc: Loc
    items: tuple[Item, ...] = ()
    run: Mapping[str, Any] | None = None
    mapped: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """
    The origin of a value of the head or of `vars` that an environment or an included file gives.

    :param key: The key path of the value, e.g. `vars.rows`.
    :param value: The value, as text.
    :param path: The file in which it is written.
    :param line: Its line, from 1.
    :param environment: The environment that gives it; None if an included file does.
    """

    key: str
    value: str
    path: Path
    line: int
    environment: str | None


@dataclass(frozen=True)
class Spec:
    """
    One pipeline.

    :param path: Its file, as the caller named it.
    :param document: Its text with positions.
    :param head: Its keys besides the tasks, with the environment applied.
    :param items: Its tasks and groups in the order of the file.
    :param places: The positions of its values in the text.
    :param environment: The environment in force, if the file has any.
    :param warnings: Values that are allowed, but probably a mistake.
    :param faults: The faults that loading it found. Planning raises them, with those that only the graph shows.
    :param lost: True if items are missing here because of faults, so that the graph would show false faults.
    :param native: The content of a document in Airflow's own format, which has no items.
    :param origins: The origins of values that an environment or an included file gives.
    """

    path: Path
    document: YamlDocument = field(repr=False)
    head: Head
    items: tuple[Item, ...]
    places: Places = field(repr=False, compare=False)
    environment: str | None
    warnings: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()
    lost: bool = False
    native: NativePipeline | None = None
    origins: tuple[Origin, ...] = ()

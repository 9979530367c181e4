"""The Spec: one pipeline as it was written, checked, with every `${{ }}` and matrix resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_wall.spec.native import NativePipeline
from airflow_wall.spec.pipeline import Group, Head, Task
from airflow_wall.spec.steps.base import Step
from airflow_wall.text.faults import Fault, Loc
from airflow_wall.text.places import Places
from airflow_wall.text.reader import Document


@dataclass(frozen=True)
class Item:
    """
    One task or group, one repetition of it where it had a `matrix`.

    :param id: Its id in its group; of a repetition with the values, e.g. `etl_domain_1`.
    :param repeats: The id as written, that stands for all repetitions; None where there is no matrix.
    :param block: What was written, checked.
    :param step: The checked `with` of a step of ours; None for other operators and groups.
    :param arguments: The `with` of any other operator, markers resolved.
    :param loc: Where it stands in the document.
    :param items: The items of a group.
    :param run: What a task handler outside Airflow is given, markers resolved; None where an operator does the work.
    :param mapped: `expand` or `expand_kwargs` of a task, markers resolved.
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
    Where a value of the head or of `vars` comes from that does not stand in its own place.

    :param key: Which value, e.g. `vars.rows`.
    :param value: What was written, as text.
    :param path: The file it stands in.
    :param line: Its line, from 1.
    :param environment: The environment that lays it over; None of what is included.
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
    :param head: What it says of itself, the environment applied.
    :param items: Its tasks and groups in the order of the file.
    :param places: Where its values stand in the text.
    :param environment: The environment in force, if the file has any.
    :param warnings: What is allowed, but probably not meant.
    :param faults: What is wrong with it so far. Planning it raises them, with those that only the graph shows.
    :param lost: Whether items are missing here because of faults, so that the graph would show false ones.
    :param native: What a document in Airflow's own format says, which has no items.
    :param origins: Where its values come from that an environment lays over, or a file that is included gives.
    """

    path: Path
    document: Document = field(repr=False)
    head: Head
    items: tuple[Item, ...]
    places: Places = field(repr=False, compare=False)
    environment: str | None
    warnings: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()
    lost: bool = False
    native: NativePipeline | None = None
    origins: tuple[Origin, ...] = ()

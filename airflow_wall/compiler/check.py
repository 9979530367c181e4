"""Check files: everything that can be said of them before a DAG is built, of every file, in one go."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from airflow_wall.compiler.plan import Plan
from airflow_wall.compiler.planner import plan
from airflow_wall.errors import WallError
from airflow_wall.loader.ids import Bearer, shared_ids
from airflow_wall.loader.load import load_spec, pipelines_in
from airflow_wall.settings import Settings
from airflow_wall.spec.document import Spec
from airflow_wall.text.faults import Fault, FaultyText
from airflow_wall.text.reader import Document

_WORTH_A_PROCESS = 100
"""Files that take longer than it takes to start a process."""

_ITEM = re.compile(r"tasks\[[^\]]*\](\.tasks\[[^\]]*\])*")
"""The part of a key path that names a task or group."""

Further = Callable[[Plan], Iterable[Fault]]
"""More faults of a plan than its text can tell."""


@dataclass
class Checked:
    """
    What was found in one file.

    :param path: The file.
    :param pipelines: Its pipelines; none where it is not one of ours, or cannot be read.
    :param faults: All of its faults.
    :param warnings: What is allowed, but probably not meant.
    :param defect: A failure of ours that the file met, as one would report it.
    """

    path: Path
    pipelines: list[Bearer] = field(default_factory=list)
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    defect: str | None = None

    @property
    def skipped(self) -> bool:
        """Whether it is YAML of somebody else."""
        return not (self.pipelines or self.faults or self.defect)


def check_files(files: Iterable[Path], settings: Settings, further: Further | None = None) -> list[Checked]:
    """
    Check files, one by one and together; many are shared out among the cores.

    :param further: What else to ask of every plan.
    """
    check = functools.partial(_check, settings=settings, further=further)
    files = list(files)
    processes = len(files) // _WORTH_A_PROCESS
    if sys.platform == "linux" and processes > 1 and further is None:  # elsewhere a process begins with all imports
        import multiprocessing

        processes = min(processes, len(os.sched_getaffinity(0)))
        with multiprocessing.get_context("fork").Pool(processes, _ignore_interrupts) as pool:
            checked = pool.map(check, files)
    else:
        checked = [check(file) for file in files]
    shared = shared_ids(bearer for each in checked for bearer in each.pipelines)
    for each in checked:
        if each.path in shared:
            found = shared[each.path].faults
            each.faults = FaultyText((*each.faults, *found), found[0].text).faults
    return checked


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for the process that waits


def _check(file: Path, settings: Settings, further: Further | None) -> Checked:
    found = Checked(file)
    try:
        documents = pipelines_in(file)
        faults: list[Fault] = []
        for document in documents:
            faults += _check_document(document, settings, further, found)
        if faults:
            found.faults = FaultyText(faults, documents[0].text).faults
    except FaultyText as error:
        found.faults = error.faults
    except Exception as error:
        found.defect = defect_of(file, error)
    return found


def _check_document(
    document: Document, settings: Settings, further: Further | None, found: Checked
) -> tuple[Fault, ...]:
    spec = load_spec(document, settings)
    found.pipelines.append(Bearer.of(spec))
    found.warnings += spec.warnings
    try:
        made = plan(spec, settings)
    except FaultyText as error:
        faults = error.faults
        if further is not None:
            faults += tuple(_further_of_the_rest(spec, settings, further, faults))
    else:
        faults = tuple(further(made)) if further else ()
    return (*faults, *_in_other_environments(document, settings, faults))


def _further_of_the_rest(spec: Spec, settings: Settings, further: Further, known: Iterable[Fault]) -> Iterator[Fault]:
    """What else is to be said of the tasks that have no fault so far, where the graph can be made of what there is."""
    with contextlib.suppress(FaultyText):
        faulty = {_item_of(fault) for fault in known}
        yield from (
            fault for fault in further(plan(replace(spec, faults=()), settings)) if _item_of(fault) not in faulty
        )


def _item_of(fault: Fault) -> str | None:
    found = _ITEM.match(fault.key or "")
    return found.group() if found else None


def _in_other_environments(document: Document, settings: Settings, known: Iterable[Fault]) -> Iterator[Fault]:
    """The faults that a pipeline would have where another of its environments is in force, each told once."""
    told = {(fault.place, fault.message) for fault in known}
    environments = document.value.get("environments")
    for name in environments if isinstance(environments, dict) else ():
        if name == settings.environment:
            continue
        other = replace(settings, environment=name)
        try:
            plan(load_spec(document, other), other)
        except FaultyText as error:
            for fault in error.faults:
                if (fault.place, fault.message) not in told:
                    told.add((fault.place, fault.message))
                    yield replace(fault, message=f"{fault.message} (in environment `{name}`)")


def defect_of(file: Path, error: Exception) -> str:
    """What a failure says that is no fault of the file's author: all of it, so that it can be reported."""
    if isinstance(error, WallError):
        return str(error)
    details = "".join(traceback.format_exception(error)).rstrip()
    return f"error: {file}: airflow-wall failed, by a defect of its own that this file meets\n\n{details}"

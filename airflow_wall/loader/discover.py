"""Find the pipeline files of a folder, and pipelines with the same id."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from airflow_wall.diagnostics.faults import Fault, FaultyText, SourcePosition
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.language.document import Spec

SUFFIXES = (".yaml", ".yml")


class FileKind(StrEnum):
    """The kinds of YAML files in a folder of pipelines."""

    PIPELINE = "pipeline"
    CHECKS = "file of checks"
    SHARED = "shared file"
    CONTRACT = "contract"
    CONNECTIONS = "file of connections"
    OTHER = "other YAML file"


def yaml_files(folder: Path) -> Iterator[Path]:
    """
    Yield every YAML file below `folder`, sorted, so that the result does not depend on the order of the disk.

    Hidden files and directories are left out. `folder` may also be one file.
    """
    if not folder.is_dir():
        yield folder
        return
    yield from sorted(Path(path) for path in _below(folder))


def _below(folder: str | Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)
            elif entry.name.endswith(SUFFIXES) and entry.is_file():
                yield entry.path


_LISTED = 8
"""The most positions of other pipelines in a message."""


@dataclass(frozen=True)
class PipelineId:
    """
    The id of a pipeline with its position. Keeping only this of a thousand pipelines saves memory.

    :param dag_id: The id.
    :param path: The file.
    :param place: The position of the id in it.
    :param text: The text of the file.
    """

    dag_id: str
    path: Path
    place: SourcePosition
    text: str = field(repr=False)

    @classmethod
    def of(cls, spec: Spec) -> PipelineId:
        """Return the id of a pipeline."""
        return cls(spec.head.dag_id, spec.path, spec.document.place(("dag_id",)), spec.document.text)


def duplicate_ids(ids: Iterable[PipelineId]) -> dict[Path, FaultyText]:
    """
    Return the fault of every file with a pipeline whose id another pipeline has, too.

    A file that has an id several times gets one fault, at the first of them.
    """
    by_id: dict[str, dict[Path, list[PipelineId]]] = defaultdict(lambda: defaultdict(list))
    for pipeline_id in ids:
        by_id[pipeline_id.dag_id][pipeline_id.path].append(pipeline_id)
    faults: dict[Path, list[Fault]] = defaultdict(list)
    texts: dict[Path, str] = {}
    for dag_id, by_file in by_id.items():
        if sum(map(len, by_file.values())) == 1:
            continue
        # Each file names the first positions only, so that the messages grow with the files, not with their square.
        first = list(itertools.islice(itertools.chain(*by_file.values()), _LISTED + 1))
        count = sum(map(len, by_file.values()))
        for path, (pipeline_id, *_) in by_file.items():
            others = [f"{other.path}:{other.place.line}" for other in first if other is not pipeline_id][:_LISTED]
            more = f" and {count - 1 - len(others)} more" if count - 1 > len(others) else ""
            message = f"`dag_id` must be unique, got `{dag_id}`, which is also that of {listed(others)}{more}"
            hint = "give one of them another id" if count == 2 else "give each of them another id"
            faults[path].append(Fault(path, pipeline_id.place, message, hint, key="dag_id"))
            texts[path] = pipeline_id.text
    return {path: FaultyText(in_file, texts[path]) for path, in_file in faults.items()}

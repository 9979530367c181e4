"""Ids over all files: no two pipelines may have the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from airflow_wall.spec.document import Spec
from airflow_wall.text.faults import Fault, FaultyText, Place


@dataclass(frozen=True)
class Bearer:
    """
    What has to be kept of a pipeline to say that another one has its id: of a thousand, the rest is much.

    :param dag_id: The id.
    :param path: The file.
    :param place: Where the id stands in it.
    :param text: The text of the file.
    """

    dag_id: str
    path: Path
    place: Place
    text: str = field(repr=False)

    @classmethod
    def of(cls, spec: Spec) -> Bearer:
        """What is kept of a pipeline."""
        return cls(spec.head.dag_id, spec.path, spec.document.place(("dag_id",)), spec.document.text)


def shared_ids(bearers: Iterable[Bearer]) -> dict[Path, FaultyText]:
    """File to its fault, for every file with a pipeline whose id another one has: which is meant cannot be known."""
    by_id: dict[str, list[Bearer]] = defaultdict(list)
    for bearer in bearers:
        by_id[bearer.dag_id].append(bearer)
    faults: dict[Path, list[Fault]] = defaultdict(list)
    texts: dict[Path, str] = {}
    for dag_id, sharing in by_id.items():
        for bearer in sharing:
            others = ", ".join(f"`{other.path}:{other.place.line}`" for other in sharing if other is not bearer)
            if others:
                message = f"`dag_id` must be unique, got `{dag_id}`, which is also that of {others}"
                hint = "give one of them another id"
                faults[bearer.path].append(Fault(bearer.path, bearer.place, message, hint, key="dag_id"))
                texts[bearer.path] = bearer.text
    return {path: FaultyText(found, texts[path]) for path, found in faults.items()}

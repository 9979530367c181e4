"""The markers of Airflow's YAML format, which are replaced when a DAG is built or a task runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

JINJA = re.compile(r"\{[{%#]")
"""The beginning of an expression, a statement or a comment of Jinja."""


@dataclass(frozen=True)
class Template:
    """`{$t: text}`: Jinja, rendered when the task runs; `{$t: {$f: path}}` takes the text from a file."""

    text: str

    def __str__(self) -> str:
        return f"{{$t: {self.text}}}"


@dataclass(frozen=True)
class XComRef:
    """`{$x: task}` or `{$x: {task: ..., key: ...}}`: the result of another task, read when the task runs."""

    task: str
    key: str | None = None

    def __str__(self) -> str:
        return f"{{$x: {self.task}}}" if self.key is None else f"{{$x: {{task: {self.task}, key: {self.key}}}}}"


@dataclass(frozen=True)
class FileRef:
    """`{$f: path}`: the text of a file beside the pipeline, read when the DAG is built."""

    path: str


@dataclass(frozen=True)
class FileText:
    """The text of a file that `$f` named, in Airflow's own format, which treats it differently from other text."""

    text: str


@dataclass(frozen=True)
class Const:
    """`{$const: value}`: the value as written, even if its keys look like markers."""

    value: Any


@dataclass(frozen=True)
class Import:
    """`{$import: "module:name"}`: the Python object of that name beside the pipeline, when the DAG is built."""

    reference: str


MARKERS = {
    "$t": Template,
    "$template": Template,
    "$x": XComRef,
    "$xcom": XComRef,
    "$f": FileRef,
    "$file": FileRef,
    "$const": Const,
    "$import": Import,
}
"""Key of a marker to its class."""

Marker = Template | XComRef | FileRef | FileText | Const | Import


def plain(value: Any) -> Any:
    """Return a value with each template, file text and constant in it as what it holds. Other markers stay."""
    if isinstance(value, Template | FileText):
        return value.text
    if isinstance(value, Const):
        return value.value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value

"""
The files of a new project, from the folders below `templates`.

The folder `common` holds the files of every project, `csv` those of a project for a CSV file, `ci` and
`ci-...` those for continuous integration, and each other folder those of one template. A file that ends in
`.jinja` is rendered, with `<< >>` and `<% %>` because pipelines use `{{ }}` and `${{ }}` themselves. Others are copied.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

_SUFFIX = ".jinja"
_COMMON = "common"
_CI = "ci"


class Ci(StrEnum):
    """A service for continuous integration."""

    GITHUB = "github"
    GITLAB = "gitlab"


class TemplateName(StrEnum):
    """The name of a template, which is that of its folder."""

    MINIMAL = "minimal"
    TRAINING = "training"
    SQL_ONLY = "sql-only"
    ARTICLE = "article"


@dataclass(frozen=True)
class ProjectTemplate:
    """
    A template.

    :param about: Its first line in the README.
    :param pipeline: Name of its pipeline, without `.yaml`.
    :param date: A date that has sample data.
    :param published: Address of a published table.
    """

    name: TemplateName
    about: str
    pipeline: str
    date: str
    published: str


TEMPLATES = {
    template.name: template
    for template in (
        ProjectTemplate(
            TemplateName.MINIMAL,
            "A pipeline of five tasks: orders of each day become the revenue of each customer, which is checked and "
            "published.",
            "orders",
            "2024-03-01",
            "sql://platform/revenue",
        ),
        ProjectTemplate(
            TemplateName.TRAINING,
            "A pipeline that trains a model on customers, and publishes how likely each of them is to leave.",
            "churn",
            "2024-03-01",
            "sql://platform/churn",
        ),
        ProjectTemplate(
            TemplateName.SQL_ONLY,
            "A pipeline of SQL alone: orders and customers become clean tables, and a report of sales by country.",
            "sales",
            "2024-03-01",
            "sql://platform/sales_by_country",
        ),
        ProjectTemplate(
            TemplateName.ARTICLE,
            "The pipeline of the DataOps article: three domains, one model retrained on a cluster, scores that clients "
            "see all at once.",
            "scores",
            "2024-03-01",
            "sql://platform/scores",
        ),
    )
}
"""Name to template."""


def render(folder: str, values: Mapping[str, Any]) -> dict[str, str]:
    """
    Return path to text of the files of a folder of templates.

    :param values: The values for their placeholders.
    """
    import jinja2  # the other commands do not need it

    environment = jinja2.Environment(  # noqa: S701  # the files are no HTML
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(quoted=_quoted, flow=_flow, block=_block, python=repr)
    rendered = {}
    for path, file in _walk(files("airflow_wall.project") / "templates" / folder, ""):
        text = file.read_text(encoding="utf-8")
        if path.endswith(_SUFFIX):
            path, text = path.removesuffix(_SUFFIX), environment.from_string(text).render(values)
        rendered[path] = text
    return rendered


def common(values: Mapping[str, Any], ci: Ci | None = None) -> dict[str, str]:
    """Return path to text of the files of every project, and of those for continuous integration."""
    folders = (_COMMON,) if ci is None else (_COMMON, _CI, f"{_CI}-{ci}")
    return {path: text for folder in folders for path, text in render(folder, values).items()}


def _quoted(text: object) -> str:
    """Return a text in double quotes, as YAML, JSON and Python read it."""
    return json.dumps(str(text), ensure_ascii=False)


def _flow(value: object) -> str:
    """Return a value as YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")


def _block(value: object) -> str:
    """Return a value as YAML of several lines."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n")


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry

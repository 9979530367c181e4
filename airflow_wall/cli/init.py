"""`airflow-wall init`: make a project that runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall import __version__
from airflow_wall.cli.output import out, short, write_file
from airflow_wall.cli.schema import json_schema
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import WallError
from airflow_wall.project.templates import TEMPLATES, Template, TemplateName, common, render

SCHEMA_FILE = "dags/airflow-wall.schema.json"


def init(
    folder: Annotated[Path, typer.Argument(help="The folder of the project; by default this one.")] = Path(),
    template: Annotated[TemplateName, typer.Option(help="The pipeline to begin with.")] = TemplateName.MINIMAL,
) -> None:
    """
    Make a project that runs: a pipeline with sample data, tests, connections, and settings of the editor.

    It never overwrites a file.
    """
    chosen = TEMPLATES[template]
    files = render(chosen.name, _values(folder, chosen)) | common(_values(folder, chosen))
    _write(folder, files | {SCHEMA_FILE: json.dumps(json_schema(), indent=2) + "\n"})
    _show_next(folder, chosen)


def _values(folder: Path, template: Template) -> dict[str, str]:
    """Return the values of the placeholders."""
    return {
        "project": folder.absolute().name or "project",
        "version": ".".join(__version__.split(".")[:2]),
        "about": template.about,
        "pipeline": template.pipeline,
        "date": template.date,
        "published": template.published,
    }


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """
    Write the files, or none of them.

    :raises WallError: one of them exists, or a file is in the place of a folder.
    """
    existing = [short(folder / path) for path in sorted(files) if (folder / path).exists()]
    if existing:
        verb = "exists" if len(existing) == 1 else "exist"
        raise WallError(
            f"{listed(existing, 5)} {verb} already, and `init` overwrites no file; nothing was written",
            hint="name another folder, or move the file away" if len(existing) == 1 else "name another folder",
        )
    places = {parent for path in files for parent in (folder / path).parents}
    if blocking := [place for place in sorted(places) if place.exists() and not place.is_dir()]:
        raise WallError(
            f"`{short(blocking[0])}` must be a folder, and is a file",
            hint="name another folder, or move the file away",
        )
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_file(folder / path, text)


def _show_next(folder: Path, template: Template) -> None:
    """Print the commands that run the project."""
    console = out()
    console.print(f"made `{short(folder.absolute())}`: {template.about}\n")
    if folder.absolute() != Path.cwd():
        console.print(f"  cd {_quoted(folder)}")
    console.print("  airflow-wall validate dags")
    console.print(f"  airflow-wall run dags/{template.pipeline}.yaml --date {template.date}")
    console.print(f"  airflow-wall query {template.published} --limit 5")
    console.print("  python -m pytest                          # pip install pytest")


def _quoted(path: Path) -> str:
    text = str(path)
    return text if re.fullmatch(r"[\w./-]+", text) else f"'{text}'"

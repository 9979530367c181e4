"""`airflow-wall init`: make a project that runs."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.prompt import Prompt

from airflow_wall import __version__
from airflow_wall.cli.output import out, short, write_file
from airflow_wall.cli.schema import json_schema
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import WallError
from airflow_wall.project.templates import TEMPLATES, Ci, TemplateName, common, render

SCHEMA_FILE = "dags/airflow-wall.schema.json"


def init(
    folder: Annotated[Path, typer.Argument(help="The folder of the project; by default this one.")] = Path(),
    template: Annotated[
        TemplateName | None, typer.Option(help="The pipeline to begin with; by default `minimal`.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A CSV file: the pipeline predicts one of its columns.", exists=True, dir_okay=False
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="With --from: the column to predict.")] = None,
    ci: Annotated[
        Ci | None, typer.Option(help="Also write files that check the pipelines and run the tests of each change.")
    ] = None,
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Ask nothing; on a terminal it asks for options.")
    ] = False,
) -> None:
    """
    Make a project that runs: a pipeline with sample data, tests, connections, and settings of the editor.

    It never overwrites a file. With --from it looks at a CSV file, and writes a pipeline with a contract, checks that
    hold on the file, and a model of one of its columns. It tries the pipeline on the file first.
    """
    if source is None and target is not None:
        raise typer.BadParameter("use it with `--from`", param_hint="--target")
    if source is not None and template is not None:
        raise typer.BadParameter("use it without `--from`", param_hint="--template")
    ask = not no_input and sys.stdin.isatty()
    if source is not None:
        project = _from_file(source, target, ask=ask)
    else:
        project = _from_template(template or TemplateName(_answer("template", TemplateName, "minimal", ask=ask)))
    if ci is None and (answer := _answer("continuous integration", [*Ci, "none"], "none", ask=ask)) != "none":
        ci = Ci(answer)
    values = {
        "project": folder.absolute().name or "project",
        "version": ".".join(__version__.split(".")[:2]),
        "about": project.about,
        "pipeline": project.pipeline,
        "date": project.date,
        "published": project.published,
    }
    schema = {SCHEMA_FILE: json.dumps(json_schema(), indent=2) + "\n"}
    _write(folder, {**project.files, **common(values, ci), **schema})
    _show_next(folder, project)


@dataclass(frozen=True)
class _Project:
    """
    A project before it is written.

    :param about: The first line of its README.
    :param pipeline: Name of its pipeline, without `.yaml`.
    :param date: A date that has sample data.
    :param published: Address of a published table.
    :param files: Path to text, or to the file to copy, of the files that only it has.
    :param notes: Remarks for the author.
    """

    about: str
    pipeline: str
    date: str
    published: str
    files: Mapping[str, str | Path]
    notes: Sequence[str] = field(default=())


def _from_template(name: TemplateName) -> _Project:
    template = TEMPLATES[name]
    return _Project(template.about, template.pipeline, template.date, template.published, render(name, {}))


def _from_file(source: Path, target: str | None, *, ask: bool) -> _Project:
    # Imported late: pandas and scikit-learn take longer than all other commands.
    from airflow_wall.project.csv_file import read_csv_file
    from airflow_wall.project.from_csv import project_of

    file = read_csv_file(source)
    if target is None and ask:
        target = _answer("column to predict", list(file.columns), list(file.columns)[-1], ask=ask)
    if target is None:
        raise WallError(
            f"`--from {short(source)}` needs the column to predict, and the file has {listed(file.columns)}",
            hint=f"add e.g. `--target {shlex.quote(list(file.columns)[-1])}`",
        )
    planned = project_of(file, target)
    return _Project(
        planned.about,
        planned.name,
        planned.date,
        f"sql://platform/{planned.name}",
        planned.files,
        planned.notes,
    )


def _answer(question: str, choices: Iterable[str], default: str, *, ask: bool) -> str:
    """Return the answer of the person at the terminal, or the default if nobody is asked."""
    if not ask:
        return default
    try:
        return Prompt.ask(escape(question), choices=[*choices], default=default, console=out())
    except EOFError:
        raise KeyboardInterrupt from None


def _write(folder: Path, files: Mapping[str, str | Path]) -> None:
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
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, folder / path)
        else:
            write_file(folder / path, content)


def _show_next(folder: Path, project: _Project) -> None:
    """Print remarks, and the commands that run the project."""
    console = out()
    console.print(f"made `{short(folder.absolute())}`: {project.about}\n")
    for note in project.notes:
        console.print(f"* {note}")
    if project.notes:
        console.print("")
    if folder.absolute() != Path.cwd():
        console.print(f"  cd {shlex.quote(str(folder))}")
    console.print("  airflow-wall validate dags")
    console.print(f"  airflow-wall run dags/{project.pipeline}.yaml --date {project.date}")
    console.print(f"  airflow-wall query {project.published} --limit 5")
    console.print("  python -m pytest                          # pip install pytest")

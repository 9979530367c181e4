"""`airflow-wall fmt`: rewrite old spellings in pipeline files."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.output import USER_FAULT, is_quiet, note, out
from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.diagnostics.printable import counted, printable_line
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.load import may_be_pipeline
from airflow_wall.loader.respell import respelled
from airflow_wall.text.reader import bounded_bytes


def fmt(
    paths: Annotated[list[Path], typer.Argument(help="YAML files, or folders of them.", exists=True)],
    check: Annotated[bool, typer.Option("--check", help="Only show what would change.")] = False,
) -> None:
    """
    Rewrite old spellings: bare names of operators, their paths in Airflow 2, and keys of Airflow 2.

    Comments, quotes and the order of keys stay. Exit code 0: nothing is left to change; 1: with --check, something
    would change, or a file is not YAML.
    """
    files = dict.fromkeys(file for path in paths for file in yaml_files(path))
    changed = broken = 0
    for file in (file for file in files if may_be_pipeline(file)):
        name = printable_line(str(file))
        try:
            content = bounded_bytes(file)
            text, changes = respelled(content.removeprefix(codecs.BOM_UTF8).decode(errors="strict"), file)
        except (FaultyText, UnicodeDecodeError):
            broken += 1
            note(f"not changed: {name}: it is not YAML; `airflow-wall validate` shows the fault")
            continue
        for change in changes:
            if not is_quiet():
                out().print(printable_line(f"{name}:{change.place.line}: `{change.old}` -> `{change.new}`"))
        changed += bool(changes)
        if changes and not check:
            mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
            file.write_bytes(mark + text.encode())  # in place, so that links, owner and mode stay
    if not is_quiet():
        out().print(f"{counted(changed, 'file')} {'would change' if check else 'changed'}")
    if broken or (check and changed):
        raise typer.Exit(USER_FAULT)

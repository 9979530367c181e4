"""`airflow-wall releases`: the releases of a lake, and the way back to an earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_wall.cli.airflow_connections import Connections, Project, connection, use_connections
from airflow_wall.cli.command import Commands
from airflow_wall.cli.listing import STORAGE, AsJson, ListingGroup, Reason, Storage, open_lake, print_json, print_rows
from airflow_wall.cli.output import out, short

if TYPE_CHECKING:
    from airflow_wall.publish.release import Releases

releases = Commands(
    help="The releases of a lake: `airflow-wall releases [NAME]` lists them.", cls=ListingGroup, no_args_is_help=False
)


@releases.command("list")
def list_releases(
    name: Annotated[str | None, typer.Argument(help="The release, e.g. shop; by default all.")] = None,
    storage: Storage = STORAGE,
    as_json: AsJson = False,
) -> None:
    """List the releases that clients see, those whose rows are kept, and those that are being prepared."""
    lake = _releases(storage, Path())
    names = lake.names() if name is None else [name]
    entries = [{"name": one, **entry} for one in names for entry in lake.history(one)]
    if as_json:
        print_json(releases=entries)
        return
    if not entries:
        out().print(f"no releases in the lake `{short(storage)}`")
        return
    print_rows(
        ("release", "status", "date", "committed", "rows", "withheld slices", "reason"),
        [
            (
                entry["version"],
                entry["status"],
                entry["order"],
                entry["at"],
                ", ".join(f"{rows:,} in {to}" for to, rows in entry["targets"].items()) or None,
                len(entry["withheld"]),
                entry["reason"],
            )
            for entry in entries
        ],
    )
    for one in names if name is not None else ():
        for item in next((entry["withheld"] for entry in entries if entry["status"] == "visible"), ()):
            out().print(f"withheld: {item['table']}, slice {item['slice']}: {item['reason']}")
        if any(entry["status"] == "kept" for entry in entries):
            out().print(f"to show an earlier one again: airflow-wall releases rollback {one} [RELEASE] --reason WHY")


@releases.command("rollback")
def rollback(
    name: Annotated[str, typer.Argument(help="The release, e.g. shop.")],
    release: Annotated[
        str | None,
        typer.Argument(metavar="RELEASE", help="The one to show again; by default the one before the visible one."),
    ] = None,
    *,
    reason: Reason,
    resend: Annotated[
        bool, typer.Option("--resend", help="Send the old rows again to webhooks, which cannot take rows back.")
    ] = False,
    storage: Storage = STORAGE,
    project: Project = Path(),
    connections: Connections = None,
    as_json: AsJson = False,
) -> None:
    """
    Show an earlier release again, in all of its targets.

    If the command is killed, repeat it, or the next run finishes it. The later releases are not committed again by a
    retry, by a cleared run or by a run of their date, until you allow it. Runs of other dates publish as before, so
    drop or correct the rows that are wrong. If a webhook has received rows, nothing is changed; with --resend, it gets
    the old rows as a new release.
    """
    project = project.absolute()
    use_connections(project, connections)
    result = _releases(storage, project).restore(name, release, reason=reason, resend=resend)
    if as_json:
        print_json(**result)
        return
    if result["release"] == result["before"]:
        out().print(f"{name}: clients see {result['release']} already")
        return
    out().print(f"{name}: clients see {result['release']} again, and not {result['before']}")
    for to in result["resent"]:
        out().print(f"sent again: {to}")
    for version in result["rolled_back"]:
        out().print(f"rolled back: {version}")
    out().print(
        "the next run of another date publishes all slices that passed their checks; drop a wrong one first: "
        f"airflow-wall tables drop-slice TABLE SLICE --storage {short(storage)} --reason WHY"
    )


@releases.command("allow")
def allow(
    name: Annotated[str, typer.Argument(help="The release, e.g. shop.")],
    release: Annotated[str, typer.Argument(help="The one that was rolled back, e.g. shop-20130701T000000Z.")],
    storage: Storage = STORAGE,
    project: Project = Path(),
    connections: Connections = None,
) -> None:
    """Let the run of a release that was rolled back publish again."""
    project = project.absolute()
    use_connections(project, connections)
    _releases(storage, project).allow(name, release.partition("~")[0])
    out().print(f"{name}: the run of {release} may publish again")


def _releases(storage: str, project: Path) -> Releases:
    from airflow_wall.publish.release import Releases  # imports Arrow

    return Releases(open_lake(storage), project=project, connections=connection)

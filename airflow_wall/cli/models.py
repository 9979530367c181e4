"""`airflow-wall models`: the models of a lake, the decisions about them, and the way back to an earlier champion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_wall.cli.command import Commands
from airflow_wall.cli.listing import STORAGE, AsJson, ListingGroup, Reason, Storage, open_lake, print_json, print_rows
from airflow_wall.cli.output import out, short
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.errors import ModelError

if TYPE_CHECKING:
    from airflow_wall.models.base import Champion, Registry

models = Commands(help="The models of a lake: `airflow-wall models [NAME]` lists them.", cls=ListingGroup)

Name = Annotated[str, typer.Argument(help="The model, e.g. shop.")]


@models.command("list")
def list_models(
    name: Annotated[str | None, typer.Argument(help="The model, e.g. shop; by default all.")] = None,
    storage: Storage = STORAGE,
    as_json: AsJson = False,
) -> None:
    """List the models and their champions; of one model, its versions with their metrics and the decisions."""
    registry = _registry(storage)
    if name is not None:
        _check_exists(registry, name)
    models = [_model(registry, one) for one in (registry.names() if name is None else [name])]
    if as_json:
        print_json(models=models)
    elif not models:
        out().print(f"no models in the lake `{short(storage)}`")
    elif name is None:
        _print_models(models)
    else:
        _print_model(models[0])


@models.command("rollback")
def rollback(
    name: Name,
    version: Annotated[
        int | None, typer.Argument(help="An earlier champion; by default the one before the present one.")
    ] = None,
    *,
    reason: Reason,
    storage: Storage = STORAGE,
    as_json: AsJson = False,
) -> None:
    """
    Make an earlier champion the champion again.

    The next predictions use it, and the next version is compared with it. A retry of the run that trained a version
    that was rolled back does not promote that version again.
    """
    from airflow_wall.models.by_hand import roll_back

    registry = _registry(storage)
    _check_exists(registry, name)
    before = registry.champion(name)
    _print_champion(name, before, roll_back(registry, name, version, reason), as_json=as_json)


@models.command("promote")
def promote(
    name: Name,
    version: Annotated[int, typer.Argument(help="The version that predictions use from now on.")],
    *,
    reason: Reason,
    storage: Storage = STORAGE,
    as_json: AsJson = False,
) -> None:
    """
    Make a version the champion, also one that was not better.

    The next predictions use it, and the next version is compared with it.
    """
    from airflow_wall.models.by_hand import promote as promote_by_hand

    registry = _registry(storage)
    _check_exists(registry, name)
    before = registry.champion(name)
    _print_champion(name, before, promote_by_hand(registry, name, version, reason), as_json=as_json)


def _registry(storage: str) -> Registry:
    from airflow_wall.models.backends import open_registry  # imports Arrow and NumPy

    return open_registry(open_lake(storage))


def _check_exists(registry: Registry, name: str) -> None:
    names = registry.names()
    if name not in names:
        raise ModelError(f"the lake has no model `{name}`", hint=suggestion(name, names, what="models"))


def _model(registry: Registry, name: str) -> dict[str, Any]:
    from airflow_wall.models.decisions import rolled_back

    champion, decisions = registry.champion(name), registry.decisions(name)
    left = rolled_back(decisions)
    versions = []
    for version in registry.versions(name):
        record = registry.record(name, version)
        own = [decision.to_json() for decision in decisions if decision.version == version]
        is_champion = champion is not None and champion.version == version
        status = "champion" if is_champion else "rolled back" if version in left else None
        versions.append(
            {
                "version": version,
                "status": status or (own[-1]["event"] if own and own[-1]["event"] == "rejected" else "kept"),
                "created": record.created,
                "order": record.lineage.order,
                "metrics": dict(record.metrics),
                "reported": dict(record.reported),
                "segments": None if record.segments is None else vars(record.segments),
                "rows_trained": record.rows_trained,
                "rows_held_out": record.rows_held_out,
                "lineage": {**vars(record.lineage)},
                "decisions": own,
            }
        )
    return {
        "name": name,
        "champion": None if champion is None else champion.version,
        "since": None if champion is None else champion.promoted,
        "metric": decisions[-1].decision.metric if decisions else None,
        "versions": versions,
        "decisions": [decision.to_json() for decision in decisions],
    }


def _print_models(models: list[dict[str, Any]]) -> None:
    print_rows(
        ("model", "champion", "since", "metric", "versions", "last decision"),
        [
            (
                model["name"],
                model["champion"],
                model["since"],
                _metric_of(model, model["champion"]),
                len(model["versions"]),
                _words(model["decisions"][-1]) if model["decisions"] else None,
            )
            for model in models
        ],
    )


def _print_model(model: dict[str, Any]) -> None:
    print_rows(
        ("version", "status", "trained for", "created", "metric", "rows held out"),
        [
            (
                version["version"],
                version["status"],
                version["order"],
                version["created"],
                _metric_of(model, version["version"]),
                version["rows_held_out"],
            )
            for version in model["versions"]
        ],
    )
    if model["decisions"]:
        out().print("")
        print_rows(
            ("decided", "version", "event", "metric", "champion", "its metric", "reason"),
            [
                (
                    decision["at"],
                    decision["version"],
                    decision["event"],
                    decision["decision"]["value"],
                    decision["decision"]["champion_version"],
                    decision["decision"]["champion_value"],
                    decision["decision"]["reason"],
                )
                for decision in model["decisions"]
            ],
        )


def _metric_of(model: dict[str, Any], number: int | None) -> str | None:
    version = next((version for version in model["versions"] if version["version"] == number), None)
    name = model["metric"]
    return None if version is None or name not in version["metrics"] else f"{name} {version['metrics'][name]:.6g}"


def _words(record: dict[str, Any]) -> str:
    return f"version {record['version']} {record['event']}: {record['decision']['reason']}"


def _print_champion(name: str, before: Champion | None, champion: Champion, *, as_json: bool) -> None:
    previous = None if before is None else before.version
    if as_json:
        print_json(name=name, champion=champion.version, before=previous, since=champion.promoted)
    elif previous == champion.version:
        out().print(f"{name}: version {champion.version} is the champion already")
    else:
        instead = "" if previous is None else f", and not version {previous}"
        out().print(f"{name}: version {champion.version} is the champion{instead}")
        out().print("scores that are computed already stay: run the dates again with --again, or roll back the release")

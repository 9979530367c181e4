"""Change the champion of a model by hand: back to an earlier one, or to any version."""

from __future__ import annotations

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ModelError
from airflow_wall.models.base import Champion, Decision, Registry
from airflow_wall.models.decisions import BY_HAND, ROLLED_BACK, champions


def roll_back(registry: Registry, name: str, version: int | None, reason: str) -> Champion:
    """
    Make an earlier champion the champion again. The later ones are not promoted again by a retry of their runs.

    :param version: An earlier champion; None for the last one before the present one.
    :raises ModelError: there is no such champion.
    :raises Interrupted: another process has changed the champion meanwhile.
    """
    present = _champion(registry, name)
    *earlier, _ = champions(registry.decisions(name))
    if version is None:
        if not earlier:
            raise ModelError(
                f"model `{name}` has no earlier champion than version {present.version}",
                hint=f"choose one of its versions: `airflow-wall models promote {name} VERSION --reason WHY`",
            )
        version = earlier[-1]
    if version == present.version:
        return present
    if version not in earlier:
        names = listed(map(str, dict.fromkeys(reversed(earlier)))) or "none"
        raise ModelError(
            f"version {version} of model `{name}` was not the champion before; earlier champions: {names}",
            hint=f"name one of these, or type `airflow-wall models promote {name} {version} --reason WHY`",
        )
    return _set(registry, name, version, present, f"rolled back by hand: {reason}", ROLLED_BACK)


def promote(registry: Registry, name: str, version: int, reason: str) -> Champion:
    """
    Make any version the champion.

    :raises ModelError: the version does not exist, or its file was changed.
    :raises Interrupted: another process has changed the champion meanwhile.
    """
    registry.record(name, version)
    present = registry.champion(name)
    if present is not None and present.version == version:
        return present
    return _set(registry, name, version, present, f"promoted by hand: {reason}", BY_HAND)


def _set(registry: Registry, name: str, version: int, present: Champion | None, reason: str, event: str) -> Champion:
    registry.verify(name, version)
    record = registry.record(name, version)
    metric = None if present is None else present.decision.metric
    if metric not in record.metrics:
        metric = next(iter(record.metrics), "")
    before = None if present is None else present.version
    value = record.metrics.get(str(metric), 0.0)
    decision = Decision(True, str(metric), value, before, None, reason)
    return registry.promote(name, version, decision, expected=before, force=True, event=event)


def _champion(registry: Registry, name: str) -> Champion:
    champion = registry.champion(name)
    if champion is None:
        raise ModelError(f"model `{name}` has no champion", hint="list the models: `airflow-wall models`")
    return champion

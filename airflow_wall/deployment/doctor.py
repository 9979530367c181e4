"""Find the faults of a deployment from the facts of its components."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow_wall.deployment.facts import Facts

SHARED = {
    "jwt_secret": ("api-server", "scheduler"),
    "fernet_key": ("api-server", "scheduler", "dag-processor", "triggerer"),
    "api_secret_key": ("api-server", "triggerer", "worker"),
    "broker_url": ("scheduler", "worker"),
    "result_backend": ("scheduler", "worker"),
    "metadata": ("api-server", "scheduler", "dag-processor", "triggerer"),
}
"""The components that must have the same secret, by its name."""

NOT_FOR_WORKERS = {
    "jwt_secret": "it allows requests in the name of any task",
    "fernet_key": "it decrypts all connections",
}

NEEDED = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
READ_PIPELINES = ("dag-processor", "worker")

CLOCKS = 5.0
"""Seconds that two clocks may differ. Airflow rejects a token whose time is 10 s in the future."""

GRACE = 600.0
"""Shortest time in seconds that a worker should have to finish its tasks."""

EQUAL_SETTINGS = ("core.executor", "wall.environment", "wall.policy")


@dataclass(frozen=True)
class DeploymentFault:
    """
    One fault of a deployment.

    :param about: The components that have it.
    :param message: The fault: what was expected, and what was found.
    :param fix: The instruction that fixes it.
    """

    about: tuple[str, ...]
    message: str
    fix: str


def diagnose(facts: Sequence[Facts]) -> list[DeploymentFault]:
    """Return all faults, in the order of the checks."""
    return [finding for check in CHECKS.values() for finding in check(facts)]


def _select(facts: Sequence[Facts], *components: str) -> list[Facts]:
    return [facts_of for facts_of in facts if facts_of.component in components]


def _names(facts: Sequence[Facts]) -> tuple[str, ...]:
    return tuple(item.name for item in facts)


def _group_by_value(facts: Sequence[Facts], value_of: Callable[[Facts], str | None]) -> dict[str, list[Facts]]:
    """Return the components by value, if there is more than one value."""
    groups: dict[str, list[Facts]] = defaultdict(list)
    for item in facts:
        groups[value_of(item) or "none"].append(item)
    return dict(groups) if len(groups) > 1 else {}


def _format_groups(groups: Mapping[str, Sequence[Facts]]) -> str:
    return "; ".join(f"`{value}`: {', '.join(_names(who))}" for value, who in sorted(groups.items()))


def components(facts: Sequence[Facts]) -> Iterator[DeploymentFault]:
    """Check that every component is present."""
    missing = [name for name in NEEDED if not _select(facts, name)]
    if missing:
        yield DeploymentFault(
            tuple(missing),
            f"there are no facts of {', '.join(missing)}: they do not run, or their facts were not collected",
            "start them, and run the doctor again with the facts of all components",
        )


def versions(facts: Sequence[Facts]) -> Iterator[DeploymentFault]:
    """Check that all components have the same versions."""
    for package in sorted({package for item in facts for package in item.versions}):
        groups = _group_by_value(facts, lambda item, package=package: item.versions.get(package))  # type: ignore[misc]
        if groups:
            yield DeploymentFault(
                _names(facts),
                f"{package} has different versions: {_format_groups(groups)}",
                "finish the upgrade: replace the components that still run the old image",
            )


def secrets(facts: Sequence[Facts]) -> Iterator[DeploymentFault]:
    """Check that components share the same secrets, and that workers have no secret they do not need."""
    for secret, needers in SHARED.items():
        who = _select(facts, *needers)
        without = [item for item in who if secret not in item.secrets]
        if without:
            yield DeploymentFault(
                _names(without),
                f"{secret} is not set, so Airflow generates a new one at each start",
                f"give {' and '.join(needers)} the same {secret}",
            )
        holders = [item for item in who if secret in item.secrets and secret != "metadata"]  # noqa: S105
        if groups := _group_by_value(holders, lambda item, secret=secret: item.secrets[secret]):  # type: ignore[misc]
            yield DeploymentFault(
                _names(holders),
                f"{secret} differs between components; the fingerprints are {_format_groups(groups)}",
                "give them the same one, and restart the components that have another",
            )
    for item in _select(facts, "worker"):
        for secret, why in NOT_FOR_WORKERS.items():
            if secret in item.secrets:
                yield DeploymentFault(
                    (item.name,), f"the worker has {secret}: {why}", f"remove {secret} from the worker"
                )
        if "database" not in item.unreachable:
            yield DeploymentFault(
                (item.name,),
                "the worker can reach the metadata database, and so can every task",
                "remove the address of the database from the worker; tasks only need the api-server",
            )


def clocks(facts: Sequence[Facts]) -> Iterator[DeploymentFault]:
    """Check that no clock differs from the api-server's."""
    for item in facts:
        if item.ahead is not None and abs(item.ahead) > CLOCKS:
            way = "ahead of" if item.ahead > 0 else "behind"
            yield DeploymentFault(
                (item.name,),
                f"its clock is {abs(item.ahead):.0f} s {way} the api-server's, more than {CLOCKS:.0f} s",
                "run chrony or systemd-timesyncd on that host to set its clock",
            )


def settings(facts: Sequence[Facts]) -> Iterator[DeploymentFault]:
    """Check that settings which all components share are equal, and the heartbeats of workers."""
    for name in EQUAL_SETTINGS:
        if groups := _group_by_value(facts, lambda item, name=name: item.settings.get(name)):  # type: ignore[misc]
            section, _, option = name.partition(".")
            yield DeploymentFault(
                _names(facts),
                f"setting `[{section}] {option}` differs between components: {_format_groups(groups)}",
                f"set AIRFLOW__{section.upper()}__{option.upper()} to the same value for all",
            )
    yield from _heartbeats(facts)


def _heartbeats(facts: Sequence[Facts]) -> Iterator[DeploymentFault]:
    timeouts = [float(item.settings.get("scheduler.task_instance_heartbeat_timeout", 300)) for item in facts]
    for item in _select(facts, "worker"):
        interval = float(item.settings.get("workers.min_heartbeat_interval", 5))
        failed = float(item.settings.get("workers.max_failed_heartbeats", 3))
        if interval * failed < min(timeouts) / 2:
            yield DeploymentFault(
                (item.name,),
                f"a task gives up after {interval * failed:.0f} s without the api-server, but the scheduler waits "
                f"{min(timeouts):.0f} s for it",
                "raise `[workers] max_failed_heartbeats`, which is counted in `min_heartbeat_interval`s",
            )


def bundles(facts: Sequence[Facts]) -> Iterator[DeploymentFault]:
    """Check that the components that parse and run pipelines see the same files."""
    readers = _select(facts, *READ_PIPELINES)
    name = "dag_processor.dag_bundle_config_list"
    if groups := _group_by_value(readers, lambda item: _plain(item.settings.get(name))):
        yield DeploymentFault(
            _names(readers),
            f"`[dag_processor] dag_bundle_config_list` differs between components: {_format_groups(groups)}",
            "give the DAG processor and all workers the same list",
        )
        return
    for bundle in sorted({bundle for item in readers for bundle in item.bundles}):
        if groups := _group_by_value(readers, lambda item, bundle=bundle: item.bundles.get(bundle)):  # type: ignore[misc]
            yield DeploymentFault(
                _names(readers),
                f"the files of bundle `{bundle}` differ between components; the digests are {_format_groups(groups)}",
                "mount the same directory, or use the same image for all",
            )


def _plain(text: str | None) -> str | None:
    return json.dumps(json.loads(text), sort_keys=True) if text else None


def reach(facts: Sequence[Facts]) -> Iterator[DeploymentFault]:
    """Check that each component reaches the services it needs, and that every queue with tasks has a worker."""
    for item in facts:
        for what, why in item.unreachable.items():
            if not (what == "database" and item.component == "worker"):
                yield DeploymentFault(
                    (item.name,), f"it cannot reach the {what}: {why}", f"start the {what}, or correct its address"
                )
    for item in _select(facts, "scheduler"):
        for queue, count in item.waiting.items():
            if queue not in item.served:
                yield DeploymentFault(
                    (item.name,),
                    f"{count} task(s) wait in queue `{queue}`, which no worker serves; "
                    f"workers serve {', '.join(item.served) or 'none'}",
                    f"start a worker with `--queues {queue}`, or correct `queue` in the pipeline",
                )


def shutdown(facts: Sequence[Facts]) -> Iterator[DeploymentFault]:
    """Check that a worker that is stopped can finish its tasks."""
    for item in _select(facts, "worker"):
        if item.init == "dumb-init" and item.setsid:
            yield DeploymentFault(
                (item.name,),
                "SIGTERM would reach the worker's tasks too, not only its main process",
                "set DUMB_INIT_SETSID=0 for workers",
            )
        if item.remapped:
            yield DeploymentFault(
                (item.name,),
                f"with REMAP_SIGTERM={item.remapped}, SIGTERM does not let tasks finish",
                "remove REMAP_SIGTERM from the worker",
            )
        if item.grace is not None and item.grace < GRACE:
            yield DeploymentFault(
                (item.name,),
                f"it and its tasks are killed {item.grace:.0f} s after SIGTERM",
                "raise `stop_grace_period` (compose) or `terminationGracePeriodSeconds` (Kubernetes) to the length of "
                "the longest task",
            )


CHECKS: Mapping[str, Callable[[Sequence[Facts]], Iterator[DeploymentFault]]] = {
    "components": components,
    "versions": versions,
    "secrets": secrets,
    "clocks": clocks,
    "settings": settings,
    "bundles": bundles,
    "reach": reach,
    "shutdown": shutdown,
}
"""The checks by name."""

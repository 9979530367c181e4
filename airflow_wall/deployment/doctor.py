"""What is wrong with a deployment, from what its components tell of themselves."""

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
"""Secret -> the components that must have it, all the same one."""

NOT_FOR_WORKERS = {"jwt_secret": "whoever has it can speak for any task", "fernet_key": "it opens all connections"}

NEEDED = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
READ_PIPELINES = ("dag-processor", "worker")

CLOCKS = 5.0
"""Seconds that two clocks may differ. Airflow takes a token for invalid that is 10 s from the future."""

GRACE = 600.0
"""Seconds that a worker should have at least to finish its tasks."""

EQUAL_SETTINGS = ("core.executor", "wall.environment", "wall.policy")


@dataclass(frozen=True)
class Finding:
    """
    One thing that is wrong.

    :param about: The components it was seen at.
    :param message: What is wrong: what was expected, what came.
    :param mend: What to do, in the imperative.
    """

    about: tuple[str, ...]
    message: str
    mend: str


def diagnose(facts: Sequence[Facts]) -> list[Finding]:
    """Everything that is wrong, in the order of the checks."""
    return [finding for check in CHECKS.values() for finding in check(facts)]


def _of(facts: Sequence[Facts], *components: str) -> list[Facts]:
    return [each for each in facts if each.component in components]


def _names(facts: Sequence[Facts]) -> tuple[str, ...]:
    return tuple(each.name for each in facts)


def _differing(facts: Sequence[Facts], value_of: Callable[[Facts], str | None]) -> dict[str, list[Facts]]:
    """Value -> who has it, if there is more than one."""
    groups: dict[str, list[Facts]] = defaultdict(list)
    for each in facts:
        groups[value_of(each) or "none"].append(each)
    return dict(groups) if len(groups) > 1 else {}


def _told(groups: Mapping[str, Sequence[Facts]]) -> str:
    return "; ".join(f"`{value}`: {', '.join(_names(who))}" for value, who in sorted(groups.items()))


def components(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Each component is there."""
    missing = [name for name in NEEDED if not _of(facts, name)]
    if missing:
        yield Finding(
            tuple(missing),
            f"no facts of {', '.join(missing)}: not running, or not asked",
            "start them, and run the doctor again with the facts of all",
        )


def versions(facts: Sequence[Facts]) -> Iterator[Finding]:
    """The same versions everywhere."""
    for package in sorted({package for each in facts for package in each.versions}):
        groups = _differing(facts, lambda each, package=package: each.versions.get(package))  # type: ignore[misc]
        if groups:
            yield Finding(
                _names(facts),
                f"{package} is not of one version: {_told(groups)}",
                "finish the upgrade: replace the components that still run the old image",
            )


def secrets(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Who must share a secret has the same; workers have none that is not theirs."""
    for secret, needers in SHARED.items():
        who = _of(facts, *needers)
        without = [each for each in who if secret not in each.secrets]
        if without:
            yield Finding(
                _names(without),
                f"no {secret} is set, and Airflow makes one up at each start",
                f"give {' and '.join(needers)} the same {secret}",
            )
        given = [each for each in who if secret in each.secrets and secret != "metadata"]  # noqa: S105
        if groups := _differing(given, lambda each, secret=secret: each.secrets[secret]):  # type: ignore[misc]
            yield Finding(
                _names(given),
                f"{secret} is not the same everywhere, by its fingerprint: {_told(groups)}",
                "give them one, and replace those that were started with another",
            )
    for each in _of(facts, "worker"):
        for secret, why in NOT_FOR_WORKERS.items():
            if secret in each.secrets:
                yield Finding((each.name,), f"the worker has {secret}: {why}", f"take {secret} from the worker")
        if "database" not in each.unreachable:
            yield Finding(
                (each.name,),
                "the worker reaches the metadata database, and so does every task",
                "take its address from the worker; tasks speak to the api-server",
            )


def clocks(facts: Sequence[Facts]) -> Iterator[Finding]:
    """No clock differs from the api-server's."""
    for each in facts:
        if each.ahead is not None and abs(each.ahead) > CLOCKS:
            way = "ahead of" if each.ahead > 0 else "behind"
            yield Finding(
                (each.name,),
                f"its clock is {abs(each.ahead):.0f} s {way} the api-server's, more than {CLOCKS:.0f} s",
                "have chrony or systemd-timesyncd set the clock of that host",
            )


def settings(facts: Sequence[Facts]) -> Iterator[Finding]:
    """What all must agree on."""
    for name in EQUAL_SETTINGS:
        if groups := _differing(facts, lambda each, name=name: each.settings.get(name)):  # type: ignore[misc]
            section, _, option = name.partition(".")
            yield Finding(
                _names(facts),
                f"setting `[{section}] {option}` is not the same everywhere: {_told(groups)}",
                f"set AIRFLOW__{section.upper()}__{option.upper()} to one value for all",
            )
    yield from _heartbeats(facts)


def _heartbeats(facts: Sequence[Facts]) -> Iterator[Finding]:
    timeouts = [float(each.settings.get("scheduler.task_instance_heartbeat_timeout", 300)) for each in facts]
    for each in _of(facts, "worker"):
        interval = float(each.settings.get("workers.min_heartbeat_interval", 5))
        failed = float(each.settings.get("workers.max_failed_heartbeats", 3))
        if interval * failed < min(timeouts) / 2:
            yield Finding(
                (each.name,),
                f"a task gives up after {interval * failed:.0f} s without the api-server, though the scheduler would "
                f"wait {min(timeouts):.0f} s for it",
                "raise `[workers] max_failed_heartbeats`, which is counted in `min_heartbeat_interval`s",
            )


def bundles(facts: Sequence[Facts]) -> Iterator[Finding]:
    """The same pipelines for who reads and who runs them."""
    readers = _of(facts, *READ_PIPELINES)
    name = "dag_processor.dag_bundle_config_list"
    if groups := _differing(readers, lambda each: _plain(each.settings.get(name))):
        yield Finding(
            _names(readers),
            f"`[dag_processor] dag_bundle_config_list` is not the same everywhere: {_told(groups)}",
            "give the DAG processor and all workers the same list",
        )
        return
    for bundle in sorted({bundle for each in readers for bundle in each.bundles}):
        if groups := _differing(readers, lambda each, bundle=bundle: each.bundles.get(bundle)):  # type: ignore[misc]
            yield Finding(
                _names(readers),
                f"the files of bundle `{bundle}` are not the same everywhere, by their digest: {_told(groups)}",
                "mount the same folder, or build all from the same image",
            )


def _plain(text: str | None) -> str | None:
    return json.dumps(json.loads(text), sort_keys=True) if text else None


def reach(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Everybody reaches what it needs; every queue with work has a worker."""
    for each in facts:
        for what, why in each.unreachable.items():
            if not (what == "database" and each.component == "worker"):
                yield Finding(
                    (each.name,), f"it cannot reach the {what}: {why}", f"start the {what}, or mend its address"
                )
    for each in _of(facts, "scheduler"):
        for queue, count in each.waiting.items():
            if queue not in each.served:
                yield Finding(
                    (each.name,),
                    f"{count} task(s) wait in queue `{queue}`, from which no worker takes: "
                    f"served are {', '.join(each.served) or 'none'}",
                    f"start a worker with `--queues {queue}`, or mend `queue` in the pipeline",
                )


def shutdown(facts: Sequence[Facts]) -> Iterator[Finding]:
    """A worker that is stopped finishes its tasks."""
    for each in _of(facts, "worker"):
        if each.init == "dumb-init" and each.setsid:
            yield Finding(
                (each.name,),
                "SIGTERM would reach the worker's tasks too, not its main process alone",
                "set DUMB_INIT_SETSID=0 for workers",
            )
        if each.remapped:
            yield Finding(
                (each.name,),
                f"REMAP_SIGTERM={each.remapped}: SIGTERM would not let tasks finish",
                "take REMAP_SIGTERM from the worker",
            )
        if each.grace is not None and each.grace < GRACE:
            yield Finding(
                (each.name,),
                f"it is killed {each.grace:.0f} s after SIGTERM, and its tasks with it",
                "raise `stop_grace_period` (compose) or `terminationGracePeriodSeconds` (Kubernetes) to the length of "
                "the longest task",
            )


CHECKS: Mapping[str, Callable[[Sequence[Facts]], Iterator[Finding]]] = {
    "components": components,
    "versions": versions,
    "secrets": secrets,
    "clocks": clocks,
    "settings": settings,
    "bundles": bundles,
    "reach": reach,
    "shutdown": shutdown,
}
"""Name -> what it looks at."""

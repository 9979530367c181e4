"""
Health checks for components that serve no port, at a tenth of what `airflow jobs check` and `celery inspect` cost.

    python -m airflow_wall.deployment.probe dag-processor

The exit code is 0 if the component of this very host is alive, else 1 with the reason.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping

from airflow_wall.deployment.configured import configured
from airflow_wall.errors import DeploymentError

LATE = 60
"""Seconds after which a job without a heartbeat counts as dead. They send one every 5 s."""

JOBS = {"dag-processor": "DagProcessorJob", "triggerer": "TriggererJob", "scheduler": "SchedulerJob"}
"""Component -> the type of its job in Airflow's table of jobs."""

HEARTBEAT = """
select extract(epoch from now() - max(latest_heartbeat)) from job
where job_type = %s and hostname = %s and state = 'running'
"""


def heartbeat(component: str, environ: Mapping[str, str]) -> None:
    """Raise DeploymentError unless the component of this host said lately, in the metadata database, that it runs."""
    import psycopg  # here, and so for the others: each probe imports only what it needs

    url = configured(environ, "database", "sql_alchemy_conn") or ""
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] != "postgresql":
        raise DeploymentError(
            f"cannot look up the heartbeat: the metadata database is `{scheme or 'not set'}`, expected `postgresql`",
            hint="give this container AIRFLOW__DATABASE__SQL_ALCHEMY_CONN or its _CMD",
        )
    with psycopg.connect(f"postgresql://{rest}", connect_timeout=10) as database:
        row = database.execute(HEARTBEAT, (JOBS[component], socket.getfqdn())).fetchone()
    age = row[0] if row else None
    if age is None:
        raise DeploymentError(f"no {component} of this host ({socket.getfqdn()}) runs, says the metadata database")
    if age > LATE:
        raise DeploymentError(f"the {component} of this host was last heard of {age:.0f} s ago, more than {LATE} s")


def worker(environ: Mapping[str, str]) -> None:
    """Raise DeploymentError unless the Celery worker of this host answers by way of the broker."""
    from celery import Celery

    name = f"celery@{socket.gethostname()}"
    app = Celery(broker=configured(environ, "celery", "broker_url"), set_as_current=False)
    if not app.control.ping(destination=[name], timeout=10, limit=1):
        raise DeploymentError(f"worker {name} does not answer by way of the broker")


def check_of(component: str) -> Callable[[Mapping[str, str]], None] | None:
    """The check of a component."""
    if component == "worker":
        return worker
    return (lambda environ: heartbeat(component, environ)) if component in JOBS else None


def main(arguments: list[str]) -> int:
    """Probe one component."""
    check = check_of(arguments[0]) if len(arguments) == 1 else None
    if check is None:
        print(f"expected one of {', '.join([*JOBS, 'worker'])}, got `{' '.join(arguments)}`", file=sys.stderr)  # noqa: T201
        return 2
    try:
        check(os.environ)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""
Health checks for components without a port, at a tenth of the cost of `airflow jobs check` and `celery inspect`.

    python -m airflow_wall.deployment.probe dag-processor
    python -m airflow_wall.deployment.probe worker --unless-broker-away

The exit code is 0 if the component of this host is alive, else 1 with the reason. With `--unless-broker-away`, a worker
whose broker does not answer counts as alive: a restart would end its tasks and not bring the broker back.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping

from airflow_wall.errors import DeploymentError

LATE = 60
"""Seconds after which a job without a heartbeat counts as dead. Jobs send one every 5 s."""

JOBS = {"dag-processor": "DagProcessorJob", "triggerer": "TriggererJob", "scheduler": "SchedulerJob"}
"""The type of a component's job in Airflow's table of jobs, by component."""

HEARTBEAT = """
select extract(epoch from now() - max(latest_heartbeat)) from job
where job_type = %s and hostname = %s and state = 'running'
"""


def configured(environ: Mapping[str, str], section: str, option: str) -> str | None:
    """
    Return the value of an option that the environment sets, directly or by a command; None if it does not.

    Airflow's own `conf` reads the same and more, but its import takes seconds, too long for a health check.
    """
    name = f"AIRFLOW__{section}__{option}".upper()
    if name in environ:
        return environ[name]
    if (command := environ.get(f"{name}_CMD")) is None:
        return None
    # Airflow runs the same command of the deployment.
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=dict(environ))  # noqa: S603, S607
    return done.stdout.strip()


def heartbeat(component: str, environ: Mapping[str, str]) -> None:
    """Raise DeploymentError unless the component of this host has a recent heartbeat in the metadata database."""
    import psycopg  # imported here, so that each probe imports only its own packages

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
        raise DeploymentError(f"the metadata database has no running {component} of this host ({socket.getfqdn()})")
    if age > LATE:
        raise DeploymentError(f"the last heartbeat of this host's {component} was {age:.0f} s ago, more than {LATE} s")


UNLESS_BROKER_AWAY = "--unless-broker-away"


def worker(environ: Mapping[str, str], *, unless_broker_away: bool = False) -> None:
    """
    Raise DeploymentError unless the Celery worker of this host answers through the broker.

    :param unless_broker_away: Return if the broker does not answer.
    """
    from celery import Celery

    name = f"celery@{socket.gethostname()}"
    broker = configured(environ, "celery", "broker_url") or ""
    app = Celery(broker=broker, set_as_current=False)
    if broker.startswith(("redis", "sentinel")):
        app.conf.broker_transport_options = {"socket_connect_timeout": 5, "socket_timeout": 15}
    with app.connection_for_read(connect_timeout=5) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=10)
        except Exception as error:
            if unless_broker_away:
                return
            raise DeploymentError(f"the broker of worker {name} does not answer: {error}") from error
    if not app.control.ping(destination=[name], timeout=10, limit=1):
        raise DeploymentError(f"worker {name} does not answer through the broker")


def check_of(component: str, *options: str) -> Callable[[Mapping[str, str]], None] | None:
    """Return the check of a component; None if there is none with these options."""
    if component == "worker" and options in ((), (UNLESS_BROKER_AWAY,)):
        return lambda environ: worker(environ, unless_broker_away=bool(options))
    if options:
        return None
    return (lambda environ: heartbeat(component, environ)) if component in JOBS else None


def main(arguments: list[str]) -> int:
    """Probe one component and return the exit code."""
    check = check_of(*arguments) if arguments else None
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

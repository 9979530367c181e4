"""What all our operators share: the run they belong to, the connections they may read, how their errors are told."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from airflow.configuration import conf
from airflow.sdk import BaseOperator, Connection
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException, AirflowRescheduleException

from airflow_wall.clusters.base import Owner, Site
from airflow_wall.connections import FILE_VARIABLE, ConnectionInfo
from airflow_wall.errors import ConnectionFault, Interrupted, Terminal, WallError
from airflow_wall.hooks.clients import open_client
from airflow_wall.jobs.document import Job, Run, Slice, safe_name
from airflow_wall.jobs.table import run_job
from airflow_wall.processes import die_with_parent
from airflow_wall.settings import SECTION, Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


Step = TypeVar("Step", bound="StepOperator")


class StepOperator(BaseOperator):
    """
    Base of all steps.

    :param storage: Folder of the lake; by default `lake` beside the `dags` folder.
    :param project: Folder that relative paths of connections are under; by default the one that holds `dags`.
    :param code: Folder of SQL files, check files and the user's modules; by default that of the DAG's file.
    :param place: Where the task is written, for messages; by default the DAG's file.
    """

    ui_color = "#eef4f8"

    usual: ClassVar[Mapping[str, Any]] = {}
    """Settings of `BaseOperator` that a task of this step has unless it says otherwise itself, whatever others have."""

    _working = False

    def __init__(
        self,
        *,
        storage: str | None = None,
        project: str | None = None,
        code: str | None = None,
        place: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**self.usual, **kwargs})
        self.storage = storage
        self.project = project
        self.code = code
        self.place = place

    def do(self, context: Context, kind: str, **arguments: Any) -> dict[str, Any]:
        """Run a job of this kind here, in the worker. Arguments that are None are left to the job."""
        with self.told(context):
            return run_job(self.job(context, kind, arguments), connection)

    def job(self, context: Context, kind: str, arguments: Mapping[str, Any]) -> Job:
        """The job document of this task."""
        given = {name: value for name, value in arguments.items() if value is not None}
        return Job(kind, given, self.run_of(context))

    def run_of(self, context: Context) -> Run:
        """The run this task belongs to, as far as jobs know it."""
        code = Path(self.code) if self.code else Path(context["dag"].fileloc).absolute().parent
        configured = conf.get(SECTION, "project", fallback=None)
        found = Settings(project=Path(configured) if configured else None).project_of(code / "dag.py")
        project = Path(self.project) if self.project else found
        ti = context["ti"]
        return Run(
            pipeline=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id if ti.map_index is None or ti.map_index < 0 else f"{ti.task_id}.{ti.map_index}",
            try_number=ti.try_number,
            slice=slice_of(context),
            storage=project / (self.storage or "lake"),
            project=project,
            code=code,
        )

    def site_of(self, context: Context) -> Site:
        """Where the clusters of this run are used from."""
        run = self.run_of(context)
        deployment = conf.get(SECTION, "deployment", fallback="") or conf.get(SECTION, "environment", fallback="")
        return Site(run.state, Owner(deployment or "", run.pipeline, run.run_id), open_client)

    @contextlib.contextmanager
    def told(self, context: Context) -> Iterator[None]:
        """Tell our errors with the task and its place, and let Airflow retry only those that a retry can mend."""
        die_with_parent()  # a supervisor that is killed would leave this try running beside its own retry
        self._working = True
        try:
            yield
        except WallError as error:
            ti = context["ti"]
            place = self.place or context["dag"].fileloc
            message = f"task `{ti.task_id}` ({place}): {error}"
            if isinstance(error, Terminal):
                raise AirflowFailException(message) from None
            raise type(error)(f"task `{ti.task_id}` ({place}): {error.message}", hint=error.hint) from None
        finally:
            self._working = False

    def on_kill(self) -> None:
        """End the work. Airflow calls this at SIGTERM, and would else let the task go on beside its successor."""
        if self._working:
            raise Interrupted("it was told to stop")

    def value_of(self, task: BaseOperator, name: str, context: Context) -> Any:
        """A field of another task of this DAG as that task sees it in this run."""
        value = getattr(task, name)
        return self.render_template(value, context) if name in task.template_fields else value

    def partner(self, context: Context, name: str, kind: type[Step]) -> Step:
        """The task of this DAG that the field `name` names, such as the `StartClusterOperator` it runs on."""
        task_id = getattr(self, name)
        task = context["dag"].task_dict.get(task_id)
        if not isinstance(task, kind):
            raise WallError(
                f"task `{self.task_id}`: `{name}` names `{task_id}`, which is no {kind.__name__} of this DAG",
                hint=f"give it the task id of a {kind.__name__}, one that is not mapped",
            )
        return task


class PatientOperator(StepOperator):
    """Base of the steps that may have to wait, and hold no worker meanwhile."""

    _is_sensor = True  # Airflow 3.2 asks only sensors when they want to be looked at again

    @classmethod
    def get_serialized_fields(cls) -> frozenset[str]:
        """What the scheduler is told of the task."""
        return frozenset(super().get_serialized_fields() | {"_is_sensor"})

    def look_again(self, after: timedelta) -> NoReturn:
        """End this look; the scheduler starts the next one. The try stays the same."""
        raise AirflowRescheduleException(reschedule_date=datetime.now(UTC) + after)


def slice_of(context: Context) -> Slice:
    """The slice of a run: its logical date, else its partition key, else the run itself."""
    dag_run = context["dag_run"]
    logical_date: datetime | None = dag_run.logical_date
    order = (logical_date or dag_run.run_after).astimezone(UTC)
    if logical_date is not None:
        return Slice(order.strftime("%Y%m%dT%H%M%SZ"), order.isoformat())
    key = getattr(dag_run, "partition_key", None)  # Airflow 3.2 has none
    return Slice(safe_name(key or dag_run.run_id), order.isoformat())


def states_of(context: Context, task_ids: Collection[str]) -> dict[str, str | None]:
    """The states of tasks of this run, of a mapped one each by itself."""
    if not task_ids:  # none asked for would be all
        return {}
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=sorted(task_ids), run_ids=[ti.run_id])
    return dict(states.get(ti.run_id, {}))


def connection(conn_id: str) -> ConnectionInfo:
    """
    The Airflow connection of that id.

    :raises ConnectionFault: there is none; says where it was looked for.
    """
    try:
        found = Connection.get(conn_id)
    except AirflowNotFoundException:
        raise _not_defined(conn_id) from None
    return ConnectionInfo(
        conn_id=conn_id,
        conn_type=found.conn_type,
        host=found.host,
        login=found.login,
        password=found.password,
        schema=found.schema,
        port=found.port,
        extra=found.extra_dejson,
    )


def _not_defined(conn_id: str) -> ConnectionFault:
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    file = os.environ.get(FILE_VARIABLE)
    if file is None:
        place, hint = "the secrets backends", f"define it: `airflow connections add {conn_id} ...`, or set `{variable}`"
    else:
        place = f"`{file}`" if Path(file).exists() else f"`{file}` (no such file)"
        hint = f"write it into that file, or set `{variable}`"
    return ConnectionFault(
        f"connection `{conn_id}` is not defined; looked in {place}, the variable `{variable}`, and Airflow's database",
        hint=hint,
    )


def named_connections(values: Sequence[Any]) -> tuple[str, ...]:
    """The ids of the connections that addresses such as `sql://CONNECTION/TABLE` name."""
    texts = [value for value in values if isinstance(value, str) and "://" in value]
    found = {text.split("://", 1)[1].split("/", 1)[0] for text in texts if text.startswith("sql://")}
    return tuple(sorted(found))


def connection_values(conn_id: str) -> dict[str, Any]:
    """The Airflow connection of that id as plain values, to be sent with a job."""
    return asdict(connection(conn_id))

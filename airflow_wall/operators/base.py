"""The base of all operators: their run, the connections they may read, and the format of their errors."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from airflow.configuration import conf
from airflow.sdk import Asset, BaseOperator, Connection
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException, AirflowRescheduleException
from airflow.sdk.log import mask_secret

from airflow_wall.airflow_internals import Reschedulable
from airflow_wall.clusters.base import ClusterSite, Owner
from airflow_wall.connections.extras import resolved
from airflow_wall.connections.info import FILE_VARIABLE, ConnectionInfo, check_conn_id
from airflow_wall.errors import ConnectionFault, Interrupted, Terminal, WallError
from airflow_wall.hooks.clients import open_client
from airflow_wall.job import Job, Run, Slice, TableRead, safe_name, slice_id_of
from airflow_wall.jobs.base import run_job
from airflow_wall.lake.lake import Lake, address_of
from airflow_wall.operators.assets import announce, lake_name
from airflow_wall.operators.metrics import measured
from airflow_wall.operators.table_order import order_of, reads_of
from airflow_wall.processes.lifetime import die_with_parent
from airflow_wall.settings import DEFAULT_STORAGE, SECTION, Settings, matches_any
from airflow_wall.sources.dates import dates_in

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

log = logging.getLogger(__name__)


Step = TypeVar("Step", bound="StepOperator")


class StepOperator(BaseOperator):
    """
    Base of all steps.

    :param storage: Directory of the lake; by default `lake` beside the `dags` directory.
    :param project: Base directory of relative paths in connections; by default the one that holds `dags`.
    :param code: Directory of SQL files, check files and the user's modules; by default that of the DAG's file.
    :param place: File and position of the task, for messages; by default the DAG's file.
    :param allowed_connections: Ids of the connections that the task may read, or patterns that end in `*`; by default
        any. Documents in the lake, such as those of releases, also name connections.
    :param checks_order: False if the DAG processor has warned that tasks of the DAG read tables too early. In a release
        in which this is only a warning, they then run.
    """

    ui_color = "#eef4f8"

    default_settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of `BaseOperator` for this step; only the task itself overrides them, not the DAG's `default_args`."""

    checks_upstream: ClassVar[bool] = False
    """True if, with the trigger rule `all_done`, it fails after a failed upstream task that stops no cluster."""

    stops_cluster: ClassVar[bool] = False
    """True if it stops the cluster of the task that its field `cluster` names."""

    checks_table: ClassVar[bool] = False
    """True if it checks the table that its field `table` names, so that only rows that passed are released."""

    publishes_table: ClassVar[bool] = False
    """True if it publishes the table that its field `table` names, so that it must wait for the checks of it."""

    commits_release: ClassVar[bool] = False
    """True if it commits a release and returns it."""

    storage: str | None = None
    project: str | None = None
    _own_outlets: Sequence[Any] = ()
    _working = False
    _lineage: Sequence[OperatorLineage[Any, Any]] = ()

    def __init__(
        self,
        *,
        storage: str | None = None,
        project: str | None = None,
        code: str | None = None,
        place: str | None = None,
        allowed_connections: Sequence[str] | None = None,
        checks_order: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**self.default_settings, **kwargs})
        self.storage = storage
        self.project = project
        self.code = code
        self.place = place
        self.allowed_connections = allowed_connections
        self.checks_order = checks_order

    @property
    def outlets(self) -> list[Any]:
        """The assets that the task updates: those of its author, and what it writes into the lake."""
        return [*self._own_outlets, *self.written_assets()]

    @outlets.setter
    def outlets(self, value: Iterable[Any]) -> None:
        self._own_outlets = list(value)

    def add_outlets(self, outlets: Iterable[Any]) -> None:
        """Add assets that the task updates."""
        self._own_outlets = [*self._own_outlets, *outlets]

    def written_assets(self) -> list[Asset]:
        """Return the tables, models and releases that the task announces as assets."""
        lake = lake_name(self.storage, self.project)
        return [Asset(f"{lake}/{name}") for name in dict.fromkeys(self.announces())]

    def announces(self) -> Iterator[str]:
        """Yield the names of the assets that the task updates, below the lake. Names in templates are left out."""
        yield from ()

    def announced(self, context: Context, result: dict[str, Any], **facts: Any) -> dict[str, Any]:
        """Attach a result, and further facts, to the events of the assets; return the result."""
        announce(context, self.written_assets(), {**facts, **result})
        return result

    def do(self, context: Context, kind: str, **arguments: Any) -> dict[str, Any]:
        """Run a job of this kind in the worker. The job chooses the value of an argument that is None."""
        with self.working(context, kind, arguments) as (job, results):
            results.append(run_job(job, self.connection))
        return results[0]

    @contextlib.contextmanager
    def working(
        self, context: Context, kind: str, arguments: Mapping[str, Any]
    ) -> Iterator[tuple[Job, list[dict[str, Any]]]]:
        """Yield a job of this task and a list for its result. Measure the job, and keep its lineage."""
        with self.error_context(context):
            try:
                with measured(self.dag_id, kind) as results:
                    job = self.job(context, kind, arguments)
                    yield job, results
            finally:
                if results and _sends_lineage():
                    self._keep_lineage(job, results[0])

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:  # noqa: ARG002
        """Return the inputs and outputs of the jobs of this try. The OpenLineage provider calls this method."""
        if not self._lineage:
            return None
        from airflow_wall.operators.open_lineage import merged  # imports the provider

        return merged(self._lineage)

    def _keep_lineage(self, job: Job, result: Mapping[str, Any]) -> None:
        """Keep the inputs and outputs of a job for OpenLineage, whose process cannot read the lake after its fork."""
        from airflow_wall.operators.open_lineage import lineage_of  # imports the provider

        try:
            self._lineage = [*self._lineage, lineage_of(job, result, self.connection)]
        except Exception:  # lineage is for people: the rows are there
            log.warning("OpenLineage gets no inputs and outputs of this task", exc_info=True)

    def connection(self, conn_id: str) -> ConnectionInfo:
        """
        Return the Airflow connection with that id.

        :raises ConnectionFault: it is not defined, or the task may not read it.
        """
        check_conn_id(conn_id)
        if self.allowed_connections is not None and not matches_any(conn_id, self.allowed_connections):
            raise ConnectionFault(
                f"connection `{conn_id}` may not be read by this task",
                hint=f"add it to the setting `[{SECTION}] allowed_connections`; if the pipeline does not name it, a "
                "document in the lake does: find out who wrote it",
            )
        return connection(conn_id)

    def job(self, context: Context, kind: str, arguments: Mapping[str, Any]) -> Job:
        """Return the job document of this task."""
        arguments = {name: value for name, value in arguments.items() if value is not None}
        reads = list(self.tables_read()) if self.checks_order and arguments.keys() & {"inputs", "table"} else []
        order = order_of(self, context["dag"], reads) if reads else None
        return Job(kind, arguments, self.run_of(context), order=order)

    def tables_read(self) -> Iterator[TableRead]:
        """Yield the tables that the step reads: those of its fields `inputs` and `table`. Names are known by now."""
        inputs, table = getattr(self, "inputs", None), getattr(self, "table", None)
        if isinstance(inputs, Mapping):
            yield from reads_of(inputs, "inputs")
        if isinstance(table, str):
            verb = "publishes" if self.publishes_table else "checks" if self.checks_table else "reads"
            external = bool(getattr(self, "external", False))
            yield TableRead("table", table, verb, external=external, checked=self.publishes_table)

    def run_of(self, context: Context) -> Run:
        """Return the run of this task, with the fields that jobs use."""
        code = Path(self.code) if self.code else Path(context["dag"].fileloc).absolute().parent
        configured = conf.get(SECTION, "project", fallback=None)
        default = Settings(project=Path(configured) if configured else None).project_of(code / "dag.py")
        project = Path(self.project) if self.project else default
        ti = context["ti"]
        map_index = -1 if ti.map_index is None else ti.map_index
        return Run(
            pipeline=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id if map_index < 0 else f"{ti.task_id}.{map_index}",
            try_number=ti.try_number,
            slice=slice_of(context["dag_run"], context["dag"].timezone),
            storage=self.lake_of(project),
            project=project,
            code=code,
            map_index=map_index,
        )

    def lake_of(self, project: Path) -> Lake:
        """Return the lake of the task. It reads its connection when it is opened."""
        return Lake(address_of(self.storage or DEFAULT_STORAGE, project), self.connection)

    def site_of(self, context: Context) -> ClusterSite:
        """Return the site of this run's clusters: state directory, owner and client."""
        run = self.run_of(context)
        deployment = conf.get(SECTION, "deployment", fallback="") or conf.get(SECTION, "environment", fallback="")
        return ClusterSite(run.storage, Owner(deployment or "", run.pipeline, run.run_id), open_client)

    @contextlib.contextmanager
    def error_context(self, context: Context) -> Iterator[None]:
        """Add the task and its place to errors, and let Airflow retry only the errors that a retry can fix."""
        die_with_parent()  # else a killed supervisor would leave this try running beside its retry
        self._working = True
        try:
            with self._errors_of_lake(context):
                yield
        except WallError as error:
            ti = context["ti"]
            place = self.place or context["dag"].fileloc
            message = f"task `{ti.task_id}` ({place}): {error.report()}"
            if isinstance(error, Terminal):
                raise AirflowFailException(message) from None
            raise type(error)(f"task `{ti.task_id}` ({place}): {error.message}", hint=error.hint) from None
        finally:
            self._working = False

    @contextlib.contextmanager
    def _errors_of_lake(self, context: Context) -> Iterator[None]:
        """Translate errors of the file system in the lake to one clear message."""
        try:
            yield
        except OSError as error:
            storage = self.run_of(context).storage
            if not isinstance(error.filename, str) or storage.key_of(Path(error.filename)) is None:
                raise
            raise WallError(
                f"the lake `{storage}` cannot be used: `{error.filename}`: {(error.strerror or str(error)).lower()}",
                hint="correct `storage`, or the directory and its permissions",
            ) from error

    def on_kill(self) -> None:
        """End the work. Airflow calls this at SIGTERM; without it the task would run on beside its next try."""
        if self._working:
            raise Interrupted("Airflow stopped this task")

    def value_of(self, task: BaseOperator, name: str, context: Context) -> Any:
        """Return a field of another task of this DAG, rendered as in that task."""
        value = getattr(task, name)
        return self.render_template(value, context) if name in task.template_fields else value

    def partner(self, context: Context, name: str, kind: type[Step]) -> Step:
        """Return the task that the field `name` refers to, such as the `StartClusterOperator` of its cluster."""
        task_id = getattr(self, name)
        task = context["dag"].task_dict.get(task_id)
        if not isinstance(task, kind):
            raise WallError(
                f"task `{self.task_id}`: `{name}` must be the task id of a {kind.__name__}, got `{task_id}`",
                hint=f"set it to the task id of a {kind.__name__} of this DAG that is not mapped",
            )
        return task


class PatientOperator(Reschedulable, StepOperator):
    """Base of the steps that may wait, without occupying a worker."""

    def reschedule(self, after: timedelta) -> NoReturn:
        """End this execution; the scheduler starts the next one after the delay. The try number does not change."""
        raise AirflowRescheduleException(reschedule_date=datetime.now(UTC) + after)


def slice_of(dag_run: Any, zone: tzinfo = UTC) -> Slice:
    """
    Return the slice of a run: its logical date, else its partition key, else the run id.

    :param dag_run: The run, from a task's context or from the metadata database.
    :param zone: The time zone of the pipeline.
    """
    logical_date: datetime | None = dag_run.logical_date
    order = (logical_date or dag_run.run_after).astimezone(UTC)
    day = order.astimezone(zone).date().isoformat()
    if logical_date is not None:
        return Slice(slice_id_of(order), order.isoformat(), day)
    key = getattr(dag_run, "partition_key", None)  # Airflow 3.2 does not have it
    dates = dates_in(key) if key else []
    return Slice(safe_name(key or dag_run.run_id), order.isoformat(), dates[0] if len(dates) == 1 else day)


def states_of(context: Context, task_ids: Collection[str]) -> dict[str, str | None]:
    """Return the states of tasks of this run by task id; mapped task instances are separate."""
    if not task_ids:  # Airflow returns all tasks for an empty list
        return {}
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=sorted(task_ids), run_ids=[ti.run_id])
    return dict(states.get(ti.run_id, {}))


def connection(conn_id: str) -> ConnectionInfo:
    """
    Return the Airflow connection with that id, after checking that every extra is supported.

    From here on Airflow masks its secrets in the task's log, including those in a URL.

    :raises ConnectionFault: it is not defined (the message lists the places that were searched), or an extra is not
    supported.
    """
    check_conn_id(conn_id)
    try:
        defined = Connection.get(conn_id)
    except AirflowNotFoundException:
        raise _not_defined(conn_id) from None
    info = ConnectionInfo(
        conn_id=conn_id,
        conn_type=defined.conn_type,
        host=defined.host,
        login=defined.login,
        password=defined.password,
        schema=defined.schema,
        port=defined.port,
        extra=_extra(conn_id, defined.extra),
    )
    for secret in info.secrets():
        mask_secret(secret)
    return resolved(info)


def _sends_lineage() -> bool:
    try:
        from airflow.providers.openlineage.conf import is_disabled
    except ImportError:
        return False
    return not is_disabled()


def _extra(conn_id: str, text: str | None) -> dict[str, Any]:
    """Return the extra of a connection. Airflow itself treats text that is not JSON as empty."""
    try:
        extra = json.loads(text) if text else {}
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise ConnectionFault(
            f"connection `{conn_id}`: expected a JSON object in `extra`, got something else",
            hint='write it as in `{"sslmode": "require"}`',
        )
    mask_secret(extra)
    return extra


def _not_defined(conn_id: str) -> ConnectionFault:
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    file = os.environ.get(FILE_VARIABLE)
    if file is None:
        place, hint = "the secrets backends", f"define it: `airflow connections add {conn_id} ...`, or set `{variable}`"
    else:
        place = f"`{file}`" if Path(file).exists() else f"`{file}` (no such file)"
        hint = f"add it to that file, or set `{variable}`"
    return ConnectionFault(
        f"connection `{conn_id}` is not defined; looked in {place}, the variable `{variable}`, and Airflow's database",
        hint=hint,
    )

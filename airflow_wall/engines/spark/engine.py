"""
Spark as the engine of a job: its executors read the files of the inputs and write the rows of the result to staging.

The table store commits the result, as with the embedded engine. The result has the names and types of the embedded
engine, which runs the query on inputs without rows first. So a query that the embedded engine rejects is rejected here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_wall.engines.duckdb.query import query_label, run_query, sort_rows, union_tables
from airflow_wall.engines.spark.sql_translation import translate
from airflow_wall.engines.spark.whole_job import WHOLE_JOB_CONF, WholeJob, whole_job
from airflow_wall.engines.spark_request import SparkRequest
from airflow_wall.errors import (
    ClusterError,
    DataError,
    Interrupted,
    UserCodeError,
    WallError,
    error_from_json,
    first_line,
)
from airflow_wall.job import Job, Run
from airflow_wall.storage.base import Files

# This module uses none of Spark's functions for pandas.
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
from pyspark.errors import PySparkException  # noqa: E402
from pyspark.sql import DataFrame, SparkSession  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402, N812  the usual name
from pyspark.sql import types as T  # noqa: E402, N812

log = logging.getLogger(__name__)
logging.getLogger("py4j").setLevel(logging.WARNING)  # it logs each closed connection

_CONF = {
    "spark.sql.ansi.enabled": "true",  # an overflow or a failed cast is an error as in DuckDB, not a null
    "spark.sql.caseSensitive": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
}
"""Configuration with which Spark's results equal DuckDB's."""

_DEFAULTS = {
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "16",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""Configuration that users can override."""

_PLAIN: dict[pa.DataType, Callable[[], T.DataType]] = {
    pa.bool_(): T.BooleanType,
    pa.int8(): T.ByteType,
    pa.int16(): T.ShortType,
    pa.int32(): T.IntegerType,
    pa.int64(): T.LongType,
    pa.float32(): T.FloatType,
    pa.float64(): T.DoubleType,
    pa.string(): T.StringType,
    pa.binary(): T.BinaryType,
    pa.date32(): T.DateType,
}
_LOST = re.compile(
    r"ExecutorLostFailure|SparkContext was shut down|stopped SparkContext|cancelled because|Connection refused"
    r"|All masters are unresponsive|Master removed our application"
)
_LACKING = re.compile(r"ModuleNotFoundError: [^\n]+|\[PYTHON_VERSION_MISMATCH\][^\n]+|Cannot run program \"[^\n]+")
"""Spark's messages if the Python of its executors differs from that of the job."""
_OURS = re.compile(r"airflow-wall says (\{\"kind\".*\})")


PartByPart = Callable[[Iterable[pa.Table]], Iterator[pa.Table]]
"""A function from rows to rows, both in parts of any size."""


@dataclass(frozen=True)
class _ArrowFunction:
    """
    A function in the form in which executors call it.

    :param schema: The columns of its argument.
    """

    function: PartByPart
    schema: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with _errors_as_text():
            for rows in self.function(pa.Table.from_batches([batch]).cast(self.schema) for batch in batches):
                yield from rows.to_batches()


@dataclass(frozen=True)
class _WholeJobFunction:
    """A whole job in the form in which its executor calls it."""

    job: WholeJob

    def __call__(self, _: int) -> str:
        with _errors_as_text():
            return json.dumps(self.job())


@contextlib.contextmanager
def _errors_as_text() -> Iterator[None]:
    """Raise an error of this package as JSON in the text of another error, because Spark passes on the text only."""
    try:
        yield
    except WallError as error:
        raise RuntimeError(f"airflow-wall says {json.dumps(error.to_json())}") from error


class Engine:
    """
    One Spark application, a context manager. It starts on first use, so that earlier errors do not cost a start.

    At the end of the block the application and its executors are stopped, and its staging directory is removed.

    :param request: The Spark cluster to use.
    :param run: The run it works for.
    """

    def __init__(self, request: SparkRequest, run: Run) -> None:
        self.request = request
        self.run = run
        self._conf = {**_DEFAULTS, **request.conf, **_CONF, "spark.executorEnv.PYTHONPATH": str(run.code)}
        self._inputs: dict[str, tuple[pa.Schema, Sequence[Files]]] = {}
        task = "\n".join((run.pipeline, run.run_id, run.task_id))
        self._staging = request.staging / hashlib.sha256(task.encode()).hexdigest()[:12]

    def __enter__(self) -> Engine:
        shutil.rmtree(self._staging, ignore_errors=True)  # left by a killed try of this task
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if "_session" in self.__dict__:
                self._session.stop()
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def add(self, name: str, tables: Sequence[str], files: Sequence[Files]) -> pa.Schema:
        """
        Add an input and return its columns.

        :param name: Its name in the query or the function.
        :param tables: Names of its tables.
        :param files: The files of these tables.
        """
        schema = union_tables(name, tables, [part.schema.empty_table() for part in files]).schema
        self._inputs[name] = (schema, files)
        return schema

    @cached_property
    def frames(self) -> dict[str, DataFrame]:
        """The inputs as DataFrames of Spark."""
        frames = {}
        for name, (schema, files) in self._inputs.items():
            frame, *others = (self._table_frame(table_files, schema) for table_files in files)
            for other in others:
                frame = frame.unionAll(other)
            frames[name] = frame
        return frames

    def run_query(self, sql: str, sql_file: str | None) -> pa.Table:
        """
        Return the rows of one query over the inputs. They equal those of the embedded engine.

        A query without ORDER BY is sorted by all columns, so that every try has the same result.

        :raises UserCodeError: the query fails, or uses SQL for which the results of Spark and DuckDB may differ.
        """
        empty = {name: schema.empty_table() for name, (schema, _) in self._inputs.items()}
        expected = run_query(sql, empty, sql_file).schema
        query = translate(sql, empty, sql_file)
        log.info("on Spark: %s", query.text)
        for name, frame in self.frames.items():
            frame.createOrReplaceTempView(name)
        try:
            rows = self._collect(self._session.sql(query.text))
        except Exception as error:
            raise _query_error(error, query_label(sql_file)) from error
        result = _cast_to(rows, expected)
        return result if query.ordered else sort_rows(result)

    def rows(self, result: Any) -> pa.Table | None:
        """
        Return the rows of a DataFrame of Spark, or None for other objects.

        :raises Interrupted: Spark lost the work.
        """
        if not isinstance(result, DataFrame):
            return None
        try:
            return self._collect(result)
        except Exception as error:
            lost = _lost_work(error)
            if lost is not None:
                raise lost from error
            raise

    def map_rows(self, name: str, function: PartByPart, schema: pa.Schema) -> pa.Table:
        """
        Apply a function to the rows of an input on the executors, part by part, and return the result.

        The result is sorted by all columns, so that every try has the same result.

        :param function: It is sent to the executors, which import its module. Errors of this package that it raises are
            raised here.
        :param schema: The columns of its result.
        :raises ClusterError: the Python of the executors lacks packages that the function needs.
        :raises Interrupted: Spark lost the work.
        """
        input_schema, _ = self._inputs[name]
        result_type = T.StructType([T.StructField(field.name, spark_type(field.type)) for field in schema])
        try:
            rows = self._collect(self.frames[name].mapInArrow(_ArrowFunction(function, input_schema), result_type))
            return sort_rows(_cast_to(rows, schema))
        except WallError:
            raise
        except Exception as error:
            raise _executor_error(error) from error

    def run_whole_job(self, job: Job) -> dict[str, Any]:
        """
        Run a job as a whole on one executor, with the embedded engine there, and return its result.

        Its log lines are logged here. Errors of this package that it raises are raised here.

        :param job: A job that reads no connection.
        :raises ClusterError: the Python of the executors lacks packages that jobs need.
        :raises Interrupted: Spark lost the work, or the job's process died.
        """
        self._conf |= WHOLE_JOB_CONF
        self._conf["spark.cores.max"] = self._conf.get("spark.executor.cores", "1")  # leave the others to other jobs
        work = whole_job(job.to_json(), self._staging / uuid.uuid4().hex)
        try:
            with work.followed(log.info):
                (result,) = self._session.sparkContext.parallelize([0], 1).map(_WholeJobFunction(work)).collect()
        except WallError:
            raise
        except Exception as error:
            raise _executor_error(error) from error
        return dict(json.loads(result))

    @cached_property
    def _session(self) -> SparkSession:
        builder = SparkSession.builder.master(self.request.master).appName(f"{self.run.pipeline} {self.run.task_id}")
        try:
            session = builder.config(map=self._conf).getOrCreate()
        except Exception as error:
            raise _start_error(error, self.request.master) from error
        session.sparkContext.setLogLevel("WARN")
        return session

    def _table_frame(self, files: Files, schema: pa.Schema) -> DataFrame:
        """Return the rows of one table, with the columns of its input."""
        reads = T.StructType([T.StructField(field.name, spark_type(field.type)) for field in files.schema])
        paths = [f"file://{_escape(path)}" for path in files.paths]
        if paths:
            frame = self._session.read.schema(reads).option("recursiveFileLookup", "true").parquet(*paths)
        else:
            frame = self._session.createDataFrame([], reads)
        own = {name.lower(): name for name in files.schema.names}
        columns = []
        for field in schema:
            kind = spark_type(field.type)
            name = own.get(field.name.lower())
            column = F.lit(None) if name is None else F.col(f"`{name.replace('`', '``')}`")
            columns.append(column.cast(kind).alias(field.name))
        return frame.select(*columns)

    def _collect(self, frame: DataFrame) -> pa.Table:
        """Return the rows of a DataFrame in order. Executors write them to staging, and this process reads them."""
        names = frame.columns
        folder = self._staging / uuid.uuid4().hex
        # Columns are named by position, because two may have the same name, and Parquet does not allow every name.
        frame.toDF(*[f"c{place}" for place in range(len(names))]).write.parquet(f"file://{folder}")
        files = sorted(folder.glob("part-*.parquet"))
        parts = [pq.read_table(file, partitioning=None) for file in files]
        if not parts:
            raise Interrupted(
                f"Spark must write its result into `{folder}`, got no file there",
                hint="mount the lake at the same path on every machine",
            )
        return pa.concat_tables(parts).rename_columns(names).replace_schema_metadata(None)


def spark_type(kind: pa.DataType) -> T.DataType:
    """
    Return Spark's type for a column of a table.

    :raises DataError: Spark has none.
    """
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain()
    if pa.types.is_timestamp(kind):
        return T.TimestampType() if kind.tz else T.TimestampNTZType()
    if pa.types.is_decimal(kind):
        return T.DecimalType(kind.precision, kind.scale)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return T.ArrayType(spark_type(kind.value_type))
    if pa.types.is_struct(kind):
        return T.StructType([T.StructField(field.name, spark_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return T.MapType(spark_type(kind.key_type), spark_type(kind.item_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return T.StringType()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return T.BinaryType()
    raise DataError(f"Spark has no type for `{kind}`", hint="cast the column in the step that writes it")


def _escape(path: Path) -> str:
    """Return a path with escaped wildcards."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path))


def _cast_to(rows: pa.Table, expected: pa.Schema) -> pa.Table:
    """Return the rows with the names and types of the embedded engine's result."""
    try:
        return rows.rename_columns(expected.names).cast(expected)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"Spark's result must have the types of the embedded engine's result: {error}",
            hint="cast the columns of the query to the intended types",
        ) from error


def _start_error(error: Exception, master: str) -> ClusterError | Interrupted:
    reason = first_line(error)
    if "JAVA_GATEWAY_EXITED" in str(error):
        return ClusterError(
            f"`cluster.type: spark`: Java did not start on the machine of this task: {reason}",
            hint="install Java 17 or later on every worker; the log above has its own message",
        )
    return Interrupted(f"`cluster`: no Spark application could be started on `{master}`: {reason}")


def _query_error(error: Exception, where: str) -> Exception:
    """Return an error of Spark as an error of this package."""
    if isinstance(error, DataError | Interrupted):
        return error
    text = str(error)
    lost = _lost_work(error, f"{where}: ")
    if lost is not None:
        return lost
    messages = re.findall(r"\[[A-Z][A-Z_.0-9]+\][^\n]*", text)
    reason = messages[-1].strip() if messages else first_line(error)
    if isinstance(error, PySparkException) and type(error).__name__ in ("AnalysisException", "ParseException"):
        hint = "remove `cluster` from this step, or set `engine: embedded` on the cluster: DuckDB then runs the query"
        return UserCodeError(f"{where}: Spark rejects the query: {reason}", hint=hint)
    return UserCodeError(f"{where}: Spark: {reason}")


def _lost_work(error: Exception, where: str = "") -> Interrupted | None:
    """Return the error of a cluster that ended during the work, or None for any other error."""
    return Interrupted(f"{where}Spark lost the work: {first_line(error)}") if _LOST.search(str(error)) else None


def _executor_error(error: Exception) -> WallError:
    """Return an error of executors as an error of this package."""
    text = str(error)
    ours = _OURS.search(text)
    if ours is not None:
        return error_from_json(json.loads(ours[1]))
    lacking = _LACKING.search(text)
    if lacking is not None:
        return ClusterError(
            f"`cluster`: the Python of Spark's executors cannot run this step: {lacking[0].strip()}",
            hint="install the job's Python and `airflow-wall[local]` there, or set `engine: embedded` on the cluster",
        )
    lost = _lost_work(error)
    if lost is not None:
        return lost
    return ClusterError(f"`cluster`: Spark could not run this step: {first_line(error)}")

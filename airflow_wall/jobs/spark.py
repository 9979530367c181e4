"""
Spark as the engine of a job: its executors read the files of the inputs, and write the rows of the result to staging.

What is committed, and when, is the store's business as with the embedded engine. Types and names of the result are
those of the embedded engine, which is asked for them over inputs without rows: it refuses what it would refuse.
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

from airflow_wall.errors import ClusterError, DataError, Interrupted, UserCodeError, WallError, error_of
from airflow_wall.jobs.document import Job, Run
from airflow_wall.jobs.query import answer, named, together
from airflow_wall.jobs.spark_sql import translated
from airflow_wall.jobs.spark_whole import ALONE, WholeJob, whole_job
from airflow_wall.spark_request import SparkRequest
from airflow_wall.storage.base import Files

# Of what Spark does with pandas nothing is used here.
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
from pyspark.errors import PySparkException  # noqa: E402
from pyspark.sql import DataFrame, SparkSession  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402, N812  what everyone calls it
from pyspark.sql import types as T  # noqa: E402, N812

log = logging.getLogger(__name__)
logging.getLogger("py4j").setLevel(logging.WARNING)  # it tells of each connection that it closes

_CONF = {
    "spark.sql.ansi.enabled": "true",  # an overflow or a bad cast is an error, as in DuckDB, and no null
    "spark.sql.caseSensitive": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
}
"""What makes Spark give what DuckDB gives."""

_USUAL = {
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "16",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""What the user may have otherwise."""

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
"""What Spark says where the Python of its executors is not like that of the job."""
_OURS = re.compile(r"airflow-wall says (\{\"kind\".*\})")


PartByPart = Callable[[Iterable[pa.Table]], Iterator[pa.Table]]
"""Makes rows of rows, which come in parts of any size."""


@dataclass(frozen=True)
class _Executed:
    """
    A function as executors call it.

    :param given: The columns of what it is given.
    """

    function: PartByPart
    given: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with _spoken():
            for rows in self.function(pa.Table.from_batches([batch]).cast(self.given) for batch in batches):
                yield from rows.to_batches()


@dataclass(frozen=True)
class _Alone:
    """A job as the one executor calls it that is to do it."""

    job: WholeJob

    def __call__(self, _: int) -> str:
        with _spoken():
            return json.dumps(self.job())


@contextlib.contextmanager
def _spoken() -> Iterator[None]:
    """Say an error of ours in the text of another: Spark keeps of an error its text."""
    try:
        yield
    except WallError as error:
        raise RuntimeError(f"airflow-wall says {json.dumps(error.to_json())}") from error


class Engine:
    """
    One application of Spark, begun when it is needed: what is wrong before costs no start of it.

    Leave the block, and it is over, its executors too, and its staging is removed.

    :param request: Which Spark.
    :param run: The run it works for.
    """

    def __init__(self, request: SparkRequest, run: Run) -> None:
        self.request = request
        self.run = run
        self._conf = {**_USUAL, **request.conf, **_CONF, "spark.executorEnv.PYTHONPATH": str(run.code)}
        self._inputs: dict[str, tuple[pa.Schema, Sequence[Files]]] = {}
        of_task = "\n".join((run.pipeline, run.run_id, run.task_id))
        self._staging = request.staging / hashlib.sha256(of_task.encode()).hexdigest()[:12]

    def __enter__(self) -> Engine:
        shutil.rmtree(self._staging, ignore_errors=True)  # of an earlier try of this task, which was killed
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if "_session" in self.__dict__:
                self._session.stop()
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def add(self, name: str, tables: Sequence[str], files: Sequence[Files]) -> pa.Schema:
        """
        Have an input. Returns its columns.

        :param name: As the query or the function knows it.
        :param tables: Names of its tables.
        :param files: Where their rows are.
        """
        schema = together(name, tables, [each.schema.empty_table() for each in files]).schema
        self._inputs[name] = (schema, files)
        return schema

    @cached_property
    def frames(self) -> dict[str, DataFrame]:
        """Each input as Spark's DataFrame."""
        made = {}
        for name, (schema, files) in self._inputs.items():
            whole, *more = (self._part(each, schema) for each in files)
            for part in more:
                whole = whole.unionAll(part)
            made[name] = whole
        return made

    def answer(self, sql: str, sql_file: str | None) -> pa.Table:
        """
        The rows of one query over the inputs, as the embedded engine would give them.

        Without an order of its own the result is ordered by its columns: every try has to give the same.

        :raises UserCodeError: it fails, or has what Spark would answer otherwise.
        """
        empty = {name: schema.empty_table() for name, (schema, _) in self._inputs.items()}
        expected = answer(sql, empty, sql_file).schema
        query = translated(sql, empty, sql_file)
        log.info("on Spark: %s", query.text)
        for name, frame in self.frames.items():
            frame.createOrReplaceTempView(name)
        try:
            rows = self._written(self._session.sql(query.text))
        except Exception as error:
            raise _failed(error, named(sql_file)) from error
        fitting = _fitted(rows, expected)
        return fitting if query.ordered else _ordered(fitting)

    def rows(self, result: Any) -> pa.Table | None:
        """
        The rows of a DataFrame of Spark; None of anything else.

        :raises Interrupted: Spark lost the work.
        """
        if not isinstance(result, DataFrame):
            return None
        try:
            return self._written(result)
        except Exception as error:
            lost = _lost(error)
            if lost is not None:
                raise lost from error
            raise

    def mapped(self, name: str, function: PartByPart, schema: pa.Schema) -> pa.Table:
        """
        The rows that a function makes of the rows of an input, part by part, where the executors have them.

        They are ordered by their columns: every try has to give the same.

        :param function: It is sent to the executors, which import its module. What it raises of ours is raised here.
        :param schema: The columns of what it gives.
        :raises ClusterError: the Python of the executors has not what the function needs.
        :raises Interrupted: Spark lost the work.
        """
        given, _ = self._inputs[name]
        made = T.StructType([T.StructField(field.name, spark_type(field.type)) for field in schema])
        try:
            rows = self._written(self.frames[name].mapInArrow(_Executed(function, given), made))
            return _ordered(_fitted(rows, schema))
        except WallError:
            raise
        except Exception as error:
            raise _of_executor(error) from error

    def whole(self, job: Job) -> dict[str, Any]:
        """
        The result of a job that one executor does from its first line to its last, by the embedded engine.

        Its lines are logged here. What it raises of ours is raised here.

        :param job: It reads no connection.
        :raises ClusterError: the Python of the executors has not what jobs need.
        :raises Interrupted: Spark lost the work, or the job's process died.
        """
        self._conf |= ALONE
        self._conf["spark.cores.max"] = self._conf.get("spark.executor.cores", "1")  # others are for other jobs
        sent = whole_job(job.to_json(), self._staging / uuid.uuid4().hex)
        try:
            with sent.followed(log.info):
                (answer,) = self._session.sparkContext.parallelize([0], 1).map(_Alone(sent)).collect()
        except WallError:
            raise
        except Exception as error:
            raise _of_executor(error) from error
        return dict(json.loads(answer))

    @cached_property
    def _session(self) -> SparkSession:
        builder = SparkSession.builder.master(self.request.master).appName(f"{self.run.pipeline} {self.run.task_id}")
        try:
            begun = builder.config(map=self._conf).getOrCreate()
        except Exception as error:
            raise _not_begun(error, self.request.master) from error
        begun.sparkContext.setLogLevel("WARN")
        return begun

    def _part(self, files: Files, schema: pa.Schema) -> DataFrame:
        """The rows of one table with the columns of its input."""
        reads = T.StructType([T.StructField(field.name, spark_type(field.type)) for field in files.schema])
        paths = [f"file://{_literal(path)}" for path in files.paths]
        if paths:
            found = self._session.read.schema(reads).option("recursiveFileLookup", "true").parquet(*paths)
        else:
            found = self._session.createDataFrame([], reads)
        own = {name.lower(): name for name in files.schema.names}
        columns = []
        for field in schema:
            kind = spark_type(field.type)
            name = own.get(field.name.lower())
            column = F.lit(None) if name is None else F.col(f"`{name.replace('`', '``')}`")
            columns.append(column.cast(kind).alias(field.name))
        return found.select(*columns)

    def _written(self, frame: DataFrame) -> pa.Table:
        """The rows of a DataFrame, by way of staging: executors write them, in their order, and they are read here."""
        names = frame.columns
        folder = self._staging / uuid.uuid4().hex
        # By their places, because two may have one name, and Parquet takes not every name.
        frame.toDF(*[f"c{place}" for place in range(len(names))]).write.parquet(f"file://{folder}")
        files = sorted(folder.glob("part-*.parquet"))
        parts = [pq.read_table(file, partitioning=None) for file in files]
        if not parts:
            raise Interrupted(
                f"Spark wrote no file into `{folder}`", hint="the lake must be the same folder everywhere"
            )
        return pa.concat_tables(parts).rename_columns(names).replace_schema_metadata(None)


def spark_type(kind: pa.DataType) -> T.DataType:
    """Spark's type of a column of a table."""
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


def _literal(path: Path) -> str:
    """A path in which nothing is a pattern."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path))


def _fitted(rows: pa.Table, expected: pa.Schema) -> pa.Table:
    """The rows with the names and types that the embedded engine would have given."""
    try:
        return rows.rename_columns(expected.names).cast(expected)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"Spark's result is not what the embedded engine would give: {error}",
            hint="cast the columns of the query to the types that are meant",
        ) from error


def _ordered(rows: pa.Table) -> pa.Table:
    """The rows in the order of their columns; those that have no order do not count."""
    names = [f"c{place}" for place in range(rows.num_columns)]  # two columns may have one name
    plain = [name for name, field in zip(names, rows.schema, strict=True) if not pa.types.is_nested(field.type)]
    if not plain:
        return rows
    return rows.rename_columns(names).sort_by([(name, "ascending") for name in plain]).rename_columns(rows.column_names)


def _not_begun(error: Exception, master: str) -> ClusterError | Interrupted:
    said = _first_line(error)
    if "JAVA_GATEWAY_EXITED" in str(error):
        return ClusterError(
            f"`cluster.type: spark`: Java did not start on the machine of this task: {said}",
            hint="install Java 17 or later on every worker; its own words are in the log above",
        )
    return Interrupted(f"`cluster`: no application could be begun on `{master}`: {said}")


def _failed(error: Exception, where: str) -> Exception:
    """What Spark says, as an error of ours."""
    if isinstance(error, DataError | Interrupted):
        return error
    text = str(error)
    lost = _lost(error, f"{where}: ")
    if lost is not None:
        return lost
    found = re.findall(r"\[[A-Z][A-Z_.0-9]+\][^\n]*", text)
    said = found[-1].strip() if found else _first_line(error)
    if isinstance(error, PySparkException) and type(error).__name__ in ("AnalysisException", "ParseException"):
        hint = "remove `cluster` from this step, or have `engine: embedded` on the cluster: DuckDB then runs the query"
        return UserCodeError(f"{where}: Spark does not take the query: {said}", hint=hint)
    return UserCodeError(f"{where}: Spark: {said}")


def _lost(error: Exception, where: str = "") -> Interrupted | None:
    """The error of a cluster that went away under the work; None of any other."""
    return Interrupted(f"{where}Spark lost the work: {_first_line(error)}") if _LOST.search(str(error)) else None


def _of_executor(error: Exception) -> WallError:
    """What executors met, as an error of ours."""
    text = str(error)
    ours = _OURS.search(text)
    if ours is not None:
        return error_of(json.loads(ours[1]))
    lacking = _LACKING.search(text)
    if lacking is not None:
        return ClusterError(
            f"`cluster`: the Python of Spark's executors cannot run this step: {lacking[0].strip()}",
            hint="have there the Python of the job with `airflow-wall[local]`, or `engine: embedded` on the cluster",
        )
    lost = _lost(error)
    if lost is not None:
        return lost
    return ClusterError(f"`cluster`: Spark could not do this step: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:500]

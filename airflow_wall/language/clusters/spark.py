"""The cluster `spark`."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from airflow_wall.diagnostics.patterns import MEMORY_PATTERN
from airflow_wall.engines.spark_request import MANAGED, SECRET, SIZES
from airflow_wall.language.base import Positive, SpecModel
from airflow_wall.language.clusters.base import ClusterConfig, Filled
from airflow_wall.language.environment import Program
from airflow_wall.text.kinds import Beyond, Plain

_MASTER = Beyond("chooses a program on the network that jobs are sent to")
_HOST = Beyond("chooses from where Spark, which runs what it is given, can be reached")
_CONF = Beyond("can have any program run, as an option of Java")


def _spark_key(key: str) -> str:
    if not key.startswith("spark."):
        raise PydanticCustomError("conf", "must begin with `spark.`", {"hint": f"did you mean `spark.{key}`?"})
    if key in MANAGED:
        raise PydanticCustomError("conf", "is decided by airflow-wall", {"hint": f"remove `{key}`"})
    if re.search(SECRET, key, re.IGNORECASE):
        hint = "give the machine the right to the data instead, e.g. by the role of its instance"
        raise PydanticCustomError(
            "conf", "may hold a secret, and Spark shows its configuration in its UI", {"hint": hint}
        )
    return key


def _spark_master(value: Any) -> str:
    if not (isinstance(value, str) and re.fullmatch(r"spark://[^\s,/]+:\d+(,[^\s,/]+:\d+)*", value)):
        hint = "write e.g. `spark://spark.example:7077`; leave it out to start one for the run"
        raise PydanticCustomError("master", "must be the address of a master of Spark", {"hint": hint})
    return value


SparkKey = Annotated[str, AfterValidator(_spark_key)]
SparkMaster = Annotated[str, BeforeValidator(_spark_master), WithJsonSchema({"type": "string", "pattern": "^spark://"})]


class SparkWorkers(SpecModel):
    """The workers of a cluster of Spark, each a process on the machine that starts it."""

    count: Positive = Field(1, description="Number of workers.")
    cores: Positive = Field(1, description="Cores of each worker.")
    memory: Plain[str] = Field("1GB", pattern=MEMORY_PATTERN, description="Memory of each worker for its executors.")


class SparkClusterConfig(ClusterConfig):
    """Spark's own cluster: started on the worker's machine, or an existing one. Needs `airflow-wall[spark]`."""

    needs_extra: ClassVar[str] = "spark"
    packages: ClassVar[tuple[str, ...]] = ("pyspark",)

    type: Plain[Literal["spark"]] = Field(description="The kind of cluster.")
    engine: Plain[Literal["spark", "embedded"]] = Field(
        "spark",
        description="The engine of the jobs: Spark's executors, or the embedded engine beside the task.",
    )
    master: Annotated[SparkMaster, _MASTER] | None = Field(
        None, description="An existing master, `spark://HOST:PORT`; by default one is started for the run."
    )
    workers: SparkWorkers | None = Field(
        None, description="The workers to start; by default one worker of one core and 1GB."
    )
    parallel_jobs: Positive = Field(1, description="Jobs that share the workers at once; others wait for their turn.")
    host: Annotated[Filled, _HOST] | None = Field(
        None, description="The address to listen on; by default only this machine's own."
    )
    port: Plain[int] | None = Field(
        None, ge=1024, le=65535, description="The master's port; by default any that is free."
    )
    threads: Positive = Field(2, description="The most threads of the embedded engine of one job.")
    memory: Plain[str] = Field("2GB", pattern=MEMORY_PATTERN, description="The most memory of the embedded engine.")
    python: Program | None = Field(
        None, description="The Python that runs the jobs, and has `pyspark`; by default the worker's own."
    )
    conf: Annotated[dict[SparkKey, str | int | bool], _CONF] = Field(
        {}, description="Spark's configuration of the jobs, beyond the other keys. No secrets: Spark shows it."
    )

    @model_validator(mode="after")
    def _one_or_the_other(self) -> SparkClusterConfig:
        ours = [key for key in ("workers", "host", "port") if getattr(self, key) is not None]
        if self.master is not None and ours:
            hint = f"remove `{ours[0]}`, or remove `master`"
            message = f"cannot have both `master`, an existing Spark, and `{ours[0]}`, of one to start"
            raise PydanticCustomError("master", message, {"hint": hint})
        sizes = [key for key in SIZES if key in self.conf]
        if self.master is None and sizes:
            message = f"cannot have `{sizes[0]}` in `conf`: it follows from `workers` and `parallel_jobs`"
            raise PydanticCustomError("conf", message, {"hint": f"remove `{sizes[0]}`"})
        return self

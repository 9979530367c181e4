"""How a job is told that it is to use Spark, one variable of its process; and what of its configuration is ours."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "AIRFLOW_WALL_SPARK"

MANAGED = (
    "spark.app.name",
    "spark.local.dir",
    "spark.master",
    "spark.submit.deployMode",
    "spark.sql.ansi.enabled",
    "spark.sql.caseSensitive",
    "spark.sql.decimalOperations.allowPrecisionLoss",
    "spark.sql.parquet.datetimeRebaseModeInRead",
    "spark.sql.parquet.datetimeRebaseModeInWrite",
    "spark.sql.parquet.outputTimestampType",
    "spark.sql.session.timeZone",
    "spark.sql.timestampType",
)
"""Keys of Spark's configuration that are not the user's: where a job runs, and that it gives what DuckDB gives."""

SIZES = ("spark.cores.max", "spark.executor.cores", "spark.executor.memory")
"""Keys that follow from `workers` and `parallel_jobs`; for a master that is there already they are the user's."""

SECRET = r"password|secret|token|access\.?key|credential"  # noqa: S105  it is what such names are
"""Keys that may hold a secret: Spark shows its configuration in its UI and in lists of processes."""


@dataclass(frozen=True)
class SparkRequest:
    """
    What a job needs to know of the Spark it is to use. There is no secret in it.

    :param master: Its address.
    :param conf: Spark's configuration, besides ours.
    :param staging: Folder in the lake for rows on their way to a table.
    """

    master: str
    conf: Mapping[str, str]
    staging: Path

    def to_environment(self) -> dict[str, str]:
        """The variables of a job that is to use it."""
        return {VARIABLE: json.dumps({**asdict(self), "staging": str(self.staging)})}


def spark_request() -> SparkRequest | None:
    """What this job is told; None where it is to use the embedded engine."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    values = json.loads(text)
    return SparkRequest(values["master"], values["conf"], Path(values["staging"]))

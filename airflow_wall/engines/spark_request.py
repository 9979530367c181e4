"""The request to run a job on Spark, passed in an environment variable, and the configuration keys that we manage."""

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
"""Keys of Spark's configuration that users cannot set: where a job runs, and equal results on Spark and DuckDB."""

SIZES = ("spark.cores.max", "spark.executor.cores", "spark.executor.memory")
"""Keys derived from `workers` and `parallel_jobs`. Users set them only for a master that exists already."""

SECRET = r"password|secret|token|access\.?key|credential"  # noqa: S105  a pattern of names, not a secret
"""Pattern of keys that may hold a secret. Spark shows its configuration in its UI and in process lists."""


@dataclass(frozen=True)
class SparkRequest:
    """
    The Spark cluster that a job uses. It holds no secret.

    :param master: Address of the Spark master.
    :param conf: The user's Spark configuration.
    :param staging: Directory in the lake for rows that are not yet in a table.
    """

    master: str
    conf: Mapping[str, str]
    staging: Path

    def to_environment(self) -> dict[str, str]:
        """Return the environment variables of a job that uses this cluster."""
        return {VARIABLE: json.dumps({**asdict(self), "staging": str(self.staging)})}


def spark_request() -> SparkRequest | None:
    """Return the request to this process, or None if it uses the embedded engine."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    values = json.loads(text)
    return SparkRequest(values["master"], values["conf"], Path(values["staging"]))

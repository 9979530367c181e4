"""Operators of Airflow 3 by the name of their class, names of Airflow 2 for them, and the packages of providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_STANDARD = "airflow.providers.standard"
_SQL = "airflow.providers.common.sql"
_QUERY = f"{_SQL}.operators.sql.SQLExecuteQueryOperator"


def _in(module: str, *names: str) -> dict[str, str]:
    return {name: f"{module}.{name}" for name in names}


BY_NAME = {
    **_in(f"{_STANDARD}.operators.bash", "BashOperator"),
    **_in(
        f"{_STANDARD}.operators.python",
        "PythonOperator", "BranchPythonOperator", "ShortCircuitOperator", "PythonVirtualenvOperator",
        "ExternalPythonOperator", "BranchPythonVirtualenvOperator", "BranchExternalPythonOperator",
    ),
    **_in(f"{_STANDARD}.operators.branch", "BaseBranchOperator"),
    **_in(f"{_STANDARD}.operators.datetime", "BranchDateTimeOperator"),
    **_in(f"{_STANDARD}.operators.weekday", "BranchDayOfWeekOperator"),
    **_in(f"{_STANDARD}.operators.empty", "EmptyOperator"),
    **_in(f"{_STANDARD}.operators.latest_only", "LatestOnlyOperator"),
    **_in(f"{_STANDARD}.operators.trigger_dagrun", "TriggerDagRunOperator"),
    **_in(f"{_STANDARD}.operators.smooth", "SmoothOperator"),
    **_in(f"{_STANDARD}.operators.hitl", "ApprovalOperator", "HITLOperator", "HITLBranchOperator", "HITLEntryOperator"),
    **_in(f"{_STANDARD}.sensors.bash", "BashSensor"),
    **_in(f"{_STANDARD}.sensors.python", "PythonSensor"),
    **_in(f"{_STANDARD}.sensors.date_time", "DateTimeSensor", "DateTimeSensorAsync"),
    **_in(f"{_STANDARD}.sensors.time", "TimeSensor", "TimeSensorAsync"),
    **_in(f"{_STANDARD}.sensors.time_delta", "TimeDeltaSensor", "TimeDeltaSensorAsync", "WaitSensor"),
    **_in(f"{_STANDARD}.sensors.weekday", "DayOfWeekSensor"),
    **_in(f"{_STANDARD}.sensors.external_task", "ExternalTaskSensor", "ExternalTaskMarker"),
    **_in(f"{_STANDARD}.sensors.filesystem", "FileSensor"),
    **_in(
        f"{_SQL}.operators.sql",
        "SQLExecuteQueryOperator", "SQLColumnCheckOperator", "SQLTableCheckOperator", "SQLCheckOperator",
        "SQLValueCheckOperator", "SQLIntervalCheckOperator", "SQLThresholdCheckOperator", "BranchSQLOperator",
    ),
    **_in(f"{_SQL}.operators.generic_transfer", "GenericTransfer"),
    **_in(f"{_SQL}.sensors.sql", "SqlSensor"),
    **_in("airflow.providers.smtp.operators.smtp", "EmailOperator"),
    **_in("airflow.providers.http.operators.http", "HttpOperator"),
    **_in("airflow.providers.http.sensors.http", "HttpSensor"),
    **_in("airflow.providers.ssh.operators.ssh", "SSHOperator"),
    **_in("airflow.providers.docker.operators.docker", "DockerOperator"),
    **_in("airflow.providers.cncf.kubernetes.operators.pod", "KubernetesPodOperator"),
    **_in("airflow.providers.apache.spark.operators.spark_submit", "SparkSubmitOperator"),
    **_in("airflow.providers.apache.spark.operators.spark_sql", "SparkSqlOperator"),
    **_in("airflow.providers.apache.hive.operators.hive", "HiveOperator"),
    **_in("airflow.providers.dbt.cloud.operators.dbt", "DbtCloudRunJobOperator"),
    **_in("airflow.providers.databricks.operators.databricks", "DatabricksRunNowOperator"),
    **_in("airflow.providers.databricks.operators.databricks", "DatabricksSubmitRunOperator"),
    **_in("airflow.providers.snowflake.operators.snowflake", "SnowflakeSqlApiOperator"),
    **_in("airflow.providers.google.cloud.operators.bigquery", "BigQueryInsertJobOperator", "BigQueryCheckOperator"),
    **_in("airflow.providers.google.cloud.operators.dataproc", "DataprocSubmitJobOperator"),
    **_in("airflow.providers.google.cloud.sensors.gcs", "GCSObjectExistenceSensor"),
    **_in("airflow.providers.google.cloud.transfers.gcs_to_bigquery", "GCSToBigQueryOperator"),
    **_in("airflow.providers.amazon.aws.operators.s3", "S3CopyObjectOperator", "S3DeleteObjectsOperator"),
    **_in("airflow.providers.amazon.aws.sensors.s3", "S3KeySensor"),
    **_in("airflow.providers.amazon.aws.operators.emr", "EmrAddStepsOperator", "EmrCreateJobFlowOperator"),
    **_in("airflow.providers.amazon.aws.operators.lambda_function", "LambdaInvokeFunctionOperator"),
    **_in("airflow.providers.amazon.aws.operators.glue", "GlueJobOperator"),
    **_in("airflow.providers.slack.operators.slack", "SlackAPIPostOperator"),
    **_in("airflow.providers.slack.operators.slack_webhook", "SlackWebhookOperator"),
    **_in("airflow.providers.papermill.operators.papermill", "PapermillOperator"),
}  # fmt: skip
"""Name of a class to its dotted path in Airflow 3."""

RENAMED = {
    "DummyOperator": BY_NAME["EmptyOperator"],
    "SimpleHttpOperator": BY_NAME["HttpOperator"],
    "TimeDeltaSensorAsync": BY_NAME["TimeDeltaSensor"],
    "HttpSensorAsync": BY_NAME["HttpSensor"],
    "AwsLambdaInvokeFunctionOperator": BY_NAME["LambdaInvokeFunctionOperator"],
    "AwsGlueJobOperator": BY_NAME["GlueJobOperator"],
    "BigQueryOperator": BY_NAME["BigQueryInsertJobOperator"],
    "BigQueryExecuteQueryOperator": BY_NAME["BigQueryInsertJobOperator"],
    "GoogleCloudStorageToBigQueryOperator": BY_NAME["GCSToBigQueryOperator"],
    **dict.fromkeys(
        ("DataProcPySparkOperator", "DataprocSubmitPySparkJobOperator", "DataprocSubmitSparkJobOperator"),
        BY_NAME["DataprocSubmitJobOperator"],
    ),
    **dict.fromkeys(
        (
            "PostgresOperator", "MySqlOperator", "SqliteOperator", "MsSqlOperator", "OracleOperator", "JdbcOperator",
            "SnowflakeOperator", "TrinoOperator", "PrestoOperator", "VerticaOperator", "RedshiftSQLOperator",
            "ExasolOperator", "DruidOperator", "TeradataOperator",
        ),
        _QUERY,
    ),
    **dict.fromkeys(("SQLOperator", "SqlOperator"), _QUERY),
}  # fmt: skip
"""Name of a class of older versions to the path of its replacement."""

REMOVED = {
    "SubDagOperator": "Airflow 3 has no sub-DAGs: write a group, an item of `tasks` with `tasks` of its own",
    "task": f"a decorator is for Python; name an operator: `{BY_NAME['PythonOperator']}`",
    "task_group": "a decorator is for Python; write a group, an item of `tasks` with `tasks` of its own",
    "dag": "a decorator is for Python; the pipeline is the file itself",
}
"""Name of an object that is not an operator in Airflow 3 to the hint."""

WORDS = {
    **dict.fromkeys(("bash", "shell", "sh", "command", "cmd"), BY_NAME["BashOperator"]),
    **dict.fromkeys(("python", "py", "function", "callable"), BY_NAME["PythonOperator"]),
    **dict.fromkeys(("sql", "query", "postgres", "mysql", "snowflake", "trino"), _QUERY),
    **dict.fromkeys(("http", "https", "api", "request", "rest"), BY_NAME["HttpOperator"]),
    **dict.fromkeys(("empty", "dummy", "noop", "nothing", "start", "end"), BY_NAME["EmptyOperator"]),
    **dict.fromkeys(("email", "mail", "smtp"), BY_NAME["EmailOperator"]),
    **dict.fromkeys(("docker", "container"), BY_NAME["DockerOperator"]),
    **dict.fromkeys(("kubernetes", "pod", "k8s"), BY_NAME["KubernetesPodOperator"]),
    **dict.fromkeys(("branch", "choose"), BY_NAME["BranchPythonOperator"]),
    **dict.fromkeys(("trigger", "trigger_dag", "subdag", "call"), BY_NAME["TriggerDagRunOperator"]),
    **dict.fromkeys(("wait", "sleep", "delay"), BY_NAME["TimeDeltaSensor"]),
    **dict.fromkeys(("spark", "spark_submit"), BY_NAME["SparkSubmitOperator"]),
    "ssh": BY_NAME["SSHOperator"],
    "dbt": BY_NAME["DbtCloudRunJobOperator"],
    "file_sensor": BY_NAME["FileSensor"],
    "external_task": BY_NAME["ExternalTaskSensor"],
    "short_circuit": BY_NAME["ShortCircuitOperator"],
    "approval": BY_NAME["ApprovalOperator"],
    "databricks": BY_NAME["DatabricksRunNowOperator"],
    "bigquery": BY_NAME["BigQueryInsertJobOperator"],
}
"""Word in the place of an operator to the path of the operator that it probably means."""

MOVED = (
    "airflow.operators.", "airflow.sensors.", "airflow.contrib.", "airflow.hooks.", "airflow.decorators.",
)  # fmt: skip
"""Beginnings of paths of Airflow 2 whose classes are in providers in Airflow 3."""

PROVIDERS = (
    "airbyte", "akeyless", "alibaba", "amazon", "anthropic", "apache.beam", "apache.cassandra", "apache.drill",
    "apache.druid",
    "apache.flink", "apache.hdfs", "apache.hive", "apache.iceberg", "apache.impala", "apache.kafka", "apache.kylin",
    "apache.livy", "apache.pig", "apache.pinot", "apache.spark", "apache.tinkerpop", "apprise", "arangodb", "asana",
    "atlassian.jira", "celery", "cloudant", "cncf.kubernetes", "cohere", "common.ai", "common.compat", "common.io",
    "common.messaging", "common.sql", "databricks", "datadog", "dbt.cloud", "dingding", "discord", "docker", "edge3",
    "elasticsearch", "exasol", "fab", "facebook", "ftp", "git", "github", "google", "grpc", "hashicorp", "http",
    "ibm.mq", "imap", "influxdb", "informatica", "jdbc", "jenkins", "keycloak", "microsoft.azure", "microsoft.mssql",
    "microsoft.psrp", "microsoft.winrm", "mongo", "mysql", "neo4j", "odbc", "openai", "openfaas", "openlineage",
    "opensearch", "opsgenie", "oracle", "pagerduty", "papermill", "pgvector", "pinecone", "postgres", "presto",
    "qdrant", "redis", "salesforce", "samba", "segment", "sendgrid", "sftp", "singularity", "slack", "smtp",
    "snowflake", "sqlite", "ssh", "standard", "tableau", "telegram", "teradata", "trino", "vertica", "vespa",
    "weaviate", "yandex", "ydb", "zendesk",
)  # fmt: skip
"""Providers of Airflow, as modules of `airflow.providers`."""

PACKAGES = {
    "cosmos": "astronomer-cosmos",
    "great_expectations_provider": "airflow-provider-great-expectations",
    "airflow_dbt_python": "airflow-dbt-python",
}
"""Module of another package to the package, if their names differ."""


def present_path(uses: str) -> str | None:
    """Return the path of an operator in Airflow 3; None for an unknown one, or if `uses` is this path already."""
    name = uses.replace(":", ".").rpartition(".")[2]
    path = RENAMED.get(name) or BY_NAME.get(name)
    return None if path == uses else path


def package_of(module: str) -> str | None:
    """Return the package that a module is in; None for a module of Airflow itself, or of an unknown provider."""
    if not module.startswith("airflow.providers."):
        first = module.partition(".")[0]
        return None if first == "airflow" else PACKAGES.get(first, first)
    inner = module.removeprefix("airflow.providers.")
    name = next((name for name in PROVIDERS if f"{inner}.".startswith(f"{name}.")), None)
    return None if name is None else f"apache-airflow-providers-{name.replace('.', '-')}"


_PYTHON = "airflow.providers.standard.operators.python"

KEYWORD_OPERATORS = {
    f"{_PYTHON}.PythonOperator": "python",
    f"{_PYTHON}.BranchPythonOperator": "branch",
    f"{_PYTHON}.ShortCircuitOperator": "short_circuit",
}
"""Operator that can be mapped over keywords of its function to the decorator of Airflow that does it."""


def maps_keywords(uses: object, mapped: Mapping[str, Any]) -> bool:
    """Return True if a task is mapped over keywords of its function: `expand: {op_kwargs: {KEYWORD: [...]}}`."""
    expand = mapped.get("expand")
    path = (present_path(uses) or uses) if isinstance(uses, str) else None
    return path in KEYWORD_OPERATORS and isinstance(expand, dict) and isinstance(expand.get("op_kwargs"), dict)

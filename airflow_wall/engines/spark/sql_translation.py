"""
Translate a query from DuckDB's SQL to Spark's SQL with equal results, or reject it.

The engines agree on most of SQL, and silently differ on some: a division of decimals, a cast of 2.5 to an integer, a
substring from 0. So a list names the SQL that is allowed, and rules rewrite the parts that Spark needs in another form.
All other SQL is rejected, and can run on the embedded engine. The rules depend on types, which DuckDB itself computes
(sql_types.py). Tests run the list and the rules on both engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import sqlglot
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from airflow_wall.engines.duckdb.query import query_label
from airflow_wall.engines.spark.allowed_sql import RefusedError, check
from airflow_wall.engines.spark.sql_rules import RULES
from airflow_wall.engines.spark.sql_types import Types
from airflow_wall.errors import UserCodeError


@dataclass(frozen=True)
class SparkQuery:
    """
    A query for Spark.

    :param text: The query in Spark's SQL.
    :param ordered: True if the query has an ORDER BY.
    """

    text: str
    ordered: bool


def translate(sql: str, inputs: Mapping[str, pa.Table], sql_file: str | None) -> SparkQuery:
    """
    Return the query for Spark.

    :param sql: One query that is valid in DuckDB.
    :param inputs: Tables without rows, with the columns of the inputs.
    :param sql_file: File of the query, for messages.
    :raises UserCodeError: the query uses SQL for which Spark's result may differ.
    """
    where = query_label(sql_file)
    hint = "remove `cluster` from this step, or set `engine: embedded` on the cluster: DuckDB then runs the query"
    with Types(inputs) as types:
        try:
            tree = sqlglot.parse_one(sql, dialect="duckdb")
            tree = qualify(tree, schema=types.schema(), dialect="duckdb")
            for node in list(tree.walk()):
                check(node)
            ruled = [(node, rule) for node in tree.walk() if (rule := RULES.get(type(node))) is not None]
            for node, _ in ruled:
                types.note(node)
            for node, rule in reversed(ruled):  # leaves first, because a rule copies parts that are already translated
                rule(node, types)
            text = tree.sql(dialect="spark", comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)
        except RefusedError as error:
            text = " ".join(error.node.sql(dialect="duckdb", comments=False).replace('"', "").split())
            short = text if len(text) <= 80 else f"{text[:77]}..."
            raise UserCodeError(
                f"{where}: the result of `{short}` on Spark may differ from DuckDB's: {error}",
                hint=f"{error.hint}; else {hint}" if error.hint else hint,
            ) from None
        except SqlglotError as error:
            reason = str(error).splitlines()[0]
            raise UserCodeError(f"{where} cannot be translated to Spark's SQL: {reason}", hint=hint) from error
    return SparkQuery(text, tree.args.get("order") is not None)

"""
A query in DuckDB's SQL as one in Spark's, which gives the same rows; or a refusal.

Both engines answer most of SQL alike, and some of it silently otherwise: a division of decimals, a cast of 2.5 to an
integer, a substring from 0. So there is a list of what may stand in a query, and beside it the rules of what is written
otherwise for Spark. What is not on the list is refused: the embedded engine is always there to run it. Types, which the
rules go by, are asked of DuckDB itself (spark_types.py). What both tables say is tested against both engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import sqlglot
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from airflow_wall.errors import UserCodeError
from airflow_wall.jobs.query import named
from airflow_wall.jobs.spark_allowed import RefusedError, check
from airflow_wall.jobs.spark_rules import RULES
from airflow_wall.jobs.spark_types import Types


@dataclass(frozen=True)
class Query:
    """
    A query for Spark.

    :param text: In its SQL.
    :param ordered: Whether it says in which order its rows are.
    """

    text: str
    ordered: bool


def translated(sql: str, inputs: Mapping[str, pa.Table], sql_file: str | None) -> Query:
    """
    Return the query for Spark.

    :param sql: One query, which DuckDB takes.
    :param inputs: Tables without rows, with the columns of the inputs.
    :param sql_file: Where the query stands, for messages.
    :raises UserCodeError: it has what Spark would, or might, answer otherwise.
    """
    where = named(sql_file)
    hint = "remove `cluster` from this step, or have `engine: embedded` on the cluster: DuckDB then runs the query"
    with Types(inputs) as types:
        try:
            tree = sqlglot.parse_one(sql, dialect="duckdb")
            tree = qualify(tree, schema=types.schema(), dialect="duckdb")
            for node in list(tree.walk()):
                check(node)
            ruled = [(node, rule) for node in tree.walk() if (rule := RULES.get(type(node))) is not None]
            for node, _ in ruled:
                types.note(node)
            for node, rule in reversed(ruled):  # from the leaves: a rule copies parts that are Spark's already
                rule(node, types)
            text = tree.sql(dialect="spark", comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)
        except RefusedError as error:
            said = " ".join(error.node.sql(dialect="duckdb", comments=False).replace('"', "").split())
            short = said if len(said) <= 80 else f"{said[:77]}..."
            mend = f"{error.mend}; else {hint}" if error.mend else hint
            raise UserCodeError(
                f"{where}: Spark may answer `{short}` otherwise than DuckDB: {error}", hint=mend
            ) from None
        except SqlglotError as error:
            said = str(error).splitlines()[0]
            raise UserCodeError(f"{where} cannot be put into Spark's SQL: {said}", hint=hint) from error
    return Query(text, tree.args.get("order") is not None)

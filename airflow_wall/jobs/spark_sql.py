"""stub"""
from dataclasses import dataclass
import sqlglot
@dataclass(frozen=True)
class Query:
    text: str
    ordered: bool
def translated(sql, inputs, sql_file):
    e = sqlglot.parse_one(sql, dialect="duckdb")
    return Query(e.sql(dialect="spark", comments=False), e.args.get("order") is not None)

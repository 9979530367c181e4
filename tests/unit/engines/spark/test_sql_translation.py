"""SQL is translated for Spark, or rejected. Tests with Spark compare the rows (tests/spark)."""

from __future__ import annotations

import pyarrow as pa
import pytest

from airflow_wall.engines.spark.sql_translation import translate
from airflow_wall.errors import UserCodeError

X = pa.schema(
    [
        ("i", pa.int32()),
        ("d", pa.decimal128(10, 2)),
        ("f", pa.float64()),
        ("g", pa.float32()),
        ("s", pa.string()),
        ("ts", pa.timestamp("us")),
        ("day", pa.date32()),
        ("items", pa.list_(pa.int64())),
    ]
).empty_table()

REFUSED = {
    "f % 2": "one side is of DOUBLE",
    "7.5 // 2": "one side is of DECIMAL(2,1)",
    "g + 1": "it is of FLOAT and INTEGER",
    "s || i": "one part is of INTEGER",
    "f::varchar": "it is of DOUBLE",
    "try_cast(s as date)": "it is of VARCHAR",
    "f::decimal(20, 2)": "Spark reads so many digits of a DOUBLE differently",
    "substr(s, 0, 2)": "a start below 1 has another meaning on Spark",
    r"s like 'a\_b'": r"`\` in a pattern has another meaning on Spark",
    "trim(s, 'x')": "to trim other characters than blanks is not known to give equal results",
    "coalesce(i, 'x')": "only one engine reads the text as INTEGER",
    "day = '1/7/2013'": "only one engine reads the text as DATE",
    "case when i > 1 then s else i::varchar || 'x' end || items[1]": "`Bracket` is not known to give equal results",
    "median(i)": "`Median` is not known to give equal results",
    "hash(i)": "the function `hash` is not known to give equal results",
    "list(i)": "`ArrayAgg` is not known to give equal results",
    "random()": "`Rand` is not known to give equal results",
    "row_number() over ()": "it does not define the order of the rows",
    "i in (select i from x)": "with a null, the result on Spark is false and not null",
    "ts - ts": "it is of TIMESTAMP and TIMESTAMP",
    "date_part('epoch', ts)": "the part `epoch` of TIMESTAMP",
    "date_part('hour', day)": "a date has no time of day on Spark",
    "round(f, i)": "it is of DOUBLE",
    "sum(i) over (order by i rows between unbounded preceding and current row exclude ties)": "Spark does not have `EXCLUDE` in a window",
}
QUERIES = {
    "select i from x limit 3": "it does not define which rows it keeps",
    "select distinct on (s) s, i from x": "it does not define which row it keeps",
    "select s, sum(i) from x group by rollup (s)": "`Rollup` is not known to give equal results",
    "select i from x union all by name select i from x": "Spark matches columns by position",
    "select i from x union all select s from x": "it mixes INTEGER and VARCHAR",
    "select a.i from x a asof join x b on a.ts >= b.ts": "Spark does not have this kind of join",
    "with recursive t as (select 1 as n union all select n + 1 from t where n < 5) select * from t": "a recursive query is not known to give equal results",
    "select unnest(items) from x": "is not known to give equal results",
}


def query(sql: str) -> str:
    return translate(sql, {"x": X}, None).text


@pytest.mark.parametrize("expression", REFUSED)
def test_expression_is_refused(expression: str) -> None:
    with pytest.raises(UserCodeError) as error:
        query(f"select {expression} as c from x")
    assert REFUSED[expression] in str(error.value)


@pytest.mark.parametrize("sql", QUERIES)
def test_query_is_refused(sql: str) -> None:
    with pytest.raises(UserCodeError) as error:
        query(sql)
    assert QUERIES[sql] in str(error.value)


def test_refusal_names_the_place_the_reason_and_the_hint() -> None:
    with pytest.raises(UserCodeError) as error:
        translate('select round(f % 2) as "c" from x', {"x": X}, "sql/normalize.sql")
    assert str(error.value) == (
        "`sql` (sql/normalize.sql): the result of `x.f % 2` on Spark may differ from DuckDB's: one side is of DOUBLE\n\n"
        "hint: cast both to integers; else remove `cluster` from this step, or set `engine: embedded` on the cluster: "
        "DuckDB then runs the query"
    )


@pytest.mark.parametrize(
    ("expression", "spark"),
    [
        ("i / 2", "(CAST((`x`.`i`) AS DOUBLE) / CAST((2) AS DOUBLE))"),
        ("i // 2", "`x`.`i` DIV 2"),
        ("avg(f)", "AVG(CAST(`x`.`f` AS DOUBLE))"),
        ("f::int", "(CAST(RINT((`x`.`f`)) AS INT))"),
        ("d::int", "(CAST(ROUND((`x`.`d`)) AS INT))"),
        ("day + interval 1 day", "CAST(`x`.`day` AS TIMESTAMP_NTZ) + INTERVAL '1' DAY"),
        ("date_part('dow', ts)", "(CAST(EXTRACT(DAYOFWEEK FROM (`x`.`ts`)) - 1 AS BIGINT))"),
        ("day = '2013-07-01'", "`x`.`day` = CAST('2013-07-01' AS DATE)"),
    ],
)
def test_expression_is_written_otherwise(expression: str, spark: str) -> None:
    assert query(f"select {expression} as c from x") == f"SELECT {spark} AS `c` FROM `x` AS `x`"


def test_nulls_come_last_and_an_order_is_seen() -> None:
    made = translate("select i, s from x order by i, s desc", {"x": X}, None)
    assert made.text.endswith("ORDER BY `i` NULLS LAST, `s` DESC")
    assert made.ordered
    assert not translate("select i from (select i from x order by i) y", {"x": X}, None).ordered

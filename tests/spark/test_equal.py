"""A query gives on Spark what it gives on the embedded engine: names, types, rows and their order."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="make spark installs it")

from spark_clusters import run_of

from airflow_wall.clusters.kinds.spark import SparkCluster
from airflow_wall.engines.duckdb.query import run_query
from airflow_wall.engines.spark.engine import Engine
from airflow_wall.engines.spark_request import SparkRequest
from airflow_wall.storage.delta import DeltaStore

pytestmark = pytest.mark.timeout(1200)

UTC = dt.UTC
X = pa.table(
    {
        "n": pa.array([1, 2, 3, 4, 5, 6, 7, 8], pa.int64()),
        "t": pa.array([1, -1, 127, -128, 0, None, 3, 7], pa.int8()),
        "h": pa.array([1, -1, 300, -300, 0, None, 3, 7], pa.int16()),
        "i": pa.array([7, -7, 2147483647, -2147483648, 0, None, 3, 10], pa.int32()),
        "l": pa.array([2, -2, 9007199254740993, -3, 5, None, 4, 3], pa.int64()),
        "d": pa.array([Decimal(x) if x else None for x in ("1.25", "-1.25", "99999999.99", "2.50", "0.00", None, "-2.50", "3.33")], pa.decimal128(10, 2)),
        "e": pa.array([Decimal(x) if x else None for x in ("0.5", "1.5", "-0.5", "7.0", "3.0", None, "2.5", "-7.5")], pa.decimal128(18, 1)),
        "f": pa.array([2.5, -2.5, 1e300, math.nan, 0.0, None, 1.005, math.inf], pa.float64()),
        "p": pa.array([2.5, -2.5, 3.5, 2.675, 0.1, None, 1.005, -7.25], pa.float64()),
        "g": pa.array([1.5, -1.5, 0.1, 3.0, 0.0, None, 2.25, 7.0], pa.float32()),
        "s": pa.array(["a", "B", "", "über", " x ", None, "a_b%", "Zebra\tq"], pa.string()),
        "u": pa.array(["1", "2.5", " 3 ", "T", "1_000", None, "-1e3", "1d"], pa.string()),
        "v": pa.array(["0.5", "NaN", "inf", "", "1f", None, "5.", "+.5"], pa.string()),
        "w": pa.array(["1", "2.5", " 3 ", "-4", "1_000", None, "-1e3", "2.345"], pa.string()),
        "b": pa.array([True, False, True, False, None, None, True, False], pa.bool_()),
        "day": pa.array([dt.date(2013, 7, 1), dt.date(2012, 2, 29), dt.date(1999, 12, 31), dt.date(2021, 1, 3), dt.date(1960, 1, 1), None, dt.date(2024, 3, 31), dt.date(2013, 1, 31)], pa.date32()),
        "ts": pa.array([dt.datetime(2013, 7, 1, 5, 59, 59, 999999), dt.datetime(2012, 2, 29), dt.datetime(1999, 12, 31, 23, 59, 59, 500000), dt.datetime(2021, 1, 3, 12), dt.datetime(1960, 1, 1, 1, 1, 1), None, dt.datetime(2024, 3, 31, 2, 30), dt.datetime(1582, 10, 10)], pa.timestamp("us")),
        "tz": pa.array([dt.datetime(2013, 7, 1, 5, 59, 59, 999999, UTC), dt.datetime(2012, 2, 29, tzinfo=UTC), dt.datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), dt.datetime(2021, 1, 3, 12, tzinfo=UTC), dt.datetime(1960, 1, 1, 1, 1, 1, tzinfo=UTC), None, dt.datetime(2024, 3, 31, 2, 30, tzinfo=UTC), dt.datetime(1900, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "list": pa.array([[1, 2], [], None, [3], [4], [5], [6], [7]], pa.list_(pa.int64())),
        "pair": pa.array([{"a": 1, "b": "x"}, None, *[{"a": 2, "b": None}] * 6], pa.struct([("a", pa.int32()), ("b", pa.string())])),
        "raw": pa.array([b"\0\1", b"", None, b"x", b"y", b"z", b"q", b"r"], pa.binary()),
    }
)  # fmt: skip
Y = pa.table(
    {
        "i": pa.array([7, 7, 3, None, 99], pa.int32()),
        "k": pa.array(["one", "two", None, "four", "five"], pa.string()),
        "day": pa.array([dt.date(2013, 7, 1)] * 5, pa.date32()),
    }
)

SCALARS = """
t; h; i; l; d; f; g; s; b; day; ts; tz; list; pair; raw; 1; 1.5; 1e3; 'it''s \\ "x"'; null; true; 3000000000
t + h; h - t; l * 2; l + i; d + 1; d + e; d * e; d - 2.5; d * 0.1; d + f; -l + 0.5; -d; -f; t * 1.0
n / 2; i / l; n / 0; l / t; d / e; d / 3; f / p; p / 3; -n / 0; 0 / 0; f / 0; sum_of.total / n
l // 2; h // 3; l % 3; h % 4; e % 2; d % 3
abs(h); abs(d); abs(f); sqrt(n); sqrt(p * p); round(p); round(d); round(d, 1); round(p, 2); round(p, 1); round(f); round(i)
floor(f); ceil(f); floor(d); ceil(e); floor(p); ceiling(p)
p::int; e::int; e::bigint; w::int; try_cast(u as int); try_cast(u as bigint); try_cast(u as double); try_cast(v as double); w::double; w::decimal(10, 2); try_cast(u as decimal(9, 1))
p::decimal(10, 2); try_cast(f as decimal(10, 2)); try_cast(f as int); try_cast(l as int); try_cast(d as smallint); d::double; d::decimal(12, 4); e::decimal(9, 0); i::double; l::decimal(20, 3); n::float; g::double
b::int; i::varchar; d::varchar; b::varchar; day::varchar; ts::varchar; l::varchar || '!'
ts::date; ts::timestamptz; tz::timestamp; tz::date; day::timestamp; day::timestamptz; date '2013-07-01'; timestamp '2013-07-01 05:00:00'; timestamptz '2013-07-01 05:00:00+02:00'
s || '-' || s; concat(s, '-', s); upper(s); lower(s); trim(s); ltrim(s); rtrim(s); length(s); substr(s, 2); substring(s, 1, 2); replace(s, 'a', 'bb'); starts_with(s, 'a'); s like '%b%'; s like 'a_b%'; s not like '_'
s = 'a'; s < 'b'; s <> 'B'; s in ('a', 'B'); s is null; s is not null; s is distinct from 'a'; i between -7 and 7; i in (7, 3); i in (7, null); not b; b and i > 0; b or i > 0; b is true; f = f; f > 1; f <> 0
day = '2013-07-01'; day < ts; day in ('2013-07-01', '2012-02-29'); ts >= '2013-07-01'; tz < '2013-07-01 05:00:00+00:00'; d = 2.5; d > f; day between '2000-01-01' and '2013-07-01'
coalesce(i, 0); coalesce(i, l, 1); coalesce(d, f); ifnull(s, 'none'); nullif(i, 7); nullif(s, 'a'); greatest(i, l); least(i, l, 0); greatest(day, date '2013-01-01'); if(b, 1, 2); case when i > 0 then 'p' when i < 0 then 'm' else s end; case s when 'a' then 1 when 'B' then 2 end; case when b then i else d end
year(day); month(ts); day(tz); date_part('hour', ts); date_part('isodow', day); date_part('dow', day); date_part('week', day); date_part('doy', ts); date_part('quarter', day); date_part('second', ts); date_part('minute', tz); extract(year from ts); extract(hour from tz); extract(second from tz)
date_trunc('hour', ts); date_trunc('day', tz); date_trunc('month', day); date_trunc('week', ts); date_trunc('quarter', day); date_trunc('year', tz); date_trunc('minute', ts); date_trunc('second', ts)
day + 1; day - 3; day - date '2013-01-01'; (day - date '2013-01-01') * 2; day + interval 1 day; day + interval '1 month'; ts + interval 90 minute; ts - interval '2 hours'; tz + interval 1 day
row_number() over (order by n desc); rank() over (order by b); dense_rank() over (order by b nulls first); sum(l) over (order by n rows between 1 preceding and current row); avg(n) over (partition by b); count(*) over (partition by b); lag(i) over (order by n); lag(i, 2, 0) over (order by n); lead(s) over (order by n desc); max(d) over (partition by b order by n); min(s) over ()
(select max(k) from y); (select count(*) from y where y.i = x.i); exists (select 1 from y where y.i = x.i)
"""
AGGREGATES = """
count(*); count(i); count(distinct b); sum(h); sum(l); sum(d); sum(e); sum(p); sum(g); sum(b); sum(distinct n)
avg(h); avg(l); avg(d); avg(e); avg(n); avg(distinct n); avg(p); avg(g); min(s); max(s); min(f); max(f); min(d); max(day); min(ts); max(tz); min(b)
count(*) filter (where i > 0); sum(l) filter (where b); avg(d) filter (where n > 2); avg(n) filter (where n > 100); stddev(n); stddev_pop(n); var_samp(n); var_pop(p); sum(l) / count(*); sum(i) * 1.5; max(n) - min(n)
"""
QUERIES = {
    "star": "select * from x",
    "star without": "select * exclude (list, pair, raw) from x where n > 2 order by n",
    "group": "select b, i > 0 as positive, count(*) n, sum(l) total, avg(p) mean from x group by b, positive",
    "group by place": "select b, sum(n) from x group by 1 order by 1",
    "group by all": "select b, day, max(n) m from x group by all order by all",
    "having": "select b, sum(n) t from x group by b having t > 5",
    "qualify": "select n, b from x qualify row_number() over (partition by b order by n desc) = 1",
    "nulls": "select i, s from x order by i, s",
    "nulls of the falling": "select i, n from x order by i desc, n",
    "nulls first": "select i, n from x order by i nulls first",
    "limit": "select n, s from x order by n desc limit 3 offset 1",
    "distinct": "select distinct b from x order by b",
    "inner join": "select x.n, y.k from x join y on x.i = y.i",
    "left join": "select n, k from x left join y using (i)",
    "full join": "select i, n, k from x full join y using (i)",
    "semi join": "select n from x semi join y using (i)",
    "anti join": "select n from x anti join y using (i)",
    "in a query": "select n from x where i in (select i from y) and n < 7",
    "not in a query": "select n from x where i not in (select i from y where i is not null)",
    "not in a query with a null": "select n from x where i not in (select i from y)",
    "cross join": "select n, k from x cross join y",
    "comma join": "select n, k from x, y where x.i = y.i and k is not null",
    "union": "select i, day from x union select i, day from y",
    "union all": "select i v from x union all select l from x union all select d from x",
    "except": "select i from x except select i from y",
    "intersect": "select i from x intersect select i from y",
    "with": "with a as (select b, sum(n) t from x group by b), c as (select *, t * 2 as u from a) select * from c join a using (b)",
    "from first": "from x select n where n > 3 order by n",
    "alias of the same row": "select n * 2 as m, m + 1 as o from x order by o",
    "subquery": "select m from (select n + 1 as m, b from x) q where not coalesce(b, false)",
    "two columns of one name": "select x.i, y.i as j, x.day, y.day as day2 from x join y on x.i = y.i",
    "capitals": 'select n as "Number", S as "the text" from X order by "Number"',
    "no rows": "select n, s, d from x where n > 100",
    "no rows, one group": "select count(*), sum(n), max(s), avg(d) from x where n > 100",
    "values without a name": "select n + 1, count(*) over () from x",
}  # fmt: skip


@pytest.fixture(scope="module")
def engine(running: SparkCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("equal")
    store = DeltaStore(folder / "lake")
    for name, rows in {"x": X, "y": Y}.items():
        store.replace_slice(f"silver/{name}", rows, slice_id="one", number=1)
    found = running._require_running()
    with Engine(
        SparkRequest(running._check_master(found), running._conf(), folder / "staging"), run_of(folder)
    ) as made:
        for name in ("x", "y"):
            made.add(name, [f"silver/{name}"], [store.files(f"silver/{name}")])
        yield made


def one_by_one(text: str) -> list[str]:
    return [part.strip() for line in text.strip().splitlines() for part in line.split(";") if part.strip()]


def same(own: pa.Table, other: pa.Table, words: list[str] | None = None) -> None:
    assert other.schema == own.schema
    for place, name in enumerate(own.column_names):
        what = words[place] if words else name
        for left, right in zip(own.column(place).to_pylist(), other.column(place).to_pylist(), strict=True):
            if isinstance(left, float) and isinstance(right, float):
                close = (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=1e-14)
                assert close, f"{what}: {left!r} {right!r}"
            else:
                assert left == right, f"{what}: {own.column(place).to_pylist()} {other.column(place).to_pylist()}"


def compare(engine: Engine, sql: str, words: list[str] | None = None) -> None:
    own = run_query(sql, {"x": X, "y": Y}, None)
    on_spark = engine.run_query(sql, None)
    same(own, on_spark, words)


def test_expressions(engine: Engine) -> None:
    words = one_by_one(SCALARS)
    columns = ", ".join(f"{word} as c{place}" for place, word in enumerate(words))
    compare(engine, f"with sum_of as (select sum(n) total from x) select {columns} from x, sum_of order by n", words)


def test_aggregates(engine: Engine) -> None:
    words = one_by_one(AGGREGATES)
    columns = ", ".join(f"{word} as c{place}" for place, word in enumerate(words))
    compare(engine, f"select {columns}, b from x group by b order by b", [*words, "b"])


@pytest.mark.parametrize("name", QUERIES)
def test_query(engine: Engine, name: str) -> None:
    compare(engine, QUERIES[name])

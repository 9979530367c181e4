from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

SQL = (Path(__file__).parents[3] / "dags/sql/normalize.sql").read_text()
COLUMNS = {
    "domain": "VARCHAR",
    "origin": "VARCHAR",
    "hour": "TIMESTAMP",
    "flights": "BIGINT",
    "mean_dep_delay": "DOUBLE",
    "temp": "DOUBLE",
    "dewp": "DOUBLE",
    "humid": "DOUBLE",
    "wind_dir": "DOUBLE",
    "wind_speed": "DOUBLE",
    "wind_gust": "DOUBLE",
    "precip": "DOUBLE",
    "pressure": "DOUBLE",
    "visib": "DOUBLE",
    "distance": "DOUBLE",
    "hour_of_day": "BIGINT",
    "day_of_week": "BIGINT",
    "month": "BIGINT",
}
FLIGHT = {
    "domain": "domain_1", "origin": "EWR", "time_hour": "2013-01-01T05:00:00", "carrier": "UA", "flight": "1545",
    "tailnum": "N14228", "dest": "IAH", "sched_dep_time": "515", "dep_delay": "2", "distance": "1400",
    "temp": "39.02", "dewp": "28.04", "humid": "64.43", "wind_dir": "260", "wind_speed": "12.7", "wind_gust": None,
    "precip": "0", "pressure": "1011.9", "visib": "10",
}  # fmt: skip


def normalized(*flights: dict[str, Any]) -> list[dict[str, Any]]:
    """The query's answer for FLIGHT with these changes, each column as text."""
    engine = duckdb.connect()
    engine.execute(f"create table raw ({', '.join(f'{name} varchar' for name in FLIGHT)})")
    for flight in flights:
        row = FLIGHT | flight
        engine.execute(f"insert into raw values ({', '.join('?' * len(row))})", list(row.values()))
    answer = engine.sql(SQL)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]


def over_files(files: Path, options: str) -> duckdb.DuckDBPyRelation:
    engine = duckdb.connect()
    engine.execute(f"create view raw as select * from read_csv('{files}', {options})")
    answer = engine.sql(SQL)
    assert dict(zip(answer.columns, map(str, answer.types), strict=True)) == COLUMNS
    return answer


@pytest.mark.parametrize(("domain", "hours", "flights"), [("domain_1", 3087, 60_718), ("domain_2", 3439, 55_366)])
def test_half_a_year_is_one_row_per_hour_with_a_flight(half_year: Path, domain: str, hours: int, flights: int) -> None:
    answer = over_files(half_year / domain / "*.csv", "all_varchar = true")
    counted = answer.aggregate("count(*), count(distinct (domain, hour)), sum(flights)::bigint").fetchall()
    assert counted == [(hours, hours, flights)]


def test_inferred_types_of_a_day_give_the_same_rows_as_text(half_year: Path) -> None:
    day = half_year / "domain_1/departures-2013-01-03.csv"
    inferred, text = over_files(day, "auto_detect = true"), over_files(day, "all_varchar = true")
    rows = inferred.fetchall()
    assert len(rows) > 10
    assert rows == text.fetchall()
    gusts = list(COLUMNS).index("wind_gust")
    assert all(row[gusts] is None for row in rows), "the day was chosen because it has no gusts"


def test_delays_and_weather_of_every_hour_are_those_of_the_package(half_year: Path, landing: ModuleType) -> None:
    flights = pd.read_csv(landing.data_folder() / "flights.csv.zip").query("origin == 'JFK' and month <= 6")
    weather = pd.read_csv(landing.data_folder() / "weather.csv").query("origin == 'JFK'")
    expected = (
        flights.groupby("time_hour", as_index=False)
        .agg(mean_dep_delay=("dep_delay", "mean"), distance=("distance", "mean"))
        .merge(weather, on="time_hour", how="left")
        .sort_values("time_hour")
    )
    answer = over_files(half_year / "domain_2/*.csv", "all_varchar = true").df()
    for column in ("mean_dep_delay", "distance", *landing.WEATHER):
        np.testing.assert_allclose(answer[column], expected[column], rtol=1e-12, err_msg=column)


def test_a_cancelled_flight_counts_but_has_no_delay() -> None:
    (row,) = normalized({"dep_delay": "2"}, {"dep_delay": "5"}, {"dep_delay": None})
    assert (row["flights"], row["mean_dep_delay"]) == (3, 3.5)


def test_an_hour_of_cancelled_flights_has_no_label() -> None:
    (row,) = normalized({"dep_delay": None}, {"dep_delay": None})
    assert (row["flights"], row["mean_dep_delay"]) == (2, None)


def test_weather_is_taken_as_it_stands_and_distance_is_the_mean() -> None:
    (row,) = normalized(*({"temp": "39.02", "distance": str(distance)} for distance in (100, 200, 600)))
    assert (row["temp"], row["distance"], row["wind_gust"]) == (39.02, 300.0, None)


def test_reading_without_a_number_is_a_gap() -> None:
    (row,) = normalized({"precip": "T"})
    assert row["precip"] is None


def test_an_hour_that_cannot_be_read_stops_the_query() -> None:
    with pytest.raises(duckdb.ConversionException, match="noon"):
        normalized({"time_hour": "noon"})


def test_features_of_time_are_those_of_the_local_hour() -> None:
    (row,) = normalized({"time_hour": "2013-06-30T23:00:00"})  # a Sunday
    assert (row["hour_of_day"], row["day_of_week"], row["month"]) == (23, 7, 6)


def test_rows_come_by_domain_and_hour() -> None:
    rows = normalized(
        {"domain": "domain_2", "time_hour": "2013-01-01T06:00:00"},
        {"domain": "domain_2", "time_hour": "2013-01-01T05:00:00"},
        {"domain": "domain_1", "time_hour": "2013-01-01T07:00:00"},
    )
    assert [(row["domain"], row["hour"].hour) for row in rows] == [("domain_1", 7), ("domain_2", 5), ("domain_2", 6)]

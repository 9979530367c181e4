"""The date in the name of a file."""

from __future__ import annotations

import pytest

from airflow_wall.sources.dates import dates_in


@pytest.mark.parametrize(
    "path",
    [
        "2013-07-01.csv",
        "orders-20130701.csv.gz",
        "orders_2013_07_01.parquet",
        "orders.2013.07.01.csv",
        "2013/07/01/part-0001.csv",
        "2013/07/01/orders-2013-07-01.csv",
        "year=2013/month=07/day=01/part.parquet",
        "year=2013/month=7/day=1/part.parquet",
        "date=2013-07-01/part.csv",
        "20130701T050000Z.csv",
        "20130701_0500.csv",
        "201307010500.csv",
        "20130701050000-v12.csv",
        "2013-07-01T05:00.csv",
        "shop-12345678/2013-07-01.csv",
        "87654321/99999999-2013-07-01.csv",
    ],
)
def test_a_date_is_found_in_every_form(path: str) -> None:
    assert dates_in(path) == ["2013-07-01"]


@pytest.mark.parametrize(
    "path",
    ["orders.csv", "12345678.csv", "2013-13-01.csv", "2013-02-30.csv", "120130701.csv", "201307011.csv", "1.csv"],
)
def test_other_digits_are_no_date(path: str) -> None:
    assert dates_in(path) == []


@pytest.mark.parametrize(
    "path",
    ["2013-07-01_2013-07-02.csv", "2013/07/01/20130702.csv", "20130701-20130702.csv", "2013-07-01/2013-07-02.csv"],
)
def test_two_dates_are_both_found(path: str) -> None:
    assert dates_in(path) == ["2013-07-01", "2013-07-02"]

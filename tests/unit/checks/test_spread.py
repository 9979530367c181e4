"""The measures by queries equal those of scipy and numpy on the values themselves."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from checked_rows import InMemory
from scipy import stats

from airflow_wall.checks import spread
from airflow_wall.checks.data import Data
from airflow_wall.histogram import inner_edges, rows_per_bin


def data_of(here: pa.Array, before: pa.Array) -> Data:
    rows, earlier = (InMemory(pa.table({"x": values})) for values in (here, before))
    return Data(rows, earlier, "2013-07-01T00:00:00Z")


@pytest.mark.parametrize("seed", range(8))
def test_numbers_are_compared_as_by_scipy_and_numpy(seed: int) -> None:
    random = np.random.default_rng(seed)
    here, before = random.normal(size=200 + seed), random.normal(0.1, 1.5, size=90 * (seed + 1))
    if seed % 2:  # with ties
        here, before = here.round(1), before.round(1)
    odd = [None, float("nan"), float("inf")]
    sample = spread.Numbers(data_of(pa.array([*here, *odd]), pa.array([*before, *odd])), "x")
    expected = stats.ks_2samp(here, before, method="asymp")
    assert sample.distance() == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)
    edges = inner_edges(before)
    counts = sample.histograms()
    assert (counts[0].tolist(), counts[1].tolist()) == (
        rows_per_bin(here, edges).tolist(),
        rows_per_bin(before, edges).tolist(),
    )


def test_texts_beyond_the_most_frequent_ones_count_as_one() -> None:
    random = np.random.default_rng(1)
    here, before = ([f"t{n}" for n in random.geometric(0.02, size)] for size in (3000, 5000))
    sample = spread.Texts(data_of(pa.array([*here, None]), pa.array([*before, None])), "x")
    counts = sample.histograms()
    frequent = (Counter(here) + Counter(before)).most_common(50)
    assert (sample.here, sample.before) == (3000, 5000)
    assert sorted((counts[0] + counts[1])[:-1], reverse=True) == [rows for _, rows in frequent]
    assert [side.sum() for side in counts] == [3000, 5000]

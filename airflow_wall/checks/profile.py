"""The rows of a slice beside those of earlier ones, column by column, for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_wall.checks.data import kind_of

if TYPE_CHECKING:
    import pyarrow as pa

MOST_COLUMNS = 60
"""Most columns of a profile."""

MOST_ROWS = 5_000_000
"""Rows of a slice above which only its rows are counted."""

BASELINE = 7
"""Earlier slices that a slice is compared with."""

_SLICES = 90
"""Most slices of the rows over time."""

_BINS = 20
_TEXTS = 8
_LONGEST = 40


@dataclass(frozen=True)
class ColumnProfile:
    """
    A column of the slice and of the baseline.

    :param kind: `integer`, `float`, `text`, `boolean`, or another name of its type.
    :param nulls: Shares of rows without a value, now and before; before is None without a baseline.
    :param labels: The edges of the bins, one more than bins, or the values that are counted. Empty if nothing is
        counted: the column is personal, or has no values.
    :param now: Share of the values per bin.
    :param before: The same of the baseline; empty without one.
    :param is_personal: True if its values are not shown.
    """

    name: str
    kind: str
    nulls: tuple[float, float | None]
    labels: tuple[Any, ...] = ()
    now: tuple[float, ...] = ()
    before: tuple[float, ...] = ()
    is_personal: bool = False


@dataclass(frozen=True)
class Profile:
    """
    The rows of a slice beside earlier ones.

    :param slice: The slice.
    :param rows: Slice -> number of its rows, in the order of time.
    :param columns: The columns, in the order of the table.
    :param baseline: The earlier slices that it is compared with.
    """

    slice: str
    rows: Mapping[str, int]
    columns: tuple[ColumnProfile, ...] = ()
    baseline: tuple[str, ...] = ()


def profile(
    read: Callable[[Sequence[str], Sequence[str]], pa.Table],
    schema: pa.Schema,
    rows: Mapping[str, int],
    *,
    this: str,
    earlier: Sequence[str],
    personal: Collection[str] = (),
) -> Profile:
    """
    Return the profile of a slice.

    :param read: Returns columns of slices.
    :param schema: The columns of the table.
    :param rows: Slice -> number of its rows.
    :param this: The slice.
    :param earlier: The earlier slices to compare with, in the order of time.
    :param personal: Columns whose values are not shown.
    """
    shown = dict(sorted(rows.items())[-_SLICES:])
    baseline = tuple(earlier[-BASELINE:])
    if not 0 < rows.get(this, 0) <= MOST_ROWS:
        return Profile(this, shown, baseline=baseline)
    columns = []
    for field in list(schema)[:MOST_COLUMNS]:  # one after the other, so that memory holds one
        now = read([this], [field.name]).column(field.name)
        before = read(baseline, [field.name]).column(field.name) if baseline else None
        columns.append(_column(field, now, before, is_shown=field.name not in personal))
    return Profile(this, shown, tuple(columns), baseline)


def _column(field: pa.Field[Any], now: Any, before: Any, *, is_shown: bool) -> ColumnProfile:
    kind = kind_of(field.type)
    nulls = (_null_share(now), None if before is None or not len(before) else _null_share(before))
    labels: tuple[Any, ...] = ()
    shares: list[tuple[float, ...]] = [(), ()]
    if is_shown and kind in ("integer", "float"):
        labels, shares = _histograms(now, before)
    elif is_shown and kind in ("text", "boolean"):
        labels, shares = _frequencies(now, before)
    return ColumnProfile(field.name, kind, nulls, labels, shares[0], shares[1], not is_shown)


def _null_share(values: Any) -> float:
    return values.null_count / len(values) if len(values) else 0.0


def _histograms(now: Any, before: Any) -> tuple[tuple[Any, ...], list[tuple[float, ...]]]:
    import numpy as np

    samples = [_finite(now), _finite(before)]
    both = np.concatenate(samples)
    if not len(both):
        return (), [(), ()]
    low, high = (float(value) for value in np.quantile(both, (0.005, 0.995)))
    if low == high:
        low, high = float(both.min()), float(both.max())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    shares = []
    for values in samples:
        counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
        shares.append(tuple(round(float(count) / len(values), 5) for count in counts) if len(values) else ())
    return tuple(float(f"{edge:.6g}") for edge in edges), shares


def _finite(values: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    if values is None:
        return np.empty(0)
    numbers = np.asarray(values.drop_null().cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    return numbers[np.isfinite(numbers)]


def _frequencies(now: Any, before: Any) -> tuple[tuple[Any, ...], list[tuple[float, ...]]]:
    counters = [_counted(now), _counted(before)]
    sizes = [sum(counter.values()) for counter in counters]
    pairs = list(zip(counters, sizes, strict=True))
    highest = {
        text: max(_share(counter[text], size) for counter, size in pairs) for text in {*counters[0], *counters[1]}
    }
    frequent = sorted(highest, key=lambda text: (-highest[text], text))[:_TEXTS]
    shares = [
        tuple(round(_share(counter[text], size), 5) for text in frequent) if size else () for counter, size in pairs
    ]
    return tuple(text[:_LONGEST] for text in frequent), shares


def _counted(values: Any) -> Counter[str]:
    if values is None:
        return Counter()
    counts = values.drop_null().value_counts()
    return Counter({str(item["values"].as_py()): item["counts"].as_py() for item in counts})


def _share(count: int, size: int) -> float:
    return count / size if size else 0.0

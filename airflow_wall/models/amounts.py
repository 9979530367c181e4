"""Read amounts that are a number or a percentage."""

from __future__ import annotations

import math
import re
from typing import Any

from airflow_wall.errors import ModelError

_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


def read_amount(key: str, amount: Any) -> tuple[float, bool]:
    """
    Return the value of a key as a number, and True if it is a percentage: `1%` is 0.01.

    :raises ModelError: it is neither.
    """
    if isinstance(amount, str) and (percent := _PERCENT.fullmatch(amount.strip())) is not None:
        return float(percent[1]) / 100, True
    if isinstance(amount, int | float) and not isinstance(amount, bool) and math.isfinite(amount) and amount >= 0:
        return float(amount), False
    raise ModelError(
        f"`{key}` must be a number from 0 or a percentage, got `{amount}`", hint='write, e.g., "1%" or 0.05'
    )


def read_share(key: str, share: Any) -> float:
    """
    Return the value of a key as a fraction of 1.

    :raises ModelError: it is not a number from 0 to 1 or a percentage.
    """
    value, _ = read_amount(key, share)
    if value > 1:
        raise ModelError(f"`{key}` must be a share of at most 100%, got `{share}`", hint='write, e.g., "20%" or 0.2')
    return value

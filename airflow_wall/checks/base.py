"""What a check is, and what it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from airflow_wall.checks.data import Data

Severity = Literal["error", "warn"]

Columns = Annotated[
    list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value), Field(min_length=1)
]
"""One column or a list of them."""


@dataclass(frozen=True)
class Outcome:
    """
    What a check saw.

    :param observed: What was found, in words and numbers.
    :param detail: What helps to find the cause, such as the first rows that broke it.
    """

    passed: bool
    observed: str
    expected: str
    detail: str = ""


@dataclass(frozen=True)
class Result:
    """A check, and what it saw."""

    name: str
    kind: str
    severity: Severity
    passed: bool
    observed: str
    expected: str
    detail: str = ""

    @property
    def status(self) -> Literal["pass", "warn", "fail"]:
        """`warn` for a check of severity `warn` that did not pass."""
        if self.passed:
            return "pass"
        return "fail" if self.severity == "error" else "warn"


@dataclass(frozen=True)
class Report:
    """
    The results of all checks on one slice of one table.

    :param rows: Rows of the slice.
    :param earlier_rows: Rows of the earlier slices that drift was measured against.
    :param now: The slice's time, ISO 8601.
    :param about: What the report is about, for its head: table, slice, run, ...
    """

    results: tuple[Result, ...]
    rows: int
    earlier_rows: int
    now: str
    about: Mapping[str, str] = field(default_factory=dict)

    def count(self, status: Literal["pass", "warn", "fail"]) -> int:
        """How many results have this status."""
        return sum(result.status == status for result in self.results)

    @property
    def failures(self) -> tuple[Result, ...]:
        """The checks of severity `error` that did not pass."""
        return tuple(result for result in self.results if result.status == "fail")


class Check(BaseModel):
    """What every check has. A kind of check adds its options as fields and says what it sees in `run`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: ClassVar[str]
    needs_earlier: ClassVar[bool] = False

    name: str | None = Field(None, description="Name in the report; by default the kind and what it is about.")
    severity: Severity = Field("error", description="`error` stops publication, `warn` only shows in the report.")

    def label(self) -> str:
        """The name in the report."""
        about = self.subject()
        return self.name or (f"{self.kind} of {about}" if about else self.kind)

    def subject(self) -> str:
        """What it is about: the columns."""
        return ""

    def faults(self) -> Iterator[str]:
        """What is wrong with the options together, each fault beginning with its key."""
        yield from ()

    def run(self, data: Data) -> Outcome:
        """
        Look at the data.

        :raises Unanswerable: there is no such column, or the question cannot be asked of its type.
        """
        raise NotImplementedError


def bounds(low: Any, high: Any, unit: str = "") -> str:
    """`at least 1`, `at most 5`, `1 to 5`; with the unit behind it."""
    tail = f" {unit}" if unit else ""
    if low is None:
        return f"at most {number(high)}{tail}"
    if high is None:
        return f"at least {number(low)}{tail}"
    return f"{number(low)} to {number(high)}{tail}"


def number(value: Any) -> str:
    """A number as the report shows it: whole ones with separators, others with 6 digits."""
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.6g}"


def min_max_faults(check: Any, low: str = "min", high: str = "max") -> Iterator[str]:
    """The faults of a pair of options of which at least one is written and which must not cross."""
    least, most = getattr(check, low), getattr(check, high)
    if least is None and most is None:
        yield f"needs `{low}` or `{high}`"
    elif least is not None and most is not None and least > most:
        yield f"`{low}` {number(least)} is above `{high}` {number(most)}"

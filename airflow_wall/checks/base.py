"""The base class of checks, and the classes of their results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from airflow_wall.checks.data import Data
from airflow_wall.checks.profile import Profile
from airflow_wall.text.kinds import FieldKind, Plain

Severity = Plain[Literal["error", "warn"]]

Scope = Literal["slice", "table"]
"""The rows that a check sees: those of this run's slice, or the current rows of all slices, which are published."""

ColumnNames = Annotated[
    list[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1),
    FieldKind.PLAIN,
]
"""One column or a list of them."""


@dataclass(frozen=True)
class CheckOutcome:
    """
    The outcome of one check.

    :param observed: The state of the data, in words and numbers.
    :param detail: Help to find the cause, such as the first rows that failed.
    :param score: The distance from earlier values, for the history; None for checks that do not measure one.
    :param sample: Some of the rows that failed, each as column -> value as text.
    """

    passed: bool
    observed: str
    expected: str
    detail: str = ""
    score: float | None = None
    sample: Sequence[Mapping[str, str | None]] = ()


@dataclass(frozen=True)
class Result:
    """One check and its outcome, as shown in a report."""

    name: str
    kind: str
    severity: Severity
    passed: bool
    observed: str
    expected: str
    detail: str = ""
    over: Scope = "slice"
    score: float | None = None
    sample: Sequence[Mapping[str, str | None]] = ()

    @property
    def status(self) -> Literal["pass", "warn", "fail"]:
        """The status: a check that failed has `warn` or `fail`, by its severity."""
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
    :param about: Subject of the report, for its head: table, slice, run, ...
    :param profile: The rows beside earlier ones, if they were compared.
    """

    results: tuple[Result, ...]
    rows: int
    earlier_rows: int
    now: str
    about: Mapping[str, str] = field(default_factory=dict)
    profile: Profile | None = None

    def count(self, status: Literal["pass", "warn", "fail"]) -> int:
        """Return the number of results with this status."""
        return sum(result.status == status for result in self.results)

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results of checks of severity `error` that failed."""
        return tuple(result for result in self.results if result.status == "fail")

    @property
    def warnings(self) -> tuple[Result, ...]:
        """The results of checks of severity `warn` that failed."""
        return tuple(result for result in self.results if result.status == "warn")


class Check(BaseModel):
    """The base class of all checks. A kind of check adds its options as fields and implements `run`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: ClassVar[str]
    needs_earlier: ClassVar[bool] = False
    scopes: ClassVar[tuple[Scope, ...]] = ("slice", "table")
    """The values that `over` may have. The first is its default. A check without any reads no rows."""

    name: Plain[str] | None = Field(None, description="Name in the report; by default the kind and its subject.")
    severity: Severity = Field("error", description="`error` stops publication, `warn` only shows in the report.")
    over: Plain[Scope] | None = Field(
        None,
        description="Rows that are checked: `slice` means this run's, `table` the current rows of all slices, which a "
        "release publishes. Each kind of check has its own default, see below.",
    )

    @property
    def scope(self) -> Scope:
        """The rows that are checked."""
        return self.over or (self.scopes[0] if self.scopes else "slice")

    def label(self) -> str:
        """Return the name in the report."""
        about = self.subject()
        return self.name or (f"{self.kind} of {about}" if about else self.kind)

    def subject(self) -> str:
        """Return the subject of the check for its default name: usually its columns."""
        return ""

    def faults(self) -> Iterator[str]:
        """Yield the faults of options that contradict each other, each beginning with its key."""
        yield from ()

    def reads(self) -> Sequence[str] | None:
        """Return the columns of the checked table that the check reads; None means all of them."""
        return None

    def reads_earlier(self) -> bool:
        """Return True if the check reads the rows of earlier slices."""
        return self.needs_earlier

    def tables(self) -> Mapping[str, bool]:
        """Return the other tables that the check reads, each with True if its rows come from elsewhere."""
        return {}

    def models(self) -> Mapping[str, bool]:
        """Return the models whose training the check reads, each with True if no pipeline here trains it."""
        return {}

    def split(self, data: Data) -> Iterable[Self]:  # noqa: ARG002
        """
        Return the checks whose results the report shows, e.g. one for each column.

        :raises Unanswerable: they cannot be known.
        """
        return (self,)

    def part(self, subject: str, **options: Any) -> Self:
        """Return this check with other options. A name of its own is followed by the subject, so that parts differ."""
        name = None if self.name is None else f"{self.name}: {subject}"
        return self.model_copy(update={"name": name, **options})

    def run(self, data: Data) -> CheckOutcome:
        """
        Run the check on the data.

        :raises Unanswerable: a column or table does not exist, or the check does not apply to its type.
        """
        raise NotImplementedError


class ColumnCheck(Check):
    """The base class of checks of one column."""

    column: Plain[str] = Field(description="A column.")

    def subject(self) -> str:
        """See `Check.subject`."""
        return self.column

    def reads(self) -> Sequence[str]:
        """See `Check.reads`."""
        return (self.column,)


def bounds(low: Any, high: Any, unit: str = "") -> str:
    """Return bounds in words: `at least 1`, `at most 5` or `1 to 5`, followed by the unit."""
    tail = f" {unit}" if unit else ""
    if low is None:
        return f"at most {number(high)}{tail}"
    if high is None:
        return f"at least {number(low)}{tail}"
    return f"{number(low)} to {number(high)}{tail}"


def number(value: Any) -> str:
    """Return a number as the report shows it: integers with separators, others with 6 digits."""
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.6g}"


def min_max_faults(check: Any, low: str = "min", high: str = "max") -> Iterator[str]:
    """Yield the faults of a lower and an upper bound: at least one is required, and they must not cross."""
    least, most = getattr(check, low), getattr(check, high)
    if least is None and most is None:
        yield f"needs `{low}` or `{high}`"
    elif least is not None and most is not None and least > most:
        yield f"`{low}` {number(least)} is above `{high}` {number(most)}"

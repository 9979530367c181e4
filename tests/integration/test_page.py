"""
The page in a real Airflow: the documents of `wall_upkeep`, who may see what, and the page in a headless Chromium.

Waits for: an Airflow of its own, a run of `wall_upkeep`, and a browser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import year_of_runs
from airflow_server import AirflowServer, until
from browser import NARROW, WIDE, browser, needs_chromium, resize, theme

pytestmark = pytest.mark.integration

PIPELINES = ("shop", "prices", "energy", "churn", "fraud", "clicks", "demand")
"""Their last nights are those of `year_of_runs.TROUBLES`."""

LOADER = """\
from airflow_wall import load_dags
from airflow_wall.dags.upkeep import dag  # for Airflow

globals().update(load_dags(__file__))
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    project = tmp_path_factory.mktemp("page")
    (project / "dags").mkdir()
    (project / "dags/load.py").write_text(LOADER, encoding="utf-8")
    head = "start_date: 2026-01-01\nschedule: '@daily'\ncatchup: false\ntasks:\n  - {id: note}"
    texts = [f"dag_id: {name}\nis_paused_upon_creation: {str(name == 'demand').lower()}\n{head}" for name in PIPELINES]
    (project / "dags/all.yaml").write_text("\n---\n".join(texts), encoding="utf-8")
    year_of_runs.write(project / "lake/_wall", PIPELINES, 90)
    environment = {
        "AIRFLOW__WALL__LAKES": "lake",
        "AIRFLOW__WALL__PROJECT": str(project),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,vera:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(project / "passwords.json"),
    }
    (project / "passwords.json").write_text(json.dumps({"admin": "admin", "vera": "vera"}))
    with AirflowServer(project / "airflow", project / "dags", environment, login=("admin", "admin")) as server:
        until(lambda: {"wall_upkeep", *PIPELINES} <= server.active_dags() or server.import_errors())
        assert not server.import_errors()
        until(lambda: "success" in {run["state"] for run in server.get("/dags/wall_upkeep/dagRuns")["dag_runs"]}, 400)
        yield server


def _page(airflow: AirflowServer, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{airflow.url}/wall/{path}", headers=headers, trust_env=False, timeout=60)


def _token(airflow: AirflowServer, name: str) -> str:
    login = {"username": name, "password": name}
    token: str = httpx.post(f"{airflow.url}/auth/token", json=login, trust_env=False).json()["access_token"]
    return token


def test_nobody_sees_anything_without_a_session(airflow: AirflowServer) -> None:
    for path in ("overview", "pipeline/shop", "table/gold/shop", "model/shop", "static/page.js"):
        answer = _page(airflow, path)
        assert (answer.status_code, "shop" in answer.text) == (401, False), path
    assert _page(airflow, "openapi.json").status_code == 404
    assert "Sign in" in _page(airflow, "overview").text


def test_documents_are_in_the_store_and_below_its_limit(airflow: AirflowServer) -> None:
    (asset,) = [one for one in airflow.get("/assets", only_active=False, limit=100)["assets"] if one["name"] == "lake"]
    stored = airflow.get(f"/assets/{asset['id']}/state-store", limit=100)
    keys = {one["key"] for one in stored["asset_state_store"]}
    assert {"overview/0", "pipeline/shop", "table/gold/shop", "model/shop"} <= keys
    assert max(len(json.dumps(one["value"])) for one in stored["asset_state_store"]) <= 60_000


def test_the_overview_says_what_is_wrong_and_what_to_do(airflow: AirflowServer) -> None:
    answer = _page(airflow, "overview", Authorization=f"Bearer {_token(airflow, 'admin')}")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    text = answer.text
    assert "not_null hour: 12 rows" in text  # of `churn`, which failed
    assert "airflow-wall run FILE --date" in text  # of a loader in Python
    assert "gold/scores, slice" in text  # of `fraud`, which withholds a slice
    assert "rows are in quarantine" in text
    order = re.findall(r'href="/wall/pipeline/(\w+)"', text)
    assert set(order) == set(PIPELINES)
    assert {*order[:2]} == {"churn", "fraud"}


def test_each_page_of_a_pipeline_its_table_and_its_model(airflow: AirflowServer) -> None:
    headers = {"Authorization": f"Bearer {_token(airflow, 'admin')}"}
    pipeline = _page(airflow, "pipeline/churn", **headers).text
    assert "airflow-wall releases rollback churn churn-" in pipeline
    assert "Start a run now" in pipeline
    assert 'href="/wall/table/gold/churn"' in pipeline
    table = _page(airflow, "table/gold/fraud", **headers).text
    assert "Rows by day" in table
    model = _page(airflow, "model/shop", **headers).text
    assert "rmse" in model
    assert "airflow-wall models rollback shop" in model
    assert _page(airflow, "table/no/such", **headers).status_code == 404


def test_a_viewer_sees_the_page_without_buttons_and_airflow_refuses_a_run(airflow: AirflowServer) -> None:
    headers = {"Authorization": f"Bearer {_token(airflow, 'vera')}"}
    page = _page(airflow, "pipeline/churn", **headers)
    assert page.status_code == 200
    assert "data-post" not in page.text
    run = httpx.post(f"{airflow.url}/api/v2/dags/churn/dagRuns", json={}, headers=headers, trust_env=False)
    assert run.status_code == 403


@pytest.fixture(scope="module")
def driver(airflow: AirflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        one.get(f"{airflow.url}/wall/overview")
        one.add_cookie({"name": "_token", "value": _token(airflow, "admin")})
        yield one


def _problems(driver: Any) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


@needs_chromium()
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("path", ["overview", "pipeline/churn", "table/gold/shop", "model/shop"])
def test_a_page_fits_its_window_in_both_themes(
    airflow: AirflowServer, driver: Any, path: str, size: tuple[int, int]
) -> None:
    for name in ("light", "dark"):
        theme(driver, name)
        resize(driver, size)
        driver.get(f"{airflow.url}/wall/{path}")
        _problems(driver) if path == "overview" else None  # that of the page without a session
        driver.get(f"{airflow.url}/wall/{path}")
        assert driver.execute_script("return document.documentElement.classList.contains('dark')") is (name == "dark")
        assert driver.execute_script("return document.documentElement.scrollWidth") <= size[0]
        if path != "overview":
            assert driver.execute_script("return document.querySelectorAll('.plot canvas').length") >= 2
        assert _problems(driver) == []


@needs_chromium()
def test_the_list_is_filtered_by_keyboard(airflow: AirflowServer, driver: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    resize(driver, WIDE)
    driver.get(f"{airflow.url}/wall/overview")
    driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert driver.switch_to.active_element.text == "Skip to the content"
    driver.find_element(By.ID, "q").send_keys("churn")
    shown = [row for row in driver.find_elements(By.CSS_SELECTOR, ".pipelines tbody tr") if row.is_displayed()]
    assert [row.find_element(By.TAG_NAME, "a").text for row in shown] == ["churn"]
    assert driver.find_element(By.ID, "matches").text == f"1 of {len(PIPELINES)}"
    shown[0].find_element(By.TAG_NAME, "a").send_keys(Keys.ENTER)
    assert driver.current_url.endswith("/wall/pipeline/churn")


@needs_chromium()
def test_a_button_asks_and_then_starts_a_run_by_airflows_api(airflow: AirflowServer, driver: Any) -> None:
    from selenium.webdriver.common.by import By

    resize(driver, WIDE)
    driver.get(f"{airflow.url}/wall/pipeline/prices")
    before = airflow.get("/dags/prices/dagRuns")["total_entries"]
    button = driver.find_element(By.XPATH, "//button[text()='Start a run now']")
    button.click()
    assert driver.find_element(By.ID, "answer").text == "Start a run of prices now?"
    assert airflow.get("/dags/prices/dagRuns")["total_entries"] == before
    button.click()
    until(lambda: "Airflow has taken it: manual__" in driver.find_element(By.ID, "answer").text)
    assert airflow.get("/dags/prices/dagRuns")["total_entries"] == before + 1


@needs_chromium()
def test_airflow_shows_the_page_in_its_navigation_and_at_a_dag(airflow: AirflowServer, driver: Any) -> None:
    from selenium.webdriver.common.by import By

    resize(driver, WIDE)
    for path, text in (("plugin/wall", "All pipelines"), ("dags/churn/plugin/health", "What to do")):
        driver.get(f"{airflow.url}/{path}")
        frame = until(lambda: driver.find_elements(By.TAG_NAME, "iframe"))[0]
        driver.switch_to.frame(frame)
        until(lambda text=text: text in driver.find_element(By.TAG_NAME, "body").text)  # type: ignore[misc]
        assert "framed" in driver.execute_script("return document.documentElement.className")
        driver.switch_to.default_content()

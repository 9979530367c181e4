"""The web application of the page. Airflow mounts it below `/wall`, and only its API server imports it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_authenticated
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.exceptions import HTTPException as StarletteHTTPException

from airflow_wall.page.health import OLD, Row, age, is_behind, judged, with_file
from airflow_wall.page.sparkline import sparkline
from airflow_wall.page.stored import dags, documents, overview_parts, pipelines_by_assets
from airflow_wall.storage.roll_up import quarters

Document = dict[str, Any]

FRESH = 30.0
"""Seconds for which the overview is kept in memory."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {"js": "text/javascript", "css": "text/css"}

app = FastAPI(dependencies=[Depends(requires_authenticated())], docs_url=None, redoc_url=None, openapi_url=None)
templates = Environment(
    loader=PackageLoader("airflow_wall.page"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
)
templates.globals |= {"sparkline": sparkline, "age": age}
templates.filters["number"] = lambda value: "–" if value is None else _number(value)
templates.filters["time"] = lambda value: "–" if not value else str(value)[:16].replace("T", " ")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value % 1 == 0 or abs(value) >= 10_000 else f"{value:.4g}"


class _Overview:
    """The rows of all pipelines, read from the database at most every 30 seconds."""

    def __init__(self) -> None:
        self._until = 0.0
        self._rows: list[Row] = []
        self._at: str | None = None

    def rows(self) -> tuple[list[Row], str | None]:
        """Return the rows, what is bad first, and the time of the oldest part of their data; None if there are none."""
        if time.monotonic() > self._until:
            self._rows, self._at = _read_overview()
            self._until = time.monotonic() + FRESH
        return self._rows, self._at


_overview = _Overview()


def _read_overview() -> tuple[list[Row], str | None]:
    now = datetime.now(UTC)
    with create_session() as session:
        parts = overview_parts(session)
        entries = {entry["pipeline"]: {**entry, "lake": part["lake"]} for part in parts for entry in part["pipelines"]}
        names = {*entries, *pipelines_by_assets(session)}
        facts = dags(session, names if len(names) < 500 else None)
    rows = [judged(facts[name], entries.get(name), now) for name in names if name in facts]
    return sorted(rows, key=lambda row: row.rank), min((part["at"] for part in parts), default=None)


@app.exception_handler(StarletteHTTPException)
def refuse(request: Request, error: StarletteHTTPException) -> HTMLResponse:
    """Return a page that says why nothing is shown."""
    text = "Your session has ended. Sign in, then load this page again." if error.status_code == 401 else error.detail
    return _html(request, "refused.html", status=error.status_code, text=text)


@app.get("/static/{name}")
def static(name: str) -> Response:
    """Return a script or a style sheet of this package."""
    kind = _TYPES.get(name.rpartition(".")[2])
    file = resources.files("airflow_wall.page").joinpath("static", name)
    if kind is None or "/" in name or not file.is_file():
        raise HTTPException(404, "There is no such file.")
    headers = {**_HEADERS, "Cache-Control": "private, max-age=3600"}
    return Response(file.read_bytes(), media_type=kind, headers=headers)


@app.get("/")
@app.get("/overview")
def overview(request: Request, user: GetUserDep, show: str = "", q: str = "") -> HTMLResponse:
    """Return the page of all pipelines that the user may read."""
    allowed = get_auth_manager().get_authorized_dag_ids(user=user)
    everything, at = _overview.rows()
    mine = [row for row in everything if row.dag_id in allowed]
    counts = {word: sum(row.health == word for row in mine) for word in ("bad", "look", "no history", "ok")}
    rows = [row for row in mine if (not show or row.health == show) and q.lower() in row.dag_id.lower()]
    return _html(request, "overview.html", rows=rows, counts=counts, total=len(mine), show=show, q=q, **_freshness(at))


@app.get("/pipeline/{dag_id}")
def pipeline(request: Request, dag_id: str, user: GetUserDep) -> HTMLResponse:
    """Return the page of one pipeline."""
    _check_may_read(dag_id, user)
    now = datetime.now(UTC)
    with create_session() as session:
        facts = dags(session, [dag_id]).get(dag_id)
        parts = overview_parts(session)
        key = f"pipeline/{dag_id}"
        stored = documents(session, [key, *(f"{key}/{quarter}" for quarter in quarters(now))])
    if facts is None:
        raise HTTPException(404, f"There is no DAG `{dag_id}`.")
    entry = next((entry for part in parts for entry in part["pipelines"] if entry["pipeline"] == dag_id), None)
    document = stored.get(key, {})
    findings = [
        {**finding, "commands": [with_file(command, facts) for command in finding["commands"]]}
        for finding in document.get("findings", ())
    ]
    return _html(
        request,
        "pipeline.html",
        row=judged(facts, entry, now),
        document=document,
        findings=findings,
        days=_days(stored, key),
        behind=entry is not None and is_behind(facts, entry),
        may_run=_may(dag_id, "POST", user),
        **_freshness(min((part["at"] for part in parts), default=None)),
    )


@app.get("/table/{name:path}")
def table(request: Request, name: str, user: GetUserDep) -> HTMLResponse:
    """Return the page of one table."""
    document, days = _of_pipeline("table", name, user)
    return _html(request, "table.html", document=document, days=days, name=name, **_freshness(_overview.rows()[1]))


@app.get("/model/{name}")
def model(request: Request, name: str, user: GetUserDep) -> HTMLResponse:
    """Return the page of one model."""
    document, days = _of_pipeline("model", name, user)
    return _html(request, "model.html", document=document, days=days, name=name, **_freshness(_overview.rows()[1]))


def _of_pipeline(kind: str, name: str, user: Any) -> tuple[Document, Document]:
    """Return the document of a table or model, and its days, if the user may read the DAG that writes it."""
    key = f"{kind}/{name}"
    with create_session() as session:
        stored = documents(session, [key, *(f"{key}/{quarter}" for quarter in quarters(datetime.now(UTC)))])
    document = stored.get(key)
    if document is None:
        raise HTTPException(404, f"There is no {kind} `{name}` in the history of a lake.")
    _check_may_read(document["pipeline"], user)
    return document, _days(stored, key)


def _days(stored: Mapping[str, Document], key: str) -> Document:
    """Return the numbers by day of all quarters: `days`, and a list for each field."""
    parts = sorted((name, part) for name, part in stored.items() if name.startswith(f"{key}/") and "fields" in part)
    days: dict[str, list[Any]] = {}
    for _, part in parts:
        days |= part["days"]
    fields: Sequence[str] = parts[-1][1]["fields"] if parts else ()
    first = (datetime.now(UTC) - timedelta(days=400)).date().isoformat()
    kept = {day: numbers for day, numbers in sorted(days.items()) if day >= first}
    columns = {field: [numbers[index] for numbers in kept.values()] for index, field in enumerate(fields)}
    return {"days": list(kept), **columns}


def _freshness(at: str | None) -> Document:
    is_old = at is not None and datetime.now(UTC) - datetime.fromisoformat(at) > OLD
    return {"data_at": at, "data_age": age(at), "data_old": is_old}


def _may(dag_id: str, method: Any, user: Any) -> bool:
    details = DagDetails(id=dag_id)
    manager = get_auth_manager()
    return manager.is_authorized_dag(method=method, access_entity=DagAccessEntity.RUN, details=details, user=user)


def _check_may_read(dag_id: str, user: Any) -> None:
    if dag_id not in get_auth_manager().get_authorized_dag_ids(user=user):
        raise HTTPException(404, f"There is no DAG `{dag_id}`, or you may not read it.")


def _html(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    base = request.scope.get("root_path", "").rstrip("/")
    text = templates.get_template(template).render(
        base=base, airflow=base.removesuffix("/wall"), status=status, **values
    )
    return HTMLResponse(text, status_code=status, headers=_HEADERS)

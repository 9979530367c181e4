"""
Steps in environments of their own: real venvs, filled from the package index, and real jobs in them.

Waits for: venvs that are filled from the package index, twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from airflow_wall.environments.backends import open_environment
from airflow_wall.environments.base import NEEDS, EnvironmentCache
from airflow_wall.environments.installer import InstallError
from airflow_wall.environments.venv import Venvs
from airflow_wall.errors import EnvironmentFault, Interrupted, UserCodeError
from airflow_wall.job import Job, Run, Slice
from airflow_wall.storage.backends import open_tables

pytestmark = [pytest.mark.integration, pytest.mark.full]

OLD = "pydantic<2"
"""A requirement that conflicts with Airflow's own."""

COMMAND = Path(sysconfig.get_path("scripts")) / "airflow-wall"

USER = """
import os, sys
import pandas as pd
import pyarrow as pa
import pydantic
from sklearn.linear_model import LinearRegression
from airflow_wall import Trained

def tell(raw):
    try:
        import airflow
        airflow = True
    except ImportError:
        airflow = False
    print("pydantic", pydantic.VERSION, flush=True)
    print("a line on standard error", file=sys.stderr, flush=True)
    facts = {"pydantic": pydantic.VERSION, "airflow": airflow, "python": sys.version.split()[0], "prefix": sys.prefix}
    facts["secrets"] = any(name.startswith("AIRFLOW_") and not name.startswith("AIRFLOW_WALL_") for name in os.environ)
    facts["threads"] = os.environ.get("AIRFLOW_WALL_THREADS")
    for name, value in facts.items():
        raw = raw.append_column(name, pa.array([value] * raw.num_rows, pa.string() if value is None else None))
    return raw

def fail(raw):
    raise ValueError("no such luck")

def train(features: pd.DataFrame) -> Trained:
    return Trained(LinearRegression().fit(features[["a"]], features["y"]), features=["a"], target="y")
"""


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> EnvironmentCache:
    """A cache of our own. What was downloaded before is in the installer's."""
    return EnvironmentCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def venv(place: EnvironmentCache) -> Path:
    """The interpreter of a venv with `OLD`."""
    try:
        return Venvs(place.cache / "venvs").provide([OLD], None, lambda _: None)
    except Interrupted as error:
        pytest.skip(f"the package index does not answer: {error}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with one file landed."""
    landing = tmp_path / "lake" / "landing"
    landing.mkdir(parents=True)
    rows = "".join(f"2013-07-01 {hour:02d}:00:00,{hour},{2 * hour + 1}\n" for hour in range(24))
    (landing / "a.csv").write_text(f"hour,a,y\n{rows}")
    (tmp_path / "own.py").write_text(USER)
    return tmp_path


def job(kind: str, folder: Path, connections: tuple[str, ...] = (), **arguments: Any) -> dict[str, Any]:
    order = Slice("20130701T000000Z", "2013-07-01T00:00:00+00:00")
    run = Run("own", "manual", kind, 1, order, folder / "lake", folder, folder)
    return Job(kind, arguments, run, connections).to_json()


def ingest(folder: Path) -> dict[str, Any]:
    return job("ingest", folder, source="landing", target="bronze/a")


def tell(folder: Path) -> dict[str, Any]:
    return job("transform", folder, inputs={"raw": "bronze/a"}, target="silver/a", entrypoint="own:tell")


def run(
    place: EnvironmentCache, document: Mapping[str, Any], asked: Mapping[str, Any], **more: Any
) -> tuple[dict[str, Any], list[str]]:
    lines: list[str] = []
    environment = open_environment({"venv_cache": str(place.cache), **document})
    sent = more.get("connections", {})
    return environment.run(asked, sent, lines.append, limits=more.get("limits", {})), lines


def recorded_facts(folder: Path) -> dict[str, Any]:
    """Return the values that the user's function recorded."""
    first: dict[str, Any] = open_tables(folder / "lake").read("silver/a").to_pylist()[0]
    return first


def test_every_kind_of_job_runs_without_airflow(
    place: EnvironmentCache, venv: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    own = {"requirements": [OLD]}
    assert run(place, own, ingest(folder))[0]["rows"] == 24
    result, lines = run(place, own, tell(folder), limits={"AIRFLOW_WALL_THREADS": "1"})
    assert result["rows"] == 24
    assert [line for line in lines if line.startswith(("pydantic 1.", "a line"))] == [
        f"pydantic {recorded_facts(folder)['pydantic']}",
        "a line on standard error",
    ]
    facts = recorded_facts(folder)
    assert facts["pydantic"].startswith("1.")
    assert (facts["airflow"], facts["secrets"], facts["threads"]) == (False, False, "1")
    assert facts["prefix"] == str(venv.parents[1])
    trained = {"entrypoint": "own:train", "inputs": {"features": "bronze/a"}, "model": "m"}
    learned, _ = run(place, own, job("retrain", folder, **trained))
    assert learned["promoted"]
    scored = {"model": "m", "inputs": {"features": "bronze/a"}, "target": "gold/scores"}
    assert run(place, own, job("predict", folder, **scored))[0]["rows"] == 24
    fail = job("transform", folder, inputs={"raw": "bronze/a"}, target="silver/b", entrypoint="own:fail")
    with pytest.raises(UserCodeError, match=r"`ValueError: no such luck` \(.*/own.py:\d+\)"):
        run(place, own, fail)


def test_venv_has_what_jobs_need_and_no_airflow(venv: Path) -> None:
    program = "import json; from importlib.metadata import distributions as d; print(json.dumps([x.name for x in d()]))"
    done = subprocess.run([venv, "-c", program], capture_output=True, text=True, check=True, cwd="/")
    names = {name.lower() for name in json.loads(done.stdout)}
    assert {Requirement(each).name for each in NEEDS} <= names
    assert not [name for name in names if "airflow" in name]


def test_connections_come_by_standard_input(place: EnvironmentCache, venv: Path, folder: Path) -> None:
    import sqlite3

    with sqlite3.connect(folder / "orders.db") as database:
        database.execute("create table orders (id integer primary key, at text)")
        database.execute("insert into orders values (1, '2013-07-01')")
    values = {"conn_id": "shop", "conn_type": "sqlite", "host": "orders.db"}
    asked = job("ingest", folder, ("shop",), source="sql://shop/orders", target="bronze/orders", cursor="id")
    assert run(place, {"requirements": [OLD]}, asked, connections={"shop": values})[0]["rows"] == 1


def test_interpreter_of_the_deployment_is_used_as_it_is(place: EnvironmentCache, venv: Path, folder: Path) -> None:
    own = {"python": str(venv)}
    run(place, own, ingest(folder))
    run(place, own, tell(folder))
    assert recorded_facts(folder)["prefix"] == str(venv.parents[1])


def test_interpreter_without_a_package_gets_an_error_that_names_it(
    place: EnvironmentCache, folder: Path, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    with pytest.raises(EnvironmentFault) as error:
        run(place, {"python": str(python)}, ingest(folder))
    assert str(error.value) == (
        f"`python`: `{python}` lacks packages that jobs need: "
        + ", ".join(f"`{each}`" for each in sorted(NEEDS))
        + "\n\n"
        f"hint: install them: `{python} -m pip install " + " ".join(f"'{each}'" for each in NEEDS) + "`"
    )


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("/no/such/python", "No such file or directory"),
        ("/bin/false", "it ends with exit code 1"),
        ("/bin/true", "its output is not that of Python"),
        ("/etc/passwd", "Permission denied"),
    ],
)
def test_interpreter_that_is_none_is_refused(place: EnvironmentCache, folder: Path, python: str, message: str) -> None:
    for asked in ({"python": python}, {"python": python, "requirements": ["six"]}):
        with pytest.raises(EnvironmentFault) as error:
            run(place, asked, ingest(folder))
        assert str(error.value) == (
            f"`python`: `{python}` must be the path of a Python interpreter, and cannot be used: {message}\n\n"
            "hint: set the path of a Python 3.11 or later that every worker has, e.g. `/opt/venvs/ml/bin/python`"
        )


UNSATISFIABLE = "we can conclude that your requirements are unsatisfiable."

REFUSED = {
    "beside what jobs need": (
        ["six", "pyarrow<10"],
        "`requirements`: `pyarrow<10` conflicts with the packages that jobs need, `pyarrow>=20`: "
        f"Because you require pyarrow>=20 and pyarrow<10, {UNSATISFIABLE}",
        "use a compatible version, or run the code that needs the old one in a task of Airflow's own, e.g. "
        "`uses: airflow.providers.standard.operators.python.ExternalPythonOperator`",
    ),
    "with each other": (
        ["six>=1.16", "requests", "six<1.15"],
        "`requirements`: there are no compatible versions of `six>=1.16`, `six<1.15`: "
        f"Because you require six>=1.16 and six<1.15, {UNSATISFIABLE}",
        "correct the name or the version, or remove one of two requirements that exclude each other",
    ),
    "no such version": (
        ["six==99"],
        "`requirements`: there are no compatible versions of `six==99`: "
        f"Because there is no version of six==99 and you require six==99, {UNSATISFIABLE}",
        "correct the name or the version, or remove one of two requirements that exclude each other",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_packages_that_do_not_fit_are_one_message(place: EnvironmentCache, venv: Path, folder: Path, what: str) -> None:
    if Venvs(place.cache).installer.uv is None:
        pytest.skip("the words are those of uv, which is not installed")
    asked, message, hint = REFUSED[what]
    with pytest.raises(EnvironmentFault) as error:
        run(place, {"requirements": asked}, ingest(folder))
    assert str(error.value) == f"{message}\n\nhint: {hint}"
    left = {path.name.partition("-")[0].removesuffix(".json") for path in (place.cache / "venvs").glob("[0-9a-f]*")}
    assert left <= {path.stem for path in (place.cache / "venvs").glob("*.json")}


def test_index_that_does_not_answer_is_tried_again(
    place: EnvironmentCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://someone:hunter2@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_INDEX_URL", "http://someone:hunter2@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    lines: list[str] = []
    with pytest.raises(Interrupted) as error:
        Venvs(place.cache / "venvs").provide(["six"], None, lines.append)
    assert str(error.value).startswith(
        "`requirements`: the package index does not answer, so `six` cannot be installed: "
    )
    assert str(error.value).endswith(
        "\n\nhint: the task is retried; UV_DEFAULT_INDEX, or PIP_INDEX_URL with pip, sets the address of the index"
    )
    assert "hunter2" not in str(error.value) + "".join(lines)


@pytest.fixture
def by_pip(place: EnvironmentCache) -> Venvs:
    venvs = Venvs(place.cache / "by_pip")
    venvs.installer.uv = None
    return venvs


def test_pip_says_the_same(by_pip: Venvs, venv: Path) -> None:
    with pytest.raises(EnvironmentFault) as error:
        by_pip.provide(["pyarrow<10"], None, lambda _: None)
    assert str(error.value).startswith(
        "`requirements`: `pyarrow<10` conflicts with the packages that jobs need, `pyarrow>=20`: "
    )
    with pytest.raises(InstallError):
        by_pip.installer.find("3.99")


PIPELINE = """\
dag_id: own
start_date: 2013-01-01
requirements: [pydantic<2]
tasks:
  - {id: load, uses: ingest, with: {source: landing, target: bronze/a, requirements: []}}
  - {id: start_cluster, uses: start_cluster, needs: load, with: {cluster: {type: local, threads: 1}}}
  - id: tell
    uses: transform
    needs: start_cluster
    with: {cluster: start_cluster, inputs: {raw: bronze/a}, target: silver/a, entrypoint: "own:tell"}
  - {id: stop_cluster, uses: stop_cluster, needs: tell}
"""


def test_pipeline_runs_its_steps_in_it_on_a_local_cluster(place: EnvironmentCache, venv: Path, folder: Path) -> None:
    (folder / "dags").mkdir()
    (folder / "own.py").rename(folder / "dags" / "own.py")
    (folder / "dags" / "own.yaml").write_text(PIPELINE)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(
        [COMMAND, "run", "dags/own.yaml", "--date", "2013-07-01"],
        cwd=folder,
        env={**inherited, "AIRFLOW__WALL__VENV_CACHE": str(place.cache)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts = recorded_facts(folder)
    assert facts["prefix"] == str(venv.parents[1])
    assert (facts["airflow"], facts["threads"]) == (False, "1")


def test_venv_is_of_the_version_that_is_asked_for(
    place: EnvironmentCache, venv: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = sys.version_info[:2]
    others = [numbers for numbers in ((3, 12), (3, 13), (3, 11)) if numbers != here]
    home = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [
        (numbers, path.parent) for numbers in others for path in home.glob(f"{numbers[0]}.{numbers[1]}.*/bin/python3")
    ]
    if not found:
        pytest.skip("this machine has no other Python that jobs run on, where pyenv would keep it")
    numbers, path = found[0]
    version = ".".join(map(str, numbers))
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{os.environ['PATH']}")
    own = {"requirements": [OLD], "python": version}
    run(place, own, ingest(folder))
    run(place, own, tell(folder))
    assert recorded_facts(folder)["python"].startswith(f"{version}.")
    with pytest.raises(EnvironmentFault, match=r"`python`: Python 3\.99 is not installed here: "):
        run(place, {**own, "python": "3.99"}, ingest(folder))

"""
Other ways from YAML to a DAG, side by side with ours and with hand-written Python, in one run: `python benchmarks/peers.py`.

Each peer is installed into a virtual environment of its own under the cache folder. All build the same 21 tasks and 25
edges of `BashOperator`, the one operator that every format can name. Rounds are interleaved: hand-written Python and the
peer in one environment, one process each, CPU seconds after the imports. Reported: the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "airflow-wall-benchmarks"
BASH = "airflow.providers.standard.operators.bash.BashOperator"
DOMAINS = range(1, 4)

NEEDS: dict[str, list[str]] = {
    "check_new_data": [],
    "get_credentials": [],
    "start_cluster": ["check_new_data", "get_credentials"],
    **{f"ingest_{n}": ["start_cluster"] for n in DOMAINS},
    **{f"normalize_{n}": [f"ingest_{n}"] for n in DOMAINS},
    "retrain": [f"normalize_{n}" for n in DOMAINS],
    "predict": ["retrain"],
    "stop_cluster": ["predict"],
    "check_integrity": ["predict"],
    "start_sender": ["stop_cluster", "check_integrity"],
    **{f"persist_{n}": ["start_sender"] for n in DOMAINS},
    **{f"index_{n}": [f"persist_{n}"] for n in DOMAINS},
    "stop_sender": [f"index_{n}" for n in DOMAINS],
}
"""The article's pipeline: task to the tasks before it."""

HEAD = """\
import gc, json, logging, sys, time
from pathlib import Path
logging.disable(logging.CRITICAL)
folder, count = Path(sys.argv[1]), int(sys.argv[2])
"""

MEASURE = """
gc.collect()
gc.disable()
start = time.process_time()
dags = build()
taken = time.process_time() - start
edges = sum(len(task.downstream_task_ids) for dag in dags for task in dag.tasks)
assert (len(dags), sum(len(dag.tasks) for dag in dags), edges) == (count, 21 * count, 25 * count), (len(dags), edges)
print(taken)
"""

PYTHON = """
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
needs = json.loads({needs!r})
def one(number):
    with DAG(f"pipe_{{number}}", schedule="0 3 * * *", start_date=datetime(2024, 1, 1), catchup=False,
             default_args={{"owner": "analytics", "retries": 2}}) as dag:
        made = {{}}
        for name, before in needs.items():
            made[name] = BashOperator(task_id=name, bash_command=f"echo {{name}}")
            for other in before:
                made[other] >> made[name]
    return dag
def build():
    return [one(number) for number in range(count)]
"""

AIRFLOW_WALL = f"""
import {BASH.rpartition(".")[0]}
from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings
def build():
    return list(load_dags(folder, Settings()).values())
"""

DAG_FACTORY = f"""
import {BASH.rpartition(".")[0]}
from dagfactory import load_yaml_dags
def build():
    found = {{}}
    load_yaml_dags(found, dags_folder=str(folder), defaults_config_path=str(folder))
    return list(found.values())
"""

BLUEPRINT = """
sys.path.insert(0, str(folder))
from blueprint import build_all_airflow_dags
def build():
    return build_all_airflow_dags(folder, register_globals={})
"""

BLUEPRINT_SHELL = '''\
from airflow.providers.standard.operators.bash import BashOperator
from blueprint import BaseModel, Blueprint


class ShellConfig(BaseModel):
    command: str


class Shell(Blueprint[ShellConfig]):
    """A shell command."""

    def render(self, config):
        return BashOperator(task_id=self.step_id, bash_command=config.command)
'''

GUSTY = f"""
import {BASH.rpartition(".")[0]}
from gusty import create_dag
def build():
    return [create_dag(str(each), latest_only=False) for each in sorted(folder.iterdir())]
"""

AIRFLOW_YAML = f"""
import {BASH.rpartition(".")[0]}
from airflow.dag_processing.bundles.local import LocalDagBundle
from airflow.sdk.importers.base import FilesystemDagDefinition
from airflow.sdk.importers.yaml_importer import YamlDagImporter
bundle, importer = LocalDagBundle(name="benchmark", path=str(folder)), YamlDagImporter()
def build():
    found = [importer.import_definition(FilesystemDagDefinition(each), bundle) for each in sorted(folder.iterdir())]
    return [dag for result in found for dag in result.dags]
"""


def _written(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_yaml(value))


def _yaml(value: object) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False)


def write_ours(folder: Path, number: int) -> None:
    tasks = [
        {"id": name, "uses": BASH, **({"needs": needs} if needs else {}), "with": {"bash_command": f"echo {name}"}}
        for name, needs in NEEDS.items()
    ]
    head = {"dag_id": f"pipe_{number}", "schedule": "0 3 * * *", "start_date": "2024-01-01", "catchup": False}
    default_args = {"owner": "analytics", "retries": 2}
    _written(folder / f"pipe_{number}.yaml", {**head, "default_args": default_args, "tasks": tasks})


def write_dag_factory(folder: Path, number: int) -> None:
    tasks = {
        name: {"operator": BASH, "bash_command": f"echo {name}", "dependencies": needs} for name, needs in NEEDS.items()
    }
    default_args = {"owner": "analytics", "retries": 2, "start_date": "2024-01-01"}
    one = {"schedule": "0 3 * * *", "catchup": False, "default_args": default_args, "tasks": tasks}
    _written(folder / f"pipe_{number}.yaml", {f"pipe_{number}": one})


def write_blueprint(folder: Path, number: int) -> None:
    steps = {
        name: {"blueprint": "shell", "command": f"echo {name}", **({"depends_on": needs} if needs else {})}
        for name, needs in NEEDS.items()
    }
    _written(folder / f"pipe_{number}.dag.yaml", {"dag_id": f"pipe_{number}", "schedule": "0 3 * * *", "steps": steps})
    (folder / "shell_blueprints.py").write_text(BLUEPRINT_SHELL)


def write_gusty(folder: Path, number: int) -> None:
    default_args = {"owner": "analytics", "retries": 2, "start_date": "2024-01-01"}
    head = {"schedule": "0 3 * * *", "catchup": False, "default_args": default_args}
    _written(folder / f"pipe_{number}" / "METADATA.yml", head)
    for name, needs in NEEDS.items():
        task = {"operator": BASH, "bash_command": f"echo {name}", **({"dependencies": needs} if needs else {})}
        _written(folder / f"pipe_{number}" / f"{name}.yml", task)


def write_airflow_yaml(folder: Path, number: int) -> None:
    tasks = [
        {"id": name, "uses": BASH, **({"needs": needs} if needs else {}), "with": {"bash_command": f"echo {name}"}}
        for name, needs in NEEDS.items()
    ]
    schema = {"$schema": SCHEMA}
    head = {"dag_id": f"pipe_{number}", "schedule": "0 3 * * *", "start_date": "2024-01-01", "catchup": False}
    _written(folder / f"pipe_{number}.yaml", {**schema, **head, "tasks": tasks})


SCHEMA = "https://airflow.apache.org/schemas/dag/2026-10-30.json"


@dataclass(frozen=True)
class Peer:
    """
    A way from YAML to a DAG.

    :param requirements: What to install; nothing is the environment that runs this script.
    :param program: Python that defines `build`.
    :param write: Writes the pipeline of a number into a folder.
    """

    requirements: tuple[str, ...]
    program: str
    write: Callable[[Path, int], None]


PEERS = {
    "airflow-wall": Peer((), AIRFLOW_WALL, write_ours),
    "dag-factory 1.1.0": Peer(("apache-airflow==3.3.2", "dag-factory==1.1.0"), DAG_FACTORY, write_dag_factory),
    "airflow-blueprint 0.5.0": Peer(("apache-airflow==3.3.2", "airflow-blueprint==0.5.0"), BLUEPRINT, write_blueprint),
    "gusty 0.23.1": Peer(("apache-airflow==3.3.2", "gusty==0.23.1"), GUSTY, write_gusty),
    "Airflow 3.4.0b2's YAML": Peer(("apache-airflow==3.4.0b2",), AIRFLOW_YAML, write_airflow_yaml),
}


def installed(requirements: tuple[str, ...]) -> Path:
    """The Python of an environment with the requirements, made if it is not there yet."""
    if not requirements:
        return Path(sys.executable)
    home = CACHE / "_".join(requirements).replace("==", "-")
    python = home / "bin" / "python"
    if not (home / ".done").exists():
        print(f"installing {', '.join(requirements)} ...", file=sys.stderr, flush=True)
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], check=True)
        command = [uv, "pip", "install", "--quiet", "--prerelease", "allow", "--python", str(python), *requirements]
        subprocess.run(command, check=True)
        (home / ".done").touch()
    return python


def seconds(python: Path, program: str, folder: Path, count: int) -> float:
    """CPU seconds that one process takes to build `count` DAGs."""
    environment = {**os.environ, "AIRFLOW_HOME": str(folder.parent / "home"), "AIRFLOW__CORE__DAGS_FOLDER": str(folder)}
    command = [str(python), "-W", "ignore", "-c", HEAD + program + MEASURE, str(folder), str(count)]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if answer.returncode:
        sys.exit(f"{program}\n{answer.stdout}\n{answer.stderr}")
    return float(answer.stdout.split()[-1])


def main() -> None:
    """Print a line per peer and N."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--only", nargs="*", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("counts", type=int, nargs="*", default=[1, 10, 100])
    options = parser.parse_args()
    hand_written = PYTHON.format(needs=json.dumps(NEEDS))
    pythons = {name: installed(PEERS[name].requirements) for name in options.only}
    for count in options.counts:
        pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in options.only}
        with tempfile.TemporaryDirectory() as home:
            for name in options.only:
                for number in range(count):
                    PEERS[name].write(Path(home) / name.replace(" ", "_") / "dags", number)
            for _ in range(options.pairs):
                for name in options.only:
                    folder = Path(home) / name.replace(" ", "_") / "dags"
                    peer = seconds(pythons[name], PEERS[name].program, folder, count)
                    pairs[name].append((peer, seconds(pythons[name], hand_written, folder, count)))
        for name, found in pairs.items():
            ratio = statistics.median(peer / python for peer, python in found)
            peer, python = (statistics.median(side) / count * 1000 for side in zip(*found, strict=True))
            print(
                f"N={count:<5} {name:24} {peer:7.2f} ms/DAG   Python {python:6.2f} ms/DAG   ratio {ratio:5.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

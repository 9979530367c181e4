"""
Reading and planning a pipeline touches nothing but its own folder.

In a process of its own an audit hook sees all that the interpreter does while every YAML file of the repository is
loaded and planned, under both policies. What the hook does not know is not allowed either.

Waits for: the YAML of the repository under both policies, with an audit hook.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]

WATCH = '''
import ast, contextlib, importlib, os, sys, zoneinfo
from pathlib import Path

import airflow_wall.planner.native, airflow_wall.loader.templates, airflow_wall.text.yaml_1_1  # imported when a file
import croniter, jsonschema, packaging.requirements, packaging.utils, pydantic.dataclasses  # first needs them
import airflow_wall.checks.load, airflow_wall.planner.native, airflow_wall.storage.contract, duckdb  # these too
from airflow_wall.planner.planner import plan_all
from airflow_wall.errors import SpecError
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings
from airflow_wall.language.cluster_registry import CLUSTERS

list(CLUSTERS)  # a snapshot, as the settings are: what is installed
with contextlib.suppress(zoneinfo.ZoneInfoNotFoundError):
    zoneinfo.ZoneInfo("Nowhere")  # imports what looks for zones

SETTINGS = [
    Settings(policy=policy, environment=environment, env={"REGION": "eu"})
    for policy in ("open", "restricted")
    for environment in (None, "production")
]
ZONES = tuple(map(str, [*zoneinfo.TZPATH, Path(importlib.import_module("tzdata").__file__).parent]))
FILES = ("open", "os.listdir", "os.scandir", "os.walk", "pathlib.Path.glob", "pathlib.Path.rglob")
HARMLESS = ("sys._getframe", "object.__getattr__", "object.__setattr__", "builtins.id", "sys.unraisablehook", "gc.get_objects")
SIGNATURE_OF_LIST = b"def foo(iterable=()): pass"  # pydantic has it parsed, to learn whether `list` takes an argument
found, root = set(), None


def inside(name):
    path = os.path.realpath(name)
    return path == root or path.startswith((root + os.sep, *ZONES))


def callers():
    frame = sys._getframe(1)
    while frame is not None:
        yield frame.f_code.co_name
        frame = frame.f_back


def builds_model():
    """Return True while pydantic reads the annotations of a model of ours, at its first use or anew."""
    return not {"create_model", "model_rebuild"}.isdisjoint(callers())


def hook(event, arguments):
    if root is None or event in HARMLESS:
        return
    if event == "open" and isinstance(arguments[0], int):  # what was opened by name before
        return
    if event == "compile" and arguments[0] == SIGNATURE_OF_LIST:
        return
    if event == "compile" and sys._getframe(1).f_code is ast.parse.__code__:  # to a syntax tree, which is no code
        return
    if event in ("compile", "exec") and builds_model():
        return
    if event in FILES and isinstance(arguments[0], (str, os.PathLike)) and inside(arguments[0]):
        if event != "open" or not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            return
    if event == "import" and (arguments[0] == "tzdata" or arguments[0].startswith("tzdata.")):
        return
    if event == "exec" and arguments[0].co_filename.startswith(ZONES):
        return
    if event == "marshal.loads":  # of the modules of tzdata
        return
    found.add(f"{event} {str(arguments[:1])[:200]}")


class Environment(dict):
    """Notes every look at a variable."""


def seen(name):
    def method(self, *arguments):
        if root is not None and not builds_model():
            found.add(f"environment {name} {arguments}")
        return getattr(dict, name)(self, *arguments)
    return method


for name in ("__getitem__", "__contains__", "__iter__", "__len__", "get", "keys", "values", "items", "copy", "setdefault", "pop"):
    setattr(Environment, name, seen(name))
os.environ = Environment(os.environ)
sys.addaudithook(hook)


def watched(path):
    """What is done while the file is loaded and planned that may not be done."""
    global root
    found.clear()
    for settings in SETTINGS:
        root = os.path.realpath(path.parent)
        try:
            plan_all(load_specs(path, settings), settings)
        except SpecError:
            pass
        finally:
            root = None
    return sorted(found)
'''


def run(script: str, *arguments: str, folder: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WATCH + script, *arguments], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_of_the_repository_is_read_and_planned_without_touching_anything_else() -> None:
    script = """
from airflow_wall.checks.backends import CHECKS
from airflow_wall.language.step_registry import STEPS
import encodings.unicode_escape
from airflow_wall.publish.backends import TARGETS
from airflow_wall.sources.backends import SOURCES
for registry in (STEPS, CHECKS, TARGETS, CLUSTERS, SOURCES):  # each object is imported, and installed packages listed, at first use
    list(registry.values())
folders = ("tests", "dags", "examples", "docs", "benchmarks")
files = sorted(path for folder in folders for path in Path(folder).rglob("*.y*ml"))
files += sorted(Path("tests/fuzz/corpus").iterdir())
for path in files:
    for what in watched(path):
        print(path, what)
print(len(files))
"""
    *wrong, count = run(script).splitlines()
    assert wrong == []
    assert int(count) > 500


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("compile('1', '', 'eval')", "compile"),
        ("exec('1')", "exec"),
        ("import this", "import"),
        ("open('/etc/hostname')", "open"),
        ("open('written', 'w')", "open"),
        ("os.environ['HOME']", "environment"),
        ("os.getenv('HOME')", "environment"),
        ("os.system('true')", "os.system"),
        ("import socket; socket.socket()", "socket"),
        ("os.listdir('/')", "os.listdir"),
    ],
)
def test_the_hook_sees(text: str, event: str, tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text("dag_id: a\n")
    script = f"""
import contextlib, io
def plan_all(*_):
    with contextlib.redirect_stdout(io.StringIO()):
        {text}
print(watched(Path("pipeline.yaml")))
"""
    assert event in run(script, folder=tmp_path)

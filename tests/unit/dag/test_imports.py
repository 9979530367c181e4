"""The Python names of a pipeline are imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_wall.dag.imports import imported
from airflow_wall.errors import SpecError, UserCodeError
from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings

pytestmark = pytest.mark.usefixtures("clean_imports")


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def team(folder: Path, name: str) -> None:
    """A folder with helpers of the same names as any other team's, that say whose they are."""
    put(
        folder / "util.py",
        f"import deep\nNAME = '{name}' + deep.NAME\ndef late():\n    import later\n    return later.NAME\n",
    )
    put(folder / "deep.py", f"NAME = '{name}'\n")
    put(folder / "later.py", f"NAME = '{name}'\n")
    put(folder / "package" / "__init__.py", "")
    put(folder / "package" / "inner.py", "from util import NAME\nfrom package.other import NAME as OTHER\n")
    put(folder / "package" / "other.py", f"NAME = '{name}'\n")
    put(
        folder / "operators.py",
        "from airflow.sdk import BaseOperator\nimport util\nfrom package.inner import NAME, OTHER\n"
        "class Own(BaseOperator):\n    def execute(self, context):\n        return [util.NAME, NAME, OTHER]\n",
    )
    put(folder / "calls.py", "import util\ndef called(context=None):\n    return [util.NAME, util.late()]\n")
    put(
        folder / "pipeline.yaml",
        f"dag_id: {name}\ntasks:\n  - id: a\n    uses: operators.Own\n  - id: b\n    uses: operators.Own\n",
    )


def test_modules_of_two_folders_do_not_mix(tmp_path: Path) -> None:
    for name in ("one", "two"):
        team(tmp_path / name, name)
    dags = load_dags(tmp_path, Settings())
    for name in ("one", "two", "one"):
        own: Any = dags[name].get_task("a")
        assert own.execute({}) == [name * 2, name * 2, name]
        assert type(own) is type(dags[name].get_task("b"))


def test_functions_find_the_modules_of_their_folder_whenever_they_are_called(tmp_path: Path) -> None:
    for name in ("one", "two"):
        team(tmp_path / name, name)
    functions = {name: imported("calls:called", tmp_path / name, key="on_failure_callback") for name in ("one", "two")}
    assert [functions[name]() for name in ("one", "two", "one")] == [[name * 2, name] for name in ("one", "two", "one")]
    assert functions["one"].__name__ == "called"
    assert imported("calls:called", tmp_path / "one", key="x").__wrapped__ is functions["one"].__wrapped__


def test_a_folder_below_the_pipelines_own_gives_way_to_what_lies_beside_the_yaml(tmp_path: Path) -> None:
    put(tmp_path / "util.py", "NAME = 'outer'")
    put(tmp_path / "team" / "util.py", "NAME = 'inner'")
    assert imported("util:NAME", tmp_path, key="x") == "outer"
    assert imported("util:NAME", tmp_path / "team", key="x") == "inner"
    assert imported("util:NAME", tmp_path, key="x") == "outer"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "utli:call",
            "`uses` `utli:call`: there is no module `utli` in `{0}` (it has `broken`, `util`, `wrong`), and no installed package of "
            "that name\n\nhint: did you mean `util`? else create `{0}/utli.py`",
        ),
        ("util:cal", "`uses` `util:cal`: `{0}/util.py` has no `cal` (it has `LIMIT`, `call`)\n\nhint: did you mean `call`?"
         " else define `cal` there"),
        ("broken:call", "`uses` `broken:call`: importing `broken` raised `ZeroDivisionError: division by zero` ({0}/broken.py:2)"),
        ("wrong:call", "`uses` `wrong:call`: importing `wrong` raised `SyntaxError: invalid syntax` ({0}/wrong.py:1)"),
        ("call", "`uses` must be `module:name`, got `call`\n\nhint: write, e.g., `models.scores:train`"),
        ("util:a.b", "`uses` must be `module:name`, got `util:a.b`\n\nhint: write, e.g., `models.scores:train`"),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_says_where_it_was_looked_for(tmp_path: Path, reference: str, message: str) -> None:
    put(tmp_path / "util.py", "from json import dumps\nimport json\nLIMIT = 3\ndef call(): ...\n")
    put(tmp_path / "broken.py", "\n1 / 0\n")
    put(tmp_path / "wrong.py", "def f(:\n")
    with pytest.raises(UserCodeError) as caught:
        imported(reference, tmp_path, key="uses")
    assert str(caught.value) == message.format(tmp_path)


def test_an_operator_of_the_user_that_raises_names_its_line(tmp_path: Path) -> None:
    put(tmp_path / "ops.py", "import no_such_package\n")
    path = put(tmp_path / "pipeline.yaml", "dag_id: churn\ntasks:\n  - id: a\n    uses: ops.Own\n")
    with pytest.raises(SpecError) as caught:
        load_dags(path, Settings())
    assert str(caught.value) == (
        f"error: {path}:4:11: `tasks[a].uses` names `ops.Own`: importing `ops` raised "
        f"`ModuleNotFoundError: No module named 'no_such_package'` ({tmp_path}/ops.py:1)\n"
        "  4 |     uses: ops.Own\n    |           ^^^^^^^"
    )

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from airflow_wall.environments.user_code import calling, load_function
from airflow_wall.errors import DataError, UserCodeError, error_from_json

pytestmark = pytest.mark.usefixtures("clean_imports")


def _put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _error(entrypoint: str, code: Path) -> str:
    with pytest.raises(UserCodeError) as caught:
        load_function(entrypoint, code=code)
    return str(caught.value)


@pytest.mark.parametrize("with_init", [True, False])
def test_a_function_is_found_below_the_folder_of_the_pipeline(tmp_path: Path, with_init: bool) -> None:
    _put(tmp_path, "models/scores.py", "from helpers import two\ndef train(): return two()")
    _put(tmp_path, "helpers.py", "def two(): return 2")
    if with_init:
        _put(tmp_path, "models/__init__.py", "")
    assert load_function("models.scores:train", code=tmp_path)() == 2
    assert sys.path[0] == str(tmp_path)


def test_an_installed_module_is_found_too(tmp_path: Path) -> None:
    assert load_function("json:dumps", code=tmp_path)([1]) == "[1]"


def test_two_folders_with_modules_of_the_same_name_do_not_mix(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _put(tmp_path, f"{name}/models/scores.py", f"import helpers\ndef train(): return helpers.NAME + '{name}'")
        _put(tmp_path, f"{name}/helpers.py", f"NAME = '{name}'")
    functions = [load_function("models.scores:train", code=tmp_path / name) for name in ("one", "two", "one")]
    assert [function() for function in functions] == ["oneone", "twotwo", "oneone"]
    assert str(tmp_path / "two") not in sys.path


def test_a_module_that_another_folder_of_the_path_gave_is_replaced(tmp_path: Path) -> None:
    _put(tmp_path, "dags/scores.py", "def train(): return 'dags'")
    _put(tmp_path, "dags/pipeline/scores.py", "def train(): return 'pipeline'")
    sys.path.insert(0, str(tmp_path / "dags"))
    import scores  # type: ignore[import-not-found]

    assert scores.train() == "dags"
    assert load_function("scores:train", code=tmp_path / "dags/pipeline")() == "pipeline"


def test_a_plain_folder_comes_before_a_package_of_another_folder(tmp_path: Path) -> None:
    _put(tmp_path, "dags/models/__init__.py", "")
    _put(tmp_path, "dags/models/scores.py", "def train(): return 'dags'")
    _put(tmp_path, "dags/pipeline/models/scores.py", "from models.parts import NAME\ndef train(): return NAME")
    _put(tmp_path, "dags/pipeline/models/parts.py", "NAME = 'pipeline'")
    sys.path.insert(0, str(tmp_path / "dags"))
    assert load_function("models.scores:train", code=tmp_path / "dags/pipeline")() == "pipeline"
    assert load_function("models.scores:train", code=tmp_path / "dags")() == "dags"


def test_a_folder_named_like_an_installed_module_is_refused(tmp_path: Path) -> None:
    _put(tmp_path, "json.py", "def train(): ...")
    assert _error("json:train", tmp_path) == (
        f"`entrypoint` `json:train`: `{tmp_path}/json` has the name of the installed module `json`, which hides it\n\n"
        f"hint: rename `json` in `{tmp_path}`"
    )


@pytest.mark.parametrize("entrypoint", ["train", "models.scores", "models/scores.py:train", "a:b.c", ":train", ""])
def test_an_entrypoint_is_a_module_and_a_function(tmp_path: Path, entrypoint: str) -> None:
    assert _error(entrypoint, tmp_path) == (
        f"`entrypoint` must be `module:function`, got `{entrypoint}`\n\nhint: write, e.g., `models.scores:train`"
    )


def test_a_missing_module_lists_what_is_there(tmp_path: Path) -> None:
    _put(tmp_path, "models/__init__.py", "")
    _put(tmp_path, "models/scores.py", "")
    assert _error("models.score:train", tmp_path) == (
        f"`entrypoint` `models.score:train`: there is no module `models.score` in `{tmp_path}` "
        "(it has `models`, `models.scores`), and no installed package of that name\n\n"
        f"hint: did you mean `models.scores`? else create `{tmp_path}/models/score.py`"
    )


def test_a_missing_function_names_the_nearest(tmp_path: Path) -> None:
    path = _put(tmp_path, "scores.py", "from json import dumps\ndef train(): ...\ndef _own(): ...\nLEVEL = 3")
    assert _error("scores:trian", tmp_path) == (
        f"`entrypoint` `scores:trian`: `{path}` has no function `trian` (it has `train`)\n\n"
        "hint: did you mean `train`? else define `def trian(...)` there"
    )
    assert _error("scores:LEVEL", tmp_path) == (
        f"`entrypoint` `scores:LEVEL`: `LEVEL` in `{path}` must be a function, got `int`\n\nhint: name a function"
    )


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("x = 1\nx / 0", "ZeroDivisionError: division by zero", 2),
        ("def f(:\n  pass", "SyntaxError: invalid syntax", 1),
        ("\nimport no_such_package", "ModuleNotFoundError: No module named 'no_such_package'", 2),
        ("exit(3)", "SystemExit: 3", 1),
    ],
    ids=["raises", "syntax", "import", "exit"],
)
def test_a_module_that_cannot_be_imported_names_its_line(tmp_path: Path, text: str, reason: str, line: int) -> None:
    path = _put(tmp_path, "broken.py", text)
    assert (
        _error("broken:f", tmp_path) == f"`entrypoint` `broken:f`: importing `broken` raised `{reason}` ({path}:{line})"
    )


def test_what_the_function_raises_names_the_deepest_line_of_the_user(tmp_path: Path) -> None:
    helper = _put(tmp_path, "helper.py", "import json\ndef parse(text):\n    return json.loads(text)\n")
    _put(tmp_path, "scores.py", "from helper import parse\ndef train():\n    parse('{')\n")
    function = load_function("scores:train", code=tmp_path)
    with pytest.raises(UserCodeError) as caught, calling("scores:train", code=tmp_path):
        function()
    assert str(caught.value) == (
        "`entrypoint` `scores:train` raised `JSONDecodeError: Expecting property name enclosed in double quotes: "
        f"line 1 column 2 (char 1)` ({helper}:3)"
    )
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_call_that_does_not_fit_names_the_function_alone(tmp_path: Path) -> None:
    _put(tmp_path, "scores.py", "def train(features): ...")
    function = load_function("scores:train", code=tmp_path)
    with pytest.raises(UserCodeError) as caught, calling("scores:train", code=tmp_path):
        function()
    assert "missing 1 required positional argument: 'features'`" in str(caught.value)


def test_exit_is_an_error_and_an_interrupt_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(UserCodeError) as caught, calling("scores:train", code=tmp_path, key="score"):
        raise SystemExit
    assert "`score` `scores:train` raised `SystemExit`" in str(caught.value)
    with pytest.raises(KeyboardInterrupt), calling("scores:train", code=tmp_path):
        raise KeyboardInterrupt
    with pytest.raises(DataError), calling("scores:train", code=tmp_path):
        raise DataError("ours")


def test_the_traceback_begins_at_the_first_line_of_the_users_code(tmp_path: Path) -> None:
    _put(tmp_path, "fit.py", "import helper\n\ndef train():\n    return helper.read('{')\n")
    _put(tmp_path, "helper.py", "import json\n\ndef read(text):\n    return json.loads(text)\n")
    function = load_function("fit:train", code=tmp_path)
    with pytest.raises(UserCodeError) as caught, calling("fit:train", code=tmp_path):
        function()
    lines = (caught.value.trace or "").splitlines()
    assert lines[:3] == [
        "Traceback (most recent call last):",
        f'  File "{tmp_path}/fit.py", line 4, in train',
        "    return helper.read('{')",
    ]
    assert "airflow_wall" not in "\n".join(lines)
    assert lines[-1].startswith("json.decoder.JSONDecodeError: ")
    assert caught.value.report() == f"{caught.value.message}\n\n{caught.value.trace}"
    again = error_from_json(json.loads(json.dumps(caught.value.to_json())))
    assert again.report() == caught.value.report()


def test_a_long_traceback_is_cut_in_the_middle(tmp_path: Path) -> None:
    _put(
        tmp_path, "deep.py", "\n".join(f"def f{n}():\n    return f{n + 1}()" for n in range(90)) + "\ndef f90(): 1 / 0"
    )
    function = load_function("deep:f0", code=tmp_path)
    with pytest.raises(UserCodeError) as caught, calling("deep:f0", code=tmp_path):
        function()
    lines = (caught.value.trace or "").splitlines()
    assert len(lines) == 101
    assert "lines left out" in lines[1]
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_a_breakpoint_without_a_terminal_gets_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    _put(tmp_path, "stops.py", "import pdb\n\ndef train():\n    pdb.Pdb(nosigint=True).set_trace()\n    return 1\n")
    function = load_function("stops:train", code=tmp_path)
    with pytest.raises(UserCodeError) as caught, calling("stops:train", code=tmp_path):
        function()
    assert caught.value.hint == "`breakpoint()` needs a terminal: run the task alone, `airflow-wall run FILE --task ID`"

"""
Import the user's own Python, e.g. `models.scores:train`, from the pipeline's directory, and report the place of errors.

One directory is active at a time. To load from a second one removes the first from `sys.path` and sets its modules
aside, so that two pipelines may both have a `models/scores.py` or a `utils.py`. The modules come back with their
directory.
"""

from __future__ import annotations

import bdb
import contextlib
import functools
import importlib
import importlib.machinery
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.errors import UserCodeError, WallError

_ENTRYPOINT = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<function>[^\W\d]\w*)")
_PACKAGE = Path(__file__).parents[1]

_TRACE = 100
"""Number of lines of a traceback that are kept: the first and the last ones."""

_active: Path | None = None
_inactive_modules: dict[Path, dict[str, ModuleType]] = {}
"""Inactive directory -> the modules that were loaded from it."""


def load_function(entrypoint: str, *, code: Path, key: str = "entrypoint") -> Callable[..., Any]:
    """
    Return the function that `entrypoint` names, e.g. `models.scores:train`.

    A module that is not in `code` is imported from the installed packages.

    :param code: The pipeline's directory. It becomes the first entry of `sys.path`, and stays there for later imports.
    :param key: Key of the YAML that holds the entrypoint, for messages.
    :raises UserCodeError: the entrypoint is not of the form `module:function`, the module or the function does not
        exist, or the module raises.
    """
    module_name, name = check_entrypoint(entrypoint, key=key)
    module = _import(module_name, code=code.resolve(), where=f"`{key}` `{entrypoint}`")
    function = getattr(module, name, None)
    if callable(function):
        return function  # type: ignore[no-any-return]  # callable() narrows to a callable of unknown types
    raise _no_function(module, name, value=function, where=f"`{key}` `{entrypoint}`")


def load_object(reference: str, *, code: Path, key: str) -> Any:
    """
    Return the object at `reference`: `module:name`, or the dotted path of a class such as `package.module.Class`.

    A module that is not in `code` is imported from the installed packages.

    :param code: The pipeline's directory.
    :param key: Key of the YAML that holds the reference, for messages.
    :raises UserCodeError: the reference has neither form, a part of it does not exist, or the module raises.
    """
    module_name, _, name = reference.rpartition(":" if ":" in reference else ".")
    if not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise UserCodeError(
            f"`{key}` must be `module:name`, got `{reference}`", hint="write, e.g., `models.scores:train`"
        )
    where = f"`{key}` `{reference}`"
    module = _import(module_name, code=code.resolve(), where=where)
    try:
        return getattr(module, name)
    except AttributeError:
        raise _no_name(module, name, where) from None


def activate(code: Path) -> None:
    """Make `code` the directory of all later imports, such as imports inside a function."""
    code = code.resolve()
    if _active != code or sys.path[:1] != [str(code)]:
        _activate(code, "", "")


def check_entrypoint(entrypoint: str, *, key: str = "entrypoint") -> tuple[str, str]:
    """
    Return the names of the module and the function, without importing them.

    :raises UserCodeError: the entrypoint is not of the form `module:function`.
    """
    parts = _ENTRYPOINT.fullmatch(entrypoint)
    if parts is None:
        raise UserCodeError(
            f"`{key}` must be `module:function`, got `{entrypoint}`", hint="write, e.g., `models.scores:train`"
        )
    return parts["module"], parts["function"]


@contextlib.contextmanager
def calling(entrypoint: str, *, code: Path, key: str = "entrypoint") -> Iterator[None]:
    """
    Turn an error of the user's function into a UserCodeError that names the user's file and line.

    Errors of this package pass unchanged, as do KeyboardInterrupt and other signals to stop. `exit()` counts as an
    error, because a task that exits with 0 half way would be green.
    """
    try:
        yield
    except WallError:
        raise
    except (Exception, SystemExit) as error:
        place = _place(error, code.resolve())
        message = f"`{key}` `{entrypoint}` raised {_describe(error)}{place and f' ({place})'}"
        raise UserCodeError(message, hint=_hint(error), trace=_trace(error, code.resolve())) from error


def _import(name: str, *, code: Path, where: str) -> ModuleType:
    _activate(code, name.partition(".")[0], where)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise _no_module(name, code, where) from None
        place = _place(error, code)
        raise UserCodeError(
            f"{where}: importing `{name}` raised {_describe(error)}{place and f' ({place})'}", trace=_trace(error, code)
        ) from error


def _activate(code: Path, top_module: str, where: str) -> None:
    """Put `code` first on `sys.path`, and unload modules of other directories that would hide its own."""
    global _active
    if _active is not None and _active != code:
        modules = _unload(name for name, file in _loaded() if file.parent == _active)
        _inactive_modules.setdefault(_active, {}).update(modules)
        with contextlib.suppress(ValueError):
            sys.path.remove(str(_active))
    _active = code
    if sys.path[:1] != [str(code)]:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(code))
        sys.path.insert(0, str(code))
    importlib.invalidate_caches()
    own = {path.stem for path in code.glob("*.py")} | {path.name for path in code.glob("*/") if path.is_dir()}
    others = {name: file for name, file in _loaded() if name in own and file.parent != code}
    if top_module in own & set(sys.builtin_module_names) or (top_module in others and _installed(others[top_module])):
        raise UserCodeError(
            f"{where}: `{code / top_module}` has the name of the installed module `{top_module}`, which hides it",
            hint=f"rename `{top_module}` in `{code}`",
        )
    _unload(name for name, file in others.items() if not _installed(file))
    sys.modules.update(_inactive_modules.pop(code, {}))
    if top_module in own and top_module not in sys.modules:
        _register_plain_folder(top_module, code)


def _register_plain_folder(name: str, code: Path) -> None:
    """
    Register a directory without `__init__.py` as a package.

    Python would prefer a regular package of that name anywhere on the path.
    """
    folder = code / name
    if folder.is_dir() and not (folder / "__init__.py").exists() and not folder.with_suffix(".py").exists():
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        package.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        package.__spec__.submodule_search_locations = package.__path__
        sys.modules[name] = package


def _loaded() -> Iterator[tuple[str, Path]]:
    """Yield each loaded top-level module with its file, or with its directory if it is a package."""
    for name, module in list(sys.modules.items()):
        if "." in name or name == "__main__":
            continue
        paths = list(getattr(module, "__path__", None) or [])
        file = paths[0] if paths else getattr(module, "__file__", None)
        if isinstance(file, str):
            yield name, Path(file).resolve()


def _unload(names: Iterator[str]) -> dict[str, ModuleType]:
    """Remove top-level modules and their submodules from `sys.modules`, and return them."""
    tops = set(names)
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in tops}


def _installed(path: Path) -> bool:
    return any(path.is_relative_to(root) for root in _roots())


@functools.cache
def _roots() -> frozenset[Path]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return frozenset(Path(sysconfig.get_path(name)).resolve() for name in names)


def _place(error: BaseException, code: Path) -> str:
    """Return `file:line` of the deepest frame in the user's directory, else of the deepest one outside this package."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(code):
        return f"{error.filename}:{error.lineno}"
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [frame for frame in frames if Path(frame[0]).is_relative_to(code) and not _installed(Path(frame[0]))]
    outside = [frame for frame in frames if not Path(frame[0]).is_relative_to(_PACKAGE) and frame[0][0] != "<"]
    chosen = (own or outside)[-1:]
    return "".join(f"{file}:{line}" for file, line in chosen)


def _trace(error: BaseException, code: Path) -> str:
    """Return the traceback from the first line in the user's directory on, else from the first outside this package."""
    steps = []
    step = error.__traceback__
    while step is not None:
        steps.append(step)
        step = step.tb_next
    files = [step.tb_frame.f_code.co_filename for step in steps]
    own = [Path(file).is_relative_to(code) and not _installed(Path(file)) for file in files]
    outside = [not Path(file).is_relative_to(_PACKAGE) and file[0] != "<" for file in files]
    first = next((step for chosen in (own, outside) for step, is_it in zip(steps, chosen, strict=True) if is_it), None)
    lines = "".join(traceback.format_exception(type(error), error, first)).rstrip().splitlines()
    left_out = len(lines) - _TRACE
    return "\n".join(lines if left_out <= 0 else [lines[0], f"  [{left_out} lines left out]", *lines[left_out + 1 :]])


def _hint(error: BaseException) -> str | None:
    """Return the hint for an error of `breakpoint()`, which fails without a terminal; None for other errors."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, OSError | EOFError | bdb.BdbQuit) and any(Path(file).name == "bdb.py" for file in files):
        return "`breakpoint()` needs a terminal: run the task alone, `airflow-wall run FILE --task ID`"
    return None


def _describe(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    name = type(error).__name__
    return f"`{name}: {text.strip()}`" if text.strip() else f"`{name}`"


def _no_module(name: str, code: Path, where: str) -> UserCodeError:
    modules = sorted(
        ".".join(path.relative_to(code).with_suffix("").parts).removesuffix(".__init__")
        for path in code.rglob("*.py")
        if all(part.isidentifier() for part in path.relative_to(code).with_suffix("").parts)
    )
    return UserCodeError(
        f"{where}: there is no module `{name}` in `{code}` (it has {listed(modules) or 'no Python files'}), "
        "and no installed package of that name",
        hint=_suggest(name, modules, otherwise=f"create `{code / Path(*name.split('.'))}.py`"),
    )


def _no_name(module: ModuleType, name: str, where: str) -> UserCodeError:
    names = sorted(
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and getattr(value, "__module__", module.__name__) == module.__name__
        and not isinstance(value, ModuleType)
    )
    return UserCodeError(
        f"{where}: `{module.__file__ or module.__name__}` has no `{name}` (it has {listed(names) or 'no names'})",
        hint=_suggest(name, names, otherwise=f"define `{name}` there"),
    )


def _no_function(module: ModuleType, name: str, *, value: Any, where: str) -> UserCodeError:
    if value is not None:
        return UserCodeError(
            f"{where}: `{name}` in `{module.__file__}` must be a function, got `{type(value).__name__}`",
            hint="name a function",
        )
    functions = sorted(
        key
        for key, member in vars(module).items()
        if callable(member) and not key.startswith("_") and getattr(member, "__module__", None) == module.__name__
    )
    return UserCodeError(
        f"{where}: `{module.__file__}` has no function `{name}` (it has {listed(functions) or 'no functions'})",
        hint=_suggest(name, functions, otherwise=f"define `def {name}(...)` there"),
    )


def _suggest(name: str, names: list[str], *, otherwise: str) -> str:
    hint = did_you_mean(name, names)
    return f"{hint} else {otherwise}" if hint else otherwise

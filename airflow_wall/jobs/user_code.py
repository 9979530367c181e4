"""
The user's own Python: find `models.scores:train` in the pipeline's folder, and say where it failed.

One folder is in force at a time. Loading from a second one takes the first off `sys.path` and sets its modules aside,
so that two pipelines may both have a `models/scores.py` or a `utils.py`; they come back with their folder.
"""

from __future__ import annotations

import contextlib
import difflib
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

from airflow_wall.errors import UserCodeError, WallError

_ENTRYPOINT = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<function>[^\W\d]\w*)")
_LISTED = 12
_PACKAGE = Path(__file__).parents[1]

_in_force: Path | None = None
_aside: dict[Path, dict[str, ModuleType]] = {}
"""Folder that was in force to the modules that were loaded from it."""


def load_function(entrypoint: str, *, code: Path, key: str = "entrypoint") -> Callable[..., Any]:
    """
    Return the function that `entrypoint` names, e.g. `models.scores:train`.

    A module that is not in `code` is looked for among the installed packages.

    :param code: The pipeline's folder; it takes the first place of `sys.path` and stays there for later imports.
    :param key: The key of the YAML that holds the entrypoint, for messages.
    :raises UserCodeError: the entrypoint is no `module:function`, one of both is not there, or the module raises.
    """
    module_name, name = check_entrypoint(entrypoint, key=key)
    module = _import(module_name, code=code.resolve(), where=f"`{key}` `{entrypoint}`")
    function = getattr(module, name, None)
    if callable(function):
        return function  # type: ignore[no-any-return]  # callable() narrows to a callable of unknown types
    raise _no_function(module, name, found=function, where=f"`{key}` `{entrypoint}`")


def load_object(reference: str, *, code: Path, key: str) -> Any:
    """
    Return what `reference` names: `module:name`, or the dotted path of a class such as `package.module.Class`.

    A module that is not in `code` is looked for among the installed packages.

    :param code: The pipeline's folder.
    :param key: The key of the YAML that holds the reference, for messages.
    :raises UserCodeError: the reference is neither, one part of it is not there, or the module raises.
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


def put_in_force(code: Path) -> None:
    """Let what is imported from here on, such as in a function that imports when it is called, come from `code`."""
    code = code.resolve()
    if _in_force != code or sys.path[:1] != [str(code)]:
        _put_in_force(code, "", "")


def check_entrypoint(entrypoint: str, *, key: str = "entrypoint") -> tuple[str, str]:
    """
    Return the names of the module and the function. Nothing is imported.

    :raises UserCodeError: the entrypoint is no `module:function`.
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
    Turn what the user's function raises into a UserCodeError that names the user's own file and line.

    Errors of this package pass as they are, and so do KeyboardInterrupt and other signals to stop; `exit()` does not,
    because a task that exits with 0 half way would be green.
    """
    try:
        yield
    except WallError:
        raise
    except (Exception, SystemExit) as error:
        place = _place(error, code.resolve())
        raise UserCodeError(f"`{key}` `{entrypoint}` raised {_said(error)}{place and f' ({place})'}") from error


def _import(name: str, *, code: Path, where: str) -> ModuleType:
    _put_in_force(code, name.partition(".")[0], where)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise _no_module(name, code, where) from None
        place = _place(error, code)
        raise UserCodeError(f"{where}: importing `{name}` raised {_said(error)}{place and f' ({place})'}") from error


def _put_in_force(code: Path, wanted: str, where: str) -> None:
    """Put `code` first on the path and forget modules of other folders that would hide its own."""
    global _in_force
    if _in_force is not None and _in_force != code:
        _aside.setdefault(_in_force, {}).update(_forget(name for name, file in _loaded() if file.parent == _in_force))
        with contextlib.suppress(ValueError):
            sys.path.remove(str(_in_force))
    _in_force = code
    if sys.path[:1] != [str(code)]:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(code))
        sys.path.insert(0, str(code))
    importlib.invalidate_caches()
    own = {path.stem for path in code.glob("*.py")} | {path.name for path in code.glob("*/") if path.is_dir()}
    strangers = {name: file for name, file in _loaded() if name in own and file.parent != code}
    if wanted in own & set(sys.builtin_module_names) or (wanted in strangers and _installed(strangers[wanted])):
        raise UserCodeError(
            f"{where}: `{code / wanted}` has the name of the installed module `{wanted}`, which hides it",
            hint=f"rename `{wanted}` in `{code}`",
        )
    _forget(name for name, file in strangers.items() if not _installed(file))
    sys.modules.update(_aside.pop(code, {}))
    if wanted in own and wanted not in sys.modules:
        _claim_plain_folder(wanted, code)


def _claim_plain_folder(name: str, code: Path) -> None:
    """A folder without `__init__.py` would lose to a package of that name anywhere on the path, so it is made first."""
    folder = code / name
    if folder.is_dir() and not (folder / "__init__.py").exists() and not folder.with_suffix(".py").exists():
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        package.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        package.__spec__.submodule_search_locations = package.__path__
        sys.modules[name] = package


def _loaded() -> Iterator[tuple[str, Path]]:
    """Each loaded top-level module with its file, or its folder where it is a package."""
    for name, module in list(sys.modules.items()):
        if "." in name or name == "__main__":
            continue
        paths = list(getattr(module, "__path__", None) or [])
        file = paths[0] if paths else getattr(module, "__file__", None)
        if isinstance(file, str):
            yield name, Path(file).resolve()


def _forget(names: Iterator[str]) -> dict[str, ModuleType]:
    """Take these top-level modules, and all that is in them, out of `sys.modules`."""
    tops = set(names)
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in tops}


def _installed(path: Path) -> bool:
    return any(path.is_relative_to(root) for root in _roots())


@functools.cache
def _roots() -> frozenset[Path]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return frozenset(Path(sysconfig.get_path(name)).resolve() for name in names)


def _place(error: BaseException, code: Path) -> str:
    """`file:line` of the deepest frame in the user's folder, else of the deepest frame that is not ours or Python's."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(code):
        return f"{error.filename}:{error.lineno}"
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [frame for frame in frames if Path(frame[0]).is_relative_to(code) and not _installed(Path(frame[0]))]
    outside = [frame for frame in frames if not Path(frame[0]).is_relative_to(_PACKAGE) and frame[0][0] != "<"]
    chosen = (own or outside)[-1:]
    return "".join(f"{file}:{line}" for file, line in chosen)


def _said(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    name = type(error).__name__
    return f"`{name}: {text.strip()}`" if text.strip() else f"`{name}`"


def _no_module(name: str, code: Path, where: str) -> UserCodeError:
    there = sorted(
        ".".join(path.relative_to(code).with_suffix("").parts).removesuffix(".__init__")
        for path in code.rglob("*.py")
        if all(part.isidentifier() for part in path.relative_to(code).with_suffix("").parts)
    )
    listed = ", ".join(f"`{module}`" for module in there[:_LISTED]) + (", ..." if len(there) > _LISTED else "")
    return UserCodeError(
        f"{where}: there is no module `{name}` in `{code}` (there: {listed or 'no Python file at all'}), "
        "nor is a package of that name installed",
        hint=_nearest(name, there, otherwise=f"create `{code / Path(*name.split('.'))}.py`"),
    )


def _no_name(module: ModuleType, name: str, where: str) -> UserCodeError:
    names = sorted(
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and getattr(value, "__module__", module.__name__) == module.__name__
        and not isinstance(value, ModuleType)
    )
    listed = ", ".join(f"`{each}`" for each in names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    return UserCodeError(
        f"{where}: `{module.__file__ or module.__name__}` has no `{name}` (it has: {listed or 'nothing'})",
        hint=_nearest(name, names, otherwise=f"define `{name}` there"),
    )


def _no_function(module: ModuleType, name: str, *, found: Any, where: str) -> UserCodeError:
    if found is not None:
        return UserCodeError(
            f"{where}: `{name}` in `{module.__file__}` is of type `{type(found).__name__}`, which cannot be called",
            hint="name a function",
        )
    functions = sorted(
        key
        for key, value in vars(module).items()
        if callable(value) and not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )
    listed = ", ".join(f"`{function}`" for function in functions[:_LISTED])
    return UserCodeError(
        f"{where}: `{module.__file__}` has no function `{name}` (it has: {listed or 'none'})",
        hint=_nearest(name, functions, otherwise=f"define `def {name}(...)` there"),
    )


def _nearest(name: str, known: list[str], *, otherwise: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{near[0]}`? else {otherwise}" if near else otherwise

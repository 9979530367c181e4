"""Whether the user's own Python defines what a pipeline names: read from its syntax, never imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from airflow_wall.errors import UserCodeError
from airflow_wall.loader.faults import Faults
from airflow_wall.loader.files import Folder
from airflow_wall.spec.callables import REFERENCE_PATTERN
from airflow_wall.text.faults import Fault, FaultyText, Loc, Place, suggestion


def check_reference(reference: str, folder: Folder, faults: Faults, loc: Loc) -> None:
    """Note where a module beside the pipeline lacks what `module:name` at `loc` names."""
    module, _, name = reference.partition(":")
    try:
        missing_function(module, name, folder)
    except FaultyText as error:
        faults.include(error)
    except UserCodeError as error:
        faults.add(loc, error.message, error.hint)


def nearest_reference(text: str) -> str | None:
    """What a dotted path, or the path of a file, is as `module:name`; None where it is neither."""
    module, _, name = text.partition(":") if ":" in text else text.rpartition(".")
    made = f"{module.removesuffix('.py').replace('/', '.')}:{name}"
    return made if re.fullmatch(REFERENCE_PATTERN, made) else None


def missing_function(module: str, name: str, folder: Folder) -> None:
    """
    Check that a module beside the pipeline defines a name. A module that is not there may be an installed package.

    :raises UserCodeError: the module's folder is there without the module, or the module without the name.
    :raises FaultyText: the module is not Python; says where.
    """
    parts = module.split(".")
    file = "/".join(parts)
    for relative in (f"{file}.py", f"{file}/__init__.py"):
        text = folder.text(relative)
        if text is not None:
            _look(text, relative, module, name, folder)
            return
    package = ".".join(parts[:-1])
    beside = folder.modules(package.replace(".", "/")) if package else []
    if beside:
        hint = suggestion(module, [f"{package}.{each}" for each in beside], what=f"modules of `{package}`")
        raise UserCodeError(f"names `{module}:{name}`, but there is no `{folder.path / file}.py`", hint=hint)


def _look(text: str, file: str, module: str, name: str, folder: Folder) -> None:
    if re.search(rf"^(async +)?(def|class) +{name}\b", text, re.MULTILINE):
        return  # parsing costs more than most of what a pipeline is made of
    path = folder.path / file
    try:
        tree = ast.parse(text, str(path))  # of a text with an error, Python reads the line in the file that it names
        names = set(_defined(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line, column = getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1
        message = f"not Python: {getattr(error, 'msg', None) or error}"
        hint = f"mend it: a pipeline names `{module}:{name}`"
        raise FaultyText([Fault(path, Place(line, max(1, column)), message, hint, text=text)], text) from None
    if name not in names and "*" not in names and "__getattr__" not in names:
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        hint = suggestion(
            name, [each for each in functions if not each.startswith("_")], what=f"functions of `{module}`"
        )
        raise UserCodeError(f"names `{module}:{name}`, but `{path}` does not define `{name}`", hint=hint)


def _defined(node: ast.AST) -> Iterator[str]:
    """The names that a module has after its import; `*` where it takes all of another."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield each.name
            continue
        if isinstance(each, ast.alias):
            yield (each.asname or each.name).partition(".")[0]
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
        if not isinstance(each, ast.Lambda):
            yield from _defined(each)

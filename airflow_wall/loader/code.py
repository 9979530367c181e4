"""Check that the user's Python defines the names in a pipeline, from its syntax tree and without an import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from airflow_wall.diagnostics.faults import Fault, FaultyText, Loc, SourcePosition
from airflow_wall.diagnostics.patterns import REFERENCE_PATTERN
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.errors import UserCodeError
from airflow_wall.loader.faults import Faults
from airflow_wall.loader.files import Folder, Module

MAX_PARSED = 1 << 16
"""The most characters of a module that is parsed. Each takes about a kibibyte of memory."""

_BLOCK = re.compile(r"(?m)^(?:async +)?(?:def|class) +(\w+)")


def check_reference(reference: str, folder: Folder, faults: Faults, loc: Loc) -> None:
    """Note a fault at `loc` if `reference`, `module:name`, names a missing module or function beside the pipeline."""
    module, _, name = reference.partition(":")
    try:
        check_defined(module, name, folder)
    except FaultyText as error:
        faults.include(error)
    except UserCodeError as error:
        faults.add(loc, error.message, error.hint)


def nearest_reference(text: str) -> str | None:
    """Return a dotted path, or the path of a file, as `module:name`, or None if it is neither."""
    module, _, name = text.partition(":") if ":" in text else text.rpartition(".")
    reference = f"{module.removesuffix('.py').replace('/', '.')}:{name}"
    return reference if re.fullmatch(REFERENCE_PATTERN, reference) else None


def check_defined(module: str, name: str, folder: Folder) -> None:
    """
    Check that a module beside the pipeline defines a name. A module without a file may be an installed package.

    :raises UserCodeError: the module's directory exists without the module, or the module without the name.
    :raises FaultyText: the module is not Python, with the position.
    """
    parts = module.split(".")
    file = "/".join(parts)
    for relative in (f"{file}.py", f"{file}/__init__.py"):
        source = _module(relative, folder)
        if source is not None:
            _check_name(source, relative, module, name, folder)
            return
    package = ".".join(parts[:-1])
    siblings = folder.modules(package.replace(".", "/")) if package else []
    if siblings:
        hint = suggestion(module, [f"{package}.{sibling}" for sibling in siblings], what=f"modules of `{package}`")
        raise UserCodeError(f"names `{module}:{name}`, but there is no `{folder.path / file}.py`", hint=hint)


def _module(file: str, folder: Folder) -> Module | None:
    if file not in folder.modules_read:
        text = folder.text(file)
        source = None if text is None else Module(frozenset(_BLOCK.findall(text)), len(text))
        folder.modules_read[file] = source
    return folder.modules_read[file]


def _check_name(source: Module, file: str, module: str, name: str, folder: Folder) -> None:
    if name in source.blocks:
        return  # saves parsing, which takes longer than most parts of loading a pipeline
    if source.size > MAX_PARSED:
        return  # its import will show whether it has the name
    if source.names is None and source.fault is None:
        _parse(source, file, f"{module}:{name}", folder)
    if source.fault is not None:
        raise source.fault
    assert source.names is not None
    if name not in source.names and "*" not in source.names and "__getattr__" not in source.names:
        hint = suggestion(name, source.functions, what=f"functions of `{module}`")
        message = f"names `{module}:{name}`, but `{folder.path / file}` does not define `{name}`"
        raise UserCodeError(message, hint=hint)


def _parse(source: Module, file: str, reference: str, folder: Folder) -> None:
    path, text = folder.path / file, folder.text(file) or ""
    try:
        tree = ast.parse(text, str(path))  # Python quotes the line of a syntax error from the file of this name
        source.names = frozenset(_defined_names(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line, column = getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1
        message = f"not Python: {getattr(error, 'msg', None) or error}"
        hint = f"correct the syntax: a pipeline names `{reference}`"
        source.fault = FaultyText([Fault(path, SourcePosition(line, max(1, column)), message, hint, text=text)], text)
        return
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    source.functions = tuple(function for function in functions if not function.startswith("_"))


def _defined_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a module has after its import, and `*` for an import of all names of another module."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child.name
            continue
        if isinstance(child, ast.alias):
            yield (child.asname or child.name).partition(".")[0]
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        if not isinstance(child, ast.Lambda):
            yield from _defined_names(child)

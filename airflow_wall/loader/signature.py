"""Check that the user's function takes the arguments that a step gives it, from its syntax tree, without an import."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.loader.code import MAX_PARSED
from airflow_wall.loader.faults import Faults
from airflow_wall.loader.files import Folder, FunctionSignature


def check_call(entrypoint: str, arguments: Mapping[str, Any], folder: Folder, faults: Faults, loc: Loc) -> None:
    """
    Note the inputs and parameters of a step that its function does not take, and arguments that get no value.

    A function that is decorated, is assigned, or is in an installed package is not checked.

    :param arguments: The arguments of the step at `loc`.
    """
    module, _, name = entrypoint.partition(":")
    signature = _signature(module, name, folder)
    if signature is None:
        return
    given: dict[str, Loc] = {}
    for field in ("inputs", "parameters"):
        values = arguments.get(field)
        if values is not None and not isinstance(values, Mapping):
            return  # known only when the task runs, or a fault already
        given.update({str(key): (*loc, field, key) for key in values or {}})
    for key, where in given.items():
        if key not in signature.names and not signature.takes_any:
            hint = suggestion(key, (other for other in signature.names if other not in given), what="further arguments")
            faults.add(where, f"is not an argument of `{entrypoint}`", hint, of_key=True)
    missing = [key for key in signature.required if key not in given]
    if missing and all(key in signature.names or signature.takes_any for key in given):
        message = f"names `{entrypoint}`, whose argument `{missing[0]}` gets no value"
        hint = f"add `{missing[0]}` to `inputs` or `parameters`, or give it a default"
        faults.add((*loc, "entrypoint"), message, hint)


def _signature(module: str, name: str, folder: Folder) -> FunctionSignature | None:
    """Return the arguments of a function of a module beside the pipeline, or None if they are not certain."""
    base = module.replace(".", "/")
    for file in (f"{base}.py", f"{base}/__init__.py"):
        if file not in folder.signatures:
            text = folder.text(file)
            folder.signatures[file] = None if text is None else dict(_signatures(text, str(folder.path / file)))
        signatures = folder.signatures[file]
        if signatures is not None:
            return signatures.get(name)
    return None


def _signatures(text: str, path: str) -> Iterator[tuple[str, FunctionSignature]]:
    """Yield the functions at the top of a module that have one definition, without decorators."""
    if len(text) > MAX_PARSED:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about syntax that a later Python reads differently
            tree = ast.parse(text, path)  # Python reads the line of a syntax error from the file of this name
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # perhaps the syntax of a newer Python, in which the step runs
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    bound = [name for node in tree.body for name in _bound_by(node)]
    for node in functions:
        if not node.decorator_list and bound.count(node.name) == 1:
            yield node.name, _signature_of(node.args)


def _bound_by(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement at the top of a module may bind."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield inner.name
        elif isinstance(inner, ast.alias):
            yield (inner.asname or inner.name).partition(".")[0]


def _signature_of(arguments: ast.arguments) -> FunctionSignature:
    plain = [each.arg for each in arguments.args]
    positional = [each.arg for each in arguments.posonlyargs]
    with_default = [*positional, *plain][len(positional) + len(plain) - len(arguments.defaults) :]
    keyword = [each.arg for each in arguments.kwonlyargs]
    pairs = zip(keyword, arguments.kw_defaults, strict=True)
    required = [name for name in [*positional, *plain] if name not in with_default]
    required += [name for name, default in pairs if default is None]
    return FunctionSignature((*plain, *keyword), tuple(required), arguments.kwarg is not None)

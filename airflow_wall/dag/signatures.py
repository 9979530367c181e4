"""
Check tasks against the classes of their operators: the class exists and takes these arguments.

Classes are imported and their signatures are read; nothing else of them is executed. `airflow-wall validate
--operators` and the build of a DAG both use these checks, so a fault has the same text and position in both.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import airflow
from airflow.sdk import DAG, BaseOperator, TaskGroup
from packaging.version import Version

from airflow_wall.dag.imports import imported
from airflow_wall.diagnostics.faults import Fault, Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import listed, nearest, suggestion
from airflow_wall.errors import UserCodeError
from airflow_wall.language.markers import FileText, Template, XComRef
from airflow_wall.language.operators import REMOVED
from airflow_wall.language.pipeline import Task
from airflow_wall.language.refused import OPERATOR, SINCE
from airflow_wall.operators.base import StepOperator
from airflow_wall.planner.plan import Plan, TaskPlan
from airflow_wall.registry import LazyRegistry, class_name, modules_of

OPERATORS: LazyRegistry[type[StepOperator]] = LazyRegistry(
    {
        name: f"airflow_wall.operators.{name}:{class_name(name)}Operator"
        for name in modules_of("airflow_wall.language.steps")
    },
    "airflow_wall.operators",
)
"""Each operator by the name of its step."""

Operators = Mapping[str, type[BaseOperator]]
"""Value of `uses` to the class of the operator."""

RUN_SINCE = (3, 4)
"""The first Airflow version that passes the arguments of `run` to a task handler."""

_Faults = Iterator[tuple[Loc, str, str | None, bool]]
"""Faults: path below the block, message, hint, and True if the fault is in the key."""

_KEYS = frozenset(info.alias or name for name, info in Task.model_fields.items())
_MARKED = (Template, XComRef, FileText)
_OURS = ("task_id", "dag", "task_group", "default_args")
"""Arguments that the build sets, whichever class declares them."""


@dataclass(frozen=True)
class OperatorSignature:
    """
    The arguments of an operator's class.

    :param own: Arguments that it declares itself, or that a class between it and `BaseOperator` declares.
    :param required: Its own arguments without a default.
    :param common: Arguments of `BaseOperator`, which every task has.
    :param perhaps: Words in the code of a constructor, which may take arguments out of its `**kwargs`.
    :param templated: Fields that are rendered when the task runs.
    :param callables: Its own arguments that must be functions.
    """

    own: tuple[str, ...]
    required: tuple[str, ...]
    common: frozenset[str]
    perhaps: frozenset[str]
    templated: frozenset[str]
    callables: frozenset[str]


def operators_of(plan: Plan) -> tuple[Operators, list[Fault]]:
    """
    Import the operators of a plan and compare their arguments with those of the tasks.

    :return: The class of every operator that could be imported, and every fault of the tasks that use them.
    """
    operators: dict[str, type[BaseOperator]] = {}
    faults = list(_unsupported(plan))
    for task in plan.tasks:
        if task.uses in OPERATORS:  # already checked by the model of the step
            operators[task.uses] = OPERATORS[task.uses]
            continue
        kind = operators.get(task.uses)
        if kind is None:
            try:
                kind = _operator_class(task.uses, plan.code)
            except UserCodeError as error:
                reason = error.message.removeprefix(f"`uses` `{task.uses}`: ")
                faults.append(plan.places.fault((*task.loc, "uses"), f"names `{task.uses}`: {reason}", error.hint))
                continue
        operators[task.uses] = kind
        for loc, message, hint, of_key in _argument_faults(kind, task, plan):
            faults.append(plan.places.fault((*task.loc, *loc), message, hint, of_key=of_key))
    return operators, faults


# --- classes


def _operator_class(uses: str, code: Path) -> type[BaseOperator]:
    kind = imported(uses, code, key="uses")
    if not (isinstance(kind, type) and issubclass(kind, BaseOperator)):
        raise UserCodeError("it is not an operator", hint=_hint_of_object(kind, uses))
    return kind


def _hint_of_object(value: Any, uses: str) -> str:
    """Return the hint for an object that is not an operator, e.g. a module or a decorator."""
    hint = "name a class that is derived from `airflow.sdk.BaseOperator`"
    if inspect.ismodule(value):
        classes = [name for name, item in vars(value).items() if inspect.isclass(item) and item.__module__ == uses]
        operators = [name for name in classes if issubclass(getattr(value, name), BaseOperator)]
        return f"name the class in this module, e.g. `{uses}.{operators[0]}`" if operators else hint
    return REMOVED.get(uses.rpartition(".")[2], hint)


# --- arguments


def _unsupported(plan: Plan) -> Iterator[Fault]:
    """Yield the keys that this Airflow version does not support yet."""
    arguments_by_class: list[tuple[type, Loc, Iterable[str]]] = [
        (DAG, (), plan.arguments),
        (BaseOperator, ("default_args",), plan.default_args),
        *((TaskGroup, group.loc, group.arguments) for group in plan.groups),
        *((BaseOperator, task.loc, task.settings) for task in plan.tasks),
    ]
    for kind, loc, names in arguments_by_class:
        for name in SINCE[kind.__name__].keys() & names:
            if name not in inspect.signature(kind.__init__).parameters:  # type: ignore[misc]  # of the class itself
                message = f"needs Airflow {SINCE[kind.__name__][name]}; this is {airflow.__version__}"
                yield plan.places.fault((*loc, name), message, f"remove `{name}`, or upgrade Airflow", of_key=True)
    for task in plan.tasks:
        if task.run is not None and Version(airflow.__version__).release < RUN_SINCE:
            message = f"needs Airflow {'.'.join(map(str, RUN_SINCE))}; this is {airflow.__version__}"
            hint = "write an operator with `uses` and `with`, or upgrade Airflow"
            yield plan.places.fault((*task.loc, "run"), message, hint, of_key=True)


@functools.lru_cache(maxsize=1024)
def signature_of(kind: type[BaseOperator]) -> OperatorSignature:
    """Return the arguments that the class and its bases declare."""
    own: dict[str, None] = {}
    required: tuple[str, ...] | None = None
    perhaps: set[str] = set()
    callables: set[str] = set()
    common = frozenset(inspect.signature(BaseOperator.__init__).parameters) - {"self", "kwargs"}
    for base in kind.__mro__:
        if base is BaseOperator:
            break
        constructor = vars(base).get("__init__")
        if constructor is None:
            continue
        parameters = [
            parameter
            for parameter in list(inspect.signature(constructor).parameters.values())[1:]
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and parameter.name not in _OURS
        ]
        own.update(dict.fromkeys(parameter.name for parameter in parameters))
        callables.update(parameter.name for parameter in parameters if _is_function(parameter))
        if required is None:
            required = tuple(parameter.name for parameter in parameters if parameter.default is parameter.empty)
        perhaps.update(_words(constructor))
    return OperatorSignature(
        own=tuple(own),
        required=required or (),
        common=common,
        perhaps=frozenset(perhaps),
        templated=frozenset(getattr(kind, "template_fields", ())),
        callables=frozenset(callables),
    )


@dataclass(frozen=True)
class Parameters:
    """
    The arguments of a function, or of a class other than an operator.

    :param names: Arguments that can be given by name.
    :param required: Arguments without a default.
    :param perhaps: Words in the code of constructors, which may take arguments out of their `**kwargs`.
    :param takes_any: True if any argument is accepted.
    """

    names: tuple[str, ...]
    required: tuple[str, ...]
    perhaps: frozenset[str]
    takes_any: bool


def parameters_of(target: Any) -> Parameters | None:
    """Return the arguments that a class or a function takes; None if Python cannot tell, e.g. of a function in C."""
    if not isinstance(target, type):
        functions, drop = [target], 0
    else:
        functions = [vars(base)["__init__"] for base in target.__mro__[:-1] if "__init__" in vars(base)]
        drop = 1
    names: dict[str, None] = {}
    required: tuple[str, ...] | None = None
    perhaps: set[str] = set()
    for function in functions:
        try:
            parameters = list(inspect.signature(function).parameters.values())[drop:]
        except (TypeError, ValueError):
            return None
        if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
            return None
        named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
        names.update(dict.fromkeys(parameter.name for parameter in named))
        if required is None:
            required = tuple(parameter.name for parameter in named if parameter.default is parameter.empty)
        perhaps.update(_words(function))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return Parameters(tuple(names), required, frozenset(perhaps), takes_any=False)
    if not functions:
        return None
    return Parameters(tuple(names), required or (), frozenset(perhaps), takes_any=not isinstance(target, type))


def parameter_faults(target: Any, given: Mapping[str, Any], *, passed: tuple[str, ...] = ()) -> _Faults:
    """
    Yield the faults of the arguments of a class or function: (path below `with`, message, hint, True if of the key).

    :param passed: Arguments that are passed besides.
    """
    parameters = parameters_of(target)
    if parameters is None:
        return
    name = getattr(target, "__name__", str(target))
    known = [other for other in parameters.names if other not in passed]
    unknown = [other for other in given if other not in known and other not in parameters.perhaps]
    unknown = [] if parameters.takes_any else unknown
    for other in unknown:
        yield (other,), f"is not an argument of `{name}`", suggestion(other, known, what=f"arguments of `{name}`"), True
    for other in parameters.required:
        if other not in given and other not in passed and nearest(other, unknown) is None:
            yield (other,), "is missing", f"add `{other}`: `{name}` requires it", True


def _is_function(parameter: inspect.Parameter) -> bool:
    """Return True if an argument is annotated as a function and as no type that YAML has."""
    words = set(re.findall(r"\w+", str(parameter.annotation).partition("[")[0]))
    return "Callable" in words and words.isdisjoint({"str", "dict", "list", "Mapping", "Sequence", "Any"})


def _words(function: Any) -> Iterator[str]:
    """Return the texts in a function's code: `kwargs.pop("name")` takes an argument that is not in the signature."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (text for text in (code.co_consts if code else ()) if isinstance(text, str))


def _argument_faults(kind: type[BaseOperator], task: TaskPlan, plan: Plan) -> _Faults:
    """Yield the faults of `with` and of mapping: (path in the task, message, hint, True if it is about the key)."""
    signature = signature_of(kind)
    blocks = {("with",): task.arguments, **dict(_mapped(task))}
    unknown = [(where, name) for where, block in blocks.items() for name in block if name not in signature.own]
    for where, name in unknown:
        if name in signature.common or name in _KEYS:
            yield (
                (*where, name),
                f"is an argument of every task, not one of `{kind.__name__}`'s own",
                _task_level(name),
                True,
            )
        elif name not in signature.perhaps:
            hint = suggestion(name, signature.own, what=f"arguments of `{kind.__name__}`")
            yield (*where, name), f"is not an argument of `{kind.__name__}`", hint, True
    names_given = {*task.settings, *plan.default_args, *(name for block in blocks.values() for name in block)}
    is_known_later = isinstance(task.mapped.get("expand_kwargs"), XComRef)  # then only the run knows the arguments
    for name in () if is_known_later else signature.required:
        # A misspelt argument is already a fault of its own.
        if name not in names_given and nearest(name, [other for _, other in unknown]) is None:
            yield ("with", name), "is missing", f"add `{name}`: `{kind.__name__}` requires it", True
    if signature.callables:
        yield from _function_faults(signature.callables, blocks)
    for where, name, value in ((where, *pair) for where, block in blocks.items() for pair in block.items()):
        if where == ("expand",) and isinstance(value, XComRef):
            continue  # Airflow maps over it, in any field
        if name in signature.own and name not in signature.templated and is_marked(value, _MARKED):
            rendered = listed(sorted(signature.templated)) or "nothing"
            hint = f"write the value itself; `{kind.__name__}` fills in only {rendered} when the task runs"
            yield (*where, name), "cannot hold a marker", hint, False


def _function_faults(callables: frozenset[str], blocks: Mapping[Loc, Mapping[str, Any]]) -> _Faults:
    """Yield the faults of texts where an operator takes a function."""
    for where, name, value in ((where, *pair) for where, block in blocks.items() for pair in block.items()):
        if name in callables and isinstance(value, str):
            module, _, function = value.replace(":", ".").rpartition(".")
            reference = f"{module}:{function}" if module else "module:function"
            hint = f'write {{$import: "{reference}"}} to mean the function of a Python file beside the pipeline'
            yield (*where, name), f"must be a Python function, got `{brief(value)}`", hint, False


def _mapped(task: TaskPlan) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
    if "expand" in task.mapped:
        yield ("expand",), task.mapped["expand"]
    entries = task.mapped.get("expand_kwargs")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        yield ("expand_kwargs", index), entry


def _task_level(name: str) -> str:
    if name in _KEYS:
        return f"write `{name}` beside `with`, as a key of the task"
    return f"`{name}` has no key: {OPERATOR[name]}" if name in OPERATOR else "remove it"


def is_marked(value: Any, by: tuple[type, ...] = (Template, XComRef)) -> bool:
    """Return True if a value is, or holds, a marker that is resolved when the task runs. `by`: the types of marker."""
    if isinstance(value, str):
        return False
    if isinstance(value, by):
        return True
    if isinstance(value, dict):
        return any(is_marked(item, by) for item in value.values())
    return isinstance(value, list) and any(is_marked(item, by) for item in value)

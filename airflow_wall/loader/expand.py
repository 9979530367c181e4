"""Expand the items of a document: resolve expressions, repeat matrices and check every block."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.diagnostics.patterns import NAME_PATTERN
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.language.document import Item
from airflow_wall.language.markers import Import, Template
from airflow_wall.language.native import TASK_KINDS
from airflow_wall.language.operators import MOVED, REMOVED, WORDS, present_path
from airflow_wall.language.pipeline import Group, Task
from airflow_wall.language.step_registry import STEPS
from airflow_wall.language.steps.base import Step
from airflow_wall.loader.expressions import Resolver, Scope
from airflow_wall.loader.extends import Templates
from airflow_wall.loader.faults import UNRESOLVED, Faults
from airflow_wall.loader.files import Folder
from airflow_wall.loader.mapping import KEYS as MAPPED
from airflow_wall.loader.mapping import Mapper, blocks
from airflow_wall.loader.params import check_params
from airflow_wall.loader.policy import Policy
from airflow_wall.loader.requirements import read_requirements
from airflow_wall.loader.run import check_run
from airflow_wall.loader.values import Values

MAX_TASKS = 1_000

_COUNTED = 1_000_000
_LONGEST_ID = 250
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]+")

Block = TypeVar("Block", Task, Group)

Cell = tuple[str, dict[str, Any]]
"""One repetition of a matrix: the suffix of the id, and the values of `${{ matrix.* }}`."""


class Expander:
    """
    Expands the items of one document.

    :param faults: Collects the faults.
    :param folder: The pipeline's directory, for files that values name.
    :param policy: Checks what the pipeline is allowed to do.
    :param resolver: Resolves the values of the document.
    :param templates: The templates that its tasks may extend.
    """

    def __init__(
        self, faults: Faults, folder: Folder, policy: Policy, resolver: Resolver, templates: Templates
    ) -> None:
        self.faults = faults
        self.folder = folder
        self.policy = policy
        self.resolver = resolver
        self.templates = templates
        self.values = Values(faults, folder)
        self.mapper = Mapper(policy, self.values)
        self.tasks = 0
        self.lost = False
        self.templates_seen: set[str] = set()
        """Files that were checked as templates and have no fault. The tasks of a matrix share a file."""

    def items(self, values: Any, loc: Loc, scope: Scope) -> tuple[Item, ...]:
        """Return the items of the list `values` at `loc`."""
        if values is None and loc == ("tasks",):
            return ()  # the check of the head notes this fault
        if not isinstance(values, list) or not values:
            self.faults.add(loc, f"must be a list of tasks, got `{brief(values)}`", "write `- id: NAME` for each task")
            return ()
        return tuple([item for index, value in enumerate(values) for item in self._item(value, (*loc, index), scope)])

    def _item(self, value: Any, loc: Loc, scope: Scope) -> Iterator[Item]:
        if not isinstance(value, dict):
            self.lost = True
            self.faults.add(
                loc, f"must be a task or a group, got `{brief(value)}`", "write `- id: NAME` and its keys below"
            )
            return
        if "extends" in value and "tasks" not in value:
            value = self.templates.extended(value, loc)
            if value.pop("tasks", None) is not None:
                self.faults.add((*loc, "tasks"), "cannot come from a template", "write the group out", of_key=True)
        name = self.resolver.plain(value.get("id"), (*loc, "id"), scope)
        cells = self._cells(value, loc, scope)
        self.lost |= not cells
        for suffix, cell in cells:
            self.tasks += 1
            if self.tasks > MAX_TASKS:
                if self.tasks == MAX_TASKS + 1:
                    self.faults.add(
                        loc, f"brings the pipeline above {MAX_TASKS:,} tasks", "split it into several pipelines"
                    )
                return
            # The tasks are counted one by one, and the matrix is read once.
            self.resolver.spend_block(value, loc, besides=("tasks", "matrix"))
            inner = scope.within(cell, (*loc, "matrix")) if cell else scope
            repeated = {**value, "id": f"{name}_{suffix}"} if suffix and isinstance(name, str) else value
            item = (
                self._group(repeated, loc, inner, name) if "tasks" in value else self._task(repeated, loc, inner, name)
            )
            if item is not None:
                yield item
            else:
                self.lost = True

    # --- matrix

    def _cells(self, value: dict[str, Any], loc: Loc, scope: Scope) -> list[Cell]:
        if "matrix" not in value:
            return [("", {})]
        loc = (*loc, "matrix")
        matrix = self.resolver.plain(value["matrix"], loc, scope)
        if matrix is UNRESOLVED:
            return []
        if not isinstance(matrix, dict) or not matrix:
            self.faults.add(
                loc,
                f"must give names and their values, got `{brief(matrix)}`",
                "write e.g. `matrix: {domain: [a, b]}`",
            )
            return []
        for name, values in matrix.items():
            if values is UNRESOLVED:
                return []
            if not isinstance(values, list) or not values or not all(isinstance(item, str | int) for item in values):
                hint = f'write e.g. `{name}: [a, b]`, and decimal numbers in quotes: `"3.10"`'
                if isinstance(values, str) and values.startswith("vars."):
                    hint = f"write `{name}: ${{{{ {values} }}}}` to mean the value of that name"
                self.faults.add((*loc, name), f"must be a list of texts or whole numbers, got `{brief(values)}`", hint)
                return []
        count = math.prod(len(values) for values in matrix.values())
        if count > MAX_TASKS:
            number = f"{count:,}" if count < _COUNTED else f"more than {_COUNTED:,}"
            self.faults.add(
                loc, f"makes {number} repetitions; at most {MAX_TASKS:,} tasks are allowed", "shorten the lists"
            )
            return []
        cells = [dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values())]
        named = [("_".join(_in_id(value) for value in cell.values()), cell) for cell in cells]
        counted = Counter(suffix for suffix, _ in named)
        twice = next((suffix for suffix, times in counted.items() if times > 1), None)
        if twice is not None:
            self.faults.add(
                loc,
                f"makes two repetitions whose ids end in `{brief(twice)}`",
                "use values that differ in letters or digits",
            )
            return []
        return named

    # --- blocks

    def _group(self, value: dict[str, Any], loc: Loc, scope: Scope, name: Any) -> Item | None:
        written = self.resolver.block(value, loc, scope, besides=("tasks", "matrix"))
        items = self.items(value["tasks"], (*loc, "tasks"), scope)
        block = self.policy.parsed(Group, {**written, "tasks": [_PLACEHOLDER]}, loc) or _partial_block(Group, written)
        if block is None:
            return None
        return Item(block.id, name if "matrix" in value else None, block, None, {}, loc, items)

    def _task(self, value: dict[str, Any], loc: Loc, scope: Scope, name: Any) -> Item | None:
        written = self.resolver.block(value, loc, scope, besides=("with", "run", "matrix", *MAPPED))
        run = self._run(value, loc, scope)
        with_ = self.resolver.arguments(value.get("with", {}), (*loc, "with"), scope)
        mapped = {
            key: self.resolver.arguments(value[key], (*loc, key), scope) for key in MAPPED if value.get(key) is not None
        }
        block = self.policy.parsed(Task, {**written, **mapped, "with": with_}, loc) or _partial_block(Task, written)
        uses = written.get("uses")
        if not isinstance(uses, str) or not isinstance(with_, dict):
            step, arguments = None, with_ if isinstance(with_, dict) else {}
        elif "." in uses:
            step, arguments = None, with_
            if uses.startswith(MOVED):
                self._warn_of_move(uses, loc)
            for where, entries in (((*loc, "with"), with_), *blocks(mapped, loc)):
                self.policy.airflow_arguments(entries, TASK_KINDS, where)
        else:
            step, arguments = self._step(uses, with_, loc, value.get("with", {}), mapped)
        if block is not None and block.params:
            check_params(block.params, scheduled=False, faults=self.faults, loc=(*loc, "params"))
        if isinstance(with_, dict):
            self.mapper.check(mapped, with_, written, loc)
        if isinstance(written.get("map_index_template"), str):
            self.resolver.check_template(written["map_index_template"], (*loc, "map_index_template"))
        if block is None:
            return None
        if not isinstance(mapped.get("expand", {}), dict):
            del mapped["expand"]  # a fault already
        return Item(block.id, name if "matrix" in value else None, block, step, arguments, loc, run=run, mapped=mapped)

    def _warn_of_move(self, uses: str, loc: Loc) -> None:
        """Warn of a path of Airflow 2, which Airflow 3 deprecates or no longer has."""
        path = present_path(uses)
        if path is not None:
            self.faults.warn((*loc, "uses"), f"names `{uses}`, which Airflow 3 has moved", f"write `{path}`")

    def _run(self, value: dict[str, Any], loc: Loc, scope: Scope) -> dict[str, Any] | None:
        if value.get("run") is None:
            return None
        run = self.resolver.arguments(value["run"], (*loc, "run"), scope)
        if not isinstance(run, dict):
            self.faults.add((*loc, "run"), f"must be a mapping, got `{brief(run)}`", "write a name for each argument")
            return None
        check_run(run, value, loc, self.faults)
        return run

    def _step(
        self, uses: str, arguments: dict[str, Any], loc: Loc, written: Any, mapped: dict[str, Any]
    ) -> tuple[Step | None, dict[str, Any]]:
        model = STEPS.get(uses)
        if model is None:
            self.faults.add((*loc, "uses"), f"names `{uses}`, which is not a step", _hint_of_step(uses))
            return None, {}
        if self.resolver.has_imports:  # few files have any
            arguments = self._without_objects(arguments, (*loc, "with"))
        arguments = read_requirements(arguments, (*loc, "with"), self.folder, self.faults)
        files, extra = self._files(model, arguments, loc, written)
        self.values.check(arguments, (*loc, "with"), is_mapped=bool(mapped))
        if "contract" in arguments:
            file = extra.pop("contract_file", None)
            files["contract"] = self.values.contract(
                {**arguments, **files}["contract"], file, (*loc, "with", "contract")
            )
        if "checks" in arguments:
            where = (*loc, "with", "checks")
            for check in self.values.checks({**arguments, **files}["checks"], extra.get("checks_file"), where):
                self.policy.check(check, where)
        if mapped:
            self.policy.refuse_xcom(mapped.get("expand_kwargs"), (*loc, "expand_kwargs"))
            for where, entries in blocks(mapped, loc):
                if self.resolver.has_imports:
                    entries.update(self._without_objects(entries, where))
            return self.mapper.step(uses, model, {**arguments, **files}, mapped, loc), extra
        return self.policy.parsed(model, {**arguments, **files}, (*loc, "with")), extra

    def _without_objects(self, value: Any, loc: Loc) -> Any:
        """Return the value with a fault for each `$import`: steps take text, not Python objects."""
        if isinstance(value, dict):
            return {key: self._without_objects(item, (*loc, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._without_objects(item, (*loc, index)) for index, item in enumerate(value)]
        if isinstance(value, Import):
            hint = "name a function of yours by `entrypoint`, where the step has it"
            self.faults.add(loc, "cannot be a Python object", hint)
            return UNRESOLVED
        return value

    def _files(
        self, model: type[Step], arguments: dict[str, Any], loc: Loc, written: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the texts of the files that arguments name, and the names of these files."""
        texts: dict[str, Any] = {}
        names: dict[str, Any] = {}
        for field, suffixes in model.reads_file.items():
            value = arguments.get(field)
            if isinstance(value, str) and value.endswith(suffixes) and "\n" not in value:
                text = self.folder.read(value, (*loc, "with", field), self.faults)
                if ".sql" in suffixes and value not in self.templates_seen:
                    noted = len(self.faults.collected)
                    self.resolver.check_template(text, (*loc, "with", field), file=value)
                    if len(self.faults.collected) == noted:
                        self.templates_seen.add(value)
                texts[field] = Template(text or " ") if ".sql" in suffixes else text or " "
                names[f"{field}_file"] = value
            elif isinstance(written, dict) and isinstance(named := written.get(field), dict) and "$f" in named:
                names[f"{field}_file"] = named["$f"]
        return texts, names


# Stands for the items of a group, which are checked on their own, each at its own position.
_PLACEHOLDER = Task(id="x")


def _partial_block(kind: type[Block], written: dict[str, Any]) -> Block | None:
    """Return an item with faults reduced to its id and `needs`, to check the graph with, or None without a valid id."""
    name, needs = written.get("id"), written.get("needs") or []
    if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
        return None
    listed = [needs] if isinstance(needs, str) else needs
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        return None
    uses = written.get("uses")
    fields: dict[str, Any] = {"uses": uses if isinstance(uses, str) else None} if kind is Task else {"tasks": []}
    return kind.model_construct(id=name, needs=listed, **fields)


def _in_id(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _NOT_IN_ID.sub("_", text[:_LONGEST_ID]).strip("_") or "x"


def _hint_of_step(uses: str) -> str:
    """Return the hint for a bare name that is not a step: the nearest step, or the operator that it means."""
    path = WORDS.get(uses.lower()) or present_path(uses)
    if path is not None:
        return f"did you mean `{path}`?"
    if uses in REMOVED:
        return REMOVED[uses]
    if uses[:1].isupper():  # the class of an operator
        return f"write the dotted path of the class: `package.module.{uses}`"
    return f"{suggestion(uses, STEPS, what='steps')} Any other operator is named by its dotted path"

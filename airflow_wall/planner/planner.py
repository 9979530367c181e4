"""
Turn a Spec into a Plan: the tasks of a pipeline, their arguments and their order.

Planning is pure: it imports no Airflow and reads no files. Two plans of the same text are equal.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from airflow_wall.diagnostics.faults import MAX_FAULTS, Fault, FaultyText, Loc
from airflow_wall.diagnostics.suggestions import as_list, listed, nearest, suggestion
from airflow_wall.lake.lake import Lake, address_of
from airflow_wall.language.base import SpecModel
from airflow_wall.language.document import Item, Spec
from airflow_wall.language.environment import KEYS, VERSION, effective_environment
from airflow_wall.language.markers import XComRef
from airflow_wall.language.operators import maps_keywords
from airflow_wall.language.pipeline import TASK_ARGUMENTS, Group, Task
from airflow_wall.language.step_registry import STEPS, is_paired
from airflow_wall.language.steps.base import OnCluster, Step, TableInput
from airflow_wall.loader.discover import PipelineId, duplicate_ids
from airflow_wall.planner.data_order import missing_needs
from airflow_wall.planner.native import plan_native
from airflow_wall.planner.order import ordered
from airflow_wall.planner.plan import DAG_ARGUMENTS, EMPTY, GroupPlan, Plan, TaskPlan
from airflow_wall.planner.setup_teardown import pair_faults, setup_faults
from airflow_wall.planner.table_writers import conflicts_of_tasks
from airflow_wall.planner.task_tree import Node, find, tree
from airflow_wall.publish.targets.base import Target
from airflow_wall.settings import DEFAULT_STORAGE, Settings
from airflow_wall.sources.kinds.base import Source

_LONGEST_ID = 250
"""Maximum length of a task id in Airflow's database, in characters."""

_ID = re.compile(r"""(?m)^[ \t]*- (?:\{[ \t]*)?id:[ \t]*["']?([\w.-]+)["']?[ \t]*(?:[,}#\r]|$)""")

_USE_EXECUTION_TIMEOUT = "remove `dagrun_timeout`, and limit the tasks by `execution_timeout`"


def plan(spec: Spec, settings: Settings) -> Plan:
    """
    Plan one pipeline.

    :raises FaultyText: with every fault: those of its text, names of missing tasks, duplicate ids, cycles, and setups
        and teardowns that do not match.
    """
    if spec.native is not None:
        return plan_native(spec, spec.native, settings)
    if spec.lost:
        raise FaultyText(spec.faults, spec.document.text)
    planner = _Planner(spec, settings)
    try:
        return planner.plan()
    finally:
        planner.root.take_apart()


def plan_all(specs: Iterable[Spec], settings: Settings) -> list[Plan]:
    """
    Plan every pipeline of a file.

    :raises FaultyText: with the faults of all pipelines.
    """
    specs = list(specs)
    plans: list[Plan] = []
    faults: list[Fault] = []
    for spec in specs:
        try:
            plans.append(plan(spec, settings))
        except FaultyText as error:
            faults += error.faults
            if len(faults) > MAX_FAULTS:
                break
    faults += [fault for error in duplicate_ids(map(PipelineId.of, specs)).values() for fault in error.faults]
    if faults:
        raise FaultyText(faults, specs[0].document.text)
    return plans


class _Planner:
    def __init__(self, spec: Spec, settings: Settings) -> None:
        self.spec = spec
        self.settings = settings
        self.faults = list(spec.faults)
        self.root, clashes = tree(spec.items)
        self.ends: dict[str, list[str]] = {}
        self.members: dict[str, frozenset[str]] = {}
        self.without_refs: set[int] = set()
        self.unresolved: set[Node] = set()  # items that name a missing task: their upstream tasks are unknown
        for first, second in clashes:
            line = spec.document.place(_item(first).loc).line
            self._fault(second, ("id",), f"is `{second.path}`, which is taken on line {line}", "give it another id")

    def plan(self) -> Plan:
        tasks = {node.path: self._task(node) for node in self.root.tasks()}
        order = self._order(tasks)
        if order:
            tasks = {task_id: tasks[task_id] for task_id in order}
            unresolved = {task.path for node in self.unresolved for task in node.tasks()}
            self.faults += pair_faults(tasks, self.spec.places, complete=not self.faults, unresolved=unresolved)
            self.faults += setup_faults(tasks, self.spec.places, self._default_rule())
            self.faults += conflicts_of_tasks(tasks, self.spec.places)
        self._check_run_timeout(tasks)
        self._check_dates()
        if self.faults:
            raise FaultyText(self.faults, self.spec.document.text)
        nodes = {node.path: node for node in self.root.tasks()}
        missing = missing_needs(tasks, nodes, self.spec.places, self._ends)
        head = self.spec.head
        path = self.spec.path
        project = self.settings.project_of(path)
        arguments = {name: getattr(head, name) for name in DAG_ARGUMENTS if name in head.model_fields_set}
        arguments = {name: value for name, value in arguments.items() if value is not None}
        if any(STEPS[task.uses].one_run_at_a_time for task in tasks.values() if task.uses in STEPS):
            arguments.setdefault("max_active_runs", 1)
        return Plan(
            dag_id=head.dag_id,
            path=path,
            place=self.spec.document.place(("dag_id",)),
            arguments=arguments,
            default_args=head.default_args.explicit_arguments() if head.default_args else {},
            timezone=head.timezone,
            groups=tuple(self._groups(self.root)),
            tasks=tuple(tasks.values()),
            storage=Lake(address_of(head.storage or DEFAULT_STORAGE, project)),
            project=project,
            code=path.absolute().parent,
            environment=self.spec.environment,
            text=self.spec.document.text,
            places=self.spec.places,
            warnings=self.spec.warnings,
            missing_needs=tuple(missing),
            on_success=tuple(head.on_success_callback or ()),
            on_failure=tuple(head.on_failure_callback or ()),
            notify=head.notify,
            deadline=tuple(head.deadline or ()),
            origins=self.spec.origins,
            allowed_connections=self.settings.connections_in_force,
        )

    def _default_rule(self) -> str:
        defaults = self.spec.head.default_args
        return defaults.trigger_rule if defaults is not None and defaults.trigger_rule is not None else "all_success"

    # --- tasks and groups

    def _groups(self, node: Node) -> Iterable[GroupPlan]:
        for item_id, children in node.children.items():
            for child in children:
                if not child.is_group:
                    continue
                item = _item(child)
                if isinstance(item.block, Group) and item.id == item_id:
                    yield GroupPlan(child.path, node.path or None, item.block.explicit_arguments(), item.loc)
                    yield from self._groups(child)

    def _task(self, node: Node) -> TaskPlan:
        item = _item(node)
        block = item.block
        assert isinstance(block, Task)
        if len(node.path) > _LONGEST_ID:
            message = f"makes an id of {len(node.path)} characters with the groups it is in; at most {_LONGEST_ID}"
            self._fault(node, ("id",), message, "shorten it or theirs, or give a group `prefix_group_id: false`")
        links: set[str] = set()
        arguments = {**(_arguments_of_step(item.step) if item.step else {}), **item.arguments}
        if isinstance(item.step, OnCluster):
            arguments = self._with_environment(node, arguments)
        arguments = {
            name: value if isinstance(value, str) else self._resolve_refs(value, node, ("with", name), links)
            for name, value in arguments.items()
        }
        closes = self._resolve_task_fields(node, arguments)
        run = None if item.run is None else self._resolve_refs(dict(item.run), node, ("run",), links)
        mapped = {name: self._resolve_refs(value, node, (name,), links) for name, value in item.mapped.items()}
        of_each = {*mapped.get("expand", ())} - ({"op_kwargs"} if maps_keywords(block.uses, mapped) else set())
        arguments = {name: value for name, value in arguments.items() if name not in of_each}
        teardown = self._teardown(node, block)
        links.update(teardown or ())
        own = {name: value for name in TASK_ARGUMENTS if (value := getattr(block, name)) is not None}
        settings = {**self._inherited(node), **block.explicit_arguments(), **own}
        return TaskPlan(
            task_id=node.path,
            uses=block.uses or EMPTY,
            arguments=arguments,
            settings=settings,
            upstream=tuple(sorted(self._upstream(node, links))),
            group=node.parent.path if node.parent and node.parent.path else None,
            closes=closes,
            place=self.spec.places.place(item.loc),
            loc=item.loc,
            run=run,
            mapped=mapped,
            setup=bool(block.setup),
            teardown=teardown,
            on_failure_fail_dagrun=bool(block.on_failure_fail_dagrun),
        )

    def _with_environment(self, node: Node, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a step that computes, with the environment that it runs in."""
        own = {key: arguments[key] for key in KEYS if key in arguments}
        environment = effective_environment(
            own, {key: value for key in KEYS if (value := getattr(self.spec.head, key))}
        )
        if VERSION.fullmatch(environment.get("python", "")) and "requirements" not in environment:
            hint = "add `requirements`, or name the path of an interpreter"
            self._fault(
                node,
                ("with", "python"),
                "is a Python version, which is used only to build a venv for `requirements`",
                hint,
            )
        return {**{key: value for key, value in arguments.items() if key not in KEYS}, **environment}

    def _teardown(self, node: Node, block: Task) -> tuple[str, ...] | None:
        """Return the full ids of the setup tasks that a teardown names; None for any other task."""
        if is_paired(_uses(node) or ""):
            for key in ("setup", "teardown", "on_failure_fail_dagrun"):
                if getattr(block, key) is not None:
                    message = f"is decided by `{block.uses}`, which is one of a pair"
                    self._fault(node, (key,), message, f"remove `{key}`", of_key=True)
            return None
        if block.teardown is None:
            if block.on_failure_fail_dagrun is not None:
                hint = "add `teardown`, or remove it"
                self._fault(node, ("on_failure_fail_dagrun",), "is only for a task with `teardown`", hint, of_key=True)
            return None
        if block.setup:
            self._fault(node, ("setup",), "cannot stand beside `teardown`", "split it into two tasks", of_key=True)
        if block.trigger_rule is not None:
            message = "is decided by `teardown`: it runs when its setups succeeded and all upstream tasks are done"
            self._fault(node, ("trigger_rule",), message, "remove `trigger_rule`", of_key=True)
        setups = [
            (index, other)
            for index, name in enumerate(block.teardown)
            for other in self._find(node, name, ("teardown", index))
        ]
        for index, other in setups:
            if other.is_group or other is node:
                message = f"names `{block.teardown[index]}`, which is {'a group' if other.is_group else 'itself'}"
                self._fault(node, ("teardown", index), message, "name the setup tasks it cleans up after")
        return tuple(other.path for _, other in setups if not other.is_group and other is not node)

    def _inherited(self, node: Node) -> dict[str, Any]:
        """Return the `default_args` of the groups around a task; those of inner groups take precedence."""
        inherited: dict[str, Any] = {}
        group = node.parent
        while group is not None and group.item is not None:
            block = group.item.block
            if isinstance(block, Group) and block.default_args is not None:
                inherited = {**block.default_args.explicit_arguments(), **inherited}
            group = group.parent
        return inherited

    def _resolve_task_fields(self, node: Node, arguments: dict[str, Any]) -> str | None:
        """Replace task names in arguments by full ids. Return the full id of the task that this one closes, if any."""
        step = _item(node).step
        if step is None:
            return None
        closes = None
        for name, opener in step.task_fields.items():
            if arguments.get(name) is not None:
                target = self._find_opener(node, name, opener, str(arguments[name]))
            elif name == step.closes:
                target = self._only_opener(node, name, opener)
            else:
                continue
            if target is not None:
                arguments[name] = target.path
                closes = target.path if name == step.closes else closes
        return closes

    def _find_opener(self, node: Node, name: str, opener: str, task_name: str) -> Node | None:
        target = self._find_task(node, task_name, ("with", name))
        if target is not None and _uses(target) != opener:
            message = f"names `{task_name}`, which is not a `{opener}` task"
            self._fault(node, ("with", name), message, f"name a task with `uses: {opener}`")
            return None
        return target

    def _only_opener(self, node: Node, name: str, opener: str) -> Node | None:
        """Return the only task that `node` can close, from the nearest group; None, with a fault, if none fits."""
        group = node.parent
        while group is not None:
            openers = [other for other in group.tasks() if _uses(other) == opener]
            if len(openers) == 1:
                return openers[0]
            if openers:
                choices = listed(other.path for other in openers)
                message = f"does not say which `{opener}` it closes; there are {choices}"
                self._fault(node, (), message, f"write `with: {{{name}: {openers[0].path}}}`")
                return None
            group = group.parent
        uses = _uses(node)
        hint = f"add a task that uses `{opener}`, or remove `{uses}`"
        self._fault(node, (), f"has nothing to close: no task uses `{opener}`", hint)
        return None

    # --- edges

    def _upstream(self, node: Node, links: set[str]) -> set[str]:
        """Return the upstream tasks of a task, from its own `needs` and `$x`, and from the `needs` of its groups."""
        upstream = links.union(self._needed_tasks(node))
        group = node.parent
        while group is not None and group.item is not None:
            # A group's `needs` apply only to tasks without upstream tasks inside the group.
            if not self._members(group).isdisjoint(upstream):
                break
            upstream.update(self._needed_tasks(group))
            group = group.parent
        return upstream

    def _members(self, node: Node) -> frozenset[str]:
        """Return the full ids of the tasks of a group."""
        if node.path not in self.members:
            self.members[node.path] = frozenset(task.path for task in node.tasks())
        return self.members[node.path]

    def _needed_tasks(self, node: Node) -> Iterable[str]:
        for name, index in _needs(node).items():
            for other in self._find(node, name, ("needs", index)):
                if node.is_in(other):
                    message = f"names `{name}`, which is the item itself or a group it is in"
                    self._fault(node, ("needs", index), message, "remove it")
                elif other.path.startswith(f"{node.path}."):
                    message = f"names `{name}`, which is in the group itself"
                    self._fault(node, ("needs", index), message, "remove it, or write it at the tasks that wait for it")
                else:
                    yield from self._ends(other)

    def _ends(self, node: Node) -> list[str]:
        """Return the last tasks of a group, which no other task in it waits for; for a task, the task itself."""
        if not node.is_group:
            return [node.path]
        if node.path not in self.ends:
            # As in Airflow, a task that needs a group does not wait for the teardowns in it.
            inside = list(node.inside())
            working = [inner for inner in inside if not _is_teardown(inner)]
            if all(inner.is_group for inner in working):
                working = inside
            waited_for = {path for inner in working for path in _needed(inner)}
            self.ends[node.path] = [
                inner.path for inner in working if not inner.is_group and inner.path not in waited_for
            ]
        return self.ends[node.path]

    def _resolve_refs(self, value: Any, node: Node, loc: Loc, links: set[str]) -> Any:
        """Return the value with every `$x` resolved to a full id, and add these upstream ids to `links`."""
        if isinstance(value, XComRef):
            target = self._find_task(node, value.task, loc)
            if target is None:
                return value
            if target is node:
                self._fault(node, loc, f"names `{value.task}`, which is the task itself", "name a task before it")
                return value
            links.add(target.path)
            return replace(value, task=target.path)
        if not isinstance(value, dict | list) or id(value) in self.without_refs:
            return value
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        linked = {key: self._resolve_refs(item, node, (*loc, key), links) for key, item in pairs}
        if all(linked[key] is item for key, item in (value.items() if isinstance(value, dict) else enumerate(value))):
            self.without_refs.add(id(value))  # repetitions of a matrix share their values: scan each one only once
            return value
        return linked if isinstance(value, dict) else list(linked.values())

    def _find(self, node: Node, name: str, loc: Loc) -> list[Node]:
        scope = node.parent or self.root
        matches = find(name, scope)
        if matches == [node] and scope.parent is not None:  # `needs` may name a task outside the group by the same id
            matches = find(name, scope.parent) or matches
        if not matches:
            self.unresolved.add(node)
            self._fault(node, loc, f"names `{name}`, but there is no such task", self._hint_for_name(node, name, scope))
        return matches

    def _hint_for_name(self, node: Node, name: str, scope: Node) -> str:
        """Return the hint for a name that is not found in `scope`."""
        names = [task_name for task_name in scope.names() if task_name != _item(node).id]
        if yaml_list := as_list(name, names):
            return f"write a list: `{yaml_list}`"
        outer, _, last = name.rpartition(".")
        group = find(outer, scope) if outer else []
        if group and group[0].is_group:
            return suggestion(name, [f"{outer}.{child}" for child in group[0].children], what=f"tasks in `{outer}`")
        elsewhere = [other.path for other in self.root.inside() if other.path.rpartition(".")[2] == last]
        in_document = name not in names and _other_document_has(name, self.spec.document.text)
        if (elsewhere or in_document) and nearest(name, names) is None:
            if elsewhere:
                return f"it is in a group: write `{elsewhere[0]}`"
            return "it is a task of another document, which `needs` cannot name; schedule this pipeline by an asset"
        return suggestion(name, names, what="tasks here")

    def _find_task(self, node: Node, name: str, loc: Loc) -> Node | None:
        matches = self._find(node, name, loc)
        if len(matches) > 1:
            first = matches[0].path
            self._fault(
                node,
                loc,
                f"names `{name}`, which is repeated by a matrix",
                f"name one of its repetitions, e.g. `{first}`",
            )
            return None
        if matches and matches[0].is_group:
            self._fault(node, loc, f"names `{name}`, which is a group", "name a task in it")
            return None
        return matches[0] if matches else None

    # --- the graph as a whole

    def _check_run_timeout(self, tasks: Mapping[str, TaskPlan]) -> None:
        """Reject tasks that `dagrun_timeout` cannot end, if the run has clean-up tasks that must follow it."""
        if getattr(self.spec.head, "dagrun_timeout", None) is None or not any(
            task.cleans_up for task in tasks.values()
        ):
            return
        for task in tasks.values():
            if task.run is not None:
                message = "runs outside Airflow, where `dagrun_timeout` does not end it before the clean-up"
                self.faults.append(self.spec.places.fault((*task.loc, "run"), message, _USE_EXECUTION_TIMEOUT))
            elif task.uses not in STEPS and task.arguments.get("deferrable") is True:
                message = "waits in the triggerer, which does not end it when `dagrun_timeout` has passed"
                hint = f"write `deferrable: false`; or {_USE_EXECUTION_TIMEOUT}"
                self.faults.append(self.spec.places.fault((*task.loc, "with", "deferrable"), message, hint))

    def _check_dates(self) -> None:
        head = self.spec.head
        if head.start_date is None or head.end_date is None:
            return
        zone = ZoneInfo(head.timezone)
        start, end = (date if date.tzinfo else date.replace(tzinfo=zone) for date in (head.start_date, head.end_date))
        if end < start:
            message = f"is before `start_date`, {start.isoformat()}: Airflow would never run it"
            self.faults.append(self.spec.places.fault(("end_date",), message, "remove it, or write a later one"))

    def _order(self, tasks: Mapping[str, TaskPlan]) -> list[str]:
        places = {task.task_id: task.place for task in tasks.values()}
        order = ordered({task.task_id: task.upstream for task in tasks.values()}, places, self.spec.path)
        if isinstance(order, Fault):
            self.faults.append(order)
            return []
        return order

    # --- faults

    def _fault(self, node: Node, loc: Loc, message: str, hint: str | None, *, of_key: bool = False) -> None:
        self.faults.append(self.spec.places.fault((*_item(node).loc, *loc), message, hint, of_key=of_key))
        if len(self.faults) > MAX_FAULTS:
            raise FaultyText(self.faults, self.spec.document.text)


def _is_teardown(node: Node) -> bool:
    block = _item(node).block
    return isinstance(block, Task) and block.teardown is not None


def _other_document_has(task: str, text: str) -> bool:
    """Return True if any document of the file has a task of that name."""
    return task in text and task in _ids_in(text)


@functools.lru_cache(maxsize=1)
def _ids_in(text: str) -> frozenset[str]:
    """Return the task ids in a text: the values of lines that begin with `- id:`."""
    return frozenset(_ID.findall(text))


def _uses(node: Node) -> str | None:
    block = _item(node).block
    return block.uses if isinstance(block, Task) else None


def _needs(node: Node) -> dict[str, int]:
    """Return the names in an item's `needs`, each with its first index in the list."""
    needs: dict[str, int] = {}
    for index, name in enumerate(_item(node).block.needs):
        needs.setdefault(name, index)
    return needs


def _needed(node: Node) -> Iterable[str]:
    """Yield the full ids of the tasks in an item's `needs`; for a group, those of all its tasks."""
    assert node.parent is not None
    for name in _needs(node):
        for other in find(name, node.parent):
            yield from (task.path for task in other.tasks())


def _arguments_of_step(step: Step) -> dict[str, Any]:
    """Return the arguments of a step, with nested blocks as plain values that include their defaults."""
    return {name: _plain(value) for name, value in vars(step).items() if name in step.model_fields_set}


def _plain(value: Any) -> Any:
    if isinstance(value, TableInput):
        return {"table": value.table, "external": True} if value.external else value.table
    if isinstance(value, dict) and any(isinstance(item, TableInput) for item in value.values()):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, SpecModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.text if isinstance(value, Target | Source) else value


def _item(node: Node) -> Item:
    assert node.item is not None, "the pipeline itself has no item"
    return node.item

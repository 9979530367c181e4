"""
Spec to Plan: which tasks there are, what each is given, and which comes before which.

Pure: nothing of Airflow, no files. Two plans of the same text are equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from airflow_wall.compiler.names import Node, find, tree
from airflow_wall.compiler.native import plan_native
from airflow_wall.compiler.order import ordered
from airflow_wall.compiler.pairs import pair_faults, setup_faults
from airflow_wall.compiler.plan import DAG_ARGUMENTS, EMPTY, GroupPlan, Plan, TaskPlan
from airflow_wall.loader.ids import Bearer, shared_ids
from airflow_wall.settings import Settings
from airflow_wall.spec.base import SpecModel
from airflow_wall.spec.document import Item, Spec
from airflow_wall.spec.environment import KEYS, VERSION, in_force
from airflow_wall.spec.markers import XComRef
from airflow_wall.spec.pipeline import TASK_ARGUMENTS, Group, Task
from airflow_wall.spec.steps.base import OnCluster, Step
from airflow_wall.spec.steps.table import CLOSERS, STEPS
from airflow_wall.text.faults import MAX_FAULTS, Fault, FaultyText, Loc, as_list, nearest, suggestion

_PAIRED = {*CLOSERS, *CLOSERS.values()}
"""Steps that are setup or teardown by themselves."""

_LONGEST_ID = 250
"""Of a task, as Airflow's database has it."""

_NO_TIME_OUT = "remove `dagrun_timeout`, and bound the tasks by `execution_timeout`"


def plan(spec: Spec, settings: Settings) -> Plan:
    """
    Plan one pipeline.

    :raises FaultyText: every fault: those of its text, and names that mean nothing, two tasks of one id, a cycle, a
        pair that does not fit.
    """
    if spec.native is not None:
        return plan_native(spec, spec.native, settings)
    if spec.lost:
        raise FaultyText(spec.faults, spec.document.text)
    planner = _Planner(spec, settings)
    try:
        return planner.plan()
    finally:
        planner.root.fell()


def plan_all(specs: Iterable[Spec], settings: Settings) -> list[Plan]:
    """
    Plan every pipeline of a file.

    :raises FaultyText: every fault of all of them.
    """
    specs = list(specs)
    plans: list[Plan] = []
    faults: list[Fault] = []
    for spec in specs:
        try:
            plans.append(plan(spec, settings))
        except FaultyText as error:
            faults += error.faults
    faults += [fault for error in shared_ids(map(Bearer.of, specs)).values() for fault in error.faults]
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
        self.linkless: set[int] = set()
        self.unplaced: set[Node] = set()  # what names a task that is not there: nobody knows what comes before it
        for first, second in clashes:
            line = spec.document.place(_item(first).loc).line
            self._fault(second, ("id",), f"is `{second.path}`, which is taken on line {line}", "give it another id")

    def plan(self) -> Plan:
        tasks = {node.path: self._task(node) for node in self.root.tasks()}
        order = self._order(tasks)
        if order:
            tasks = {task_id: tasks[task_id] for task_id in order}
            unsure = {task.path for node in self.unplaced for task in node.tasks()}
            self.faults += pair_faults(tasks, self.spec.places, complete=not self.faults, unsure=unsure)
            self.faults += setup_faults(tasks, self.spec.places, self._default_rule())
        self._time_out(tasks)
        self._ends_before_it_starts()
        if self.faults:
            raise FaultyText(self.faults, self.spec.document.text)
        head = self.spec.head
        path = self.spec.path
        project = self.settings.project_of(path)
        given = {name: getattr(head, name) for name in DAG_ARGUMENTS if name in head.model_fields_set}
        given = {name: value for name, value in given.items() if value is not None}
        if any(STEPS[task.uses].one_run_at_a_time for task in tasks.values() if task.uses in STEPS):
            given.setdefault("max_active_runs", 1)
        return Plan(
            dag_id=head.dag_id,
            path=path,
            place=self.spec.document.place(("dag_id",)),
            arguments=given,
            default_args=head.default_args.given() if head.default_args else {},
            timezone=head.timezone,
            groups=tuple(self._groups(self.root)),
            tasks=tuple(tasks.values()),
            storage=project / (head.storage or "lake"),
            project=project,
            code=path.absolute().parent,
            environment=self.spec.environment,
            text=self.spec.document.text,
            places=self.spec.places,
            warnings=self.spec.warnings,
            on_success=tuple(head.on_success_callback or ()),
            on_failure=tuple(head.on_failure_callback or ()),
            notify=head.notify,
            deadline=tuple(head.deadline or ()),
            origins=self.spec.origins,
        )

    def _default_rule(self) -> str:
        given = self.spec.head.default_args
        return given.trigger_rule if given is not None and given.trigger_rule is not None else "all_success"

    # --- tasks and groups

    def _groups(self, node: Node) -> Iterable[GroupPlan]:
        for item_id, children in node.children.items():
            for child in children:
                if not child.is_group:
                    continue
                item = _item(child)
                if isinstance(item.block, Group) and item.id == item_id:
                    yield GroupPlan(child.path, node.path or None, item.block.given(), item.loc)
                    yield from self._groups(child)

    def _task(self, node: Node) -> TaskPlan:
        item = _item(node)
        block = item.block
        assert isinstance(block, Task)
        if len(node.path) > _LONGEST_ID:
            message = f"makes an id of {len(node.path)} characters with the groups it is in; at most {_LONGEST_ID}"
            self._fault(node, ("id",), message, "shorten it or theirs, or give a group `prefix_group_id: false`")
        links: set[str] = set()
        arguments = {**(_given(item.step) if item.step else {}), **item.arguments}
        if isinstance(item.step, OnCluster):
            arguments = self._surrounded(node, arguments)
        arguments = {
            name: value if isinstance(value, str) else self._linked(value, node, ("with", name), links)
            for name, value in arguments.items()
        }
        closes = self._tasks_named(node, arguments)
        run = None if item.run is None else self._linked(dict(item.run), node, ("run",), links)
        mapped = {name: self._linked(value, node, (name,), links) for name, value in item.mapped.items()}
        arguments = {name: value for name, value in arguments.items() if name not in mapped.get("expand", ())}
        teardown = self._teardown(node, block)
        links.update(teardown or ())
        own = {name: value for name in TASK_ARGUMENTS if (value := getattr(block, name)) is not None}
        settings = {**self._inherited(node), **block.given(), **own}
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

    def _surrounded(self, node: Node, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a step that computes, with what it runs in."""
        own = {key: arguments[key] for key in KEYS if key in arguments}
        found = in_force(own, {key: value for key in KEYS if (value := getattr(self.spec.head, key))})
        if VERSION.fullmatch(found.get("python", "")) and "requirements" not in found:
            hint = "add `requirements`, or name the path of an interpreter"
            self._fault(node, ("with", "python"), "is a version, of which a venv is made for `requirements`", hint)
        return {**{key: value for key, value in arguments.items() if key not in KEYS}, **found}

    def _teardown(self, node: Node, block: Task) -> tuple[str, ...] | None:
        """The setup tasks that a teardown names; None for any other task."""
        if _uses(node) in _PAIRED:
            for key in ("setup", "teardown", "on_failure_fail_dagrun"):
                if getattr(block, key) is not None:
                    message = f"is decided by `{block.uses}`, which is one of a pair"
                    self._fault(node, (key,), message, f"remove `{key}`", of_key=True)
            return None
        if block.teardown is None:
            if block.on_failure_fail_dagrun is not None:
                hint = "add `teardown`, or remove it"
                self._fault(node, ("on_failure_fail_dagrun",), "is of a task that is no `teardown`", hint, of_key=True)
            return None
        if block.setup:
            self._fault(node, ("setup",), "cannot stand beside `teardown`", "make two tasks of it", of_key=True)
        if block.trigger_rule is not None:
            message = "is decided by `teardown`, which runs when its setups succeeded and all before it is done"
            self._fault(node, ("trigger_rule",), message, "remove `trigger_rule`", of_key=True)
        found = [
            (index, other)
            for index, name in enumerate(block.teardown)
            for other in self._found(node, name, ("teardown", index))
        ]
        for index, other in found:
            if other.is_group or other is node:
                message = f"names `{block.teardown[index]}`, which is {'a group' if other.is_group else 'itself'}"
                self._fault(node, ("teardown", index), message, "name the setup tasks it cleans up after")
        return tuple(other.path for _, other in found if not other.is_group and other is not node)

    def _inherited(self, node: Node) -> dict[str, Any]:
        """`default_args` of the groups around a task, the innermost last."""
        found: dict[str, Any] = {}
        at = node.parent
        while at is not None and at.item is not None:
            block = at.item.block
            if isinstance(block, Group) and block.default_args is not None:
                found = {**block.default_args.given(), **found}
            at = at.parent
        return found

    def _tasks_named(self, node: Node, arguments: dict[str, Any]) -> str | None:
        """Resolve fields that name another task. Return what this task closes, if it closes anything."""
        step = _item(node).step
        if step is None:
            return None
        closes = None
        for name, opener in step.task_fields.items():
            if arguments.get(name) is not None:
                found = self._opener_named(node, name, opener, str(arguments[name]))
            elif name == step.closes:
                found = self._only_opener(node, name, opener)
            else:
                continue
            if found is not None:
                arguments[name] = found.path
                closes = found.path if name == step.closes else closes
        return closes

    def _opener_named(self, node: Node, name: str, opener: str, given: str) -> Node | None:
        found = self._one(node, given, ("with", name))
        if found is not None and _uses(found) != opener:
            message = f"names `{given}`, which is not a `{opener}` task"
            self._fault(node, ("with", name), message, f"name a task with `uses: {opener}`")
            return None
        return found

    def _only_opener(self, node: Node, name: str, opener: str) -> Node | None:
        """For the second of a pair that does not say what it closes: the only one there is, in the nearest group."""
        at = node.parent
        while at is not None:
            found = [other for other in at.tasks() if _uses(other) == opener]
            if len(found) == 1:
                return found[0]
            if found:
                listed = ", ".join(f"`{other.path}`" for other in found)
                message = f"does not say which `{opener}` it closes; there are {listed}"
                self._fault(node, (), message, f"write `with: {{{name}: {found[0].path}}}`")
                return None
            at = at.parent
        uses = _uses(node)
        hint = f"add a task that uses `{opener}`, or remove `{uses}`"
        self._fault(node, (), f"has nothing to close: no task uses `{opener}`", hint)
        return None

    # --- edges

    def _upstream(self, node: Node, links: set[str]) -> set[str]:
        """What a task waits for: its own `needs` and `$x`, and at the edge of a group what the group needs."""
        found = links.union(self._named(node))
        at = node.parent
        while at is not None and at.item is not None:
            # Only tasks that wait for nothing inside the group wait for what the group needs.
            if not self._members(at).isdisjoint(found):
                break
            found.update(self._named(at))
            at = at.parent
        return found

    def _members(self, node: Node) -> frozenset[str]:
        """Full ids of the tasks of a group."""
        if node.path not in self.members:
            self.members[node.path] = frozenset(task.path for task in node.tasks())
        return self.members[node.path]

    def _named(self, node: Node) -> Iterable[str]:
        for name, index in _needs(node).items():
            for other in self._found(node, name, ("needs", index)):
                if node.is_in(other):
                    message = f"names `{name}`, which is the item itself or a group it is in"
                    self._fault(node, ("needs", index), message, "remove it")
                elif other.path.startswith(f"{node.path}."):
                    message = f"names `{name}`, which is in the group itself"
                    self._fault(node, ("needs", index), message, "remove it, or write it at the tasks that wait for it")
                else:
                    yield from self._ends(other)

    def _ends(self, node: Node) -> list[str]:
        """The tasks of a group that no other task of it waits for; of a task, itself."""
        if not node.is_group:
            return [node.path]
        if node.path not in self.ends:
            # As Airflow has it, who waits for a group waits for no teardown in it.
            inside = list(node.inside())
            working = [inner for inner in inside if not _is_teardown(inner)]
            if all(inner.is_group for inner in working):
                working = inside
            waited_for = {path for inner in working for path in _needed(inner)}
            self.ends[node.path] = [
                inner.path for inner in working if not inner.is_group and inner.path not in waited_for
            ]
        return self.ends[node.path]

    def _linked(self, value: Any, node: Node, loc: Loc, links: set[str]) -> Any:
        """The value with the task of every `$x` as a full id; each is added to `links`, as it comes before."""
        if isinstance(value, XComRef):
            found = self._one(node, value.task, loc)
            if found is None:
                return value
            if found is node:
                self._fault(node, loc, f"names `{value.task}`, which is the task itself", "name a task before it")
                return value
            links.add(found.path)
            return replace(value, task=found.path)
        if not isinstance(value, dict | list) or id(value) in self.linkless:
            return value
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        made = {key: self._linked(each, node, (*loc, key), links) for key, each in pairs}
        if all(made[key] is each for key, each in (value.items() if isinstance(value, dict) else enumerate(value))):
            self.linkless.add(id(value))  # repetitions of a matrix share their values: looked through once
            return value
        return made if isinstance(value, dict) else list(made.values())

    def _found(self, node: Node, name: str, loc: Loc) -> list[Node]:
        scope = node.parent or self.root
        found = find(name, scope)
        if found == [node] and scope.parent is not None:  # a task may wait for one of its own name outside its group
            found = find(name, scope.parent) or found
        if not found:
            self.unplaced.add(node)
            self._fault(node, loc, f"names `{name}`, but there is no such task", self._meant(node, name, scope))
        return found

    def _meant(self, node: Node, name: str, scope: Node) -> str:
        """The hint for a name that means nothing in `scope`."""
        known = [known for known in scope.names() if known != _item(node).id]
        if listed := as_list(name, known):
            return f"write a list: `{listed}`"
        outer, _, last = name.rpartition(".")
        group = find(outer, scope) if outer else []
        if group and group[0].is_group:
            return suggestion(name, [f"{outer}.{each}" for each in group[0].children], what=f"tasks in `{outer}`")
        elsewhere = [other.path for other in self.root.inside() if other.path.rpartition(".")[2] == last]
        if nearest(name, known) is None and elsewhere:
            return f"it is in a group: write `{elsewhere[0]}`"
        if nearest(name, known) is None and name not in known and _other_document_has(name, self.spec.document.text):
            return (
                "it is a task of another document: `needs` stays within one; schedule the pipeline by an asset instead"
            )
        return suggestion(name, known, what="tasks here")

    def _one(self, node: Node, name: str, loc: Loc) -> Node | None:
        found = self._found(node, name, loc)
        if len(found) > 1:
            first = found[0].path
            self._fault(
                node,
                loc,
                f"names `{name}`, which is repeated by a matrix",
                f"name one of its repetitions, e.g. `{first}`",
            )
            return None
        if found and found[0].is_group:
            self._fault(node, loc, f"names `{name}`, which is a group", "name a task in it")
            return None
        return found[0] if found else None

    # --- the graph as a whole

    def _time_out(self, tasks: Mapping[str, TaskPlan]) -> None:
        """Refuse what nothing ends when the run's time is over, where the clean-up has to run then."""
        if getattr(self.spec.head, "dagrun_timeout", None) is None or not any(
            each.cleans_up for each in tasks.values()
        ):
            return
        for task in tasks.values():
            if task.run is not None:
                message = "is done outside Airflow, where `dagrun_timeout` does not end it before the clean-up"
                self.faults.append(self.spec.places.fault((*task.loc, "run"), message, _NO_TIME_OUT))
            elif task.uses not in STEPS and task.arguments.get("deferrable") is True:
                message = "is waited for by the triggerer, which does not end it when `dagrun_timeout` is over"
                hint = f"write `deferrable: false`; or {_NO_TIME_OUT}"
                self.faults.append(self.spec.places.fault((*task.loc, "with", "deferrable"), message, hint))

    def _ends_before_it_starts(self) -> None:
        head = self.spec.head
        if head.start_date is None or head.end_date is None:
            return
        zone = ZoneInfo(head.timezone)
        start, end = (each if each.tzinfo else each.replace(tzinfo=zone) for each in (head.start_date, head.end_date))
        if end < start:
            message = f"is before `start_date`, {start.isoformat()}: Airflow would never run it"
            self.faults.append(self.spec.places.fault(("end_date",), message, "remove it, or write a later one"))

    def _order(self, tasks: Mapping[str, TaskPlan]) -> list[str]:
        places = {task.task_id: task.place for task in tasks.values()}
        found = ordered({task.task_id: task.upstream for task in tasks.values()}, places, self.spec.path)
        if isinstance(found, Fault):
            self.faults.append(found)
            return []
        return found

    # --- faults

    def _fault(self, node: Node, loc: Loc, message: str, hint: str | None, *, of_key: bool = False) -> None:
        self.faults.append(self.spec.places.fault((*_item(node).loc, *loc), message, hint, of_key=of_key))
        if len(self.faults) > MAX_FAULTS:
            raise FaultyText(self.faults, self.spec.document.text)


def _is_teardown(node: Node) -> bool:
    block = _item(node).block
    return isinstance(block, Task) and block.teardown is not None


def _other_document_has(task: str, text: str) -> bool:
    """Whether a file of several documents has a task of that name."""
    return (
        re.search(rf"^\s*- (\{{\s*)?id:\s*[\"']?{re.escape(task)}[\"']?\s*([,}}#]|$)", text, re.MULTILINE) is not None
    )


def _uses(node: Node) -> str | None:
    block = _item(node).block
    return block.uses if isinstance(block, Task) else None


def _needs(node: Node) -> dict[str, int]:
    """The names that an item needs, each with where it first stands in the list."""
    found: dict[str, int] = {}
    for index, name in enumerate(_item(node).block.needs):
        found.setdefault(name, index)
    return found


def _needed(node: Node) -> Iterable[str]:
    """The tasks that the `needs` of an item mean, groups as all their tasks."""
    assert node.parent is not None
    for name in _needs(node):
        for other in find(name, node.parent):
            yield from (task.path for task in other.tasks())


def _given(step: Step) -> dict[str, Any]:
    """What a step is given, blocks inside it as plain values with their defaults."""
    given = step.model_fields_set
    return {name: _plain(value) for name, value in vars(step).items() if name in given}


def _plain(value: Any) -> Any:
    if isinstance(value, SpecModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def _item(node: Node) -> Item:
    assert node.item is not None, "the pipeline itself has no item"
    return node.item

"""Find tasks that read a table before the task that writes or checks it, and the `needs` that are missing."""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_wall.diagnostics import table_order
from airflow_wall.diagnostics.faults import Fault, Loc
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.planner.order import ancestors
from airflow_wall.planner.table_reads import PlannedRead, reads_of, tables_written
from airflow_wall.planner.task_tree import Node, find
from airflow_wall.text.places import Places
from airflow_wall.text.table_names import is_pattern, matches_table

if TYPE_CHECKING:
    from airflow_wall.planner.plan import TaskPlan


@dataclass(frozen=True)
class MissingNeeds:
    """
    A task that must come after others, but does not.

    :param fault: The fault at the table that it reads.
    :param loc: The path of the task in the document.
    :param names: The names to add to its `needs`, for all of its tables; empty if no `needs` can help.
    """

    fault: Fault
    loc: Loc
    names: tuple[str, ...]


def missing_needs(
    tasks: Mapping[str, TaskPlan], nodes: Mapping[str, Node], places: Places, ends: Callable[[Node], Sequence[str]]
) -> list[MissingNeeds]:
    """
    Return the tasks of a pipeline that read a table before the tasks that write it or check it.

    :param tasks: Its tasks in topological order.
    :param nodes: The task of the tree for each id.
    :param ends: Returns the last tasks of a task or group, for which a task waits that needs it.
    """
    order = _DataOrder(tasks)
    early = order.early()
    if not early:
        return []
    order.add_edges(early)
    by_place: dict[tuple[Loc, Loc, Any], list[_Early]] = defaultdict(list)
    by_task: dict[Loc, list[_Early]] = defaultdict(list)
    for each in early:
        by_place[each.read.task.loc, each.read.key, each.read.check].append(each)
        by_task[each.read.task.loc].append(each)
    naming = _Naming(nodes, order, ends)
    additions = {loc: naming.names(reads) for loc, reads in by_task.items()}
    missing = []
    for (loc, key, _), repetitions in by_place.items():
        message = _message(repetitions, order)
        hint = _hint(repetitions[0], order, naming.names(repetitions), naming.needs_of(repetitions[0]))
        missing.append(MissingNeeds(places.fault((*loc, *key), message, hint), loc, additions[loc]))
    return missing


@dataclass
class _Early:
    """
    A task that reads a table too early. Sets of tasks are bit sets of `_DataOrder`.

    :param writers: The other tasks that write the table and do not come before it.
    :param checkers: The other tasks that check the table and do not come before it.
    :param after: Those of both that come after it, so that it cannot wait for them.
    :param in_circle: Those of both that read too early what comes after it, so that each would wait for the other.
    """

    read: PlannedRead
    writers: int
    checkers: int
    after: int
    in_circle: int = 0

    @property
    def awaited(self) -> int:
        """Return the tasks that it could wait for."""
        return (self.writers | self.checkers) & ~(self.after | self.in_circle)


class _DataOrder:
    """The order of tasks by their tables, as bit sets: sets of names would take seconds for a thousand tasks."""

    def __init__(self, tasks: Mapping[str, TaskPlan]) -> None:
        self.ids = list(tasks)
        self.bits = {task_id: 1 << place for place, task_id in enumerate(tasks)}
        self.upstream = {task_id: task.upstream for task_id, task in tasks.items()}
        self.before = ancestors(self.upstream, self.bits)
        self.reads = {task_id: list(reads_of(task)) for task_id, task in tasks.items()}
        self.writers: dict[str, int] = defaultdict(int)
        self.checkers: dict[str, int] = defaultdict(int)
        for task in tasks.values():
            for table in tables_written(task):
                self.writers[table] |= self.bits[task.task_id]
        for read in (read for reads in self.reads.values() for read in reads):
            if read.is_gate:
                self.checkers[read.table] |= self.bits[read.task.task_id]
        self.writers_of_pattern: dict[str, int] = {}

    def early(self) -> list[_Early]:
        """
        Return the reads that come too early, in the order of the tasks.

        A read that is in time as soon as the earlier tasks wait for what they lack is left out: it is the same mistake.
        """
        found: list[_Early] = []
        now: dict[str, int] = {}
        for task_id, upstream in self.upstream.items():
            before = self.union(upstream)
            for other in upstream:
                before |= now[other]
            early = [each for read in self.reads[task_id] if (each := self._early(read, before)) is not None]
            found += early
            for each in early:
                before |= each.awaited
                for other in self.named(each.awaited):
                    before |= self.before[other]
            now[task_id] = before
        return found

    def _early(self, read: PlannedRead, before: int) -> _Early | None:
        own = self.bits[read.task.task_id]
        writers = 0 if read.is_external else self._writers(read.table)
        checkers = self.checkers.get(read.table, 0) if read.waits_for_checks else 0
        if not (writers | checkers) & ~before:
            return None
        late = ~(before | own)
        after = self.union(task_id for task_id in self.named(late & (writers | checkers)) if self.before[task_id] & own)
        return _Early(read, writers & late, checkers & late, after)

    def add_edges(self, early: Sequence[_Early]) -> None:
        """Add the missing edges to the order, and note in each read the tasks for which this would be a circle."""
        reached = self._reached(early)
        for each in early:
            own = self.bits[each.read.task.task_id]
            each.in_circle = self.union(task_id for task_id in self.named(each.awaited) if reached[task_id] & own)
        self.before = self._reached(early) if any(each.in_circle for each in early) else reached

    def _reached(self, early: Iterable[_Early]) -> dict[str, int]:
        """Return the ancestors of each task with the edges to the tasks that early reads can wait for."""
        reached = dict(self.before)
        for each in early:
            reached[each.read.task.task_id] |= each.awaited
        for task_id, bit in self.bits.items():  # Warshall's algorithm: the edges may form a circle
            through = reached[task_id]
            for other, before in reached.items():
                if before & bit:
                    reached[other] = before | through
        return reached

    def after(self, task_id: str) -> int:
        """Return the tasks that come after a task."""
        own = self.bits[task_id]
        return self.union(other for other, before in self.before.items() if before & own)

    def last_of(self, tasks: int) -> int:
        """Return the tasks for which no other of these waits: waiting for them means waiting for all."""
        waited_for = 0
        for task_id in self.named(tasks):
            waited_for |= self.before[task_id]
        return tasks & ~waited_for

    def union(self, task_ids: Iterable[str]) -> int:
        """Return the bit set of tasks."""
        bits = 0
        for task_id in task_ids:
            bits |= self.bits[task_id]
        return bits

    def named(self, tasks: int) -> Iterator[str]:
        """Yield the ids of a bit set of tasks."""
        while tasks:
            lowest = tasks & -tasks
            yield self.ids[lowest.bit_length() - 1]
            tasks ^= lowest

    def _writers(self, table: str) -> int:
        if not is_pattern(table):
            return self.writers.get(table, 0)
        if table not in self.writers_of_pattern:
            matching = 0
            for name, bits in self.writers.items():
                matching |= bits if matches_table(name, table) else 0
            self.writers_of_pattern[table] = matching
        return self.writers_of_pattern[table]


class _Naming:
    """Names tasks as `needs` of another task can write them: in a group, of a matrix, or a whole group."""

    def __init__(self, nodes: Mapping[str, Node], order: _DataOrder, ends: Callable[[Node], Sequence[str]]) -> None:
        self.nodes = nodes
        self.order = order
        self.ends = ends
        self.meanings: dict[tuple[str, Node], tuple[int, int]] = {}

    def needs_of(self, early: _Early) -> list[str]:
        """Return the names that the task has in its `needs` already."""
        item = self.nodes[early.read.task.task_id].item
        assert item is not None
        return list(item.block.needs)

    def names(self, reads: Sequence[_Early]) -> tuple[str, ...]:
        """
        Return the names to add to the `needs` of a task, empty if no names fit.

        :param reads: Reads of all repetitions of the task: they share its text, so they share its names.
        """
        awaited: dict[str, int] = defaultdict(int)
        for each in reads:
            awaited[each.read.task.task_id] |= each.awaited
        wanted = {task_id: self.order.last_of(others) for task_id, others in awaited.items()}
        readers = {self.nodes[task_id]: self.order.after(task_id) | self.order.bits[task_id] for task_id in wanted}
        everything = functools.reduce(operator.or_, wanted.values(), 0)
        names: dict[str, None] = {}
        for reader, last in zip(readers, wanted.values(), strict=True):
            for name in names:
                last &= ~self._meaning(name, reader)[0]
            while last:
                task_id = next(self.order.named(last))
                fitting = self._name(reader, task_id, readers, everything)
                if fitting is None:
                    return ()
                names[fitting] = None
                last &= ~self._meaning(fitting, reader)[0]
        return tuple(names)

    def _name(self, reader: Node, task_id: str, readers: Mapping[Node, int], wanted: int) -> str | None:
        """
        Return the name that means one task, if possible without tasks that are not wanted.

        :param readers: All tasks that will have it in their `needs`, each with the tasks that it cannot wait for.
        """
        loose = None
        for name in self._candidates(reader, self.nodes[task_id]):
            meanings = {other: self._meaning(name, other) for other in readers}
            fits = all(awaited and not members & readers[other] for other, (awaited, members) in meanings.items())
            if fits and meanings[reader][0] & self.order.bits[task_id]:
                if all(not awaited & ~wanted for awaited, _ in meanings.values()):
                    return name
                loose = name
        return loose

    def _candidates(self, reader: Node, writer: Node) -> Iterator[str]:
        chain = [writer]
        while (parent := chain[0].parent) is not None and not reader.is_in(parent):
            chain.insert(0, parent)
        items = [node.item for node in chain if node.item is not None]
        repeated = [item.repeats or item.id for item in items]
        written = [item.id for item in items]
        yield from dict.fromkeys((repeated[0], written[0], ".".join(repeated), ".".join(written)))

    def _meaning(self, name: str, reader: Node) -> tuple[int, int]:
        """Return the tasks that a task waits for if it needs `name`, and all tasks that the name covers."""
        scope = reader.parent
        assert scope is not None
        if (name, scope) not in self.meanings:
            matches = find(name, scope)
            awaited = self.order.union(task_id for match in matches for task_id in self.ends(match))
            members = self.order.union(task.path for match in matches for task in match.tasks())
            self.meanings[name, scope] = awaited, members
        return self.meanings[name, scope]


def _message(repetitions: Sequence[_Early], order: _DataOrder) -> str:
    early = repetitions[0]
    others, action = (early.checkers, "check") if early.checkers else (early.writers, "write")
    named, after = list(order.named(others)), set(order.named(early.after))
    more = len(repetitions) - 1
    repeated = f"; so {'do' if more > 1 else 'does'} {more} more of its matrix" if more else ""
    return f"{table_order.early(early.read.verb, early.read.table, named, action, after)}{repeated}"


def _hint(early: _Early, order: _DataOrder, names: Sequence[str], needs: Sequence[str]) -> str:
    """
    Return the hint for a read that comes too early.

    :param names: The names to add to the `needs` of the task.
    :param needs: The names that are in it.
    """
    hints = []
    if names and needs:
        hints.append(f"add {listed(names)} to its `needs`")
    elif names:
        hints.append(f"add `needs: {names[0]}`" if len(names) == 1 else f"add `needs: [{', '.join(names)}]`")
    elif others := early.after or early.in_circle or early.awaited:
        hints.append(f"let {listed(order.named(others), table_order.LISTED)} come before it")
    if late := early.checkers & early.after:
        hints.append(table_order.no_gate(list(order.named(late))))
    if not early.checkers or early.read.check is not None:
        hints.append(table_order.earlier_rows(early.read.as_external))
    return "; or ".join(hints)

"""Find the tasks that a name means: in its own group first, then outwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from airflow_wall.spec.document import Item
from airflow_wall.spec.pipeline import Group


@dataclass(eq=False, slots=True)
class Node:
    """
    A task or group in the tree of a pipeline.

    :param path: Full id, e.g. `etl_domain_1.ingest`; empty for the pipeline itself.
    :param item: What it was made from; None for the pipeline itself.
    :param is_group: Whether it holds tasks rather than being one.
    """

    path: str
    item: Item | None
    parent: Node | None
    children: dict[str, list[Node]] = field(default_factory=dict)
    is_group: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_group = self.item is None or isinstance(self.item.block, Group)

    @property
    def prefix(self) -> str:
        """What the full ids of its children begin with."""
        block = self.item.block if self.item is not None else None
        if isinstance(block, Group) and block.prefix_group_id is False:
            return ""
        return f"{self.path}." if self.path else ""

    def is_in(self, other: Node) -> bool:
        """Whether it is the other, or somewhere in it."""
        at: Node | None = self
        while at is not None and at is not other:
            at = at.parent
        return at is not None

    def tasks(self) -> Iterator[Node]:
        """The tasks at or below it."""
        if not self.is_group:
            yield self
            return
        for item_id, nodes in self.children.items():
            for node in nodes:
                if node.item is not None and node.item.id == item_id:
                    yield from node.tasks()

    def inside(self) -> Iterator[Node]:
        """Every task and group below it."""
        for item_id, nodes in self.children.items():
            for node in nodes:
                if node.item is not None and node.item.id == item_id:
                    yield node
                    yield from node.inside()

    def fell(self) -> None:
        """Part with everything below it: parents and children that hold each other wait for the garbage collector."""
        children, self.children = self.children, {}
        for nodes in children.values():
            for node in nodes:
                node.fell()

    def names(self) -> list[str]:
        """What can be named from inside it, outwards."""
        return [*self.children, *(self.parent.names() if self.parent else [])]


def tree(items: tuple[Item, ...]) -> tuple[Node, list[tuple[Node, Node]]]:
    """The tree of a pipeline's items, and each pair of items that have the same id."""
    root = Node("", None, None)
    clashes: list[tuple[Node, Node]] = []
    _grow(root, items, clashes, {})
    return root, clashes


def _grow(parent: Node, items: tuple[Item, ...], clashes: list[tuple[Node, Node]], taken: dict[str, Node]) -> None:
    prefix = parent.prefix
    for item in items:
        node = Node(f"{prefix}{item.id}", item, parent)
        # A matrix gives its name to all its repetitions; ids of a group without a prefix are taken everywhere.
        first = next(iter(parent.children.get(item.id, ())), taken.get(node.path))
        if first is not None:
            clashes.append((first, node))
            continue
        taken[node.path] = node
        parent.children[item.id] = [node]
        if item.repeats is not None:
            repeated = parent.children.setdefault(item.repeats, [])
            if repeated and repeated[0].item is not None and repeated[0].item.loc != item.loc:
                clashes.append((repeated[0], node))
            repeated.append(node)
        if item.items:
            _grow(node, item.items, clashes, taken)


def find(name: str, scope: Node) -> list[Node]:
    """
    The tasks and groups that `name` means inside `scope`; of a matrix, all its repetitions. Empty if there is none.

    The innermost group that knows the first part of the name decides.
    """
    first, *rest = name.split(".") if "." in name else (name,)
    at: Node | None = scope
    while at is not None:
        if first in at.children:
            found = at.children[first]
            for part in rest:
                found = [child for node in found for child in node.children.get(part, ())]
            return found
        at = at.parent
    return []

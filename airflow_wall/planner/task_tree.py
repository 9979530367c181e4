"""The tree of tasks and groups, and the lookup of names in it: from the innermost group outwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from airflow_wall.language.document import Item
from airflow_wall.language.pipeline import Group


@dataclass(eq=False, slots=True)
class Node:
    """
    A task or group in the tree of a pipeline.

    :param path: Full id, e.g. `etl_domain_1.ingest`; empty for the pipeline itself.
    :param item: The item of the document; None for the pipeline itself.
    :param is_group: True for a group and for the pipeline itself, False for a task.
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
        """Return the prefix of its children's full ids."""
        block = self.item.block if self.item is not None else None
        if isinstance(block, Group) and block.prefix_group_id is False:
            return ""
        return f"{self.path}." if self.path else ""

    def is_in(self, other: Node) -> bool:
        """Return True if it is `other`, or below it."""
        node: Node | None = self
        while node is not None and node is not other:
            node = node.parent
        return node is not None

    def tasks(self) -> Iterator[Node]:
        """Yield the task itself, or the tasks below the group."""
        if not self.is_group:
            yield self
            return
        for item_id, nodes in self.children.items():
            for node in nodes:
                if node.item is not None and node.item.id == item_id:
                    yield from node.tasks()

    def inside(self) -> Iterator[Node]:
        """Yield every task and group below it."""
        for item_id, nodes in self.children.items():
            for node in nodes:
                if node.item is not None and node.item.id == item_id:
                    yield node
                    yield from node.inside()

    def take_apart(self) -> None:
        """Remove the links between parents and children, so that the tree needs no garbage collection."""
        for nodes in self.children.values():
            for node in nodes:
                node.parent = None
                node.take_apart()
        self.children = {}

    def names(self) -> list[str]:
        """Return the names that tasks inside it can use, those of inner groups first."""
        return [*self.children, *(self.parent.names() if self.parent else [])]


def tree(items: tuple[Item, ...]) -> tuple[Node, list[tuple[Node, Node]]]:
    """Return the tree of a pipeline's items, and each pair of items that have the same id."""
    root = Node("", None, None)
    clashes: list[tuple[Node, Node]] = []
    _grow(root, items, clashes, {})
    return root, clashes


def _grow(
    parent: Node, items: tuple[Item, ...], clashes: list[tuple[Node, Node]], nodes_by_path: dict[str, Node]
) -> None:
    prefix = parent.prefix
    for item in items:
        node = Node(f"{prefix}{item.id}", item, parent)
        # All repetitions of a matrix share its name; ids in a group without a prefix are unique in the whole pipeline.
        first = next(iter(parent.children.get(item.id, ())), nodes_by_path.get(node.path))
        if first is not None:
            clashes.append((first, node))
            continue
        nodes_by_path[node.path] = node
        parent.children[item.id] = [node]
        if item.repeats is not None:
            repeated = parent.children.setdefault(item.repeats, [])
            if repeated and repeated[0].item is not None and repeated[0].item.loc != item.loc:
                clashes.append((repeated[0], node))
            repeated.append(node)
        if item.items:
            _grow(node, item.items, clashes, nodes_by_path)


def find(name: str, scope: Node) -> list[Node]:
    """
    Return the tasks and groups named `name`, seen from inside `scope`; for a matrix, all its repetitions. May be empty.

    The innermost group that has the first part of the name decides.
    """
    first, *rest = name.split(".") if "." in name else (name,)
    group: Node | None = scope
    while group is not None:
        if first in group.children:
            nodes = group.children[first]
            for part in rest:
                nodes = [child for node in nodes for child in node.children.get(part, ())]
            return nodes
        group = group.parent
    return []

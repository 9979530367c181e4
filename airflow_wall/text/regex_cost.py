"""
Compute a bound of the steps that Python's `re` takes to search a text for a pattern.

`re` tries one choice after the other, and goes back to the last one when the rest does not match. If two choices read
the same characters, it reads them again for each: `a+a+b` takes the square of a text's length, and `(a+)+b` doubles its
time with each character. The number of choices that are open at once is the number of runs of the pattern's automaton,
which this module bounds:

* A repetition in which one text can be read in two ways is exponential.
* A repetition that can be left at any of n characters, with another one after it that reads the same characters, has
  n open choices. The steps of everything after it are multiplied by n.
* Choices outside of repetitions multiply by a number that does not depend on the text.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airflow_wall.text.regex_automaton import MAX_WIDTH, Automaton, PatternError, automaton_of

MAX_STEPS = 2_000_000
"""The most steps of one search: about 0.1 s of a core."""

MAX_LENGTH = 10_000
"""The length, in characters, that is assumed for a text of any length."""

STEPS_TO_COMPILE = 200_000
"""Steps that it takes to compile a set with characters beyond ASCII."""

EXPONENTIAL = 1 << 60
"""Stands for a number of steps that doubles with each character, or that is above any bound."""

_MAX_WORK = 60_000
"""The most edges, of automata and of products of them, that are followed for one pattern: about 0.05 s."""

_MAX_COUNTED = 20_000
"""The most runs that are followed by one character to count them."""

__all__ = ["EXPONENTIAL", "MAX_LENGTH", "MAX_STEPS", "PatternError", "longest_text", "steps_of", "work_of_analysis"]


def steps_of(pattern: str, length: int = MAX_LENGTH, *, is_anchored: bool | None = None) -> int:
    """
    Return an upper bound of the steps that `re.search(pattern, text)` takes, compiling included.

    :param length: The most characters of the text.
    :param is_anchored: True to count as if the pattern began with `^`; by default as it is written.
    :return: The number of steps; `EXPONENTIAL` if no useful bound is known.
    :raises PatternError: the text is not a pattern, or is too large to analyse.
    """
    if is_anchored is None:
        is_anchored = _automaton(pattern).is_anchored
    return _analysed(pattern, is_anchored).steps(length)


def longest_text(pattern: str, steps: int = MAX_STEPS) -> int:
    """
    Return the most characters, rounded down, of a text that can be searched for a pattern in `steps`.

    :return: The number of characters; 0 if it is less than 10.
    :raises PatternError: as `steps_of`.
    """
    rounded = (5_000, 2_000, 1_000, 500, 250, 100, 50, 20, 10)
    return next((length for length in rounded if steps_of(pattern, length) <= steps), 0)


def work_of_analysis(pattern: str) -> int:
    """Return the approximate time, in microseconds, that `steps_of` takes for a pattern that is not in its cache."""
    try:
        analysis = _analysed(pattern, _automaton(pattern).is_anchored)
    except PatternError:
        return _MAX_WORK
    return 500 + 10 * len(pattern) + analysis.work + 10 * sum(map(len, analysis.edges))


@functools.lru_cache(maxsize=256)
def _automaton(pattern: str) -> Automaton:
    return automaton_of(pattern)


@functools.lru_cache(maxsize=256)
def _analysed(pattern: str, is_anchored: bool) -> _Analysis:
    return _Analysis(_automaton(pattern), is_anchored)


@dataclass(frozen=True)
class _Exit:
    """
    The ways out of a circle (a strongly connected component) of an automaton.

    :param is_free: True if it can be left at each character of a text, with all these choices open at once.
    :param behind: The number of states that can be reached behind it.
    """

    is_free: bool
    behind: int


class _Analysis:
    """
    The runs of an automaton.

    State 0 stands for the search. Unless the pattern is anchored, it has an edge to itself for each character.
    """

    def __init__(self, automaton: Automaton, is_anchored: bool) -> None:
        self.automaton = automaton
        self.sets = list(automaton.sets)
        self.edges = [dict(edges) for edges in automaton.edges]
        self.caps = list(automaton.caps)
        self.is_anchored = is_anchored
        if not is_anchored:
            self.sets[0] = functools.reduce(int.__or__, self.sets, 0)
            self.edges[0][0] = 1
            self.caps[0] = MAX_WIDTH
        self.letters = _letters(self.sets)
        self.circles = _circles(self.edges)
        self.circle_of = {state: circle for circle in self.circles for state in circle}
        self.is_circle = {circle: len(circle) > 1 or circle[0] in self.edges[circle[0]] for circle in self.circles}
        self.reached = self._reached()
        self.work = 0
        self.is_exponential = any(self._is_exponential(circle) for circle in self.circles)
        if self.is_exponential:
            return
        self.exits = {circle: self._exit(circle) for circle in self.circles if self.is_circle[circle]}
        self.counted = {circle: self._count_runs(circle) for circle in self.circles}

    def _work(self, edges: int) -> None:
        self.work += edges
        if self.work > _MAX_WORK:
            raise PatternError("has too many choices")

    def steps(self, length: int) -> int:
        """Return the most steps of a search in a text of `length` characters."""
        if self.is_exponential:
            return EXPONENTIAL
        reads = length if not self.is_anchored else min(length, self.automaton.max_width)
        choices = max((sum(edges.values()) for edges in self.edges), default=0) + self.automaton.whole.ways_past
        runs = self._runs(length)
        compiling = STEPS_TO_COMPILE * self.automaton.wide_sets
        return min(EXPONENTIAL, length + (reads + 1) * runs * (choices + 1) + compiling)

    def _runs(self, length: int) -> int:
        """Return the most choices that are open at once in a text of `length` characters."""
        runs: dict[int, int] = {}
        for circle in self.circles:  # the circles that come behind are first
            inside = len(circle) if self.is_circle[circle] and self._branches(circle) else 1
            out = max((self._leaving(state, letter, runs) for state in circle for letter in self.letters), default=0)
            total = self.counted[circle]
            if total is not None:
                pass
            elif not self.is_circle[circle]:
                total = max(1, out)
            elif not self._leaves_and_stays(circle):
                total = max(inside, inside * out)
            else:
                way_out = self.exits[circle]
                cap = min(length, max(self.caps[state] for state in circle))
                choices = MAX_WIDTH if way_out.is_free else way_out.behind * len(circle)
                total = inside + inside * out * min(cap, choices)
            for state in circle:
                runs[state] = min(total, EXPONENTIAL)
        return runs[0]

    def _count_runs(self, circle: tuple[int, ...]) -> int | None:
        """
        Count the runs that go on from a circle, by following every text.

        :return: The most runs open at once; None if it depends on the text's length or takes too long to count.
        """
        if not self.is_circle[circle]:
            return None
        if any(self.exits[other].is_free for other in self.exits if other[0] in self.reached[circle]):
            return None
        seen: set[frozenset[tuple[int, int]]] = set()
        open_ = [frozenset({(state, 1)}) for state in circle]
        most, work = 1, 0
        while open_:
            at = open_.pop()
            if at in seen:
                continue
            seen.add(at)
            work += len(at) * len(self.letters)
            if work > _MAX_COUNTED:
                return None
            most = max(most, sum(runs for _, runs in at))
            open_ += filter(None, (self._after(at, letter) for letter in self.letters))
        return most

    def _after(self, runs: frozenset[tuple[int, int]], letter: int) -> frozenset[tuple[int, int]]:
        """Return the states that runs come to with one character, each with the number of runs."""
        after: dict[int, int] = {}
        for state, count in runs:
            for other, ways in self.edges[state].items():
                if self.sets[other] & letter:
                    after[other] = after.get(other, 0) + count * ways
        return frozenset(after.items())

    def _leaving(self, state: int, letter: int, runs: dict[int, int]) -> int:
        """Return the number of runs that leave a state's circle with one character."""
        circle = self.circle_of[state]
        return sum(
            ways * runs[other]
            for other, ways in self.edges[state].items()
            if self.circle_of[other] is not circle and self.sets[other] & letter
        )

    def _branches(self, circle: tuple[int, ...]) -> bool:
        """Return True if one text can be read in two ways inside a circle."""
        members = set(circle)
        return any(self._overlap(other for other in self.edges[state] if other in members) for state in circle)

    def _overlap(self, states: Iterable[int]) -> bool:
        seen = 0
        for state in states:
            if seen & self.sets[state]:
                return True
            seen |= self.sets[state]
        return False

    def _leaves_and_stays(self, circle: tuple[int, ...]) -> bool:
        """Return True if one character can be read by a circle and by a state behind it."""
        members = set(circle)
        if self._branches(circle):
            return any(other not in members for state in circle for other in self.edges[state])
        for state in circle:
            inside = outside = 0
            for other in self.edges[state]:
                if other in members:
                    inside |= self.sets[other]
                else:
                    outside |= self.sets[other]
            if inside & outside:
                return True
        return False

    # --- exponential: one text leads from a state back to it in two ways

    def _is_exponential(self, circle: tuple[int, ...]) -> bool:
        members = set(circle)
        if not self.is_circle[circle]:
            return False
        if any(ways > 1 for state in circle for other, ways in self.edges[state].items() if other in members):
            return True
        if not self._branches(circle):
            return False
        nodes = {(one, two): index for index, (one, two) in enumerate((a, b) for a in circle for b in circle)}
        graph: list[list[int]] = []
        for one, two in nodes:
            self._work(1 + len(self.edges[one]) * len(self.edges[two]))
            graph.append([nodes[pair] for pair in self._pairs(one, two, members)])
        pairs = list(nodes)
        for component in _circles([dict.fromkeys(successors, 1) for successors in graph]):
            kinds = {pairs[index][0] == pairs[index][1] for index in component}
            if len(kinds) == 2:
                return True
        return False

    def _pairs(self, one: int, two: int, members: set[int]) -> Iterator[tuple[int, int]]:
        for first in self.edges[one]:
            if first not in members:
                continue
            for second in self.edges[two]:
                if second in members and self.sets[first] & self.sets[second]:
                    yield first, second

    # --- polynomial: one text leads from p to p, from p to q, and from q to q

    def _exit(self, circle: tuple[int, ...]) -> _Exit:
        behind = [state for state in self.reached[circle] if self.circle_of[state] is not circle]
        others = {self.circle_of[state] for state in behind}
        is_free = any(self.is_circle[other] and self._is_free(circle, other, behind) for other in others)
        return _Exit(is_free, len(behind))

    def _is_free(self, circle: tuple[int, ...], other: tuple[int, ...], behind: list[int]) -> bool:
        between = [*circle, *(state for state in behind if self._leads_to(state, other))]
        self._work(len(circle) * len(between) * len(other))
        index: dict[tuple[int, int, int], int] = {}
        for first in circle:
            for second in between:
                for third in other:
                    index[(first, second, third)] = len(index)
        graph: list[dict[int, int]] = [{} for _ in index]
        for (first, second, third), number in index.items():
            self._work(len(self.edges[first]) * len(self.edges[second]) * len(self.edges[third]))
            graph[number] = {index[triple]: 1 for triple in self._triples(first, second, third) if triple in index}
        pairs = [(index[(p, p, q)], index[(p, q, q)]) for p in circle for q in other]
        for begin, end in pairs:
            graph[end][begin] = 1
        component_of = {node: number for number, nodes in enumerate(_circles(graph)) for node in nodes}
        return any(component_of[begin] == component_of[end] for begin, end in pairs)

    def _triples(self, first: int, second: int, third: int) -> Iterator[tuple[int, int, int]]:
        for one in self.edges[first]:
            for two in self.edges[second]:
                both = self.sets[one] & self.sets[two]
                if both:
                    for three in self.edges[third]:
                        if both & self.sets[three]:
                            yield one, two, three

    def _leads_to(self, state: int, circle: tuple[int, ...]) -> bool:
        return circle[0] in self.reached[self.circle_of[state]]

    def _reached(self) -> dict[tuple[int, ...], set[int]]:
        reached: dict[tuple[int, ...], set[int]] = {}
        for circle in self.circles:  # the circles that come behind are first
            states = set(circle)
            for state in circle:
                for other in self.edges[state]:
                    if self.circle_of[other] is not circle:
                        states |= reached[self.circle_of[other]]
            reached[circle] = states
        return reached


def _letters(sets: Iterable[int]) -> list[int]:
    """Return one bit for each kind of character that some sets distinguish."""
    kinds: list[int] = [functools.reduce(int.__or__, sets, 0)]
    for bits in set(sets):
        kinds = [part for kind in kinds for part in (kind & bits, kind & ~bits) if part]
    return [kind & -kind for kind in kinds]


def _circles(edges: list[dict[int, int]]) -> list[tuple[int, ...]]:
    """Return the strongly connected components of a graph, each after those it leads to (Tarjan's algorithm)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    components: list[tuple[int, ...]] = []
    for root in range(len(edges)):
        if root in order:
            continue
        work = [(root, iter(edges[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            state, others = work[-1]
            for other in others:
                if other not in order:
                    order[other] = low[other] = len(order)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(edges[other])))
                    break
                if other in on_stack:
                    low[state] = min(low[state], order[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[state])
                if low[state] == order[state]:
                    at = stack.index(state)
                    members = stack[at:]
                    del stack[at:]
                    on_stack.difference_update(members)
                    components.append(tuple(members))
    return components

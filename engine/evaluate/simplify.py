"""Fewer vertices for the same outcome: what a row is already known to be is not asked again.

A plan tells status and outputs one beside the other, so that an output asks for the status, and the
status for what makes an output unknown. Where no condition of the status can be unknown, as in rows
whose facts are all given, an output follows from the way to the status: behind `not applicable` there
is no rate, and in front of it a task is above zero. Each output is written along that way, each
condition in a branch as what the branch says of it, and branches that do the same with different
values do it once with the value of the branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.evaluate.graph import CONDITIONS, LEAVES, Graph, Vertex
from engine.evaluate.naming import ERROR, STATUS
from engine.normal import INVERSE

MAX_STEPS = 2_000
"""Vertices looked at before a plan is left as it is, as one of a large table is: there is nothing to be had."""

Context = Mapping[int, int]
"""What some vertices are known to be: a truth, a word, or null."""


class _TooLarge(Exception):
    pass


def simplified(graph: Graph, wanted: Mapping[str, int]) -> dict[str, int]:
    """Vertices with the same values as some wanted ones, where there are such that cost less."""
    try:
        found = _Simplifier(graph).outcome(wanted)
    except (_TooLarge, RecursionError):
        return dict(wanted)
    return found if cost(graph, found.values()) < cost(graph, wanted.values()) else dict(wanted)


def cost(graph: Graph, roots: Iterable[int]) -> int:
    """What it takes to work out some vertices, each distinct one once."""
    seen: set[int] = set()
    waiting = list(roots)
    total = 0
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        vertex = graph[number]
        total += _COST.get(str(vertex.value) if vertex.kind in ("call", "operation") else vertex.kind, 1)
        waiting += graph.uses(number)
    return total


_COST = dict.fromkeys(LEAVES, 0) | {"//": 4, "workdays_after": 6, "workdays_until": 6, "next_workday": 6,
                                    "months_after": 30, "date_of": 30, "year_of": 10, "month_of": 10}


class _Simplifier:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps = 0
        self._assumed: dict[tuple[int, tuple[tuple[int, int], ...]], int] = {}

    def outcome(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """The wanted vertices along the way to the status, where they depend on it."""
        status = self._status(wanted[STATUS]) if STATUS in wanted else None
        return {name: self.assume(number, {}) if status is None or name == ERROR
                else self.along(status, status, number, {}) for name, number in wanted.items()}

    def _status(self, number: int) -> int:
        """The status before it is asked whether the outcome is decided."""
        vertex = self.graph[number]
        if vertex.kind == "choose" and self.graph[vertex.parts[2]].kind == "null":
            inner = self.graph[vertex.parts[1]]
            return vertex.parts[1] if inner.kind == "choose" else number
        return number

    def along(self, way: int, status: int, number: int, context: Context) -> int:
        """A vertex where `context` holds, written along the choices that lead to the status; `way` is what is left.

        Where a condition on the way is unknown, so is the status: what it comes to there is said first.
        """
        vertex = self.graph[way]
        if vertex.kind in ("word", "null"):
            return self.assume(number, {**context, status: way})
        if vertex.kind != "choose":
            return self.assume(number, context)
        condition = self.assume(vertex.parts[0], context)
        test = self.graph[condition]
        if test.kind == "truth" and test.value is not None:
            return self.along(vertex.parts[1 if test.value else 2], status, number, context)
        never = self.graph.never_null(condition)
        if not never and not self._is_open_with(condition, *vertex.parts[1:]):
            return self.assume(number, context)
        then, other = (self.along(part, status, number, self.holding(context, condition, holds))
                       for part, holds in zip(vertex.parts[1:], (True, False), strict=True))
        null = self.graph.vertex("null")
        if not never and self.along(null, status, number, context) != null:
            return self.assume(number, context)
        return self.chosen(condition, then, other, context)

    def _is_open_with(self, condition: int, then: int, other: int) -> bool:
        """Whether a choice between two vertices has no value wherever the condition has none."""
        graph = self.graph
        return graph.differ(then, other) or graph.silences(condition, then) or graph.silences(condition, other)

    def assume(self, number: int, context: Context) -> int:
        """A vertex with the same value in every row in which `context` holds."""
        if number in context:
            return context[number]
        if self.graph[number].kind in LEAVES:
            return number
        key = number, tuple(sorted(context.items()))
        found = self._assumed.get(key)
        if found is None:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise _TooLarge
            found = self._rewritten(self.graph[number], context)
            found = self._assumed[key] = context.get(found, found)
        return found

    def _rewritten(self, vertex: Vertex, context: Context) -> int:
        graph = self.graph
        if vertex.kind == "known":
            inner = self.assume(vertex.parts[0], context)
            known = {graph[number].parts[0] for number, value in context.items()
                     if graph[number].kind == "known" and graph[value].value is True}
            return graph.truth(True) if graph.is_known_with(inner, known) else graph.known(inner)
        if vertex.kind != "choose":
            found = graph.again(vertex, [self.assume(part, context) for part in vertex.parts])
            return graph.truth(True) if self._is_above_zero(graph[found], context) else found
        condition = self.assume(vertex.parts[0], context)
        test = graph[condition]
        if test.kind == "truth" and test.value is not None:
            return self.assume(vertex.parts[1 if test.value else 2], context)
        never = graph.never_null(condition)
        if not never and not self._is_open_with(condition, *vertex.parts[1:]):
            return graph.choose(condition, *(self.assume(part, context) for part in vertex.parts[1:]))
        then, other = (self.assume(part, self.holding(context, condition, holds))
                       for part, holds in zip(vertex.parts[1:], (True, False), strict=True))
        return self.chosen(condition, then, other, context)

    def _is_above_zero(self, vertex: Vertex, context: Context) -> bool:
        """Whether a vertex asks whether a number is zero or more that is."""
        graph = self.graph
        if vertex.kind != "test" or vertex.value != ">=" or graph[vertex.parts[1]] != Vertex("const", 0):
            return False
        above = {graph[number].parts[0] for number, value in context.items() if self._tells_above(number, value)}
        return graph.never_null(vertex.parts[0]) and graph.never_negative(vertex.parts[0], above)

    def _tells_above(self, number: int, value: int) -> bool:
        """Whether a comparison known to hold puts its first side at zero or more."""
        test = self.graph[number]
        if test.kind != "test" or test.value not in (">", ">=") or self.graph[value].value is not True:
            return False
        least = self.graph[test.parts[1]]
        return least.kind == "const" and int(least.value or 0) >= 0

    def holding(self, context: Context, condition: int, holds: bool) -> Context:
        """The context with a condition that is known to hold, or not to, and what follows from that."""
        graph, found = self.graph, dict(context)
        waiting = [(condition, holds)]
        while waiting:
            number, value = waiting.pop()
            found[number] = graph.truth(value)
            found |= {graph.vertex("known", None, part): graph.truth(True) for part in graph.forces(number)}
            vertex = graph[number]
            if vertex.kind == "not":
                waiting.append((vertex.parts[0], not value))
            elif vertex.kind == ("all" if value else "any"):
                waiting += [(part, value) for part in vertex.parts]
            elif vertex.kind == "test":
                found[graph.vertex("test", INVERSE[str(vertex.value)], *vertex.parts)] = graph.truth(not value)
                left, right = vertex.parts
                if vertex.value == ("==" if value else "!=") and graph[right].kind == "word":
                    found[left] = right
                elif (only := self._only(vertex, value)) is not None:
                    found[left] = only
        return found

    def _only(self, test: Vertex, holds: bool) -> int | None:
        """The one constant that a choice of such can be where a comparison of it holds, or does not."""
        graph = self.graph
        values, second = graph.constants(test.parts[0]), test.parts[1]
        if values is None or graph[test.parts[0]].kind != "choose" or graph[second].kind != "const":
            return None
        left = [one for one in values if graph[graph.test(str(test.value), one, second)].value is holds]
        return left[0] if len(left) == 1 else None

    def _tells(self, condition: int) -> bool:
        """Whether a condition compares a choice of constants with one."""
        vertex = self.graph[condition]
        if vertex.kind == "not":
            return self._tells(vertex.parts[0])
        return vertex.kind == "test" and any(self._only(vertex, holds) is not None for holds in (True, False))

    def _one_for_both(self, condition: int, then: int, other: int, context: Context) -> int | None:
        """The branch that comes to the same as the other one where that would be taken; None where neither does."""
        if not self._tells(condition):
            return None
        graph = self.graph
        for branch, instead, holds in ((then, other, False), (other, then, True)):
            if ((graph.never_null(condition) or graph.silences(condition, branch))
                    and self.assume(branch, self.holding(context, condition, holds)) == instead):
                return branch
        return None

    def chosen(self, condition: int, then: int, other: int, context: Context) -> int:
        """A choice between two branches in which a condition is known to hold, and not to."""
        one = self._one_for_both(condition, then, other, context)
        if one is not None:
            return one
        return (self.either if self.graph.never_null(condition) else self.either_known)(condition, then, other)

    def either(self, condition: int, then: int, other: int) -> int:
        """A choice by a condition that is never unknown; what both branches do alike is done once."""
        merged = _Merge(self.graph, condition).of(then, other)
        return self.graph.choose(condition, then, other) if merged is None else merged

    def either_known(self, condition: int, then: int, other: int) -> int:
        """A choice that has no value where the condition is unknown, even if both branches agree there."""
        graph = self.graph
        found = then if then == other else graph.choose(condition, then, other)
        if self._is_open_with(condition, then, other):
            return found
        return graph.choose(graph.known(condition), found, graph.vertex("null"))


class _Merge:
    """Two branches of a choice as one vertex over a choice of the value in which they differ, and of constants."""

    def __init__(self, graph: Graph, condition: int) -> None:
        self.graph, self.condition = graph, condition
        self.pair: tuple[int, int] | None = None

    def of(self, then: int, other: int) -> int | None:
        """The merged vertex; None where the branches are not alike."""
        a, b = self.graph[then], self.graph[other]
        if then == other or not _alike(a, b):
            return None
        return self._merged(then, other)

    def _merged(self, then: int, other: int) -> int | None:
        if then == other:
            return then
        a, b = self.graph[then], self.graph[other]
        if _alike(a, b):
            parts = [self._merged(one, two) for one, two in zip(a.parts, b.parts, strict=True)]
            whole = [part for part in parts if part is not None]
            return self.graph.again(a, whole) if len(whole) == len(parts) else None
        if a.kind in CONDITIONS or b.kind in CONDITIONS or "null" in (a.kind, b.kind):
            return None
        if {a.kind, b.kind} - {"const", "word"}:
            if self.pair not in (None, (then, other)):
                return None
            self.pair = then, other
        return self.graph.choose(self.condition, then, other)


def _alike(a: Vertex, b: Vertex) -> bool:
    return a.kind == b.kind and a.kind not in LEAVES and a.value == b.value and len(a.parts) == len(b.parts)

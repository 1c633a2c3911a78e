"""Fewer vertices for the same outcome: what a row is already known to be is not asked again.

A plan tells status and outputs one beside the other, so that an output asks for the status, and the
status for what makes an output unknown. Where no condition of the status can be unknown, as in rows
whose facts are all given, an output follows from the way to the status: behind `not applicable` there
is no rate, and in front of it a task is above zero. Each output is written along that way, each
condition in a branch as what the branch says of it, and branches that do the same with different
values do it once with the value of the branch. What is asked of undetermined rows alone is written for
them. Last, an output that follows from another takes it from there, and comparisons of the same two
numbers are brought to one left side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from engine.evaluate.columnar import ColumnPlan
from engine.evaluate.graph import CONDITIONS, LEAVES, Graph, Vertex
from engine.evaluate.naming import ERROR, STATUS, denominator_column, missing_column, value_column
from engine.terms import INVERSE, Const

MAX_STEPS = 2_000
"""Vertices looked at before a plan is left as it is, as one of a large table is: there is nothing to be had."""


class _TooLarge(Exception):
    pass


class _Context:
    """What some vertices are known to be: a truth, a word, or null. There is one of each (`Simplifier.context`)."""

    def __init__(self, graph: Graph, facts: Mapping[int, int], number: int) -> None:
        self.graph, self.facts, self.number = graph, facts, number

    @cached_property
    def known(self) -> frozenset[int]:
        """The vertices that are known to have a value."""
        graph = self.graph
        return frozenset(graph[number].parts[0] for number, value in self.facts.items()
                         if graph[number].kind == "known" and graph[value].value is True)

    @cached_property
    def above(self) -> frozenset[int]:
        """The vertices that a comparison known to hold puts at zero or more."""
        return frozenset(self.graph[number].parts[0] for number, value in self.facts.items()
                         if self._tells_above(number, value))

    def _tells_above(self, number: int, value: int) -> bool:
        test = self.graph[number]
        if test.kind != "test" or test.value not in (">", ">=") or self.graph[value].value is not True:
            return False
        least = self.graph[test.parts[1]]
        return least.kind == "const" and int(least.value or 0) >= 0


def outcome_vertices(graph: Graph, plan: ColumnPlan) -> dict[str, int]:
    """Status, outputs and error of a plan by their columns, as short as they can be told; no error where none can be.

    An output has its denominator beside it where that varies.
    """
    found = {STATUS: graph.add(plan.status)}
    for output in plan.outputs:
        found[value_column(output.name)] = graph.add(output.value)
        if not isinstance(output.denominator, Const):
            found[denominator_column(output.name)] = graph.add(output.denominator)
    error = graph.add(plan.error)
    if graph[error].value is not False:
        found[ERROR] = error
    return Simplifier(graph).simplified(found)


def missing_vertices(graph: Graph, plan: ColumnPlan) -> dict[str, int]:
    """For each fact by its column whether it would decide an undetermined row; of all other rows they tell nothing."""
    assert plan.missing is not None, "this plan leaves missing facts to the reference"
    found = {missing_column(name): graph.add(node) for name, node in plan.missing.items()}
    simplifier = Simplifier(graph)
    status = simplifier.simplified({STATUS: graph.add(plan.status)})[STATUS]
    return simplifier.simplified_where_open(status, simplifier.simplified(found))


def _cheapest(graph: Graph, wanted: Mapping[str, int], shorten: Callable[[], dict[str, int]]) -> dict[str, int]:
    """What is wanted or what takes its place, if that can be told and costs less."""
    try:
        found = shorten()
    except (_TooLarge, RecursionError):
        return dict(wanted)
    return found if cost(graph, found.values()) < cost(graph, wanted.values()) else dict(wanted)


def cost(graph: Graph, roots: Iterable[int]) -> int:
    """What it takes to work out some vertices, each distinct one once."""
    total = 0
    for number in _reached(graph, roots):
        vertex = graph[number]
        total += _COST.get(str(vertex.value) if vertex.kind in ("call", "operation") else vertex.kind, 1)
    return total


_COST = dict.fromkeys(LEAVES, 0) | {"//": 4, "workdays_after": 6, "workdays_until": 6, "next_workday": 6,
                                    "months_after": 30, "date_of": 30, "year_of": 10, "month_of": 10}


class Simplifier:
    """Writes vertices of one graph as what is known says; what was written for a context once is not written again."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps = 0
        self._contexts: dict[frozenset[tuple[int, int]], _Context] = {}
        self._held: dict[tuple[int, int, bool], _Context] = {}
        self._assumed: dict[tuple[int, int], int] = {}
        self.nothing = self.context({})

    def context(self, facts: Mapping[int, int]) -> _Context:
        key = frozenset(facts.items())
        found = self._contexts.get(key)
        if found is None:
            found = self._contexts[key] = _Context(self.graph, facts, len(self._contexts))
        return found

    def simplified(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """Vertices with the same values as some wanted ones, where there are such that cost less."""
        graph = self.graph
        found = _cheapest(graph, wanted, lambda: self.outcome(wanted))
        found = _cheapest(graph, found, lambda: _from_each_other(graph, found))
        return _cheapest(graph, found, lambda: _with_one_left_side(graph, found))

    def simplified_where_open(self, status: int, wanted: Mapping[str, int]) -> dict[str, int]:
        """Conditions with the same values as some wanted ones wherever the status is null, where such cost less."""
        return _cheapest(self.graph, wanted, lambda: {
            name: self.where_open(status, number) for name, number in wanted.items()})

    def outcome(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """The wanted vertices along the way to the status, where they depend on it."""
        self.steps = 0
        status = self._status(wanted[STATUS]) if STATUS in wanted else None
        return {name: self.assume(number, self.nothing) if status is None or name == ERROR
                else self.along(status, status, number, self.nothing) for name, number in wanted.items()}

    def where_open(self, status: int, number: int) -> int:
        """A condition where the status is null; false where it never is."""
        self.steps = 0
        found = self.open(status, number, self.nothing)
        return self.graph.truth(False) if found is None else found

    def _status(self, number: int) -> int:
        """The status before it is asked whether the outcome is decided."""
        vertex = self.graph[number]
        if vertex.kind == "choose" and self.graph[vertex.parts[2]].kind == "null":
            inner = self.graph[vertex.parts[1]]
            return vertex.parts[1] if inner.kind == "choose" else number
        return number

    def along(self, way: int, status: int, number: int, context: _Context) -> int:
        """A vertex where `context` holds, written along the choices that lead to the status; `way` is what is left.

        Where a condition on the way is unknown, so is the status: what it comes to there is said first.
        """
        vertex = self.graph[way]
        if vertex.kind in ("word", "null"):
            return self.assume(number, self.context({**context.facts, status: way}))
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

    def open(self, way: int, number: int, context: _Context) -> int | None:
        """A condition where `context` holds and what the status comes to is null; None where it never is.

        `way` is what is left of the choices that lead to the status.
        """
        graph, vertex = self.graph, self.graph[way]
        if graph.never_null(way):
            return None
        if vertex.kind != "choose":
            return self.assume(number, context)
        condition = self.assume(vertex.parts[0], context)
        test = graph[condition]
        if test.kind == "truth":
            if test.value is None:
                return self.assume(number, context)
            return self.open(vertex.parts[1 if test.value else 2], number, context)
        found = {self.open(part, number, self.holding(context, condition, holds))
                 for part, holds in zip(vertex.parts[1:], (True, False), strict=True)}
        if not graph.never_null(condition):
            found.add(self.assume(number, self.context({**context.facts, **self._lacking(condition)})))
        found.discard(None)
        return self.assume(number, context) if len(found) > 1 else next(iter(found), None)

    def _lacking(self, condition: int) -> Mapping[int, int]:
        """What a condition that is null tells: it is, and so is the column that alone can make it so."""
        graph = self.graph
        found = {condition: graph.truth(None), graph.known(condition): graph.truth(False)}
        lacking = graph.lacking(condition)
        if lacking is not None and len(lacking) == 1:
            (column,) = lacking
            found[column] = graph.truth(None) if graph.is_condition(column) else graph.vertex("null")
            found[graph.known(column)] = graph.truth(False)
        return found

    def assume(self, number: int, context: _Context) -> int:
        """A vertex with the same value in every row in which `context` holds."""
        if number in context.facts:
            return context.facts[number]
        if self.graph[number].kind in LEAVES:
            return number
        key = number, context.number
        found = self._assumed.get(key)
        if found is None:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise _TooLarge
            found = self._rewritten(self.graph[number], context)
            found = self._assumed[key] = context.facts.get(found, found)
        return found

    def _rewritten(self, vertex: Vertex, context: _Context) -> int:
        graph = self.graph
        if vertex.kind == "known":
            inner = self.assume(vertex.parts[0], context)
            return graph.truth(True) if graph.is_known_with(inner, context.known) else graph.known(inner)
        if vertex.kind != "choose":
            found = graph.again(vertex, [self.assume(part, context) for part in vertex.parts])
            return graph.truth(True) if self._is_above_zero(graph[found], context) else self._passed(found, context)
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

    def _is_above_zero(self, vertex: Vertex, context: _Context) -> bool:
        """Whether a vertex asks whether a number is zero or more that is."""
        graph = self.graph
        if vertex.kind != "test" or vertex.value != ">=" or graph[vertex.parts[1]] != Vertex("const", 0):
            return False
        return graph.never_null(vertex.parts[0]) and graph.never_negative(vertex.parts[0], context.above)

    def _passed(self, number: int, context: _Context) -> int:
        """Working days between two days, zero at least; without that where the second is known not to be before."""
        graph, vertex = self.graph, self.graph[number]
        if vertex.kind != "operation" or vertex.value != "max" or graph[vertex.parts[1]] != Vertex("const", 0):
            return number
        days = graph[vertex.parts[0]]
        ends = [graph[part] for part in days.parts]
        if days.value != "-" or any(end.kind != "call" or end.value != "workdays_until" for end in ends):
            return number
        (second,), (first,) = (end.parts for end in ends)
        later = (graph.vertex("test", op, *sides) for op, sides in (
            (">", (second, first)), (">=", (second, first)), ("<", (first, second)), ("<=", (first, second))))
        return vertex.parts[0] if any(context.facts.get(one) == graph.truth(True) for one in later) else number

    def holding(self, context: _Context, condition: int, holds: bool) -> _Context:
        """The context with a condition that is known to hold, or not to, and what follows from that."""
        key = context.number, condition, holds
        found = self._held.get(key)
        if found is None:
            found = self._held[key] = self.context({**context.facts, **self._follows(condition, holds)})
        return found

    def _follows(self, condition: int, holds: bool) -> Mapping[int, int]:
        """What is known of vertices where a condition holds, or does not."""
        graph = self.graph
        found: dict[int, int] = {}
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

    def _one_for_both(self, condition: int, then: int, other: int, context: _Context) -> int | None:
        """The branch that comes to the same as the other one where that would be taken; None where neither does."""
        if not self._tells(condition):
            return None
        graph = self.graph
        for branch, instead, holds in ((then, other, False), (other, then, True)):
            if ((graph.never_null(condition) or graph.silences(condition, branch))
                    and self.assume(branch, self.holding(context, condition, holds)) == instead):
                return branch
        return None

    def chosen(self, condition: int, then: int, other: int, context: _Context) -> int:
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


# What is left to share once each vertex is as short as it can be


def _from_each_other(graph: Graph, wanted: Mapping[str, int]) -> dict[str, int]:
    """Values that are null where another wanted one is, and else follow from it, as an amount does from its rate."""
    found = dict(wanted)
    for name, number in wanted.items():
        vertex = graph[number]
        if vertex.kind != "choose" or graph[vertex.parts[1]].kind != "null":
            continue
        condition, null, whole = vertex.parts
        for other in wanted.values():
            inner = graph[other]
            if (other == number or inner.kind != "choose" or inner.parts[:2] != (condition, null)
                    or graph[inner.parts[2]].kind in ("const", "word")):
                continue
            taken = _replaced(graph, whole, {inner.parts[2]: other})
            if taken != whole and other in graph.forces(taken):
                found[name] = taken
                break
    return found


def _with_one_left_side(graph: Graph, wanted: Mapping[str, int]) -> dict[str, int]:
    """Comparisons of multiples of the same two vertices, scaled where that left side is worked out anyway.

    None is scaled beyond the largest multiples that are compared already, so that all fit the same columns.
    """
    pairs: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}
    for number in _reached(graph, wanted.values()):
        vertex = graph[number]
        if vertex.kind == "test":
            (left, x), (right, y) = (_multiple(graph, part) for part in vertex.parts)
            if min(left, right) > 1:
                pairs.setdefault((x, y), {})[number] = left, right
    changes: dict[int, int] = {}
    for (x, y), factors in pairs.items():
        most, largest = (max(sides) for sides in zip(*factors.values(), strict=True))
        for number, (left, right) in factors.items():
            more = most // left
            if more > 1 and most % left == 0 and right * more <= largest:
                sides = [graph.operation("*", graph.vertex("const", factor), part)
                         for factor, part in ((most, x), (right * more, y))]
                changes[number] = graph.test(str(graph[number].value), *sides)
    return {name: _replaced(graph, number, changes) for name, number in wanted.items()} if changes else dict(wanted)


def _multiple(graph: Graph, number: int) -> tuple[int, int]:
    """By how much which vertex is multiplied."""
    vertex = graph[number]
    if vertex.kind == "operation" and vertex.value == "*" and graph[vertex.parts[0]].kind == "const":
        return int(graph[vertex.parts[0]].value or 0), vertex.parts[1]
    return 1, number


def _reached(graph: Graph, roots: Iterable[int]) -> set[int]:
    """All vertices that some are made of, these included."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        number = waiting.pop()
        if number not in seen:
            seen.add(number)
            waiting += graph[number].parts
    return seen


def _replaced(graph: Graph, number: int, done: dict[int, int]) -> int:
    """A vertex with others in place of some that it is made of; `done` tells these, and is added to."""
    if number not in done:
        parts = graph[number].parts
        new = [_replaced(graph, part, done) for part in parts]
        done[number] = number if tuple(new) == parts else graph.again(graph[number], new)
    return done[number]


def _alike(a: Vertex, b: Vertex) -> bool:
    return a.kind == b.kind and a.kind not in LEAVES and a.value == b.value and len(a.parts) == len(b.parts)

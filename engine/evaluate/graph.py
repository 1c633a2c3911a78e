"""A column plan as a graph of distinct nodes: what is shared, what can be null, and in which order to write it.

Terms of the normal form are trees in which lets occur again and again. Here each distinct node is
a vertex with a number, so that an engine computes it once; what is used more than once is set aside
(`Staging`) in layers that depend only on earlier ones. Which columns hold no nulls is known per batch
of rows, and most of three-valued logic falls away where nothing can be null.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from math import gcd
from typing import NamedTuple

from engine.dataclass import dataclass
from engine.errors import EvaluationError
from engine.evaluate.columnar import PARTIAL, calendar_tables
from engine.evaluate.integers import term_value
from engine.model import Field
from engine.terms import (
    INVERSE,
    All,
    AnyOf,
    Choose,
    Column,
    Const,
    DateCall,
    Flag,
    Known,
    Negate,
    Node,
    Null,
    Operation,
    Test,
    Truth,
    Word,
    compare_terms,
    operate,
)
from engine.types import Kind

CONDITIONS = frozenset(("truth", "flag", "test", "all", "any", "not", "known"))
LEAVES = frozenset(("const", "word", "null", "column", "truth", "flag"))


class Vertex(NamedTuple):
    """A node by its kind, its own value (a number, a word, an operator, a name) and its parts' numbers."""

    kind: str
    value: int | str | bool | None = None
    parts: tuple[int, ...] = ()


SETTLED = 366
"""Days before the published calendar's end up to which a day counts as settled."""


class Graph:
    """The distinct nodes of a plan over columns of which some are known to hold no nulls, or nothing else.

    `settled` are columns of days that all lie in the published calendar, `SETTLED` days before its end
    at the latest (`is_settled`): from there the calendar has an answer. `empty` are columns of nulls.
    """

    def __init__(self, facts: Mapping[str, Field], without_nulls: frozenset[str],
                 settled: frozenset[str] = frozenset(), empty: frozenset[str] = frozenset()) -> None:
        self.facts, self.without_nulls, self.settled, self.empty = facts, without_nulls, settled, empty
        self.vertices: list[Vertex] = []
        self._numbers: dict[Vertex, int] = {}
        self._truths: dict[bool | None, int] = {}
        self._seen: dict[int, tuple[Node, int]] = {}
        self._never: dict[int, bool] = {}
        self._forces: dict[int, frozenset[int]] = {}
        self._constants: dict[int, frozenset[int] | None] = {}
        self._lacking: dict[int, frozenset[int] | None] = {}

    def __getitem__(self, number: int) -> Vertex:
        return self.vertices[number]

    # Building

    def add(self, node: Node) -> int:
        """The number of a node of the normal form."""
        seen = self._seen.get(id(node))
        if seen is None:
            seen = self._seen[id(node)] = node, self._add(node)  # the node is kept, so that its id stays its own
        return seen[1]

    def _add(self, node: Node) -> int:
        match node:
            case Const(value):
                return self.vertex("const", value)
            case Word(word):
                return self.vertex("word", word)
            case Null():
                return self.vertex("null")
            case Column(name):
                return self.vertex("null") if name in self.empty else self.vertex("column", name)
            case Operation(op, left, right):
                return self.operation(op, self.add(left), self.add(right))
            case DateCall("workdays_between", arguments) if all(isinstance(part, Const) for part in arguments):
                return self.constant_day(node)
            case DateCall("workdays_between", (start, end)):
                passed = self.operation("-", *(self.until(self.add(day)) for day in (end, start)))
                return self.operation("max", passed, self.vertex("const", 0))
            case DateCall(function, arguments):
                return self.call(function, *(self.add(part) for part in arguments))
            case Choose(condition, then, other):
                return self.choose(self.add(condition), self.add(then), self.add(other))
            case Truth(truth):
                return self.truth(truth)
            case Flag(name):
                return self.truth(None) if name in self.empty else self.vertex("flag", name)
            case Test(op, first, second):
                return self.test(op, self.add(first), self.add(second))
            case All(parts):
                return self.joint("all", [self.add(part) for part in parts])
            case AnyOf(parts):
                return self.joint("any", [self.add(part) for part in parts])
            case Negate(part):
                return self.negate(self.add(part))
            case Known(what):
                return self.known(self.add(what))

    def constant_day(self, call: DateCall) -> int:
        """A calendar function of constants, worked out here; null beyond the calendar's end."""
        try:
            value = term_value(call, {})
        except (EvaluationError, ValueError, OverflowError):
            return self.vertex("null")
        return self.vertex("const", value)

    def call(self, function: str, *parts: int) -> int:
        """A calendar function, worked out where its arguments are constants."""
        if function == "workdays_until":
            return self.until(*parts)
        if all(self[part].kind == "const" for part in parts):
            return self.constant_day(DateCall(function, tuple(Const(int(self[part].value or 0)) for part in parts)))
        return self.strict("call", function, *parts)

    def until(self, day: int) -> int:
        """The vertex for the working days up to a day."""
        vertex = self[day]
        if vertex.kind != "const":
            return self.strict("call", "workdays_until", day)
        place = int(vertex.value or 0) - calendar_tables().first
        passed = calendar_tables().passed
        return self.vertex("const", passed[place]) if 0 <= place < len(passed) else self.vertex("null")

    def vertex(self, kind: str, value: int | str | bool | None = None, *parts: int) -> int:
        found = Vertex(kind, value, parts)
        # True equals 1, so a truth and a number must not share a number: their kinds differ.
        number = self._numbers.get(found)
        if number is None:
            number = self._numbers[found] = len(self.vertices)
            self.vertices.append(found)
        return number

    def strict(self, kind: str, value: str, *parts: int) -> int:
        """A vertex that is null where a part is; folded where a part always is."""
        if any(self[part].kind == "null" for part in parts):
            return self.vertex("null")
        return self.vertex(kind, value, *parts)

    def again(self, vertex: Vertex, parts: Sequence[int]) -> int:
        """A vertex like another with other parts, folded."""
        match vertex.kind:
            case "operation":
                return self.operation(str(vertex.value), *parts)
            case "call":
                return self.call(str(vertex.value), *parts)
            case "choose":
                return self.choose(*parts)
            case "test":
                return self.test(str(vertex.value), *parts)
            case "all" | "any":
                return self.joint(vertex.kind, parts)
            case "not":
                return self.negate(*parts)
        assert vertex.kind == "known", f"{vertex.kind} has no parts"
        return self.known(*parts)

    def operation(self, op: str, left: int, right: int) -> int:
        a, b = self[left], self[right]
        if a.kind == b.kind == "const" and (op != "//" or b.value):
            return self.add(operate(op, Const(int(a.value or 0)), Const(int(b.value or 0))))
        if a.kind == "const" and b.kind == "choose" and all(self[part].kind == "const" for part in b.parts[1:]):
            then, other = (self.operation(op, left, part) for part in b.parts[1:])
            if self.never_null(b.parts[0]) or self.differ(then, other):
                return self.choose(b.parts[0], then, other)
        if op == "*" and any(self._is_zero(part) and self.never_null(other)
                             for part, other in ((left, right), (right, left))):
            return self.vertex("const", 0)
        if op == "//" and b.kind == "const":
            left, right = self._shortened(left, right)
        return self.strict("operation", op, left, right)

    def _is_zero(self, number: int) -> bool:
        return self[number].kind == "const" and self[number].value == 0

    def _shortened(self, dividend: int, divisor: int) -> tuple[int, int]:
        """`(4x + 6) // 10` as `(2x + 3) // 5`: rounding half up makes such."""
        total = self[dividend]
        if total.kind != "operation" or total.value != "+" or self[total.parts[1]].kind != "const":
            return dividend, divisor
        product, more = self[total.parts[0]], int(self[total.parts[1]].value or 0)
        if product.kind != "operation" or product.value != "*" or self[product.parts[0]].kind != "const":
            return dividend, divisor
        factor, whole = int(self[product.parts[0]].value or 0), int(self[divisor].value or 0)
        common = gcd(factor, more, whole)
        if common < 2 or whole < 1:
            return dividend, divisor
        less = self.vertex("const", factor // common)
        scaled = product.parts[1] if factor == common else self.operation("*", less, product.parts[1])
        return (self.operation("+", scaled, self.vertex("const", more // common)),
                self.vertex("const", whole // common))

    def test(self, op: str, first: int, second: int) -> int:
        a, b = self[first], self[second]
        if "null" in (a.kind, b.kind):
            return self.truth(None)
        if a.kind == b.kind == "const":
            return self.add(compare_terms(op, Const(int(a.value or 0)), Const(int(b.value or 0))))
        if a.kind == b.kind == "word":
            return self.truth((a.value == b.value) is (op == "=="))
        return self.vertex("test", op, first, second)

    def truth(self, value: bool | None) -> int:
        number = self._truths.get(value)
        if number is None:
            number = self._truths[value] = self.vertex("truth", value)
        return number

    def negate(self, part: int) -> int:
        inner = self[part]
        if inner.kind == "truth":
            return self.truth(None if inner.value is None else not inner.value)
        if inner.kind == "not":
            return inner.parts[0]
        return self.vertex("not", None, part)

    def known(self, part: int) -> int:
        if self.never_null(part):
            return self.truth(True)
        if self[part].kind in ("null", "truth"):
            return self.truth(False)
        return self.vertex("known", None, part)

    def joint(self, kind: str, parts: Sequence[int]) -> int:
        """`all` or `any` of conditions, folded."""
        neutral, absorbing = self.truth(kind == "all"), self.truth(kind != "all")
        kept: dict[int, None] = {}
        for part in parts:
            inner = self[part].parts if self[part].kind == kind else (part,)
            kept.update(dict.fromkeys(one for one in inner if one != neutral))
        if absorbing in kept:
            return absorbing
        if not kept:
            return neutral
        return next(iter(kept)) if len(kept) == 1 else self.vertex(kind, None, *kept)

    def choose(self, condition: int, then: int, other: int) -> int:
        test = self[condition]
        if test.kind == "truth" and test.value is not None:
            return then if test.value else other
        if self.never_null(condition):
            if test.kind == "not":
                return self.choose(test.parts[0], other, then)
            then, other = self._assuming(condition, True, then), self._assuming(condition, False, other)
        if then == other:
            return then  # where the condition is unknown both sides agree
        if test.kind == "truth":  # unknown in every row: there is a value where both sides agree
            null = self.vertex("null")
            return null if self.differ(then, other) else self.choose(self.vertex("test", "==", then, other), then, null)
        if test.kind == "known" and then == test.parts[0] and self[other].kind == "null":
            return then
        if test.kind == "test":
            shorter = self._given_not(condition, other)
            if shorter != other and self.silences(condition, other) and self.silences(condition, shorter):
                other = shorter
        return self.vertex("choose", None, condition, then, other)

    def _assuming(self, condition: int, holds: bool, branch: int) -> int:
        """A branch where a condition that is never unknown is known to hold, or not."""
        vertex = self[branch]
        if vertex.kind != "choose":
            return branch
        if vertex.parts[0] == condition:
            return self._assuming(condition, holds, vertex.parts[1 if holds else 2])
        if vertex.parts[0] in self._opposites(condition):
            return self._assuming(condition, holds, vertex.parts[2 if holds else 1])
        return branch

    def _opposites(self, condition: int) -> tuple[int, ...]:
        """The vertices that hold where a condition that is never unknown does not."""
        test = self[condition]
        if test.kind != "test":
            return (self.negate(condition),)
        return self.negate(condition), self.vertex("test", INVERSE[str(test.value)], *test.parts)

    def _given_not(self, condition: int, other: int) -> int:
        """The other branch of a bracket, where the test before it has failed: `[85..90)` needs only `< 90`."""
        branch, test = self[other], self[condition]
        if branch.kind != "choose" or self[branch.parts[0]].kind != "all":
            return other
        failed = self.vertex("test", INVERSE[str(test.value)], *test.parts)
        parts = self[branch.parts[0]].parts
        if failed not in parts:
            return other
        kept = self.joint("all", [part for part in parts if part != failed])
        return self.choose(kept, *branch.parts[1:])

    # Nulls

    def never_null(self, number: int) -> bool:
        """Whether a vertex has a value in every row."""
        found = self._never.get(number)
        if found is None:
            found = self._never[number] = self._never_null(self[number])
        return found

    def _never_null(self, vertex: Vertex) -> bool:
        match vertex.kind:
            case "null":
                return False
            case "truth":
                return vertex.value is not None
            case "column" | "flag":
                return vertex.value in self.without_nulls
            case "call" if self.is_partial(vertex):
                return False  # null where the function has no value
            case "known":
                return True
            case "all":
                # Where a part is null because of a vertex that another part says is known, that part is false.
                known = {self[part].parts[0] for part in vertex.parts if self[part].kind == "known"}
                return all(self.is_known_with(part, known) for part in vertex.parts)
        return all(self.never_null(part) for part in vertex.parts)

    def is_known_with(self, number: int, known: Collection[int]) -> bool:
        """Whether a vertex has a value in every row in which some others have."""
        if number in known or self.never_null(number):
            return True
        vertex = self[number]
        if vertex.kind in LEAVES or (vertex.kind == "call" and self.is_partial(vertex)):
            return False
        return all(self.is_known_with(part, known) for part in vertex.parts)

    def is_partial(self, vertex: Vertex) -> bool:
        """Whether a call may have no value for arguments that have one."""
        if vertex.value not in PARTIAL:
            return False
        day = vertex.parts[0]
        match vertex.value:
            case "workdays_until":
                return not self._is_published(day)
            case "next_workday":
                return not self._is_settled(day)
            case "workdays_after":
                count = self[vertex.parts[1]]
                few = count.kind == "const" and 0 <= int(count.value or 0) <= SETTLED // 2
                return not (few and self._is_settled(day))
        return True

    def _is_settled(self, number: int) -> bool:
        vertex = self[number]
        return vertex.kind == "column" and vertex.value in self.settled

    def _is_published(self, number: int) -> bool:
        """Whether a day, where it has a value, lies in the published calendar."""
        vertex = self[number]
        match vertex.kind:
            case "call":
                return vertex.value in ("workdays_after", "next_workday")
            case "choose":
                return all(map(self._is_published, vertex.parts[1:]))
        return vertex.kind == "null" or self._is_settled(number)

    def forces(self, number: int) -> frozenset[int]:
        """The vertices whose being null makes this one null."""
        found = self._forces.get(number)
        if found is None:
            found = self._forces[number] = self._forcing(number)
        return found

    def _forcing(self, number: int) -> frozenset[int]:
        vertex = self[number]
        own = frozenset() if self.never_null(number) else frozenset((number,))
        parts = [self.forces(part) for part in vertex.parts]
        match vertex.kind:
            case "operation" | "test" | "call" | "not":
                return own.union(*parts)
            case "all" | "any":
                return own | frozenset.intersection(*parts)
            case "choose":
                condition, then, other = parts
                if self[vertex.parts[1]].kind == "null":
                    return own | condition | other  # null in any case but one
                if self[vertex.parts[2]].kind == "null":
                    return own | condition | then
                by_condition = condition if self.differ(*vertex.parts[1:]) else condition & (then | other)
                return own | by_condition | (then & other)
        return own

    def causes(self, number: int) -> frozenset[int]:
        """Vertices one of which is null wherever this one is."""
        if self.never_null(number):
            return frozenset()
        vertex = self[number]
        if vertex.kind in ("operation", "test", "not") or (vertex.kind == "call" and not self.is_partial(vertex)):
            return frozenset().union(*(self.causes(part) for part in vertex.parts))
        return frozenset((number,))

    def lacking(self, number: int) -> frozenset[int] | None:
        """Columns and flags one of which is null wherever this vertex is; None where it may be null without that."""
        if number not in self._lacking:
            self._lacking[number] = self._lacks(self[number], number)
        return self._lacking[number]

    def _lacks(self, vertex: Vertex, number: int) -> frozenset[int] | None:
        if self.never_null(number):
            return frozenset()
        if vertex.kind in ("column", "flag"):
            return frozenset((number,))
        if vertex.kind in LEAVES or (vertex.kind == "call" and self.is_partial(vertex)):
            return None
        found: set[int] = set()
        for part in vertex.parts:
            own = self.lacking(part)
            if own is None:
                return None
            found |= own
        return frozenset(found)

    def silences(self, condition: int, branch: int) -> bool:
        """Whether the branch is null wherever the condition is."""
        return self.causes(condition) <= self.forces(branch)

    def differ(self, then: int, other: int) -> bool:
        """Whether two vertices can never hold the same value: different constants, choices of such, or a null."""
        if "null" in (self[then].kind, self[other].kind):
            return True
        a, b = self.constants(then), self.constants(other)
        return a is not None and b is not None and a.isdisjoint(b)

    def constants(self, number: int) -> frozenset[int] | None:
        """The constants one of which a vertex is where it has a value; None where it may be anything else."""
        if number not in self._constants:
            self._constants[number] = self._constants_of(number)
        return self._constants[number]

    def _constants_of(self, number: int) -> frozenset[int] | None:
        vertex = self[number]
        if vertex.kind in ("const", "word"):
            return frozenset((number,))
        if vertex.kind != "choose":
            return frozenset() if vertex.kind == "null" else None
        then, other = (self.constants(part) for part in vertex.parts[1:])
        return None if then is None or other is None else then | other

    def choose_form(self, vertex: Vertex) -> str:
        """How a choice has to be written.

        `plain`: a null condition may take the other branch (there is none, or that branch is null
        too). `flipped`: it may take the first branch. `strict`: it gives null, the branches never
        agree. `full`: it gives null unless both branches agree.
        """
        condition, then, other = vertex.parts
        if self[other].kind == "null" or self.never_null(condition) or self.silences(condition, other):
            return "plain"
        if self[then].kind == "null" or self.silences(condition, then):
            return "flipped"
        return "strict" if self.differ(then, other) else "full"

    def uses(self, number: int) -> tuple[int, ...]:
        """The parts of a vertex, each as often as an engine writes it."""
        vertex = self[number]
        if vertex.kind == "choose":
            form = self.choose_form(vertex)
            condition, then, other = vertex.parts
            if form == "full":
                return (condition, condition, then, then, other, other)
            return (condition, condition, then, other) if form == "strict" else vertex.parts
        if vertex.kind == "operation" and vertex.value in ("min", "max"):
            return vertex.parts * 2
        return vertex.parts

    # Kinds of value

    def is_condition(self, number: int) -> bool:
        return self[number].kind in CONDITIONS

    def is_word(self, number: int) -> bool:
        """Whether a vertex is a text or an enumeration's value."""
        vertex = self[number]
        if vertex.kind == "column":
            return self.facts[str(vertex.value)].type.kind in (Kind.TEXT, Kind.ENUM)
        return vertex.kind == "word" or (vertex.kind == "choose" and any(map(self.is_word, vertex.parts[1:])))

    def is_text(self, number: int) -> bool:
        """Whether a vertex may be a text as written, not only one of the words known beforehand."""
        vertex = self[number]
        if vertex.kind == "column":
            return self.facts[str(vertex.value)].type.kind is Kind.TEXT
        return vertex.kind == "choose" and any(map(self.is_text, vertex.parts[1:]))

    def never_negative(self, number: int, given: Collection[int] = ()) -> bool:
        """Whether a number is proved not to be below zero, as those `given` are: floor and truncation are the same."""
        vertex = self[number]

        def proved(part: int) -> bool:
            return self.never_negative(part, given)

        match vertex.kind:
            case _ if number in given:
                return True
            case "const":
                return int(vertex.value or 0) >= 0
            case "null":
                return True
            case "column":
                low = self.facts[str(vertex.value)].minimum
                return isinstance(low, (int, Fraction)) and low >= 0
            case "operation" if vertex.value in ("+", "*", "//", "min"):
                return all(map(proved, vertex.parts))
            case "operation" if vertex.value == "max":
                return any(map(proved, vertex.parts))
            case "choose":
                return all(map(proved, vertex.parts[1:]))
            case "call":
                return vertex.value in ("workdays_until", "year_of", "month_of")
        return False


def is_settled(first: int, last: int) -> bool:
    """Whether days between two day numbers, both included, are settled."""
    tables = calendar_tables()
    return first >= tables.first and last <= tables.first + len(tables.passed) - 1 - SETTLED


@dataclass(frozen=True)
class Staging:
    """Which vertices are worked out first, in layers: those that are used more than once.

    `layers[i]` holds vertices that depend only on columns and on earlier layers.
    """

    layers: tuple[tuple[int, ...], ...]

    @property
    def aside(self) -> frozenset[int]:
        return frozenset(number for layer in self.layers for number in layer)


def stage(graph: Graph, roots: Iterable[int]) -> Staging:
    """The layers for writing some vertices."""
    wanted = list(roots)
    counts: dict[int, int] = {}
    order: list[int] = []
    reached: set[int] = set()

    def visit(number: int) -> None:
        if number in reached:
            return
        reached.add(number)
        for part in graph.uses(number):
            counts[part] = counts.get(part, 0) + 1
            visit(part)
        order.append(number)

    for root in wanted:
        counts[root] = counts.get(root, 0) + 1
        visit(root)
    depth: dict[int, int] = {}
    layers: list[list[int]] = []
    for number in order:  # parts come before what uses them
        below = max((depth[part] for part in graph[number].parts), default=0)
        if counts[number] > 1 and graph[number].kind not in LEAVES:
            while len(layers) <= below:
                layers.append([])
            layers[below].append(number)
            depth[number] = below + 1
        else:
            depth[number] = below
    return Staging(tuple(tuple(layer) for layer in layers))

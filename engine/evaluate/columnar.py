"""One plan for whole columns: a provision's outcome as terms and conditions of its normal form.

`normal` says what status and outputs come to; an outcome is more than that. Which output goes with
which status, when the whole is undetermined, which facts would decide it, and where a date lies
beyond the published calendar are worked out here, once, so that every columnar engine only has to
write terms and conditions in its own language. No engine is imported here.

What is missing is told by conditions too: for each fact, when the reference evaluator would name
it. They are built as expressions over the provision's own (`_Relevance` follows
`evaluate.python` case by case) and lowered with it. Where a decision table makes them too large,
undetermined rows are left to the reference evaluator itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from math import lcm

from engine.calendar import day_number, published_years, working_days
from engine.dataclass import dataclass
from engine.errors import PackError
from engine.expr import Call, Compare, Expr, IfElse, Literal, Logic, Name, Not, always, children, distinct, walk
from engine.kinds import WITH_MEASURES
from engine.model import Field, Output, Provision
from engine.normal import Plan, PlanOutput, normal_form
from engine.stored import encode
from engine.terms import (
    ONE,
    All,
    AnyOf,
    Choose,
    Column,
    Condition,
    Const,
    DateCall,
    Flag,
    Known,
    Negate,
    Node,
    Null,
    Operation,
    Term,
    Test,
    Truth,
    Word,
    all_of,
    any_of,
    choose_term,
    compare_terms,
    negate,
    nodes,
    operate,
)
from engine.types import BOOLEAN, Kind, Type
from engine.values import Value

PARTIAL = frozenset((
    "workdays_after", "workdays_between", "next_workday", "workdays_until", "months_after", "date_of"))  # fmt: skip
"""Functions without a value for some arguments: beyond the published holiday notices, a month 13, the year 10000.

`workdays_until(day)`, the number of working days up to a day since the calendar begins, is what
engines look up for `workdays_between`; a rule cannot call it.
"""

MAX_RELEVANCE = 200
"""Nodes of a provision up to which its missing facts are told by conditions, which grow with their square."""

_MISSING, _ERROR = "missing of ", "error"


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """One value of the outcome: a whole number over its denominator, a day number, a word, or 1 and 0.

    It is null where the outcome has no such value. Money is fen with denominator 1; a `boolean` is 1 or 0.
    """

    name: str
    kind: Kind
    value: Term
    denominator: Term = ONE


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """A provision over columns.

    `status` is null where the outcome is undetermined; `missing` tells for each fact when it is among
    those that would decide it (meant for undetermined rows only); None leaves that to the reference.
    `error`: the row cannot be evaluated because it reaches beyond the published calendar, or a date that
    is none. `bits` is 64 where every whole number on the way is proved to fit, else 128. `facts` are the
    columns that may be read, in the provision's order.
    """

    provision: str
    facts: Mapping[str, Field]
    status: Term
    outputs: tuple[OutputColumn, ...]
    missing: Mapping[str, Condition] | None
    error: Condition
    bits: int

    def nodes(self) -> Iterator[Node]:
        """Everything an engine has to write."""
        yield self.status
        for output in self.outputs:
            yield output.value
            yield output.denominator
        yield self.error
        yield from (self.missing or {}).values()

    @property
    def read(self) -> frozenset[str]:
        """The facts that the plan reads at all."""
        return frozenset(name for node in self.nodes() for name in column_names(node))


def column_plan(provision: Provision, on: date | None, absent: Mapping[str, Value | None] | None = None) -> ColumnPlan:
    """The plan of a provision for one day's parameters.

    `absent` maps the facts for which there is no column to their value, None where they are unknown;
    they are folded in. Errors (`PackError`): `too-wide` where an intermediate may exceed 128 bits,
    `divisor-may-be-negative`.
    """
    parameters = {name: parameter.on(on) if on else None for name, parameter in provision.parameters.items()}
    relevance = _Relevance(provision)
    told = relevance.size() <= MAX_RELEVANCE
    flags = [Output(_ERROR, relevance.error(), None, False)]
    if told:
        flags += [Output(_MISSING + name, condition, None, False) for name, condition in relevance.missing().items()]
    whole = replace(provision, outputs=(*provision.outputs, *flags))
    try:
        plan, bits = normal_form(whole, parameters), 64
    except PackError as error:
        if any(problem.code != "too-wide" for problem in error.problems):
            raise
        plan, bits = normal_form(whole, parameters, bits=127), 128
    given = _fold(plan, provision.facts, absent or {})
    own = given.outputs[: len(provision.outputs)]
    found = {output.name: output.value for output in given.outputs[len(own) : len(own) + len(flags)]}
    decided = _decided(given.status, (*own, *given.outputs[len(own) + len(flags) :]))
    missing = (
        {
            name.removeprefix(_MISSING): value
            for name, value in found.items()
            if name.startswith(_MISSING) and value != Truth(False)
        }
        if told
        else None
    )
    facts = {name: field for name, field in provision.facts.items() if name not in (absent or {})}
    return ColumnPlan(
        provision.id,
        facts,
        choose_term(decided, given.status, Null()),
        tuple(_output_columns(given.status, own, decided)),
        missing,  # type: ignore[arg-type]
        found[_ERROR],  # type: ignore[arg-type]
        bits,
    )  # flags are conditions


def _fold(plan: Plan, facts: Mapping[str, Field], absent: Mapping[str, Value | None]) -> Plan:
    """The plan with the facts that have no column replaced by their constants."""
    if not absent:
        return plan
    constants = {name: encode(value, facts[name].type) for name, value in absent.items()}
    seen: dict[int, tuple[Node, Node]] = {}

    def fold(node: Node) -> Node:
        return substitute(node, constants, seen)

    outputs = tuple(
        replace(output, value=fold(output.value), denominator=fold(output.denominator))  # type: ignore[arg-type]
        for output in plan.outputs
    )
    return replace(plan, status=fold(plan.status), outputs=outputs)  # type: ignore[arg-type]


def substitute(
    node: Node, constants: Mapping[str, int | str | bool | None], seen: dict[int, tuple[Node, Node]] | None = None
) -> Node:
    """The node with some columns replaced by their values, None where unknown, simplified.

    `seen` holds what was done by a node's id, each with the node itself, so that its id stays its own.
    """
    done: dict[int, tuple[Node, Node]] = {} if seen is None else seen
    found = done.get(id(node))
    if found is None:
        found = done[id(node)] = node, _substituted(node, constants, lambda part: substitute(part, constants, done))
    return found[1]


def _substituted(
    node: Node, constants: Mapping[str, int | str | bool | None], again: Callable[[Node], Node]
) -> Node:
    match node:
        case Column(name) if name in constants:
            value = constants[name]
            if value is None:
                return Null()
            return Word(value) if isinstance(value, str) else Const(value)
        case Flag(name) if name in constants:
            flag = constants[name]
            return Truth(None if flag is None else bool(flag))
        case Operation(op, left, right):
            return operate(op, again(left), again(right))  # type: ignore[arg-type]
        case DateCall(function, arguments):
            days = tuple(again(part) for part in arguments)
            return Null() if Null() in days else DateCall(function, days)  # type: ignore[arg-type]
        case Choose(condition, then, other):
            return choose_term(again(condition), again(then), again(other))  # type: ignore[arg-type]
        case Test(op, left, right):
            return compare_terms(op, again(left), again(right))  # type: ignore[arg-type]
        case All(parts):
            return all_of(tuple(again(part) for part in parts))  # type: ignore[misc]
        case AnyOf(parts):
            return any_of(tuple(again(part) for part in parts))  # type: ignore[misc]
        case Negate(part):
            return negate(again(part))  # type: ignore[arg-type]
        case Known(what):
            return known(again(what))
    return node


def known(what: Node) -> Condition:
    """Whether a node has a value, folded where that is certain."""
    match what:
        case Const() | Word():
            return Truth(True)
        case Null():
            return Truth(False)
        case Truth(value):
            return Truth(value is not None)
    return Known(what)


def column_names(node: Node) -> Iterator[str]:
    """The columns a node reads, each as often as it is read."""
    return (part.name for part in nodes(node) if isinstance(part, (Column, Flag)))


# The outcome


def _decided(status: Term, outputs: Sequence[PlanOutput]) -> Condition:
    """When the outcome is not undetermined: the status is known, and every required output that goes with it."""
    open_parts: list[Condition] = [negate(known(status))]
    for output in outputs:
        if output.required and output.statuses is not None:
            unknown = negate(all_of((known(output.value), known(output.denominator))))
            if unknown != Truth(False):
                open_parts.append(all_of((_is_one_of(status, output.statuses), unknown)))
    return negate(any_of(tuple(open_parts)))


def _is_one_of(status: Term, names: frozenset[str]) -> Condition:
    return any_of(tuple(compare_terms("==", status, Word(name)) for name in sorted(names)))


def _output_columns(status: Term, outputs: Sequence[PlanOutput], decided: Condition) -> Iterator[OutputColumn]:
    """One column a name: the last of the outputs of that name that goes with the status and is known."""
    by_name: dict[str, list[PlanOutput]] = {}
    for output in outputs:
        by_name.setdefault(output.name, []).append(output)
    for name, group in by_name.items():
        scales = [output.denominator.value for output in group if isinstance(output.denominator, Const)]
        common = lcm(*scales) if len(scales) == len(group) else None
        value: Term = Null()
        denominator: Term = Const(common) if common is not None else Null()
        for output in group:
            own = _as_term(output)
            applies: Condition = (
                Truth(True) if output.statuses is None else all_of((decided, _is_one_of(status, output.statuses)))
            )
            here = all_of((applies, known(own), known(output.denominator)))
            if common is not None:
                assert isinstance(output.denominator, Const)
                if output.denominator.value != common:
                    own = operate("*", Const(common // output.denominator.value), own)
            else:
                denominator = choose_term(here, output.denominator, denominator)
            value = choose_term(here, own, value)
        yield OutputColumn(name, group[0].kind, value, denominator)


def _as_term(output: PlanOutput) -> Term:
    value = output.value
    if isinstance(value, (Truth, Flag, Test, All, AnyOf, Negate, Known)):
        return choose_term(value, ONE, Const(0)) if value != Truth(None) else Null()
    return value


# What is missing, and where the calendar ends


def _any(parts: Sequence[Expr]) -> Expr:
    kept = [part for part in distinct(parts) if part != always(False)]
    if any(part == always(True) for part in kept):
        return always(True)
    if not kept:
        return always(False)
    return kept[0] if len(kept) == 1 else Logic("or", tuple(kept))


def _both(*parts: Expr) -> Expr:
    kept = [part for part in distinct(parts) if part != always(True)]
    if any(part == always(False) for part in kept):
        return always(False)
    if not kept:
        return always(True)
    return kept[0] if len(kept) == 1 else Logic("and", tuple(kept))


def _is_known(expr: Expr) -> Expr:
    if isinstance(expr, Literal):
        return always(expr.value is not None)
    return Call("is_known", (expr,), type=BOOLEAN)


def _is_open(expr: Expr) -> Expr:
    return _none(_is_known(expr))


def _none(expr: Expr) -> Expr:
    """The contrary of a condition that is never unknown where it is asked."""
    return always(not expr.value) if isinstance(expr, Literal) and expr.value is not None else Not(expr)


class _Relevance:
    """When the reference evaluator names a fact as missing, and when it stops at the calendar's end.

    Every condition built here is true or false, never unknown: a side that is not known is asked
    about with `is_known` first.
    """

    def __init__(self, provision: Provision) -> None:
        self.provision = provision
        self.lets = {let.name: let.expr for let in provision.lets}
        self._reads: dict[int, frozenset[str]] = {}
        self._calls: dict[str, bool] = {}
        self._waits: dict[tuple[int, str], Expr] = {}
        """By the ids of the provision's own expressions, which stay: to hash one goes through all of it."""
        self._open: dict[frozenset[str], Expr] = {}
        self._fails: dict[Expr, Expr] = {}

    def size(self) -> int:
        """How many nodes the status and the outputs have with every let written out."""
        sizes: dict[str, int] = {}

        def size_of(expr: Expr) -> int:
            if isinstance(expr, Name) and expr.role == "let":
                if expr.name not in sizes:
                    sizes[expr.name] = size_of(self.lets[expr.name])
                return sizes[expr.name]
            return 1 + sum(size_of(part) for part in children(expr))

        return size_of(self.provision.status) + sum(
            size_of(expr)
            for expr in (
                *(output.expr for output in self.provision.outputs),
                *(measure.condition for measure in self.provision.measures if measure.condition is not None),
            )
        )

    def missing(self) -> dict[str, Expr]:
        found = {}
        for name, field in self.provision.facts.items():
            parts = [_both(_is_open(self.provision.status), self.waits(self.provision.status, name))]
            for output in self.provision.outputs:
                if output.required and output.statuses is not None:
                    parts.append(
                        _both(self.may_be(output.statuses), _is_open(output.expr), self.waits(output.expr, name))
                    )
            for measure in self.provision.measures:
                if measure.condition is not None:
                    parts.append(_both(self.is_one_of(WITH_MEASURES), self.waits(measure.condition, name)))
            condition = _any(parts)
            if field.asked_when is not None and condition != always(False):
                condition = _both(condition, _is_known(field.asked_when), field.asked_when)
            if condition != always(False):
                found[name] = condition
        return found

    def error(self) -> Expr:
        parts = [self.fails(self.provision.status)]
        for output in self.provision.outputs:
            if output.required:
                applies = always(True) if output.statuses is None else self.may_be(output.statuses)
                parts.append(_both(applies, self.fails(output.expr)))
        parts += [
            _both(self.is_one_of(WITH_MEASURES), self.fails(measure.condition))
            for measure in self.provision.measures
            if measure.condition is not None
        ]
        return _any(parts)

    # Statuses still open

    def may_be(self, statuses: frozenset[str]) -> Expr:
        if statuses not in self._open:
            self._open[statuses] = _any([self._reaches(self.provision.status, one) for one in sorted(statuses)])
        return self._open[statuses]

    def is_one_of(self, statuses: frozenset[str]) -> Expr:
        """When the status is known and one of some."""
        return _both(_is_known(self.provision.status), self.may_be(statuses))

    def _reaches(self, expr: Expr, status: str) -> Expr:
        match expr:
            case IfElse(condition, then, other):
                return _any(
                    [
                        _both(self._not_false(condition), self._reaches(then, status)),
                        _both(self._not_true(condition), self._reaches(other, status)),
                    ]
                )
            case Literal(value):
                return always(value == status)
        is_it = Compare("==", expr, Literal(status, Type(Kind.ENUM, values=expr.type.values)))
        possible = status in (expr.type.values or ())
        return _any([_both(_is_known(expr), is_it), _both(_is_open(expr), always(possible))])

    @staticmethod
    def _not_false(condition: Expr) -> Expr:
        return _any([_is_open(condition), _both(_is_known(condition), condition)])

    @staticmethod
    def _not_true(condition: Expr) -> Expr:
        return _any([_is_open(condition), _both(_is_known(condition), Not(condition))])

    # Facts waited for

    def reads(self, expr: Expr) -> frozenset[str]:
        """The facts an expression may depend on, through its lets."""
        known = self._reads.get(id(expr))
        if known is None:
            if isinstance(expr, Name):
                known = self.reads(self.lets[expr.name]) if expr.role == "let" else frozenset(
                    (expr.name,) if expr.role == "fact" else ())
            else:
                known = frozenset().union(*map(self.reads, children(expr)))
            self._reads[id(expr)] = known
        return known

    def waits(self, expr: Expr, fact: str) -> Expr:
        """When the fact is among those an unknown value of the expression waits for; false where it has a value."""
        key = id(expr), fact
        if key not in self._waits:
            self._waits[key] = self._waiting(expr, fact) if fact in self.reads(expr) else always(False)
        return self._waits[key]

    def _waiting(self, expr: Expr, fact: str) -> Expr:
        match expr:
            case Name(name):
                return self.waits(self.lets[name], fact) if expr.role == "let" else _is_open(expr)
            case Call(function="is_known"):
                return always(False)
            case IfElse(condition, then, other):
                undecided = _any([self.waits(part, fact) for part in (condition, then, other)])
                return _any(
                    [
                        _both(_is_known(condition), condition, self.waits(then, fact)),
                        _both(_is_known(condition), Not(condition), self.waits(other, fact)),
                        _both(_is_open(condition), _is_open(expr), undecided),
                    ]
                )
            case Logic(_, operands):
                return _both(_is_open(expr), _any([self.waits(part, fact) for part in operands]))
        return _any([self.waits(part, fact) for part in children(expr)])

    # Dates beyond the calendar

    def _has_calendar(self, expr: Expr) -> bool:
        for node in walk(expr):
            if isinstance(node, Call) and node.function in PARTIAL:
                return True
            if isinstance(node, Name) and node.role == "let":
                if node.name not in self._calls:
                    self._calls[node.name] = self._has_calendar(self.lets[node.name])
                if self._calls[node.name]:
                    return True
        return False

    def fails(self, expr: Expr) -> Expr:
        """When evaluating the expression reaches a date without a published calendar."""
        if expr not in self._fails:
            self._fails[expr] = self._failing(expr) if self._has_calendar(expr) else always(False)
        return self._fails[expr]

    def _failing(self, expr: Expr) -> Expr:
        match expr:
            case Name(name):
                return self.fails(self.lets[name])
            case Logic(op, operands):
                # A side that can be worked out and settles the whole does so even where another side cannot be.
                failing = [self.fails(part) for part in operands]
                settling = [
                    _both(_none(fails), _is_known(part), _none(part) if op == "and" else part)
                    for fails, part in zip(failing, operands, strict=True)
                ]
                return _both(_any(failing), _none(_any(settling)))
            case IfElse(condition, then, other) if then == other:
                return self.fails(then)
            case IfElse(condition, then, other):
                return _any(
                    [
                        self.fails(condition),
                        _both(self._not_false(condition), self.fails(then)),
                        _both(self._not_true(condition), self.fails(other)),
                    ]
                )
            case Call(function, arguments) if function in PARTIAL:
                # Columnar engines give null for a date they cannot look up.
                beyond = _both(*(_is_known(part) for part in arguments), _is_open(expr))
                return _any([*(self.fails(part) for part in arguments), beyond])
        return _any([self.fails(part) for part in children(expr)])


# Words


def words_of(plan: ColumnPlan) -> tuple[str, ...]:
    """Every word of a plan, statuses and enumeration values: their places are how columns hold them."""
    found: dict[str, None] = {}
    for field in plan.facts.values():
        found.update(dict.fromkeys(field.type.values or ()))
    found.update(dict.fromkeys(node.value for node in nodes(*plan.nodes()) if isinstance(node, Word)))
    return tuple(found)


# The calendar by position


@dataclass(frozen=True, slots=True)
class CalendarTables:
    """The published calendar as arrays, one entry a day from `first` (a day number).

    `passed[i]`: working days up to and including day i. `working[k]`: day number of the k-th working
    day, from 0. `following[i]`: day number of the first working day on or after day i, None at the end.
    """

    first: int
    passed: tuple[int, ...]
    working: tuple[int, ...]
    following: tuple[int | None, ...]


@lru_cache(maxsize=1)
def calendar_tables() -> CalendarTables:
    """The tables of the published years."""
    first_year, last_year = published_years()
    first, last = day_number(date(first_year, 1, 1)), day_number(date(last_year, 12, 31))
    working = tuple(day_number(day) for day in working_days())
    passed: list[int] = []
    following: list[int | None] = []
    place = 0
    for day in range(first, last + 1):
        following.append(working[place] if place < len(working) else None)
        if place < len(working) and working[place] == day:
            place += 1
        passed.append(place)
    return CalendarTables(first, tuple(passed), working, tuple(following))

"""A provision as formulas of the solver, from its normal form: its outcome and any condition one asks about.

An integer of the solver has no width, so nothing can overflow; null is carried as a formula that says
when a term has a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from math import lcm
from typing import Any

from engine.dataclass import dataclass
from engine.expr import Expr
from engine.model import Output, Provision
from engine.normal import Plan, normal_form
from engine.solver import (
    Formula,
    Maybe,
    Number,
    Space,
    Three,
    both,
    differs,
    either,
    implies,
    negation,
    pick,
)  # fmt: skip
from engine.terms import (
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
    Null,
    Operation,
    Term,
    Test,
    Truth,
    Word,
)
from engine.types import Kind

try:
    import z3
except ImportError:  # `Space` says so
    z3 = None

BITS = 100_000
"""The solver's integers have no width; only a range without any bound is refused."""
MAX_VALUES = 40
MEASURED = frozenset(("triggered", "triggered_discretionary"))


@dataclass(frozen=True, slots=True)
class Shown:
    """A value an outcome carries: when it does, and the value as a quotient."""

    present: Formula
    value: Any
    denominator: Number
    kind: Kind


class Encoded:
    """A provision as formulas over a space.

    `probes` are further conditions or numbers over the provision's names, answered by `condition` and
    `quotient`. `renamed` gives facts another variable, to compare two cases that differ in them.
    Errors (`PackError`): those of `normal_form` (a fact without bounds, a divisor that may be negative).
    """

    def __init__(
        self,
        space: Space,
        provision: Provision,
        on: date | None,
        probes: Mapping[str, Expr] | None = None,
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        self.space, self.provision, self.renamed = space, provision, renamed or {}
        parameters = {name: parameter.on(on) if on else None for name, parameter in provision.parameters.items()}
        extra = [
            Output(f"measure {number}", measure.condition, None, False)
            for number, measure in enumerate(provision.measures)
            if measure.condition is not None
        ]
        extra += [Output(f"probe {name}", expr, None, False) for name, expr in (probes or {}).items()]
        self.plan: Plan = normal_form(replace(provision, outputs=(*provision.outputs, *extra)), parameters, BITS)
        self._memo: dict[int, tuple[Any, Any]] = {}
        self._choices: dict[int, frozenset[int] | None] = {}
        for name, field in provision.facts.items():
            space.variable(self.renamed.get(name, name), field)
        self.status = self.term(self.plan.status)
        self._extra = {output.name: output for output in self.plan.outputs[len(provision.outputs) :]}
        self._encode_outcome()

    def _encode_outcome(self) -> None:
        settled: list[Formula] = [self.status.known]
        shown: list[tuple[str, Formula, Formula, Any, Number, Kind]] = []
        for output in self.plan.outputs[: len(self.provision.outputs)]:
            known, value, denominator = self._quotient(output.value, output.denominator)
            here = True if output.statuses is None else self.has_status(output.statuses)
            if output.required and output.statuses is not None:
                settled.append(implies(here, known))
            shown.append((output.name, here, known, value, denominator, output.kind))
        for number, measure in enumerate(self.provision.measures):
            if measure.condition is not None:
                held = self.probe_condition(f"measure {number}")
                settled.append(implies(self.has_status(MEASURED), either(held.yes, held.no)))
        self.settled = both(*settled)
        self.outputs: dict[str, Shown] = {}
        for (name, here, known, value, denominator, kind), output in zip(shown, self.plan.outputs, strict=False):
            present = both(known, here, True if output.statuses is None else self.settled)
            old = self.outputs.get(name)
            if old is not None:
                value, denominator = self._merged(present, value, denominator, old)
                present = either(present, old.present)
            self.outputs[name] = Shown(present, value, denominator, kind)
        self.measures: dict[str, Formula] = {}
        for number, measure in enumerate(self.provision.measures):
            true = True if measure.condition is None else self.probe_condition(f"measure {number}").yes
            here = both(self.settled, self.has_status(MEASURED), true)
            self.measures[measure.text.zh] = either(self.measures.get(measure.text.zh, False), here)

    @staticmethod
    def _merged(present: Formula, value: Any, denominator: Number, old: Shown) -> tuple[Any, Number]:
        """The later of two outputs of one name where it is present, over one denominator."""
        if z3.is_int_value(denominator) and z3.is_int_value(old.denominator):
            common = lcm(denominator.as_long(), old.denominator.as_long())
            return (
                pick(
                    present,
                    value * (common // denominator.as_long()),
                    old.value * (common // old.denominator.as_long()),
                ),
                z3.IntVal(common),
            )
        return pick(present, value, old.value), pick(present, denominator, old.denominator)

    def has_status(self, statuses: Iterable[str]) -> Formula:
        return both(
            self.status.known, either(*(self.status.value == self.space.word(status) for status in sorted(statuses)))
        )

    # Questions

    def condition(self, probe: str) -> Three:
        """A probe that is a condition."""
        return self.probe_condition(f"probe {probe}")

    def probe_condition(self, name: str) -> Three:
        found = self._extra[name].value
        assert isinstance(found, (Truth, Flag, Test, All, AnyOf, Negate, Known)), f"{name} is not a condition"
        return self.truth(found)

    def number(self, probe: str) -> tuple[Formula, Any, Number]:
        """A probe that is a number: when it is known, its numerator and denominator."""
        output = self._extra[f"probe {probe}"]
        return self._quotient(output.value, output.denominator)

    def _quotient(self, value: Term | Condition, denominator: Term) -> tuple[Formula, Any, Number]:
        if isinstance(value, (Truth, Flag, Test, All, AnyOf, Negate, Known)):
            held = self.truth(value)
            return either(held.yes, held.no), pick(held.yes, z3.IntVal(1), z3.IntVal(0)), z3.IntVal(1)
        top, bottom = self.term(value), self.term(denominator)
        return both(top.known, bottom.known), top.value, bottom.value

    # Terms and conditions

    def term(self, term: Term) -> Maybe:
        found = self._memo.get(id(term))
        if found is None:
            found = self._memo[id(term)] = (term, self._term(term))
        return found[1]

    def _term(self, term: Term) -> Maybe:
        match term:
            case Const(value):
                return Maybe(True, z3.IntVal(value))
            case Word(text):
                return Maybe(True, z3.IntVal(self.space.word(text)))
            case Null():
                return Maybe(False, z3.IntVal(0))
            case Column(name):
                return self.space.variables[self.renamed.get(name, name)]
            case Choose(condition, then, other):
                test, a, b = self.truth(condition), self.term(then), self.term(other)
                undecided = both(negation(test.yes), negation(test.no))
                known = either(
                    both(test.yes, a.known),
                    both(test.no, b.known),
                    False if undecided is False else both(undecided, a.known, b.known, a.value == b.value),
                )
                return Maybe(known, pick(test.no, b.value, a.value))
            case DateCall(function, arguments):
                parts = [self.term(part) for part in arguments]
                known = both(*(part.known for part in parts))
                return Maybe(known, self.space.apply(function, tuple(part.value for part in parts), known))
            case Operation(op, left, right):
                return self._operation(op, left, right)

    def _operation(self, op: str, left: Term, right: Term) -> Maybe:
        a, b = self.term(left), self.term(right)
        known = both(a.known, b.known)
        match op:
            case "+":
                return Maybe(known, a.value + b.value)
            case "-":
                return Maybe(known, a.value - b.value)
            case "min":
                return Maybe(known, z3.If(a.value <= b.value, a.value, b.value))
            case "max":
                return Maybe(known, z3.If(a.value >= b.value, a.value, b.value))
            case "//":
                return Maybe(known, self._by_value(right, b.value, lambda divisor: a.value / divisor))
        # A product of two facts is hard for a solver; where one side takes few values, it is a choice of multiples.
        if self.choices(left) is not None:
            return Maybe(known, self._by_value(left, a.value, lambda factor: factor * b.value))
        return Maybe(known, self._by_value(right, b.value, lambda factor: a.value * factor))

    def _by_value(self, term: Term, value: Number, make: Callable[[Number], Number]) -> Number:
        choices = self.choices(term)
        if choices is None:
            return make(value)
        first, *others = sorted(choices)
        result = make(z3.IntVal(first))
        for choice in others:
            result = z3.If(value == choice, make(z3.IntVal(choice)), result)
        return result

    def choices(self, term: Term) -> frozenset[int] | None:
        """The few whole numbers a term can come to, or None where there are many."""
        if id(term) not in self._choices:
            self._choices[id(term)] = self._few(term)
        return self._choices[id(term)]

    def _few(self, term: Term) -> frozenset[int] | None:
        match term:
            case Const(value):
                return frozenset((value,))
            case Null():
                return frozenset((0,))
            case Choose(_, then, other):
                a, b = self.choices(then), self.choices(other)
                return a | b if a is not None and b is not None and len(a | b) <= MAX_VALUES else None
            case Operation(op, left, right):
                a, b = self.choices(left), self.choices(right)
                if a is None or b is None or len(a) * len(b) > MAX_VALUES**2 or (op == "//" and min(b) <= 0):
                    return None
                combine: dict[str, Callable[[int, int], int]] = {
                    "+": lambda x, y: x + y,
                    "-": lambda x, y: x - y,
                    "*": lambda x, y: x * y,
                    "//": lambda x, y: x // y,
                    "min": min,
                    "max": max,
                }
                found = frozenset(combine[op](x, y) for x in a for y in b)
                return found if len(found) <= MAX_VALUES else None
        return None

    def truth(self, condition: Condition) -> Three:
        found = self._memo.get(id(condition))
        if found is None:
            found = self._memo[id(condition)] = (condition, self._truth(condition))
        return found[1]

    def _truth(self, condition: Condition) -> Three:
        match condition:
            case Truth(value):
                return Three(value is True, value is False)
            case Flag(name):
                flag = self.space.variables[self.renamed.get(name, name)]
                return Three(both(flag.known, flag.value), both(flag.known, negation(flag.value)))
            case Test(op, left, right):
                a, b = self.term(left), self.term(right)
                known = both(a.known, b.known)
                held = {
                    "<": lambda x, y: x < y,
                    "<=": lambda x, y: x <= y,
                    ">": lambda x, y: x > y,
                    ">=": lambda x, y: x >= y,
                    "==": lambda x, y: x == y,
                    "!=": lambda x, y: x != y,
                }[op](a.value, b.value)
                return Three(both(known, held), both(known, z3.Not(held)))
            case All(parts):
                inner = [self.truth(part) for part in parts]
                return Three(both(*(part.yes for part in inner)), either(*(part.no for part in inner)))
            case AnyOf(parts):
                inner = [self.truth(part) for part in parts]
                return Three(either(*(part.yes for part in inner)), both(*(part.no for part in inner)))
            case Negate(part):
                held_of = self.truth(part)
                return Three(held_of.no, held_of.yes)
            case Known(what):
                if isinstance(what, (Truth, Flag, Test, All, AnyOf, Negate, Known)):
                    of = self.truth(what)
                    known = either(of.yes, of.no)
                else:
                    known = self.term(what).known
                return Three(known, negation(known))


def outcomes_differ(left: Encoded, right: Encoded) -> Formula:
    """When two provisions over one space come to different outcomes (status, values or measures)."""
    parts = [
        differs(left.settled, right.settled),
        both(left.settled, right.settled, left.status.value != right.status.value),
    ]
    for name in left.outputs.keys() | right.outputs.keys():
        a, b = left.outputs.get(name), right.outputs.get(name)
        if a is None or b is None:
            parts.append((a or b).present)  # type: ignore[union-attr]
            continue
        parts.append(differs(a.present, b.present))
        parts.append(both(a.present, b.present, a.value * b.denominator != b.value * a.denominator))
    for text in left.measures.keys() | right.measures.keys():
        parts.append(differs(left.measures.get(text, False), right.measures.get(text, False)))
    return either(*parts)

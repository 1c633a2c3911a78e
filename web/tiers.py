"""Where a provision's outcome changes as one fact moves: thresholds solved from the rule, not searched for.

Every comparison, `min` and `max` the provision holds is, with the other facts given, a relation
between fractions of linear terms in the moving fact; its boundary is the root of one equation. The
roots cut the line into points and open intervals on each of which the outcome keeps one shape, so one
evaluation tells each apart; neighbours of one shape are joined into a tier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor, isqrt

from engine.errors import EvaluationError
from engine.evaluate.python import Facts, Unknown, evaluate
from engine.expr import Arithmetic, Call, Compare, Expr, IfElse, Name, children
from engine.model import Field, Provision
from engine.outcome import Outcome, assess, names_of
from engine.types import Kind
from engine.values import Value, shrink

MAX_CUTS = 200
_EPOCH = date(1, 1, 1)


@dataclass(frozen=True, slots=True)
class Term:
    """(a·x + b) / (c·x + d), exact."""

    a: Fraction
    b: Fraction
    c: Fraction = Fraction(0)
    d: Fraction = Fraction(1)

    @property
    def is_constant(self) -> bool:
        return self.a == 0 and self.c == 0

    @property
    def is_linear(self) -> bool:
        return self.c == 0

    @property
    def constant(self) -> Fraction:
        return self.b / self.d


@dataclass(frozen=True, slots=True)
class Tier:
    """A stretch of the fact on which the outcome keeps its status, rate and formula.

    Bounds are engine values of the fact, None where there is none. `first` and `last` are the money or
    rate at its ends (None where an end is open).
    """

    low: Fraction | None
    low_in: bool
    high: Fraction | None
    high_in: bool
    outcome: Outcome
    line: tuple[Fraction, Fraction] | None
    """The figure as slope and intercept over the fact, before rounding."""

    def holds(self, x: Fraction) -> bool:
        above = self.low is None or x > self.low or (self.low_in and x == self.low)
        return above and (self.high is None or x < self.high or (self.high_in and x == self.high))

    def figure(self, x: Fraction) -> Fraction | None:
        return None if self.line is None else self.line[0] * x + self.line[1]


@dataclass(frozen=True, slots=True)
class Tiers:
    """All tiers of a fact in order; `complete` is False where a part of the rule could not be solved."""

    fact: Field
    tiers: tuple[Tier, ...]
    complete: bool
    here: int | None
    """The tier of the present value."""
    assess: Callable[[Fraction], Outcome | None] = field(repr=False, compare=False)
    """The outcome at a value of the fact."""
    step: Fraction | None
    """The least difference between two values of the fact: a fen, a day, one; None for a ratio."""

    def entry(self, place: int, upward: bool) -> tuple[Fraction, bool] | None:
        """The first value inside a tier coming from below or above, and whether it lies in the tier itself."""
        tier = self.tiers[place]
        bound, inside = (tier.low, tier.low_in) if upward else (tier.high, tier.high_in)
        if bound is None:
            return None
        if self.step is None:
            return bound, inside
        steps = bound / self.step
        if upward:
            whole = ceil(steps) if inside or steps.denominator != 1 else floor(steps) + 1
        else:
            whole = floor(steps) if inside or steps.denominator != 1 else ceil(steps) - 1
        return whole * self.step, True


MOVABLE = (Kind.MONEY, Kind.RATIO, Kind.QUANTITY, Kind.DATE)


def number_of(value: Value) -> Fraction:
    """A value on the number line; a date is the days since the year 1."""
    if isinstance(value, date):
        return Fraction((value - _EPOCH).days)
    assert isinstance(value, (int, Fraction))
    return Fraction(value)


def day_of(number: Fraction) -> date:
    return _EPOCH + timedelta(days=int(number))


def value_of(number: Fraction, field: Field) -> Value:
    if field.type.kind is Kind.DATE:
        return day_of(number)
    return shrink(number)


def step_of(field: Field) -> Fraction | None:
    if field.type.kind in (Kind.MONEY, Kind.DATE) or field.type.integer:
        return Fraction(1)
    return None


def explore(provision: Provision, values: Mapping[str, Value | None], name: str, on: date | None) -> Tiers:
    """The tiers of one fact, the others as given. Unknown others make undetermined tiers."""
    fact = provision.facts[name]
    finder = _Finder(provision, values, name, on)
    cuts = sorted(finder.cuts())[:MAX_CUTS]
    low, high = _bound(fact.minimum), _bound(fact.maximum)
    cuts = [cut for cut in cuts if (low is None or cut >= low) and (high is None or cut <= high)]
    edges = sorted({*cuts, *(edge for edge in (low, high) if edge is not None)})
    step = step_of(fact)
    cells = [cell for cell in _cells(edges, low, high) if step is None or _has_value(cell, step)]
    tiers: list[Tier] = []
    for cell in cells:
        tier = finder.tier(cell, step)
        if tier is None:
            continue
        if tiers and _same(tiers[-1], tier):
            line = tier.line if tiers[-1].low == tiers[-1].high else tiers[-1].line  # a point has no slope of its own
            tiers[-1] = replace(tiers[-1], high=tier.high, high_in=tier.high_in, line=line)
        else:
            if tiers and _meets(tiers[-1], tier):
                tiers[-1], tier = replace(tiers[-1], high_in=False), replace(tier, low_in=True)
            tiers.append(tier)
    present = values.get(name)
    here = None
    if present is not None and not isinstance(present, (str, bool)):
        x = number_of(present)
        here = next((place for place, tier in enumerate(tiers) if tier.holds(x)), None)
    return Tiers(fact, tuple(tiers), finder.complete, here, finder.outcome, step)


def _bound(value: Value | None) -> Fraction | None:
    return None if value is None or isinstance(value, (str, bool)) else number_of(value)


_Cell = tuple[Fraction | None, Fraction | None]
"""An open interval, or a point where both ends are equal."""


def _cells(edges: list[Fraction], low: Fraction | None, high: Fraction | None) -> Iterator[_Cell]:
    """Points and the open intervals between and beyond them, in order."""
    if not edges:
        yield None, None
        return
    if low is None:
        yield None, edges[0]
    for first, second in pairwise(edges):
        yield first, first
        yield first, second
    yield edges[-1], edges[-1]
    if high is None:
        yield edges[-1], None


def _has_value(cell: _Cell, step: Fraction) -> bool:
    low, high = cell
    if low is None or high is None:
        return True
    if low == high:
        return (low / step).denominator == 1
    return (floor(low / step) + 1) * step < high


def _same(first: Tier, second: Tier) -> bool:
    """Whether two neighbouring cells are one tier: same verdict, and the figures lie on one line."""
    a, b = first.outcome, second.outcome
    if (a.status, a.values.get("rate"), a.measures, a.missing) != (
        b.status,
        b.values.get("rate"),
        b.measures,
        b.missing,
    ):
        return False
    if first.line is None or second.line is None:
        return first.line is second.line
    if second.low == second.high and second.low is not None:  # a point lies on the line or not
        return first.figure(second.low) == second.figure(second.low)
    if first.low == first.high and first.low is not None:
        return first.figure(first.low) == second.figure(first.low)
    return first.line == second.line


def _meets(first: Tier, second: Tier) -> bool:
    """Whether the figures of two tiers meet at a kink; what is reached there belongs to the second."""
    if first.line is None or second.line is None or not first.high_in or first.low == first.high:
        return False
    edge = second.low
    same_verdict = (first.outcome.status, first.outcome.values.get("rate")) == (
        second.outcome.status,
        second.outcome.values.get("rate"),
    )
    return edge is not None and same_verdict and first.figure(edge) == second.figure(edge)


def figure_of(outcome: Outcome) -> Fraction | None:
    """The money of an outcome before rounding, in fen; its rate where it has no money."""
    for name in ("amount", "amount_max", "rate"):
        value = outcome.unrounded.get(name, outcome.values.get(name))
        if value is not None and not isinstance(value, (str, date)):
            return Fraction(value)
    return None


class _Finder:
    """Solves the comparisons of one provision for one fact."""

    def __init__(self, provision: Provision, values: Mapping[str, Value | None], name: str, on: date | None) -> None:
        self.provision, self.values, self.name, self.on = provision, dict(values), name, on
        self.complete = True
        self.names: Facts = names_of(provision, {**values, name: None}, on)
        self.lets = {let.name: let.expr for let in provision.lets}
        self._moving: dict[int, bool] = {}

    # Terms

    def moves(self, expr: Expr) -> bool:
        """Whether the fact has any part in an expression."""
        key = id(expr)
        if key not in self._moving:
            match expr:
                case Name(name):
                    found = name == self.name or (name in self.lets and self.moves(self.lets[name]))
                case _:
                    found = any(self.moves(part) for part in children(expr))
            self._moving[key] = found
        return self._moving[key]

    def terms(self, expr: Expr) -> list[Term]:
        """What an expression can be, piece by piece; empty where it is unknown or cannot be solved."""
        if not self.moves(expr):
            value = self._constant(expr)
            return [] if value is None else [Term(Fraction(0), value)]
        match expr:
            case Name(name):
                return [Term(Fraction(1), Fraction(0))] if name == self.name else self.terms(self.lets[name])
            case Arithmetic(op, left, right):
                pairs = [(a, b) for a in self.terms(left) for b in self.terms(right)]
                found = [_combine(op, a, b) for a, b in pairs]
                if None in found:
                    self.complete = False
                return [term for term in found if term is not None]
            case IfElse(_, then, other):
                return [*self.terms(then), *self.terms(other)]
            case Call("min" | "max", arguments):
                return [term for part in arguments for term in self.terms(part)]
            case Call("abs", (inner,)):
                return [
                    signed for term in self.terms(inner) for signed in (term, Term(-term.a, -term.b, term.c, term.d))
                ]
        self.complete = False
        return []

    def _constant(self, expr: Expr) -> Fraction | None:
        try:
            value = evaluate(expr, self.names)
        except EvaluationError:
            return None
        if isinstance(value, (Unknown, str, bool)):
            return None
        return number_of(value)

    # Cuts

    def cuts(self) -> set[Fraction]:
        """Every value at which something in the provision may turn."""
        found: set[Fraction] = set()
        outputs = [output.expr for output in self.provision.outputs if output.required]
        seen: set[int] = set()
        stack: list[Expr] = [self.provision.status, *outputs]
        while stack:
            expr = stack.pop()
            if id(expr) in seen or not self.moves(expr):
                continue
            seen.add(id(expr))
            match expr:
                case Compare(_, left, right):
                    found.update(self._roots(self.terms(left), self.terms(right)))
                case Call("min" | "max", arguments):
                    parts = [self.terms(part) for part in arguments]
                    for number, first in enumerate(parts):
                        for second in parts[number + 1 :]:
                            found.update(self._roots(first, second))
                case Call("abs", (inner,)):
                    found.update(self._roots(self.terms(inner), [Term(Fraction(0), Fraction(0))]))
                case Call("is_known", _):
                    pass
                case Call():
                    self.complete = False
                case Arithmetic("/", _, right):
                    found.update(self._roots(self.terms(right), [Term(Fraction(0), Fraction(0))]))
                case Name(name) if name in self.lets:
                    stack.append(self.lets[name])
            stack.extend(children(expr))
        return found

    def _roots(self, left: list[Term], right: list[Term]) -> Iterator[Fraction]:
        for a in left:
            for b in right:
                yield from self._solve(a, b)

    def _solve(self, p: Term, q: Term) -> Iterator[Fraction]:
        """The roots of p = q, cross-multiplied."""
        square = p.a * q.c - q.a * p.c
        linear = p.a * q.d + p.b * q.c - q.a * p.d - q.b * p.c
        rest = p.b * q.d - q.b * p.d
        if square == 0:
            if linear != 0:
                yield -rest / linear
            return
        under = linear * linear - 4 * square * rest
        if under < 0:
            return
        root = Fraction(isqrt(under.numerator), isqrt(under.denominator))
        if root * root != under:
            self.complete = False
            return
        yield (-linear + root) / (2 * square)
        yield (-linear - root) / (2 * square)

    # Tiers

    def outcome(self, x: Fraction) -> Outcome | None:
        try:
            return assess(
                self.provision, {**self.values, self.name: value_of(x, self.provision.facts[self.name])}, self.on
            )
        except (EvaluationError, OverflowError, ValueError):
            return None

    def tier(self, cell: _Cell, step: Fraction | None) -> Tier | None:
        low, high = cell
        is_point = low is not None and low == high
        if is_point:
            assert low is not None
            outcome = self.outcome(low)
            figure = figure_of(outcome) if outcome is not None else None
            line = None if figure is None else (Fraction(0), figure)
            return None if outcome is None else Tier(low, True, low, True, outcome, line)
        first, second = _inside(low, high, step)
        outcome = self.outcome(first)
        if outcome is None:
            return None
        line = None
        figure = figure_of(outcome)
        if figure is not None:
            other = self.outcome(second) if second != first else None
            after = figure_of(other) if other is not None else None
            slope = (after - figure) / (second - first) if after is not None else Fraction(0)
            line = (slope, figure - slope * first)
        return Tier(low, False, high, False, outcome, line)


def _inside(low: Fraction | None, high: Fraction | None, step: Fraction | None) -> tuple[Fraction, Fraction]:
    """Two values inside an open interval (one twice where it holds no more)."""
    if low is None and high is None:
        first, second = Fraction(0), Fraction(1)
    elif low is None:
        assert high is not None
        first, second = high - 2, high - 1
    elif high is None:
        first, second = low + 1, low + 2
    else:
        first, second = low + (high - low) / 3, low + (high - low) * 2 / 3
    if step is None:
        return first, second
    snapped = floor(first / step) * step if low is None else ceil(first / step) * step
    if high is not None and snapped >= high and low is not None:
        snapped = (floor(low / step) + 1) * step
    later = max(snapped, floor(second / step) * step)
    if later == snapped and (high is None or snapped + step < high):
        later = snapped + step
    return snapped, later


def _combine(op: str, p: Term, q: Term) -> Term | None:
    """p op q where that is again a fraction of linear terms."""
    if op in "+-":
        sign = 1 if op == "+" else -1
        if p.is_linear and q.is_linear:
            return Term(p.a / p.d + sign * q.a / q.d, p.b / p.d + sign * q.b / q.d)
        if q.is_constant:
            k = sign * q.constant
            return Term(p.a + k * p.c, p.b + k * p.d, p.c, p.d)
        if p.is_constant:
            k = p.constant
            return Term(sign * q.a + k * q.c, sign * q.b + k * q.d, q.c, q.d)
        if (p.c, p.d) == (q.c, q.d):
            return Term(p.a + sign * q.a, p.b + sign * q.b, p.c, p.d)
        return None
    if op == "/":
        if q.a == 0 and q.b == 0:
            return None
        q = Term(q.c, q.d, q.a, q.b)
    if q.is_constant and q.d != 0:
        return Term(p.a * q.constant, p.b * q.constant, p.c, p.d)
    if p.is_constant:
        return Term(q.a * p.constant, q.b * p.constant, q.c, q.d)
    if p.is_linear and q.a == 0:
        return Term(p.a / p.d * q.b, p.b / p.d * q.b, q.c, q.d)
    return None


__all__ = ["MOVABLE", "Tier", "Tiers", "explore", "figure_of", "number_of", "step_of", "value_of"]

"""Where a provision's outcome changes as one fact moves: thresholds solved from the rule, not searched for.

From the present value both ways: the stretch of the fact on which the rule keeps its form is worked out
(`stretches`), one evaluation tells its outcome, and the next begins where it ends. Neighbours of one
outcome are joined into a tier. So the tiers next to the present value are exact however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from math import ceil, floor

from engine.errors import Problem
from engine.model import Field, Provision
from engine.outcome import Outcome
from engine.types import Kind
from engine.values import Value
from web.stretches import FIGURES, Moving, Stretch
from web.terms import LAST_DAY, Term, number_of

MAX_TIERS = 200
"""Tiers followed each way from the present value."""
MAX_STRETCHES = 1000
"""Stretches looked at each way; what lies beyond is left out and said to be."""

MOVABLE = (Kind.MONEY, Kind.RATIO, Kind.QUANTITY, Kind.DATE)


@dataclass(frozen=True, slots=True)
class Tier:
    """A stretch of the fact on which the outcome keeps its status, rate and formula.

    Bounds are engine values of the fact, None where there is none. `outcome` is that of one value in it;
    where there is none (a day beyond the calendar), the problem that says why.
    """

    low: Fraction | None
    low_in: bool
    high: Fraction | None
    high_in: bool
    outcome: Outcome | Problem
    figures: Mapping[str, Term]
    """The amounts and rates along it, before rounding."""

    @property
    def status(self) -> str | None:
        return None if isinstance(self.outcome, Problem) else self.outcome.status

    @property
    def verdict(self) -> tuple[object, ...]:
        """What is the same all along it."""
        if isinstance(self.outcome, Problem):
            return (self.outcome.code,)
        return self.outcome.status, self.outcome.measures, self.outcome.missing

    @property
    def is_point(self) -> bool:
        return self.low is not None and self.low == self.high

    def holds(self, x: Fraction) -> bool:
        above = self.low is None or x > self.low or (self.low_in and x == self.low)
        return above and (self.high is None or x < self.high or (self.high_in and x == self.high))

    @property
    def term(self) -> Term | None:
        """The figure along the fact: the amount, the highest amount or the rate."""
        return next((self.figures[name] for name in FIGURES if name in self.figures), None)

    @property
    def line(self) -> tuple[Fraction, Fraction] | None:
        """The figure as slope and intercept, before rounding."""
        return self.term.line if self.term is not None else None

    def figure(self, x: Fraction) -> Fraction | None:
        """The figure at a value in it or at its end; None where there is none."""
        return None if self.term is None or self.term.is_pole(x) else self.term.at(x)


@dataclass(frozen=True, slots=True)
class Tiers:
    """The tiers of a fact in order."""

    fact: Field
    tiers: tuple[Tier, ...]
    complete: bool
    """False where a part of the rule could not be solved."""
    is_cut: bool
    """Whether further tiers, far from the present value, are left out."""
    here: int | None
    """The tier of the present value."""
    steady: frozenset[str]
    """The outputs that the fact has no part in, and the figures that are followed."""
    assess: Callable[[Fraction], Outcome | Problem] = field(repr=False, compare=False)
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


def explore(provision: Provision, values: Mapping[str, Value | None], name: str, on: date | None) -> Tiers:
    """The tiers of one fact, the others as given. Unknown others make undetermined tiers."""
    moving = Moving(provision, values, name, on)
    line = _Line(moving)
    present = line.present(values.get(name))
    start = present if present is not None else line.start
    here = line.cell(start)
    upward, above_cut = line.follow(here, upward=True)
    downward, below_cut = line.follow(here, upward=False)
    tiers = _joined([*reversed(downward), here, *upward])
    if provision.facts[name].type.kind is Kind.DATE:  # the ends of the calendar are nobody's bounds
        tiers = [_without_ends(tier, line) for tier in tiers]
    return Tiers(
        moving.field,
        tuple(tiers),
        moving.is_solved,
        above_cut or below_cut,
        next((place for place, tier in enumerate(tiers) if tier.holds(start)), None) if present is not None else None,
        frozenset(
            output.name
            for output in provision.outputs
            if output.name in FIGURES
            or not any(moving.moves(other.expr) for other in provision.outputs if other.name == output.name)
        ),
        moving.outcome,
        moving.step,
    )


class _Line:
    """The values a fact can take, followed stretch by stretch."""

    def __init__(self, moving: Moving) -> None:
        self.moving, self.step = moving, moving.step
        is_day = moving.field.type.kind is Kind.DATE
        low, high = _bound(moving.field.minimum), _bound(moving.field.maximum)
        self.low = Fraction(0) if low is None and is_day else low
        self.high = LAST_DAY if high is None and is_day else high
        self._looked = 0

    def present(self, value: Value | None) -> Fraction | None:
        """The present value, where it is one the fact can take."""
        x = _bound(value)
        if x is None or (self.low is not None and x < self.low) or (self.high is not None and x > self.high):
            return None
        return x

    @property
    def start(self) -> Fraction:
        """Where to begin without a present value."""
        if self.moving.field.type.kind is Kind.DATE and self.moving.on is not None:
            day = self.present(self.moving.on)
            if day is not None:
                return day
        return self.low if self.low is not None else min(Fraction(0), self.high or Fraction(0))

    def cell(self, x: Fraction) -> Tier:
        """The stretch around a value, within the values the fact can take."""
        stretch = Stretch(self.moving, x)
        self._looked += 1
        low, high = stretch.low, stretch.high
        low_in = high_in = stretch.is_point
        if self.low is not None and (low is None or low < self.low):
            low, low_in = self.low, True
        if self.high is not None and (high is None or high > self.high):
            high, high_in = self.high, True
        return Tier(low, low_in, high, high_in, stretch.outcome, stretch.figures)

    def follow(self, first: Tier, upward: bool) -> tuple[list[Tier], bool]:
        """The stretches beyond one, and whether there are more than were looked at."""
        found: list[Tier] = []
        last, changes, self._looked = first, 0, 0
        while (x := self._next(last, upward)) is not None:
            if changes >= MAX_TIERS:
                return found, True
            edge, cell = _end(last, upward)[0], self.cell(x)
            assert edge is not None
            while self.step is None and (near := _end(cell, not upward)[0]) is not None and _between(edge, near, x):
                x = (edge + near) / 2  # something turns between
                cell = self.cell(x)
                if self._looked >= MAX_STRETCHES:
                    return found, True
            if upward:
                cell = replace(cell, low=edge, low_in=x == edge)
            else:
                cell = replace(cell, high=edge, high_in=x == edge)
            changes += not (_same(last, cell) if upward else _same(cell, last))
            found.append(cell)
            if self._looked >= MAX_STRETCHES:
                return found, True
            last = cell
        return found, False

    def _next(self, last: Tier, upward: bool) -> Fraction | None:
        """A value beyond a stretch, the very next one where values have steps; None where the line ends."""
        edge, covered = _end(last, upward)
        end = self.high if upward else self.low
        if edge is None or (edge == end and covered):
            return None
        if not covered and (self.step is None or edge.denominator == 1):
            return edge
        x = Fraction(floor(edge) + 1 if upward else ceil(edge) - 1)
        if end is None or (x <= end if upward else x >= end):
            return x
        return end if self.step is None else None


def _end(tier: Tier, upward: bool) -> tuple[Fraction | None, bool]:
    return (tier.high, tier.high_in) if upward else (tier.low, tier.low_in)


def _between(first: Fraction, x: Fraction, second: Fraction) -> bool:
    """Whether x lies between two values, or is the second."""
    return first < x <= second or second <= x < first


def _bound(value: Value | None) -> Fraction | None:
    return None if value is None or isinstance(value, (str, bool)) else number_of(value)


def _without_ends(tier: Tier, line: _Line) -> Tier:
    fact = line.moving.field
    if fact.minimum is None and tier.low == line.low:
        tier = replace(tier, low=None, low_in=False)
    if fact.maximum is None and tier.high == line.high:
        tier = replace(tier, high=None, high_in=False)
    return tier


def _joined(cells: list[Tier]) -> list[Tier]:
    """Neighbouring stretches of one outcome as one tier."""
    tiers: list[Tier] = []
    for cell in cells:
        if tiers and _same(tiers[-1], cell):
            shown = cell if tiers[-1].is_point else tiers[-1]  # a point has no slope of its own
            tiers[-1] = replace(shown, low=tiers[-1].low, low_in=tiers[-1].low_in, high=cell.high, high_in=cell.high_in)
            continue
        if tiers and _meets(tiers[-1], cell):
            tiers[-1], cell = replace(tiers[-1], high_in=False), replace(cell, low_in=True)
        tiers.append(cell)
    return tiers


def _same(first: Tier, second: Tier) -> bool:
    """Whether two neighbouring stretches are one tier: same verdict, and the figures lie on one line."""
    if first.verdict != second.verdict:
        return False
    if first.figures.keys() != second.figures.keys():
        return False
    return all(_agree(term, first, second.figures[name], second) for name, term in first.figures.items())


def _agree(p: Term, first: Tier, q: Term, second: Tier) -> bool:
    for tier in (second, first):
        if tier.is_point:  # a point lies on the line or not
            assert tier.low is not None
            return p.at(tier.low) == q.at(tier.low)
    return p.is_same(q)


def _meets(first: Tier, second: Tier) -> bool:
    """Whether the figures of two tiers meet at a kink; what is reached there belongs to the second."""
    edge = second.low
    if edge is None or not first.high_in or first.is_point or first.verdict != second.verdict:
        return False
    if not first.figures or first.figures.keys() != second.figures.keys():
        return False
    return all(term.at(edge) == second.figures[name].at(edge) for name, term in first.figures.items())


__all__ = ["MOVABLE", "Tier", "Tiers", "explore"]

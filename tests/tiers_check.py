"""Whether tiers say what evaluations say: at their bounds, beside them, and anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from fractions import Fraction
from random import Random

from engine.errors import Problem
from engine.types import Kind
from web.stretches import figure_of
from web.terms import LAST_DAY, number_of
from web.tiers import Tier, Tiers

FINEST = Fraction(1, 10_000)
_SOME_DAYS = (number_of(date(2003, 1, 1)), number_of(date(2029, 1, 1)))


def points(found: Tiers, chance: Random, anywhere: int = 4) -> list[Fraction]:
    """Each bound, one step to either side, and values drawn between and around them."""
    step = found.step or FINEST
    edges = {edge for tier in found.tiers for edge in (tier.low, tier.high) if edge is not None}
    low, high = min(edges, default=Fraction(0)), max(edges, default=Fraction(10**6))
    if found.fact.type.kind is Kind.DATE:
        low, high = min(low, _SOME_DAYS[0]), max(high, _SOME_DAYS[1])
    xs = {_at(edge, found) + shift * step for edge in edges for shift in (-1, 0, 1)}
    width = int((high - low) / step) + 200
    xs |= {_at(low, found) + chance.randrange(-100, width) * step for _ in range(anywhere)}
    least, most = (
        None if bound is None else number_of(bound) for bound in (found.fact.minimum, found.fact.maximum)
    )
    if found.fact.type.kind is Kind.DATE:
        least, most = least or Fraction(0), most or LAST_DAY
    return sorted(x for x in xs if (least is None or x >= least) and (most is None or x <= most))


def _at(edge: Fraction, found: Tiers) -> Fraction:
    return edge if found.step is None else edge // found.step * found.step


def differences(found: Tiers, xs: Iterable[Fraction]) -> Iterator[tuple[Fraction, object, object]]:
    """Where an evaluation comes to something else than the tier that holds the value."""
    for x in xs:
        tier = next((tier for tier in found.tiers if tier.holds(x)), None)
        if tier is None:
            if not found.is_cut:
                yield x, found.assess(x), None
        elif (told := _told(tier, x)) != (is_so := _so(found, x)):
            yield x, is_so, told


def _told(tier: Tier, x: Fraction) -> object:
    if isinstance(tier.outcome, Problem):
        return tier.outcome.code
    figures = {name: term.at(x) for name, term in tier.figures.items()}
    return tier.outcome.status, tier.outcome.missing, tier.outcome.measures, figures, tier.figure(x)


def _so(found: Tiers, x: Fraction) -> object:
    outcome = found.assess(x)
    if isinstance(outcome, Problem):
        return outcome.code
    figures = {
        name: Fraction(outcome.unrounded.get(name, outcome.values[name]))  # type: ignore[arg-type]
        for name in ("amount", "amount_max", "rate")
        if name in outcome.values
    }
    return outcome.status, outcome.missing, outcome.measures, figures if outcome.status != "undetermined" else {}, (
        figure_of(outcome) if outcome.status != "undetermined" else None
    )

"""The number line a fact moves along, and fractions of linear terms in it, exact: combined, compared, solved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from math import isqrt

from engine.model import Field
from engine.types import Kind
from engine.values import Value, shrink

_EPOCH = date(1, 1, 1)
LAST_DAY = Fraction((date.max - _EPOCH).days)
"""The number of the last day there is; the first is 0."""


def number_of(value: Value) -> Fraction:
    """A value on the number line; a date is the days since the year 1."""
    if isinstance(value, date):
        return Fraction((value - _EPOCH).days)
    assert isinstance(value, (int, Fraction))
    return Fraction(value)


def day_of(number: Fraction) -> date:
    """The date at a number."""
    return _EPOCH + timedelta(days=int(number))


def value_of(number: Fraction, field: Field) -> Value:
    """The fact's value at a number."""
    if field.type.kind is Kind.DATE:
        return day_of(number)
    return shrink(number)


@dataclass(frozen=True, slots=True)
class Term:
    """(a·x + b) / (c·x + d), exact."""

    a: Fraction
    b: Fraction
    c: Fraction = Fraction(0)
    d: Fraction = Fraction(1)

    @classmethod
    def constant(cls, value: Fraction) -> Term:
        return cls(Fraction(0), value)

    def at(self, x: Fraction) -> Fraction:
        return (self.a * x + self.b) / (self.c * x + self.d)

    def is_pole(self, x: Fraction) -> bool:
        return self.c * x + self.d == 0

    @property
    def line(self) -> tuple[Fraction, Fraction] | None:
        """Slope and intercept; None where it is a hyperbola."""
        if self.a * self.d == self.b * self.c:  # the same value everywhere
            return Fraction(0), self.b / self.d if self.d else self.a / self.c
        return None if self.c else (self.a / self.d, self.b / self.d)

    def is_same(self, other: Term) -> bool:
        return not any(_difference(self, other))


X = Term(Fraction(1), Fraction(0))
"""The fact itself."""


def combine(op: str, p: Term, q: Term) -> Term | None:
    """p op q where that is again a fraction of linear terms; q is not zero everywhere where op divides."""
    if op == "/":
        return combine("*", p, Term(q.c, q.d, q.a, q.b))
    p, q = _reduced(p), _reduced(q)
    if op == "*":
        (a, b), (c, d) = _cancelled((p.a, p.b), (q.c, q.d))
        (e, f), (g, h) = _cancelled((q.a, q.b), (p.c, p.d))
        if (a and e) or (c and g):
            return None
        return Term(a * f + b * e, b * f, c * h + d * g, d * h)
    sign = 1 if op == "+" else -1
    if (p.c, p.d) == (q.c, q.d):
        return Term(p.a + sign * q.a, p.b + sign * q.b, p.c, p.d)
    if q.a == q.c == 0:
        return Term(p.a + sign * q.b * p.c, p.b + sign * q.b * p.d, p.c, p.d)
    if p.a == p.c == 0:
        return Term(sign * q.a + p.b * q.c, sign * q.b + p.b * q.d, q.c, q.d)
    return None


def _reduced(term: Term) -> Term:
    """A line over one; a hyperbola with a leading one below."""
    line = term.line
    if line is not None:
        return Term(*line)
    return Term(term.a / term.c, term.b / term.c, Fraction(1), term.d / term.c)


_Linear = tuple[Fraction, Fraction]


def _cancelled(above: _Linear, below: _Linear) -> tuple[_Linear, _Linear]:
    """Two linear terms of which one is a multiple of the other become numbers."""
    if above[0] and below[0] and above[0] * below[1] == above[1] * below[0]:
        return (Fraction(0), above[0]), (Fraction(0), below[0])
    return above, below


def _difference(p: Term, q: Term) -> tuple[Fraction, Fraction, Fraction]:
    """p − q, cross-multiplied: the factors of x², x and 1."""
    return (
        p.a * q.c - q.a * p.c,
        p.a * q.d + p.b * q.c - q.a * p.d - q.b * p.c,
        p.b * q.d - q.b * p.d,
    )


def roots(p: Term, q: Term) -> Iterator[tuple[Fraction, bool]]:
    """Where p = q, and whether exactly there; an irrational root is given as the half between two whole numbers."""
    square, linear, rest = _difference(p, q)
    if square == 0:
        if linear != 0:
            yield -rest / linear, True
        return
    under = linear * linear - 4 * square * rest
    if under < 0:
        return
    above, below = isqrt(under.numerator), isqrt(under.denominator)
    if above * above == under.numerator and below * below == under.denominator:
        for sign in (1, -1):
            yield (-linear + sign * Fraction(above, below)) / (2 * square), True
        return
    # (−linear ± √under) / 2·square over one denominator: (whole ± √radicand) / divisor, in integers, divisor > 0
    scale = linear.denominator * square.denominator * under.denominator
    divisor = int(2 * square * scale)
    whole, radicand = int(-linear * scale), int(under * scale * scale)
    if divisor < 0:
        divisor, whole = -divisor, -whole
    for part in (isqrt(radicand), -isqrt(radicand) - 1):
        yield Fraction((whole + part) // divisor) + Fraction(1, 2), False


__all__ = ["LAST_DAY", "Term", "X", "combine", "day_of", "number_of", "roots", "value_of"]

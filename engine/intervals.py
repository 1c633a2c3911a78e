"""Intervals: the least and greatest value a term can take, from the bounds declared on facts.

Sound, not tight: every value a term really takes lies inside. None is unbounded.
"""

from __future__ import annotations

from engine.dataclass import dataclass

DAYS = 200_000
"""Day numbers stay within this of 1970-01-01: `datetime.date` ends in 9999, the calendars long before."""


@dataclass(frozen=True, slots=True)
class Interval:
    low: int | None
    high: int | None

    def plus(self, other: Interval) -> Interval:
        return Interval(
            None if self.low is None or other.low is None else self.low + other.low,
            None if self.high is None or other.high is None else self.high + other.high,
        )

    def negated(self) -> Interval:
        return Interval(None if self.high is None else -self.high, None if self.low is None else -self.low)

    def join(self, other: Interval) -> Interval:
        return Interval(
            None if self.low is None or other.low is None else min(self.low, other.low),
            None if self.high is None or other.high is None else max(self.high, other.high),
        )

    def least(self, other: Interval, greatest: bool = False) -> Interval:
        """The interval of `min` (or `max`) of the two: bounded by either on its own side."""
        if greatest:
            return self.negated().least(other.negated()).negated()
        low = None if self.low is None or other.low is None else min(self.low, other.low)
        highs = [high for high in (self.high, other.high) if high is not None]
        return Interval(low, min(highs) if highs else None)


def product(a: Interval, b: Interval) -> Interval:
    if a == Interval(0, 0) or b == Interval(0, 0):
        return Interval(0, 0)
    if None in (a.low, a.high, b.low, b.high):
        low = 0 if (a.low or -1) >= 0 and (b.low or -1) >= 0 else None
        if a.low is not None and b.low is not None and a.low >= 0 and b.low >= 0:
            low = a.low * b.low
        return Interval(low, None)
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]  # type: ignore[operator]
    return Interval(min(corners), max(corners))


def quotient_floor(a: Interval, b: Interval) -> Interval:
    """`a // b` for a divisor of at least one."""
    if a.low is None or a.high is None:
        return Interval(0 if a.low is not None and a.low >= 0 else None, None)
    low, high = max(1, b.low or 1), b.high
    divisors = [low] if high is None else [low, max(low, high)]
    corners = [x // d for x in (a.low, a.high) for d in divisors]
    if high is None:
        corners += [0 if a.low >= 0 else -1, 0]
    return Interval(min(corners), max(corners))


def interval_of_call(function: str, arguments: list[Interval]) -> Interval:
    match function:
        case "year_of":
            return Interval(1, 9999)
        case "month_of":
            return Interval(1, 12)
        case "workdays_between":
            return Interval(0, 10_000)
    return Interval(-DAYS, DAYS)

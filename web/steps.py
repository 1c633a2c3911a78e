"""How the functions of the rule language step as one argument moves: what it takes to solve them.

Each is, in each argument and with the others held, defined on one stretch of it, and there it only rises
or only falls. So the argument at which it comes to a bound is found exactly: by a formula where any
number may be given, by bisection over the whole numbers (days, months, counts) where only those may.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import ceil

from engine import calendar
from engine.builtins import FUNCTIONS
from engine.values import Value
from web.terms import LAST_DAY, day_of, number_of

Range = tuple[Fraction | None, Fraction | None]
"""Both ends belong to it; None where there is none."""
NOWHERE: Range = (Fraction(1), Fraction(0))
_LAST_MONTH = 9999 * 12 + 11


@dataclass(frozen=True, slots=True)
class Step:
    """A function in one of its arguments.

    `domain` is where the argument may lie, given all arguments (of its own place only the surroundings
    count: a month rises within its year). `unit` is what its values are multiples of, given the other
    arguments. `reach`, where any number may be given, is the argument at which a bound is reached;
    without it the argument is whole.
    """

    domain: Callable[[Sequence[Value]], Range]
    rises: bool = True
    unit: Callable[[Sequence[Value]], Fraction] = lambda _: Fraction(1)
    reach: Callable[[Fraction, Sequence[Value]], Fraction] | None = None


def turn(function: str, place: int, arguments: Sequence[Value], bound: Fraction, within: Range) -> Fraction | None:
    """The argument from which on the function is at least `bound` (up to which, where it falls); None where never."""
    step = STEPS[function][place]
    if step.reach is not None:
        return step.reach(bound, arguments)
    low, high = within
    assert low is not None
    is_day = isinstance(arguments[place], date)

    def is_reached(number: int) -> bool:
        moved = [*arguments]
        moved[place] = day_of(Fraction(number)) if is_day else number
        return number_of(FUNCTIONS[function].meaning(*moved)) >= bound

    first, last = int(low), int(high) if high is not None else None
    if last is None:  # double the stretch until the bound lies in it
        width = 1
        while is_reached(first + width) is not step.rises and width < 2**64:
            width *= 2
        last = first + width
    before, after = (False, True) if step.rises else (True, False)
    if is_reached(first) is after or is_reached(last) is before:
        return None
    while last - first > 1:
        middle = (first + last) // 2
        if is_reached(middle) is after:
            last = middle
        else:
            first = middle
    return Fraction(last if step.rises else first)


# Domains


def _anywhere(_: Sequence[Value]) -> Range:
    return None, None


def _published() -> tuple[date, date]:
    first, last = calendar.published_years()
    return date(first, 1, 1), date(last, 12, 31)


def _days(first: date, last: date) -> Range:
    return number_of(first), number_of(last)


def _start_of_workdays(arguments: Sequence[Value]) -> Range:
    count = arguments[1]
    days, (first, last) = calendar.working_days(), _published()
    if not isinstance(count, int) or not 0 <= count <= len(days):
        return NOWHERE
    return number_of(first), number_of(last) if count == 0 else number_of(days[-count]) - 1


def _count_of_workdays(arguments: Sequence[Value]) -> Range:
    start, days = arguments[0], calendar.working_days()
    assert isinstance(start, date)
    first, last = _published()
    if not first <= start <= last:
        return NOWHERE
    return Fraction(0), Fraction(len(days) - bisect_right(days, start))


def _beside(other: int) -> Callable[[Sequence[Value]], Range]:
    def domain(arguments: Sequence[Value]) -> Range:
        first, last = _published()
        day = arguments[other]
        assert isinstance(day, date)
        return _days(first, last) if first <= day <= last else NOWHERE

    return domain


def _before_last_workday(_: Sequence[Value]) -> Range:
    return _days(_published()[0], calendar.working_days()[-1])


def _month_number(day: Value) -> int:
    assert isinstance(day, date)
    return day.year * 12 + day.month - 1


def _start_of_months(arguments: Sequence[Value]) -> Range:
    months = arguments[1]
    if not isinstance(months, int) or abs(months) > _LAST_MONTH - 12:
        return NOWHERE
    first, last = max(12, 12 - months), min(_LAST_MONTH, _LAST_MONTH - months)
    return _days(date(first // 12, first % 12 + 1, 1), calendar.day_in_month(last // 12, last % 12 + 1, 31))


def _count_of_months(arguments: Sequence[Value]) -> Range:
    month = _month_number(arguments[0])
    return Fraction(12 - month), Fraction(_LAST_MONTH - month)


def _part_of_date(place: int) -> Callable[[Sequence[Value]], Range]:
    limits: tuple[tuple[int, int | None], ...] = ((1, 9999), (1, 12), (1, None))

    def domain(arguments: Sequence[Value]) -> Range:
        for other, (low, high) in enumerate(limits):
            value = arguments[other]
            if other != place and not (isinstance(value, int) and low <= value and (high is None or value <= high)):
                return NOWHERE
        low, high = limits[place]
        return Fraction(low), None if high is None else Fraction(high)

    return domain


def _any_day(_: Sequence[Value]) -> Range:
    return Fraction(0), LAST_DAY


def _year_around(arguments: Sequence[Value]) -> Range:
    day = arguments[0]
    assert isinstance(day, date)
    return _days(date(day.year, 1, 1), date(day.year, 12, 31))


# Bounds


def _places(arguments: Sequence[Value]) -> Fraction:
    """One of the last place a rounding keeps."""
    places = arguments[1] if len(arguments) > 1 else 0
    assert isinstance(places, int)
    return Fraction(1, 10**places) if places >= 0 else Fraction(10**-places)


def _floor_reaches(bound: Fraction, _: Sequence[Value]) -> Fraction:
    return Fraction(ceil(bound))


def _truncate_reaches(bound: Fraction, _: Sequence[Value]) -> Fraction:
    return Fraction(ceil(bound) if bound > 0 else ceil(bound) - 1)


def _round_reaches(bound: Fraction, arguments: Sequence[Value]) -> Fraction:
    unit = _places(arguments)
    return (ceil(bound / unit) - Fraction(1, 2)) * unit


STEPS: dict[str, tuple[Step, ...]] = {
    "floor": (Step(_anywhere, reach=_floor_reaches),),
    "truncate": (Step(_anywhere, reach=_truncate_reaches),),
    "round_half_up": (Step(_anywhere, unit=_places, reach=_round_reaches),),
    "workdays_after": (Step(_start_of_workdays), Step(_count_of_workdays)),
    "workdays_between": (Step(_beside(1), rises=False), Step(_beside(0))),
    "next_workday": (Step(_before_last_workday),),
    "months_after": (Step(_start_of_months), Step(_count_of_months)),
    "date_of": (Step(_part_of_date(0)), Step(_part_of_date(1)), Step(_part_of_date(2))),
    "year_of": (Step(_any_day),),
    "month_of": (Step(_year_around),),
}
"""Every function a number or date can enter and leave as a step; `min`, `max` and `abs` are lines and kinks."""

__all__ = ["NOWHERE", "STEPS", "Range", "Step", "turn"]

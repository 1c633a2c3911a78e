"""The functions an expression may call, with what they take and give.

`FUNCTIONS` is the whole list; docs/language.md documents each, and a test holds the two together.
A function of an unknown value is unknown, except `is_known`. No input or output here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from fractions import Fraction

from engine import calendar
from engine.dataclass import dataclass
from engine.types import BOOLEAN, DATE, Kind, Type
from engine.values import Number, Value, round_half_up


@dataclass(frozen=True, slots=True)
class Function:
    """A builtin: a signature for people, a typing rule, and its meaning over known values."""

    name: str
    signature: str
    takes: tuple[frozenset[Kind], ...] | None
    gives: Callable[[tuple[Type, ...]], Type]
    meaning: Callable[..., Value]
    optional: int = 0


_DATE = frozenset({Kind.DATE})
_NUMBER = frozenset({Kind.QUANTITY})
_AMOUNT = frozenset({Kind.MONEY, Kind.RATIO, Kind.QUANTITY})


def _same(types: tuple[Type, ...]) -> Type:
    return types[0]


def _whole(types: tuple[Type, ...]) -> Type:
    return Type(Kind.QUANTITY, types[0].unit, integer=True) if types[0].kind is Kind.QUANTITY else types[0]


def _integer(value: Number, what: str) -> int:
    if isinstance(value, Fraction) and value.denominator != 1:
        raise ValueError(f"{what} is not a whole number: {value}")
    return int(value)


def _round(value: Number, places: Number = 0) -> Number:
    return round_half_up(value, _integer(places, "places"))


def _truncate(value: Number) -> Number:
    return math.trunc(value)


def _date_of(year: Number, month: Number, day: Number) -> date:
    return calendar.day_in_month(_integer(year, "year"), _integer(month, "month"), _integer(day, "day"))


FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in (
        Function("min", "min(a, b, …)", None, _same, min),
        Function("max", "max(a, b, …)", None, _same, max),
        Function("abs", "abs(x)", (_AMOUNT,), _same, abs),
        Function("floor", "floor(x)", (_AMOUNT,), _whole, math.floor),
        Function("truncate", "truncate(x)", (_AMOUNT,), _whole, _truncate),
        Function("round_half_up", "round_half_up(x, places)", (_AMOUNT, _NUMBER), _same, _round, optional=1),
        Function("workdays_after", "workdays_after(date, n)", (_DATE, _NUMBER), lambda _: DATE,
                 lambda day, count: calendar.workdays_after(day, _integer(count, "working days"))),
        Function("workdays_between", "workdays_between(start, end)", (_DATE, _DATE),
                 lambda _: Type(Kind.QUANTITY, "工作日", integer=True), calendar.workdays_between),
        Function("next_workday", "next_workday(date)", (_DATE,), lambda _: DATE, calendar.next_workday),
        Function("months_after", "months_after(date, n)", (_DATE, _NUMBER), lambda _: DATE,
                 lambda day, months: calendar.months_after(day, _integer(months, "months"))),
        Function("date_of", "date_of(year, month, day)", (_NUMBER, _NUMBER, _NUMBER), lambda _: DATE, _date_of),
        Function("year_of", "year_of(date)", (_DATE,), lambda _: Type(Kind.QUANTITY, "年", integer=True),
                 lambda day: day.year),
        Function("month_of", "month_of(date)", (_DATE,), lambda _: Type(Kind.QUANTITY, "月", integer=True),
                 lambda day: day.month),
        Function("is_known", "is_known(x)", (frozenset(Kind),), lambda _: BOOLEAN, lambda value: value is not None),
    )
}  # fmt: skip

DAYS = Type(Kind.QUANTITY, "天", integer=True)

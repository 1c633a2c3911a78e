"""The normal form evaluated directly over one row of stored values: integers, words, flags and None.

The plainest reading of `normal`; what a plan's columns hold goes in, what its terms come to goes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TypeAlias

from engine.builtins import FUNCTIONS
from engine.calendar import day_number, day_of
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

Stored: TypeAlias = int | str | bool | None
Stored_Row: TypeAlias = Mapping[str, Stored]


def term_value(term: Term, row: Stored_Row) -> int | str | None:
    """A term's value; None is unknown. Errors: `calendar-gap` (`EvaluationError`)."""
    match term:
        case Const(value) | Word(value):
            return value
        case Null():
            return None
        case Column(name):
            return row.get(name)
        case Choose(condition, then, other):
            chosen = truth_value(condition, row)
            if chosen is not None:
                return term_value(then if chosen else other, row)
            first, second = term_value(then, row), term_value(other, row)
            return first if first == second else None
        case DateCall(function, arguments):
            values = [term_value(part, row) for part in arguments]
            return None if None in values else _call(function, values)
        case Operation(op, left, right):
            a, b = term_value(left, row), term_value(right, row)
            if a is None or b is None:
                return None
            assert isinstance(a, int), "arithmetic is over whole numbers"
            assert isinstance(b, int), "arithmetic is over whole numbers"
            match op:
                case "+":
                    return a + b
                case "-":
                    return a - b
                case "*":
                    return a * b
                case "//":
                    return a // b
                case "min":
                    return min(a, b)
                case _:
                    return max(a, b)


def _call(function: str, values: list[int | str | None]) -> int:
    takes = FUNCTIONS[function].takes
    assert takes is not None
    arguments = [
        day_of(int(value)) if Kind.DATE in kinds else value  # type: ignore[arg-type]
        for value, kinds in zip(values, takes, strict=True)
    ]
    found = FUNCTIONS[function].meaning(*arguments)
    return day_number(found) if isinstance(found, date) else int(found)


def truth_value(condition: Condition, row: Stored_Row) -> bool | None:
    """A condition's truth; None is unknown."""
    match condition:
        case Truth(value):
            return value
        case Flag(name):
            found = row.get(name)
            return None if found is None else bool(found)
        case Test(op, left, right):
            a, b = term_value(left, row), term_value(right, row)
            return None if a is None or b is None else _compare(op, a, b)
        case All(parts):
            return _three_valued([truth_value(part, row) for part in parts], absorbing=False)
        case AnyOf(parts):
            return _three_valued([truth_value(part, row) for part in parts], absorbing=True)
        case Negate(part):
            inner = truth_value(part, row)
            return None if inner is None else not inner
        case Known(what):
            if isinstance(what, (Truth, Flag, Test, All, AnyOf, Negate, Known)):
                return truth_value(what, row) is not None
            return term_value(what, row) is not None


def _three_valued(values: list[bool | None], absorbing: bool) -> bool | None:
    if absorbing in values:
        return absorbing
    return None if None in values else not absorbing


def _compare(op: str, a: int | str, b: int | str) -> bool:
    match op:
        case "==":
            return a == b
        case "!=":
            return a != b
        case "<":
            return a < b  # type: ignore[operator]
        case "<=":
            return a <= b  # type: ignore[operator]
        case ">":
            return a > b  # type: ignore[operator]
        case _:
            return a >= b  # type: ignore[operator]

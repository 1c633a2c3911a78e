"""How a typed value is stored in a column: a whole number at a fixed scale, a day number, a word or a flag."""

from __future__ import annotations

from datetime import date

from engine.calendar import day_number
from engine.types import Kind, Type
from engine.values import Value

SCALES: dict[Kind, int] = {Kind.MONEY: 1, Kind.RATIO: 10**6, Kind.QUANTITY: 10**6}
"""Units of a stored integer per unit of the value: fen, millionths, millionths (91.6667 % has six places)."""


def stored_scale(field_type: Type) -> int:
    """Units of the stored integer of a column per unit of its value."""
    if field_type.kind is Kind.QUANTITY and field_type.integer:
        return 1
    return SCALES.get(field_type.kind, 1)


def encode(value: Value | None, of: Type) -> int | str | bool | None:
    """A typed value as its column stores it.

    Errors: `ValueError` where a number is finer than the column's scale; the reference evaluator
    takes such a case.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, date):
        return day_number(value)
    if isinstance(value, int):
        return value * stored_scale(of)
    scaled = value * stored_scale(of)
    if scaled.denominator != 1:
        raise ValueError(f"{value} is finer than the column's scale")
    return scaled.numerator

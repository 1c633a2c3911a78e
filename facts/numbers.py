"""Numbers as they come out of a workbook, and what its formats and errors say of them."""

from __future__ import annotations

import math
from decimal import Decimal

from engine.dataclass import dataclass
from engine.values import Unreadable

EXACT_BELOW = 10**15
"""Whole numbers a workbook keeps exactly: it stores fifteen significant digits."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How a workbook shows a number, where that changes what the number means.

    `percent`: 0.85 is shown as 85 %. `unit`: the format writes a unit behind the number as it is.
    `padded`: digits to which zeros are put in front. `scaled`: the format divides what it shows.
    """

    percent: bool = False
    unit: str | None = None
    padded: int = 0
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """What stands in a cell instead of a value: an error value, a formula that was never computed."""

    code: str
    text: str


def as_typed(raw: float) -> int | Decimal:
    """The number an officer typed: a float holds it to fifteen significant digits, the rest is noise."""
    if raw.is_integer() and -EXACT_BELOW < raw < EXACT_BELOW:
        return int(raw)
    if not math.isfinite(raw):
        raise Unreadable("not-a-number", f"`{raw}` 不是数字", f"`{raw}` is not a number")
    return Decimal(format(raw, ".15g"))


def plain_number(raw: int | float | Decimal) -> str:
    """A number in digits, without exponent."""
    if isinstance(raw, float) and not math.isfinite(raw):
        return str(raw)
    number = as_typed(raw) if isinstance(raw, float) else raw
    return format(number, "f") if isinstance(number, Decimal) else str(number)

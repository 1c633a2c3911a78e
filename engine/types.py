"""The types a value can have, with their units.

Money is exact fen, a ratio is an exact fraction (1 is 100 %), a quantity is an exact number
with or without a unit (人, 次, 月, kV), a date is a calendar day. An enumeration lists its
values. This module knows names of kinds only; how text is read is `values`, how they combine
in an expression is `check`.
"""

from __future__ import annotations

from enum import Enum

from engine.dataclass import dataclass


class Kind(Enum):
    BOOLEAN = "boolean"
    MONEY = "money"
    RATIO = "percent"
    QUANTITY = "number"
    DATE = "date"
    ENUM = "enum"
    TEXT = "text"


_ZH = {
    Kind.BOOLEAN: "是/否", Kind.MONEY: "金额", Kind.RATIO: "比率", Kind.QUANTITY: "数量",
    Kind.DATE: "日期", Kind.ENUM: "枚举", Kind.TEXT: "文字",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Type:
    """A kind, and what makes it narrower: a quantity's unit, an enumeration's values."""

    kind: Kind
    unit: str | None = None
    integer: bool = False
    values: tuple[str, ...] | None = None

    def __str__(self) -> str:
        if self.kind is Kind.QUANTITY and self.unit:
            return f"number of {self.unit}"
        if self.kind is Kind.ENUM and self.values:
            return f"enum({', '.join(self.values[:6])}{', …' if len(self.values) > 6 else ''})"
        return self.kind.value

    @property
    def zh(self) -> str:
        """The type's name for a Chinese reader."""
        if self.kind is Kind.QUANTITY and self.unit:
            return f"数量（{self.unit}）"
        if self.kind is Kind.ENUM and self.values:
            return f"枚举（{'、'.join(self.values[:6])}{'……' if len(self.values) > 6 else ''}）"
        return _ZH[self.kind]


BOOLEAN = Type(Kind.BOOLEAN)
MONEY = Type(Kind.MONEY)
RATIO = Type(Kind.RATIO)
NUMBER = Type(Kind.QUANTITY)
COUNT = Type(Kind.QUANTITY, integer=True)
DATE = Type(Kind.DATE)
TEXT = Type(Kind.TEXT)

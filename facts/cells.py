"""One cell → one value, by the field it belongs to and what its column and its format say.

Reading itself is `engine.values`; this module adds what only a spreadsheet can tell: numbers that
went through a float, numbers shown as percentages or in 万元, error values, ids whose digits are
lost. Each column gets one reader, made once, which remembers what it has read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeAlias

from engine.dataclass import dataclass
from engine.model import Field
from engine.types import Kind
from engine.values import (
    MAX_TEXT,
    Unreadable,
    Value,
    fold,
    is_unknown_text,
    normalise,
    read_money,
    read_ratio,
    read_text,
    read_value,
    scale_of_unit,
    value_text,
)
from facts.expected import range_text
from facts.numbers import EXACT_BELOW, Fault, Shown, as_typed, plain_number

MAX_CELL_TEXT = 32_767
"""Characters a cell of text may hold, which is what a workbook's cell can."""
MAX_REMEMBERED = 50_000
DAYS_1904 = 1462
"""Days between the two date systems of workbooks."""

ERROR_VALUES = frozenset(
    ("#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#N/A", "#GETTING_DATA", "#SPILL!", "#CALC!")
)
_SCIENTIFIC = re.compile(r"[+-]?\d(?:\.\d+)?[eE]\+\d+")
_KEPT_AS_TEXT = re.compile(r'\s*(?:="|\'(?=\d))([^"]*)"?\s*')
"""`="0123"` and `'0123`: ways to keep digits as text in a CSV."""
_DIGITS = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,10})?")
_TIME_OF_DAY = re.compile(r"(?<=[\d日号])[T ]+\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$")


Reader: TypeAlias = Callable[[object, Shown | None], Value | None]
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Context:
    """What a column and its file say about bare numbers.

    `unit` is the unit the heading or the sheet states, None where they state none: then the field's
    own unit holds. `strict` refuses a bare percentage that could be a fraction as well.
    `formats_known` is False where the reader cannot see how a number is shown (.xls).
    """

    unit: str | None = None
    strict: bool = True
    formats_known: bool = True
    date1904: bool = False


PLAIN: Final = Context(strict=False)
"""A value under the field's own name in a document: its declared unit is the contract."""


def reader_for(field: Field, context: Context = PLAIN) -> Reader:
    """A function from a raw cell to the field's value; None where the cell says that it is unknown.

    Units: a bare number is in the context's unit, else in the field's.
    Errors: the function raises `Unreadable`; `problem_for` turns it into a problem.
    """
    convert = _converter(field, context)
    low, high = field.minimum, field.maximum
    bounded = low is not None or high is not None
    seen: dict[object, Value | None] = {}

    def fresh(raw: object, shown: Shown | None) -> Value | None:
        if type(raw) is str:
            if (match := _KEPT_AS_TEXT.fullmatch(raw)) is not None:
                raw = match[1]
            if raw.strip().upper() in ERROR_VALUES:
                raise Unreadable("cell-error", f"单元格是错误值 `{raw}`", f"the cell holds the error value `{raw}`")
            if field.type.kind is not Kind.ENUM and is_unknown_text(raw):
                return None
        elif type(raw) is Fault:
            raise Unreadable(raw.code, raw.text, raw.text)
        value = convert(raw, shown)
        if bounded and value is not None:
            _check_bounds(value, field)
        return value

    def read(raw: object, shown: Shown | None) -> Value | None:
        if raw == "" or raw is None:
            return None
        if raw is True or raw is False:
            return fresh(raw, shown)  # True equals 1, so it must not meet the memory
        key = raw if shown is None else (raw, id(shown))
        known = seen.get(key, _MISSING)
        if known is not _MISSING:
            return known  # type: ignore[return-value]  # the sentinel is excluded
        value = fresh(raw, shown)
        if len(seen) < MAX_REMEMBERED:
            seen[key] = value
        return value

    return read


def _check_bounds(value: Value, field: Field) -> None:
    low, high = field.minimum, field.maximum
    if (low is not None and value < low) or (high is not None and value > high):  # type: ignore[operator]
        shown_zh, shown_en = range_text(field, "zh"), range_text(field, "en")
        raise Unreadable("out-of-bounds", f"`{value_text(value, field.type, 'zh')}` 超出 {shown_zh}",
                         f"`{value_text(value, field.type, 'en')}` lies outside {shown_en}")


# What all numbers share


def _number_or_text(raw: object) -> object:
    if isinstance(raw, float):
        return as_typed(raw)
    if isinstance(raw, (datetime, date, time, timedelta)):
        raise Unreadable("shown-as-date", f"`{raw}` 是日期或时间格式", f"`{raw}` is formatted as a date or time")
    if isinstance(raw, str):
        if len(raw) > MAX_TEXT:
            raise Unreadable("cell-too-long", f"有 {len(raw)} 个字符", f"{len(raw)} characters long")
        if _SCIENTIFIC.fullmatch(raw.strip()):
            raise _digits_lost(raw)
    return raw


def _digits_lost(raw: object) -> Unreadable:
    return Unreadable("digits-lost", f"`{raw}` 已丢失数字（超过 15 位或成了科学计数）",
                      f"`{raw}` has lost digits (more than 15, or shown in scientific form)")


def _scaled(raw: object) -> Unreadable:
    return Unreadable("scaled-format", f"`{raw}` 的显示格式会缩小数字，看到的与存的不是同一个数",
                      f"the format of `{raw}` divides what it shows, so the number seen is not the number stored")


# One converter per kind


def _converter(field: Field, context: Context) -> Reader:
    match field.type.kind:
        case Kind.MONEY:
            return _money(field, context)
        case Kind.RATIO:
            return _ratio(field, context)
        case Kind.QUANTITY:
            return _quantity(field, context)
        case Kind.DATE:
            return _date(field, context)
        case Kind.ENUM:
            return _choice(field)
        case Kind.BOOLEAN:
            return _boolean(field)
        case Kind.TEXT:
            return _text()


def _money(field: Field, context: Context) -> Reader:
    unit = context.unit or field.unit or "元"
    scale = scale_of_unit(unit)
    assert scale is not None, f"{unit} is not a money unit"
    fen = scale * 100

    def convert(raw: object, shown: Shown | None) -> Value | None:
        if shown is None and isinstance(raw, (float, str)):
            # The common cell, without fractions: the digits as typed, times the unit.
            digits = format(raw, ".15g") if isinstance(raw, float) else raw
            if _DIGITS.fullmatch(digits) is not None:
                whole, _, part = digits.partition(".")
                finer: int
                exact: int
                exact, finer = divmod(int(whole + part) * fen, 10 ** len(part))
                if not finer:
                    return exact
        raw = _number_or_text(raw)
        if shown is not None and not isinstance(raw, str):
            if shown.percent or shown.unit in ("%", "‰"):
                raise Unreadable("shown-as-percent", f"金额 `{raw}` 的单元格是百分比格式",
                                 f"the cell of the amount `{raw}` is formatted as a percentage")
            if shown.scaled:
                raise _scaled(raw)
            return read_money(raw, shown.unit or unit)
        return read_money(raw, unit)

    return convert


def _ratio(field: Field, context: Context) -> Reader:
    """A share; a bare number is in percent only where that is said or cannot be otherwise."""
    unit = context.unit or field.unit or "%"
    ambiguous_units = context.unit is None and unit != "1" and context.strict
    doubtful_to = Fraction(2) if context.formats_known else Fraction(20)

    highest = field.maximum if isinstance(field.maximum, (int, Fraction)) else None

    def ambiguous(number: Fraction) -> bool:
        """Whether a bare number may be a fraction as well as a percentage."""
        size = abs(number)
        if size == 0 or size >= doubtful_to:
            return False
        if size <= 1:
            return True
        possible = highest is None or size <= highest
        # 2, 3, … are percentages as people write them; where the format is hidden, 200 % looks the same.
        return possible and (not context.formats_known or number.denominator != 1)

    def convert(raw: object, shown: Shown | None) -> Value | None:
        raw = _number_or_text(raw)
        if shown is not None and not isinstance(raw, str):
            if shown.percent:
                return read_ratio(raw, "1")
            if shown.unit in ("%", "‰"):
                return read_ratio(raw, shown.unit)
            if shown.scaled:
                raise _scaled(raw)
        value = read_ratio(raw, unit)
        if ambiguous_units and not _carries_sign(raw):
            bare = Fraction(value) * (100 if unit == "%" else 1000)
            if ambiguous(bare):
                number = plain_number(raw) if isinstance(raw, (int, Decimal)) else raw
                raise Unreadable("percent-ambiguous", f"`{number}` 可能是 {number}{unit}，也可能是比值 {number}",
                                 f"`{number}` may be {number}{unit} or the fraction {number}")
        return value

    return convert


def _carries_sign(raw: object) -> bool:
    return isinstance(raw, str) and any(sign in normalise(raw) for sign in ("%", "‰", "百分之"))


_UNIT_SCALES = {"百": 100, "千": 1000, "万": 10**4, "十万": 10**5, "百万": 10**6, "千万": 10**7, "亿": 10**8}


def unit_scale(stated: str, declared: str | None) -> int | None:
    """How many of the declared unit one of the stated unit is (万人 of 人), or None where they do not fit."""
    if declared is None:
        return None
    stated, declared = fold(stated), fold(declared)
    if stated == declared:
        return 1
    return _UNIT_SCALES.get(stated.removesuffix(declared)) if stated.endswith(declared) else None


def _quantity(field: Field, context: Context) -> Reader:
    scale = 1 if context.unit is None else unit_scale(context.unit, field.unit) or 1
    fractional = replace(field.type, integer=False)  # 1.2 万人 are 12,000 people

    def convert(raw: object, shown: Shown | None) -> Value | None:
        raw = _number_or_text(raw)
        if shown is not None and not isinstance(raw, str):
            if shown.percent:
                raise Unreadable("shown-as-percent", f"数量 `{raw}` 的单元格是百分比格式",
                                 f"the cell of the number `{raw}` is formatted as a percentage")
            if shown.scaled:
                raise _scaled(raw)
        if scale != 1 and not isinstance(raw, bool):
            if isinstance(raw, str) and any(word in raw for word in ("万", "亿")):
                raise Unreadable("unit-twice", f"表头单位是 {context.unit}，`{raw}` 又带了单位",
                                 f"the heading is in {context.unit} and `{raw}` carries a unit of its own")
            bare = read_value(raw, fractional, field.unit)
            return read_value(Fraction(bare) * scale, field.type, field.unit)  # type: ignore[arg-type]
        return read_value(raw, field.type, field.unit)

    return convert


def _date(field: Field, context: Context) -> Reader:
    shift = DAYS_1904 if context.date1904 else 0

    def convert(raw: object, shown: Shown | None) -> Value | None:
        if isinstance(raw, float):
            raw = as_typed(raw)
            if isinstance(raw, Decimal) and 20_000 <= raw < 80_000:
                raw = int(raw)  # a serial with a time of day
        if isinstance(raw, int) and not isinstance(raw, bool) and raw < 80_000:
            raw += shift
        if isinstance(raw, (time, timedelta)):
            raise Unreadable("not-a-date", f"`{raw}` 是时间，不是日期", f"`{raw}` is a time, not a date")
        if isinstance(raw, str) and len(raw) <= MAX_TEXT:
            raw = _TIME_OF_DAY.sub("", normalise(raw))
        return read_value(raw, field.type)

    return convert


def _choice(field: Field) -> Reader:
    names = field.spellings() or {fold(value): value for value in field.type.values or ()}

    def convert(raw: object, shown: Shown | None) -> Value | None:
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            raw = plain_number(raw)
        elif isinstance(raw, bool):
            raw = "是" if raw else "否"
        if isinstance(raw, str) and len(raw) <= MAX_TEXT and fold(raw) not in names and is_unknown_text(raw):
            return None
        return read_value(raw, field.type, names=names)

    return convert


def _boolean(field: Field) -> Reader:
    def convert(raw: object, shown: Shown | None) -> Value | None:
        return read_value(as_typed(raw) if isinstance(raw, float) else raw, field.type)

    return convert


def _text() -> Reader:
    def convert(raw: object, shown: Shown | None) -> Value | None:
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            if not -EXACT_BELOW < raw < EXACT_BELOW:
                raise _digits_lost(raw)
            text = plain_number(raw)
            if shown is not None and shown.percent:
                return format(Decimal(text) * 100, "f").rstrip("0").rstrip(".") + "%"
            return text.zfill(shown.padded) if shown is not None else text
        if isinstance(raw, (time, timedelta)):
            return str(raw)
        if isinstance(raw, str):
            if len(raw) > MAX_CELL_TEXT:
                raise Unreadable("cell-too-long", f"有 {len(raw)} 个字符", f"{len(raw)} characters long")
            if _SCIENTIFIC.fullmatch(raw.strip()):
                raise _digits_lost(raw)
        return read_text(raw)

    return convert

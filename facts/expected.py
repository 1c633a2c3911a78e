"""What a field's cells should hold, and the problem where one holds something else.

The words for what was read and what was expected; the sentences around them are in `problems`.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from engine.errors import Problem, nearest
from engine.model import Field
from engine.source import Location
from engine.types import Kind
from engine.values import FEN_PER_YUAN, MAX_TEXT, Number, Unreadable, scale_of_unit, value_text
from facts.numbers import Fault, plain_number

_CODES: Mapping[str, str] = {
    "not-an-amount": "bad-amount",
    "not-a-percentage": "bad-percentage",
    "not-a-number": "bad-number",
    "not-an-integer": "bad-integer",
    "not-a-date": "bad-date",
    "not-yes-or-no": "bad-boolean",
    "not-a-choice": "bad-choice",
    "not-text": "bad-text",
    "not-readable": "bad-cell",
    "too-long": "cell-too-long",
}
_LOOKALIKES = (("O", "字母 O", "the letter O", "0"), ("o", "字母 o", "the letter o", "0"),
               ("l", "字母 l", "the letter l", "1"), ("I", "字母 I", "the letter I", "1"))  # fmt: skip


def problem_for(error: Unreadable, raw: object, field: Field, place: Location, unit: str | None = None) -> Problem:
    """The problem at one cell: what was read, for which field, what was expected."""
    unit = unit or field.unit
    expected_zh, expected_en = expected_of(field, unit)
    if isinstance(raw, Fault):
        raw = raw.text
    elif isinstance(raw, float):
        raw = plain_number(raw)
    fields: dict[str, object] = {
        "field": field.name, "label": field.label.zh, "label_en": field.label.en or field.name, "value": raw,
        "reason_zh": error.zh, "reason_en": error.en, "expected_zh": expected_zh, "expected_en": expected_en,
        "hint_zh": "", "hint_en": "",
    }  # fmt: skip
    code = _CODES.get(error.code, error.code)
    if isinstance(raw, str) and len(raw) <= MAX_TEXT:
        if code in ("bad-amount", "bad-number", "bad-percentage", "bad-integer", "bad-date"):
            for letter, zh, en, digit in _LOOKALIKES:
                if letter in raw and any(char.isdigit() for char in raw):
                    fields["hint_zh"] = f"里面有{zh}，数字应是 {digit}；"
                    fields["hint_en"] = f"it holds {en} where a {digit} belongs; "
                    break
        elif code == "bad-choice":
            spellings = [choice.label.zh or choice.value for choice in field.choices] or list(field.type.values or ())
            close = nearest(raw.strip(), [*spellings, *(choice.value for choice in field.choices)])
            if close:
                fields["suggestion"] = close
    return Problem(code, place, fields)


def expected_of(field: Field, unit: str | None = None) -> tuple[str, str]:
    """What a field's cells should hold, in Chinese and English."""
    unit = unit or field.unit
    match field.type.kind:
        case Kind.MONEY:
            zh, en = f"以{unit or '元'}计的金额", f"an amount in {unit or '元'}"
        case Kind.RATIO:
            zh, en = "百分比", "a percentage"
            if unit not in (None, "%"):
                zh, en = f"以 {unit} 计的比率", f"a ratio in {unit}"
        case Kind.QUANTITY:
            whole = field.type.integer
            zh = ("整数" if whole else "数字") + (f"（{unit}）" if unit else "")
            en = ("a whole number" if whole else "a number") + (f" of {unit}" if unit else "")
        case Kind.DATE:
            zh, en = "日期，如 2019-03-22", "a date such as 2019-03-22"
        case Kind.BOOLEAN:
            zh, en = "“是”或“否”", "yes or no"
        case Kind.ENUM:
            labels = [choice.label.zh or choice.value for choice in field.choices] or list(field.type.values or ())
            english = [choice.label.en or choice.value for choice in field.choices] or list(field.type.values or ())
            zh = f"其中之一：{'、'.join(labels[:12])}{'……' if len(labels) > 12 else ''}"
            en = f"one of {', '.join(english[:12])}{', …' if len(english) > 12 else ''}"
        case Kind.TEXT:
            zh, en = "文字", "text"
    if field.type.kind not in (Kind.TEXT, Kind.ENUM, Kind.BOOLEAN) and (field.minimum, field.maximum) != (None, None):
        zh, en = f"{zh}，{range_text(field, 'zh')}", f"{en}, {range_text(field, 'en')}"
    return zh, en


def in_unit(value: Number, field: Field) -> int | float:
    """A bound in the field's own unit, to show in templates and schemas; never computed with."""
    match field.type.kind:
        case Kind.MONEY:
            shown = Fraction(value, FEN_PER_YUAN * (scale_of_unit(field.unit or "元") or 1))
        case Kind.RATIO:
            shown = Fraction(value) * {"‰": 1000, "1": 1}.get(field.unit or "%", 100)
        case _:
            shown = Fraction(value)
    return shown.numerator if shown.denominator == 1 else float(shown)


def range_text(field: Field, lang: str) -> str:
    """The bounds of a field in words."""
    low = "" if field.minimum is None else value_text(field.minimum, field.type, lang)
    high = "" if field.maximum is None else value_text(field.maximum, field.type, lang)
    if low and high:
        return f"{low}—{high}" if lang == "zh" else f"{low} to {high}"
    if lang == "zh":
        return f"不小于 {low}" if low else f"不大于 {high}"
    return f"at least {low}" if low else f"at most {high}"

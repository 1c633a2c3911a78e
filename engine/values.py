"""Values: exact money, ratios, quantities and dates; unknown; reading and writing them.

Inside the engine money is a number of fen, a ratio a fraction of one, a quantity an exact
number and a date a `datetime.date`; numbers are `int` or `Fraction`, never float. A fact
that was not given is `None`. Messy but unmistakable text is read; what could mean two
things is refused (`Unreadable`), never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from engine.types import Kind, Type

Number: TypeAlias = int | Fraction
Value: TypeAlias = bool | int | Fraction | date | str
"""A known value: money in fen, ratio where 1 is 100 %, quantity, date, enumeration value or text."""

FEN_PER_YUAN = 100
MAX_TEXT = 200
"""Characters of text a number, date or choice may take; a longer cell holds something else."""

_SCALES: dict[str, int] = {
    "": 1, "百": 100, "千": 1000, "万": 10**4, "十万": 10**5, "百万": 10**6, "千万": 10**7, "亿": 10**8,
    "十亿": 10**9, "百亿": 10**10, "万亿": 10**12,
}  # fmt: skip

UNIT_WORDS = tuple(_SCALES)
"""What may stand before a unit (`万` of 万元, 万人); the empty word is the unit itself."""

_UNKNOWN_WORDS = frozenset(
    ("", "-", "--", "---", "—", "——", "－", "–", "/", "\\", "n/a", "na", "null", "none", "unknown",
     "未知", "不详", "未填", "空", "待定", "#n/a")
)  # fmt: skip

_TRUE = frozenset(("是", "有", "对", "true", "yes", "y", "t", "1", "√", "✓", "✔", "已", "真"))
_FALSE = frozenset(("否", "无", "不", "不是", "没有", "错", "false", "no", "n", "f", "0", "×", "✗", "✘", "未", "假"))


class Unreadable(ValueError):
    """A text that is not a value of the wanted type; `code` is stable, the reasons are for people."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(en)
        self.code, self.zh, self.en = code, zh, en


def normalise(text: str) -> str:
    """Full-width forms folded, outer blanks (also ideographic and zero-width) removed."""
    folded = unicodedata.normalize("NFKC", text)
    return folded.strip().strip("\ufeff\u200b\u200c\u200d\u2060").strip()


def is_unknown_text(text: str) -> bool:
    """Whether a cell says that the value is not known: blank, a dash, 未知."""
    return normalise(text).casefold() in _UNKNOWN_WORDS


@lru_cache(maxsize=65536)
def _decimal_text(text: str) -> Fraction:
    """An exact decimal with optional sign and thousands separators; nothing else."""
    match = re.fullmatch(r"([+-]?)(\d{1,3}(?:[,，'’ \u00a0]\d{3})+|\d+)(?:\.(\d*))?|([+-]?)\.(\d+)", text)
    if match is None:
        raise Unreadable("not-a-number", f"`{text}` 不是数字", f"`{text}` is not a number")
    if match[5] is not None:
        sign, whole, part = match[4], "0", match[5]
    else:
        sign, whole, part = match[1], re.sub(r"\D", "", match[2]), match[3] or ""
    number = Fraction(int(whole + part), 10 ** len(part))
    return -number if sign == "-" else number


def exact_number(raw: int | float | Decimal | Fraction) -> Fraction:
    """A Python number without loss; a float is taken as the shortest text that names it."""
    if isinstance(raw, float):
        if raw != raw or raw in (float("inf"), float("-inf")):
            raise Unreadable("not-a-number", f"`{raw}` 不是数字", f"`{raw}` is not a number")
        return Fraction(repr(raw))
    if isinstance(raw, Decimal):
        try:
            if not raw.is_finite() or abs(raw.adjusted()) > 100:
                raise ValueError
            return Fraction(raw)
        except (ValueError, OverflowError, InvalidOperation):
            raise Unreadable("not-a-number", f"`{raw}` 不是数字", f"`{raw}` is not a number") from None
    return Fraction(raw)


def shrink(number: Fraction) -> Number:
    """An integral fraction as an int, so that whole fen look like whole fen."""
    return number.numerator if number.denominator == 1 else number


def scale_of_unit(unit: str) -> int | None:
    """Yuan per unit of a money unit (`万元` is 10,000), or None where it is not one."""
    stem = re.sub(r"(元|圆|块|人民币|rmb|cny)$", "", normalise(unit).casefold())
    return _SCALES.get(stem)


_MONEY_PART = re.compile(r"([+-]?[\d.,，'’ \u00a0]*\d\.?)\s*(万亿|百亿|十亿|亿|千万|百万|十万|万|千|百)?")


def read_money(raw: object, unit: str = "元") -> Number:
    """Money as exact fen.

    Units: text may carry its own (`1.2亿`, `849.999999万元`), which wins over `unit`;
    a bare number is in `unit`. An amount finer than a fen is refused.
    """
    header_scale = scale_of_unit(unit)
    assert header_scale is not None, f"{unit} is not a money unit"
    if isinstance(raw, bool):
        raise Unreadable("not-an-amount", f"`{raw}` 不是金额", f"`{raw}` is not an amount")
    if isinstance(raw, (int, float, Decimal, Fraction)):
        yuan = exact_number(raw) * header_scale
    else:
        yuan = _money_text(_plain(raw), header_scale)
    fen = yuan * FEN_PER_YUAN
    if fen.denominator != 1:
        raise Unreadable("finer-than-fen", f"`{raw}` 精确到分以下", f"`{raw}` is finer than one fen")
    return fen.numerator


@lru_cache(maxsize=65536)
def _money_text(text: str, header_scale: int) -> Fraction:
    body = re.sub(r"^(人民币|rmb|cny|[¥￥])\s*", "", text, flags=re.IGNORECASE)
    negative = False
    if (match := re.fullmatch(r"\((.+)\)", body)) is not None:  # accounting style
        body, negative = match[1].strip(), True
    suffix = re.search(r"\s*(元整|元|圆|块|人民币|rmb|cny)$", body, flags=re.IGNORECASE)
    if suffix is not None:
        body = body[: suffix.start()]
    total, position, last_scale, own_unit = Fraction(0), 0, None, suffix is not None
    while position < len(body):
        part = _MONEY_PART.match(body, position)
        if part is None or part.end() == position:
            raise _not_amount(text)
        word = part[2]
        scale = _SCALES[word] if word else None
        if scale is not None:
            own_unit = True
        value = _amount_digits(part[1].strip(), text)
        if last_scale is not None and (value < 0 or (scale or 1) >= last_scale or (scale is None and suffix is None)):
            raise _not_amount(text)  # 2万3亿 and 1亿-2 mean nothing; 1亿2000 may mean 2000 yuan or 2000万
        total += value * (scale if scale is not None else (1 if own_unit else header_scale))
        last_scale, position = scale if scale is not None else 1, part.end()
        if scale is None and position < len(body):
            raise _not_amount(text)
    if last_scale is None:
        raise _not_amount(text)
    return -total if negative else total


def _not_amount(text: str) -> Unreadable:
    return Unreadable("not-an-amount", f"`{text}` 不是金额", f"`{text}` is not an amount")


def _amount_digits(digits: str, text: str) -> Fraction:
    try:
        return _decimal_text(digits)
    except Unreadable:
        raise _not_amount(text) from None


def read_ratio(raw: object, unit: str = "%") -> Number:
    """A ratio where 1 is 100 %.

    Units: text may carry `%` or `‰`, which wins over `unit`; a bare number is in `unit`
    (`%`: `85` is 0.85; `1`: `0.85` is 0.85).
    """
    divisor = {"%": 100, "‰": 1000, "1": 1}[unit]
    if isinstance(raw, bool):
        raise Unreadable("not-a-percentage", f"`{raw}` 不是百分比", f"`{raw}` is not a percentage")
    if isinstance(raw, (int, float, Decimal, Fraction)):
        return shrink(exact_number(raw) / divisor)
    text = _plain(raw)
    if text.startswith("百分之"):
        text, divisor = text.removeprefix("百分之"), 100
    for sign, parts in (("%", 100), ("‰", 1000)):
        if text.endswith(sign):
            text, divisor = text.removesuffix(sign).rstrip(), parts
            break
    try:
        return shrink(_decimal_text(text) / divisor)
    except Unreadable:
        raise Unreadable("not-a-percentage", f"`{raw}` 不是百分比", f"`{raw}` is not a percentage") from None


def read_quantity(raw: object, unit: str | None = None, integer: bool = False) -> Number:
    """An exact number; text may repeat the unit (`12个`), and 万 or 亿 scale it."""
    if isinstance(raw, bool):
        raise Unreadable("not-a-number", f"`{raw}` 不是数字", f"`{raw}` is not a number")
    if isinstance(raw, (int, float, Decimal, Fraction)):
        number = exact_number(raw)
    else:
        text = _plain(raw)
        if unit:
            text = text.removesuffix(normalise(unit)).rstrip()
            text = text.removesuffix("个") if unit != "个" else text  # 5个工作日
        scale = 1
        for word in ("万", "亿"):
            if text.endswith(word):
                text, scale = text.removesuffix(word).rstrip(), _SCALES[word]
        number = _decimal_text(text) * scale
    if integer and number.denominator != 1:
        raise Unreadable("not-an-integer", f"`{raw}` 不是整数", f"`{raw}` is not a whole number")
    return shrink(number)


_DATE_FORMS = (
    re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})"),
    re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})"),
    re.compile(r"(\d{4})\.(\d{1,2})\.(\d{1,2})"),
    re.compile(r"(\d{4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*[日号]"),
    re.compile(r"(\d{4})(\d{2})(\d{2})"),
)
_MIDNIGHT = re.compile(r"[T ]\s*0?0:00(:00(\.0+)?)?Z?$")
_SERIALS = range(20000, 80000)
"""Spreadsheet serials taken for dates: 1954-10-03 to 2119-01-10. Small numbers are mistakes."""
EXCEL_EPOCH = date(1899, 12, 30)


def read_date(raw: object, serials: bool = True) -> date:
    """A calendar day.

    Text: `2019-3-22`, `2019/3/22`, `2019.3.22`, `2019年3月22日`, `20190322`, each also with a
    midnight time; day-first and two-digit years are refused. A number between 20,000 and
    79,999 is a spreadsheet serial (1900 system); any other number is refused.
    """
    if isinstance(raw, datetime):
        return raw.date()
    if isinstance(raw, date):
        return raw
    if isinstance(raw, (int, float, Decimal, Fraction)) and not isinstance(raw, bool):
        number = exact_number(raw)
        if serials and number.denominator == 1 and number.numerator in _SERIALS:
            return EXCEL_EPOCH + timedelta(days=number.numerator)
        if number.denominator == 1 and 19000101 <= number.numerator <= 21991231:
            return read_date(str(number.numerator))
        raise Unreadable("not-a-date", f"`{raw}` 是数字，不是日期", f"`{raw}` is a number, not a date")
    return _date_text(_plain(raw), serials)


@lru_cache(maxsize=65536)
def _date_text(raw: str, serials: bool) -> date:
    text = _MIDNIGHT.sub("", raw)
    for form in _DATE_FORMS:
        match = form.fullmatch(text)
        if match is not None:
            try:
                return date(int(match[1]), int(match[2]), int(match[3]))
            except ValueError:
                raise Unreadable("no-such-day", f"`{raw}` 没有这一天", f"there is no day `{raw}`") from None
    if serials and re.fullmatch(r"\d{5}(\.0+)?", text):
        return read_date(int(text[:5]))
    raise Unreadable("not-a-date", f"`{raw}` 不是日期", f"`{raw}` is not a date")


def read_boolean(raw: object) -> bool:
    """是/否, 有/无, true/false, yes/no, 1/0, √/×."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, (int, float, Decimal, Fraction)):
        if exact_number(raw) in (0, 1):
            return bool(raw)
        raise Unreadable("not-yes-or-no", f"`{raw}` 不是“是”或“否”", f"`{raw}` is neither yes nor no")
    word = _plain(raw).casefold()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Unreadable("not-yes-or-no", f"`{raw}` 不是“是”或“否”", f"`{raw}` is neither yes nor no")


def read_choice(raw: object, names: Mapping[str, str]) -> str:
    """A value of an enumeration; `names` maps every accepted spelling, folded, to its value."""
    if isinstance(raw, (int, float, Decimal, Fraction)) and not isinstance(raw, bool):
        raw = decimal_text(exact_number(raw))
    word = fold(_plain(raw))
    if word in names:
        return names[word]
    raise Unreadable("not-a-choice", f"`{raw}` 不在可选值中", f"`{raw}` is not one of the choices")


def read_text(raw: object) -> str:
    """Text as written, outer blanks removed; whole numbers as digits."""
    if isinstance(raw, (int, float, Decimal, Fraction)) and not isinstance(raw, bool):
        return decimal_text(exact_number(raw))
    if isinstance(raw, (date, datetime)):
        return read_date(raw).isoformat()
    if not isinstance(raw, str):
        raise Unreadable("not-text", f"`{raw}` 不是文字", f"`{raw}` is not text")
    return raw.strip()


def fold(text: str) -> str:
    """A spelling for comparison: width, case and blanks do not matter."""
    return re.sub(r"\s+", "", normalise(text)).casefold()


def read_value(raw: object, wanted: Type, unit: str | None = None, names: Mapping[str, str] | None = None) -> Value:
    """A raw value as the wanted type; `unit` is the declared unit of a bare number."""
    match wanted.kind:
        case Kind.MONEY:
            return read_money(raw, unit or "元")
        case Kind.RATIO:
            return read_ratio(raw, unit or "%")
        case Kind.QUANTITY:
            return read_quantity(raw, unit, wanted.integer)
        case Kind.DATE:
            return read_date(raw)
        case Kind.BOOLEAN:
            return read_boolean(raw)
        case Kind.ENUM:
            return read_choice(raw, names if names is not None else {fold(v): v for v in wanted.values or ()})
        case Kind.TEXT:
            return read_text(raw)


def _plain(raw: object) -> str:
    if not isinstance(raw, str):
        raise Unreadable("not-readable", f"`{raw!r}` 不是文字或数字", f"`{raw!r}` is neither text nor a number")
    if len(raw) > MAX_TEXT:
        raise Unreadable("too-long", f"有 {len(raw)} 个字符，不像一个值", f"{len(raw)} characters long, not a value")
    return normalise(raw)


# Writing


def round_half_up(number: Number, places: int = 0) -> Number:
    """Half away from zero (四舍五入), to `places` decimal places."""
    scaled = Fraction(number) * 10**places
    magnitude = (2 * abs(scaled.numerator) + scaled.denominator) // (2 * scaled.denominator)
    return shrink(Fraction(-magnitude if scaled < 0 else magnitude, 10**places))


def decimal_text(number: Number, places: int | None = None) -> str:
    """An exact decimal; with `places`, rounded half up; a repeating one is cut to 6 places and marked `…`."""
    value = Fraction(number)
    if places is not None:
        value = Fraction(round_half_up(value, places))
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, rest = divmod(value.numerator, value.denominator)
    if rest == 0 and not places:
        return f"{sign}{whole}"
    digits, remainder = "", rest
    limit = places if places is not None else 18
    while (remainder or places is not None) and len(digits) < limit:
        digit, remainder = divmod(remainder * 10, value.denominator)
        digits += str(digit)
    if remainder and places is None:
        return f"{sign}{whole}.{digits[:6]}…"
    return f"{sign}{whole}.{digits}"


def yuan_text(fen: Number) -> str:
    """Fen as yuan with two decimals, the machine-readable form: `200000.00`."""
    return decimal_text(Fraction(fen) / FEN_PER_YUAN, 2)


def money_text(fen: Number) -> str:
    """Fen as yuan for people: `200,000.00`, with the digits below the fen where there are any."""
    exact = Fraction(fen)
    text = yuan_text(fen) if exact.denominator == 1 else decimal_text(exact / FEN_PER_YUAN)
    whole, _, part = text.partition(".")
    sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(whole):,}.{part}"


def percent_text(ratio: Number) -> str:
    """A ratio in percentage points without the sign: 0.0333 is `3.33`."""
    return decimal_text(Fraction(ratio) * 100)


def value_text(value: Value | None, of: Type, lang: str = "zh") -> str:
    """A value as a person reads it."""
    if value is None:
        return "未知" if lang == "zh" else "unknown"
    if isinstance(value, bool):
        return ("是" if value else "否") if lang == "zh" else ("yes" if value else "no")
    if isinstance(value, (str, date)):
        return str(value)
    match of.kind:
        case Kind.MONEY:
            return money_text(value) + ("元" if lang == "zh" else " yuan")
        case Kind.RATIO:
            return percent_text(value) + "%"
        case _:
            return decimal_text(value) + unit_text(of.unit, lang, value)


_UNITS_EN = {"工作日": "working days", "天": "days", "人": "people", "次": "times", "月": "months", "年": "",
             "岁": "years", "名": "", "级": "", "分": "points", "个": "", "项": "items",
             "美元": "US dollars"}  # fmt: skip


def unit_text(unit: str | None, lang: str, number: Number) -> str:
    """A quantity's unit as it stands behind a number: 个工作日, ` working days`."""
    if not unit:
        return ""
    if lang == "zh":
        return "个工作日" if unit == "工作日" else unit
    word = _UNITS_EN.get(unit, unit)
    if number == 1:
        word = "person" if word == "people" else word.removesuffix("s")
    return f" {word}".rstrip()

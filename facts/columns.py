"""Spreadsheet headings ↔ fields: what one heading names, and in which unit.

A heading is compared without blanks, width and case, without order number, required mark and
bracketed notes; its unit is taken out. What names no field is never dropped in silence: the caller
lists it with the nearest field. No file reading here; finding the heading rows is `headings`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal, TypeAlias

from engine.dataclass import dataclass
from engine.errors import Problem, nearest
from engine.model import Field, RecordType
from engine.source import Location
from engine.types import Kind
from engine.values import UNIT_WORDS, fold, normalise, scale_of_unit
from facts.cells import unit_scale

UnitFrom = Literal["heading", "sheet", "field", ""]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading taken apart: the spellings it may stand for, best first, and its unit if it states one."""

    names: tuple[str, ...]
    unit: str | None = None
    ordinal: bool = False

    @property
    def only_unit(self) -> bool:
        return self.unit is not None and not self.names


@dataclass(frozen=True, slots=True)
class Match:
    """The field a heading names; `whole` tells whether group and heading together name it."""

    field: str
    unit: str | None
    whole: bool


@dataclass(frozen=True, slots=True)
class Given:
    """What a person says of a column, which goes before what its heading says.

    `field` is the field's name, empty for a column that is not to be read, None where the heading
    decides. `unit` is the unit of its bare numbers (万元, `%`, `1` for fractions, 万人), None where
    heading and sheet decide.
    """

    field: str | None = None
    unit: str | None = None


GivenColumns: TypeAlias = Mapping[str, Given]
"""By heading, as `heading_text` writes it; the second column under one heading is `heading#2`."""


@dataclass(frozen=True, slots=True)
class Column:
    """What one column of a table was taken for.

    `field` is None for a column that names no field. `unit` is the unit of its bare numbers and
    `unit_from` tells who said so: the heading, the sheet, or nobody (the field's own unit). What a
    person chose counts as the heading's own words; `field_by_hand` and `unit_by_hand` tell it.
    """

    index: int
    letter: str
    heading: str
    field: str | None
    unit: str | None = None
    unit_from: UnitFrom = ""
    field_by_hand: bool = False
    unit_by_hand: bool = False


def column_letter(index: int) -> str:
    """The letters of a column counted from 0, as a spreadsheet names it."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


# Units in words

_BRACKETS = re.compile(r"[(\[{〔【〈《]([^()\[\]{}〔〕【】〈〉《》]*)[)\]}〕】〉》]")
_UNIT_WORDS = {
    "%": "%", "百分比": "%", "百分点": "%", "个百分点": "%", "百分数": "%", "percent": "%", "pct": "%",
    "‰": "‰", "千分比": "‰", "千分之": "‰", "permille": "‰",
    "小数": "1", "比值": "1", "fraction": "1",
    "yuan": "元", "rmb": "元", "cny": "元", "10kyuan": "万元", "10,000yuan": "万元", "tenthousandyuan": "万元",
}  # fmt: skip


RATIO_UNITS = ("%", "‰", "1")
"""Units of a share; `1` is the fraction itself (0.85)."""


@lru_cache(maxsize=4096)
def unit_of(text: str) -> str | None:
    """A unit of money or ratio in a heading's words (`单位：万元`, `％`, `人民币元`), or None."""
    word = re.sub(r"^(?:(?:计量)?单位:?|unit:?|人民币|in(?=[\dy])|以)+|计$", "", fold(text)).strip(":,;、")
    if word in _UNIT_WORDS:
        return _UNIT_WORDS[word]
    if re.search(r"[元圆]$|^(万|百万|千万|亿|十亿|百亿|万亿)$", word) and scale_of_unit(word) is not None:
        return word.replace("圆", "元") if word[-1] in "元圆" else f"{word}元"
    return None


def is_unit_for(unit: str, field: Field) -> bool:
    """Whether bare numbers of the field can be in this unit."""
    match field.type.kind:
        case Kind.MONEY:
            return scale_of_unit(unit) is not None and unit.endswith("元")
        case Kind.RATIO:
            return unit in RATIO_UNITS
        case Kind.QUANTITY:
            return unit_scale(unit, field.unit) is not None
        case _:
            return False


_NEVER_SCALED = frozenset(("年", "季度", "月", "日", "天", "工作日", "小时", "岁"))


def units_for(field: Field) -> tuple[str, ...]:
    """Every unit to choose from for bare numbers of the field, its own first; none for dates, texts and choices."""
    stem = "元" if field.type.kind is Kind.MONEY else field.unit or ""
    words = ("",) if stem in _NEVER_SCALED else UNIT_WORDS
    scaled = [f"{word}{stem}" for word in words if is_unit_for(f"{word}{stem}", field)]
    found = [*RATIO_UNITS] if field.type.kind is Kind.RATIO else scaled
    own = [field.unit] if field.unit in found else []
    return tuple(dict.fromkeys([*own, *found]))


# Headings in words

_REQUIRED = re.compile(r"[*＊★☆※]|[(\[【（［](必填|必填项|选填|required|optional)[)\]】）］]")
_ORDER = re.compile(
    r"^\s*(?:[①-⑳]\s*|[（(]?\d{1,3}\s*(?:[)）.．]\s*(?=\D)|、\s*)|[（(]?[一二三四五六七八九十]{1,3}[)）]?、\s*|第\d+列\s*)"
)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
"""Nothing can be taken out of it."""
_ESCAPED = re.compile(r"_x000[aAdD9]_")
_ORDINAL = frozenset(("序号", "编号", "no", "no.", "№", "行号", "项次", "#", "index", "serialno", "serialno."))
_TRAILING_UNIT = re.compile(r"^(.+?)(?:[/_,;:、\-|]+(?:计量)?(?:单位:?)?|(?:计量)?单位:?)([^/_,;:、|]+)$")
_BARE_UNIT = re.compile(r"^(.+?)((?:百|千|万|十万|百万|千万|亿)?元|[%‰])$")


@lru_cache(maxsize=8192)
def read_heading(text: str, units: frozenset[str] = frozenset()) -> Heading:
    """A heading taken apart. `units` are further units that may stand in brackets (人, 个, km)."""
    if len(text) > 400:
        return Heading(())
    if _NUMBER.fullmatch(text):
        return Heading((text,))
    plain = _ORDER.sub("", _REQUIRED.sub("", _ESCAPED.sub(" ", text)))
    whole = fold(normalise(plain)).strip(":")
    if not whole:
        return Heading(())
    own_unit = _as_unit(whole, units)
    if own_unit is not None:
        return Heading((), own_unit)
    names: list[str] = []
    unit: str | None = None
    without_units, without_notes = whole, whole
    for match in _BRACKETS.finditer(whole):
        found = _as_unit(match[1], units)
        if found is not None:
            unit = unit or found
            without_units = without_units.replace(match[0], "", 1)
        without_notes = without_notes.replace(match[0], "", 1)
    names += [without_units, whole, without_notes]
    for name in (without_units, without_notes):
        if unit is not None:
            break
        if (marked := _TRAILING_UNIT.match(name)) and (found := _as_unit(marked[2], units)):
            unit = found
            names.insert(0, marked[1])
        elif (bare := _BARE_UNIT.match(name)) is not None:
            unit = _as_unit(bare[2], units)
            names.append(bare[1])
    kept = tuple(dict.fromkeys(name.strip("-_/,;:、|") for name in names if name.strip("-_/,;:、|")))
    return Heading(kept, unit, ordinal=whole in _ORDINAL)


def _as_unit(text: str, units: frozenset[str]) -> str | None:
    word = re.sub(r"^(计量)?单位:?", "", text)
    if word in units:
        return word
    for scale in ("万", "亿", "千", "百"):
        if word.startswith(scale) and word.removeprefix(scale) in units:
            return word
    return unit_of(text)


_SHEET_UNIT = re.compile(r"(?:计量|金额)?单位\s*[::]\s*([^)\]】）\s]+)")


def sheet_units(cells: Iterable[str]) -> tuple[list[str], list[str]]:
    """Units a title row states for the whole sheet: (money units, ratio units). `单位：州财政局` states none."""
    money: list[str] = []
    ratio: list[str] = []
    for cell in cells:
        for match in _SHEET_UNIT.finditer(normalise(cell)):
            parts = [unit_of(part) for part in re.split(r"[,、/;和及]", match[1])]
            if all(part is None for part in parts):
                continue
            for unit in parts:
                if unit is not None:
                    into = ratio if unit in RATIO_UNITS else money
                    if unit not in into:
                        into.append(unit)
    return money, ratio


def heading_text(parts: Iterable[str]) -> str:
    """Headings one above the other as one line, which is how a column is called to people."""
    return " ".join(" ".join(part.split()) for part in parts if part.strip())


class FieldNames:
    """The spellings of a record's fields, and which field a column's headings name.

    `given` is what a person said of some columns.
    """

    def __init__(self, fields: Mapping[str, Field], given: GivenColumns | None = None) -> None:
        self.fields, self.given = fields, dict(given or {})
        self.units = frozenset(
            fold(field.unit) for field in fields.values() if field.unit and field.type.kind is Kind.QUANTITY
        )
        self.index: dict[str, str] = {}
        self.shown: dict[str, str] = {}
        for spellings in (self._names, self._labels, self._aliases):
            for field in fields.values():
                for text in spellings(field):
                    if text:
                        self.shown.setdefault(text, field.name)
                        for name in (fold(text), *read_heading(text, self.units).names):
                            self.index.setdefault(name, field.name)
        self._seen: dict[tuple[tuple[str, ...], int], Match | None] = {}

    @staticmethod
    def _names(field: Field) -> tuple[str, ...]:
        return (field.name,)

    @staticmethod
    def _labels(field: Field) -> tuple[str, ...]:
        return (field.label.zh, field.label.en)

    @staticmethod
    def _aliases(field: Field) -> tuple[str, ...]:
        return field.aliases

    def said(self, parts: Sequence[str], nth: int = 1) -> Given:
        """What a person said of a column, the `nth` under its heading."""
        if not self.given:
            return _NOTHING
        text = heading_text(parts)
        return self.given.get(f"{text}#{nth}") or self.given.get(text) or _NOTHING

    def match(self, parts: tuple[str, ...], nth: int = 1) -> Match | None:
        """The field that headings, from the top row down, name; a group and its heading also together.

        A heading further down wins; one further up counts only where nothing stands below it. What a
        person said of the column, the `nth` under this heading, goes before all that.
        """
        key = parts, nth if self.given else 1
        if key not in self._seen:
            if len(self._seen) > 20_000:
                self._seen.clear()
            self._seen[key] = self._match(parts, self.said(parts, nth))
        return self._seen[key]

    def _match(self, parts: tuple[str, ...], said: Given) -> Match | None:
        found = self._named(parts)
        if said.field is not None:
            found = Match(said.field, self._unit(parts), whole=True) if said.field in self.fields else None
        return replace(found, unit=said.unit) if found is not None and said.unit is not None else found

    def _unit(self, parts: tuple[str, ...]) -> str | None:
        return next((unit for part in reversed(parts) if (unit := read_heading(part, self.units).unit)), None)

    def _named(self, parts: tuple[str, ...]) -> Match | None:
        headings = [heading for part in parts if part and (heading := read_heading(part, self.units))]
        named = [heading for heading in headings if heading.names]
        for start in range(len(named)):
            chain = named[start:]
            for name in _joined(chain):
                if name in self.index:
                    return Match(self.index[name], self._unit(parts), whole=start == 0)
        return None

    def suggest(self, text: str, taken: Iterable[str] = ()) -> str | None:
        """The label nearest to a heading that names no field."""
        used = set(taken)
        candidates = {shown: name for shown, name in self.shown.items() if name not in used}
        heading = read_heading(text, self.units)
        for name in (text, *heading.names):
            close = nearest(name, candidates)
            if close:
                return close
        return None


_NOTHING = Given()


def _joined(chain: Sequence[Heading]) -> list[str]:
    """Every way to read headings one above the other as one name."""
    names = [""]
    for heading in chain:
        names = [left + right for left in names for right in heading.names][:64]
    return names


class RecordNames(FieldNames):
    """A record type with the spellings of its fields and of itself."""

    def __init__(self, record: RecordType, given: GivenColumns | None = None) -> None:
        super().__init__(record.fields, given)
        self.record = record
        self.titles = frozenset(
            fold(text) for text in (record.name, record.label.zh, record.label.en, *record.aliases) if text
        )

    def is_called(self, title: str | None) -> bool:
        """Whether a sheet's or key's name is this record's; a trailing 表 and numbers do not matter."""
        if not title:
            return False
        name = fold(title)
        return name in self.titles or re.sub(r"(情况|信息|明细|汇总)?(表|名单)?[\d()_\-]*$", "", name) in self.titles


NO_FIELD = ("unrecognised-column", "column-names-rows")
"""What is said of a column that names no field."""
_CALLED = re.compile(r"名|单位|部门|企业|公司|机构|对象|name", re.IGNORECASE)


def assign_columns(
    names: FieldNames,
    headings: Sequence[tuple[int, tuple[str, ...], Location]],
    money_unit: str | None,
    ratio_unit: str | None,
    key: str | None = None,
) -> tuple[list[Column], int | None, list[Problem]]:
    """What each column was taken for, the index of the one that names the rows, and the problems of headings.

    `headings` holds, per column with a heading, its index, its texts from the top row down and its place.
    Rows are named by the field `key`; where there is none by the first column that names no field (one called
    like a name before others), else by the first text, else by what numbers the rows.
    Errors: `duplicate-column`, `unit-does-not-fit`; warnings: those of `NO_FIELD`, `unit-assumed`.
    """
    problems: list[Problem] = []
    columns: list[Column] = []
    counts: Counter[str] = Counter()
    matches: list[tuple[Column, tuple[str, ...], Location, Match | None]] = []
    for index, parts, place in headings:
        text = heading_text(parts)
        counts[text] += 1
        said = names.said(parts, counts[text])
        column = Column(index, column_letter(index), text, None, field_by_hand=said.field is not None)
        matches.append((replace(column, unit_by_hand=said.unit is not None), parts, place,
                        names.match(parts, counts[text])))
    first: dict[str, tuple[str, Location]] = {}
    taken = [match.field for *_, match in matches if match is not None]
    ordinals = {column.index for column, parts, *_ in matches if any(read_heading(part).ordinal for part in parts)}
    naming = _naming(names, {
        column: None if match is None else match.field for column, *_, match in matches}, ordinals, key)
    for column, parts, place, match in matches:
        text = column.heading
        if match is None:
            columns.append(replace(column, unit_by_hand=False))
            if column.field_by_hand or column.index in ordinals:
                continue
            fields = {"heading": text, "suggestion": names.suggest(parts[-1] or text, taken)}
            if column.index != naming:
                problems.append(Problem("unrecognised-column", place, fields, "warning"))
            elif fields["suggestion"] is not None or not _CALLED.search(text):
                problems.append(Problem("column-names-rows", place, fields, "warning"))
            continue
        field = names.fields[match.field]
        if match.field in first:
            earlier, where = first[match.field]
            problems.append(Problem("duplicate-column", place, {
                "heading": text, "label": field.label.zh, "label_en": field.label.en or field.name,
                "first": earlier, "first_at": str(where)}))  # fmt: skip
            columns.append(replace(column, unit_by_hand=False))
            continue
        first[match.field] = (text, place)
        unit, unit_from = _unit_for(field, match.unit, money_unit, ratio_unit)
        if match.unit is not None and not is_unit_for(match.unit, field):
            problems.append(Problem("unit-does-not-fit", place, {
                "heading": text, "unit": match.unit, "label": field.label.zh,
                "label_en": field.label.en or field.name,
                "type_zh": field.type.zh, "type_en": str(field.type)}))  # fmt: skip
            unit, unit_from = field.unit, "field"
        elif field.type.kind is Kind.MONEY and unit_from == "field" and fold(text) != fold(field.name):
            problems.append(Problem("unit-assumed", place, {
                "heading": text, "unit": unit or "元"}, "warning"))  # fmt: skip
        columns.append(replace(column, field=match.field, unit=unit, unit_from=unit_from))
    return columns, naming, problems


def _naming(
    names: FieldNames, fields: Mapping[Column, str | None], ordinals: set[int], key: str | None
) -> int | None:
    """The index of the column that names the rows, of columns with the fields they name; see `assign_columns`."""
    if key is not None:
        return next((column.index for column, field in fields.items() if field == key), None)
    own = [column for column, field in fields.items() if field is None]
    others = [column for column in own if column.index not in ordinals]
    called = [column for column in others if _CALLED.search(column.heading)]
    texts = [column for column, field in fields.items()
             if field is not None and names.fields[field].type.kind is Kind.TEXT]  # fmt: skip
    return next((column.index for column in (*called, *others, *texts, *own)), None)


def _unit_for(field: Field, own: str | None, money: str | None, ratio: str | None) -> tuple[str | None, UnitFrom]:
    if own is not None:
        return own, "heading"
    if field.type.kind is Kind.MONEY:
        return (money, "sheet") if money else (field.unit or "元", "field")
    if field.type.kind is Kind.RATIO:
        return (ratio, "sheet") if ratio else (field.unit or "%", "field")
    return (field.unit, "field") if field.unit else (None, "")

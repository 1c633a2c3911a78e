"""One column of a large table: its cells to stored values at column speed, exactly as cell by cell.

Numbers are read by the CSV parser itself as decimals of fixed scale, where the bytes of the block
prove that none is finer; days and choices through the distinct texts of the column, each of which the
cell's own reader reads once; names as they stand. What none of these can tell is doubtful, and its row
goes to the row reader. There is never a float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

import polars as pl

from engine.dataclass import dataclass
from engine.evaluate.polars_backend import column_type
from engine.model import Field
from engine.safe_text import SPECIAL
from engine.stored import encode, stored_scale
from engine.types import Kind
from engine.values import Unreadable, Value, scale_of_unit
from facts.cells import Context, reader_for, unit_scale
from facts.columns import Column
from facts.tables import row_kind

DIGITS = 38
"""Digits of a decimal of the CSV parser."""
LIMIT = 10**18
"""Stored values from here on are left to the row reader, which tells what fits 64 bits."""
MAX_TEXT_BYTES = 30_000
MAX_SPELLINGS = 20_000
MAX_SPELLING, FEW = 100, 4
"""Distinct texts of a column that are remembered, and their characters; beyond it patterns read the column.

Up to a few are faster compared than looked up.
"""
_UNKNOWN = ["n/a", "na", "null", "none", "unknown", "未知", "不详", "未填", "空", "待定", "-", "—", "–", "/", "\\"]
"""A text that holds none of these cannot say that it is not known."""
_HINTS = [*"计注明人核章额数责", "电话", "填报", "total", "note", "sum", "remark"]
"""A text that holds none of these cannot lead a total or a note."""
BLANKS = "".join(map(chr, (*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029,
                           0x202F, 0x205F, 0x3000)))
"""All that `str.strip` takes away."""
_NOTABLE = [*_HINTS, *BLANKS, *SPECIAL]
"""A text that holds none of these, and is no heading, is a name as it stands, and a cell of CSV as well."""

Read = tuple[pl.Series, pl.Series | None]
"""Stored values of some cells, and which of the cells are doubtful; None where none is."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The texts known of a column, the value of each, and whether it is doubtful."""

    texts: pl.Enum
    values: pl.Series
    doubtful: pl.Series
    any_doubtful: bool


class Spellings:
    """The distinct texts of a column, each read once. Safe to use from several threads.

    `read` gives for some texts the stored value of each and whether it is doubtful.
    """

    def __init__(self, read: Callable[[list[str]], list[tuple[object, bool]]], of: pl.DataType) -> None:
        self.read, self.of = read, of
        self.lock = Lock()
        self.known = self._table({})

    def _table(self, texts: dict[str, tuple[object, bool]]) -> _Known:
        self.found = texts
        doubtful = [odd for _, odd in texts.values()]
        return _Known(pl.Enum(list(texts)), pl.Series([value for value, _ in texts.values()], dtype=self.of),
                      pl.Series(doubtful, dtype=pl.Boolean), any(doubtful))

    def cells(self, cells: pl.Series) -> Read | None:
        """The values of a column's cells; None where the texts are too many or too long to keep."""
        known = self.known
        if self.of == pl.Boolean() and len(self.found) <= FEW and not known.any_doubtful:
            yes, no = (_any_of(cells, [text for text, (value, _) in self.found.items() if value is wanted])
                       for wanted in (True, False))
            if (yes | no).all():
                return yes, None
        codes = cells.cast(known.texts, strict=False)
        if codes.null_count() != cells.null_count():
            if not self._learn(cells.filter(codes.is_null() & cells.is_not_null()).unique().to_list()):
                return None
            known = self.known
            codes = cells.cast(known.texts, strict=False)
        places = codes.to_physical()
        return known.values[places], known.doubtful[places] if known.any_doubtful else None

    def _learn(self, fresh: Sequence[str]) -> bool:
        with self.lock:
            new = sorted({*fresh}.difference(self.found))
            if len(self.found) + len(new) > MAX_SPELLINGS or any(len(text) > MAX_SPELLING for text in new):
                return False
            self.known = self._table({**self.found, **dict(zip(new, self.read(new), strict=True))})
            return True


def _any_of(cells: pl.Series, texts: Sequence[str]) -> pl.Series:
    """Which cells are one of a few texts; null where there is no cell."""
    found = cells == texts[0] if texts else cells != cells  # never, and null where there is no cell
    for text in texts[1:]:
        found |= cells == text
    return found


class LabelColumn:
    """A column that is no fact: its texts name the row, or mark a total, a note or a repeated heading."""

    places: int | None = None

    def __init__(self, heading: str) -> None:
        self.heading = heading

    def read(self, cells: pl.Series, places: int) -> Read:
        """The values of some cells, as the parser read them (decimals of `places`, or whole numbers) or as texts."""
        values, doubtful, _ = self.names(cells)
        return values, doubtful

    def names(self, cells: pl.Series) -> tuple[pl.Series, pl.Series | None, bool]:
        """The names in some cells, which of them are doubtful, and whether all can be written to a CSV as they are."""
        notable = cells.str.contains_any(_NOTABLE, ascii_case_insensitive=True) | (cells == self.heading)
        if not notable.any():
            return cells, None, True
        places = notable.arg_true()
        some = cells.gather(places)
        named = some.str.strip_chars()
        values = cells.clone().scatter(places, pl.select(pl.when(named != "").then(named)).to_series())
        told = self.telling(some)
        if not told:
            return values, None, not is_special(some)
        no = pl.Series([False]).new_from_index(0, cells.len())
        return values, no.scatter(places, some.is_in(list(told))), not is_special(some)

    def telling(self, cells: pl.Series) -> set[str]:
        """The texts that may mark a row that is none of the table's."""
        repeated = cells.str.strip_chars() == self.heading
        hints = cells.str.contains_any(_HINTS, ascii_case_insensitive=True)
        return {text for text in cells.filter((hints | repeated).fill_null(False)).unique()
                if text.strip() == self.heading or row_kind(text.strip())}

    def marked(self, cells: pl.Series) -> pl.Series | None:
        """Which cells may mark a row that is none of the table's; None where none does."""
        told = self.telling(cells)
        return cells.is_in(list(told)) if told else None


class FactColumn(LabelColumn):
    """A column of a fact. `usable` is false where only the row reader reads it.

    `places` are the decimals of a number as it is stored, in the column's unit; None for all other kinds.
    `whole`: the numbers of the sample have none.
    """

    def __init__(self, column: Column, of: Field, sample: Sequence[str], words: dict[str, int]) -> None:
        super().__init__(column.heading)
        self.name, self.of, self.words = of.name, of, words
        self.stated = column.unit if column.unit_from in ("heading", "sheet") else None
        self.sample = [cell for cell in sample if cell]
        self.type = column_type(of)
        reader = reader_for(of, Context(self.stated))

        def verdict(cell: str) -> Value | None:
            try:
                return reader(cell, None)
            except Unreadable:
                return None

        self.verdict = verdict
        self.places = self._places()
        self.whole = not any("." in cell for cell in self.sample)
        self.pattern = None if self.places is None else self._pattern(self.places)
        self.signed = self.of.type.kind is Kind.RATIO and any(cell.endswith("%") for cell in self.sample)
        self.is_number = self.places is not None and not self.signed
        numeric = of.type.kind in (Kind.MONEY, Kind.RATIO, Kind.QUANTITY)
        self.usable = self.places is not None or not numeric
        self.spellings = None if numeric else Spellings(self._spelled, self.type)
        low, high, scale = of.minimum, of.maximum, stored_scale(of.type)
        self.low = int(low * scale) if numeric and low is not None else None  # type: ignore[operator]  # numbers
        self.high = int(high * scale) if numeric and high is not None else None  # type: ignore[operator]

    def _places(self) -> int | None:
        match self.of.type.kind:
            case Kind.MONEY:
                scale = scale_of_unit(self.stated or self.of.unit or "元")
                return None if scale is None else len(str(scale * 100)) - 1
            case Kind.QUANTITY:
                if self.stated is not None and unit_scale(self.stated, self.of.unit) != 1:
                    return None
                return 0 if self.of.type.integer else len(str(stored_scale(self.of.type))) - 1
            case Kind.RATIO:
                return 4 if (self.stated or self.of.unit or "%") == "%" else None
        return None

    def _pattern(self, places: int) -> str:
        """How a number is written plainly."""
        whole = 9 if self.of.type.kind is Kind.RATIO else max(1, 18 - places)
        return rf"^[0-9]{{1,{whole}}}(?:\.[0-9]{{1,{places}}})?$" if places else rf"^[0-9]{{1,{whole}}}$"

    def _spelled(self, texts: list[str]) -> list[tuple[object, bool]]:
        if self.of.type.kind is Kind.TEXT:
            told = self.telling(pl.Series(texts, dtype=pl.String))
            return [(text if value is None else value, value is None or text in told)
                    for text, value in zip(texts, map(self.verdict, texts), strict=True)]
        return [(stored, stored is None) for stored in map(self._stored, texts)]

    def _stored(self, text: str) -> object:
        """What a text is stored as; None where it does not plainly say."""
        value = self.verdict(text)
        if self.of.type.kind is Kind.ENUM:
            return self.words.get(str(value))
        return value if value is None else encode(value, self.of.type)

    def read(self, cells: pl.Series, places: int) -> Read:
        if self.places is None:
            found = self.spellings.cells(cells) if self.spellings is not None else None
            if found is None:  # too many texts to remember
                self.spellings = None
                found = self._texts(cells)
            return found
        match cells.dtype:
            case pl.Int64():
                values = self._scaled(cells)
            case pl.Decimal():
                values = self._decimals(cells, places)
            case _:
                values = self._digits(cells)
        return values, self._outside(values, cells)

    def _scaled(self, cells: pl.Series) -> pl.Series:
        """Whole numbers as they are stored; null where that takes more than 64 bits."""
        assert self.places is not None
        scaled = pl.lit(cells).cast(pl.Int128) * 10**self.places
        return pl.select(scaled.cast(pl.Int64, strict=False)).to_series() if self.places else cells

    def _decimals(self, cells: pl.Series, places: int) -> pl.Series:
        """Numbers that the parser read; null where one is finer than the column or has more than 64 bits."""
        assert self.places is not None
        numbers = cells.reinterpret(dtype=pl.Int128)
        if places > self.places:
            finer, number = 10 ** (places - self.places), pl.lit(numbers)
            numbers = pl.select(pl.when(number % finer == 0).then(number // finer)).to_series()
        return numbers.cast(pl.Int64, strict=False)

    def _digits(self, cells: pl.Series) -> pl.Series:
        """Numbers in texts; null where one is not plainly written."""
        assert self.pattern is not None
        texts = cells.alias("cell").to_frame()
        digits, pattern = pl.col("cell"), self.pattern
        if self.signed:
            digits, pattern = digits.str.strip_suffix("%"), self.pattern.removesuffix("$") + "%$"
        number = digits.cast(pl.Decimal(DIGITS, self.places or 0), strict=False).reinterpret(dtype=pl.Int128)
        plain = pl.col("cell").str.contains(pattern)
        return texts.select(pl.when(plain).then(number.cast(pl.Int64, strict=False))).to_series()

    def _outside(self, values: pl.Series, cells: pl.Series) -> pl.Series | None:
        """Which cells have no value, a negative or very large one, one out of bounds, or what may be a fraction."""
        least, most = values.min(), values.max()
        doubtful = None
        if values.null_count() != cells.null_count():
            doubtful = values.is_null() & cells.is_not_null()
        if least is None or most is None:
            return doubtful
        masks = [doubtful] if doubtful is not None else []
        if least < 0 or most >= LIMIT:  # type: ignore[operator]  # whole numbers
            masks.append(~values.is_between(0, LIMIT, closed="left"))
        if self.low is not None and least < self.low:  # type: ignore[operator]  # whole numbers
            masks.append(values < self.low)
        if self.high is not None and most > self.high:  # type: ignore[operator]
            masks.append(values > self.high)
        if self.of.type.kind is Kind.RATIO and self.stated is None and not self.signed and least < FRACTION:  # type: ignore[operator]
            masks.append(values.is_between(1, FRACTION, closed="left"))
        return either(masks)

    def _texts(self, cells: pl.Series) -> Read:
        if self.of.type.kind is Kind.DATE:
            days = _days(cells, slashed=any("/" in cell for cell in self.sample))
            return days, (days.is_null() & cells.is_not_null()) if days.null_count() != cells.null_count() else None
        if self.of.type.kind is Kind.TEXT:
            return cells, either([mask for mask in (self._odd(cells), self.marked(cells)) if mask is not None])
        return pl.Series([None], dtype=self.type).new_from_index(0, cells.len()), cells.is_not_null()

    def _odd(self, cells: pl.Series) -> pl.Series | None:
        """Which cells of a text column may be read as something else than what is written in them."""
        plain = (cells.str.strip_chars() == cells) & (cells.str.normalize("NFKC") == cells)
        odd = (~plain | cells.str.contains_any(_UNKNOWN, ascii_case_insensitive=True)
               | cells.str.head(1).is_in(["#", "=", "'"]) | (cells.str.len_bytes() > MAX_TEXT_BYTES)).fill_null(False)
        if not odd.any():
            return None
        asis = [text for text in cells.filter(odd).unique() if self.verdict(text) == text]
        return odd & ~cells.is_in(asis).fill_null(False)


FRACTION = 2 * 10**4
"""Two percent as stored: a bare number below it may be meant as a fraction."""


def is_special(texts: pl.Series) -> bool:
    """Whether any text may have to be quoted in a CSV, or kept from being a formula."""
    return bool((texts.str.contains_any(list(SPECIAL)) | (texts == "")).any())


def either(masks: Sequence[pl.Series]) -> pl.Series | None:
    """Where any of some masks holds, null being no; None where there are none."""
    found = None
    for mask in masks:
        known = mask.fill_null(False)
        found = known if found is None else found | known
    return found


def _days(cells: pl.Series, slashed: bool) -> pl.Series:
    pattern, form = ((r"^[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}$", "%Y/%m/%d") if slashed
                     else (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "%Y-%m-%d"))
    cell = pl.col("cell")
    day = cell.str.to_date(form, strict=False).cast(pl.Int32)
    return cells.alias("cell").to_frame().select(pl.when(cell.str.contains(pattern)).then(day)).to_series()


__all__ = ["FactColumn", "LabelColumn", "Read", "either", "is_special"]

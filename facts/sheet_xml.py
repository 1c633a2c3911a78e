"""One sheet's own XML: formulas never computed, error values, merged and hidden cells, its true size.

One streaming pass a sheet, in which rows of plain cells are told by a pattern (`plain_rows`); the handler
of the frequent elements does little, since it may run a million times.
"""

from __future__ import annotations

import re
from itertools import pairwise
from xml.parsers import expat

from engine.errors import FactError, Problem
from engine.source import Location
from facts.columns import column_letter
from facts.grid import COLUMN_BITS, Marks, MergedRange
from facts.numbers import Fault, Shown
from facts.plain_rows import without_plain_rows
from facts.workbook_xml import BookXml, Doctype, XmlPass, broken, local, pairs, to_int

MAX_CELLS = 40_000_000
"""Cells in the rectangle a sheet spans; the cell reader keeps all of them in memory."""
MAX_COLUMNS = 1 << COLUMN_BITS


def scan_sheet(book: BookXml, part: str, sheet: str) -> tuple[Marks, int]:
    """The marks of one sheet and its last row.

    Errors (`FactError`): `sheet-too-large`, `broken-workbook`, `workbook-doctype`.
    """
    scan = _SheetScan(book).run(part)
    if scan.last_row * scan.last_column > MAX_CELLS:
        # Cells that only carry a format do not count: the cell reader leaves them out.
        scan.extent(_SheetScan(book, only_values=True).run(part))
    if scan.last_row * scan.last_column > MAX_CELLS:
        raise FactError(Problem("sheet-too-large", Location(book.name, sheet=sheet), {
            "rows": scan.last_row, "columns": scan.last_column, "limit": MAX_CELLS}))  # fmt: skip
    marks = Marks(scan.shown, scan.faults, tuple(scan.merged), tuple(scan.hidden_rows), tuple(scan.hidden_columns),
                  book.date1904, formats_known=True)  # fmt: skip
    return marks, scan.last_row


_WITHIN_CELLS = frozenset(("v", "is", "t"))


class _SheetScan:
    """Collects the marks of a sheet from the start of each element; text is read only in formula cells."""

    def __init__(self, book: BookXml, only_values: bool = False) -> None:
        self.book = book
        self.styles = {str(index): shown for index, shown in enumerate(book.styles) if shown is not None}
        self.shown: dict[int, Shown] = {}
        self.faults: dict[int, dict[int, Fault]] = {}
        self.merged: list[MergedRange] = []
        self.hidden_rows: list[int] = []
        self.hidden_columns: list[int] = []
        self.only_values = only_values
        self.last_row = self.last_column = 0
        self.row, self.row_text = 0, ""
        self.reference = ""
        self.type = ""
        self.in_value, self.value = False, ""
        self.columns: dict[str, int] = {}
        self.in_data = False
        self.in_order: set[tuple[bytes, ...]] = set()
        """Columns that were seen to follow one another in a row."""
        styles = "|".join(self.styles).encode()
        self.marked = re.compile(rb'<c r="([A-Z]+)\d+" s="(' + styles + rb')"(?: t="n")?/?>') if styles else None

    def run(self, part: str) -> _SheetScan:
        self.reader = XmlPass(self.start_of_value if self.only_values else self.start)
        try:
            with self.book.archive.open(part) as stream:
                if self.only_values:
                    self.reader.parse(stream)
                else:
                    self.reader.feed(without_plain_rows(stream, self))
        except KeyError:
            raise broken(self.book.name, f"no part `{part}`") from None
        except Doctype:
            raise FactError(Problem("workbook-doctype", Location(self.book.name), {"part": part})) from None
        except FactError:
            raise
        except expat.ExpatError as error:  # where it is tells nobody anything: plain rows are not counted
            raise broken(self.book.name, f"{part}: {expat.ErrorString(error.code)}") from None
        except Exception as error:  # zlib.error and BadZipFile have no common base
            raise broken(self.book.name, f"{part}: {error}") from None
        self._end_of_row()
        return self

    # Rows of plain cells

    def may_take(self) -> bool:
        """Whether what comes now is a row of the sheet: it is no part of a formula's cell."""
        return self.in_data and self.reader.parser.EndElementHandler is None

    def is_in_order(self, columns: tuple[bytes, ...]) -> bool:
        """Whether columns follow one another, as they do in a sound row."""
        if columns not in self.in_order:
            places = [column_index(letters.decode()) for letters in columns]
            if any(one >= other for one, other in pairwise(places)) or (places and places[-1] >= MAX_COLUMNS):
                return False
            self.in_order.add(columns)
        return True

    def take(self, number: str, columns: tuple[bytes, ...], row: bytes) -> None:
        """A row of plain cells."""
        self._row({"r": number})
        if self.marked is not None:
            for letters, style in self.marked.findall(row):
                self.shown[self.row << COLUMN_BITS | column_index(letters.decode())] = self.styles[style.decode()]
        self.reference, self.type = f"{columns[-1].decode()}{number}" if columns else "", ""

    def extent(self, other: _SheetScan) -> None:
        self.last_row, self.last_column = other.last_row, other.last_column

    def start(self, tag: str, attributes: list[str]) -> None:
        # Called for every element of the sheet, so the frequent ones come first and do little.
        if tag in _WITHIN_CELLS:
            return
        if tag == "c":
            if attributes and (attributes[0] == "r" or "r" in attributes[::2]):
                reference = attributes[1] if attributes[0] == "r" else pairs(attributes)["r"]
                before = self.reference
                if not reference.endswith(self.row_text) or (
                    len(reference) <= len(before) and (len(reference) < len(before) or reference <= before)
                ):
                    raise broken(self.book.name, f"cell {reference} is out of order")
                self.reference = reference
            else:
                previous = self._column() if self.reference else -1
                self.reference = f"{column_letter(previous + 1)}{self.row_text}"
            if len(attributes) > 2 or (attributes and attributes[0] != "r"):
                self._styled(attributes)
            else:
                self.type = ""
            return
        self._other(tag, attributes)

    def start_of_value(self, tag: str, attributes: list[str]) -> None:
        """In place of `start` where it matters which cells hold a value."""
        name = local(tag)
        if name in ("v", "is"):
            self.in_value = True
            if self.only_values:
                self.last_row = self.row
                self.last_column = max(self.last_column, self._column() + 1)
        else:
            self.start(name, attributes)

    def _styled(self, attributes: list[str]) -> None:
        style = self.type = ""
        if len(attributes) == 4 and attributes[2] == "s":
            style = attributes[3]
        else:
            for index in range(0, len(attributes), 2):
                key = attributes[index]
                if key == "s":
                    style = attributes[index + 1]
                elif key == "t":
                    self.type = attributes[index + 1]
            if self.type == "e":
                self._fault("cell-error", "错误值 / an error value")
                return
        if style in self.styles and self.type in ("", "n"):
            self.shown[self.row << COLUMN_BITS | self._column()] = self.styles[style]

    def _column(self) -> int:
        """The column of the current cell, from 0."""
        letters = self.reference[: -len(self.row_text)]
        known = self.columns.get(letters)
        if known is None:
            known = self.columns[letters] = column_index(letters)
            if not _LETTERS.fullmatch(letters) or known >= MAX_COLUMNS:
                raise broken(self.book.name, f"there is no cell {self.reference}")
        return known

    def _fault(self, code: str, text: str) -> None:
        self.faults.setdefault(self.row, {})[self._column()] = Fault(code, text)

    def _other(self, tag: str, attributes: list[str]) -> None:
        name = local(tag)
        if name != tag and name in ("c", "v"):
            self.start(name, attributes)
        elif name == "row":
            self._row(pairs(attributes))
        elif tag == "sheetData":
            self.in_data = True
        elif name == "f":
            self.value, self.in_value = "", False
            self.reader.parser.StartElementHandler = self.start_of_value
            self.reader.parser.CharacterDataHandler = self._text
            self.reader.parser.EndElementHandler = self._end
        elif name == "mergeCell":
            found = _RANGE.fullmatch(pairs(attributes).get("ref", ""))
            if found is not None:
                first, last = sorted((column_index(found[1]), column_index(found[3])))
                rows = sorted((int(found[2]), int(found[4])))
                self.merged.append((rows[0], first, rows[1], last))
        elif name == "col":
            values = pairs(attributes)
            if values.get("hidden") in ("1", "true"):
                first, last = to_int(values.get("min")), to_int(values.get("max"))
                self.hidden_columns += range(max(first - 1, 0), min(last, MAX_COLUMNS))

    def _row(self, values: dict[str, str]) -> None:
        self._end_of_row()
        given = values.get("r")
        number = to_int(given) if given is not None else self.row + 1
        if number <= self.row or number > 1 << 20:
            raise broken(self.book.name, f"row {given} is out of order")
        self.row, self.row_text, self.reference = number, str(number), ""
        if values.get("hidden") in ("1", "true"):
            self.hidden_rows.append(number)

    def _end_of_row(self) -> None:
        if self.reference and not self.only_values:
            self.last_row = self.row
            self.last_column = max(self.last_column, self._column() + 1)

    # A cell with a formula: its value was computed and kept, or the cell says nothing.

    def _text(self, text: str) -> None:
        if self.in_value:
            self.value += text

    def _end(self, tag: str) -> None:
        name = local(tag)
        if name == "v":
            self.in_value = False
        elif name == "c":
            self.reader.parser.CharacterDataHandler = None
            self.reader.parser.EndElementHandler = None
            if not self.only_values:
                self.reader.parser.StartElementHandler = self.start
            value = self.value.strip()
            stale = self.book.never_computed and value == "0" and self.type in ("", "n")
            if (not value and self.type != "str") or stale:
                self._fault("formula-not-computed", "公式 / a formula")


_LETTERS = re.compile(r"[A-Z]{1,3}")
_RANGE = re.compile(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})")


def column_index(reference: str) -> int:
    """The column of a reference such as `AB12`, from 0."""
    index = 0
    for char in reference:
        if not "A" <= char <= "Z":
            break
        index = index * 26 + ord(char) - 64
    return max(index - 1, 0)

"""What an OpenDocument sheet says beside its values: shares, formulas without result, and its true size."""

from __future__ import annotations

import zipfile

from engine.errors import FactError, Problem
from engine.source import Location
from facts.grid import COLUMN_BITS, Marks
from facts.numbers import Fault, Shown
from facts.sheet_xml import MAX_CELLS, MAX_COLUMNS
from facts.workbook_xml import local, pairs, parse_part

_PERCENT = Shown(percent=True)
_MAX_MARKS = 2_000_000


def scan_ods(archive: zipfile.ZipFile, name: str) -> dict[str, tuple[Marks, int] | FactError]:
    """The marks of each sheet.

    A cell or row may be written once and repeated a million times; a sheet whose repetitions unfold
    beyond the limit is a problem. Errors: `sheet-too-large`, `broken-workbook`, `workbook-doctype`.
    """
    scan = _Scan(name)
    parse_part(archive, "content.xml", name, scan.start)
    scan.end_of_table()
    return scan.found


class _Scan:
    def __init__(self, name: str) -> None:
        self.name = name
        self.found: dict[str, tuple[Marks, int] | FactError] = {}
        self.sheet: str | None = None
        self.row = self.column = self.repeat_row = 0
        self.last_row = self.last_column = 0
        self.reset()

    def reset(self) -> None:
        self.shown: dict[int, Shown] = {}
        self.faults: dict[int, dict[int, Fault]] = {}
        self.hidden: list[int] = []
        self.row = self.repeat_row = self.last_row = self.last_column = 0

    def start(self, tag: str, attributes: list[str]) -> None:
        match local(tag):
            case "table":
                self.end_of_table()
                self.sheet = pairs(attributes).get("name", "")
            case "table-row":
                values = pairs(attributes)
                self.row += max(self.repeat_row, 1)
                self.repeat_row = _count(values.get("number-rows-repeated"))
                self.column = 0
                if values.get("visibility") in ("collapse", "filter") and self.repeat_row < 10_000:
                    self.hidden += range(self.row, self.row + self.repeat_row)
            case "table-cell" | "covered-table-cell":
                self.cell(pairs(attributes))

    def cell(self, values: dict[str, str]) -> None:
        repeat = _count(values.get("number-columns-repeated"))
        first, self.column = self.column, self.column + repeat
        kind = values.get("value-type")
        if kind is None and "formula" not in values:
            return
        self.last_row = max(self.last_row, self.row + self.repeat_row - 1)
        self.last_column = max(self.last_column, self.column)
        if kind == "percentage" or ("formula" in values and kind is None):
            if repeat * self.repeat_row + len(self.shown) > _MAX_MARKS:
                return
            for row in range(self.row, self.row + self.repeat_row):
                for column in range(first, min(self.column, MAX_COLUMNS)):
                    if kind == "percentage":
                        self.shown[row << COLUMN_BITS | column] = _PERCENT
                    else:
                        self.faults.setdefault(row, {})[column] = Fault("formula-not-computed", "公式 / a formula")

    def end_of_table(self) -> None:
        if self.sheet is None:
            return
        if self.last_row * self.last_column > MAX_CELLS:
            self.found[self.sheet] = FactError(Problem("sheet-too-large", Location(self.name, sheet=self.sheet), {
                "rows": self.last_row, "columns": self.last_column, "limit": MAX_CELLS}))  # fmt: skip
        else:
            marks = Marks(self.shown, self.faults, hidden_rows=tuple(self.hidden))
            self.found[self.sheet] = (marks, self.last_row)
        self.sheet = None
        self.reset()


def _count(text: str | None) -> int:
    return max(1, min(int(text), 1 << 21)) if text and text.isdecimal() and len(text) < 10 else 1

"""Rows of a table → typed rows, and a problem for every cell that cannot be read.

Blank rows, totals, footnotes and repeated headings are skipped and counted by kind; a row with an
error in any cell is rejected whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from engine.errors import HeguiError, Problem
from engine.model import Row
from engine.source import Location
from engine.types import Kind
from engine.values import Unreadable, Value, fold, is_unknown_text
from facts.cells import Context, Reader, reader_for
from facts.columns import column_letter
from facts.expected import problem_for
from facts.grid import COLUMN_BITS, COLUMN_MASK, Covered, Grid
from facts.headings import GridRow, Layout, cell_text, is_numbering
from facts.numbers import Fault
from facts.tally import Draft, RejectKind, SkipKind, Tally

_TOTAL = re.compile(
    r"(?:.{0,12}(?:合计|总计|小计|共计|累计)|计|(?:grand|sub)?-?total|sum|总额|总数)(?:数|额)?(?:[:(\d].*)?",
    re.IGNORECASE)  # fmt: skip
_NOTE = re.compile(
    r"(?:备?注|附注|说明|填[报表]说明|编制说明|note|notes|remark|remarks)(?:\d*[:.、]|$)"
    r"|(?:填[报表]人|填报单位|审核人?|复核人?|制表人?|单位负责人|负责人|经办人|联系人|联系电话|单位[((]?盖章|填报[日时][期间])"
    r"(?:\([^)]*\))?(?::|$)",
    re.IGNORECASE)  # fmt: skip


@lru_cache(maxsize=4096)
def row_kind(text: str) -> Literal["total", "note"] | None:
    """Whether the text that leads a row says that it is a total or a footnote."""
    word = fold(text[:60]).strip("：:*")
    if _TOTAL.fullmatch(word):
        return "total"
    if _NOTE.match(fold(text[:60])):
        return "note"
    return None


_HINTS = re.compile("[计注明人核章额数]|责|电话|填报|otal|OTAL|ote|OTE|um|UM|emark", re.IGNORECASE)


class TableReader:
    """Reads the rows of one grid by its layout."""

    def __init__(self, grid: Grid, layout: Layout, problems: list[Problem]) -> None:
        self.grid, self.layout, self.problems = grid, layout, problems
        self.tally = Tally(grid.file, grid.sheet, layout.target, tuple(
            replace(column, letter=column_letter(column.index + grid.offset)) for column in layout.columns))
        fields = layout.target.names.fields
        marks = grid.marks
        self.columns = [column for column in layout.columns if column.field is not None]
        shown = {key & COLUMN_MASK for key in marks.shown}
        self.readers: list[tuple[int, str, Reader, bool]] = []
        for column in self.columns:
            assert column.field is not None
            stated = column.unit if column.unit_from in ("heading", "sheet") else None
            context = Context(stated, formats_known=marks.formats_known, date1904=marks.date1904)
            marked = column.index + grid.offset in shown
            self.readers.append((column.index, column.field, reader_for(fields[column.field], context), marked))
        self.by_index = {column.index: column for column in layout.columns}
        self.key = layout.target.key
        self.key_index = next((c.index for c in self.columns if self.key and c.field == self.key), None)
        text = [c.index for c in layout.columns if c.field is None or fields[c.field].type.kind is Kind.TEXT]
        self.labels = sorted(index for index in text if index != self.key_index)
        self.width = max((column.index for column in layout.columns), default=-1) + 1
        if grid.fixed_width:
            self.width = max(self.width, *(len(cells) for row, cells in grid.head.rows if row in layout.heading_rows))
        self.unheaded = [index for index in range(self.width) if index not in self.by_index]
        self.loose: dict[int, tuple[int, int]] = {}
        lead = self.key_index if self.key_index is not None else self.columns[0].index if self.columns else 0
        self.letter = column_letter(grid.offset + lead)
        self.record = layout.target.record.name if layout.target.record is not None else layout.target.title

    def read(self) -> list[Draft]:
        """The rows as drafts; skipped and rejected ones are counted and reported."""
        grid, layout, tally = self.grid, self.layout, self.tally
        self.problems += grid.problems
        self.problems += layout.problems
        last_heading = layout.heading_rows[-1]
        covered = self._covered(last_heading)
        drafts: list[Draft] = []
        at_first = True
        for number, cells in self._lines():
            if number <= last_heading:
                continue
            if not any(cells) and self._blank(number, cells, covered):
                tally.skip("blank")
                continue
            cells = grid.faulty(number, cells)
            if number in covered.rows:
                cells = covered.apply(number, cells)
            if at_first:
                at_first = False
                if is_numbering(cells):
                    tally.skip("numbering")
                    continue
            if cells and type(cells[0]) is Fault and cells[0].code in ROW_FAULTS:
                self._broken(number, cells[0])
                continue
            kind = self._skip_kind(cells)
            if kind is not None:
                tally.skip(kind)
                continue
            if len(cells) != self.width:
                cells = self._fit(number, cells)
            draft = self._row(number, cells)
            if draft is not None:
                drafts.append(draft)
        if self.interrupted:
            for draft in drafts:
                draft.fault = draft.fault or "row"
        self._report_columns(covered)
        return drafts

    def _lines(self) -> Iterator[GridRow]:
        """The rows; a file that turns out damaged halfway is a problem, and no row of it is used."""
        try:
            yield from self.grid.rows
        except HeguiError as error:
            self.problems += error.problems
            self.interrupted = True

    def _row(self, number: int, cells: list[object]) -> Draft | None:
        """The typed row; None where it turns out to say nothing at all."""
        values: dict[str, Value | None] = {}
        found: list[Problem] = []
        shown = self.grid.marks.shown
        base = (number << COLUMN_BITS) + self.grid.offset
        for index, name, read, marked in self.readers:
            raw = cells[index]
            try:
                values[name] = read(raw, shown.get(base + index) if marked else None)
            except Unreadable as error:
                found.append(self._problem(error, raw, number, index))
        if self.key_index is None or values.get(self.key or "") is None:
            if not found and _says_nothing(values, cells):
                self.tally.skip("blank")
                return None
            if self.key_index is not None and not found:
                found.append(self._key_missing(number))
        if self.unheaded or len(cells) > self.width:
            self._note_loose(number, cells)
        fault: RejectKind | None = "cell" if found else None if self.layout.usable else "heading"
        if self.short:
            found.append(Problem("ragged-row", self.grid.place(number, self.short - 1, ""),
                                 {"found": self.short, "expected": self.width}))
            self.short, fault = 0, "row"
        if found:
            self.problems += found
        naming = self.layout.naming
        name = "" if naming is None else cell_text(cells[naming])
        return Draft(Row(self.record, values, self._place(number)), self.tally, fault, name)

    def _blank(self, number: int, cells: Sequence[object], covered: Covered) -> bool:
        """Whether a row without a true cell is blank: zeros, faults and merged keys are content."""
        if number in self.grid.marks.faults or number in covered.rows:
            return False
        return all(cell in ("", None) for cell in cells)

    def _key_missing(self, number: int) -> Problem:
        assert self.key_index is not None
        heading = self.by_index[self.key_index].heading
        return Problem("key-missing", self.grid.place(number, self.key_index, heading),
                       {"label": heading, "record": self.layout.target.shown})

    def _note_loose(self, number: int, cells: Sequence[object]) -> None:
        """Remember content in columns that have no heading."""
        for index in (*self.unheaded, *range(self.width, len(cells))):
            if cells[index] not in ("", None):
                first, count = self.loose.get(index, (number, 0))
                self.loose[index] = first, count + 1

    short = 0
    interrupted = False

    def _fit(self, number: int, cells: list[object]) -> list[object]:
        """The row at the width of the heading; a file of lines that leaves cells out is a problem."""
        if len(cells) < self.width:
            if self.grid.fixed_width:
                self.short = max(len(cells), 1)
            return cells + [""] * (self.width - len(cells))
        if self.grid.fixed_width and any(cell not in ("", None) for cell in cells[self.width :]):
            self.short = len(cells)
        return cells

    def _place(self, number: int) -> Location:
        grid = self.grid
        if grid.sheet is None:
            return Location(grid.file, number)
        return Location(grid.file, None, None, grid.sheet, f"{self.letter}{number}")

    def _problem(self, error: Unreadable, raw: object, number: int, index: int) -> Problem:
        column = self.by_index[index]
        assert column.field is not None
        field_ = self.layout.target.names.fields[column.field]
        return problem_for(error, raw, field_, self.grid.place(number, index, column.heading), column.unit)

    def _broken(self, number: int, fault: Fault) -> None:
        self.tally.reject("row")
        if fault.text:
            self.problems.append(Problem(fault.code, self.grid.place(number, 0, ""), {"reason": fault.text}))

    def _skip_kind(self, cells: Sequence[object]) -> SkipKind | None:
        """Totals and notes by the text that leads the row, and headings printed again."""
        if self.key_index is not None:
            lead = cells[self.key_index] if self.key_index < len(cells) else ""
            if isinstance(lead, str) and lead.strip():
                if lead == self.by_index[self.key_index].heading:
                    return self._repeated(cells)
                return row_kind(lead) if _HINTS.search(lead) else None
            if lead not in ("", None) and not isinstance(lead, str):
                return None
        elif self._repeated(cells):
            return "heading"
        for index in (self.labels if self.key_index is not None else self.labels[:3]):
            lead = cells[index] if index < len(cells) else ""
            if isinstance(lead, str) and lead.strip():
                kind = row_kind(lead)
                if kind is not None:
                    return kind
        return self._lone_note(cells)

    def _lone_note(self, cells: Sequence[object]) -> SkipKind | None:
        """A footnote written across the sheet: the only text of its row, at any column."""
        written = [cell for cell in cells if cell not in ("", None)]
        if written and isinstance(written[0], str) and row_kind(written[0]) == "note":
            return "note"
        return None

    def _repeated(self, cells: Sequence[object]) -> SkipKind | None:
        for column in self.columns:
            if column.index >= len(cells) or cell_text(cells[column.index]) != column.heading:
                return None
        return "heading" if self.columns else None

    # What is known of whole columns

    def _covered(self, last_heading: int) -> Covered:
        keys = {self.key_index} if self.key_index is not None else set()
        merged = self.grid.marks.merged
        if self.grid.last_row is not None:
            merged = tuple((a, b, min(c, self.grid.last_row), d) for a, b, c, d in merged)
        return Covered(merged, self.grid.offset, last_heading, keys, self.width)

    def _report_columns(self, covered: Covered) -> None:
        grid, marks = self.grid, self.grid.marks
        last_heading = self.layout.heading_rows[-1]
        for index, (row, count) in sorted(self.loose.items()):
            self.problems.append(Problem("column-without-heading", grid.place(row, index, ""), {
                "letter": column_letter(index + grid.offset), "count": count}, "warning"))  # fmt: skip
        for index, (row, count) in sorted(covered.filled.items()):
            heading = self.by_index[index].heading
            self.problems.append(Problem("merged-key-filled", grid.place(row, index, heading), {
                "label": heading, "count": count}, "warning"))  # fmt: skip
        for index, (row, count) in sorted(covered.blanked.items()):
            if index in self.by_index:
                heading = self.by_index[index].heading
                self.problems.append(Problem("merged-cells", grid.place(row, index, heading), {
                    "label": heading, "count": count}, "warning"))  # fmt: skip
        hidden = [row for row in marks.hidden_rows if row > last_heading]
        if hidden:
            self.problems.append(Problem("hidden-rows", grid.place(hidden[0], 0, ""), {
                "count": len(hidden), "rows": _ranges(hidden)}, "warning"))  # fmt: skip
        for column in self.columns:
            if column.index + grid.offset in marks.hidden_columns:
                self.problems.append(Problem("hidden-column", grid.place(last_heading, column.index, column.heading), {
                    "label": column.heading}, "warning"))  # fmt: skip


def _says_nothing(values: Mapping[str, Value | None], cells: Sequence[object]) -> bool:
    """Whether a row holds nothing but blanks and dashes."""
    if any(value is not None for value in values.values()):
        return False
    return all(cell is None or (isinstance(cell, str) and is_unknown_text(cell)) for cell in cells)


ROW_FAULTS = frozenset(("broken-quotes", "unclosed-quote"))


def _ranges(rows: Sequence[int]) -> str:
    """Row numbers as ranges: `3–7, 12`."""
    parts: list[str] = []
    start = previous = rows[0]
    for row in (*rows[1:], -1):
        if row != previous + 1:
            parts.append(str(start) if start == previous else f"{start}–{previous}")
            start = row
        previous = row
    return ", ".join(parts[:12]) + (" …" if len(parts) > 12 else "")

"""A table as its file holds it: numbered rows of raw cells, and what is known beside their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from itertools import chain, islice

from engine.dataclass import dataclass
from engine.errors import Problem
from engine.source import Location
from facts.columns import column_letter
from facts.headings import GridRow, Head, Layout, Target
from facts.numbers import Fault, Shown
from facts.text import HEAD_ROWS

MergedRange = tuple[int, int, int, int]
"""First row, first column, last row, last column: rows from 1, columns from 0."""

COLUMN_BITS = 14
COLUMN_MASK = (1 << COLUMN_BITS) - 1


def cell_key(row: int, column: int) -> int:
    """One number for a cell: rows from 1, columns from 0."""
    return row << COLUMN_BITS | column


@dataclass(frozen=True)
class Marks:
    """What a workbook knows about its cells beside their values."""

    shown: Mapping[int, Shown] = field(default_factory=dict)
    faults: Mapping[int, Mapping[int, Fault]] = field(default_factory=dict)
    merged: tuple[MergedRange, ...] = ()
    hidden_rows: tuple[int, ...] = ()
    hidden_columns: tuple[int, ...] = ()
    date1904: bool = False
    formats_known: bool = True


@dataclass
class Grid:
    """A table as its file holds it: numbered rows, the column of the first cell, and marks.

    `sheet` is None for a file of lines. `fixed_width` files promise as many cells in each row as in the heading.
    """

    file: str
    sheet: str | None
    rows: Iterator[GridRow]
    offset: int = 0
    marks: Marks = field(default_factory=Marks)
    fixed_width: bool = False
    last_row: int | None = None
    problems: list[Problem] = field(default_factory=list)
    hidden: bool = False
    head: Head = field(init=False)

    def __post_init__(self) -> None:
        taken = list(islice(self.rows, HEAD_ROWS))
        blank = not any(any(cells) for _, cells in taken)
        while blank and (row := next(self.rows, None)) is not None:
            taken = [*taken[-HEAD_ROWS:], row]  # a table may begin far down
            if any(row[1]):
                taken += islice(self.rows, HEAD_ROWS)
                break
        self.before = taken[0][0] - 1 if taken else 0
        self.rows = chain(taken, self.rows)
        self.head = Head([(number, self.faulty(number, cells)) for number, cells in taken])

    def place(self, row: int, index: int, heading: str | None = None) -> Location:
        """The cell as an officer finds it: `表!D14`, or line and heading of a file of lines."""
        letter = column_letter(index + self.offset)
        if self.sheet is None:
            return Location(self.file, line=row, path=heading if heading is not None else letter)
        return Location(self.file, sheet=self.sheet, cell=f"{letter}{row}")

    def no_rows(self, layout: Layout, target: Target) -> Problem:
        """The warning that a table has nothing below its heading."""
        return Problem("no-rows", self.place(layout.heading_rows[-1], 0, ""), {"record": target.shown}, "warning")

    def faulty(self, number: int, cells: list[object]) -> list[object]:
        """The row with error values and uncomputed formulas in place of the blanks a reader gives for them."""
        faults = self.marks.faults.get(number)
        if faults is None:
            return cells
        cells = list(cells)
        for column, fault in faults.items():
            index = column - self.offset
            if index >= 0:
                cells += [""] * (index + 1 - len(cells))
                cells[index] = fault
        return cells


MAX_COVERED_ROWS = 1_100_000


class Covered:
    """Cells that merged ranges cover: the value belongs to the top left; only a key runs down."""

    def __init__(self, merged: Sequence[MergedRange], offset: int, after: int, keys: set[int], width: int) -> None:
        self.rows: dict[int, list[tuple[int, int | None]]] = {}
        self.tops: dict[tuple[int, int], object] = {}
        self.filled: dict[int, tuple[int, int]] = {}
        self.blanked: dict[int, tuple[int, int]] = {}
        for first_row, first, last_row, last in merged:
            first, last = first - offset, last - offset
            if len(self.rows) > MAX_COVERED_ROWS:
                break
            if last_row <= after or first_row <= after or first >= width or last < 0:
                continue
            for row in range(first_row, last_row + 1):
                for index in range(max(first, 0), min(last, width - 1) + 1):
                    if (row, index) == (first_row, first):
                        self.tops[row, index] = ""
                        self.rows.setdefault(row, []).append((index, None))
                    else:
                        top = first_row if index in keys and index == first else -1
                        self.rows.setdefault(row, []).append((index, top))

    def apply(self, row: int, cells: list[object]) -> list[object]:
        """The row with covered cells blank, or filled where they are keys."""
        cells = list(cells)
        for index, top in self.rows[row]:
            cells += [""] * (index + 1 - len(cells))
            if top is None:
                self.tops[row, index] = cells[index]
            elif top > 0:
                cells[index] = self.tops.get((top, index), "")
                first, count = self.filled.get(index, (row, 0))
                self.filled[index] = first, count + 1
            else:
                cells[index] = ""
                first, count = self.blanked.get(index, (row, 0))
                self.blanked[index] = first, count + 1
        return cells

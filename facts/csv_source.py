"""A large table that was recognised: what its columns are, and its rows in blocks; a CSV as such."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.errors import FactError, Problem
from engine.source import Location
from facts.from_csv import DELIMITERS, csv_grid
from facts.grid import Grid
from facts.headings import Head, Layout, Target, candidates, lay_out
from facts.lines import BLOCK, LineFile, Lines
from facts.text import reading


class Source:
    """A file that was recognised by the beginning of its rows, given as a CSV: what its columns are, and all its rows.

    Errors: those of `recognise`.
    """

    delimiter = ","

    def __init__(self, path: Path, text: str, targets: Callable[[Grid, str], list[Target]], forced: bool) -> None:
        self.path, self.name, self.text = path, str(path), text
        self.grid, self.target, self.layout = recognise(text, self.name, path.stem, targets, forced)
        self.width = width_of(self.grid, self.layout)

    def blocks(self, size: int = BLOCK) -> Iterator[Lines]:
        """The lines below the heading, in UTF-8. Errors (`FactError`): `unreadable-file`, and those of its kind."""
        with reading(self.path):
            yield from self._blocks(size)

    def _blocks(self, size: int) -> Iterator[Lines]:
        raise NotImplementedError

    def reword(self, problem: Problem) -> Problem:
        """A problem of a row in the words of this kind of file."""
        return problem


class CsvSource(Source):
    """A CSV file. Errors as `LineFile`."""

    def __init__(self, path: Path, targets: Callable[[Grid, str], list[Target]], forced: bool) -> None:
        self.lines = LineFile(path)
        super().__init__(path, self.lines.text, targets, forced)
        self.delimiter = delimiter_of(self.text, self.name, self.grid, self.layout)

    def _blocks(self, size: int) -> Iterator[Lines]:
        last = self.layout.heading_rows[-1]
        for lines in self.lines.blocks(self.delimiter, size):
            below = lines if lines.first > last else lines.after(last)
            if below.height:
                yield below


def recognise(text: str, name: str, title: str, targets: Callable[[Grid, str], list[Target]],
              forced: bool) -> tuple[Grid, Target, Layout]:
    """The beginning of a CSV as a grid, with the target its rows are meant for and the layout of its columns.

    Errors (`FactError`): `sheet-unrecognised`, `table-ambiguous`, and errors in the heading.
    """
    known: list[Target] = []

    def score(rows: Sequence[Sequence[str]]) -> int:
        head = Head([(number, list(row)) for number, row in enumerate(rows, 1)])
        return max((len(found.fields) for one in known if (found := head.find(one)) is not None), default=0)

    known += targets(csv_grid(text, name, lambda rows: max(map(len, rows), default=0)), title)
    grid = csv_grid(text, name, score)
    found = candidates(grid.head, known, title, forced=forced)
    if not found:
        raise FactError(Problem("sheet-unrecognised", Location(name), {
            "count": "?", "record": known[0].shown if known else "—", "suggestion": None}))
    if len(found) > 1:
        raise FactError(Problem("table-ambiguous", Location(name), {
            "candidates": [one.target.shown for one in found]}))
    layout = lay_out(grid.head, found[0], grid.place)
    if not layout.usable:
        raise FactError([problem for problem in layout.problems if problem.severity == "error"])
    return grid, found[0].target, layout


def width_of(grid: Grid, layout: Layout) -> int:
    """How many cells a row has by its heading."""
    return max((len(cells) for row, cells in grid.head.rows if row in layout.heading_rows), default=0)


def delimiter_of(text: str, name: str, grid: Grid, layout: Layout) -> str:
    """The delimiter under which the grid was read."""
    last = layout.heading_rows[-1]
    cells = next(cells for number, cells in grid.head.rows if number == last)
    for delimiter in DELIMITERS:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=delimiter != "\t")
        for row in rows:
            if rows.line_num >= last:
                if list(row) == list(cells):
                    return delimiter
                break
    return ","

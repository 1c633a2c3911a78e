"""A large CSV in blocks: cells to stored columns at column speed, with the verdicts of the cell readers.

Cells that are written plainly are read by whole columns (`column_reader`). Every row that holds
anything else goes cell by cell through `tables`, so a fault reads the same in a file of ten rows and
of ten million. Blocks are cut at line ends and remember the line they begin on.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from itertools import islice
from typing import TypeAlias

import polars as pl

from engine.batch import ROW, SUBJECT, Program
from engine.dataclass import dataclass
from engine.errors import FactError, Problem
from engine.model import Row
from engine.source import Location
from engine.values import Value
from facts.cell_parser import CellParser, without_empty
from facts.column_reader import FactColumn, LabelColumn, either
from facts.csv_source import Source
from facts.from_csv import _rows as csv_rows  # one reading of quotes and broken lines, for small files and large
from facts.grid import Grid
from facts.headings import GridRow, is_numbering
from facts.lines import Lines
from facts.numbers import Fault
from facts.plain_bytes import line_starts
from facts.tables import ROW_FAULTS, TableReader
from facts.tally import Draft
from facts.text import MAX_CELL, byte_of_line

SMALLEST = 64 << 10
"""Blocks no larger are read row by row where something in them is unusual."""
SAMPLED_ROWS = 2_000


@dataclass
class Block:
    """Some rows of a table: stored columns, rows whose values no column holds, and what was refused.

    `frame` has the columns of the program's schema. `loose` are rows with a number finer than its
    column, by line, for the reference; `faulty` are rejected rows, as far as they could be read. `plain`:
    every subject is known to be a cell of CSV as it stands. Counts are of rows: read = in frame or loose
    + rejected + skipped.
    """

    frame: pl.DataFrame
    plain: bool = False
    loose: list[tuple[int, str | None, dict[str, Value | None]]] = field(default_factory=list)
    faulty: list[Draft] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    rows_in: int = 0
    size: int = 0


class _RowReader(TableReader):
    """Single rows of a table by their cells, for those that columns cannot read."""

    def rows(self, rows: Sequence[GridRow], first: bool) -> list[tuple[int, Draft]]:
        """The rows as drafts, skipped and rejected ones counted in the tally; `first`: it begins the table."""
        found: list[tuple[int, Draft]] = []
        at_first = first
        for number, cells in rows:
            if not any(cells) and all(cell in ("", None) for cell in cells):
                self.tally.skip("blank")
                continue
            if at_first:
                at_first = False
                if is_numbering(cells):
                    self.tally.skip("numbering")
                    continue
            if cells and type(cells[0]) is Fault and cells[0].code in ROW_FAULTS:
                self._broken(number, cells[0])
                continue
            kind = self._skip_kind(cells)
            if kind is not None:
                self.tally.skip(kind)
                continue
            if len(cells) != self.width:
                cells = self._fit(number, cells)
            draft = self._row(number, cells)
            if draft is not None:
                found.append((number, draft))
        return found


_Piece: TypeAlias = tuple[pl.Series, bytes, pl.DataFrame | None]
"""Some lines: their numbers, their bytes, and their cells where they are all alike."""


def _numbers(first: int, count: int) -> pl.Series:
    return pl.int_range(first, first + count, eager=True)


def _lines_at(data: bytes, starts: Sequence[int], places: Iterable[int]) -> bytes:
    """Some of the lines, told by their places."""
    return b"".join(data[starts[place] : starts[place + 1]] for place in places)


class BlockReader:
    """Blocks of a source → stored columns. Safe to use from several threads."""

    def __init__(self, source: Source, program: Program) -> None:
        self.source, self.program = source, program
        csv.field_size_limit(MAX_CELL)
        layout = source.layout
        first = TableReader(Grid(source.name, None, iter(())), layout, [])
        self.width, self.key_index = max(first.width, source.width), first.key_index
        self.unheaded = [index for index in range(self.width) if index not in first.by_index]
        fields, sample = layout.target.names.fields, self._sample()
        self.facts = {
            column.index: FactColumn(column, fields[column.field], [row[column.index] for row in sample],
                                     program.words.places)
            for column in layout.columns if column.field is not None}
        headings = {column.index: column.heading for column in layout.columns}
        self.columns: list[LabelColumn] = [self.facts.get(index) or LabelColumn(headings.get(index, ""))
                                           for index in range(self.width)]
        self.fast = (self.width > 1 and len(source.delimiter) == 1 and source.delimiter.isascii()
                     and bool(self.facts) and all(column.usable for column in self.facts.values()))
        self.subject = layout.naming if layout.naming is not None else next(iter(self.unheaded), None)
        self.parser = CellParser(self.columns, self.subject, source.delimiter)
        self.empty = pl.DataFrame(schema=program.schema)

    def _sample(self) -> list[list[str]]:
        last = self.source.layout.heading_rows[-1]
        rows = csv.reader(io.StringIO(self.source.text, newline=""), delimiter=self.source.delimiter,
                          skipinitialspace=self.source.delimiter != "\t")
        found: list[list[str]] = []
        try:
            for row in islice(rows, SAMPLED_ROWS):
                if rows.line_num > last and len(row) >= self.width:
                    found.append([cell.strip() for cell in row])
        except csv.Error:
            pass
        return found

    # Blocks

    def read(self, some: Lines) -> Block:
        """One block: lines of a CSV, or rows of text cells."""
        line, data = some.first, some.data
        whole = Block(self.empty, plain=True)
        frames: list[pl.DataFrame] = []
        first = line == self.source.layout.heading_rows[-1] + 1
        numbers = _numbers(line, some.height)
        if isinstance(data, pl.DataFrame):
            whole.size = int(data.estimated_size())
            pieces: Iterator[_Piece] = iter([(numbers, b"", without_empty(data))])
        else:
            whole.size = len(data)
            pieces = self._split(numbers, data, some.odd, some.decimals)
        for lines, piece, found in pieces:
            at_first = first and lines.len() > 0 and lines[0] == line
            if found is not None:
                self._columns(found, lines, whole, frames, at_first, piece)
            else:
                self._mixed(lines, piece, whole, frames, at_first)
        if frames:
            whole.frame = pl.concat(frames) if len(frames) > 1 else frames[0]
            if not whole.frame.get_column(ROW).is_sorted():
                whole.frame = whole.frame.sort(ROW)
        whole.problems = [self.source.reword(problem) for problem in whole.problems]
        return whole

    def _split(self, lines: pl.Series, data: bytes, odd: Sequence[int] | None, decimals: int) -> Iterator[_Piece]:
        """The block without the lines whose quotes have to be read by the row reader, then those."""
        if not self.fast:
            yield lines, data, None
            return
        quoted = odd is not None
        if not odd:
            yield from self._pieces(lines, data, quoted, decimals)
            return
        starts = line_starts(data)
        closed: list[int] = []
        whole = lines.len()
        """Lines up to where a quoted cell may run on: from there nothing is known of where cells end."""
        for place in odd:
            if not self._is_closed(data[starts[place] : starts[place + 1]]):
                whole = place
                break
            closed.append(place)
        plain = pl.Series([True]).new_from_index(0, whole).scatter(closed, False)
        kept = plain.arg_true()
        if kept.len():
            yield from self._pieces(lines.gather(kept), _lines_at(data, starts, kept), quoted, decimals)
        if closed:
            yield lines.gather(closed), _lines_at(data, starts, closed), None
        if whole < lines.len():
            yield lines.slice(whole), data[starts[whole] :], None

    def _is_closed(self, line: bytes) -> bool:
        """Whether a line on its own is one row."""
        rows = list(self._rows(_numbers(1, 1), line))
        return len(rows) == 1 and type(rows[0][1][0]) is not Fault

    def _pieces(self, lines: pl.Series, data: bytes, quoted: bool, decimals: int) -> Iterator[_Piece]:
        """The lines, cut down until each piece is either a clean table of cells or small."""
        cells = self.parser.cells(data, lines.len(), quoted, decimals)
        if cells is not None or len(data) <= SMALLEST:
            yield lines, data, cells
            return
        half = data.find(b"\n", len(data) // 2) + 1
        if not half or half == len(data):
            yield lines, data, None
            return
        count = data.count(b"\n", 0, half)
        yield from self._pieces(lines.head(count), data[:half], quoted, decimals)
        yield from self._pieces(lines.slice(count), data[half:], quoted, decimals)

    def _mixed(self, lines: pl.Series, data: bytes, block: Block, frames: list[pl.DataFrame], first: bool) -> None:
        """Lines with quotes, blanks or odd lengths: cells by the CSV reader, whole rows still by column."""
        rows = list(self._rows(lines, data))
        plain = [row for row in rows if len(row[1]) == self.width and type(row[1][0]) is not Fault] if self.fast else []
        odd = [row for row in rows if len(row[1]) != self.width or type(row[1][0]) is Fault] if self.fast else rows
        if first and rows and (not plain or rows[0][0] != plain[0][0]):
            plain, odd = [], rows  # so that the table's first row is read as such
        if odd:
            self._slow(odd, block, frames, first)
        if plain:
            columns = zip(*(cells for _, cells in plain), strict=True)
            cells = pl.DataFrame([pl.Series(str(index), column, dtype=pl.String)
                                  for index, column in enumerate(columns)])
            numbers = pl.Series([number for number, _ in plain], dtype=pl.Int64)
            self._columns(without_empty(cells), numbers, block, frames, first)

    def _columns(self, cells: pl.DataFrame, lines: pl.Series, block: Block, frames: list[pl.DataFrame],
                 first: bool, data: bytes = b"") -> None:
        """Cells by whole columns; the rows that hold anything unusual one by one, from their lines if there are any."""
        height = cells.height
        doubtful: list[pl.Series] = []
        if first and height:
            line = data[: data.find(b"\n") + 1 or len(data)]
            if is_numbering(next(self._texts(cells, _numbers(0, 1), line))):
                doubtful.append(pl.Series([True]).extend_constant(False, height - 1))
        found: dict[str, pl.Series] = {}
        for index, column in enumerate(self.columns):
            own = cells.to_series(index)
            if index == self.subject and not isinstance(column, FactColumn):
                values, odd, plain = column.names(own)
            else:
                values, odd = column.read(own, self.parser.places)
                plain = index != self.subject
            block.plain &= plain
            if odd is not None:
                doubtful.append(odd)
            if index in self.unheaded and own.null_count() < height:
                doubtful.append(own.is_not_null())
            if index == self.key_index and own.null_count():
                doubtful.append(own.is_null())
            if index == self.subject:
                found[SUBJECT] = values if values.dtype == pl.String() else own.cast(pl.String).str.strip_chars()
            if isinstance(column, FactColumn):
                found[column.name] = values
        empty = [cells.to_series(index) for index in self.facts]
        if all(own.null_count() for own in empty):
            doubtful.append(pl.select(pl.all_horizontal(pl.lit(own).is_null() for own in empty)).to_series())
        found[ROW] = lines
        found.setdefault(SUBJECT, pl.Series([None], dtype=pl.String).new_from_index(0, height))
        frame = pl.DataFrame([found[name].cast(kind).alias(name) for name, kind in self.program.schema.items()])
        doubt = either(doubtful)
        if doubt is not None and doubt.any():
            places = doubt.arg_true()
            numbers = lines.gather(places).to_list()
            self._slow(list(zip(numbers, self._texts(cells, places, data), strict=True)), block, frames, first)
            frame = frame.filter(~doubt)
        block.rows_in += frame.height
        frames.append(frame)

    def _texts(self, cells: pl.DataFrame, places: pl.Series, data: bytes) -> Iterator[list[object]]:
        """The cells of some rows as they are written: in their lines, or in a table of texts."""
        if not data:
            return (list(row) for row in cells[places].fill_null("").iter_rows())
        lines = _lines_at(data, line_starts(data), places)
        return (row for _, row in self._rows(_numbers(1, places.len()), lines))

    def _rows(self, lines: pl.Series, data: bytes) -> Iterator[GridRow]:
        rows = csv_rows(self._text(lines, data), self.source.delimiter)
        return ((lines[number - 1], cells) for number, cells in rows)

    def _text(self, lines: pl.Series, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise FactError(Problem("broken-utf8", Location(
                self.source.name, line=lines[data.count(b"\n", 0, error.start)]), {
                    "offset": byte_of_line(error)})) from None

    def _slow(self, rows: Sequence[GridRow], block: Block, frames: list[pl.DataFrame], first: bool) -> None:
        grid = Grid(self.source.name, None, iter(()))
        reader = _RowReader(grid, self.source.layout, block.problems)
        grid.fixed_width = True
        reader.width, reader.unheaded = self.width, self.unheaded
        stored: dict[str, list[object]] = {name: [] for name in self.program.schema}
        by_line = dict(rows)
        block.plain = False
        for number, draft in reader.rows(rows, first):
            if draft.fault is not None:
                reader.tally.reject(draft.fault)
                block.faulty.append(draft)
                continue
            reader.tally.accept()
            subject = self._subject_of(draft.row, by_line[number])
            try:
                values = {name: self.program.words.stored(draft.row.values.get(name), self.program.fields[name].type)
                          for name in stored if name not in (ROW, SUBJECT)}
            except ValueError:
                block.loose.append((number, subject, dict(draft.row.values)))
                continue
            stored[ROW].append(number)
            stored[SUBJECT].append(subject)
            for name, value in values.items():
                stored[name].append(value)
        for kind, count in reader.tally.rejected.items():
            block.rejected[kind] = block.rejected.get(kind, 0) + count
        for kind, count in reader.tally.skipped.items():
            block.skipped[kind] = block.skipped.get(kind, 0) + count
        block.rows_in += reader.tally.rows_in
        if stored[ROW]:
            frames.append(pl.DataFrame([pl.Series(name, values, dtype=self.program.schema[name])
                                        for name, values in stored.items()]))

    def _subject_of(self, row: Row, cells: Sequence[object]) -> str | None:
        if self.subject is None:
            return None
        if self.subject in self.facts:
            value = row.values.get(self.facts[self.subject].name)
            return None if value is None else str(value)
        return str(cells[self.subject]).strip() or None if self.subject < len(cells) else None

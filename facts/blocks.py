"""A large CSV in blocks: cells to stored columns at column speed, with the verdicts of the cell readers.

Cells that are written plainly (digits, an ISO date, a known word) are read by whole columns, exactly:
a strict pattern first, then the digits as a decimal of fixed scale, never a float. Every row that
holds anything else goes cell by cell through `tables`, so a fault reads the same in a file of ten
rows and of ten million. Blocks are cut at line ends and remember the line they begin on.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import polars as pl

from engine.batch import ROW, SUBJECT, Program
from engine.errors import FactError, Problem
from engine.evaluate.polars_backend import column_type
from engine.model import Field, Row
from engine.normal import encode, stored_scale
from engine.source import Location
from engine.types import Kind
from engine.values import Unreadable, Value, scale_of_unit
from facts.cells import Context, reader_for, unit_scale
from facts.columns import Column
from facts.from_csv import DELIMITERS, MAX_CELL, csv_grid
from facts.from_csv import _rows as csv_rows  # one reading of quotes and broken lines, for small files and large
from facts.grid import Grid
from facts.headings import GridRow, Head, Layout, Target, candidates, is_numbering, lay_out
from facts.numbers import Fault
from facts.tables import ROW_FAULTS, TableReader, row_kind
from facts.tally import Draft

BLOCK = 8 << 20
"""Bytes read at a time."""
SMALLEST = 64 << 10
"""Blocks no larger are read row by row where something in them is unusual."""
HEAD = 256 << 10
SAMPLED_ROWS = 2_000

MAX_TEXT_BYTES = 30_000
MAX_SPELLINGS = 20_000
MAX_SPELLING = 100
"""Distinct texts of a column that are remembered, and their characters; beyond it patterns read the column."""
_FEW = (Kind.DATE, Kind.BOOLEAN, Kind.ENUM)
_UNKNOWN = ["n/a", "na", "null", "none", "unknown", "未知", "不详", "未填", "空", "待定", "-", "—", "–", "/", "\\"]
"""A text that holds none of these cannot say that it is not known."""
_HINTS = [*"计注明人核章额数责", "电话", "填报", "total", "note", "sum", "remark"]
"""A text that holds none of these cannot lead a total or a note."""
_YES = ("是", "有", "对", "true", "True", "TRUE", "yes", "Yes", "Y", "y", "1", "√", "已")
_NO = ("否", "无", "不", "false", "False", "FALSE", "no", "No", "N", "n", "0", "×", "未")


@dataclass
class Block:
    """Some rows of a table: stored columns, rows whose values no column holds, and what was refused.

    `frame` has the columns of the program's schema. `loose` are rows with a number finer than its
    column, by line, for the reference; `faulty` are rejected rows, as far as they could be read. Counts
    are of rows: read = in frame or loose + rejected + skipped.
    """

    frame: pl.DataFrame
    loose: list[tuple[int, str | None, dict[str, Value | None]]] = field(default_factory=list)
    faulty: list[Draft] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    rows_in: int = 0
    size: int = 0


class Source:
    """A CSV file that was recognised: how it is written, what its columns are, and its rows in blocks.

    Errors (`FactError`) while opening: `file-empty`, `unreadable-file`, and what `decode` reports;
    while reading: `broken-utf8`, `unknown-encoding`, `nul-bytes`.
    """

    def __init__(self, path: Path, targets: Callable[[Grid, str], list[Target]], forced: bool) -> None:
        self.path, self.name = path, str(path)
        try:
            self.size = path.stat().st_size
            with path.open("rb") as file:
                head = file.read(HEAD)
        except OSError as error:
            raise FactError(Problem("unreadable-file", Location(self.name), {
                "path": self.name, "reason": error.strerror or str(error)})) from None
        if not head.strip(b"\x00 \r\n\t\xef\xbb\xbf"):
            raise FactError(Problem("file-empty", Location(self.name), {}))
        self.encoding = _encoding(head, whole=len(head) == self.size, name=self.name)
        text = head.decode(self.encoding, "ignore" if len(head) < self.size else "strict").removeprefix("\ufeff")
        if len(head) < self.size:
            text = text[: text.rfind("\n") + 1]
        self.grid, self.target, self.layout = recognise(text, self.name, path.stem, targets, forced)
        self.width = width_of(self.grid, self.layout)
        self.delimiter = delimiter_of(text, self.name, self.grid, self.layout)
        self.text = text

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[int, bytes | pl.DataFrame]]:
        """The lines below the heading: the number of a block's first line, and its bytes in UTF-8."""
        last = self.layout.heading_rows[-1]
        line, ascii_only = 1, True
        decoder = codecs.getincrementaldecoder(self.encoding)() if self.encoding not in ("utf-8", "utf-8-sig") else None
        with self.path.open("rb") as file:
            rest = b""
            if self.encoding == "utf-8-sig":
                file.read(3)
            while True:
                piece = file.read(size)
                if not piece and not rest:
                    return
                cut = piece.rfind(b"\n") + 1
                if piece and not cut:
                    rest += piece
                    continue
                data, rest = b"".join((rest, memoryview(piece)[:cut])), piece[cut:]
                if piece and b'"' in data:
                    whole = self._row_end(data, line)
                    data, rest = data[:whole], data[whole:] + rest
                    if not data:
                        continue
                if b"\x00" in data:
                    raise FactError(Problem("nul-bytes", Location(self.name, line=line), {
                        "count": data.count(b"\x00")}))
                if decoder is None and ascii_only and not data.isascii():
                    ascii_only = False
                    if self.encoding == "utf-8" and not _is_utf8(data):
                        decoder = codecs.getincrementaldecoder("gb18030")()  # all before it was plain ASCII
                if decoder is not None:
                    data = self._recode(decoder, data, line)
                lines = data.count(b"\n") + (not data.endswith(b"\n"))
                start = line
                line += lines
                if start <= last:
                    for _ in range(min(last - start + 1, lines)):
                        data = data[data.find(b"\n") + 1 or len(data):]
                    start = min(last + 1, line)
                if data:
                    yield start, data

    def reword(self, problem: Problem) -> Problem:
        """A problem of a row in the words of this kind of file."""
        return problem

    def _row_end(self, data: bytes, line: int) -> int:
        """Where the last complete row of some lines ends: a quoted cell may run on into the next block.

        Errors (`FactError`): `unclosed-quote` where it runs on for too long.
        """
        start, ends = 0, 0
        lines = data.splitlines(keepends=True)
        text = (piece.decode("latin-1") for piece in lines)  # only quotes and line ends matter here
        rows = csv.reader(text, delimiter=self.delimiter if self.delimiter.isascii() else ",", strict=True)
        while True:
            try:
                next(rows)
            except StopIteration:
                return len(data)
            except csv.Error as error:
                if "unexpected end" in str(error):
                    ends = sum(map(len, lines[:start]))
                    break
            start = rows.line_num
        if not ends and len(data) > MAX_CELL:
            raise FactError(Problem("unclosed-quote", Location(self.name, line=line), {
                "reason": f"> {MAX_CELL} bytes"}))
        return ends

    def _recode(self, decoder: codecs.IncrementalDecoder, data: bytes, line: int) -> bytes:
        try:
            return decoder.decode(data).encode()
        except UnicodeDecodeError as error:
            raise FactError(Problem("unknown-encoding", Location(
                self.name, line=line + data[: error.start].count(b"\n")), {"offset": error.start + 1})) from None


def _encoding(head: bytes, whole: bool, name: str) -> str:
    """As `facts.text.decode` tells it, from the beginning of the file."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FactError(Problem("unknown-encoding", Location(name, line=1), {"offset": 1}))
    return "utf-8" if _is_utf8(head, whole) else "gb18030"


def _is_utf8(data: bytes, whole: bool = True) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, whole)
    except UnicodeDecodeError:
        return False
    return True


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


# Columns


class Spellings:
    """The distinct texts of a column and what each is stored as: columns of days and choices hold few.

    Each text is read once, by the cell's own reader. Safe to use from several threads.
    """

    def __init__(self, stored_as: Callable[[str], object], of: pl.DataType) -> None:
        self.stored_as, self.of = stored_as, of
        self.lock = Lock()
        self.texts: list[str] = []
        self.known = self._table([])

    def _table(self, values: list[object]) -> tuple[pl.Enum, pl.Series]:
        return pl.Enum(self.texts), pl.Series([*values, None], dtype=self.of)

    def read(self, cells: pl.Series) -> pl.Series | None:
        """The stored values, null where a text says none; None where the texts are too many or too long to keep."""
        texts, values = self.known
        codes = cells.cast(texts, strict=False)
        if codes.null_count() != cells.null_count():
            if not self._learn(cells.filter(codes.is_null() & cells.is_not_null()).unique().to_list()):
                return None
            texts, values = self.known
            codes = cells.cast(texts, strict=False)
        return values.gather(codes.to_physical().fill_null(values.len() - 1))

    def _learn(self, fresh: Sequence[str]) -> bool:
        with self.lock:
            new = sorted({*fresh}.difference(self.texts))
            if len(self.texts) + len(new) > MAX_SPELLINGS or any(len(text) > MAX_SPELLING for text in new):
                return False
            self.texts += new
            self.known = self._table([*self.known[1].to_list()[:-1], *map(self.stored_as, new)])
            return True


class ColumnReader:
    """How one column's plain cells become stored values: a Polars expression that is null for all others.

    `native` is the type the CSV parser itself may read the column as, where its own checks are strict
    enough. `spellings` reads columns of few distinct texts faster, until there are too many.
    """

    def __init__(self, column: Column, of: Field, sample: Sequence[str], places: dict[str, int]) -> None:
        self.name, self.of, self.places = of.name, of, places
        self.stated = column.unit if column.unit_from in ("heading", "sheet") else None
        self.native: pl.DataType = pl.String()
        self.sample = [cell for cell in sample if cell]
        read = reader_for(of, Context(self.stated))

        def verdict(cell: str) -> Value | None:
            try:
                return read(cell, None)
            except Unreadable:
                return None

        self.verdict = verdict
        self.expression = self._expression()
        self.spellings = Spellings(self._stored, column_type(of)) if of.type.kind in _FEW else None

    def _stored(self, cell: str) -> object:
        """What a cell's text is stored as; None where the text does not plainly say."""
        value = self.verdict(cell)
        if self.of.type.kind is Kind.ENUM:
            return self.places.get(str(value))
        return value if value is None else encode(value, self.of.type)

    def by_spelling(self, cells: pl.Series) -> pl.Series | None:
        """The stored values of a column's texts, null where none; None where only `expression` reads the column."""
        spellings = self.spellings  # another thread may give them up meanwhile
        if spellings is None or cells.dtype != pl.String():
            return None
        found = spellings.read(cells)
        if found is None:
            self.spellings = None
        return found

    def _expression(self) -> pl.Expr | None:
        match self.of.type.kind:
            case Kind.MONEY:
                scale = scale_of_unit(self.stated or self.of.unit or "元")
                return None if scale is None else self._decimal(len(str(scale * 100)) - 1)
            case Kind.QUANTITY:
                if self.stated is not None and unit_scale(self.stated, self.of.unit) != 1:
                    return None
                return self._decimal(0 if self.of.type.integer else len(str(stored_scale(self.of.type))) - 1)
            case Kind.RATIO:
                return self._ratio()
            case Kind.DATE:
                return self._date()
            case Kind.BOOLEAN:
                words = {word: value for word in (*_YES, *_NO) if isinstance(value := self.verdict(word), bool)}
                yes, no = ([word for word in words if words[word] is wanted] for wanted in (True, False))
                if set(self.sample) <= {"true", "false"}:
                    self.native = pl.Boolean()
                    return self.cell
                return pl.when(self.cell.is_in(yes)).then(True).when(self.cell.is_in(no)).then(False)
            case Kind.ENUM:
                spellings = [text for choice in self.of.choices
                             for text in (choice.value, choice.label.zh, choice.label.en, *choice.aliases) if text]
                values = {text: value for text in spellings if isinstance(value := self.verdict(text), str)}
                return self.cell.replace_strict(
                    list(values), [self.places[value] for value in values.values()], default=None,
                    return_dtype=column_type(self.of))
            case Kind.TEXT:
                return self.cell  # what is doubtful about a text is looked for in `doubtful_texts`

    def doubtful_texts(self, cells: pl.Series) -> pl.Series:
        """Which cells of a text column may be read as something else than what is written in them."""
        plain = (cells.str.strip_chars() == cells) & (cells.str.normalize("NFKC") == cells)
        odd = (~plain | cells.str.contains_any(_UNKNOWN, ascii_case_insensitive=True)
               | cells.str.head(1).is_in(["#", "=", "'"]) | (cells.str.len_bytes() > MAX_TEXT_BYTES)).fill_null(False)
        if not odd.any():
            return odd
        asis = [text for text in cells.filter(odd).unique() if self.verdict(text) == text]
        return odd & ~cells.is_in(asis).fill_null(False)

    @property
    def cell(self) -> pl.Expr:
        return pl.col(self.name)

    @property
    def outside(self) -> pl.Expr | None:
        """When a value read by `expression` (in the column `=name`) lies outside the field's bounds."""
        low, high, scale = self.of.minimum, self.of.maximum, stored_scale(self.of.type)
        if self.of.type.kind not in (Kind.MONEY, Kind.RATIO, Kind.QUANTITY):
            return None
        value, found = pl.col(f"={self.name}"), []
        if low is not None and (low > 0 or self.native == pl.Int64()):  # type: ignore[operator]  # a number's bound
            found.append(value < int(low * scale))  # type: ignore[operator]
        if high is not None:
            found.append(value > int(high * scale))  # type: ignore[operator]
        return pl.any_horizontal(found).fill_null(False) if found else None

    def _digits(self, cell: pl.Expr, places: int) -> pl.Expr:
        """Digits with at most some decimals as a whole number of the smallest unit."""
        return cell.cast(pl.Decimal(38, places), strict=False).reinterpret(dtype=pl.Int128).cast(pl.Int64)

    def _decimal(self, places: int) -> pl.Expr:
        whole = max(1, 18 - places)
        if not any("." in cell for cell in self.sample):
            self.native = pl.Int64()
            limit = 10**whole
            scaled = self.cell * 10**places if places else self.cell
            return pl.when(self.cell.is_between(-limit, limit)).then(scaled)
        pattern = rf"^[0-9]{{1,{whole}}}(?:\.[0-9]{{1,{places}}})?$" if places else rf"^[0-9]{{1,{whole}}}$"
        return pl.when(self.cell.str.contains(pattern)).then(self._digits(self.cell, places))

    def _ratio(self) -> pl.Expr | None:
        if (self.stated or self.of.unit or "%") != "%":
            return None
        signed = any(cell.endswith("%") for cell in self.sample)
        if signed:
            plain = self.cell.str.contains(r"^[0-9]{1,9}(?:\.[0-9]{1,4})?%$")
            return pl.when(plain).then(self._digits(self.cell.str.strip_suffix("%"), 4))
        # Without a unit in the heading, 0.5 may be a fraction: only what cannot be one is read here.
        pattern = (r"^[0-9]{1,9}(?:\.[0-9]{1,4})?$" if self.stated is not None
                   else r"^(?:0|(?:[2-9]|[1-9][0-9]{1,6})(?:\.[0-9]{1,4})?)$")
        return pl.when(self.cell.str.contains(pattern)).then(self._digits(self.cell, 4))

    def _date(self) -> pl.Expr:
        if any("/" in cell for cell in self.sample):
            pattern, form = r"^[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}$", "%Y/%m/%d"
        else:
            pattern, form = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "%Y-%m-%d"
        day = self.cell.str.to_date(form, strict=False).cast(pl.Int32)
        return pl.when(self.cell.str.contains(pattern)).then(day)


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


_Piece: TypeAlias = tuple[int, bytes, pl.DataFrame | None]
"""Some lines: the number of the first, their bytes, and their cells where they are all alike."""


class BlockReader:
    """Blocks of a source → stored columns. Safe to use from several threads."""

    def __init__(self, source: Source, program: Program) -> None:
        self.source, self.program = source, program
        self.lock = Lock()
        csv.field_size_limit(MAX_CELL)
        layout = source.layout
        first = TableReader(Grid(source.name, None, iter(())), layout, [])
        self.width, self.key_index = max(first.width, source.width), first.key_index
        self.unheaded = [index for index in range(self.width) if index not in first.by_index]
        fields = layout.target.names.fields
        self.columns = {column.index: fields[column.field] for column in layout.columns if column.field is not None}
        self.headings = {column.index: column.heading for column in layout.columns}
        sample = self._sample()
        self.readers = {
            column.index: ColumnReader(column, fields[column.field], [row[column.index] for row in sample],
                                       program.words.places)
            for column in layout.columns if column.field is not None}
        self.fast = (len(source.delimiter) == 1 and source.delimiter.isascii() and bool(self.readers)
                     and all(reader.expression is not None for reader in self.readers.values()))
        self.others = [index for index in range(self.width) if index not in self.readers]
        self.labels = [index for index in range(self.width)
                       if index not in self.readers or fields[self.readers[index].name].type.kind is Kind.TEXT]
        self.subject = self.key_index if self.key_index is not None else next(iter(self.labels), None)
        self.native = True

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

    def read(self, line: int, data: bytes | pl.DataFrame) -> Block:
        """One block: lines of a CSV, or rows of text cells. Its first row is the table's first after the heading."""
        whole = Block(pl.DataFrame(schema=self.program.schema))
        frames: list[pl.DataFrame] = []
        first = line == self.source.layout.heading_rows[-1] + 1
        if isinstance(data, pl.DataFrame):
            whole.size = int(data.estimated_size())
            data.columns = [self._column(index) for index in range(data.width)]
            pieces: Iterator[_Piece] = iter([(line, b"", data.with_columns(pl.when(pl.all() != "").then(pl.all())))])
        else:
            whole.size = len(data)
            pieces = self._pieces(line, data)
        for start, piece, cells in pieces:
            at_first = first and start == line
            if cells is not None:
                lines = pl.int_range(start, start + cells.height, eager=True)
                self._columns(cells, lines, whole, frames, at_first)
            else:
                self._mixed(start, piece, whole, frames, at_first)
        if frames:
            whole.frame = pl.concat(frames) if len(frames) > 1 else frames[0]
            if not whole.frame.get_column(ROW).is_sorted():
                whole.frame = whole.frame.sort(ROW)
        whole.problems = [self.source.reword(problem) for problem in whole.problems]
        return whole

    def _pieces(self, line: int, data: bytes) -> Iterator[_Piece]:
        """The block, cut down until each piece is either a clean table of cells or small."""
        cells = self._cells(data) if self.fast else None
        if cells is not None or len(data) <= SMALLEST or not self.fast or b'"' in data:
            yield line, data, cells
            return
        half = data.find(b"\n", len(data) // 2) + 1
        if not half or half == len(data):
            yield line, data, None
            return
        yield from self._pieces(line, data[:half])
        yield from self._pieces(line + data.count(b"\n", 0, half), data[half:])

    def _mixed(self, line: int, data: bytes, block: Block, frames: list[pl.DataFrame], first: bool) -> None:
        """Lines with quotes, blanks or odd lengths: cells by the CSV reader, whole rows still by column."""
        rows = list(self._rows(line, data))
        plain = [row for row in rows if len(row[1]) == self.width and type(row[1][0]) is not Fault] if self.fast else []
        odd = [row for row in rows if len(row[1]) != self.width or type(row[1][0]) is Fault] if self.fast else rows
        if first and rows and (not plain or rows[0][0] != plain[0][0]):
            plain, odd = [], rows  # so that the table's first row is read as such
        if odd:
            self._slow(odd, block, frames, first)
        if plain:
            columns = zip(*(cells for _, cells in plain), strict=True)
            cells = pl.DataFrame([pl.Series(self._column(index), column, dtype=pl.String)
                                  for index, column in enumerate(columns)])
            cells = cells.with_columns(pl.when(pl.all() != "").then(pl.all()))
            lines = pl.Series([number for number, _ in plain], dtype=pl.Int64)
            self._columns(cells, lines, block, frames, first)

    def _cells(self, data: bytes) -> pl.DataFrame | None:
        """The cells of lines that are all alike; None where any line is quoted, blank, longer or shorter."""
        if b'"' in data:
            return None
        returns = data.count(b"\r")
        if returns and returns != data.count(b"\r\n"):
            return None
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        if self.width < 2:
            return None
        for native in ((True, False) if self.native else (False,)):
            schema = {self._column(index): self.readers[index].native if native and index in self.readers
                      else pl.String() for index in range(self.width)}
            try:
                found = pl.read_csv(data, has_header=False, schema=schema, separator=self.source.delimiter,
                                    quote_char=None, truncate_ragged_lines=False)
            except pl.exceptions.PolarsError:
                self.native = False
                continue
            if found.height != lines:
                return None
            # The parser refuses lines that are too long and fills up those that are too short with nulls.
            if found.to_series(self.width - 1).null_count() and data.count(
                    self.source.delimiter.encode()) != lines * (self.width - 1):
                return None
            return found
        return None

    def _column(self, index: int) -> str:
        return self.readers[index].name if index in self.readers else f"#{index}"

    def _columns(self, cells: pl.DataFrame, lines: pl.Series, block: Block, frames: list[pl.DataFrame],
                 first: bool) -> None:
        """Cells by whole columns; the rows that hold anything unusual one by one."""
        values, doubtful = [], [pl.all_horizontal(pl.col(one.name).is_null() for one in self.readers.values())]
        for reader in self.readers.values():
            assert reader.expression is not None
            native = cells.schema[reader.name] == reader.native
            known = reader.by_spelling(cells.get_column(reader.name))
            expression = pl.lit(known) if known is not None else reader.expression if native else self._as_text(reader)
            values.append(expression.alias(f"={reader.name}"))
            if reader.of.type.kind is Kind.TEXT:
                odd = reader.doubtful_texts(cells.get_column(reader.name))
                if odd.any():
                    doubtful.append(pl.lit(odd))
            elif not (native and reader.native == pl.Boolean()):
                doubtful.append(pl.col(f"={reader.name}").is_null() & pl.col(reader.name).is_not_null())
            if reader.outside is not None:
                doubtful.append(reader.outside)
        for index in self.labels:
            told = self._telling(cells.get_column(self._column(index)), self.headings.get(index, ""))
            if told:
                doubtful.append(pl.col(self._column(index)).is_in(told))
        doubtful += [pl.col(self._column(index)).is_not_null() for index in self.unheaded]
        if self.key_index is not None:
            doubtful.append(pl.col(self._column(self.key_index)).is_null())
        read = cells.with_columns(values).with_columns(pl.any_horizontal(doubtful).fill_null(True).alias("#doubt"))
        doubt = read.get_column("#doubt")
        if first and doubt.len():
            doubt = doubt.scatter(0, True)  # the first row may number the columns
        subject = (pl.col(self._column(self.subject)).cast(pl.String).str.strip_chars()
                   if self.subject is not None else pl.lit(None, dtype=pl.String))
        frame = read.select(lines.alias(ROW), subject.alias(SUBJECT), *(
            pl.col(f"={name}").cast(kind).alias(name) for name, kind in self.program.schema.items()
            if name not in (ROW, SUBJECT)))
        if doubt.any():
            places = doubt.arg_true()
            texts = cells[places].with_columns(pl.all().cast(pl.String).fill_null(""))
            if any(kind == pl.Boolean() for kind in cells.dtypes):
                texts = texts.with_columns(pl.col(name).str.to_lowercase() for name, kind in cells.schema.items()
                                           if kind == pl.Boolean())
            rows = [(number, list(row)) for number, row in
                    zip(lines.gather(places).to_list(), texts.iter_rows(), strict=True)]
            frame = frame.filter(~doubt)
            self._slow(rows, block, frames, first)
        block.rows_in += frame.height
        frames.append(frame)

    def _as_text(self, reader: ColumnReader) -> pl.Expr:
        """The expression for cells as text, where the parser could not read the column itself."""
        if reader.native == pl.String():
            assert reader.expression is not None
            return reader.expression
        column = next(one for one in self.source.layout.columns if one.field == reader.name)
        sample = ["是"] if reader.of.type.kind is Kind.BOOLEAN else ["0.0"]
        found = ColumnReader(column, reader.of, sample, self.program.words.places).expression
        assert found is not None
        return found

    def _telling(self, texts: pl.Series, heading: str) -> list[str]:
        """The texts of a column that may mark a total, a note or a repeated heading."""
        texts = texts.cast(pl.String)
        repeated = texts.str.strip_chars() == heading
        marked = texts.filter((texts.str.contains_any(_HINTS, ascii_case_insensitive=True) | repeated).fill_null(False))
        return [text for text in marked.unique().to_list() if text.strip() == heading or row_kind(text.strip())]

    def _rows(self, line: int, data: bytes) -> Iterator[GridRow]:
        rows = csv_rows(self._text(data, line), self.source.delimiter)
        return ((line + number - 1, cells) for number, cells in rows)

    def _text(self, data: bytes, line: int) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise FactError(Problem("broken-utf8", Location(
                self.source.name, line=line + data[: error.start].count(b"\n")), {"offset": error.start + 1})) from None

    def _slow(self, rows: Sequence[GridRow], block: Block, frames: list[pl.DataFrame], first: bool) -> None:
        grid = Grid(self.source.name, None, iter(()))
        reader = _RowReader(grid, self.source.layout, block.problems)
        grid.fixed_width = True
        reader.width, reader.unheaded = self.width, self.unheaded
        stored: dict[str, list[object]] = {name: [] for name in self.program.schema}
        by_line = dict(rows)
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
        if self.subject in self.readers:
            value = row.values.get(self.readers[self.subject].name)
            return None if value is None else str(value)
        return str(cells[self.subject]).strip() or None if self.subject < len(cells) else None

"""A CSV file that was recognised: its encoding, its delimiter, its heading, and its lines in blocks."""

from __future__ import annotations

import codecs
import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import polars as pl

from engine.errors import FactError, Problem
from engine.source import Location
from facts.from_csv import DELIMITERS, MAX_CELL, csv_grid
from facts.grid import Grid
from facts.headings import HEAD_ROWS, Head, Layout, Target, candidates, lay_out
from facts.plain_bytes import lines_and_decimals, oddly_quoted
from facts.text import is_damaged_utf8, reading, undecodable

FIRST_BLOCK, BLOCK = 256 << 10, 6 << 20
"""Bytes read at a time; few at first, so that what blocks have in common is worked out while the next are parsed."""
HEAD, LONGEST_HEAD = 64 << 10, 4 << 20
"""Bytes in which the heading is looked for: so many, up to so many where they hold too few lines."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONE_RETURN = re.compile(rb"\r(?!\n)")
TAIL = 4 << 10
"""Bytes in which the end of a line is looked for at a time."""


class Lines(NamedTuple):
    """Some lines of a file, one after the other: the number of the first, their bytes or their cells, and how many.

    `odd`: the places of lines whose quotes do more than enclose whole cells; None where no line has any.
    `decimals`: no number in them has more (`lines_and_decimals`).
    """

    first: int
    data: bytes | pl.DataFrame
    height: int
    odd: Sequence[int] | None = None
    decimals: int = 0


class Source:
    """A CSV file that was recognised: how it is written, what its columns are, and its rows in blocks.

    Errors (`FactError`) while opening: `file-empty`, and what `decode` reports; while reading: `unreadable-file`,
    `broken-utf8`, `unknown-encoding`, `nul-bytes`. `OSError`: it cannot be opened.
    """

    def __init__(self, path: Path, targets: Callable[[Grid, str], list[Target]], forced: bool) -> None:
        self.path, self.name = path, str(path)
        head = self._head()
        if head.startswith(_UTF16):
            self._copy = tempfile.NamedTemporaryFile(suffix=".csv")  # noqa: SIM115  # it is gone when this object is
            self._write_in_utf8(Path(self._copy.name))
            head = self._head()
        if not head.strip(b"\x00 \r\n\t\xef\xbb\xbf"):
            raise FactError(Problem("file-empty", Location(self.name), {}))
        self.encoding = _encoding(head, whole=len(head) == self.size, name=self.name)
        self.certain = not head.isascii()
        """Whether the beginning of the file tells its encoding."""
        try:
            text = head.decode(self.encoding, "ignore" if len(head) < self.size else "strict").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            code = "unknown-encoding" if self.encoding == "gb18030" else "broken-utf8"
            raise undecodable(code, head, error, self.name) from None
        self.end = b"\r" if b"\r" in head and b"\n" not in head else b"\n"
        """What lines end with: old programs write a carriage return alone."""
        if len(head) < self.size:
            text = text[: text.rfind(self.end.decode()) + 1]
        self.grid, self.target, self.layout = recognise(text, self.name, path.stem, targets, forced)
        self.width = width_of(self.grid, self.layout)
        self.delimiter = delimiter_of(text, self.name, self.grid, self.layout)
        self.text = text

    def _head(self) -> bytes:
        self.size = self.path.stat().st_size
        with self.path.open("rb") as file:
            head = file.read(HEAD)
            while (max(head.count(b"\n"), head.count(b"\r")) < HEAD_ROWS and len(head) < LONGEST_HEAD
                   and (more := file.read(len(head)))):
                head += more
        return head

    def _write_in_utf8(self, copy: Path) -> None:
        """Lines of UTF-16 cannot be told by their bytes: a copy is read. Errors (`FactError`): `unknown-encoding`."""
        decoder, done = codecs.getincrementaldecoder("utf-16")(), 0
        with self.path.open("rb") as file, copy.open("wb") as out:
            while True:
                data = file.read(BLOCK)
                try:
                    out.write(decoder.decode(data, final=not data).encode())
                except UnicodeDecodeError as error:
                    raise FactError(Problem("unknown-encoding", Location(self.name), {
                        "offset": done + error.start + 1})) from None
                if not data:
                    break
                done += len(data)
        self.path = copy

    def blocks(self, size: int = BLOCK) -> Iterator[Lines]:
        """The lines below the heading, in UTF-8."""
        with reading(self.path):
            yield from self._blocks(size)

    def _blocks(self, size: int) -> Iterator[Lines]:
        last = self.layout.heading_rows[-1]
        line, undecided = 1, self.encoding == "utf-8" and not self.certain
        decoder = codecs.getincrementaldecoder(self.encoding)() if self.encoding not in ("utf-8", "utf-8-sig") else None
        with self.path.open("rb") as file:
            file.seek(3 if self.encoding == "utf-8-sig" else 0)
            wanted = min(FIRST_BLOCK, size)
            while True:
                here = file.tell()
                data = _whole_lines(file, wanted, self.size, self.end)
                if not data:
                    return
                wanted = size
                if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
                    data = _LONE_RETURN.sub(b"\n", data)  # it ends a line as well
                odd = self._odd(data) if b'"' in data else None
                if odd is not None:
                    whole = self._row_end(data, line, odd)
                    if not whole and file.tell() < self.size:
                        wanted += len(data)
                        file.seek(here)
                        continue
                    if 0 < whole < len(data):
                        data = data[:whole]
                        file.seek(here + whole)
                if b"\x00" in data:
                    raise FactError(Problem("nul-bytes", Location(self.name, line=line), {
                        "count": data.count(b"\x00")}))
                if undecided and not data.isascii():
                    undecided, error = False, _utf8_error(data)
                    if error is not None and is_damaged_utf8(data):
                        raise undecodable("broken-utf8", data, error, self.name, line)
                    if error is not None:
                        decoder = codecs.getincrementaldecoder("gb18030")()  # all before it was plain ASCII
                if decoder is not None:
                    data = self._recode(decoder, data, line)
                    if odd is not None:  # a byte of a Chinese character may have looked like a delimiter
                        odd = self._odd(data)
                ends, decimals = lines_and_decimals(data)
                lines = ends + (not data.endswith(b"\n"))
                start = line
                line += lines
                if start <= last:
                    for _ in range(min(last - start + 1, lines)):
                        data = data[data.find(b"\n") + 1 or len(data):]
                    start = min(last + 1, line)
                if data:
                    yield Lines(start, data, line - start, _within(odd, start - line + lines, lines), decimals)

    def reword(self, problem: Problem) -> Problem:
        """A problem of a row in the words of this kind of file."""
        return problem

    def _odd(self, data: bytes) -> list[int]:
        """The oddly quoted lines, by their place; none where the delimiter is no byte."""
        return oddly_quoted(data, self.delimiter.encode()) if self.delimiter.isascii() else []

    def _row_end(self, data: bytes, line: int, odd: Sequence[int]) -> int:
        """Where the last complete row of some lines ends: a quoted cell may run on into the next block.

        Errors (`FactError`): `unclosed-quote` where it runs on for too long.
        """
        if self.delimiter.isascii() and not odd:
            return len(data)
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


def _within(places: Sequence[int] | None, first: int, last: int) -> Sequence[int] | None:
    """Places from `first` on and before `last`, counted from there."""
    return places and [place - first for place in places if first <= place < last]


def _whole_lines(file: BinaryIO, size: int, length: int, end: bytes) -> bytes:
    """The lines that come next, about so many bytes of them; all the rest where no line ends before that.

    The end of the last line is looked for first, so that nothing has to be copied once it is read.
    """
    here = file.tell()
    stop = here + size
    while stop < length:
        low = stop
        while low > here:
            low, high = max(here, low - TAIL), low
            file.seek(low)
            found = file.read(high - low).rfind(end)
            if found >= 0:
                file.seek(here)
                return file.read(low + found + 1 - here)
        stop += size
    file.seek(here)
    return file.read()


def _encoding(head: bytes, whole: bool, name: str) -> str:
    """As `facts.text.decode` tells it, from the beginning of the file."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    error = _utf8_error(head, whole)
    if error is not None and is_damaged_utf8(head):
        raise undecodable("broken-utf8", head, error, name)
    return "utf-8" if error is None else "gb18030"


def _utf8_error(data: bytes, whole: bool = True) -> UnicodeDecodeError | None:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, whole)
    except UnicodeDecodeError as error:
        return error
    return None


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

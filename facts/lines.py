"""A text file's lines in blocks of UTF-8, whatever encoding it has and however large it is.

What they mean is not asked here.
"""

from __future__ import annotations

import codecs
import csv
import os
import re
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import polars as pl

from engine.errors import FactError, Problem
from engine.source import Location
from facts.plain_bytes import lines_and_decimals, oddly_quoted
from facts.text import HEAD_ROWS, MAX_CELL, is_damaged_utf8, undecodable

FIRST_BLOCK, BLOCK = 256 << 10, 6 << 20
"""Bytes read at a time; few at first, so that what blocks have in common is worked out while the next are parsed."""
HEAD, LONGEST_HEAD = 64 << 10, 4 << 20
"""Bytes in which the heading is looked for: so many, up to so many where they hold too few lines."""
TAIL = 4 << 10
"""Bytes in which the end of a line is looked for at a time."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONE_RETURN = re.compile(rb"\r(?!\n)")


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

    def after(self, line: int) -> Lines:
        """Those that follow a line of some bytes."""
        count = min(line + 1 - self.first, self.height)
        data = self.data
        assert isinstance(data, bytes), "cells have no lines"
        for _ in range(count):
            data = data[data.find(b"\n") + 1 or len(data) :]
        odd = self.odd and [place - count for place in self.odd if place >= count]
        return Lines(self.first + count, data, self.height - count, odd, self.decimals)


class LineFile:
    """A text file that is read in blocks of lines.

    `text` is its beginning, up to the end of a line.
    Errors (`FactError`) while opening: `file-empty`, and what `decode` reports; while reading: `broken-utf8`,
    `unknown-encoding`, `nul-bytes`, `unclosed-quote`. `OSError`: it cannot be opened or read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)
        head = self._head()
        if head.startswith(_UTF16):
            handle, copy = tempfile.mkstemp(suffix=".csv")
            os.close(handle)
            weakref.finalize(self, os.unlink, copy)  # when this object ends, or the process
            self._write_in_utf8(Path(copy))
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
            raise undecodable(code, error, self.name) from None
        self.end = b"\r" if b"\r" in head and b"\n" not in head else b"\n"
        """What lines end with: old programs write a carriage return alone."""
        self.text = text[: text.rfind(self.end.decode()) + 1] if len(head) < self.size else text

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

    def blocks(self, delimiter: str, size: int = BLOCK) -> Iterator[Lines]:
        """All lines in order; the delimiter tells which quotes enclose cells."""
        undecided = self.encoding == "utf-8" and not self.certain
        decoder = codecs.getincrementaldecoder(self.encoding)() if self.encoding not in ("utf-8", "utf-8-sig") else None
        with self.path.open("rb") as file:
            file.seek(len(codecs.BOM_UTF8) if self.encoding == "utf-8-sig" else 0)
            line, wanted = 1, min(FIRST_BLOCK, size)
            while True:
                here = file.tell()
                data = _whole_lines(file, wanted, self.size, self.end)
                if not data:
                    return
                wanted = size
                if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
                    data = _LONE_RETURN.sub(b"\n", data)  # it ends a line as well
                odd = odd_lines(data, delimiter) if b'"' in data else None
                if odd is not None:
                    whole = self._row_end(data, line, odd, delimiter)
                    if not whole and file.tell() < self.size:
                        wanted += len(data)
                        file.seek(here)
                        continue
                    if 0 < whole < len(data):
                        data = data[:whole]
                        file.seek(here + whole)
                if b"\x00" in data:
                    place = line + data.count(b"\n", 0, data.find(b"\x00"))
                    raise FactError(Problem("nul-bytes", Location(self.name, line=place), {
                        "count": data.count(b"\x00")}))
                if undecided and not data.isascii():
                    undecided, error = False, _utf8_error(data)
                    if error is not None and is_damaged_utf8(data):
                        raise undecodable("broken-utf8", error, self.name, line)
                    if error is not None:
                        decoder = codecs.getincrementaldecoder("gb18030")()  # all before it was plain ASCII
                if decoder is not None:
                    data = self._recode(decoder, data, line)
                    if odd is not None:  # a byte of a Chinese character may have looked like a delimiter
                        odd = odd_lines(data, delimiter)
                lines = lines_of(line, data, odd)
                yield lines
                line += lines.height

    def _row_end(self, data: bytes, line: int, odd: Sequence[int], delimiter: str) -> int:
        """Where the last complete row of some lines ends: a quoted cell may run on into the next block.

        Errors (`FactError`): `unclosed-quote` where it runs on for too long.
        """
        if delimiter.isascii() and not odd:
            return len(data)
        start, ends = 0, 0
        lines = data.splitlines(keepends=True)
        text = (piece.decode("latin-1") for piece in lines)  # only quotes and line ends matter here
        rows = csv.reader(text, delimiter=delimiter if delimiter.isascii() else ",", strict=True)
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
            raise undecodable("unknown-encoding", error, self.name, line) from None


def odd_lines(data: bytes, delimiter: str) -> list[int]:
    """The oddly quoted lines, by their place; none where the delimiter is no byte."""
    return oddly_quoted(data, delimiter.encode()) if delimiter.isascii() else []


def lines_of(first: int, data: bytes, odd: Sequence[int] | None = None) -> Lines:
    """Some lines with what their bytes tell; of the oddly quoted ones those that are among them."""
    ends, decimals = lines_and_decimals(data)
    height = ends + (not data.endswith(b"\n"))
    return Lines(first, data, height, odd and [place for place in odd if place < height], decimals)


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
        raise undecodable("broken-utf8", error, name)
    return "utf-8" if error is None else "gb18030"


def _utf8_error(data: bytes, whole: bool = True) -> UnicodeDecodeError | None:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, whole)
    except UnicodeDecodeError as error:
        return error
    return None

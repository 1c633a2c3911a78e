"""JSON Lines and Parquet as sources of blocks: their rows become the cells that a CSV would have."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from engine.errors import FactError, Problem
from engine.source import Location
from facts.csv_source import CsvSource, Source
from facts.grid import Grid
from facts.headings import Target
from facts.lines import Lines, lines_of, odd_lines
from facts.text import reading, unreadable

SAMPLE = 200
ROWS_AT_ONCE = 100_000
_BROKEN = "\x01"
"""Stands for a line that is no object; it is handed on as a row whose quotes are broken."""


def cell_of(value: Any) -> str:
    """A JSON value as a cell: numbers in digits as they were written, never through a float."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str):
        return " ".join(value.splitlines()) if "\n" in value or "\r" in value else value
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)


def _reason(found: Any) -> dict[str, object]:
    """Why a line is no object: an error, or what else it is."""
    if isinstance(found, Exception):
        return {"reason_zh": str(found), "reason_en": str(found)}
    shown = json.dumps(found, ensure_ascii=False, default=str)[:60]
    return {"reason_zh": f"不是对象 {{…}}：{shown}", "reason_en": f"no object {{…}}: {shown}"}


def _objects(path: Path, limit: int | None = None) -> Iterator[tuple[int, Any]]:
    """Each line's object, or the reason why it is none."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if limit is not None and number > limit:
                return
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                yield number, json.loads(text, parse_float=Decimal) if text else None
            except (ValueError, RecursionError) as error:
                yield number, error


class JsonLinesSource(Source):
    """One object a line; the keys are fields or their labels. A line that is no object is a rejected row."""

    def __init__(self, path: Path, targets: Callable[[Grid, str], list[Target]], forced: bool) -> None:
        self.keys: list[str] = []
        self.faults: dict[int, dict[str, object]] = {}
        sample: list[dict[str, Any]] = []
        broken: Problem | None = None
        for number, found in _objects(path, SAMPLE):
            if found is not None and not isinstance(found, dict) and broken is None:
                broken = Problem("json-syntax", Location(str(path), line=number), _reason(found))
            if isinstance(found, dict):
                sample.append(found)
                self.keys += [key for key in found if key not in self.keys]
        if not self.keys:
            raise FactError(broken or Problem("file-empty", Location(str(path)), {}))
        text = self._csv([self.keys, *([cell_of(one.get(key)) for key in self.keys] for one in sample)])
        super().__init__(path, text, targets, forced)
        self.layout = replace(self.layout, heading_rows=(0,))

    @staticmethod
    def _csv(rows: list[list[str]]) -> str:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(rows)
        return out.getvalue()

    def _blocks(self, size: int) -> Iterator[Lines]:
        rows: list[list[str]] = []
        start = 1
        for number, found in _objects(self.path):
            if isinstance(found, dict):
                extra = [cell_of(value) for key, value in found.items() if key not in self.keys]
                rows.append([cell_of(found.get(key)) for key in self.keys] + extra)
            elif found is None:
                rows.append([])
            else:
                self.faults[number] = _reason(found)
                rows.append([_BROKEN])
            if len(rows) == ROWS_AT_ONCE:
                yield self._block(start, rows)
                rows, start = [], number + 1
        if rows:
            yield self._block(start, rows)

    def _block(self, start: int, rows: list[list[str]]) -> Lines:
        data = self._csv(rows).replace(_BROKEN, '"json"!').encode()
        return lines_of(start, data, odd_lines(data, self.delimiter) if b'"' in data else None)

    def reword(self, problem: Problem) -> Problem:
        reason = self.faults.get(problem.location.line or 0)
        if problem.code != "broken-quotes" or reason is None:
            return problem
        return Problem("json-syntax", problem.location, reason)


class ParquetSource(Source):
    """Typed columns; numbers are in the unit of the field or of the heading, text is read like any cell."""

    def __init__(self, path: Path, targets: Callable[[Grid, str], list[Target]], forced: bool) -> None:
        try:
            self.frame = pl.scan_parquet(path)
            head = self._cells(self.frame.head(SAMPLE).collect())
        except pl.exceptions.PolarsError as error:
            raise unreadable(str(path), dict.fromkeys(("reason_zh", "reason"), str(error)[:200])) from None
        super().__init__(path, head.write_csv(), targets, forced)
        self.layout = replace(self.layout, heading_rows=(0,))

    @staticmethod
    def _cells(frame: pl.DataFrame) -> pl.DataFrame:
        """Every column as text: a date in ISO form, a number in its shortest exact digits."""
        return frame.with_columns(
            pl.col(name).cast(pl.String) for name, kind in frame.schema.items() if kind != pl.String())

    def _blocks(self, size: int) -> Iterator[Lines]:
        total = self.frame.select(pl.len()).collect().item()
        for start in range(0, total, ROWS_AT_ONCE):
            cells = self._cells(self.frame.slice(start, ROWS_AT_ONCE).collect())
            yield Lines(start + 1, cells, cells.height)


def open_source(path: Path, targets: Callable[[Grid, str], list[Target]], forced: bool) -> Source:
    """A file that can be read in blocks, by its suffix. Errors as its kind."""
    if path.exists() and not path.is_file():  # it is read twice
        raise unreadable(str(path), {
            "reason_zh": "不是普通文件，请先存成文件", "reason": "no ordinary file: save it as one first"})
    suffix = path.suffix.lower()
    kind = JsonLinesSource if suffix in (".jsonl", ".ndjson") else ParquetSource if suffix == ".parquet" else CsvSource
    with reading(path):
        return kind(path, targets, forced)

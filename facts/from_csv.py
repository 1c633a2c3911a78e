"""CSV → a grid of raw text cells with the physical line of each row.

The delimiter is the one under which the heading names most fields, then the one that is most
frequent there. Quotes are read strictly: a quote left open would swallow the rest of the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence

from facts.grid import Grid
from facts.headings import GridRow
from facts.numbers import Fault
from facts.text import MAX_CELL

DELIMITERS = (",", "\t", ";", "，", "|")
_SAMPLE_LINES = 30


def csv_grid(text: str, name: str, score: Callable[[Sequence[Sequence[str]]], int]) -> Grid:
    """The grid of a CSV text.

    `score` tells how many fields the best heading among some rows names.
    Problems in the rows: `broken-quotes`, `unclosed-quote`.
    """
    csv.field_size_limit(MAX_CELL)
    delimiter = find_delimiter(text, score)
    return Grid(name, None, _rows(text, delimiter), fixed_width=True)


def find_delimiter(text: str, score: Callable[[Sequence[Sequence[str]]], int]) -> str:
    """The delimiter under which the first lines name most fields; of equals the most frequent one."""
    lines: list[str] = []
    for line in io.StringIO(text, newline=""):
        if line.strip():
            lines.append(line[:100_000])
        if len(lines) == _SAMPLE_LINES:
            break
    there = [delimiter for delimiter in DELIMITERS if any(delimiter in line for line in lines)]
    if len(there) < 2:
        return there[0] if there else ","
    best, best_score = ",", (-1, -1)
    for delimiter in there:
        rows = []
        for line in lines:
            try:
                rows += list(csv.reader([line], delimiter=delimiter))
            except csv.Error:
                continue
        found = (score(rows), max((len(row) for row in rows), default=0))
        if found > best_score:
            best, best_score = delimiter, found
    return best


def _rows(text: str, delimiter: str) -> Iterator[GridRow]:
    """Rows with the physical line on which each begins; a broken row is a single `Fault`."""
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, delimiter=delimiter, strict=True, skipinitialspace=delimiter != "\t")
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = max(reader.line_num, line)
            unclosed = "unexpected end" in str(error)
            code = "unclosed-quote" if unclosed else "broken-quotes"
            reason = "到文件结尾都没有收尾 / open to the end of the file" if unclosed else str(error)
            # Every line the broken row took in counts as a rejected row: what they held is not known.
            yield line, [Fault(code, reason)]
            for swallowed in range(line + 1, last + 1):
                yield swallowed, [Fault(code, "")]
            continue
        yield line, list(cells)

"""Lines of a large CSV that are all alike → a table of cells, by the CSV parser.

A number is read as a whole one where its column had none but those so far (the parser refuses a
point), else as a decimal of fixed scale, where the bytes of the lines prove that none is finer, else
as a text. There is never a float.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from facts.column_reader import DIGITS, FactColumn, LabelColumn
from facts.plain_bytes import delimiters_of

PATIENCE = 8
"""Blocks that the parser may fail to read by some types, more than it reads, before it is no longer asked to."""


def without_empty(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells with a null for each empty text."""
    empty = [cell.name for cell in cells if cell.dtype == pl.String() and (cell == "").any()]
    return cells.with_columns(pl.when(pl.col(empty) != "").then(pl.col(empty))) if empty else cells


class CellParser:
    """The cells of lines by the types of their columns. Safe to use from several threads.

    `subject` is the place of the column that names the rows, which stays text.
    """

    def __init__(self, columns: Sequence[LabelColumn], subject: int | None, delimiter: str) -> None:
        self.delimiter, self.width = delimiter, len(columns)
        numbers = {place: column for place, column in enumerate(columns)
                   if isinstance(column, FactColumn) and column.is_number and place != subject}
        self.places = max((column.places or 0 for column in numbers.values()), default=0)
        """Decimals of all numbers that are read as decimals."""
        self.texts: list[pl.DataType] = [pl.String()] * self.width
        decimals = [pl.Decimal(DIGITS, self.places) if place in numbers else pl.String() for place in range(self.width)]
        self.ways = [_Way(decimals)] if numbers else []
        whole = {place for place, column in numbers.items() if column.whole}
        if whole:
            self.ways.insert(0, _Way([pl.Int64() if place in whole else kind for place, kind in enumerate(decimals)]))

    def cells(self, data: bytes, lines: int, quoted: bool, decimals: int) -> pl.DataFrame | None:
        """The cells of lines that are all alike; None where any line is blank, longer or shorter."""
        found = self._by_types(data, quoted, decimals)
        if found is None:
            found = self._parse(data, self.texts, quoted)
        if found is None or found.height != lines:
            return None
        # The parser refuses lines that are too long and fills up those that are too short with nulls.
        if found.to_series(self.width - 1).null_count() and delimiters_of(
                data, self.delimiter.encode()) != lines * (self.width - 1):
            return None
        return without_empty(found) if quoted else found

    def column(self, data: bytes, place: int) -> pl.Series | None:
        """The texts of one column of lines without quotes, which may be of any length; None where it cannot tell."""
        schema = {str(number): pl.String() for number in range(self.width)}
        try:
            return pl.read_csv(data, has_header=False, schema=schema, columns=[place], separator=self.delimiter,
                               quote_char=None, truncate_ragged_lines=True).to_series()
        except pl.exceptions.PolarsError:
            return None

    def _by_types(self, data: bytes, quoted: bool, decimals: int) -> pl.DataFrame | None:
        """The cells with numbers as such; None where one cannot be read so."""
        for way in self.ways:
            if way.patience <= 0 or (way.has_decimals and decimals > self.places):
                continue  # a number that is finer would be cut
            found = self._parse(data, way.types, quoted)
            way.patience = way.patience - 1 if found is None else min(PATIENCE, way.patience + 1)
            if found is not None:
                return found
        return None

    def _parse(self, data: bytes, types: Sequence[pl.DataType], quoted: bool) -> pl.DataFrame | None:
        schema = {str(place): kind for place, kind in enumerate(types)}
        try:
            return pl.read_csv(data, has_header=False, schema=schema, separator=self.delimiter,
                               quote_char='"' if quoted else None, truncate_ragged_lines=False)
        except pl.exceptions.PolarsError:
            return None


class _Way:
    """Types by which to read cells, given up once they have failed for too many blocks."""

    def __init__(self, types: Sequence[pl.DataType]) -> None:
        self.types, self.patience = types, PATIENCE
        self.has_decimals = any(isinstance(kind, pl.Decimal) for kind in types)


__all__ = ["CellParser", "without_empty"]

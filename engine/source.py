"""Where a thing was written: a place in a file, a cell of a sheet, a path in a document.

Every problem leads with its place, so every record that can be wrong carries one.
This module imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import replace

from engine.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A place an editor or a spreadsheet can jump to.

    `line` and `column` count from 1. `sheet` and `cell` name a place in a workbook
    (`cell` as the officer sees it, `D14`). `path` is a place in a structured document
    (`facts.award[2].amount`) where no line is known. `text` is the whole source line
    and `width` the number of characters to underline.
    """

    file: str = ""
    line: int | None = None
    column: int | None = None
    sheet: str | None = None
    cell: str | None = None
    path: str | None = None
    text: str | None = None
    width: int = 1

    def __str__(self) -> str:
        if self.sheet is not None or self.cell is not None:
            return "!".join(part for part in (self.file, self.sheet, self.cell) if part)
        place = self.file
        if self.line is not None:
            place += f":{self.line}"
            if self.column is not None:
                place += f":{self.column}"
        if self.path:
            place = f"{place}: {self.path}" if place else self.path
        return place

    @property
    def row(self) -> int | None:
        """The number of the line or of the cell's row (14 of `D14`); None where neither is known."""
        if self.line is not None or self.cell is None:
            return self.line
        digits = "".join(char for char in self.cell if char.isdigit())
        return int(digits) if digits else None

    def at(self, offset: int, width: int = 1, text: str | None = None) -> Location:
        """The same line, `offset` characters further on."""
        column = None if self.column is None else self.column + offset
        return replace(self, column=column, width=width, text=text if text is not None else self.text)

    def snippet(self) -> str:
        """The source line with the place underlined, or nothing where no line is known."""
        if self.text is None or self.column is None:
            return ""
        shown = self.text[:200]
        start = min(self.column - 1, len(shown))
        # Wide characters take two columns in a terminal; the underline must follow them.
        lead = sum(2 if _is_wide(char) else 1 for char in shown[:start])
        length = sum(2 if _is_wide(char) else 1 for char in shown[start : start + self.width]) or 1
        return f"    {shown}\n    {' ' * lead}{'^' * length}"


def _is_wide(char: str) -> bool:
    import unicodedata

    return unicodedata.east_asian_width(char) in "WF"


NOWHERE = Location()

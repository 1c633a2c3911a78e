"""Workbooks (xlsx, xlsm, xls, ods) → one grid a sheet, with cell names as the officer sees them.

Values come from calamine; what it leaves out (formats, formulas, errors, hidden rows) comes from
`workbook_xml` and `ods_xml`. A workbook that cannot be trusted is a problem, never a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import FactError, Problem
from engine.source import Location
from facts.grid import Grid, Marks
from facts.headings import GridRow
from facts.text import FileKind

MAX_OLD_FORMAT_BYTES = 100_000_000


def workbook_grids(path: Path, name: str, kind: FileKind) -> tuple[list[Grid], list[Problem]]:
    """The grids of a workbook's sheets in order.

    Errors (`FactError`): `broken-workbook`, `file-encrypted`, `workbook-too-large`, `workbook-doctype`;
    in the list: `sheet-too-large`, warning `hidden-sheet`.
    """
    import python_calamine as calamine

    old: list[Problem] = []
    if kind != "xls":
        from facts import workbook_xml

        archive = workbook_xml.open_archive(str(path), name)
        with archive:
            if kind == "xlsx":
                book = workbook_xml.read_book(archive, name)
                marks = _scan_xlsx(book)
            else:
                from facts.ods_xml import scan_ods

                marks = scan_ods(archive, name)
                # The cell reader unfolds every sheet of this format when it opens the file.
                too_large = [problem for found in marks.values() if isinstance(found, FactError)
                             for problem in found.problems]  # fmt: skip
                if too_large:
                    raise FactError(too_large)
    else:
        if path.stat().st_size > MAX_OLD_FORMAT_BYTES:
            raise FactError(Problem("file-too-large", Location(name), {
                "size": path.stat().st_size, "limit": MAX_OLD_FORMAT_BYTES}))  # fmt: skip
        marks = {}
        old = [Problem("old-workbook-format", Location(name), {}, "warning")]
    with path.open("rb") as stream:
        grids, problems = _grids(calamine, stream, name, marks)
    return grids, old + problems


def _scan_xlsx(book: Any) -> dict[str, tuple[Marks, int] | FactError]:
    from facts.sheet_xml import scan_sheet

    found: dict[str, tuple[Marks, int] | FactError] = {}
    for sheet in book.sheets:
        if not sheet.part.rpartition("/")[0].endswith("worksheets") and "sheet" not in sheet.part:
            continue
        try:
            found[sheet.name] = scan_sheet(book, sheet.part, sheet.name)
        except FactError as error:
            if error.problems[0].code != "sheet-too-large":
                raise
            found[sheet.name] = error
    return found


def _grids(
    calamine: Any, stream: Any, name: str, marks: dict[str, tuple[Marks, int] | FactError]
) -> tuple[list[Grid], list[Problem]]:
    problems: list[Problem] = []
    grids: list[Grid] = []
    with _reading(name):
        book = calamine.CalamineWorkbook.from_filelike(stream)
    for sheet in book.sheets_metadata:
        if sheet.typ != calamine.SheetTypeEnum.WorkSheet:
            continue
        scanned = marks.get(sheet.name)
        if isinstance(scanned, FactError):
            problems += scanned.problems
            continue
        with _reading(name):
            data = book.get_sheet_by_name(sheet.name)
            sheet_marks, last_row = scanned if scanned is not None else (_old_marks(data), data.total_height)
            start = data.start
        offset, numbered = (0, iter(())) if start is None else (start[1], _rows(data, start[0], sheet_marks, name))
        hidden = sheet.visible != calamine.SheetVisibleEnum.Visible
        grid = Grid(name, sheet.name, numbered, offset, sheet_marks, last_row=last_row, hidden=hidden)
        grids.append(grid)
    return grids, problems


def _old_marks(sheet: Any) -> Marks:
    """All that can be known of a sheet in the old binary format."""
    merged = sheet.merged_cell_ranges or ()
    return Marks(
        merged=tuple((first[0] + 1, first[1], last[0] + 1, last[1]) for first, last in merged), formats_known=False)


def _rows(sheet: Any, first_row: int, marks: Marks, name: str) -> Iterator[GridRow]:
    """The numbered rows of a sheet, without the blank rows above the first value.

    Rows below the last value may still hold formulas that were never computed.
    """
    rows = enumerate(sheet.iter_rows(), 1)
    number = 0
    with _reading(name):
        for number, cells in rows:
            if number > first_row:
                yield number, cells
    yield from ((row, []) for row in sorted(marks.faults) if row > number)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Whatever a foreign reader raises, a panic included, the file cannot be read."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit, FactError):
        raise
    except BaseException as error:
        text = str(error)
        if type(error).__name__ == "PasswordError" or "password" in text.casefold() or "encrypt" in text.casefold():
            raise FactError(Problem("file-encrypted", Location(name), {})) from None
        raise FactError(Problem("broken-workbook", Location(name), {"reason": text})) from None

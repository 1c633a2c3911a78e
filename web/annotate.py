"""A copy of a submitted workbook with the faults marked in their cells and the results beside the rows.

The copy is written anew from the values; nothing of the original but its values and sheet names is
taken over, so that no formula, link or macro travels on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from engine.errors import HeguiError, Lang, Problem
from engine.files import replacing
from engine.safe_text import safe_text
from facts.from_csv import csv_grid
from facts.text import decode, read_bytes

MAX_CELLS = 2_000_000
MAX_EXCERPTS = 200
MAX_WIDTH = 60
_CELL = re.compile(r"([A-Z]{1,3})(\d{1,7})")

Verdicts = Mapping[tuple[str, int], tuple[str, str, str]]


def write_annotated(
    path: Path, source: Path, problems: Sequence[Problem], verdicts: Verdicts, lang: Lang
) -> list[dict[str, Any]]:
    """Writes the copy; returns the rows that hold a fault as excerpts, for a page to show in place."""
    import xlsxwriter

    by_sheet = _by_sheet(problems)
    excerpts: list[dict[str, Any]] = []
    with (
        replacing(path) as temporary,
        xlsxwriter.Workbook(
            str(temporary),
            {
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
                "nan_inf_to_errors": True,
            },
        ) as book,
    ):
        styles = {
            "error": book.add_format({"bg_color": "#F8C9C4", "border": 1}),
            "warning": book.add_format({"bg_color": "#FFF0C2", "border": 1}),
            "result": book.add_format({"bg_color": "#E3EEF9", "text_wrap": True, "valign": "top"}),
            "heading": book.add_format({"bold": True, "bg_color": "#C9DDF2"}),
        }
        left = MAX_CELLS
        for name, rows in _sheets(source):
            sheet = book.add_worksheet(name)
            faults = by_sheet.get(name, {})
            own = {row: verdict for (of, row), verdict in verdicts.items() if of == name}
            width = 0
            for number, cells in rows:
                left -= len(cells)
                if left < 0:
                    break
                width = max(width, len(cells))
                for column, value in enumerate(cells[:16_000]):
                    _write(sheet, number - 1, column, value, styles, faults.get((number, column)), book)
                marked = {column: found for (row, column), found in faults.items() if row == number}
                for column in marked:
                    if column >= len(cells):
                        sheet.write_blank(number - 1, column, None, styles[_worst(marked[column])])
                if marked and len(excerpts) < MAX_EXCERPTS:
                    excerpts.append(_excerpt(name, number, cells, marked))
            for (row, column), found in faults.items():
                note = "\n".join(f"{problem.message(lang)} {problem.help(lang)}".strip() for problem in found[:5])
                sheet.write_comment(row - 1, column, note[:2_000], {"x_scale": 2})
            if own:
                first = min([*own, *(row for row, column in faults if _worst(faults[row, column]) == "error")])
                _write_verdicts(sheet, own, first, width, styles, lang)
    return excerpts


def _write_verdicts(
    sheet: Any, own: Mapping[int, tuple[str, str, str]], first: int, width: int, styles: Mapping[str, Any], lang: Lang
) -> None:
    headings = ("结论", "金额（元）", "理由") if lang == "zh" else ("result", "amount (yuan)", "reason")
    top = first - 2  # the heading stands above the first row, be that accepted or not
    for offset, heading in enumerate(headings):
        sheet.write_string(max(top, 0), width + offset, heading, styles["heading"])
    for row, (status, amount, reason) in own.items():
        sheet.write_string(row - 1, width, status, styles["result"])
        if amount and len(amount) < 16:
            sheet.write_number(row - 1, width + 1, float(amount), styles["result"])
        else:
            sheet.write_string(row - 1, width + 1, amount, styles["result"])
        sheet.write_string(row - 1, width + 2, reason, styles["result"])
    sheet.set_column(width, width + 1, 16)
    sheet.set_column(width + 2, width + 2, 60)


def _by_sheet(problems: Sequence[Problem]) -> dict[str, dict[tuple[int, int], list[Problem]]]:
    found: dict[str, dict[tuple[int, int], list[Problem]]] = {}
    for problem in problems:
        place = problem.location
        match = _CELL.fullmatch(place.cell or "")
        if place.sheet is not None and match is not None:
            found.setdefault(place.sheet, {}).setdefault((int(match[2]), _index(match[1])), []).append(problem)
    return found


def text_excerpts(source: Path, problems: Sequence[Problem], headings: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a file of lines that hold a fault, as those of a workbook; a fault's column goes by its heading."""
    faults: dict[int, dict[int, list[Problem]]] = {}
    for problem in problems:
        place = problem.location
        if place.line is not None and (len(faults) < MAX_EXCERPTS or place.line in faults):
            column = _column(place.path or "", headings)
            faults.setdefault(place.line, {}).setdefault(column, []).append(problem)
    if not faults:
        return []
    try:
        text = decode(read_bytes(source, source.name), source.name)
    except HeguiError:
        return []
    grid = csv_grid(text, source.name, lambda rows: max((len({*row} & {*headings}) for row in rows), default=0))
    found = []
    for number, cells in grid.rows:
        if number in faults and len(cells) > 1:
            found.append(_excerpt("", number, cells, faults[number]))
        if number >= max(faults):
            break
    return found


def _column(named: str, headings: Sequence[str]) -> int:
    """The index of a column that a problem names by its heading, or else by its letter; the first where by neither."""
    if named in headings:
        return headings.index(named)
    match = _CELL.fullmatch(f"{named}1")
    return _index(match[1]) if match is not None else 0


def _index(letters: str) -> int:
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    return column - 1


def _excerpt(sheet: str, number: int, cells: Sequence[Any], marked: Mapping[int, Sequence[Problem]]) -> dict[str, Any]:
    return {
        "sheet": sheet,
        "row": number,
        "cells": [_text(value) for value in cells[:MAX_WIDTH]],
        "faults": {str(column): [problem.to_dict() for problem in found[:5]] for column, found in marked.items()},
    }


def _worst(problems: Sequence[Problem]) -> str:
    return "error" if any(problem.severity == "error" for problem in problems) else "warning"


def _sheets(source: Path) -> Iterator[tuple[str, Iterator[tuple[int, list[Any]]]]]:
    """The sheets with their numbered rows of values from column A."""
    import python_calamine as calamine

    book = calamine.CalamineWorkbook.from_path(str(source))
    for about in book.sheets_metadata:
        if about.typ != calamine.SheetTypeEnum.WorkSheet:
            continue
        data = book.get_sheet_by_name(about.name)
        start = data.start
        if start is not None:
            pad = [""] * start[1]
            yield about.name, ((number, [*pad, *cells]) for number, cells in enumerate(data.iter_rows(), 1))
        else:
            yield about.name, iter(())


def _write(
    sheet: Any, row: int, column: int, value: Any, styles: Mapping[str, Any], found: list[Problem] | None, book: Any
) -> None:
    style = styles[_worst(found)] if found else None
    if value == "" and style is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value, style)
    elif isinstance(value, (int, float)):
        sheet.write_number(row, column, value, style)
    elif isinstance(value, (date, datetime, time, timedelta)):
        sheet.write_string(row, column, _text(value), style)
    else:
        sheet.write_string(row, column, safe_text(str(value))[:32_000], style)


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return str(value)[:200]

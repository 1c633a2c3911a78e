"""Tables → terminal text, Markdown, CSV and XLSX. Formatting only; what the cells say is `report`'s."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path

from engine.files import replacing
from engine.report import Cell, Money, Percent, Table, cell_text
from engine.safe_text import safe_text
from engine.values import decimal_text, yuan_text


def terminal_text(table: Table, width: int | None = None, style: str = "simple_outline") -> str:
    """The table for a terminal, wide characters aligned; long texts wrapped where `width` is given."""
    import tabulate

    tabulate.PRESERVE_WHITESPACE = False
    rows = [[cell_text(cell) for cell in row] for row in table.rows]
    footer = [[cell_text(cell) if cell != "" else "" for cell in table.footer]] if table.footer else []
    if footer and style == "simple_outline":
        footer.insert(0, ["" for _ in table.headers])
    numeric = [
        any(isinstance(row[place], (Money, Percent)) for row in table.rows) for place in range(len(table.headers))
    ]
    text = tabulate.tabulate(
        rows + footer,
        headers=list(table.headers) if any(table.headers) else (),
        tablefmt=style,
        disable_numparse=True,
        colalign=["right" if is_number else "left" for is_number in numeric] if table.rows else None,
        maxcolwidths=_widths(table, rows, width) if width else None,
    )
    return "\n".join(part for part in (table.title, text, *table.notes) if part)


def _widths(table: Table, rows: Sequence[Sequence[str]], width: int) -> list[int | None]:
    """Column limits that fit the width: the widest text columns give way, numbers never."""
    from wcwidth import wcswidth

    natural = [
        max([wcswidth(header), *(wcswidth(row[place]) for row in rows)], default=1)
        for place, header in enumerate(table.headers)
    ]
    room = width - 3 * len(natural) - 1
    limits: list[int | None] = [None] * len(natural)
    fixed = {
        place
        for place in range(len(natural))
        if any(isinstance(row[place], (Money, Percent, date)) for row in table.rows)
    }
    current = list(natural)
    while sum(current) > room:
        wide = max(
            (place for place in range(len(current)) if place not in fixed),
            key=lambda place: current[place],
            default=None,
        )
        if wide is None or current[wide] <= 14:
            break
        current[wide] -= 1
        limits[wide] = current[wide]
    return limits


def markdown_text(table: Table) -> str:
    def cell(value: Cell) -> str:
        return cell_text(value).replace("|", "\\|").replace("\n", " ")

    lines = ["| " + " | ".join(table.headers) + " |", "|" + "---|" * len(table.headers)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in table.rows]
    if table.footer:
        lines.append("| " + " | ".join(cell(value) if value != "" else "" for value in table.footer) + " |")
    head = [f"**{table.title}**", ""] if table.title else []
    return "\n".join([*head, *lines, *(f"\n{note}" for note in table.notes)])


def plain_cell(cell: Cell) -> str:
    """A cell for a machine: yuan without separators, percentage points exactly, dates in ISO form."""
    match cell:
        case None:
            return ""
        case Money(fen):
            return yuan_text(fen)
        case Percent(ratio):
            return decimal_text(Fraction(ratio) * 100)  # type: ignore[arg-type]
        case date():
            return cell.isoformat()
        case str():
            return safe_text(cell)
    return str(cell)


def csv_text(tables: Sequence[Table]) -> str:
    """The tables one below the other, without totals: a file for another program."""
    import csv

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for table in tables:
        writer.writerow(table.headers)
        writer.writerows([plain_cell(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def write_xlsx(path: Path, tables: Sequence[Table], explanations: Sequence[str] = (), lang: str = "zh") -> None:
    """A workbook to send on: one sheet a table, header frozen, filters, money formats, widths."""
    import xlsxwriter
    from wcwidth import wcswidth

    with (
        replacing(path) as temporary,
        xlsxwriter.Workbook(
            str(temporary),
            {
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        ) as book,
    ):
        head = book.add_format(
            {"bold": True, "bg_color": "#DDE6F0", "border": 1, "text_wrap": True, "valign": "vcenter"}
        )
        money, day = book.add_format({"num_format": "#,##0.00"}), book.add_format({"num_format": "yyyy-mm-dd"})
        percent, wrap = (
            book.add_format({"num_format": "0.00##%"}),
            book.add_format({"text_wrap": True, "valign": "top"}),
        )
        bold_money = book.add_format({"num_format": "#,##0.00", "bold": True})
        names: set[str] = set()
        for table in tables:
            sheet = book.add_worksheet(_sheet_name(table.title, names, lang))
            sheet.write_row(0, 0, table.headers, head)
            for number, row in enumerate([*table.rows, *([table.footer] if table.footer else [])], 1):
                last = number > len(table.rows)
                for place, cell in enumerate(row):
                    match cell:
                        case None | "":
                            continue
                        case Money(fen) if abs(fen) < 10**15:
                            sheet.write_number(number, place, fen / 100, bold_money if last else money)
                        case Money(fen):  # a spreadsheet's numbers carry 15 digits
                            sheet.write_string(number, place, yuan_text(fen))
                        case Percent(ratio):
                            sheet.write_number(number, place, float(Fraction(ratio)), percent)  # type: ignore[arg-type]
                        case date():
                            sheet.write_datetime(number, place, cell, day)
                        case _:
                            sheet.write_string(number, place, str(cell), wrap)
            for place, header in enumerate(table.headers):
                widest = max([wcswidth(header), *(wcswidth(cell_text(row[place])) for row in table.rows)], default=8)
                sheet.set_column(place, place, min(60, widest + 2))
            sheet.freeze_panes(1, 1)
            sheet.autofilter(0, 0, max(1, len(table.rows)), len(table.headers) - 1)
            for offset, note in enumerate(table.notes):
                sheet.write_string(len(table.rows) + 3 + offset, 0, note)
        if explanations:
            sheet = book.add_worksheet("说明" if lang == "zh" else "Reasons")
            sheet.set_column(0, 0, 120, wrap)
            for number, line in enumerate(explanations):
                sheet.write_string(number, 0, line)


def _sheet_name(title: str, taken: set[str], lang: str) -> str:
    base = "".join(char for char in title if char not in "[]:*?/\\'")[:28] or ("结果" if lang == "zh" else "Results")
    name, number = base, 2
    while name in taken:
        name, number = f"{base}{number}", number + 1
    taken.add(name)
    return name

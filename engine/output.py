"""Tables → terminal text, Markdown, CSV and XLSX. Formatting only; what the cells say is `report`'s.

A cell that begins with `=`, `+`, `-` or `@` is written as text everywhere, so that a name in a
submission can never become a formula in an officer's spreadsheet. Files are written beside their
place and renamed, so that a run that dies leaves the old file or none.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path

from engine.errors import HeguiError, Problem, system_reason
from engine.report import Cell, Money, Percent, Table, cell_text
from engine.values import decimal_text, yuan_text

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

ABANDONED = 60
"""Seconds after which a half-written file that nobody holds is taken for abandoned."""
RISKY = ("=", "+", "-", "@", "\t", "\r")
"""With one of these a text may begin to be a formula."""
SPECIAL = (",", '"', "\n", *RISKY)
"""A text that holds none of these is a cell of CSV as it stands."""


def safe_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(RISKY) else text


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


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when all went well and removed otherwise; a link stays one.

    Errors (`HeguiError`): `unwritable-file`, also where the disk is full on the way.
    """
    import tempfile

    target = Path(os.path.realpath(path))
    temporary: Path | None = None
    try:
        _clear_beside(target)
        handle, name = tempfile.mkstemp(prefix=_prefix(target), suffix=target.suffix, dir=target.parent)
        temporary = Path(name)
        os.close(handle)
        with _held(temporary):
            yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        fields = {"path": str(path), "reason": system_reason(error)}
        raise HeguiError(Problem("unwritable-file", fields=fields)) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what does not fit in memory, gone afterwards."""
    import tempfile

    _clear_beside(path)
    with tempfile.TemporaryDirectory(prefix=_prefix(path), dir=path.parent) as folder, _held(Path(folder)):
        yield Path(folder)


_MARK = ".hegui-"


def _prefix(path: Path) -> str:
    """How the names begin of what is made beside a file, and of what is made beside that."""
    own = path.name[1:].partition(_MARK)[0] if _MARK in path.name and path.name.startswith(".") else path.name
    return f".{own[:40]}{_MARK}"


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Tells others, by a lock that ends with the process however it ends, that a file or folder is in use."""
    handle = os.open(path, os.O_RDONLY) if fcntl else -1
    try:
        if fcntl:
            with contextlib.suppress(OSError):  # where the file system has no locks nobody clears up either
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        if fcntl:
            os.close(handle)


def _clear_beside(target: Path) -> None:
    """Remove what a run that was killed left half written beside a file: what no process holds, after a minute."""
    import glob
    import shutil
    import time

    for left in target.parent.glob(f"{glob.escape(_prefix(target))}*") if fcntl else ():
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if time.time() - os.fstat(handle).st_mtime > ABANDONED:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            finally:
                os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


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

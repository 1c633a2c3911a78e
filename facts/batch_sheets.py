"""The workbooks of a batch: results with a summary and the clauses, and the list of problems."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.batch_table import Results
from engine.errors import Lang
from engine.kinds import LABELS
from engine.load import Pack
from engine.types import Kind
from engine.values import yuan_text

if TYPE_CHECKING:
    from facts.batch import Summary

SHEET_ROWS = 1_048_575
"""Rows a sheet holds below its heading."""
EXACT = 10**15
"""A workbook's numbers carry fifteen digits; a greater amount is written as text."""
BOOK = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}

_WORDS: dict[str, tuple[str, str]] = {
    "row": ("行号", "row"), "subject": ("对象", "subject"), "provision": ("条款", "provision"),
    "status": ("结论代码", "status"), "status_label": ("结论", "result"), "amount": ("金额（元）", "amount (yuan)"),
    "amount_max": ("上限金额（元）", "maximum (yuan)"), "rate_percent": ("比例（%）", "rate (%)"),
    "due_date": ("到期日", "due date"), "missing": ("缺少的事实", "missing facts"),
    "counted": ("计入合计（元）", "counted (yuan)"),
    "yields": ("让位于（行号）", "yields to (row)"),
}  # fmt: skip


def heading(name: str, lang: Lang) -> str:
    """A result column's name for people; those of a provision keep its id."""
    identity, _, own = name.rpartition(":")
    words = _WORDS.get(own)
    shown = own if words is None else words[lang == "en"]
    return f"{identity} {shown}" if identity else shown


@contextlib.contextmanager
def xlsx_writer(path: Path, results: Results, pack: Pack, summary: Summary) -> Iterator[XlsxWriter]:
    """A workbook: results on one sheet or more, then the summary and the clauses."""
    import xlsxwriter

    with xlsxwriter.Workbook(str(path), {**BOOK, "constant_memory": True}) as book:
        writer = XlsxWriter(book, results)
        yield writer
        writer.finish()
        _summary_sheet(book, summary, results, pack)
        _clause_sheet(book, results, pack)


class XlsxWriter:
    """Result rows on sheets; a sheet that is full is followed by another."""

    def __init__(self, book: Any, results: Results) -> None:
        self.book, self.results, self.lang = book, results, results.lang
        self.schema = results.schema
        self.head = book.add_format({"bold": True, "bg_color": "#DDE6F0", "border": 1, "text_wrap": True})
        self.formats = {name: self._format(kind) for name, kind in self.schema.items()}
        self.sheets = 0
        self.row = 0
        self.sheet: Any = None
        self._new_sheet()

    def _format(self, kind: pl.DataType) -> Any:
        if isinstance(kind, pl.Decimal):
            places = kind.scale or 0
            return self.book.add_format({"num_format": "#,##0." + "0" * places})
        return self.book.add_format({"num_format": "yyyy-mm-dd"}) if kind == pl.Date() else None

    def _new_sheet(self) -> None:
        if self.sheet is not None:
            self._close_sheet()
        self.sheets += 1
        title = "结果" if self.lang == "zh" else "Results"
        self.sheet = self.book.add_worksheet(title if self.sheets == 1 else f"{title}{self.sheets}")
        for place, name in enumerate(self.schema):
            self.sheet.set_column(place, place, _width(name, self.schema[name]))
        self.sheet.freeze_panes(1, 2)
        self.sheet.write_row(0, 0, [heading(name, self.lang) for name in self.schema], self.head)
        self.row = 0

    def _close_sheet(self) -> None:
        self.sheet.autofilter(0, 0, max(1, self.row), len(self.schema) - 1)

    def write(self, table: pl.DataFrame, plain: bool = False) -> None:
        table = self.results.spelled(table)
        writers = [(place, self.formats[name], table.schema[name]) for place, name in enumerate(table.columns)]
        for row in table.iter_rows():
            if self.row == SHEET_ROWS:
                self._new_sheet()
            self.row += 1
            sheet, number = self.sheet, self.row
            for (place, form, _), cell in zip(writers, row, strict=True):
                if cell is None:
                    continue
                if isinstance(cell, str):
                    sheet.write_string(number, place, cell)
                elif isinstance(cell, bool):
                    sheet.write_string(number, place, _YES_NO[self.lang][cell])
                elif isinstance(cell, date):
                    sheet.write_datetime(number, place, cell, form)
                elif isinstance(cell, Decimal) and abs(int(cell.scaleb(-cell.as_tuple().exponent))) >= EXACT:  # type: ignore[operator]
                    sheet.write_string(number, place, str(cell))
                else:
                    sheet.write_number(number, place, cell, form)

    def finish(self) -> None:
        self._close_sheet()


_YES_NO: dict[Lang, tuple[str, str]] = {"zh": ("否", "是"), "en": ("no", "yes")}


def _width(name: str, kind: pl.DataType) -> int:
    own = name.rpartition(":")[2]
    if own in ("provision", "missing"):
        return 42
    if isinstance(kind, pl.Decimal):
        return 18
    return {"row": 8, "subject": 28, "status_label": 18, "status": 16}.get(own, 14)


def _summary_sheet(book: Any, summary: Summary, results: Results, pack: Pack) -> None:
    lang = results.lang
    sheet = book.add_worksheet("汇总" if lang == "zh" else "Summary")
    bold = book.add_format({"bold": True, "bg_color": "#DDE6F0", "border": 1})
    money = book.add_format({"num_format": "#,##0.00"})
    sheet.set_column(0, 0, 44)
    sheet.set_column(1, 4, 20)
    number = 0
    for words, value in account(summary, lang):
        sheet.write_string(number, 0, words)
        sheet.write_number(number, 1, value)
        number += 1
    number += 1
    headers = (("条款", "结论", "件数", "金额合计（元）") if lang == "zh"
               else ("provision", "result", "count", "total (yuan)"))
    sheet.write_row(number, 0, headers, bold)
    for identity, counts in summary.sums.statuses.items():
        label = pack.provision(identity).label.get(lang)
        for status, count in counts.most_common():
            number += 1
            sheet.write_row(number, 0, (label, LABELS[status].get(lang), count))
        total = summary.sums.money.get(identity, {}).get("amount")
        if total is not None:
            number += 1
            sheet.write_row(number, 0, (label, "合计" if lang == "zh" else "total"), bold)
            if abs(total) < EXACT:
                sheet.write_number(number, 3, total / 100, money)
            else:
                sheet.write_string(number, 3, yuan_text(total))
    for place, text in enumerate(summary.remarks, number + 2):
        sheet.write_string(place, 0, text.get(lang))


def account(summary: Summary, lang: Lang) -> list[tuple[str, int]]:
    """What became of the rows, in words."""
    zh = lang == "zh"
    return [("读入行数" if zh else "rows read", summary.rows_in),
            ("已评" if zh else "evaluated", summary.evaluated),
            ("退回" if zh else "rejected", summary.rejected.total()),
            ("略过" if zh else "skipped", summary.skipped.total())]


def _clause_sheet(book: Any, results: Results, pack: Pack) -> None:
    lang = results.lang
    sheet = book.add_worksheet("依据" if lang == "zh" else "Clauses")
    bold = book.add_format({"bold": True, "bg_color": "#DDE6F0", "border": 1})
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    headers = ("条款", "名称", "依据", "内容") if lang == "zh" else ("provision", "name", "clause", "content")
    sheet.write_row(0, 0, headers, bold)
    for place, width in enumerate((36, 32, 44, 80)):
        sheet.set_column(place, place, width, wrap)
    sheet.freeze_panes(1, 0)
    for number, prepared in enumerate(results.steps, 1):
        provision = prepared.provision
        cells = (provision.id, provision.label.get(lang), str(provision.citation), provision.summary.get(lang))
        for place, text in enumerate(cells):
            sheet.write_string(number, place, text)


def write_problem_book(path: Path, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """The problems as a workbook, header frozen, filters set."""
    import xlsxwriter

    with xlsxwriter.Workbook(str(path), {**BOOK, "constant_memory": True}) as book:
        sheet = book.add_worksheet(headers[7])
        bold = book.add_format({"bold": True, "bg_color": "#F6DDDD", "border": 1})
        for place, width in enumerate((28, 14, 12, 18, 10, 20, 24, 60, 50)):
            sheet.set_column(place, place, width)
        sheet.freeze_panes(1, 0)
        sheet.write_row(0, 0, headers, bold)
        count = 0
        for count, cells in enumerate(rows, 1):
            for place, text in enumerate(cells):
                sheet.write_string(count, place, text)
        sheet.autofilter(0, 0, max(1, count), len(headers) - 1)


__all__ = ["Kind", "account", "heading", "write_problem_book", "xlsx_writer"]

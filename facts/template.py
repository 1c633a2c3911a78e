"""The workbook an officer fills in: one sheet a record, lists to choose from, a page of notes.

Headings carry labels and units, so that a filled template reads back without a question; a template
for one provision names it above the heading. XlsxWriter is imported when a template is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

from engine.dataclass import dataclass
from engine.errors import Lang
from engine.files import replacing
from engine.model import Dossier, Field, Provision, RecordType
from engine.types import Kind
from facts.expected import expected_of, in_unit

ROWS = 2_000
"""Rows that carry formats and checks; rows below them read just as well."""
_NOTES = {"zh": "填表说明", "en": "Notes"}
_LISTS = {"zh": "选项", "en": "Choices"}
MAX_INLINE_LIST = 255
"""Characters a list may have inside a cell check; longer ones go to a sheet of their own."""


@dataclass(frozen=True)
class _Sheet:
    title: str
    fields: Mapping[str, Field]
    key: str | None
    lead: str = ""


def write_template(path: str | Path, of: Dossier | Provision | Mapping[str, Field], lang: Lang = "zh") -> None:
    """An empty workbook for a dossier, a provision or some fields. Errors (`HeguiError`): as `replacing`."""
    import xlsxwriter  # the package carries no types

    with replacing(Path(path)) as temporary, xlsxwriter.Workbook(str(temporary), {
            "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}) as book:  # fmt: skip
        _Writer(book, lang).write(_sheets(of, lang))


def _sheets(of: Dossier | Provision | Mapping[str, Field], lang: Lang) -> list[_Sheet]:
    if isinstance(of, Dossier):
        ordered = sorted(of.records.values(), key=lambda record: record.name != of.subject)
        return [_Sheet(_title(record, lang), record.fields, _key(of, record)) for record in ordered]
    if isinstance(of, Provision):
        return [_Sheet(sheet_name(of.label.get(lang) or of.id), of.facts, None, lead=of.id)]
    return [_Sheet("事实" if lang == "zh" else "Facts", of, None)]


def _title(record: RecordType, lang: Lang) -> str:
    return sheet_name(record.label.get(lang) or record.name)


def _key(dossier: Dossier, record: RecordType) -> str | None:
    subject = dossier.records[dossier.subject]
    return subject.key if subject.key in record.fields else record.key


def sheet_name(text: str) -> str:
    """A text as the name of a sheet: at most 31 characters, without those that names must not hold."""
    return re.sub(r"[\[\]:*?/\\]", "·", text).strip("'")[:31] or "表"


def heading_text(field: Field, lang: Lang) -> str:
    """The heading of a field's column: its label and the unit of bare numbers."""
    label = field.label.get(lang) or field.name
    unit = _unit(field)
    return f"{label}({unit})" if unit and f"({unit})" not in label else label


def _unit(field: Field) -> str | None:
    match field.type.kind:
        case Kind.MONEY:
            return field.unit or "元"
        case Kind.RATIO:
            return None if field.unit == "1" else field.unit or "%"
        case Kind.QUANTITY:
            return field.unit
        case _:
            return None


class _Writer:
    def __init__(self, book: Any, lang: Lang) -> None:
        self.book, self.lang = book, lang
        self.lists: list[list[str]] = []
        self.heading = book.add_format({"bold": True, "text_wrap": True, "valign": "vcenter", "border": 1,
                                        "bg_color": "#D9E2F3"})  # fmt: skip
        self.key_heading = book.add_format({"bold": True, "text_wrap": True, "valign": "vcenter", "border": 1,
                                            "bg_color": "#F8CBAD"})  # fmt: skip
        self.formats = {
            Kind.TEXT: book.add_format({"num_format": "@"}),
            Kind.ENUM: book.add_format({"num_format": "@"}),
            Kind.DATE: book.add_format({"num_format": "yyyy-mm-dd"}),
            Kind.MONEY: book.add_format({"num_format": "#,##0.00####"}),
            Kind.RATIO: book.add_format({"num_format": "General"}),
            Kind.QUANTITY: book.add_format({"num_format": "General"}),
            Kind.BOOLEAN: book.add_format({"num_format": "@"}),
        }

    def write(self, sheets: list[_Sheet]) -> None:
        for sheet in sheets:
            self.sheet(sheet)
        self.notes(sheets)
        if self.lists:
            page = self.book.add_worksheet(_LISTS[self.lang])
            page.hide()
            for column, values in enumerate(self.lists):
                page.write_column(0, column, values)

    def sheet(self, sheet: _Sheet) -> None:
        page = self.book.add_worksheet(sheet.title)
        row = 0
        if sheet.lead:
            page.write_string(0, 0, "条款" if self.lang == "zh" else "provision")
            page.write_string(0, 1, sheet.lead)
            row = 1
        for column, field in enumerate(sheet.fields.values()):
            text = heading_text(field, self.lang)
            page.write_string(row, column, text, self.key_heading if field.name == sheet.key else self.heading)
            page.set_column(column, column, max(12, min(30, 2 * len(text) + 2)), self.formats[field.type.kind])
            self.check(page, row + 1, column, field)
        page.freeze_panes(row + 1, 0)

    def check(self, page: Any, first: int, column: int, field: Field) -> None:
        options = self.validation(field)
        if options is None:
            return
        zh, en = expected_of(field)
        options |= {
            "ignore_blank": True, "error_type": "stop",
            "error_title": "请核对" if self.lang == "zh" else "Please check",
            "error_message": (zh if self.lang == "zh" else en)[:255],
        }  # fmt: skip
        page.data_validation(first, column, first + ROWS, column, options)

    def validation(self, field: Field) -> dict[str, Any] | None:
        match field.type.kind:
            case Kind.BOOLEAN:
                return {"validate": "list", "source": ["是", "否"] if self.lang == "zh" else ["yes", "no"]}
            case Kind.ENUM:
                labels = [choice.label.get(self.lang) or choice.value for choice in field.choices]
                return {"validate": "list", "source": self.list_source(labels or list(field.type.values or ()))}
            case Kind.DATE:
                first = field.minimum if isinstance(field.minimum, date) else date(1954, 10, 4)
                last = field.maximum if isinstance(field.maximum, date) else date(2119, 1, 9)
                return {"validate": "date", "criteria": "between", "minimum": first, "maximum": last}
            case Kind.TEXT:
                return None
            case _:
                kind = "integer" if field.type.integer else "decimal"
                low, high = _bound(field.minimum, field), _bound(field.maximum, field)
                if low is None and high is None:
                    return {"validate": kind, "criteria": ">=", "value": -(10**15)}
                if low is not None and high is not None:
                    return {"validate": kind, "criteria": "between", "minimum": low, "maximum": high}
                return {"validate": kind, "criteria": ">=" if low is not None else "<=",
                        "value": low if low is not None else high}  # fmt: skip

    def list_source(self, labels: list[str]) -> Any:
        if len(",".join(labels)) <= MAX_INLINE_LIST and not any("," in label for label in labels):
            return labels
        from facts.columns import column_letter

        self.lists.append(labels)
        letter = column_letter(len(self.lists) - 1)
        return f"='{_LISTS[self.lang]}'!${letter}$1:${letter}${len(labels)}"

    def notes(self, sheets: list[_Sheet]) -> None:
        """A page that explains each field."""
        page = self.book.add_worksheet(_NOTES[self.lang])
        zh = self.lang == "zh"
        headings = ("工作表", "列", "应填内容", "备注") if zh else ("sheet", "column", "expects", "remark")
        for column, text in enumerate(headings):
            page.write_string(0, column, text, self.heading)
        row = 1
        for sheet in sheets:
            for field in sheet.fields.values():
                expected = expected_of(field)[0 if zh else 1]
                note = field.note.get(self.lang) if field.note is not None else ""
                key = ("各行的名称，必填" if zh else "names the row, required") if field.name == sheet.key else ""
                remark = "；".join(text for text in (key, note) if text)
                for column, text in enumerate((sheet.title, heading_text(field, self.lang), expected, remark)):
                    page.write_string(row, column, text)
                row += 1
        advice = "不知道的就留空，不要填 0。" if zh else "Leave blank what is not known; do not write 0."
        page.write_string(row + 1, 0, advice)
        page.set_column(0, 1, 24)
        page.set_column(2, 3, 50)


def _bound(value: object, field: Field) -> int | float | None:
    """A bound in the field's unit for the cell check; the reader checks the exact one."""
    if not isinstance(value, (int, Fraction)) or isinstance(value, bool):
        return None
    return in_unit(value, field)

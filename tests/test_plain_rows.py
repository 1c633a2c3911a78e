"""Rows told by a pattern: a sheet's marks are those that the XML parser alone finds, whatever the sheet looks like."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from engine.errors import FactError
from facts import plain_rows, sheet_xml
from facts.grid import Marks
from facts.numbers import Shown
from facts.plain_rows import without_plain_rows
from facts.problems import WORDINGS
from facts.workbook_xml import BookXml, open_archive, read_book

PART = "xl/worksheets/sheet1.xml"
PERCENT = Shown(percent=True)


def by_events(stream: IO[bytes], taker: object) -> Iterator[bytes]:
    """In place of `without_plain_rows`: everything goes to the parser."""
    yield from iter(lambda: stream.read(1 << 18), b"")


def told(xml: bytes, monkeypatch: pytest.MonkeyPatch, events: bool, taken: list[str] | None = None) -> object:
    """The marks of a sheet with its last row, or the error in words."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(PART, xml)
    with monkeypatch.context() as patch, zipfile.ZipFile(data) as archive:
        patch.setattr(sheet_xml, "without_plain_rows", by_events if events else without_plain_rows)
        if taken is not None:
            original = sheet_xml._SheetScan.take
            patch.setattr(sheet_xml._SheetScan, "take", lambda self, number, columns, row: (
                taken.append(number), original(self, number, columns, row))[1])
        book = BookXml(archive, "book.xlsx", styles=[None, PERCENT, None, PERCENT], never_computed=True)
        try:
            return sheet_xml.scan_sheet(book, PART, "sheet")
        except FactError as error:
            return error.problems[0].code, error.problems[0].message("en")


def sheet(rows: str, head: str = "<worksheet>", tail: str = "</worksheet>") -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>{head}<sheetData>{rows}</sheetData>{tail}'.encode()


PLAIN = '<row r="{0}" spans="1:3"><c r="A{0}" s="1"><v>5</v></c><c r="B{0}" t="s"><v>7</v></c><c r="AA{0}" s="3"/></row>'
ODD_CELLS = [
    '<c r="{1}{0}" t="e"><v>#REF!</v></c>', '<c r="{1}{0}"><f>A1+1</f><v>0</v></c>', '<c r="{1}{0}"><f>A1</f></c>',
    '<c r="{1}{0}" s="1" t="n"><f>A1</f><v>3</v></c>', '<c s="1" r="{1}{0}"><v>1</v></c>', '<c><v>1</v></c>',
    '<c r="{1}{0}" s="3" t="n"><v>2</v></c>', '<c r="{1}{0}" s="03"><v>2</v></c>', "<c r=\'{1}{0}\'><v>2</v></c>",
    '<c r="{1}{0}" t="str"><v>a &lt; b &amp; c</v></c>', '<c r="{1}9"><v>2</v></c>', '<c r="{1}{0}" cm="1"><v>2</v></c>',
    '<c r="{1}{0}"><!-- <row r="3"></row> --><v>2</v></c>', '<c r="{1}{0}"><v><![CDATA[<row r="4"></row>]]></v></c>',
    '<c r="{1}{0}" t="inlineStr"><is><r><t>x</t></r></is></c>', '<x:c r="{1}{0}" s="1"><x:v>2</x:v></x:c>',
    '<c r="{1}{0}" t="inlineStr"><is><t>\uff1a</t></is></c>', '<c r="{1}{0}"><v>1</c></v>', '<c r="{1}{0}"><v>\x01</v></c>',
    '<c r="ZZZ{0}" s="1"><v>1</v></c>', '<?pi <row r="5"></row> ?>', '<c r="A{0}" r="B{0}"/>',
]  # fmt: skip
GOOD_CELLS = [
    '<c r="{1}{0}"><v>{0}</v></c>', '<c r="{1}{0}" s="1"><v>0.5</v></c>', '<c r="{1}{0}" s="2" t="s"><v>3</v></c>',
    '<c r="{1}{0}" s="3"/>', '<c r="{1}{0}" t="inlineStr"><is><t>部门</t></is></c>', '<c r="{1}{0}" s="1" t="b"><v>1</v></c>',
    '<c r="{1}{0}" s="3" t="n"><v>85</v></c>', '<c r="{1}{0}" t="str"><v></v></c>', '<c r="{1}{0}"></c>',
]  # fmt: skip
ROWS = ['<row r="{0}">{1}</row>'] * 6 + [
    '<row r="{0}" hidden="1">{1}</row>', '<row r="{0}" hidden="false" ht="12.8">{1}</row>', "<row>{1}</row>",
    '<row x:hidden="1" r="{0}">{1}</row>', '<row r="{0}" x:r="{0}">{1}</row>', '\n  <row r="{0}">{1}</row>', '<row r="{0}"/>',
    '<row r="0{0}">{1}</row>', '<x:row r="{0}" hidden="true">{1}</x:row>']  # fmt: skip
TAILS = ["</worksheet>", '<mergeCells><mergeCell ref="A1:B2"/></mergeCells></worksheet>', "<!-- end --></worksheet>",
         "</row></worksheet>", ""]  # fmt: skip


def random_sheet(chance: random.Random) -> bytes:
    """Mostly plain rows, with whatever else a sheet may hold or pretend to."""
    rows, number, odd = [], 0, chance.choice([0, 0.02, 0.2])
    for _ in range(chance.randint(1, 12)):
        number += 1 if chance.random() > odd / 4 else chance.choice([0, -1, 2, 1 << 20])
        letters = sorted(chance.sample(["A", "B", "C", "Z", "AA", "AB", "XFD"], chance.randint(0, 4)),
                         key=lambda one: (len(one), one))  # fmt: skip
        if chance.random() < odd / 4:
            chance.shuffle(letters)
        cells = [chance.choice(ODD_CELLS if chance.random() < odd else GOOD_CELLS).format(number, one) for one in letters]
        rows.append(chance.choice(ROWS if chance.random() < odd else ROWS[:6]).format(number, "".join(cells)))
    head = chance.choice(["<worksheet>"] * 4 + [
        "<!DOCTYPE a><worksheet>", '<worksheet><cols><col min="2" max="3" hidden="1"/></cols>',
        "<worksheet><!-- <sheetData> -->"])  # fmt: skip
    found = sheet("".join(rows), head, chance.choice(TAILS) if chance.random() < odd else TAILS[0])
    return found.replace("部".encode(), b"\xff") if chance.random() < odd / 4 else found


@pytest.mark.parametrize("seed", range(8))
def test_the_marks_are_those_of_the_parser(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    taken: list[str] = []
    errors = 0
    for _ in range(250):
        xml = random_sheet(chance)
        monkeypatch.setattr(plain_rows, "CHUNK", chance.choice([5, 40, 300, 1 << 18]))
        monkeypatch.setattr(plain_rows, "LONGEST", chance.choice([50, 1 << 22]))
        wanted = told(xml, monkeypatch, events=True)
        assert told(xml, monkeypatch, False, taken) == wanted, xml
        errors += not isinstance(wanted[0], Marks)  # type: ignore[index]
    assert WORDINGS, "what is said of broken workbooks is known"
    assert taken, "some rows were told by the pattern"
    assert 0 < errors < 150


def test_plain_rows_never_reach_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their formats are marked all the same, and odd rows among them are found."""
    odd = '<row r="3" hidden="1"><c r="B3" t="e"><v>#N/A</v></c></row>'
    rows = "".join(odd if number == 3 else PLAIN.format(number) for number in range(1, 6))
    taken: list[str] = []
    marks, last = told(sheet(rows), monkeypatch, False, taken)  # type: ignore[misc]
    assert taken == ["1", "2", "4", "5"]
    assert last == 5
    assert marks.hidden_rows == (3,)
    assert list(marks.faults) == [3]
    assert len(marks.shown) == 8  # the first and the third cell of each plain row
    assert set(marks.shown.values()) == {PERCENT}


@pytest.mark.parametrize("path", sorted(Path("rules").glob("*/examples/*.xlsx")), ids=lambda path: path.name)
def test_the_shipped_workbooks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_archive(str(path), str(path)) as archive:
        book = read_book(archive, str(path))
        found = [[sheet_xml.scan_sheet(book, one.part, one.name) for one in book.sheets]]
        monkeypatch.setattr(sheet_xml, "without_plain_rows", by_events)
        found.append([sheet_xml.scan_sheet(book, one.part, one.name) for one in book.sheets])
    assert found[0] == found[1]

"""Workbooks as they come: where the table begins, how cells are shown, what is broken."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter

from facts.numbers import Shown
from facts.workbook_xml import shown_by
from facts_helpers import codes, places, read

Fill = Callable[[openpyxl.worksheet.worksheet.Worksheet], None]


def book(path: Path, fill: Fill, title: str = "部门") -> Path:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.title = title
    fill(sheet)
    workbook.save(path)
    return path


def rows(*lines: list[object]) -> Fill:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        for line in lines:
            sheet.append(line)

    return fill


def repack(path: Path, part: str, change: Callable[[str], str]) -> Path:
    """The workbook with one part rewritten."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts[part].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


SHEET = "xl/worksheets/sheet1.xml"


def test_a_table_that_begins_at_c4_has_the_right_cell_names(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        for row, values in enumerate((["部门名称", "争取资金任务(元)"], ["财政局", 5], ["教育局", "x"]), 4):
            for column, value in enumerate(values, 3):
                sheet.cell(row, column, value)

    got = read(book(tmp_path / "a.xlsx", fill))
    assert places(got, "bad-amount") == ["a.xlsx!部门!D6"]
    assert str(got.cases[0].subject.at).endswith("a.xlsx!部门!C5")
    assert [column.letter for column in got.tables[0].columns] == ["C", "D"]


def test_a_table_far_down_is_found(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        sheet["B900"], sheet["C900"] = "部门名称", "争取资金任务(元)"
        sheet["B950"], sheet["C950"] = "财政局", "x"

    got = read(book(tmp_path / "a.xlsx", fill))
    assert places(got, "bad-amount") == ["a.xlsx!部门!C950"]
    assert got.counts.skipped_by == {"blank": 49}


def test_a_used_range_of_a_million_rows_is_fast(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", rows(["部门名称", "争取资金任务(元)"], ["财政局", 5]))
    blank = "".join(f'<row r="{n}"><c r="D{n}" s="0"/></row>' for n in range(3, 1_048_576, 5))
    far = '<row r="1048576"><c r="XFD1048576" s="0"/></row>'
    repack(path, SHEET, lambda xml: xml.replace("</sheetData>", f"{blank}{far}</sheetData>"))
    started = time.monotonic()
    got = read(path)
    assert time.monotonic() - started < 120  # it ends, whatever the machine is doing
    assert (codes(got), len(got.cases)) == ([], 1)


def test_a_stray_value_in_the_last_cell_is_a_problem_and_not_a_crash(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        sheet.append(["部门名称", "争取资金任务(元)"])
        sheet["XFD1048576"] = "x"

    assert codes(read(book(tmp_path / "a.xlsx", fill)), "error") == ["sheet-too-large"]


def test_a_wrong_recorded_dimension_loses_no_row(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", rows(["部门名称", "争取资金任务(元)"], *([f"局{i}", i] for i in range(50))))
    repack(path, SHEET, lambda xml: re.sub(r'<dimension ref="[^"]*"', '<dimension ref="A1:A2"', xml))
    assert len(read(path).cases) == 50


@pytest.mark.parametrize(("value", "shown", "outcome"), [
    (0.85, "0%", "17/20"), (1, "0%", "1"), (0.5, "0.00%", "1/2"), (0.85, "General", "percent-ambiguous"),
    (85, "General", "17/20"), (85, "0.00", "17/20"), (1, "General", "percent-ambiguous"), ("85％", "General", "17/20"),
    (0, "General", "0"), (85, '0"%"', "17/20"), (0.85, '0.00"%"', "17/2000"), (0.333333333333333, "0%",
    "333333333333333/1000000000000000"),
])  # fmt: skip
def test_shares_by_how_their_cell_is_shown(tmp_path: Path, value: object, shown: str, outcome: str) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        rows(["部门名称", "6月底支出进度"], ["财政局", value])(sheet)
        sheet["B2"].number_format = shown

    got = read(book(tmp_path / "a.xlsx", fill))
    assert (codes(got, "error") or [str(got.cases[0].subject.values["progress_june"])]) == [outcome]


@pytest.mark.parametrize(("code", "shown"), [
    ("0.00%", Shown(percent=True)), ('0.00"万元"', Shown(unit="万元")), ('#,##0.00"元"', Shown(unit="元")),
    ("0.0,", Shown(scaled=True)), ('0!.0,"万"', Shown(scaled=True)), (r'0\.0000"万元"', Shown(scaled=True)),
    ("000000", Shown(padded=6)), ("General", None), ("#,##0.00", None), ("¥#,##0.00", None), ('0.00"%"',
    Shown(unit="%")),
    ("[Red]0.00;[Green]-0.00", None), ("yyyy-mm-dd", None), ("0_);(0)", None),
])  # fmt: skip
def test_number_formats_that_change_the_meaning(code: str, shown: Shown | None) -> None:
    found = shown_by(code)
    assert (found and (found.percent, found.unit, found.padded, found.scaled)) == (
        shown and (shown.percent, shown.unit, shown.padded, shown.scaled))  # fmt: skip


def test_money_is_read_by_what_its_cell_shows(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        rows(["部门名称", "争取资金任务(元)"], ["a", 12], ["b", 0.5], ["c", 12345678], ["d", date(2019, 3, 4)])(sheet)
        for cell, shown in (("B2", '0.00"万元"'), ("B3", "0%"), ("B4", '0!.0,"万"')):
            sheet[cell].number_format = shown

    got = read(book(tmp_path / "a.xlsx", fill))
    assert got.cases[0].subject.values["task_amount"] == 12_000_000
    assert [(p.code, p.location.cell) for p in got.errors] == [
        ("shown-as-percent", "B3"), ("scaled-format", "B4"), ("shown-as-date", "B5")]  # fmt: skip


def test_dates_under_any_format_and_numbers_that_are_none(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        cells = [44185, 43624, 44185, datetime(2019, 6, 8, 14, 30), 43624.75, "2019年6月8日", 1, 2]
        rows(["部门名称", "收到日期"], *([f"局{i}", value] for i, value in enumerate(cells)))(sheet)
        sheet["B2"].number_format = '[$-804]yyyy"年"m"月"d"日"'
        sheet["B3"].number_format = "General"
        sheet["B4"].number_format = 'yyyy"年"m"月"d"日";@'

    got = read(book(tmp_path / "a.xlsx", fill))
    assert [str(case.subject.values["received_on"]) for case in got.cases] == [
        "2020-12-20", "2019-06-08", "2020-12-20", "2019-06-08", "2019-06-08", "2019-06-08"]  # fmt: skip
    assert places(got, "bad-date") == ["a.xlsx!部门!B8", "a.xlsx!部门!B9"]


def test_the_1904_date_system(tmp_path: Path) -> None:
    workbook = xlsxwriter.Workbook(str(tmp_path / "a.xlsx"), {"date_1904": True})
    sheet = workbook.add_worksheet("部门")
    sheet.write_row(0, 0, ["部门名称", "收到日期"])
    sheet.write_row(1, 0, ["甲", 42162])
    sheet.write(2, 0, "乙")
    sheet.write_datetime(2, 1, datetime(2019, 6, 8), workbook.add_format({"num_format": "yyyy-mm-dd"}))
    workbook.close()
    got = read(tmp_path / "a.xlsx")
    assert [str(case.subject.values["received_on"]) for case in got.cases] == ["2019-06-08", "2019-06-08"]


def test_floats_are_read_as_typed(tmp_path: Path) -> None:
    got = read(book(tmp_path / "a.xlsx", rows(
        ["部门名称", "争取资金任务(亿元)", "在职人数"], ["甲", 24.199812400000013, 3.0], ["乙", 0.1 + 0.2, 4],
        ["丙", 20000001, 1], ["丁", 20000000, 1.5])))  # fmt: skip
    values = [case.subject.values["task_amount"] for case in got.cases]
    assert values == [241_998_124_000, 3_000_000_000, 20_000_001 * 10**10]
    assert places(got, "bad-integer") == ["a.xlsx!部门!C5"]


def test_long_ids_stored_as_numbers_are_problems_and_short_ones_keep_zeros(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        rows(["企业名称", "统一社会信用代码"], ["甲", 9.153230012345678e16], ["乙", 915], ["丙", "91532300E123"],
            ["丁", 7])(sheet)
        sheet["B5"].number_format = "000000"

    got = read(book(tmp_path / "a.xlsx", fill, "企业"))
    assert places(got, "digits-lost") == ["a.xlsx!企业!B2"]
    assert [case.subject.values["credit_code"] for case in got.cases] == ["915", "91532300E123", "000007"]


def test_formulas_without_result_and_error_values_are_problems_at_their_cells(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        rows(["部门名称", "争取资金任务(元)"], ["甲", "=1+1"], ["乙", "#REF!"], ["丙", "#N/A"], ["丁", 1])(sheet)
        for cell in ("B3", "B4"):
            sheet[cell].data_type = "e"

    got = read(book(tmp_path / "a.xlsx", fill))
    assert places(got, "formula-not-computed") == ["a.xlsx!部门!B2"]
    assert places(got, "cell-error") == ["a.xlsx!部门!B3", "a.xlsx!部门!B4"]
    assert len(got.cases) == 1


def test_computed_formulas_are_read_and_an_empty_result_is_blank(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", rows(["部门名称", "争取资金任务(元)"], ["甲", "=1+1"], ["乙", '=""'], ["丙",
        "=3*0"]))

    def change(xml: str) -> str:
        xml = re.sub(r'<c r="B2"><f>1\+1</f><v ?/?>(</v>)?', '<c r="B2"><f>1+1</f><v>2</v>', xml)
        xml = re.sub(r'<c r="B3"><f>""</f><v ?/?>(</v>)?', '<c r="B3" t="str"><f>""</f><v></v>', xml)
        return re.sub(r'<c r="B4"><f>3\*0</f><v ?/?>(</v>)?', '<c r="B4"><f>3*0</f><v>0</v>', xml)

    repack(path, SHEET, change)
    got = read(path)
    # openpyxl marks the book as one that was never computed, so a kept zero is worth nothing
    assert places(got, "formula-not-computed") == ["a.xlsx!部门!B4"]
    repack(path, "xl/workbook.xml", lambda xml: xml.replace('fullCalcOnLoad="1"', ""))
    got = read(path)
    assert codes(got) == []
    assert [case.subject.values["task_amount"] for case in got.cases] == [200, None, 0]


def test_merged_keys_run_down_and_other_merged_cells_do_not(tmp_path: Path) -> None:
    def firms(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        rows(["企业名称", "是否州内注册"], ["甲", "是"])(sheet)
        award = sheet.parent.create_sheet("获奖")
        rows(["企业名称", "年度", "奖项", "合同金额(元)"], ["甲", 2017, "a", 5], [None, 2018, "b", None], [None,
            2019, "c", 7])(award)
        award.merge_cells("A2:A4")
        award.merge_cells("D2:D3")

    got = read(book(tmp_path / "a.xlsx", firms, "企业"))
    assert codes(got, "error") == []
    assert places(got, "merged-key-filled") == ["a.xlsx!获奖!A3"]
    assert places(got, "merged-cells") == ["a.xlsx!获奖!D3"]
    assert [row.values["amount"] for row in got.cases[0].related] == [500, None, 700]


def test_merged_group_headings(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        rows(["楚雄州情况表"], ["部门名称", "争取资金情况（万元）", None, "收到日期"], [None, "任务", "完成额", None],
             ["财政局", 1000, 850.5, date(2019, 3, 22)])(sheet)  # fmt: skip
        for merged in ("A1:D1", "A2:A3", "B2:C2", "D2:D3"):
            sheet.merge_cells(merged)

    got = read(book(tmp_path / "a.xlsx", fill))
    assert codes(got) == []
    values = got.cases[0].subject.values
    assert (values["task_amount"], values["raised_amount"]) == (10**9, 850_500_000)
    assert values["received_on"] == date(2019, 3, 22)


def test_hidden_rows_columns_and_sheets_are_read_with_a_warning(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        rows(["部门名称", "争取资金任务(元)"], ["甲", 1], ["乙", 2], ["丙", 3])(sheet)
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["B"].hidden = True
        sheet.sheet_state = "hidden"
        sheet.parent.create_sheet("封面")["A1"] = "x"

    got = read(book(tmp_path / "a.xlsx", fill))
    assert codes(got) == ["hidden-sheet", "hidden-rows", "hidden-column", "sheet-unrecognised"]
    assert {problem.severity for problem in got.problems} == {"warning"}
    assert len(got.cases) == 3
    assert got.counts.skipped_by == {"unrecognised": 1}


def test_a_workbook_of_several_sheets_is_one_dossier(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        rows(["企业名称", "是否州内注册"], ["甲", True], ["乙", False])(sheet)
        rows(["企业名称", "年度", "资质等级"], ["甲", 2018, "壹级"], ["丙", 2018,
            "特级"])(sheet.parent.create_sheet("资质晋升"))
        rows(["企业名称", "年度"], ["乙", 2017])(sheet.parent.create_sheet("获奖情况表"))

    got = read(book(tmp_path / "a.xlsx", fill, "企业"))
    assert places(got, "no-such-subject") == ["a.xlsx!资质晋升!A3"]
    assert [len(case.related) for case in got.cases] == [1, 1]
    assert got.cases[0].related[0].values["grade"] == "first"
    assert [table.record for table in got.tables] == ["firm", "promotion", "award"]


# Files that are not what they say


def test_html_text_and_archives_named_xlsx_are_problems(tmp_path: Path) -> None:
    (tmp_path / "html.xlsx").write_text("<html><table><tr><td>部门名称</td></tr></table></html>", encoding="utf-8")
    (tmp_path / "text.xls").write_text("部门名称,任务\n", encoding="gb18030")
    with zipfile.ZipFile(tmp_path / "zip.xlsx", "w") as archive:
        archive.writestr("a.txt", "x")
    (tmp_path / "cut.xlsx").write_bytes(b"PK\x03\x04" + b"x" * 100)
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000)
    (tmp_path / "locked.xlsx").write_bytes(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 600
    )
    (tmp_path / "page.pdf").write_bytes(b"%PDF-1.4")
    got = read(*(tmp_path / name for name in (
        "html.xlsx", "text.xls", "zip.xlsx", "cut.xlsx", "old.xls", "locked.xlsx", "page.pdf")))  # fmt: skip
    assert codes(got) == ["not-a-workbook", "not-a-workbook", "not-a-workbook", "broken-workbook", "broken-workbook",
                          "file-encrypted", "unknown-file-kind"]  # fmt: skip


def test_a_workbook_under_another_name_is_read_with_a_warning(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", rows(["部门名称", "争取资金任务(元)"], ["甲", 1])).rename(tmp_path / "a.csv")
    got = read(path)
    assert codes(got) == ["wrong-extension"]
    assert len(got.cases) == 1


def test_archives_that_unpack_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", rows(["部门名称", "争取资金任务(元)"], ["甲", 1]))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/x.bin", b"\0" * 40_000_000)
    assert codes(read(path)) == ["workbook-too-large"]


def test_entities_and_document_types_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    for part in (SHEET, "xl/workbook.xml", "xl/styles.xml", "xl/sharedStrings.xml"):
        path = book(tmp_path / "a.xlsx", rows(["部门名称", "争取资金任务(元)"], ["甲", 1]))
        with zipfile.ZipFile(path) as archive:
            if part not in archive.namelist():
                continue
        repack(path, part, lambda xml: bomb + re.sub(r"^<\?xml[^>]*\?>", "", xml))
        assert codes(read(path)) == ["workbook-doctype"], part


@pytest.mark.parametrize("change", [
    lambda xml: xml[: len(xml) // 2],
    lambda xml: xml.replace('<c r="B1"', '<c r="A1"'),
    lambda xml: xml.replace('<row r="2"', '<row r="1"'),
    lambda xml: xml.replace('r="B2"', 'r="B999999999"'),
    lambda xml: "",
])  # fmt: skip
def test_damaged_sheets_are_problems(tmp_path: Path, change: Callable[[str], str]) -> None:
    path = book(tmp_path / "a.xlsx", rows(["部门名称", "争取资金任务(元)"], ["甲", 1]))
    repack(path, SHEET, change)
    assert codes(read(path)) == ["broken-workbook"]


def test_prefixed_xml_is_read_like_any_other(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        rows(["部门名称", "6月底支出进度"], ["甲", 0.85], ["乙", "=1"])(sheet)
        sheet["B2"].number_format = "0%"

    path = book(tmp_path / "a.xlsx", fill)

    def prefix(xml: str) -> str:
        xml = xml.replace('xmlns="http', 'xmlns:x="http')
        return re.sub(r"<(/?)(\w)", r"<\1x:\2", xml.replace("<?xml", "<?XML")).replace("<?XML", "<?xml")

    repack(path, SHEET, prefix)
    got = read(path)
    assert codes(got) == ["formula-not-computed"]
    assert str(got.cases[0].subject.values["progress_june"]) == "17/20"


def test_an_empty_workbook_has_nothing_to_read(tmp_path: Path) -> None:
    got = read(book(tmp_path / "a.xlsx", rows()))
    assert got.cases == ()
    assert got.counts.rows_in == 0


def test_opendocument_sheets(tmp_path: Path) -> None:
    head = ('<?xml version="1.0"?><office:document-content'
            ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
            ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
            ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
            '<table:table table:name="部门">')  # fmt: skip
    tail = "</table:table></office:spreadsheet></office:body></office:document-content>"

    def cell(text: str) -> str:
        return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'

    def number(kind: str, value: str, more: str = "") -> str:
        return (f'<table:table-cell office:value-type="{kind}" office:value="{value}"{more}>'
                f"<text:p>{value}</text:p></table:table-cell>")  # fmt: skip

    def save(body: str) -> Path:
        path = tmp_path / "a.ods"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
            archive.writestr("content.xml", head + body + tail)
            archive.writestr("META-INF/manifest.xml", '<?xml version="1.0"?><manifest:manifest xmlns:manifest='
                             '"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>')  # fmt: skip
        return path

    def row(*cells: str) -> str:
        return f"<table:table-row>{''.join(cells)}</table:table-row>"

    heading = row(cell("部门名称"), cell("6月底支出进度"))
    got = read(save(heading + row(cell("甲"), number("percentage", "0.85")) + row(cell("乙"), number("float", "0.85"))))
    assert str(got.cases[0].subject.values["progress_june"]) == "17/20"
    assert places(got, "percent-ambiguous") == ["a.ods!部门!B3"]
    bomb = number("float", "1", ' table:number-columns-repeated="16384"')
    got = read(save(heading + f'<table:table-row table:number-rows-repeated="1000000">{bomb}</table:table-row>'))
    assert codes(got) == ["sheet-too-large"]

"""Templates: what they hold, and that a filled one reads back."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import openpyxl
import pytest

from engine.errors import Lang
from engine.model import Choice, Dossier, RecordType, Text
from engine.types import TEXT, Kind, Type
from facts.reading import read_facts
from facts.template import heading_text, sheet_name, write_template
from facts_helpers import DEPARTMENTS, DOCUMENTS, DOSSIERS, FIRMS, SHORTFALL, codes, make_field, read


def fill(path: Path, sheets: dict[str, list[list[object]]], first: int = 2) -> None:
    workbook = openpyxl.load_workbook(path)
    for name, lines in sheets.items():
        for row, line in enumerate(lines, first):
            for column, value in enumerate(line, 1):
                workbook[name].cell(row, column, value)
    workbook.save(path)


@pytest.mark.parametrize("dossier", list(DOSSIERS.values()), ids=list(DOSSIERS))
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_empty_template_is_recognised_and_has_no_rows(tmp_path: Path, dossier: Dossier, lang: Lang) -> None:
    write_template(tmp_path / "t.xlsx", dossier, lang)
    got = read(tmp_path / "t.xlsx")
    assert set(codes(got)) == {"no-rows"}
    known = [table for table in got.tables if table.record is not None]
    assert {table.record for table in known} == set(dossier.records)
    assert all(table.fields == set(dossier.records[table.record or ""].fields) for table in known)


@pytest.mark.parametrize(("lang", "yes", "sheets"), [
    ("zh", "是", ("企业", "资质晋升", "获奖", "已付奖励", "一级")), ("en", "yes", ("Firm", "Promotion", "Award",
    "Payment", "First")),
])  # fmt: skip
def test_a_filled_template_reads_back(tmp_path: Path, lang: Lang, yes: str, sheets: tuple[str, ...]) -> None:
    path = tmp_path / "t.xlsx"
    write_template(path, FIRMS, lang)
    firm, promotion, award, payment, first = sheets
    fill(path, {
        firm: [["甲", yes, "0123456789"], ["乙", None, None]], promotion: [["甲", 2018, first]],
        award: [["甲", 2018, "鲁班奖", 1234.56]], payment: [["乙", date(2019, 3, 22), 7]],
    })  # fmt: skip
    got = read(path)
    assert codes(got) == []
    one, two = got.cases
    assert one.subject.values == {"firm_name": "甲", "registered_in_prefecture": True, "credit_code": "0123456789"}
    assert two.subject.values == {"firm_name": "乙", "registered_in_prefecture": None, "credit_code": None}
    assert [row.values for row in one.related] == [
        {"firm_name": "甲", "year": 2018, "grade": "first"},
        {"firm_name": "甲", "year": 2018, "award_name": "鲁班奖", "amount": 123_456}]  # fmt: skip
    assert two.related[0].values["paid_on"] == date(2019, 3, 22)


def test_a_share_typed_either_way_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    write_template(path, DEPARTMENTS)
    fill(path, {"部门": [["甲", "是", 1, 1, 1, 85, 3, None], ["乙", "否", 1, 1, 1, 0.85, 3, None]]})
    workbook = openpyxl.load_workbook(path)
    workbook["部门"]["F3"].number_format = "0%"  # what Excel does when 85% is typed
    workbook.save(path)
    assert [str(case.subject.values["progress_june"]) for case in read(path).cases] == ["17/20", "17/20"]


def test_a_template_of_one_provision_reads_back_as_its_cases(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    write_template(path, SHORTFALL)
    fill(path, {sheet_name(SHORTFALL.label.zh): [["是", 1000, 850, 45]]}, first=3)
    got = read(path)
    assert codes(got) == []
    assert [flat.provision for flat in got.flat] == [SHORTFALL.id]
    assert got.flat[0].inputs["task_amount"] == 100_000


def test_lists_checks_formats_and_notes(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    write_template(path, DOCUMENTS)
    workbook = openpyxl.load_workbook(path)
    sheet = workbook["资金文件"]
    checks = {str(check.sqref).split(":")[0]: check for check in sheet.data_validations.dataValidation}
    assert checks["C2"].formula1 == '"专项资金,一般资金"'
    assert (checks["B2"].type, checks["E2"].type, checks["E2"].formula2) == ("date", "decimal", "100")
    assert sheet.column_dimensions["A"].width
    assert sheet.freeze_panes == "A2"
    assert [cell.value for cell in sheet[1]] == ["文号", "收文日期", "资金性质", "拨付日期", "拨付比例(%)"]
    assert "填表说明" in workbook.sheetnames


def test_a_long_list_of_choices_goes_to_its_own_sheet(tmp_path: Path) -> None:
    choices = tuple(Choice(f"v{i}", Text(f"第{i}种很长的选项名称")) for i in range(60))
    fields = {"k": make_field("k", TEXT, "名称"), "c": make_field(
        "c", Type(Kind.ENUM, values=tuple(choice.value for choice in choices)), "种类", choices=choices)}  # fmt: skip
    dossier = Dossier("d", Text("档案"), "r", {"r": RecordType("r", Text("记录"), fields, key="k")}, ())
    path = tmp_path / "t.xlsx"
    write_template(path, dossier)
    workbook = openpyxl.load_workbook(path)
    assert workbook["选项"].sheet_state == "hidden"
    assert "选项" in workbook["记录"].data_validations.dataValidation[0].formula1
    fill(path, {"记录": [["=x", "第59种很长的选项名称"]]})
    workbook = openpyxl.load_workbook(path)
    workbook["记录"]["A2"].value = "x"
    workbook.save(path)
    got = read_facts([path], dossiers={"d": dossier})
    assert codes(got) == []
    assert got.cases[0].subject.values == {"k": "x", "c": "v59"}


def test_a_failed_write_leaves_the_old_template(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    path.write_bytes(b"old")
    with pytest.raises(AttributeError):
        write_template(path, {"a": None})  # type: ignore[dict-item]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_names_and_headings() -> None:
    assert sheet_name("2018/2019:[表]*?") == "2018·2019··表···"
    assert len(sheet_name("长" * 40)) == 31
    assert heading_text(DEPARTMENTS.records["department"].fields["task_amount"], "zh") == "争取资金任务(元)"

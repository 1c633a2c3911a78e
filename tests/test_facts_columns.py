"""Headings: units, marks, several rows, the choice of record, and what is wrong with them."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import pytest

from facts.columns import Given, RecordNames, column_letter, read_heading, sheet_units, unit_of, units_for
from facts_helpers import DEPARTMENT, codes, places, read

NAMES = RecordNames(DEPARTMENT)


def write_rows(path: Path, *rows: list[object]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.mark.parametrize(("text", "field", "unit"), [
    ("争取资金任务(万元)", "task_amount", "万元"),
    ("争取资金任务（万元）", "task_amount", "万元"),
    ("争取资金任务【亿元】", "task_amount", "亿元"),
    ("争取资金任务/万元", "task_amount", "万元"),
    ("争取资金任务 单位：万元", "task_amount", "万元"),
    ("争取资金任务，单位：万元", "task_amount", "万元"),
    ("争取资金任务万元", "task_amount", "万元"),
    ("争取资金任务（单位：人民币万元）", "task_amount", "万元"),
    ("争取\n资金\n任务\n(万元)", "task_amount", "万元"),
    ("争取_x000a_资金任务", "task_amount", None),
    ("＊争取资金任务", "task_amount", None),
    ("争取资金任务*（必填）", "task_amount", None),
    ("3. 争取资金任务", "task_amount", None),
    ("三、争取资金任务", "task_amount", None),
    ("③争取资金任务", "task_amount", None),
    ("任 务 数", "task_amount", None),
    ("TASK_AMOUNT", "task_amount", None),
    ("Fund task (万元)", "task_amount", "万元"),
    ("6月底支出进度[%]", "progress_june", "%"),
    ("６月底支出进度（％）", "progress_june", "%"),
    ("是否有争取资金任务(是/否)", "has_task", None),
    ("在职人数（万人）", "staff", "万人"),
    ("收到日期（YYYY-MM-DD）", "received_on", None),
])  # fmt: skip
def test_a_heading_names_its_field_and_unit(text: str, field: str, unit: str | None) -> None:
    match = NAMES.match((text,))
    assert match is not None
    assert (match.field, match.unit) == (field, unit)


@pytest.mark.parametrize(("parts", "field", "unit"), [
    (("争取资金情况", "任务"), "task_amount", None),
    (("争取资金情况（万元）", "任务"), "task_amount", "万元"),
    (("争取资金任务", "万元"), "task_amount", "万元"),
    (("支出进度", "6月"), "progress_june", None),
    (("基本情况", "部门名称"), "department_name", None),
    (("部门名称", ""), "department_name", None),
])  # fmt: skip
def test_a_group_and_its_heading_are_read_together(parts: tuple[str, ...], field: str, unit: str | None) -> None:
    match = NAMES.match(parts)
    assert match is not None
    assert (match.field, match.unit) == (field, unit)


def test_what_names_no_field_matches_nothing() -> None:
    assert NAMES.match(("去年任务",)) is None
    assert NAMES.suggest("争取资金任") == "争取资金任务"


@pytest.mark.parametrize(("text", "unit"), [
    ("万元", "万元"), ("单位：万元", "万元"), ("人民币元", "元"), ("％", "%"), ("个百分点", "%"), ("‰", "‰"), ("万",
    "万元"),
    ("州财政局", None), ("人", None), ("", None),
])  # fmt: skip
def test_units_in_words(text: str, unit: str | None) -> None:
    assert unit_of(text) == unit


def test_a_unit_line_is_told_from_the_name_of_a_body() -> None:
    assert sheet_units(["填报单位：州财政局", "（单位：万元、%）"]) == (["万元"], ["%"])
    assert sheet_units(["单位：州财政局"]) == ([], [])


def test_column_letters() -> None:
    assert [column_letter(i) for i in (0, 25, 26, 701, 702, 16383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]


def test_ordinal_headings_are_known_as_such() -> None:
    assert read_heading("序号").ordinal
    assert not read_heading("文号").ordinal


def test_titles_and_a_unit_line_above_the_heading(tmp_path: Path) -> None:
    file = write_rows(
        tmp_path / "a.csv", ["楚雄州争取资金情况表"], ["单位：万元"],
        ["序号", "部门名称", "争取资金任务", "争取资金完成额（元）"], ["1", "财政局", "1000", "8,499,999.99"],
    )  # fmt: skip
    got = read(file)
    assert codes(got) == []
    assert got.cases[0].subject.values == {
        "department_name": "财政局", "task_amount": 1_000_000_000, "raised_amount": 849_999_999}  # fmt: skip
    assert {c.field: (c.unit, c.unit_from) for c in got.tables[0].columns if c.field} == {
        "department_name": (None, ""), "task_amount": ("万元", "sheet"), "raised_amount": ("元",
        "heading")}  # fmt: skip
    assert got.tables[0].fields == {"department_name", "task_amount", "raised_amount"}


def test_headings_over_two_rows(tmp_path: Path) -> None:
    file = write_rows(
        tmp_path / "a.csv", ["部门名称", "争取资金情况(万元)", "", "6月底", ""], ["", "任务", "完成额",
            "支出进度(%)", "在职人数"],
        ["财政局", "1000", "850", "45.5", "12"],
    )  # fmt: skip
    got = read(file)
    assert codes(got) == []
    values = got.cases[0].subject.values
    assert (values["task_amount"], values["raised_amount"]) == (10**9, 85 * 10**7)
    assert str(values["progress_june"]) == "91/200"


def test_a_numbering_row_below_the_heading_is_skipped(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.csv", ["部门名称", "争取资金任务(元)", "争取资金完成额(元)", "在职人数"],
                      ["甲", "1", "2", "3"], ["财政局", "1", "2", "4"])  # fmt: skip
    got = read(file)
    assert dict(got.tables[0].skipped) == {"numbering": 1}
    assert len(got.cases) == 1


def test_an_unrecognised_column_is_a_warning_with_the_nearest_field(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.csv", ["部门名称", "争取资金任务(元)", "争取资金完成度", ""], ["财政局", "1",
        "2", "x"])
    got = read(file)
    assert got.problems[0].fields["suggestion"] == "争取资金完成额"
    assert codes(got, "warning") == ["unrecognised-column", "column-without-heading"]
    assert places(got, "column-without-heading") == ["a.csv:2"]
    assert codes(got, "error") == []


def test_a_money_column_without_unit_is_read_in_the_declared_one_and_said(tmp_path: Path) -> None:
    got = read(write_rows(tmp_path / "a.csv", ["部门名称", "争取资金任务"], ["财政局", "1000"]))
    assert codes(got) == ["unit-assumed"]
    assert got.cases[0].subject.values["task_amount"] == 100_000


def test_two_columns_for_one_field_reject_every_row(tmp_path: Path) -> None:
    got = read(write_rows(tmp_path / "a.csv", ["部门名称", "争取资金任务(元)", "任务数(万元)"], ["财政局", "1", "2"]))
    assert codes(got) == ["duplicate-column"]
    assert places(got, "duplicate-column") == ["a.csv:1: C"]
    assert dict(got.tables[0].rejected) == {"heading": 1}


def test_a_unit_that_does_not_fit_rejects_every_row(tmp_path: Path) -> None:
    got = read(write_rows(tmp_path / "a.csv", ["部门名称", "争取资金任务(%)"], ["财政局", "1"]))
    assert codes(got) == ["unit-does-not-fit"]
    assert got.cases == ()


def test_two_sheet_wide_money_units_are_a_problem(tmp_path: Path) -> None:
    got = read(write_rows(tmp_path / "a.csv", ["单位：万元、亿元"], ["部门名称", "争取资金任务"], ["财政局", "1"]))
    assert "sheet-units-conflict" in codes(got, "error")
    assert got.cases == ()


def test_without_the_key_column_no_row_is_used(tmp_path: Path) -> None:
    got = read(write_rows(tmp_path / "a.csv", ["是否有争取资金任务", "争取资金任务(元)"], ["是", "1"]))
    assert codes(got) == ["key-column-missing"]
    assert got.counts.rejected == 1


def test_records_that_fit_equally_well_are_a_problem_unless_named(tmp_path: Path) -> None:
    rows = (["企业名称", "年度"], ["甲", "2018"])
    file = write_rows(tmp_path / "a.csv", *rows)
    got = read(file)
    assert codes(got) == ["table-ambiguous"]
    assert len(got.problems[0].fields["candidates"]) == 2
    named = write_rows(tmp_path / "获奖表.csv", *rows)
    assert read(named).tables[0].record == "award"
    assert read(file, record="promotion").tables[0].record == "promotion"
    assert read(file, record="firms.award").tables[0].record == "award"


def test_an_unknown_record_name_is_a_problem(tmp_path: Path) -> None:
    got = read(write_rows(tmp_path / "a.csv", ["企业名称"], ["甲"]), record="frm")
    assert codes(got) == ["no-such-record"]


def test_a_table_of_something_else_is_a_problem_that_names_the_closest(tmp_path: Path) -> None:
    got = read(write_rows(tmp_path / "a.csv", ["姓名", "争取资金任"], ["x", "y"], ["z", "w"]))
    assert codes(got, "error") == ["sheet-unrecognised"]
    assert got.problems[0].fields["suggestion"] == "争取资金任务"
    assert dict(got.tables[0].skipped) == {"unrecognised": 3}


def test_a_table_of_one_provision_is_named_in_a_title_row(tmp_path: Path) -> None:
    got = read(write_rows(tmp_path / "a.csv", ["条款", "fiscal.budget_cut.shortfall"],
                          ["争取资金任务(万元)", "是否有争取资金任务"], ["1000", "是"], ["x", "是"]))  # fmt: skip
    assert [flat.inputs for flat in got.flat] == [{"task_amount": 10**9, "has_task": True}]
    assert places(got, "bad-amount") == ["a.csv:4: 争取资金任务(万元)"]


def test_rows_that_look_like_data_above_the_heading_are_said(tmp_path: Path) -> None:
    got = read(write_rows(tmp_path / "a.csv", ["1", "2", "3", "4"], ["部门名称", "争取资金任务(元)", "在职人数",
        "收到日期"],
                          ["财政局", "1", "2", "2019-03-22"]))  # fmt: skip
    assert codes(got) == ["rows-above-heading"]


# By hand


def test_what_a_person_says_of_a_column_goes_before_its_heading() -> None:
    names = RecordNames(DEPARTMENT, {
        "今年目标": Given("task_amount", "万元"), "任务数": Given(""), "支出进度 6月": Given(unit="1"),
        "金额#2": Given("task_amount"), "无此项目": Given("no_such_field")})  # fmt: skip
    for parts, nth, wanted in (
        (("今年目标",), 1, ("task_amount", "万元")), (("任务数",), 1, None), (("支出进度", "6月"), 1, ("progress_june", "1")),
        (("金额",), 1, None), (("金额",), 2, ("task_amount", None)), (("无此项目",), 1, None),
        (("争取资金任务（亿元）",), 1, ("task_amount", "亿元")),
    ):  # fmt: skip
        match = names.match(parts, nth)
        assert (None if match is None else (match.field, match.unit)) == wanted, parts


def test_the_units_to_choose_from_are_those_of_the_field() -> None:
    units = {name: units_for(field) for name, field in DEPARTMENT.fields.items()}
    assert {"元", "千元", "万元", "亿元"} <= set(units["task_amount"])
    assert set(units["progress_june"]) == {"%", "‰", "1"}
    assert units["staff"][0] == "人"
    assert "万人" in units["staff"]
    assert units["received_on"] == units["department_name"] == units["has_task"] == ()


def test_a_share_may_be_headed_as_a_fraction(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "部门.csv", ["部门名称", "争取资金任务（元）", "6月底支出进度（小数）"], ["甲局", 1, "0.85"])
    got = read(path)
    assert codes(got, "error") == []
    assert got.cases[0].subject.values["progress_june"] == Fraction(17, 20)
    assert sheet_units(["单位：小数"]) == ([], ["1"])

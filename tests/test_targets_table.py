"""Statistics sheets against plan: recognised, read, judged, with every problem at its cell."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from engine import load_pack
from engine.errors import FactError
from engine.output import csv_text
from engine.target_table import (
    TargetLine,
    gap_text,
    judge_targets,
    lines_table,
    load_plan,
    number_text,
    period_end,
    target_data,
    target_tables,
)
from facts.from_matrix import TargetSheets, read_target_sheets

PACK = load_pack("chuxiong_2019")
PLAN = load_plan(PACK)
EXAMPLE = PACK.folder / "examples" / "targets_2019Q1.xlsx"


def sheet(folder: Path, rows: list[list[Any]], name: str = "t.xlsx") -> TargetSheets:
    path = folder / name
    if path.suffix == ".csv":
        path.write_text("\n".join(",".join(str(cell) for cell in row) for row in rows), encoding="utf-8")
    else:
        book = openpyxl.Workbook()
        active = book.active
        assert active is not None
        for row in rows:
            active.append(row)
        book.save(path)
    return read_target_sheets([path], PLAN)


def judged(
    sheets: TargetSheets, period: str = "2019Q1", as_of: str = "2019-12-31"
) -> dict[tuple[str, str], TargetLine]:
    lines, _ = judge_targets(PACK, PLAN, sheets.figures, period_end(PACK, period), date.fromisoformat(as_of))
    return {(line.area, line.provision): line for line in lines}


def figures(sheets: TargetSheets) -> dict[tuple[str, str], Fraction]:
    return {(item.area, PLAN.column(item.column).label.zh): Fraction(item.value) for item in sheets.figures}


def codes(sheets: TargetSheets) -> list[str]:
    return [problem.code for problem in sheets.problems]


@pytest.mark.parametrize("name", ["t.xlsx", "t.csv"])
def test_areas_down_indicators_across(tmp_path: Path, name: str) -> None:
    found = sheet(tmp_path, [["县市", "收入进度(%)", "支出进度(%)"], ["楚雄", 31.8, 33.99], ["禄丰县", 34.9, 34]], name)
    assert figures(found) == {
        ("楚雄市", "收入进度"): Fraction("31.8"), ("楚雄市", "支出进度"): Fraction("33.99"),
        ("禄丰县", "收入进度"): Fraction("34.9"), ("禄丰县", "支出进度"): 34,
    }  # fmt: skip
    lines = judged(found)
    assert {key: line.status for key, line in lines.items()} == {
        ("楚雄市", "fiscal.target.revenue_quarterly"): "met",
        ("楚雄市", "fiscal.target.expenditure_quarterly"): "missed",
        ("禄丰县", "fiscal.target.revenue_quarterly"): "missed",
        ("禄丰县", "fiscal.target.expenditure_quarterly"): "met",
    }
    assert lines["楚雄市", "fiscal.target.expenditure_quarterly"].gap == Fraction("-0.01")


def test_indicators_down_areas_across(tmp_path: Path) -> None:
    rows = [
        ["一季度完成情况"],
        ["指标", "单位", "楚雄市", "双柏县"],
        ["收入进度", "%", 31.8, 29],
        ["支出进度", "%", 34, 36],
    ]
    found = sheet(tmp_path, rows)
    assert not found.problems
    assert figures(found)["双柏县", "收入进度"] == 29
    place = next(item.at for item in found.figures if item.area == "双柏县" and item.value == 29)
    assert str(place).endswith("!D3")


@pytest.mark.parametrize(
    ("heading", "raw", "yuan"),
    [("民生投入(亿元)", 74.2, 7_420_000_000), ("民生投入(万元)", 742000, 7_420_000_000), ("民生投入（元）", 7420000000, 7420000000),
     ("民生投入", "74.2亿元", 7_420_000_000)],
)  # fmt: skip
def test_units_of_money(tmp_path: Path, heading: str, raw: object, yuan: int) -> None:
    found = sheet(tmp_path, [["地区", heading], ["全州", raw]])
    assert figures(found) == {("全州", "民生投入"): yuan}
    assert judged(found)["全州", "fiscal.target.livelihood_quarterly"].status == "met"


def test_a_unit_line_holds_for_the_sheet(tmp_path: Path) -> None:
    found = sheet(tmp_path, [["财政指标"], ["单位：亿元"], ["地区", "民生投入"], ["全州", 74.19]])
    line = judged(found)["全州", "fiscal.target.livelihood_quarterly"]
    assert (line.status, gap_text(line.gap or 0, "元", "zh")) == ("missed", "-100万元")


def test_a_percentage_format_is_a_percentage(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    active = book.active
    assert active is not None
    active.append(["县市", "收入进度"])
    active.append(["楚雄市", 0.318])
    active["B2"].number_format = "0.0%"
    book.save(tmp_path / "t.xlsx")
    assert figures(read_target_sheets([tmp_path / "t.xlsx"], PLAN)) == {("楚雄市", "收入进度"): Fraction("31.8")}


def test_a_bare_fraction_of_one_is_refused(tmp_path: Path) -> None:
    found = sheet(tmp_path, [["县市", "收入进度"], ["楚雄市", 0.318]])
    assert codes(found) == ["percent-ambiguous"]
    assert not found.figures


def test_a_total_is_the_whole_unless_it_has_a_row(tmp_path: Path) -> None:
    found = sheet(tmp_path, [["县市", "收入进度(%)"], ["楚雄市", 32], ["合计", 33]])
    assert figures(found)["全州", "收入进度"] == 33
    found = sheet(tmp_path, [["县市", "收入进度(%)"], ["楚雄市", 32], ["全州", 33], ["合计", 34]])
    assert figures(found)["全州", "收入进度"] == 33
    assert found.rows == {"accepted": 2, "skipped": 1}


def test_an_alias_stands_for_every_plan_of_the_indicator(tmp_path: Path) -> None:
    found = sheet(tmp_path, [["县市", "固投增速(%)"], ["全州", 21.9]])
    lines = judged(found)
    assert {key[1]: line.status for key, line in lines.items()} == {
        "invest.target.fai_growth": "missed", "invest.target.fai_monthly_county": "missed"}  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "code", "cell"),
    [
        ([["县市", "收入进度(%)"], ["楚雄市", "三十"]], "bad-percentage", "B2"),
        ([["县市", "收入进度(%)"], ["楚雄市", 32], ["楚雄", 33]], "area-twice", "A3"),
        ([["县市", "收入进度(%)"], ["楚雄市", 32], ["楚熊市", 33]], "unknown-area", "A3"),
        ([["县市", "收入进度(%)", "收人进度(%)"], ["楚雄市", 32, 33]], "unrecognised-column", "C1"),
        ([["县市", "收入进度(亿元)"], ["楚雄市", 32]], "unit-does-not-fit", "B1"),
    ],
)
def test_problems_have_their_cell(tmp_path: Path, rows: list[list[Any]], code: str, cell: str) -> None:
    found = sheet(tmp_path, rows)
    problem = next(problem for problem in found.problems if problem.code == code)
    assert problem.location.cell == cell
    assert problem.render("zh")
    assert problem.render("en")


def test_a_sheet_that_is_none(tmp_path: Path) -> None:
    assert codes(sheet(tmp_path, [["部门", "人数"], ["甲", 3]])) == ["no-target-table"]
    (tmp_path / "t.json").write_text("{}", encoding="utf-8")
    assert codes(read_target_sheets([tmp_path / "t.json"], PLAN)) == ["workbook-only"]


def test_before_the_period_is_over_a_miss_is_not_yet_due(tmp_path: Path) -> None:
    found = sheet(tmp_path, [["县市", "收入进度(%)"], ["楚雄市", 20], ["双柏县", 40]])
    statuses = {line.area: line.status for line in judged(found, as_of="2019-03-30").values()}
    assert statuses == {"楚雄市": "not_yet_due", "双柏县": "met"}


@pytest.mark.parametrize(
    ("period", "ends"),
    [("2019Q1", "2019-03-31"), ("2019年一季度", "2019-03-31"), ("2019-01..02", "2019-02-28"), ("2019H1", "2019-06-30"),
     ("2019", "2019-12-31"), ("2019年1—9月", "2019-09-30")],
)  # fmt: skip
def test_periods(period: str, ends: str) -> None:
    assert period_end(PACK, period).isoformat() == ends


def test_an_unknown_period() -> None:
    with pytest.raises(FactError):
        period_end(PACK, "2021Q1")


def test_a_column_without_a_plan_for_the_period(tmp_path: Path) -> None:
    found = sheet(tmp_path, [["地区", "财政八项支出总量(亿元)"], ["全州", 240]])
    lines, problems = judge_targets(PACK, PLAN, found.figures, date(2019, 12, 31), date(2020, 1, 31))
    assert not [line for line in lines if line.provision == "fiscal.target.eight_items_quarterly"]
    assert [problem.code for problem in problems] == ["no-plan-for-period"]


def test_another_reading_shows_beside_the_judgement(tmp_path: Path) -> None:
    found = sheet(tmp_path, [["地区", "支出总量(亿元)"], ["全州", 98]])
    column = next(iter(found.figures)).column if found.figures else None
    if column is None:  # the label of the pack
        label = next(
            c.label.zh for c in PLAN.columns if ("fiscal.target.expenditure_quarterly", "expenditure_total") in c.plans
        )
        found = sheet(tmp_path, [["地区", f"{label}(亿元)"], ["全州", 98]])
    line = judged(found)["全州", "fiscal.target.expenditure_quarterly"]
    assert line.status == "missed"
    assert line.outcome is not None
    assert [other.outcome.status for other in line.outcome.readings] == ["met"]  # printed in 万元


def test_a_plan_that_falls_is_remarked(tmp_path: Path) -> None:
    found = sheet(tmp_path, [["地区", "体育业营业收入增速(%)"], ["全州", 28]])
    lines, _ = judge_targets(PACK, PLAN, found.figures, period_end(PACK, "2019"), date(2020, 1, 31))
    notes = target_tables(PACK, PLAN, lines, "zh")[0].notes
    assert any("27%低于2019 1季度的30%" in note for note in notes)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (22, "%", "22%"),
        (7_420_000_000, "元", "74.2亿元"),
        (12_000, "元", "1.2万元"),
        (999, "元", "999元"),
        (50, "户", "50户"),
    ],
)
def test_figures_are_written_as_they_read(value: int, unit: str, text: str) -> None:
    assert number_text(value, unit) == text


def test_the_example() -> None:
    found = read_target_sheets([EXAMPLE], PLAN)
    assert not found.problems
    assert len(found.figures) == 49
    lines, problems = judge_targets(PACK, PLAN, found.figures, period_end(PACK, "2019Q1"), date(2019, 4, 20))
    assert not problems
    counts = {status: sum(line.status == status for line in lines) for status in ("met", "missed", "not_yet_due")}
    assert counts == {"met": 40, "missed": 10, "not_yet_due": 0}
    main, missed = target_tables(PACK, PLAN, lines, "zh")
    assert len(main.rows) == 11
    assert main.footer is not None
    assert main.footer[-3:] == (40, 10, 0)
    assert len(missed.rows) == 10
    assert csv_text([lines_table(PACK, lines, "en")]).count("\n") == len(lines) + 1
    data = target_data(lines, date(2019, 3, 31), date(2019, 4, 20))
    assert {line["status"] for line in data["lines"]} == {"met", "missed", None}


def test_every_target_of_the_pack_can_be_submitted() -> None:
    """No planned figure without a column; no two columns of one name."""
    held = {pair for column in PLAN.columns for pair in column.plans}
    assert {(figure.provision, figure.indicator) for figure in PLAN.figures} == held
    assert len({column.name for column in PLAN.columns}) == len(PLAN.columns)
    assert PLAN.names.whole in PLAN.areas.values()

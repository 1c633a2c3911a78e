"""Writes example workbooks: target figures by county, a ledger of duties, applications of the second pack.

    python tests/data/make_target_examples.py

All figures are invented. The same come out every time, so that what the examples give can be tested.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.styles import Alignment, Font

RULES = Path(__file__).resolve().parents[2] / "rules"
FIRST, SECOND = RULES / "chuxiong_2019" / "examples", RULES / "yunling_talent_2026" / "examples"

# 投资增速, 收入进度, 支出进度, 向上争取进度; the last row is the prefecture's.
QUARTER: tuple[tuple[str, Any, Any, Any, Any], ...] = (
    ("楚雄市", 22.4, 32.3, 34.5, 58.2), ("双柏县", 23.1, 30.2, 36.1, 59), ("牟定县", 21.9, 36, 38.4, 58),
    ("南华县", 22, 36.8, 34.59, 57.9), ("姚安县", 25.3, 35.9, 35, 60.3), ("大姚县", 18.2, 37.7, 33.2, 61.4),
    ("永仁县", "22.0%", 35.5, 34.6, 58.8), ("元谋县", "２３．５", 39.6, 36.2, "—"), ("武定县", 22.7, 33.8, 34, 58),
    ("禄丰县", 24, 36.4, 31.5, 62.2),
)  # fmt: skip


def targets() -> None:
    """A quarter as a statistics officer keeps it: title, unit line, grouped heading, counties, a total, a note."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "一季度"
    sheet["A1"] = "2019年一季度各县市主要指标完成情况（示例数据）"
    sheet["A1"].font = Font(bold=True, size=14)
    sheet.merge_cells("A1:F1")
    sheet["F2"] = "单位：%"
    for place, text in enumerate(("序号", "县市", "投资", "财政", "", ""), 1):
        sheet.cell(3, place, text)
    sheet.merge_cells("D3:F3")
    for place, text in enumerate(("", "", "固定资产投资增速", "收入进度", "支出进度", "向上争取进度"), 1):
        sheet.cell(4, place, text)
    for number, row in enumerate(QUARTER, 1):
        sheet.append([number, *row])
    sheet.append(["", "全州合计", 22.6, 32.8, 34.3, 59.1])
    sheet.append(["注：累计同比增速和累计进度；元谋县向上争取数待核。"])
    _widen(sheet, 18)
    side = book.create_sheet("全州指标")
    side.append(["全州主要指标（示例数据）"])
    side.append(["指标", "单位", "全州"])
    for line in (
        ("批发业商品销售额增速", "%", 15.4),
        ("零售业商品销售额增速", "%", 17.6),
        ("住宿业营业额增速", "%", 20),
        ("社会消费品零售总额增速", "%", 12.5),
        ("民生投入", "亿元", 75.03),
        ("财政八项支出总量", "亿元", 78.85),
    ):
        side.append(line)
    _widen(side, 24)
    book.save(FIRST / "targets_2019Q1.xlsx")


def ledger() -> None:
    """What was done, as an office keeps it: one line a matter, dates written in every way."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "台账"
    sheet.append(["2019年履职台账（示例数据）"])
    sheet.append(["事项", "期间", "单位", "起算日期", "完成日期", "说明"])
    rows: list[list[Any]] = [
        ["季度落实情况书面报告", "一季度", "州财政局", None, date(2019, 4, 10), None],
        ["季度落实情况书面报告", "一季度", "州金融办", None, "2019年4月12日", "逾期两天"],
        ["按月向领导小组组长报告", "2019年4月", "州财政局", None, "2019/4/28", None],
        ["按月向领导小组组长报告", "2019-05", "州财政局", None, "2019-06-03", None],
        ["州级财税收入协调分析会", None, None, None, date(2019, 4, 17), None],
        ["州级财税收入协调分析会", None, None, None, date(2019, 5, 16), None],
        ["全州财税收支协调分析会", "4月", None, None, date(2019, 4, 22), None],
        ["已明确项目的上级资金5个工作日内下达", None, "州农业农村局", date(2019, 4, 26), date(2019, 5, 7), "州财农3号"],
        ["未明确项目的上级资金15个工作日内下达", None, "州教育体育局", date(2019, 5, 10), None, "州财教8号"],
    ]
    for row in rows:
        sheet.append(row)
    _widen(sheet, 22)
    book.save(FIRST / "duty_ledger.xlsx")


def relief() -> None:
    """Applications for temporary relief, some paid before, one undecided."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "救助申请"
    heading = "姓名 年度 申请日期 符合临时救助情形 当地城乡居民低保年标准(元) 特别困难 拟发金额(元) 已发放金额(元)"
    sheet.append(heading.split())
    for row in (
        ["张某", 2019, date(2019, 3, 1), "是", 4000, "否", 12000, None],
        ["张某", 2019, date(2019, 5, 6), "是", 4000, "否", 12000, None],
        ["张某", 2019, date(2019, 9, 2), "是", 4000, "否", 1000, None],
        ["李某", 2019, date(2019, 2, 1), None, None, None, None, 9000],
        ["李某", 2019, date(2019, 6, 3), "是", 4000, "是", 16000, None],
        ["王某", 2019, date(2019, 4, 1), "是", 4000, None, 13000, None],
        ["王某", 2019, date(2019, 7, 1), "是", 4000, "否", 3000, None],
    ):
        sheet.append(row)
    _widen(sheet, 20)
    book.save(FIRST / "relief_payments.xlsx")


def industrial_firms() -> None:
    """Industrial firms with their fairs, technology centres and what they were paid before, a sheet each."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "工业企业"
    heading = (
        "企业名称 规模以上工业企业 战略性新兴产业 上年主营业务收入(万元) 本年主营业务收入(万元) 工业企业 新纳入规上"
    )
    _sheet(sheet, heading, [
        ["紫溪冶金", "是", "否", 4000, 4600.01, "是", "否"], ["龙江新材", "是", "是", 80000, 110000, "是", "否"],
        ["禄丰农机", "是", "否", 3000, 3400, "是", "是"], ["彝州食品", "否", "否", 1200, 1900, "是", "否"],
    ])  # fmt: skip
    _sheet(book.create_sheet("参展"), "企业名称 展洽会名称 举办级别", [
        ["紫溪冶金", "南亚博览会", "国家"], ["紫溪冶金", "省工业品展", "省级"], ["龙江新材", "南亚博览会", "国家"],
        ["彝州食品", "省食品展", "省级"],
    ])  # fmt: skip
    _sheet(book.create_sheet("技术中心"), "企业名称 认定级别 本年新认定", [
        ["龙江新材", "省级", "是"], ["龙江新材", "州级", "是"], ["禄丰农机", "州级", "否"],
    ])  # fmt: skip
    _sheet(book.create_sheet("已付补助奖励"), "企业名称 事项类别 级别 已付金额(万元)", [
        ["龙江新材", "参展", "国家", 2], ["龙江新材", "技术中心", "州级", 10],
    ])  # fmt: skip
    book.save(FIRST / "industrial_firms.xlsx")


def _sheet(sheet: Any, heading: str, rows: list[list[Any]]) -> None:
    sheet.append(heading.split())
    for row in rows:
        sheet.append(row)
    _widen(sheet, 22)


def applicants() -> None:
    """Applicants of the second pack with the homes they rent, a sheet each."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "申请人"
    heading = "姓名 学历 合同年限 首年税前报酬(万元) 是否有自有住房 是否享受公租房 合同签订日期 申请日期"
    sheet.append(heading.split())
    for row in (
        ["甲某", "博士", 5, 36, "否", "否", date(2026, 3, 31), date(2026, 9, 30)],
        ["乙某", "硕士", 3, 14.5, "否", "否", date(2026, 4, 1), date(2026, 10, 8)],
        ["丙某", "本科", 2, 9.6, "是", "否", "2026年5月6日", "2026-05-20"],
        ["丁某", "大专", 3, 8, "否", "是", "2026-06-15", "2026-07-01"],
    ):
        sheet.append(row)
    _widen(sheet, 20)
    side = book.create_sheet("租住情况")
    side.append(["姓名", "住址", "共同居住人数", "月租金(元)", "租住月数", "此前已补助月数"])
    for row in (
        ["甲某", "城南小区3栋", 4, 1500, 6, 0],
        ["乙某", "河滨路12号", 1, 350, 6, 20],
        ["丙某", "东门街7号", 2, 900, 3, 0],
        ["丁某", "西苑1栋", 1, 600, 3, 0],
    ):
        side.append(row)
    _widen(side, 20)
    book.save(SECOND / "applicants.xlsx")


def _widen(sheet: Any, width: int) -> None:
    for column in "ABCDEFGH":
        sheet.column_dimensions[column].width = width
    for row in sheet.iter_rows():
        for cell in row:
            cell.alignment = Alignment(wrap_text=True)
            if isinstance(cell.value, date):
                cell.number_format = "yyyy-mm-dd"


if __name__ == "__main__":
    FIRST.mkdir(exist_ok=True)
    SECOND.mkdir(exist_ok=True)
    targets()
    ledger()
    relief()
    industrial_firms()
    applicants()

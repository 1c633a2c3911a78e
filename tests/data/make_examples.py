"""Writes the pack's example workbooks: invented figures, written as messily as offices write them.

    python tests/data/make_examples.py

The same figures come out every time (fixed seed), so that the examples' outcomes can be tested.
"""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

EXAMPLES = Path(__file__).resolve().parents[2] / "rules" / "chuxiong_2019" / "examples"

BUREAUS = (
    "发展和改革委员会", "教育体育局", "科学技术局", "工业和信息化局", "民族宗教事务委员会", "公安局", "民政局", "司法局",
    "财政局", "人力资源和社会保障局", "自然资源和规划局", "生态环境局", "住房和城乡建设局", "交通运输局", "水务局", "农业农村局",
    "商务局", "文化和旅游局", "卫生健康委员会", "退役军人事务局", "应急管理局", "审计局", "市场监督管理局", "林业和草原局",
    "统计局", "医疗保障局", "政务服务管理局", "投资促进局", "广播电视局", "乡村振兴办公室", "供销合作社", "档案馆",
    "残疾人联合会", "红十字会", "科学技术协会", "地方志办公室", "信访局", "机关事务服务中心", "公积金管理中心", "搬迁安置办公室",
)  # fmt: skip


def departments() -> None:
    """Forty departments: a title, a unit line, a grouped header, messy cells, totals and a footnote."""
    rng = random.Random(2019)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "部门"
    sheet["A1"] = "州级部门2019年争取资金和支出进度情况表（示例数据）"
    sheet["A1"].font = Font(bold=True, size=14)
    sheet.merge_cells("A1:J1")
    sheet["J2"] = "单位：万元"
    start = 1
    for group, names in (
        ("", ["序号", "部门名称"]), ("争取资金", ["有无争取资金任务", "争取资金任务", "实际争取", "争取资金情况"]),
        ("支出进度（%）", ["6月支出进度", "9月支出进度", "11月支出进度"]), ("", ["下年度公用经费"]),
    ):
        for offset, name in enumerate(names):
            sheet.cell(4, start + offset, name)
        if group:
            sheet.cell(3, start, group)
            sheet.merge_cells(start_row=3, end_row=3, start_column=start, end_column=start + len(names) - 1)
        start += len(names)
    completions = (849.999999, 850, 1000, None, 900, 899.999999, 949.999999, 950, 999.999999, 1200)
    for number, bureau in enumerate(BUREAUS, 1):
        row = 4 + number + (1 if number > 20 else 0)  # a blank row after the twentieth
        has_task = number <= 30
        funds: Any = 200 if number <= 10 else round(rng.uniform(40, 900), 2)
        task: Any = 1000 if number <= 10 else rng.choice((500, 800, 1500, 2600, 12000))
        raised: Any = completions[number - 1] if number <= 10 else round(task * rng.uniform(0.7, 1.15), 2)
        june, september, november = (50, 75, 91.67) if number <= 10 else (
            round(rng.uniform(42, 60), 2), round(rng.uniform(70, 82), 2), round(rng.uniform(88, 97), 2))
        if number == 12:
            task = f"{task}万元"
        if number == 13:
            task, raised = "1.2亿元", "１１，５００"
        if number == 14:
            raised = f"{raised:,.2f}"
        if number == 15:
            june, september = f"{june}％", f"{september}%"
        if number == 16:
            november = "—"
        result = rng.choice(("未争取到", "争取较少", "争取较好")) if not has_task else None
        values = [number, f" {bureau}" if number % 7 == 0 else bureau, "有" if has_task else "无",
                  task if has_task else "—", raised if has_task else "—", result, june, september, november, funds]
        for place, value in enumerate(values, 1):
            sheet.cell(row, place, value)
    last = sheet.max_row + 1
    sheet.cell(last, 2, "合计")
    for place in (4, 5, 10):
        letter = get_column_letter(place)
        sheet.cell(last, place, f"=SUM({letter}5:{letter}{last - 1})")  # no cached value: a totals row is skipped
    sheet.cell(last + 1, 1, "注：表中均为示例数据，不代表任何单位的实际情况。")
    sheet.column_dimensions["B"].width = 26
    for letter in "CDEFGHIJ":
        sheet.column_dimensions[letter].width = 15
    for cell in sheet[4]:
        cell.alignment = Alignment(wrap_text=True, horizontal="center")
    sheet.freeze_panes = "C5"
    book.save(EXAMPLES / "departments.xlsx")


FAULTS: dict[str, Any] = {
    "D6": "一千", "D7": -1000, "D8": "1,0,00", "E9": "#REF!", "E10": "=D10*0.9", "C11": "也许", "G12": "50.5.1",
    "H13": 1750, "I14": date(2019, 11, 30), "J15": "两百多", "B16": None, "J17": "2O0", "F18": "不好说",
}  # fmt: skip
"""A cell of the faulty example → what somebody wrote into it; each is one row's only fault."""


def faulty_departments() -> None:
    """The departments with deliberate faults, a department entered twice, and cells left to be asked for."""
    book = openpyxl.load_workbook(EXAMPLES / "departments.xlsx")
    sheet = book.worksheets[0]
    sheet["A1"] = "州级部门2019年争取资金和支出进度情况表（故意留有错误的示例）"
    for cell, value in FAULTS.items():
        sheet[cell] = value
    sheet["B20"] = sheet["B19"].value  # one department on two rows
    sheet["D21"] = "待定"  # said to be unknown: no fault
    book.save(EXAMPLES / "departments_faulty.xlsx")


def firms() -> None:
    """Firms with their promotions, awards, registered talents and what was paid before, a sheet each."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "企业"
    _fill(sheet, ["企业名称", "在本州注册", "总部迁驻楚雄", "迁驻时总承包资质"], [
        ["彝山建设集团", "是", "否", ""], ["龙川江建筑公司", "是", "否", ""], ["紫溪勘察设计院", "是", "否", None],
        ["滇中总承包公司", "是", "是", "一级"], ["外州安装公司", "否", "否", ""], ["元谋监理公司", "是", "否", ""],
    ])
    _fill(book.create_sheet("资质晋升"), ["企业名称", "晋升事项", "年度", "首次晋升"], [
        ["彝山建设集团", "施工总承包二级", 2019, "是"], ["彝山建设集团", "施工总承包一级", 2019, "是"],
        ["龙川江建筑公司", "总承包二级", 2019, "是"], ["紫溪勘察设计院", "甲级", 2019, "是"],
        ["外州安装公司", "施工总承包一级", 2019, "是"],
    ])
    _fill(book.create_sheet("获奖"), ["企业名称", "奖项类别", "奖项等级", "成果或项目", "参建角色"], [
        ["彝山建设集团", "工法", "国家级", "高寒地区混凝土施工工法", ""],
        ["彝山建设集团", "优质工程", "鲁班奖", "州文化中心", "施工"],
        ["龙川江建筑公司", "工法", "国家级", "高边坡锚固工法", None],
        ["龙川江建筑公司", "标准化工地", "州级", "安置小区一期", None],
        ["龙川江建筑公司", "标准化工地", "省级", "安置小区一期", None],
        ["紫溪勘察设计院", "优秀勘察设计", "国家级铜奖", "南山隧道", None],
        ["紫溪勘察设计院", "优秀勘察设计", "省级一等奖", "南山隧道", None],
        ["外州安装公司", "工法", "省级", "管网非开挖工法", None],
        ["元谋监理公司", "优质工程", "云南省优质工程奖", "县医院", "监理"],
    ])
    _fill(book.create_sheet("注册人才"), ["企业名称", "姓名", "执业资格", "首次考取", "继续在州内注册"], [
        ["彝山建设集团", "人员甲", "一级注册建造师", "是", "是"], ["彝山建设集团", "人员乙", "造价工程师", "是", "否"],
        ["元谋监理公司", "人员丙", "监理工程师", "是", "是"],
    ])
    _fill(book.create_sheet("已付奖励"), ["企业名称", "事项类别", "成果或项目", "年度", "已付金额(万元)", "依据政策"], [
        ["龙川江建筑公司", "工法", "高边坡锚固工法", 2019, 10, "县级工法奖励"],
    ])
    book.save(EXAMPLES / "construction_firms.xlsx")


def fund_documents() -> None:
    """Fund documents with the days they arrived and were passed on, dates written in every way."""
    rng = random.Random(7)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "资金文件"
    kinds = ("已明确项目", "未明确项目", "敏感性资金", "州级项目资金")
    rows: list[list[Any]] = [
        ["州财农〔2019〕1号", "已明确项目", "2019-01-30", None, "否", None],
        ["州财农〔2019〕2号", "已明确项目", date(2019, 1, 30), None, "是", date(2019, 2, 11)],
        ["州财社〔2019〕3号", "已明确项目", "2019年4月26日", None, "是", "2019/5/7"],
        ["州财建〔2019〕4号", "未明确项目", "2019.1.25", None, "是", "2019-02-20"],
        ["州财预〔2019〕5号", "州级项目资金", None, "2019-03-01", "是", 43591],
        ["州财教〔2019〕6号", "敏感性资金", "20190705", None, "是", "2019-07-06"],
    ]
    for number in range(7, 25):
        kind = rng.choice(kinds)
        received = date(2019, 1, 8) + timedelta(days=rng.randrange(300))
        done = rng.random() < 0.75
        passed = received + timedelta(days=rng.randrange(1, 30)) if done else None
        prefecture = kind == "州级项目资金"
        rows.append([f"州财综〔2019〕{number}号", kind, None if prefecture else received,
                     received if prefecture else None, "是" if done else "否", passed])
    _fill(sheet, ["文号", "资金类别", "收文日期", "预算通知印发日", "是否下达", "下达日期"], rows)
    for row in sheet.iter_rows(min_row=2):
        for cell in row:
            if isinstance(cell.value, date):
                cell.number_format = 'yyyy"年"m"月"d"日"'
    book.save(EXAMPLES / "fund_documents.xlsx")


def _fill(sheet: Any, header: list[str], rows: list[list[Any]]) -> None:
    sheet.append(header)
    for row in rows:
        sheet.append(row)
    for place in range(1, len(header) + 1):
        sheet.column_dimensions[get_column_letter(place)].width = 20
    sheet.freeze_panes = "A2"


if __name__ == "__main__":
    EXAMPLES.mkdir(exist_ok=True)
    departments()
    faulty_departments()
    firms()
    fund_documents()

"""The pack against its text: heading paths found, figures found however they are written, and what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import load_pack
from engine.load import Pack
from engine.source_text import chinese_number, find_section, numbers_of, read_path, read_source
from engine.trace_source import load_source_notes, trace_data, trace_source, trace_table

TEXT = """云山县支农办法

云政〔2026〕9号

总则

一、统一认识

各乡镇在 2026 年 5 月 10 日前报送。

云山县支农行动方案

一、目标

2026年增收10亿元，较上年增长15%。

二、内容

(一) 奖励

1. 对合作社一次性奖励 5 万元、3 万元、1 万元。补助期限半年。

（1）按销售额的2‰补助，最高50万元。

（2）每户不超过三次，三年内有效。其中：一是成员须满20户。二是按百分之八扣减。

① 种粮户每亩补80元。

2. 在3月底前分解任务，6月和11月督查，2026年底前考核。

(二) 用地

用地不减。

三、步骤

四、保障

三、其他

过亿企业另行表彰。

附件1

目标分解表

单位：万元

乡镇\t一季度\t二季度
东乡\t12.5\t30
西乡\t8\t19.75

附件2

说明
"""

PACK_FILES = {
    "pack.yaml": """
id: yunshan
version: "1"
document: 云政〔2026〕9号
in_force: {from: 2026-01-01, to: 2026-12-31}
reference_date: 2026-12-31
plans: {0: 总则, 1: 方案一（支农）}
deadline: {done: submitted, done_on: submitted_on, as_of: as_of}
target: {indicator: indicator, area: area, period: period, actual: actual_value, as_of: as_of}
periods: {2026Q1: 2026-03-31, 2026Q2: 2026-06-30}
""",
    "facts.yaml": """
submitted: 已完成
submitted_on: {type: date, zh: 完成日期, optional: true, asked_when: submitted}
as_of: {type: date, zh: 基准日, optional: true, asked_when: not submitted}
""",
    "source_notes.yaml": """
plans: {1: 云山县支农行动方案}
explained:
- {provision: farm.reward, figure: 37, why: {zh: 另加一个月, en: three years and a month}}
""",
    "provisions/farm.yaml": """
- id: farm.reward
  kind: entitlement
  label: 奖励
  plan: 1
  at: 二(一)1(1)、(2)
  summary: 奖励
  facts:
  - sales: {type: money, zh: 销售额, max: 100亿元}
  - members: {type: integer, unit: 户, zh: 成员数}
  - months: {type: integer, unit: 月, zh: 月数}
  require: [members >= 20, months <= 37]
  amount: min(sales * 2‰, 50万元)

- id: farm.steps
  kind: deadline
  label: 步骤
  plan: 1
  at: 二(一)2
  summary: 步骤
  facts:
  - step: {type: enum, zh: 步骤, values: {split: 分解, inspect: 督查, assess: 考核}}
  - submitted
  - submitted_on
  - as_of
  tables:
  - {on: [step], gives: {due: {type: date}}, rows: [[split, 2026-03-31], [inspect, 2026-11-30], [assess, 2026-12-31]]}
  due: due

- id: farm.target
  kind: target
  label: 目标
  plan: 1
  at: 附件1
  also_at: [方案一 一、目标]
  summary: 目标
  indicators: {income: 增收}
  targets:
  - {indicator: income, period: 2026Q1, unit: 元, plan: {东乡: ">= 12.5万", 西乡: ">= 8万"}}

- id: farm.report
  kind: deadline
  label: 报送
  plan: 0
  at: 一、统一认识（末句）
  summary: 报送
  facts: [submitted, submitted_on, as_of]
  due: 2026-05-10
""",
}


def make_pack(folder: Path, changes: dict[str, tuple[str, str]] | None = None) -> Pack:
    for name, text in PACK_FILES.items():
        old, new = (changes or {}).get(name, ("", ""))
        assert old in text
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return load_pack(folder).load_all()


def missing(pack: Pack, text: str = TEXT) -> list[tuple[str, str | None]]:
    return [(item.provision, item.figure) for item in trace_source(pack, text, load_source_notes(pack)).missing]


# Headings


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("二(一)1", "1. 对合作社"),
        ("二(一)1(2)", "(2)每户"),
        ("二(一)1(2)①", "① 种粮户"),
        ("二(一)1(2)二", "二是按百分之八"),
        ("二(一)2", "2. 在3月底前"),
        ("一、目标", "一、目标"),
        ("三（其他）", "三、其他"),
        ("附件1", "附件1"),
    ],
)
def test_a_path_leads_to_its_section(path: str, begins: str) -> None:
    lines = read_source(TEXT[TEXT.index("云山县支农行动方案") :])
    (steps,), _ = read_path(path)
    section = find_section(lines, steps)
    assert section is not None
    assert section[0].text.startswith(begins)


@pytest.mark.parametrize("path", ["二(三)", "二(一)3", "五", "一、步骤", "二(一)1(2)四", "附件3"])
def test_a_path_that_does_not_exist(path: str) -> None:
    (steps,), _ = read_path(path)
    assert find_section(read_source(TEXT[TEXT.index("云山县支农行动方案") :]), steps) is None


@pytest.mark.parametrize(
    ("path", "count"),
    [("二(一)1、2", 2), ("三(一)—(四)", 4), ("二(一)3；附件", 2), ("二(三)、二(五)", 2), ("一、行动目标；三(一)、三(二)", 3),
     ("二(二)2(4)三、四；二(二)3(2)三", 3), ("二(三)2(1)—(5)", 5), ("一(二) 收入表", 1), ("二(一)2（甲；乙）", 1), ("第四条、第五条", 2)],
)  # fmt: skip
def test_a_citation_may_name_several_places(path: str, count: int) -> None:
    assert len(read_path(path)[0]) == count


def test_a_section_ends_at_the_next_heading_as_high() -> None:
    lines = read_source(TEXT[TEXT.index("云山县支农行动方案") :])
    (steps,), _ = read_path("二(一)1(1)")
    section = find_section(lines, steps)
    assert section is not None
    assert [line.text for line in section if line.text] == ["(1)按销售额的2‰补助,最高50万元。"]


# Figures


@pytest.mark.parametrize(
    ("text", "number"),
    [("十五", 15), ("两", 2), ("一百二十", 120), ("二十", 20), ("三千", 3000), ("甲", None), ("", None)],
)
def test_chinese_numerals(text: str, number: int | None) -> None:
    assert chinese_number(text) == number


def test_figures_in_every_spelling() -> None:
    found = numbers_of(read_source(TEXT))
    assert {50_000, 30_000, 10_000, 500_000, 10**9, 10**8, 80, 125_000, 197_500} <= found.money
    assert {0.15, 0.002, 0.08} <= {float(ratio) for ratio in found.ratios}
    assert {3, 36, 20, 6} <= found.plain
    assert (2026, 5, 10) in found.days
    assert (None, 3, 31) in found.days
    assert (2026, 12, 31) in found.days


def test_a_number_of_another_kind_does_not_stand_for_a_ratio() -> None:
    found = numbers_of(read_source("在5个工作日内办结，补助7万元。"))
    assert not found.ratios
    assert found.money == {70_000}


# The whole


def test_a_pack_that_stands(tmp_path: Path) -> None:
    pack = make_pack(tmp_path)
    result = trace_source(pack, TEXT, load_source_notes(pack))
    assert not result.missing
    assert not result.problems
    assert result.provisions == 4
    assert [(identity, figure) for identity, figure, _ in result.used] == [("farm.reward", "37")]
    assert not trace_table(pack, result, "zh").rows
    assert trace_data(result)["missing"] == []


@pytest.mark.parametrize(
    ("old", "new", "provision", "figure"),
    [
        ("2‰", "3‰", "farm.reward", "0.3%"),
        ("50万元", "60万元", "farm.reward", "60万元"),
        ("members >= 20", "members >= 21", "farm.reward", "21"),
        ("2026-11-30", "2026-10-31", "farm.steps", "2026-10-31"),
        ("[split, 2026-03-31]", "[split, 2027-03-31]", "farm.steps", "2027-03-31"),
        (">= 12.5万", ">= 12.6万", "farm.target", "12.6万元"),
        ("2026-05-10", "2026-05-11", "farm.report", "2026-05-11"),
        ("at: 二(一)2", "at: 二(四)2", "farm.steps", None),
        ("at: 附件1", "at: 附件3", "farm.target", None),
        ("also_at: [方案一 一、目标]", "also_at: [方案一 一、目的]", "farm.target", None),
    ],
)
def test_what_the_text_does_not_say_is_listed(
    tmp_path: Path, old: str, new: str, provision: str, figure: str | None
) -> None:
    pack = make_pack(tmp_path, {"provisions/farm.yaml": (old, new)})
    assert (provision, figure) in missing(pack)


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    pack = make_pack(tmp_path, {"source_notes.yaml": ("云山县支农行动方案", "云山县支林行动方案")})
    result = trace_source(pack, TEXT, load_source_notes(pack))
    assert [problem.code for problem in result.problems] == ["plan-not-found"]
    assert {item.provision for item in result.missing} == {"farm.reward", "farm.steps", "farm.target"}


def test_a_note_that_explains_nothing_is_reported(tmp_path: Path) -> None:
    pack = make_pack(tmp_path, {"source_notes.yaml": ("figure: 37", "figure: [37, 48]")})
    result = trace_source(pack, TEXT, load_source_notes(pack))
    assert "stale-note" in [problem.code for problem in result.problems]


@pytest.mark.skipif("HEGUI_POLICY_TEXT" not in os.environ, reason="names no copy of the document")
def test_the_first_pack_stands_in_its_text() -> None:
    pack = load_pack("chuxiong_2019")
    text = Path(os.environ["HEGUI_POLICY_TEXT"]).read_text(encoding="utf-8")
    result = trace_source(pack, text, load_source_notes(pack))
    assert not result.missing
    assert not result.problems

"""Each page's main way in a real browser, at desktop and phone width, and an accessibility check of every page."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from openpyxl import load_workbook

from needs import WHOLE, importorskip
from web.worker import LARGE_FROM
from web_helpers import CUT, EXAMPLES, add_users, served, settings_in

playwright = importorskip("playwright.sync_api")
Page, expect = playwright.Page, playwright.expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--lang=zh-CN"]  # fmt: skip
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
CASE = {"has_task": "true", "task_amount": "1000万元", "raised_amount": "849.999999万元",
        "next_year_public_funds": "200万元", "day": "2019-12-31"}  # fmt: skip
PAGES = {
    "home": "/", "calculate": f"/calculate/{CUT}?{urlencode(CASE)}", "dossier": "/calculate/construction_firms?rows=award.0",
    "batch": "/batch", "rules": "/rules", "rule": f"/rules/{CUT}?{urlencode(CASE)}", "what-if": "/what-if",
    "what-if-rule": f"/what-if/{CUT}?{urlencode(CASE)}", "overview": "/overview?month=2019-06", "api": "/api",
    "missing": "/no-such-page", "rule-in-English": f"/rules/{CUT}?lang=en", "api-in-English": "/api?lang=en",
    "what-if-of-days": "/what-if/fiscal.special_fund.specified_5wd?document_received_on=2019-03-01&submitted=true"
                       "&submitted_on=2019-03-11",
}  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None and not WHOLE, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    assert CHROMIUM is not None, "HEGUI_ALL=1 leaves nothing out, and there is no Chromium on this machine"
    with playwright.sync_playwright() as found:
        started = found.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(settings_in(tmp_path_factory.mktemp("browser"))) as found:
        yield found


@pytest.fixture(params=WIDTHS)
def page(browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:  # type: ignore[no-untyped-def, valid-type]
    """A page of a fresh browser profile; it must load nothing from elsewhere and log no error."""
    width, height = WIDTHS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, locale="zh-CN", base_url=address)
    found = context.new_page()
    outside: list[str] = []
    errors: list[str] = []
    found.on(
        "request", lambda sent: None if sent.url.startswith((address, "data:", "blob:")) else outside.append(sent.url)
    )
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.on(
        "console", lambda told: errors.append(told.text) if told.type == "error" and "404" not in told.text else None
    )
    yield found
    context.close()
    assert outside == []
    assert errors == []


def test_calculate_shows_the_result_as_fields_are_filled(page: Page) -> None:  # type: ignore[valid-type]
    page.goto("/")
    page.get_by_label("查找", exact=True).fill("未完成争取资金任务")
    page.get_by_role("button", name="查找").click()
    page.get_by_role("link", name="未完成争取资金任务压缩公用经费").click()
    result = page.locator("#result")
    expect(result).to_contain_text("无法判定")
    page.get_by_role("radio", name="是", exact=True).check()
    page.get_by_label("争取资金任务", exact=True).fill("1000万元")
    page.get_by_label("实际争取资金").fill("849.999999万元")
    expect(result).to_contain_text("还缺这些事实")
    page.get_by_label("下年度公用经费").fill("200万元")
    expect(result).to_contain_text("应予处理")
    expect(result).to_contain_text("200,000.00元")
    expect(result).to_contain_text("二(二)2(4)三")
    expect(page.locator("[data-field=task_amount] [data-note]")).to_have_text("= 10,000,000.00元（1000万元）")
    page.get_by_label("实际争取资金").fill("9OO万")
    expect(page.locator("[data-field=raised_amount]")).to_contain_text("不是金额")
    page.get_by_label("实际争取资金").fill("900万元")
    expect(result).to_contain_text("另有读法")
    link = page.url
    page.goto("/rules")
    page.goto(link)  # the link holds the whole case
    expect(page.locator("#result")).to_contain_text("100,000.00元")


def test_a_case_is_filled_in_by_the_keyboard_alone(page: Page) -> None:  # type: ignore[valid-type]
    page.goto(f"/calculate/{CUT}")
    page.keyboard.press("Tab")
    expect(page.get_by_text("跳到正文")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_label("对象名称").focus()
    page.keyboard.insert_text("财政局")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")  # from unknown round to yes
    for amount in ("1000万元", "1100万元", "200万元"):
        page.keyboard.press("Tab")
        page.keyboard.insert_text(amount)
    expect(page.locator("#result")).to_contain_text("财政局")
    expect(page.locator("#result")).to_contain_text("不予处理")


def test_another_award_is_added_and_taken_away(page: Page) -> None:  # type: ignore[valid-type]
    page.goto("/calculate/construction_firms")
    page.get_by_label("企业名称").fill("彝山建设集团")
    page.get_by_role("group", name="在本州注册").get_by_label("是").check()
    for number, level in enumerate(("鲁班奖或国家优质工程奖", "云南省优质工程奖")):
        page.get_by_role("button", name="再加一项“获奖”").click()
        row = page.locator("[data-record=award] [data-row]").nth(number)
        row.get_by_label("奖项类别").select_option(label="优质工程")
        row.get_by_label("奖项等级").select_option(label=level)
        row.get_by_label("成果或项目").fill("大剧院")
        row.get_by_label("参建角色").select_option(label="施工")
    result = page.locator("#result")
    expect(result).to_contain_text("500,000.00元")
    expect(result).to_contain_text("就高不重复")
    page.locator("[data-record=award] [data-row]").first.get_by_role("button", name="删去这一项").click()
    expect(result.locator(".big").first).to_contain_text("100,000.00元")


def test_a_workbook_is_handed_in_filtered_and_downloaded(page: Page, tmp_path: Path) -> None:  # type: ignore[valid-type]
    page.goto("/batch")
    page.locator("#day").fill("2019-12-31")
    page.set_input_files("#file", EXAMPLES / "departments.xlsx")
    page.wait_for_selector("#results", timeout=90_000)
    expect(page.locator("main")).to_contain_text("读入 43 行 = 采用 40 + 退回 0 + 略过 3")
    assert page.locator("#results tbody tr").count() == 40
    cells = [row.locator("th, td").all_inner_texts() for row in page.locator("#results tbody tr").all()]
    with page.expect_download() as download:
        page.get_by_role("link", name="结果（CSV）").click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert [row[0] for row in cells] == [line.split(",")[0] for line in lines[1:]]
    page.get_by_label("结论").select_option(value="无法判定")
    page.wait_for_url("**status=**")
    assert page.locator("#results tbody tr").count() == 2


def test_a_faulty_cell_is_shown_in_its_place_and_a_column_mapped(page: Page, tmp_path: Path) -> None:  # type: ignore[valid-type]
    book = load_workbook(EXAMPLES / "departments.xlsx")
    sheet = book.active
    sheet["E7"], sheet["J4"] = "8OO万", "明年的钱"
    path = tmp_path / "部门.xlsx"
    book.save(path)
    page.goto("/batch")
    page.set_input_files("#file", path)
    page.wait_for_selector(".tabs", timeout=90_000)
    page.get_by_role("link", name="有误的单元格").click()
    expect(page.locator("td.faulty.error").first).to_contain_text("8OO万")
    expect(page.locator("main")).to_contain_text("部门!E7")
    page.get_by_role("link", name="列的识别").click()
    page.get_by_label("明年的钱", exact=True).select_option(label="下年度公用经费")
    page.get_by_role("button", name="重新核算").click()
    page.wait_for_selector("#results", timeout=90_000)
    expect(page.locator("#results")).to_contain_text("200,000.00")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_large_file_gets_its_units_and_tells_its_reasons(page: Page, tmp_path: Path, kind: str) -> None:  # type: ignore[valid-type]
    """The same as for a small one: columns and units put right, a row explained, a fault in its place."""
    path = large_file(tmp_path / f"各部门.{kind}")
    page.goto("/batch")
    page.locator("#day").fill("2019-12-31")
    page.set_input_files("#file", path)
    page.wait_for_selector(".tabs", timeout=120_000)
    page.get_by_role("link", name="列的识别").click()
    unit = page.get_by_label("今年目标 的单位")
    expect(unit).to_be_hidden()
    page.get_by_label("今年目标", exact=True).select_option(label="争取资金任务")
    unit.select_option("万元")
    page.get_by_label("实际争取 的单位").select_option("万元")
    page.get_by_role("button", name="重新核算").click()
    page.wait_for_selector("#results", timeout=120_000)
    page.get_by_role("link", name="列的识别").click()
    expect(page.get_by_label("今年目标 的单位").locator("option:checked")).to_have_text("万元（手工指定）")
    page.get_by_role("link", name="结果", exact=True).click()
    page.locator("#results [data-why]").first.click()
    reasons = page.locator("dialog#why")
    for words in ("理由", "楚政函〔2019〕10号", "完成率", "这一行填的是", "10,000,000.00元"):
        expect(reasons).to_contain_text(words)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.keyboard.press("Escape")
    expect(reasons).to_be_hidden()
    page.get_by_role("link", name="有误的单元格").click()
    expect(page.locator("td.faulty.error").first).to_contain_text("7O3")


def test_a_field_chosen_before_the_script_has_come_gets_its_units(page: Page, tmp_path: Path) -> None:  # type: ignore[valid-type]
    page.goto("/batch")
    page.locator("#day").fill("2019-12-31")
    page.set_input_files("#file", large_file(tmp_path / "各部门.csv"))
    page.wait_for_selector(".tabs", timeout=120_000)
    page.get_by_role("link", name="列的识别").click()
    held: list[Any] = []
    page.route("**/hegui.js*", lambda route: held.append(route))  # no builtin is taken here
    page.reload(wait_until="commit")
    page.get_by_label("今年目标", exact=True).select_option(label="争取资金任务")
    unit = page.get_by_label("今年目标 的单位")
    expect(unit).to_be_hidden()
    held[0].continue_()
    unit.select_option("万元")


def large_file(path: Path) -> Path:
    """Departments whose headings say too little, one with a faulty cell: above the size from which columns are read."""
    heading = ["单位", "今年目标", "实际争取", "6月支出进度", "9月支出进度", "11月支出进度", "下年度公用经费（万元）"]
    rows = [[f"单位{number}-{hashlib.sha256(str(number).encode()).hexdigest()}", 1000, 700 + number % 400, "50%", "75%", "95%", 200]
            for number in range(7_000)]  # fmt: skip
    rows[8][2] = "7O3"
    if path.suffix == ".csv":
        path.write_text("\n".join(",".join(map(str, row)) for row in [heading, *rows]), encoding="utf-8")
    else:
        import xlsxwriter

        with xlsxwriter.Workbook(str(path)) as book:
            sheet = book.add_worksheet("部门")
            for number, row in enumerate([heading, *rows]):
                sheet.write_row(number, 0, row)
    assert path.stat().st_size > LARGE_FROM
    return path


def test_a_field_chosen_for_one_column_is_taken_from_the_other(page: Page) -> None:  # type: ignore[valid-type]
    page.goto("/batch")
    page.set_input_files("#file", EXAMPLES / "departments.xlsx")
    page.wait_for_selector("#results", timeout=90_000)
    page.get_by_role("link", name="列的识别").click()
    fields = page.locator("[data-field-of-column]")
    chosen = [field.input_value() for field in fields.all()]
    task, raised = chosen.index("task_amount"), chosen.index("raised_amount")
    fields.nth(raised).select_option("task_amount")
    expect(fields.nth(task)).to_have_value("")
    expect(fields.nth(raised)).to_have_value("task_amount")
    fields.nth(raised).select_option("department_name")
    expect(page.locator("[data-unit-of-column]").nth(raised)).to_be_hidden()


@pytest.mark.parametrize("view", ["results", "columns", "problems"])
def test_a_batch_is_accessible_and_fits_its_window(page: Page, view: str) -> None:  # type: ignore[valid-type]
    axe = importorskip("axe_playwright_python.sync_playwright")
    page.goto("/batch")
    page.set_input_files("#file", EXAMPLES / "departments_faulty.xlsx")
    page.wait_for_selector(".tabs", timeout=90_000)
    page.goto(page.url.partition("?")[0] + f"?view={view}")
    if view == "results":
        page.locator("#results [data-why]").first.click()
        page.wait_for_selector("dialog[open]")
    found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    violations = found.response["violations"]
    assert violations == [], [(item["id"], [node["html"] for node in item["nodes"]][:3]) for item in violations]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_file_too_large_is_refused_where_it_is_chosen(page: Page, tmp_path: Path) -> None:  # type: ignore[valid-type]
    path = tmp_path / "big.xlsx"
    with path.open("wb") as file:
        file.truncate(60_000_000)
    page.goto("/batch")
    page.set_input_files("#file", path)
    expect(page.get_by_role("alert")).to_contain_text("最多 50 MB")


def test_a_page_named_as_a_workbook_gets_a_clear_message(page: Page, tmp_path: Path) -> None:  # type: ignore[valid-type]
    path = tmp_path / "page.xlsx"
    path.write_text("<html><body><table></table></body></html>")
    page.goto("/batch")
    page.set_input_files("#file", path)
    page.wait_for_selector(".alert:not([hidden])", timeout=60_000)
    expect(page.locator("main")).to_contain_text("网页（HTML）")


def test_rules_are_found_and_show_clause_table_plot_and_cases(page: Page) -> None:  # type: ignore[valid-type]
    page.goto("/rules")
    page.get_by_label("认定部门").select_option(label="州财政局")
    page.get_by_label("种类").select_option(label="惩处")
    page.get_by_role("button", name="查找").click()
    page.get_by_role("link", name="未完成争取资金任务压缩公用经费").click()
    main = page.locator("main")
    for text in ("楚政函〔2019〕10号", "85% ≤ … < 90%", "另一读法", "相符"):
        expect(main).to_contain_text(text)
    expect(page.locator("svg.plot")).to_have_count(2)


def test_what_if_follows_the_slider_and_tries_the_next_tier(page: Page) -> None:  # type: ignore[valid-type]
    page.goto(f"/what-if/{CUT}?{urlencode(CASE)}")
    expect(page.locator(".moves")).to_contain_text("再增加 0.01元")
    page.get_by_role("button", name="试一试").first.click()
    expect(page.get_by_label("实际争取资金", exact=True)).to_have_value("8500000元")
    expect(page.locator("#result .verdict")).to_contain_text("8%")
    slider = page.locator("#slider")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("#result .verdict")).to_contain_text("不予处理")


def test_the_overview_shows_bars_heat_and_duties(page: Page) -> None:  # type: ignore[valid-type]
    page.goto("/overview?month=2019-06")
    expect(page.locator(".bars").first).to_contain_text("水务局")
    assert page.locator(".heat td.bad").count() > 0
    expect(page.locator("main")).to_contain_text("2019-06-30")


def test_another_policy_is_chosen(page: Page) -> None:  # type: ignore[valid-type]
    page.goto("/rules")
    page.get_by_label("政策").select_option(label="云岭县2026年引才和租房补助")
    expect(page.locator("h1")).to_contain_text("云岭县")
    page.get_by_role("link", name="核算", exact=True).click()
    expect(page.locator("main")).to_contain_text("共 8 个事项")


def test_a_ledger_tells_what_is_on_time_and_what_is_late(page: Page) -> None:  # type: ignore[valid-type]
    page.goto("/overview?month=2019-05&day=2019-12-31")
    page.set_input_files("#file", EXAMPLES / "duty_ledger.xlsx")
    page.wait_for_selector("#results", timeout=90_000)
    page.get_by_role("link", name="看总览").click()
    page.locator("#month").fill("2019-05")
    page.get_by_role("button", name="显示").click()
    duties = page.locator("#duties")
    for words in ("按时完成", "逾期完成", "已逾期未完成"):
        expect(duties).to_contain_text(words)


def test_the_language_is_kept(page: Page) -> None:  # type: ignore[valid-type]
    page.goto("/")
    page.get_by_role("link", name="English").click()
    page.get_by_role("link", name="Rules", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Ten special action plans")
    page.get_by_role("link", name="中文").click()
    expect(page.locator("h1")).to_contain_text("行动方案")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_window_and_axe_finds_nothing(page: Page, name: str) -> None:  # type: ignore[valid-type]
    axe = importorskip("axe_playwright_python.sync_playwright")
    page.goto(PAGES[name])
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    violations = found.response["violations"]
    assert violations == [], [(item["id"], [node["html"] for node in item["nodes"]][:3]) for item in violations]


def test_a_page_prints_without_its_buttons(page: Page, tmp_path: Path) -> None:  # type: ignore[valid-type]
    page.goto(PAGES["calculate"])
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="打印")).to_be_hidden()
    expect(page.locator("header nav")).to_be_hidden()
    expect(page.locator("#result")).to_be_visible()
    assert page.pdf(path=tmp_path / "page.pdf")[:4] == b"%PDF"


def test_what_is_folded_away_is_printed(page: Page) -> None:  # type: ignore[valid-type]
    page.goto(PAGES["dossier"])
    matters = page.locator("details.matter")
    assert matters.count() > 3
    assert page.locator("details.matter[open]").count() == 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.matter[open]").count() == matters.count()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.matter[open]").count() == 0


def test_signing_in_and_out(browser, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    settings = settings_in(tmp_path)
    add_users(settings)
    with served(settings) as address:
        context = browser.new_context(base_url=address, locale="zh-CN")
        page = context.new_page()
        page.goto("/batch")
        page.get_by_label("用户名").fill("wang")
        page.get_by_label("密码").fill("wang-long-password")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("批量核算")
        expect(page.locator("header")).to_contain_text("wang（经办）")
        page.get_by_role("button", name="退出").click()
        expect(page.locator("h1")).to_have_text("登录")
        context.close()

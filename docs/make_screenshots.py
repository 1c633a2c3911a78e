"""The handbook's pictures: `python docs/make_screenshots.py` starts a server and photographs its pages.

Needs Chromium and playwright; every picture shows results of the example workbooks that come with the rules.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "handbook" / "images"
EXAMPLES = ROOT / "rules" / "chuxiong_2019" / "examples"
CUT = "fiscal.budget_cut.fundraising_shortfall"
CASE = urlencode({"subject": "公安局", "has_task": "true", "task_amount": "1000万元", "raised_amount": "899.999999万元",
                  "next_year_public_funds": "200万元", "day": "2019-12-31"})  # fmt: skip
FIRM = urlencode({
    "subject.firm_name": "彝山建设集团", "subject.registered_in_prefecture": "true", "award.0.family": "quality",
    "award.0.level": "luban_or_national_quality", "award.0.matter": "大剧院", "award.0.role": "builder",
    "award.1.family": "quality",
    "award.1.level": "yunnan_quality", "award.1.matter": "大剧院", "award.1.role": "builder",
    "day": "2019-12-31"})  # fmt: skip
GROWTH = urlencode({"above_scale_industrial": "true", "strategic_emerging": "false", "main_revenue_previous": "1亿元",
                    "main_revenue_current": "1.2亿元", "fact": "main_revenue_current"})  # fmt: skip
PAGES = {
    "home": "/", "calculate": f"/calculate/{CUT}?{CASE}", "firm": f"/calculate/construction_firms?{FIRM}",
    "rules": "/rules?q=公用经费", "rule": f"/rules/{CUT}?{CASE}",
    "what-if": f"/what-if/enterprise.sales_promotion.subsidy?{GROWTH}", "overview": "/overview?month=2019-05",
}  # fmt: skip
PHONE = ("calculate", "what-if")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--lang=zh-CN", "--font-render-hinting=none"]  # fmt: skip


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is needed: apt-get install chromium fonts-noto-cjk", file=sys.stderr)
        return 2
    IMAGES.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from web.cli import serve; serve()", "--port", str(port), "--data", folder]
        server = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            _wait(address)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium, args=ARGUMENTS, env={**os.environ, "LANGUAGE": "zh_CN"})  # fmt: skip

                _photograph(browser, address, Path(folder))
                browser.close()
        finally:
            server.terminate()
            server.wait(15)
    for path in sorted(IMAGES.glob("*.png")):
        print(path.relative_to(ROOT))
    return 0


def _wait(address: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{address}/api/v1/health", timeout=2)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def _photograph(browser: Browser, address: str, folder: Path) -> None:
    page = browser.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN", base_url=address).new_page()
    for name, path in PAGES.items():
        page.goto(path)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=IMAGES / f"{name}.png", full_page=name in ("calculate", "what-if", "firm"))
    _batch(page, EXAMPLES / "departments.xlsx", "batch")
    page.goto(f"{page.url}?view=columns")
    page.screenshot(path=IMAGES / "batch-columns.png")
    page.goto(page.url.partition("?")[0])
    page.locator("#results [data-why]").nth(1).click()
    page.wait_for_selector("dialog[open]")
    page.screenshot(path=IMAGES / "batch-why.png")
    _batch(page, _faulty(folder), "batch-faulty", "?view=problems")
    page.goto("/overview?month=2019-05&day=2019-12-31")
    page.set_input_files("#file", EXAMPLES / "duty_ledger.xlsx")
    page.wait_for_selector("#results", timeout=120_000)
    page.goto("/overview?month=2019-05&day=2019-12-31#duties")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / "duties.png")
    phone = browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN", base_url=address).new_page()
    for name in PHONE:
        phone.goto(PAGES[name])
        phone.wait_for_load_state("networkidle")
        phone.locator("#result").scroll_into_view_if_needed()
        phone.evaluate("document.getElementById('result').scrollIntoView()")
        phone.screenshot(path=IMAGES / f"{name}-phone.png")


def _batch(page: Page, source: Path, name: str, view: str = "") -> None:
    page.goto("/batch")
    page.locator("#day").fill("2019-12-31")
    page.set_input_files("#file", source)
    page.wait_for_selector(".tabs", timeout=120_000)
    if view:
        page.goto(page.url + view)
    page.screenshot(path=IMAGES / f"{name}.png")


def _faulty(folder: Path) -> Path:
    """The example workbook with three cells put wrong, as they come in."""
    from openpyxl import load_workbook

    book = load_workbook(EXAMPLES / "departments.xlsx")
    sheet = book.active
    sheet["E7"], sheet["G9"], sheet["D12"] = "8OO万", "五十", -5
    path = folder / "部门（有误）.xlsx"
    book.save(path)
    return path


if __name__ == "__main__":
    sys.exit(main())

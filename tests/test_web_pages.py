"""The pages as they are sent: what they show, in both languages, with and without the script."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from engine import load_pack
from engine.explain import explain
from web.pages.base import linked
from web_helpers import CUT, EXAMPLES, FACTS, client_of, csrf_of, finished, settings_in

CASE = {"has_task": "true", "task_amount": "1000万元", "raised_amount": "849.999999万元",
        "next_year_public_funds": "200万元", "day": "2019-12-31"}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_of(settings_in(tmp_path_factory.mktemp("pages"))) as found:
        yield found


@pytest.fixture
def text_of(client: TestClient):  # type: ignore[no-untyped-def]
    def text(path: str, **query: str) -> str:
        answer = client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return html.unescape(re.sub(r"<[^>]+>", "", answer.text))

    return text


def test_every_provision_has_its_page_form_and_what_if(client: TestClient) -> None:
    for identity in load_pack().ids:
        for path in (f"/rules/{identity}", f"/calculate/{identity}", f"/what-if/{identity}"):
            assert client.get(path, params={"lang": "zh"}).status_code == 200, path
    assert client.get("/rules/no.such").status_code == 404


def test_a_result_shows_verdict_amount_reasoning_clause_and_readings(text_of) -> None:  # type: ignore[no-untyped-def]
    text = text_of(f"/calculate/{CUT}", lang="zh", **CASE)
    outcome = load_pack().evaluate(CUT, FACTS, "2019-12-31")
    for line in explain(outcome, load_pack().provision(CUT), "zh")[2:8]:
        if not line.startswith("另一读法"):
            assert line in text
    for part in (
        "应予处理",
        "200,000.00元",
        "楚政函〔2019〕10号",
        "二(二)2(4)三",
        "另有读法",
        "= 10,000,000.00元（1000万元）",
    ):
        assert part in text


def test_what_is_missing_is_named_and_an_unreadable_value_pointed_out(text_of) -> None:  # type: ignore[no-untyped-def]
    text = text_of(f"/calculate/{CUT}", lang="zh", has_task="true", task_amount="1,2OO")
    assert "还缺这些事实" in text
    assert "实际争取资金" in text
    assert "`1,2OO` 不是金额" in text


def test_a_field_nobody_asks_for_is_hidden(client: TestClient) -> None:
    def hidden(has_task: str) -> bool:
        told = client.get("/calculate/departments/result", params={"subject.has_task": has_task}).json()
        return not told["fields"]["subject.fundraising_result"]["asked"]

    assert hidden("true")
    assert not hidden("false")


def test_the_live_part_equals_the_page(client: TestClient) -> None:
    page = client.get(f"/calculate/{CUT}", params=CASE).text
    part = client.get(f"/calculate/{CUT}/result", params=CASE).json()["html"]
    assert part.strip() in page


@pytest.mark.parametrize("form", ["xlsx", "txt", "json"])
@pytest.mark.parametrize("identity", [CUT, "construction_firms"])
def test_a_result_is_saved_as_a_file(client: TestClient, identity: str, form: str) -> None:
    query = CASE if identity == CUT else {"subject.firm_name": "甲", "subject.registered_in_prefecture": "true"}
    answer = client.get(f"/calculate/{identity}/file.{form}", params=query)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    if form == "txt" and identity == CUT:
        assert "200,000.00元" in answer.content.decode("utf-8-sig")


def test_the_saved_case_is_read_by_the_command_line(client: TestClient, tmp_path: Path) -> None:
    import json

    from facts.reading import read_facts

    saved = client.get(f"/calculate/{CUT}/file.json", params=CASE).json()
    path = tmp_path / "case.json"
    path.write_text(json.dumps(saved["case"]), encoding="utf-8")
    pack = load_pack()
    submission = read_facts([path], dossiers={}, provision=pack.find)
    assert not submission.problems
    assert submission.flat[0].inputs["task_amount"] == 1_000_000_000


def test_a_dossier_adds_up_its_awards(text_of) -> None:  # type: ignore[no-untyped-def]
    query = {"subject.firm_name": "甲公司", "subject.registered_in_prefecture": "true", "lang": "zh"}
    for number, level in enumerate(("luban_or_national_quality", "yunnan_quality")):
        query |= {f"award.{number}.family": "quality", f"award.{number}.level": level, f"award.{number}.matter": "大剧院",
                  f"award.{number}.role": "builder"}  # fmt: skip
    text = text_of("/calculate/construction_firms", **query)
    assert "本方案应奖合计 500,000.00元" in text
    assert "就高不重复，按“优质工程 鲁班奖或国家优质工程奖 大剧院 施工”计" in text


def test_a_provision_that_a_text_names_is_a_link_by_its_label(client: TestClient) -> None:
    other = "fiscal.budget_cut.combination"
    page = client.get(f"/rules/{CUT}").text
    assert f'<a href="/rules/{other}">“{load_pack().provision(other).label.zh}”</a>' in page
    assert linked("<b>见 no.such.rule", load_pack(), "zh") == "&lt;b&gt;见 no.such.rule"
    assert linked(f"{other}, a.b", load_pack(), "en").endswith("</a>, a.b")


def test_a_rule_marks_the_officers_own_case_in_its_plot(client: TestClient) -> None:
    page = client.get(f"/rules/{CUT}", params=CASE | {"lang": "zh"}).text
    assert page.count('class="plot"') == 2
    assert page.count('<circle class="mark"') == 2
    assert "您填的案例" in page


def test_worked_cases_are_run_on_the_page(text_of) -> None:  # type: ignore[no-untyped-def]
    text = text_of(f"/rules/{CUT}", lang="zh")
    assert "相符" in text
    assert "不符\n" not in text


def test_what_a_case_expects_is_told_in_words(text_of) -> None:  # type: ignore[no-untyped-def]
    assert "条文所定，领导小组成员 相应岗位的现任人员，需另行通知 否" in text_of("/rules/notice.group.succession", lang="zh")
    assert "无法判定，缺少 数据经核实真实" in text_of("/rules/notice.report.content", lang="zh")


def test_a_decision_table_speaks_of_yes_and_no_and_shows_no_empty_column(client: TestClient) -> None:
    page = client.get("/rules/enterprise.sales_promotion.subsidy", params={"lang": "zh"}).text
    assert "<td>否</td><td>2‰</td>" in page
    page = client.get("/rules/invest.target.fai_growth", params={"lang": "zh"}).text
    assert '<th scope="col">比较</th></tr>' in page  # and not the plan's parts, which stand in that column together


def test_a_field_that_decides_whether_a_matter_arises_is_named_by_its_label(text_of) -> None:  # type: ignore[no-untyped-def]
    text = text_of("/calculate/construction_firms", lang="zh", rows="award.0")
    assert "奖项类别" in text.partition("还缺这些事实")[2]
    assert "family" not in text.partition("还缺这些事实")[2]


def test_the_api_is_described_in_the_language_of_the_page(client: TestClient) -> None:
    calls = client.get("/api/v1/openapi.json").json()["paths"]
    chinese = client.get("/api", params={"lang": "zh"}).text
    english = client.get("/api", params={"lang": "en"}).text
    for operation in (operation for item in calls.values() for operation in item.values()):
        assert re.search(r"[\u4e00-\u9fff]", operation["summary"]), operation["summary"]
        assert html.escape(operation["summary"]) in chinese
        assert html.escape(operation["description"].replace("`", "")).split("&#")[0] in english


def test_what_if_tells_days_from_the_first_to_the_last(text_of) -> None:  # type: ignore[no-untyped-def]
    case = {"document_received_on": "2019-03-01", "submitted": "true", "submitted_on": "2019-03-11", "fact": "submitted_on"}
    text = text_of("/what-if/fiscal.special_fund.specified_5wd", lang="zh", **case)
    assert "“完成日期”提前 3 天，到 2019年3月8日：按时完成" in text
    assert "2019年3月9日起" in text
    assert "可能还有别的界限" not in text
    text = text_of("/what-if/fiscal.special_fund.specified_5wd", lang="en", **case)
    assert "done on earlier by 3 days, to 2019-03-08: on time" in text
    assert "from 2019-03-09" in text
    assert "overdue by 1 working day" in text
    assert "1 working days" not in text


def test_units_are_told_in_the_language_of_the_page(text_of) -> None:  # type: ignore[no-untyped-def]
    path, case = "/what-if/talent.settling.allowance", {
        "degree": "master", "contract_years": "2", "contract_signed_on": "2026-03-02", "applied_on": "2026-05-01",
        "first_year_pay": "18万元", "fact": "contract_years"}  # fmt: skip
    assert "再增加 1年，达到 3年：符合条件" in text_of(path, lang="zh", **case)
    english = text_of(path, lang="en", **case)
    assert "more by 1, to 3: eligible" in english
    assert not re.search(r"\d\s*(元|年)", english.partition("How much")[2])
    assert "yuan" in text_of(f"/calculate/{CUT}", lang="en")


def test_what_if_lists_the_tiers_around_the_present_value(text_of) -> None:  # type: ignore[no-untyped-def]
    text = text_of("/what-if/fiscal.reward.tax_share", lang="zh", revenue_target_met="true", tax_share_this_year="72.5%",
                   tax_share_last_year="70.1%", county_average_share="69%", one_off_already_received="false",
                   fact="county_average_share")  # fmt: skip
    assert text.count("起 至") == 13
    assert "← 现在" in text
    assert "更远的未列出" in text


def test_what_if_names_the_distance_to_the_next_tier(text_of) -> None:  # type: ignore[no-untyped-def]
    text = text_of(f"/what-if/{CUT}", lang="zh", fact="raised_amount", **CASE)
    assert "再增加 0.01元，达到 8,500,000.00元" in text
    assert "界限由条款的比较式解出" in text


def test_the_overview_shows_cuts_targets_and_duties(text_of) -> None:  # type: ignore[no-untyped-def]
    text = text_of("/overview", lang="zh", month="2019-06")
    assert "12,082,002.00" in text  # the total of the example workbook
    assert "2019Q2" in text
    assert "2019-06-30" in text


def test_the_overview_colours_a_county_behind_its_target(client: TestClient) -> None:
    data = (EXAMPLES / "targets_2019Q1.xlsx").read_bytes()
    token = csrf_of(client)
    location = client.post("/batch/upload", params={"filename": "targets_2019Q1.xlsx"}, content=data,
                           headers={"x-csrf-token": token}).json()["location"]  # fmt: skip
    assert finished(client, f"{location}/state")["state"] == "done"
    page = client.get("/overview", params={"lang": "zh", "batch": location.rpartition("/")[2]}).text
    assert re.search(r'<td class="bad"><strong>[\d.]+%</strong>', page)


def test_a_finished_batch_shows_its_three_views(client: TestClient) -> None:
    data = "部门,争取资金任务（万元）,实际争取（万元）,备用,下年度公用经费（万元）\n财政局,1000,9OO,x,200\n水务局,1000,900,x,200\n"
    location = client.post("/batch/upload", params={"filename": "d.csv", "day": "2019-12-31"}, content=data.encode(),
                           headers={"x-csrf-token": csrf_of(client)}).json()["location"]  # fmt: skip
    finished(client, f"{location}/state")
    for view, words in (("results", "100,000.00"), ("problems", "`9OO`"), ("columns", "备用")):
        answer = client.get(location, params={"view": view, "lang": "zh"})
        assert answer.status_code == 200
        assert words in answer.text


@pytest.mark.parametrize("path", ["/", "/batch", "/rules", "/what-if", "/overview", "/api", f"/calculate/{CUT}",
                                  f"/what-if/{CUT}", "/calculate/departments"])  # fmt: skip
def test_no_chinese_is_left_in_the_english_words_of_a_page(client: TestClient, path: str) -> None:
    """Words of the pages themselves: those of the policy may be Chinese, as its citations are."""
    client.get(path, params={"lang": "zh"})
    chinese = set(
        re.findall(r"<(?:h1|h2|button|th|legend|label|summary)(?! scope=.row)[^>]*>([^<]+)<", client.get(path).text)
    )
    client.get(path, params={"lang": "en"})
    english = client.get(path).text
    client.get(path, params={"lang": "zh"})
    pack = load_pack()
    policy = {*pack.plans.values(), *(field.label.zh for field in pack.fields.values())}
    left = {words.strip() for words in chinese if re.search("[一-龥]", words) and words.strip() not in policy
            and f">{words}<" in english}  # fmt: skip
    assert left <= set(), left


def test_pages_work_without_the_script(client: TestClient) -> None:
    page = client.get(f"/calculate/{CUT}?{urlencode(CASE)}").text
    assert f'<form class="facts" method="get" action="/calculate/{CUT}"' in page
    assert "200,000.00元" in page


def test_nothing_is_fetched_from_elsewhere(client: TestClient) -> None:
    sources = [client.get(path).text for path in ("/", "/batch", f"/rules/{CUT}", "/overview", "/static/hegui.css",
                                                  "/static/hegui.js")]  # fmt: skip
    for text in sources:
        assert not re.search(r"""(?:src|href|url|import|fetch)\s*[=(]\s*["']?https?://""", text)


def test_text_typed_into_a_form_comes_back_as_text(client: TestClient) -> None:
    page = client.get(
        f"/calculate/{CUT}", params={"subject": "<script>alert(1)</script>", "task_amount": '"><img src=x>'}
    ).text
    assert "<script>alert" not in page
    assert "<img" not in page


def test_overlong_and_odd_queries_do_not_break_a_page(client: TestClient) -> None:
    for query in ({"day": "31.2.2019"}, {"task_amount": "9" * 5000}, {"raised_amount": "1e999"}, {"q": "\x00"}, {"plan": "x"},
                  {"lang": "fr"}, {"subject": "好" * 1000}):  # fmt: skip
        for path in (f"/calculate/{CUT}", f"/what-if/{CUT}", "/rules", "/overview"):
            assert client.get(path, params=query).status_code == 200, (path, query)

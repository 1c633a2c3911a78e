"""Columns corrected by hand, and why a row came to its result: files small and large, of every kind."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter
from starlette.testclient import TestClient

from web.large import MAX_BOOK
from web.settings import Settings
from web.worker import LARGE_FROM
from web_helpers import CUT, add_users, client_of, csrf_of, finished, settings_in, sign_in

DEPARTMENT = "departments.department"
FOREIGN = ["单位", "今年目标", "实际争取", "6月支出进度", "9月支出进度", "11月支出进度", "下年度公用经费（万元）"]
KNOWN = ["部门", "争取资金任务（万元）", "实际争取（万元）", *FOREIGN[3:]]
CHOICES = {"今年目标": {"field": "task_amount", "unit": "万元"}, "实际争取": {"unit": "万元"}}
DAY = "2019-12-31"

pytestmark = pytest.mark.long  # many files, each assessed anew by worker processes


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_in(tmp_path_factory.mktemp("batches"), batches_a_user=100, batch_workers=2)


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    """In one session, so that pages and interface have the same batches."""
    with client_of(settings) as found:
        found.headers["x-csrf-token"] = csrf_of(found)
        yield found


def name_of(number: int) -> str:
    """A name that makes a file large: unlike the others, so that it does not compress away."""
    return f"单位{number}-{hashlib.sha256(str(number).encode()).hexdigest()[:48]}"


def departments(count: int) -> list[list[object]]:
    """Rows of all kinds: cut and not, with unknown facts, and one in 501 with a faulty cell."""
    dice = random.Random(11)
    rows: list[list[object]] = []
    for number in range(count):
        row: list[object] = [name_of(number), 1000, dice.randint(700, 1100), f"{dice.randint(40, 60)}%",
                             f"{dice.randint(70, 90)}%", f"{dice.randint(85, 99)}%", 200 + number % 700]  # fmt: skip
        if dice.random() < 0.2:
            row[dice.randint(1, 6)] = ""
        if number % 501 == 7:
            row[2] = "7O3"
        rows.append(row)
    return rows


def as_csv(heading: Sequence[str], rows: Sequence[Sequence[object]], encoding: str = "utf-8") -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([heading, *rows])
    return out.getvalue().encode(encoding)


def as_xlsx(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return out.getvalue()


def as_lines(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    return "\n".join(json.dumps(dict(zip(heading, row, strict=True)), ensure_ascii=False) for row in rows).encode()


def as_parquet(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame({name: [str(row[place]) or None for row in rows] for place, name in enumerate(heading)}).write_parquet(out)
    return out.getvalue()


def submit(client: TestClient, name: str, data: bytes, day: str = DAY) -> str:
    answer = client.post("/api/v1/batches", params={"filename": name, "as_of": day}, content=data)
    assert answer.status_code == 202, answer.text
    location: str = answer.headers["location"]
    told = finished(client, location)
    assert told["state"] == "done", told["error"]
    return location


def hand_in(client: TestClient, name: str, data: bytes) -> str:
    """A file handed in on the page, assessed; the address of its batch."""
    answer = client.post("/batch/upload", params={"filename": name, "day": DAY}, content=data)
    assert answer.status_code == 202, answer.text
    location: str = answer.json()["location"]
    assert finished(client, f"{location}/state")["state"] == "done"
    return location


def remap(client: TestClient, location: str, columns: object, record: str = "") -> None:
    answer = client.put(f"{location}/mapping", json={"columns": columns, "record": record})
    assert answer.status_code == 202, answer.text
    told = finished(client, location)
    assert told["state"] == "done", told["error"]


def rows_of(client: TestClient, location: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        told = client.get(f"{location}/rows", params={"limit": 1000, "offset": len(found)}).json()
        found += told["rows"]
        if len(found) == told["matching"]:
            return found


def columns_of(client: TestClient, location: str) -> dict[str, tuple[str | None, str | None, str]]:
    tables = client.get(f"{location}/summary").json()["tables"]
    return {one["heading"]: (one["field"], one["unit"], one["unit_from"]) for table in tables for one in table["columns"]}


# Columns by hand

ROWS = departments(60)
MANY = departments(2_600)
FILES = {
    "small.csv": as_csv(FOREIGN, ROWS), "large.csv": as_csv(FOREIGN, MANY),
    "small.xlsx": as_xlsx({"部门": [FOREIGN, *ROWS]}), "large.xlsx": as_xlsx({"部门": [FOREIGN, *MANY]}),
    "some.jsonl": as_lines(FOREIGN, ROWS), "some.parquet": as_parquet(FOREIGN, ROWS),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_field_and_a_unit_by_hand_count_as_if_the_heading_said_so(client: TestClient, name: str) -> None:
    stem, _, suffix = name.rpartition(".")
    large = stem == "large"
    rows = MANY if large else ROWS
    assert (len(FILES[name]) > LARGE_FROM) == large
    location = submit(client, name, FILES[name])
    assert columns_of(client, location)["今年目标"] == (None, None, "")
    assert columns_of(client, location)["实际争取"] == ("raised_amount", "元", "field")
    remap(client, location, {DEPARTMENT: CHOICES})
    columns = columns_of(client, location)
    assert columns["今年目标"] == ("task_amount", "万元", "hand")
    assert columns["实际争取"] == ("raised_amount", "万元", "hand")
    assert columns["下年度公用经费（万元）"] == ("next_year_public_funds", "万元", "heading")
    right = {
        "csv": lambda: as_csv(KNOWN, rows), "xlsx": lambda: as_xlsx({"部门": [KNOWN, *rows]}),
        "jsonl": lambda: as_lines(KNOWN, rows), "parquet": lambda: as_parquet(KNOWN, rows),
    }[suffix]()  # fmt: skip
    other = submit(client, name, right)
    assert rows_of(client, location) == rows_of(client, other)
    counts = client.get(f"{location}/summary").json()["counts"]
    assert counts["rows_in"] == len(rows) == counts["accepted"] + counts["rejected"] + counts["skipped"]
    assert counts["rejected"] == sum(row[2] == "7O3" for row in rows)
    client.delete(location)
    client.delete(other)


def test_a_share_is_read_as_fractions_where_that_is_chosen(client: TestClient) -> None:
    rows = [["甲局", 1000, 900, "0.5", "0.8", "0.95", 200]]
    location = submit(client, "d.csv", as_csv(KNOWN, rows))
    assert client.get(f"{location}/summary").json()["counts"]["rejected"] == 1  # 0.5 may be 0.5 %
    remap(client, location, {DEPARTMENT: {name: {"unit": "1"} for name in KNOWN[3:6]}})
    assert client.get(f"{location}/summary").json()["counts"]["accepted"] == 1
    assert columns_of(client, location)["6月支出进度"] == ("progress_june", "1", "hand")
    told = json.dumps(client.get(f"{location}/rows/0").json(), ensure_ascii=False)
    for share in ("50%", "80%", "95%"):
        assert f"支出进度：{share}" in told


def test_choices_that_do_not_fit_are_refused_with_their_column(client: TestClient) -> None:
    location = submit(client, "d.csv", FILES["small.csv"])
    wrong = {
        DEPARTMENT: {
            "实际争取": {"unit": "人"}, "今年目标": {"field": "task_amuont"}, "没有这列": "task_amount",
            "6月支出进度": {"unit": "万元"}, "单位": {"unit": "元"},
        },
        "no.such": {"x": "y"},
    }  # fmt: skip
    answer = client.put(f"{location}/mapping", json={"columns": wrong})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    faults = {fault["pointer"].rpartition(f"/columns/{DEPARTMENT}/")[2]: fault for fault in answer.json()["errors"]}
    assert {name: fault["code"] for name, fault in faults.items()} == {
        "实际争取/unit": "unknown-unit", "今年目标/field": "unknown-field", "没有这列": "unknown-column",
        "6月支出进度/unit": "unknown-unit", "单位/unit": "unknown-unit", "/columns/no.such": "unknown-table",
    }  # fmt: skip
    assert "实际争取" in faults["实际争取/unit"]["zh"]
    assert "万元" in faults["实际争取/unit"]["zh"]
    assert "%" in faults["6月支出进度/unit"]["en"]
    assert client.get(location).json()["state"] == "done"  # nothing was done with the file


def test_the_mapping_is_described(client: TestClient) -> None:
    schema = client.get("/api/v1/openapi.json").json()
    parts = schema["components"]["schemas"]
    assert "万元" in parts["ColumnChoice"]["properties"]["unit"]["description"]
    assert "422" in schema["paths"]["/api/v1/batches/{identity}/mapping"]["put"]["responses"]
    assert client.put("/api/v1/batches/x/mapping", json={"columns": {"a": {"b": {"unti": "元"}}}}).status_code == 422


@pytest.mark.parametrize("count", [20, 5_500])
def test_two_columns_of_one_name_are_told_apart(client: TestClient, count: int) -> None:
    heading = ["部门", "争取资金任务（万元）", "金额（万元）", "金额（万元）", "下年度公用经费（万元）"]
    rows = [[name_of(number), 1000, 1, 900, 200] for number in range(count)]
    location = submit(client, "d.csv", as_csv(heading, rows))
    remap(client, location, {DEPARTMENT: {"金额（万元）": "", "金额（万元）#2": "raised_amount"}})
    columns = client.get(f"{location}/summary").json()["tables"][0]["columns"]
    assert [column["field"] for column in columns[2:4]] == [None, "raised_amount"]
    told = client.get(f"{location}/rows/0").json()
    assert told["total"] == "100000.00"


def test_a_table_of_facts_is_corrected_too(client: TestClient) -> None:
    """Rows that are the facts of one provision, in a file of either size."""
    heading = ["单位", "有争取资金任务", "目标", "实际争取", "下年度公用经费"]
    for count in (5, 5_500):
        rows = [[name_of(number), "是", 1000, 900, 200] for number in range(count)]
        location = submit(client, f"{CUT}.csv", as_csv(heading, rows))
        remap(client, location, {CUT: {"目标": {"field": "task_amount", "unit": "万元"}, "实际争取": {"unit": "万元"},
                                       "下年度公用经费": {"unit": "万元"}}})  # fmt: skip
        found = rows_of(client, location)
        assert len(found) == count
        assert all("100000.00" in one["cells"] for one in found)
        told = client.get(f"{location}/rows/{count - 1}").json()
        assert (told["items"][0]["outcome"]["amount"], told["differs"]) == ("100000.00", False)


@pytest.mark.parametrize(("name", "data"), [
    ("numbers.csv", as_csv(["1", "2", "3", "4"], [["甲局", 1000, 900, 200], ["乙局", 1000, 1000, 300]])),
    ("foreign.jsonl", as_lines(["1", "2", "3", "4"], [["甲局", 1000, 900, 200], ["乙局", 1000, 1000, 300]])),
    ("foreign.parquet", as_parquet(["1", "2", "3", "4"], [["甲局", 1000, 900, 200], ["乙局", 1000, 1000, 300]])),
])  # fmt: skip
def test_a_table_of_unknown_headings_is_named_column_by_column(client: TestClient, name: str, data: bytes) -> None:
    location = submit(client, name, data)
    summary = client.get(f"{location}/summary").json()
    assert (summary["counts"]["accepted"], summary["errors"]) == (0, 1)
    assert [column["heading"] for column in summary["tables"][0]["columns"]] == ["1", "2", "3", "4"]
    fields = ["department_name", "task_amount", "raised_amount", "next_year_public_funds"]
    columns = {str(place): {"field": field, "unit": "万元" if place > 1 else None} for place, field in enumerate(fields, 1)}
    remap(client, location, {DEPARTMENT: columns}, DEPARTMENT)
    counts = client.get(f"{location}/summary").json()["counts"]
    assert (counts["accepted"], counts["rejected"]) == (2, 0)
    assert client.get(f"{location}/rows/0").json()["total"] == "100000.00"


@pytest.mark.parametrize("name", ["large.csv", "large.xlsx", "some.parquet"])
def test_a_choice_that_spoils_every_row_can_be_taken_back(client: TestClient, name: str) -> None:
    location = submit(client, name, FILES[name])
    before = rows_of(client, location)
    remap(client, location, {DEPARTMENT: {"实际争取": {"unit": "万亿元"}}})
    counts = client.get(f"{location}/summary").json()["counts"]
    known = sum(row[2] != "" for row in (ROWS if name.startswith("some") else MANY))
    assert counts["rejected"] == known  # beyond the field's bounds
    remap(client, location, {DEPARTMENT: {"实际争取": "task_amount", "下年度公用经费（万元）": "task_amount"}})
    assert client.get(f"{location}/summary").json()["counts"]["accepted"] == 0  # two columns for one field
    remap(client, location, {})
    assert rows_of(client, location) == before


def test_the_page_keeps_what_was_chosen_and_takes_it_back(client: TestClient) -> None:
    location = hand_in(client, "大.csv", FILES["large.csv"])
    page = client.get(location, params={"view": "columns", "lang": "zh"}).text
    assert "元（没有写，按默认）" in page
    assert "万元（表头写明）" in page
    form = {"csrf": client.headers["x-csrf-token"], "record": "", "day": DAY}
    for heading, field in zip(FOREIGN, ["department_name", "", "raised_amount", *[""] * 4], strict=True):
        form |= {f"was:{DEPARTMENT}:{heading}": field, f"map:{DEPARTMENT}:{heading}": field}
    chosen = {f"map:{DEPARTMENT}:今年目标": "task_amount", f"unit:{DEPARTMENT}:今年目标": "万元",
              f"unit:{DEPARTMENT}:实际争取": "万元"}  # fmt: skip
    assert client.post(f"{location}/mapping", data=form | chosen, follow_redirects=False).status_code == 303
    finished(client, f"{location}/state")
    page = client.get(location, params={"view": "columns"}).text
    assert page.count("（手工指定）") == 2
    assert "今年目标 <small>手工指定</small>" in page
    assert "撤销全部更正" in page
    wrong = client.post(f"{location}/mapping", data=form | {f"unit:{DEPARTMENT}:实际争取": "人"})
    assert wrong.status_code == 422
    assert "实际争取" in wrong.text
    client.post(f"{location}/mapping", data=form | {"reset": "1"})
    finished(client, f"{location}/state")
    assert "手工指定" not in client.get(location, params={"view": "columns"}).text


def test_a_column_refused_as_a_second_one_is_left_out_by_assessing_again(client: TestClient) -> None:
    heading = ["部门", "争取资金任务（万元）", "实际争取（万元）", "实际争取（元）", "下年度公用经费（万元）"]
    location = hand_in(client, "d.csv", as_csv(heading, [["甲局", 1000, 900, 1, 200]]))
    page = client.get(location, params={"view": "columns"}).text
    assert "都是 实际争取资金" in page
    assert f'name="was:{DEPARTMENT}:实际争取（元）" value="?"' in page
    form = {"csrf": client.headers["x-csrf-token"], "record": "", "day": DAY, f"was:{DEPARTMENT}:实际争取（元）": "?",
            f"map:{DEPARTMENT}:实际争取（元）": ""}  # fmt: skip
    client.post(f"{location}/mapping", data=form)
    finished(client, f"{location}/state")
    assert "100,000.00" in client.get(location).text


# Why a row came to its result


def firms(count: int) -> dict[str, list[list[object]]]:
    """Firms with promotions and awards of which only the highest counts, some of them with unknown facts."""
    dice = random.Random(5)
    firm: list[list[object]] = [["企业名称", "在本州注册", "是否总部迁驻"]]
    award: list[list[object]] = [["企业名称", "奖项类别", "奖项等级", "项目名称", "参建角色"]]
    promotion: list[list[object]] = [["企业名称", "晋升事项", "年度", "首次晋升"]]
    paid: list[list[object]] = [["企业名称", "事项类别", "成果或项目", "已付金额（万元）"]]
    for number in range(count):
        name = name_of(number)
        firm.append([name, dice.choice(["是", "是", "否", ""]), "否"])
        for _ in range(dice.randint(0, 3)):
            level = dice.choice(["鲁班奖或国家优质工程奖", "云南省优质工程奖"])
            award.append([name, "优质工程", level, f"项目{dice.randint(1, 2)}", dice.choice(["施工", "施工", "监理", ""])])
        for _ in range(dice.randint(0, 3)):
            kind = dice.choice(["施工总承包一级", "施工总承包二级", "施工总承包特级"])
            promotion.append([name, kind, dice.choice([2018, 2019]), dice.choice(["是", "是", "否", ""])])
        if dice.random() < 0.2:
            paid.append([name, "优质工程", "项目1", dice.choice([5, 50, ""])])
    return {"企业": firm, "获奖": award, "资质晋升": promotion, "已付奖励": paid}


def check_row(client: TestClient, location: str, headers: list[str], row: dict[str, Any]) -> dict[str, Any]:
    """The reasons of one row of a large file's result equal the row."""
    answer = client.get(f"{location}/rows/{row['number']}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert not told["differs"]
    asked = [item for item in told["items"] if item["asked"]]
    assert len(asked) == 1
    item, cells = asked[0], dict(zip(headers, row["cells"], strict=True))
    outcome = item["outcome"]
    assert (outcome["status"], outcome["provision"]) == (cells["结论"], cells["事项"])
    assert outcome.get("amount", "") == cells["金额"]
    assert "、".join(sorted(outcome["missing"])) == "、".join(sorted(filter(None, cells["缺少的事实"].split("、"))))
    if "计入合计" in cells:
        assert (item["counted"] or "") == cells["计入合计"]
    assert item["explanation"]["zh"]
    assert outcome["trace"] is not None or outcome["status"] == "undetermined"
    return item


def test_the_reasons_of_a_large_file_are_those_of_its_rows(client: TestClient) -> None:
    rows = [list(row) for row in MANY]
    rows[100][3] = "41.23456789%"  # finer than its column: the reference assesses it in the batch, too
    location = submit(client, "r.csv", as_csv(KNOWN, rows))
    told = client.get(f"{location}/rows").json()
    found = rows_of(client, location)
    loose = [row for row in found if row["cells"][0] == name_of(100)]
    sample = [*found[:40], *random.Random(3).sample(found, 160), *loose]
    statuses = {check_row(client, location, told["headers"], row)["outcome"]["status"] for row in sample}
    assert {"triggered", "not_triggered", "undetermined"} <= statuses
    assert not [row for row in found if row["cells"][0] == name_of(7)]  # rejected: in the problems, not in the grid
    assert any(problem["line"] == 9 for problem in client.get(f"{location}/problems").json())
    assert client.get(f"{location}/rows/{len(found)}").status_code == 404
    assert client.get(f"{location}/rows/0", params={"table": 1}).status_code == 404


@pytest.mark.parametrize("count", [20, 6_000])
def test_a_main_table_on_its_own_says_what_was_not_assessed(client: TestClient, count: int) -> None:
    headings = ["企业名称", "规模以上工业企业", "战略性新兴产业", "上年主营业务收入(万元)", "本年主营业务收入(万元)"]
    dice = random.Random(6)
    rows = [[name_of(number), dice.choice(["是", "否", ""]), "否", "4000", dice.choice(["4600.01", "4599", ""])]
            for number in range(count)]
    location = submit(client, "企业.csv", as_csv(headings, rows))
    assert client.get(f"{location}/summary").json().get("large", False) is (count > 20)
    headers = client.get(f"{location}/rows").json()["headers"]
    if count > 20:
        for row in random.Random(4).sample(rows_of(client, location), 60):
            check_row(client, location, headers, row)
    page = client.get(f"/batch/{location.rpartition('/')[2]}", params={"lang": "zh"}).text
    assert "注意：没有提交“已付补助奖励”，按没有计算" in page
    assert "未评“参加展洽会补助”：没有提交参展" in page


def test_of_a_group_the_reasons_tell_which_one_counts(client: TestClient) -> None:
    data = as_xlsx(firms(2_400))
    assert len(data) > LARGE_FROM
    location = submit(client, "firms.xlsx", data)
    assert client.get(f"{location}/summary").json()["large"]
    headers = client.get(f"{location}/rows").json()["headers"]
    found = rows_of(client, location)
    yields = headers.index("就高，按此行计")
    yielding = [row for row in found if row["cells"][yields]]
    assert len(yielding) > 300
    sample = [*random.Random(4).sample(found, 120), *random.Random(4).sample(yielding, 60)]
    for row in sample:
        item = check_row(client, location, headers, row)
        assert (item["yields_to"] is not None) == bool(row["cells"][yields])
    answer = client.get(f"{location}/rows/{yielding[0]['number']}").json()
    highest = next(item for item in answer["items"] if item["position"] == answer["items"][0]["yields_to"])
    assert float(highest["outcome"]["amount"]) >= float(answer["items"][0]["outcome"]["amount"])


def test_the_page_of_a_row_is_the_same_for_files_small_and_large(client: TestClient) -> None:
    """What an officer reads of one department: sentences, clause, what counts; and of a firm, which one counts."""
    shown: dict[str, str] = {}
    for name, data in (("a.csv", as_csv(KNOWN, MANY[:30])), ("b.csv", as_csv(KNOWN, MANY)),
                       ("c.xlsx", as_xlsx(firms(20))), ("d.xlsx", as_xlsx(firms(2_400)))):  # fmt: skip
        location = hand_in(client, name, data)
        words = "就高不重复" if name in ("c.xlsx",) else ""
        page = client.get(location, params={"q": words, "lang": "zh"}).text
        number = page.partition(f'href="{location}/rows/0/')[2].partition('"')[0]
        answer = client.get(f"{location}/rows/0/{number}")
        assert answer.status_code == 200
        part = client.get(f"{location}/rows/0/{number}", params={"part": True}).text
        assert "<html" not in part
        shown[name] = part
        for words in ("依据", "楚政函〔2019〕10号", "这一行填的是", "基准日"):
            assert words in answer.text
            assert words in part
        assert "与本批次不一致" not in part
    assert "就高不重复，按“" in shown["c.xlsx"]
    for name in ("a.csv", "b.csv"):
        assert "下年度公用经费压缩" in shown[name]


def test_reasons_and_corrections_are_for_the_owner_only(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    add_users(settings)
    with client_of(settings) as client:
        sign_in(client, "wang", "wang-long-password")
        client.headers["x-csrf-token"] = csrf_of(client)
        location = hand_in(client, "d.csv", FILES["small.csv"])
        assert client.get(f"{location}/rows/0/0").status_code == 200
    with client_of(settings) as other:
        sign_in(other, "zhao", "zhao-long-password")
        for path in (f"{location}/rows/0/0", f"{location}/rows/0/0?part=true"):
            assert other.get(path).status_code == 404
        assert other.get(f"/api/v1/batches/{location.rpartition('/')[2]}/rows/0").status_code == 404
        sign_in(other, "li", "li-long-password")
        assert other.get(f"{location}/rows/0/0").status_code in (403, 404)


def test_rules_that_changed_meanwhile_explain_nothing(client: TestClient, settings: Settings) -> None:
    location = submit(client, "d.csv", FILES["small.csv"])
    path = settings.batches / location.rpartition("/")[2] / "out" / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    summary["pack"]["digest"] = "another"
    path.write_text(json.dumps(summary), encoding="utf-8")
    answer = client.get(f"{location}/rows/0")
    assert answer.status_code == 409
    assert "重新核算" in answer.json()["detail"]


# Files as they come


def test_faulty_cells_of_a_file_of_lines_are_shown_in_place(client: TestClient) -> None:
    for data in (FILES["small.csv"], FILES["large.csv"]):
        location = hand_in(client, "d.csv", data)
        page = client.get(location, params={"view": "problems", "lang": "zh"}).text
        assert '<th scope="row">9</th>' in page
        assert '<td class="faulty error">7O3<span class="fault">' in page


def test_a_large_workbook_has_results_as_a_workbook_and_beside_its_rows(client: TestClient) -> None:
    from openpyxl import load_workbook

    location = submit(client, "b.xlsx", as_xlsx({"部门": [KNOWN, *MANY]}))
    assert client.get(f"{location}/rows").json()["matching"] < MAX_BOOK
    sheet = load_workbook(io.BytesIO(client.get(f"{location}/files/annotated.xlsx").content))["部门"]
    assert [cell.value for cell in sheet[1]][-3:] == ["结论", "金额（元）", "理由"]
    amounts: dict[str, float] = {}
    headers = client.get(f"{location}/rows").json()["headers"]
    for row in rows_of(client, location):
        cells = dict(zip(headers, row["cells"], strict=True))
        amounts[cells["对象"]] = amounts.get(cells["对象"], 0) + float(cells["计入合计"] or 0)
    for number in (2, 50, 2500):
        assert sheet.cell(number, 9).value == amounts[str(sheet.cell(number, 1).value)]
    book = load_workbook(io.BytesIO(client.get(f"{location}/files/results.xlsx").content), read_only=True)
    assert sum(1 for _ in book.worksheets[0].iter_rows()) == len(rows_of(client, location)) + 1


def test_a_row_beyond_the_calendar_is_told_in_a_large_file(client: TestClient) -> None:
    heading = ["资金文件", "资金类别", "收到日期", "下达日期"]
    rows = [[f"文{number}", "", "2019-02-01", ""] for number in range(16_000)]
    rows[5][2] = "2031-02-01"
    location = submit(client, "fund_documents.csv", as_csv(heading, rows), "2031-12-31")
    summary = client.get(f"{location}/summary").json()
    counts = summary["counts"]
    assert counts["rows_in"] == counts["accepted"] + counts["rejected"] + counts["skipped"]


def test_a_large_file_in_another_encoding_is_read_or_says_where_it_breaks(client: TestClient) -> None:
    location = submit(client, "u.csv", as_csv(KNOWN, MANY, "utf-16"))
    assert client.get(f"{location}/summary").json()["counts"]["rows_in"] == len(MANY)
    mixed = as_csv(KNOWN, MANY) + "乙局,1000,900,,,,200\n".encode("gb18030")
    answer = client.post("/api/v1/batches", params={"filename": "m.csv"}, content=mixed)
    told = finished(client, answer.headers["location"])
    assert told["state"] == "failed"
    assert told["error"]["zh"].startswith(f"第 {len(MANY) + 2} 行：UTF-8")


@pytest.mark.parametrize(("name", "data", "words"), [
    ("empty.xlsx", as_xlsx({"部门": []}), "文件是空的"),
    ("blank.csv", b"\n \n", "文件是空的"),
    ("broken.jsonl", b'{"a":1\n', "JSON 有误"),
    ("broken.parquet", b"PAR1" + b"\0" * 99 + b"PAR1", "读不了"),
])  # fmt: skip
def test_what_is_no_table_says_what_it_is(client: TestClient, name: str, data: bytes, words: str) -> None:
    answer = client.post("/api/v1/batches", params={"filename": name}, content=data)
    told = finished(client, answer.headers["location"])
    assert told["state"] == "failed"
    assert words in told["error"]["zh"]

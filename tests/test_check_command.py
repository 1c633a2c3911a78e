"""`hegui check` as an officer runs it: what it prints, and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import cli

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "rules" / "chuxiong_2019" / "examples"


def hegui(*arguments: str | Path, lang: str = "zh") -> Result:
    return CliRunner().invoke(cli.main, ["--lang", lang, *map(str, arguments)], catch_exceptions=False)


def check_json(*arguments: str | Path) -> dict[str, object]:
    return json.loads(hegui("check", *arguments, "--format", "json").stdout)


def departments(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "departments.csv"
    path.write_text("部门,争取资金任务(万元),实际争取(万元),下年度公用经费(万元)\n" + "\n".join(rows), encoding="utf-8")
    return path


def test_the_budget_cut_of_each_department(tmp_path: Path) -> None:
    path = departments(tmp_path, "甲局,1000,849.999999,200", "乙局,1000,850,200", "丙局,1000,1000,200", "丁局,1000,,200")
    result = hegui("check", path, "--as-of", "2019-12-31")
    assert result.exit_code == 1
    lines = {line.split("│")[1].strip(): line for line in result.stdout.splitlines() if line.startswith("│")}
    assert "200,000.00" in lines["甲局"]
    assert "10%" in lines["甲局"]
    assert "160,000.00" in lines["乙局"]
    assert "8%" in lines["乙局"]
    assert " 0.00 " in lines["丙局"]
    assert "不予处理" in lines["丙局"]
    assert "无法判定" in lines["丁局"]
    assert "缺少：实际争取资金" in lines["丁局"]
    assert "360,000.00" in lines["合计"]
    assert "另有 1 个无法判定，未计入" in lines["合计"]
    assert all("二(二)2(4)三" in lines[name] for name in ("甲局", "乙局", "丙局", "丁局"))
    assert "读入 4 行 = 采用 4 + 退回 0 + 略过 0" in result.stderr


def test_the_example_workbook_gives_one_line_each_and_a_total() -> None:
    found = check_json(EXAMPLES / "departments.xlsx", "--as-of", "2019-12-31")
    by_name = {entry["subject"]: entry["total"] for entry in found["dossiers"]}  # type: ignore[union-attr, index]
    assert len(by_name) == 40
    assert by_name["发展和改革委员会"] == "200000.00"
    assert by_name["教育体育局"] == "160000.00"
    assert by_name["科学技术局"] == "0.00"
    assert by_name["工业和信息化局"] is None
    result = hegui("check", EXAMPLES / "departments.xlsx", "--as-of", "2019-12-31")
    assert result.exit_code == 1
    assert "读入 43 行 = 采用 40 + 退回 0 + 略过 3（空行 1、合计行 1、备注行 1）" in result.stderr


def firm(tmp_path: Path, registered: str = "是", payment: str = "") -> Path:
    path = tmp_path / "firm.yaml"
    path.write_text(f"""
dossier: construction_firms
as_of: 2019-12-31
firm: {{firm_name: 甲公司, registered_in_prefecture: {registered}}}
promotion:
- {{promotion: contractor_second, year: 2019, first_promotion: 是}}
- {{promotion: contractor_first, year: 2019, first_promotion: 是}}
award:
- {{family: 工法, level: 国家级, matter: 甲工法}}
- {{family: 优质工程, level: 国家优质工程奖, matter: 乙项目, role: 施工}}
{payment}""", encoding="utf-8")
    return path


def test_a_firms_rewards_with_the_lower_promotion_shown_and_not_added(tmp_path: Path) -> None:
    result = hegui("check", firm(tmp_path))
    assert result.exit_code == 0
    assert "1,100,000.00" in result.stdout
    lower = next(line for line in result.stdout.splitlines() if "总承包二级" in line and "50,000.00" in line)
    assert "就高不重复" in lower
    assert " 0.00 " in lower
    found = check_json(firm(tmp_path))["dossiers"][0]  # type: ignore[index]
    assert found["total"] == "1100000.00"
    assert [item["counted"] for item in found["items"]] == ["0.00", "300000.00", "300000.00", "500000.00"]
    assert "300,000.00 + 300,000.00 + 500,000.00 = 1,100,000.00" in hegui("check", firm(tmp_path), "--explain").stdout


def test_a_firm_registered_elsewhere_gets_nothing_and_the_clause(tmp_path: Path) -> None:
    result = hegui("check", firm(tmp_path, registered="否"))
    assert "不符合：在本州注册" in result.stdout
    assert "二(四)" in result.stdout
    assert check_json(firm(tmp_path, registered="否"))["dossiers"][0]["total"] == "0.00"  # type: ignore[index]


def test_what_another_policy_paid_leaves_the_higher_only(tmp_path: Path) -> None:
    paid = "payment:\n- {matter_kind: 工法, matter: 甲工法, amount: 10万元}\n"
    items = check_json(firm(tmp_path, payment=paid))["dossiers"][0]["items"]  # type: ignore[index]
    method = next(item for item in items if item["provision"] == "construction.method.reward")
    assert method["amount"] == "200000.00"  # 300,000 in all, 100,000 of it paid already
    more = paid.replace("10万元", "40万元")
    items = check_json(firm(tmp_path, payment=more))["dossiers"][0]["items"]  # type: ignore[index]
    assert next(item for item in items if item["provision"] == "construction.method.reward")["amount"] == "0.00"


def test_a_fund_documents_due_date_and_working_days_overdue(tmp_path: Path) -> None:
    path = tmp_path / "documents.csv"
    path.write_text("文号,资金类别,收文日期,是否下达\n州财1号,已明确项目,2019-01-30,否\n", encoding="utf-8")
    result = hegui("check", path, "--as-of", "2019-02-15")
    assert "2019-02-11" in result.stdout
    assert "逾期4个工作日" in result.stdout
    assert result.exit_code == 1
    assert hegui("check", path, "--as-of", "2019-02-11").exit_code == 0


def test_a_blank_date_is_not_taken_for_undone(tmp_path: Path) -> None:
    path = tmp_path / "documents.csv"
    path.write_text("文号,资金类别,收文日期,下达日期\n州财1号,已明确项目,2019-01-30,\n", encoding="utf-8")
    assert "缺少：已完成" in hegui("check", path, "--as-of", "2019-02-15").stdout


def test_a_total_cut_of_both_kinds_is_added_on_one_base(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("部门,争取资金任务,实际争取,6月支出进度(%),9月支出进度(%),11月支出进度(%),下年度公用经费\n"
                    "甲局,100,80,49.99,75,91.67,1000000\n", encoding="utf-8")
    found = check_json(path, "--as-of", "2019-12-31")["dossiers"][0]  # type: ignore[index]
    assert found["total"] == "130000.00"
    assert {item["provision"].split(".")[-1]: item["counted"] for item in found["items"]} == {
        "fundraising_shortfall": "0.00", "expenditure_progress": "0.00", "combination": "130000.00"}


def test_another_reading_can_be_chosen(tmp_path: Path) -> None:
    path = departments(tmp_path, "甲局,1000,900,200")
    option = "fiscal.budget_cut.fundraising_shortfall:1=2"
    assert "100,000.00" in hegui("check", path, "--as-of", "2019-12-31").stdout
    assert "160,000.00" in hegui("check", path, "--as-of", "2019-12-31", "--reading", option).stdout
    unknown = hegui("check", path, "--as-of", "2019-12-31", "--reading", option.replace("1=2", "9=2"))
    assert unknown.exit_code == 2
    assert "unknown-reading" in unknown.stderr


@pytest.mark.parametrize("form", ["csv", "md", "json", "table"])
def test_piped_output_is_clean(tmp_path: Path, form: str) -> None:
    result = hegui("check", departments(tmp_path, "=cmd(),1000,850,200"), "--as-of", "2019-12-31", "--format", form)
    assert "读入" not in result.stdout
    assert "160" in result.stdout
    if form == "csv":
        assert "\n'=cmd()," in result.stdout


def test_a_workbook_to_send_on(tmp_path: Path) -> None:
    import openpyxl

    target = tmp_path / "out.xlsx"
    result = hegui("check", departments(tmp_path, "=1+1,1000,850,200", "乙局,1000,1000,200"), "--as-of", "2019-12-31",
                   "--format", "xlsx", "-o", target, "--explain")
    assert result.exit_code == 1
    book = openpyxl.load_workbook(target)
    sheet = book["部门公用经费压缩"]
    assert sheet["A2"].value == "=1+1"
    assert sheet["A2"].data_type == "s"
    assert sheet["F2"].value == 160000
    assert sheet.freeze_panes == "B2"
    assert "说明" in book.sheetnames
    assert not list(tmp_path.glob(".out.xlsx*"))


def test_the_name_of_a_file_says_its_form(tmp_path: Path) -> None:
    source, begins = departments(tmp_path, "乙局,1000,1000,200"), {
        "a.xlsx": b"PK", "a.XLSX": b"PK", "a.csv": b"\xef\xbb\xbf", "a.json": b"{", "a.md": b"**", "a.txt": "部".encode(), "a": "部".encode()}
    for name, begin in begins.items():
        assert hegui("check", source, "--as-of", "2019-12-31", "-o", tmp_path / name).exit_code == 0, name
        assert (tmp_path / name).read_bytes().startswith(begin), name
    for name, form in (("b.txt", "csv"), ("b.log", "json"), ("b", "md")):  # a text may be called as one likes
        assert hegui("check", source, "--as-of", "2019-12-31", "-o", tmp_path / name, "--format", form).exit_code == 0


@pytest.mark.parametrize(("name", "form"), [
    ("c.pdf", None), ("c.xls", None), ("c.csv", "xlsx"), ("c.txt", "xlsx"), ("c", "xlsx"), ("c.xlsx", "csv"),
    ("c.xlsx", "table"), ("c.csv", "json"), ("c.json", "md"),
])  # fmt: skip
def test_a_name_that_says_another_form_is_refused(name: str, form: str | None, tmp_path: Path) -> None:
    source = departments(tmp_path, "乙局,1000,1000,200")
    asked = ("--format", form) if form else ()
    for lang in ("zh", "en"):
        result = hegui("--lang", lang, "check", source, "--as-of", "2019-12-31", "-o", tmp_path / name, *asked)
        assert result.exit_code == 2
        assert name in result.stderr or Path(name).suffix in result.stderr
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_many_cases_are_said_to_go_faster_in_a_batch(lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "MANY", 2)
    for rows, said in ((1, False), (2, True)):
        source = departments(tmp_path, *(f"{row}局,1000,1000,200" for row in range(rows)))
        result = hegui("check", source, "--as-of", "2019-12-31", lang=lang)
        assert (result.exit_code, "hegui batch" in result.stderr) == (0, said)


@pytest.mark.parametrize(("name", "word"), [("en_XX.UTF-8", "provisions"), ("zh_XX.GBK", "共"), ("C", "共"), ("POSIX", "共")])
def test_a_locale_that_the_machine_has_not_stops_nothing(name: str, word: str) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "HEGUI_"))}
    found = subprocess.run([sys.executable, "-m", "cli", "rules", "list"], env=clean | {"LC_ALL": name},
                           cwd=Path(cli.__file__).parent, capture_output=True, check=False)  # fmt: skip
    assert found.returncode == 0, found.stderr.decode()
    assert word in found.stdout.decode("utf-8").splitlines()[-1]


def test_a_folder_that_is_gone_is_no_traceback(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = ("import os, sys; os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]); sys.argv[1:2] = []\n"
               f"sys.path.insert(0, {str(ROOT)!r}); import cli; cli.main()")
    for words, code in ((["check", str(EXAMPLES / "budget_cut.yaml")], 1),
                        (["check", str(EXAMPLES / "budget_cut.yaml"), "-o", "x.csv"], 2)):
        found = subprocess.run([sys.executable, "-c", program, str(gone), *words], capture_output=True, text=True, check=False)
        assert (found.returncode, "Traceback" in found.stderr) == (code, False), found.stderr
        gone.mkdir()


def test_reasons_are_not_lost_in_a_csv(tmp_path: Path) -> None:
    source = departments(tmp_path, "乙局,1000,1000,200")
    for asked in (("--format", "csv"), ("-o", tmp_path / "out.csv")):
        result = hegui("check", source, "--as-of", "2019-12-31", "--explain", *asked)
        assert (result.exit_code, "--explain" in result.stderr) == (2, True)
    result = hegui("check", source, "--as-of", "2019-12-31", "--explain", "-o", tmp_path / "out.md")
    assert result.exit_code == 0
    assert "乙局" in (tmp_path / "out.md").read_text(encoding="utf-8").split("|")[-1]


def test_a_result_is_not_written_over_an_input(tmp_path: Path) -> None:
    source = departments(tmp_path, "乙局,1000,1000,200")
    before = source.read_bytes()
    (tmp_path / "link.csv").symlink_to(source)
    for target in (source, tmp_path / "link.csv"):
        result = hegui("check", source, "--as-of", "2019-12-31", "--format", "csv", "-o", target)
        assert (result.exit_code, "output-is-input" in result.stderr) == (2, True)
    assert source.read_bytes() == before


def test_a_failed_run_leaves_the_old_result(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old", encoding="utf-8")
    result = hegui("check", tmp_path / "absent.csv", "--as-of", "2019-12-31", "--format", "csv", "-o", target)
    assert result.exit_code == 2
    assert "absent.csv" in result.stderr


def test_english_speaks_english(tmp_path: Path) -> None:
    result = hegui("check", departments(tmp_path, "A,1000,849.999999,200"), "--as-of", "2019-12-31", "--explain", lang="en")
    assert "triggered" in result.stdout
    assert "completion = funds raised ÷ fundraising task" in result.stdout
    assert "Another reading" in result.stdout


def test_today_is_said_where_no_day_is_given(tmp_path: Path) -> None:
    assert "取今天" in hegui("check", departments(tmp_path, "甲局,1000,850,200")).stderr


def test_a_day_beyond_the_calendar_is_an_error_at_its_row(tmp_path: Path) -> None:
    path = tmp_path / "documents.csv"
    path.write_text("文号,资金类别,收文日期,是否下达\n1号,已明确项目,2035-01-30,否\n2号,已明确项目,2019-01-30,否\n",
                    encoding="utf-8")
    result = hegui("check", path, "--as-of", "2019-02-15")
    assert result.exit_code == 2
    assert "calendar-gap" in result.stderr
    assert "documents.csv:2" in result.stderr
    assert "2号" in result.stdout


def test_every_command_answers_help() -> None:
    for command in ([], ["check"], ["rules"], ["rules", "list"], ["rules", "show"], ["rules", "test"], ["facts"],
                    ["facts", "template"], ["facts", "schema"], ["facts", "validate"]):  # fmt: skip
        assert hegui(*command, "--help").exit_code == 0


def test_provisions_are_found_by_their_words() -> None:
    def found(*words: str) -> list[str]:
        return [one["id"] for one in json.loads(hegui("rules", "list", *words, "--format", "json").stdout)]

    cut = "fiscal.budget_cut.fundraising_shortfall"
    assert set(found("争取资金", "公用经费")) < set(found("公用经费")) < set(found())
    assert cut in found("争取资金", "公用经费")
    assert cut in found("BUDGET", "cut") == found("cut", "budget")
    assert found("没有这样的词") == []
    refused = hegui("rules", "show", "争取资金")
    assert (refused.exit_code, "hegui rules list" in refused.stderr) == (2, True)


def test_rules_list_show_and_test() -> None:
    listed = hegui("rules", "list")
    assert "fiscal.budget_cut.combination" in listed.stdout
    shown = hegui("rules", "show", "fiscal.budget_cut.fundraising_shortfall").stdout
    for word in ("二(二)2(4)三", "[85%..90%)", "归较高一档", "本包所取", "85%"):
        assert word in shown
    assert hegui("rules", "show", "fiscal.budget_cut.fundrasing").exit_code == 2
    tested = hegui("rules", "test", "fiscal.budget_cut")
    assert tested.exit_code == 0
    assert "0 个不符" in tested.stdout


def test_schema_and_template(tmp_path: Path) -> None:
    schema = json.loads(hegui("facts", "schema", "fiscal.budget_cut.fundraising_shortfall").stdout)
    assert "raised_amount" in schema["properties"]
    target = tmp_path / "t.xlsx"
    assert hegui("facts", "template", "departments", "-o", target).exit_code == 0
    assert hegui("facts", "template", "departments", "-o", target.with_suffix(".csv")).exit_code == 2
    assert target.stat().st_size > 5000


def test_validate_lists_every_problem(tmp_path: Path) -> None:
    path = departments(tmp_path, "甲局,1O00,abc,200", "乙局,1000,850,-5")
    result = hegui("facts", "validate", path)
    assert result.exit_code == 2
    assert result.stderr.count("departments.csv:2") >= 2
    assert "departments.csv:3" in result.stderr
    assert "退回 2" in result.stdout


def test_output_survives_a_plain_locale(tmp_path: Path) -> None:
    path = departments(tmp_path, "甲局,1000,850,200")
    run = subprocess.run([sys.executable, "-m", "cli", "check", str(path), "--as-of", "2019-12-31"], cwd=ROOT,
                         capture_output=True, env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": ""}, check=False)
    assert "甲局" in run.stdout.decode()
    assert run.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("asked", [["--help"], ["rules", "list"]])
def test_a_full_disk_is_said_in_a_line(asked: list[str]) -> None:
    """Help as well, which is printed before any command is asked."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "cli", *asked], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=os.environ | {"HEGUI_LANG": "en"}, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == "system-error: the system does not allow it (.): no space left on the disk"

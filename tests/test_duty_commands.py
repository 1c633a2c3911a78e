"""The commands for duties, targets, rules over rows, readings and the text: output, files, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import cli

EXAMPLES = Path(__file__).resolve().parent.parent / "rules" / "chuxiong_2019" / "examples"


def run(*words: str, lang: str = "zh", pack: str = "chuxiong_2019") -> Result:
    return CliRunner().invoke(cli.main, ["--lang", lang, "--pack", pack, *words])


def test_due() -> None:
    result = run("due", "--from", "2019-06-01", "--to", "2019-06-30", "--bureau", "州财政局", "--format", "json")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert {duty["status"] for duty in data["duties"]} == {None}
    assert "fiscal.special_fund.specified_5wd" not in {item["provision"] for item in data["duties"]}


def test_due_with_a_ledger() -> None:
    words = ("due", "--from", "2019-04-01", "--to", "2019-05-31", "--as-of", "2019-06-03", "--ledger",
             str(EXAMPLES / "duty_ledger.xlsx"), "--bureau", "财政局")  # fmt: skip
    result = run(*words)
    assert result.exit_code == 1, result.stderr  # something is late
    assert "逾期完成" in result.stdout
    assert "on time" in run(*words, lang="en").stdout


def test_due_the_wrong_way_round() -> None:
    result = run("due", "--from", "2019-06-01", "--to", "2019-05-31")
    assert (result.exit_code, "bad-window" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("form", "extra"), [("table", ()), ("csv", ()), ("md", ()), ("json", ()), ("table", ("--long",))]
)
def test_targets(form: str, extra: tuple[str, ...]) -> None:
    path = str(EXAMPLES / "targets_2019Q1.xlsx")
    result = run("targets", path, "--period", "2019Q1", "--as-of", "2019-04-20", "--format", form, *extra)
    assert result.exit_code == 1, result.stderr  # some are missed
    assert "大姚县" in result.stdout
    assert "采用 12" in result.stderr


def test_targets_in_a_workbook(tmp_path: Path) -> None:
    out = tmp_path / "out.xlsx"
    path = str(EXAMPLES / "targets_2019Q1.xlsx")
    words = ("targets", path, "--period", "2019Q1", "--as-of", "2019-04-20", "--format", "xlsx")
    assert run(*words).exit_code == 2  # needs a file
    assert run(*words, "-o", str(out)).exit_code == 1
    import openpyxl

    book = openpyxl.load_workbook(out)
    assert len(book.sheetnames) == 3
    assert book.worksheets[0]["A2"].value == "楚雄市"


def test_targets_of_an_unknown_period() -> None:
    result = run("targets", str(EXAMPLES / "targets_2019Q1.xlsx"), "--period", "2031", "--as-of", "2019-04-20")
    assert (result.exit_code, "unknown-period" in result.stderr) == (2, True)


def test_allot() -> None:
    path = str(EXAMPLES / "relief_payments.xlsx")
    result = run("allot", "relief_payments", path, "--as-of", "2019-12-31")
    assert result.exit_code == 0, result.stderr
    assert "33,000.00" in result.stdout
    assert run("allot", "nothing", path, "--as-of", "2019-12-31").exit_code == 2


def test_readings() -> None:
    result = run("rules", "readings", "fiscal.budget_cut", "--format", "md", lang="en")
    assert result.exit_code == 0, result.stderr
    assert "upper bracket (lighter cut)" in result.stdout


def test_trace_source_of_a_text_that_is_another(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("别的文件\n\n一、总则\n", encoding="gb18030")
    result = run("rules", "trace-source", "--text", str(text), "--format", "json")
    assert result.exit_code == 2  # the plans are not there
    assert "plan-not-found" in result.stderr
    assert len(json.loads(result.stdout)["missing"]) > 200

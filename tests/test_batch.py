"""Batches: the same verdict on every row as the row readers and the reference give, at any size and in any block."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import combinations, count, pairwise
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from click.testing import CliRunner

import cli
import facts.batch_files
import facts.blocks
import facts.cell_parser
import facts.csv_source
import facts.lines
from commands.batch import batch as command
from engine.errors import FactError, HeguiError
from engine.files import folder_beside, replacing
from engine.kinds import UNDETERMINED
from engine.load import Pack, load_pack
from engine.outcome import assess
from engine.values import percent_text, yuan_text
from facts.batch import Batch, Options, Summary
from facts.batch_folder import names_of
from facts.columns import Given
from facts.plain_bytes import UNTOLD, delimiters_of, line_starts, lines_and_decimals, oddly_quoted
from facts.reading import read_facts
from facts_helpers import case_by_case

DAY = date(2019, 12, 31)
CUT = "fiscal.budget_cut.fundraising_shortfall"
EXAMPLES = Path(__file__).parents[1] / "rules" / "chuxiong_2019" / "examples"
HEADING = "部门,有无任务,任务数(万元),实际争取(万元),下年公用经费(元)"


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack("chuxiong_2019")


def run(pack: Pack, source: Path, target: Path, **options: object) -> Summary:
    job = Batch(pack, Options(**{"provisions": (CUT,), "as_of": DAY, **options}))  # type: ignore[arg-type]
    try:
        return job.run(source, target, target.with_name("problems.csv"))
    finally:
        job.close()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# The same verdict as row by row

CELLS = {
    0: ["教育局", "民政局", "a", "合计", "总计：", "备注", "说明", " 空格 ", "设计院", "=1+1", "-", "", "未知", "ＡＢ", "注：略"],
    1: ["是", "否", "是", "是", "有", "1", "true", "√", "", "-", "maybe", " 是", "是\u3000", "0"],
    2: ["1000", "1000.5", "849.999999", "849.9999999", "0", "", "—", "1,000", "１２", "1e5", "12亿", "-3", "+5", "007",
        "1.", ".5", "12 ", "100000000000000", "nan", "1000000000.000001"],
    3: ["850", "849.99", "900", "950", "1000", "", "未知", "899.999999", "8.5E+02", "#N/A", "(3)"],
    4: ["2000000", "2000000.01", "2000000.001", "", "20万", "2,000,000.00", "0.01", "10000000000.01"],
}


def messy_csv(count: int, chance: random.Random, plain: float, quoted: float = 0.02) -> str:
    """Rows most of whose cells are written plainly, and all kinds of others; a share of the cells is quoted."""
    lines = [HEADING]
    for _ in range(count):
        cells = []
        for column in range(5):
            usual = CELLS[column][:3]
            cells.append(chance.choice(usual if chance.random() < plain else CELLS[column]))
        line = ",".join(f'"{cell}"' if "," in cell or chance.random() < quoted else cell for cell in cells)
        pick = chance.random()
        if pick < 0.01:
            line = ""
        elif pick < 0.02:
            line += ",extra"
        elif pick < 0.03:
            line = line.rsplit(",", 1)[0]
        elif pick < 0.035:
            line = HEADING
        elif pick < 0.04:
            line = '"第一行\n第二行",是,1000,900,5'
        elif pick < 0.043:
            line = '"x"y,是,1000,900,5'
        elif pick < 0.046:
            line = '"甲""乙""",是,"1000",900,5'
        elif pick < 0.048:
            line = '甲"乙,是,1000,"900",5'
        elif pick < 0.049:
            line = '甲"乙,是,1000,900,"5'
        lines.append(line)
    return "\n".join(lines) + "\n"


def by_rows(pack: Pack, path: Path) -> tuple[list[tuple[int, str, str, str, str]], dict[str, int], dict[str, int], int]:
    """What the row readers and the reference make of a file: outcomes by line, rejected, skipped, rows in."""
    submission = read_facts([path], dossiers={}, provision=pack.find, record=CUT)
    counts = submission.counts
    found = []
    for one in submission.flat:
        outcome = assess(pack.provision(CUT), one.inputs, DAY)
        amount = outcome.values.get("amount")
        rate = outcome.values.get("rate")
        found.append((one.at.line or 0, outcome.status, "" if amount is None else yuan_text(amount),  # type: ignore[arg-type]
                      "" if rate is None else percent_text(rate), "、".join(outcome.missing)))  # type: ignore[arg-type]
    return found, dict(counts.rejected_by), dict(counts.skipped_by), counts.rows_in


def by_batch(path: Path, summary: Summary) -> tuple[list[tuple[int, str, str, str, str]], dict[str, int], dict[str, int], int]:
    found = [(int(row["row"]), row["status"], row["amount"], row["rate_percent"], row["missing"]) for row in rows_of(path)]
    return found, dict(summary.rejected), dict(summary.skipped), summary.rows_in


@pytest.mark.parametrize("seed", range(14))
def test_a_csv_reads_as_it_does_row_by_row(pack: Pack, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(facts.blocks, "SMALLEST", chance.choice([100, 2_000, 60_000]))
    source = tmp_path / "in.csv"
    source.write_text(messy_csv(
        400, chance, 0.6 if seed % 6 < 3 else 0.97, (0.02, 0.5, 1.0)[seed // 6]), encoding="utf-8")
    blocks = facts.csv_source.Source.blocks
    size = chance.choice([300, 3_000, 1 << 20])
    monkeypatch.setattr(facts.csv_source.Source, "blocks", lambda self, _=0: blocks(self, size))
    summary = run(pack, source, tmp_path / "out.csv")
    assert by_batch(tmp_path / "out.csv", summary) == by_rows(pack, source)
    problems = {(problem.code, problem.location.line) for problem in summary.problems if problem.severity == "error"}
    wanted = {(problem.code, problem.location.line) for problem in read_facts(
        [source], dossiers={}, provision=pack.find, record=CUT).problems if problem.severity == "error"}
    assert problems == wanted


ODD_NUMBERS = ["1000", "1.", ".5", "+5", "007.5", " 12", "0", "-0.0", "-3", "-0.01", "1000.500000", "850.1234567", "8.5e2",
               "1E3", "1.e1", "999999999999.999999", "1000000000000", "99999999999999999999", "", "0.000001"]


@pytest.mark.parametrize("number", ODD_NUMBERS)
def test_numbers_the_parser_reads_are_read_as_cell_by_cell(
        pack: Pack, tmp_path: Path, number: str) -> None:
    """Every way to write a number that the CSV parser takes: same value, or left to the row reader."""
    source = tmp_path / "in.csv"
    lines = [HEADING, "甲,是,1000,900,200", f"乙,是,{number},1,200", f"丙,是,1000,{number},200", f"丁,是,1,1,{number}"]
    source.write_text("\n".join(lines * 2) + "\n", encoding="utf-8")
    summary = run(pack, source, tmp_path / "out.csv")
    assert by_batch(tmp_path / "out.csv", summary) == by_rows(pack, source)
    shown = [str(problem.fields.get("value")) for problem in summary.problems]
    wanted = [str(problem.fields.get("value")) for problem in read_facts(
        [source], dossiers={}, provision=pack.find, record=CUT).problems]
    assert shown == wanted


@pytest.mark.parametrize("heading", ["base_rate_on_signing(%)", "base_rate_on_signing"])
@pytest.mark.parametrize("number", [*ODD_NUMBERS, "2", "1.9999", "1.99999", "2.0", "0.5", "1", "0.0", "100", "100.0001", "50%"])
def test_rates_and_counts_the_parser_reads_are_read_as_cell_by_cell(
        pack: Pack, tmp_path: Path, number: str, heading: str) -> None:
    loan = "employment.startup_loan.interest_small_enterprise"
    source = tmp_path / "in.csv"
    lines = [f"名称,has_startup_loan,principal,{heading},months_in_original_term,extension_months",
             "甲,是,1000,5,12,1", f"乙,是,1000,{number},12,1", f"丙,是,1000,5,{number},1", f"丁,是,1000,5,12,{number}"]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    summary = run(pack, source, tmp_path / "out.csv", provisions=(loan,))
    submission = read_facts([source], dossiers={}, provision=pack.find, record=loan)
    outcomes = {one.at.line: assess(pack.provision(loan), one.inputs, DAY) for one in submission.flat}
    assert {int(row["row"]): (row["status"], row["missing"]) for row in rows_of(tmp_path / "out.csv")} == {
        line: (one.status, "、".join(one.missing)) for line, one in outcomes.items()}
    assert {int(row["row"]): row["amount"] for row in rows_of(tmp_path / "out.csv") if row["amount"]} == {
        line: yuan_text(one.values["amount"]) for line, one in outcomes.items() if "amount" in one.values}  # type: ignore[arg-type]
    assert sorted((problem.code, problem.location.line) for problem in summary.problems) == sorted(
        (problem.code, problem.location.line) for problem in submission.problems)


def test_lines_whose_quotes_do_more_than_enclose_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ['"a","b"', "a,b", '"a""b",c', 'a"b,c', '"a,b"', '"a"x,"b"', 'a,"b', '""', 'x,"a"\r', '"a", "b"', '"end"']
    for part in (1, 20, 1 << 17):
        monkeypatch.setattr("facts.plain_bytes._PART", part)
        assert oddly_quoted("\n".join(lines).encode(), b",") == [2, 3, 5, 6, 9]
        assert oddly_quoted(b"\n\n" + "\n".join(lines).encode() + b"\n\n", b",") == [4, 5, 7, 8, 11]
    assert oddly_quoted(b"a\n", b",") == oddly_quoted(b"", b",") == []
    assert delimiters_of(b'"a,b",c\nd,"e"', b",") == 2


@pytest.mark.parametrize(("columns", "name", "said"), [
    ({"部门": "教育局"}, "教育局", []),
    ({"序号": "7", "部门": "教育局"}, "教育局", []),
    ({"备注栏": "另报", "部门": "教育局"}, "教育局", ["unrecognised-column"]),
    ({"备注栏": "另报"}, "另报", ["column-names-rows"]),
    ({"序号": "7"}, "7", []),
    ({}, None, []),
])
def test_rows_are_called_by_a_column_that_is_no_fact(
        pack: Pack, tmp_path: Path, columns: dict[str, str], name: str | None, said: list[str]) -> None:
    """In a batch of either kind of file and in a check; only a column that is not called like a name is remarked on."""
    source = tmp_path / "in.csv"
    rows = [[*columns, *HEADING.split(",")[1:]], *[[*columns.values(), "是", "1000", "900", "200"]] * 2]
    source.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    summary = run(pack, source, tmp_path / "out.csv")
    submission = read_facts([source], dossiers={}, provision=pack.find, record=CUT)
    assert [row["subject"] or None for row in rows_of(tmp_path / "out.csv")] == [name] * 2
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)  # type: ignore[union-attr]  # a new workbook has a sheet
    book.save(tmp_path / "in.xlsx")
    run(pack, tmp_path / "in.xlsx", tmp_path / "book.csv")
    assert [row["subject"] or None for row in rows_of(tmp_path / "book.csv")] == [name] * 2
    assert [case.label for case in submission.flat] == [name or ""] * 2
    shown = CliRunner().invoke(cli.main, ["--lang", "zh", "check", str(source), "--record", CUT, "--as-of", "2019-12-31"])
    assert f"│ {name or '第3行'} " in shown.stdout
    assert [problem.code for problem in summary.problems] == [one.code for one in submission.problems] == said


def test_a_fact_that_is_not_recognised_is_not_passed_over_as_a_name(pack: Pack, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("部门任务数,有无任务,实际争取(万元),下年公用经费(元)\n1000,是,900,200\n", encoding="utf-8")
    summary = run(pack, source, tmp_path / "out.csv")
    assert [problem.code for problem in summary.problems] == ["column-names-rows"]
    assert "任务数" in summary.problems[0].help("zh") + str(summary.problems[0].fields)
    assert [row["status"] for row in rows_of(tmp_path / "out.csv")] == [UNDETERMINED]


def test_what_bytes_tell_of_lines_and_decimals() -> None:
    chance = random.Random(7)
    texts = ["", ".", "1.5", "1.25\n", ".123", "1..25", "1.2.345", "1.5e", "e5", "E.5", "5E-3", "abc.e", "万元,2.10\r\n,"]
    texts += ["".join(chance.choices(".0129eE,a\n", k=chance.randint(1, 40))) for _ in range(2_000)]
    for text in texts:
        data = text.encode()
        longest = max((len(digits) for digits in re.findall(r"\.([0-9]*)", text)), default=0)
        assert lines_and_decimals(data) == (
            text.count("\n"), UNTOLD if re.search(r"[0-9.][eE]", text) else longest), text
        lines = [data[start:end] for start, end in pairwise(line_starts(data))]
        assert lines == [line for line in re.split(rb"(?<=\n)", data) if line] or not data
    assert lines_and_decimals(b"0." + b"1" * 300) == (0, UNTOLD)


def test_a_plain_csv_is_assessed_without_numpy(tmp_path: Path) -> None:
    """It takes a good part of the time that a small batch takes to be loaded."""
    (tmp_path / "in.csv").write_text("\n".join([HEADING, *("甲,是,1000.5,900,200.25",) * 5_000]) + "\n", encoding="utf-8")
    code = ("import sys, cli\ntry:\n    cli.main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code, end\n"
            "print('numpy' in sys.modules)")
    arguments = ["batch", "in.csv", "-o", "out.csv", "--provision", CUT, "--as-of", "2019-12-31"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path,
                          env=os.environ | {"PYTHONPATH": str(Path(cli.__file__).parent)}, check=True)
    assert done.stdout.strip() == "False"


def test_plain_blocks_are_read_by_the_parser_itself(
        pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers as decimals, all else as texts; a bad cell costs one block only."""
    source = tmp_path / "in.csv"
    rows = [f"{name},是,{task},900.5,200.25" for task in (1000, 1000.25) for name in "甲乙丙丁" * 20]
    source.write_text("\n".join([HEADING, *rows, "戊,是,缺,900.5,200.25", *rows]) + "\n", encoding="utf-8")
    blocks, parse = facts.csv_source.Source.blocks, facts.cell_parser.CellParser._parse
    monkeypatch.setattr(facts.csv_source.Source, "blocks", lambda self, _=0: blocks(self, 1_000))
    taken: list[str] = []

    def watched(self: Any, data: bytes, types: Any, quoted: bool) -> pl.DataFrame | None:
        found = parse(self, data, types, quoted)
        kinds = {kind.base_type() for kind in types}
        taken.append(("" if found is not None else "no ") + "+".join(sorted(str(kind) for kind in kinds)))
        return found

    monkeypatch.setattr(facts.cell_parser.CellParser, "_parse", watched)
    summary = run(pack, source, tmp_path / "out.csv", workers=1)
    assert (summary.evaluated, dict(summary.rejected)) == (320, {"cell": 1})
    assert taken.count("no Decimal+String") == 1
    assert taken.count("Decimal+String") > len(taken) // 2


def test_whole_numbers_are_read_as_such_until_one_has_decimals(
        pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.csv"
    rows = [f"甲{number},是,1000,{840 + number % 120},200" for number in range(facts.blocks.SAMPLED_ROWS + 100)]
    odd = ["乙,是,1000,849.99,200", "丙,是,1000,850.00,200", "丁,是,+1000,850,200", "戊,是,1000, 850,200",
           "己,是,99999999999999999999,1,200", "庚,是,1000,-1,200", "辛,是,1000,,200", "壬,是,1000,1e3,200"]
    source.write_text("\n".join([HEADING, *rows, *odd, *rows[:200]]) + "\n", encoding="utf-8")
    blocks, parse = facts.csv_source.Source.blocks, facts.cell_parser.CellParser._parse
    monkeypatch.setattr(facts.csv_source.Source, "blocks", lambda self, _=0: blocks(self, 5_000))
    as_whole: list[bool] = []

    def watched(self: Any, data: bytes, types: Any, quoted: bool) -> pl.DataFrame | None:
        found = parse(self, data, types, quoted)
        if pl.Int64() in types:
            as_whole.append(found is not None)
        return found

    monkeypatch.setattr(facts.cell_parser.CellParser, "_parse", watched)
    summary = run(pack, source, tmp_path / "out.csv", workers=1)
    assert by_batch(tmp_path / "out.csv", summary) == by_rows(pack, source)
    assert as_whole.count(False) in (1, 2)  # the blocks in which the odd ones are
    assert as_whole.count(True) > 8


@pytest.mark.parametrize("ends", ["\r", "\r\n", "\n\r", "\n\n\r\n", "\r\r\n"])
def test_lines_end_in_every_way(pack: Pack, tmp_path: Path, ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A carriage return alone ends a line too, whether all do or one among others."""
    blocks = facts.csv_source.Source.blocks
    monkeypatch.setattr(facts.csv_source.Source, "blocks", lambda self, _=0: blocks(self, 300))
    monkeypatch.setattr(facts.lines, "HEAD", 500)
    lines = [HEADING, *(f"甲{number},是,1000,{880 + number},200" for number in range(30)), '"乙\r丙",是,1000,1,5', "丁,是,1,x,5"]
    kinds = [ends] if ends == "\r" else list(ends.replace("\r\n", "w"))
    source = tmp_path / "in.csv"
    source.write_bytes("".join(
        line + kinds[place % len(kinds)].replace("w", "\r\n") for place, line in enumerate(lines)).encode())
    summary = run(pack, source, tmp_path / "out.csv")
    assert by_batch(tmp_path / "out.csv", summary) == by_rows(pack, source)
    assert summary.evaluated == 31


@pytest.mark.parametrize("below", ["", "\n", "合计,,1000,900,200\n"])
def test_a_heading_without_rows_is_said_to_be_one(pack: Pack, tmp_path: Path, below: str) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f"{HEADING}\n{below}", encoding="utf-8")
    summary = run(pack, source, tmp_path / "out.csv")
    assert [(one.code, one.severity) for one in summary.problems][-1] == ("no-rows", "warning")


def test_a_heading_may_be_longer_than_what_is_looked_at_first(pack: Pack, tmp_path: Path) -> None:
    """A heading of thousands of columns, over two rows."""
    more = [f"备用{number}" for number in range(8_000)]
    path, target = tmp_path / "wide.csv", tmp_path / "out.csv"
    lines = [["支出"] * 8_004, ["has_task", "task_amount(元)", "raised_amount(元)", "next_year_public_funds(元)", *more],
             *([["是", "100", str(raised), "1000"] + ["1"] * 8_000 for raised in (84, 85, 100)])]
    path.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    assert path.stat().st_size > 2 * facts.lines.HEAD
    summary = run(pack, path, target)
    assert summary.evaluated == 3
    assert [row["rate_percent"] for row in rows_of(target)] == ["10", "8", "0"]


def test_gb18030_and_marks_read_alike(pack: Pack, tmp_path: Path) -> None:
    text = messy_csv(300, random.Random(9), 0.9)
    results = set()
    for name, encoding in (("a", "utf-8"), ("b", "utf-8-sig"), ("c", "gb18030"), ("d", "utf-16"), ("e", "utf-16-be")):
        source = tmp_path / f"{name}.csv"
        source.write_bytes((text if encoding != "utf-16-be" else "\ufeff" + text).encode(encoding))
        run(pack, source, tmp_path / f"{name}.out.csv")
        results.add((tmp_path / f"{name}.out.csv").read_bytes())
    assert len(results) == 1


def test_a_program_leaves_nothing_behind(tmp_path: Path) -> None:
    """It ends without Python's own clearing up; the copy that UTF-16 is read from is gone all the same."""
    source, own = tmp_path / "in.csv", tmp_path / "own"
    own.mkdir()
    source.write_bytes(f"{HEADING}\n甲,是,1000,840,200\n乙,是,1000,x,200\n".encode("utf-16"))
    done = subprocess.run(
        [sys.executable, "-m", "cli", "--lang", "zh", "batch", str(source), "-o", str(tmp_path / "out.csv"), "--provision", CUT,
         "--as-of", "2019-12-31"], capture_output=True, text=True, env={**os.environ, "TMPDIR": str(own)}, check=False)
    assert (done.returncode, rows_of(tmp_path / "out.csv")[0]["rate_percent"]) == (2, "10")
    assert "读入 2 行 = 已评 1 + 退回 1" in done.stderr
    assert list(own.iterdir()) == []


def test_ascii_at_first_and_gb18030_later(pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts.lines, "HEAD", 200)
    heading = "name,has_task,task_amount,raised_amount,next_year_public_funds"
    lines = [heading, *["x,1,1000,900,200"] * 50, "教育局,是,1000,900,200"]
    source = tmp_path / "in.csv"
    source.write_bytes("\n".join(lines).encode("gb18030"))
    summary = run(pack, source, tmp_path / "out.csv")
    assert (summary.evaluated, rows_of(tmp_path / "out.csv")[-1]["subject"]) == (51, "教育局")


@pytest.mark.parametrize("heading", [HEADING, "name,has_task,task_amount,raised_amount,next_year_public_funds"])
@pytest.mark.parametrize("place", [2, 40])
def test_a_damaged_byte_is_said_with_its_line(
        pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heading: str, place: int) -> None:
    """Neither at the beginning of a file nor behind it is a damaged UTF-8 file read as GB18030."""
    monkeypatch.setattr(facts.lines, "HEAD", 200)
    lines = [line.encode() for line in [heading, *["x,1,1000,900,200"] * 30, *["财政局,是,1000,900,200"] * 30]]
    lines[place] = "财政".encode() + b"\xe5\xb1" + b",1,1000,849,200"
    source = tmp_path / "in.csv"
    source.write_bytes(b"\n".join(lines))
    with pytest.raises(FactError) as caught:
        run(pack, source, tmp_path / "out.csv")
    assert [(one.code, one.location.line, one.fields["offset"]) for one in caught.value.problems] == [
        ("broken-utf8", place + 1, len("财政".encode()) + 1)]
    assert not (tmp_path / "out.csv").exists()


def test_a_blank_is_what_strip_takes_away() -> None:
    assert "".join(filter(str.isspace, map(chr, range(sys.maxunicode + 1)))) == facts.column_reader.BLANKS


def test_names_are_written_as_they_are_or_with_care(pack: Pack, tmp_path: Path) -> None:
    """Blanks around a name are cut off, quotes and formulas are written safely, beside names that need none of it."""
    names = ["财政局", " 教育局 ", '"a,b"', "+1", "审计局", "x局"]
    source = tmp_path / "in.csv"
    source.write_text("\n".join([HEADING, *(f"{name},是,1000,900,5" for name in names), "合计,,,,", HEADING]) + "\n",
                      encoding="utf-8")
    summary = run(pack, source, tmp_path / "out.csv")
    assert [row["subject"] for row in rows_of(tmp_path / "out.csv")] == ["财政局", "教育局", "a,b", "'+1", "审计局", "x局"]
    assert summary.skipped.total() == 2


@pytest.mark.parametrize("words", [["否", ""], ["是", ""], ["是", "否", ""], [""], ["", "是", "1", "否", "N", "有", "无"]])
def test_a_blank_is_never_no(pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """Whatever else stands in its column, a blank yes or no is unknown; in each block, the first and later ones."""
    blocks = facts.csv_source.Source.blocks
    monkeypatch.setattr(facts.csv_source.Source, "blocks", lambda self, _=0: blocks(self, 600))
    cells = words * 40
    source = tmp_path / "in.csv"
    source.write_text("\n".join([HEADING, *(f"甲,{word},1000,900,5" for word in cells)]) + "\n", encoding="utf-8")
    run(pack, source, tmp_path / "out.csv", workers=1)
    yes = {"是", "1", "有"}
    assert [row["status"] for row in rows_of(tmp_path / "out.csv")] == [
        "undetermined" if not word else "triggered" if word in yes else "not_applicable" for word in cells]


def test_days_of_many_years_and_of_few(pack: Pack, tmp_path: Path) -> None:
    """A date is written the same whether its column has few distinct ones or not."""
    identity = "fiscal.special_fund.specified_5wd"
    heading = ",".join(field.label.zh for field in pack.provision(identity).facts.values())
    of = pack.provision(identity).facts
    written = {}
    for name, days in (("few", ["2019-03-04", "2019-03-05"] * 40), ("one", ["2019-03-04"])):
        source = tmp_path / f"{name}.csv"
        cells = [",".join({"submitted": "否", "submitted_on": ""}.get(fact, day) for fact in of) for day in days]
        source.write_text("\n".join(["单位," + heading, *(f"甲{n},{line}" for n, line in enumerate(cells))]) + "\n",
                          encoding="utf-8")
        run(pack, source, tmp_path / f"{name}.out.csv", provisions=(identity,))
        written[name] = [row["due_date"] for row in rows_of(tmp_path / f"{name}.out.csv")]
    assert written == {"few": ["2019-03-11", "2019-03-12"] * 40, "one": ["2019-03-11"]}


def test_the_account_adds_up(pack: Pack, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(messy_csv(500, random.Random(4), 0.7), encoding="utf-8")
    summary = run(pack, source, tmp_path / "out.csv")
    summary.check()
    assert summary.evaluated == len(rows_of(tmp_path / "out.csv")) == summary.sums.statuses[CUT].total()
    amounts = sum(Decimal(row["amount"]) for row in rows_of(tmp_path / "out.csv") if row["amount"])
    assert amounts * 100 == summary.sums.money[CUT]["amount"]


def test_a_name_never_becomes_a_formula(pack: Pack, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f"{HEADING}\n=cmd|' /C calc'!A0,是,1000,900,5\n@x,是,1000,900,5\n", encoding="utf-8")
    run(pack, source, tmp_path / "out.csv")
    assert [row["subject"][:2] for row in rows_of(tmp_path / "out.csv")] == ["'=", "'@"]


# Formats


def test_every_format_in_and_out_says_the_same(pack: Pack, tmp_path: Path) -> None:
    table = pl.DataFrame({"部门": ["甲", "乙", "丙"], "有无任务": ["是", "否", "是"], "任务数(万元)": ["1000", "", "1000"],
                          "实际争取(万元)": ["849.99", "", ""], "下年公用经费(元)": ["2000000.01", "5", "7"]})
    table.write_csv(tmp_path / "in.csv")
    table.write_parquet(tmp_path / "in.parquet")
    table.write_ndjson(tmp_path / "in.jsonl")
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (table.columns, *([cell or None for cell in row] for row in table.rows())):
        book.active.append(list(row))
    book.save(tmp_path / "in.xlsx")
    wanted = [("triggered", "200000.00"), ("not_applicable", None), (UNDETERMINED, None)]
    for suffix, form in (("csv", "csv"), ("csv", "parquet"), ("csv", "jsonl"), ("csv", "xlsx"), ("parquet", "csv"),
                         ("jsonl", "csv"), ("xlsx", "jsonl")):
        target = tmp_path / f"out_{suffix}.{form}"
        run(pack, tmp_path / f"in.{suffix}", target)
        assert statuses_and_amounts(target) == wanted, (suffix, form)


def statuses_and_amounts(path: Path) -> list[tuple[str, str | None]]:
    match path.suffix:
        case ".csv":
            return [(row["status"], row["amount"] or None) for row in rows_of(path)]
        case ".parquet":
            frame = pl.read_parquet(path)
            return [(row["status"], None if row["amount"] is None else str(row["amount"])) for row in frame.to_dicts()]
        case ".jsonl":
            found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            return [(row["status"], row["amount"]) for row in found]
    sheet = openpyxl.load_workbook(path).worksheets[0]
    head = [cell.value for cell in sheet[1]]
    status, amount = head.index("结论代码"), head.index("金额（元）")
    assert sheet.freeze_panes == "C2"
    return [(str(row[status]), None if row[amount] is None else f"{row[amount]:.2f}")
            for row in sheet.iter_rows(min_row=2, values_only=True)]


def test_a_broken_line_of_json_is_a_rejected_row(pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"has_task": true, "task_amount": 100}\n{oops\n\n[1]\n', encoding="utf-8")
    summary = run(pack, tmp_path / "in.jsonl", tmp_path / "out.csv")
    assert (summary.rows_in, summary.evaluated, dict(summary.rejected), dict(summary.skipped)) == (
        4, 1, {"row": 2}, {"blank": 1})
    assert [(p.code, p.location.line) for p in summary.problems if p.severity == "error"] == [
        ("json-syntax", 2), ("json-syntax", 4)]


def test_the_workbook_out_has_summary_and_clauses(pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(f"{HEADING}\n甲,是,1000,849,5\n", encoding="utf-8")
    run(pack, tmp_path / "in.csv", tmp_path / "out.xlsx")
    book = openpyxl.load_workbook(tmp_path / "out.xlsx")
    assert book.sheetnames == ["结果", "汇总", "依据"]
    assert book["依据"]["A2"].value == CUT
    assert book["结果"].auto_filter.ref is not None


def test_faulty_cells_of_a_workbook_are_marked(pack: Pack, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (HEADING.split(","), ["甲", "是", "一千", 900, 5], ["乙", "是", 1000, 900, 5]):
        book.active.append(row)
    book.save(tmp_path / "in.xlsx")
    summary = run(pack, tmp_path / "in.xlsx", tmp_path / "out.xlsx", annotate=True)
    assert (summary.rows_in, summary.evaluated, summary.rejected.total()) == (2, 1, 1)
    marked = openpyxl.load_workbook(tmp_path / "in.annotated.xlsx").worksheets[0]["C2"]
    assert marked.comment is not None
    assert "一千" in marked.comment.text
    with (tmp_path / "problems.csv").open(encoding="utf-8-sig") as file:
        assert any("C2" in line and "一千" in line for line in file)


# Dossiers


def test_one_row_a_submission_with_columns_for_each_provision(pack: Pack, tmp_path: Path) -> None:
    source = Path("rules/chuxiong_2019/examples/departments.xlsx")
    summary = run(pack, source, tmp_path / "wide.csv", provisions=(), shape="wide")
    rows = rows_of(tmp_path / "wide.csv")
    assert len(rows) == summary.evaluated
    assert f"{CUT}:status" in rows[0]


@pytest.mark.parametrize("name", ["construction_firms", "departments", "fund_documents", "industrial_firms"])
def test_a_dossier_comes_to_what_it_does_case_by_case(pack: Pack, tmp_path: Path, name: str) -> None:
    source = Path(f"rules/chuxiong_2019/examples/{name}.xlsx")
    run(pack, source, tmp_path / "out.csv", provisions=())
    submission = read_facts([source], dossiers=pack.dossiers, provision=pack.find)
    dossier = pack.dossiers[name]
    wanted: list[tuple[str, str, str | None]] = []
    for _, found in case_by_case(pack, submission, DAY):
        wanted += [(item.matter.provision, item.outcome.status, None if item.paid is None else yuan_text(item.paid))
                   for item in found.items]
    got = [(row["provision"], row["status"], row.get("counted") or None) for row in rows_of(tmp_path / "out.csv")]
    if dossier.total is None:
        wanted = [(provision, status, None) for provision, status, _ in wanted]
    assert got == wanted


DEPARTMENT_CELLS = {
    "部门": "甲局", "一级部门": "是", "有争取资金任务": "是", "争取资金任务（万元）": "1000", "实际争取（万元）": "900",
    "争取资金情况": "", "州级预算单位": "是", "6月支出进度": "41%", "9月支出进度": "80%", "11月支出进度": "90%",
    "下年度公用经费（万元）": "200"}  # fmt: skip


@pytest.mark.parametrize("blank", [(), *combinations(list(DEPARTMENT_CELLS)[1:], 1), ("有争取资金任务", "实际争取（万元）")], ids="、".join)
def test_a_column_of_blanks_in_a_dossier(pack: Pack, tmp_path: Path, blank: tuple[str, ...]) -> None:
    """A fact that no row of a block gives is unknown in the conditions of matters too."""
    rows = [{**DEPARTMENT_CELLS, "部门": f"{number}局", "州级预算单位": word}
            for number, word in enumerate(["是", "否", ""])]
    source = tmp_path / "departments.csv"
    lines = [",".join("" if name in blank else cell for name, cell in row.items()) for row in rows]
    source.write_text("\n".join([",".join(DEPARTMENT_CELLS), *lines]) + "\n", encoding="utf-8")
    run(pack, source, tmp_path / "out.csv", provisions=())
    submission = read_facts([source], dossiers=pack.dossiers, provision=pack.find)
    wanted = [(item.matter.provision, item.outcome.status, "、".join(item.outcome.missing) or None,
               None if item.paid is None else yuan_text(item.paid))
              for _, found in case_by_case(pack, submission, DAY) for item in found.items]
    assert [(row["provision"], row["status"], row["missing"] or None, row["counted"] or None)
            for row in rows_of(tmp_path / "out.csv")] == wanted


@pytest.mark.parametrize("shape", ["long", "wide"])
def test_a_row_finer_than_its_columns_counts_as_the_others_do(pack: Pack, tmp_path: Path, shape: str) -> None:
    """A share with eight decimals is no longer what a column holds; the reference takes the row, in a dossier too."""
    source = tmp_path / "departments.csv"
    heading = "部门,争取资金任务（万元）,实际争取（万元）,6月支出进度,9月支出进度,11月支出进度,下年度公用经费（万元）"
    rows = ["甲局,1000,900,41.23456789%,80%,90%,200", "乙局,1000,900,41%,80%,90%,200", "丙局,1000,,41.23456789%,80%,90%,200"]
    source.write_text("\n".join([heading, *rows]), encoding="utf-8")
    found = run(pack, source, tmp_path / "out.csv", provisions=(), shape=shape)
    assert found.evaluated == 3
    assert found.sums.counted["fiscal.budget_cut.combination"] == 2 * 220_000_00
    told = [{name: text for name, text in row.items() if name not in ("row", "subject")} for row in rows_of(tmp_path / "out.csv")]
    count = len(told) // 3
    assert told[:count] == told[count : 2 * count]
    assert any("raised_amount" in text for row in told[2 * count :] for text in row.values())


def test_columns_given_by_hand_are_read_in_blocks_as_in_whole_files(pack: Pack, tmp_path: Path) -> None:
    given = {"departments.department": {
        "今年目标": Given("task_amount", "万元"), "实际争取": Given(unit="万元"), "说明": Given("")}}  # fmt: skip
    heading, row = "部门,今年目标,实际争取,说明,下年度公用经费（万元）", ["甲局", "1000", "900", "实际争取9万", "200"]
    (tmp_path / "a.csv").write_text(heading + "\n" + ",".join(row), encoding="utf-8")
    pl.DataFrame([row], schema=heading.split(","), orient="row").write_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text(json.dumps(dict(zip(heading.split(","), row, strict=True))), encoding="utf-8")
    book = openpyxl.Workbook()
    for cells in (heading.split(","), row):
        book.active.append(cells)
    book.save(tmp_path / "a.xlsx")
    for suffix in ("csv", "parquet", "jsonl", "xlsx"):
        out = tmp_path / "out.csv"
        summary = run(pack, tmp_path / f"a.{suffix}", out, provisions=(), record="departments.department", given=given)
        assert {row["counted"] for row in rows_of(out)} >= {"100000.00"}
        [table] = summary.tables
        assert [(one.field, one.unit_by_hand) for one in table.columns][1:4] == [
            ("task_amount", True), ("raised_amount", True), (None, False)]  # fmt: skip
        assert (table.rows_in, table.accepted) == (1, 1)


@pytest.mark.parametrize("seed", range(6))
def test_a_subject_named_twice_is_refused_as_where_rows_are_joined(
        pack: Pack, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Width, case and blanks of a name do not matter; numbers finer than a column and bad cells among them."""
    chance = random.Random(seed)
    blocks = facts.csv_source.Source.blocks
    monkeypatch.setattr(facts.csv_source.Source, "blocks", lambda self, _=0: blocks(self, 400))
    names = [f"{name}{chance.choice(['', ' ', '局'])}" for name in "甲乙丙ＡaA" for _ in range(3)] + ["", "合计", '"丁,局"']
    names += [f"独{number}" for number in range(60)] if seed % 2 else []
    lines = ["部门名称,是否有任务,任务数(元),实际争取(元),下年公用经费(元),6月支出进度(%)"]
    for _ in range(80):
        lines.append(",".join((
            chance.choice(names), chance.choice("是是是否"), chance.choice(["1000", "1000.001", "缺", ""]),
            chance.choice(["900", "901"]), "200", chance.choice(["50", "50.1234567", "50.12345670"]))))
    end = ("\n", "\r\n", "\r")[seed % 3]
    source = tmp_path / "in.csv"
    source.write_bytes((end.join(lines) + end).encode())
    summary = run(pack, source, tmp_path / "out.csv", provisions=(), record="departments.department")
    joined = read_facts([source], dossiers=pack.dossiers, record="departments.department")
    assert dict(summary.rejected) == dict(joined.counts.rejected_by)
    assert summary.evaluated == joined.counts.accepted
    assert {int(row["row"]) for row in rows_of(tmp_path / "out.csv")} <= {case.subject.at.line for case in joined.cases}
    told, wanted = ([(one.code, one.location.line, one.fields.get("first_at"), one.fields.get("key")) for one in problems
                     if one.severity == "error"] for problems in (summary.problems, joined.problems))
    assert sorted(told, key=str) == sorted(wanted, key=str)
    assert any(code == "conflicting-subject" for code, *_ in told)


def test_related_files_are_joined_and_a_key_without_a_partner_is_a_problem(pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "firms.csv").write_text("企业名称,在本州注册,总部迁驻楚雄\n甲公司,是,否\n乙公司,是,否\n", encoding="utf-8")
    (tmp_path / "promotions.csv").write_text(
        "企业名称,晋升事项,年度,首次晋升\n甲公司,二级,2019,是\n甲公司,一级,2019,是\n丙公司,一级,2019,是\n", encoding="utf-8")
    job = Batch(pack, Options(as_of=DAY))
    summary = job.run_together([tmp_path / "firms.csv", tmp_path / "promotions.csv"], tmp_path / "out.csv", None)
    assert [(row["amount"], row["counted"]) for row in rows_of(tmp_path / "out.csv")] == [
        ("50000.00", "0.00"), ("300000.00", "300000.00")]
    assert (summary.rows_in, summary.evaluated, dict(summary.rejected)) == (5, 4, {"partner": 1})
    assert "no-such-subject" in {problem.code for problem in summary.problems}


# The calendar


def test_a_date_beyond_the_calendar_is_a_rejected_row_with_a_problem(pack: Pack, tmp_path: Path) -> None:
    provision = "fiscal.special_fund.specified_5wd"
    names = list(pack.provision(provision).facts)
    dates = {"document_received_on": ["2019-04-30", "2027-01-05", "2026-12-30"], "as_of": ["2019-12-31"] * 3}
    lines = [",".join(names)]
    for place in range(3):
        lines.append(",".join(dates[name][place] if name in dates else "否" if name == "submitted" else ""
                              for name in names))
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    summary = run(pack, tmp_path / "in.csv", tmp_path / "out.csv", provisions=(provision,))
    assert (summary.evaluated, dict(summary.rejected)) == (1, {"calendar": 2})
    assert [(p.code, p.location.line) for p in summary.problems if p.severity == "error"] == [
        ("calendar-gap", 3), ("calendar-gap", 4)]


# Runs that die, and runs taken up again


def invoke(arguments: Sequence[str]) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(arguments), obj={"lang": "zh", "pack": "chuxiong_2019"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_a_folder_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    inputs, output = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    for name in ("a", "b"):
        (inputs / f"{name}.csv").write_text(f"{HEADING}\n甲,是,1000,849,5\n", encoding="utf-8")
    arguments = [str(inputs), "-o", str(output), "--provision", CUT, "--as-of", "2019-12-31", "--resume"]
    assert invoke(arguments)[0] == 0
    (inputs / "b.csv").write_text(f"{HEADING}\n甲,是,1000,1000,5\n", encoding="utf-8")
    code, text = invoke(arguments)
    assert (code, text.count("已完成")) == (0, 1)
    assert rows_of(output / "b_csv.csv")[0]["status"] == "not_triggered"


def test_a_file_that_cannot_be_read_leaves_the_earlier_result(pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("earlier", encoding="utf-8")
    (tmp_path / "in.csv").write_text("甲,乙\n1,2\n", encoding="utf-8")
    with pytest.raises(FactError):
        run(pack, tmp_path / "in.csv", tmp_path / "out.csv", provisions=())
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the machine cannot kill a process so")
def test_killed_in_the_middle_the_earlier_result_stands(tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(HEADING + "\n" + "甲,是,1000,849.99,5\n" * 1_500_000, encoding="utf-8")
    target.write_text("earlier", encoding="utf-8")
    program = ("import sys; from commands.batch import batch; "
               "batch(sys.argv[1:], obj={'lang': 'zh', 'pack': 'chuxiong_2019'})")
    child = subprocess.Popen([sys.executable, "-c", program, str(source), "-o", str(target), "--provision", CUT,
                              "--as-of", "2019-12-31"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(
            path.stat().st_size > 1000 for path in tmp_path.glob(".out.csv.*")):
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert target.read_text(encoding="utf-8") == "earlier"
    [left] = tmp_path.glob(".out.csv.*")
    with replacing(target) as temporary:
        temporary.write_text("later", encoding="utf-8")
    assert left.exists()  # it might be another's who has only begun
    os.utime(left, (0, 0))
    with replacing(target) as temporary:
        temporary.write_text("later", encoding="utf-8")
    assert not left.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no locks that end with the process")
def test_only_what_nobody_holds_is_cleared_away(tmp_path: Path) -> None:
    target = tmp_path / ("名" * 30 + "[1].parquet")
    with replacing(target) as held, folder_beside(held) as folder:
        others = [tmp_path / f".{target.name}", tmp_path / ".other.hegui-1", target.with_name("x.hegui-1")]
        for path in others:
            path.write_text("mine", encoding="utf-8")
        left = held.with_name(held.name.partition(".hegui-")[0] + ".hegui-left")
        left.mkdir()
        (left / "part").write_text("x", encoding="utf-8")
        for path in (held, folder, left, *others):
            os.utime(path, (0, 0))
        with replacing(target) as temporary:
            temporary.write_text("x", encoding="utf-8")
        assert held.exists()
        assert folder.exists()
        assert not left.exists()
        assert all(path.exists() for path in others)
    assert sorted(tmp_path.iterdir()) == sorted([target, *others])


def test_the_output_is_never_the_input(pack: Pack, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(f"{HEADING}\n甲,是,1000,849,5\n", encoding="utf-8")
    (tmp_path / "link.csv").symlink_to(source)
    job = Batch(pack, Options((CUT,), as_of=DAY))
    for output, problems, code in (
            (source, None, "output-is-input"), (tmp_path / "link.csv", None, "output-is-input"),
            (target, source, "output-is-input"), (target, target, "outputs-coincide"),
            (tmp_path / "out", None, "unknown-file-kind")):
        with pytest.raises(FactError) as caught:
            job.run(source, output, problems)
        assert caught.value.problems[0].code == code
        with pytest.raises(FactError) as caught:
            job.run_together([source], output, problems)
        assert caught.value.problems[0].code == code
    assert "甲" in source.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "link.csv"]


def test_results_through_a_link_go_where_it_leads(pack: Pack, tmp_path: Path) -> None:
    source, real, link = tmp_path / "in.csv", tmp_path / "real.csv", tmp_path / "link.csv"
    source.write_text(f"{HEADING}\n甲,是,1000,849,5\n", encoding="utf-8")
    real.write_text("earlier", encoding="utf-8")
    link.symlink_to(real)
    run(pack, source, link)
    assert link.is_symlink()
    assert "甲" in real.read_text(encoding="utf-8-sig")


def test_what_is_no_ordinary_file_is_refused(pack: Pack, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.csv")
    with pytest.raises(FactError) as caught:
        run(pack, tmp_path / "in.csv", tmp_path / "out.csv")
    assert caught.value.problems[0].code == "unreadable-file"


@pytest.mark.parametrize("failing", ["write", "read"])
def test_a_disk_that_fails_is_told_and_leaves_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(f"{HEADING}\n甲,是,1000,849,5\n", encoding="utf-8")
    target.write_text("earlier", encoding="utf-8")

    def fails(*_: object, **__: object) -> None:
        if failing == "read":
            raise OSError(5, "Input/output error")
        raise OSError("No space left on device (os error 28)")  # as Polars says it: the number is in the text alone

    monkeypatch.setattr(*((facts.lines, "_whole_lines") if failing == "read" else (pl.DataFrame, "write_csv")), fails)
    found = CliRunner().invoke(
        cli.main, ["batch", str(source), "-o", str(target), "--provision", CUT, "--as-of", "2019-12-31"])
    assert found.exit_code == 2
    assert ("磁盘已满" if failing == "write" else f"读不了 {source}：Input/output error") in found.stderr
    assert target.read_text(encoding="utf-8") == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.parametrize(("rows", "told"), [
    ("甲,是,1000,8.4.9,200\n", "不是金额"), ("甲,是,1000,849,200\n" * 9 + "乙,是,1000,\0,5\n", "in.csv:11: nul-bytes")])
def test_a_process_of_its_own_can_word_every_problem(tmp_path: Path, rows: str, told: str) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(f"{HEADING}\n{rows}", encoding="utf-8")
    found = subprocess.run([sys.executable, "-m", "cli", "--lang", "zh", "batch", str(source), "-o", str(target), "--provision",
                            CUT, "--as-of", "2019-12-31"], capture_output=True, text=True, encoding="utf-8")
    problems = tmp_path / "out.problems.csv"
    assert found.returncode == 2
    assert told in found.stderr + (problems.read_text(encoding="utf-8-sig") if problems.exists() else "")


@pytest.mark.parametrize("failing", ["write", "read", "work"])
def test_what_fails_on_the_way_ends_all_threads(
        pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """Whoever fails, with blocks waiting before and behind it, is the one that is told of."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(f"{HEADING}\n" + "甲,是,1000,849,5\n" * 2_000, encoding="utf-8")
    target.write_text("earlier", encoding="utf-8")
    of, name = {"write": (facts.batch_files._CsvWriter, "write"), "read": (facts.lines, "_whole_lines"),
                "work": (facts.blocks.BlockReader, "read")}[failing]
    calls, right = count(), getattr(of, name)

    def fails(*given: object) -> object:
        if next(calls) == 7:
            raise OSError(5, "Input/output error")
        return right(*given)

    monkeypatch.setattr(of, name, fails)
    blocks = facts.csv_source.Source.blocks
    monkeypatch.setattr(facts.csv_source.Source, "blocks", lambda self, _=0: blocks(self, 600))
    before = threading.active_count()
    with pytest.raises(HeguiError, match="Input/output error"):
        run(pack, source, target)
    assert threading.active_count() == before
    assert target.read_text(encoding="utf-8") == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_a_run_that_is_told_to_stop_leaves_nothing_half_written(tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(HEADING + "\n" + "甲,是,1000,849,5\n" * 3_000_000, encoding="utf-8")
    child = subprocess.Popen([sys.executable, "-m", "cli", "batch", str(source), "-o", str(target), "--provision", CUT,
                              "--as-of", "2019-12-31"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(
            path.stat().st_size > 1000 for path in tmp_path.glob(".out.csv.*")):
        time.sleep(0.02)
    child.terminate()
    assert child.wait() == 128 + signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_inputs_of_the_same_name_have_results_of_their_own(tmp_path: Path) -> None:
    for folder in ("一月", "二月"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "部门.csv").write_text(f"{HEADING}\n{folder}局,是,1000,849,5\n", encoding="utf-8")
        book = openpyxl.Workbook()
        for row in (HEADING.split(","), [f"{folder}局", "是", "一千", "849", "5"]):
            book.worksheets[0].append(row)
        book.save(tmp_path / folder / "部门.xlsx")
    arguments = ["batch", str(tmp_path / "一月"), str(tmp_path / "二月"), "-o", str(tmp_path / "out"),
                 "--provision", CUT, "--as-of", "2019-12-31", "--annotate"]
    assert CliRunner().invoke(cli.main, arguments).exit_code == 2
    for folder in ("一月", "二月"):
        assert f"{folder}局" in (tmp_path / "out" / f"{folder}-部门_csv.csv").read_text(encoding="utf-8")
        marked = openpyxl.load_workbook(tmp_path / "out" / f"{folder}-部门_xlsx.annotated.xlsx").worksheets[0]
        assert marked["A2"].value == f"{folder}局"
        assert marked["C2"].comment is not None
    again = CliRunner().invoke(cli.main, [*arguments, "--resume"])
    assert again.stderr.count("已完成，略过") == 4
    within = CliRunner().invoke(cli.main, [*arguments[:2], "-o", str(tmp_path / "一月"), *arguments[5:]])
    assert within.exit_code == 2
    assert "换一个文件名或文件夹" in within.stderr
    lists = CliRunner().invoke(cli.main, [*arguments, "--problems", str(tmp_path / "p.csv")])
    assert lists.exit_code == 2
    assert "--problems" in lists.stderr


def test_what_of_a_folder_is_not_read_is_named(tmp_path: Path) -> None:
    inputs, out = tmp_path / "in", tmp_path / "out"
    (inputs / "子文件夹").mkdir(parents=True)
    book = openpyxl.Workbook()
    for row in (HEADING.split(","), ["甲局", "是", "1000", "849", "5"]):
        book.worksheets[0].append(row)
    for name in ("a.xlsx", "b.et", "c.xltx", "~$a.xlsx", ".hidden.xlsx"):
        book.save(inputs / name)
    shutil.copy(EXAMPLES / "budget_cut.yaml", inputs / "d.yaml")
    for name in ("说明.docx", "无扩展名"):
        (inputs / name).write_text("x", encoding="utf-8")
    arguments = ["batch", str(inputs), "-o", str(out), "--as-of", "2019-12-31"]
    found = CliRunner().invoke(cli.main, ["--lang", "zh", *arguments, "--provision", CUT])
    assert found.exit_code == 0, found.stderr
    first = found.stderr.splitlines()[0]
    assert first.startswith("没有读：")
    assert all(str(inputs / name) in first for name in ("子文件夹", "无扩展名", "说明.docx"))
    assert "hidden" not in first
    assert {path.name for path in out.glob("[!.]*.csv") if "problems" not in path.name} == {
        "a_xlsx.csv", "b_et.csv", "c_xltx.csv", "d_yaml.csv"}


@pytest.mark.parametrize("name", ["empty", "other"])
def test_a_folder_with_nothing_to_read_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    if name == "other":
        (tmp_path / name / "a.docx").write_text("x", encoding="utf-8")
    found = CliRunner().invoke(cli.main, ["batch", str(tmp_path / name), "-o", str(tmp_path / "out")])
    assert (found.exit_code, "no-inputs" in found.stderr) == (2, True)


def test_several_results_want_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(f"{HEADING}\n甲,是,1000,849,5\n", encoding="utf-8")
    (tmp_path / "file").write_text("earlier", encoding="utf-8")
    for output, code in (("file", "folder-wanted"), ("new.csv", "folder-wanted"), ("file/below", "unwritable-file")):
        found = CliRunner().invoke(cli.main, ["batch", str(tmp_path / "in"), "-o", str(tmp_path / output),
                                              "--as-of", "2019-12-31"])
        assert (found.exit_code, code in found.stderr) == (2, True), found.stderr
    assert (tmp_path / "file").read_text(encoding="utf-8") == "earlier"
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_cases_written_as_text_are_read_whole(engine: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    expected = {"budget_cut.yaml": ["200000.00"], "firm.yaml": ["50000.00", "300000.00", "300000.00", "500000.00"]}
    for name, sums in expected.items():
        arguments = ["batch", str(EXAMPLES / name), "-o", str(out), "--engine", engine]
        found = CliRunner().invoke(cli.main, [*arguments, "--as-of", "2019-12-31"])
        assert found.exit_code == 0, found.stderr
        assert [row["amount"] for row in rows_of(out)] == sums
        other = CliRunner().invoke(cli.main, [*arguments, "--as-of", "2019-12-30"])
        assert (other.exit_code, "other-day" in other.stderr) == (2, True)
    refused = CliRunner().invoke(cli.main, [
        "batch", str(EXAMPLES / "budget_cut.yaml"), "-o", str(out), "--as-of", "2019-12-31", "--engine", engine,
        "--provision", "fiscal.budget_cut.expenditure_progress"])
    assert (refused.exit_code, "unknown-provision" in refused.stderr) == (2, True)


@pytest.mark.parametrize(("inputs", "names"), [
    (["a/x.csv", "b/x.csv", "y.xlsx"], ["a-x_csv", "b-x_csv", "y_xlsx"]),
    (["x.csv", "b/x.csv", "x.jsonl"], ["x_csv", "b-x_csv", "x_jsonl"]),
    (["a/b/x.csv", "a-b/x.csv"], ["a-b-x_csv", "a-b-x_csv-2"]),
])  # fmt: skip
def test_names_of_results(tmp_path: Path, inputs: list[str], names: list[str]) -> None:
    assert list(names_of([tmp_path / path for path in inputs]).values()) == names


@pytest.mark.parametrize(("data", "code"), [
    (gzip.compress(b"a,b", mtime=0), "unknown-encoding"), (b"\xef\xbb\xbfa,\xe5\x8d", "broken-utf8"),
    ("a,b".encode("utf-16") + b"\x00", "unknown-encoding"), (b"\xff\xfe\x00\xdc\x00\x00", "unknown-encoding"),
    (b"\x00\x00", "file-empty"), (b"\xff\xfe", "file-empty"),
])  # fmt: skip
def test_what_is_no_text_is_refused_as_such(pack: Pack, tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "in.csv").write_bytes(data)
    with pytest.raises(FactError) as caught:
        run(pack, tmp_path / "in.csv", tmp_path / "out.csv")
    assert caught.value.problems[0].code == code


def test_a_line_that_is_no_object_is_said_to_be_none(pack: Pack, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("[1, 2]\n", encoding="utf-8")
    with pytest.raises(FactError) as caught:
        run(pack, source, tmp_path / "out.csv")
    assert [problem.code for problem in caught.value.problems] == ["json-syntax"]
    good = '{"has_task": true, "task_amount": 100, "raised_amount": 84.99, "next_year_public_funds": 5}'
    source.write_text(f"[1, 2]\n{good}\n", encoding="utf-8")
    summary = run(pack, source, tmp_path / "out.csv")
    assert (summary.evaluated, dict(summary.rejected)) == (1, {"row": 1})
    assert [problem.message("en") for problem in summary.problems] == ["the JSON is wrong: no object {…}: [1, 2]"]


FIRMS = "企业名称,规模以上工业企业,战略性新兴产业,上年主营业务收入(万元),本年主营业务收入(万元)"


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_main_table_on_its_own_is_assessed_and_what_is_not_is_said(tmp_path: Path, engine: str, suffix: str) -> None:
    """Its matters may ask for rows of other tables: none are there, and that is said as `check` says it."""
    table = tmp_path / "企业.csv"
    table.write_text(f"{FIRMS}\n甲,是,否,4000,4600.01\n乙,是,否,4000,4599\n", encoding="utf-8")
    source = table
    if suffix == ".jsonl":
        source = tmp_path / "企业.jsonl"
        pl.read_csv(table, infer_schema=False).write_ndjson(source)
    found = CliRunner().invoke(cli.main, [
        "batch", str(source), "-o", str(tmp_path / "out.csv"), "--as-of", "2019-12-31", "--engine", engine])
    assert found.exit_code == 0, found.output
    rows = {(row["subject"], row["provision"]): row["status"] for row in rows_of(tmp_path / "out.csv")}
    assert rows["甲", "enterprise.sales_promotion.subsidy"] == "eligible"
    assert rows["乙", "enterprise.sales_promotion.subsidy"] == "ineligible"
    checked = CliRunner().invoke(cli.main, ["check", str(table), "--as-of", "2019-12-31"])
    said = [line for line in found.stderr.splitlines() if line.startswith(("注意", "未评"))]
    assert said
    assert said == [line for line in checked.output.splitlines() if line.startswith(("注意", "未评"))]


def test_a_main_table_by_rows_and_among_related_files_comes_to_the_same(pack: Pack, tmp_path: Path) -> None:
    chance = random.Random(8)
    lines = [FIRMS] + [",".join((
        f"企业{number % 290}", chance.choice(["是", "否", "", "maybe"]), chance.choice(["是", "否"]),
        chance.choice(["4000", "4000.5", ""]), chance.choice(["4600.01", "4599", "9000"]))) for number in range(300)]
    (tmp_path / "企业.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    job = Batch(pack, Options(as_of=DAY))
    by_row = job.run(tmp_path / "企业.csv", tmp_path / "rows.csv", None)
    together = job.run_together([tmp_path / "企业.csv"], tmp_path / "cases.csv", None)
    assert (by_row.evaluated, by_row.rejected, by_row.sums) == (together.evaluated, together.rejected, together.sums)
    assert list(by_row.remarks) == list(together.remarks)
    wanted = [{name: cell for name, cell in row.items() if name != "yields"} for row in rows_of(tmp_path / "cases.csv")]
    assert [dict(row) for row in rows_of(tmp_path / "rows.csv")] == wanted
    assert len(wanted) > 150


def test_a_related_table_on_its_own_has_nobody_to_belong_to(tmp_path: Path) -> None:
    (tmp_path / "获奖.csv").write_text("企业名称,奖项类别,奖项等级,成果或项目,参建角色\n甲,工法,国家级,某工法,\n", encoding="utf-8")
    found = CliRunner().invoke(cli.main, [
        "batch", str(tmp_path / "获奖.csv"), "-o", str(tmp_path / "out.csv"), "--as-of", "2019-12-31"])
    assert found.exit_code == 2
    assert "no-subject-table" in found.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_memory_limit_is_an_amount(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f"{HEADING}\n甲,是,1000,849,5\n", encoding="utf-8")
    arguments = ["batch", str(source), "-o", str(tmp_path / "out.csv"), "--provision", CUT, "--as-of", "2019-12-31",
                 "--engine", "duckdb", "--memory-limit"]
    for wrong in ("abc", "4", "GB", "-1GB", "1e3GB", "4GB'; drop"):
        found = CliRunner().invoke(cli.main, [*arguments, wrong])
        assert found.exit_code == 2
        assert "--memory-limit" in found.stderr
    for right in ("512MB", "1.5 GB", "1gib"):
        assert CliRunner().invoke(cli.main, [*arguments, right]).exit_code == 0


@pytest.mark.parametrize(("module", "engine", "extra"), [("pyspark", "spark", "spark"), ("duckdb", "duckdb", "sql")])
def test_a_part_that_is_not_installed_is_named(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, engine: str, extra: str) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f"{HEADING}\n甲,是,1000,849,5\n", encoding="utf-8")
    monkeypatch.setitem(sys.modules, module, None)
    found = CliRunner().invoke(cli.main, ["batch", str(source), "-o", str(tmp_path / "out.csv"), "--provision", CUT,
                                          "--as-of", "2019-12-31", "--engine", engine])
    assert found.exit_code == 2
    assert f"没有安装 {module}" in found.stderr
    assert f"pip install 'hegui[{extra}]'" in found.stderr


def test_a_workbook_named_otherwise_is_read_as_one(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (HEADING.split(","), ["甲", "是", "1000", "849", "5"]):
        book.worksheets[0].append(row)
    book.save(tmp_path / "in.xlsx")
    (tmp_path / "in.xlsx").rename(tmp_path / "in.csv")
    found = CliRunner().invoke(cli.main, ["batch", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv"),
                                          "--provision", CUT, "--as-of", "2019-12-31"])
    assert found.exit_code == 0
    assert [row["status"] for row in rows_of(tmp_path / "out.csv")] == ["triggered"]
    assert "wrong-extension" in (tmp_path / "out.problems.csv").read_text(encoding="utf-8")


def test_each_marked_copy_has_the_faults_of_its_own_workbook(pack: Pack, tmp_path: Path) -> None:
    """Two workbooks with a sheet of the same name; and a copy from before is gone once there is nothing to mark."""
    firms = ["企业名称", "规模以上工业企业", "战略性新兴产业", "上年主营业务收入(万元)", "本年主营业务收入(万元)"]
    rows = {"a": [["甲", "是", "否", "坏", "4600"], ["乙", "是", "否", "4000", "4600"]],
            "b": [["丙", "是", "否", "4000", "4600"], ["丁", "是", "否", "4000", "4600"]]}
    for name, own in rows.items():
        book = openpyxl.Workbook()
        for row in (firms, *own):
            book.worksheets[0].append(row)
        book.save(tmp_path / f"{name}.xlsx")
    (tmp_path / "b.annotated.xlsx").write_bytes(b"from before")
    job = Batch(pack, Options(as_of=DAY, annotate=True))
    summary = job.run_together([tmp_path / "a.xlsx", tmp_path / "b.xlsx"], tmp_path / "out.csv", None)
    assert (summary.evaluated, dict(summary.rejected)) == (3, {"cell": 1})
    assert openpyxl.load_workbook(tmp_path / "a.annotated.xlsx").worksheets[0]["D2"].comment is not None
    assert not (tmp_path / "b.annotated.xlsx").exists()
    for inputs, output, code in (  # no copy is written over what is read, nor over the results
            (["a.xlsx", "a.annotated.xlsx"], "out.csv", "output-is-input"),
            (["a.xlsx"], "a.annotated.xlsx", "outputs-coincide")):
        with pytest.raises(FactError) as caught:
            job.run_together([tmp_path / name for name in inputs], tmp_path / output, None)
        assert caught.value.problems[0].code == code
    (tmp_path / "later").mkdir()
    (tmp_path / "b.xlsx").rename(tmp_path / "later" / "a.xlsx")
    (tmp_path / "a.annotated.xlsx").unlink()
    job.run_together([tmp_path / "a.xlsx", tmp_path / "later" / "a.xlsx"], tmp_path / "out.csv", None)
    assert sorted(path.name for path in tmp_path.glob("*.annotated.xlsx")) == ["a.annotated.xlsx"]

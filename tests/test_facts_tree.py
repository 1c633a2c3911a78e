"""YAML and JSON: the three forms, names, places, and values as they were written."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from engine.errors import FactError
from engine.yamltree import Mapping, Scalar, Sequence
from facts.json_tree import parse_json
from facts_helpers import codes, places, read

FLAT = "fiscal.budget_cut.shortfall"


def save(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_flat_case(tmp_path: Path) -> None:
    got = read(save(tmp_path / "a.yaml", f"""
provision: {FLAT}
case: below the line
as_of: 2019-12-31
inputs: {{has_task: 是, task_amount: 1000万元, raised_amount: 849.999999万元, progress_june: 0.5}}
"""))
    assert codes(got) == []
    (flat,) = got.flat
    assert (flat.provision, flat.label, flat.as_of) == (FLAT, "below the line", date(2019, 12, 31))
    # under its own name a bare share is in the declared unit
    assert {key: str(value) for key, value in flat.inputs.items()} == {
        "has_task": "True", "task_amount": "1000000000", "raised_amount": "849999999",
        "progress_june": "1/200"}  # fmt: skip
    assert flat.at.line == 2


def test_json_and_yaml_give_the_same_facts(tmp_path: Path) -> None:
    case = {"provision": FLAT, "inputs": {"争取资金任务(万元)": 1000.5, "has_task": True, "raised_amount": None}}
    one = read(save(tmp_path / "a.json", json.dumps(case)))
    two = read(save(tmp_path / "a.yaml", json.dumps(case)))
    assert one.flat[0].inputs == two.flat[0].inputs == {
        "task_amount": 1_000_500_000, "has_task": True, "raised_amount": None}  # fmt: skip


def test_wrong_names_and_values_are_all_reported_with_their_places(tmp_path: Path) -> None:
    got = read(save(tmp_path / "a.yaml", f"""\
- provision: {FLAT}
  inputs:
    has_taks: 是
    task_amount: 1O00
    任务: [1, 2]
    raised_amount: {{a: 1}}
- provision: {FLAT}
  inptus: {{}}
- provision: fiscal.nothing
- provision: {FLAT}
  inputs: {{task_amount: 1, 任务数: 2}}
- 5
- as_of: 2019-02-30
  provision: {FLAT}
"""))
    assert [(p.code, p.location.line) for p in got.errors] == [
        ("unknown-fact", 3), ("bad-amount", 4), ("unknown-fact", 5), ("facts-shape", 6), ("unknown-fact-key", 8),
        ("unknown-provision", 9), ("same-fact-twice", 11), ("facts-shape", 12), ("bad-as-of", 13)]  # fmt: skip
    assert got.problems[0].fields["suggestion"] == "has_task"
    assert got.problems[4].fields["suggestion"] == "inputs"
    assert got.flat == ()
    assert got.counts.rejected == 6


def test_scalars_are_text_typed_by_the_field(tmp_path: Path) -> None:
    got = read(save(tmp_path / "a.yaml", """
document:
  - {文号: 0100, 收文日期: 2019-03-22, 资金性质: 专项资金, 拨付比例: 85%}
  - {文号: 1:30, 收文日期: 20190322}
  - {文号: 91532300E123, 收文日期: ~}
  - {文号: "no", 拨付日期: '2019年3月22日'}
  - {文号: yes}
"""))
    assert codes(got) == []
    assert [case.subject.values["document_no"] for case in got.cases] == ["0100", "1:30", "91532300E123", "no", "yes"]
    assert got.cases[2].subject.values["received_on"] is None
    assert "received_on" not in got.cases[3].subject.values


@pytest.mark.parametrize("word", ["true", "是", "yes", "True", "有", "1"])
def test_yes_in_every_spelling(tmp_path: Path, word: str) -> None:
    got = read(save(tmp_path / "a.yaml", f"provision: {FLAT}\ninputs: {{has_task: {word}}}\n"))
    assert got.flat[0].inputs == {"has_task": True}


def test_a_boolean_is_no_amount(tmp_path: Path) -> None:
    got = read(save(tmp_path / "a.json", json.dumps({"provision": FLAT, "inputs": {"task_amount": True}})))
    assert codes(got) == ["bad-amount"]


def test_a_dossier_with_nested_rows(tmp_path: Path) -> None:
    got = read(save(tmp_path / "a.yaml", """
dossier: firms
as_of: 2019-12-31
firm: {企业名称: 甲, 是否州内注册: 是}
promotion:
  - {年度: 2018, 资质等级: 特级}
获奖:
  - {firm_name: 甲, year: 2018, award_name: 鲁班奖, 合同金额(万元): 500}
"""))
    assert codes(got) == []
    (case,) = got.cases
    assert got.as_of == date(2019, 12, 31)
    assert [row.record for row in case.related] == ["promotion", "award"]
    assert case.related[0].values == {"year": 2018, "grade": "special", "firm_name": "甲"}
    assert case.related[1].values["amount"] == 500 * 10**6


def test_cases_and_lists_of_subjects(tmp_path: Path) -> None:
    one = read(save(tmp_path / "a.yaml", """
dossier: firms
cases:
  - firm: {firm_name: 甲}
    award: [{year: 2018}]
  - firm: {firm_name: 乙}
"""))
    two = read(save(tmp_path / "b.yaml", """
dossier: firms
firm: [{firm_name: 甲}, {firm_name: 乙}]
award: [{firm_name: 甲, year: 2018}]
"""))
    assert codes(one) == codes(two) == []
    assert [len(case.related) for case in one.cases] == [len(case.related) for case in two.cases] == [1, 0]


def test_problems_in_a_dossier(tmp_path: Path) -> None:
    got = read(save(tmp_path / "a.yaml", """\
- dossier: firm
- dossier: firms
  frm: {firm_name: 甲}
- dossier: firms
  firm: {firm_name: 甲, colour: red}
  award: [5]
- dossier: firms
  firm: {firm_name: 乙}
  award: [{firm_name: 丙, year: 2018}]
- dossier: firms
  firm: {firm_name: 丁}
  award: {year: x}
- dossier: firms
  as_of: 2019-01-01
  firm: {firm_name: 丁}
- dossier: firms
  as_of: 2019-01-02
  firm: {firm_name: 戊}
"""))
    assert [(p.code, p.location.line) for p in got.problems] == [
        ("unknown-dossier", 1), ("unknown-record-name", 3), ("case-without-subject", 2), ("unknown-field", 5),
        ("facts-shape", 6), ("other-subject", 9), ("bad-number", 12),
        ("subject-again", 15), ("case-incomplete", 8), ("case-incomplete", 11), ("two-as-of", 16)]  # fmt: skip
    assert got.as_of is None
    assert [case.subject.values["firm_name"] for case in got.cases] == ["丁", "戊"]


def test_plain_rows_are_recognised_like_a_table(tmp_path: Path) -> None:
    got = read(save(tmp_path / "a.yaml", """
- {部门: 财政局, 争取资金任务(万元): 1000, 6月底支出进度: 0.85}
- {部门: 教育局, 争取资金任务(万元): 1000, 6月底支出进度: 85}
- {部门: , 争取资金任务(万元): 1}
"""))
    assert codes(got) == ["percent-ambiguous", "key-missing"]
    assert [case.subject.values["department_name"] for case in got.cases] == ["教育局"]


def test_rows_of_nothing_known_are_a_problem(tmp_path: Path) -> None:
    got = read(save(tmp_path / "a.yaml", "- {争取资金任: 1}\n- {x: 2}\n"), save(tmp_path / "b.json",
        '{"departmnt": [{"a": 1}]}'))
    assert codes(got) == ["rows-unrecognised", "unknown-record-name"]
    assert got.problems[1].fields["suggestion"] == "department"
    assert got.counts.rejected == 3


@pytest.mark.parametrize(("text", "code"), [
    ("a: 1\na: 2\n", "duplicate-key"), ("a: &x [1]\nb: *x\n", "yaml-alias"), ("a: !!python/object:os.system x\n",
    "yaml-tag"),
    ("a: [1\n", "yaml-syntax"), ("[" * 100 + "]" * 100, "yaml-too-deep"), ("just text", "facts-shape"),
    ("---\na: 1\n---\nb: 2\n", "yaml-syntax"),
])  # fmt: skip
def test_broken_yaml(tmp_path: Path, text: str, code: str) -> None:
    assert codes(read(save(tmp_path / "a.yaml", text))) == [code]


def test_yaml_in_gb18030_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(f"provision: {FLAT}\ninputs: {{是否有争取资金任务: 是}}\n".encode("gb18030"))
    assert read(tmp_path / "a.yml").flat[0].inputs == {"has_task": True}


@pytest.mark.parametrize(("text", "code", "line"), [
    ('{"a": 1,\n "a": 2}', "duplicate-key", 2), ('{"a": NaN}', "json-syntax", 1), ('{"a": 01}', "json-syntax", 1),
    ('{"a": 1,}', "json-syntax", 1), ('{"a": 1} x', "json-syntax", 1), ('{"a"\n 1}', "json-syntax", 2),
    ('{"a": "x', "json-syntax", 1), ("[" * 100_000, "json-too-deep", 1), ('{"a": "\\ud800"}', "json-syntax", 1),
    ("{'a': 1}", "json-syntax", 1), ("[1 2]", "json-syntax", 1), ('{"a": -}', "json-syntax", 1), ("[",
    "json-syntax", 1),
])  # fmt: skip
def test_broken_json(text: str, code: str, line: int) -> None:
    with pytest.raises(FactError) as caught:
        parse_json(text, "a.json")
    assert [(p.code, p.location.line) for p in caught.value.problems] == [(code, line)]


def test_json_keeps_numbers_as_written() -> None:
    tree = parse_json(
        '{"a": 0.1000000000000000055, "b": 1e3, "c": 12345678901234567890, "d": 1e400, "e": "1e3", "f": []}')
    assert isinstance(tree, Mapping)
    texts = {key.text: value.text for key, value in tree if isinstance(value, Scalar)}
    assert texts == {"a": "0.1000000000000000055", "b": "1000", "c": "12345678901234567890", "d": "1e400", "e": "1e3"}
    assert isinstance(tree.get("f"), Sequence)


def test_json_places_are_lines_and_columns(tmp_path: Path) -> None:
    got = read(save(tmp_path / "a.json", '{"provision": "' + FLAT + '",\n "inputs": {\n  "task_amount": "abc"}}'))
    assert places(got, "bad-amount") == ["a.json:3:18"]
    assert "^^^^^" in got.problems[0].render()


def test_a_nested_case_without_a_name_is_still_a_case(tmp_path: Path) -> None:
    got = read(save(tmp_path / "a.yaml", "dossier: firms\nfirm: {是否州内注册: 是}\naward: [{year: 2018}]\n"))
    assert codes(got) == []
    assert got.cases[0].related[0].values == {"year": 2018, "firm_name": None}

"""Coverage of a pack by its cases: what is left out is found, and a case for it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("z3")

from engine.cases import load_cases, run_cases
from engine.coverage import coverage, goals, measure_coverage
from engine.load import Pack, load_pack


@cache
def shipped() -> Pack:
    """The pack that comes with Hegui, read once."""
    return load_pack("chuxiong_2019").load_all()


HEADER = """
id: small
version: "1"
document: 试〔2019〕1号
reference_date: 2019-12-31
deadline: {done: submitted, done_on: submitted_on, as_of: as_of}
"""
CUT = """
- id: cut.shortfall
  kind: sanction
  facts:
  - has_task: 有任务
  - task: {type: money, min: 1元, max: 1亿元}
  - raised: {type: money, max: 1亿元}
  applies: has_task
  let: {completion: raised / task}
  tables:
  - on: [completion]
    gives: {rate: percent}
    rows: [[< 85%, 10%], ["[85%..100%)", 5%], [">= 100%", 0%]]
  triggers: rate > 0%
  rate: rate
"""
FULL = """
- {provision: cut.shortfall, case: no task, inputs: {has_task: false, task: 100万元, raised: 0}, expect: {status: not_applicable}}
- {provision: cut.shortfall, case: below 85, inputs: {has_task: true, task: 100万元, raised: 849999.99元}, expect: {status: triggered}}
- {provision: cut.shortfall, case: 85, inputs: {has_task: true, task: 100万元, raised: 85万元}, expect: {status: triggered}}
- {provision: cut.shortfall, case: above 85, inputs: {has_task: true, task: 100万元, raised: 850000.01元}, expect: {status: triggered}}
- {provision: cut.shortfall, case: below 100, inputs: {has_task: true, task: 100万元, raised: 999999.99元}, expect: {status: triggered}}
- {provision: cut.shortfall, case: 100, inputs: {has_task: true, task: 100万元, raised: 100万元}, expect: {status: not_triggered}}
- {provision: cut.shortfall, case: above 100, inputs: {has_task: true, task: 100万元, raised: 1000000.01元}, expect: {status: not_triggered}}
"""
DEADLINE = """
- id: deadline.reply
  kind: deadline
  facts:
  - received_on: {type: date}
  - submitted: 已答复
  - submitted_on: {type: date}
  - as_of: {type: date}
  due: workdays_after(received_on, 15)
"""


def build(folder: Path, rules: str, cases: str) -> Pack:
    for name, text in {"pack.yaml": HEADER, "provisions/rules.yaml": rules, "cases/rules.yaml": cases}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load_pack(folder).load_all()


def left_out(pack: Pack) -> set[tuple[str, str]]:
    return {(item.goal.side, item.goal.about) for item in coverage(pack, load_cases(pack))}


def test_cases_at_every_edge_leave_nothing_out(tmp_path: Path) -> None:
    pack = build(tmp_path, CUT, FULL)
    assert left_out(pack) == set()
    report = measure_coverage(pack, load_cases(pack))
    assert report.reached + report.impossible == report.goals


@pytest.mark.parametrize(
    ("dropped", "lost"),
    [
        ("case: no task", {("status", "not_applicable"), ("fails", "has_task")}),
        ("case: 85,", {("at", "completion >= 85%")}),
        ("case: below 85", {("below", "completion < 85%"), ("row", "< 85% | 10%")}),
        ("case: above 100", {("above", "completion >= 100%")}),
    ],
)
def test_each_case_that_is_missing_is_missed(tmp_path: Path, dropped: str, lost: set[tuple[str, str]]) -> None:
    cases = "\n".join(line for line in FULL.splitlines() if dropped not in line)
    found = left_out(build(tmp_path, CUT, cases))
    sides = {(side, about.replace(">=", "<").replace("< ", "<")) for side, about in found}
    assert {(side, about.replace(">=", "<").replace("< ", "<")) for side, about in lost} <= sides


def test_the_suggested_cases_close_the_gap(tmp_path: Path) -> None:
    pack = build(tmp_path, CUT, FULL.splitlines()[1])
    missing = coverage(pack, load_cases(pack))
    assert len(missing) > 5
    texts = [item.case_text() for item in missing]
    assert all(texts)
    (pack.folder / "cases" / "suggested.yaml").write_text("\n".join(texts), encoding="utf-8")
    cases = load_cases(pack)
    assert all(not result.differences for result in run_cases(pack, cases))
    assert coverage(pack, cases) == []


def test_what_no_case_can_reach_is_not_asked_for(tmp_path: Path) -> None:
    rules = CUT.replace("triggers: rate > 0%", "triggers: rate > 0% and raised >= 0元")
    report = measure_coverage(build(tmp_path, rules, FULL), [])
    assert report.impossible >= 2  # never fails; nothing lies below zero
    assert all(item.goal.about != "raised >= 0元" or item.goal.side != "below" for item in report.uncovered)


def test_a_deadline_wants_the_due_day_and_the_days_around_it(tmp_path: Path) -> None:
    found = left_out(build(tmp_path, DEADLINE, "[]"))
    for fact in ("submitted_on", "as_of"):
        assert {(side, f"{fact} <= due_date") for side in ("below", "at", "above")} <= found
    assert {("status", status) for status in ("on_time", "late", "pending", "overdue")} <= found


def test_a_suggested_day_is_decisive(tmp_path: Path) -> None:
    pack = build(tmp_path, DEADLINE, "[]")
    for item in coverage(pack, []):
        if item.goal.about == "as_of <= due_date":
            assert item.case is not None
            assert item.case.values["submitted"] is False


def test_only_the_chosen_reading_counts(tmp_path: Path) -> None:
    cases = FULL.replace("expect: {status: not_applicable}", 'reading: {"1": 2}, expect: {status: not_applicable}')
    rules = CUT + "  readings:\n  - {point: 点, chosen: 甲, others: [{zh: 乙, with: {applies: has_task}}]}\n"
    assert ("status", "not_applicable") in left_out(build(tmp_path, rules, cases))


def test_every_provision_of_the_shipped_pack_has_goals() -> None:
    pack = shipped()
    assert all(list(goals(provision)) for provision in pack.provisions.values())


def test_the_cases_of_the_budget_cuts_reach_every_row() -> None:
    pack = shipped()
    report = measure_coverage(pack, load_cases(pack), ("fiscal.budget_cut.",))
    assert [item.goal for item in report.uncovered if item.goal.side in ("row", "status", "holds", "fails")] == []


@pytest.mark.long
def test_the_cases_of_the_shipped_pack_reach_everything() -> None:
    pack = shipped()
    assert [(item.provision, item.message("en")) for item in coverage(pack, load_cases(pack))] == []

"""Packs compared by meaning: changes are shown by a small case, sameness is proved."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("z3")

from engine.load import Pack, load_pack
from engine.pack_diff import Change, Effect, compare_packs, money_effect
from facts.reading import read_facts

HEADER = """
id: small
version: "1"
document: 试〔2019〕1号
in_force: {from: 2019-01-01, to: 2019-12-31}
reference_date: 2019-12-31
deadline: {done: submitted, done_on: submitted_on, as_of: as_of}
"""

CUT = """
- id: cut.shortfall
  kind: sanction
  label: {zh: 压缩, en: cut}
  facts:
  - task: {type: money, min: 1元, max: 1亿元}
  - raised: {type: money, max: 1亿元}
  - budget: {type: money, max: 1亿元}
  let: {completion: raised / task}
  tables:
  - on: [completion]
    gives: {rate: percent}
    rows: [[< 85%, 10%], ["[85%..100%)", 5%], [">= 100%", 0%]]
  triggers: rate > 0%
  rate: rate
  amount: budget * rate
"""
AWARD = """
- id: award.growth
  kind: entitlement
  facts:
  - large: 规模以上
  - growth: {type: money, max: 10亿元}
  require: [large, growth > 500万元]
  amount: growth * reward_rate
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


def pack(folder: Path, rules: str, rate: str = "2‰") -> Pack:
    (folder / "provisions").mkdir(parents=True)
    (folder / "pack.yaml").write_text(HEADER, encoding="utf-8")
    (folder / "parameters.yaml").write_text(
        f"reward_rate: {{type: percent, values: {{2019-01-01: {rate}}}}}\n", encoding="utf-8"
    )
    (folder / "provisions" / "rules.yaml").write_text(rules, encoding="utf-8")
    return load_pack(folder).load_all()


def changes(tmp_path: Path, old: str, new: str, new_rate: str = "2‰") -> dict[str, Change]:
    before = pack(tmp_path / "old", old)
    after = pack(tmp_path / "new", new, new_rate)
    return {change.provision: change for change in compare_packs(before, after)}


def test_equal_packs_have_no_change(tmp_path: Path) -> None:
    assert {change.kind for change in changes(tmp_path, CUT + AWARD, CUT + AWARD).values()} == {"same"}


def test_a_moved_threshold_is_shown_by_a_case_between_the_two(tmp_path: Path) -> None:
    found = changes(tmp_path, CUT, CUT.replace("85%", "86%"))["cut.shortfall"]
    assert found.kind == "changed"
    assert found.case is not None
    old, new = found.case
    assert old.outcome is not None
    assert new.outcome is not None
    assert (old.outcome.rate, new.outcome.rate) == ("5", "10")
    completion = Fraction(old.values["raised"], old.values["task"])  # type: ignore[arg-type]
    assert Fraction(85, 100) <= completion < Fraction(86, 100)
    assert old.values["task"] == 100  # the least task the facts allow, one yuan
    assert old.values["budget"] == 0


def test_another_form_of_the_same_rule_is_proved_the_same(tmp_path: Path) -> None:
    other = AWARD.replace("[large, growth > 500万元]", "[not (not large or growth <= 500万元)]")
    found = changes(tmp_path, AWARD, other)["award.growth"]
    assert found.kind == "reworded"
    assert found.case is None


def test_other_words_only_are_told_apart_from_another_meaning(tmp_path: Path) -> None:
    found = changes(tmp_path, CUT, CUT.replace("zh: 压缩", "zh: 扣减"))["cut.shortfall"]
    assert (found.kind, found.words) == ("reworded", ("label",))


def test_a_changed_parameter_changes_the_provisions_that_read_it(tmp_path: Path) -> None:
    found = changes(tmp_path, CUT + AWARD, CUT + AWARD, new_rate="3‰")
    assert found["cut.shortfall"].kind == "same"
    assert found["award.growth"].kind == "changed"


def test_a_case_leaves_out_what_it_does_not_need(tmp_path: Path) -> None:
    found = changes(tmp_path, AWARD, AWARD.replace("[large, growth > 500万元]", "[large]"))["award.growth"]
    assert found.case is not None
    assert found.case[0].values == {"large": True, "growth": 0}


def test_a_difference_in_what_is_unknown_is_a_difference(tmp_path: Path) -> None:
    careful = AWARD.replace("[large, growth > 500万元]", "[large, growth > 500万元, is_known(growth)]")
    found = changes(tmp_path, AWARD, careful)["award.growth"]
    assert found.kind == "changed"
    assert found.case is not None
    assert found.case[0].values["growth"] is None
    assert [case.outcome.status for case in found.case if case.outcome] == ["undetermined", "ineligible"]


def test_one_working_day_more_is_shown_by_a_due_date(tmp_path: Path) -> None:
    found = changes(tmp_path, DEADLINE, DEADLINE.replace("15", "16"))["deadline.reply"]
    assert found.case is not None
    old, new = (case.outcome for case in found.case)
    assert old is not None
    assert new is not None
    assert old.due_date < new.due_date  # type: ignore[operator]


def test_the_same_deadline_by_another_way_is_not_called_changed(tmp_path: Path) -> None:
    other = DEADLINE.replace("workdays_after(received_on, 15)", "workdays_after(received_on, 10 + 5)")
    assert changes(tmp_path, DEADLINE, other)["deadline.reply"].kind == "reworded"


def test_added_and_removed_provisions_are_named(tmp_path: Path) -> None:
    found = changes(tmp_path, CUT, AWARD)
    assert {name: change.kind for name, change in found.items()} == {
        "award.growth": "added",
        "cut.shortfall": "removed",
    }


def test_facts_that_changed_are_listed_and_the_common_cases_proved_the_same(tmp_path: Path) -> None:
    other = CUT.replace("budget: {type: money, max: 1亿元}", "budget: {type: money, max: 2亿元}")
    found = changes(tmp_path, CUT, other)["cut.shortfall"]
    assert (found.kind, found.facts) == ("facts", ("~ budget: min/max",))


def test_a_fact_of_another_kind_is_open_and_says_so(tmp_path: Path) -> None:
    other = AWARD.replace("large: 规模以上", "large: {type: enum, values: [yes_large, small]}").replace(
        "require: [large,", "require: [large == yes_large,"
    )
    found = changes(tmp_path, AWARD, other)["award.growth"]
    assert found.kind == "open"
    assert found.reason


def test_next_years_pack_is_compared_on_the_days_of_each(tmp_path: Path) -> None:
    before = pack(tmp_path / "old", AWARD)
    folder = tmp_path / "new"
    pack(folder, AWARD)
    (folder / "pack.yaml").write_text(HEADER.replace("2019-", "2020-"), encoding="utf-8")
    (folder / "parameters.yaml").write_text(
        "reward_rate: {type: percent, values: {2020-01-01: 2‰}}\n", encoding="utf-8"
    )
    assert [change.kind for change in compare_packs(before, load_pack(folder).load_all())] == ["same"]


def test_a_large_pack_is_the_same_as_itself() -> None:
    one, other = load_pack("chuxiong_2019").load_all(), load_pack("chuxiong_2019").load_all()
    assert {change.kind for change in compare_packs(one, other)} == {"same"}


# Money


def test_the_effect_on_money_is_told_in_total_and_by_subject(tmp_path: Path) -> None:
    before, after = pack(tmp_path / "old", CUT), pack(tmp_path / "new", CUT.replace("85%", "90%"))
    table = tmp_path / "cut.shortfall.csv"
    table.write_text(
        "task,raised,budget\n1000元,849元,100000元\n1000元,880元,100000元\n1000元,1000元,100000元\n", encoding="utf-8"
    )
    submissions = tuple(
        read_facts([table], dossiers={}, provision=item.find, record="cut.shortfall") for item in (before, after)
    )
    assert not submissions[0].errors
    effect = money_effect(before, after, submissions, (date(2019, 12, 31), date(2019, 12, 31)))  # type: ignore[arg-type]
    assert (effect.total_old, effect.total_new, effect.change) == (1_500_000, 2_000_000, 500_000)
    assert effect.left_out == 0


def test_an_open_amount_has_no_change() -> None:
    assert Effect("甲", None, 100).change is None

"""Tiers: the bounds come from the rule, and everywhere the tier says what an evaluation says."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from engine import load_pack
from engine.builtins import FUNCTIONS
from engine.cases import load_cases
from engine.errors import PackError
from engine.inputs import read_as_of, read_inputs
from engine.load import Pack
from strategies import DAYS, FactMaker, Seeded, from_seed, load_provision, make_provision
from tiers_check import differences, points
from web.pages.what_if import best_fact, movable, moves, span_text, tier_text
from web.steps import STEPS
from web.terms import number_of, value_of
from web.tiers import MOVABLE, Tiers, explore
from web_helpers import CUT, FACTS

DAY = date(2019, 12, 31)
PACK: Pack = load_pack().load_all()
TALENT: Pack = load_pack("yunling_talent_2026").load_all()


def tiers_of(identity: str, inputs: dict[str, Any], name: str) -> Tiers:
    provision = PACK.provision(identity)
    return explore(provision, read_inputs(provision, inputs), name, DAY)


def test_the_brackets_of_the_budget_cut_are_found_to_the_fen() -> None:
    found = tiers_of(CUT, FACTS, "raised_amount")
    assert found.complete
    assert [(tier.low, tier.low_in, tier.outcome.rate) for tier in found.tiers] == [
        (0, True, "10"), (850_000_000, True, "8"), (900_000_000, True, "5"), (950_000_000, True, "3"),
        (1_000_000_000, True, "0")]  # fmt: skip
    assert found.here == 0


def test_how_much_more_is_the_difference_to_the_threshold() -> None:
    provision = PACK.provision(CUT)
    found = tiers_of(CUT, FACTS, "raised_amount")
    up = moves(found, Fraction(849_999_999), provision, "zh")[0]
    assert (
        up.sentence
        == "“实际争取资金”再增加 0.01元，达到 8,500,000.00元：应予处理，金额 160,000.00元，比例 8%（少 40,000.00元）。"
    )
    assert up.value == "8500000元"
    english = moves(found, Fraction(849_999_999), provision, "en")[0].sentence
    assert english.startswith("funds raised more by 0.01 yuan, to 8,500,000.00 yuan: triggered")


def test_a_threshold_between_two_fen_is_entered_at_the_next_one() -> None:
    found = tiers_of(CUT, FACTS | {"task_amount": "1.01元", "raised_amount": "0"}, "raised_amount")
    assert found.tiers[1].low == Fraction(17_17, 20)  # 85% of 101 fen
    assert found.entry(1, upward=True) == (86, True)
    assert found.entry(0, upward=False) == (85, True)


def test_a_subsidy_that_grows_up_to_its_ceiling_is_one_slope_and_one_level() -> None:
    found = tiers_of("enterprise.sales_promotion.subsidy", {
        "above_scale_industrial": True, "strategic_emerging": False, "main_revenue_previous": "1亿元",
        "main_revenue_current": "1.2亿元"}, "main_revenue_current")  # fmt: skip
    assert [(tier.low, tier.line) for tier in found.tiers] == [
        (0, (0, 0)), (11_500_000_000, (Fraction(2, 1000), -20_000_000)), (35_000_000_000, (0, 50_000_000))]  # fmt: skip
    assert span_text(found.tiers[1], found.fact, "zh") == "115,000,000.00元（含）起 至 350,000,000.00元（不含）"


def test_what_moves_along_a_tier_is_told_from_end_to_end() -> None:
    provision = PACK.provision("enterprise.sales_promotion.subsidy")
    found = tiers_of(provision.id, {
        "above_scale_industrial": True, "strategic_emerging": False, "main_revenue_previous": "1亿元",
        "main_revenue_current": "1.2亿元"}, "main_revenue_current")  # fmt: skip
    assert tier_text(found.tiers[1], found, provision, "zh") == "符合条件，金额 30,000.00 — 500,000.00"
    up = moves(found, Fraction(12_000_000_000), provision, "zh")[0]
    assert up.sentence == ("“本年主营业务收入”再增加 230,000,000.00元，达到 350,000,000.00元：符合条件，金额 500,000.00元"
                           "（多 460,000.00元）。")  # fmt: skip


def test_a_deadline_turns_on_its_due_date() -> None:
    found = tiers_of("fiscal.special_fund.specified_5wd", {
        "document_received_on": "2019-03-01", "submitted": True, "submitted_on": "2019-03-05"}, "submitted_on")  # fmt: skip
    assert [(tier.high and value_of(tier.high, found.fact), tier.outcome.status) for tier in found.tiers] == [
        (date(2019, 3, 8), "on_time"), (None, "late")]  # fmt: skip


def test_the_fact_a_rule_is_about_moves_it_most() -> None:
    provision = PACK.provision(CUT)
    assert best_fact(provision, read_inputs(provision, FACTS), DAY) == "raised_amount"


def test_every_fact_of_both_packs_is_solved_and_every_tier_says_what_an_evaluation_says() -> None:
    """Each provision and movable fact with two of its cases, the fact given and not: at the bounds, beside, anywhere."""
    chance, wrong, pairs = Random(5), [], 0
    for pack in (PACK, TALENT):
        cases = [case for case in load_cases(pack) if not case.reading]
        for provision in pack.provisions.values():
            own = [case for case in cases if case.provision == provision.id]
            for fact in movable(provision):
                pairs += 1
                for case in own[:1] + own[-1:]:
                    values = read_inputs(provision, case.inputs)
                    for held in (values, {**values, fact.name: None}):
                        found = explore(provision, held, fact.name, read_as_of(case.as_of) or DAY)
                        assert found.complete, (provision.id, fact.name)
                        assert all(a.high == b.low for a, b in pairwise(found.tiers))
                        told = list(differences(found, points(found, chance)))
                        wrong += [(provision.id, fact.name, case.label, *difference) for difference in told]
    assert wrong == []
    assert pairs > 200


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_tiers_of_random_provisions_say_what_evaluations_say(chance: Random) -> None:
    """Any function in any place: what is solved is right, what cannot be is said to be incomplete."""
    chooser = Seeded(chance)
    data, day = make_provision(chooser), DAYS[chooser.below(len(DAYS))]
    try:
        provision = load_provision(data)
    except PackError:
        reject()
    values = FactMaker(provision).values(chooser)
    for fact in provision.facts.values():
        if fact.type.kind in MOVABLE:
            found = explore(provision, values, fact.name, day)
            if found.complete:
                assert list(differences(found, points(found, chance)[:60])) == []


@pytest.mark.parametrize("seed", [
    8,     # two outputs of one name, of which the later counts
    63,    # a deadline that runs from the day it is judged by
    143,   # a rounding of whole fen beside a product with nothing
    5247,  # a measure that falls away where the figure goes on
])  # fmt: skip
def test_a_provision_that_was_once_told_wrongly(seed: int) -> None:
    chooser = from_seed(seed)
    data, day = make_provision(chooser), DAYS[chooser.below(len(DAYS))]
    provision = load_provision(data)
    maker = FactMaker(provision)
    for values in (maker.values(chooser), maker.values(chooser)):
        for fact in provision.facts.values():
            if fact.type.kind in MOVABLE:
                found = explore(provision, values, fact.name, day)
                assert found.complete
                assert list(differences(found, points(found, Random(seed)))) == []


@pytest.mark.parametrize(("of", "rule", "value", "turns"), [
    ("money", "floor(x / 3) >= 0.05元", 12, [0, 15]),
    ("integer", "truncate((x - 20) / 4) >= -2", 0, [0, 9]),  # (9 − 20) / 4 is −2.75
    ("money", "round_half_up(x / 100元, 2) > 4.56%", 0, [0, 450]),  # 4.5% is rounded up to 5%
    ("percent", "floor(x / 1%) < 3", Fraction(1, 2), [0, Fraction(3, 100)]),
    ("date", "workdays_after(x, 5) <= 2019-03-08", date(2019, 3, 1), [date(2004, 1, 1), date(2019, 3, 4), date(2026, 12, 25)]),
    ("integer", "workdays_after(2019-03-01, x) <= 2019-03-08", 3, [0, 6, 1955]),
    ("date", "workdays_between(x, 2019-03-08) >= 3", date(2019, 3, 1), [date(2004, 1, 1), date(2019, 3, 6), date(2027, 1, 1)]),
    ("date", "workdays_between(2019-03-08, x) >= 3", date(2019, 3, 1), [date(2004, 1, 1), date(2019, 3, 13), date(2027, 1, 1)]),
    ("date", "next_workday(x) > 2019-10-01", date(2019, 9, 1), [date(2004, 1, 1), date(2019, 10, 1), date(2027, 1, 1)]),
    ("date", "months_after(x, 2) <= 2019-02-28", date(2019, 1, 1), [date(2019, 1, 1), date(9999, 11, 1)]),
    ("integer", "months_after(2019-01-31, x) >= 2020-02-29", 0, [0, 13, 95772]),
    ("integer", "date_of(2019, x, 30) <= 2019-02-28", 1, [0, 1, 3, 13]),
    ("integer", "date_of(x, 2, 29) >= 2020-02-29", 2019, [0, 1, 2020, 10000]),
    ("date", "year_of(x) >= 2019", date(2018, 5, 1), [date(2019, 1, 1)]),
    ("date", "x + 10 > 2019-03-08 and x + 10 < 2019-03-20", date(2019, 1, 1), [date(2019, 2, 27), date(2019, 3, 10), date(9999, 12, 22)]),
    ("date", "months_after(x, 1) - x >= 31", date(2019, 1, 15), None),
])  # fmt: skip
def test_a_step_is_taken_back_to_its_argument(of: str, rule: str, value: Any, turns: list[Any] | None) -> None:
    provision = load_provision({
        "id": "a.b.c", "kind": "obligation", "label": {"zh": "测", "en": "t"}, "plan": 1, "at": "一",
        "summary": {"zh": "测", "en": "t"}, "facts": {"x": {"type": of, "zh": "某", "en": "x"}}, "duty": rule})  # fmt: skip
    found = explore(provision, {"x": value}, "x", DAY)
    assert found.complete
    assert list(differences(found, points(found, Random(1), 20))) == []
    if turns is not None:
        entered = [found.entry(place, upward=True) for place in range(len(found.tiers))]
        assert [value_of(entry[0], found.fact) for entry in entered if entry is not None] == turns


def test_every_function_is_a_step_or_a_line() -> None:
    assert set(STEPS) | {"min", "max", "abs", "is_known"} == set(FUNCTIONS)
    for name, steps in STEPS.items():
        takes = FUNCTIONS[name].takes
        assert takes is not None
        assert len(steps) == len(takes) - FUNCTIONS[name].optional


def test_next_tiers_are_exact_where_there_are_very_many() -> None:
    provision = load_provision({
        "id": "a.b.c", "kind": "entitlement", "label": {"zh": "测", "en": "t"}, "plan": 1, "at": "一",
        "summary": {"zh": "测", "en": "t"}, "facts": {"x": {"type": "money", "zh": "某", "en": "x", "min": "0元", "max": "100亿元"}},
        "amount": "5元 * floor(x / 1万元)"})  # fmt: skip
    found = explore(provision, {"x": 12_345_678_900}, "x", DAY)
    assert found.complete
    assert found.is_cut
    assert found.here is not None
    assert found.entry(found.here + 1, upward=True) == (12_346_000_000, True)
    assert found.entry(found.here - 1, upward=False) == (12_344_999_999, True)
    assert list(differences(found, points(found, Random(2)))) == []


DEADLINE = "fiscal.special_fund.specified_5wd"
DONE = {"document_received_on": "2019-03-01", "submitted": True, "submitted_on": "2019-03-11"}


def test_a_deadline_tells_how_much_later_the_document_would_have_to_come() -> None:
    provision = PACK.provision(DEADLINE)
    found = tiers_of(DEADLINE, DONE, "document_received_on")
    assert [tier.status for tier in found.tiers] == [None, "late", "on_time", None]
    later, earlier = moves(found, number_of(date(2019, 3, 1)), provision, "zh")
    assert later.sentence == "“收文日期”推后 3 天，到 2019年3月4日：按时完成，到期日 2019年3月11日。"
    assert later.value == "2019-03-04"
    assert earlier.sentence == "“收文日期”提前 5539 天，到 2003年12月31日：无法核算：超出已公布的放假安排（2004—2026年）。"
    english = moves(found, number_of(date(2019, 3, 1)), provision, "en")[0].sentence
    assert english == "document received on later by 3 days, to 2019-03-04: on time, due date 2019-03-11."


def test_what_varies_within_a_tier_is_not_told_as_the_tiers() -> None:
    provision = PACK.provision(DEADLINE)
    found = tiers_of(DEADLINE, DONE, "document_received_on")
    assert [tier_text(tier, found, provision, "zh") for tier in found.tiers][:3] == [
        "无法核算：超出已公布的放假安排（2004—2026年）", "逾期完成", "按时完成"]  # fmt: skip
    found = tiers_of(DEADLINE, DONE, "submitted_on")  # the due date stays, the days over do not
    assert [tier_text(tier, found, provision, "zh") for tier in found.tiers][:2] == [
        "按时完成，到期日 2019年3月8日", "逾期完成，到期日 2019年3月8日"]  # fmt: skip


@pytest.mark.parametrize("value", [date(2019, 3, 1), 12_345, Fraction(1, 3)])
def test_a_value_and_its_number_agree(value: Any) -> None:
    fields = {
        field.type.kind.value: field for provision in PACK.provisions.values() for field in provision.facts.values()
    }
    field = fields["date" if isinstance(value, date) else "percent"]
    assert value_of(number_of(value), field) == value

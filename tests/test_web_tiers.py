"""Tiers: the bounds come from the rule, and everywhere the tier says what an evaluation says."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import load_pack
from engine.assessing import read_inputs
from engine.cases import load_cases
from engine.errors import HeguiError
from engine.load import Pack
from engine.outcome import assess
from web.pages.what_if import best_fact, movable, moves, span_text, tier_text
from web.tiers import Tiers, explore, figure_of, number_of, value_of
from web_helpers import CUT, FACTS

DAY = date(2019, 12, 31)
PACK: Pack = load_pack().load_all()
CASES = [case for case in load_cases(PACK) if movable(PACK.provision(case.provision)) and not case.reading]


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


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_tier_says_what_an_evaluation_says(data: st.DataObject) -> None:
    """Over every worked case: at the bounds, beside them and between them."""
    case = data.draw(st.sampled_from(CASES))
    provision = PACK.provision(case.provision)
    field = data.draw(st.sampled_from(movable(provision)))
    try:
        values = read_inputs(provision, case.inputs)
    except HeguiError:
        return
    found = explore(provision, values, field.name, DAY)
    if not found.tiers:
        return
    edges = [edge for tier in found.tiers for edge in (tier.low, tier.high) if edge is not None] or [Fraction(0)]
    step = found.step or Fraction(1, 10_000)
    edge = data.draw(st.sampled_from(edges))
    shift = data.draw(st.sampled_from([0, 1, -1, 2, 1000, -1000]))
    x = edge // step * step + shift * step if found.step else edge + shift * step
    place = next((tier for tier in found.tiers if tier.holds(x)), None)
    if place is None or not found.complete:
        return
    try:
        outcome = assess(provision, {**values, field.name: value_of(x, field)}, DAY)
    except (HeguiError, OverflowError):
        return
    assert (outcome.status, outcome.values.get("rate")) == (place.outcome.status, place.outcome.values.get("rate"))
    if place.line is not None:
        assert place.figure(x) == figure_of(outcome)


@pytest.mark.parametrize("value", [date(2019, 3, 1), 12_345, Fraction(1, 3)])
def test_a_value_and_its_number_agree(value: Any) -> None:
    fields = {
        field.type.kind.value: field for provision in PACK.provisions.values() for field in provision.facts.values()
    }
    field = fields["date" if isinstance(value, date) else "percent"]
    assert value_of(number_of(value), field) == value

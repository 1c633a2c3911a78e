"""`pack.evaluate` as other systems call it."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from engine import EvaluationError, FactError, PackError, load_pack
from packs import one

PACK = load_pack()
CUT = "fiscal.budget_cut.fundraising_shortfall"
FACTS = {"has_task": True, "task_amount": "1000万元", "raised_amount": "849.999999万元", "next_year_public_funds": "200万元"}


def test_the_interface_of_the_readme() -> None:
    outcome = PACK.evaluate(CUT, FACTS, as_of="2019-12-31")
    assert (outcome.status, outcome.amount, outcome.rate, outcome.missing) == ("triggered", "200000.00", "10", ())
    found = outcome.to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["citation"]["path"] == "二(二)2(4)三"
    assert found["pack"]["id"] == "chuxiong_2019"
    assert len(found["pack"]["digest"]) == 64
    assert found["as_of"] == "2019-12-31"
    assert any(step["kind"] == "table" and step["row"] == 1 for step in found["trace"])


@pytest.mark.parametrize("raw", ["849.999999万元", "8499999.99", 8499999.99, Decimal("8499999.99"), "８４９９９９９．９９", "8,499,999.99"])
def test_one_amount_in_many_spellings(raw: object) -> None:
    assert PACK.evaluate(CUT, {**FACTS, "raised_amount": raw}).rate == "10"


@pytest.mark.parametrize(("raised", "rate"), [
    ("849.999999", "10"), ("850", "8"), ("899.999999", "8"), ("900", "5"), ("949.999999", "5"), ("950", "3"),
    ("999.999999", "3"), ("1000", "0"), ("1000.000001", "0"), ("0", "10"),
])  # fmt: skip
def test_every_threshold_just_below_at_and_above(raised: str, rate: str) -> None:
    assert PACK.evaluate(CUT, {**FACTS, "raised_amount": f"{raised}万元"}).rate == rate


def test_a_fact_name_with_one_letter_wrong_is_a_problem() -> None:
    with pytest.raises(FactError) as caught:
        PACK.evaluate(CUT, {**FACTS, "raised_amont": "1"})
    assert caught.value.problems[0].code == "unknown-fact"
    assert "raised_amount" in caught.value.render("zh")


def test_every_bad_fact_is_named_at_once() -> None:
    with pytest.raises(FactError) as caught:
        PACK.evaluate(CUT, {"has_task": "也许", "task_amount": "1O00", "raised_amount": -1, "next_year_public_funds": "1e9", "x": 1})
    assert len(caught.value.problems) == 5
    with pytest.raises(FactError) as caught:
        PACK.evaluate("construction.method.reward", {"award": "natonal"})
    assert "national" in caught.value.render("en")


def test_unknown_is_never_zero() -> None:
    for unknown in (None, "", "—", "未知"):
        outcome = PACK.evaluate(CUT, {**FACTS, "raised_amount": unknown})
        assert (outcome.status, outcome.amount, outcome.missing) == ("undetermined", None, ("raised_amount",))
    both = PACK.evaluate(CUT, {"has_task": True, "task_amount": "1000万元"})
    assert both.missing == ("next_year_public_funds", "raised_amount")


def test_an_unknown_provision_and_a_bad_day_are_said() -> None:
    with pytest.raises(PackError) as caught:
        PACK.evaluate("fiscal.budget_cut.fundraising_shortfal", {})
    assert CUT in caught.value.render("zh")
    with pytest.raises(FactError):
        PACK.evaluate(CUT, FACTS, as_of="2019-02-30")
    assert PACK.evaluate(CUT, FACTS, as_of=date(2019, 12, 31)).as_of == date(2019, 12, 31)


def test_a_day_outside_the_provisions_period_is_noticed() -> None:
    assert PACK.evaluate(CUT, FACTS, as_of="2019-12-31").notices == ()
    assert "2020-01-01" in PACK.evaluate(CUT, FACTS, as_of="2020-01-01").notices[0].zh


def test_readings_that_would_differ_come_along() -> None:
    at_90 = PACK.evaluate(CUT, {**FACTS, "raised_amount": "900万元"})
    assert [(item.number, item.outcome.rate, item.outcome.amount) for item in at_90.readings] == [(2, "8", "160000.00")]
    assert PACK.evaluate(CUT, {**FACTS, "raised_amount": "870万元"}).readings == ()


TABLES = {
    "unique": ("unique", ["[< 10, 1元]", '["[10..20)", 2元]', '[">= 20", 3元]'], {"9": "1.00", "10": "2.00", "19": "2.00", "20": "3.00"}),
    "first": ("first", ['["<= 10", 1元]', "[-, 2元]"], {"10": "1.00", "11": "2.00"}),
    "any": ("any", ['["<= 10", 1元]', '[">= 10", 1元]'], {"10": "1.00", "11": "1.00"}),
    "sum": ("sum", ['[">= 10", 1元]', '[">= 20", 2元]'], {"9": "0.00", "10": "1.00", "20": "3.00"}),
    "max": ("max", ['[">= 0", 1元]', '[">= 20", 2元]'], {"9": "1.00", "20": "2.00"}),
    "min": ("min", ['[">= 0", 2元]', '[">= 20", 1元]'], {"9": "2.00", "20": "1.00"}),
    "list and not": ("unique", ['["1, 2, 3", 1元]', '["not(1, 2, 3)", 2元]'], {"2": "1.00", "4": "2.00"}),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_hit_policies(name: str, tmp_path: Path) -> None:
    hit, rows, expected = TABLES[name]
    pack = one(tmp_path, "entitlement", f"""
        facts: [{{n: {{type: integer, zh: 数}}}}]
        tables:
        - {{hit: {hit}, on: [n], gives: {{x: money}}, rows: [{', '.join(rows)}]}}
        amount: x
        """)
    for given, amount in expected.items():
        assert pack.evaluate("tiny.one", {"n": given}).amount == amount
    assert pack.evaluate("tiny.one", {}).missing == ("n",)


def test_priority_takes_the_row_listed_first(tmp_path: Path) -> None:
    pack = one(tmp_path, "entitlement", """
        facts: [{n: {type: integer, zh: 数}}, {vip: 贵宾}]
        tables:
        - {hit: priority, on: [n, vip], gives: {x: money}, priority: [300元, 100元, 0元], rows: [[">= 1000", -, 100元], [-, true, 300元], ["< 1000", false, 0元]]}
        amount: x
        """)
    assert pack.evaluate("tiny.one", {"n": 1500, "vip": True}).amount == "300.00"
    assert pack.evaluate("tiny.one", {"n": 1500, "vip": False}).amount == "100.00"


def test_two_rows_of_a_unique_table_that_match_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(PackError) as caught:
        one(tmp_path, "entitlement", """
            facts: [{n: {type: integer, zh: 数}}, {vip: 贵宾}]
            tables:
            - {on: [n, vip], gives: {x: money}, rows: [[">= 1000", -, 100元], [-, true, 300元], ["< 1000", false, 0元]]}
            amount: x
            """)
    text = caught.value.render("en")
    assert "rows 1 and 2 both match" in text
    assert "vip = 是" in text


def test_a_table_without_its_boundary_is_found_when_loaded(tmp_path: Path) -> None:
    with pytest.raises(PackError) as caught:
        one(tmp_path, "entitlement", """
            facts: [{n: {type: integer, zh: 数}}]
            tables:
            - {on: [n], gives: {x: money}, rows: [["> 100", 1元], ["< 100", 2元]]}
            amount: x
            """)
    assert "n = 100" in caught.value.render("en")


@pytest.mark.parametrize(("due", "facts"), [
    ("date_of(2019, month, 25)", {"month": 13}), ("workdays_after(2019-03-01, 0 - month)", {"month": 3}),
    ("months_after(2019-03-01, month)", {"month": 200000}), ("2019-03-01 + month", {"month": 10**9}),
])  # fmt: skip
def test_an_impossible_date_is_a_problem_and_no_traceback(due: str, facts: dict[str, int], tmp_path: Path) -> None:
    pack = one(tmp_path, "parameter", f"""
        facts: [{{month: {{type: integer, zh: 月}}}}]
        outputs: {{day: "{due}"}}
        """)
    with pytest.raises(EvaluationError) as caught:
        pack.evaluate("tiny.one", facts)
    assert caught.value.problems[0].code == "no-such-date"

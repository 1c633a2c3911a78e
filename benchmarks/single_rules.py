"""Three rules for one case at a time: facts that sit on their boundaries, and what is right for them.

The oracle below is written with fractions from the clauses themselves and shares nothing with the
engine. Money is whole fen throughout; a rate is a fraction of one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import floor
from typing import Any

Facts = dict[str, Any]
Answer = tuple[str, Fraction | None, int | None]
"""Status, rate and amount in fen; None where the provision states none."""

DAY = date(2019, 12, 31)
YUAN = 100
WAN = 10_000 * YUAN


@dataclass(frozen=True)
class Rule:
    """One of the three rules. `name` is what the peers know it by."""

    name: str
    title: str
    provision: str
    facts: Callable[[random.Random], Facts]
    oracle: Callable[[Facts], Answer]


def half_up(amount: Fraction) -> int:
    """Whole fen, halves away from zero (no amount here is negative)."""
    return floor(amount + Fraction(1, 2))


# Budget cut by completion bracket


def budget_cut_facts(draw: random.Random) -> Facts:
    task = draw.choice([0, 1, 100, 1000 * WAN, draw.randint(1, 10**4), draw.randint(1, 10**9), draw.randint(1, 10**14)])
    edge = draw.choice([0, 84, 85, 85, 90, 90, 95, 95, 100, 100, 130])
    raised = max(0, min(10**14, task * edge // 100 + draw.choice([-1, 0, 0, 1])))
    funds = draw.choice([draw.randint(0, 2000), draw.randint(0, 10**9), draw.randint(0, 10**5) * 50, 10**14])
    return {
        "has_task": draw.random() < 0.95,
        "task_amount": task,
        "raised_amount": raised,
        "next_year_public_funds": funds,
    }


def budget_cut(facts: Facts) -> Answer:
    if not facts["has_task"] or facts["task_amount"] == 0:
        return "not_applicable", None, None
    completion = Fraction(facts["raised_amount"], facts["task_amount"])
    rate = Fraction(0)
    for bound, cut in ((100, 3), (95, 5), (90, 8), (85, 10)):
        if completion < Fraction(bound, 100):
            rate = Fraction(cut, 100)
    return ("triggered" if rate else "not_triggered"), rate, half_up(facts["next_year_public_funds"] * rate)


# Sales-growth subsidy


def sales_growth_facts(draw: random.Random) -> Facts:
    previous = draw.choice(
        [0, draw.randint(1, 10**6), draw.randint(10**8, 10**10) * 20, draw.randint(1, 10**12), 500 * WAN * 100 // 15]
    )
    current = draw.choice(
        [
            previous * 115 // 100,
            previous + 500 * WAN,
            previous + 250 * WAN * 100,  # 2‰ of the growth is the ceiling
            previous + 200 * WAN * 100,  # 3‰ of the growth is the ceiling
            previous + draw.randint(1, 10**11),
            previous + draw.randint(500 * WAN // 1000, 10**7) * 1000 + draw.choice([250, 500, 750]),  # half a fen
            previous * 2,
        ]
    )
    return {
        "above_scale_industrial": draw.random() < 0.95,
        "strategic_emerging": draw.random() < 0.5,
        "main_revenue_previous": previous,
        "main_revenue_current": max(0, current + draw.choice([-1, 0, 0, 1])),
    }


def sales_growth(facts: Facts) -> Answer:
    before, now = facts["main_revenue_previous"], facts["main_revenue_current"]
    if not facts["above_scale_industrial"] or Fraction(now) < before * Fraction(115, 100) or now - before <= 500 * WAN:
        return "ineligible", None, 0
    rate, ceiling = (Fraction(3, 1000), 60 * WAN) if facts["strategic_emerging"] else (Fraction(2, 1000), 50 * WAN)
    return "eligible", None, half_up(min((now - before) * rate, Fraction(ceiling)))


# Highest applicable promotion reward

REWARDS = {
    "contractor_special": 100 * WAN,
    "contractor_first": 30 * WAN,
    "intermediary_grade_a": 30 * WAN,
    "contractor_second": 5 * WAN,
    "other": 0,
}


def promotion_facts(draw: random.Random) -> Facts:
    paid = draw.choice([0, 0, 5 * WAN, 30 * WAN, 100 * WAN, draw.randint(0, 120 * WAN)])
    return {
        "registered_in_prefecture": draw.random() < 0.9,
        "first_promotion": draw.random() < 0.9,
        "highest_promotion_this_year": draw.choice(list(REWARDS)),
        "already_paid_this_year": max(0, paid + draw.choice([-1, 0, 0, 1])),
    }


def promotion(facts: Facts) -> Answer:
    level = facts["highest_promotion_this_year"]
    if not facts["registered_in_prefecture"] or not facts["first_promotion"] or level == "other":
        return "ineligible", None, 0
    return "eligible", None, max(0, REWARDS[level] - facts["already_paid_this_year"])


RULES = (
    Rule(
        "budget_cut",
        "budget cut by completion bracket",
        "fiscal.budget_cut.fundraising_shortfall",
        budget_cut_facts,
        budget_cut,
    ),
    Rule(
        "sales_growth",
        "sales-growth subsidy",
        "enterprise.sales_promotion.subsidy",
        sales_growth_facts,
        sales_growth,
    ),
    Rule(
        "promotion",
        "highest promotion reward",
        "construction.grade.promotion_reward",
        promotion_facts,
        promotion,
    ),
)


def make_facts(rule: Rule, count: int, seed: int) -> list[Facts]:
    draw = random.Random(f"{seed} {rule.name}")
    return [rule.facts(draw) for _ in range(count)]

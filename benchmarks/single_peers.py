"""The three rules in Hegui, in other rule engines, and in plain Python.

Each contender gives, for a rule, a function to be timed (facts → its own result) and one that reads
that result as an `Answer`, which is not timed. The rules are written as each engine's users would
write them, compiled beforehand, over the same facts in whole fen.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from single_rules import DAY, REWARDS, WAN, Answer, Facts

Decide = Callable[[Facts], Any]
Read = Callable[[Any], Answer]


class Absent(Exception):
    """A contender that is not installed here, or cannot run; the text says why."""


def module(name: str, package: str) -> tuple[Any, str]:
    """A peer's module and version. Errors: `Absent`."""
    try:
        return importlib.import_module(name), importlib.metadata.version(package)
    except ImportError as error:
        raise Absent(f"{package} is not installed ({error})") from None


def answer(status: Any, rate: Any = None, amount: Any = None) -> Answer:
    """A peer's numbers as exact ones; its shortest decimal counts, so 0.1 is a tenth."""
    return (
        str(status),
        None if rate is None else Fraction(str(rate)),
        None if amount is None else int(Fraction(str(amount))),
    )


# Hegui


def of_hegui(found: tuple[str, Any]) -> Answer:
    status, values = found
    rate = values.get("rate")
    return status, None if rate is None else Fraction(rate), values.get("amount")


def of_outcome(outcome: Any) -> Answer:
    return of_hegui((outcome.status, outcome.values))


def hegui_compiled(identity: str, pack: Any) -> tuple[Decide, Read]:
    from engine.evaluate.compiled import CompiledProvision

    return CompiledProvision(pack.provision(identity), DAY).decide, of_hegui


def hegui_reference(identity: str, pack: Any) -> tuple[Decide, Read]:
    from engine.outcome import assess

    provision = pack.provision(identity)
    return lambda facts: assess(provision, facts, DAY), of_outcome


def hegui_traced(identity: str, pack: Any) -> tuple[Decide, Read]:
    from engine.assessing import assess_case

    provision = pack.provision(identity)
    return lambda facts: assess_case(pack, provision, facts, DAY), of_outcome


# zen-engine: a JSON decision model whose work is one decision table, compiled by its static loader


def zen_table(inputs: list[str], outputs: list[str], rows: list[list[str]]) -> dict[str, Any]:
    """A decision model: request → table, first match → response. A row gives its inputs, then its outputs."""
    place = {"position": {"x": 0, "y": 0}}
    names = [f"i{number}" for number in range(len(inputs))] + [f"o{number}" for number in range(len(outputs))]
    table = {
        "hitPolicy": "first",
        "passThrough": False,
        "inputs": [{"id": f"i{number}", "name": text, "field": text} for number, text in enumerate(inputs)],
        "outputs": [{"id": f"o{number}", "name": text, "field": text} for number, text in enumerate(outputs)],
        "rules": [{"_id": f"r{number}", **dict(zip(names, row, strict=True))} for number, row in enumerate(rows)],
    }
    return {
        "contentType": "application/vnd.gorules.decision",
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode", **place},
            {"id": "table", "name": "table", "type": "decisionTableNode", "content": table, **place},
            {"id": "out", "name": "out", "type": "outputNode", **place},
        ],
        "edges": [
            {"id": "e1", "type": "edge", "sourceId": "in", "targetId": "table"},
            {"id": "e2", "type": "edge", "sourceId": "table", "targetId": "out"},
        ],
    }


def zen_models() -> dict[str, dict[str, Any]]:
    def cut(percent: str) -> list[str]:
        return ['"triggered"', percent, f"floor(next_year_public_funds * {percent} + 0.5)"]

    growth = "(main_revenue_current - main_revenue_previous)"
    grows = (
        f"above_scale_industrial and main_revenue_current >= main_revenue_previous * 1.15 and {growth} > {500 * WAN}"
    )

    def paid(level: str) -> list[str]:
        return ['"eligible"', f"max([0, {REWARDS[level]} - already_paid_this_year])"]

    return {
        "budget_cut": zen_table(
            ["has_task and task_amount > 0", "raised_amount / task_amount"],
            ["status", "rate", "amount"],
            [
                ["false", "", '"not_applicable"', "null", "null"],
                ["", "< 0.85", *cut("0.10")],
                ["", "[0.85..0.90)", *cut("0.08")],
                ["", "[0.90..0.95)", *cut("0.05")],
                ["", "[0.95..1)", *cut("0.03")],
                ["", "", '"not_triggered"', "0", "0"],
            ],
        ),
        "sales_growth": zen_table(
            [grows, "strategic_emerging"],
            ["status", "amount"],
            [
                ["true", "false", '"eligible"', f"min([floor({growth} * 0.002 + 0.5), {50 * WAN}])"],
                ["true", "true", '"eligible"', f"min([floor({growth} * 0.003 + 0.5), {60 * WAN}])"],
                ["", "", '"ineligible"', "0"],
            ],
        ),
        "promotion": zen_table(
            ["registered_in_prefecture and first_promotion", "highest_promotion_this_year"],
            ["status", "amount"],
            [
                *(["true", f'"{level}"', *paid(level)] for level, reward in REWARDS.items() if reward),
                ["", "", '"ineligible"', "0"],
            ],
        ),
    }


def zen_engine(name: str) -> tuple[Decide, Read, str]:
    zen, version = module("zen", "zen-engine")
    engine = zen.ZenEngine({"loader": {"type": "static", "content": zen_models()}})

    def read(found: Any) -> Answer:
        result = found["result"]
        return answer(result["status"], result.get("rate"), result.get("amount"))

    return partial(engine.evaluate, name), read, version


# zen-engine's expression language alone: no model, no table, one nested expression for everything

ZEN_EXPRESSIONS = {
    "budget_cut": (
        "not has_task or task_amount <= 0 ? {status: 'not_applicable'} : "
        + "".join(
            f"raised_amount / task_amount < {bound} ? {{status: 'triggered', rate: {rate}, "
            f"amount: floor(next_year_public_funds * {rate} + 0.5)}} : "
            for bound, rate in (("0.85", "0.10"), ("0.90", "0.08"), ("0.95", "0.05"), ("1", "0.03"))
        )
        + "{status: 'not_triggered', rate: 0, amount: 0}"
    ),
    "sales_growth": (
        "not above_scale_industrial or main_revenue_current < main_revenue_previous * 1.15 "
        f"or main_revenue_current - main_revenue_previous <= {500 * WAN} ? {{status: 'ineligible', amount: 0}} : "
        "strategic_emerging ? {status: 'eligible', amount: "
        f"min([floor((main_revenue_current - main_revenue_previous) * 0.003 + 0.5), {60 * WAN}])}} : "
        "{status: 'eligible', amount: "
        f"min([floor((main_revenue_current - main_revenue_previous) * 0.002 + 0.5), {50 * WAN}])}}"
    ),
    "promotion": (
        "not registered_in_prefecture or not first_promotion or highest_promotion_this_year == 'other' ? "
        "{status: 'ineligible', amount: 0} : "
        + "".join(
            f"highest_promotion_this_year == '{level}' ? "
            f"{{status: 'eligible', amount: max([0, {reward} - already_paid_this_year])}} : "
            for level, reward in REWARDS.items()
            if reward
        )
        + "{status: 'ineligible', amount: 0}"
    ),
}


def zen_expression(name: str) -> tuple[Decide, Read, str]:
    zen, version = module("zen", "zen-engine")

    def read(found: Any) -> Answer:
        return answer(found["status"], found.get("rate"), found.get("amount"))

    return zen.compile_expression(ZEN_EXPRESSIONS[name]).evaluate, read, version


# rule-engine: compiled rules, the first that matches gives the answer


def rule_engine(name: str) -> tuple[Decide, Read, str]:
    library, version = module("rule_engine", "rule-engine")
    context = library.Context(resolver=library.resolve_item)

    def rule(text: str) -> Any:
        return library.Rule(text, context=context)

    def capped(rate: str, ceiling: int) -> str:
        share = f"((main_revenue_current - main_revenue_previous) * {rate} + 0.5).floor"
        return f"{share} < {ceiling} ? {share} : {ceiling}"

    rows: list[tuple[str, str, str | None, str | None]]
    if name == "budget_cut":
        brackets = (("0.85", "0.10"), ("0.90", "0.08"), ("0.95", "0.05"), ("1", "0.03"))
        rows = [
            ("not has_task or task_amount <= 0", "not_applicable", None, None),
            *(
                (
                    f"raised_amount / task_amount < {bound}",
                    "triggered",
                    rate,
                    f"(next_year_public_funds * {rate} + 0.5).floor",
                )
                for bound, rate in brackets
            ),
            ("true", "not_triggered", "0", "0"),
        ]
    elif name == "sales_growth":
        grows = (
            "above_scale_industrial and main_revenue_current >= main_revenue_previous * 1.15 "
            f"and main_revenue_current - main_revenue_previous > {500 * WAN}"
        )
        rows = [
            (f"{grows} and not strategic_emerging", "eligible", None, capped("0.002", 50 * WAN)),
            (f"{grows} and strategic_emerging", "eligible", None, capped("0.003", 60 * WAN)),
            ("true", "ineligible", None, "0"),
        ]
    else:
        rows = [
            *(
                (
                    f'registered_in_prefecture and first_promotion and highest_promotion_this_year == "{level}"',
                    "eligible",
                    None,
                    f"already_paid_this_year < {reward} ? {reward} - already_paid_this_year : 0",
                )
                for level, reward in REWARDS.items()
                if reward
            ),
            ("true", "ineligible", None, "0"),
        ]
    compiled = [(rule(when), status, rate, rule(then) if then else None) for when, status, rate, then in rows]

    def decide(facts: Facts) -> Any:
        for when, status, rate, then in compiled:
            if when.matches(facts):
                return status, rate, then.evaluate(facts) if then is not None else None
        return None

    return decide, lambda found: answer(*found), version


# Plain Python by hand: whole numbers, and the floats that come to mind first


def by_hand(name: str) -> tuple[Decide, Read]:
    return {"budget_cut": hand_budget_cut, "sales_growth": hand_sales_growth, "promotion": hand_promotion}[
        name
    ], lambda found: found


TENTHS = {percent: Fraction(percent, 100) for percent in (0, 3, 5, 8, 10)}


def hand_budget_cut(facts: Facts) -> Any:
    task = facts["task_amount"]
    if not facts["has_task"] or task <= 0:
        return "not_applicable", None, None
    raised = facts["raised_amount"] * 100
    if raised >= task * 100:
        return "not_triggered", TENTHS[0], 0
    percent = 10 if raised < task * 85 else 8 if raised < task * 90 else 5 if raised < task * 95 else 3
    return "triggered", TENTHS[percent], (facts["next_year_public_funds"] * percent + 50) // 100


def hand_sales_growth(facts: Facts) -> Any:
    before, now = facts["main_revenue_previous"], facts["main_revenue_current"]
    growth = now - before
    if not facts["above_scale_industrial"] or now * 100 < before * 115 or growth <= 500 * WAN:
        return "ineligible", None, 0
    permille, ceiling = (3, 60 * WAN) if facts["strategic_emerging"] else (2, 50 * WAN)
    return "eligible", None, min((growth * permille + 500) // 1000, ceiling)


def hand_promotion(facts: Facts) -> Any:
    level = facts["highest_promotion_this_year"]
    if not facts["registered_in_prefecture"] or not facts["first_promotion"] or level == "other":
        return "ineligible", None, 0
    return "eligible", None, max(0, REWARDS[level] - facts["already_paid_this_year"])


def with_floats(name: str) -> tuple[Decide, Read]:
    return {"budget_cut": float_budget_cut, "sales_growth": float_sales_growth, "promotion": float_promotion}[
        name
    ], lambda found: answer(*found)


def float_budget_cut(facts: Facts) -> Any:
    task = facts["task_amount"] / 100
    if not facts["has_task"] or task <= 0:
        return "not_applicable", None, None
    completion = facts["raised_amount"] / 100 / task
    if completion >= 1:
        return "not_triggered", 0, 0
    rate = 0.10 if completion < 0.85 else 0.08 if completion < 0.90 else 0.05 if completion < 0.95 else 0.03
    return "triggered", rate, round(facts["next_year_public_funds"] / 100 * rate * 100)


def float_sales_growth(facts: Facts) -> Any:
    before, now = facts["main_revenue_previous"] / 100, facts["main_revenue_current"] / 100
    growth = now - before
    if not facts["above_scale_industrial"] or now < before * 1.15 or growth <= 5_000_000:
        return "ineligible", None, 0
    rate, ceiling = (0.003, 600_000) if facts["strategic_emerging"] else (0.002, 500_000)
    return "eligible", None, round(min(growth * rate, ceiling) * 100)


def float_promotion(facts: Facts) -> Any:
    level = facts["highest_promotion_this_year"]
    if not facts["registered_in_prefecture"] or not facts["first_promotion"] or level == "other":
        return "ineligible", None, 0
    return "eligible", None, round(max(0.0, REWARDS[level] / 100 - facts["already_paid_this_year"] / 100) * 100)

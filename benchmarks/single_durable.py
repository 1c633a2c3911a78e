"""The three rules in durable-rules alone, by its ordinary Python interface, in a process of its own.

The C module can take its process down, so the engine runs here and the parent only reads. One
request a line on stdin, `{"rule": …, "cases": […]}` or `{"rule": …}` to time the cases given
before; one reply a line: the answers, or the nanoseconds of each evaluation, measured in here (so
that no pipe is counted). One session id serves all cases: a new one for each leaves a state behind,
and the engine runs out of memory after one or two thousand. The completion and the growth are worked out
before the event is posted, within the time. The engine refuses a number that JSON writes with an
exponent, such as a completion of 1e-09; that counts as a wrong answer.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from durable.lang import m, post, ruleset, when_all
from single_rules import REWARDS, WAN, Facts

found: list[tuple[str, float | None, float | None]] = []


def rule(name: str, condition: Any, answer: Callable[[Any], Any]) -> None:
    """A rule of the rule set at hand; the engine knows it by its function's name."""

    def act(c: Any) -> None:
        found.append(answer(c.m))

    act.__name__ = name
    when_all(condition)(act)


def budget_cut() -> None:
    def cut(rate: float) -> Callable[[Any], Any]:
        return lambda fact: ("triggered", rate, int(fact.next_year_public_funds * rate + 0.5))

    with ruleset("budget_cut"):
        applies = (m.has_task == True) & (m.task_amount > 0)  # noqa: E712
        rule("no_task", (m.has_task == False) | (m.task_amount <= 0), lambda fact: ("not_applicable", None, None))  # noqa: E712
        rule("met", applies & (m.completion >= 1), lambda fact: ("not_triggered", 0, 0))
        rule("cut_10", applies & (m.completion < 0.85), cut(0.10))
        rule("cut_8", applies & (m.completion >= 0.85) & (m.completion < 0.90), cut(0.08))
        rule("cut_5", applies & (m.completion >= 0.90) & (m.completion < 0.95), cut(0.05))
        rule("cut_3", applies & (m.completion >= 0.95) & (m.completion < 1), cut(0.03))


def sales_growth() -> None:
    def grant(rate: float, ceiling: int) -> Callable[[Any], Any]:
        return lambda fact: ("eligible", None, min(int(fact.growth * rate + 0.5), ceiling))

    with ruleset("sales_growth"):
        grows = (m.above_scale_industrial == True) & (m.above_required >= 0) & (m.growth > 500 * WAN)  # noqa: E712
        rule("ordinary", grows & (m.strategic_emerging == False), grant(0.002, 50 * WAN))  # noqa: E712
        rule("strategic", grows & (m.strategic_emerging == True), grant(0.003, 60 * WAN))  # noqa: E712
        refused = (m.above_scale_industrial == False) | (m.above_required < 0) | (m.growth <= 500 * WAN)  # noqa: E712
        rule("refused", refused, lambda fact: ("ineligible", None, 0))


def promotion() -> None:
    def grant(reward: int) -> Callable[[Any], Any]:
        return lambda fact: ("eligible", None, max(0, reward - fact.already_paid_this_year))

    with ruleset("promotion"):
        first = (m.registered_in_prefecture == True) & (m.first_promotion == True)  # noqa: E712
        for level, reward in REWARDS.items():
            if reward:
                rule(level, first & (m.highest_promotion_this_year == level), grant(reward))
        not_first = (m.registered_in_prefecture == False) | (m.first_promotion == False)  # noqa: E712
        refused = not_first | (m.highest_promotion_this_year == "other")
        rule("refused", refused, lambda fact: ("ineligible", None, 0))


def prepared(name: str, facts: Facts) -> Facts:
    """The event of a case, with the numbers that the engine's conditions cannot work out."""
    event = {**facts, "sid": "1"}
    if name == "budget_cut":
        event["completion"] = facts["raised_amount"] / facts["task_amount"] if facts["task_amount"] else 0
    elif name == "sales_growth":
        event["growth"] = facts["main_revenue_current"] - facts["main_revenue_previous"]
        event["above_required"] = facts["main_revenue_current"] - facts["main_revenue_previous"] * 1.15
    return event


def decide(name: str, facts: Facts) -> Any:
    found.clear()
    try:
        post(name, prepared(name, facts))
    except Exception as error:  # the C module's own exception, and Python's MemoryError
        return type(error).__name__, None, None
    return found[0] if found else ("no_rule", None, None)


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the engine prints on stdout
    cases: dict[str, list[Facts]] = {}
    for make in (budget_cut, sales_growth, promotion):
        make()
    print(json.dumps({"version": importlib.metadata.version("durable_rules")}), file=out, flush=True)
    clock = time.perf_counter_ns
    for line in sys.stdin:
        request = json.loads(line)
        name = request["rule"]
        if "cases" in request:
            cases[name] = request["cases"]
            reply: list[Any] = [decide(name, facts) for facts in cases[name]]
        else:
            reply = []
            for facts in cases[name][: request["count"]]:
                begin = clock()
                decide(name, facts)
                reply.append(clock() - begin)
        print(json.dumps(reply), file=out, flush=True)


if __name__ == "__main__":
    main()

"""The chaining engine answers as the naive evaluator does, and its known defects cannot be reached.

Rules run in a worker, so that a crash of the engine fails one test and not the run. What the rule base
refuses by itself is tested without the engine, also where it cannot be imported.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import pytest

from engine.evaluate import durable, durable_records
from engine.evaluate.durable import NoVerdict, RuleBase
from engine.evaluate.durable_records import (
    Absent,
    AllOf,
    AnyOf,
    Condition,
    Derive,
    Fact,
    Inference,
    OutsideSubset,
    Own,
    Pattern,
    Present,
    Ref,
    Rule,
    Schema,
    Test,
)
from engine.evaluate.worker import Worker, unavailable_reason
from naive_chaining import infer_naively, random_case, random_rules

SCHEMA: Schema = {
    "firm": {"code": False, "grade": True, "revenue": True},
    "award": {"firm": False, "amount": False},
    "barred": {"firm": False},
}
LARGEST = 2**63 - 1
EQUAL_HASH = 40_189, 797_186


class Infer(Protocol):
    """Infers over a schema and holds the answer against the naive one."""

    def __call__(
        self, rules: Sequence[Rule], facts: Sequence[Fact], schema: Schema = SCHEMA
    ) -> Inference: ...


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    if reason := unavailable_reason():
        pytest.skip(reason)
    with Worker() as worker:
        yield worker


@pytest.fixture
def infer(worker: Worker) -> Iterator[Infer]:
    """As `Infer` says; the test fails if the worker was lost on the way."""
    worker.infer(RuleBase({}, []), [])
    starts = worker.starts

    def checked(rules: Sequence[Rule], facts: Sequence[Fact], schema: Schema = SCHEMA) -> Inference:
        inference = worker.infer(RuleBase(schema, rules), facts)
        assert inference == infer_naively(rules, facts)
        return inference

    yield checked
    assert worker.starts == starts


def firm(code: int, grade: int | None = None, revenue: int | None = None) -> Fact:
    return Fact("firm", {"code": code, "grade": grade, "revenue": revenue})


def award(firm: int, amount: int = 1) -> Fact:
    return Fact("award", {"firm": firm, "amount": amount})


def on_firm(condition: Condition | None, name: str = "r") -> Rule:
    return Rule(name, (Pattern("f", "firm", condition),))


def nest(depth: int) -> Condition:
    condition: Condition = Test("==", "code", 1)
    for _ in range(depth):
        condition = AllOf((condition,))
    return condition


def chosen(inference: Inference) -> list[tuple[int, ...]]:
    return [facts for _, facts, _ in inference.firings]


AWARDED = Rule("awarded", (Pattern("f", "firm"), Pattern("a", "award", Test("==", "firm", Ref("f", "code")))))


# agreement with the naive evaluator


def differ(worker: Worker, seed: int, cases: int) -> int:
    """Hold the engine against the naive evaluator; the number of firings compared."""
    source = random.Random(seed)
    worker.infer(RuleBase({}, []), [])
    starts, done, firings = worker.starts, 0, 0
    while done < cases:
        schema, rules = random_rules(source)
        try:
            rule_base = RuleBase(schema, rules)
        except OutsideSubset as error:
            if "stratified" in error.reason:
                with pytest.raises(ValueError, match="stratified"):
                    infer_naively(rules, ())
            continue
        for _ in range(6):
            case = random_case(source, schema)
            try:
                inference = worker.infer(rule_base, case, timeout=60)
            except OutsideSubset:
                # grew past the limit on firings, and the worker made way for a fresh one
                starts += 1
                worker.infer(RuleBase({}, []), [])
                continue
            done += 1
            if len(inference.firings) < 2_000:
                assert inference == infer_naively(rules, case), f"{rules!r} over {case!r}"
                firings += len(inference.firings)
    assert worker.starts == starts
    return firings


def test_random_cases_agree_with_the_naive_evaluator(worker: Worker) -> None:
    assert differ(worker, 20190310, 3_000) > 5_000


@pytest.mark.long
def test_many_random_cases_agree_with_the_naive_evaluator(worker: Worker) -> None:
    assert differ(worker, 10032019, 50_000) > 50_000


# what rules can say


def test_derived_facts_fire_further_rules_and_are_told_apart_by_content(infer: Infer) -> None:
    barred = Derive("barred", {"firm": Ref("a", "firm")})
    rules = [
        Rule("bar", (Pattern("a", "award", Test(">", "amount", 10)),), (), barred),
        Rule("chain", (Pattern("b", "barred"), Pattern("f", "firm", Test("==", "code", Ref("b", "firm"))))),
    ]
    inference = infer(rules, [firm(7), award(7, 11), award(7, 12)])
    assert inference.facts[3:] == (Fact("barred", {"firm": 7}),)
    assert inference.firings == (("bar", (1,), 3), ("bar", (2,), 3), ("chain", (3, 0), None))


def test_a_derived_fact_that_was_given_is_the_given_one(infer: Infer) -> None:
    rule = Rule("bar", (Pattern("a", "award"),), (), Derive("barred", {"firm": Ref("a", "firm")}))
    given = [Fact("barred", {"firm": 3}), award(3)]
    assert infer([rule], given) == Inference(tuple(given), (("bar", (1,), 0),))


def test_presence_can_be_tested_anywhere(infer: Infer) -> None:
    facts = [firm(1), firm(2, grade=0), firm(3, revenue=0), firm(4, 0, 0)]
    expected: dict[Condition, list[int]] = {
        Present("grade"): [1, 3],
        Absent("grade"): [0, 2],
        AnyOf((Absent("grade"), Absent("revenue"))): [0, 1, 2],
        AllOf((Present("grade"), AnyOf((Absent("revenue"), Test(">", "code", 3))))): [1, 3],
        Present("code"): [0, 1, 2, 3],
        Absent("code"): [],
        AnyOf(()): [],
        AllOf(()): [0, 1, 2, 3],
    }
    for condition, hits in expected.items():
        assert chosen(infer([on_firm(condition)], facts)) == [(i,) for i in hits], condition


def test_one_fact_stands_for_two_patterns_only_where_it_may(infer: Infer) -> None:
    when = (Pattern("a", "award"), Pattern("b", "award", Test("==", "firm", Ref("a", "firm"))))
    assert chosen(infer([Rule("r", when)], [award(1), award(1)])) == [(0, 1), (1, 0)]
    twice = infer([Rule("r", when, distinct=False)], [award(1), award(1)])
    assert chosen(twice) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_rules_facts_and_inferences_cross_json() -> None:
    source = random.Random(5)
    for _ in range(50):
        schema, rules = random_rules(source)
        data = json.loads(json.dumps([durable_records.rule_to_data(rule) for rule in rules]))
        assert [durable_records.rule_from_data(each) for each in data] == rules
        case = random_case(source, schema)
        data = json.loads(json.dumps([durable_records.fact_to_data(fact) for fact in case]))
        assert [durable_records.fact_from_data(each) for each in data] == case
    inference = Inference((firm(1), award(1)), (("r", (0, 1), None), ("s", (), 1)))
    data = json.loads(json.dumps(durable_records.inference_to_data(inference)))
    assert durable_records.inference_from_data(data) == inference
    own = AnyOf((Present("grade"), Test("<", "code", Own("grade"))))
    rule_base = RuleBase(SCHEMA, [AWARDED, on_firm(own)])
    assert RuleBase.from_data(json.loads(json.dumps(rule_base.to_data()))).digest == rule_base.digest
    assert RuleBase(SCHEMA, [AWARDED]).digest != rule_base.digest


# defects that end or hang the process


def test_a_false_last_join_test_cannot_read_past_its_list(infer: Infer) -> None:
    same_firm = Test("==", "firm", Ref("f", "code"))
    low_first = AllOf((Test("<", "amount", Ref("f", "code")), same_firm))
    when = (Pattern("f", "firm"), Pattern("a", "award", low_first))
    rule = Rule("r", when, (Pattern("n", "barred", same_firm),))
    (network,) = RuleBase(SCHEMA, [rule]).definitions
    for pattern in network["r0_0"]["all"][1:]:
        (group,) = pattern.values()
        assert group["$and"][-1] == {"o": {"a0": "o"}}
    assert chosen(infer([rule], [firm(5), award(6, 1), award(5, 1), award(5, 9)])) == [(0, 2)]


def test_there_is_no_arithmetic_and_no_smallest_integer() -> None:
    for op in ("/", "*", "+", "-", "$div", "=", "in", ""):
        with pytest.raises(OutsideSubset, match="operators"):
            RuleBase(SCHEMA, [on_firm(Test(op, "code", 0))])
    with pytest.raises(OutsideSubset, match="beyond"):
        RuleBase(SCHEMA, [on_firm(Test("==", "code", -(2**63)))])
    with pytest.raises(OutsideSubset, match="beyond"):
        RuleBase(SCHEMA, []).check([firm(-(2**63))])


def test_the_ends_of_the_integers_compare_exactly(infer: Infer) -> None:
    facts = [firm(LARGEST), firm(LARGEST - 1), firm(-LARGEST), firm(2**53), firm(2**53 + 1)]
    for op in ("==", "!=", "<", "<=", ">", ">="):
        for value in (LARGEST, -LARGEST, 2**53, 2**53 + 1):
            infer([on_firm(Test(op, "code", value))], facts)


def test_an_empty_case_never_reaches_the_engine(infer: Infer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert infer([on_firm(None), AWARDED], []) == Inference((), ())
    monkeypatch.setitem(sys.modules, "durable_rules_engine", SimpleNamespace())
    assert RuleBase(SCHEMA, [AWARDED]).infer([]) == Inference((), ())


CALLS = (
    "create_ruleset",
    "assert_fact",
    "start_action_for_state",
    "complete_and_start_action",
    "delete_state",
    "delete_ruleset",
)


class Recorder:
    """The six calls that are allowed, passed on and written down; any other is an attribute error."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        module = importlib.import_module("durable_rules_engine")
        for name in CALLS:
            setattr(self, name, self._recorded(name, getattr(module, name)))

    def _recorded(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            return call(*arguments)

        return recorded


@pytest.fixture
def recorder(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "durable_rules_engine", recorder)
    return recorder


def test_a_sentinel_fires_before_the_state_is_deleted_and_one_sid_serves_all(recorder: Recorder) -> None:
    rule_base = RuleBase(SCHEMA, [on_firm(Test("==", "code", 1), "never"), AWARDED])
    for _ in range(3):
        recorder.calls.clear()
        assert not rule_base.infer([firm(2), award(3)]).firings
        names = [call[0] for call in recorder.calls if call[0] != "create_ruleset"]
        assert names[:3] == ["assert_fact", "start_action_for_state", "complete_and_start_action"]
        assert names.index("delete_state") == len(names) - 1
        assert json.loads(recorder.calls[-len(names)][2]) == {"id": "0", "t": 0}
        assert not any("sid" in json.loads(call[2]) for call in recorder.calls if call[0] == "assert_fact")
    rule_base.close()
    assert recorder.calls[-1][0] == "delete_ruleset"


def test_more_cases_than_the_engine_has_sids(infer: Infer) -> None:
    small = on_firm(Test("<", "code", 600))
    assert sum(len(infer([small], [firm(code)]).firings) for code in range(1_100)) == 600


@pytest.mark.parametrize("count", [255, 256, 257, 600])
def test_many_rules_on_one_test(infer: Infer, count: int) -> None:
    rules = [on_firm(Test("==", "code", 1), f"r{n:03}") for n in range(count)]
    assert len(infer(rules, [firm(1), firm(2)]).firings) == count


@pytest.mark.parametrize("count", [511, 512, 513, 1_200])
def test_many_literals_compared_with_one_property(infer: Infer, count: int) -> None:
    rules = [on_firm(Test("==", "code", n), f"r{n:04}") for n in range(count)]
    assert len(infer(rules, [firm(0), firm(count - 1), firm(count)]).firings) == 2


def test_many_tests_that_all_hold(infer: Infer) -> None:
    rules = [on_firm(Test(">", "code", n), f"r{n:03}") for n in range(300)]
    assert len(infer(rules, [firm(1_000), firm(150)]).firings) == 450


def test_many_fact_types(infer: Infer) -> None:
    schema = {f"type {n}": {"x": False} for n in range(700)}
    rules = [Rule(f"r{n}", (Pattern("a", f"type {n}", Test("==", "x", n)),)) for n in range(700)]
    assert len(infer(rules, [Fact(f"type {n}", {"x": n}) for n in range(700)], schema).firings) == 700


def test_very_long_names_never_reach_the_engine(infer: Infer) -> None:
    long = "名" * 70_000
    same = Test("==", long, Ref(long, long))
    rule = Rule(long, (Pattern(long, long, Test("==", long, 1)), Pattern("b", long, same)))
    facts = [Fact(long, {long: 1}), Fact(long, {long: 1}), Fact(long, {long: 2})]
    assert chosen(infer([rule], facts, {long: {long: False}})) == [(0, 1), (1, 0)]
    assert len(json.dumps(RuleBase({long: {long: False}}, [rule]).definitions)) < 1_000


def test_deep_nesting_is_refused(infer: Infer) -> None:
    assert chosen(infer([on_firm(nest(32))], [firm(1)])) == [(0,)]
    for depth in (33, 5_000):
        with pytest.raises(OutsideSubset, match="nested deeper"):
            RuleBase(SCHEMA, [on_firm(nest(depth))])


def test_too_many_alternatives_or_patterns_are_refused_at_once() -> None:
    pair = AnyOf((Test("==", "code", 1), Test("==", "code", 2)))
    wide = AnyOf(tuple(Test("==", "code", n) for n in range(65)))
    tall = AllOf(tuple(AnyOf((Test("!=", "code", n), Present("grade"))) for n in range(40)))
    properties = ("code", "grade", "revenue")
    pairs = itertools.product(("<", ">", "!=", "<="), properties, properties)
    joins = AllOf(tuple(Test(op, left, Ref("f0", right)) for op, left, right in pairs))
    nine = tuple(Pattern(f"f{n}", "firm") for n in range(9))
    for rule, reason in (
        (on_firm(wide), "64 alternatives"),
        (on_firm(tall), "64 alternatives"),
        (Rule("r", tuple(Pattern(f"f{n}", "firm", pair) for n in range(7))), "64 alternatives"),
        (Rule("r", nine), "one to 8 patterns"),
        (Rule("r", nine[:1], (Pattern("n", "firm"),) * 9), "8 alternatives"),
        (Rule("r", (nine[0], Pattern("f1", "firm", joins))), "28 join tests"),
        (on_firm(AllOf(tuple(Test("!=", "code", n) for n in range(57)))), "too many tests"),
    ):
        with pytest.raises(OutsideSubset, match=reason):
            RuleBase(SCHEMA, [rule])


def test_a_rule_without_conditions_does_not_meet_the_hidden_state(infer: Infer) -> None:
    assert chosen(infer([on_firm(None)], [firm(1)])) == [(0,)]
    assert not infer([on_firm(None)], [award(1)]).firings


# defects that answer wrongly


@pytest.mark.parametrize("alias", ["a", "b", "m", "z", "f", "b0", "$not", "a0$not", "$m", ""])
def test_negation_does_not_depend_on_aliases(infer: Infer, alias: str) -> None:
    same_firm = Test("==", "firm", Ref(alias, "code"))
    rules = [
        Rule("free", (Pattern(alias, "firm"),), (Pattern("n", "barred", same_firm),)),
        Rule("other", (Pattern(alias, "firm"), Pattern("y", "award", same_firm)), (Pattern("n", "barred"),)),
        AWARDED,
    ]
    facts = [firm(1), firm(2), award(1), award(2)]
    assert len(infer(rules, facts).firings) == 6
    assert infer(rules, [*facts, Fact("barred", {"firm": 2})]).firings == (
        ("awarded", (0, 2), None),
        ("awarded", (1, 3), None),
        ("free", (0,), None),
    )


def test_a_rule_of_negations_alone_is_refused() -> None:
    with pytest.raises(OutsideSubset, match="patterns"):
        RuleBase(SCHEMA, [Rule("r", (), (Pattern("n", "barred"),))])


def test_negation_through_a_circle_is_refused() -> None:
    derive = Derive("barred", {"firm": Ref("f", "code")})
    rule = Rule("r", (Pattern("f", "firm"),), (Pattern("n", "barred"),), derive)
    with pytest.raises(OutsideSubset, match="stratified"):
        RuleBase(SCHEMA, [rule])


def test_comparing_a_missing_value_is_false(infer: Infer) -> None:
    # the fact before leaves its values where the engine would read the missing ones
    facts = [firm(1, 5, 5), firm(2), firm(3, 5), firm(4, None, 5)]
    for op in ("==", "!=", "<", "<=", ">", ">="):
        infer([on_firm(Test(op, "grade", Own("revenue")))], facts)
        infer([on_firm(Test(op, "grade", 0))], facts)
        when = (Pattern("a", "firm"), Pattern("b", "firm", Test(op, "grade", Ref("a", "revenue"))))
        infer([Rule("join", when), Rule("free", when[:1], (Pattern("n", "firm", when[1].condition),))], facts)
    assert chosen(infer([on_firm(Test("!=", "grade", 0))], facts)) == [(0,), (2,)]


def test_or_may_mix_literals_and_joins(infer: Infer) -> None:
    either = AnyOf((Test("==", "amount", 9), Test("==", "firm", Ref("f", "code"))))
    rule = Rule("r", (Pattern("f", "firm"), Pattern("a", "award", either)))
    facts = [firm(1), award(2, 9), award(1, 3), award(1, 9), award(2, 3)]
    assert chosen(infer([rule], facts)) == [(0, 1), (0, 2), (0, 3)]


def test_alternatives_that_hold_together_fire_once(infer: Infer) -> None:
    both = AnyOf((Test(">", "code", 0), Test("<", "code", 9), Test("==", "code", 5)))
    assert chosen(infer([on_firm(both)], [firm(5), firm(5)])) == [(0,), (1,)]


def test_nothing_can_be_retracted_and_no_case_sees_another(infer: Infer) -> None:
    assert chosen(infer([AWARDED], [firm(1), award(1)])) == [(0, 1)]
    assert not infer([AWARDED], [award(1)]).firings
    assert not infer([AWARDED], [firm(1)]).firings
    assert {name for name in dir(durable._Engine) if not name.startswith("_")} == set(CALLS)


def fnv1a(text: str) -> int:
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def test_no_name_or_id_the_engine_sees_collides() -> None:
    ours = [f"{kind}{n}" for kind in "vh" for n in range(durable.MAX_PROPERTIES)] + ["t", "o", "a0", "z"]
    reserved = ["id", "sid", "$s", "$i", "$m", "$time", "$forward", "$timerName", "$baseTime"]
    assert len({fnv1a(name) for name in ours + reserved}) == len(ours + reserved)
    ids = 2 * durable.MAX_FACTS + 2
    assert len({fnv1a(str(n)) for n in range(ids)}) == ids


def test_names_of_equal_hash_stay_apart(infer: Infer) -> None:
    assert fnv1a("costarring") == fnv1a("liquid")
    schema = {"t": {"costarring": False, "liquid": False}, "altarage": {"x": False}, "zinke": {"x": False}}
    costarring, liquid = Test("==", "costarring", 1), Test("==", "liquid", 1)
    rules = [
        Rule("declinate", (Pattern("costarring", "t", costarring), Pattern("liquid", "zinke"))),
        Rule("macallums", (Pattern("liquid", "t", liquid), Pattern("costarring", "altarage"))),
    ]
    facts = [Fact("t", {"costarring": 1, "liquid": 2}), Fact("zinke", {"x": 0}), Fact("altarage", {"x": 0})]
    assert infer(rules, facts, schema).firings == (("declinate", (0, 1), None),)


def test_values_of_equal_hash_do_not_join(infer: Infer) -> None:
    assert fnv1a(str(EQUAL_HASH[0])) == fnv1a(str(EQUAL_HASH[1]))
    same_firm = Test("==", "firm", Ref("f", "code"))
    free = Rule("free", (Pattern("f", "firm"),), (Pattern("n", "award", same_firm),))
    facts = [firm(EQUAL_HASH[0]), award(EQUAL_HASH[1])]
    assert infer([AWARDED, free], facts).firings == (("free", (0,), None),)


@pytest.mark.parametrize("value", [True, False, "1", 1.0, "x" * 65_536, [1], {"a": 1}])
def test_only_integers_are_values(value: Any) -> None:
    test = Test("==", "code", value)
    derives = Rule("r", (Pattern("f", "firm"),), (), Derive("barred", {"firm": value}))
    # beside 1, which equals `True` and 1.0 in Python
    for bad in (on_firm(test), on_firm(AllOf((Test("==", "code", 1), test))), derives):
        with pytest.raises(OutsideSubset, match="not an integer"):
            RuleBase(SCHEMA, [bad])
    with pytest.raises(OutsideSubset, match="not an integer"):
        RuleBase(SCHEMA, []).check([firm(value)])


def test_one_bad_fact_refuses_the_case_before_the_engine_sees_it(infer: Infer, worker: Worker) -> None:
    rule_base = RuleBase(SCHEMA, [on_firm(None)])
    for bad, reason in (
        (Fact("form", {}), "`form` is not a fact type"),
        (Fact("firm", {"code": 1, "garde": 2}), "`garde` is not a property"),
        (Fact("firm", {"code": None}), "lacks `code`"),
        (Fact("award", {"firm": 1}), "lacks `amount`"),
    ):
        with pytest.raises(OutsideSubset, match=reason):
            worker.infer(rule_base, [firm(1), bad, firm(2)])
        assert chosen(infer([on_firm(None)], [firm(1), firm(2)])) == [(0,), (1,)]


def test_rules_that_name_unknown_things_are_refused() -> None:
    here = (Pattern("f", "firm"),)
    for rule, reason in (
        (Rule("r", (Pattern("f", "form"),)), "rule `r`: `form` is not a fact type"),
        (on_firm(Test("==", "garde", 1)), "`garde` is not a property"),
        (on_firm(Test("==", "code", Ref("f", "code"))), "`f` is not the alias of an earlier"),
        (Rule("r", (Pattern("f", "firm"), Pattern("f", "award"))), "one alias"),
        (Rule("r", here, (Pattern("f", "award"),)), "one alias"),
        (Rule("r", here, (), Derive("barred", {})), "lacks `firm`"),
        (Rule("r", here, (), Derive("barred", {"firm": Ref("f", "grade")})), "`grade` can be missing"),
        (Rule("r", here, (), Derive("barred", {"firm": Ref("g", "code")})), "`g` is not the alias"),
        (on_firm({"$or": []}), "not a condition"),  # type: ignore[arg-type]
    ):
        with pytest.raises(OutsideSubset, match=reason):
            RuleBase(SCHEMA, [rule])
    with pytest.raises(OutsideSubset, match="same name"):
        RuleBase(SCHEMA, [on_firm(None), on_firm(None)])
    with pytest.raises(OutsideSubset, match="more than 96"):
        RuleBase({"t": {f"p{n}": False for n in range(97)}}, [])


@pytest.mark.parametrize("broken", CALLS[:-1])
def test_an_error_of_the_engine_is_never_an_answer(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    rule_base = RuleBase(SCHEMA, [AWARDED])
    facts = [firm(1), award(1)]
    right = rule_base.infer(facts)
    if broken == "create_ruleset":
        rule_base.close()
    with monkeypatch.context() as patch:

        def fail(*arguments: Any) -> Any:
            raise RuntimeError("error code: 303")

        patch.setattr(recorder, broken, fail)
        with pytest.raises(NoVerdict, match="303"):
            rule_base.infer(facts)
    assert rule_base.abandoned
    assert rule_base.infer(facts) == right


@pytest.mark.parametrize("code", [2, 3, 101])
def test_an_unexpected_code_is_never_an_answer(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(recorder, "assert_fact", lambda handle, message: (code, 0))
    with pytest.raises(NoVerdict, match=f"code {code}"):
        RuleBase(SCHEMA, [AWARDED]).infer([firm(1)])


def test_a_case_that_explodes_is_refused_and_the_next_is_right(worker: Worker) -> None:
    rule_base = RuleBase(SCHEMA, [Rule("r", tuple(Pattern(alias, "award") for alias in "abc"))])
    with pytest.raises(OutsideSubset, match="200,000 firings"):
        worker.infer(rule_base, [award(n) for n in range(70)], timeout=60)
    assert len(worker.infer(rule_base, [award(n) for n in range(3)]).firings) == 6
    with pytest.raises(OutsideSubset, match="20,000 facts"):
        rule_base.check([award(n) for n in range(20_001)])


def test_firings_come_in_the_call_and_on_its_thread(recorder: Recorder) -> None:
    before = threading.active_count()
    inference = RuleBase(SCHEMA, [AWARDED]).infer([firm(1), award(1)])
    assert len(inference.firings) == 1
    assert threading.active_count() == before


def test_a_fact_fires_every_rule_it_meets(infer: Infer) -> None:
    rules = [on_firm(Test(">", "code", 0), "a"), on_firm(Test("==", "code", 1), "b"), on_firm(None, "c")]
    assert [name for name, _, _ in infer(rules, [firm(1)]).firings] == ["a", "b", "c"]


# defects that leak


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to read a process's memory")
def test_memory_stays_flat_over_cases_and_rule_bases(worker: Worker) -> None:
    rules = [Rule(f"r{n}", AWARDED.when, (Pattern("n", "barred", Test("==", "firm", n)),)) for n in range(20)]
    rule_bases = [RuleBase(SCHEMA, [*rules, on_firm(Test("==", "code", n), "own")]) for n in range(24)]
    facts = [fact for n in range(10) for fact in (firm(n), award(n))]

    def run(rounds: int) -> int:
        for n in range(rounds):
            worker.infer(rule_bases[n % len(rule_bases)], facts)
        assert worker.pid
        return resident_bytes(worker.pid)

    warm = run(200)
    # leaked, 400 cases would hold 64 MB of facts, and as many evicted rule bases far more
    assert run(400) - warm < 4_000_000

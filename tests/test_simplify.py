"""Plans simplified: the same value in every row, and nothing asked twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evaluate.columnar import column_plan
from engine.evaluate.graph import Graph
from engine.evaluate.naming import STATUS, value_column
from engine.evaluate.simplify import Simplifier, cost
from engine.load import Pack, load_pack
from engine.model import Field, Text
from engine.terms import (
    All,
    AnyOf,
    Choose,
    Column,
    Condition,
    Const,
    DateCall,
    Flag,
    Known,
    Negate,
    Null,
    Operation,
    Term,
    Truth,
    Word,
)
from engine.terms import Test as Comparison
from engine.types import BOOLEAN, DATE, NUMBER

NUMBERS, FLAGS = ("a", "b"), ("f", "g")
VALUES: Mapping[str, tuple[Any, ...]] = {"a": (None, 0, 1, 2), "b": (None, 0, 1, 2),
                                         "f": (None, False, True), "g": (None, False, True)}
ROWS = [dict(zip(VALUES, row, strict=True)) for row in product(*VALUES.values())]
FACTS = {name: Field(name, NUMBER, Text(name), minimum=0) for name in NUMBERS} | {
    name: Field(name, BOOLEAN, Text(name)) for name in FLAGS}  # fmt: skip


def value_of(graph: Graph, number: int, row: Mapping[str, Any]) -> Any:
    """A vertex in one row, by the three-valued logic of the normal form; None is unknown."""
    vertex = graph[number]
    kind, value = vertex.kind, vertex.value
    if kind in ("const", "word", "truth"):
        return value
    if kind == "null":
        return None
    if kind in ("column", "flag"):
        return row[str(value)]
    parts = [value_of(graph, part, row) for part in vertex.parts]
    if kind in ("all", "any"):
        absorbing = kind == "any"
        return absorbing if absorbing in parts else None if None in parts else not absorbing
    if kind == "known":
        return parts[0] is not None
    if kind == "choose":
        condition, then, other = parts
        return then if condition or (condition is None and then == other) else None if condition is None else other
    if None in parts:
        return None
    if kind == "not":
        return not parts[0]
    return OPERATIONS[str(value)](*parts)


OPERATIONS = {
    "+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y, "min": min, "max": max,
    "//": lambda x, y: x // y if y else None, "==": lambda x, y: x == y, "!=": lambda x, y: x != y,
    "<": lambda x, y: x < y, "<=": lambda x, y: x <= y, ">": lambda x, y: x > y, ">=": lambda x, y: x >= y,
}  # fmt: skip


def conditions(terms: st.SearchStrategy[Term], inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.sampled_from([Flag("f"), Flag("g"), Truth(True), Truth(None)]),
        st.builds(Comparison, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), terms, terms),
        st.builds(All, several), st.builds(AnyOf, several), st.builds(Negate, inner),
        st.builds(Known, st.one_of(terms, inner)))  # fmt: skip


LEAF: st.SearchStrategy[Term] = st.sampled_from([Column("a"), Column("b"), Const(0), Const(1), Const(2), Null()])
FIRST: st.SearchStrategy[Condition] = st.one_of(
    st.sampled_from([Flag("f"), Flag("g")]), st.builds(Comparison, st.sampled_from(["<", ">=", "=="]), LEAF, LEAF))
GIVEN: st.SearchStrategy[Term] = st.sampled_from([Const(0), Const(1), Const(2)])
RATE: st.SearchStrategy[Term] = st.recursive(
    GIVEN, lambda inner: st.builds(Choose, FIRST, inner, st.one_of(inner, st.just(Null()))), max_leaves=4)
ABOUT_RATE: st.SearchStrategy[Condition] = st.builds(Comparison, st.sampled_from(["==", ">", "<="]), RATE, GIVEN)
TERM: st.SearchStrategy[Term] = st.recursive(LEAF, lambda inner: st.one_of(
    st.builds(Operation, st.sampled_from(["+", "-", "*", "min", "max"]), inner, inner),
    st.builds(lambda part: Operation("//", Operation("+", Operation("*", Const(2), part), Const(4)), Const(6)), inner),
    st.builds(Choose, conditions(inner, FIRST), inner, inner)), max_leaves=8)  # fmt: skip
CONDITION = st.one_of(conditions(TERM, conditions(TERM, FIRST)), ABOUT_RATE)


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[Term, Term]:
    """A status as a chain of choices, and an output that goes with one of its words."""
    status: Term = draw(st.sampled_from([Word("x"), Word("y"), Null()]))
    for word in draw(st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=3)):
        status = Choose(draw(CONDITION), Word(word), status)
    value = draw(TERM)
    if draw(st.booleans()):  # none where the rate is such, as a rule says it of an amount
        rate = draw(RATE)
        about = draw(st.builds(Comparison, st.sampled_from(["==", ">", "<="]), st.just(rate), GIVEN))
        value = Choose(about, *draw(st.permutations([Const(0), Operation("*", value, rate)])))
    with_it: Condition = All((Known(status), Comparison("==", status, Word("x")), Known(value)))
    return Choose(Known(value), status, Null()), Choose(with_it, value, draw(TERM))


@settings(max_examples=250, deadline=None)
@given(outcomes(), st.sets(st.sampled_from(sorted(VALUES))), st.sets(st.sampled_from(sorted(VALUES)), max_size=1))
def test_the_same_value_in_every_row(outcome: tuple[Term, Term], full: set[str], empty: set[str]) -> None:
    graph = Graph(FACTS, frozenset(full - empty), frozenset(), frozenset(empty))
    plain = {STATUS: graph.add(outcome[0]), value_column("v"): graph.add(outcome[1])}
    short = Simplifier(graph).simplified(plain)
    for row in ROWS:
        if any(row[name] is None for name in full - empty) or any(row[name] is not None for name in empty):
            continue
        for name, number in plain.items():
            wanted, found = value_of(graph, number, row), value_of(graph, short[name], row)
            assert (type(found), found) == (type(wanted), wanted), (name, row)


@settings(max_examples=250, deadline=None)
@given(outcomes(), st.lists(CONDITION, min_size=1, max_size=2), st.sets(st.sampled_from(sorted(VALUES))),
       st.sets(st.sampled_from(sorted(VALUES)), max_size=1))
def test_the_same_in_every_undetermined_row(
        outcome: tuple[Term, Term], asked: list[Condition], full: set[str], empty: set[str]) -> None:
    """What would decide a row is asked of undetermined rows alone."""
    graph = Graph(FACTS, frozenset(full - empty), frozenset(), frozenset(empty))
    status = graph.add(outcome[0])
    plain = {str(place): graph.add(condition) for place, condition in enumerate(asked)}
    for way in (status, Simplifier(graph).simplified({STATUS: status})[STATUS]):
        short = Simplifier(graph).simplified_where_open(way, plain)
        for row in ROWS:
            if any(row[name] is None for name in full - empty) or any(row[name] is not None for name in empty):
                continue
            if value_of(graph, status, row) is None:
                assert {name: value_of(graph, short[name], row) for name in plain} == {
                    name: value_of(graph, plain[name], row) for name in plain}


def test_what_alone_is_unknown_decides() -> None:
    """Where a status can only be open for want of one fact, each open row lacks that one."""
    graph = Graph(FACTS, frozenset(("b", "f", "g")))
    less = Comparison("<", Column("a"), Column("b"))
    status = graph.add(Choose(Flag("f"), Word("x"), Choose(less, Word("y"), Word("z"))))
    asked = graph.add(All((Negate(Known(less)), Negate(Flag("f")), Negate(Known(Column("a"))))))
    assert Simplifier(graph).simplified_where_open(status, {"a": asked}) == {"a": graph.truth(True)}


@pytest.mark.parametrize(("operator", "first", "second", "branch", "shorter"), [
    ("<=", "e", "d", 2, True), ("<", "e", "d", 2, True), (">", "e", "d", 1, True), (">=", "e", "d", 1, True),
    ("<", "d", "e", 1, True), (">", "d", "e", 2, True), ("<", "e", "d", 1, False), (">=", "d", "e", 1, False),
    ("==", "d", "e", 2, False)])  # fmt: skip
def test_working_days_up_to_a_later_day_are_no_fewer(
        operator: str, first: str, second: str, branch: int, shorter: bool) -> None:
    """Days between two of which the second is known to come later need no zero as the least."""
    days = {name: Field(name, DATE, Text(name)) for name in ("d", "e")}
    passed = DateCall("workdays_between", (Column("d"), Column("e")))
    condition = Comparison(operator, Column(first), Column(second))
    value = Choose(condition, *((passed, Null()) if branch == 1 else (Null(), passed)))
    graph = Graph(days, frozenset(days), frozenset(days))
    number = graph.add(value)
    found = graph[Simplifier(graph).simplified({value_column("v"): number})[value_column("v")]]
    assert graph[found.parts[branch]].value == ("-" if shorter else "max")


def test_an_amount_is_taken_from_its_rate() -> None:
    graph = Graph(FACTS, frozenset(("a", "b", "f", "g")))
    none, rate = graph.vertex("null"), graph.choose(graph.add(Flag("g")), graph.vertex("const", 2),
                                                    graph.vertex("const", 1))
    flag = graph.add(Flag("f"))
    own = graph.choose(flag, none, rate)
    amount = graph.choose(flag, none, graph.operation("*", graph.add(Column("a")), rate))
    found = Simplifier(graph).simplified({value_column("rate"): own, value_column("amount"): amount})
    assert graph[found[value_column("amount")]].parts == (graph.add(Column("a")), own)


@pytest.mark.parametrize(("factors", "wanted"), [
    (((20, 17), (10, 9), (20, 19)), ((20, 17), (20, 18), (20, 19))),
    (((20, 17), (10, 9)), ((20, 17), (10, 9))),  # 18 times the right side may need more bits than 17 times
    (((20, 17), (1, 1), (3, 2)), ((20, 17), (1, 1), (3, 2))),
])  # fmt: skip
def test_comparisons_of_two_numbers_have_one_left_side(
        factors: tuple[tuple[int, int], ...], wanted: tuple[tuple[int, int], ...]) -> None:
    graph = Graph(FACTS, frozenset())

    def compared(pairs: tuple[tuple[int, int], ...]) -> dict[str, int]:
        return {str(place): graph.add(Comparison("<", *(
            Column(name) if factor == 1 else Operation("*", Const(factor), Column(name))
            for factor, name in zip(pair, NUMBERS, strict=True)))) for place, pair in enumerate(pairs)}

    assert Simplifier(graph).simplified(compared(factors)) == compared(wanted)


def test_a_condition_may_be_unknown_where_both_branches_agree() -> None:
    """Nothing follows in a branch from a condition that need not hold there."""
    graph = Graph(FACTS, frozenset())
    flag = graph.add(Flag("f"))
    agree = graph.choose(flag, graph.add(Column("a")), graph.add(Column("b")))
    found = Simplifier(graph).simplified({value_column("v"): agree})[value_column("v")]
    assert value_of(graph, found, {"f": None, "a": 1, "b": 1}) == 1
    assert value_of(graph, found, {"f": None, "a": 1, "b": 2}) is None


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack("chuxiong_2019")


@pytest.mark.parametrize(("identity", "nullable", "most"), [
    ("fiscal.budget_cut.fundraising_shortfall", {"raised_amount"}, 27),
    ("enterprise.sales_promotion.subsidy", set(), 18),
    ("fiscal.special_fund.specified_5wd", {"submitted_on"}, 26),
])  # fmt: skip
def test_a_plan_is_as_short_as_one_written_by_hand(
        pack: Pack, identity: str, nullable: set[str], most: int) -> None:
    """Rate and amount follow the way to the status; both ends of a duty are one day, chosen first."""
    plan = column_plan(pack.provision(identity), date(2019, 12, 31))
    full = frozenset(plan.facts) - nullable
    days = frozenset(name for name in plan.facts if name.endswith("_on") or name == "as_of")
    graph = Graph(plan.facts, full, days)
    wanted = {STATUS: graph.add(plan.status)}
    wanted |= {value_column(output.name): graph.add(output.value) for output in plan.outputs}
    short = Simplifier(graph).simplified(wanted)
    assert cost(graph, short.values()) <= most < cost(graph, wanted.values())

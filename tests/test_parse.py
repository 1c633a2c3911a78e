"""Expressions: what is refused, where, and that printing and parsing agree."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import PackError
from engine.expr import show
from engine.parse import parse_expression
from engine.source import Location

REFUSED = [
    ("__import__('os')", "expression-not-allowed"),
    ("a.b", "expression-not-allowed"),
    ("a.__class__", "expression-not-allowed"),
    ("lambda: 1", "expression-not-allowed"),
    ("[x for x in y]", "expression-not-allowed"),
    ("{x: 1 for x in y}", "expression-not-allowed"),
    ("a[0]", "expression-not-allowed"),
    ("f'{a}'", "expression-not-allowed"),
    ("(a := 1)", "expression-not-allowed"),
    ("a ** b", "expression-not-allowed"),
    ("a // b", "expression-not-allowed"),
    ("a % b", "expression-not-allowed"),
    ("a is b", "expression-not-allowed"),
    ("min(*a)", "expression-not-allowed"),
    ("min(a, key=b)", "expression-not-allowed"),
    ("print", None),
    ("0x10", "expression-not-allowed"),
    ("1e400", "expression-not-allowed"),
    ("1j", "expression-not-allowed"),
    ("b'x'", "expression-not-allowed"),
    ("...", "expression-not-allowed"),
    ("a; b", "expression-not-allowed"),
    ("a # b", "expression-not-allowed"),
    ("a \\\n b", "expression-not-allowed"),
    ("a\0b", "expression-not-allowed"),
    ("\U00020000", "expression-not-allowed"),
    ("'x' in y", "expression-not-allowed"),
    ("a if", "expression-syntax"),
    ("", "expression-syntax"),
    ("a b", "expression-syntax"),
    ("2019-13-45 > d", "bad-value"),
    ("(" * 10**6, "expression-too-long"),
    ("a" * 10**7, "expression-too-long"),
    ("(" * 3000 + ")" * 900, "expression-too-deep"),
    ("1 + " * 900 + "1", "expression-too-deep"),
    ("- " * 1500 + "1", "expression-too-deep"),
    ("not " * 900 + "a", "expression-too-deep"),
]


@pytest.mark.parametrize(("text", "code"), REFUSED, ids=lambda value: repr(value)[:30])
def test_what_is_not_allowed_is_refused_at_its_place(text: str, code: str | None) -> None:
    started = time.perf_counter()
    if code is None:
        assert show(parse_expression(text)) == text
        return
    with pytest.raises(PackError) as caught:
        parse_expression(text, Location("rule.yaml", 7, 9))
    problem = caught.value.problems[0]
    assert problem.code == code
    assert (problem.location.file, problem.location.line) == ("rule.yaml", 7)
    assert len(caught.value.render("zh")) < 3000
    assert time.perf_counter() - started < 5


def test_a_problem_points_at_the_character() -> None:
    with pytest.raises(PackError) as caught:
        parse_expression("85万元 <= 任务 and a.b", Location("r.yaml", 1, 1))
    assert caught.value.problems[0].location.column == 16
    assert "a.b" in caught.value.render("en")


LEAVES = st.sampled_from(["a", "b", "楚雄市", "3", "0.5", "500万元", "1.23元", "85%", "2‰", "2019-03-22", "true"])


def combine(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "<", ">=", "==", "and", "or"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        inner.map(lambda part: f"(not ({part}))"),
        st.tuples(inner, inner).map(lambda parts: f"min({parts[0]}, {parts[1]})"),
        inner.map(lambda part: f"({part} in (a, b))"),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(LEAVES, combine, max_leaves=12))
def test_printing_and_parsing_give_the_same_tree(text: str) -> None:
    tree = parse_expression(text)
    assert parse_expression(show(tree)) == tree


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_parses_or_is_refused_with_a_place(text: str) -> None:
    refused: list[PackError] = []
    try:
        parse_expression(text)
    except PackError as error:
        refused.append(error)
    assert all(error.problems[0].location.column is not None for error in refused)

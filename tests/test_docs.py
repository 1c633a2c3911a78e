"""The documentation is run and is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.builtins import FUNCTIONS
from engine.check import Scope, check
from engine.evaluate.python import Facts, Unknown, evaluate
from engine.kinds import STATUSES
from engine.parse import parse_expression
from engine.tables import HIT_POLICIES
from engine.types import MONEY
from engine.values import read_money

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
SCOPE = Scope({"raised": MONEY, "task": MONEY}, {"raised": "fact", "task": "fact"})
BLOCKS = re.findall(r"```rule\n(.*?)```", PAGE, re.DOTALL)
LINES = [line for block in BLOCKS for line in block.strip().splitlines()]


def value_of(text: str, facts: dict[str, object]) -> object:
    return evaluate(check(parse_expression(text.strip()), SCOPE), Facts(facts))


@pytest.mark.parametrize("line", LINES)
def test_every_example_of_the_language_page_holds(line: str) -> None:
    expression, given, expected = (part.strip() for part in line.split(";"))
    facts: dict[str, object] = {}
    for pair in filter(None, given.split(",")):
        name, _, value = pair.partition(":")
        facts[name.strip()] = None if value.strip() == "?" else read_money(value.strip())
    found = value_of(expression, facts)
    if expected.startswith("unknown"):
        assert isinstance(found, Unknown)
        assert found.missing == frozenset(expected.split()[1:])
    else:
        wanted = value_of(expected, facts)
        assert found == wanted
        assert type(found) is type(wanted)


def test_the_page_has_examples() -> None:
    assert len(LINES) > 35


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_is_documented_and_shown(name: str) -> None:
    assert f"`{name}(" in PAGE
    assert any(name in line for line in LINES)


def test_every_kind_status_and_hit_policy_is_documented() -> None:
    for kind, statuses in STATUSES.items():
        assert f"| {kind.value} |" in PAGE
        for status in statuses:
            assert status in PAGE
    for policy in HIT_POLICIES:
        assert policy in PAGE

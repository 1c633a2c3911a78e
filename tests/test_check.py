"""Names, types and units are checked when a rule is read."""

from __future__ import annotations

import pytest

from engine.check import Scope, check
from engine.errors import PackError
from engine.parse import parse_expression
from engine.types import BOOLEAN, DATE, MONEY, NUMBER, RATIO, Kind, Type

LEVEL = Type(Kind.ENUM, values=("national", "provincial"))
PEOPLE = Type(Kind.QUANTITY, "人", integer=True)
MONTHS = Type(Kind.QUANTITY, "月", integer=True)
TYPES = {"money": MONEY, "rate": RATIO, "flag": BOOLEAN, "day": DATE, "level": LEVEL, "people": PEOPLE,
         "months": MONTHS, "number": NUMBER}  # fmt: skip
SCOPE = Scope(TYPES, dict.fromkeys(TYPES, "fact"))

WRONG = [
    ("money + rate > 0元", "type-mismatch"),
    ("money > 500", "type-mismatch"),
    ("rate >= 0.85", "type-mismatch"),
    ("day > money", "type-mismatch"),
    ("day > 2019", "type-mismatch"),
    ("people > months", "type-mismatch"),
    ("people + months > 3", "type-mismatch"),
    ("money * money > 0元", "type-mismatch"),
    ("day + day > day", "type-mismatch"),
    ("level == nationl", "unknown-enum-value"),
    ("level == 'world'", "unknown-enum-value"),
    ("level > national", "wrong-type"),
    ("mony > 0元", "unknown-name"),
    ("flag and money", "wrong-type"),
    ("not money", "wrong-type"),
    ("(1元 if money else 2元) > 0元", "wrong-type"),
    ("(1元 if flag else 2%) > 0元", "type-mismatch"),
    ("floor(flag) > 0", "wrong-arguments"),
    ("workdays_after(money, 5) > day", "wrong-arguments"),
    ("workdays_after(day) > day", "wrong-arguments"),
    ("min(money) > 0元", "wrong-arguments"),
    ("flor(number) > 0", "unknown-function"),
    ("__import__ == 1", "expression-not-allowed"),
    ("money", "wrong-type"),
    ("money / 0 > 0元", "division-by-zero"),
]


@pytest.mark.parametrize(("text", "code"), WRONG)
def test_a_wrong_unit_or_name_is_a_problem_when_read(text: str, code: str) -> None:
    with pytest.raises(PackError) as caught:
        check(parse_expression(text), SCOPE, BOOLEAN, "a condition")
    assert caught.value.problems[0].code == code


@pytest.mark.parametrize(("text", "name"), [("mony > 0元", "money"), ("level == nationl", "national"),
                                            ("flor(number) > 0", "floor")])
def test_the_nearest_name_is_offered(text: str, name: str) -> None:
    with pytest.raises(PackError) as caught:
        check(parse_expression(text), SCOPE)
    assert f"did you mean `{name}`?" in caught.value.problems[0].help("en")
    assert f"是不是 `{name}`" in caught.value.problems[0].help("zh")


@pytest.mark.parametrize("text", [
    "money * rate > 0元", "money / money >= 85%", "rate / 1% > 3", "people >= 25% * people", "money * people * months > 0元",
    "people / people >= 25%", "day - day > 3", "day + 5 > day", "level in (national, provincial)", "national == level",
    "flag == true", "flag != flag", "money / 1.05 * 1.5% > 0元", "people >= 3", "months / 12 * money > 0元",
])  # fmt: skip
def test_like_goes_with_like(text: str) -> None:
    assert check(parse_expression(text), SCOPE, BOOLEAN).type.kind is Kind.BOOLEAN

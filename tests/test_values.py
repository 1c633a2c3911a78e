"""Reading and writing values: exact, and refused where two meanings are possible."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.types import MONEY, RATIO
from engine.values import (
    Unreadable,
    decimal_text,
    is_unknown_text,
    money_text,
    read_boolean,
    read_date,
    read_money,
    read_quantity,
    read_ratio,
    round_half_up,
    value_text,
    yuan_text,
)  # fmt: skip


@pytest.mark.parametrize(("text", "fen"), [
    ("849.999999万元", 849999999), ("1.2亿", 12_000_000_000), ("1亿2000万元", 12_000_000_000), ("１２００", 120_000),
    ("1,200.50", 120_050), ("1，200", 120_000), ("(1,200.00)", -120_000), ("¥100", 10_000), ("人民币5元整", 500),
    ("20,000,001元", 2_000_000_100), ("20000000", 2_000_000_000), ("５００ 万元", 500_000_000), ("0.01", 1), ("-5", -500),
    (20_000_001, 2_000_000_100), (Decimal("39981.70"), 3_998_170), (8499999.99, 849_999_999),
])  # fmt: skip
def test_unmistakable_amounts_are_read_to_the_fen(text: object, fen: int) -> None:
    assert read_money(text) == fen


@pytest.mark.parametrize("text", ["1,2OO", "12,34", "1,23,456", "100-200", "约100万", "1.2.3", "万元", "1e6", "1亿2000",
                                  "2万3亿", "5元5", "0.001", True, "", "∞", "NaN", "1" * 300, float("nan"), None, []])
def test_ambiguous_amounts_are_refused(text: object) -> None:
    with pytest.raises(Unreadable):
        read_money(text)


def test_a_cells_own_unit_wins_over_the_headers() -> None:
    assert read_money("1000", "万元") == 1_000_000_000
    assert read_money("1000元", "万元") == 100_000
    assert read_money("1.2亿", "万元") == 12_000_000_000


@pytest.mark.parametrize(("text", "ratio"), [("85%", Fraction(17, 20)), ("85％", Fraction(17, 20)), ("85", Fraction(17, 20)),
                                             ("2‰", Fraction(1, 500)), ("百分之85", Fraction(17, 20)), ("91.67", Fraction(9167, 10000))])
def test_percentages(text: str, ratio: Fraction) -> None:
    assert read_ratio(text) == ratio


@pytest.mark.parametrize("text", ["2019-3-22", "2019/3/22", "2019.3.22", "2019年3月22日", "20190322", "2019-03-22 00:00:00",
                                  "２０１９年３月２２日", 43546, "43546", date(2019, 3, 22)])
def test_a_day_in_its_usual_spellings(text: object) -> None:
    assert read_date(text) == date(2019, 3, 22)


@pytest.mark.parametrize("text", ["3/22/2019", "22.3.19", "2019年3月", "2019-02-30", 1, 2, "1", "19-3-22", "明天", 3.5, True,
                                  "2019-03-22 17:30"])
def test_what_is_no_day_is_refused(text: object) -> None:
    with pytest.raises(Unreadable):
        read_date(text)


def test_serials_are_days_of_the_1900_system() -> None:
    assert read_date(44185) == date(2020, 12, 20)
    assert read_date("43624") == date(2019, 6, 8)


@pytest.mark.parametrize("text", ["", " ", "　", "-", "—", "——", "未知", "N/A", "null"])
def test_blanks_and_dashes_are_unknown(text: str) -> None:
    assert is_unknown_text(text)
    assert not is_unknown_text("0")


def test_yes_and_no() -> None:
    assert [read_boolean(text) for text in ("是", "有", "√", "yes", "1", "TRUE", 1)] == [True] * 7
    assert [read_boolean(text) for text in ("否", "无", "×", "no", "0", "false", 0)] == [False] * 7
    with pytest.raises(Unreadable):
        read_boolean("也许")


def test_quantities_keep_their_unit_out() -> None:
    assert read_quantity("12人", "人", integer=True) == 12
    assert read_quantity("5个工作日", "工作日", integer=True) == 5
    with pytest.raises(Unreadable):
        read_quantity("1.5", integer=True)


@pytest.mark.parametrize(("number", "places", "rounded"), [
    ("1.005", 2, "1.01"), ("0.125", 2, "0.13"), ("-0.125", 2, "-0.13"), ("100.005", 2, "100.01"),
    ("1.0029999999999999", 4, "1.0030"), ("2.5", 0, "3"), ("-2.5", 0, "-3"),
])  # fmt: skip
def test_half_goes_away_from_zero(number: str, places: int, rounded: str) -> None:
    assert round_half_up(Fraction(number), places) == Fraction(rounded)


def test_repeating_decimals_are_exact_and_shown_as_such() -> None:
    exact = Fraction(1_000_000_000 * 2, 37)  # fen
    assert exact * 37 == 2_000_000_000
    assert yuan_text(round_half_up(exact)) == "540540.54"
    assert decimal_text(Fraction(2, 37)).endswith("…")


def test_amounts_for_people_and_machines() -> None:
    assert money_text(123456789) == "1,234,567.89"
    assert money_text(-50) == "-0.50"
    assert yuan_text(20_000_000) == "200000.00"
    assert value_text(Fraction(1, 3), RATIO) == "33.333333…%"
    assert value_text(None, MONEY) == "未知"


@given(st.integers(-10**17, 10**17))
def test_money_survives_writing_and_reading(fen: int) -> None:
    assert read_money(yuan_text(fen)) == fen
    assert read_money(money_text(fen)) == fen
    assert read_money(yuan_text(fen) + "元", "万元") == fen


@given(st.fractions(), st.integers(0, 6))
def test_rounding_agrees_with_decimal(number: Fraction, places: int) -> None:
    from decimal import ROUND_HALF_UP, localcontext

    with localcontext() as context:
        context.prec = 400
        digits = Decimal(number.numerator * 10 ** (places + 30) // number.denominator)  # ample digits below the last
        if (number * 10 ** (places + 30)).denominator == 1:
            wanted = (digits / Decimal(10) ** (places + 30)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
            assert Fraction(round_half_up(number, places)) == Fraction(wanted)

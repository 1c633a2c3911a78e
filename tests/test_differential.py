"""Evaluators that share one meaning agree, with each other and with readers written apart from them.

`benchmarks/differential.py` runs the same comparison for as long as one likes and prints the numbers.
"""

from __future__ import annotations

import math
import re
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import needs
from differential import (
    SOME_ERROR,
    Evaluator,
    Refused,
    Tally,
    compare,
    installed,
    minimal,
    read_regression,
    reference,
    regression_line,
    run,
)
from engine import load_pack
from engine.check import Scope, check
from engine.errors import EvaluationError
from engine.evaluate.python import Facts, Unknown, evaluate
from engine.expr import show
from engine.parse import parse_expression
from engine.types import BOOLEAN, DATE, MONEY, NUMBER, RATIO
from strategies import SAMPLE_NAMES, cases, expressions, from_seed, load_provision, make_provision

REGRESSIONS = Path(__file__).parent / "data" / "regressions.txt"


@lru_cache(maxsize=1)
def evaluators() -> list[Evaluator]:
    return installed()


def check_no(disagreements: list[Any]) -> None:
    if disagreements:
        smallest = minimal(min(disagreements, key=lambda one: len(str(one))), evaluators())
        pytest.fail(f"{len(disagreements)} disagreements, such as\n{smallest}\n{regression_line(smallest)}")


# Against each other


def test_random_provisions_come_out_alike_everywhere() -> None:
    """A few hundred provisions of every kind; the long run asks for a million evaluations."""
    tally = Tally()
    run(range(90), 25, evaluators(), tally)
    check_no(tally.disagreements)
    assert tally.provisions > 75
    assert not [name for name in tally.evaluations if tally.evaluations[name] < 200]
    assert set(tally.statuses) > {"undetermined", "breach", "eligible", "triggered", "late", "met", "stated", "error"}


@pytest.mark.long
def test_a_million_evaluations_come_out_alike_everywhere() -> None:
    tally = Tally()
    began, seed = perf_counter(), 10_000_000
    while tally.evaluations.total() < 1_000_000 and perf_counter() - began < 1800:
        run(range(seed, seed + 10), 200, evaluators(), tally)
        seed += 10
    print(f"\n{tally.provisions} provisions, {dict(tally.evaluations)}, {tally.evaluations.total()} evaluations,")
    print(f"{len(tally.disagreements)} disagreements in {perf_counter() - began:.0f} s")
    check_no(tally.disagreements)
    assert tally.evaluations.total() >= 1_000_000


@pytest.mark.long
def test_spark_comes_out_alike() -> None:
    needs.spark()
    spark = [one for one in installed(spark=True) if one.name == "spark"]
    tally = Tally()
    run(range(20_000_000, 20_000_015), 400, spark, tally)
    print(f"\n{tally.evaluations['spark']} evaluations by Spark, {len(tally.disagreements)} disagreements")
    assert tally.evaluations["spark"] > 3_000
    if tally.disagreements:
        pytest.fail(str(minimal(min(tally.disagreements, key=lambda one: len(str(one))), spark)))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_what_hypothesis_thinks_up_comes_out_alike(case: tuple[dict[str, Any], date, list[dict[str, Any]]]) -> None:
    data, on, rows = case
    found = list(compare(data, on, rows, evaluators(), Tally()))
    assert not found, str(found[0])


def regressions() -> list[str]:
    lines = REGRESSIONS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("line", regressions())
def test_what_once_differed_stays_alike(line: str) -> None:
    data, on, values, outcome = read_regression(line)
    (verdict,) = reference(load_provision(data), on)([values])
    assert str(verdict) == outcome
    for evaluator in evaluators():
        try:
            (found,) = evaluator.prepare(load_provision(data), on)([values])
        except Refused:
            continue
        # A row with a day beyond the calendar may be handed back with a problem even where the day does not matter.
        assert found == SOME_ERROR or found.agrees(verdict), f"{evaluator.name}: {found}"


def test_a_wrong_evaluator_is_found_out() -> None:
    """One that takes `>` for `>=` in its answer is caught within a few provisions, and the case made small."""

    def wrong(provision: Any, on: Any) -> Any:
        decide = reference(provision, on)
        flipped = {"compliant": "breach", "breach": "compliant"}
        return lambda rows: [
            type(verdict)(flipped.get(verdict.status, verdict.status), verdict.values, verdict.missing)
            for verdict in decide(rows)
        ]

    tally = Tally()
    liar = Evaluator("liar", wrong)
    run(range(20), 10, [liar], tally)
    assert tally.disagreements
    assert len(regression_line(minimal(tally.disagreements[0], [liar]))) < 200


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**9))
def test_a_regression_line_reads_back(seed: int) -> None:
    data = make_provision(from_seed(seed))
    from differential import Disagreement, Verdict

    line = regression_line(Disagreement("x", data, date(2019, 6, 30), {}, Verdict("a"), Verdict("b")))
    assert "\n" not in line


# Against Python itself: the text of an expression, its literals replaced, run by Python over fractions

SCOPE = Scope(
    dict(zip(("m", "r", "n", "d", "b"), (MONEY, RATIO, NUMBER, DATE, BOOLEAN), strict=True)),
    dict.fromkeys(("m", "r", "n", "d", "b"), "fact"),
)


class Beyond(Exception):
    """A day without a published calendar."""


@cache
def _is_workday(day: date) -> bool:
    from chinese_calendar import is_workday

    if not 2004 <= day.year <= 2026:
        raise Beyond
    return day == date(2005, 12, 31) or bool(is_workday(day))


def _plain(day: date) -> date:
    return date(day.year, day.month, day.day)


def _workdays_after(day: date, count: Any) -> date:
    """Day by day, as one would with a wall calendar."""
    day = _plain(day)
    _is_workday(day)
    while count:
        day += timedelta(days=1)
        count -= _is_workday(day)
    return day


def _workdays_between(start: date, end: date) -> int:
    start, end = _plain(start), _plain(end)
    _is_workday(start), _is_workday(end)
    return sum(_is_workday(start + timedelta(days=step)) for step in range(1, (end - start).days + 1))


def _next_workday(day: date) -> date:
    day = _plain(day)
    while not _is_workday(day):
        day += timedelta(days=1)
    return day


def _months_after(day: date, months: Any) -> date:
    whole = day.year * 12 + day.month - 1 + int(months)
    for last in (day.day, 30, 29, 28):
        try:
            return date(whole // 12, whole % 12 + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError


def _half_up(value: Any, places: Any = 0) -> Fraction:
    """By `decimal` where the value is one, else by taking the floor of a half more."""
    value = Fraction(value)
    digits = value.denominator
    while digits % 2 == 0 or digits % 5 == 0:
        digits //= 2 if digits % 2 == 0 else 5
    if digits == 1:
        exact = Decimal(value.numerator) / Decimal(value.denominator)
        if Fraction(exact) == value:
            return Fraction(exact.quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP))
    scaled = abs(value) * 10 ** int(places)
    return Fraction(math.floor(scaled + Fraction(1, 2)), 10 ** int(places)) * (1 if value >= 0 else -1)


class Day(date):
    """A date that adds whole days, as the language has it."""

    def __add__(self, days: Any) -> Any:
        return self.of(date.__add__(self, timedelta(days=int(days))))

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, date):
            return Fraction(date.toordinal(self) - other.toordinal())
        return self.of(date.__sub__(self, timedelta(days=int(other))))  # type: ignore[operator]

    @staticmethod
    def of(day: date) -> Day:
        return Day(day.year, day.month, day.day)


NAMES: dict[str, Any] = {
    "F": Fraction, "day": lambda *parts: Day(*parts), "true": True, "false": False, "min": min, "max": max, "abs": abs,
    "floor": lambda x: Fraction(math.floor(x)), "truncate": lambda x: Fraction(math.trunc(x)),
    "round_half_up": _half_up, "is_known": lambda _: True,
    "workdays_after": lambda d, n: Day.of(_workdays_after(d, n)), "workdays_between": _workdays_between,
    "next_workday": lambda d: Day.of(_next_workday(d)), "months_after": lambda d, n: Day.of(_months_after(d, n)),
    "year_of": lambda d: Fraction(d.year), "month_of": lambda d: Fraction(d.month),
}  # fmt: skip


def _pythonic(text: str) -> str:
    """The expression as Python: literals as fractions and days."""

    def literal(match: re.Match[str]) -> str:
        token = match[0]
        if match["day"]:
            year, month, of = token.split("-")
            return f"day({int(year)}, {int(month)}, {int(of)})"
        number = Fraction(re.sub(r"[^\d.]", "", token))
        scale = {"万元": Fraction(10**6), "元": Fraction(100), "%": Fraction(1, 100), "‰": Fraction(1, 1000)}
        unit = next((sign for sign in scale if token.endswith(sign)), "")
        number *= scale.get(unit, 1)
        return f"F({number.numerator}, {number.denominator})"

    return re.sub(r"(?P<day>\d{4}-\d{2}-\d{2})|(?<![\w.])\d+(?:\.\d+)?(?:万元|元|%|‰)?", literal, text)


VALUES = st.fixed_dictionaries(
    {
        "m": st.integers(-10_000, 10_000),
        "r": st.fractions(min_value=-2, max_value=2, max_denominator=1000),
        "n": st.fractions(min_value=-20, max_value=20, max_denominator=100),
        "d": st.dates(date(2018, 1, 1), date(2021, 12, 31)),
        "b": st.booleans(),
    }
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(("boolean", "money", "percent", "number", "date")).flatmap(lambda k: expressions(k)), VALUES)
def test_an_expression_means_what_python_makes_of_it(text: str, values: dict[str, Any]) -> None:
    assert {name for _, name in SAMPLE_NAMES} == set(values)
    given = {name: Day.of(value) if isinstance(value, date) else value for name, value in values.items()}
    given = {name: Fraction(v) if isinstance(v, int) and not isinstance(v, bool) else v for name, v in given.items()}
    tree = check(parse_expression(text), SCOPE)
    try:
        expected = eval(_pythonic(text), {"__builtins__": {}, **NAMES}, given)
    except ZeroDivisionError:
        expected = None
    except Beyond:
        expected = Beyond
    try:
        found = evaluate(tree, Facts(values))
    except EvaluationError:
        found = Unknown()
    if isinstance(found, Unknown) or expected in (None, Beyond):
        # Both fail, or one looked at a side that the other had no need of: Python stops at the first that settles.
        both = isinstance(found, Unknown) and expected in (None, Beyond)
        assert both or re.search(r" (if|and|or|in) |<.*<|==.*==|!=", text)
        return
    assert found == expected
    assert isinstance(found, bool) == isinstance(expected, bool)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(("boolean", "money", "percent", "number", "date")).flatmap(lambda k: expressions(k)))
def test_an_expression_printed_and_read_again_is_the_same(text: str) -> None:
    tree = check(parse_expression(text), SCOPE)
    assert check(parse_expression(show(tree)), SCOPE) == tree


# Against provisions written again by hand, from the policy's text, with nothing of the engine

YUAN = st.one_of(
    st.sampled_from((0, 1, 8499, 8500, 8999, 9000, 9499, 9500, 9999, 10000, 10001, 10**12)), st.integers(0, 10**12)
)


def _shortfall(task: int, raised: int, funds: int) -> tuple[str, Fraction | None, int | None]:
    if task == 0:
        return "not_applicable", None, None
    percent = Fraction(raised * 100, task)
    cut = 10 if percent < 85 else 8 if percent < 90 else 5 if percent < 95 else 3 if percent < 100 else 0
    exact = Decimal(funds) * cut / 100
    amount = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    return ("triggered" if cut else "not_triggered"), Fraction(cut, 100), amount


@settings(max_examples=200, deadline=None)
@given(YUAN, YUAN, YUAN)
def test_the_fundraising_cut_by_hand(task: int, raised: int, funds: int) -> None:
    outcome = load_pack_once().evaluate(
        "fiscal.budget_cut.fundraising_shortfall",
        {"has_task": True, "task_amount": Decimal(task) / 100, "raised_amount": Decimal(raised) / 100,
         "next_year_public_funds": Decimal(funds) / 100}, "2019-12-31",
    )  # fmt: skip
    found = (outcome.status, outcome.values.get("rate"), outcome.values.get("amount"))
    assert found == _shortfall(task, raised, funds)


@lru_cache(maxsize=1)
def load_pack_once() -> Any:
    return load_pack()


PROGRESS = st.one_of(st.sampled_from(("50", "49.999999", "75", "74.9999", "91.6667", "91.6666", "100")),
                     st.integers(0, 1000).map(str))  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(PROGRESS, PROGRESS, PROGRESS, st.integers(0, 10**12))
def test_the_spending_cut_by_hand(june: str, september: str, november: str, funds: int) -> None:
    outcome = load_pack_once().evaluate(
        "fiscal.budget_cut.expenditure_progress",
        {"prefecture_budget_unit": True, "progress_june": june + "%", "progress_september": september + "%",
         "progress_november": november + "%", "next_year_public_funds": f"{Decimal(funds) / 100}元"}, "2019-12-31",
    )  # fmt: skip
    cut = 3 * (Fraction(june) < 50) + 4 * (Fraction(september) < 75) + 3 * (Fraction(november) * 12 < 1100)
    assert outcome.values["rate"] == Fraction(cut, 100)
    assert outcome.values["amount"] == int((Decimal(funds) * cut / 100).quantize(Decimal(1), ROUND_HALF_UP))


DAYS_2019 = st.dates(date(2018, 12, 1), date(2020, 3, 31))


@settings(max_examples=200, deadline=None)
@given(DAYS_2019, st.one_of(st.none(), DAYS_2019), DAYS_2019)
def test_the_five_working_days_by_hand(received: date, done: date | None, today: date) -> None:
    """Days counted one by one over the State Council's notice for 2019, written out here."""
    rest = {date(2019, m, d) for m, days in _REST_2019.items() for d in days}
    work = {date(2019, m, d) for m, days in _WORK_2019.items() for d in days}

    def works(day: date) -> bool:
        if day.year == 2019:
            return day in work or (day.weekday() < 5 and day not in rest)
        return _is_workday(day)

    due, left = received, 5
    while left:
        due += timedelta(days=1)
        left -= works(due)
    outcome = load_pack_once().evaluate(
        "fiscal.special_fund.specified_5wd",
        {"document_received_on": received, "submitted": done is not None, "submitted_on": done}, today,
    )  # fmt: skip
    assert outcome.values["due_date"] == due
    if done is not None:
        assert outcome.status == ("on_time" if done <= due else "late")
    else:
        assert outcome.status == ("pending" if today <= due else "overdue")


_REST_2019 = {1: (1,), 2: (4, 5, 6, 7, 8), 4: (5,), 5: (1, 2, 3), 6: (7,), 9: (13,), 10: (1, 2, 3, 4, 7)}
_WORK_2019 = {2: (2, 3), 4: (28,), 5: (5,), 9: (29,), 10: (12,)}

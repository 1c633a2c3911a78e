"""Working days as the State Council published them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from engine import EvaluationError
from engine.calendar import (
    day_in_month,
    day_number,
    day_of,
    is_working_day,
    months_after,
    next_workday,
    published_years,
    workdays_after,
    workdays_between,
    working_days,
)  # fmt: skip


@pytest.mark.parametrize("day", [date(2019, 2, 2), date(2019, 2, 3), date(2019, 4, 28), date(2019, 5, 5), date(2019, 9, 29),
                                 date(2005, 12, 31)])
def test_make_up_weekends_are_working_days(day: date) -> None:
    assert day.weekday() >= 5
    assert is_working_day(day)


@pytest.mark.parametrize("day", [date(2019, 2, 4), date(2019, 5, 1), date(2019, 5, 2), date(2019, 10, 7)])
def test_holidays_are_not(day: date) -> None:
    assert not is_working_day(day)


def test_a_sunday_plus_one_is_monday() -> None:
    assert workdays_after(date(2019, 3, 24), 1) == date(2019, 3, 25)


def test_the_amended_labour_day_of_2019() -> None:
    assert workdays_after(date(2019, 4, 30), 1) == date(2019, 5, 5)
    assert workdays_after(date(2019, 4, 30), 5) == date(2019, 5, 9)


def test_spring_festival_2019() -> None:
    assert workdays_after(date(2019, 1, 30), 5) == date(2019, 2, 11)
    assert workdays_between(date(2019, 2, 11), date(2019, 2, 15)) == 4


def test_beyond_the_notices_is_an_error_that_says_so() -> None:
    last = published_years()[1]
    for call in (lambda: is_working_day(date(last + 1, 3, 1)), lambda: workdays_after(date(last, 12, 31), 1),
                 lambda: next_workday(date(1999, 1, 1)), lambda: workdays_between(date(2019, 1, 1), date(2099, 1, 1))):
        with pytest.raises(EvaluationError) as caught:
            call()
        assert caught.value.problems[0].code == "calendar-gap"
        assert str(last) in caught.value.render("zh")


def test_counting_agrees_with_walking() -> None:
    days = set(working_days())
    day = date(2018, 12, 20)
    while day < date(2020, 1, 10):
        walked, count = day, 0
        while count < 5:
            walked += timedelta(days=1)
            count += walked in days
        assert workdays_after(day, 5) == walked
        assert workdays_between(day, walked) == 5
        day += timedelta(days=1)


def test_months_end_where_the_month_ends() -> None:
    assert months_after(date(2019, 12, 31), 2) == date(2020, 2, 29)
    assert months_after(date(2019, 1, 31), 1) == date(2019, 2, 28)
    assert months_after(date(2019, 3, 31), -1) == date(2019, 2, 28)
    assert day_in_month(2019, 2, 30) == date(2019, 2, 28)


def test_day_numbers_go_back_and_forth() -> None:
    assert day_number(date(1970, 1, 1)) == 0
    assert day_of(day_number(date(2019, 2, 11))) == date(2019, 2, 11)

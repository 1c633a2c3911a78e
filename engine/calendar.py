"""Working days and calendar months. No clock: every date is given.

Working days follow the State Council's holiday notices as published in `chinesecalendar`,
make-up weekends included. A date in a year without a notice is an error, never guessed
from the weekday.
"""

from __future__ import annotations

import bisect
from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache

from engine.errors import EvaluationError, Problem

# chinesecalendar 1.11 has this make-up Saturday as a rest day; the notice for 2005/2006 made it a working day.
_CORRECTIONS: dict[date, bool] = {date(2005, 12, 31): True}

EPOCH = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Days since 1970-01-01: how the normal form holds a date."""
    return (day - EPOCH).days


def day_of(number: int) -> date:
    """The date of a day number."""
    return EPOCH + timedelta(days=number)


@lru_cache(maxsize=1)
def published_years() -> tuple[int, int]:
    """First and last year with a holiday notice."""
    from chinese_calendar import constants

    years = {day.year for day in constants.holidays}
    last = max(years)
    # A year's first days can appear in the notice of the year before: a full year has its National Day.
    while date(last, 10, 1) not in constants.holidays:
        last -= 1
    return min(years), last


@lru_cache(maxsize=1)
def working_days() -> list[date]:
    """Every published working day in order: the position table all evaluators share."""
    from chinese_calendar import constants

    first, last = published_years()
    start = date(first, 1, 1).toordinal()
    every = map(date.fromordinal, range(start, date(last, 12, 31).toordinal() + 1))
    made_up = {*constants.workdays, *(day for day, works in _CORRECTIONS.items() if works)}
    return [day for day in every if day in made_up or (day.weekday() < 5 and day not in constants.holidays)]


def _require_published(day: date) -> None:
    first, last = published_years()
    if not first <= day.year <= last:
        raise EvaluationError(Problem("calendar-gap", fields={"date": day.isoformat(), "first": first, "last": last}))


def is_working_day(day: date) -> bool:
    """Errors: `calendar-gap` beyond the published notices."""
    _require_published(day)
    days = working_days()
    place = bisect.bisect_left(days, day)
    return place < len(days) and days[place] == day


def workdays_after(start: date, count: int) -> date:
    """The `count`-th working day after `start`; the day itself does not count.

    Units: days. `count` 0 is `start` itself. Errors: `calendar-gap`.
    Source: 民法总则第201条 (the day of the event is not counted).
    """
    _require_published(start)
    if count < 0:
        raise ValueError("a number of working days is not negative")
    if count == 0:
        return start
    days = working_days()
    place = bisect.bisect_right(days, start) + count - 1
    if place >= len(days):
        first, last = published_years()
        raise EvaluationError(
            Problem("calendar-gap", fields={"date": f"{start.isoformat()} + {count}", "first": first, "last": last})
        )
    return days[place]


def workdays_between(start: date, end: date) -> int:
    """Working days after `start`, up to and including `end`; 0 when `end` is not after `start`.

    Errors: `calendar-gap`.
    """
    _require_published(start)
    _require_published(end)
    days = working_days()
    return max(0, bisect.bisect_right(days, end) - bisect.bisect_right(days, start))


def next_workday(day: date) -> date:
    """`day` itself if it is a working day, else the next one. Errors: `calendar-gap`.

    Source: 民法总则第203条 (a period that ends on a holiday ends on the day after it).
    """
    _require_published(day)
    days = working_days()
    place = bisect.bisect_left(days, day)
    if place >= len(days):
        first, last = published_years()
        raise EvaluationError(Problem("calendar-gap", fields={"date": day.isoformat(), "first": first, "last": last}))
    return days[place]


def months_after(start: date, months: int) -> date:
    """The same day `months` later, or the last day of that month where it has no such day."""
    month = start.month - 1 + months
    year, month = start.year + month // 12, month % 12 + 1
    return date(year, month, min(start.day, monthrange(year, month)[1]))


def day_in_month(year: int, month: int, day: int) -> date:
    """A day of a month, or the month's last day where it has none such (30 February)."""
    return date(year, month, min(day, monthrange(year, month)[1]))

"""Spans of the calendar that duties and targets are counted by: reading, naming and listing them.

No clock and no policy: a period is a first and a last day.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from enum import Enum

from engine.dataclass import dataclass
from engine.model import Text
from engine.values import normalise


class Every(Enum):
    """How often something recurs."""

    WEEK = "week"
    TEN_DAYS = "ten_days"
    MONTH = "month"
    TWO_MONTHS = "two_months"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"


MONTHS = {Every.MONTH: 1, Every.TWO_MONTHS: 2, Every.QUARTER: 3, Every.HALF_YEAR: 6, Every.YEAR: 12}


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A span of days, both ends included."""

    start: date
    end: date

    def __contains__(self, day: date) -> bool:
        return self.start <= day <= self.end

    @property
    def label(self) -> Text:
        """`2019年5月`, `2019年二季度`, `2019年3—4月`, `2019年5月上旬`, or the two days."""
        first, last = self.start, self.end
        if _is_months(first, last):
            months, year = last.month - first.month + 1, first.year
            if months == 12:
                return Text(f"{year}年", f"{year}")
            if months == 6 and first.month in (1, 7):
                half = 1 if first.month == 1 else 2
                return Text(f"{year}年{'上' if half == 1 else '下'}半年", f"{year} H{half}")
            if months == 3 and first.month % 3 == 1:
                quarter = (first.month + 2) // 3
                return Text(f"{year}年{'一二三四'[quarter - 1]}季度", f"{year} Q{quarter}")
            if months == 1:
                return Text(f"{year}年{first.month}月", f"{year}-{first.month:02d}")
            return Text(f"{year}年{first.month}—{last.month}月", f"{year}-{first.month:02d} to {year}-{last.month:02d}")
        if (first.year, first.month) == (last.year, last.month) and first.day in (1, 11, 21):
            third = first.day // 10
            return Text(
                f"{first.year}年{first.month}月{'上中下'[third]}旬",
                f"{first.year}-{first.month:02d}, days {first.day} to {last.day}",
            )
        return Text(f"{first}—{last}", f"{first} to {last}")


def _is_months(first: date, last: date) -> bool:
    return first.day == 1 and first.year == last.year and last.day == monthrange(last.year, last.month)[1]


def months_period(year: int, first: int, last: int | None = None) -> Period:
    """The months `first` to `last` of a year."""
    last = first if last is None else last
    return Period(date(year, first, 1), date(year, last, monthrange(year, last)[1]))


def periods_ending(every: Every, start: date, end: date) -> Iterator[Period]:
    """The periods whose last day lies within `start` to `end`, in order; they follow the calendar year."""
    if every is Every.WEEK:
        last = start + timedelta(days=6 - start.weekday())
        while last <= end:
            yield Period(last - timedelta(days=6), last)
            last += timedelta(days=7)
        return
    for year in range(start.year, end.year + 1):
        for month in range(1, 13):
            if every is Every.TEN_DAYS:
                whole = months_period(year, month)
                parts = [Period(whole.start.replace(day=day), whole.start.replace(day=day + 9)) for day in (1, 11)]
                found = [*parts, Period(whole.start.replace(day=21), whole.end)]
            elif month % MONTHS[every] == 0:
                found = [months_period(year, month - MONTHS[every] + 1, month)]
            else:
                continue
            yield from (period for period in found if start <= period.end <= end)


_QUARTERS = {"一": 1, "二": 2, "三": 3, "四": 4, "1": 1, "2": 2, "3": 3, "4": 4}
_YEAR = r"(\d{4})(?:年度|年)?"


def read_period(text: str, year: int | None = None) -> Period | None:
    """The period a text names, or None: `2019-05`, `2019年5月`, `5月`, `2019Q2`, `2019年二季度`, `2019年1—3月`,
    `2019-01..03`, `2019H1`, `上半年`, `2019`.

    `year` is that of a text without one. `2019-05-01`, as a spreadsheet turns `2019-05` into, is that month.
    """
    word = re.sub(r"\s+", "", normalise(text)).replace("—", "-").replace("–", "-").replace("~", "-").replace("至", "-")
    if match := re.fullmatch(rf"{_YEAR}[-/.]?(\d{{1,2}})(?:月|[-/]0?1)?", word):
        return _months(int(match[1]), int(match[2]), int(match[2]))
    if match := re.fullmatch(rf"{_YEAR}[-/.]?(\d{{1,2}})(?:月)?(?:\.\.|-)(\d{{1,2}})月?", word):
        return _months(int(match[1]), int(match[2]), int(match[3]))
    if re.fullmatch(r"\d{4}(?:年度|年|全年)?|全年", word):
        named = int(word[:4]) if word[:4].isdigit() else year
        return None if named is None else _months(named, 1, 12)
    head = re.match(rf"{_YEAR}[-/.]?", word)
    named, rest = (int(head[1]), word[head.end() :]) if head else (year, word)
    if named is None:
        return None
    if match := re.fullmatch(r"(?:第?([一二三四1-4])季度?|[qQ]([1-4]))", rest):
        quarter = _QUARTERS[match[1] or match[2]]
        return _months(named, 3 * quarter - 2, 3 * quarter)
    if match := re.fullmatch(r"前?(?:[1一]-)?([一二三四1-4])(?:个)?季度", rest):
        return _months(named, 1, 3 * _QUARTERS[match[1]])
    if rest in ("上半年", "h1", "H1"):
        return _months(named, 1, 6)
    if rest in ("下半年", "h2", "H2"):
        return _months(named, 7, 12)
    if match := re.fullmatch(r"(\d{1,2})(?:月)?-(\d{1,2})月", rest):
        return _months(named, int(match[1]), int(match[2]))
    if match := re.fullmatch(r"(\d{1,2})月(?:份)?", rest):
        return _months(named, int(match[1]), int(match[1]))
    if match := re.fullmatch(r"(\d{1,2})月(?:份)?([上中下])旬", rest):
        month = _months(named, int(match[1]), int(match[1]))
        if month is None:
            return None
        first = "上中下".index(match[2]) * 10 + 1
        return Period(month.start.replace(day=first), month.end if first == 21 else month.start.replace(day=first + 9))
    return None


def _months(year: int, first: int, last: int) -> Period | None:
    return months_period(year, first, last) if 1 <= first <= last <= 12 and 1900 <= year <= 2199 else None

"""The four workloads: boundary-heavy rows, what they must come to by an exact oracle, and Hegui's own run.

Money is fen, a date a day number, a promotion its place in `PROMOTIONS`. The oracles are plain
Python over integers and share no code with the engine; the working-day one walks the calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import numpy as np

Row = Mapping[str, Any]
EPOCH = date(1970, 1, 1)
PROMOTIONS = ("contractor_special", "contractor_first", "contractor_second", "intermediary_grade_a", "other")
REWARDS = (100_000_000, 30_000_000, 5_000_000, 30_000_000, 0)
AS_OF = date(2019, 12, 31)
SEED = 20190322


@dataclass(frozen=True)
class Workload:
    """One rule over one table: `outputs` are the columns that every peer must give, null where there is none.

    `status` is the place in `statuses` and `labels`, null where the row cannot be decided, for want of `lacking`.
    """

    name: str
    title: str
    provision: str
    outputs: tuple[str, ...]
    generate: Callable[[np.random.Generator, int], pl.DataFrame]
    oracle: Callable[[Sequence[Row]], dict[str, list[Any]]]
    statuses: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    lacking: str | None = None


def _nulls(chance: np.random.Generator, frame: pl.DataFrame, name: str, share: float) -> pl.DataFrame:
    none = pl.Series(chance.random(frame.height) < share)
    return frame.with_columns(pl.when(none).then(None).otherwise(pl.col(name)).alias(name))


# Budget cut


def _budget(chance: np.random.Generator, rows: int) -> pl.DataFrame:
    import numpy as np

    task = chance.integers(10**6, 10**12, rows)
    edge = chance.random(rows) < 0.2
    task = np.where(edge, task // 100 * 100, task)
    share = chance.choice([85, 90, 95, 100], rows)
    raised = np.where(
        edge,
        task // 100 * share + chance.integers(-1, 2, rows),
        (task * chance.uniform(0.5, 1.2, rows)).astype(np.int64),
    )
    frame = pl.DataFrame(
        {
            "has_task": chance.random(rows) < 0.8,
            "task_amount": task,
            "raised_amount": raised,
            "next_year_public_funds": chance.integers(0, 10**12, rows),
        }
    )
    return _nulls(chance, frame, "raised_amount", 0.03)


def _budget_oracle(rows: Sequence[Row]) -> dict[str, list[Any]]:
    statuses: list[Any] = []
    rates, amounts = [], []
    for row in rows:
        task, raised, funds = row["task_amount"], row["raised_amount"], row["next_year_public_funds"]
        inert = not row["has_task"] or (task is not None and task <= 0)
        rate = None
        if not inert and task is not None and raised is not None:
            cuts = ((85, 10), (90, 8), (95, 5), (100, 3))
            rate = next((cut for limit, cut in cuts if raised * 100 < limit * task), 0)
        if rate is None or (rate and funds is None):
            statuses.append(0 if inert else None)
            rates.append(None)
            amounts.append(None)
            continue
        statuses.append(1 if rate else 2)
        rates.append(rate)
        amounts.append((funds * rate + 50) // 100 if rate else 0)
    return {"status": statuses, "rate": rates, "amount": amounts}


# Highest only


def _rewards(chance: np.random.Generator, rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "firm": chance.integers(0, max(1, rows // 20), rows),
            "year": chance.integers(2017, 2021, rows),
            "promotion": chance.integers(0, len(PROMOTIONS), rows),
            "registered": chance.random(rows) < 0.9,
            "first": chance.random(rows) < 0.8,
        }
    )


def _rewards_oracle(rows: Sequence[Row]) -> dict[str, list[Any]]:
    awards = [REWARDS[row["promotion"]] if row["registered"] and row["first"] else 0 for row in rows]
    best: dict[tuple[int, int], int] = {}
    for place, row in enumerate(rows):
        key = row["firm"], row["year"]
        if key not in best or awards[place] > awards[best[key]]:
            best[key] = place
    paid = [
        award if best[row["firm"], row["year"]] == place else 0
        for place, (row, award) in enumerate(zip(rows, awards, strict=True))
    ]
    return {"award": awards, "paid": paid}


# Growth subsidy


def _growth(chance: np.random.Generator, rows: int) -> pl.DataFrame:
    import numpy as np

    before = chance.integers(0, 3 * 10**10, rows)
    before[chance.random(rows) < 0.01] = 0
    pick = chance.random(rows)
    before = np.where(pick < 0.1, before // 20 * 20, before)
    now = (before * chance.uniform(0.7, 1.6, rows)).astype(np.int64)
    now = np.where(pick < 0.1, np.maximum(0, before // 20 * 23 + chance.integers(-1, 2, rows)), now)
    now = np.where((pick >= 0.1) & (pick < 0.2), before + 500_000_000 + chance.integers(-1, 2, rows), now)
    now = np.where(pick > 0.98, before * 2 + 10**11, now)
    return pl.DataFrame(
        {
            "above_scale_industrial": chance.random(rows) < 0.9,
            "strategic_emerging": chance.random(rows) < 0.2,
            "main_revenue_previous": before,
            "main_revenue_current": now,
        }
    )


def _growth_oracle(rows: Sequence[Row]) -> dict[str, list[Any]]:
    statuses, amounts = [], []
    for row in rows:
        before, now = row["main_revenue_previous"], row["main_revenue_current"]
        if row["above_scale_industrial"] and (before is None or now is None):
            statuses.append(None)
            amounts.append(None)
            continue
        more = (now or 0) - (before or 0)
        if not row["above_scale_industrial"] or now * 100 < before * 115 or more <= 500_000_000:
            statuses.append(1)
            amounts.append(0)
            continue
        statuses.append(0)
        permille, ceiling = (3, 60_000_000) if row["strategic_emerging"] else (2, 50_000_000)
        amounts.append(min(more * permille + 500, ceiling * 1000 + 500) // 1000)
    return {"status": statuses, "amount": amounts}


# Working days


def _deadlines(chance: np.random.Generator, rows: int) -> pl.DataFrame:
    import numpy as np

    first = (date(2018, 1, 2) - EPOCH).days
    received = chance.integers(first, (date(2020, 6, 30) - EPOCH).days, rows)
    frame = pl.DataFrame(
        {
            "document_received_on": received.astype(np.int32),
            "submitted": chance.random(rows) < 0.75,
            "submitted_on": (received + chance.integers(0, 30, rows)).astype(np.int32),
            "as_of": (received + chance.integers(0, 60, rows)).astype(np.int32),
        }
    )
    return frame.with_columns(pl.when("submitted").then("submitted_on").alias("submitted_on"))


@lru_cache(maxsize=1)
def working_table() -> tuple[int, list[bool]]:
    """The first day of 2018 and, for each day to the end of 2021, whether it is a working day."""
    from chinese_calendar import is_workday

    start, end = date(2018, 1, 1), date(2021, 12, 31)
    days = [is_workday(start + timedelta(days=place)) for place in range((end - start).days + 1)]
    return (start - EPOCH).days, days


def _deadlines_oracle(rows: Sequence[Row]) -> dict[str, list[Any]]:
    base, working = working_table()
    statuses, due_dates, late = [], [], []
    for row in rows:
        day, left = row["document_received_on"], 5
        while left:
            day += 1
            left -= working[day - base]
        due_dates.append(day)
        end = row["submitted_on"] if row["submitted"] else row["as_of"]
        statuses.append((0 if end <= day else 1) if row["submitted"] else (2 if end <= day else 3))
        late.append(sum(working[step - base] for step in range(day + 1, end + 1)) if end > day else None)
    return {"status": statuses, "due_date": due_dates, "workdays_over": late}


WORKLOADS = {
    one.name: one
    for one in (
        Workload(
            "budget",
            "Budget cut",
            "fiscal.budget_cut.fundraising_shortfall",
            ("status", "rate", "amount"),
            _budget,
            _budget_oracle,
            ("not_applicable", "triggered", "not_triggered"),
            ("不适用", "应予处理", "不予处理"),
            "raised_amount",
        ),
        Workload(
            "rewards",
            "Highest only per firm and year",
            "construction.grade.promotion_reward",
            ("award", "paid"),
            _rewards,
            _rewards_oracle,
        ),
        Workload(
            "growth",
            "Sales growth subsidy",
            "enterprise.sales_promotion.subsidy",
            ("status", "amount"),
            _growth,
            _growth_oracle,
            ("eligible", "ineligible"),
            ("符合条件", "不符合条件"),
        ),
        Workload(
            "deadlines",
            "Working-day deadlines",
            "fiscal.special_fund.specified_5wd",
            ("status", "due_date", "workdays_over"),
            _deadlines,
            _deadlines_oracle,
            ("on_time", "late", "pending", "overdue"),
            ("按时完成", "逾期完成", "未到期", "已逾期未完成"),
        ),
    )
}


def table(workload: Workload, rows: int) -> pl.DataFrame:
    """The rows of a workload, always the same for the same size."""
    import numpy as np

    return workload.generate(np.random.default_rng([SEED, rows]), rows)

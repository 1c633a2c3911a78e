"""The workloads written by hand for Polars (`by_hand`), DuckDB, NumPy and pandas, as somebody who knows them would.

Each `prepare_*` takes the table and gives a function that returns the outputs, null or None where
there is no value. Dates are day numbers; working days are looked up by position.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import polars as pl

from benchmarks import by_hand
from benchmarks.workloads import REWARDS, Workload

Run = Callable[[], dict[str, Any]]


@lru_cache(maxsize=1)
def calendar() -> tuple[int, np.ndarray, np.ndarray]:
    """The first day, working days up to each day, and the day number of each working day."""
    base, passed, working = by_hand.calendar()
    return base, passed.to_numpy(), working.to_numpy()


# Polars


def prepare_polars(workload: Workload, frame: pl.DataFrame, engine: Literal["in-memory", "streaming"]) -> Run:
    """Expressions over the table, by one of Polars' engines."""
    plan = by_hand.query(workload, frame.lazy())

    def run() -> dict[str, Any]:
        found = plan.collect(engine=engine)
        return {name: found.get_column(name) for name in workload.outputs}

    return run


# DuckDB

_DUCKDB = {
    "budget": """
        SELECT CASE WHEN NOT has_task OR task_amount <= 0 THEN 0 WHEN rate > 0 THEN 1 WHEN rate = 0 THEN 2 END
            AS status, rate, (next_year_public_funds * rate + 50) // 100 AS amount FROM (
            SELECT *, CASE
                WHEN NOT has_task OR task_amount <= 0 OR raised_amount IS NULL THEN NULL
                WHEN raised_amount * 100 < task_amount * 85 THEN 10
                WHEN raised_amount * 100 < task_amount * 90 THEN 8
                WHEN raised_amount * 100 < task_amount * 95 THEN 5
                WHEN raised_amount * 100 < task_amount * 100 THEN 3 ELSE 0 END AS rate FROM facts) ORDER BY row""",
    "rewards": """
        SELECT award, CASE WHEN award * 268435456 - row = max(award * 268435456 - row) OVER (PARTITION BY firm, year)
            THEN award ELSE 0 END AS paid FROM (
            SELECT row, firm, year, CASE WHEN registered AND first
                THEN list_extract([{rewards}], promotion + 1)::BIGINT ELSE 0 END AS award FROM facts) ORDER BY row""",
    "growth": """
        SELECT CASE WHEN holds THEN 0 ELSE 1 END AS status, CASE WHEN holds THEN
            CASE WHEN strategic_emerging THEN least(((now - before) * 3 + 500) // 1000, 60000000)
                ELSE least(((now - before) * 2 + 500) // 1000, 50000000) END ELSE 0 END AS amount FROM (
            SELECT *, main_revenue_previous AS before, main_revenue_current AS now,
                above_scale_industrial AND main_revenue_current * 100 >= main_revenue_previous * 115
                AND main_revenue_current - main_revenue_previous > 500000000 AS holds FROM facts) ORDER BY row""",
    "deadlines": """
        SELECT CASE WHEN submitted THEN CASE WHEN stop > due_date THEN 1 ELSE 0 END
            ELSE CASE WHEN stop > due_date THEN 3 ELSE 2 END END AS status, due_date, CASE WHEN stop > due_date THEN
            list_extract(getvariable('passed'), stop - {base} + 1)
            - list_extract(getvariable('passed'), due_date - {base} + 1) END AS workdays_over FROM (
            SELECT row, submitted, CASE WHEN submitted THEN submitted_on ELSE as_of END AS stop,
                list_extract(getvariable('days'),
                    list_extract(getvariable('passed'), document_received_on - {base} + 1) + 5) AS due_date
            FROM facts) ORDER BY row""",
}


def prepare_duckdb(workload: Workload, frame: pl.DataFrame) -> Run:
    import duckdb

    connection = duckdb.connect()
    base, passed, working = calendar()
    connection.execute(f"SET VARIABLE passed = {passed.tolist()}")
    connection.execute(f"SET VARIABLE days = {working.tolist()}")
    arrow = frame.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64)).to_arrow()
    connection.register("arrow", arrow)
    connection.execute("CREATE TABLE facts AS SELECT * FROM arrow")
    text = _DUCKDB[workload.name].format(rewards=", ".join(map(str, REWARDS)), base=base)

    def run() -> dict[str, Any]:
        found = connection.sql(text).to_arrow_table()
        return {name: pl.Series(found.column(name)) for name in workload.outputs}

    return run


# NumPy


def prepare_numpy(workload: Workload, frame: pl.DataFrame) -> Run:
    columns = {
        name: frame.get_column(name).fill_null(0 if kind.is_integer() else False).to_numpy()
        for name, kind in frame.schema.items()
    }
    nulls = {name: frame.get_column(name).is_null().to_numpy() for name in frame.columns}
    return lambda: _numpy(workload, columns, nulls)


def _numpy(workload: Workload, c: dict[str, np.ndarray], nulls: dict[str, np.ndarray]) -> dict[str, Any]:
    match workload.name:
        case "budget":
            raised, task = c["raised_amount"] * 100, c["task_amount"]
            rate = np.select(
                [raised < task * 85, raised < task * 90, raised < task * 95, raised < task * 100], [10, 8, 5, 3], 0
            )
            amount = (c["next_year_public_funds"] * rate + 50) // 100
            none = ~c["has_task"] | (task <= 0) | nulls["raised_amount"]
            inert = ~c["has_task"] | (task <= 0)
            status = np.where(inert, 0, np.where(rate > 0, 1, 2))
            return {
                "status": np.ma.masked_array(status, none & ~inert),
                "rate": np.ma.masked_array(rate, none),
                "amount": np.ma.masked_array(amount, none),
            }
        case "rewards":
            award = np.array(REWARDS)[c["promotion"]] * (c["registered"] & c["first"])
            key = c["firm"] * 10_000 + c["year"]
            order = np.lexsort((np.arange(len(key)), -award, key))
            first = np.ones(len(key), bool)
            first[1:] = key[order][1:] != key[order][:-1]
            paid = award.copy()
            paid[order[~first]] = 0
            return {"award": award, "paid": paid}
        case "growth":
            before, now, strategic = c["main_revenue_previous"], c["main_revenue_current"], c["strategic_emerging"]
            more = now - before
            subsidy = np.minimum(
                (more * np.where(strategic, 3, 2) + 500) // 1000, np.where(strategic, 60_000_000, 50_000_000)
            )
            holds = c["above_scale_industrial"] & (now * 100 >= before * 115) & (more > 500_000_000)
            return {"status": np.where(holds, 0, 1), "amount": np.where(holds, subsidy, 0)}
    base, passed, working = calendar()
    due = working[passed[c["document_received_on"] - base] + 4]
    end = np.where(c["submitted"], c["submitted_on"], c["as_of"])
    over = passed[end - base] - passed[due - base]
    late = end > due
    return {
        "status": np.where(c["submitted"], late, late + 2),
        "due_date": due,
        "workdays_over": np.ma.masked_array(over, ~late),
    }


# pandas


def prepare_pandas(workload: Workload, frame: pl.DataFrame) -> Run:
    import pandas as pd

    table = pd.DataFrame(
        {
            name: frame.get_column(name).to_pandas()
            if frame.get_column(name).null_count() == 0
            else pd.array(frame.get_column(name).to_list(), dtype="Int64")
            for name in frame.columns
        }
    )

    def run() -> dict[str, Any]:
        if workload.name == "rewards":
            award = pd.Series(np.array(REWARDS)[table["promotion"]]) * (table["registered"] & table["first"])
            best = award.groupby([table["firm"], table["year"]]).idxmax()
            paid = pd.Series(0, index=table.index)
            paid.iloc[best.to_numpy()] = award.iloc[best.to_numpy()]
            return {"award": award.to_numpy(), "paid": paid.to_numpy()}
        columns = {name: table[name].fillna(0).to_numpy() for name in table.columns}
        nulls = {name: table[name].isna().to_numpy() for name in table.columns}
        return _numpy(workload, columns, nulls)

    return run

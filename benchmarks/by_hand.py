"""The workloads written by hand for Polars, as somebody who knows it would: over a frame, and from CSV to CSV.

`python -m benchmarks.by_hand WORKLOAD SOURCE TARGET [--checked]` is such a program, which loads nothing but
Polars; it prints the seconds from the first look at the file to the last byte written. Without `--checked` it
takes every cell to be right; with it each cell is checked, as a batch must, and rows with a bad one are listed apart.
"""

from __future__ import annotations

import sys
import time
from functools import lru_cache
from pathlib import Path

import polars as pl

from benchmarks.workloads import REWARDS, WORKLOADS, Workload, working_table

MONEY, YES_NO, DAY = pl.Decimal(38, 2), pl.Boolean(), pl.Date()
COLUMNS: dict[str, dict[str, pl.DataType]] = {
    "budget": {"has_task": YES_NO} | dict.fromkeys(("task_amount", "raised_amount", "next_year_public_funds"), MONEY),
    "growth": dict.fromkeys(("above_scale_industrial", "strategic_emerging"), YES_NO)
    | dict.fromkeys(("main_revenue_previous", "main_revenue_current"), MONEY),
    "deadlines": {"document_received_on": DAY, "submitted": YES_NO, "submitted_on": DAY, "as_of": DAY},
}
"""The cells of each file behind the row's name: yuan with two decimals, 是 or 否, ISO dates."""
NAME = "单位"


@lru_cache(maxsize=1)
def calendar() -> tuple[int, pl.Series, pl.Series]:
    """The first day, working days up to each day, and the day number of each working day."""
    base, working = working_table()
    days = pl.Series(working)
    return base, days.cum_sum().cast(pl.Int32), days.arg_true().cast(pl.Int32) + base


def query(workload: Workload, frame: pl.LazyFrame, keep: tuple[str, ...] = ()) -> pl.LazyFrame:
    """The workload's outputs, with the columns of `keep` passed on."""
    c = pl.col
    match workload.name:
        case "budget":
            raised, task = c("raised_amount") * 100, c("task_amount")
            rate = (
                pl.when(~c("has_task") | (task <= 0) | c("raised_amount").is_null())
                .then(None)
                .when(raised < task * 85)
                .then(10)
                .when(raised < task * 90)
                .then(8)
                .when(raised < task * 95)
                .then(5)
                .when(raised < task * 100)
                .then(3)
                .otherwise(0)
            )
            status = (
                pl.when(~c("has_task") | (c("task_amount") <= 0))
                .then(0)
                .when(c("rate") > 0)
                .then(1)
                .when(c("rate") == 0)
                .then(2)
            )
            return frame.with_columns(rate.cast(pl.Int64).alias("rate")).select(
                *keep,
                status.alias("status"),
                "rate",
                ((c("next_year_public_funds") * c("rate") + 50) // 100).alias("amount"),
            )
        case "rewards":
            award = (
                pl.when(c("registered") & c("first"))
                .then(pl.lit(pl.Series(REWARDS, dtype=pl.Int64)).gather(c("promotion")))
                .otherwise(0)
            )
            numbered = frame.select("firm", "year", award.alias("award")).with_row_index("row")
            # The greatest award and, among equals, the first row, in one number.
            score = c("award") * 2**28 - c("row").cast(pl.Int64)
            best = numbered.group_by("firm", "year").agg(score.max().alias("best"))
            joined = numbered.join(best, on=["firm", "year"], how="left", maintain_order="left")
            return joined.select("award", pl.when(score == c("best")).then(c("award")).otherwise(0).alias("paid"))
        case "growth":
            before, now = c("main_revenue_previous"), c("main_revenue_current")
            more, strategic = now - before, c("strategic_emerging")
            subsidy = pl.min_horizontal(
                (more * pl.when(strategic).then(3).otherwise(2) + 500) // 1000,
                pl.when(strategic).then(60_000_000).otherwise(50_000_000),
            )
            holds = c("above_scale_industrial") & (now * 100 >= before * 115) & (more > 500_000_000)
            return frame.with_columns(holds.alias("holds")).select(
                *keep,
                pl.when("holds").then(0).otherwise(1).alias("status"),
                pl.when("holds").then(subsidy).otherwise(0).alias("amount"),
            )
    base, passed, working = calendar()
    passed_by, days = pl.lit(passed), pl.lit(working)
    due = days.gather(passed_by.gather(c("document_received_on") - base) + 4)
    end = pl.when("submitted").then("submitted_on").otherwise("as_of")
    over = passed_by.gather(c("end") - base) - passed_by.gather(c("due_date") - base)
    late = c("end") > c("due_date")
    status = pl.when("submitted").then(pl.when(late).then(1).otherwise(0)).otherwise(pl.when(late).then(3).otherwise(2))
    return frame.select(*keep, "submitted", due.alias("due_date"), end.alias("end")).select(
        *keep, status.alias("status"), "due_date", pl.when(late).then(over).alias("workdays_over")
    )


def run(workload: Workload, source: Path, target: Path) -> None:
    """Scan, compute, sink: the columns of Hegui's result from cells that are taken to be right."""
    columns = COLUMNS[workload.name]
    types = {name: pl.String() if kind == YES_NO else kind for name, kind in columns.items()}
    scan = pl.scan_csv(source, has_header=False, skip_rows=1, schema={NAME: pl.String(), **types})
    typed = [
        pl.col(name).reinterpret(dtype=pl.Int128).cast(pl.Int64)
        if kind == MONEY
        else pl.col(name) == "是"
        if kind == YES_NO
        else pl.col(name).cast(pl.Int32)
        for name, kind in columns.items()
    ]
    _shown(workload, scan.with_row_index("row", 2).with_columns(typed)).sink_csv(target)


def run_checked(workload: Workload, source: Path, target: Path) -> None:
    """The same with what a batch may not leave out: each cell checked, rows with a bad one listed apart."""
    columns = COLUMNS[workload.name]
    texts = dict.fromkeys((NAME, *columns), pl.String())
    scan = pl.scan_csv(source, has_header=False, skip_rows=1, schema=texts).with_row_index("row", 2)
    checks, typed = [], []
    for name, kind in columns.items():
        cell = pl.col(name)
        if kind == MONEY:
            checks.append(cell.str.contains(r"^[0-9]{1,16}(?:\.[0-9]{1,2})?$"))
            typed.append(cell.cast(MONEY, strict=False).reinterpret(dtype=pl.Int128).cast(pl.Int64))
        elif kind == YES_NO:
            checks.append(cell.is_in(["是", "否"]))
            typed.append(cell == "是")
        else:
            day = cell.str.to_date("%Y-%m-%d", strict=False)
            checks.append(cell.is_null() | (cell.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$") & day.is_not_null()))
            typed.append(day.cast(pl.Int32))
    checked = scan.with_columns(pl.all_horizontal(one.fill_null(True) for one in checks).alias("#right"))
    good = _shown(workload, checked.filter("#right").with_columns(typed)).sink_csv(target, lazy=True)
    refused = checked.filter(~pl.col("#right")).drop("#right").sink_csv(target.with_suffix(".refused.csv"), lazy=True)
    pl.collect_all([good, refused], engine="streaming")


def _shown(workload: Workload, typed: pl.LazyFrame) -> pl.LazyFrame:
    """The result's columns from the workload's typed ones, with `row` and `单位` beside them."""
    found = query(workload, typed, ("row", NAME))
    shown = {"due_date": pl.Date(), "amount": pl.Decimal(38, 2)}
    outputs = [
        pl.col(name).cast(pl.Int128).reinterpret(dtype=pl.Decimal(38, 2))
        if name == "amount"
        else pl.col(name).cast(shown.get(name, pl.Int64()))
        for name in workload.outputs
        if name != "status"
    ]
    place, lacking = pl.col("status").cast(pl.UInt32), pl.lit(workload.lacking, dtype=pl.String)
    status, label = (pl.lit(pl.Series(words)).gather(place) for words in (workload.statuses, workload.labels))
    return found.select(
        "row",
        pl.col(NAME).alias("subject"),
        pl.lit(workload.provision).alias("provision"),
        status.fill_null("undetermined").alias("status"),
        label.fill_null("无法判定").alias("status_label"),
        *outputs,
        pl.when(pl.col("status").is_null()).then(lacking).alias("missing"),
    )


def main() -> None:
    workload, source, target = WORKLOADS[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3])
    start = time.perf_counter()
    (run_checked if "--checked" in sys.argv else run)(workload, source, target)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()

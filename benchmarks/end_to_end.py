"""From file to file: `hegui batch` beside the same result written by hand, each in a process of its own.

`python -m benchmarks.end_to_end PEER WORKLOAD ROWS FOLDER` prints one line of JSON; PEER is `hegui`,
`polars` (takes every cell to be right), `polars-checked` (checks each cell and lists the rows that are
refused, as a batch must), or for a workbook `hegui-xlsx` and `floor-xlsx` (reading and writing alone);
`input` and `input-xlsx` only write what the others read, so that its memory is not counted with theirs.
With `-quoted` behind it a peer reads the same table with quotes around texts and days, as some programs write it.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import date
from functools import lru_cache
from pathlib import Path

import polars as pl

from benchmarks.column_peers import polars_query
from benchmarks.workloads import AS_OF, EPOCH, WORKLOADS, Workload, table

YES_NO = {"true": True, "false": False}


PART = 10_000_000
"""Rows of an input made at a time; larger ones hold the same part again and again."""


def write_input(workload: Workload, rows: int, path: Path, quoted: bool = False) -> None:
    """The workload's table as an officer's CSV: yuan with two decimals, ISO dates, 是 and 否."""
    written = 0
    with path.open("wb") as file:
        while written < rows:
            count = min(PART, rows - written)
            _as_written(workload, count).write_csv(
                file, include_header=not written, quote_style="non_numeric" if quoted else "necessary"
            )
            written += count


@lru_cache(maxsize=1)
def _as_written(workload: Workload, rows: int) -> pl.DataFrame:
    frame = table(workload, rows)
    money = [name for name in frame.columns if is_money(name)]
    days = [name for name in frame.columns if name.endswith("_on") or name == "as_of"]
    columns = [pl.col(name).cast(pl.Int128).reinterpret(dtype=pl.Decimal(38, 2)) for name in money]
    columns += [pl.col(name).cast(pl.Int32).cast(pl.Date) for name in days]
    columns += [
        pl.when(pl.col(name)).then(pl.lit("是")).otherwise(pl.lit("否")).alias(name)
        for name, kind in frame.schema.items()
        if kind == pl.Boolean()
    ]
    named = pl.format("单位{}", pl.int_range(rows) % 10_000).alias("单位")
    return frame.with_columns(columns).select(
        named, *(pl.col(name).alias(f"{name}(元)" if name in money else name) for name in frame.columns)
    )


def run_hegui(workload: Workload, source: Path, target: Path) -> float:
    """As the command does it; the seconds until it looks at the file: modules imported, pack and provision loaded."""
    start = time.perf_counter()
    from engine.load import load_pack
    from facts.batch import Batch, Options

    batch = Batch(load_pack("chuxiong_2019"), Options((workload.provision,), as_of=AS_OF))
    ready = time.perf_counter() - start
    batch.run(source, target, None)
    batch.close()
    return ready


def run_polars(workload: Workload, source: Path, target: Path) -> None:
    """Scan, compute, sink: the columns of Hegui's result, by hand, from cells that are taken to be right."""
    kinds: dict[str, pl.DataType] = {"单位": pl.String()}
    for name, kind in table(workload, 10).schema.items():
        kinds[name] = pl.Decimal(38, 2) if is_money(name) else pl.String() if kind == pl.Boolean() else pl.Date()
    scan = pl.scan_csv(source, has_header=False, skip_rows=1, schema=kinds).with_row_index("row", 2)
    typed = [
        pl.col(name).reinterpret(dtype=pl.Int128).cast(pl.Int64)
        if isinstance(kind, pl.Decimal)
        else pl.col(name) == "是"
        if kind == pl.String()
        else pl.col(name).cast(pl.Int32)
        for name, kind in kinds.items()
        if name != "单位"
    ]
    _shown(workload, scan.with_columns(typed)).sink_csv(target)


def run_polars_checked(workload: Workload, source: Path, target: Path) -> None:
    """The same with what a batch may not leave out: each cell checked, rows with a bad one listed apart."""
    schema = table(workload, 10).schema
    texts: dict[str, pl.DataType] = dict.fromkeys(("单位", *schema), pl.String())
    scan = pl.scan_csv(source, has_header=False, skip_rows=1, schema=texts).with_row_index("row", 2)
    checks, typed = [], []
    for name, kind in schema.items():
        cell = pl.col(name)
        if is_money(name):
            checks.append(cell.str.contains(r"^[0-9]{1,16}(?:\.[0-9]{1,2})?$"))
            typed.append(cell.cast(pl.Decimal(38, 2), strict=False).reinterpret(dtype=pl.Int128).cast(pl.Int64))
        elif kind == pl.Boolean():
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


def is_money(name: str) -> bool:
    return name.endswith(("amount", "funds", "previous", "current"))


def _shown(workload: Workload, typed: pl.LazyFrame) -> pl.LazyFrame:
    """The result's columns from the workload's typed ones, with `row` and `单位` beside them."""
    found = polars_query(workload, typed, ("row", "单位"))
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
        pl.col("单位").alias("subject"),
        pl.lit(workload.provision).alias("provision"),
        status.fill_null("undetermined").alias("status"),
        label.fill_null("无法判定").alias("status_label"),
        *outputs,
        pl.when(pl.col("status").is_null()).then(lacking).alias("missing"),
    )


def write_workbook(rows: int, path: Path) -> None:
    """Twelve columns with faults here and there, as a bureau submits them."""
    import xlsxwriter

    frame = table(WORKLOADS["budget"], rows)
    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        sheet = book.add_worksheet("部门")
        sheet.write_row(
            0,
            0,
            [
                "部门名称",
                "一级部门",
                "争取资金任务(万元)",
                "实际争取资金(万元)",
                "州级预算单位",
                "6月支出进度(%)",
                "9月支出进度(%)",
                "11月支出进度(%)",
                "下年度公用经费(万元)",
                "备注栏",
                "联系人",
                "电话",
            ],
        )
        for number, (has, task, raised, funds) in enumerate(frame.iter_rows(), 1):
            money = "缺" if number % 500 == 0 else task / 1_000_000
            done = "" if raised is None else raised / 1_000_000
            progress = [base + number % 3 for base in (50, 74, 91)]
            sheet.write_row(
                number,
                0,
                [
                    f"单位{number}",
                    "是" if has else "否",
                    money,
                    done,
                    "是",
                    *progress,
                    min(funds, 10**10) / 1_000_000,
                    "",
                    "张三",
                    "0878",
                ],
            )


def run_workbook(source: Path, target: Path) -> None:
    from engine.load import load_pack
    from facts.batch import Batch, Options

    batch = Batch(load_pack("chuxiong_2019"), Options((WORKLOADS["budget"].provision,), as_of=AS_OF))
    batch.run(source, target, target.with_suffix(".problems.csv"))
    batch.close()


def run_floor(source: Path, target: Path) -> None:
    """The same libraries reading and writing as many cells, and nothing else."""
    import python_calamine
    import xlsxwriter

    rows = python_calamine.CalamineWorkbook.from_path(str(source)).get_sheet_by_index(0).to_python()
    with xlsxwriter.Workbook(str(target), {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            for place, cell in enumerate(row[:7]):
                if isinstance(cell, float):
                    sheet.write_number(number, place, cell)
                else:
                    sheet.write_string(number, place, str(cell))


def main() -> None:
    asked, name, rows, folder = sys.argv[1], sys.argv[2], int(float(sys.argv[3])), Path(sys.argv[4])
    peer, quoted = asked.removesuffix("-quoted"), asked.endswith("-quoted")
    workload = WORKLOADS[name]
    book = peer.endswith("-xlsx")
    source = folder / f"{name}-{rows}{'-quoted' if quoted else ''}.{'xlsx' if book else 'csv'}"
    if not source.exists():
        write_workbook(rows, source) if book else write_input(workload, rows, source, quoted)
        if peer.startswith("input"):
            print(json.dumps({"peer": peer, "workload": name, "rows": rows}))
            return
    target = folder / f"{peer}.{'xlsx' if book else 'csv'}"
    ready = None
    start = time.perf_counter()
    match peer:
        case "hegui":
            ready = run_hegui(workload, source, target)
        case "polars":
            run_polars(workload, source, target)
        case "polars-checked":
            run_polars_checked(workload, source, target)
        case "hegui-xlsx":
            run_workbook(source, target)
        case _:
            run_floor(source, target)
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "peer": asked,
                "workload": name,
                "rows": rows,
                "median": seconds,
                "ready": ready,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "same": _same(folder, target) if peer.startswith("polars") else None,
            }
        )
    )


def _same(folder: Path, theirs: Path) -> bool | None:
    """Whether Hegui's file and the one by hand hold the same cells."""
    ours = folder / "hegui.csv"
    if not ours.exists() or ours.stat().st_size > 2 * 10**9:
        return None
    one, other = (pl.read_csv(path, infer_schema=False) for path in (ours, theirs))
    names = {f"{name}_percent": name for name in ("rate",)}
    return (
        one.rename({old: new for old, new in names.items() if old in one.columns})
        .select(sorted(other.columns))
        .equals(other.select(sorted(other.columns)))
    )


assert date(1970, 1, 1) == EPOCH, "day numbers count from 1970"

if __name__ == "__main__":
    main()

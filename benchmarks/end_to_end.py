"""From file to file: `hegui batch` beside a program written by hand, to a file that is not there yet.

`python -m benchmarks.end_to_end PEER WORKLOAD ROWS FOLDER` prints one line of JSON; PEER is `hegui`,
`polars` (takes every cell to be right), `polars-checked` (checks each cell and lists the rows that are
refused, as a batch must), or for a workbook `hegui-xlsx` and `floor-xlsx` (reading and writing alone, both
in this process); `input` and `input-xlsx` only write what the others read.
With `-quoted` behind it a peer reads the same table with quotes around texts and days, as some programs write it.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path

import polars as pl

from benchmarks import as_installed
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


def run_command(arguments: Sequence[str]) -> tuple[float, str]:
    """A whole program from its start to its end: seconds, and what it printed last."""
    root = Path(__file__).resolve().parent.parent
    command, environment = [sys.executable, "-m", *arguments], as_installed()
    start = time.perf_counter()
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, done.stdout + done.stderr


def run_hegui(workload: Workload, source: Path, target: Path) -> tuple[float, float]:
    """`hegui batch`: seconds in all, and from the first look at the file to the last byte written."""
    asked = ["--provision", workload.provision, "--as-of", AS_OF.isoformat()]
    seconds, printed = run_command(["cli", "--lang", "zh", "batch", str(source), "-o", str(target), *asked])
    rows, rate = (
        int(number.replace(",", "")) for number in re.findall(r"读入 (\d+) 行.*；([\d,]+) 行/秒", printed)[-1]
    )
    return seconds, rows / rate


def run_by_hand(workload: Workload, source: Path, target: Path, checked: bool) -> tuple[float, float]:
    """The same written by hand."""
    seconds, printed = run_command(
        ["benchmarks.by_hand", workload.name, str(source), str(target)] + ["--checked"] * checked
    )
    return seconds, float(printed)


def is_money(name: str) -> bool:
    return name.endswith(("amount", "funds", "previous", "current"))


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
    target.unlink(missing_ok=True)  # to remove an old file takes some time, on some disks
    match peer:
        case "hegui":
            seconds, work = run_hegui(workload, source, target)
        case "polars" | "polars-checked":
            seconds, work = run_by_hand(workload, source, target, checked=peer == "polars-checked")
        case _:
            start = time.perf_counter()
            (run_workbook if peer == "hegui-xlsx" else run_floor)(source, target)
            seconds = work = time.perf_counter() - start
    of = resource.RUSAGE_SELF if book else resource.RUSAGE_CHILDREN
    print(
        json.dumps(
            {
                "peer": asked,
                "workload": name,
                "rows": rows,
                "median": seconds,
                "work": work,
                "peak_mb": resource.getrusage(of).ru_maxrss // 1024,
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

"""No row differs: columnar engines against the exact oracle, and a CSV with odd and bad cells against what it says.

`python -m benchmarks.agreement --rows 1e6` prints, for each workload, the rows compared and those that
differ: from typed columns on each engine of `--engines`, and from a CSV in which one row in twenty has
a cell written otherwise (`1,234.50`, `12.5万元`, full-width digits, `2019年3月5日`), left out, said
to be unknown, out of bounds, or not readable at all. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tabulate import tabulate

from benchmarks.end_to_end import write_input
from benchmarks.measure import wrong
from benchmarks.workloads import AS_OF, EPOCH, SEED, WORKLOADS, Workload, table

WIDE = str.maketrans("0123456789.", "０１２３４５６７８９．")
ODD = 20
"""One row in so many has an odd cell."""

REJECTED = object()


def money(cell: str, kind: int) -> tuple[str, Any]:
    """An amount of the CSV written otherwise, and what it then says: fen, None where unknown, or `REJECTED`."""
    fen = int(cell.replace(".", ""))
    whole, cents = divmod(fen, 100)
    in_ten_thousands = f"{fen // 10**6}.{fen % 10**6:06d}万元"
    same = [f"{whole:,}.{cents:02d}", f"{cell}元", cell.translate(WIDE), f" {cell} ", in_ten_thousands]
    faults = ["未知", "", "缺", f"-{cell[0]}1.00", "1.2.3", "#REF!", "12e400"]
    if kind < len(same):
        return same[kind], fen
    text = faults[(kind - len(same)) % len(faults)]
    return text, None if text in ("未知", "") else REJECTED


def day(cell: str, kind: int) -> tuple[str, Any]:
    """A date of the CSV written otherwise, and the day number it then is."""
    when = date.fromisoformat(cell)
    same = [
        f"{when.year}年{when.month}月{when.day}日",
        f"{when.year}/{when.month}/{when.day}",
        f"{when:%Y%m%d}",
        f"{when.year}.{when.month}.{when.day}",
        f"{when:%Y-%m-%d} 00:00:00",
        cell.translate(WIDE),
    ]
    if kind < len(same):
        return same[kind], (when - EPOCH).days
    return ["2019-02-30", "明天", "2019-13-01"][kind % 3], REJECTED


def odd_rows(chance: np.random.Generator, source: Path, target: Path) -> Iterator[tuple[int, str, Any]]:
    """The CSV written anew with odd cells: row, fact and what the cell then says."""
    with source.open(encoding="utf-8", newline="") as old, target.open("w", encoding="utf-8", newline="") as new:
        rows, writer = csv.reader(old), csv.writer(new)
        heads = next(rows)
        writer.writerow(heads)
        names = [head.partition("(")[0] for head in heads]
        changed = ("amount", "funds", "previous", "current", "_on")
        places = [place for place, name in enumerate(names) if name.endswith(changed)]
        for number, row in enumerate(rows):
            if chance.random() < 1 / ODD:
                place = int(chance.choice(places))
                if row[place]:
                    change: Callable[[str, int], tuple[str, Any]] = day if names[place].endswith("_on") else money
                    row[place], value = change(row[place], int(chance.integers(0, 12)))
                    yield number, names[place], value
            writer.writerow(row)


def from_csv(workload: Workload, rows: int, folder: Path) -> tuple[int, int, int]:
    """Rows compared, rows that differ, and rows that were to be rejected, from a CSV with odd and bad cells."""
    from engine.load import load_pack
    from facts.batch import Batch, Options

    plain, source, target = folder / "plain.csv", folder / "odd.csv", folder / "out.csv"
    write_input(workload, rows, plain)
    frame = table(workload, rows)
    changed = list(odd_rows(np.random.default_rng([SEED, rows]), plain, source))
    plain.unlink()
    rejected = {number for number, _, value in changed if value is REJECTED}
    for name in frame.columns:
        own = [(number, value) for number, fact, value in changed if fact == name and value is not REJECTED]
        if own:
            frame = frame.with_columns(frame[name].scatter([one for one, _ in own], [value for _, value in own]))
    batch = Batch(load_pack("chuxiong_2019"), Options((workload.provision,), as_of=AS_OF))
    summary = batch.run(source, target, None)
    batch.close()
    found = pl.read_csv(target, infer_schema=False)
    kept = frame.with_row_index("#").filter(~pl.col("#").is_in(list(rejected)))
    lines = found.get_column("row").cast(pl.Int64) - 2
    if summary.rejected.total() != len(rejected) or not lines.equals(kept.get_column("#").cast(pl.Int64)):
        return rows, abs(summary.rejected.total() - len(rejected)) or rows, len(rejected)
    outputs = {name: _typed(found, name, workload) for name in workload.outputs}
    bad, _ = wrong(workload, kept.drop("#"), outputs, "hegui")
    return rows, bad, len(rejected)


def _typed(found: pl.DataFrame, name: str, workload: Workload) -> pl.Series:
    """A column of the result as the oracle states it."""
    cells = found.get_column({"rate": "rate_percent"}.get(name, name))
    if name == "status":
        return cells.replace_strict(
            [*workload.statuses, "undetermined"], [*range(len(workload.statuses)), None], return_dtype=pl.Int64
        )
    if name == "amount":
        return cells.str.replace(".", "", literal=True).cast(pl.Int64)
    if name == "due_date":
        return cells.str.to_date("%Y-%m-%d").cast(pl.Int32)
    return cells.cast(pl.Int64)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1e6")
    parser.add_argument("--engines", default="polars,duckdb")
    given = parser.parse_args(arguments)
    rows = int(float(given.rows))
    from benchmarks import hegui_runs

    lines = []
    for workload in WORKLOADS.values():
        frame = table(workload, rows)
        for engine in given.engines.split(","):
            bad, checked = wrong(workload, frame, hegui_runs.prepare(workload, frame, engine)(), "hegui")
            lines.append((workload.title, engine, f"{checked:,}", bad, ""))
        if workload.name != "rewards":
            with tempfile.TemporaryDirectory() as folder:
                compared, bad, rejected = from_csv(workload, rows, Path(folder))
            lines.append((workload.title, "CSV with odd and bad cells", f"{compared:,}", bad, f"{rejected:,}"))
        print(*lines[-1], file=sys.stderr, flush=True)
    heads = ("workload", "engine", "rows compared", "differ", "rejected, as they should be")
    print(tabulate(lines, heads, tablefmt="github"))
    return 1 if any(line[3] for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())

"""The measurements as the page docs/performance.md. Ratios first: absolute times are one machine's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from typing import Any

from benchmarks.other_peers import asked_of
from benchmarks.workloads import WORKLOADS

Results = Sequence[Mapping[str, Any]]
_PACKAGES = ("polars", "duckdb", "sqlglot", "numpy", "pandas", "pyspark")

INTRODUCTION = """# Performance of batches

Written by `python -m benchmarks.scale --write docs/performance.md`; do not edit by hand.

Machine: {machine}. Versions: {versions}.
Seed {seed}. Arguments: `{arguments}`.
{load}Compare within a table, not across pages.

Four workloads over boundary-heavy rows (a fifth to a third of them on a threshold or one fen beside it, unknowns
included); every peer's answers are held against an exact oracle in the same run ("wrong": rows that differ of those
checked).

| claim | command |
|---|---|
| speed and memory beside the peers, in memory and from file to file | `python -m benchmarks.scale` |
| one peer, one workload, one size | `python -m benchmarks.measure hegui-polars budget 1e6 5` |
| from CSV to CSV | `python -m benchmarks.end_to_end hegui budget 1e7 /tmp` |
| a workbook beside reading and writing alone | `python -m benchmarks.end_to_end hegui-xlsx budget 1e5 /tmp` |
| a million rows a workload: no row differs from the exact oracle on Polars, DuckDB and Spark (needs `java`), nor \
from a CSV with odd and bad cells | `python -m benchmarks.agreement --rows 1e6 --engines polars,duckdb,spark` |
| 20,000 rows a provision: no mismatch between the reference and an engine | `pytest -m long tests/test_columnar.py` |
| ten million rows on 2 cores in 4 GB, with a progress bar | `python -m benchmarks.end_to_end input growth 1e7 /tmp; \
(ulimit -v 4194304; hegui batch /tmp/growth-10000000.csv -o /tmp/out.csv --as-of 2019-12-31 \
--provision enterprise.sales_promotion.subsidy)` |
| a hundred million rows in the same memory | `python -m benchmarks.end_to_end input growth 1e8 /tmp; \
python -m benchmarks.end_to_end hegui growth 1e8 /tmp` |
| group rules over related files in bounded memory | `python -m benchmarks.group_memory 4e6 512MB` |
| the example with deliberate faults: each named with its cell, nothing lost | `hegui batch \
rules/chuxiong_2019/examples/departments_faulty.xlsx -o /tmp/out.xlsx --as-of 2019-12-31 --annotate` |
| the same verdicts as cell by cell; `kill -9` leaves the earlier output; resume | `pytest tests/test_batch.py` |
"""


BESIDE = """Times beside hand-written Polars of the same row count, by the faster of its two engines (`polars`: in
memory, `polars-stream`: streaming, its default); above 1 is slower. Memory is the whole process at its peak.
`hegui-polars` and `hegui-duckdb` also name the facts that each undetermined row lacks, which no peer does.
`hegui-outcomes` is Hegui asked for outcomes alone, as the peers are; OpenFisca, PolicyEngine and the engines that
decide row by row cannot compare the rows of a firm, so beside them it is not asked to either. Peers take turns, and of
several passes the one with the best median counts, as the machine is not equally fast at all times. Passes: {passes}.
"""

BY_HAND = ("polars", "polars-stream")
"""The engines of the hand-written: the faster one counts."""
BOOK = 100_000
"""Rows of the workbook of which there is an aim."""


REMARKS = """What lies behind the figures:

- From CSV to CSV, Hegui proves of every cell that it can be read as it stands, lists what it refuses, adds up what it
  decided; the hand-written program takes every cell to be right. Beside one that checks its cells too the gap closes.
  Whole programs are timed, from the shell to the shell. The work alone, in brackets, is what they tell themselves: from
  the first look at the file to the last byte written. Before it both load Polars, and Hegui its modules, the pack and
  the provision, which is a good part of the whole at a million rows. Programs of one size take turns, and the best turn
  of each counts, over all runs whose arguments stand above; a single run may fall on the other side of a close aim.
- In memory Hegui also looks up whether days reach the calendar's end, and names the facts that would decide an
  undetermined row; where a block's rows lack the same ones throughout that costs little.
- OpenFisca and PolicyEngine answer in 32-bit floats, which is fast and wrong (below).
- zen-engine, rule-engine and durable-rules decide a row at a time; how far behind they are depends on the rule.
"""


def _aims(results: Results) -> str:
    """Each aim with what was measured from a million rows up, the least favourable of the workloads."""
    lines = ["| aim | measured | met |", "|---|---|---|"]

    def line(aim: str, found: Sequence[float], least: float | None, most: float | None = None, unit: str = "×") -> None:
        if found:
            met = all((least is None or one >= least) and (most is None or one <= most) for one in found)
            shown = (
                f"{min(found):,.2f}{unit} to {max(found):,.2f}{unit}" if len(found) > 1 else f"{found[0]:,.2f}{unit}"
            )
            lines.append(f"| {aim} | {shown} | {'yes' if met else 'no'} |")

    def ratios(peer: str, ours: str, rows: int, of: str = "median") -> list[float]:
        pairs = [[_quickest(results, peer=one, workload=name, rows=rows) for one in (ours, peer)] for name in WORKLOADS]
        return [float(their[of] / our[of]) for our, their in pairs if our and their]

    def in_memory(peers: Sequence[str], rows: int, named: bool = False) -> list[float]:
        found = []
        for name in WORKLOADS:
            ours = _at(results, "hegui-polars" if named else _counterpart(peers[0], name), name, rows)
            theirs = _fastest(results, peers, name, rows)
            found += [float(theirs["median"]) / float(ours["median"])] if ours and theirs else []
        return found

    for rows in sorted({one["rows"] for one in results if one.get("peer") == "hegui" and one["rows"] >= 10**6}):
        line(
            f"CSV to CSV, {rows:,} rows, whole programs: at least 0.85× the hand-written",
            ratios("polars", "hegui", rows),
            0.85,
        )
        line(
            "… beside one that checks its cells: at least 0.85×",
            ratios("polars-checked", "hegui", rows),
            0.85,
        )
        line("… the work alone: at least 0.85× the hand-written", ratios("polars", "hegui", rows, "work"), 0.85)
        more = [our - their for our, their in _peaks(results, rows)]
        line("… peak memory: at most 50 MB more than the hand-written", more, None, 50, " MB")
    book = ratios("hegui-xlsx", "floor-xlsx", BOOK)
    line(f"a workbook of {BOOK:,} rows × 12: at most 2× reading and writing alone", book, None, 2)
    for rows in sorted({one["rows"] for one in results if one.get("peer") == "hegui-polars" and one["rows"] >= 10**6}):
        line(f"in memory, {rows:,} rows, outcomes: at least 0.9× polars", in_memory(BY_HAND, rows), 0.9)
        line("… and the missing facts of each row named: at least 0.9× polars", in_memory(BY_HAND, rows, True), 0.9)
        for peer, least in (("policyengine", 3), ("openfisca", 10)):
            line(f"… outcomes: at least {least}× {peer}", in_memory([peer], rows), least)
    for peer in ("zen-engine", "durable-rules"):
        line(f"at least 500× {peer} row by row", _by_row_ratios(results, peer), 500)
    return "\n".join(lines) + "\n"


def _counterpart(peer: str, workload: str) -> str:
    """Hegui over the same question as a peer."""
    return "hegui-polars" if "paid" in asked_of(peer, WORKLOADS[workload]) else "hegui-outcomes"


def _at(results: Results, peer: str, workload: str, rows: int) -> Mapping[str, Any] | None:
    """A peer's measurement in memory."""
    return _best(results, peer=peer, workload=workload, rows=rows, files=None)


def _fastest(results: Results, peers: Sequence[str], workload: str, rows: int) -> Mapping[str, Any] | None:
    found = [one for peer in peers if (one := _at(results, peer, workload, rows)) is not None]
    return min(found, key=lambda one: one["median"], default=None)


def _peaks(results: Results, rows: int) -> list[tuple[float, float]]:
    """Peak memory of Hegui and of the hand-written, from file to file."""
    pairs = [
        [_best(results, peer=peer, workload=name, rows=rows, files=True) for peer in ("hegui", "polars")]
        for name in WORKLOADS
    ]
    return [(our["peak_mb"], their["peak_mb"]) for our, their in pairs if our and their]


def _by_row_ratios(results: Results, peer: str) -> list[float]:
    """How many times the rows a second of an engine that decides one at a time Hegui decides by columns."""
    found = []
    for one in results:
        if one.get("peer") == peer and "median" in one:
            ours = [
                r
                for r in results
                if r.get("peer") == _counterpart(peer, one["workload"])
                and r.get("workload") == one["workload"]
                and "median" in r
            ]
            if ours:
                most = max(ours, key=lambda r: r["rows"])
                found.append(most["rows"] / most["median"] / (one["rows"] / one["median"]))
    return found


def page(results: Results, machine: str, seed: int, arguments: str, loads: Sequence[float]) -> str:
    versions = ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name)))
    load = f"Load of the machine when it began: {', '.join(f'{one:.1f}' for one in loads)}. " if loads else ""
    parts = [INTRODUCTION.format(machine=machine, versions=versions, seed=seed, arguments=arguments, load=load)]
    parts += [
        "## Where the aims are met, and where not\n",
        _aims(results),
        REMARKS,
        "## From file to file\n",
        _files(results),
    ]
    passes = Counter(
        one["rows"]
        for one in results
        if "rows" in one and not one.get("files") and one["peer"] == "polars" and one["workload"] == "budget"
    )
    sizes = sorted(passes)
    shown = ", ".join(f"{passes[rows]} at {rows:,} rows" for rows in sizes)
    parts += ["## In memory\n", BESIDE.format(passes=shown)]
    for workload in WORKLOADS.values():
        parts += [f"### {workload.title}\n", _memory(results, workload.name, sizes)]
    parts += ["## One row at a time\n", _by_row(results)]
    parts += ["## Where others are wrong\n", _wrong(results)]
    failed = [one for one in results if "error" in one]
    if failed:
        parts.append("## Not measured\n")
        parts += [f"- {one['peer']}, {one['workload']}: {one['error']}" for one in failed]
    return "\n".join(parts) + "\n"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _best(results: Results, **wanted: Any) -> Mapping[str, Any] | None:
    found = [one for one in results if "median" in one and all(one.get(key) == value for key, value in wanted.items())]
    return min(found, key=lambda one: one["median"], default=None)


def _quickest(results: Results, **wanted: Any) -> dict[str, Any] | None:
    """The best times of some runs from file to file, the whole and the work alone, each of whichever run."""
    found = [one for one in results if "work" in one and all(one.get(key) == value for key, value in wanted.items())]
    best = min(found, key=lambda one: one["median"], default=None)
    return best and {**best, "work": min(one["work"] for one in found)}


def _files(results: Results) -> str:
    lines = [
        "| from → to | rows | Hegui | by hand | speed | by hand, checked | speed | peak | hand's | same |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for rows in sorted({one["rows"] for one in results if one.get("files") and "rows" in one}):
        for (name, workload), end in product(WORKLOADS.items(), ("", "-quoted")):
            found = {
                peer: one
                for peer in ("hegui", "polars", "polars-checked")
                if (one := _quickest(results, workload=name, rows=rows, peer=f"{peer}{end}"))
            }
            if len(found) == 3:
                ours, theirs, checked = found.values()
                title = workload.title.lower() + (", texts in quotes" if end else "")
                seconds = {peer: f"{one['median']:.2f} s ({one['work']:.2f})" for peer, one in found.items()}
                speeds = {
                    peer: f"{one['median'] / ours['median']:.2f}× ({one['work'] / ours['work']:.2f}×)"
                    for peer, one in found.items()
                }
                lines.append(
                    f"| CSV → CSV, {title} | {rows:,} | {seconds['hegui']} | {seconds['polars']} | {speeds['polars']} "
                    f"| {seconds['polars-checked']} | {speeds['polars-checked']} "
                    f"| {ours['peak_mb']} MB | {theirs['peak_mb']} MB "
                    f"| {'yes' if theirs['same'] and checked['same'] else 'no'} |"
                )
        ours = _best(results, files=True, peer="hegui-xlsx", rows=rows)
        floor = _best(results, files=True, peer="floor-xlsx", rows=rows)
        if ours and floor:
            lines.append(
                f"| workbook → workbook, beside reading and writing alone | {rows:,} | {ours['median']:.2f} s "
                f"| {floor['median']:.2f} s | {floor['median'] / ours['median']:.2f}× | | "
                f"| {ours['peak_mb']} MB | {floor['peak_mb']} MB | |"
            )
    return "\n".join(lines) + "\n"


def _memory(results: Results, name: str, sizes: Sequence[int]) -> str:
    peers = list(
        dict.fromkeys(
            one["peer"]
            for one in results
            if one.get("workload") == name and not one.get("files") and one.get("rows") in sizes
        )
    )
    lines = [
        "| peer | " + " | ".join(f"{rows:,} rows" for rows in sizes) + " | peak | wrong |",
        "|---|" + "---|" * (len(sizes) + 2),
    ]
    for peer in peers:
        cells, last = [], None
        for rows in sizes:
            own, base = _at(results, peer, name, rows), _fastest(results, BY_HAND, name, rows)
            if own is None or base is None:
                cells.append("")
                continue
            last = own
            cells.append(f"{own['median'] / base['median']:.2f}× ({own['median'] * 1000:,.1f} ms)")
        if last is not None:
            lines.append(f"| {peer} | " + " | ".join(cells) + f" | {last['peak_mb']} MB | {_share(last)} |")
    return "\n".join(lines) + "\n"


def _share(one: Mapping[str, Any]) -> str:
    return f"{one['wrong']:,} of {one['checked']:,}"


def _by_row(results: Results) -> str:
    lines = ["| engine | workload | rows a second | Hegui (columns) is faster by | wrong |", "|---|---|---|---|---|"]
    for one in results:
        if one.get("peer") in ("python", "rule-engine", "zen-engine", "durable-rules") and "median" in one:
            ours = max(
                (
                    r
                    for r in results
                    if r.get("peer") == _counterpart(one["peer"], one["workload"])
                    and r.get("workload") == one["workload"]
                    and "median" in r
                ),
                key=lambda r: r["rows"],
                default=None,
            )
            rate = one["rows"] / one["median"]
            faster = "" if ours is None else f"{ours['rows'] / ours['median'] / rate:,.0f}×"
            lines.append(f"| {one['peer']} | {one['workload']} | {rate:,.0f} | {faster} | {_share(one)} |")
    return "\n".join(lines) + "\n"


def _wrong(results: Results) -> str:
    lines = []
    for peer in ("openfisca", "policyengine", "zen-engine", "rule-engine", "durable-rules"):
        for one in results:
            if one.get("peer") == peer and one.get("wrong", 0) > 0:
                lines.append(f"- {peer}, {one['workload']}, {one['rows']:,} rows: {_share(one)} rows differ.")
    lines = list(dict.fromkeys(lines))  # the same in each pass
    lines.append(
        "\nOpenFisca and PolicyEngine keep amounts as 32-bit floats, which hold seven digits: beside a\n"
        "threshold they decide wrongly, and above 167,772 yuan an amount is no longer exact to the fen."
    )
    return "\n".join(lines) + "\n"

"""The measurements as the page docs/performance.md. Ratios first: absolute times are one machine's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.workloads import WORKLOADS

Results = Sequence[Mapping[str, Any]]
_PACKAGES = ("polars", "duckdb", "sqlglot", "numpy", "pandas", "pyspark")

INTRODUCTION = """# Performance of batches

Written by `python -m benchmarks.scale --write docs/performance.md`; do not edit by hand.

Machine: {machine}. Versions: {versions}.
Seed {seed}. Arguments: `{arguments}`.
Other programs ran on the machine at the time: compare within a table, not across pages.

Four workloads over boundary-heavy rows (a fifth to a third of them on a threshold or one fen beside it, unknowns
included); every peer's answers are held against an exact oracle in the same run ("wrong": rows that differ of those
checked). Hegui works out more than the peers: also which rows are undetermined and which facts would decide them.

| claim | command |
|---|---|
| speed and memory beside the peers, in memory and from file to file | `python -m benchmarks.scale` |
| one peer, one workload, one size | `python -m benchmarks.measure hegui-polars budget 1e6 5` |
| from CSV to CSV | `python -m benchmarks.end_to_end hegui budget 1e7 /tmp` |
| a workbook beside reading and writing alone | `python -m benchmarks.end_to_end hegui-xlsx budget 1e5 /tmp` |
| the same outcomes from Spark (needs `java`) | `pytest -m long tests/test_columnar.py -k spark` |
| no mismatch between the reference and each engine, 20,000 rows a provision | `pytest -m long tests/test_columnar.py` |
| the same verdicts as cell by cell; kill -9; resume | `pytest tests/test_batch.py` |
"""


BESIDE = """Times beside hand-written Polars (in-memory engine) of the same row count; above 1 is slower. Memory is the
whole process at its peak.
"""


AIMS = """- The same answers: no mismatch with the oracle here, nor with the reference on any provision of the pack.
- Memory of a CSV does not grow with its rows (compare the sizes below) and at 1e7 rows is below the hand-written.
- Speed from CSV to CSV falls short of the aim, 0.85 times the hand-written: every cell is checked before it is
  read, and starting (pack and plan) takes a third of a second.
- In memory, too, hand-written Polars is faster: it computes only its outputs. The figures are below.
- A workbook takes about twice the time of reading and writing alone.
- Row-at-a-time engines are 15 to 1,000 times slower than a column at a time; the aim of 500 holds only in part.
- Group rules run in memory in this version, on every engine; nothing of them is spilled to disk.
"""


def page(results: Results, machine: str, seed: int, arguments: str) -> str:
    versions = ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name)))
    parts = [INTRODUCTION.format(machine=machine, versions=versions, seed=seed, arguments=arguments)]
    parts += ["## Where the aims are met, and where not\n", AIMS, "## From file to file\n", _files(results)]
    parts += ["## In memory\n", BESIDE]
    sizes = sorted(
        {one["rows"] for one in results if "rows" in one and not one.get("files") and one["peer"] == "polars"}
    )
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


def _files(results: Results) -> str:
    lines = [
        "| from → to | rows | Hegui | by hand | speed of the hand-written | Hegui's peak | hand's peak | same |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rows in sorted({one["rows"] for one in results if one.get("files") and "rows" in one}):
        for name, workload in WORKLOADS.items():
            ours = _best(results, files=True, peer="hegui", workload=name, rows=rows)
            theirs = _best(results, files=True, peer="polars", workload=name, rows=rows)
            if ours and theirs:
                lines.append(
                    f"| CSV → CSV, {workload.title.lower()} | {rows:,} | {ours['median']:.2f} s "
                    f"| {theirs['median']:.2f} s "
                    f"| {theirs['median'] / ours['median']:.2f}× | {ours['peak_mb']} MB | {theirs['peak_mb']} MB "
                    f"| {'yes' if theirs['same'] else theirs['same']} |"
                )
        ours = _best(results, files=True, peer="hegui-xlsx", rows=rows)
        floor = _best(results, files=True, peer="floor-xlsx", rows=rows)
        if ours and floor:
            lines.append(
                f"| workbook → workbook, beside reading and writing alone | {rows:,} | {ours['median']:.2f} s "
                f"| {floor['median']:.2f} s | {floor['median'] / ours['median']:.2f}× | {ours['peak_mb']} MB "
                f"| {floor['peak_mb']} MB | |"
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
            own = _best(results, peer=peer, workload=name, rows=rows, files=None)
            base = _best(results, peer="polars", workload=name, rows=rows, files=None)
            if own is None or base is None:
                cells.append("")
                continue
            last = own
            cells.append(f"{own['median'] / base['median']:.2f}× ({own['median'] * 1000:,.1f} ms)")
        if last is not None:
            lines.append(f"| {peer} | " + " | ".join(cells) + f" | {last['peak_mb']} MB | {_share(last)} |")
    return "\n".join(lines) + "\n"


def _share(one: Mapping[str, Any]) -> str:
    return "not checked" if one["wrong"] < 0 else f"{one['wrong']:,} of {one['checked']:,}"


def _by_row(results: Results) -> str:
    lines = ["| engine | workload | rows a second | Hegui (columns) is faster by | wrong |", "|---|---|---|---|---|"]
    for one in results:
        if one.get("peer") in ("python", "rule-engine", "zen-engine", "durable-rules") and "median" in one:
            ours = max(
                (
                    r
                    for r in results
                    if r.get("peer") == "hegui-polars" and r.get("workload") == one["workload"] and "median" in r
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
    lines.append(
        "\nOpenFisca and PolicyEngine keep amounts as 32-bit floats, which hold seven digits: beside a\n"
        "threshold they decide wrongly, and above 167,772 yuan an amount is no longer exact to the fen."
    )
    return "\n".join(lines) + "\n"

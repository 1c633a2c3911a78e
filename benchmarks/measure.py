"""One peer on one workload in a process of its own: time, memory, and every answer held against the oracle.

`python -m benchmarks.measure PEER WORKLOAD ROWS ROUNDS` prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from benchmarks.workloads import WORKLOADS, Workload, table

CHECKED = 1_000_000
"""Rows held against the oracle."""


def prepare(peer: str, workload: Workload, frame: pl.DataFrame) -> Callable[[], dict[str, Any]]:
    from benchmarks import column_peers, other_peers

    match peer:
        case "hegui-polars" | "hegui-duckdb" | "hegui-outcomes":
            from benchmarks import hegui_runs

            engine = "duckdb" if peer == "hegui-duckdb" else "polars"
            return hegui_runs.prepare(workload, frame, engine, alone=peer == "hegui-outcomes")
        case "polars":
            return column_peers.prepare_polars(workload, frame, "in-memory")
        case "polars-stream":
            return column_peers.prepare_polars(workload, frame, "streaming")
        case "duckdb":
            return column_peers.prepare_duckdb(workload, frame)
        case "numpy":
            return column_peers.prepare_numpy(workload, frame)
        case "pandas":
            return column_peers.prepare_pandas(workload, frame)
        case "openfisca" | "policyengine":
            return other_peers.prepare_fisca(workload, frame, peer)
    return other_peers.prepare_rows(workload, frame, peer)


def wrong(workload: Workload, frame: pl.DataFrame, found: dict[str, Any], peer: str) -> tuple[int, int]:
    """How many of the checked rows differ from the oracle in any output, and how many were checked."""
    places = _checked(workload, frame)
    rows = frame[places]
    oracle = workload.oracle(rows.to_dicts())
    bad = np.zeros(rows.height, bool)
    for name, values in found.items():
        wanted = pl.Series(oracle[name], dtype=pl.Int64)
        got = _series(values)[places]
        if peer in ("openfisca", "policyengine"):  # they have no value for unknown
            wanted, got = wanted.fill_null(0), got.fill_null(0)
            if workload.name == "budget":
                known = rows.get_column("raised_amount").is_not_null()
                bad |= (~got.eq_missing(wanted) & known).to_numpy()
                continue
        bad |= (~got.eq_missing(wanted)).to_numpy()
    return int(bad.sum()), rows.height


def _checked(workload: Workload, frame: pl.DataFrame) -> pl.Series:
    """The places of about `CHECKED` rows: the first ones, or all rows of some firms where these are compared."""
    if frame.height <= CHECKED:
        return pl.int_range(frame.height, eager=True)
    if workload.name == "rewards":
        return (frame.get_column("firm") % -(-frame.height // CHECKED) == 0).arg_true()
    return pl.int_range(CHECKED, eager=True)


def _series(values: Any) -> pl.Series:
    if isinstance(values, pl.Series):
        return values.cast(pl.Int64)
    if isinstance(values, np.ma.MaskedArray):
        return (
            pl.DataFrame({"x": values.data, "none": np.ma.getmaskarray(values)})
            .select(pl.when(~pl.col("none")).then(pl.col("x")).cast(pl.Int64))
            .to_series()
        )
    if isinstance(values, np.ndarray):
        return pl.Series(values).cast(pl.Int64)
    return pl.Series(values, dtype=pl.Int64)


def main() -> None:
    peer, name, size, rounds = sys.argv[1], sys.argv[2], int(float(sys.argv[3])), int(sys.argv[4])
    workload = WORKLOADS[name]
    frame = table(workload, size)
    run = prepare(peer, workload, frame)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bad, checked = wrong(workload, frame, found, peer)
    timed = seconds[1:] if rounds > 1 else seconds[:1]
    print(
        json.dumps(
            {
                "peer": peer,
                "workload": name,
                "rows": size,
                "median": statistics.median(timed),
                "least": min(timed),
                "peak_mb": peak // 1024,
                "more_mb": (peak - before) // 1024,
                "wrong": bad,
                "checked": checked,
            }
        )
    )


if __name__ == "__main__":
    main()

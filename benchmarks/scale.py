"""Every benchmark of batches in one command: `python -m benchmarks.scale --write docs/performance.md`.

Each measurement is a process of its own, so that memory is that peer's. Peers that are not installed
under this interpreter are tried under `--peers-python`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks import as_installed
from benchmarks.report import page
from benchmarks.workloads import SEED, WORKLOADS

COLUMNS = ("hegui-outcomes", "hegui-polars", "hegui-duckdb", "polars", "polars-stream", "duckdb", "numpy", "pandas")
FRAMEWORKS = ("openfisca", "policyengine")
ROWS = ("python", "rule-engine", "zen-engine", "durable-rules")
ROW_LIMIT = 20_000
"""Rows for engines that decide one at a time: their time grows with the rows, so a rate says it all."""
FILE_ROUNDS, SHORT_ROUNDS = 4, 12
"""How often a peer goes from file to file, and how often where that is `SHORT` rows or fewer; the best counts."""
SHORT = 1_000_000
FILES = ("budget", "growth", "deadlines")
"""The workloads that go from file to file."""
TIMEOUT = 600


def measure(module: str, arguments: Sequence[str], python: str = sys.executable) -> dict[str, Any]:
    """One measurement, or why there is none."""
    root = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(
            [python, "-m", module, *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env=as_installed() | {"PYTHONPATH": str(root)},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"peer": arguments[0], "workload": arguments[1], "error": f"more than {TIMEOUT} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {
            "peer": arguments[0],
            "workload": arguments[1],
            "error": (done.stderr.strip().splitlines() or ["no output"])[-1][:120],
        }
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def plans(sizes: Sequence[int], rounds: int, passes: int) -> Iterator[tuple[str, list[str], bool]]:
    """What is measured in memory: module, arguments, and whether the peer may need another interpreter."""
    from benchmarks.other_peers import asked_of

    for rows, _ in product(sizes, range(passes)):
        for name, workload in WORKLOADS.items():
            for peer in COLUMNS:
                yield "benchmarks.measure", [peer, name, str(rows), str(rounds)], False
            for peer in FRAMEWORKS:
                if asked_of(peer, workload):
                    yield "benchmarks.measure", [peer, name, str(rows), str(rounds)], True
    for name, workload in WORKLOADS.items():
        for peer in ROWS if sizes else ():
            if asked_of(peer, workload):
                yield "benchmarks.measure", [peer, name, str(min(ROW_LIMIT, max(sizes))), "1"], peer != "durable-rules"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1e4,1e5,1e6")
    parser.add_argument("--files", default="1e5,1e6", help="sizes from file to file")
    parser.add_argument("--book", default="2e4", help="rows of the workbook")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--passes", type=int, default=3, help="turns of the peers in memory; the best counts")
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--results", type=Path, help="keep the measurements as JSON lines")
    parser.add_argument(
        "--from-results", type=Path, nargs="+", help="measure nothing, write the page from kept measurements"
    )
    given = parser.parse_args()
    found: list[dict[str, Any]] = []

    def note(result: dict[str, Any]) -> None:
        found.append(result)
        print(json.dumps(result), file=sys.stderr, flush=True)

    if given.from_results:
        for kept in given.from_results:
            found += [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    else:
        names = ("sizes", "files", "book", "rounds", "passes")
        asked = " ".join(f"--{name} {getattr(given, name) or repr('')}" for name in names)
        note({"asked": asked, "load": os.getloadavg()[0]})
        sizes = [int(float(size)) for size in given.sizes.split(",") if size]
        for module, arguments, other in plans(sizes, given.rounds, given.passes):
            note(measure(module, arguments, given.peers_python if other else sys.executable))
        if given.files:
            measure_files(given, note)
    if given.results:
        given.results.write_text("\n".join(json.dumps(one) for one in found) + "\n", encoding="utf-8")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    began = [one for one in found if "asked" in one]
    measured = [one for one in found if "asked" not in one]
    arguments, loads = "`, then `".join(one["asked"] for one in began), [one["load"] for one in began if "load" in one]
    text = page(measured, machine, SEED, arguments, loads)
    if given.write:
        given.write.write_text(text, encoding="utf-8")
    else:
        print(text)


def measure_files(given: argparse.Namespace, note: Callable[[dict[str, Any]], None]) -> None:
    """From file to file, in a folder of their own; those of a size take turns, so that all meet a slow spell."""
    programs = ("hegui", "polars", "polars-checked")
    sizes = sorted(given.files.split(","), key=float)
    turns = [(size, SHORT_ROUNDS if float(size) <= SHORT else FILE_ROUNDS, [("", programs, name) for name in FILES])
             for size in sizes]  # fmt: skip
    turns[0][2].append(("-quoted", programs, "budget"))
    turns.append((given.book, FILE_ROUNDS, [("-xlsx", ("floor", "hegui"), "budget")]))
    with tempfile.TemporaryDirectory() as folder:
        for size, rounds, goes in turns:
            for kind, _, name in goes:
                measure("benchmarks.end_to_end", [f"input{kind}", name, size, folder])
            for kind, peers, name in goes * rounds:
                for peer in peers:
                    note(measure("benchmarks.end_to_end", [peer + kind, name, size, folder]) | {"files": True})


if __name__ == "__main__":
    main()

"""Random provisions through every evaluator: how many evaluations, how many disagreements.

    python benchmarks/differential.py                          1,000,000 evaluations or 20 minutes
    python benchmarks/differential.py --evaluations 50000      a short run
    python benchmarks/differential.py --spark --seed 7 --seconds 600

Each disagreement is printed once by its kind, made as small as can be, as a line for
tests/data/regressions.txt. Exit code 1 where there is any, 3 where the time ran out first.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from time import perf_counter

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "tests")]

from differential import Disagreement, Tally, installed, minimal, regression_line, run  # noqa: E402  tests/ comes first


def kind_of(found: Disagreement) -> tuple[str, str, str]:
    """Disagreements that probably have one cause."""
    return found.evaluator, re.sub(r"\d+", "#", found.found.status[:40]), found.expected.status[:40]


def main() -> int:
    """Run, print the numbers, then every kind of disagreement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=1_000_000, help="stop after so many, over all evaluators")
    parser.add_argument("--seconds", type=float, default=1200, help="stop after so long")
    parser.add_argument("--rows", type=int, default=100, help="rows a provision")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--spark", action="store_true", help="Spark too, which is slow to ask")
    parser.add_argument("--only", default="", help="only these evaluators, with commas")
    given = parser.parse_args()
    evaluators = [one for one in installed(given.spark) if not given.only or one.name in given.only.split(",")]
    tally = Tally()
    began = perf_counter()
    seed = given.seed * 1_000_000
    while tally.evaluations.total() < given.evaluations and perf_counter() - began < given.seconds:
        run(range(seed, seed + 10), given.rows, evaluators, tally, began + given.seconds)
        seed += 10
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("polars", "duckdb", "pyspark") if _has(name))
    print(f"seed {given.seed}, {perf_counter() - began:.0f} s, Python {platform.python_version()}, {versions}")
    print(f"provisions: {tally.provisions}, refused by the loader: {tally.not_loaded.total()}")
    for name, number in tally.evaluations.items():
        differing = sum(one.evaluator == name for one in tally.disagreements)
        print(f"{name:10} {number:9} evaluations  {differing:5} disagreements  {tally.seconds[name]:7.1f} s")
    print(f"{'all':10} {tally.evaluations.total():9} evaluations  {len(tally.disagreements):5} disagreements")
    print("left out:", ", ".join(f"{why} ({number})" for why, number in tally.refused.most_common(8)) or "nothing")
    print("statuses:", ", ".join(f"{name} {number}" for name, number in tally.statuses.most_common()))
    kinds: dict[tuple[str, str, str], Disagreement] = {}
    for one in sorted(tally.disagreements, key=lambda one: len(str(one))):
        kinds.setdefault(kind_of(one), one)
    for one in kinds.values():
        smallest = minimal(one, evaluators)
        print(f"\n{smallest}\n{regression_line(smallest)}")
    if tally.evaluations.total() < given.evaluations:
        print(f"stopped after {given.seconds:.0f} s, before the {given.evaluations} evaluations asked for")
        return 3
    return 1 if tally.disagreements else 0


def _has(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())

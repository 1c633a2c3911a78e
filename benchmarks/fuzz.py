"""Fuzzing for as long as one likes: expressions, cells, rule packs, CSV, JSON, YAML, workbooks.

    python benchmarks/fuzz.py --minutes 60                 every target in turn
    python benchmarks/fuzz.py --target csv --minutes 10
    python benchmarks/fuzz.py --target json --guided       coverage-guided, where atheris is installed

Anything but a problem of ours is a crash, more than 5 seconds a hang, more than 500 MB a crash too.
Each is printed with the input that shows it, as Python bytes. Exit code 1 where there is any.
"""

from __future__ import annotations

import argparse
import resource
import signal
import subprocess
import sys
import traceback
import warnings
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

SECONDS = 5.0
MEGABYTES = 500


class Hang(BaseException):
    """Raised by the timer; not an Exception, so that nothing swallows it."""


def _alarm(*_: object) -> None:
    raise Hang


def fuzz(target: str, minutes: float, seed: int) -> int:
    """Mutate and run until the time is over; the number of different failures."""
    from fuzzing import TARGETS, Mutator, corpus

    run = TARGETS[target]
    for data in corpus(target):
        run(data)  # loads what is loaded once, outside the limits
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    limit = (held + MEGABYTES) << 20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    signal.signal(signal.SIGALRM, _alarm)
    warnings.simplefilter("error", SyntaxWarning)  # what Python has to say of a rule's text is not for its reader
    mutator, ran, slowest = Mutator(seed), 0, 0.0
    failures: dict[str, bytes] = {}
    until = perf_counter() + minutes * 60
    while perf_counter() < until:
        data = mutator.input(target)
        began = perf_counter()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            run(data)
        except (Exception, Hang) as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            frames = traceback.extract_tb(error.__traceback__)
            own = [
                f"{Path(f.filename).name}:{f.lineno}"
                for f in frames
                if "/engine/" in f.filename or "/facts/" in f.filename
            ]
            key = f"{type(error).__name__} at {own[-1] if own else frames[-1].filename}: {str(error)[:120]}"
            kind = key.partition(":")[0]
            if kind not in failures or len(data) < len(failures[kind]):
                if kind not in failures:
                    print(f"{target}: {key}", flush=True)
                failures[kind] = data
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, perf_counter() - began)
        ran += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        f"{target}: {ran} inputs in {minutes:g} min, seed {seed}, slowest {slowest:.2f} s, "
        f"peak {peak} MB ({held} MB before), {len(failures)} failures",
        flush=True,
    )
    for kind, data in failures.items():
        print(f"{target}: {kind}: {data[:2000]!r}{'…' if len(data) > 2000 else ''}")
    return len(failures)


def guided(target: str, minutes: float) -> None:
    """Coverage-guided, by atheris; it ends the process itself."""
    import atheris

    with atheris.instrument_imports(include=["engine", "facts"]):
        from fuzzing import TARGETS, corpus
    folder = Path("/tmp") / f"hegui-fuzz-{target}"
    folder.mkdir(exist_ok=True)
    for number, data in enumerate(corpus(target)):
        (folder / f"seed-{number}").write_bytes(data)
    options = [f"-max_total_time={int(minutes * 60)}", f"-timeout={int(SECONDS)}", f"-rss_limit_mb={MEGABYTES + 300}",
               "-max_len=20000", "-print_final_stats=1", str(folder)]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


def main() -> int:
    """Each target in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="")
    parser.add_argument("--minutes", type=float, default=60, help="over all targets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", action="store_true", help="coverage-guided (needs atheris)")
    given = parser.parse_args()
    if given.target:
        if given.guided:
            guided(given.target, given.minutes)
        return 1 if fuzz(given.target, given.minutes, given.seed) else 0
    from fuzzing import TARGETS

    failed = 0
    for target in TARGETS:
        command = [sys.executable, __file__, "--target", target, "--seed", str(given.seed)]
        command += ["--minutes", str(given.minutes / len(TARGETS)), *(["--guided"] if given.guided else [])]
        failed += subprocess.run(command, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

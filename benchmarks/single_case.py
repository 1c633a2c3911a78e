"""One case at a time: how long `hegui check one_case.yaml` takes, and one evaluation of one rule.

    python benchmarks/single_case.py [--markdown] [--seed N] [--rounds N] [--cases N] [--runs N]

Start: whole processes, `hegui check` of one case and `python -c "import pydantic"` in turn, each with
its bytecode cached as an installed program has it; wall time and processor time, medians; and what
the command imported, as the interpreter reports it.

Evaluation: the same three rules in Hegui and its peers (`single_peers`), over cases on the rules'
boundaries (`single_rules`), first all of them against an exact oracle, then timed: contenders take
turns within each round, every call is timed alone (the clock's own cost is printed, not taken off),
and the figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from single_peers import (  # noqa: E402
    Absent,
    Decide,
    Read,
    answer,
    by_hand,
    hegui_compiled,
    hegui_reference,
    hegui_traced,
    rule_engine,
    with_floats,
    zen_engine,
    zen_expression,
)
from single_rules import RULES, Answer, Facts, Rule, make_facts  # noqa: E402

from benchmarks import as_installed  # noqa: E402

COMPILED = "Hegui, compiled, no trace"
CASE = """\
provision: fiscal.budget_cut.fundraising_shortfall
as_of: 2019-12-31
inputs: {has_task: 是, task_amount: 1000万元, raised_amount: 849.999999万元, next_year_public_funds: 200万元}
"""
UNWANTED = (
    "polars", "pandas", "numpy", "duckdb", "pyarrow", "fastapi", "starlette", "uvicorn", "nicegui", "aiohttp",
    "flask", "django", "tornado", "pydantic", "openpyxl", "xlsxwriter", "python_calamine",
)  # fmt: skip
"""Column engines, web frameworks and workbook libraries: what one case must not load."""


# Start


@dataclass
class Timed:
    """One command's runs, in seconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def run(command: Sequence[str], env: dict[str, str], folder: Path, timed: Timed | None = None) -> None:
    """Run a command to its end. Errors: `SystemExit` where it fails (1 is Hegui's "something was cut")."""
    begin = time.perf_counter()
    child = subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    took = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit code {child.returncode}")
    if timed is not None:
        timed.wall.append(took)
        timed.cpu.append(usage.ru_utime + usage.ru_stime)


def imported(command: Sequence[str], env: dict[str, str], folder: Path) -> set[str]:
    """Every module a Python command imports, by the interpreter's own account."""
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], env=env, cwd=folder, capture_output=True, text=True
    )
    lines = (line.rpartition("|") for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {name.strip() for _, _, name in lines}


def measure_start(runs: int) -> dict[str, Any]:
    script = shutil.which("hegui", path=str(Path(sys.executable).parent))
    hegui = [sys.executable, script] if script else [sys.executable, "-m", "cli"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one_case.yaml").write_text(CASE, encoding="utf-8")
        env = as_installed() | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONUTF8": "1", "HEGUI_LANG": "en"}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), env.get("PYTHONPATH", "")]))
        commands = {
            "hegui check one_case.yaml": [*hegui, "check", "one_case.yaml"],
            'python -c "import pydantic"': [sys.executable, "-c", "import pydantic"],
            'python -c "from pydantic import BaseModel"': [sys.executable, "-c", "from pydantic import BaseModel"],
            "python -c pass": [sys.executable, "-c", "pass"],
        }
        for command in [*commands.values(), *commands.values()]:  # fills the caches
            run(command, env, folder)
        timed = {title: Timed() for title in commands}
        for number in range(runs):
            for title in _turned(list(commands), number):
                run(commands[title], env, folder, timed[title])
        modules = imported(commands["hegui check one_case.yaml"], env, folder)
    if "engine.outcome" not in modules:
        raise SystemExit("the list of imports lacks the engine itself; it proves nothing")
    top = {name.partition(".")[0] for name in modules}
    return {"timed": timed, "modules": len(modules), "unwanted": sorted(top & set(UNWANTED))}


# Evaluation


class Durable:
    """The process that runs durable-rules; asked over pipes, timed inside."""

    def __init__(self) -> None:
        self.child = subprocess.Popen(
            [sys.executable, str(HERE / "single_durable.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self.version = self.reply()["version"]
        except Absent:
            raise Absent("durable_rules is not installed, or its C module cannot be imported here") from None

    def reply(self) -> Any:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line:
            raise Absent(f"the process ended (exit code {self.child.wait()})")
        return json.loads(line)

    def ask(self, **request: Any) -> Any:
        assert self.child.stdin is not None
        try:
            self.child.stdin.write(json.dumps(request) + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise Absent(f"the process ended (exit code {self.child.wait()})") from None
        return self.reply()

    def close(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait()


@dataclass
class Contender:
    """One way to decide the cases: its answers, and a function that times them one by one."""

    title: str
    peer: bool
    answers: Callable[[Rule, list[Facts]], list[Answer]]
    times: Callable[[Rule, int], list[int]]
    version: str = ""
    absent: str = ""
    wrong: dict[str, int] = field(default_factory=dict)
    p50: dict[str, list[float]] = field(default_factory=dict)
    p99: dict[str, list[float]] = field(default_factory=dict)


def in_process(title: str, make: Callable[[Rule], tuple[Decide, Read, str]], peer: bool = False) -> Contender:
    made: dict[str, tuple[Decide, list[Facts]]] = {}

    def answers(rule: Rule, cases: list[Facts]) -> list[Answer]:
        decide, read, contender.version = make(rule)
        made[rule.name] = decide, cases
        return [read(decide(facts)) for facts in cases]

    def times(rule: Rule, count: int) -> list[int]:
        decide, cases = made[rule.name]
        clock, found = time.perf_counter_ns, []
        for facts in cases[:count]:
            begin = clock()
            decide(facts)
            found.append(clock() - begin)
        return found

    contender = Contender(title, peer, answers, times)
    return contender


def in_child(title: str, durable: Durable) -> Contender:
    return Contender(
        title,
        True,
        lambda rule, cases: [answer(*found) for found in durable.ask(rule=rule.name, cases=cases)],
        lambda rule, count: list(durable.ask(rule=rule.name, count=count)),
        durable.version,
    )


@contextmanager
def contenders() -> Iterator[list[Contender]]:
    from engine import load_pack

    pack = load_pack("chuxiong_2019")

    def hegui(make: Callable[[str, Any], tuple[Decide, Read]]) -> Callable[[Rule], tuple[Decide, Read, str]]:
        return lambda rule: (*make(rule.provision, pack), "")

    durable: Durable | None = None
    try:
        durable = Durable()
        chained = in_child("durable-rules, its own process", durable)
    except Absent as error:
        chained = Contender("durable-rules, its own process", True, lambda *_: [], lambda *_: [], absent=str(error))
    try:
        yield [
            in_process(COMPILED, hegui(hegui_compiled)),
            in_process("Hegui, reference, no trace", hegui(hegui_reference)),
            in_process("Hegui, trace and other readings", hegui(hegui_traced)),
            in_process("zen-engine, decision table", lambda rule: zen_engine(rule.name), peer=True),
            in_process("rule-engine, first match", lambda rule: rule_engine(rule.name), peer=True),
            chained,
            in_process("zen-engine, bare expression", lambda rule: zen_expression(rule.name)),
            in_process("Python by hand, whole numbers", lambda rule: (*by_hand(rule.name), "")),
            in_process("Python by hand, floats", lambda rule: (*with_floats(rule.name), "")),
        ]
    finally:
        if durable is not None:
            durable.close()


def measure_evaluation(seed: int, cases: int, timed: int, rounds: int) -> tuple[list[Contender], float]:
    with contenders() as everyone:
        for rule in RULES:
            facts = make_facts(rule, cases, seed)
            right = [rule.oracle(each) for each in facts]
            for contender in everyone:
                if contender.absent:
                    continue
                try:
                    found = contender.answers(rule, facts)
                except Absent as error:
                    contender.absent = str(error)
                    continue
                contender.wrong[rule.name] = sum(map(_differs, found, right))
        for rule in RULES:
            for number in range(rounds + 1):
                for contender in _turned(everyone, number):
                    if contender.absent:
                        continue
                    try:
                        times = sorted(contender.times(rule, timed))
                    except Absent as error:
                        contender.absent = str(error)
                        continue
                    if number:  # the first round warms up
                        contender.p50.setdefault(rule.name, []).append(times[len(times) // 2] / 1000)
                        contender.p99.setdefault(rule.name, []).append(times[len(times) * 99 // 100] / 1000)
    clock = time.perf_counter_ns
    empty = sorted(-(clock() - clock()) for _ in range(10_000))
    return everyone, empty[len(empty) // 2] / 1000


def _differs(found: Answer, right: Answer) -> bool:
    """Whether an answer is wrong; a rate the oracle does not state is not asked for."""
    return found != right if right[1] is not None else (found[0], found[2]) != (right[0], right[2])


def _turned(items: list[Any], number: int) -> list[Any]:
    """The items with another one first each time, so that no one always follows the same one."""
    start = number % len(items)
    return items[start:] + items[:start]


# Printing


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    if markdown:
        lines = ["| " + " | ".join(headers) + " |", "|---|" + "---:|" * (len(headers) - 1)]
        return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
    widths = [max(len(row[place]) for row in [headers, *rows]) for place in range(len(headers))]
    return "\n".join(
        "  ".join(text.ljust(width) if not place else text.rjust(width) for place, (text, width) in enumerate(line))
        for line in (list(zip(row, widths, strict=True)) for row in [headers, *rows])
    )


def start_report(found: dict[str, Any], runs: int, markdown: bool) -> str:
    timed: dict[str, Timed] = found["timed"]
    base = timed['python -c "import pydantic"']
    rows = [
        [
            f"`{title}`" if markdown else title,
            f"{median(one.wall) * 1000:.0f}",
            f"{median(one.cpu) * 1000:.0f}",
            f"{median(a / b for a, b in zip(one.wall, base.wall, strict=True)):.2f}",
            f"{median(a / b for a, b in zip(one.cpu, base.cpu, strict=True)):.2f}",
        ]
        for title, one in timed.items()
    ]
    headers = ["whole process", "wall ms", "processor ms", "wall ratio", "processor ratio"]
    unwanted = ", ".join(found["unwanted"])
    return "\n\n".join(
        [
            f"Start: {runs} runs of each in turn, medians; ratios to `import pydantic`, run by run.",
            table(headers, rows, markdown),
            f"`hegui check` imported {found['modules']} modules; of {', '.join(UNWANTED)}: {unwanted or 'none'}.",
        ]
    )


def evaluation_report(
    everyone: list[Contender], empty: float, cases: int, timed: int, rounds: int, markdown: bool
) -> str:
    head = (
        f"Evaluation: {cases} cases a rule checked against the oracle; {rounds} rounds of {timed} calls timed one by "
        f"one; microseconds, medians over the rounds. Reading the clock twice costs {empty:.2f} of each."
    )
    parts = [head]
    headers = ["", "p50", "p99", "ratio to Hegui", "wrong"]
    mine = everyone[0]
    for rule in RULES:
        rows = []
        for one in everyone:
            if one.absent:
                rows.append([one.title, "absent", "", "", ""])
                continue
            rows.append(
                [
                    f"{one.title} {one.version}".strip(),
                    f"{median(one.p50[rule.name]):.2f}",
                    f"{median(one.p99[rule.name]):.2f}",
                    f"{_ratio(one, mine, rule):.2f}",
                    str(one.wrong[rule.name]),
                ]
            )
        title = f"**{rule.title}**" if markdown else rule.title
        parts += [f"{title} (`{rule.provision}`)", table(headers, rows, markdown)]
        peers = [one for one in everyone if one.peer and not one.absent]
        if peers:
            best = min(peers, key=lambda one: median(one.p50[rule.name]))
            parts.append(f"Best peer / Hegui compiled: {best.title}, {_ratio(best, mine, rule):.1f}.")
    parts += [f"Absent: {one.title}: {one.absent}" for one in everyone if one.absent]
    return "\n\n".join(parts)


def _ratio(one: Contender, other: Contender, rule: Rule) -> float:
    return median(a / b for a, b in zip(one.p50[rule.name], other.p50[rule.name], strict=True))


def machine() -> str:
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    return (
        f"{name}, {os.cpu_count()} processors, {platform.system()} {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def main() -> int:
    options = argparse.ArgumentParser(description="Hegui on one case: starting, and evaluating.")
    options.add_argument("--markdown", action="store_true", help="tables in Markdown")
    options.add_argument("--seed", type=int, default=2019)
    options.add_argument("--runs", type=int, default=21, help="processes of each kind")
    options.add_argument("--cases", type=int, default=4000, help="cases a rule that are checked")
    options.add_argument("--timed", type=int, default=500, help="of these, calls timed in a round")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--only", choices=["start", "evaluation"], help="one of the two parts")
    given = options.parse_args()
    print(f"{machine()}; seed {given.seed}.\n", flush=True)
    if given.only != "evaluation":
        print(start_report(measure_start(given.runs), given.runs, given.markdown) + "\n", flush=True)
    if given.only != "start":
        everyone, empty = measure_evaluation(given.seed, given.cases, given.timed, given.rounds)
        print(evaluation_report(everyone, empty, given.cases, given.timed, given.rounds, given.markdown))
        if everyone[0].wrong and any(sum(one.wrong.values()) for one in everyone[:3]):
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

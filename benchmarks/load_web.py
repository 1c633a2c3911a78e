"""Fifty people at once: `python benchmarks/load_web.py` prints percentiles, errors and the server's memory.

Starts `hegui serve` in a process of its own and sends it 10,000 requests from 50 clients: cases by the
API, results as one types, pages of rules, what-ifs. Each client sends its next request as soon as the
last one is answered, so the times are those of a server that is never idle; client and server share
the machine. Memory is the server's resident size before the first request and after every tenth; the
run fails on any error, or where memory grew by more than a tenth after the first tenth.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
CUT = "fiscal.budget_cut.fundraising_shortfall"


def request_of(number: int, chance: random.Random) -> tuple[str, str, dict[str, object] | None]:
    """Method, path and body of one request: half of them cases by the API, the rest pages."""
    raised = f"{chance.randrange(500, 1200)}.{chance.randrange(10**6):06}万元"
    query = f"has_task=true&task_amount=1000万元&raised_amount={raised}&next_year_public_funds=200万元"
    kind = number % 10
    if kind < 5:
        facts = {"has_task": True, "task_amount": "1000万元", "raised_amount": raised}
        facts["next_year_public_funds"] = "200万元"
        return "POST", f"/api/v1/provisions/{CUT}/evaluate", {"inputs": facts, "as_of": "2019-12-31"}
    if kind < 8:
        return "GET", f"/calculate/{CUT}/result?{query}", None
    if kind == 8:
        return "GET", f"/what-if/{CUT}/result?fact=raised_amount&{query}", None
    return "GET", chance.choice(("/rules?q=公用经费", "/", f"/calculate/{CUT}", "/api/v1/provisions")), None


async def run(address: str, clients: int, requests: int, pid: int) -> bool:
    times: dict[str, list[float]] = {}
    codes: Counter[int | str] = Counter()
    sizes: list[float] = []
    done = 0

    async def person(own: int) -> None:
        nonlocal done
        chance = random.Random(own)
        browser, system = people[own]
        async with browser, system:
            for number in range(own, requests, clients):
                method, path, body = request_of(number // clients + own, chance)
                start = time.perf_counter()
                try:
                    answer = await (system if body else browser).request(method, path, json=body)
                    codes[answer.status_code] += 1
                except httpx.HTTPError as error:
                    codes[type(error).__name__] += 1
                times.setdefault(path.split("?")[0].split("/")[1], []).append(time.perf_counter() - start)
                done += 1
                if done % (requests // 10) == 0:
                    sizes.append(resident(pid))

    # Each has a browser, and a system of its own that holds no session. They are made before the clock starts,
    # for making them takes seconds in which no answer would be received.
    people = [[httpx.AsyncClient(base_url=address, timeout=60, verify=False) for _ in range(2)] for _ in range(clients)]
    before = resident(pid)
    start = time.perf_counter()
    await asyncio.gather(*(person(own) for own in range(clients)))
    seconds = time.perf_counter() - start
    everything = sorted(value for part in times.values() for value in part)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{requests} requests from {clients} clients in {seconds:.1f} s: {requests / seconds:.0f} a second")
    print("all        " + percentiles(everything))
    for name, part in sorted(times.items()):
        print(f"{'/' + name:<11}" + percentiles(sorted(part)))
    print("answers    " + ", ".join(f"{code}: {count}" for code, count in codes.most_common()))
    print(f"memory     {before:.0f} MB before; after each tenth " + ", ".join(f"{size:.0f}" for size in sizes) + " MB")
    return set(codes) == {200} and sizes[-1] < sizes[0] * 1.1


def percentiles(values: list[float]) -> str:
    def at(share: float) -> float:
        return values[min(len(values) - 1, int(share * len(values)))] * 1000

    return f"p50 {at(0.5):.0f} ms, p95 {at(0.95):.0f} ms, p99 {at(0.99):.0f} ms, longest {values[-1] * 1000:.0f} ms"


def resident(pid: int) -> float:
    """Resident memory in MB."""
    import psutil

    return float(psutil.Process(pid).memory_info().rss) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--requests", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from web.cli import serve; serve()", "--port", "0", "--data", folder,
                   "--rate", "10000000"]  # fmt: skip
        server = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        address = server.stderr.readline().strip().rstrip("/")
        try:
            while True:
                try:
                    httpx.get(f"{address}/api/v1/health").raise_for_status()
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            return 0 if asyncio.run(run(address, given.clients, given.requests, server.pid)) else 1
        finally:
            server.terminate()
            server.wait(15)


if __name__ == "__main__":
    sys.exit(main())

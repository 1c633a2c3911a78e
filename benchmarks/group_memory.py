"""Memory of group rules over files: `python -m benchmarks.group_memory 2e6 512MB` prints one line of JSON.

Awards, as many as asked for, of a quarter as many firms, with payments already made for some, are assessed by
`hegui batch --together` in a process of its own under the memory limit; its peak is what the kernel says. A further
argument names the engine (default `duckdb`).
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.workloads import SEED

AWARDS = ("工法,国家级", "工法,省级", "优质工程,鲁班奖", "优质工程,云南省优质工程奖", "优秀勘察设计,国家金奖",
          "优秀勘察设计,省二等奖", "标准化工地,国家AAA级", "标准化工地,省级", "工法,")  # fmt: skip


def generate(folder: Path, rows: int) -> list[Path]:
    """The files of that many awards; some names have no firm, some achievements are not named."""
    chance = random.Random(SEED)
    firms = max(1, rows // 4)
    paths = [folder / f"{name}.csv" for name in ("firms", "awards", "payments")]
    with paths[0].open("w", encoding="utf-8") as file:
        file.write("企业名称,在本州注册,总部迁驻楚雄\n")
        file.writelines(f"企业{number},{'是' if number % 9 else '否'},否\n" for number in range(firms))
    with paths[1].open("w", encoding="utf-8") as file:
        file.write("企业名称,奖项类别,奖项等级,成果或项目,参建角色\n")
        for number in range(rows):
            matter = f"项目{chance.randrange(3)}" if number % 50 else ""
            file.write(f"企业{int(chance.random() * firms * 1.00001)},{chance.choice(AWARDS)},{matter},施工\n")
    with paths[2].open("w", encoding="utf-8") as file:
        file.write("企业名称,事项类别,成果或项目,年度,已付金额(元)\n")
        for number in range(rows // 4):
            kind = ("工法", "优质工程", "标准化工地")[number % 3]
            file.write(f"企业{chance.randrange(firms)},{kind},项目{chance.randrange(3)},2019,{1000 * (number % 40)}\n")
    return paths


def main() -> None:
    rows, limit = int(float(sys.argv[1])), sys.argv[2]
    engine = sys.argv[3] if len(sys.argv) > 3 else "duckdb"
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        paths = generate(Path(folder), rows)
        output = Path(folder) / "out.csv"
        errors = (Path(folder) / "said.txt").open("w+", encoding="utf-8")
        start = time.perf_counter()
        child = os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", "from cli import main; main()", "batch", *map(str, paths), "--together",
             "-o", str(output), "--engine", engine, "--memory-limit", limit, "--as-of", "2019-12-31"],
            os.environ | {"PYTHONPATH": str(root)},
            file_actions=[(os.POSIX_SPAWN_DUP2, errors.fileno(), 2)])  # fmt: skip
        _, status, used = os.wait4(child, 0)
        errors.seek(0)
        said = errors.read()
        account = re.findall(r"\d+", next((line for line in said.splitlines() if " = " in line), ""))
        print(json.dumps({
            "engine": engine, "limit": limit, "awards": rows, "rows": int(account[0]) if account else None,
            "seconds": round(time.perf_counter() - start, 1), "peak_mb": used.ru_maxrss // 1024,
            "exit": os.waitstatus_to_exitcode(status),
            **({} if account else {"said": said[-400:]})}))  # fmt: skip


if __name__ == "__main__":
    main()

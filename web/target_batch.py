"""Tables of target figures (areas by indicators, for one period) handed in as a batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from engine.errors import Lang, Problem
from engine.kinds import ADVERSE
from engine.load import Pack
from engine.report import Table
from engine.target_table import (
    Plan,
    TargetLine,
    judge_targets,
    lines_table,
    load_plan,
    period_end,
    target_tables,
)
from engine.values import decimal_text
from facts.from_matrix import read_target_sheets


@dataclass(frozen=True)
class Targets:
    """A table of target figures, judged."""

    lines: list[TargetLine]
    plan: Plan
    problems: list[Problem]
    rows: Mapping[str, int]

    def tables(self, pack: Pack, lang: Lang) -> list[Table]:
        by_area, *missed = target_tables(pack, self.plan, self.lines, lang)
        one_by_one = lines_table(pack, self.lines, lang)
        zh = lang == "zh"
        return [
            replace(by_area, title="各地区" if zh else "by area"),
            *missed,
            replace(one_by_one, title="逐项" if zh else "one by one"),
        ]

    def summary(self, pack: Pack) -> dict[str, Any]:
        """What replaces the parts of a batch's summary that are about facts."""
        names = pack.target
        judged = [line for line in self.lines if line.outcome is not None]
        rows_in, accepted = sum(self.rows.values()), self.rows.get("accepted", 0)
        return {
            "counts": {
                "rows_in": rows_in,
                "accepted": accepted,
                "rejected": 0,
                "skipped": rows_in - accepted,
                "rejected_by": {},
                "skipped_by": {},
            },
            "tables": [],
            "agenda": {"zh": "按目标完成情况表核对", "en": "read as a table of targets"},
            "outcomes": len(judged),
            "adverse": sum(line.status in ADVERSE for line in judged),
            "undetermined": 0,
            "targets": [
                {
                    "provision": line.provision,
                    "status": line.status,
                    "inputs": {
                        names.indicator: line.indicator,
                        names.area: line.area,
                        names.actual: decimal_text(line.actual),
                        names.period: line.planned.period if line.planned else "",
                    },
                }
                for line in judged
            ],
        }


def read_targets(pack: Pack, source: Path, period: str, as_of: date) -> Targets | None:
    """The figures of a table of targets, held against the plan of its period; None where the file is none.

    The period is the one given, else the one the file's name ends with (`targets_2019Q1`). Errors
    (`FactError`): `unknown-period` where there is neither.
    """
    plan = load_plan(pack)
    sheets = read_target_sheets([source], plan)
    if not sheets.figures:
        return None
    ends = period_end(pack, period or re.split(r"[_\-\s]", source.stem)[-1])
    lines, problems = judge_targets(pack, plan, sheets.figures, ends, max(as_of, ends))
    return Targets(lines, plan, [*sheets.problems, *problems], sheets.rows)

"""Large files: assessed column by column instead of case by case, one result row a subject and matter."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.errors import Lang, Problem
from engine.explain import missing_labels
from engine.kinds import ADVERSE, LABELS, UNDETERMINED
from engine.load import Pack
from engine.model import Text
from engine.outcome import Outcome
from facts.batch import Batch, Options
from web.grid import Rows, Stored, write_rows

MAX_SUBJECTS = 5_000

_HEADINGS = {
    "row": Text("行号", "row"),
    "subject": Text("对象", "subject"),
    "provision": Text("事项", "matter"),
    "status": Text("结论", "result"),
    "amount": Text("金额", "amount"),
    "amount_max": Text("最高金额", "highest amount"),
    "due_date": Text("到期日", "due"),
    "rate_percent": Text("比例", "rate"),
    "counted": Text("计入合计", "counted"),
    "missing": Text("缺少的事实", "missing facts"),
}

MONEY = frozenset(("amount", "amount_max", "counted"))
FIGURES = MONEY | {"rate_percent", "row"}

Tell = Callable[[str, int, int], None]


def run_large(
    pack: Pack, source: Path, out: Path, options: Options, tell: Tell
) -> tuple[dict[str, Any], list[Problem]]:
    """Assesses the file into `out`; the batch's summary and the problems to show.

    Errors (`FactError`): a file that cannot be read or recognised.
    """
    size = source.stat().st_size
    read = 0

    def progress(_: int, portion: int) -> None:
        nonlocal read
        read += portion
        tell("assessing", min(read, size) // 1000, size // 1000)

    with closing(Batch(pack, options)) as batch:
        columns = _columns(batch, source) if source.suffix in (".csv", ".tsv", ".txt") else []
        results = out / "results.csv"
        found = batch.run(source, results, out / "problems.csv", progress)
    tell("writing", 0, 0)
    rows = _Results(pack, results, options.lang)
    count = write_rows(out / "rows.db", [Rows("", rows.headers, rows)])
    statuses = found.sums.statuses.values()
    return {
        "as_of": options.as_of.isoformat() if options.as_of else "",
        "agenda": {"zh": "大文件按列核算", "en": "a large file, assessed by columns"},
        "pack": {"id": pack.id, "version": pack.version, "digest": pack.digest},
        "counts": {
            "rows_in": found.rows_in,
            "accepted": found.evaluated,
            "rejected": found.rejected.total(),
            "skipped": found.skipped.total(),
            "rejected_by": dict(found.rejected),
            "skipped_by": dict(found.skipped),
        },
        "tables": columns,
        "results": [{"title": "", "rows": count}],
        "dossiers": [],
        "large": True,
        "problems": found.problems_in_all,
        "errors": sum(problem.severity == "error" for problem in found.problems),
        "outcomes": sum(of.total() for of in statuses),
        "adverse": sum(of[status] for of in statuses for status in ADVERSE),
        "undetermined": sum(of[UNDETERMINED] for of in statuses),
        "subjects": rows.subjects(),
        "targets": [],
        "due": [],
    }, found.problems


def _columns(batch: Batch, source: Path) -> list[dict[str, Any]]:
    """What the columns were taken for."""
    layout, target = (opened := batch.source(source)).layout, opened.target
    return [
        {
            "sheet": None,
            "dossier": target.dossier.id if target.dossier is not None else None,
            "record": target.record.name if target.record is not None else None,
            "provision": target.provision.id if target.provision is not None else None,
            "columns": [
                {
                    "letter": column.letter,
                    "heading": column.heading,
                    "field": column.field,
                    "unit": column.unit,
                    "unit_from": column.unit_from,
                }
                for column in layout.columns
            ],
        }
    ]


class _Results:
    """The rows of a result file for the grid; sums by subject are kept on the way."""

    def __init__(self, pack: Pack, path: Path, lang: Lang) -> None:
        self.pack, self.path, self.lang = pack, path, lang
        with path.open(encoding="utf-8-sig", newline="") as file:
            self.names = next(csv.reader(file))
        self.shown = [name for name in self.names if name in _HEADINGS]
        self.headers = tuple(_HEADINGS[name].get(lang) for name in self.shown)
        self.totals: dict[tuple[str, str], Decimal | None] = {}
        self._missing: dict[tuple[str, str], str] = {}
        self._dossier = next(
            (
                dossier
                for dossier in pack.dossiers.values()
                if dossier.total is not None and {matter.provision for matter in dossier.matters} & self._provisions()
            ),
            None,
        )

    def _provisions(self) -> set[str]:
        """The provisions of the first rows, enough to tell the dossier."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            return {
                row["provision"] for _, row in zip(range(50), csv.DictReader(file), strict=False) if "provision" in row
            }

    def __iter__(self) -> Iterator[list[Stored]]:
        statuses = {status: label.get(self.lang) for status, label in LABELS.items()}
        labels: dict[str, str] = {}
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                self._sum(row)
                cells: list[Stored] = []
                for name in self.shown:
                    text = shown = row[name]
                    if name == "status":
                        shown = statuses[text]
                    elif name == "provision":
                        shown = labels.get(text) or labels.setdefault(
                            text, self.pack.provision(text).label.get(self.lang)
                        )
                    elif name in MONEY:
                        shown = money(text)
                    elif name == "rate_percent" and text:
                        shown = text.rstrip("0").rstrip(".") + "%"
                    elif name == "missing" and text:
                        shown = self._missing_text(row["provision"], text)
                    cells.append((shown, text, name in FIGURES))
                yield cells

    def _missing_text(self, identity: str, text: str) -> str:
        key = (identity, text)
        if key not in self._missing:
            names = tuple(
                name.strip()
                for name in text.replace("、", ",").replace(";", ",").replace(" ", ",").split(",")
                if name.strip()
            )
            labels = missing_labels(
                Outcome(identity, UNDETERMINED, missing=names), self.pack.provision(identity), self.lang
            )
            self._missing[key] = ("、" if self.lang == "zh" else ", ").join(labels)
        return self._missing[key]

    def _sum(self, row: dict[str, str]) -> None:
        key = (row.get("row", ""), row.get("subject", ""))
        if len(self.totals) > 10 * MAX_SUBJECTS and key not in self.totals:
            return
        before = self.totals.get(key, Decimal(0))
        undecided = row["status"] == UNDETERMINED
        self.totals[key] = None if before is None or undecided else before + Decimal(row.get("counted") or 0)

    def subjects(self) -> list[dict[str, Any]]:
        """The subjects with the largest sums, for the overview."""
        if self._dossier is None:
            return []
        ordered = sorted(self.totals.items(), key=lambda pair: -(pair[1] if pair[1] is not None else Decimal(-1)))
        return [
            {
                "dossier": self._dossier.id,
                "subject": subject,
                "rate": None,
                "total": None if total is None else f"{total:.2f}",
            }
            for (_, subject), total in ordered[:MAX_SUBJECTS]
        ]


def money(text: str) -> str:
    """`1200.50` for people: `1,200.50`."""
    whole, dot, part = text.partition(".")
    return f"{int(whole):,}{dot}{part}" if text else ""

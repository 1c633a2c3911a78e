"""Large files: assessed column by column instead of case by case, one result row a subject and matter."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from engine.errors import FactError, Lang, Problem
from engine.kinds import ADVERSE, LABELS, UNDETERMINED
from engine.load import Pack
from engine.model import Text
from engine.outcome import Outcome
from engine.report import clause
from engine.source import Location
from facts.batch import Batch, Options
from facts.columns import Column, column_letter
from facts.grid import Grid
from facts.headings import Target, candidates, lay_out, likely_headings
from facts.table_files import open_source
from facts.tally import TableInfo, Tally
from web.annotate import Verdicts
from web.grid import Origin, Rows, Stored, write_rows
from web.kept import FactStore
from web.views import fact_label

MAX_SUBJECTS = 5_000
MAX_VERDICTS = 200_000
"""Rows of a workbook whose result is written beside them."""
MAX_BOOK = 100_000
"""Result rows up to which they are offered as a workbook too."""

_HEADINGS = {
    "subject": Text("对象", "subject"),
    "row": Text("行号", "row"),
    "provision": Text("事项", "matter"),
    "status": Text("结论", "result"),
    "amount": Text("金额", "amount"),
    "amount_max": Text("最高金额", "highest amount"),
    "due_date": Text("到期日", "due"),
    "rate_percent": Text("比例", "rate"),
    "counted": Text("计入合计", "counted"),
    "yields": Text("就高，按此行计", "yields to (row)"),
    "missing": Text("缺少的事实", "missing facts"),
}
_CLAUSE = Text("依据", "clause")

MONEY = frozenset(("amount", "amount_max", "counted"))
FIGURES = MONEY | {"rate_percent", "row", "yields"}

Tell = Callable[[str, int, int], None]


def run_large(
    pack: Pack, source: Path, out: Path, options: Options, tell: Tell
) -> tuple[dict[str, Any], list[Problem], Verdicts]:
    """Assesses the file into `out`; the batch's summary, the problems to show and the result of each workbook row.

    Errors (`FactError`): a file that cannot be read or recognised.
    """
    size = source.stat().st_size
    read = 0

    def progress(_: int, portion: int) -> None:
        nonlocal read
        read += portion
        tell("assessing", min(read, size) // 1000, size // 1000)

    tell("assessing", 0, 0)
    results = out / "results.csv"
    with closing(FactStore(out / "facts.db")) as store:
        with closing(Batch(pack, replace(options, keep=store))) as batch:
            found = batch.run(source, results, out / "problems.csv", progress)
        tell("writing", 0, 0)
        rows = _Results(pack, results, options.lang, store)
        count = write_rows(out / "rows.db", [Rows("", rows.headers, rows)])
    if count <= MAX_BOOK:
        _write_book(out / "results.xlsx", rows)
    statuses = found.sums.statuses.values()
    account = Tally(source.name, None, None, (), found.rows_in, found.evaluated, found.rejected, found.skipped)
    summary = _summary(pack, options, found.tables, account) | {
        "remarks": [asdict(text) for text in found.remarks],
        "results": [{"title": "", "rows": count}],
        "problems": found.problems_in_all,
        "errors": sum(problem.severity == "error" for problem in found.problems),
        "outcomes": sum(of.total() for of in statuses),
        "adverse": sum(of[status] for of in statuses for status in ADVERSE),
        "undetermined": sum(of[UNDETERMINED] for of in statuses),
        "subjects": rows.subjects(),
    }
    return summary, found.problems, rows.verdicts()


def _summary(pack: Pack, options: Options, tables: Sequence[TableInfo], account: Tally) -> dict[str, Any]:
    """What is told of a large file, as far as nothing was assessed."""
    return {
        "as_of": options.as_of.isoformat() if options.as_of else "",
        "agenda": {"zh": "大文件按列核算", "en": "a large file, assessed by columns"},
        "pack": {"id": pack.id, "version": pack.version, "digest": pack.digest},
        "counts": {
            "rows_in": account.rows_in,
            "accepted": account.accepted,
            "rejected": account.rejected.total(),
            "skipped": account.skipped.total(),
            "rejected_by": dict(account.rejected),
            "skipped_by": dict(account.skipped),
        },
        "tables": tables_data(tables),
        "results": [],
        "dossiers": [],
        "large": True,
        "problems": 0,
        "errors": 0,
        "outcomes": 0,
        "adverse": 0,
        "undetermined": 0,
        "subjects": [],
        "targets": [],
        "due": [],
    }


def refused(
    pack: Pack, source: Path, out: Path, options: Options, error: FactError
) -> tuple[dict[str, Any], list[Problem], Verdicts]:
    """What `run_large` gives for a file read in blocks whose columns do not do: what they are, nothing assessed."""
    grids: list[Grid] = []
    with closing(Batch(pack, options)) as batch:

        def targets(grid: Grid, title: str) -> list[Target]:
            grids.append(grid)
            return batch.targets(grid, title)

        with suppress(FactError):
            open_source(source, targets, options.record is not None)
        if not grids:
            raise error
        grid = grids[-1]
        found = candidates(grid.head, batch.targets(grid, source.stem), source.stem, options.record is not None)
    columns: Sequence[Column] = [
        Column(index, column_letter(index), text, None) for index, text in likely_headings(grid.head)
    ]
    if len(found) == 1:
        columns = lay_out(grid.head, found[0], grid.place).columns
    if source.suffix == ".parquet":
        rows = int(pl.scan_parquet(source).select(pl.len()).collect().item())
    else:
        with source.open("rb") as file:
            rows = sum(1 for line in file if line.strip())
    tally = Tally(source.name, None, found[0].target if len(found) == 1 else None, tuple(columns))
    if found:
        tally.reject("heading", rows)
    else:
        tally.skip("unrecognised", rows)
    write_rows(out / "rows.db", [])
    problems = [
        replace(one, fields={**one.fields, "count": rows}) if "count" in one.fields else one for one in error.problems
    ]
    told = {"problems": len(problems), "errors": len(problems)}
    return _summary(pack, options, [tally.info()], tally) | told, problems, {}


def tables_data(tables: Sequence[TableInfo]) -> list[dict[str, Any]]:
    """What each table was taken for, column by column, and what became of its rows."""
    return [
        {
            "sheet": table.sheet,
            "record": table.record,
            "dossier": table.dossier,
            "provision": table.provision,
            "rows_in": table.rows_in,
            "accepted": table.accepted,
            "rejected": sum(table.rejected.values()),
            "skipped": sum(table.skipped.values()),
            "columns": [
                {
                    "letter": column.letter,
                    "heading": column.heading,
                    "field": column.field,
                    "field_by_hand": column.field_by_hand,
                    "unit": column.unit,
                    "unit_from": "hand" if column.unit_by_hand else column.unit_from,
                }
                for column in table.columns
            ],
        }
        for table in tables
    ]


class _Results:
    """The rows of a result file for the grid; sums by subject and results by sheet row are kept on the way."""

    def __init__(self, pack: Pack, path: Path, lang: Lang, store: FactStore) -> None:
        self.pack, self.path, self.lang, self.store = pack, path, lang, store
        with path.open(encoding="utf-8-sig", newline="") as file:
            self.names = next(csv.reader(file))
        self.shown = sorted((name for name in self.names if name in _HEADINGS), key=list(_HEADINGS).index)
        self.headers = (*(_HEADINGS[name].get(lang) for name in self.shown), _CLAUSE.get(lang))
        self.totals: dict[tuple[str, str], Decimal | None] = {}
        self._missing: dict[tuple[str, str], str] = {}
        self._clauses: dict[str, str] = {}
        self._told: dict[int, list[tuple[str, str, str]]] = {}
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
        return {row["provision"] for row in islice(self._rows(), 50)}

    def _rows(self) -> Iterator[dict[str, str]]:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(file)

    def cells(self) -> Iterator[list[Stored]]:
        """The rows as they are shown."""
        return map(self._cells, self._rows())

    def __iter__(self) -> Iterator[tuple[list[Stored], Origin]]:
        for number, row in enumerate(self._rows()):
            self._sum(row)
            facts, place = (int(row["row"]), 0) if self.store.rows is None else self.store.rows[number]
            if facts in self.store.at and len(self._told) < MAX_VERDICTS:
                self._told.setdefault(facts, []).append(
                    (row["status"], row["provision"], row.get("counted") or row.get("amount") or "")
                )
            yield self._cells(row), Origin(facts, place, row["provision"], row["status"], row.get("amount") or "")

    def _cells(self, row: Mapping[str, str]) -> list[Stored]:
        cells: list[Stored] = []
        for name in self.shown:
            text = shown = row[name]
            if name == "status":
                shown = LABELS[text].get(self.lang)
            elif name == "provision":
                shown = self._label(text)
            elif name in MONEY:
                shown = money(text)
            elif name == "rate_percent" and text:
                shown = text.rstrip("0").rstrip(".") + "%" if "." in text else text + "%"
            elif name == "missing" and text:
                shown = self._missing_text(row["provision"], text)
            cells.append((shown, text, name in FIGURES))
        told = self._clauses.get(row["provision"])
        if told is None:
            citation = self.pack.provision(row["provision"]).citation
            told = self._clauses[row["provision"]] = clause(Outcome(row["provision"], "stated", citation=citation))
        return [*cells, (told, told, False)]

    def _label(self, identity: str) -> str:
        return self.pack.provision(identity).label.get(self.lang)

    def _missing_text(self, identity: str, text: str) -> str:
        key = (identity, text)
        if key not in self._missing:
            labels = dict.fromkeys(fact_label(self.pack, identity, name, self.lang) for name in text.split("、"))
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

    def verdicts(self) -> dict[tuple[str, int], tuple[str, str, str]]:
        """For each subject's row of a workbook (sheet, row): result, amount and what it is for."""
        zh = self.lang == "zh"
        found = {}
        for facts, told in self._told.items():
            sheet, cell = self.store.at[facts]
            row = Location(cell=cell).row
            if row is None:
                continue
            open_ones = sum(status == UNDETERMINED for status, _, _ in told)
            if open_ones:
                status = f"{open_ones} 项无法判定" if zh else f"{open_ones} undetermined"
            elif any(status in ADVERSE for status, _, _ in told):
                status = "应予处理" if zh else "action needed"
            else:
                status = "已核算" if zh else "assessed"
            amount = sum((Decimal(amount) for _, _, amount in told if amount), Decimal(0))
            words = dict.fromkeys(
                f"{self._label(identity)}{'：' if zh else ': '}{LABELS[one].get(self.lang)}"
                for one, identity, _ in told
                if one in ADVERSE or one == UNDETERMINED or len(told) == 1
            )
            found[sheet, row] = (status, f"{amount:.2f}", ("；" if zh else "; ").join(words))
        return found


def _write_book(path: Path, rows: _Results) -> None:
    """The rows as a workbook: figures as numbers, everything else as text."""
    import xlsxwriter

    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(path), {**options, "constant_memory": True}) as book:
        sheet = book.add_worksheet("结果" if rows.lang == "zh" else "Results")
        figure = book.add_format({"num_format": "#,##0.00"})
        for place, header in enumerate(rows.headers):
            sheet.set_column(place, place, 30 if header == rows.headers[-1] else 16)
        sheet.write_row(0, 0, rows.headers, book.add_format({"bold": True, "bg_color": "#DDE6F0", "border": 1}))
        sheet.freeze_panes(1, 2)
        for number, cells in enumerate(rows.cells(), 1):
            for place, (shown, plain, numeric) in enumerate(cells):
                if not plain:
                    continue
                if not numeric or len(plain) > 15:  # a spreadsheet's numbers carry 15 digits
                    sheet.write_string(number, place, shown[:32_000])
                else:
                    sheet.write_number(number, place, float(plain), figure if "." in plain else None)


def money(text: str) -> str:
    """`1200.50` for people: `1,200.50`."""
    return f"{Decimal(text):,f}" if text else ""

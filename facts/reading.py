"""Files in, facts out: the one entry point.

`read_facts` reads every file, recognises what each table is, joins the rows of a dossier into cases
and reports all problems found. Rows in = accepted + rejected + skipped, over everything.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from engine.dataclass import dataclass
from engine.errors import HeguiError, Problem
from engine.model import Case, Dossier, Provision
from engine.source import Location
from facts.columns import Column, RecordNames, column_letter
from facts.from_tree import FlatCase, TreeReader
from facts.headings import (
    Found,
    GivenTables,
    Head,
    Target,
    candidates,
    forced_targets,
    lay_out,
    likely_headings,
    nearest_heading,
    provision_target,
    targets_of,
)
from facts.joining import Group, join
from facts.tally import Draft, TableInfo, Tally
from facts.text import decode, kind_of, read_bytes

if TYPE_CHECKING:
    from facts.grid import Grid
    from facts.text import FileKind

NOTE_SHEETS = frozenset(
    ("填表说明", "填报说明", "使用说明", "说明", "选项", "notes", "instructions", "readme", "choices"))  # fmt: skip
"""Sheets that accompany a table, as templates have them; they hold no rows."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of every row of every file."""

    rows_in: int
    accepted: int
    rejected: int
    skipped: int
    rejected_by: Mapping[str, int]
    skipped_by: Mapping[str, int]


@dataclass(frozen=True)
class Submission:
    """Everything that was read: cases to assess, problems to show, and an account of each table."""

    cases: tuple[Case, ...]
    flat: tuple[FlatCase, ...]
    as_of: date | None
    problems: tuple[Problem, ...]
    tables: tuple[TableInfo, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    @property
    def present(self) -> dict[str, frozenset[str]]:
        """The fields that were submitted, by record; those of rows that are a provision's facts under no name."""
        found: dict[str, frozenset[str]] = {}
        for table in self.tables:
            name = table.record or ""
            found[name] = found.get(name, frozenset()) | table.fields
        return found

    @property
    def counts(self) -> Counts:
        """The sum over all tables, proved: nothing is lost and nothing counts twice."""
        rejected: Counter[str] = Counter()
        skipped: Counter[str] = Counter()
        rows_in = accepted = 0
        for table in self.tables:
            rows_in += table.rows_in
            accepted += table.accepted
            rejected.update(table.rejected)
            skipped.update(table.skipped)
        counts = Counts(rows_in, accepted, rejected.total(), skipped.total(), dict(rejected), dict(skipped))
        assert counts.rows_in == counts.accepted + counts.rejected + counts.skipped, "rows were lost"
        held = sum(1 + len(case.related) for case in self.cases) + len(self.flat)
        assert held == counts.accepted, f"{counts.accepted} rows accepted, {held} in cases"
        return counts


def read_facts(
    paths: Iterable[str | Path],
    *,
    dossiers: Mapping[str, Dossier],
    provision: Callable[[str], Provision | None] = lambda _: None,
    record: str | None = None,
    given: GivenTables | None = None,
) -> Submission:
    """The facts in some files (xlsx, xlsm, xls, ods, csv, json, yaml).

    `dossiers` and `provision` say what facts there are; `record` says what the rows of the tables
    are where that is not to be recognised (a record, `dossier.record`, or a provision's id); `given`
    says what some of their columns are and in which unit, where that is not to be recognised either.
    Problems never raise: they are in the submission, errors and warnings alike.
    """
    reading = _Reading(dossiers, provision, record, given)
    collecting = gc.isenabled()
    gc.disable()  # a million rows make no cycles, and looking for them takes a tenth of the time
    try:
        return reading.run([Path(path) for path in paths])
    finally:
        if collecting:
            gc.enable()


@dataclass
class _Table:
    """A grid with the records it may hold."""

    grid: Grid
    found: list[Found]


class _Reading:
    def __init__(
        self, dossiers: Mapping[str, Dossier], provision: Callable[[str], Provision | None], record: str | None,
        given: GivenTables | None
    ) -> None:  # fmt: skip
        self.dossiers, self.provision, self.record, self.given = dossiers, provision, record, given
        self.targets = targets_of(dossiers, given)
        self.problems: list[Problem] = []
        self.tallies: list[Tally] = []
        self.drafts: dict[str, list[Draft]] = {}
        self.groups: dict[str, list[Group]] = {}
        self.flat: list[FlatCase] = []
        self.as_of: list[tuple[date, Location]] = []
        self.forced: list[Target] | None = None
        if record is not None:
            self.forced = forced_targets(self.targets, record)
            named = provision(record) if not self.forced else None
            if named is not None:
                self.forced = [provision_target(named, given)]

    def run(self, paths: Sequence[Path]) -> Submission:
        if self.forced == []:
            self.problems.append(Problem("no-such-record", Location(), {
                "name": self.record or "", "known": [target.title for target in self.targets]}))  # fmt: skip
            return Submission((), (), None, tuple(self.problems), ())
        tables: list[_Table] = []
        for path in paths:
            try:
                tables += self.open(path)
            except HeguiError as error:
                self.problems += error.problems
        self.settle(tables)
        known = {table.grid.file for table in tables if table.found}
        for table in tables:
            self.read(table, table.grid.file in known)
        cases: list[Case] = []
        for id_, dossier in self.dossiers.items():
            cases += join(dossier, self.drafts.get(id_, []), self.groups.get(id_, []), self.problems)
        submission = Submission(
            tuple(cases), tuple(self.flat), self.day(), tuple(self.problems), tuple(t.info() for t in self.tallies))
        assert submission.counts is not None
        return submission

    def day(self) -> date | None:
        """The one date the documents name; two different ones are a problem."""
        days = {day for day, _ in self.as_of}
        if len(days) > 1:
            first, second = self.as_of[0], next(one for one in self.as_of if one[0] != self.as_of[0][0])
            self.problems.append(Problem("two-as-of", second[1], {
                "value": second[0], "first": first[0], "first_at": str(first[1])}))  # fmt: skip
            return None
        return next(iter(days), None)

    # Files

    def open(self, path: Path) -> list[_Table]:
        name = str(path)
        data = read_bytes(path, name)
        kind, named = kind_of(path, data, name)
        self.problems += named
        if kind in ("xlsx", "xls", "ods"):
            return self.workbook(path, name, kind)
        text = decode(data, name)
        if kind == "csv":
            from facts.from_csv import csv_grid

            return [_Table(grid := csv_grid(text, name, self.score), self.found(grid, path.stem))]
        self.tree(text, name, kind)
        return []

    def workbook(self, path: Path, name: str, kind: FileKind) -> list[_Table]:
        from facts.from_excel import workbook_grids

        grids, problems = workbook_grids(path, name, kind)
        self.problems += problems
        return [_Table(grid, self.found(grid, grid.sheet)) for grid in grids]

    def tree(self, text: str, name: str, kind: FileKind) -> None:
        if kind == "json":
            from facts.json_tree import parse_json as parse
        else:
            from engine.yamltree import parse_yaml as parse
        reader = TreeReader(name, self.dossiers, self.provision, self.targets, self.record, self.problems)
        facts = reader.read(parse(text, name))
        self.flat += facts.flat
        self.tallies += facts.tallies
        self.as_of += facts.as_of
        for dossier, draft in facts.drafts:
            self.drafts.setdefault(dossier.id, []).append(draft)
        for dossier, group in facts.groups:
            self.groups.setdefault(dossier.id, []).append(group)

    # Tables

    def score(self, rows: Sequence[Sequence[str]]) -> int:
        """How many fields the best heading among some rows names."""
        head = Head([(number, list(row)) for number, row in enumerate(rows, 1)])
        targets = self.forced or self.targets
        return max((len(found.fields) for target in targets if (found := head.find(target)) is not None), default=0)

    def found(self, grid: Grid, title: str | None) -> list[Found]:
        if _is_notes(title):
            return []
        if self.forced is not None:
            return candidates(grid.head, self.forced, title, forced=True)
        named = grid.head.provision(self.provision)
        if named is None and title is not None:
            named = self.provision(title)
        if named is not None:
            target = provision_target(named, self.given)
            found = candidates(grid.head, [target], title, forced=True)
            if found:
                return found
        return candidates(grid.head, self.targets, title, forced=False)

    def settle(self, tables: Sequence[_Table]) -> None:
        """Where several dossiers know a record, the one that the other sheets belong to is meant."""
        weight: Counter[str] = Counter()
        for table in tables:
            for id_ in {found.target.dossier.id for found in table.found if found.target.dossier is not None}:
                weight[id_] += 1
        for id_ in {**self.drafts, **self.groups}:
            weight[id_] += 1
        for table in tables:
            ids = [found.target.dossier.id for found in table.found if found.target.dossier is not None]
            if len(set(ids)) > 1:
                most = max(weight[id_] for id_ in ids)
                kept = [f for f in table.found if f.target.dossier is None or weight[f.target.dossier.id] == most]
                table.found = kept

    def read(self, table: _Table, file_known: bool) -> None:
        from facts.tables import TableReader

        grid, found = table.grid, table.found
        if grid.hidden and not _is_notes(grid.sheet):
            self.problems.append(Problem("hidden-sheet", Location(grid.file, sheet=grid.sheet), {}, "warning"))
        if len(found) != 1:
            self.unread(grid, found, file_known)
            return
        layout = lay_out(grid.head, found[0], grid.place)
        reader = TableReader(grid, layout, self.problems)
        self.tallies.append(reader.tally)
        drafts = reader.read()
        target = found[0].target
        if not drafts and not reader.tally.rejected:
            self.problems.append(grid.no_rows(layout, target))
        if target.dossier is not None:
            self.drafts.setdefault(target.dossier.id, []).extend(drafts)
            return
        assert target.provision is not None
        for draft in drafts:
            if draft.fault is not None:
                draft.tally.reject(draft.fault)
                continue
            draft.tally.accept()
            self.flat.append(FlatCase(target.provision.id, draft.row.values, None, draft.name, draft.row.at))

    def unread(self, grid: Grid, found: Sequence[Found], file_known: bool) -> None:
        """A sheet that is no table we know, or could be several: its rows are counted, not read.

        A stray sheet beside known ones is a warning; a file in which nothing is known is an error.
        """
        tally = Tally(grid.file, grid.sheet, None, tuple(
            Column(index, column_letter(index + grid.offset), text, None)
            for index, text in likely_headings(grid.head)))  # fmt: skip
        self.tallies.append(tally)
        blank = filled = 0
        try:
            for _, cells in grid.rows:
                if any(cells):
                    filled += 1
                else:
                    blank += 1
        except HeguiError as error:
            self.problems += error.problems
        tally.skip("blank", blank)
        place = Location(grid.file, sheet=grid.sheet) if grid.sheet is not None else Location(grid.file)
        if found:
            tally.reject("heading", filled)
            self.problems.append(Problem("table-ambiguous", place, {"candidates": [f.target.shown for f in found]}))
            return
        tally.skip("unrecognised", filled)
        if not filled or _is_notes(grid.sheet):
            return
        near = nearest_heading(grid.head, self.forced or self.targets)
        self.problems.append(Problem("sheet-unrecognised", place, {
            "count": filled, "record": near[0] if near else "—", "suggestion": near[1] if near else None},
            "warning" if file_known else "error"))  # fmt: skip


def _is_notes(title: str | None) -> bool:
    return title is not None and title.strip().casefold() in NOTE_SHEETS


__all__ = ["Counts", "FlatCase", "RecordNames", "Submission", "TableInfo", "read_facts"]

"""Submissions that are read whole: workbooks, trees, and related tables small enough to be held in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.batch import CASE, ROW, SUBJECT, YIELDS, Program
from engine.batch_cases import related_frames
from engine.batch_table import Results, Sums
from engine.errors import FactError, Problem
from engine.model import Case, Dossier
from engine.source import Location
from engine.types import Kind
from facts.batch_files import Writer, open_writer
from facts.blocks import Block
from facts.from_tree import FlatCase
from facts.headings import provision_target
from facts.reading import read_facts

if TYPE_CHECKING:
    from facts.batch import Batch, Summary


class WholeSubmission:
    """Some files as one submission, assessed by a batch into one output, which is written at `temporary`."""

    def __init__(self, batch: Batch, output: Path, temporary: Path, summary: Summary) -> None:
        self.batch, self.pack, self.options = batch, batch.pack, batch.options
        self.output, self.temporary, self.summary = output, temporary, summary

    def write(self, paths: Sequence[Path]) -> None:
        """The outcomes of some files, and the account of them.

        Errors (`FactError`): `nothing-to-assess`, `several-kinds`, `other-day` where the files name another day of
        assessment than the batch's, and those of `Batch.case_program`.
        """
        pack, options, union, summary = self.pack, self.options, self.batch.union, self.summary
        submission = read_facts(
            paths, dossiers=pack.dossiers if union is None else {},
            provision=pack.find if union is None else lambda identity: union if identity == union.id else None,
            record=union.id if union is not None else options.record, given=options.given)
        summary.tables += submission.tables
        summary.report(submission.problems)
        counts = submission.counts
        summary.rows_in, summary.evaluated = counts.rows_in, counts.accepted
        summary.rejected.update(counts.rejected_by)
        summary.skipped.update(counts.skipped_by)
        present = submission.present
        kinds: set[tuple[str | None, str | None]] = {(case.dossier, None) for case in submission.cases}
        kinds |= {(None, one.provision) for one in submission.flat}
        if not kinds and summary.is_all_refused:
            kinds = {(table.dossier, table.provision) for table in submission.tables if table.rejected} - {(None, None)}
        if not kinds:
            raise FactError(submission.errors or Problem("nothing-to-assess"))
        if len(kinds) > 1:
            raise FactError(Problem("several-kinds"))
        days = {submission.as_of, *(one.as_of for one in submission.flat)} - {None, options.as_of}
        if days:
            raise FactError(Problem("other-day", fields={
                "days": sorted(str(day) for day in days), "as_of": options.as_of or "—"}))
        dossier, provision = kinds.pop()
        if dossier is not None:
            self._cases(pack.dossiers[dossier], submission.cases, present)
        else:
            assert provision is not None, "a table is of a dossier or of a provision"
            self._flat(provision, submission.flat, present)

    def _flat(self, identity: str, flat: Sequence[FlatCase], present: Mapping[str, frozenset[str]]) -> None:
        """Rows that are the facts of a provision."""
        provision = self.batch.union or self.pack.provision(identity)
        fields = present.get("", frozenset()) or frozenset(name for one in flat for name in one.inputs)
        target = provision_target(provision)
        chosen = self.batch.choose(target, fields & frozenset(provision.facts))
        places = [one.at for one in flat]
        block = _block_of(chosen.program, flat)
        with self._writer(chosen.results) as writer:
            table, sums = self.batch.assess(chosen, block, lambda row: places[row])
            self._settle(block, sums)
            if self.options.keep is not None:
                self.options.keep.flat(flat, table.get_column("row").to_list())
            writer.write(_renumbered(table, places))

    def _writer(self, results: Results) -> AbstractContextManager[Writer]:
        return open_writer(self.temporary, self.output.suffix.lower(), results, self.pack, self.summary)

    def _settle(self, block: Block, sums: Sums) -> None:
        """Rows that turned out not to be assessable go from the evaluated to the rejected."""
        summary = self.summary
        summary.rejected.update(block.rejected)
        summary.evaluated -= sum(block.rejected.values())
        summary.report(block.problems)
        summary.sums.merge(sums)

    def _cases(self, dossier: Dossier, cases: Sequence[Case], present: Mapping[str, frozenset[str]]) -> None:
        """Whole dossiers: matters for each record's rows, sums over related ones, the highest of each group.

        A case that reaches beyond the calendar is rejected whole.
        """
        program, of = self.batch.case_program(dossier, present, self.summary)
        wide = self.options.shape == "wide"
        places = [row.at for case in cases for row in (case.subject, *case.related)]
        case_of = [number for number, case in enumerate(cases) for _ in range(1 + len(case.related))]
        block = Block(pl.DataFrame())
        try:
            frames = dict(related_frames(list(numbered(dossier, cases)), program))
        except ValueError as error:
            raise FactError(Problem("finer-than-column", fields={"value": str(error)})) from None
        outcomes = program.run(frames)
        faults = {line: problem for one in outcomes for step in one.program.steps
                  for line, problem in one.program.faults(step, one.frame, one.done)}
        beyond = {case_of[line] for line in faults}
        block.problems = [replace(problem, location=places[line]) for line, problem in sorted(faults.items())]
        block.rejected = {"calendar": sum(1 + len(cases[number].related) for number in beyond)} if beyond else {}
        tables, sums = [], Sums()
        for one in outcomes:
            kept = ~one.frame.get_column(CASE).is_in(list(beyond))
            done = {identity: found.filter(kept) for identity, found in one.done.items()}
            sums.add(one.program, done)
            tables.append(of[one.record].coded(one.frame.filter(kept), done))
        order = {matter.provision: place for place, matter in enumerate(dossier.matters)}
        table = pl.concat(tables or [pl.DataFrame(schema=of[dossier.subject].coded_schema)])
        if tables and not wide:
            number, place = list(range(len(places))), [order[one] for one in of[dossier.subject].places]
            table = table.with_columns(
                pl.col("row").replace_strict(number, case_of, return_dtype=pl.Int64).alias(CASE),
                pl.lit(pl.Series(place)).gather(pl.col("provision")).alias("#order"),
            ).sort(CASE, "#order", "row").drop(CASE, "#order")
        with self._writer(of[dossier.subject]) as writer:
            self._settle(block, sums)
            if self.options.keep is not None:
                starts = {number: row for row, number in reversed(list(enumerate(case_of)))}
                self.options.keep.cases(cases, [
                    (case_of[row], row - starts[case_of[row]]) for row in table.get_column("row").to_list()])
            writer.write(_renumbered(table, places))


def numbered(dossier: Dossier, cases: Sequence[Case]) -> Iterator[tuple[str, int, int, str | None, Mapping[str, Any]]]:
    """Every row of some cases with its record, case, number, name and values."""
    number = 0
    key = dossier.records[dossier.subject].key or ""
    for place, case in enumerate(cases):
        name = case.subject.values.get(key)
        subject = None if name is None else str(name)
        for row in (case.subject, *case.related):
            own = row.values.get(dossier.records[row.record].key or "")
            shown = subject if row is case.subject or own is None or own == name else f"{subject} {own}"
            yield row.record, place, number, shown, row.values
            number += 1


def _renumbered(table: pl.DataFrame, places: Sequence[Location]) -> pl.DataFrame:
    """The result with the sheet's own row numbers in place of running ones."""
    if not places:
        return table
    numbers = list(range(len(places)))
    rows = [at.row for at in places]

    def shown(name: str) -> pl.Expr:
        return pl.col(name).replace_strict(numbers, rows, default=None, return_dtype=pl.Int64)

    return table.with_columns(shown(name) for name in ("row", YIELDS) if name in table.columns)


def _block_of(program: Program, flat: Sequence[FlatCase]) -> Block:
    """Typed rows as one block, numbered from 0; one without a label is called by its first text."""
    stored: dict[str, list[object]] = {name: [] for name in program.schema}
    block = Block(pl.DataFrame(schema=program.schema), rows_in=len(flat))
    text = next((name for name, of in program.fields.items() if of.type.kind is Kind.TEXT), None)
    for number, one in enumerate(flat):
        values = one.inputs
        subject = one.label or (values.get(text) if text is not None else None)
        shown = None if subject is None else str(subject)
        try:
            own = {name: program.words.stored(values.get(name), program.fields[name].type)
                   for name in stored if name not in (ROW, SUBJECT)}
        except ValueError:
            block.loose.append((number, shown, dict(values)))
            continue
        stored[ROW].append(number)
        stored[SUBJECT].append(shown)
        for name, value in own.items():
            stored[name].append(value)
    block.frame = pl.DataFrame([pl.Series(name, values, dtype=program.schema[name]) for name, values in stored.items()])
    return block


__all__ = ["WholeSubmission", "numbered"]

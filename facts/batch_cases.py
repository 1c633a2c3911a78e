"""Whole dossiers in files larger than memory: cases on disk, matters block by block, results in order.

The tables are those of `facts.case_tables`. What a matter takes from other rows and which of a group
counts are queries (`engine.evaluate.relations`); the provisions themselves run over some thousand
rows at a time, on the batch's engine. Memory is bounded by the engine's limit and the size of a block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from engine.batch import COUNTED, ROW, SUBJECT, YIELDS, Program
from engine.batch_cases import CaseProgram
from engine.batch_table import Results, Sums
from engine.dataclass import dataclass
from engine.errors import FactError, Problem
from engine.evaluate.pieces import Pieces, parsed, quoted
from engine.evaluate.relations import CASE, ORDER, N, Relations, highest_only, rows_of
from engine.files import folder_beside
from engine.load import Pack
from engine.types import Kind
from facts.batch_files import open_writer
from facts.case_tables import LINES, SUBJECT_NAME, CaseFiles, CaseTables

if TYPE_CHECKING:
    from facts.batch import Summary

MAX_FAULTS = 200_000
"""Rows beyond the calendar that are told one by one."""


@dataclass
class CaseStream:
    """One run of a dossier's files. `results` lays out each record's outcomes; errors as `CaseTables`."""

    pack: Pack
    files: CaseFiles
    program: CaseProgram
    results: Mapping[str, Results]
    summary: Summary
    progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        self.dossier = self.files.dossier
        own = self.results[self.dossier.subject]
        self.wide, self.schema = own.shape == "wide", own.coded_schema
        groups = [matter.highest_of or () for matter in self.program.matters]
        self.keys = [f"#k{place}" for place in range(max(map(len, groups), default=0))] if own.counted else []
        self.order = {matter.provision: place for place, matter in enumerate(self.dossier.matters)}
        self.faults: list[tuple[int, int, Problem]] = []

    def write(self, output: Path, temporary: Path, make: Callable[[Path], Pieces]) -> None:
        """The outcomes of every usable case to a file; the account into the summary."""
        with ExitStack() as stack:
            pieces = make(stack.enter_context(folder_beside(output)))
            stack.callback(pieces.close)
            tables = CaseTables(self.files, self.program, pieces, self.summary, self.progress)
            tables.read()
            if not self.summary.evaluated and not self.summary.is_all_refused:
                errors = [one for one in self.summary.problems if one.severity == "error"]
                raise FactError(errors or Problem("nothing-to-assess"))
            self._assess(tables)
            self._settle(tables)
            writer = stack.enter_context(open_writer(
                temporary, output.suffix.lower(), self.results[self.dossier.subject], self.pack, self.summary))
            for table in self._ordered(pieces):
                if not self.wide:
                    self.summary.sums.merge(_sums_of(self.results[self.dossier.subject], table))
                writer.write(table)

    # Matters

    def _assess(self, tables: CaseTables) -> None:
        """The outcomes of every matter as result rows on disk, each group's amounts still side by side."""
        own = {name: self.program.programs[name].present for name in tables.records}
        relations = Relations(own, self.program.stored)
        extra = {CASE: pl.Int64(), ORDER: pl.Int32(), N: pl.Int64(), **dict.fromkeys(self.keys, pl.String())}
        columns: dict[str, pl.DataType] = {**self.schema, **extra}
        tables.pieces.append("results", pl.DataFrame(schema=columns))
        tables.pieces.append("beyond", pl.DataFrame(schema={CASE: pl.Int64()}))
        for name in tables.records:
            program = self.program.programs[name]
            if not program.steps:
                continue
            query = relations.brought(name, self.program.brought(name), [N, CASE, SUBJECT_NAME, *sorted(own[name])])
            for frame in tables.frames(query, name):
                frame = frame.rename({N: ROW, SUBJECT_NAME: SUBJECT})
                if frame.height:
                    found = self._run(tables, name, program, frame)
                    tables.pieces.append("results", found.select(
                        pl.col(one).cast(kind) for one, kind in columns.items()))
        for name in ("results", "beyond"):
            tables.pieces.finish(name)

    def _run(self, tables: CaseTables, name: str, program: Program, frame: pl.DataFrame) -> pl.DataFrame:
        """The result rows of some rows of a record."""
        filled, done = program.run(frame)
        faults = [one for prepared in program.steps for one in program.faults(prepared, filled, done)]
        if faults:
            lines = dict(faults)
            bad = frame.get_column(ROW).is_in(list(lines))
            beyond = frame.filter(bad).select(CASE, ROW)
            tables.pieces.append("beyond", beyond.select(pl.col(CASE)).unique())
            room = max(0, MAX_FAULTS - len(self.faults))
            self.faults += [(case, row, replace(lines[row], location=tables.place(row)))
                            for case, row in beyond.head(room).iter_rows()]
            self.summary.problems_in_all += max(0, beyond.height - room)
            if self.wide:  # one row a case: what is left out here is left out whole
                filled = filled.filter(~bad)
                done = {identity: found.filter(~bad) for identity, found in done.items()}
        self.summary.sums.add(program, done if self.wide else {name: one.clear() for name, one in done.items()})
        table = self.results[name].coded(filled, done)
        keys = self._keys(name, program, frame)
        beside = frame.select(pl.col(ROW).alias("row"), pl.col(CASE))
        table = table.join(beside, on="row", how="left", maintain_order="left").with_columns(pl.col("row").alias(N))
        if self.wide:
            return table.with_columns(pl.lit(0, dtype=pl.Int32).alias(ORDER), *(
                pl.lit(None, dtype=pl.String).alias(key) for key in self.keys))
        orders = pl.Series([self.order[one] for one in self.results[name].places], dtype=pl.Int32)
        table = table.with_columns(pl.lit(orders).gather(pl.col("provision")).alias(ORDER))
        return table.join(keys, on=["row", "provision"], how="left", maintain_order="left") if self.keys else table

    def _keys(self, name: str, program: Program, frame: pl.DataFrame) -> pl.DataFrame:
        """For each row and matter the keys of its exclusivity group; null where it has none."""
        parts = []
        for prepared in program.steps:
            matter = prepared.step.matter
            assert matter is not None, "a dossier's steps come from its matters"
            of = [source.field for source in matter.highest_of or ()]
            columns = []
            for place, key in enumerate(self.keys):
                if place >= len(of):
                    column = pl.lit("" if of else None, dtype=pl.String)
                else:
                    column = pl.col(of[place]) if of[place] in frame.columns else pl.lit(None)
                columns.append(column.cast(pl.String).alias(key))
            place = self.results[name].places[prepared.provision.id]
            parts.append(frame.select(
                pl.col(ROW).alias("row"), pl.lit(place, dtype=pl.UInt32).alias("provision"), *columns))
        return pl.concat(parts)

    # Results

    def _settle(self, tables: CaseTables) -> None:
        """Cases beyond the calendar go from the evaluated to the rejected, whole."""
        if not self.faults:
            return
        self.faults.sort(key=lambda fault: (fault[0], fault[1] != fault[0], fault[1]))
        self.summary.report([problem for _, _, problem in self.faults])
        rows = " UNION ALL ".join(f'SELECT "{CASE}" FROM {rows_of(name)}' for name in tables.records)
        lost = tables.pieces.whole(parsed(
            f'SELECT COUNT(*) FROM ({rows}) AS r WHERE r."{CASE}" IN (SELECT "{CASE}" FROM beyond)')).item()
        self.summary.rejected["calendar"] += lost
        self.summary.evaluated -= lost

    def _ordered(self, pieces: Pieces) -> Iterator[pl.DataFrame]:
        """The result rows of usable cases: by case, matter and row."""
        table = "results"
        if self.keys and not self.wide:
            table = "counted"
            pieces.create(table, highest_only(
                "results", [*self.schema, CASE, ORDER, N], self.keys, COUNTED, YIELDS))
        left = f'WHERE NOT EXISTS (SELECT 1 FROM beyond AS b WHERE b."{CASE}" = r."{CASE}")' if self.faults else ""
        shown = parsed(f"""
            SELECT {', '.join(f'r.{quoted(name)}' for name in self.schema)} FROM {table} AS r {left}
            ORDER BY r."{CASE}", r."{ORDER}", r."{N}" """)
        lines = [(pl.col(name) % LINES).alias(name) for name in ("row", YIELDS) if name in self.schema]
        for frame in pieces.frames(shown):
            yield frame.with_columns(lines).select(pl.col(name).cast(kind) for name, kind in self.schema.items())


def _sums_of(results: Results, table: pl.DataFrame) -> Sums:
    """What some result rows (`Results.coded`) come to."""
    found = Sums()
    for place, status, count in table.group_by("provision", "status", maintain_order=True).len().iter_rows():
        found.statuses.setdefault(results.provisions[place], Counter())[results.statuses[status]] += count
    money = [column.name for column in results.columns if column.kind is Kind.MONEY]
    amounts = table.group_by("provision", maintain_order=True).agg(
        pl.col(name).sum() for name in [*money, *([COUNTED] if results.counted else [])])
    own = {prepared.provision.id: {one.name for one in prepared.plan.outputs} for prepared in results.steps}
    for row in amounts.iter_rows(named=True):
        identity = results.provisions[row["provision"]]
        found.money[identity] = {name: int(row[name] * 100) for name in money if name in own[identity]}
        if results.counted:
            found.counted[identity] = int(row[COUNTED] * 100)
    return found


__all__ = ["CaseStream"]

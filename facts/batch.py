"""Files of submissions in, files of outcomes out, at scale: nothing lost, nothing half written.

A CSV, JSON Lines or Parquet file streams through in blocks, so that memory stays the same from a
million rows to a hundred million; a workbook is read whole. Rows read = evaluated + rejected +
skipped. Results are written beside their place and renamed at the end.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Protocol

import polars as pl

from engine.batch import ROW, Assessment, Program, provision_steps, subject_steps
from engine.batch_table import Results, Sums
from engine.dataclass import dataclass
from engine.errors import EvaluationError, FactError, Lang, Problem
from engine.evaluate.sql_run import Engine, PolarsEngine
from engine.files import replacing
from engine.load import Pack
from engine.model import Case, Dossier, Provision, Row, Text
from engine.outcome import Outcome
from engine.source import Location
from engine.values import Value
from facts.batch_files import BLOCKS, WHOLE, check_written, open_writer, told_apart, write_problems
from facts.blocks import Block, BlockReader
from facts.csv_source import Source
from facts.grid import Grid
from facts.headings import GivenTables, Target, forced_targets, provision_target, targets_of
from facts.lines import Lines
from facts.repeated import Repeated, repeated_subjects
from facts.table_files import open_source
from facts.tally import TableInfo, Tally
from facts.text import is_workbook

if TYPE_CHECKING:
    from engine.batch_cases import CaseProgram
    from facts.from_tree import FlatCase

# What only some inputs need is imported where it is needed: the start of a batch is a good part of a short one.

LARGE = 4 << 20
"""Bytes of related files from which on they are read in blocks."""
MAX_PROBLEMS = 200_000
"""Problems kept for the report; beyond it they are only counted."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to assess and how to write it.

    `provisions` are assessed for each row; where there are none, `record` (or what the headings say)
    tells the dossier's record. `given` is what a person said of columns. `engine` makes the evaluator.
    `keep` is told of everything that is assessed.
    """

    provisions: tuple[str, ...] = ()
    record: str | None = None
    as_of: date | None = None
    shape: str = "long"
    lang: Lang = "zh"
    annotate: bool = False
    workers: int = 3
    engine: Callable[[], Engine] = PolarsEngine
    given: GivenTables = field(default_factory=dict)
    keep: Keep | None = None


class Keep(Protocol):
    """Takes the facts that were assessed, for those who tell later why a row came to its result."""

    def block(self, program: Program, block: Block) -> None:
        """Rows of a file read in blocks; the result's `row` is the number of each."""

    def cases(self, cases: Sequence[Case], rows: Sequence[tuple[int, int]]) -> None:
        """Whole dossiers; for each row of the result the number of its case and of its row within that (0: subject)."""

    def flat(self, flat: Sequence[FlatCase], rows: Sequence[int]) -> None:
        """Facts of provisions; for each row of the result the number of its facts."""


@dataclass
class Summary:
    """What became of everything: `rows_in` = `evaluated` + `rejected` + `skipped`.

    `remarks` are what has to be said beside it: which provisions were not assessed, and what was taken as none.
    """

    rows_in: int = 0
    evaluated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    sums: Sums = field(default_factory=Sums)
    problems: list[Problem] = field(default_factory=list)
    problems_in_all: int = 0
    seconds: float = 0.0
    tables: list[TableInfo] = field(default_factory=list)
    remarks: dict[Text, None] = field(default_factory=dict)

    def check(self) -> None:
        """Nothing may be lost."""
        total = self.evaluated + self.rejected.total() + self.skipped.total()
        assert self.rows_in == total, f"{self.rows_in} rows in, {total} accounted for"

    @property
    def is_all_refused(self) -> bool:
        """Whether not one row is left, but each can be told in the list of problems and marked where it stands."""
        return not self.evaluated and bool(self.rejected.total()) and not any(
            problem.code == "no-subject-table" for problem in self.problems)

    def report(self, problems: Sequence[Problem]) -> None:
        """Problems kept, up to a limit."""
        self.problems_in_all += len(problems)
        self.problems += problems[: self.room]

    @property
    def room(self) -> int:
        """How many more problems are kept."""
        return max(0, MAX_PROBLEMS - len(self.problems))

    def merge(self, other: Summary) -> None:
        """The account of another file added; its remarks are about that file alone."""
        self.rows_in += other.rows_in
        self.evaluated += other.evaluated
        self.rejected.update(other.rejected)
        self.skipped.update(other.skipped)
        self.sums.merge(other.sums)
        self.problems_in_all += other.problems_in_all - len(other.problems)
        self.report(other.problems)
        self.seconds += other.seconds
        self.tables += other.tables


Progress = Callable[[int, int], None]
"""Told of rows and bytes as they are done."""


@dataclass(frozen=True)
class _Chosen:
    """What the rows of a table go through."""

    program: Program
    results: Results
    dossier: Dossier | None = None
    skipped: Mapping[int, Text] = field(default_factory=dict)


class Batch:
    """One run over some inputs with the same options."""

    def __init__(self, pack: Pack, options: Options) -> None:
        self.pack, self.options = pack, options
        self.engine = options.engine()
        self.provisions = [pack.provision(identity) for identity in options.provisions]
        self.union: Provision | None = None
        if self.provisions:
            try:
                _, fields = provision_steps(self.provisions, frozenset())
            except ValueError as error:
                raise FactError(Problem("facts-differ", fields={"name": str(error)})) from None
            self.union = replace(self.provisions[0], id="+".join(options.provisions), facts=fields)
        self.assessment = Assessment(options.as_of or pack.reference_date, options.as_of, pack.deadline.as_of)

    def close(self) -> None:
        self.engine.close()

    def targets(self, grid: Grid, title: str) -> list[Target]:
        """What the rows of a table may be."""
        given = self.options.given
        if self.union is not None:
            return [provision_target(self.union, given)]
        known = targets_of(self.pack.dossiers, given)
        if self.options.record is not None:
            forced = forced_targets(known, self.options.record)
            named = self.pack.find(self.options.record) if not forced else None
            return [provision_target(named, given)] if named is not None else forced
        named = grid.head.provision(self.pack.find) or self.pack.find(title)
        return [provision_target(named, given)] if named is not None else known

    def choose(self, target: Target, present: frozenset[str]) -> _Chosen:
        """The program for a table's target and the columns it has. Errors (`FactError`): `nothing-to-assess`."""
        if target.provision is not None:
            provisions = self.provisions or [target.provision]
            steps, fields = provision_steps(provisions, present)
            program = Program(steps, fields, present, self.assessment, engine=self.engine)
            return _Chosen(program, Results(program, self.options.lang, self.options.shape))
        assert target.dossier is not None
        return self._subject(target.dossier, present)

    def _subject(self, dossier: Dossier, present: frozenset[str]) -> _Chosen:
        from engine.dossier import skipped_matters

        record = dossier.records[dossier.subject]
        provisions = {matter.provision: self.pack.provision(matter.provision) for matter in dossier.matters}
        skipped = skipped_matters(dossier, provisions, {record.name: present})
        steps = subject_steps(dossier, provisions, skipped)
        if not steps:
            raise FactError(Problem("nothing-to-assess"))
        counted = dossier.total is not None
        program = Program(steps, record.fields, present, self.assessment, record.derived, self.engine, counted)
        results = Results(program, self.options.lang, self.options.shape, counted)
        return _Chosen(program, results, dossier, skipped)

    # Running

    def run(self, path: Path, output: Path, problems: Path | None, progress: Progress | None = None,
            marked: Path | None = None) -> Summary:
        """One input to one output; what could not be used to `problems`, a workbook with its faults marked to `marked`.

        Errors (`FactError`): a file that cannot be read or recognised; nothing is written then.
        """
        with self._account_of([path], output, problems, self._copies([path], output, marked)) as (summary, temporary):
            if is_workbook(path) or path.suffix.lower() in WHOLE:
                self._whole([path], output, temporary, summary)
            else:
                self._stream(path, output, temporary, summary, progress)
        return summary

    @contextmanager
    def _account_of(self, paths: Sequence[Path], output: Path, problems: Path | None,
                    copies: Mapping[Path, Path]) -> Iterator[tuple[Summary, Path]]:
        """What becomes of some inputs, and where results are written; the problems are told where all went well.

        Errors (`FactError`): those of `_check_outputs`.
        """
        _check_outputs(paths, output, [*([problems] if problems is not None else ()), *copies.values()])
        start = time.perf_counter()
        summary = Summary()
        with replacing(output) as temporary:
            yield summary, temporary
            summary.check()
            for path, target in copies.items():
                self._mark(path, target, summary)
            summary.seconds = time.perf_counter() - start
            self._problems(problems, summary)

    def _copies(self, paths: Sequence[Path], output: Path, marked: Path | None = None) -> dict[Path, Path]:
        """Where the copy of each workbook with its faults marked goes: to `marked`, or beside the output."""
        if not self.options.annotate:
            return {}
        books = {path: path.stem for path in paths if path.suffix.lower() in (".xlsx", ".xlsm")}
        return {path: marked or output.with_name(f"{name}.annotated{path.suffix}")
                for path, name in told_apart(books).items()}

    def source(self, path: Path) -> Source:
        """A file that can be read in blocks."""
        forced = self.union is not None or self.options.record is not None
        return open_source(path, self.targets, forced)

    def _stream(self, path: Path, output: Path, temporary: Path, summary: Summary, progress: Progress | None) -> None:
        source = self.source(path)
        dossier = source.target.dossier
        if dossier is not None and not _goes_by_row(dossier, source.target):
            self._related([path], output, temporary, summary, progress)
            return
        present = frozenset(column.field for column in source.layout.columns if column.field is not None)
        chosen = self.choose(source.target, present)
        if dossier is not None:
            self._remark(dossier, chosen.skipped, {dossier.subject}, summary)
        reader = BlockReader(source, chosen.program)
        repeated = repeated_subjects(chosen.dossier, reader) if chosen.dossier is not None else None
        summary.report([problem for problem in source.layout.problems if problem.severity == "warning"])
        workers = self.options.workers if isinstance(self.engine, PolarsEngine) else 1
        with open_writer(temporary, output.suffix.lower(), chosen.results, self.pack, summary) as writer:
            for block, table, sums in _in_order(
                    source.blocks(), lambda lines: self._block(reader, chosen, repeated, path, lines), workers):
                self._account(block, summary)
                if self.options.keep is not None:
                    self.options.keep.block(chosen.program, block)
                summary.sums.merge(sums)
                writer.write(table, block.plain)
                if progress is not None:
                    progress(block.rows_in, block.size)
        if not summary.evaluated and not summary.rejected:
            summary.report([source.grid.no_rows(source.layout, source.target)])
        tally = Tally(source.name, None, source.target, source.layout.columns, summary.rows_in, summary.evaluated,
                      summary.rejected, summary.skipped)
        summary.tables.append(tally.info())

    def _remark(self, dossier: Dossier, skipped: Mapping[int, Text], submitted: Collection[str],
                summary: Summary) -> None:
        from engine.dossier import assumed_absent
        from engine.report import remarks

        summary.remarks |= dict.fromkeys(remarks(
            self.pack, assumed_absent(dossier, submitted),
            ((dossier.matters[number].provision, reason) for number, reason in skipped.items())))

    @staticmethod
    def _account(block: Block, summary: Summary) -> None:
        summary.rows_in += block.rows_in
        summary.rejected.update(block.rejected)
        summary.skipped.update(block.skipped)
        summary.evaluated += block.rows_in - sum(block.rejected.values()) - sum(block.skipped.values())
        summary.report(block.problems)

    def _block(self, reader: BlockReader, chosen: _Chosen, repeated: Repeated | None, path: Path,
               lines: Lines) -> tuple[Block, pl.DataFrame, Sums]:
        def place(row: int) -> Location:
            return Location(str(path), line=row)

        block = reader.read(lines)
        if repeated is not None:
            repeated.refuse(block, lines, place, MAX_PROBLEMS)
        table, sums = self.assess(chosen, block, place)
        return block, table, sums

    def assess(self, chosen: _Chosen, block: Block, place: Callable[[int], Location]) -> tuple[pl.DataFrame, Sums]:
        """The outcomes of a block's rows (`Results.coded`); rows beyond the calendar are taken out and reported."""
        program, results, sums = chosen.program, chosen.results, Sums()
        frame, done = program.run(block.frame)
        faults = [fault for prepared in program.steps for fault in program.faults(prepared, frame, done)]
        if faults:
            lines = {line for line, _ in faults}
            block.rejected["calendar"] = block.rejected.get("calendar", 0) + len(lines)
            block.problems += [replace(problem, location=place(line)) for line, problem in sorted(
                faults, key=lambda fault: fault[0])]
            kept = ~frame.get_column(ROW).is_in(list(lines))
            frame = frame.filter(kept)
            done = {identity: found.filter(kept) for identity, found in done.items()}
        sums.add(program, done)
        table = results.coded(frame, done)
        extra = [table]
        for line, subject, values in block.loose:
            try:
                outcomes, counted = self._reference(chosen, values)
            except EvaluationError as error:
                block.rejected["calendar"] = block.rejected.get("calendar", 0) + 1
                block.problems.append(replace(error.problems[0], location=place(line)))
                continue
            sums.add_outcomes(outcomes, counted)
            extra.append(results.rows(line, subject, outcomes, counted))
        if len(extra) > 1:
            table = pl.concat([one.select(table.columns).cast(dict(table.schema)) for one in extra])  # type: ignore[arg-type]
            table = table.sort("row", maintain_order=True)
        return table, sums

    def _reference(
        self, chosen: _Chosen, values: Mapping[str, Value | None]
    ) -> tuple[dict[str, Outcome], dict[str, int | None]]:
        """A row that no column holds by the reference: outcomes, and in a dossier what counts towards the total.

        Errors (`EvaluationError`): where the calendar ends.
        """
        dossier = chosen.dossier
        if dossier is None:
            return chosen.program.reference(values), {}
        from engine.dossier import assess_dossier, derive_case, reference_agenda

        case = derive_case(dossier, Case(dossier.id, Row(dossier.subject, values)))
        agenda = reference_agenda(dossier, case, chosen.skipped)
        found = assess_dossier(self.pack, dossier, case, agenda, self.options.as_of, chosen.skipped, explained=False)
        counted = {item.outcome.provision: item.paid for item in found.items} if dossier.total is not None else {}
        return {item.outcome.provision: item.outcome for item in found.items}, counted

    # Several files, and files of which rows belong together

    def run_together(self, paths: Sequence[Path], output: Path, problems: Path | None,
                     progress: Progress | None = None) -> Summary:
        """Several files as one submission: their rows are joined by their keys. Errors as `run`.

        Tables that can be read in blocks go through the disk (`CaseStream`), so that memory is bounded:
        under DuckDB and Spark, under a memory limit, and where they are `LARGE` or no CSV. All others
        (`recognise_files` tells which) are read whole and held in memory under every engine.
        """
        with self._account_of(paths, output, problems, self._copies(paths, output)) as (summary, temporary):
            self._related(paths, output, temporary, summary, progress)
        return summary

    def _related(self, paths: Sequence[Path], output: Path, temporary: Path, summary: Summary,
                 progress: Progress | None) -> None:
        """Tables of which rows belong together, through the disk or in memory."""
        if not self._through_disk(paths) or not self._stream_cases(paths, output, temporary, summary, progress):
            self._whole(paths, output, temporary, summary)

    def _whole(self, paths: Sequence[Path], output: Path, temporary: Path, summary: Summary) -> None:
        from facts.batch_whole import WholeSubmission

        WholeSubmission(self, output, temporary, summary).write(paths)

    def _through_disk(self, paths: Sequence[Path]) -> bool:
        """Whether related files should be read in blocks, where they can be."""
        if self.union is not None or self.options.record is not None:
            return False
        if not all(find_spec(name) for name in ("duckdb", "pyarrow", "sqlglot")):
            return False
        in_memory = isinstance(self.engine, PolarsEngine) and self.engine.memory_limit is None
        return not in_memory or sum(path.stat().st_size for path in paths) > LARGE or any(
            path.suffix.lower() in BLOCKS for path in paths)

    def _stream_cases(self, paths: Sequence[Path], output: Path, temporary: Path, summary: Summary,
                      progress: Progress | None) -> bool:
        """The outcomes of related files by way of the disk; false, and nothing done, where these are no such files.

        Errors (`FactError`): `memory-limit-too-small`, and those of `CaseTables`.
        """
        from engine.evaluate.pieces import MemoryExceeded
        from facts.batch_cases import CaseStream
        from facts.case_tables import recognise_files

        files = recognise_files(paths, self.targets)
        if files is None:
            return False
        program, of = self.case_program(files.dossier, files.present, summary)
        stream = CaseStream(self.pack, files, program, of, summary, progress)
        try:
            stream.write(output, temporary, self.engine.pieces)
        except MemoryExceeded as error:
            raise FactError(Problem("memory-limit-too-small", fields={"reason": str(error)})) from None
        return True

    def _problems(self, problems: Path | None, summary: Summary) -> None:
        if problems is not None and summary.problems:
            write_problems(problems, summary, self.options.lang)
        elif problems is not None:
            problems.unlink(missing_ok=True)

    def _mark(self, path: Path, target: Path, summary: Summary) -> None:
        """A copy of a workbook with its own faults marked; none, and none from before, where it has no faults."""
        from facts.annotate import annotate

        own = [problem for problem in summary.problems if problem.location.file == str(path)]
        if any(problem.location.cell is not None for problem in own):
            annotate(path, target, own, self.options.lang)
        else:
            target.unlink(missing_ok=True)

    def case_program(self, dossier: Dossier, present: Mapping[str, frozenset[str]],
                      summary: Summary) -> tuple[CaseProgram, dict[str, Results]]:
        """The matters of a dossier of which some fields are present, and how each record's outcomes are laid out.

        Errors (`FactError`): `nothing-to-assess`, `wide-needs-one-row`, `one-case-at-a-time`.
        """
        from engine.batch_cases import CaseProgram, CasesRefused
        from engine.dossier import skipped_matters

        provisions = {matter.provision: self.pack.provision(matter.provision) for matter in dossier.matters}
        skipped = skipped_matters(dossier, provisions, present)
        self._remark(dossier, skipped, present, summary)
        try:
            program = CaseProgram(dossier, provisions, skipped, present, self.assessment, self.engine)
        except CasesRefused as error:
            raise FactError(Problem("one-case-at-a-time", fields={
                "dossier": dossier.label.zh, "provision": str(error)})) from None
        prepared = [step for one in program.programs.values() for step in one.steps]
        if not prepared:
            raise FactError(Problem("nothing-to-assess"))
        if self.options.shape == "wide" and any(
                one.steps for name, one in program.programs.items() if name != dossier.subject):
            raise FactError(Problem("wide-needs-one-row", fields={"dossier": dossier.label.zh}))
        return program, {
            name: Results(one, self.options.lang, self.options.shape, dossier.total is not None, prepared)
            for name, one in program.programs.items()}


def _check_outputs(inputs: Sequence[Path], output: Path, beside: Sequence[Path]) -> None:
    """Errors (`FactError`): `unknown-file-kind`, `output-is-input`, `outputs-coincide`; nothing is touched then."""
    check_written(output)
    written = {os.path.realpath(one) for one in (output, *beside)}
    if len(written) <= len(beside):
        raise FactError(Problem("outputs-coincide", fields={"path": str(output)}))
    for path in inputs:
        if os.path.realpath(path) in written:
            raise FactError(Problem("output-is-input", fields={"path": str(path)}))


def _goes_by_row(dossier: Dossier, target: Target) -> bool:
    """Whether each row of a table is a case: one of subjects, whose matters do not exclude one another."""
    own = [matter for matter in dossier.matters if matter.each == dossier.subject]
    return (target.record is not None and target.record.name == dossier.subject
            and all(matter.highest_of is None for matter in own))


_Done = tuple[Block, pl.DataFrame, Sums]


def _in_order(blocks: Iterator[Lines], work: Callable[[Lines], _Done], workers: int) -> Iterator[_Done]:
    """The blocks worked on by some threads, handed on in order; another thread reads, a few blocks ahead."""
    room = Semaphore(workers + 1)
    """Blocks that may be held: those worked on, and one that was read or is used."""
    worked: SimpleQueue[Future[_Done] | None] = SimpleQueue()
    stopped = Event()

    def read() -> None:
        try:
            while room.acquire() and not stopped.is_set() and (lines := next(blocks, None)) is not None:
                worked.put(pool.submit(work, lines))
        finally:
            worked.put(None)

    with ThreadPoolExecutor(workers) as pool, ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read)
        try:
            while (future := worked.get()) is not None:
                yield future.result()
                room.release()
            reading.result()
        finally:
            stopped.set()
            room.release()


__all__ = ["Batch", "Options", "Summary"]

"""Related files of any size → tables of a dossier's rows on disk, joined into cases by SQL.

The verdicts are those of `facts.joining`: a key without a partner, two rows for one subject and a case
of which a row cannot be used are problems with the same codes, and nothing is lost. Files are read
block by block, so that memory does not grow with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from sqlglot import exp

from engine.batch import ROW, Program
from engine.batch_cases import CaseProgram
from engine.dataclass import dataclass
from engine.errors import FactError, Problem, nearest
from engine.evaluate.pieces import Pieces, parsed, quoted
from engine.evaluate.polars_backend import column_type
from engine.evaluate.relations import CASE, N, rows_of
from engine.model import Dossier
from engine.source import Location
from engine.types import Kind
from engine.values import fold
from facts.blocks import Block, BlockReader
from facts.csv_source import Source
from facts.grid import Grid
from facts.headings import Target
from facts.joining import MAX_NAMES, MAX_SUGGESTED
from facts.repeated import folded
from facts.table_files import open_source
from facts.tally import Draft

if TYPE_CHECKING:
    from facts.batch import Summary

IN_BLOCKS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet")
"""Files whose rows can be read without holding them all."""
LINES = 2**40
"""A row's number is that of its file times this, and its line."""
SUBJECT_NAME = "#name"
_FOLD, _FAULT, _LACKS, _GIVEN = "#fold", "#fault", "#lacks", "#given "


@dataclass
class CaseFiles:
    """The files of one dossier, each recognised as a record's table."""

    dossier: Dossier
    sources: list[Source]

    def record(self, source: Source) -> str:
        assert source.target.record is not None, "the file was recognised as a record's"
        return source.target.record.name

    @property
    def present(self) -> dict[str, frozenset[str]]:
        """For each record that has a file, the fields submitted."""
        return {self.record(source): _fields(source) for source in self.sources}


def _fields(source: Source) -> frozenset[str]:
    return frozenset(column.field for column in source.layout.columns if column.field is not None)


def recognise_files(paths: Sequence[Path], targets: Callable[[Grid, str], list[Target]]) -> CaseFiles | None:
    """The files as tables of one dossier; none where any of them is not one that can be read in blocks.

    A table that several dossiers know belongs to the one that the others belong to. Files of one
    record have to have the same fields, and every file the key of the subject, which is a text.
    """
    if any(path.suffix.lower() not in IN_BLOCKS for path in paths):
        return None
    opened: dict[Path, Source] = {}
    unclear: list[Path] = []
    for path in paths:
        try:
            opened[path] = open_source(path, targets, forced=False)
        except FactError as error:
            if any(problem.code != "table-ambiguous" for problem in error.problems):
                return None
            unclear.append(path)
    known = [source.target.dossier for source in opened.values()]
    dossier = known[0] if known else None
    if dossier is None or any(one is not dossier for one in known):
        return None

    def own(grid: Grid, title: str) -> list[Target]:
        return [one for one in targets(grid, title) if one.dossier is dossier]

    try:
        opened.update({path: open_source(path, own, forced=False) for path in unclear})
    except FactError:
        return None
    files = CaseFiles(dossier, [opened[path] for path in paths])
    key = dossier.records[dossier.subject].key
    records = {files.record(source) for source in files.sources}
    whole = (key is not None and dossier.subject in records
             and all(key in dossier.records[name].fields and dossier.records[name].fields[key].type.kind is Kind.TEXT
                     for name in records)
             and all(_fields(source) == files.present[files.record(source)] for source in files.sources)
             and all((own_key := dossier.records[name].key) is None
                     or dossier.records[name].fields[own_key].type.kind is Kind.TEXT for name in records))
    return files if whole else None


@dataclass
class CaseTables:
    """The rows of some files on disk, and what became of them.

    After `read`, `rows_<record>` holds the rows of usable cases with their case and its subject's name.
    """

    files: CaseFiles
    program: CaseProgram
    pieces: Pieces
    summary: Summary
    progress: Callable[[int, int], None] | None = None
    records: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dossier = self.files.dossier
        self.subject = self.dossier.subject
        self.key = self.dossier.records[self.subject].key or ""
        self.records = list(dict.fromkeys(self.files.record(source) for source in self.files.sources))

    def place(self, number: int) -> Location:
        """Where a row stands, by its number."""
        return Location(self.files.sources[number // LINES].name, number % LINES)

    def read(self) -> None:
        """Every file into its table, and the tables into cases. Errors (`FactError`): `finer-than-column`."""
        for name in self.records:
            self.pieces.append(f"in_{name}", pl.DataFrame(schema=self._schema(name)))
        for number, source in enumerate(self.files.sources):
            self._read(number, source)
        for name in self.records:
            self.pieces.finish(f"in_{name}")
        self._join()

    # Reading

    def _compared(self, name: str) -> dict[str, str]:
        """For each given field the column in which it stands as it was given."""
        own = self.program.programs[name]
        derived = {other for other, _ in own.derived}
        return {given: f"{_GIVEN}{given}" if given in derived else given for given in sorted(own.given)}

    def _schema(self, name: str) -> dict[str, pl.DataType]:
        fields = self.dossier.records[name].fields
        own = {column: column_type(fields[given]) for given, column in self._compared(name).items()}
        return {N: pl.Int64(), _FOLD: pl.String(), _FAULT: pl.String(), _LACKS: pl.String(), **own,
                **{one: column_type(of) for one, of in fields.items() if one in self.program.programs[name].present}}

    def _read(self, number: int, source: Source) -> None:
        name = self.files.record(source)
        program = self.program.programs[name]
        reader = BlockReader(source, program)
        schema, summary = self._schema(name), self.summary
        given = [pl.col(one).alias(column) for one, column in self._compared(name).items() if one != column]
        summary.report([problem for problem in source.layout.problems if problem.severity == "warning"])
        kept = 0
        for lines in source.blocks():
            block = reader.read(lines)
            if block.loose:
                raise FactError(Problem("finer-than-column", self.place(number * LINES + block.loose[0][0]), {
                    "value": self._finer(program, block)}))
            frame = program.fill(block.frame.with_columns(given))
            frame = frame.with_columns(
                (pl.lit(number * LINES) + pl.col(ROW)).alias(N), folded(frame.get_column(self.key)).alias(_FOLD),
                pl.lit(None, dtype=pl.String).alias(_FAULT), pl.lit("").alias(_LACKS))
            self.pieces.append(f"in_{name}", frame.select(pl.col(one).cast(kind) for one, kind in schema.items()))
            if block.faulty:
                self.pieces.append(f"in_{name}", self._faulty(number, name, block.faulty))
            kept += frame.height + len(block.faulty)
            summary.rows_in += block.rows_in
            summary.rejected.update(block.rejected)
            summary.skipped.update(block.skipped)
            summary.report(block.problems)
            if self.progress is not None:
                self.progress(block.rows_in, block.size)
        if not kept:
            summary.report([source.grid.no_rows(source.layout, source.target)])

    @staticmethod
    def _finer(program: Program, block: Block) -> str:
        for name, value in block.loose[0][2].items():
            try:
                program.words.stored(value, program.fields[name].type)
            except ValueError as error:
                return str(error)
        return ""

    def _faulty(self, number: int, name: str, drafts: Sequence[Draft]) -> pl.DataFrame:
        """Rows with a fault: what is known of them, and which of their fields could not be read."""
        words, schema = self.program.programs[name].words, self._schema(name)
        rows = []
        for draft in drafts:
            row: dict[str, Any] = dict.fromkeys(schema)
            lacks = []
            for given, column in self._compared(name).items():
                try:
                    value = draft.row.values[given]
                    row[column] = words.stored(value, self.dossier.records[name].fields[given].type)
                except (KeyError, ValueError) as error:
                    lacks.append(f"{given} {error}")
            key = draft.row.values.get(self.key)
            row |= {N: number * LINES + (draft.row.at.line or 0), _FAULT: draft.fault, _LACKS: "\n".join(lacks),
                    _FOLD: None if key is None else fold(str(key))}
            rows.append(row)
        return pl.DataFrame(rows, schema=schema)

    # Joining

    def _related(self, columns: str, where: str, stage: str = "in") -> str:
        """Some columns of all related tables, as they were read (`in`) or with their cases (`joined`)."""
        names = [name for name in self.records if name != self.subject]
        selects = [f'SELECT {columns} FROM "{stage}_{name}" WHERE {where}' for name in names]
        return " UNION ALL ".join(selects) or f'SELECT {columns} FROM "{stage}_{self.subject}" WHERE FALSE'

    def _join(self) -> None:
        """Rows into cases: which case each belongs to, and what cannot be used.

        One large join or group a query, so that what exceeds the memory can be spilled.
        """
        subjects, key = f'"in_{self.subject}"', quoted(self.key)
        self._create("named", f"""
            SELECT "{N}", "{_FOLD}", "{_FAULT}", {key} AS "{SUBJECT_NAME}",
              CASE WHEN NOT "{_FOLD}" IS NULL THEN MIN("{N}") OVER (PARTITION BY "{_FOLD}") END AS "#first"
            FROM {subjects}""")
        same = " AND ".join(f"d.{quoted(one)} IS NOT DISTINCT FROM f.{quoted(one)}"
                            for one in [_LACKS, *self._compared(self.subject).values()])
        self._create("duplicates", f"""
            SELECT d."{N}", i."#first", d."{_FAULT}", f."{_FAULT}" AS "#first_fault", d.{key} AS "#own_key",
              f.{key} AS "#first_key", {same} AS "#same"
            FROM (SELECT "{N}", "#first" FROM named WHERE "{N}" > "#first") AS i
            JOIN {subjects} AS d ON d."{N}" = i."{N}" JOIN {subjects} AS f ON f."{N}" = i."#first" """)
        self._create("cases", f"""
            SELECT s."{N}" AS "{CASE}", s."{_FOLD}", s."{SUBJECT_NAME}",
              CASE WHEN NOT s."{_FAULT}" IS NULL OR NOT c."#first" IS NULL THEN 'subject'
                   WHEN NOT b."{_FOLD}" IS NULL THEN 'fellow' END AS "#state"
            FROM named AS s
            LEFT JOIN (SELECT DISTINCT "#first" FROM duplicates WHERE NOT "#same") AS c ON c."#first" = s."{N}"
            LEFT JOIN (SELECT DISTINCT "{_FOLD}" FROM ({self._related(f'"{_FOLD}"', f'NOT "{_FAULT}" IS NULL')}) AS r)
              AS b ON b."{_FOLD}" = s."{_FOLD}"
            WHERE s."{N}" = s."#first" """)
        for name in self.records:
            columns = ", ".join(f"r.{quoted(one)}" for one in self.program.programs[name].present)
            own, shown = self.dossier.records[name].key, f'c."{SUBJECT_NAME}"'
            if name != self.subject and own in self.program.programs[name].present:
                shown = (f'CASE WHEN r.{quoted(own)} = {shown} OR r.{quoted(own)} IS NULL THEN {shown} '
                         f"ELSE CONCAT({shown}, ' ', r.{quoted(own)}) END")
            on = f'r."{N}" = c."{CASE}"' if name == self.subject else f'r."{_FOLD}" = c."{_FOLD}"'
            self._create(f"joined_{name}", f"""
                SELECT r."{N}", r."{_FAULT}", c."{CASE}", c."#state", {shown} AS "{SUBJECT_NAME}", {columns}
                FROM "in_{name}" AS r LEFT JOIN cases AS c ON {on}""")
            self.pieces.view(rows_of(name), parsed(f"""
                SELECT * FROM "joined_{name}"
                WHERE NOT "{CASE}" IS NULL AND "#state" IS NULL AND "{_FAULT}" IS NULL"""))
        self._account()
        self._tell()

    def _create(self, name: str, text: str) -> None:
        self.pieces.create(name, parsed(text))

    def _account(self) -> None:
        """Rows that joining refuses, by kind; the others are evaluated."""
        kinds = (f"""CASE WHEN "{CASE}" IS NULL THEN 'partner' WHEN "#state" IS NULL THEN 'evaluated' """
                 "ELSE 'fellow' END")
        found = [f"""
            SELECT {kinds} AS "#kind", COUNT(*) AS "#count"
            FROM ({self._related(f'"{CASE}", "#state"', f'"{_FAULT}" IS NULL', "joined")}) AS r GROUP BY 1""", f"""
            SELECT {kinds} AS "#kind", COUNT(*) AS "#count"
            FROM cases WHERE "#state" IS NULL OR "#state" = 'fellow' GROUP BY 1""", f"""
            SELECT 'duplicate' AS "#kind", COUNT(*) AS "#count" FROM duplicates WHERE "{_FAULT}" IS NULL""", """
            SELECT 'duplicate' AS "#kind", COUNT(DISTINCT "#first") AS "#count" FROM duplicates
            WHERE NOT "#same" AND "#first_fault" IS NULL"""]
        counts: Counter[str] = Counter()
        for text in found:
            for kind, count in self.pieces.whole(parsed(text)).iter_rows():
                counts[kind] += count
        self.summary.evaluated += counts.pop("evaluated", 0)
        self.summary.rejected.update({kind: count for kind, count in counts.items() if count})

    # Problems

    def _tell(self) -> None:
        """The problems of joining, in the order in which `facts.joining` finds them."""
        label = self.dossier.records[self.subject].label
        shown = {"record": label.zh, "record_en": label.en or self.subject}
        self._report(f"""
            SELECT "{N}", 0 AS "#turn", "{N}" AS "#row", "#first" AS "#other", "#own_key" AS "#key", "#same"
            FROM duplicates
            UNION ALL SELECT MIN("{N}") AS "{N}", 1, "#first", MIN("{N}"), MIN("#first_key"), FALSE
            FROM duplicates WHERE NOT "#same" AND "#first_fault" IS NULL GROUP BY "#first"
            ORDER BY 1, 2""", lambda row: Problem(
                "duplicate-subject" if row["#same"] else "conflicting-subject", self.place(row["#row"]),
                {"key": str(row["#key"]), **shown, "first_at": str(self.place(row["#other"]))}))
        unplaced = f'"{_FAULT}" IS NULL AND "{CASE}" IS NULL'
        self._report(
            f"""{self._related(f'"{N}", {quoted(self.key)} AS "#key"', unplaced, "joined")} ORDER BY 1""",
            self._partnerless(shown))
        unsettled = f"""("#state" = 'subject' AND "{_FAULT}" IS NULL)
            OR ("#state" = 'fellow' AND NOT "{_FAULT}" IS NULL)"""
        self._report(f"""
            SELECT c."{CASE}", c."{SUBJECT_NAME}", c."#state", ARRAY_AGG(r."{N}") AS "#rows", MIN(r."{N}") AS "{N}"
            FROM ({self._related(f'"{N}", "{CASE}"', unsettled, "joined")}) AS r
            JOIN cases AS c ON r."{CASE}" = c."{CASE}"
            GROUP BY c."{CASE}", c."{SUBJECT_NAME}", c."#state",
              CASE WHEN c."#state" = 'subject' THEN r."{N}" ELSE 0 END
            ORDER BY c."{CASE}", MIN(r."{N}") """, self._unsettled)

    def _report(self, text: str, build: Callable[[dict[str, Any]], Problem | None]) -> None:
        """A problem for each row of a query, as far as there is room to keep them; the others are counted."""
        summary = self.summary
        for frame in self.pieces.frames(parsed(text)):
            room = min(max(0, summary.room), frame.height)
            summary.report([one for row in frame.head(room).iter_rows(named=True) if (one := build(row)) is not None])
            summary.problems_in_all += frame.height - room

    def _partnerless(self, shown: Mapping[str, str]) -> Callable[[dict[str, Any]], Problem | None]:
        names = self.pieces.whole(parsed(
            f'SELECT "{SUBJECT_NAME}" FROM cases ORDER BY "{CASE}" LIMIT {MAX_NAMES}')).to_series().to_list()
        any_subject = bool(self.pieces.whole(parsed(f'SELECT COUNT(*) FROM "in_{self.subject}"')).item())
        suggested = iter(range(MAX_SUGGESTED))
        told: set[int] = set()

        def build(row: dict[str, Any]) -> Problem | None:
            number, fields = row[N], {"key": str(row["#key"]), **shown}
            if not any_subject:
                if number // LINES in told:
                    return None
                told.add(number // LINES)
                return Problem("no-subject-table", self.place(number), fields)
            if next(suggested, None) is not None:
                fields["suggestion"] = nearest(fields["key"], names) or ""
            return Problem("no-such-subject", self.place(number), fields)

        return build

    def _unsettled(self, row: dict[str, Any]) -> Problem:
        key, case = str(row[SUBJECT_NAME] or ""), self.place(row[CASE])
        if row["#state"] == "subject":
            return Problem("subject-rejected", self.place(row[N]), {"key": key, "subject_at": str(case)})
        rows = sorted(row["#rows"])
        return Problem("case-incomplete", case, {
            "key": key, "count": len(rows), "places": [str(self.place(one)) for one in islice(rows, 5)]})

    # Rows

    def frames(self, query: exp.Expr, name: str) -> Iterator[pl.DataFrame]:
        """What a query over a record's rows gives, in the types of the record's columns."""
        schema = self.program.schema(name)
        for frame in self.pieces.frames(query):
            yield frame.with_columns(pl.col(one).cast(kind) for one, kind in schema.items() if one in frame.columns)


__all__ = ["IN_BLOCKS", "LINES", "SUBJECT_NAME", "CaseFiles", "CaseTables", "recognise_files"]

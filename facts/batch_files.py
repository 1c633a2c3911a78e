"""Results and problems of a batch as files: CSV, JSON Lines, Parquet, and a workbook an officer would send on."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import polars as pl

from engine.batch import MISSING
from engine.batch_table import Results
from engine.errors import FactError, Lang, Problem
from engine.files import folder_beside, replacing
from engine.load import Pack
from engine.safe_text import RISKY, safe_text
from engine.source import Location
from facts.column_reader import is_special
from facts.text import TEXT_NAMES, WORKBOOK_NAMES

if TYPE_CHECKING:
    from facts.batch import Summary

BLOCKS = (".jsonl", ".ndjson", ".parquet")
"""Tables that only a batch reads."""
WHOLE = tuple(name for name, kind in TEXT_NAMES.items() if kind != "csv")
"""Texts that are read whole, as workbooks are."""
FORMATS = (*(name for name in TEXT_NAMES if name not in WHOLE), *BLOCKS, *WORKBOOK_NAMES, *WHOLE)
"""What a batch takes from a folder."""
WRITTEN = (".csv", ".jsonl", ".parquet", ".xlsx")
HANDED = 4 << 20
"""Bytes that are handed over to the disk together."""


def check_written(path: Path) -> None:
    """Errors (`FactError`): `unknown-file-kind` where no such file is written."""
    suffix = path.suffix.lower()
    if suffix not in WRITTEN:
        raise FactError(Problem("unknown-file-kind", Location(str(path)), {
            "suffix": suffix or "（无 / none）", "known": list(WRITTEN)}))


def told_apart(own: Mapping[Path, str]) -> dict[Path, str]:
    """A name for each input, its own where no other has the same; else with its folders before it, and no two alike."""
    often = Counter(own.values())
    alike = [path.resolve().parent for path, name in own.items() if often[name] > 1]
    above = os.path.commonpath(alike) if alike else ""
    found: dict[Path, str] = {}
    for path, name in own.items():
        if often[name] > 1:
            name = "-".join((*path.resolve().parent.relative_to(above).parts, name))
        taken, number = name, 1
        while taken in found.values():
            number += 1
            taken = f"{name}-{number}"
        found[path] = taken
    return found


class Writer(Protocol):
    """Takes result rows in order, as `Results.coded` has them.

    `plain`: every subject is known to be a cell of CSV as it stands.
    """

    def write(self, table: pl.DataFrame, plain: bool = False) -> None: ...


@contextlib.contextmanager
def open_writer(path: Path, suffix: str, results: Results, pack: Pack, summary: Summary) -> Iterator[Writer]:
    """A writer of a kind of file in `WRITTEN`; the summary is complete when it is closed."""
    if suffix in (".csv", ".jsonl"):
        with path.open("wb") as file:
            yield _Ahead(file, _CsvWriter(file, results) if suffix == ".csv" else _JsonLinesWriter(file, results))
    elif suffix == ".parquet":
        with folder_beside(path) as folder:
            parts = _ParquetWriter(folder, results)
            yield parts
            parts.join(path)
    else:
        assert suffix == ".xlsx", f"no batch writes {suffix}"
        from facts.batch_sheets import xlsx_writer

        with xlsx_writer(path, results, pack, summary) as writer:
            yield writer


class _Ahead:
    """Has the disk take up what is written meanwhile, so that not all of it is left for when the file is closed."""

    def __init__(self, file: BinaryIO, writer: Writer) -> None:
        self.file, self.writer, self.handed = file, writer, 0

    def write(self, table: pl.DataFrame, plain: bool = False) -> None:
        self.writer.write(table, plain)
        written = os.fstat(self.file.fileno()).st_size
        if written - self.handed >= HANDED and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self.file.fileno(), self.handed, written - self.handed, os.POSIX_FADV_DONTNEED)
            self.handed = written


class _CsvWriter:
    """UTF-8 with a byte order mark, so that a spreadsheet opens the Chinese right."""

    def __init__(self, file: BinaryIO, results: Results) -> None:
        self.file, self.results = file, results
        file.write(b"\xef\xbb\xbf")
        pl.DataFrame(schema=results.schema).write_csv(file)
        self.words = _words(results) if results.shape == "long" else None

    def write(self, table: pl.DataFrame, plain: bool = False) -> None:
        if table.is_empty():
            return
        sure = {MISSING, "subject"} if plain else {MISSING}
        if any(is_special(one) for one in table if one.dtype == pl.String() and one.name not in sure):
            safe(self.results.spelled(table)).write_csv(self.file, include_header=False)
            return
        # Columns at the end in which nothing stands are written with the end of each line.
        empty = len(list(takewhile(lambda one: one.null_count() == one.len(), reversed(table.get_columns()))))
        shown = {name: pl.col(name) for name in table.columns[: table.width - empty]}
        if self.words is not None:  # the words of a row as one text: a third less to write
            place = shown["provision"] * self.results.statuses.len() + shown.pop("status")
            shown["provision"] = pl.lit(self.words).gather(place).alias("provision")
        _with_dates_as_text(table.select_seq(shown.values())).write_csv(
            self.file, include_header=False, quote_style="never", line_terminator="," * empty + "\n")


def _words(results: Results) -> pl.Series:
    """For each provision and status the cells `provision`, `status` and `status_label` as a line of CSV has them."""
    rows = ((provision, code, label) for provision in results.provisions
            for code, label in zip(results.statuses, results.labels, strict=True))
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return pl.Series(out.getvalue().splitlines(), dtype=pl.String)


def _with_dates_as_text(table: pl.DataFrame) -> pl.DataFrame:
    """The table with each date that occurs written once, where there are few: most of the time would go into that."""
    texts = []
    for column in table:
        if column.dtype != pl.Date() or column.null_count() == column.len():
            continue
        days = column.cast(pl.Int32)
        first, last = _whole(days.min()), _whole(days.max())
        if last - first < days.len() // 4:
            known = pl.int_range(first, last + 1, dtype=pl.Int32, eager=True).cast(pl.Date).cast(pl.String)
            texts.append(known.gather((days - first).cast(pl.UInt32)).alias(column.name))
    return table.with_columns(texts) if texts else table


def _whole(number: object) -> int:
    assert isinstance(number, int), "columns hold whole numbers"
    return number


def safe(table: pl.DataFrame) -> pl.DataFrame:
    """Text that no spreadsheet takes for a formula: what a submission wrote is put behind an apostrophe."""
    if table.schema["subject"] != pl.String():
        return table
    subject = pl.col("subject")
    quoted = pl.when(subject.str.head(1).is_in(RISKY)).then("'" + subject).otherwise(subject)
    return table.with_columns(quoted.alias("subject"))


class _JsonLinesWriter:
    """One object a line; amounts and other decimals as text, which JSON's numbers would blur."""

    def __init__(self, file: BinaryIO, results: Results) -> None:
        self.file, self.results = file, results

    def write(self, table: pl.DataFrame, plain: bool = False) -> None:
        table = self.results.spelled(table)
        table.with_columns(pl.col(name).cast(pl.String) for name, kind in table.schema.items()
                           if isinstance(kind, pl.Decimal)).write_ndjson(self.file)


class _ParquetWriter:
    """Parts in a folder, joined at the end without holding them in memory."""

    def __init__(self, folder: Path, results: Results) -> None:
        self.folder, self.results, self.count = folder, results, 0

    def write(self, table: pl.DataFrame, plain: bool = False) -> None:
        self.results.spelled(table).write_parquet(self.folder / f"{self.count:06d}.parquet")
        self.count += 1

    def join(self, path: Path) -> None:
        if self.count == 1:
            shutil.move(self.folder / "000000.parquet", path)
        elif self.count:
            pl.scan_parquet(self.folder / "*.parquet").sink_parquet(path)
        else:
            pl.DataFrame(schema=self.results.schema).write_parquet(path)


# Problems


def problem_cells(problem: Problem, lang: Lang) -> list[str]:
    """File, sheet, cell or line, code, value, reason, help."""
    at = problem.location
    place = at.cell or ("" if at.line is None else str(at.line))
    value = problem.fields.get("value", "")
    return [at.file, at.sheet or "", place, at.path or "", problem.severity, problem.code, str(value),
            problem.message(lang), problem.help(lang)]


PROBLEM_HEADERS: dict[Lang, tuple[str, ...]] = {
    "zh": ("文件", "工作表", "单元格/行", "列", "级别", "代码", "读到的值", "问题", "建议"),
    "en": ("file", "sheet", "cell or line", "column", "severity", "code", "value", "problem", "help"),
}


def write_problems(path: Path, summary: Summary, lang: Lang) -> None:
    """The problems as a workbook or a CSV, one a line."""
    with replacing(path) as temporary:
        if path.suffix.lower() == ".xlsx":
            from facts.batch_sheets import write_problem_book

            write_problem_book(temporary, PROBLEM_HEADERS[lang], (problem_cells(one, lang) for one in summary.problems))
            return
        with temporary.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(PROBLEM_HEADERS[lang])
            for problem in summary.problems:
                writer.writerow(safe_text(cell) for cell in problem_cells(problem, lang))

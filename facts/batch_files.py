"""Results and problems of a batch as files: CSV, JSON Lines, Parquet, and a workbook an officer would send on."""

from __future__ import annotations

import contextlib
import csv
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import polars as pl

from engine.batch_table import Results
from engine.errors import FactError, Lang, Problem
from engine.load import Pack
from engine.output import replacing, safe_text
from engine.source import Location
from facts.batch_sheets import write_problem_book, xlsx_writer

if TYPE_CHECKING:
    from facts.batch import Summary

FORMATS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xlsm", ".xls", ".ods")
"""What a batch reads."""
WRITTEN = (".csv", ".jsonl", ".parquet", ".xlsx")
_RISKY = r"^[=+\-@\t\r]"


class Writer(Protocol):
    """Takes result rows in order."""

    def write(self, table: pl.DataFrame) -> None: ...


@contextlib.contextmanager
def open_writer(path: Path, suffix: str, results: Results, pack: Pack, summary: Summary) -> Iterator[Writer]:
    """A writer of that kind of file; the summary is complete when it is closed.

    Errors (`FactError`): `unknown-file-kind`.
    """
    if suffix in (".csv", ".jsonl"):
        with path.open("wb") as file:
            yield _CsvWriter(file, results) if suffix == ".csv" else _JsonLinesWriter(file)
    elif suffix == ".parquet":
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            parts = _ParquetWriter(Path(folder), results)
            yield parts
            parts.join(path)
    elif suffix == ".xlsx":
        with xlsx_writer(path, results, pack, summary) as writer:
            yield writer
    else:
        raise FactError(Problem("unknown-file-kind", Location(str(path)), {"suffix": suffix, "known": list(WRITTEN)}))


class _CsvWriter:
    """UTF-8 with a byte order mark, so that a spreadsheet opens the Chinese right."""

    def __init__(self, file: Any, results: Results) -> None:
        self.file = file
        file.write(b"\xef\xbb\xbf")
        pl.DataFrame(schema=results.schema).write_csv(file)
        words = pl.Series([*results.labels, *results.codes, *(one.provision.id for one in results.steps)])
        self.known = () if _needs_quotes(words) else ("provision", "status", "status_label")

    def write(self, table: pl.DataFrame) -> None:
        table = safe(table)
        texts = [one for one in table if one.dtype == pl.String() and one.name not in self.known]
        # Looking at every cell for what must be quoted is a third of writing; most tables hold none.
        style: Literal["necessary", "never"] = "necessary" if any(map(_needs_quotes, texts)) else "never"
        table.write_csv(self.file, include_header=False, quote_style=style)


def _needs_quotes(texts: pl.Series) -> bool:
    return bool((texts.str.contains_any([",", '"', "\n", "\r"]) | (texts == "")).any())


def safe(table: pl.DataFrame) -> pl.DataFrame:
    """Text that no spreadsheet takes for a formula: what a submission wrote is put behind an apostrophe."""
    if table.schema["subject"] != pl.String() or not table.get_column("subject").str.contains(_RISKY).any():
        return table
    subject = pl.col("subject")
    quoted = pl.when(subject.str.contains(_RISKY)).then("'" + subject).otherwise(subject)
    return table.with_columns(quoted.alias("subject"))


class _JsonLinesWriter:
    """One object a line; amounts and other decimals as text, which JSON's numbers would blur."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, table: pl.DataFrame) -> None:
        table.with_columns(pl.col(name).cast(pl.String) for name, kind in table.schema.items()
                           if isinstance(kind, pl.Decimal)).write_ndjson(self.file)


class _ParquetWriter:
    """Parts in a folder, joined at the end without holding them in memory."""

    def __init__(self, folder: Path, results: Results) -> None:
        self.folder, self.results, self.count = folder, results, 0

    def write(self, table: pl.DataFrame) -> None:
        table.write_parquet(self.folder / f"{self.count:06d}.parquet")
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
            write_problem_book(temporary, PROBLEM_HEADERS[lang], (problem_cells(one, lang) for one in summary.problems))
            return
        with temporary.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(PROBLEM_HEADERS[lang])
            for problem in summary.problems:
                writer.writerow(safe_text(cell) for cell in problem_cells(problem, lang))

"""Where a command's result goes: `--format` and `-o`, the form that a file's name asks for, and the writing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.errors import FactError, Lang, Problem

if TYPE_CHECKING:
    from engine.report import Table

F = TypeVar("F", bound=Callable[..., Any])

FORMS = ("table", "json", "csv", "md", "xlsx")
NAMED = {".json": "json", ".csv": "csv", ".md": "md", ".xlsx": "xlsx", ".txt": "table", "": "table"}
"""What the end of a file's name says of its form."""


def result_options(command: F) -> F:
    """`--format` and `-o`, for a command that tells `form_of` of them and ends with `write_result`."""
    command = click.option(
        "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file / 输出文件."
    )(command)
    return click.option(
        "--format",
        "form",
        type=click.Choice(FORMS),
        help="Output format / 输出格式 (default: as the file's name says, else table / 依文件名，否则 table).",
    )(command)


def form_of(form: str | None, output: Path | None, lang: Lang, inputs: Iterable[Path] = ()) -> str:
    """The form of a result: as asked, else as the file's name says, else a table.

    Asked before any work is done. Errors: `click.UsageError` where form and name do not go together;
    `FactError` (`output-is-input`) where the result would be written over an input.
    """
    if output is None:
        if form == "xlsx":
            raise click.UsageError("--format xlsx needs -o FILE" if lang == "en" else "--format xlsx 需要 -o 文件名")
        return form or "table"
    if os.path.realpath(output) in map(os.path.realpath, inputs):
        raise FactError(Problem("output-is-input", fields={"path": str(output)}))
    named = NAMED.get(output.suffix.lower())
    if form is None and named is None:
        known = " ".join(filter(None, NAMED))
        raise click.UsageError(
            f"no result is written as {output.suffix}: {known}, or say --format"
            if lang == "en"
            else f"不写 {output.suffix} 文件；可写 {known}，或用 --format 指定"
        )
    form = form or named
    assert form is not None
    if form != named and (form == "xlsx" or named not in (None, "table")):  # a text may be called as one likes
        raise click.UsageError(
            f"--format {form} and the name {output.name} do not go together"
            if lang == "en"
            else f"--format {form} 与文件名 {output.name} 不一致"
        )
    return form


def write_result(form: str, output: Path | None, lang: Lang, tables: Callable[[], Sequence[Table]],
                 data: Callable[[], Any], reasons: Sequence[str] = ()) -> None:
    """The result to the screen or to a file, which replaces an older one only when whole.

    `data` is asked for as JSON, `tables` in every other form; `reasons` are lines that go with the tables.
    """
    import json

    from engine import output as out
    from engine.files import replacing

    if form == "xlsx":
        assert output is not None, "form_of asks for a file"
        out.write_xlsx(output, tables(), reasons, lang)
        return
    said = "\n".join(reasons).strip()
    if form == "json":
        parts = [json.dumps(data(), ensure_ascii=False, indent=2)]
    elif form == "csv":
        parts = [out.csv_text(tables()).rstrip("\n")]
    elif form == "md":
        parts = [*map(out.markdown_text, tables()), said]
    else:
        parts = [said, *(out.terminal_text(table, None if output else width()) for table in tables())]
    text = "\n\n".join(part for part in parts if part)
    if output is None:
        if text:
            click.echo(text)
        return
    with replacing(output) as temporary:
        # A byte-order mark, so that a spreadsheet opens the Chinese right.
        temporary.write_text(text + "\n", encoding="utf-8-sig" if form == "csv" else "utf-8")


def report_problems(problems: Iterable[Problem], lang: Lang) -> None:
    """Each problem with its place and the way out, on stderr."""
    for problem in problems:
        click.echo(problem.render(lang), err=True)


def width() -> int | None:
    """Columns of the terminal; None where the result does not go to one."""
    import shutil

    return shutil.get_terminal_size((120, 40)).columns if sys.stdout.isatty() else None

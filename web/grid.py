"""A batch's results on disk: tables by page from SQLite, problems, files to download."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from fastapi.responses import Response

from engine.output import plain_cell
from engine.report import Cell, Money, Percent, Table, cell_text

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILES = {
    "results.xlsx": XLSX,
    "results.csv": "text/csv; charset=utf-8",
    "results.json": "application/json",
    "problems.csv": "text/csv; charset=utf-8",
    "annotated.xlsx": XLSX,
}
"""What a finished batch offers, with the type it is sent as."""
STATUS_HEADERS = ("结论", "result")


@dataclass(frozen=True, slots=True)
class GridRow:
    """`shown` are cells for people, `plain` for a machine; `numeric` tells which are figures.

    `number` is the row's place in its table; `told` whether its reasoning can be asked for.
    """

    number: int
    told: bool
    status: str
    shown: list[str]
    plain: list[str]
    numeric: list[bool]


@dataclass(frozen=True, slots=True)
class GridPage:
    title: str
    headers: list[str]
    footer: list[str]
    notes: list[str]
    statuses: list[tuple[str, int]]
    matching: int
    rows: list[GridRow]


Stored = tuple[str, str, bool]
"""A cell for people, for a machine, and whether it is a figure."""


class Origin(NamedTuple):
    """Whose result a row is: the number of its facts in the store, of its row within the case, and its provision.

    Without a provision the row is about the whole case. `status` and `amount` (yuan, as text) are what
    the batch came to, to hold a later assessment against.
    """

    facts: int
    row: int = 0
    provision: str | None = None
    status: str = ""
    amount: str = ""


@dataclass(frozen=True)
class Rows:
    """A result table whose rows may come one by one, each with its origin where that is known."""

    title: str
    headers: tuple[str, ...]
    rows: Iterable[tuple[Sequence[Stored], Origin | None]]
    footer: tuple[Cell, ...] = ()
    notes: tuple[str, ...] = ()


def rows_of(table: Table, origins: Sequence[Origin | None] = ()) -> Rows:
    stored = (([_stored(cell) for cell in row], origin) for row, origin in zip_longest(table.rows, origins))
    return Rows(table.title, table.headers, stored, table.footer or (), table.notes)


def write_rows(path: Path, tables: Sequence[Rows]) -> int:
    """The tables for paging; a row's status is the cell under the heading for results. The rows written."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("pragma journal_mode = off")
        db.execute("create table tables (number integer primary key, about text)")
        db.execute("create table rows (tab integer, number integer, status text, words text, cells text, origin text)")
        for number, table in enumerate(tables):
            place = next((at for at, header in enumerate(table.headers) if header in STATUS_HEADERS), None)
            about = {
                "title": table.title,
                "headers": list(table.headers),
                "notes": list(table.notes),
                "footer": [cell_text(cell) if cell not in ("", None) else "" for cell in table.footer],
            }
            db.execute("insert into tables values (?, ?)", (number, json.dumps(about, ensure_ascii=False)))
            db.executemany(
                "insert into rows values (?, ?, ?, ?, ?, ?)",
                (
                    (
                        number,
                        at,
                        row[place][0] if place is not None else "",
                        " ".join(cell[0] for cell in row).casefold(),
                        json.dumps(row, ensure_ascii=False),
                        None if origin is None else json.dumps(origin),
                    )
                    for at, (row, origin) in enumerate(table.rows)
                ),
            )
        db.execute("create index by_status on rows (tab, status, number)")
        db.execute("create index by_number on rows (tab, number)")
        return int(db.execute("select count(*) from rows").fetchone()[0])


def _stored(cell: Cell) -> Stored:
    return cell_text(cell), plain_cell(cell), isinstance(cell, (Money, Percent, int))


def read_rows(path: Path, table: int, words: str, status: str, offset: int, limit: int) -> GridPage | None:
    """A page of the rows that hold the words and have the status; None where there is no such table."""
    where, values = "tab = ?", [table]
    arguments: list[Any] = list(values)
    for word in words.casefold().split()[:10]:
        where += " and instr(words, ?) > 0"
        arguments.append(word)
    if status:
        where += " and status = ?"
        arguments.append(status)
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
        found = db.execute("select about from tables where number = ?", (table,)).fetchone()
        if found is None:
            return None
        about = json.loads(found[0])
        matching = db.execute(f"select count(*) from rows where {where}", arguments).fetchone()[0]
        statuses = db.execute(
            "select status, count(*) from rows where tab = ? and status != '' group by status order by 2 desc", (table,)
        ).fetchall()
        rows = [
            _row(*found)
            for found in db.execute(
                f"select number, origin, status, cells from rows where {where} order by number limit ? offset ?",
                [*arguments, limit, offset],
            )
        ]
    return GridPage(about["title"], about["headers"], about["footer"], about["notes"], statuses, matching, rows)


def _row(number: int, origin: str | None, status: str, cells: str) -> GridRow:
    return GridRow(number, origin is not None, status, *(list(part) for part in zip(*json.loads(cells), strict=True)))


def read_origin(path: Path, table: int, number: int) -> tuple[GridRow, Origin] | None:
    """One row with its origin; None where there is no such row, or nothing more to tell of it."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
        found = db.execute(
            "select number, origin, status, cells from rows where tab = ? and number = ?", (table, number)
        ).fetchone()
    if found is None or found[1] is None:
        return None
    return _row(*found), Origin(*json.loads(found[1]))


def read_problems(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def download_name(source: str, name: str) -> str:
    """`部门.xlsx` and `results.csv` give `部门-results.csv`."""
    return f"{source.rpartition('.')[0] or source}-{name}"


def attachment(data: bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(data, media_type=media_type, headers=headers)

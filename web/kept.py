"""The facts of a batch kept beside its results, so that one row can be assessed and explained again.

Rows of a table read in blocks are kept as their columns store them, at column speed; whole dossiers
and facts of provisions as typed values. Nothing here goes back to the file that was handed in.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from engine.batch import ROW, SUBJECT, Program, Words
from engine.checking import FlatLike
from engine.load import Pack
from engine.model import Case, Field, Row
from engine.source import NOWHERE
from engine.values import Value, shrink
from facts.batch import Keep
from facts.blocks import Block
from facts.from_tree import FlatCase


class FactStore(Keep):
    """Takes the facts of a batch as it runs; `rows` are the case and the row within it of each result row."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path)
        self.db.execute("pragma journal_mode = off")
        self.db.execute("create table facts (number integer primary key, data text)")
        self.db.execute("create table words (data text)")
        self.rows: list[tuple[int, int]] | None = None
        self.at: dict[int, tuple[str, str]] = {}
        self._count = 0

    def close(self) -> None:
        self.db.commit()
        self.db.close()

    def block(self, program: Program, block: Block) -> None:
        if not self._count:
            self.db.execute("insert into words values (?)", (json.dumps(program.words.all, ensure_ascii=False),))
        self._count += block.frame.height + len(block.loose)
        names = [name for name in block.frame.columns if name not in (ROW, SUBJECT)]
        texts = block.frame.select(pl.struct(names).struct.json_encode()).to_series()
        self._insert(zip(block.frame.get_column(ROW), texts, strict=True))
        self._insert((line, _text({"values": typed(values)})) for line, _, values in block.loose)

    def cases(self, cases: Sequence[Case], rows: Sequence[tuple[int, int]]) -> None:
        self.rows = list(rows)
        for case in cases:
            self.add_case(case)

    def flat(self, flat: Sequence[FlatCase], rows: Sequence[int]) -> None:
        self.rows = [(number, 0) for number in rows]
        for one in flat:
            self.add_flat(one)

    def add_case(self, case: Case) -> int:
        """Keeps a case and gives its number; where its subject stands is in `at`."""
        rows = [[row.record, typed(row.values)] for row in (case.subject, *case.related)]
        self.at[self._count] = case.subject.at.sheet or "", case.subject.at.cell or ""
        return self._add({"dossier": case.dossier, "rows": rows})

    def add_flat(self, one: FlatLike) -> int:
        """Keeps the facts of a provision and gives their number."""
        self.at[self._count] = one.at.sheet or "", one.at.cell or ""
        day = one.as_of.isoformat() if one.as_of else None
        return self._add({"provision": one.provision, "inputs": typed(one.inputs), "as_of": day, "label": one.label})

    def _add(self, data: Mapping[str, Any]) -> int:
        self._insert([(self._count, _text(data))])
        self._count += 1
        return self._count - 1

    def _insert(self, pairs: Any) -> None:
        self.db.executemany("insert into facts values (?, ?)", pairs)


def _text(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


def typed(values: Mapping[str, Value | None]) -> dict[str, Any]:
    """Typed values as JSON, exactly: a fraction as `{"of": "1/3"}`, a day as `{"on": "2019-12-31"}`."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Value | None) -> Any:
    if isinstance(value, Fraction):
        return {"of": str(value)}
    return {"on": value.isoformat()} if isinstance(value, date) else value


def _value(data: Any) -> Value | None:
    if isinstance(data, dict):
        return date.fromisoformat(data["on"]) if "on" in data else shrink(Fraction(data["of"]))
    return data  # type: ignore[no-any-return]


def _values(data: Mapping[str, Any]) -> dict[str, Value | None]:
    return {name: _value(value) for name, value in data.items()}


def read_kept(path: Path, number: int, pack: Pack, table: Mapping[str, Any]) -> Case | FlatCase | None:
    """The facts kept under a number, None where there are none; `table` is that of a file read in blocks."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
        found = db.execute("select data from facts where number = ?", (number,)).fetchone()
        words = db.execute("select data from words").fetchone()
    if found is None:
        return None
    data = json.loads(found[0])
    if words is None and "rows" in data:
        first, *others = [Row(record, _values(values)) for record, values in data["rows"]]
        return Case(data["dossier"], first, tuple(others))
    if words is None:
        day = date.fromisoformat(data["as_of"]) if data["as_of"] else None
        return FlatCase(data["provision"], _values(data["inputs"]), day, data["label"], NOWHERE)
    dossier = pack.dossiers[table["dossier"]] if table["dossier"] else None
    fields: Mapping[str, Field] = (
        dossier.records[table["record"]].fields if dossier is not None else pack.provision(table["provision"]).facts
    )
    kept = data.get("values")
    spoken = Words(json.loads(words[0]))
    values = (
        _values(kept)
        if isinstance(kept, dict)
        else {name: spoken.typed(stored, fields[name].type) for name, stored in data.items()}
    )
    if dossier is None:
        return FlatCase(table["provision"], values, None, "", NOWHERE)
    return Case(dossier.id, Row(table["record"], values))

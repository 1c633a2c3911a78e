"""What became of each row: rows in = accepted + rejected + skipped, asserted for every table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from engine.dataclass import dataclass
from engine.errors import Lang
from engine.model import Row, Text
from facts.columns import Column, UnitFrom
from facts.headings import Target

SkipKind = Literal["blank", "total", "note", "heading", "numbering", "title", "unrecognised"]
RejectKind = Literal["cell", "row", "heading", "duplicate", "partner", "fellow"]

ROW_KINDS = {
    "blank": Text("空行", "blank"),
    "total": Text("合计行", "totals"),
    "note": Text("备注行", "notes"),
    "heading": Text("表头", "headings"),
    "numbering": Text("编号行", "numbering"),
    "title": Text("标题行", "titles"),
    "unrecognised": Text("未识别的表", "not recognised"),
    "cell": Text("单元格有误", "bad cells"),
    "row": Text("行有误", "bad rows"),
    "duplicate": Text("重复", "duplicates"),
    "partner": Text("找不到所属对象", "without a partner"),
    "fellow": Text("同组有误", "belongs to a rejected case"),
    "calendar": Text("超出节假日历", "beyond the calendar"),
}
"""Why a row was skipped or rejected, in words."""


def kinds_shown(counts: Mapping[str, int], lang: Lang) -> str:
    """How many rows were skipped or rejected for what, in brackets; empty where none was."""
    if not counts:
        return ""
    most = sorted(counts.items(), key=lambda one: -one[1])
    shown = ("、" if lang == "zh" else ", ").join(f"{ROW_KINDS[kind].get(lang)} {count}" for kind, count in most)
    return f"（{shown}）" if lang == "zh" else f" ({shown})"


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """What a column was taken for, for the caller to show."""

    letter: str
    heading: str
    field: str | None
    unit: str | None
    unit_from: UnitFrom
    field_by_hand: bool = False
    unit_by_hand: bool = False

    @classmethod
    def of(cls, column: Column) -> ColumnInfo:
        return cls(column.letter, column.heading, column.field, column.unit, column.unit_from,
                   column.field_by_hand, column.unit_by_hand)


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table that was read: where, as what, and what became of each of its rows."""

    file: str
    sheet: str | None
    dossier: str | None
    record: str | None
    provision: str | None
    columns: tuple[ColumnInfo, ...]
    rows_in: int
    accepted: int
    rejected: Mapping[str, int]
    skipped: Mapping[str, int]

    @property
    def fields(self) -> frozenset[str]:
        """The fields submitted at all: a field outside this set was not asked of the submitter."""
        return frozenset(column.field for column in self.columns if column.field is not None)


@dataclass
class Tally:
    """The running count of one table."""

    file: str
    sheet: str | None
    target: Target | None
    columns: tuple[Column, ...] = ()
    rows_in: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def skip(self, kind: SkipKind, count: int = 1) -> None:
        if count:
            self.rows_in += count
            self.skipped[kind] += count

    def reject(self, kind: RejectKind, count: int = 1) -> None:
        if count:
            self.rows_in += count
            self.rejected[kind] += count

    def accept(self) -> None:
        self.rows_in += 1
        self.accepted += 1

    def info(self) -> TableInfo:
        """The finished count; nothing may be lost."""
        total = self.accepted + sum(self.rejected.values()) + sum(self.skipped.values())
        assert self.rows_in == total, f"{self.file} {self.sheet}: {self.rows_in} rows in, {total} accounted for"
        target = self.target
        return TableInfo(
            self.file, self.sheet,
            target.dossier.id if target is not None and target.dossier is not None else None,
            target.record.name if target is not None and target.record is not None else None,
            target.provision.id if target is not None and target.provision is not None else None,
            tuple(map(ColumnInfo.of, self.columns)),
            self.rows_in, self.accepted, MappingProxyType(dict(self.rejected)), MappingProxyType(dict(self.skipped)),
        )  # fmt: skip


@dataclass(slots=True)
class Draft:
    """A row that was read; `fault` tells why it cannot be used, if so. It is counted when its case is built.

    `name` is what its table's naming column says.
    """

    row: Row
    tally: Tally
    fault: RejectKind | None = None
    name: str = ""

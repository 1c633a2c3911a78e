"""Where the heading rows of a table are, and which record its rows are.

Real sheets begin with titles and a unit line, spread headings over two or three rows and leave
columns out. Every place the heading could be is scored by the fields it names; the best wins, and
two records that fit equally well are a problem, not a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field

from engine.dataclass import dataclass
from engine.errors import Problem
from engine.model import Dossier, Provision, RecordType
from engine.source import Location
from facts.columns import Column, FieldNames, GivenColumns, RecordNames, assign_columns, sheet_units
from facts.numbers import Fault, plain_number

MAX_DEPTH = 3
CROWDED = 4
"""Filled cells from which a row above the heading looks like data rather than a title."""
SCANNED_COLUMNS = 300

GridRow = tuple[int, list[object]]


@dataclass(frozen=True)
class Target:
    """What rows may become: a record of a dossier, or the facts of one provision."""

    names: FieldNames
    dossier: Dossier | None = None
    record: RecordType | None = None
    provision: Provision | None = None

    @property
    def title(self) -> str:
        if self.record is not None and self.dossier is not None:
            return f"{self.dossier.id}.{self.record.name}"
        assert self.provision is not None
        return self.provision.id

    @property
    def shown(self) -> str:
        """The name for people: label and id."""
        if self.record is not None:
            return f"{self.record.label.zh}（{self.title}）"
        return self.title

    @property
    def key(self) -> str | None:
        """The field that names the rows of this record, or joins them to their subject."""
        if self.record is None or self.dossier is None:
            return None
        subject = self.dossier.records[self.dossier.subject]
        if self.record.name == subject.name:
            return subject.key
        return subject.key if subject.key in self.record.fields else self.record.key

    def is_called(self, title: str | None) -> bool:
        return isinstance(self.names, RecordNames) and self.names.is_called(title)


GivenTables = Mapping[str, GivenColumns]
"""What a person said of columns, by the title of the target they belong to."""


def targets_of(dossiers: Mapping[str, Dossier], given: GivenTables | None = None) -> list[Target]:
    """Every record a table may hold."""
    said = given or {}
    return [
        Target(RecordNames(record, said.get(f"{dossier.id}.{record.name}")), dossier, record)
        for dossier in dossiers.values()
        for record in dossier.records.values()
    ]


def provision_target(provision: Provision, given: GivenTables | None = None) -> Target:
    """A table whose rows are the facts of one provision."""
    return Target(FieldNames(provision.facts, (given or {}).get(provision.id)), provision=provision)


@dataclass(frozen=True)
class Found:
    """A heading at one place: rows `first` to `first + depth - 1` of the head, and the fields it names."""

    target: Target
    first: int
    depth: int
    fields: frozenset[str]


@dataclass(frozen=True)
class Layout:
    """How a table is to be read: its record, its heading rows, its columns, and what is wrong with them.

    `naming` is the place of the column that names the rows (`assign_columns`).
    """

    target: Target
    heading_rows: tuple[int, ...]
    columns: tuple[Column, ...]
    problems: tuple[Problem, ...]
    naming: int | None = None

    @property
    def usable(self) -> bool:
        return all(problem.severity == "warning" for problem in self.problems)


@dataclass
class Head:
    """The first rows of a table as text, ready to be tried as headings."""

    rows: list[GridRow]
    texts: list[list[str]] = field(default_factory=list)
    filled: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for _, cells in self.rows:
            end = len(cells)
            while end and cells[end - 1] in ("", None):
                end -= 1
            texts = [cell_text(cell) for cell in cells[:end]]
            self.texts.append(texts)
            current, filled = "", []
            for text in texts:
                current = text or current
                filled.append(current)
            self.filled.append(filled)

    def parts(self, first: int, depth: int, limit: int | None = None) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Per column with a heading, its texts from the top row down; a group's text runs to the right."""
        last = first + depth - 1
        width = max((len(self.texts[row]) for row in range(first, last + 1)), default=0)
        for index in range(width if limit is None else min(width, limit)):
            parts: list[str] = []
            below = False
            for row in range(last, first - 1, -1):
                texts = self.texts[row]
                text = texts[index] if index < len(texts) else ""
                if not text and below and index < len(texts):
                    text = self.filled[row][index]
                below = below or bool(text)
                parts.append(text)
            if below:
                yield index, tuple(reversed(parts))

    def find(self, target: Target) -> Found | None:
        """The place whose heading names most of the target's fields; of equals the shallowest and first."""
        best: Found | None = None
        tried = 0
        for first, texts in enumerate(self.texts):
            if not any(texts):
                continue
            tried += 1
            if tried > 30:
                break
            for depth in range(1, min(MAX_DEPTH, len(self.texts) - first) + 1):
                named = {
                    match.field
                    for _, parts in self.parts(first, depth, SCANNED_COLUMNS)
                    if (match := target.names.match(parts)) is not None
                }
                better = best is None or len(named) > len(best.fields)
                if better or (best is not None and len(named) == len(best.fields) and depth < best.depth):
                    best = Found(target, first, depth, frozenset(named))
                    if depth == 1 and len(named) == len(target.names.fields):
                        return best  # no other names more
        return best if best is not None and best.fields else None

    def titles_above(self, found: Found) -> Iterator[str]:
        for texts in self.texts[: found.first]:
            yield from (text for text in texts if text)

    def provision(self, provision: Callable[[str], Provision | None]) -> Provision | None:
        """The provision a title row names by its id, as templates do."""
        for texts in self.texts[:10]:
            for text in texts[:10]:
                match = re.search(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+", text) if len(text) < 200 else None
                named = provision(match[0]) if match is not None else None
                if named is not None:
                    return named
        return None


def cell_text(cell: object) -> str:
    """A cell as heading text; blanks count for nothing."""
    if isinstance(cell, str):
        return cell.strip()
    if cell is None:
        return ""
    if isinstance(cell, Fault):
        return cell.text
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return plain_number(cell)
    return str(cell)


def candidates(head: Head, targets: Sequence[Target], title: str | None, forced: bool) -> list[Found]:
    """The records a table may hold, those that fit equally well, or none.

    The most fields named wins; among equals the record the sheet is named after; then the one
    record of which no field is missing.
    """
    found = [one for target in targets if (one := head.find(target)) is not None]
    found = [one for one in found if forced or _enough(head, one, title)]
    if not found:
        return []
    most = max(len(one.fields) for one in found)
    best = [one for one in found if len(one.fields) == most]
    called = [one for one in best if one.target.is_called(title)]
    if called:
        return called
    complete = [one for one in best if len(one.fields) == len(one.target.names.fields)]
    return complete if len(complete) == 1 else best


def _enough(head: Head, found: Found, title: str | None) -> bool:
    """Whether a heading names enough to be believed: two fields, all there are, or one in a sheet so called."""
    named = len(found.fields)
    if named >= 2 or named == len(found.target.names.fields) or found.target.is_called(title):
        return True
    return sum(1 for _ in head.parts(found.first, found.depth)) == 1


def lay_out(head: Head, found: Found, place: Callable[[int, int], Location]) -> Layout:
    """Columns, units and problems of a table whose heading was found."""
    titles = list(head.titles_above(found))
    money, ratio = sheet_units(titles)
    problems: list[Problem] = []
    first_row = head.rows[found.first][0]
    if len(money) > 1:
        problems.append(Problem("sheet-units-conflict", place(first_row, 0), {"units": money}))
    last_row = head.rows[found.first + found.depth - 1][0]
    headings = []
    for index, parts in head.parts(found.first, found.depth):
        row = last_row if parts[-1] else max(
            head.rows[found.first + level][0] for level, part in enumerate(parts) if part)
        headings.append((index, parts, place(row, index)))
    key = found.target.key
    columns, naming, found_problems = assign_columns(
        found.target.names, headings, money[0] if len(money) == 1 else None, ratio[0] if len(ratio) == 1 else None, key)
    problems += found_problems
    if key is not None and key not in {column.field for column in columns}:
        field_ = found.target.names.fields.get(key)
        label = field_.label if field_ is not None else None
        problems.append(Problem("key-column-missing", place(last_row, 0), {
            "label": label.zh if label else key, "label_en": (label.en if label else "") or key,
            "record": found.target.shown}))  # fmt: skip
    crowded = [row for row, cells in head.rows[: found.first] if sum(1 for cell in cells if cell_text(cell)) >= CROWDED]
    if crowded:
        problems.append(Problem("rows-above-heading", place(crowded[0], 0), {"count": len(crowded)}, "warning"))
    rows = tuple(head.rows[found.first + level][0] for level in range(found.depth))
    return Layout(found.target, rows, tuple(columns), tuple(problems), naming)


def is_numbering(cells: Sequence[object]) -> bool:
    """Whether a row below the heading only numbers the columns (甲, 乙, 1, 2, 3)."""
    texts = [text for cell in cells if (text := cell_text(cell))]
    while texts and texts[0] in ("甲", "乙", "丙", "丁", "A", "B", "C", "栏次", "行次"):
        texts.pop(0)
    if len(texts) < 3:
        return False
    numbers = [re.sub(r"=.*$", "", text.strip("()（）")) for text in texts]
    return all(number.isdecimal() and int(number) == int(numbers[0]) + step for step, number in enumerate(numbers))


def forced_targets(targets: Sequence[Target], record: str) -> list[Target]:
    """The targets an explicit record name means: `record`, `dossier.record`, a label or an alias."""
    return [target for target in targets if target.title == record or target.is_called(record)]


def likely_headings(head: Head) -> list[tuple[int, str]]:
    """Index and text of each heading of a table that is not known: its first row that is as full as the others."""
    rows = [[(place, text) for place, text in enumerate(texts) if text] for texts in head.texts]
    fullest = max(map(len, rows), default=0)
    return next((row for row in rows if row and len(row) * 2 > fullest), [])


def nearest_heading(head: Head, targets: Sequence[Target]) -> tuple[str, str] | None:
    """For a sheet that is no known record: the record it comes closest to, and the nearest field."""
    best = max((one for target in targets if (one := head.find(target)) is not None),
               key=lambda one: len(one.fields), default=None)
    if best is not None:
        label = best.target.names.fields[sorted(best.fields)[0]].label.zh
        return best.target.shown, label
    for texts in head.texts:
        for text in texts:
            if text and len(text) < 60:
                for target in targets:
                    close = target.names.suggest(text)
                    if close:
                        return target.shown, close
    return None



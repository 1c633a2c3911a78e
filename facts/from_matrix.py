"""Statistics sheets: areas down and indicators across, or the other way round → figures with their cells.

Headings, units, percentage formats and cell problems are treated as in any other table; areas and
indicators are recognised by the spellings of the rule pack. A total row is the area that stands for
the whole, unless that area has a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from engine.dataclass import dataclass
from engine.errors import HeguiError, Problem, Wording, nearest, register
from engine.model import Field
from engine.source import Location
from engine.target_table import Figure, Plan
from engine.values import Unreadable, fold
from facts.cells import Context, Reader, reader_for
from facts.columns import NO_FIELD, FieldNames, unit_of
from facts.expected import problem_for
from facts.from_csv import csv_grid
from facts.grid import Grid, cell_key
from facts.headings import Found, GridRow, Head, Target, cell_text, is_numbering, lay_out
from facts.tables import row_kind
from facts.text import HEAD_ROWS, decode, kind_of, read_bytes

register(
    {
        "no-target-table": Wording(
            "没有找到指标和地区：看不出这是目标完成情况表",
            "neither indicators nor areas were found: this is no table of targets",
            "表头写指标名称，第一列写地区，见 docs",
            "put indicators in the heading and areas in the first column",
        ),
        "unknown-area": Wording(
            "“{area}”不是目标里的地区或单位",
            "`{area}` is no area or body for which anything is planned",
            "已知的：{known}",
            "known: {known}",
        ),
        "area-twice": Wording(
            "“{area}”有两行，前一行在 {first}",
            "`{area}` has two rows, the first at {first}",
            "只留一行",
            "keep one row",
        ),
        "workbook-only": Wording(
            "目标表应是工作簿或 CSV", "a table of targets is a workbook or a CSV", "另存为 xlsx", "save it as xlsx"
        ),
    }
)

MAX_ROWS, MAX_COLUMNS = 5000, 300


@dataclass
class TargetSheets:
    """What some files hold: figures, every problem, and how many rows became what."""

    figures: list[Figure] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)

    def count(self, kind: str) -> None:
        self.rows[kind] = self.rows.get(kind, 0) + 1


def read_target_sheets(paths: Iterable[str | Path], plan: Plan) -> TargetSheets:
    """The figures of some workbooks or CSV files. Problems never raise: they are in the result."""
    found = TargetSheets()
    reading = _Reading(plan, found)
    for path in map(Path, paths):
        try:
            for grid in _grids(path, reading, found):
                reading.sheet(grid)
        except HeguiError as error:
            found.problems += error.problems
    return found


def _grids(path: Path, reading: _Reading, found: TargetSheets) -> list[Grid]:
    name = str(path)
    data = read_bytes(path, name)
    kind, named = kind_of(path, data, name)
    found.problems += named
    if kind in ("xlsx", "xls", "ods"):
        from facts.from_excel import workbook_grids

        grids, problems = workbook_grids(path, name, kind)
        found.problems += problems
        return [grid for grid in grids if any(any(cells) for _, cells in grid.head.rows)]
    if kind != "csv":
        found.problems.append(Problem("workbook-only", Location(name)))
        return []
    return [csv_grid(decode(data, name), name, reading.score)]


@dataclass(frozen=True)
class _View:
    """A sheet as it stands, or with rows and columns exchanged: numbered rows and where a cell of them is."""

    grid: Grid
    rows: list[GridRow]
    turned: bool

    def cell(self, row: int, index: int) -> tuple[int, int]:
        """Row (from 1) and column (from 0, of the grid) in the file."""
        return (index + 1, row - 1) if self.turned else (row, index)

    def place(self, row: int, index: int) -> Location:
        line, column = self.cell(row, index)
        return self.grid.place(line, column, None)


class _Reading:
    def __init__(self, plan: Plan, found: TargetSheets) -> None:
        self.plan, self.found = plan, found
        self.fields: Mapping[str, Field] = plan.fields()
        self.target = Target(FieldNames(self.fields))
        self.areas = plan.areas
        self.whole = plan.names.whole

    def score(self, rows: Sequence[Sequence[str]]) -> int:
        head = Head([(number, list(row)) for number, row in enumerate(rows, 1)])
        found = head.find(self.target)
        return len(found.fields) if found is not None else 0

    def sheet(self, grid: Grid) -> None:
        rows = [(number, grid.faulty(number, list(cells))) for number, cells in grid.rows]
        rows = [row for row in rows if len(row[1]) <= MAX_COLUMNS][:MAX_ROWS]
        upright = _View(grid, rows, False)
        best = max((upright, _turned(upright)), key=self.fitness)
        laid = self.lay(best)
        if laid is None:
            self.found.problems.append(Problem("no-target-table", Location(grid.file, sheet=grid.sheet)))
            return
        found, area_index = laid
        self.read(best, found, area_index)

    def fitness(self, view: _View) -> int:
        laid = self.lay(view)
        if laid is None:
            return 0
        found, area = laid
        return len(found.fields) * sum(self.area_of(cells, area) is not None for _, cells in view.rows)

    def lay(self, view: _View) -> tuple[Found, int] | None:
        """The heading, and the column that holds the areas."""
        found = Head(view.rows[:HEAD_ROWS]).find(self.target)
        if found is None:
            return None
        width = max((len(cells) for _, cells in view.rows), default=0)
        counts = [sum(self.area_of(cells, index) is not None for _, cells in view.rows) for index in range(width)]
        best = max(range(width), key=lambda index: counts[index], default=None)
        return None if best is None or not counts[best] else (self.with_units(view, found), best)

    def with_units(self, view: _View, found: Found) -> Found:
        """The heading with a row below it that holds nothing but units (%, 亿元, 户)."""
        place = found.first + found.depth
        texts = [cell_text(cell) for cell in view.rows[place][1]] if place < len(view.rows) else []
        own = {fold(of.unit) for of in self.fields.values() if of.unit}
        units = [text for text in texts if unit_of(text) is not None or fold(text) in own]
        own |= {"单位", "计量单位", "unit"}
        others = [text for text in texts if text and text not in units and fold(text) not in own]
        return replace(found, depth=found.depth + 1) if units and not others else found

    def area_of(self, cells: Sequence[object], index: int) -> str | None:
        text = cell_text(cells[index]) if index < len(cells) else ""
        return self.areas.get(fold(text)) if text else None

    def read(self, view: _View, found: Found, area_index: int) -> None:
        head = Head(view.rows[:HEAD_ROWS])
        layout = lay_out(head, found, view.place)
        above = any(self.area_of(cells, area_index) is not None for _, cells in view.rows[: found.first])
        self.found.problems += [
            problem
            for problem in layout.problems
            if not (problem.code in NO_FIELD and _is_area_heading(str(problem.fields["heading"])))
            and (problem.code != "rows-above-heading" or above)
        ]
        if not layout.usable:
            return
        readers: list[tuple[int, str, Reader]] = []
        for column in layout.columns:
            if column.field is not None and column.index != area_index:
                stated = column.unit if column.unit_from in ("heading", "sheet") else None
                marks = view.grid.marks
                context = Context(stated, formats_known=marks.formats_known, date1904=marks.date1904)
                readers.append((column.index, column.field, reader_for(self.fields[column.field], context)))
        seen: dict[str, Location] = {}
        has_whole = any(self.area_of(cells, area_index) == self.whole for _, cells in view.rows)
        for number, cells in view.rows:
            if number <= layout.heading_rows[-1]:
                continue
            area = self.row_area(view, number, cells, area_index, has_whole)
            if area is None:
                continue
            if area in seen:
                fields = {"area": area, "first": str(seen[area])}
                self.found.problems.append(Problem("area-twice", view.place(number, area_index), fields))
                self.found.count("rejected")
                continue
            seen[area] = view.place(number, area_index)
            self.found.count("accepted")
            for index, name, read in readers:
                self.cell(view, number, index, cells[index] if index < len(cells) else "", name, read, area)

    def row_area(
        self, view: _View, number: int, cells: Sequence[object], area_index: int, has_whole: bool
    ) -> str | None:
        """The area a row is about; None where it is skipped or cannot be placed, which is counted."""
        text = cell_text(cells[area_index]) if area_index < len(cells) else ""
        if not any(cell_text(cell) for cell in cells):
            return None
        area = self.areas.get(fold(text))
        if area is not None:
            return area
        lead = text or next((cell_text(cell) for cell in cells if cell_text(cell)), "")
        kind = row_kind(lead)
        if kind == "total":
            if has_whole or not self.whole:
                self.found.count("skipped")
                return None
            return self.whole
        if kind == "note" or is_numbering(cells) or not text:
            self.found.count("skipped")
            return None
        self.found.count("rejected")
        known = list(dict.fromkeys(self.areas.values()))
        close = nearest(fold(text), self.areas)
        fields = {"area": text, "known": known[:16], "suggestion": self.areas[close] if close else ""}
        self.found.problems.append(Problem("unknown-area", view.place(number, area_index), fields))
        return None

    def cell(self, view: _View, number: int, index: int, raw: object, name: str, read: Reader, area: str) -> None:
        row, column = view.cell(number, index)
        try:
            value = read(raw, view.grid.marks.shown.get(cell_key(row, column + view.grid.offset)))
        except Unreadable as error:
            self.found.problems.append(problem_for(error, raw, self.fields[name], view.place(number, index)))
            return
        if value is not None:
            figure = self.plan.column(name).figure(value)
            self.found.figures.append(Figure(area, name, figure, view.place(number, index)))


_AREA_HEADINGS = frozenset(
    (
        "地区",
        "县市",
        "地区或单位",
        "单位",
        "县(市)",
        "县市区",
        "乡镇",
        "指标",
        "指标名称",
        "area",
        "region",
        "indicator",
    )
)


def _is_area_heading(text: str) -> bool:
    """Whether a heading only says that areas (or, turned, indicators and units) stand below it."""
    return any(fold(part) in _AREA_HEADINGS for part in (text, *text.split()))


def _turned(view: _View) -> _View:
    """The same sheet with rows and columns exchanged; a column's number stands for its row."""
    width = max((len(cells) for _, cells in view.rows), default=0)
    last = view.rows[-1][0] if view.rows else 0
    columns: list[list[object]] = [[""] * last for _ in range(width)]
    for number, cells in view.rows:
        if sum(bool(cell_text(cell)) for cell in cells) < 2:
            continue  # a title or a note, which would look like a heading of its own
        for index, cell in enumerate(cells):
            columns[index][number - 1] = cell
    return _View(view.grid, [(index + 1, cells) for index, cells in enumerate(columns)], True)

"""Targets as tables: what was reached against plan, by area and indicator, at the end of one period.

A pack's target provisions state their plan by indicator, area and period; several provisions may set
a figure for the same one, and each is judged. Which spellings a statistics sheet uses for areas and
indicators, and which area its total row is, stand in the pack's `areas.yaml`:

```yaml
whole: 全县
areas: {东山乡: [东山]}
indicators: {固定资产投资增速: [投资增速]}
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date
from fractions import Fraction
from typing import Any

from engine.assessing import assess_case
from engine.dataclass import dataclass
from engine.errors import FactError, Lang, PackError, Problem, Wording, register
from engine.expr import Literal
from engine.kinds import LABELS
from engine.load import Pack
from engine.model import Field, Provision, ProvisionKind, Text
from engine.outcome import Outcome
from engine.periods import read_period
from engine.reader import Reader
from engine.report import Cell, Table
from engine.source import NOWHERE, Location
from engine.types import MONEY, NUMBER, RATIO, Kind, Type
from engine.values import FEN_PER_YUAN, Number, Value, decimal_text, fold, scale_of_unit, shrink
from engine.yamltree import Mapping as MappingNode
from engine.yamltree import read_yaml

register(
    {
        "unknown-period": Wording(
            "`{period}` 不是有目标的考核期",
            "`{period}` is no period for which anything is planned",
            "可用的：{known}",
            "there are: {known}",
        ),
        "no-plan-for-period": Wording(
            "“{label}”在 {period} 没有计划数，有计划数的考核期：{known}",
            "nothing is planned for `{label}` in {period}; there are plans for {known}",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class AreaNames:
    """How sheets spell areas and indicators; `whole` is the area a total row stands for."""

    whole: str = ""
    areas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    indicators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planned:
    """One planned figure of a provision, in its own unit."""

    provision: str
    indicator: str
    area: str
    period: str
    op: str
    value: Number
    unit: str
    ends: date


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of figures may be: an indicator by its label, in one unit, with the plans it is held against."""

    name: str
    label: Text
    unit: str
    plans: tuple[tuple[str, str], ...]
    """Provision and indicator."""

    def as_field(self, aliases: Sequence[str]) -> Field:
        """The field a sheet's cells are read as: percentages, money and numbers, each with its own care."""
        of: Type
        if self.unit == "%":
            of, unit = RATIO, "%"
        elif scale_of_unit(self.unit) is not None and self.unit.endswith("元"):
            of, unit = MONEY, self.unit
        else:
            of, unit = (Type(Kind.QUANTITY, self.unit) if self.unit else NUMBER), self.unit
        return Field(self.name, of, self.label, unit or None, required=False, aliases=tuple(aliases))

    def figure(self, value: Value) -> Number:
        """A read value as a number in the plan's unit."""
        assert not isinstance(value, (str, date))
        if self.unit == "%":
            return shrink(Fraction(value) * 100)
        scale = scale_of_unit(self.unit) if self.unit.endswith("元") else None
        return shrink(Fraction(value) / FEN_PER_YUAN / scale) if scale else value


@dataclass(frozen=True, slots=True)
class Figure:
    """One actual figure of a sheet, in the plan's unit."""

    area: str
    column: str
    value: Number
    at: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class TargetLine:
    """One figure held against one plan; `planned` is None where nothing is planned for that area."""

    area: str
    column: Column
    provision: str
    indicator: str
    actual: Number
    planned: Planned | None
    outcome: Outcome | None
    at: Location = NOWHERE

    @property
    def status(self) -> str:
        return self.outcome.status if self.outcome is not None else "not_applicable"

    @property
    def gap(self) -> Number | None:
        found = self.outcome.values.get("gap") if self.outcome is not None else None
        return None if found is None or isinstance(found, (str, date)) else found


def load_area_names(pack: Pack) -> AreaNames:
    """The pack's `areas.yaml`; empty where it has none. Errors (`PackError`): all that is wrong with it."""
    path = pack.folder / "areas.yaml"
    if not path.exists():
        return AreaNames()
    problems: list[Problem] = []
    node = read_yaml(path, str(path))
    known = ("whole", "areas", "indicators")
    reader = Reader(node if isinstance(node, MappingNode) else MappingNode((), node.at), "areas.yaml", problems, known)

    def spellings(key: str) -> dict[str, tuple[str, ...]]:
        return {
            name.text: Reader(MappingNode(((name, value),), name.at), key, problems).texts(name.text)
            for name, value in reader.mapping(key)
        }

    names = AreaNames(reader.text("whole"), spellings("areas"), spellings("indicators"))
    if problems:
        raise PackError(problems)
    return names


def planned_figures(provision: Provision) -> list[Planned]:
    """Every planned figure of a target provision, in the order it is written."""
    table = next((let.table for let in provision.lets if let.name == "planned" and let.table is not None), None)
    if table is None:
        return []
    found = []
    for row in table.rows:
        op, value, unit, ends = (output.value for output in row.outputs if isinstance(output, Literal))
        assert isinstance(ends, date)
        assert isinstance(value, (int, Fraction))
        found.append(Planned(provision.id, row.texts[0], row.texts[1], row.texts[2], str(op), value, str(unit), ends))
    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """All planned figures of a pack, and the columns a sheet may have."""

    figures: tuple[Planned, ...]
    columns: tuple[Column, ...]
    names: AreaNames

    @property
    def areas(self) -> dict[str, str]:
        """Every spelling of an area, folded, to its name."""
        found: dict[str, str] = {}
        for area in dict.fromkeys([*(figure.area for figure in self.figures), *self.names.areas]):
            for spelling in (area, *self.names.areas.get(area, ())):
                found.setdefault(fold(spelling), area)
        return found

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def fields(self) -> dict[str, Field]:
        """The columns as fields, for the reader of sheets."""
        spellings = {
            fold(name): (label, *others) for label, others in self.names.indicators.items() for name in (label, *others)
        }
        return {column.name: column.as_field(spellings.get(fold(column.label.zh), ())) for column in self.columns}


def load_plan(pack: Pack) -> Plan:
    names = load_area_names(pack)
    same = {fold(spelling): fold(label) for label, spellings in names.indicators.items() for spelling in spellings}
    figures: list[Planned] = []
    columns: dict[tuple[str, str], Column] = {}
    for provision in pack.provisions.values():
        if provision.kind is not ProvisionKind.TARGET:
            continue
        labels = provision.facts[pack.target.indicator]
        for figure in planned_figures(provision):
            figures.append(figure)
            label = Text(labels.choice_label(figure.indicator, "zh"), labels.choice_label(figure.indicator, "en"))
            key = (same.get(fold(label.zh), fold(label.zh)), figure.unit)
            known = columns.get(key)
            plans = known.plans if known is not None else ()
            pair = (figure.provision, figure.indicator)
            columns[key] = Column(
                known.name if known is not None else f"c{len(columns) + 1}",
                known.label if known is not None else label,
                figure.unit,
                plans if pair in plans else (*plans, pair),
            )
    return Plan(tuple(figures), tuple(columns.values()), names)


def period_end(pack: Pack, text: str) -> date:
    """The last day of the period a text names: one of the pack's, or a month, quarter, half or year.

    Errors (`FactError`): `unknown-period`.
    """
    if text in pack.periods:
        return pack.periods[text]
    period = read_period(text)
    ends = {end: name for name, end in pack.periods.items()}
    if period is None or period.end not in ends:
        raise FactError(Problem("unknown-period", fields={"period": text, "known": list(pack.periods)}))
    return period.end


def judge_targets(
    pack: Pack, plan: Plan, figures: Sequence[Figure], ends: date, as_of: date
) -> tuple[list[TargetLine], list[Problem]]:
    """Every figure held against every plan that ends on that day.

    A column for which nothing is planned then is a problem (warning) once, at its first figure.
    """
    by_key = {(item.provision, item.indicator, item.area): item for item in plan.figures if item.ends == ends}
    planned_then = {(item.provision, item.indicator) for item in plan.figures if item.ends == ends}
    lines: list[TargetLine] = []
    problems: list[Problem] = []
    reported: set[str] = set()
    for figure in figures:
        column = plan.column(figure.column)
        wanted = [pair for pair in column.plans if pair in planned_then]
        if not wanted and column.name not in reported:
            reported.add(column.name)
            others = dict.fromkeys(
                item.period for item in plan.figures if (item.provision, item.indicator) in column.plans
            )
            fields = {"label": column.label.zh, "period": ends, "known": list(others)}
            problems.append(Problem("no-plan-for-period", figure.at, fields, "warning"))
        for identity, indicator in wanted:
            planned = by_key.get((identity, indicator, figure.area))
            outcome = None
            if planned is not None:
                provision = pack.provision(identity)
                values: dict[str, Value | None] = {
                    pack.target.indicator: indicator,
                    pack.target.area: figure.area,
                    pack.target.period: planned.period,
                    pack.target.actual: figure.value,
                }
                outcome = assess_case(pack, provision, values, as_of)
            lines.append(
                TargetLine(figure.area, column, identity, indicator, figure.value, planned, outcome, figure.at)
            )
    return lines, problems


# For people and programs


def number_text(value: Number, unit: str) -> str:
    """A figure with its unit: percent with its sign, money in 亿元 or 万元 where that is how it reads."""
    if unit == "%":
        return f"{decimal_text(value)}%"
    scale = scale_of_unit(unit) if unit.endswith("元") else None
    if scale is not None:
        yuan = Fraction(value) * scale
        for word, size in (("亿元", 10**8), ("万元", 10**4)):
            if abs(yuan) >= size:
                return f"{decimal_text(yuan / size)}{word}"
    return f"{decimal_text(value)}{unit}"


def gap_text(value: Number, unit: str, lang: Lang) -> str:
    """How far a figure is from plan: points for percentages."""
    sign = "+" if value >= 0 else ""
    if unit == "%":
        return f"{sign}{decimal_text(value)}{'个百分点' if lang == 'zh' else ' points'}"
    return sign + number_text(value, unit)


_NO_PLAN = Text("无此项目标", "no target")


def _status_words(line: TargetLine, lang: Lang) -> str:
    return LABELS[line.status].get(lang) if line.outcome is not None else _NO_PLAN.get(lang)


def target_tables(pack: Pack, plan: Plan, lines: Sequence[TargetLine], lang: Lang) -> list[Table]:
    """Area by indicator with totals; then every figure that missed its plan, with its clause."""
    zh = lang == "zh"
    columns = list(dict.fromkeys((line.column.name, line.provision, line.indicator) for line in lines))
    shared = {name for name, *_ in columns if sum(other == name for other, *_ in columns) > 1}
    headers = ["地区或单位" if zh else "area"]
    for name, identity, _ in columns:
        label = plan.column(name).label.get(lang)
        headers.append(f"{label}（{_plan_name(pack, identity)}）" if name in shared else label)
    headers += [LABELS[status].get(lang) for status in _COUNTED]
    cells = {(line.area, line.column.name, line.provision, line.indicator): line for line in lines}
    areas = list(dict.fromkeys(line.area for line in lines))
    rows: list[tuple[Cell, ...]] = []
    for area in areas:
        own = [cells.get((area, *column)) for column in columns]
        counts = [sum(line is not None and line.status == status for line in own) for status in _COUNTED]
        rows.append((area, *(_cell(line, lang) for line in own), *counts))
    footer: list[Cell] = ["合计" if zh else "total"]
    for column in columns:
        mine = [line for line in lines if (line.column.name, line.provision, line.indicator) == column]
        judged = [line for line in mine if line.status in ("met", "missed", "not_yet_due")]
        met = sum(line.status == "met" for line in judged)
        footer.append(f"完成 {met}/{len(judged)}" if zh else f"{met} of {len(judged)} met")
    footer += [sum(line.status == status for line in lines) for status in _COUNTED]
    main = Table("", tuple(headers), tuple(rows), tuple(footer), tuple(_notes(pack, plan, lines, lang)))
    missed = [line for line in lines if line.status == "missed"]
    if not missed:
        return [main]
    return [main, lines_table(pack, missed, lang, "未完成的目标" if zh else "Targets missed")]


_COUNTED = ("met", "missed", "not_yet_due")


def _plan_name(pack: Pack, identity: str) -> str:
    citation = pack.provision(identity).citation
    return f"{citation.plan.split('（')[0]} {citation.path}"


def _cell(line: TargetLine | None, lang: Lang) -> Cell:
    if line is None:
        return ""
    text = f"{number_text(line.actual, line.column.unit)} {_status_words(line, lang)}"
    if line.gap is not None and line.planned is not None:
        text += f" {gap_text(line.gap, line.column.unit, lang)}"
    return text


def lines_table(pack: Pack, lines: Sequence[TargetLine], lang: Lang, title: str = "") -> Table:
    """One line a figure and plan: for another program, or to read one by one."""
    headers = (
        ("地区或单位", "指标", "考核期", "计划", "实际", "差额", "结论", "依据", "另一读法")
        if lang == "zh"
        else ("area", "indicator", "period", "planned", "actual", "gap", "result", "clause", "another reading")
    )
    rows: list[tuple[Cell, ...]] = []
    for line in lines:
        planned, unit = line.planned, line.column.unit
        rows.append(
            (
                line.area,
                line.column.label.get(lang),
                planned.period if planned else "",
                f"{_OPS[planned.op].get(lang)}{number_text(planned.value, unit)}" if planned else "",
                number_text(line.actual, unit),
                gap_text(line.gap, unit, lang) if line.gap is not None else "",
                _status_words(line, lang),
                _plan_name(pack, line.provision),
                "；".join(_other_readings(line, lang)),
            )
        )
    return Table(title, headers, tuple(rows))


_OPS = {
    ">=": Text("不低于", "at least "), ">": Text("高于", "above "), "<=": Text("不超过", "at most "),
    "<": Text("低于", "below "), "=": Text("等于", "exactly "), "~": Text("约", "about "),
}  # fmt: skip


def _other_readings(line: TargetLine, lang: Lang) -> Iterator[str]:
    for other in line.outcome.readings if line.outcome is not None else ():
        status = LABELS[other.outcome.status].get(lang)
        yield f"{other.other.get(lang)}：{status}" if lang == "zh" else f"{other.other.get(lang)}: {status}"


def _notes(pack: Pack, plan: Plan, lines: Sequence[TargetLine], lang: Lang) -> list[str]:
    """What an officer must know of the plan itself: the source's own oddities, and later figures below earlier ones."""
    zh = lang == "zh"
    notes: list[str] = []
    for identity in dict.fromkeys(line.provision for line in lines if line.planned is not None):
        for note in pack.provision(identity).notes:
            notes.append(f"{_plan_name(pack, identity)}：{note.zh}" if zh else f"{identity}: {note.get('en')}")
    falling: dict[str, list[str]] = {}
    for line in lines:
        if line.planned is None:
            continue
        mine, unit, label = line.planned, line.column.unit, line.column.label.get(lang)
        for other in plan.figures:
            same = (other.provision, other.indicator, other.area) == (mine.provision, mine.indicator, mine.area)
            earlier = other.ends.year == mine.ends.year and other.ends < mine.ends
            if same and earlier and mine.op in (">=", ">") and other.value > mine.value:
                there, here = number_text(other.value, unit), number_text(mine.value, unit)
                text = (
                    f"“{label}”{mine.period}计划{here}低于{other.period}的{there}"
                    if zh
                    else f"{label}: the plan for {mine.period}, {here}, lies below that for {other.period}, {there}"
                )
                falling.setdefault(text, []).append(line.area)
    return [*dict.fromkeys(notes), *(f"{text}（{'、'.join(areas)}）" for text, areas in falling.items())]


def target_data(lines: Sequence[TargetLine], ends: date, as_of: date) -> dict[str, Any]:
    """The lines as plain data; figures as exact decimal text in the plan's unit."""
    return {
        "period_end": ends.isoformat(),
        "as_of": as_of.isoformat(),
        "lines": [
            {
                "area": line.area,
                "indicator": line.indicator,
                "label": {"zh": line.column.label.zh, "en": line.column.label.en},
                "provision": line.provision,
                "period": line.planned.period if line.planned else None,
                "planned": decimal_text(line.planned.value) if line.planned else None,
                "comparison": line.planned.op if line.planned else None,
                "actual": decimal_text(line.actual),
                "gap": decimal_text(line.gap) if line.gap is not None else None,
                "unit": line.column.unit,
                "status": line.status if line.outcome is not None else None,
                "readings": [
                    {"reading": other.reading, "number": other.number, "status": other.outcome.status}
                    for other in (line.outcome.readings if line.outcome is not None else ())
                ],
                "place": str(line.at),
            }
            for line in lines
        ],
    }

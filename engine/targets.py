"""Targets: planned figures by indicator, area and period → a decision table and a judgement.

```yaml
indicators: {retail_growth: 社会消费品零售总额增速}
targets:
- {indicator: retail_growth, area: 全州, unit: '%', plan: {2019Q1: ">= 12", 2019: ">= 12"}}
- {indicator: retail_growth, period: 2019, unit: '%', plan: {甲市: ">= 12.5", 乙县: ">= 11"}}
```
`plan` is by period where a block names its area (or a list of them), by area where it names its
period. `>= > <= < =` decide; `~` (左右) has no bright line and is never judged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType
from datetime import date

from engine.dataclass import dataclass
from engine.expr import Arithmetic, Call, Compare, Expr, IfElse, Literal, Logic, Name
from engine.kinds import status_type
from engine.model import Choice, DecisionTable, Field, Let, Output, ProvisionKind, TableRow, Text
from engine.reader import Reader
from engine.source import Location
from engine.tables import table_outputs
from engine.types import BOOLEAN, DATE, NUMBER, TEXT, Kind, Type
from engine.values import Unreadable, Value, read_quantity
from engine.yamltree import Mapping, Node

BLOCK_KEYS = ("indicator", "area", "period", "unit", "plan")
_FIGURE = re.compile(r"(>=|<=|>|<|=|~)\s*(.+)")
_ROOM = 10**12


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """The facts in which a pack's target figures are reported."""

    indicator: str
    area: str
    period: str
    actual: str
    as_of: str


@dataclass(frozen=True, slots=True)
class _Planned:
    indicator: str
    area: str
    period: str
    op: str
    value: Value
    unit: str
    at: Location


def target_fields(names: TargetFacts, reader: Reader, planned: list[_Planned]) -> dict[str, Field]:
    """The facts of a target: which figure, for which area and period, and what was reached."""
    labels = {
        key.text: reader.as_words(value, key.text.replace("_", " ")) for key, value in reader.mapping("indicators")
    }

    def choice_field(name: str, zh: str, values: list[str]) -> Field:
        choices = tuple(Choice(value, labels.get(value, Text(value, value))) for value in dict.fromkeys(values))
        of = Type(Kind.ENUM, values=tuple(choice.value for choice in choices))
        return Field(name, of, Text(zh, name.replace("_", " ")), choices=choices, at=reader.node.at)

    return {
        names.indicator: choice_field(names.indicator, "指标", [row.indicator for row in planned]),
        names.area: choice_field(names.area, "地区或单位", [row.area for row in planned]),
        names.period: choice_field(names.period, "考核期", [row.period for row in planned]),
        names.actual: Field(
            names.actual, NUMBER, Text("实际值", "actual value"), minimum=-_ROOM, maximum=_ROOM, at=reader.node.at
        ),
        names.as_of: Field(names.as_of, DATE, Text("判断基准日", "judged on"), required=False, at=reader.node.at),
    }


def read_planned(reader: Reader, periods: MappingType[str, date]) -> list[_Planned]:
    """Every planned figure of the provision's blocks, one per indicator, area and period."""
    found: list[_Planned] = []
    for item in reader.items("targets"):
        if not isinstance(item, Mapping):
            reader.shape(item, "{indicator, area 或 period, unit, plan}", "{indicator, area or period, unit, plan}")
            continue
        block = Reader(item, reader.where, reader.problems, BLOCK_KEYS)
        indicator = block.text("indicator")
        by_period = block.has("area")
        if by_period == block.has("period"):
            block.report("missing-key", item.at, where=reader.where, key="area | period")
            continue
        for key, value in block.mapping("plan"):
            for other in block.texts("area" if by_period else "period"):
                area, period = (other, key.text) if by_period else (key.text, other)
                if period not in periods:
                    block.report("unknown-name", key.at, name=period, known=list(periods), suggestion="")
                figure = _figure(block, value)
                if figure is not None:
                    found.append(_Planned(indicator, area, period, *figure, block.text("unit"), key.at))
    seen: dict[tuple[str, str, str], Location] = {}
    for row in found:
        key_of = (row.indicator, row.area, row.period)
        if key_of in seen:
            reader.report("duplicate-key", row.at, key=" ".join(key_of), first=seen[key_of].line or 0)
        seen[key_of] = row.at
    return found


def _figure(reader: Reader, node: Node) -> tuple[str, Value] | None:
    text = reader.scalar(node)
    match = _FIGURE.fullmatch(text.strip())
    try:
        if match is not None:
            return match[1], read_quantity(match[2])
    except Unreadable:
        pass
    reader.report(
        "bad-value",
        node.at,
        value=text,
        expected="带比较号的数字，如 >= 22",
        expected_en="a number with its comparison, as in >= 22",
    )
    return None


def target_lets(
    names: TargetFacts,
    fields: MappingType[str, Field],
    planned: list[_Planned],
    periods: MappingType[str, date],
    at: Location,
) -> list[Let]:
    """The table of planned figures, as the names `op`, `planned`, `unit` and `ends`."""
    columns = tuple(
        Name(name, type=fields[name].type, role="fact") for name in (names.indicator, names.area, names.period)
    )
    operators = Type(Kind.ENUM, values=(">=", ">", "<=", "<", "=", "~"))
    rows = []
    for row in planned:
        keys = (row.indicator, row.area, row.period)
        tests: tuple[Expr, ...] = tuple(
            Compare("==", column, Literal(key, column.type)) for column, key in zip(columns, keys, strict=True)
        )
        outputs = (
            Literal(row.op, operators),
            Literal(row.value, NUMBER),
            Literal(row.unit, TEXT),
            Literal(periods.get(row.period), DATE),
        )
        rows.append(TableRow(tests, outputs, (*keys, f"{row.op} {row.value}{row.unit}"), row.at))
    table = DecisionTable("unique", columns, ("op", "planned", "unit", "ends"), tuple(rows), None, at)
    labels = (None, Text("计划值", "planned"), Text("单位", "unit"), Text("期末", "period end"))
    return [
        Let(name, expr, label, table, at)
        for name, expr, label in zip(table.outputs, table_outputs(table), labels, strict=True)
    ]


def has_target(fields: MappingType[str, Field], names: TargetFacts, planned: list[_Planned]) -> Expr:
    """Whether the plan sets a figure for this indicator, area and period."""

    def equals(name: str, value: str) -> Expr:
        of = fields[name].type
        return Compare("==", Name(name, type=of, role="fact"), Literal(value, of))

    rows: list[Expr] = [
        Logic(
            "and",
            (equals(names.indicator, row.indicator), equals(names.area, row.area), equals(names.period, row.period)),
        )
        for row in planned
    ]
    return rows[0] if len(rows) == 1 else Logic("or", tuple(rows))


def judgement(names: TargetFacts) -> Expr:
    """A floor is met as soon as it is reached; a ceiling, and any miss, only once the period is over."""
    of = status_type(ProvisionKind.TARGET)
    actual, planned = Name(names.actual, type=NUMBER, role="fact"), Name("planned", type=NUMBER, role="let")
    op = Name("op", type=Type(Kind.ENUM, values=(">=", ">", "<=", "<", "=", "~")), role="let")
    as_of, ends = Name(names.as_of, type=DATE, role="fact"), Name("ends", type=DATE, role="let")

    def when(sign: str, comparison: str) -> Expr:
        return Logic("and", (Compare("==", op, Literal(sign, op.type)), Compare(comparison, actual, planned)))

    reached = Logic("or", tuple(when(sign, sign) for sign in (">=", ">")))
    kept = Logic("or", tuple(when(sign, "==" if sign == "=" else sign) for sign in ("<=", "<", "=")))
    running = Logic("and", (Call("is_known", (as_of,), type=BOOLEAN), Compare("<", as_of, ends)))
    final = IfElse(kept, Literal("met", of), Literal("missed", of), type=of)
    open_yet = IfElse(running, Literal("not_yet_due", of), final, type=of)
    judged = IfElse(reached, Literal("met", of), open_yet, type=of)
    return IfElse(Compare("==", op, Literal("~", op.type)), Literal("not_judged", of), judged, type=of)


def target_outputs(names: TargetFacts) -> list[Output]:
    """The planned figure, and how far the actual one is above (or, negative, below) it."""
    actual, planned = Name(names.actual, type=NUMBER, role="fact"), Name("planned", type=NUMBER, role="let")
    return [
        Output("planned", planned, label=Text("计划值", "planned")),
        Output("unit", Name("unit", type=TEXT, role="let"), label=Text("单位", "unit")),
        Output("gap", Arithmetic("-", actual, planned, type=NUMBER), label=Text("与计划之差", "gap to plan")),
    ]

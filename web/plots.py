"""Plots as SVG text: an outcome's figure along one fact, a decision table along its column.

Colours and type come from the stylesheet by class; every plot has a title and a description, and
the page gives its figures as a table too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from math import floor, log10

from engine.errors import Lang
from engine.explain import Wording
from engine.expr import Compare, Literal, Logic, Name
from engine.model import DecisionTable, Provision
from engine.types import Kind, Type
from engine.values import decimal_text
from web.terms import day_of
from web.tiers import Tier, Tiers

WIDTH, HEIGHT = 480, 280
LEFT, RIGHT, TOP, BOTTOM = 62, 30, 26, 48
MAX_DOTTED = 24
"""Pieces whose ends are dotted; more would run into each other."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A straight piece of a plot; a filled dot stands where an end belongs to it."""

    x1: Fraction
    y1: Fraction
    x2: Fraction
    y2: Fraction
    low_in: bool
    high_in: bool


@dataclass(frozen=True, slots=True)
class Axis:
    label: str
    type: Type


def tiers_plot(tiers: Tiers, here: Fraction | None, axis: Axis, figure: Axis, lang: Lang, title: str) -> str:
    """The figure along the fact, the present value marked."""
    drawn = [tier for tier in tiers.tiers if tier.line is not None]
    if not drawn:
        return ""
    low, high = _span(drawn, here)
    stretches = []
    for tier in drawn:
        start = low if tier.low is None or tier.low < low else tier.low
        end = high if tier.high is None or tier.high > high else tier.high
        if start > high or end < low or start > end:
            continue
        y1, y2 = tier.figure(start), tier.figure(end)
        assert y1 is not None
        assert y2 is not None
        stretches.append(Stretch(start, y1, end, y2, tier.low_in, tier.high_in))
    mark = None
    if here is not None and tiers.here is not None:
        level = tiers.tiers[tiers.here].figure(here)
        if level is not None:
            mark = (here, level)
    return _plot(stretches, (low, high), mark, axis, figure, lang, title)


def _span(drawn: Sequence[Tier], here: Fraction | None) -> tuple[Fraction, Fraction]:
    """From the least to a little beyond the last turning point and the present value."""
    first, last = drawn[0].low, drawn[-1].high
    turns = [edge for tier in drawn for edge in (tier.low, tier.high) if edge is not None and edge not in (first, last)]
    points = [*turns, *([here] if here is not None else [])] or [Fraction(0), Fraction(1)]
    width = max(points) - min(points) or abs(max(points)) or Fraction(1)
    low, high = min(points) - width / 2, max(points) + width / 5
    if first is not None:
        low = max(low, first)
    if last is not None:
        high = min(high, last)
    return low, max(high, low + 1 if high <= low else high)


def table_plot(table: DecisionTable, provision: Provision, value: Fraction | None, lang: Lang, title: str) -> str:
    """A table with one numeric column and a numeric result as steps; empty for any other table."""
    stretches = table_stretches(table)
    if stretches is None:
        return ""
    words = Wording(provision, lang)
    labels = {name: field.label.get(lang) for name, field in provision.facts.items()}
    labels |= {let.name: let.label.get(lang) for let in provision.lets if let.label is not None}
    x_axis = Axis(words.formula(table.columns[0], labels), table.columns[0].type)
    y_axis = Axis(labels.get(table.outputs[0], table.outputs[0]), table.rows[0].outputs[0].type)
    edges = [edge for low, high, *_ in stretches for edge in (low, high) if edge is not None]
    points = [*edges, *([value] if value is not None else [])]
    width = max(points) - min(points) or Fraction(1)
    low, high = min(points) - width / 2, max(points) + width / 3
    if min(points) >= 0:
        low = max(low, Fraction(0))
    drawn = [
        Stretch(
            low if a is None else a,
            level,
            high if b is None else b,
            level,
            a is not None and a_in,
            b is not None and b_in,
        )
        for a, b, a_in, b_in, level in stretches
    ]
    mark = None
    if value is not None:
        level = next(
            (
                level
                for a, b, a_in, b_in, level in stretches
                if (a is None or value > a or (a_in and value == a))
                and (b is None or value < b or (b_in and value == b))
            ),
            None,
        )
        mark = None if level is None else (value, level)
    return _plot(drawn, (low, high), mark, x_axis, y_axis, lang, title)


_Range = tuple[Fraction | None, Fraction | None, bool, bool, Fraction]


def table_stretches(table: DecisionTable) -> list[_Range] | None:
    """The rows as ranges of the one column with their level; None where the table is of another form."""
    if len(table.columns) != 1 or table.columns[0].type.kind not in (Kind.MONEY, Kind.RATIO, Kind.QUANTITY):
        return None
    found: list[_Range] = []
    for row in table.rows:
        test, level = row.tests[0], row.outputs[0]
        if not isinstance(level, Literal) or isinstance(level.value, (str, bool)) or test is None:
            return None
        if not isinstance(level.value, (int, Fraction)):
            return None
        low: Fraction | None = None
        high: Fraction | None = None
        low_in = high_in = False
        for part in test.operands if isinstance(test, Logic) and test.op == "and" else (test,):
            if not isinstance(part, Compare):
                return None
            if isinstance(part.right, Literal):
                bound, sign = part.right.value, part.op
            elif isinstance(part.left, Literal):
                bound, sign = part.left.value, {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(part.op, part.op)
            else:
                return None
            if not isinstance(bound, (int, Fraction)):
                return None
            if sign in (">", ">="):
                low, low_in = Fraction(bound), sign == ">="
            elif sign in ("<", "<="):
                high, high_in = Fraction(bound), sign == "<="
            else:
                return None
        found.append((low, high, low_in, high_in, Fraction(level.value)))
    return found or None


def column_value(table: DecisionTable, steps: Sequence[object]) -> Fraction | None:
    """The value of the table's column in a trace, if the trace has it."""
    column = table.columns[0]
    if not isinstance(column, Name):
        return None
    for step in steps:
        if getattr(step, "name", "") == column.name and isinstance(getattr(step, "value", None), (int, Fraction)):
            return Fraction(step.value)  # type: ignore[attr-defined]
    return None


# Drawing


def _plot(
    stretches: Sequence[Stretch],
    span: tuple[Fraction, Fraction],
    mark: tuple[Fraction, Fraction] | None,
    x_axis: Axis,
    y_axis: Axis,
    lang: Lang,
    title: str,
) -> str:
    if not stretches:
        return ""
    low, high = span
    top = max([max(piece.y1, piece.y2) for piece in stretches] + [Fraction(0)])
    bottom = min([min(piece.y1, piece.y2) for piece in stretches] + [Fraction(0)])
    top = top if top > bottom else bottom + 1
    top += (top - bottom) / 10

    def x(value: Fraction) -> float:
        return LEFT + float((value - low) / (high - low)) * (WIDTH - LEFT - RIGHT)

    def y(value: Fraction) -> float:
        return HEIGHT - BOTTOM - float((value - bottom) / (top - bottom)) * (HEIGHT - TOP - BOTTOM)

    opening = f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
    parts = [opening, f"<title>{escape(title)}</title>"]
    for tick in _ticks(bottom, top, y_axis.type):
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y(tick):.1f}" x2="{WIDTH - RIGHT}" y2="{y(tick):.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">'
            f"{tick_text(tick, y_axis.type, lang)}</text>"
        )
    shown: list[float] = []
    edges = {edge for piece in stretches for edge in (piece.x1, piece.x2)}
    for edge in sorted(edges):
        place = x(edge)
        if all(abs(place - other) > 52 for other in shown):
            shown.append(place)
            parts.append(
                f'<text class="tick" x="{place:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                f"{tick_text(edge, x_axis.type, lang)}</text>"
            )
        if len(stretches) <= MAX_DOTTED:
            parts.append(f'<line class="grid" x1="{place:.1f}" y1="{TOP}" x2="{place:.1f}" y2="{HEIGHT - BOTTOM}"/>')
    parts.append(
        f'<line class="axis" x1="{LEFT}" y1="{y(Fraction(0)):.1f}" x2="{WIDTH - RIGHT}" y2="{y(Fraction(0)):.1f}"/>'
    )
    for piece in stretches:
        parts.append(
            f'<line class="curve" x1="{x(piece.x1):.1f}" y1="{y(piece.y1):.1f}" '
            f'x2="{x(piece.x2):.1f}" y2="{y(piece.y2):.1f}"/>'
        )
    for piece in stretches if len(stretches) <= MAX_DOTTED else ():
        for at, level, inside in ((piece.x1, piece.y1, piece.low_in), (piece.x2, piece.y2, piece.high_in)):
            if at not in (low, high):
                kind = "in" if inside else "out"
                parts.append(f'<circle class="end {kind}" cx="{x(at):.1f}" cy="{y(level):.1f}" r="3.5"/>')
    if mark is not None and low <= mark[0] <= high:
        mx, my = x(mark[0]), y(mark[1])
        word = "本例" if lang == "zh" else "this case"
        anchor, shift = ("end", -9) if mx > WIDTH * 0.7 else ("start", 9)
        beside = max(my - 9, TOP + 12) if my < HEIGHT / 2 else TOP + 12  # low down a curve may pass there
        parts.append(
            f'<line class="mark" x1="{mx:.1f}" y1="{TOP}" x2="{mx:.1f}" y2="{HEIGHT - BOTTOM}"/>'
            f'<circle class="mark" cx="{mx:.1f}" cy="{my:.1f}" r="6"/>'
            f'<text class="mark" x="{mx + shift:.1f}" y="{beside:.1f}" text-anchor="{anchor}">'
            f"{word}</text>"
        )
    parts.append(
        f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(x_axis.label)}</text>"
        f'<text class="label" x="8" y="{TOP - 6}">{escape(y_axis.label)}</text></svg>'
    )
    return "".join(parts)


def _ticks(low: Fraction, high: Fraction, of: Type) -> list[Fraction]:
    """Three to six round values; money in round yuan, ratios in round percentage points."""
    width = float(high - low)
    power = floor(log10(width)) if width > 0 else 0
    base = Fraction(10) ** power
    step = next(
        (
            base * part
            for part in (Fraction(1, 5), Fraction(1, 2), Fraction(1), Fraction(2))
            if width / float(base * part) <= 5
        ),
        base * 5,
    )
    first = -(-low // step) * step
    ticks: list[Fraction] = []
    while first <= high and len(ticks) < 12:
        ticks.append(Fraction(first))
        first += step
    return ticks


def tick_text(value: Fraction, of: Type, lang: Lang) -> str:
    """A value at an axis, as short as it can be: 万元 and 亿元 for large amounts, M and k in English."""
    if of.kind is Kind.MONEY:
        yuan = value / 100
        units = (("亿", 10**8), ("万", 10**4)) if lang == "zh" else (("M", 10**6), ("k", 10**3))
        for unit, size in units:
            if abs(yuan) >= size:
                return f"{_short(yuan / size)}{unit}"
        return _short(yuan)
    if of.kind is Kind.RATIO:
        return f"{_short(value * 100)}%"
    if of.kind is Kind.DATE:
        return str(day_of(value))
    return _short(value)


def _short(value: Fraction) -> str:
    text = decimal_text(value)
    return text if len(text) <= 7 else decimal_text(value, 2).rstrip("0").rstrip(".")

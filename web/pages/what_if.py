"""What if: one fact moved, the others kept; where the outcome turns, and how much is left to the next tier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from math import ceil, floor
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse

from engine.errors import Lang, Problem
from engine.kinds import LABELS, UNDETERMINED
from engine.model import Field, Provision, ProvisionKind, Text
from engine.trace import OUTPUT_LABELS
from engine.types import MONEY, RATIO, Kind
from engine.values import Value, decimal_text, money_text, percent_text, value_text
from web.auth import Visitor
from web.context import language, library_of, needs
from web.forms import reads, written
from web.pages.base import fragment, remember_choices, render
from web.pages.calculate import Filled, _controls, _result, fill
from web.plots import Axis, tiers_plot
from web.stretches import FIGURES
from web.terms import number_of, value_of
from web.tiers import MOVABLE, Tier, Tiers, explore
from web.views import short_result
from web.words import day_text, tone

router = APIRouter()
Viewer = Annotated[Visitor, Depends(needs("viewer"))]
MAX_ROWS = 6
"""Tiers listed each way from the present one."""


def movable(provision: Provision) -> list[Field]:
    """The facts that can be moved along a line and that the outcome depends on."""
    if provision.kind in (ProvisionKind.PARAMETER, ProvisionKind.TARGET):
        return []
    return [field for name, field in provision.facts.items() if field.type.kind in MOVABLE and reads(provision, name)]


@router.get("/what-if", response_class=HTMLResponse)
async def choose(request: Request, visitor: Viewer, q: str = "", plan: str = "") -> HTMLResponse:
    remember_choices(request)
    library = library_of(request)
    found = [provision for provision in library.find(q[:200], plan) if movable(provision)]
    return render(
        request,
        "what_if_home.html",
        visitor,
        q=q,
        plan=plan,
        plans=library.plans,
        groups=list(library.by_plan(found)),
        count=len(found),
    )


@router.get("/what-if/{identity}", response_class=HTMLResponse)
async def what_if(request: Request, visitor: Viewer, identity: str) -> HTMLResponse:
    remember_choices(request)
    filled = fill(request, identity)
    return render(
        request,
        "what_if.html",
        visitor,
        filled=filled,
        provision=filled.provision,
        controls=_controls(request, filled),
        movable=movable(filled.provision),
        **_explored(request, filled),
    )


@router.get("/what-if/{identity}/result")
async def result(request: Request, visitor: Viewer, identity: str) -> JSONResponse:
    filled = fill(request, identity)
    explored = _explored(request, filled)
    html = fragment(request, "_what_if.html", visitor, **explored)
    fields = {
        control.name: {"echo": control.echo, "error": control.error, "asked": control.asked}
        for control in _controls(request, filled)
    }
    return JSONResponse({"html": html, "fields": fields, "slider": explored["slider"]})


@dataclass(frozen=True, slots=True)
class TierRow:
    """One tier in words."""

    span: str
    result: str
    tone: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class Move:
    """What it takes to come to a neighbouring tier, and what that brings."""

    sentence: str
    value: str
    upward: bool


def _explored(request: Request, filled: Filled) -> dict[str, Any]:
    lang, provision = language(request), filled.provision
    names = [field.name for field in movable(provision)]
    name = request.query_params.get("fact", "")
    if name not in names:
        name = best_fact(provision, filled.values, filled.day) or (names[0] if names else "")
    shared: dict[str, Any] = {
        **_result(request, filled),
        "fact": name,
        "plot": "",
        "rows": [],
        "moves": [],
        "slider": None,
        "complete": True,
        "hidden": False,
        "fact_label": "",
    }
    if not name:
        return shared
    tiers = explore(provision, filled.values, name, filled.day)
    field = provision.facts[name]
    here = filled.values.get(name)
    x = number_of(here) if here is not None and not isinstance(here, (str, bool)) else None
    first, last = _listed(tiers)
    return shared | {
        "fact_label": field.label.get(lang),
        "complete": tiers.complete,
        "hidden": tiers.is_cut or last - first < len(tiers.tiers),
        "plot": _draw(tiers, x, provision, lang),
        "rows": [
            TierRow(
                span_text(tier, field, lang),
                tier_text(tier, tiers, provision, lang),
                tone(tier.status or UNDETERMINED),
                place == tiers.here,
            )
            for place, tier in enumerate(tiers.tiers)
            if first <= place < last
        ],
        "moves": moves(tiers, x, provision, lang),
        "slider": _slider(tiers, x, field),
    }


def _listed(tiers: Tiers) -> tuple[int, int]:
    """Which tiers are listed: those around the present value, from the first where there is none."""
    middle = tiers.here or 0
    first = max(0, min(middle - MAX_ROWS, len(tiers.tiers) - 2 * MAX_ROWS - 1))
    return first, min(len(tiers.tiers), first + 2 * MAX_ROWS + 1)


def best_fact(provision: Provision, values: Mapping[str, Value | None], day: date) -> str:
    """The fact along which the outcome has most tiers; of equals the one whose bounds are the roundest numbers.

    A rule's own fact has bounds as the text states them (85% of the task), its divisor has not.
    """
    best, most = "", (1, 0)
    for field in movable(provision):
        tiers = explore(provision, values, field.name, day).tiers
        decided = {
            (tier.status, tier.line) for tier in tiers if tier.status not in (None, UNDETERMINED, "not_applicable")
        }
        digits = sum(len(str(tier.low).rstrip("0")) for tier in tiers)
        if len(decided) > 1 and (len(decided), -digits) > most:
            best, most = field.name, (len(decided), -digits)
    return best


def fact_plot(
    provision: Provision, values: Mapping[str, Value | None], name: str, day: date, lang: Lang
) -> tuple[str, str] | None:
    """The fact and its plot, where the figure turns along it."""
    name = name or best_fact(provision, values, day)
    if not name:
        return None
    here = values.get(name)
    x = number_of(here) if here is not None and not isinstance(here, (str, bool)) else None
    text = _draw(explore(provision, values, name, day), x, provision, lang)
    return (name, text) if text else None


def _draw(tiers: Tiers, x: Fraction | None, provision: Provision, lang: Lang) -> str:
    drawn = [tier for tier in tiers.tiers if tier.term is not None]
    if len(drawn) < 2 or any(tier.line is None for tier in drawn) or tiers.fact.type.kind is Kind.DATE:
        return ""
    name = figure_name(tiers)
    label = OUTPUT_LABELS.get(name, Text(name, name)).get(lang)
    unit = {"rate": "%"}.get(name, "元" if lang == "zh" else "yuan")
    figure = Axis(f"{label}（{unit}）" if lang == "zh" else f"{label} ({unit})", RATIO if name == "rate" else MONEY)
    title = f"{provision.label.get(lang)}：{label} / {tiers.fact.label.get(lang)}"
    return tiers_plot(tiers, x, Axis(tiers.fact.label.get(lang), tiers.fact.type), figure, lang, title)


def figure_name(tiers: Tiers) -> str:
    """Which figure a tier's line is: the amount, the highest amount or the rate."""
    return next((name for tier in tiers.tiers for name in FIGURES if name in tier.figures), "amount")


def amount_text(number: Fraction, field: Field, lang: Lang) -> str:
    """A value or a difference of the fact, for people."""
    value = value_of(number, field)
    return day_text(value, lang) if isinstance(value, date) else value_text(value, field.type, lang)


def _difference(number: Fraction, field: Field, lang: Lang) -> str:
    if field.type.kind is Kind.DATE:
        return f"{number} 天" if lang == "zh" else f"{number} {'day' if number == 1 else 'days'}"
    if field.type.kind is Kind.RATIO:
        points = percent_text(number)
        return f"{points} 个百分点" if lang == "zh" else f"{points} percentage points"
    return amount_text(number, field, lang)


def span_text(tier: Tier, field: Field, lang: Lang) -> str:
    """The tier's stretch: 850万元（含）起 至 900万元（不含）."""
    zh = lang == "zh"
    if field.type.kind is Kind.DATE or field.type.integer:
        tier = _closed(tier)
    low = None if tier.low is None or (tier.low == 0 and tier.low_in) else amount_text(tier.low, field, lang)
    high = None if tier.high is None or tier.high == field.maximum else amount_text(tier.high, field, lang)
    if low is not None and tier.low == tier.high:
        return f"恰为 {low}" if zh else f"exactly {low}"
    if low is None and high is None:
        return "任何值" if zh else "any value"
    if zh:
        ends = {True: "（含）", False: "（不含）"}
        if low is None:
            return f"至 {high}（含）" if tier.high_in else f"不到 {high}"
        if field.type.kind is Kind.DATE:
            return f"{low}起" if high is None else f"{low}至{high}"
        start = f"{low}{ends[tier.low_in]}起"
        return start if high is None else f"{start} 至 {high}{ends[tier.high_in]}"
    start = f"{'from' if tier.low_in else 'above'} {low}" if low is not None else ""
    end = f"{'up to' if tier.high_in else 'below'} {high}" if high is not None else ""
    return ", ".join(part for part in (start, end) if part)


def _closed(tier: Tier) -> Tier:
    """A tier of days or of whole numbers from its first to its last: people say from the 9th, not after the 8th."""
    low, high = tier.low, tier.high
    if low is not None:
        low = Fraction(ceil(low) if tier.low_in else floor(low) + 1)
    if high is not None:
        high = Fraction(floor(high) if tier.high_in else ceil(high) - 1)
    return replace(tier, low=low, low_in=True, high=high, high_in=True)


def tier_text(tier: Tier, tiers: Tiers, provision: Provision, lang: Lang) -> str:
    """What a tier brings; where the figure moves along it, from what to what."""
    name = next((name for name in FIGURES if name in tier.figures), "")
    if isinstance(tier.outcome, Problem):
        return _impossible(tier.outcome, lang)
    if not name or tier.is_point or (tier.line is not None and tier.line[0] == 0):
        steady = {key: value for key, value in tier.outcome.values.items() if key in tiers.steady}
        return short_result(replace(tier.outcome, values=steady), provision, lang)
    ends = [None if edge is None or edge == tiers.fact.maximum else tier.figure(edge) for edge in (tier.low, tier.high)]
    low, high = ("…" if end is None else percent_text(end) + "%" if name == "rate" else money_text(end) for end in ends)
    label, status = OUTPUT_LABELS[name].get(lang), LABELS[tier.outcome.status].get(lang)
    return f"{status}，{label} {low} — {high}" if lang == "zh" else f"{status}, {label} {low} — {high}"


def _impossible(problem: Problem, lang: Lang) -> str:
    """Why a tier has no outcome; one of its days stands for all of them."""
    if problem.code == "calendar-gap":
        first, last = problem.fields["first"], problem.fields["last"]
        return (
            f"无法核算：超出已公布的放假安排（{first}—{last}年）"
            if lang == "zh"
            else f"cannot be assessed: beyond the published holiday notices ({first} to {last})"
        )
    return problem.message(lang)


def moves(tiers: Tiers, x: Fraction | None, provision: Provision, lang: Lang) -> list[Move]:
    """For the tiers above and below the present one: by how much, to what, and with what result."""
    if x is None or tiers.here is None:
        return []
    found: list[Move] = []
    for place, upward in ((tiers.here + 1, True), (tiers.here - 1, False)):
        entry = tiers.entry(place, upward) if 0 <= place < len(tiers.tiers) else None
        if entry is None:
            continue
        target, inside = entry
        tier = tiers.tiers[place]
        reached = tiers.assess(target) if inside else tier.outcome
        text = _way(tiers.fact, x, target, inside, upward, lang) + (
            _impossible(reached, lang) if isinstance(reached, Problem) else short_result(reached, provision, lang)
        )
        now, then = tiers.tiers[tiers.here].figure(x), tier.figure(target)
        if now is not None and then is not None and now != then and figure_name(tiers) != "rate":
            text += _change(then - now, lang)
        typed = written(tiers.fact, value_of(target, tiers.fact)) if inside else ""
        found.append(Move(text + ("。" if lang == "zh" else "."), typed, upward))
    return found


def _way(field: Field, x: Fraction, target: Fraction, inside: bool, upward: bool, lang: Lang) -> str:
    """By how much the fact has to move, and where to."""
    by, to, label = _difference(abs(target - x), field, lang), amount_text(target, field, lang), field.label.get(lang)
    is_day = field.type.kind is Kind.DATE
    if lang == "zh":
        verb = ("推后" if upward else "提前") if is_day else ("再增加" if upward else "减少")
        edge = ("到" if is_day else "达到") if inside else ("超过" if upward else "低于")
        return f"“{label}”{verb} {by}，{edge} {to}："
    verb = ("later by" if upward else "earlier by") if is_day else ("more by" if upward else "less by")
    edge = "to" if inside else ("past" if upward else "below")
    return f"{label} {verb} {by}, {edge} {to}: "


def _change(more: Fraction, lang: Lang) -> str:
    change = money_text(abs(more))
    if lang == "zh":
        return f"（{'多' if more > 0 else '少'} {change}元）"
    return f" ({change} yuan {'more' if more > 0 else 'less'})"


def _slider(tiers: Tiers, x: Fraction | None, field: Field) -> dict[str, Any] | None:
    """Where a slider may go, in the unit one types: 200 steps over the tiers that can be drawn."""
    from web.plots import _span

    drawn = list(tiers.tiers)
    if not drawn or field.type.kind is Kind.DATE:
        return None
    low, high = _span(drawn, x)
    low = max(low, Fraction(0)) if field.minimum is not None else low
    scale = {Kind.MONEY: Fraction(1, 100), Kind.RATIO: Fraction(100)}.get(field.type.kind, Fraction(1))
    width = (high - low) * scale
    step = Fraction(1)
    while width / step > 400:
        step *= 10
    while width / step < 40 and not field.type.integer:
        step /= 10
    start, end = (low * scale) // step * step, -(-(high * scale) // step) * step
    places = {Kind.MONEY: "元", Kind.RATIO: "%"}.get(field.type.kind, "")
    value = "" if x is None else decimal_text(x * scale)
    return {
        "min": decimal_text(start),
        "max": decimal_text(end),
        "step": decimal_text(step),
        "unit": places,
        "value": value,
    }

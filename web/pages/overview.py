"""Overview: who is cut by how much, which counties are behind their targets, what is due this month."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from engine.assessing import assess_case
from engine.checking import check_submission
from engine.duties import DutyLine, list_duties
from engine.errors import HeguiError, Lang
from engine.inputs import read_inputs
from engine.kinds import LABELS
from engine.load import Pack
from engine.model import Provision, ProvisionKind
from engine.schedule import load_schedule
from engine.target_table import gap_text, number_text, planned_figures
from engine.values import money_text, yuan_text
from facts.batch_files import FORMATS
from facts.reading import read_facts
from web.auth import Visitor
from web.batches import Batch
from web.context import language, needs, pack_of, state_of
from web.ledger_batch import entries_of
from web.pages.base import remember_choices, render
from web.pages.calculate import day_of
from web.rule_parts import tables
from web.target_batch import read_targets
from web.words import tone

router = APIRouter()
Viewer = Annotated[Visitor, Depends(needs("viewer"))]
MAX_BARS = 200
MAX_DUTIES = 400


@router.get("/overview", response_class=HTMLResponse)
def overview(
    request: Request,
    visitor: Viewer,
    batch: str = "",
    target: str = "",
    indicator: str = "",
    month: str = "",
    body: str = "",
    ledger: str = "",
) -> HTMLResponse:
    remember_choices(request)
    lang, pack = language(request), pack_of(request)
    done = [own for own in state_of(request).batches.of(visitor.owner) if own.state == "done" and own.policy == pack.id]
    ledgers = [own for own in done if "ledger" in own.summary()]
    done = [own for own in done if own not in ledgers]
    chosen = next((own for own in done if own.id == batch), None)
    of_ledger = next((own for own in ledgers if own.id == ledger), ledgers[0] if ledgers and ledger != "none" else None)
    day = day_of(request)[0]
    first = _month(month) or day.replace(day=1)
    targets = [provision for provision in pack.provisions.values() if is_heatable(provision)]
    targets.sort(key=lambda provision: not is_quarterly(provision))
    of = next((provision for provision in targets if provision.id == target), targets[0] if targets else None)
    return render(
        request,
        "overview.html",
        visitor,
        done=done,
        chosen=chosen,
        day=day,
        money=_money(pack, chosen, done, lang),
        heat=_heat(pack, of, indicator, chosen, done, day, lang) if of else None,
        targets=targets,
        target=of.id if of else "",
        month=first,
        body=body,
        indicator=indicator,
        ledgers=ledgers,
        of_ledger=of_ledger,
        suffixes=FORMATS,
        tone=tone,
        duties=_duties(pack, first, day, body[:60], lang, of_ledger),
    )


def _month(text: str) -> date | None:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        return None


# Money by subject


@dataclass(frozen=True, slots=True)
class Bar:
    """A subject's money; `share` is its width among the widest, in per mille."""

    subject: str
    amount: str
    rate: str
    share: int


@dataclass(frozen=True, slots=True)
class Bars:
    label: str
    total_label: str
    total: str
    source: str
    bars: tuple[Bar, ...]
    undetermined: tuple[str, ...]


def _money(pack: Pack, chosen: Batch | None, done: list[Batch], lang: Lang) -> list[Bars]:
    """Of the chosen batch, else of the newest one with money, else of the rules' own examples."""
    sources = [chosen] if chosen is not None else done
    for batch in sources:
        subjects = batch.summary()["subjects"]
        if subjects:
            return _bars(pack, subjects, batch.filename, lang)
    return [] if chosen is not None else _bars(pack, _example_subjects(pack), "", lang)


def _bars(pack: Pack, subjects: list[dict[str, Any]], source: str, lang: Lang) -> list[Bars]:
    found = []
    for identity in dict.fromkeys(subject["dossier"] for subject in subjects):
        own = [subject for subject in subjects if subject["dossier"] == identity]
        known = sorted(
            (subject for subject in own if subject["total"] is not None), key=lambda subject: -Decimal(subject["total"])
        )
        most = max((Decimal(subject["total"]) for subject in known), default=Decimal(0)) or Decimal(1)
        dossier = pack.dossiers[identity]
        total = sum((Decimal(subject["total"]) for subject in known), Decimal(0))
        found.append(
            Bars(
                dossier.label.get(lang),
                dossier.total.get(lang) if dossier.total else "",
                money_text(int(total * 100)),
                source,
                tuple(
                    Bar(
                        subject["subject"],
                        money_text(int(Decimal(subject["total"]) * 100)),
                        subject["rate"] or "",
                        int(Decimal(subject["total"]) * 1000 / most),
                    )
                    for subject in known[:MAX_BARS]
                ),
                tuple(subject["subject"] for subject in own if subject["total"] is None),
            )
        )
    return found


def _example_subjects(pack: Pack) -> list[dict[str, Any]]:
    return _examples(pack, pack.digest)


@lru_cache(maxsize=8)
def _examples(pack: Pack, _: str) -> list[dict[str, Any]]:
    """What the example workbooks come to, worked out once for each version of the rules."""
    found: list[dict[str, Any]] = []
    for path in sorted((pack.folder / "examples").glob("*.xlsx")):
        if path.stem not in pack.dossiers:  # a table of targets, a ledger, a workbook with deliberate faults
            continue
        submission = read_facts([path], dossiers=pack.dossiers, provision=pack.find)
        checked = check_submission(pack, submission, pack.reference_date, "reference")
        found += [
            {
                "dossier": name,
                "subject": outcome.subject,
                "total": None if outcome.total is None else yuan_text(outcome.total),
                "rate": next((item.outcome.rate for item in reversed(outcome.items) if item.outcome.rate), None),
            }
            for name, outcomes in checked.dossiers.items()
            if pack.dossiers[name].total is not None
            for outcome in outcomes
        ]
    counts = Counter(subject["dossier"] for subject in found)
    found.sort(key=lambda subject: -counts[subject["dossier"]])
    return found


# Targets by area and quarter


@dataclass(frozen=True, slots=True)
class Heat:
    """A cell: the planned figure and, where it is reported, the actual one and how it stands."""

    planned: str
    actual: str
    gap: str
    tone: str
    status: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    title: str
    clause: str
    indicator: str
    indicators: tuple[tuple[str, str], ...]
    periods: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Heat | None, ...]], ...]
    source: str
    reported: int


def is_heatable(provision: Provision) -> bool:
    """A target set for several areas in several periods."""
    if provision.kind is not ProvisionKind.TARGET or not tables(provision):
        return False
    rows = tables(provision)[0].rows
    return len({row.texts[1] for row in rows}) > 2 and len({row.texts[2] for row in rows}) > 1


def is_quarterly(provision: Provision) -> bool:
    return len({row.texts[2] for row in tables(provision)[0].rows}) == 4


def _heat(
    pack: Pack, provision: Provision, indicator: str, chosen: Batch | None, done: list[Batch], day: date, lang: Lang
) -> HeatMap:
    names = pack.target
    units = {(item.indicator, item.area, item.period): item.unit for item in planned_figures(provision)}
    rows = [
        (item.indicator, item.area, item.period, f"{item.op} {number_text(item.value, item.unit)}")
        for item in planned_figures(provision)
    ]
    counts = {text: sum(row[0] == text for row in rows) for text in dict.fromkeys(row[0] for row in rows)}
    wide = [text for text in counts if len({row[1] for row in rows if row[0] == text}) > 1] or list(counts)
    if indicator not in wide:
        indicator = max(wide, key=lambda text: counts[text])
    field = provision.facts[names.indicator]
    own = [row for row in rows if row[0] == indicator]
    areas, periods = list(dict.fromkeys(row[1] for row in own)), sorted(dict.fromkeys(row[2] for row in own))
    planned = {(row[1], row[2]): row[3] for row in own}
    reported: dict[tuple[str, str], Any] = {}
    sources: list[str] = []
    for batch in [chosen] if chosen is not None else done[::-1]:  # the newest has the last word
        _report(reported, sources, batch.filename, batch.summary()["targets"], provision, indicator, pack)
    if not reported and chosen is None:
        example = "规则包所附示例" if lang == "zh" else "the example that comes with the rules"
        _report(reported, sources, example, _example_targets(pack, pack.digest), provision, indicator, pack)

    def cell(area: str, period: str) -> Heat | None:
        plan = planned.get((area, period))
        if plan is None:
            return None
        inputs = reported.get((area, period))
        shown = plan.replace(">=", "≥").replace("<=", "≤").replace("~", "≈")
        unit = units[indicator, area, period]
        if inputs is None:
            return Heat(shown, "", "", "none", "")
        try:
            values = read_inputs(
                provision,
                {
                    names.indicator: indicator,
                    names.area: area,
                    names.period: period,
                    names.actual: inputs[names.actual],
                },
            )
            outcome = assess_case(pack, provision, values, day, explained=False)
        except HeguiError:
            return Heat(shown, str(inputs[names.actual]), "", "open", "")
        gap, actual = outcome.values.get("gap"), values[names.actual]
        assert isinstance(actual, (int, Fraction))
        text = gap_text(gap, unit, lang) if isinstance(gap, (int, Fraction)) else ""
        return Heat(shown, number_text(actual, unit), text, tone(outcome.status), LABELS[outcome.status].get(lang))

    return HeatMap(
        provision.label.get(lang),
        f"{provision.citation.plan} {provision.citation.path}",
        indicator,
        tuple((text, field.choice_label(text, lang)) for text in wide),
        tuple(periods),
        tuple((area, tuple(cell(area, period) for period in periods)) for area in areas),
        "、".join(sources),
        len(reported),
    )


def _report(
    reported: dict[tuple[str, str], Any],
    sources: list[str],
    source: str,
    entries: list[dict[str, Any]],
    provision: Provision,
    indicator: str,
    pack: Pack,
) -> None:
    """Takes the figures of one file for one indicator."""
    names = pack.target
    own = [
        entry["inputs"]
        for entry in entries
        if entry["provision"] == provision.id
        and entry["inputs"].get(names.indicator) == indicator
        and names.actual in entry["inputs"]
    ]
    for inputs in own:
        reported[inputs.get(names.area, ""), inputs.get(names.period, "")] = inputs
    if own and source not in sources:
        sources.append(source)


@lru_cache(maxsize=8)
def _example_targets(pack: Pack, _: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted((pack.folder / "examples").glob("targets_*.xlsx")):
        targets = read_targets(pack, path, "", pack.reference_date or date.max)
        found += targets.summary(pack)["targets"] if targets is not None else []
    return found


# Duties


@dataclass(frozen=True, slots=True)
class Due:
    """What is due on one day for one matter; bodies with the same duty and the same fate stand together."""

    day: date
    matter: str
    provision: str
    label: str
    bodies: tuple[str, ...]
    clause: str
    passed: bool
    status: str
    label_of_status: str
    done_on: date | None
    remarks: tuple[str, ...]


def _duties(pack: Pack, first: date, day: date, body: str, lang: Lang, ledger: Batch | None) -> dict[str, Any]:
    """The month's duties by day; with a ledger also what became of each."""
    entries = entries_of(ledger.summary()["ledger"], ledger.filename) if ledger is not None else None
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    try:
        found = list_duties(pack, load_schedule(pack), first, last, day, entries, body or None)
    except HeguiError as error:
        return {"lines": [], "count": 0, "failure": error.problems[0].message(lang), "waiting": [], "by": []}
    groups: dict[tuple[date, str, str, str, date | None], list[DutyLine]] = {}
    for line in found.lines:
        occasion = line.occasion
        key = (occasion.due, occasion.provision, occasion.label.get(lang), line.status, line.done_on)
        groups.setdefault(key, []).append(line)
    lines = []
    for (due, identity, label, status, done_on), own in sorted(groups.items(), key=lambda pair: pair[0][:4]):
        provision = pack.provision(identity)
        plan = provision.citation.plan.split("（")[0]
        lines.append(
            Due(
                due,
                provision.label.get(lang),
                identity,
                label,
                tuple(dict.fromkeys(filter(None, (line.occasion.body for line in own)))),
                f"{plan} {provision.citation.path}",
                due < day,
                status,
                LABELS[status].get(lang) if status else "",
                done_on,
                tuple(dict.fromkeys(line.about for line in own if line.about and line.about != label)),
            )
        )
    counts = Counter(line.status for line in found.lines if line.status)
    by = [(status, LABELS[status].get(lang), counts[status]) for status in LABELS if counts[status]]
    waiting = [(pack.provision(identity).label.get(lang), text.get(lang), identity) for identity, text in found.waiting]
    return {"lines": lines[:MAX_DUTIES], "count": len(found.lines), "failure": "", "waiting": waiting, "by": by}

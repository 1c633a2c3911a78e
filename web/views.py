"""An outcome as the parts a page shows: verdict, figures, reasoning, clause, other readings, what is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from engine.dossier import DossierOutcome, Item
from engine.errors import Lang
from engine.explain import Wording, explain
from engine.kinds import LABELS, UNDETERMINED
from engine.load import Pack
from engine.model import Dossier, Output, Provision, Text
from engine.outcome import Outcome
from engine.report import clause
from engine.trace import OUTPUT_LABELS
from engine.types import Kind
from engine.values import Value, money_text
from web.words import tone


@dataclass(frozen=True, slots=True)
class Figure:
    """A labelled value; `big` for the one a reader looks for first."""

    label: str
    text: str
    big: bool = False


@dataclass(frozen=True, slots=True)
class ReadingView:
    """Another reading under which the outcome would be another."""

    point: str
    chosen: str
    why: str
    other: str
    result: str
    tone: str


@dataclass(frozen=True, slots=True)
class MissingFact:
    name: str
    label: str


@dataclass(frozen=True, slots=True)
class ResultView:
    """What a page shows of one outcome."""

    provision: str
    title: str
    subject: str
    status: str
    status_label: str
    tone: str
    figures: tuple[Figure, ...]
    measures: tuple[str, ...]
    missing: tuple[MissingFact, ...]
    reasons: tuple[str, ...]
    reasoning: tuple[str, ...]
    notes: tuple[str, ...]
    citation: str
    short_clause: str
    summary: str
    about: tuple[tuple[str, str], ...]
    readings: tuple[ReadingView, ...]


def result_view(outcome: Outcome, provision: Provision, lang: Lang) -> ResultView:
    """Everything to be shown of an explained outcome."""
    words = Wording(provision, lang)
    bare = replace(outcome, readings=(), missing=(), reasons=(), notices=())
    lines = explain(bare, replace(provision, notes=()), lang)[2:]  # the verdict and the clause stand apart
    readings = tuple(
        ReadingView(
            other.point.get(lang),
            other.chosen.get(lang),
            other.why.get(lang),
            other.other.get(lang),
            short_result(other.outcome, other.variant, lang),
            tone(other.outcome.status),
        )
        for other in outcome.readings
    )
    missing = tuple(
        MissingFact(name, provision.facts[name].label.get(lang) if name in provision.facts else name)
        for name in outcome.missing
    )
    return ResultView(
        outcome.provision,
        provision.label.get(lang),
        outcome.subject,
        outcome.status,
        LABELS[outcome.status].get(lang),
        tone(outcome.status),
        figures(outcome, words),
        tuple(item.get(lang) for item in outcome.measures),
        missing,
        tuple(reason.zh if lang == "zh" else reason.en for reason in outcome.reasons),
        tuple(lines),
        tuple(note.get(lang) for note in (*outcome.notices, *provision.notes)),
        str(outcome.citation),
        clause(outcome),
        outcome.summary.get(lang),
        about(provision, lang),
        readings,
    )


def fact_label(pack: Pack, identity: str, name: str, lang: Lang) -> str:
    """What a missing fact is called; one that another matter of the same dossier waits for goes by that one's label."""
    of = pack.provision(identity).facts.get(name)
    if of is None:
        fellows = (
            matter.provision
            for dossier in pack.dossiers.values()
            if any(matter.provision == identity for matter in dossier.matters)
            for matter in dossier.matters
        )
        of = next((found for one in fellows if (found := pack.provision(one).facts.get(name)) is not None), None)
    return of.label.get(lang) if of is not None else name


def figures(outcome: Outcome, words: Wording) -> tuple[Figure, ...]:
    found: list[Figure] = []
    for output in words.provision.outputs:
        value = outcome.values.get(output.name)
        if value is None or any(figure.label == _label(output, words.lang) for figure in found):
            continue
        if output.name == "amount" and outcome.status == "ineligible":
            continue
        text = _yuan(value, words.lang) if output.expr.type.kind is Kind.MONEY else words.value(value, output.expr.type)
        found.append(Figure(_label(output, words.lang), text, output.name in ("amount", "amount_max", "due_date")))
    found.sort(key=lambda figure: not figure.big)
    return tuple(found)


def _label(output: Output, lang: str) -> str:
    return (output.label or OUTPUT_LABELS.get(output.name, Text(output.name, output.name))).get(lang)


def _yuan(value: Value, lang: Lang) -> str:
    assert isinstance(value, (int, Fraction))
    return money_text(value) + ("元" if lang == "zh" else " yuan")


def short_result(outcome: Outcome, provision: Provision, lang: Lang) -> str:
    """Status and figures on one line."""
    parts = [LABELS[outcome.status].get(lang), figures_line(outcome, provision, lang)]
    return ("，" if lang == "zh" else ", ").join(filter(None, parts))


def figures_line(outcome: Outcome, provision: Provision, lang: Lang) -> str:
    """The figures on one line."""
    parts = [f"{figure.label} {figure.text}" for figure in figures(outcome, Wording(provision, lang))]
    return ("，" if lang == "zh" else ", ").join(parts)


def about(provision: Provision, lang: Lang) -> tuple[tuple[str, str], ...]:
    """Whom the provision is for, who decides and pays, what it stacks with, when it holds."""
    zh = lang == "zh"
    start, end = provision.in_force
    rows = [
        ("适用对象" if zh else "applies to", provision.applies_to),
        ("认定" if zh else "decided by", provision.decided_by),
        ("出资" if zh else "paid by", provision.paid_by),
        ("叠加" if zh else "stacking", provision.stacking.get(lang) if provision.stacking else ""),
        ("适用期" if zh else "in force", f"{start or '…'} — {end or '…'}" if start or end else ""),
    ]
    return tuple((label, text) for label, text in rows if text)


@dataclass(frozen=True, slots=True)
class MatterView:
    """One matter of a dossier: the row it is about, and what of it counts towards the total."""

    result: ResultView
    about: str
    counted: str
    remark: str


@dataclass(frozen=True, slots=True)
class DossierView:
    label: str
    subject: str
    total_label: str
    total: str
    open_matters: int
    matters: tuple[MatterView, ...]
    skipped: tuple[tuple[str, str], ...]


def dossier_view(pack: Pack, outcome: DossierOutcome, lang: Lang) -> DossierView:
    dossier = pack.dossiers[outcome.dossier]
    matters = []
    for item in outcome.items:
        if item.outcome.status == "not_applicable":
            continue
        view = result_view(item.outcome, pack.provision(item.matter.provision), lang)
        fields = {**dossier.records[dossier.subject].fields, **dossier.records[item.matter.each].fields}
        missing = (  # whether a matter arises at all may hang on a field that its provision does not read
            replace(fact, label=fields[fact.name].label.get(lang))
            if fact.name == fact.label and fact.name in fields
            else fact
            for fact in view.missing
        )
        view = replace(view, missing=tuple(missing))
        remark = remark_of(pack, dossier, outcome, item, lang)
        counted = _yuan(item.paid, lang) if item.paid is not None and dossier.total is not None else ""
        matters.append(
            MatterView(
                view, row_text(dossier, item, lang), counted if item.outcome.status != UNDETERMINED else "", remark
            )
        )
    label = dossier.total.get(lang) if dossier.total is not None else ""
    return DossierView(
        dossier.label.get(lang),
        outcome.subject,
        label,
        _yuan(outcome.known_total, lang),
        len(outcome.undetermined),
        tuple(matters),
        tuple((pack.provision(identity).label.get(lang), text.get(lang)) for identity, text in outcome.skipped),
    )


def remark_of(pack: Pack, dossier: Dossier, outcome: DossierOutcome, item: Item, lang: Lang) -> str:
    """Why an item does not count itself: another of its group is higher, or contains it."""
    zh = lang == "zh"
    if item.yields_to is not None:
        higher = row_text(dossier, outcome.items[item.yields_to], lang)
        return f"就高不重复，按“{higher}”计" if zh else f"only the highest is paid: {higher}"
    if item.contained_in is not None:
        label = pack.provision(item.contained_in).label.get(lang)
        return f"已含在“{label}”中" if zh else f"contained in “{label}”"
    return ""


def row_text(dossier: Dossier, item: Item, lang: Lang) -> str:
    """What tells a related row from its neighbours: its texts, choices and year."""
    if item.matter.each == dossier.subject:
        return ""
    key = dossier.records[dossier.subject].key
    found = []
    for name, field in dossier.records[item.matter.each].fields.items():
        value = item.row.values.get(name)
        if name != key and value is not None and (field.type.kind in (Kind.ENUM, Kind.TEXT) or field.type.unit == "年"):
            found.append(field.choice_label(str(value), lang))
    return " ".join(found[:4])


def default_day(pack: Pack, today: date) -> date:
    """The day of assessment a page proposes: today while the policy is in force, else the pack's own."""
    start, end = pack.in_force
    if pack.reference_date is None or ((start is None or start <= today) and (end is None or today <= end)):
        return today
    return pack.reference_date

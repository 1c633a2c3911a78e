"""One row of a batch again: its facts as they were kept, assessed and explained by the reference evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from engine.assessing import assess_case
from engine.dossier import (
    DossierOutcome,
    Item,
    assess_dossier,
    assumed_absent,
    derive_case,
    matter_inputs,
    reference_agenda,
    skipped_matters,
)
from engine.errors import Lang
from engine.explain import explain
from engine.kinds import LABELS, UNDETERMINED
from engine.load import Pack
from engine.model import Case, Dossier, Field, Text
from engine.outcome import Outcome
from engine.values import Value, money_text, value_text, yuan_text
from facts.from_tree import FlatCase
from web.grid import Origin, read_origin
from web.kept import read_kept
from web.problems import ApiProblem
from web.views import ResultView, fact_label, figures_line, remark_of, result_view, row_text
from web.words import tone

MAX_ROWS = 1_000
"""Rows of one case up to which it is assessed again while somebody waits."""
MAX_EXPLAINED = 12
"""Matters of a case that are all explained; of a larger one only the one asked for."""
MAX_OTHERS = 50
"""Other matters of the case that are listed."""


@dataclass(frozen=True, slots=True)
class Matter:
    """One matter of a case in full, and what of it counts; `facts` are those of its own row."""

    result: ResultView
    about: str
    counted: str
    remark: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class OtherMatter:
    """Another matter of the same case on one line; `rival`: of its group only the highest counts."""

    title: str
    about: str
    status: str
    tone: str
    figures: str
    counted: str
    remark: str
    rival: bool


@dataclass(frozen=True, slots=True)
class Reasons:
    """What is told of one row; `differs` where the outcome is not the one the batch came to."""

    subject: str
    matters: tuple[Matter, ...]
    others: tuple[OtherMatter, ...]
    more: int
    total: tuple[str, str] | None
    open_matters: int
    skipped: tuple[tuple[str, str], ...]
    assumptions: tuple[str, ...]
    differs: bool
    data: dict[str, Any]


def reasons_of(pack: Pack, results: Path, summary: Mapping[str, Any], table: int, number: int, lang: Lang) -> Reasons:
    """The reasons of a row of a result table.

    Errors (`ApiProblem`): `not-found` where there is no such row or no facts of it are kept;
    `not-ready` where the rules have changed since, or its case is too large to do again meanwhile.
    """
    found = read_origin(results / "rows.db", table, number)
    if found is None:
        raise ApiProblem("not-found")
    if summary["pack"]["digest"] != pack.digest:
        raise ApiProblem(
            "not-ready", Text("规则包已经更新，请先重新核算", "the rules have changed since; assess again first")
        )
    row, origin = found
    tables = summary["tables"]
    kept = read_kept(results / "facts.db", origin.facts, pack, tables[0] if tables else {})
    if kept is None:
        raise ApiProblem("not-found")
    day = date.fromisoformat(summary["as_of"]) if summary["as_of"] else None
    if isinstance(kept, FlatCase):
        return _of_facts(pack, replace(kept, label=kept.label or row.shown[0]), origin, day, lang)
    if len(kept.related) > MAX_ROWS:
        raise ApiProblem("not-ready", Text(
            f"这一户有 {len(kept.related)} 行，在网页上逐项解释太慢，请用 hegui check",
            f"this case has {len(kept.related)} rows, too many to explain on a page: use hegui check"))  # fmt: skip
    return _of_case(pack, kept, origin, tables, day, lang)


def _of_facts(pack: Pack, one: FlatCase, origin: Origin, day: date | None, lang: Lang) -> Reasons:
    provision = pack.provision(one.provision)
    outcome = assess_case(pack, provision, one.inputs, one.as_of or day, subject=one.label)
    matter = Matter(_view(pack, outcome, lang), "", "", "", facts_text(provision.facts, one.inputs, lang))
    data = {"subject": one.label, "total": None, "items": [_item_data(pack, outcome, {"asked": True})]}
    return Reasons(one.label, (matter,), (), 0, None, 0, (), (), _differs(outcome, origin), data)


def _of_case(
    pack: Pack, case: Case, origin: Origin, tables: Sequence[Mapping[str, Any]], day: date | None, lang: Lang
) -> Reasons:
    dossier = pack.dossiers[case.dossier]
    outcome = _assessed(pack, dossier, case, tables, day)
    assert outcome.case is not None, "an outcome assessed here holds its case"
    rows = outcome.case.subject, *outcome.case.related
    asked = [
        place for place, item in enumerate(outcome.items)
        if item.outcome.status != "not_applicable" and (origin.provision is None or (
            item.matter.provision == origin.provision and item.row is rows[origin.row]))]  # fmt: skip
    shown = asked[:MAX_EXPLAINED]
    items = {place: _explained(pack, outcome, outcome.items[place], day) for place in shown}
    group = {key for place in shown if (key := _group(outcome.items[place])) is not None}
    rest = [
        place for place, item in enumerate(outcome.items)
        if place not in items and item.outcome.status != "not_applicable"]  # fmt: skip
    rest.sort(key=lambda place: _group(outcome.items[place]) not in group)
    counted = dossier.total is not None
    return Reasons(
        outcome.subject,
        tuple(
            Matter(
                _view(pack, item.outcome, lang),
                row_text(dossier, item, lang),
                _counted(item, counted, lang),
                _decision(pack, dossier, outcome, place, lang),
                facts_text(dossier.records[item.matter.each].fields, item.row.values, lang),
            )
            for place, item in items.items()
        ),
        tuple(_other(pack, dossier, outcome, place, group, lang) for place in rest[:MAX_OTHERS]),
        max(0, len(rest) - MAX_OTHERS),
        None if dossier.total is None else (dossier.total.get(lang), _yuan(outcome.known_total, lang)),
        len(outcome.undetermined),
        tuple((pack.provision(identity).label.get(lang), text.get(lang)) for identity, text in outcome.skipped),
        tuple(text.get(lang) for text in outcome.assumptions),
        any(_differs(items[place].outcome, origin) for place in shown) or not (shown or origin.provision is None),
        {
            "subject": outcome.subject,
            "total": None if outcome.total is None or not counted else yuan_text(outcome.total),
            "items": [
                _item_data(pack, items.get(place, outcome.items[place]).outcome, {
                    "asked": place in items,
                    "row": outcome.items[place].matter.each,
                    "counted": _yuan_or_none(outcome.items[place].paid),
                    "yields_to": outcome.items[place].yields_to,
                    "contained_in": outcome.items[place].contained_in,
                    "position": place,
                })
                for place in [*items, *rest[:MAX_OTHERS]]
            ],
        },
    )  # fmt: skip


def _view(pack: Pack, outcome: Outcome, lang: Lang) -> ResultView:
    view = result_view(outcome, pack.provision(outcome.provision), lang)
    missing = tuple(replace(fact, label=fact_label(pack, outcome.provision, fact.name, lang)) for fact in view.missing)
    return replace(view, missing=missing)


def _assessed(
    pack: Pack, dossier: Dossier, case: Case, tables: Sequence[Mapping[str, Any]], day: date | None
) -> DossierOutcome:
    """The whole case; the trace of each matter comes later, for those that are shown."""
    submitted: dict[str, frozenset[str]] = {}
    for table in tables:
        if table["dossier"] == dossier.id:
            fields = frozenset(column["field"] for column in table["columns"] if column["field"] is not None)
            submitted[table["record"]] = submitted.get(table["record"], frozenset()) | fields
    provisions = {matter.provision: pack.provision(matter.provision) for matter in dossier.matters}
    derived = derive_case(dossier, case)
    skipped = skipped_matters(dossier, provisions, submitted)
    agenda = reference_agenda(dossier, derived, skipped)
    outcome = assess_dossier(pack, dossier, derived, agenda, day, skipped, explained=False)
    return replace(outcome, assumptions=assumed_absent(dossier, submitted, derived.related))


def _explained(pack: Pack, outcome: DossierOutcome, item: Item, day: date | None) -> Item:
    """An item with its trace and the other readings; one whose matter may not even arise has none."""
    assert outcome.case is not None, "an outcome assessed here holds its case"
    provision = pack.provision(item.matter.provision)
    values, _ = matter_inputs(outcome.case, item.matter, item.row, outcome.items)
    full = assess_case(pack, provision, values, day, subject=item.outcome.subject)
    if full.status != item.outcome.status:
        return item
    return replace(item, outcome=replace(full, missing=item.outcome.missing))


def _group(item: Item) -> tuple[object, ...] | None:
    """What an item shares with those of which only the highest counts."""
    if item.matter.highest_of is None:
        return None
    key = tuple(item.row.values.get(source.field) for source in item.matter.highest_of)
    return None if None in key else (item.matter.provision, *key)


def _decision(pack: Pack, dossier: Dossier, outcome: DossierOutcome, place: int, lang: Lang) -> str:
    """What was decided among the matters of which only the highest counts, or that contain each other."""
    item, zh = outcome.items[place], lang == "zh"
    if remark := remark_of(pack, dossier, outcome, item, lang):
        return remark
    lower = sum(other.yields_to == place for other in outcome.items)
    if lower:
        return f"就高：同一范围 {lower + 1} 项中最高，按此项计" if zh else f"highest of {lower + 1}: this one is paid"
    if item.paid is None and item.outcome.status != UNDETERMINED:
        return "同一范围另有一项无法判定，暂不计入" if zh else "another of its group is undetermined: not counted yet"
    return ""


def _other(
    pack: Pack, dossier: Dossier, outcome: DossierOutcome, place: int, group: set[tuple[object, ...]], lang: Lang
) -> OtherMatter:
    item = outcome.items[place]
    provision = pack.provision(item.matter.provision)
    return OtherMatter(
        provision.label.get(lang),
        row_text(dossier, item, lang),
        LABELS[item.outcome.status].get(lang),
        tone(item.outcome.status),
        figures_line(item.outcome, provision, lang),
        _counted(item, dossier.total is not None, lang),
        _decision(pack, dossier, outcome, place, lang),
        _group(item) in group,
    )


def _counted(item: Item, wanted: bool, lang: Lang) -> str:
    if not wanted or item.paid is None or item.outcome.status == UNDETERMINED:
        return ""
    return _yuan(item.paid, lang)


def _yuan(fen: int, lang: Lang) -> str:
    return money_text(fen) + ("元" if lang == "zh" else " yuan")


def _yuan_or_none(fen: int | None) -> str | None:
    return None if fen is None else yuan_text(fen)


def facts_text(
    fields: Mapping[str, Field], values: Mapping[str, Value | None], lang: Lang
) -> tuple[tuple[str, str], ...]:
    """The facts of a row with their labels, in words; what was asked and is not known says so."""
    unknown = "未填" if lang == "zh" else "not given"
    found = []
    for name, value in values.items():
        of = fields.get(name)
        if of is None:
            continue
        shown = unknown if value is None else value_text(value, of.type, lang)
        if isinstance(value, str) and of.choices:
            shown = of.choice_label(value, lang)
        found.append((of.label.get(lang), shown))
    return tuple(found)


def _differs(outcome: Outcome, origin: Origin) -> bool:
    if not origin.status:
        return False
    return (outcome.status, outcome.amount or "") != (origin.status, origin.amount)


def _item_data(pack: Pack, outcome: Outcome, more: Mapping[str, Any]) -> dict[str, Any]:
    provision = pack.provision(outcome.provision)
    asked = bool(more["asked"])
    data: dict[str, Any] = {"outcome": outcome.to_dict(), **more}
    if asked:
        data["explanation"] = {one: explain(outcome, provision, one) for one in ("zh", "en")}
    return data

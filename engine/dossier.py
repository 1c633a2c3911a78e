"""Related facts assessed together: which provisions apply to which rows, what excludes what, the total.

A dossier's matters are assessed for the subject or for each row of a record; amounts of one
exclusivity group are not added but the highest is paid; an amount that another already contains
is not counted twice. Who decides which matters arise (the agenda) is given from outside, so that
the forward-chaining engine and the reference can be compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from datetime import date

from engine.assessing import assess_case, choose_reading
from engine.dataclass import dataclass
from engine.evaluate.python import Facts, Unknown, evaluate
from engine.expr import names
from engine.kinds import UNDETERMINED
from engine.load import Pack
from engine.model import (
    Case,
    Constant,
    Dossier,
    FromAny,
    FromField,
    FromOutcome,
    FromSum,
    Matter,
    Provision,
    RecordType,
    Row,
    Source,
    Text,
)  # fmt: skip
from engine.outcome import Outcome
from engine.values import Value

Submitted = Mapping[str, frozenset[str]]
"""Per record the fields that were submitted at all, known or not."""


@dataclass(frozen=True, slots=True)
class Item:
    """One matter assessed for one row.

    `paid` is what counts towards the total, in fen: the outcome's amount, or zero where another item
    of its group is higher (`yields_to`) or contains it already (`contained_in`); None where it is
    not known.
    """

    matter: Matter
    row: Row
    outcome: Outcome
    paid: int | None = None
    yields_to: int | None = None
    contained_in: str | None = None


@dataclass(frozen=True, slots=True)
class DossierOutcome:
    """All that a dossier comes to for one subject."""

    dossier: str
    subject: str
    items: tuple[Item, ...]
    total: int | None
    known_total: int
    skipped: tuple[tuple[str, Text], ...] = ()
    assumptions: tuple[Text, ...] = ()
    case: Case | None = field(default=None, repr=False)

    @property
    def undetermined(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.outcome.status == UNDETERMINED)


@dataclass(frozen=True, slots=True)
class AgendaEntry:
    """That a matter arises for a row: `row` counts the rows of the matter's record from 0."""

    matter: int
    row: int
    open_facts: frozenset[str] = frozenset()
    """Facts of the row that decide whether the matter arises, where they are not known."""


def derive(record: RecordType, row: Row) -> Row:
    """The row with its derivable facts filled in where they were not given."""
    values = dict(row.values)
    for name, expr in record.derived.items():
        if values.get(name) is None:
            found = evaluate(expr, Facts({key: values.get(key) for key in record.fields}))
            if not isinstance(found, Unknown):
                values[name] = found
    for name, of in record.fields.items():
        if name not in values and of.default is not None:
            values[name] = of.default
    return replace(row, values=values)


def derive_case(dossier: Dossier, case: Case) -> Case:
    return Case(
        case.dossier,
        derive(dossier.records[case.subject.record], case.subject),
        tuple(derive(dossier.records[row.record], row) for row in case.related),
    )


def skipped_matters(dossier: Dossier, provisions: Mapping[str, Provision], submitted: Submitted) -> dict[int, Text]:
    """Matters whose own facts were not submitted at all, with what is lacking.

    A fact that only this matter reads tells whether the sheet is about it: a sheet without any of
    them is about something else, and says nothing on this matter.
    """
    readers: dict[tuple[str, str], set[int]] = {}
    for number, matter in enumerate(dossier.matters):
        for record, name in _own_fields(matter):
            readers.setdefault((record, name), set()).add(number)
    found: dict[int, Text] = {}
    for number, matter in enumerate(dossier.matters):  # a record that only this matter looks for is its own too
        records = {source.record for source in matter.inputs.values() if isinstance(source, FromAny)}
        others = [_records_read(other) for place, other in enumerate(dossier.matters) if place != number]
        own_records = sorted(record for record in records if not any(record in read for read in others))
        if own_records and not any(record in submitted for record in own_records):
            titles_of = [dossier.records[record].label for record in own_records]
            found[number] = Text(
                "没有提交" + "、".join(title.zh for title in titles_of),
                "not submitted: " + ", ".join(title.get("en") for title in titles_of),
            )
    for number in range(len(dossier.matters)):
        own = [key for key, users in readers.items() if users == {number}]
        asked = [
            (record, name)
            for record, name in own
            if dossier.records[record].fields[name].required and name not in dossier.records[record].derived
        ]
        if asked and not any(name in submitted.get(record, frozenset()) for record, name in own):
            labels = [dossier.records[record].fields[name].label for record, name in asked]
            found[number] = Text(
                "没有提交" + "、".join(label.zh for label in labels),
                "not submitted: " + ", ".join(label.get("en") for label in labels),
            )
    for number, matter in enumerate(dossier.matters):
        needed = {source.provision for source in matter.inputs.values() if isinstance(source, FromOutcome)}
        lacking = {other.provision for place, other in enumerate(dossier.matters) if place in found} & needed
        if lacking:
            titles = [provisions[identity].label for identity in sorted(lacking)]
            found[number] = Text(
                "取决于未评的：" + "、".join(title.zh for title in titles),
                "depends on what was not assessed: " + ", ".join(title.get("en") for title in titles),
            )
    return found


def _records_read(matter: Matter) -> set[str]:
    return {matter.each} | {
        source.record for source in matter.inputs.values() if isinstance(source, (FromAny, FromSum, FromField))
    }


def assumed_absent(dossier: Dossier, submitted: Collection[str], related: Sequence[Row] = ()) -> tuple[Text, ...]:
    """Records that matters add up and of which nothing was submitted: taken as none, which should be said."""
    there = {*submitted, *(row.record for row in related)}
    found: dict[str, Text] = {}
    for matter in dossier.matters:
        for source in matter.inputs.values():
            if isinstance(source, (FromSum, FromAny)) and source.record not in there:
                label = dossier.records[source.record].label
                found[source.record] = Text(
                    f"没有提交“{label.zh}”，按没有计算", f"no {label.get('en')} submitted: taken as none"
                )
    return tuple(found.values())


def _own_fields(matter: Matter) -> list[tuple[str, str]]:
    found = [
        (source.record, source.field) for source in matter.inputs.values() if isinstance(source, (FromField, FromSum))
    ]
    if matter.when is not None:
        found += [(matter.each, name) for name in sorted(names(matter.when))]
    return list(dict.fromkeys(found))


def reference_agenda(dossier: Dossier, case: Case, skipped: Mapping[int, Text]) -> list[AgendaEntry]:
    """Which matters arise for which rows, by the reference evaluator."""
    found = []
    for number, matter in enumerate(dossier.matters):
        if number in skipped:
            continue
        fields = dossier.records[matter.each].fields
        for place, row in enumerate(case.rows(matter.each)):
            arises = (
                True
                if matter.when is None
                else evaluate(matter.when, Facts({name: row.values.get(name) for name in fields}))
            )
            if isinstance(arises, Unknown):
                found.append(AgendaEntry(number, place, arises.missing))
            elif arises is True:
                found.append(AgendaEntry(number, place))
    return found


def assess_dossier(
    pack: Pack,
    dossier: Dossier,
    case: Case,
    agenda: Sequence[AgendaEntry],
    as_of: date | None = None,
    skipped: Mapping[int, Text] | None = None,
    explained: bool = True,
    readings: Mapping[str, Mapping[str, int]] | None = None,
) -> DossierOutcome:
    """Every matter on the agenda assessed, exclusivity and total applied; `case` as from `derive_case`."""
    record = dossier.records[dossier.subject]
    name = case.subject.values.get(record.key or "")
    subject = str(name) if name is not None else ""
    items: list[Item] = []
    for entry in agenda:
        matter = dossier.matters[entry.matter]
        row = case.rows(matter.each)[entry.row]
        provision = choose_reading(pack.provision(matter.provision), (readings or {}).get(matter.provision))
        if entry.open_facts:
            outcome = Outcome(
                matter.provision,
                UNDETERMINED,
                missing=tuple(sorted(entry.open_facts)),
                citation=provision.citation,
                summary=provision.summary,
                as_of=as_of,
                pack=pack.id,
                pack_version=pack.version,
                pack_digest=pack.digest,
            )
        else:
            values, waiting = matter_inputs(case, matter, row, items)
            outcome = assess_case(pack, provision, values, as_of, explained=explained)
            if waiting and outcome.status == UNDETERMINED:
                missing = {fact for fact in outcome.missing if fact not in waiting}
                missing |= {fact for name in outcome.missing for fact in waiting.get(name, ())}
                outcome = replace(outcome, missing=tuple(sorted(missing)))
        outcome = replace(outcome, subject=_row_name(dossier, matter, row, subject))
        items.append(Item(matter, row, outcome, _own_amount(outcome)))
    items = _exclude(items)
    items = _contain(items)
    known = sum(item.paid for item in items if item.paid is not None)
    total = None if any(item.paid is None for item in items) else known
    return DossierOutcome(
        dossier.id,
        subject,
        tuple(items),
        total,
        known,
        tuple((dossier.matters[number].provision, text) for number, text in (skipped or {}).items()),
        case=case,
    )


def _row_name(dossier: Dossier, matter: Matter, row: Row, subject: str) -> str:
    """The subject, and for a row of its own also what tells it from its neighbours."""
    if matter.each == dossier.subject:
        return subject
    key = dossier.records[matter.each].key
    own = row.values.get(key) if key else None
    return f"{subject} {own}" if own is not None and own != subject else subject


def _own_amount(outcome: Outcome) -> int | None:
    if outcome.status == UNDETERMINED:
        return None
    amount = outcome.values.get("amount", 0)
    assert isinstance(amount, int), "an amount is whole fen"
    return amount


def matter_inputs(
    case: Case, matter: Matter, row: Row, done: Sequence[Item]
) -> tuple[dict[str, Value | None], dict[str, tuple[str, ...]]]:
    """The provision's facts for a row, and for those taken from another outcome what that one waits for."""
    values: dict[str, Value | None] = {}
    waiting: dict[str, tuple[str, ...]] = {}
    for name, source in matter.inputs.items():
        values[name] = _input(case, row, source, done)
        if isinstance(source, FromOutcome) and values[name] is None:
            for item in done:
                if item.matter.provision == source.provision:
                    waiting[name] = item.outcome.missing
    return values, waiting


def _input(case: Case, row: Row, source: Source, done: Sequence[Item]) -> Value | None:
    match source:
        case Constant(value):
            return value
        case FromField():
            return _field(case, row, source)
        case FromSum():
            return _sum(case, row, source)
        case FromAny():
            return _any(case, row, source)
        case FromOutcome(provision, output, otherwise):
            item = next((item for item in done if item.matter.provision == provision), None)
            if item is None or item.outcome.status == "not_applicable":
                return otherwise
            return item.outcome.values.get(output)


def _field(case: Case, row: Row, source: FromField) -> Value | None:
    if row.record == source.record:
        value = row.values.get(source.field)
    else:
        rows = case.rows(source.record)
        value = rows[0].values.get(source.field) if len(rows) == 1 else None
    if value is not None and source.choices is not None and value not in source.choices:
        return source.otherwise
    return value


def _belongs(case: Case, row: Row, other: Row, where: Sequence[tuple[str, FromField | Value]]) -> bool | None:
    """Whether a related row meets every pair of `where`; None where that is not known."""
    belongs: bool | None = True
    for name, wanted in where:
        target = _field(case, row, wanted) if isinstance(wanted, FromField) else wanted
        found = other.values.get(name)
        if found is None or target is None:
            belongs = None
        elif found != target:
            return False
    return belongs


def _sum(case: Case, row: Row, source: FromSum) -> int | None:
    """The total over the related rows; unknown where a row that belongs, or may belong, has no value."""
    total = 0
    for other in case.rows(source.record):
        belongs = _belongs(case, row, other, source.where)
        if belongs is False:
            continue
        value = other.values.get(source.field)
        if belongs is None or value is None:
            return None
        assert isinstance(value, int), "only whole amounts are added up"
        total += value
    return total


def _any(case: Case, row: Row, source: FromAny) -> bool | None:
    found = [_belongs(case, row, other, source.where) for other in case.rows(source.record)]
    return True if True in found else None if None in found else False


def _exclude(items: list[Item]) -> list[Item]:
    """Of each exclusivity group the highest amount is paid, the first of equals; the others yield to it."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, item in enumerate(items):
        if item.matter.highest_of is not None:
            key = tuple(item.row.values.get(source.field) for source in item.matter.highest_of)
            if None in key:
                key = (*key, place)  # an unknown key makes a group of its own
            groups.setdefault((item.matter.provision, *key), []).append(place)
    for places in groups.values():
        if len(places) == 1:
            continue
        if any(items[place].paid is None for place in places):
            for place in places:  # the unknown one may be the highest: nothing of the group is certain
                items[place] = replace(items[place], paid=None)
            continue
        best = max(places, key=lambda place: (items[place].paid or 0, -place))
        for place in places:
            if place != best and items[place].paid:
                items[place] = replace(items[place], paid=0, yields_to=best)
    return items


def _contain(items: list[Item]) -> list[Item]:
    """Amounts that a later item contains do not count; where that one is unknown, so is the whole."""
    for item in items:
        for place, other in enumerate(items):
            if other.matter.provision in item.matter.replaces:
                items[place] = replace(other, paid=0, contained_in=item.matter.provision)
    return items

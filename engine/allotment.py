"""Rules over many rows: one provision for every row of a sheet, each seeing what the others came to.

A ceiling on a total, at most so many payments a year, once per person ever, an average over all
counties: such a rule needs the other rows. An allotment lists the rows in their order and fills the
provision's facts that speak of other rows from them; it never guesses an order, and an unknown
earlier row leaves the later ones open. Each line says which rows it was compared with.

```yaml
id: relief_payments
label: {zh: 救助发放, en: relief payments}
provision: some.relief
name: person                          # what a row is called by
fields: [{person: {type: text, zh: 姓名}}, {year: {type: integer, unit: 年, zh: 年度}}]
within: [person, year]                # rows that are seen together; left out: all rows
order: [applied_on]                   # earlier rows first
inputs:
  grants_before: {count: earlier}     # rows of the group already paid
  paid_before: {sum: earlier}         # and what they were paid
  county_average: {average: share}    # over every row of the group
total: {zh: 合计, en: total}
```
Facts of the provision that are not listed under `inputs` are columns of the sheet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import date
from fractions import Fraction
from typing import Any

from engine.assessing import assess_case
from engine.dataclass import dataclass
from engine.errors import Lang, PackError, Problem, Wording, nearest, register
from engine.explain import why
from engine.kinds import LABELS, UNDETERMINED
from engine.load import Pack
from engine.model import Dossier, Field, Provision, RecordType, Row, Text
from engine.outcome import Outcome
from engine.read_fields import read_field
from engine.reader import Reader
from engine.report import Cell, Money, Table, clause
from engine.source import NOWHERE, Location
from engine.types import MONEY
from engine.values import Value, shrink, yuan_text
from engine.yamltree import Mapping as MappingNode
from engine.yamltree import Scalar, read_yaml

register(
    {
        "unknown-allotment": Wording(
            "没有名为 `{name}` 的多行规则",
            "there is no rule over many rows `{name}`",
            "现有：{known}",
            "there are: {known}",
        ),
        "bad-aggregate": Wording(
            "`{name}` 应写成 count、sum、any: earlier 或 average: 字段",
            "`{name}` must be count, sum or any: earlier, or average: a field",
        ),
    }
)

KEYS = ("id", "label", "provision", "name", "fields", "within", "order", "inputs", "total", "outputs", "paid")
EARLIER = ("count", "sum", "any")
PAID = "paid_already"
"""The column that says what a row was paid before: such a row is not assessed but counts."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A fact filled from other rows: `count`, `sum` or `any` of the earlier paid ones, or an `average` of a field."""

    how: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Allotment:
    """One rule over many rows."""

    id: str
    label: Text
    provision: str
    name: str
    record: RecordType
    within: tuple[str, ...]
    order: tuple[str, ...]
    inputs: Mapping[str, Aggregate]
    total: Text
    outputs: tuple[str, ...] = ()
    at: Location = field(default=NOWHERE, compare=False, repr=False)

    @property
    def dossier(self) -> Dossier:
        """The sheet's shape, for the reader of files."""
        return Dossier(self.id, self.label, self.record.name, {self.record.name: self.record}, ())


@dataclass(frozen=True, slots=True)
class AllotmentLine:
    """One row with what it came to; `compared` are the names of the rows it was seen with."""

    name: str
    row: Row
    outcome: Outcome | None
    paid: int | None
    before: int | None
    compared: tuple[str, ...]
    inputs: Mapping[str, Value | None]


def load_allotments(pack: Pack) -> dict[str, Allotment]:
    """The pack's `allotments/*.yaml`. Errors (`PackError`): all that is wrong with them."""
    problems: list[Problem] = []
    found: dict[str, Allotment] = {}
    for path in sorted(pack.folder.glob("allotments/*.yaml")):
        node = read_yaml(path, str(path))
        if not isinstance(node, MappingNode):
            Reader(MappingNode((), node.at), "an allotment", problems).shape(node, "键值表", "a mapping")
            continue
        allotment = _read(pack, node, problems)
        if allotment is not None:
            found[allotment.id] = allotment
    if problems:
        raise PackError(problems)
    return found


def _read(pack: Pack, node: MappingNode, problems: list[Problem]) -> Allotment | None:
    reader = Reader(node, "an allotment", problems, KEYS)
    for key in ("id", "provision", "name"):
        reader.need(key)
    identity = reader.text("provision")
    provision = pack.find(identity)
    if provision is None:
        close = nearest(identity, pack.ids) or ""
        reader.report("unknown-provision", reader.at("provision"), id=identity, suggestion=close)
        return None
    fields: dict[str, Field] = {}
    for item in reader.items("fields"):
        if isinstance(item, MappingNode):
            fields.update((key.text, read_field(key.text, value, problems)) for key, value in item)
        elif isinstance(item, Scalar) and item.text in pack.fields:
            fields[item.text] = pack.fields[item.text]
        else:
            reader.report("unknown-name", item.at, name=reader.scalar(item), known=list(pack.fields)[:20])
    inputs = {key.text: _aggregate(key.text, value, reader, problems) for key, value in reader.mapping("inputs")}
    for name in inputs:
        if name not in provision.facts:
            reader.report("unknown-name", reader.at("inputs"), name=name, known=list(provision.facts))
    for name, of in provision.facts.items():
        if name not in inputs:
            fields.setdefault(name, of)
    if reader.has("paid"):
        fields[PAID] = Field(PAID, MONEY, reader.words("paid"), "元", required=False, at=reader.at("paid"))
    for key in ("within", "order"):
        for name in reader.texts(key):
            if name not in fields:
                reader.report("unknown-name", reader.at(key), name=name, known=list(fields))
    record = RecordType("row", reader.words("label", reader.text("id")), fields, aliases=())
    return Allotment(
        reader.text("id"),
        reader.words("label", reader.text("id")),
        identity,
        reader.text("name"),
        record,
        reader.texts("within"),
        reader.texts("order"),
        inputs,
        reader.words("total", "合计"),
        reader.texts("outputs"),
        node.at,
    )


def _aggregate(name: str, node: object, reader: Reader, problems: list[Problem]) -> Aggregate:
    if isinstance(node, MappingNode) and len(node.entries) == 1:
        key, value = node.entries[0]
        if key.text in EARLIER and isinstance(value, Scalar) and value.text == "earlier":
            return Aggregate(key.text)
        if key.text == "average" and isinstance(value, Scalar):
            return Aggregate("average", value.text)
    reader.report("bad-aggregate", reader.at("inputs"), name=name)
    return Aggregate("any")


def allot(pack: Pack, allotment: Allotment, rows: Sequence[Row], as_of: date | None = None) -> list[AllotmentLine]:
    """Every row assessed in its order, group by group; the result keeps the order of the sheet.

    Unknown: an earlier row of the group that is undetermined, or a place in the order that is not
    known or shared, leaves what depends on it unknown.
    """
    provision = pack.provision(allotment.provision)
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, row in enumerate(rows):
        key = tuple(row.values.get(name) for name in allotment.within)
        groups.setdefault((*key, place) if None in key else key, []).append(place)
    lines: dict[int, AllotmentLine] = {}
    for places in groups.values():
        ordered = _in_order(allotment, rows, places)
        for turn, place in enumerate(ordered):
            is_placed = _is_placed(allotment, rows, places, place)
            earlier = [lines[other] for other in ordered[:turn]] if is_placed else None
            lines[place] = _line(pack, allotment, provision, rows, place, places, earlier, as_of)
    return [lines[place] for place in range(len(rows))]


def _key(allotment: Allotment, row: Row) -> tuple[Any, ...]:
    return tuple(row.values.get(name) for name in allotment.order)


def _in_order(allotment: Allotment, rows: Sequence[Row], places: Sequence[int]) -> list[int]:
    """Rows whose place is known first, in their order; the sheet's order where the rule names none."""
    known = [place for place in places if None not in _key(allotment, rows[place])]
    unknown = [place for place in places if place not in known]
    return sorted(known, key=lambda place: _key(allotment, rows[place])) + unknown


def _is_placed(allotment: Allotment, rows: Sequence[Row], places: Sequence[int], place: int) -> bool:
    """Whether a row's turn is certain: every row of its group has a place, and none shares this one's."""
    if not allotment.order:
        return True
    keys = [_key(allotment, rows[other]) for other in places]
    own = _key(allotment, rows[place])
    return len(places) == 1 or (all(None not in key for key in keys) and keys.count(own) == 1)


def _line(
    pack: Pack,
    allotment: Allotment,
    provision: Provision,
    rows: Sequence[Row],
    place: int,
    places: Sequence[int],
    earlier: Sequence[AllotmentLine] | None,
    as_of: date | None,
) -> AllotmentLine:
    row = rows[place]
    name = _name(allotment, row)
    before = None if earlier is None or any(line.paid is None for line in earlier) else _paid(earlier)
    peers = [_called(allotment, rows[other]) for other in places if other != place]
    averaged = any(aggregate.how == "average" for aggregate in allotment.inputs.values())
    compared = tuple(peers) if averaged or earlier is None else tuple(_called(allotment, line.row) for line in earlier)
    if not allotment.inputs:
        compared = ()
    already = row.values.get(PAID)
    if isinstance(already, int) and not isinstance(already, bool):
        return AllotmentLine(name, row, None, already, before, compared, {})
    filled = {
        fact: _filled(aggregate, earlier, before, [rows[other] for other in places])
        for fact, aggregate in allotment.inputs.items()
    }
    values = {fact: row.values.get(fact) for fact in provision.facts if fact in row.values} | filled
    outcome = assess_case(pack, provision, values, as_of, subject=name)
    amount = outcome.values.get("amount", 0)
    paid: int | None = amount if isinstance(amount, int) else 0
    if outcome.status == UNDETERMINED:
        paid = None
    return AllotmentLine(name, row, outcome, paid, before, compared, filled)


def _name(allotment: Allotment, row: Row) -> str:
    found = row.values.get(allotment.name)
    return str(found) if found is not None else str(row.at)


def _called(allotment: Allotment, row: Row) -> str:
    """A row's name, with its place in the order where its group shares the name."""
    name = _name(allotment, row)
    if allotment.name not in allotment.within or not allotment.order:
        return name
    return f"{name}（{'，'.join(str(value) for value in _key(allotment, row))}）"


def _paid(lines: Sequence[AllotmentLine]) -> int:
    return sum(line.paid or 0 for line in lines)


def _filled(
    aggregate: Aggregate, earlier: Sequence[AllotmentLine] | None, before: int | None, group: Sequence[Row]
) -> Value | None:
    if aggregate.how == "average":
        figures = [row.values.get(aggregate.field) for row in group]
        numbers = [Fraction(value) for value in figures if isinstance(value, (int, Fraction))]
        return shrink(sum(numbers, Fraction(0)) / len(numbers)) if len(numbers) == len(figures) else None
    if earlier is None:
        return None
    if aggregate.how == "sum":
        return before
    paid = [line.paid for line in earlier]
    if aggregate.how == "any" and any(paid):
        return True
    if None in paid:
        return None
    count = sum(1 for amount in paid if amount)
    return count if aggregate.how == "count" else count > 0


# For people and programs


def allotment_table(pack: Pack, allotment: Allotment, lines: Sequence[AllotmentLine], lang: Lang) -> Table:
    """One line a row: what it came to, what was paid before it, and with which rows it was compared."""
    zh = lang == "zh"
    provision = pack.provision(allotment.provision)
    headers = [allotment.record.fields[allotment.name].label.get(lang)]
    within = [name for name in allotment.within if name != allotment.name]
    headers += [allotment.record.fields[name].label.get(lang) for name in within]
    is_running = any(aggregate.how in EARLIER for aggregate in allotment.inputs.values())
    headers += ["结论", "金额"] if zh else ["result", "amount"]
    headers += ["此前已付" if zh else "paid before"] if is_running else []
    labels = {output.name: output.label or Text(output.name, output.name) for output in provision.outputs}
    headers += [labels[name].get(lang) for name in allotment.outputs]
    headers += ["比对的行", "理由", "依据"] if zh else ["compared with", "reason", "clause"]
    rows: list[tuple[Cell, ...]] = []
    for line in lines:
        cells: list[Cell] = [line.name]
        cells += [str(line.row.values.get(name) or "") for name in within]
        if line.outcome is None:
            cells += ["已发放" if zh else "paid already", Money(line.paid or 0)]
        else:
            cells += [LABELS[line.outcome.status].get(lang), Money(line.paid) if line.paid is not None else None]
        if is_running:
            cells.append(Money(line.before) if line.before is not None else None)
        cells += [_output(line, name) for name in allotment.outputs]
        cells.append(_compared(line, lang))
        cells.append(why(line.outcome, provision, lang) if line.outcome is not None else "")
        cells.append(clause(line.outcome) if line.outcome is not None else "")
        rows.append(tuple(cells))
    footer: list[Cell] = [allotment.total.get(lang), *("" for _ in within), ""]
    footer += [Money(_paid(lines)), *([""] if is_running else [])]
    footer += [_sum(lines, name) for name in allotment.outputs]
    undetermined = sum(line.paid is None for line in lines)
    note = (
        (f"另有 {undetermined} 行无法判定，未计入" if zh else f"{undetermined} more undetermined")
        if undetermined
        else ""
    )
    footer += ["", note, ""]
    return Table(allotment.label.get(lang), tuple(headers), tuple(rows), tuple(footer))


def _output(line: AllotmentLine, name: str) -> Cell:
    value = line.outcome.values.get(name) if line.outcome is not None else None
    return Money(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _sum(lines: Sequence[AllotmentLine], name: str) -> Cell:
    cells = [_output(line, name) for line in lines]
    return Money(sum(cell.fen for cell in cells if isinstance(cell, Money)))


def _compared(line: AllotmentLine, lang: Lang) -> str:
    if len(line.compared) <= 6:
        return "、".join(line.compared)
    lead = "、".join(line.compared[:5])
    return f"{lead} 等{len(line.compared)}行" if lang == "zh" else f"{lead} and {len(line.compared) - 5} more"


def allotment_data(allotment: Allotment, lines: Sequence[AllotmentLine]) -> dict[str, Any]:
    """The lines as plain data."""
    return {
        "allotment": allotment.id,
        "provision": allotment.provision,
        "total": yuan_text(_paid(lines)),
        "undetermined": sum(line.paid is None for line in lines),
        "lines": [
            {
                "name": line.name,
                "place": str(line.row.at),
                "paid": yuan_text(line.paid) if line.paid is not None else None,
                "paid_before": yuan_text(line.before) if line.before is not None else None,
                "paid_already": line.outcome is None,
                "compared_with": list(line.compared),
                "outcome": line.outcome.to_dict() if line.outcome is not None else None,
            }
            for line in lines
        ],
    }

"""When duties fall due: a pack's deadlines and recurring obligations, one by one over a span of days.

Deadlines state their own day: the facts that tell one occasion from another (an enumeration, a year,
a month) are listed out and the rule is evaluated for each. A deadline that runs from an event has
no day until somebody reports that event. Obligations that recur need a word on how often, which the
pack's `schedule.yaml` gives, with the bodies that answer for them:

```yaml
facts: {count: times_done, period: period}
bodies: {各县市: [甲县, 乙县]}
open: [各部门]
duties:
- {provision: some.report, every: month, by: 各县市}
- {provision: some.meeting, months: [1, 4, 7, 10]}
- {provision: some.steps, with: {step: decompose}, by: [财政局]}
```
`by` as a list, or a name in `bodies`, gives each body a duty of its own; a plain text is one duty of all it names.
A name under `open` stands for bodies that nobody listed: whoever reports adds a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date
from itertools import product
from typing import TypeAlias

from engine.dataclass import dataclass
from engine.errors import PackError, Problem, Wording, nearest, register
from engine.inputs import read_input
from engine.load import Pack
from engine.model import Field, Provision, ProvisionKind, Text
from engine.outcome import assess
from engine.periods import Every, Period, months_period, periods_ending
from engine.reader import Reader
from engine.source import NOWHERE, Location
from engine.types import Kind
from engine.values import Unreadable, Value
from engine.yamltree import Mapping as MappingNode
from engine.yamltree import read_yaml

KEYS = ("facts", "bodies", "open", "duties")
DUTY_KEYS = ("provision", "with", "by", "every", "months", "count")
YEAR_UNIT, MONTH_UNIT = "年", "月"

register(
    {
        "duty-without-period": Wording(
            "{provision} 既没有写 every，也没有写 months",
            "{provision} says neither `every` nor `months`",
            "写明多久一次，如 every: month",
            "say how often, as in every: month",
        ),
        "not-recurring": Wording(
            "{provision} 没有计次的事实 `{name}`", "{provision} has no fact `{name}` that counts how often it was done"
        ),
    }
)

Inputs: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Duty:
    """One entry of a schedule: who answers for a provision, and how often it recurs."""

    provision: str
    given: Inputs
    bodies: tuple[str, ...]
    every: Every | None = None
    months: tuple[int, ...] = ()
    count: str = ""
    at: Location = field(default=NOWHERE, compare=False, repr=False)

    @property
    def recurs(self) -> bool:
        return self.every is not None or bool(self.months)

    def periods(self, start: date, end: date) -> Iterator[Period]:
        if self.every is not None:
            yield from periods_ending(self.every, start, end)
            return
        for period in periods_ending(Every.MONTH, start, end):
            if period.end.month in self.months:
                yield period


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a pack says about who does what how often; `count` and `period` are fact names."""

    duties: tuple[Duty, ...] = ()
    count: str = "times_done"
    period: str = "period"
    open: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Occasion:
    """One thing that one body must have done by one day.

    `inputs` are the facts that single it out. `counted` names the fact that counts how often it was
    done, where that is what matters. `span` is the period or month it belongs to.
    """

    provision: str
    body: str
    due: date
    label: Text = field(default_factory=lambda: Text(""))
    inputs: Inputs = field(default_factory=dict)
    span: Period | None = None
    counted: str | None = None


def load_schedule(pack: Pack) -> Schedule:
    """The pack's schedule; an empty one where it has none. Errors (`PackError`): all that is wrong with it."""
    path = pack.folder / "schedule.yaml"
    if not path.exists():
        return Schedule()
    problems: list[Problem] = []
    node = read_yaml(path, str(path))
    reader = Reader(
        node if isinstance(node, MappingNode) else MappingNode((), node.at), "schedule.yaml", problems, KEYS
    )
    if not isinstance(node, MappingNode):
        reader.shape(node, "键值表", "a mapping")
    facts = reader.node.get("facts")
    names = Reader(
        facts if isinstance(facts, MappingNode) else MappingNode((), node.at), "facts", problems, ("count", "period")
    )
    count, period = names.text("count", "times_done"), names.text("period", "period")
    groups = {
        key.text: Reader(MappingNode(((key, value),), key.at), "bodies", problems).texts(key.text)
        for key, value in reader.mapping("bodies")
    }
    duties = [
        duty
        for item in reader.items("duties")
        if (duty := _read_duty(pack, item, groups, count, reader, problems)) is not None
    ]
    if problems:
        raise PackError(problems)
    return Schedule(tuple(duties), count, period, frozenset(reader.texts("open")))


def _read_duty(
    pack: Pack,
    item: object,
    groups: Mapping[str, tuple[str, ...]],
    count: str,
    outer: Reader,
    problems: list[Problem],
) -> Duty | None:
    if not isinstance(item, MappingNode):
        outer.shape(item, "{provision, …}", "{provision, …}")  # type: ignore[arg-type]
        return None
    reader = Reader(item, "a duty", problems, DUTY_KEYS)
    identity = reader.text("provision")
    provision = pack.find(identity)
    if provision is None:
        reader.report(
            "unknown-provision", reader.at("provision"), id=identity, suggestion=nearest(identity, pack.ids) or ""
        )
        return None
    given: dict[str, Value] = {}
    for key, value in reader.mapping("with"):
        of = provision.facts.get(key.text)
        if of is None:
            reader.report("unknown-name", key.at, name=key.text, known=list(provision.facts))
            continue
        try:
            read = read_input(of, reader.scalar(value))
        except Unreadable as error:
            reader.report("bad-fact", value.at, name=key.text, reason_zh=error.zh, reason_en=error.en)
            continue
        if read is not None:
            given[key.text] = read
    every = _every(reader)
    months = tuple(int(text) for text in reader.texts("months") if text.isdigit())
    bodies = tuple(body for text in reader.texts("by") for body in groups.get(text, (text,)))
    counted = reader.text("count", count)
    duty = Duty(identity, given, bodies or (provision.applies_to,), every, months, counted, item.at)
    if duty.recurs and counted not in provision.facts:
        reader.report("not-recurring", item.at, provision=identity, name=counted)
        return None
    if not duty.recurs and provision.kind is not ProvisionKind.DEADLINE:
        reader.report("duty-without-period", item.at, provision=identity)
        return None
    return duty


def _every(reader: Reader) -> Every | None:
    text = reader.text("every")
    known = [every.value for every in Every]
    if text and text not in known:
        reader.report(
            "unknown-enum-value", reader.at("every"), value=text, known=known, suggestion=nearest(text, known) or ""
        )
    return Every(text) if text in known else None


def deadlines(pack: Pack) -> list[Provision]:
    return [provision for provision in pack.provisions.values() if provision.kind is ProvisionKind.DEADLINE]


def trigger_facts(pack: Pack, provision: Provision) -> list[Field]:
    """The facts of a deadline that only an event can supply: none of them can be listed out."""
    own = {pack.deadline.done, pack.deadline.done_on, pack.deadline.as_of}
    return [
        of
        for name, of in provision.facts.items()
        if name not in own and of.required and of.default is None and not _is_listed(of)
    ]


def ledger_facts(pack: Pack) -> list[Field]:
    """The facts of all deadlines that a ledger may have to supply, each once."""
    return list({of.name: of for provision in deadlines(pack) for of in trigger_facts(pack, provision)}.values())


def _is_listed(of: Field) -> bool:
    return bool(of.choices) or (of.type.kind is Kind.QUANTITY and of.unit in (YEAR_UNIT, MONTH_UNIT))


def occasions(pack: Pack, schedule: Schedule, start: date, end: date) -> list[Occasion]:
    """Everything that falls due from `start` to `end`, in the order of the days."""
    found: list[Occasion] = []
    for provision in deadlines(pack):
        if not trigger_facts(pack, provision):
            found += _deadline_occasions(pack, schedule, provision, start, end)
    for duty in schedule.duties:
        if duty.recurs:
            found += _recurring(pack.provision(duty.provision), duty, start, end)
    places = {identity: place for place, identity in enumerate(pack.ids)}
    return sorted(found, key=lambda item: (item.due, places[item.provision]))


def _deadline_occasions(
    pack: Pack, schedule: Schedule, provision: Provision, start: date, end: date
) -> Iterator[Occasion]:
    listed = {name: of for name, of in provision.facts.items() if _is_listed(of)}
    values: list[Sequence[Value]] = [_listed_values(of, provision, start, end) for of in listed.values()]
    calendar = [name for name, of in listed.items() if not of.choices]
    for combination in product(*values):
        inputs = dict(zip(listed, combination, strict=True))
        due = assess(provision, inputs, pack.reference_date).values.get("due_date")
        if not isinstance(due, date) or not start <= due <= end:
            continue
        if calendar and not _in_force(provision, due):
            continue
        for body in bodies_of(schedule, provision, inputs):
            yield Occasion(provision.id, body, due, _label(listed, inputs, due), inputs, _month(listed, inputs, due))


def _listed_values(of: Field, provision: Provision, start: date, end: date) -> Sequence[Value]:
    if of.choices:
        return [choice.value for choice in of.choices]
    if of.unit == MONTH_UNIT:
        return range(1, 13)
    first, last = provision.in_force
    return range((first or start).year, (last or end).year + 1)


def _in_force(provision: Provision, day: date) -> bool:
    first, last = provision.in_force
    return (first is None or first <= day) and (last is None or day <= last)


def _label(listed: Mapping[str, Field], inputs: Inputs, due: date) -> Text:
    words = [
        Text(of.choice_label(str(inputs[name]), "zh"), of.choice_label(str(inputs[name]), "en"))
        for name, of in listed.items()
        if of.choices
    ]
    month = _month(listed, inputs, due)
    if month is not None:
        words.append(month.label)
    return Text(" ".join(word.zh for word in words), " ".join(word.get("en") for word in words))


def _month(listed: Mapping[str, Field], inputs: Inputs, due: date) -> Period | None:
    """The month the facts name; where they name no year, that of the due date."""
    month = next((inputs[name] for name, of in listed.items() if of.unit == MONTH_UNIT), None)
    year = next((inputs[name] for name, of in listed.items() if of.unit == YEAR_UNIT), due.year)
    return months_period(int(year), int(month)) if isinstance(month, int) and isinstance(year, int) else None


def bodies_of(schedule: Schedule, provision: Provision, inputs: Inputs) -> tuple[str, ...]:
    """Who answers for a deadline: the entry that fits these facts most closely, else whom it applies to."""
    fitting = [
        duty
        for duty in schedule.duties
        if duty.provision == provision.id and all(inputs.get(name) == value for name, value in duty.given.items())
    ]
    if not fitting:
        return (provision.applies_to,)
    return max(fitting, key=lambda duty: len(duty.given)).bodies


def _recurring(provision: Provision, duty: Duty, start: date, end: date) -> Iterator[Occasion]:
    """The periods that end within the window, and while the provision is in force."""
    first, last = provision.in_force
    for period in duty.periods(max(start, first or start), min(end, last or end)):
        words = [
            Text(of.choice_label(str(duty.given[name]), "zh"), of.choice_label(str(duty.given[name]), "en"))
            for name, of in provision.facts.items()
            if of.choices and name in duty.given
        ]
        label = Text(
            " ".join((*(word.zh for word in words), period.label.zh)),
            " ".join((*(word.get("en") for word in words), period.label.en)),
        )
        for body in duty.bodies:
            yield Occasion(provision.id, body, period.end, label, duty.given, period, duty.count)


def unscheduled(pack: Pack, schedule: Schedule) -> list[str]:
    """Provisions that count how often something was done and of which nobody said how often it recurs."""
    known = {duty.provision for duty in schedule.duties if duty.recurs}
    return [
        identity
        for identity, provision in pack.provisions.items()
        if schedule.count in provision.facts and identity not in known
    ]

"""What was due, what was done: occasions held against a ledger, with the outcome of each.

Every status comes from the provision itself, evaluated with what the ledger says: a deadline with the
day it was met, an obligation with how often it was met within its period. Without a ledger the list
says only what falls due. A ledger line that could mean several occasions is a problem, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import date

from engine.assessing import assess_case
from engine.dataclass import dataclass
from engine.errors import EvaluationError, Problem, Wording, nearest, register
from engine.kinds import LABELS
from engine.load import Pack
from engine.model import Provision, Text
from engine.outcome import Outcome, other_readings
from engine.periods import Period, read_period
from engine.schedule import Occasion, Schedule, bodies_of, deadlines, occasions, trigger_facts
from engine.source import NOWHERE, Location
from engine.types import Kind
from engine.values import Value, fold

register(
    {
        "bad-window": Wording(
            "截止日 {end} 早于起始日 {start}", "the window ends on {end}, before it begins on {start}"
        ),
        "ledger-future": Wording(
            "完成日期 {day} 晚于基准日 {as_of}，按未完成判断",
            "done on {day}, after the day of judgement {as_of}: judged as not done",
            "核对日期，或改用更晚的 --as-of",
            "check the date, or judge on a later day (--as-of)",
        ),
        "ledger-matter": Wording(
            "“{matter}”不是日历里的事项",
            "`{matter}` is not a matter of the calendar",
            "写条款号或条款名称，见 hegui due 的清单",
            "write the provision's id or title, as `hegui due` lists them",
        ),
        "ledger-occasion": Wording(
            "{provision}：看不出是哪一期：“{occasion}”",
            "{provision}: `{occasion}` does not say which occasion is meant",
            "可用的期间：{known}",
            "occasions: {known}",
        ),
        "ledger-body": Wording(
            "{provision}：看不出是哪个单位的：“{body}”",
            "{provision}: `{body}` does not say whose it is",
            "责任单位：{known}",
            "bodies: {known}",
        ),
        "ledger-trigger": Wording(
            "{provision}：缺少起算日期（{label}），算不出到期日",
            "{provision}: the day it runs from ({label}) is missing, so there is no due date",
            "填上“{label}”",
            "fill in {label}",
        ),
        "ledger-twice": Wording(
            "{provision}（{occasion}，{body}）登记了两次，前一次在 {first}",
            "{provision} ({occasion}, {body}) is entered twice, first at {first}",
            "只留一行",
            "keep one line",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a ledger as it was read: what, for which period, whose, and when it was done.

    `facts` are facts of the provision itself that the line gives, such as the day a deadline runs from.
    """

    matter: str
    occasion: str | None = None
    body: str | None = None
    about: str = ""
    triggered_on: date | None = None
    done: bool | None = None
    done_on: date | None = None
    facts: Mapping[str, Value | None] = field(default_factory=dict)
    at: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class DutyLine:
    """One occasion with what became of it; `status` is empty where no ledger was given."""

    occasion: Occasion
    outcome: Outcome | None = None
    status: str = ""
    done_on: date | None = None
    times: int | None = None
    about: str = ""
    remarks: tuple[Text, ...] = ()
    at: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class DutyList:
    """Everything due in a window; `waiting` are deadlines that run from an event and have no line of their own."""

    start: date
    end: date
    as_of: date
    lines: tuple[DutyLine, ...]
    waiting: tuple[tuple[str, Text], ...]
    problems: tuple[Problem, ...] = ()
    has_ledger: bool = False


LATE = frozenset(("late", "overdue"))


def list_duties(
    pack: Pack,
    schedule: Schedule,
    start: date,
    end: date,
    as_of: date,
    entries: Sequence[Entry] | None = None,
    body: str | None = None,
) -> DutyList:
    """The duties that fall due from `start` to `end`, judged on `as_of` by what the ledger says.

    `body` keeps only those whose body contains that text. Errors in the ledger are problems at their cells.
    """
    matching = _Ledger(pack, schedule, start, end, as_of)
    lines = matching.lines(entries)
    if body is not None:
        wanted = fold(body)
        lines = [line for line in lines if wanted in fold(line.occasion.body)]
    seen = {line.occasion.provision for line in lines}
    waiting = [
        (provision.id, Text(needed[0].label.zh, needed[0].label.get("en")))
        for provision in deadlines(pack)
        if (needed := trigger_facts(pack, provision))
        and provision.id not in seen
        and (body is None or fold(body) in fold(provision.applies_to))
    ]
    return DutyList(start, end, as_of, tuple(lines), tuple(waiting), tuple(matching.problems), entries is not None)


class _Ledger:
    """Matches the lines of a ledger to the occasions of a window."""

    def __init__(self, pack: Pack, schedule: Schedule, start: date, end: date, as_of: date) -> None:
        self.pack, self.schedule, self.as_of = pack, schedule, as_of
        self.window = Period(start, end)
        self.problems: list[Problem] = []
        self.replaced: set[int] = set()
        # A line may be about an occasion outside the window: that is no fault of the ledger's.
        wide = Period(date(start.year - 1, 1, 1), date(end.year + 1, 12, 31))
        self.all = occasions(pack, schedule, wide.start, wide.end)
        self.by_provision: dict[str, list[int]] = {}
        for place, occasion in enumerate(self.all):
            self.by_provision.setdefault(occasion.provision, []).append(place)
        self.names: dict[str, str] = {}
        for identity in [*self.by_provision, *(item.id for item in deadlines(pack))]:
            label = pack.provision(identity).label
            for name in (identity, label.zh, label.en):
                if name:
                    self.names.setdefault(fold(name), identity)

    def lines(self, entries: Sequence[Entry] | None) -> list[DutyLine]:
        found: dict[int, list[Entry]] = {}
        triggered: list[DutyLine] = []
        for entry in map(self.known_by_then, entries or ()):
            identity = self.names.get(fold(entry.matter))
            if identity is None:
                close = nearest(fold(entry.matter), self.names)
                title = self.pack.provision(self.names[close]).label.zh if close else ""
                self.report("ledger-matter", entry, matter=entry.matter, suggestion=title)
                continue
            provision = self.pack.provision(identity)
            if identity in self.by_provision:
                place = self.place_of(provision, entry)
                if place is not None:
                    found.setdefault(place, []).append(entry)
            else:
                line = self.triggered(provision, entry)
                if line is not None:
                    triggered.append(line)
        lines = [
            self.line(occasion, found.get(place, []), entries is not None)
            for place, occasion in enumerate(self.all)
            if occasion.due in self.window and place not in self.replaced
        ]
        lines += [line for line in triggered if line.occasion.due in self.window]
        return sorted(lines, key=lambda line: line.occasion.due)

    def report(self, code: str, entry: Entry, **fields: object) -> None:
        self.problems.append(Problem(code, entry.at, fields))

    def known_by_then(self, entry: Entry) -> Entry:
        """A line that says something was done after the day of judgement says nothing yet."""
        if entry.done_on is None or entry.done_on <= self.as_of:
            return entry
        fields = {"day": entry.done_on, "as_of": self.as_of}
        self.problems.append(Problem("ledger-future", entry.at, fields, "warning"))
        return replace(entry, done=False, done_on=None, occasion=entry.occasion or read_month(entry.done_on))

    # Which occasion a line means

    def place_of(self, provision: Provision, entry: Entry) -> int | None:
        places = self.by_provision[provision.id]
        bodies = list(dict.fromkeys(self.all[place].body for place in places))
        kept = [place for place in places if self.is_when(provision, self.all[place], entry)]
        if entry.body is not None:
            listed = any(_is_called(body, entry.body) for body in bodies)
            if not listed and not self.schedule.open.intersection(bodies):
                self.report("ledger-body", entry, provision=provision.label.zh, body=entry.body, known=bodies)
                return None
            open_bodies = self.schedule.open if not listed else frozenset[str]()
            kept = [
                place
                for place in kept
                if self.all[place].body in open_bodies or (listed and _is_called(self.all[place].body, entry.body))
            ]
            if len(kept) == 1 and not listed:
                return self.opened(kept[0], entry.body)
        if len(kept) == 1:
            return kept[0]
        if kept and len({self.all[place].body for place in kept}) == len(kept):
            self.report("ledger-body", entry, provision=provision.label.zh, body=entry.body or "", known=bodies)
            return None
        known = list(dict.fromkeys(self.all[place].label.zh for place in places))[:24]
        self.report("ledger-occasion", entry, provision=provision.label.zh, occasion=entry.occasion or "", known=known)
        return None

    def opened(self, place: int, body: str) -> int:
        """A line of its own for a body that nobody listed; the line that stands for all of them gives way."""
        self.replaced.add(place)
        self.all.append(replace(self.all[place], body=body))
        self.by_provision[self.all[place].provision].append(len(self.all) - 1)
        return len(self.all) - 1

    def is_when(self, provision: Provision, occasion: Occasion, entry: Entry) -> bool:
        """Whether a line is about an occasion: by the period it names, else by the day, where that is unmistakable."""
        if entry.occasion is None:
            if occasion.counted is not None and occasion.span is not None and not _choices(provision, occasion):
                return entry.done_on is not None and entry.done_on in occasion.span
            return not occasion.label.zh
        text = fold(entry.occasion)
        if text in (fold(occasion.label.zh), fold(occasion.label.en)):
            return True
        spellings = _choices(provision, occasion)
        if occasion.span is None:
            return any(text in names for names in spellings) or _same_period(occasion, text)
        rest = text
        for names in spellings:
            lead = next((name for name in sorted(names, key=len, reverse=True) if name and text.startswith(name)), None)
            rest = rest.removeprefix(lead) if lead else rest
        if spellings and rest == text:
            return False  # 5月 alone does not say whether it is the weekly or the monthly report
        return read_period(rest, occasion.span.end.year) == occasion.span

    # What became of it

    def line(self, occasion: Occasion, entries: Sequence[Entry], judged: bool) -> DutyLine:
        provision = self.pack.provision(occasion.provision)
        if occasion.counted is None:
            if len(entries) > 1:
                self.twice(provision, occasion, entries)
            return self.deadline(provision, occasion, entries[0] if entries else None, judged)
        return self.counted(provision, occasion, entries, judged)

    def twice(self, provision: Provision, occasion: Occasion, entries: Sequence[Entry]) -> None:
        for entry in entries[1:]:
            self.report(
                "ledger-twice",
                entry,
                provision=provision.label.zh,
                occasion=occasion.label.zh,
                body=occasion.body,
                first=str(entries[0].at),
            )

    def deadline(self, provision: Provision, occasion: Occasion, entry: Entry | None, judged: bool) -> DutyLine:
        names = self.pack.deadline
        values: dict[str, Value | None] = dict(occasion.inputs)
        if entry is None or (entry.done is None and entry.done_on is None):
            values |= {names.done: False}
        else:
            values |= {names.done: True if entry.done is None else entry.done, names.done_on: entry.done_on}
        outcome = assess_case(self.pack, provision, values, self.as_of, explained=False)
        readings = other_readings(
            provision, {**values, names.as_of: self.as_of}, self.as_of or self.pack.reference_date, outcome
        )
        outcome = replace(outcome, readings=readings)
        return DutyLine(
            occasion,
            outcome,
            outcome.status if judged else "",
            entry.done_on if entry else None,
            None,
            entry.about if entry else "",
            (*self.remarks(occasion), *_reading_remarks(outcome, judged)),
            entry.at if entry else NOWHERE,
        )

    def remarks(self, occasion: Occasion) -> Iterator[Text]:
        issued = self.pack.in_force[0]
        if occasion.counted is None and issued is not None and occasion.due < issued:
            yield Text(f"到期日早于文件印发日 {issued}", f"due before the document was issued on {issued}")

    def counted(self, provision: Provision, occasion: Occasion, entries: Sequence[Entry], judged: bool) -> DutyLine:
        """Done often enough by the end of the period; later than that; or not yet."""
        assert occasion.counted is not None
        done = sorted(
            (entry for entry in entries if entry.done is not False),
            key=lambda entry: entry.done_on or date.max,
        )
        in_time = [entry for entry in done if entry.done_on is not None and entry.done_on <= occasion.due]
        undated = [entry for entry in done if entry.done_on is None]

        def outcome_of(times: int) -> Outcome:
            values: dict[str, Value | None] = {**occasion.inputs, occasion.counted or "": times}
            if self.schedule.period in provision.facts:
                values[self.schedule.period] = occasion.label.zh
            return assess_case(self.pack, provision, values, self.as_of, explained=False)

        outcome = outcome_of(len(in_time))
        if outcome.status == "compliant":
            status = "on_time"
        elif (whole := outcome_of(len(done))).status == "compliant":
            outcome, status = whole, "undetermined" if undated else "late"
        elif outcome.status == "breach":
            status = "pending" if self.as_of <= occasion.due else "overdue"
        else:
            status = outcome.status
        last = next((entry.done_on for entry in reversed(done) if entry.done_on is not None), None)
        about = "；".join(entry.about for entry in done if entry.about)
        times = len(done) if judged else None
        return DutyLine(occasion, outcome, status if judged else "", last, times, about, tuple(self.remarks(occasion)))

    def triggered(self, provision: Provision, entry: Entry) -> DutyLine | None:
        """A deadline that runs from an event the line reports."""
        needed = trigger_facts(self.pack, provision)
        inputs: dict[str, Value] = {
            name: value for name, value in entry.facts.items() if name in provision.facts and value is not None
        }
        days = [of for of in needed if of.type.kind is Kind.DATE]
        if entry.triggered_on is not None and len(days) == 1:
            inputs.setdefault(days[0].name, entry.triggered_on)
        lacking = [of for of in needed if of.name not in inputs]
        if lacking:
            labels = "、".join(of.label.zh for of in lacking)
            self.report("ledger-trigger", entry, provision=provision.label.zh, label=labels)
            return None
        bodies = bodies_of(self.schedule, provision, inputs)
        body = entry.body or "、".join(bodies)
        try:
            due = assess_case(self.pack, provision, inputs, self.as_of, explained=False).values.get("due_date")
            if not isinstance(due, date):
                return None
            label = Text(entry.about or entry.occasion or str(inputs[days[0].name] if days else ""))
            return self.deadline(provision, Occasion(provision.id, body, due, label, inputs), entry, True)
        except EvaluationError as error:
            self.problems += [replace(problem, location=entry.at) for problem in error.problems]
            return None


def _is_called(body: str, text: str) -> bool:
    """Whether a ledger's name is this body's: the whole name, or the one in its brackets or before them."""
    name, wanted = fold(body), fold(text)
    if wanted == name:
        return True
    lead, _, rest = name.replace("（", "(").partition("(")
    return wanted in (lead, rest.removesuffix(")").removesuffix("）"))


def _same_period(occasion: Occasion, text: str) -> bool:
    """Whether a text names the period of an occasion's label (一季度 for 1季度), the last one before it is due."""
    due = occasion.due
    for year in (due.year, due.year - 1):
        span = read_period(occasion.label.zh, year)
        if span is not None and span.end <= due:
            return read_period(text, year) == span
    return False


def _choices(provision: Provision, occasion: Occasion) -> list[set[str]]:
    """For each enumeration that singles an occasion out, the spellings of its value."""
    found = []
    for name, value in occasion.inputs.items():
        of = provision.facts[name]
        if of.choices:
            found.append({spelling for spelling, meant in of.spellings().items() if meant == value})
    return found


def _reading_remarks(outcome: Outcome, judged: bool) -> Iterator[Text]:
    for other in outcome.readings:
        due = other.outcome.due_date
        parts = []
        if due != outcome.due_date:
            parts.append(due or "—")
        if judged and other.outcome.status != outcome.status:
            parts.append(LABELS[other.outcome.status].zh)
        if parts:
            english = [due or "—"] * (due != outcome.due_date)
            if judged and other.outcome.status != outcome.status:
                english.append(LABELS[other.outcome.status].get("en"))
            yield Text(
                f"另一读法（{other.other.zh}）：{'，'.join(parts)}",
                f"another reading ({other.other.get('en')}): {', '.join(english)}",
            )


def read_month(day: date) -> str:
    return f"{day.year}-{day.month:02d}"

"""An outcome: what a provision comes to for one subject, and assessing it by the reference evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import date
from fractions import Fraction
from typing import Any

from engine.dataclass import dataclass
from engine.errors import EvaluationError
from engine.evaluate.python import Facts, Result, Unknown, evaluate
from engine.expr import Expr, IfElse, Literal, Reason
from engine.kinds import LABELS, UNDETERMINED, WITH_MEASURES
from engine.model import Citation, Field, Output, Provision, Text
from engine.types import Kind
from engine.values import Value, decimal_text, percent_text, round_half_up, yuan_text


@dataclass(frozen=True, slots=True)
class OtherReading:
    """What the outcome would be if the text were read the other way."""

    reading: str
    number: int
    point: Text
    chosen: Text
    other: Text
    why: Text
    outcome: Outcome
    variant: Provision


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one provision comes to for one subject.

    `values` holds what goes with the status, in engine units (money in fen, ratios where 1 is 100 %,
    dates): `amount`, `rate`, `amount_max`, `due_date`, … `missing` are the facts whose value would
    decide an undetermined outcome; `reasons` say why no fact would help (a division by zero, a
    parameter without a value on that date). `unrounded` keeps amounts before rounding to the fen.
    """

    provision: str
    status: str
    values: Mapping[str, Value] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    measures: tuple[Text, ...] = ()
    citation: Citation = field(default_factory=lambda: Citation("", "", ""))
    summary: Text = field(default_factory=lambda: Text(""))
    subject: str = ""
    as_of: date | None = None
    notices: tuple[Text, ...] = ()
    read_as: Text | None = None
    readings: tuple[OtherReading, ...] = ()
    unrounded: Mapping[str, Value] = field(default_factory=dict)
    trace: Any = None
    pack: str = ""
    pack_version: str = ""
    pack_digest: str = ""

    @property
    def amount(self) -> str | None:
        """Yuan with two decimals, an exact decimal text: `200000.00`."""
        return self._yuan("amount")

    @property
    def amount_max(self) -> str | None:
        return self._yuan("amount_max")

    @property
    def due_date(self) -> str | None:
        """The due date in ISO form."""
        found = self.values.get("due_date")
        return found.isoformat() if isinstance(found, date) else None

    @property
    def rate(self) -> str | None:
        """A rate in percentage points, an exact decimal text: `10`."""
        found = self.values.get("rate")
        return None if found is None or isinstance(found, (str, date)) else percent_text(found)

    def _yuan(self, name: str) -> str | None:
        found = self.values.get(name)
        return None if found is None or isinstance(found, (str, date)) else yuan_text(found)

    def same_as(self, other: Outcome) -> bool:
        """Whether two outcomes say the same of their subject."""
        return (self.status, dict(self.values), self.measures) == (other.status, dict(other.values), other.measures)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: text, numbers as exact decimal text, dates in ISO form."""
        from engine.trace import trace_dict

        found: dict[str, Any] = {
            "provision": self.provision,
            "subject": self.subject,
            "status": self.status,
            "status_label": {"zh": LABELS[self.status].zh, "en": LABELS[self.status].en},
        }
        for name in ("amount", "amount_max", "due_date"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        if self.rate is not None:
            found["rate_percent"] = self.rate
        for name, value in self.values.items():
            if name not in ("amount", "amount_max", "due_date", "rate"):
                found.setdefault("values", {})[name] = plain_value(value)
        if self.measures:
            found["measures"] = [{"zh": item.zh, "en": item.en} for item in self.measures]
        found |= {
            "missing": list(self.missing),
            "reasons": [{"zh": item.zh, "en": item.en} for item in self.reasons],
            "citation": {
                "document": self.citation.document,
                "plan": self.citation.plan,
                "path": self.citation.path,
                "also_at": list(self.citation.also_at),
                "summary": {"zh": self.summary.zh, "en": self.summary.en},
            },
            "readings": [
                {
                    "reading": item.reading,
                    "number": item.number,
                    "point": {"zh": item.point.zh, "en": item.point.en},
                    "chosen": {"zh": item.chosen.zh, "en": item.chosen.en},
                    "other": {"zh": item.other.zh, "en": item.other.en},
                    "status": item.outcome.status,
                    "amount": item.outcome.amount,
                    "due_date": item.outcome.due_date,
                }
                for item in self.readings
            ],
            "reading_chosen": None if self.read_as is None else {"zh": self.read_as.zh, "en": self.read_as.en},
            "notices": [{"zh": item.zh, "en": item.en} for item in self.notices],
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "trace": trace_dict(self.trace) if self.trace is not None else None,
            "pack": {"id": self.pack, "version": self.pack_version, "digest": self.pack_digest},
        }
        return found


def plain_value(value: Value) -> Any:
    """A value for JSON: exact text for what JSON's numbers would blur."""
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    if isinstance(value, Fraction):
        text = decimal_text(value)
        return str(value) if text.endswith("…") else text  # a repeating decimal stays a fraction
    return value.isoformat() if isinstance(value, date) else str(value)


def names_of(provision: Provision, values: Mapping[str, Value | None], on: date | None) -> Facts:
    """The environment of one evaluation: facts with their defaults, parameters on a day, lets."""
    facts: dict[str, Value | None] = {}
    for name, of in provision.facts.items():
        given = values.get(name)
        facts[name] = of.default if given is None and of.default is not None and name not in values else given
    reasons: dict[str, Reason] = {}
    for name, parameter in provision.parameters.items():
        found = parameter.on(on) if on is not None else None
        if found is None:
            reasons[name] = Reason(
                f"参数“{parameter.label.zh}”在 {on or '未知日期'} 没有数值",
                f"the parameter {name} has no value on {on or 'an unknown date'}",
            )
        else:
            facts[name] = found
    return Facts(facts, {let.name: let.expr for let in provision.lets}, reasons)


def assess(provision: Provision, values: Mapping[str, Value | None], on: date | None = None) -> Outcome:
    """The outcome by the reference evaluator; `on` is the day whose parameters apply.

    Unknown facts (None or absent) flow through; an outcome they leave open is `undetermined` and
    lists those that would decide it. Errors: `calendar-gap` (`EvaluationError`).
    """
    names = names_of(provision, values, on)
    status = evaluate(provision.status, names)
    found: dict[str, Value] = {}
    unrounded: dict[str, Value] = {}
    undecided: Unknown | None = None
    if isinstance(status, Unknown):
        undecided, reachable = status, possible_statuses(provision.status, names)
    else:
        assert isinstance(status, str)
        reachable = {status}
    for output in provision.outputs:
        if output.statuses is not None and not output.statuses & reachable:
            continue
        result = _output(output, names)
        if isinstance(result, Unknown):
            if output.required and output.statuses is not None:
                undecided = result if undecided is None else undecided | result
        elif undecided is None or output.statuses is None:
            found[output.name], exact = _rounded(output, result)
            unrounded.pop(output.name, None)  # of an output this one stands in for
            if exact is not None:
                unrounded[output.name] = exact
    if status in WITH_MEASURES:
        for measure in provision.measures:
            held = evaluate(measure.condition, names) if measure.condition is not None else True
            if isinstance(held, Unknown):
                undecided = held if undecided is None else undecided | held
    if undecided is not None:
        missing = _asked(provision.facts, undecided.missing, names)
        always_shown = {output.name for output in provision.outputs if output.statuses is None}
        return Outcome(
            provision.id,
            UNDETERMINED,
            {k: v for k, v in found.items() if k in always_shown},
            missing=missing,
            reasons=() if missing else tuple(sorted(undecided.reasons)),
            citation=provision.citation,
            summary=provision.summary,
        )
    assert isinstance(status, str)
    return Outcome(
        provision.id,
        status,
        found,
        measures=_measures(provision, status, names),
        citation=provision.citation,
        summary=provision.summary,
        unrounded=unrounded,
    )


def _output(output: Output, names: Facts) -> Result:
    try:
        return evaluate(output.expr, names)
    except EvaluationError:
        if output.required:
            raise
        return Unknown()


def _rounded(output: Output, value: Value) -> tuple[Value, Value | None]:
    """Money to the fen, half up, with the exact value where that changed it."""
    if output.expr.type.kind is not Kind.MONEY or isinstance(value, (bool, str, date)):
        return value, None
    fen = round_half_up(value)
    return fen, (value if fen != value else None)


def possible_statuses(expr: Expr, names: Facts) -> set[str]:
    """The statuses that are still open while some facts are unknown."""
    match expr:
        case IfElse(condition, then, other):
            test = evaluate(condition, names)
            if isinstance(test, Unknown):
                return possible_statuses(then, names) | possible_statuses(other, names)
            return possible_statuses(then if test else other, names)
        case Literal(str() as status):
            return {status}
    value = evaluate(expr, names)
    return {value} if isinstance(value, str) else set(expr.type.values or ())


def _asked(facts: Mapping[str, Field], missing: frozenset[str], names: Facts) -> tuple[str, ...]:
    """The missing facts that somebody would be asked for now."""

    def is_asked(name: str) -> bool:
        of = facts.get(name)
        if of is None or of.asked_when is None:
            return True
        return evaluate(of.asked_when, names) is True

    return tuple(sorted(name for name in missing if is_asked(name)))


def _measures(provision: Provision, status: str, names: Facts) -> tuple[Text, ...]:
    if status not in WITH_MEASURES:
        return ()
    return tuple(
        measure.text
        for measure in provision.measures
        if measure.condition is None or evaluate(measure.condition, names) is True
    )


def other_readings(
    provision: Provision, values: Mapping[str, Value | None], on: date | None, outcome: Outcome
) -> tuple[OtherReading, ...]:
    """The declared readings under which this outcome would be another one."""
    if outcome.status == UNDETERMINED:
        return ()
    found: list[OtherReading] = []
    for reading in provision.readings:
        for number, alternative in enumerate(reading.alternatives, 2):
            if alternative.variant is None:
                continue
            other = assess(alternative.variant, values, on)
            if not other.same_as(outcome):
                found.append(
                    OtherReading(
                        reading.id,
                        number,
                        reading.point,
                        reading.chosen,
                        alternative.text,
                        reading.why,
                        replace(other, readings=()),
                        alternative.variant,
                    )
                )
    return tuple(found)


def total(outcomes: Sequence[Outcome]) -> Value:
    """The sum of the amounts of outcomes, in fen."""
    return sum(value for outcome in outcomes if isinstance(value := outcome.values.get("amount", 0), int))

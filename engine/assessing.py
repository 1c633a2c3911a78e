"""`pack.evaluate`: raw inputs in, an explained outcome out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from engine.errors import FactError, Problem, nearest
from engine.load import Pack
from engine.model import Field, Provision, Text
from engine.outcome import Outcome, assess, other_readings
from engine.source import Location
from engine.trace import trace_outcome
from engine.values import Unreadable, Value, is_unknown_text, read_date, read_value, value_text


def read_inputs(provision: Provision, inputs: Mapping[str, Any]) -> dict[str, Value | None]:
    """Raw inputs as typed values; None and blanks are unknown.

    Errors (`FactError`, all at once): `unknown-fact`, `bad-fact`.
    """
    problems: list[Problem] = []
    found: dict[str, Value | None] = {}
    for name, raw in inputs.items():
        field = provision.facts.get(name)
        place = Location(path=str(name))
        if field is None:
            problems.append(
                Problem(
                    "unknown-fact",
                    place,
                    {
                        "provision": provision.id,
                        "name": name,
                        "known": list(provision.facts),
                        "suggestion": nearest(str(name), provision.facts) or "",
                    },
                )
            )
            continue
        try:
            found[name] = read_input(field, raw)
        except Unreadable as error:
            problems.append(Problem("bad-fact", place, {"name": name, "reason_zh": error.zh, "reason_en": error.en}))
    if problems:
        raise FactError(problems)
    return found


def read_input(field: Field, raw: Any) -> Value | None:
    """One raw input as the field's value, within its bounds. Errors: `Unreadable`."""
    if raw is None or (isinstance(raw, str) and is_unknown_text(raw) and not _is_choice(field, raw)):
        return None
    try:
        value = read_value(raw, field.type, field.unit, field.spellings() or None)
    except Unreadable as error:
        if error.code == "not-a-choice":
            choices = [f"{choice.value} {choice.label.zh}" for choice in field.choices]
            close = nearest(str(raw), [choice.value for choice in field.choices])
            hint_zh, hint_en = (f"；是不是 `{close}`？", f"; did you mean `{close}`?") if close else ("", "")
            raise Unreadable(
                error.code,
                f"{error.zh}（{'、'.join(choices)}）{hint_zh}",
                f"{error.en} ({', '.join(choices)}){hint_en}",
            ) from None
        raise
    check_bounds(field, value)
    return value


def _is_choice(field: Field, raw: str) -> bool:
    from engine.values import fold

    return fold(raw) in field.spellings()


def check_bounds(field: Field, value: Value) -> None:
    """Errors: `Unreadable` where a value lies outside the field's declared bounds."""
    low, high = field.minimum, field.maximum
    if low is not None and value < low:  # type: ignore[operator]
        text = value_text(low, field.type)
        raise Unreadable(
            "below-minimum",
            f"{value_text(value, field.type)} 小于下限 {text}",
            f"{value_text(value, field.type, 'en')} is below the least value {text}",
        )
    if high is not None and value > high:  # type: ignore[operator]
        text = value_text(high, field.type)
        raise Unreadable(
            "above-maximum",
            f"{value_text(value, field.type)} 大于上限 {text}",
            f"{value_text(value, field.type, 'en')} is above the greatest value {text}",
        )


def read_as_of(as_of: date | str | None) -> date | None:
    """Errors (`FactError`): `bad-as-of`."""
    if as_of is None or isinstance(as_of, date):
        return as_of
    try:
        return read_date(as_of)
    except Unreadable:
        raise FactError(Problem("bad-as-of", fields={"value": as_of})) from None


def choose_reading(provision: Provision, readings: Mapping[str, int] | None) -> Provision:
    """The provision as read under the chosen readings: `{"1": 2}` takes reading 1's second text.

    Errors (`FactError`): `unknown-reading`. One variant at a time: a second choice is refused.
    """
    chosen = {name: number for name, number in (readings or {}).items() if number != 1}
    if not chosen:
        return provision
    (name, number), *more = chosen.items()
    reading = next((item for item in provision.readings if item.id == name), None)
    known = [
        f"{item.id}={number}"
        for item in provision.readings
        for number, other in enumerate(item.alternatives, 2)
        if other.variant is not None
    ]
    if (
        more
        or reading is None
        or not 2 <= number < 2 + len(reading.alternatives)
        or (variant := reading.alternatives[number - 2].variant) is None
    ):
        raise FactError(
            Problem(
                "unknown-reading",
                fields={
                    "provision": provision.id,
                    "reading": ", ".join(f"{k}={v}" for k, v in chosen.items()),
                    "known": known,
                },
            )
        )
    return variant


def given_values(
    pack: Pack, provision: Provision, values: Mapping[str, Value | None], as_of: date | None
) -> dict[str, Value | None]:
    """The values with the day of assessment as the fact that asks for it, where that was not given."""
    given = dict(values)
    day_fact = pack.deadline.as_of
    if as_of is not None and day_fact in provision.facts and given.get(day_fact) is None:
        given[day_fact] = as_of
    return given


def assess_case(
    pack: Pack,
    provision: Provision,
    values: Mapping[str, Value | None],
    as_of: date | None = None,
    subject: str = "",
    explained: bool = True,
) -> Outcome:
    """The outcome for typed values, with its pack, its date and, where wanted, trace and other readings."""
    on = as_of or pack.reference_date
    given = given_values(pack, provision, values, as_of)
    outcome = assess(provision, given, on)
    outcome = replace(
        outcome,
        subject=subject,
        as_of=as_of,
        pack=pack.id,
        pack_version=pack.version,
        pack_digest=pack.digest,
        notices=_notices(provision, as_of),
        read_as=provision.read_as,
    )
    if not explained:
        return outcome
    return replace(
        outcome,
        readings=other_readings(provision, given, on, outcome),
        trace=trace_outcome(provision, given, on, outcome),
    )


def _notices(provision: Provision, as_of: date | None) -> tuple[Text, ...]:
    """What an officer should know beside the outcome: the provision is not in force on that day."""
    start, end = provision.in_force
    if as_of is None or ((start is None or start <= as_of) and (end is None or as_of <= end)):
        return ()
    span = f"{start or '…'} — {end or '…'}"
    return (Text(f"基准日 {as_of} 不在条款适用期 {span} 内", f"{as_of} lies outside the provision's period {span}"),)


def evaluate_provision(
    pack: Pack,
    identity: str,
    inputs: Mapping[str, Any],
    as_of: date | str | None = None,
    readings: Mapping[str, int] | None = None,
    subject: str = "",
) -> Outcome:
    """What a provision comes to for raw inputs: an explained outcome.

    Inputs: names as in the provision; text with or without units, numbers, booleans, dates; None is
    unknown. `as_of` is the day of assessment. Errors: `PackError` (`unknown-provision`), `FactError`
    (every unreadable input), `EvaluationError` (`calendar-gap`).
    """
    provision = pack.provision(identity)
    values = read_inputs(provision, inputs)
    return assess_case(pack, choose_reading(provision, readings), values, read_as_of(as_of), subject)

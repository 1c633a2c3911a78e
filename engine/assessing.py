"""`pack.evaluate`: raw inputs in, an explained outcome out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from engine.errors import FactError, Problem
from engine.inputs import read_as_of, read_inputs
from engine.load import Pack
from engine.model import Provision, Text
from engine.outcome import Outcome, assess, other_readings
from engine.trace import trace_outcome
from engine.values import Value


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

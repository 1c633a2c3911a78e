"""Raw inputs as the values of facts: text with or without units, numbers, booleans, dates; blanks are unknown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from engine.errors import FactError, Problem, nearest
from engine.model import Field, Provision
from engine.source import Location
from engine.values import Unreadable, Value, fold, is_unknown_text, read_date, read_value, value_text


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
    _check_bounds(field, value)
    return value


def _is_choice(field: Field, raw: str) -> bool:
    return fold(raw) in field.spellings()


def _check_bounds(field: Field, value: Value) -> None:
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

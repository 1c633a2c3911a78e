"""A case that shows something: facts, the outcome they have, and the worked case they make.

What a prover names is only believed once the reference evaluator has been asked; a `Witness` holds
its answer. `case_text` writes it as an entry of a pack's `cases/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from engine.dataclass import dataclass
from engine.errors import EvaluationError
from engine.model import Field, Provision
from engine.outcome import Outcome, assess
from engine.types import Kind
from engine.values import Value, decimal_text, is_unknown_text, percent_text, yuan_text


@dataclass(frozen=True, slots=True)
class Witness:
    """One case of a provision as the reference evaluator sees it.

    `outcome` is None where the evaluation stops (a date beyond the calendar); `on` is the day whose
    parameters apply, None where that is the pack's own day; `reading` the reading and its number where it
    is not the chosen one.
    """

    provision: Provision
    values: Mapping[str, Value | None]
    outcome: Outcome | None
    on: date | None = None
    reading: tuple[str, int] | None = None


def witness(
    provision: Provision,
    values: Mapping[str, Value | None],
    on: date | None,
    shown_on: date | None = None,
    reading: tuple[str, int] | None = None,
) -> Witness:
    """The case assessed by the reference evaluator; `shown_on` is the day to write into the worked case."""
    own = {name: values.get(name) for name in provision.facts}
    try:
        outcome: Outcome | None = assess(provision, own, on)
    except (EvaluationError, ValueError, OverflowError):
        outcome = None
    return Witness(provision, own, outcome, shown_on, reading)


def input_text(field: Field, value: Value | None) -> str:
    """A fact as a worked case writes it, with its unit, so that it can mean one thing only."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return value if field.type.kind is Kind.ENUM and _is_plain(value) else quoted(value)
    if field.type.kind is Kind.MONEY:
        return money_input(value)
    if field.type.kind is Kind.RATIO:
        return f"{percent_text(value)}%"
    return decimal_text(value)


def money_input(fen: Value) -> str:
    """Fen as yuan with their unit, in 万元 where that is shorter."""
    assert isinstance(fen, int), "money in a case is whole fen"
    if fen and fen % 10**10 == 0:
        return f"{fen // 10**10}亿元"
    if fen and fen % 10**6 == 0:
        return f"{fen // 10**6}万元"
    return f"{fen // 100}元" if fen % 100 == 0 else f"{yuan_text(fen)}元"


def _is_plain(text: str) -> bool:
    """Whether YAML reads the text back as the same text without quotes."""
    reserved = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    return text.isidentifier() and text.casefold() not in reserved and not is_unknown_text(text)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def expected_text(outcome: Outcome) -> str:
    """What a worked case expects of an outcome, in YAML's flow style."""
    parts = [f"status: {outcome.status}"]
    if outcome.missing:
        parts.append(f"missing: [{', '.join(outcome.missing)}]")
    for name in ("amount", "amount_max", "due_date"):
        found = getattr(outcome, name)
        if found is not None:
            parts.append(f"{name}: {quoted(found)}")
    if outcome.rate is not None and not outcome.rate.endswith("…"):
        parts.append(f"rate_percent: {quoted(outcome.rate)}")
    return "{" + ", ".join(parts) + "}"


def inputs_text(provision: Provision, values: Mapping[str, Value | None]) -> str:
    """The facts of a case in YAML's flow style; unknown ones are left out where that means the same."""
    parts = [
        f"{name}: {input_text(field, values.get(name))}"
        for name, field in provision.facts.items()
        if values.get(name) is not None or field.default is not None
    ]
    return "{" + ", ".join(parts) + "}"


def case_text(found: Witness, label: str, why: str = "") -> str:
    """An entry for a pack's `cases/`, ready to be read by a person and kept."""
    lines = [
        f"- provision: {found.provision.id}",
        f"  case: {quoted(label)}",
        f"  inputs: {inputs_text(found.provision, found.values)}",
    ]
    if found.on is not None:
        lines.append(f"  as_of: {found.on.isoformat()}")
    if found.reading is not None:
        lines.append(f"  reading: {{{quoted(found.reading[0])}: {found.reading[1]}}}")
    if found.outcome is not None:
        lines.append(f"  expect: {expected_text(found.outcome)}")
    if why:
        lines.append(f"  why: {quoted(why)}")
    return "\n".join(lines)

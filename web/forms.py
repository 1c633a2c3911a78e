"""Fields of a pack → form controls, and what was typed → typed values.

A control says what it understood (`1000万元` is read as 10,000,000.00元), so that a wrong unit is seen
at once. A blank is unknown; a field that nobody asks for now is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from engine.errors import Lang
from engine.evaluate.python import Facts, evaluate
from engine.expr import Literal, Name, walk
from engine.inputs import read_input
from engine.model import Field, Provision, Text
from engine.outcome import names_of
from engine.types import Kind
from engine.values import Number, Unreadable, Value, decimal_text, unit_text, value_text

MAX_TYPED = 2_000
_UNITS = {Kind.MONEY: "元", Kind.RATIO: "%"}
_MONEY_EN = {"元": "yuan", "万元": "× 10,000 yuan"}
_EXAMPLES = {
    Kind.MONEY: Text("如 1000万元 或 1200.50", "as in 1000万元 or 1200.50"),
    Kind.RATIO: Text("如 85%", "as in 85%"),
}


@dataclass(frozen=True, slots=True)
class Control:
    """One field of a form with what was typed into it.

    `echo` is the value as read, `error` why it could not be; `asked` tells whether it is needed now.
    """

    name: str
    kind: str
    label: str
    unit: str
    choices: tuple[tuple[str, str], ...]
    help: str
    example: str
    typed: str
    echo: str
    error: str
    asked: bool
    required: bool
    default: str


def read_typed(
    fields: Mapping[str, Field], typed: Mapping[str, str], lang: Lang
) -> tuple[dict[str, Value | None], dict[str, str]]:
    """The values that could be read, and for each of the others what is wrong with it."""
    values: dict[str, Value | None] = {}
    errors: dict[str, str] = {}
    for name, field in fields.items():
        text = typed.get(name, "")[:MAX_TYPED].strip()
        if not text:
            continue
        try:
            values[name] = read_input(field, text)
        except Unreadable as error:
            errors[name] = error.zh if lang == "zh" else error.en
    return values, errors


def controls(
    fields: Mapping[str, Field],
    typed: Mapping[str, str],
    values: Mapping[str, Value | None],
    errors: Mapping[str, str],
    names: Facts,
    lang: Lang,
    prefix: str = "",
) -> list[Control]:
    """The controls of a form; `names` decides which fields are asked for."""
    return [
        _control(
            field,
            typed.get(name, ""),
            values.get(name),
            errors.get(name, ""),
            _is_asked(field, names),
            lang,
            prefix + name,
        )
        for name, field in fields.items()
    ]


def provision_controls(
    provision: Provision,
    typed: Mapping[str, str],
    values: Mapping[str, Value | None],
    errors: Mapping[str, str],
    on: date | None,
    lang: Lang,
) -> list[Control]:
    return controls(provision.facts, typed, values, errors, names_of(provision, values, on), lang)


def _is_asked(field: Field, names: Facts) -> bool:
    return field.asked_when is None or evaluate(field.asked_when, names) is True


def _control(field: Field, typed: str, value: Value | None, error: str, asked: bool, lang: Lang, name: str) -> Control:
    kind = field.type.kind
    unit = field.unit or _UNITS.get(kind, "") if kind in (Kind.MONEY, Kind.RATIO, Kind.QUANTITY) else ""
    if lang == "en":
        unit = _MONEY_EN.get(unit) or unit_text(unit, lang, 2).strip()
    help_text = field.note.get(lang) if field.note is not None else ""
    if asked and field.asked_when is not None and not help_text:
        help_text = ""
    default = "" if field.default is None else _shown(field, field.default, lang)
    return Control(
        name,
        kind.value,
        field.label.get(lang),
        unit,
        tuple((choice.value, choice.label.get(lang)) for choice in field.choices),
        help_text,
        _EXAMPLES[kind].get(lang) if kind in _EXAMPLES else "",
        typed[:MAX_TYPED],
        _echo(field, typed, value, lang),
        error,
        asked,
        field.required,
        default,
    )


def _echo(field: Field, typed: str, value: Value | None, lang: Lang) -> str:
    """The value as read, where it does not look like what was typed; money also in 万元."""
    if value is None or field.type.kind in (Kind.ENUM, Kind.BOOLEAN, Kind.TEXT, Kind.DATE):
        return ""
    assert isinstance(value, (int, Fraction))
    number: Number = value
    shown = _shown(field, number, lang)
    if field.type.kind is Kind.MONEY and abs(Fraction(number)) >= 1_000_000:
        shown += f"（{_ten_thousands(number)}万元）" if lang == "zh" else f" ({_ten_thousands(number)} × 10,000 yuan)"
    return "" if shown == typed.strip() else shown


def _ten_thousands(fen: Number) -> str:
    return decimal_text(Fraction(fen) / 1_000_000)


def _shown(field: Field, value: Value, lang: Lang) -> str:
    if isinstance(value, str) and field.choices:
        return field.choice_label(value, lang)
    return value_text(value, field.type, lang)


def written(field: Field, value: Value) -> str:
    """A value as one would type it into the field's control."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, date)):
        return str(value)
    match field.type.kind:
        case Kind.MONEY:
            text = decimal_text(Fraction(value) / 100)
            return f"{text}元"
        case Kind.RATIO:
            return f"{decimal_text(Fraction(value) * 100)}%"
    return decimal_text(value)


def reads(provision: Provision, name: str) -> bool:
    """Whether the outcome can depend on a fact at all."""
    exprs = [provision.status, *(output.expr for output in provision.outputs), *(let.expr for let in provision.lets)]
    return any(
        isinstance(node, Name) and node.name == name
        for expr in exprs
        for node in walk(expr)
        if not isinstance(node, Literal)
    )

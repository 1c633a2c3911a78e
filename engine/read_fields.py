"""Fields and parameters of a pack: YAML → `Field`, `Parameter`."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from datetime import date

from engine.check import Scope, check
from engine.errors import PackError, Problem
from engine.model import Choice, Field, Parameter, Text
from engine.reader import Reader
from engine.types import BOOLEAN, Kind, Type
from engine.values import Unreadable, Value, read_value, scale_of_unit
from engine.yamltree import Mapping, Node, Scalar

FIELD_KEYS = ("type", "zh", "en", "unit", "values", "aliases", "min", "max", "default", "optional", "asked_when",
              "note")  # fmt: skip
PARAMETER_KEYS = ("type", "zh", "en", "unit", "values", "citation")

FIELD_TYPES = {
    "boolean": Type(Kind.BOOLEAN), "money": Type(Kind.MONEY), "percent": Type(Kind.RATIO),
    "integer": Type(Kind.QUANTITY, integer=True), "decimal": Type(Kind.QUANTITY), "date": Type(Kind.DATE),
    "enum": Type(Kind.ENUM), "text": Type(Kind.TEXT),
}  # fmt: skip

# Bounds of a fact that declares none: one hundred trillion yuan, a million percent, a trillion of anything.
_BOUNDS: dict[Kind, tuple[Value, Value]] = {
    Kind.MONEY: (0, 10**14 * 100), Kind.RATIO: (0, 10**4), Kind.QUANTITY: (0, 10**12),
}  # fmt: skip


def read_field(name: str, node: Node, problems: list[Problem]) -> Field:
    """One fact. A plain text is short for a yes/no fact with that Chinese label."""
    label_en = name.replace("_", " ")
    if isinstance(node, Scalar):
        return Field(name, BOOLEAN, Text(node.text, label_en), at=node.at)
    if not isinstance(node, Mapping):
        Reader(Mapping((), node.at), f"fact {name}", problems).shape(node, "键值表", "a mapping")
        return Field(name, BOOLEAN, Text(name, label_en), at=node.at)
    reader = Reader(node, f"fact {name}", problems, FIELD_KEYS)
    of, unit = _type(reader)
    choices = _choices(reader) if of.kind is Kind.ENUM else ()
    if of.kind is Kind.ENUM:
        of = Type(Kind.ENUM, values=tuple(choice.value for choice in choices))
    low, high = _BOUNDS.get(of.kind, (None, None))
    field = Field(
        name,
        of,
        Text(reader.text("zh", name), reader.text("en", label_en)),
        unit=unit,
        required=reader.text("optional") not in ("true", "yes"),
        choices=choices,
        aliases=reader.texts("aliases"),
        note=reader.words("note") if reader.has("note") else None,
        at=node.at,
    )
    minimum = _bound(reader, "min", field, low)
    maximum = _bound(reader, "max", field, high)
    default = _bound(reader, "default", field, None)
    asked = reader.expression(node.get("asked_when")) if reader.has("asked_when") else None
    return Field(
        name,
        of,
        field.label,
        unit,
        field.required,
        default,
        asked,
        choices,
        field.aliases,
        minimum,
        maximum,
        field.note,
        node.at,
    )


def _type(reader: Reader) -> tuple[Type, str | None]:
    word = reader.text("type", "boolean")
    unit = reader.text("unit") or None
    of = FIELD_TYPES.get(word)
    if of is None:
        reader.report(
            "bad-value",
            reader.at("type"),
            value=word,
            expected=f"类型（{'、'.join(FIELD_TYPES)}）",
            expected_en=f"a type ({', '.join(FIELD_TYPES)})",
        )
        return BOOLEAN, None
    if of.kind is Kind.MONEY:
        unit = unit or "元"
        if scale_of_unit(unit) is None:
            reader.report("bad-value", reader.at("unit"), value=unit, expected="金额单位", expected_en="a money unit")
            unit = "元"
    elif of.kind is Kind.RATIO:
        unit = unit or "%"
        if unit not in ("%", "‰", "1"):
            reader.report("bad-value", reader.at("unit"), value=unit, expected="% 或 ‰", expected_en="% or ‰")
            unit = "%"
    elif of.kind is Kind.QUANTITY:
        of = Type(Kind.QUANTITY, unit, of.integer)
    return of, unit


def _choices(reader: Reader) -> tuple[Choice, ...]:
    node = reader.need("values")
    if isinstance(node, Mapping):
        found = []
        for key, value in node:
            english = key.text.replace("_", " ")
            if isinstance(value, Mapping):
                inner = Reader(value, reader.where, reader.problems, ("zh", "en", "aliases"))
                found.append(
                    Choice(
                        key.text, Text(inner.text("zh", key.text), inner.text("en", english)), inner.texts("aliases")
                    )
                )
            else:
                found.append(Choice(key.text, Text(reader.scalar(value, key.text) or key.text, english)))
        return tuple(found)
    return tuple(Choice(text, Text(text, text.replace("_", " "))) for text in reader.texts("values"))


def _bound(reader: Reader, key: str, field: Field, fallback: Value | None) -> Value | None:
    if not reader.has(key):
        return fallback
    text = reader.text(key)
    if text == "none":
        return None
    return read_typed(reader, key, text, field.type, field.unit, field.spellings())


def read_typed(
    reader: Reader, key: str, text: str, of: Type, unit: str | None, names: MappingType[str, str] | None = None
) -> Value | None:
    """A value in a pack, read by the same rules as a value in a form."""
    try:
        return read_value(text, of, unit, names or None)
    except Unreadable as error:
        reader.report(
            "bad-value",
            reader.at(key),
            value=text,
            expected=f"{of.zh}（{error.zh}）",
            expected_en=f"a {of} ({error.en})",
        )
        return None


def check_asked_when(fields: dict[str, Field], problems: list[Problem]) -> dict[str, Field]:
    """The same fields with their `asked_when` conditions checked against each other."""
    from dataclasses import replace

    scope = field_scope(fields)
    checked = dict(fields)
    for name, field in fields.items():
        if field.asked_when is not None:
            try:
                checked[name] = replace(field, asked_when=check(field.asked_when, scope, BOOLEAN, "asked_when"))
            except PackError as error:
                problems.extend(error.problems)
                checked[name] = replace(field, asked_when=None)
    return checked


def field_scope(fields: MappingType[str, Field]) -> Scope:
    return Scope({name: field.type for name, field in fields.items()}, dict.fromkeys(fields, "fact"))


def read_parameter(name: str, node: Node, problems: list[Problem]) -> Parameter:
    if not isinstance(node, Mapping):
        node_reader = Reader(Mapping((), node.at), f"parameter {name}", problems)
        node_reader.shape(node, "键值表", "a mapping")
        return Parameter(name, BOOLEAN, Text(name), ())
    reader = Reader(node, f"parameter {name}", problems, PARAMETER_KEYS)
    of, unit = _type(reader)
    values: list[tuple[date, Value]] = []
    if not reader.has("values"):
        reader.need("values")
    for key, value in reader.mapping("values"):
        start = reader.as_date(key)
        text = reader.scalar(value)
        try:
            read = read_value(text, of, unit)
        except Unreadable as error:
            reader.report(
                "bad-value", value.at, value=text, expected=f"{of.zh}（{error.zh}）", expected_en=f"a {of} ({error.en})"
            )
            continue
        if start is not None:
            values.append((start, read))
    values.sort(key=lambda pair: pair[0])
    return Parameter(
        name,
        of,
        Text(reader.text("zh", name), reader.text("en", name.replace("_", " "))),
        tuple(values),
        reader.text("citation"),
        unit,
        node.at,
    )

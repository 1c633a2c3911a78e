"""pydantic models and JSON Schema built from the fields of a pack: each field is described once.

A model's validators are the readers of `cells`, so a value in a call, a document and a spreadsheet is
read alike. Every fact may be unknown (`None`, blank, a dash); names that do not exist are refused.
This is the only module that imports pydantic; import it where it is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, create_model
from pydantic import Field as Described
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from engine.errors import Problem, nearest
from engine.model import Dossier, Field, RecordType
from engine.source import NOWHERE, Location
from engine.types import Kind
from engine.values import Unreadable, Value, fold
from facts.cells import reader_for
from facts.expected import in_unit, problem_for

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class FactReader:
    """The annotation that reads a raw value as a field's value and describes it in JSON Schema."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._read = reader_for(field)

    def read(self, raw: Any) -> Value | None:
        if isinstance(raw, (list, dict, set, bytes)):
            raise Unreadable("not-readable", f"`{raw!r}` 不是单个值", f"`{raw!r}` is not a single value")
        try:
            return self._read(raw, None)
        except TypeError:  # something that is no value at all, or cannot be hashed
            raise Unreadable("not-readable", f"`{raw!r}` 不是单个值", f"`{raw!r}` is not a single value") from None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return field_schema(self.field)


def model_for(name: str, fields: Mapping[str, Field]) -> type[BaseModel]:
    """A model of a provision's facts or of a record's row.

    Units: a bare number is in the field's declared unit; values come out in engine units.
    Unknown: every field is optional; an absent one is not in `model_fields_set`.
    """
    definitions: dict[str, Any] = {
        field.name: (Annotated[Any, FactReader(field)], Described(default=None)) for field in fields.values()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a fact may be called `copy` or `schema`
        config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), title=name)
        return create_model(name, __config__=config, **definitions)


def validate(
    model: type[BaseModel], fields: Mapping[str, Field], data: Mapping[str, Any], place: Location = NOWHERE
) -> tuple[dict[str, Value | None], list[Problem]]:
    """The typed values that were given, and every problem with the others at once.

    Errors: `unknown-field`, and those of `cells`.
    """
    try:
        found = model.model_validate(dict(data))
    except ValidationError as error:
        return {}, problems_of(error, fields, place)
    return {name: getattr(found, name) for name in fields if name in found.model_fields_set}, []


def problems_of(error: ValidationError, fields: Mapping[str, Field], place: Location = NOWHERE) -> list[Problem]:
    """A validation error of pydantic in our words."""
    problems = []
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        at = Location(place.file, place.line, place.column, place.sheet, place.cell,
                      f"{place.path}.{name}" if place.path else name)  # fmt: skip
        reason = detail.get("ctx", {}).get("error")
        if detail["type"] == "extra_forbidden":
            labels = {field.label.zh: field.name for field in fields.values()}
            known = list(fields)
            close = nearest(name, known) or labels.get(nearest(name, labels) or "")
            problems.append(Problem("unknown-field", at, {
                "record": error.title, "name": name, "known": known, "suggestion": close}))  # fmt: skip
        elif isinstance(reason, Unreadable) and name in fields:
            problems.append(problem_for(reason, detail["input"], fields[name], at))
        else:
            problems.append(Problem("facts-shape", at, {
                "what_zh": name or error.title, "what_en": name or error.title,
                "expected_zh": "对象", "expected_en": "a mapping"}))  # fmt: skip
    return problems


# JSON Schema


def json_schema(name: str, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a mapping of facts."""
    return {"$schema": DIALECT, **model_for(name, fields).model_json_schema()}


def dossier_schema(dossier: Dossier) -> dict[str, Any]:
    """The JSON Schema of one case of a dossier: the subject and the rows around it."""
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {
        "dossier": {"const": dossier.id},
        "as_of": {"type": "string", "format": "date", "title": "基准日", "description": "assessment date"},
        "case": {"type": "string", "title": "案例名", "description": "label of the case"},
    }
    for record in dossier.records.values():
        definitions[record.name] = _record_schema(record)
        row = {"$ref": f"#/$defs/{record.name}"}
        properties[record.name] = row if record.name == dossier.subject else {"type": "array", "items": row}
    return {
        "$schema": DIALECT, "title": dossier.label.zh, "description": dossier.label.en or dossier.id,
        "type": "object", "properties": properties, "required": ["dossier", dossier.subject],
        "additionalProperties": False, "$defs": definitions,
    }  # fmt: skip


def _record_schema(record: RecordType) -> dict[str, Any]:
    schema = model_for(record.name, record.fields).model_json_schema()
    return {**schema, "title": record.label.zh, "description": record.label.en or record.name}


def field_schema(field: Field) -> dict[str, Any]:
    """One field: title and description in Chinese and English, its values, unit, format and bounds."""
    description = [field.label.en or field.name]
    if field.note is not None:
        description += [text for text in (field.note.zh, field.note.en) if text]
    schema: dict[str, Any] = {"title": field.label.zh or field.name, "description": "; ".join(description)}
    if field.unit:
        schema["x-unit"] = field.unit
    match field.type.kind:
        case Kind.BOOLEAN:
            schema["anyOf"] = [{"type": "boolean"}, {"enum": ["是", "否", "yes", "no"]}, {"type": "null"}]
        case Kind.ENUM:
            values = [choice.value for choice in field.choices] or list(field.type.values or ())
            schema["enum"] = [*values, *_other_spellings(field, values), None]
            schema["x-choices"] = {
                choice.value: {"zh": choice.label.zh, "en": choice.label.en} for choice in field.choices
            }
        case Kind.DATE:
            schema["anyOf"] = [{"type": "string", "format": "date"}, {"type": "null"}]
            schema |= {f"x-{name}": str(value) for name, value in _limits(field).items()}
        case Kind.TEXT:
            schema["type"] = ["string", "null"]
        case _:
            number = "integer" if field.type.integer else "number"
            schema["anyOf"] = [{"type": number, **_limits(field)}, {"type": "string"}, {"type": "null"}]
            if field.type.kind is Kind.MONEY:
                schema["examples"] = ["1000万元", "1,200.50"]
            elif field.type.kind is Kind.RATIO:
                schema["examples"] = ["85%"]
    return schema


def _other_spellings(field: Field, values: list[str]) -> list[str]:
    seen = {fold(value) for value in values}
    found = []
    for choice in field.choices:
        for text in (choice.label.zh, choice.label.en, *choice.aliases):
            if text and fold(text) not in seen:
                seen.add(fold(text))
                found.append(text)
    return found


def _limits(field: Field) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in (("minimum", field.minimum), ("maximum", field.maximum)):
        if value is not None:
            found[name] = in_unit(value, field) if isinstance(value, (int, Fraction)) else value
    return found

"""Related facts given one by one, in a form or a call → a case, assessed by the reference evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import BaseModel

from engine.checking import check_submission
from engine.dossier import DossierOutcome
from engine.errors import FactError, Problem
from engine.load import Pack
from engine.model import Case, Dossier, RecordType, Row
from engine.source import Location
from engine.values import Value
from facts.models import model_for, validate

MAX_ROWS = 500


@dataclass(frozen=True, slots=True)
class _Table:
    dossier: str
    record: str
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Submission:
    cases: tuple[Case, ...]
    tables: tuple[_Table, ...]
    flat: tuple[Any, ...] = ()


def assess_case_of(
    pack: Pack, dossier: Dossier, case: Case, as_of: date | None, given: Mapping[str, frozenset[str]] | None = None
) -> DossierOutcome:
    """A case of which every field was asked for, or those in `given` by record.

    Errors: `EvaluationError` (`calendar-gap`).
    """
    tables = tuple(
        _Table(dossier.id, name, (given or {}).get(name, frozenset(record.fields)))
        for name, record in dossier.records.items()
    )
    checked = check_submission(pack, _Submission((case,), tables), as_of, "reference")
    if checked.problems:
        raise FactError(list(checked.problems))
    return checked.dossiers[dossier.id][0]


def make_case(
    dossier: Dossier, subject: Mapping[str, Value | None], related: Mapping[str, Sequence[Mapping[str, Value | None]]]
) -> Case:
    """A case of typed values; its rows carry the subject's key."""
    key = dossier.records[dossier.subject].key
    rows: list[Row] = []
    for name, values in related.items():
        for row in values:
            own = dict(row)
            if key is not None and key in dossier.records[name].fields and own.get(key) is None:
                own[key] = subject.get(key)
            rows.append(Row(name, own))
    return Case(dossier.id, Row(dossier.subject, dict(subject)), tuple(rows))


def read_case(dossier: Dossier, data: Mapping[str, Any]) -> Case:
    """A case as JSON: the subject as an object, each other record as a list of rows.

    Errors (`FactError`, all at once): `unknown-field`, `facts-shape`, those of cells, `unknown-record-name`.
    """
    problems: list[Problem] = []
    related: dict[str, list[dict[str, Value | None]]] = {}
    subject: dict[str, Value | None] = {}
    for name, value in data.items():
        record = dossier.records.get(name)
        if record is None:
            problems.append(
                Problem(
                    "unknown-record-name",
                    Location(path=name),
                    {"name": name, "dossier": dossier.id, "known": list(dossier.records), "suggestion": ""},
                )
            )
            continue
        rows = value if isinstance(value, list) and name != dossier.subject else [value]
        if len(rows) > MAX_ROWS:
            problems.append(_shape(name, f"至多 {MAX_ROWS} 行", f"at most {MAX_ROWS} rows"))
            continue
        for number, row in enumerate(rows):
            path = name if name == dossier.subject else f"{name}.{number}"
            if not isinstance(row, dict):
                problems.append(_shape(path, "对象", "a mapping"))
                continue
            values, found = validate(_model(record), record.fields, row, Location(path=path))
            problems += found
            if name == dossier.subject:
                subject = values
            else:
                related.setdefault(name, []).append(values)
    if dossier.subject not in data:
        label = dossier.records[dossier.subject].label
        problems.append(
            Problem(
                "case-without-subject", Location(path=dossier.subject), {"record": label.zh, "name": dossier.subject}
            )
        )
    if problems:
        raise FactError(problems)
    return make_case(dossier, subject, related)


def _shape(path: str, zh: str, en: str) -> Problem:
    return Problem(
        "facts-shape", Location(path=path), {"what_zh": path, "what_en": path, "expected_zh": zh, "expected_en": en}
    )


_MODELS: dict[int, tuple[RecordType, type[BaseModel]]] = {}


def _model(record: RecordType) -> type[BaseModel]:
    """The record's model, built once for each loaded record."""
    held = _MODELS.get(id(record))
    if held is None or held[0] is not record:
        if len(_MODELS) > 200:
            _MODELS.clear()
        held = _MODELS[id(record)] = (record, model_for(record.name, record.fields))
    return held[1]


__all__ = ["assess_case_of", "make_case", "read_case"]

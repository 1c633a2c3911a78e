"""Calculate: choose a matter, fill in its facts, see the result as you type."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from engine.assessing import assess_case
from engine.dossier import DossierOutcome, derive
from engine.errors import FactError, HeguiError, Lang
from engine.evaluate.python import Facts
from engine.explain import explain
from engine.inputs import read_as_of
from engine.load import Pack
from engine.model import Dossier, Provision, ProvisionKind, RecordType, Row
from engine.outcome import Outcome
from engine.output import write_xlsx
from engine.report import dossier_table, explain_dossier, flat_table
from engine.values import Value
from web import grid
from web.auth import Visitor
from web.context import language, library_of, needs, pack_of, state_of
from web.dossiers import assess_case_of, make_case
from web.forms import Control, controls, provision_controls, read_typed
from web.pages.base import fragment, remember_choices, render
from web.problems import ApiProblem
from web.views import default_day, dossier_view, result_view

router = APIRouter()
Viewer = Annotated[Visitor, Depends(needs("viewer"))]
MAX_ROWS = 40
_ROW = re.compile(r"([a-z_]+)\.(\d{1,2})\.([a-z_0-9]+)")


@router.get("/", response_class=HTMLResponse)
async def choose(request: Request, visitor: Viewer, q: str = "", plan: str = "", kind: str = "") -> HTMLResponse:
    """The matters one can calculate, by plan and kind."""
    remember_choices(request)
    library = library_of(request)
    kinds = {item.value for item in ProvisionKind} - {"parameter"}
    found = [
        provision
        for provision in library.find(q[:200], plan, kind if kind in kinds else "")
        if provision.kind is not ProvisionKind.PARAMETER
    ]
    return render(
        request,
        "home.html",
        visitor,
        q=q,
        plan=plan,
        kind=kind,
        kinds=[item for item in ProvisionKind if item.value in kinds],
        groups=list(library.by_plan(found)),
        plans=library.plans,
        count=len(found),
        dossiers=library.pack.dossiers.values() if not (q or plan or kind) else (),
    )


# One provision


@dataclass(frozen=True)
class Filled:
    """A form of one provision as filled in so far."""

    provision: Provision
    typed: dict[str, str]
    values: dict[str, Value | None]
    errors: dict[str, str]
    day: date
    day_error: bool
    subject: str


def fill(request: Request, identity: str) -> Filled:
    pack, lang = pack_of(request), language(request)
    provision = pack.provision(identity)
    typed = {name: request.query_params.get(name, "") for name in provision.facts}
    values, errors = read_typed(provision.facts, typed, lang)
    day, wrong = day_of(request)
    return Filled(provision, typed, values, errors, day, wrong, request.query_params.get("subject", "")[:100])


def day_of(request: Request) -> tuple[date, bool]:
    """The day of assessment that was asked for, or the proposed one; and whether what was typed is no day."""
    proposed = default_day(pack_of(request), state_of(request).settings.today())
    try:
        return read_as_of(request.query_params.get("day") or None) or proposed, False
    except FactError:
        return proposed, True


def assess_filled(pack: Pack, filled: Filled) -> Outcome:
    """Errors: `EvaluationError` (`calendar-gap`)."""
    return assess_case(pack, filled.provision, filled.values, filled.day, filled.subject)


@router.get("/calculate/{identity}", response_class=HTMLResponse)
async def calculate(request: Request, visitor: Viewer, identity: str) -> HTMLResponse:
    remember_choices(request)
    if identity in pack_of(request).dossiers:
        return _dossier_page(request, visitor, pack_of(request).dossiers[identity])
    filled = fill(request, identity)
    return render(
        request,
        "calculate.html",
        visitor,
        filled=filled,
        provision=filled.provision,
        controls=_controls(request, filled),
        **_result(request, filled),
    )


def _controls(request: Request, filled: Filled) -> list[Control]:
    return provision_controls(
        filled.provision, filled.typed, filled.values, filled.errors, filled.day, language(request)
    )


def _result(request: Request, filled: Filled) -> dict[str, Any]:
    pack, lang = pack_of(request), language(request)
    shared = {
        "day": filled.day,
        "errors": filled.errors,
        "query": request.url.query,
        "base": f"/calculate/{filled.provision.id}",
    }
    try:
        outcome = assess_filled(pack, filled)
    except HeguiError as error:
        return {**shared, "result": None, "failure": error.problems[0].message(lang)}
    return {**shared, "result": result_view(outcome, filled.provision, lang), "failure": ""}


@router.get("/calculate/{identity}/result")
async def result(request: Request, visitor: Viewer, identity: str) -> JSONResponse:
    """The result for the facts in the query, and how each of them was read."""
    dossier = pack_of(request).dossiers.get(identity)
    if dossier is not None:
        form = fill_dossier(request, dossier)
        html = fragment(request, "_dossier_result.html", visitor, **_dossier_result(request, form))
        return JSONResponse({"html": html, "fields": _field_notes(form.all_controls())})
    filled = fill(request, identity)
    html = fragment(request, "_result.html", visitor, **_result(request, filled))
    return JSONResponse({"html": html, "fields": _field_notes(_controls(request, filled))})


def _field_notes(found: list[Control]) -> dict[str, dict[str, Any]]:
    return {control.name: {"echo": control.echo, "error": control.error, "asked": control.asked} for control in found}


@router.get("/calculate/{identity}/file.{form}")
def save(request: Request, _: Viewer, identity: str, form: Literal["xlsx", "json", "txt"]) -> Response:
    """The result as a file: a workbook, the case and its outcome as data, or the reasoning as text."""
    pack, lang = pack_of(request), language(request)
    dossier = pack.dossiers.get(identity)
    if dossier is not None:
        return _save_dossier(request, pack, dossier, form, lang)
    filled = fill(request, identity)
    if filled.errors:
        raise ApiProblem("invalid-facts")
    outcome = assess_filled(pack, filled)
    lines = explain(outcome, filled.provision, lang)
    name = f"{filled.provision.label.get(lang)}{'-' + filled.subject if filled.subject else ''}"
    if form == "json":
        data = {
            "provision": identity,
            "as_of": filled.day.isoformat(),
            "case": filled.subject,
            "inputs": {name: text for name, text in filled.typed.items() if text},
        }
        return _json_file({"case": data, "outcome": outcome.to_dict()}, name)
    if form == "txt":
        return _text_file([*lines, _stamp(pack, filled.day, lang)], name)
    table = flat_table(pack, [outcome], [filled.subject or filled.provision.label.get(lang)], lang)
    return _workbook(request, [table], [*lines, _stamp(pack, filled.day, lang)], name, lang)


def _stamp(pack: Pack, day: date, lang: Lang) -> str:
    return (
        f"基准日 {day}；规则包 {pack.id} {pack.version}（{pack.digest[:12]}）"
        if lang == "zh"
        else f"assessed on {day}; rules {pack.id} {pack.version} ({pack.digest[:12]})"
    )


def _json_file(data: Any, name: str) -> Response:
    return grid.attachment(json.dumps(data, ensure_ascii=False, indent=2).encode(), "application/json", f"{name}.json")


def _text_file(lines: list[str], name: str) -> Response:
    return grid.attachment("\n".join(lines).encode("utf-8-sig"), "text/plain; charset=utf-8", f"{name}.txt")


def _workbook(request: Request, tables: list[Any], lines: list[str], name: str, lang: Lang) -> Response:
    with tempfile.TemporaryDirectory(dir=state_of(request).settings.data) as folder:
        path = Path(folder) / "result.xlsx"
        write_xlsx(path, tables, lines, lang)
        return grid.attachment(path.read_bytes(), grid.XLSX, f"{name}.xlsx")


# A dossier: a subject and what belongs to it


@dataclass(frozen=True)
class RowForm:
    """One row of a record with its controls; `prefix` begins the names of its fields."""

    prefix: str
    number: int
    controls: list[Control]


@dataclass(frozen=True)
class RecordForm:
    record: RecordType
    rows: list[RowForm]
    next: int


@dataclass(frozen=True)
class DossierForm:
    """A dossier's form as filled in so far."""

    dossier: Dossier
    subject: RowForm
    related: list[RecordForm]
    subject_values: dict[str, Value | None]
    related_values: dict[str, list[dict[str, Value | None]]]
    errors: dict[str, str]
    day: date

    def all_controls(self) -> list[Control]:
        return [
            *self.subject.controls,
            *(control for form in self.related for row in form.rows for control in row.controls),
        ]


def fill_dossier(request: Request, dossier: Dossier) -> DossierForm:
    lang, query = language(request), request.query_params
    key = dossier.records[dossier.subject].key
    rows: dict[str, set[int]] = {}
    for name in query:
        match = _ROW.fullmatch(name)
        if match is not None and match[1] in dossier.records:
            rows.setdefault(match[1], set()).add(int(match[2]))
    for name in query.getlist("rows")[:MAX_ROWS]:  # a row without any value yet
        named, _, place = name.partition(".")
        if named in dossier.records and place.isdecimal() and len(place) < 3:
            rows.setdefault(named, set()).add(int(place))
    errors: dict[str, str] = {}

    def row_form(
        record: RecordType, prefix: str, number: int, hidden: str | None
    ) -> tuple[RowForm, dict[str, Value | None]]:
        fields = {name: field for name, field in record.fields.items() if name != hidden}
        typed = {name: query.get(prefix + name, "") for name in fields}
        values, found = read_typed(fields, typed, lang)
        errors.update({prefix + name: text for name, text in found.items()})
        names = Facts(dict.fromkeys(record.fields) | dict(derive(record, Row(record.name, values)).values))
        return RowForm(prefix, number, controls(fields, typed, values, found, names, lang, prefix)), values

    subject, subject_values = row_form(dossier.records[dossier.subject], "subject.", 0, None)
    related: list[RecordForm] = []
    related_values: dict[str, list[dict[str, Value | None]]] = {}
    for name, record in dossier.records.items():
        if name == dossier.subject:
            continue
        forms = []
        for number in sorted(rows.get(name, ()))[:MAX_ROWS]:
            form, values = row_form(record, f"{name}.{number}.", number, key)
            forms.append(form)
            related_values.setdefault(name, []).append(values)
        related.append(RecordForm(record, forms, max(rows.get(name, {-1}), default=-1) + 1))
    return DossierForm(dossier, subject, related, subject_values, related_values, errors, day_of(request)[0])


def assess_form(pack: Pack, form: DossierForm) -> DossierOutcome:
    case = make_case(form.dossier, form.subject_values, form.related_values)
    return assess_case_of(pack, form.dossier, case, form.day)


def _dossier_page(request: Request, visitor: Visitor, dossier: Dossier) -> HTMLResponse:
    form = fill_dossier(request, dossier)
    blanks = [
        RecordForm(record.record, [_blank_row(request, dossier, record.record)], record.next) for record in form.related
    ]
    return render(
        request,
        "dossier.html",
        visitor,
        form=form,
        dossier=dossier,
        blanks=blanks,
        filled=form,
        **_dossier_result(request, form),
    )


def _blank_row(request: Request, dossier: Dossier, record: RecordType) -> RowForm:
    """A row to be copied by the script; its number is filled in then."""
    key = dossier.records[dossier.subject].key
    fields = {name: field for name, field in record.fields.items() if name != key}
    names = Facts(dict.fromkeys(record.fields))
    return RowForm(
        f"{record.name}.__n__.", 0, controls(fields, {}, {}, {}, names, language(request), f"{record.name}.__n__.")
    )


def _dossier_result(request: Request, form: DossierForm) -> Mapping[str, Any]:
    pack, lang = pack_of(request), language(request)
    shared = {
        "day": form.day,
        "errors": form.errors,
        "query": request.url.query,
        "base": f"/calculate/{form.dossier.id}",
    }
    try:
        outcome = assess_form(pack, form)
    except HeguiError as error:
        return {**shared, "view": None, "failure": error.problems[0].message(lang)}
    return {**shared, "view": dossier_view(pack, outcome, lang), "failure": ""}


def _save_dossier(request: Request, pack: Pack, dossier: Dossier, form: str, lang: Lang) -> Response:
    filled = fill_dossier(request, dossier)
    if filled.errors:
        raise ApiProblem("invalid-facts")
    outcome = assess_form(pack, filled)
    name = f"{dossier.label.get(lang)}{'-' + outcome.subject if outcome.subject else ''}"
    lines = [*explain_dossier(pack, dossier, outcome, lang), _stamp(pack, filled.day, lang)]
    if form == "txt":
        return _text_file(lines, name)
    if form == "json":
        items = [replace(item.outcome).to_dict() for item in outcome.items]
        return _json_file(
            {"dossier": dossier.id, "subject": outcome.subject, "as_of": filled.day.isoformat(), "items": items}, name
        )
    return _workbook(request, [dossier_table(pack, dossier, [outcome], lang)], lines, name, lang)

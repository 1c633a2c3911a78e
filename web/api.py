"""The JSON API, version 1: provisions, evaluating one case, batches, schemas and templates."""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import date
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from engine.describe import provision_data
from engine.explain import explain
from engine.inputs import read_as_of
from engine.model import ProvisionKind, Text
from engine.values import yuan_text
from facts.batch_files import FORMATS
from facts.columns import Given
from facts.models import dossier_schema, json_schema
from facts.template import write_template
from web import grid
from web.auth import Visitor
from web.batches import Batch
from web.context import language, needs, policy_of, state_of
from web.dossiers import assess_case_of, read_case
from web.ledger_batch import RECORD, ledger_of
from web.library import Library
from web.mapping import check_mapping
from web.problems import MEDIA_TYPE, TITLES, ApiProblem, ProblemDetails
from web.reasons import reasons_of

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": " / ".join(sorted({title.en for code, title in TITLES.values() if code == status})),
        "model": ProblemDetails,
        "content": {MEDIA_TYPE: {}},
    }
    for status in (400, 401, 403, 404, 409, 413, 422, 429)
}


def _iso_day(raw: object) -> object:
    """A day as `2019-12-31`; a number would be taken for seconds since 1970."""
    if isinstance(raw, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", raw):
        raise ValueError("a day is written as 2019-12-31")
    if raw is not None and not isinstance(raw, (str, date)):
        raise ValueError("a day is text, as 2019-12-31")
    return raw


_SHORT = {"max_length": 200}
Identity = Annotated[str, Path(max_length=200, pattern=r"^[\w.\-]+$", description="an id, as the list gives it")]
Day = Annotated[date, BeforeValidator(_iso_day)]
Viewer = Annotated[Visitor, Depends(needs("viewer"))]
Officer = Annotated[Visitor, Depends(needs("officer"))]
Policy = Annotated[Library, Depends(policy_of)]


class _StrictJson(APIRoute):
    """Refuses a key given twice: of two values, Python would silently take the last."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if request.headers.get("content-type", "").startswith("application/json") and self.body_field is not None:
                with suppress(ValueError, RecursionError):  # what is no JSON at all is reported by the handler
                    json.loads(await request.body(), object_pairs_hook=_once)
            return await handler(request)

        return strict


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            shown = name[:60]
            raise ApiProblem("bad-request", Text(f"键“{shown}”出现两次", f"the key {shown} is given twice"))
        found[name] = value
    return found


router = APIRouter(
    route_class=_StrictJson, prefix="/api/v1", responses={status: ERRORS[status] for status in (401, 403, 429)}
)


class ProvisionEntry(BaseModel):
    id: str
    kind: str
    plan: str
    path: str
    label: dict[str, str]


class PolicyEntry(BaseModel):
    """A policy served: its pack, the document it renders, when that is in force."""

    id: str
    version: str
    digest: str
    label: dict[str, str]
    issuer: str
    document: str
    in_force: dict[str, str | None]
    provisions: int


class ProvisionList(BaseModel):
    pack: str
    version: str
    digest: str
    provisions: list[ProvisionEntry]


class Evaluation(BaseModel):
    """The facts of one case; `inputs` by the provision's names, as its schema describes them."""

    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, str | int | float | bool | None] = Field(default={}, max_length=200)
    as_of: Day | None = Field(default=None, description="day of assessment")
    subject: str = Field(default="", max_length=200)
    readings: dict[str, int] = Field(default={}, max_length=20, description='readings chosen, as in {"1": 2}')


class Sentences(BaseModel):
    zh: list[str]
    en: list[str]


class Evaluated(BaseModel):
    """An outcome, and its reasoning in sentences."""

    outcome: dict[str, Any]
    explanation: Sentences


class DossierEntry(BaseModel):
    id: str
    label: dict[str, str]
    subject: str
    records: list[str]


class BatchState(BaseModel):
    """A batch and how far it is; the links hold once it is done."""

    id: str
    policy: str
    filename: str
    state: Literal["waiting", "working", "done", "failed"]
    stage: str
    done: int
    total: int
    as_of: str
    error: dict[str, str] | None
    links: dict[str, str]


class ColumnChoice(BaseModel):
    """What a column is, where its heading is not to decide."""

    model_config = ConfigDict(extra="forbid")

    field: str | None = Field(
        default=None, max_length=200, description="the field's name; empty leaves the column out, null as recognised"
    )
    unit: str | None = Field(
        default=None,
        max_length=20,
        description="the unit of the column's bare numbers: 元, 万元, 亿元 … for money; %, ‰ or 1 (0.85) for shares; "
        "the field's own unit or 百, 千, 万, 亿 of it for other numbers; null as the heading states. "
        "A number that carries a unit of its own keeps it.",
        examples=["万元"],
    )


class Mapping(BaseModel):
    """Columns mapped by hand: per table (`dossier.record`, or a provision's id) by heading.

    A column is given as its field's name, empty to leave it out, or as field and unit. Of several columns
    under one heading the second is `heading#2`. What is not named stays as recognised; earlier choices go.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "columns": {
                        "departments.department": {
                            "今年目标": {"field": "task_amount", "unit": "万元"},
                            "实际争取": {"unit": "元"},
                            "备注": "",
                        }
                    }
                }
            ]
        },
    )

    columns: dict[str, dict[str, str | ColumnChoice]] = Field(default={}, max_length=50)
    record: str = Field(default="", max_length=200)
    as_of: Day | None = None


class Rows(BaseModel):
    """A page of a result table."""

    table: int
    title: str
    headers: list[str]
    matching: int
    rows: list[dict[str, Any]]


# Policies


@router.get(
    "/policies",
    response_model=list[PolicyEntry],
    summary="所提供的政策。每次调用可用 policy 指定其一，不指定则用第一个适合的",
    tags=["provisions"],
)
async def list_policies(request: Request, _: Viewer) -> list[dict[str, Any]]:
    """The policies served. Each call takes one as `policy`; left out, the first that fits is meant."""
    return [
        {
            "id": pack.id,
            "version": pack.version,
            "digest": pack.digest,
            "label": {"zh": pack.label.zh, "en": pack.label.en},
            "issuer": pack.issuer,
            "document": pack.document,
            "in_force": {
                name: day.isoformat() if day else None for name, day in zip(("from", "to"), pack.in_force, strict=True)
            },
            "provisions": len(pack.ids),
        }
        for pack in (library.pack for library in state_of(request).libraries.values())
    ]


# Provisions


@router.get(
    "/provisions",
    response_model=ProvisionList,
    summary="一项政策的全部条款，或按文字、方案、种类、认定部门查找",
    tags=["provisions"],
    responses={404: ERRORS[404], 422: ERRORS[422]},
)
async def list_provisions(
    _: Viewer,
    library: Policy,
    q: Annotated[str, Query(**_SHORT)] = "",
    plan: Annotated[str, Query(**_SHORT)] = "",
    kind: ProvisionKind | None = None,
    bureau: Annotated[str, Query(**_SHORT)] = "",
) -> dict[str, Any]:
    """Every provision of a policy, or those that match words, a plan, a kind or a deciding bureau."""
    found = library.find(q, plan, kind.value if kind else "", bureau)
    return {
        "pack": library.pack.id,
        "version": library.pack.version,
        "digest": library.pack.digest,
        "provisions": [
            {
                "id": provision.id,
                "kind": provision.kind.value,
                "plan": provision.citation.plan,
                "path": provision.citation.path,
                "label": {"zh": provision.label.zh, "en": provision.label.en},
            }
            for provision in found
        ],
    }


@router.get(
    "/provisions/{identity}",
    summary="一个条款：依据、事实、表、读法",
    tags=["provisions"],
    responses={404: ERRORS[404], 422: ERRORS[422]},
)
async def show_provision(_: Viewer, library: Policy, identity: Identity) -> dict[str, Any]:
    """One provision: clause, facts, tables, readings."""
    return provision_data(library.pack.provision(identity))


@router.get(
    "/provisions/{identity}/schema",
    summary="一个条款所需事实的 JSON Schema",
    tags=["schemas"],
    responses={404: ERRORS[404], 422: ERRORS[422]},
)
async def provision_schema(_: Viewer, library: Policy, identity: Identity) -> dict[str, Any]:
    """The JSON Schema of a provision's facts."""
    return json_schema(identity, library.pack.provision(identity).facts)


@router.post(
    "/provisions/{identity}/evaluate",
    response_model=Evaluated,
    summary="按一个条款核算一个案例：结论、步骤、另外的读法、理由",
    tags=["evaluation"],
    responses={status: ERRORS[status] for status in (400, 404, 413, 422)},
)
async def evaluate(_: Viewer, library: Policy, identity: Identity, case: Evaluation) -> dict[str, Any]:
    """What the provision comes to for one case: outcome, trace, other readings, reasoning."""
    pack = library.pack
    outcome = pack.evaluate(identity, case.inputs, case.as_of, case.readings or None, case.subject)
    provision = pack.provision(identity)
    return {
        "outcome": outcome.to_dict(),
        "explanation": {lang: explain(outcome, provision, lang) for lang in ("zh", "en")},
    }


# Dossiers


@router.get(
    "/dossiers",
    response_model=list[DossierEntry],
    summary="成套填报的表",
    tags=["dossiers"],
    responses={404: ERRORS[404], 422: ERRORS[422]},
)
async def list_dossiers(_: Viewer, library: Policy) -> list[dict[str, Any]]:
    """The forms in which related facts are submitted together."""
    return [
        {
            "id": dossier.id,
            "label": {"zh": dossier.label.zh, "en": dossier.label.en},
            "subject": dossier.subject,
            "records": list(dossier.records),
        }
        for dossier in library.pack.dossiers.values()
    ]


@router.get(
    "/dossiers/{identity}/schema",
    summary="一套填报的一个案例的 JSON Schema",
    tags=["schemas"],
    responses={404: ERRORS[404], 422: ERRORS[422]},
)
async def schema_of_dossier(_: Viewer, library: Policy, identity: Identity) -> dict[str, Any]:
    """The JSON Schema of one case of a dossier."""
    return dossier_schema(_dossier(library, identity))


@router.post(
    "/dossiers/{identity}/evaluate",
    summary="一个对象的全部事项：哪些不重复计、合计多少",
    tags=["evaluation"],
    responses={status: ERRORS[status] for status in (400, 404, 413, 422)},
)
async def evaluate_dossier(
    _: Viewer,
    library: Policy,
    identity: Identity,
    case: Annotated[dict[str, Any], Body(description="a case, as the schema describes it")],
) -> dict[str, Any]:
    """Every matter of one subject, what excludes what, and the total."""
    pack, dossier = library.pack, _dossier(library, identity)
    data = dict(case)
    named = data.pop("dossier", identity)
    if named != identity:
        raise ApiProblem("invalid-request", Text("dossier 与路径不一致", "`dossier` is not the one of the path"))
    as_of = data.pop("as_of", None)
    if as_of is not None and not isinstance(as_of, str):
        raise ApiProblem("invalid-request", Text("as_of 应为日期文字", "`as_of` must be a date as text"))
    data.pop("case", None)
    outcome = assess_case_of(pack, dossier, read_case(dossier, data), read_as_of(as_of))
    return {
        "dossier": identity,
        "subject": outcome.subject,
        "total": None if outcome.total is None else yuan_text(outcome.total),
        "determined_total": yuan_text(outcome.known_total),
        "not_assessed": [{"provision": name, "zh": text.zh, "en": text.en} for name, text in outcome.skipped],
        "items": [
            item.outcome.to_dict()
            | {
                "counted": None if item.paid is None else yuan_text(item.paid),
                "yields_to": item.yields_to,
                "contained_in": item.contained_in,
            }
            for item in outcome.items
        ],
    }


def _dossier(library: Library, identity: str) -> Any:
    found = library.pack.dossiers.get(identity)
    if found is None:
        raise ApiProblem("not-found")
    return found


@router.get(
    "/templates/{identity}",
    summary="填报用的 Excel 模板：一套填报、一个条款，或履职台账（ledger）",
    tags=["schemas"],
    response_class=Response,
    responses={200: {"content": {grid.XLSX: {}}}, 404: ERRORS[404], 422: ERRORS[422]},
)
def template(
    request: Request,
    _: Viewer,
    library: Policy,
    identity: Identity,
    lang: Annotated[Literal["zh", "en"] | None, Query()] = None,
) -> Response:
    """The Excel template of a dossier, a provision, or (`ledger`) the ledger of duties done."""
    pack = library.pack
    source: Any = pack.dossiers.get(identity)
    if source is None:
        source = ledger_of(pack) if identity == RECORD and not library.has(RECORD) else pack.provision(identity)
    with tempfile.TemporaryDirectory(dir=state_of(request).settings.data) as folder:
        path = FilePath(folder) / "template.xlsx"
        write_template(path, source, lang or language(request))
        return grid.attachment(io.BytesIO(path.read_bytes()).getvalue(), grid.XLSX, f"{identity}.xlsx")


# Batches


@router.post(
    "/batches",
    status_code=202,
    response_model=BatchState,
    summary="提交一个文件，请求正文就是文件本身",
    tags=["batches"],
    responses={status: ERRORS[status] for status in (400, 404, 413, 422)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def submit_batch(
    request: Request,
    response: Response,
    visitor: Officer,
    library: Policy,
    filename: Annotated[
        str,
        Query(
            min_length=1,
            max_length=200,
            description="the file's name, as firms.xlsx",
            pattern=rf"(?i)({'|'.join(map(re.escape, FORMATS))})$",
        ),
    ],
    as_of: Annotated[Day | None, Query(description="day of assessment; today where it is not given")] = None,
    record: Annotated[
        str, Query(max_length=200, description="what the rows are, where that is not to be recognised")
    ] = "",
    period: Annotated[str, Query(max_length=40, description="what a table of targets reports on, as 2019Q1")] = "",
    lang: Annotated[Literal["zh", "en"] | None, Query()] = None,
) -> dict[str, Any]:
    """Submits a file, which is the request's body as it is."""
    state = state_of(request)
    day = as_of or state.settings.today()
    batch = await state.batches.submit(
        visitor.owner, filename, request.stream(), library, day.isoformat(), lang or language(request), record, period
    )
    response.headers["Location"] = f"/api/v1/batches/{batch.id}"
    return batch_state(batch)


@router.get("/batches", response_model=list[BatchState], summary="自己提交的批次，新的在前", tags=["batches"])
async def list_batches(request: Request, visitor: Officer) -> list[dict[str, Any]]:
    """One's own batches, newest first."""
    return [batch_state(batch) for batch in state_of(request).batches.of(visitor.owner)]


@router.get(
    "/batches/{identity}",
    response_model=BatchState,
    summary="一个批次进展到哪里",
    tags=["batches"],
    responses={404: ERRORS[404], 422: ERRORS[422]},
)
async def show_batch(request: Request, visitor: Officer, identity: Identity) -> dict[str, Any]:
    """How far a batch is."""
    return batch_state(state_of(request).batches.get(visitor.owner, identity))


@router.delete(
    "/batches/{identity}",
    status_code=204,
    summary="删去一个批次及其文件和结果",
    tags=["batches"],
    responses={404: ERRORS[404], 422: ERRORS[422]},
)
async def delete_batch(request: Request, visitor: Officer, identity: Identity) -> Response:
    """Removes a batch with its file and results."""
    state_of(request).batches.delete(visitor.owner, identity)
    return Response(status_code=204)


@router.put(
    "/batches/{identity}/mapping",
    summary="手工指定列之后，重新核算同一文件",
    status_code=202,
    response_model=BatchState,
    tags=["batches"],
    responses={status: ERRORS[status] for status in (400, 404, 409, 413, 422)},
)
async def map_columns(request: Request, visitor: Officer, identity: Identity, mapping: Mapping) -> dict[str, Any]:
    """Assesses the same file again with fields and units of columns as chosen by hand.

    A table, column, field or unit that does not fit is refused, each fault pointing to its column.
    """
    state = state_of(request)
    batch = state.batches.get(visitor.owner, identity)
    given = {
        title: {
            heading: Given(said) if isinstance(said, str) else Given(said.field, said.unit)
            for heading, said in pairs.items()
        }
        for title, pairs in mapping.columns.items()
    }
    tables = batch.summary()["tables"] if batch.state == "done" else []
    check_mapping(state.policy(batch.policy).pack, given, tables)
    day = mapping.as_of.isoformat() if mapping.as_of else ""
    return batch_state(state.batches.remap(visitor.owner, identity, given, mapping.record, day))


@router.get(
    "/batches/{identity}/summary",
    summary="行数、各列的识别、各表、合计",
    tags=["batches"],
    responses={status: ERRORS[status] for status in (404, 409, 422)},
)
async def batch_summary(request: Request, visitor: Officer, identity: Identity) -> dict[str, Any]:
    """Counts of rows, columns as recognised, tables, totals."""
    return state_of(request).batches.finished(visitor.owner, identity).summary()


@router.get(
    "/batches/{identity}/rows",
    response_model=Rows,
    summary="结果表的一页，可按文字和结论筛选",
    tags=["batches"],
    responses={status: ERRORS[status] for status in (404, 409, 422)},
)
def batch_rows(
    request: Request,
    visitor: Officer,
    identity: Identity,
    table: Annotated[int, Query(ge=0, le=50)] = 0,
    q: Annotated[str, Query(**_SHORT)] = "",
    status: Annotated[str, Query(**_SHORT)] = "",
    offset: Annotated[int, Query(ge=0, le=10**7)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """A page of a result table, filtered by text and status."""
    batch = state_of(request).batches.finished(visitor.owner, identity)
    found = grid.read_rows(batch.results / "rows.db", table, q, status, offset, limit)
    if found is None:
        raise ApiProblem("not-found")
    return {
        "table": table,
        "title": found.title,
        "headers": found.headers,
        "matching": found.matching,
        "rows": [{"number": row.number, "status": row.status, "cells": row.plain} for row in found.rows],
    }


@router.get(
    "/batches/{identity}/rows/{number}",
    summary="某一行的理由和依据",
    tags=["batches"],
    responses={status: ERRORS[status] for status in (404, 409, 422)},
)
def batch_row(
    request: Request,
    visitor: Officer,
    identity: Identity,
    number: Annotated[int, Path(ge=0, le=10**7, description="a row's number, as the page of rows gives it")],
    table: Annotated[int, Query(ge=0, le=50)] = 0,
) -> dict[str, Any]:
    """Why a row came to its result: the case assessed again by the reference evaluator from the facts as read.

    `items` are the matters of the row's case, those the row is about first (`asked`) and with their
    reasoning; `differs` tells that the outcome is not the batch's own, which must not be relied upon.
    """
    state = state_of(request)
    batch = state.batches.finished(visitor.owner, identity)
    pack = state.policy(batch.policy).pack
    found = reasons_of(pack, batch.results, batch.summary(), table, number, language(request))
    return found.data | {"differs": found.differs}


@router.get(
    "/batches/{identity}/problems",
    summary="文件里的每个问题及其单元格",
    tags=["batches"],
    responses={status: ERRORS[status] for status in (404, 409, 422)},
)
def batch_problems(request: Request, visitor: Officer, identity: Identity) -> list[dict[str, Any]]:
    """Every problem found in the file, with its cell."""
    batch = state_of(request).batches.finished(visitor.owner, identity)
    return grid.read_problems(batch.results / "problems.json")


@router.get(
    "/batches/{identity}/files/{name}",
    summary="结果、问题清单，或写上两者的原表副本",
    tags=["batches"],
    response_class=FileResponse,
    responses={
        200: {"content": {media: {} for media in grid.FILES.values()}},
        **{status: ERRORS[status] for status in (404, 409, 422)},
    },
)
async def batch_file(
    request: Request,
    visitor: Officer,
    identity: Identity,
    name: Literal["results.xlsx", "results.csv", "problems.csv", "annotated.xlsx", "results.json"],
) -> FileResponse:
    """Results, problems, or a copy of the workbook with both written in."""
    batch = state_of(request).batches.finished(visitor.owner, identity)
    path = batch.results / name
    if not path.is_file():
        raise ApiProblem("not-found")
    return FileResponse(path, media_type=grid.FILES[name], filename=grid.download_name(batch.filename, name))


def batch_state(batch: Batch) -> dict[str, Any]:
    base = f"/api/v1/batches/{batch.id}"
    links = {"self": base}
    if batch.state == "done":
        links |= {name: f"{base}/{name}" for name in ("summary", "rows", "problems")}
        links |= {name: f"{base}/files/{name}" for name in grid.FILES if (batch.results / name).is_file()}
    return {
        "id": batch.id,
        "policy": batch.policy,
        "filename": batch.filename,
        "state": batch.state,
        "stage": batch.stage,
        "done": batch.done,
        "total": batch.total,
        "as_of": batch.as_of,
        "links": links,
        "error": None if batch.error is None else {"zh": batch.error.zh, "en": batch.error.en},
    }


# About


@router.get("/problems", summary="回答里可能出现的问题种类", tags=["about"])
async def problem_kinds() -> list[dict[str, Any]]:
    """The kinds of problem an answer may name."""
    return [
        {"type": f"/api/v1/problems#{kind}", "status": status, "title": {"zh": title.zh, "en": title.en}}
        for kind, (status, title) in TITLES.items()
    ]


@router.get("/health", summary="服务是否正常，用的是哪些规则", tags=["about"])
async def health(request: Request) -> dict[str, Any]:
    """That the server is there, and with which rules."""
    packs = [library.pack for library in state_of(request).libraries.values()]
    return {
        "status": "ok",
        "policies": [{"id": pack.id, "version": pack.version, "digest": pack.digest} for pack in packs],
    }

"""Batch: a workbook in, its columns confirmed, results in a grid, faults in their cells, files out."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse

from engine.errors import Lang
from engine.kinds import LABELS
from engine.load import Pack
from engine.model import Field, Text
from engine.types import Kind
from facts.batch_files import FORMATS
from facts.columns import Given, units_for
from facts.tally import ROW_KINDS
from web import grid
from web.api import batch_state
from web.auth import Visitor
from web.batches import Batch
from web.context import language, library_of, needs, pack_of, state_of
from web.ledger_batch import RECORD
from web.mapping import check_mapping, fields_of, keyed, title_of, unit_label
from web.pages.base import fragment, remember_choices, render
from web.pages.calculate import day_of
from web.problems import ApiProblem
from web.reasons import reasons_of
from web.words import tone

router = APIRouter()
Officer = Annotated[Visitor, Depends(needs("officer"))]
PAGE = 100
MAPPED = "map:"
OF_HEADINGS = frozenset(("duplicate-column", "unit-does-not-fit", "key-column-missing", "sheet-units-conflict"))
"""Problems that can be put right where columns are corrected."""

STAGES = {
    "": Text("等待处理", "waiting"),
    "reading": Text("正在读取文件", "reading the file"),
    "assessing": Text("正在核算", "assessing"),
    "writing": Text("正在写出结果", "writing the results"),
    "done": Text("已完成", "done"),
    "failed": Text("未能处理", "failed"),
}


@router.get("/batch", response_class=HTMLResponse)
async def batches(request: Request, visitor: Officer) -> HTMLResponse:
    remember_choices(request)
    state, pack = state_of(request), pack_of(request)
    return render(
        request,
        "batch.html",
        visitor,
        batches=state.batches.of(visitor.owner),
        stages=STAGES,
        dossiers=pack.dossiers.values(),
        examples=examples(pack),
        day=day_of(request)[0],
        periods=quarters(pack),
        suffixes=FORMATS,
        max_upload=state.settings.max_upload,
    )


def examples(pack: Pack) -> list[str]:
    """The example workbooks that can be handed in here: dossiers, tables of targets, ledgers of duties."""
    return sorted(
        path.name
        for path in (pack.folder / "examples").glob("*.xlsx")
        if path.stem in pack.dossiers or path.stem.startswith(("targets", "duty_ledger"))
    )


def quarters(pack: Pack) -> list[str]:
    """The periods a table of targets may report on, one name for each last day."""
    named: dict[object, str] = {}
    for name, end in pack.periods.items():
        if name[:4].isdecimal():
            named.setdefault(end, name)
    return [named[end] for end in sorted(named, key=str)]


@router.get("/batch/examples/{name}")
async def example(request: Request, _: Officer, name: str) -> FileResponse:
    pack = pack_of(request)
    if name not in examples(pack):
        raise ApiProblem("not-found")
    return FileResponse(pack.folder / "examples" / name, media_type=grid.XLSX, filename=name)


@router.post("/batch/upload")
async def upload(request: Request, visitor: Officer, filename: str, period: str = "", record: str = "") -> JSONResponse:
    """A file as the body, sent by the page's script."""
    state = state_of(request)
    batch = await state.batches.submit(
        visitor.owner,
        filename,
        request.stream(),
        library_of(request),
        day_of(request)[0].isoformat(),
        language(request),
        RECORD if record == RECORD else "",
        period[:40],
    )
    return JSONResponse({"location": f"/batch/{batch.id}"}, 202)


@router.get("/batch/{identity}/state")
async def progress(request: Request, visitor: Officer, identity: str) -> JSONResponse:
    batch = state_of(request).batches.get(visitor.owner, identity)
    words = STAGES[batch.stage if batch.state != "failed" else "failed"].get(language(request))
    return JSONResponse(batch_state(batch) | {"words": words})


@router.get("/batch/{identity}", response_class=HTMLResponse)
def show(
    request: Request,
    visitor: Officer,
    identity: str,
    q: str = "",
    status: str = "",
    table: int = 0,
    page: int = 1,
    view: Literal["results", "problems", "columns"] = "results",
) -> HTMLResponse:
    state, lang = state_of(request), language(request)
    batch = state.batches.get(visitor.owner, identity)
    request.state.library = state.libraries.get(batch.policy, state.first)
    remember_choices(request)
    pack = pack_of(request)
    shared: dict[str, Any] = {"batch": batch, "stages": STAGES, "view": view}
    if batch.state != "done":
        return render(request, "batch_wait.html", visitor, **shared)
    summary = batch.summary()
    page = max(1, min(page, 100_000))
    rows = grid.read_rows(batch.results / "rows.db", table, q[:200], status[:100], (page - 1) * PAGE, PAGE)
    return render(
        request,
        "batch_show.html",
        visitor,
        **shared,
        summary=summary,
        rows=rows,
        q=q,
        status=status,
        table=table,
        page=page,
        pages=max(1, -(-rows.matching // PAGE)) if rows is not None else 1,
        skipped_words=ROW_KINDS,
        tones={label.get(lang): tone(status) for status, label in LABELS.items()},
        columns=_columns(pack, summary, batch, lang),
        records=_records(pack, lang),
        files=[name for name in grid.FILES if (batch.results / name).is_file()],
        problems=_problems(batch) if view == "problems" else [],
        headings=[one for one in _problems(batch) if one["code"] in OF_HEADINGS] if view == "columns" else [],
        excerpts=_excerpts(batch) if view == "problems" else [],
    )


def _problems(batch: Batch) -> list[dict[str, Any]]:
    return grid.read_problems(batch.results / "problems.json")[:500]


def _excerpts(batch: Batch) -> list[dict[str, Any]]:
    """The faulty rows of a workbook, sheet by sheet, with the letters of their columns."""
    from facts.columns import column_letter

    path = batch.results / "excerpts.json"
    if not path.is_file():
        return []
    rows = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        sheet = found.setdefault(row["sheet"], {"sheet": row["sheet"], "rows": [], "width": 0})
        sheet["rows"].append(row)
        sheet["width"] = max([sheet["width"], len(row["cells"]), *(int(column) + 1 for column in row["faults"])])
    for sheet in found.values():
        sheet["width"] = min(sheet["width"], 40)
        sheet["letters"] = [column_letter(number) for number in range(sheet["width"])]
    return list(found.values())


def _columns(pack: Pack, summary: dict[str, Any], batch: Batch, lang: Lang) -> list[dict[str, Any]]:
    """Each table's columns with what they were taken for, in which unit, and what else they may be."""
    found = []
    refused = bool(summary["counts"]["rejected_by"].get("heading"))  # to leave a column unused is a choice then
    for table in summary["tables"]:
        title = title_of(table)
        label = _label(pack, title, lang)
        wanted = title or batch.record  # a table that is not recognised may become what the person says it is
        fields = fields_of(pack, wanted) or {}
        taken = {column["field"] for column in table["columns"]}
        given = batch.mapping.get(wanted, {})
        choices = [
            {"name": name, "label": of.label.get(lang), "units": _units(of, lang)} for name, of in fields.items()
        ]
        units = {choice["name"]: choice["units"] for choice in choices}
        found.append(
            {
                **table,
                "title": title,
                "label": label,
                "wanted": wanted if fields else "",
                "wanted_label": _label(pack, wanted, lang),
                "choices": choices,
                "missing": [
                    of.label.get(lang) for name, of in fields.items() if title and name not in taken and of.required
                ],
                "columns": [
                    {
                        **column,
                        "key": key,
                        "was": "?" if column["field"] is None and refused and not column["field_by_hand"] else "",
                        "units": units.get(column["field"] or "", []),
                        "chosen_unit": (given[key].unit or "") if key in given else "",
                        "guessed": column["unit_from"] == "field" and fields[column["field"]].type.kind is Kind.MONEY,
                        "unit_label": unit_label(column["unit"], lang) if column["unit"] else "",
                    }
                    for key, column in keyed(table["columns"])
                ],
            }
        )
    return found


def _units(of: Field, lang: Lang) -> list[tuple[str, str]]:
    return [(unit, unit_label(unit, lang)) for unit in units_for(of)]


def _label(pack: Pack, title: str, lang: Lang) -> str:
    """What a table with this title holds, in words."""
    dossier, _, record = title.rpartition(".")
    if dossier in pack.dossiers and record in pack.dossiers[dossier].records:
        return pack.dossiers[dossier].records[record].label.get(lang)
    provision = pack.find(title)
    return provision.label.get(lang) if provision is not None else ""


def _records(pack: Pack, lang: Lang) -> list[tuple[str, str]]:
    ledger = (RECORD, "履职台账" if lang == "zh" else "ledger of duties done")
    return [
        (f"{dossier.id}.{record.name}", f"{dossier.label.get(lang)} / {record.label.get(lang)}")
        for dossier in pack.dossiers.values()
        for record in dossier.records.values()
    ] + [ledger]


@router.get("/batch/{identity}/rows/{table}/{number}", response_class=HTMLResponse)
def row(request: Request, visitor: Officer, identity: str, table: int, number: int, part: bool = False) -> HTMLResponse:
    """Why a row came to its result; `part` is for the page's script, which shows it over the grid."""
    state, lang = state_of(request), language(request)
    batch = state.batches.finished(visitor.owner, identity)
    request.state.library = state.libraries.get(batch.policy, state.first)
    found = reasons_of(pack_of(request), batch.results, batch.summary(), table, number, lang)
    shown: dict[str, Any] = {"batch": batch, "reasons": found, "as_of": batch.summary()["as_of"], "part": part}
    if part:
        return HTMLResponse(fragment(request, "_batch_row.html", visitor, **shown))
    return render(request, "batch_row.html", visitor, **shown)


@router.post("/batch/{identity}/mapping")
async def remap(request: Request, visitor: Officer, identity: str) -> Response:
    """The columns as corrected on the page.

    `map:TABLE:HEADING` is a field, or empty to leave the column out; `was:…` what it was taken for, so that
    only what was changed counts as chosen; `unit:…` is the unit chosen, or empty for what the heading says.
    """
    form = await request.form(max_fields=5_000)
    state = state_of(request)
    batch = state.batches.get(visitor.owner, identity)
    mapping = {title: dict(pairs) for title, pairs in batch.mapping.items()} if not form.get("reset") else {}
    for name, value in form.multi_items() if not form.get("reset") else ():
        if not name.startswith(MAPPED) or not isinstance(value, str):
            continue
        title, _, heading = name.removeprefix(MAPPED).partition(":")
        unit = form.get(f"unit:{title}:{heading}")
        before = mapping.get(title, {}).get(heading, Given())
        field = value if value != form.get(f"was:{title}:{heading}") else before.field
        said = Given(field, unit if isinstance(unit, str) and unit and value else None)
        if heading and said != before:
            mapping.setdefault(title, {})[heading] = said
    record, day = form.get("record"), form.get("day")
    check_mapping(state.policy(batch.policy).pack, mapping, batch.summary()["tables"] if batch.state == "done" else [])
    state.batches.remap(
        visitor.owner, identity, mapping, record if isinstance(record, str) else "", day if isinstance(day, str) else ""
    )
    return RedirectResponse(f"/batch/{identity}", 303)


@router.post("/batch/{identity}/delete")
async def delete(request: Request, visitor: Officer, identity: str) -> Response:
    state_of(request).batches.delete(visitor.owner, identity)
    return RedirectResponse("/batch", 303)


@router.get("/batch/{identity}/files/{name}")
async def download(request: Request, visitor: Officer, identity: str, name: str) -> FileResponse:
    batch = state_of(request).batches.finished(visitor.owner, identity)
    path = batch.results / name
    if name not in grid.FILES or not path.is_file():
        raise ApiProblem("not-found")
    return FileResponse(path, media_type=grid.FILES[name], filename=grid.download_name(batch.filename, name))

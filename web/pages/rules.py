"""Rules: browse and search provisions; each with its clause, tables, figures, readings, cases and plots."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from engine.assessing import assess_case
from engine.errors import HeguiError, Lang
from engine.inputs import read_inputs
from engine.load import Pack
from engine.model import Provision, ProvisionKind
from engine.values import Value
from web import plots, rule_parts
from web.auth import Visitor
from web.context import language, library_of, needs, state_of
from web.pages.base import remember_choices, render
from web.pages.calculate import fill
from web.pages.what_if import fact_plot, movable
from web.views import about

router = APIRouter()
Viewer = Annotated[Visitor, Depends(needs("viewer"))]
Analyst = Annotated[Visitor, Depends(needs("analyst"))]


@router.get("/rules", response_class=HTMLResponse)
async def browse(
    request: Request, visitor: Viewer, q: str = "", plan: str = "", kind: str = "", bureau: str = ""
) -> HTMLResponse:
    remember_choices(request)
    library = library_of(request)
    kinds = [item.value for item in ProvisionKind]
    found = library.find(q[:200], plan, kind if kind in kinds else "", bureau)
    return render(
        request,
        "rules.html",
        visitor,
        q=q,
        plan=plan,
        kind=kind,
        bureau=bureau,
        kinds=list(ProvisionKind),
        plans=library.plans,
        bureaus=library.bureaus,
        groups=list(library.by_plan(found)),
        count=len(found),
        all_count=len(library.pack.ids),
    )


@router.get("/rules/{identity}", response_class=HTMLResponse)
def show(request: Request, visitor: Viewer, identity: str) -> HTMLResponse:
    """One provision; facts in the query are the officer's own case, marked in the plots."""
    remember_choices(request)
    library, lang = library_of(request), language(request)
    filled = fill(request, identity)
    provision = filled.provision
    cases = library.cases.get(identity, [])
    values, own = filled.values, bool(filled.values)
    if not own:
        values = _case_values(provision, cases)
    return render(
        request,
        "rule.html",
        visitor,
        provision=provision,
        about=about(provision, lang),
        facts=rule_parts.fact_rows(provision, lang),
        conditions=rule_parts.conditions(provision, lang),
        tables=[rule_parts.table_view(table, provision, lang) for table in rule_parts.tables(provision)],
        figures=rule_parts.figures(provision),
        outcomes=rule_parts.outcomes(provision, lang),
        cases=rule_parts.case_views(library.pack, provision, cases, lang),
        case_count=len(cases),
        own=own,
        plots=_plots(library.pack, provision, values, filled.day, lang),
        query=request.url.query if own else "",
        movable=movable(provision),
    )


def _case_values(provision: Provision, cases: list[Any]) -> dict[str, Value | None]:
    """The facts of the first worked case that decides something, for a plot to begin with."""
    for case in cases:
        if case.expect.get("status") in ("triggered", "eligible", "breach", "late"):
            try:
                return read_inputs(provision, case.inputs)
            except HeguiError:
                continue
    return {}


def _plots(
    pack: Pack, provision: Provision, values: dict[str, Value | None], day: date, lang: Lang
) -> list[tuple[str, str]]:
    """Captions and plots: each table of one numeric column, and the amount along the fact that moves it most."""
    zh = lang == "zh"
    found: list[tuple[str, str]] = []
    try:
        outcome = assess_case(pack, provision, values, day)
    except HeguiError:
        return []
    steps = outcome.trace.steps if outcome.trace is not None else ()
    for table in rule_parts.tables(provision):
        value = plots.column_value(table, steps) if table.columns else None
        caption = "分档图" if zh else "brackets"
        text = plots.table_plot(table, provision, value, lang, f"{provision.label.get(lang)}：{caption}")
        if text:
            found.append((caption, text))
    drawn = fact_plot(provision, values, "", day, lang)
    if drawn is not None:
        name, text = drawn
        label = provision.facts[name].label.get(lang)
        found.append((f"结果随“{label}”的变化" if zh else f"the result along “{label}”", text))
    return found


@router.post("/rules-reload")
def reload(request: Request, _: Analyst) -> Response:
    """Reads the rules again from disk; faulty ones are reported and the old ones stay."""
    state_of(request).reload()
    return RedirectResponse("/rules", 303)

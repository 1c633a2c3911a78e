"""Signing in and out, and the page that tells other systems how to call the API."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from engine.model import Text
from web.auth import Visitor
from web.context import language, library_of, needs, state_of
from web.guards import Buckets
from web.library import Library
from web.pages.base import remember_choices, render

router = APIRouter()
Viewer = Annotated[Visitor, Depends(needs("viewer"))]


@router.get("/sign-in", response_class=HTMLResponse)
async def form(request: Request) -> Response:
    remember_choices(request)
    if not state_of(request).gate.is_shared or state_of(request).gate.visitor(request) is not None:
        return RedirectResponse("/", 303)
    return render(request, "sign_in.html", None, failure="")


@router.post("/sign-in", response_class=HTMLResponse)
async def sign_in(request: Request) -> Response:
    state, lang = state_of(request), language(request)
    given = await request.form(max_fields=10)
    state.gate.check_csrf(request, str(given.get("csrf", "")))
    name, password = str(given.get("name", ""))[:60], str(given.get("password", ""))[:1_000]
    buckets = _tries(request)
    if max(buckets.wait(f"name {name}"), buckets.wait(f"from {request.client.host if request.client else ''}")):
        text = Text("登录尝试太多，请稍后再试", "too many attempts, try again later")
        return render(request, "sign_in.html", None, 429, failure=text.get(lang))
    target = str(request.session.get("next", "/"))
    if await asyncio.to_thread(state.gate.sign_in, request, name, password) is None:
        text = Text("用户名或密码不对", "the name or the password is wrong")
        return render(request, "sign_in.html", None, 401, failure=text.get(lang))
    local = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return RedirectResponse(target if local else "/", 303)


def _tries(request: Request) -> Buckets:
    """Sign-in attempts by name and by address."""
    app = request.app
    if not hasattr(app.state, "tries"):
        allowed = state_of(request).settings.sign_ins_a_minute
        app.state.tries = Buckets(allowed, allowed)
    tries: Buckets = app.state.tries
    return tries


@router.post("/sign-out")
async def sign_out(request: Request, visitor: Viewer) -> Response:
    """Ends the session; the files it brought go with it."""
    state = state_of(request)
    state.batches.delete_all(visitor.owner)
    state.gate.sign_out(request)
    return RedirectResponse("/", 303)


@router.get("/api", response_class=HTMLResponse)
async def api_page(request: Request, visitor: Viewer) -> HTMLResponse:
    """The endpoints, from the OpenAPI description: Chinese in each summary, English in its description."""
    remember_choices(request)
    key = "summary" if language(request) == "zh" else "description"
    schema: dict[str, Any] = request.app.openapi()
    calls = [
        (
            method.upper(),
            path,
            operation[key].replace("`", ""),
        )
        for path, item in schema["paths"].items()
        for method, operation in item.items()
    ]
    return render(
        request,
        "api.html",
        visitor,
        calls=calls,
        base=str(request.base_url).rstrip("/"),
        example=_example(library_of(request)),
    )


def _example(library: Library) -> tuple[str, str] | None:
    """A call to be tried: the pack's first provision with a worked case that gives facts; its id and the body."""
    for identity in library.pack.ids:
        for case in library.cases.get(identity, ()):
            if case.inputs:
                body = {"inputs": case.inputs} | ({"as_of": case.as_of} if case.as_of else {})
                return identity, shlex.quote(json.dumps(body, ensure_ascii=False))
    return None

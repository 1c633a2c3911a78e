"""The server: one FastAPI application that serves the pages, their files and the JSON API."""

from __future__ import annotations

import gc
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from engine.errors import HeguiError
from engine.model import Text
from web import api, problems
from web.auth import Gate, secret_key
from web.batches import Batches
from web.context import SignInFirst, State
from web.guards import BodyLimit, RateLimit, SameSite, SecurityHeaders
from web.pages import account, batch, calculate, overview, rules, what_if
from web.pages.base import error_page
from web.problems import ApiProblem, http_problem, is_api, problem_response, wanted_language
from web.settings import Settings

STATIC = Path(__file__).resolve().parent / "static"


def create_app(settings: Settings) -> FastAPI:
    """The application for these settings. Errors: `PackError` where the rules cannot be used."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = secret_key(settings.secret)
    state = State(settings, Gate(settings, key), Batches(settings))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        scratch = settings.data / "tmp"
        scratch.mkdir(exist_ok=True, mode=0o700)
        before, tempfile.tempdir = tempfile.tempdir, str(scratch)  # nothing is written outside the data folder
        await state.batches.start()
        gc.collect()
        gc.freeze()  # the rules stay: looking through them again and again would hold up requests
        yield
        gc.unfreeze()
        await state.batches.stop()
        tempfile.tempdir = before

    app = FastAPI(
        title="Hegui 合规",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        description="What a policy entitles to, cuts, demands by when, or forbids, and by which clause.",
    )
    app.state.hegui = state
    app.include_router(api.router)
    for page in (calculate, batch, rules, overview, what_if, account):
        app.include_router(page.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    problems.install(app)
    _page_errors(app)
    # The last one added is the first to see a request.
    app.add_middleware(
        SessionMiddleware,
        secret_key=key,
        session_cookie="hegui",
        max_age=settings.session_seconds,
        same_site="lax",
        https_only=settings.https,
    )
    app.add_middleware(BodyLimit, body=settings.max_body, upload=settings.max_upload)
    app.add_middleware(SameSite)
    app.add_middleware(RateLimit, a_minute=settings.requests_a_minute, burst=settings.burst)
    app.add_middleware(GZipMiddleware, minimum_size=2_000, compresslevel=4)
    app.add_middleware(SecurityHeaders, https=settings.https)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.hosts), www_redirect=False)
    return app


def _page_errors(app: FastAPI) -> None:
    @app.exception_handler(SignInFirst)
    async def sign_in_first(request: Request, _: SignInFirst) -> Response:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        request.session["next"] = path[:2_000]
        return RedirectResponse("/sign-in", 303)

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        if is_api(request):
            return http_problem(request, error)
        text = {404: Text("没有这一页", "there is no such page")}.get(
            error.status_code, Text("请求无法处理", "the request cannot be answered")
        )
        return error_page(request, error.status_code, text)

    api_told = app.exception_handlers[ApiProblem]
    api_unusable = app.exception_handlers[HeguiError]

    @app.exception_handler(ApiProblem)
    async def told(request: Request, error: ApiProblem) -> Response:
        if is_api(request) or "application/json" in request.headers.get("accept", ""):
            answer: Response = await api_told(request, error)  # type: ignore[misc]
            return answer
        status, title = problems.TITLES[error.kind]
        return error_page(request, status, error.detail if error.detail.zh else title)

    @app.exception_handler(HeguiError)
    async def unusable(request: Request, error: HeguiError) -> Response:
        if is_api(request) or "application/json" in request.headers.get("accept", ""):
            answer: Response = await api_unusable(request, error)  # type: ignore[misc]
            return answer
        unknown = any(problem.code == "unknown-provision" for problem in error.problems)
        text = Text(error.problems[0].message("zh"), error.problems[0].message("en"))
        return error_page(request, 404 if unknown else 422, text)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        traceback.print_exception(error, file=sys.stderr)
        if is_api(request):
            return problem_response("internal-error", lang=wanted_language(request))
        return error_page(request, 500, problems.TITLES["internal-error"][1])
